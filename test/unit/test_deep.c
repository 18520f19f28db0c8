/*
 * test_deep.c: networks of images and signals trained, judged and asked: that they learn, alone and beside columns, give the same
 * bits again, in any batch, and that importance finds what matters. And several labels at once.
 */
#include "check_fields.h"

#include "learn/rank.h"

static DevSession *
open_session(void)
{
	DevSession *session;

	CHECK_OR_STOP(dev_session_open(NULL, 3, &session) == DEV_OK, "a session opens");
	return session;
}

/* Share of rows of the test part whose answer is right; of a regression R2. */
static double
quality(FieldTable *table, const double *scores)
{
	size_t		n_outputs = learn_model_outputs(&table->model);
	const float *targets = learn_dataset_targets(table->dataset);
	const uint8_t *parts = learn_dataset_parts(table->dataset);
	double		right = 0;
	double		n = 0;

	for (size_t row = 0; row < table->n; row++)
	{
		const double *score = scores + row * n_outputs;
		const float *target = targets + row * (size_t) table->model.n_targets;
		size_t		best = 0;

		if (parts[row] != LEARN_TEST)
			continue;
		n++;
		for (size_t i = 1; i < n_outputs; i++)
			best = score[i] > score[best] ? i : best;
		if (table->model.task == LEARN_BINARY)
			right += (score[0] > 0) == (target[0] > 0.5f);
		else if (table->model.task == LEARN_MULTICLASS)
			right += best == (size_t) target[0];
		else if (table->model.task == LEARN_MULTILABEL)
			right += (score[0] > 0) == (target[0] > 0.5f) && (score[1] > 0) == (target[1] > 0.5f);
		else if (table->model.task == LEARN_REGRESSION)
			right += 1 - pow((score[0] - table->mean[0]) / table->scale[0] - (double) target[0], 2);
	}
	return n > 0 ? right / n : 0;
}

typedef struct Course
{
	const char *what;
	LearnArchitecture architecture;
	const char *layers;
	FieldPlan	plan;
	int			epochs;
	double		good;
} Course;

#define IMAGE(task_) {.image = true, .task = task_, .n = 400}
#define SIGNAL(task_) {.signal = true, .task = task_, .n = 400}
#define ALL(task_) {.image = true, .signal = true, .columns = true, .task = task_, .n = 500, .missing = 0.03}

static const Course courses[] = {
	{"a cnn of images", LEARN_CNN, NULL, IMAGE(LEARN_BINARY), 12, 0.95},
	{"a residual net of images", LEARN_RESNET20, NULL, IMAGE(LEARN_BINARY), 8, 0.95},
	{"convolutions of signals", LEARN_FCN, NULL, SIGNAL(LEARN_BINARY), 10, 0.9},
	{"an LSTM of signals", LEARN_LSTM, NULL, SIGNAL(LEARN_BINARY), 10, 0.9},
	{"a GRU of signals", LEARN_GRU, NULL, SIGNAL(LEARN_BINARY), 10, 0.9},
	{"classes of both", LEARN_CNN, NULL, ALL(LEARN_MULTICLASS), 12, 0.8},
	{"numbers of images", LEARN_CNN, NULL, IMAGE(LEARN_REGRESSION), 12, 0.8},
	{"labels of both", LEARN_GRU, NULL, ALL(LEARN_MULTILABEL), 12, 0.8},
	{"a table's ensemble over encoded fields", LEARN_TABM, NULL, ALL(LEARN_BINARY), 4, 0.85},
	{"a line over encoded fields", LEARN_LINEAR, NULL, ALL(LEARN_BINARY), 4, 0.85},
	{"layers over images", LEARN_LAYERS, "conv(8) batch_norm relu max_pool(2) conv(8) batch_norm relu global_mean dense(8) relu",
	IMAGE(LEARN_BINARY), 10, 0.9},
	{"layers over signals", LEARN_LAYERS, "conv(8, 5) batch_norm relu gru(8) last", SIGNAL(LEARN_BINARY), 10, 0.9},
	{"dense layers over encoded fields", LEARN_LAYERS, "dense(16) relu", ALL(LEARN_BINARY), 4, 0.85}
};

static void
check_course(const Course *course)
{
	DevSession *session = open_session();
	FieldTable	table;
	LearnOutcome outcome;
	double	   *scores = calloc(course->plan.n * 3, sizeof(double));
	double		found;

	CHECK_OR_STOP(field_table(session, &course->plan, &table) == DEV_OK, "%s: a table", course->what);
	CHECK_STATUS(session, field_train(&table, field_network(&table, course->architecture, course->layers), field_training(course->epochs, 2),
									  &outcome), DEV_OK, "%s is trained", course->what);
	CHECK_STATUS(session, field_scores(&table, 64, scores), DEV_OK, "it answers");
	found = quality(&table, scores);
	if (!CHECK(found >= course->good, "and is right on rows it has not seen"))
		printf("#   %g, not %g\n", found, course->good);
	free(scores);
	field_table_close(&table);
	dev_session_close(session);
}

/* ---- Survival ---- */

static void
check_survival(void)
{
	FieldPlan	plan = IMAGE(LEARN_SURVIVAL);
	DevSession *session = open_session();
	FieldTable	table;
	LearnOutcome outcome;
	double	   *scores = calloc(plan.n, sizeof(double));
	double		sum[2] = {0};
	double		n[2] = {0};

	CHECK_OR_STOP(field_table(session, &plan, &table) == DEV_OK, "a table of times");
	CHECK_STATUS(session, field_train(&table, field_network(&table, LEARN_CNN, NULL), field_training(8, 1), &outcome), DEV_OK,
				 "a cnn learns survival");
	CHECK_STATUS(session, field_scores(&table, 64, scores), DEV_OK, "it answers");
	for (size_t row = 0; row < plan.n; row++)
	{
		sum[field_truth(row, 0)] += scores[row];
		n[field_truth(row, 0)]++;
	}
	CHECK(sum[1] / n[1] > sum[0] / n[0] + 1 && table.model.n_hazard > 0, "those at ten times the hazard have the higher one");
	free(scores);
	field_table_close(&table);
	dev_session_close(session);
}

/* ---- The same bits ---- */

/* Trains and gives the weights (malloc'd) and the scores of all rows. */
static float *
weights_of(const FieldPlan *plan, LearnArchitecture architecture, uint64_t seed, int threads, size_t *n_weights, double *scores)
{
	DevSession *session = open_session();
	FieldTable	table;
	LearnTraining training = field_training(2, threads);
	LearnOutcome outcome;
	float	   *weights;

	training.seed = seed;
	CHECK_OR_STOP(field_table(session, plan, &table) == DEV_OK, "a table");
	CHECK_OR_STOP(field_train(&table, field_network(&table, architecture, NULL), training, &outcome) == DEV_OK, "a training");
	CHECK_OR_STOP(field_scores(&table, 33, scores) == DEV_OK, "scores");
	*n_weights = table.model.nets[0].n_weights;
	weights = malloc(*n_weights * sizeof(float));
	memcpy(weights, table.model.nets[0].weights, *n_weights * sizeof(float));
	field_table_close(&table);
	dev_session_close(session);
	return weights;
}

static void
check_bits(LearnArchitecture architecture, FieldPlan plan, int threads)
{
	size_t		n[3];
	double	   *scores[3];
	float	   *weights[3];

	for (int i = 0; i < 3; i++)
		scores[i] = calloc(plan.n * 3, sizeof(double));
	weights[0] = weights_of(&plan, architecture, 1, threads, &n[0], scores[0]);
	weights[1] = weights_of(&plan, architecture, 1, threads, &n[1], scores[1]);
	weights[2] = weights_of(&plan, architecture, 2, threads, &n[2], scores[2]);
	CHECK(n[0] == n[1] && memcmp(weights[0], weights[1], n[0] * sizeof(float)) == 0 && memcmp(scores[0], scores[1], plan.n * 3 * sizeof(double)) == 0,
		  "%s on %d threads: the same seed gives the same bits", learn_architecture_names[architecture], threads);
	CHECK(memcmp(weights[0], weights[2], n[0] * sizeof(float)) != 0, "another seed gives others");
	for (int i = 0; i < 3; i++)
	{
		free(scores[i]);
		free(weights[i]);
	}
}

/* Rows asked in batches of any size, in any order, from the data set or as the host has them; as they are, or in several views. */
static void
check_batches(LearnArchitecture architecture, int n_views)
{
	LearnAugment views = {.values = {0}};
	FieldPlan	plan = ALL(LEARN_MULTICLASS);
	DevSession *session = open_session();
	FieldTable	table;
	LearnOutcome outcome;
	static const size_t batches[] = {1, 7, 256};
	char	  (*memory)[2][FIELD_MOST_BYTES] = calloc(plan.n, sizeof(*memory));
	LearnBytes *values = calloc(plan.n * 2, sizeof(LearnBytes));
	float	   *raw = calloc(plan.n * FIELD_CHANNELS, sizeof(float));
	double	   *expected = calloc(plan.n * 3, sizeof(double));
	double	   *scores = calloc(plan.n * 3, sizeof(double));

	plan.n = 120;
	CHECK_OR_STOP(field_table(session, &plan, &table) == DEV_OK, "a table");
	CHECK_OR_STOP(field_train(&table, field_network(&table, architecture, NULL), field_training(1, 1), &outcome) == DEV_OK, "a training");
	CHECK_STATUS(session, field_scores(&table, 64, expected), DEV_OK, "%s answers", learn_architecture_names[architecture]);
	if (n_views > 1)
	{
		memcpy(scores, expected, plan.n * 3 * sizeof(double));
		for (int kind = 0; kind < LEARN_N_AUGMENT_KINDS; kind++)
			learn_augment_usual(&views, (LearnAugmentKind) kind);
		table.model.augment = &views;
		table.model.n_views = n_views;
		CHECK_STATUS(session, field_scores(&table, 64, expected), DEV_OK, "%d views", n_views);
		CHECK(memcmp(scores, expected, plan.n * 3 * sizeof(double)) != 0, "are not the rows alone");
	}
	for (size_t i = 0; i < plan.n; i++)
	{
		size_t		row = plan.n - 1 - i;

		raw[i * 2] = (float) dev_random_normal(31, 550, row);
		raw[i * 2 + 1] = learn_category_code(&table.channels[1], row % 4 == 0 ? "north" : "south", 5);
		for (int f = 0; f < 2; f++)
			if (!field_missing(&plan, row, f))
				values[i * 2 + (size_t) f] = (LearnBytes) {memory[i][f], field_bytes(&table.fields[f], row, memory[i][f])};
	}
	for (size_t b = 0; b < 3; b++)
	{
		LearnPredictor *predictor;
		bool		same = true;

		CHECK_STATUS(session, learn_predictor_create(session, &table.model, batches[b], &predictor), DEV_OK, "a predictor of %zu rows", batches[b]);
		CHECK_STATUS(session, learn_predict_scores(predictor, plan.n, raw, values, scores), DEV_OK, "predicts");
		for (size_t i = 0; i < plan.n; i++)
			same = same && memcmp(scores + i * 3, expected + (plan.n - 1 - i) * 3, 3 * sizeof(double)) == 0;
		CHECK(same, "the last row first, by %zu: the same bits", batches[b]);
	}
	free(memory);
	free(values);
	free(raw);
	free(expected);
	free(scores);
	field_table_close(&table);
	dev_session_close(session);
}

/* Without any value the network still answers, as it would for the training mean. */
static void
check_missing(void)
{
	FieldPlan	plan = ALL(LEARN_BINARY);
	DevSession *session = open_session();
	FieldTable	table;
	LearnOutcome outcome;
	LearnPredictor *predictor;
	float		raw[FIELD_CHANNELS] = {NAN, NAN};
	uint8_t		pixels[FIELD_HEIGHT * FIELD_WIDTH];
	LearnBytes	none[2] = {{NULL, 0}, {NULL, 0}};
	LearnBytes	average[2] = {{pixels, sizeof(pixels)}, {NULL, 0}};
	double		scores[2];

	CHECK_OR_STOP(field_table(session, &plan, &table) == DEV_OK, "a table");
	CHECK_OR_STOP(field_train(&table, field_network(&table, LEARN_CNN, NULL), field_training(2, 1), &outcome) == DEV_OK, "a training");
	CHECK_STATUS(session, learn_predictor_create(session, &table.model, 4, &predictor), DEV_OK, "a predictor");
	CHECK_STATUS(session, learn_predict_scores(predictor, 1, raw, none, &scores[0]), DEV_OK, "a row of nothing is answered");
	memset(pixels, (int) lroundf(table.fields[0].center[0] * 255), sizeof(pixels));
	CHECK_STATUS(session, learn_predict_scores(predictor, 1, raw, average, &scores[1]), DEV_OK, "so is one of the mean grey");
	CHECK(isfinite(scores[0]) && fabs(scores[0] - scores[1]) < 0.2, "about alike");
	field_table_close(&table);
	dev_session_close(session);
}

/* ---- Importance ---- */

typedef struct Truth
{
	const float *labels;
} Truth;

static DevStatus
accuracy(void *context, size_t n, const double *scores, double *value)
{
	const Truth *truth = context;

	*value = 0;
	for (size_t i = 0; i < n; i++)
		*value += ((scores[i] > 0) == (truth->labels[i] > 0.5f)) / (double) n;
	return DEV_OK;
}

static void
check_importance(void)
{
	FieldPlan	plan = {.image = true, .signal = true, .columns = true, .task = LEARN_BINARY, .n = 300};
	DevSession *session = open_session();
	FieldTable	table;
	LearnOutcome outcome;
	LearnPredictor *predictor;
	char	  (*memory)[2][FIELD_MOST_BYTES] = calloc(plan.n, sizeof(*memory));
	LearnBytes *values = calloc(plan.n * 2, sizeof(LearnBytes));
	float	   *raw = calloc(plan.n * FIELD_CHANNELS, sizeof(float));
	float	   *labels = calloc(plan.n, sizeof(float));
	Truth		truth = {labels};
	double		importance[FIELD_CHANNELS + 2];
	double		deviation[FIELD_CHANNELS + 2];

	CHECK_OR_STOP(field_table(session, &plan, &table) == DEV_OK, "a table");
	CHECK_OR_STOP(field_train(&table, field_network(&table, LEARN_CNN, NULL), field_training(10, 1), &outcome) == DEV_OK, "a training");
	for (size_t row = 0; row < plan.n; row++)
	{
		labels[row] = field_truth(row, 0);
		raw[row * 2] = (float) dev_random_normal(31, 550, row);
		raw[row * 2 + 1] = row % 4 == 0;
		for (int f = 0; f < 2; f++)
			values[row * 2 + (size_t) f] = (LearnBytes) {memory[row][f], field_bytes(&table.fields[f], row, memory[row][f])};
	}
	CHECK_STATUS(session, learn_predictor_create(session, &table.model, 64, &predictor), DEV_OK, "a predictor");
	CHECK_STATUS(session, learn_importance(predictor, plan.n, raw, values, 3, 1, accuracy, &truth, importance, deviation), DEV_OK, "importance");
	CHECK(importance[2] > 0.3 && fabs(importance[0]) < 0.1 && fabs(importance[1]) < 0.1 && fabs(importance[3]) < 0.1,
		  "shuffled images cost what shuffled signals and columns do not");
	free(memory);
	free(values);
	free(raw);
	free(labels);
	field_table_close(&table);
	dev_session_close(session);
}

/* ---- Labels ---- */

static void
check_labels(void)
{
	FieldPlan	plan = ALL(LEARN_MULTILABEL);
	DevSession *session = open_session();
	FieldTable	table;
	LearnOutcome outcome;
	double	   *scores = calloc(plan.n * 3, sizeof(double));
	double		answers[6] = {0, 800, -800, 1, -1, 0};
	double		mean = 0;
	double		held = 0;

	plan.n = 1000;
	scores = realloc(scores, plan.n * 3 * sizeof(double));
	CHECK_OR_STOP(field_table(session, &plan, &table) == DEV_OK, "a table of three labels");
	CHECK(learn_model_outputs(&table.model) == 3, "has as many answers");
	CHECK_STATUS(session, field_train(&table, field_network(&table, LEARN_CNN, NULL), field_training(5, 2), &outcome), DEV_OK, "it is trained");
	CHECK(table.model.temperature > 0.05 && table.model.temperature < 20 && table.model.temperature != 1, "a temperature is fitted");
	CHECK_STATUS(session, field_scores(&table, 64, scores), DEV_OK, "it answers");
	for (size_t row = 0; row < plan.n; row++)
	{
		mean += 1 / (1 + exp(-scores[row * 3 + 2])) / (double) plan.n;
		held += (row % 3 == 0) / (double) plan.n;
	}
	CHECK(fabs(mean - held) < 0.08, "a label that nothing tells has its share as its probability");
	learn_scores_to_answers(&table.model, 2, answers);
	CHECK(answers[0] == 0.5 && answers[1] == 1 && answers[2] == 0 && fabs(answers[3] + answers[4] - 1) < 1e-15,
		  "each answer is a probability of its own");
	free(scores);
	field_table_close(&table);
	dev_session_close(session);
}

/* Targets that are no labels; a column that is one of them. */
static void
check_bad_labels(void)
{
	for (int bad = 0; bad < 2; bad++)
	{
		DevSession *session = open_session();
		LearnChannel channel = {.name = (char *) "code", .number_input = NN_NONE, .indicator_input = NN_NONE, .code_input = NN_NONE};
		LearnSplit	split = {.validation = 0.2, .test = 0.2, .task = LEARN_MULTILABEL, .seed = 1};
		LearnFit	fit = {.task = LEARN_MULTILABEL, .min_count = 1, .warn_leakage = true};
		LearnNotes	notes = {0};
		LearnDataset *dataset;
		const LearnNote *note;
		size_t		n_numbers;
		size_t		n_codes;

		CHECK_OR_STOP(learn_dataset_create(session, &channel, 1, 2, (size_t) 1 << 20, NULL, &dataset) == DEV_OK, "a data set of two labels");
		for (size_t row = 0; row < 300; row++)
		{
			float		second = dev_random_uniform(5, 2, row) < 0.4;
			float		targets[2] = {row % 3 == 0, bad == 1 && row == 77 ? 2 : second};
			float		raw = (float) (2 * second) + 0.1f * (float) dev_random_normal(5, 3, row);

			CHECK_OR_STOP(learn_dataset_append(dataset, &(LearnRow) {.channels = &raw, .targets = targets, .part = LEARN_UNASSIGNED}) == DEV_OK,
						  "row %zu", row);
		}
		if (bad == 1)
		{
			CHECK_STATUS(session, learn_split(dataset, &split, &notes), DEV_BAD_DATA, "a label of 2 is refused");
			CHECK(strstr(dev_message_text(session), "label is neither 0 nor 1") != NULL, "saying %s", dev_message_text(session));
		}
		else
		{
			CHECK_STATUS(session, learn_split(dataset, &split, &notes), DEV_OK, "labels are dealt");
			CHECK_STATUS(session, learn_fit(dataset, &fit, &notes, &n_numbers, &n_codes), DEV_OK, "and columns fitted");
			note = check_note(&notes, "almost perfectly");
			CHECK(note != NULL && note->warning && strstr(note->message, "\"code\"") != NULL, "a column that tells the second label is warned of");
		}
		dev_session_close(session);
	}
}

/* ---- Failing memory ---- */

static void
check_failing_memory(void)
{
	FieldPlan	plan = ALL(LEARN_BINARY);
	CheckHost	host;
	size_t		calls = 1;
	size_t		told = 0;
	size_t		tried = 0;

	plan.n = 40;
	for (size_t fail_at = 0; fail_at <= calls; fail_at += 1 + fail_at / 5)
	{
		DevHost		lent = check_host(&host, fail_at);
		DevSession *session;
		FieldTable	table = {0};
		LearnOutcome outcome;
		double		scores[40];
		DevStatus	status = dev_session_open(&lent, 1, &session);

		if (status == DEV_OK)
			status = field_table(session, &plan, &table);
		if (status == DEV_OK)
			status = field_train(&table, field_network(&table, LEARN_GRU, NULL), field_training(1, 2), &outcome);
		if (status == DEV_OK)
			status = field_scores(&table, 16, scores);
		if (fail_at == 0)
			calls = host.calls;
		else
		{
			tried++;
			told += status == DEV_NO_MEMORY;
		}
		field_table_close(&table);
		dev_session_close(session);
		if (host.held != 0)
			CHECK(false, "allocation %zu fails and memory is left", fail_at);
	}
	CHECK(tried > 20 && told == tried, "%zu of %zu allocations fail, and each is told", tried, calls);
}

int
main(void)
{
	for (size_t i = 0; i < sizeof(courses) / sizeof(courses[0]); i++)
		check_course(&courses[i]);
	check_survival();
	check_bits(LEARN_CNN, (FieldPlan) IMAGE(LEARN_BINARY), 1);
	check_bits(LEARN_GRU, (FieldPlan) {.image = true, .signal = true, .columns = true, .task = LEARN_BINARY, .n = 120, .missing = 0.1}, 3);
	check_batches(LEARN_RESNET20, 0);
	check_batches(LEARN_FCN, 0);
	check_batches(LEARN_FCN, 3);
	check_batches(LEARN_LSTM, 0);
	check_batches(LEARN_TABM, 0);
	check_batches(LEARN_TABM, 4);
	check_missing();
	check_importance();
	check_labels();
	check_bad_labels();
	check_failing_memory();
	return check_done();
}

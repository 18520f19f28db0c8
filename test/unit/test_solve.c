/*
 * test_solve.c: networks that are solved for, signals as rocket's features, series as planes, and a tabular network beside
 * another: against the parts they are made of.
 */
#include "check_fields.h"

#include "idla/learn_ridge.h"
#include "learn/field.h"

#define ROWS 240
#define WISH 168

static DevSession *
open_session(void)
{
	DevSession *session;

	CHECK_OR_STOP(dev_session_open(NULL, 3, &session) == DEV_OK, "a session opens");
	return session;
}

/* A training that says nothing of steps. */
static LearnTraining
plain_training(int threads)
{
	return (LearnTraining)
	{
		.optimizer = -1, .decay = -1, .momentum = -1, .schedule = -1, .warm_up = -1, .clip = -1, .average = -1, .calibrate = true,
		.linear = -1, .seed = 9, .threads = threads
	};
}

static LearnNetwork
rocket(const FieldTable *table)
{
	LearnNetwork network = field_network(table, LEARN_ROCKET, NULL);

	network.depth = 0;
	network.width = WISH;
	return network;
}

static FieldPlan
signals(LearnTask task)
{
	return (FieldPlan) {.signal = true, .columns = true, .task = task, .n = ROWS, .missing = 0.03};
}

/* ---- Solved ---- */

static void
check_quality(LearnTask task, const char *what, double good)
{
	FieldPlan	plan = signals(task);
	DevSession *session = open_session();
	FieldTable	table;
	LearnOutcome outcome;
	double	   *scores = calloc(ROWS * 3, sizeof(double));
	size_t		outputs;
	double		right = 0;
	double		n = 0;

	CHECK_OR_STOP(field_table(session, &plan, &table) == DEV_OK, "%s: a table", what);
	CHECK_STATUS(session, field_train(&table, rocket(&table), plain_training(2), &outcome), DEV_OK, "%s is solved", what);
	CHECK(table.model.n_nets == 1 && table.model.temperature == 1 && outcome.epochs == 1 && outcome.steps == 0 &&
		  isfinite(outcome.validation_loss), "in no steps, by one network that is calibrated as it is");
	CHECK_STATUS(session, field_scores(&table, 64, scores), DEV_OK, "it answers");
	outputs = learn_model_outputs(&table.model);
	for (size_t row = 0; row < ROWS; row++)
	{
		const float *target = learn_dataset_targets(table.dataset) + row * (size_t) table.model.n_targets;
		const double *score = scores + row * outputs;
		size_t		best = 0;

		if (learn_dataset_parts(table.dataset)[row] == LEARN_TRAIN)
			continue;
		n++;
		for (size_t i = 1; i < outputs; i++)
			best = score[i] > score[best] ? i : best;
		right += task == LEARN_MULTICLASS ? best == (size_t) target[0] : task == LEARN_BINARY ? (score[0] > 0) == (target[0] > 0.5f) :
			1 - pow((score[0] - table.mean[0]) / table.scale[0] - (double) target[0], 2);
	}
	if (!CHECK(right / n >= good, "and is right on rows it has not seen"))
		printf("#   %g\n", right / n);
	free(scores);
	field_table_close(&table);
	dev_session_close(session);
}

/* A row's signal as features. */
static void
load(FieldTable *table, size_t row, float *scratch, float *features)
{
	void	   *planes[LEARN_MAX_PLANES] = {features};
	LearnBytes	stored;
	int32_t		length;

	CHECK_OR_STOP(learn_dataset_field(table->dataset, 0, row, &stored) == DEV_OK, "a signal is read");
	learn_field_load(&table->fields[0], stored, scratch, planes, &length);
}

/* The answers of a solved regression are those of ridge regression on what learn_field_load gives. */
static void
check_by_parts(void)
{
	FieldPlan	plan = {.signal = true, .task = LEARN_REGRESSION, .n = ROWS};
	DevSession *session = open_session();
	FieldTable	table;
	LearnOutcome outcome;
	LearnRidge	ridge;
	double	   *scores = calloc(ROWS, sizeof(double));
	float	   *features;
	float	   *learned;
	float	   *targets = calloc(ROWS, sizeof(float));
	float	   *scratch;
	size_t		width;
	size_t		n = 0;
	double		worst = 0;

	CHECK_OR_STOP(field_table(session, &plan, &table) == DEV_OK, "a table of numbers");
	CHECK_OR_STOP(field_train(&table, rocket(&table), plain_training(1), &outcome) == DEV_OK, "solved");
	CHECK_OR_STOP(field_scores(&table, 64, scores) == DEV_OK, "answered");
	width = table.fields[0].rocket->n_features;
	CHECK(width == WISH, "as many features as were wished for");
	features = calloc(ROWS * width, sizeof(float));
	learned = calloc(ROWS * width, sizeof(float));
	scratch = calloc(learn_field_scratch(&table.fields[0]), sizeof(float));
	for (size_t row = 0; row < ROWS; row++)
	{
		load(&table, row, scratch, features + row * width);
		if (learn_dataset_parts(table.dataset)[row] == LEARN_TRAIN)
		{
			memcpy(learned + n * width, features + row * width, width * sizeof(float));
			targets[n++] = learn_dataset_targets(table.dataset)[row];
		}
	}
	CHECK_OR_STOP(learn_ridge_fit(session, n, width, learned, 1, targets, NULL, NULL, &ridge) == DEV_OK, "a ridge of its own");
	for (size_t row = 0; row < ROWS; row++)
	{
		double		expected = (double) ridge.intercept[0];

		for (size_t i = 0; i < width; i++)
			expected += (double) ridge.weights[i] * (double) features[row * width + i];
		worst = fmax(worst, fabs(expected - (scores[row] - table.mean[0]) / table.scale[0]));
	}
	CHECK(worst < 1e-3, "the model is ridge regression on the loaded features");
	free(learned);
	free(features);
	free(targets);
	free(scratch);
	free(scores);
	field_table_close(&table);
	dev_session_close(session);
}

/* Threads and memory change nothing. */
static void
check_bits(void)
{
	FieldPlan	plan = signals(LEARN_MULTICLASS);
	double	   *scores[3];

	for (int i = 0; i < 3; i++)
	{
		DevSession *session = open_session();
		FieldTable	table;
		LearnOutcome outcome;

		scores[i] = calloc(ROWS * 3, sizeof(double));
		plan.memory = i == 2 ? 1 : 0;
		CHECK_OR_STOP(field_table(session, &plan, &table) == DEV_OK, "a table");
		CHECK_OR_STOP(field_train(&table, rocket(&table), plain_training(1 + 2 * (i == 1)), &outcome) == DEV_OK, "solved");
		CHECK_OR_STOP(field_scores(&table, i == 0 ? 64 : 7, scores[i]) == DEV_OK, "answered");
		field_table_close(&table);
		dev_session_close(session);
	}
	CHECK(memcmp(scores[0], scores[1], ROWS * 3 * sizeof(double)) == 0,
		  "three threads solve to the bits of one, and batches of 7 answer those of 64");
	CHECK(memcmp(scores[0], scores[2], ROWS * 3 * sizeof(double)) == 0, "and little memory to those of much");
	for (int i = 0; i < 3; i++)
		free(scores[i]);
}

/* When equations are solved, and when steps are taken. */
static void
check_rule(void)
{
	LearnField	signal = field_signal();
	LearnField	image = field_image();
	LearnNetwork network = {.architecture = LEARN_ROCKET, .n_fields = 1, .fields = &signal};
	LearnTraining training = plain_training(1);
	LearnTraining other;

	CHECK(learn_training_solves(&network, LEARN_RIDGE_MOST, &training), "rocket is solved up to ridge's bound");
	CHECK(!learn_training_solves(&network, LEARN_RIDGE_MOST + 1, &training), "and not beyond it");
#define CHECK_STEPS(change, what) \
	other = training; \
	other.change; \
	CHECK(!learn_training_solves(&network, 100, &other), "not with " what)
	CHECK_STEPS(epochs = 3, "epochs");
	CHECK_STEPS(batch = 3, "a batch");
	CHECK_STEPS(rate = 0.1, "a rate");
	CHECK_STEPS(patience = -1, "patience");
	CHECK_STEPS(optimizer = NN_SGD, "an optimiser");
	CHECK_STEPS(folds = 2, "folds");
	CHECK_STEPS(bags = 2, "bags");
	CHECK_STEPS(balanced = true, "balanced classes");
	CHECK_STEPS(smoothing = 0.1, "smoothing");
	CHECK_STEPS(huber = 1, "Huber's loss");
#undef CHECK_STEPS
	network.task = LEARN_SURVIVAL;
	CHECK(!learn_training_solves(&network, 100, &training), "nor for survival");
	network.task = LEARN_MULTILABEL;
	CHECK(!learn_training_solves(&network, 100, &training), "nor for labels");
	network.task = LEARN_BINARY;
	network.architecture = LEARN_AUTO;
	CHECK(learn_network_pick(&network, 100) == LEARN_ROCKET, "auto takes it for a signal");
	CHECK(learn_network_pick(&network, LEARN_RIDGE_MOST + 1) == LEARN_FCN, "and convolutions beyond the bound");
	network.fields = &image;
	CHECK(learn_network_pick(&network, 100) != LEARN_ROCKET, "and not for an image");
}

/* ---- As floats ---- */

static void
check_state(void)
{
	FieldPlan	plan = {.signal = true, .task = LEARN_BINARY, .n = ROWS};
	DevSession *session = open_session();
	FieldTable	table;
	LearnOutcome outcome;
	LearnField	copy = field_signal();
	LearnField	narrow = field_signal();
	LearnField	image = field_image();
	size_t		n;
	float	   *state;
	float	   *scratch;
	float		planes[2][WISH];
	int32_t		length;
	LearnBytes	stored;

	CHECK_OR_STOP(field_table(session, &plan, &table) == DEV_OK, "a table");
	CHECK(learn_field_state_size(&table.fields[0]) == 0, "a signal has no state before");
	CHECK_OR_STOP(field_train(&table, rocket(&table), plain_training(1), &outcome) == DEV_OK, "solved");
	n = learn_field_state_size(&table.fields[0]);
	state = calloc(n + 1, sizeof(float));
	learn_field_state_store(&table.fields[0], state);
	copy.center = table.fields[0].center;
	copy.scale = table.fields[0].scale;
	CHECK_STATUS(session, learn_field_state_load(session, &copy, state, n), DEV_OK, "and one after, which is read again");
	scratch = calloc(learn_field_scratch(&copy), sizeof(float));
	CHECK_OR_STOP(learn_dataset_field(table.dataset, 0, 0, &stored) == DEV_OK, "a signal");
	for (int i = 0; i < 2; i++)
	{
		void	   *to[LEARN_MAX_PLANES] = {planes[i]};

		learn_field_load(i == 0 ? &table.fields[0] : &copy, stored, scratch, to, &length);
	}
	CHECK(memcmp(planes[0], planes[1], sizeof(planes[0])) == 0, "loads the same bits");
	CHECK(learn_field_parts(&copy) == 1 && learn_field_part(&copy, 0, WISH - 1, WISH) == 0, "and is one part to explanations");
	CHECK_STATUS(session, learn_field_state_load(session, &copy, state, n - 1), DEV_CORRUPT, "a state too short");
	CHECK_STATUS(session, learn_field_state_load(session, &copy, state, 0), DEV_CORRUPT, "none");
	CHECK_STATUS(session, learn_field_state_load(session, &image, state, n), DEV_CORRUPT, "an image's");
	narrow.dims[1] = 1;
	CHECK_STATUS(session, learn_field_state_load(session, &narrow, state, n), DEV_CORRUPT, "another number of leads");
	narrow = field_signal();
	narrow.dims[0] = 3;
	CHECK_STATUS(session, learn_field_state_load(session, &narrow, state, n), DEV_CORRUPT, "shorter signals");
	for (size_t i = 0; i < n; i += 1 + i / 8)
	{
		float		kept = state[i];

		state[i] = NAN;
		CHECK(learn_field_state_load(session, &copy, state, n) == DEV_CORRUPT, "number %zu is none", i);
		state[i] = kept;
	}
	state[0] = WISH - 84;
	CHECK_STATUS(session, learn_field_state_load(session, &copy, state, n), DEV_CORRUPT, "another number of features");
	free(state);
	free(scratch);
	field_table_close(&table);
	dev_session_close(session);
}

/* ---- Series ---- */

#define BINS 5
#define CHANNELS 3

static void
check_series(void)
{
	DevSession *session = open_session();
	LearnSeriesChannel channels[CHANNELS] = {{.name = (char *) "a"}, {.name = (char *) "b"}, {.name = (char *) "never"}};
	LearnSeriesPlan plan = {.n_channels = CHANNELS, .channels = channels, .start = -BINS, .width = 1, .n_bins = BINS};
	LearnField	field = {.name = (char *) "series", .kind = LEARN_SERIES, .sample = LEARN_SAMPLE_F32, .dims = {BINS, CHANNELS, 0}, .series = &plan};
	LearnDataset *dataset;
	LearnPlane	planes[LEARN_MAX_PLANES];
	float		stored[(BINS + 2) * CHANNELS];
	float		expected[BINS * 3 * CHANNELS];
	float		loaded[BINS * 3 * CHANNELS];
	void	   *to[LEARN_MAX_PLANES] = {loaded};
	LearnTrouble trouble;
	void	   *taken;
	size_t		size;
	int32_t		length;
	double		sum = 0;
	double		n = 0;

	CHECK_OR_STOP(learn_dataset_create(session, NULL, 0, 1, 1 << 20, NULL, &dataset) == DEV_OK, "a data set");
	CHECK_OR_STOP(learn_dataset_add_fields(dataset, &field, 1, 1 << 20, NULL) == DEV_OK, "of series");
	for (size_t row = 0; row < 40; row++)
	{
		uint8_t		part = row < 30 ? LEARN_TRAIN : row < 35 ? LEARN_VALIDATION : LEARN_TEST;
		float		target = (float) (row % 2);
		LearnBytes	value = {stored, sizeof(stored)};
		LearnRow	given = {.targets = &target, .fields = &value, .part = part};

		for (size_t i = 0; i < (BINS + 2) * CHANNELS; i++)
			stored[i] = i % CHANNELS == 2 || dev_random_uniform(5, 1, row * 64 + i) < 0.3 ? NAN :
				(float) (10 * (double) (i % CHANNELS) + dev_random_normal(5, 2, row * 64 + i)) + (part == LEARN_TRAIN ? 0 : 1000);
		for (size_t i = 2 * CHANNELS; i < (BINS + 2) * CHANNELS && part == LEARN_TRAIN; i += CHANNELS)
			if (!isnan(stored[i + 1]))
			{
				sum += (double) stored[i + 1];
				n++;
			}
		CHECK_OR_STOP(learn_dataset_append(dataset, &given) == DEV_OK, "a row");
	}
	{
		LearnSplit	split = {.given = true, .task = LEARN_BINARY};
		LearnFit	fit = {.task = LEARN_BINARY};
		LearnNotes	notes = {0};
		size_t		numbers;
		size_t		codes;

		CHECK_OR_STOP(learn_split(dataset, &split, &notes) == DEV_OK, "parts");
		CHECK_OR_STOP(learn_fit(dataset, &fit, &notes, &numbers, &codes) == DEV_OK, "statistics");
	}
	CHECK_NEAR(channels[1].mean, sum / n, 1e-5, "a channel's mean is that of the training part's bins, not of what was before");
	CHECK(channels[1].n == (uint64_t) n && channels[2].n == 0 && channels[2].deviation > 0, "and what was never seen is known as such");
	CHECK(learn_field_planes(&field, planes) == 1 && planes[0].shape.dims[0] == BINS && planes[0].shape.dims[1] == 3 * CHANNELS,
		  "one plane of three a channel");
	learn_series_load(&plan, stored, expected);
	learn_field_load(&field, (LearnBytes) {stored, sizeof(stored)}, NULL, to, &length);
	CHECK(memcmp(loaded, expected, sizeof(loaded)) == 0 && length == BINS, "it is loaded as learn_series_load does");
	memset(expected, 0, sizeof(expected));
	learn_field_load(&field, (LearnBytes) {NULL, 0}, NULL, to, &length);
	CHECK(memcmp(loaded, expected, sizeof(loaded)) == 0, "a missing one is zeros");
	learn_field_load(&field, (LearnBytes) {stored, 8}, NULL, to, &length);
	CHECK(memcmp(loaded, expected, sizeof(loaded)) == 0, "and so is one of another size");
	CHECK(learn_field_parts(&field) == BINS * CHANNELS, "a part is a channel in a bin");
	for (size_t i = 0; i < BINS * 3 * CHANNELS; i++)
		if (learn_field_part(&field, 0, i, BINS * 3 * CHANNELS) != i / (3 * CHANNELS) * CHANNELS + i % CHANNELS)
			CHECK(false, "number %zu of the plane", i);
	CHECK(learn_field_take_series(&field, (BINS + 2) * CHANNELS, stored, &taken, &size, &trouble) && size == sizeof(stored) &&
		  memcmp(taken, stored, size) == 0, "it is taken as it is");
	free(taken);
	CHECK(!learn_field_take_series(&field, BINS, stored, &taken, &size, &trouble) && taken == NULL && trouble.status == DEV_BAD_DATA,
		  "but for one of another size");
	learn_dataset_free(dataset);
	dev_session_close(session);
}

/* ---- A tabular network beside ---- */

static void
check_tabular(void)
{
	FieldPlan	plan = signals(LEARN_BINARY);
	DevSession *session = open_session();
	FieldTable	table;
	LearnTraining training = field_training(3, 2);
	LearnOutcome outcome;
	double	   *scores[3];

	training.tabular = true;
	training.calibrate = false;
	training.bags = 2;
	for (int i = 0; i < 3; i++)
		scores[i] = calloc(ROWS, sizeof(double));
	CHECK_OR_STOP(field_table(session, &plan, &table) == DEV_OK, "a table");
	CHECK_STATUS(session, field_train(&table, field_network(&table, LEARN_GRU, NULL), training, &outcome), DEV_OK,
				 "two kinds of networks are trained");
	CHECK(table.model.n_nets == 4, "one of each a bag");
	for (int i = 0; i < 4; i++)
		CHECK(table.model.nets[i].network.n_fields == 1 - i % 2 && table.model.nets[i].network.architecture == (i % 2 == 0 ? LEARN_GRU : LEARN_TABM),
			  "network %d sees what it should", i);
	CHECK_OR_STOP(field_scores(&table, 64, scores[0]) == DEV_OK, "answered");
	for (int i = 0; i < 2; i++)
	{
		LearnNet	nets[2] = {table.model.nets[i], table.model.nets[i + 2]};
		LearnNet   *all = table.model.nets;

		table.model.nets = nets;
		table.model.n_nets = 2;
		CHECK_OR_STOP(field_scores(&table, 64, scores[1 + i]) == DEV_OK, "answered by one kind");
		table.model.nets = all;
		table.model.n_nets = 4;
	}
	for (size_t row = 0; row < ROWS; row++)
		if (fabs(scores[0][row] - (scores[1][row] + scores[2][row]) / 2) > 1e-6)
			CHECK(false, "row %zu is answered by the mean", row);
	CHECK(true, "rows are answered by the mean of both kinds");
	for (int i = 0; i < 3; i++)
		free(scores[i]);
	field_table_close(&table);
	dev_session_close(session);
}

/* ---- Features ---- */

static bool
count_poll(void *context)
{
	(*(size_t *) context)++;
	return false;
}

/* Ten thousand features are a while to scale: between them it is asked whether to go on. Their statistics are those of sorted columns. */
static void
check_features(void)
{
	enum
	{
		FEW = 84, MANY = 84 * 100
	};
	FieldPlan	plan = {.signal = true, .task = LEARN_BINARY, .n = 40};
	size_t		n_polls = 0;
	DevHost		host = {.context = &n_polls, .cancelled = count_poll};
	DevSession *session;
	FieldTable	table;
	uint32_t	rows[40];
	size_t		polls[2];
	LearnField *field;
	float	   *features;
	float	   *scratch;

	CHECK_OR_STOP(dev_session_open(&host, 3, &session) == DEV_OK, "a session opens");
	CHECK_OR_STOP(field_table(session, &plan, &table) == DEV_OK, "a table of a few signals");
	for (uint32_t row = 0; row < 40; row++)
		rows[row] = row;
	for (size_t i = 0; i < 2; i++)
	{
		size_t		before = n_polls;

		CHECK_STATUS(session, learn_field_fit_rocket(table.dataset, 0, rows, 40, i == 0 ? FEW : MANY, 1), DEV_OK, "features are fitted");
		polls[i] = n_polls - before;
	}
	field = &table.fields[0];
	CHECK_OR_STOP(field->rocket->n_features == MANY, "as many as were wished for");
	CHECK(polls[1] >= polls[0] + (MANY - FEW) / 64, "more features, more looks at the host: %zu, %zu", polls[0], polls[1]);
	features = calloc(40 * (size_t) MANY, sizeof(float));
	scratch = calloc(learn_field_scratch(field), sizeof(float));
	for (size_t row = 0; row < 40; row++)
		load(&table, row, scratch, features + row * MANY);
	{
		size_t		wrong = 0;

		/* Loaded, the median is 0 and half of the rows lie on each side of it. */
		for (size_t i = 0; i < MANY; i++)
		{
			size_t		below = 0;
			size_t		above = 0;

			for (size_t row = 0; row < 40; row++)
			{
				below += features[row * MANY + i] < 0;
				above += features[row * MANY + i] > 0;
			}
			wrong += below > 20 || above > 19;
		}
		CHECK(wrong == 0, "features are centred at their medians, but for %zu", wrong);
	}
	free(features);
	free(scratch);
	field_table_close(&table);
	dev_session_close(session);
}

int
main(void)
{
	check_quality(LEARN_BINARY, "a binary outcome", 0.9);
	check_quality(LEARN_MULTICLASS, "three classes", 0.5);
	check_quality(LEARN_REGRESSION, "a number", 0.7);
	check_by_parts();
	check_bits();
	check_rule();
	check_features();
	check_state();
	check_series();
	check_tabular();
	return check_done();
}

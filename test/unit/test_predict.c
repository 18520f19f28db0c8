/*
 * test_predict.c: a row's bits whatever the batch, blends, units and answers, models that are not what they claim,
 * encoded data sets, and failing memory.
 */
#include "models.h"
#include "learn/dataset.h"
#include "learn/logistic.h"

#define ROWS 300

static const ModelSpec specs[] = {
	{.architecture = LEARN_LINEAR, .task = LEARN_BINARY, .n_columns = 9, .activation = -1, .seed = 1},
	{.architecture = LEARN_MLP, .task = LEARN_BINARY, .n_columns = 9, .depth = 3, .width = 40, .activation = -1,
	.seed = 2},
	{.architecture = LEARN_MLP, .task = LEARN_MULTICLASS, .n_columns = 8, .n_outputs = 5, .depth = 2, .width = 33,
	.activation = DEV_MAP_GELU, .n_nets = 3, .seed = 3},
	{.architecture = LEARN_RESNET, .task = LEARN_REGRESSION, .n_columns = 7, .n_outputs = 2, .depth = 2, .width = 24,
	.activation = -1, .seed = 4},
	{.architecture = LEARN_TABM, .task = LEARN_BINARY, .n_columns = 10, .depth = 2, .width = 32, .members = 8,
	.bins = 6,
	.activation = -1, .n_nets = 2, .seed = 5},
	{.architecture = LEARN_TABM, .task = LEARN_MULTICLASS, .n_columns = 6, .n_outputs = 3, .depth = 2, .width = 16,
	.members = 4, .activation = -1, .seed = 6},
	{.architecture = LEARN_TABM, .task = LEARN_SURVIVAL, .n_columns = 6, .depth = 2, .width = 16, .members = 4,
	.activation = -1, .seed = 7},
	{.architecture = LEARN_NAM, .task = LEARN_BINARY, .n_columns = 8, .depth = 2, .width = 8, .activation = -1,
	.seed = 8},
	{.architecture = LEARN_LAYERS, .task = LEARN_REGRESSION, .n_columns = 5, .numbers_only = true, .activation = -1,
	.layers = "batch_norm dense(20) tanh layer_norm dense(10) selu dropout(0.5)", .seed = 9}
};

#define N_SPECS (sizeof(specs) / sizeof(specs[0]))

static DevSession *
open_session(void)
{
	DevSession *session;

	CHECK_OR_STOP(dev_session_open(NULL, 3, &session) == DEV_OK, "a session opens");
	return session;
}

static float *
some_rows(DevSession *session, const LearnModel *model, size_t n)
{
	float	   *raw = dev_alloc(session, n * (size_t) model->n_channels, sizeof(float));

	CHECK_OR_STOP(raw != NULL, "memory for rows");
	make_rows(model, n, 17, raw);
	return raw;
}

static LearnPredictor *
open_predictor(DevSession *session, const LearnModel *model, size_t batch)
{
	LearnPredictor *predictor;
	DevStatus	status = learn_predictor_create(session, model, batch, &predictor);

	if (!CHECK(status == DEV_OK, "a predictor of %zu rows opens", batch))
	{
		printf("#   %s\n", dev_message_text(session));
		exit(EXIT_FAILURE);
	}
	return predictor;
}

/* The same rows in batches of every kind, and shifted within their batch. */
static void
test_bits(const ModelSpec *spec, size_t number)
{
	static const size_t batches[] = {1, 2, 7, 64, 256};
	DevSession *session = open_session();
	LearnModel *model;
	size_t		n_outputs;
	float	   *raw;
	double	   *expected;
	double	   *scores;
	bool		vary = false;

	CHECK_STATUS(session, make_model(session, spec, &model), DEV_OK, "model %zu is made", number);
	CHECK_OR_STOP(model != NULL, "model %zu is there", number);
	n_outputs = learn_model_outputs(model);
	raw = some_rows(session, model, ROWS);
	expected = dev_alloc(session, ROWS * n_outputs, sizeof(double));
	scores = dev_alloc(session, ROWS * n_outputs, sizeof(double));
	CHECK_OR_STOP(expected != NULL && scores != NULL, "memory for scores");
	CHECK_STATUS(session, learn_predict_scores(open_predictor(session, model, 256), ROWS, raw, NULL, expected), DEV_OK,
				 "model %zu predicts", number);
	for (size_t i = n_outputs; i < ROWS * n_outputs; i++)
		vary = vary || expected[i] != expected[i - n_outputs];
	CHECK(vary, "model %zu tells rows apart", number);
	for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++)
	{
		LearnPredictor *predictor = open_predictor(session, model, batches[i]);
		size_t		shift = 5;

		memset(scores, 0, ROWS * n_outputs * sizeof(double));
		CHECK_STATUS(session, learn_predict_scores(predictor, ROWS, raw, NULL, scores), DEV_OK, "predicts by %zu",
					 batches[i]);
		CHECK(memcmp(scores, expected, ROWS * n_outputs * sizeof(double)) == 0,
			  "model %zu: bits by %zu are those by 256", number, batches[i]);
		CHECK_STATUS(session, learn_predict_scores(predictor, ROWS - shift,
												   raw + shift * (size_t) model->n_channels, NULL, scores),
					 DEV_OK, "predicts the later rows by %zu", batches[i]);
		CHECK(memcmp(scores, expected + shift * n_outputs, (ROWS - shift) * n_outputs * sizeof(double)) == 0,
			  "model %zu: bits do not depend on the place in a batch of %zu", number, batches[i]);
	}
	CHECK_STATUS(session, learn_predict_scores(open_predictor(session, model, 4), 0, raw, NULL, scores), DEV_OK, "no rows");
	dev_session_close(session);
}

/* Mean outputs of the nets one by one, calibrated by hand. */
static void
test_blend(const ModelSpec *spec, size_t number)
{
	DevSession *session = open_session();
	LearnModel *model;
	LearnModel	single;
	double		scores[8];
	double		sum[8] = {0};
	size_t		n_outputs;
	float	   *raw;
	double		normal = 0;

	CHECK_OR_STOP(make_model(session, spec, &model) == DEV_OK, "model %zu is made", number);
	n_outputs = learn_model_outputs(model);
	raw = some_rows(session, model, 1);
	for (int net = 0; net < model->n_nets; net++)
	{
		single = *model;
		single.n_nets = 1;
		single.nets = &model->nets[net];
		single.temperature = 1;
		single.offset = NULL;
		CHECK_STATUS(session, learn_predict_scores(open_predictor(session, &single, 1), 1, raw, NULL, scores), DEV_OK,
					 "net %d", net);
		for (size_t i = 0; i < n_outputs; i++)
			sum[i] += scores[i] / model->n_nets;
	}
	CHECK_STATUS(session, learn_predict_scores(open_predictor(session, model, 1), 1, raw, NULL, scores), DEV_OK,
				 "all nets");
	if (spec->task != LEARN_REGRESSION)
		for (size_t i = 0; i < n_outputs; i++)
			sum[i] = sum[i] / model->temperature + model->offset[i];
	if (spec->task == LEARN_MULTICLASS)
		for (size_t i = 0; i < n_outputs; i++)
			normal += exp(sum[i]);
	for (size_t i = 0; i < n_outputs; i++)
		CHECK_NEAR(scores[i], spec->task == LEARN_MULTICLASS ? sum[i] - log(normal) : sum[i], 1e-6,
				   "model %zu: output %zu is the calibrated mean of its nets", number, i);
	dev_session_close(session);
}

/* Networks that differ in nothing but how a Transformer knows positions, and in no number of weights, have a graph each. */
static void
test_networks_apart(void)
{
	static const LearnField signal = {.name = "ecg", .kind = LEARN_SIGNAL, .sample = LEARN_SAMPLE_F32, .dims = {12, 2, 0}};
	const ModelSpec spec = {.architecture = LEARN_TRANSFORMER, .task = LEARN_BINARY, .depth = 1, .width = 8, .activation = -1, .n_nets = 2,
	.fields = &signal, .n_fields = 1, .seed = 31};
	DevSession *session = open_session();
	LearnModel *model;
	float		samples[12 * 2];
	float		nothing[1] = {0};
	LearnBytes	stored = {samples, sizeof(samples)};
	double		alone[2];
	double		as_first;
	double		together;

	CHECK_OR_STOP(make_model(session, &spec, &model) == DEV_OK, "two Transformers");
	for (int i = 0; i < 12 * 2; i++)
		samples[i] = (float) model_normal(32, (uint64_t) i);
	for (int net = 0; net < 3; net++)
	{
		LearnModel	single = *model;

		/* The second one as it was made, and then without positions. */
		if (net == 2)
			model->nets[1].network.positions = LEARN_POSITIONS_NONE;
		single.n_nets = 1;
		single.nets = &model->nets[net == 0 ? 0 : 1];
		CHECK_STATUS(session, learn_predict_scores(open_predictor(session, &single, 1), 1, nothing, &stored,
												   net == 1 ? &as_first : &alone[net / 2]), DEV_OK, "network %d", net);
	}
	CHECK(fabs(alone[1] - as_first) > 1e-3, "positions matter: %g, %g", alone[1], as_first);
	CHECK_STATUS(session, learn_predict_scores(open_predictor(session, model, 1), 1, nothing, &stored, &together), DEV_OK, "both");
	CHECK_NEAR(together, (alone[0] + alone[1]) / 2, 1e-6, "their mean is that of each by its own graph");
	dev_session_close(session);
}

static void
test_answers(void)
{
	DevSession *session = open_session();
	LearnModel *model;
	double		binary[3] = {0, 800, -800};
	double		classes[5] = {log(0.1), log(0.2), log(0.3), log(0.4), -INFINITY};
	double		value[2] = {55, -1};
	double		hazard[1] = {0.5};
	double		times[3] = {1, 4, 9};
	double		hazards[3] = {0.1, 0.25, 0.75};

	CHECK_OR_STOP(make_model(session, &specs[0], &model) == DEV_OK, "a binary model");
	learn_scores_to_answers(model, 3, binary);
	CHECK(binary[0] == 0.5 && binary[1] == 1 && binary[2] == 0, "logits become probabilities without overflow");
	CHECK_OR_STOP(make_model(session, &specs[2], &model) == DEV_OK, "a model of classes");
	learn_scores_to_answers(model, 1, classes);
	CHECK_NEAR(classes[3], 0.4, 1e-15, "log probabilities become probabilities");
	CHECK(classes[4] == 0, "an impossible class has probability 0");
	CHECK_OR_STOP(make_model(session, &specs[3], &model) == DEV_OK, "a regression model");
	learn_scores_to_answers(model, 1, value);
	CHECK(value[0] == 55 && value[1] == -1, "values stay");
	CHECK_OR_STOP(make_model(session, &specs[6], &model) == DEV_OK, "a survival model");
	CHECK_NEAR(learn_survival_at(model, 0.3, 5), 1, 0, "without a hazard everybody survives");
	model->n_hazard = 3;
	model->hazard_time = times;
	model->hazard = hazards;
	CHECK_NEAR(learn_survival_at(model, 0.3, 0.5), 1, 0, "before the first event everybody survives");
	CHECK_NEAR(learn_survival_at(model, 0, 1), exp(-0.1), 1e-15, "from its time on an event counts");
	CHECK_NEAR(learn_survival_at(model, 0.3, 8.9), exp(-0.25 * exp(0.3)), 1e-15, "between events nothing changes");
	CHECK_NEAR(learn_survival_at(model, 0.3, 1e9), exp(-0.75 * exp(0.3)), 1e-15, "after the last event neither");
	learn_scores_to_answers(model, 1, hazard);
	CHECK_NEAR(hazard[0], exp(0.5), 1e-15, "a log hazard ratio becomes a ratio");
	dev_session_close(session);
}

/* Applies one damage to a fresh model and expects DEV_CORRUPT. */
static void
check_refused(void (*damage) (LearnModel *model), const ModelSpec *spec, const char *what)
{
	DevSession *session = open_session();
	LearnModel *model;
	LearnPredictor *predictor;

	CHECK_OR_STOP(make_model(session, spec, &model) == DEV_OK, "a model is made");
	damage(model);
	CHECK_STATUS(session, learn_predictor_create(session, model, 8, &predictor), DEV_CORRUPT, "%s is refused", what);
	CHECK(predictor == NULL && dev_message_text(session)[0] != '\0', "%s: %s", what, dev_message_text(session));
	dev_session_close(session);
}

static void
damage_nets(LearnModel *model)
{
	model->n_nets = 0;
}

static void
damage_weights(LearnModel *model)
{
	model->nets[1].n_weights -= 16;
}

static void
damage_no_weights(LearnModel *model)
{
	model->nets[0].weights = NULL;
}

static void
damage_baseline(LearnModel *model)
{
	model->nets[0].n_features++;
}

static void
damage_temperature(LearnModel *model)
{
	model->temperature = 0;
}

static void
damage_temperature_nan(LearnModel *model)
{
	model->temperature = NAN;
}

static void
damage_offset(LearnModel *model)
{
	model->offset[0] = INFINITY;
}

static void
damage_number_input(LearnModel *model)
{
	model->channels[0].number_input = (int) model->n_numbers;
}

static void
damage_code_input(LearnModel *model)
{
	model->channels[2].code_input = (int) model->n_codes;
}

static void
damage_indicator_input(LearnModel *model)
{
	model->channels[1].indicator_input = -7;
}

static void
damage_column(LearnModel *model)
{
	model->channels[0].column = model->n_columns;
}

static void
damage_task(LearnModel *model)
{
	model->nets[0].network.task = LEARN_SURVIVAL;
}

static void
damage_inputs(LearnModel *model)
{
	model->nets[1].network.n_numbers--;
}

static void
damage_outputs(LearnModel *model)
{
	model->n_targets = -5;
	model->task = LEARN_REGRESSION;
}

static void
test_refusals(void)
{
	const ModelSpec *spec = &specs[4];

	check_refused(damage_nets, spec, "a model without networks");
	check_refused(damage_weights, spec, "a network with too few weights");
	check_refused(damage_no_weights, spec, "a network without weights");
	check_refused(damage_baseline, spec, "a baseline of another width");
	check_refused(damage_temperature, spec, "temperature zero");
	check_refused(damage_temperature_nan, spec, "temperature NaN");
	check_refused(damage_offset, spec, "an infinite offset");
	check_refused(damage_number_input, spec, "a number beyond the inputs");
	check_refused(damage_code_input, spec, "a code beyond the inputs");
	check_refused(damage_indicator_input, spec, "a negative input");
	check_refused(damage_column, spec, "a channel of no column");
	check_refused(damage_task, spec, "a network of another task");
	check_refused(damage_inputs, spec, "a network of other inputs");
	check_refused(damage_outputs, spec, "a negative number of targets");
}

static void
test_not_finite(void)
{
	DevSession *session = open_session();
	LearnModel *model;
	double		score;
	float	   *raw;

	CHECK_OR_STOP(make_model(session, &specs[1], &model) == DEV_OK, "a model is made");
	raw = some_rows(session, model, 1);
	for (size_t i = 0; i < model->nets[0].n_weights; i++)
		model->nets[0].weights[i] = 1e30f;
	raw[0] = 1;
	CHECK_STATUS(session, learn_predict_scores(open_predictor(session, model, 1), 1, raw, NULL, &score), DEV_BAD_DATA,
				 "weights that overflow give no answer");
	dev_session_close(session);
}

/* Everything a backend does with a model, with the n-th allocation failing. */
static DevStatus
make_and_predict(DevSession *session, const LearnModel *model, const float *raw)
{
	LearnPredictor *predictor;
	double		scores[64];
	DevStatus	status = learn_predictor_create(session, model, 4, &predictor);

	return status == DEV_OK ? learn_predict_scores(predictor, 10, raw, NULL, scores) : status;
}

static void
test_no_memory(const ModelSpec *spec)
{
	DevSession *owner = open_session();
	LearnModel *model;
	float	   *raw;
	size_t		fail_at = 1;
	size_t		survived = 0;
	DevStatus	status = DEV_NO_MEMORY;

	CHECK_OR_STOP(make_model(owner, spec, &model) == DEV_OK, "a model is made");
	raw = some_rows(owner, model, 10);
	for (; status != DEV_OK && fail_at < 5000; fail_at++)
	{
		CheckHost	counts;
		DevHost		host = check_host(&counts, fail_at);
		DevSession *session;

		status = dev_session_open(&host, 1, &session);
		if (status != DEV_OK)
			continue;
		status = make_and_predict(session, model, raw);
		dev_session_close(session);
		survived += (status == DEV_OK || status == DEV_NO_MEMORY) && counts.held == 0;
	}
	CHECK(status == DEV_OK && survived == fail_at - 2,
		  "any failing allocation is told and leaves nothing (%zu)", survived);
	dev_session_close(owner);
}

static bool
always_cancelled(void *context)
{
	(void) context;
	return true;
}

static void
test_cancel(void)
{
	DevHost		host = {.cancelled = always_cancelled};
	DevSession *session;
	LearnModel *model;
	LearnPredictor *predictor;
	double		scores[20];

	CHECK_OR_STOP(dev_session_open(&host, 1, &session) == DEV_OK, "a session opens");
	CHECK_OR_STOP(make_model(session, &specs[0], &model) == DEV_OK, "a model is made");
	CHECK_OR_STOP(learn_predictor_create(session, model, 8, &predictor) == DEV_OK, "a predictor opens");
	CHECK_STATUS(session, learn_predict_scores(predictor, 20, some_rows(session, model, 20), NULL, scores), DEV_CANCELLED,
				 "many rows can be cancelled");
	dev_session_close(session);
}

/* ---- Encoded rows ---- */

/* Random rows through split, fit and encoding, then predicted both ways. */
static void
test_dataset(void)
{
	enum
	{
		rows = 500
	};
	DevSession *session = open_session();
	ModelSpec	spec = {.architecture = LEARN_MLP, .task = LEARN_BINARY, .n_columns = 8, .depth = 2,
	.width = 20, .activation = -1, .seed = 21};
	LearnModel *source;
	LearnModel	model;
	LearnChannel channels[9];
	LearnDataset *dataset;
	LearnNotes	notes = {0};
	LearnSplit	split = {.validation = 0.2, .test = 0.2, .task = LEARN_BINARY, .seed = 5};
	LearnFit	fit = {.task = LEARN_BINARY, .max_categories = 20, .min_count = 2};
	LearnNetwork network;
	float	   *raw;
	double		expected[rows];
	double		scores[rows];
	uint32_t	numbers[rows];
	size_t		kept = 0;

	CHECK_OR_STOP(make_model(session, &spec, &source) == DEV_OK, "a model is made");
	raw = some_rows(session, source, rows);
	for (int c = 0; c < source->n_channels; c++)
		channels[c] = (LearnChannel) {.name = source->channels[c].name, .column = c,
									  .kind = source->channels[c].kind};
	CHECK_STATUS(session, learn_dataset_create(session, channels, source->n_channels, 1, 1 << 24, NULL,
											   &dataset), DEV_OK, "a data set");
	for (size_t row = 0; row < rows; row++)
	{
		float	   *values = raw + row * (size_t) source->n_channels;
		float		target = row % 3 == 0;
		LearnRow	one = {.channels = values, .targets = &target, .part = LEARN_UNASSIGNED};

		for (int c = 0; c < source->n_channels; c++)
			if (channels[c].kind == LEARN_CATEGORY && !isnan(values[c]))
			{
				const char *text = model_labels[(int) values[c]];

				if (learn_dataset_intern(dataset, c, text, strlen(text), &values[c]) != DEV_OK)
					break;
			}
		kept += learn_dataset_append(dataset, &one) == DEV_OK;
	}
	CHECK_OR_STOP(kept == rows, "rows are kept");
	model = *source;
	model.channels = channels;
	CHECK_STATUS(session, learn_split(dataset, &split, &notes), DEV_OK, "rows are split");
	CHECK_STATUS(session, learn_fit(dataset, &fit, &notes, &model.n_numbers, &model.n_codes), DEV_OK,
				 "channels are fitted");

	network = source->nets[0].network;
	network.n_numbers = model.n_numbers;
	network.n_codes = model.n_codes;
	network.cardinality = dev_alloc(session, model.n_codes + 1, sizeof(int));
	for (int c = 0; c < model.n_channels; c++)
		if (channels[c].code_input >= 0)
			network.cardinality[channels[c].code_input] =
				channels[c].n_categories + channels[c].has_other + channels[c].has_missing;
	CHECK_OR_STOP(make_net(session, &spec, &model, &network, 0) == DEV_OK, "a network for the fitted channels");

	/* Raw codes of a predicted row are positions among the fitted categories. */
	for (size_t i = 0; i < rows * (size_t) model.n_channels; i++)
	{
		const LearnChannel *channel = &channels[i % (size_t) model.n_channels];

		if (channel->kind == LEARN_CATEGORY && !isnan(raw[i]) && channel->code_input >= 0)
		{
			const char *text = learn_dictionary_text(dataset->dictionaries[i % (size_t) model.n_channels], (uint32_t) raw[i], NULL);

			raw[i] = learn_category_code(channel, text, strlen(text));
		}
	}
	CHECK_STATUS(session, learn_dataset_encode(dataset), DEV_OK, "rows are encoded");
	for (size_t row = 0; row < rows; row++)
		numbers[row] = (uint32_t) row;
	CHECK_STATUS(session, learn_predict_scores(open_predictor(session, &model, 64), rows, raw, NULL, expected),
				 DEV_OK, "raw rows");
	CHECK_STATUS(session, learn_predict_dataset(open_predictor(session, &model, 48), dataset, numbers, rows,
												scores), DEV_OK,
				 "encoded rows");
	CHECK(memcmp(scores, expected, sizeof(scores)) == 0, "a row predicted raw has the bits of the encoded one");
	dev_session_close(session);
}

/* Probabilities many at a time: to two units in the last place, the same bits alone and together, and whole at the ends. */
static void
test_logistic(void)
{
	enum {N = 20001};
	DevSession *session = open_session();
	double	   *values = dev_alloc(session, N, sizeof(double));
	double		ends[] = {0, -0.0, 1e300, -1e300, INFINITY, -INFINITY, -709, NAN};
	double		worst = 0;
	bool		alone = true;

	CHECK_OR_STOP(values != NULL, "memory for log odds");
	for (int i = 0; i < N; i++)
		values[i] = (i % 2 == 0 ? 0.0707 : 0.002) * (i - N / 2) / 1.0003;
	for (int i = 0; i < N; i++)
		values[i] = values[i] < -708 ? -708 : values[i];
	learn_logistic_all(N, values);
	for (int i = 0; i < N; i++)
	{
		double		x = (i % 2 == 0 ? 0.0707 : 0.002) * (i - N / 2) / 1.0003;
		double		one = x = x < -708 ? -708 : x;
		long double expected = 1 / (1 + expl(-(long double) x));

		worst = fmax(worst, (double) (fabsl((long double) values[i] - expected) / expected));
		learn_logistic_all(1, &one);
		alone = alone && memcmp(&one, &values[i], sizeof(one)) == 0;
	}
	CHECK(worst < 4.5e-16, "probabilities are exact to two units in the last place (%g)", worst);
	CHECK(alone, "one alone has the bits of one among many");
	learn_logistic_all(8, ends);
	CHECK(ends[0] == 0.5 && ends[1] == 0.5 && ends[2] == 1 && ends[3] == 0 && ends[4] == 1 && ends[5] == 0 && ends[6] == 0 && isnan(ends[7]),
		  "and right at the ends: %g %g %g %g %g %g %g", ends[0], ends[1], ends[2], ends[3], ends[4], ends[5], ends[6]);
	dev_session_close(session);
}

int
main(void)
{
	test_logistic();
	for (size_t i = 0; i < N_SPECS; i++)
		test_bits(&specs[i], i);
	for (size_t i = 0; i < N_SPECS; i++)
		if (specs[i].task != LEARN_REGRESSION || specs[i].n_nets <= 1)
			test_blend(&specs[i], i);
	test_networks_apart();
	test_answers();
	test_refusals();
	test_not_finite();
	test_no_memory(&specs[4]);
	test_no_memory(&specs[2]);
	test_cancel();
	test_dataset();
	return check_done();
}

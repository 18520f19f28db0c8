/*
 * test_explain_fields.c: explanations of models with images and sequences: contributions of columns, parts and
 * segments add up and agree with each other; Grad-CAM against a network worked out by hand and against what its
 * sum has to be; shuffled fields; failing memory.
 */
#include "models.h"

#include "learn/explain.h"

#define CASE_ROWS 3

static const LearnField image = {.name = "scan", .kind = LEARN_IMAGE, .sample = LEARN_SAMPLE_F32, .dims = {8, 6, 1}};
static const LearnField coloured = {.name = "skin", .kind = LEARN_IMAGE, .sample = LEARN_SAMPLE_F32, .dims = {12, 12, 3}};
static const LearnField leads = {.name = "ecg", .kind = LEARN_SIGNAL, .sample = LEARN_SAMPLE_F32, .dims = {20, 2, 0}};
static const LearnField both[] = {
	{.name = "scan", .kind = LEARN_IMAGE, .sample = LEARN_SAMPLE_F32, .dims = {6, 6, 1}},
	{.name = "ecg", .kind = LEARN_SIGNAL, .sample = LEARN_SAMPLE_F32, .dims = {16, 1, 0}}
};

static const ModelSpec specs[] = {
	{.architecture = LEARN_CNN, .task = LEARN_BINARY, .n_columns = 5, .depth = 2, .width = 6, .activation = -1, .gain = 0.6,
	.fields = &image, .n_fields = 1, .seed = 11},
	{.architecture = LEARN_RESNET20, .task = LEARN_MULTICLASS, .n_columns = 3, .n_outputs = 3, .depth = 1, .width = 4,
	.activation = -1, .gain = 0.4, .n_nets = 2, .fields = &coloured, .n_fields = 1, .seed = 12},
	{.architecture = LEARN_FCN, .task = LEARN_REGRESSION, .n_columns = 4, .n_outputs = 2, .depth = 3, .width = 6, .activation = -1,
	.gain = 0.6, .fields = &leads, .n_fields = 1, .seed = 13},
	{.architecture = LEARN_GRU, .task = LEARN_SURVIVAL, .n_columns = 2, .depth = 1, .width = 8, .activation = -1,
	.fields = &leads, .n_fields = 1, .seed = 14},
	{.architecture = LEARN_CNN, .task = LEARN_BINARY, .n_columns = 4, .depth = 1, .width = 4, .activation = -1, .gain = 0.7,
	.fields = both, .n_fields = 2, .seed = 15}
};

#define N_SPECS (sizeof(specs) / sizeof(specs[0]))

/* A model with its predictor, some rows and their stored fields. */
typedef struct Bench
{
	DevSession *session;
	LearnModel *model;
	LearnPredictor *predictor;
	size_t		n_columns;
	size_t		n_outputs;
	float	   *raw;			/* (CASE_ROWS, n_channels) */
	LearnBytes *fields;			/* (CASE_ROWS, n_fields) */
	double		score;
	double		baseline;
	double		error;
} Bench;

static size_t
field_size(const LearnField *field)
{
	return field->dims[0] * field->dims[1] * (field->kind == LEARN_IMAGE ? field->dims[2] : 1);
}

/* Positions that the field of a row has: signals are of all lengths. */
static size_t
field_length(const LearnField *field, size_t row)
{
	return field->kind == LEARN_IMAGE ? field->dims[0] : field->dims[0] - 5 * row;
}

static LearnBytes
make_field(DevSession *session, const LearnField *field, uint64_t seed, size_t row)
{
	size_t		n = field_size(field) / field->dims[0] * field_length(field, row);
	float	   *values = dev_alloc(session, n, sizeof(float));

	CHECK_OR_STOP(values != NULL, "memory for a field");
	for (size_t i = 0; i < n; i++)
		values[i] = (float) model_normal(seed + row, 2000000 + i);
	return (LearnBytes) {values, n * sizeof(float)};
}

static Bench
open_bench(const ModelSpec *spec)
{
	Bench		bench = {0};
	size_t		n_fields = (size_t) spec->n_fields;

	CHECK_OR_STOP(dev_session_open(NULL, 3, &bench.session) == DEV_OK, "a session opens");
	CHECK_OR_STOP(make_model(bench.session, spec, &bench.model) == DEV_OK, "a model is made");
	CHECK_OR_STOP(learn_predictor_create(bench.session, bench.model, 4, &bench.predictor) == DEV_OK, "a predictor opens");
	bench.n_outputs = learn_model_outputs(bench.model);
	bench.n_columns = (size_t) bench.model->n_columns;
	bench.raw = dev_alloc(bench.session, CASE_ROWS * (size_t) bench.model->n_channels, sizeof(float));
	bench.fields = dev_alloc(bench.session, CASE_ROWS * n_fields, sizeof(LearnBytes));
	CHECK_OR_STOP(bench.raw != NULL && bench.fields != NULL, "memory for rows");
	make_rows(bench.model, CASE_ROWS, spec->seed, bench.raw);
	for (size_t row = 0; row < CASE_ROWS; row++)
		for (size_t i = 0; i < n_fields; i++)
			bench.fields[row * n_fields + i] = make_field(bench.session, &bench.model->fields[i], spec->seed + 100 * i, row);
	return bench;
}

static const float *
raw_of(const Bench *bench, size_t row)
{
	return bench->raw + row * (size_t) bench->model->n_channels;
}

static const LearnBytes *
fields_of(const Bench *bench, size_t row)
{
	return bench->fields + row * (size_t) bench->model->n_fields;
}

static DevStatus
explain(Bench *bench, size_t row, LearnExplain how, double *contributions)
{
	return learn_explain(bench->predictor, raw_of(bench, row), fields_of(bench, row), &how, contributions, &bench->score,
						 &bench->baseline, &bench->error);
}

/* The score that is explained, from the scores that are predicted. */
static double
predicted(Bench *bench, size_t row, int output)
{
	double		scores[16];

	if (learn_predict_scores(bench->predictor, 1, raw_of(bench, row), fields_of(bench, row), scores) != DEV_OK)
		return NAN;
	if (bench->model->task == LEARN_MULTICLASS)
		return scores[output] - log1p(-exp(scores[output]));
	return scores[output];
}

static double
sum_of(size_t n, const double *values)
{
	double		sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += values[i];
	return sum;
}

/* ---- Contributions ---- */

/* Columns against parts, and parts against segments of four neighbours each. */
static void
test_parts(Bench *bench, size_t number, size_t row, const double *columns, double unit)
{
	for (int field = 0; field < bench->model->n_fields; field++)
	{
		size_t		n = learn_field_parts(&bench->model->fields[field]);
		double	   *parts = dev_alloc(bench->session, n + 1, sizeof(double));
		double	   *segments = dev_alloc(bench->session, n + 1, sizeof(double));
		int		   *segment_of = dev_alloc(bench->session, n, sizeof(int));
		LearnExplain how = {.tolerance = 2e-4, .by_parts = true, .field = field};
		double		own = columns[bench->model->fields[field].column];
		double		apart = 0;

		CHECK_OR_STOP(parts != NULL && segments != NULL && segment_of != NULL, "memory for parts");
		CHECK_STATUS(bench->session, explain(bench, row, how, parts), DEV_OK, "model %zu, row %zu: parts", number, row);
		CHECK(bench->error < 5e-4 * unit, "parts are complete: %g", bench->error);
		CHECK(fabs(sum_of(n, parts) - own) < 5e-3 * unit, "model %zu, row %zu: parts of field %d make up its column: %g, %g",
			  number, row, field, sum_of(n, parts), own);
		CHECK(fabs(parts[n] - (sum_of(bench->n_columns, columns) - own)) < 5e-3 * unit, "and the rest all others");
		for (size_t i = 0; i < n; i++)
			segment_of[i] = (int) (i / 4);
		how.segment_of = segment_of;
		how.n_segments = (int) (n / 4);
		CHECK_STATUS(bench->session, explain(bench, row, how, segments), DEV_OK, "segments");
		CHECK(bench->error < 5e-4 * unit, "segments are complete: %g", bench->error);
		for (size_t i = 0; i < n / 4; i++)
			apart = fmax(apart, fabs(sum_of(4, parts + 4 * i) - segments[i]));
		CHECK(n % 4 == 0 && apart < 2e-3 * unit, "model %zu, row %zu: segments are sums of their parts: %g", number, row, apart);
		CHECK(fabs(parts[n] - segments[n / 4]) < 2e-3 * unit, "the rest is the same");
	}
}

static void
test_completeness(const ModelSpec *spec, size_t number)
{
	Bench		bench = open_bench(spec);

	for (size_t row = 0; row < CASE_ROWS; row++)
	{
		double		columns[16];
		int			output = (int) (row % bench.n_outputs);
		double		unit = spec->task == LEARN_REGRESSION ? bench.model->target_scale[output] : 1;
		LearnExplain how = {.output = output, .tolerance = 2e-4};

		CHECK_STATUS(bench.session, explain(&bench, row, how, columns), DEV_OK, "model %zu, row %zu is explained", number, row);
		CHECK(bench.error < 5e-4 * unit, "completely: %g of %g", bench.error, bench.score - bench.baseline);
		CHECK_NEAR(bench.score, predicted(&bench, row, output), 1e-5, "the score is the prediction's");
		for (int field = 0; field < spec->n_fields; field++)
			CHECK(fabs(columns[bench.model->fields[field].column]) > 1e-3 * unit, "field %d has a part", field);
		CHECK(columns[spec->n_columns] == 0, "the column that is not used has none");
		how.output = 0;
		CHECK_STATUS(bench.session, explain(&bench, row, how, columns), DEV_OK, "the first output");
		test_parts(&bench, number, row, columns, spec->task == LEARN_REGRESSION ? bench.model->target_scale[0] : 1);
	}
	dev_session_close(bench.session);
}

/* What lies behind the end of a signal has no part, and a missing field none at all. */
static void
test_nothing_there(void)
{
	Bench		bench = open_bench(&specs[2]);
	size_t		n = learn_field_parts(&leads);
	double		parts[41];
	LearnExplain how = {.by_parts = true};
	size_t		end = 2 * field_length(&leads, 1);
	bool		silent = true;

	CHECK_OR_STOP(n == 40 && end == 30, "the signal is as long as it is meant to be");
	CHECK_STATUS(bench.session, explain(&bench, 1, how, parts), DEV_OK, "a short signal");
	for (size_t i = end; i < n; i++)
		silent &= parts[i] == 0;
	CHECK(silent && parts[end - 1] != 0 && parts[0] != 0, "padding has no part");
	bench.fields[1] = (LearnBytes) {NULL, 0};
	CHECK_STATUS(bench.session, explain(&bench, 1, how, parts), DEV_OK, "a missing signal");
	silent = true;
	for (size_t i = 0; i < n; i++)
		silent &= parts[i] == 0;
	CHECK(silent && parts[n] != 0, "a missing field has no part");
	dev_session_close(bench.session);
}

/* A share of what there is to explain is asked for where that is more than the tolerance. */
static void
test_relative(void)
{
	ModelSpec	spec = specs[0];
	Bench		bench;
	double		exact[8];
	double		rough[8];
	double		apart = 0;
	double		change;

	spec.gain = 3;
	spec.n_columns = 0;
	bench = open_bench(&spec);
	CHECK_STATUS(bench.session, explain(&bench, 0, (LearnExplain) {.tolerance = 1e-9}, exact), DEV_OK, "exactly");
	CHECK_STATUS(bench.session, explain(&bench, 0, (LearnExplain) {.tolerance = 1e-9, .relative = 0.05}, rough), DEV_OK, "roughly");
	change = fabs(bench.score - bench.baseline);
	for (size_t i = 0; i < bench.n_columns; i++)
		apart = fmax(apart, fabs(exact[i] - rough[i]));
	CHECK(apart > 0 && apart < 0.05 * change && bench.error < 0.05 * change, "%g off, error %g, of %g", apart, bench.error, change);
	dev_session_close(bench.session);
}

/* Of few segments Shapley values are exact; of all pixels they are drawn: both add up. */
static void
test_shapley(void)
{
	Bench		bench = open_bench(&specs[0]);
	double		parts[49];
	int			segment_of[48];
	LearnExplain how = {.method = LEARN_SHAPLEY, .by_parts = true, .segment_of = segment_of, .n_segments = 4, .permutations = 2};
	double		alone;

	/* The last quarter belongs to the rest. */
	for (int i = 0; i < 48; i++)
		segment_of[i] = i >= 36 ? 4 : i / 9;
	CHECK_STATUS(bench.session, explain(&bench, 0, how, parts), DEV_OK, "Shapley values of segments");
	CHECK(bench.error < 1e-6 && parts[4] != 0, "they add up: %g", bench.error);
	alone = parts[0];
	how.segment_of = NULL;
	CHECK_STATUS(bench.session, explain(&bench, 0, how, parts), DEV_OK, "Shapley values of pixels");
	CHECK(bench.error < 1e-6, "they add up: %g", bench.error);
	CHECK(parts[0] != alone, "and are others");
	dev_session_close(bench.session);
}

/* ---- Signals as features ---- */

static void
fit_rocket(DevSession *session, LearnRocket *rocket)
{
	enum
	{
		n = 6
	};
	const float *signals[n];
	size_t		lengths[n];

	for (size_t i = 0; i < n; i++)
	{
		lengths[i] = 20;
		signals[i] = make_field(session, &leads, 900 + i, 0).bytes;
	}
	CHECK_OR_STOP(learn_rocket_fit(session, n, lengths, signals, 2, 168, 1, rocket) == DEV_OK, "convolutions are fitted");
}

/* The score with the segments of a mask in place and the others at the training part's means. */
static double
score_masked(Bench *bench, const int *segment_of, int mask)
{
	const LearnField *field = &bench->model->fields[0];
	LearnBytes	kept = bench->fields[0];
	float		signal[40];
	double		score;

	memcpy(signal, kept.bytes, sizeof(signal));
	for (int i = 0; i < 40; i++)
		if (!(mask >> segment_of[i] & 1))
			signal[i] = field->center[i % 2];
	bench->fields[0].bytes = signal;
	score = predicted(bench, 0, 1);
	bench->fields[0] = kept;
	return score;
}

/* Two segments and the rest of the signal, by the definition of Shapley values. */
static void
test_occlusion(void)
{
	LearnField	field = leads;
	ModelSpec	spec = {.architecture = LEARN_ROCKET, .task = LEARN_MULTICLASS, .n_columns = 3, .n_outputs = 3, .activation = -1,
	.fields = &field, .n_fields = 1, .seed = 17};
	LearnExplain how = {.method = LEARN_SHAPLEY, .output = 1, .by_parts = true, .n_segments = 2};
	LearnRocket rocket;
	DevSession *session;
	Bench		bench;
	int			segment_of[40];
	double		parts[21];
	double		worth[8];
	size_t		used;

	CHECK_OR_STOP(dev_session_open(NULL, 3, &session) == DEV_OK, "a session opens");
	fit_rocket(session, &rocket);
	field.rocket = &rocket;
	bench = open_bench(&spec);
	how.segment_of = segment_of;
	for (int i = 0; i < 40; i++)
		segment_of[i] = i < 14 ? 0 : i < 30 ? 1 : 2;
	for (int mask = 0; mask < 8; mask++)
		worth[mask] = score_masked(&bench, segment_of, mask);
	CHECK_STATUS(bench.session, explain(&bench, 0, how, parts), DEV_OK, "segments of a signal of features");
	CHECK_NEAR(parts[0], (2 * (worth[1] - worth[0]) + worth[3] - worth[2] + worth[5] - worth[4] + 2 * (worth[7] - worth[6])) / 6, 1e-9,
			   "the first has its Shapley value");
	CHECK_NEAR(parts[1], (2 * (worth[2] - worth[0]) + worth[3] - worth[1] + worth[6] - worth[4] + 2 * (worth[7] - worth[5])) / 6, 1e-9,
			   "and so has the second");
	CHECK(fabs(parts[0]) > 1e-3 && fabs(parts[1]) > 1e-3, "they matter");
	CHECK(bench.error < 1e-5, "with the rest they add up: %g", bench.error);
	CHECK_NEAR(bench.score, worth[7], 1e-9, "to the prediction");
	used = dev_session_used(bench.session);
	/* More segments than are enumerated; the last samples belong to none. */
	for (int i = 0; i < 40; i++)
		segment_of[i] = i / 2;
	how.n_segments = 20;
	CHECK_STATUS(bench.session, explain(&bench, 0, how, parts), DEV_OK, "orders of many segments");
	CHECK(bench.error < 1e-5 && dev_session_used(bench.session) == used, "they add up and leave no memory behind");
	how.method = LEARN_INTEGRATED_GRADIENTS;
	CHECK_STATUS(bench.session, explain(&bench, 0, how, parts), DEV_INVALID, "gradients there are none");
	CHECK(strstr(dev_hint_text(bench.session), "shapley") != NULL, "it says what there is");
	how.method = LEARN_SHAPLEY;
	bench.fields[0] = (LearnBytes) {NULL, 0};
	CHECK_STATUS(bench.session, explain(&bench, 0, how, parts), DEV_OK, "a missing signal");
	CHECK(parts[0] == 0 && parts[19] == 0 && bench.error < 1e-5, "has no part");
	dev_session_close(bench.session);
	dev_session_close(session);
}

static void
test_refusals(void)
{
	Bench		bench = open_bench(&specs[0]);
	double		parts[49];
	float		heat[48];
	int			segment_of[48] = {0};
	LearnExplain how = {.by_parts = true, .segment_of = segment_of, .n_segments = 2};

	segment_of[7] = 3;
	CHECK_STATUS(bench.session, explain(&bench, 0, how, parts), DEV_INVALID, "a segment that is none");
	segment_of[7] = -1;
	CHECK_STATUS(bench.session, explain(&bench, 0, how, parts), DEV_INVALID, "nor is this one");
	segment_of[7] = 2;
	CHECK_STATUS(bench.session, explain(&bench, 0, how, parts), DEV_OK, "the rest is one");
	how.field = 1;
	CHECK_STATUS(bench.session, explain(&bench, 0, how, parts), DEV_INVALID, "no such field");
	CHECK_STATUS(bench.session, learn_explain_cam(bench.predictor, bench.raw, bench.fields, 1, 0, false, heat), DEV_INVALID,
				 "no such field to see");
	CHECK_STATUS(bench.session, learn_explain_cam(bench.predictor, bench.raw, bench.fields, 0, 1, false, heat), DEV_INVALID,
				 "no such output to see");
	dev_session_close(bench.session);
	bench = open_bench(&specs[3]);
	CHECK_STATUS(bench.session, learn_explain_cam(bench.predictor, bench.raw, bench.fields, 0, 0, false, heat), DEV_INVALID,
				 "recurrent layers have no map");
	CHECK(strstr(dev_message_text(bench.session), "\"ecg\"") != NULL && strstr(dev_hint_text(bench.session), "gradients") != NULL,
		  "it says whose, and what to do instead");
	dev_session_close(bench.session);
}

/* ---- Grad-CAM ---- */

#define TOY_CHANNELS 2

static const LearnField toy_image = {.name = "scan", .kind = LEARN_IMAGE, .sample = LEARN_SAMPLE_F32, .dims = {4, 5, 1}};
static const ModelSpec toy = {.architecture = LEARN_CNN, .task = LEARN_BINARY, .depth = 1, .width = TOY_CHANNELS, .activation = -1,
.gain = 1, .fields = &toy_image, .n_fields = 1, .seed = 21};

/* A parameter of the network by name. */
static const float *
parameter(const LearnGraph *built, const float *weights, const char *name)
{
	NnParameter found = nn_graph_find(built->graph, name);

	CHECK_OR_STOP(found != NN_NONE, "the network has \"%s\"", name);
	return weights + nn_graph_parameter(built->graph, found)->offset;
}

/* relu(batch_norm(convolution 3 x 3)) in plain loops, src (4, 5, n_in) -> dst (4, 5, TOY_CHANNELS). */
static void
toy_layer(const LearnGraph *built, const float *weights, int layer, int n_in, const double *src, double *dst)
{
	char		name[64];
	const float *kernel;
	const float *norm[4];
	static const char *const parts[] = {"gain", "bias", "mean", "variance"};

	snprintf(name, sizeof(name), "field0.block0.%d.convolution.weights", layer);
	kernel = parameter(built, weights, name);
	for (int i = 0; i < 4; i++)
	{
		snprintf(name, sizeof(name), "field0.block0.%d.norm.%s", layer, parts[i]);
		norm[i] = parameter(built, weights, name);
	}
	for (int y = 0; y < 4; y++)
		for (int x = 0; x < 5; x++)
			for (int k = 0; k < TOY_CHANNELS; k++)
			{
				double		sum = 0;

				for (int dy = 0; dy < 3; dy++)
					for (int dx = 0; dx < 3; dx++)
						for (int c = 0; c < n_in; c++)
							if (y + dy >= 1 && y + dy <= 4 && x + dx >= 1 && x + dx <= 5)
								sum += src[((y + dy - 1) * 5 + x + dx - 1) * n_in + c] *
									(double) kernel[((dy * 3 + dx) * n_in + c) * TOY_CHANNELS + k];
				sum = (sum - (double) norm[2][k]) / sqrt((double) norm[3][k] + 1e-5) * (double) norm[0][k] + (double) norm[1][k];
				dst[(y * 5 + x) * TOY_CHANNELS + k] = sum > 0 ? sum : 0;
			}
}

/* The score is b + sum over k of w_k mean(A_k) / temperature, so that a place's worth is sum of w_k A_pk / 20 / temperature. */
static void
test_cam_by_hand(void)
{
	Bench		bench = open_bench(&toy);
	const float *weights = bench.model->nets[0].weights;
	const float *pixels = bench.fields[0].bytes;
	LearnGraph	built;
	double		seen[20];
	double		below[20 * TOY_CHANNELS];
	double		map[20 * TOY_CHANNELS];
	const float *head;
	float		heat[20];
	float		against[20];
	double		sum = 0;
	int			n_hot = 0;

	CHECK_OR_STOP(learn_network_build(bench.session, &bench.model->nets[0].network, NULL, &built) == DEV_OK, "its graph");
	for (int i = 0; i < 20; i++)
		seen[i] = ((double) pixels[i] - 0.25) * 2;
	toy_layer(&built, weights, 0, 1, seen, below);
	toy_layer(&built, weights, 1, TOY_CHANNELS, below, map);
	head = parameter(&built, weights, "head.weights");
	CHECK_STATUS(bench.session, learn_explain_cam(bench.predictor, bench.raw, bench.fields, 0, 0, false, heat), DEV_OK, "a map");
	CHECK_STATUS(bench.session, learn_explain_cam(bench.predictor, bench.raw, bench.fields, 0, 0, true, against), DEV_OK,
				 "and what speaks against");
	for (int i = 0; i < 20; i++)
	{
		double		worth = 0;

		for (int k = 0; k < TOY_CHANNELS; k++)
			worth += (double) head[k] * map[i * TOY_CHANNELS + k] / 20 / bench.model->temperature;
		CHECK_NEAR((double) heat[i], fmax(worth, 0), 1e-6, "heat of place %d is that worked out by hand", i);
		CHECK_NEAR((double) against[i], fmax(-worth, 0), 1e-6, "and so is what speaks against");
		sum += worth;
		n_hot += worth > 0;
	}
	CHECK(n_hot > 0 && n_hot < 20, "some places are hot and some are not: %d", n_hot);
	CHECK_NEAR(sum + (double) parameter(&built, weights, "head.bias")[0] / bench.model->temperature + bench.model->offset[0],
			   predicted(&bench, 0, 0), 1e-5, "together they are the score");
	dev_session_close(bench.session);
}

/*
 * Without other columns and with one layer above the mean, heat and what speaks against add up to the score but for its
 * constants, whatever lies below; bringing the map to the field's size multiplies the sum by the ratio of sizes.
 */
static void
test_cam_sum(const ModelSpec *spec, size_t ratio)
{
	Bench		bench = open_bench(spec);
	size_t		n = spec->fields->kind == LEARN_IMAGE ? spec->fields->dims[0] * spec->fields->dims[1] : spec->fields->dims[0];
	float	   *heat = dev_alloc(bench.session, n, sizeof(float));
	float	   *against = dev_alloc(bench.session, n, sizeof(float));

	CHECK_OR_STOP(heat != NULL && against != NULL, "memory for heat");
	for (size_t row = 0; row < CASE_ROWS; row++)
	{
		double		expected = predicted(&bench, row, 0) - bench.model->offset[0];
		size_t		length = spec->layers != NULL && strstr(spec->layers, "pool") != NULL ? n : field_length(spec->fields, row);
		double		sum = 0;
		double		size = 0;
		bool		silent = true;

		for (int net = 0; net < bench.model->n_nets; net++)
		{
			LearnGraph	built;

			CHECK_OR_STOP(learn_network_build(bench.session, &bench.model->nets[net].network, NULL, &built) == DEV_OK, "its graph");
			expected -= (double) parameter(&built, bench.model->nets[net].weights, "head.bias")[0] / bench.model->temperature /
				bench.model->n_nets;
		}
		CHECK_STATUS(bench.session, learn_explain_cam(bench.predictor, raw_of(&bench, row), fields_of(&bench, row), 0, 0, false,
													  heat), DEV_OK, "a map");
		CHECK_STATUS(bench.session, learn_explain_cam(bench.predictor, raw_of(&bench, row), fields_of(&bench, row), 0, 0, true,
													  against), DEV_OK, "and its opposite");
		for (size_t i = 0; i < n; i++)
		{
			sum += (double) heat[i] - (double) against[i];
			size += (double) heat[i] + (double) against[i];
			silent &= spec->fields->kind == LEARN_IMAGE || i < length || (heat[i] == 0 && against[i] == 0);
		}
		CHECK(fabs(sum / (double) ratio - expected) < 1e-5 * (1 + size), "row %zu: heat adds up to the score: %g, %g", row,
			  sum / (double) ratio, expected);
		CHECK(size > 1e-3 && silent, "there is some, and none in padding");
	}
	dev_session_close(bench.session);
}

/* What a 3 x 3 convolution and a rectifier make of toy_image: (4, 5, TOY_CHANNELS). */
static void
toy_convolution(const float *kernel, const float *pixels, double *map)
{
	for (int y = 0; y < 4; y++)
		for (int x = 0; x < 5; x++)
			for (int k = 0; k < TOY_CHANNELS; k++)
			{
				double		sum = 0;

				for (int i = 0; i < 9; i++)
				{
					int			from_y = y + i / 3 - 1;
					int			from_x = x + i % 3 - 1;

					if (from_y >= 0 && from_y < 4 && from_x >= 0 && from_x < 5)
						sum += ((double) pixels[from_y * 5 + from_x] - 0.25) * 2 * (double) kernel[i * TOY_CHANNELS + k];
				}
				map[(y * 5 + x) * TOY_CHANNELS + k] = fmax(sum, 0);
			}
}

/*
 * Without a mean. Whether all places are weighed by themselves, or a maximum of all or of some hands its slope on to one place: the sum over
 * places of the score's slopes by a channel is the sum of the head's weights that read the channel.
 */
static void
test_cam_without_mean(const char *layers, size_t n_read)
{
	ModelSpec	spec = toy;
	Bench		bench;
	LearnGraph	built;
	double		map[20 * TOY_CHANNELS];
	const float *weights;
	const float *head;
	float		heat[20];
	int			n_hot = 0;

	spec.architecture = LEARN_LAYERS;
	spec.layers = layers;
	bench = open_bench(&spec);
	weights = bench.model->nets[0].weights;
	CHECK_OR_STOP(learn_network_build(bench.session, &bench.model->nets[0].network, NULL, &built) == DEV_OK, "its graph");
	toy_convolution(parameter(&built, weights, "layer0.weights"), bench.fields[0].bytes, map);
	head = parameter(&built, weights, "head.weights");
	for (int against = 0; against < 2; against++)
	{
		CHECK_STATUS(bench.session, learn_explain_cam(bench.predictor, bench.raw, bench.fields, 0, 0, against == 1, heat), DEV_OK,
					 "a map of \"%s\"", layers);
		for (int i = 0; i < 20; i++)
		{
			double		worth = 0;

			for (size_t j = 0; j < n_read * TOY_CHANNELS; j++)
				worth += (double) head[j] * map[(size_t) i * TOY_CHANNELS + j % TOY_CHANNELS] / 20 / bench.model->temperature;
			CHECK_NEAR((double) heat[i], fmax(against == 1 ? -worth : worth, 0), 1e-6, "heat of place %d is that worked out by hand", i);
			n_hot += heat[i] > 0;
		}
	}
	CHECK(n_hot > 0, "some places are hot: %d", n_hot);
	dev_session_close(bench.session);
}

/* The heat of two networks is the mean of theirs. */
static void
test_cam_of_two(void)
{
	ModelSpec	spec = toy;
	Bench		bench;
	LearnNet	nets[2];
	float		heat[3][20];

	spec.n_nets = 2;
	bench = open_bench(&spec);
	memcpy(nets, bench.model->nets, sizeof(nets));
	for (int i = 0; i < 3; i++)
	{
		bench.model->n_nets = i == 2 ? 2 : 1;
		bench.model->nets = i == 2 ? nets : &nets[i];
		CHECK_OR_STOP(learn_predictor_create(bench.session, bench.model, 1, &bench.predictor) == DEV_OK, "a predictor opens");
		CHECK_STATUS(bench.session, learn_explain_cam(bench.predictor, bench.raw, bench.fields, 0, 0, false, heat[i]), DEV_OK,
					 "a map");
	}
	for (int i = 0; i < 20; i++)
		CHECK_NEAR((double) heat[2][i], ((double) heat[0][i] + (double) heat[1][i]) / 2, 1e-6, "place %d has the mean heat", i);
	CHECK(memcmp(heat[0], heat[1], sizeof(heat[0])) != 0, "of two that differ");
	dev_session_close(bench.session);
}

/* ---- Importance ---- */

/* Minus the mean squared difference to what the unshuffled model says. */
static DevStatus
closeness(void *context, size_t n, const double *scores, double *value)
{
	const double *expected = context;

	*value = 0;
	for (size_t i = 0; i < n; i++)
		*value -= (scores[i] - expected[i]) * (scores[i] - expected[i]) / (double) n;
	return DEV_OK;
}

static void
test_importance(void)
{
	enum
	{
		rows = 60,
		columns = 4 + 1 + 2
	};
	Bench		bench = open_bench(&specs[4]);
	float	   *raw = dev_alloc(bench.session, rows * (size_t) bench.model->n_channels, sizeof(float));
	LearnBytes	fields[rows * 2];
	double		expected[rows];
	double		importance[columns];
	double		deviation[columns];

	CHECK_OR_STOP(raw != NULL && bench.n_columns == columns, "memory for rows");
	make_rows(bench.model, rows, 6, raw);
	/* All rows have the same signal. */
	for (size_t row = 0; row < rows; row++)
	{
		fields[2 * row] = make_field(bench.session, &both[0], 700, row);
		fields[2 * row + 1] = bench.fields[1];
	}
	CHECK_OR_STOP(learn_predict_scores(bench.predictor, rows, raw, fields, expected) == DEV_OK, "predictions");
	CHECK_STATUS(bench.session, learn_importance(bench.predictor, rows, raw, fields, 3, 5, closeness, expected, importance,
												 deviation), DEV_OK, "importance");
	CHECK(importance[bench.model->fields[0].column] > 1e-5, "shuffled images make a difference: %g",
		  importance[bench.model->fields[0].column]);
	CHECK(importance[bench.model->fields[1].column] == 0, "a shuffled signal that is everywhere the same makes none");
	dev_session_close(bench.session);
}

/* ---- Memory ---- */

static DevStatus
explain_all(DevSession *session, const LearnModel *model, const float *raw, const LearnBytes *fields)
{
	LearnPredictor *predictor;
	int			segment_of[20];
	LearnExplain how = {.by_parts = true, .segment_of = segment_of, .n_segments = 4, .tolerance = 0.1};
	double		contributions[24];
	float		heat[20];
	double		score;
	double		baseline;
	double		error;
	DevStatus	status = learn_predictor_create(session, model, 2, &predictor);

	for (int i = 0; i < 20; i++)
		segment_of[i] = i / 5;
	if (status == DEV_OK)
		status = learn_explain(predictor, raw, fields, &how, contributions, &score, &baseline, &error);
	if (status == DEV_OK)
		status = learn_explain_cam(predictor, raw, fields, 0, 0, false, heat);
	return status;
}

static void
test_no_memory(void)
{
	Bench		bench = open_bench(&toy);
	size_t		fail_at = 1;
	size_t		survived = 0;
	DevStatus	status = DEV_NO_MEMORY;

	for (; status != DEV_OK && fail_at < 5000; fail_at++)
	{
		CheckHost	counts;
		DevHost		host = check_host(&counts, fail_at);
		DevSession *session;

		status = dev_session_open(&host, 1, &session);
		if (status != DEV_OK)
			continue;
		status = explain_all(session, bench.model, bench.raw, bench.fields);
		dev_session_close(session);
		survived += (status == DEV_OK || status == DEV_NO_MEMORY) && counts.held == 0;
	}
	CHECK(status == DEV_OK && survived == fail_at - 2, "any failing allocation is told and leaves nothing (%zu)", survived);
	dev_session_close(bench.session);
}

static void
test_memory_kept(void)
{
	Bench		bench = open_bench(&specs[0]);
	int			segment_of[48] = {0};
	LearnExplain how = {.by_parts = true, .segment_of = segment_of, .n_segments = 1, .tolerance = 0.01};
	double		contributions[16];
	float		heat[48];
	size_t		used = 0;

	for (size_t row = 0; row < CASE_ROWS; row++)
	{
		CHECK_STATUS(bench.session, explain(&bench, row, how, contributions), DEV_OK, "row %zu", row);
		CHECK_STATUS(bench.session, learn_explain_cam(bench.predictor, raw_of(&bench, row), fields_of(&bench, row), 0, 0, false,
													  heat), DEV_OK, "and its map");
		if (row == 0)
			used = dev_session_used(bench.session);
	}
	CHECK(dev_session_used(bench.session) == used, "more rows take no more memory");
	dev_session_close(bench.session);
}

int
main(void)
{
	ModelSpec	halved = toy;
	ModelSpec	residual = toy;
	ModelSpec	sequence = toy;

	for (size_t i = 0; i < N_SPECS; i++)
		test_completeness(&specs[i], i);
	test_nothing_there();
	test_relative();
	test_shapley();
	test_occlusion();
	test_refusals();
	test_cam_by_hand();
	test_cam_without_mean("conv(2) relu flatten", 20);
	test_cam_without_mean("conv(2) relu global_max", 1);
	test_cam_without_mean("conv(2) relu max_pool(2) flatten", 4);
	halved.fields = &image;
	halved.depth = 2;
	halved.gain = 0.6;
	test_cam_sum(&halved, 4);
	residual.fields = &coloured;
	residual.architecture = LEARN_RESNET20;
	residual.gain = 0.5;
	residual.n_nets = 2;
	test_cam_sum(&residual, 16);
	sequence.fields = &leads;
	sequence.architecture = LEARN_FCN;
	sequence.depth = 3;
	sequence.gain = 0.6;
	test_cam_sum(&sequence, 1);
	sequence.architecture = LEARN_LAYERS;
	sequence.layers = "conv(4, 5) relu conv(3) batch_norm relu global_mean";
	test_cam_sum(&sequence, 1);
	/* Once moments are pooled, the mean is over all of them. */
	sequence.layers = "conv(4, 5) relu max_pool(2) global_mean";
	test_cam_sum(&sequence, 2);
	test_cam_of_two();
	test_importance();
	test_no_memory();
	test_memory_kept();
	return check_done();
}

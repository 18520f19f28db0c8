/*
 * test_explain.c: integrated gradients add up on deep nets and are exact where theory says what they are;
 * Shapley values agree with their definition, exact and sampled; importance; failing memory and cancelling.
 */
#include "models.h"

#include "learn/explain.h"

#define CASE_ROWS 4

static const ModelSpec specs[] = {
	{.architecture = LEARN_MLP, .task = LEARN_BINARY, .n_columns = 9, .depth = 4, .width = 64, .activation = -1,
	.seed = 31},
	{.architecture = LEARN_MLP, .task = LEARN_BINARY, .n_columns = 14, .depth = 3, .width = 48,
	.activation = DEV_MAP_GELU,
	.gain = 2, .seed = 32},
	{.architecture = LEARN_RESNET, .task = LEARN_REGRESSION, .n_columns = 8, .n_outputs = 2, .depth = 3, .width = 32,
	.activation = -1, .seed = 33},
	{.architecture = LEARN_TABM, .task = LEARN_BINARY, .n_columns = 12, .depth = 3, .width = 40, .members = 16,
	.activation = -1,
	.seed = 34},
	{.architecture = LEARN_TABM, .task = LEARN_BINARY, .n_columns = 10, .depth = 2, .width = 32, .members = 8,
	.bins = 16,
	.activation = -1, .n_nets = 3, .seed = 35},
	{.architecture = LEARN_TABM, .task = LEARN_MULTICLASS, .n_columns = 8, .n_outputs = 4, .depth = 2,
	.width = 32, .members = 8,
	.activation = -1, .n_nets = 2, .seed = 36},
	{.architecture = LEARN_MLP, .task = LEARN_MULTICLASS, .n_columns = 8, .n_outputs = 3, .depth = 2,
	.width = 32, .activation = -1,
	.seed = 37},
	{.architecture = LEARN_TABM, .task = LEARN_SURVIVAL, .n_columns = 8, .depth = 2, .width = 32, .members = 8,
	.activation = -1,
	.seed = 38},
	{.architecture = LEARN_LAYERS, .task = LEARN_BINARY, .n_columns = 6, .activation = -1,
	.layers = "relu dense(40) batch_norm relu dense(20) layer_norm tanh", .seed = 39},
	{.architecture = LEARN_NAM, .task = LEARN_BINARY, .n_columns = 9, .depth = 2, .width = 16, .activation = -1,
	.n_nets = 2, .seed = 40},
	{.architecture = LEARN_NAM, .task = LEARN_MULTICLASS, .n_columns = 6, .n_outputs = 3, .depth = 2,
	.width = 16, .activation = -1,
	.seed = 41},
	{.architecture = LEARN_LINEAR, .task = LEARN_BINARY, .n_columns = 9, .activation = -1, .seed = 42}
};

#define N_SPECS (sizeof(specs) / sizeof(specs[0]))

/* A model with its predictor, some rows and room for one explanation. */
typedef struct Bench
{
	DevSession *session;
	LearnModel *model;
	LearnPredictor *predictor;
	size_t		n_outputs;
	size_t		n_columns;
	float	   *raw;
	double	   *contributions;
	double		score;
	double		baseline;
	double		error;
} Bench;

static Bench
open_bench(const ModelSpec *spec)
{
	Bench		bench = {0};

	CHECK_OR_STOP(dev_session_open(NULL, 3, &bench.session) == DEV_OK, "a session opens");
	CHECK_OR_STOP(make_model(bench.session, spec, &bench.model) == DEV_OK, "a model is made");
	CHECK_OR_STOP(learn_predictor_create(bench.session, bench.model, 64, &bench.predictor) == DEV_OK,
				  "a predictor opens");
	bench.n_outputs = learn_model_outputs(bench.model);
	bench.n_columns = (size_t) bench.model->n_columns;
	bench.raw = dev_alloc(bench.session, CASE_ROWS * (size_t) bench.model->n_channels, sizeof(float));
	bench.contributions = dev_alloc(bench.session, bench.n_columns, sizeof(double));
	CHECK_OR_STOP(bench.raw != NULL && bench.contributions != NULL, "memory for rows");
	make_rows(bench.model, CASE_ROWS, spec->seed, bench.raw);
	return bench;
}

static DevStatus
explain(Bench *bench, const float *raw, LearnExplain how)
{
	return learn_explain(bench->predictor, raw, NULL, &how, bench->contributions, &bench->score, &bench->baseline,
						 &bench->error);
}

/* The score that is explained, from the scores that are predicted. */
static double
explained(const LearnModel *model, const double *scores, int output)
{
	double		p;

	if (model->task != LEARN_MULTICLASS)
		return scores[output];
	p = exp(scores[output]);
	return scores[output] - log1p(-p);
}

static double
predicted(Bench *bench, const float *raw, int output)
{
	double		scores[16];

	if (learn_predict_scores(bench->predictor, 1, raw, NULL, scores) != DEV_OK)
		return NAN;
	return explained(bench->model, scores, output);
}

/* ---- Integrated gradients ---- */

static void
test_completeness(const ModelSpec *spec, size_t number)
{
	Bench		bench = open_bench(spec);

	for (size_t row = 0; row < CASE_ROWS; row++)
		for (int output = 0; output < (int) bench.n_outputs; output++)
		{
			const float *raw = bench.raw + row * (size_t) bench.model->n_channels;
			double		unit = spec->task == LEARN_REGRESSION ? bench.model->target_scale[output] : 1;
			double		sum = 0;

			CHECK_STATUS(bench.session, explain(&bench, raw, (LearnExplain) {.output = output,
																			 .tolerance = 1e-3}), DEV_OK,
						 "model %zu, row %zu is explained", number, row);
			for (size_t column = 0; column < bench.n_columns; column++)
				sum += bench.contributions[column];
			if (!CHECK(bench.error < 1e-3 * unit, "model %zu, row %zu, output %d: complete", number, row, output))
				printf("#   error %g of %g\n", bench.error, bench.score - bench.baseline);
			CHECK(bench.error == fabs(bench.score - bench.baseline - sum), "the error is what it says");
			CHECK_NEAR(bench.score, predicted(&bench, raw, output), 1e-5, "the score is the prediction's");
			CHECK(bench.contributions[spec->n_columns] == 0, "the column that is not used has no part");
			CHECK(fabs(bench.score - bench.baseline) > 10 * bench.error ||
				  fabs(bench.score - bench.baseline) < 0.1 * unit,
				  "there is something to explain");
		}
	dev_session_close(bench.session);
}

/* The row with all columns but one at the baseline: what an additive model's column contributes alone. */
static void
test_additive(const ModelSpec *spec, LearnExplainMethod method, double tolerance)
{
	Bench		bench = open_bench(spec);
	float		raw[16];
	const float *base = bench.model->nets[0].baseline;
	double		at_base;

	CHECK_OR_STOP(spec->numbers_only && spec->n_columns < 16, "baselines are rows");
	CHECK_STATUS(bench.session, explain(&bench, bench.raw, (LearnExplain) {.method = method, .exact = 4,
																		   .permutations = 6}), DEV_OK,
				 "an additive model is explained");
	memcpy(raw, base, (size_t) spec->n_columns * sizeof(float));
	raw[spec->n_columns] = 0;
	at_base = predicted(&bench, raw, 0);
	CHECK_NEAR(bench.baseline, at_base, 1e-6, "the baseline is the score at the mean");
	for (int column = 0; column < spec->n_columns; column++)
	{
		raw[column] = bench.raw[column];
		CHECK_NEAR(bench.contributions[column], predicted(&bench, raw, 0) - at_base, tolerance,
				   "column %d of an additive model adds what it adds alone", column);
		raw[column] = base[column];
	}
	dev_session_close(bench.session);
}

/*
 * A blend of an additive and a linear network has no parts to read off, so it is
 * integrated; its truth is known all the same.
 */
static void
test_integrated_additive(void)
{
	ModelSpec	curve = {.architecture = LEARN_NAM, .task = LEARN_BINARY, .n_columns = 10, .numbers_only = true,
	.depth = 2,
	.width = 16, .activation = DEV_MAP_RELU, .seed = 51};
	ModelSpec	line = {.architecture = LEARN_LINEAR, .task = LEARN_BINARY, .n_columns = 10,
	.numbers_only = true, .activation = -1, .seed = 51};
	Bench		bench = open_bench(&curve);
	Bench		other = open_bench(&line);
	LearnNet	nets[2] = {bench.model->nets[0], other.model->nets[0]};
	const float *base = nets[0].baseline;
	float		raw[11];
	double		at_base;

	bench.model->nets = nets;
	bench.model->n_nets = 2;
	memcpy(nets[1].baseline, nets[0].baseline, 10 * sizeof(float));
	CHECK_OR_STOP(learn_predictor_create(bench.session, bench.model, 64, &bench.predictor) == DEV_OK,
				  "a blend opens");
	CHECK_STATUS(bench.session, explain(&bench, bench.raw, (LearnExplain) {.tolerance = 1e-4}), DEV_OK,
				 "a blend is explained");
	CHECK(bench.error < 1e-4, "completely: %g", bench.error);
	memcpy(raw, base, sizeof(raw) - sizeof(float));
	raw[10] = 0;
	at_base = predicted(&bench, raw, 0);
	for (int column = 0; column < 10; column++)
	{
		raw[column] = bench.raw[column];
		CHECK_NEAR(bench.contributions[column], predicted(&bench, raw, 0) - at_base, 1e-3,
				   "integrated column %d is right", column);
		raw[column] = base[column];
	}
	dev_session_close(other.session);
	dev_session_close(bench.session);
}

#define GRID 1000

/* The middle of part number `point` of the way. */
static void
fill_grid(void *context, size_t point, const LearnPath *path, float *features)
{
	float		place = ((float) point + 0.5f) / GRID;

	(void) context;
	for (size_t i = 0; i < path->n_values; i++)
		features[i] = path->baseline[i] + place * (path->row[i] - path->baseline[i]);
}

/* Column by column against a fine grid of midpoints. */
static void
test_columns(const ModelSpec *spec, size_t number)
{
	Bench		bench = open_bench(spec);
	double	   *scores = dev_alloc(bench.session, GRID, sizeof(double));
	double	   *slopes = dev_alloc(bench.session, GRID * bench.n_columns, sizeof(double));
	double		largest = 0;

	CHECK_OR_STOP(scores != NULL && slopes != NULL, "memory for a grid");
	CHECK_STATUS(bench.session, explain(&bench, bench.raw, (LearnExplain) {0}), DEV_OK,
				 "model %zu is explained", number);
	CHECK_STATUS(bench.session, learn_explain_points(bench.predictor->explainer, GRID, fill_grid, NULL, scores,
													 slopes),
				 DEV_OK, "a grid is walked");
	for (size_t column = 0; column < bench.n_columns; column++)
		largest = fmax(largest, fabs(bench.contributions[column]));
	for (size_t column = 0; column < bench.n_columns; column++)
	{
		double		sum = 0;

		for (size_t point = 0; point < GRID; point++)
			sum += slopes[point * bench.n_columns + column] / GRID;
		if (!CHECK(fabs(bench.contributions[column] - sum) < 0.005 * largest + 5e-4, "model %zu: column %zu is right",
				   number, column))
			printf("#   %g, by a grid %g; the largest is %g\n", bench.contributions[column], sum, largest);
	}
	dev_session_close(bench.session);
}

/* ---- Shapley ---- */

#define PLAYERS 5

/* By definition: the mean gain over all orders, scores from rows whose absent columns are at the baseline. */
static void
shapley_by_orders(Bench *bench, double shapley[PLAYERS])
{
	double		scores[1 << PLAYERS];
	int			order[PLAYERS];
	int			n_orders = 0;

	for (int set = 0; set < 1 << PLAYERS; set++)
	{
		float		raw[PLAYERS + 1] = {0};

		for (int i = 0; i < PLAYERS; i++)
			raw[i] = set >> i & 1 ? bench->raw[i] : bench->model->nets[0].baseline[i];
		scores[set] = predicted(bench, raw, 0);
	}
	memset(shapley, 0, PLAYERS * sizeof(double));
	for (int code = 0; code < 3125; code++)
	{
		int			seen = 0;
		int			before = 0;

		for (int i = 0, rest = code; i < PLAYERS; i++, rest /= PLAYERS)
			seen |= 1 << (order[i] = rest % PLAYERS);
		if (seen != (1 << PLAYERS) - 1)
			continue;
		n_orders++;
		for (int i = 0; i < PLAYERS; i++)
		{
			shapley[order[i]] += scores[before | 1 << order[i]] - scores[before];
			before |= 1 << order[i];
		}
	}
	CHECK_OR_STOP(n_orders == 120, "all orders are walked");
	for (int i = 0; i < PLAYERS; i++)
		shapley[i] /= n_orders;
}

static void
test_shapley_definition(void)
{
	ModelSpec	spec = {.architecture = LEARN_MLP, .task = LEARN_BINARY, .n_columns = PLAYERS,
	.numbers_only = true, .depth = 2,
	.width = 32, .activation = -1, .seed = 61};
	Bench		bench = open_bench(&spec);
	double		expected[PLAYERS];

	shapley_by_orders(&bench, expected);
	CHECK_STATUS(bench.session, explain(&bench, bench.raw, (LearnExplain) {.method = LEARN_SHAPLEY}), DEV_OK,
				 "Shapley values");
	for (int i = 0; i < PLAYERS; i++)
		CHECK_NEAR(bench.contributions[i], expected[i], 1e-9, "Shapley value %d is that of the definition", i);
	CHECK(bench.error < 1e-9, "they add up: %g", bench.error);

	/* Of 120 orders some thousands are drawn: a standard error of a percent. */
	CHECK_STATUS(bench.session, explain(&bench, bench.raw, (LearnExplain) {.method = LEARN_SHAPLEY, .exact = 1,
																		   .permutations = 6000}),
				 DEV_OK, "sampled Shapley values");
	for (int i = 0; i < PLAYERS; i++)
		CHECK(fabs(bench.contributions[i] - expected[i]) < 0.05, "sampled value %d is near: %g, %g", i,
			  bench.contributions[i], expected[i]);
	CHECK(bench.error < 1e-9, "they add up too: %g", bench.error);
	dev_session_close(bench.session);
}

/* Exact where there are few columns, sampled where there are many: both add up, and of a linear model are the same. */
static void
test_shapley(const ModelSpec *spec, size_t number)
{
	Bench		bench = open_bench(spec);
	double		exact[16];
	int			output = (int) bench.n_outputs - 1;
	LearnExplain how = {.method = LEARN_SHAPLEY, .output = output, .seed = 9};

	CHECK_STATUS(bench.session, explain(&bench, bench.raw, how), DEV_OK, "model %zu", number);
	CHECK(bench.error < 1e-6, "model %zu: Shapley values add up, but for %g", number, bench.error);
	CHECK_NEAR(bench.score, predicted(&bench, bench.raw, output), 1e-5, "the score is the prediction's");
	memcpy(exact, bench.contributions, bench.n_columns * sizeof(double));
	how.exact = 2;
	how.permutations = 10;
	CHECK_STATUS(bench.session, explain(&bench, bench.raw, how), DEV_OK, "model %zu sampled", number);
	CHECK(bench.error < 1e-6, "model %zu: sampled values add up, but for %g", number, bench.error);
	if (spec->architecture == LEARN_LINEAR)
		for (size_t i = 0; i < bench.n_columns; i++)
			CHECK_NEAR(bench.contributions[i], exact[i], 2e-6,
					   "sampling finds a linear model's values, column %zu", i);
	memcpy(exact, bench.contributions, bench.n_columns * sizeof(double));
	CHECK_STATUS(bench.session, explain(&bench, bench.raw, how), DEV_OK, "again");
	CHECK(memcmp(exact, bench.contributions, bench.n_columns * sizeof(double)) == 0,
		  "the same seed samples the same");
	how.seed = 10;
	CHECK_STATUS(bench.session, explain(&bench, bench.raw, how), DEV_OK, "another seed");
	CHECK(memcmp(exact, bench.contributions, bench.n_columns * sizeof(double)) != 0, "another seed samples others");
	dev_session_close(bench.session);
}

/* Two columns that a model treats alike get alike; one that stays at the baseline gets nothing. */
static void
test_axioms(void)
{
	ModelSpec	spec = {.architecture = LEARN_MLP, .task = LEARN_BINARY, .n_columns = 6, .numbers_only = true,
	.depth = 2, .width = 16,
	.activation = -1, .seed = 71};
	Bench		bench = open_bench(&spec);
	LearnNet   *net = &bench.model->nets[0];
	LearnGraph	built;
	const NnParameterInfo *first = NULL;

	CHECK_OR_STOP(learn_network_build(bench.session, &net->network, NULL, &built) == DEV_OK, "its graph");
	for (int p = 0; p < nn_graph_parameters(built.graph) && first == NULL; p++)
		if (nn_graph_parameter(built.graph, p)->shape.dims[0] == 6)
			first = nn_graph_parameter(built.graph, p);
	CHECK_OR_STOP(first != NULL, "its first matrix");
	for (size_t i = 0; i < first->shape.dims[1]; i++)
		net->weights[first->offset + first->shape.dims[1] + i] = net->weights[first->offset + i];
	net->baseline[1] = net->baseline[0];
	bench.raw[1] = bench.raw[0];
	bench.raw[4] = net->baseline[4];
	CHECK_OR_STOP(learn_predictor_create(bench.session, bench.model, 8, &bench.predictor) == DEV_OK,
				  "a predictor opens");
	for (int method = 0; method < 2; method++)
	{
		CHECK_STATUS(bench.session, explain(&bench, bench.raw,
											(LearnExplain) {.method = (LearnExplainMethod) method}), DEV_OK,
					 "explained");
		CHECK_NEAR(bench.contributions[0], bench.contributions[1], 1e-6,
				   "method %d: equal columns share equally", method);
		CHECK(bench.contributions[4] == 0, "method %d: a column at the baseline gets nothing", method);
	}
	dev_session_close(bench.session);
}

static void
test_at_baseline(void)
{
	ModelSpec	spec = {.architecture = LEARN_TABM, .task = LEARN_BINARY, .n_columns = 6, .numbers_only = true,
	.depth = 2, .width = 16,
	.members = 4, .activation = -1, .seed = 72};
	Bench		bench = open_bench(&spec);

	memcpy(bench.raw, bench.model->nets[0].baseline, 6 * sizeof(float));
	for (int method = 0; method < 2; method++)
	{
		CHECK_STATUS(bench.session, explain(&bench, bench.raw,
											(LearnExplain) {.method = (LearnExplainMethod) method}), DEV_OK,
					 "explained");
		CHECK(bench.score == bench.baseline && bench.error == 0, "at the baseline there is nothing to explain");
	}
	dev_session_close(bench.session);
}

static void
test_refusals(void)
{
	Bench		bench = open_bench(&specs[6]);

	CHECK_STATUS(bench.session, explain(&bench, bench.raw, (LearnExplain) {.output = 3}), DEV_INVALID,
				 "an output beyond the last");
	CHECK_STATUS(bench.session, explain(&bench, bench.raw, (LearnExplain) {.output = -1}), DEV_INVALID,
				 "an output before the first");
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
		rows = 700,
		columns = 6
	};
	ModelSpec	spec = {.architecture = LEARN_LINEAR, .task = LEARN_REGRESSION, .n_columns = columns,
	.numbers_only = true,
	.n_outputs = 1, .activation = -1, .seed = 81};
	Bench		bench = open_bench(&spec);
	LearnNet   *net = &bench.model->nets[0];
	float	   *raw = dev_alloc(bench.session, rows * (columns + 1), sizeof(float));
	double		expected[rows];
	double		importance[columns + 1];
	double		deviation[columns + 1];
	double		again[columns + 1];
	double		spread[columns + 1];

	CHECK_OR_STOP(raw != NULL, "memory for rows");
	make_rows(bench.model, rows, 5, raw);
	CHECK_OR_STOP(learn_predict_scores(bench.predictor, rows, raw, NULL, expected) == DEV_OK, "predictions");
	CHECK_STATUS(bench.session, learn_importance(bench.predictor, rows, raw, NULL, 20, 3, closeness, expected,
												 importance, deviation), DEV_OK,
				 "importance");
	for (int column = 0; column < columns; column++)
	{
		/* A linear model's error by a shuffled column of variance 1: 2 w^2, in units of the target. */
		double		change = predicted(&bench, raw, 0);
		float		kept = raw[column];
		double		truth;

		raw[column] = kept + 1;
		change = predicted(&bench, raw, 0) - change;
		raw[column] = kept;
		truth = 2 * change * change;
		CHECK(fabs(importance[column] - truth) < 0.2 * truth + 1e-9, "importance of column %d is %g, by theory %g",
			  column, importance[column], truth);
		CHECK(deviation[column] > 0 && deviation[column] < 0.3 * truth + 1e-9, "it scatters a little: %g",
			  deviation[column]);
	}
	CHECK(importance[columns] == 0 && deviation[columns] == 0, "a column that is not used has none");
	CHECK_STATUS(bench.session, learn_importance(bench.predictor, rows, raw, NULL, 20, 3, closeness, expected, again,
												 spread), DEV_OK, "again");
	CHECK(memcmp(importance, again, sizeof(again)) == 0, "the same seed gives the same importance");
	CHECK_STATUS(bench.session, learn_importance(bench.predictor, rows, raw, NULL, 1, 4, closeness, expected, again,
												 spread), DEV_OK, "once");
	CHECK(again[0] != importance[0] && spread[0] == 0,
		  "another seed another one; of one repeat there is no deviation");
	CHECK_STATUS(bench.session, learn_importance(bench.predictor, 0, raw, NULL, 1, 4, closeness, expected, again,
												 spread), DEV_BAD_DATA, "no rows");
	CHECK_STATUS(bench.session, learn_importance(bench.predictor, 5, raw, NULL, 0, 4, closeness, expected, again,
												 spread), DEV_INVALID, "no repeats");
	CHECK(net->n_features == columns, "the model is the one that was meant");
	dev_session_close(bench.session);
}

/* ---- Failing memory, cancelling ---- */

static DevStatus
explain_all(DevSession *session, const LearnModel *model, const float *raw)
{
	LearnPredictor *predictor;
	LearnExplain how = {0};
	double		contributions[16];
	double		deviation[16];
	double		zeros[8] = {0};
	double		score;
	double		baseline;
	double		error;
	DevStatus	status = learn_predictor_create(session, model, 4, &predictor);

	if (status == DEV_OK)
		status = learn_explain(predictor, raw, NULL, &how, contributions, &score, &baseline, &error);
	how.method = LEARN_SHAPLEY;
	how.exact = 2;
	how.permutations = 2;
	if (status == DEV_OK)
		status = learn_explain(predictor, raw, NULL, &how, contributions, &score, &baseline, &error);
	if (status == DEV_OK)
		status = learn_importance(predictor, CASE_ROWS, raw, NULL, 1, 1, closeness, zeros, contributions, deviation);
	return status;
}

static void
test_no_memory(void)
{
	ModelSpec	spec = {.architecture = LEARN_TABM, .task = LEARN_BINARY, .n_columns = 6, .depth = 1,
	.width = 8, .members = 2, .activation = -1,
	.n_nets = 2, .seed = 91};
	Bench		bench = open_bench(&spec);
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
		status = explain_all(session, bench.model, bench.raw);
		dev_session_close(session);
		survived += (status == DEV_OK || status == DEV_NO_MEMORY) && counts.held == 0;
	}
	CHECK(status == DEV_OK && survived == fail_at - 2,
		  "any failing allocation is told and leaves nothing (%zu)", survived);
	dev_session_close(bench.session);
}

/* Explaining many rows takes no more memory than one. */
static void
test_memory_kept(void)
{
	Bench		bench = open_bench(&specs[4]);
	size_t		used;

	CHECK_STATUS(bench.session, explain(&bench, bench.raw, (LearnExplain) {0}), DEV_OK, "a first row");
	CHECK_STATUS(bench.session, explain(&bench, bench.raw, (LearnExplain) {.method = LEARN_SHAPLEY}), DEV_OK,
				 "by Shapley");
	used = dev_session_used(bench.session);
	for (size_t row = 1; row < CASE_ROWS; row++)
	{
		const float *raw = bench.raw + row * (size_t) bench.model->n_channels;

		CHECK_STATUS(bench.session, explain(&bench, raw, (LearnExplain) {0}), DEV_OK, "row %zu", row);
		CHECK_STATUS(bench.session, explain(&bench, raw, (LearnExplain) {.method = LEARN_SHAPLEY}), DEV_OK,
					 "by Shapley");
	}
	CHECK(dev_session_used(bench.session) == used, "more rows take no more memory");
	dev_session_close(bench.session);
}

static bool
cancel_later(void *context)
{
	size_t	   *polls = context;

	return ++*polls > 3;
}

static void
test_cancel(void)
{
	size_t		polls = 0;
	DevHost		host = {.context = &polls, .cancelled = cancel_later};
	Bench		bench = open_bench(&specs[3]);
	DevSession *session;
	LearnPredictor *predictor;
	LearnExplain how = {.method = LEARN_SHAPLEY};

	CHECK_OR_STOP(dev_session_open(&host, 1, &session) == DEV_OK, "a session opens");
	CHECK_OR_STOP(learn_predictor_create(session, bench.model, 4, &predictor) == DEV_OK, "a predictor opens");
	CHECK_STATUS(session, learn_explain(predictor, bench.raw, NULL, &how, bench.contributions, &bench.score,
										&bench.baseline, &bench.error),
				 DEV_CANCELLED, "an explanation can be cancelled");
	dev_session_close(session);
	dev_session_close(bench.session);
}

int
main(void)
{
	ModelSpec	curve = {.architecture = LEARN_NAM, .task = LEARN_BINARY, .n_columns = 10, .numbers_only = true,
	.depth = 2, .width = 16,
	.activation = -1, .seed = 52};
	ModelSpec	line = {.architecture = LEARN_LINEAR, .task = LEARN_SURVIVAL, .n_columns = 10,
	.numbers_only = true, .activation = -1, .seed = 53};

	for (size_t i = 0; i < N_SPECS; i++)
		test_completeness(&specs[i], i);
	test_additive(&curve, LEARN_INTEGRATED_GRADIENTS, 2e-6);
	test_additive(&line, LEARN_INTEGRATED_GRADIENTS, 5e-6);
	test_additive(&curve, LEARN_SHAPLEY, 5e-6);
	test_additive(&line, LEARN_SHAPLEY, 5e-6);
	test_integrated_additive();
	test_columns(&specs[0], 0);
	test_columns(&specs[1], 1);
	test_columns(&specs[6], 6);
	test_columns(&specs[7], 7);
	test_shapley_definition();
	for (size_t i = 0; i < N_SPECS; i++)
		test_shapley(&specs[i], i);
	test_axioms();
	test_at_baseline();
	test_refusals();
	test_importance();
	test_no_memory();
	test_memory_kept();
	test_cancel();
	return check_done();
}

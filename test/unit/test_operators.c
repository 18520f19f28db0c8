/*
 * test_operators.c: every operator against finite differences, its per-example norms against formed
 * gradients, and what it does at the edges: unknown codes, equal edges, empty widths, wrong shapes.
 */
#include "gradients.h"
#include "convolution_cases.h"

/* ---- A small workplace for cases that have no frozen values ---- */

typedef struct Place
{
	DevSession *session;
	DevDevice  *device;
	NnGraph    *graph;
	NnRun	   *run;
	float		weights[512];
	float		diff_weights[512];
} Place;

static void
place_open(Place *place)
{
	memset(place, 0, sizeof(*place));
	CHECK_OR_STOP(dev_session_open(NULL, 3, &place->session) == DEV_OK &&
				  dev_cpu_open(place->session, NULL, &place->device) == DEV_OK &&
				  nn_graph_create(place->session, &place->graph) == DEV_OK, "a graph is created");
}

static void
place_compile(Place *place, size_t batch)
{
	CHECK_STATUS(place->session, nn_graph_compile(place->graph), DEV_OK, "the graph compiles");
	CHECK_OR_STOP(nn_graph_weights(place->graph) <= 512 &&
				  nn_run_create(place->graph, place->device, batch, NN_RUN_WHOLE, &place->run) == DEV_OK, "a run is created");
	nn_graph_initialize(place->graph, 3, place->weights);
	nn_run_bind(place->run, place->weights, place->diff_weights);
}

static NnParameter
given(Place *place, const char *name, NnShape shape, NnRole role, const float *values)
{
	return nn_parameter(place->graph, name, &shape, role, NN_INIT_GIVEN, 0, values);
}

/* A training pass gives a gradient to what depends on a trained parameter: the input with a bias of zero. */
static NnNode
trained_source(Place *place, NnNode input, NnShape shape)
{
	return nn_bias(place->graph, input, nn_parameter(place->graph, "source", &shape, NN_ROLE_VECTOR, NN_INIT_ZERO, 0, NULL));
}

/* ---- Edges ---- */

static void
check_piecewise_edges(void)
{
	/* the middle bin is empty: the step at 1, which is reached by the value 1 itself */
	static const float edges[] = {0, 1, 1, 3};
	static const float x[] = {-1, 0, 0.5f, 1, 2, 3, 5};
	static const float expected[][3] = {{-1, 0, 0}, {0, 0, 0}, {0.5f, 0, 0}, {1, 1, 0}, {1, 1, 0.5f}, {1, 1, 1}, {1, 1, 2}};
	NnShape		one = nn_shape(1, 1, 0, 0, 0);
	Place		place;
	NnNode		src;
	NnNode		dst;
	bool		good = true;

	place_open(&place);
	src = nn_input(place.graph, "x", &one);
	dst = nn_piecewise_linear(place.graph, src, given(&place, "edges", nn_shape(2, 1, 4, 0, 0), NN_ROLE_CONSTANT, edges));
	place_compile(&place, 7);
	nn_run_set(place.run, src, 7, x);
	nn_run_forward(place.run, dst, NN_INFER, 0, 0, 0);
	for (size_t i = 0; i < 7; i++)
		for (size_t b = 0; b < 3; b++)
			good = good && nn_run_value(place.run, dst)[i * 3 + b] == expected[i][b];
	CHECK(good, "piecewise_linear: values on edges, in an empty bin and beyond both ends");
	dev_session_close(place.session);
}

/* Two columns of codes share one table: their gradients add, repeated codes included. */
static void
check_shared_table(void)
{
	static const float table[] = {1, 2, 3, 4, 5, 6};
	static const int32_t codes[] = {0, 0, 1, 0, 2, -5, 7, 1};
	static const float seed[] = {1, 1, 1, 1, 2, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8};
	static const float expected[] = {2 + 0, 2 + 2, 2 + 7, 0 + 8, 1, 2};
	static const float norms[] = {4 + 4, 4 + 4, 1 + 4, 49 + 64};
	float		squared[4];
	Place		place;
	NnNode		pair[2];
	NnNode		src;
	NnNode		dst;
	NnParameter shared;
	bool		good = true;

	place_open(&place);
	src = nn_codes(place.graph, "codes", 2);
	shared = given(&place, "table", nn_shape(2, 3, 2, 0, 0), NN_ROLE_TABLE, table);
	pair[0] = nn_embedding(place.graph, src, 0, shared);
	pair[1] = nn_embedding(place.graph, src, 1, shared);
	dst = nn_concat(place.graph, pair, 2);
	place_compile(&place, 4);
	nn_run_set_codes(place.run, src, 4, codes);
	nn_run_forward(place.run, dst, NN_TRAIN, 0, 0, 0);
	CHECK(nn_run_value(place.run, dst)[8] == 5 && nn_run_value(place.run, dst)[10] == 0 &&
		  nn_run_value(place.run, dst)[12] == 0 && nn_run_value(place.run, dst)[15] == 4,
		  "embedding: known codes give their row, unknown ones zeros");
	nn_run_backward_from(place.run, dst, seed);
	for (int i = 0; i < 6; i++)
		good = good && place.diff_weights[nn_graph_parameter(place.graph, shared)->offset + (size_t) i] == expected[i];
	CHECK(good, "embedding: gradients of a shared table add up, repeated codes included");
	CHECK_STATUS(place.session, nn_run_norms(place.run, squared), DEV_OK, "embedding: norms of a shared table");
	for (int i = 0; i < 4; i++)
		CHECK_NEAR(squared[i], norms[i], 1e-6, "embedding: norm of example %d over both uses", i);
	dev_session_close(place.session);
}

/* A constant row has variance 0: epsilon keeps it finite. */
static void
check_constant_rows(void)
{
	static const float x[] = {3, 3, 3, 3, 3, 3};
	static const float zero[] = {0, 0, 0};
	static const float one[] = {1, 1, 1};
	static const float seed[] = {1, -2, 3, 1, 5, 2};
	NnShape		shape = nn_shape(1, 3, 0, 0, 0);
	Place		place;
	NnNode		input;
	NnNode		src;
	NnNode		dst;
	bool		good = true;

	for (int i = 0; i < 2; i++)
	{
		NnParameter mean;
		NnParameter variance;

		place_open(&place);
		input = nn_input(place.graph, "x", &shape);
		src = trained_source(&place, input, shape);
		mean = given(&place, "mean", shape, NN_ROLE_STATISTIC, zero);
		variance = given(&place, "variance", shape, NN_ROLE_STATISTIC, one);
		dst = i == 0 ? nn_layer_norm(place.graph, src, NN_NONE, NN_NONE, 1e-5f)
			: nn_batch_norm(place.graph, src, NN_NONE, NN_NONE, mean, variance, 1e-5f);
		place_compile(&place, 2);
		for (size_t batch = 1; batch <= 2; batch++)
		{
			nn_run_set(place.run, input, batch, x);
			nn_run_forward(place.run, dst, NN_TRAIN, 0, 0, 0);
			nn_run_backward_from(place.run, dst, seed);
			for (size_t k = 0; k < 3 * batch; k++)
				good = good && nn_run_value(place.run, dst)[k] == 0 && isfinite(nn_run_gradient(place.run, src)[k]);
		}
		CHECK(good, "%s: a constant gives zeros and a finite gradient", i == 0 ? "layer_norm" : "batch_norm");
		if (i == 1)
			CHECK(place.diff_weights[nn_graph_parameter(place.graph, variance)->offset] == 1,
				  "batch_norm: one row says nothing about the running variance, two do");
		dev_session_close(place.session);
	}
}

/* Answers of an ensemble stay finite, and right, where a mean of sigmoids has long rounded to 0 or 1. */
static void
check_extreme_means(void)
{
	static const float z[] = {80, 80, -80, -80, 80, -80, 1e4f, 1e4f, -1e4f, 0};
	static const float expected[] = {80, -80, 0, 1e4f};
	static const float seed[] = {1, 1, 1, 1, 1};
	NnShape		shape = nn_shape(2, 2, 1, 0, 0);
	Place		place;
	NnNode		src;
	NnNode		dst;
	bool		finite = true;

	place_open(&place);
	src = nn_input(place.graph, "z", &shape);
	dst = nn_ensemble_mean(place.graph, src, NN_MEAN_BINARY);
	place_compile(&place, 5);
	nn_run_set(place.run, src, 5, z);
	nn_run_forward(place.run, dst, NN_INFER, 0, 0, 0);
	for (int i = 0; i < 4; i++)
		CHECK_NEAR(nn_run_value(place.run, dst)[i], expected[i], 1e-6, "ensemble_mean: answer of members at %g and %g",
				   z[2 * i], z[2 * i + 1]);
	/* sigmoid(-1e4) is 0, sigmoid(0) a half: the mean is a quarter */
	CHECK_NEAR(nn_run_value(place.run, dst)[4], log(0.25 / 0.75), 1e-6, "ensemble_mean: one member far away");
	nn_run_backward_from(place.run, dst, seed);
	for (int i = 0; i < 10; i++)
		finite = finite && isfinite(nn_run_gradient(place.run, src)[i]);
	CHECK(finite, "ensemble_mean: gradients at extreme logits are finite");
	CHECK_NEAR(nn_run_gradient(place.run, src)[0], 0.5, 1e-6, "ensemble_mean: two members at 80 share the gradient");
	dev_session_close(place.session);
}

static void
check_extreme_classes(void)
{
	static const float z[] = {80, -80, 0, -80, 80, 0, 1e4f, 0, -1e4f, 1e4f, 0, -1e4f};
	NnShape		shape = nn_shape(2, 2, 3, 0, 0);
	Place		place;
	NnNode		src;
	NnNode		mean;
	NnNode		softmax_of;
	bool		finite = true;

	place_open(&place);
	src = nn_input(place.graph, "z", &shape);
	mean = nn_ensemble_mean(place.graph, src, NN_MEAN_CLASSES);
	softmax_of = nn_softmax(place.graph, src);
	place_compile(&place, 2);
	nn_run_set(place.run, src, 2, z);
	nn_run_forward(place.run, mean, NN_INFER, 0, 0, 0);
	CHECK_NEAR(nn_run_value(place.run, mean)[0], log(0.5), 1e-6, "ensemble_mean: two sure members who disagree");
	CHECK_NEAR(nn_run_value(place.run, mean)[2], -80, 1e-6, "ensemble_mean: a class both find unlikely");
	CHECK_NEAR(nn_run_value(place.run, mean)[5], -2e4, 1e-6, "ensemble_mean: log probability of -20000");
	nn_run_forward(place.run, softmax_of, NN_INFER, 0, 0, 0);
	for (int i = 0; i < 12; i++)
		finite = finite && isfinite(nn_run_value(place.run, softmax_of)[i]);
	CHECK(finite && nn_run_value(place.run, softmax_of)[6] == 1, "softmax: extreme logits");
	dev_session_close(place.session);
}

/* Dropped values are zero, kept ones scaled by 1 / (1 - rate), and the gradient knows the same ones. */
static void
check_dropout(void)
{
	enum
	{
		N = 400, BATCH_ROWS = 50
	};
	NnShape		shape = nn_shape(1, N / BATCH_ROWS, 0, 0, 0);
	float		x[N];
	float		seed[N];
	size_t		kept = 0;
	bool		good = true;
	Place		place;
	NnNode		input;
	NnNode		src;
	NnNode		dst;

	for (int i = 0; i < N; i++)
	{
		x[i] = 1 + (float) i;
		seed[i] = 2;
	}
	place_open(&place);
	input = nn_input(place.graph, "x", &shape);
	src = trained_source(&place, input, shape);
	dst = nn_dropout(place.graph, src, 0.25f);
	place_compile(&place, BATCH_ROWS);
	nn_run_set(place.run, input, BATCH_ROWS, x);
	nn_run_forward(place.run, dst, NN_TRAIN, 5, 9, 0);
	for (int i = 0; i < N; i++)
	{
		float		value = nn_run_value(place.run, dst)[i];

		kept += value != 0;
		good = good && (value == 0 || fabsf(value - x[i] / 0.75f) <= 1e-6f * value);
		x[i] = value != 0;
	}
	CHECK(good, "dropout: a value is dropped or scaled by 4/3");
	CHECK(kept > N * 65 / 100 && kept < N * 85 / 100, "dropout: about three quarters are kept (%zu of %d)", kept, N);
	nn_run_backward_from(place.run, dst, seed);
	for (int i = 0; i < N; i++)
		good = good && fabsf(nn_run_gradient(place.run, src)[i] - x[i] * 2 / 0.75f) < 1e-5f;
	CHECK(good, "dropout: the gradient passes where the value did");
	dev_session_close(place.session);
}

/* ---- Wrong requests ---- */

typedef NnNode (*Wrong) (Place *place, NnNode numbers, NnNode codes, NnParameter matrix, NnParameter vector);

static NnNode
wrong_gain(Place *place, NnNode numbers, NnNode codes, NnParameter matrix, NnParameter vector)
{
	(void) codes;
	(void) vector;
	return nn_layer_norm(place->graph, numbers, matrix, NN_NONE, 1e-5f);
}

static NnNode
wrong_epsilon(Place *place, NnNode numbers, NnNode codes, NnParameter matrix, NnParameter vector)
{
	(void) codes;
	(void) matrix;
	return nn_batch_norm(place->graph, numbers, vector, vector, vector, vector, 0);
}

static NnNode
wrong_statistics(Place *place, NnNode numbers, NnNode codes, NnParameter matrix, NnParameter vector)
{
	(void) codes;
	(void) matrix;
	return nn_batch_norm(place->graph, numbers, vector, vector, NN_NONE, vector, 1e-5f);
}

static NnNode
wrong_embedding_source(Place *place, NnNode numbers, NnNode codes, NnParameter matrix, NnParameter vector)
{
	(void) codes;
	(void) vector;
	return nn_embedding(place->graph, numbers, 0, matrix);
}

static NnNode
wrong_embedding_column(Place *place, NnNode numbers, NnNode codes, NnParameter matrix, NnParameter vector)
{
	(void) numbers;
	(void) vector;
	return nn_embedding(place->graph, codes, 2, matrix);
}

static NnNode
wrong_embedding_table(Place *place, NnNode numbers, NnNode codes, NnParameter matrix, NnParameter vector)
{
	(void) numbers;
	(void) matrix;
	return nn_embedding(place->graph, codes, 0, vector);
}

static NnNode
wrong_one_hot(Place *place, NnNode numbers, NnNode codes, NnParameter matrix, NnParameter vector)
{
	(void) numbers;
	(void) matrix;
	(void) vector;
	return nn_one_hot(place->graph, codes, 0, 0);
}

static NnNode
wrong_edges(Place *place, NnNode numbers, NnNode codes, NnParameter matrix, NnParameter vector)
{
	(void) codes;
	(void) matrix;
	return nn_piecewise_linear(place->graph, numbers, vector);
}

static NnNode
wrong_edges_trained(Place *place, NnNode numbers, NnNode codes, NnParameter matrix, NnParameter vector)
{
	(void) codes;
	(void) vector;
	return nn_piecewise_linear(place->graph, numbers, matrix);
}

static NnNode
wrong_frequencies(Place *place, NnNode numbers, NnNode codes, NnParameter matrix, NnParameter vector)
{
	(void) codes;
	(void) matrix;
	return nn_periodic(place->graph, numbers, vector);
}

static NnNode
wrong_softmax(Place *place, NnNode numbers, NnNode codes, NnParameter matrix, NnParameter vector)
{
	(void) numbers;
	(void) matrix;
	(void) vector;
	return nn_softmax(place->graph, codes);
}

static NnNode
wrong_ensemble(Place *place, NnNode numbers, NnNode codes, NnParameter matrix, NnParameter vector)
{
	(void) codes;
	(void) matrix;
	(void) vector;
	return nn_ensemble_mean(place->graph, numbers, NN_MEAN_VALUE);
}

static void
check_wrong(void)
{
	static const struct
	{
		const char *name;
		Wrong		build;
	}			wrongs[] = {
		{"layer_norm with a matrix as gain", wrong_gain},
		{"batch_norm with epsilon 0", wrong_epsilon},
		{"batch_norm without a running mean", wrong_statistics},
		{"embedding of numbers", wrong_embedding_source},
		{"embedding of a column that is not there", wrong_embedding_column},
		{"embedding in a vector", wrong_embedding_table},
		{"one_hot of no category", wrong_one_hot},
		{"piecewise_linear with a vector of edges", wrong_edges},
		{"piecewise_linear with trained edges", wrong_edges_trained},
		{"periodic with a vector of frequencies", wrong_frequencies},
		{"softmax of codes", wrong_softmax},
		{"ensemble_mean of a vector", wrong_ensemble}
	};

	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++)
	{
		NnShape		three = nn_shape(1, 3, 0, 0, 0);
		NnShape		square = nn_shape(2, 3, 3, 0, 0);
		Place		place;
		NnNode		numbers;
		NnNode		codes;
		NnParameter matrix;
		NnParameter vector;

		place_open(&place);
		numbers = nn_input(place.graph, "numbers", &three);
		codes = nn_codes(place.graph, "codes", 2);
		matrix = nn_parameter(place.graph, "matrix", &square, NN_ROLE_MATRIX, NN_INIT_ONE, 0, NULL);
		vector = nn_parameter(place.graph, "vector", &three, NN_ROLE_VECTOR, NN_INIT_ONE, 0, NULL);
		CHECK(wrongs[i].build(&place, numbers, codes, matrix, vector) == NN_NONE, "%s is refused", wrongs[i].name);
		CHECK_STATUS(place.session, nn_graph_compile(place.graph), DEV_INVALID, "%s: %s", wrongs[i].name,
					 dev_message_text(place.session));
		dev_session_close(place.session);
	}
}

int
main(void)
{
	check_all(operator_cases, N_CASES(operator_cases));
	check_all(convolution_cases, N_CASES(convolution_cases));
	check_piecewise_edges();
	check_shared_table();
	check_constant_rows();
	check_extreme_means();
	check_extreme_classes();
	check_dropout();
	check_wrong();
	return check_done();
}

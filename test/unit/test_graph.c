/*
 * test_graph.c: building, compiling and running graphs: what is refused, what is computed, what is shared.
 *
 * Operators one by one are in test_operators.c; here it is about several nodes at once.
 */
#include "check.h"

#include <pthread.h>

#include "idla/nn.h"
#include "nn/operator.h"

#define MAX_WEIGHTS 4096

typedef struct Place
{
	DevSession *session;
	DevDevice  *device;
	NnGraph    *graph;
	float	   *weights;
	float	   *diff_weights;
} Place;

static NnShape
shape1(size_t n)
{
	return nn_shape(1, n, 0, 0, 0);
}

static NnShape
shape2(size_t a, size_t b)
{
	return nn_shape(2, a, b, 0, 0);
}

static void
place_open(Place *place)
{
	memset(place, 0, sizeof(*place));
	CHECK_OR_STOP(dev_session_open(NULL, 3, &place->session) == DEV_OK &&
				  dev_cpu_open(place->session, NULL, &place->device) == DEV_OK &&
				  nn_graph_create(place->session, &place->graph) == DEV_OK, "a graph is created");
	place->weights = dev_alloc(place->session, MAX_WEIGHTS, sizeof(float));
	place->diff_weights = dev_alloc(place->session, MAX_WEIGHTS, sizeof(float));
	CHECK_OR_STOP(place->weights != NULL && place->diff_weights != NULL, "memory for weights");
}

static NnRun *
place_run(Place *place, size_t batch)
{
	NnRun	   *run = NULL;

	CHECK_STATUS(place->session, nn_graph_compile(place->graph), DEV_OK, "the graph compiles");
	CHECK_OR_STOP(nn_graph_weights(place->graph) <= MAX_WEIGHTS &&
				  nn_run_create(place->graph, place->device, batch, NN_RUN_WHOLE, &run) == DEV_OK, "a run is created");
	nn_graph_initialize(place->graph, 3, place->weights);
	nn_run_bind(run, place->weights, place->diff_weights);
	return run;
}

static NnParameter
matrix(Place *place, const char *name, size_t in, size_t out)
{
	NnShape		shape = shape2(in, out);

	return nn_parameter(place->graph, name, &shape, NN_ROLE_MATRIX, NN_INIT_NORMAL, 0.5f, NULL);
}

static NnParameter
vector(Place *place, const char *name, size_t n)
{
	NnShape		shape = shape1(n);

	return nn_parameter(place->graph, name, &shape, NN_ROLE_VECTOR, NN_INIT_UNIFORM, 0.5f, NULL);
}

static NnNode
input(Place *place, const char *name, size_t n)
{
	NnShape		shape = shape1(n);

	return nn_input(place->graph, name, &shape);
}

static void
draw(size_t n, uint64_t stream, float *values)
{
	for (size_t i = 0; i < n; i++)
		values[i] = (float) (2 * dev_random_uniform(17, stream, i) - 1);
}

/* ---- What is refused ---- */

static void
refuse_empty(Place *place)
{
	(void) place;
}

static void
refuse_wrong_weights(Place *place)
{
	nn_linear(place->graph, input(place, "x", 3), matrix(place, "w", 4, 5));
}

static void
refuse_missing_weights(Place *place)
{
	nn_linear(place->graph, input(place, "x", 3), NN_NONE);
}

static void
refuse_unknown_node(Place *place)
{
	nn_activation(place->graph, 77, DEV_MAP_RELU);
}

static void
refuse_unknown_parameter(Place *place)
{
	nn_linear(place->graph, input(place, "x", 3), 77);
}

static void
refuse_twin_parameters(Place *place)
{
	input(place, "x", 3);
	matrix(place, "w", 3, 3);
	matrix(place, "w", 3, 3);
}

static void
refuse_empty_shape(Place *place)
{
	input(place, "x", 0);
}

static void
refuse_rank(Place *place)
{
	NnShape		shape = {5, {1, 1, 1, 1}};

	nn_input(place->graph, "x", &shape);
}

static void
refuse_overflow(Place *place)
{
	NnShape		shape = nn_shape(4, SIZE_MAX / 2, SIZE_MAX / 2, 3, 5);

	nn_input(place->graph, "x", &shape);
}

static void
refuse_huge_parameter(Place *place)
{
	NnShape		shape = shape2((size_t) 1 << 33, (size_t) 1 << 33);

	input(place, "x", 3);
	nn_parameter(place->graph, "w", &shape, NN_ROLE_MATRIX, NN_INIT_ZERO, 0, NULL);
}

static void
refuse_given_nothing(Place *place)
{
	NnShape		shape = shape1(3);

	input(place, "x", 3);
	nn_parameter(place->graph, "w", &shape, NN_ROLE_VECTOR, NN_INIT_GIVEN, 0, NULL);
}

static void
refuse_codes_as_numbers(Place *place)
{
	nn_activation(place->graph, nn_codes(place->graph, "codes", 3), DEV_MAP_RELU);
}

static void
refuse_rate(Place *place)
{
	nn_dropout(place->graph, input(place, "x", 3), 1.0f);
}

static void
refuse_rate_nan(Place *place)
{
	nn_dropout(place->graph, input(place, "x", 3), NAN);
}

static void
refuse_function(Place *place)
{
	nn_activation(place->graph, input(place, "x", 3), (DevMap) 999);
}

static void
refuse_sum_of_different(Place *place)
{
	nn_add(place->graph, input(place, "x", 3), input(place, "y", 4));
}

static void
refuse_reshape(Place *place)
{
	NnShape		shape = shape2(2, 2);

	nn_reshape(place->graph, input(place, "x", 6), &shape);
}

static void
refuse_empty_concat(Place *place)
{
	input(place, "x", 6);
	nn_concat(place->graph, NULL, 0);
}

static void
refuse_bias(Place *place)
{
	nn_bias(place->graph, input(place, "x", 6), vector(place, "b", 5));
}

static void
check_refusals(void)
{
	static const struct
	{
		const char *what;
		void		(*build) (Place *place);
		const char *says;		/* part of the message */
	}			refused[] = {
		{"an empty graph", refuse_empty, "node"},
		{"weights that do not fit", refuse_wrong_weights, "(4, 5)"},
		{"missing weights", refuse_missing_weights, "missing"},
		{"an unknown node", refuse_unknown_node, "77"},
		{"an unknown parameter", refuse_unknown_parameter, "77"},
		{"two parameters of one name", refuse_twin_parameters, "\"w\""},
		{"an empty input", refuse_empty_shape, "shape"},
		{"a rank of five", refuse_rank, "shape"},
		{"a size that overflows", refuse_overflow, "shape"},
		{"a parameter beyond all memory", refuse_huge_parameter, "\"w\""},
		{"given values that are not given", refuse_given_nothing, "\"w\""},
		{"codes where numbers are needed", refuse_codes_as_numbers, "codes"},
		{"a dropout rate of one", refuse_rate, "rate 1"},
		{"a dropout rate that is no number", refuse_rate_nan, "rate"},
		{"an unknown function", refuse_function, "999"},
		{"a sum of different shapes", refuse_sum_of_different, "(4)"},
		{"a reshape to another size", refuse_reshape, "6 values"},
		{"nothing put together", refuse_empty_concat, "nothing"},
		{"a bias that does not fit", refuse_bias, "(5)"}
	};

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
	{
		Place		place;
		NnRun	   *run;

		place_open(&place);
		refused[i].build(&place);
		CHECK(nn_graph_compile(place.graph) == DEV_INVALID, "%s: refused", refused[i].what);
		CHECK(strstr(dev_message_text(place.session), refused[i].says) != NULL, "%s: \"%s\"", refused[i].what,
			  dev_message_text(place.session));
		CHECK(nn_run_create(place.graph, place.device, 1, NN_RUN_WHOLE, &run) == DEV_INVALID && run == NULL,
			  "%s: nothing to run", refused[i].what);
		dev_session_close(place.session);
	}
}

/* The first failure is the one told, later builders do nothing. */
static void
check_first_failure(void)
{
	Place		place;
	NnNode		bad;

	place_open(&place);
	bad = nn_linear(place.graph, input(&place, "x", 3), matrix(&place, "first", 4, 5));
	CHECK(bad == NN_NONE, "a failed builder gives no node");
	CHECK(nn_activation(place.graph, bad, DEV_MAP_RELU) == NN_NONE, "what is built on it is none either");
	CHECK(matrix(&place, "second", 0, 0) == NN_NONE, "nor are parameters made any more");
	CHECK(nn_graph_compile(place.graph) == DEV_INVALID && strstr(dev_message_text(place.session), "linear") != NULL,
		  "the first failure is told: %s", dev_message_text(place.session));
	dev_session_close(place.session);
}

static void
check_misuse(void)
{
	float		rows[12] = {0};
	Place		place;
	NnRun	   *run;
	NnNode		x;
	NnNode		y;

	place_open(&place);
	x = input(&place, "x", 3);
	y = nn_activation(place.graph, x, DEV_MAP_RELU);
	run = place_run(&place, 2);
	CHECK(nn_activation(place.graph, x, DEV_MAP_RELU) == NN_NONE, "a compiled graph does not grow");
	CHECK_STATUS(place.session, nn_run_synchronize(run), DEV_OK, "nothing is wrong yet");
	nn_run_forward(run, y, NN_INFER, 0, 0, 0);
	CHECK_STATUS(place.session, nn_run_synchronize(run), DEV_OK, "a pass without rows is nothing");
	CHECK(nn_run_value(run, 55) == NULL && nn_run_gradient(run, -3) == NULL, "an unknown node has no value");
	CHECK(nn_graph_shape(place.graph, 9) == NULL && nn_graph_parameter(place.graph, 0) == NULL &&
		  nn_graph_find(place.graph, "none") == NN_NONE, "nor shape; unknown parameters are none");
	CHECK(nn_run_norms(run, rows) == DEV_OK, "norms of no examples are none");
	nn_run_set(run, x, 2, rows);
	CHECK(nn_run_norms(run, rows) == DEV_INVALID, "norms need a backward pass");
	nn_run_set(run, x, 3, rows);
	CHECK(nn_run_synchronize(run) == DEV_INVALID, "more rows than there is room for are told");
	dev_session_close(place.session);
}

/* ---- What is computed ---- */

/*
 * x -> linear -> bias -> relu -> linear: `plain` keeps nodes from sharing buffers by giving each a second reader.
 * Both must compute the same numbers.
 */
typedef struct Chain
{
	Place		place;
	NnRun	   *run;
	NnNode		x;
	NnNode		hidden;
	NnNode		dst;
} Chain;

static void
build_chain(Chain *chain, bool plain)
{
	Place	   *place = &chain->place;
	NnNode		linear;
	NnNode		bias;

	place_open(place);
	chain->x = input(place, "x", 5);
	linear = nn_linear(place->graph, chain->x, matrix(place, "w1", 5, 7));
	bias = nn_bias(place->graph, linear, vector(place, "b1", 7));
	chain->hidden = nn_activation(place->graph, bias, DEV_MAP_RELU);
	chain->hidden = nn_dropout(place->graph, chain->hidden, 0.25f);
	chain->dst = nn_linear(place->graph, chain->hidden, matrix(place, "w2", 7, 2));
	if (plain)
	{
		nn_activation(place->graph, linear, DEV_MAP_COPY);
		nn_activation(place->graph, bias, DEV_MAP_COPY);
		nn_activation(place->graph, chain->hidden, DEV_MAP_COPY);
	}
	chain->run = place_run(place, 6);
}

static void
check_shared_buffers(void)
{
	float		x[30];
	float		seed[12];
	float		squared[2][6];
	Chain		chains[2];

	draw(30, 1, x);
	draw(12, 2, seed);
	for (int i = 0; i < 2; i++)
	{
		build_chain(&chains[i], i == 1);
		nn_run_set(chains[i].run, chains[i].x, 6, x);
		nn_run_forward(chains[i].run, chains[i].dst, NN_TRAIN, 1, 2, 0);
		nn_run_all_gradients(chains[i].run, true);
		nn_run_backward_from(chains[i].run, chains[i].dst, seed);
		CHECK_STATUS(chains[i].place.session, nn_run_norms(chains[i].run, squared[i]), DEV_OK, "norms of a chain");
	}
	CHECK(nn_run_value(chains[0].run, 1) == nn_run_value(chains[0].run, 2) &&
		  nn_run_value(chains[0].run, 2) == nn_run_value(chains[0].run, 3), "linear, bias and relu share one buffer");
	CHECK(nn_run_value(chains[1].run, 1) != nn_run_value(chains[1].run, 2), "but not when others read them");
	CHECK(memcmp(nn_run_value(chains[0].run, chains[0].dst), nn_run_value(chains[1].run, chains[1].dst), 12 * sizeof(float)) == 0,
		  "sharing changes no value");
	CHECK(memcmp(chains[0].place.diff_weights, chains[1].place.diff_weights, MAX_WEIGHTS * sizeof(float)) == 0,
		  "nor a gradient of weights");
	CHECK(memcmp(nn_run_gradient(chains[0].run, chains[0].x), nn_run_gradient(chains[1].run, chains[1].x), 30 * sizeof(float)) == 0,
		  "nor of inputs");
	CHECK(memcmp(squared[0], squared[1], sizeof(squared[0])) == 0, "nor a norm");
	for (int i = 0; i < 2; i++)
		dev_session_close(chains[i].place.session);
}

/* Row r of a batch of any size gives the same bits at inference, and any split of a batch the same sums in training. */
static void
check_batches(void)
{
	float		x[30];
	float		whole[12];
	float		gradient[MAX_WEIGHTS];
	float		seed[12];
	double		worst = 0;
	bool		same = true;
	bool		same_mask = true;
	Chain		chain;

	build_chain(&chain, false);
	draw(30, 1, x);
	draw(12, 2, seed);
	nn_run_set(chain.run, chain.x, 6, x);
	nn_run_forward(chain.run, chain.dst, NN_INFER, 0, 0, 0);
	memcpy(whole, nn_run_value(chain.run, chain.dst), sizeof(whole));
	for (size_t row = 0; row < 6; row++)
	{
		nn_run_set(chain.run, chain.x, 1, x + row * 5);
		nn_run_forward(chain.run, chain.dst, NN_INFER, 0, 0, 0);
		same = same && memcmp(nn_run_value(chain.run, chain.dst), whole + row * 2, 2 * sizeof(float)) == 0;
	}
	CHECK(same, "a row alone has the bits of the row in a batch");

	nn_run_set(chain.run, chain.x, 6, x);
	nn_run_forward(chain.run, chain.dst, NN_TRAIN, 8, 9, 0);
	memcpy(whole, nn_run_value(chain.run, chain.hidden), sizeof(whole));
	nn_run_backward_from(chain.run, chain.dst, seed);
	memcpy(gradient, chain.place.diff_weights, sizeof(gradient));
	memset(chain.place.diff_weights, 0, sizeof(gradient));
	for (size_t first = 0; first < 6; first += 4)
	{
		size_t		batch = first == 0 ? 4 : 2;

		nn_run_set(chain.run, chain.x, batch, x + first * 5);
		nn_run_forward(chain.run, chain.dst, NN_TRAIN, 8, 9, first);
		for (size_t i = 0; first == 0 && i < 12; i++)
			same_mask = same_mask && (nn_run_value(chain.run, chain.hidden)[i] == 0) == (whole[i] == 0);
		nn_run_backward_from(chain.run, chain.dst, seed + first * 2);
	}
	CHECK(same_mask, "threads that share a batch draw one thread's dropout");
	for (size_t i = 0; i < nn_graph_weights(chain.place.graph); i++)
		worst = fmax(worst, fabs(gradient[i] - chain.place.diff_weights[i]));
	CHECK(worst < 1e-5, "gradients of a split batch add up to the batch's (%g)", worst);
	nn_run_set(chain.run, chain.x, 6, x);
	nn_run_forward(chain.run, chain.dst, NN_TRAIN, 8, 10, 0);
	same = true;
	for (size_t i = 0; i < 12; i++)
		same = same && (nn_run_value(chain.run, chain.hidden)[i] == 0) == (whole[i] == 0);
	CHECK(!same, "the next step draws other masks");
	dev_session_close(chain.place.session);
}

/* A pass computes what its end needs and no more; forward_from takes a value as it is; gradients stop there. */
static void
check_parts(void)
{
	Place		place;
	NnRun	   *run;
	NnNode		parts[2];
	NnNode		features;
	NnNode		hidden;
	NnNode		dst;
	NnNode		other;
	NnNode		target;
	NnNode		loss;
	float		x[6] = {1, 2, 3, 4, 5, 6};
	float		y[2] = {1, -1};
	float		moved[10];
	float	   *value;
	double		sum = 0;

	place_open(&place);
	parts[0] = input(&place, "a", 3);
	parts[1] = input(&place, "b", 2);
	features = nn_concat(place.graph, parts, 2);
	other = nn_activation(place.graph, features, DEV_MAP_EXP);
	hidden = nn_activation(place.graph, nn_linear(place.graph, features, matrix(&place, "w", 5, 4)), DEV_MAP_TANH);
	dst = nn_linear(place.graph, hidden, matrix(&place, "v", 4, 1));
	target = input(&place, "y", 1);
	loss = nn_squared_error(place.graph, dst, target);
	run = place_run(&place, 2);

	nn_run_set(run, parts[0], 2, x);
	nn_run_set(run, parts[1], 2, x + 1);
	nn_run_set(run, target, 2, y);
	nn_run_value(run, other)[0] = -123;
	nn_run_forward(run, dst, NN_INFER, 0, 0, 0);
	CHECK(nn_run_value(run, features)[5] == 4 && nn_run_value(run, features)[3] == 2, "features stand side by side");
	CHECK(nn_run_value(run, other)[0] == -123, "what is not needed is not computed");

	/* A gradient at an inner node below which there is no parameter, as explanations want it. */
	nn_run_forward(run, loss, NN_INFER, 0, 0, 0);
	nn_run_backward(run, loss, 1.0f, NULL);
	CHECK(nn_run_gradient(run, features)[0] != 0 && nn_run_gradient(run, parts[1])[0] == nn_run_gradient(run, features)[3],
		  "after an inference pass every node has its gradient");
	CHECK(nn_run_gradient(run, other)[0] == 0 && nn_run_gradient(run, target)[0] == 0, "zero where nothing depends");

	memset(place.diff_weights, 0, MAX_WEIGHTS * sizeof(float));
	nn_run_forward(run, loss, NN_TRAIN, 0, 0, 0);
	nn_run_backward(run, loss, 1.0f, NULL);
	CHECK(nn_run_gradient(run, features)[0] == 0, "after a training pass plain inputs have none");
	for (size_t i = 0; i < nn_graph_weights(place.graph); i++)
		sum += fabs(place.diff_weights[i]);
	CHECK(sum > 0, "but weights have");

	/* Without the inputs: values are put into the node. */
	draw(10, 3, moved);
	value = nn_run_value(run, features);
	memcpy(value, moved, sizeof(moved));
	nn_run_forward_from(run, &features, 1, loss, NN_INFER);
	CHECK(memcmp(nn_run_value(run, features), moved, sizeof(moved)) == 0, "forward_from leaves the value it starts from");
	sum = nn_run_value(run, loss)[0];
	nn_run_bind(run, place.weights, NULL);
	nn_run_backward(run, loss, 1.0f, NULL);
	{
		float		slope = nn_run_gradient(run, features)[2];

		value[2] = moved[2] + 1e-3f;
		nn_run_forward_from(run, &features, 1, loss, NN_INFER);
		CHECK_NEAR((nn_run_value(run, loss)[0] - sum) / 1e-3, slope, 0.02, "its gradient is the slope there");
	}
	dev_session_close(place.session);
}

static void
check_weighted_backward(void)
{
	Place		place;
	NnRun	   *run;
	NnNode		x;
	NnNode		dst;
	float		rows[4] = {1, 2, 3, 4};
	float		weights[2] = {0.5f, -2};

	place_open(&place);
	x = input(&place, "x", 2);
	dst = nn_bias(place.graph, x, vector(&place, "b", 2));
	run = place_run(&place, 2);
	nn_run_set(run, x, 2, rows);
	nn_run_forward(run, dst, NN_TRAIN, 0, 0, 0);
	nn_run_backward(run, dst, 3.0f, weights);
	CHECK(place.diff_weights[0] == 3 * (0.5f - 2) && place.diff_weights[1] == place.diff_weights[0],
		  "backward multiplies scale and the weights of examples");
	nn_run_backward(run, dst, 1.0f, NULL);
	CHECK(place.diff_weights[0] == 3 * (0.5f - 2) + 2, "and adds to what is there");
	dev_session_close(place.session);
}

/* A view of a node that others read too: gradients of all readers meet in one buffer. */
static void
check_reshape_readers(void)
{
	Place		place;
	NnRun	   *run;
	NnNode		base;
	NnNode		x;
	NnNode		view;
	NnNode		dst;
	NnShape		shape = shape2(3, 2);
	NnShape		back = shape1(6);
	float		rows[6] = {1, 2, 3, 4, 5, 6};

	place_open(&place);
	x = input(&place, "x", 6);
	base = nn_bias(place.graph, x, vector(&place, "b", 6));
	view = nn_reshape(place.graph, base, &shape);
	view = nn_activation(place.graph, view, DEV_MAP_RELU);
	view = nn_reshape(place.graph, view, &back);
	dst = nn_add(place.graph, nn_activation(place.graph, base, DEV_MAP_SQUARE), view);
	run = place_run(&place, 1);
	memset(place.weights, 0, MAX_WEIGHTS * sizeof(float));
	nn_run_set(run, x, 1, rows);
	nn_run_forward(run, dst, NN_TRAIN, 0, 0, 0);
	CHECK(nn_run_value(run, dst)[1] == 6 && nn_run_value(run, base)[1] == 2, "relu of a view leaves what others read");
	nn_run_backward(run, dst, 1.0f, NULL);
	CHECK(place.diff_weights[0] == 3 && place.diff_weights[5] == 13, "gradients of a node and of its view add up");
	dev_session_close(place.session);
}

/* ---- Shared parameters ---- */

/* One matrix at two places: the norm of the sum is not the sum of the norms. */
static void
check_shared_norms(void)
{
	Place		place;
	NnRun	   *run;
	NnNode		x;
	NnNode		dst;
	NnParameter w;
	NnShape		positions = shape2(3, 4);
	float		rows[5 * 4];
	float		squared[5];
	float		one[5];
	double		worst = 0;

	place_open(&place);
	w = matrix(&place, "shared", 4, 4);
	x = input(&place, "x", 4);
	dst = nn_activation(place.graph, nn_linear(place.graph, x, w), DEV_MAP_TANH);
	dst = nn_bias(place.graph, nn_linear(place.graph, dst, w), vector(&place, "b", 4));
	dst = nn_ensemble_scale(place.graph, dst, nn_parameter(place.graph, "scale", &positions, NN_ROLE_TABLE,
														  NN_INIT_NORMAL, 1, NULL));
	dst = nn_linear(place.graph, dst, matrix(&place, "last", 4, 2));
	run = place_run(&place, 5);
	draw(20, 5, rows);
	nn_run_set(run, x, 5, rows);
	nn_run_forward(run, dst, NN_TRAIN, 0, 0, 0);
	nn_run_backward(run, dst, 1.0f, NULL);
	CHECK_STATUS(place.session, nn_run_norms(run, squared), DEV_OK, "norms with a shared matrix");
	for (size_t row = 0; row < 5; row++)
	{
		double		sum = 0;

		memset(place.diff_weights, 0, MAX_WEIGHTS * sizeof(float));
		nn_run_set(run, x, 1, rows + row * 4);
		nn_run_forward(run, dst, NN_TRAIN, 0, 0, row);
		nn_run_backward(run, dst, 1.0f, NULL);
		for (size_t i = 0; i < nn_graph_weights(place.graph); i++)
			sum += (double) place.diff_weights[i] * place.diff_weights[i];
		CHECK_STATUS(place.session, nn_run_norms(run, one), DEV_OK, "norm of example %zu alone", row);
		worst = fmax(worst, fmax(fabs(squared[row] - sum), fabs(one[0] - sum)) / sum);
	}
	CHECK(worst < 1e-5, "per-example norms with cross terms (%g)", worst);
	dev_session_close(place.session);
}

/* ---- Initial weights ---- */

static void
check_initialisation(void)
{
	Place		place;
	NnShape		shape = shape1(500);
	float		given[3] = {7, 8, 9};
	NnShape		three = shape1(3);
	NnParameter p[6];
	float		first[MAX_WEIGHTS];
	double		normal = 0;
	bool		signs = true;
	bool		bounded = true;

	place_open(&place);
	input(&place, "x", 1);
	p[0] = nn_parameter(place.graph, "zero", &three, NN_ROLE_VECTOR, NN_INIT_ZERO, 0, NULL);
	p[1] = nn_parameter(place.graph, "one", &three, NN_ROLE_VECTOR, NN_INIT_ONE, 0, NULL);
	p[2] = nn_parameter(place.graph, "uniform", &shape, NN_ROLE_MATRIX, NN_INIT_UNIFORM, 0.1f, NULL);
	p[3] = nn_parameter(place.graph, "normal", &shape, NN_ROLE_TABLE, NN_INIT_NORMAL, 2.0f, NULL);
	p[4] = nn_parameter(place.graph, "sign", &shape, NN_ROLE_TABLE, NN_INIT_SIGN, 0, NULL);
	p[5] = nn_parameter(place.graph, "given", &three, NN_ROLE_CONSTANT, NN_INIT_GIVEN, 0, given);
	nn_parameter_rate(place.graph, p[3], 0.25f);
	CHECK_STATUS(place.session, nn_graph_compile(place.graph), DEV_OK, "a graph of parameters compiles");
	nn_graph_initialize(place.graph, 3, place.weights);
	memcpy(first, place.weights, sizeof(first));
	for (int i = 0; i < 6; i++)
		CHECK(nn_graph_parameter(place.graph, p[i])->offset % 16 == 0 && nn_graph_find(place.graph,
			  nn_graph_parameter(place.graph, p[i])->name) == p[i], "parameter %d is found by name, on a cache line", i);
	CHECK(nn_graph_parameters(place.graph) == 6 && nn_graph_parameter(place.graph, p[3])->rate_factor == 0.25f &&
		  nn_graph_parameter(place.graph, p[2])->decayed && !nn_graph_parameter(place.graph, p[3])->decayed,
		  "rates and decay are kept");
	for (size_t i = 0; i < 500; i++)
	{
		bounded = bounded && fabsf(first[nn_graph_parameter(place.graph, p[2])->offset + i]) <= 0.1f;
		normal += pow(first[nn_graph_parameter(place.graph, p[3])->offset + i], 2) / 500;
		signs = signs && fabsf(first[nn_graph_parameter(place.graph, p[4])->offset + i]) == 1.0f;
	}
	CHECK(first[0] == 0 && first[16] == 1 && first[19] == 0, "zeros, ones, and zeros between parameters");
	CHECK(bounded && signs, "uniform numbers in their bounds, signs");
	CHECK_NEAR(normal, 4.0, 0.15, "variance of normal numbers");
	CHECK(first[nn_graph_parameter(place.graph, p[5])->offset + 2] == 9, "given values");
	nn_graph_initialize(place.graph, 3, place.weights);
	CHECK(memcmp(first, place.weights, nn_graph_weights(place.graph) * sizeof(float)) == 0, "one seed, one start");
	nn_graph_initialize(place.graph, 4, place.weights);
	CHECK(memcmp(first, place.weights, nn_graph_weights(place.graph) * sizeof(float)) != 0, "another seed, another start");
	dev_session_close(place.session);
}

/* ---- Memory ---- */

static DevStatus
build_everything(const DevHost *host, DevSession **session)
{
	DevDevice  *device;
	Place		place = {0};
	NnRun	   *run;
	NnNode		x;
	NnNode		dst;
	NnParameter w;
	DevStatus	status = dev_session_open(host, 1, session);

	if (status != DEV_OK)
		return status;
	place.session = *session;
	status = dev_cpu_open(*session, "", &device);
	if (status != DEV_OK)
		return status;
	status = nn_graph_create(*session, &place.graph);
	if (status != DEV_OK)
		return status;
	w = matrix(&place, "w", 4, 4);
	x = input(&place, "x", 4);
	dst = nn_linear(place.graph, x, w);
	for (int i = 0; i < 20; i++)	/* past the first room for nodes and parameters */
	{
		char		name[32];

		snprintf(name, sizeof(name), "b%d", i);
		dst = nn_bias(place.graph, nn_linear(place.graph, dst, w), vector(&place, name, 4));
	}
	dst = nn_dropout(place.graph, dst, 0.5f);
	dst = nn_squared_error(place.graph, dst, x);
	status = nn_graph_compile(place.graph);
	return status != DEV_OK ? status : nn_run_create(place.graph, device, 3, NN_RUN_WHOLE, &run);
}

static void
check_every_allocation(void)
{
	size_t		n = 1;
	bool		good = true;
	DevStatus	status;

	do
	{
		CheckHost	counts;
		DevHost		host = check_host(&counts, n++);
		DevSession *session;

		status = build_everything(&host, &session);
		good = good && (status == DEV_OK || (status == DEV_NO_MEMORY && (session == NULL || dev_status(session) == DEV_NO_MEMORY)));
		dev_session_close(session);
		good = good && counts.held == 0;
	} while (status != DEV_OK && n < 2000);
	CHECK(good && status == DEV_OK && n > 100, "graph and run survive the failure of each of %zu allocations", n - 2);
}

/* A graph with every kind of memory, and its run, go without a trace while the session lives on. */
static void
check_freeing(void)
{
	Place		place;
	NnRun	   *run;
	NnNode		x;
	NnNode		dst;
	NnNode		codes;
	float		values[4] = {1, 2, 3, 4};
	NnShape		shape = shape1(4);
	NnParameter w;
	size_t		before;

	place_open(&place);
	nn_graph_free(place.graph);
	before = dev_session_used(place.session);
	for (int i = 0; i < 3; i++)
	{
		CHECK_OR_STOP(nn_graph_create(place.session, &place.graph) == DEV_OK, "a graph is created");
		w = matrix(&place, "w", 4, 4);
		x = input(&place, "x", 4);
		codes = nn_codes(place.graph, "codes", 1);
		dst = nn_linear(place.graph, nn_linear(place.graph, x, w), w);
		dst = nn_bias(place.graph, dst, nn_parameter(place.graph, "b", &shape, NN_ROLE_VECTOR, NN_INIT_GIVEN, 0, values));
		dst = nn_cross_entropy(place.graph, nn_dropout(place.graph, dst, 0.5f), codes, values, 0.1f);
		run = place_run(&place, 3);
		nn_run_free(run);
		nn_graph_free(place.graph);
		CHECK(dev_session_used(place.session) == before, "what is freed is back");
	}
	nn_run_free(NULL);
	nn_graph_free(NULL);
	dev_session_close(place.session);
}

static void
check_impossible_run(void)
{
	Place		place;
	NnRun	   *run;
	NnNode		x;
	size_t		before;

	place_open(&place);
	x = input(&place, "x", 1000000);
	nn_dropout(place.graph, x, 0.5f);
	CHECK_STATUS(place.session, nn_graph_compile(place.graph), DEV_OK, "a wide graph compiles");
	before = dev_session_used(place.session);
	CHECK(nn_run_create(place.graph, place.device, SIZE_MAX / 1000, NN_RUN_WHOLE, &run) == DEV_NO_MEMORY && run == NULL,
		  "a run beyond all memory is refused: %s", dev_message_text(place.session));
	CHECK(nn_run_create(place.graph, place.device, 0, NN_RUN_WHOLE, &run) == DEV_INVALID, "so is one without rows");
	CHECK(dev_session_used(place.session) == before, "a refused run leaves nothing");
	dev_session_close(place.session);
}

/* ---- Threads ---- */

typedef struct Worker
{
	pthread_t	thread;
	NnRun	   *run;
	NnNode		x;
	NnNode		dst;
	const float *rows;
	bool		started;
} Worker;

static void *
run_often(void *argument)
{
	Worker	   *w = argument;

	for (uint64_t step = 0; step < 50; step++)
	{
		nn_run_set(w->run, w->x, 6, w->rows);
		nn_run_forward(w->run, w->dst, NN_TRAIN, 1, step, 0);
		nn_run_backward(w->run, w->dst, 1.0f, NULL);
	}
	return NULL;
}

static void
check_threads(void)
{
	Chain		chain;
	Worker		workers[3];
	float		x[30];
	float	   *diff_weights[3];
	size_t		n;
	bool		same = true;

	build_chain(&chain, false);
	n = nn_graph_weights(chain.place.graph);
	draw(30, 1, x);
	for (int i = 0; i < 3; i++)
	{
		workers[i] = (Worker) {.x = chain.x, .dst = chain.dst, .rows = x};
		diff_weights[i] = dev_alloc(chain.place.session, n, sizeof(float));
		CHECK_OR_STOP(diff_weights[i] != NULL && nn_run_create(chain.place.graph, chain.place.device, 6, NN_RUN_WHOLE,
															  &workers[i].run) == DEV_OK, "a run for thread %d", i);
		nn_run_bind(workers[i].run, chain.place.weights, diff_weights[i]);
	}
	for (int i = 0; i < 3; i++)
		workers[i].started = pthread_create(&workers[i].thread, NULL, run_often, &workers[i]) == 0;
	for (int i = 0; i < 3; i++)
		if (workers[i].started)
			pthread_join(workers[i].thread, NULL);
	for (int i = 0; i < 3; i++)
		same = same && workers[i].started && memcmp(diff_weights[0], diff_weights[i], n * sizeof(float)) == 0;
	CHECK(same, "threads that share a graph compute the same");
	dev_session_close(chain.place.session);
}

int
main(void)
{
	check_refusals();
	check_first_failure();
	check_misuse();
	check_shared_buffers();
	check_batches();
	check_parts();
	check_weighted_backward();
	check_reshape_readers();
	check_shared_norms();
	check_initialisation();
	check_every_allocation();
	check_freeing();
	check_impossible_run();
	check_threads();
	return check_done();
}

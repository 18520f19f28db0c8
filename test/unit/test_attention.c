/*
 * test_attention.c: attention and its neighbours in graphs: against finite differences, with lengths, with dropout,
 * over a long sequence within little memory, and wrong requests.
 */
#include "cases_attention.h"
#include "gradients.h"

typedef struct Place
{
	DevSession *session;
	DevDevice  *device;
	NnGraph    *graph;
	NnRun	   *run;
	float	   *weights;
	float	   *diff_weights;
	NnNode		lengths;
} Place;

static void
place_open(Place *place, size_t memory_limit)
{
	DevHost		host = {.memory_limit = memory_limit};

	memset(place, 0, sizeof(*place));
	CHECK_OR_STOP(dev_session_open(&host, 3, &place->session) == DEV_OK &&
				  dev_cpu_open(place->session, "", &place->device) == DEV_OK &&
				  nn_graph_create(place->session, &place->graph) == DEV_OK, "a graph is created");
	place->lengths = NN_NONE;
}

static void
place_compile(Place *place, size_t batch)
{
	size_t		n;

	CHECK_STATUS(place->session, nn_graph_compile(place->graph), DEV_OK, "the graph compiles");
	CHECK_STATUS(place->session, nn_run_create(place->graph, place->device, batch, NN_RUN_WHOLE, &place->run), DEV_OK, "a run is created");
	n = nn_graph_weights(place->graph);
	place->weights = dev_alloc(place->session, n + 1, sizeof(float));
	place->diff_weights = dev_alloc(place->session, n + 1, sizeof(float));
	CHECK_OR_STOP(place->run != NULL && place->diff_weights != NULL, "memory for %zu weights", n);
	nn_graph_initialize(place->graph, 3, place->weights);
	nn_run_bind(place->run, place->weights, place->diff_weights);
}

static NnParameter
parameter(Place *place, const char *name, NnShape shape)
{
	return nn_parameter(place->graph, name, &shape, shape.rank == 1 ? NN_ROLE_VECTOR : NN_ROLE_MATRIX, NN_INIT_NORMAL, 0.5f, NULL);
}

static NnNode
project(Place *place, NnNode src, const char *name, size_t in, size_t out)
{
	return nn_linear(place->graph, src, parameter(place, name, nn_shape(2, in, out, 0, 0)));
}

static void
draw(size_t n, uint64_t stream, float *values)
{
	for (size_t i = 0; i < n; i++)
		values[i] = (float) dev_random_normal(17, stream, i);
}

/* ---- Lengths ---- */

/* A small Transformer over codes, or over (length, 4) numbers, whose first position is the answer. */
static NnNode
encoder(Place *place, NnNode node, size_t width)
{
	NnNode		query;

	node = nn_sinusoid(place->graph, node);
	query = project(place, nn_layer_norm(place->graph, node, NN_NONE, NN_NONE, 1e-5f), "query", width, width);
	return nn_attention(place->graph, query, project(place, node, "key", width, width), project(place, node, "value", width, width),
						place->lengths, 2, false, 0);
}

/* The same two texts in graphs for 6 and for 11 codes: what is padded, and how much of it, changes nothing. */
static void
check_padding(void)
{
	static const int32_t texts[2][6] = {{1, 2, 2, 0, 7, 7}, {4, 1, 3, 3, 0, 2}};
	static const int32_t lengths[] = {4, 6};
	float		values[2][2][6 * 8];
	float		norms[2][2];
	float		diffs[2][200];
	bool		zeros = true;
	bool		close = true;
	Place		place;

	for (int longer = 0; longer < 2; longer++)
	{
		size_t		length = longer ? 11 : 6;
		int32_t		codes[22];
		float		seed[2 * 11 * 8];
		NnNode		src;
		NnNode		dst;

		for (size_t i = 0; i < 2 * length; i++)
			codes[i] = i % length < 6 ? texts[i / length][i % length] : 3;
		place_open(&place, 0);
		src = nn_codes(place.graph, "codes", length);
		place.lengths = nn_codes(place.graph, "lengths", 1);
		dst = encoder(&place, nn_token_embedding(place.graph, src, parameter(&place, "table", nn_shape(2, 5, 8, 0, 0)),
												 place.lengths), 8);
		place_compile(&place, 2);
		nn_run_set_codes(place.run, src, 2, codes);
		nn_run_set_codes(place.run, place.lengths, 2, lengths);
		nn_run_forward(place.run, dst, NN_INFER, 0, 0, 0);
		for (size_t b = 0; b < 2; b++)
		{
			float	   *value = nn_run_value(place.run, dst) + b * length * 8;

			memset(values[longer][b], 0, sizeof(values[longer][b]));
			memcpy(values[longer][b], value, (size_t) lengths[b] * 8 * sizeof(float));
			for (size_t i = (size_t) lengths[b] * 8; i < length * 8; i++)
				zeros = zeros && value[i] == 0;
		}
		/* the same gradient for the first 6 positions, rubbish beyond */
		draw(2 * length * 8, 9, seed);
		for (size_t b = 0; b < 2; b++)
			for (size_t i = 0; i < 6 * 8; i++)
				seed[b * length * 8 + i] = (float) (i % 7) - 3;
		nn_run_backward_from(place.run, dst, seed);
		CHECK_STATUS(place.session, nn_run_norms(place.run, norms[longer]), DEV_OK, "norms of texts in %zu places", length);
		CHECK_OR_STOP(nn_graph_weights(place.graph) <= 300, "few weights");
		memcpy(diffs[longer], place.diff_weights, 200 * sizeof(float));
		dev_session_close(place.session);
	}
	CHECK(memcmp(values[0], values[1], sizeof(values[0])) == 0, "a text gives the same bits however much it is padded");
	CHECK(zeros, "and zeros beyond its end");
	for (int b = 0; b < 2; b++)
		CHECK_NEAR(norms[1][b] / norms[0][b], 1, 1e-5, "padding has no part in the norm of example %d", b);
	for (size_t i = 0; i < 200; i++)
		close = close && fabsf(diffs[0][i] - diffs[1][i]) <= 1e-5f * (1 + fabsf(diffs[0][i]));
	CHECK(close, "nor in the gradients");
}

/* Query and key that come from different inputs are not one sequence, even of equal length: all queries have results. */
static void
check_meeting(void)
{
	static const int32_t length = 2;
	NnShape		shape = nn_shape(2, 3, 4, 0, 0);
	float		x[12];
	Place		place;

	draw(12, 1, x);
	for (int apart = 0; apart < 2; apart++)
	{
		NnNode		a;
		NnNode		b;
		NnNode		dst;

		place_open(&place, 0);
		a = nn_input(place.graph, "a", &shape);
		b = apart ? nn_input(place.graph, "b", &shape) : a;
		place.lengths = nn_codes(place.graph, "lengths", 1);
		dst = nn_attention(place.graph, nn_add(place.graph, project(&place, a, "query", 4, 4), a), project(&place, b, "key", 4, 4), b,
						   place.lengths, 1, false, 0);
		place_compile(&place, 1);
		nn_run_set(place.run, a, 1, x);
		nn_run_set(place.run, b, 1, x);
		nn_run_set_codes(place.run, place.lengths, 1, &length);
		nn_run_forward(place.run, dst, NN_INFER, 0, 0, 0);
		CHECK((nn_run_value(place.run, dst)[2 * 4] != 0) == (apart == 1), "a query beyond the length gives %s",
			  apart ? "a result when it belongs to another sequence" : "zeros when it belongs to the sequence");
		dev_session_close(place.session);
	}
}

/* ---- Dropout ---- */

/* Slopes under one mask, and threads that share a batch draw the masks of one. */
static void
check_dropout(void)
{
	enum
	{
		ROWS = 6, SIZE = 5 * 4
	};
	NnShape		shape = nn_shape(2, 5, 4, 0, 0);
	NnShape		bias = nn_shape(1, 4, 0, 0, 0);
	float		x[ROWS * SIZE];
	float		seed[ROWS * SIZE];
	float		whole[ROWS * SIZE];
	float		gradient[3 * SIZE];
	double		worst = 0;
	bool		same = true;
	bool		infer;
	Place		place;
	NnNode		input;
	NnNode		src;
	NnNode		dst;

	draw(ROWS * SIZE, 1, x);
	draw(ROWS * SIZE, 2, seed);
	place_open(&place, 0);
	input = nn_input(place.graph, "x", &shape);
	src = nn_bias(place.graph, input, nn_parameter(place.graph, "zero", &bias, NN_ROLE_VECTOR, NN_INIT_ZERO, 0, NULL));
	dst = nn_attention(place.graph, src, src, src, NN_NONE, 2, false, 0.4f);
	place_compile(&place, ROWS);
	nn_run_set(place.run, input, ROWS, x);
	nn_run_forward(place.run, dst, NN_TRAIN, 4, 8, 0);
	memcpy(whole, nn_run_value(place.run, dst), sizeof(whole));
	nn_run_forward(place.run, dst, NN_TRAIN, 4, 9, 0);
	CHECK(memcmp(whole, nn_run_value(place.run, dst), sizeof(whole)) != 0, "another step has another mask");
	nn_run_forward(place.run, dst, NN_INFER, 4, 8, 0);
	infer = memcmp(whole, nn_run_value(place.run, dst), sizeof(whole)) != 0;
	nn_run_forward(place.run, dst, NN_INFER, 5, 9, 0);
	CHECK(infer && nn_run_value(place.run, dst)[0] == nn_run_value(place.run, dst)[0], "nothing is dropped at inference");
	for (size_t part = 0; part < 2; part++)
	{
		nn_run_set(place.run, input, 3, x + part * 3 * SIZE);
		nn_run_forward(place.run, dst, NN_TRAIN, 4, 8, part * 3);
		same = same && memcmp(nn_run_value(place.run, dst), whole + part * 3 * SIZE, 3 * SIZE * sizeof(float)) == 0;
	}
	CHECK(same, "parts of a batch draw the masks of the whole");
	nn_run_backward_from(place.run, dst, seed);
	memcpy(gradient, nn_run_gradient(place.run, src), sizeof(gradient));
	for (size_t i = 0; i < 3 * SIZE; i++)
	{
		float	   *moved = x + 3 * SIZE + i;
		float		kept = *moved;
		double		slope = 0;

		for (int side = -1; side <= 1; side += 2)
		{
			*moved = kept + 0x1p-7f * (float) side;
			nn_run_set(place.run, input, 3, x + 3 * SIZE);
			nn_run_forward(place.run, dst, NN_TRAIN, 4, 8, 3);
			for (size_t k = 0; k < 3 * SIZE; k++)
				slope += side * (double) nn_run_value(place.run, dst)[k] * seed[k] / 0x1p-6;
		}
		*moved = kept;
		worst = fabs(slope - gradient[i]) > worst ? fabs(slope - gradient[i]) : worst;
	}
	CHECK(worst < 5e-3, "the gradient is the slope under the mask (error %g)", worst);
	dev_session_close(place.session);
}

/* ---- Memory ---- */

#ifdef __SANITIZE_ADDRESS__
#define LONG 1024
#else
#define LONG 8192
#endif

/* Scores of 8192 positions alone would be 256 MB a head: all passes of training and inference fit into 16. */
static void
check_long(void)
{
	const size_t width = 8;
	NnShape		shape = nn_shape(2, LONG, width, 0, 0);
	float	   *x = malloc(2 * LONG * width * sizeof(float));
	double		sum = 0;
	Place		place;
	NnNode		input;
	NnNode		dst;

	CHECK_OR_STOP(x != NULL, "memory for a long sequence");
	draw(2 * LONG * width, 1, x);
	place_open(&place, (size_t) 16 << 20);
	input = nn_input(place.graph, "x", &shape);
	dst = encoder(&place, input, width);
	place_compile(&place, 1);
	nn_run_set(place.run, input, 1, x);
	nn_run_forward(place.run, dst, NN_TRAIN, 0, 0, 0);
	nn_run_backward_from(place.run, dst, x + LONG * width);
	for (size_t i = 0; i < nn_graph_weights(place.graph); i++)
		sum += place.diff_weights[i] * place.diff_weights[i];
	nn_run_forward(place.run, dst, NN_INFER, 0, 0, 0);
	for (size_t i = 0; i < LONG * width; i++)
		sum += nn_run_value(place.run, dst)[i];
	CHECK(isfinite(sum) && sum != 0, "attention over %d positions, both ways, in 16 MB", LONG);
	CHECK(dev_session_peak(place.session) < (size_t) 16 << 20, "%zu kB were enough", dev_session_peak(place.session) / 1024);
	dev_session_close(place.session);
	free(x);
}

/* ---- Norms of a shared normalisation ---- */

/* Two layer norms with one gain have no closed form together: examples walk back alone, with their own statistics. */
static void
check_shared_gain(void)
{
	NnShape		shape = nn_shape(2, 3, 4, 0, 0);
	float		x[3 * 12];
	float		seed[3 * 12];
	float		squared[3];
	Place		place;
	NnNode		input;
	NnNode		node;
	NnParameter gain;

	draw(36, 1, x);
	draw(36, 2, seed);
	place_open(&place, 0);
	input = nn_input(place.graph, "x", &shape);
	gain = parameter(&place, "gain", nn_shape(1, 4, 0, 0, 0));
	node = nn_layer_norm(place.graph, input, gain, NN_NONE, 1e-3f);
	node = nn_layer_norm(place.graph, node, gain, NN_NONE, 1e-3f);
	place_compile(&place, 3);
	nn_run_set(place.run, input, 3, x);
	nn_run_forward(place.run, node, NN_TRAIN, 0, 0, 0);
	nn_run_backward_from(place.run, node, seed);
	CHECK_STATUS(place.session, nn_run_norms(place.run, squared), DEV_OK, "norms of a shared gain");
	for (size_t b = 0; b < 3; b++)
	{
		double		sum = 0;

		memset(place.diff_weights, 0, nn_graph_weights(place.graph) * sizeof(float));
		nn_run_set(place.run, input, 1, x + b * 12);
		nn_run_forward(place.run, node, NN_TRAIN, 0, 0, 0);
		nn_run_backward_from(place.run, node, seed + b * 12);
		for (int i = 0; i < 4; i++)
			sum += pow(place.diff_weights[i], 2);
		CHECK_NEAR(squared[b] / sum, 1, 1e-5, "norm of example %zu", b);
	}
	dev_session_close(place.session);
}

/* ---- Norms behind what changes gradients in place ---- */

/* A relu writes its source's gradient where its own was; the norms of what stands above come after that. */
static void
check_norms_above(void)
{
	NnShape		shape = nn_shape(2, 3, 4, 0, 0);
	float		x[3 * 12];
	float		seed[3 * 12];
	float		squared[3];
	Place		place;
	NnNode		input;
	NnNode		node;

	draw(36, 1, x);
	draw(36, 2, seed);
	place_open(&place, 0);
	input = nn_input(place.graph, "x", &shape);
	node = nn_activation(place.graph, project(&place, input, "matrix", 4, 4), DEV_MAP_RELU);
	node = nn_bias(place.graph, node, parameter(&place, "bias", nn_shape(1, 4, 0, 0, 0)));
	node = nn_sinusoid(place.graph, nn_activation(place.graph, node, DEV_MAP_SELU));
	node = nn_position(place.graph, node, parameter(&place, "position", shape));
	place_compile(&place, 3);
	nn_run_set(place.run, input, 3, x);
	nn_run_forward(place.run, node, NN_TRAIN, 0, 0, 0);
	nn_run_backward_from(place.run, node, seed);
	CHECK_STATUS(place.session, nn_run_norms(place.run, squared), DEV_OK, "norms above activations");
	for (size_t b = 0; b < 3; b++)
	{
		double		sum = 0;

		memset(place.diff_weights, 0, nn_graph_weights(place.graph) * sizeof(float));
		nn_run_set(place.run, input, 1, x + b * 12);
		nn_run_forward(place.run, node, NN_TRAIN, 0, 0, 0);
		nn_run_backward_from(place.run, node, seed + b * 12);
		for (size_t i = 0; i < nn_graph_weights(place.graph); i++)
			sum += pow(place.diff_weights[i], 2);
		CHECK_NEAR(squared[b] / sum, 1, 1e-5, "norm of example %zu above activations", b);
	}
	dev_session_close(place.session);
}

/* ---- Wrong requests ---- */

static NnNode
wrong(Place *place, int number)
{
	NnGraph    *g = place->graph;
	NnShape		shape = nn_shape(2, 3, 4, 0, 0);
	NnShape		other = nn_shape(2, 3, 6, 0, 0);
	NnShape		flat = nn_shape(1, 4, 0, 0, 0);
	NnNode		x = nn_input(g, "x", &shape);
	NnNode		codes = nn_codes(g, "codes", 3);

	switch (number)
	{
		case 0:
			return nn_attention(g, x, x, x, NN_NONE, 3, false, 0);
		case 1:
			return nn_attention(g, x, x, x, NN_NONE, 0, false, 0);
		case 2:
			return nn_attention(g, x, nn_input(g, "y", &other), x, NN_NONE, 2, false, 0);
		case 3:
			return nn_attention(g, x, x, nn_input(g, "y", &flat), NN_NONE, 2, false, 0);
		case 4:
			return nn_attention(g, x, x, x, codes, 2, false, 0);
		case 5:
			return nn_attention(g, x, x, x, x, 2, false, 0);
		case 6:
			return nn_attention(g, x, x, x, NN_NONE, 2, false, 1);
		case 7:
			return nn_attention(g, x, x, x, NN_NONE, 2, false, NAN);
		case 8:
			return nn_token_embedding(g, x, parameter(place, "table", shape), NN_NONE);
		case 9:
			return nn_token_embedding(g, codes, parameter(place, "table", flat), NN_NONE);
		case 10:
			return nn_token_embedding(g, codes, NN_NONE, NN_NONE);
		case 11:
			return nn_token_embedding(g, codes, parameter(place, "table", shape), codes);
		case 12:
			return nn_position(g, x, parameter(place, "table", nn_shape(2, 2, 4, 0, 0)));
		case 13:
			return nn_position(g, nn_input(g, "y", &flat), parameter(place, "table", shape));
		case 14:
			return nn_sinusoid(g, codes);
		case 15:
			return nn_time_encoding(g, x, parameter(place, "f", nn_shape(1, 2, 0, 0, 0)), 4);
		case 16:
			return nn_time_encoding(g, nn_input(g, "t", &flat), parameter(place, "f", nn_shape(1, 2, 0, 0, 0)), 5);
		case 17:
			return nn_time_encoding(g, nn_input(g, "t", &flat), parameter(place, "f", nn_shape(1, 3, 0, 0, 0)), 4);
		default:
			return nn_token_embedding(g, nn_codes(g, "huge", (size_t) 1 << 40), parameter(place, "table", shape), NN_NONE);
	}
}

static void
check_wrong(void)
{
	for (int i = 0; i < 19; i++)
	{
		Place		place;

		place_open(&place, 0);
		CHECK(wrong(&place, i) == NN_NONE, "wrong request %d is refused", i);
		CHECK_STATUS(place.session, nn_graph_compile(place.graph), DEV_INVALID, "request %d: %s", i, dev_message_text(place.session));
		dev_session_close(place.session);
	}
}

int
main(void)
{
	check_all(attention_cases, N_CASES(attention_cases));
	check_padding();
	check_meeting();
	check_dropout();
	check_long();
	check_shared_gain();
	check_norms_above();
	check_wrong();
	return check_done();
}

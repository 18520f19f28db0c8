/*
 * test_lifetime.c: runs whose buffers share memory give the bits of runs whose buffers do not.
 *
 * Random graphs with branches, residual connections, views and nodes that write over their sources train three ways at once. Every
 * operator's case goes through a shared run in which all memory is spoilt that should be free: what an
 * operator reads and does not say then shows.
 */
#include "cases.h"
#include "convolution_cases.h"
#include "cases_sequence.h"
#include "cases_attention.h"

#include "nn/lifetime.h"

#define BATCH 5
#define SIZE 24					/* of every node of a random graph but the last ones */
#define N_RANDOM 28
#define END (-1)				/* of the moment before a pass */

/* ---- Spoiling ---- */

/* Fills with NaN what is not needed from the moment `after` to the next one. Any kept node tells where the run's memory lies. */
static void
spoil(NnRun *run, const NnLayout *layout, NnNode kept, int after)
{
	const NnBuffer *known = &layout->buffers[layout->places[kept].value];
	float	   *arena = nn_run_value(run, kept) - known->offset;
	bool	   *needed = calloc(layout->total, sizeof(bool));

	CHECK_OR_STOP(known->kept && needed != NULL, "the memory of a run is found");
	for (int i = 0; i < layout->n_buffers; i++)
	{
		const NnBuffer *buffer = &layout->buffers[i];

		if (buffer->kept || (buffer->first <= after && buffer->last > after))
			memset(needed + buffer->offset, true, buffer->size);
	}
	for (size_t i = 0; i < layout->total; i++)
		if (!needed[i])
			arena[i] = NAN;
	free(needed);
}

/* Moments that meet at different addresses, and no more memory than at the fullest moment but for a few percent; returns the latter. */
static size_t
check_layout(const NnGraph *graph, const NnLayout *layout, const char *what)
{
	bool		apart = true;
	size_t		most = 0;

	for (int i = 0; i < layout->n_buffers; i++)
		for (int j = 0; j < i; j++)
		{
			const NnBuffer *a = &layout->buffers[i];
			const NnBuffer *b = &layout->buffers[j];

			if (a->first <= b->last && b->first <= a->last)
				apart &= a->offset + a->size <= b->offset || b->offset + b->size <= a->offset;
			apart &= a->offset % 16 == 0 && a->offset + a->size <= layout->total;
		}
	for (int moment = 0; moment < 2 * graph->n_nodes; moment++)
	{
		size_t		sum = 0;

		for (int i = 0; i < layout->n_buffers; i++)
			if (layout->buffers[i].first <= moment && layout->buffers[i].last >= moment)
				sum += (layout->buffers[i].size + 15) / 16 * 16;
		most = sum > most ? sum : most;
	}
	CHECK(apart, "%s: buffers needed at the same time lie apart", what);
	CHECK(layout->total >= most && (double) layout->total <= 1.15 * (double) most,
		  "%s: %zu floats where %zu are needed at once", what, layout->total, most);
	return most;
}

/* ---- Random graphs ---- */

typedef struct Side
{
	DevSession *session;
	DevDevice  *device;
	NnGraph    *graph;
	NnNode		input;
	NnNode		target;
	NnNode		loss;
	NnNode		answer;			/* beside the loss, read by nobody */
	NnNode		kept[2];		/* in the middle */
	NnNode		other;			/* somewhere, not kept */
	NnRun	   *run;
	NnLayout	layout;
	size_t		n_weights;
	float	   *weights;
	float	   *diff_weights;
} Side;

static size_t
draw(uint64_t seed, uint64_t *counter, size_t below)
{
	return (size_t) dev_random_below(seed, 77, (*counter)++, below);
}

static NnParameter
parameter(NnGraph *graph, NnShape shape, NnRole role, NnInit init, float a)
{
	char		name[32];

	snprintf(name, sizeof(name), "parameter%d", nn_graph_parameters(graph));
	return nn_parameter(graph, name, &shape, role, init, a, NULL);
}

static NnParameter
column(NnGraph *graph, size_t n, NnRole role, NnInit init)
{
	return parameter(graph, nn_shape(1, n, 0, 0, 0), role, init, 0.5f);
}

static NnNode
dense(NnGraph *graph, NnNode src, size_t out)
{
	size_t		in = nn_shape_last(nn_graph_shape(graph, src));
	NnParameter weights = parameter(graph, nn_shape(2, in, out, 0, 0), NN_ROLE_MATRIX, NN_INIT_NORMAL, 0.3f);

	return nn_bias(graph, nn_linear(graph, src, weights), column(graph, out, NN_ROLE_VECTOR, NN_INIT_NORMAL));
}

/* (24) seen as (4, 6), or the other way round. */
static NnNode
turned(NnGraph *graph, NnNode src)
{
	NnShape		shape = nn_graph_shape(graph, src)->rank == 1 ? nn_shape(2, 4, 6, 0, 0) : nn_shape(1, SIZE, 0, 0, 0);

	return nn_reshape(graph, src, &shape);
}

static NnNode
random_node(NnGraph *graph, size_t kind, size_t choice, NnNode src, NnNode other)
{
	static const DevMap functions[] = {DEV_MAP_RELU, DEV_MAP_SELU, DEV_MAP_GELU, DEV_MAP_TANH, DEV_MAP_SIGMOID, DEV_MAP_SIN};
	size_t		width = nn_shape_last(nn_graph_shape(graph, src));
	NnNode		pair[2] = {src, other};

	if (nn_graph_shape(graph, src)->rank != nn_graph_shape(graph, other)->rank)
		pair[1] = turned(graph, other);
	switch (kind)
	{
		case 0:
		case 1:
			return dense(graph, src, width);
		case 2:
		case 3:
			return nn_activation(graph, src, functions[choice % 6]);
		case 4:
		case 5:
			return nn_add(graph, pair[0], pair[1]);
		case 6:
			return turned(graph, src);
		case 7:
			return nn_layer_norm(graph, src, column(graph, width, NN_ROLE_VECTOR, NN_INIT_ONE), NN_NONE, 1e-5f);
		case 8:
			return nn_batch_norm(graph, src, column(graph, width, NN_ROLE_VECTOR, NN_INIT_ONE),
								 column(graph, width, NN_ROLE_VECTOR, NN_INIT_ZERO),
								 column(graph, width, NN_ROLE_STATISTIC, NN_INIT_ZERO),
								 column(graph, width, NN_ROLE_STATISTIC, NN_INIT_ONE), 1e-5f);
		case 9:
			return nn_dropout(graph, src, 0.3f);
		case 10:
			return nn_softmax(graph, src);
		default:
			return dense(graph, nn_concat(graph, pair, 2), width);
	}
}

static void
side_open(Side *side)
{
	memset(side, 0, sizeof(*side));
	CHECK_OR_STOP(dev_session_open(NULL, 3, &side->session) == DEV_OK &&
				  dev_cpu_open(side->session, NULL, &side->device) == DEV_OK &&
				  nn_graph_create(side->session, &side->graph) == DEV_OK, "a graph is created");
}

static void
side_start(Side *side, NnRunUse use)
{
	CHECK_STATUS(side->session, nn_graph_compile(side->graph), DEV_OK, "the graph compiles");
	CHECK_STATUS(side->session, nn_run_create(side->graph, side->device, BATCH, use, &side->run), DEV_OK, "a run is created");
	CHECK_STATUS(side->session, nn_layout_create(side->graph, side->session, BATCH, use, &side->layout), DEV_OK, "its layout");
	side->n_weights = nn_graph_weights(side->graph);
	side->weights = dev_alloc(side->session, side->n_weights, sizeof(float));
	side->diff_weights = dev_alloc(side->session, side->n_weights, sizeof(float));
	CHECK_OR_STOP(side->weights != NULL && side->diff_weights != NULL, "memory for weights");
	nn_graph_initialize(side->graph, 9, side->weights);
	nn_run_bind(side->run, side->weights, side->diff_weights);
}

/* The same seed makes the same graph; `keep`: two of its nodes are kept. */
static void
random_side(Side *side, uint64_t seed, bool keep, NnRunUse use)
{
	NnShape		shape = nn_shape(1, SIZE, 0, 0, 0);
	NnShape		target = nn_shape(1, 3, 0, 0, 0);
	NnNode		nodes[N_RANDOM + 1];
	uint64_t	counter = 0;
	NnNode		last;

	side_open(side);
	side->input = nn_input(side->graph, "x", &shape);
	side->target = nn_input(side->graph, "y", &target);
	nodes[0] = dense(side->graph, side->input, SIZE);
	for (size_t i = 1; i <= N_RANDOM; i++)
	{
		size_t		kind = draw(seed, &counter, 12);
		size_t		choice = draw(seed, &counter, 6);
		size_t		back = draw(seed, &counter, 10) < 7 ? 1 : 1 + draw(seed, &counter, i);
		size_t		other = draw(seed, &counter, i);

		nodes[i] = random_node(side->graph, kind, choice, nodes[i - back], nodes[other]);
	}
	side->kept[0] = nodes[1 + draw(seed, &counter, N_RANDOM / 2)];
	side->kept[1] = nodes[N_RANDOM / 2 + draw(seed, &counter, N_RANDOM / 2)];
	for (int i = 0; keep && i < 2; i++)
		nn_graph_keep(side->graph, side->kept[i]);
	last = nodes[N_RANDOM];
	if (nn_graph_shape(side->graph, last)->rank > 1)
		last = turned(side->graph, last);
	last = dense(side->graph, last, 3);
	side->answer = nn_softmax(side->graph, last);
	side->loss = nn_squared_error(side->graph, last, side->target);
	side_start(side, use);
}

static void
side_close(Side *side)
{
	nn_run_free(side->run);
	dev_session_close(side->session);
}

static void
side_set(Side *side, uint64_t step, size_t batch)
{
	float		x[BATCH * SIZE];
	float		y[BATCH * 3];

	for (size_t i = 0; i < BATCH * SIZE; i++)
		x[i] = (float) dev_random_normal(5, step, i);
	for (size_t i = 0; i < BATCH * 3; i++)
		y[i] = (float) dev_random_normal(6, step, i);
	nn_run_set(side->run, side->input, batch, x);
	nn_run_set(side->run, side->target, batch, y);
}

static void
side_train(Side *side, uint64_t step, size_t batch)
{
	bool		shared = side->layout.total > 0;

	side_set(side, step, batch);
	memset(side->diff_weights, 0, side->n_weights * sizeof(float));
	if (shared)
		spoil(side->run, &side->layout, side->input, END);
	nn_run_forward(side->run, side->loss, NN_TRAIN, 1, step, 0);
	if (shared)
		spoil(side->run, &side->layout, side->input, side->graph->n_nodes - 1);
	nn_run_backward(side->run, side->loss, 1.0f / (float) batch, NULL);
	for (size_t i = 0; i < side->n_weights; i++)
		side->weights[i] -= 0.001f * side->diff_weights[i];
}

static void
side_answer(Side *side, uint64_t step, size_t batch)
{
	side_set(side, step, batch);
	if (side->layout.total > 0)
		spoil(side->run, &side->layout, side->input, END);
	nn_run_forward(side->run, side->answer, NN_INFER, 0, 0, 0);
}

static bool
same_value(Side *a, Side *b, NnNode node, size_t batch)
{
	size_t		n = batch * nn_shape_size(nn_graph_shape(a->graph, node));
	const float *x = nn_run_value(a->run, node);
	const float *y = nn_run_value(b->run, node);

	return x != NULL && y != NULL && memcmp(x, y, n * sizeof(float)) == 0;
}

static void
check_random_graph(uint64_t seed)
{
	static const size_t batches[] = {BATCH, 2, BATCH, 1};
	Side		whole;
	Side		train;
	Side		forward;
	Side		plain;			/* with nothing kept, so that more nodes write over their sources */
	bool		losses = true;
	bool		gradients = true;
	bool		kept = true;
	bool		answers = true;
	char		what[64];

	random_side(&whole, seed, true, NN_RUN_WHOLE);
	random_side(&train, seed, true, NN_RUN_TRAIN);
	random_side(&forward, seed, true, NN_RUN_FORWARD);
	random_side(&plain, seed, false, NN_RUN_TRAIN);
	for (uint64_t step = 0; step < 4; step++)
	{
		size_t		batch = batches[step];

		side_train(&whole, step, batch);
		side_train(&train, step, batch);
		side_train(&plain, step, batch);
		losses &= same_value(&whole, &train, whole.loss, batch) && same_value(&whole, &plain, whole.loss, batch) &&
			isfinite(nn_run_value(whole.run, whole.loss)[0]);
		gradients &= memcmp(whole.diff_weights, train.diff_weights, whole.n_weights * sizeof(float)) == 0 &&
			memcmp(whole.diff_weights, plain.diff_weights, whole.n_weights * sizeof(float)) == 0;
		kept &= same_value(&whole, &train, whole.kept[0], batch) && same_value(&whole, &train, whole.kept[1], batch);
		memcpy(forward.weights, whole.weights, whole.n_weights * sizeof(float));
		side_answer(&whole, step, batch);
		side_answer(&train, step, batch);
		side_answer(&forward, step, batch);
		answers &= same_value(&whole, &train, whole.answer, batch) && same_value(&whole, &forward, whole.answer, batch);
		kept &= same_value(&whole, &forward, whole.kept[0], batch) && same_value(&whole, &forward, whole.kept[1], batch);
	}
	CHECK(losses, "graph %d: losses are the same bits", (int) seed);
	CHECK(gradients, "graph %d: gradients are the same bits", (int) seed);
	CHECK(kept, "graph %d: values that are kept are the same bits", (int) seed);
	CHECK(answers, "graph %d: answers are the same bits", (int) seed);
	CHECK(nn_run_synchronize(whole.run) == DEV_OK && nn_run_synchronize(train.run) == DEV_OK &&
		  nn_run_synchronize(forward.run) == DEV_OK, "graph %d: nothing was misused", (int) seed);
	CHECK(nn_run_bytes(forward.run) < nn_run_bytes(train.run) && nn_run_bytes(plain.run) < nn_run_bytes(whole.run),
		  "graph %d: %zu bytes forward, %zu for training, %zu as a whole", (int) seed, nn_run_bytes(forward.run),
		  nn_run_bytes(plain.run), nn_run_bytes(whole.run));
	snprintf(what, sizeof(what), "graph %d", (int) seed);
	check_layout(train.graph, &train.layout, what);
	check_layout(forward.graph, &forward.layout, what);
	side_close(&whole);
	side_close(&train);
	side_close(&forward);
	side_close(&plain);
}

/* ---- Operators ---- */

/* Forward and back with all the memory spoilt that no operator says it needs. */
static void
check_case(const Case *c, NnMode mode)
{
	const Reference *r = c->reference;
	Bench		benches[2];
	NnLayout	layout;
	bool		same;

	for (int i = 0; i < 2; i++)
	{
		Bench	   *bench = &benches[i];

		CHECK_STATUS(bench->session, bench_build(bench, c, NULL), DEV_OK, "%s builds", r->name);
		/* A copy above: the operator's own value is kept only where its way back needs it. */
		bench->dst = nn_concat(bench->graph, &bench->dst, 1);
		CHECK_STATUS(bench->session, bench_start(bench, i == 0 ? NN_RUN_WHOLE : NN_RUN_TRAIN), DEV_OK, "%s starts", r->name);
	}
	CHECK_STATUS(benches[1].session, nn_layout_create(benches[1].graph, benches[1].session, r->batch, NN_RUN_TRAIN, &layout),
				 DEV_OK, "%s: its layout", r->name);
	for (int i = 0; i < 2; i++)
	{
		if (i == 1)
			spoil(benches[i].run, &layout, benches[i].dst, END);
		bench_forward(&benches[i], mode, 0, r->batch);
		if (i == 1)
			spoil(benches[i].run, &layout, benches[i].dst, benches[i].graph->n_nodes - 1);
		bench_backward(&benches[i], 0);
	}
	same = memcmp(nn_run_value(benches[0].run, benches[0].dst), nn_run_value(benches[1].run, benches[1].dst),
				  r->batch * nn_shape_size(&r->dst.shape) * sizeof(float)) == 0;
	CHECK(same, "%s (%s): the same value in shared memory", r->name, mode == NN_TRAIN ? "train" : "infer");
	same = memcmp(benches[0].diff_weights, benches[1].diff_weights, benches[0].n_weights * sizeof(float)) == 0;
	CHECK(same, "%s (%s): the same gradients in shared memory", r->name, mode == NN_TRAIN ? "train" : "infer");
	for (int i = 0; i < 2; i++)
	{
		CHECK(nn_run_synchronize(benches[i].run) == DEV_OK, "%s: nothing was misused", r->name);
		bench_close(&benches[i]);
	}
}

static void
check_cases(const Case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		if (cases[i].train)
			check_case(&cases[i], NN_TRAIN);
		if (cases[i].infer)
			check_case(&cases[i], NN_INFER);
	}
}

/* ---- Memory ---- */

/* The hidden layers of a Transformer: residual blocks four times as wide within. */
static void
deep_side(Side *side, int depth, NnRunUse use)
{
	NnShape		shape = nn_shape(1, SIZE, 0, 0, 0);
	NnShape		target = nn_shape(1, 3, 0, 0, 0);
	NnNode		node;

	side_open(side);
	node = side->input = nn_input(side->graph, "x", &shape);
	side->target = nn_input(side->graph, "y", &target);
	for (int i = 0; i < depth; i++)
	{
		NnNode		inner = nn_activation(side->graph, dense(side->graph, node, 4 * SIZE), DEV_MAP_GELU);

		node = nn_add(side->graph, dense(side->graph, inner, SIZE), node);
		node = nn_layer_norm(side->graph, node, column(side->graph, SIZE, NN_ROLE_VECTOR, NN_INIT_ONE), NN_NONE, 1e-5f);
		if (i == depth / 2)
			side->other = node;
	}
	node = side->kept[0] = dense(side->graph, node, 3);
	nn_graph_keep(side->graph, node);
	side->answer = nn_softmax(side->graph, node);
	side->loss = nn_squared_error(side->graph, node, side->target);
	side_start(side, use);
}

static void
check_memory(void)
{
	Side		shallow;
	Side		deep;
	Side		train;

	deep_side(&shallow, 3, NN_RUN_FORWARD);
	deep_side(&deep, 24, NN_RUN_FORWARD);
	deep_side(&train, 24, NN_RUN_TRAIN);
	CHECK(nn_run_bytes(shallow.run) == nn_run_bytes(deep.run), "answering needs as much memory for 3 layers as for 24");
	/* Input, target, answer and the rest of the way; a source, and four times as much within. */
	CHECK(deep.layout.total <= (size_t) BATCH * (7 * SIZE + 16) + 16 * 16, "which is %zu floats", deep.layout.total);
	/* A layer keeps its own source, the sum, and before and after gelu; gradients come and go. */
	CHECK(train.layout.total <= (size_t) 24 * BATCH * 11 * SIZE, "training needs %zu floats", train.layout.total);
	check_layout(deep.graph, &deep.layout, "24 layers forward");
	check_layout(train.graph, &train.layout, "24 layers in training");
	side_close(&shallow);
	side_close(&deep);
	side_close(&train);
}

/* ---- What a run refuses ---- */

static void
check_refused(void)
{
	float		squared[BATCH];
	Side		side;

	deep_side(&side, 3, NN_RUN_TRAIN);
	side_train(&side, 0, BATCH);
	CHECK(nn_run_value(side.run, side.other) == NULL && nn_run_value(side.run, side.kept[0]) != NULL,
		  "only what is kept has a value after a pass");
	CHECK(nn_run_gradient(side.run, side.input) == NULL, "a training run has no gradients of nodes");
	CHECK_STATUS(side.session, nn_run_norms(side.run, squared), DEV_INVALID, "nor norms");
	CHECK(nn_run_synchronize(side.run) == DEV_OK, "nothing was misused yet");
	nn_run_backward(side.run, side.loss, 1, NULL);
	CHECK(nn_run_synchronize(side.run) == DEV_INVALID, "a second way back is refused");
	side_close(&side);

	deep_side(&side, 3, NN_RUN_TRAIN);
	side_answer(&side, 0, BATCH);
	nn_run_backward(side.run, side.loss, 1, NULL);
	CHECK(nn_run_synchronize(side.run) == DEV_INVALID, "so is one from what was not computed");
	side_close(&side);

	deep_side(&side, 3, NN_RUN_FORWARD);
	side_answer(&side, 0, BATCH);
	nn_run_forward_from(side.run, &side.other, 1, side.answer, NN_INFER);
	CHECK(nn_run_synchronize(side.run) == DEV_INVALID, "so is a start from a value that is gone");
	side_close(&side);

	deep_side(&side, 3, NN_RUN_FORWARD);
	side_answer(&side, 0, BATCH);
	nn_run_backward(side.run, side.answer, 1, NULL);
	CHECK(nn_run_synchronize(side.run) == DEV_INVALID, "and a way back in a run that goes forward only");
	side_close(&side);
}

/* A start in the middle: the same answers in shared memory, and the way back ends there. */
static void
check_starts(void)
{
	Side		whole;
	Side		shared;
	float		x[BATCH * 3];

	deep_side(&whole, 3, NN_RUN_WHOLE);
	deep_side(&shared, 3, NN_RUN_FORWARD);
	side_answer(&whole, 0, BATCH);
	side_answer(&shared, 0, BATCH);
	for (int i = 0; i < BATCH * 3; i++)
		x[i] = nn_run_value(whole.run, whole.kept[0])[i] + 0.1f * (float) i;
	memcpy(nn_run_value(whole.run, whole.kept[0]), x, sizeof(x));
	memcpy(nn_run_value(shared.run, shared.kept[0]), x, sizeof(x));
	spoil(shared.run, &shared.layout, shared.input, END);
	nn_run_forward_from(whole.run, whole.kept, 1, whole.answer, NN_INFER);
	nn_run_forward_from(shared.run, shared.kept, 1, shared.answer, NN_INFER);
	CHECK(same_value(&whole, &shared, whole.answer, BATCH), "a pass from the middle gives the same bits");
	CHECK(memcmp(nn_run_value(shared.run, shared.kept[0]), x, sizeof(x)) == 0, "and leaves the value it started from");
	memset(whole.diff_weights, 0, whole.n_weights * sizeof(float));
	nn_run_backward_from(whole.run, whole.answer, x);
	CHECK(nn_run_gradient(whole.run, whole.kept[0])[1] != 0, "the start has a gradient");
	CHECK(nn_run_gradient(whole.run, whole.input)[1] == 0, "what lies behind it has none");
	for (size_t i = 0; i < whole.n_weights; i++)
		if (whole.diff_weights[i] != 0)
			x[0] = NAN;
	CHECK(!isnan(x[0]), "nor have weights behind it");
	side_close(&whole);
	side_close(&shared);
}

int
main(void)
{
	for (uint64_t seed = 0; seed < 40; seed++)
		check_random_graph(seed);
	check_cases(operator_cases, N_CASES(operator_cases));
	check_cases(loss_cases, N_CASES(loss_cases));
	check_cases(convolution_cases, N_CASES(convolution_cases));
	check_cases(sequence_cases, N_CASES(sequence_cases));
	check_cases(attention_cases, N_CASES(attention_cases));
	check_memory();
	check_refused();
	check_starts();
	return check_done();
}

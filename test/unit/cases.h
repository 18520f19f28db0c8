/*
 * cases.h: every operator as a small graph, with the frozen PyTorch values it must reproduce.
 *
 * test_reference.c compares with the values, test_operators.c and test_losses.c hold the
 * same graphs against finite differences. A new operator adds a case to
 * reference/generate.py and a line to the table at the end.
 */
#ifndef IDLA_TEST_CASES_H
#define IDLA_TEST_CASES_H

#include "idla/nn.h"

#include "check.h"

typedef struct Tensor
{
	NnShape		shape;			/* of one example, or of the parameter */
	const float *values;
	const float *diff;			/* expected gradient; of dst: the gradient to start from */
} Tensor;

typedef struct Reference
{
	const char *name;
	size_t		batch;
	size_t		n_codes;
	const int32_t *codes;		/* (batch, n_codes) */
	const int32_t *lengths;		/* (batch): positions that count, or NULL */
	int			n_src;
	Tensor		src[3];
	int			n_parameters;
	Tensor		parameters[4];
	Tensor		dst;
} Reference;

#include "reference/operators.h"
#include "reference/losses.h"

typedef struct Case Case;

typedef struct Nodes
{
	NnNode		input[3];
	NnNode		src[3];			/* what the operator reads: the input itself, or the input with a trained bias of zero */
	NnNode		codes;
	NnNode		lengths;		/* NN_NONE where the reference has none */
	NnParameter parameters[4];
} Nodes;

struct Case
{
	const Reference *reference;
	NnNode		(*build) (NnGraph *graph, const Nodes *nodes, const Case *c);
	int			option;			/* for `build` */
	bool		train;			/* modes that the values hold in */
	bool		infer;
	bool		mixed;			/* examples influence each other in NN_TRAIN */
	int			n_targets;		/* last sources without a gradient */
	NnRole		roles[4];		/* of the parameters, NN_ROLE_MATRIX by default */
};

/* ---- What each case builds ---- */

static NnNode
build_linear(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_linear(graph, n->src[0], n->parameters[0]);
}

static NnNode
build_grouped_linear(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_grouped_linear(graph, n->src[0], n->parameters[0]);
}

static NnNode
build_bias(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_bias(graph, n->src[0], n->parameters[0]);
}

static NnNode
build_activation(NnGraph *graph, const Nodes *n, const Case *c)
{
	return nn_activation(graph, n->src[0], (DevMap) c->option);
}

static NnNode
build_dropout(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_dropout(graph, n->src[0], 0.4f);
}

static NnNode
build_concat(NnGraph *graph, const Nodes *n, const Case *c)
{
	return nn_concat(graph, n->src, c->reference->n_src);
}

static NnNode
build_add(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_add(graph, n->src[0], n->src[1]);
}

static NnNode
build_ensemble_scale(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_ensemble_scale(graph, n->src[0], n->parameters[0]);
}

static NnNode
build_reshape(NnGraph *graph, const Nodes *n, const Case *c)
{
	return nn_reshape(graph, n->src[0], &c->reference->dst.shape);
}

static NnNode
build_sum_groups(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_sum_groups(graph, n->src[0]);
}

static NnNode
build_layer_norm(NnGraph *graph, const Nodes *n, const Case *c)
{
	bool		bare = c->reference->n_parameters == 0;

	return nn_layer_norm(graph, n->src[0], bare ? NN_NONE : n->parameters[0], bare ? NN_NONE : n->parameters[1], 1e-3f);
}

static NnNode
build_batch_norm(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_batch_norm(graph, n->src[0], n->parameters[0], n->parameters[1], n->parameters[2],
						 n->parameters[3], 1e-3f);
}

static NnNode
build_embedding(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_embedding(graph, n->codes, 1, n->parameters[0]);
}

static NnNode
build_one_hot(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_one_hot(graph, n->codes, 0, 4);
}

static NnNode
build_piecewise_linear(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_piecewise_linear(graph, n->src[0], n->parameters[0]);
}

static NnNode
build_periodic(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_periodic(graph, n->src[0], n->parameters[0]);
}

static NnNode
build_softmax(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_softmax(graph, n->src[0]);
}

static NnNode
build_ensemble_mean(NnGraph *graph, const Nodes *n, const Case *c)
{
	return nn_ensemble_mean(graph, n->src[0], (NnMean) c->option);
}

static NnNode
build_cross_entropy(NnGraph *graph, const Nodes *n, const Case *c)
{
	static const float weights[] = {1.0f, 0.5f, 2.0f, 0.25f};

	return nn_cross_entropy(graph, n->src[0], n->codes, c->option ? weights : NULL, c->option ? 0.125f : 0.0f);
}

static NnNode
build_soft_cross_entropy(NnGraph *graph, const Nodes *n, const Case *c)
{
	static const float weights[] = {1.0f, 0.5f, 2.0f, 0.25f};

	return nn_soft_cross_entropy(graph, n->src[0], n->src[1], c->option ? weights : NULL, c->option ? 0.125f : 0.0f);
}

static NnNode
build_binary_cross_entropy(NnGraph *graph, const Nodes *n, const Case *c)
{
	return nn_binary_cross_entropy(graph, n->src[0], n->src[1], c->option ? 2.5f : 1.0f, c->option ? 0.25f : 0.0f);
}

static NnNode
build_squared_error(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_squared_error(graph, n->src[0], n->src[1]);
}

static NnNode
build_huber(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_huber(graph, n->src[0], n->src[1], 0.75f);
}

static NnNode
build_cox(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_cox(graph, n->src[0], n->src[1]);
}

/* ---- The tables ---- */

#define BOTH .train = true, .infer = true
#define ACTIVATION(name, function) {&activation_##name, build_activation, function, BOTH}

static const Case operator_cases[] = {
	{&linear, build_linear, 0, BOTH},
	{&linear_positions, build_linear, 0, BOTH},
	{&grouped_linear, build_grouped_linear, 0, BOTH},
	{&bias, build_bias, 0, BOTH},
	{&bias_groups, build_bias, 0, BOTH},
	ACTIVATION(relu, DEV_MAP_RELU),
	ACTIVATION(gelu, DEV_MAP_GELU),
	ACTIVATION(silu, DEV_MAP_SILU),
	ACTIVATION(mish, DEV_MAP_MISH),
	ACTIVATION(selu, DEV_MAP_SELU),
	ACTIVATION(tanh, DEV_MAP_TANH),
	ACTIVATION(sigmoid, DEV_MAP_SIGMOID),
	ACTIVATION(softplus, DEV_MAP_SOFTPLUS),
	ACTIVATION(square, DEV_MAP_SQUARE),
	ACTIVATION(sin, DEV_MAP_SIN),
	ACTIVATION(cos, DEV_MAP_COS),
	ACTIVATION(exp, DEV_MAP_EXP),
	ACTIVATION(log, DEV_MAP_LOG),
	ACTIVATION(sqrt, DEV_MAP_SQRT),
	ACTIVATION(reciprocal, DEV_MAP_RECIPROCAL),
	ACTIVATION(clamp01, DEV_MAP_CLAMP01),
	{&dropout, build_dropout, 0, .infer = true},
	{&concat, build_concat, 0, BOTH},
	{&concat_positions, build_concat, 0, BOTH},
	{&add, build_add, 0, BOTH},
	{&ensemble_scale, build_ensemble_scale, 0, BOTH},
	{&ensemble_scale_members, build_ensemble_scale, 0, BOTH},
	{&reshape, build_reshape, 0, BOTH},
	{&sum_groups, build_sum_groups, 0, BOTH},
	{&layer_norm, build_layer_norm, 0, BOTH},
	{&layer_norm_positions, build_layer_norm, 0, BOTH},
	{&layer_norm_bare, build_layer_norm, 0, BOTH},
	{&batch_norm, build_batch_norm, 0, .train = true, .mixed = true,
		.roles = {NN_ROLE_VECTOR, NN_ROLE_VECTOR, NN_ROLE_STATISTIC, NN_ROLE_STATISTIC}},
	{&batch_norm_positions, build_batch_norm, 0, .train = true, .mixed = true,
		.roles = {NN_ROLE_VECTOR, NN_ROLE_VECTOR, NN_ROLE_STATISTIC, NN_ROLE_STATISTIC}},
	{&batch_norm_infer, build_batch_norm, 0, .infer = true,
		.roles = {NN_ROLE_VECTOR, NN_ROLE_VECTOR, NN_ROLE_STATISTIC, NN_ROLE_STATISTIC}},
	{&embedding, build_embedding, 0, BOTH, .roles = {NN_ROLE_TABLE}},
	{&one_hot, build_one_hot, 0, BOTH},
	{&piecewise_linear, build_piecewise_linear, 0, BOTH, .roles = {NN_ROLE_CONSTANT}},
	{&piecewise_linear_one, build_piecewise_linear, 0, BOTH, .roles = {NN_ROLE_CONSTANT}},
	{&periodic, build_periodic, 0, BOTH, .roles = {NN_ROLE_TABLE}},
	{&softmax, build_softmax, 0, BOTH},
	{&ensemble_mean_value, build_ensemble_mean, NN_MEAN_VALUE, BOTH},
	{&ensemble_mean_binary, build_ensemble_mean, NN_MEAN_BINARY, BOTH},
	{&ensemble_mean_binary_outputs, build_ensemble_mean, NN_MEAN_BINARY, BOTH},
	{&ensemble_mean_classes, build_ensemble_mean, NN_MEAN_CLASSES, BOTH}
};

static const Case loss_cases[] = {
	{&cross_entropy, build_cross_entropy, 0, BOTH},
	{&cross_entropy_weighted, build_cross_entropy, 1, BOTH},
	{&soft_cross_entropy, build_soft_cross_entropy, 0, BOTH, .n_targets = 1},
	{&soft_cross_entropy_weighted, build_soft_cross_entropy, 1, BOTH, .n_targets = 1},
	{&binary_cross_entropy, build_binary_cross_entropy, 0, BOTH, .n_targets = 1},
	{&binary_cross_entropy_members, build_binary_cross_entropy, 0, BOTH, .n_targets = 1},
	{&binary_cross_entropy_weighted, build_binary_cross_entropy, 1, BOTH, .n_targets = 1},
	{&squared_error, build_squared_error, 0, BOTH, .n_targets = 1},
	{&squared_error_members, build_squared_error, 0, BOTH, .n_targets = 1},
	{&huber, build_huber, 0, BOTH, .n_targets = 1},
	{&huber_members, build_huber, 0, BOTH, .n_targets = 1},
	{&cox, build_cox, 0, BOTH, .mixed = true, .n_targets = 1},
	{&cox_members, build_cox, 0, BOTH, .mixed = true, .n_targets = 1}
};

#define N_CASES(table) (sizeof(table) / sizeof((table)[0]))

/* ---- A case at work ---- */

typedef struct Bench
{
	const Case *c;
	DevSession *session;
	DevDevice  *device;
	NnGraph    *graph;
	NnRun	   *run;
	Nodes		nodes;
	NnNode		dst;
	size_t		n_weights;
	float	   *weights;		/* device memory; the CPU's is ordinary memory */
	float	   *diff_weights;
} Bench;

/*
 * A training pass gives no gradient to what depends on no trained parameter: a bias of zero makes the source
 * of a case one that does. A target stays what it is.
 */
static inline void
bench_add_src(Bench *bench, int i)
{
	const Reference *r = bench->c->reference;
	char		name[32];

	snprintf(name, sizeof(name), "src%d", i);
	bench->nodes.input[i] = nn_input(bench->graph, name, &r->src[i].shape);
	bench->nodes.src[i] = bench->nodes.input[i];
	if (i < r->n_src - bench->c->n_targets)
		bench->nodes.src[i] = nn_bias(bench->graph, bench->nodes.input[i],
									  nn_parameter(bench->graph, name, &r->src[i].shape, NN_ROLE_VECTOR,
												   NN_INIT_ZERO, 0, NULL));
}

/* One graph and device in a session of its own; failures are those of the engine. */
static inline DevStatus
bench_build(Bench *bench, const Case *c, const DevHost *host)
{
	const Reference *r = c->reference;
	DevStatus	status;
	char		name[32];

	memset(bench, 0, sizeof(*bench));
	bench->c = c;
	status = dev_session_open(host, 7, &bench->session);
	if (status == DEV_OK)
		status = dev_cpu_open(bench->session, NULL, &bench->device);
	if (status == DEV_OK)
		status = nn_graph_create(bench->session, &bench->graph);
	if (status != DEV_OK)
		return status;

	for (int i = 0; i < r->n_src; i++)
		bench_add_src(bench, i);
	bench->nodes.codes = r->n_codes > 0 ? nn_codes(bench->graph, "codes", r->n_codes) : NN_NONE;
	bench->nodes.lengths = r->lengths != NULL ? nn_codes(bench->graph, "lengths", 1) : NN_NONE;
	for (int i = 0; i < r->n_parameters; i++)
	{
		snprintf(name, sizeof(name), "parameter%d", i);
		bench->nodes.parameters[i] = nn_parameter(bench->graph, name, &r->parameters[i].shape, c->roles[i],
												  NN_INIT_GIVEN, 0, r->parameters[i].values);
	}
	bench->dst = c->build(bench->graph, &bench->nodes, c);
	return DEV_OK;
}

/* The graph compiled, its weights and a run for the whole batch. */
static inline DevStatus
bench_start(Bench *bench, NnRunUse use)
{
	DevStatus	status = nn_graph_compile(bench->graph);

	if (status != DEV_OK)
		return status;
	status = nn_run_create(bench->graph, bench->device, bench->c->reference->batch, use, &bench->run);
	if (status != DEV_OK)
		return status;

	bench->n_weights = nn_graph_weights(bench->graph);
	bench->weights = bench->device->primitives->alloc(bench->device, (bench->n_weights + 1) * sizeof(float));
	if (bench->weights != NULL)
		bench->diff_weights = bench->device->primitives->alloc(bench->device, (bench->n_weights + 1) * sizeof(float));
	if (bench->diff_weights == NULL)
		return DEV_NO_MEMORY;
	nn_graph_initialize(bench->graph, 1, bench->weights);
	nn_run_bind(bench->run, bench->weights, bench->diff_weights);
	nn_run_all_gradients(bench->run, true);
	return DEV_OK;
}

static inline DevStatus
bench_open(Bench *bench, const Case *c, const DevHost *host)
{
	DevStatus	status = bench_build(bench, c, host);

	return status != DEV_OK ? status : bench_start(bench, NN_RUN_WHOLE);
}

static inline void
bench_close(Bench *bench)
{
	dev_session_close(bench->session);
	memset(bench, 0, sizeof(*bench));
}

/* Sets rows [first, first + batch) of the reference as the inputs and runs forward. */
static inline void
bench_forward(Bench *bench, NnMode mode, size_t first, size_t batch)
{
	const Reference *r = bench->c->reference;

	for (int i = 0; i < r->n_src; i++)
		nn_run_set(bench->run, bench->nodes.input[i], batch, r->src[i].values + first * nn_shape_size(&r->src[i].shape));
	if (r->n_codes > 0)
		nn_run_set_codes(bench->run, bench->nodes.codes, batch, r->codes + first * r->n_codes);
	if (r->lengths != NULL)
		nn_run_set_codes(bench->run, bench->nodes.lengths, batch, r->lengths + first);
	nn_run_forward(bench->run, bench->dst, mode, 1, 1, first);
}

/* Gradients of sum(seed * dst) for the rows of the last forward; clears the parameters' first. */
static inline void
bench_backward(Bench *bench, size_t first)
{
	const Tensor *dst = &bench->c->reference->dst;

	memset(bench->diff_weights, 0, bench->n_weights * sizeof(float));
	nn_run_backward_from(bench->run, bench->dst, dst->diff + first * nn_shape_size(&dst->shape));
}

#endif							/* IDLA_TEST_CASES_H */

/*
 * huber.c: mean over members and outputs of d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2); d = value - target.
 *
 * With c = d cut to [-delta, delta] both cases are c (d - c / 2), and c is the derivative.
 */
#include "loss.h"

typedef struct Options
{
	float		delta;
} Options;

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	const Options *options = node->options;
	const NnShape *values = check_values_and_target(graph, node);

	if (values == NULL)
		return false;
	if (!(options->delta > 1e-30f && options->delta < 1e30f))
		return nn_reject(graph, node, "delta \"%g\" is not a positive number", options->delta);
	node->scratch_row = 3 * nn_shape_size(values) + 1;
	return true;
}

/*
 * cut = error cut to [-delta, delta], one side after the other, so that a small error keeps all its bits.
 * side is scratch of the same size.
 */
static void
cut_error(const NnPass *pass, size_t n, const float *error, float *cut, float *side)
{
	const Options *options = pass->node->options;
	const DevPrimitives *p = pass->device;

	p->map(pass->queue, DEV_MAP_SCALE, n, error, 1 / options->delta, cut);
	p->map(pass->queue, DEV_MAP_SCALE, n, cut, -1, side);
	p->map(pass->queue, DEV_MAP_CLAMP01, n, cut, 0, cut);
	p->map(pass->queue, DEV_MAP_CLAMP01, n, side, 0, side);
	p->zip(pass->queue, DEV_ZIP_SUBTRACT, DEV_SPREAD_FULL, 1, n, cut, n, side, n, cut, n, false);
	multiply(pass->queue, n, options->delta, cut);
}

static void
forward(const NnPass *pass)
{
	LossSizes	s = pass_sizes(pass);
	size_t		n = pass->batch * s.size;
	float	   *error = pass->scratch;
	float	   *cut = error + n;

	zip_members(pass, DEV_ZIP_SUBTRACT, &s, nn_src(pass, 0), nn_src(pass, 1), error);
	cut_error(pass, n, error, cut, cut + n);
	add_scaled(pass->queue, n, -0.5f, cut, error);
	sum_loss(pass, &s, 1.0f / (float) s.size, cut, error, nn_dst(pass));
}

static void
backward(const NnPass *pass)
{
	LossSizes	s = pass_sizes(pass);
	size_t		n = pass->batch * s.size;
	float	   *error = pass->scratch;
	float	   *cut = error + n;

	zip_members(pass, DEV_ZIP_SUBTRACT, &s, nn_src(pass, 0), nn_src(pass, 1), error);
	cut_error(pass, n, error, cut, cut + n);
	spread_loss(pass, &s, 1.0f / (float) s.size, cut, cut + 2 * n);
}

const NnOperator nn_operator_huber = {
	.name = "huber",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.reads_src = true
};

NnNode
nn_huber(NnGraph *graph, NnNode values, NnNode target, float delta)
{
	NnNode		src[] = {values, target};
	Options		options = {.delta = delta};

	return nn_node_add(graph, &nn_operator_huber, src, 2, NULL, 0, &options, sizeof(options));
}

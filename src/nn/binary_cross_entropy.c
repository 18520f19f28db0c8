/*
 * binary_cross_entropy.c: mean over members and outputs of w (t softplus(-z) + (1 - t) softplus(z)).
 *
 * t is the target drawn towards one half by the smoothing, w the positive weight where the target is above one half.
 * Both terms are at least 0, so nothing cancels and nothing overflows at any logit z.
 */
#include "loss.h"

#define STEEP 1e30f				/* the slope that makes a step of a clamp */

typedef struct Options
{
	float		positive_weight;
	float		smoothing;
} Options;

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	const Options *options = node->options;
	const NnShape *values = check_values_and_target(graph, node);

	if (values == NULL)
		return false;
	if (!(options->positive_weight > 0 && options->positive_weight < 1e30f))
		return nn_reject(graph, node, "positive weight \"%g\" is not a positive number", options->positive_weight);
	if (!(options->smoothing >= 0 && options->smoothing < 1))
		return nn_reject(graph, node, "smoothing \"%g\" is not at least 0 and less than 1", options->smoothing);
	node->scratch_row = nn_shape_size(values) + 4 * nn_shape_last(values) + 1;
	return true;
}

/* t (batch, outputs) */
static void
smooth_target(const NnPass *pass, size_t n, float *target)
{
	const Options *options = pass->node->options;

	pass->device->fill(pass->queue, n, options->smoothing / 2, target);
	add_scaled(pass->queue, n, 1 - options->smoothing, nn_src(pass, 1), target);
}

/* w (batch, outputs); step is scratch of the same size */
static void
weigh_target(const NnPass *pass, size_t n, float *weight, float *step)
{
	const Options *options = pass->node->options;

	pass->device->fill(pass->queue, n, -0.5f, step);
	add_scaled(pass->queue, n, 1, nn_src(pass, 1), step);
	multiply(pass->queue, n, STEEP, step);
	pass->device->map(pass->queue, DEV_MAP_CLAMP01, n, step, 0, step);
	pass->device->fill(pass->queue, n, 1, weight);
	add_scaled(pass->queue, n, options->positive_weight - 1, step, weight);
}

/* dst = softplus(sign * z) * factor, factor (batch, outputs) */
static void
weighted_softplus(const NnPass *pass, const LossSizes *s, float sign, const float *factor, float *dst)
{
	size_t		n = pass->batch * s->size;

	pass->device->map(pass->queue, DEV_MAP_SCALE, n, nn_src(pass, 0), sign, dst);
	pass->device->map(pass->queue, DEV_MAP_SOFTPLUS, n, dst, 0, dst);
	zip_members(pass, DEV_ZIP_MULTIPLY, s, dst, factor, dst);
}

static void
forward(const NnPass *pass)
{
	const Options *options = pass->node->options;
	const DevPrimitives *p = pass->device;
	LossSizes	s = pass_sizes(pass);
	size_t		n = pass->batch * s.outputs;
	float	   *term = pass->scratch;
	float	   *positive = term + pass->batch * s.size;
	float	   *negative = positive + n;
	float	   *weight = negative + n;
	float	   *loss = nn_dst(pass);

	smooth_target(pass, n, positive);
	p->fill(pass->queue, n, 1, negative);
	add_scaled(pass->queue, n, -1, positive, negative);
	if (options->positive_weight != 1)
	{
		weigh_target(pass, n, weight, weight + n);
		p->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, 1, n, positive, n, weight, n, positive, n, false);
		p->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, 1, n, negative, n, weight, n, negative, n, false);
	}
	weighted_softplus(pass, &s, -1, positive, term);
	p->reduce_cols(pass->queue, pass->batch, s.size, term, s.size, NULL, 0, loss, false);
	weighted_softplus(pass, &s, 1, negative, term);
	p->reduce_cols(pass->queue, pass->batch, s.size, term, s.size, NULL, 0, loss, true);
	multiply(pass->queue, pass->batch, 1.0f / (float) s.size, loss);
}

/* w (sigmoid(z) - t) */
static void
backward(const NnPass *pass)
{
	const Options *options = pass->node->options;
	LossSizes	s = pass_sizes(pass);
	size_t		n = pass->batch * s.outputs;
	float	   *derivative = pass->scratch;
	float	   *target = derivative + pass->batch * s.size;
	float	   *weight = target + n;

	pass->device->map(pass->queue, DEV_MAP_SIGMOID, pass->batch * s.size, nn_src(pass, 0), 0, derivative);
	smooth_target(pass, n, target);
	zip_members(pass, DEV_ZIP_SUBTRACT, &s, derivative, target, derivative);
	if (options->positive_weight != 1)
	{
		weigh_target(pass, n, weight, weight + n);
		zip_members(pass, DEV_ZIP_MULTIPLY, &s, derivative, weight, derivative);
	}
	spread_loss(pass, &s, 1.0f / (float) s.size, derivative, weight + 2 * n);
}

const NnOperator nn_operator_binary_cross_entropy = {
	.name = "binary_cross_entropy",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.reads_src = true
};

NnNode
nn_binary_cross_entropy(NnGraph *graph, NnNode logits, NnNode target, float positive_weight, float smoothing)
{
	NnNode		src[] = {logits, target};
	Options		options = {.positive_weight = positive_weight, .smoothing = smoothing};

	return nn_node_add(graph, &nn_operator_binary_cross_entropy, src, 2, NULL, 0, &options, sizeof(options));
}

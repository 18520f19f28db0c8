/*
 * soft_cross_entropy.c: mean over members of - sum over classes of q log softmax(z), for targets that are shares.
 *
 * As cross_entropy, but the target is a share of every class: rows that MixUp and CutMix made of two. q is
 * q[c] = w[c] ((1 - smoothing) t[c] + smoothing / classes), w the class weight. The softmax of forward is kept, for the
 * derivative is (sum of q) softmax - q.
 */
#include "loss.h"

typedef struct Options
{
	const float *class_weights; /* the caller's; read by the shape rule only */
	float		smoothing;
} Options;

/* Two rows of (classes): what a share of the target counts, and what every class gets anyway. */
static bool
set_constants(NnGraph *graph, NnNodeData *node, size_t classes)
{
	const Options *options = node->options;

	node->constants = dev_alloc(graph->session, 2 * classes, sizeof(float));
	if (node->constants == NULL)
		return nn_reject_memory(graph);
	node->n_constants = 2 * classes;
	for (size_t c = 0; c < classes; c++)
	{
		float		weight = options->class_weights != NULL ? options->class_weights[c] : 1;

		if (!(weight >= 0 && weight < 1e30f))
			return nn_reject(graph, node, "weight \"%g\" of class %zu is not a number of at least 0", weight, c);
		node->constants[c] = weight * (1 - options->smoothing);
		node->constants[classes + c] = weight * options->smoothing / (float) classes;
	}
	return true;
}

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	Options    *options = node->options;
	const NnShape *values = check_values_and_target(graph, node);

	if (values == NULL)
		return false;
	if (!(options->smoothing >= 0 && options->smoothing < 1))
		return nn_reject(graph, node, "smoothing \"%g\" is not at least 0 and less than 1", options->smoothing);
	if (!set_constants(graph, node, nn_shape_last(values)))
		return false;
	options->class_weights = NULL;
	node->workspace_row = nn_shape_size(values);
	node->scratch_row = nn_shape_size(values) + nn_shape_last(values) + nn_shape_positions(values) + 1;
	return true;
}

/* q (batch, classes) */
static void
set_target(const NnPass *pass, size_t classes, float *q)
{
	const DevPrimitives *p = pass->device;

	p->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_ROW, pass->batch, classes, nn_src(pass, 1), classes,
		   pass->constants, classes, q, classes, false);
	p->zip(pass->queue, DEV_ZIP_ADD, DEV_SPREAD_ROW, pass->batch, classes, q, classes, pass->constants + classes,
		   classes, q, classes, false);
}

static void
forward(const NnPass *pass)
{
	const DevPrimitives *p = pass->device;
	LossSizes	s = pass_sizes(pass);
	size_t		rows = pass->batch * s.members;
	float	   *term = pass->scratch;
	float	   *q = term + pass->batch * s.size;
	float	   *log_sum = q + pass->batch * s.outputs;

	p->softmax(pass->queue, rows, s.outputs, nn_src(pass, 0), s.outputs, pass->workspace, s.outputs, log_sum);
	p->zip(pass->queue, DEV_ZIP_SUBTRACT, DEV_SPREAD_COLUMN, rows, s.outputs, nn_src(pass, 0), s.outputs,
		   log_sum, 1, term, s.outputs, false);
	set_target(pass, s.outputs, q);
	zip_members(pass, DEV_ZIP_MULTIPLY, &s, term, q, term);
	sum_loss(pass, &s, -1.0f / (float) s.members, term, NULL, nn_dst(pass));
}

static void
backward(const NnPass *pass)
{
	const DevPrimitives *p = pass->device;
	LossSizes	s = pass_sizes(pass);
	float	   *derivative = pass->scratch;
	float	   *q = derivative + pass->batch * s.size;
	float	   *sum = q + pass->batch * s.outputs;

	set_target(pass, s.outputs, q);
	p->reduce_cols(pass->queue, pass->batch, s.outputs, q, s.outputs, NULL, 0, sum, false);
	p->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_COLUMN, pass->batch, s.size, pass->workspace, s.size, sum, 1,
		   derivative, s.size, false);
	zip_members(pass, DEV_ZIP_SUBTRACT, &s, derivative, q, derivative);
	spread_loss(pass, &s, 1.0f / (float) s.members, derivative, sum);
}

const NnOperator nn_operator_soft_cross_entropy = {
	.name = "soft_cross_entropy",
	.shape = shape,
	.forward = forward,
	.backward = backward
};

NnNode
nn_soft_cross_entropy(NnGraph *graph, NnNode logits, NnNode target, const float *class_weights, float smoothing)
{
	NnNode		src[] = {logits, target};
	Options		options = {.class_weights = class_weights, .smoothing = smoothing};

	return nn_node_add(graph, &nn_operator_soft_cross_entropy, src, 2, NULL, 0, &options, sizeof(options));
}

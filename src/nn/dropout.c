/*
 * dropout.c: in training, zeroes each value with probability `rate` and scales the others so that the mean stays.
 *
 * Element i of row r of step s is number (r * size + i) of a random stream made of the
 * step and the node: threads that share a batch draw what one thread would.
 */
#include "operator.h"

typedef struct DropoutOptions
{
	float		rate;
} DropoutOptions;

NnNode
nn_dropout(NnGraph *graph, NnNode src, float rate)
{
	DropoutOptions options = {rate};

	return nn_node_add(graph, &nn_operator_dropout, &src, 1, NULL, 0, &options, sizeof(options));
}

static bool
dropout_shape(NnGraph *graph, NnNodeData *node)
{
	const DropoutOptions *options = node->options;

	if (!nn_need_floats(graph, node, 0))
		return false;
	if (!(options->rate >= 0.0f && options->rate < 1.0f))
		return nn_reject(graph, node, "rate %g is not in [0, 1)", options->rate);
	node->shape = *nn_src_shape(graph, node, 0);
	if (options->rate > 0.0f)
		node->workspace_row = nn_shape_size(&node->shape);
	return true;
}

static bool
drops(const NnPass *pass)
{
	const DropoutOptions *options = pass->node->options;

	return pass->mode == NN_TRAIN && options->rate > 0.0f;
}

static void
dropout_forward(const NnPass *pass)
{
	const DropoutOptions *options = pass->node->options;
	size_t		size = pass->node->size;
	size_t		n = pass->batch * size;
	float	   *dst = nn_dst(pass);

	if (drops(pass))
	{
		uint64_t	stream = (pass->step << 32) + DEV_STREAM_DROPOUT + (uint64_t) pass->node->number;

		pass->device->random_mask(pass->queue, n, options->rate, pass->seed, stream,
								  (uint64_t) pass->first_row * size, pass->workspace);
		pass->device->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, 1, n, nn_src(pass, 0), n,
						  pass->workspace, n, dst, n, false);
	}
	else if (dst != nn_src(pass, 0))
		pass->device->copy(pass->queue, 1, n, nn_src(pass, 0), n, dst, n, false);
}

static void
dropout_backward(const NnPass *pass)
{
	size_t		n = pass->batch * pass->node->size;
	const float *diff = nn_diff_dst(pass);
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	if (diff_src == NULL)
		return;
	if (drops(pass))
		pass->device->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, 1, n, diff, n, pass->workspace, n,
						  diff_src, n, accumulate);
	else if (diff_src != diff)
		pass->device->copy(pass->queue, 1, n, diff, n, diff_src, n, accumulate);
}

/* Outside training nothing is dropped. */
static NnOnnxValue
dropout_onnx(const NnOnnxNode *at)
{
	return nn_onnx_src(at, 0);
}

const NnOperator nn_operator_dropout = {
	.name = "dropout",
	.shape = dropout_shape,
	.forward = dropout_forward,
	.backward = dropout_backward,
	.in_place = true,
	.diff_in_place = true,
	.onnx = dropout_onnx
};

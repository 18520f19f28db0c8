/*
 * softmax.c: the last dimension as probabilities.
 */
#include "operator.h"

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	if (!nn_need_floats(graph, node, 0))
		return false;
	node->shape = *nn_src_shape(graph, node, 0);
	node->scratch_row = nn_shape_size(&node->shape) + nn_shape_positions(&node->shape);
	return true;
}

static void
forward(const NnPass *pass)
{
	size_t		cols = nn_shape_last(&pass->node->shape);
	size_t		rows = pass->batch * nn_shape_positions(&pass->node->shape);

	pass->device->softmax(pass->queue, rows, cols, nn_src(pass, 0), cols, nn_dst(pass), cols, NULL);
}

/* diff_src = y * (diff - sum(diff * y)) */
static void
backward(const NnPass *pass)
{
	const DevPrimitives *p = pass->device;
	DevQueue   *queue = pass->queue;
	size_t		cols = nn_shape_last(&pass->node->shape);
	size_t		rows = pass->batch * nn_shape_positions(&pass->node->shape);
	const float *value = nn_dst(pass);
	const float *diff = nn_diff_dst(pass);
	float	   *centred = pass->scratch;
	float	   *sums = pass->scratch + rows * cols;
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	if (diff_src == NULL)
		return;
	p->reduce_cols(queue, rows, cols, diff, cols, value, cols, sums, false);
	p->zip(queue, DEV_ZIP_SUBTRACT, DEV_SPREAD_COLUMN, rows, cols, diff, cols, sums, 1, centred, cols, false);
	p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, rows, cols, value, cols, centred, cols,
		   diff_src, cols, accumulate);
}

static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	nn_onnx_set_integer(at->onnx, "axis", -1);
	return nn_onnx_apply1(at->onnx, "Softmax", nn_onnx_src(at, 0));
}

const NnOperator nn_operator_softmax = {
	.name = "softmax",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.reads_dst = true,
	.onnx = onnx
};

NnNode
nn_softmax(NnGraph *graph, NnNode src)
{
	return nn_node_add(graph, &nn_operator_softmax, &src, 1, NULL, 0, NULL, 0);
}

/*
 * sum_groups.c: (groups, out) -> (out), the last step of an additive model. The gradient goes to every group.
 */
#include "operator.h"

NnNode
nn_sum_groups(NnGraph *graph, NnNode src)
{
	return nn_node_add(graph, &nn_operator_sum_groups, &src, 1, NULL, 0, NULL, 0);
}

static bool
sum_groups_shape(NnGraph *graph, NnNodeData *node)
{
	const NnShape *src = nn_src_shape(graph, node, 0);
	char		text[96];

	if (!nn_need_floats(graph, node, 0))
		return false;
	if (src->rank != 2)
		return nn_reject(graph, node, "source %s is not (groups, outputs)", nn_shape_text(src, text, sizeof(text)));
	node->shape = nn_shape(1, src->dims[1], 0, 0, 0);
	return true;
}

static void
sum_groups_forward(const NnPass *pass)
{
	size_t		out = pass->node->size;
	size_t		size = nn_src_size(pass, 0);

	if (out == 1)
		pass->device->reduce_cols(pass->queue, pass->batch, size, nn_src(pass, 0), size, NULL, 0, nn_dst(pass), false);
	else
		for (size_t group = 0; group < size / out; group++)
			pass->device->copy(pass->queue, pass->batch, out, nn_src(pass, 0) + group * out, size,
							   nn_dst(pass), out, group > 0);
}

static void
sum_groups_backward(const NnPass *pass)
{
	size_t		out = pass->node->size;
	size_t		size = nn_src_size(pass, 0);
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	if (diff_src == NULL)
		return;
	for (size_t group = 0; group < size / out; group++)
		pass->device->copy(pass->queue, pass->batch, out, nn_diff_dst(pass), out, diff_src + group * out, size, accumulate);
}

static NnOnnxValue
sum_groups_onnx(const NnOnnxNode *at)
{
	nn_onnx_set_integer(at->onnx, "keepdims", 0);
	return nn_onnx_along(at->onnx, "ReduceSum", nn_onnx_src(at, 0), 1);
}

const NnOperator nn_operator_sum_groups = {
	.name = "sum_groups",
	.shape = sum_groups_shape,
	.forward = sum_groups_forward,
	.backward = sum_groups_backward,
	.onnx = sum_groups_onnx
};

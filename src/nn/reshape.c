/*
 * reshape.c: the same values under another shape. The node uses its source's buffers, so there is nothing to do.
 */
#include "operator.h"

NnNode
nn_reshape(NnGraph *graph, NnNode src, const NnShape *shape)
{
	return nn_node_add(graph, &nn_operator_reshape, &src, 1, NULL, 0, shape, sizeof(*shape));
}

static bool
reshape_shape(NnGraph *graph, NnNodeData *node)
{
	const NnShape *src = nn_src_shape(graph, node, 0);
	const NnShape *wanted = node->options;
	size_t		rest = nn_shape_size(src);

	if (!nn_need_floats(graph, node, 0))
		return false;
	if (wanted->rank < 1 || wanted->rank > NN_MAX_RANK)
		return nn_reject(graph, node, "rank %d is not in 1 to %d", wanted->rank, NN_MAX_RANK);
	for (int i = 0; i < wanted->rank; i++)
	{
		if (wanted->dims[i] == 0 || rest % wanted->dims[i] != 0)
			return nn_reject(graph, node, "%zu values do not fill the wanted shape", nn_shape_size(src));
		rest /= wanted->dims[i];
	}
	if (rest != 1)
		return nn_reject(graph, node, "%zu values do not fit the wanted shape", nn_shape_size(src));
	node->shape = *wanted;
	return true;
}

static NnOnnxValue
reshape_onnx(const NnOnnxNode *at)
{
	const NnShape *shape = &at->node->shape;
	int64_t		dims[NN_MAX_RANK + 1] = {-1};

	for (int i = 0; i < shape->rank; i++)
		dims[i + 1] = (int64_t) shape->dims[i];
	return nn_onnx_apply2(at->onnx, "Reshape", nn_onnx_src(at, 0), nn_onnx_list(at->onnx, (size_t) shape->rank + 1, dims));
}

const NnOperator nn_operator_reshape = {
	.name = "reshape",
	.shape = reshape_shape,
	.onnx = reshape_onnx
};

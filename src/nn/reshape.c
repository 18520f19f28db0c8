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

const NnOperator nn_operator_reshape = {
	.name = "reshape",
	.shape = reshape_shape
};

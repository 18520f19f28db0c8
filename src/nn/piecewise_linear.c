/*
 * piecewise_linear.c: a number as how far it fills each of its bins (Gorishniy et al. 2022).
 */
#include "operator.h"

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	const NnShape *src = nn_src_shape(graph, node, 0);
	const NnShape *edges = nn_need_parameter(graph, node, 0);
	char		text[64];

	if (edges == NULL || !nn_need_floats(graph, node, 0))
		return false;
	if (src->rank != 1)
		return nn_reject(graph, node, "source has shape %s where (n) is needed", nn_shape_text(src, text, sizeof(text)));
	if (edges->rank != 2 || edges->dims[0] != src->dims[0] || edges->dims[1] < 2)
		return nn_reject(graph, node, "edges have shape %s where (%zu, bins + 1) is needed",
						 nn_shape_text(edges, text, sizeof(text)), src->dims[0]);
	if (graph->parameters[node->parameters[0]].role != NN_ROLE_CONSTANT)
		return nn_reject(graph, node, "edges are no constant, and cannot be trained");
	node->shape = nn_shape(2, src->dims[0], edges->dims[1] - 1, 0, 0);
	return true;
}

static void
forward(const NnPass *pass)
{
	const NnShape *dst = &pass->node->shape;

	pass->device->piecewise_linear(pass->queue, pass->batch, dst->dims[0], dst->dims[1], nn_src(pass, 0),
								   nn_parameter_values(pass, 0), nn_dst(pass));
}

static void
backward(const NnPass *pass)
{
	const NnShape *dst = &pass->node->shape;
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	if (diff_src != NULL)
		pass->device->piecewise_linear_grad(pass->queue, pass->batch, dst->dims[0], dst->dims[1], nn_src(pass, 0),
											nn_parameter_values(pass, 0), nn_diff_dst(pass), diff_src, accumulate);
}

const NnOperator nn_operator_piecewise_linear = {
	.name = "piecewise_linear",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.reads_src = true
};

NnNode
nn_piecewise_linear(NnGraph *graph, NnNode src, NnParameter edges)
{
	return nn_node_add(graph, &nn_operator_piecewise_linear, &src, 1, &edges, 1, NULL, 0);
}

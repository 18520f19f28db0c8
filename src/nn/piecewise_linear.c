/*
 * piecewise_linear.c: a number as how far it fills each of its bins (Gorishniy et al. 2022).
 */
#include "operator.h"

#include <float.h>

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

/* (x - low) / width within 0 and 1, but for the ends of the first and last bin; bins without width are steps. */
static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	DevSession *session = nn_onnx_session(at->onnx);
	const NnShape *shape = &at->node->shape;
	size_t		n = shape->dims[0];
	size_t		bins = shape->dims[1];
	const float *edges = at->weights + at->graph->parameters[at->node->parameters[0]].offset;
	float	   *made = dev_alloc(session, 4 * n * bins, sizeof(float));
	float	   *parts[4] = {made, made + n * bins, made + 2 * n * bins, made + 3 * n * bins};
	NnOnnxValue constants[4];
	NnOnnxValue x = nn_onnx_along(at->onnx, "Unsqueeze", nn_onnx_src(at, 0), 2);

	if (made == NULL)
		return nn_onnx_fail(at->onnx, DEV_NO_MEMORY, "no memory for %zu bins", n * bins);
	for (size_t i = 0; i < n * bins; i++)
	{
		const float *edge = edges + i / bins * (bins + 1) + i % bins;

		/* A step is what a bin of the least width is, clipped. */
		parts[0][i] = edge[0];
		parts[1][i] = edge[1] > edge[0] ? edge[1] - edge[0] : FLT_MIN;
		parts[2][i] = i % bins == 0 && edge[1] > edge[0] ? -FLT_MAX : 0;
		parts[3][i] = i % bins == bins - 1 && edge[1] > edge[0] ? FLT_MAX : 1;
	}
	for (int i = 0; i < 4; i++)
		constants[i] = nn_onnx_floats(at->onnx, 2, shape->dims, parts[i]);
	dev_release(session, made);
	x = nn_onnx_apply2(at->onnx, "Div", nn_onnx_apply2(at->onnx, "Sub", x, constants[0]), constants[1]);
	return nn_onnx_apply2(at->onnx, "Min", nn_onnx_apply2(at->onnx, "Max", x, constants[2]), constants[3]);
}

const NnOperator nn_operator_piecewise_linear = {
	.name = "piecewise_linear",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.reads_src = true,
	.onnx = onnx
};

NnNode
nn_piecewise_linear(NnGraph *graph, NnNode src, NnParameter edges)
{
	return nn_node_add(graph, &nn_operator_piecewise_linear, &src, 1, &edges, 1, NULL, 0);
}

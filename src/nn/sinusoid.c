/*
 * sinusoid.c: positions as sines and cosines of fixed frequencies, added to the sequence (Vaswani et al. 2017).
 */
#include "sequence.h"

#include <math.h>

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	const NnShape *src = need_sequence(graph, node, 0);
	size_t		width;

	if (src == NULL)
		return false;
	width = src->dims[1];
	node->shape = *src;
	node->constants = dev_alloc(graph->session, src->dims[0] * width, sizeof(float));
	if (node->constants == NULL)
		return nn_reject_memory(graph);
	node->n_constants = src->dims[0] * width;
	for (size_t p = 0; p < src->dims[0]; p++)
		for (size_t i = 0; i < width; i++)
		{
			double		angle = (double) p * pow(10000.0, -(double) (i - i % 2) / (double) width);

			node->constants[p * width + i] = (float) (i % 2 == 0 ? sin(angle) : cos(angle));
		}
	return true;
}

static void
forward(const NnPass *pass)
{
	size_t		size = pass->node->size;

	pass->device->zip(pass->queue, DEV_ZIP_ADD, DEV_SPREAD_ROW, pass->batch, size, nn_src(pass, 0), size,
					  pass->constants, size, nn_dst(pass), size, false);
}

static void
backward(const NnPass *pass)
{
	size_t		n = pass->batch * pass->node->size;
	const float *diff = nn_diff_dst(pass);
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	if (diff_src != NULL && diff_src != diff)
		pass->device->copy(pass->queue, 1, n, diff, n, diff_src, n, accumulate);
}

static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	return nn_onnx_apply2(at->onnx, "Add", nn_onnx_src(at, 0), nn_onnx_floats(at->onnx, 2, at->node->shape.dims, at->node->constants));
}

const NnOperator nn_operator_sinusoid = {
	.name = "sinusoid",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.in_place = true,
	.overwritable = true,
	.diff_in_place = true,
	.onnx = onnx
};

NnNode
nn_sinusoid(NnGraph *graph, NnNode src)
{
	return nn_node_add(graph, &nn_operator_sinusoid, &src, 1, NULL, 0, NULL, 0);
}

/*
 * global_mean.c: (..., channels) -> (channels), each channel's mean.
 */
#include "positions.h"

NnNode
nn_global_mean(NnGraph *graph, NnNode src, NnNode lengths)
{
	return add_positions(graph, &nn_operator_global_mean, src, lengths);
}

static void
forward(const NnPass *pass)
{
	positions_forward(pass, DEV_POOL_MEAN);
}

static void
backward(const NnPass *pass)
{
	positions_backward(pass, DEV_POOL_MEAN);
}

static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	if (at->node->n_src > 1)
		return positions_mean(at, 1, nn_src_shape(at->graph, at->node, 0)->dims[0]);
	return positions_onnx(at, "ReduceMean", 0);
}

const NnOperator nn_operator_global_mean = {
	.name = "global_mean",
	.shape = positions_shape,
	.forward = forward,
	.backward = backward,
	.onnx = onnx
};

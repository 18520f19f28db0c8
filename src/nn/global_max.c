/*
 * global_max.c: (..., channels) -> (channels), each channel's largest value; the gradient goes to the first position that has it.
 */
#include "positions.h"

#include <float.h>

NnNode
nn_global_max(NnGraph *graph, NnNode src, NnNode lengths)
{
	return add_positions(graph, &nn_operator_global_max, src, lengths);
}

static void
forward(const NnPass *pass)
{
	positions_forward(pass, DEV_POOL_MAX);
}

static void
backward(const NnPass *pass)
{
	positions_backward(pass, DEV_POOL_MAX);
}

static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	NnOnnxValue most = positions_onnx(at, "ReduceMax", -FLT_MAX);

	if (at->node->n_src < 2)
		return most;
	return nn_onnx_apply3(at->onnx, "Where", nn_onnx_apply2(at->onnx, "Greater", nn_onnx_src(at, 1), nn_onnx_integer(at->onnx, 0)), most,
						  nn_onnx_float(at->onnx, 0));
}

const NnOperator nn_operator_global_max = {
	.name = "global_max",
	.shape = positions_shape,
	.forward = forward,
	.backward = backward,
	.reads_src = true,
	.reads_dst = true,
	.onnx = onnx
};

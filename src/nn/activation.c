/*
 * activation.c: an elementwise function of the device's list.
 *
 * dx = dy f'(x). Where f' is known from y, the source's value is not kept: relu
 * and selu, the ones met between layers, then work in the layer's own buffer, and an operator that
 * writes that buffer anyway may do the relu itself (node->done).
 */
#include "operator.h"

typedef struct ActivationOptions
{
	DevMap		function;
} ActivationOptions;

NnNode
nn_activation(NnGraph *graph, NnNode src, DevMap function)
{
	ActivationOptions options = {function};

	return nn_node_add(graph, &nn_operator_activation, &src, 1, NULL, 0, &options, sizeof(options));
}

static bool
slope_needs_src(DevMap function)
{
	switch (function)
	{
		case DEV_MAP_GELU:
		case DEV_MAP_SILU:
		case DEV_MAP_MISH:
		case DEV_MAP_SOFTPLUS:
		case DEV_MAP_LOG:
		case DEV_MAP_SQUARE:
		case DEV_MAP_SIN:
		case DEV_MAP_COS:
			return true;
		default:
			return false;
	}
}

static bool
activation_shape(NnGraph *graph, NnNodeData *node)
{
	const ActivationOptions *options = node->options;
	DevMap		function = options->function;

	if (!nn_need_floats(graph, node, 0))
		return false;
	if ((int) function < 0 || function > DEV_MAP_CLAMP01 || function == DEV_MAP_SCALE)
		return nn_reject(graph, node, "function %d is no activation", (int) function);
	node->shape = *nn_src_shape(graph, node, 0);
	node->reads_src = slope_needs_src(function);
	node->reads_dst = !node->reads_src && function != DEV_MAP_COPY;
	return true;
}

static void
activation_forward(const NnPass *pass)
{
	const ActivationOptions *options = pass->node->options;

	if (pass->node->done == NN_RELU_NONE)
		pass->device->map(pass->queue, options->function, pass->batch * pass->node->size, nn_src(pass, 0), 1.0f,
						  nn_dst(pass));
}

static void
activation_backward(const NnPass *pass)
{
	const ActivationOptions *options = pass->node->options;
	bool		accumulate;
	float	   *diff_src;

	if (pass->node->done == NN_RELU_BOTH)
		return;
	diff_src = nn_diff_src(pass, 0, &accumulate);
	if (diff_src != NULL)
		pass->device->map_grad(pass->queue, options->function, pass->batch * pass->node->size, nn_src(pass, 0),
							   nn_dst(pass), 1.0f, nn_diff_dst(pass), diff_src, accumulate);
}

bool
nn_is_relu(const NnNodeData *node)
{
	return node->op == &nn_operator_activation && ((const ActivationOptions *) node->options)->function == DEV_MAP_RELU;
}

/* x Phi(x) */
static NnOnnxValue
gelu_onnx(NnOnnx *onnx, NnOnnxValue x)
{
	NnOnnxValue root = nn_onnx_apply2(onnx, "Mul", x, nn_onnx_float(onnx, 0.70710678118654752f));
	NnOnnxValue share = nn_onnx_apply2(onnx, "Add", nn_onnx_apply1(onnx, "Erf", root), nn_onnx_float(onnx, 1));

	return nn_onnx_apply2(onnx, "Mul", nn_onnx_apply2(onnx, "Mul", x, share), nn_onnx_float(onnx, 0.5f));
}

static NnOnnxValue
activation_onnx(const NnOnnxNode *at)
{
	const ActivationOptions *options = at->node->options;
	NnOnnxValue x = nn_onnx_src(at, 0);
	NnOnnx	   *onnx = at->onnx;

	switch (options->function)
	{
		case DEV_MAP_COPY:
			return x;
		case DEV_MAP_RELU:
			return nn_onnx_apply1(onnx, "Relu", x);
		case DEV_MAP_GELU:
			return gelu_onnx(onnx, x);
		case DEV_MAP_SILU:
			return nn_onnx_apply2(onnx, "Mul", x, nn_onnx_apply1(onnx, "Sigmoid", x));
		case DEV_MAP_MISH:
			return nn_onnx_apply2(onnx, "Mul", x, nn_onnx_apply1(onnx, "Tanh", nn_onnx_apply1(onnx, "Softplus", x)));
		case DEV_MAP_SELU:
			return nn_onnx_apply1(onnx, "Selu", x);
		case DEV_MAP_TANH:
			return nn_onnx_apply1(onnx, "Tanh", x);
		case DEV_MAP_SIGMOID:
			return nn_onnx_apply1(onnx, "Sigmoid", x);
		case DEV_MAP_SOFTPLUS:
			return nn_onnx_apply1(onnx, "Softplus", x);
		case DEV_MAP_EXP:
			return nn_onnx_apply1(onnx, "Exp", x);
		case DEV_MAP_LOG:
			return nn_onnx_apply1(onnx, "Log", x);
		case DEV_MAP_SQUARE:
			return nn_onnx_apply2(onnx, "Mul", x, x);
		case DEV_MAP_SQRT:
			return nn_onnx_apply1(onnx, "Sqrt", x);
		case DEV_MAP_RECIPROCAL:
			return nn_onnx_apply1(onnx, "Reciprocal", x);
		case DEV_MAP_SIN:
			return nn_onnx_apply1(onnx, "Sin", x);
		case DEV_MAP_COS:
			return nn_onnx_apply1(onnx, "Cos", x);
		case DEV_MAP_CLAMP01:
			return nn_onnx_apply3(onnx, "Clip", x, nn_onnx_float(onnx, 0), nn_onnx_float(onnx, 1));
		case DEV_MAP_SCALE:
			break;
	}
	return nn_onnx_fail(onnx, DEV_INVALID, "activation %d has no form in ONNX", (int) options->function);
}

const NnOperator nn_operator_activation = {
	.name = "activation",
	.shape = activation_shape,
	.forward = activation_forward,
	.backward = activation_backward,
	.in_place = true,
	.diff_in_place = true,
	.onnx = activation_onnx
};

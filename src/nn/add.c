/*
 * add.c: the sum of two sources of one shape, the residual connection. The gradient goes to both unchanged.
 * A relu that alone reads the sum is done in the same loop.
 */
#include "operator.h"

NnNode
nn_add(NnGraph *graph, NnNode a, NnNode b)
{
	NnNode		src[2] = {a, b};

	return nn_node_add(graph, &nn_operator_add, src, 2, NULL, 0, NULL, 0);
}

static bool
add_shape(NnGraph *graph, NnNodeData *node)
{
	const NnShape *a = nn_src_shape(graph, node, 0);
	const NnShape *b = nn_src_shape(graph, node, 1);
	char		text[2][96];

	if (!nn_need_floats(graph, node, 0) || !nn_need_floats(graph, node, 1))
		return false;
	if (!nn_shape_equal(a, b))
		return nn_reject(graph, node, "shapes %s and %s differ", nn_shape_text(a, text[0], sizeof(text[0])),
						 nn_shape_text(b, text[1], sizeof(text[1])));
	node->shape = *a;
	return true;
}

static void
add_forward(const NnPass *pass)
{
	size_t		n = pass->batch * pass->node->size;

	if (pass->node->relu)
		pass->device->add_relu(pass->queue, n, nn_src(pass, 0), nn_src(pass, 1), nn_dst(pass));
	else
		pass->device->zip(pass->queue, DEV_ZIP_ADD, DEV_SPREAD_FULL, 1, n, nn_src(pass, 0), n, nn_src(pass, 1), n,
						  nn_dst(pass), n, false);
}

static void
add_backward(const NnPass *pass)
{
	size_t		n = pass->batch * pass->node->size;
	const float *diff = nn_diff_dst(pass);

	for (int i = 0; i < 2; i++)
	{
		bool		accumulate;
		float	   *diff_src = nn_diff_src(pass, i, &accumulate);

		if (diff_src != NULL && diff_src != diff)
			pass->device->copy(pass->queue, 1, n, diff, n, diff_src, n, accumulate);
	}
}

static NnOnnxValue
add_onnx(const NnOnnxNode *at)
{
	return nn_onnx_apply2(at->onnx, "Add", nn_onnx_src(at, 0), nn_onnx_src(at, 1));
}

const NnOperator nn_operator_add = {
	.name = "add",
	.shape = add_shape,
	.forward = add_forward,
	.backward = add_backward,
	.in_place = true,
	.overwritable = true,
	.relu = NN_RELU_FORWARD,
	.diff_in_place = true,
	.onnx = add_onnx
};

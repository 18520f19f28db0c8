/*
 * concat.c: sources side by side along the last dimension; the other dimensions agree.
 */
#include "operator.h"

#include <string.h>

NnNode
nn_concat(NnGraph *graph, const NnNode *src, int n_src)
{
	return nn_node_add(graph, &nn_operator_concat, src, n_src, NULL, 0, NULL, 0);
}

static bool
concat_shape(NnGraph *graph, NnNodeData *node)
{
	size_t		width = 0;

	if (node->n_src < 1)
		return nn_reject(graph, node, "there is nothing to put together");
	node->shape = *nn_src_shape(graph, node, 0);
	for (int i = 0; i < node->n_src; i++)
	{
		const NnShape *src = nn_src_shape(graph, node, i);

		if (!nn_need_floats(graph, node, i))
			return false;
		if (src->rank != node->shape.rank ||
			memcmp(src->dims, node->shape.dims, (size_t) (src->rank - 1) * sizeof(src->dims[0])) != 0)
			return nn_reject(graph, node, "source %d differs from the first in more than the last dimension", i + 1);
		width += nn_shape_last(src);
	}
	node->shape.dims[node->shape.rank - 1] = width;
	return true;
}

static void
concat_forward(const NnPass *pass)
{
	size_t		positions = nn_shape_positions(&pass->node->shape);
	size_t		width = nn_shape_last(&pass->node->shape);
	float	   *dst = nn_dst(pass);

	for (int i = 0; i < pass->node->n_src; i++)
	{
		size_t		part = nn_src_size(pass, i) / positions;

		pass->device->copy(pass->queue, pass->batch * positions, part, nn_src(pass, i), part, dst, width, false);
		dst += part;
	}
}

static void
concat_backward(const NnPass *pass)
{
	size_t		positions = nn_shape_positions(&pass->node->shape);
	size_t		width = nn_shape_last(&pass->node->shape);
	const float *diff = nn_diff_dst(pass);

	for (int i = 0; i < pass->node->n_src; i++)
	{
		size_t		part = nn_src_size(pass, i) / positions;
		bool		accumulate;
		float	   *diff_src = nn_diff_src(pass, i, &accumulate);

		if (diff_src != NULL)
			pass->device->copy(pass->queue, pass->batch * positions, part, diff, width, diff_src, part, accumulate);
		diff += part;
	}
}

static NnOnnxValue
concat_onnx(const NnOnnxNode *at)
{
	DevSession *session = nn_onnx_session(at->onnx);
	NnOnnxValue *src = dev_alloc(session, (size_t) at->node->n_src, sizeof(NnOnnxValue));
	NnOnnxValue made;

	if (src == NULL)
		return nn_onnx_fail(at->onnx, DEV_NO_MEMORY, "no memory for %d sources", at->node->n_src);
	for (int i = 0; i < at->node->n_src; i++)
		src[i] = nn_onnx_src(at, i);
	nn_onnx_set_integer(at->onnx, "axis", -1);
	made = nn_onnx_apply(at->onnx, "Concat", src, at->node->n_src);
	dev_release(session, src);
	return made;
}

const NnOperator nn_operator_concat = {
	.name = "concat",
	.shape = concat_shape,
	.forward = concat_forward,
	.backward = concat_backward,
	.onnx = concat_onnx
};

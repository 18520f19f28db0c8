/*
 * mask.c: zeros at the positions of a sequence that do not count; no gradient comes back from there.
 */
#include "sequence.h"

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	const NnShape *src = check_sequence(graph, node);

	if (src == NULL || !check_lengths(graph, node, 1))
		return false;
	node->shape = *src;
	return true;
}

static void
forward(const NnPass *pass)
{
	Sequence	s = sequence_of(pass);

	pass->device->sequence_copy(pass->queue, pass->batch, s.length, s.width, lengths_of(pass, 1), nn_src(pass, 0),
								nn_dst(pass), false);
}

static void
backward(const NnPass *pass)
{
	Sequence	s = sequence_of(pass);
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	if (diff_src != NULL)
		pass->device->sequence_copy(pass->queue, pass->batch, s.length, s.width, lengths_of(pass, 1),
									nn_diff_dst(pass), diff_src, accumulate);
}

static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	return padding_replaced(at, nn_onnx_src(at, 0), 1, at->node->shape.dims[0], 0);
}

const NnOperator nn_operator_mask = {
	.name = "mask",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.in_place = true,
	.diff_in_place = true,
	.onnx = onnx
};

NnNode
nn_mask(NnGraph *graph, NnNode src, NnNode lengths)
{
	NnNode		sources[] = {src, lengths};

	return nn_node_add(graph, &nn_operator_mask, sources, lengths == NN_NONE ? 1 : 2, NULL, 0, NULL, 0);
}

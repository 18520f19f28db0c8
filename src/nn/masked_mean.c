/*
 * masked_mean.c: the mean over the positions of a sequence that count: (length, width) -> (width). Zeros where none does.
 */
#include "sequence.h"

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	const NnShape *src = check_sequence(graph, node);

	if (src == NULL || !check_lengths(graph, node, 1))
		return false;
	node->shape = nn_shape(1, src->dims[1], 0, 0, 0);
	node->scratch_row = src->dims[0];
	return true;
}

static void
forward(const NnPass *pass)
{
	Sequence	s = sequence_of(pass);
	const int32_t *lengths = lengths_of(pass, 1);

	pass->device->sequence_shares(pass->queue, pass->batch, s.length, lengths, NULL, 0, pass->scratch);
	pass->device->sequence_sum(pass->queue, pass->batch, s.length, s.width, lengths, pass->scratch, nn_src(pass, 0),
							   nn_dst(pass));
}

static void
backward(const NnPass *pass)
{
	Sequence	s = sequence_of(pass);

	pass->device->sequence_shares(pass->queue, pass->batch, s.length, lengths_of(pass, 1), NULL, 0, pass->scratch);
	spread_sum(pass, pass->scratch);
}

static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	return positions_mean(at, 1, nn_src_shape(at->graph, at->node, 0)->dims[0]);
}

const NnOperator nn_operator_masked_mean = {
	.name = "masked_mean",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.onnx = onnx
};

NnNode
nn_masked_mean(NnGraph *graph, NnNode src, NnNode lengths)
{
	NnNode		sources[] = {src, lengths};

	return nn_node_add(graph, &nn_operator_masked_mean, sources, lengths == NN_NONE ? 1 : 2, NULL, 0, NULL, 0);
}

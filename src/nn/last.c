/*
 * last.c: the last position of a sequence that counts, or the first: (length, width) -> (width). Zeros where none does.
 */
#include "sequence.h"

typedef struct Options
{
	bool		first;
} Options;

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	const NnShape *src = check_sequence(graph, node);

	if (src == NULL || !check_lengths(graph, node, 1))
		return false;
	node->shape = nn_shape(1, src->dims[1], 0, 0, 0);
	return true;
}

static void
forward(const NnPass *pass)
{
	const Options *options = pass->node->options;
	Sequence	s = sequence_of(pass);

	pass->device->sequence_pick(pass->queue, pass->batch, s.length, s.width, lengths_of(pass, 1), options->first,
								nn_src(pass, 0), nn_dst(pass));
}

static void
backward(const NnPass *pass)
{
	const Options *options = pass->node->options;
	Sequence	s = sequence_of(pass);
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	if (diff_src != NULL)
		pass->device->sequence_put(pass->queue, pass->batch, s.length, s.width, lengths_of(pass, 1), options->first,
								   nn_diff_dst(pass), diff_src, accumulate);
}

const NnOperator nn_operator_last = {
	.name = "last",
	.shape = shape,
	.forward = forward,
	.backward = backward
};

NnNode
nn_last(NnGraph *graph, NnNode src, NnNode lengths, bool first)
{
	NnNode		sources[] = {src, lengths};
	Options		options = {.first = first};

	return nn_node_add(graph, &nn_operator_last, sources, lengths == NN_NONE ? 1 : 2, NULL, 0, &options, sizeof(options));
}

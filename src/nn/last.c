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

/* The sum over positions of which one alone is not zero; of an empty sequence none. */
static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	const Options *options = at->node->options;
	size_t		length = nn_src_shape(at->graph, at->node, 0)->dims[0];
	NnOnnx	   *file = at->onnx;
	NnOnnxValue number;

	if (at->node->n_src < 2)
		number = nn_onnx_integer(file, options->first ? 0 : (int64_t) length - 1);
	else
	{
		number = nn_onnx_along(file, "Unsqueeze", nn_onnx_src(at, 1), 2);
		number = options->first ? nn_onnx_apply2(file, "Min", number, nn_onnx_integer(file, 1)) : number;
		number = nn_onnx_apply2(file, "Sub", number, nn_onnx_integer(file, 1));
	}
	number = nn_onnx_apply2(file, "Equal", positions_numbered(at, length, true), number);
	return positions_summed(at, nn_onnx_apply3(file, "Where", number, nn_onnx_src(at, 0), nn_onnx_float(file, 0)));
}

const NnOperator nn_operator_last = {
	.name = "last",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.onnx = onnx
};

NnNode
nn_last(NnGraph *graph, NnNode src, NnNode lengths, bool first)
{
	NnNode		sources[] = {src, lengths};
	Options		options = {.first = first};

	return nn_node_add(graph, &nn_operator_last, sources, lengths == NN_NONE ? 1 : 2, NULL, 0, &options, sizeof(options));
}

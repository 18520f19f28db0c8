/*
 * mask_positions.c: (length, width) with zeros behind each example's own length. What stood there neither goes on nor
 * learns, however the layers before filled the padding.
 */
#include "operator.h"

NnNode
nn_mask_positions(NnGraph *graph, NnNode src, NnNode lengths)
{
	NnNode		sources[2] = {src, lengths};

	return nn_node_add(graph, &nn_operator_mask_positions, sources, 2, NULL, 0, NULL, 0);
}

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	const NnShape *src = nn_src_shape(graph, node, 0);
	char		text[96];

	if (!nn_need_floats(graph, node, 0))
		return false;
	if (src->rank != 2)
		return nn_reject(graph, node, "source %s is not (length, width)", nn_shape_text(src, text, sizeof(text)));
	if (!nn_src_is_codes(graph, node, 1) || nn_shape_size(nn_src_shape(graph, node, 1)) != 1)
		return nn_reject(graph, node, "lengths are not one code an example");
	node->shape = *src;
	return true;
}

static void
mask(const NnPass *pass, const float *src, float *dst, bool accumulate)
{
	size_t		width = nn_shape_last(&pass->node->shape);

	pass->device->mask_positions(pass->queue, pass->batch, pass->node->size / width, width, src, nn_src_codes(pass, 1), dst,
								 accumulate);
}

static void
forward(const NnPass *pass)
{
	mask(pass, nn_src(pass, 0), nn_dst(pass), false);
}

static void
backward(const NnPass *pass)
{
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	if (diff_src != NULL)
		mask(pass, nn_diff_dst(pass), diff_src, accumulate);
}

const NnOperator nn_operator_mask_positions = {
	.name = "mask_positions",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.in_place = true,
	.overwritable = true,
	.diff_in_place = true
};

/*
 * positions.h: what the operators that take all positions together have in common; private to src/nn.
 *
 * Source 0 is (..., channels); source 1, where there is one, holds each example's number of positions.
 */
#ifndef IDLA_NN_POSITIONS_H
#define IDLA_NN_POSITIONS_H

#include "sequence.h"

static inline NnNode
add_positions(NnGraph *graph, const NnOperator *op, NnNode src, NnNode lengths)
{
	NnNode		sources[2] = {src, lengths};

	return nn_node_add(graph, op, sources, lengths == NN_NONE ? 1 : 2, NULL, 0, NULL, 0);
}

static inline bool
positions_shape(NnGraph *graph, NnNodeData *node)
{
	const NnShape *src = nn_src_shape(graph, node, 0);
	char		text[96];

	if (!nn_need_floats(graph, node, 0))
		return false;
	if (src->rank < 2)
		return nn_reject(graph, node, "source %s has no positions", nn_shape_text(src, text, sizeof(text)));
	if (node->n_src > 1 && (!nn_src_is_codes(graph, node, 1) || nn_shape_size(nn_src_shape(graph, node, 1)) != 1))
		return nn_reject(graph, node, "lengths are not one code an example");
	if (node->n_src > 1 && src->rank != 2)
		return nn_reject(graph, node, "source %s is no sequence, which alone has a length", nn_shape_text(src, text, sizeof(text)));
	node->shape = nn_shape(1, nn_shape_last(src), 0, 0, 0);
	return true;
}

static inline void
positions_forward(const NnPass *pass, DevPool kind)
{
	pass->device->pool_positions(pass->queue, kind, pass->batch, nn_src_size(pass, 0) / pass->node->size, pass->node->size,
								 nn_src(pass, 0), pass->node->n_src > 1 ? nn_src_codes(pass, 1) : NULL, nn_dst(pass));
}

static inline void
positions_backward(const NnPass *pass, DevPool kind)
{
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	if (diff_src != NULL)
		pass->device->pool_positions_grad(pass->queue, kind, pass->batch, nn_src_size(pass, 0) / pass->node->size,
										  pass->node->size, nn_src(pass, 0),
										  pass->node->n_src > 1 ? nn_src_codes(pass, 1) : NULL, nn_dst(pass),
										  nn_diff_dst(pass), diff_src, accumulate);
}

/* All dimensions between the batch and the channels; of a sequence with a length, those that it does not count are `otherwise`. */
static inline NnOnnxValue
positions_onnx(const NnOnnxNode *at, const char *operator, float otherwise)
{
	static const int64_t axes[] = {1, 2, 3};
	const NnShape *shape = nn_src_shape(at->graph, at->node, 0);

	NnOnnxValue src = padding_replaced(at, nn_onnx_src(at, 0), 1, shape->dims[0], otherwise);

	nn_onnx_set_integers(at->onnx, "axes", (size_t) shape->rank - 1, axes);
	nn_onnx_set_integer(at->onnx, "keepdims", 0);
	return nn_onnx_apply1(at->onnx, operator, src);
}

#endif							/* IDLA_NN_POSITIONS_H */

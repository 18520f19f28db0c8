/*
 * sequence.h: what operators on padded sequences share; private to src/nn.
 *
 * A sequence is (length, width); how many of its positions count, the others being padding at the end, comes as a node
 * of one code, the last source. Without that source all positions count.
 */
#ifndef IDLA_NN_SEQUENCE_H
#define IDLA_NN_SEQUENCE_H

#include "arithmetic.h"

typedef struct Sequence
{
	size_t		length;
	size_t		width;
} Sequence;

/* The shape of source 0, checked to be a sequence; NULL after nn_reject. */
static inline const NnShape *
check_sequence(NnGraph *graph, const NnNodeData *node)
{
	const NnShape *src = nn_src_shape(graph, node, 0);
	char		text[96];

	if (!nn_need_floats(graph, node, 0))
		return NULL;
	if (src->rank == 2)
		return src;
	nn_reject(graph, node, "source has shape %s where (length, width) is needed", nn_shape_text(src, text, sizeof(text)));
	return NULL;
}

/* Source number i, if there is one, must hold lengths. */
static inline bool
check_lengths(NnGraph *graph, const NnNodeData *node, int i)
{
	if (node->n_src <= i)
		return true;
	if (!nn_src_is_codes(graph, node, i) || nn_src_shape(graph, node, i)->dims[0] != 1)
		return nn_reject(graph, node, "lengths are not a node of one code");
	return true;
}

/* Source i must be one code for every position. */
static inline bool
check_position_codes(NnGraph *graph, const NnNodeData *node, int i, size_t length)
{
	char		text[96];

	if (!nn_src_is_codes(graph, node, i))
		return nn_reject(graph, node, "target is not a node of codes");
	if (nn_src_shape(graph, node, i)->dims[0] != length)
		return nn_reject(graph, node, "target has shape %s where (%zu) is needed",
						 nn_shape_text(nn_src_shape(graph, node, i), text, sizeof(text)), length);
	return true;
}

static inline Sequence
sequence_of(const NnPass *pass)
{
	const NnShape *src = nn_src_shape(pass->graph, pass->node, 0);
	Sequence	sequence = {.length = src->dims[0], .width = src->dims[1]};

	return sequence;
}

/* The codes of source i, or NULL when the node has no such source. */
static inline const int32_t *
lengths_of(const NnPass *pass, int i)
{
	return pass->node->n_src > i ? nn_src_codes(pass, i) : NULL;
}

/* diff_src 0 (+)= weights (batch, length) times the gradient (batch, width) of the weighted sum of positions */
static inline void
spread_sum(const NnPass *pass, const float *weights)
{
	Sequence	s = sequence_of(pass);
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	if (diff_src != NULL)
		pass->device->gemm_batch(pass->queue, pass->batch, false, false, s.length, s.width, 1, 1.0f,
								 weights, 1, s.length, nn_diff_dst(pass), s.width, s.width,
								 accumulate ? 1.0f : 0.0f, diff_src, s.width, s.length * s.width);
}

/* Source i as (length, width). */
static inline const NnShape *
need_sequence(NnGraph *graph, NnNodeData *node, int i)
{
	const NnShape *src = nn_src_shape(graph, node, i);
	char		text[64];

	if (!nn_need_floats(graph, node, i))
		return NULL;
	if (src->rank == 2)
		return src;
	nn_reject(graph, node, "source %d has shape %s where (length, width) is needed", i + 1, nn_shape_text(src, text, sizeof(text)));
	return NULL;
}

/* ---- In ONNX, where the lengths of source i are (rows, 1), int64 ---- */

/* The numbers of all positions, (length) or, `upright`, (length, 1). */
static inline NnOnnxValue
positions_numbered(const NnOnnxNode *at, size_t length, bool upright)
{
	const size_t dims[] = {length, 1};
	int64_t    *numbers = dev_alloc(nn_onnx_session(at->onnx), length, sizeof(int64_t));
	NnOnnxValue made;

	if (numbers == NULL)
		return nn_onnx_fail(at->onnx, DEV_NO_MEMORY, "no memory for %zu positions", length);
	for (size_t p = 0; p < length; p++)
		numbers[p] = (int64_t) p;
	made = nn_onnx_integers(at->onnx, upright ? 2 : 1, dims, numbers);
	dev_release(nn_onnx_session(at->onnx), numbers);
	return made;
}

/* Which positions of (length, width) count: (rows, length, 1); of (length), codes: (rows, length). */
static inline NnOnnxValue
positions_counted(const NnOnnxNode *at, int i, size_t length, bool upright)
{
	NnOnnxValue lengths = nn_onnx_src(at, i);

	if (upright)
		lengths = nn_onnx_along(at->onnx, "Unsqueeze", lengths, 2);
	return nn_onnx_apply2(at->onnx, "Less", positions_numbered(at, length, upright), lengths);
}

/* src (rows, length, width) with `otherwise` where positions do not count; src itself without lengths. */
static inline NnOnnxValue
padding_replaced(const NnOnnxNode *at, NnOnnxValue src, int i, size_t length, float otherwise)
{
	if (at->node->n_src <= i)
		return src;
	return nn_onnx_apply3(at->onnx, "Where", positions_counted(at, i, length, true), src, nn_onnx_float(at->onnx, otherwise));
}

/* The sum over positions: (rows, width). */
static inline NnOnnxValue
positions_summed(const NnOnnxNode *at, NnOnnxValue src)
{
	nn_onnx_set_integer(at->onnx, "keepdims", 0);
	return nn_onnx_along(at->onnx, "ReduceSum", src, 1);
}

/* The mean over those that count, 0 where none does. */
static inline NnOnnxValue
positions_mean(const NnOnnxNode *at, int i, size_t length)
{
	NnOnnxValue sum = positions_summed(at, padding_replaced(at, nn_onnx_src(at, 0), i, length, 0));
	NnOnnxValue n = at->node->n_src > i ? nn_onnx_cast(at->onnx, nn_onnx_src(at, i), NN_ONNX_FLOAT) : nn_onnx_float(at->onnx, (float) length);

	return nn_onnx_apply2(at->onnx, "Div", sum, nn_onnx_apply2(at->onnx, "Max", n, nn_onnx_float(at->onnx, 1)));
}

#endif							/* IDLA_NN_SEQUENCE_H */

/*
 * flip.c: the values in reverse order along one dimension; the way back is the same map.
 */
#include "operator.h"

typedef struct Options
{
	int			axis;
} Options;

NnNode
nn_flip(NnGraph *graph, NnNode src, int axis)
{
	Options		options = {axis};

	return nn_node_add(graph, &nn_operator_flip, &src, 1, NULL, 0, &options, sizeof(options));
}

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	const Options *options = node->options;
	const NnShape *src = nn_src_shape(graph, node, 0);
	char		text[96];

	if (!nn_need_floats(graph, node, 0))
		return false;
	if (options->axis < 0 || options->axis >= src->rank)
		return nn_reject(graph, node, "axis \"%d\" is not one of source %s", options->axis,
						 nn_shape_text(src, text, sizeof(text)));
	node->shape = *src;
	return true;
}

static void
flip(const NnPass *pass, const float *src, float *dst, bool accumulate)
{
	const NnShape *all = &pass->node->shape;
	int			axis = ((const Options *) pass->node->options)->axis;
	size_t		n = all->dims[axis];
	size_t		inner = 1;

	for (int i = axis + 1; i < all->rank; i++)
		inner *= all->dims[i];
	for (size_t i = 0; i < n; i++)
		pass->device->copy(pass->queue, pass->batch * pass->node->size / (n * inner), inner, src + i * inner, n * inner,
						   dst + (n - 1 - i) * inner, n * inner, accumulate);
}

static void
forward(const NnPass *pass)
{
	flip(pass, nn_src(pass, 0), nn_dst(pass), false);
}

static void
backward(const NnPass *pass)
{
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	if (diff_src != NULL)
		flip(pass, nn_diff_dst(pass), diff_src, accumulate);
}

static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	const Options *options = at->node->options;
	const int64_t first = -1;
	const int64_t end = INT64_MIN;
	const int64_t axis = options->axis + 1;
	const int64_t step = -1;
	const NnOnnxValue src[] = {nn_onnx_src(at, 0), nn_onnx_list(at->onnx, 1, &first), nn_onnx_list(at->onnx, 1, &end),
		nn_onnx_list(at->onnx, 1, &axis), nn_onnx_list(at->onnx, 1, &step)};

	return nn_onnx_apply(at->onnx, "Slice", src, 5);
}

const NnOperator nn_operator_flip = {
	.name = "flip",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.onnx = onnx
};

/*
 * one_hot.c: one code of an example as zeros and a one.
 */
#include "operator.h"

typedef struct Options
{
	size_t		column;
	size_t		categories;
} Options;

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	const Options *options = node->options;
	const NnShape *codes = nn_src_shape(graph, node, 0);

	if (!nn_src_is_codes(graph, node, 0))
		return nn_reject(graph, node, "source is not a node of codes");
	if (options->column >= codes->dims[0])
		return nn_reject(graph, node, "column %zu is not among the %zu of its codes", options->column, codes->dims[0]);
	if (options->categories == 0 || options->categories > INT32_MAX)
		return nn_reject(graph, node, "number of categories %zu is not between 1 and %d", options->categories, INT32_MAX);
	node->shape = nn_shape(1, options->categories, 0, 0, 0);
	return true;
}

static void
forward(const NnPass *pass)
{
	const Options *options = pass->node->options;

	pass->device->one_hot(pass->queue, pass->batch, options->categories, nn_src_codes(pass, 0) + options->column,
						  nn_src_size(pass, 0), nn_dst(pass), options->categories);
}

/* By comparing, because ONNX's own operator counts the code -1 from the end. */
static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	const Options *options = at->node->options;
	DevSession *session = nn_onnx_session(at->onnx);
	int64_t    *numbers = dev_alloc(session, options->categories, sizeof(int64_t));
	int64_t		column = (int64_t) options->column;
	NnOnnxValue code;
	NnOnnxValue all;

	if (numbers == NULL)
		return nn_onnx_fail(at->onnx, DEV_NO_MEMORY, "no memory for %zu categories", options->categories);
	for (size_t i = 0; i < options->categories; i++)
		numbers[i] = (int64_t) i;
	all = nn_onnx_list(at->onnx, options->categories, numbers);
	dev_release(session, numbers);
	nn_onnx_set_integer(at->onnx, "axis", 1);
	code = nn_onnx_apply2(at->onnx, "Gather", nn_onnx_src(at, 0), nn_onnx_list(at->onnx, 1, &column));
	return nn_onnx_cast(at->onnx, nn_onnx_apply2(at->onnx, "Equal", code, all), NN_ONNX_FLOAT);
}

const NnOperator nn_operator_one_hot = {
	.name = "one_hot",
	.shape = shape,
	.forward = forward,
	.onnx = onnx
};

NnNode
nn_one_hot(NnGraph *graph, NnNode codes, size_t column, size_t categories)
{
	Options		options = {.column = column, .categories = categories};

	return nn_node_add(graph, &nn_operator_one_hot, &codes, 1, NULL, 0, &options, sizeof(options));
}

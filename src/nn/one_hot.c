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

const NnOperator nn_operator_one_hot = {
	.name = "one_hot",
	.shape = shape,
	.forward = forward
};

NnNode
nn_one_hot(NnGraph *graph, NnNode codes, size_t column, size_t categories)
{
	Options		options = {.column = column, .categories = categories};

	return nn_node_add(graph, &nn_operator_one_hot, &codes, 1, NULL, 0, &options, sizeof(options));
}

/*
 * embedding.c: one code of an example as the row of a table; a code outside the table gives zeros, and
 * teaches nothing.
 */
#include "arithmetic.h"

typedef struct Options
{
	size_t		column;
} Options;

static size_t
categories_of(const NnPass *pass)
{
	return pass->graph->parameters[pass->node->parameters[0]].shape.dims[0];
}

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	const Options *options = node->options;
	const NnShape *codes = nn_src_shape(graph, node, 0);
	const NnShape *table = nn_need_parameter(graph, node, 0);
	char		text[64];

	if (table == NULL)
		return false;
	if (!nn_src_is_codes(graph, node, 0))
		return nn_reject(graph, node, "source is not a node of codes");
	if (options->column >= codes->dims[0])
		return nn_reject(graph, node, "column %zu is not among the %zu of its codes", options->column, codes->dims[0]);
	if (table->rank != 2)
		return nn_reject(graph, node, "table has shape %s where (categories, width) is needed",
						 nn_shape_text(table, text, sizeof(text)));
	node->shape = nn_shape(1, table->dims[1], 0, 0, 0);
	node->workspace_row = 1;
	node->scratch_row = 2;
	node->scratch_fixed = table->dims[0];
	return true;
}

static const int32_t *
index_of(const NnPass *pass)
{
	return (const int32_t *) (const void *) pass->workspace;
}

static void
forward(const NnPass *pass)
{
	const Options *options = pass->node->options;
	size_t		width = pass->node->size;
	size_t		n_codes = nn_src_size(pass, 0);

	/* The column alone, one after the other; a copy moves bits, whatever they mean. */
	pass->device->copy(pass->queue, pass->batch, 1, nn_src(pass, 0) + options->column, n_codes,
					   pass->workspace, 1, false);
	pass->device->gather(pass->queue, pass->batch, width, nn_parameter_values(pass, 0), categories_of(pass),
						 index_of(pass), nn_dst(pass), width, false);
}

static void
backward(const NnPass *pass)
{
	size_t		width = pass->node->size;
	float	   *diff_table = nn_diff_parameter(pass, 0);

	if (diff_table != NULL)
		pass->device->scatter_add(pass->queue, pass->batch, width, nn_diff_dst(pass), width, index_of(pass),
								  diff_table, categories_of(pass));
}

/* An example has one row of the table's gradient: its own diff_dst, if its code is in the table. */
static void
norms(const NnPass *pass, float *squared)
{
	size_t		categories = categories_of(pass);
	size_t		width = pass->node->size;
	float	   *ones = pass->scratch;
	float	   *known = pass->scratch + categories;
	float	   *sums = known + pass->batch;

	if (!trains(pass, 0))
		return;
	pass->device->fill(pass->queue, categories, 1, ones);
	pass->device->gather(pass->queue, pass->batch, 1, ones, categories, index_of(pass), known, 1, false);
	pass->device->reduce_cols(pass->queue, pass->batch, width, nn_diff_dst(pass), width, nn_diff_dst(pass), width,
							  sums, false);
	pass->device->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, 1, pass->batch, known, pass->batch,
					  sums, pass->batch, squared, pass->batch, true);
}

/* The table has one more row of zeros, its last, which is what the code -1 counts from the end to. */
static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	const Options *options = at->node->options;
	DevSession *session = nn_onnx_session(at->onnx);
	const NnParameterInfo *info = &at->graph->parameters[at->node->parameters[0]];
	size_t		dims[2] = {info->shape.dims[0] + 1, info->shape.dims[1]};
	float	   *table = dev_alloc(session, dims[0] * dims[1], sizeof(float));
	NnOnnxValue code;
	NnOnnxValue rows;

	if (table == NULL)
		return nn_onnx_fail(at->onnx, DEV_NO_MEMORY, "no memory for a table of %zu rows", dims[0]);
	for (size_t i = 0; i < info->size; i++)
		table[i] = at->weights[info->offset + i];
	rows = nn_onnx_floats(at->onnx, 2, dims, table);
	dev_release(session, table);
	nn_onnx_set_integer(at->onnx, "axis", 1);
	code = nn_onnx_apply2(at->onnx, "Gather", nn_onnx_src(at, 0), nn_onnx_integer(at->onnx, (int64_t) options->column));
	return nn_onnx_apply2(at->onnx, "Gather", rows, code);
}

const NnOperator nn_operator_embedding = {
	.name = "embedding",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.norms = norms,
	.onnx = onnx
};

NnNode
nn_embedding(NnGraph *graph, NnNode codes, size_t column, NnParameter table)
{
	Options		options = {.column = column};

	return nn_node_add(graph, &nn_operator_embedding, &codes, 1, &table, 1, &options, sizeof(options));
}

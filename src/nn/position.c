/*
 * position.c: learned positions: row p of a table is added to position p, the same for every example.
 *
 * The gradient passes through unchanged; the table's is its sum over examples.
 */
#include "sequence.h"

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	const NnShape *src = need_sequence(graph, node, 0);
	const NnShape *table = nn_need_parameter(graph, node, 0);
	char		text[2][64];

	if (src == NULL || table == NULL)
		return false;
	if (table->rank != 2 || table->dims[0] < src->dims[0] || table->dims[1] != src->dims[1])
		return nn_reject(graph, node, "table %s does not fit %s", nn_shape_text(table, text[0], sizeof(text[0])),
						 nn_shape_text(src, text[1], sizeof(text[1])));
	node->shape = *src;
	return true;
}

static void
forward(const NnPass *pass)
{
	size_t		size = pass->node->size;

	pass->device->zip(pass->queue, DEV_ZIP_ADD, DEV_SPREAD_ROW, pass->batch, size, nn_src(pass, 0), size,
					  nn_parameter_values(pass, 0), size, nn_dst(pass), size, false);
}

static void
backward(const NnPass *pass)
{
	size_t		size = pass->node->size;
	const float *diff = nn_diff_dst(pass);
	float	   *diff_table = nn_diff_parameter(pass, 0);
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	if (diff_table != NULL)
		pass->device->reduce_rows(pass->queue, pass->batch, size, diff, size, NULL, 0, diff_table, true);
	if (diff_src != NULL && diff_src != diff)
		pass->device->copy(pass->queue, pass->batch, size, diff, size, diff_src, size, accumulate);
}

static void
norms(const NnPass *pass, float *squared)
{
	if (trains(pass, 0))
		add_squares(pass->queue, pass->batch, pass->node->size, nn_diff_dst(pass), squared);
}

/* The table may have more rows than the sequence has positions. */
static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	const float *table = at->weights + at->graph->parameters[at->node->parameters[0]].offset;

	return nn_onnx_apply2(at->onnx, "Add", nn_onnx_src(at, 0), nn_onnx_floats(at->onnx, 2, at->node->shape.dims, table));
}

const NnOperator nn_operator_position = {
	.name = "position",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.norms = norms,
	.in_place = true,
	.overwritable = true,
	.diff_in_place = true,
	.onnx = onnx
};

NnNode
nn_position(NnGraph *graph, NnNode src, NnParameter table)
{
	return nn_node_add(graph, &nn_operator_position, &src, 1, &table, 1, NULL, 0);
}

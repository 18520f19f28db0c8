/*
 * token_embedding.c: every code of a sequence as the row of a table; what is not in the table or beyond the
 * length gives zeros, and teaches nothing.
 *
 * An example's own gradient has one row for each different code: rows of the result's gradient with equal codes are added up
 * before they are squared.
 */
#include "sequence.h"

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	const NnShape *codes = nn_src_shape(graph, node, 0);
	const NnShape *table = nn_need_parameter(graph, node, 0);
	char		text[64];

	if (table == NULL)
		return false;
	if (!nn_src_is_codes(graph, node, 0))
		return nn_reject(graph, node, "source is not a node of codes");
	if (table->rank != 2)
		return nn_reject(graph, node, "table has shape %s where (tokens, width) is needed", nn_shape_text(table, text, sizeof(text)));
	if (!check_lengths(graph, node, 1))
		return false;
	if (codes->dims[0] > INT32_MAX || codes->dims[0] > (SIZE_MAX >> 8) / table->dims[1])
		return nn_reject(graph, node, "a sequence of %zu codes is too long", codes->dims[0]);
	node->shape = nn_shape(2, codes->dims[0], table->dims[1], 0, 0);
	node->workspace_row = codes->dims[0];
	node->scratch_fixed = codes->dims[0] * (1 + table->dims[1]);
	return true;
}

static size_t
tokens_of(const NnPass *pass)
{
	return pass->graph->parameters[pass->node->parameters[0]].shape.dims[0];
}

/* The codes, -1 where they do not count. */
static int32_t *
index_of(const NnPass *pass)
{
	return (int32_t *) (void *) pass->workspace;
}

static void
forward(const NnPass *pass)
{
	size_t		length = pass->node->shape.dims[0];
	size_t		width = pass->node->shape.dims[1];

	pass->device->limit_codes(pass->queue, pass->batch, length, nn_src_codes(pass, 0), lengths_of(pass, 1),
							  tokens_of(pass), index_of(pass));
	pass->device->gather(pass->queue, pass->batch * length, width, nn_parameter_values(pass, 0), tokens_of(pass),
						 index_of(pass), nn_dst(pass), width, false);
}

static void
backward(const NnPass *pass)
{
	size_t		width = pass->node->shape.dims[1];
	float	   *diff_table = nn_diff_parameter(pass, 0);

	if (diff_table != NULL)
		pass->device->scatter_add(pass->queue, pass->batch * pass->node->shape.dims[0], width, nn_diff_dst(pass), width,
								  index_of(pass), diff_table, tokens_of(pass));
}

static void
norms(const NnPass *pass, float *squared)
{
	const DevPrimitives *p = pass->device;
	size_t		length = pass->node->shape.dims[0];
	size_t		width = pass->node->shape.dims[1];
	int32_t    *first = (int32_t *) (void *) pass->scratch;
	float	   *sums = pass->scratch + length;

	if (!trains(pass, 0))
		return;
	for (size_t i = 0; i < pass->batch && !dev_queue_stopped(pass->queue); i++)
	{
		p->first_equal(pass->queue, length, index_of(pass) + i * length, first);
		p->fill(pass->queue, length * width, 0, sums);
		p->scatter_add(pass->queue, length, width, nn_diff_dst(pass) + i * length * width, width, first, sums, length);
		add_squares(pass->queue, 1, length * width, sums, squared + i);
	}
}

static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	NnOnnx	   *file = at->onnx;
	NnOnnxValue codes = nn_onnx_src(at, 0);
	NnOnnxValue first = nn_onnx_integer(file, 0);
	NnOnnxValue last = nn_onnx_integer(file, (int64_t) at->graph->parameters[at->node->parameters[0]].shape.dims[0] - 1);
	NnOnnxValue near = nn_onnx_apply3(file, "Clip", codes, first, last);
	NnOnnxValue known = nn_onnx_apply2(file, "Equal", near, codes);

	if (at->node->n_src > 1)
		known = nn_onnx_apply2(file, "And", known, positions_counted(at, 1, at->node->shape.dims[0], false));
	return nn_onnx_apply3(file, "Where", nn_onnx_along(file, "Unsqueeze", known, 2),
						  nn_onnx_apply2(file, "Gather", nn_onnx_parameter(at, 0), near), nn_onnx_float(file, 0));
}

const NnOperator nn_operator_token_embedding = {
	.name = "token_embedding",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.norms = norms,
	.onnx = onnx
};

NnNode
nn_token_embedding(NnGraph *graph, NnNode codes, NnParameter table, NnNode lengths)
{
	NnNode		src[] = {codes, lengths};

	return nn_node_add(graph, &nn_operator_token_embedding, src, lengths == NN_NONE ? 1 : 2, &table, 1, NULL, 0);
}

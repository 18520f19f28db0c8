/*
 * onnx_graph.c: a graph's way to one of its nodes, in ONNX.
 *
 * Nodes are numbered in the order they were added, sources first, so one walk back finds what is needed and one walk on
 * writes it. What a node becomes is its operator's affair (NnOperator.onnx).
 */
#include "operator.h"

/* needed[] of every node that `wanted` is made of; those that are given need no sources. */
static void
mark(const NnGraph *graph, NnNode wanted, const NnOnnxValue *values, bool *needed)
{
	needed[wanted] = true;
	for (NnNode number = wanted; number >= 0; number--)
	{
		const NnNodeData *node = graph->nodes[number];

		if (needed[number] && values[number] == NN_NONE)
			for (int i = 0; i < node->n_src; i++)
				needed[node->src[i]] = true;
	}
}

static NnOnnxValue
write_node(NnOnnx *onnx, const NnGraph *graph, const NnNodeData *node, const NnOnnxValue *values, const float *weights)
{
	NnOnnxNode	made = {.onnx = onnx, .graph = graph, .node = node, .values = values, .weights = weights};
	NnOnnxValue value;

	if (node->op->onnx != NULL)
		return node->op->onnx(&made);
	value = nn_onnx_fail(onnx, DEV_INVALID, "operator \"%s\" has no form in ONNX", node->op->name);
	dev_hint(nn_onnx_session(onnx), "Export the model as \"safetensors\".");
	return value;
}

NnOnnxValue
nn_graph_onnx(NnOnnx *onnx, const NnGraph *graph, const float *weights, NnNode wanted, const NnNode *nodes, const NnOnnxValue *given, int n)
{
	DevSession *session = nn_onnx_session(onnx);
	NnOnnxValue *values = dev_alloc(session, (size_t) graph->n_nodes, sizeof(NnOnnxValue));
	bool	   *needed = dev_alloc(session, (size_t) graph->n_nodes, sizeof(bool));
	NnOnnxValue found = NN_NONE;

	if (values == NULL || needed == NULL)
		return nn_onnx_fail(onnx, DEV_NO_MEMORY, "no memory for a graph of %d nodes", graph->n_nodes);
	for (int i = 0; i < graph->n_nodes; i++)
		values[i] = NN_NONE;
	for (int i = 0; i < n; i++)
		if (nodes[i] != NN_NONE)
			values[nodes[i]] = given[i];
	mark(graph, wanted, values, needed);
	for (NnNode number = 0; number <= wanted && nn_onnx_status(onnx) == DEV_OK; number++)
		if (needed[number] && values[number] == NN_NONE)
			values[number] = dev_poll(session) == DEV_OK ? write_node(onnx, graph, graph->nodes[number], values, weights) :
				nn_onnx_fail(onnx, DEV_CANCELLED, "cancelled while writing ONNX");
	found = values[wanted];
	dev_release(session, values);
	dev_release(session, needed);
	return found;
}

/* ---- for operators ---- */

NnOnnxValue
nn_onnx_src(const NnOnnxNode *at, int i)
{
	return at->values[at->node->src[i]];
}

NnOnnxValue
nn_onnx_parameter(const NnOnnxNode *at, int i)
{
	NnParameter parameter = at->node->parameters[i];
	const NnParameterInfo *info;

	if (parameter == NN_NONE)
		return NN_NONE;
	info = &at->graph->parameters[parameter];
	return nn_onnx_floats(at->onnx, info->shape.rank, info->shape.dims, at->weights + info->offset);
}

NnOnnxValue
nn_onnx_along(NnOnnx *onnx, const char *operator, NnOnnxValue src, int64_t axis)
{
	return nn_onnx_apply2(onnx, operator, src, nn_onnx_list(onnx, 1, &axis));
}

/*
 * bias.c: adds a bias to the last dimensions, the same at all positions before them.
 *
 * The gradient passes through unchanged; the bias's is its sum over examples and positions. Outside training the product that alone
 * is read here adds the bias itself, and does the relu that follows (node->finished).
 */
#include "operator.h"

NnNode
nn_bias(NnGraph *graph, NnNode src, NnParameter bias)
{
	return nn_node_add(graph, &nn_operator_bias, &src, 1, &bias, 1, NULL, 0);
}

static bool
bias_shape(NnGraph *graph, NnNodeData *node)
{
	const NnShape *src = nn_src_shape(graph, node, 0);
	const NnShape *bias = nn_need_parameter(graph, node, 0);
	bool		fits;
	char		text[2][96];

	if (bias == NULL || !nn_need_floats(graph, node, 0))
		return false;
	fits = bias->rank <= src->rank;
	for (int i = 1; fits && i <= bias->rank; i++)
		fits = bias->dims[bias->rank - i] == src->dims[src->rank - i];
	if (!fits)
		return nn_reject(graph, node, "bias %s does not fit %s", nn_shape_text(bias, text[0], sizeof(text[0])),
						 nn_shape_text(src, text[1], sizeof(text[1])));
	node->shape = *src;
	node->scratch_fixed = nn_shape_size(bias);
	return true;
}

static size_t
width_of(const NnPass *pass)
{
	return pass->graph->parameters[pass->node->parameters[0]].size;
}

static void
bias_forward(const NnPass *pass)
{
	size_t		width = width_of(pass);

	if (pass->node->finished && pass->mode != NN_TRAIN)
		return;
	pass->device->zip(pass->queue, DEV_ZIP_ADD, DEV_SPREAD_ROW, pass->batch * (pass->node->size / width), width,
					  nn_src(pass, 0), width, nn_parameter_values(pass, 0), width, nn_dst(pass), width, false);
	if (pass->node->relu)
		pass->device->map(pass->queue, DEV_MAP_RELU, pass->batch * pass->node->size, nn_dst(pass), 1.0f, nn_dst(pass));
}

static void
bias_backward(const NnPass *pass)
{
	size_t		width = width_of(pass);
	const float *diff = nn_diff_dst(pass);
	float	   *diff_bias = nn_diff_parameter(pass, 0);
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	if (diff_bias != NULL)
		pass->device->reduce_rows(pass->queue, pass->batch * (pass->node->size / width), width, diff, width,
								  NULL, 0, diff_bias, true);
	if (diff_src != NULL && diff_src != diff)
		pass->device->copy(pass->queue, pass->batch, pass->node->size, diff, pass->node->size,
						   diff_src, pass->node->size, accumulate);
}

static void
bias_norms(const NnPass *pass, float *squared)
{
	size_t		width = width_of(pass);
	size_t		size = pass->node->size;
	const float *diff = nn_diff_dst(pass);

	if (width == size)
	{
		pass->device->reduce_cols(pass->queue, pass->batch, size, diff, size, diff, size, squared, true);
		return;
	}
	for (size_t i = 0; i < pass->batch; i++)
	{
		float	   *sum = pass->scratch;

		pass->device->reduce_rows(pass->queue, size / width, width, diff + i * size, width, NULL, 0, sum, false);
		pass->device->reduce_cols(pass->queue, 1, width, sum, width, sum, width, squared + i, true);
	}
}

static NnOnnxValue
bias_onnx(const NnOnnxNode *at)
{
	return nn_onnx_apply2(at->onnx, "Add", nn_onnx_src(at, 0), nn_onnx_parameter(at, 0));
}

const NnOperator nn_operator_bias = {
	.name = "bias",
	.shape = bias_shape,
	.forward = bias_forward,
	.backward = bias_backward,
	.norms = bias_norms,
	.in_place = true,
	.overwritable = true,
	.relu = NN_RELU_FORWARD,
	.diff_in_place = true,
	.onnx = bias_onnx
};

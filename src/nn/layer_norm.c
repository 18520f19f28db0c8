/*
 * layer_norm.c: every position of every example to mean 0 and variance 1 over its last dimension, then
 * gain and bias (Ba et al. 2016).
 *
 * Only mean and 1 / deviation are kept for the way back, from which the normalised values are made again.
 */
#include "normalize.h"

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	static const char *const names[] = {"gain", "bias"};
	const NnShape *src = nn_src_shape(graph, node, 0);

	if (!check_normalization(graph, node, names, 2))
		return false;
	node->workspace_row = 2 * nn_shape_positions(src);
	node->scratch_row = nn_shape_size(src) + nn_shape_last(src) + 2 * nn_shape_positions(src);
	return true;
}

static void
forward(const NnPass *pass)
{
	const Options *options = pass->node->options;
	Sizes		s = sizes_of(pass);

	pass->device->layer_norm(pass->queue, s.rows, s.cols, nn_src(pass, 0), nn_parameter_values(pass, 0),
							 nn_parameter_values(pass, 1), options->epsilon, nn_dst(pass), pass->workspace);
}

static void
backward(const NnPass *pass)
{
	Sizes		s = sizes_of(pass);
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	pass->device->layer_norm_grad(pass->queue, s.rows, s.cols, nn_src(pass, 0), nn_parameter_values(pass, 0),
								  pass->workspace, nn_diff_dst(pass), diff_src, accumulate, nn_diff_parameter(pass, 0), nn_diff_parameter(pass, 1));
}

/* The sums over an example's positions of normal * diff_dst and of diff_dst, squared. */
static void
norms(const NnPass *pass, float *squared)
{
	const DevPrimitives *p = pass->device;
	DevQueue   *queue = pass->queue;
	const Options *options = pass->node->options;
	Sizes		s = sizes_of(pass);
	const float *diff = nn_diff_dst(pass);
	float	   *product = pass->scratch;
	float	   *sum = product + s.rows * s.cols;
	float	   *statistics = sum + pass->batch * s.cols;

	if (trains(pass, 0))
	{
		p->layer_norm(queue, s.rows, s.cols, nn_src(pass, 0), NULL, NULL, options->epsilon, product, statistics);
		p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, s.rows, s.cols, product, s.cols, diff, s.cols, product, s.cols, false);
		sum_positions(queue, pass->batch, s.positions, s.cols, product, sum);
		add_squares(queue, pass->batch, s.cols, sum, squared);
	}
	if (trains(pass, 1))
	{
		sum_positions(queue, pass->batch, s.positions, s.cols, diff, sum);
		add_squares(queue, pass->batch, s.cols, sum, squared);
	}
}

static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	const Options *options = at->node->options;
	NnOnnxValue src = nn_onnx_src(at, 0);
	NnOnnxValue gain = nn_onnx_parameter(at, 0);
	NnOnnxValue bias = nn_onnx_parameter(at, 1);

	if (gain == NN_NONE || bias == NN_NONE)
		return nn_onnx_fail(at->onnx, DEV_INVALID, "operator \"layer_norm\" has no form in ONNX without gain and bias");
	nn_onnx_set_integer(at->onnx, "axis", -1);
	nn_onnx_set_float(at->onnx, "epsilon", options->epsilon);
	return nn_onnx_apply3(at->onnx, "LayerNormalization", src, gain, bias);
}

const NnOperator nn_operator_layer_norm = {
	.name = "layer_norm",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.norms = norms,
	.reads_src = true,
	.onnx = onnx
};

NnNode
nn_layer_norm(NnGraph *graph, NnNode src, NnParameter gain, NnParameter bias, float epsilon)
{
	NnParameter parameters[] = {gain, bias};
	Options		options = {.epsilon = epsilon};

	return nn_node_add(graph, &nn_operator_layer_norm, &src, 1, parameters, 2, &options, sizeof(options));
}

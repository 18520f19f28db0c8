/*
 * convolution.c: (height, width, in) -> (height', width', out), or the same for sequences: at every place the
 * window's values times the weights (kernel, kernel, in / groups, out).
 *
 * An example's own gradient is formed and measured: it is a sum over places, of which there are more than weights are worth.
 */
#include "window.h"

NnNode
nn_convolution(NnGraph *graph, NnNode src, NnParameter weights, const NnWindow *window)
{
	WindowOptions options = {.asked = *window};

	return nn_node_add(graph, &nn_operator_convolution, &src, 1, &weights, 1, &options, sizeof(options));
}

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	WindowOptions *options = node->options;
	DevWindow  *w = &options->window;
	const NnShape *weights = nn_need_parameter(graph, node, 0);
	size_t		groups;
	int			sides;
	bool		fits;
	char		text[96];

	if (weights == NULL || !find_window(graph, node))
		return false;
	sides = nn_src_shape(graph, node, 0)->rank - 1;
	fits = weights->rank == sides + 2;
	for (int i = 0; fits && i < sides; i++)
		fits = weights->dims[i] == w->kernel[2 - sides + i];
	if (!fits)
		return nn_reject(graph, node, "weights %s do not fit a window of %zu x %zu",
						 nn_shape_text(weights, text, sizeof(text)), w->kernel[0], w->kernel[1]);
	groups = options->asked.groups > 0 ? options->asked.groups : 1;
	w->groups = groups;
	w->out_channels = weights->dims[sides + 1];
	if (w->channels % groups != 0 || w->out_channels % groups != 0 || weights->dims[sides] != w->channels / groups)
		return nn_reject(graph, node, "weights %s do not fit %zu channels in %zu groups",
						 nn_shape_text(weights, text, sizeof(text)), w->channels, groups);
	set_image(graph, node, w->out_height, w->out_width, w->out_channels);
	node->scratch_fixed = dev_convolution_scratch(w) + nn_shape_size(weights);
	return true;
}

static size_t
weights_of(const NnPass *pass)
{
	return pass->graph->parameters[pass->node->parameters[0]].size;
}

static void
forward(const NnPass *pass)
{
	pass->device->convolve(pass->queue, window_of(pass), pass->batch, pass->mode == NN_INFER, nn_src(pass, 0),
						   nn_parameter_values(pass, 0), nn_dst(pass), pass->scratch);
}

static void
backward(const NnPass *pass)
{
	float	   *diff_weights = nn_diff_parameter(pass, 0);
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	if (diff_weights != NULL)
		pass->device->convolve_grad_weights(pass->queue, window_of(pass), pass->batch, nn_src(pass, 0), nn_diff_dst(pass),
											diff_weights, pass->scratch);
	if (diff_src != NULL)
		pass->device->convolve_grad_src(pass->queue, window_of(pass), pass->batch, nn_diff_dst(pass),
										nn_parameter_values(pass, 0), diff_src, accumulate, pass->scratch);
}

static void
norms(const NnPass *pass, float *squared)
{
	size_t		n = weights_of(pass);
	size_t		size = pass->node->size;
	float	   *own = pass->scratch;

	for (size_t i = 0; i < pass->batch && !dev_queue_stopped(pass->queue); i++)
	{
		pass->device->fill(pass->queue, n, 0, own);
		pass->device->convolve_grad_weights(pass->queue, window_of(pass), 1, nn_src(pass, 0) + i * nn_src_size(pass, 0),
											nn_diff_dst(pass) + i * size, own, own + n);
		pass->device->reduce_cols(pass->queue, 1, n, own, n, own, n, squared + i, true);
	}
}

static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	return window_onnx(at, "Conv", nn_onnx_parameter(at, 0));
}

const NnOperator nn_operator_convolution = {
	.name = "convolution",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.norms = norms,
	.overwritable = true,
	.reads_src = true,
	.onnx = onnx
};

/*
 * average_pool.c: the mean of each window, channel by channel. Padding does not count: a window at the edge
 * is the mean of fewer values.
 */
#include "window.h"

NnNode
nn_average_pool(NnGraph *graph, NnNode src, const NnWindow *window)
{
	WindowOptions options = {.asked = *window};

	return nn_node_add(graph, &nn_operator_average_pool, &src, 1, NULL, 0, &options, sizeof(options));
}

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	const DevWindow *w = &((const WindowOptions *) node->options)->window;

	if (!find_window(graph, node))
		return false;
	set_image(graph, node, w->out_height, w->out_width, w->channels);
	return true;
}

static void
forward(const NnPass *pass)
{
	pass->device->pool(pass->queue, window_of(pass), DEV_POOL_MEAN, pass->batch, nn_src(pass, 0), nn_dst(pass));
}

static void
backward(const NnPass *pass)
{
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	if (diff_src != NULL)
		pass->device->pool_grad(pass->queue, window_of(pass), DEV_POOL_MEAN, pass->batch, nn_src(pass, 0), nn_dst(pass),
								nn_diff_dst(pass), diff_src, accumulate);
}

static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	return window_onnx(at, "AveragePool", NN_NONE);
}

const NnOperator nn_operator_average_pool = {
	.name = "average_pool",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.onnx = onnx
};

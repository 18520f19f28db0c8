/*
 * max_pool.c: the largest value of each window, channel by channel. Padding does not count; the gradient
 * goes to the first of equal places, which backward finds again from the values.
 */
#include "window.h"

NnNode
nn_max_pool(NnGraph *graph, NnNode src, const NnWindow *window)
{
	WindowOptions options = {.asked = *window};

	return nn_node_add(graph, &nn_operator_max_pool, &src, 1, NULL, 0, &options, sizeof(options));
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
	pass->device->pool(pass->queue, window_of(pass), DEV_POOL_MAX, pass->batch, nn_src(pass, 0), nn_dst(pass));
}

static void
backward(const NnPass *pass)
{
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	if (diff_src != NULL)
		pass->device->pool_grad(pass->queue, window_of(pass), DEV_POOL_MAX, pass->batch, nn_src(pass, 0), nn_dst(pass),
								nn_diff_dst(pass), diff_src, accumulate);
}

static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	return window_onnx(at, "MaxPool", NN_NONE);
}

const NnOperator nn_operator_max_pool = {
	.name = "max_pool",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.reads_src = true,
	.reads_dst = true,
	.onnx = onnx
};

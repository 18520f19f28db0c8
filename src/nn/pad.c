/*
 * pad.c: zeros before and after the places of an image or sequence. They have no gradient.
 */
#include "window.h"

NnNode
nn_pad(NnGraph *graph, NnNode src, const NnWindow *window)
{
	WindowOptions options = {.asked = *window};

	return nn_node_add(graph, &nn_operator_pad, &src, 1, NULL, 0, &options, sizeof(options));
}

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	WindowOptions *options = node->options;
	const NnWindow *asked = &options->asked;
	DevWindow  *w = &options->window;
	bool		image;

	if (!find_image(graph, node, &w->height, &w->width, &w->channels))
		return false;
	if (!is_small_window(asked))
		return nn_reject(graph, node, "padding is more than %zu", MAX_WINDOW);
	image = nn_src_shape(graph, node, 0)->rank == 3;
	w->before[0] = image ? asked->before[0] : 0;
	w->before[1] = asked->before[image ? 1 : 0];
	w->out_height = w->height + w->before[0] + (image ? asked->after[0] : 0);
	w->out_width = w->width + w->before[1] + asked->after[image ? 1 : 0];
	set_image(graph, node, w->out_height, w->out_width, w->channels);
	return true;
}

/* Floats of a line of the padded image, and of what stands before the source's first value in it. */
static size_t
line_of(const DevWindow *w)
{
	return w->out_width * w->channels;
}

static size_t
lead_of(const DevWindow *w)
{
	return w->before[0] * line_of(w) + w->before[1] * w->channels;
}

static void
forward(const NnPass *pass)
{
	const DevWindow *w = window_of(pass);
	size_t		width = w->width * w->channels;

	pass->device->fill(pass->queue, pass->batch * pass->node->size, 0, nn_dst(pass));
	for (size_t i = 0; i < pass->batch; i++)
		pass->device->copy(pass->queue, w->height, width, nn_src(pass, 0) + i * nn_src_size(pass, 0), width,
						   nn_dst(pass) + i * pass->node->size + lead_of(w), line_of(w), false);
}

static void
backward(const NnPass *pass)
{
	const DevWindow *w = window_of(pass);
	size_t		width = w->width * w->channels;
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	for (size_t i = 0; diff_src != NULL && i < pass->batch; i++)
		pass->device->copy(pass->queue, w->height, width, nn_diff_dst(pass) + i * pass->node->size + lead_of(w), line_of(w),
						   diff_src + i * nn_src_size(pass, 0), width, accumulate);
}

static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	const WindowOptions *options = at->node->options;
	const NnWindow *w = &options->asked;
	bool		image = nn_src_shape(at->graph, at->node, 0)->rank == 3;
	const int64_t pads[] = {0, (int64_t) w->before[0], (int64_t) w->before[1], 0, 0, (int64_t) w->after[0], (int64_t) w->after[1], 0};
	const int64_t short_pads[] = {0, (int64_t) w->before[0], 0, 0, (int64_t) w->after[0], 0};

	return nn_onnx_apply2(at->onnx, "Pad", nn_onnx_src(at, 0), nn_onnx_list(at->onnx, image ? 8 : 6, image ? pads : short_pads));
}

const NnOperator nn_operator_pad = {
	.name = "pad",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.onnx = onnx
};

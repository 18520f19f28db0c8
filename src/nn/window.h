/*
 * window.h: what convolution, pools and padding say of windows; private to src/nn.
 *
 * A shape rule turns the builder's NnWindow into the device's DevWindow, a sequence becoming an image of height 1, and
 * keeps it in the node's options.
 */
#ifndef IDLA_NN_WINDOW_H
#define IDLA_NN_WINDOW_H

#include "operator.h"

typedef struct WindowOptions
{
	NnWindow	asked;
	DevWindow	window;			/* filled by the shape rule */
} WindowOptions;

/* No size of a window may be larger: models are read from tables that anybody may have written. */
#define MAX_WINDOW ((size_t) 1 << 16)

static inline const DevWindow *
window_of(const NnPass *pass)
{
	return &((const WindowOptions *) pass->node->options)->window;
}

/* The image that a source is: (height, width, channels) or (length, channels); false after nn_reject. */
static inline bool
find_image(NnGraph *graph, const NnNodeData *node, size_t *height, size_t *width, size_t *channels)
{
	const NnShape *src = nn_src_shape(graph, node, 0);
	char		text[96];

	if (!nn_need_floats(graph, node, 0))
		return false;
	if (src->rank != 2 && src->rank != 3)
		return nn_reject(graph, node, "source %s is neither (height, width, channels) nor (length, channels)",
						 nn_shape_text(src, text, sizeof(text)));
	*height = src->rank == 3 ? src->dims[0] : 1;
	*width = src->dims[src->rank - 2];
	*channels = src->dims[src->rank - 1];
	return true;
}

/* The node's shape from places and channels, of the source's rank. */
static inline void
set_image(NnGraph *graph, NnNodeData *node, size_t height, size_t width, size_t channels)
{
	if (nn_src_shape(graph, node, 0)->rank == 3)
		node->shape = nn_shape(3, height, width, channels, 0);
	else
		node->shape = nn_shape(2, width, channels, 0, 0);
}

/* How many places a window of `kernel` has along one side; 0 after nn_reject. */
static inline size_t
places_along(NnGraph *graph, const NnNodeData *node, const NnWindow *asked, int side, size_t size, size_t kernel,
			 size_t stride, size_t dilation)
{
	size_t		extent = (kernel - 1) * dilation + 1;
	size_t		before = asked->before[side];
	size_t		after = asked->after[side];

	if (before >= extent || after >= extent)
	{
		nn_reject(graph, node, "padding \"%zu\" is not less than the window of %zu", before >= extent ? before : after, extent);
		return 0;
	}
	if (extent > size + before + after)
	{
		nn_reject(graph, node, "a window of %zu does not fit %zu places and their padding", extent, size);
		return 0;
	}
	return (size + before + after - extent) / stride + 1;
}

static inline bool
is_small_window(const NnWindow *asked)
{
	for (int i = 0; i < 2; i++)
		if (asked->kernel[i] > MAX_WINDOW || asked->stride[i] > MAX_WINDOW || asked->dilation[i] > MAX_WINDOW ||
			asked->before[i] > MAX_WINDOW || asked->after[i] > MAX_WINDOW)
			return false;
	return true;
}

/*
 * The shape rule of what slides a window over the source; kernel sizes are asked->kernel, 0 meaning 1. Fills
 * options->window but for out_channels and groups, which become those of a pool.
 */
static inline bool
find_window(NnGraph *graph, NnNodeData *node)
{
	WindowOptions *options = node->options;
	const NnWindow *asked = &options->asked;
	DevWindow  *w = &options->window;
	size_t		sizes[2];
	size_t		places[2] = {1, 1};
	int			first;

	if (!find_image(graph, node, &w->height, &w->width, &w->channels))
		return false;
	if (!is_small_window(asked))
		return nn_reject(graph, node, "a size of the window is larger than %zu", MAX_WINDOW);
	first = nn_src_shape(graph, node, 0)->rank == 3 ? 0 : 1;
	sizes[0] = w->height;
	sizes[1] = w->width;
	for (int i = 0; i < 2; i++)
	{
		int			side = i - first;	/* of what was asked */
		bool		there = side >= 0;

		w->kernel[i] = there && asked->kernel[side] > 0 ? asked->kernel[side] : 1;
		w->stride[i] = there && asked->stride[side] > 0 ? asked->stride[side] : 1;
		w->dilation[i] = there && asked->dilation[side] > 0 ? asked->dilation[side] : 1;
		w->before[i] = there ? asked->before[side] : 0;
		if (there)
			places[i] = places_along(graph, node, asked, side, sizes[i], w->kernel[i], w->stride[i], w->dilation[i]);
		if (places[i] == 0)
			return false;
	}
	w->out_height = places[0];
	w->out_width = places[1];
	w->out_channels = w->channels;
	w->groups = 1;
	return true;
}

/*
 * A window in ONNX, which has channels before places. weights: as forward reads them, or NN_NONE for a pool. A pool of means has no dilation there
 * before opset 19, and has none here.
 */
static inline NnOnnxValue
window_onnx(const NnOnnxNode *at, const char *operator, NnOnnxValue weights)
{
	const WindowOptions *options = at->node->options;
	const DevWindow *w = &options->window;
	bool		image = nn_src_shape(at->graph, at->node, 0)->rank == 3;
	size_t		axes = image ? 2 : 1;
	int			first = image ? 0 : 1;	/* a sequence is the one line of an image */
	const int64_t there[] = {0, image ? 3 : 2, 1, 2};
	const int64_t back[] = {0, 2, image ? 3 : 1, 1};
	const int64_t upright[] = {image ? 3 : 2, image ? 2 : 1, 0, 1};
	const int64_t kernel[] = {(int64_t) w->kernel[0], (int64_t) w->kernel[1]};
	const int64_t stride[] = {(int64_t) w->stride[0], (int64_t) w->stride[1]};
	const int64_t dilation[] = {(int64_t) w->dilation[0], (int64_t) w->dilation[1]};
	int64_t		pads[4];
	NnOnnxValue src[2] = {NN_NONE, NN_NONE};

	for (size_t i = 0; i < axes; i++)
	{
		pads[i] = (int64_t) w->before[(size_t) first + i];
		pads[axes + i] = (int64_t) options->asked.after[i];
	}
	nn_onnx_set_integers(at->onnx, "perm", axes + 2, there);
	src[0] = nn_onnx_apply1(at->onnx, "Transpose", nn_onnx_src(at, 0));
	if (weights != NN_NONE)
	{
		nn_onnx_set_integers(at->onnx, "perm", axes + 2, upright);
		src[1] = nn_onnx_apply1(at->onnx, "Transpose", weights);
		nn_onnx_set_integers(at->onnx, "dilations", axes, dilation + first);
		nn_onnx_set_integer(at->onnx, "group", (int64_t) w->groups);
	}
	nn_onnx_set_integers(at->onnx, "kernel_shape", axes, kernel + first);
	nn_onnx_set_integers(at->onnx, "strides", axes, stride + first);
	nn_onnx_set_integers(at->onnx, "pads", 2 * axes, pads);
	src[0] = nn_onnx_apply(at->onnx, operator, src, weights == NN_NONE ? 1 : 2);
	nn_onnx_set_integers(at->onnx, "perm", axes + 2, back);
	return nn_onnx_apply1(at->onnx, "Transpose", src[0]);
}

#endif							/* IDLA_NN_WINDOW_H */

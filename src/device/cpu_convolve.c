/*
 * cpu_convolve.c: convolution on the CPU, in one of four ways that the window alone decides.
 *
 * Kernels of 3 x 3, or of 3 over a sequence, and stride 1 go through Winograd's maps (kernel_winograd.h), some tiles at a time, so that
 * everything between source and output stays in the second cache. A convolution of every channel by itself is a loop over taps.
 * Where a place sees only itself, the images are a matrix already. For the rest, the windows of some places are copied to rows of a
 * matrix, which is multiplied while it is in the cache.
 */
#include "cpu_special.h"
#include "kernels.h"

#include <string.h>

#define WINOGRAD_FLOATS 98304	/* that the mapped tiles and their products take together */
#define WINOGRAD_WEIGHTS 65536	/* beyond so many of one tap the mapped weights would leave the cache */
#define LOWERED_FLOATS 131072	/* of a matrix of windows */
#define PLANE_GAP 16			/* floats: planes a power of two apart would fight for the same lines of the cache */

/* ---- Which way ---- */

static size_t
filled(size_t channels)
{
	return (channels + KERNEL_LANES - 1) / KERNEL_LANES * KERNEL_LANES;
}

static size_t
clamp_size(size_t n, size_t low, size_t high)
{
	return n < low ? low : n > high ? high : n;
}

/* A sequence, whose tiles and kernels have one row. */
static bool
is_flat(const DevWindow *w)
{
	return w->kernel[0] == 1 && w->height == 1 && w->out_height == 1 && w->before[0] == 0;
}

static bool
is_winograd(const DevWindow *w)
{
	bool		taps = w->kernel[1] == 3 && w->before[1] <= 2 && w->out_width >= 2 &&
		(is_flat(w) || (w->kernel[0] == 3 && w->before[0] <= 2 && w->out_height >= 2));
	bool		dense = w->stride[0] == 1 && w->stride[1] == 1 && w->dilation[0] == 1 && w->dilation[1] == 1 && w->groups == 1;

	return taps && dense && w->channels >= 8 && w->out_channels >= 8 &&
		filled(w->channels) * filled(w->out_channels) <= WINOGRAD_WEIGHTS;
}

static bool
is_depthwise(const DevWindow *w)
{
	return w->groups == w->channels && w->out_channels == w->channels && w->groups > 1;
}

/* Every place sees itself and nothing else. */
static bool
is_pointwise(const DevWindow *w)
{
	return w->kernel[0] == 1 && w->kernel[1] == 1 && w->stride[0] == 1 && w->stride[1] == 1 && w->before[0] == 0 &&
		w->before[1] == 0 && w->out_height == w->height && w->out_width == w->width;
}

static size_t
planes_of(const DevWindow *w)
{
	return is_flat(w) ? 4 : 16;
}

/* Tiles that are worked on together. */
static size_t
tiles_at_once(const DevWindow *w)
{
	return clamp_size(WINOGRAD_FLOATS / (planes_of(w) * (filled(w->channels) + filled(w->out_channels))), 16, 256) / 8 * 8;
}

/* Numbers of one window, for one group. */
static size_t
window_size(const DevWindow *w)
{
	return w->kernel[0] * w->kernel[1] * (w->channels / w->groups);
}

static size_t
places_at_once(const DevWindow *w)
{
	return clamp_size(LOWERED_FLOATS / window_size(w), 8, 4096) / 8 * 8;
}

static size_t
larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* The parts of the scratch of the Winograd way. */
typedef struct Parts
{
	size_t		tiles;			/* at once */
	size_t		plane_src;		/* floats from one plane to the next */
	size_t		plane_dst;
	size_t		n_zeros;
	size_t		n_weights;
} Parts;

static Parts
parts_of(const DevWindow *w)
{
	size_t		in = filled(w->channels);
	size_t		out = filled(w->out_channels);
	Parts		parts;

	parts.tiles = tiles_at_once(w);
	parts.plane_src = parts.tiles * in + PLANE_GAP;
	parts.plane_dst = parts.tiles * out + PLANE_GAP;
	parts.n_zeros = larger(in, out);
	parts.n_weights = planes_of(w) * larger(w->channels * out, w->out_channels * in);
	return parts;
}

size_t
dev_convolution_scratch(const DevWindow *w)
{
	Parts		parts;

	if (is_pointwise(w) || is_depthwise(w))
		return 0;
	if (!is_winograd(w))
		return places_at_once(w) * window_size(w) + window_size(w) * w->out_channels;
	parts = parts_of(w);
	return parts.n_zeros + parts.n_weights + planes_of(w) * (parts.plane_src + parts.plane_dst);
}

/* ---- Winograd ---- */

/* The convolution that takes output gradients to source gradients. */
static DevWindow
turned(const DevWindow *w)
{
	DevWindow	back = *w;

	back.height = w->out_height;
	back.width = w->out_width;
	back.channels = w->out_channels;
	back.out_height = w->height;
	back.out_width = w->width;
	back.out_channels = w->channels;
	back.before[0] = w->kernel[0] - 1 - w->before[0];
	back.before[1] = w->kernel[1] - 1 - w->before[1];
	return back;
}

static size_t
tiles_of(const DevWindow *w, size_t batch)
{
	return batch * ((w->out_height + 1) / 2) * ((w->out_width + 1) / 2);
}

/* scratch holds mapped weights behind the zeros. */
static void
winograd(DevQueue *queue, const DevWindow *w, const Parts *parts, size_t batch, bool chained, const float *src, bool accumulate,
		 float *dst, float *scratch)
{
	const Kernels *kernels = dev_cpu_kernels(queue);
	size_t		in = filled(w->channels);
	size_t		out = filled(w->out_channels);
	size_t		plane_src = parts->tiles * in + PLANE_GAP;
	size_t		plane_dst = parts->tiles * out + PLANE_GAP;
	float	   *weights = scratch + parts->n_zeros;
	float	   *mapped = weights + parts->n_weights;
	float	   *products = mapped + planes_of(w) * plane_src;
	size_t		tiles = tiles_of(w, batch);

	for (size_t first = 0; first < tiles && !dev_queue_stopped(queue); first += parts->tiles)
	{
		size_t		n = tiles - first < parts->tiles ? tiles - first : parts->tiles;

		kernels->winograd_source(w, src, first, n, scratch, mapped, plane_src);
		for (size_t p = 0; p < planes_of(w); p++)
			kernels->multiply_small(chained, n, out, w->channels, mapped + p * plane_src, in, 1,
									weights + p * w->channels * out, out, false, products + p * plane_dst, out);
		kernels->winograd_output(w, products, plane_dst, first, n, accumulate, dst);
	}
}

static void
winograd_forward(DevQueue *queue, const DevWindow *w, size_t batch, bool chained, const float *src, const float *weights,
				 float *dst, float *scratch)
{
	Parts		parts = parts_of(w);

	memset(scratch, 0, parts.n_zeros * sizeof(float));
	dev_cpu_kernels(queue)->winograd_weights(w, false, weights, scratch + parts.n_zeros);
	winograd(queue, w, &parts, batch, chained, src, false, dst, scratch);
}

static void
winograd_grad_src(DevQueue *queue, const DevWindow *w, size_t batch, const float *diff_dst, const float *weights,
				  float *diff_src, bool accumulate, float *scratch)
{
	Parts		parts = parts_of(w);
	DevWindow	back = turned(w);

	memset(scratch, 0, parts.n_zeros * sizeof(float));
	dev_cpu_kernels(queue)->winograd_weights(w, true, weights, scratch + parts.n_zeros);
	winograd(queue, &back, &parts, batch, false, diff_dst, accumulate, diff_src, scratch);
}

static void
winograd_grad_weights(DevQueue *queue, const DevWindow *w, size_t batch, const float *src, const float *diff_dst,
					  float *diff_weights, float *scratch)
{
	const Kernels *kernels = dev_cpu_kernels(queue);
	Parts		parts = parts_of(w);
	size_t		in = filled(w->channels);
	size_t		out = filled(w->out_channels);
	float	   *sums = scratch + parts.n_zeros;
	float	   *mapped = sums + parts.n_weights;
	float	   *diffs = mapped + planes_of(w) * parts.plane_src;
	size_t		tiles = tiles_of(w, batch);

	memset(scratch, 0, (parts.n_zeros + planes_of(w) * w->channels * out) * sizeof(float));
	for (size_t first = 0; first < tiles && !dev_queue_stopped(queue); first += parts.tiles)
	{
		size_t		n = tiles - first < parts.tiles ? tiles - first : parts.tiles;

		kernels->winograd_source(w, src, first, n, scratch, mapped, parts.plane_src);
		kernels->winograd_output_back(w, diff_dst, first, n, scratch, diffs, parts.plane_dst);
		for (size_t p = 0; p < planes_of(w); p++)
			kernels->multiply_small(false, w->channels, out, n, mapped + p * parts.plane_src, 1, in,
									diffs + p * parts.plane_dst, out, true, sums + p * w->channels * out, out);
	}
	kernels->winograd_weights_back(w, sums, diff_weights);
}

/* ---- Windows as rows ---- */

/* Places [first, first + count) seen by one group as a matrix: where it lies, or copied to scratch. */
static const float *
rows_of(DevQueue *queue, const DevWindow *w, size_t group, size_t first, size_t count, const float *src, float *scratch,
		size_t *ld)
{
	if (is_pointwise(w))
	{
		*ld = w->channels;
		return src + first * w->channels + group * (w->channels / w->groups);
	}
	*ld = window_size(w);
	dev_cpu_kernels(queue)->lower(w, group, first, count, src, scratch);
	return scratch;
}

static void
lowered_forward(DevQueue *queue, const DevWindow *w, size_t batch, bool chained, const float *src, const float *weights,
				float *dst, float *scratch)
{
	const DevPrimitives *p = queue->primitives;
	size_t		places = batch * w->out_height * w->out_width;
	size_t		step = is_pointwise(w) ? places : places_at_once(w);
	size_t		out = w->out_channels / w->groups;

	for (size_t first = 0; first < places && !dev_queue_stopped(queue); first += step)
	{
		size_t		n = places - first < step ? places - first : step;

		for (size_t g = 0; g < w->groups; g++)
		{
			size_t		ld;
			const float *rows = rows_of(queue, w, g, first, n, src, scratch, &ld);
			float	   *to = dst + first * w->out_channels + g * out;

			if (chained)
				p->product(queue, n, out, window_size(w), rows, ld, weights + g * out, w->out_channels, NULL, false, to, w->out_channels);
			else
				p->gemm(queue, false, false, n, out, window_size(w), 1.0f, rows, ld, weights + g * out, w->out_channels,
						0.0f, to, w->out_channels);
		}
	}
}

/*
 * The weights with rows and columns exchanged, group after group: once a pass, where the product would do it for
 * every part.
 */
static void
exchange(const DevWindow *w, const float *weights, float *dst)
{
	size_t		k = window_size(w);

	for (size_t i = 0; i < k; i++)
		for (size_t j = 0; j < w->out_channels; j++)
			dst[j * k + i] = weights[i * w->out_channels + j];
}

static void
lowered_grad_src(DevQueue *queue, const DevWindow *w, size_t batch, const float *diff_dst, const float *weights,
				 float *diff_src, bool accumulate, float *scratch)
{
	const DevPrimitives *p = queue->primitives;
	size_t		places = batch * w->out_height * w->out_width;
	size_t		step = places_at_once(w);
	size_t		out = w->out_channels / w->groups;
	size_t		k = window_size(w);
	float	   *exchanged = scratch + step * k;

	exchange(w, weights, exchanged);
	if (!accumulate)
		memset(diff_src, 0, batch * w->height * w->width * w->channels * sizeof(float));
	for (size_t first = 0; first < places && !dev_queue_stopped(queue); first += step)
	{
		size_t		n = places - first < step ? places - first : step;

		for (size_t g = 0; g < w->groups; g++)
		{
			p->gemm(queue, false, false, n, k, out, 1.0f, diff_dst + first * w->out_channels + g * out, w->out_channels,
					exchanged + g * out * k, k, 0.0f, scratch, k);
			dev_cpu_kernels(queue)->raise_rows(w, g, first, n, scratch, diff_src);
		}
	}
}

static void
pointwise_grad_src(DevQueue *queue, const DevWindow *w, size_t batch, const float *diff_dst, const float *weights,
				   float *diff_src, bool accumulate)
{
	size_t		in = w->channels / w->groups;
	size_t		out = w->out_channels / w->groups;

	for (size_t g = 0; g < w->groups; g++)
		queue->primitives->gemm(queue, false, true, batch * w->height * w->width, in, out, 1.0f, diff_dst + g * out,
								w->out_channels, weights + g * out, w->out_channels, accumulate ? 1.0f : 0.0f,
								diff_src + g * in, w->channels);
}

static void
lowered_grad_weights(DevQueue *queue, const DevWindow *w, size_t batch, const float *src, const float *diff_dst,
					 float *diff_weights, float *scratch)
{
	size_t		places = batch * w->out_height * w->out_width;
	size_t		step = is_pointwise(w) ? places : places_at_once(w);
	size_t		out = w->out_channels / w->groups;

	for (size_t first = 0; first < places && !dev_queue_stopped(queue); first += step)
	{
		size_t		n = places - first < step ? places - first : step;

		for (size_t g = 0; g < w->groups; g++)
		{
			size_t		ld;
			const float *rows = rows_of(queue, w, g, first, n, src, scratch, &ld);

			queue->primitives->gemm(queue, true, false, window_size(w), out, n, 1.0f, rows, ld,
									diff_dst + first * w->out_channels + g * out, w->out_channels, 1.0f,
									diff_weights + g * out, w->out_channels);
		}
	}
}

/* ---- The primitives ---- */

static size_t
src_size(const DevWindow *w)
{
	return w->height * w->width * w->channels;
}

static size_t
dst_size(const DevWindow *w)
{
	return w->out_height * w->out_width * w->out_channels;
}

void
dev_cpu_convolve(DevQueue *queue, const DevWindow *w, size_t batch, bool chained, const float *src, const float *weights,
				 float *dst, float *scratch)
{
	if (is_winograd(w))
		winograd_forward(queue, w, batch, chained, src, weights, dst, scratch);
	else if (is_depthwise(w))
		for (size_t i = 0; i < batch && !dev_queue_stopped(queue); i++)
			dev_cpu_kernels(queue)->depthwise(w, src + i * src_size(w), weights, dst + i * dst_size(w));
	else
		lowered_forward(queue, w, batch, chained, src, weights, dst, scratch);
}

void
dev_cpu_convolve_grad_src(DevQueue *queue, const DevWindow *w, size_t batch, const float *diff_dst, const float *weights,
						  float *diff_src, bool accumulate, float *scratch)
{
	if (is_winograd(w))
		winograd_grad_src(queue, w, batch, diff_dst, weights, diff_src, accumulate, scratch);
	else if (is_depthwise(w))
	{
		if (!accumulate)
			memset(diff_src, 0, batch * src_size(w) * sizeof(float));
		for (size_t i = 0; i < batch && !dev_queue_stopped(queue); i++)
			dev_cpu_kernels(queue)->depthwise_src(w, diff_dst + i * dst_size(w), weights, diff_src + i * src_size(w));
	}
	else if (is_pointwise(w))
		pointwise_grad_src(queue, w, batch, diff_dst, weights, diff_src, accumulate);
	else
		lowered_grad_src(queue, w, batch, diff_dst, weights, diff_src, accumulate, scratch);
}

void
dev_cpu_convolve_grad_weights(DevQueue *queue, const DevWindow *w, size_t batch, const float *src, const float *diff_dst,
							  float *diff_weights, float *scratch)
{
	if (is_winograd(w))
		winograd_grad_weights(queue, w, batch, src, diff_dst, diff_weights, scratch);
	else if (is_depthwise(w))
		for (size_t i = 0; i < batch && !dev_queue_stopped(queue); i++)
			dev_cpu_kernels(queue)->depthwise_weights(w, src + i * src_size(w), diff_dst + i * dst_size(w), diff_weights);
	else
		lowered_grad_weights(queue, w, batch, src, diff_dst, diff_weights, scratch);
}

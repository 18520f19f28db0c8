/*
 * image_resize.c: crop, change of channels and of size, one row of the source at a time.
 *
 * The two axes are independent: each pixel of the result has a run of weights along either. A row that comes in is brought to its
 * new width at once and added, with its weight, to the rows of the result that have a part in it. So a source of any height
 * needs the memory of some rows.
 */
#include "image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_CHANNELS 4096
#define MOST_VALUES ((size_t) 1 << 30)

/* ---- Which part goes where ---- */

/* Centred part of an axis; a crop of 0 is all of it. */
static bool
crop_axis(size_t size, size_t crop, double *from, double *to)
{
	if (crop > size)
		return false;
	*from = crop == 0 ? 0.0 : (double) ((size - crop) / 2);
	*to = crop == 0 ? (double) size : *from + (double) crop;
	return true;
}

static void
keep_centre(double *from, double *to, double length)
{
	double		middle = 0.5 * (*from + *to);

	if (length >= *to - *from)
		return;
	*from = middle - 0.5 * length;
	*to = middle + 0.5 * length;
}

/* The largest whole number of pixels, at least one, that a side shrunk by `factor` fills. */
static size_t
padded_side(double side, double factor, size_t most)
{
	double		wanted = floor(side * factor + 0.5);

	if (wanted < 1.0)
		return 1;
	return wanted < (double) most ? (size_t) wanted : most;
}

static void
fit(LearnFrame *frame, LearnFitting fitting)
{
	double		height = frame->bottom - frame->top;
	double		width = frame->right - frame->left;
	double		by_height = (double) frame->dst_height / height;
	double		by_width = (double) frame->dst_width / width;

	if (fitting == LEARN_FIT_CROP)
	{
		double		factor = by_height > by_width ? by_height : by_width;

		keep_centre(&frame->top, &frame->bottom, (double) frame->dst_height / factor);
		keep_centre(&frame->left, &frame->right, (double) frame->dst_width / factor);
	}
	else if (fitting == LEARN_FIT_PAD)
	{
		double		factor = by_height < by_width ? by_height : by_width;

		frame->inner_height = padded_side(height, factor, frame->dst_height);
		frame->inner_width = padded_side(width, factor, frame->dst_width);
		frame->inner_top = (frame->dst_height - frame->inner_height) / 2;
		frame->inner_left = (frame->dst_width - frame->inner_width) / 2;
	}
}

static bool
choose_channels(int channels, int wanted, int *chosen, LearnTrouble *trouble)
{
	if (channels < 1 || channels > MOST_CHANNELS)
		return learn_image_fail(trouble, DEV_INVALID, "image has %d channels, and there may be 1 to %d", channels, MOST_CHANNELS);
	*chosen = wanted == 0 ? channels : wanted;
	if (wanted == 0 || wanted == channels || (wanted == 1 && channels == 3) || (wanted == 3 && channels == 1))
		return true;
	return learn_image_fail(trouble, DEV_INVALID, "image of %d channels cannot be turned into one of %d", channels, wanted);
}

bool
learn_frame(size_t height, size_t width, int channels, const LearnImageWish *wish, LearnFrame *frame, LearnTrouble *trouble)
{
	memset(frame, 0, sizeof(*frame));
	frame->src_height = height;
	frame->src_width = width;
	frame->src_channels = channels;
	if (!choose_channels(channels, wish->channels, &frame->dst_channels, trouble))
		return false;
	if (!crop_axis(height, wish->crop_height, &frame->top, &frame->bottom) ||
		!crop_axis(width, wish->crop_width, &frame->left, &frame->right))
	{
		learn_image_fail(trouble, DEV_BAD_DATA, "image of %zu x %zu pixels is smaller than the part to be cut out of it", width, height);
		learn_image_detail(trouble, "The part is %zu x %zu pixels (width x height, 0 being all).", wish->crop_width, wish->crop_height);
		return false;
	}
	frame->dst_height = wish->height == 0 ? (size_t) (frame->bottom - frame->top) : wish->height;
	frame->dst_width = wish->width == 0 ? (size_t) (frame->right - frame->left) : wish->width;
	if (frame->dst_height > MOST_VALUES / frame->dst_width / (size_t) frame->dst_channels)
		return learn_image_fail(trouble, DEV_INVALID, "an image of %zu x %zu pixels of %d channels is too large to be made",
								frame->dst_width, frame->dst_height, frame->dst_channels);
	frame->inner_height = frame->dst_height;
	frame->inner_width = frame->dst_width;
	fit(frame, wish->fitting);
	return true;
}

/* ---- Weights along an axis ---- */

/* A pixel of the result is the sum of weights[i] times source pixel start + i. */
typedef struct Run
{
	size_t		start;
	size_t		count;
	const float *weights;
} Run;

/* What places along an axis may be wrong by: a pixel with a smaller part than this has none. */
#define PLACE_ERROR 1e-7

/* Upper bound of the weights of an axis; `part` of the source goes into n pixels. */
static size_t
count_weights(double part, size_t n)
{
	return part > (double) n ? (size_t) part + 3 * n + 2 : 2 * n;
}

/* The share of each source pixel in [from, to]. */
static float *
average_run(Run *run, double from, double to, size_t first, size_t last, float *weights)
{
	size_t		start = (size_t) (from + PLACE_ERROR);
	size_t		end = (size_t) ceil(to - PLACE_ERROR);

	start = start < first ? first : start > last ? last : start;
	end = end > last + 1 ? last + 1 : end <= start ? start + 1 : end;
	run->start = start;
	run->count = end - start;
	run->weights = weights;
	if (run->count == 1)
	{
		*weights++ = 1.0f;
		return weights;
	}
	for (size_t i = start; i < end; i++)
	{
		double		low = from > (double) i ? from : (double) i;
		double		high = to < (double) (i + 1) ? to : (double) (i + 1);
		double		share = (high - low) / (to - from);

		*weights++ = share > 0.0 ? (float) share : 0.0f;
	}
	return weights;
}

/* Linear between the centres of the two pixels around `place`. */
static float *
linear_run(Run *run, double place, size_t first, size_t last, float *weights)
{
	double		below = floor(place + PLACE_ERROR);
	double		share = place - below;

	run->weights = weights;
	run->count = 1;
	if (below < (double) first)
		run->start = first;
	else if (below >= (double) last)
		run->start = last;
	else
	{
		run->start = (size_t) below;
		if (share > PLACE_ERROR)
		{
			run->count = 2;
			*weights++ = (float) (1.0 - share);
			*weights++ = (float) share;
			return weights;
		}
	}
	*weights++ = 1.0f;
	return weights;
}

/* n runs over [from, to] of the source; nothing outside takes part, but for pixels that the ends cut through. */
static void
plan_axis(Run *runs, size_t n, double from, double to, size_t size, float *weights)
{
	double		step = (to - from) / (double) n;
	size_t		first = (size_t) (from + PLACE_ERROR);
	size_t		last = (size_t) ceil(to - PLACE_ERROR) - 1;

	last = last < size ? last : size - 1;
	for (size_t i = 0; i < n; i++)
	{
		if (step > 1.0)
			weights = average_run(&runs[i], from + (double) i * step, from + (double) (i + 1) * step, first, last, weights);
		else
			weights = linear_run(&runs[i], from + ((double) i + 0.5) * step - 0.5, first, last, weights);
	}
}

/* ---- The resizer ---- */

struct LearnResizer
{
	LearnFrame	frame;
	int			channels;		/* while the width changes: the smaller of source's and result's */
	float	   *dst;
	Run		   *down;			/* (inner_height) */
	Run		   *across;			/* (inner_width) */
	bool		same_width;		/* every run across is one whole pixel, the next of the one before */
	size_t		next;			/* rows of the result above it are complete */
	float	   *room;			/* (src_width, src_channels) */
	float	   *reduced;		/* (src_width): a row turned to grey */
	float	   *narrow;			/* (inner_width, channels) */
	float	   *wide;			/* (inner_width, dst_channels) */
};

/* Takes n items of a block; block NULL: only counts. Multiples of 64 bytes, so that all are aligned. */
static void *
take(char *block, size_t *used, size_t n, size_t size)
{
	void	   *start = block == NULL ? NULL : block + *used;

	*used += (n * size + 63) / 64 * 64;
	return start;
}

static size_t
lay_out(LearnResizer *resizer, const LearnFrame *frame, char *block, float **down, float **across)
{
	size_t		used = (sizeof(LearnResizer) + 63) / 64 * 64;

	resizer->down = take(block, &used, frame->inner_height, sizeof(Run));
	resizer->across = take(block, &used, frame->inner_width, sizeof(Run));
	*down = take(block, &used, count_weights(frame->bottom - frame->top, frame->inner_height), sizeof(float));
	*across = take(block, &used, count_weights(frame->right - frame->left, frame->inner_width), sizeof(float));
	resizer->room = take(block, &used, frame->src_width * (size_t) frame->src_channels, sizeof(float));
	resizer->reduced = take(block, &used, frame->src_width, sizeof(float));
	resizer->narrow = take(block, &used, frame->inner_width * (size_t) resizer->channels, sizeof(float));
	resizer->wide = take(block, &used, frame->inner_width * (size_t) frame->dst_channels, sizeof(float));
	return used;
}

bool
learn_resizer_open(const LearnFrame *frame, float *dst, LearnResizer **resizer, LearnTrouble *trouble)
{
	LearnResizer layout = {0};
	float	   *down;
	float	   *across;
	size_t		size;
	char	   *block;

	*resizer = NULL;
	layout.frame = *frame;
	layout.channels = frame->src_channels < frame->dst_channels ? frame->src_channels : frame->dst_channels;
	layout.dst = dst;
	size = lay_out(&layout, frame, NULL, &down, &across);
	block = malloc(size);
	if (block == NULL)
		return learn_image_no_memory(trouble, size);
	lay_out(&layout, frame, block, &down, &across);
	plan_axis(layout.down, frame->inner_height, frame->top, frame->bottom, frame->src_height, down);
	plan_axis(layout.across, frame->inner_width, frame->left, frame->right, frame->src_width, across);
	layout.same_width = true;
	for (size_t i = 0; i < frame->inner_width; i++)
		layout.same_width = layout.same_width && layout.across[i].count == 1 && layout.across[i].start == layout.across[0].start + i;
	memset(dst, 0, frame->dst_height * frame->dst_width * (size_t) frame->dst_channels * sizeof(float));
	*resizer = (LearnResizer *) block;
	**resizer = layout;
	return true;
}

void
learn_resizer_close(LearnResizer *resizer)
{
	free(resizer);
}

float *
learn_resizer_room(LearnResizer *resizer)
{
	return resizer->room;
}

/* Only what the runs across will read. */
static const float *
to_grey(LearnResizer *resizer, const float *src)
{
	size_t		first = resizer->across[0].start;
	const Run  *last = &resizer->across[resizer->frame.inner_width - 1];

	for (size_t i = first; i < last->start + last->count; i++)
		resizer->reduced[i] = learn_luma(src[3 * i], src[3 * i + 1], src[3 * i + 2]);
	return resizer->reduced;
}

static void
shrink_grey(const Run *runs, size_t n, const float *src, float *dst)
{
	for (size_t i = 0; i < n; i++)
	{
		const float *from = src + runs[i].start;
		float		sum = 0.0f;

		for (size_t tap = 0; tap < runs[i].count; tap++)
			sum += runs[i].weights[tap] * from[tap];
		dst[i] = sum;
	}
}

static void
shrink_colour(const Run *runs, size_t n, const float *src, float *dst)
{
	for (size_t i = 0; i < n; i++)
	{
		const float *from = src + 3 * runs[i].start;
		float		sums[3] = {0.0f, 0.0f, 0.0f};

		for (size_t tap = 0; tap < runs[i].count; tap++)
		{
			sums[0] += runs[i].weights[tap] * from[3 * tap];
			sums[1] += runs[i].weights[tap] * from[3 * tap + 1];
			sums[2] += runs[i].weights[tap] * from[3 * tap + 2];
		}
		memcpy(dst + 3 * i, sums, sizeof(sums));
	}
}

static void
shrink_channels(const Run *runs, size_t n, size_t channels, const float *src, float *dst)
{
	for (size_t i = 0; i < n; i++)
	{
		const float *from = src + channels * runs[i].start;

		for (size_t channel = 0; channel < channels; channel++)
		{
			float		sum = 0.0f;

			for (size_t tap = 0; tap < runs[i].count; tap++)
				sum += runs[i].weights[tap] * from[channels * tap + channel];
			dst[channels * i + channel] = sum;
		}
	}
}

/* A row of the source at its new width, (inner_width, dst_channels). */
static const float *
new_width(LearnResizer *resizer, const float *src)
{
	const LearnFrame *frame = &resizer->frame;
	size_t		channels = (size_t) resizer->channels;
	const float *narrow = resizer->narrow;

	if (frame->src_channels == 3 && channels == 1)
		src = to_grey(resizer, src);
	if (resizer->same_width)
		narrow = src + resizer->across[0].start * channels;
	else if (channels == 1)
		shrink_grey(resizer->across, frame->inner_width, src, resizer->narrow);
	else if (channels == 3)
		shrink_colour(resizer->across, frame->inner_width, src, resizer->narrow);
	else
		shrink_channels(resizer->across, frame->inner_width, channels, src, resizer->narrow);
	if (frame->dst_channels == resizer->channels)
		return narrow;
	for (size_t i = 0; i < frame->inner_width; i++)
		resizer->wide[3 * i] = resizer->wide[3 * i + 1] = resizer->wide[3 * i + 2] = narrow[i];
	return resizer->wide;
}

void
learn_resizer_put(LearnResizer *resizer, size_t row, const float *samples)
{
	const LearnFrame *frame = &resizer->frame;
	const Run  *down = resizer->down;
	size_t		n = frame->inner_width * (size_t) frame->dst_channels;
	const float *src = NULL;

	while (resizer->next < frame->inner_height && down[resizer->next].start + down[resizer->next].count <= row)
		resizer->next++;
	for (size_t to = resizer->next; to < frame->inner_height && down[to].start <= row; to++)
	{
		float		weight = down[to].weights[row - down[to].start];
		float	   *dst = resizer->dst +
			((frame->inner_top + to) * frame->dst_width + frame->inner_left) * (size_t) frame->dst_channels;

		if (src == NULL)
			src = new_width(resizer, samples);
		if (down[to].count == 1)
			memcpy(dst, src, n * sizeof(float));
		else
			for (size_t i = 0; i < n; i++)
				dst[i] += weight * src[i];
	}
}

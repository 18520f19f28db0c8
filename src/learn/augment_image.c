/*
 * augment_image.c: images turned, moved, mirrored, lit and disturbed at random.
 *
 * All geometry of an image is one affine map from the new image's pixels to the old one's, so that it is
 * interpolated once. The old image is first laid into a frame: one pixel of fill all around, to whose middle
 * every place outside is moved, so that the inner loop knows no border. When an image is only mirrored and shifted by whole pixels
 * it is copied and not interpolated.
 */
#include "augment.h"

#include "idla/learn_augment.h"

#include <math.h>
#include <string.h>

#define RADIANS 0.017453292519943295
#define FRAME 3					/* rows and columns a frame has more than its image: one before, two behind */
#define ERASE_LEAST 0.02		/* share of the area */
#define ERASE_MOST 0.33
#define ERASE_ASPECT 3.3
#define ERASE_TRIES 4

/* Blocks of a row's draws, see learn_draw_block. */
enum
{
	BLOCK_WARP,					/* angle, scale, shear, flips */
	BLOCK_MOVE,					/* shift and crop */
	BLOCK_LIGHT,				/* brightness, contrast, erasing or not */
	BLOCK_ERASE,				/* the rectangle, ERASE_TRIES of them */
	BLOCK_NOISE = BLOCK_ERASE + ERASE_TRIES
};

/* ---- Warping ---- */

size_t
learn_augment_image_scratch(size_t height, size_t width, size_t channels)
{
	size_t		rows = height + FRAME;
	size_t		columns = width + FRAME;

	if (rows < height || columns < width || channels == 0 || columns > SIZE_MAX / sizeof(float) / channels ||
		rows > SIZE_MAX / sizeof(float) / channels / columns)
		return 0;
	return rows * columns * channels;
}

/* The image in its frame of fill. */
static void
lay_frame(size_t height, size_t width, size_t channels, float fill, const float *src, float *frame)
{
	size_t		stride = (width + FRAME) * channels;

	for (size_t i = 0; i < (height + FRAME) * stride; i++)
		frame[i] = fill;
	for (size_t y = 0; y < height; y++)
		memcpy(frame + (y + 1) * stride + channels, src + y * width * channels, width * channels * sizeof(float));
}

/* A coordinate outside [0, last] is mirrored at the first and the last pixel. */
static inline float
mirror(float x, float last)
{
	float		period = 2 * last;

	if (x >= 0 && x <= last)
		return x;
	if (!(last > 0) || !(fabsf(x) < 1e6f))
		return 0;
	x -= period * floorf(x / period);
	return x <= last ? x : period - x;
}

/* A coordinate of the image as one of the frame: at least 0, and its right neighbour is in the frame too. */
static inline float
place(float x, float last, bool reflect)
{
	if (reflect)
		return mirror(x, last) + 1;
	x += 1;
	x = x > 0 ? x : 0;			/* also NaN */
	return x < last + 2 ? x : last + 2;
}

static inline void
interpolate(const float *corner, size_t channels, size_t stride, float right, float down, float *dst)
{
	for (size_t c = 0; c < channels; c++)
	{
		float		top = corner[c] + right * (corner[channels + c] - corner[c]);
		float		bottom = corner[stride + c] + right * (corner[stride + channels + c] - corner[stride + c]);

		dst[c] = top + down * (bottom - top);
	}
}

/* Inlined for the numbers of channels that images have. */
static inline void
warp_frame(size_t height, size_t width, size_t channels, const double m[6], bool reflect, const float *frame, float *dst)
{
	size_t		stride = (width + FRAME) * channels;
	float		last_x = (float) (width - 1);
	float		last_y = (float) (height - 1);

	for (size_t row = 0; row < height; row++)
	{
		float		x0 = (float) (m[1] * (double) row + m[2]);
		float		y0 = (float) (m[4] * (double) row + m[5]);
		float		dx = (float) m[0];
		float		dy = (float) m[3];

		for (size_t column = 0; column < width; column++)
		{
			float		x = place(x0 + dx * (float) (int32_t) column, last_x, reflect);
			float		y = place(y0 + dy * (float) (int32_t) column, last_y, reflect);
			size_t		left = (size_t) (int32_t) x;
			size_t		top = (size_t) (int32_t) y;

			interpolate(frame + top * stride + left * channels, channels, stride, x - (float) (int32_t) left,
						y - (float) (int32_t) top, dst + (row * width + column) * channels);
		}
	}
}

void
learn_warp_image(size_t height, size_t width, size_t channels, const double m[6], bool reflect, float fill,
				 const float *src, float *dst, float *scratch)
{
	if (height == 0 || width == 0)
		return;
	lay_frame(height, width, channels, fill, src, scratch);
	if (channels == 1)
		warp_frame(height, width, 1, m, reflect, scratch, dst);
	else if (channels == 3)
		warp_frame(height, width, 3, m, reflect, scratch, dst);
	else
		warp_frame(height, width, channels, m, reflect, scratch, dst);
}

/* ---- Moving by whole pixels ---- */

/* What becomes of an image's place: mirrored or not, then moved, then turned, scaled and sheared about its middle. */
typedef struct Motion
{
	bool		warped;			/* angle, size, shear or shift are not those of the image as it is */
	double		angle;
	double		size;
	double		shear;
	double		shift_x;		/* pixels */
	double		shift_y;
	long		crop_x;			/* whole pixels */
	long		crop_y;
	bool		flip;
	bool		flip_vertical;
} Motion;

/* The old image's pixel that whole-pixel motion brings to `x`, or -1 for what lies outside. */
static inline long
source_pixel(long x, long move, bool flipped, long size, bool reflect)
{
	x = x - move;
	if (x < 0 || x >= size)
	{
		if (!reflect)
			return -1;
		x = (long) mirror((float) x, (float) (size - 1));
	}
	return flipped ? size - 1 - x : x;
}

static void
copy_pixels(const Motion *motion, const LearnAugmentImage *how, size_t height, size_t width, size_t channels,
			const float *src, float *dst)
{
	for (size_t row = 0; row < height; row++)
	{
		long		y = source_pixel((long) row, motion->crop_y, motion->flip_vertical, (long) height, how->reflect);
		float	   *to = dst + row * width * channels;

		for (size_t column = 0; column < width; column++)
		{
			long		x = y < 0 ? -1 : source_pixel((long) column, motion->crop_x, motion->flip, (long) width,
													  how->reflect);
			const float *from = x < 0 ? NULL : src + ((size_t) y * width + (size_t) x) * channels;

			for (size_t c = 0; c < channels; c++)
				to[column * channels + c] = from != NULL ? from[c] : how->fill;
		}
	}
}

/* ---- Drawing a motion ---- */

/* Uniform in [-range, range]. */
static inline double
spread(uint32_t bits, double range)
{
	return range * (2 * (double) learn_unit(bits) - 1);
}

static long
draw_crop(uint32_t bits, float crop, size_t size)
{
	long		most = lround((double) crop * (double) size);
	double		place = floor((double) learn_unit(bits) * (double) (2 * most + 1));

	return most > 0 ? (long) place - most : 0;
}

static Motion
draw_motion(const LearnAugmentImage *how, size_t height, size_t width, const LearnDraw *draw)
{
	Motion		motion = {.size = 1};
	uint32_t	bits[4];

	if (how->rotate > 0 || how->scale > 0 || how->shear > 0 || how->flip > 0 || how->flip_vertical > 0)
	{
		learn_draw_block(draw, BLOCK_WARP, bits);
		motion.angle = spread(bits[0], how->rotate * RADIANS);
		motion.size = exp(spread(bits[1], log1p(how->scale)));
		motion.shear = spread(bits[2], how->shear * RADIANS);
		motion.flip = (float) (bits[3] & 0xFFFFu) < how->flip * 65536;
		motion.flip_vertical = (float) (bits[3] >> 16) < how->flip_vertical * 65536;
	}
	if (how->shift > 0 || how->crop > 0)
	{
		learn_draw_block(draw, BLOCK_MOVE, bits);
		motion.shift_x = spread(bits[0], how->shift * (double) width);
		motion.shift_y = spread(bits[1], how->shift * (double) height);
		motion.crop_x = draw_crop(bits[2], how->crop, width);
		motion.crop_y = draw_crop(bits[3], how->crop, height);
	}
	motion.warped = how->rotate > 0 || how->scale > 0 || how->shear > 0 || how->shift > 0;
	return motion;
}

/*
 * The map from new pixels to old ones: the inverse of "mirror, shear, scale, turn about the middle, then move". With p the
 * new pixel seen from the moved middle, the old one is F S^-1 R^-1 p / size, seen from the middle.
 */
static void
motion_matrix(const Motion *motion, size_t height, size_t width, double m[6])
{
	double		middle_x = ((double) width - 1) / 2;
	double		middle_y = ((double) height - 1) / 2;
	double		cosine = cos(motion->angle) / motion->size;
	double		sine = sin(motion->angle) / motion->size;
	double		slant = tan(motion->shear);
	double		from_x = middle_x + motion->shift_x + (double) motion->crop_x;
	double		from_y = middle_y + motion->shift_y + (double) motion->crop_y;
	double		sign_x = motion->flip ? -1 : 1;
	double		sign_y = motion->flip_vertical ? -1 : 1;

	m[0] = sign_x * (cosine + slant * sine);
	m[1] = sign_x * (sine - slant * cosine);
	m[3] = sign_y * -sine;
	m[4] = sign_y * cosine;
	m[2] = middle_x - m[0] * from_x - m[1] * from_y;
	m[5] = middle_y - m[3] * from_x - m[4] * from_y;
}

static void
move_image(const LearnAugmentImage *how, size_t height, size_t width, size_t channels, const LearnDraw *draw,
		   const float *src, float *dst, float *scratch)
{
	Motion		motion = draw_motion(how, height, width, draw);
	double		m[6];

	if (motion.warped)
	{
		motion_matrix(&motion, height, width, m);
		learn_warp_image(height, width, channels, m, how->reflect, how->fill, src, dst, scratch);
	}
	else if (motion.crop_x != 0 || motion.crop_y != 0 || motion.flip || motion.flip_vertical)
		copy_pixels(&motion, how, height, width, channels, src, dst);
	else
		memcpy(dst, src, height * width * channels * sizeof(float));
}

/* ---- Values ---- */

static float
range_of(const LearnAugmentImage *how)
{
	return how->high > how->low ? how->high - how->low : 1;
}

static void
cut_values(const LearnAugmentImage *how, size_t n, float *values)
{
	if (!(how->high > how->low))
		return;
	for (size_t i = 0; i < n; i++)
	{
		float		value = values[i] > how->low ? values[i] : how->low;

		values[i] = value < how->high ? value : how->high;
	}
}

static float
mean_of(size_t n, const float *values)
{
	double		sums[4] = {0};

	for (size_t i = 0; i < n; i++)
		sums[i % 4] += values[i];
	return (float) (((sums[0] + sums[1]) + (sums[2] + sums[3])) / (double) n);
}

/* contrast * (value - mean) + mean + brightness */
static void
light_image(const LearnAugmentImage *how, size_t n, const uint32_t bits[4], float *values)
{
	float		factor = (float) exp(spread(bits[0], log1p(how->contrast)));
	float		add = (float) spread(bits[1], how->brightness * range_of(how));

	if (how->contrast > 0)
	{
		float		mean = mean_of(n, values);

		add += mean - factor * mean;
	}
	for (size_t i = 0; i < n; i++)
		values[i] = factor * values[i] + add;
}

static void
add_noise(const LearnAugmentImage *how, size_t n, const LearnDraw *draw, float *values)
{
	float		noise[128];
	float		deviation = how->noise * range_of(how);

	for (size_t done = 0; done < n; done += 128)
	{
		size_t		count = n - done < 128 ? n - done : 128;

		learn_draw_normal(draw, BLOCK_NOISE + done / 4, count, deviation, noise);
		for (size_t i = 0; i < count; i++)
			values[done + i] += noise[i];
	}
}

/* A rectangle of random area and shape at a random place; one that does not fit is drawn again, a few times. */
static void
erase(const LearnAugmentImage *how, size_t height, size_t width, size_t channels, const LearnDraw *draw, float *values)
{
	for (int try = 0; try < ERASE_TRIES; try++)
	{
		uint32_t	bits[4];
		double		area;
		double		aspect;
		size_t		tall;
		size_t		wide;
		size_t		top;
		size_t		left;

		learn_draw_block(draw, (uint64_t) (BLOCK_ERASE + try), bits);
		area = (ERASE_LEAST + (ERASE_MOST - ERASE_LEAST) * (double) learn_unit(bits[0])) * (double) height * (double) width;
		aspect = exp(spread(bits[1], log(ERASE_ASPECT)));
		tall = (size_t) lround(sqrt(area * aspect));
		wide = (size_t) lround(sqrt(area / aspect));
		if (tall == 0 || wide == 0 || tall > height || wide > width)
			continue;
		top = (size_t) ((double) learn_unit(bits[2]) * (double) (height - tall + 1));
		left = (size_t) ((double) learn_unit(bits[3]) * (double) (width - wide + 1));
		for (size_t y = top; y < top + tall; y++)
			for (size_t i = (y * width + left) * channels; i < (y * width + left + wide) * channels; i++)
				values[i] = how->fill;
		return;
	}
}

void
learn_augment_image(const LearnAugmentImage *how, size_t height, size_t width, size_t channels, const float *src,
					float *dst, uint64_t seed, uint64_t stream, uint64_t counter, float *scratch)
{
	LearnDraw	draw = {seed, stream, counter};
	size_t		n = height * width * channels;
	bool		lit = how->brightness > 0 || how->contrast > 0;
	uint32_t	bits[4];

	if (n == 0)
		return;
	move_image(how, height, width, channels, &draw, src, dst, scratch);
	if (lit || how->erase > 0)
		learn_draw_block(&draw, BLOCK_LIGHT, bits);
	if (lit)
		light_image(how, n, bits, dst);
	if (how->noise > 0)
		add_noise(how, n, &draw, dst);
	if (lit || how->noise > 0)
		cut_values(how, n, dst);
	if (how->erase > 0 && learn_unit(bits[2]) < how->erase)
		erase(how, height, width, channels, &draw, dst);
}

/*
 * test_augment.c: augmented images and rows: off means untouched, geometry by patterns, statistics of what is drawn,
 * and that nothing but (seed, stream, counter) decides.
 */
#include "check.h"

#include "idla/learn_augment.h"
#include "idla/learn_data.h"
#include "learn/augment.h"

#define SIDE 28
#define STREAM DEV_STREAM_AUGMENT

static void
fill_random(size_t n, uint64_t seed, float *values)
{
	for (size_t i = 0; i < n; i++)
		values[i] = (float) dev_random_uniform(seed, 1, i);
}

static bool
same(size_t n, const float *a, const float *b)
{
	return memcmp(a, b, n * sizeof(float)) == 0;
}

static double
farthest(size_t n, const float *a, const float *b)
{
	double		most = 0;

	for (size_t i = 0; i < n; i++)
		most = fmax(most, fabs((double) a[i] - (double) b[i]));
	return most;
}

/* ---- Draws ---- */

#define DRAWS 200000

static void
test_normal(void)
{
	float	   *values = malloc(DRAWS * sizeof(float));
	float		part[37];
	LearnDraw	draw = {5, STREAM, 9};
	double		sum[5] = {0};
	size_t		beyond = 0;

	learn_draw_normal(&draw, 3, DRAWS, 1, values);
	for (size_t i = 0; i < DRAWS; i++)
	{
		double		x = values[i];

		sum[1] += x / DRAWS;
		sum[2] += x * x / DRAWS;
		sum[3] += x * x * x / DRAWS;
		sum[4] += x * x * x * x / DRAWS;
		beyond += fabs(x) > 1.959963985;
	}
	CHECK_NEAR(sum[1], 0, 0.01, "noise has mean 0");
	CHECK_NEAR(sum[2], 1, 0.015, "noise has variance 1");
	CHECK_NEAR(sum[3], 0, 0.04, "noise has no skewness");
	CHECK_NEAR(sum[4], 3, 0.04, "noise has the fourth moment of a normal distribution");
	CHECK_NEAR((double) beyond / DRAWS, 0.05, 0.002, "one in twenty lies beyond 1.96");

	/* The series against the library, through the draws' definition. */
	for (size_t i = 0; i < 2000; i += 4)
	{
		uint32_t	bits[4];

		learn_draw_block(&draw, 3 + i / 4, bits);
		for (size_t j = 0; j < 4; j += 2)
		{
			double		radius = sqrt(-2 * log((double) learn_unit(bits[j])));
			double		angle = 6.283185307179586 * ((double) learn_unit(bits[j + 1]) - 0.5);

			if (fabs(values[i + j] - radius * sin(angle)) > 3e-6 || fabs(values[i + j + 1] - radius * cos(angle)) > 3e-6)
				CHECK(false, "draw %zu is %g, not %g", i + j, (double) values[i + j], radius * sin(angle));
		}
	}
	learn_draw_normal(&draw, 3 + 128 / 4, 37, 1, part);
	CHECK(same(37, part, values + 128), "a part of the draws is the same draws");
	free(values);
}

static double
mean_beta(double alpha, double *square)
{
	double		mean = 0;

	*square = 0;
	for (uint64_t i = 0; i < 20000; i++)
	{
		double		x = learn_beta_draw(alpha, 7, DEV_STREAM_MIX, i, 0);

		if (!(x >= 0 && x <= 1))
			return NAN;
		mean += x / 20000;
		*square += x * x / 20000;
	}
	return mean;
}

static void
test_beta(void)
{
	static const double alphas[] = {0.05, 0.2, 0.5, 1, 2, 8};

	for (size_t i = 0; i < sizeof(alphas) / sizeof(alphas[0]); i++)
	{
		double		square;
		double		mean = mean_beta(alphas[i], &square);

		CHECK_NEAR(mean, 0.5, 0.012, "Beta(%g) has mean one half", alphas[i]);
		CHECK_NEAR(square - mean * mean, 1 / (4 * (2 * alphas[i] + 1)), 0.004, "Beta(%g) has its variance", alphas[i]);
	}
}

/* ---- Options ---- */

static void
test_options(void)
{
	LearnAugmentImage how = {0};
	LearnAugmentTable table = {0};
	int			n = 0;

	for (const LearnAugmentOption *option = learn_augment_options; option->name != NULL; option++, n++)
	{
		if (learn_augment_find(option->kind, option->name) != option)
			CHECK(false, "option \"%s\" is found by name", option->name);
		if (!(option->minimum == 0 && option->usual >= 0 && option->usual <= option->maximum))
			CHECK(false, "option \"%s\" may be off and its usual value is allowed", option->name);
		if (option->description == NULL || option->description[0] == '\0')
			CHECK(false, "option \"%s\" is described", option->name);
	}
	CHECK(n == 27, "there are 27 options");
	CHECK(learn_augment_find(LEARN_AUGMENT_TEXT, "rotate") == NULL, "text is not rotated");
	CHECK(learn_augment_number(learn_augment_find(LEARN_AUGMENT_IMAGE, "rotate")) == 0, "numbers start at 0");
	CHECK(learn_augment_number(learn_augment_find(LEARN_AUGMENT_TEXT, "swap")) == 1, "in each kind");
	learn_augment_image_set(&how, learn_augment_number(learn_augment_find(LEARN_AUGMENT_IMAGE, "erase")), 0.25);
	learn_augment_image_set(&how, learn_augment_number(learn_augment_find(LEARN_AUGMENT_IMAGE, "cutmix")), 0.5);
	learn_augment_image_set(&how, learn_augment_number(learn_augment_find(LEARN_AUGMENT_IMAGE, "scale")), 0.75);
	CHECK(how.erase == 0.25f && how.cutmix == 0.5f && how.scale == 0.75f && how.mixup == 0, "numbers are fields");
	learn_augment_table_set(&table, learn_augment_number(learn_augment_find(LEARN_AUGMENT_TABLE, "mixup")), 0.5);
	CHECK(table.mixup == 0.5f && table.noise == 0, "numbers are fields of tables");
}

/* ---- Geometry ---- */

static void
test_off(size_t channels)
{
	LearnAugmentImage how = {.reflect = true, .low = 0, .high = 0.5f};
	LearnAugmentImage rare = {.flip = 1e-9f, .crop = 1e-9f, .flip_vertical = 1e-9f, .erase = 1e-9f};
	size_t		n = SIDE * 20 * channels;
	float	   *src = malloc(n * sizeof(float));
	float	   *dst = malloc(n * sizeof(float));
	float	   *scratch = malloc(learn_augment_image_scratch(20, SIDE, channels) * sizeof(float));

	fill_random(n, 3, src);
	src[7] = NAN;
	learn_augment_image(&how, 20, SIDE, channels, src, dst, 1, STREAM, 5, scratch);
	CHECK(same(n, src, dst), "%zu channels: all off is the same image, bit for bit", channels);
	learn_augment_image(&rare, 20, SIDE, channels, src, dst, 1, STREAM, 5, scratch);
	CHECK(same(n, src, dst), "%zu channels: what is not drawn changes nothing", channels);
	free(src);
	free(dst);
	free(scratch);
}

static void
test_flips(void)
{
	LearnAugmentImage across = {.flip = 1};
	LearnAugmentImage down = {.flip_vertical = 1};
	float		src[4 * 5 * 2];
	float		once[4 * 5 * 2];
	float		twice[4 * 5 * 2];
	float		scratch[512];
	bool		mirrored = true;

	fill_random(40, 4, src);
	learn_augment_image(&across, 4, 5, 2, src, once, 1, STREAM, 1, scratch);
	learn_augment_image(&across, 4, 5, 2, once, twice, 1, STREAM, 2, scratch);
	for (int y = 0; y < 4; y++)
		for (int x = 0; x < 5; x++)
			for (int c = 0; c < 2; c++)
				mirrored = mirrored && once[(y * 5 + x) * 2 + c] == src[(y * 5 + 4 - x) * 2 + c];
	CHECK(mirrored, "a flip mirrors left to right and keeps channels");
	CHECK(same(40, src, twice), "two flips are none");
	learn_augment_image(&down, 4, 5, 2, src, once, 1, STREAM, 1, scratch);
	learn_augment_image(&down, 4, 5, 2, once, twice, 1, STREAM, 2, scratch);
	CHECK(same(10, once, src + 30) && same(40, src, twice), "a vertical flip turns rows about, twice is none");
}

static void
test_warp(void)
{
	/* dst(x, y) = src(y, 4 - x): a quarter turn */
	static const double turn[6] = {0, 1, 0, -1, 0, 4};
	static const double aside[6] = {1, 0, 0.5, 0, 1, 0};
	static const double far[6] = {1, 0, 1e9, 0, 1, -1e9};
	static const double lost[6] = {NAN, 0, 0, 0, 1, INFINITY};
	static const double left[6] = {1, 0, -2, 0, 1, 0};
	float		src[25];
	float		dst[25];
	float		scratch[64];
	bool		turned = true;
	bool		filled = true;

	fill_random(25, 5, src);
	learn_warp_image(5, 5, 1, turn, false, -1, src, dst, scratch);
	for (int y = 0; y < 5; y++)
		for (int x = 0; x < 5; x++)
			turned = turned && dst[y * 5 + x] == src[(4 - x) * 5 + y];
	CHECK(turned, "a quarter turn moves every pixel");
	learn_warp_image(5, 5, 1, aside, false, 9, src, dst, scratch);
	CHECK_NEAR(dst[0], (src[0] + src[1]) / 2, 1e-6, "half a pixel aside is the mean of two");
	CHECK_NEAR(dst[4], (src[4] + 9) / 2, 1e-6, "at the border half of it is fill");
	learn_warp_image(5, 5, 1, aside, true, 9, src, dst, scratch);
	CHECK_NEAR(dst[4], (src[4] + src[3]) / 2, 1e-6, "or the mirrored neighbour");
	learn_warp_image(5, 5, 1, left, true, 9, src, dst, scratch);
	CHECK(dst[0] == src[2] && dst[1] == src[1] && dst[2] == src[0], "outside is mirrored at the border pixel");
	learn_warp_image(5, 5, 1, far, false, 9, src, dst, scratch);
	for (int i = 0; i < 25; i++)
		filled = filled && dst[i] == 9;
	CHECK(filled, "far outside is fill");
	learn_warp_image(5, 5, 1, far, true, 9, src, dst, scratch);
	learn_warp_image(5, 5, 1, lost, true, 9, src, dst, scratch);
	learn_warp_image(5, 5, 1, lost, false, 9, src, dst, scratch);
	CHECK(isfinite(dst[0]), "a map that is no number stays in the image");
	src[0] = 3;
	learn_warp_image(1, 1, 1, aside, true, 9, src, dst, scratch);
	CHECK(dst[0] == 3, "one pixel mirrors itself");
	CHECK(learn_augment_image_scratch(SIZE_MAX - 1, 4, 1) == 0 && learn_augment_image_scratch(SIZE_MAX / 8, 8, 8) == 0,
		  "sizes beyond memory are refused");
}

/* A disc in the middle: turning leaves it, scaling changes its area, shifting moves its centre. */
typedef struct Moments
{
	double		mass;
	double		x;
	double		y;
	double		xy;
} Moments;

static Moments
moments_of(const float *image)
{
	Moments		m = {0};

	for (int y = 0; y < SIDE; y++)
		for (int x = 0; x < SIDE; x++)
		{
			double		value = image[y * SIDE + x];

			m.mass += value;
			m.x += value * (x - 13.5);
			m.y += value * (y - 13.5);
			m.xy += value * (x - 13.5) * (y - 13.5);
		}
	m.x /= m.mass;
	m.y /= m.mass;
	m.xy /= m.mass;
	return m;
}

static void
draw_disc(float *image)
{
	for (int y = 0; y < SIDE; y++)
		for (int x = 0; x < SIDE; x++)
		{
			double		r = hypot(x - 13.5, y - 13.5);

			image[y * SIDE + x] = (float) fmin(fmax(6.5 - r, 0), 1);
		}
}

static void
test_motions(void)
{
	LearnAugmentImage turning = {.rotate = 180};
	LearnAugmentImage shifting = {.shift = 0.2f};
	LearnAugmentImage scaling = {.scale = 0.5f};
	LearnAugmentImage shearing = {.shear = 30};
	float		src[SIDE * SIDE];
	float		dst[SIDE * SIDE];
	float		scratch[(SIDE + 3) * (SIDE + 3)];
	double		least = INFINITY;
	double		most = 0;
	double		farthest_x = 0;
	double		slant[2] = {0};
	double		turned = 0;
	bool		mass = true;

	draw_disc(src);
	for (uint64_t i = 0; i < 200; i++)
	{
		Moments		m;

		learn_augment_image(&turning, SIDE, SIDE, 1, src, dst, 1, STREAM, i, scratch);
		turned = fmax(turned, farthest(SIDE * SIDE, src, dst));
		learn_augment_image(&shifting, SIDE, SIDE, 1, src, dst, 1, STREAM, i, scratch);
		m = moments_of(dst);
		mass = mass && fabs(m.mass / moments_of(src).mass - 1) < 1e-3;
		farthest_x = fmax(farthest_x, fmax(fabs(m.x), fabs(m.y)));
		learn_augment_image(&scaling, SIDE, SIDE, 1, src, dst, 1, STREAM, i, scratch);
		m = moments_of(dst);
		least = fmin(least, m.mass / moments_of(src).mass);
		most = fmax(most, m.mass / moments_of(src).mass);
		learn_augment_image(&shearing, SIDE, SIDE, 1, src, dst, 1, STREAM, i, scratch);
		m = moments_of(dst);
		slant[0] = fmin(slant[0], m.xy);
		slant[1] = fmax(slant[1], m.xy);
	}
	CHECK(turned > 0.01 && turned < 0.3, "a disc looks the same from all sides, up to %.2f at its edge", turned);
	CHECK(mass, "shifting keeps the disc whole");
	CHECK(farthest_x > 5 && farthest_x <= 5.6 + 1e-3, "and moves it by up to a fifth of 28 pixels: %.2f", farthest_x);
	CHECK(least > 1 / (1.5 * 1.5) * 0.97 && least < 0.5, "scaling shrinks to a half at most in width: %.2f", least);
	CHECK(most < 1.5 * 1.5 * 1.03 && most > 2, "and enlarges by a half: %.2f", most);
	CHECK(slant[0] < -2 && slant[1] > 2, "shearing slants it both ways");
}

static void
test_crop(void)
{
	LearnAugmentImage how = {.crop = 0.125f, .fill = 7};
	float		src[64];
	float		dst[64];
	float		scratch[128];
	bool		seen[3][3] = {{false}};
	int			n = 0;

	for (int i = 0; i < 64; i++)
		src[i] = (float) i;
	for (uint64_t i = 0; i < 200; i++)
	{
		int			dx = 9;
		int			dy = 9;

		learn_augment_image(&how, 8, 8, 1, src, dst, 1, STREAM, i, scratch);
		for (int y = -1; y <= 1; y++)
			for (int x = -1; x <= 1; x++)
				if (dst[3 * 8 + 3] == src[(3 + y) * 8 + 3 + x])
					dx = x, dy = y;
		if (dx == 9)
			CHECK(false, "crop %d moves by at most one pixel", (int) i);
		else
			seen[dy + 1][dx + 1] = true;
		if (dx == 1 && dst[7] != 7)
			CHECK(false, "what lies outside is fill");
	}
	for (int i = 0; i < 9; i++)
		n += seen[i / 3][i % 3];
	CHECK(n == 9, "crops go everywhere within the padding");
}

/* ---- Values ---- */

static void
test_values(void)
{
	LearnAugmentImage light = {.brightness = 0.2f};
	LearnAugmentImage contrast = {.contrast = 1};
	LearnAugmentImage noise = {.noise = 0.1f, .low = 0, .high = 255};
	LearnAugmentImage all = {.noise = 0.5f, .brightness = 0.5f, .contrast = 1, .low = 0, .high = 1};
	float		src[SIDE * SIDE];
	float		dst[SIDE * SIDE];
	double		least = INFINITY;
	double		most = -INFINITY;
	double		sum = 0;
	double		factors[2] = {INFINITY, 0};
	bool		inside = true;

	fill_random(SIDE * SIDE, 6, src);
	for (uint64_t i = 0; i < 200; i++)
	{
		learn_augment_image(&light, SIDE, SIDE, 1, src, dst, 1, STREAM, i, NULL);
		least = fmin(least, dst[0] - src[0]);
		most = fmax(most, dst[0] - src[0]);
		learn_augment_image(&contrast, SIDE, SIDE, 1, src, dst, 1, STREAM, i, NULL);
		factors[0] = fmin(factors[0], (double) (dst[0] - dst[1]) / (double) (src[0] - src[1]));
		factors[1] = fmax(factors[1], (double) (dst[0] - dst[1]) / (double) (src[0] - src[1]));
		for (int k = 0; k < SIDE * SIDE; k++)
			sum += (double) dst[k] - (double) src[k];
		learn_augment_image(&all, SIDE, SIDE, 1, src, dst, 1, STREAM, i, NULL);
		for (int k = 0; k < SIDE * SIDE; k++)
			inside = inside && dst[k] >= 0 && dst[k] <= 1;
	}
	CHECK(least >= -0.2001 && least < -0.18 && most <= 0.2001 && most > 0.18, "brightness goes both ways");
	CHECK(factors[0] >= 0.499 && factors[0] < 0.55 && factors[1] <= 2.001 && factors[1] > 1.9,
		  "contrast between a half and twice");
	CHECK_NEAR(sum / 200, 0, 0.02, "contrast keeps the mean");
	CHECK(inside, "values are cut to their range");

	for (int i = 0; i < SIDE * SIDE; i++)
		src[i] = 128;
	learn_augment_image(&noise, SIDE, SIDE, 1, src, dst, 1, STREAM, 1, NULL);
	sum = 0;
	for (int i = 0; i < SIDE * SIDE; i++)
		sum += pow((double) dst[i] - 128, 2) / (SIDE * SIDE);
	CHECK_NEAR(sqrt(sum), 25.5, 0.1, "noise is a share of the range");
}

static void
test_erase(void)
{
	LearnAugmentImage how = {.erase = 0.5f, .fill = -1};
	float		src[SIDE * SIDE * 3];
	float		dst[SIDE * SIDE * 3];
	int			erased = 0;
	double		areas = 0;

	fill_random(SIDE * SIDE * 3, 8, src);
	for (uint64_t i = 0; i < 1000; i++)
	{
		int			n = 0;

		learn_augment_image(&how, SIDE, SIDE, 3, src, dst, 1, STREAM, i, NULL);
		for (int k = 0; k < SIDE * SIDE * 3; k++)
			if (dst[k] == -1)
				n++;
			else if (dst[k] != src[k])
				CHECK(false, "what is not erased stays");
		erased += n > 0;
		areas += n / (SIDE * SIDE * 3.0);
		if (n % 3 != 0 || n > 0.36 * SIDE * SIDE * 3)
			CHECK(false, "whole pixels are erased, a third at most: %d", n);
	}
	CHECK(erased > 440 && erased < 550, "every second image has a rectangle erased: %d", erased);
	CHECK_NEAR(areas / erased, 0.17, 0.03, "of the area that was asked for");
}

static void
test_determinism(void)
{
	LearnAugmentImage how = {
		.rotate = 15, .shift = 0.1f, .scale = 0.2f, .shear = 5, .crop = 0.1f, .flip = 0.5f, .flip_vertical = 0.5f,
		.brightness = 0.2f, .contrast = 0.2f, .noise = 0.05f, .erase = 0.5f, .reflect = true, .low = 0, .high = 1
	};
	size_t		n = SIDE * SIDE * 3;
	float		src[SIDE * SIDE * 3];
	float		a[SIDE * SIDE * 3];
	float		b[SIDE * SIDE * 3];
	float		scratch[(SIDE + 3) * (SIDE + 3) * 3];

	fill_random(n, 9, src);
	learn_augment_image(&how, SIDE, SIDE, 3, src, a, 1, STREAM, learn_augment_counter(3, 17), scratch);
	memset(scratch, 0x55, sizeof(scratch));
	learn_augment_image(&how, SIDE, SIDE, 3, src, b, 1, STREAM, learn_augment_counter(3, 17), scratch);
	CHECK(same(n, a, b), "the same counter gives the same image, whatever the scratch held");
	learn_augment_image(&how, SIDE, SIDE, 3, src, b, 1, STREAM, learn_augment_counter(4, 17), scratch);
	CHECK(!same(n, a, b), "another epoch gives another");
	learn_augment_image(&how, SIDE, SIDE, 3, src, b, 2, STREAM, learn_augment_counter(3, 17), scratch);
	CHECK(!same(n, a, b), "another seed gives another");
	learn_augment_image(&how, SIDE, SIDE, 3, src, b, 1, STREAM + 1, learn_augment_counter(3, 17), scratch);
	CHECK(!same(n, a, b), "another stream gives another");
}

/* ---- Mixes ---- */

#define BATCH 12

/* Every row of a batch of 6 x 8 images in two channels, as workers mix them one by one. */
static void
mix_batch(const LearnAugmentImage *how, const float *src, float *dst, uint64_t counter, LearnMix *mixes)
{
	size_t		size = 6 * 8 * 2;

	for (size_t row = 0; row < BATCH; row++)
	{
		learn_mix_draw(how, 6, 8, BATCH, row, 1, DEV_STREAM_MIX, counter, &mixes[row]);
		learn_mix_images(&mixes[row], 6, 8, 2, src + row * size, src + mixes[row].partner * size, dst + row * size);
	}
}

static void
test_mix(void)
{
	LearnAugmentImage off = {0};
	LearnAugmentImage mixup = {.mixup = 1};
	LearnAugmentImage cutmix = {.cutmix = 1};
	LearnAugmentImage both = {.mixup = 0.5f, .cutmix = 0.5f};
	size_t		size = 6 * 8 * 2;
	float		src[BATCH * 6 * 8 * 2];
	float		dst[BATCH * 6 * 8 * 2];
	LearnMix	mixes[BATCH];
	LearnMix	alone;
	bool		right = true;
	int			cuts = 0;
	double		lambda = 0;

	fill_random(BATCH * size, 10, src);
	mix_batch(&off, src, dst, 3, mixes);
	CHECK(same(BATCH * size, src, dst) && mixes[5].partner == 5 && mixes[5].lambda == 1, "off mixes nothing");
	learn_mix_draw(&mixup, 6, 8, 1, 0, 1, DEV_STREAM_MIX, 3, &alone);
	CHECK(alone.partner == 0 && alone.lambda == 1, "a row alone stays alone");
	mix_batch(&mixup, src, dst, 3, mixes);
	for (size_t row = 0; row < BATCH; row++)
	{
		const LearnMix *mix = &mixes[row];
		double		value = mix->lambda * (double) src[row * size + 11] + (1 - mix->lambda) * (double) src[mix->partner * size + 11];

		right = right && mix->row == row && mix->partner != row && fabs((double) dst[row * size + 11] - value) < 1e-6;
		right = right && (mix->partner + BATCH - row) % BATCH == (mixes[0].partner + BATCH) % BATCH;
		learn_mix_draw(&mixup, 6, 8, BATCH, row, 1, DEV_STREAM_MIX, 3, &alone);
		right = right && memcmp(&alone, mix, sizeof(alone)) == 0;
	}
	CHECK(right, "MixUp blends each row with its partner, and any worker can say how");
	right = true;
	for (uint64_t step = 0; step < 100; step++)
	{
		mix_batch(&cutmix, src, dst, step, mixes);
		for (size_t row = 0; row < BATCH; row++)
		{
			const LearnMix *mix = &mixes[row];
			size_t		own = 0;

			for (size_t i = row * size; i < (row + 1) * size; i++)
			{
				own += dst[i] == src[i];
				right = right && (dst[i] == src[i] || dst[i] == src[mix->partner * size + i - row * size]);
			}
			right = right && mix->cut && fabs((double) own / (double) size - (double) mix->lambda) < 1e-6;
			lambda += mix->lambda / (100.0 * BATCH);
		}
		mix_batch(&both, src, dst, step, mixes);
		for (size_t row = 0; row < BATCH; row++)
			cuts += mixes[row].cut;
	}
	CHECK(right, "CutMix takes a rectangle from the partner, and lambda is the share that is left");
	CHECK(lambda > 0.5 && lambda < 0.75, "which is uniform but for boxes cut at the border: %.2f", lambda);
	CHECK(cuts > 50 * BATCH - 120 && cuts < 50 * BATCH + 120, "with both, every second row is cut");
}

/* ---- Tables ---- */

#define ROWS 4000

static LearnChannel table_channels[4] = {
	{.name = (char *) "a", .kind = LEARN_NUMBER, .scaling = LEARN_STANDARD, .fill = 5, .center = 3, .scale = 2, .number_input = 0,
	.indicator_input = NN_NONE, .code_input = NN_NONE},
	{.name = (char *) "b", .kind = LEARN_NUMBER, .scaling = LEARN_STANDARD, .fill = 1, .center = 0, .scale = 1, .indicator = true,
	.number_input = 1, .indicator_input = 2, .code_input = NN_NONE},
	{.name = (char *) "unused", .kind = LEARN_NUMBER, .use = LEARN_USE_CONSTANT, .number_input = NN_NONE, .indicator_input = NN_NONE,
	.code_input = NN_NONE},
	{.name = (char *) "c", .kind = LEARN_CATEGORY, .n_categories = 4, .has_missing = true, .number_input = NN_NONE,
	.indicator_input = NN_NONE, .code_input = 0}
};

typedef struct Table
{
	float		numbers[ROWS * 3];
	int32_t		codes[ROWS];
	int32_t		classes[ROWS];
} Table;

static void
fill_table(Table *table)
{
	for (size_t row = 0; row < ROWS; row++)
	{
		table->numbers[row * 3] = (float) dev_random_normal(12, 1, row);
		table->numbers[row * 3 + 1] = row % 5 == 0 ? 1 : (float) dev_random_normal(12, 2, row);
		table->numbers[row * 3 + 2] = row % 5 == 0;
		table->codes[row] = (int32_t) (row % 4);
		table->classes[row] = (int32_t) (row % 3);
	}
}

static void
test_table(void)
{
	DevSession *session;
	LearnTableLayout layout;
	Table	   *before = malloc(sizeof(Table));
	Table	   *after = malloc(sizeof(Table));
	float	   *scratch = malloc(ROWS * 4 * sizeof(float));
	LearnAugmentTable off = {0};
	LearnAugmentTable noise = {.noise = 0.5f};
	LearnAugmentTable dropout = {.dropout = 0.25f};
	LearnAugmentTable mixup = {.mixup = 1};
	double		square = 0;
	size_t		dropped[3] = {0};
	size_t		codes = 0;
	bool		right = true;

	CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
	CHECK_STATUS(session, learn_table_layout(session, table_channels, 4, 3, 1, &layout), DEV_OK, "a layout");
	CHECK(layout.n_inputs == 3 && layout.missing_numbers[0] == 4 && layout.missing_numbers[2] == 1 &&
		  layout.missing_codes[0] == 4, "it knows what missing looks like");
	CHECK_STATUS(session, learn_table_layout(session, table_channels, 4, 2, 1, &(LearnTableLayout) {0}), DEV_CORRUPT,
				 "inputs that are not there are refused");
	fill_table(before);
	*after = *before;
	learn_augment_rows(&off, &layout, ROWS, after->classes, after->numbers, after->codes, 1, STREAM, 0, scratch);
	CHECK(memcmp(before, after, sizeof(Table)) == 0, "off changes nothing");
	learn_augment_rows(&noise, &layout, ROWS, after->classes, after->numbers, after->codes, 1, STREAM, 0, scratch);
	for (size_t row = 0; row < ROWS; row++)
	{
		square += pow((double) after->numbers[row * 3] - (double) before->numbers[row * 3], 2) / ROWS;
		right = right && after->numbers[row * 3 + 2] == before->numbers[row * 3 + 2] && after->codes[row] == before->codes[row];
		if (row % 5 == 0)
			right = right && after->numbers[row * 3 + 1] == before->numbers[row * 3 + 1];
	}
	CHECK_NEAR(sqrt(square), 0.5, 0.02, "noise has its deviation");
	CHECK(right, "indicators, codes and missing values have none");

	*after = *before;
	learn_augment_rows(&dropout, &layout, ROWS, NULL, after->numbers, after->codes, 1, STREAM, 0, NULL);
	for (size_t row = 0; row < ROWS; row++)
	{
		dropped[0] += after->numbers[row * 3] == 4;
		dropped[1] += after->numbers[row * 3 + 2] == 1;
		dropped[2] += after->codes[row] == 4;
		right = right && (after->numbers[row * 3 + 2] == 0 || after->numbers[row * 3 + 1] == 1);
	}
	CHECK(right, "a dropped number has its indicator set");
	CHECK_NEAR((double) dropped[0] / ROWS, 0.25, 0.03, "a quarter is dropped");
	CHECK_NEAR((double) dropped[1] / ROWS, 0.4, 0.03, "of numbers with an indicator too");
	CHECK_NEAR((double) dropped[2] / ROWS, 0.25, 0.03, "and of codes");

	*after = *before;
	learn_augment_rows(&mixup, &layout, ROWS, after->classes, after->numbers, after->codes, 1, STREAM, 0, scratch);
	for (size_t row = 0; row < ROWS; row++)
	{
		codes += after->codes[row] != before->codes[row];
		right = right && (after->numbers[row * 3 + 2] == 0 || after->numbers[row * 3 + 2] == 1);
		right = right && (after->numbers[row * 3 + 2] == 0 || after->numbers[row * 3 + 1] == 1);
	}
	CHECK(right, "a missing value is not blended");
	CHECK(codes > ROWS * 0.3 && codes < ROWS * 0.45, "codes come from either row");
	/* The last rows of a class of their own have nobody to mix with; a half mixes as the whole only for its own rows. */
	*after = *before;
	for (size_t row = 0; row < ROWS; row++)
		after->classes[row] = (int32_t) row;
	learn_augment_rows(&mixup, &layout, 50, after->classes, after->numbers, after->codes, 1, STREAM, 0, scratch);
	CHECK(same(ROWS * 3, before->numbers, after->numbers), "rows of different classes are not mixed");

	/* Noise and dropout do not depend on how rows are shared. */
	*after = *before;
	noise.dropout = 0.25f;
	learn_augment_rows(&noise, &layout, 100, NULL, after->numbers, after->codes, 1, STREAM, 40, NULL);
	learn_augment_rows(&noise, &layout, 33, NULL, before->numbers, before->codes, 1, STREAM, 40, NULL);
	learn_augment_rows(&noise, &layout, 67, NULL, before->numbers + 99, before->codes + 33, 1, STREAM, 73, NULL);
	CHECK(same(300, before->numbers, after->numbers) && memcmp(before->codes, after->codes, 400) == 0,
		  "the way rows are shared changes nothing");
	dev_session_close(session);
	free(before);
	free(after);
	free(scratch);
}

int
main(void)
{
	test_normal();
	test_beta();
	test_options();
	test_off(1);
	test_off(3);
	test_flips();
	test_warp();
	test_motions();
	test_crop();
	test_values();
	test_erase();
	test_determinism();
	test_mix();
	test_table();
	return check_done();
}

/*
 * test_resize.c: sizes, crops and channels of images against their definitions, computed here pixel by pixel in
 * double precision, and heat as colour.
 */
#include "check_image.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum
{
	MOST = 64					/* pixels a side */
};

static float
noise(size_t i)
{
	return (float) dev_random_uniform(3, 4, i);
}

/* ---- The definition ---- */

/* How much of source pixel i, of those from `first` to `last`, is in pixel `to` of n that stand for [from, end]. */
static double
weight(double from, double end, size_t n, size_t first, size_t last, size_t to, size_t i)
{
	double		step = (end - from) / (double) n;
	double		low = from + (double) to * step;
	double		place = low + 0.5 * step - 0.5;
	double		below = floor(place);
	double		sum = 0;

	if (step > 1)
	{
		double		overlap = fmin(low + step, (double) i + 1) - fmax(low, (double) i);

		return overlap > 0 ? overlap / step : 0;
	}
	if (fmin(fmax(below, (double) first), (double) last) == (double) i)
		sum += 1 - (place - below);
	if (fmin(fmax(below + 1, (double) first), (double) last) == (double) i)
		sum += place - below;
	return sum;
}

typedef struct Box
{
	double		top;
	double		bottom;
	double		left;
	double		right;
} Box;

static double
expected_value(const float *src, size_t height, size_t width, size_t channels, Box box, size_t n_rows, size_t n_columns,
			   size_t y, size_t x, size_t channel)
{
	double		sum = 0;
	size_t		last_row = (size_t) ceil(box.bottom) - 1;
	size_t		last_column = (size_t) ceil(box.right) - 1;

	for (size_t i = 0; i < height; i++)
	{
		double		down = weight(box.top, box.bottom, n_rows, (size_t) box.top, last_row, y, i);

		for (size_t j = 0; down != 0 && j < width; j++)
			sum += down * weight(box.left, box.right, n_columns, (size_t) box.left, last_column, x, j) * src[(i * width + j) * channels + channel];
	}
	return sum;
}

static void
fill_noise(float *src, size_t n)
{
	for (size_t i = 0; i < n; i++)
		src[i] = noise(i);
}

static void
check_size(size_t height, size_t width, int channels, LearnImageWish wish, Box box)
{
	static float src[MOST * MOST * 5];
	static float dst[4 * MOST * MOST * 5];
	size_t		n_channels = (size_t) channels;
	LearnFrame	frame;
	LearnTrouble trouble;
	double		worst = 0;

	fill_noise(src, height * width * n_channels);
	CHECK_OR_STOP(learn_frame(height, width, channels, &wish, &frame, &trouble) && frame.dst_channels == channels &&
				  learn_image_resize(src, height, width, channels, &wish, dst, LENGTH(dst), &trouble),
				  "%zu x %zu is resized %s", height, width, trouble.message);
	for (size_t y = 0; y < frame.dst_height; y++)
		for (size_t x = 0; x < frame.dst_width; x++)
			for (size_t channel = 0; channel < n_channels; channel++)
				worst = fmax(worst, fabs(dst[(y * frame.dst_width + x) * n_channels + channel] -
										 expected_value(src, height, width, n_channels, box, frame.dst_height, frame.dst_width, y, x, channel)));
	CHECK(worst < 2e-6, "%zu x %zu x %d to %zu x %zu is as defined (%g)", height, width, channels, frame.dst_height, frame.dst_width, worst);
}

static void
check_sizes(void)
{
	const size_t sizes[][2] = {{37, 53}, {28, 28}, {64, 64}, {1, 1}, {13, 64}, {64, 7}, {36, 52}, {1, 60}};

	for (size_t i = 0; i < LENGTH(sizes); i++)
		check_size(37, 53, 1 + (int) i % 3 * 2, (LearnImageWish) {.height = sizes[i][0], .width = sizes[i][1]}, (Box) {0, 37, 0, 53});
	check_size(1, 1, 3, (LearnImageWish) {.height = 5, .width = 5}, (Box) {0, 1, 0, 1});
	check_size(37, 53, 1, (LearnImageWish) {.width = 10}, (Box) {0, 37, 0, 53});
	check_size(37, 53, 1, (LearnImageWish) {.crop_height = 20, .crop_width = 30}, (Box) {8, 28, 11, 41});
	check_size(37, 53, 3, (LearnImageWish) {.crop_width = 30, .height = 9, .width = 60}, (Box) {0, 37, 11, 41});
	check_size(37, 53, 3, (LearnImageWish) {.height = 20, .width = 20, .fitting = LEARN_FIT_CROP}, (Box) {0, 37, 8, 45});
	check_size(37, 53, 3, (LearnImageWish) {.height = 60, .width = 64, .fitting = LEARN_FIT_CROP},
			   (Box) {0, 37, 26.5 - 18.5 * 64 / 60, 26.5 + 18.5 * 64 / 60});
	check_size(53, 37, 1, (LearnImageWish) {.height = 10, .width = 20, .fitting = LEARN_FIT_CROP, .crop_height = 51},
			   (Box) {26.5 - 9.25, 26.5 + 9.25, 0, 37});
	/* A large source, whose places are rounded. */
	check_size(64, 64, 1, (LearnImageWish) {.height = 63, .width = 61}, (Box) {0, 64, 0, 64});
}

/* ---- Properties ---- */

static void
check_padding(void)
{
	static float src[30 * 60];
	static float inner[10 * 20];
	float		dst[20 * 20];
	LearnTrouble trouble;
	bool		zero = true;
	bool		same = true;

	fill_noise(src, LENGTH(src));
	CHECK_OR_STOP(learn_image_resize(src, 30, 60, 1, &(LearnImageWish) {.height = 20, .width = 20, .fitting = LEARN_FIT_PAD}, dst,
									 LENGTH(dst), &trouble) &&
				  learn_image_resize(src, 30, 60, 1, &(LearnImageWish) {.height = 10, .width = 20}, inner, LENGTH(inner), &trouble),
				  "an image is padded");
	for (size_t y = 0; y < 20; y++)
		for (size_t x = 0; x < 20; x++)
		{
			float		value = dst[y * 20 + x];

			if (y < 5 || y >= 15)
				zero = zero && value == 0;
			else
				same = same && value == inner[(y - 5) * 20 + x];
		}
	CHECK(zero && same, "between zeros, in the middle");
	CHECK(learn_image_resize(src, 1800, 1, 1, &(LearnImageWish) {.height = 20, .width = 20, .fitting = LEARN_FIT_PAD}, dst,
							 LENGTH(dst), &trouble) && dst[9] > 0 && dst[8] == 0 && dst[10] == 0, "a strip keeps at least one pixel");
}

static void
check_exact(void)
{
	static float src[MOST * MOST * 3];
	static float dst[MOST * MOST * 3];
	LearnTrouble trouble;
	bool		good = true;

	fill_noise(src, LENGTH(src));
	src[5] = NAN;
	src[7] = -1e30f;
	CHECK(learn_image_resize(src, MOST, MOST, 3, &(LearnImageWish) {0}, dst, LENGTH(dst), &trouble) &&
		  memcmp(src, dst, sizeof(src)) == 0, "an image that keeps its size keeps its bits");
	CHECK(learn_image_resize(src, MOST, MOST, 3, &(LearnImageWish) {.height = 32, .width = 32}, dst, LENGTH(dst), &trouble),
		  "one with a NaN is halved");
	for (size_t i = 0; i < 32 * 32 * 3; i++)
		good = good && isnan(dst[i]) == (i == 2);
	CHECK(good, "the NaN is in its own pixel and in no other");
	for (size_t i = 0; i < LENGTH(src); i++)
		src[i] = 1;
	good = true;
	for (size_t side = 1; side < MOST; side++)
	{
		good = good && learn_image_resize(src, MOST, MOST, 3, &(LearnImageWish) {.height = side, .width = MOST - side}, dst, LENGTH(dst), &trouble);
		for (size_t i = 0; i < side * (MOST - side) * 3; i++)
			good = good && fabsf(dst[i] - 1) < 1e-6f;
	}
	CHECK(good, "white stays white");
}

static void
check_channels(void)
{
	static float src[40 * 40 * 3];
	static float dst[40 * 40 * 3];
	static float grey[40 * 40];
	LearnTrouble trouble;
	double		worst = 0;
	bool		same = true;

	fill_noise(src, LENGTH(src));
	CHECK_OR_STOP(learn_image_resize(src, 40, 40, 3, &(LearnImageWish) {.channels = 1}, grey, LENGTH(grey), &trouble), "colour becomes grey");
	for (size_t i = 0; i < LENGTH(grey); i++)
		worst = fmax(worst, fabs(grey[i] - (0.299 * src[3 * i] + 0.587 * src[3 * i + 1] + 0.114 * src[3 * i + 2])));
	CHECK(worst < 1e-6, "by the luma of BT.601");
	CHECK_OR_STOP(learn_image_resize(grey, 40, 40, 1, &(LearnImageWish) {.channels = 3, .height = 13, .width = 50}, dst, LENGTH(dst), &trouble) &&
				  learn_image_resize(grey, 40, 40, 1, &(LearnImageWish) {.height = 13, .width = 50}, src, LENGTH(src), &trouble),
				  "grey becomes colour");
	for (size_t i = 0; i < 13 * 50; i++)
		same = same && dst[3 * i] == src[i] && dst[3 * i + 1] == src[i] && dst[3 * i + 2] == src[i];
	CHECK(same, "three times over");
}

static void
check_requests(void)
{
	float		src[12] = {0};
	float		dst[12];
	LearnTrouble trouble;
	const struct
	{
		size_t		height;
		size_t		width;
		int			channels;
		LearnImageWish wish;
		DevStatus	status;
		const char *message;
	}			cases[] = {
		{2, 3, 2, {.channels = 3}, DEV_INVALID, "image of 2 channels cannot be turned into one of 3"},
		{2, 3, 1, {.channels = 2}, DEV_INVALID, "image of 1 channels cannot be turned into one of 2"},
		{2, 3, 0, {0}, DEV_INVALID, "image has 0 channels, and there may be 1 to 4096"},
		{0, 3, 1, {0}, DEV_BAD_DATA, "image of 3 x 0 pixels is empty"},
		{2, 3, 1, {.crop_height = 3}, DEV_BAD_DATA, "image of 3 x 2 pixels is smaller than the part to be cut out of it"},
		{2, 3, 1, {.crop_width = 4}, DEV_BAD_DATA, "image of 3 x 2 pixels is smaller than the part to be cut out of it"},
		{2, 3, 1, {.height = 5, .width = 3}, DEV_INVALID, "image needs room for 15 values, and there is room for 12"},
		{2, 3, 1, {.height = SIZE_MAX / 2, .width = 4}, DEV_INVALID, "an image of 4 x 9223372036854775807 pixels of 1 channels is too large to be made"},
		{2, 3, 1, {.max_pixels = 5}, DEV_BAD_DATA, "image of 3 x 2 pixels (width x height) is too large"},
	};

	for (size_t i = 0; i < LENGTH(cases); i++)
	{
		bool		done = learn_image_resize(src, cases[i].height, cases[i].width, cases[i].channels, &cases[i].wish, dst, LENGTH(dst), &trouble);

		if (!CHECK(!done && trouble.status == cases[i].status && strcmp(trouble.message, cases[i].message) == 0, "refused: %s", cases[i].message))
			printf("#   %d, \"%s\"\n", (int) trouble.status, trouble.message);
	}
}

/* Through a file the same happens as to its pixels. */
static void
check_file(void)
{
	static uint16_t samples[33 * 47 * 3];
	static float pixels[33 * 47 * 3];
	static float expected[20 * 20 * 3];
	const LearnImageWish wishes[] = {
		{.height = 20, .width = 20},
		{.height = 20, .width = 20, .channels = 1, .fitting = LEARN_FIT_PAD},
		{.height = 9, .width = 20, .channels = 3, .fitting = LEARN_FIT_CROP, .crop_height = 30},
	};
	Made		made;

	for (size_t i = 0; i < LENGTH(samples); i++)
	{
		samples[i] = (uint16_t) (noise(i) * 255.0f);
		pixels[i] = (float) samples[i] / 255.0f;
	}
	for (int interlaced = 0; interlaced < 2; interlaced++)
	{
		made = make_png(&(MadePng) {.width = 47, .height = 33, .depth = 8, .kind = PNG_COLOR_TYPE_RGB, .interlaced = interlaced == 1}, samples);
		for (size_t i = 0; i < LENGTH(wishes); i++)
		{
			Seen		seen = see(&made, &wishes[i]);
			bool		same = seen.good &&
				learn_image_resize(pixels, 33, 47, 3, &wishes[i], expected, LENGTH(expected), &seen.trouble);

			for (size_t k = 0; same && k < seen.height * seen.width * (size_t) seen.channels; k++)
				same = seen.pixels[k] == fminf(expected[k], 1);
			CHECK(same, "a file's pixels are cut and resized alike, wish %zu%s", i, interlaced ? ", interlaced" : "");
			seen_free(&seen);
		}
		made_free(&made);
	}
}

/* ---- Heat ---- */

static double
linear_of(double value)
{
	return value <= 0.04045 ? value / 12.92 : pow((value + 0.055) / 1.055, 2.4);
}

static double
root_of(double value)
{
	return value > 216.0 / 24389 ? cbrt(value) : (24389.0 / 27 * value + 16) / 116;
}

static void
lab_of(const float rgb[3], double lab[3])
{
	double		r = linear_of(rgb[0]);
	double		g = linear_of(rgb[1]);
	double		b = linear_of(rgb[2]);
	double		x = root_of((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047);
	double		y = root_of(0.2126729 * r + 0.7151522 * g + 0.0721750 * b);
	double		z = root_of((0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883);

	lab[0] = 116 * y - 16;
	lab[1] = 500 * (x - y);
	lab[2] = 200 * (y - z);
}

/* Steps of equal heat are equally far from one another, and none is out of what a screen can show. */
static void
check_colours(void)
{
	double		smallest = INFINITY;
	double		largest = 0;
	double		lab[3];
	double		before[3] = {0};
	float		rgb[3];
	float		other[3];

	for (int step = -50; step <= 50; step++)
	{
		double		distance;

		learn_heat_colour(step / 50.0, rgb);
		lab_of(rgb, lab);
		distance = sqrt((lab[0] - before[0]) * (lab[0] - before[0]) + (lab[1] - before[1]) * (lab[1] - before[1]) +
						(lab[2] - before[2]) * (lab[2] - before[2]));
		if (step > -50)
		{
			smallest = fmin(smallest, distance);
			largest = fmax(largest, distance);
		}
		memcpy(before, lab, sizeof(lab));
	}
	CHECK(largest < 1.02 * smallest, "equal steps of heat are equal steps of colour (%g to %g)", smallest, largest);
	learn_heat_colour(1, rgb);
	CHECK(rgb[0] > 0.7f && rgb[1] < 0.3f && rgb[2] < 0.3f, "hot is red: %g %g %g", rgb[0], rgb[1], rgb[2]);
	learn_heat_colour(7, other);
	CHECK(memcmp(rgb, other, sizeof(rgb)) == 0, "and no hotter than that");
	lab_of(rgb, before);
	learn_heat_colour(-1, rgb);
	CHECK(rgb[2] > 0.7f && rgb[0] < 0.3f, "cold is blue: %g %g %g", rgb[0], rgb[1], rgb[2]);
	lab_of(rgb, lab);
	CHECK_NEAR(lab[0], before[0], 0.01, "and equally light");
	learn_heat_colour(NAN, rgb);
	learn_heat_colour(0, other);
	CHECK(memcmp(rgb, other, sizeof(rgb)) == 0 && fabsf(rgb[0] - rgb[1]) < 0.01f && rgb[0] > 0.8f, "no heat is light grey");
}

static void
check_overlay(void)
{
	float		pixels[4 * 4 * 3];
	float		rgb[4 * 4 * 3];
	float		colour[3];
	float		heat[4] = {0, 1, -1, NAN};
	LearnTrouble trouble;
	bool		good = true;

	for (size_t i = 0; i < LENGTH(pixels); i++)
		pixels[i] = 0.25f;
	for (int channels = 1; channels <= 3; channels += 2)
	{
		CHECK_OR_STOP(learn_heat_overlay(pixels, 4, 4, channels, heat, 1, 3, 0.5f, rgb, &trouble), "heat is laid over %d channels", channels);
		CHECK(fabsf(rgb[0] - 0.25f) < 1e-6f && fabsf(rgb[1] - 0.25f) < 1e-6f, "no heat leaves the image");
		learn_heat_colour(-1, colour);
		for (size_t channel = 0; channel < 3; channel++)
			good = good && fabsf(rgb[3 * 3 + channel] - 0.5f * (0.25f + colour[channel])) < 1e-6f;
		CHECK(good, "the most of it is mixed by the strength");
	}
	CHECK(learn_heat_overlay(pixels, 4, 4, 1, heat + 3, 1, 1, 1, rgb, &trouble) && rgb[5] == 0.25f, "unknown heat is none");
	CHECK(!learn_heat_overlay(pixels, 4, 4, 2, heat, 2, 2, 1, rgb, &trouble) && trouble.status == DEV_INVALID, "two channels are refused");
	CHECK(!learn_heat_overlay(pixels, 4, 4, 1, heat, 2, 2, 1.5f, rgb, &trouble) && trouble.status == DEV_INVALID, "so is a strength above 1");
	CHECK(!learn_heat_overlay(pixels, 4, 4, 1, heat, 2, 2, NAN, rgb, &trouble) && trouble.status == DEV_INVALID, "or one that is none");
	CHECK(!learn_heat_overlay(pixels, 4, 4, 1, heat, 0, 2, 1, rgb, &trouble) && trouble.status == DEV_BAD_DATA, "and heat without rows");
}

int
main(void)
{
	check_sizes();
	check_padding();
	check_exact();
	check_channels();
	check_requests();
	check_file();
	check_colours();
	check_overlay();
	return check_done();
}

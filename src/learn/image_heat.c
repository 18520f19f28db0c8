/*
 * image_heat.c: heat as colour, and over an image.
 *
 * The colours are computed in CIELAB (CIE 1976, D65) and turned into sRGB (IEC 61966-2-1), so that the map needs no table.
 */
#include "image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Lab
{
	double		lightness;
	double		a;
	double		b;
} Lab;

/* No heat, and the most of either sign: the ends are equally light, and equally far from the middle. */
static const Lab middle = {88.0, 0.0, 0.0};
static const Lab hottest = {48.0, 63.04, 49.25};
static const Lab coldest = {48.0, 28.67, -74.69};

static double
cube_of(double value)
{
	return value > 6.0 / 29.0 ? value * value * value : 3.0 * (6.0 / 29.0) * (6.0 / 29.0) * (value - 4.0 / 29.0);
}

static double
gamma_of(double linear)
{
	if (linear <= 0.0031308)
		return linear <= 0.0 ? 0.0 : 12.92 * linear;
	return linear >= 1.0 ? 1.0 : 1.055 * pow(linear, 1.0 / 2.4) - 0.055;
}

static void
to_srgb(Lab lab, float rgb[3])
{
	double		y = (lab.lightness + 16.0) / 116.0;
	double		xyz[3] = {0.95047 * cube_of(y + lab.a / 500.0), cube_of(y), 1.08883 * cube_of(y - lab.b / 200.0)};

	rgb[0] = (float) gamma_of(3.2404542 * xyz[0] - 1.5371385 * xyz[1] - 0.4985314 * xyz[2]);
	rgb[1] = (float) gamma_of(-0.9692660 * xyz[0] + 1.8760108 * xyz[1] + 0.0415560 * xyz[2]);
	rgb[2] = (float) gamma_of(0.0556434 * xyz[0] - 0.2040259 * xyz[1] + 1.0572252 * xyz[2]);
}

/* In [-1, 1]; NaN becomes 0. */
static double
clip_heat(double heat)
{
	return heat > -1.0 ? (heat < 1.0 ? heat : 1.0) : heat <= -1.0 ? -1.0 : 0.0;
}

void
learn_heat_colour(double heat, float rgb[3])
{
	double		clipped = clip_heat(heat);
	double		share = fabs(clipped);
	Lab			end = clipped < 0.0 ? coldest : hottest;
	Lab			lab = {middle.lightness + share * (end.lightness - middle.lightness),
	middle.a + share * (end.a - middle.a), middle.b + share * (end.b - middle.b)};

	to_srgb(lab, rgb);
}

/* Enough steps that 8-bit colours do not show them. */
#define STEPS 512

static void
mix_pixels(const float *pixels, size_t n, int channels, const float *heat, float strength, float *rgb)
{
	float		map[2 * STEPS + 1][3];

	for (int step = 0; step <= 2 * STEPS; step++)
		learn_heat_colour((double) (step - STEPS) / STEPS, map[step]);
	for (size_t i = 0; i < n; i++)
	{
		const float *pixel = pixels + i * (size_t) channels;
		float		grey = learn_clip(channels == 1 ? pixel[0] : learn_luma(pixel[0], pixel[1], pixel[2]));
		double		clipped = clip_heat(heat[i]);
		const float *colour = map[(size_t) (STEPS * clipped + STEPS + 0.5)];
		float		share = strength * (float) fabs(clipped);

		for (size_t channel = 0; channel < 3; channel++)
			rgb[3 * i + channel] = grey + share * (colour[channel] - grey);
	}
}

bool
learn_heat_overlay(const float *pixels, size_t height, size_t width, int channels,
				   const float *heat, size_t heat_height, size_t heat_width, float strength, float *rgb, LearnTrouble *trouble)
{
	LearnImageWish wish = {.height = height, .width = width};
	float	   *spread;
	bool		good;

	memset(trouble, 0, sizeof(*trouble));
	if (channels != 1 && channels != 3)
		return learn_image_fail(trouble, DEV_INVALID, "heat cannot be laid over an image of %d channels", channels);
	if (!(strength >= 0.0f && strength <= 1.0f))
		return learn_image_fail(trouble, DEV_INVALID, "strength of %g is not between 0 and 1", strength);
	if (height == 0 || width == 0 || height > SIZE_MAX / sizeof(float) / width)
		return learn_image_fail(trouble, DEV_INVALID, "image of %zu x %zu pixels cannot be overlaid", width, height);
	spread = malloc(height * width * sizeof(float));
	if (spread == NULL)
		return learn_image_no_memory(trouble, height * width * sizeof(float));
	good = learn_image_resize(heat, heat_height, heat_width, 1, &wish, spread, height * width, trouble);
	if (good)
		mix_pixels(pixels, height * width, channels, spread, strength, rgb);
	free(spread);
	return good;
}

/*
 * augment_signal.c: signals that could as well have been recorded.
 *
 * Noise, gain, lost leads, and a smooth change of pace: time runs at exp(curve), the curve being straight lines between
 * random knots, so that the map from new to old time rises everywhere and is smooth. A crop is the same map over less of
 * the signal. Every draw comes from a key made of (seed, stream, counter), so no two examples share any.
 */
#include "idla/learn_signal.h"

#include <math.h>
#include <string.h>

#define KNOTS 5
#define TWO_PI 6.283185307179586f

/* Where the draws of one kind begin. */
enum
{
	DRAW_CROP = 0,
	DRAW_WARP = 16,
	DRAW_DROPOUT = 1 << 10,
	DRAW_SCALING = 1 << 16,
	DRAW_JITTER = 1 << 20
};

typedef struct Draws
{
	uint64_t	key;
	uint64_t	stream;
} Draws;

/* ---- Pace and crop ---- */

/* How fast time runs at a share of the way, by the knots' logarithms. */
static double
pace(const double *knots, double share)
{
	double		at = share * (KNOTS - 1);
	size_t		knot = at < KNOTS - 2 ? (size_t) at : KNOTS - 2;

	return exp(knots[knot] + (knots[knot + 1] - knots[knot]) * (at - (double) knot));
}

/* Row i of dst is src (length, width) read at position `at`. */
static void
read_between(size_t length, size_t width, const float *src, double at, float *dst)
{
	size_t		low = at < (double) (length - 1) ? (size_t) at : length - 1;
	size_t		high = low + 1 < length ? low + 1 : low;
	float		fraction = high > low ? (float) (at - (double) low) : 0;

	for (size_t c = 0; c < width; c++)
		dst[c] = src[low * width + c] + (src[high * width + c] - src[low * width + c]) * fraction;
}

static void
move_in_time(const LearnSignalAugment *how, const Draws *draws, size_t length, size_t width, float *values, float *scratch)
{
	double		knots[KNOTS] = {0};
	double		cut = how->crop * dev_random_uniform(draws->key, draws->stream, DRAW_CROP);
	double		start = cut * dev_random_uniform(draws->key, draws->stream, DRAW_CROP + 1) * (double) (length - 1);
	double		span = (1 - cut) * (double) (length - 1);
	double		whole = 0;
	double		passed = 0;

	for (size_t k = 0; k < KNOTS && how->warp > 0; k++)
		knots[k] = how->warp * (2 * dev_random_uniform(draws->key, draws->stream, DRAW_WARP + k) - 1);
	for (size_t t = 0; t + 1 < length; t++)
		whole += pace(knots, ((double) t + 0.5) / (double) (length - 1));
	memcpy(scratch, values, length * width * sizeof(float));
	for (size_t t = 0; t < length; t++)
	{
		read_between(length, width, scratch, start + span * (passed / whole), values + t * width);
		passed += pace(knots, ((double) t + 0.5) / (double) (length - 1));
	}
}

/* ---- Leads ---- */

/* A lost lead is 0, the mean of scaled values, and marked as missing where there are marks. */
static void
drop_leads(const LearnSignalAugment *how, const Draws *draws, size_t length, size_t width, size_t leads, float *values)
{
	size_t		kept = (size_t) dev_random_below(draws->key, draws->stream, DRAW_DROPOUT, leads);

	for (size_t lead = 0; lead < leads; lead++)
	{
		if (lead == kept || dev_random_uniform(draws->key, draws->stream, DRAW_DROPOUT + 1 + lead) >= how->lead_dropout)
			continue;
		for (size_t t = 0; t < length; t++)
			values[t * width + lead] = 0;
		for (size_t t = 0; t < length && width == 2 * leads; t++)
			values[t * width + leads + lead] = 1;
	}
}

static void
scale_leads(const LearnSignalAugment *how, const Draws *draws, size_t length, size_t width, size_t leads, float *values)
{
	for (size_t lead = 0; lead < leads; lead++)
	{
		float		factor = (float) exp(how->scaling * dev_random_normal(draws->key, draws->stream, DRAW_SCALING + lead));

		for (size_t t = 0; t < length; t++)
			values[t * width + lead] *= factor;
	}
}

/* Four values from one block of random bits, by Box and Muller in float32: noise needs no more. */
static void
draw_normals(const Draws *draws, uint64_t number, float normals[4])
{
	uint32_t	bits[4];

	dev_random_bits(draws->key, draws->stream, DRAW_JITTER + number, bits);
	for (int pair = 0; pair < 4; pair += 2)
	{
		float		radius = sqrtf(-2 * logf(((float) (bits[pair] >> 8) + 0.5f) * 0x1p-24f));
		float		angle = TWO_PI * ((float) (bits[pair + 1] >> 8) * 0x1p-24f);

		normals[pair] = radius * cosf(angle);
		normals[pair + 1] = radius * sinf(angle);
	}
}

static void
add_noise(const LearnSignalAugment *how, const Draws *draws, size_t length, size_t width, size_t leads, float *values)
{
	float		normals[4];

	for (size_t i = 0; i < length * leads; i++)
	{
		if (i % 4 == 0)
			draw_normals(draws, i / 4, normals);
		values[i / leads * width + i % leads] += how->jitter * normals[i % 4];
	}
}

void
learn_signal_augment(const LearnSignalAugment *how, uint64_t seed, uint64_t stream, uint64_t counter,
					 size_t length, size_t width, size_t leads, float *values, float *scratch)
{
	Draws		draws = {0, stream};
	uint32_t	bits[4];

	dev_random_bits(seed, stream, counter, bits);
	draws.key = (uint64_t) bits[1] << 32 | bits[0];
	if ((how->warp > 0 || how->crop > 0) && length > 1)
		move_in_time(how, &draws, length, width, values, scratch);
	if (how->scaling > 0)
		scale_leads(how, &draws, length, width, leads, values);
	if (how->jitter > 0)
		add_noise(how, &draws, length, width, leads, values);
	if (how->lead_dropout > 0)
		drop_leads(how, &draws, length, width, leads, values);
}

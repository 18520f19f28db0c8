/*
 * augment_draw.c: many random numbers at once, for noise on every pixel.
 *
 * Normal numbers come from Box and Muller's transform in float32. Logarithm, sine and cosine are short series
 * written as plain loops over arrays, which the compiler turns into vectors; no library is asked, so
 * the bits are the same everywhere.
 */
#include "augment.h"

#include <math.h>
#include <string.h>

#define BLOCKS 32				/* drawn at a time */
#define PAIRS (2 * BLOCKS)

/*
 * log(x) of a positive normal number: x = m 2^e with m in [0.70, 1.41), log m = 2 (s + s^3/3 + s^5/5 + s^7/7 + s^9/9) with
 * s = (m - 1) / (m + 1), which leaves 1e-9.
 */
static inline float
log_series(float x)
{
	uint32_t	bits;
	int32_t		exponent;
	float		s;
	float		square;

	memcpy(&bits, &x, sizeof(bits));
	exponent = (int32_t) (bits - 0x3f333333u) >> 23;
	bits -= (uint32_t) exponent << 23;
	memcpy(&x, &bits, sizeof(bits));
	s = (x - 1) / (x + 1);
	square = s * s;
	return 2 * s * (1 + square * (1.0f / 3 + square * (1.0f / 5 + square * (1.0f / 7 + square * (1.0f / 9))))) +
		(float) exponent * 0.69314718f;
}

/* sin and cos of 2 pi t, t in (-1/2, 1/2): Taylor series at a quarter of the angle, which is then doubled twice. */
static inline void
turn(float t, float *sine, float *cosine)
{
	float		x = t * 1.57079633f;
	float		square = x * x;
	float		s = x * (1 - square * (1.0f / 6 - square * (1.0f / 120 - square * (1.0f / 5040 - square * (1.0f / 362880)))));
	float		c = 1 - square * (0.5f - square * (1.0f / 24 - square * (1.0f / 720 - square * (1.0f / 40320))));
	float		s2 = 2 * s * c;
	float		c2 = 1 - 2 * s * s;

	*sine = 2 * s2 * c2;
	*cosine = 1 - 2 * s2 * s2;
}

static void
draw_units(const LearnDraw *draw, uint64_t first_block, size_t n_blocks, float *first, float *second)
{
	for (size_t block = 0; block < n_blocks; block++)
	{
		uint32_t	bits[4];

		learn_draw_block(draw, first_block + block, bits);
		first[2 * block] = learn_unit(bits[0]);
		second[2 * block] = learn_unit(bits[1]);
		first[2 * block + 1] = learn_unit(bits[2]);
		second[2 * block + 1] = learn_unit(bits[3]);
	}
}

void
learn_draw_normal(const LearnDraw *draw, uint64_t first_block, size_t n, float deviation, float *dst)
{
	float		first[PAIRS];
	float		second[PAIRS];
	float		values[2 * PAIRS];

	for (size_t done = 0; done < n; done += 2 * PAIRS)
	{
		size_t		count = n - done < 2 * PAIRS ? n - done : 2 * PAIRS;
		size_t		n_blocks = (count + 3) / 4;

		draw_units(draw, first_block + done / 4, n_blocks, first, second);
		for (size_t i = 0; i < 2 * n_blocks; i++)
		{
			float		radius = deviation * sqrtf(-2 * log_series(first[i]));
			float		sine;
			float		cosine;

			turn(second[i] - 0.5f, &sine, &cosine);
			values[2 * i] = radius * sine;
			values[2 * i + 1] = radius * cosine;
		}
		memcpy(dst + done, values, count * sizeof(float));
	}
}

void
learn_draw_uniform(const LearnDraw *draw, uint64_t first_block, size_t n, float *dst)
{
	for (size_t i = 0; i < n; i += 4)
	{
		uint32_t	bits[4];

		learn_draw_block(draw, first_block + i / 4, bits);
		for (size_t j = 0; j < 4 && i + j < n; j++)
			dst[i + j] = learn_unit(bits[j]);
	}
}

/*
 * augment_mix.c: two rows made one, MixUp and CutMix.
 *
 * A row's mix is drawn from the step and the row's place in its batch alone, so that every worker can find
 * out about any row.
 */
#include "augment.h"

#include "idla/learn_augment.h"

#include <math.h>
#include <string.h>

#define BETA_TRIES 32			/* each of two gamma draws; a try fails with probability below 0.05 */

/* Blocks of a row's draws; the distance of partners is drawn for row 0 of the batch alone. */
enum
{
	BLOCK_CHOICE,
	BLOCK_BOX,
	BLOCK_LAMBDA,				/* 2 * BETA_TRIES */
	BLOCK_DISTANCE = BLOCK_LAMBDA + 2 * BETA_TRIES
};

/*
 * Logarithm of a draw from Gamma(alpha): Marsaglia and Tsang 2000, with their power of a uniform draw for alpha below 1,
 * in logarithms because that power may be below the range of a double.
 */
static double
log_gamma_draw(double alpha, const LearnDraw *draw, uint64_t first_block)
{
	double		shape = alpha < 1 ? alpha + 1 : alpha;
	double		d = shape - 1.0 / 3;
	double		c = 1 / sqrt(9 * d);
	double		value = log(d);
	uint32_t	bits[4];

	for (uint64_t try = 0; try < BETA_TRIES; try++)
	{
		double		x;
		double		v;

		learn_draw_block(draw, first_block + try, bits);
		x = sqrt(-2 * log((double) learn_unit(bits[0]))) * cos(6.283185307179586 * (double) learn_unit(bits[1]));
		v = 1 + c * x;
		if (v <= 0)
			continue;
		v = 3 * log(v);
		if (log((double) learn_unit(bits[2])) < 0.5 * x * x + d - d * exp(v) + d * v)
		{
			value = log(d) + v;
			break;
		}
	}
	return alpha < 1 ? value + log((double) learn_unit(bits[3])) / alpha : value;
}

double
learn_beta_draw(double alpha, uint64_t seed, uint64_t stream, uint64_t counter, uint64_t first_block)
{
	LearnDraw	draw = {seed, stream, counter};
	double		a = log_gamma_draw(alpha, &draw, first_block);
	double		b = log_gamma_draw(alpha, &draw, first_block + BETA_TRIES);

	return 1 / (1 + exp(b - a));
}

/* A rectangle of the partner's share of the area about a random middle, cut at the borders; lambda says what is left. */
static void
draw_box(size_t height, size_t width, const LearnDraw *draw, LearnMix *mix)
{
	double		side = sqrt(1 - (double) mix->lambda);
	double		tall = side * (double) height;
	double		wide = side * (double) width;
	uint32_t	bits[4];
	double		y;
	double		x;

	learn_draw_block(draw, BLOCK_BOX, bits);
	y = (double) learn_unit(bits[0]) * (double) height;
	x = (double) learn_unit(bits[1]) * (double) width;
	mix->top = (uint32_t) fmax(0, rint(y - tall / 2));
	mix->left = (uint32_t) fmax(0, rint(x - wide / 2));
	mix->bottom = (uint32_t) fmin((double) height, rint(y + tall / 2));
	mix->right = (uint32_t) fmin((double) width, rint(x + wide / 2));
	mix->lambda = (float) (1 - (double) (mix->bottom - mix->top) * (double) (mix->right - mix->left) /
						   ((double) height * (double) width));
}

void
learn_mix_draw(const LearnAugmentImage *how, size_t height, size_t width, size_t n_batch, size_t row,
			   uint64_t seed, uint64_t stream, uint64_t counter, LearnMix *mix)
{
	/* The step's draws, then the row's: rows of a batch are fewer than 2^24, steps fewer than 2^40. */
	LearnDraw	draw = {seed, stream, counter << 24};
	uint64_t	distance;
	uint32_t	bits[4];
	float		alpha;

	memset(mix, 0, sizeof(*mix));
	mix->row = mix->partner = (uint32_t) row;
	mix->lambda = 1;
	if ((!(how->mixup > 0) && !(how->cutmix > 0)) || n_batch < 2)
		return;
	learn_draw_block(&draw, BLOCK_DISTANCE, bits);
	distance = 1 + ((uint64_t) bits[0] << 32 | bits[1]) % (n_batch - 1);
	mix->partner = (uint32_t) ((row + distance) % n_batch);
	draw.counter += row & 0xFFFFFF;
	learn_draw_block(&draw, BLOCK_CHOICE, bits);
	mix->cut = how->cutmix > 0 && (!(how->mixup > 0) || (bits[0] & 1) != 0);
	alpha = mix->cut ? how->cutmix : how->mixup;
	mix->lambda = (float) learn_beta_draw((double) alpha, seed, stream, draw.counter, BLOCK_LAMBDA);
	if (mix->cut)
		draw_box(height, width, &draw, mix);
}

void
learn_mix_images(const LearnMix *mix, size_t height, size_t width, size_t channels, const float *own,
				 const float *partner, float *dst)
{
	size_t		n = height * width * channels;
	float		lambda = mix->lambda;

	if (mix->cut || lambda == 1)
	{
		if (dst != own)
			memcpy(dst, own, n * sizeof(float));
		for (size_t y = mix->top; y < mix->bottom; y++)
		{
			size_t		first = (y * width + mix->left) * channels;

			memcpy(dst + first, partner + first, (mix->right - mix->left) * channels * sizeof(float));
		}
		return;
	}
	for (size_t i = 0; i < n; i++)
		dst[i] = lambda * own[i] + (1 - lambda) * partner[i];
}

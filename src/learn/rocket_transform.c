/*
 * rocket_transform.c: one signal into MiniRocket's features.
 *
 * A kernel weighs three of nine taps 2 and the others -1: its output is the sum of all taps of -x, the same for all 84
 * kernels of a dilation, plus three shifted copies of 3 x. Sums are done in the authors' order, so that the
 * outputs are theirs bit for bit, and shares are whole counts divided once.
 */
#include "rocket.h"

#include <string.h>

#define BIASES_AT_ONCE 4		/* comparisons for one read of an output */

/* All ways to choose three of nine taps, in order. */
const uint8_t learn_rocket_taps[LEARN_ROCKET_KERNELS][3] = {
	{0, 1, 2}, {0, 1, 3}, {0, 1, 4}, {0, 1, 5}, {0, 1, 6}, {0, 1, 7}, {0, 1, 8},
	{0, 2, 3}, {0, 2, 4}, {0, 2, 5}, {0, 2, 6}, {0, 2, 7}, {0, 2, 8},
	{0, 3, 4}, {0, 3, 5}, {0, 3, 6}, {0, 3, 7}, {0, 3, 8},
	{0, 4, 5}, {0, 4, 6}, {0, 4, 7}, {0, 4, 8},
	{0, 5, 6}, {0, 5, 7}, {0, 5, 8},
	{0, 6, 7}, {0, 6, 8},
	{0, 7, 8},
	{1, 2, 3}, {1, 2, 4}, {1, 2, 5}, {1, 2, 6}, {1, 2, 7}, {1, 2, 8},
	{1, 3, 4}, {1, 3, 5}, {1, 3, 6}, {1, 3, 7}, {1, 3, 8},
	{1, 4, 5}, {1, 4, 6}, {1, 4, 7}, {1, 4, 8},
	{1, 5, 6}, {1, 5, 7}, {1, 5, 8},
	{1, 6, 7}, {1, 6, 8},
	{1, 7, 8},
	{2, 3, 4}, {2, 3, 5}, {2, 3, 6}, {2, 3, 7}, {2, 3, 8},
	{2, 4, 5}, {2, 4, 6}, {2, 4, 7}, {2, 4, 8},
	{2, 5, 6}, {2, 5, 7}, {2, 5, 8},
	{2, 6, 7}, {2, 6, 8},
	{2, 7, 8},
	{3, 4, 5}, {3, 4, 6}, {3, 4, 7}, {3, 4, 8},
	{3, 5, 6}, {3, 5, 7}, {3, 5, 8},
	{3, 6, 7}, {3, 6, 8},
	{3, 7, 8},
	{4, 5, 6}, {4, 5, 7}, {4, 5, 8},
	{4, 6, 7}, {4, 6, 8},
	{4, 7, 8},
	{5, 6, 7}, {5, 6, 8},
	{5, 7, 8},
	{6, 7, 8}
};

static size_t
pad_of(const LearnRocket *rocket)
{
	return ROCKET_REACH * (size_t) rocket->dilations[rocket->n_dilations - 1];
}

size_t
learn_rocket_scratch(const LearnRocket *rocket, size_t length)
{
	return rocket->leads * (2 * (length + 2 * pad_of(rocket)) + length) + length;
}

void
learn_rocket_lay_out(const LearnRocket *rocket, size_t length, float *scratch, RocketBuffers *buffers)
{
	buffers->length = length;
	buffers->pad = pad_of(rocket);
	buffers->stride = length + 2 * buffers->pad;
	buffers->negative = scratch;
	buffers->triple = buffers->negative + rocket->leads * buffers->stride;
	buffers->alpha = buffers->triple + rocket->leads * buffers->stride;
	buffers->output = buffers->alpha + rocket->leads * length;
}

void
learn_rocket_enter(const LearnRocket *rocket, const float *signal, RocketBuffers *buffers)
{
	memset(buffers->negative, 0, 2 * rocket->leads * buffers->stride * sizeof(float));
	for (size_t lead = 0; lead < rocket->leads; lead++)
	{
		float	   *negative = buffers->negative + lead * buffers->stride + buffers->pad;
		float	   *triple = buffers->triple + lead * buffers->stride + buffers->pad;

		for (size_t t = 0; t < buffers->length; t++)
		{
			float		x = signal[t * rocket->leads + lead];

			negative[t] = -x;
			triple[t] = x + x + x;
		}
	}
}

/* The middle tap first, then from the left, as the authors add them. */
void
learn_rocket_dilate(const LearnRocket *rocket, size_t dilation, RocketBuffers *buffers)
{
	for (size_t lead = 0; lead < rocket->leads; lead++)
	{
		const float *first = buffers->negative + lead * buffers->stride + buffers->pad - ROCKET_REACH * dilation;
		float	   *alpha = buffers->alpha + lead * buffers->length;

		for (size_t t = 0; t < buffers->length; t++)
			alpha[t] = ((((((((first[t + 4 * dilation] + first[t]) + first[t + dilation]) + first[t + 2 * dilation])
							+ first[t + 3 * dilation]) + first[t + 5 * dilation]) + first[t + 6 * dilation])
						 + first[t + 7 * dilation]) + first[t + 8 * dilation]);
	}
}

static void
add_taps(size_t n, const float *restrict alpha, const float *restrict a, const float *restrict b,
		 const float *restrict c, float *restrict dst, bool accumulate)
{
	if (accumulate)
		for (size_t t = 0; t < n; t++)
			dst[t] += ((alpha[t] + a[t]) + b[t]) + c[t];
	else
		for (size_t t = 0; t < n; t++)
			dst[t] = ((alpha[t] + a[t]) + b[t]) + c[t];
}

void
learn_rocket_convolve(const LearnRocket *rocket, size_t d, size_t kernel, RocketBuffers *buffers)
{
	const uint8_t *taps = learn_rocket_taps[kernel];
	const int32_t *first = &rocket->first_lead[d * LEARN_ROCKET_KERNELS + kernel];
	size_t		dilation = (size_t) rocket->dilations[d];

	for (int32_t i = first[0]; i < first[1]; i++)
	{
		size_t		lead = (size_t) rocket->lead_list[i];
		const float *triple = buffers->triple + lead * buffers->stride + buffers->pad - ROCKET_REACH * dilation;

		add_taps(buffers->length, buffers->alpha + lead * buffers->length, triple + taps[0] * dilation,
				 triple + taps[1] * dilation, triple + taps[2] * dilation, buffers->output, i > first[0]);
	}
}

/* Shares of `output` (n) above each of the biases. */
static void
share_above(const float *restrict output, size_t n, const float *restrict biases, size_t n_biases, float *restrict shares)
{
	size_t		i = 0;

	for (; i + BIASES_AT_ONCE <= n_biases; i += BIASES_AT_ONCE)
	{
		const float b0 = biases[i];
		const float b1 = biases[i + 1];
		const float b2 = biases[i + 2];
		const float b3 = biases[i + 3];
		int32_t		above0 = 0;
		int32_t		above1 = 0;
		int32_t		above2 = 0;
		int32_t		above3 = 0;

		for (size_t t = 0; t < n; t++)
		{
			above0 += output[t] > b0;
			above1 += output[t] > b1;
			above2 += output[t] > b2;
			above3 += output[t] > b3;
		}
		shares[i] = (float) above0 / (float) n;
		shares[i + 1] = (float) above1 / (float) n;
		shares[i + 2] = (float) above2 / (float) n;
		shares[i + 3] = (float) above3 / (float) n;
	}
	for (; i < n_biases; i++)
	{
		int32_t		above = 0;

		for (size_t t = 0; t < n; t++)
			above += output[t] > biases[i];
		shares[i] = (float) above / (float) n;
	}
}

bool
learn_rocket_transform(const LearnRocket *rocket, size_t length, const float *signal, float *scratch,
					   float *features, const volatile bool *stop)
{
	const float *biases = rocket->biases;
	RocketBuffers buffers;

	learn_rocket_lay_out(rocket, length, scratch, &buffers);
	learn_rocket_enter(rocket, signal, &buffers);
	for (size_t d = 0; d < rocket->n_dilations; d++)
	{
		size_t		reach = ROCKET_REACH * (size_t) rocket->dilations[d];
		size_t		count = (size_t) rocket->counts[d];

		learn_rocket_dilate(rocket, (size_t) rocket->dilations[d], &buffers);
		for (size_t kernel = 0; kernel < LEARN_ROCKET_KERNELS; kernel++)
		{
			/* Every second convolution leaves out the outputs that zeros have a part in. */
			bool		inner = !rocket->unequal && (d + kernel) % 2 == 1 && length > 2 * reach;

			if (stop != NULL && *stop)
				return false;
			learn_rocket_convolve(rocket, d, kernel, &buffers);
			share_above(buffers.output + (inner ? reach : 0), inner ? length - 2 * reach : length, biases, count, features);
			biases += count;
			features += count;
		}
	}
	return true;
}

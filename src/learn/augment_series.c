/*
 * augment_series.c: a patient of whom a little less is known.
 *
 * Values are taken away from the stored form and the rest is left to learn_series_load: the network sees what it
 * would have seen had they never been measured.
 */
#include "idla/learn_series.h"

#include <math.h>

/* Where the draws of one kind begin. */
enum
{
	DRAW_CHANNEL = 0,
	DRAW_VALUE = 1 << 16,
	DRAW_JITTER = 1 << 28
};

void
learn_series_augment(const LearnSeriesPlan *plan, const LearnSeriesAugment *how,
					 uint64_t seed, uint64_t stream, uint64_t counter, float *stored)
{
	size_t		n_channels = (size_t) plan->n_channels;
	uint32_t	bits[4];
	uint64_t	key;

	dev_random_bits(seed, stream, counter, bits);
	key = (uint64_t) bits[1] << 32 | bits[0];
	for (size_t c = 0; c < n_channels; c++)
	{
		bool		dropped = dev_random_uniform(key, stream, DRAW_CHANNEL + c) < how->channel_dropout;

		if (dropped)
			stored[c] = stored[n_channels + c] = NAN;
		for (size_t bin = 0; bin < plan->n_bins; bin++)
		{
			size_t		cell = bin * n_channels + c;
			float	   *value = stored + 2 * n_channels + cell;

			if (isnan(*value))
				continue;
			if (dropped || (how->value_dropout > 0 && dev_random_uniform(key, stream, DRAW_VALUE + cell) < how->value_dropout))
				*value = NAN;
			else if (how->jitter > 0)
				*value += (float) (how->jitter * plan->channels[c].deviation * dev_random_normal(key, stream, DRAW_JITTER + cell));
		}
	}
}

/*
 * adversarial_moves.c: what an attack moves of a field, where that is not what a network sees.
 *
 * Pixels and samples are seen as they are, centred and scaled. A bin of a patient's series is seen in several places, because it is carried
 * forward until the next one: an attack moves the bin, in deviations of its channel, and all that is carried from it follows.
 * A signal under rocket is seen as features, which are counts and have no slope: an attack moves its samples and sees what comes of it.
 */
#include "adversarial.h"
#include "field.h"

#include <math.h>
#include <string.h>

#define SOFT 3.0				/* as learn_series_load bends values */

bool
learn_field_is_attacked(const LearnField *field)
{
	return field->kind != LEARN_TEXT;
}

bool
learn_field_has_slope(const LearnField *field)
{
	return field->kind != LEARN_TEXT && field->rocket == NULL;
}

size_t
learn_field_moves(const LearnField *field)
{
	return field->dims[0] * field->dims[1] * (field->kind == LEARN_IMAGE ? field->dims[2] : 1);
}

size_t
learn_field_moved_positions(const LearnField *field, LearnBytes stored)
{
	size_t		n = stored.bytes == NULL ? 0 : stored.size / (learn_field_depth(field) * sizeof(float));

	return field->kind != LEARN_SIGNAL || n > field->dims[0] ? field->dims[0] : n;
}

/* ---- Series ---- */

/* Bins in deviations, NaN where nothing was observed. */
static void
take_bins(const LearnField *field, LearnBytes stored, float *moves)
{
	const LearnSeriesPlan *plan = field->series;
	size_t		n_channels = (size_t) plan->n_channels;
	bool		whole = stored.bytes != NULL && stored.size == learn_series_stored_size(plan) * sizeof(float);
	const float *bins = whole ? (const float *) stored.bytes + 2 * n_channels : NULL;

	for (size_t i = 0; i < plan->n_bins * n_channels; i++)
	{
		const LearnSeriesChannel *channel = &plan->channels[i % n_channels];

		moves[i] = !whole || isnan(bins[i]) || channel->n == 0 ? NAN : (float) (((double) bins[i] - channel->mean) / channel->deviation);
	}
}

void
learn_series_bins(const LearnField *field, const float *plane, float *moves)
{
	size_t		n_channels = field->dims[1];

	for (size_t i = 0; i < field->dims[0] * n_channels; i++)
	{
		size_t		at = i / n_channels * 3 * n_channels + i % n_channels;
		double		seen = (double) plane[at] / SOFT;

		moves[i] = plane[at + n_channels] > 0.5f ? (float) ((double) plane[at] / sqrt(fmax(1 - seen * seen, 1e-12))) : NAN;
	}
}

void
learn_series_show(const LearnField *field, const float *moves, float *plane)
{
	size_t		n_channels = field->dims[1];

	for (size_t c = 0; c < n_channels; c++)
	{
		float		last = NAN;

		for (size_t bin = 0; bin < field->dims[0]; bin++)
		{
			float	   *to = plane + bin * 3 * n_channels + c;
			double		x = (double) moves[bin * n_channels + c];

			if (!isnan(x))
				last = (float) (x / sqrt(1 + x * x / (SOFT * SOFT)));
			/* What was known before the window, or the mean, stays. */
			to[0] = isnan(last) ? to[0] : last;
		}
	}
}

void
learn_series_slope(const LearnField *field, const float *moves, const float *by_plane, float *by_moves)
{
	size_t		n_channels = field->dims[1];

	for (size_t c = 0; c < n_channels; c++)
	{
		double		sum = 0;

		for (size_t bin = field->dims[0]; bin-- > 0;)
		{
			size_t		at = bin * n_channels + c;
			double		x = (double) moves[at] / SOFT;

			sum += (double) by_plane[bin * 3 * n_channels + c];
			by_moves[at] = 0;
			if (isnan(x))
				continue;
			by_moves[at] = (float) (sum / ((1 + x * x) * sqrt(1 + x * x)));
			sum = 0;
		}
	}
}

/* ---- Any field ---- */

void
learn_field_moves_load(const LearnField *field, LearnBytes stored, float *moves, int32_t *length)
{
	void	   *planes[LEARN_MAX_PLANES] = {moves};

	if (field->kind == LEARN_SERIES)
	{
		*length = (int32_t) field->dims[0];
		take_bins(field, stored, moves);
	}
	else if (field->rocket != NULL)
	{
		size_t		n = learn_field_load_samples(field, stored, moves);

		memset(moves + n * field->dims[1], 0, (field->dims[0] - n) * field->dims[1] * sizeof(float));
		*length = (int32_t) n;
	}
	else
		learn_field_load(field, stored, NULL, planes, length);
}

void
learn_field_moves_show(const LearnField *field, const float *moves, size_t length, float *scratch, float *plane)
{
	if (field->kind == LEARN_SERIES)
		learn_series_show(field, moves, plane);
	else if (field->rocket != NULL)
	{
		memcpy(scratch, moves, length * field->dims[1] * sizeof(float));
		learn_rocket_features(field, length, scratch, plane);
	}
	else
		memcpy(plane, moves, learn_field_moves(field) * sizeof(float));
}

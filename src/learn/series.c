/*
 * series.c: events of one entity, gathered into bins and statistics.
 *
 * Everything is a running quantity: a bin keeps a sum or its latest value, a channel its moments in value and time. So
 * order does not matter, no event is kept, and an entity with a million events takes no more memory than one with ten.
 */
#include "idla/learn_series.h"

#include "trouble.h"

#include <math.h>
#include <string.h>

const char *const learn_series_statistic_names[] = {
	"n", "mean", "min", "max", "first", "last", "slope", "last_time", "deviation", NULL
};

/* A bin of a channel: its latest value and when, or with `average` their sum and number. */
typedef struct Cell
{
	double		value;
	double		weight;			/* time of the latest, NaN before any; or the number of values */
} Cell;

/* A channel in the window; times relative to the prediction time. */
typedef struct ChannelState
{
	uint64_t	n;
	double		mean;
	double		squares;		/* sum of (value - mean)^2 */
	double		mean_time;
	double		squares_time;
	double		products;		/* sum of (value - mean) (time - mean_time) */
	double		minimum;
	double		maximum;
	double		first;
	double		first_time;
	double		last;
	double		last_time;
	double		before;			/* last value before the window */
	double		before_time;	/* NaN: none */
} ChannelState;

struct LearnSeriesEntity
{
	const LearnSeriesPlan *plan;
	double		at;
	LearnSeriesCounts counts;
	Cell	   *cells;			/* (n_bins, n_channels) */
	ChannelState *channels;		/* (n_channels) */
};

/* ---- Plans ---- */

DevStatus
learn_series_plan_check(DevSession *session, const LearnSeriesPlan *plan)
{
	double		end;

	if (plan->n_channels < 1 || plan->n_channels > LEARN_SERIES_MOST_CHANNELS)
		return dev_fail(session, DEV_INVALID, "number of channels must be from 1 to %d, not %d",
						LEARN_SERIES_MOST_CHANNELS, plan->n_channels);
	if (plan->n_bins < 1 || plan->n_bins > LEARN_SERIES_MOST_CELLS / (size_t) plan->n_channels)
		return dev_fail(session, DEV_INVALID, "%zu bins of %d channels are not possible", plan->n_bins, plan->n_channels);
	if (!isfinite(plan->start) || !isfinite(plan->width) || !(plan->width > 0))
		return dev_fail(session, DEV_INVALID, "bins of width %g from %g on are not possible", plan->width, plan->start);
	end = plan->start + plan->width * (double) plan->n_bins;
	/* Rounding may put an end that is meant to be the prediction time a hair behind it; such bins are never filled. */
	if (!(end <= 1e-9 * plan->width * (double) plan->n_bins))
	{
		dev_fail(session, DEV_INVALID, "bins reach %g beyond the prediction time", end);
		dev_hint(session, "Let the window start at least %g before it.", plan->width * (double) plan->n_bins);
		return DEV_INVALID;
	}
	for (int c = 0; c < plan->n_channels; c++)
		if (plan->channels[c].n > 0 &&
			!(isfinite(plan->channels[c].mean) && isfinite(plan->channels[c].deviation) && plan->channels[c].deviation > 0))
			return dev_fail(session, DEV_INVALID, "statistics of channel \"%s\" are not usable", plan->channels[c].name);
	return DEV_OK;
}

int
learn_series_channel(const LearnSeriesPlan *plan, const char *name, size_t size)
{
	for (int c = 0; c < plan->n_channels; c++)
		if (strncmp(plan->channels[c].name, name, size) == 0 && plan->channels[c].name[size] == '\0')
			return c;
	return -1;
}

/* ---- Events ---- */

DevStatus
learn_series_entity_create(DevSession *session, const LearnSeriesPlan *plan, LearnSeriesEntity **entity)
{
	LearnSeriesEntity *made = dev_alloc(session, 1, sizeof(LearnSeriesEntity));

	*entity = NULL;
	if (made == NULL)
		return DEV_NO_MEMORY;
	made->plan = plan;
	made->cells = dev_alloc(session, plan->n_bins * (size_t) plan->n_channels, sizeof(Cell));
	made->channels = dev_alloc(session, (size_t) plan->n_channels, sizeof(ChannelState));
	if (made->cells == NULL || made->channels == NULL)
	{
		learn_series_entity_free(session, made);
		return DEV_NO_MEMORY;
	}
	learn_series_begin(made, 0);
	*entity = made;
	return DEV_OK;
}

void
learn_series_entity_free(DevSession *session, LearnSeriesEntity *entity)
{
	if (entity == NULL)
		return;
	dev_release(session, entity->cells);
	dev_release(session, entity->channels);
	dev_release(session, entity);
}

void
learn_series_begin(LearnSeriesEntity *entity, double at)
{
	size_t		n_channels = (size_t) entity->plan->n_channels;
	size_t		n_cells = entity->plan->n_bins * n_channels;

	entity->at = at;
	memset(&entity->counts, 0, sizeof(entity->counts));
	memset(entity->channels, 0, n_channels * sizeof(ChannelState));
	for (size_t c = 0; c < n_channels; c++)
		entity->channels[c].before_time = NAN;
	for (size_t i = 0; i < n_cells; i++)
		entity->cells[i] = (Cell) {0, entity->plan->average ? 0 : NAN};
}

/* Whether a value at `time` comes after one of `other_value` at `other`; NaN: there is no other. */
static bool
is_later(double time, double value, double other, double other_value)
{
	return isnan(other) || time > other || (time == other && value > other_value);
}

static void
add_to_cell(const LearnSeriesPlan *plan, Cell *cell, double time, double value)
{
	if (plan->average)
	{
		cell->value += value;
		cell->weight++;
	}
	else if (is_later(time, value, cell->weight, cell->value))
		*cell = (Cell) {value, time};
}

/* Welford's recurrences, for the value, the time and both together. */
static void
add_to_channel(ChannelState *state, double time, double value)
{
	double		difference = value - state->mean;
	double		difference_time = time - state->mean_time;

	if (state->n == 0 || value < state->minimum)
		state->minimum = value;
	if (state->n == 0 || value > state->maximum)
		state->maximum = value;
	if (state->n == 0 || is_later(time, value, state->last_time, state->last))
	{
		state->last = value;
		state->last_time = time;
	}
	if (state->n == 0 || !is_later(time, value, state->first_time, state->first))
	{
		state->first = value;
		state->first_time = time;
	}
	state->n++;
	state->mean += difference / (double) state->n;
	state->mean_time += difference_time / (double) state->n;
	state->squares += difference * (value - state->mean);
	state->squares_time += difference_time * (time - state->mean_time);
	state->products += difference * (time - state->mean_time);
}

DevStatus
learn_series_add(LearnSeriesEntity *entity, double time, int channel, float value, LearnTrouble *trouble)
{
	const LearnSeriesPlan *plan = entity->plan;
	double		relative = time - entity->at;
	double		bin = (relative - plan->start) / plan->width;
	ChannelState *state;
	size_t		number;

	if (channel < 0 || channel >= plan->n_channels)
		return trouble_set(trouble, DEV_INVALID, "there is no channel %d", channel);
	if (!isfinite(time))
		return trouble_set(trouble, DEV_BAD_DATA, "an event of channel \"%.64s\" has no finite time", plan->channels[channel].name);
	if (isinf(value))
		return trouble_set(trouble, DEV_BAD_DATA, "a value of channel \"%.64s\" is infinite", plan->channels[channel].name);
	if (time > entity->at)
	{
		entity->counts.late++;
		return DEV_OK;
	}
	if (isnan(value))
	{
		entity->counts.missing++;
		return DEV_OK;
	}
	/* A window that ends before the prediction time leaves a gap; the end itself belongs to the last bin. */
	if (bin > (double) plan->n_bins * (1 + 1e-9))
		return DEV_OK;
	entity->counts.used++;
	state = &entity->channels[channel];
	if (bin < 0)
	{
		if (is_later(relative, value, state->before_time, state->before))
		{
			state->before = value;
			state->before_time = relative;
		}
		return DEV_OK;
	}
	number = bin < (double) plan->n_bins ? (size_t) bin : plan->n_bins - 1;
	add_to_cell(plan, &entity->cells[number * (size_t) plan->n_channels + (size_t) channel], relative, value);
	add_to_channel(state, relative, value);
	return DEV_OK;
}

LearnSeriesCounts
learn_series_counts(const LearnSeriesEntity *entity)
{
	return entity->counts;
}

/* ---- Bins ---- */

size_t
learn_series_stored_size(const LearnSeriesPlan *plan)
{
	return (plan->n_bins + 2) * (size_t) plan->n_channels;
}

void
learn_series_store(const LearnSeriesEntity *entity, float *stored)
{
	const LearnSeriesPlan *plan = entity->plan;
	size_t		n_channels = (size_t) plan->n_channels;
	size_t		n_cells = plan->n_bins * n_channels;
	float	   *bins = stored + 2 * n_channels;

	for (size_t c = 0; c < n_channels; c++)
	{
		const ChannelState *state = &entity->channels[c];
		bool		known = !isnan(state->before_time);

		stored[c] = known ? (float) state->before : NAN;
		stored[n_channels + c] = known ? (float) ((plan->start - state->before_time) / plan->width) : NAN;
	}
	for (size_t i = 0; i < n_cells; i++)
	{
		const Cell *cell = &entity->cells[i];

		if (plan->average)
			bins[i] = cell->weight > 0 ? (float) (cell->value / cell->weight) : NAN;
		else
			bins[i] = isnan(cell->weight) ? NAN : (float) cell->value;
	}
}

static float
scale_value(const LearnSeriesChannel *channel, float value)
{
	double		x = (value - channel->mean) / channel->deviation;

	return (float) (x / sqrt(1 + x * x / 9));
}

void
learn_series_load(const LearnSeriesPlan *plan, const float *stored, float *dst)
{
	size_t		n_channels = (size_t) plan->n_channels;
	const float *bins = stored + 2 * n_channels;

	for (size_t c = 0; c < n_channels; c++)
	{
		const LearnSeriesChannel *channel = &plan->channels[c];
		float		age = stored[n_channels + c];
		double		since = isnan(age) ? 0 : age;
		float		last = isnan(stored[c]) || channel->n == 0 ? 0 : scale_value(channel, stored[c]);

		for (size_t bin = 0; bin < plan->n_bins; bin++)
		{
			float	   *to = dst + bin * 3 * n_channels + c;
			float		value = bins[bin * n_channels + c];
			/* What training has never seen has no scale. */
			bool		observed = !isnan(value) && channel->n > 0;

			if (observed)
				last = scale_value(channel, value);
			to[0] = last;
			to[n_channels] = observed ? 1.0f : 0.0f;
			to[2 * n_channels] = (float) fmin(since / (double) plan->n_bins, 1);
			since = observed ? 1 : since + 1;
		}
	}
}

/* ---- Statistics ---- */

void
learn_series_summarise(const LearnSeriesEntity *entity, float *statistics)
{
	for (int c = 0; c < entity->plan->n_channels; c++)
	{
		const ChannelState *state = &entity->channels[c];
		float	   *to = statistics + c * LEARN_SERIES_STATISTICS;

		for (int i = 0; i < LEARN_SERIES_STATISTICS; i++)
			to[i] = NAN;
		to[LEARN_SERIES_N] = (float) state->n;
		if (state->n == 0)
			continue;
		to[LEARN_SERIES_MEAN] = (float) state->mean;
		to[LEARN_SERIES_MIN] = (float) state->minimum;
		to[LEARN_SERIES_MAX] = (float) state->maximum;
		to[LEARN_SERIES_FIRST] = (float) state->first;
		to[LEARN_SERIES_LAST] = (float) state->last;
		to[LEARN_SERIES_LAST_TIME] = (float) state->last_time;
		if (state->first_time < state->last_time)
			to[LEARN_SERIES_SLOPE] = (float) (state->products / state->squares_time);
		if (state->n > 1)
			to[LEARN_SERIES_DEVIATION] = (float) sqrt(state->squares / (double) state->n);
	}
}

/*
 * constraint.c: what an adversarial row of a table may be.
 *
 * All rules are decided in the user's unit and on the very float32 values that are returned, so that a row that
 * passes here passes the table's own CHECK constraints and types.
 */
#include "adversarial.h"
#include "dataset.h"

#include <float.h>

#define NEAR 1e-6				/* of a step: where a bound counts as one of its multiples */

LearnConstraint
learn_constraint_free(void)
{
	return (LearnConstraint) {.mutable = true, .low = -INFINITY, .high = INFINITY};
}

static DevStatus
check_constraint(DevSession *session, const LearnChannel *channel, const LearnConstraint *constraint)
{
	if (channel->kind == LEARN_NUMBER && !(constraint->low <= constraint->high))
		return dev_fail(session, DEV_INVALID, "bounds \"%g\" and \"%g\" of \"%s\" leave no value", constraint->low,
						constraint->high, channel->name);
	if (channel->kind == LEARN_NUMBER && !(constraint->step >= 0 && constraint->step < (double) FLT_MAX))
		return dev_fail(session, DEV_INVALID, "step \"%g\" of \"%s\" is not at least 0 and finite", constraint->step,
						channel->name);
	for (int i = 0; channel->kind == LEARN_CATEGORY && i < constraint->n_allowed; i++)
		if (constraint->allowed[i] < 0 || constraint->allowed[i] >= channel->n_categories)
			return dev_fail(session, DEV_INVALID, "category number \"%d\" of \"%s\" is not known to the model",
							(int) constraint->allowed[i], channel->name);
	return DEV_OK;
}

DevStatus
learn_constraints_check(DevSession *session, const LearnChannel *channels, int n_channels,
						const LearnConstraint *constraints)
{
	DevStatus	status = DEV_OK;

	for (int i = 0; i < n_channels && status == DEV_OK; i++)
		if (constraints[i].mutable)
			status = check_constraint(session, &channels[i], &constraints[i]);
	return status;
}

double
learn_channel_unit(const LearnChannel *channel)
{
	double		unit = 1 / (double) channel->scale;

	if (channel->scaling == LEARN_QUANTILE && channel->n_quantiles > 1)
	{
		int			last = channel->n_quantiles - 1;

		unit = (double) channel->quantiles[last - last / 4] - (double) channel->quantiles[last / 4];
		if (!(unit > 0))
			unit = ((double) channel->quantiles[last] - (double) channel->quantiles[0]) / 2;
	}
	if (!isfinite(unit))
		return 1;
	return unit > (double) FLT_MIN ? unit : (double) FLT_MIN;
}

/* ---- Numbers ---- */

/* The multiple of step nearest to wanted (or next to it towards the row's own) within bounds and reach. */
static float
legal_multiple(const LearnConstraint *constraint, double reach, float clean, double wanted, bool towards)
{
	double		step = constraint->step;
	double		own = (double) clean / step;
	double		place = wanted / step;
	double		low = fmax(ceil(constraint->low / step - NEAR), ceil(own - reach / step - 1e-9));
	double		high = fmin(floor(constraint->high / step + NEAR), floor(own + reach / step + 1e-9));

	if (!towards)
		place = rint(place);
	else
		place = place > own ? floor(place) : ceil(place);
	place = place < low ? low : place > high ? high : place;
	/* A row outside its bounds finds them farther away than it was to go. */
	if (towards && fabs(place - own) > fabs(wanted / step - own) + 1e-9)
		return clean;
	if (low > high || (towards && (place > own) != (wanted > (double) clean)) || fabs(place - own) < NEAR)
		return clean;
	return (float) (place * step);
}

static float
legal_number(const LearnConstraint *constraint, double reach, float clean, double wanted, bool towards)
{
	double		low = fmax(constraint->low, (double) clean - reach);
	double		high = fmin(constraint->high, (double) clean + reach);
	float		value;

	if (towards)
	{
		low = fmax(low, fmin(wanted, (double) clean));
		high = fmin(high, fmax(wanted, (double) clean));
	}
	value = (float) (wanted < low ? low : wanted > high ? high : wanted);
	if ((double) value < low)
		value = nextafterf(value, INFINITY);
	if ((double) value > high)
		value = nextafterf(value, -INFINITY);
	return (double) value >= low && (double) value <= high && isfinite(value) ? value : clean;
}

float
learn_legal_value(const LearnConstraint *constraint, double reach, float clean, double wanted, bool towards)
{
	if (!constraint->mutable || isnan(clean) || isnan(wanted) || !(reach > 0) || wanted == (double) clean)
		return clean;
	if (constraint->step > 0)
		return legal_multiple(constraint, reach, clean, wanted, towards);
	return legal_number(constraint, reach, clean, wanted, towards);
}

/* ---- Scaling and back ---- */

double
learn_scale_slope(const LearnChannel *channel, float raw)
{
	double		unit = learn_channel_unit(channel);
	double		x;
	float		around[2];
	float		scaled[2];

	switch (channel->scaling)
	{
		case LEARN_ROBUST:
			x = ((double) raw - (double) channel->center) * (double) channel->scale / 3;
			return (double) channel->scale * pow(1 + x * x, -1.5);
		case LEARN_STANDARD:
		case LEARN_UNSCALED:
			return (double) channel->scale;
		case LEARN_QUANTILE:
			break;
	}
	/* Quantiles are a staircase: their rise over a part of the unit. */
	around[0] = (float) ((double) raw - unit / 8);
	around[1] = (float) ((double) raw + unit / 8);
	learn_scale_numbers(channel, 2, around, scaled);
	return ((double) scaled[1] - (double) scaled[0]) / ((double) around[1] - (double) around[0]);
}

void
learn_table_box(const LearnChannel *channels, int n_channels, const LearnConstraint *constraints, double epsilon,
				size_t n, size_t n_numbers, const float *numbers, float *low, float *high)
{
	memcpy(low, numbers, n * n_numbers * sizeof(float));
	memcpy(high, numbers, n * n_numbers * sizeof(float));
	for (int c = 0; c < n_channels; c++)
	{
		const LearnChannel *channel = &channels[c];
		double		reach = epsilon * learn_channel_unit(channel);

		if (channel->kind != LEARN_NUMBER || channel->number_input == NN_NONE || !constraints[c].mutable)
			continue;
		for (size_t row = 0; row < n; row++)
		{
			size_t		at = row * n_numbers + (size_t) channel->number_input;
			double		raw;
			float		ends[2];
			float		scaled[2];

			if (channel->indicator_input != NN_NONE && numbers[row * n_numbers + (size_t) channel->indicator_input] != 0)
				continue;
			raw = learn_unscale_number(channel, numbers[at]);
			ends[0] = (float) fmax(raw - reach, constraints[c].low);
			ends[1] = (float) fmin(raw + reach, constraints[c].high);
			learn_scale_numbers(channel, 2, ends, scaled);
			low[at] = fminf(scaled[0], numbers[at]);
			high[at] = fmaxf(scaled[1], numbers[at]);
		}
	}
}

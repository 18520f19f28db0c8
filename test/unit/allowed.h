/*
 * allowed.h: what an attack may make of a row, said once more and independently of the attacks, for their tests.
 */
#ifndef IDLA_TEST_ALLOWED_H
#define IDLA_TEST_ALLOWED_H

#include "idla/learn_adversarial.h"

#include <math.h>
#include <string.h>

#define NEAR_STEP 1e-6			/* of a step: where a bound counts as one of its multiples */

static inline bool
same_bits(float a, float b)
{
	return memcmp(&a, &b, sizeof(a)) == 0;
}

static inline bool
number_allowed(const LearnConstraint *constraint, float value)
{
	if (!isfinite(value))
		return false;
	if (constraint->step > 0)
	{
		double		multiple = rint((double) value / constraint->step);

		return multiple >= constraint->low / constraint->step - NEAR_STEP &&
			multiple <= constraint->high / constraint->step + NEAR_STEP && (float) (multiple * constraint->step) == value;
	}
	return (double) value >= constraint->low && (double) value <= constraint->high;
}

static inline bool
category_allowed(const LearnChannel *channel, const LearnConstraint *constraint, float value)
{
	if (!(value >= 0 && value < (float) channel->n_categories) || floorf(value) != value)
		return false;
	for (int i = 0; i < constraint->n_allowed; i++)
		if ((float) constraint->allowed[i] == value)
			return true;
	return constraint->n_allowed == 0;
}

/*
 * Whether `changed` is a row that an attack within epsilon may make of `clean`, both raw (n_channels): what cannot change is
 * the same bits, numbers are the row's own or within bounds and on their steps, categories the row's own or allowed,
 * at most max_changes of them changed (none at epsilon 0, which is the row itself), and the numbers' change within epsilon
 * but for rounding (1e-6 of it). What is missing stays missing.
 */
static inline bool
row_allowed(const LearnChannel *channels, int n_channels, const LearnConstraint *constraints,
				  LearnNormKind norm, double epsilon, int max_changes, const float *clean, const float *changed)
{
	double		length = 0;
	int			changes = 0;

	for (int i = 0; i < n_channels; i++)
	{
		const LearnConstraint *constraint = &constraints[i];
		double		moved;

		if (same_bits(clean[i], changed[i]))
			continue;
		if (!constraint->mutable || isnan(clean[i]))
			return false;
		if (channels[i].kind == LEARN_CATEGORY)
		{
			if (!category_allowed(&channels[i], constraint, changed[i]))
				return false;
			changes++;
			continue;
		}
		if (!number_allowed(constraint, changed[i]))
			return false;
		moved = fabs((double) changed[i] - (double) clean[i]) / learn_channel_unit(&channels[i]);
		length = norm == LEARN_NORM_MAX ? fmax(length, moved) : sqrt(length * length + moved * moved);
	}
	return changes <= (epsilon > 0 ? max_changes : 0) && length <= epsilon * (1 + 1e-6);
}

#endif							/* IDLA_TEST_ALLOWED_H */

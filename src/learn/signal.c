/*
 * signal.c: what can be said of a signal by itself: what is missing, how long it becomes, where its windows are.
 *
 * Signals come in any length, at any rate, with gaps. All work is on arrays that the caller owns, so that worker threads may do it.
 */
#include "idla/learn_signal.h"

#include "trouble.h"

#include <math.h>
#include <string.h>

/* ---- Checking and gaps ---- */

DevStatus
learn_signal_check(size_t length, size_t leads, const float *values, size_t *missing, LearnTrouble *trouble)
{
	size_t		n_missing = 0;

	*missing = 0;
	if (length == 0)
		return trouble_set(trouble, DEV_BAD_DATA, "signal is empty");
	if (length > LEARN_SIGNAL_MOST_VALUES / leads)
	{
		trouble_set(trouble, DEV_INVALID, "signal of %zu samples and %zu leads is too long", length, leads);
		trouble_hint(trouble, "Cut long recordings into several rows.");
		return DEV_INVALID;
	}
	for (size_t i = 0; i < length * leads; i++)
	{
		if (isinf(values[i]))
			return trouble_set(trouble, DEV_BAD_DATA, "value %zu of the signal is infinite", i + 1);
		n_missing += isnan(values[i]);
	}
	if (n_missing == length * leads)
		return trouble_set(trouble, DEV_BAD_DATA, "signal has no values, only missing ones");
	*missing = n_missing;
	return DEV_OK;
}

/* Values strictly between positions first and last of a lead, along the line that joins the two. */
static void
join(float *values, size_t leads, size_t first, size_t last)
{
	double		from = values[first * leads];
	double		slope = (values[last * leads] - from) / (double) (last - first);

	for (size_t t = first + 1; t < last; t++)
		values[t * leads] = (float) (from + slope * (double) (t - first));
}

static void
bridge_lead(size_t length, size_t leads, float *values, float fill)
{
	size_t		last = length;	/* position of the last value seen */

	for (size_t t = 0; t < length; t++)
	{
		if (isnan(values[t * leads]))
			continue;
		if (last == length)
			for (size_t before = 0; before < t; before++)
				values[before * leads] = values[t * leads];
		else if (t > last + 1)
			join(values, leads, last, t);
		last = t;
	}
	if (last == length)
		for (size_t t = 0; t < length; t++)
			values[t * leads] = fill;
	else
		for (size_t t = last + 1; t < length; t++)
			values[t * leads] = values[last * leads];
}

void
learn_signal_bridge(size_t length, size_t leads, float *values, const float *fill)
{
	for (size_t lead = 0; lead < leads; lead++)
		bridge_lead(length, leads, values + lead, fill != NULL ? fill[lead] : 0);
}

/* ---- Lengths ---- */

size_t
learn_signal_resampled(double rate, double to_rate, size_t length)
{
	double		exact = (double) length * to_rate / rate;

	if (to_rate == rate || length == 0)
		return length;
	/* A quotient that is whole but for rounding is that whole. */
	return exact > 1 ? (size_t) ceil(exact * (1 - 1e-12)) : 1;
}

size_t
learn_signal_windows(size_t length, size_t width, size_t stride)
{
	if (length <= width)
		return 1;
	return (length - width) / stride + 1 + ((length - width) % stride > 0);
}

size_t
learn_signal_window_start(size_t length, size_t width, size_t stride, size_t window)
{
	if (length <= width)
		return 0;
	return window <= (length - width) / stride ? window * stride : length - width;
}

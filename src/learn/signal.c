/*
 * signal.c: one signal into the form that a network takes, and the statistics that takes.
 *
 * Signals come in any length, at any rate, with gaps; a network wants a fixed number of steps of numbers near 1.
 * All work is on arrays that the caller owns, so that worker threads may do it.
 */
#include "idla/learn_signal.h"

#include "trouble.h"

#include <math.h>
#include <string.h>

/* ---- Plans ---- */

DevStatus
learn_signal_plan_check(DevSession *session, const LearnSignalPlan *plan)
{
	bool		resampled = plan->rate != 0 || plan->to_rate != 0;

	if (plan->leads == 0 || plan->leads > LEARN_SIGNAL_MOST_LEADS)
		return dev_fail(session, DEV_INVALID, "number of leads must be from 1 to %d, not %zu", LEARN_SIGNAL_MOST_LEADS, plan->leads);
	if (plan->length > LEARN_SIGNAL_MOST_VALUES / learn_signal_width(plan))
		return dev_fail(session, DEV_INVALID, "signals of %zu steps are too long", plan->length);
	if (resampled && !(isfinite(plan->rate) && plan->rate > 0 && isfinite(plan->to_rate) && plan->to_rate > 0))
		return dev_fail(session, DEV_INVALID, "sampling rates must be positive, not %g and %g", plan->rate, plan->to_rate);
	if (resampled && !(plan->rate / plan->to_rate <= LEARN_SIGNAL_MOST_RATIO && plan->to_rate / plan->rate <= LEARN_SIGNAL_MOST_RATIO))
		return dev_fail(session, DEV_INVALID, "sampling rates %g and %g are too far apart", plan->rate, plan->to_rate);
	if ((unsigned) plan->resampling > LEARN_RESAMPLE_LINEAR || (unsigned) plan->crop > LEARN_CROP_RANDOM ||
		(unsigned) plan->scaling > LEARN_SIGNAL_UNSCALED)
		return dev_fail(session, DEV_INVALID, "unknown way to prepare a signal");
	if (plan->scaling == LEARN_SIGNAL_BY_LEAD && (plan->mean == NULL || plan->deviation == NULL))
		return dev_fail(session, DEV_INVALID, "a plan that scales by lead has no statistics");
	for (size_t lead = 0; lead < plan->leads && plan->scaling == LEARN_SIGNAL_BY_LEAD; lead++)
		if (!isfinite(plan->mean[lead]) || !isfinite(plan->deviation[lead]) || !(plan->deviation[lead] > 0))
			return dev_fail(session, DEV_INVALID, "statistics of lead %zu are not usable", lead + 1);
	return DEV_OK;
}

size_t
learn_signal_width(const LearnSignalPlan *plan)
{
	return plan->mark ? 2 * plan->leads : plan->leads;
}

size_t
learn_signal_resampled(const LearnSignalPlan *plan, size_t length)
{
	double		exact = (double) length * plan->to_rate / plan->rate;

	if (plan->to_rate == plan->rate || length == 0)
		return length;
	/* A quotient that is whole but for rounding is that whole. */
	return exact > 1 ? (size_t) ceil(exact * (1 - 1e-12)) : 1;
}

/* Room for the bridged signal with its marks, and for the same resampled. */
size_t
learn_signal_scratch(const LearnSignalPlan *plan, size_t length)
{
	return learn_signal_width(plan) * (length + learn_signal_resampled(plan, length));
}

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
		trouble_hint(trouble, "Cut long recordings into windows.");
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

/* ---- Scaling ---- */

/* Mean and deviation of some columns together; a flat signal has deviation 1. */
static void
measure(size_t length, size_t width, size_t n_columns, const float *values, double *mean, double *deviation)
{
	double		sum = 0;
	double		squares = 0;
	double		n = (double) (length * n_columns);

	for (size_t t = 0; t < length; t++)
		for (size_t c = 0; c < n_columns; c++)
			sum += values[t * width + c];
	*mean = sum / n;
	for (size_t t = 0; t < length; t++)
		for (size_t c = 0; c < n_columns; c++)
		{
			double		difference = values[t * width + c] - *mean;

			squares += difference * difference;
		}
	*deviation = sqrt(squares / n);
	/* What float32 cannot tell from constant must not be blown up to noise. */
	if (!(*deviation > 1e-6 * fabs(*mean)))
		*deviation = 1;
}

static void
scale_column(size_t length, size_t width, float *values, double mean, double deviation)
{
	for (size_t t = 0; t < length; t++)
		values[t * width] = (float) ((values[t * width] - mean) / deviation);
}

static void
scale_signal(const LearnSignalPlan *plan, size_t length, size_t width, float *values)
{
	double		mean;
	double		deviation;
	double		shared;

	if (plan->scaling == LEARN_SIGNAL_UNSCALED)
		return;
	measure(length, width, plan->leads, values, &mean, &shared);
	for (size_t lead = 0; lead < plan->leads; lead++)
	{
		if (plan->scaling == LEARN_SIGNAL_BY_LEAD)
		{
			mean = plan->mean[lead];
			deviation = plan->deviation[lead];
		}
		else
			measure(length, width, 1, values + lead, &mean, &deviation);
		scale_column(length, width, values + lead, mean, plan->scaling == LEARN_SIGNAL_TOGETHER ? shared : deviation);
	}
}

/* ---- Preparing ---- */

/* Where the part that is kept begins. */
static size_t
crop_start(const LearnSignalPlan *plan, size_t length, double position)
{
	size_t		surplus = length - plan->length;

	switch (plan->crop)
	{
		case LEARN_CROP_START:
			return 0;
		case LEARN_CROP_END:
			return surplus;
		case LEARN_CROP_RANDOM:
			return (size_t) (position * (double) (surplus + 1)) < surplus ? (size_t) (position * (double) (surplus + 1)) : surplus;
		case LEARN_CROP_CENTER:
			break;
	}
	return surplus / 2;
}

/* raw (length, leads) -> dst (length, width): marked, then bridged in the first columns. */
static void
enter(const LearnSignalPlan *plan, size_t length, const float *raw, size_t missing, float *dst)
{
	size_t		width = learn_signal_width(plan);

	for (size_t t = 0; t < length; t++)
	{
		memcpy(dst + t * width, raw + t * plan->leads, plan->leads * sizeof(float));
		for (size_t lead = 0; lead < plan->leads && plan->mark; lead++)
			dst[t * width + plan->leads + lead] = isnan(raw[t * plan->leads + lead]) ? 1.0f : 0.0f;
	}
	for (size_t lead = 0; lead < plan->leads && missing > 0; lead++)
		bridge_lead(length, width, dst + lead, plan->scaling == LEARN_SIGNAL_BY_LEAD ? plan->mean[lead] : 0);
}

/* The sinc overshoots at the edges of a gap; a mark is a share of samples missing. */
static void
clamp_marks(const LearnSignalPlan *plan, size_t length, float *signal)
{
	for (size_t t = 0; t < length; t++)
		for (size_t lead = 0; lead < plan->leads; lead++)
		{
			float	   *mark = signal + (t * 2 + 1) * plan->leads + lead;

			*mark = *mark > 0 ? (*mark < 1 ? *mark : 1) : 0;
		}
}

DevStatus
learn_signal_prepare(const LearnSignalPlan *plan, size_t length, const float *raw, double position,
					 float *scratch, float *dst, size_t *used, const volatile bool *stop, LearnTrouble *trouble)
{
	size_t		width = learn_signal_width(plan);
	size_t		n = learn_signal_resampled(plan, length);
	size_t		start = 0;
	size_t		missing;
	float	   *signal = scratch;
	DevStatus	status = learn_signal_check(length, plan->leads, raw, &missing, trouble);

	*used = 0;
	if (status != DEV_OK)
		return status;
	if (n > LEARN_SIGNAL_MOST_VALUES / width)
		return trouble_set(trouble, DEV_INVALID, "signal of %zu samples is too long at %g samples a second", length, plan->to_rate);
	enter(plan, length, raw, missing, signal);
	if (plan->rate != plan->to_rate)
	{
		signal = scratch + length * width;
		if (!learn_signal_resample(plan->resampling, length, width, scratch, plan->rate / plan->to_rate, n, signal, stop))
			return trouble_set(trouble, DEV_CANCELLED, "stopped while resampling");
		if (plan->mark)
			clamp_marks(plan, n, signal);
	}
	scale_signal(plan, n, width, signal);
	*used = n;
	if (plan->length > 0 && n > plan->length)
	{
		start = crop_start(plan, n, position);
		*used = plan->length;
	}
	memcpy(dst, signal + start * width, *used * width * sizeof(float));
	if (plan->length > *used)
		memset(dst + *used * width, 0, (plan->length - *used) * width * sizeof(float));
	return DEV_OK;
}

/* ---- Windows ---- */

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

/* ---- Moments ---- */

DevStatus
learn_signal_moments_create(DevSession *session, size_t leads, LearnSignalMoments *moments)
{
	memset(moments, 0, sizeof(*moments));
	moments->leads = leads;
	moments->n = dev_alloc(session, leads, sizeof(uint64_t));
	moments->mean = dev_alloc(session, leads, sizeof(double));
	moments->squares = dev_alloc(session, leads, sizeof(double));
	return moments->n != NULL && moments->mean != NULL && moments->squares != NULL ? DEV_OK : DEV_NO_MEMORY;
}

/* Welford's recurrence: no difference of large sums. */
void
learn_signal_moments_add(LearnSignalMoments *moments, size_t length, const float *values)
{
	for (size_t t = 0; t < length; t++)
		for (size_t lead = 0; lead < moments->leads; lead++)
		{
			double		value = values[t * moments->leads + lead];
			double		difference = value - moments->mean[lead];

			if (!isfinite(value))
				continue;
			moments->n[lead]++;
			moments->mean[lead] += difference / (double) moments->n[lead];
			moments->squares[lead] += difference * (value - moments->mean[lead]);
		}
}

void
learn_signal_moments_finish(const LearnSignalMoments *moments, float *mean, float *deviation)
{
	for (size_t lead = 0; lead < moments->leads; lead++)
	{
		double		spread = moments->n[lead] > 0 ? sqrt(moments->squares[lead] / (double) moments->n[lead]) : 0;

		mean[lead] = (float) moments->mean[lead];
		deviation[lead] = spread > 1e-6 * fabs(moments->mean[lead]) ? (float) spread : 1.0f;
	}
}

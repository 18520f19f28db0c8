/*
 * metrics_interval.c: how sure a metric is.
 *
 * The percentile bootstrap serves any statistic; DeLong's variance serves
 * AUROC of many rows, where it costs one sort instead of hundreds.
 */
#include "idla/learn_metrics.h"

#include "logistic.h"
#include "rank.h"

#define Z_95 1.959963984540054	/* 97.5 % quantile of the normal distribution */

/* ---- Bootstrap ---- */

/* Quantile of ascending values by linear interpolation, as numpy.quantile. */
static double
quantile(size_t n, const double *values, const uint32_t *order, double q)
{
	double		place = q * (double) (n - 1);
	size_t		below = (size_t) place;
	size_t		above = below + 1 < n ? below + 1 : below;
	double		low = values[order[below]];

	return low + (place - (double) below) * (values[order[above]] - low);
}

/* Values of the statistic over `repeats` draws of n rows; *found counts those that are defined. */
static DevStatus
draw_statistics(DevSession *session, size_t n, int repeats, uint64_t seed, LearnStatistic compute, void *context,
				uint32_t *rows, double *values, size_t *found)
{
	*found = 0;
	for (int repeat = 0; repeat < repeats; repeat++)
	{
		double		value = NAN;
		DevStatus	status;

		for (size_t i = 0; i < n; i++)
		{
			if (i % (LEARN_POLL_ROWS / 8) == 0 && dev_poll(session) != DEV_OK)
				return DEV_CANCELLED;
			rows[i] = (uint32_t) dev_random_below(seed, DEV_STREAM_BOOTSTRAP, (uint64_t) repeat * n + i, n);
		}
		status = compute(context, n, rows, &value);
		if (status != DEV_OK)
			return status;
		if (!isnan(value))
			values[(*found)++] = value;
	}
	return DEV_OK;
}

DevStatus
learn_bootstrap(DevSession *session, size_t n, int repeats, uint64_t seed, LearnStatistic compute, void *context,
				double *low, double *high)
{
	uint32_t   *rows;
	double	   *values;
	uint32_t   *order = NULL;
	size_t		found = 0;
	DevStatus	status = DEV_NO_MEMORY;

	*low = *high = NAN;
	if (n == 0 || repeats < 1)
		return DEV_OK;
	if (n > UINT32_MAX)
		return dev_fail(session, DEV_INVALID, "cannot draw from %zu rows, at most %lu", n,
						(unsigned long) UINT32_MAX);
	rows = dev_alloc(session, n, sizeof(uint32_t));
	values = dev_alloc(session, (size_t) repeats, sizeof(double));
	if (rows != NULL && values != NULL)
		status = draw_statistics(session, n, repeats, seed, compute, context, rows, values, &found);
	if (status == DEV_OK && found > 0)
		status = learn_order(session, found, values, &order);
	if (status == DEV_OK && found > 0)
	{
		*low = quantile(found, values, order, 0.025);
		*high = quantile(found, values, order, 0.975);
	}
	dev_release(session, order);
	dev_release(session, values);
	dev_release(session, rows);
	return status;
}

/* ---- DeLong ---- */

/* Sums over positives and over negatives of (placement - AUROC)^2. */
typedef struct Placements
{
	double		positive;
	double		negative;
} Placements;

/*
 * The placement of a positive is the share of negatives below it, that of a negative the share of positives above it,
 * ties counting one half. Rows of a tied group share theirs (Sun and Xu 2014).
 */
static DevStatus
sum_placements(DevSession *session, size_t n, const double *score, const uint8_t *label, const uint32_t *order,
			   size_t positives, double auroc, Placements *sums)
{
	double		n_positive = (double) positives;
	double		n_negative = (double) (n - positives);
	size_t		positive_below = 0;
	size_t		negative_below = 0;
	size_t		last_poll = 0;

	sums->positive = sums->negative = 0;
	for (size_t first = 0, end; first < n; first = end)
	{
		size_t		positive = 0;
		size_t		negative;
		double		of_positive;
		double		of_negative;

		end = learn_tie_end(n, score, order, first);
		for (size_t place = first; place < end; place++)
			positive += label[order[place]] != 0;
		negative = end - first - positive;
		of_positive = ((double) negative_below + 0.5 * (double) negative) / n_negative - auroc;
		of_negative = (n_positive - (double) positive_below - 0.5 * (double) positive) / n_positive - auroc;
		sums->positive += (double) positive * of_positive * of_positive;
		sums->negative += (double) negative * of_negative * of_negative;
		positive_below += positive;
		negative_below += negative;
		if (learn_poll_at(session, end, &last_poll) != DEV_OK)
			return DEV_CANCELLED;
	}
	return DEV_OK;
}

/*
 * A perfect separation has no variance to speak of. What is certain then is a
 * bound on the share of pairs that a sample as small as the smaller class can miss.
 */
static void
bound_perfect(double auroc, size_t smaller, double *low, double *high)
{
	double		bound = pow(0.025, 1.0 / (double) smaller);

	*low = auroc > 0.5 ? bound : 0;
	*high = auroc > 0.5 ? 1 : 1 - bound;
}

DevStatus
learn_auroc_interval(DevSession *session, size_t n, const double *score, const uint8_t *label,
					 double *value, double *low, double *high)
{
	size_t		positives = 0;
	size_t		negatives;
	uint32_t   *order;
	Placements	sums;
	DevStatus	status;

	*low = *high = NAN;
	status = learn_auroc(session, n, score, label, value);
	if (status != DEV_OK || isnan(*value))
		return status;
	for (size_t row = 0; row < n; row++)
		positives += label[row] != 0;
	negatives = n - positives;
	if (*value == 0 || *value == 1)
	{
		bound_perfect(*value, positives < negatives ? positives : negatives, low, high);
		return DEV_OK;
	}
	if (positives < 2 || negatives < 2)
		return DEV_OK;			/* no variance within a class of one row */
	status = learn_order(session, n, score, &order);
	if (status != DEV_OK)
		return status;
	status = sum_placements(session, n, score, label, order, positives, *value, &sums);
	dev_release(session, order);
	if (status == DEV_OK)
	{
		double		variance = sums.positive / ((double) positives * (double) (positives - 1))
			+ sums.negative / ((double) negatives * (double) (negatives - 1));
		double		logit = log(*value / (1 - *value));
		double		half = Z_95 * sqrt(variance) / (*value * (1 - *value));

		*low = learn_logistic(logit - half);
		*high = learn_logistic(logit + half);
	}
	return status;
}

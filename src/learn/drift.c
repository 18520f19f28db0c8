/*
 * drift.c: profiles of training rows, tallies of later ones, and how far apart the two are.
 *
 * Everything is computed from counts of the same intervals. The index that gives the verdict is used everywhere with
 * its two thresholds; what it would be by chance alone is known too (it is about chi-squared, Yurdakul 2018), and a
 * verdict that chance explains is not given.
 */
#include "dataset.h"

#include "idla/learn_drift.h"

#include <string.h>

#define SHARES 10				/* bins of numbers for the index */
#define CATEGORIES 20			/* bins of categories that are not pooled */
#define MOST_BINS (CATEGORIES + 3)
#define MODERATE 0.1
#define STRONG 0.25
#define CHANCE 0.01
#define LEAST_VARIANCE 5.0		/* of a bin's count, so that it is about normal */

const char *const learn_shift_names[] = {"stable", "moderate", "strong", "uncertain", NULL};

/* ---- distributions ---- */

/* Regularised upper incomplete gamma function by its series or its continued fraction (Abramowitz and Stegun 6.5.29, 6.5.31). */
static double
gamma_tail(double a, double x)
{
	int			sign;
	double		front = exp(a * log(x) - x - lgamma_r(a, &sign));

	if (x < a + 1)
	{
		double		term = 1 / a;
		double		sum = term;

		for (int i = 1; i < 100000 && term > sum * 1e-17; i++)
		{
			term *= x / (a + i);
			sum += term;
		}
		return fmax(0, 1 - front * sum);
	}
	else
	{
		double		b = x + 1 - a;
		double		c = 1e300;
		double		d = 1 / b;
		double		value = d;

		for (int i = 1; i < 100000; i++)
		{
			double		factor = -i * (i - a);
			double		change;

			b += 2;
			d = factor * d + b;
			d = 1 / (fabs(d) < 1e-300 ? 1e-300 : d);
			c = b + factor / c;
			c = fabs(c) < 1e-300 ? 1e-300 : c;
			change = c * d;
			value *= change;
			if (fabs(change - 1) < 1e-16)
				break;
		}
		return fmin(1, front * value);
	}
}

double
learn_chi_squared_tail(double x, double freedom)
{
	if (isnan(x) || isnan(freedom))
		return NAN;
	if (x <= 0 || freedom <= 0)
		return 1;
	return isinf(x) ? 0 : gamma_tail(freedom / 2, x / 2);
}

double
learn_kolmogorov_tail(double ks, double n, double m)
{
	double		root = sqrt(n / (n + m) * m);
	double		lambda = (root + 0.12 + 0.11 / root) * ks;
	double		sum = 0;

	if (!(n > 0 && m > 0) || isnan(ks))
		return NAN;
	/* Below this the series needs more terms than are worth it, and the answer is 1 to twelve digits. */
	if (lambda < 0.2)
		return 1;
	for (int k = 1; k <= 100; k++)
	{
		double		term = 2 * exp(-2.0 * k * k * lambda * lambda);

		sum += k % 2 == 1 ? term : -term;
		if (term < 1e-18)
			break;
	}
	return fmin(fmax(sum, 0), 1);
}

/* ---- profiles ---- */

static size_t
tie_end(const float *sorted, size_t n, size_t first)
{
	while (first < n - 1 && sorted[first + 1] == sorted[first])
		first++;
	return first + 1;
}

static bool
has_few_values(const float *sorted, size_t n, int most)
{
	int			distinct = 1;

	for (size_t i = 1; i < n && distinct <= most; i++)
		distinct += sorted[i] != sorted[i - 1];
	return distinct <= most;
}

DevStatus
learn_profile_numbers(DevSession *session, const float *sorted, size_t n, double missing, int most, LearnProfile *profile)
{
	bool		few;
	size_t		done = 0;

	memset(profile, 0, sizeof(*profile));
	if (n == 0 || most < 1)
		return dev_fail(session, DEV_INVALID, "a profile of %zu values in %d intervals", n, most);
	profile->edges = dev_alloc(session, (size_t) most, sizeof(float));
	profile->counts = dev_alloc(session, (size_t) most, sizeof(double));
	if (profile->edges == NULL || profile->counts == NULL)
		return DEV_NO_MEMORY;
	profile->missing = missing;
	few = has_few_values(sorted, n, most);
	while (done < n)
	{
		/* What is left is shared among the intervals that are left: a value that takes several shares leaves the rest finer. */
		size_t		left = (size_t) (most - profile->n);
		size_t		share = few ? 1 : (n - done + left - 1) / left;
		size_t		end = tie_end(sorted, n, done + share - 1);

		profile->edges[profile->n] = sorted[end - 1];
		profile->counts[profile->n] = (double) (end - done);
		profile->n++;
		done = end;
	}
	return DEV_OK;
}

DevStatus
learn_profile_values(DevSession *session, float *values, size_t n, int most, LearnProfile *profile)
{
	float	   *scratch = dev_alloc(session, n + 1, sizeof(float));
	DevStatus	status = scratch != NULL ? learn_sort_floats(session, values, scratch, n) : DEV_NO_MEMORY;

	dev_release(session, scratch);
	return status == DEV_OK ? learn_profile_numbers(session, values, n, 0, most, profile) : status;
}

DevStatus
learn_tally_create(DevSession *session, const LearnProfile *profile, LearnTally *tally)
{
	memset(tally, 0, sizeof(*tally));
	tally->profile = profile;
	tally->counts = dev_alloc(session, (size_t) profile->n + 1, sizeof(uint64_t));
	return tally->counts != NULL ? DEV_OK : DEV_NO_MEMORY;
}

/* The first interval whose edge is not below the value; n: none. */
static int
find_interval(const LearnProfile *profile, float value)
{
	int			low = 0;
	int			high = profile->n;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (profile->edges[middle] < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void
learn_tally_add(LearnTally *tally, float value)
{
	const LearnProfile *profile = tally->profile;

	if (isnan(value))
		tally->missing++;
	else if (profile->edges != NULL)
		tally->counts[find_interval(profile, value)]++;
	else
		tally->counts[value >= 0 && value < (float) profile->n ? (int) value : profile->n]++;
}

/* ---- bins for the index ---- */

typedef struct Bins
{
	int			n;
	double		then[MOST_BINS];
	double		now[MOST_BINS];
	double		sum_then;
	double		sum_now;
} Bins;

static void
add_bin(Bins *bins, double then, double now)
{
	/* A bin that both lack tells nothing. */
	if (then + now <= 0)
		return;
	bins->then[bins->n] = then;
	bins->now[bins->n] = now;
	bins->sum_then += then;
	bins->sum_now += now;
	bins->n++;
}

/*
 * Neighbouring intervals together until they have a tenth of the rows; what is beyond the last edge belongs to the last. No more bins
 * than shares: of a stored profile it is not known that its last interval has rows at all, and all that is left is one bin.
 */
static void
bin_numbers(const LearnTally *tally, double total, Bins *bins)
{
	const LearnProfile *profile = tally->profile;
	double		then = 0;
	double		now = 0;
	double		passed = 0;
	int			next = 1;

	for (int i = 0; i < profile->n; i++)
	{
		bool		last = i == profile->n - 1;

		then += profile->counts[i];
		passed += profile->counts[i];
		now += (double) tally->counts[i] + (last ? (double) tally->counts[profile->n] : 0);
		if (!last && (next == SHARES || passed < total * next / SHARES))
			continue;
		add_bin(bins, then, now);
		then = now = 0;
		while (next < SHARES && passed >= total * next / SHARES)
			next++;
	}
}

static void
bin_categories(const LearnTally *tally, Bins *bins)
{
	const LearnProfile *profile = tally->profile;
	double		then = 0;
	double		now = 0;

	for (int i = 0; i < profile->n; i++)
	{
		if (i < CATEGORIES && i < profile->n_named)
			add_bin(bins, profile->counts[i], (double) tally->counts[i]);
		else
		{
			then += profile->counts[i];
			now += (double) tally->counts[i];
		}
	}
	add_bin(bins, then, now);
	add_bin(bins, 0, (double) tally->counts[profile->n]);
}

static double
stability_index(const Bins *bins)
{
	double		psi = 0;

	for (int i = 0; i < bins->n; i++)
	{
		double		then = fmax(bins->then[i], 0.5) / bins->sum_then;
		double		now = fmax(bins->now[i], 0.5) / bins->sum_now;

		psi += (now - then) * log(now / then);
	}
	return psi;
}

/* Two rows of counts of one distribution (Pearson 1911). */
static double
chi_squared(const Bins *bins)
{
	double		ratio = sqrt(bins->sum_now / bins->sum_then);
	double		sum = 0;

	for (int i = 0; i < bins->n; i++)
	{
		double		difference = bins->then[i] * ratio - bins->now[i] / ratio;

		sum += difference * difference / (bins->then[i] + bins->now[i]);
	}
	return sum;
}

static LearnShift
judge(double size, double moderate, double strong, double chance)
{
	if (isnan(size))
		return LEARN_SHIFT_UNCERTAIN;
	if (size < moderate)
		return LEARN_SHIFT_STABLE;
	if (!(chance < CHANCE))
		return LEARN_SHIFT_UNCERTAIN;
	return size < strong ? LEARN_SHIFT_MODERATE : LEARN_SHIFT_STRONG;
}

/* ---- drift ---- */

/* The largest difference of two distribution functions at the edges. */
static double
largest_difference(const LearnTally *tally, double then, double now)
{
	const LearnProfile *profile = tally->profile;
	double		below_then = 0;
	double		below_now = 0;
	double		largest = 0;

	for (int i = 0; i < profile->n; i++)
	{
		below_then += profile->counts[i];
		below_now += (double) tally->counts[i];
		largest = fmax(largest, fabs(below_now / now - below_then / then));
	}
	return largest;
}

void
learn_drift_measure(const LearnTally *tally, LearnDrift *drift)
{
	const LearnProfile *profile = tally->profile;
	Bins		bins = {0};
	double		then = 0;
	double		now = 0;
	double		unseen = (double) tally->counts[profile->n];
	double		chance;

	for (int i = 0; i < profile->n; i++)
	{
		then += profile->counts[i];
		now += (double) tally->counts[i];
		if (profile->edges == NULL && i >= profile->n_named)
			unseen += (double) tally->counts[i];
	}
	now += (double) tally->counts[profile->n];
	memset(drift, 0, sizeof(*drift));
	drift->n = (uint64_t) now + tally->missing;
	drift->psi = drift->ks = drift->p = drift->missing_now = drift->unseen = NAN;
	drift->missing_then = profile->missing / (then + profile->missing);
	drift->shift = LEARN_SHIFT_UNCERTAIN;
	if (drift->n == 0)
		return;
	drift->missing_now = (double) tally->missing / (double) drift->n;
	if (profile->edges != NULL)
		bin_numbers(tally, then, &bins);
	else
		bin_categories(tally, &bins);
	add_bin(&bins, profile->missing, (double) tally->missing);
	drift->psi = stability_index(&bins);
	chance = learn_chi_squared_tail(drift->psi / (1 / bins.sum_then + 1 / bins.sum_now), bins.n - 1);
	if (profile->edges == NULL)
	{
		drift->p = learn_chi_squared_tail(chi_squared(&bins), bins.n - 1);
		drift->unseen = unseen / (double) drift->n;
	}
	else if (now > 0)
	{
		drift->ks = largest_difference(tally, then, now);
		drift->p = learn_kolmogorov_tail(drift->ks, then, now);
	}
	drift->shift = judge(drift->psi, MODERATE, STRONG, chance);
}

/* ---- calibration ---- */

void
learn_trust_add(LearnTrust *trust, double predicted, double actual)
{
	double		error = actual - predicted;

	trust->n++;
	learn_sum_add(&trust->predicted, predicted);
	learn_sum_add(&trust->actual, actual);
	learn_sum_add(&trust->squares, error * error);
	if (trust->kind == LEARN_TRUST_PROBABILITY)
	{
		int			bin = learn_ece_bin(predicted, LEARN_TRUST_BINS);

		trust->bins[bin].n++;
		trust->bins[bin].predicted += predicted;
		trust->bins[bin].actual += actual;
		trust->bins[bin].variance += predicted * (1 - predicted);
	}
}

/* Bins with too few rows are joined to their neighbours. */
static double
hosmer_lemeshow(const LearnTrust *trust)
{
	double		difference = 0;
	double		variance = 0;
	double		left = 0;
	double		sum = 0;
	int			freedom = 0;

	for (int i = 0; i < LEARN_TRUST_BINS; i++)
		left += trust->bins[i].variance;
	for (int i = 0; i < LEARN_TRUST_BINS; i++)
	{
		difference += trust->bins[i].actual - trust->bins[i].predicted;
		variance += trust->bins[i].variance;
		left -= trust->bins[i].variance;
		/* So that the last group is not too small either. */
		if (i < LEARN_TRUST_BINS - 1 && (variance < LEAST_VARIANCE || left < LEAST_VARIANCE))
			continue;
		if (variance <= 0)
			return difference == 0 ? 1 : 0;
		sum += difference * difference / variance;
		freedom++;
		difference = variance = 0;
	}
	return learn_chi_squared_tail(sum, freedom);
}

static double
calibration_error(const LearnTrust *trust)
{
	double		sum = 0;

	for (int i = 0; i < LEARN_TRUST_BINS; i++)
		sum += fabs(trust->bins[i].predicted - trust->bins[i].actual);
	return sum / (double) trust->n;
}

void
learn_trust_measure(const LearnTrust *trust, LearnTrusted *trusted)
{
	double		n = (double) trust->n;
	double		predicted = learn_sum_value(&trust->predicted);
	double		actual = learn_sum_value(&trust->actual);
	double		error = actual - predicted;
	double		spread;

	*trusted = (LearnTrusted) {trust->n, NAN, NAN, NAN, NAN, LEARN_SHIFT_UNCERTAIN};
	if (trust->n == 0)
		return;
	trusted->predicted = predicted / n;
	trusted->actual = actual / n;
	switch (trust->kind)
	{
		case LEARN_TRUST_PROBABILITY:
			trusted->ece = calibration_error(trust);
			trusted->p = hosmer_lemeshow(trust);
			trusted->shift = judge(trusted->ece, MODERATE / 2, MODERATE, trusted->p);
			break;
		case LEARN_TRUST_VALUE:
			spread = n > 1 ? sqrt(fmax(0, learn_sum_value(&trust->squares) - error * error / n) / (n - 1) * n) : 0;
			trusted->p = spread > 0 ? erfc(fabs(error) / spread / sqrt(2)) : n < 2 || error == 0;
			trusted->shift = judge(fabs(error) / n / trust->unit, MODERATE, STRONG, trusted->p);
			break;
		case LEARN_TRUST_EVENTS:
			trusted->p = predicted > 0 ? erfc(fabs(error) / sqrt(predicted) / sqrt(2)) : NAN;
			trusted->shift = judge(predicted > 0 ? fabs(error) / predicted : NAN, MODERATE, STRONG, trusted->p);
			break;
	}
}

/*
 * binomial.c: the normal and the beta distribution, and exact bounds of probabilities from counts.
 */
#include "idla/learn_robust.h"

#include <math.h>

#define MOST_TERMS 100000		/* of the continued fraction; some sqrt(a + b) are needed */
#define TINY 1e-300

/* ---- Normal ---- */

/*
 * A rational approximation (Abramowitz and Stegun 1964, 26.2.23: within 4.5e-4), then Halley's iteration on the distribution
 * function, which triples the digits each time. The tail below one half is used, where erfc loses none.
 */
double
learn_normal_quantile(double p)
{
	double		tail = p < 0.5 ? p : 1 - p;
	double		t;
	double		x;

	if (!(p > 0 && p < 1))
		return p <= 0 ? -INFINITY : p >= 1 ? INFINITY : NAN;
	t = sqrt(-2 * log(tail));
	x = -(t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))));
	for (int i = 0; i < 3; i++)
	{
		double		error = erfc(-x / sqrt(2)) / 2 - tail;
		double		step = error * 2.5066282746310002 * exp(x * x / 2);

		x -= step / (1 + x * step / 2);
	}
	return p < 0.5 ? x : -x;
}

/* ---- Beta ---- */

static double
log_gamma(double x)
{
	int			sign;

	return lgamma_r(x, &sign);
}

/* The continued fraction of the incomplete beta function (Abramowitz and Stegun 26.5.8), by Lentz's method. */
static double
fraction(double x, double a, double b)
{
	double		c = 1;
	double		d = 1 - (a + b) * x / (a + 1);
	double		value;

	d = 1 / (fabs(d) < TINY ? TINY : d);
	value = d;
	for (int m = 1; m <= MOST_TERMS; m++)
	{
		double		even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double		odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		double		factor;

		d = 1 + even * d;
		c = 1 + even / c;
		d = 1 / (fabs(d) < TINY ? TINY : d);
		c = fabs(c) < TINY ? TINY : c;
		value *= c * d;
		d = 1 + odd * d;
		c = 1 + odd / c;
		d = 1 / (fabs(d) < TINY ? TINY : d);
		c = fabs(c) < TINY ? TINY : c;
		factor = c * d;
		value *= factor;
		if (fabs(factor - 1) < 1e-16)
			break;
	}
	return value;
}

double
learn_beta_probability(double x, double a, double b)
{
	double		front;

	if (!(x > 0))
		return isnan(x) ? NAN : 0;
	if (x >= 1)
		return 1;
	front = exp(a * log(x) + b * log1p(-x) - (log_gamma(a) + log_gamma(b) - log_gamma(a + b)));
	/* The fraction converges fast on this side of the mean. */
	if (x < (a + 1) / (a + b + 2))
		return front * fraction(x, a, b) / a;
	return 1 - front * fraction(1 - x, b, a) / b;
}

double
learn_beta_quantile(double p, double a, double b)
{
	double		low = 0;
	double		high = 1;

	if (!(p > 0))
		return isnan(p) ? NAN : 0;
	if (p >= 1)
		return 1;
	for (int i = 0; i < 200 && high - low > 1e-16 * high; i++)
	{
		double		middle = low + (high - low) / 2;

		if (learn_beta_probability(middle, a, b) < p)
			low = middle;
		else
			high = middle;
	}
	return low + (high - low) / 2;
}

/* ---- Binomial ---- */

double
learn_binomial_lower(uint64_t k, uint64_t n, double alpha)
{
	if (k == 0 || n == 0)
		return 0;
	return learn_beta_quantile(alpha, (double) k, (double) (n - k) + 1);
}

double
learn_binomial_upper(uint64_t k, uint64_t n, double alpha)
{
	if (k >= n)
		return 1;
	return learn_beta_quantile(1 - alpha, (double) k + 1, (double) (n - k));
}

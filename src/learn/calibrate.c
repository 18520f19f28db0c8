/*
 * calibrate.c: one temperature for all logits (Guo et al. 2017).
 *
 * The mean log loss of a * outputs + offset is convex in a = 1 / temperature, so
 * its minimum is where the derivative changes sign: found by Newton steps that are
 * kept inside a shrinking bracket. A little weight on "the outputs are right as
 * they are" keeps few rows, or rows that are told apart without error, from
 * driving the temperature away.
 */
#include "trainer.h"

#include <math.h>

#define COLDEST 8.0				/* greatest inverse temperature */
#define HOTTEST 0.05
#define STEPS 60
#define PRIOR_ROWS 4.0			/* rows' worth of belief in temperature 1 */

/* log(1 + exp(x)) */
static double
softplus(double x)
{
	return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double
logit(const float *outputs, const double *offset, double a, size_t i)
{
	return a * (double) outputs[i] + offset[i];
}

double
learn_row_loss(size_t n_outputs, const float *outputs, float target, const double *offset, double a)
{
	double		largest;
	double		sum = 0;

	if (n_outputs == 1)
	{
		double		z = logit(outputs, offset, a, 0);

		return softplus(z) - (double) target * z;
	}
	largest = logit(outputs, offset, a, 0);
	for (size_t i = 1; i < n_outputs; i++)
		largest = fmax(largest, logit(outputs, offset, a, i));
	for (size_t i = 0; i < n_outputs; i++)
		sum += exp(logit(outputs, offset, a, i) - largest);
	return largest + log(sum) - logit(outputs, offset, a, (size_t) target);
}

/* Adds the first and second derivative of one row's loss by a. */
static void
add_derivatives(size_t n_outputs, const float *outputs, float target, const double *offset, double a,
				double *first, double *second)
{
	double		largest = -INFINITY;
	double		sum = 0;
	double		mean = 0;
	double		square = 0;

	if (n_outputs == 1)
	{
		double		p = 1 / (1 + exp(-logit(outputs, offset, a, 0)));

		*first += (p - (double) target) * (double) outputs[0];
		*second += p * (1 - p) * (double) outputs[0] * (double) outputs[0];
		return;
	}
	for (size_t i = 0; i < n_outputs; i++)
		largest = fmax(largest, logit(outputs, offset, a, i));
	for (size_t i = 0; i < n_outputs; i++)
	{
		double		weight = exp(logit(outputs, offset, a, i) - largest);

		sum += weight;
		mean += weight * (double) outputs[i];
		square += weight * (double) outputs[i] * (double) outputs[i];
	}
	mean /= sum;
	*first += mean - (double) outputs[(size_t) target];
	*second += square / sum - mean * mean;
}

double
learn_temperature(size_t n, size_t n_outputs, const float *outputs, const float *targets, const double *offset)
{
	double		low = HOTTEST;
	double		high = COLDEST;
	double		a = 1;

	for (int step = 0; step < STEPS; step++)
	{
		/* the prior: PRIOR_ROWS / 2 * log(a)^2, whose derivatives at a = 1 vanish and are 1 */
		double		first = PRIOR_ROWS * log(a) / a;
		double		second = PRIOR_ROWS * fmax(1 - log(a), 0) / (a * a);
		double		next;

		for (size_t row = 0; row < n; row++)
			add_derivatives(n_outputs, outputs + row * n_outputs, targets[row], offset, a, &first, &second);
		if (!isfinite(first) || !isfinite(second))
			return 1;
		if (first > 0)
			high = a;
		else
			low = a;
		next = second > 0 ? a - first / second : 0;
		if (!(next > low && next < high))
			next = sqrt(low * high);
		if (fabs(next - a) <= 1e-9 * a)
			break;
		a = next;
	}
	return 1 / a;
}

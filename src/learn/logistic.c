/*
 * logistic.c: many log odds to probabilities.
 *
 * The library's exponential takes one number at a time, and its bits depend on whether the processor has fused multiply-adds. This one
 * is a polynomial of plain IEEE operations, one after another, so that any number of values at once have the same bits everywhere.
 */
#include "logistic.h"

#include <stdint.h>
#include <string.h>

#include "wide.h"

#define LOWEST -708.0			/* exp of less has fewer digits than a double */
#define ROUNDER 6755399441055744.0	/* 1.5 * 2^52: what is added to it is rounded to a whole number, in its last bits */

/* exp(x), x at most 0: 2^n exp(r), |r| at most log(2) / 2, by r's series up to r^13. */
static inline double
exp_negative(double x)
{
	double		inside = x < LOWEST ? LOWEST : x;
	double		shifted = inside * 1.4426950408889634 + ROUNDER;
	double		n = shifted - ROUNDER;
	double		r = (inside - n * 0x1.62e42fee00000p-1) - n * 0x1.a39ef35793c76p-33;	/* log(2) in two parts */
	double		sum = 1.0 / 6227020800.0;
	uint64_t	bits;
	uint64_t	power;
	double		two_to_n;

	sum = sum * r + 1.0 / 479001600.0;
	sum = sum * r + 1.0 / 39916800.0;
	sum = sum * r + 1.0 / 3628800.0;
	sum = sum * r + 1.0 / 362880.0;
	sum = sum * r + 1.0 / 40320.0;
	sum = sum * r + 1.0 / 5040.0;
	sum = sum * r + 1.0 / 720.0;
	sum = sum * r + 1.0 / 120.0;
	sum = sum * r + 1.0 / 24.0;
	sum = sum * r + 1.0 / 6.0;
	sum = sum * r + 0.5;
	sum = sum * r * r + r + 1.0;
	memcpy(&bits, &shifted, sizeof(bits));
	power = (bits + 1023) << 52;
	memcpy(&two_to_n, &power, sizeof(two_to_n));
	return x < LOWEST ? 0.0 : sum * two_to_n;
}

WIDE_LOOPS static void
to_probabilities(size_t n, double *values)
{
	for (size_t i = 0; i < n; i++)
	{
		double		x = values[i];
		double		e = exp_negative(-fabs(x));

		values[i] = (x >= 0 ? 1.0 : e) / (1.0 + e);
	}
}

void
learn_logistic_all(size_t n, double *values)
{
	to_probabilities(n, values);
}

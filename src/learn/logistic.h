/*
 * logistic.h: from log odds to a probability; private to src/learn.
 */
#ifndef IDLA_LEARN_LOGISTIC_H
#define IDLA_LEARN_LOGISTIC_H

#include <math.h>
#include <stddef.h>

/* 1 / (1 + exp(-x)), without overflow, and as exact far below zero as far above. */
static inline double
learn_logistic(double x)
{
	double		e = exp(-fabs(x));

	return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

/* The same of n values, in place, within two units in the last place of it; below -708 it is 0. */
extern void learn_logistic_all(size_t n, double *values);

#endif							/* IDLA_LEARN_LOGISTIC_H */

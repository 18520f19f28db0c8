/*
 * logistic.h: from log odds to a probability; private to src/learn.
 */
#ifndef IDLA_LEARN_LOGISTIC_H
#define IDLA_LEARN_LOGISTIC_H

#include <math.h>

/* 1 / (1 + exp(-x)), without overflow, and as exact far below zero as far above. */
static inline double
learn_logistic(double x)
{
	double		e = exp(-fabs(x));

	return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

#endif							/* IDLA_LEARN_LOGISTIC_H */

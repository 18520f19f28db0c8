/*
 * signal_resample.c: a signal at another sampling rate.
 *
 * Output i is read at position i * step of the source. The windowed sinc is stretched when the new rate is
 * lower, so that what the new rate cannot carry is taken out instead of folded back; its weights are divided by their sum, so that a
 * constant stays one, at the ends too.
 */
#include "idla/learn_signal.h"

#include <math.h>
#include <string.h>

#define CROSSINGS 8				/* zeros of the sinc on either side within the window */
#define STEPS 256				/* places between two zeros for which the weight is computed; between them lines do, to 2e-5 */
#define PI 3.14159265358979323846

static bool
is_stopped(const volatile bool *stop)
{
	return stop != NULL && *stop;
}

/* The sinc under a Hann window at i / STEPS zeros from its middle; 0 from its end on. */
static void
tabulate(double weights[CROSSINGS * STEPS + 2])
{
	weights[0] = 1;
	for (size_t i = 1; i < CROSSINGS * STEPS; i++)
	{
		double		x = PI * (double) i / STEPS;

		weights[i] = sin(x) / x * (0.5 + 0.5 * cos(x / CROSSINGS));
	}
	weights[CROSSINGS * STEPS] = weights[CROSSINGS * STEPS + 1] = 0;
}

/* x in places of the table, 0 to CROSSINGS * STEPS. */
static inline double
look_up(const double *weights, double x)
{
	size_t		low = (size_t) x;

	return weights[low] + (weights[low + 1] - weights[low]) * (x - (double) low);
}

bool
learn_signal_resample(size_t n_src, size_t leads, const float *src, double step, size_t n_dst, float *dst,
					  const volatile bool *stop)
{
	const double stretch = step > 1 ? step : 1;
	const double reach = CROSSINGS * stretch;
	double		weights[CROSSINGS * STEPS + 2];
	double		sums[LEARN_SIGNAL_MOST_LEADS];

	tabulate(weights);
	for (size_t i = 0; i < n_dst; i++)
	{
		double		at = fmin((double) i * step, (double) (n_src - 1));
		size_t		first = at > reach ? (size_t) ceil(at - reach) : 0;
		size_t		last = at + reach < (double) (n_src - 1) ? (size_t) (at + reach) : n_src - 1;
		double		total = 0;

		if (is_stopped(stop))
			return false;
		memset(sums, 0, leads * sizeof(double));
		for (size_t t = first; t <= last; t++)
		{
			double		weight = look_up(weights, fmin(fabs((double) t - at) / stretch, CROSSINGS) * STEPS);

			total += weight;
			for (size_t lead = 0; lead < leads; lead++)
				sums[lead] += weight * src[t * leads + lead];
		}
		for (size_t lead = 0; lead < leads; lead++)
			dst[i * leads + lead] = (float) (sums[lead] / total);
	}
	return true;
}

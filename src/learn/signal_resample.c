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
#define PI 3.14159265358979323846

static void
resample_linear(size_t n_src, size_t leads, const float *src, double step, size_t n_dst, float *dst)
{
	for (size_t i = 0; i < n_dst; i++)
	{
		double		at = (double) i * step;
		size_t		low = at < (double) (n_src - 1) ? (size_t) at : n_src - 1;
		size_t		high = low + 1 < n_src ? low + 1 : low;
		double		fraction = high > low ? at - (double) low : 0;

		for (size_t lead = 0; lead < leads; lead++)
		{
			double		from = src[low * leads + lead];

			dst[i * leads + lead] = (float) (from + (src[high * leads + lead] - from) * fraction);
		}
	}
}

/* sinc under a Hann window; x in zero crossings of the sinc. */
static double
weigh(double x)
{
	if (fabs(x) < 1e-9)
		return 1;
	if (fabs(x) >= CROSSINGS)
		return 0;
	return sin(PI * x) / (PI * x) * (0.5 + 0.5 * cos(PI * x / CROSSINGS));
}

static void
resample_sinc(size_t n_src, size_t leads, const float *src, double step, size_t n_dst, float *dst)
{
	const double stretch = step > 1 ? step : 1;
	const double reach = CROSSINGS * stretch;
	double		sums[LEARN_SIGNAL_MOST_LEADS * 2];

	for (size_t i = 0; i < n_dst; i++)
	{
		double		at = fmin((double) i * step, (double) (n_src - 1));
		size_t		first = at > reach ? (size_t) ceil(at - reach) : 0;
		size_t		last = at + reach < (double) (n_src - 1) ? (size_t) (at + reach) : n_src - 1;
		double		total = 0;

		memset(sums, 0, leads * sizeof(double));
		for (size_t t = first; t <= last; t++)
		{
			double		weight = weigh(((double) t - at) / stretch);

			total += weight;
			for (size_t lead = 0; lead < leads; lead++)
				sums[lead] += weight * src[t * leads + lead];
		}
		for (size_t lead = 0; lead < leads; lead++)
			dst[i * leads + lead] = (float) (sums[lead] / total);
	}
}

void
learn_signal_resample(LearnResampling how, size_t n_src, size_t leads, const float *src, double step,
					  size_t n_dst, float *dst)
{
	if (how == LEARN_RESAMPLE_LINEAR)
		resample_linear(n_src, leads, src, step, n_dst, dst);
	else
		resample_sinc(n_src, leads, src, step, n_dst, dst);
}

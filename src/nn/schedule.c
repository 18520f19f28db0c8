/*
 * schedule.c: the learning rate's factor over a run.
 *
 * The first warm_up share of the steps rises linearly; what follows stays
 * (constant), falls to zero along half a cosine (Loshchilov and Hutter 2017), or
 * is the second half of one cycle (Smith 2018): from a twenty-fifth of the rate up
 * to all of it and down to almost none, by a cosine. A cycle needs a rise, so
 * without a warm-up it takes Smith's 30 %.
 */
#include "idla/nn.h"

#include <math.h>

#define PI 3.14159265358979323846
#define CYCLE_START (1.0 / 25)
#define CYCLE_END (1.0 / 250000)
#define CYCLE_RISE 0.3

/* From `high` to `low` along half a cosine, t in [0, 1]. */
static double
fall(double high, double low, double t)
{
	return low + (high - low) * 0.5 * (1 + cos(PI * t));
}

float
nn_schedule_factor(NnScheduleKind kind, uint64_t step, uint64_t steps, float warm_up)
{
	double		start = kind == NN_ONE_CYCLE ? CYCLE_START : 0;
	double		rise = warm_up > 0 ? fmin(warm_up, 1) : 0;
	double		n_rise;
	double		t;

	if (kind == NN_ONE_CYCLE && rise == 0)
		rise = CYCLE_RISE;
	if (steps == 0)
		return 1;
	if (step >= steps)
		step = steps - 1;

	n_rise = floor(rise * (double) steps);
	if ((double) step < n_rise)
		return (float) (start + (1 - start) * (double) (step + 1) / n_rise);

	/* t is 0 at the first step after the rise and reaches 1 one step after the last: no step is wasted on zero */
	t = ((double) step - n_rise) / ((double) steps - n_rise);
	switch (kind)
	{
		case NN_COSINE:
			return (float) fall(1, 0, t);
		case NN_ONE_CYCLE:
			return (float) fall(1, CYCLE_END, t);
		case NN_CONSTANT:
			break;
	}
	return 1;
}

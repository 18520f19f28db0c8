/*
 * hazard.c: Cox's partial likelihood over many rows, and Breslow's baseline hazard.
 *
 * Both walk the rows from the latest time to the earliest and keep the sum of
 * exp(score) of those still at risk; rows of equal time enter together
 * (Breslow 1974). Sums are kept relative to the largest score, so that
 * no exponential overflows.
 */
#include "trainer.h"

#include "rank.h"

#include <math.h>

/* Row numbers by descending time, to be released. */
static DevStatus
latest_first(DevSession *session, size_t n, const float *targets, uint32_t **order)
{
	double	   *keys = dev_alloc(session, n, sizeof(double));
	DevStatus	status;

	*order = NULL;
	if (keys == NULL)
		return DEV_NO_MEMORY;
	for (size_t row = 0; row < n; row++)
		keys[row] = -(double) targets[2 * row];
	status = learn_order(session, n, keys, order);
	dev_release(session, keys);
	return status;
}

static double
largest_score(size_t n, const float *scores)
{
	double		largest = -INFINITY;

	for (size_t row = 0; row < n; row++)
		largest = fmax(largest, (double) scores[row]);
	return largest;
}

/* End of the rows of the same time as order[first]. */
static size_t
tied_end(size_t n, const float *targets, const uint32_t *order, size_t first)
{
	float		time = targets[2 * (size_t) order[first]];
	size_t		end = first + 1;

	while (end < n && targets[2 * (size_t) order[end]] == time)
		end++;
	return end;
}

DevStatus
learn_cox_loss(DevSession *session, size_t n, const float *scores, const float *targets, double *loss)
{
	double		shift = largest_score(n, scores);
	double		at_risk = 0;
	double		sum = 0;
	size_t		events = 0;
	uint32_t   *order;
	DevStatus	status;

	*loss = NAN;
	if (n == 0)
		return DEV_OK;
	status = latest_first(session, n, targets, &order);
	if (status != DEV_OK)
		return status;
	for (size_t first = 0, end; first < n; first = end)
	{
		end = tied_end(n, targets, order, first);
		for (size_t i = first; i < end; i++)
			at_risk += exp((double) scores[order[i]] - shift);
		for (size_t i = first; i < end; i++)
		{
			if (targets[2 * (size_t) order[i] + 1] > 0)
			{
				sum += log(at_risk) + shift - (double) scores[order[i]];
				events++;
			}
		}
	}
	dev_release(session, order);
	if (events > 0)
		*loss = sum / (double) events;
	return DEV_OK;
}

/* Keeps `most` of n ascending points, evenly by number, the last one among them. */
static size_t
thin(size_t n, size_t most, double *times, double *hazards)
{
	if (n <= most)
		return n;
	for (size_t i = 0; i < most; i++)
	{
		size_t		from = (i + 1) * n / most - 1;

		times[i] = times[from];
		hazards[i] = hazards[from];
	}
	return most;
}

/* Steps of the hazard, latest first: times and increments. Returns their number. */
static size_t
hazard_steps(size_t n, const float *scores, const float *targets, const uint32_t *order, double *times,
			 double *increments)
{
	double		shift = largest_score(n, scores);
	double		at_risk = 0;
	size_t		n_steps = 0;

	for (size_t first = 0, end; first < n; first = end)
	{
		size_t		events = 0;

		end = tied_end(n, targets, order, first);
		for (size_t i = first; i < end; i++)
		{
			at_risk += exp((double) scores[order[i]] - shift);
			events += targets[2 * (size_t) order[i] + 1] > 0;
		}
		if (events > 0)
		{
			times[n_steps] = (double) targets[2 * (size_t) order[first]];
			increments[n_steps++] = (double) events / at_risk * exp(-shift);
		}
	}
	return n_steps;
}

DevStatus
learn_breslow(DevSession *session, size_t n, const float *scores, const float *targets, LearnModel *model)
{
	double	   *times = dev_alloc(session, n, sizeof(double));
	double	   *hazards = dev_alloc(session, n, sizeof(double));
	uint32_t   *order;
	size_t		n_steps;
	double		sum = 0;
	DevStatus	status;

	if (times == NULL || hazards == NULL)
		return DEV_NO_MEMORY;
	status = latest_first(session, n, targets, &order);
	if (status != DEV_OK)
		return status;
	n_steps = hazard_steps(n, scores, targets, order, times, hazards);
	dev_release(session, order);
	for (size_t i = 0; i < n_steps / 2; i++)
	{
		double		time = times[i];
		double		hazard = hazards[i];

		times[i] = times[n_steps - 1 - i];
		hazards[i] = hazards[n_steps - 1 - i];
		times[n_steps - 1 - i] = time;
		hazards[n_steps - 1 - i] = hazard;
	}
	for (size_t i = 0; i < n_steps; i++)
		hazards[i] = sum += hazards[i];
	n_steps = thin(n_steps, LEARN_MAX_HAZARD, times, hazards);
	model->n_hazard = (int) n_steps;
	model->hazard_time = dev_alloc(session, n_steps + 1, sizeof(double));
	model->hazard = dev_alloc(session, n_steps + 1, sizeof(double));
	if (model->hazard_time == NULL || model->hazard == NULL)
		return DEV_NO_MEMORY;
	for (size_t i = 0; i < n_steps; i++)
	{
		model->hazard_time[i] = times[i];
		model->hazard[i] = hazards[i];
	}
	dev_release(session, times);
	dev_release(session, hazards);
	return DEV_OK;
}

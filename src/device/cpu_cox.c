/*
 * cpu_cox.c: the Cox partial likelihood of the rows of a batch on the CPU.
 *
 * The rows are put in descending order of time once. Walking down the order, the set at risk only grows, so the
 * logarithm of its sum of hazards is carried along, scaled by the largest
 * hazard so far: no hazard overflows. The gradient walks back up, and carries the sum of
 * diff / (hazards at risk) over the events passed, scaled in the same way.
 * Ties after Breslow: all rows of one time are at risk for each of its events.
 */
#include "cpu_special.h"

#include <math.h>
#include <string.h>

/* scratch: n numbers of rows, then n log sums in double, whose alignment nobody promises */
static void
put_log_sum(float *scratch, size_t n, size_t i, double value)
{
	memcpy(scratch + n + 2 * i, &value, sizeof(value));
}

static double
get_log_sum(const float *scratch, size_t n, size_t i)
{
	double		value;

	memcpy(&value, scratch + n + 2 * i, sizeof(value));
	return value;
}

/* Row a comes before row b: longer time first, then by number, so that the order is one and the same everywhere. */
static bool
before(const float *target, int32_t a, int32_t b)
{
	float		time_a = target[2 * (size_t) a];
	float		time_b = target[2 * (size_t) b];

	if (time_a != time_b)
		return time_a > time_b;
	return a < b;
}

static void
sift_down(const float *target, int32_t *order, size_t root, size_t n)
{
	while (2 * root + 1 < n)
	{
		size_t		child = 2 * root + 1;
		int32_t		moved = order[root];

		if (child + 1 < n && before(target, order[child], order[child + 1]))
			child++;
		if (!before(target, moved, order[child]))
			return;
		order[root] = order[child];
		order[child] = moved;
		root = child;
	}
}

/* Heap sort: in place, and safe even when NaN times make the comparison inconsistent. */
static void
sort_rows(const float *target, int32_t *order, size_t n)
{
	for (size_t i = 0; i < n; i++)
		order[i] = (int32_t) i;
	for (size_t i = n / 2; i-- > 0;)
		sift_down(target, order, i, n);
	for (size_t end = n; end-- > 1;)
	{
		int32_t		last = order[end];

		order[end] = order[0];
		order[0] = last;
		sift_down(target, order, 0, end);
	}
}

/* End of the run of equal times that starts at i in the order. */
static size_t
end_of_ties(const float *target, const int32_t *order, size_t i, size_t n)
{
	float		time = target[2 * (size_t) order[i]];
	size_t		end = i + 1;

	while (end < n && target[2 * (size_t) order[end]] == time)
		end++;
	return end;
}

static bool
had_event(const float *target, int32_t row)
{
	return target[2 * (size_t) row + 1] > 0.5f;
}

/* Log of the sum of hazards at risk at the time of each place of the order, for one member. */
static void
sum_hazards(size_t n, size_t members, const float *log_hazard, const float *target, float *scratch)
{
	const int32_t *order = (const int32_t *) (const void *) scratch;
	double		largest = -INFINITY;
	double		sum = 0;		/* of exp(h - largest) */
	size_t		end;

	for (size_t i = 0; i < n; i = end)
	{
		end = end_of_ties(target, order, i, n);
		for (size_t k = i; k < end; k++)
		{
			double		h = log_hazard[(size_t) order[k] * members];

			if (h > largest)
			{
				sum = sum * exp(largest - h) + 1;
				largest = h;
			}
			else
				sum += exp(h - largest);
		}
		for (size_t k = i; k < end; k++)
			put_log_sum(scratch, n, k, largest + log(sum));
	}
}

void
dev_cpu_cox(DevQueue *queue, size_t n, size_t members, const float *log_hazard, const float *target,
			float *scratch, float *loss)
{
	int32_t    *order = (int32_t *) (void *) scratch;

	(void) queue;
	memset(loss, 0, n * sizeof(float));
	sort_rows(target, order, n);
	for (size_t member = 0; member < members; member++)
	{
		sum_hazards(n, members, log_hazard + member, target, scratch);
		for (size_t i = 0; i < n; i++)
		{
			size_t		row = (size_t) order[i];

			if (had_event(target, order[i]))
				loss[row] += (float) ((get_log_sum(scratch, n, i) - log_hazard[row * members + member]) /
									  (double) members);
		}
	}
}

/*
 * d/dh_k = exp(h_k) * (sum over events i with time_i <= time_k of diff_i / hazards at risk at i) - diff_k [event k].
 * Going up in time the log sums fall; `floor_sum` is the one of the last event, so that both
 * exp(floor_sum - older ones) and exp(h_k - floor_sum) are at most 1.
 */
static void
add_gradient(size_t n, size_t members, const float *log_hazard, const float *target, const float *scratch,
			 const float *diff_loss, float *diff)
{
	const int32_t *order = (const int32_t *) (const void *) scratch;
	double		floor_sum = INFINITY;
	double		sum = 0;		/* of diff_i * exp(floor_sum - log sum i) */
	size_t		end = n;

	while (end > 0)
	{
		size_t		first = end - 1;

		while (first > 0 && target[2 * (size_t) order[first - 1]] == target[2 * (size_t) order[end - 1]])
			first--;
		for (size_t k = first; k < end; k++)
		{
			double		log_sum = get_log_sum(scratch, n, k);

			if (!had_event(target, order[k]))
				continue;
			if (log_sum != floor_sum)
				sum = sum != 0 ? sum * exp(log_sum - floor_sum) : 0;
			floor_sum = log_sum;
			sum += diff_loss[order[k]];
		}
		for (size_t k = first; k < end; k++)
		{
			size_t		row = (size_t) order[k];
			double		value = sum != 0 ? sum * exp(log_hazard[row * members] - floor_sum) : 0;

			if (had_event(target, order[k]))
				value -= diff_loss[row];
			diff[row * members] += (float) (value / (double) members);
		}
		end = first;
	}
}

void
dev_cpu_cox_grad(DevQueue *queue, size_t n, size_t members, const float *log_hazard, const float *target,
				 float *scratch, const float *diff_loss, float *diff_log_hazard, bool accumulate)
{
	(void) queue;
	if (!accumulate)
		memset(diff_log_hazard, 0, n * members * sizeof(float));
	sort_rows(target, (int32_t *) (void *) scratch, n);
	for (size_t member = 0; member < members; member++)
	{
		sum_hazards(n, members, log_hazard + member, target, scratch);
		add_gradient(n, members, log_hazard + member, target, scratch, diff_loss, diff_log_hazard + member);
	}
}

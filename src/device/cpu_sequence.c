/*
 * cpu_sequence.c: moving and weighing the positions of padded sequences on the CPU.
 *
 * What lies in the padding is never read, so that it can be anything, and every sum runs over the positions that
 * count alone, so that its bits do not depend on how long the padding is.
 */
#include "cpu_special.h"

#include <string.h>

void
dev_cpu_sequence_copy(DevQueue *queue, size_t batch, size_t length, size_t width, const int32_t *lengths,
					  const float *src, float *dst, bool accumulate)
{
	for (size_t b = 0; b < batch; b++)
	{
		size_t		n = sequence_length(lengths, b, length) * width;
		size_t		first = b * length * width;

		dev_cpu_kernels(queue)->copy(1, n, src + first, n, dst + first, n, accumulate);
		if (!accumulate)
			memset(dst + first + n, 0, (length * width - n) * sizeof(float));
	}
}

void
dev_cpu_sequence_pick(DevQueue *queue, size_t batch, size_t length, size_t width, const int32_t *lengths,
					  bool first, const float *src, float *dst)
{
	(void) queue;
	for (size_t b = 0; b < batch; b++)
	{
		size_t		n = sequence_length(lengths, b, length);

		if (n == 0)
			memset(dst + b * width, 0, width * sizeof(float));
		else
			memcpy(dst + b * width, src + (b * length + (first ? 0 : n - 1)) * width, width * sizeof(float));
	}
}

void
dev_cpu_sequence_put(DevQueue *queue, size_t batch, size_t length, size_t width, const int32_t *lengths,
					 bool first, const float *src, float *dst, bool accumulate)
{
	if (!accumulate)
		memset(dst, 0, batch * length * width * sizeof(float));
	for (size_t b = 0; b < batch; b++)
	{
		size_t		n = sequence_length(lengths, b, length);

		if (n > 0)
			dev_cpu_kernels(queue)->copy(1, width, src + b * width, width,
										 dst + (b * length + (first ? 0 : n - 1)) * width, width, true);
	}
}

void
dev_cpu_sequence_shares(DevQueue *queue, size_t batch, size_t length, const int32_t *lengths,
						const int32_t *targets, size_t n_targets, float *shares)
{
	(void) queue;
	for (size_t b = 0; b < batch; b++)
	{
		size_t		n = sequence_length(lengths, b, length);
		float	   *share = shares + b * length;
		size_t		counted = 0;

		for (size_t t = 0; t < length; t++)
		{
			bool		counts = t < n;

			if (counts && targets != NULL)
			{
				int32_t		target = targets[b * length + t];

				counts = target >= 0 && (size_t) target < n_targets;
			}
			share[t] = counts ? 1.0f : 0.0f;
			counted += counts;
		}
		for (size_t t = 0; t < n; t++)
			share[t] = share[t] > 0 ? 1.0f / (float) counted : 0.0f;
	}
}

void
dev_cpu_sequence_sum(DevQueue *queue, size_t batch, size_t length, size_t width, const int32_t *lengths,
					 const float *weights, const float *src, float *dst)
{
	for (size_t b = 0; b < batch; b++)
	{
		size_t		n = sequence_length(lengths, b, length);

		queue->primitives->product(queue, 1, width, n, weights + b * length, length, src + b * length * width, width,
								   NULL, false, dst + b * width, width);
	}
}

void
dev_cpu_sequence_softmax(DevQueue *queue, size_t batch, size_t length, const int32_t *lengths,
						 const float *x, float *y)
{
	for (size_t b = 0; b < batch; b++)
	{
		size_t		n = sequence_length(lengths, b, length);

		if (n > 0)
			dev_cpu_kernels(queue)->softmax(1, n, x + b * length, n, y + b * length, n, NULL);
		memset(y + b * length + n, 0, (length - n) * sizeof(float));
	}
}

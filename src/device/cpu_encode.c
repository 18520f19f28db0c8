/*
 * cpu_encode.c: turning codes and numbers into features on the CPU.
 *
 * Both encodings are a few operations an element with a choice among them,
 * which the arithmetic primitives would need ten passes for.
 */
#include "cpu_special.h"

#include <string.h>

void
dev_cpu_one_hot(DevQueue *queue, size_t n, size_t width, const int32_t *index, size_t ld_index,
				float *dst, size_t ld_dst)
{
	(void) queue;
	for (size_t row = 0; row < n; row++)
	{
		int32_t		code = index[row * ld_index];

		memset(dst + row * ld_dst, 0, width * sizeof(float));
		if (code >= 0 && (size_t) code < width)
			dst[row * ld_dst + (size_t) code] = 1;
	}
}

/*
 * The bin's value. Comparisons are written so that NaN stays NaN in a bin of some width; an empty bin is the step
 * at its edge, which many equal values of a column make.
 */
static inline float
encode(float x, float low, float high, bool first, bool last)
{
	float		width = high - low;
	float		value = (x - low) / width;
	float		step = x >= low ? 1.0f : 0.0f;

	value = !first && value < 0 ? 0 : value;
	value = !last && value > 1 ? 1 : value;
	return width > 0 ? value : step;
}

static inline float
slope(float x, float low, float high, bool first, bool last)
{
	if (!(high > low) || (!first && x < low) || (!last && x > high))
		return 0;
	return 1 / (high - low);
}

void
dev_cpu_piecewise_linear(DevQueue *queue, size_t rows, size_t n, size_t bins, const float *x,
						 const float *edges, float *y)
{
	(void) queue;
	for (size_t row = 0; row < rows; row++)
		for (size_t j = 0; j < n; j++)
		{
			float		value = x[row * n + j];
			const float *edge = edges + j * (bins + 1);
			float	   *dst = y + (row * n + j) * bins;

			/* as for an inner bin, without a branch; then the two that are not clamped on one side */
			for (size_t b = 0; b < bins; b++)
				dst[b] = encode(value, edge[b], edge[b + 1], false, false);
			dst[0] = encode(value, edge[0], edge[1], true, bins == 1);
			if (bins > 1)
				dst[bins - 1] = encode(value, edge[bins - 1], edge[bins], false, true);
		}
}

void
dev_cpu_piecewise_linear_grad(DevQueue *queue, size_t rows, size_t n, size_t bins, const float *x,
							  const float *edges, const float *diff_y, float *diff_x, bool accumulate)
{
	(void) queue;
	for (size_t row = 0; row < rows; row++)
		for (size_t j = 0; j < n; j++)
		{
			float		value = x[row * n + j];
			const float *edge = edges + j * (bins + 1);
			const float *diff = diff_y + (row * n + j) * bins;
			float		sum = 0;

			for (size_t b = 0; b < bins; b++)
				sum += diff[b] * slope(value, edge[b], edge[b + 1], b == 0, b + 1 == bins);
			diff_x[row * n + j] = accumulate ? diff_x[row * n + j] + sum : sum;
		}
}

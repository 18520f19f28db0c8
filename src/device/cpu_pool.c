/*
 * cpu_pool.c: pools and normalisation on the CPU, image by image.
 */
#include "cpu_special.h"
#include "kernels.h"

#include <string.h>

static size_t
src_size(const DevWindow *w)
{
	return w->height * w->width * w->channels;
}

static size_t
dst_size(const DevWindow *w)
{
	return w->out_height * w->out_width * w->channels;
}

void
dev_cpu_pool(DevQueue *queue, const DevWindow *w, DevPool kind, size_t batch, const float *src, float *dst)
{
	for (size_t i = 0; i < batch && !dev_queue_stopped(queue); i++)
		dev_cpu_kernels(queue)->pool(w, kind, src + i * src_size(w), dst + i * dst_size(w));
}

void
dev_cpu_pool_grad(DevQueue *queue, const DevWindow *w, DevPool kind, size_t batch, const float *src, const float *dst,
				  const float *diff_dst, float *diff_src, bool accumulate)
{
	if (!accumulate)
		memset(diff_src, 0, batch * src_size(w) * sizeof(float));
	for (size_t i = 0; i < batch && !dev_queue_stopped(queue); i++)
		dev_cpu_kernels(queue)->pool_grad(w, kind, src + i * src_size(w), dst + i * dst_size(w),
										  diff_dst + i * dst_size(w), diff_src + i * src_size(w));
}

/* How many positions of example i count. */
static size_t
length_of(const int32_t *lengths, size_t i, size_t positions)
{
	if (lengths == NULL)
		return positions;
	if (lengths[i] <= 0)
		return 0;
	return (size_t) lengths[i] < positions ? (size_t) lengths[i] : positions;
}

void
dev_cpu_pool_positions(DevQueue *queue, DevPool kind, size_t batch, size_t positions, size_t cols, const float *src,
					   const int32_t *lengths, float *dst)
{
	for (size_t i = 0; i < batch && !dev_queue_stopped(queue); i++)
		dev_cpu_kernels(queue)->pool_all(kind, length_of(lengths, i, positions), cols, src + i * positions * cols,
										 dst + i * cols);
}

void
dev_cpu_pool_positions_grad(DevQueue *queue, DevPool kind, size_t batch, size_t positions, size_t cols, const float *src,
							const int32_t *lengths, const float *dst, const float *diff_dst, float *diff_src,
							bool accumulate)
{
	if (!accumulate)
		memset(diff_src, 0, batch * positions * cols * sizeof(float));
	for (size_t i = 0; i < batch && !dev_queue_stopped(queue); i++)
		dev_cpu_kernels(queue)->pool_all_grad(kind, length_of(lengths, i, positions), cols, src + i * positions * cols,
											  dst + i * cols, diff_dst + i * cols, diff_src + i * positions * cols);
}

void
dev_cpu_mask_positions(DevQueue *queue, size_t batch, size_t positions, size_t cols, const float *src,
					   const int32_t *lengths, float *dst, bool accumulate)
{
	for (size_t i = 0; i < batch; i++)
	{
		size_t		first = i * positions * cols;
		size_t		n = length_of(lengths, i, positions) * cols;

		dev_cpu_kernels(queue)->copy(1, n, src + first, n, dst + first, n, accumulate);
		if (!accumulate && n < positions * cols)
			memset(dst + first + n, 0, (positions * cols - n) * sizeof(float));
	}
}

void
dev_cpu_moments(DevQueue *queue, size_t count, size_t rows, size_t cols, const float *x, float *mean, float *variance)
{
	for (size_t i = 0; i < count; i++)
		dev_cpu_kernels(queue)->moments(rows, cols, x + i * rows * cols, mean + i * cols, variance + i * cols);
}

void
dev_cpu_affine(DevQueue *queue, size_t count, size_t rows, size_t cols, const float *x, const float *mean,
			   const float *scale, const float *shift, bool relu, float *y)
{
	for (size_t i = 0; i < count; i++)
		dev_cpu_kernels(queue)->affine(rows, cols, x + i * rows * cols, mean + i * cols, scale + i * cols,
									   shift + i * cols, relu, y + i * rows * cols);
}

void
dev_cpu_affine_sums(DevQueue *queue, size_t count, size_t rows, size_t cols, const float *x, const float *mean,
					const float *scale, const float *shift, const float *diff_y, float *sum_diff, float *sum_product)
{
	for (size_t i = 0; i < count; i++)
		dev_cpu_kernels(queue)->affine_sums(rows, cols, x + i * rows * cols, mean + i * cols,
											scale == NULL ? NULL : scale + i * cols,
											scale == NULL ? NULL : shift + i * cols, diff_y + i * rows * cols,
											sum_diff + i * cols, sum_product + i * cols);
}

void
dev_cpu_affine_grad(DevQueue *queue, size_t count, size_t rows, size_t cols, const float *x, const float *mean,
					const float *scale, const float *shift, const float *diff_y, const float *a, const float *b,
					const float *c, float *diff_x, bool accumulate)
{
	for (size_t i = 0; i < count; i++)
		dev_cpu_kernels(queue)->affine_grad(rows, cols, x + i * rows * cols, mean + i * cols,
											scale == NULL ? NULL : scale + i * cols,
											scale == NULL ? NULL : shift + i * cols, diff_y + i * rows * cols,
											a + i * cols, b + i * cols, c + i * cols, diff_x + i * rows * cols, accumulate);
}

void
dev_cpu_add_relu(DevQueue *queue, size_t n, const float *a, const float *b, float *y)
{
	dev_cpu_kernels(queue)->add_relu(n, a, b, y);
}

/*
 * kernels.h: the loops of the CPU device, once per instruction set; private to src/device.
 *
 * kernels_portable.c, kernels_avx2.c and kernels_avx512.c include the same bodies
 * (kernel_*.h) over a small vector type. Every sum has an order that does not depend on
 * the instruction set, multiply-adds are fused where the source says so and
 * nowhere else: the three give the same bits, but for gemm.
 */
#ifndef IDLA_DEVICE_KERNELS_H
#define IDLA_DEVICE_KERNELS_H

#include "idla/device.h"

/* A product is done in blocks of so many rows, columns and terms; multiply wants KERNEL_PACK_SIZE floats to copy them to. */
#define KERNEL_ROWS 240
#define KERNEL_COLS 512
#define KERNEL_DEPTH 256
#define KERNEL_PACK_SIZE (KERNEL_DEPTH * (KERNEL_ROWS + KERNEL_COLS))

/* Sums are kept in this many lanes whatever the vector's width, so that their order is the same everywhere. */
#define KERNEL_LANES 16

typedef struct Kernels
{
	const char *name;
	bool		wide;			/* vectors of 16 floats */
	size_t		small;			/* products with a side below this are no slower than OpenBLAS's, often faster */

	/*
	 * C = alpha * A B + beta * C, or with bias (which needs alpha 1 and beta 0) C = A B + bias. Element (i, p) of A lies
	 * at a[i * row_a + p * col_a], likewise of B. chained: every element is one chain of fused multiply-adds over p
	 * in ascending order that starts at the bias.
	 */
	void		(*multiply) (bool chained, size_t m, size_t n, size_t k, float alpha,
							 const float *a, size_t row_a, size_t col_a, const float *b, size_t row_b, size_t col_b,
							 float beta, const float *bias, float *c, size_t ldc, float *pack);

	/* The rest as in DevPrimitives. */
	void		(*copy) (size_t rows, size_t cols, const float *src, size_t ld_src,
						 float *dst, size_t ld_dst, bool accumulate);
	void		(*map) (DevMap function, size_t n, const float *x, float parameter, float *y);
	void		(*map_grad) (DevMap function, size_t n, const float *x, const float *y, float parameter,
							 const float *diff_y, float *diff_x, bool accumulate);
	void		(*zip) (DevZip function, DevSpread spread, size_t rows, size_t cols, const float *a, size_t lda,
						const float *b, size_t ldb, float *dst, size_t ld_dst, bool accumulate);
	void		(*reduce_rows) (size_t rows, size_t cols, const float *a, size_t lda, const float *b, size_t ldb,
								float *dst, bool accumulate);
	void		(*reduce_cols) (size_t rows, size_t cols, const float *a, size_t lda, const float *b, size_t ldb,
								float *dst, bool accumulate);
	void		(*softmax) (size_t rows, size_t cols, const float *x, size_t ldx, float *y, size_t ldy, float *log_sum);
	void		(*random_mask) (size_t n, float rate, uint64_t seed, uint64_t stream, uint64_t first, float *dst);
	void		(*adam) (size_t n, const DevAdam *how, const float *diff_weights, float *weights,
						 float *mean, float *variance);

	/* As multiply with alpha 1, where all operands are in the cache: nothing is packed. n is a multiple of KERNEL_LANES. */
	void		(*multiply_small) (bool chained, size_t m, size_t n, size_t k, const float *a, size_t row_a, size_t col_a,
								   const float *b, size_t ldb, bool accumulate, float *c, size_t ldc);

	/* Parts of convolution; see kernel_winograd.h and kernel_window.h. */
	void		(*winograd_source) (const DevWindow *window, const float *src, size_t first, size_t n, const float *zeros,
									float *dst, size_t plane);
	void		(*winograd_output) (const DevWindow *window, const float *src, size_t plane, size_t first, size_t n,
									bool accumulate, float *dst);
	void		(*winograd_output_back) (const DevWindow *window, const float *diff_dst, size_t first, size_t n,
										 const float *zeros, float *dst, size_t plane);
	void		(*winograd_weights) (const DevWindow *window, bool turned, const float *weights, float *dst);
	void		(*winograd_weights_back) (const DevWindow *window, const float *src, float *diff_weights);
	void		(*lower) (const DevWindow *window, size_t group, size_t first, size_t count, const float *src, float *dst);
	void		(*raise_rows) (const DevWindow *window, size_t group, size_t first, size_t count, const float *src, float *dst);
	void		(*depthwise) (const DevWindow *window, const float *src, const float *weights, float *dst);
	void		(*depthwise_src) (const DevWindow *window, const float *diff_dst, const float *weights, float *diff_src);
	void		(*depthwise_weights) (const DevWindow *window, const float *src, const float *diff_dst, float *diff_weights);

	/* Of one image or example. */
	void		(*pool) (const DevWindow *window, DevPool kind, const float *src, float *dst);
	void		(*pool_grad) (const DevWindow *window, DevPool kind, const float *src, const float *dst,
							  const float *diff_dst, float *diff_src);
	void		(*pool_all) (DevPool kind, size_t positions, size_t cols, const float *src, float *dst);
	void		(*pool_all_grad) (DevPool kind, size_t positions, size_t cols, const float *src, const float *dst,
								  const float *diff_dst, float *diff_src);

	/* Of one matrix. */
	void		(*moments) (size_t rows, size_t cols, const float *x, float *mean, float *variance);
	void		(*affine) (size_t rows, size_t cols, const float *x, const float *mean, const float *scale,
						   const float *shift, bool relu, float *y);
	void		(*affine_sums) (size_t rows, size_t cols, const float *x, const float *mean, const float *scale,
								const float *shift, const float *diff, float *sum_diff, float *sum_product);
	void		(*affine_grad) (size_t rows, size_t cols, const float *x, const float *mean, const float *scale,
								const float *shift, const float *diff, const float *a, const float *b, const float *c,
								float *diff_x, bool accumulate);
	void		(*add_relu) (size_t n, const float *a, const float *b, float *y);
} Kernels;

extern const Kernels dev_kernels_portable;
#if defined(__x86_64__)
extern const Kernels dev_kernels_avx2;
extern const Kernels dev_kernels_avx512;
#endif

/* Variant number `i` that this processor can run, the best one first; NULL past the last. */
extern const Kernels *dev_kernels(int i);

/* Those of a queue of the CPU. */
extern const Kernels *dev_cpu_kernels(const DevQueue *queue);

/* For tests: makes a CPU device use one variant, for all its queues. */
extern void dev_cpu_use_kernels(DevDevice *device, const Kernels *kernels);

#endif							/* IDLA_DEVICE_KERNELS_H */

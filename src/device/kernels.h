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

typedef struct Kernels
{
	const char *name;
	size_t		small;			/* products with a side below this are no slower than OpenBLAS's, often faster; SIZE_MAX: all are */

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
	void		(*layer_norm) (size_t rows, size_t cols, const float *x, const float *gain, const float *bias, float epsilon,
							   float *y, float *statistics);
	void		(*layer_norm_grad) (size_t rows, size_t cols, const float *x, const float *gain, const float *statistics,
									const float *diff_y, float *diff_x, bool accumulate,
									float *diff_gain, float *diff_bias);

	/*
	 * One tile of scores, before scaling, turned into weights under the running maximum: row r sees its first
	 * diagonal + r columns (diagonal is at least 1), the others get 0. most and sum (rows) go on from the tile before, unless
	 * it is the first; factor (rows) is what sums so far must be multiplied by. ld is a multiple of 16 and holds the columns rounded up to one.
	 */
	void		(*attend) (size_t rows, size_t cols, size_t diagonal, float scale, bool first, float *scores, size_t ld,
						   float *most, float *sum, float *factor);
	/*
	 * The same tile on the way back: scores become the weights times the mask (NULL: none), diff, which is the gradient of
	 * masked weights, becomes that of the scores. dots (rows): sum over all keys of weight times gradient.
	 */
	void		(*attend_grad) (size_t rows, size_t cols, size_t diagonal, float scale, const float *log_sum, const float *dots,
								const float *mask, float *scores, float *diff, size_t ld);
} Kernels;

extern const Kernels dev_kernels_portable;
#if defined(__x86_64__)
extern const Kernels dev_kernels_avx2;
extern const Kernels dev_kernels_avx512;
#endif

/* Variant number `i` that this processor can run, the best one first; NULL past the last. */
extern const Kernels *dev_kernels(int i);

/* For tests: makes a CPU device use one variant, for all its queues. */
extern void dev_cpu_use_kernels(DevDevice *device, const Kernels *kernels);

#endif							/* IDLA_DEVICE_KERNELS_H */

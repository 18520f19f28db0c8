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

/* Floats that a packed B takes. */
static inline size_t
kernel_packed_size(size_t k, size_t n)
{
	return k * ((n + 31) / 32 * 32);
}

typedef struct Kernels
{
	const char *name;
	size_t		small;			/* products with a side below this are no slower than OpenBLAS's, often faster; SIZE_MAX: all are */

	/*
	 * C = alpha * A B + beta * C, or with bias (which needs alpha 1 and beta 0) C = A B + bias, and then its relu where that is wanted. Element (i, p)
	 * of A lies at a[i * row_a + p * col_a], likewise of B. chained: every element is one chain of fused multiply-adds over p
	 * in ascending order, to whose end the bias is added.
	 */
	void		(*multiply) (bool chained, size_t m, size_t n, size_t k, float alpha,
							 const float *a, size_t row_a, size_t col_a, const float *b, size_t row_b, size_t col_b,
							 float beta, const float *bias, bool relu, float *c, size_t ldc, float *pack);

	/*
	 * The same product with a B that is used again and again. pack: B (k, n) into kernel_packed_size(k, n) floats, which
	 * multiply_packed reads: C (+)= A B, A (m, k) with rows lda apart.
	 */
	void		(*pack) (size_t k, size_t n, const float *b, size_t row_b, size_t col_b, float *packed);
	void		(*multiply_packed) (bool chained, size_t m, size_t n, size_t k, const float *a, size_t lda,
									const float *packed, bool accumulate, float *c, size_t ldc);

	/*
	 * One position of one sequence. lstm_cell: gates (4 n) holds x W and becomes i f g o; product (4 n) is h' U; before is
	 * the cell before; the hidden state goes to dst and to state. gru_cell: gates (4 n) holds x W in its first 3 n and becomes
	 * r z n and h' U_n + c_n; before is the hidden state before.
	 */
	void		(*lstm_cell) (size_t n, const float *bias, const float *product, float *gates, const float *before,
							  float *cell, float *dst, float *state);
	void		(*gru_cell) (size_t n, const float *bias, const float *bias_hidden, const float *product, float *gates,
							 const float *before, float *dst, float *state);
	/*
	 * The way back: diff_dst + carry is the gradient of the hidden state, carry_cell that of the cell but for this position,
	 * and then that of the cell before. Gradients under the gates go to diff_gates, are packed into `product`
	 * for the product with U' and are added to diff_bias. gru: carry becomes the gradient that reaches h' beside the gates.
	 */
	void		(*lstm_cell_grad) (size_t n, const float *gates, const float *before, const float *cell,
								   const float *diff_dst, const float *carry, float *carry_cell,
								   float *diff_gates, float *product, float *diff_bias);
	void		(*gru_cell_grad) (size_t n, const float *gates, const float *before, const float *diff_dst, float *carry,
								  float *diff_gates, float *product, float *diff_bias);

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

/* Those of a queue of the CPU. */
extern const Kernels *dev_cpu_kernels(const DevQueue *queue);

/* For tests: makes a CPU device use one variant, for all its queues. */
extern void dev_cpu_use_kernels(DevDevice *device, const Kernels *kernels);

#endif							/* IDLA_DEVICE_KERNELS_H */

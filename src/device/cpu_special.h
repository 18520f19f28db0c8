/*
 * cpu_special.h: the CPU's primitives that serve one operator each; private to src/device.
 */
#ifndef IDLA_CPU_SPECIAL_H
#define IDLA_CPU_SPECIAL_H

#include "idla/device.h"

/* cpu_encode.c */
extern void dev_cpu_one_hot(DevQueue *queue, size_t n, size_t width, const int32_t *index, size_t ld_index,
							float *dst, size_t ld_dst);
extern void dev_cpu_piecewise_linear(DevQueue *queue, size_t rows, size_t n, size_t bins, const float *x,
									 const float *edges, float *y);
extern void dev_cpu_piecewise_linear_grad(DevQueue *queue, size_t rows, size_t n, size_t bins, const float *x,
										  const float *edges, const float *diff_y, float *diff_x, bool accumulate);

/* cpu_cox.c */
extern void dev_cpu_cox(DevQueue *queue, size_t n, size_t members, const float *log_hazard, const float *target,
						float *scratch, float *loss);
extern void dev_cpu_cox_grad(DevQueue *queue, size_t n, size_t members, const float *log_hazard, const float *target,
							 float *scratch, const float *diff_loss, float *diff_log_hazard, bool accumulate);

/* cpu_convolve.c */
extern void dev_cpu_convolve(DevQueue *queue, const DevWindow *w, size_t batch, bool chained, const float *src,
							 const float *weights, float *dst, float *scratch);
extern void dev_cpu_convolve_grad_src(DevQueue *queue, const DevWindow *w, size_t batch, const float *diff_dst,
									  const float *weights, float *diff_src, bool accumulate, float *scratch);
extern void dev_cpu_convolve_grad_weights(DevQueue *queue, const DevWindow *w, size_t batch, const float *src,
										  const float *diff_dst, float *diff_weights, float *scratch);

/* cpu_pool.c */
extern void dev_cpu_pool(DevQueue *queue, const DevWindow *w, DevPool kind, size_t batch, const float *src, float *dst);
extern void dev_cpu_pool_grad(DevQueue *queue, const DevWindow *w, DevPool kind, size_t batch, const float *src,
							  const float *dst, const float *diff_dst, float *diff_src, bool accumulate);
extern void dev_cpu_pool_positions(DevQueue *queue, DevPool kind, size_t batch, size_t positions, size_t cols,
								   const float *src, const int32_t *lengths, float *dst);
extern void dev_cpu_pool_positions_grad(DevQueue *queue, DevPool kind, size_t batch, size_t positions, size_t cols,
										const float *src, const int32_t *lengths, const float *dst,
										const float *diff_dst, float *diff_src, bool accumulate);
extern void dev_cpu_mask_positions(DevQueue *queue, size_t batch, size_t positions, size_t cols, const float *src,
								   const int32_t *lengths, float *dst, bool accumulate);
extern void dev_cpu_moments(DevQueue *queue, size_t count, size_t rows, size_t cols, const float *x, float *mean,
							float *variance);
extern void dev_cpu_affine(DevQueue *queue, size_t count, size_t rows, size_t cols, const float *x, const float *mean,
						   const float *scale, const float *shift, bool relu, float *y);
extern void dev_cpu_affine_sums(DevQueue *queue, size_t count, size_t rows, size_t cols, const float *x, const float *mean,
								const float *scale, const float *shift, const float *diff_y, float *sum_diff,
								float *sum_product);
extern void dev_cpu_affine_grad(DevQueue *queue, size_t count, size_t rows, size_t cols, const float *x, const float *mean,
								const float *scale, const float *shift, const float *diff_y, const float *a,
								const float *b, const float *c, float *diff_x, bool accumulate);
extern void dev_cpu_add_relu(DevQueue *queue, size_t n, const float *a, const float *b, float *y);

#endif							/* IDLA_CPU_SPECIAL_H */

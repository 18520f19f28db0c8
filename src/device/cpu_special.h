/*
 * cpu_special.h: the CPU's primitives that serve one operator each, and what they need of a queue; private to src/device.
 */
#ifndef IDLA_CPU_SPECIAL_H
#define IDLA_CPU_SPECIAL_H

#include "kernels.h"

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

/* cpu_attention.c */
extern void dev_cpu_attention(DevQueue *queue, const DevAttention *how, const float *query, const float *key,
							  const float *value, float *scratch, float *dst, float *log_sum);
extern void dev_cpu_attention_grad(DevQueue *queue, const DevAttention *how, const float *query, const float *key,
								   const float *value, const float *dst, const float *log_sum, const float *diff_dst,
								   float *scratch, float *diff_query, float *diff_key, float *diff_value);

/* cpu_codes.c */
extern void dev_cpu_limit_codes(DevQueue *queue, size_t batch, size_t length, const int32_t *codes, const int32_t *lengths,
								size_t n_table, int32_t *dst);
extern void dev_cpu_first_equal(DevQueue *queue, size_t n, const int32_t *codes, int32_t *dst);

/* cpu.c: the kernels of a queue's device, and the memory of the queue that their `multiply` copies to. */
extern const Kernels *dev_cpu_kernels(const DevQueue *queue);
extern float *dev_cpu_pack(DevQueue *queue);

#endif							/* IDLA_CPU_SPECIAL_H */

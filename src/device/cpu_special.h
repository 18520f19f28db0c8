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

#endif							/* IDLA_CPU_SPECIAL_H */

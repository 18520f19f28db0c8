/*
 * cpu_special.h: the CPU's primitives that serve one operator or one kind of data each; private to src/device.
 */
#ifndef IDLA_CPU_SPECIAL_H
#define IDLA_CPU_SPECIAL_H

#include "kernels.h"

/* cpu.c: those that the queue's device uses */

/* A product is cut after so many multiply-adds (about 5 ms), and whether to stop is asked between the parts. */
#define PART 250000000.0

/* Rows of C that make one part of a product. */
static inline size_t
part_rows(size_t m, size_t n, size_t k)
{
	double		row = (double) n * (double) k;

	if (row * (double) m <= PART)
		return m;
	return row >= PART ? 1 : (size_t) (PART / row);
}


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

/* cpu_sequence.c */
extern void dev_cpu_sequence_copy(DevQueue *queue, size_t batch, size_t length, size_t width, const int32_t *lengths,
								  const float *src, float *dst, bool accumulate);
extern void dev_cpu_sequence_pick(DevQueue *queue, size_t batch, size_t length, size_t width, const int32_t *lengths,
								  bool first, const float *src, float *dst);
extern void dev_cpu_sequence_put(DevQueue *queue, size_t batch, size_t length, size_t width, const int32_t *lengths,
								 bool first, const float *src, float *dst, bool accumulate);
extern void dev_cpu_sequence_shares(DevQueue *queue, size_t batch, size_t length, const int32_t *lengths,
									const int32_t *targets, size_t n_targets, float *shares);
extern void dev_cpu_sequence_sum(DevQueue *queue, size_t batch, size_t length, size_t width, const int32_t *lengths,
								 const float *weights, const float *src, float *dst);
extern void dev_cpu_sequence_softmax(DevQueue *queue, size_t batch, size_t length, const int32_t *lengths,
									 const float *x, float *y);

/* cpu_recurrent.c */
extern void dev_cpu_lstm(DevQueue *queue, const DevRecurrence *how, float *work, float *dst, float *scratch);
extern void dev_cpu_gru(DevQueue *queue, const DevRecurrence *how, float *work, float *dst, float *scratch);
extern void dev_cpu_lstm_grad(DevQueue *queue, const DevRecurrence *how, const float *work, const float *dst,
							  const float *diff_dst, float *scratch, float *diff_gates, float *diff_bias);
extern void dev_cpu_gru_grad(DevQueue *queue, const DevRecurrence *how, const float *work, const float *dst,
							 const float *diff_dst, float *scratch, float *diff_gates, float *diff_bias);

/* cpu_crf.c */
extern void dev_cpu_crf(DevQueue *queue, const DevCrf *how, const float *emissions, float *scratch, float *loss);
extern void dev_cpu_crf_grad(DevQueue *queue, const DevCrf *how, const float *emissions, float *scratch,
							 const float *diff_loss, float *diff_emissions, bool accumulate,
							 float *diff_transitions, float *diff_start, float *diff_end);

/* Positions of example b that count: see the sequences in device.h. */
static inline size_t
sequence_length(const int32_t *lengths, size_t b, size_t length)
{
	if (lengths == NULL)
		return length;
	return lengths[b] <= 0 ? 0 : (size_t) lengths[b] < length ? (size_t) lengths[b] : length;
}
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

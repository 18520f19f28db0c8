/*
 * device.h: arithmetic on one device.
 *
 * A device is memory plus a table of about twenty primitives; operators are
 * written over the primitives once and run wherever they exist. The CPU device
 * (src/device/cpu.c) opens OpenBLAS at run time; adding a device is one file
 * that fills the table.
 *
 * A queue is an in-order stream of work on a device, one per thread. On the CPU
 * a primitive is done when it returns; elsewhere it may only be enqueued, so
 * primitives return nothing and a failure is kept by the queue until
 * dev_synchronize tells it. Matrices are row-major float32; `ld` is the distance in
 * elements between rows. Pointers are to device memory.
 */
#ifndef IDLA_DEVICE_H
#define IDLA_DEVICE_H

#include "idla/session.h"

typedef struct DevDevice DevDevice;
typedef struct DevQueue DevQueue;

/* Elementwise functions of one argument; parameter is the slope, rate or exponent where one is needed. */
typedef enum DevMap
{
	DEV_MAP_COPY,
	DEV_MAP_SCALE,				/* parameter * x */
	DEV_MAP_RELU,
	DEV_MAP_GELU,				/* exact: x * Phi(x), by erf */
	DEV_MAP_SILU,
	DEV_MAP_MISH,
	DEV_MAP_SELU,
	DEV_MAP_TANH,
	DEV_MAP_SIGMOID,
	DEV_MAP_SOFTPLUS,			/* log(1 + exp(x)), without overflow */
	DEV_MAP_EXP,
	DEV_MAP_LOG,
	DEV_MAP_SQUARE,
	DEV_MAP_SQRT,
	DEV_MAP_RECIPROCAL,
	DEV_MAP_SIN,
	DEV_MAP_COS,
	DEV_MAP_CLAMP01				/* min(max(x, 0), 1) */
} DevMap;

/* Elementwise functions of two arguments. */
typedef enum DevZip
{
	DEV_ZIP_ADD,
	DEV_ZIP_SUBTRACT,
	DEV_ZIP_MULTIPLY
} DevZip;

/* How the second argument of a zip is spread over a (rows, cols) matrix. */
typedef enum DevSpread
{
	DEV_SPREAD_FULL,			/* b is (rows, cols) */
	DEV_SPREAD_ROW,				/* b is (cols): one value a column, the same for every row */
	DEV_SPREAD_COLUMN			/* b is (rows): one value a row, the same for every column */
} DevSpread;

/* What one optimiser step needs to know; see nn/optimizer.c for the formulas. */
typedef struct DevAdam
{
	float		rate;			/* learning rate of this step */
	float		beta1;
	float		beta2;
	float		epsilon;
	float		decay;			/* decoupled weight decay, multiplied by rate inside */
	float		correction1;	/* 1 - beta1^step */
	float		correction2;	/* 1 - beta2^step */
	float		scale;			/* gradients are multiplied by this first (clipping, averaging) */
} DevAdam;

/* Floats of scratch that attention and its gradient want, whatever the lengths. */
#define DEV_ATTENTION_SCRATCH 56320

/* What attention is over: query (batch, queries, width), key and value (batch, keys, width); head h has its h-th part of width. */
typedef struct DevAttention
{
	size_t		batch;
	size_t		queries;
	size_t		keys;
	size_t		width;
	size_t		heads;			/* divides width */
	const int32_t *lengths;		/* (batch): keys from there on are not seen; NULL: all are */
	bool		same;			/* query and key are one sequence: queries beyond the length give zeros */
	bool		causal;			/* position p sees keys up to p */
	bool		exact;			/* chains of fused multiply-adds as in `product`: bits depend on what is seen alone */
	float		dropout;		/* of the weights, 0: none, as in random_mask */
	uint64_t	seed;
	uint64_t	stream;
	uint64_t	first_row;		/* number of the first example, for the mask */
} DevAttention;

typedef struct DevPrimitives
{
	const char *name;			/* "cpu" */

	/* Memory of the device, zeroed; released with the session of the device. */
	void	   *(*alloc) (DevDevice *device, size_t bytes);
	void		(*release) (DevDevice *device, void *block);
	void		(*upload) (DevQueue *queue, void *dst, const void *src, size_t bytes);
	void		(*download) (DevQueue *queue, void *dst, const void *src, size_t bytes);
	DevStatus	(*synchronize) (DevQueue *queue);

	/* Filling and moving */
	void		(*fill) (DevQueue *queue, size_t n, float value, float *dst);
	/* dst (+)= src, both (rows, cols) with their own strides */
	void		(*copy) (DevQueue *queue, size_t rows, size_t cols, const float *src, size_t ld_src,
						 float *dst, size_t ld_dst, bool accumulate);
	/* dst row i (+)= table row index[i]; an index outside [0, n_table) gives zeros */
	void		(*gather) (DevQueue *queue, size_t n, size_t width, const float *table, size_t n_table,
						   const int32_t *index, float *dst, size_t ld_dst, bool accumulate);
	/* table row index[i] += src row i, in order of i */
	void		(*scatter_add) (DevQueue *queue, size_t n, size_t width, const float *src, size_t ld_src,
								const int32_t *index, float *table, size_t n_table);

	/* Products. C = alpha * op(A) op(B) + beta * C; C is (m, n), inner dimension k. */
	void		(*gemm) (DevQueue *queue, bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k,
						 float alpha, const float *a, size_t lda, const float *b, size_t ldb,
						 float beta, float *c, size_t ldc);
	/* `count` products with constant distances between their matrices */
	void		(*gemm_batch) (DevQueue *queue, size_t count, bool transpose_a, bool transpose_b,
							   size_t m, size_t n, size_t k, float alpha,
							   const float *a, size_t lda, size_t stride_a,
							   const float *b, size_t ldb, size_t stride_b,
							   float beta, float *c, size_t ldc, size_t stride_c);
	/*
	 * C = A B + bias, A (m, k), B (k, n), bias (n) or NULL: for inference. Every
	 * element is one chain of fused multiply-adds over k in ascending order that
	 * starts at the bias, so its bits depend neither on m nor on the CPU.
	 */
	void		(*product) (DevQueue *queue, size_t m, size_t n, size_t k, const float *a, size_t lda,
							const float *b, size_t ldb, const float *bias, float *c, size_t ldc);

	/* Elementwise */
	void		(*map) (DevQueue *queue, DevMap function, size_t n, const float *x, float parameter, float *y);
	/* diff_x (+)= diff_y * f'(x); y is f(x), given because many derivatives are cheaper from it; diff_x may be diff_y */
	void		(*map_grad) (DevQueue *queue, DevMap function, size_t n, const float *x, const float *y,
							 float parameter, const float *diff_y, float *diff_x, bool accumulate);
	/* dst (+)= a op b, a and dst (rows, cols) */
	void		(*zip) (DevQueue *queue, DevZip function, DevSpread spread, size_t rows, size_t cols,
						const float *a, size_t lda, const float *b, size_t ldb,
						float *dst, size_t ld_dst, bool accumulate);

	/* Reductions; b NULL means a matrix of ones */
	/* dst[c] (+)= sum over rows of a * b */
	void		(*reduce_rows) (DevQueue *queue, size_t rows, size_t cols, const float *a, size_t lda,
								const float *b, size_t ldb, float *dst, bool accumulate);
	/* dst[r] (+)= sum over columns of a * b */
	void		(*reduce_cols) (DevQueue *queue, size_t rows, size_t cols, const float *a, size_t lda,
								const float *b, size_t ldb, float *dst, bool accumulate);
	/* y = softmax of each row; log_sum[r] (may be NULL) = log of the sum of exp, row maximum included */
	void		(*softmax) (DevQueue *queue, size_t rows, size_t cols, const float *x, size_t ldx,
							float *y, size_t ldy, float *log_sum);

	/* dst[i] = 0 with probability `rate`, taken to the nearest 65,536th, else 1 / (1 - that); element i is value first + i of the stream */
	void		(*random_mask) (DevQueue *queue, size_t n, float rate, uint64_t seed, uint64_t stream,
								uint64_t first, float *dst);

	/* One AdamW step over n weights in place */
	void		(*adam) (DevQueue *queue, size_t n, const DevAdam *how, const float *diff_weights,
						 float *weights, float *mean, float *variance);

	/* dst row i = zeros and a one at column index[i * ld_index]; all zeros when that is outside [0, width) */
	void		(*one_hot) (DevQueue *queue, size_t n, size_t width, const int32_t *index, size_t ld_index,
							float *dst, size_t ld_dst);

	/* Piecewise-linear encoding (see nn_piecewise_linear): x (rows, n), edges (n, bins + 1), y (rows, n, bins) */
	void		(*piecewise_linear) (DevQueue *queue, size_t rows, size_t n, size_t bins, const float *x,
									 const float *edges, float *y);
	/* diff_x (+)= sum over bins of diff_y times the bin's slope where it is not clamped */
	void		(*piecewise_linear_grad) (DevQueue *queue, size_t rows, size_t n, size_t bins, const float *x,
										  const float *edges, const float *diff_y, float *diff_x, bool accumulate);

	/*
	 * Cox partial likelihood with Breslow ties: log_hazard (n, members), target (n, 2) time and event, scratch 3 n.
	 * loss[i] = mean over members of log(sum of exp(h_j) over rows j with time_j >= time_i) - h_i where event_i,
	 * else 0. cox_grad: gradient of sum(diff_loss[i] * loss[i]).
	 */
	void		(*cox) (DevQueue *queue, size_t n, size_t members, const float *log_hazard, const float *target,
						float *scratch, float *loss);
	void		(*cox_grad) (DevQueue *queue, size_t n, size_t members, const float *log_hazard, const float *target,
							 float *scratch, const float *diff_loss, float *diff_log_hazard, bool accumulate);

	/*
	 * Scaled dot-product attention (Vaswani et al. 2017), head by head: dst = softmax(query key' / sqrt(width / heads)) value,
	 * over the keys that are seen; zeros where none is. Tiles of queries meet tiles of keys one after another, with a running maximum and
	 * sum, so that memory does not grow with queries * keys (Milakov and Gimelshein 2018; Dao et al. 2022). log_sum (batch, heads,
	 * queries) is the log of the softmax's denominator, maximum included; scratch has DEV_ATTENTION_SCRATCH floats.
	 */
	void		(*attention) (DevQueue *queue, const DevAttention *how, const float *query, const float *key, const float *value,
							  float *scratch, float *dst, float *log_sum);
	/* Gradients of sum(dst * diff_dst), each added to; NULL: not wanted. The scores are computed again. */
	void		(*attention_grad) (DevQueue *queue, const DevAttention *how, const float *query, const float *key, const float *value,
								   const float *dst, const float *log_sum, const float *diff_dst, float *scratch,
								   float *diff_query, float *diff_key, float *diff_value);

	/*
	 * Each row to mean 0 and variance 1, times gain plus bias (each cols, or NULL). statistics (rows, 2) is what the way back
	 * wants: mean and 1 / sqrt(variance + epsilon).
	 */
	void		(*layer_norm) (DevQueue *queue, size_t rows, size_t cols, const float *x, const float *gain, const float *bias,
							   float epsilon, float *y, float *statistics);
	/* diff_gain and diff_bias are added to; diff_x (+)=; each may be NULL */
	void		(*layer_norm_grad) (DevQueue *queue, size_t rows, size_t cols, const float *x, const float *gain,
									const float *statistics, const float *diff_y, float *diff_x, bool accumulate,
									float *diff_gain, float *diff_bias);

	/* dst (batch, length) = codes, but -1 where they are outside [0, n_table) or from position lengths[b] on (NULL: all are full) */
	void		(*limit_codes) (DevQueue *queue, size_t batch, size_t length, const int32_t *codes, const int32_t *lengths,
								size_t n_table, int32_t *dst);
	/* dst[i] = the smallest j with codes[j] = codes[i]; -1 where codes[i] is negative */
	void		(*first_equal) (DevQueue *queue, size_t n, const int32_t *codes, int32_t *dst);
} DevPrimitives;

/*
 * The device's public face: operators call queue->primitives->gemm(queue, ...).
 * Devices embed these structs at the start of their own.
 */
struct DevDevice
{
	const DevPrimitives *primitives;
	DevSession *session;
};

struct DevQueue
{
	const DevPrimitives *primitives;
	DevDevice  *device;
	const volatile bool *stop;	/* NULL or see dev_queue_stop_on */
};

/*
 * From now on work on the queue may be skipped, its results left undefined, once *stop is true: passes and long
 * products ask between their parts (some ms). How a cancelled trainer makes its threads come back.
 */
static inline void
dev_queue_stop_on(DevQueue *queue, const volatile bool *stop)
{
	queue->stop = stop;
}

static inline bool
dev_queue_stopped(const DevQueue *queue)
{
	return queue->stop != NULL && *queue->stop;
}

/*
 * Opens the CPU. The first call in a process loads OpenBLAS (libopenblas.so.0)
 * with all signals blocked and one BLAS thread; when it cannot be found the
 * device's own kernels do the products. library NULL: the usual name, unless the kernels for this processor are as fast
 * at every size (AVX-512); library "": do not look for OpenBLAS.
 */
extern DevStatus dev_cpu_open(DevSession *session, const char *library, DevDevice **device);
extern const char *dev_cpu_description(const DevDevice *device);	/* e.g. "avx2, OpenBLAS 0.3.21" */
extern DevStatus dev_queue_create(DevDevice *device, DevQueue **queue);
extern void dev_queue_free(DevQueue *queue);	/* NULL is allowed */

/* Number of processors this process may run on, at least 1. */
extern int	dev_cpu_count(void);

#endif							/* IDLA_DEVICE_H */

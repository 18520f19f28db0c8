/*
 * device.h: arithmetic on one device.
 *
 * A device is memory plus a table of some fifty primitives; operators are
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

/*
 * A window that slides over images, of a convolution or a pool; a sequence is an image of height 1. Images are (height,
 * width, channels), so that the channels of a place lie together; pairs are (vertical, horizontal). Output place
 * (y, x) sees source places (y * stride - before + i * dilation, ...), i < kernel; those outside the image are
 * padding. The padding behind follows from out_height and out_width.
 */
typedef struct DevWindow
{
	size_t		height;			/* of the source */
	size_t		width;
	size_t		channels;
	size_t		out_height;
	size_t		out_width;
	size_t		out_channels;	/* a pool's are its channels */
	size_t		kernel[2];
	size_t		stride[2];
	size_t		dilation[2];
	size_t		before[2];
	size_t		groups;			/* of a convolution: divides both counts of channels; output group g sees source group g alone */
} DevWindow;

/* What becomes of the values of a window, or of all positions. */
typedef enum DevPool
{
	DEV_POOL_MAX,				/* NaN, where there is one; the gradient goes to the first place that holds the maximum */
	DEV_POOL_MEAN				/* of the places inside the image */
} DevPool;

/* One layer of recurrence over a batch of sequences: see lstm and gru among the primitives. */
typedef struct DevRecurrence
{
	size_t		batch;
	size_t		length;			/* positions of every sequence, padding at the end included */
	size_t		hidden;
	const int32_t *lengths;		/* (batch): positions that count, taken into [0, length]; NULL: all */
	bool		backward;		/* from each sequence's last position to its first */
	bool		chained;		/* products sum as those of `product`: for inference */
	const float *weights;		/* (hidden, gates * hidden), from the hidden state to the gates */
	const float *bias;			/* (gates * hidden) */
	const float *bias_hidden;	/* gru: (hidden), inside the reset gate */
} DevRecurrence;

/* Linear-chain conditional random field: see crf among the primitives. */
typedef struct DevCrf
{
	size_t		batch;
	size_t		length;
	size_t		tags;
	const int32_t *targets;		/* (batch, length); a code outside [0, tags) leaves all tags open */
	const int32_t *lengths;		/* as in DevRecurrence */
	const float *transitions;	/* (tags, tags), from row to column */
	const float *start;			/* (tags) */
	const float *end;			/* (tags) */
} DevCrf;

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
	bool		host;			/* its memory is the host's: what dev_alloc gave may be used in place of an upload */

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
	 * C = A B + bias, A (m, k), B (k, n), bias (n) or NULL, and then its relu where that is wanted: for inference. Every
	 * element is one chain of fused multiply-adds over k in ascending order, to whose end the bias is
	 * added, so its bits depend neither on m nor on the CPU, and are those of the three one after another.
	 */
	void		(*product) (DevQueue *queue, size_t m, size_t n, size_t k, const float *a, size_t lda,
							const float *b, size_t ldb, const float *bias, bool relu, float *c, size_t ldc);

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
	 * Convolution (a correlation, as is usual): src (batch, height, width, channels), weights (kernel[0], kernel[1], channels /
	 * groups, out_channels), dst (batch, out_height, out_width, out_channels); scratch holds
	 * dev_convolution_scratch floats. chained: for inference, the bits of an example's dst depend neither on the
	 * batch nor on the CPU.
	 */
	void		(*convolve) (DevQueue *queue, const DevWindow *window, size_t batch, bool chained, const float *src,
							 const float *weights, float *dst, float *scratch);
	/* diff_src (+)= the gradient */
	void		(*convolve_grad_src) (DevQueue *queue, const DevWindow *window, size_t batch, const float *diff_dst,
									  const float *weights, float *diff_src, bool accumulate, float *scratch);
	/* diff_weights += the gradient */
	void		(*convolve_grad_weights) (DevQueue *queue, const DevWindow *window, size_t batch, const float *src,
										  const float *diff_dst, float *diff_weights, float *scratch);
	/* Pools, shapes as for a convolution; a window that sees padding only gives 0. */
	void		(*pool) (DevQueue *queue, const DevWindow *window, DevPool kind, size_t batch, const float *src, float *dst);
	void		(*pool_grad) (DevQueue *queue, const DevWindow *window, DevPool kind, size_t batch, const float *src,
							  const float *dst, const float *diff_dst, float *diff_src, bool accumulate);
	/*
	 * src (batch, positions, cols) -> dst (batch, cols): over all positions, or the first lengths[i] of example i, a
	 * length being taken into [0, positions]; over none: 0.
	 */
	void		(*pool_positions) (DevQueue *queue, DevPool kind, size_t batch, size_t positions, size_t cols,
								   const float *src, const int32_t *lengths, float *dst);
	void		(*pool_positions_grad) (DevQueue *queue, DevPool kind, size_t batch, size_t positions, size_t cols,
										const float *src, const int32_t *lengths, const float *dst, const float *diff_dst,
										float *diff_src, bool accumulate);

	/*
	 * Normalisation of `count` matrices x (rows, cols), one behind the other, each with its own cols values of
	 * whatever is one a column.
	 */
	/* mean and (biased) variance of every column, in one pass: blocks of rows are merged as by Chan et al. 1979 */
	void		(*moments) (DevQueue *queue, size_t count, size_t rows, size_t cols, const float *x, float *mean, float *variance);
	/* y = (x - mean) * scale + shift; relu: and 0 where that is negative */
	void		(*affine) (DevQueue *queue, size_t count, size_t rows, size_t cols, const float *x, const float *mean,
						   const float *scale, const float *shift, bool relu, float *y);
	/*
	 * sum_diff = sum over rows of diff_y, sum_product = of diff_y * (x - mean). With scale (and shift) diff_y counts as 0
	 * where (x - mean) * scale + shift is not positive: the relu of affine. NULL: no relu.
	 */
	void		(*affine_sums) (DevQueue *queue, size_t count, size_t rows, size_t cols, const float *x, const float *mean,
								const float *scale, const float *shift, const float *diff_y,
								float *sum_diff, float *sum_product);
	/* diff_x (+)= a * diff_y + b * (x - mean) + c, with the relu as above; a, b, c are one a column */
	void		(*affine_grad) (DevQueue *queue, size_t count, size_t rows, size_t cols, const float *x, const float *mean,
								const float *scale, const float *shift, const float *diff_y, const float *a,
								const float *b, const float *c, float *diff_x, bool accumulate);
	/* y = max(a + b, 0) */
	void		(*add_relu) (DevQueue *queue, size_t n, const float *a, const float *b, float *y);

	/*
	 * Sequences, padded at the end: of the `length` positions of example b, lengths[b] count, taken into [0, length];
	 * lengths NULL: all do.
	 */
	/* dst (+)= src (batch, length, width) at the positions that count; the others become 0, or stay where added to */
	void		(*sequence_copy) (DevQueue *queue, size_t batch, size_t length, size_t width, const int32_t *lengths,
								  const float *src, float *dst, bool accumulate);
	/* dst (batch, width) = src (batch, length, width) at the last position that counts, or the first; 0 where none does */
	void		(*sequence_pick) (DevQueue *queue, size_t batch, size_t length, size_t width, const int32_t *lengths,
								  bool first, const float *src, float *dst);
	/* The way back of sequence_pick: dst (batch, length, width) (+)= src (batch, width) at that position, 0 elsewhere */
	void		(*sequence_put) (DevQueue *queue, size_t batch, size_t length, size_t width, const int32_t *lengths,
								 bool first, const float *src, float *dst, bool accumulate);
	/*
	 * shares (batch, length) = 1 / (number of positions counted) at each of these, else 0. Where targets (batch, length)
	 * are given, a position whose target is outside [0, n_targets) is not counted.
	 */
	void		(*sequence_shares) (DevQueue *queue, size_t batch, size_t length, const int32_t *lengths,
									const int32_t *targets, size_t n_targets, float *shares);
	/* dst (batch, width) = sum over the positions that count of weights (batch, length) times src, each sum as that of `product` */
	void		(*sequence_sum) (DevQueue *queue, size_t batch, size_t length, size_t width, const int32_t *lengths,
								 const float *weights, const float *src, float *dst);
	/* y (batch, length) = softmax of x over the positions that count, 0 at the others */
	void		(*sequence_softmax) (DevQueue *queue, size_t batch, size_t length, const int32_t *lengths,
									 const float *x, float *y);

	/*
	 * Recurrence over whole sequences, so that a device may keep weights and states where they are quickest. work (lstm:
	 * batch, length, 5 * hidden; gru: 4 * hidden) comes with x W in its first columns and goes with what the way back needs.
	 * dst (batch, length, hidden) gets the hidden states, 0 at positions that do not count. scratch: batch *
	 * dev_recurrent_row(hidden) + dev_recurrent_fixed(length, hidden) floats.
	 *
	 * lstm: gates i f g o (Hochreiter and Schmidhuber 1997, with forget gate): c = f c' + i g, h = o tanh(c).
	 * gru: gates r z n (Cho et al. 2014, reset after the product): n = tanh(x W_n + b_n + r (h' U_n + c_n)),
	 * h = (1 - z) n + z h'.
	 */
	void		(*lstm) (DevQueue *queue, const DevRecurrence *how, float *work, float *dst, float *scratch);
	void		(*gru) (DevQueue *queue, const DevRecurrence *how, float *work, float *dst, float *scratch);
	/*
	 * diff_gates (batch, length, 4 * hidden) = gradients of what is summed under the gates, 0 at positions that do not
	 * count; diff_bias (4 * hidden) = their sums. lstm: i f g o. gru: r z n, and then that of h' U_n + c_n alone.
	 */
	void		(*lstm_grad) (DevQueue *queue, const DevRecurrence *how, const float *work, const float *dst,
							  const float *diff_dst, float *scratch, float *diff_gates, float *diff_bias);
	void		(*gru_grad) (DevQueue *queue, const DevRecurrence *how, const float *work, const float *dst,
							 const float *diff_dst, float *scratch, float *diff_gates, float *diff_bias);

	/*
	 * loss (batch) = negative log likelihood of the targets given emissions (batch, length, tags), divided by the number
	 * of positions that count. scratch: dev_crf_scratch(length, tags) floats, aligned to 8 bytes. crf_grad:
	 * gradients of sum(diff_loss[i] * loss[i]), those of the parameters added; each may be NULL.
	 */
	void		(*crf) (DevQueue *queue, const DevCrf *how, const float *emissions, float *scratch, float *loss);
	void		(*crf_grad) (DevQueue *queue, const DevCrf *how, const float *emissions, float *scratch,
							 const float *diff_loss, float *diff_emissions, bool accumulate,
							 float *diff_transitions, float *diff_start, float *diff_end);

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

/* Floats of scratch for an example of a recurrence, and for all together. */
static inline size_t
dev_recurrent_row(size_t hidden)
{
	return 6 * hidden + 2;
}

static inline size_t
dev_recurrent_fixed(size_t length, size_t hidden)
{
	return length + 2 + 4 * hidden + 4 * hidden * (hidden + 32);
}

/* Floats of scratch that any of the three convolution primitives needs for this window. */
extern size_t dev_convolution_scratch(const DevWindow *window);

/* Floats of scratch of crf and crf_grad. */
static inline size_t
dev_crf_scratch(size_t length, size_t tags)
{
	return 2 * length * tags + 2 * tags * tags + 4 * tags + 2 * tags * tags;
}

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

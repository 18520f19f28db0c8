/*
 * nn.h: tensors, a static graph of operators, optimisers.
 *
 * A graph is built once, node after node, in topological order, and compiled.
 * It holds no numbers: weights live in one contiguous array (so that optimiser,
 * average, save and load are loops), activations live in a run. Any
 * number of runs, one per thread, share a graph and its weights.
 *
 * Shapes are those of one example, rank 1 to 4; the batch is an outer
 * dimension that every node has. A rank above 1 means positions: a linear
 * operator on (members, features) is applied at each member with the same weights.
 *
 * Building never fails half-way: a builder given a bad node or shape records
 * the failure in the session and returns NN_NONE, builders given NN_NONE
 * return NN_NONE, and nn_graph_compile returns the first failure.
 */
#ifndef IDLA_NN_H
#define IDLA_NN_H

#include "idla/device.h"

#define NN_NONE (-1)
#define NN_MAX_RANK 4

typedef struct NnGraph NnGraph;
typedef struct NnRun NnRun;
typedef struct NnOptimizer NnOptimizer;
typedef int NnNode;				/* number of a node in its graph */
typedef int NnParameter;		/* number of a parameter in its graph */

typedef struct NnShape
{
	int			rank;			/* 1 to NN_MAX_RANK */
	size_t		dims[NN_MAX_RANK];
} NnShape;

typedef enum NnRole
{
	NN_ROLE_MATRIX,				/* hidden weights: decayed, Muon where chosen */
	NN_ROLE_HEAD,				/* last layer's weights: decayed, never Muon */
	NN_ROLE_TABLE,				/* embeddings, scalings, frequencies: decayed by choice of the layer: not */
	NN_ROLE_VECTOR,				/* biases, normalisation gains: not decayed */
	NN_ROLE_STATISTIC,			/* running mean or variance: not trained; its gradient slot holds (running - batch) */
	NN_ROLE_CONSTANT			/* bin edges and the like: never changes after initialisation */
} NnRole;

typedef enum NnInit
{
	NN_INIT_ZERO,
	NN_INIT_ONE,
	NN_INIT_UNIFORM,			/* U(-a, a) */
	NN_INIT_NORMAL,				/* N(0, a^2) */
	NN_INIT_SIGN,				/* -1 or +1 */
	NN_INIT_GIVEN				/* values copied from `given` */
} NnInit;

typedef struct NnParameterInfo
{
	const char *name;			/* unique in the graph, "block0.linear.weights" */
	NnShape		shape;
	size_t		size;			/* product of shape */
	size_t		offset;			/* of its first value in the weights, a multiple of 16 */
	NnRole		role;
	bool		decayed;
	NnInit		init;
	float		a;				/* see NnInit */
	float		rate_factor;	/* learning rate is multiplied by this, 1 by default */
} NnParameterInfo;

typedef enum NnMode
{
	NN_TRAIN,					/* dropout on, batch statistics, sgemm */
	NN_INFER					/* dropout off, running statistics, products whose bits do not depend on the batch */
} NnMode;

/* ---- Building (src/nn/graph.c and one file per operator) ---- */

extern DevStatus nn_graph_create(DevSession *session, NnGraph **graph);

/* `given` is copied and needed only for NN_INIT_GIVEN. The same parameter may be used by several nodes. */
extern NnParameter nn_parameter(NnGraph *graph, const char *name, const NnShape *shape, NnRole role,
								NnInit init, float a, const float *given);
extern void nn_parameter_rate(NnGraph *graph, NnParameter parameter, float rate_factor);

extern NnNode nn_input(NnGraph *graph, const char *name, const NnShape *shape);	/* float32 */
extern NnNode nn_codes(NnGraph *graph, const char *name, size_t n);	/* int32, shape (n); only gather-like operators read it */

/* (..., in) -> (..., out): x W, W (in, out), the same at every position; one multiply-add chain at inference */
extern NnNode nn_linear(NnGraph *graph, NnNode src, NnParameter weights);
/* (groups, in) -> (groups, out): group g has its own W[g]; weights (groups, in, out) */
extern NnNode nn_grouped_linear(NnGraph *graph, NnNode src, NnParameter weights);
/* adds bias to the last dimensions that bias has: (out) everywhere, (groups, out) per group */
extern NnNode nn_bias(NnGraph *graph, NnNode src, NnParameter bias);
extern NnNode nn_activation(NnGraph *graph, NnNode src, DevMap function);
extern NnNode nn_dropout(NnGraph *graph, NnNode src, float rate);
/* gain and bias (last dimension) may be NN_NONE, here and in batch_norm */
extern NnNode nn_layer_norm(NnGraph *graph, NnNode src, NnParameter gain, NnParameter bias, float epsilon);
/*
 * over batch and positions; statistics are running averages with the trainer's momentum. Per-example norms exist after
 * an NN_INFER pass only: in NN_TRAIN examples share statistics.
 */
extern NnNode nn_batch_norm(NnGraph *graph, NnNode src, NnParameter gain, NnParameter bias,
							NnParameter running_mean, NnParameter running_variance, float epsilon);
/* column `column` of codes (n) looked up in table (categories, width) -> (width) */
extern NnNode nn_embedding(NnGraph *graph, NnNode codes, size_t column, NnParameter table);
/* column `column` of codes as a vector of zeros and a one; a code outside [0, categories) gives zeros */
extern NnNode nn_one_hot(NnGraph *graph, NnNode codes, size_t column, size_t categories);
/*
 * Piecewise-linear encoding (Gorishniy et al. 2022): (n) -> (n, bins); value b of feature j is
 * (x - e[j,b]) / (e[j,b+1] - e[j,b]), clamped below at 0 but in the first bin and above at 1 but in the last.
 * edges (n, bins + 1), ascending in each row; an empty bin gives the step (x >= edge).
 */
extern NnNode nn_piecewise_linear(NnGraph *graph, NnNode src, NnParameter edges);
/* (n) -> (n, 2 * frequencies): cos(2 pi f x), sin(2 pi f x); frequencies (n, frequencies) */
extern NnNode nn_periodic(NnGraph *graph, NnNode src, NnParameter frequencies);
extern NnNode nn_concat(NnGraph *graph, const NnNode *src, int n_src);	/* along the last dimension */
extern NnNode nn_add(NnGraph *graph, NnNode a, NnNode b);	/* same shape: the residual connection */
/* batch ensemble (Wen et al. 2020): (in) or (members, in) times scale (members, in) -> (members, in) */
extern NnNode nn_ensemble_scale(NnGraph *graph, NnNode src, NnParameter scale);
extern NnNode nn_reshape(NnGraph *graph, NnNode src, const NnShape *shape);	/* no copy */
extern NnNode nn_sum_groups(NnGraph *graph, NnNode src);	/* (groups, out) -> (out): additive models */
extern NnNode nn_softmax(NnGraph *graph, NnNode src);	/* over the last dimension */

/*
 * Images are (height, width, channels), sequences (length, channels). A window of a convolution or a pool, all sizes for
 * (height, width); a sequence uses the first of each alone. At least one place of a window's extent,
 * (kernel - 1) * dilation + 1, is always inside: padding is less than it. No size may exceed 65,536.
 */
typedef struct NnWindow
{
	size_t		kernel[2];		/* here, in stride and in dilation 0 means 1 */
	size_t		stride[2];
	size_t		dilation[2];
	size_t		before[2];		/* padding in front */
	size_t		after[2];		/* and behind */
	size_t		groups;			/* of a convolution, 0 means 1: output group g sees source group g alone; depthwise: as many as channels */
} NnWindow;

/*
 * (height, width, in) -> (height', width', out), weights (kernel, kernel, in / groups, out); (length, in) -> (length', out),
 * weights (kernel, in / groups, out). Correlation with zeros for padding, length' = (length + before + after - extent) /
 * stride + 1. 3 x 3 kernels of stride 1 are computed by Winograd's F(2 x 2, 3 x 3), exact but for rounding.
 */
extern NnNode nn_convolution(NnGraph *graph, NnNode src, NnParameter weights, const NnWindow *window);
/* of each window, channel by channel; padding does not count, a window of padding only gives 0 */
extern NnNode nn_max_pool(NnGraph *graph, NnNode src, const NnWindow *window);
extern NnNode nn_average_pool(NnGraph *graph, NnNode src, const NnWindow *window);
/*
 * (..., channels) -> (channels), over all positions. lengths NN_NONE, or codes of shape (1), for sequences only: only the first
 * that many positions count, a length being taken into [0, positions]; over none the answer is 0.
 */
extern NnNode nn_global_mean(NnGraph *graph, NnNode src, NnNode lengths);
extern NnNode nn_global_max(NnGraph *graph, NnNode src, NnNode lengths);
/* groups of neighbouring channels to mean 0 and variance 1, each example by itself; gain and bias (channels) or NN_NONE */
extern NnNode nn_group_norm(NnGraph *graph, NnNode src, size_t groups, NnParameter gain, NnParameter bias, float epsilon);
/* zeros around an image or sequence: window's before and after, the rest is ignored */
extern NnNode nn_pad(NnGraph *graph, NnNode src, const NnWindow *window);
extern NnNode nn_flip(NnGraph *graph, NnNode src, int axis);	/* reverse order along dimension `axis` of an example */

/*
 * Sequences are (length, width), padded at the end; where examples are shorter, `lengths` is a node of codes of shape (1) that
 * says how long each is (NN_NONE: all are full). What stands beyond a length never influences anything before it.
 */
/* codes (length) looked up in table (tokens, width) -> (length, width); a code outside the table gives zeros, as do positions beyond lengths */
extern NnNode nn_token_embedding(NnGraph *graph, NnNode codes, NnParameter table, NnNode lengths);
/* adds row p of table (max_length, width) to position p: learned positions; of a table longer than src the first rows are used */
extern NnNode nn_position(NnGraph *graph, NnNode src, NnParameter table);
/* adds to value 2i of position p sin(p / 10000^(2i / width)), to value 2i + 1 the cosine of the same (Vaswani et al. 2017) */
extern NnNode nn_sinusoid(NnGraph *graph, NnNode src);
/*
 * Positions on a continuous scale (Kazemi et al. 2019; Shukla and Marlin 2021): times (length) or (length, 1), frequencies
 * (width / 2), trained where their role is -> (length, width): sin(time f_i) in value i, cos(time f_i) in value width / 2 + i.
 * Frequencies of 10000^(-2i / width) make it nn_sinusoid's code in another order.
 */
extern NnNode nn_time_encoding(NnGraph *graph, NnNode times, NnParameter frequencies, size_t width);
/*
 * Scaled dot-product attention with heads: query (n, width), key and value (m, width) -> (n, width); head h works on its h-th part of
 * width, projections are the caller's nn_linear. lengths is that of the keys. causal: position p sees keys up to p. Where query and key come from the
 * same nodes (walking back along first sources they meet, and n = m), queries beyond the length give zeros. An example of length 0 gives
 * zeros. dropout: rate of the weights in training. Memory grows with n + m, not n * m: scores are made tile by tile, and again on
 * the way back.
 */
extern NnNode nn_attention(NnGraph *graph, NnNode query, NnNode key, NnNode value, NnNode lengths, size_t heads, bool causal,
						   float dropout);

/*
 * The answer of an ensemble on one scale: (members, outputs) -> (outputs).
 * binary: logit of the mean of the members' sigmoids; classes: log of the mean
 * of their softmaxes; otherwise the mean. Used at inference only, but differentiable.
 */
typedef enum NnMean
{
	NN_MEAN_VALUE,
	NN_MEAN_BINARY,
	NN_MEAN_CLASSES
} NnMean;
extern NnNode nn_ensemble_mean(NnGraph *graph, NnNode src, NnMean scale);

/*
 * Losses: (outputs) or (members, outputs) and a target input -> (1): the loss of each
 * example, mean over members. All are computed from logits without overflow.
 */
/* targets: class codes, shape (1); class_weights (classes) or NULL */
extern NnNode nn_cross_entropy(NnGraph *graph, NnNode logits, NnNode target, const float *class_weights, float smoothing);
/* the same for targets that are shares of the classes, floats (classes) that sum to 1: rows mixed of two */
extern NnNode nn_soft_cross_entropy(NnGraph *graph, NnNode logits, NnNode target, const float *class_weights, float smoothing);
/* targets (outputs) in [0, 1], mean over outputs; positive_weight multiplies the loss of a target above one half */
extern NnNode nn_binary_cross_entropy(NnGraph *graph, NnNode logits, NnNode target, float positive_weight, float smoothing);
extern NnNode nn_squared_error(NnGraph *graph, NnNode values, NnNode target);	/* mean over outputs */
/* mean over outputs of d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2) */
extern NnNode nn_huber(NnGraph *graph, NnNode values, NnNode target, float delta);
/*
 * Negative Cox partial likelihood (Breslow ties) of the rows of the batch that a run holds;
 * target (2): time, event (0 or 1). An example's loss is 0 unless it had the event.
 */
extern NnNode nn_cox(NnGraph *graph, NnNode log_hazard, NnNode target);

/*
 * Sequences are (length, width), padded at the end with numbers of any finite value. `lengths` is a node of one code, the number of
 * positions that count, taken into [0, length], or NN_NONE: all count. Padding has no influence on what counts, not on one
 * bit at inference, and gets no gradient.
 *
 * Recurrent layers: (length, in) -> (length, hidden), starting from zeros; positions that do not count give zeros.
 * weights_in (in, gates * hidden), weights_hidden (hidden, gates * hidden), bias (gates * hidden). backward: from each
 * example's own last position to the first. Both directions, or several layers, are several nodes.
 *
 * lstm: gates i f g o. c = sigmoid(f) c' + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c).
 * gru: gates r z n; bias_hidden (hidden) is c_n in n = tanh(x W_n + b_n + r (h' U_n + c_n)); h = (1 - z) n + z h'.
 */
extern NnNode nn_lstm(NnGraph *graph, NnNode src, NnNode lengths, bool backward, NnParameter weights_in,
					  NnParameter weights_hidden, NnParameter bias);
extern NnNode nn_gru(NnGraph *graph, NnNode src, NnNode lengths, bool backward, NnParameter weights_in,
					 NnParameter weights_hidden, NnParameter bias, NnParameter bias_hidden);
/* (length, width) -> (width); an example of length 0 gives zeros */
extern NnNode nn_last(NnGraph *graph, NnNode src, NnNode lengths, bool first);	/* the last position, or the first */
extern NnNode nn_masked_mean(NnGraph *graph, NnNode src, NnNode lengths);
/* the same, weighed by the softmax over positions of scores (length) or (length, 1) */
extern NnNode nn_attention_pool(NnGraph *graph, NnNode src, NnNode scores, NnNode lengths);
extern NnNode nn_mask(NnGraph *graph, NnNode src, NnNode lengths);	/* zeros at positions that do not count */
/*
 * Linear-chain conditional random field (Lafferty et al. 2001): emissions (length, tags), targets codes (length),
 * transitions (tags, tags) from row to column, start (tags), end (tags) -> (1): negative log likelihood over the number
 * of positions that count. A target outside [0, tags) is unknown: all its tags are summed over.
 */
extern NnNode nn_crf(NnGraph *graph, NnNode emissions, NnNode targets, NnNode lengths, NnParameter transitions,
					 NnParameter start, NnParameter end);
/*
 * On the host: the likeliest tags (length) of one sequence, the lower of equals, and the posterior of each of
 * them (length; NULL: not wanted), given emissions (length, n_tags). n_tags is at least 1. work: nn_crf_decode_size floats.
 */
extern size_t nn_crf_decode_size(size_t length, size_t n_tags);
extern void nn_crf_decode(size_t length, size_t n_tags, const float *emissions, const float *transitions, const float *start,
						  const float *end, float *work, int32_t *tags, float *marginals);
/*
 * logits (length, classes), targets codes (length) -> (1): mean cross entropy of the positions that count and have a target
 * in [0, classes); 0 where none has. class_weights (classes) or NULL, and smoothing, as in nn_cross_entropy.
 */
extern NnNode nn_token_cross_entropy(NnGraph *graph, NnNode logits, NnNode targets, NnNode lengths,
									 const float *class_weights, float smoothing);

/*
 * The node's value is wanted after a pass, or is one that forward_from starts at: no other value is written over it in any run. Before
 * compiling; NN_NONE and unknown nodes are ignored. Nodes set from outside and those that no other node reads need no word.
 */
extern void nn_graph_keep(NnGraph *graph, NnNode node);
/* The same, and in runs that keep gradients no node below writes its own over this one's. */
extern void nn_graph_keep_gradient(NnGraph *graph, NnNode node);

/* Checks shapes, orders buffers, fixes offsets. No node or parameter may be added afterwards. */
extern DevStatus nn_graph_compile(NnGraph *graph);

/* Multiplications and additions of one example's forward pass, roughly: those with weights. */
extern double nn_graph_work(const NnGraph *graph);
extern size_t nn_graph_widest(const NnGraph *graph);	/* most values that an example has in one node */
extern size_t nn_graph_weights(const NnGraph *graph);	/* floats in the weights array, padding included */
extern int	nn_graph_parameters(const NnGraph *graph);	/* number of parameters */
extern const NnParameterInfo *nn_graph_parameter(const NnGraph *graph, NnParameter parameter);
extern NnParameter nn_graph_find(const NnGraph *graph, const char *name);	/* NN_NONE when absent */
extern const NnShape *nn_graph_shape(const NnGraph *graph, NnNode node);
extern size_t nn_shape_size(const NnShape *shape);
extern NnShape nn_shape(int rank, size_t d0, size_t d1, size_t d2, size_t d3);	/* unused dims 0 */

/* Writes the initial weights (host memory) from the seed; parameter p draws from stream DEV_STREAM_INIT + p. */
extern void nn_graph_initialize(const NnGraph *graph, uint64_t seed, float *weights);

/* ---- Running (src/nn/run.c) ---- */

/* What a run is for. Numbers that are not needed at the same time share memory in all but NN_RUN_WHOLE. */
typedef enum NnRunUse
{
	NN_RUN_FORWARD,				/* no way back; afterwards only nodes that are kept (nn_graph_keep) have values */
	NN_RUN_WHOLE,				/* all values and gradients stay until the next pass: explanations, norms */
	NN_RUN_TRAIN				/* one way back for each forward pass, for the gradients of trained parameters alone, from a node that
								 * the forward pass computed; values stay as in NN_RUN_FORWARD, gradients of nodes never */
} NnRunUse;

/* Buffers of one thread for up to max_batch examples. The run makes its own queue on the device. */
extern DevStatus nn_run_create(NnGraph *graph, DevDevice *device, size_t max_batch, NnRunUse use, NnRun **run);
extern DevQueue *nn_run_queue(NnRun *run);
extern size_t nn_run_bytes(const NnRun *run);	/* device memory that the run has taken */

/* Gives the memory back before the session ends; NULL is allowed. Runs of a graph go before the graph. */
extern void nn_run_free(NnRun *run);
extern void nn_graph_free(NnGraph *graph);

/*
 * In NN_TRAIN a backward pass leaves out the gradients of nodes that have no trained parameter at or below them, inputs
 * above all; true: it computes those too, as it always does after an NN_INFER forward. NN_RUN_WHOLE only: other runs never do.
 */
extern void nn_run_all_gradients(NnRun *run, bool all);

/* Device memory; weights are read, diff_weights (may be NULL without gradients) are added to. Not owned. */
extern void nn_run_bind(NnRun *run, const float *weights, float *diff_weights);

/* Host buffers of `batch` rows copied into an input node; the batch of all inputs of one pass must agree. */
extern void nn_run_set(NnRun *run, NnNode input, size_t batch, const float *rows);
extern void nn_run_set_codes(NnRun *run, NnNode codes, size_t batch, const int32_t *rows);

/*
 * Computes the nodes that `until` needs, no others. step numbers the batch: dropout draws from it,
 * first_row is the number of the run's first example in that batch, so that threads draw what one thread would.
 */
extern void nn_run_forward(NnRun *run, NnNode until, NnMode mode, uint64_t seed, uint64_t step, size_t first_row);
/*
 * As forward, but takes the values that the nodes `from` hold now (see nn_run_value) instead of computing them; at most NN_MAX_STARTS, all
 * of them kept. A backward pass after it ends at them.
 */
#define NN_MAX_STARTS 32
extern void nn_run_forward_from(NnRun *run, const NnNode *from, int n_from, NnNode until, NnMode mode);

/*
 * Walks back from `node`, whose gradient is `scale` for every value (times example_weights[i], when not NULL,
 * for example i), and adds into diff_weights. Node gradients are those of this pass alone.
 */
extern void nn_run_backward(NnRun *run, NnNode node, float scale, const float *example_weights);
/* As backward, but starts from the (batch, size) gradient in seed. */
extern void nn_run_backward_from(NnRun *run, NnNode node, const float *seed);

/*
 * NN_RUN_WHOLE, after a backward of scale 1: squared[i] = squared norm of example i's own gradient over all trained
 * parameters, without forming it (operators that know a closed form use it).
 */
extern DevStatus nn_run_norms(NnRun *run, float *squared);

/*
 * Host copies; on the CPU these are the buffers themselves, valid until the next pass. (batch, size). NULL where the run does not
 * keep the numbers: see NnRunUse. A linear, bias, convolution, batch_norm or add node that is not kept shares its buffer with a
 * bias, activation, dropout or add that alone reads it, and has no value of its own then; nor has such a batch_norm the
 * gradient of its own value.
 */
extern float *nn_run_value(NnRun *run, NnNode node);
extern float *nn_run_gradient(NnRun *run, NnNode node);
extern DevStatus nn_run_synchronize(NnRun *run);

/* ---- Optimisers (src/nn/optimizer.c) ---- */

typedef enum NnOptimizerKind
{
	NN_ADAMW,
	NN_SGD,						/* Nesterov momentum, decoupled decay */
	NN_MUON						/* hidden matrices orthogonalised (Jordan 2024), AdamW for the rest */
} NnOptimizerKind;

typedef struct NnOptimizerSpec
{
	NnOptimizerKind kind;
	float		rate;			/* base learning rate; AdamW's for the rest under Muon */
	float		matrix_rate;	/* Muon's rate for matrices */
	float		decay;
	float		beta1;			/* Adam, or momentum of SGD and Muon */
	float		beta2;
	float		epsilon;
	float		statistic_momentum; /* share of the new batch in running statistics, 0.1 */
} NnOptimizerSpec;

extern void nn_optimizer_defaults(NnOptimizerKind kind, NnOptimizerSpec *spec);
extern DevStatus nn_optimizer_create(const NnGraph *graph, DevDevice *device, const NnOptimizerSpec *spec,
									 int n_shares, NnOptimizer **optimizer);
extern void nn_optimizer_free(NnOptimizer *optimizer);	/* NULL is allowed */
/*
 * One step: `begin` once, then `apply` for every share (shares are disjoint parts of the weights and
 * may be applied by different threads at once). rate_factor comes from the schedule; scale multiplies gradients first.
 */
extern void nn_optimizer_begin(NnOptimizer *optimizer, float rate_factor, float scale);
extern void nn_optimizer_apply(NnOptimizer *optimizer, DevQueue *queue, int share, const float *diff_weights, float *weights);
/* The part of the weights array that belongs to a share. */
extern void nn_optimizer_share(const NnOptimizer *optimizer, int share, size_t *first, size_t *count);

typedef enum NnScheduleKind
{
	NN_CONSTANT,
	NN_COSINE,
	NN_ONE_CYCLE
} NnScheduleKind;

/* Factor in [0, 1] of step `step` of `steps`; the first warm_up share of steps rises linearly. */
extern float nn_schedule_factor(NnScheduleKind kind, uint64_t step, uint64_t steps, float warm_up);

#endif							/* IDLA_NN_H */

/*
 * recurrent.h: what lstm.c and gru.c share; private to src/nn.
 *
 * The inputs of all positions are multiplied at once, the device walks along the sequences, and
 * on the way back the gradients under the gates of all positions, `diff_gates` (batch, length, 4 hidden), give those
 * of the weights in one product each. The hidden state that a position came from is the neighbouring row of the
 * node's value, so the rows of diff_gates meet those of the value shifted by one, once what came from nowhere, the
 * first position walked, is set to zero.
 */
#ifndef IDLA_NN_RECURRENT_H
#define IDLA_NN_RECURRENT_H

#include "sequence.h"

#define GATES 4					/* columns of diff_gates for each hidden one */
#define ROWS_TOGETHER 256		/* rows of diff_gates that are multiplied one after another by all */

enum
{
	WEIGHTS_IN,
	WEIGHTS_HIDDEN,
	BIAS,
	BIAS_HIDDEN					/* gru */
};

typedef struct RecurrentOptions
{
	bool		backward;
} RecurrentOptions;

typedef struct Recurrent
{
	size_t		length;
	size_t		in;
	size_t		hidden;
	size_t		summed;			/* columns of the weights: gates * hidden */
	size_t		columns;		/* of the workspace: see lstm and gru in device.h */
	size_t		rows;			/* batch * length */
	bool		backward;
	float	   *diff_gates;
	float	   *diff_bias;		/* (4 hidden) */
	float	   *formed;			/* (in + hidden, summed): an example's own gradients */
	float	   *device;			/* the primitives' scratch */
} Recurrent;

static inline bool
recurrent_shape(NnGraph *graph, NnNodeData *node, size_t gates, size_t columns)
{
	static const char *const names[] = {"weights of the input", "weights of the hidden state", "bias", "bias of the hidden state"};
	const NnShape *src = check_sequence(graph, node);
	size_t		hidden;
	size_t		scratch;
	char		text[96];

	if (src == NULL || !check_lengths(graph, node, 1))
		return false;
	for (int i = 0; i < node->n_parameters; i++)
		if (nn_need_parameter(graph, node, i) == NULL)
			return false;
	hidden = nn_need_parameter(graph, node, WEIGHTS_HIDDEN)->dims[0];
	for (int i = 0; i < node->n_parameters; i++)
	{
		const NnShape *shape = nn_need_parameter(graph, node, i);
		NnShape		wanted = i == WEIGHTS_IN ? nn_shape(2, src->dims[1], gates * hidden, 0, 0) :
			i == WEIGHTS_HIDDEN ? nn_shape(2, hidden, gates * hidden, 0, 0) :
			i == BIAS ? nn_shape(1, gates * hidden, 0, 0, 0) : nn_shape(1, hidden, 0, 0, 0);

		if (!nn_shape_equal(shape, &wanted))
			return nn_reject(graph, node, "%s %s do not fit %zu inputs and %zu hidden values", names[i],
							 nn_shape_text(shape, text, sizeof(text)), src->dims[1], hidden);
	}
	node->shape = nn_shape(2, src->dims[0], hidden, 0, 0);
	node->workspace_row = src->dims[0] * columns * hidden;
	node->scratch_row = src->dims[0] * GATES * hidden + dev_recurrent_row(hidden);
	scratch = dev_recurrent_fixed(src->dims[0], hidden);
	node->scratch_fixed = GATES * hidden + scratch + (src->dims[1] + hidden) * gates * hidden;
	return true;
}

static inline Recurrent
recurrent_of(const NnPass *pass, size_t gates, size_t columns)
{
	const RecurrentOptions *options = pass->node->options;
	Sequence	s = sequence_of(pass);
	Recurrent	r = {.length = s.length, .in = s.width, .backward = options->backward};

	r.hidden = pass->node->shape.dims[1];
	r.summed = gates * r.hidden;
	r.columns = columns * r.hidden;
	r.rows = pass->batch * s.length;
	r.diff_gates = pass->scratch;
	r.diff_bias = r.diff_gates + r.rows * GATES * r.hidden;
	r.formed = r.diff_bias + GATES * r.hidden;
	r.device = r.formed + (r.in + r.hidden) * r.summed;
	return r;
}

static inline DevRecurrence
recurrence_of(const NnPass *pass, const Recurrent *r)
{
	DevRecurrence how = {.batch = pass->batch, .length = r->length, .hidden = r->hidden};

	how.lengths = lengths_of(pass, 1);
	how.backward = r->backward;
	how.chained = pass->mode == NN_INFER;
	how.weights = nn_parameter_values(pass, WEIGHTS_HIDDEN);
	how.bias = nn_parameter_values(pass, BIAS);
	return how;
}

/* The first columns of the workspace = x W, of all positions. */
static inline void
multiply_inputs(const NnPass *pass, const Recurrent *r)
{
	if (pass->mode == NN_TRAIN)
		pass->device->gemm(pass->queue, false, false, r->rows, r->summed, r->in, 1.0f, nn_src(pass, 0), r->in,
						   nn_parameter_values(pass, WEIGHTS_IN), r->summed, 0.0f, pass->workspace, r->columns);
	else
		pass->device->product(pass->queue, r->rows, r->summed, r->in, nn_src(pass, 0), r->in,
							  nn_parameter_values(pass, WEIGHTS_IN), r->summed, NULL, false, pass->workspace, r->columns);
}

/* No position came before the first one walked: zeros in its rows of diff_gates between low and high. */
static inline void
clear_first(const NnPass *pass, const Recurrent *r, size_t low, size_t high)
{
	size_t		width = GATES * r->hidden;
	size_t		first = r->backward ? r->length - 1 : 0;

	for (size_t b = low / r->length; b * r->length + first < high; b++)
		if (b * r->length + first >= low)
			pass->device->fill(pass->queue, width, 0, r->diff_gates + (b * r->length + first) * width);
}

/* dst (hidden, summed) (+)= h' times the rows of diff_gates between low and high, all of which have an h' but for the cleared ones. */
static inline void
multiply_hidden(const NnPass *pass, const Recurrent *r, size_t low, size_t high, float beta, float *dst)
{
	size_t		width = GATES * r->hidden;
	bool		lstm = r->summed == width;
	const float *before;
	const float *diff;

	/* the first or the last row of all is a cleared one without a neighbour */
	if (r->backward && high == r->rows)
		high--;
	else if (!r->backward && low == 0)
		low++;
	before = nn_dst(pass) + (r->backward ? low + 1 : low - 1) * r->hidden;
	diff = r->diff_gates + low * width;
	/* the gru's candidate meets the hidden state inside the reset gate, which has the fourth gradient */
	pass->device->gemm(pass->queue, true, false, r->hidden, lstm ? width : 2 * r->hidden, high - low, 1.0f,
					   before, r->hidden, diff, width, beta, dst, r->summed);
	if (!lstm)
		pass->device->gemm(pass->queue, true, false, r->hidden, r->hidden, high - low, 1.0f, before, r->hidden,
						   diff + 3 * r->hidden, width, beta, dst + 2 * r->hidden, r->summed);
}

/*
 * From diff_gates and diff_bias to the gradients of source and parameters. Some rows of diff_gates give their part of both
 * weights before the next ones do, so that they are fetched from far away once.
 */
static inline void
recurrent_backward(const NnPass *pass, const Recurrent *r)
{
	const DevPrimitives *p = pass->device;
	DevQueue   *queue = pass->queue;
	size_t		width = GATES * r->hidden;
	float	   *diff_in = nn_diff_parameter(pass, WEIGHTS_IN);
	float	   *diff_hidden = nn_diff_parameter(pass, WEIGHTS_HIDDEN);
	float	   *diff_bias = nn_diff_parameter(pass, BIAS);
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	if (diff_bias != NULL)
		p->copy(queue, 1, r->summed, r->diff_bias, r->summed, diff_bias, r->summed, true);
	if (diff_src != NULL)
		p->gemm(queue, false, true, r->rows, r->in, r->summed, 1.0f, r->diff_gates, width,
				nn_parameter_values(pass, WEIGHTS_IN), r->summed, accumulate ? 1.0f : 0.0f, diff_src, r->in);
	for (size_t low = 0; low < r->rows; low += ROWS_TOGETHER)
	{
		size_t		high = r->rows - low < ROWS_TOGETHER ? r->rows : low + ROWS_TOGETHER;

		if (diff_in != NULL)
			p->gemm(queue, true, false, r->in, r->summed, high - low, 1.0f, nn_src(pass, 0) + low * r->in, r->in,
					r->diff_gates + low * width, width, 1.0f, diff_in, r->summed);
		clear_first(pass, r, low, high);
		if (diff_hidden != NULL)
			multiply_hidden(pass, r, low, high, 1.0f, diff_hidden);
	}
}

/* Squared norms of the examples' own gradients: their sums over positions must be formed, as in linear.c. */
static inline void
recurrent_norms(const NnPass *pass, const Recurrent *r, float *squared)
{
	const DevPrimitives *p = pass->device;
	DevQueue   *queue = pass->queue;
	size_t		width = GATES * r->hidden;
	size_t		size_in = r->in * r->summed;
	float	   *bias = r->diff_bias;

	for (size_t b = 0; b < pass->batch; b++)
	{
		const float *diff = r->diff_gates + b * r->length * width;

		if (trains(pass, WEIGHTS_IN))
		{
			p->gemm(queue, true, false, r->in, r->summed, r->length, 1.0f, nn_src(pass, 0) + b * r->length * r->in, r->in,
					diff, width, 0.0f, r->formed, r->summed);
			add_squares(queue, 1, size_in, r->formed, squared + b);
		}
		p->reduce_rows(queue, r->length, width, diff, width, NULL, 0, bias, false);
		if (trains(pass, BIAS))
			add_squares(queue, 1, r->summed, bias, squared + b);
		if (pass->node->n_parameters > BIAS_HIDDEN && trains(pass, BIAS_HIDDEN))
			add_squares(queue, 1, r->hidden, bias + 3 * r->hidden, squared + b);
	}
	if (!trains(pass, WEIGHTS_HIDDEN))
		return;
	clear_first(pass, r, 0, r->rows);
	for (size_t b = 0; b < pass->batch; b++)
	{
		multiply_hidden(pass, r, b * r->length, (b + 1) * r->length, 0.0f, r->formed);
		add_squares(queue, 1, r->hidden * r->summed, r->formed, squared + b);
	}
}

/* ---- In ONNX ---- */

/* Parameter i, (n, gates hidden), as (1, gates hidden, n) with the gates in another order. */
static inline NnOnnxValue
gates_upright(const NnOnnxNode *at, int i, size_t gates, const size_t *order)
{
	const NnParameterInfo *info = &at->graph->parameters[at->node->parameters[i]];
	const float *weights = at->weights + info->offset;
	size_t		n = info->shape.dims[0];
	size_t		hidden = info->shape.dims[1] / gates;
	const size_t dims[] = {1, gates * hidden, n};
	float	   *upright = dev_alloc(nn_onnx_session(at->onnx), gates * hidden * n, sizeof(float));
	NnOnnxValue made;

	if (upright == NULL)
		return nn_onnx_fail(at->onnx, DEV_NO_MEMORY, "no memory for %zu weights", gates * hidden * n);
	for (size_t gate = 0; gate < gates; gate++)
		for (size_t h = 0; h < hidden; h++)
			for (size_t k = 0; k < n; k++)
				upright[(gate * hidden + h) * n + k] = weights[k * gates * hidden + order[gate] * hidden + h];
	made = nn_onnx_floats(at->onnx, 3, dims, upright);
	dev_release(nn_onnx_session(at->onnx), upright);
	return made;
}

/* Biases of the input's gates, then of the hidden state's, which are nothing but for the last gate of a gru: (1, 2 gates hidden). */
static inline NnOnnxValue
gates_biased(const NnOnnxNode *at, size_t gates, const size_t *order)
{
	const NnParameterInfo *info = at->graph->parameters;
	const float *bias = at->weights + info[at->node->parameters[BIAS]].offset;
	size_t		hidden = at->node->shape.dims[1];
	const size_t dims[] = {1, 2 * gates * hidden};
	float	   *both = dev_alloc(nn_onnx_session(at->onnx), dims[1], sizeof(float));
	NnOnnxValue made;

	if (both == NULL)
		return nn_onnx_fail(at->onnx, DEV_NO_MEMORY, "no memory for %zu biases", dims[1]);
	for (size_t i = 0; i < gates * hidden; i++)
		both[i] = bias[order[i / hidden] * hidden + i % hidden];
	for (size_t i = 0; i < hidden && at->node->n_parameters > BIAS_HIDDEN; i++)
		both[(2 * gates - 1) * hidden + i] = at->weights[info[at->node->parameters[BIAS_HIDDEN]].offset + i];
	made = nn_onnx_floats(at->onnx, 2, dims, both);
	dev_release(nn_onnx_session(at->onnx), both);
	return made;
}

/* order: which gate of ours is each of theirs. Theirs walk (length, rows, width), and give zeros beyond the lengths too. */
static inline NnOnnxValue
recurrent_onnx(const NnOnnxNode *at, const char *operator, size_t gates, const size_t *order)
{
	static const int64_t turned[] = {1, 0, 2};
	const RecurrentOptions *options = at->node->options;
	NnOnnx	   *file = at->onnx;
	bool		limited = at->node->n_src > 1;
	NnOnnxValue src[5];
	NnOnnxValue made;

	nn_onnx_set_integers(file, "perm", 3, turned);
	src[0] = nn_onnx_apply1(file, "Transpose", nn_onnx_src(at, 0));
	src[1] = gates_upright(at, WEIGHTS_IN, gates, order);
	src[2] = gates_upright(at, WEIGHTS_HIDDEN, gates, order);
	src[3] = gates_biased(at, gates, order);
	if (limited)
		src[4] = nn_onnx_cast(file, nn_onnx_along(file, "Squeeze", nn_onnx_src(at, 1), 1), NN_ONNX_INT32);
	nn_onnx_set_integer(file, "hidden_size", (int64_t) at->node->shape.dims[1]);
	nn_onnx_set_string(file, "direction", options->backward ? "reverse" : "forward");
	if (gates == 3)
		nn_onnx_set_integer(file, "linear_before_reset", 1);
	made = nn_onnx_along(file, "Squeeze", nn_onnx_apply(file, operator, src, limited ? 5 : 4), 1);
	nn_onnx_set_integers(file, "perm", 3, turned);
	return nn_onnx_apply1(file, "Transpose", made);
}

#endif							/* IDLA_NN_RECURRENT_H */

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

#endif							/* IDLA_NN_RECURRENT_H */

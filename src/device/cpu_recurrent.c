/*
 * cpu_recurrent.c: LSTM and GRU over a batch of sequences on the CPU.
 *
 * Sequences are walked in the order of their lengths, longest first, so that those still alive at a step are the first
 * rows of every compact matrix and finished ones cost nothing. The weights are packed once for all steps. Each step is
 * one product of the compact hidden states, and one walk over the cells, which reads and writes the positions where
 * they lie.
 */
#include "cpu_special.h"

#include <string.h>

#define GATES 4					/* values kept or summed for each hidden one; the GRU's fourth is inside the reset gate */
#define COLUMNS (GATES + 1)		/* of the LSTM's `work`: the cell is the fifth */

/* Fewer sequences than this read the weights where they lie. */
#define FEW 4

typedef struct Walk
{
	DevQueue   *queue;
	const Kernels *kernels;
	const DevRecurrence *how;
	size_t		summed;			/* columns of the weights: gates * hidden */
	int32_t    *order;			/* (batch): sequences, longest first */
	int32_t    *lengths;		/* (batch): of those, in that order */
	int32_t    *at_least;		/* (length + 1): number of sequences of at least so many positions */
	size_t		steps;			/* of the longest */
	float	   *product;		/* (batch, summed) */
	float	   *state;			/* (batch, hidden): forward: hidden states; backward: their gradients from the step after */
	float	   *carry_cell;		/* (batch, hidden): backward */
	float	   *zeros;			/* (GATES * hidden) */
	float	   *packed;
	bool		is_packed;
} Walk;

/* Counts, and with them sorts, by length; equal lengths keep their order. */
static void
sort_by_length(Walk *walk)
{
	const DevRecurrence *how = walk->how;
	int32_t    *longer = walk->at_least;	/* sequences longer than l, and then the place of the next one of length l */
	int32_t		above = 0;

	memset(longer, 0, (how->length + 1) * sizeof(*longer));
	for (size_t b = 0; b < how->batch; b++)
		longer[sequence_length(how->lengths, b, how->length)]++;
	for (size_t l = how->length + 1; l-- > 0;)
	{
		int32_t		equal = longer[l];

		if (equal > 0 && walk->steps == 0)
			walk->steps = l;
		longer[l] = above;
		above += equal;
	}
	for (size_t b = 0; b < how->batch; b++)
	{
		size_t		l = sequence_length(how->lengths, b, how->length);
		int32_t		place = longer[l]++;

		walk->order[place] = (int32_t) b;
		walk->lengths[place] = (int32_t) l;
	}
}

static Walk
start_walk(DevQueue *queue, const DevRecurrence *how, size_t summed, float *scratch)
{
	Walk		walk = {.queue = queue, .kernels = dev_cpu_kernels(queue), .how = how, .summed = summed};
	size_t		states = how->batch * how->hidden;

	walk.product = scratch;
	walk.state = walk.product + GATES * states;
	walk.carry_cell = walk.state + states;
	walk.zeros = walk.carry_cell + states;
	walk.packed = walk.zeros + GATES * how->hidden;
	walk.at_least = (int32_t *) (void *) (walk.packed + GATES * how->hidden * (how->hidden + 32));
	walk.order = walk.at_least + how->length + 2;
	walk.lengths = walk.order + how->batch;
	memset(walk.zeros, 0, GATES * how->hidden * sizeof(float));
	sort_by_length(&walk);
	return walk;
}

/* Sequences that have a position at this step. */
static size_t
alive(const Walk *walk, size_t step)
{
	return (size_t) walk->at_least[step + 1];
}

/* Number, in (batch, length), of the position of the sequence in this place at this step. */
static size_t
position(const Walk *walk, size_t place, size_t step)
{
	size_t		first = (size_t) walk->order[place] * walk->how->length;

	return walk->how->backward ? first + (size_t) walk->lengths[place] - 1 - step : first + step;
}

/* The position before that one, in the order of the walk. */
static size_t
position_before(const Walk *walk, size_t at)
{
	return walk->how->backward ? at + 1 : at - 1;
}

/* Zeros at the positions that do not count. */
static void
clear_rest(const DevRecurrence *how, size_t width, float *rows)
{
	for (size_t b = 0; how->lengths != NULL && b < how->batch; b++)
	{
		size_t		l = sequence_length(how->lengths, b, how->length);

		memset(rows + (b * how->length + l) * width, 0, (how->length - l) * width * sizeof(float));
	}
}

/* C (n, cols) (+)= A (n, depth) times the packed weights, with questions whether to stop in between. */
static void
multiply_parts(const Walk *walk, size_t n, size_t cols, size_t depth, const float *a, bool accumulate, float *c)
{
	size_t		rows = part_rows(n, cols, depth);

	for (size_t i = 0; i < n && !dev_queue_stopped(walk->queue); i += rows)
		walk->kernels->multiply_packed(walk->how->chained, n - i < rows ? n - i : rows, cols, depth, a + i * depth, depth,
									   walk->packed, accumulate, c + i * cols, cols);
}

/* product = hidden states times weights, of the first n places */
static void
multiply_states(Walk *walk, size_t n)
{
	const DevRecurrence *how = walk->how;
	const DevPrimitives *p = walk->queue->primitives;

	if (n <= FEW && how->chained)
		p->product(walk->queue, n, walk->summed, how->hidden, walk->state, how->hidden, how->weights, walk->summed, NULL, false,
				   walk->product, walk->summed);
	else if (n <= FEW)
		p->gemm(walk->queue, false, false, n, walk->summed, how->hidden, 1.0f, walk->state, how->hidden,
				how->weights, walk->summed, 0.0f, walk->product, walk->summed);
	else
	{
		if (!walk->is_packed)
			walk->kernels->pack(how->hidden, walk->summed, how->weights, walk->summed, 1, walk->packed);
		walk->is_packed = true;
		multiply_parts(walk, n, walk->summed, how->hidden, walk->state, false, walk->product);
	}
}

void
dev_cpu_lstm(DevQueue *queue, const DevRecurrence *how, float *work, float *dst, float *scratch)
{
	size_t		hidden = how->hidden;
	Walk		walk = start_walk(queue, how, 4 * hidden, scratch);

	clear_rest(how, hidden, dst);
	for (size_t step = 0; step < walk.steps && !dev_queue_stopped(queue); step++)
	{
		size_t		n = alive(&walk, step);

		if (step > 0)
			multiply_states(&walk, n);
		for (size_t place = 0; place < n; place++)
		{
			size_t		at = position(&walk, place, step);
			float	   *gates = work + at * COLUMNS * hidden;
			const float *before = step == 0 ? walk.zeros : work + (position_before(&walk, at) * COLUMNS + GATES) * hidden;

			walk.kernels->lstm_cell(hidden, how->bias, step == 0 ? walk.zeros : walk.product + place * walk.summed,
									gates, before, gates + GATES * hidden, dst + at * hidden, walk.state + place * hidden);
		}
	}
}

void
dev_cpu_gru(DevQueue *queue, const DevRecurrence *how, float *work, float *dst, float *scratch)
{
	size_t		hidden = how->hidden;
	Walk		walk = start_walk(queue, how, 3 * hidden, scratch);

	clear_rest(how, hidden, dst);
	for (size_t step = 0; step < walk.steps && !dev_queue_stopped(queue); step++)
	{
		size_t		n = alive(&walk, step);

		if (step > 0)
			multiply_states(&walk, n);
		for (size_t place = 0; place < n; place++)
		{
			size_t		at = position(&walk, place, step);
			const float *before = step == 0 ? walk.zeros : dst + position_before(&walk, at) * hidden;

			walk.kernels->gru_cell(hidden, how->bias, how->bias_hidden,
								   step == 0 ? walk.zeros : walk.product + place * walk.summed,
								   work + at * GATES * hidden, before, dst + at * hidden, walk.state + place * hidden);
		}
	}
}

/* What both ways back start with; a sequence that joins the walk does so with nothing carried. */
static Walk
start_walk_back(DevQueue *queue, const DevRecurrence *how, size_t summed, float *scratch, float *diff_gates, float *diff_bias)
{
	Walk		walk = start_walk(queue, how, summed, scratch);

	memset(walk.state, 0, how->batch * how->hidden * sizeof(float));
	memset(walk.carry_cell, 0, how->batch * how->hidden * sizeof(float));
	memset(diff_bias, 0, GATES * how->hidden * sizeof(float));
	clear_rest(how, GATES * how->hidden, diff_gates);
	if (walk.steps > 1)
		walk.kernels->pack(summed, how->hidden, how->weights, 1, summed, walk.packed);
	return walk;
}

void
dev_cpu_lstm_grad(DevQueue *queue, const DevRecurrence *how, const float *work, const float *dst,
				  const float *diff_dst, float *scratch, float *diff_gates, float *diff_bias)
{
	size_t		hidden = how->hidden;
	Walk		walk = start_walk_back(queue, how, 4 * hidden, scratch, diff_gates, diff_bias);

	(void) dst;
	for (size_t step = walk.steps; step-- > 0 && !dev_queue_stopped(queue);)
	{
		size_t		n = alive(&walk, step);

		for (size_t place = 0; place < n; place++)
		{
			size_t		at = position(&walk, place, step);
			const float *gates = work + at * COLUMNS * hidden;
			const float *before = step == 0 ? walk.zeros : work + (position_before(&walk, at) * COLUMNS + GATES) * hidden;

			walk.kernels->lstm_cell_grad(hidden, gates, before, gates + GATES * hidden, diff_dst + at * hidden,
										 walk.state + place * hidden, walk.carry_cell + place * hidden,
										 diff_gates + at * GATES * hidden, walk.product + place * walk.summed, diff_bias);
		}
		if (step > 0)
			multiply_parts(&walk, n, hidden, walk.summed, walk.product, false, walk.state);
	}
}

void
dev_cpu_gru_grad(DevQueue *queue, const DevRecurrence *how, const float *work, const float *dst,
				 const float *diff_dst, float *scratch, float *diff_gates, float *diff_bias)
{
	size_t		hidden = how->hidden;
	Walk		walk = start_walk_back(queue, how, 3 * hidden, scratch, diff_gates, diff_bias);

	for (size_t step = walk.steps; step-- > 0 && !dev_queue_stopped(queue);)
	{
		size_t		n = alive(&walk, step);

		for (size_t place = 0; place < n; place++)
		{
			size_t		at = position(&walk, place, step);
			const float *before = step == 0 ? walk.zeros : dst + position_before(&walk, at) * hidden;

			walk.kernels->gru_cell_grad(hidden, work + at * GATES * hidden, before, diff_dst + at * hidden,
										walk.state + place * hidden, diff_gates + at * GATES * hidden,
										walk.product + place * walk.summed, diff_bias);
		}
		if (step > 0)
			multiply_parts(&walk, n, hidden, walk.summed, walk.product, true, walk.state);
	}
}

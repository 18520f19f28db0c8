/*
 * arithmetic.h: what several operators say with more than one primitive; private to src/nn.
 */
#ifndef IDLA_NN_ARITHMETIC_H
#define IDLA_NN_ARITHMETIC_H

#include "operator.h"

/* dst += factor * src: the derivative of scaling is the one primitive that adds a multiple. */
static inline void
add_scaled(DevQueue *queue, size_t n, float factor, const float *src, float *dst)
{
	queue->primitives->map_grad(queue, DEV_MAP_SCALE, n, src, src, factor, src, dst, true);
}

static inline void
multiply(DevQueue *queue, size_t n, float factor, float *dst)
{
	if (factor != 1)
		queue->primitives->map(queue, DEV_MAP_SCALE, n, dst, factor, dst);
}

/* squared[r] += sum over columns of a^2 */
static inline void
add_squares(DevQueue *queue, size_t rows, size_t cols, const float *a, float *squared)
{
	queue->primitives->reduce_cols(queue, rows, cols, a, cols, a, cols, squared, true);
}

/* dst (batch, cols) = sum over positions of src (batch, positions, cols) */
static inline void
sum_positions(DevQueue *queue, size_t batch, size_t positions, size_t cols, const float *src, float *dst)
{
	for (size_t p = 0; p < positions; p++)
		queue->primitives->copy(queue, batch, cols, src + p * cols, positions * cols, dst, cols, p > 0);
}

/* Whether parameter i of the node is there and trained: only those count in per-example norms. */
static inline bool
trains(const NnPass *pass, int i)
{
	NnParameter parameter = pass->node->parameters[i];

	return parameter >= 0 && nn_role_trained(pass->graph->parameters[parameter].role);
}

#endif							/* IDLA_NN_ARITHMETIC_H */

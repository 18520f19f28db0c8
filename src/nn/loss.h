/*
 * loss.h: what the losses share; private to src/nn.
 *
 * Values are (outputs), or (members, outputs) for an ensemble whose members all meet the one target of
 * the example. No gradient flows into a target.
 */
#ifndef IDLA_NN_LOSS_H
#define IDLA_NN_LOSS_H

#include "arithmetic.h"

typedef struct LossSizes
{
	size_t		members;
	size_t		outputs;
	size_t		size;			/* members * outputs */
} LossSizes;

static inline LossSizes
loss_sizes(const NnShape *values)
{
	LossSizes	sizes;

	sizes.members = nn_shape_positions(values);
	sizes.outputs = nn_shape_last(values);
	sizes.size = sizes.members * sizes.outputs;
	return sizes;
}

static inline LossSizes
pass_sizes(const NnPass *pass)
{
	return loss_sizes(nn_src_shape(pass->graph, pass->node, 0));
}

/* The shape of the values, checked, and the node's own shape (1); NULL after nn_reject. */
static inline const NnShape *
check_values(NnGraph *graph, NnNodeData *node)
{
	const NnShape *values = nn_src_shape(graph, node, 0);
	char		text[64];

	if (!nn_need_floats(graph, node, 0))
		return NULL;
	if (values->rank > 2)
	{
		nn_reject(graph, node, "values have shape %s where (outputs) or (members, outputs) is needed",
				  nn_shape_text(values, text, sizeof(text)));
		return NULL;
	}
	node->shape = nn_shape(1, 1, 0, 0, 0);
	return values;
}

/* As check_values, and a target of `n` floats is source 1. */
static inline const NnShape *
check_values_and_target(NnGraph *graph, NnNodeData *node)
{
	const NnShape *values = check_values(graph, node);
	const NnShape *target = nn_src_shape(graph, node, 1);
	char		text[64];

	if (values == NULL || !nn_need_floats(graph, node, 1))
		return NULL;
	if (target->rank != 1 || target->dims[0] != nn_shape_last(values))
	{
		nn_reject(graph, node, "target has shape %s where (%zu) is needed",
				  nn_shape_text(target, text, sizeof(text)), nn_shape_last(values));
		return NULL;
	}
	return values;
}

/* dst = a op b: a and dst (batch, members, outputs), b (batch, outputs) is the same for every member. */
static inline void
zip_members(const NnPass *pass, DevZip function, const LossSizes *s, const float *a, const float *b, float *dst)
{
	const DevPrimitives *p = pass->device;

	if (s->outputs == 1)
	{
		p->zip(pass->queue, function, DEV_SPREAD_COLUMN, pass->batch, s->members, a, s->members, b, 1,
			   dst, s->members, false);
		return;
	}
	for (size_t m = 0; m < s->members; m++)
		p->zip(pass->queue, function, DEV_SPREAD_FULL, pass->batch, s->outputs, a + m * s->outputs, s->size,
			   b, s->outputs, dst + m * s->outputs, s->size, false);
}

/* loss[i] (+)= factor * sum over members and outputs of a * b */
static inline void
sum_loss(const NnPass *pass, const LossSizes *s, float factor, const float *a, const float *b, float *loss)
{
	pass->device->reduce_cols(pass->queue, pass->batch, s->size, a, s->size, b, s->size, loss, false);
	multiply(pass->queue, pass->batch, factor, loss);
}

/* diff_src (+)= factor * derivative * the gradient of the example's loss; share is scratch of (batch). */
static inline void
spread_loss(const NnPass *pass, const LossSizes *s, float factor, const float *derivative, float *share)
{
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	if (diff_src == NULL)
		return;
	pass->device->map(pass->queue, DEV_MAP_SCALE, pass->batch, nn_diff_dst(pass), factor, share);
	pass->device->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_COLUMN, pass->batch, s->size, derivative, s->size,
					  share, 1, diff_src, s->size, accumulate);
}

#endif							/* IDLA_NN_LOSS_H */

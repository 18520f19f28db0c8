/*
 * class_target.h: targets of the cross entropies; private to src/nn.
 *
 * q[c] = w[c] ((1 - smoothing) t[c] + smoothing / classes): the class weight times the target drawn towards the uniform by the
 * smoothing, not divided by the weights of a batch. t is one for the class and zero for others, or a share of each.
 */
#ifndef IDLA_NN_CLASS_TARGET_H
#define IDLA_NN_CLASS_TARGET_H

#include "loss.h"

/* A cross entropy's options. */
typedef struct ClassTarget
{
	const float *class_weights; /* the caller's; read by the shape rule only */
	float		smoothing;
	bool		plain;			/* no weights, no smoothing: q is t */
} ClassTarget;

/* For the shape rule: checks the options, and makes of them two rows of (classes): what a one of t counts, and what every class gets anyway. */
static inline bool
prepare_class_target(NnGraph *graph, NnNodeData *node, size_t classes)
{
	ClassTarget *target = node->options;
	const float *weights = target->class_weights;

	if (!(target->smoothing >= 0 && target->smoothing < 1))
		return nn_reject(graph, node, "smoothing \"%g\" is not at least 0 and less than 1", target->smoothing);
	for (size_t c = 0; weights != NULL && c < classes; c++)
		if (!(weights[c] >= 0 && weights[c] < 1e30f))
			return nn_reject(graph, node, "weight \"%g\" of class %zu is not a number of at least 0", weights[c], c);
	target->plain = weights == NULL && target->smoothing == 0;
	target->class_weights = NULL;
	if (target->plain)
		return true;
	node->constants = dev_alloc(graph->session, 2 * classes, sizeof(float));
	if (node->constants == NULL)
		return nn_reject_memory(graph);
	node->n_constants = 2 * classes;
	for (size_t c = 0; c < classes; c++)
	{
		float		weight = weights != NULL ? weights[c] : 1;

		node->constants[c] = weight * (1 - target->smoothing);
		node->constants[classes + c] = weight * target->smoothing / (float) classes;
	}
	return true;
}

/* t (rows, classes) -> q; may be the same. Not for plain targets. */
static inline void
weigh_classes(const NnPass *pass, size_t rows, size_t classes, const float *t, float *q)
{
	const DevPrimitives *p = pass->device;

	p->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_ROW, rows, classes, t, classes, pass->constants, classes, q, classes, false);
	p->zip(pass->queue, DEV_ZIP_ADD, DEV_SPREAD_ROW, rows, classes, q, classes, pass->constants + classes, classes,
		   q, classes, false);
}

/* Codes (rows), of which one outside the classes has no part -> q (rows, classes). */
static inline void
set_class_target(const NnPass *pass, size_t rows, size_t classes, const int32_t *codes, float *q)
{
	const ClassTarget *target = pass->node->options;

	pass->device->one_hot(pass->queue, rows, classes, codes, 1, q, classes);
	if (!target->plain)
		weigh_classes(pass, rows, classes, q, q);
}

/* Where in scratch q (batch, outputs) may be made before the two below. */
static inline float *
class_target_room(const NnPass *pass)
{
	return pass->scratch + pass->batch * pass_sizes(pass).size;
}

/* - sum over classes of q log softmax(values), the mean over members; the softmax is kept. */
static inline void
class_loss(const NnPass *pass, const float *q)
{
	const DevPrimitives *p = pass->device;
	LossSizes	s = pass_sizes(pass);
	size_t		rows = pass->batch * s.members;
	float	   *term = pass->scratch;
	float	   *log_sum = class_target_room(pass) + pass->batch * s.outputs;

	p->softmax(pass->queue, rows, s.outputs, nn_src(pass, 0), s.outputs, pass->workspace, s.outputs, log_sum);
	p->zip(pass->queue, DEV_ZIP_SUBTRACT, DEV_SPREAD_COLUMN, rows, s.outputs, nn_src(pass, 0), s.outputs,
		   log_sum, 1, term, s.outputs, false);
	zip_members(pass, DEV_ZIP_MULTIPLY, &s, term, q, term);
	sum_loss(pass, &s, -1.0f / (float) s.members, term, NULL, nn_dst(pass));
}

/* Its derivative, (sum of q) softmax - q. */
static inline void
class_loss_gradient(const NnPass *pass, const float *q)
{
	const DevPrimitives *p = pass->device;
	LossSizes	s = pass_sizes(pass);
	float	   *derivative = pass->scratch;
	float	   *sum = class_target_room(pass) + pass->batch * s.outputs;

	p->reduce_cols(pass->queue, pass->batch, s.outputs, q, s.outputs, NULL, 0, sum, false);
	p->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_COLUMN, pass->batch, s.size, pass->workspace, s.size, sum, 1,
		   derivative, s.size, false);
	zip_members(pass, DEV_ZIP_SUBTRACT, &s, derivative, q, derivative);
	spread_loss(pass, &s, 1.0f / (float) s.members, derivative, sum);
}

#endif							/* IDLA_NN_CLASS_TARGET_H */

/*
 * soft_cross_entropy.c: mean over members of - sum over classes of q log softmax(z), for targets that are shares.
 *
 * As cross_entropy, but the target is a share of every class, rows that MixUp and CutMix made of two, and q what class_target.h
 * makes of them. The softmax of forward is kept, for the derivative is (sum of q) softmax - q.
 */
#include "class_target.h"

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	const NnShape *values = check_values_and_target(graph, node);

	if (values == NULL)
		return false;
	if (!prepare_class_target(graph, node, nn_shape_last(values)))
		return false;
	node->workspace_row = nn_shape_size(values);
	node->scratch_row = nn_shape_size(values) + nn_shape_last(values) + nn_shape_positions(values) + 1;
	return true;
}

/* The target itself where nothing weighs it, else made in scratch. */
static const float *
find_target(const NnPass *pass)
{
	const ClassTarget *target = pass->node->options;
	float	   *q = class_target_room(pass);

	if (target->plain)
		return nn_src(pass, 1);
	weigh_classes(pass, pass->batch, pass_sizes(pass).outputs, nn_src(pass, 1), q);
	return q;
}

static void
forward(const NnPass *pass)
{
	class_loss(pass, find_target(pass));
}

static void
backward(const NnPass *pass)
{
	class_loss_gradient(pass, find_target(pass));
}

const NnOperator nn_operator_soft_cross_entropy = {
	.name = "soft_cross_entropy",
	.shape = shape,
	.forward = forward,
	.backward = backward
};

NnNode
nn_soft_cross_entropy(NnGraph *graph, NnNode logits, NnNode target, const float *class_weights, float smoothing)
{
	NnNode		src[] = {logits, target};
	ClassTarget options = {.class_weights = class_weights, .smoothing = smoothing};

	return nn_node_add(graph, &nn_operator_soft_cross_entropy, src, 2, NULL, 0, &options, sizeof(options));
}

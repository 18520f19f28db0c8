/*
 * cross_entropy.c: mean over members of - sum over classes of q log softmax(z).
 *
 * q is what class_target.h makes of the target, which is one class; a code outside the classes has no target part. The softmax of
 * forward is kept, for the derivative is (sum of q) softmax - q.
 */
#include "class_target.h"

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	const NnShape *values = check_values(graph, node);
	size_t		classes;

	if (values == NULL)
		return false;
	classes = nn_shape_last(values);
	if (!nn_src_is_codes(graph, node, 1) || nn_src_shape(graph, node, 1)->dims[0] != 1)
		return nn_reject(graph, node, "target is not a node of one code");
	if (!prepare_class_target(graph, node, classes))
		return false;
	node->workspace_row = nn_shape_size(values);
	node->scratch_row = nn_shape_size(values) + classes + nn_shape_positions(values) + 1;
	return true;
}

static const float *
make_target(const NnPass *pass)
{
	float	   *q = class_target_room(pass);

	set_class_target(pass, pass->batch, pass_sizes(pass).outputs, nn_src_codes(pass, 1), q);
	return q;
}

static void
forward(const NnPass *pass)
{
	class_loss(pass, make_target(pass));
}

static void
backward(const NnPass *pass)
{
	class_loss_gradient(pass, make_target(pass));
}

const NnOperator nn_operator_cross_entropy = {
	.name = "cross_entropy",
	.shape = shape,
	.forward = forward,
	.backward = backward
};

NnNode
nn_cross_entropy(NnGraph *graph, NnNode logits, NnNode target, const float *class_weights, float smoothing)
{
	NnNode		src[] = {logits, target};
	ClassTarget options = {.class_weights = class_weights, .smoothing = smoothing};

	return nn_node_add(graph, &nn_operator_cross_entropy, src, 2, NULL, 0, &options, sizeof(options));
}

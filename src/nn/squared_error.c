/*
 * squared_error.c: mean over members and outputs of (value - target)^2.
 */
#include "loss.h"

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	const NnShape *values = check_values_and_target(graph, node);

	if (values == NULL)
		return false;
	node->scratch_row = nn_shape_size(values) + 1;
	return true;
}

static void
forward(const NnPass *pass)
{
	LossSizes	s = pass_sizes(pass);
	float	   *error = pass->scratch;

	zip_members(pass, DEV_ZIP_SUBTRACT, &s, nn_src(pass, 0), nn_src(pass, 1), error);
	sum_loss(pass, &s, 1.0f / (float) s.size, error, error, nn_dst(pass));
}

static void
backward(const NnPass *pass)
{
	LossSizes	s = pass_sizes(pass);
	float	   *error = pass->scratch;

	zip_members(pass, DEV_ZIP_SUBTRACT, &s, nn_src(pass, 0), nn_src(pass, 1), error);
	spread_loss(pass, &s, 2.0f / (float) s.size, error, error + pass->batch * s.size);
}

const NnOperator nn_operator_squared_error = {
	.name = "squared_error",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.reads_src = true
};

NnNode
nn_squared_error(NnGraph *graph, NnNode values, NnNode target)
{
	NnNode		src[] = {values, target};

	return nn_node_add(graph, &nn_operator_squared_error, src, 2, NULL, 0, NULL, 0);
}

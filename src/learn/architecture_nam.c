/*
 * architecture_nam.c: the additive network (Agarwal et al. 2021).
 *
 * Every column of the features node has a small net of its own and the
 * answer is the sum of their outputs and a constant: what a column contributes to a
 * prediction is read off directly. A number and its missing indicator have a net
 * each, which loses nothing: a missing number stands at a fixed value, so the
 * indicator's net alone says what being missing means. A linear path beside each net
 * lets a straight effect be learned at once and leaves the net the curve.
 */
#include "architecture.h"

#include <stdio.h>

static NnNode
column_nets(LearnBuilder *builder, NnNode columns)
{
	const LearnNetwork *network = builder->network;
	NnNode		node = columns;
	char		name[64];

	for (int i = 0; i < network->depth; i++)
	{
		snprintf(name, sizeof(name), "block%d.linear", i);
		node = learn_build_grouped(builder, node, name, (size_t) network->width, NN_ROLE_MATRIX);
		node = nn_activation(builder->graph, node, (DevMap) network->activation);
		if (network->dropout > 0)
			node = nn_dropout(builder->graph, node, network->dropout);
	}
	return node;
}

static NnParameter
grouped_head(LearnBuilder *builder, const char *name, size_t width, float range)
{
	NnShape		shape = nn_shape(3, builder->n_features, width, builder->network->n_outputs, 0);

	return nn_parameter(builder->graph, name, &shape, NN_ROLE_HEAD,
						range > 0 ? NN_INIT_UNIFORM : NN_INIT_ZERO, range, NULL);
}

NnNode
learn_build_nam(LearnBuilder *builder, NnNode *parts)
{
	NnGraph    *graph = builder->graph;
	NnShape		shape = nn_shape(2, builder->n_features, 1, 0, 0);
	NnShape		bias = nn_shape(1, builder->network->n_outputs, 0, 0, 0);
	NnNode		columns = nn_reshape(graph, builder->features, &shape);
	NnNode		curve = column_nets(builder, columns);
	size_t		width = (size_t) builder->network->width;
	NnNode		straight;

	curve = nn_grouped_linear(graph, curve, grouped_head(builder, "head.curve", width, 0));
	straight = nn_grouped_linear(graph, columns, grouped_head(builder, "head.straight", 1, 0));
	*parts = nn_add(graph, curve, straight);
	return nn_bias(graph, nn_sum_groups(graph, *parts),
				   nn_parameter(graph, "head.bias", &bias, NN_ROLE_VECTOR, NN_INIT_ZERO, 0, NULL));
}

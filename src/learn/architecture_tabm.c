/*
 * architecture_tabm.c: the parameter-shared ensemble TabM-mini (Gorishniy, Kotelnikov and Babenko 2025).
 *
 * Each member scales the inputs by its own numbers, all members go through one
 * shared perceptron as more rows of the same products, and each has its own head. Members
 * must differ before the first layer mixes the inputs: signs for plain
 * features, normal numbers where features are embedded. The loss is the mean of
 * the members' losses, the answer the mean of their probabilities.
 */
#include "architecture.h"

#include <stdio.h>

NnNode
learn_build_tabm(LearnBuilder *builder)
{
	const LearnNetwork *network = builder->network;
	NnGraph    *graph = builder->graph;
	bool		embedded = network->embedding != LEARN_EMBEDDING_NONE;
	NnNode		node = learn_build_joined(builder);
	NnParameter scale;
	NnShape		shape;
	char		name[64];

	if (node == NN_NONE)
		return NN_NONE;
	shape = nn_shape(2, (size_t) network->members, nn_shape_size(nn_graph_shape(graph, node)), 0, 0);
	scale = nn_parameter(graph, "members.scale", &shape, NN_ROLE_TABLE,
						 embedded ? NN_INIT_NORMAL : NN_INIT_SIGN, 1, NULL);
	node = nn_ensemble_scale(graph, node, scale);
	for (int i = 0; i < network->depth; i++)
	{
		snprintf(name, sizeof(name), "block%d.linear", i);
		node = learn_build_dense(builder, node, name, (size_t) network->width, NN_ROLE_MATRIX);
		node = nn_activation(graph, node, (DevMap) network->activation);
		if (network->dropout > 0)
			node = nn_dropout(graph, node, network->dropout);
	}
	return learn_build_grouped(builder, node, "head", network->n_outputs, NN_ROLE_HEAD);
}

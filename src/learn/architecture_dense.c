/*
 * architecture_dense.c: linear model, multilayer perceptron, residual network.
 *
 * The residual network is the tabular one of Gorishniy et al. (2021): blocks
 * x + dropout(linear(dropout(relu(linear(norm(x)))))) of constant width. The
 * norm is over features and not over the batch, so that a row's answer does not
 * depend on how a batch was shared among threads.
 */
#include "architecture.h"

#include <stdio.h>

#define NAME_SIZE 64

NnNode
learn_build_linear(LearnBuilder *builder)
{
	return learn_build_dense(builder, learn_build_joined(builder), "head", builder->network->n_outputs, NN_ROLE_HEAD);
}

NnNode
learn_build_mlp(LearnBuilder *builder)
{
	const LearnNetwork *network = builder->network;
	NnNode		node = learn_build_joined(builder);
	char		name[NAME_SIZE];

	for (int i = 0; i < network->depth; i++)
	{
		snprintf(name, sizeof(name), "block%d.linear", i);
		node = learn_build_dense(builder, node, name, (size_t) network->width, NN_ROLE_MATRIX);
		node = nn_activation(builder->graph, node, (DevMap) network->activation);
		if (network->dropout > 0)
			node = nn_dropout(builder->graph, node, network->dropout);
	}
	return learn_build_dense(builder, node, "head", network->n_outputs, NN_ROLE_HEAD);
}

static NnNode
residual_block(LearnBuilder *builder, NnNode src, int number)
{
	const LearnNetwork *network = builder->network;
	NnNode		node;
	char		name[NAME_SIZE];

	snprintf(name, sizeof(name), "block%d.norm", number);
	node = learn_build_layer_norm(builder, src, name);
	snprintf(name, sizeof(name), "block%d.up", number);
	node = learn_build_dense(builder, node, name, 2 * (size_t) network->width, NN_ROLE_MATRIX);
	node = nn_activation(builder->graph, node, (DevMap) network->activation);
	if (network->dropout > 0)
		node = nn_dropout(builder->graph, node, network->dropout);
	snprintf(name, sizeof(name), "block%d.down", number);
	node = learn_build_dense(builder, node, name, (size_t) network->width, NN_ROLE_MATRIX);
	if (network->dropout > 0)
		node = nn_dropout(builder->graph, node, network->dropout);
	return nn_add(builder->graph, src, node);
}

NnNode
learn_build_resnet(LearnBuilder *builder)
{
	const LearnNetwork *network = builder->network;
	NnNode		node = learn_build_joined(builder);

	node = learn_build_dense(builder, node, "stem", (size_t) network->width, NN_ROLE_MATRIX);
	for (int i = 0; i < network->depth; i++)
		node = residual_block(builder, node, i);
	node = learn_build_layer_norm(builder, node, "norm");
	node = nn_activation(builder->graph, node, (DevMap) network->activation);
	return learn_build_dense(builder, node, "head", network->n_outputs, NN_ROLE_HEAD);
}

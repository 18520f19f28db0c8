/*
 * architecture_transformer.c: encoder layers of a Transformer (Vaswani et al. 2017), normalised before each part (Xiong et al.
 * 2020), over sequences of any kind.
 */
#include "architecture.h"

#include <stdio.h>

#define HEAD_WIDTH 32
#define INNER 4					/* width of the inner layer, in widths */

static size_t
heads_of(size_t width)
{
	size_t		heads = width / HEAD_WIDTH > 0 ? width / HEAD_WIDTH : 1;

	while (width % heads != 0)
		heads--;
	return heads;
}

static NnNode
dense(LearnBuilder *builder, NnNode src, const char *name, const char *part, size_t width)
{
	char		full[96];

	snprintf(full, sizeof(full), "%s.%s", name, part);
	return learn_build_dense(builder, src, full, width, NN_ROLE_MATRIX);
}

static NnNode
norm(LearnBuilder *builder, NnNode src, const char *name, const char *part)
{
	char		full[96];

	snprintf(full, sizeof(full), "%s.%s", name, part);
	return learn_build_layer_norm(builder, src, full);
}

static NnNode
drop(LearnBuilder *builder, NnNode src, float rate)
{
	return rate > 0 ? nn_dropout(builder->graph, src, rate) : src;
}

static NnNode
attend(LearnBuilder *builder, NnNode src, NnNode length, const char *name, size_t heads, float dropout)
{
	size_t		width = nn_graph_shape(builder->graph, src)->dims[1];
	NnNode		node = norm(builder, src, name, "norm");
	NnNode		query = dense(builder, node, name, "query", width);
	NnNode		key = dense(builder, node, name, "key", width);
	NnNode		value = dense(builder, node, name, "value", width);

	node = nn_attention(builder->graph, query, key, value, length, heads, false, dropout);
	return nn_add(builder->graph, src, drop(builder, dense(builder, node, name, "mixed", width), dropout));
}

static NnNode
think(LearnBuilder *builder, NnNode src, const char *name, float dropout)
{
	size_t		width = nn_graph_shape(builder->graph, src)->dims[1];
	NnNode		node = dense(builder, norm(builder, src, name, "norm"), name, "wide", INNER * width);

	node = drop(builder, nn_activation(builder->graph, node, DEV_MAP_GELU), dropout);
	return nn_add(builder->graph, src, drop(builder, dense(builder, node, name, "narrow", width), dropout));
}

NnNode
learn_build_attention(LearnBuilder *builder, NnNode src, NnNode length, const char *name, size_t heads, float dropout)
{
	NnNode		node;
	char		part[80];

	snprintf(part, sizeof(part), "%s.attention", name);
	node = attend(builder, src, length, part, heads, dropout);
	snprintf(part, sizeof(part), "%s.inner", name);
	return node == NN_NONE ? NN_NONE : think(builder, node, part, dropout);
}

NnNode
learn_build_transformer(LearnBuilder *builder, NnNode src, int number, const char *name)
{
	const LearnNetwork *network = builder->network;
	size_t		width = (size_t) network->width;
	NnNode		node = src;
	char		part[64];

	if (src == NN_NONE)
		return NN_NONE;
	if (nn_graph_shape(builder->graph, src)->dims[1] != width)
		node = dense(builder, src, name, "entry", width);
	node = drop(builder, learn_build_positions(builder, node, number, name, network->positions), network->dropout);
	for (int i = 0; i < network->depth && node != NN_NONE; i++)
	{
		snprintf(part, sizeof(part), "%s.layer%d", name, i);
		node = learn_build_attention(builder, node, builder->built->lengths[number], part, heads_of(width), network->dropout);
	}
	return norm(builder, node, name, "norm");
}

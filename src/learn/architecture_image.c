/*
 * architecture_image.c: encoders of images.
 *
 * cnn: blocks of two 3 x 3 convolutions, each block at half the size and twice the channels. resnet20: the
 * residual network of He et al. (2016) for small images, three stages of blocks of two convolutions, of which
 * three blocks a stage and 16 channels make the one of twenty layers; larger images are first brought down by a stem of
 * strides. The mean over all places ends both, so that weights do not depend on an image's size.
 */
#include "architecture.h"

#include <stdio.h>

#define SMALL_SIDE 64			/* images beyond are halved by the stem until they are not */
#define LEAST_SIDE 4			/* below, nothing is halved any more */

static size_t
side_of(const LearnBuilder *builder, NnNode node)
{
	const NnShape *shape = nn_graph_shape(builder->graph, node);

	return shape->dims[0] < shape->dims[1] ? shape->dims[0] : shape->dims[1];
}

static NnNode
halve(LearnBuilder *builder, NnNode src)
{
	NnWindow	window = {.kernel = {2, 2}, .stride = {2, 2}};

	return nn_max_pool(builder->graph, src, &window);
}

/* Strided convolutions until the image is small. */
static NnNode
build_stem(LearnBuilder *builder, NnNode src, const char *name, size_t width)
{
	char		part[64];

	for (int i = 0; src != NN_NONE && side_of(builder, src) > SMALL_SIDE; i++)
	{
		snprintf(part, sizeof(part), "%s.stem%d", name, i);
		src = learn_build_convolution_block(builder, src, part, 3, 2, width, true);
	}
	return src;
}

NnNode
learn_build_cnn(LearnBuilder *builder, NnNode src, const char *name, int field)
{
	const LearnNetwork *network = builder->network;
	size_t		width = (size_t) network->width;
	NnNode		node = build_stem(builder, src, name, width);
	char		part[64];

	for (int block = 0; block < network->depth && node != NN_NONE; block++, width *= 2)
	{
		if (block > 0 && side_of(builder, node) >= LEAST_SIDE)
			node = halve(builder, node);
		for (int layer = 0; layer < 2; layer++)
		{
			snprintf(part, sizeof(part), "%s.block%d.%d", name, block, layer);
			node = learn_build_convolution_block(builder, node, part, 3, 1, width, true);
		}
	}
	return learn_build_mean(builder, node, NN_NONE, field);
}

static NnNode
residual_block(LearnBuilder *builder, NnNode src, const char *name, size_t stride, size_t width)
{
	const NnShape *shape;
	NnNode		straight = src;
	NnNode		node;
	char		part[80];

	if (src == NN_NONE)
		return NN_NONE;
	snprintf(part, sizeof(part), "%s.0", name);
	node = learn_build_convolution_block(builder, src, part, 3, stride, width, true);
	snprintf(part, sizeof(part), "%s.1", name);
	node = learn_build_convolution_block(builder, node, part, 3, 1, width, false);
	shape = nn_graph_shape(builder->graph, src);
	if (stride != 1 || shape->dims[2] != width)
	{
		snprintf(part, sizeof(part), "%s.straight", name);
		straight = learn_build_convolution_block(builder, src, part, 1, stride, width, false);
	}
	return nn_activation(builder->graph, nn_add(builder->graph, node, straight), DEV_MAP_RELU);
}

NnNode
learn_build_resnet20(LearnBuilder *builder, NnNode src, const char *name, int field)
{
	const LearnNetwork *network = builder->network;
	size_t		width = (size_t) network->width;
	NnNode		node = build_stem(builder, src, name, width);
	char		part[64];

	snprintf(part, sizeof(part), "%s.first", name);
	node = learn_build_convolution_block(builder, node, part, 3, 1, width, true);
	for (int stage = 0; stage < 3; stage++)
	{
		for (int block = 0; block < network->depth && node != NN_NONE; block++)
		{
			bool		halved = stage > 0 && block == 0 && side_of(builder, node) >= LEAST_SIDE;

			snprintf(part, sizeof(part), "%s.stage%d.block%d", name, stage, block);
			node = residual_block(builder, node, part, halved ? 2 : 1, width << stage);
		}
	}
	return learn_build_mean(builder, node, NN_NONE, field);
}

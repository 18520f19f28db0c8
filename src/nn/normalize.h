/*
 * normalize.h: what layer and batch normalisation have in common; private to src/nn.
 */
#ifndef IDLA_NN_NORMALIZE_H
#define IDLA_NN_NORMALIZE_H

#include "arithmetic.h"

typedef struct Options
{
	float		epsilon;
} Options;

typedef struct Sizes
{
	size_t		rows;			/* batch * positions */
	size_t		positions;
	size_t		cols;
} Sizes;

static inline Sizes
sizes_of(const NnPass *pass)
{
	Sizes		sizes;

	sizes.cols = nn_shape_last(&pass->node->shape);
	sizes.positions = nn_shape_positions(&pass->node->shape);
	sizes.rows = pass->batch * sizes.positions;
	return sizes;
}

/* The shape rule: parameters have one value a column; the first two, gain and bias, may be absent. */
static inline bool
check_normalization(NnGraph *graph, NnNodeData *node, const char *const *names, int n_names)
{
	const Options *options = node->options;
	const NnShape *src = nn_src_shape(graph, node, 0);
	char		text[64];

	if (!nn_need_floats(graph, node, 0))
		return false;
	if (!(options->epsilon > 0 && options->epsilon < 1e30f))
		return nn_reject(graph, node, "epsilon \"%g\" is not a positive number", options->epsilon);
	for (int i = 0; i < n_names; i++)
	{
		const NnShape *parameter;

		if (i < 2 && node->parameters[i] == NN_NONE)
			continue;
		parameter = nn_need_parameter(graph, node, i);
		if (parameter == NULL)
			return false;
		if (parameter->rank != 1 || parameter->dims[0] != nn_shape_last(src))
			return nn_reject(graph, node, "%s has shape %s where (%zu) is needed", names[i],
							 nn_shape_text(parameter, text, sizeof(text)), nn_shape_last(src));
	}
	node->shape = *src;
	return true;
}

#endif							/* IDLA_NN_NORMALIZE_H */

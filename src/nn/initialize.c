/*
 * initialize.c: the initial weights of a graph.
 *
 * Parameter p draws from a stream of its own, so that adding a parameter
 * behind others does not change theirs.
 */
#include "operator.h"

#include <string.h>

static float
draw(const NnParameterInfo *info, uint64_t seed, uint64_t stream, size_t i)
{
	switch (info->init)
	{
		case NN_INIT_UNIFORM:
			return (float) (info->a * (2.0 * dev_random_uniform(seed, stream, i) - 1.0));
		case NN_INIT_NORMAL:
			return (float) (info->a * dev_random_normal(seed, stream, i));
		case NN_INIT_SIGN:
			return dev_random_below(seed, stream, i, 2) == 0 ? -1.0f : 1.0f;
		case NN_INIT_ONE:
			return 1.0f;
		case NN_INIT_ZERO:
		case NN_INIT_GIVEN:
			break;
	}
	return 0.0f;
}

void
nn_graph_initialize(const NnGraph *graph, uint64_t seed, float *weights)
{
	memset(weights, 0, graph->n_weights * sizeof(float));
	for (int p = 0; p < graph->n_parameters; p++)
	{
		const NnParameterInfo *info = &graph->parameters[p];
		float	   *values = weights + info->offset;

		if (info->init == NN_INIT_GIVEN)
			memcpy(values, graph->given[p], info->size * sizeof(float));
		else
			for (size_t i = 0; i < info->size; i++)
				values[i] = draw(info, seed, (uint64_t) DEV_STREAM_INIT + (uint64_t) p, i);
	}
}

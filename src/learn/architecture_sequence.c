/*
 * architecture_sequence.c: encoders of signals, series and texts, from (length, width) to one vector.
 *
 * fcn: three convolutions of kernels 8, 5 and 3 with batch norms and the mean over time (Wang, Yan and Oates 2017).
 * lstm, gru: layers of recurrence, in both directions where the whole sequence is known; what remains is the state at
 * the end and the mean over time.
 */
#include "architecture.h"

#include <math.h>
#include <stdio.h>

NnNode
learn_build_fcn(LearnBuilder *builder, NnNode src, NnNode length, const char *name, int field)
{
	static const size_t kernels[] = {8, 5, 3};
	const LearnNetwork *network = builder->network;
	size_t		width = (size_t) network->width;
	NnNode		node = src;
	char		part[64];

	for (int i = 0; i < network->depth && node != NN_NONE; i++)
	{
		size_t		kernel = kernels[i < 3 ? i : 2];
		size_t		longest = nn_graph_shape(builder->graph, node)->dims[0];

		/* A sequence shorter than a kernel is seen whole by a smaller one. */
		while (kernel > 1 && kernel > longest)
			kernel--;
		snprintf(part, sizeof(part), "%s.layer%d", name, i);
		node = learn_build_convolution_block(builder, node, part, kernel, 1, i % 2 == 1 ? 2 * width : width, true);
		/* Padding is nothing to the next layer, as it was nothing to this one. */
		if (length != NN_NONE)
			node = nn_mask(builder->graph, node, length);
	}
	return learn_build_mean(builder, node, length, field);
}

static NnParameter
gates(LearnBuilder *builder, const char *name, const char *part, NnShape shape, NnRole role, float range)
{
	char		full[96];

	snprintf(full, sizeof(full), "%s.%s", name, part);
	return nn_parameter(builder->graph, full, &shape, role, range > 0 ? NN_INIT_UNIFORM : NN_INIT_ZERO, range, NULL);
}

NnNode
learn_build_recurrence(LearnBuilder *builder, NnNode src, NnNode length, const char *name, size_t hidden, bool lstm,
					   bool backward)
{
	size_t		n_gates = lstm ? 4 : 3;
	float		range = 1.0f / sqrtf((float) hidden);
	NnParameter from_src;
	NnParameter from_state;
	NnParameter bias;
	const NnShape *shape;

	if (src == NN_NONE)
		return NN_NONE;
	shape = nn_graph_shape(builder->graph, src);
	from_src = gates(builder, name, "weights", nn_shape(2, shape->dims[1], n_gates * hidden, 0, 0), NN_ROLE_MATRIX, range);
	from_state = gates(builder, name, "hidden", nn_shape(2, hidden, n_gates * hidden, 0, 0), NN_ROLE_MATRIX, range);
	bias = gates(builder, name, "bias", nn_shape(1, n_gates * hidden, 0, 0, 0), NN_ROLE_VECTOR, range);
	if (lstm)
		return nn_lstm(builder->graph, src, length, backward, from_src, from_state, bias);
	return nn_gru(builder->graph, src, length, backward, from_src, from_state, bias,
				  gates(builder, name, "bias_hidden", nn_shape(1, hidden, 0, 0, 0), NN_ROLE_VECTOR, range));
}

NnNode
learn_build_both_ways(LearnBuilder *builder, NnNode src, NnNode length, const char *name, bool lstm)
{
	const LearnNetwork *network = builder->network;
	NnNode		node = src;
	char		part[64];

	for (int i = 0; i < network->depth && node != NN_NONE; i++)
	{
		NnNode		sides[2];

		if (i > 0 && network->dropout > 0)
			node = nn_dropout(builder->graph, node, network->dropout);
		snprintf(part, sizeof(part), "%s.layer%d", name, i);
		sides[0] = learn_build_recurrence(builder, node, length, part, (size_t) network->width, lstm, false);
		snprintf(part, sizeof(part), "%s.layer%d.backward", name, i);
		sides[1] = learn_build_recurrence(builder, node, length, part, (size_t) network->width, lstm, true);
		node = nn_concat(builder->graph, sides, 2);
	}
	return node;
}

NnNode
learn_build_recurrent(LearnBuilder *builder, NnNode src, NnNode length, const char *name, bool lstm, bool both)
{
	const LearnNetwork *network = builder->network;
	NnGraph    *graph = builder->graph;
	NnNode		forward = NN_NONE;
	NnNode		backward = NN_NONE;
	NnNode		node = src;
	NnNode		ends[3];
	int			n = 0;
	char		part[64];

	for (int i = 0; i < network->depth && node != NN_NONE; i++)
	{
		if (i > 0 && network->dropout > 0)
			node = nn_dropout(graph, node, network->dropout);
		snprintf(part, sizeof(part), "%s.layer%d", name, i);
		forward = learn_build_recurrence(builder, node, length, part, (size_t) network->width, lstm, false);
		if (both)
		{
			NnNode		sides[2];

			snprintf(part, sizeof(part), "%s.layer%d.backward", name, i);
			backward = learn_build_recurrence(builder, node, length, part, (size_t) network->width, lstm, true);
			sides[0] = forward;
			sides[1] = backward;
			node = nn_concat(graph, sides, 2);
		}
		else
			node = forward;
	}
	ends[n++] = nn_last(graph, forward, length, false);
	if (both)
		ends[n++] = nn_last(graph, backward, length, true);
	ends[n++] = nn_masked_mean(graph, node, length);
	return nn_concat(graph, ends, n);
}

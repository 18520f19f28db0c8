/*
 * architecture_position.c: how a Transformer knows where in a sequence something stands.
 *
 * sinusoid: sines and cosines of fixed frequencies (Vaswani et al. 2017). learned: a table with a row for each place. time: sines
 * and cosines whose frequencies are learned, from those of the sinusoid on (Kazemi et al. 2019); of a patient's series as many more tell
 * how long ago its channels were last observed, which is where irregular records differ though their bins are regular.
 *
 * Times are counted in places: samples, bins, pieces.
 */
#include "architecture.h"

#include <math.h>
#include <stdio.h>

#define LEARNED_DEVIATION 0.1f

static NnParameter
parameter(LearnBuilder *builder, const char *name, const char *part, NnShape shape, NnRole role, NnInit init, const float *given)
{
	char		full[96];

	snprintf(full, sizeof(full), "%s.%s", name, part);
	return nn_parameter(builder->graph, full, &shape, role, init, LEARNED_DEVIATION, given);
}

/* Places of the whole field: a network for shorter texts has the same parameters as the longest one. */
static size_t
places_of(const LearnField *field)
{
	return field->whole > 0 ? field->whole : field->dims[0];
}

/* (length, n) times a constant column: sums with these weights, (length, 1). */
static NnNode
weigh(LearnBuilder *builder, NnNode src, const char *name, const char *part, size_t first, float weight)
{
	size_t		n = nn_graph_shape(builder->graph, src)->dims[1];
	float	   *column = dev_alloc(builder->session, n, sizeof(float));
	NnNode		node;

	if (column == NULL)
		return NN_NONE;
	for (size_t i = first; i < n; i++)
		column[i] = weight;
	node = nn_linear(builder->graph, src, parameter(builder, name, part, nn_shape(2, n, 1, 0, 0), NN_ROLE_CONSTANT, NN_INIT_GIVEN, column));
	dev_release(builder->session, column);
	return node;
}

/* The number of each place, (length, 1): there are no nodes without a source, so that it begins as nothing of the sequence. */
static NnNode
count_places(LearnBuilder *builder, NnNode src, const char *name, size_t n)
{
	float	   *clock = dev_alloc(builder->session, n, sizeof(float));
	NnNode		node;

	if (clock == NULL)
		return NN_NONE;
	for (size_t i = 0; i < n; i++)
		clock[i] = (float) i;
	node = nn_position(builder->graph, weigh(builder, src, name, "nothing", 0, 0),
					   parameter(builder, name, "clock", nn_shape(2, n, 1, 0, 0), NN_ROLE_CONSTANT, NN_INIT_GIVEN, clock));
	dev_release(builder->session, clock);
	return node;
}

/* (length, width) + the code of times (length, 1); width is even. */
static NnNode
add_times(LearnBuilder *builder, NnNode src, NnNode times, const char *name, const char *part)
{
	size_t		width = nn_graph_shape(builder->graph, src)->dims[1];
	size_t		half = width / 2;
	float	   *frequencies = dev_alloc(builder->session, half, sizeof(float));
	NnNode		code;

	if (frequencies == NULL)
		return NN_NONE;
	for (size_t i = 0; i < half; i++)
		frequencies[i] = (float) pow(10000.0, -2.0 * (double) i / (double) width);
	code = nn_time_encoding(builder->graph, times, parameter(builder, name, part, nn_shape(1, half, 0, 0, 0), NN_ROLE_TABLE,
															 NN_INIT_GIVEN, frequencies), width);
	dev_release(builder->session, frequencies);
	return nn_add(builder->graph, src, code);
}

static NnNode
build_time(LearnBuilder *builder, NnNode src, int number, const char *name)
{
	const LearnField *field = &builder->network->fields[number];
	NnNode		node = add_times(builder, src, count_places(builder, src, name, places_of(field)), name, "frequencies");
	size_t		n_channels = field->dims[1];

	/* A bin is values, masks and times since, the last as shares of the window: their mean in bins. */
	if (field->kind != LEARN_SERIES || node == NN_NONE)
		return node;
	return add_times(builder, node, weigh(builder, builder->built->planes[number][0], name, "since", 2 * n_channels,
										  (float) field->dims[0] / (float) n_channels), name, "since.frequencies");
}

NnNode
learn_build_positions(LearnBuilder *builder, NnNode src, int number, const char *name, LearnPositions positions)
{
	char		part[64];

	if (src == NN_NONE)
		return NN_NONE;
	snprintf(part, sizeof(part), "%s.positions", name);
	switch (positions)
	{
		case LEARN_POSITIONS_LEARNED:
			return nn_position(builder->graph, src,
							   parameter(builder, part, "table", nn_shape(2, places_of(&builder->network->fields[number]),
																		   nn_graph_shape(builder->graph, src)->dims[1], 0, 0),
										 NN_ROLE_TABLE, NN_INIT_NORMAL, NULL));
		case LEARN_POSITIONS_TIME:
			return build_time(builder, src, number, part);
		case LEARN_POSITIONS_NONE:
			return src;
		case LEARN_POSITIONS_AUTO:
		case LEARN_POSITIONS_SINUSOID:
			break;
	}
	return nn_sinusoid(builder->graph, src);
}

/*
 * architecture_field.c: encoders, from the planes of a field to one vector.
 */
#include "architecture.h"

#include "idla/learn_data.h"

#include <stdio.h>

static DevStatus
build_planes(LearnBuilder *builder, LearnGraph *built, int number)
{
	const LearnField *field = &builder->network->fields[number];
	LearnPlane	planes[LEARN_MAX_PLANES];
	int			n = learn_field_planes(field, planes);
	char		name[64];

	for (int i = 0; i < LEARN_MAX_PLANES; i++)
		built->planes[number][i] = built->starts[number][i] = NN_NONE;
	for (int i = 0; i < n; i++)
	{
		snprintf(name, sizeof(name), "field%d%s", number, planes[i].name);
		built->planes[number][i] = planes[i].codes ?
			nn_codes(builder->graph, name, nn_shape_size(&planes[i].shape)) :
			nn_input(builder->graph, name, &planes[i].shape);
		if (!planes[i].codes)
			built->starts[number][i] = built->planes[number][i];
	}
	built->lengths[number] = NN_NONE;
	if (learn_field_has_length(field))
	{
		snprintf(name, sizeof(name), "field%d.length", number);
		built->lengths[number] = nn_codes(builder->graph, name, 1);
	}
	return DEV_OK;
}

DevStatus
learn_build_fields(LearnBuilder *builder, LearnGraph *built)
{
	size_t		n = (size_t) builder->network->n_fields;

	built->planes = dev_alloc(builder->session, n, sizeof(*built->planes));
	built->starts = dev_alloc(builder->session, n, sizeof(*built->starts));
	built->lengths = dev_alloc(builder->session, n, sizeof(NnNode));
	builder->encoded = dev_alloc(builder->session, n, sizeof(NnNode));
	if (built->planes == NULL || built->starts == NULL || built->lengths == NULL || builder->encoded == NULL)
		return DEV_NO_MEMORY;
	for (int i = 0; i < (int) n; i++)
	{
		DevStatus	status = build_planes(builder, built, i);
		NnShape		flat;
		char		name[64];

		if (status != DEV_OK)
			return status;
		flat = nn_shape(1, nn_shape_size(nn_graph_shape(builder->graph, built->planes[i][0])), 0, 0, 0);
		snprintf(name, sizeof(name), "field%d.flat", i);
		builder->encoded[i] = nn_activation(builder->graph,
			learn_build_dense(builder, nn_reshape(builder->graph, built->planes[i][0], &flat), name, 64, NN_ROLE_MATRIX), DEV_MAP_RELU);
	}
	return DEV_OK;
}

/*
 * stretch.c: one network built for texts of several lengths.
 */
#include "stretch.h"

#include <string.h>

#define SHORTEST ((size_t) 32)
#define SHORTEST_SENTENCE ((size_t) 8)	/* alone, or beside others of its length; a batch to learn from has a longer one anyway */

/* Tokens of the longest text there can be, 0 without texts. */
static size_t
longest_text(const LearnNetwork *network)
{
	size_t		longest = 0;

	for (int i = 0; i < network->n_fields; i++)
		if (network->fields[i].kind == LEARN_TEXT && network->fields[i].dims[0] > longest)
			longest = network->fields[i].dims[0];
	return longest;
}

static DevStatus
create_stretch(DevSession *session, const LearnNetwork *network, const LearnLoss *loss, size_t length, LearnStretch *stretch)
{
	LearnField *fields = dev_alloc(session, (size_t) network->n_fields + 1, sizeof(LearnField));

	stretch->length = length;
	stretch->network = *network;
	/* Never the caller's own, which are not to be released. */
	stretch->network.fields = fields;
	if (fields == NULL)
		return DEV_NO_MEMORY;
	for (int i = 0; i < network->n_fields; i++)
	{
		fields[i] = network->fields[i];
		if (fields[i].kind != LEARN_TEXT || fields[i].dims[0] <= length)
			continue;
		fields[i].whole = fields[i].dims[0];
		fields[i].dims[0] = length;
	}
	return learn_network_build(session, &stretch->network, loss, &stretch->built);
}

DevStatus
learn_stretches_create(DevSession *session, const LearnNetwork *network, const LearnLoss *loss, LearnStretches *stretches)
{
	size_t		longest = longest_text(network);
	size_t		shortest = loss == NULL ? SHORTEST_SENTENCE : SHORTEST;
	size_t		length = learn_layers_see_padding(session, network) ? longest : shortest;
	int			most = loss == NULL ? LEARN_MAX_STRETCHES : LEARN_MAX_STRETCHES - 2;
	DevStatus	status = DEV_OK;

	/* What is added to a text is of one length. */
	most = loss != NULL && loss->nudged ? 1 : most;
	memset(stretches, 0, sizeof(*stretches));
	for (; stretches->n < most - 1 && length < longest && status == DEV_OK; length *= 2)
		status = create_stretch(session, network, loss, length, &stretches->stretches[stretches->n++]);
	if (status == DEV_OK)
		status = create_stretch(session, network, loss, longest, &stretches->stretches[stretches->n++]);
	return status;
}

static void
free_stretch(DevSession *session, LearnStretch *stretch)
{
	dev_release(session, (void *) stretch->network.fields);
	dev_release(session, stretch->built.code_first);
	dev_release(session, stretch->built.code_width);
	dev_release(session, stretch->built.planes);
	dev_release(session, stretch->built.starts);
	dev_release(session, stretch->built.lengths);
	dev_release(session, stretch->built.nudges);
	dev_release(session, stretch->built.maps);
	dev_release(session, stretch->built.map_has_length);
	nn_graph_free(stretch->built.graph);
}

void
learn_stretches_free(DevSession *session, LearnStretches *stretches)
{
	for (int i = 0; i < stretches->n; i++)
		free_stretch(session, &stretches->stretches[i]);
	memset(stretches, 0, sizeof(*stretches));
}

int
learn_stretch_find(const LearnStretches *stretches, size_t length)
{
	int			i = 0;

	while (i < stretches->n - 1 && stretches->stretches[i].length < length)
		i++;
	return i;
}

size_t
learn_stretch_room(const LearnStretches *stretches, const LearnField *field, size_t length)
{
	size_t		room = stretches->stretches[learn_stretch_find(stretches, length)].length;

	return room < field->dims[0] ? room : field->dims[0];
}

size_t
learn_text_length(const LearnField *field, LearnBytes stored)
{
	if (field->kind != LEARN_TEXT || stored.bytes == NULL)
		return 0;
	return field->tagged ? (size_t) *(const int32_t *) stored.bytes : stored.size / sizeof(int32_t);
}

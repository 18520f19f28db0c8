/*
 * lifetime.c: buffers of a run, how long each is needed, and where each lies.
 *
 * Finding places is the packing of rectangles, moments by addresses, which has no quick best answer. Two greedy ones are
 * tried, the largest buffers first (Pisarchyk and Lee 2020, "Efficient Memory Management for Deep Neural Net Inference") and
 * the longest needed first, each buffer into the tightest gap that its moments leave; the smaller memory wins.
 */
#include "lifetime.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define OFFSET_UNIT 16			/* floats: buffers begin at cache lines */
#define BUFFERS_PER_NODE 6

typedef struct Maker
{
	const NnGraph *graph;
	DevSession *session;
	size_t		max_batch;
	NnRunUse	use;
	NnNode	   *owners;			/* by node: whose value buffer it uses in this run */
	int			scratch;		/* the one scratchpad where nothing is shared, else -1 */
	NnLayout   *layout;
} Maker;

/* ---- Moments ---- */

static int
end_of(const NnGraph *graph)
{
	return 2 * graph->n_nodes - 1;
}

static int
moment_back(const NnGraph *graph, NnNode node)
{
	return end_of(graph) - node;
}

/* Does a backward pass of this run visit the node? */
static bool
goes_back(const Maker *maker, const NnNodeData *node)
{
	return maker->use != NN_RUN_FORWARD && node->op->backward != NULL && node->trained;
}

static void
stretch(NnBuffer *buffer, int moment)
{
	buffer->first = moment < buffer->first ? moment : buffer->first;
	buffer->last = moment > buffer->last ? moment : buffer->last;
}

/* ---- Buffers ---- */

static bool
too_many(DevSession *session)
{
	dev_fail(session, DEV_NO_MEMORY, "out of memory: a layer has too many values");
	return false;
}

/* Room for max_batch * row + fixed floats, needed at `moment`. *number stays -1 when nothing is wanted; false when it is too much. */
static bool
add_buffer(const Maker *maker, size_t row, size_t fixed, int moment, int *number)
{
	NnLayout   *layout = maker->layout;
	NnBuffer   *buffer = &layout->buffers[layout->n_buffers];
	size_t		most = SIZE_MAX / sizeof(float) - OFFSET_UNIT;

	if (row == 0 && fixed == 0)
		return true;
	if (fixed > most || (row != 0 && maker->max_batch > (most - fixed) / row))
		return too_many(maker->session);
	*buffer = (NnBuffer) {.size = maker->max_batch * row + fixed, .first = moment, .last = moment};
	*number = layout->n_buffers++;
	return true;
}

/* Elementwise nodes write over a source that nobody needs any more: without a way back, every source read once. */
static NnNode
find_owner(const Maker *maker, const NnNodeData *node)
{
	const NnGraph *graph = maker->graph;
	const NnNodeData *src;

	if (node->value_owner != node->number)
		return maker->owners[node->value_owner];
	if (maker->use != NN_RUN_FORWARD || !node->in_place)
		return node->number;
	src = graph->nodes[node->src[0]];
	if (src->size != node->size || src->is_codes || !nn_has_one_reader(graph, src))
		return node->number;
	return graph->nodes[maker->owners[src->number]]->n_src == 0 ? node->number : maker->owners[src->number];
}

/* What is set from outside, asked for, or read by nobody in the graph: by whoever runs it, then. */
static bool
is_kept(const NnNodeData *node)
{
	return node->kept || node->n_src == 0 || node->n_consumers == 0;
}

/* The node's value is written now, perhaps over another; those that it reads are needed now, and maybe on the way back. */
static bool
add_value(const Maker *maker, const NnNodeData *node)
{
	NnLayout   *layout = maker->layout;
	NnPlaces   *places = layout->places;
	int			number = node->number;
	bool		back = goes_back(maker, node);
	NnBuffer   *buffer;

	maker->owners[number] = find_owner(maker, node);
	if (maker->owners[number] != number)
		places[number].value = places[maker->owners[number]].value;
	else if (!add_buffer(maker, node->size, 0, number, &places[number].value))
		return false;
	buffer = &layout->buffers[places[number].value];
	stretch(buffer, number);
	if (back && node->reads_dst)
		stretch(buffer, moment_back(maker->graph, number));
	buffer->kept |= is_kept(node);
	for (int i = 0; i < node->n_src; i++)
	{
		buffer = &layout->buffers[places[node->src[i]].value];
		stretch(buffer, number);
		if (back && node->reads_src)
			stretch(buffer, moment_back(maker->graph, number));
	}
	return true;
}

/* A gradient is needed from what adds to it first on the way back until the node's own turn. */
static bool
add_gradient(const Maker *maker, const NnNodeData *node)
{
	NnPlaces   *places = maker->layout->places;
	int			moment = moment_back(maker->graph, node->number);
	int		   *number = &places[node->diff_owner].diff;

	if (maker->use == NN_RUN_FORWARD || node->is_codes || (maker->use == NN_RUN_TRAIN && !node->trained))
		return true;
	/* An owner is the lowest of its group, and may itself have no use for the gradient. */
	if (*number < 0 && !add_buffer(maker, node->size, 0, moment, number))
		return false;
	places[node->number].diff = *number;
	stretch(&maker->layout->buffers[*number], moment);
	return true;
}

static void
stretch_gradients(const Maker *maker, const NnNodeData *node)
{
	NnPlaces   *places = maker->layout->places;

	for (int i = 0; goes_back(maker, node) && i < node->n_src; i++)
		if (places[node->src[i]].diff >= 0)
			stretch(&maker->layout->buffers[places[node->src[i]].diff], moment_back(maker->graph, node->number));
}

static bool
add_scratch(const Maker *maker, const NnNodeData *node)
{
	int		   *scratch = maker->layout->places[node->number].scratch;

	if (maker->scratch >= 0)
	{
		scratch[0] = scratch[1] = maker->scratch;
		return true;
	}
	return add_buffer(maker, node->scratch_row, node->scratch_fixed, node->number, &scratch[0]) &&
		(!goes_back(maker, node) ||
		 add_buffer(maker, node->scratch_row, node->scratch_fixed, moment_back(maker->graph, node->number), &scratch[1]));
}

static bool
add_node(const Maker *maker, const NnNodeData *node)
{
	NnPlaces   *places = &maker->layout->places[node->number];
	int			number = node->number;

	*places = (NnPlaces) {.value = -1, .diff = -1, .workspace = -1, .workspace_fixed = -1, .scratch = {-1, -1}};
	if (!add_value(maker, node) || !add_gradient(maker, node) || !add_scratch(maker, node) ||
		!add_buffer(maker, node->workspace_row, 0, number, &places->workspace) ||
		!add_buffer(maker, 0, node->workspace_fixed, number, &places->workspace_fixed))
		return false;
	stretch_gradients(maker, node);
	if (goes_back(maker, node) && places->workspace >= 0)
		stretch(&maker->layout->buffers[places->workspace], moment_back(maker->graph, number));
	if (goes_back(maker, node) && places->workspace_fixed >= 0)
		stretch(&maker->layout->buffers[places->workspace_fixed], moment_back(maker->graph, number));
	return true;
}

/* Where nothing is shared, a scratchpad is all the same: a buffer for the node that wants most. */
static bool
add_scratchpad(Maker *maker)
{
	const NnGraph *graph = maker->graph;
	int			number = -1;
	size_t		most = 0;

	maker->scratch = -1;
	if (maker->use != NN_RUN_WHOLE)
		return true;
	for (int i = 0; i < graph->n_nodes; i++)
	{
		int			wanted = -1;
		size_t		size;

		if (!add_buffer(maker, graph->nodes[i]->scratch_row, graph->nodes[i]->scratch_fixed, 0, &wanted))
			return false;
		size = wanted < 0 ? 0 : maker->layout->buffers[wanted].size;
		maker->layout->n_buffers = 0;
		most = size > most ? size : most;
	}
	if (!add_buffer(maker, 0, most, 0, &number))
		return false;
	maker->scratch = number;
	return true;
}

/* ---- Places ---- */

static int
by_size(const void *a, const void *b)
{
	const NnBuffer *x = *(const NnBuffer *const *) a;
	const NnBuffer *y = *(const NnBuffer *const *) b;

	if (x->size != y->size)
		return x->size < y->size ? 1 : -1;
	return x < y ? -1 : x > y;
}

static int
by_duration(const void *a, const void *b)
{
	const NnBuffer *x = *(const NnBuffer *const *) a;
	const NnBuffer *y = *(const NnBuffer *const *) b;
	int			duration_x = x->last - x->first;
	int			duration_y = y->last - y->first;

	if (duration_x != duration_y)
		return duration_x < duration_y ? 1 : -1;
	return by_size(a, b);
}

static size_t
round_up(size_t n)
{
	return (n + OFFSET_UNIT - 1) / OFFSET_UNIT * OFFSET_UNIT;
}

/* The tightest gap between those of the placed buffers, which stand in the order of their offsets, that are needed at the same time. */
static size_t
find_gap(NnBuffer *const *placed, int n, const NnBuffer *buffer)
{
	size_t		size = round_up(buffer->size);
	size_t		tightest = SIZE_MAX;
	size_t		found = 0;
	size_t		end = 0;		/* of all that were met so far */

	for (int i = 0; i < n; i++)
	{
		const NnBuffer *other = placed[i];

		if (other->last < buffer->first || other->first > buffer->last)
			continue;
		if (other->offset > end && other->offset - end >= size && other->offset - end < tightest)
		{
			tightest = other->offset - end;
			found = end;
		}
		if (other->offset + round_up(other->size) > end)
			end = other->offset + round_up(other->size);
	}
	return tightest < SIZE_MAX ? found : end;
}

/* Gives all buffers their offsets, in the order that `queue` has; the floats that they need together, or 0 when that overflows. */
static size_t
place(NnBuffer *const *queue, int n, NnBuffer **placed)
{
	size_t		total = 0;

	for (int i = 0; i < n; i++)
	{
		NnBuffer   *buffer = queue[i];
		int			at = i;

		buffer->offset = find_gap(placed, i, buffer);
		if (buffer->offset > SIZE_MAX / sizeof(float) - round_up(buffer->size))
			return 0;
		total = buffer->offset + round_up(buffer->size) > total ? buffer->offset + round_up(buffer->size) : total;
		while (at > 0 && placed[at - 1]->offset > buffer->offset)
			at--;
		memmove(placed + at + 1, placed + at, (size_t) (i - at) * sizeof(*placed));
		placed[at] = buffer;
	}
	return total;
}

static bool
place_all(const Maker *maker)
{
	NnLayout   *layout = maker->layout;
	size_t		n = (size_t) layout->n_buffers;
	NnBuffer  **queue = dev_alloc(maker->session, n, sizeof(*queue));
	NnBuffer  **placed = dev_alloc(maker->session, n, sizeof(*placed));
	bool		good = queue != NULL && placed != NULL;

	for (size_t i = 0; good && i < n; i++)
	{
		queue[i] = &layout->buffers[i];
		if (queue[i]->kept)
		{
			queue[i]->first = 0;
			queue[i]->last = end_of(maker->graph);
		}
	}
	if (good)
	{
		size_t		sized;

		qsort(queue, n, sizeof(*queue), by_size);
		sized = place(queue, (int) n, placed);
		qsort(queue, n, sizeof(*queue), by_duration);
		layout->total = place(queue, (int) n, placed);
		if (sized != 0 && (layout->total == 0 || sized < layout->total))
		{
			qsort(queue, n, sizeof(*queue), by_size);
			layout->total = place(queue, (int) n, placed);
		}
		good = layout->total != 0 || too_many(maker->session);
	}
	dev_release(maker->session, queue);
	dev_release(maker->session, placed);
	return good;
}

static bool
fill_layout(Maker *maker)
{
	const NnGraph *graph = maker->graph;

	if (!add_scratchpad(maker))
		return false;
	for (int i = 0; i < graph->n_nodes; i++)
		if (!add_node(maker, graph->nodes[i]))
			return false;
	if (maker->use != NN_RUN_WHOLE)
		return place_all(maker);
	for (int i = 0; i < maker->layout->n_buffers; i++)
		maker->layout->buffers[i].kept = true;
	return true;
}

DevStatus
nn_layout_create(const NnGraph *graph, DevSession *session, size_t max_batch, NnRunUse use, NnLayout *layout)
{
	size_t		n = (size_t) graph->n_nodes;
	Maker		maker = {.graph = graph, .session = session, .max_batch = max_batch, .use = use, .layout = layout};
	bool		good;

	memset(layout, 0, sizeof(*layout));
	/* One more, for the scratchpad. */
	layout->buffers = dev_alloc(session, BUFFERS_PER_NODE * n + 1, sizeof(*layout->buffers));
	layout->places = dev_alloc(session, n, sizeof(*layout->places));
	maker.owners = dev_alloc(session, n, sizeof(*maker.owners));
	good = layout->buffers != NULL && layout->places != NULL && maker.owners != NULL && fill_layout(&maker);
	dev_release(session, maker.owners);
	if (good)
		return DEV_OK;
	nn_layout_free(session, layout);
	return DEV_NO_MEMORY;
}

void
nn_layout_free(DevSession *session, NnLayout *layout)
{
	dev_release(session, layout->buffers);
	dev_release(session, layout->places);
	memset(layout, 0, sizeof(*layout));
}

/*
 * run.c: one thread's passes through a graph.
 *
 * All buffers are taken when the run is made: values, gradients, what operators keep between
 * forward and backward, and scratchpads; lifetime.c says which of them share memory. Which nodes a pass
 * visits depends on where it starts and ends; such plans are made on first use and kept.
 */
#include "lifetime.h"

#include <stdint.h>
#include <string.h>

#define PLANS 8					/* of each kind; a trainer needs two or three, an explanation one more */

/* The nodes of one kind of pass, in the order of visiting. */
typedef struct Plan
{
	bool		made;
	int			n_starts;		/* nodes whose values are taken as they are, and behind which no gradient goes */
	NnNode		starts[NN_MAX_STARTS];
	NnNode		last;			/* forward: node wanted; backward: node started from */
	bool		all;			/* backward: gradients of inputs too */
	int			n;
	NnNode	   *nodes;
	bool	   *wanted;			/* by node: marked while planning; backward: its gradient is wanted */
} Plan;

struct NnRun
{
	NnGraph    *graph;
	DevQueue   *queue;
	size_t		max_batch;
	NnRunUse	use;
	bool		all_gradients;	/* see nn_run_all_gradients */
	NnLayout	layout;
	float	   *arena;			/* all buffers of the layout, or NULL where nothing is shared: */
	float	  **owned;			/* by buffer: one of its own */
	size_t		n_bytes;		/* of device memory taken */
	NnTensor   *tensors;		/* by node */
	float	  **constants;
	float	   *row_values;		/* max_batch: one value an example */
	float	   *one_gradient;	/* n_weights: an example's own gradient, where operators have no closed form; or NULL */
	Plan		forward[PLANS];
	Plan		backward[PLANS];
	int			next_forward;	/* the plan to give up for the next new one */
	int			next_backward;
	const float *weights;
	float	   *diff_weights;
	size_t		batch;			/* of the current inputs */
	NnMode		mode;			/* of the last forward */
	uint64_t	seed;
	uint64_t	step;
	size_t		first_row;
	const Plan *last_forward;	/* whose values the tensors hold, or NULL */
	const Plan *last_backward;	/* whose gradients the tensors hold, or NULL */
	bool		misused;		/* a call that a void function could not refuse */
};

/* ---- Making ---- */

/* A node whose per-example gradients need one-row backward passes: no closed form, or a parameter that others use too. */
static bool
needs_own_gradient(const NnGraph *graph, const NnNodeData *node)
{
	bool		any = false;

	for (int i = 0; i < node->n_parameters; i++)
	{
		NnParameter parameter = node->parameters[i];

		if (parameter < 0 || !nn_role_trained(graph->parameters[parameter].role))
			continue;
		if (graph->n_uses[parameter] > 1)
			return true;
		any = true;
	}
	return any && node->op->norms == NULL;
}

/* Device memory for n floats; false when there is none. Nothing wanted leaves NULL. */
static bool
take(NnRun *run, size_t n, float **buffer)
{
	*buffer = NULL;
	if (n == 0)
		return true;
	*buffer = run->queue->primitives->alloc(run->queue->device, n * sizeof(float));
	run->n_bytes += n * sizeof(float);
	return *buffer != NULL;
}

/* Where a buffer of the layout lies, or NULL for -1. */
static float *
buffer_of(const NnRun *run, int number)
{
	if (number < 0)
		return NULL;
	return run->arena != NULL ? run->arena + run->layout.buffers[number].offset : run->owned[number];
}

static bool
take_constants(NnRun *run, const NnNodeData *node)
{
	if (!take(run, node->n_constants, &run->constants[node->number]))
		return false;
	if (node->n_constants > 0)
		run->queue->primitives->upload(run->queue, run->constants[node->number], node->constants,
									   node->n_constants * sizeof(float));
	return true;
}

/* Where buffers share nothing, each is a block of its own, so that tests see what oversteps one. */
static bool
take_layout(NnRun *run)
{
	DevSession *session = run->queue->device->session;
	NnLayout   *layout = &run->layout;

	if (nn_layout_create(run->graph, session, run->max_batch, run->use, layout) != DEV_OK)
		return false;
	if (run->use != NN_RUN_WHOLE)
		return take(run, layout->total, &run->arena);
	run->owned = dev_alloc(session, (size_t) layout->n_buffers, sizeof(*run->owned));
	if (run->owned == NULL)
		return false;
	for (int i = 0; i < layout->n_buffers; i++)
		if (!take(run, layout->buffers[i].size, &run->owned[i]))
			return false;
	return true;
}

static bool
take_buffers(NnRun *run)
{
	const NnGraph *graph = run->graph;
	bool		own_gradient = false;

	if (!take_layout(run))
		return false;
	for (int i = 0; i < graph->n_nodes; i++)
	{
		run->tensors[i].value = buffer_of(run, run->layout.places[i].value);
		run->tensors[i].diff = buffer_of(run, run->layout.places[i].diff);
		if (!take_constants(run, graph->nodes[i]))
			return false;
		own_gradient |= run->use == NN_RUN_WHOLE && needs_own_gradient(graph, graph->nodes[i]);
	}
	return take(run, run->max_batch, &run->row_values) && take(run, own_gradient ? graph->n_weights : 0, &run->one_gradient);
}

static void
release_buffer(NnRun *run, float *buffer)
{
	if (buffer != NULL)
		run->queue->primitives->release(run->queue->device, buffer);
}

static void
release_buffers(NnRun *run, float **buffers, int n)
{
	for (int i = 0; buffers != NULL && i < n; i++)
		release_buffer(run, buffers[i]);
	dev_release(run->queue->device->session, buffers);
}

/* Also for a run whose making failed half-way: what is not there yet is NULL. */
void
nn_run_free(NnRun *run)
{
	DevSession *session;

	if (run == NULL)
		return;
	session = run->queue->device->session;
	dev_release(session, run->tensors);
	release_buffers(run, run->owned, run->layout.n_buffers);
	release_buffers(run, run->constants, run->graph->n_nodes);
	release_buffer(run, run->arena);
	nn_layout_free(session, &run->layout);
	release_buffer(run, run->row_values);
	release_buffer(run, run->one_gradient);
	for (int i = 0; i < PLANS; i++)
	{
		dev_release(session, run->forward[i].nodes);
		dev_release(session, run->forward[i].wanted);
		dev_release(session, run->backward[i].nodes);
		dev_release(session, run->backward[i].wanted);
	}
	dev_queue_free(run->queue);
	dev_release(session, run);
}

static bool
take_plan(DevSession *session, size_t n, Plan *plan)
{
	plan->nodes = dev_alloc(session, n, sizeof(*plan->nodes));
	plan->wanted = dev_alloc(session, n, sizeof(*plan->wanted));
	return plan->nodes != NULL && plan->wanted != NULL;
}

static bool
take_lists(NnRun *run, DevSession *session)
{
	size_t		n = (size_t) run->graph->n_nodes;

	run->tensors = dev_alloc(session, n, sizeof(*run->tensors));
	run->constants = dev_alloc(session, n, sizeof(*run->constants));
	if (run->tensors == NULL || run->constants == NULL)
		return false;
	for (int i = 0; i < PLANS; i++)
		if (!take_plan(session, n, &run->forward[i]) || !take_plan(session, n, &run->backward[i]))
			return false;
	return true;
}

DevStatus
nn_run_create(NnGraph *graph, DevDevice *device, size_t max_batch, NnRunUse use, NnRun **run)
{
	DevSession *session = device->session;
	NnRun	   *created;

	*run = NULL;
	if (!graph->compiled)
		return dev_fail(session, DEV_INVALID, "the graph is not compiled");
	if (max_batch == 0)
		return dev_fail(session, DEV_INVALID, "a run needs room for at least one example");
	created = dev_alloc(session, 1, sizeof(*created));
	if (created == NULL)
		return DEV_NO_MEMORY;
	created->graph = graph;
	created->max_batch = max_batch;
	created->use = use;
	if (dev_queue_create(device, &created->queue) != DEV_OK)
	{
		dev_release(session, created);
		return DEV_NO_MEMORY;
	}
	if (!take_lists(created, session) || !take_buffers(created))
	{
		nn_run_free(created);
		return DEV_NO_MEMORY;
	}
	*run = created;
	return DEV_OK;
}

size_t
nn_run_bytes(const NnRun *run)
{
	return run->n_bytes;
}

DevQueue *
nn_run_queue(NnRun *run)
{
	return run->queue;
}

void
nn_run_all_gradients(NnRun *run, bool all)
{
	run->all_gradients = all;
}

void
nn_run_bind(NnRun *run, const float *weights, float *diff_weights)
{
	run->weights = weights;
	run->diff_weights = diff_weights;
}

/* ---- Inputs ---- */

static void
set_input(NnRun *run, NnNode input, bool codes, size_t batch, const void *rows)
{
	const NnNodeData *node = input >= 0 && input < run->graph->n_nodes ? run->graph->nodes[input] : NULL;

	if (node == NULL || node->n_src > 0 || node->is_codes != codes || batch > run->max_batch)
	{
		run->misused = true;
		return;
	}
	run->batch = batch;
	run->queue->primitives->upload(run->queue, run->tensors[input].value, rows, batch * node->size * sizeof(float));
}

void
nn_run_set(NnRun *run, NnNode input, size_t batch, const float *rows)
{
	set_input(run, input, false, batch, rows);
}

void
nn_run_set_codes(NnRun *run, NnNode codes, size_t batch, const int32_t *rows)
{
	set_input(run, codes, true, batch, rows);
}

/* ---- Passes ---- */

/* The view that operators get, of `batch` rows from `row` on; the node is filled in one after another. */
static NnPass
make_pass(NnRun *run, size_t row, size_t batch)
{
	NnPass		pass = {0};

	pass.device = run->queue->primitives;
	pass.queue = run->queue;
	pass.graph = run->graph;
	pass.mode = run->mode;
	pass.batch = batch;
	pass.row = row;
	pass.seed = run->seed;
	pass.step = run->step;
	pass.first_row = run->first_row + row;
	pass.tensors = run->tensors;
	pass.weights = run->weights;
	pass.diff_weights = run->diff_weights;
	return pass;
}

/* Makes the pass the node's, on the way there or back. */
static void
visit(const NnRun *run, NnPass *pass, const NnNodeData *node, bool back)
{
	const NnPlaces *places = &run->layout.places[node->number];
	float	   *workspace = buffer_of(run, places->workspace);

	pass->node = node;
	pass->workspace = workspace == NULL ? NULL : workspace + pass->row * node->workspace_row;
	pass->workspace_fixed = buffer_of(run, places->workspace_fixed);
	pass->scratch = buffer_of(run, places->scratch[back]);
	pass->constants = run->constants[node->number];
}

static bool
is_node(const NnRun *run, NnNode node)
{
	return node >= 0 && node < run->graph->n_nodes;
}

/* Is the node one whose value is given, or (a reshaped view) does its value lie in such a node's buffer? */
static bool
is_given(const NnGraph *graph, const NnNode *starts, int n_starts, NnNode node)
{
	for (int i = 0; i < n_starts; i++)
		if (node <= starts[i] && graph->nodes[node]->value_owner == graph->nodes[starts[i]]->value_owner)
			return true;
	return false;
}

static bool
is_plan(const Plan *plan, const NnNode *starts, int n_starts, NnNode last)
{
	return plan->made && plan->last == last && plan->n_starts == n_starts &&
		(n_starts == 0 || memcmp(plan->starts, starts, (size_t) n_starts * sizeof(NnNode)) == 0);
}

static void
begin_plan(const NnGraph *graph, const NnNode *starts, int n_starts, NnNode last, Plan *plan)
{
	plan->made = true;
	plan->n_starts = n_starts;
	if (n_starts > 0)
		memcpy(plan->starts, starts, (size_t) n_starts * sizeof(NnNode));
	plan->last = last;
	plan->n = 0;
	memset(plan->wanted, 0, (size_t) graph->n_nodes * sizeof(bool));
	plan->wanted[last] = true;
}

/* What `last` needs, without what lies behind the nodes whose values are given. */
static void
plan_forward(const NnGraph *graph, const NnNode *starts, int n_starts, NnNode last, Plan *plan)
{
	begin_plan(graph, starts, n_starts, last, plan);
	for (NnNode i = last; i >= 0; i--)
	{
		const NnNodeData *node = graph->nodes[i];

		if (!plan->wanted[i] || is_given(graph, starts, n_starts, i))
			continue;
		for (int s = 0; s < node->n_src; s++)
			plan->wanted[node->src[s]] = true;
		if (node->op->forward != NULL)
			plan->nodes[plan->n++] = i;
	}
	/* Found from the end, visited from the beginning. */
	for (int i = 0; i < plan->n / 2; i++)
	{
		NnNode		node = plan->nodes[i];

		plan->nodes[i] = plan->nodes[plan->n - 1 - i];
		plan->nodes[plan->n - 1 - i] = node;
	}
}

static const Plan *
find_forward(NnRun *run, const NnNode *starts, int n_starts, NnNode last)
{
	Plan	   *plan;

	for (int i = 0; i < PLANS; i++)
	{
		plan = &run->forward[i];
		if (is_plan(plan, starts, n_starts, last))
			return plan;
	}
	plan = &run->forward[run->next_forward];
	run->next_forward = (run->next_forward + 1) % PLANS;
	plan_forward(run->graph, starts, n_starts, last, plan);
	return plan;
}

static bool
are_nodes(const NnRun *run, const NnNode *nodes, int n)
{
	for (int i = 0; i < n; i++)
		if (!is_node(run, nodes[i]))
			return false;
	return n >= 0 && n <= NN_MAX_STARTS;
}

/* Does the node's value outlive the pass that computes it? */
static bool
is_kept(const NnRun *run, NnNode node)
{
	return run->layout.buffers[run->layout.places[node].value].kept;
}

static bool
are_kept(const NnRun *run, const NnNode *nodes, int n)
{
	for (int i = 0; i < n; i++)
		if (!is_kept(run, nodes[i]))
			return false;
	return true;
}

static void
forward(NnRun *run, const NnNode *starts, int n_starts, NnNode last)
{
	const Plan *plan;
	NnPass		pass;

	if (!is_node(run, last) || !are_nodes(run, starts, n_starts) || !are_kept(run, starts, n_starts) ||
		(run->weights == NULL && run->graph->n_weights > 0))
	{
		run->misused = true;
		return;
	}
	run->last_forward = NULL;
	run->last_backward = NULL;
	if (run->batch == 0)
		return;
	plan = find_forward(run, starts, n_starts, last);
	pass = make_pass(run, 0, run->batch);
	for (int i = 0; i < plan->n && !dev_queue_stopped(run->queue); i++)
	{
		visit(run, &pass, run->graph->nodes[plan->nodes[i]], false);
		pass.node->op->forward(&pass);
	}
	run->last_forward = plan;
}

void
nn_run_forward(NnRun *run, NnNode until, NnMode mode, uint64_t seed, uint64_t step, size_t first_row)
{
	run->mode = mode;
	run->seed = seed;
	run->step = step;
	run->first_row = first_row;
	forward(run, NULL, 0, until);
}

void
nn_run_forward_from(NnRun *run, const NnNode *from, int n_from, NnNode until, NnMode mode)
{
	run->mode = mode;
	forward(run, from, n_from, until);
}

/*
 * The nodes between `last` and what wants a gradient, not behind nodes whose values were given. In training that is the trained
 * parameters: gradients of plain inputs would cost a product each and serve nobody. At inference every
 * node gets its gradient, since that is what explanations ask for.
 */
static void
plan_backward(const NnGraph *graph, const Plan *there, NnNode last, bool all, Plan *plan)
{
	begin_plan(graph, there->starts, there->n_starts, last, plan);
	plan->all = all;
	for (NnNode i = last; i >= 0; i--)
	{
		const NnNodeData *node = graph->nodes[i];

		if (!plan->wanted[i] || is_given(graph, plan->starts, plan->n_starts, i))
			continue;
		if (node->op->backward != NULL)
			plan->nodes[plan->n++] = i;
		else if (node->op != &nn_operator_reshape)
			continue;
		for (int s = 0; s < node->n_src; s++)
		{
			const NnNodeData *src = graph->nodes[node->src[s]];

			if (!src->is_codes && (all || src->trained))
				plan->wanted[node->src[s]] = true;
		}
	}
}

/* The way back from `last` after the forward pass `there`. */
static const Plan *
find_backward(NnRun *run, const Plan *there, NnNode last)
{
	bool		all = run->use == NN_RUN_WHOLE && (run->all_gradients || run->mode == NN_INFER);
	Plan	   *plan;

	for (int i = 0; i < PLANS; i++)
	{
		plan = &run->backward[i];
		if (is_plan(plan, there->starts, there->n_starts, last) && plan->all == all)
			return plan;
	}
	plan = &run->backward[run->next_backward];
	run->next_backward = (run->next_backward + 1) % PLANS;
	plan_backward(run->graph, there, last, all, plan);
	return plan;
}

/* Has the gradient of the node, or of what shares its buffer, been written in this pass? */
static bool
is_written(const NnRun *run, NnNode node)
{
	return run->tensors[run->graph->nodes[node]->diff_owner].written;
}

static void
backward(NnRun *run, NnNode last)
{
	const NnGraph *graph = run->graph;
	const Plan *plan = find_backward(run, run->last_forward, last);
	NnPass		pass = make_pass(run, 0, run->batch);

	for (int i = 0; i < graph->n_nodes; i++)
	{
		run->tensors[i].written = false;
		run->tensors[i].wanted = plan->wanted[i];
	}
	run->tensors[graph->nodes[last]->diff_owner].written = true;
	for (int i = 0; i < plan->n && !dev_queue_stopped(run->queue); i++)
	{
		if (!is_written(run, plan->nodes[i]))
			continue;
		visit(run, &pass, graph->nodes[plan->nodes[i]], true);
		pass.node->op->backward(&pass);
	}
	run->last_backward = plan;
	/* Gradients lie over values now. */
	if (run->use == NN_RUN_TRAIN)
		run->last_forward = NULL;
}

/* The gradient buffer of the node a backward pass starts from, or NULL when the pass makes no sense or nothing wants it. */
static float *
start_backward(NnRun *run, NnNode node)
{
	if (!is_node(run, node) || run->use == NN_RUN_FORWARD || run->graph->nodes[node]->is_codes)
	{
		run->misused = true;
		return NULL;
	}
	if (run->batch == 0)
		return NULL;
	if (run->last_forward == NULL || (run->use == NN_RUN_TRAIN && !run->last_forward->wanted[node]))
	{
		run->misused = true;
		return NULL;
	}
	return run->tensors[node].diff;
}

void
nn_run_backward(NnRun *run, NnNode node, float scale, const float *example_weights)
{
	const DevPrimitives *device = run->queue->primitives;
	float	   *diff = start_backward(run, node);
	size_t		size;

	if (diff == NULL)
		return;
	size = run->graph->nodes[node]->size;
	device->fill(run->queue, run->batch * size, scale, diff);
	if (example_weights != NULL)
	{
		device->upload(run->queue, run->row_values, example_weights, run->batch * sizeof(float));
		device->zip(run->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_COLUMN, run->batch, size, diff, size,
					run->row_values, 1, diff, size, false);
	}
	backward(run, node);
}

void
nn_run_backward_from(NnRun *run, NnNode node, const float *seed)
{
	float	   *diff = start_backward(run, node);

	if (diff == NULL)
		return;
	run->queue->primitives->upload(run->queue, diff, seed, run->batch * run->graph->nodes[node]->size * sizeof(float));
	backward(run, node);
}

/* ---- Norms ---- */

/*
 * Adds the squared norms of the examples' own gradients of all parameters of the nodes that have no closed form,
 * cross terms of shared parameters included: each example walks through those nodes alone.
 */
static void
add_own_gradients(NnRun *run, const Plan *plan)
{
	const NnGraph *graph = run->graph;
	const DevPrimitives *device = run->queue->primitives;

	for (size_t row = 0; row < run->batch && !dev_queue_stopped(run->queue); row++)
	{
		NnPass		pass = make_pass(run, row, 1);

		device->fill(run->queue, graph->n_weights, 0.0f, run->one_gradient);
		pass.diff_weights = run->one_gradient;
		pass.skip_src = true;
		for (int i = 0; i < plan->n; i++)
		{
			const NnNodeData *node = graph->nodes[plan->nodes[i]];

			if (!is_written(run, node->number) || !needs_own_gradient(graph, node))
				continue;
			visit(run, &pass, node, true);
			node->op->backward(&pass);
		}
		device->reduce_cols(run->queue, 1, graph->n_weights, run->one_gradient, graph->n_weights,
							run->one_gradient, graph->n_weights, run->row_values + row, true);
	}
}

DevStatus
nn_run_norms(NnRun *run, float *squared)
{
	const NnGraph *graph = run->graph;
	const DevPrimitives *device = run->queue->primitives;
	const Plan *plan = run->last_backward;
	NnPass		pass;
	bool		own_gradients = false;

	if (run->batch == 0)
		return DEV_OK;
	if (run->use != NN_RUN_WHOLE)
		return dev_fail(graph->session, DEV_INVALID, "norms are asked of a run that does not keep gradients");
	if (plan == NULL)
		return dev_fail(graph->session, DEV_INVALID, "norms are asked for before a backward pass");
	if (run->mode == NN_TRAIN && graph->nodes[plan->last]->mixed)
		return dev_fail(graph->session, DEV_INVALID, "examples influence each other, so that none has a gradient of its own");
	pass = make_pass(run, 0, run->batch);
	device->fill(run->queue, run->batch, 0.0f, run->row_values);
	for (int i = 0; i < plan->n && !dev_queue_stopped(run->queue); i++)
	{
		const NnNodeData *node = graph->nodes[plan->nodes[i]];

		if (!is_written(run, node->number))
			continue;
		if (needs_own_gradient(graph, node))
			own_gradients = true;
		else if (node->op->norms != NULL)
		{
			visit(run, &pass, node, true);
			node->op->norms(&pass, run->row_values);
		}
	}
	if (own_gradients)
		add_own_gradients(run, plan);
	device->download(run->queue, squared, run->row_values, run->batch * sizeof(float));
	return device->synchronize(run->queue);
}

/* ---- Results ---- */

float *
nn_run_value(NnRun *run, NnNode node)
{
	return is_node(run, node) && is_kept(run, node) ? run->tensors[node].value : NULL;
}

float *
nn_run_gradient(NnRun *run, NnNode node)
{
	float	   *diff;

	if (!is_node(run, node) || run->use != NN_RUN_WHOLE || run->graph->nodes[node]->is_codes)
		return NULL;
	diff = run->tensors[node].diff;
	/* Nothing depends on the node, or nobody walked there: its gradient is zero. */
	if (!is_written(run, node))
		run->queue->primitives->fill(run->queue, run->batch * run->graph->nodes[node]->size, 0.0f, diff);
	return diff;
}

DevStatus
nn_run_synchronize(NnRun *run)
{
	return run->misused ? DEV_INVALID : run->queue->primitives->synchronize(run->queue);
}

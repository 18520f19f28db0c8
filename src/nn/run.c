/*
 * run.c: one thread's passes through a graph.
 *
 * All buffers are taken when the run is made: values, gradients, what operators keep between
 * forward and backward, and one scratchpad. Which nodes a pass visits depends
 * on where it starts and ends; such plans are made on first use and kept.
 */
#include "operator.h"

#include <stdint.h>
#include <string.h>

#define PLANS 8					/* of each kind; a trainer needs two or three, an explanation one more */

/* The nodes of one kind of pass, in the order of visiting. */
typedef struct Plan
{
	bool		made;
	int			n_starts;		/* forward: nodes whose values are taken as they are */
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
	bool		with_gradients;
	bool		all_gradients;	/* see nn_run_all_gradients */
	NnTensor   *tensors;		/* by node */
	float	  **workspace;		/* by node, or NULL */
	float	  **workspace_fixed;
	float	  **constants;
	float	   *scratch;
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

/* Device memory for rows * row + fixed floats; false when there is none. Nothing wanted leaves NULL. */
static bool
take(NnRun *run, size_t rows, size_t row, size_t fixed, float **buffer)
{
	DevDevice  *device = run->queue->device;
	size_t		n;

	*buffer = NULL;
	if (row == 0 && fixed == 0)
		return true;
	if ((row != 0 && rows > SIZE_MAX / sizeof(float) / row) || fixed > SIZE_MAX / sizeof(float) - rows * row)
	{
		dev_fail(device->session, DEV_NO_MEMORY, "out of memory: a layer has too many values");
		return false;
	}
	n = rows * row + fixed;
	*buffer = run->queue->primitives->alloc(device, n * sizeof(float));
	return *buffer != NULL;
}

static bool
take_node(NnRun *run, const NnNodeData *node)
{
	NnTensor   *tensor = &run->tensors[node->number];
	bool		backward = run->with_gradients && !node->is_codes;

	if (node->value_owner == node->number && !take(run, run->max_batch, node->size, 0, &tensor->value))
		return false;
	if (backward && node->diff_owner == node->number && !take(run, run->max_batch, node->size, 0, &tensor->diff))
		return false;
	if (!take(run, run->max_batch, node->workspace_row, 0, &run->workspace[node->number]) ||
		!take(run, 0, 0, node->workspace_fixed, &run->workspace_fixed[node->number]) ||
		!take(run, 0, 0, node->n_constants, &run->constants[node->number]))
		return false;
	if (node->n_constants > 0)
		run->queue->primitives->upload(run->queue, run->constants[node->number], node->constants,
									   node->n_constants * sizeof(float));
	return true;
}

static bool
take_buffers(NnRun *run)
{
	const NnGraph *graph = run->graph;
	size_t		scratch = 0;
	bool		own_gradient = false;

	for (int i = 0; i < graph->n_nodes; i++)
	{
		const NnNodeData *node = graph->nodes[i];
		size_t		wanted;

		if (!take_node(run, node))
			return false;
		if (node->scratch_row > (SIZE_MAX - node->scratch_fixed) / run->max_batch)
			wanted = SIZE_MAX;
		else
			wanted = run->max_batch * node->scratch_row + node->scratch_fixed;
		scratch = wanted > scratch ? wanted : scratch;
		own_gradient |= needs_own_gradient(graph, node);
	}
	return take(run, 0, 0, scratch, &run->scratch) && take(run, run->max_batch, 1, 0, &run->row_values) &&
		take(run, 0, 0, run->with_gradients && own_gradient ? graph->n_weights : 0, &run->one_gradient);
}

static void
release_buffer(NnRun *run, float *buffer)
{
	if (buffer != NULL)
		run->queue->primitives->release(run->queue->device, buffer);
}

static void
release_buffers(NnRun *run, float **buffers)
{
	for (int i = 0; buffers != NULL && i < run->graph->n_nodes; i++)
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
	for (int i = 0; run->tensors != NULL && i < run->graph->n_nodes; i++)
	{
		release_buffer(run, run->tensors[i].value);
		release_buffer(run, run->tensors[i].diff);
	}
	dev_release(session, run->tensors);
	release_buffers(run, run->workspace);
	release_buffers(run, run->workspace_fixed);
	release_buffers(run, run->constants);
	release_buffer(run, run->scratch);
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
	run->workspace = dev_alloc(session, n, sizeof(*run->workspace));
	run->workspace_fixed = dev_alloc(session, n, sizeof(*run->workspace_fixed));
	run->constants = dev_alloc(session, n, sizeof(*run->constants));
	if (run->tensors == NULL || run->workspace == NULL || run->workspace_fixed == NULL || run->constants == NULL)
		return false;
	for (int i = 0; i < PLANS; i++)
		if (!take_plan(session, n, &run->forward[i]) || !take_plan(session, n, &run->backward[i]))
			return false;
	return true;
}

DevStatus
nn_run_create(NnGraph *graph, DevDevice *device, size_t max_batch, bool with_gradients, NnRun **run)
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
	created->with_gradients = with_gradients;
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
	pass.scratch = run->scratch;
	return pass;
}

static void
visit(const NnRun *run, NnPass *pass, const NnNodeData *node)
{
	float	   *workspace = run->workspace[node->number];

	pass->node = node;
	pass->workspace = workspace == NULL ? NULL : workspace + pass->row * node->workspace_row;
	pass->workspace_fixed = run->workspace_fixed[node->number];
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

/* What `last` needs, without what lies behind the nodes whose values are given. */
static void
plan_forward(const NnGraph *graph, const NnNode *starts, int n_starts, NnNode last, Plan *plan)
{
	plan->made = true;
	plan->n_starts = n_starts;
	if (n_starts > 0)
		memcpy(plan->starts, starts, (size_t) n_starts * sizeof(NnNode));
	plan->last = last;
	plan->n = 0;
	memset(plan->wanted, 0, (size_t) graph->n_nodes * sizeof(bool));
	plan->wanted[last] = true;
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
		if (plan->made && plan->last == last && plan->n_starts == n_starts &&
			(n_starts == 0 || memcmp(plan->starts, starts, (size_t) n_starts * sizeof(NnNode)) == 0))
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

static void
forward(NnRun *run, const NnNode *starts, int n_starts, NnNode last)
{
	const Plan *plan;
	NnPass		pass;

	if (!is_node(run, last) || !are_nodes(run, starts, n_starts) ||
		(run->weights == NULL && run->graph->n_weights > 0))
	{
		run->misused = true;
		return;
	}
	run->last_backward = NULL;
	if (run->batch == 0)
		return;
	plan = find_forward(run, starts, n_starts, last);
	pass = make_pass(run, 0, run->batch);
	for (int i = 0; i < plan->n && !dev_queue_stopped(run->queue); i++)
	{
		visit(run, &pass, run->graph->nodes[plan->nodes[i]]);
		pass.node->op->forward(&pass);
	}
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
 * The nodes between `last` and what wants a gradient. In training that is the trained parameters: gradients of
 * plain inputs would cost a product each and serve nobody. At inference every node gets its gradient,
 * since that is what explanations ask for.
 */
static void
plan_backward(const NnGraph *graph, NnNode last, bool all, Plan *plan)
{
	plan->made = true;
	plan->last = last;
	plan->all = all;
	plan->n = 0;
	memset(plan->wanted, 0, (size_t) graph->n_nodes * sizeof(bool));
	plan->wanted[last] = true;
	for (NnNode i = last; i >= 0; i--)
	{
		const NnNodeData *node = graph->nodes[i];

		if (!plan->wanted[i])
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

static const Plan *
find_backward(NnRun *run, NnNode last)
{
	bool		all = run->all_gradients || run->mode == NN_INFER;
	Plan	   *plan;

	for (int i = 0; i < PLANS; i++)
	{
		plan = &run->backward[i];
		if (plan->made && plan->last == last && plan->all == all)
			return plan;
	}
	plan = &run->backward[run->next_backward];
	run->next_backward = (run->next_backward + 1) % PLANS;
	plan_backward(run->graph, last, all, plan);
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
	const Plan *plan = find_backward(run, last);
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
		visit(run, &pass, graph->nodes[plan->nodes[i]]);
		pass.node->op->backward(&pass);
	}
	run->last_backward = plan;
}

/* The gradient buffer of the node a backward pass starts from, or NULL when the pass makes no sense. */
static float *
start_backward(NnRun *run, NnNode node)
{
	if (!is_node(run, node) || !run->with_gradients || run->graph->nodes[node]->is_codes)
	{
		run->misused = true;
		return NULL;
	}
	if (run->batch == 0)
		return NULL;
	return run->tensors[run->graph->nodes[node]->diff_owner].diff;
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
			visit(run, &pass, node);
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
			visit(run, &pass, node);
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
	if (!is_node(run, node))
		return NULL;
	return run->tensors[run->graph->nodes[node]->value_owner].value;
}

float *
nn_run_gradient(NnRun *run, NnNode node)
{
	float	   *diff;

	if (!is_node(run, node) || !run->with_gradients || run->graph->nodes[node]->is_codes)
		return NULL;
	diff = run->tensors[run->graph->nodes[node]->diff_owner].diff;
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

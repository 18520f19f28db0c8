/*
 * graph.c: building and compiling a graph.
 *
 * Nodes and parameters are lists in the order of building, which is a
 * topological order; compiling walks the list once to learn what needs gradients
 * and which nodes may share one buffer. Failures of builders are kept, the
 * first one counts, and compiling returns it.
 */
#include "operator.h"

#include <stdio.h>
#include <string.h>

#define OFFSET_UNIT 16			/* floats: weights of each parameter start on a cache line */

/* No shape, however hostile, may make products of sizes overflow. */
#define MAX_SIZE ((size_t) 1 << 40)

DevStatus
nn_graph_create(DevSession *session, NnGraph **graph)
{
	*graph = dev_alloc(session, 1, sizeof(**graph));
	if (*graph == NULL)
		return DEV_NO_MEMORY;
	(*graph)->session = session;
	return DEV_OK;
}

static void
free_node(DevSession *session, NnNodeData *node)
{
	dev_release(session, node->src);
	dev_release(session, node->parameters);
	dev_release(session, node->options);
	dev_release(session, node->name);
	dev_release(session, node->constants);
	dev_release(session, node);
}

void
nn_graph_free(NnGraph *graph)
{
	DevSession *session;

	if (graph == NULL)
		return;
	session = graph->session;
	for (int i = 0; i < graph->n_nodes; i++)
		free_node(session, graph->nodes[i]);
	for (int i = 0; i < graph->n_parameters; i++)
	{
		dev_release(session, (void *) graph->parameters[i].name);
		dev_release(session, graph->given[i]);
	}
	dev_release(session, graph->nodes);
	dev_release(session, graph->parameters);
	dev_release(session, graph->given);
	dev_release(session, graph->n_uses);
	dev_release(session, graph);
}

/* ---- Failures ---- */

bool
nn_reject_memory(NnGraph *graph)
{
	if (graph->status == DEV_OK)
		graph->status = DEV_NO_MEMORY;
	return false;
}

bool
nn_reject(NnGraph *graph, const NnNodeData *node, const char *format,...)
{
	char		text[512];
	va_list		args;

	if (graph->status != DEV_OK)
		return false;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	graph->status = node == NULL ? dev_fail(graph->session, DEV_INVALID, "%s", text) :
		dev_fail(graph->session, DEV_INVALID, "%s (node %d): %s", node->op->name, node->number, text);
	return false;
}

/* A list with room for one more item, or NULL; the old one is copied and released. */
static void *
grow(NnGraph *graph, void *list, size_t n, size_t wanted, size_t item)
{
	void	   *grown = dev_alloc(graph->session, wanted, item);

	if (grown == NULL)
	{
		nn_reject_memory(graph);
		return NULL;
	}
	if (n > 0)
		memcpy(grown, list, n * item);
	dev_release(graph->session, list);
	return grown;
}

/* ---- Shapes ---- */

NnShape
nn_shape(int rank, size_t d0, size_t d1, size_t d2, size_t d3)
{
	NnShape		shape = {rank, {d0, d1, d2, d3}};

	return shape;
}

size_t
nn_shape_size(const NnShape *shape)
{
	size_t		size = 1;

	for (int i = 0; i < shape->rank; i++)
		size *= shape->dims[i];
	return size;
}

bool
nn_shape_equal(const NnShape *a, const NnShape *b)
{
	return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t) a->rank * sizeof(a->dims[0])) == 0;
}

size_t
nn_shape_last(const NnShape *shape)
{
	return shape->dims[shape->rank - 1];
}

size_t
nn_shape_positions(const NnShape *shape)
{
	return nn_shape_size(shape) / nn_shape_last(shape);
}

const char *
nn_shape_text(const NnShape *shape, char *text, size_t size)
{
	size_t		used = 0;

	for (int i = 0; i < shape->rank && used < size; i++)
		used += (size_t) snprintf(text + used, size - used, "%s%zu", i == 0 ? "(" : ", ", shape->dims[i]);
	if (used < size)
		snprintf(text + used, size - used, ")");
	return text;
}

/* Rank 1 to 4, no empty dimension, no overflow; unused dimensions become 0 so that shapes compare. */
static bool
normalise_shape(NnShape *shape)
{
	size_t		size = 1;

	if (shape->rank < 1 || shape->rank > NN_MAX_RANK)
		return false;
	for (int i = 0; i < NN_MAX_RANK; i++)
	{
		if (i >= shape->rank)
			shape->dims[i] = 0;
		else if (shape->dims[i] == 0 || shape->dims[i] > MAX_SIZE / size)
			return false;
		else
			size *= shape->dims[i];
	}
	return true;
}

/* ---- Parameters ---- */

bool
nn_role_trained(NnRole role)
{
	return role != NN_ROLE_STATISTIC && role != NN_ROLE_CONSTANT;
}

static bool
make_room_for_parameter(NnGraph *graph)
{
	size_t		n = (size_t) graph->n_parameters;
	size_t		wanted = n == 0 ? 16 : 2 * n;
	NnParameterInfo *parameters;
	float	  **given;
	int		   *n_uses;

	if (graph->n_parameters < graph->max_parameters)
		return true;
	parameters = grow(graph, graph->parameters, n, wanted, sizeof(*parameters));
	if (parameters == NULL)
		return false;
	graph->parameters = parameters;
	given = grow(graph, graph->given, n, wanted, sizeof(*given));
	if (given == NULL)
		return false;
	graph->given = given;
	n_uses = grow(graph, graph->n_uses, n, wanted, sizeof(*n_uses));
	if (n_uses == NULL)
		return false;
	graph->n_uses = n_uses;
	graph->max_parameters = (int) wanted;
	return true;
}

NnParameter
nn_parameter(NnGraph *graph, const char *name, const NnShape *shape, NnRole role, NnInit init, float a, const float *given)
{
	NnParameterInfo info = {0};
	char		text[96];

	if (graph->status != DEV_OK)
		return NN_NONE;
	info.shape = *shape;
	if (graph->compiled || name == NULL || name[0] == '\0')
		nn_reject(graph, NULL, "a parameter needs a name and a graph that is not compiled yet");
	else if (nn_graph_find(graph, name) != NN_NONE)
		nn_reject(graph, NULL, "parameter \"%s\" exists already", name);
	else if (!normalise_shape(&info.shape) || MAX_SIZE - graph->n_weights < nn_shape_size(&info.shape) + OFFSET_UNIT)
		nn_reject(graph, NULL, "parameter \"%s\" has an impossible shape", name);
	else if (init == NN_INIT_GIVEN && given == NULL)
		nn_reject(graph, NULL, "parameter \"%s\" of shape %s is given no values", name,
				  nn_shape_text(&info.shape, text, sizeof(text)));
	if (graph->status != DEV_OK || !make_room_for_parameter(graph))
		return NN_NONE;

	info.size = nn_shape_size(&info.shape);
	info.name = dev_strdup(graph->session, name);
	info.offset = graph->n_weights;
	info.role = role;
	info.decayed = role == NN_ROLE_MATRIX || role == NN_ROLE_HEAD;
	info.init = init;
	info.a = a;
	info.rate_factor = 1.0f;
	if (info.name == NULL)
	{
		nn_reject_memory(graph);
		return NN_NONE;
	}
	if (init == NN_INIT_GIVEN)
	{
		float	   *copy = dev_alloc(graph->session, info.size, sizeof(float));

		if (copy == NULL)
		{
			nn_reject_memory(graph);
			return NN_NONE;
		}
		memcpy(copy, given, info.size * sizeof(float));
		graph->given[graph->n_parameters] = copy;
	}
	graph->n_weights += (info.size + OFFSET_UNIT - 1) / OFFSET_UNIT * OFFSET_UNIT;
	graph->parameters[graph->n_parameters] = info;
	return graph->n_parameters++;
}

void
nn_parameter_rate(NnGraph *graph, NnParameter parameter, float rate_factor)
{
	if (parameter >= 0 && parameter < graph->n_parameters)
		graph->parameters[parameter].rate_factor = rate_factor;
}

/* ---- Nodes ---- */

const NnShape *
nn_src_shape(const NnGraph *graph, const NnNodeData *node, int i)
{
	return &graph->nodes[node->src[i]]->shape;
}

bool
nn_src_is_codes(const NnGraph *graph, const NnNodeData *node, int i)
{
	return graph->nodes[node->src[i]]->is_codes;
}

const NnShape *
nn_need_parameter(NnGraph *graph, const NnNodeData *node, int i)
{
	if (node->parameters[i] >= 0)
		return &graph->parameters[node->parameters[i]].shape;
	nn_reject(graph, node, "parameter %d is missing", i + 1);
	return NULL;
}

bool
nn_need_floats(NnGraph *graph, const NnNodeData *node, int i)
{
	return !nn_src_is_codes(graph, node, i) || nn_reject(graph, node, "source %d holds codes, not numbers", i + 1);
}

/* A node with copies of what the builder gave, not yet in the graph; NULL after nn_reject_memory. */
static NnNodeData *
new_node(NnGraph *graph, const NnOperator *op, const NnNode *src, int n_src,
		 const NnParameter *parameters, int n_parameters, const void *options, size_t options_size)
{
	NnNodeData *node = dev_alloc(graph->session, 1, sizeof(*node));

	if (node != NULL && n_src > 0)
		node->src = dev_alloc(graph->session, (size_t) n_src, sizeof(*src));
	if (node != NULL && n_parameters > 0)
		node->parameters = dev_alloc(graph->session, (size_t) n_parameters, sizeof(*parameters));
	if (node != NULL && options_size > 0)
		node->options = dev_alloc(graph->session, options_size, 1);
	if (node == NULL || (n_src > 0 && node->src == NULL) || (n_parameters > 0 && node->parameters == NULL) ||
		(options_size > 0 && node->options == NULL))
	{
		nn_reject_memory(graph);
		return NULL;
	}
	if (n_src > 0)
		memcpy(node->src, src, (size_t) n_src * sizeof(*src));
	if (n_parameters > 0)
		memcpy(node->parameters, parameters, (size_t) n_parameters * sizeof(*parameters));
	if (options_size > 0)
		memcpy(node->options, options, options_size);
	node->op = op;
	node->number = graph->n_nodes;
	node->finisher = NN_NONE;
	node->n_src = n_src;
	node->n_parameters = n_parameters;
	node->in_place = op->in_place;
	node->diff_in_place = op->diff_in_place;
	node->reads_src = op->reads_src;
	node->reads_dst = op->reads_dst;
	return node;
}

NnNode
nn_node_add(NnGraph *graph, const NnOperator *op, const NnNode *src, int n_src,
			const NnParameter *parameters, int n_parameters, const void *options, size_t options_size)
{
	NnNodeData *node;

	for (int i = 0; i < n_src; i++)
		if (src[i] == NN_NONE)
			return NN_NONE;
	if (graph->status != DEV_OK)
		return NN_NONE;
	for (int i = 0; i < n_src; i++)
		if (src[i] < 0 || src[i] >= graph->n_nodes)
			nn_reject(graph, NULL, "%s: there is no node %d", op->name, src[i]);
	for (int i = 0; i < n_parameters; i++)
		if (parameters[i] != NN_NONE && (parameters[i] < 0 || parameters[i] >= graph->n_parameters))
			nn_reject(graph, NULL, "%s: there is no parameter %d", op->name, parameters[i]);
	if (graph->compiled)
		nn_reject(graph, NULL, "%s: the graph is compiled already", op->name);
	if (graph->status != DEV_OK)
		return NN_NONE;

	if (graph->n_nodes == graph->max_nodes)
	{
		size_t		wanted = graph->max_nodes == 0 ? 32 : 2 * (size_t) graph->max_nodes;
		NnNodeData **nodes = grow(graph, graph->nodes, (size_t) graph->n_nodes, wanted, sizeof(*nodes));

		if (nodes == NULL)
			return NN_NONE;
		graph->nodes = nodes;
		graph->max_nodes = (int) wanted;
	}
	node = new_node(graph, op, src, n_src, parameters, n_parameters, options, options_size);
	if (node == NULL || !op->shape(graph, node))
		return NN_NONE;
	if (!normalise_shape(&node->shape))
	{
		nn_reject(graph, node, "the result has an impossible shape");
		return NN_NONE;
	}

	node->size = nn_shape_size(&node->shape);
	node->mixed = op->mixes_examples;
	for (int i = 0; i < n_src; i++)
	{
		NnNodeData *from = graph->nodes[src[i]];

		from->n_consumers++;
		node->trained |= from->trained;
		node->mixed |= from->mixed;
	}
	for (int i = 0; i < n_parameters; i++)
		if (parameters[i] >= 0)
		{
			graph->n_uses[parameters[i]]++;
			node->trained |= nn_role_trained(graph->parameters[parameters[i]].role);
		}
	graph->nodes[node->number] = node;
	return graph->n_nodes++;
}

/* ---- Inputs ---- */

typedef struct InputOptions
{
	const char *name;
	NnShape		shape;
} InputOptions;

static bool
input_shape(NnGraph *graph, NnNodeData *node)
{
	const InputOptions *options = node->options;

	node->name = dev_strdup(graph->session, options->name == NULL ? "" : options->name);
	if (node->name == NULL)
		return nn_reject_memory(graph);
	node->shape = options->shape;
	return true;
}

static bool
codes_shape(NnGraph *graph, NnNodeData *node)
{
	node->is_codes = true;
	return input_shape(graph, node);
}

const NnOperator nn_operator_input = {
	.name = "input",
	.shape = input_shape
};

const NnOperator nn_operator_codes = {
	.name = "codes",
	.shape = codes_shape
};

NnNode
nn_input(NnGraph *graph, const char *name, const NnShape *shape)
{
	InputOptions options = {name, *shape};

	return nn_node_add(graph, &nn_operator_input, NULL, 0, NULL, 0, &options, sizeof(options));
}

NnNode
nn_codes(NnGraph *graph, const char *name, size_t n)
{
	InputOptions options = {name, nn_shape(1, n, 0, 0, 0)};

	return nn_node_add(graph, &nn_operator_codes, NULL, 0, NULL, 0, &options, sizeof(options));
}

/* ---- Compiling ---- */

bool
nn_has_one_reader(const NnGraph *graph, const NnNodeData *node)
{
	while (node->n_consumers == 1 && !node->kept)
	{
		if (node->op != &nn_operator_reshape)
			return true;
		node = graph->nodes[node->src[0]];
	}
	return false;
}

static const NnNodeData *
behind_reshapes(const NnGraph *graph, const NnNodeData *node)
{
	while (node->op == &nn_operator_reshape)
		node = graph->nodes[node->src[0]];
	return node;
}

/* The relu of a node whose source writes the shared buffer can be done there and then. */
static void
merge_relu(NnNodeData *src, NnNodeData *node)
{
	if (src->op->relu == NN_RELU_NONE || !nn_is_relu(node) || node->value_owner != src->value_owner ||
		node->diff_owner != src->diff_owner)
		return;
	src->relu = true;
	node->done = src->op->relu;
}

/* A bias whose source is a product with a column for each of its values, and a buffer that is its own. */
static void
merge_bias(const NnGraph *graph, NnNodeData *src, NnNodeData *node)
{
	size_t		columns = src->size / nn_shape_positions(&src->shape);

	if (!src->op->finishes || node->op != &nn_operator_bias || node->value_owner != src->value_owner)
		return;
	if (src->op == &nn_operator_grouped_linear)
		columns = src->size;
	if (graph->parameters[node->parameters[0]].size != columns)
		return;
	src->finisher = node->number;
	node->finished = true;
}

/*
 * Norms are asked for after the pass, so that a node with parameters shares its gradient's buffer only where nobody below
 * writes another gradient over it: with what has a buffer of its own, or shares one on the same condition.
 */
static bool
keeps_gradient(const NnNodeData *node, const NnNodeData *maker)
{
	return (node->op == &nn_operator_bias || node->op == &nn_operator_position) &&
		(!maker->diff_in_place || maker->n_parameters > 0);
}

static void
choose_buffers(const NnGraph *graph, NnNodeData *node)
{
	NnNodeData *src;
	const NnNodeData *maker;

	node->value_owner = node->number;
	node->diff_owner = node->number;
	if (node->n_src == 0)
		return;
	src = graph->nodes[node->src[0]];
	if (node->op == &nn_operator_reshape)
	{
		node->value_owner = src->value_owner;
		node->diff_owner = src->diff_owner;
		return;
	}
	maker = behind_reshapes(graph, src);
	if (src->size != node->size || src->is_codes || !nn_has_one_reader(graph, src))
		return;
	if (node->in_place && !node->reads_src && maker->op->overwritable && !maker->reads_dst)
		node->value_owner = src->value_owner;
	if (node->diff_in_place && !node->gradient_kept && (node->n_parameters == 0 || keeps_gradient(node, maker)))
		node->diff_owner = src->diff_owner;
	merge_relu(src, node);
	merge_bias(graph, src, node);
}

void
nn_graph_keep(NnGraph *graph, NnNode node)
{
	if (node >= 0 && node < graph->n_nodes && !graph->compiled)
		graph->nodes[node]->kept = true;
}

void
nn_graph_keep_gradient(NnGraph *graph, NnNode node)
{
	nn_graph_keep(graph, node);
	if (node >= 0 && node < graph->n_nodes && !graph->compiled)
		graph->nodes[node]->gradient_kept = true;
}

DevStatus
nn_graph_compile(NnGraph *graph)
{
	if (graph->status == DEV_OK && graph->n_nodes == 0)
		nn_reject(graph, NULL, "a graph needs at least one node");
	if (graph->status != DEV_OK || graph->compiled)
		return graph->status;
	for (int i = 0; i < graph->n_nodes; i++)
		choose_buffers(graph, graph->nodes[i]);
	graph->compiled = true;
	return DEV_OK;
}

/* ---- Asking ---- */

double
nn_graph_work(const NnGraph *graph)
{
	double		work = 0;

	for (int i = 0; i < graph->n_nodes; i++)
	{
		const NnNodeData *node = graph->nodes[i];

		for (int p = 0; p < node->n_parameters; p++)
		{
			const NnParameterInfo *info = node->parameters[p] < 0 ? NULL : &graph->parameters[node->parameters[p]];
			size_t		positions = nn_shape_positions(&node->shape);

			if (info == NULL || info->role == NN_ROLE_CONSTANT || info->role == NN_ROLE_STATISTIC)
				continue;
			/* What has a parameter of its own at each position uses it once. */
			if (info->shape.rank > 1 && info->shape.dims[0] == positions)
				positions = 1;
			work += 2.0 * (double) info->size * (double) positions;
		}
	}
	return work;
}

size_t
nn_graph_widest(const NnGraph *graph)
{
	size_t		widest = 0;

	for (int i = 0; i < graph->n_nodes; i++)
		if (graph->nodes[i]->size > widest)
			widest = graph->nodes[i]->size;
	return widest;
}

size_t
nn_graph_weights(const NnGraph *graph)
{
	return graph->n_weights;
}

int
nn_graph_parameters(const NnGraph *graph)
{
	return graph->n_parameters;
}

const NnParameterInfo *
nn_graph_parameter(const NnGraph *graph, NnParameter parameter)
{
	return parameter >= 0 && parameter < graph->n_parameters ? &graph->parameters[parameter] : NULL;
}

NnParameter
nn_graph_find(const NnGraph *graph, const char *name)
{
	for (int i = 0; i < graph->n_parameters; i++)
		if (strcmp(graph->parameters[i].name, name) == 0)
			return i;
	return NN_NONE;
}

const NnShape *
nn_graph_shape(const NnGraph *graph, NnNode node)
{
	return node >= 0 && node < graph->n_nodes ? &graph->nodes[node]->shape : NULL;
}

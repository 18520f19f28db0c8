/*
 * architecture.c: from a network in words to a graph.
 *
 * Builds what all architectures have in common: the inputs, the features node that explanations start from, the
 * answer and the loss. What a description may say, and what it means where it is silent, is in architecture_resolve.c.
 *
 * Features are the numbers, then each code input, one-hot when it has few
 * categories and embedded otherwise. Everything above works on features alone.
 */
#include "architecture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define ONE_HOT_MOST 9			/* categories of a code input that is still one-hot (RealMLP's rule) */
#define ONE_HOT_MOST_LINEAR 64	/* the linear model's and the additive one's: each category has its own say */
#define CODE_WIDTH 8			/* of an embedded code */
#define NORM_EPSILON 1e-5f

/* ---- Sizes ---- */

bool
learn_is_additive(const LearnNetwork *network)
{
	return network->architecture == LEARN_LINEAR || network->architecture == LEARN_NAM || network->architecture == LEARN_ROCKET;
}

size_t
learn_code_width(const LearnNetwork *network, size_t code, bool *embedded)
{
	int			most = learn_is_additive(network) ? ONE_HOT_MOST_LINEAR : ONE_HOT_MOST;

	*embedded = network->cardinality[code] > most;
	return *embedded ? CODE_WIDTH : (size_t) network->cardinality[code];
}

size_t
learn_network_features(const LearnNetwork *network)
{
	size_t		n = network->n_numbers;
	bool		embedded;

	for (size_t i = 0; i < network->n_codes; i++)
		n += learn_code_width(network, i, &embedded);
	return n;
}

size_t
learn_network_members(const LearnNetwork *network)
{
	return network->architecture == LEARN_TABM ? (size_t) network->members : 1;
}

double
learn_network_work(const NnGraph *graph, const LearnNetwork *network)
{
	if (network->n_fields > 0)
		return 3.0 * nn_graph_work(graph);
	return 6.0 * (double) nn_graph_weights(graph) * (double) learn_network_members(network);
}

/* ---- Parts that architectures share ---- */

static NnParameter
parameter(LearnBuilder *builder, const char *name, const char *part, NnShape shape, NnRole role, NnInit init, float a)
{
	char		full[96];

	snprintf(full, sizeof(full), "%s.%s", name, part);
	return nn_parameter(builder->graph, full, &shape, role, init, a, NULL);
}

NnNode
learn_build_dense(LearnBuilder *builder, NnNode src, const char *name, size_t width, NnRole role)
{
	const NnShape *shape;
	size_t		n_in;
	float		range;
	NnInit		init = NN_INIT_UNIFORM;
	NnNode		node;

	if (src == NN_NONE)
		return NN_NONE;
	if (role == NN_ROLE_HEAD)
		builder->embedded = src;
	shape = nn_graph_shape(builder->graph, src);
	n_in = shape->dims[shape->rank - 1];
	range = 1.0f / sqrtf((float) n_in);
	/* Of thousands of features some matter to no training row: their weights stay what they were, and shall be nothing. */
	if (builder->network->architecture == LEARN_ROCKET)
		init = NN_INIT_ZERO;
	node = nn_linear(builder->graph, src,
					 parameter(builder, name, "weights", nn_shape(2, n_in, width, 0, 0), role, init, range));
	return nn_bias(builder->graph, node,
				   parameter(builder, name, "bias", nn_shape(1, width, 0, 0, 0), NN_ROLE_VECTOR, init, range));
}

NnNode
learn_build_grouped(LearnBuilder *builder, NnNode src, const char *name, size_t width, NnRole role)
{
	const NnShape *shape;
	size_t		groups;
	size_t		n_in;
	float		range;
	NnNode		node;

	if (src == NN_NONE)
		return NN_NONE;
	if (role == NN_ROLE_HEAD)
		builder->embedded = src;
	shape = nn_graph_shape(builder->graph, src);
	groups = shape->dims[0];
	n_in = shape->dims[shape->rank - 1];
	range = 1.0f / sqrtf((float) n_in);
	node = nn_grouped_linear(builder->graph, src,
							 parameter(builder, name, "weights", nn_shape(3, groups, n_in, width, 0), role,
									   NN_INIT_UNIFORM, range));
	return nn_bias(builder->graph, node,
				   parameter(builder, name, "bias", nn_shape(2, groups, width, 0, 0), NN_ROLE_VECTOR,
							 NN_INIT_UNIFORM, range));
}

NnNode
learn_build_layer_norm(LearnBuilder *builder, NnNode src, const char *name)
{
	NnShape		shape;

	if (src == NN_NONE)
		return NN_NONE;
	shape = *nn_graph_shape(builder->graph, src);
	shape = nn_shape(1, shape.dims[shape.rank - 1], 0, 0, 0);
	return nn_layer_norm(builder->graph, src,
						 parameter(builder, name, "gain", shape, NN_ROLE_VECTOR, NN_INIT_ONE, 0),
						 parameter(builder, name, "bias", shape, NN_ROLE_VECTOR, NN_INIT_ZERO, 0), NORM_EPSILON);
}

NnNode
learn_build_batch_norm(LearnBuilder *builder, NnNode src, const char *name)
{
	NnShape		shape;

	if (src == NN_NONE)
		return NN_NONE;
	shape = *nn_graph_shape(builder->graph, src);
	shape = nn_shape(1, shape.dims[shape.rank - 1], 0, 0, 0);
	return nn_batch_norm(builder->graph, src,
						 parameter(builder, name, "gain", shape, NN_ROLE_VECTOR, NN_INIT_ONE, 0),
						 parameter(builder, name, "bias", shape, NN_ROLE_VECTOR, NN_INIT_ZERO, 0),
						 parameter(builder, name, "mean", shape, NN_ROLE_STATISTIC, NN_INIT_ZERO, 0),
						 parameter(builder, name, "variance", shape, NN_ROLE_STATISTIC, NN_INIT_ONE, 0),
						 NORM_EPSILON);
}

/* ---- Embedding of features ---- */

void
learn_edges_rise(size_t n_rows, int bins, float *edges)
{
	for (size_t row = 0; row < n_rows; row++)
	{
		float	   *edge = edges + row * (size_t) (bins + 1);
		int			n = 1;

		for (int i = 1; i <= bins; i++)
			if (edge[i] - edge[n - 1] > 1e-6f * (1 + fabsf(edge[n - 1])))
				edge[n++] = edge[i];
		for (; n <= bins; n++)
			edge[n] = edge[n - 1] + fmaxf(1, fabsf(edge[n - 1]) * 1e-3f);
	}
}

/* Numbers have the edges of their quantiles; the columns of codes lie in [0, 1], the first bin of steps of one. */
static NnParameter
build_edges(LearnBuilder *builder)
{
	const LearnNetwork *network = builder->network;
	size_t		n_edges = (size_t) network->bins + 1;
	NnShape		shape = nn_shape(2, builder->n_features, n_edges, 0, 0);
	float	   *edges = dev_alloc(builder->session, builder->n_features * n_edges, sizeof(float));
	NnParameter made;

	if (edges == NULL)
		return NN_NONE;
	memcpy(edges, network->bin_edges, network->n_numbers * n_edges * sizeof(float));
	for (size_t row = network->n_numbers; row < builder->n_features; row++)
		for (size_t i = 0; i < n_edges; i++)
			edges[row * n_edges + i] = (float) i;
	made = nn_parameter(builder->graph, "embedding.edges", &shape, NN_ROLE_CONSTANT, NN_INIT_GIVEN, 0, edges);
	dev_release(builder->session, edges);
	return made;
}

/* (n_features) -> (n_features, pieces), a basis of each column's values */
static NnNode
build_basis(LearnBuilder *builder)
{
	const LearnNetwork *network = builder->network;
	NnShape		shape = nn_shape(2, builder->n_features, (size_t) network->bins, 0, 0);

	if (network->embedding == LEARN_EMBEDDING_PIECEWISE)
		return nn_piecewise_linear(builder->graph, builder->features, build_edges(builder));
	return nn_periodic(builder->graph, builder->features,
					   nn_parameter(builder->graph, "embedding.frequencies", &shape, NN_ROLE_TABLE,
									NN_INIT_NORMAL, 0.1f, NULL));
}

/* The features' embedding as the network says, flat. */
static NnNode
build_embedding(LearnBuilder *builder)
{
	const LearnNetwork *network = builder->network;
	NnGraph    *graph = builder->graph;
	size_t		width = (size_t) network->embedding_width;
	NnShape		columns = nn_shape(2, builder->n_features, 1, 0, 0);
	NnShape		flat;
	NnNode		straight;
	NnNode		basis;
	NnShape		shape;

	if (network->embedding == LEARN_EMBEDDING_NONE || builder->features == NN_NONE)
		return builder->features;

	/* The basis starts without weight, so that training begins at a linear embedding and bends it where data say so. */
	straight = learn_build_grouped(builder, nn_reshape(graph, builder->features, &columns), "embedding.straight",
								   width, NN_ROLE_TABLE);
	basis = build_basis(builder);
	if (basis == NN_NONE || straight == NN_NONE)
		return NN_NONE;
	shape = *nn_graph_shape(graph, basis);
	shape = nn_shape(3, builder->n_features, shape.dims[1], width, 0);
	basis = nn_grouped_linear(graph, basis, nn_parameter(graph, "embedding.bent", &shape, NN_ROLE_TABLE,
														 NN_INIT_ZERO, 0, NULL));
	flat = nn_shape(1, builder->n_features * width, 0, 0, 0);
	return nn_reshape(graph, nn_add(graph, straight, basis), &flat);
}

NnNode
learn_build_joined(LearnBuilder *builder)
{
	int			n_fields = builder->network->n_fields;
	NnNode	   *parts;
	NnNode		joined;
	int			n = 0;

	if (n_fields == 0)
		return build_embedding(builder);
	parts = dev_alloc(builder->session, (size_t) n_fields + 1, sizeof(NnNode));
	if (parts == NULL)
		return NN_NONE;
	if (builder->features != NN_NONE)
		parts[n++] = build_embedding(builder);
	for (int i = 0; i < n_fields; i++)
		parts[n++] = builder->encoded[i];
	joined = n == 1 ? parts[0] : nn_concat(builder->graph, parts, n);
	dev_release(builder->session, parts);
	return joined;
}

/* ---- Features ---- */

static NnNode
build_code(LearnBuilder *builder, NnNode codes, size_t code)
{
	size_t		cardinality = (size_t) builder->network->cardinality[code];
	bool		embedded;
	size_t		width = learn_code_width(builder->network, code, &embedded);
	NnShape		shape = nn_shape(2, cardinality, width, 0, 0);
	char		name[64];

	if (!embedded)
		return nn_one_hot(builder->graph, codes, code, cardinality);
	snprintf(name, sizeof(name), "code%zu.table", code);
	return nn_embedding(builder->graph, codes, code,
						nn_parameter(builder->graph, name, &shape, NN_ROLE_TABLE, NN_INIT_NORMAL, 0.3f, NULL));
}

static DevStatus
build_features(LearnBuilder *builder, LearnGraph *built)
{
	const LearnNetwork *network = builder->network;
	size_t		n = network->n_codes + 1;
	NnNode	   *nodes = dev_alloc(builder->session, n, sizeof(NnNode));
	int			n_nodes = 0;
	size_t		at = network->n_numbers;
	NnShape		shape = nn_shape(1, network->n_numbers, 0, 0, 0);
	bool		embedded;

	built->code_first = dev_alloc(builder->session, n, sizeof(size_t));
	built->code_width = dev_alloc(builder->session, n, sizeof(size_t));
	if (nodes == NULL || built->code_first == NULL || built->code_width == NULL)
		return DEV_NO_MEMORY;
	if (network->n_numbers > 0)
		nodes[n_nodes++] = built->numbers = nn_input(builder->graph, "numbers", &shape);
	if (network->n_codes > 0)
		built->codes = nn_codes(builder->graph, "codes", network->n_codes);
	for (size_t i = 0; i < network->n_codes; i++)
	{
		built->code_first[i] = at;
		built->code_width[i] = learn_code_width(network, i, &embedded);
		at += built->code_width[i];
		nodes[n_nodes++] = build_code(builder, built->codes, i);
	}
	builder->n_features = at;
	if (n_nodes > 0)
		builder->features = built->features = nn_concat(builder->graph, nodes, n_nodes);
	dev_release(builder->session, nodes);
	return DEV_OK;
}

void
learn_features_mean(const LearnNetwork *network, const LearnGraph *built, const float *weights,
					const double *number_means, const double *code_shares, float *mean)
{
	for (size_t i = 0; i < network->n_numbers; i++)
		mean[i] = (float) number_means[i];
	for (size_t code = 0; code < network->n_codes; code++)
	{
		size_t		cardinality = (size_t) network->cardinality[code];
		size_t		width = built->code_width[code];
		const float *table = NULL;
		char		name[64];
		bool		embedded;

		learn_code_width(network, code, &embedded);
		if (embedded)
		{
			snprintf(name, sizeof(name), "code%zu.table", code);
			table = weights + nn_graph_parameter(built->graph, nn_graph_find(built->graph, name))->offset;
		}
		for (size_t j = 0; j < width; j++)
		{
			double		sum = 0;

			if (table == NULL)
				sum = code_shares[j];
			else
				for (size_t k = 0; k < cardinality; k++)
					sum += code_shares[k] * table[k * width + j];
			mean[built->code_first[code] + j] = (float) sum;
		}
		code_shares += cardinality;
	}
}

/* ---- Answer and loss ---- */

static NnNode
build_heads(LearnBuilder *builder, LearnGraph *built)
{
	if (builder->network->task == LEARN_TAGGING)
		return learn_build_tagger(builder, built);
	switch (builder->network->architecture)
	{
		case LEARN_LINEAR:
		case LEARN_ROCKET:
			return learn_build_linear(builder);
		case LEARN_MLP:
			return learn_build_mlp(builder);
		case LEARN_RESNET:
			return learn_build_resnet(builder);
		case LEARN_TABM:
			return learn_build_tabm(builder);
		case LEARN_NAM:
			return learn_build_nam(builder, &built->parts);
		case LEARN_LAYERS:
			return learn_build_layers(builder, built);
		case LEARN_CNN:
		case LEARN_RESNET20:
		case LEARN_FCN:
		case LEARN_LSTM:
		case LEARN_GRU:
		case LEARN_TRANSFORMER:
		case LEARN_BAG:
		case LEARN_BILSTM_CRF:
			return learn_build_deep(builder);
		case LEARN_AUTO:
			break;
	}
	dev_fail(builder->session, DEV_INVALID, "the architecture of the network is still open");
	return NN_NONE;
}

static NnNode
build_output(LearnBuilder *builder, NnNode heads)
{
	NnMean		scale = NN_MEAN_VALUE;

	if (builder->network->architecture != LEARN_TABM)
		return heads;
	if (builder->network->task == LEARN_BINARY || builder->network->task == LEARN_MULTILABEL)
		scale = NN_MEAN_BINARY;
	else if (builder->network->task == LEARN_MULTICLASS)
		scale = NN_MEAN_CLASSES;
	return nn_ensemble_mean(builder->graph, heads, scale);
}

static void
build_loss(LearnBuilder *builder, const LearnLoss *loss, LearnGraph *built)
{
	const LearnNetwork *network = builder->network;
	NnGraph    *graph = builder->graph;
	size_t		n_targets = network->task == LEARN_REGRESSION || network->task == LEARN_MULTILABEL ? network->n_outputs
		: network->task == LEARN_SURVIVAL ? 2 : 1;
	NnShape		shape = nn_shape(1, n_targets, 0, 0, 0);
	float		positive = loss->class_weights == NULL || network->task != LEARN_BINARY ? 1 : loss->class_weights[1] / loss->class_weights[0];

	if (network->task == LEARN_MULTICLASS && loss->soft)
		shape = nn_shape(1, network->n_outputs, 0, 0, 0);
	built->target = network->task == LEARN_MULTICLASS && !loss->soft ? nn_codes(graph, "target", 1) : nn_input(graph, "target", &shape);
	switch (network->task)
	{
		case LEARN_MULTILABEL:
		case LEARN_BINARY:
			built->loss = nn_binary_cross_entropy(graph, built->heads, built->target, positive, loss->smoothing);
			break;
		case LEARN_MULTICLASS:
			built->loss = loss->soft ?
				nn_soft_cross_entropy(graph, built->heads, built->target, loss->class_weights, loss->smoothing) :
				nn_cross_entropy(graph, built->heads, built->target, loss->class_weights, loss->smoothing);
			break;
		case LEARN_REGRESSION:
			built->loss = loss->huber > 0 ? nn_huber(graph, built->heads, built->target, loss->huber)
				: nn_squared_error(graph, built->heads, built->target);
			break;
		case LEARN_SURVIVAL:
			built->loss = nn_cox(graph, built->heads, built->target);
			break;
		case LEARN_TAGGING:
			break;
	}
}

/* What is asked for after a pass, and where explanations start. Inputs are kept anyway. */
static void
keep_results(const LearnGraph *built, int n_fields, bool solved)
{
	const NnNode kept[] = {built->features, built->heads, built->output, built->loss, built->parts, built->shares};

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		nn_graph_keep(built->graph, kept[i]);
	/* Training wants it where it solves for the heads alone: elsewhere its memory is somebody else's on the way back. */
	if (built->loss == NN_NONE || solved)
		nn_graph_keep(built->graph, built->embedded);
	/* Slopes by a map are asked for where nothing is learned. */
	for (int field = 0; field < n_fields && built->loss == NN_NONE; field++)
		nn_graph_keep_gradient(built->graph, built->maps[field]);
	for (int field = 0; field < n_fields; field++)
		for (int plane = 0; plane < LEARN_MAX_PLANES; plane++)
			nn_graph_keep(built->graph, built->starts[field][plane]);
}

DevStatus
learn_network_build(DevSession *session, const LearnNetwork *network, const LearnLoss *loss, LearnGraph *built)
{
	LearnBuilder builder = {.session = session, .network = network, .features = NN_NONE, .nudged = loss != NULL && loss->nudged};
	DevStatus	status;

	memset(built, 0, sizeof(*built));
	builder.embedded = NN_NONE;
	built->numbers = built->codes = built->features = built->heads = built->embedded = NN_NONE;
	built->output = built->target = built->loss = built->parts = built->shares = NN_NONE;
	status = learn_network_check(session, network);
	if (status == DEV_OK)
		status = learn_network_complete(session, network);
	if (status == DEV_OK)
		status = nn_graph_create(session, &builder.graph);
	if (status != DEV_OK)
		return status;
	built->graph = builder.graph;
	status = build_features(&builder, built);
	if (status == DEV_OK && network->n_fields > 0)
		status = learn_build_fields(&builder, built);
	if (status != DEV_OK)
		return status;
	built->heads = build_heads(&builder, built);
	dev_release(session, builder.encoded);
	if (built->heads == NN_NONE && dev_status(session) != DEV_OK)
		return dev_status(session);
	built->embedded = network->task == LEARN_TAGGING ? NN_NONE : network->architecture == LEARN_NAM ? built->parts : builder.embedded;
	built->output = build_output(&builder, built->heads);
	if (network->task == LEARN_TAGGING)
		learn_build_tags(&builder, built, loss);
	else if (loss != NULL)
		build_loss(&builder, loss, built);
	keep_results(built, network->n_fields, network->architecture == LEARN_LINEAR || network->architecture == LEARN_ROCKET);
	return nn_graph_compile(built->graph);
}

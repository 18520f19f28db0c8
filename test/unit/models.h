/*
 * models.h: models without training: any architecture with lively random weights, for the tests of
 * predicting and explaining.
 *
 * Columns come in turn: a plain number, a number with a missing indicator, a category of few
 * values, a category of many. One column in the end is not used.
 */
#ifndef IDLA_TEST_MODELS_H
#define IDLA_TEST_MODELS_H

#include "check.h"

#include "idla/learn_predict.h"
#include "learn/architecture.h"

typedef struct ModelSpec
{
	LearnArchitecture architecture;
	LearnTask	task;
	int			n_columns;		/* the unused one not counted */
	bool		numbers_only;	/* every column a plain number */
	int			n_nets;
	int			n_outputs;		/* classes or targets */
	int			depth;
	int			width;
	int			members;
	int			bins;			/* 0: no embedding; else piecewise-linear */
	int			activation;		/* a DevMap, or -1 */
	const char *layers;
	const LearnField *fields;	/* columns after the others; center and scale are made here, their columns numbered */
	int			n_fields;
	struct LearnLabels *labels; /* of a tagger, which has no channels */
	bool		tags_alone;
	LearnPositions positions;
	double		gain;			/* of the weights, 1: activations keep their size; 0: 1.5 */
	uint64_t	seed;
} ModelSpec;

#define FEW 4
#define MANY 30

static const char *const model_labels[MANY] = {
	"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o",
	"p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z", "aa", "ab", "ac", "ad"
};

static inline double
model_normal(uint64_t seed, uint64_t number)
{
	return dev_random_normal(seed, 4242, number);
}

static inline void
make_channel(LearnChannel *channel, int column, const ModelSpec *spec, LearnModel *model, LearnNetwork *network)
{
	int			kind = spec->numbers_only ? 0 : column % 4;

	*channel = (LearnChannel) {
		.name = (char *) model_labels[column % MANY], .column = column,
		.kind = kind < 2 ? LEARN_NUMBER : LEARN_CATEGORY, .scaling = LEARN_UNSCALED, .use = LEARN_USE_KEEP, .scale = 1,
		.number_input = NN_NONE, .indicator_input = NN_NONE, .code_input = NN_NONE
	};
	if (column == spec->n_columns)
	{
		channel->use = LEARN_USE_CONSTANT;
		return;
	}
	if (kind < 2)
	{
		channel->number_input = (int) model->n_numbers++;
		channel->indicator = kind == 1;
		if (channel->indicator)
			channel->indicator_input = (int) model->n_numbers++;
		return;
	}
	channel->n_categories = kind == 2 ? FEW : MANY;
	channel->categories = (char **) model_labels;
	channel->has_missing = kind == 2;
	channel->code_input = (int) model->n_codes;
	network->cardinality[model->n_codes++] = channel->n_categories + channel->has_missing;
}

/* Every trained parameter random, matrices so that values keep about their size times gain. */
static inline void
make_weights(const NnGraph *graph, uint64_t seed, double gain, float *weights)
{
	nn_graph_initialize(graph, seed, weights);
	for (int p = 0; p < nn_graph_parameters(graph); p++)
	{
		const NnParameterInfo *info = nn_graph_parameter(graph, p);
		bool		matrix = info->role == NN_ROLE_MATRIX || info->role == NN_ROLE_HEAD;
		size_t		fan_in = info->shape.rank > 1 ? info->shape.dims[info->shape.rank - 2] : 1;
		double		size = matrix ? gain / sqrt((double) fan_in) : 0.3;

		if (info->role == NN_ROLE_CONSTANT || info->role == NN_ROLE_STATISTIC)
			continue;
		for (size_t i = 0; i < info->size; i++)
		{
			double		value = size * model_normal(seed, info->offset + i);

			weights[info->offset + i] = (float) (info->init == NN_INIT_ONE || info->init == NN_INIT_SIGN
												 ? weights[info->offset + i] + value : value);
		}
	}
}

static inline DevStatus
make_net(DevSession *session, const ModelSpec *spec, const LearnModel *model, const LearnNetwork *network, int number)
{
	LearnNet   *net = &model->nets[number];
	LearnGraph	built;
	uint64_t	seed = spec->seed * 100 + (uint64_t) number;
	double	   *means = dev_alloc(session, model->n_numbers + 1, sizeof(double));
	double	   *shares = dev_alloc(session, model->n_codes * (MANY + 1) + 1, sizeof(double));
	size_t		n_shares = 0;
	DevStatus	status;

	if (means == NULL || shares == NULL)
		return DEV_NO_MEMORY;
	net->network = *network;
	status = learn_network_build(session, network, NULL, &built);
	if (status != DEV_OK)
		return status;
	net->n_weights = nn_graph_weights(built.graph);
	net->n_features = built.features == NN_NONE ? 0 : nn_shape_size(nn_graph_shape(built.graph, built.features));
	net->weights = dev_alloc(session, net->n_weights + 1, sizeof(float));
	net->baseline = dev_alloc(session, net->n_features + 1, sizeof(float));
	if (net->weights == NULL || net->baseline == NULL)
		return DEV_NO_MEMORY;
	make_weights(built.graph, seed, spec->gain > 0 ? spec->gain : 1.5, net->weights);
	for (size_t i = 0; i < model->n_numbers; i++)
		means[i] = 0.2 * model_normal(spec->seed, 900000 + i);
	for (size_t code = 0; code < model->n_codes; code++)
		for (int k = 0; k < network->cardinality[code]; k++)
			shares[n_shares++] = 1.0 / network->cardinality[code];
	learn_features_mean(network, &built, net->weights, means, shares, net->baseline);
	return DEV_OK;
}

static inline DevStatus
make_fields(DevSession *session, const ModelSpec *spec, LearnModel *model)
{
	model->n_fields = spec->n_fields;
	model->fields = dev_alloc(session, (size_t) spec->n_fields + 1, sizeof(LearnField));
	for (int i = 0; i < spec->n_fields && model->fields != NULL; i++)
	{
		LearnField *field = &model->fields[i];
		size_t		depth;

		*field = spec->fields[i];
		field->column = model->n_columns++;
		depth = learn_field_depth(field);
		field->center = dev_alloc(session, depth, sizeof(float));
		field->scale = dev_alloc(session, depth, sizeof(float));
		if (field->center == NULL || field->scale == NULL)
			return DEV_NO_MEMORY;
		for (size_t d = 0; d < depth; d++)
		{
			field->center[d] = 0.25f + 0.125f * (float) d;
			field->scale[d] = 2 + (float) d;
		}
		if (field->rocket == NULL)
			continue;
		field->feature_center = dev_alloc(session, field->rocket->n_features, sizeof(float));
		field->feature_scale = dev_alloc(session, field->rocket->n_features, sizeof(float));
		if (field->feature_center == NULL || field->feature_scale == NULL)
			return DEV_NO_MEMORY;
		for (size_t j = 0; j < field->rocket->n_features; j++)
		{
			field->feature_center[j] = 0.5f;
			field->feature_scale[j] = 3;
		}
	}
	return model->fields == NULL ? DEV_NO_MEMORY : DEV_OK;
}

static inline DevStatus
make_outputs(DevSession *session, const ModelSpec *spec, LearnModel *model)
{
	size_t		n = (size_t) (spec->n_outputs > 0 ? spec->n_outputs : 1);

	model->temperature = spec->task == LEARN_BINARY || spec->task == LEARN_MULTICLASS ? 1.3 : 1;
	model->n_classes = spec->task == LEARN_BINARY ? 2 : spec->task == LEARN_MULTICLASS ? (int) n : 0;
	model->n_targets = spec->task == LEARN_REGRESSION ? (int) n : spec->task == LEARN_SURVIVAL ? 2 : 1;
	model->positive = 1;
	model->offset = dev_alloc(session, n, sizeof(double));
	model->target_mean = dev_alloc(session, n, sizeof(double));
	model->target_scale = dev_alloc(session, n, sizeof(double));
	if (model->offset == NULL || model->target_mean == NULL || model->target_scale == NULL)
		return DEV_NO_MEMORY;
	for (size_t i = 0; i < n; i++)
	{
		model->offset[i] = model->n_classes > 0 ? 0.1 * (double) (i + 1) : 0;
		model->target_mean[i] = 50 + (double) i;
		model->target_scale[i] = 12.5;
	}
	return DEV_OK;
}

/* The first failure of the session is returned and *model left NULL. */
static inline DevStatus
make_model(DevSession *session, const ModelSpec *spec, LearnModel **model)
{
	LearnModel *made = dev_alloc(session, 1, sizeof(LearnModel));
	LearnNetwork network = {
		.architecture = spec->architecture, .layers = (char *) spec->layers, .depth = spec->depth,
		.width = spec->width, .members = spec->members, .activation = spec->activation, .dropout = 0.1f, .bins = spec->bins,
		.embedding = spec->bins > 0 ? LEARN_EMBEDDING_PIECEWISE : LEARN_EMBEDDING_NONE, .embedding_width = 4,
		.task = spec->task, .positions = spec->positions, .tags_alone = spec->tags_alone
	};
	DevStatus	status;

	*model = NULL;
	if (made == NULL)
		return DEV_NO_MEMORY;
	made->task = spec->task;
	made->labels = spec->labels;
	made->n_columns = made->n_channels = spec->task == LEARN_TAGGING ? 0 : spec->n_columns + 1;
	made->n_nets = spec->n_nets > 0 ? spec->n_nets : 1;
	made->channels = dev_alloc(session, (size_t) made->n_channels + 1, sizeof(LearnChannel));
	made->nets = dev_alloc(session, (size_t) made->n_nets, sizeof(LearnNet));
	network.cardinality = dev_alloc(session, (size_t) made->n_channels + 1, sizeof(int));
	if (made->channels == NULL || made->nets == NULL || network.cardinality == NULL)
		return DEV_NO_MEMORY;
	for (int i = 0; i < made->n_channels; i++)
		make_channel(&made->channels[i], i, spec, made, &network);
	status = make_outputs(session, spec, made);
	if (status == DEV_OK)
		status = make_fields(session, spec, made);
	network.n_fields = made->n_fields;
	network.fields = made->fields;
	network.n_numbers = made->n_numbers;
	network.n_codes = made->n_codes;
	network.n_outputs = status == DEV_OK ? learn_model_outputs(made) : 0;
	if (status == DEV_OK && spec->bins > 0)
	{
		size_t		n_edges = (size_t) spec->bins + 1;

		network.bin_edges = dev_alloc(session, made->n_numbers * n_edges + 1, sizeof(float));
		for (size_t i = 0; network.bin_edges != NULL && i < made->n_numbers * n_edges; i++)
			network.bin_edges[i] = -2 + 4 * (float) (i % n_edges) / (float) spec->bins;
		status = network.bin_edges == NULL ? DEV_NO_MEMORY : DEV_OK;
	}
	if (status == DEV_OK)
		status = learn_network_resolve(session, &network, 1000);
	for (int i = 0; i < made->n_nets && status == DEV_OK; i++)
		status = make_net(session, spec, made, &network, i);
	if (status == DEV_OK)
		*model = made;
	return status;
}

/* Raw rows (n, n_channels): numbers from a normal distribution, codes evenly, some of them missing. */
static inline void
make_rows(const LearnModel *model, size_t n, uint64_t seed, float *raw)
{
	for (size_t i = 0; i < n * (size_t) model->n_channels; i++)
	{
		const LearnChannel *channel = &model->channels[i % (size_t) model->n_channels];
		bool		missing = (channel->indicator || channel->kind == LEARN_CATEGORY) &&
			dev_random_uniform(seed, 4243, i) < 0.2;

		if (missing)
			raw[i] = NAN;
		else if (channel->kind == LEARN_CATEGORY)
			raw[i] = (float) dev_random_below(seed, 4244, i, (uint64_t) channel->n_categories);
		else
			raw[i] = (float) model_normal(seed, 1000000 + i);
	}
}

#endif							/* IDLA_TEST_MODELS_H */

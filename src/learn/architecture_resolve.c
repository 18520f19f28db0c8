/*
 * architecture_resolve.c: what a network in words may say, and what it says where it is silent.
 *
 * A description is the user's or a stored one, so nothing in it is trusted: everything that is set must be in range. What is
 * open gets the architecture's usual value, and what an architecture does not have becomes nothing.
 */
#include "architecture.h"
#include "names.h"

#include "idla/learn_ridge.h"

#define ROCKET_FEATURES 9996	/* as many as the authors of MiniRocket take */
#define EMBEDDED_MOST 64		/* features beyond which embedding each costs more than it gives */

/* ---- What a description says ---- */

static DevStatus
check_range(DevSession *session, const char *what, double value, double low, double high)
{
	if (value >= low && value <= high)
		return DEV_OK;
	return dev_fail(session, DEV_INVALID, "%s \"%g\" is not between %g and %g", what, value, low, high);
}

static DevStatus
check_signals(DevSession *session, const LearnNetwork *network)
{
	bool		good = network->n_fields > 0;

	for (int i = 0; i < network->n_fields; i++)
		good = good && network->fields[i].kind == LEARN_SIGNAL;
	if (good)
		return DEV_OK;
	dev_fail(session, DEV_INVALID, "architecture \"rocket\" is for signals, beside ordinary columns");
	dev_hint(session, "For images take \"cnn\" or \"resnet20\", for a mixture of kinds \"auto\".");
	return DEV_INVALID;
}

static DevStatus
check_inputs(DevSession *session, const LearnNetwork *network)
{
	if (network->n_numbers + network->n_codes == 0 && network->n_fields == 0)
		return dev_fail(session, DEV_BAD_DATA, "there is no column to learn from");
	if (network->n_fields == 0 && learn_is_deep(network->architecture))
	{
		dev_fail(session, DEV_INVALID, "architecture \"%s\" needs an image, a signal, a series or a text",
				 learn_architecture_names[network->architecture]);
		dev_hint(session, "For columns of numbers and categories take \"tabm\", \"mlp\", \"resnet\", \"linear\" or \"nam\".");
		return DEV_INVALID;
	}
	if ((network->task == LEARN_TAGGING) != (network->n_fields == 1 && network->fields[0].tagged) ||
		(network->task == LEARN_TAGGING && network->n_numbers + network->n_codes > 0))
		return dev_fail(session, DEV_INVALID, "tagging has one text cut into tokens as its input, and no other");
	if (network->task == LEARN_TAGGING && network->architecture != LEARN_AUTO && network->architecture != LEARN_BILSTM_CRF &&
		network->architecture != LEARN_LSTM && network->architecture != LEARN_GRU &&
		network->architecture != LEARN_TRANSFORMER && network->architecture != LEARN_LAYERS)
	{
		dev_fail(session, DEV_INVALID, "architecture \"%s\" does not tag", learn_architecture_names[network->architecture]);
		dev_hint(session, "For tagging take \"bilstm_crf\", or \"gru\", \"transformer\" or a layer text in its place.");
		return DEV_INVALID;
	}
	if (network->task != LEARN_TAGGING && network->architecture == LEARN_BILSTM_CRF)
	{
		dev_fail(session, DEV_INVALID, "architecture \"bilstm_crf\" is for tagging");
		dev_hint(session, "For texts as a whole take \"bag\", \"cnn\", \"lstm\", \"gru\" or \"transformer\".");
		return DEV_INVALID;
	}
	if (network->n_fields > 0 && network->architecture == LEARN_NAM)
	{
		dev_fail(session, DEV_INVALID, "architecture \"nam\" takes no images, signals or texts");
		dev_hint(session, "Leave such columns out, or take another architecture.");
		return DEV_INVALID;
	}
	if (network->architecture == LEARN_ROCKET && check_signals(session, network) != DEV_OK)
		return DEV_INVALID;
	if (network->n_codes > 0 && network->cardinality == NULL)
		return dev_fail(session, DEV_INVALID, "the network does not say how many categories its inputs have");
	for (size_t i = 0; i < network->n_codes; i++)
		if (network->cardinality[i] < 1 || network->cardinality[i] > LEARN_MAX_CARDINALITY)
			return dev_fail(session, DEV_INVALID, "number of categories \"%d\" is not between 1 and %d",
							network->cardinality[i], LEARN_MAX_CARDINALITY);
	return DEV_OK;
}

DevStatus
learn_network_check(DevSession *session, const LearnNetwork *network)
{
	DevStatus	status = check_inputs(session, network);

	if (status == DEV_OK && (network->architecture < LEARN_AUTO || network->architecture > LEARN_LAYERS))
		status = dev_fail(session, DEV_INVALID, "unknown architecture number %d", (int) network->architecture);
	if (status == DEV_OK && (network->task < LEARN_BINARY || network->task > LEARN_TAGGING))
		status = dev_fail(session, DEV_INVALID, "unknown task number %d", (int) network->task);
	if (status == DEV_OK && (network->embedding < LEARN_EMBEDDING_AUTO
							 || network->embedding > LEARN_EMBEDDING_PERIODIC))
		status = dev_fail(session, DEV_INVALID, "unknown embedding number %d", (int) network->embedding);
	if (status == DEV_OK && (network->positions < LEARN_POSITIONS_AUTO || network->positions > LEARN_POSITIONS_NONE))
		status = dev_fail(session, DEV_INVALID, "unknown number of positions %d", (int) network->positions);
	if (status == DEV_OK && network->tags_alone && network->task != LEARN_TAGGING)
	{
		status = dev_fail(session, DEV_INVALID, "only taggers have a CRF to go without");
		dev_hint(session, "Leave the option \"crf\" out; it is for the task \"tagging\".");
	}
	if (status == DEV_OK && network->architecture == LEARN_LAYERS && network->layers == NULL)
		status = dev_fail(session, DEV_INVALID, "architecture \"layers\" needs a layer text");
	if (status == DEV_OK && network->n_outputs == 0)
		status = dev_fail(session, DEV_INVALID, "the network has no output");
	if (status == DEV_OK)
		status = check_range(session, "number of outputs", (double) network->n_outputs, 1, LEARN_MAX_OUTPUTS);
	if (status == DEV_OK)
		status = check_range(session, "depth", network->depth, 0, LEARN_MAX_DEPTH);
	if (status == DEV_OK)
		status = check_range(session, "width", network->width, 0, LEARN_MAX_WIDTH);
	if (status == DEV_OK)
		status = check_range(session, "number of members", network->members, 0, LEARN_MAX_MEMBERS);
	if (status == DEV_OK && !(network->dropout < 1))
		status = dev_fail(session, DEV_INVALID, "dropout \"%g\" is not less than 1", network->dropout);
	if (status == DEV_OK && network->activation >= 0 && learn_activation_name(network->activation) == NULL)
		status = dev_fail(session, DEV_INVALID, "unknown activation number %d", network->activation);
	if (status == DEV_OK)
		status = check_range(session, "number of bins", network->bins, 0, LEARN_MAX_BINS);
	if (status == DEV_OK)
		status = check_range(session, "embedding width", network->embedding_width, 0, LEARN_MAX_WIDTH);
	return status;
}

DevStatus
learn_network_complete(DevSession *session, const LearnNetwork *network)
{
	bool		deep = network->architecture == LEARN_MLP || network->architecture == LEARN_RESNET
		|| network->architecture == LEARN_TABM || network->architecture == LEARN_NAM || learn_is_deep(network->architecture);

	if (network->embedding == LEARN_EMBEDDING_AUTO
		|| (network->embedding != LEARN_EMBEDDING_NONE && (network->bins < 1 || network->embedding_width < 1)))
		return dev_fail(session, DEV_INVALID, "the network's embedding is incomplete");
	if (network->embedding == LEARN_EMBEDDING_PIECEWISE && network->bin_edges == NULL)
		return dev_fail(session, DEV_INVALID, "the network's piecewise embedding has no bin edges");
	if (deep && (network->depth < 1 || network->width < 1 || network->activation < 0
				 || (network->architecture == LEARN_TABM && network->members < 1)
				 || (network->architecture == LEARN_TRANSFORMER && network->positions == LEARN_POSITIONS_AUTO)))
		return dev_fail(session, DEV_INVALID, "the network's sizes are incomplete");
	for (int i = 0; i < network->n_fields; i++)
	{
		if ((network->architecture == LEARN_ROCKET) != (network->fields[i].rocket != NULL))
			return dev_fail(session, DEV_INVALID, "the network does not take signal \"%s\" as it is given", network->fields[i].name);
		if ((network->fields[i].kind == LEARN_SERIES) != (network->fields[i].series != NULL))
			return dev_fail(session, DEV_INVALID, "series \"%s\" has no plan", network->fields[i].name);
	}
	return DEV_OK;
}

/* ---- Defaults ---- */

/* One signal and few rows: a linear model on fixed convolutions is as good as a deep network, and takes a second. */
static bool
suits_rocket(const LearnNetwork *network, size_t n_rows)
{
	return network->n_fields == 1 && network->fields[0].kind == LEARN_SIGNAL && network->task != LEARN_SURVIVAL &&
		network->task != LEARN_MULTILABEL && n_rows <= LEARN_RIDGE_MOST;
}

/*
 * The rule of "auto": below 40 rows nothing but a line can be learned; up to two million a parameter-shared
 * ensemble, smaller the more rows there are to pass through it; beyond that a plain perceptron.
 */
LearnArchitecture
learn_network_pick(const LearnNetwork *network, size_t n_rows)
{
	if (network->architecture != LEARN_AUTO)
		return network->architecture;
	if (network->layers != NULL)
		return LEARN_LAYERS;
	if (suits_rocket(network, n_rows))
		return LEARN_ROCKET;
	if (network->n_fields > 0)
		return learn_field_encoder(network, &network->fields[0]);
	if (n_rows < 40)
		return LEARN_LINEAR;
	return n_rows <= 2000000 ? LEARN_TABM : LEARN_MLP;
}

static int
default_depth(const LearnNetwork *network)
{
	switch (network->architecture)
	{
		case LEARN_MLP:
		case LEARN_CNN:
		case LEARN_RESNET20:
		case LEARN_FCN:
			return 3;
		case LEARN_LSTM:
		case LEARN_GRU:
		case LEARN_BAG:
		case LEARN_BILSTM_CRF:
			return 1;
		default:
			return 2;
	}
}

static int
default_width(const LearnNetwork *network, size_t n_rows)
{
	if (network->task == LEARN_TAGGING)
		return 160;
	switch (network->architecture)
	{
		case LEARN_NAM:
			return n_rows < 10000 ? 16 : 32;
		case LEARN_TABM:
			return n_rows < 10000 ? 64 : 128;
		case LEARN_CNN:
			return 32;
		case LEARN_RESNET20:
			return 16;
		case LEARN_FCN:
		case LEARN_BAG:
		case LEARN_TRANSFORMER:
			return 128;
		case LEARN_ROCKET:
			return ROCKET_FEATURES;
		default:
			return n_rows < 10000 ? 64 : n_rows < 100000 ? 128 : 256;
	}
}

void
learn_encoder_sizes(LearnArchitecture encoder, LearnNetwork *network)
{
	LearnNetwork alone = {.architecture = encoder, .task = network->task};

	network->depth = default_depth(&alone);
	network->width = default_width(&alone, 0);
}

static int
default_members(size_t n_rows)
{
	return n_rows < 20000 ? 16 : 8;
}

/* Few rows are trained on folds and averaged, which is as good against overfitting and takes no time in each step. */
static float
default_dropout(const LearnNetwork *network, size_t n_rows)
{
	if (network->task == LEARN_TAGGING || network->architecture == LEARN_BAG)
		return 0.5f;
	if (network->n_fields > 0 && network->fields[0].kind == LEARN_SERIES)
		return 0.3f;
	return network->architecture == LEARN_TABM && n_rows < 5000 ? 0.0f : 0.1f;
}

static void
resolve_embedding(LearnNetwork *network, size_t n_rows)
{
	/* The linear model stays a line and the additive one has a net for each column already. */
	if (learn_is_additive(network) || network->n_numbers == 0)
		network->embedding = LEARN_EMBEDDING_NONE;
	if (network->embedding == LEARN_EMBEDDING_AUTO)
		network->embedding = network->architecture == LEARN_TABM && n_rows >= 5000 && n_rows < 50000
			&& learn_network_features(network) <= EMBEDDED_MOST
			? LEARN_EMBEDDING_PIECEWISE : LEARN_EMBEDDING_NONE;
	if (network->embedding == LEARN_EMBEDDING_NONE)
	{
		network->bins = 0;
		network->embedding_width = 0;
		return;
	}
	if (network->bins == 0)
		network->bins = 16;
	if (network->embedding_width == 0)
		network->embedding_width = 8;
}

/* What an architecture does not have is set to nothing, so that a stored network says only what it is. */
static void
resolve_sizes(LearnNetwork *network, size_t n_rows)
{
	bool		linear = network->architecture == LEARN_LINEAR;
	bool		layers = network->architecture == LEARN_LAYERS;
	bool		rocket = network->architecture == LEARN_ROCKET;

	if (linear || layers || rocket)
	{
		network->depth = 0;
		network->width = !rocket ? 0 : network->width > 0 ? network->width : default_width(network, n_rows);
		network->dropout = 0;
		network->activation = -1;
	}
	else
	{
		if (network->depth == 0)
			network->depth = default_depth(network);
		if (network->width == 0)
			network->width = default_width(network, n_rows);
		if (network->dropout < 0)
			network->dropout = default_dropout(network, n_rows);
		if (network->activation < 0)
			network->activation = network->architecture == LEARN_NAM ? DEV_MAP_SILU : DEV_MAP_RELU;
	}
	if (network->architecture != LEARN_TRANSFORMER)
		network->positions = LEARN_POSITIONS_AUTO;
	else if (network->positions == LEARN_POSITIONS_AUTO)
		network->positions = LEARN_POSITIONS_SINUSOID;
	if (network->architecture != LEARN_TABM)
		network->members = 0;
	else if (network->members == 0)
		network->members = default_members(n_rows);
	if (!layers)
		network->layers = NULL;
}

DevStatus
learn_network_resolve(DevSession *session, LearnNetwork *network, size_t n_rows)
{
	DevStatus	status;

	/* A layer text says what it is. */
	if (network->architecture == LEARN_AUTO && network->layers != NULL)
		network->architecture = LEARN_LAYERS;
	status = learn_network_check(session, network);
	if (status != DEV_OK)
		return status;
	network->architecture = learn_network_pick(network, n_rows);
	if (network->architecture == LEARN_LAYERS)
	{
		LearnLayer *layers;
		int			n_layers;

		status = learn_layers_parse(session, network->layers, &layers, &n_layers);
		if (status != DEV_OK)
			return status;
		dev_release(session, layers);
		if (network->task == LEARN_TAGGING && network->tags_alone && learn_layers_chain(session, network))
		{
			dev_fail(session, DEV_INVALID, "the layer text ends in \"crf\", and the option \"crf\" is false");
			dev_hint(session, "A layer text says by itself whether there is a CRF: leave the option out.");
			return DEV_INVALID;
		}
		if (network->task == LEARN_TAGGING)
			network->tags_alone = !learn_layers_chain(session, network);
	}
	resolve_sizes(network, n_rows);
	resolve_embedding(network, n_rows);
	if (network->positions == LEARN_POSITIONS_TIME && network->width % 2 != 0)
	{
		dev_fail(session, DEV_INVALID, "positions \"time\" need an even width, not \"%d\"", network->width);
		dev_detail(session, "Every time is told by pairs of a sine and a cosine.");
		return DEV_INVALID;
	}
	return DEV_OK;
}

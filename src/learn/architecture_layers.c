/*
 * architecture_layers.c: the user's own layers, from their text to nodes.
 *
 * A text whose layers work on places or moments (convolutions, pools, recurrences) begins at the one
 * image or sequence; the ordinary columns come in where it says "join", or before the head. Any other text begins
 * at the joined columns, each field encoded as is usual for its kind. A tagger's text begins at its tokens and keeps them apart.
 */
#include "architecture.h"

#include <stdio.h>

#define PIECES_WIDTH 64			/* of a text's pieces where the first layer begins */
#define NAME_SIZE 64

/* What a text's layers know of where they are. */
typedef struct LayerState
{
	LearnBuilder *builder;
	NnNode		node;
	NnNode		length;			/* of a sequence; NN_NONE once a pool or stride has changed it */
	NnNode		map;			/* what the last convolution gives, with the norms and activations right behind it */
	bool		joined;
} LayerState;

static DevStatus
read_layers(DevSession *session, const LearnNetwork *network, LearnLayer **layers, int *n, bool *places)
{
	DevStatus	status = learn_layers_parse(session, network->layers, layers, n);

	*places = false;
	for (int i = 0; i < *n && status == DEV_OK; i++)
		*places = *places || learn_layer_has_places((*layers)[i].kind);
	return status;
}

bool
learn_layers_encode(DevSession *session, const LearnNetwork *network)
{
	LearnLayer *layers;
	bool		places = false;
	int			n;

	if (network->architecture != LEARN_LAYERS || read_layers(session, network, &layers, &n, &places) != DEV_OK)
		return false;
	dev_release(session, layers);
	return places;
}

bool
learn_layers_see_padding(DevSession *session, const LearnNetwork *network)
{
	LearnLayer *layers;
	bool		places;
	bool		see = false;
	int			n;

	if (network->architecture != LEARN_LAYERS || read_layers(session, network, &layers, &n, &places) != DEV_OK)
		return false;
	for (int i = 0; i < n; i++)
		see = see || (places && learn_layer_sees_padding(&layers[i]));
	dev_release(session, layers);
	return see;
}

static NnNode
refuse(LayerState *state, int number, const char *what, const char *hint)
{
	dev_fail(state->builder->session, DEV_INVALID, "layer %d of the layer text %s", number + 1, what);
	dev_hint(state->builder->session, "%s", hint);
	return NN_NONE;
}

static int
rank_of(const LayerState *state)
{
	return nn_graph_shape(state->builder->graph, state->node)->rank;
}

/*
 * What a layer that reads across a sequence's end is given: norms and biases have made something of the padding, which is nothing to
 * that layer, however much there is of it.
 */
static NnNode
without_padding(LayerState *state)
{
	return state->length == NN_NONE ? state->node : nn_mask(state->builder->graph, state->node, state->length);
}

static NnNode
build_pool(LayerState *state, const LearnLayer *layer, int number)
{
	NnGraph    *graph = state->builder->graph;
	const NnShape *shape = nn_graph_shape(graph, state->node);
	size_t		size = (size_t) layer->arguments[0];
	NnWindow	window = {.kernel = {size, size}, .stride = {size, size}};
	NnNode		node;

	for (int i = 0; i < shape->rank - 1; i++)
		if (shape->dims[i] < size)
			return refuse(state, number, "has a window larger than what is left of the input", "Leave a pool out, or make it smaller.");
	node = without_padding(state);
	state->length = NN_NONE;
	return layer->kind == LEARN_LAYER_MAX_POOL ? nn_max_pool(graph, node, &window) : nn_average_pool(graph, node, &window);
}

static NnNode
build_convolution(LayerState *state, const LearnLayer *layer, const char *name, int number)
{
	const NnShape *shape = nn_graph_shape(state->builder->graph, state->node);
	size_t		kernel = layer->n_arguments > 1 ? (size_t) layer->arguments[1] : 3;
	size_t		stride = layer->n_arguments > 2 ? (size_t) layer->arguments[2] : 1;
	NnNode		node;

	for (int i = 0; i < shape->rank - 1; i++)
		if (shape->dims[i] < (kernel + 1) / 2)
			return refuse(state, number, "has a kernel larger than what is left of the input", "Make the kernel smaller.");
	node = learn_build_convolution(state->builder, without_padding(state), name, kernel, stride, (size_t) layer->arguments[0]);
	if (stride > 1)
		state->length = NN_NONE;
	return node;
}

static NnNode
build_recurrent(LayerState *state, const LearnLayer *layer, const char *name)
{
	bool		lstm = layer->kind == LEARN_LAYER_LSTM || layer->kind == LEARN_LAYER_BILSTM;
	size_t		width = (size_t) layer->arguments[0];
	NnNode		sides[2];
	char		backward[NAME_SIZE + 16];

	sides[0] = learn_build_recurrence(state->builder, state->node, state->length, name, width, lstm, false);
	if (layer->kind == LEARN_LAYER_LSTM || layer->kind == LEARN_LAYER_GRU)
		return sides[0];
	snprintf(backward, sizeof(backward), "%s.backward", name);
	sides[1] = learn_build_recurrence(state->builder, state->node, state->length, backward, width, lstm, true);
	return nn_concat(state->builder->graph, sides, 2);
}

static NnNode
build_join(LayerState *state, int number)
{
	NnNode		parts[2] = {state->node, state->builder->features};

	if (rank_of(state) > 1)
		return refuse(state, number, "joins columns with places", "Let global_mean, global_max, last or flatten come before join.");
	if (state->joined)
		return refuse(state, number, "joins the columns again", "Write join once.");
	state->joined = true;
	return state->builder->features == NN_NONE ? state->node : nn_concat(state->builder->graph, parts, 2);
}

static NnNode
build_group_norm(LayerState *state, const LearnLayer *layer, const char *name, int number)
{
	NnGraph    *graph = state->builder->graph;
	const NnShape *shape = nn_graph_shape(graph, state->node);
	size_t		width = shape->dims[shape->rank - 1];
	NnShape		vector = nn_shape(1, width, 0, 0, 0);
	size_t		groups = (size_t) layer->arguments[0];
	char		part[NAME_SIZE + 16];
	NnParameter gain;

	if (width % groups != 0)
		return refuse(state, number, "has groups that do not divide its channels", "For example conv(32) group_norm(8).");
	snprintf(part, sizeof(part), "%s.gain", name);
	gain = nn_parameter(graph, part, &vector, NN_ROLE_VECTOR, NN_INIT_ONE, 0, NULL);
	snprintf(part, sizeof(part), "%s.bias", name);
	return nn_group_norm(graph, state->node, groups, gain,
						 nn_parameter(graph, part, &vector, NN_ROLE_VECTOR, NN_INIT_ZERO, 0, NULL), 1e-5f);
}

/* Zeros on all sides. Those before a sequence make its length say nothing any more. */
static NnNode
build_pad(LayerState *state, const LearnLayer *layer)
{
	size_t		size = (size_t) layer->arguments[0];
	NnWindow	window = {.before = {size, size}, .after = {size, size}};
	NnNode		node = without_padding(state);

	state->length = NN_NONE;
	return nn_pad(state->builder->graph, node, &window);
}

/*
 * A body has two sides, and how they differ is what a reader of images looks at first: (height, width, channels) and its mirror image, one
 * beside the other.
 */
static NnNode
build_mirror(LayerState *state, int number)
{
	NnNode		sides[2] = {state->node, NN_NONE};

	if (rank_of(state) != 3)
		return refuse(state, number, "mirrors an image, and this is a sequence", "A sequence is read in both directions by bilstm and bigru.");
	sides[1] = nn_flip(state->builder->graph, state->node, 1);
	return nn_concat(state->builder->graph, sides, 2);
}

static NnNode
build_attention(LayerState *state, const LearnLayer *layer, const char *name, int number)
{
	size_t		heads = (size_t) layer->arguments[0];

	if (nn_graph_shape(state->builder->graph, state->node)->dims[1] % heads != 0)
		return refuse(state, number, "has heads that do not divide its channels", "For example dense(64) attention(4).");
	return learn_build_attention(state->builder, state->node, state->length, name, heads, 0);
}

static NnNode
build_positions(LayerState *state, const LearnLayer *layer, const char *name, int number)
{
	const NnShape *shape = nn_graph_shape(state->builder->graph, state->node);

	if (shape->dims[0] != state->builder->network->fields[0].dims[0])
		return refuse(state, number, "tells places apart after their number has changed", "Let it come before pools, strides and pad.");
	if (layer->kind == LEARN_LAYER_TIME_POSITIONS && shape->dims[1] % 2 != 0)
		return refuse(state, number, "needs an even number of channels: pairs of a sine and a cosine", "For example dense(64) time_positions.");
	return learn_build_positions(state->builder, state->node, 0, name,
								 layer->kind == LEARN_LAYER_SINUSOID ? LEARN_POSITIONS_SINUSOID :
								 layer->kind == LEARN_LAYER_TIME_POSITIONS ? LEARN_POSITIONS_TIME : LEARN_POSITIONS_LEARNED);
}

/* Layers that work on sequences alone. */
static NnNode
build_sequence_layer(LayerState *state, const LearnLayer *layer, const char *name, int number)
{
	if (rank_of(state) != 2)
		return refuse(state, number, "needs a sequence, and an image has two directions", "For images take conv and pools.");
	switch (layer->kind)
	{
		case LEARN_LAYER_LAST:
			return nn_last(state->builder->graph, state->node, state->length, false);
		case LEARN_LAYER_ATTENTION:
			return build_attention(state, layer, name, number);
		case LEARN_LAYER_SINUSOID:
		case LEARN_LAYER_LEARNED_POSITIONS:
		case LEARN_LAYER_TIME_POSITIONS:
			return build_positions(state, layer, name, number);
		default:
			return build_recurrent(state, layer, name);
	}
}

static NnNode
build_layer(LayerState *state, const LearnLayer *layer, int number)
{
	NnGraph    *graph = state->builder->graph;
	char		name[NAME_SIZE];
	NnShape		flat;

	snprintf(name, sizeof(name), "layer%d", number);
	if (learn_layer_has_places(layer->kind) && layer->kind != LEARN_LAYER_JOIN && rank_of(state) < 2)
		return refuse(state, number, "needs an image or a sequence, and what comes before it has neither places nor moments",
					  "Layers such as conv, pools, lstm and global_mean come before dense layers.");
	switch (layer->kind)
	{
		case LEARN_LAYER_DENSE:
			return learn_build_dense(state->builder, state->node, name, (size_t) layer->arguments[0], NN_ROLE_MATRIX);
		case LEARN_LAYER_ACTIVATION:
			return nn_activation(graph, state->node, layer->activation);
		case LEARN_LAYER_DROPOUT:
			return layer->arguments[0] > 0 ? nn_dropout(graph, state->node, (float) layer->arguments[0]) : state->node;
		case LEARN_LAYER_LAYER_NORM:
			return learn_build_layer_norm(state->builder, state->node, name);
		case LEARN_LAYER_BATCH_NORM:
			return learn_build_batch_norm(state->builder, state->node, name);
		case LEARN_LAYER_GROUP_NORM:
			return build_group_norm(state, layer, name, number);
		case LEARN_LAYER_CONVOLUTION:
			return build_convolution(state, layer, name, number);
		case LEARN_LAYER_MAX_POOL:
		case LEARN_LAYER_AVERAGE_POOL:
			return build_pool(state, layer, number);
		case LEARN_LAYER_GLOBAL_MEAN:
			/* What a mean is of shares the score among its places, even if no convolution came last: better than any map. */
			return learn_build_mean(state->builder, state->node, state->length, 0);
		case LEARN_LAYER_GLOBAL_MAX:
			return nn_global_max(graph, state->node, state->length);
		case LEARN_LAYER_FLATTEN:
			flat = nn_shape(1, nn_shape_size(nn_graph_shape(graph, state->node)), 0, 0, 0);
			return nn_reshape(graph, without_padding(state), &flat);
		case LEARN_LAYER_JOIN:
			return build_join(state, number);
		case LEARN_LAYER_PAD:
			return build_pad(state, layer);
		case LEARN_LAYER_MIRROR:
			return build_mirror(state, number);
		case LEARN_LAYER_CRF:
			if (state->builder->network->task != LEARN_TAGGING)
				return refuse(state, number, "is for tagging", "Say task => 'tagging', or leave it out.");
			return refuse(state, number, "stands before the end", "Let crf be the last word: it works on the tags themselves.");
		case LEARN_LAYER_LAST:
		case LEARN_LAYER_LSTM:
		case LEARN_LAYER_GRU:
		case LEARN_LAYER_BILSTM:
		case LEARN_LAYER_BIGRU:
		case LEARN_LAYER_ATTENTION:
		case LEARN_LAYER_SINUSOID:
		case LEARN_LAYER_LEARNED_POSITIONS:
		case LEARN_LAYER_TIME_POSITIONS:
			return build_sequence_layer(state, layer, name, number);
	}
	return NN_NONE;
}

/* Where a text with places begins. */
static NnNode
start_at_field(LayerState *state, const LearnGraph *built)
{
	const LearnNetwork *network = state->builder->network;

	if (network->n_fields != 1)
	{
		dev_fail(state->builder->session, DEV_INVALID, "a layer text with places needs one image, signal or series, and there are %d",
				 network->n_fields);
		dev_hint(state->builder->session, "Leave the others out, or write dense layers alone: each field is encoded as is usual then.");
		return NN_NONE;
	}
	state->length = built->lengths[0];
	if (network->fields[0].kind == LEARN_TEXT)
		return learn_build_pieces(state->builder, state->builder->built, 0, PIECES_WIDTH, LEARN_PIECE_DEVIATION);
	return built->planes[0][0];
}

/* Whether a layer's output is the map to look at, behind the map so far or not. */
static bool
makes_map(LearnLayerKind kind, bool behind_map)
{
	switch (kind)
	{
		case LEARN_LAYER_CONVOLUTION:
			return true;
		case LEARN_LAYER_ACTIVATION:
		case LEARN_LAYER_DROPOUT:
		case LEARN_LAYER_LAYER_NORM:
		case LEARN_LAYER_BATCH_NORM:
		case LEARN_LAYER_GROUP_NORM:
			return behind_map;
		default:
			return false;
	}
}

NnNode
learn_build_layers(LearnBuilder *builder, const LearnGraph *built)
{
	LayerState	state = {.builder = builder, .length = NN_NONE, .map = NN_NONE};
	LearnLayer *layers;
	bool		places;
	int			n;

	if (read_layers(builder->session, builder->network, &layers, &n, &places) != DEV_OK)
		return NN_NONE;
	state.node = places ? start_at_field(&state, built) : learn_build_joined(builder);
	for (int i = 0; i < n && state.node != NN_NONE; i++)
	{
		NnNode		before = state.node;

		state.node = build_layer(&state, &layers[i], i);
		if (makes_map(layers[i].kind, before == state.map))
		{
			state.map = state.node;
			learn_build_map(builder, state.map, state.length, 0);
		}
	}
	dev_release(builder->session, layers);
	if (state.node == NN_NONE)
		return NN_NONE;
	if (places && rank_of(&state) > 1)
		return refuse(&state, n - 1, "leaves places or moments, and the head needs one vector",
					  "End with global_mean, global_max, last or flatten.");
	if (places && !state.joined)
		state.node = build_join(&state, n);
	return learn_build_dense(builder, state.node, "head", builder->network->n_outputs, NN_ROLE_HEAD);
}

/* ---- Taggers ---- */

bool
learn_layers_chain(DevSession *session, const LearnNetwork *network)
{
	LearnLayer *layers;
	bool		chain;
	bool		places;
	int			n;

	if (read_layers(session, network, &layers, &n, &places) != DEV_OK)
		return false;
	chain = layers[n - 1].kind == LEARN_LAYER_CRF;
	dev_release(session, layers);
	return chain;
}

NnNode
learn_build_tagging_layers(LearnBuilder *builder, NnNode tokens)
{
	LayerState	state = {.builder = builder, .node = tokens, .length = builder->built->lengths[0]};
	LearnLayer *layers;
	bool		places;
	int			n;
	int			n_built;

	if (read_layers(builder->session, builder->network, &layers, &n, &places) != DEV_OK)
		return NN_NONE;
	n_built = layers[n - 1].kind == LEARN_LAYER_CRF ? n - 1 : n;
	for (int i = 0; i < n_built && state.node != NN_NONE; i++)
		state.node = build_layer(&state, &layers[i], i);
	dev_release(builder->session, layers);
	if (state.node != NN_NONE &&
		(rank_of(&state) != 2 || nn_graph_shape(builder->graph, state.node)->dims[0] != builder->network->fields[0].dims[0]))
		return refuse(&state, n_built - 1, "leaves no place for every token",
					  "A tagger's text has no pools, strides and pad, and no global_mean, global_max, last, flatten and join.");
	return state.node;
}

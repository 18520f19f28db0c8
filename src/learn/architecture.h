/*
 * architecture.h: what the builders of networks share; private to src/learn.
 *
 * architecture_resolve.c says what a network may be and fills in what is open; architecture.c makes what all have in
 * common (inputs, the features node, the loss); architecture_words.c tells it to people; the other architecture_*.c make what
 * lies between features and heads, one family each.
 */
#ifndef IDLA_LEARN_ARCHITECTURE_H
#define IDLA_LEARN_ARCHITECTURE_H

#include "idla/learn_model.h"

/* A network under construction. */
typedef struct LearnBuilder
{
	DevSession *session;
	const LearnNetwork *network;
	NnGraph    *graph;
	NnNode		features;		/* (n_features), or NN_NONE */
	size_t		n_features;
	NnNode		embedded;		/* what the head multiplies; set where that is built */
	NnNode	   *encoded;		/* (network->n_fields): what an encoder made of each field, (width) */
	LearnGraph *built;			/* while there are fields: where encoders leave their maps */
	bool		nudged;			/* see LearnLoss */
} LearnBuilder;

/* Everything that is set must be in range; what is unset (zero, or negative for dropout and activation) passes. (architecture_resolve.c) */
extern DevStatus learn_network_check(DevSession *session, const LearnNetwork *network);
/* A stored network must say everything that resolving would have filled in. */
extern DevStatus learn_network_complete(DevSession *session, const LearnNetwork *network);

#define JOIN_WIDTH 64			/* of the layer that joins encoded fields and ordinary columns */

/* One made for fields: images, signals, series, texts. */
extern bool learn_is_deep(LearnArchitecture architecture);
/* How a network encodes a field. */
extern LearnArchitecture learn_field_encoder(const LearnNetwork *network, const LearnField *field);
/* An encoder's usual depth and width, whatever the network's own are. */
extern void learn_encoder_sizes(LearnArchitecture encoder, LearnNetwork *network);
/* From joined fields to heads, for architectures made for fields. */
extern NnNode learn_build_deep(LearnBuilder *builder);

/* The layer text's layers, from the one field or from joined columns to heads. (architecture_layers.c) */
extern NnNode learn_build_layers(LearnBuilder *builder, const LearnGraph *built);
/* A tagger's, from tokens (length, width) to what its head works on, as long. */
extern NnNode learn_build_tagging_layers(LearnBuilder *builder, NnNode tokens);
/* Does the text end in a CRF? The text has been parsed before. */
extern bool learn_layers_chain(DevSession *session, const LearnNetwork *network);
/* Does what the text makes of a sequence depend on how much padding there is? The text has been parsed before. */
extern bool learn_layers_see_padding(DevSession *session, const LearnNetwork *network);
/* Does the text begin at the field, so that the field has no encoder of its own? */
extern bool learn_layers_encode(DevSession *session, const LearnNetwork *network);

/* One direction of a recurrence over src (length, width). */
extern NnNode learn_build_recurrence(LearnBuilder *builder, NnNode src, NnNode length, const char *name, size_t hidden, bool lstm,
									 bool backward);
/* Encoders: of an image (height, width, depth), of a sequence (length, width) and its length, to one vector. */
extern NnNode learn_build_cnn(LearnBuilder *builder, NnNode src, const char *name, int field);
extern NnNode learn_build_resnet20(LearnBuilder *builder, NnNode src, const char *name, int field);
extern NnNode learn_build_fcn(LearnBuilder *builder, NnNode src, NnNode length, const char *name, int field);
extern NnNode learn_build_recurrent(LearnBuilder *builder, NnNode src, NnNode length, const char *name, bool lstm, bool both);
/* Encoder layers of attention over field `number`: (length, width') -> (length, the network's width). (architecture_transformer.c) */
extern NnNode learn_build_transformer(LearnBuilder *builder, NnNode src, int number, const char *name);
/* One of them, of any width and as many heads as divide it, without dropout where the rate is 0. */
extern NnNode learn_build_attention(LearnBuilder *builder, NnNode src, NnNode length, const char *name, size_t heads, float dropout);
/* Adds to a field's sequence where in it each place is. (architecture_position.c) */
extern NnNode learn_build_positions(LearnBuilder *builder, NnNode src, int number, const char *name, LearnPositions positions);
/* Layers of recurrence in both directions: (length, width) -> (length, 2 * the network's width). */
extern NnNode learn_build_both_ways(LearnBuilder *builder, NnNode src, NnNode length, const char *name, bool lstm);

#define LEARN_PIECE_DEVIATION 0.1f
/* A text's pieces embedded, (length, width), weights N(0, deviation^2). (architecture_text.c) */
extern NnNode learn_build_pieces(LearnBuilder *builder, LearnGraph *built, int number, size_t width, float deviation);
/* A text's pieces to one vector. */
extern NnNode learn_build_text(LearnBuilder *builder, LearnGraph *built, int number, LearnArchitecture encoder);
/* Emissions of a tagger, (length, n_outputs); what its tags are decoded with, and its loss. */
extern NnNode learn_build_tagger(LearnBuilder *builder, LearnGraph *built);
extern void learn_build_tags(LearnBuilder *builder, LearnGraph *built, const LearnLoss *loss);

/* The last map that convolutions make of a field (length: of a sequence, or NN_NONE), for explanations. The later call counts. */
extern void learn_build_map(LearnBuilder *builder, NnNode map, NnNode length, int field);
/* The mean over positions that ends the encoder of a field: its map. */
extern NnNode learn_build_mean(LearnBuilder *builder, NnNode src, NnNode length, int field);

/* A convolution that keeps the size but for its stride, "<name>.weights"; and one with batch norm and relu. */
extern NnNode learn_build_convolution(LearnBuilder *builder, NnNode src, const char *name, size_t kernel, size_t stride,
									  size_t width);
extern NnNode learn_build_convolution_block(LearnBuilder *builder, NnNode src, const char *name, size_t kernel,
											size_t stride, size_t width, bool rectified);

/* Inputs of the fields and their encoders: fills built->planes, ->lengths and ->maps, and builder->encoded. (architecture_field.c) */
extern DevStatus learn_build_fields(LearnBuilder *builder, LearnGraph *built);

/* From features to heads: (outputs) or (members, outputs). The LAYERS one fails for a bad text. */
extern NnNode learn_build_linear(LearnBuilder *builder);
extern NnNode learn_build_mlp(LearnBuilder *builder);
extern NnNode learn_build_resnet(LearnBuilder *builder);
extern NnNode learn_build_tabm(LearnBuilder *builder);
extern NnNode learn_build_nam(LearnBuilder *builder, NnNode *parts);

/*
 * What the layers above start from: the features, embedded as the network says, then the encoded fields, side by side
 * and flat.
 */
extern NnNode learn_build_joined(LearnBuilder *builder);

/* src W + b with names "<name>.weights" and "<name>.bias", both U(-1, 1) / sqrt(inputs). Of role NN_ROLE_HEAD it ends the network. */
extern NnNode learn_build_dense(LearnBuilder *builder, NnNode src, const char *name, size_t width, NnRole role);
/* The same with W and b of its own for each of the groups of src (groups, in). */
extern NnNode learn_build_grouped(LearnBuilder *builder, NnNode src, const char *name, size_t width, NnRole role);
extern NnNode learn_build_layer_norm(LearnBuilder *builder, NnNode src, const char *name);
extern NnNode learn_build_batch_norm(LearnBuilder *builder, NnNode src, const char *name);

/* Every column has its own say, and nothing mixes them. */
extern bool learn_is_additive(const LearnNetwork *network);
/* Width of code input `code` among the features, and whether it is embedded rather than one-hot. */
extern size_t learn_code_width(const LearnNetwork *network, size_t code, bool *embedded);
extern size_t learn_network_features(const LearnNetwork *network);
/* Members the heads have; 1 when the architecture has none. */
extern size_t learn_network_members(const LearnNetwork *network);
/* Multiplications and additions of one row's forward and backward pass, roughly. */
extern double learn_network_work(const NnGraph *graph, const LearnNetwork *network);

/*
 * Edges that rise strictly in each row, in place: equal neighbours are dropped and steps of one are added at the end.
 * Quantiles of a column with few values repeat, and a repeated edge would be a jump, through which no gradient flows.
 */
extern void learn_edges_rise(size_t n_rows, int bins, float *edges);

/*
 * The mean of the features node over rows whose numbers have these means and whose codes these shares: shares is one
 * array after another, (cardinality) each. weights are on the host.
 */
extern void learn_features_mean(const LearnNetwork *network, const LearnGraph *built, const float *weights,
								const double *number_means, const double *code_shares, float *mean);

/* ---- Layer text (layer_text.c) ---- */

typedef enum LearnLayerKind
{
	LEARN_LAYER_DENSE,			/* (width) */
	LEARN_LAYER_ACTIVATION,
	LEARN_LAYER_DROPOUT,		/* (rate) */
	LEARN_LAYER_LAYER_NORM,
	LEARN_LAYER_BATCH_NORM,
	LEARN_LAYER_GROUP_NORM,		/* (groups) */
	LEARN_LAYER_CONVOLUTION,	/* (width, kernel, stride): kernel 3 and stride 1 when not said */
	LEARN_LAYER_MAX_POOL,		/* (size): of its window and step */
	LEARN_LAYER_AVERAGE_POOL,
	LEARN_LAYER_GLOBAL_MEAN,	/* over all places; of a sequence, those that are there */
	LEARN_LAYER_GLOBAL_MAX,
	LEARN_LAYER_LAST,			/* of a sequence */
	LEARN_LAYER_FLATTEN,
	LEARN_LAYER_LSTM,			/* (width) */
	LEARN_LAYER_GRU,
	LEARN_LAYER_BILSTM,
	LEARN_LAYER_BIGRU,
	LEARN_LAYER_PAD,			/* (size): zeros on all sides */
	LEARN_LAYER_MIRROR,			/* of an image: beside each place the one on the other side */
	LEARN_LAYER_ATTENTION,		/* (heads) */
	LEARN_LAYER_SINUSOID,		/* the positions of a Transformer, see LearnPositions */
	LEARN_LAYER_LEARNED_POSITIONS,
	LEARN_LAYER_TIME_POSITIONS,
	LEARN_LAYER_CRF,			/* ends a tagger's text, or nothing does */
	LEARN_LAYER_JOIN			/* the ordinary columns come in here */
} LearnLayerKind;

#define LEARN_LAYER_ARGUMENTS 3

typedef struct LearnLayer
{
	LearnLayerKind kind;
	DevMap		activation;
	int			n_arguments;	/* written; the others have their defaults */
	double		arguments[LEARN_LAYER_ARGUMENTS];
} LearnLayer;

/* Whether a layer works on places of an image or moments of a sequence: a text with one begins at the field itself. */
extern bool learn_layer_has_places(LearnLayerKind kind);
/* Whether what it makes of a sequence depends on how much padding follows, in answers or in the number of weights. */
extern bool learn_layer_sees_padding(const LearnLayer *layer);
/* *layers is in the session's memory; release it. DEV_INVALID says the position, the word and the nearest valid one. */
extern DevStatus learn_layers_parse(DevSession *session, const char *text, LearnLayer **layers, int *n_layers);

/* Bounds that the user's wishes and stored networks are held to. */
#define LEARN_MAX_WIDTH 16384
#define LEARN_MAX_DEPTH 64
#define LEARN_MAX_MEMBERS 512
#define LEARN_MAX_BINS 1024
#define LEARN_MAX_LAYERS 256
#define LEARN_MAX_OUTPUTS 65536
#define LEARN_MAX_CARDINALITY (1 << 24)

#endif							/* IDLA_LEARN_ARCHITECTURE_H */

/*
 * architecture.h: what the builders of networks share; private to src/learn.
 *
 * architecture.c makes what all have in common (inputs, the features node, the
 * loss); architecture_*.c make what lies between features and heads, one
 * family each.
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
	NnNode	   *encoded;		/* (network->n_fields): what an encoder made of each field, (width) */
} LearnBuilder;

#define JOIN_WIDTH 64			/* of the layer that joins encoded fields and ordinary columns */

/* One made for fields: images, signals, series, texts. */
extern bool learn_is_deep(LearnArchitecture architecture);
/* How a network encodes a field. */
extern LearnArchitecture learn_field_encoder(const LearnNetwork *network, const LearnField *field);
/* From joined fields to heads, for architectures made for fields. */
extern NnNode learn_build_deep(LearnBuilder *builder);

/* Encoders: of an image (height, width, depth), of a sequence (length, width) and its length, to one vector. */
extern NnNode learn_build_cnn(LearnBuilder *builder, NnNode src, const char *name);
extern NnNode learn_build_resnet20(LearnBuilder *builder, NnNode src, const char *name);
extern NnNode learn_build_fcn(LearnBuilder *builder, NnNode src, NnNode length, const char *name);
extern NnNode learn_build_recurrent(LearnBuilder *builder, NnNode src, NnNode length, const char *name, bool lstm, bool both);
/* Layers of recurrence in both directions: (length, width) -> (length, 2 * the network's width). */
extern NnNode learn_build_both_ways(LearnBuilder *builder, NnNode src, NnNode length, const char *name, bool lstm);

/* Of a text's pieces to one vector; emissions of a tagger, (length, n_outputs); its CRF's parameters and its loss. (architecture_text.c) */
extern NnNode learn_build_text(LearnBuilder *builder, LearnGraph *built, int number, LearnArchitecture encoder);
extern NnNode learn_build_tagger(LearnBuilder *builder, LearnGraph *built);
extern void learn_build_crf(LearnBuilder *builder, LearnGraph *built, bool loss);

/* A convolution that keeps the size but for its stride, "<name>.weights"; and one with batch norm and relu. */
extern NnNode learn_build_convolution(LearnBuilder *builder, NnNode src, const char *name, size_t kernel, size_t stride,
									  size_t width);
extern NnNode learn_build_convolution_block(LearnBuilder *builder, NnNode src, const char *name, size_t kernel,
											size_t stride, size_t width, bool rectified);

/* Inputs of the fields and their encoders: fills built->planes and ->lengths, and builder->encoded. (architecture_field.c) */
extern DevStatus learn_build_fields(LearnBuilder *builder, LearnGraph *built);

/* From features to heads: (outputs) or (members, outputs). The LAYERS one fails for a bad text. */
extern NnNode learn_build_linear(LearnBuilder *builder);
extern NnNode learn_build_mlp(LearnBuilder *builder);
extern NnNode learn_build_resnet(LearnBuilder *builder);
extern NnNode learn_build_layers(LearnBuilder *builder);
extern NnNode learn_build_tabm(LearnBuilder *builder);
extern NnNode learn_build_nam(LearnBuilder *builder, NnNode *parts);

/*
 * What the layers above start from: the features, embedded as the network says, then the encoded fields, side by side
 * and flat.
 */
extern NnNode learn_build_joined(LearnBuilder *builder);

/* src W + b with names "<name>.weights" and "<name>.bias", both U(-1, 1) / sqrt(inputs). */
extern NnNode learn_build_dense(LearnBuilder *builder, NnNode src, const char *name, size_t width, NnRole role);
/* The same with W and b of its own for each of the groups of src (groups, in). */
extern NnNode learn_build_grouped(LearnBuilder *builder, NnNode src, const char *name, size_t width, NnRole role);
extern NnNode learn_build_layer_norm(LearnBuilder *builder, NnNode src, const char *name);
extern NnNode learn_build_batch_norm(LearnBuilder *builder, NnNode src, const char *name);

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
	LEARN_LAYER_DENSE,
	LEARN_LAYER_ACTIVATION,
	LEARN_LAYER_DROPOUT,
	LEARN_LAYER_LAYER_NORM,
	LEARN_LAYER_BATCH_NORM
} LearnLayerKind;

typedef struct LearnLayer
{
	LearnLayerKind kind;
	size_t		width;			/* dense */
	DevMap		activation;
	float		rate;			/* dropout */
} LearnLayer;

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

/*
 * architecture_text.c: encoders of texts, from the numbers of their pieces to one vector, and the network of a tagger.
 *
 * bag: the mean of the pieces' embeddings, each piece weighed by a number of its own, which starts at the log of its inverse
 * document frequency (so that the first mean is weighed by tf-idf) and is learned on; and the maximum beside it.
 * cnn: convolutions over three, four and five pieces and their maxima (Kim 2014).
 * bilstm_crf: words, their characters, shapes and affixes side by side, recurrence in both directions, a CRF over the tags
 * (Huang et al. 2015; Ma and Hovy 2016), or the cross entropy of every token by itself. A Transformer in place of the recurrence hears
 * its neighbours first: attention knows of order only what positions say, too little to find the word before in some thousand
 * sentences (Yan et al. 2019).
 */
#include "architecture.h"

#include "idla/learn_data.h"
#include "idla/learn_tags.h"

#include "field.h"

#include <math.h>
#include <stdio.h>

#define WORD_WIDTH 96			/* of a tagger's embeddings */
#define SHAPE_WIDTH 10
#define AFFIX_WIDTH 24
#define CHARACTER_WIDTH 32
#define CHARACTER_FILTERS 56
#define ATTENTION_DROPOUT 0.4f	/* of a tagger's dropout, inside its Transformer: words are dropped already */

static NnParameter
table(LearnBuilder *builder, const char *name, const char *part, size_t rows, size_t width, NnInit init, float a,
	  const float *given)
{
	NnShape		shape = nn_shape(2, rows, width, 0, 0);
	char		full[96];

	snprintf(full, sizeof(full), "%s.%s", name, part);
	return nn_parameter(builder->graph, full, &shape, NN_ROLE_TABLE, init, a, given);
}

/* ---- Texts as a whole ---- */

static NnNode
build_bag(LearnBuilder *builder, const LearnField *field, NnNode codes, NnNode embedded, NnNode length, const char *name)
{
	NnGraph    *graph = builder->graph;
	NnParameter weights = table(builder, name, "weights", learn_vocabulary_size(field->vocabulary), 1,
								field->piece_weights != NULL ? NN_INIT_GIVEN : NN_INIT_ZERO, 0, field->piece_weights);
	NnNode		parts[2];

	parts[0] = nn_attention_pool(graph, embedded, nn_token_embedding(graph, codes, weights, length), length);
	parts[1] = nn_global_max(graph, embedded, length);
	return nn_concat(graph, parts, 2);
}

static NnNode
build_text_cnn(LearnBuilder *builder, NnNode src, NnNode length, const char *name)
{
	size_t		width = (size_t) builder->network->width;
	NnShape		bias = nn_shape(1, width, 0, 0, 0);
	NnNode		parts[3];
	char		part[64];

	for (int i = 0; i < 3; i++)
	{
		NnNode		node;

		snprintf(part, sizeof(part), "%s.window%d", name, i + 3);
		node = learn_build_convolution(builder, src, part, (size_t) i + 3, 1, width);
		snprintf(part, sizeof(part), "%s.window%d.bias", name, i + 3);
		node = nn_bias(builder->graph, node, nn_parameter(builder->graph, part, &bias, NN_ROLE_VECTOR, NN_INIT_ZERO, 0, NULL));
		parts[i] = nn_global_max(builder->graph, nn_activation(builder->graph, node, DEV_MAP_RELU), length);
	}
	return nn_concat(builder->graph, parts, 3);
}

NnNode
learn_build_pieces(LearnBuilder *builder, LearnGraph *built, int number, size_t width, float deviation)
{
	const LearnField *field = &builder->network->fields[number];
	char		name[32];

	snprintf(name, sizeof(name), "field%d", number);
	built->starts[number][0] = nn_token_embedding(builder->graph, built->planes[number][0],
												  table(builder, name, "pieces", learn_vocabulary_size(field->vocabulary), width,
														NN_INIT_NORMAL, deviation, NULL), built->lengths[number]);
	if (builder->nudged)
	{
		NnShape		shape = nn_shape(2, field->dims[0], width, 0, 0);

		snprintf(name, sizeof(name), "field%d.nudge", number);
		built->nudges[number] = nn_input(builder->graph, name, &shape);
		return nn_add(builder->graph, built->starts[number][0], built->nudges[number]);
	}
	return built->starts[number][0];
}

NnNode
learn_build_text(LearnBuilder *builder, LearnGraph *built, int number, LearnArchitecture encoder)
{
	const LearnNetwork *network = builder->network;
	const LearnField *field = &network->fields[number];
	NnNode		codes = built->planes[number][0];
	NnNode		length = built->lengths[number];
	/* Positions are added to a Transformer's pieces, which must be heard beside them. */
	float		deviation = encoder == LEARN_TRANSFORMER ? 1.0f : LEARN_PIECE_DEVIATION;
	NnNode		node;
	char		name[32];

	snprintf(name, sizeof(name), "field%d", number);
	node = learn_build_pieces(builder, built, number, (size_t) network->width, deviation);
	if (encoder == LEARN_BAG)
		return build_bag(builder, field, codes, node, length, name);
	if (network->dropout > 0)
		node = nn_dropout(builder->graph, node, network->dropout);
	if (encoder == LEARN_LSTM || encoder == LEARN_GRU)
		return learn_build_recurrent(builder, node, length, name, encoder == LEARN_LSTM, true);
	if (encoder == LEARN_CNN)
		return build_text_cnn(builder, node, length, name);
	if (encoder == LEARN_TRANSFORMER)
		return nn_masked_mean(builder->graph, learn_build_transformer(builder, node, number, name), length);
	return learn_build_fcn(builder, node, length, name, number);
}

/* ---- Taggers ---- */

/* Embeddings as Ma and Hovy start them: uniform, of variance 1 / width. */
static NnNode
embed(LearnBuilder *builder, NnNode codes, const char *part, size_t rows, size_t width, NnNode length)
{
	return nn_token_embedding(builder->graph, codes,
							  table(builder, "tokens", part, rows, width, NN_INIT_UNIFORM, sqrtf(3.0f / (float) width), NULL), length);
}

static NnNode
drop(LearnBuilder *builder, NnNode node, float rate)
{
	return rate > 0 ? nn_dropout(builder->graph, node, rate) : node;
}

/* Of every word the maxima of convolutions over its characters: (length, CHARACTER_FILTERS). */
static NnNode
build_characters(LearnBuilder *builder, const LearnField *field, NnNode codes)
{
	NnGraph    *graph = builder->graph;
	size_t		n = field->characters;
	NnShape		letters = nn_shape(3, field->dims[0], n, CHARACTER_WIDTH, 0);
	NnShape		flat = nn_shape(2, field->dims[0], CHARACTER_FILTERS, 0, 0);
	NnShape		kernel = nn_shape(4, 1, 3, CHARACTER_WIDTH, CHARACTER_FILTERS);
	NnShape		bias = nn_shape(1, CHARACTER_FILTERS, 0, 0, 0);
	NnWindow	slide = {.kernel = {1, 3},.before = {0, 1},.after = {0, 1}};
	NnWindow	word = {.kernel = {1, n},.stride = {1, n}};
	NnNode		node = embed(builder, codes, "characters", learn_lexicon_size(field->lexicon, LEARN_TABLE_CHARACTERS),
							 CHARACTER_WIDTH, NN_NONE);

	node = drop(builder, nn_reshape(graph, node, &letters), builder->network->dropout / 2);
	node = nn_convolution(graph, node, nn_parameter(graph, "tokens.spelling.weights", &kernel, NN_ROLE_MATRIX, NN_INIT_NORMAL,
													sqrtf(1.0f / (3 * CHARACTER_WIDTH)), NULL), &slide);
	node = nn_bias(graph, node, nn_parameter(graph, "tokens.spelling.bias", &bias, NN_ROLE_VECTOR, NN_INIT_ZERO, 0, NULL));
	return nn_reshape(graph, nn_max_pool(graph, node, &word), &flat);
}

static NnNode
build_tokens(LearnBuilder *builder, LearnGraph *built)
{
	const LearnField *field = &builder->network->fields[0];
	const NnNode *planes = built->planes[0];
	NnNode		length = built->lengths[0];
	NnShape		affixes = nn_shape(2, field->dims[0], LEARN_AFFIXES * AFFIX_WIDTH, 0, 0);
	NnNode		parts[4];

	parts[0] = embed(builder, planes[0], "words", learn_lexicon_size(field->lexicon, LEARN_TABLE_WORDS), WORD_WIDTH, length);
	parts[1] = embed(builder, planes[1], "shapes", LEARN_SHAPES, SHAPE_WIDTH, length);
	parts[2] = nn_reshape(builder->graph, embed(builder, planes[2], "affixes", learn_affix_rows(field), AFFIX_WIDTH, NN_NONE),
						  &affixes);
	parts[3] = build_characters(builder, field, planes[3]);
	/* Explanations tell tokens apart, not their features. */
	built->starts[0][0] = nn_concat(builder->graph, parts, 4);
	return built->starts[0][0];
}

/*
 * Each token with its two neighbours, normalised: embeddings are small and would drown in the positions that are added. Padding is nothing to
 * the last token.
 */
static NnNode
build_neighbours(LearnBuilder *builder, NnNode src, NnNode length)
{
	NnGraph    *graph = builder->graph;
	size_t		width = (size_t) builder->network->width;
	NnShape		bias = nn_shape(1, width, 0, 0, 0);
	NnNode		node = learn_build_convolution(builder, nn_mask(graph, src, length), "tagger.near", 3, 1, width);

	node = nn_bias(graph, node, nn_parameter(graph, "tagger.near.bias", &bias, NN_ROLE_VECTOR, NN_INIT_ZERO, 0, NULL));
	return learn_build_layer_norm(builder, node, "tagger.near.norm");
}

static NnNode
build_attentive(LearnBuilder *builder, NnNode src, NnNode length)
{
	const LearnNetwork *network = builder->network;
	LearnNetwork inner = *network;
	NnNode		node = build_neighbours(builder, src, length);

	inner.dropout *= ATTENTION_DROPOUT;
	builder->network = &inner;
	node = learn_build_transformer(builder, node, 0, "tagger");
	builder->network = network;
	return node;
}

NnNode
learn_build_tagger(LearnBuilder *builder, LearnGraph *built)
{
	const LearnNetwork *network = builder->network;
	NnNode		length = built->lengths[0];
	NnNode		node = drop(builder, build_tokens(builder, built), network->dropout);

	if (network->architecture == LEARN_LAYERS)
	{
		node = learn_build_tagging_layers(builder, node);
		return learn_build_dense(builder, node, "head", network->n_outputs, NN_ROLE_HEAD);
	}
	if (network->architecture == LEARN_TRANSFORMER)
		node = build_attentive(builder, node, length);
	else
		node = learn_build_both_ways(builder, node, length, "tagger", network->architecture != LEARN_GRU);
	node = drop(builder, node, network->dropout);
	return learn_build_dense(builder, node, "head", network->n_outputs, NN_ROLE_HEAD);
}

/*
 * What follows what is a parameter with or without a loss: decoding wants it. Where every token stands alone it is a constant, nothing, so
 * that tags are decoded by the same road, which knows what the scheme forbids.
 */
void
learn_build_tags(LearnBuilder *builder, LearnGraph *built, const LearnLoss *loss)
{
	static const char *const names[] = {"crf.transitions", "crf.start", "crf.end"};
	bool		alone = builder->network->tags_alone;
	size_t		n = builder->network->n_outputs;
	NnShape		square = nn_shape(2, n, n, 0, 0);
	NnShape		line = nn_shape(1, n, 0, 0, 0);
	NnNode		actual = built->planes[0][4];
	NnNode		length = built->lengths[0];

	for (int i = 0; i < 3; i++)
		built->crf[i] = nn_parameter(builder->graph, names[i], i == 0 ? &square : &line, alone ? NN_ROLE_CONSTANT : NN_ROLE_VECTOR,
									 NN_INIT_ZERO, 0, NULL);
	if (alone)
		built->shares = nn_softmax(builder->graph, built->heads);
	if (loss != NULL)
		built->loss = alone ? nn_token_cross_entropy(builder->graph, built->heads, actual, length, NULL, loss->smoothing) :
			nn_crf(builder->graph, built->heads, actual, length, built->crf[0], built->crf[1], built->crf[2]);
}

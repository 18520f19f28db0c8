/*
 * architecture_words.c: a network as a line of the model's card.
 */
#include "architecture.h"
#include "names.h"

#include <stdio.h>
#include <string.h>

static void
write_embedding(const LearnNetwork *network, char *text, size_t size)
{
	if (network->embedding == LEARN_EMBEDDING_PIECEWISE)
		snprintf(text, size, ", piecewise-linear numbers (%d bins)", network->bins);
	else if (network->embedding == LEARN_EMBEDDING_PERIODIC)
		snprintf(text, size, ", periodic numbers (%d frequencies)", network->bins);
	else
		text[0] = '\0';
}

/* What a Transformer's places are told by, where it is not the usual. */
static const char *
positions_in_words(const LearnNetwork *network)
{
	switch (network->positions)
	{
		case LEARN_POSITIONS_LEARNED:
			return ", learned positions";
		case LEARN_POSITIONS_TIME:
			return ", positions by time";
		case LEARN_POSITIONS_NONE:
			return ", no positions";
		case LEARN_POSITIONS_AUTO:
		case LEARN_POSITIONS_SINUSOID:
			break;
	}
	return "";
}

static const char *
tags_in_words(const LearnNetwork *network)
{
	if (network->task != LEARN_TAGGING)
		return "";
	return network->tags_alone ? "; words, characters, affixes; every token by itself" : "; words, characters, affixes; CRF";
}

char *
learn_network_words(DevSession *session, const LearnNetwork *network)
{
	const char *name = learn_architecture_names[network->architecture];
	const char *layers = network->depth == 1 ? "layer" : "layers";
	size_t		length = network->layers == NULL ? 0 : strlen(network->layers);
	char	   *text = dev_alloc(session, length + 256, 1);
	char		embedding[96];

	if (text == NULL)
		return NULL;
	write_embedding(network, embedding, sizeof(embedding));
	switch (network->architecture)
	{
		case LEARN_AUTO:
			snprintf(text, 256, "auto: chosen by the number of rows");
			break;
		case LEARN_LINEAR:
			snprintf(text, 256, "linear: one weight for each feature");
			break;
		case LEARN_MLP:
			snprintf(text, 256, "%s: %d %s of %d, %s%s", name, network->depth, layers, network->width,
					 learn_activation_name(network->activation), embedding);
			break;
		case LEARN_RESNET:
			snprintf(text, 256, "%s: %d residual blocks of %d, %s%s", name, network->depth, network->width,
					 learn_activation_name(network->activation), embedding);
			break;
		case LEARN_TABM:
			snprintf(text, 256, "%s: %d members of %d x %d, %s%s", name, network->members, network->depth,
					 network->width, learn_activation_name(network->activation), embedding);
			break;
		case LEARN_NAM:
			snprintf(text, 256, "%s: for each feature a net of %d x %d, %s, added up", name, network->depth,
					 network->width, learn_activation_name(network->activation));
			break;
		case LEARN_CNN:
			if (network->n_fields > 0 && network->fields[0].kind == LEARN_TEXT)
				snprintf(text, 256, "%s: convolutions over 3, 4 and 5 pieces, %d channels each", name, network->width);
			else
				snprintf(text, 256, "%s: %d blocks of 2 convolutions, %d channels and up", name, network->depth, network->width);
			break;
		case LEARN_RESNET20:
			snprintf(text, 256, "%s: 3 stages of %d residual blocks, %d to %d channels", name, network->depth, network->width,
					 4 * network->width);
			break;
		case LEARN_FCN:
			snprintf(text, 256, "%s: %d convolutions over time, %d channels", name, network->depth, network->width);
			break;
		case LEARN_LSTM:
		case LEARN_GRU:
			snprintf(text, 256, "%s: %d %s of %d units%s", name, network->depth, layers, network->width, tags_in_words(network));
			break;
		case LEARN_ROCKET:
			snprintf(text, 256, "%s: %d features of fixed convolutions, one weight for each", name, network->width);
			break;
		case LEARN_TRANSFORMER:
			snprintf(text, 256, "%s: %d %s of width %d%s%s", name, network->depth, layers, network->width,
					 positions_in_words(network), tags_in_words(network));
			break;
		case LEARN_BAG:
			snprintf(text, 256, "%s: weighted mean and maximum of pieces, %d wide", name, network->width);
			break;
		case LEARN_BILSTM_CRF:
			snprintf(text, 256, "%s: words, characters, affixes; %d %s of %d units each way; %s", name, network->depth,
					 layers, network->width, network->tags_alone ? "every token by itself" : "CRF");
			break;
		case LEARN_LAYERS:
			snprintf(text, length + 256, "%s: %s%s", name, network->layers, embedding);
			break;
	}
	return text;
}

/*
 * layer_text.c: the compact language of layers.
 *
 *     dense(128) relu dropout(0.1) layer_norm dense(64) relu
 *     conv(32) batch_norm relu max_pool(2) conv(64, 3) batch_norm relu global_mean join dense(64) relu
 *
 * Words stand between blanks or commas; some take numbers in
 * parentheses. The output layer is not written: it follows from the task.
 */
#include "architecture.h"
#include "names.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_NUMBER 31

#define WHOLE "a whole number from 1 to 16384 in parentheses"
#define SIZE "a whole number from 1 to 64 in parentheses"

_Static_assert(LEARN_MAX_WIDTH == 16384, "the messages say so");

/* A layer's word and the numbers it takes: at least `least` of at most `most`. */
typedef struct Word
{
	const char *name;
	LearnLayerKind kind;
	int			least;
	int			most;
	double		high[LEARN_LAYER_ARGUMENTS];	/* whole numbers from 1 on; of a rate: less than 1, from 0 on */
	const char *wanted;
	const char *example;
} Word;

static const Word layer_table[] = {
	{"dense", LEARN_LAYER_DENSE, 1, 1, {LEARN_MAX_WIDTH}, WHOLE, "dense(128)"},
	{"dropout", LEARN_LAYER_DROPOUT, 1, 1, {0}, "a number of at least 0 and less than 1 in parentheses", "dropout(0.1)"},
	{"layer_norm", LEARN_LAYER_LAYER_NORM, 0, 0, {0}, NULL, NULL},
	{"batch_norm", LEARN_LAYER_BATCH_NORM, 0, 0, {0}, NULL, NULL},
	{"group_norm", LEARN_LAYER_GROUP_NORM, 1, 1, {LEARN_MAX_WIDTH}, WHOLE, "group_norm(8)"},
	{"conv", LEARN_LAYER_CONVOLUTION, 1, 3, {LEARN_MAX_WIDTH, 64, 64},
	"its channels, and if need be kernel and stride, in parentheses", "conv(32), conv(32, 5) or conv(32, 3, 2)"},
	{"max_pool", LEARN_LAYER_MAX_POOL, 1, 1, {64}, SIZE, "max_pool(2)"},
	{"average_pool", LEARN_LAYER_AVERAGE_POOL, 1, 1, {64}, SIZE, "average_pool(2)"},
	{"global_mean", LEARN_LAYER_GLOBAL_MEAN, 0, 0, {0}, NULL, NULL},
	{"global_max", LEARN_LAYER_GLOBAL_MAX, 0, 0, {0}, NULL, NULL},
	{"last", LEARN_LAYER_LAST, 0, 0, {0}, NULL, NULL},
	{"flatten", LEARN_LAYER_FLATTEN, 0, 0, {0}, NULL, NULL},
	{"lstm", LEARN_LAYER_LSTM, 1, 1, {LEARN_MAX_WIDTH}, WHOLE, "lstm(64)"},
	{"gru", LEARN_LAYER_GRU, 1, 1, {LEARN_MAX_WIDTH}, WHOLE, "gru(64)"},
	{"bilstm", LEARN_LAYER_BILSTM, 1, 1, {LEARN_MAX_WIDTH}, WHOLE, "bilstm(64)"},
	{"bigru", LEARN_LAYER_BIGRU, 1, 1, {LEARN_MAX_WIDTH}, WHOLE, "bigru(64)"},
	{"pad", LEARN_LAYER_PAD, 1, 1, {64}, SIZE, "pad(2)"},
	{"mirror", LEARN_LAYER_MIRROR, 0, 0, {0}, NULL, NULL},
	{"attention", LEARN_LAYER_ATTENTION, 1, 1, {64}, SIZE, "attention(4)"},
	{"sinusoid", LEARN_LAYER_SINUSOID, 0, 0, {0}, NULL, NULL},
	{"learned_positions", LEARN_LAYER_LEARNED_POSITIONS, 0, 0, {0}, NULL, NULL},
	{"time_positions", LEARN_LAYER_TIME_POSITIONS, 0, 0, {0}, NULL, NULL},
	{"crf", LEARN_LAYER_CRF, 0, 0, {0}, NULL, NULL},
	{"join", LEARN_LAYER_JOIN, 0, 0, {0}, NULL, NULL}
};

#define N_WORDS ((int) (sizeof(layer_table) / sizeof(layer_table[0])))
#define MOST_NAMES (N_WORDS + 16)

bool
learn_layer_has_places(LearnLayerKind kind)
{
	switch (kind)
	{
		case LEARN_LAYER_CONVOLUTION:
		case LEARN_LAYER_MAX_POOL:
		case LEARN_LAYER_AVERAGE_POOL:
		case LEARN_LAYER_GLOBAL_MEAN:
		case LEARN_LAYER_GLOBAL_MAX:
		case LEARN_LAYER_LAST:
		case LEARN_LAYER_FLATTEN:
		case LEARN_LAYER_LSTM:
		case LEARN_LAYER_GRU:
		case LEARN_LAYER_BILSTM:
		case LEARN_LAYER_BIGRU:
		case LEARN_LAYER_PAD:
		case LEARN_LAYER_MIRROR:
		case LEARN_LAYER_ATTENTION:
		case LEARN_LAYER_SINUSOID:
		case LEARN_LAYER_LEARNED_POSITIONS:
		case LEARN_LAYER_TIME_POSITIONS:
		case LEARN_LAYER_CRF:
		case LEARN_LAYER_JOIN:
			return true;
		default:
			return false;
	}
}

bool
learn_layer_sees_padding(const LearnLayer *layer)
{
	switch (layer->kind)
	{
		case LEARN_LAYER_CONVOLUTION:
			return layer->n_arguments > 2 && layer->arguments[2] > 1;
		case LEARN_LAYER_GROUP_NORM:
		case LEARN_LAYER_MAX_POOL:
		case LEARN_LAYER_AVERAGE_POOL:
		case LEARN_LAYER_FLATTEN:
		case LEARN_LAYER_PAD:
			return true;
		default:
			return false;
	}
}

/* All words that may stand in a text, activations last; ends with NULL. */
static const char *const *
all_words(const char *names[MOST_NAMES])
{
	int			n = 0;

	for (int i = 0; i < N_WORDS; i++)
		names[n++] = layer_table[i].name;
	for (int i = 0; learn_activation_names[i] != NULL && n < MOST_NAMES - 1; i++)
		names[n++] = learn_activation_names[i];
	names[n] = NULL;
	return names;
}

typedef struct Reader
{
	DevSession *session;
	const char *text;
	const char *at;
} Reader;

static int
position(const Reader *reader, const char *at)
{
	return (int) (at - reader->text) + 1;
}

static void
skip_blanks(Reader *reader)
{
	while (isspace((unsigned char) *reader->at))
		reader->at++;
}

static bool
in_word(char c)
{
	return isalnum((unsigned char) c) || c == '_';
}

/* What stands where a word should, up to the next blank: for messages. */
static int
visible(const char *at)
{
	int			n = 0;

	while (at[n] != '\0' && !isspace((unsigned char) at[n]) && n < 40)
		n++;
	return n;
}

static DevStatus
unknown_word(Reader *reader, const char *word, size_t size)
{
	const char *names[MOST_NAMES];
	const char *nearest = learn_name_nearest(all_words(names), word, size);
	char		list[500];

	dev_fail(reader->session, DEV_INVALID, "unknown layer \"%.*s\" at position %d of the layer text",
			 (int) (size < 40 ? size : 40), word, position(reader, word));
	if (nearest != NULL)
		dev_hint(reader->session, "Perhaps you meant \"%s\". A layer is %s.", nearest,
				 learn_name_list(names, list, sizeof(list)));
	else
		dev_hint(reader->session, "A layer is %s.", learn_name_list(names, list, sizeof(list)));
	return DEV_INVALID;
}

static DevStatus
bad_argument(Reader *reader, const char *at, const char *word, const char *wanted, const char *example)
{
	dev_fail(reader->session, DEV_INVALID, "layer \"%s\" needs %s at position %d of the layer text",
			 word, wanted, position(reader, at));
	dev_hint(reader->session, "Write it as %s.", example);
	return DEV_INVALID;
}

/* A number. It is copied first: strtod must not see more of the text than is meant. */
static bool
read_number(Reader *reader, double *value)
{
	char		number[LONGEST_NUMBER + 1];
	char	   *end;
	size_t		n = 0;

	skip_blanks(reader);
	while (n < LONGEST_NUMBER && (isdigit((unsigned char) *reader->at) || *reader->at == '.'))
		number[n++] = *reader->at++;
	number[n] = '\0';
	skip_blanks(reader);
	*value = strtod(number, &end);
	return n > 0 && *end == '\0';
}

static bool
fits(const Word *word, int argument, double value)
{
	if (word->kind == LEARN_LAYER_DROPOUT)
		return value >= 0 && value < 1;
	return value >= 1 && value <= word->high[argument] && value == floor(value);
}

/* "(number, number)" after a word. */
static DevStatus
read_arguments(Reader *reader, const Word *word, LearnLayer *layer)
{
	const char *open;

	if (word->most == 0)
		return DEV_OK;
	skip_blanks(reader);
	open = reader->at;
	if (*reader->at != '(')
		return bad_argument(reader, open, word->name, word->wanted, word->example);
	do
	{
		double		value;

		reader->at++;
		if (layer->n_arguments == word->most || !read_number(reader, &value) || !fits(word, layer->n_arguments, value))
			return bad_argument(reader, open, word->name, word->wanted, word->example);
		layer->arguments[layer->n_arguments++] = value;
	} while (*reader->at == ',');
	if (*reader->at != ')' || layer->n_arguments < word->least)
		return bad_argument(reader, open, word->name, word->wanted, word->example);
	reader->at++;
	return DEV_OK;
}

static bool
is_word(const char *word, size_t size, const char *name)
{
	return strlen(name) == size && strncmp(word, name, size) == 0;
}

static DevStatus
read_layer(Reader *reader, LearnLayer *layer)
{
	const char *word = reader->at;
	size_t		size;

	while (in_word(*reader->at))
		reader->at++;
	size = (size_t) (reader->at - word);
	if (size == 0)
		return unknown_word(reader, word, (size_t) visible(word));
	for (int i = 0; i < N_WORDS; i++)
	{
		if (!is_word(word, size, layer_table[i].name))
			continue;
		layer->kind = layer_table[i].kind;
		return read_arguments(reader, &layer_table[i], layer);
	}
	for (int i = 0; learn_activation_names[i] != NULL; i++)
	{
		if (is_word(word, size, learn_activation_names[i]))
		{
			layer->kind = LEARN_LAYER_ACTIVATION;
			layer->activation = (DevMap) learn_activation_map(i);
			return DEV_OK;
		}
	}
	return unknown_word(reader, word, size);
}

/* After a layer there is a blank, a comma or the end: "relu(3)" and "relurelu" are mistakes, not two layers. */
static DevStatus
read_separator(Reader *reader)
{
	const char *at = reader->at;

	skip_blanks(reader);
	if (*reader->at == ',')
	{
		reader->at++;
		skip_blanks(reader);
		if (*reader->at != '\0' && *reader->at != ',')
			return DEV_OK;
	}
	else if (*reader->at == '\0' || (reader->at > at && *reader->at != '('))
		return DEV_OK;
	return dev_fail(reader->session, DEV_INVALID, "unexpected \"%.*s\" at position %d of the layer text",
					visible(reader->at), reader->at, position(reader, reader->at));
}

DevStatus
learn_layers_parse(DevSession *session, const char *text, LearnLayer **layers, int *n_layers)
{
	Reader		reader = {session, text, text};
	LearnLayer *found = dev_alloc(session, LEARN_MAX_LAYERS, sizeof(LearnLayer));
	DevStatus	status = DEV_OK;
	int			n = 0;

	*layers = NULL;
	*n_layers = 0;
	if (found == NULL)
		return DEV_NO_MEMORY;
	skip_blanks(&reader);
	if (*reader.at == '\0')
	{
		status = dev_fail(session, DEV_INVALID, "the layer text is empty");
		dev_hint(session, "Write for example \"dense(128) relu dropout(0.1) dense(64) relu\".");
	}
	while (status == DEV_OK && *reader.at != '\0')
	{
		if (n == LEARN_MAX_LAYERS)
			status = dev_fail(session, DEV_INVALID, "the layer text has more than %d layers", LEARN_MAX_LAYERS);
		else
			status = read_layer(&reader, &found[n]);
		if (status == DEV_OK)
		{
			n++;
			status = read_separator(&reader);
		}
	}
	if (status != DEV_OK)
	{
		dev_release(session, found);
		return status;
	}
	*layers = found;
	*n_layers = n;
	return DEV_OK;
}

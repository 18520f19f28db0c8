/*
 * layer_text.c: the compact language of layers.
 *
 *     dense(128) relu dropout(0.1) layer_norm dense(64) relu
 *
 * Words stand between blanks or commas; dense and dropout take one number in
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

static const char *const layer_words[] = {
	"dense", "dropout", "layer_norm", "batch_norm",
	"relu", "gelu", "silu", "mish", "selu", "tanh", "sigmoid", NULL
};

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
	const char *nearest = learn_name_nearest(layer_words, word, size);
	char		list[200];

	dev_fail(reader->session, DEV_INVALID, "unknown layer \"%.*s\" at position %d of the layer text",
			 (int) (size < 40 ? size : 40), word, position(reader, word));
	if (nearest != NULL)
		dev_hint(reader->session, "Perhaps you meant \"%s\". A layer is %s.", nearest,
				 learn_name_list(layer_words, list, sizeof(list)));
	else
		dev_hint(reader->session, "A layer is %s.", learn_name_list(layer_words, list, sizeof(list)));
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

/* "(number)" after a word. The number is copied first: strtod must not see more of the text than is meant. */
static DevStatus
read_argument(Reader *reader, const char *word, const char *wanted, const char *example, double *value)
{
	char		number[LONGEST_NUMBER + 1];
	const char *open;
	char	   *end;
	size_t		n = 0;

	skip_blanks(reader);
	open = reader->at;
	if (*reader->at != '(')
		return bad_argument(reader, open, word, wanted, example);
	reader->at++;
	skip_blanks(reader);
	while (n < LONGEST_NUMBER && (isdigit((unsigned char) *reader->at) || *reader->at == '.'))
		number[n++] = *reader->at++;
	number[n] = '\0';
	skip_blanks(reader);
	*value = strtod(number, &end);
	if (n == 0 || *end != '\0' || *reader->at != ')')
		return bad_argument(reader, open, word, wanted, example);
	reader->at++;
	return DEV_OK;
}

static DevStatus
read_dense(Reader *reader, LearnLayer *layer)
{
	const char *at = reader->at;
	char		wanted[80];
	double		value;
	DevStatus	status;

	snprintf(wanted, sizeof(wanted), "a whole number from 1 to %d in parentheses", LEARN_MAX_WIDTH);
	status = read_argument(reader, "dense", wanted, "dense(128)", &value);
	if (status != DEV_OK)
		return status;
	if (!(value >= 1 && value <= LEARN_MAX_WIDTH) || value != floor(value))
		return bad_argument(reader, at, "dense", wanted, "dense(128)");
	layer->kind = LEARN_LAYER_DENSE;
	layer->width = (size_t) value;
	return DEV_OK;
}

static DevStatus
read_dropout(Reader *reader, LearnLayer *layer)
{
	static const char *const wanted = "a number of at least 0 and less than 1 in parentheses";
	const char *at = reader->at;
	double		value;
	DevStatus	status = read_argument(reader, "dropout", wanted, "dropout(0.1)", &value);

	if (status != DEV_OK)
		return status;
	if (!(value >= 0 && value < 1))
		return bad_argument(reader, at, "dropout", wanted, "dropout(0.1)");
	layer->kind = LEARN_LAYER_DROPOUT;
	layer->rate = (float) value;
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
	if (is_word(word, size, "dense"))
		return read_dense(reader, layer);
	if (is_word(word, size, "dropout"))
		return read_dropout(reader, layer);
	if (is_word(word, size, "layer_norm"))
	{
		layer->kind = LEARN_LAYER_LAYER_NORM;
		return DEV_OK;
	}
	if (is_word(word, size, "batch_norm"))
	{
		layer->kind = LEARN_LAYER_BATCH_NORM;
		return DEV_OK;
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

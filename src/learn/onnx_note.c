/*
 * onnx_note.c: what an ONNX file says of itself: names that do not meet, notes, and lists of any length.
 */
#include "onnx.h"

#include <stdio.h>
#include <string.h>

const char *
learn_onnx_name(const LearnOnnxWriter *writer, const char *base, const char *suffix, char *name)
{
	snprintf(name, LEARN_ONNX_NAME, "%s%s", base, suffix);
	for (int i = 0; i < writer->model->n_columns; i++)
		if (strcmp(writer->model->columns[i], name) == 0 && strlen(name) + 2 < LEARN_ONNX_NAME)
		{
			strcat(name, "_");
			i = -1;
		}
	return name;
}

/* A column's name is what the user knows it by; what is called like it otherwise gives way. */
NnOnnxValue
learn_onnx_input(LearnOnnxWriter *writer, const char *base, const char *suffix, NnOnnxType type, int rank, const size_t *dims, const char *open,
				 const char *note)
{
	char		own[LEARN_ONNX_NAME];
	char		axis[LEARN_ONNX_NAME];
	const char *name = suffix[0] == '\0' ? base : learn_onnx_name(writer, base, suffix, own);

	snprintf(axis, sizeof(axis), "%s%s", base, open == NULL ? "" : open);
	return nn_onnx_input_open(writer->onnx, name, type, rank, dims, axis, note);
}

void
learn_onnx_whole_characters(char *note)
{
	size_t		n = strlen(note);
	size_t		first = n;

	while (first > 0 && ((unsigned char) note[first - 1] & 0xC0) == 0x80)
		first--;
	/* The last character begins before its last bytes; how many there should be is in its first one. */
	if (first > 0 && (unsigned char) note[first - 1] >= 0xC0)
	{
		unsigned char lead = (unsigned char) note[first - 1];
		size_t		size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;

		if (n - (first - 1) < size)
			note[first - 1] = '\0';
	}
}

void
learn_onnx_note(LearnOnnxWriter *writer, const char *base, const char *suffix, const char *value)
{
	char		key[LEARN_ONNX_NAME];

	snprintf(key, sizeof(key), "%s%s", base, suffix);
	nn_onnx_note(writer->onnx, key, value);
}

/* ---- Lists ---- */

typedef struct Text
{
	char	   *bytes;			/* NULL: only its length is counted */
	size_t		n;
} Text;

static void
put(Text *text, const char *bytes, size_t n)
{
	if (text->bytes != NULL)
		memcpy(text->bytes + text->n, bytes, n);
	text->n += n;
}

/* As a string of JSON. */
static void
put_quoted(Text *text, const char *bytes, size_t n)
{
	put(text, "\"", 1);
	for (size_t i = 0; i < n; i++)
	{
		char		escaped[8];

		if ((unsigned char) bytes[i] < 0x20)
			put(text, escaped, (size_t) snprintf(escaped, sizeof(escaped), "\\u%04x", (unsigned) bytes[i]));
		else if (bytes[i] == '"' || bytes[i] == '\\')
		{
			put(text, "\\", 1);
			put(text, bytes + i, 1);
		}
		else
			put(text, bytes + i, 1);
	}
	put(text, "\"", 1);
}

static void
put_list(Text *text, bool lines, size_t n, LearnOnnxEntry entry, const void *context)
{
	if (!lines)
		put(text, "[", 1);
	for (size_t i = 0; i < n; i++)
	{
		size_t		size;
		const char *one = entry(context, i, &size);

		if (lines)
		{
			put(text, one, size);
			put(text, "\n", 1);
			continue;
		}
		if (i > 0)
			put(text, ",", 1);
		put_quoted(text, one, size);
	}
	if (!lines)
		put(text, "]", 1);
}

/* Counted first, then taken. */
void
learn_onnx_note_list(LearnOnnxWriter *writer, const char *base, const char *suffix, bool lines, size_t n, LearnOnnxEntry entry, const void *context)
{
	Text		text = {NULL, 0};

	put_list(&text, lines, n, entry, context);
	text.bytes = dev_alloc(writer->session, text.n + 1, 1);
	if (text.bytes == NULL)
	{
		nn_onnx_fail(writer->onnx, DEV_NO_MEMORY, "no memory for a text of %zu bytes", text.n);
		return;
	}
	text.n = 0;
	put_list(&text, lines, n, entry, context);
	text.bytes[text.n] = '\0';
	learn_onnx_note(writer, base, suffix, text.bytes);
	dev_release(writer->session, text.bytes);
}

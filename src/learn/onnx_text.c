/*
 * onnx_text.c: texts in ONNX, from the numbers of their tokens on.
 *
 * ONNX has no operator that cuts a text into words, so tokens come in as numbers, beside a mask that tells which of them there are. What a reader
 * needs to make them is in the metadata: the vocabulary, or a tagger's lexicon, and how they are used.
 */
#include "onnx.h"

#include <stdio.h>
#include <string.h>

#include "field.h"

#define NOTHING (-1)			/* a code that no table has, as in field_tags.c */

/* ---- What a reader needs ---- */

typedef struct Table
{
	const LearnField *field;
	LearnLexiconTable number;
} Table;

static const char *
piece_of(const void *context, size_t i, size_t *size)
{
	const LearnField *field = context;

	return learn_vocabulary_piece(field->vocabulary, (int32_t) i, size);
}

/* Numbers 0 and 1 are padding and what is unknown. */
static const char *
entry_of(const void *context, size_t i, size_t *size)
{
	const Table *table = context;

	return learn_lexicon_entry(table->field->lexicon, table->number, (int32_t) i + 2, size);
}

static void
write_tables(LearnOnnxWriter *writer, const LearnField *field)
{
	static const char *const names[] = {".words", ".characters", ".prefix2", ".prefix3", ".prefix4", ".suffix2", ".suffix3", ".suffix4"};

	for (int i = 0; i < LEARN_TABLES; i++)
	{
		const Table table = {field, (LearnLexiconTable) i};

		learn_onnx_note_list(writer, field->name, names[i], false, learn_lexicon_size(field->lexicon, table.number) - 2, entry_of, &table);
	}
}

/* ---- Inputs ---- */

/*
 * Codes (rows, tokens, each), or (rows, tokens) where each is 0, at the length of the network: (rows, length * each). What is longer is cut off, and
 * behind what is shorter there is nothing.
 */
static NnOnnxValue
at_length(LearnOnnxWriter *writer, const LearnField *field, NnOnnxValue codes, size_t each)
{
	NnOnnx	   *onnx = writer->onnx;
	const int64_t length = (int64_t) field->dims[0];
	const int64_t flat_pads[] = {0, 0, 0, length};
	const int64_t pads[] = {0, 0, 0, 0, length, 0};
	const int64_t flat[] = {-1, length * (int64_t) each};

	codes = nn_onnx_apply3(onnx, "Pad", codes, each == 0 ? nn_onnx_list(onnx, 4, flat_pads) : nn_onnx_list(onnx, 6, pads),
						   nn_onnx_integer(onnx, NOTHING));
	codes = learn_onnx_gather(onnx, codes, 1, learn_onnx_numbered(writer, field->dims[0]));
	return each == 0 ? codes : nn_onnx_apply2(onnx, "Reshape", codes, nn_onnx_list(onnx, 2, flat));
}

/* How many tokens there are: those that the mask counts, at the beginning. */
static void
write_mask(LearnOnnxWriter *writer, int number)
{
	const LearnField *field = &writer->model->fields[number];
	const size_t any = 0;
	NnOnnx	   *onnx = writer->onnx;
	NnOnnxValue mask = learn_onnx_input(writer, field->name, ".mask", NN_ONNX_INT64, 1, &any, ".tokens",
										"1 for a token, 0 for padding behind them; nothing but 0 for NULL");

	mask = nn_onnx_cast(onnx, nn_onnx_apply2(onnx, "Greater", mask, nn_onnx_integer(onnx, 0)), NN_ONNX_INT64);
	writer->lengths[number] = nn_onnx_apply2(onnx, "Min", learn_onnx_along(onnx, "ReduceSum", mask, 1), nn_onnx_integer(onnx, (int64_t) field->dims[0]));
}

void
learn_onnx_text(LearnOnnxWriter *writer, int number)
{
	static const char *const kept[] = {"head", "tail", "both"};
	const LearnField *field = &writer->model->fields[number];
	const size_t any = 0;
	char		note[LEARN_ONNX_NOTE];
	NnOnnxValue ids;

	snprintf(note, sizeof(note), "numbers of a text's pieces in the metadata's %s.vocabulary, without special tokens, at most %zu", field->name,
			 field->dims[0]);
	ids = learn_onnx_input(writer, field->name, "", NN_ONNX_INT64, 1, &any, ".tokens", note);
	writer->planes[number][0] = at_length(writer, field, ids, 0);
	write_mask(writer, number);
	learn_onnx_note_list(writer, field->name, ".vocabulary", true, learn_vocabulary_size(field->vocabulary), piece_of, field);
	snprintf(note, sizeof(note), "{\"type\":\"WordPiece\",\"lowercase\":%s,\"unknown\":\"%s\",\"continuing\":\"##\",\"longest_word\":%d,"
			 "\"special_tokens\":false,\"max_tokens\":%zu,\"keep\":\"%s\"}",
			 learn_vocabulary_lowercase(field->vocabulary) ? "true" : "false", learn_special_text(LEARN_UNK),
			 LEARN_WORD_CHARACTERS, field->dims[0], kept[field->kept]);
	learn_onnx_note(writer, field->name, ".tokenizer", note);
}

/* ---- Taggers ---- */

/* Affixes of all tables in one table of the network, one after another: where each begins. */
static NnOnnxValue
first_affixes(LearnOnnxWriter *writer, const LearnField *field)
{
	const size_t n = LEARN_AFFIXES;
	int64_t		first[LEARN_AFFIXES];
	int64_t		rows = 0;

	for (int i = 0; i < LEARN_AFFIXES; i++)
	{
		first[i] = rows;
		rows += (int64_t) learn_lexicon_size(field->lexicon, (LearnLexiconTable) (LEARN_TABLE_PREFIX2 + i));
	}
	return nn_onnx_integers(writer->onnx, 1, &n, first);
}

static NnOnnxValue
token_input(LearnOnnxWriter *writer, const LearnField *field, const char *suffix, size_t each, const char *note)
{
	const size_t dims[] = {0, each};

	return learn_onnx_input(writer, field->name, suffix, NN_ONNX_INT64, each == 0 ? 1 : 2, dims, ".tokens", note);
}

void
learn_onnx_tokens(LearnOnnxWriter *writer, int number)
{
	const LearnField *field = &writer->model->fields[number];
	NnOnnx	   *onnx = writer->onnx;
	NnOnnxValue *planes = writer->planes[number];
	NnOnnxValue codes;
	char		note[LEARN_ONNX_NOTE];

	codes = token_input(writer, field, ".words", 0, "number of each token in lower case, digits as 0, in the table of that name; 1: not in it");
	planes[0] = at_length(writer, field, codes, 0);
	codes = token_input(writer, field, ".shapes", 0, "number of each token's shape in the metadata's list");
	planes[1] = at_length(writer, field, codes, 0);
	codes = token_input(writer, field, ".affixes", LEARN_AFFIXES,
						"numbers of the first and last 2, 3, 4 characters of what the word's number is of, in tables of their own");
	planes[2] = at_length(writer, field, nn_onnx_apply2(onnx, "Add", codes, first_affixes(writer, field)), LEARN_AFFIXES);
	snprintf(note, sizeof(note), "numbers of the token's characters as written, 0 behind them; of a longer one the first and the last %zu",
			 field->characters / 2);
	codes = token_input(writer, field, ".characters", field->characters, note);
	codes = nn_onnx_apply3(onnx, "Where", nn_onnx_apply2(onnx, "Equal", codes, nn_onnx_integer(onnx, LEARN_PADDING)), nn_onnx_integer(onnx, NOTHING),
						   codes);
	planes[3] = at_length(writer, field, codes, field->characters);
	write_mask(writer, number);
	write_tables(writer, field);
	learn_onnx_note(writer, field->name, ".shapes",
					"[\"\",\"lower\",\"title\",\"upper\",\"initial\",\"mixed\",\"digits\",\"upper_digits\",\"lower_digits\","
					"\"mixed_digits\",\"punctuation\",\"caseless\"]");
	snprintf(note, sizeof(note), "{\"type\":\"lexicon\",\"unknown\":%d,\"first\":2,\"longest_word\":%d,\"characters\":%zu,\"max_tokens\":%zu}",
			 LEARN_UNKNOWN, LEARN_WORD_CHARACTERS, field->characters, field->dims[0]);
	learn_onnx_note(writer, field->name, ".tokenizer", note);
}

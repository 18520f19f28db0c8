/*
 * encode_text.c: text to the numbers of its pieces.
 *
 * Greedy: of each word the longest beginning that is a piece, then the longest continuation, until the word is used up. Pieces
 * go straight into the caller's arrays; where the end of a text is wanted they are written in
 * a circle that is turned once at the end, so that a long note takes no more memory than a short one.
 */
#include "text.h"

typedef struct PieceWriter
{
	int32_t    *ids;
	uint32_t   *starts;			/* NULL: not wanted, as the next one */
	uint32_t   *ends;
	int32_t    *words;
	size_t		capacity;		/* pieces that may stay */
	size_t		head;			/* of them the first ones stay for good */
	bool		stops;			/* at capacity */
	size_t		n;				/* pieces put so far */
	uint32_t	last;			/* where the last of them ends */
} PieceWriter;

static inline void
store(PieceWriter *writer, size_t place, int32_t id, uint32_t start, uint32_t end, int32_t word)
{
	writer->ids[place] = id;
	if (writer->starts != NULL)
		writer->starts[place] = start;
	if (writer->ends != NULL)
		writer->ends[place] = end;
	if (writer->words != NULL)
		writer->words[place] = word;
}

/* False when nothing more is wanted. */
static inline bool
put(PieceWriter *writer, int32_t id, uint32_t start, uint32_t end, int32_t word)
{
	size_t		place = writer->n;

	if (place >= writer->capacity)
	{
		if (writer->stops)
			return false;
		place = writer->head + (place - writer->head) % (writer->capacity - writer->head);
	}
	store(writer, place, id, start, end, word);
	writer->last = end;
	writer->n++;
	return true;
}

static void
reverse(uint32_t *values, size_t from, size_t to)
{
	while (from + 1 < to)
	{
		uint32_t	kept = values[from];

		values[from++] = values[--to];
		values[to] = kept;
	}
}

/* Turns [from, to) so that what was at `first` comes first. */
static void
turn(void *array, size_t from, size_t first, size_t to)
{
	if (array == NULL || first == from)
		return;
	reverse(array, from, first);
	reverse(array, first, to);
	reverse(array, from, to);
}

static size_t
straighten(PieceWriter *writer)
{
	size_t		first;

	if (writer->n <= writer->capacity)
		return writer->n;
	first = writer->head + (writer->n - writer->head) % (writer->capacity - writer->head);
	turn(writer->ids, writer->head, first, writer->capacity);
	turn(writer->starts, writer->head, first, writer->capacity);
	turn(writer->ends, writer->head, first, writer->capacity);
	turn(writer->words, writer->head, first, writer->capacity);
	return writer->capacity;
}

/* The longest piece at character `from` of a word: its number, -1 when none begins there. *to: the character after it. */
static int32_t
longest_piece(const LearnVocabulary *vocabulary, const LearnNormalWord *word, size_t from, size_t *to)
{
	uint32_t	node = from == 0 ? 0 : 1;
	int32_t		found = -1;

	for (size_t i = from; i < word->n; i++)
	{
		for (size_t byte = word->places[i]; byte < word->places[i + 1]; byte++)
		{
			node = learn_trie_child(vocabulary, node, (unsigned char) word->bytes[byte]);
			if (node == 0)
				return found;
		}
		if (vocabulary->piece_of[node] >= 0)
		{
			found = vocabulary->piece_of[node];
			*to = i + 1;
		}
	}
	return found;
}

/* Number of pieces, 0 when the word cannot be made. */
static size_t
split_word(const LearnVocabulary *vocabulary, const LearnNormalWord *word, int32_t *ids, uint16_t *ends)
{
	size_t		n = 0;
	size_t		at = 0;

	if (word->too_long)
		return 0;
	while (at < word->n)
	{
		size_t		to = at;
		int32_t		id = longest_piece(vocabulary, word, at, &to);

		if (id < 0)
			return 0;
		ids[n] = id;
		ends[n] = (uint16_t) to;
		n++;
		at = to;
	}
	return n;
}

size_t
learn_word_pieces(const LearnVocabulary *vocabulary, const char *word, size_t size, int32_t ids[LEARN_WORD_CHARACTERS])
{
	LearnNormalWord normal = {.n = 0};
	uint16_t	ends[LEARN_WORD_CHARACTERS];
	size_t		at = 0;
	size_t		n;

	while (at < size && !normal.too_long)
	{
		size_t		from = at;

		learn_character_read(word, size, &at);
		normal.too_long = normal.n == LEARN_WORD_CHARACTERS;
		if (normal.too_long)
			break;
		memcpy(normal.bytes + from, word + from, at - from);
		normal.places[++normal.n] = (uint16_t) at;
	}
	n = split_word(vocabulary, &normal, ids, ends);
	if (n > 0)
		return n;
	ids[0] = vocabulary->special[LEARN_UNK];
	return 1;
}

static bool
put_word(const LearnVocabulary *vocabulary, const LearnNormalWord *word, int32_t number, PieceWriter *writer)
{
	int32_t		ids[LEARN_WORD_CHARACTERS];
	uint16_t	ends[LEARN_WORD_CHARACTERS];
	size_t		n = split_word(vocabulary, word, ids, ends);
	size_t		from = 0;

	if (n == 0)
		return put(writer, vocabulary->special[LEARN_UNK], word->start, word->end, number);
	for (size_t i = 0; i < n; i++)
	{
		if (!put(writer, ids[i], word->starts[from], word->ends[ends[i] - 1], number))
			return false;
		from = ends[i];
	}
	return true;
}

static bool
check_wish(const LearnVocabulary *vocabulary, size_t size, const LearnTextWish *wish, LearnTrouble *trouble)
{
	size_t		least = wish->add_special ? 3 : 1;

	if (vocabulary->n == 0)
		return text_trouble(trouble, DEV_INVALID, NULL, NULL, "the vocabulary has not been trained");
	if (wish->max_tokens < least)
		return text_trouble(trouble, DEV_INVALID, NULL, NULL, "a text needs at least %zu tokens, not %zu", least, wish->max_tokens);
	if (wish->add_special && (vocabulary->special[LEARN_CLS] < 0 || vocabulary->special[LEARN_SEP] < 0))
		return text_trouble(trouble, DEV_INVALID, NULL, "Add the lines to the vocabulary, or do without special tokens.",
							"the vocabulary has no pieces \"[CLS]\" and \"[SEP]\"");
	return learn_text_fits(size, trouble);
}

static PieceWriter
start_writer(const LearnTextWish *wish, int32_t *ids, uint32_t *starts, uint32_t *ends, int32_t *words)
{
	size_t		first = wish->add_special ? 1 : 0;
	PieceWriter writer = {0};

	writer.ids = ids + first;
	writer.starts = starts == NULL ? NULL : starts + first;
	writer.ends = ends == NULL ? NULL : ends + first;
	writer.words = words == NULL ? NULL : words + first;
	writer.capacity = wish->max_tokens - 2 * first;
	writer.stops = wish->keep == LEARN_KEEP_HEAD || (wish->keep == LEARN_KEEP_BOTH && writer.capacity == 1);
	if (wish->keep == LEARN_KEEP_BOTH)
		writer.head = writer.capacity - writer.capacity / 2;
	return writer;
}

/* [CLS] and [SEP] around n pieces; the number of all. */
static size_t
add_specials(const LearnVocabulary *vocabulary, PieceWriter *writer, size_t n)
{
	writer->ids--;
	if (writer->starts != NULL)
		writer->starts--;
	if (writer->ends != NULL)
		writer->ends--;
	if (writer->words != NULL)
		writer->words--;
	store(writer, 0, vocabulary->special[LEARN_CLS], 0, 0, LEARN_NO_WORD);
	store(writer, n + 1, vocabulary->special[LEARN_SEP], writer->last, writer->last, LEARN_NO_WORD);
	return n + 2;
}

static bool
encode(const LearnVocabulary *vocabulary, const char *text, size_t size, const LearnTextWish *wish, PieceWriter *writer,
	   LearnTrouble *trouble)
{
	bool		more = true;
	int32_t		number = 0;
	LearnWordReader reader;
	LearnNormalWord word;

	learn_words_start(&reader, text, 0, size, vocabulary->lowercase, wish->invalid);
	while (more && learn_words_next(&reader, &word))
	{
		more = put_word(vocabulary, &word, number, writer);
		number += number < INT32_MAX;
	}
	return reader.failed ? learn_words_trouble(&reader, trouble) : true;
}

bool
learn_text_encode(const LearnVocabulary *vocabulary, const char *text, size_t size, const LearnTextWish *wish,
				  int32_t *ids, uint32_t *starts, uint32_t *ends, int32_t *words, size_t *n, LearnTrouble *trouble)
{
	PieceWriter writer;

	*n = 0;
	if (!check_wish(vocabulary, size, wish, trouble))
		return false;
	writer = start_writer(wish, ids, starts, ends, words);
	if (!encode(vocabulary, text, size, wish, &writer, trouble))
		return false;
	*n = straighten(&writer);
	if (wish->add_special)
		*n = add_specials(vocabulary, &writer, *n);
	return true;
}

/*
 * fuzz_text.c: libFuzzer's way into everything that reads text.
 *
 * The first byte says what the rest is for (encoding, a vocab.txt, training, a lexicon, tags), the next two what is wished. Besides
 * what the sanitizers see, the promises of the headers are checked: ranges in order, inside the text and on borders of
 * characters, truncations that agree with the whole, what is written read again as the same.
 */
#include "idla/learn_tags.h"
#include "idla/learn_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define MOST 2048
#define PROMISE(condition) \
	do { \
		if (!(condition)) \
		{ \
			fprintf(stderr, "%s:%d: broken promise: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

typedef struct Encoded
{
	size_t		n;
	int32_t		ids[MOST];
	uint32_t	starts[MOST];
	uint32_t	ends[MOST];
	int32_t		words[MOST];
} Encoded;

static const char *const small_pieces[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "ab", "##a", "##b", "##ab", "heart", "##s", "e", "##e",
	".", ",", "-", "1", "##1", "\303\251", "##\303\251", "\344\270\255", "\341\204\200", "##\341\205\241"};

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* 1 for every byte at which a character, or a byte that is none, begins; the end is a border too. */
static uint8_t *
borders_of(const char *text, size_t size)
{
	uint8_t    *borders = calloc(size + 1, 1);

	PROMISE(borders != NULL);
	for (size_t at = 0; at < size;)
	{
		int32_t		c;
		utf8proc_ssize_t length = utf8proc_iterate((const utf8proc_uint8_t *) text + at, (utf8proc_ssize_t) (size - at), &c);

		borders[at] = 1;
		at += length > 0 ? (size_t) length : 1;
	}
	borders[size] = 1;
	return borders;
}

static void
check_ranges(const Encoded *e, const char *text, size_t size)
{
	uint8_t    *borders = borders_of(text, size);

	for (size_t i = 0; i < e->n; i++)
	{
		bool		special = e->words[i] == LEARN_NO_WORD;

		PROMISE(e->starts[i] <= e->ends[i] && e->ends[i] <= size);
		PROMISE(special == (e->starts[i] == e->ends[i]));
		PROMISE(borders[e->starts[i]] && borders[e->ends[i]]);
		if (i == 0 || special || e->words[i - 1] == LEARN_NO_WORD)
			continue;
		PROMISE(e->starts[i] >= e->starts[i - 1] && e->words[i] >= e->words[i - 1]);
		/* Pieces overlap only where they are made of one character, or two words of one. */
		PROMISE(e->starts[i] >= e->ends[i - 1] || e->ends[i] >= e->ends[i - 1]);
	}
	free(borders);
}

static bool
encode(const LearnVocabulary *vocabulary, const char *text, size_t size, LearnTextWish wish, Encoded *e)
{
	LearnTrouble trouble = {0};
	bool		done = learn_text_encode(vocabulary, text, size, &wish, e->ids, e->starts, e->ends, e->words, &e->n, &trouble);

	PROMISE(done || (trouble.status != DEV_OK && trouble.message[0] != '\0' && e->n == 0));
	PROMISE(e->n <= wish.max_tokens);
	for (size_t i = 0; i < e->n; i++)
		PROMISE(e->ids[i] >= 0 && (size_t) e->ids[i] < learn_vocabulary_size(vocabulary));
	return done;
}

static void
encode_text(const LearnVocabulary *vocabulary, uint8_t how, uint8_t most, const char *text, size_t size)
{
	static Encoded whole;
	static Encoded part;
	LearnTextWish wish = {MOST, false, LEARN_KEEP_HEAD, how & 1 ? LEARN_UTF8_REFUSE : LEARN_UTF8_REPLACE};
	LearnTextWish cut = {most, (how & 2) != 0, (how >> 2) % 3, wish.invalid};
	size_t		first;
	size_t		n;

	if (encode(vocabulary, text, size, wish, &whole))
		check_ranges(&whole, text, size);
	if (!encode(vocabulary, text, size, cut, &part))
		return;
	check_ranges(&part, text, size);
	first = cut.add_special ? 1 : 0;
	n = part.n - 2 * first;
	if (whole.n == 0 || whole.n == MOST || cut.keep == LEARN_KEEP_BOTH)
		return;
	PROMISE(n == (whole.n < most - 2 * first ? whole.n : most - 2 * first));
	PROMISE(memcmp(part.ids + first, whole.ids + (cut.keep == LEARN_KEEP_TAIL ? whole.n - n : 0), n * sizeof(int32_t)) == 0);
	PROMISE(memcmp(part.ends + first, whole.ends + (cut.keep == LEARN_KEEP_TAIL ? whole.n - n : 0), n * sizeof(uint32_t)) == 0);
	PROMISE(memcmp(part.words + first, whole.words + (cut.keep == LEARN_KEEP_TAIL ? whole.n - n : 0), n * sizeof(int32_t)) == 0);
}

static void
check_again(DevSession *session, const LearnVocabulary *vocabulary, bool lowercase)
{
	LearnVocabulary *again;
	const char **pieces;

	pieces = dev_alloc(session, learn_vocabulary_size(vocabulary) + 1, sizeof(char *));
	PROMISE(pieces != NULL);
	for (size_t i = 0; i < learn_vocabulary_size(vocabulary); i++)
		pieces[i] = learn_vocabulary_piece(vocabulary, (int32_t) i, NULL);
	PROMISE(learn_vocabulary_restore(session, lowercase, learn_vocabulary_size(vocabulary), pieces, &again) == DEV_OK);
	PROMISE(learn_vocabulary_size(again) == learn_vocabulary_size(vocabulary));
	for (size_t i = 0; i < learn_vocabulary_size(vocabulary); i++)
	{
		size_t		length;
		const char *piece = learn_vocabulary_piece(vocabulary, (int32_t) i, &length);

		PROMISE(strcmp(piece, learn_vocabulary_piece(again, (int32_t) i, NULL)) == 0);
		PROMISE(learn_vocabulary_find(again, piece, length) == (int32_t) i);
	}
	learn_vocabulary_free(again);
	dev_release(session, pieces);
}

/* Lines before the first empty one are the vocabulary, what follows is encoded with it. */
static void
read_vocabulary(DevSession *session, uint8_t how, uint8_t most, const char *text, size_t size)
{
	const char *end = memmem(text, size, "\n\n", 2);
	size_t		lines = end == NULL ? size : (size_t) (end - text) + 1;
	LearnVocabulary *vocabulary;

	if (learn_vocabulary_read(session, text, lines, (how & 64) != 0, &vocabulary) != DEV_OK)
	{
		PROMISE(vocabulary == NULL && dev_message_text(session)[0] != '\0');
		return;
	}
	check_again(session, vocabulary, (how & 64) != 0);
	encode_text(vocabulary, how, most, text + lines, size - lines);
	learn_vocabulary_free(vocabulary);
}

static void
train_vocabulary(DevSession *session, uint8_t how, uint8_t most, const char *text, size_t size)
{
	LearnVocabulary *vocabulary = learn_vocabulary_create(session, (how & 64) != 0, 1 + most);
	size_t		wanted = 16 + most;

	PROMISE(vocabulary != NULL);
	if (learn_vocabulary_count(vocabulary, text, size, LEARN_UTF8_REPLACE) == DEV_OK &&
		learn_vocabulary_train(vocabulary, wanted, how % 5) == DEV_OK)
	{
		PROMISE(learn_vocabulary_size(vocabulary) <= wanted);
		check_again(session, vocabulary, (how & 64) != 0);
		encode_text(vocabulary, how, most, text, size);
	}
	learn_vocabulary_free(vocabulary);
}

static void
make_lexicon(DevSession *session, uint8_t how, uint8_t most, const char *text, size_t size)
{
	static LearnWord tokens[MOST];
	static int32_t numbers[MOST];
	static int32_t affixes[MOST][LEARN_AFFIXES];
	LearnLexiconPlan plan = {2 + most % 30, 0, 1 + how % 3, 1};
	LearnLexicon *lexicon = learn_lexicon_create(session, &plan);
	int32_t    *characters = calloc(MOST, plan.characters * sizeof(int32_t));
	LearnTrouble trouble;
	size_t		n;

	PROMISE(lexicon != NULL && characters != NULL);
	PROMISE(learn_text_words(text, size, false, LEARN_UTF8_REPLACE, tokens, MOST, &n, &trouble));
	PROMISE(learn_lexicon_count(lexicon, text, size, tokens, n) == DEV_OK);
	if (learn_lexicon_fit(lexicon) == DEV_OK)
	{
		PROMISE(learn_lexicon_encode(lexicon, text, size, tokens, n, numbers, characters, NULL, affixes[0], &trouble));
		for (size_t i = 0; i < n; i++)
			PROMISE(numbers[i] >= 1 && (size_t) numbers[i] < learn_lexicon_size(lexicon, LEARN_TABLE_WORDS));
		for (size_t i = 0; i < n * plan.characters; i++)
			PROMISE(characters[i] >= 0 && characters[i] != LEARN_UNKNOWN && (size_t) characters[i] < learn_lexicon_size(lexicon, LEARN_TABLE_CHARACTERS));
		for (size_t i = 0; i < n; i++)
			for (int k = 0; k < LEARN_AFFIXES; k++)
				PROMISE(affixes[i][k] > 1 && (size_t) affixes[i][k] < learn_lexicon_size(lexicon, LEARN_TABLE_PREFIX2 + k));
	}
	free(characters);
	learn_lexicon_free(lexicon);
}

/* Tags between blanks; a word of four bytes or more also gives a span of the text. */
static void
read_tags(DevSession *session, uint8_t how, const char *text, size_t size)
{
	static const char *tags[MOST];
	static size_t sizes[MOST];
	static int32_t codes[MOST];
	static int32_t again[MOST];
	static LearnSpan spans[MOST];
	static LearnWord tokens[MOST];
	LearnTagScheme to = how & 1 ? LEARN_IOBES : LEARN_IOB2;
	LearnLabels *labels = learn_labels_create(session);
	LearnTrouble trouble = {0};
	size_t		n = 0;

	PROMISE(labels != NULL);
	PROMISE(learn_text_words(text, size, true, LEARN_UTF8_REPLACE, tokens, MOST, &n, &trouble));
	n = 0;
	for (size_t at = 0; at < size && n < MOST; n++)
	{
		const char *blank = memchr(text + at, ' ', size - at);

		tags[n] = text + at;
		sizes[n] = blank == NULL ? size - at : (size_t) (blank - text) - at;
		tokens[n] = (LearnWord) {(uint32_t) n * 2, (uint32_t) n * 2 + 1};
		at += sizes[n] + 1;
	}
	if (learn_labels_count(labels, n, tags, sizes) == DEV_OK && learn_labels_settle(labels) == DEV_OK)
	{
		size_t		repaired;
		size_t		found;

		PROMISE(learn_tags_read(labels, learn_labels_scheme(labels), to, true, n, tags, sizes, codes, &repaired, &trouble));
		PROMISE(repaired == learn_labels_disorder(labels));
		found = learn_tags_spans(to, learn_labels_size(labels), true, n, codes, NULL, spans);
		learn_spans_place(found, spans, tokens);
		PROMISE(learn_tags_from_spans(to, learn_labels_size(labels), n, tokens, found, spans, again, &trouble));
		PROMISE(memcmp(codes, again, n * sizeof(int32_t)) == 0);
	}
	for (size_t i = 0; i + 4 <= size && i / 4 < MOST; i += 4)
	{
		const uint8_t *b = (const uint8_t *) text + i;

		spans[i / 4] = (LearnSpan) {b[0] | (uint32_t) (b[1] & 3) << 8, b[2] | (uint32_t) (b[3] & 3) << 8, b[3] >> 6, 1};
	}
	if (learn_spans_to_bytes(text, size, spans, size / 4 < MOST ? size / 4 : MOST, &trouble))
		PROMISE(learn_spans_to_characters(text, size, spans, size / 4 < MOST ? size / 4 : MOST, &trouble));
	learn_tags_from_spans(to, 4, n, tokens, size / 4 < MOST ? size / 4 : MOST, spans, codes, &trouble);
	learn_labels_free(labels);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	DevHost		host = {0};
	DevSession *session;
	LearnVocabulary *vocabulary;
	const char *text = (const char *) data + 3;

	if (size < 3)
		return 0;
	host.memory_limit = (size_t) 256 << 20;
	PROMISE(dev_session_open(&host, 1, &session) == DEV_OK);
	size -= 3;
	switch (data[0] % 6)
	{
		case 0:
		case 1:
			PROMISE(learn_vocabulary_restore(session, data[0] % 6 == 0, sizeof(small_pieces) / sizeof(small_pieces[0]), small_pieces,
											 &vocabulary) == DEV_OK);
			encode_text(vocabulary, data[1], data[2], text, size);
			break;
		case 2:
			read_vocabulary(session, data[1], data[2], text, size);
			break;
		case 3:
			train_vocabulary(session, data[1], data[2], text, size);
			break;
		case 4:
			make_lexicon(session, data[1], data[2], text, size);
			break;
		default:
			read_tags(session, data[1], text, size);
			break;
	}
	dev_session_close(session);
	return 0;
}

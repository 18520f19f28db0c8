/*
 * test_vocabulary.c: training, reading, writing and restoring vocabularies of pieces.
 *
 * Training is compared with the same merges done the slow way: all pairs counted anew before each.
 */
#include "check.h"

#include "idla/learn_text.h"
#include "learn/text.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static DevSession *
open_session(void)
{
	DevSession *session;

	CHECK_OR_STOP(dev_session_open(NULL, 7, &session) == DEV_OK, "a session opens");
	return session;
}

/* A made-up word: a few syllables, the frequent ones often. */
static size_t
make_word(uint64_t number, char *text)
{
	static const char *const syllables[] = {"car", "di", "o", "my", "path", "ren", "al", "itis", "he", "mo", "glob", "in", "\303\251", "X"};
	uint32_t	bits[4];
	size_t		size = 0;

	dev_random_bits(5, 1, number, bits);
	for (uint32_t i = 0; i < 1 + bits[0] % 4; i++)
	{
		uint32_t	draw = dev_random_below(5, 2 + i, number, 100) & 0xff;
		const char *syllable = syllables[draw * draw * LENGTH(syllables) / 10000];

		memcpy(text + size, syllable, strlen(syllable));
		size += strlen(syllable);
	}
	return size;
}

static size_t
make_text(uint64_t first, size_t n, char *text)
{
	size_t		size = 0;

	for (size_t i = 0; i < n; i++)
	{
		size += make_word((first + i) % 700 * ((first + i) % 7), text + size);
		text[size++] = i % 9 == 8 ? '.' : ' ';
	}
	return size;
}

/* ---- The slow way ---- */

#define SLOW_WORDS 1024
#define SLOW_SYMBOLS 64

typedef struct SlowWord
{
	int			n;
	char		symbols[SLOW_SYMBOLS][48];
	uint64_t	count;
} SlowWord;

static SlowWord slow_words[SLOW_WORDS];
static size_t n_slow_words;

static void
slow_add(const LearnNormalWord *word)
{
	char		key[MAX_WORD_BYTES + 1];
	size_t		i = 0;
	SlowWord   *slow;

	memcpy(key, word->bytes, word->places[word->n]);
	key[word->places[word->n]] = '\0';
	for (; i < n_slow_words; i++)
	{
		char		other[MAX_WORD_BYTES + 1] = "";

		for (int k = 0; k < slow_words[i].n; k++)
			strcat(other, slow_words[i].symbols[k] + (k > 0 ? 2 : 0));
		if (strcmp(other, key) == 0)
		{
			slow_words[i].count++;
			return;
		}
	}
	slow = &slow_words[n_slow_words++];
	slow->count = 1;
	slow->n = (int) word->n;
	for (size_t k = 0; k < word->n; k++)
		snprintf(slow->symbols[k], 48, "%s%.*s", k > 0 ? "##" : "", (int) (word->places[k + 1] - word->places[k]),
				 word->bytes + word->places[k]);
}

static uint64_t
slow_count(const char *left, const char *right)
{
	uint64_t	count = 0;

	for (size_t i = 0; i < n_slow_words; i++)
		for (int k = 1; k < slow_words[i].n; k++)
			if (strcmp(slow_words[i].symbols[k - 1], left) == 0 && strcmp(slow_words[i].symbols[k], right) == 0)
				count += slow_words[i].count;
	return count;
}

static void
slow_merge(const char *left, const char *right)
{
	for (size_t i = 0; i < n_slow_words; i++)
	{
		SlowWord   *word = &slow_words[i];
		int			n = 0;

		for (int k = 0; k < word->n; n++)
		{
			bool		both = k + 1 < word->n && strcmp(word->symbols[k], left) == 0 && strcmp(word->symbols[k + 1], right) == 0;
			char		merged[100];

			snprintf(merged, sizeof(merged), "%s%s", word->symbols[k], both ? word->symbols[k + 1] + 2 : "");
			snprintf(word->symbols[n], 48, "%.47s", merged);
			k += both ? 2 : 1;
		}
		word->n = n;
	}
}

static int32_t
number_among(const LearnVocabulary *vocabulary, const char *piece, size_t known)
{
	int32_t		id = learn_vocabulary_find(vocabulary, piece, strlen(piece));

	return id >= 0 && (size_t) id < known ? id : -1;
}

/* The most frequent pair, ties to the smaller numbers of its pieces. */
static uint64_t
slow_best(const LearnVocabulary *vocabulary, size_t known, char *left, char *right)
{
	uint64_t	best = 0;
	int32_t		best_left = 0;
	int32_t		best_right = 0;

	for (size_t i = 0; i < n_slow_words; i++)
		for (int k = 1; k < slow_words[i].n; k++)
		{
			const char *a = slow_words[i].symbols[k - 1];
			const char *b = slow_words[i].symbols[k];
			int32_t		number_a = number_among(vocabulary, a, known);
			int32_t		number_b = number_among(vocabulary, b, known);
			uint64_t	count;

			if (number_a < 0 || number_b < 0)
				continue;
			count = slow_count(a, b);
			if (count < best ||
				(count == best && (number_a > best_left || (number_a == best_left && number_b >= best_right))))
				continue;
			best = count;
			best_left = number_a;
			best_right = number_b;
			strcpy(left, a);
			strcpy(right, b);
		}
	return best;
}

static void
test_training(DevSession *session)
{
	enum
	{
		SIZE = 110
	};
	static char text[8192];
	LearnVocabulary *vocabulary = learn_vocabulary_create(session, true, 0);
	LearnWordReader reader;
	LearnNormalWord word;
	size_t		size = make_text(0, 900, text);
	size_t		alphabet = 0;
	size_t		known;
	size_t		wrong = 0;

	CHECK(learn_vocabulary_size(vocabulary) == 0, "a new vocabulary is empty");
	CHECK_STATUS(session, learn_vocabulary_count(vocabulary, text, size, LEARN_UTF8_REFUSE), DEV_OK, "a text is counted");
	CHECK_STATUS(session, learn_vocabulary_train(vocabulary, SIZE, 2), DEV_OK, "and trained on");
	CHECK(learn_vocabulary_size(vocabulary) == SIZE, "to the size wanted");
	CHECK_STATUS(session, learn_vocabulary_train(vocabulary, SIZE, 2), DEV_INVALID, "training again is refused");
	CHECK_STATUS(session, learn_vocabulary_count(vocabulary, text, size, LEARN_UTF8_REFUSE), DEV_INVALID, "counting too");
	for (int i = 0; i < LEARN_SPECIALS; i++)
		CHECK(learn_vocabulary_special(vocabulary, i) == i && strcmp(learn_vocabulary_piece(vocabulary, i, NULL), learn_special_text(i)) == 0,
			  "%s is number %d", learn_special_text(i), i);

	learn_words_start(&reader, text, 0, (uint32_t) size, true, LEARN_UTF8_REFUSE);
	while (learn_words_next(&reader, &word))
		slow_add(&word);
	while (strlen(learn_vocabulary_piece(vocabulary, (int32_t) (LEARN_SPECIALS + alphabet), NULL)) <= 3 && LEARN_SPECIALS + alphabet < SIZE)
		alphabet++;
	for (known = LEARN_SPECIALS + alphabet; known < SIZE; known++)
	{
		char		left[48];
		char		right[48];
		char		merged[100];

		slow_best(vocabulary, known, left, right);
		slow_merge(left, right);
		snprintf(merged, sizeof(merged), "%s%s", left, right + 2);
		if (strcmp(merged, learn_vocabulary_piece(vocabulary, (int32_t) known, NULL)) != 0 && wrong++ == 0)
			printf("#   piece %zu is %s, expected %s\n", known, learn_vocabulary_piece(vocabulary, (int32_t) known, NULL), merged);
	}
	CHECK(known - LEARN_SPECIALS - alphabet > 30 && wrong == 0, "all %zu merges are those of counting anew each time", known - LEARN_SPECIALS - alphabet);
	learn_vocabulary_free(vocabulary);
}

/* As vocab.txt, in the session's memory. */
static char *
write_lines(DevSession *session, const LearnVocabulary *vocabulary)
{
	size_t		room = 1;
	size_t		size;
	char	   *text;
	char	   *at;

	for (size_t i = 0; i < learn_vocabulary_size(vocabulary); i++)
		room += (learn_vocabulary_piece(vocabulary, (int32_t) i, &size) != NULL ? size : 0) + 1;
	text = at = dev_alloc(session, room, 1);
	CHECK_OR_STOP(text != NULL, "there is room for a vocab.txt");
	for (size_t i = 0; i < learn_vocabulary_size(vocabulary); i++)
		at += sprintf(at, "%s\n", learn_vocabulary_piece(vocabulary, (int32_t) i, NULL));
	return text;
}

static char *
trained_text(DevSession *session, bool backwards, size_t max_words, size_t size, uint64_t min_count)
{
	static char text[8192];
	LearnVocabulary *vocabulary = learn_vocabulary_create(session, false, max_words);
	char	   *written;

	for (int i = 0; i < 20; i++)
	{
		size_t		made = make_text((uint64_t) (backwards ? 19 - i : i) * 100, 400, text);

		CHECK_OR_STOP(learn_vocabulary_count(vocabulary, text, made, LEARN_UTF8_REFUSE) == DEV_OK, "text %d is counted", i);
	}
	CHECK_STATUS(session, learn_vocabulary_train(vocabulary, size, min_count), DEV_OK, "%zu pieces are trained", size);
	written = write_lines(session, vocabulary);
	learn_vocabulary_free(vocabulary);
	return written;
}

static size_t
lines_of(const char *text)
{
	size_t		n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

static void
test_order_and_limits(DevSession *session)
{
	char	   *forward = trained_text(session, false, 0, 200, 2);
	char	   *backward = trained_text(session, true, 0, 200, 2);
	char	   *few = trained_text(session, false, 20, 200, 2);
	char	   *again = trained_text(session, false, 20, 200, 2);
	char	   *small = trained_text(session, false, 0, 16, 2);
	char	   *rare = trained_text(session, false, 0, 100000, 1000000);

	CHECK(strcmp(forward, backward) == 0, "the order of texts does not matter");
	CHECK(strcmp(few, again) == 0, "with few words counted at a time the same texts give the same pieces");
	CHECK(lines_of(forward) == 200, "200 pieces are made (%zu)", lines_of(forward));
	CHECK(lines_of(small) <= 16 && strncmp(small, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", 31) == 0, "no more than 16 pieces when 16 are wanted");
	CHECK(lines_of(rare) < 80, "pairs below the least count are not merged");
}

static void
test_bad_training(DevSession *session)
{
	LearnVocabulary *vocabulary = learn_vocabulary_create(session, true, 0);

	CHECK_STATUS(session, learn_vocabulary_train(vocabulary, 15, 1), DEV_INVALID, "too small a size is refused: %s", dev_message_text(session));
	CHECK_STATUS(session, learn_vocabulary_train(vocabulary, LEARN_MAX_PIECES + 1, 1), DEV_INVALID, "too large a size is refused");
	CHECK_STATUS(session, learn_vocabulary_count(vocabulary, "ab\xff", 3, LEARN_UTF8_REFUSE), DEV_BAD_DATA, "invalid UTF-8 is refused: %s",
				 "the byte is named");
	CHECK(strstr(dev_message_text(session), "byte 3") != NULL, "with its place");
	learn_vocabulary_free(vocabulary);
	vocabulary = learn_vocabulary_create(session, true, 0);
	CHECK_STATUS(session, learn_vocabulary_count(vocabulary, " \n\t", 3, LEARN_UTF8_REFUSE), DEV_OK, "blanks are counted");
	CHECK_STATUS(session, learn_vocabulary_train(vocabulary, 100, 1), DEV_BAD_DATA, "but nothing can be made of them");
	learn_vocabulary_free(vocabulary);
	vocabulary = learn_vocabulary_create(session, true, 0);
	CHECK_STATUS(session, learn_vocabulary_count(vocabulary, "x\xffy x\xffy", 7, LEARN_UTF8_REPLACE), DEV_OK, "or invalid bytes are dropped");
	CHECK_STATUS(session, learn_vocabulary_train(vocabulary, 100, 1), DEV_OK, "and the rest trained on");
	CHECK(learn_vocabulary_find(vocabulary, "xy", 2) >= 0, "as one word");
	learn_vocabulary_free(vocabulary);
}

static void
test_reading(DevSession *session)
{
	static const char good[] = "[PAD]\r\n[UNK]\r\nheart\r\n##s\r\n##\r\n#\r\n\345\277\203\r\n";
	LearnVocabulary *vocabulary;
	LearnVocabulary *again;
	char	   *text;

	CHECK_STATUS(session, learn_vocabulary_read(session, good, sizeof(good) - 1, true, &vocabulary), DEV_OK, "a vocab.txt is read");
	CHECK(learn_vocabulary_size(vocabulary) == 7, "line by line");
	CHECK(learn_vocabulary_find(vocabulary, "##s", 3) == 3 && learn_vocabulary_find(vocabulary, "s", 1) == -1, "continuations are apart");
	CHECK(learn_vocabulary_find(vocabulary, "##", 2) == 4 && learn_vocabulary_find(vocabulary, "#", 1) == 5, "\"##\" alone is a piece");
	CHECK(learn_vocabulary_find(vocabulary, "hear", 4) == -1 && learn_vocabulary_find(vocabulary, "hearts", 6) == -1 &&
		  learn_vocabulary_find(vocabulary, "", 0) == -1, "parts of pieces are none");
	CHECK(learn_vocabulary_special(vocabulary, LEARN_UNK) == 1 && learn_vocabulary_special(vocabulary, LEARN_MASK) == -1,
		  "special tokens are found where they are");
	CHECK(learn_vocabulary_piece(vocabulary, -1, NULL) == NULL && learn_vocabulary_piece(vocabulary, 7, NULL) == NULL, "others are not there");
	text = write_lines(session, vocabulary);
	CHECK_STATUS(session, learn_vocabulary_read(session, text, strlen(text), true, &again), DEV_OK, "it is written and read again");
	for (int32_t i = 0; i < 7; i++)
		if (strcmp(learn_vocabulary_piece(vocabulary, i, NULL), learn_vocabulary_piece(again, i, NULL)) != 0)
			CHECK(false, "piece %d is the same", i);
	learn_vocabulary_free(again);
	learn_vocabulary_free(vocabulary);
}

static void
check_refused(DevSession *session, const char *text, size_t size, const char *words)
{
	LearnVocabulary *vocabulary;

	CHECK_STATUS(session, learn_vocabulary_read(session, text, size, false, &vocabulary), DEV_BAD_DATA, "a vocabulary is refused: %s", words);
	CHECK(vocabulary == NULL && strstr(dev_message_text(session), words) != NULL, "saying: %s", dev_message_text(session));
}

static void
test_refusing(DevSession *session)
{
	static char lines[2 * (LEARN_MAX_PIECES + 1)];
	static char large[MAX_VOCABULARY_BYTES + 1];
	char		longest[900];
	const char *twice[] = {"[UNK]", "a", "a"};
	LearnVocabulary *vocabulary;

	check_refused(session, "", 0, "no piece \"[UNK]\"");
	check_refused(session, "a\nb\n", 4, "no piece \"[UNK]\"");
	check_refused(session, "[UNK]\na\nb\na\n", 12, "piece \"a\" is in the vocabulary twice");
	CHECK(strstr(dev_detail_text(session), "line 2") != NULL && strstr(dev_detail_text(session), "line 4") != NULL, "naming both lines");
	check_refused(session, "[UNK]\n\na\n", 9, "line 2 of the vocabulary is empty");
	check_refused(session, "[UNK]\n\xc3\n", 8, "line 2 of the vocabulary is not valid UTF-8");
	check_refused(session, "[UNK]\na\0b\n", 10, "line 2 of the vocabulary is not valid UTF-8");
	check_refused(session, "[UNK]\na\r\r\n", 10, "line 2 of the vocabulary contains a line end");
	strcpy(longest, "[UNK]\n");
	memset(longest + 6, 'x', LEARN_WORD_CHARACTERS + 3);
	check_refused(session, longest, 6 + LEARN_WORD_CHARACTERS + 3, "too long");
	for (size_t i = 0; i < sizeof(lines); i++)
		lines[i] = i % 2 == 0 ? 'x' : '\n';
	check_refused(session, lines, sizeof(lines), "too large");
	memset(large, 'x', sizeof(large));
	check_refused(session, large, sizeof(large), "too large");
	CHECK(dev_session_used(session) < sizeof(large), "no memory stays taken for what is refused");
	CHECK_STATUS(session, learn_vocabulary_restore(session, false, 3, twice, &vocabulary), DEV_CORRUPT, "stored pieces are checked too: %s", "twice");
	CHECK_STATUS(session, learn_vocabulary_restore(session, false, LEARN_MAX_PIECES + 1, twice, &vocabulary), DEV_CORRUPT,
				 "too many are refused before they are looked at");
}

static bool
always(void *context)
{
	(void) context;
	return true;
}

static void
test_memory_and_cancel(void)
{
	static char text[8192];
	size_t		size = make_text(3, 300, text);
	bool		done = false;
	DevHost		host = {0};
	DevSession *session;
	LearnVocabulary *vocabulary;

	for (size_t fail_at = 1; !done && fail_at < 300; fail_at++)
	{
		CheckHost	counter;
		DevHost		failing = check_host(&counter, fail_at);

		if (dev_session_open(&failing, 1, &session) != DEV_OK)
			continue;
		vocabulary = learn_vocabulary_create(session, true, 30);
		done = vocabulary != NULL && learn_vocabulary_count(vocabulary, text, size, LEARN_UTF8_REFUSE) == DEV_OK &&
			learn_vocabulary_train(vocabulary, 100, 1) == DEV_OK;
		if (!done && dev_status(session) != DEV_NO_MEMORY)
			CHECK(false, "failing allocation %zu is told", fail_at);
		learn_vocabulary_free(vocabulary);
		dev_session_close(session);
		if (counter.held != 0)
			CHECK(false, "failing allocation %zu leaves nothing", fail_at);
	}
	CHECK(done, "training survives every failing allocation");
	host.cancelled = always;
	CHECK_OR_STOP(dev_session_open(&host, 1, &session) == DEV_OK, "a session opens");
	vocabulary = learn_vocabulary_create(session, true, 0);
	CHECK_STATUS(session, learn_vocabulary_count(vocabulary, text, 100, LEARN_UTF8_REFUSE), DEV_CANCELLED, "counting can be cancelled");
	CHECK_STATUS(session, learn_vocabulary_train(vocabulary, 100, 1), DEV_CANCELLED, "training too");
	dev_session_close(session);
}

int
main(void)
{
	DevSession *session = open_session();

	test_training(session);
	test_order_and_limits(session);
	test_bad_training(session);
	test_reading(session);
	test_refusing(session);
	test_memory_and_cancel();
	dev_session_close(session);
	return check_done();
}

/*
 * test_text.c: words, pieces and their bytes against Hugging Face's tokenizers (frozen by reference/text.py), on exotic,
 * broken and very long text; truncation; lexicon; augmentation.
 */
#include "check.h"

#include "idla/learn_text.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define MOST 4096

typedef struct PieceCase
{
	const char *text;
	size_t		size;
	size_t		n;
	const int32_t *expected;	/* id, start, end of each piece */
} PieceCase;

#include "reference/text.h"

static int32_t ids[MOST];
static uint32_t starts[MOST];
static uint32_t ends[MOST];
static int32_t words[MOST];

static DevSession *
open_session(void)
{
	DevSession *session;

	CHECK_OR_STOP(dev_session_open(NULL, 7, &session) == DEV_OK, "a session opens");
	return session;
}

static LearnVocabulary *
vocabulary_of(DevSession *session, bool lowercase, size_t n, const char *const *pieces)
{
	LearnVocabulary *vocabulary;

	CHECK_STATUS(session, learn_vocabulary_restore(session, lowercase, n, pieces, &vocabulary), DEV_OK, "a vocabulary is made of %zu pieces", n);
	CHECK_OR_STOP(vocabulary != NULL, "it is there");
	return vocabulary;
}

static void
check_case(const LearnVocabulary *vocabulary, const PieceCase *a, const char *name, size_t number)
{
	LearnTextWish wish = {MOST, false, LEARN_KEEP_HEAD, LEARN_UTF8_REFUSE};
	LearnTrouble trouble = {0};
	size_t		n;
	size_t		wrong = 0;

	if (!CHECK(learn_text_encode(vocabulary, a->text, a->size, &wish, ids, starts, ends, words, &n, &trouble),
			   "%s text %zu is encoded", name, number))
		printf("#   %s\n", trouble.message);
	for (size_t i = 0; i < n && i < a->n; i++)
	{
		const int32_t *e = a->expected + 3 * i;

		if (ids[i] == e[0] && starts[i] == (uint32_t) e[1] && ends[i] == (uint32_t) e[2])
			continue;
		if (wrong++ == 0)
			printf("#   piece %zu: %s [%u, %u), expected %s [%d, %d)\n", i, learn_vocabulary_piece(vocabulary, ids[i], NULL), starts[i], ends[i],
				   learn_vocabulary_piece(vocabulary, e[0], NULL), e[1], e[2]);
	}
	CHECK(n == a->n && wrong == 0, "%s text %zu has the reference's %zu pieces (%zu), %zu differ", name, number, a->n, n, wrong);
}

static void
test_reference(DevSession *session)
{
	LearnVocabulary *lower = vocabulary_of(session, true, LENGTH(lower_pieces), lower_pieces);
	LearnVocabulary *cased = vocabulary_of(session, false, LENGTH(cased_pieces), cased_pieces);

	for (size_t i = 0; i < LENGTH(lower_cases); i++)
		check_case(lower, &lower_cases[i], "lower-cased", i);
	for (size_t i = 0; i < LENGTH(cased_cases); i++)
		check_case(cased, &cased_cases[i], "cased", i);
	learn_vocabulary_free(lower);
	learn_vocabulary_free(cased);
}

/* ---- Words ---- */

static void
check_words(const char *text, size_t size, bool lowercase, size_t expected, const char *slices, size_t n_slices)
{
	LearnWord	found[64];
	char		joined[800] = "";
	LearnTrouble trouble = {0};
	size_t		n;
	size_t		used = 0;

	CHECK(learn_text_words(text, size, lowercase, LEARN_UTF8_REPLACE, found, LENGTH(found), &n, &trouble) && n == expected,
		  "\"%s\" has %zu words", slices, expected);
	for (size_t i = 0; i < n; i++)
	{
		if (i > 0)
			joined[used++] = '|';
		memcpy(joined + used, text + found[i].start, found[i].end - found[i].start);
		used += found[i].end - found[i].start;
	}
	if (!CHECK(used == n_slices && memcmp(joined, slices, used) == 0, "these bytes of the text"))
		printf("#   %.*s\n", (int) used, joined);
}

#define WORDS(text, lowercase, expected, slices) check_words(text, sizeof(text) - 1, lowercase, expected, slices, sizeof(slices) - 1)

static void
test_words(void)
{
	WORDS("", true, 0, "");
	WORDS(" \t\r\n\302\240\343\200\200", true, 0, "");
	WORDS("Heart-rate: 72/min.", true, 8, "Heart|-|rate|:|72|/|min|.");
	WORDS("cafe\314\201s, e\314\201", true, 3, "cafe\314\201s|,|e\314\201");	/* marks go with their letter */
	WORDS("\314\201x", true, 1, "x");	/* one without a letter is dropped */
	WORDS("\314\201 x", false, 2, "\314\201|x");	/* but kept where case is kept */
	WORDS("a\342\211\240b", true, 3, "a|\342\211\240|b");	/* the sign for unequal decomposes into = and a stroke */
	WORDS("a\342\211\240b", false, 1, "a\342\211\240b");
	WORDS("\351", true, 0, "");	/* invalid bytes vanish */
	WORDS("ab\355\240\200cd", true, 1, "ab\355\240\200cd");	/* a surrogate */
	WORDS("x\300\200y\360\200\200\200z\364\220\200\200", true, 1, "x\300\200y\360\200\200\200z");	/* overlong, beyond Unicode */
	WORDS("a\0b\177c\302\205d", true, 1, "a\0b\177c\302\205d");	/* controls are no borders */
	WORDS("\344\270\255\346\226\207ab", true, 3, "\344\270\255|\346\226\207|ab");
	WORDS("\343\202\253\343\202\277 \352\260\201", true, 2, "\343\202\253\343\202\277|\352\260\201");	/* kana and hangul are not cut */
	WORDS("\360\237\221\251\342\200\215\360\237\221\247", true, 1, "\360\237\221\251\342\200\215\360\237\221\247");	/* emoji with joiner */
	WORDS("\331\203\331\216\330\252 \327\251\326\270", true, 2, "\331\203\331\216\330\252|\327\251\326\270");	/* vowel signs */
	WORDS("\357\275\201\357\274\214\357\274\221", true, 3, "\357\275\201|\357\274\214|\357\274\221");	/* full width */
}

static void
test_invalid(DevSession *session)
{
	static const char *const bad[] = {"ab\200", "ab\303", "ab\303(", "ab\340\200\200", "ab\355\240\200", "ab\370\200\200\200\200", "ab\376", "ab\377x"};
	static const char *const pieces[] = {"[UNK]", "ab", "abx"};
	LearnVocabulary *vocabulary = vocabulary_of(session, true, 3, pieces);
	LearnTextWish wish = {MOST, false, LEARN_KEEP_HEAD, LEARN_UTF8_REFUSE};
	LearnTrouble trouble = {0};
	size_t		n;

	for (size_t i = 0; i < LENGTH(bad); i++)
	{
		wish.invalid = LEARN_UTF8_REFUSE;
		CHECK(!learn_text_encode(vocabulary, bad[i], strlen(bad[i]), &wish, ids, NULL, NULL, NULL, &n, &trouble) &&
			  trouble.status == DEV_BAD_DATA && strstr(trouble.message, "at byte 3") != NULL && n == 0,
			  "invalid text %zu is refused: %s, %s", i, trouble.message, trouble.detail);
		wish.invalid = LEARN_UTF8_REPLACE;
		CHECK(learn_text_encode(vocabulary, bad[i], strlen(bad[i]), &wish, ids, starts, ends, words, &n, &trouble) && n >= 1 &&
			  starts[0] == 0, "or read without the bytes");
	}
	CHECK(n == 1 && ids[0] == 2 && ends[0] == 4, "as if they were not there");
	wish.invalid = LEARN_UTF8_REFUSE;
	wish.max_tokens = 1;
	CHECK(learn_text_encode(vocabulary, "ab ab \377", 7, &wish, ids, NULL, NULL, NULL, &n, &trouble) && n == 1,
		  "nothing is looked at beyond what is kept");
	learn_vocabulary_free(vocabulary);
}

/* ---- Truncation ---- */

static void
check_kept(const LearnVocabulary *vocabulary, const char *text, LearnTextWish wish, const char *expected)
{
	char		kept[200] = "";
	LearnTrouble trouble = {0};
	size_t		n;
	bool		right = learn_text_encode(vocabulary, text, strlen(text), &wish, ids, starts, ends, words, &n, &trouble);

	for (size_t i = 0; i < n; i++)
	{
		const char *piece = learn_vocabulary_piece(vocabulary, ids[i], NULL);

		strcat(strcat(kept, i > 0 ? " " : ""), piece);
		/* The texts are of words of three letters, two pieces each, with a blank between. */
		if (words[i] == LEARN_NO_WORD)
			right &= starts[i] == ends[i] && (i == 0 ? starts[i] == 0 : ends[i] == ends[n - 2]);
		else
			right &= starts[i] == (uint32_t) words[i] * 4 + (piece[0] == '#' ? 1 : 0) && ends[i] == starts[i] + (piece[0] == '#' ? 2 : 1);
	}
	if (!CHECK(right && strcmp(kept, expected) == 0, "at most %zu of \"%s\" are \"%s\"", wish.max_tokens, text, expected))
		printf("#   %s %s\n", kept, trouble.message);
}

static void
test_truncation(DevSession *session)
{
	static const char *const pieces[] = {"[UNK]", "[CLS]", "[SEP]", "a", "b", "c", "d", "e", "##aa", "##bb", "##cc", "##dd", "##ee"};
	LearnVocabulary *vocabulary = vocabulary_of(session, false, LENGTH(pieces), pieces);
	LearnVocabulary *plain = vocabulary_of(session, false, 1, pieces);
	LearnTrouble trouble = {0};
	size_t		n;
	const char *text = "aaa bbb ccc ddd eee";

	check_kept(vocabulary, text, (LearnTextWish) {10, false, LEARN_KEEP_HEAD, LEARN_UTF8_REFUSE}, "a ##aa b ##bb c ##cc d ##dd e ##ee");
	check_kept(vocabulary, text, (LearnTextWish) {3, false, LEARN_KEEP_HEAD, LEARN_UTF8_REFUSE}, "a ##aa b");
	check_kept(vocabulary, text, (LearnTextWish) {3, false, LEARN_KEEP_TAIL, LEARN_UTF8_REFUSE}, "##dd e ##ee");
	check_kept(vocabulary, text, (LearnTextWish) {9, false, LEARN_KEEP_TAIL, LEARN_UTF8_REFUSE}, "##aa b ##bb c ##cc d ##dd e ##ee");
	check_kept(vocabulary, text, (LearnTextWish) {1, false, LEARN_KEEP_TAIL, LEARN_UTF8_REFUSE}, "##ee");
	check_kept(vocabulary, text, (LearnTextWish) {5, false, LEARN_KEEP_BOTH, LEARN_UTF8_REFUSE}, "a ##aa b e ##ee");
	check_kept(vocabulary, text, (LearnTextWish) {10, false, LEARN_KEEP_BOTH, LEARN_UTF8_REFUSE}, "a ##aa b ##bb c ##cc d ##dd e ##ee");
	check_kept(vocabulary, text, (LearnTextWish) {1, false, LEARN_KEEP_BOTH, LEARN_UTF8_REFUSE}, "a");
	check_kept(vocabulary, text, (LearnTextWish) {5, true, LEARN_KEEP_HEAD, LEARN_UTF8_REFUSE}, "[CLS] a ##aa b [SEP]");
	check_kept(vocabulary, text, (LearnTextWish) {5, true, LEARN_KEEP_TAIL, LEARN_UTF8_REFUSE}, "[CLS] ##dd e ##ee [SEP]");
	check_kept(vocabulary, text, (LearnTextWish) {6, true, LEARN_KEEP_BOTH, LEARN_UTF8_REFUSE}, "[CLS] a ##aa e ##ee [SEP]");
	check_kept(vocabulary, text, (LearnTextWish) {3, true, LEARN_KEEP_BOTH, LEARN_UTF8_REFUSE}, "[CLS] a [SEP]");
	check_kept(vocabulary, "", (LearnTextWish) {3, true, LEARN_KEEP_TAIL, LEARN_UTF8_REFUSE}, "[CLS] [SEP]");
	check_kept(vocabulary, "", (LearnTextWish) {3, false, LEARN_KEEP_TAIL, LEARN_UTF8_REFUSE}, "");

	for (size_t most = 0; most < 3; most++)
		CHECK(!learn_text_encode(vocabulary, text, 19, &(LearnTextWish) {most, most > 0, LEARN_KEEP_HEAD, LEARN_UTF8_REFUSE}, ids, NULL, NULL, NULL,
								 &n, &trouble) && trouble.status == DEV_INVALID, "%zu tokens are too few: %s", most, trouble.message);
	CHECK(!learn_text_encode(plain, text, 19, &(LearnTextWish) {5, true, LEARN_KEEP_HEAD, LEARN_UTF8_REFUSE}, ids, NULL, NULL, NULL, &n,
							 &trouble) && strstr(trouble.message, "[CLS]") != NULL, "special tokens must be there: %s", trouble.message);
	learn_vocabulary_free(plain);
	plain = learn_vocabulary_create(session, true, 0);
	CHECK(!learn_text_encode(plain, text, 19, &(LearnTextWish) {5, false, LEARN_KEEP_HEAD, LEARN_UTF8_REFUSE}, ids, NULL, NULL, NULL, &n,
							 &trouble) && strstr(trouble.message, "trained") != NULL, "and the vocabulary too: %s", trouble.message);
	learn_vocabulary_free(plain);
	learn_vocabulary_free(vocabulary);
}

/* 10 MB: every way of cutting agrees with the middle of the whole, whatever the text. */
static void
test_long(DevSession *session)
{
	static const char *const pieces[] = {"[UNK]", "a", "##a", ".", "\303\251"};
	static const char *const units[] = {"aa aa. ", "a", ".", "\303\251 ", "\314\201", "\377", " ", "\344\270\255"};
	LearnVocabulary *vocabulary = vocabulary_of(session, false, LENGTH(pieces), pieces);
	size_t		size = (size_t) 10 << 20;
	char	   *text = malloc(size);
	LearnTrouble trouble = {0};

	CHECK_OR_STOP(text != NULL, "there is room for 10 MB");
	for (size_t u = 0; u < LENGTH(units); u++)
	{
		size_t		length = strlen(units[u]);
		LearnTextWish wish = {MOST, false, LEARN_KEEP_TAIL, LEARN_UTF8_REPLACE};
		size_t		n;
		bool		ordered = true;

		for (size_t i = 0; i < size; i++)
			text[i] = i < size - size % length ? units[u][i % length] : ' ';
		CHECK(learn_text_encode(vocabulary, text, size, &wish, ids, starts, ends, words, &n, &trouble), "10 MB of text %zu are encoded", u);
		for (size_t i = 1; i < n; i++)
			ordered &= starts[i] >= ends[i - 1] && words[i] >= words[i - 1] && ends[i] <= size;
		CHECK(ordered, "its last %zu pieces are in order", n);
	}
	free(text);
	learn_vocabulary_free(vocabulary);
}

/* ---- Lexicon ---- */

static LearnLexicon *
small_lexicon(DevSession *session, const char *text, LearnWord *tokens, size_t *n)
{
	LearnLexiconPlan plan = {6, 0, 2, 1};
	LearnLexicon *lexicon = learn_lexicon_create(session, &plan);
	LearnTrouble trouble;

	CHECK_OR_STOP(lexicon != NULL, "a lexicon is made");
	learn_text_words(text, strlen(text), false, LEARN_UTF8_REPLACE, tokens, 64, n, &trouble);
	CHECK_STATUS(session, learn_lexicon_count(lexicon, text, strlen(text), tokens, *n), DEV_OK, "words are counted");
	CHECK_STATUS(session, learn_lexicon_fit(lexicon), DEV_OK, "and fitted");
	return lexicon;
}

static void
test_lexicon(DevSession *session)
{
	static const char text[] = "Tumour tumour 1998 2003 P53 p53 DNA A mRNA Abcd1 Abcd2 \303\211tat \344\270\255 \330\271\330\261 ( tumours tumorigenesis";
	static const LearnShape shapes[] = {LEARN_SHAPE_TITLE, LEARN_SHAPE_LOWER, LEARN_SHAPE_DIGITS, LEARN_SHAPE_DIGITS, LEARN_SHAPE_UPPER_DIGITS,
		LEARN_SHAPE_LOWER_DIGITS, LEARN_SHAPE_UPPER, LEARN_SHAPE_INITIAL, LEARN_SHAPE_MIXED, LEARN_SHAPE_MIXED_DIGITS, LEARN_SHAPE_MIXED_DIGITS,
		LEARN_SHAPE_TITLE, LEARN_SHAPE_CASELESS, LEARN_SHAPE_CASELESS, LEARN_SHAPE_PUNCTUATION, LEARN_SHAPE_LOWER, LEARN_SHAPE_LOWER};
	LearnWord	tokens[64];
	size_t		n;
	LearnLexicon *lexicon = small_lexicon(session, text, tokens, &n);
	int32_t		word[64];
	int32_t		character[64][6];
	int32_t		shape[64];
	int32_t		affix[64][LEARN_AFFIXES];
	LearnTrouble trouble = {0};
	bool		right = true;
	size_t		size;

	CHECK_OR_STOP(n == LENGTH(shapes), "%zu words are found", n);
	CHECK(learn_lexicon_encode(lexicon, text, strlen(text), tokens, n, word, character[0], shape, affix[0], &trouble), "words are encoded");
	CHECK(word[0] == word[1] && word[2] == word[3] && word[4] == word[5] && word[9] == word[10], "case and digits do not make a word another");
	CHECK(word[0] >= 2 && word[2] >= 2 && word[6] == LEARN_UNKNOWN && learn_lexicon_size(lexicon, LEARN_TABLE_WORDS) == 2 + 4,
		  "words seen once are unknown");
	CHECK(strcmp(learn_lexicon_entry(lexicon, LEARN_TABLE_WORDS, word[2], &size), "0000") == 0 && size == 4, "digits are 0");
	for (size_t i = 0; i < n; i++)
		right &= shape[i] == (int32_t) shapes[i];
	CHECK(right, "shapes are told");
	CHECK(character[0][0] != character[1][0] && character[0][1] == character[1][1], "characters keep their case");
	CHECK(character[6][3] == LEARN_PADDING && character[6][2] >= 2, "short words are padded");
	CHECK(character[16][0] == character[1][0] && character[16][2] == character[1][2] &&
		  strcmp(learn_lexicon_entry(lexicon, LEARN_TABLE_CHARACTERS, character[16][5], NULL), "s") == 0 &&
		  strcmp(learn_lexicon_entry(lexicon, LEARN_TABLE_CHARACTERS, character[16][3], NULL), "s") == 0, "of long words both ends are kept");
	CHECK(affix[1][0] == affix[16][0] && affix[1][2] != LEARN_UNKNOWN && affix[1][3] != affix[16][3], "prefixes are shared, suffixes differ");
	CHECK(strcmp(learn_lexicon_entry(lexicon, LEARN_TABLE_SUFFIX3, affix[16][4], NULL), "sis") == 0 &&
		  strcmp(learn_lexicon_entry(lexicon, LEARN_TABLE_PREFIX4, affix[11][2], NULL), "\303\251tat") == 0, "affixes are of characters");
	CHECK(learn_lexicon_entry(lexicon, LEARN_TABLE_WORDS, 1, NULL) == NULL && learn_lexicon_entry(lexicon, LEARN_TABLE_WORDS, 99, NULL) == NULL,
		  "padding, unknown and beyond have no entry");
	CHECK(learn_lexicon_encode(lexicon, text, strlen(text), (LearnWord[]) {{3, 3}}, 1, word, NULL, shape, affix[0], &trouble) &&
		  word[0] == LEARN_UNKNOWN && shape[0] == LEARN_SHAPE_PUNCTUATION, "an empty token is unknown");
	CHECK(!learn_lexicon_encode(lexicon, text, 3, tokens, 1, word, NULL, NULL, NULL, &trouble) && trouble.status == DEV_INVALID,
		  "a token outside the text is refused");
	CHECK_STATUS(session, learn_lexicon_count(lexicon, text, 3, tokens, 0), DEV_INVALID, "a fitted lexicon counts no more");
	learn_lexicon_free(lexicon);
}

static void
test_lexicon_storage(DevSession *session)
{
	static const char text[] = "acute renal failure acute renal injury";
	LearnWord	tokens[64];
	size_t		n;
	LearnLexicon *lexicon = small_lexicon(session, text, tokens, &n);
	LearnLexiconPlan plan = {6, 0, 2, 1};
	LearnLexicon *again;
	size_t		sizes[LEARN_TABLES];
	const char *entries[LEARN_TABLES][64];
	const char *const *tables[LEARN_TABLES];
	int32_t		first[64][6];
	int32_t		second[64][6];
	LearnTrouble trouble;

	for (int table = 0; table < LEARN_TABLES; table++)
	{
		sizes[table] = learn_lexicon_size(lexicon, table) - 2;
		for (size_t i = 0; i < sizes[table]; i++)
			entries[table][i] = learn_lexicon_entry(lexicon, table, (int32_t) i + 2, NULL);
		tables[table] = entries[table];
	}
	CHECK_STATUS(session, learn_lexicon_restore(session, &plan, sizes, tables, &again), DEV_OK, "a lexicon comes back from its entries");
	learn_lexicon_encode(lexicon, text, strlen(text), tokens, n, NULL, first[0], NULL, NULL, &trouble);
	learn_lexicon_encode(again, text, strlen(text), tokens, n, NULL, second[0], NULL, NULL, &trouble);
	CHECK(memcmp(first, second, n * sizeof(first[0])) == 0, "and gives the same numbers");
	learn_lexicon_free(again);
	entries[3][1] = entries[3][0];
	CHECK_STATUS(session, learn_lexicon_restore(session, &plan, sizes, tables, &again), DEV_CORRUPT, "an entry twice is refused");
	entries[3][1] = "";
	CHECK_STATUS(session, learn_lexicon_restore(session, &plan, sizes, tables, &again), DEV_CORRUPT, "an empty one too");
	entries[3][1] = "\377";
	CHECK_STATUS(session, learn_lexicon_restore(session, &plan, sizes, tables, &again), DEV_CORRUPT, "one that is no UTF-8 too");
	sizes[0] = SIZE_MAX;
	CHECK_STATUS(session, learn_lexicon_restore(session, &plan, sizes, tables, &again), DEV_CORRUPT, "too many too, before looking");
	CHECK(again == NULL, "and nothing is made");
	plan.characters = 1;
	CHECK(learn_lexicon_create(session, &plan) == NULL && dev_status(session) == DEV_INVALID, "a word of one character is refused");
	learn_lexicon_free(lexicon);
}

static void
test_lexicon_memory(void)
{
	static const char text[] = "acute renal failure acute renal injury";
	static const LearnWord tokens[] = {{0, 5}, {6, 11}, {12, 19}};
	LearnLexiconPlan plan = {6, 0, 1, 1};
	bool		done = false;

	for (size_t fail_at = 1; !done && fail_at < 300; fail_at++)
	{
		CheckHost	counter;
		DevHost		host = check_host(&counter, fail_at);
		DevSession *session;
		LearnLexicon *lexicon;

		if (dev_session_open(&host, 1, &session) != DEV_OK)
			continue;
		lexicon = learn_lexicon_create(session, &plan);
		done = lexicon != NULL && learn_lexicon_count(lexicon, text, strlen(text), tokens, 3) == DEV_OK && learn_lexicon_fit(lexicon) == DEV_OK;
		if (!done && dev_status(session) != DEV_NO_MEMORY)
			CHECK(false, "failing allocation %zu is told", fail_at);
		learn_lexicon_free(lexicon);
		dev_session_close(session);
		if (counter.held != 0)
			CHECK(false, "failing allocation %zu leaves nothing", fail_at);
	}
	CHECK(done, "a lexicon survives every failing allocation");
}

/* ---- Augmentation ---- */

static void
test_mask(void)
{
	enum
	{
		N = 3000
	};
	static int32_t a[N];
	static int32_t b[N];
	static int32_t word[N];
	size_t		replaced;
	bool		whole = true;

	for (int i = 0; i < N; i++)
	{
		a[i] = 100 + i;
		word[i] = i == 0 || i == N - 1 ? LEARN_NO_WORD : (i - 1) / 2;
	}
	memcpy(b, a, sizeof(a));
	CHECK(learn_text_mask(N, a, word, 7, 0, 1, 2, 3) == 0 && memcmp(a, b, sizeof(a)) == 0, "rate 0 changes nothing");
	replaced = learn_text_mask(N, a, word, 7, 0.2, 1, 2, 3);
	CHECK(replaced > N / 5 - 150 && replaced < N / 5 + 150, "a fifth is masked (%zu)", replaced);
	CHECK(learn_text_mask(N, b, word, 7, 0.2, 1, 2, 3) == replaced && memcmp(a, b, sizeof(a)) == 0, "the same draw masks the same");
	for (int i = 1; i + 1 < N - 1; i += 2)
		whole &= (a[i] == 7) == (a[i + 1] == 7);
	CHECK(whole, "words are masked whole");
	CHECK(learn_text_mask(N, b, word, 7, 1, 1, 2, 3) == N - 2 && b[0] == 100 && b[N - 1] == 100 + N - 1, "rate 1 leaves special tokens alone");
	CHECK(learn_text_mask(N, b, NULL, 9, 1, 1, 2, 3) == N && b[0] == 9, "without words every id is one");
}

static void
test_swap(void)
{
	static const int32_t word[] = {LEARN_NO_WORD, 0, 0, 1, 2, 2, 2, 3, LEARN_NO_WORD};
	int32_t		a[] = {1, 10, 11, 20, 30, 31, 32, 40, 2};
	static const int32_t swapped[] = {1, 20, 10, 11, 40, 30, 31, 32, 2};
	int32_t		many[1000];
	size_t		exchanges;
	int64_t		sum = 0;

	CHECK(learn_text_swap(9, a, word, 0, 1, 1, 1) == 0, "rate 0 exchanges nothing");
	CHECK(learn_text_swap(9, a, word, 1, 1, 1, 1) == 2 && memcmp(a, swapped, sizeof(a)) == 0, "neighbouring words change places, whole");
	for (int i = 0; i < 1000; i++)
		many[i] = i;
	exchanges = learn_text_swap(1000, many, NULL, 0.1, 1, 2, 3);
	for (int i = 0; i < 1000; i++)
		sum += abs(many[i] - i);
	CHECK(exchanges > 50 && exchanges < 150 && sum == 2 * (int64_t) exchanges, "without words ids change places with their neighbour");
}

/* The text that pieces spell, words with blanks between them. */
static const char *
spelled(const LearnVocabulary *vocabulary, const int32_t *pieces, size_t n)
{
	static char text[400];
	size_t		size = 0;

	for (size_t i = 0; i < n; i++)
	{
		const char *piece = learn_vocabulary_piece(vocabulary, pieces[i], NULL);
		bool		continues = strncmp(piece, "##", 2) == 0;

		size += (size_t) snprintf(text + size, sizeof(text) - size, "%s%s", continues || i == 0 ? "" : " ", continues ? piece + 2 : piece);
	}
	return text;
}

/* What is written in another case has the pieces that the tokeniser makes of it, and fits where it has to. */
static void
test_case(DevSession *session)
{
	static const char *const pieces[] = {"[PAD]", "[UNK]", "heart", "Heart", "HE", "##ART", "\303\211", "##tat", "\303\251", "##T",
		"##A", "12", "##heart"};
	static const int32_t note[] = {2, 6, 7, 11, 1, 2};	/* heart Etat 12 [UNK] heart */
	LearnVocabulary *vocabulary = vocabulary_of(session, false, LENGTH(pieces), pieces);
	LearnTextWish wish = {MOST, false, LEARN_KEEP_HEAD, LEARN_UTF8_REFUSE};
	LearnTrouble trouble;
	int32_t		changed[12];
	int32_t		again[12];
	int32_t		expected[12];
	bool		seen[4] = {false, false, false, false};
	bool		right = true;
	size_t		m;

	memcpy(changed, note, sizeof(note));
	CHECK(learn_text_case(vocabulary, 6, 12, changed, 0, 1, 1, 0) == 6 && memcmp(changed, note, sizeof(note)) == 0, "rate 0 rewrites nothing");
	for (uint64_t counter = 0; counter < 300; counter += 6)
	{
		size_t		n;
		const char *text;

		memcpy(changed, note, sizeof(note));
		memcpy(again, note, sizeof(note));
		n = learn_text_case(vocabulary, 6, 12, changed, 1, 1, 1, counter);
		right = right && n == learn_text_case(vocabulary, 6, 12, again, 1, 1, 1, counter) && memcmp(changed, again, n * sizeof(int32_t)) == 0;
		text = spelled(vocabulary, changed, n);
		seen[0] |= strncmp(text, "heart \303\251tat ", 12) == 0 && n == 6;
		seen[1] |= strncmp(text, "HEART", 5) == 0 && changed[0] == 4 && changed[1] == 5;
		seen[2] |= strncmp(text, "Heart ", 6) == 0 && changed[0] == 3;
		seen[3] |= strstr(text, "\303\211TAT 12 ") != NULL;
		right = right && strstr(text, " 12 [UNK] ") != NULL;
		/* as if it had been written so */
		right = right && learn_text_encode(vocabulary, text, 5, &wish, expected, NULL, NULL, NULL, &m, &trouble) &&
			memcmp(expected, changed, m * sizeof(int32_t)) == 0;
		memcpy(changed, note, sizeof(note));
		right = right && learn_text_case(vocabulary, 6, 6, changed, 1, 1, 1, counter) <= 6;
	}
	CHECK(right, "the same draw gives the same pieces, the tokeniser's own, and what does not fit stays");
	CHECK(seen[0] && seen[1] && seen[2] && seen[3], "lower, upper and capital first all occur, with more pieces where it takes more");
	learn_text_join(vocabulary, 6, (int32_t[]) {12, 2, 6, 7, 1, 5}, expected);
	CHECK(memcmp(expected, (int32_t[]) {0, 1, 2, 2, 3, 3}, 6 * sizeof(int32_t)) == 0, "pieces say which of them are one word");
	memcpy(changed, (int32_t[]) {12, 2, 2}, 3 * sizeof(int32_t));
	CHECK(learn_text_case(vocabulary, 3, 3, changed, 1, 1, 1, 0) == 3 && changed[0] == 12, "a word cut off at the beginning is left alone");
	learn_vocabulary_free(vocabulary);
}

static void
test_lexicon_case(DevSession *session)
{
	static const char text[] = "tumour tumour TUMOUR P53 p53 (S) tumorigenesis TUMORIGENESIS 1998";
	LearnWord	tokens[16];
	size_t		n;
	LearnLexicon *lexicon = small_lexicon(session, text, tokens, &n);
	int32_t		characters[16][6];
	int32_t		changed[16][6];
	int32_t		shape[16];
	int32_t		changed_shape[16];
	LearnTrouble trouble = {0};
	bool		right = true;
	bool		seen[3] = {false, false, false};

	CHECK_OR_STOP(n == 11, "%zu words are found", n);
	CHECK(learn_lexicon_encode(lexicon, text, strlen(text), tokens, n, NULL, characters[0], shape, NULL, &trouble), "words are encoded");
	for (uint64_t counter = 0; counter < 600; counter += 11)
	{
		memcpy(changed, characters, sizeof(characters));
		memcpy(changed_shape, shape, sizeof(shape));
		learn_lexicon_case(lexicon, n, changed[0], changed_shape, 1, 1, 1, counter);
		if (changed_shape[0] == LEARN_SHAPE_UPPER)
			right = right && memcmp(changed[0], characters[2], sizeof(changed[0])) == 0;
		if (changed_shape[0] == LEARN_SHAPE_TITLE)
			right = right && memcmp(changed[0] + 1, characters[0] + 1, 5 * sizeof(int32_t)) == 0 && changed[0][0] != characters[0][0];
		if (changed_shape[3] == LEARN_SHAPE_LOWER_DIGITS)
			right = right && memcmp(changed[3], characters[4], sizeof(changed[3])) == 0;
		/* Of a long word both ends are what is seen of it. */
		if (changed_shape[8] == LEARN_SHAPE_UPPER)
			right = right && memcmp(changed[8], characters[9], sizeof(changed[8])) == 0;
		right = right && memcmp(changed[5], characters[5], sizeof(changed[5])) == 0 && changed_shape[10] == LEARN_SHAPE_DIGITS;
		seen[0] |= changed_shape[2] == LEARN_SHAPE_LOWER;
		seen[1] |= changed_shape[0] == LEARN_SHAPE_UPPER;
		seen[2] |= changed_shape[0] == LEARN_SHAPE_TITLE;
	}
	CHECK(right, "characters and shapes are those of the word written anew");
	CHECK(seen[0] && seen[1] && seen[2], "in all three ways");
	learn_lexicon_free(lexicon);
}

int
main(void)
{
	DevSession *session = open_session();

	test_reference(session);
	test_words();
	test_invalid(session);
	test_truncation(session);
	test_long(session);
	test_lexicon(session);
	test_lexicon_storage(session);
	test_lexicon_memory();
	test_mask();
	test_swap();
	test_case(session);
	test_lexicon_case(session);
	dev_session_close(session);
	return check_done();
}

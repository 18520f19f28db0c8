/*
 * test_text.c: words, pieces and their bytes against Hugging Face's tokenizers (frozen by reference/text.py), on exotic,
 * broken and very long text; truncation; lexicon; augmentation.
 */
#include "check.h"

#include "idla/learn_text.h"

#include <time.h>

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

int
main(void)
{
	DevSession *session = open_session();

	test_reference(session);
	dev_session_close(session);
	return check_done();
}

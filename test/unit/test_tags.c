/*
 * test_tags.c: tags read, repaired and refused; spans to codes and back; scores against seqeval and scikit-learn (frozen by
 * reference/tags.py).
 */
#include "check.h"

#include "idla/learn_tags.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define MOST_CLASSES 32

typedef struct TagCase
{
	LearnTagScheme scheme;
	int32_t		n_labels;
	size_t		n_sequences;
	const size_t *lengths;
	const int32_t *actual;
	const int32_t *said;
	const double *values;
	size_t		n_values;
} TagCase;

#include "reference/tags.h"

static DevSession *
open_session(void)
{
	DevSession *session;

	CHECK_OR_STOP(dev_session_open(NULL, 7, &session) == DEV_OK, "a session opens");
	return session;
}

/* Tags between blanks; returns how many. The text is cut up. */
static size_t
split(char *text, const char **tags, size_t room)
{
	size_t		n = 0;

	for (char *tag = strtok(text, " "); tag != NULL && n < room; tag = strtok(NULL, " "))
		tags[n++] = tag;
	return n;
}

static size_t
list_of(const char *text, char *copy, const char **tags)
{
	strcpy(copy, text);
	return split(copy, tags, 32);
}

/* Labels A and B, settled on the tags of `text`. */
static LearnLabels *
labels_of(DevSession *session, const char *text)
{
	LearnLabels *labels = learn_labels_create(session);
	char		copy[400];
	const char *tags[32];
	size_t		n = list_of(text, copy, tags);

	CHECK_OR_STOP(labels != NULL, "labels are made");
	CHECK_STATUS(session, learn_labels_count(labels, n, tags, NULL), DEV_OK, "tags \"%s\" are counted", text);
	CHECK_STATUS(session, learn_labels_settle(labels), DEV_OK, "and settled");
	return labels;
}

static void
test_schemes(DevSession *session)
{
	static const struct
	{
		const char *tags;
		LearnTagScheme scheme;
		int			disorder;
	}			cases[] = {
		{"O B-A I-A O B-A B-A", LEARN_IOB2, 0},
		{"O I-A I-A O I-B B-B I-B O", LEARN_IOB1, 0},
		{"O B-A E-A O S-B B-A I-A E-A", LEARN_IOBES, 0},
		{"O B-A L-A O U-B B-A I-A L-A", LEARN_IOBES, 0},
		{"S-A O S-A", LEARN_IOBES, 0},
		{"B-A I-A I-B O B-A I-A O B-B", LEARN_IOB2, 1},
		{"B-A B-A", LEARN_IOB2, 0},
		{"B I O B", LEARN_IOB2, 0},
		{"B_x I_x O", LEARN_IOB2, 0}
	};

	for (size_t i = 0; i < LENGTH(cases); i++)
	{
		LearnLabels *labels = labels_of(session, cases[i].tags);

		CHECK(learn_labels_scheme(labels) == cases[i].scheme, "\"%s\" is scheme %d (%d)", cases[i].tags, cases[i].scheme,
			  learn_labels_scheme(labels));
		CHECK(learn_labels_disorder(labels) == (uint64_t) cases[i].disorder, "with %d tags out of order", cases[i].disorder);
		learn_labels_free(labels);
	}
}

static void
check_read(const LearnLabels *labels, LearnTagScheme from, LearnTagScheme to, const char *text, const char *expected, size_t repaired)
{
	char		copy[400];
	char		written[400] = "";
	const char *tags[32];
	size_t		n = list_of(text, copy, tags);
	int32_t		codes[32];
	size_t		counted;
	LearnTrouble trouble = {0};

	CHECK(learn_tags_read(labels, from, to, true, n, tags, NULL, codes, &counted, &trouble), "\"%s\" is read", text);
	for (size_t i = 0; i < n; i++)
	{
		char		tag[64];

		if (i > 0)
			strcat(written, " ");
		strcat(written, learn_tag_text(labels, to, codes[i], tag, sizeof(tag)));
	}
	CHECK(strcmp(written, expected) == 0, "as \"%s\" (\"%s\")", expected, written);
	CHECK(counted == repaired, "with %zu repairs (%zu)", repaired, counted);
	CHECK(learn_tags_read(labels, from, to, false, n, tags, NULL, codes, NULL, &trouble) == (repaired == 0),
		  "and %s when repairing is not wanted", repaired == 0 ? "read" : "refused");
	if (repaired > 0)
		CHECK(trouble.status == DEV_BAD_DATA && strstr(trouble.message, "out of order") != NULL, "with a message: %s", trouble.message);
}

static void
test_reading(DevSession *session)
{
	LearnLabels *labels = labels_of(session, "B-B I-B O B-A I-A");

	check_read(labels, LEARN_IOB2, LEARN_IOBES, "O B-A I-A I-A O B-B B-B", "O B-A I-A E-A O S-B S-B", 0);
	check_read(labels, LEARN_IOB2, LEARN_IOB2, "O B-A I-A I-A O B-B B-B", "O B-A I-A I-A O B-B B-B", 0);
	check_read(labels, LEARN_IOB1, LEARN_IOB2, "I-A I-A B-A I-B O I-B", "B-A I-A B-A B-B O B-B", 0);
	check_read(labels, LEARN_IOB1, LEARN_IOBES, "I-A I-A B-A I-B O I-B", "B-A E-A S-A S-B O S-B", 0);
	check_read(labels, LEARN_IOBES, LEARN_IOB2, "B-A E-A S-A S-B O B-B I-B E-B", "B-A I-A B-A B-B O B-B I-B I-B", 0);
	check_read(labels, LEARN_IOBES, LEARN_IOBES, "B-A L-A U-B", "B-A E-A S-B", 0);
	check_read(labels, LEARN_IOB2, LEARN_IOB2, "I-A I-B O I-B I-B", "B-A B-B O B-B I-B", 3);
	check_read(labels, LEARN_IOBES, LEARN_IOBES, "B-A O I-A E-B", "S-A O S-A S-B", 3);
	check_read(labels, LEARN_IOB1, LEARN_IOB2, "O B-A I-A", "O B-A I-A", 1);
	check_read(labels, LEARN_IOB2, LEARN_IOB2, "", "", 0);
	learn_labels_free(labels);
}

static void
test_bad_tags(DevSession *session)
{
	static const char *const bad[] = {"", "X-A", "B-", "BA", "b-A", "A", "OO", "I", "B-\xff"};
	LearnLabels *labels = labels_of(session, "B-A O");
	LearnTrouble trouble = {0};
	int32_t		code;

	for (size_t i = 0; i < LENGTH(bad); i++)
	{
		bool		unknown = strcmp(bad[i], "I") == 0;	/* a tag, of label "_" */

		CHECK(!learn_tags_read(labels, LEARN_IOB2, LEARN_IOB2, true, 1, &bad[i], NULL, &code, NULL, &trouble), "tag \"%s\" is refused", bad[i]);
		CHECK(trouble.status == DEV_BAD_DATA && strstr(trouble.message, unknown ? "not known" : "not a tag") != NULL, "with a message: %s",
			  trouble.message);
	}
	CHECK_STATUS(session, learn_labels_count(labels, 1, bad, NULL), DEV_INVALID, "settled labels take no more");
	learn_labels_free(labels);
	labels = learn_labels_create(session);
	CHECK_STATUS(session, learn_labels_count(labels, 1, &bad[1], NULL), DEV_BAD_DATA, "a bad tag cannot be counted");
	CHECK(strstr(dev_hint_text(session), "B-Disease") != NULL, "the hint shows how to write one");
	CHECK_STATUS(session, learn_labels_settle(labels), DEV_BAD_DATA, "no labels cannot be settled");
	learn_labels_free(labels);
}

static void
test_many_labels(DevSession *session)
{
	LearnLabels *labels = learn_labels_create(session);
	DevStatus	status = DEV_OK;
	int			n = 0;

	for (; status == DEV_OK && n <= LEARN_MAX_LABELS; n++)
	{
		char		text[16];
		const char *tag = text;

		snprintf(text, sizeof(text), "B-L%d", n);
		status = learn_labels_count(labels, 1, &tag, NULL);
	}
	CHECK(status == DEV_BAD_DATA && n == LEARN_MAX_LABELS + 1, "label number %d is refused", n);
	CHECK_STATUS(session, learn_labels_settle(labels), DEV_OK, "the others stay");
	CHECK(strcmp(learn_labels_text(labels, 1), "L1") == 0 && strcmp(learn_labels_text(labels, 2), "L10") == 0, "sorted by their bytes");
	CHECK(learn_labels_find(labels, "L10", 3) == 2 && learn_labels_find(labels, "M", 1) == -1, "and found");
	learn_labels_free(labels);
}

static void
test_restore(DevSession *session)
{
	static const char *const good[] = {"Chemical", "Disease"};
	static const char *const twice[] = {"Disease", "Disease"};
	static const char *const empty[] = {""};
	LearnLabels *labels;
	char		text[8];

	CHECK_STATUS(session, learn_labels_restore(session, 2, good, &labels), DEV_OK, "labels come back");
	CHECK(learn_labels_size(labels) == 2 && learn_labels_find(labels, "Disease", 7) == 1, "in their order");
	CHECK(strcmp(learn_tag_text(labels, LEARN_IOBES, learn_tag_code(LEARN_IOBES, 1, LEARN_TAG_E), text, sizeof(text)), "E-Disea") == 0,
		  "a tag's text is cut to its room");
	learn_labels_free(labels);
	CHECK_STATUS(session, learn_labels_restore(session, 2, twice, &labels), DEV_CORRUPT, "a label twice is refused");
	CHECK_STATUS(session, learn_labels_restore(session, 1, empty, &labels), DEV_CORRUPT, "an empty one too");
	CHECK_STATUS(session, learn_labels_restore(session, 0, good, &labels), DEV_CORRUPT, "none at all too");
	CHECK_STATUS(session, learn_labels_restore(session, LEARN_MAX_LABELS + 1, good, &labels), DEV_CORRUPT, "too many too, before looking");
}

/* Whatever follows is allowed exactly when a sequence with it reads the same after being written out again. */
static void
test_follows(void)
{
	for (int s = LEARN_IOB2; s <= LEARN_IOBES; s++)
	{
		LearnTagScheme scheme = (LearnTagScheme) s;
		int32_t		n = learn_tag_codes(scheme, 2);
		bool		agree = true;

		for (int32_t a = 0; a < n; a++)
			for (int32_t b = 0; b < n; b++)
				for (int32_t c = 0; c < n; c++)
				{
					int32_t		codes[3] = {a, b, c};
					int32_t		again[3] = {0, 0, 0};
					LearnSpan	spans[3];
					size_t		found = learn_tags_spans(scheme, 2, false, 3, codes, NULL, spans);
					LearnWord	tokens[3] = {{0, 1}, {1, 2}, {2, 3}};
					LearnTrouble trouble;
					bool		allowed = learn_tag_follows(scheme, -1, a) && learn_tag_follows(scheme, a, b) &&
						learn_tag_follows(scheme, b, c) && learn_tag_follows(scheme, c, -1);

					learn_tags_from_spans(scheme, 2, 3, tokens, found, spans, again, &trouble);
					agree &= allowed == (memcmp(codes, again, sizeof(codes)) == 0);
				}
		CHECK(agree, "in scheme %d exactly the well-formed sequences of three may follow each other", s);
	}
}

static bool
same_codes(const int32_t *codes, const char *expected, const LearnLabels *labels, size_t n)
{
	char		written[400] = "";

	for (size_t i = 0; i < n; i++)
	{
		char		tag[32];

		strcat(written, i > 0 ? " " : "");
		strcat(written, learn_tag_text(labels, LEARN_IOBES, codes[i], tag, sizeof(tag)));
	}
	if (strcmp(written, expected) != 0)
		printf("#   %s\n", written);
	return strcmp(written, expected) == 0;
}

static void
test_spans(DevSession *session)
{
	/* "acute renal failure, TNF-alpha" */
	static const LearnWord tokens[] = {{0, 5}, {6, 11}, {12, 19}, {19, 20}, {21, 24}, {24, 25}, {25, 30}};
	LearnLabels *labels = labels_of(session, "B-A B-B");
	LearnSpan	fits[] = {{6, 19, 0, 1}, {21, 30, 1, 1}};
	LearnSpan	blanks[] = {{5, 20, 0, 1}};
	LearnSpan	inside[] = {{7, 19, 0, 1}};
	LearnSpan	overlap[] = {{12, 19, 1, 1}, {0, 19, 0, 1}, {26, 27, 1, 1}};
	LearnSpan	nothing[] = {{20, 21, 0, 1}};
	LearnSpan	unknown[] = {{0, 5, 2, 1}};
	LearnTrouble trouble = {0};
	int32_t		codes[7];
	LearnSpan	found[7];
	float		scores[7] = {1, 0.5f, 0.75f, 1, 0.25f, 1, 1};

	CHECK(learn_tags_from_spans(LEARN_IOBES, 2, 7, tokens, 2, fits, codes, &trouble), "spans that fit are taken");
	CHECK(same_codes(codes, "O B-A E-A O B-B I-B E-B", labels, 7), "as codes");
	CHECK(learn_tags_spans(LEARN_IOBES, 2, true, 7, codes, scores, found) == 2, "codes give two spans back");
	learn_spans_place(2, found, tokens);
	CHECK(found[0].start == 6 && found[0].end == 19 && found[0].label == 0 && found[1].start == 21 && found[1].end == 30 && found[1].label == 1,
		  "the same ones");
	CHECK(found[0].score == 0.5f && found[1].score == 0.25f, "each as certain as its least certain token");
	CHECK(learn_tags_from_spans(LEARN_IOBES, 2, 7, tokens, 1, blanks, codes, &trouble) &&
		  same_codes(codes, "O B-A I-A E-A O O O", labels, 7), "a border between tokens is fine");

	CHECK(!learn_tags_from_spans(LEARN_IOBES, 2, 7, tokens, 1, inside, codes, &trouble) &&
		  strstr(trouble.message, "inside a token") != NULL, "a border inside a token is refused: %s", trouble.message);
	CHECK(!learn_tags_from_spans(LEARN_IOBES, 2, 7, tokens, 3, overlap, codes, &trouble) &&
		  strstr(trouble.message, "overlaps") != NULL, "an overlap is refused: %s", trouble.message);
	CHECK(!learn_tags_from_spans(LEARN_IOBES, 2, 7, tokens, 1, nothing, codes, &trouble), "a span of blanks is refused: %s",
		  trouble.message);
	CHECK(!learn_tags_from_spans(LEARN_IOBES, 2, 7, tokens, 1, unknown, codes, &trouble) && trouble.status == DEV_INVALID,
		  "an unknown label is always refused");
	CHECK(learn_tags_from_spans(LEARN_IOBES, 2, 0, tokens, 0, fits, codes, &trouble), "no spans on no tokens are fine");
	learn_labels_free(labels);
}

static void
test_positions(void)
{
	static const char text[] = "na\303\257ve \345\277\203\360\237\222\231 x\377y";	/* characters: n a ï v e _ 心 💙 _ x ? y */
	LearnSpan	spans[] = {{11, 12, 3, 1}, {6, 8, 2, 1}, {0, 12, 1, 1}, {2, 3, 0, 1}};
	LearnSpan	past[] = {{3, 13, 0, 1}};
	LearnSpan	split_one[] = {{0, 3, 0, 1}};
	LearnSpan	empty[] = {{3, 3, 0, 1}};
	LearnTrouble trouble = {0};
	size_t		size = sizeof(text) - 1;

	CHECK(learn_spans_to_bytes(text, size, spans, 4, &trouble), "characters become bytes");
	CHECK(spans[0].start == 0 && spans[0].end == size && spans[0].label == 1, "the whole text");
	CHECK(spans[1].start == 2 && spans[1].end == 4 && spans[1].label == 0, "a letter of two bytes");
	CHECK(spans[2].start == 7 && spans[2].end == 14 && spans[2].label == 2, "characters of three and four bytes");
	CHECK(spans[3].start == 17 && spans[3].end == 18 && spans[3].label == 3, "what follows a wrong byte");
	CHECK(learn_spans_to_characters(text, size, spans, 4, &trouble), "and characters again");
	CHECK(spans[0].end == 12 && spans[1].start == 2 && spans[1].end == 3 && spans[2].start == 6 && spans[2].end == 8 && spans[3].start == 11,
		  "the same ones");
	CHECK(!learn_spans_to_bytes(text, size, past, 1, &trouble) && trouble.status == DEV_BAD_DATA, "a span past the end is refused: %s",
		  trouble.message);
	CHECK(!learn_spans_to_characters(text, size, split_one, 1, &trouble), "one that splits a character too: %s", trouble.message);
	CHECK(!learn_spans_to_bytes(text, size, empty, 1, &trouble), "an empty one too: %s", trouble.message);
	CHECK(learn_spans_to_bytes(text, size, empty, 0, &trouble), "no spans are fine");
}

static size_t
check_level(const LearnTagScores *scores, const TagCase *a, LearnTagLevel level, size_t at, size_t *wrong)
{
	LearnClassScore per_class[MOST_CLASSES];
	LearnClassScore averages[3];
	size_t		n = (size_t) (level <= LEARN_LEVEL_TAGGED ? learn_tag_codes(a->scheme, a->n_labels) : a->n_labels);
	double		accuracy = learn_tag_scores_report(scores, level, per_class, averages);

	for (size_t i = 0; i < n + 3; i++, at += 4)
	{
		const LearnClassScore *is = i < n ? &per_class[i] : &averages[i - n];
		const double *e = a->values + at;

		*wrong += !(fabs(is->precision - e[0]) < 1e-12 && fabs(is->recall - e[1]) < 1e-12 && fabs(is->f1 - e[2]) < 1e-12 &&
					(double) is->support == e[3]);
	}
	if (level == LEARN_LEVEL_TOKENS)
		*wrong += !(fabs(accuracy - a->values[a->n_values - 1]) < 1e-12);
	return at;
}

static void
test_scores(DevSession *session)
{
	for (size_t i = 0; i < LENGTH(tag_cases); i++)
	{
		const TagCase *a = &tag_cases[i];
		LearnTagScores *halves[2] = {learn_tag_scores_create(session, a->scheme, a->n_labels),
			learn_tag_scores_create(session, a->scheme, a->n_labels)};
		size_t		at = 0;
		size_t		wrong = 0;

		for (size_t s = 0; s < a->n_sequences; s++)
		{
			learn_tag_scores_add(halves[s % 2], a->lengths[s], a->actual + at, a->said + at);
			at += a->lengths[s];
		}
		learn_tag_scores_merge(halves[0], halves[1]);
		at = 0;
		for (int level = LEARN_LEVEL_TOKENS; level <= LEARN_LEVEL_STRICT; level++)
			at = check_level(halves[0], a, (LearnTagLevel) level, at, &wrong);
		CHECK(wrong == 0 && at + 1 == a->n_values, "case %zu: all %zu values are the reference's, %zu differ", i, a->n_values, wrong);
		learn_tag_scores_free(halves[0]);
		learn_tag_scores_free(halves[1]);
	}
}

static void
test_score_edges(DevSession *session)
{
	LearnTagScores *scores = learn_tag_scores_create(session, LEARN_IOB2, 1);
	LearnClassScore per_class[3];
	LearnClassScore averages[3];
	int32_t		actual[] = {1, LEARN_NO_TAG, 0, 99};
	int32_t		said[] = {1, 2, 0, -7};

	CHECK(isnan(learn_tag_scores_report(scores, LEARN_LEVEL_TOKENS, per_class, averages)) && averages[0].f1 == 0, "without tokens nothing is right");
	learn_tag_scores_add(scores, 0, actual, said);
	learn_tag_scores_add(scores, 4, actual, said);
	CHECK_NEAR(learn_tag_scores_report(scores, LEARN_LEVEL_TOKENS, per_class, averages), 1, 0, "tokens without a tag are left out");
	CHECK(per_class[0].support == 2 && per_class[1].support == 1, "codes that do not exist count as outside");
	CHECK(isnan(learn_tag_scores_report(scores, LEARN_LEVEL_ENTITIES, per_class, averages)) && per_class[0].support == 1 && averages[0].f1 == 0,
		  "an entity that is too long is wrong");
	learn_tag_scores_free(scores);
	CHECK(learn_tag_scores_create(session, LEARN_IOB2, 0) == NULL && dev_status(session) == DEV_INVALID, "scores of no labels are refused");
	CHECK(learn_tag_scores_create(session, LEARN_IOB1, 1) == NULL, "IOB1 has no codes");
}

static void
test_memory(void)
{
	bool		done = false;

	for (size_t fail_at = 1; !done && fail_at < 60; fail_at++)
	{
		CheckHost	counter;
		DevHost		host = check_host(&counter, fail_at);
		DevSession *session;
		const char *tags[] = {"B-A", "O", "B-B"};
		LearnLabels *labels;
		LearnTagScores *scores;

		if (dev_session_open(&host, 1, &session) != DEV_OK)
			continue;
		labels = learn_labels_create(session);
		scores = learn_tag_scores_create(session, LEARN_IOBES, 2);
		done = labels != NULL && scores != NULL && learn_labels_count(labels, 3, tags, NULL) == DEV_OK && learn_labels_settle(labels) == DEV_OK;
		if (!done && dev_status(session) != DEV_NO_MEMORY)
			CHECK(false, "failing allocation %zu is told", fail_at);
		learn_labels_free(labels);
		learn_tag_scores_free(scores);
		dev_session_close(session);
		if (counter.held != 0)
			CHECK(false, "failing allocation %zu leaves nothing", fail_at);
	}
	CHECK(done, "labels and scores survive every failing allocation");
}

int
main(void)
{
	DevSession *session = open_session();

	test_schemes(session);
	test_reading(session);
	test_bad_tags(session);
	test_many_labels(session);
	test_restore(session);
	test_follows();
	test_spans(session);
	test_positions();
	test_scores(session);
	test_score_edges(session);
	test_memory();
	dev_session_close(session);
	return check_done();
}

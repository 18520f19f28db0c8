/*
 * learn_tags.h: labels of tokens, the entities they mean, and how well they were found.
 *
 * A tagger's target is one code a token: 0 is outside, and each label has two codes under IOB2 (B begins an entity, I
 * continues it) or four under IOBES (E ends it, S is one of a single token). Users write tags
 * ("B-Disease"), in IOB1, IOB2, IOBES or its other name BILOU, or spans of the text; both become codes
 * here, and codes become spans again.
 *
 * One reading underlies everything, conlleval's: an entity is a longest run of tokens with one label in which
 * only the first may be B or S and only the last E or S. A tag is in order when writing that run out again in its scheme gives the
 * same tag. A strict reading keeps only runs that begin with B or S and, under IOBES, end with E or S.
 *
 * Threads: what takes a LearnTrouble, or nothing but plain arrays, may run on any thread and allocates nothing.
 */
#ifndef IDLA_LEARN_TAGS_H
#define IDLA_LEARN_TAGS_H

#include "idla/learn_metrics.h"
#include "idla/learn_text.h"

#define LEARN_MAX_LABELS 4096
#define LEARN_MAX_LABEL_BYTES 256
#define LEARN_OUTSIDE 0
#define LEARN_NO_TAG (-1)

typedef enum LearnTagScheme
{
	LEARN_IOB2,
	LEARN_IOBES,
	LEARN_IOB1					/* of what users write only: B where an entity touches one of its label, else I */
} LearnTagScheme;

/* The place of a token in its entity; codes of a label are in this order. */
typedef enum LearnTagPlace
{
	LEARN_TAG_B,
	LEARN_TAG_I,
	LEARN_TAG_E,
	LEARN_TAG_S
} LearnTagPlace;

/* Codes there are: 1 + 2 or 4 a label. scheme is not LEARN_IOB1, here and where codes are meant. */
static inline int32_t
learn_tag_codes(LearnTagScheme scheme, int32_t n_labels)
{
	return 1 + n_labels * (scheme == LEARN_IOB2 ? 2 : 4);
}

static inline int32_t
learn_tag_code(LearnTagScheme scheme, int32_t label, LearnTagPlace place)
{
	return 1 + label * (scheme == LEARN_IOB2 ? 2 : 4) + (int32_t) place;
}

static inline int32_t
learn_tag_label(LearnTagScheme scheme, int32_t code)
{
	return code <= LEARN_OUTSIDE ? -1 : (code - 1) / (scheme == LEARN_IOB2 ? 2 : 4);
}

static inline LearnTagPlace
learn_tag_place(LearnTagScheme scheme, int32_t code)
{
	return (LearnTagPlace) ((code - 1) % (scheme == LEARN_IOB2 ? 2 : 4));
}

/* Whether a code may follow another in a well-formed sequence; -1 stands for its beginning (before) and end (after). For the CRF. */
extern bool learn_tag_follows(LearnTagScheme scheme, int32_t before, int32_t after);

/* ---- The labels of a training ---- */

typedef struct LearnLabels LearnLabels;

/* Empty; NULL after recording the failure. Count every training sequence, then settle. */
extern LearnLabels *learn_labels_create(DevSession *session);
/*
 * Tags of one sequence, each sizes[i] bytes long (sizes NULL: NUL-terminated). DEV_BAD_DATA, naming the tag, when one is neither "O" nor
 * a letter of B, I, E, L, S, U, then "-" or "_" and a label (a letter alone has the label "_"); or at too many labels.
 */
extern DevStatus learn_labels_count(LearnLabels *labels, size_t n, const char *const *tags, const size_t *sizes);
/*
 * Numbers the labels in order of their bytes and decides the scheme that fewest tags contradict: on ties IOB2, then IOB1. DEV_BAD_DATA without
 * labels.
 */
extern DevStatus learn_labels_settle(LearnLabels *labels);
/* Settled labels from storage; DEV_CORRUPT when too many, empty, too long or there twice. */
extern DevStatus learn_labels_restore(DevSession *session, int32_t n, const char *const *texts, LearnLabels **labels);
extern void learn_labels_free(LearnLabels *labels);	/* NULL is allowed */
extern int32_t learn_labels_size(const LearnLabels *labels);
extern const char *learn_labels_text(const LearnLabels *labels, int32_t label);	/* NULL out of range */
extern int32_t learn_labels_find(const LearnLabels *labels, const char *text, size_t size);	/* -1: unknown */
extern LearnTagScheme learn_labels_scheme(const LearnLabels *labels);	/* as recognised */
/* Counted tags that the recognised scheme would write otherwise. */
extern uint64_t learn_labels_disorder(const LearnLabels *labels);
/* "B-Disease" or "O" into text, cut to `room` with the NUL (LEARN_MAX_LABEL_BYTES + 3 is enough); returns text. */
extern const char *learn_tag_text(const LearnLabels *labels, LearnTagScheme scheme, int32_t code, char *text, size_t room);

/*
 * Tags of one sequence to codes of scheme `to` (IOB2 or IOBES). Tags out of order under `from` (learn_labels_scheme) are refused, naming the
 * first, or repaired by the lenient reading and counted in *repaired (may be NULL). DEV_BAD_DATA too for a label that is not known.
 */
extern bool learn_tags_read(const LearnLabels *labels, LearnTagScheme from, LearnTagScheme to, bool repair,
							size_t n, const char *const *tags, const size_t *sizes, int32_t *codes, size_t *repaired,
							LearnTrouble *trouble);

/* ---- Spans ---- */

/* An entity: [start, end) in bytes, characters or tokens of a text, as the function says. */
typedef struct LearnSpan
{
	uint32_t	start;
	uint32_t	end;
	int32_t		label;
	float		score;			/* that of its least certain token */
} LearnSpan;

/*
 * Positions in characters (code points) to bytes and back, in any order; the spans come out sorted by start, of equal ones the
 * longer first. DEV_BAD_DATA for a span that is empty, outside the text or not on a border of characters. Text that is no UTF-8:
 * each wrong byte is a character.
 */
extern bool learn_spans_to_bytes(const char *text, size_t size, LearnSpan *spans, size_t n, LearnTrouble *trouble);
extern bool learn_spans_to_characters(const char *text, size_t size, LearnSpan *spans, size_t n, LearnTrouble *trouble);

/*
 * Spans in bytes, in the order given, to codes of tokens (ascending, disjoint). A border between tokens is fine. What does not fit (a
 * border inside a token, an overlap, no token at all) is refused, naming the span.
 */
extern bool learn_tags_from_spans(LearnTagScheme scheme, int32_t n_labels, size_t n_tokens, const LearnWord *tokens,
								  size_t n_spans, const LearnSpan *spans, int32_t *codes, LearnTrouble *trouble);
/*
 * Codes to spans in TOKENS (at most n); returns how many. Codes below 0 or that do not exist count as outside. token_scores (n): the
 * certainty of each token's code, or NULL for 1.
 */
extern size_t learn_tags_spans(LearnTagScheme scheme, int32_t n_labels, bool strict, size_t n, const int32_t *codes,
							   const float *token_scores, LearnSpan *spans);
/* Spans in tokens become spans in bytes of the text. */
extern void learn_spans_place(size_t n, LearnSpan *spans, const LearnWord *tokens);

/* ---- Scores ---- */

/* Sequences are added one by one; nothing but counts is kept. */
typedef struct LearnTagScores LearnTagScores;

typedef enum LearnTagLevel
{
	LEARN_LEVEL_TOKENS,			/* classes are codes, O among them */
	LEARN_LEVEL_TAGGED,			/* the same without O: neither in averages nor in accuracy */
	LEARN_LEVEL_ENTITIES,		/* classes are labels; an entity counts when its borders and label are right (conlleval, seqeval's default) */
	LEARN_LEVEL_STRICT			/* the same by the strict reading (seqeval's strict mode) */
} LearnTagLevel;

extern LearnTagScores *learn_tag_scores_create(DevSession *session, LearnTagScheme scheme, int32_t n_labels);
extern void learn_tag_scores_free(LearnTagScores *scores);	/* NULL is allowed */
/* Any thread that owns the scores. Tokens whose actual code is LEARN_NO_TAG are left out of the token levels and outside of entities. */
extern void learn_tag_scores_add(LearnTagScores *scores, size_t n, const int32_t *actual, const int32_t *predicted);
extern void learn_tag_scores_merge(LearnTagScores *scores, const LearnTagScores *more);
/*
 * per_class: learn_tag_codes at token levels, else labels; averages: [0] micro, [1] macro over classes that occur or are
 * predicted, [2] by support. What is undefined is 0, as in scikit-learn. Returns the accuracy: of LEARN_LEVEL_TOKENS over all tokens, of
 * LEARN_LEVEL_TAGGED over those that are not O; NaN at entity levels and without tokens.
 */
extern double learn_tag_scores_report(const LearnTagScores *scores, LearnTagLevel level, LearnClassScore *per_class,
									  LearnClassScore averages[3]);

#endif							/* IDLA_LEARN_TAGS_H */

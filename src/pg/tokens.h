/*
 * tokens.h: texts cut into tokens, with their tags; shared by reading, tagging and judging.
 */
#ifndef IDLA_TOKENS_H
#define IDLA_TOKENS_H

#include "idla.h"

#include "idla/learn_tags.h"

/* ---- tokens.c ---- */

/* A text in UTF-8, its tokens, and tags as they are written ("B-Disease"), NULL without. Memory of the current context. */
typedef struct IdlaTokens
{
	const char *text;
	size_t		size;
	size_t		n;
	LearnWord  *tokens;
	const char **tags;
} IdlaTokens;

/*
 * value is a text, which is cut into words, or a text[] of tokens, which are joined by blanks. tags: a text[], one for each
 * token, or jsonb [{"start": .., "end": .., "label": ..}, ...] in characters of a text, from 0, the end not included; InvalidOid: there
 * are none. False after filling *trouble.
 */
extern bool idla_tokens_read(Oid type, Datum value, Oid tags_type, Datum tags, IdlaTokens *tokens, LearnTrouble *trouble);
extern bool idla_is_token_array(Oid type);	/* text[] or varchar[] */
extern bool idla_is_tags(Oid type);
/* A value of a string type as a text, which enums, names and types of users' own are not. Palloc'd, or the value itself. */
extern Datum idla_text_datum(Oid type, Datum value);

/* ---- sentences.c: one token a row ---- */

/*
 * A query that makes one row of every sentence of `source`: arrays of tokens and tags by the names of their columns, in the order of column
 * `order`, and the first value of each column in `kept` (of char *, which may repeat). Palloc'd.
 */
extern char *idla_sentences_query(const char *source, const char *token, const char *tag, const char *entity, const char *order,
								  const List *kept);

/* ---- judge_tags.c ---- */

typedef struct IdlaTagJudge IdlaTagJudge;

extern IdlaTagJudge *idla_tag_judge_create(IdlaWork *work, const LearnModel *model);
/* One sentence: codes of LEARN_IOBES. */
extern void idla_tag_judge_add(IdlaTagJudge *judge, size_t n, const int32_t *actual, const int32_t *predicted);
extern size_t idla_tag_judge_sentences(const IdlaTagJudge *judge);
/* The metrics of tagging, f1 first; palloc'd. */
extern IdlaMetric *idla_tag_judge_metrics(IdlaTagJudge *judge, int *n_metrics);
extern const LearnTagScores *idla_tag_judge_scores(const IdlaTagJudge *judge);
/* A source that has the model's tokens and tags, judged. */
extern IdlaTagJudge *idla_tag_judge_source(IdlaWork *work, const IdlaLoaded *loaded, const char *source);
/* Rows (class, precision, recall, f1, support) into a set. level: "entity", "strict", "token", "tagged", or NULL: "entity". */
extern void idla_tag_judge_report(IdlaTagJudge *judge, const LearnModel *model, const char *level,
								  void (*put) (void *context, const char *name, const LearnClassScore *score), void *context);

/* ---- tagging.c ---- */

/* Tokens that are read together: no more than the model reads at a time. */
typedef struct IdlaWindow
{
	size_t		first;
	size_t		n;
} IdlaWindow;

/* A text cut into windows, where sentences seem to end or not; *n of them, palloc'd. */
extern IdlaWindow *idla_tag_windows(const IdlaLoaded *loaded, const IdlaTokens *tokens, bool sentences, size_t *n);
/*
 * The window's stored value, malloc'ed: the caller's to free before anything is raised. words: room for as many as the model reads. False after
 * filling *trouble; raises nothing.
 */
extern bool idla_window_take(const IdlaLoaded *loaded, const IdlaTokens *tokens, const IdlaWindow *window, LearnWord *words, LearnBytes *bytes,
							 LearnTrouble *trouble);
/* The tagger of argument `number`, at the version of another. ERROR for a model that does not tag. */
extern IdlaLoaded *idla_tagger_argument(FunctionCallInfo fcinfo, int number, int version_argument, MemoryContext context);
/* Entities of a text, in order: spans of its tokens. Palloc'd. */
extern LearnSpan *idla_tag_spans(const IdlaLoaded *loaded, const IdlaTokens *tokens, const IdlaWindow *windows, size_t n_windows, size_t *n);
/* Spans of tokens, as they are told: characters of a text, tokens of an array. Palloc'd. */
extern LearnSpan *idla_spans_shown(const IdlaTokens *tokens, const LearnSpan *spans, size_t n, bool array);
/* Bytes of the text. */
extern Datum idla_text_slice(const IdlaTokens *tokens, uint32_t start, uint32_t end);
/* Tags of all tokens, window by window; *actual is NULL without tags. Memory of the current context. */
extern void idla_tag_tokens(const IdlaLoaded *loaded, const IdlaTokens *tokens, const IdlaWindow *windows, size_t n_windows, int32_t **tags,
							int32_t **actual, float **certain);

#endif							/* IDLA_TOKENS_H */

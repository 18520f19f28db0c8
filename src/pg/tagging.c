/*
 * tagging.c: idla_tag, the entities of a text.
 *
 * A tagger learned from sentences of bounded length. A longer text is cut where sentences seem to end, and where none does for too
 * long, after as many tokens as the model reads. Positions in a text are characters from 0, the end not
 * included, as entities are written nearly everywhere: substr(text, start + 1, "end" - start).
 */
#include "statistics.h"
#include "tokens.h"

#include <stdlib.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define FIRST_WINDOWS 64
#define BLOCK 256				/* windows between two looks at whether to stop */

PG_FUNCTION_INFO_V1(idla_tag);

/* ---- windows ---- */

/* Whether a sentence seems to end with token i: a full stop or the like, then a blank; or an empty line. */
static bool
ends_sentence(const IdlaTokens *tokens, size_t i)
{
	const LearnWord *token = &tokens->tokens[i];
	const char *next = tokens->text + token->end;
	char		mark = tokens->text[token->start];
	int			lines = 0;

	if (i + 1 == tokens->n)
		return true;
	for (; next < tokens->text + token[1].start; next++)
		lines += *next == '\n';
	if (lines > 1)
		return true;
	return token->end - token->start == 1 && (mark == '.' || mark == '!' || mark == '?') && token[1].start > token->end;
}

/* One past the window that begins at `first`. */
static size_t
window_end(const IdlaTokens *tokens, size_t first, size_t most, bool sentences)
{
	size_t		end = first + 1;

	while (end < tokens->n && end - first < most && !(sentences && ends_sentence(tokens, end - 1)))
		end++;
	return end;
}

IdlaWindow *
idla_tag_windows(const IdlaLoaded *loaded, const IdlaTokens *tokens, bool sentences, size_t *n)
{
	size_t		most = loaded->model->learn.fields[0].dims[0];
	size_t		capacity = FIRST_WINDOWS;
	IdlaWindow *windows = palloc(sizeof(IdlaWindow) * capacity);
	size_t		end;

	*n = 0;
	for (size_t first = 0; first < tokens->n; first = end)
	{
		if (*n == capacity)
		{
			capacity *= 2;
			windows = repalloc_huge(windows, sizeof(IdlaWindow) * capacity);
		}
		end = window_end(tokens, first, most, sentences);
		windows[(*n)++] = (IdlaWindow) {first, end - first};
	}
	return windows;
}

bool
idla_window_take(const IdlaLoaded *loaded, const IdlaTokens *tokens, const IdlaWindow *window, LearnWord *words, LearnBytes *bytes,
				 LearnTrouble *trouble)
{
	const LearnWord *first = &tokens->tokens[window->first];
	/* The window's own bytes: whatever looks at a text looks at all of it. */
	uint32_t	start = first->start;
	uint32_t	end = first[window->n - 1].end;
	void	   *taken;
	bool		good;

	for (size_t i = 0; i < window->n; i++)
		words[i] = (LearnWord) {first[i].start - start, first[i].end - start};
	good = learn_field_take_tokens(&loaded->model->learn.fields[0], tokens->text + start, end - start, window->n, words,
								   tokens->tags == NULL ? NULL : tokens->tags + window->first, true, &taken, &bytes->size, trouble);
	bytes->bytes = taken;
	return good;
}

static int
compare_windows(const void *a, const void *b)
{
	const IdlaWindow *left = a;
	const IdlaWindow *right = b;

	if (left->n != right->n)
		return left->n < right->n ? -1 : 1;
	return left->first < right->first ? -1 : left->first > right->first;
}

/* Tags of up to BLOCK windows into place; words as in idla_window_take. Nothing is raised while there is memory that is not PostgreSQL's. */
static void
tag_block(const IdlaLoaded *loaded, const IdlaTokens *tokens, size_t n, const IdlaWindow *windows, LearnWord *words, int32_t *tags,
		  int32_t *actual, float *certain)
{
	LearnBytes	texts[BLOCK] = {{0}};
	LearnTagged answers[BLOCK];
	LearnTrouble trouble;
	DevStatus	status = DEV_OK;
	size_t		taken = 0;

	while (taken < n && idla_window_take(loaded, tokens, &windows[taken], words, &texts[taken], &trouble))
	{
		size_t		first = windows[taken].first;

		answers[taken++] = (LearnTagged) {
			.tags = tags + first,.certain = certain + first,.actual = actual == NULL ? NULL : actual + first
		};
	}
	if (taken == n)
		status = learn_predict_tags(loaded->predictor, n, texts, answers);
	for (size_t i = 0; i < taken; i++)
		free((void *) texts[i].bytes);
	if (taken < n)
		idla_raise_trouble(&trouble);
	idla_check(loaded->model->work, status);
}

void
idla_tag_tokens(const IdlaLoaded *loaded, const IdlaTokens *tokens, const IdlaWindow *windows, size_t n_windows, int32_t **tags,
				int32_t **actual, float **certain)
{
	Size		n = Max(tokens->n, 1);
	LearnWord  *words = palloc(sizeof(LearnWord) * loaded->model->learn.fields[0].dims[0]);
	IdlaWindow *sorted = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(IdlaWindow) * Max(n_windows, 1));

	*tags = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int32_t) * n);
	*certain = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * n);
	*actual = tokens->tags == NULL ? NULL : MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int32_t) * n);
	/* Those of one length are computed together, which changes no bit of their tags. */
	memcpy(sorted, windows, sizeof(IdlaWindow) * n_windows);
	qsort(sorted, n_windows, sizeof(IdlaWindow), compare_windows);
	for (size_t i = 0; i < n_windows; i += BLOCK)
	{
		CHECK_FOR_INTERRUPTS();
		tag_block(loaded, tokens, Min(BLOCK, n_windows - i), sorted + i, words, *tags, *actual, *certain);
	}
	pfree(sorted);
	pfree(words);
}

LearnSpan *
idla_tag_spans(const IdlaLoaded *loaded, const IdlaTokens *tokens, const IdlaWindow *windows, size_t n_windows, size_t *n)
{
	LearnSpan  *spans = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(LearnSpan) * Max(tokens->n, 1));
	int32_t    *tags;
	int32_t    *actual;
	float	   *certain;

	idla_tag_tokens(loaded, tokens, windows, n_windows, &tags, &actual, &certain);
	*n = learn_tags_spans(LEARN_IOBES, learn_labels_size(loaded->model->learn.labels), false, tokens->n, tags, certain, spans);
	return spans;
}

/* ---- what is told ---- */

LearnSpan *
idla_spans_shown(const IdlaTokens *tokens, const LearnSpan *spans, size_t n, bool array)
{
	LearnSpan  *shown = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(LearnSpan) * Max(n, 1));
	LearnTrouble trouble;

	memcpy(shown, spans, n * sizeof(LearnSpan));
	if (array)
		return shown;
	learn_spans_place(n, shown, tokens->tokens);
	if (!learn_spans_to_characters(tokens->text, tokens->size, shown, n, &trouble))
		idla_raise_trouble(&trouble);
	return shown;
}

Datum
idla_text_slice(const IdlaTokens *tokens, uint32_t start, uint32_t end)
{
	char	   *utf8 = pnstrdup(tokens->text + start, end - start);
	char	   *text = pg_any_to_server(utf8, (int) strlen(utf8), PG_UTF8);

	return CStringGetTextDatum(text);
}

IdlaLoaded *
idla_tagger_argument(FunctionCallInfo fcinfo, int number, int version_argument, MemoryContext context)
{
	IdlaLoaded *loaded = idla_load(PG_GETARG_OID(number), idla_version_argument(fcinfo, version_argument), GetActiveSnapshot(), context);
	LearnTask	task = loaded->model->learn.task;

	if (task != LEARN_TAGGING)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("model \"%s\" is a %s model: it does not tag", idla_model_name(loaded->relid), learn_task_names[task]),
				 errhint("Use idla_predict or idla_classify.")));
	return loaded;
}

/* ---- idla_tag ---- */

static void
put_span(ReturnSetInfo *result, const LearnModel *model, const LearnSpan *span, uint32_t start, uint32_t end, Datum text)
{
	const char *label = learn_labels_text(model->labels, span->label);
	Datum		values[5];
	bool		nulls[5] = {false};

	values[0] = Int32GetDatum((int32) start);
	values[1] = Int32GetDatum((int32) end);
	values[2] = text;
	values[3] = CStringGetTextDatum(pg_any_to_server(label, (int) strlen(label), PG_UTF8));
	values[4] = Float8GetDatum((float8) span->score);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
idla_tag(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, 1);
	bool		array = idla_is_token_array(type);
	MemoryContext context;
	MemoryContext caller;
	IdlaLoaded *loaded;
	IdlaTokens	tokens;
	LearnTrouble trouble;
	LearnSpan  *spans;
	LearnSpan  *shown;
	IdlaWindow *windows;
	size_t		n_windows;
	size_t		n;
	IdlaUse    *use;
	instr_time	start;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return (Datum) 0;
	context = AllocSetContextCreate(CurrentMemoryContext, "idla tag", ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(context);
	loaded = idla_tagger_argument(fcinfo, 0, 2, context);
	use = palloc0(sizeof(IdlaUse));
	idla_use_start(use, context, loaded->relid, loaded->version);
	idla_use_enter(use, &start);
	if (!idla_tokens_read(type, PG_GETARG_DATUM(1), InvalidOid, (Datum) 0, &tokens, &trouble))
		idla_raise_trouble(&trouble);
	windows = idla_tag_windows(loaded, &tokens, !array, &n_windows);
	spans = idla_tag_spans(loaded, &tokens, windows, n_windows, &n);
	shown = idla_spans_shown(&tokens, spans, n, array);
	learn_spans_place(n, spans, tokens.tokens);
	for (size_t i = 0; i < n; i++)
		put_span(result, &loaded->model->learn, &spans[i], shown[i].start, shown[i].end,
				 idla_text_slice(&tokens, spans[i].start, spans[i].end));
	idla_use_leave(use, &start, 1);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return (Datum) 0;
}

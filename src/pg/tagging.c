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

/* The window's tags into place, `first` being its first token. */
static void
tag_window(const IdlaLoaded *loaded, const IdlaTokens *tokens, size_t first, size_t n, int32_t *tags, int32_t *actual, float *certain)
{
	const LearnField *field = &loaded->model->learn.fields[0];
	/* The window's own bytes: whatever looks at a text looks at all of it. */
	uint32_t	start = tokens->tokens[first].start;
	uint32_t	end = tokens->tokens[first + n - 1].end;
	LearnWord  *words = palloc(sizeof(LearnWord) * n);
	const int32_t *predicted;
	const int32_t *stored;
	const float *sure;
	LearnTrouble trouble;
	LearnBytes	bytes;
	void	   *taken;
	DevStatus	status;
	size_t		got;

	CHECK_FOR_INTERRUPTS();
	for (size_t i = 0; i < n; i++)
		words[i] = (LearnWord) {tokens->tokens[first + i].start - start, tokens->tokens[first + i].end - start};
	if (!learn_field_take_tokens(field, tokens->text + start, end - start, n, words,
								 tokens->tags == NULL ? NULL : tokens->tags + first, true, &taken, &bytes.size, &trouble))
		idla_raise_trouble(&trouble);
	bytes.bytes = taken;
	status = learn_predict_tags(loaded->predictor, bytes, &predicted, &stored, &sure, &got);
	free(taken);
	idla_check(loaded->model->work, status);
	memcpy(tags + first, predicted, n * sizeof(int32_t));
	memcpy(certain + first, sure, n * sizeof(float));
	if (actual != NULL)
		memcpy(actual + first, stored, n * sizeof(int32_t));
	pfree(words);
}

void
idla_tag_tokens(const IdlaLoaded *loaded, const IdlaTokens *tokens, bool sentences, int32_t **tags, int32_t **actual, float **certain)
{
	size_t		most = loaded->model->learn.fields[0].dims[0];
	Size		n = Max(tokens->n, 1);
	size_t		end;

	*tags = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int32_t) * n);
	*certain = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * n);
	*actual = tokens->tags == NULL ? NULL : MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int32_t) * n);
	for (size_t first = 0; first < tokens->n; first = end)
	{
		end = window_end(tokens, first, most, sentences);
		tag_window(loaded, tokens, first, end - first, *tags, *actual, *certain);
	}
}

/* ---- idla_tag ---- */

static Datum
slice(const IdlaTokens *tokens, uint32_t start, uint32_t end)
{
	char	   *utf8 = pnstrdup(tokens->text + start, end - start);
	char	   *text = pg_any_to_server(utf8, (int) strlen(utf8), PG_UTF8);

	return CStringGetTextDatum(text);
}

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

/* Spans are of tokens; of a text they are told in characters. */
static void
put_spans(ReturnSetInfo *result, const LearnModel *model, const IdlaTokens *tokens, LearnSpan *spans, size_t n, bool array)
{
	LearnSpan  *shown = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(LearnSpan) * Max(n, 1));
	LearnTrouble trouble;

	memcpy(shown, spans, n * sizeof(LearnSpan));
	learn_spans_place(n, spans, tokens->tokens);
	if (!array)
	{
		memcpy(shown, spans, n * sizeof(LearnSpan));
		if (!learn_spans_to_characters(tokens->text, tokens->size, shown, n, &trouble))
			idla_raise_trouble(&trouble);
	}
	for (size_t i = 0; i < n; i++)
		put_span(result, model, &spans[i], shown[i].start, shown[i].end, slice(tokens, spans[i].start, spans[i].end));
}

Datum
idla_tag(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, 1);
	MemoryContext context;
	MemoryContext caller;
	IdlaLoaded *loaded;
	const LearnModel *model;
	IdlaTokens	tokens;
	LearnTrouble trouble;
	LearnSpan  *spans;
	int32_t    *tags;
	int32_t    *actual;
	float	   *certain;
	size_t		n;
	IdlaUse    *use;
	instr_time	start;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return (Datum) 0;
	context = AllocSetContextCreate(CurrentMemoryContext, "idla tag", ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(context);
	loaded = idla_load(PG_GETARG_OID(0), idla_version_argument(fcinfo, 2), GetActiveSnapshot(), context);
	model = &loaded->model->learn;
	if (model->task != LEARN_TAGGING)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("model \"%s\" is a %s model: it does not tag", get_rel_name(loaded->relid), learn_task_names[model->task]),
				 errhint("Use idla_predict or idla_classify.")));
	use = palloc0(sizeof(IdlaUse));
	idla_use_start(use, context, loaded->relid, loaded->version);
	idla_use_enter(use, &start);
	if (!idla_tokens_read(type, PG_GETARG_DATUM(1), InvalidOid, (Datum) 0, &tokens, &trouble))
		idla_raise_trouble(&trouble);
	idla_tag_tokens(loaded, &tokens, !idla_is_token_array(type), &tags, &actual, &certain);
	spans = MemoryContextAllocHuge(context, sizeof(LearnSpan) * Max(tokens.n, 1));
	n = learn_tags_spans(LEARN_IOBES, learn_labels_size(model->labels), false, tokens.n, tags, certain, spans);
	put_spans(result, model, &tokens, spans, n, idla_is_token_array(type));
	idla_use_leave(use, &start, 1);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return (Datum) 0;
}

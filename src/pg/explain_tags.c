/*
 * explain_tags.c: idla_explain_tags: which words speak for the entities of a text.
 *
 * The entities are those that idla_tag finds. Each is explained in the window of the text that it was found in, since the model saw no
 * more when it found it; what other windows say has no part in it.
 */
#include "explain.h"
#include "tokens.h"

#include <math.h>
#include <stdlib.h>

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define TOLERANCE 5e-4
#define RELATIVE 1e-3			/* of the log odds, as of other models with fields */
#define EXACT_WORDS 12			/* Shapley values of so many words are enumerated */
#define EXPLAIN_SEED 1

PG_FUNCTION_INFO_V1(idla_explain_tags);

/* The statement's answer while it is made. */
typedef struct Telling
{
	ReturnSetInfo *result;
	const IdlaLoaded *loaded;
	const IdlaTokens *tokens;
	const LearnSpan *shown;		/* (tokens.n): where each token lies, as the user counts */
	LearnExplain how;
	int			top;
	LearnWord  *words;			/* a window's */
	double	   *contributions;
	IdlaShare *shares;
} Telling;

/* An entity: of tokens and as it is told. */
typedef struct Entity
{
	LearnSpan	span;
	LearnSpan	shown;
} Entity;

/* Where every token lies. */
static LearnSpan *
show_tokens(const IdlaTokens *tokens, bool array)
{
	LearnSpan  *each = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(LearnSpan) * Max(tokens->n, 1));
	LearnSpan  *shown;

	for (size_t i = 0; i < tokens->n; i++)
		each[i] = (LearnSpan) {.start = (uint32_t) i,.end = (uint32_t) i + 1};
	shown = idla_spans_shown(tokens, each, tokens->n, array);
	pfree(each);
	return shown;
}

/* One row: rank 0 is everything else. */
static void
put_row(const Telling *telling, const Entity *entity, int rank, size_t token, double contribution, const double ends[2], double error)
{
	const IdlaTokens *tokens = telling->tokens;
	const char *label = learn_labels_text(telling->loaded->model->learn.labels, entity->span.label);
	Datum		values[12] = {0};
	bool		nulls[12] = {false};

	values[0] = Int32GetDatum((int32) entity->shown.start);
	values[1] = Int32GetDatum((int32) entity->shown.end);
	values[2] = idla_text_slice(tokens, tokens->tokens[entity->span.start].start, tokens->tokens[entity->span.end - 1].end);
	values[3] = CStringGetTextDatum(pg_any_to_server(label, (int) strlen(label), PG_UTF8));
	values[4] = Float8GetDatum(ends[1]);
	values[5] = Float8GetDatum(ends[0]);
	nulls[6] = nulls[7] = nulls[8] = rank == 0;
	values[6] = Int32GetDatum(rank);
	if (rank > 0)
	{
		values[7] = Int32GetDatum((int32) telling->shown[token].start);
		values[8] = Int32GetDatum((int32) telling->shown[token].end);
	}
	values[9] = rank == 0 ? CStringGetTextDatum("everything else") :
		idla_text_slice(tokens, tokens->tokens[token].start, tokens->tokens[token].end);
	values[10] = Float8GetDatum(contribution);
	values[11] = Float8GetDatum(error);
	tuplestore_putvalues(telling->result->setResult, telling->result->setDesc, values, nulls);
}

/* Rows of one entity: the words that matter most, then all others together. */
static void
put_entity(Telling *telling, const IdlaWindow *window, const Entity *entity, const double ends[2], double error)
{
	double		rest = 0;

	for (size_t i = 0; i < window->n; i++)
		telling->shares[i] = (IdlaShare) {.place = (int) (window->first + i),.contribution = telling->contributions[i]};
	idla_shares_sort(telling->shares, (int) window->n);
	for (size_t i = 0; i < window->n; i++)
	{
		if (i < (size_t) telling->top)
			put_row(telling, entity, (int) i + 1, (size_t) telling->shares[i].place, telling->shares[i].contribution, ends, error);
		else
			rest += telling->shares[i].contribution;
	}
	put_row(telling, entity, 0, 0, rest, ends, error);
}

static void
explain_entity(Telling *telling, const IdlaWindow *window, const Entity *entity)
{
	LearnSpan	inside = entity->span;
	LearnBytes	bytes;
	LearnTrouble trouble;
	DevStatus	status;
	double		ends[2];
	double		error;

	CHECK_FOR_INTERRUPTS();
	inside.start -= (uint32_t) window->first;
	inside.end -= (uint32_t) window->first;
	if (!idla_window_take(telling->loaded, telling->tokens, window, telling->words, &bytes, &trouble))
		idla_raise_trouble(&trouble);
	status = learn_explain_entity(telling->loaded->predictor, bytes, &inside, &telling->how, telling->contributions, &ends[1], &ends[0],
								  &error);
	free((void *) bytes.bytes);
	idla_check(telling->loaded->model->work, status);
	put_entity(telling, window, entity, ends, error);
}

/* Both ascend; and no entity lies in two windows, the tags of each being well formed by themselves. */
static void
explain_all(Telling *telling, const IdlaWindow *windows, const LearnSpan *spans, size_t n, bool array)
{
	LearnSpan  *shown = idla_spans_shown(telling->tokens, spans, n, array);
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext each = AllocSetContextCreate(caller, "idla entity", ALLOCSET_DEFAULT_SIZES);
	size_t		w = 0;

	MemoryContextSwitchTo(each);
	for (size_t i = 0; i < n; i++)
	{
		Entity		entity = {.span = spans[i],.shown = shown[i]};

		while (windows[w].first + windows[w].n <= spans[i].start)
			w++;
		explain_entity(telling, &windows[w], &entity);
		MemoryContextReset(each);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(each);
}

Datum
idla_explain_tags(PG_FUNCTION_ARGS)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, 1);
	bool		array = idla_is_token_array(type);
	MemoryContext context;
	MemoryContext caller;
	Telling		telling = {0};
	IdlaTokens	tokens;
	LearnTrouble trouble;
	LearnSpan  *spans;
	IdlaWindow *windows;
	size_t		n_windows;
	size_t		most;
	size_t		n;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return (Datum) 0;
	telling.how = (LearnExplain) {
		.method = idla_explain_method(fcinfo, 2),.exact = EXACT_WORDS,.tolerance = TOLERANCE,.relative = RELATIVE,.seed = EXPLAIN_SEED
	};
	telling.top = idla_explain_top(fcinfo, 3);
	telling.result = (ReturnSetInfo *) fcinfo->resultinfo;
	context = AllocSetContextCreate(CurrentMemoryContext, "idla explain tags", ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(context);
	telling.loaded = idla_tagger_argument(fcinfo, 0, 4, context);
	if (!idla_tokens_read(type, PG_GETARG_DATUM(1), InvalidOid, (Datum) 0, &tokens, &trouble))
		idla_raise_trouble(&trouble);
	windows = idla_tag_windows(telling.loaded, &tokens, !array, &n_windows);
	spans = idla_tag_spans(telling.loaded, &tokens, windows, n_windows, &n);
	most = telling.loaded->model->learn.fields[0].dims[0];
	telling.tokens = &tokens;
	telling.shown = show_tokens(&tokens, array);
	telling.words = palloc(sizeof(LearnWord) * most);
	telling.contributions = palloc(sizeof(double) * (most + 1));
	telling.shares = palloc(sizeof(IdlaShare) * most);
	explain_all(&telling, windows, spans, n, array);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return (Datum) 0;
}

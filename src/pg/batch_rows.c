/*
 * batch_rows.c: how rows come into a batch node and go on.
 *
 * Of a row below only what somebody needs above is kept. It goes on with the answers, where the node's target list only
 * picks columns straight into the slot that the node returns: a projection of each row costs as much as decoding it.
 */
#include "batch_scan.h"

#include "executor/executor.h"
#include "storage/bufmgr.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#define AHEAD 1024				/* bytes of a table, or two rows: what is on its way from memory while a row is read */
#define LINE 64					/* bytes of the cache */
#define LINES(from, bytes) (((from) % LINE + (bytes) + LINE - 1) / LINE)

/* ---- making ---- */

/* Where an attribute (from 0) of the scan tuple comes from. */
static IdlaOutput
find_output(const IdlaBatchState *state, int attribute, int scanned)
{
	IdlaOutput	output = {.attribute = attribute, .carried = -1};

	if (scanned >= state->n_columns)
		output.call = list_nth(state->calls, scanned - state->n_columns);
	for (int i = 0; i < state->n_carried && output.call == NULL; i++)
		if (state->carried[i] == scanned)
			output.carried = i;
	return output;
}

/* Are all columns that the node returns columns of its scan tuple, and all of its rows returned? */
static bool
only_picks(const IdlaBatchState *state)
{
	const PlanState *node = &state->scan.ss.ps;
	ListCell   *cell;

	if (node->qual != NULL || node->ps_ProjInfo == NULL)
		return false;
	foreach(cell, node->plan->targetlist)
	{
		const Var  *var = (const Var *) lfirst_node(TargetEntry, cell)->expr;
		IdlaOutput	output;

		if (!IsA(var, Var) || var->varno != INDEX_VAR || var->varattno <= 0)
			return false;
		output = find_output(state, 0, var->varattno - 1);
		if (output.call == NULL && output.carried < 0)
			return false;
	}
	return true;
}

static void
lay_out(IdlaBatchState *state)
{
	const PlanState *node = &state->scan.ss.ps;

	state->picks = only_picks(state);
	state->output = state->picks ? node->ps_ResultTupleSlot : state->scan.ss.ss_ScanTupleSlot;
	/* What nobody needs above stays NULL. */
	memset(state->output->tts_isnull, true, (Size) state->output->tts_tupleDescriptor->natts);
	if (state->picks)
	{
		state->outputs = palloc(sizeof(IdlaOutput) * (Size) Max(list_length(node->plan->targetlist), 1));
		for (int i = 0; i < list_length(node->plan->targetlist); i++)
		{
			const Var  *var = (const Var *) list_nth_node(TargetEntry, node->plan->targetlist, i)->expr;

			state->outputs[state->n_outputs++] = find_output(state, i, var->varattno - 1);
		}
		return;
	}
	state->outputs = palloc(sizeof(IdlaOutput) * (Size) (state->n_carried + list_length(state->calls)));
	for (int i = 0; i < state->n_carried; i++)
		state->outputs[state->n_outputs++] = find_output(state, state->carried[i], state->carried[i]);
	for (int i = 0; i < list_length(state->calls); i++)
		state->outputs[state->n_outputs++] = find_output(state, state->n_columns + i, state->n_columns + i);
}

void
idla_rows_create(IdlaBatchState *state, List *carried)
{
	ListCell   *cell;

	state->carried = palloc(sizeof(int) * (Size) Max(list_length(carried), 1));
	foreach(cell, carried)
	{
		state->carried[state->n_carried++] = lfirst_int(cell) - 1;
		state->carried_width = Max(state->carried_width, lfirst_int(cell));
	}
	state->most = idla_batch_rows;
	state->kept = palloc(sizeof(Datum) * (Size) state->most * (Size) Max(state->n_carried, 1));
	state->kept_null = palloc(sizeof(bool) * (Size) state->most * (Size) Max(state->n_carried, 1));
	foreach(cell, state->calls)
	{
		IdlaBatchCall *call = lfirst(cell);

		call->places = palloc0(sizeof(int) * (Size) state->most);
		call->answers = palloc(sizeof(Datum) * (Size) state->most);
		call->nulls = palloc(sizeof(bool) * (Size) state->most);
	}
	lay_out(state);
	state->rows_context = AllocSetContextCreate(CurrentMemoryContext, "idla batch rows", ALLOCSET_DEFAULT_SIZES);
	state->row_context = AllocSetContextCreate(CurrentMemoryContext, "idla batch row", ALLOCSET_DEFAULT_SIZES);
}

/* ---- in ---- */

void
idla_rows_carry(IdlaBatchState *state, TupleTableSlot *slot)
{
	MemoryContext caller = MemoryContextSwitchTo(state->rows_context);
	Datum	   *kept = state->kept + state->n * state->n_carried;
	bool	   *kept_null = state->kept_null + state->n * state->n_carried;

	slot_getsomeattrs(slot, state->carried_width);
	for (int i = 0; i < state->n_carried; i++)
	{
		int			number = state->carried[i];
		Form_pg_attribute attribute = TupleDescAttr(slot->tts_tupleDescriptor, number);

		kept_null[i] = slot->tts_isnull[number];
		if (kept_null[i])
			kept[i] = (Datum) 0;
		else if (attribute->attbyval)
			kept[i] = slot->tts_values[number];
		else
			kept[i] = datumCopy(slot->tts_values[number], false, attribute->attlen);
	}
	MemoryContextSwitchTo(caller);
}

/*
 * A scan hands on a page's rows in their order, and they lie from its end towards its start, each of them forwards: no processor guesses
 * what it will read next, and waits for memory with every row longer than a line of its cache. So the lines that a row to come will be
 * read from are asked for in time. Behind a page mostly lies the next one, where a table was read in one go. These are
 * hints, which read nothing: a wrong address costs a line that nobody wanted. Where rows do not lie one below the other, there are none.
 */
void
idla_rows_look_ahead(IdlaBatchState *state, TupleTableSlot *slot)
{
	const BufferHeapTupleTableSlot *heap = (const BufferHeapTupleTableSlot *) slot;
	uintptr_t	before = state->seen_at;
	uintptr_t	here;
	uintptr_t	page;
	uintptr_t	upper;
	uintptr_t	ahead;
	uintptr_t	length;
	uintptr_t	lines;

	if (!TTS_IS_BUFFERTUPLE(slot) || !BufferIsValid(heap->buffer))
		return;
	here = (uintptr_t) heap->base.tuple->t_data;
	length = MAXALIGN(heap->base.tuple->t_len);
	page = (uintptr_t) BufferGetPage(heap->buffer);
	state->seen_at = here;
	if (here + length != before && here + length != page + BLCKSZ)
		return;
	upper = page + ((PageHeader) page)->pd_upper;
	ahead = here - Max(2 * length, AHEAD);
	if (ahead < upper)
	{
		ahead += page + 2 * BLCKSZ - upper;
		if (here < upper + length)
			__builtin_prefetch((const void *) (page + BLCKSZ));
	}
	/* Only what is read of a row: most models need no more than the first columns of a wide table. */
	lines = LINES(ahead, Min(length, heap->base.tuple->t_data->t_hoff + heap->base.off));
	for (uintptr_t line = 0; line < lines; line++)
		__builtin_prefetch((const void *) (ahead + line * LINE));
}

/* ---- on ---- */

void
idla_rows_hand_on(IdlaBatchState *state)
{
	TupleTableSlot *slot = state->output;
	const Datum *kept = state->kept + state->next * state->n_carried;
	const bool *kept_null = state->kept_null + state->next * state->n_carried;

	/* Somebody above may have had the slot keep its values itself. */
	if (unlikely(TTS_SHOULDFREE(slot)))
		ExecClearTuple(slot);
	for (int i = 0; i < state->n_outputs; i++)
	{
		const IdlaOutput *output = &state->outputs[i];

		if (output->call != NULL)
		{
			slot->tts_values[output->attribute] = output->call->answers[state->next];
			slot->tts_isnull[output->attribute] = output->call->nulls[state->next];
		}
		else
		{
			slot->tts_values[output->attribute] = kept[output->carried];
			slot->tts_isnull[output->attribute] = kept_null[output->carried];
		}
	}
	/* As ExecClearTuple and ExecStoreVirtualTuple, which are no more than this. */
	slot->tts_flags &= ~TTS_FLAG_EMPTY;
	slot->tts_nvalid = slot->tts_tupleDescriptor->natts;
}

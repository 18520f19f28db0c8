/*
 * batch_scan.c: the plan node IDLA Batch Predict.
 *
 * Reads some rows of the plan below it, decodes what the models need of each straight into the engine's buffers, answers
 * all of them with one pass, and hands the rows on, with the answers as further columns. Calls that ask the same version
 * about the same columns share the pass. The first batches are small, so that a LIMIT is quick.
 *
 * A row that has no answer ends its batch and is tried again when its turn comes: a query that stops before it never
 * hears of it.
 */
#include "serve.h"

#include "access/htup_details.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "portability/instr_time.h"
#include "storage/spin.h"
#include "access/parallel.h"
#include "column.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define FIRST_BATCH 8			/* rows; the next ones grow by ... */
#define GROWTH 4
#define FIELD_ROWS 64			/* rows of images, signals or texts, of which copies are kept */

/* One call of the predict family. */
typedef struct Call
{
	IdlaAnswerKind kind;
	int			position;		/* of its answer in the scan tuple */
	int			n_own;
	ExprState  *own[IDLA_MOST_OWN];	/* arguments of its own */
	IdlaAnswering *answering;
	int		   *places;			/* (most) the rows' subgroups */
	Datum	   *answers;		/* (most) */
	bool	   *nulls;
} Call;

/* Calls that share a pass through a model: of one version, for the same columns. */
typedef struct Pass
{
	IdlaCall	parts;			/* of the first of them */
	ExprState  *model;
	ExprState  *version;
	List	   *calls;			/* of Call * */

	/* The input, by name. Where every column is one of the row below, that row is what is decoded. */
	TupleDesc	desc;
	bool		direct;
	ExprState **sources;		/* otherwise: (columns) */
	Datum	   *values;
	bool	   *isnull;

	IdlaServed	served;
	bool		no_model;		/* the model is NULL, so all answers are */
	IdlaDecoder *decoder;		/* these are in served.context */
	int			width;			/* attributes of the row that the decoder reads */
	float	   *raw;			/* (most, channels) */
	LearnBytes *fields;			/* (most, fields) */
	double	   *scores;			/* (most, outputs) */
	bool	   *missing;		/* (most): no answer */
} Pass;

typedef struct Counters
{
	uint64		rows;
	uint64		batches;
	double		load;			/* seconds */
	double		compute;
} Counters;

/* What workers leave for the leader to tell. */
typedef struct SharedCounters
{
	slock_t		mutex;
	Counters	counters;
} SharedCounters;

typedef struct BatchState
{
	CustomScanState scan;		/* first */
	int			n_columns;		/* of the row below */
	List	   *passes;
	List	   *calls;
	int			most;			/* rows of a batch at most */
	int			wanted;			/* of the next */

	int			n_carried;
	int		   *carried;		/* attributes of the row below that are needed above, from 0 */
	int			carried_width;
	Datum	   *kept;			/* (most, n_carried) */
	bool	   *kept_null;
	MemoryContext rows_context; /* emptied with every batch */
	MemoryContext row_context;	/* and with every row decoded */

	int			n;				/* rows of the batch at hand */
	int			next;			/* the one to hand on next */
	int			bad;			/* the first of them without an answer, where that is an error; n: none */
	TupleTableSlot *waiting;	/* a row below that has been read, but not decoded */
	bool		done;
	uint64		handed_on;
	Counters	counters;
	SharedCounters *shared;
} BatchState;

/* ---- start ---- */

static Pass *
find_pass(BatchState *state, const IdlaCall *parts)
{
	ListCell   *cell;

	foreach(cell, state->passes)
	{
		Pass	   *pass = lfirst(cell);

		if (equal(parts->model, pass->parts.model) && equal(parts->version, pass->parts.version) &&
			equal(parts->names, pass->parts.names) && equal(parts->columns, pass->parts.columns))
			return pass;
	}
	return NULL;
}

/* Is every column another attribute of the row below? */
static bool
are_attributes(List *columns)
{
	Bitmapset  *used = NULL;
	ListCell   *cell;

	foreach(cell, columns)
	{
		const Var  *var = lfirst(cell);

		if (!IsA(var, Var) || var->varno != OUTER_VAR || var->varattno <= 0 || bms_is_member(var->varattno, used))
			return false;
		used = bms_add_member(used, var->varattno);
	}
	return true;
}

/* How the decoder sees its input. */
static void
describe_input(BatchState *state, Pass *pass)
{
	int			n = list_length(pass->parts.columns);

	pass->direct = are_attributes(pass->parts.columns);
	pass->desc = CreateTemplateTupleDesc(pass->direct ? state->n_columns : n);
	for (int i = 0; pass->direct && i < state->n_columns; i++)
	{
		TupleDescInitEntry(pass->desc, (AttrNumber) (i + 1), NULL, INT4OID, -1, 0);
		TupleDescAttr(pass->desc, i)->attisdropped = true;
	}
	if (!pass->direct)
	{
		pass->sources = palloc(sizeof(ExprState *) * (Size) n);
		pass->values = palloc(sizeof(Datum) * (Size) n);
		pass->isnull = palloc(sizeof(bool) * (Size) n);
	}
	for (int i = 0; i < n; i++)
	{
		Node	   *column = list_nth(pass->parts.columns, i);
		AttrNumber	number = pass->direct ? ((Var *) column)->varattno : (AttrNumber) (i + 1);

		TupleDescInitEntry(pass->desc, number, strVal(list_nth(pass->parts.names, i)), exprType(column), -1, 0);
		if (!pass->direct)
			pass->sources[i] = ExecInitExpr((Expr *) column, &state->scan.ss.ps);
	}
}

static Pass *
create_pass(BatchState *state, const IdlaCall *parts)
{
	Pass	   *pass = palloc0(sizeof(Pass));

	pass->parts = *parts;
	pass->model = ExecInitExpr((Expr *) parts->model, &state->scan.ss.ps);
	pass->version = ExecInitExpr((Expr *) parts->version, &state->scan.ss.ps);
	pass->served.context = AllocSetContextCreate(CurrentMemoryContext, "idla batch model", ALLOCSET_SMALL_SIZES);
	describe_input(state, pass);
	state->passes = lappend(state->passes, pass);
	return pass;
}

static void
create_call(BatchState *state, const TargetEntry *entry, IdlaAnswerKind kind)
{
	FuncExpr   *expression = castNode(FuncExpr, entry->expr);
	Call	   *call = palloc0(sizeof(Call));
	IdlaCall	parts;
	Pass	   *pass;

	if (!idla_support_parse(expression, kind, &parts))
		elog(ERROR, "a batch node has a call of another form");
	if (!idla_compat_may_execute(expression->funcid))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FUNCTION, get_func_name(expression->funcid));
	InvokeFunctionExecuteHook(expression->funcid);
	call->kind = kind;
	call->position = entry->resno - 1;
	call->n_own = parts.n_own;
	for (int i = 0; i < call->n_own; i++)
		call->own[i] = ExecInitExpr((Expr *) parts.own[i], &state->scan.ss.ps);
	pass = find_pass(state, &parts);
	if (pass == NULL)
		pass = create_pass(state, &parts);
	pass->calls = lappend(pass->calls, call);
	state->calls = lappend(state->calls, call);
}

static void
create_rows(BatchState *state, List *carried)
{
	ListCell   *cell;

	state->n_carried = list_length(carried);
	state->carried = palloc(sizeof(int) * (Size) Max(state->n_carried, 1));
	state->n_carried = 0;
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
		Call	   *call = lfirst(cell);

		call->places = palloc(sizeof(int) * (Size) state->most);
		call->answers = palloc(sizeof(Datum) * (Size) state->most);
		call->nulls = palloc(sizeof(bool) * (Size) state->most);
	}
	state->rows_context = AllocSetContextCreate(CurrentMemoryContext, "idla batch rows", ALLOCSET_DEFAULT_SIZES);
	state->row_context = AllocSetContextCreate(CurrentMemoryContext, "idla batch row", ALLOCSET_DEFAULT_SIZES);
}

static void
begin(CustomScanState *node, EState *estate, int flags)
{
	BatchState *state = (BatchState *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;

	outerPlanState(node) = ExecInitNode(outerPlan(plan), estate, flags & ~(EXEC_FLAG_BACKWARD | EXEC_FLAG_MARK));
	state->n_columns = linitial_int(list_nth(plan->custom_private, IDLA_BATCH_COLUMNS));
	for (int i = state->n_columns; i < list_length(plan->custom_scan_tlist); i++)
		create_call(state, list_nth(plan->custom_scan_tlist, i),
					(IdlaAnswerKind) list_nth_int(list_nth(plan->custom_private, IDLA_BATCH_KINDS), i - state->n_columns));
	create_rows(state, list_nth(plan->custom_private, IDLA_BATCH_CARRIED));
	/* What nobody needs above stays NULL. */
	memset(slot->tts_isnull, true, (Size) slot->tts_tupleDescriptor->natts);
	state->wanted = FIRST_BATCH;
}

/* ---- a batch ---- */

static double
seconds_since(instr_time start)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, start);
	return INSTR_TIME_GET_DOUBLE(now);
}

/* The decoder and the buffers for a model that was just loaded. */
static void
renew(BatchState *state, Pass *pass)
{
	MemoryContext caller = MemoryContextSwitchTo(pass->served.context);
	const IdlaModel *model = pass->served.loaded->model;
	Size		most = (Size) state->most;
	ListCell   *cell;

	pass->decoder = idla_decoder_create(&model->columns, pass->desc, NULL, model->work);
	pass->width = idla_decoder_width(pass->decoder);
	pass->raw = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * most * (Size) Max(model->learn.n_channels, 1));
	pass->fields = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(LearnBytes) * most * (Size) Max(model->learn.n_fields, 1));
	pass->scores = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(double) * most * learn_model_outputs(&model->learn));
	pass->missing = palloc(sizeof(bool) * most);
	foreach(cell, pass->calls)
	{
		Call	   *call = lfirst(cell);

		call->answering = idla_answering_create(pass->served.loaded, call->kind, pass->served.context);
		pass->width = Max(pass->width, idla_answering_width(call->answering, pass->desc));
	}
	MemoryContextSwitchTo(caller);
}

/* The version that the statement sees, and which of its outputs is wanted. */
static void
prepare_pass(BatchState *state, Pass *pass)
{
	ExprContext *econtext = state->scan.ss.ps.ps_ExprContext;
	bool		isnull;
	Oid			relid;
	int			version;
	ListCell   *cell;

	relid = DatumGetObjectId(ExecEvalExprSwitchContext(pass->model, econtext, &isnull));
	pass->no_model = isnull;
	if (isnull)
		return;
	version = DatumGetInt32(ExecEvalExprSwitchContext(pass->version, econtext, &isnull));
	if (idla_served_find(&pass->served, relid, isnull ? -1 : idla_version_check(version)) || pass->decoder == NULL)
	{
		pass->decoder = NULL;
		renew(state, pass);
	}
	foreach(cell, pass->calls)
	{
		Call	   *call = lfirst(cell);
		NullableDatum own[IDLA_MOST_OWN];

		for (int i = 0; i < call->n_own; i++)
			own[i].value = ExecEvalExprSwitchContext(call->own[i], econtext, &own[i].isnull);
		idla_answering_choose(call->answering, own);
	}
}

static void
prepare(BatchState *state)
{
	instr_time	start;
	int			most = idla_batch_rows;
	ListCell   *cell;

	INSTR_TIME_SET_CURRENT(start);
	foreach(cell, state->passes)
	{
		Pass	   *pass = lfirst(cell);

		prepare_pass(state, pass);
		if (!pass->no_model && pass->served.loaded->model->learn.n_fields > 0)
			most = FIELD_ROWS;
	}
	state->counters.load += seconds_since(start);
	state->wanted = Min(state->wanted, Min(most, state->most));
	MemoryContextReset(state->row_context);
}

static void
row_context_callback(void *argument)
{
	errcontext("prediction for row " UINT64_FORMAT " of its input", *(uint64 *) argument);
}

/* Values of the row that is being decoded, as pass->desc says. */
static void
place_row(BatchState *state, Pass *pass, const Datum *values, const bool *isnull)
{
	ListCell   *cell;

	foreach(cell, pass->calls)
	{
		Call	   *call = lfirst(cell);

		call->places[state->n] = idla_answering_place(call->answering, pass->desc, values, isnull);
	}
}

/* The row's channels and copies of its fields into the pass's buffers; false for a bad one when `soft`. */
static bool
decode_row(BatchState *state, Pass *pass, TupleTableSlot *slot, bool soft)
{
	const LearnModel *learn = &pass->served.loaded->model->learn;
	ExprContext *econtext = state->scan.ss.ps.ps_ExprContext;
	LearnBytes *fields = pass->fields + state->n * learn->n_fields;
	float	   *raw = pass->raw + state->n * learn->n_channels;
	const Datum *values = slot->tts_values;
	const bool *isnull = slot->tts_isnull;
	bool		good;

	if (pass->direct)
		slot_getsomeattrs(slot, pass->width);
	else
	{
		econtext->ecxt_outertuple = slot;
		for (int i = 0; i < pass->desc->natts; i++)
			pass->values[i] = ExecEvalExprSwitchContext(pass->sources[i], econtext, &pass->isnull[i]);
		values = pass->values;
		isnull = pass->isnull;
	}
	good = idla_decode(pass->decoder, values, isnull, raw, fields, soft);
	place_row(state, pass, values, isnull);
	for (int i = 0; good && i < learn->n_fields; i++)
		if (fields[i].bytes != NULL)
		{
			void	   *copy = MemoryContextAllocHuge(state->rows_context, fields[i].size);

			memcpy(copy, fields[i].bytes, fields[i].size);
			fields[i].bytes = copy;
		}
	return good;
}

/* The next row for all passes; false when it is bad, and not the batch's first. */
static bool
take(BatchState *state, TupleTableSlot *slot)
{
	bool		nulls = idla_on_bad_input == IDLA_BAD_INPUT_NULL;
	uint64		number = state->handed_on + (uint64) state->n + 1;
	ErrorContextCallback callback = {.previous = error_context_stack,.callback = row_context_callback,.arg = &number};
	MemoryContext caller = MemoryContextSwitchTo(state->row_context);
	bool		good = true;
	ListCell   *cell;

	error_context_stack = &callback;
	foreach(cell, state->passes)
	{
		Pass	   *pass = lfirst(cell);

		if (pass->no_model)
			continue;
		pass->missing[state->n] = !decode_row(state, pass, slot, nulls || state->n > 0);
		if (pass->missing[state->n])
		{
			const LearnModel *learn = &pass->served.loaded->model->learn;

			if (!nulls)
			{
				good = false;
				break;
			}
			/* A row like any other, whose answer is not used. */
			memset(pass->raw + state->n * learn->n_channels, 0, sizeof(float) * (Size) learn->n_channels);
			memset(pass->fields + state->n * learn->n_fields, 0, sizeof(LearnBytes) * (Size) learn->n_fields);
		}
	}
	error_context_stack = callback.previous;
	MemoryContextSwitchTo(caller);
	MemoryContextReset(state->row_context);
	return good;
}

/* Keeps what is needed above of the row below. */
static void
carry(BatchState *state, TupleTableSlot *slot)
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

/* Scores of the rows of a pass that have none are found one by one. */
static void
score_singly(BatchState *state, Pass *pass)
{
	const LearnModel *learn = &pass->served.loaded->model->learn;
	size_t		n_outputs = learn_model_outputs(learn);

	for (int row = 0; row < state->bad; row++)
	{
		DevStatus	status = learn_predict_scores(pass->served.loaded->predictor, 1, pass->raw + row * learn->n_channels,
												  pass->fields + row * learn->n_fields, pass->scores + (size_t) row * n_outputs);

		if (status == DEV_BAD_DATA && idla_on_bad_input == IDLA_BAD_INPUT_NULL)
			pass->missing[row] = true;
		else if (status == DEV_BAD_DATA && row > 0)
			state->bad = row;
		else
			idla_check(pass->served.loaded->model->work, status);
	}
}

static void
answer(BatchState *state, Pass *pass)
{
	LearnPredictor *predictor = pass->served.loaded->predictor;
	const LearnModel *learn = &pass->served.loaded->model->learn;
	size_t		n_outputs = learn_model_outputs(learn);
	DevStatus	status = learn_predict_scores(predictor, (size_t) state->n, pass->raw, pass->fields, pass->scores);
	ListCell   *cell;

	if (status == DEV_BAD_DATA)
		score_singly(state, pass);
	else
		idla_check(pass->served.loaded->model->work, status);
	learn_scores_to_answers(learn, (size_t) state->n, pass->scores);
	foreach(cell, pass->calls)
	{
		Call	   *call = lfirst(cell);

		for (int row = 0; row < state->bad; row++)
		{
			call->nulls[row] = pass->missing[row];
			if (!call->nulls[row])
				call->answers[row] = idla_answering_datum(call->answering, pass->scores + (size_t) row * n_outputs,
														 call->places[row], &call->nulls[row]);
		}
	}
}

static void
answer_all(BatchState *state)
{
	MemoryContext caller = MemoryContextSwitchTo(state->rows_context);
	uint64		number = state->handed_on + 1;
	ErrorContextCallback callback = {.previous = error_context_stack,.callback = row_context_callback,.arg = &number};
	instr_time	start;
	ListCell   *cell;

	INSTR_TIME_SET_CURRENT(start);
	state->bad = state->n;
	error_context_stack = &callback;
	foreach(cell, state->passes)
	{
		Pass	   *pass = lfirst(cell);
		ListCell   *call;

		if (!pass->no_model)
			answer(state, pass);
		else
			foreach(call, pass->calls)
				memset(((Call *) lfirst(call))->nulls, true, (Size) state->n);
	}
	error_context_stack = callback.previous;
	state->counters.compute += seconds_since(start);
	MemoryContextSwitchTo(caller);
}

/* The next batch; false when there are no more rows. */
static bool
fill(BatchState *state)
{
	PlanState  *below = outerPlanState(state);

	state->n = state->next = state->bad = 0;
	MemoryContextReset(state->rows_context);
	if (state->done)
		return false;
	prepare(state);
	while (state->n < state->wanted)
	{
		TupleTableSlot *slot = state->waiting != NULL ? state->waiting : ExecProcNode(below);

		state->waiting = NULL;
		if (TupIsNull(slot))
		{
			state->done = true;
			break;
		}
		if (!take(state, slot))
		{
			state->waiting = slot;
			break;
		}
		if (state->n_carried > 0)
			carry(state, slot);
		state->n++;
	}
	if (state->n == 0)
		return false;
	answer_all(state);
	state->counters.rows += (uint64) state->n;
	state->counters.batches++;
	state->wanted = Min(state->wanted * GROWTH, state->most);
	return true;
}

/* A row whose score is not finite: the error that it is. */
static void
raise_bad(BatchState *state)
{
	uint64		number = state->handed_on + 1;
	ErrorContextCallback callback = {.previous = error_context_stack,.callback = row_context_callback,.arg = &number};
	ListCell   *cell;

	error_context_stack = &callback;
	foreach(cell, state->passes)
	{
		Pass	   *pass = lfirst(cell);
		const LearnModel *learn;

		if (pass->no_model)
			continue;
		learn = &pass->served.loaded->model->learn;
		idla_check(pass->served.loaded->model->work,
				   learn_predict_scores(pass->served.loaded->predictor, 1, pass->raw + state->next * learn->n_channels,
										pass->fields + state->next * learn->n_fields, pass->scores));
	}
	elog(ERROR, "a row without an answer has one");
}

/* The next row of the batch into the scan slot. */
static void
hand_on(BatchState *state)
{
	TupleTableSlot *slot = state->scan.ss.ss_ScanTupleSlot;
	const Datum *kept = state->kept + state->next * state->n_carried;
	const bool *kept_null = state->kept_null + state->next * state->n_carried;
	ListCell   *cell;

	ExecClearTuple(slot);
	for (int i = 0; i < state->n_carried; i++)
	{
		slot->tts_values[state->carried[i]] = kept[i];
		slot->tts_isnull[state->carried[i]] = kept_null[i];
	}
	foreach(cell, state->calls)
	{
		const Call *call = lfirst(cell);

		slot->tts_values[call->position] = call->answers[state->next];
		slot->tts_isnull[call->position] = call->nulls[state->next];
	}
	ExecStoreVirtualTuple(slot);
	state->next++;
	state->handed_on++;
}

static TupleTableSlot *
execute(CustomScanState *node)
{
	BatchState *state = (BatchState *) node;
	ExprContext *econtext = node->ss.ps.ps_ExprContext;

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		ResetExprContext(econtext);
		if (state->next == state->n && !fill(state))
			return ExecClearTuple(node->ss.ps.ps_ProjInfo != NULL ? node->ss.ps.ps_ResultTupleSlot : node->ss.ss_ScanTupleSlot);
		if (unlikely(state->next == state->bad))
			raise_bad(state);
		hand_on(state);
		econtext->ecxt_scantuple = node->ss.ss_ScanTupleSlot;
		if (node->ss.ps.qual != NULL && !ExecQual(node->ss.ps.qual, econtext))
		{
			InstrCountFiltered1(node, 1);
			continue;
		}
		return node->ss.ps.ps_ProjInfo != NULL ? ExecProject(node->ss.ps.ps_ProjInfo) : node->ss.ss_ScanTupleSlot;
	}
}

/* ---- end, and again ---- */

static void
start_over(BatchState *state)
{
	state->n = state->next = state->bad = 0;
	state->waiting = NULL;
	state->done = false;
	state->handed_on = 0;
	state->wanted = FIRST_BATCH;
	MemoryContextReset(state->rows_context);
}

static void
rescan(CustomScanState *node)
{
	ExecClearTuple(node->ss.ss_ScanTupleSlot);
	start_over((BatchState *) node);
	if (outerPlanState(node)->chgParam == NULL)
		ExecReScan(outerPlanState(node));
}

static void
end(CustomScanState *node)
{
	ListCell   *cell;

	/* Models are let go now, not when the memory of the query goes. */
	foreach(cell, ((BatchState *) node)->passes)
		MemoryContextReset(((Pass *) lfirst(cell))->served.context);
	ExecClearTuple(node->ss.ss_ScanTupleSlot);
	ExecEndNode(outerPlanState(node));
}

/* ---- workers ---- */

static Size
estimate_shared(CustomScanState *node, ParallelContext *context)
{
	(void) node;
	(void) context;
	return sizeof(SharedCounters);
}

static void
create_shared(CustomScanState *node, ParallelContext *context, void *coordinate)
{
	SharedCounters *shared = coordinate;

	(void) context;
	memset(shared, 0, sizeof(*shared));
	SpinLockInit(&shared->mutex);
	((BatchState *) node)->shared = shared;
}

static void
reuse_shared(CustomScanState *node, ParallelContext *context, void *coordinate)
{
	/* Sums go on. */
	(void) node;
	(void) context;
	(void) coordinate;
}

static void
join_shared(CustomScanState *node, shm_toc *toc, void *coordinate)
{
	(void) toc;
	((BatchState *) node)->shared = coordinate;
}

static void
add(Counters *sum, const Counters *counters)
{
	sum->rows += counters->rows;
	sum->batches += counters->batches;
	sum->load += counters->load;
	sum->compute += counters->compute;
}

/* A worker leaves what it counted, the leader takes it. */
static void
shut_down(CustomScanState *node)
{
	BatchState *state = (BatchState *) node;
	SharedCounters *shared = state->shared;

	if (shared == NULL)
		return;
	SpinLockAcquire(&shared->mutex);
	if (IsParallelWorker())
	{
		add(&shared->counters, &state->counters);
		memset(&state->counters, 0, sizeof(state->counters));
	}
	else
	{
		add(&state->counters, &shared->counters);
		memset(&shared->counters, 0, sizeof(shared->counters));
	}
	SpinLockRelease(&shared->mutex);
}

/* ---- explain ---- */

static void
explain_pass(BatchState *state, Pass *pass, ExplainState *es)
{
	const IdlaModel *model;
	List	   *columns = NIL;

	prepare_pass(state, pass);
	if (pass->no_model)
		return;
	model = pass->served.loaded->model;
	for (int i = 0; i < model->columns.n; i++)
		if (idla_column_used(&model->columns, i))
			columns = lappend(columns, model->columns.columns[i].name);
	ExplainOpenGroup("Model", NULL, true, es);
	ExplainPropertyText("Model", get_rel_name(pass->served.loaded->relid), es);
	ExplainPropertyInteger("Version", NULL, pass->served.loaded->version, es);
	ExplainPropertyList("Columns", columns, es);
	ExplainCloseGroup("Model", NULL, true, es);
}

static void
explain(CustomScanState *node, List *ancestors, ExplainState *es)
{
	BatchState *state = (BatchState *) node;
	ListCell   *cell;

	(void) ancestors;
	ExplainOpenGroup("Models", "Models", false, es);
	foreach(cell, state->passes)
		explain_pass(state, lfirst(cell), es);
	ExplainCloseGroup("Models", "Models", false, es);
	ExplainPropertyInteger("Batch Size", NULL, state->most, es);
	if (!es->analyze)
		return;
	ExplainPropertyInteger("Predicted Rows", NULL, (int64) state->counters.rows, es);
	ExplainPropertyInteger("Batches", NULL, (int64) state->counters.batches, es);
	if (!es->timing)
		return;
	ExplainPropertyFloat("Load Time", "ms", 1000 * state->counters.load, 3, es);
	ExplainPropertyFloat("Compute Time", "ms", 1000 * state->counters.compute, 3, es);
}

/* ---- the node's methods ---- */

static const CustomExecMethods exec_methods = {
	.CustomName = "IDLA Batch Predict",
	.BeginCustomScan = begin,
	.ExecCustomScan = execute,
	.EndCustomScan = end,
	.ReScanCustomScan = rescan,
	.EstimateDSMCustomScan = estimate_shared,
	.InitializeDSMCustomScan = create_shared,
	.ReInitializeDSMCustomScan = reuse_shared,
	.InitializeWorkerCustomScan = join_shared,
	.ShutdownCustomScan = shut_down,
	.ExplainCustomScan = explain
};

static Node *
create_state(CustomScan *plan)
{
	BatchState *state = palloc0(sizeof(BatchState));

	(void) plan;
	NodeSetTag(state, T_CustomScanState);
	state->scan.methods = &exec_methods;
	return (Node *) state;
}

const CustomScanMethods idla_batch_scan_methods = {
	.CustomName = "IDLA Batch Predict",
	.CreateCustomScanState = create_state
};

void
idla_batch_scan_start(void)
{
	RegisterCustomScanMethods(&idla_batch_scan_methods);
}

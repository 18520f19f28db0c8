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
#include "batch_scan.h"
#include "column.h"

#include "access/parallel.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_proc.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "nodes/extensible.h"
#include "portability/instr_time.h"
#include "storage/spin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define FIRST_BATCH 8			/* rows; the next ones grow by ... */
#define GROWTH 4
#define FIELD_ROWS 64			/* rows of images, signals or texts, of which copies are kept */

/* What workers leave for the leader to tell. */
typedef struct SharedCounters
{
	slock_t		mutex;
	bool		asked;			/* some process has had a row, and counts the call */
	IdlaBatchCounters counters;
} SharedCounters;

/* ---- start ---- */

static void
create_call(IdlaBatchState *state, const TargetEntry *entry, IdlaAnswerKind kind)
{
	FuncExpr   *expression = castNode(FuncExpr, entry->expr);
	IdlaBatchCall *call = palloc0(sizeof(IdlaBatchCall));
	IdlaCall	parts;
	IdlaPass *pass;

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
	pass = idla_pass_find(state, &parts);
	if (pass == NULL)
		pass = idla_pass_create(state, &parts);
	pass->calls = lappend(pass->calls, call);
	state->calls = lappend(state->calls, call);
}

static void
begin(CustomScanState *node, EState *estate, int flags)
{
	IdlaBatchState *state = (IdlaBatchState *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;

	outerPlanState(node) = ExecInitNode(outerPlan(plan), estate, flags & ~(EXEC_FLAG_BACKWARD | EXEC_FLAG_MARK));
	state->n_columns = linitial_int(list_nth(plan->custom_private, IDLA_BATCH_COLUMNS));
	for (int i = state->n_columns; i < list_length(plan->custom_scan_tlist); i++)
		create_call(state, list_nth(plan->custom_scan_tlist, i),
					(IdlaAnswerKind) list_nth_int(list_nth(plan->custom_private, IDLA_BATCH_KINDS), i - state->n_columns));
	idla_rows_create(state, list_nth(plan->custom_private, IDLA_BATCH_CARRIED));
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

/* Fields are large, and so may embeddings be: fewer of their rows are kept. */
static int
most_rows(const IdlaBatchState *state)
{
	int			most = state->most;
	ListCell   *cell;

	foreach(cell, state->passes)
	{
		const IdlaPass *pass = lfirst(cell);
		const IdlaLoaded *loaded = pass->served.loaded;

		if (loaded != NULL && loaded->model->learn.n_fields > 0)
			most = Min(most, FIELD_ROWS);
		if (loaded != NULL && pass->embeddings != NULL)
			most = Min(most, pass->most_embedded);
	}
	return most;
}

/* The first process that has a row counts the call: others, the leader among them, may never have one. */
static IdlaUseCount
who_counts(IdlaBatchState *state)
{
	SharedCounters *shared = state->shared;

	if (shared == NULL || state->use_counts != IDLA_COUNTS_LEADER)
		return state->use_counts;
	SpinLockAcquire(&shared->mutex);
	state->use_counts = shared->asked ? IDLA_COUNTS_ELSEWHERE : IDLA_COUNTS_HERE;
	shared->asked = true;
	SpinLockRelease(&shared->mutex);
	return state->use_counts;
}

static void
prepare(IdlaBatchState *state)
{
	instr_time	start;
	MemoryContext caller = MemoryContextSwitchTo(state->row_context);
	ListCell   *cell;

	INSTR_TIME_SET_CURRENT(start);
	foreach(cell, state->passes)
	{
		IdlaPass *pass = lfirst(cell);

		idla_pass_prepare(state, pass);
		if (!pass->no_model && !OidIsValid(pass->use.relid))
			idla_use_start(&pass->use, state->scan.ss.ps.state->es_query_cxt, pass->served.loaded->relid, pass->served.loaded->version);
		pass->use.counts = who_counts(state);
	}
	state->counters.load += seconds_since(start);
	state->wanted = Min(state->wanted, most_rows(state));
	MemoryContextSwitchTo(caller);
	MemoryContextReset(state->row_context);
}

/* The next row for all passes; false when it is bad, and not the batch's first. */
static bool
take(IdlaBatchState *state, TupleTableSlot *slot)
{
	bool		nulls = idla_on_bad_input == IDLA_BAD_INPUT_NULL;
	uint64		number = state->handed_on + (uint64) state->n + 1;
	ErrorContextCallback callback = {.previous = error_context_stack,.callback = idla_row_context_callback,.arg = &number};
	MemoryContext caller = MemoryContextSwitchTo(state->row_context);
	bool		good = true;
	ListCell   *cell;

	error_context_stack = &callback;
	foreach(cell, state->passes)
	{
		IdlaPass *pass = lfirst(cell);

		if (pass->no_model)
			continue;
		pass->use.inside = true;
		pass->missing[state->n] = !idla_pass_decode(state, pass, slot, nulls || state->n > 0);
		pass->use.inside = false;
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
	idla_context_empty(state->row_context);
	return good;
}

static void
answer_all(IdlaBatchState *state)
{
	MemoryContext caller = MemoryContextSwitchTo(state->rows_context);
	uint64		number = state->handed_on + 1;
	ErrorContextCallback callback = {.previous = error_context_stack,.callback = idla_row_context_callback,.arg = &number};
	instr_time	start;
	ListCell   *cell;

	INSTR_TIME_SET_CURRENT(start);
	state->bad = state->n;
	error_context_stack = &callback;
	foreach(cell, state->passes)
	{
		IdlaPass *pass = lfirst(cell);
		ListCell   *call;

		if (!pass->no_model)
			idla_pass_answer(state, pass);
		else
			foreach(call, pass->calls)
				memset(((IdlaBatchCall *) lfirst(call))->nulls, true, (Size) state->n);
	}
	error_context_stack = callback.previous;
	state->counters.compute += seconds_since(start);
	MemoryContextSwitchTo(caller);
}

static void
add(IdlaBatchCounters *sum, const IdlaBatchCounters *counters)
{
	sum->rows += counters->rows;
	sum->batches += counters->batches;
	sum->load += counters->load;
	sum->compute += counters->compute;
}

/*
 * A worker leaves what it counted, the leader takes it. Workers do so with every batch: the leader is shut down before they are, where a limit has
 * enough rows, and then takes what is there.
 */
static void
exchange_counters(IdlaBatchState *state)
{
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

/* The next batch; false when there are no more rows. Without rows no model is asked, so that none need be there, or be loaded. */
static bool
fill(IdlaBatchState *state)
{
	PlanState  *below = outerPlanState(state);

	state->n = state->next = state->bad = 0;
	MemoryContextReset(state->rows_context);
	if (state->done)
		return false;
	while (state->n < state->wanted)
	{
		TupleTableSlot *slot = state->waiting != NULL ? state->waiting : ExecProcNode(below);

		state->waiting = NULL;
		if (TupIsNull(slot))
		{
			state->done = true;
			break;
		}
		if (state->n == 0)
			prepare(state);
		if (!take(state, slot))
		{
			state->waiting = slot;
			break;
		}
		if (state->n_carried > 0)
			idla_rows_carry(state, slot);
		idla_rows_look_ahead(state, slot);
		state->n++;
	}
	if (state->n == 0)
		return false;
	answer_all(state);
	state->counters.rows += (uint64) state->n;
	state->counters.batches++;
	state->wanted = Min(state->wanted * GROWTH, state->most);
	if (IsParallelWorker())
		exchange_counters(state);
	return true;
}

/* A row whose score is not finite: the error that it is. */
static void
raise_bad(IdlaBatchState *state)
{
	uint64		number = state->handed_on + 1;
	ErrorContextCallback callback = {.previous = error_context_stack,.callback = idla_row_context_callback,.arg = &number};
	ListCell   *cell;

	error_context_stack = &callback;
	foreach(cell, state->passes)
	{
		IdlaPass *pass = lfirst(cell);
		const LearnModel *learn;

		if (pass->no_model)
			continue;
		learn = &pass->served.loaded->model->learn;
		pass->use.inside = true;
		idla_check(pass->served.loaded->model->work,
				   learn_predict_scores(pass->served.loaded->predictor, 1, pass->raw + state->next * learn->n_channels,
										pass->fields + state->next * learn->n_fields, pass->scores));
		pass->use.inside = false;
	}
	elog(ERROR, "a row without an answer has one");
}

/* The next row of the batch, with its answers. */
static void
hand_on(IdlaBatchState *state)
{
	ListCell   *cell;

	idla_rows_hand_on(state);
	if (unlikely(state->logs))
		foreach(cell, state->passes)
			idla_pass_log(state, lfirst(cell));
	state->next++;
	state->handed_on++;
}

static TupleTableSlot *
execute(CustomScanState *node)
{
	IdlaBatchState *state = (IdlaBatchState *) node;
	ExprContext *econtext = node->ss.ps.ps_ExprContext;

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		idla_context_empty(econtext->ecxt_per_tuple_memory);
		if (state->next == state->n && !fill(state))
			return ExecClearTuple(node->ss.ps.ps_ProjInfo != NULL ? node->ss.ps.ps_ResultTupleSlot : state->output);
		if (unlikely(state->next == state->bad))
			raise_bad(state);
		hand_on(state);
		if (state->picks)
			return state->output;
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
start_over(IdlaBatchState *state)
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
	ExecClearTuple(((IdlaBatchState *) node)->output);
	start_over((IdlaBatchState *) node);
	if (outerPlanState(node)->chgParam == NULL)
		ExecReScan(outerPlanState(node));
}

static void
end(CustomScanState *node)
{
	ListCell   *cell;

	/* Models are let go now, not when the memory of the query goes. */
	foreach(cell, ((IdlaBatchState *) node)->passes)
	{
		IdlaPass *pass = lfirst(cell);

		/* What was logged is left to the worker with it, and counted. */
		MemoryContextReset(pass->served.context);
		idla_use_end(&pass->use);
	}
	ExecClearTuple(((IdlaBatchState *) node)->output);
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
	IdlaBatchState *state = (IdlaBatchState *) node;
	SharedCounters *shared = coordinate;

	(void) context;
	memset(shared, 0, sizeof(*shared));
	SpinLockInit(&shared->mutex);
	/* Not for the first time, where workers are started again. */
	shared->asked = state->use_counts != IDLA_COUNTS_LEADER || state->counters.batches > 0;
	state->shared = shared;
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
	((IdlaBatchState *) node)->shared = coordinate;
}

static void
shut_down(CustomScanState *node)
{
	exchange_counters((IdlaBatchState *) node);
}

/* ---- explain ---- */

/* The model of a pass that a query that was run has not asked: its name. */
static void
explain_unasked(IdlaPass *pass, ExplainState *es)
{
	const Const *model = (const Const *) pass->parts.model;

	if (!IsA(model, Const) || model->constisnull)
		return;
	ExplainOpenGroup("Model", NULL, true, es);
	ExplainPropertyText("Model", idla_model_name(DatumGetObjectId(model->constvalue)), es);
	ExplainCloseGroup("Model", NULL, true, es);
}

/*
 * What was asked is known. Of what was not, the version is looked up for EXPLAIN alone, as it is for queries; after a query that had no need
 * of it (auto_explain tells of those too), a model that is out of service or not for this role must not become an error. What workers have
 * asked, all may ask.
 */
static void
explain_pass(IdlaBatchState *state, IdlaPass *pass, ExplainState *es)
{
	bool		known = (state->scan.ss.ps.state->es_top_eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0 || state->counters.batches > 0;
	const IdlaLoaded *loaded = known ? idla_pass_tell(state, pass) : pass->served.loaded;
	const IdlaModel *model;
	List	   *columns = NIL;

	if (loaded == NULL)
	{
		explain_unasked(pass, es);
		return;
	}
	model = loaded->model;
	for (int i = 0; i < model->columns.n; i++)
		if (idla_column_used(&model->columns, i))
			columns = lappend(columns, model->columns.columns[i].name);
	ExplainOpenGroup("Model", NULL, true, es);
	ExplainPropertyText("Model", idla_model_name(loaded->relid), es);
	ExplainPropertyInteger("Version", NULL, loaded->version, es);
	if (pass->served.trial != NULL)
		idla_trial_explain(pass->served.trial, es);
	if (loaded->log_share > 0)
		ExplainPropertyFloat("Logged Share", NULL, loaded->log_share, 3, es);
	ExplainPropertyList("Columns", columns, es);
	ExplainCloseGroup("Model", NULL, true, es);
}

static void
explain(CustomScanState *node, List *ancestors, ExplainState *es)
{
	IdlaBatchState *state = (IdlaBatchState *) node;
	ListCell   *cell;

	(void) ancestors;
	ExplainOpenGroup("Models", "Models", false, es);
	foreach(cell, state->passes)
		explain_pass(state, lfirst(cell), es);
	ExplainCloseGroup("Models", "Models", false, es);
	ExplainPropertyInteger("Batch Size", NULL, most_rows(state), es);
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
	IdlaBatchState *state = palloc0(sizeof(IdlaBatchState));

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

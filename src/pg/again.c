/*
 * again.c: plans that are made again because another version answers.
 *
 * A plan whose calls pass only the columns that a model needs (support.c) holds for the versions it was made for. Deploys and trainings have kept plans
 * made anew, as a change of the table would. But between the look at a kept plan and the statement's snapshot one may commit, and whoever writes
 * into the model's table by himself, or replicates it, sends nothing. So before a statement runs, the versions that its own snapshot sees are looked at,
 * and where they need more, the query is planned again from the copy that the plan carries, with that snapshot: the answers are those of the version that
 * it sees, always.
 *
 * The copy lies in a node behind the plan's subplans, which nothing refers to: it goes where the plan goes, EXPLAIN does not show it, and
 * workers are not sent it.
 */
#include "serve.h"

#include "access/parallel.h"
#include "access/transam.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "lib/ilist.h"
#include "nodes/extensible.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "storage/proc.h"
#include "storage/sinval.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

static ExecutorStart_hook_type next_start = NULL;
static ExecutorEnd_hook_type next_end = NULL;

/* What the node's custom_private has, in this order. */
typedef enum AgainPrivate
{
	AGAIN_QUERY,
	AGAIN_CURSOR_OPTIONS,		/* a list of one integer */
	AGAIN_MODELS				/* of lists: of one Oid, of one integer, of names, and of the log's key: see IdlaNarrowed */
} AgainPrivate;

/* ---- does a query ask? ---- */

/* Functions in SQL may become what they say, which may be a call. */
static bool
may_call(Oid function)
{
	HeapTuple	tuple;
	const char *name = NULL;
	bool		may;
	Form_pg_proc form;

	if (function < FirstNormalObjectId)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	may = form->prolang == SQLlanguageId;
	if (!may && OidIsValid(form->prosupport))
		name = get_func_name(form->prosupport);
	ReleaseSysCache(tuple);
	return may || (name != NULL && strcmp(name, "idla_predict_support") == 0);
}

static bool
may_ask(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, may_ask, context, 0);
	if (IsA(node, FuncExpr) && may_call(((FuncExpr *) node)->funcid))
		return true;
	return expression_tree_walker(node, may_ask, context);
}

bool
idla_again_expects(Query *query)
{
	return may_ask((Node *) query, NULL);
}

/* ---- the node that carries the query ---- */

static void
begin(CustomScanState *node, EState *estate, int flags)
{
	(void) node;
	(void) estate;
	(void) flags;
}

static TupleTableSlot *
execute(CustomScanState *node)
{
	return ExecClearTuple(node->ss.ss_ScanTupleSlot);
}

static void
end(CustomScanState *node)
{
	(void) node;
}

static void
rescan(CustomScanState *node)
{
	(void) node;
}

static const CustomExecMethods exec_methods = {
	.CustomName = "IDLA Query",
	.BeginCustomScan = begin,
	.ExecCustomScan = execute,
	.EndCustomScan = end,
	.ReScanCustomScan = rescan
};

static Node *
create_state(CustomScan *plan)
{
	CustomScanState *state = makeNode(CustomScanState);

	(void) plan;
	state->methods = &exec_methods;
	return (Node *) state;
}

static const CustomScanMethods query_methods = {
	.CustomName = "IDLA Query",
	.CreateCustomScanState = create_state
};

void
idla_again_keep(PlannedStmt *statement, Query *query, const IdlaPlanning *planning, int cursor_options)
{
	CustomScan *keeper = makeNode(CustomScan);
	List	   *models = NIL;
	ListCell   *cell;

	foreach(cell, planning->models)
	{
		const IdlaNarrowed *model = lfirst(cell);
		List	   *names = NIL;
		ListCell   *name;

		if (model->names == NIL)
			continue;
		foreach(name, model->names)
			names = lappend(names, makeString(lfirst(name)));
		models = lappend(models, list_make4(list_make1_oid(model->relid), list_make1_int(model->version), names,
											model->key != NULL ? list_make1(makeString(model->key)) : NIL));
	}
	keeper->methods = &query_methods;
	keeper->custom_private = list_make3(query, list_make1_int(cursor_options), models);
	/* Workers are not sent what is not safe for them. */
	keeper->scan.plan.parallel_safe = false;
	statement->subplans = lappend(statement->subplans, keeper);
}

/* NULL when calls of the plan are not narrowed. */
static const CustomScan *
find_keeper(const PlannedStmt *statement)
{
	const CustomScan *last = statement->subplans != NIL ? llast(statement->subplans) : NULL;

	return last != NULL && IsA(last, CustomScan) && last->methods == &query_methods ? last : NULL;
}

/* ---- before a statement runs ---- */

/*
 * This session's kept plans that ask the model are made anew when they are next wanted. Once for a version and transaction: a plan that comes a second
 * time is not one of them, such as that of a function in SQL, and they would be made anew for nothing with each of its calls.
 */
static void
forget_plans(Oid relid, uint64 identity)
{
	static struct
	{
		Oid			relid;
		uint64		identity;
		LocalTransactionId transaction;
	}			last;
	SharedInvalidationMessage message;

	if (identity != 0 && last.relid == relid && last.identity == identity && last.transaction == idla_compat_lxid())
		return;
	memset(&message, 0, sizeof(message));
	message.rc.id = SHAREDINVALRELCACHE_ID;
	message.rc.dbId = MyDatabaseId;
	message.rc.relId = relid;
	LocalExecuteInvalidationMessage(&message);
	last.relid = relid;
	last.identity = identity;
	last.transaction = idla_compat_lxid();
}

static bool
is_outdated(const CustomScan *keeper, Snapshot snapshot)
{
	bool		outdated = false;
	ListCell   *cell;

	foreach(cell, (List *) list_nth(keeper->custom_private, AGAIN_MODELS))
	{
		List	   *model = lfirst(cell);
		Oid			relid = linitial_oid(linitial(model));
		List	   *key = lfourth(model);
		uint64		identity;

		if (idla_needs_met(relid, linitial_int(lsecond(model)), snapshot, lthird(model), key != NIL ? strVal(linitial(key)) : NULL, &identity))
			continue;
		forget_plans(relid, identity);
		outdated = true;
	}
	return outdated;
}

/* A run whose plan was made again. Lies with the plan in a context of its own, which goes with the run's memory. */
typedef struct Replanned
{
	dlist_node	node;
	QueryDesc  *run;
	PlannedStmt *before;		/* the plan that the caller gave it */
	PlannedStmt *after;
	MemoryContext context;
	MemoryContextCallback forget;
} Replanned;

static dlist_head replanned_runs = DLIST_STATIC_INIT(replanned_runs);

static void
forget_run(void *arg)
{
	dlist_delete(&((Replanned *) arg)->node);
}

/* Gives the run a plan for the statement's own snapshot. */
static Replanned *
plan_again(const CustomScan *keeper, QueryDesc *run)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "idla plan made again", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	Query	   *query = copyObject(list_nth(keeper->custom_private, AGAIN_QUERY));
	int			options = linitial_int(list_nth(keeper->custom_private, AGAIN_CURSOR_OPTIONS));
	Replanned  *replanned = palloc0(sizeof(Replanned));

	/* Whoever opened a cursor may have looked whether it can go back. */
	if (ExecSupportsBackwardScan(run->plannedstmt->planTree))
		options |= CURSOR_OPT_SCROLL;
	PushActiveSnapshot(run->snapshot);
	/* Parameters stay what they are: a value that was made part of the plan may be one now. */
	replanned->after = planner(query, run->sourceText, options, NULL);
	PopActiveSnapshot();
	MemoryContextSwitchTo(caller);

	replanned->run = run;
	replanned->before = run->plannedstmt;
	replanned->context = context;
	dlist_push_head(&replanned_runs, &replanned->node);
	replanned->forget.func = forget_run;
	replanned->forget.arg = replanned;
	MemoryContextRegisterResetCallback(context, &replanned->forget);
	run->plannedstmt = replanned->after;
	return replanned;
}

static void
start(QueryDesc *run, int flags)
{
	const CustomScan *keeper = find_keeper(run->plannedstmt);
	Replanned  *replanned = NULL;

	if (keeper != NULL && run->snapshot != NULL && is_outdated(keeper, run->snapshot))
		replanned = plan_again(keeper, run);
	if (next_start != NULL)
		next_start(run, flags);
	else
		standard_ExecutorStart(run, flags);
	if (replanned != NULL && run->estate != NULL)
		MemoryContextSetParent(replanned->context, run->estate->es_query_cxt);
}

/* The plan ends with the run, but the caller's description of it does not: it is given back what it came with. */
static void
finish(QueryDesc *run)
{
	PlannedStmt *before = NULL;
	dlist_iter	iter;

	dlist_foreach(iter, &replanned_runs)
	{
		const Replanned *replanned = dlist_container(Replanned, node, iter.cur);

		if (replanned->run == run && replanned->after == run->plannedstmt)
			before = replanned->before;
	}
	if (next_end != NULL)
		next_end(run);
	else
		standard_ExecutorEnd(run);
	if (before != NULL)
		run->plannedstmt = before;
}

void
idla_again_start(void)
{
	RegisterCustomScanMethods(&query_methods);
	next_start = ExecutorStart_hook;
	ExecutorStart_hook = start;
	next_end = ExecutorEnd_hook;
	ExecutorEnd_hook = finish;
}

/*
 * splice.c: batch nodes into finished plans.
 *
 * After the planner is done, a node that evaluates calls of the predict family gets a batch node (batch_scan.c). Above a scan, a
 * join or a grouping, which then only hands on the columns that are needed, the batch node evaluates what the
 * node would have. Below an aggregate or window function whose arguments have calls, it adds their answers to the rows that come in.
 *
 * A call is left to the row path where its value might not be wanted at all (the later arms of a CASE, what follows the
 * first term of AND and OR), since an answer for it could be an error; where rows read ahead would be noticed (volatile functions
 * below); and wherever a plan is of a kind not known here.
 */
#include "serve.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "executor/executor.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/planmain.h"
#include "optimizer/planner.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static planner_hook_type next_planner = NULL;

typedef struct Splicing
{
	PlannedStmt *statement;
	int			last_id;		/* of a plan node */
	bool		parallel;		/* where workers execute the plan too */
} Splicing;

/* ---- expressions ---- */

/* What a node's expressions take from the rows below it, as far as a batch node is concerned. */
static bool
is_leaf(const Node *node)
{
	return IsA(node, Var) || IsA(node, Aggref) || IsA(node, GroupingFunc) || IsA(node, WindowFunc);
}

static bool
has_leaf(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return is_leaf(node) || expression_tree_walker(node, has_leaf, context);
}

/* What may not be evaluated elsewhere than where it stands, or not for every row. */
static bool
has_obstacle(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_SubPlan:
		case T_AlternativeSubPlan:
		case T_CaseTestExpr:
		case T_CoerceToDomainValue:
		case T_CurrentOfExpr:
		case T_NextValueExpr:
			return true;
		case T_FuncExpr:
			if (((FuncExpr *) node)->funcretset || idla_support_kind((FuncExpr *) node) >= 0)
				return true;
			break;
		default:
			break;
	}
	return expression_tree_walker(node, has_obstacle, context);
}

static bool
is_call(const Node *node)
{
	return IsA(node, FuncExpr) && idla_support_kind((const FuncExpr *) node) >= 0;
}

/* Which model is asked must be the same for all rows, and its input must come from them. */
static bool
can_be_batched(const FuncExpr *call)
{
	IdlaCall	parts;
	ListCell   *cell;

	if (!idla_support_parse(call, (IdlaAnswerKind) idla_support_kind(call), &parts) ||
		contain_volatile_functions((Node *) call->args))
		return false;
	foreach(cell, call->args)
	{
		if (has_obstacle(lfirst(cell), NULL))
			return false;
	}
	for (int i = 0; i < parts.n_own; i++)
		if (has_leaf(parts.own[i], NULL))
			return false;
	return !has_leaf(parts.model, NULL) && !has_leaf(parts.version, NULL) && has_leaf((Node *) parts.columns, NULL);
}

typedef struct Collecting
{
	List	   *calls;			/* distinct */
	bool		aggregates;		/* look inside aggregates alone, or outside them alone */
	bool		inside;
	bool		conditional;
} Collecting;

static bool collect(Node *node, Collecting *collecting);

/* The first of some expressions is evaluated whenever they are, the others may not be. */
static bool
collect_first(List *expressions, Collecting *collecting)
{
	bool		conditional = collecting->conditional;
	ListCell   *cell;

	foreach(cell, expressions)
	{
		collect(lfirst(cell), collecting);
		collecting->conditional = true;
	}
	collecting->conditional = conditional;
	return false;
}

static bool
collect_case(CaseExpr *choice, Collecting *collecting)
{
	bool		conditional = collecting->conditional;
	ListCell   *cell;

	collect((Node *) choice->arg, collecting);
	foreach(cell, choice->args)
	{
		CaseWhen   *when = lfirst(cell);

		collect((Node *) when->expr, collecting);
		collecting->conditional = true;
		collect((Node *) when->result, collecting);
	}
	collect((Node *) choice->defresult, collecting);
	collecting->conditional = conditional;
	return false;
}

static bool
collect_aggregate(List *arguments, Expr *filter, Collecting *collecting)
{
	bool		conditional = collecting->conditional;

	if (!collecting->aggregates)
		return false;
	collecting->inside = true;
	collect((Node *) filter, collecting);
	collecting->conditional = conditional || filter != NULL;
	collect((Node *) arguments, collecting);
	collecting->conditional = conditional;
	collecting->inside = false;
	return false;
}

/* Calls that are evaluated for every row, and can be elsewhere. */
static bool
collect(Node *node, Collecting *collecting)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_CaseExpr:
			return collect_case((CaseExpr *) node, collecting);
		case T_CoalesceExpr:
			return collect_first(((CoalesceExpr *) node)->args, collecting);
		case T_BoolExpr:
			return collect_first(((BoolExpr *) node)->args, collecting);
		case T_Aggref:
			return collect_aggregate(((Aggref *) node)->args, ((Aggref *) node)->aggfilter, collecting);
		case T_WindowFunc:
			return collect_aggregate(((WindowFunc *) node)->args, ((WindowFunc *) node)->aggfilter, collecting);
		case T_GroupingFunc:
		case T_SubPlan:
		case T_AlternativeSubPlan:
			return false;
		case T_FuncExpr:
			if (is_call(node) && collecting->inside == collecting->aggregates && can_be_batched((FuncExpr *) node))
			{
				if (!collecting->conditional)
					collecting->calls = list_append_unique(collecting->calls, node);
				return false;
			}
			break;
		default:
			break;
	}
	return expression_tree_walker(node, collect, collecting);
}

/* ---- a batch node ---- */

typedef struct Rewriting
{
	List	   *calls;
	List	   *columns;		/* expressions of the node below, found by equal */
	int			varno;			/* of what stands in place of a column */
	bool		aggregates;		/* calls are inside aggregates, and columns stay */
} Rewriting;

static int
find(List *list, const Node *node)
{
	ListCell   *cell;
	int			i = 0;

	foreach(cell, list)
	{
		if (equal(lfirst(cell), node))
			return i;
		i++;
	}
	return -1;
}

static bool
gather_columns(Node *node, Rewriting *rewriting)
{
	if (node == NULL)
		return false;
	if (is_leaf(node))
	{
		if (find(rewriting->columns, node) < 0)
			rewriting->columns = lappend(rewriting->columns, node);
		return false;
	}
	return expression_tree_walker(node, gather_columns, rewriting);
}

static Var *
stand_in(int varno, int position, const Node *node)
{
	return makeVar(varno, (AttrNumber) (position + 1), exprType(node), exprTypmod(node), exprCollation(node), 0);
}

/* Calls become columns behind those from below; these become columns of the batch node. */
static Node *
rewrite(Node *node, Rewriting *rewriting)
{
	int			call;

	if (node == NULL)
		return NULL;
	call = is_call(node) ? find(rewriting->calls, node) : -1;
	if (call >= 0)
		return (Node *) stand_in(rewriting->varno, list_length(rewriting->columns) + call, node);
	if (is_leaf(node) && !rewriting->aggregates)
		return (Node *) stand_in(rewriting->varno, find(rewriting->columns, node), node);
	return expression_tree_mutator(node, rewrite, rewriting);
}

/* A call with its input found in the row below. */
static Node *
rewrite_input(Node *call, List *columns)
{
	Rewriting	rewriting = {.columns = columns,.varno = OUTER_VAR};

	return expression_tree_mutator(call, rewrite, &rewriting);
}

static bool
note_column(Node *node, Bitmapset **columns)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var) && (((Var *) node)->varno == OUTER_VAR || ((Var *) node)->varno == INDEX_VAR))
	{
		*columns = bms_add_member(*columns, ((Var *) node)->varattno);
		return false;
	}
	return expression_tree_walker(node, note_column, columns);
}

static List *
integers(const Bitmapset *set, int last)
{
	List	   *list = NIL;

	for (int i = -1; (i = bms_next_member(set, i)) >= 0;)
		if (i > 0 && i <= last)
			list = lappend_int(list, i);
	return list;
}

static List *
kinds(List *calls)
{
	List	   *list = NIL;
	ListCell   *cell;

	foreach(cell, calls)
		list = lappend_int(list, idla_support_kind(lfirst(cell)));
	return list;
}

/* The node itself; what it hands on is the caller's to say. `columns` are described, from 1 on, as the node below has them. */
static CustomScan *
make_batch(Splicing *splicing, Plan *below, List *columns, List *calls)
{
	CustomScan *scan = makeNode(CustomScan);
	Plan	   *plan = &scan->scan.plan;
	ListCell   *cell;
	int			n = 0;

	plan->startup_cost = below->startup_cost;
	plan->total_cost = below->total_cost;
	plan->plan_rows = below->plan_rows;
	plan->plan_width = below->plan_width;
	plan->parallel_safe = below->parallel_safe;
	/* Not that rows are shared out here: it lets workers tell what they counted. */
	plan->parallel_aware = splicing->parallel;
	plan->plan_node_id = ++splicing->last_id;
	plan->lefttree = below;
	plan->extParam = bms_copy(below->extParam);
	plan->allParam = bms_copy(below->allParam);
	scan->methods = &idla_batch_scan_methods;
	foreach(cell, columns)
	{
		n++;
		scan->custom_scan_tlist = lappend(scan->custom_scan_tlist,
										  makeTargetEntry((Expr *) stand_in(OUTER_VAR, n - 1, lfirst(cell)), (AttrNumber) n, NULL, false));
	}
	foreach(cell, calls)
	{
		n++;
		scan->custom_scan_tlist = lappend(scan->custom_scan_tlist,
										  makeTargetEntry((Expr *) rewrite_input(lfirst(cell), columns), (AttrNumber) n, NULL, false));
	}
	return scan;
}

/* ---- above a node ---- */

/*
 * All columns of the table that a scan reads, in its order, when they have what is needed: a scan that hands
 * these on copies nothing.
 */
static List *
whole_table(const Splicing *splicing, const Plan *plan, List *columns)
{
	Index		number;
	RangeTblEntry *entry;
	Relation	relation;
	TupleDesc	desc;
	List	   *all = NIL;
	ListCell   *cell;

	if (!IsA(plan, SeqScan) && !IsA(plan, SampleScan) && !IsA(plan, IndexScan) && !IsA(plan, BitmapHeapScan) &&
		!IsA(plan, TidScan) && !IsA(plan, TidRangeScan))
		return NIL;
	foreach(cell, columns)
	{
		const Var  *var = lfirst(cell);

		if (!IsA(var, Var) || var->varattno <= 0 || IS_SPECIAL_VARNO(var->varno))
			return NIL;
	}
	number = ((const Scan *) plan)->scanrelid;
	entry = rt_fetch(number, splicing->statement->rtable);
	if (entry->rtekind != RTE_RELATION)
		return NIL;

	/* The planner holds a lock on every table of the query. */
	relation = table_open(entry->relid, NoLock);
	desc = RelationGetDescr(relation);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped || attribute->atthasmissing || idla_compat_is_virtual(attribute))
		{
			all = NIL;
			break;
		}
		all = lappend(all, makeVar(number, attribute->attnum, attribute->atttypid, attribute->atttypmod,
								   attribute->attcollation, 0));
	}
	table_close(relation, NoLock);
	/* Variables must be found among them by equal. */
	foreach(cell, columns)
	{
		if (all != NIL && find(all, lfirst(cell)) < 0)
			return NIL;
	}
	return all;
}

static List *
target_list(List *expressions)
{
	List	   *list = NIL;
	ListCell   *cell;
	AttrNumber	n = 0;

	foreach(cell, expressions)
		list = lappend(list, makeTargetEntry(copyObject(lfirst(cell)), ++n, NULL, false));
	return list;
}

/* Splits a node's conditions into those with a call of these and the others. */
static void
split_conditions(List *conditions, List *calls, List **with, List **without)
{
	ListCell   *cell;

	*with = *without = NIL;
	foreach(cell, conditions)
	{
		Collecting	collecting = {0};
		bool		any = false;
		ListCell   *call;

		collect(lfirst(cell), &collecting);
		foreach(call, collecting.calls)
			any = any || find(calls, lfirst(call)) >= 0;
		if (any)
			*with = lappend(*with, lfirst(cell));
		else
			*without = lappend(*without, lfirst(cell));
	}
}

static Plan *
splice_above(Splicing *splicing, Plan *plan)
{
	Collecting	collecting = {0};
	Rewriting	rewriting = {.varno = INDEX_VAR};
	Bitmapset  *carried = NULL;
	List	   *with;
	List	   *without;
	List	   *all;
	CustomScan *scan;
	Plan	   *batch;
	ListCell   *cell;

	collect((Node *) plan->targetlist, &collecting);
	foreach(cell, plan->qual)
		collect(lfirst(cell), &collecting);
	if (collecting.calls == NIL)
		return plan;
	split_conditions(plan->qual, collecting.calls, &with, &without);

	rewriting.calls = collecting.calls;
	gather_columns((Node *) plan->targetlist, &rewriting);
	gather_columns((Node *) with, &rewriting);
	/* Of groups and windows: what is inside is evaluated when the row is read. */
	if (contain_volatile_functions((Node *) rewriting.columns))
		return plan;
	all = whole_table(splicing, plan, rewriting.columns);
	if (all != NIL)
		rewriting.columns = all;

	scan = make_batch(splicing, plan, rewriting.columns, rewriting.calls);
	batch = &scan->scan.plan;
	batch->targetlist = (List *) rewrite((Node *) plan->targetlist, &rewriting);
	batch->qual = (List *) rewrite((Node *) with, &rewriting);
	batch->initPlan = plan->initPlan;
	plan->initPlan = NIL;
	plan->targetlist = target_list(rewriting.columns);
	plan->qual = without;
	note_column((Node *) batch->targetlist, &carried);
	note_column((Node *) batch->qual, &carried);
	scan->custom_private = list_make3(list_make1_int(list_length(rewriting.columns)),
									  integers(carried, list_length(rewriting.columns)), kinds(rewriting.calls));
	return batch;
}

/* ---- below an aggregate ---- */

/* Columns of the rows below that the node compares by number. */
static Bitmapset *
compared_columns(const Plan *plan)
{
	Bitmapset  *columns = NULL;

	if (IsA(plan, Agg))
	{
		const Agg  *agg = (const Agg *) plan;

		for (int i = 0; i < agg->numCols; i++)
			columns = bms_add_member(columns, agg->grpColIdx[i]);
	}
	else
	{
		const WindowAgg *window = (const WindowAgg *) plan;

		for (int i = 0; i < window->partNumCols; i++)
			columns = bms_add_member(columns, window->partColIdx[i]);
		for (int i = 0; i < window->ordNumCols; i++)
			columns = bms_add_member(columns, window->ordColIdx[i]);
	}
	return columns;
}

/* plan is an Agg or a WindowAgg. */
static void
splice_below(Splicing *splicing, Plan *plan)
{
	Plan	   *below = plan->lefttree;
	Collecting	collecting = {.aggregates = true};
	Rewriting	rewriting = {.varno = OUTER_VAR,.aggregates = true};
	Bitmapset  *carried = compared_columns(plan);
	CustomScan *scan;
	ListCell   *cell;
	int			n = 0;

	/* The sorts of further grouping sets hand rows on among themselves. */
	if (IsA(plan, Agg) && ((Agg *) plan)->chain != NIL)
		return;
	collect((Node *) plan->targetlist, &collecting);
	foreach(cell, plan->qual)
		collect(lfirst(cell), &collecting);
	if (collecting.calls == NIL)
		return;

	/* Columns of the node below, as the aggregate's expressions name them. */
	foreach(cell, below->targetlist)
		rewriting.columns = lappend(rewriting.columns, stand_in(OUTER_VAR, n++, (Node *) ((TargetEntry *) lfirst(cell))->expr));
	rewriting.calls = collecting.calls;
	scan = make_batch(splicing, below, rewriting.columns, NIL);
	foreach(cell, below->targetlist)
	{
		TargetEntry *entry = flatCopyTargetEntry(lfirst(cell));

		entry->expr = (Expr *) stand_in(INDEX_VAR, entry->resno - 1, (Node *) entry->expr);
		scan->scan.plan.targetlist = lappend(scan->scan.plan.targetlist, entry);
	}
	foreach(cell, rewriting.calls)
	{
		n++;
		/* A call's variables are of the node below already. */
		scan->custom_scan_tlist = lappend(scan->custom_scan_tlist,
										  makeTargetEntry(copyObject(lfirst(cell)), (AttrNumber) n, NULL, false));
		scan->scan.plan.targetlist = lappend(scan->scan.plan.targetlist,
											 makeTargetEntry((Expr *) stand_in(INDEX_VAR, n - 1, lfirst(cell)),
															 (AttrNumber) n, NULL, false));
	}
	plan->targetlist = (List *) rewrite((Node *) plan->targetlist, &rewriting);
	plan->qual = (List *) rewrite((Node *) plan->qual, &rewriting);
	note_column((Node *) plan->targetlist, &carried);
	note_column((Node *) plan->qual, &carried);
	scan->custom_private = list_make3(list_make1_int(list_length(rewriting.columns)),
									  integers(carried, list_length(rewriting.columns)), kinds(rewriting.calls));
	plan->lefttree = &scan->scan.plan;
}

/* ---- plans ---- */

static bool
calls_volatile(Plan *plan)
{
	return contain_volatile_functions((Node *) plan->targetlist) || contain_volatile_functions((Node *) plan->qual);
}

/* Would reading rows ahead be noticed? Of nodes whose kind is not known here we do not know. */
static bool
reads_quietly(Plan *plan)
{
	ListCell   *cell;

	if (plan == NULL)
		return true;
	if (calls_volatile(plan))
		return false;
	switch (nodeTag(plan))
	{
		case T_SeqScan:
		case T_SampleScan:
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapIndexScan:
		case T_BitmapHeapScan:
		case T_TidScan:
		case T_TidRangeScan:
		case T_CteScan:
		case T_NamedTuplestoreScan:
		case T_WorkTableScan:
		case T_ForeignScan:
		case T_Material:
		case T_Memoize:
		case T_Sort:
		case T_IncrementalSort:
		case T_Group:
		case T_Agg:
		case T_WindowAgg:
		case T_Unique:
		case T_SetOp:
		case T_Limit:
		case T_Hash:
		case T_Gather:
		case T_GatherMerge:
		case T_BitmapAnd:
		case T_BitmapOr:
		case T_ProjectSet:
			break;
		case T_ValuesScan:
			if (contain_volatile_functions((Node *) ((ValuesScan *) plan)->values_lists))
				return false;
			break;
		case T_FunctionScan:
			if (contain_volatile_functions((Node *) ((FunctionScan *) plan)->functions))
				return false;
			break;
		case T_SubqueryScan:
			if (!reads_quietly(((SubqueryScan *) plan)->subplan))
				return false;
			break;
		case T_Append:
			foreach(cell, ((Append *) plan)->appendplans)
				if (!reads_quietly(lfirst(cell)))
					return false;
			break;
		case T_MergeAppend:
			foreach(cell, ((MergeAppend *) plan)->mergeplans)
				if (!reads_quietly(lfirst(cell)))
					return false;
			break;
		case T_Result:
			if (contain_volatile_functions(((Result *) plan)->resconstantqual))
				return false;
			break;
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
			if (contain_volatile_functions((Node *) ((Join *) plan)->joinqual))
				return false;
			break;
		case T_CustomScan:
			if (((CustomScan *) plan)->methods != &idla_batch_scan_methods)
				return false;
			break;
		default:
			/* LockRows, ModifyTable, RecursiveUnion, and what is not known here */
			return false;
	}
	return reads_quietly(plan->lefttree) && reads_quietly(plan->righttree);
}

/* Does the node evaluate its target list and conditions for the rows that it hands on? */
static bool
evaluates(const Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_SeqScan:
		case T_SampleScan:
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapHeapScan:
		case T_TidScan:
		case T_TidRangeScan:
		case T_SubqueryScan:
		case T_FunctionScan:
		case T_ValuesScan:
		case T_CteScan:
		case T_NamedTuplestoreScan:
		case T_ForeignScan:
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
		case T_Result:
		case T_Agg:
		case T_WindowAgg:
			return true;
		default:
			return false;
	}
}

static Plan *visit(Splicing *splicing, Plan *plan, bool restores);

static void
visit_list(Splicing *splicing, List *plans, bool restores)
{
	ListCell   *cell;

	foreach(cell, plans)
		lfirst(cell) = visit(splicing, lfirst(cell), restores);
}

/* restores: the node above goes back to a marked row, which a batch node cannot. */
static Plan *
visit(Splicing *splicing, Plan *plan, bool restores)
{
	bool		parallel;

	if (plan == NULL)
		return NULL;
	check_stack_depth();
	switch (nodeTag(plan))
	{
		case T_Append:
			visit_list(splicing, ((Append *) plan)->appendplans, restores);
			break;
		case T_MergeAppend:
			visit_list(splicing, ((MergeAppend *) plan)->mergeplans, restores);
			break;
		case T_SubqueryScan:
			((SubqueryScan *) plan)->subplan = visit(splicing, ((SubqueryScan *) plan)->subplan, false);
			break;
		case T_CustomScan:
			/* Another extension's: it may look at its children. */
			return plan;
		default:
			break;
	}
	parallel = splicing->parallel;
	splicing->parallel = parallel || IsA(plan, Gather) || IsA(plan, GatherMerge);
	plan->lefttree = visit(splicing, plan->lefttree, restores && IsA(plan, Result));
	plan->righttree = visit(splicing, plan->righttree, IsA(plan, MergeJoin));
	splicing->parallel = parallel;
	if ((IsA(plan, Agg) || IsA(plan, WindowAgg)) && reads_quietly(plan->lefttree))
		splice_below(splicing, plan);
	if (!restores && evaluates(plan) && reads_quietly(plan->lefttree) && reads_quietly(plan->righttree))
	{
		Plan	   *self = plan;
		List	   *targets = plan->targetlist;
		bool		quiet;

		/* The node's own target list is evaluated in the batch node when the row's turn comes. */
		self->targetlist = NIL;
		quiet = reads_quietly(self);
		self->targetlist = targets;
		if (quiet)
			return splice_above(splicing, plan);
	}
	return plan;
}

static int
last_node_id(Plan *plan)
{
	int			last;
	ListCell   *cell;
	List	   *plans = NIL;

	if (plan == NULL)
		return 0;
	last = Max(plan->plan_node_id, Max(last_node_id(plan->lefttree), last_node_id(plan->righttree)));
	if (IsA(plan, Append))
		plans = ((Append *) plan)->appendplans;
	else if (IsA(plan, MergeAppend))
		plans = ((MergeAppend *) plan)->mergeplans;
	else if (IsA(plan, BitmapAnd))
		plans = ((BitmapAnd *) plan)->bitmapplans;
	else if (IsA(plan, BitmapOr))
		plans = ((BitmapOr *) plan)->bitmapplans;
	else if (IsA(plan, SubqueryScan))
		plans = list_make1(((SubqueryScan *) plan)->subplan);
	else if (IsA(plan, CustomScan))
		plans = ((CustomScan *) plan)->custom_plans;
	foreach(cell, plans)
		last = Max(last, last_node_id(lfirst(cell)));
	return last;
}

/* A node that keeps all rows of the one below. */
static Plan *
materialize(Splicing *splicing, Plan *below)
{
	Plan	   *plan = materialize_finished_plan(below);
	List	   *targets = NIL;
	ListCell   *cell;

	foreach(cell, below->targetlist)
	{
		TargetEntry *entry = flatCopyTargetEntry(lfirst(cell));

		entry->expr = (Expr *) stand_in(OUTER_VAR, entry->resno - 1, (Node *) entry->expr);
		targets = lappend(targets, entry);
	}
	plan->targetlist = targets;
	plan->plan_node_id = ++splicing->last_id;
	return plan;
}

static void
splice_statement(PlannedStmt *statement, int cursor_options)
{
	Splicing	splicing = {.statement = statement};
	ListCell   *cell;

	/* Rows that are locked, and perhaps read again, come one by one. */
	if (statement->rowMarks != NIL && statement->commandType == CMD_SELECT)
		return;
	splicing.last_id = last_node_id(statement->planTree);
	foreach(cell, statement->subplans)
		splicing.last_id = Max(splicing.last_id, last_node_id(lfirst(cell)));

	statement->planTree = visit(&splicing, statement->planTree, false);
	foreach(cell, statement->subplans)
		lfirst(cell) = visit(&splicing, lfirst(cell), false);
	/* The planner saw to it that a scrolling cursor can go back, but did not see this plan. */
	if ((cursor_options & CURSOR_OPT_SCROLL) != 0 && !ExecSupportsBackwardScan(statement->planTree))
	{
		statement->planTree = materialize(&splicing, statement->planTree);
	}
}

/*
 * A plan is made while another one is, when a function is inlined or evaluated in advance; what was seen belongs to the
 * outermost, which looks at more than it must then.
 */
static PlannedStmt *
plan_statement(Query *query, const char *text, int cursor_options, ParamListInfo parameters)
{
	static int	depth = 0;
	PlannedStmt *statement = NULL;

	if (depth == 0)
		idla_support_forget();
	depth++;
	PG_TRY();
	{
		if (next_planner != NULL)
			statement = next_planner(query, text, cursor_options, parameters);
		else
			statement = standard_planner(query, text, cursor_options, parameters);
		if (idla_batch_predict && idla_support_seen())
			splice_statement(statement, cursor_options);
	}
	PG_FINALLY();
	{
		depth--;
	}
	PG_END_TRY();
	return statement;
}

void
idla_splice_start(void)
{
	next_planner = planner_hook;
	planner_hook = plan_statement;
}

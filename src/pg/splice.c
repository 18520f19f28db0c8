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
#include "splice.h"

#include "access/table.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/planmain.h"
#include "optimizer/planner.h"
#include "parser/parsetree.h"
#include "utils/rel.h"

static planner_hook_type next_planner = NULL;

typedef struct Splicing
{
	PlannedStmt *statement;
	int			last_id;		/* of a plan node */
	bool		parallel;		/* where workers execute the plan too */
} Splicing;

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

/* A target list that hands on all columns of `varno`, which are these expressions. */
static List *
stand_ins(int varno, List *expressions)
{
	List	   *list = NIL;
	ListCell   *cell;
	AttrNumber	n = 0;

	foreach(cell, expressions)
	{
		list = lappend(list, makeTargetEntry((Expr *) idla_stand_in(varno, n, lfirst(cell)), (AttrNumber) (n + 1), NULL, false));
		n++;
	}
	return list;
}

/* The node itself; what it hands on is the caller's to say. `columns` are described, from 1 on, as the node below has them. */
static CustomScan *
make_batch(Splicing *splicing, Plan *below, List *columns, List *calls)
{
	CustomScan *scan = makeNode(CustomScan);
	Plan	   *plan = &scan->scan.plan;
	ListCell   *cell;
	int			n = list_length(columns);

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
	scan->custom_scan_tlist = stand_ins(OUTER_VAR, columns);
	foreach(cell, calls)
	{
		n++;
		scan->custom_scan_tlist = lappend(scan->custom_scan_tlist,
										  makeTargetEntry((Expr *) idla_call_input(lfirst(cell), columns), (AttrNumber) n, NULL, false));
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
		if (all != NIL && idla_expression_find(all, lfirst(cell)) < 0)
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

/* The calls of an expression that may be batched, but for those whose answers are among the columns already. */
static List *
new_calls(Node *expression, List *columns)
{
	IdlaCollecting	collecting = {0};
	List	   *calls = NIL;
	ListCell   *cell;

	idla_calls_collect(expression, &collecting);
	foreach(cell, collecting.calls)
	{
		if (idla_expression_find(columns, lfirst(cell)) < 0)
			calls = lappend(calls, lfirst(cell));
	}
	return calls;
}

static bool
shares_pass(const FuncExpr *call, List *calls)
{
	IdlaCall	parts;
	IdlaCall	other;
	ListCell   *cell;

	idla_support_parse(call, (IdlaAnswerKind) idla_support_kind(call), &parts);
	foreach(cell, calls)
	{
		const FuncExpr *first = lfirst(cell);

		if (idla_support_parse(first, (IdlaAnswerKind) idla_support_kind(first), &other) && idla_support_share(&parts, &other))
			return true;
	}
	return false;
}

/* Adds calls of the expression that cost nothing more, since the pass that answers them is made for others. */
static List *
add_sharing(List *calls, Node *expression, List *columns)
{
	List	   *first = list_copy(calls);
	ListCell   *cell;

	foreach(cell, new_calls(expression, columns))
	{
		if (shares_pass(lfirst(cell), first))
			calls = list_append_unique(calls, lfirst(cell));
	}
	return calls;
}

/* What a node would have evaluated, and how far that is done. */
typedef struct Stack
{
	Plan	   *top;
	List	   *columns;		/* what it hands on, as the node's expressions say it: its input, and answers */
	List	   *conditions;		/* yet to be evaluated, in this order */
	List	   *targets;		/* to be evaluated for rows that fulfil all of them */
	bool		whole;			/* all of that is done */
} Stack;

/* The first condition and those after it that need no further answers. */
static List *
take_conditions(Stack *stack, List *known)
{
	List	   *taken = NIL;

	while (stack->conditions != NIL && (taken == NIL || new_calls(linitial(stack->conditions), known) == NIL))
	{
		taken = lappend(taken, linitial(stack->conditions));
		stack->conditions = list_delete_first(stack->conditions);
	}
	return taken;
}

/*
 * One more batch node: with the answers that the next condition needs, or the target list when there is none left. Answers for
 * what comes after a condition are asked for rows that fulfil it alone, in the node above.
 */
static void
stack_batch(Splicing *splicing, Stack *stack)
{
	IdlaRewriting	rewriting = {.varno = INDEX_VAR,.columns = stack->columns};
	Bitmapset  *carried = NULL;
	int			n = list_length(stack->columns);
	List	   *known;
	List	   *conditions;
	CustomScan *scan;
	Plan	   *batch;
	ListCell   *cell;

	rewriting.calls = new_calls(stack->conditions != NIL ? linitial(stack->conditions) : (Node *) stack->targets, stack->columns);
	foreach(cell, stack->conditions)
		rewriting.calls = add_sharing(rewriting.calls, lfirst(cell), stack->columns);
	rewriting.calls = add_sharing(rewriting.calls, (Node *) stack->targets, stack->columns);
	known = list_concat_copy(stack->columns, rewriting.calls);
	conditions = take_conditions(stack, known);
	scan = make_batch(splicing, stack->top, stack->columns, rewriting.calls);
	batch = &scan->scan.plan;
	batch->qual = (List *) idla_calls_rewrite((Node *) conditions, &rewriting);
	note_column((Node *) batch->qual, &carried);
	note_column(idla_calls_rewrite((Node *) stack->targets, &rewriting), &carried);
	note_column(idla_calls_rewrite((Node *) stack->conditions, &rewriting), &carried);
	if (stack->conditions == NIL && new_calls((Node *) stack->targets, known) == NIL)
	{
		batch->targetlist = (List *) idla_calls_rewrite((Node *) stack->targets, &rewriting);
		stack->whole = true;
	}
	else
		batch->targetlist = stand_ins(INDEX_VAR, known);
	scan->custom_private = list_make3(list_make1_int(n), integers(carried, n), kinds(rewriting.calls));
	stack->columns = known;
	stack->top = batch;
}

static bool is_noisy(const Splicing *splicing, Node *expression);

static Plan *
splice_above(Splicing *splicing, Plan *plan)
{
	Stack		stack = {.top = plan,.targets = plan->targetlist};
	IdlaRewriting	gathering = {0};
	List	   *first = NIL;
	List	   *all;
	ListCell   *cell;

	/* Conditions keep their order: what a view hides is hidden before a condition of the query sees it. */
	foreach(cell, plan->qual)
	{
		if (stack.conditions == NIL && new_calls(lfirst(cell), NIL) == NIL)
			first = lappend(first, lfirst(cell));
		else
			stack.conditions = lappend(stack.conditions, lfirst(cell));
	}
	if (stack.conditions == NIL && new_calls((Node *) stack.targets, NIL) == NIL)
		return plan;

	idla_columns_gather((Node *) stack.targets, &gathering);
	idla_columns_gather((Node *) stack.conditions, &gathering);
	/* Of groups and windows: what is inside is evaluated when the row is read. */
	if (is_noisy(splicing, (Node *) gathering.columns))
		return plan;
	all = whole_table(splicing, plan, gathering.columns);
	stack.columns = all != NIL ? all : gathering.columns;
	plan->targetlist = target_list(stack.columns);
	plan->qual = first;
	while (!stack.whole)
		stack_batch(splicing, &stack);
	stack.top->initPlan = plan->initPlan;
	plan->initPlan = NIL;
	return stack.top;
}

/* ---- below an aggregate ---- */

/* Columns of the rows below that an aggregate groups by, and those that further grouping sets sort and group by. */
static Bitmapset *
grouping_columns(const Agg *agg)
{
	Bitmapset  *columns = NULL;
	ListCell   *cell;

	for (int i = 0; i < agg->numCols; i++)
		columns = bms_add_member(columns, agg->grpColIdx[i]);
	foreach(cell, agg->chain)
	{
		const Agg  *next = lfirst(cell);
		const Sort *sort = (const Sort *) next->plan.lefttree;

		columns = bms_union(columns, grouping_columns(next));
		for (int i = 0; sort != NULL && IsA(sort, Sort) && i < sort->numCols; i++)
			columns = bms_add_member(columns, sort->sortColIdx[i]);
	}
	return columns;
}

/* Columns of the rows below that the node compares by number. */
static Bitmapset *
compared_columns(const Plan *plan)
{
	Bitmapset  *columns = NULL;

	if (IsA(plan, Agg))
		columns = grouping_columns((const Agg *) plan);
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
	IdlaCollecting	collecting = {.aggregates = true};
	IdlaRewriting	rewriting = {.varno = OUTER_VAR,.aggregates = true};
	Bitmapset  *carried = compared_columns(plan);
	CustomScan *scan;
	ListCell   *cell;
	int			n = 0;

	idla_calls_collect((Node *) plan->targetlist, &collecting);
	foreach(cell, plan->qual)
		idla_calls_collect(lfirst(cell), &collecting);
	if (collecting.calls == NIL)
		return;

	/* Columns of the node below, as the aggregate's expressions name them. */
	foreach(cell, below->targetlist)
		rewriting.columns = lappend(rewriting.columns, idla_stand_in(OUTER_VAR, n++, (Node *) ((TargetEntry *) lfirst(cell))->expr));
	rewriting.calls = collecting.calls;
	scan = make_batch(splicing, below, rewriting.columns, NIL);
	foreach(cell, below->targetlist)
	{
		TargetEntry *entry = flatCopyTargetEntry(lfirst(cell));

		entry->expr = (Expr *) idla_stand_in(INDEX_VAR, entry->resno - 1, (Node *) entry->expr);
		scan->scan.plan.targetlist = lappend(scan->scan.plan.targetlist, entry);
	}
	foreach(cell, rewriting.calls)
	{
		n++;
		/* A call's variables are of the node below already. */
		scan->custom_scan_tlist = lappend(scan->custom_scan_tlist,
										  makeTargetEntry(copyObject(lfirst(cell)), (AttrNumber) n, NULL, false));
		scan->scan.plan.targetlist = lappend(scan->scan.plan.targetlist,
											 makeTargetEntry((Expr *) idla_stand_in(INDEX_VAR, n - 1, lfirst(cell)),
															 (AttrNumber) n, NULL, false));
	}
	plan->targetlist = (List *) idla_calls_rewrite((Node *) plan->targetlist, &rewriting);
	plan->qual = (List *) idla_calls_rewrite((Node *) plan->qual, &rewriting);
	note_column((Node *) plan->targetlist, &carried);
	note_column((Node *) plan->qual, &carried);
	scan->custom_private = list_make3(list_make1_int(list_length(rewriting.columns)),
									  integers(carried, list_length(rewriting.columns)), kinds(rewriting.calls));
	plan->lefttree = &scan->scan.plan;
}

/* ---- plans ---- */

static bool reads_quietly(const Splicing *splicing, Plan *plan);

/* The plan behind a subquery or a common table expression. */
static bool
subplan_is_quiet(const Splicing *splicing, int number)
{
	return reads_quietly(splicing, list_nth(splicing->statement->subplans, number - 1));
}

/* Is a subquery in the expression one that would notice? */
static bool
has_noisy_subplan(Node *node, const Splicing *splicing)
{
	if (node == NULL)
		return false;
	if (IsA(node, SubPlan) && !subplan_is_quiet(splicing, ((SubPlan *) node)->plan_id))
		return true;
	return expression_tree_walker(node, has_noisy_subplan, (void *) splicing);
}

static bool
is_noisy(const Splicing *splicing, Node *expression)
{
	return contain_volatile_functions(expression) || has_noisy_subplan(expression, splicing);
}

/* Would reading rows ahead be noticed? Of nodes whose kind is not known here we do not know. */
static bool
reads_quietly(const Splicing *splicing, Plan *plan)
{
	ListCell   *cell;

	if (plan == NULL)
		return true;
	check_stack_depth();
	if (is_noisy(splicing, (Node *) plan->targetlist) || is_noisy(splicing, (Node *) plan->qual))
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
		case T_CteScan:
			if (!subplan_is_quiet(splicing, ((CteScan *) plan)->ctePlanId))
				return false;
			break;
		case T_ValuesScan:
			if (is_noisy(splicing, (Node *) ((ValuesScan *) plan)->values_lists))
				return false;
			break;
		case T_FunctionScan:
			if (is_noisy(splicing, (Node *) ((FunctionScan *) plan)->functions))
				return false;
			break;
		case T_TableFuncScan:
			if (is_noisy(splicing, (Node *) ((TableFuncScan *) plan)->tablefunc))
				return false;
			break;
		case T_SubqueryScan:
			if (!reads_quietly(splicing, ((SubqueryScan *) plan)->subplan))
				return false;
			break;
		case T_Append:
			foreach(cell, ((Append *) plan)->appendplans)
				if (!reads_quietly(splicing, lfirst(cell)))
					return false;
			break;
		case T_MergeAppend:
			foreach(cell, ((MergeAppend *) plan)->mergeplans)
				if (!reads_quietly(splicing, lfirst(cell)))
					return false;
			break;
		case T_Result:
			if (is_noisy(splicing, ((Result *) plan)->resconstantqual))
				return false;
			break;
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
			if (is_noisy(splicing, (Node *) ((Join *) plan)->joinqual))
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
	return reads_quietly(splicing, plan->lefttree) && reads_quietly(splicing, plan->righttree);
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
		case T_TableFuncScan:
		case T_ValuesScan:
		case T_CteScan:
		case T_NamedTuplestoreScan:
		case T_ForeignScan:
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
		case T_Result:
		case T_Agg:
			return true;
		case T_WindowAgg:
			/* A run condition names columns of the target list by their numbers. */
			return ((const WindowAgg *) plan)->runCondition == NIL;
		default:
			return false;
	}
}

/*
 * A limit right above batch nodes that drop no row goes below them: it then tells a sort below how many rows it is to keep, and
 * no row is answered that is not wanted.
 */
static Plan *
sink_limit(Limit *limit)
{
	Plan	   *top = limit->plan.lefttree;
	List	   *targets = NIL;
	ListCell   *cell;

	if (!IsA(top, CustomScan) || ((CustomScan *) top)->methods != &idla_batch_scan_methods || top->qual != NIL ||
		limit->limitOption != LIMIT_OPTION_COUNT || contain_volatile_functions((Node *) top->targetlist))
		return &limit->plan;
	limit->plan.lefttree = top->lefttree;
	foreach(cell, top->lefttree->targetlist)
		targets = lappend(targets, ((TargetEntry *) lfirst(cell))->expr);
	limit->plan.targetlist = stand_ins(OUTER_VAR, targets);
	limit->plan.plan_width = top->lefttree->plan_width;
	top->lefttree = &limit->plan;
	top->startup_cost = limit->plan.startup_cost;
	top->total_cost = limit->plan.total_cost;
	top->plan_rows = limit->plan.plan_rows;
	top->initPlan = list_concat(limit->plan.initPlan, top->initPlan);
	limit->plan.initPlan = NIL;
	top->extParam = bms_copy(limit->plan.extParam);
	top->allParam = bms_copy(limit->plan.allParam);
	return top;
}

static Plan *visit(Splicing *splicing, Plan *plan, bool restores);

static void
visit_list(Splicing *splicing, List *plans, bool restores)
{
	ListCell   *cell;

	foreach(cell, plans)
		lfirst(cell) = visit(splicing, lfirst(cell), restores);
}

/*
 * A foreign scan that its Append asks to fetch ahead, while others do too (async_capable), has no rows when it is asked for the next one in the usual
 * way, as a batch node between them asks. So it is told that nobody does otherwise.
 */
static void
visit_appended(Splicing *splicing, List *plans, bool restores)
{
	ListCell   *cell;

	foreach(cell, plans)
	{
		Plan	   *plan = lfirst(cell);

		lfirst(cell) = visit(splicing, plan, restores);
		if (lfirst(cell) != plan)
			plan->async_capable = false;
	}
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
			visit_appended(splicing, ((Append *) plan)->appendplans, restores);
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
	if ((IsA(plan, Agg) || IsA(plan, WindowAgg)) && reads_quietly(splicing, plan->lefttree))
		splice_below(splicing, plan);
	if (!restores && evaluates(plan) && reads_quietly(splicing, plan->lefttree) && reads_quietly(splicing, plan->righttree))
	{
		Plan	   *self = plan;
		List	   *targets = plan->targetlist;
		bool		quiet;

		/* The node's own target list is evaluated in the batch node when the row's turn comes. */
		self->targetlist = NIL;
		quiet = reads_quietly(splicing, self);
		self->targetlist = targets;
		if (quiet)
			return splice_above(splicing, plan);
	}
	return IsA(plan, Limit) ? sink_limit((Limit *) plan) : plan;
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

		entry->expr = (Expr *) idla_stand_in(OUTER_VAR, entry->resno - 1, (Node *) entry->expr);
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
plan_and_splice(Query *query, const char *text, int cursor_options, ParamListInfo parameters)
{
	static int	depth = 0;
	PlannedStmt *volatile statement = NULL;
	/* The planner does not leave its query as it was. */
	Query	   *kept = idla_batch_predict && idla_again_expects(query) ? copyObject(query) : NULL;
	IdlaPlanning planning = {.context = CurrentMemoryContext};
	IdlaPlanning *outer = idla_support_plan(kept != NULL ? &planning : NULL);

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
		if (planning.narrowed)
			idla_again_keep(statement, kept, &planning, cursor_options);
	}
	PG_FINALLY();
	{
		depth--;
		idla_support_plan(outer);
	}
	PG_END_TRY();
	return statement;
}

/* No worker reads the temporary table that a model may be. */
static PlannedStmt *
plan_statement(Query *query, const char *text, int cursor_options, ParamListInfo parameters)
{
	const bool	alone = (cursor_options & CURSOR_OPT_PARALLEL_OK) != 0 && idla_query_names_temporary(query, parameters);

	return plan_and_splice(query, text, alone ? cursor_options & ~CURSOR_OPT_PARALLEL_OK : cursor_options, parameters);
}

void
idla_splice_start(void)
{
	next_planner = planner_hook;
	planner_hook = plan_statement;
}

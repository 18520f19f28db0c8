/*
 * splice_calls.c: calls of the predict family in the expressions of a plan.
 *
 * Which of them may be answered in batches, and expressions in which the answers stand in their place.
 */
#include "splice.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"

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

/* The first of some expressions is evaluated whenever they are, the others may not be. */
static bool
collect_first(List *expressions, IdlaCollecting *collecting)
{
	bool		conditional = collecting->conditional;
	ListCell   *cell;

	foreach(cell, expressions)
	{
		idla_calls_collect(lfirst(cell), collecting);
		collecting->conditional = true;
	}
	collecting->conditional = conditional;
	return false;
}

static bool
collect_case(CaseExpr *choice, IdlaCollecting *collecting)
{
	bool		conditional = collecting->conditional;
	ListCell   *cell;

	idla_calls_collect((Node *) choice->arg, collecting);
	foreach(cell, choice->args)
	{
		CaseWhen   *when = lfirst(cell);

		idla_calls_collect((Node *) when->expr, collecting);
		collecting->conditional = true;
		idla_calls_collect((Node *) when->result, collecting);
	}
	idla_calls_collect((Node *) choice->defresult, collecting);
	collecting->conditional = conditional;
	return false;
}

static bool
collect_aggregate(List *arguments, Expr *filter, IdlaCollecting *collecting)
{
	bool		conditional = collecting->conditional;

	if (!collecting->aggregates)
		return false;
	collecting->inside = true;
	idla_calls_collect((Node *) filter, collecting);
	collecting->conditional = conditional || filter != NULL;
	idla_calls_collect((Node *) arguments, collecting);
	collecting->conditional = conditional;
	collecting->inside = false;
	return false;
}

/* Calls that are evaluated for every row, and can be elsewhere. */
bool
idla_calls_collect(Node *node, IdlaCollecting *collecting)
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
	return expression_tree_walker(node, idla_calls_collect, collecting);
}

/* ---- other expressions in their place ---- */

int
idla_expression_find(List *list, const Node *node)
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

bool
idla_columns_gather(Node *node, IdlaRewriting *rewriting)
{
	if (node == NULL)
		return false;
	if (is_leaf(node))
	{
		if (idla_expression_find(rewriting->columns, node) < 0)
			rewriting->columns = lappend(rewriting->columns, node);
		return false;
	}
	return expression_tree_walker(node, idla_columns_gather, rewriting);
}

Var *
idla_stand_in(int varno, int position, const Node *node)
{
	return makeVar(varno, (AttrNumber) (position + 1), exprType(node), exprTypmod(node), exprCollation(node), 0);
}

/* Calls become columns behind those from below; these become columns of the batch node. */
Node *
idla_calls_rewrite(Node *node, IdlaRewriting *rewriting)
{
	int			call;

	if (node == NULL)
		return NULL;
	call = is_call(node) ? idla_expression_find(rewriting->calls, node) : -1;
	if (call >= 0)
		return (Node *) idla_stand_in(rewriting->varno, list_length(rewriting->columns) + call, node);
	if ((is_leaf(node) || is_call(node)) && !rewriting->aggregates)
	{
		int			column = idla_expression_find(rewriting->columns, node);

		if (column >= 0)
			return (Node *) idla_stand_in(rewriting->varno, column, node);
	}
	return expression_tree_mutator(node, idla_calls_rewrite, rewriting);
}

/* A call with its input found in the row below. */
Node *
idla_call_input(Node *call, List *columns)
{
	IdlaRewriting	rewriting = {.columns = columns,.varno = OUTER_VAR};

	return expression_tree_mutator(call, idla_calls_rewrite, &rewriting);
}

/* ---- models that only this process can read ---- */

static bool
is_temporary(Oid type, Datum value, bool isnull)
{
	/* A regclass may be of nothing; only a relation that is there has a persistence. */
	return type == REGCLASSOID && !isnull && get_rel_relkind(DatumGetObjectId(value)) == RELKIND_RELATION &&
		get_rel_persistence(DatumGetObjectId(value)) == RELPERSISTENCE_TEMP;
}

static bool
is_temporary_parameter(const Param *node, ParamListInfo parameters)
{
	const ParamExternData *parameter;
	ParamExternData room;

	if (node->paramkind != PARAM_EXTERN || node->paramtype != REGCLASSOID || parameters == NULL || node->paramid > parameters->numParams)
		return false;
	parameter = parameters->paramFetch != NULL ? parameters->paramFetch(parameters, node->paramid, true, &room) :
		&parameters->params[node->paramid - 1];
	return is_temporary(parameter->ptype, parameter->value, parameter->isnull);
}

static bool
names_temporary(Node *node, ParamListInfo parameters)
{
	if (node == NULL)
		return false;
	if (IsA(node, Const))
		return is_temporary(((Const *) node)->consttype, ((Const *) node)->constvalue, ((Const *) node)->constisnull);
	if (IsA(node, Param))
		return is_temporary_parameter((Param *) node, parameters);
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, names_temporary, parameters, 0);
	return expression_tree_walker(node, names_temporary, parameters);
}

bool
idla_query_names_temporary(Query *query, ParamListInfo parameters)
{
	Oid			tables;
	Oid			toast;

	GetTempNamespaceState(&tables, &toast);
	return OidIsValid(tables) && names_temporary((Node *) query, parameters);
}

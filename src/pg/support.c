/*
 * support.c: what the planner is told about idla_predict.
 *
 * A record argument costs more than the network of a small model: the server forms a row of all columns, which is
 * then taken apart again. Where the planner sees the columns, the call becomes one of
 * idla_predict_columns with the columns themselves and their names. All of them, not those that the model
 * needs today: another version may be in service when the plan runs. Answers are the same bits.
 */
#include "idla.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/planmain.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#define FIRST_COLUMN 4			/* of idla_predict_columns: model, version, output, names come before */

PG_FUNCTION_INFO_V1(idla_predict_support);

/* Columns and their names, in step. */
typedef struct Columns
{
	List	   *expressions;
	List	   *names;			/* of char * */
} Columns;

/* A row of the nullable side of an outer join may be NULL as a whole, which its columns do not tell. */
static bool
has_outer_join(Node *node)
{
	ListCell   *cell;

	if (node == NULL)
		return false;
	if (IsA(node, FromExpr))
	{
		foreach(cell, ((FromExpr *) node)->fromlist)
		{
			if (has_outer_join(lfirst(cell)))
				return true;
		}
		return false;
	}
	if (IsA(node, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) node;

		return join->jointype != JOIN_INNER || has_outer_join(join->larg) || has_outer_join(join->rarg);
	}
	return false;
}

/* The columns of a table whose whole row is passed. */
static bool
expand_whole_row(PlannerInfo *root, const Var *row, Columns *columns)
{
	RangeTblEntry *entry;
	Relation	relation;
	TupleDesc	desc;

	if (row->varattno != InvalidAttrNumber || row->varlevelsup != 0 || !idla_compat_is_current(row) ||
		IS_SPECIAL_VARNO(row->varno))
		return false;
	entry = rt_fetch(row->varno, root->parse->rtable);
	if (entry->rtekind != RTE_RELATION || has_outer_join((Node *) root->parse->jointree))
		return false;

	/* The planner holds a lock on every table of the query. */
	relation = table_open(entry->relid, NoLock);
	desc = RelationGetDescr(relation);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped)
			continue;
		columns->expressions = lappend(columns->expressions,
									   makeVar(row->varno, attribute->attnum, attribute->atttypid,
											   attribute->atttypmod, attribute->attcollation, 0));
		columns->names = lappend(columns->names, pstrdup(NameStr(attribute->attname)));
	}
	table_close(relation, NoLock);
	return true;
}

/* The fields of a row constructor, which is what the whole row of a view becomes. */
static bool
expand_constructor(const RowExpr *row, Columns *columns)
{
	TupleDesc	desc = NULL;
	ListCell   *cell;
	int			i = 0;

	if (row->row_typeid == RECORDOID)
	{
		if (list_length(row->colnames) != list_length(row->args))
			return false;
	}
	else
	{
		desc = lookup_rowtype_tupdesc_copy(row->row_typeid, -1);
		if (list_length(row->args) > desc->natts)
			return false;
	}
	foreach(cell, row->args)
	{
		Node	   *field = lfirst(cell);

		if (desc == NULL || !TupleDescAttr(desc, i)->attisdropped)
		{
			const char *name = desc != NULL ? NameStr(TupleDescAttr(desc, i)->attname) :
				strVal(list_nth(row->colnames, i));

			/* The literal of a text has no type of its own yet. */
			if (exprType(field) == UNKNOWNOID)
				return false;
			columns->expressions = lappend(columns->expressions, field);
			columns->names = lappend(columns->names, pstrdup(name));
		}
		i++;
	}
	return true;
}

static Const *
names_constant(const List *names)
{
	Datum	   *datums = palloc(list_length(names) * sizeof(Datum));
	ListCell   *cell;
	int			n = 0;

	foreach(cell, names)
		datums[n++] = CStringGetTextDatum(lfirst(cell));
	return makeConst(TEXTARRAYOID, -1, DEFAULT_COLLATION_OID, -1,
					 PointerGetDatum(construct_array(datums, n, TEXTOID, -1, false, TYPALIGN_INT)), false, false);
}

/* The function that takes columns, beside the one that takes a row; InvalidOid when somebody dropped it. */
static Oid
find_counterpart(Oid function)
{
	Oid			types[] = {REGCLASSOID, INT4OID, TEXTOID, TEXTARRAYOID, ANYOID};
	char	   *schema = get_namespace_name(get_func_namespace(function));

	if (schema == NULL)
		return InvalidOid;
	return LookupFuncName(list_make2(makeString(schema), makeString(pstrdup("idla_predict_columns"))),
						  lengthof(types), types, true);
}

static Node *
simplify(PlannerInfo *root, const FuncExpr *call)
{
	Columns		columns = {NIL, NIL};
	Node	   *row;
	List	   *arguments;
	Oid			counterpart;

	if (root == NULL || list_length(call->args) != 4)
		return NULL;
	row = lsecond(call->args);
	if (IsA(row, Var) ? !expand_whole_row(root, (Var *) row, &columns) :
		!(IsA(row, RowExpr) && expand_constructor((RowExpr *) row, &columns)))
		return NULL;
	if (columns.expressions == NIL || list_length(columns.expressions) > FUNC_MAX_ARGS - FIRST_COLUMN)
		return NULL;

	/* The right to call the function that was written is asked for here, as where the planner inlines one. */
	counterpart = find_counterpart(call->funcid);
	if (!OidIsValid(counterpart) || !idla_compat_may_execute(call->funcid))
		return NULL;
	record_plan_function_dependency(root, call->funcid);

	arguments = list_make4(linitial(call->args), lthird(call->args), lfourth(call->args),
						   names_constant(columns.names));
	arguments = list_concat(arguments, columns.expressions);
	return (Node *) makeFuncExpr(counterpart, FLOAT8OID, arguments, call->funccollid, call->inputcollid,
								 COERCE_EXPLICIT_CALL);
}

Datum
idla_predict_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);
	Node	   *answer = NULL;

	if (IsA(request, SupportRequestSimplify))
	{
		SupportRequestSimplify *simplification = (SupportRequestSimplify *) request;

		answer = simplify(simplification->root, simplification->fcall);
	}
	PG_RETURN_POINTER(answer);
}

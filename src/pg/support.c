/*
 * support.c: what the planner is told about the predict family.
 *
 * A record argument costs more than the network of a small model: the server forms a row of all columns, which is
 * then taken apart again. Where the planner sees the columns, a call of idla_predict becomes one of
 * idla_predict_columns with the columns themselves and their names, and so with its sisters. Where the model can be read meanwhile, only the columns that
 * it needs are passed: what else the row has is then as if it had not been named, and the plan below neither carries nor computes it. Should another
 * version with other inputs answer when the plan runs, the plan is made again (again.c). Answers are the same bits.
 */
#include "serve.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "optimizer/planmain.h"
#include "parser/parse_func.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(idla_predict_support);

/* Functions of columns, and of rows, that calls have become in the planning that goes on. */
static Oid	seen[IDLA_ANSWER_KINDS];
static Oid	seen_rows[IDLA_ANSWER_KINDS];

/* What is being planned; NULL: nothing whose calls may be narrowed. */
static IdlaPlanning *current = NULL;

IdlaPlanning *
idla_support_plan(IdlaPlanning *planning)
{
	IdlaPlanning *before = current;

	current = planning;
	return before;
}

/* Arguments before the columns: model, version, the kind's own, names. As many has the function of a row. */
static int
count_first(IdlaAnswerKind kind)
{
	return 3 + idla_answer_shapes[kind].n_own;
}

int
idla_support_kind(const FuncExpr *call)
{
	Oid			function = call->funcid;

	for (int kind = 0; OidIsValid(function) && kind < IDLA_ANSWER_KINDS; kind++)
		if (seen[kind] == function || (seen_rows[kind] == function && IsA(lsecond(call->args), RowExpr)))
			return kind;
	return -1;
}

static bool
parse_names(const Const *constant, IdlaCall *parts)
{
	Datum	   *names;
	bool	   *nulls;
	int			n;

	if (!IsA(constant, Const) || constant->constisnull)
		return false;
	deconstruct_array(DatumGetArrayTypeP(constant->constvalue), TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			return false;
		parts->names = lappend(parts->names, makeString(TextDatumGetCString(names[i])));
	}
	return true;
}

bool
idla_support_parse(const FuncExpr *call, IdlaAnswerKind kind, IdlaCall *parts)
{
	const IdlaAnswerShape *shape = &idla_answer_shapes[kind];
	int			n_first = count_first(kind);

	*parts = (IdlaCall) {.kind = kind,.model = linitial(call->args),.n_own = shape->n_own};
	if (list_length(call->args) == n_first && IsA(lsecond(call->args), RowExpr))
	{
		RowExpr    *row = lsecond(call->args);

		parts->version = list_nth(call->args, shape->version);
		for (int i = 0; i < shape->n_own; i++)
			parts->own[i] = list_nth(call->args, shape->own[i]);
		parts->names = row->colnames;
		parts->columns = row->args;
	}
	else if (list_length(call->args) > n_first && !call->funcvariadic)
	{
		parts->version = lsecond(call->args);
		for (int i = 0; i < shape->n_own; i++)
			parts->own[i] = list_nth(call->args, 2 + i);
		parts->columns = list_copy_tail(call->args, n_first);
		if (!parse_names(list_nth(call->args, n_first - 1), parts))
			return false;
	}
	return parts->columns != NIL && list_length(parts->names) == list_length(parts->columns);
}

bool
idla_support_share(const IdlaCall *a, const IdlaCall *b)
{
	return equal(a->model, b->model) && equal(a->version, b->version) && equal(a->names, b->names) && equal(a->columns, b->columns);
}

bool
idla_support_seen(void)
{
	for (int kind = 0; kind < IDLA_ANSWER_KINDS; kind++)
		if (OidIsValid(seen[kind]) || OidIsValid(seen_rows[kind]))
			return true;
	return false;
}

void
idla_support_forget(void)
{
	memset(seen, 0, sizeof(seen));
	memset(seen_rows, 0, sizeof(seen_rows));
}

/* Columns and their names, in step. */
typedef struct Columns
{
	List	   *expressions;
	List	   *names;			/* of char * */
} Columns;

static bool
is_below(Node *node, int number)
{
	ListCell   *cell;

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblRef))
		return ((RangeTblRef *) node)->rtindex == number;
	if (IsA(node, JoinExpr))
		return is_below(((JoinExpr *) node)->larg, number) || is_below(((JoinExpr *) node)->rarg, number);
	foreach(cell, ((FromExpr *) node)->fromlist)
	{
		if (is_below(lfirst(cell), number))
			return true;
	}
	return false;
}

/* Are all tables below that part of the joins among those? */
static bool
is_within(Node *node, const Bitmapset *numbers)
{
	ListCell   *cell;

	if (node == NULL)
		return true;
	if (IsA(node, RangeTblRef))
		return bms_is_member(((RangeTblRef *) node)->rtindex, numbers);
	if (IsA(node, JoinExpr))
		return is_within(((JoinExpr *) node)->larg, numbers) && is_within(((JoinExpr *) node)->rarg, numbers);
	foreach(cell, ((FromExpr *) node)->fromlist)
	{
		if (!is_within(lfirst(cell), numbers))
			return false;
	}
	return true;
}

/*
 * On the nullable side of an outer join a row may be NULL as a whole, which its columns do not tell. `numbers`: only joins of these
 * tables alone are looked at; NULL: all.
 */
static bool
is_nullable(Node *node, int number, const Bitmapset *numbers)
{
	ListCell   *cell;

	if (node == NULL)
		return false;
	if (IsA(node, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) node;
		bool		counts = numbers == NULL || is_within(node, numbers);

		if (counts && (join->jointype == JOIN_LEFT || join->jointype == JOIN_FULL || join->jointype == JOIN_ANTI) && is_below(join->rarg, number))
			return true;
		if (counts && (join->jointype == JOIN_RIGHT || join->jointype == JOIN_FULL) && is_below(join->larg, number))
			return true;
		return is_nullable(join->larg, number, numbers) || is_nullable(join->rarg, number, numbers);
	}
	if (!IsA(node, FromExpr))
		return false;
	foreach(cell, ((FromExpr *) node)->fromlist)
	{
		if (is_nullable(lfirst(cell), number, numbers))
			return true;
	}
	return false;
}

typedef struct Standing
{
	Node	   *joins;
	int			number;
} Standing;

/*
 * Does a whole row of the table stand where a join may have made it NULL? What a view below an outer join has computed is in a PlaceHolderVar by
 * now, which is evaluated where the view's own tables are joined.
 */
static bool
stands_above(Node *node, Standing *standing)
{
	if (node == NULL || IsA(node, Query))
		return false;
	if (IsA(node, PlaceHolderVar) && ((PlaceHolderVar *) node)->phlevelsup == 0 &&
		bms_is_member(standing->number, ((PlaceHolderVar *) node)->phrels) &&
		!is_nullable(standing->joins, standing->number, ((PlaceHolderVar *) node)->phrels))
		return false;
	if (IsA(node, Var))
		return ((Var *) node)->varno == standing->number && ((Var *) node)->varattno == InvalidAttrNumber && ((Var *) node)->varlevelsup == 0;
	return expression_tree_walker(node, stands_above, standing);
}

/* May a whole row that a call is given be NULL? */
static bool
may_be_missing(PlannerInfo *root, const Var *row)
{
	Standing	standing = {.joins = (Node *) root->parse->jointree,.number = (int) row->varno};

	return !idla_compat_marks_nullable() && is_nullable(standing.joins, standing.number, NULL) &&
		query_tree_walker(root->parse, stands_above, &standing, QTW_IGNORE_CTE_SUBQUERIES | QTW_IGNORE_RT_SUBQUERIES | QTW_IGNORE_JOINALIASES);
}

static void
add_column(Columns *columns, Node *expression, const char *name)
{
	columns->expressions = lappend(columns->expressions, expression);
	columns->names = lappend(columns->names, pstrdup(name));
}

static void
expand_table(const Var *row, const RangeTblEntry *entry, Columns *columns)
{
	/* The planner holds a lock on every table of the query. */
	Relation	relation = table_open(entry->relid, NoLock);
	TupleDesc	desc = RelationGetDescr(relation);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (!attribute->attisdropped)
			add_column(columns, (Node *) makeVar(row->varno, attribute->attnum, attribute->atttypid,
												 attribute->atttypmod, attribute->attcollation, 0), NameStr(attribute->attname));
	}
	table_close(relation, NoLock);
}

/* A subquery that stays one, such as a view with an aggregate: its rows are records, or of the view's type. */
static bool
expand_subquery(const Var *row, const RangeTblEntry *entry, Columns *columns)
{
	TupleDesc	desc = row->vartype == RECORDOID ? NULL : lookup_rowtype_tupdesc_copy(row->vartype, -1);
	ListCell   *cell;
	int			n = 0;

	foreach(cell, entry->subquery->targetList)
	{
		const TargetEntry *target = lfirst(cell);
		Node	   *expression = (Node *) target->expr;
		const char *name;

		if (target->resjunk)
			continue;
		if (n >= (desc != NULL ? desc->natts : list_length(entry->eref->colnames)))
			return false;
		name = desc != NULL ? NameStr(TupleDescAttr(desc, n)->attname) : strVal(list_nth(entry->eref->colnames, n));
		if (exprType(expression) == UNKNOWNOID || (desc != NULL && TupleDescAttr(desc, n)->attisdropped))
			return false;
		add_column(columns, (Node *) makeVar(row->varno, target->resno, exprType(expression), exprTypmod(expression),
											 exprCollation(expression), 0), name);
		n++;
	}
	return desc == NULL || n == desc->natts;
}

/* The columns of a common table expression, which is a record always. */
static void
expand_cte(const Var *row, const RangeTblEntry *entry, Columns *columns)
{
	ListCell   *name;
	ListCell   *type;
	ListCell   *modifier;
	ListCell   *collation;
	AttrNumber	n = 0;

	forfour(name, entry->eref->colnames, type, entry->coltypes, modifier, entry->coltypmods, collation, entry->colcollations)
		add_column(columns, (Node *) makeVar(row->varno, ++n, lfirst_oid(type), lfirst_int(modifier), lfirst_oid(collation), 0),
				   strVal(lfirst(name)));
}

/* The columns of what functions in FROM return, and of a trigger's rows: by the names of their type, or as the query calls those of a record. */
static bool
expand_function(const Var *row, RangeTblEntry *entry, Columns *columns)
{
	TupleDesc	desc = row->vartype == RECORDOID ? NULL : lookup_rowtype_tupdesc_domain(row->vartype, row->vartypmod, true);
	List	   *names;
	List	   *variables;
	ListCell   *name;
	ListCell   *variable;
	bool		known = row->vartype == RECORDOID || desc != NULL;

	idla_compat_expand(entry, (int) row->varno, &names, &variables);
	forboth(name, names, variable, variables)
	{
		const Var  *column = lfirst(variable);

		known = known && (desc == NULL || column->varattno <= desc->natts);
		if (known)
			add_column(columns, lfirst(variable), desc == NULL ? strVal(lfirst(name)) :
					   NameStr(TupleDescAttr(desc, column->varattno - 1)->attname));
	}
	if (desc != NULL)
		ReleaseTupleDesc(desc);
	return known;
}

/* The columns of whatever the whole row is passed of. */
static bool
expand_whole_row(PlannerInfo *root, const Var *row, Columns *columns)
{
	RangeTblEntry *entry;

	if (row->varattno != InvalidAttrNumber || row->varlevelsup != 0 || !idla_compat_is_current(row) ||
		IS_SPECIAL_VARNO(row->varno))
		return false;
	entry = rt_fetch(row->varno, root->parse->rtable);
	if (may_be_missing(root, row))
		return false;
	switch (entry->rtekind)
	{
		case RTE_RELATION:
			expand_table(row, entry, columns);
			return true;
		case RTE_SUBQUERY:
			return entry->subquery != NULL && expand_subquery(row, entry, columns);
		case RTE_CTE:
			if (entry->coltypes == NIL || list_length(entry->coltypes) != list_length(entry->eref->colnames))
				return false;
			expand_cte(row, entry, columns);
			return true;
		case RTE_FUNCTION:
		case RTE_TABLEFUNC:
		case RTE_NAMEDTUPLESTORE:
			return expand_function(row, entry, columns);
		default:
			return false;
	}
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
			add_column(columns, field, name);
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

/* What is asked for by the function of a row with that OID; -1 when it was renamed. */
static int
find_kind(Oid function)
{
	const char *name = get_func_name(function);
	size_t		length = name == NULL ? 0 : strlen(name);

	for (int kind = 0; length > 0 && kind < IDLA_ANSWER_KINDS; kind++)
		if (strncmp(idla_answer_shapes[kind].columns, name, length) == 0 && strcmp(idla_answer_shapes[kind].columns + length, "_columns") == 0)
			return kind;
	return -1;
}

/* The function that takes columns, beside the one that takes a row; InvalidOid when somebody dropped it. */
static Oid
find_counterpart(Oid function, IdlaAnswerKind kind)
{
	const IdlaAnswerShape *shape = &idla_answer_shapes[kind];
	Oid			types[4 + IDLA_MOST_OWN] = {REGCLASSOID, INT4OID};
	char	   *schema = get_namespace_name(get_func_namespace(function));
	List	   *name;

	if (schema == NULL)
		return InvalidOid;
	name = list_make2(makeString(schema), makeString(pstrdup(shape->columns)));
	for (int i = 0; i < shape->n_own; i++)
		types[2 + i] = shape->types[i];
	types[2 + shape->n_own] = TEXTARRAYOID;
	types[3 + shape->n_own] = ANYOID;
	return LookupFuncName(name, 4 + shape->n_own, types, true);
}

static bool
expand(PlannerInfo *root, Node *row, Columns *columns)
{
	if (IsA(row, Var))
		return expand_whole_row(root, (Var *) row, columns);
	return IsA(row, RowExpr) && expand_constructor((RowExpr *) row, columns);
}

/* ---- only the columns that are needed ---- */

static int
compare_name(const void *key, const void *cell)
{
	return strcmp(key, lfirst((const ListCell *) cell));
}

/*
 * What is known of a model's version, for the whole plan; NULL when which it is shows later. The server has a plan depend on what a regclass names, so
 * that it is made anew when a deploy says that the model's table has changed.
 */
static const IdlaNarrowed *
find_model(const Const *model, const Const *version)
{
	MemoryContext caller;
	IdlaNarrowed *found;
	ListCell   *cell;
	int			number = -1;

	if (!IsA(model, Const) || model->constisnull || !IsA(version, Const) || !ActiveSnapshotSet())
		return NULL;
	if (!version->constisnull)
		number = DatumGetInt32(version->constvalue);
	if (!version->constisnull && number < 1)
		return NULL;
	foreach(cell, current->models)
	{
		found = lfirst(cell);
		if (found->relid == DatumGetObjectId(model->constvalue) && found->version == number)
			return found;
	}
	caller = MemoryContextSwitchTo(current->context);
	found = palloc(sizeof(IdlaNarrowed));
	found->relid = DatumGetObjectId(model->constvalue);
	found->version = number;
	found->names = idla_needs_find(found->relid, number, GetActiveSnapshot(), &found->key);
	current->models = lappend(current->models, found);
	MemoryContextSwitchTo(caller);
	return found;
}

/* Whether leaving the expression out would be noticed. */
static bool
is_felt(Node *expression)
{
	return !IsA(expression, Var) && (contain_volatile_functions(expression) || expression_returns_set(expression));
}

/*
 * Leaves out what the model does not need. All stay where a needed one is missing: whoever asks with such a row is told what
 * it has. And where no column is of a table, as nothing is won.
 */
static void
narrow(const FuncExpr *call, IdlaAnswerKind kind, Columns *columns)
{
	Columns		left = {NIL, NIL};
	Bitmapset  *found = NULL;
	const IdlaNarrowed *model;
	ListCell   *expression;
	ListCell   *name;

	if (current == NULL || !contain_var_clause((Node *) columns->expressions))
		return;
	model = find_model(linitial(call->args), list_nth(call->args, idla_answer_shapes[kind].version));
	if (model == NULL || model->names == NIL)
		return;
	forboth(expression, columns->expressions, name, columns->names)
	{
		const ListCell *needed = bsearch(lfirst(name), model->names->elements, (Size) list_length(model->names), sizeof(ListCell), compare_name);

		if (needed != NULL)
			found = bms_add_member(found, (int) (needed - model->names->elements));
		else if (!is_felt(lfirst(expression)) && (model->key == NULL || strcmp(model->key, lfirst(name)) != 0))
			continue;
		left.expressions = lappend(left.expressions, lfirst(expression));
		left.names = lappend(left.names, lfirst(name));
	}
	if (bms_num_members(found) < list_length(model->names))
		return;
	current->narrowed |= list_length(left.names) < list_length(columns->names);
	*columns = left;
}

/* The function of columns in place of the call. */
static Node *
call_columns(const FuncExpr *call, IdlaAnswerKind kind, const Columns *columns)
{
	Oid			counterpart = find_counterpart(call->funcid, kind);
	const IdlaAnswerShape *shape = &idla_answer_shapes[kind];
	List	   *arguments = list_make2(linitial(call->args), list_nth(call->args, shape->version));

	if (!OidIsValid(counterpart))
		return NULL;
	seen[kind] = counterpart;
	for (int i = 0; i < shape->n_own; i++)
		arguments = lappend(arguments, list_nth(call->args, shape->own[i]));
	arguments = lappend(arguments, names_constant(columns->names));
	arguments = list_concat(arguments, columns->expressions);
	return (Node *) makeFuncExpr(counterpart, call->funcresulttype, arguments, call->funccollid, call->inputcollid,
								 COERCE_EXPLICIT_CALL);
}

/* The same call with its row taken apart and put together again: what a batch node finds the columns in. */
static Node *
call_constructor(const FuncExpr *call, IdlaAnswerKind kind, const Columns *columns)
{
	FuncExpr   *same = (FuncExpr *) copyObject(call);
	RowExpr    *row = makeNode(RowExpr);
	ListCell   *cell;

	row->args = columns->expressions;
	row->row_typeid = RECORDOID;
	row->row_format = COERCE_EXPLICIT_CALL;
	row->location = -1;
	foreach(cell, columns->names)
		row->colnames = lappend(row->colnames, makeString(lfirst(cell)));
	lsecond(same->args) = row;
	seen_rows[kind] = call->funcid;
	return (Node *) same;
}

/* The arguments of the function of a row are as its shape says; those of the function of columns stand in another order. */
static Node *
simplify(PlannerInfo *root, const FuncExpr *call)
{
	int			kind = find_kind(call->funcid);
	Columns		columns = {NIL, NIL};

	if (root == NULL || kind < 0 || list_length(call->args) != count_first(kind) ||
		!expand(root, lsecond(call->args), &columns) || columns.expressions == NIL)
		return NULL;
	/* The right to call the function that was written is asked for here, as where the planner inlines one. */
	if (!idla_compat_may_execute(call->funcid))
		return NULL;
	narrow(call, (IdlaAnswerKind) kind, &columns);
	if (list_length(columns.expressions) > FUNC_MAX_ARGS - count_first(kind))
		return call_constructor(call, kind, &columns);
	record_plan_function_dependency(root, call->funcid);
	return call_columns(call, kind, &columns);
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

/*
 * constrain.c: what an attack may make of a row, from what the database knows of its columns.
 *
 * An integer changes by whole numbers, a numeric(8,2) by cents; keys, generated columns and what those are made of do
 * not change at all. CHECK constraints of simple forms (comparisons with constants, BETWEEN, lists, joined by AND)
 * become bounds and lists. Of another constraint the server itself is asked about every row (check.c); where it cannot be, in training
 * and where evaluating is not safe, its columns stay as they are. So whatever an attack returns keeps every constraint.
 */
#include "constrain.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/genam.h"
#include "access/relation.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "json.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#define LEAST_GAP 1e-6			/* by which a value is above an open bound, as a share of it */

/* What is known of one column of the relation. */
typedef struct Bound
{
	bool		fixed;
	bool		checked;		/* has a part in what only the server can tell */
	bool		unasked;		/* something of it that was understood is not asked of the server all the same */
	double		low;
	double		high;
	double		step;
	bool		listed;			/* only what is in list */
	List	   *list;			/* of char * */
} Bound;

/* A CHECK under way: its subject is a column, or a domain's value. */
typedef struct Reading
{
	Bound	   *bounds;			/* (natts), or one for a domain */
	bool		domain;
} Reading;

#define FORMS "Constraints of the forms \"column >= number\", \"column BETWEEN low AND high\" and \"column IN (...)\" are " \
	"followed, several joined by AND."

/* ---- CHECK constraints ---- */

static Node *
strip(Node *node)
{
	for (;;)
	{
		if (node != NULL && IsA(node, RelabelType))
			node = (Node *) ((RelabelType *) node)->arg;
		else if (node != NULL && IsA(node, FuncExpr) && list_length(((FuncExpr *) node)->args) == 1 &&
				 ((FuncExpr *) node)->funcformat == COERCE_IMPLICIT_CAST)
			node = linitial(((FuncExpr *) node)->args);
		else
			return node;
	}
}

/* The column that the node is, or NULL. */
static Bound *
subject_of(const Reading *reading, Node *node)
{
	node = strip(node);
	if (reading->domain)
		return node != NULL && IsA(node, CoerceToDomainValue) ? reading->bounds : NULL;
	if (node == NULL || !IsA(node, Var) || ((Var *) node)->varattno < 1)
		return NULL;
	return &reading->bounds[((Var *) node)->varattno - 1];
}

static char *
text_of_datum(Datum value, Oid type)
{
	Oid			output;
	bool		is_varlena;

	getTypeOutputInfo(type, &output, &is_varlena);
	return OidOutputFunctionCall(output, value);
}

static void
keep_listed(Bound *bound, List *list)
{
	List	   *kept = NIL;
	ListCell   *cell;
	ListCell   *other;

	if (!bound->listed)
		bound->list = list;
	else
	{
		foreach(cell, list)
			foreach(other, bound->list)
				if (strcmp(lfirst(cell), lfirst(other)) == 0)
					kept = lappend(kept, lfirst(cell));
		bound->list = kept;
	}
	bound->listed = true;
}

/* column op constant; false for what is no bound. */
static bool
read_comparison(Bound *bound, const char *name, const Const *constant)
{
	IdlaFamily	family = idla_type_family(getBaseType(constant->consttype));
	double		number;
	double		gap;

	if (constant->constisnull)
		return false;
	if (family == IDLA_FAMILY_STRING && strcmp(name, "=") == 0)
	{
		keep_listed(bound, list_make1(text_of_datum(constant->constvalue, constant->consttype)));
		return true;
	}
	if (family != IDLA_FAMILY_NUMBER)
		return false;
	number = idla_datum_to_double(constant->constvalue, getBaseType(constant->consttype));
	/* A whole number above 3 is 4; of others a little more than 3 will do. */
	gap = bound->step > 0 ? bound->step : Max(fabs(number), 1) * LEAST_GAP;
	if (strcmp(name, ">=") == 0 || strcmp(name, "=") == 0)
		bound->low = Max(bound->low, number);
	else if (strcmp(name, ">") == 0)
		bound->low = Max(bound->low, number + gap);
	if (strcmp(name, "<=") == 0 || strcmp(name, "=") == 0)
		bound->high = Min(bound->high, number);
	else if (strcmp(name, "<") == 0)
		bound->high = Min(bound->high, number - gap);
	else if (name[0] != '>')
		return false;
	return true;
}

/* The operator with its sides exchanged. */
static const char *
mirrored(const char *name)
{
	static const char *const pairs[][2] = {{"<", ">"}, {"<=", ">="}, {">", "<"}, {">=", "<="}, {"=", "="}};

	for (int i = 0; i < (int) lengthof(pairs); i++)
		if (strcmp(pairs[i][0], name) == 0)
			return pairs[i][1];
	return "";
}

static bool
read_operator(const Reading *reading, OpExpr *expression)
{
	Node	   *left = linitial(expression->args);
	Node	   *right = list_length(expression->args) == 2 ? strip(lsecond(expression->args)) : NULL;
	char	   *name = get_opname(expression->opno);
	Bound	   *bound = subject_of(reading, left);

	/* A user's operator may mean anything. */
	if (name == NULL || right == NULL || expression->opno >= FirstNormalObjectId)
		return false;
	if (bound != NULL && IsA(right, Const))
		return read_comparison(bound, name, (Const *) right);
	left = strip(left);
	bound = subject_of(reading, right);
	return bound != NULL && left != NULL && IsA(left, Const) && read_comparison(bound, mirrored(name), (Const *) left);
}

/* column = ANY (constant array): an IN list. */
static bool
read_list(const Reading *reading, ScalarArrayOpExpr *expression)
{
	Bound	   *bound = subject_of(reading, linitial(expression->args));
	Node	   *right = strip(lsecond(expression->args));
	char	   *name = get_opname(expression->opno);
	ArrayType  *array;
	Datum	   *values;
	bool	   *nulls;
	int			n;
	int16		length;
	bool		by_value;
	char		align;
	List	   *list = NIL;

	if (bound == NULL || !expression->useOr || name == NULL || strcmp(name, "=") != 0 || !IsA(right, Const) ||
		((Const *) right)->constisnull || expression->opno >= FirstNormalObjectId)
		return false;
	array = DatumGetArrayTypeP(((Const *) right)->constvalue);
	get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &align);
	deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, align, &values, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			list = lappend(list, text_of_datum(values[i], ARR_ELEMTYPE(array)));
	keep_listed(bound, list);
	return true;
}

/* False for what is not understood, whose columns the caller protects. */
static bool
read_check(const Reading *reading, Node *node)
{
	ListCell   *cell;
	bool		understood = true;

	if (node == NULL)
		return false;
	if (IsA(node, List))
	{
		foreach(cell, (List *) node)
			understood = read_check(reading, lfirst(cell)) && understood;
		return understood;
	}
	if (IsA(node, BoolExpr) && ((BoolExpr *) node)->boolop == AND_EXPR)
		return read_check(reading, (Node *) ((BoolExpr *) node)->args);
	/* NULL stays NULL and the others stay others. */
	if (IsA(node, NullTest))
		return subject_of(reading, (Node *) ((NullTest *) node)->arg) != NULL;
	if (IsA(node, OpExpr))
		return read_operator(reading, (OpExpr *) node);
	if (IsA(node, ScalarArrayOpExpr))
		return read_list(reading, (ScalarArrayOpExpr *) node);
	return false;
}

/* ---- the relation ---- */

typedef enum Mark
{
	FIX, CHECK, UNASKED
} Mark;

static void
mark(Bound *bound, Mark what)
{
	if (what == FIX)
		bound->fixed = true;
	else if (what == CHECK)
		bound->checked = true;
	else
		bound->unasked = true;
}

/* Every column in the expression, all of them where it is of the row as a whole. */
static void
mark_columns(Bound *bounds, Node *expression, int natts, Mark what)
{
	Bitmapset  *used = NULL;
	int			member = -1;

	pull_varattnos(expression, 1, &used);
	while ((member = bms_next_member(used, member)) >= 0)
	{
		int			attribute = member + FirstLowInvalidHeapAttributeNumber;

		if (attribute >= 1 && attribute <= natts)
			mark(&bounds[attribute - 1], what);
		for (int i = 0; attribute == 0 && i < natts; i++)
			mark(&bounds[i], what);
	}
}

static double
type_step(Oid type, int32 typmod)
{
	int32		base_typmod = typmod;
	Oid			base;

	/* The type of a column in training may be one that this database does not know. */
	if (!OidIsValid(type))
		return 0;
	base = getBaseTypeAndTypmod(type, &base_typmod);
	if (base == INT2OID || base == INT4OID || base == INT8OID || base == BOOLOID)
		return 1;
	if (base == NUMERICOID && base_typmod >= (int32) VARHDRSZ)
		return pow(10, -(double) ((((base_typmod - VARHDRSZ) & 0x7ff) ^ 1024) - 1024));
	return 0;
}

/* checks NULL: what is not understood fixes its columns. */
static void
read_domain(Bound *bound, int attribute, Oid type, IdlaChecks *checks)
{
	MemoryContext scratch;
	DomainConstraintRef *constraints;
	Reading		reading = {.bounds = bound, .domain = true};
	ListCell   *cell;
	bool		understood = true;
	const char *reason;

	/* Elements have domains of their own, which are not looked into. */
	if (get_typtype(get_element_type(getBaseType(type))) == TYPTYPE_DOMAIN)
		bound->fixed = true;
	if (get_typtype(type) != TYPTYPE_DOMAIN)
		return;
	/* The reference is let go by its context. */
	scratch = AllocSetContextCreate(CurrentMemoryContext, "idla domain", ALLOCSET_SMALL_SIZES);
	constraints = MemoryContextAllocZero(scratch, sizeof(DomainConstraintRef));
	InitDomainConstraintRef(type, constraints, scratch, false);
	foreach(cell, constraints->constraints)
	{
		DomainConstraintState *state = lfirst(cell);

		if (state->constrainttype == DOM_CONSTRAINT_CHECK)
			understood &= read_check(&reading, (Node *) state->check_expr);
	}
	MemoryContextDelete(scratch);
	reason = checks == NULL ? FORMS : idla_checks_add_domain(checks, attribute, type);
	bound->unasked |= reason != NULL;
	if (understood)
		return;
	bound->checked = true;
	bound->fixed |= reason != NULL;
	if (reason != NULL)
		ereport(NOTICE,
				(errmsg("a column of domain \"%s\" stays as it is under attack", format_type_be(type)),
				 errdetail("%s", reason)));
}

/* Those that are understood are evaluated as well, once for what is returned: numbers are rounded on their way into a row. */
static void
read_table_checks(Relation relation, Oid caller, Bound *bounds, IdlaChecks *checks)
{
	TupleDesc	desc = RelationGetDescr(relation);
	Reading		reading = {.bounds = bounds};

	for (int i = 0; desc->constr != NULL && i < desc->constr->num_check; i++)
	{
		Node	   *written = stringToNode(desc->constr->check[i].ccbin);
		bool		runs = idla_checks_may_run(written, caller, relation->rd_rel->relowner);
		bool		understood = read_check(&reading, runs ? eval_const_expressions(NULL, written) : written);
		const char *name = desc->constr->check[i].ccname;
		const char *reason = checks == NULL ? FORMS : idla_checks_add(checks, name, written);

		if (reason != NULL)
			mark_columns(bounds, written, desc->natts, UNASKED);
		if (understood)
			continue;
		mark_columns(bounds, written, desc->natts, reason == NULL ? CHECK : FIX);
		if (reason != NULL)
			ereport(NOTICE,
					(errmsg("columns of constraint \"%s\" stay as they are under attack", name),
					 errdetail("%s", reason)));
	}
}

/* A row belongs to its partition by these. */
static void
read_partitions(Relation relation, Bound *bounds)
{
	int			natts = RelationGetDescr(relation)->natts;
	PartitionKey key = relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ? RelationGetPartitionKey(relation) : NULL;

	if (relation->rd_rel->relispartition)
		mark_columns(bounds, (Node *) RelationGetPartitionQual(relation), natts, FIX);
	for (int i = 0; key != NULL && i < key->partnatts; i++)
		if (key->partattrs[i] != 0)
			bounds[key->partattrs[i] - 1].fixed = true;
	if (key != NULL)
		mark_columns(bounds, (Node *) key->partexprs, natts, FIX);
}

/* What makes a row unlike all others stays, whatever form the index has. */
static void
read_indexes(Relation relation, Bound *bounds)
{
	int			natts = RelationGetDescr(relation)->natts;
	ListCell   *cell;

	foreach(cell, RelationGetIndexList(relation))
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);
		Form_pg_index form = index->rd_index;

		for (int i = 0; (form->indisunique || form->indisexclusion) && i < form->indnkeyatts; i++)
			if (form->indkey.values[i] > 0)
				bounds[form->indkey.values[i] - 1].fixed = true;
		if (form->indisunique || form->indisexclusion)
		{
			mark_columns(bounds, (Node *) RelationGetIndexExpressions(index), natts, FIX);
			mark_columns(bounds, (Node *) RelationGetIndexPredicate(index), natts, FIX);
		}
		index_close(index, NoLock);
	}
}

/* Keys name a row, foreign keys another one; a generated column follows those it is made of. */
static void
read_keys(Relation relation, Bound *bounds)
{
	TupleDesc	desc = RelationGetDescr(relation);
	ListCell   *cell;

	foreach(cell, RelationGetFKeyList(relation))
	{
		ForeignKeyCacheInfo *key = lfirst(cell);

		for (int i = 0; key->conrelid == RelationGetRelid(relation) && i < key->nkeys; i++)
			bounds[key->conkey[i] - 1].fixed = true;
	}
	for (int i = 0; desc->constr != NULL && i < desc->constr->num_defval; i++)
	{
		int			attribute = desc->constr->defval[i].adnum;

		if (TupleDescAttr(desc, attribute - 1)->attgenerated == '\0')
			continue;
		bounds[attribute - 1].fixed = true;
		mark_columns(bounds, stringToNode(desc->constr->defval[i].adbin), desc->natts, FIX);
	}
}

static void
read_types(TupleDesc desc, Bound *bounds, IdlaChecks *checks)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		bounds[i].low = -INFINITY;
		bounds[i].high = INFINITY;
		if (attribute->attisdropped)
			continue;
		bounds[i].step = type_step(attribute->atttypid, attribute->atttypmod);
		read_domain(&bounds[i], i + 1, attribute->atttypid, checks);
	}
}

/* By attribute. Simplifying a constraint runs its functions of constants: as the table's owner, as evaluating does. */
static Bound *
read_relation(Relation relation, IdlaChecks *checks)
{
	Bound	   *bounds = palloc0(sizeof(Bound) * (Size) Max(RelationGetDescr(relation)->natts, 1));
	Oid			caller = GetUserId();
	IdlaRights	before;

	idla_rights_take(&before, relation->rd_rel->relowner);
	read_types(RelationGetDescr(relation), bounds, checks);
	if (relation->rd_rel->relkind == RELKIND_RELATION || relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
	{
		read_keys(relation, bounds);
		read_indexes(relation, bounds);
		read_partitions(relation, bounds);
		read_table_checks(relation, caller, bounds, checks);
	}
	idla_rights_return(&before);
	return bounds;
}

static Bound *
read_record(TupleDesc desc)
{
	Bound	   *bounds = palloc0(sizeof(Bound) * (Size) Max(desc->natts, 1));

	read_types(desc, bounds, NULL);
	return bounds;
}

/* ---- channels ---- */

static void
allow_listed(LearnConstraint *constraint, const LearnChannel *channel, const Bound *bound)
{
	int32_t    *allowed = palloc(sizeof(int32_t) * Max(channel->n_categories, 1));
	ListCell   *cell;

	constraint->n_allowed = 0;
	for (int i = 0; i < channel->n_categories; i++)
		foreach(cell, bound->list)
			if (strcmp(lfirst(cell), channel->categories[i]) == 0)
			{
				allowed[constraint->n_allowed++] = i;
				break;
			}
	constraint->allowed = allowed;
	constraint->mutable = constraint->n_allowed > 0;
}

static void
check_override(const IdlaColumn *column, const IdlaOverride *override)
{
	bool		bounded = !isnan(override->low) || !isnan(override->high) || override->step > 0;

	if (bounded && column->kind != IDLA_NUMBER && column->kind != IDLA_ARRAY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options \"low\", \"high\" and \"step\" of column \"%s\" are for numbers and arrays of them", column->name),
				 errhint("Whether it may change at all is said by \"immutable\".")));
}

/* A list of numbers, or a range of what the model takes for categories: understood, and not to be followed by a column of such a kind. */
static bool
is_followed(const IdlaColumn *column, const Bound *bound)
{
	bool		ranged = bound->low > -INFINITY || bound->high < INFINITY;

	return (!bound->listed || column->kind == IDLA_CATEGORY) && (!ranged || column->kind == IDLA_NUMBER);
}

static LearnConstraint
column_constraint(const IdlaColumn *column, const LearnChannel *channel, const Bound *bound, const IdlaOverride *override)
{
	LearnConstraint constraint = learn_constraint_free();

	bool		number = column->kind == IDLA_NUMBER || column->kind == IDLA_ARRAY;

	constraint.mutable = number || column->kind == IDLA_BOOLEAN || column->kind == IDLA_CATEGORY;
	if (number || column->kind == IDLA_BOOLEAN)
	{
		constraint.low = channel->minimum;
		constraint.high = channel->maximum;
		constraint.step = column->kind == IDLA_BOOLEAN ? 1 :
			type_step(column->kind == IDLA_ARRAY ? get_element_type(column->type) : column->type, -1);
	}
	if (bound != NULL)
	{
		bool		followed = is_followed(column, bound);

		constraint.mutable = constraint.mutable && !bound->fixed && (followed || !bound->unasked);
		constraint.checked = bound->checked || !followed;
		constraint.step = Max(constraint.step, bound->step);
	}
	if (override != NULL && number)
	{
		constraint.low = isnan(override->low) ? constraint.low : override->low;
		constraint.high = isnan(override->high) ? constraint.high : override->high;
		constraint.step = Max(constraint.step, override->step);
	}
	if (bound != NULL && column->kind == IDLA_NUMBER)
	{
		constraint.low = Max(constraint.low, bound->low);
		constraint.high = Min(constraint.high, bound->high);
	}
	if (bound != NULL && bound->listed && column->kind == IDLA_CATEGORY)
		allow_listed(&constraint, channel, bound);
	if (override != NULL && (override->immutable || override->ignore))
		constraint.mutable = false;
	/* Nothing between the bounds: nothing changes. */
	if (!(constraint.low <= constraint.high))
	{
		constraint = learn_constraint_free();
		constraint.mutable = false;
	}
	return constraint;
}

static const Bound *
find_bound(TupleDesc desc, const Bound *bounds, const char *name)
{
	int			found = bounds == NULL ? -1 : idla_attribute_find(desc, name);

	return found < 0 ? NULL : &bounds[found];
}

IdlaConstraints
idla_constraints_build(const IdlaColumns *columns, Oid relid, TupleDesc desc, const IdlaOverride *overrides, int n_overrides,
					   IdlaWork *work)
{
	Relation	relation = OidIsValid(relid) ? relation_open(relid, AccessShareLock) : NULL;
	IdlaConstraints constraints = {
		.channels = palloc0(sizeof(LearnConstraint) * (Size) Max(columns->n_channels, 1)),
		.fixed = palloc0(sizeof(bool) * (Size) Max(columns->n_fields, 1)),
		.checks = relation == NULL || work == NULL ? NULL : idla_checks_create(work, relation)
	};
	const Bound *bounds = relation != NULL ? read_relation(relation, constraints.checks) : desc != NULL ? read_record(desc) : NULL;

	desc = relation != NULL ? RelationGetDescr(relation) : desc;
	for (int i = 0; i < columns->n; i++)
	{
		const IdlaColumn *column = &columns->columns[i];
		const IdlaOverride *override = idla_override_find(overrides, n_overrides, column->name);
		const Bound *bound = find_bound(desc, bounds, column->name);

		if (override != NULL)
			check_override(column, override);
		if (column->field >= 0)
			constraints.fixed[column->field] = (bound != NULL && bound->fixed) ||
				(override != NULL && (override->immutable || override->ignore));
		for (int j = 0; j < column->n_channels; j++)
			constraints.channels[column->first_channel + j] =
				column_constraint(column, &columns->channels[column->first_channel + j], bound, override);
	}
	if (relation != NULL)
		relation_close(relation, NoLock);
	return constraints;
}

IdlaOverride *
idla_constraints_trained(const IdlaModel *model, int *n)
{
	JsonbValue *given = idla_json_find(&model->manifest->root, "options");
	JsonbValue *columns = given == NULL ? NULL : idla_json_find(idla_json_object_of(given, "options"), "columns");

	*n = 0;
	return columns == NULL ? NULL : idla_overrides_read("columns", columns, n);
}

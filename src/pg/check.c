/*
 * check.c: a table's own constraints, evaluated by the server on rows that are not in it.
 *
 * INSERT runs a CHECK's functions as whoever inserts, knowing that he chose to write into the table. Whoever attacks a model's rows
 * only reads, and must not run what a table's owner wrote with rights of his own. So expressions are simplified and evaluated as the
 * owner, as maintenance does with those of indexes. That in turn would lend the owner's rights to anybody who makes up a row of the
 * table's type: functions of users are run only for callers who have those rights already.
 */
#include "check.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

typedef struct Check
{
	char	   *name;
	Oid			owner;			/* as whom it is evaluated */
	Expr	   *expression;
	ExprState  *state;
	int			attribute;		/* of the column whose domain it is; 0: of the row */
} Check;

struct IdlaChecks
{
	IdlaWork   *work;
	TupleDesc	desc;
	Oid			relid;
	Oid			owner;
	Oid			caller;			/* who asked, whose rights decide */
	int			n;
	Check	   *checks;
	Bitmapset  *needed;			/* numbers, from 1, of the attributes that matter; 0 in it: all do */
	MemoryContext context;		/* of what is compiled; deleted after an error */
	ExprContext *econtext;
	TupleTableSlot *slot;
	const char *failed;
	char		message[256];
};

IdlaChecks *
idla_checks_create(IdlaWork *work, Relation relation)
{
	MemoryContext caller = MemoryContextSwitchTo(work->context);
	IdlaChecks *checks = palloc0(sizeof(IdlaChecks));

	checks->work = work;
	checks->desc = CreateTupleDescCopy(RelationGetDescr(relation));
	checks->relid = RelationGetRelid(relation);
	checks->owner = relation->rd_rel->relowner;
	checks->caller = GetUserId();
	MemoryContextSwitchTo(caller);
	return checks;
}

/* ---- whose rights ---- */

void
idla_rights_take(IdlaRights *before, Oid owner)
{
	GetUserIdAndSecContext(&before->user, &before->security);
	before->level = NewGUCNestLevel();
	SetUserIdAndSecContext(owner, before->security | SECURITY_RESTRICTED_OPERATION);
}

void
idla_rights_return(const IdlaRights *before)
{
	AtEOXact_GUC(false, before->level);
	SetUserIdAndSecContext(before->user, before->security);
}

/* ---- what may be evaluated ---- */

static bool
is_users(Oid function, void *context)
{
	(void) context;
	return function >= FirstNormalObjectId;
}

/* Does it run what a user wrote? A cast to a domain runs its constraints. */
static bool
runs_users_code(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, is_users, context) || IsA(node, CoerceToDomain) ||
		(IsA(node, CoerceViaIO) && ((CoerceViaIO *) node)->resulttype >= FirstNormalObjectId))
		return true;
	return expression_tree_walker(node, runs_users_code, context);
}

bool
idla_checks_may_run(Node *expression, Oid caller, Oid owner)
{
	return has_privs_of_role(caller, owner) || !runs_users_code(expression, NULL);
}

static const char *
why_not(const IdlaChecks *checks, Node *expression, Oid owner)
{
	if (contain_volatile_functions(expression))
		return "It calls a volatile function.";
	if (!idla_checks_may_run(expression, checks->caller, owner))
		return "It calls a function that a user wrote, which is done for those alone who have the rights of its table's owner.";
	return NULL;
}

static Check *
add(IdlaChecks *checks, const char *name, Oid owner)
{
	Check	   *added;

	if (checks->checks == NULL)
		checks->checks = MemoryContextAllocZero(checks->work->context, sizeof(Check));
	else
		checks->checks = repalloc(checks->checks, sizeof(Check) * (Size) (checks->n + 1));
	added = &checks->checks[checks->n++];
	*added = (Check) {.name = MemoryContextStrdup(checks->work->context, name), .owner = owner};
	return added;
}

const char *
idla_checks_add(IdlaChecks *checks, const char *name, Node *expression)
{
	const char *reason = why_not(checks, expression, checks->owner);
	Bitmapset  *used = NULL;
	int			member = -1;
	MemoryContext caller;

	if (reason != NULL)
		return reason;
	pull_varattnos(expression, 1, &used);
	caller = MemoryContextSwitchTo(checks->work->context);
	add(checks, name, checks->owner)->expression = copyObject((Expr *) expression);
	while ((member = bms_next_member(used, member)) >= 0)
		if (member + FirstLowInvalidHeapAttributeNumber >= 0)
			checks->needed = bms_add_member(checks->needed, member + FirstLowInvalidHeapAttributeNumber);
	MemoryContextSwitchTo(caller);
	return NULL;
}

/* The owner of a domain, InvalidOid where those that it is made of have others. */
static Oid
domain_owner(Oid type)
{
	Oid			owner = InvalidOid;

	while (get_typtype(type) == TYPTYPE_DOMAIN)
	{
		HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
		Form_pg_type form;
		bool		other;

		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for type %u", type);
		form = (Form_pg_type) GETSTRUCT(tuple);
		other = OidIsValid(owner) && form->typowner != owner;
		owner = form->typowner;
		type = form->typbasetype;
		ReleaseSysCache(tuple);
		if (other)
			return InvalidOid;
	}
	return owner;
}

const char *
idla_checks_add_domain(IdlaChecks *checks, int attribute, Oid type)
{
	Oid			owner = domain_owner(type);
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "idla domain", ALLOCSET_SMALL_SIZES);
	DomainConstraintRef *constraints = MemoryContextAllocZero(scratch, sizeof(DomainConstraintRef));
	const char *reason = OidIsValid(owner) ? NULL : "The domain is made of one that another user owns.";
	ListCell   *cell;
	MemoryContext caller;

	InitDomainConstraintRef(type, constraints, scratch, false);
	foreach(cell, constraints->constraints)
	{
		DomainConstraintState *state = lfirst(cell);

		if (state->constrainttype == DOM_CONSTRAINT_CHECK && reason == NULL)
			reason = why_not(checks, (Node *) state->check_expr, owner);
	}
	caller = MemoryContextSwitchTo(checks->work->context);
	foreach(cell, reason == NULL ? constraints->constraints : NIL)
	{
		DomainConstraintState *state = lfirst(cell);
		Check	   *check;

		if (state->constrainttype != DOM_CONSTRAINT_CHECK)
			continue;
		check = add(checks, state->name, owner);
		check->attribute = attribute;
		check->expression = copyObject(state->check_expr);
		checks->needed = bms_add_member(checks->needed, attribute);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);
	return reason;
}

bool
idla_checks_any(const IdlaChecks *checks)
{
	return checks->n > 0;
}

bool
idla_checks_need(const IdlaChecks *checks, int attribute)
{
	return bms_is_member(0, checks->needed) || bms_is_member(attribute, checks->needed);
}

TupleDesc
idla_checks_desc(const IdlaChecks *checks)
{
	return checks->desc;
}

/* ---- evaluating ---- */

static void
compile(IdlaChecks *checks)
{
	MemoryContext caller;
	EState	   *estate;

	checks->context = AllocSetContextCreate(checks->work->context, "idla checks", ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(checks->context);
	estate = CreateExecutorState();
	checks->econtext = GetPerTupleExprContext(estate);
	checks->slot = MakeTupleTableSlot(checks->desc, &TTSOpsVirtual);
	for (int i = 0; i < checks->n; i++)
		checks->checks[i].state = ExecPrepareExpr(copyObject(checks->checks[i].expression), estate);
	MemoryContextSwitchTo(caller);
}

static bool
passes_one(IdlaChecks *checks, const Check *check)
{
	if (check->attribute > 0)
	{
		checks->econtext->domainValue_datum = checks->slot->tts_values[check->attribute - 1];
		checks->econtext->domainValue_isNull = checks->slot->tts_isnull[check->attribute - 1];
	}
	return ExecCheck(check->state, checks->econtext);
}

/* A row that is asked about. */
typedef struct Asked
{
	IdlaChecks *checks;
	void		(*fill) (void *context, Datum *values, bool *isnull);
	void	   *context;
	bool		passes;
} Asked;

static void
pass_all(void *context)
{
	Asked	   *asked = context;
	IdlaChecks *checks = asked->checks;
	MemoryContext caller = CurrentMemoryContext;
	IdlaRights	before;

	asked->passes = true;
	/* Compiling simplifies, which runs functions of constants. */
	idla_rights_take(&before, checks->owner);
	if (checks->context == NULL)
		compile(checks);
	MemoryContextSwitchTo(checks->econtext->ecxt_per_tuple_memory);
	ExecClearTuple(checks->slot);
	asked->fill(asked->context, checks->slot->tts_values, checks->slot->tts_isnull);
	ExecStoreVirtualTuple(checks->slot);
	checks->slot->tts_tableOid = checks->relid;
	checks->econtext->ecxt_scantuple = checks->slot;
	for (int i = 0; i < checks->n && asked->passes; i++)
	{
		checks->failed = checks->checks[i].name;
		SetUserIdAndSecContext(checks->checks[i].owner, before.security | SECURITY_RESTRICTED_OPERATION);
		asked->passes = passes_one(checks, &checks->checks[i]);
	}
	MemoryContextSwitchTo(caller);
	ResetExprContext(checks->econtext);
	idla_rights_return(&before);
}

/* Errors that are of the statement and not of the row. */
static bool
ends_statement(int sqlstate)
{
	int			category = ERRCODE_TO_CATEGORY(sqlstate);

	return category == ERRCODE_INSUFFICIENT_RESOURCES || category == ERRCODE_PROGRAM_LIMIT_EXCEEDED ||
		category == ERRCODE_OPERATOR_INTERVENTION || category == ERRCODE_SYSTEM_ERROR || category == ERRCODE_INTERNAL_ERROR;
}

/* A subtransaction, because a function may fail with anything open. */
DevStatus
idla_guarded(IdlaWork *work, void (*call) (void *context), void *context, ErrorData **refused)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;
	volatile bool begun = false;

	*refused = NULL;
	PG_TRY();
	{
		BeginInternalSubTransaction(NULL);
		begun = true;
		MemoryContextSwitchTo(caller);
		call(context);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(work->context);
		error = CopyErrorData();
		FlushErrorState();
		if (begun)
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	if (error == NULL)
		return DEV_OK;
	if (!begun || ends_statement(error->sqlerrcode))
	{
		work->caught = error;
		return DEV_CANCELLED;
	}
	*refused = error;
	return DEV_OK;
}

DevStatus
idla_checks_pass(IdlaChecks *checks, void (*fill) (void *context, Datum *values, bool *isnull), void *context, bool *passes)
{
	Asked		asked = {.checks = checks, .fill = fill, .context = context};
	ErrorData  *refused;
	DevStatus	status;

	*passes = true;
	if (checks->n == 0)
		return DEV_OK;
	checks->failed = "";
	checks->message[0] = '\0';
	status = idla_guarded(checks->work, pass_all, &asked, &refused);
	*passes = status == DEV_OK && refused == NULL && asked.passes;
	if (status == DEV_OK && refused == NULL)
		return DEV_OK;
	/* A state that was left in the middle of a function is of no use. */
	if (checks->context != NULL)
		MemoryContextDelete(checks->context);
	checks->context = NULL;
	if (refused == NULL)
		return status;
	strlcpy(checks->message, refused->message == NULL ? "" : refused->message, sizeof(checks->message));
	FreeErrorData(refused);
	return status;
}

const char *
idla_checks_failed(const IdlaChecks *checks, const char **message)
{
	*message = checks->message[0] == '\0' ? NULL : checks->message;
	return checks->failed;
}

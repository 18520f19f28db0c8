/*
 * check.h: a table's own constraints, evaluated by the server on rows that are not in it.
 */
#ifndef IDLA_CHECK_H
#define IDLA_CHECK_H

#include "idla.h"

#include "nodes/primnodes.h"

typedef struct IdlaChecks IdlaChecks;

/* For the rows of relation, which stays locked; in work's memory. */
extern IdlaChecks *idla_checks_create(IdlaWork *work, Relation relation);
/*
 * A CHECK constraint as the catalog has it, and the constraints of a column's domain. NULL: it will be evaluated, with the rights of
 * whoever owns the table or the domain, in a restricted security context. Else why not, a full sentence: a volatile function, or one that
 * a user wrote where the caller has not the owner's rights.
 */
extern const char *idla_checks_add(IdlaChecks *checks, const char *name, Node *expression);
extern const char *idla_checks_add_domain(IdlaChecks *checks, int attribute, Oid type);
extern bool idla_checks_any(const IdlaChecks *checks);
/* Whether attribute `attribute`, from 1, matters to them. */
extern bool idla_checks_need(const IdlaChecks *checks, int attribute);
extern TupleDesc idla_checks_desc(const IdlaChecks *checks);
/*
 * Whether a row passes all: fill writes its values (natts), of the table's layout. An error in filling or evaluating is a row that does not
 * pass, as it could not be inserted; what would end the statement anyway (a cancel, no memory) waits in the work, and the status says so.
 * No error leaves this.
 */
extern DevStatus idla_checks_pass(IdlaChecks *checks, void (*fill) (void *context, Datum *values, bool *isnull), void *context,
								  bool *passes);
/* Why the last row did not pass: the constraint's name, and the error's message or NULL. */
extern const char *idla_checks_failed(const IdlaChecks *checks, const char **message);


/* ---- running what others wrote ---- */

/* Who it was before. */
typedef struct IdlaRights
{
	Oid			user;
	int			security;
	int			level;			/* of settings */
} IdlaRights;

/* From here to its return code runs as the owner, in a restricted security context, and whatever it sets is forgotten. An error undoes it too. */
extern void idla_rights_take(IdlaRights *before, Oid owner);
extern void idla_rights_return(const IdlaRights *before);
/* False: it calls what a user wrote, and the caller has not the owner's rights. To be asked before simplifying, which runs functions of constants. */
extern bool idla_checks_may_run(Node *expression, Oid caller, Oid owner);
/*
 * call(context) in the current memory context, below frames of the engine. *refused: its error, in work's memory, or NULL; what would end the
 * statement anyway waits in the work instead, and the status says so. No error leaves this.
 */
extern DevStatus idla_guarded(IdlaWork *work, void (*call) (void *context), void *context, ErrorData **refused);

#endif							/* IDLA_CHECK_H */

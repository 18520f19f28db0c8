/*
 * serve.h: the files that answer queries with a model.
 *
 * support.c tells the planner about the functions of predict.c, splice.c puts nodes of batch_scan.c into finished plans; all
 * find the model with served.c and say what answer.c says.
 */
#ifndef IDLA_SERVE_H
#define IDLA_SERVE_H

#include "idla.h"

#include "nodes/plannodes.h"
#include "nodes/primnodes.h"

/* ---- served.c ---- */

/*
 * Equal values mean the same rows seen: transactions below xmax only ever finish, so with xmax
 * the same, equal counts are equal sets. A rolled back savepoint shows in the subtransaction.
 */
typedef struct IdlaSnapshotIdentity
{
	TransactionId xmin;
	TransactionId xmax;
	uint32		xcnt;
	int32		subxcnt;
	CommandId	curcid;
	LocalTransactionId transaction;
	SubTransactionId subtransaction;
	Oid			user;
} IdlaSnapshotIdentity;

typedef struct IdlaServed
{
	IdlaLoaded *loaded;			/* NULL before the first, and after one that could not be had */
	MemoryContext context;		/* the caller's: reset when another model is loaded */
	Oid			relid;			/* what was asked for */
	int			version;
	IdlaSnapshotIdentity identity;
} IdlaServed;

/* Has served->loaded be what the running statement sees, version as in idla_load. True: it was loaded, and the context reset. */
extern bool idla_served_find(IdlaServed *served, Oid relid, int version);

/* ---- answer.c ---- */

typedef enum IdlaAnswerKind
{
	IDLA_PREDICT,				/* idla_predict: float8 */
	IDLA_CLASSIFY,				/* idla_classify: text */
	IDLA_PROBABILITIES			/* idla_probabilities: jsonb */
} IdlaAnswerKind;

#define IDLA_ANSWER_KINDS 3

typedef struct IdlaAnswering IdlaAnswering;

/* ERROR where the model's task has no such answer. `loaded` and `context`, where it lives, must outlive it. */
extern IdlaAnswering *idla_answering_create(const IdlaLoaded *loaded, IdlaAnswerKind kind, MemoryContext context);
/* IDLA_PREDICT: which output is wanted, NULL: the only one; ERROR where there is none. Quick when it is the last one again. */
extern void idla_answering_choose(IdlaAnswering *answering, const char *output);
/* The answer for one row's learn_scores_to_answers. A class lives as long as the answering, jsonb is palloc'd. */
extern Datum idla_answering_datum(const IdlaAnswering *answering, const double *answers);

/* ---- support.c ---- */

/*
 * A call of the family whose row is known column by column: of a function of columns (model, version, output for IDLA_PREDICT alone,
 * names, columns), or, where these are too many for a function's arguments, of the function of a row with a row constructor.
 */
typedef struct IdlaCall
{
	IdlaAnswerKind kind;
	Node	   *model;
	Node	   *version;
	Node	   *output;			/* IDLA_PREDICT; NULL for the others */
	List	   *names;			/* of String */
	List	   *columns;		/* as many expressions */
} IdlaCall;

/*
 * What kind of answer a call gives, when it is of a function that calls became in the plans being made now; -1: it is no
 * such call.
 */
extern int	idla_support_kind(const FuncExpr *call);
/* The parts of such a call; false when they are not what they should be. */
extern bool idla_support_parse(const FuncExpr *call, IdlaAnswerKind kind, IdlaCall *parts);
/* Did a call become one whose columns are known since the last idla_support_forget? */
extern bool idla_support_seen(void);
extern void idla_support_forget(void);

/* ---- splice.c, batch_scan.c ---- */

/* What a batch node's custom_private has, in this order, as lists of integers. */
typedef enum IdlaBatchPrivate
{
	IDLA_BATCH_COLUMNS,			/* one: how many columns come from below; the calls follow them in custom_scan_tlist */
	IDLA_BATCH_CARRIED,			/* numbers, from 1, of those that are needed above */
	IDLA_BATCH_KINDS			/* of the calls: an IdlaAnswerKind each */
} IdlaBatchPrivate;

/* Puts the planner's hook in place. */
extern void idla_splice_start(void);
/* Makes the node known to the server. */
extern void idla_batch_scan_start(void);
extern const struct CustomScanMethods idla_batch_scan_methods;

#endif							/* IDLA_SERVE_H */

/*
 * serve.h: the files that answer queries with a model.
 *
 * support.c tells the planner about the functions of predict.c, with the columns that needs.c says, splice.c puts nodes of batch_scan.c
 * into finished plans, which again.c makes anew when they no longer do; all find the model with served.c and say what answer.c says.
 */
#ifndef IDLA_SERVE_H
#define IDLA_SERVE_H

#include "trial.h"

#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "nodes/primnodes.h"

/* ---- served.c ---- */

/*
 * Equal values mean the same rows seen: transactions below xmax only ever finish, so with xmax the same, equal counts would be equal sets, were
 * it not that one which is being prepared counts twice as long as a standby is waited for. Hence the sum. A rolled back savepoint shows in
 * the subtransaction.
 */
typedef struct IdlaSnapshotIdentity
{
	uint64		running;		/* a sum over those that do */
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
	IdlaTrial  *trial;			/* what is asked beside it; NULL: nothing */
	Oid			relid;			/* what was asked for */
	int			version;
	IdlaSnapshotIdentity identity;
} IdlaServed;

extern IdlaSnapshotIdentity idla_snapshot_identify(Snapshot snapshot);
/* Has served->loaded be what the running statement sees, version as in idla_load. True: it was loaded, and the context reset. */
extern bool idla_served_find(IdlaServed *served, Oid relid, int version);

/* ---- answer.c ---- */

typedef enum IdlaAnswerKind
{
	IDLA_PREDICT,				/* idla_predict: float8 */
	IDLA_CLASSIFY,				/* idla_classify: text */
	IDLA_PROBABILITIES,			/* idla_probabilities: jsonb */
	IDLA_PREDICT_INTERVAL,				/* idla_interval: numrange */
	IDLA_PREDICT_SET,				/* idla_label_set: text[] */
	IDLA_EMBED					/* idla_embed: real[] */
} IdlaAnswerKind;

#define IDLA_ANSWER_KINDS 6
#define IDLA_MOST_OWN 2

/* The arguments of a kind's function of a row, beside model and input, which come first. */
typedef struct IdlaAnswerShape
{
	const char *columns;		/* name of the function of columns */
	int			version;		/* number of the argument that is the version */
	int			n_own;			/* arguments of its own: */
	int			own[IDLA_MOST_OWN];	/* their numbers; in the function of columns they follow the version */
	Oid			types[IDLA_MOST_OWN];
} IdlaAnswerShape;

extern const IdlaAnswerShape idla_answer_shapes[IDLA_ANSWER_KINDS];

typedef struct IdlaAnswering IdlaAnswering;

/* ERROR where the model's task has no such answer. `loaded` and `context`, where it lives, must outlive it. */
extern IdlaAnswering *idla_answering_create(const IdlaLoaded *loaded, IdlaAnswerKind kind, MemoryContext context);
/* The probability from which a binary model names the positive class; ERROR for a card that says nonsense. */
extern double idla_threshold_of(const IdlaLoaded *loaded);
/* The probability below which a classifier names no class, 0: it always does; ERROR for a card that says nonsense. */
extern double idla_abstain_of(const IdlaLoaded *loaded);
/*
 * The kind's own arguments, as they are for the rows to come: which output is wanted, NULL: the only one; the probability below which no class is
 * named, NULL: as the card says; coverage. ERROR for what cannot be. Quick when they are the last ones again.
 */
extern void idla_answering_choose(IdlaAnswering *answering, const NullableDatum *own);
/* How many attributes of such a row, from the first on, tell its subgroup; 0 when the answer does not ask. ERROR when the column is not there. */
extern int	idla_answering_width(IdlaAnswering *answering, TupleDesc desc);
/* Do answers depend on a row's subgroup? */
extern bool idla_answering_places(const IdlaAnswering *answering);
/* The subgroup of a row, for idla_answering_datum. */
extern int	idla_answering_place(IdlaAnswering *answering, TupleDesc desc, const Datum *values, const bool *isnull);
/*
 * The answer for one row's learn_scores_to_answers; embedding: the row's, for IDLA_EMBED. A class lives as long as the answering, and is NULL where
 * the model abstains; jsonb and arrays are palloc'd.
 */
extern Datum idla_answering_datum(const IdlaAnswering *answering, const double *answers, const float *embedding, int place, bool *isnull);

/* The same answers of n rows, where they are numbers: false, and nothing done, where they are not. */
extern bool idla_answering_numbers(const IdlaAnswering *answering, Size n, const double *answers, Datum *data);

/* ---- conformal.c: the same for IDLA_PREDICT_INTERVAL and IDLA_PREDICT_SET ---- */

typedef struct IdlaConformal IdlaConformal;

extern IdlaConformal *idla_conformal_create(const IdlaLoaded *loaded, bool interval, MemoryContext context);
extern void idla_conformal_choose(IdlaConformal *conformal, const NullableDatum *own);
extern int	idla_conformal_width(const IdlaConformal *conformal, TupleDesc desc);
extern int	idla_conformal_place(IdlaConformal *conformal, TupleDesc desc, const Datum *values, const bool *isnull);
extern Datum idla_conformal_datum(const IdlaConformal *conformal, const double *answers, int place, bool *isnull);

/* ---- embed.c: the same for IDLA_EMBED ---- */

/* Numbers of an embedding; ERROR for a model that has none, or more than a row may bring. */
extern Size idla_embedding_size(const IdlaLoaded *loaded);
extern Datum idla_embedding_datum(const float *embedding, Size n);

/* ---- predict.c ---- */

/* A function of a row, or of columns, that gives answers of a kind. */
extern Datum idla_answer_row(FunctionCallInfo fcinfo, IdlaAnswerKind kind);
extern Datum idla_answer_columns(FunctionCallInfo fcinfo, IdlaAnswerKind kind);

/* ---- needs.c ---- */

/*
 * Names (char *) of the columns that an answer depends on, whichever of the versions that snapshot sees gives it, palloc'd, in order, each once: those
 * that the models read, and the one that tells subgroups apart. NIL: not known, as where the caller may not predict. *key: the column that the log
 * would have, or NULL. version as in idla_load.
 */
extern List *idla_needs_find(Oid relid, int version, Snapshot snapshot, char **key);
/*
 * Are all of them among these, Strings in order, and is the log's key this one? True where it is not known. Whoever asks: nothing is told.
 * *identity: idla_table_identity of the version that answers, when they are not.
 */
extern bool idla_needs_met(Oid relid, int version, Snapshot snapshot, const List *names, const char *key, uint64 *identity);

/* ---- support.c ---- */

/* What the planner was told of a model: calls about it pass these columns, and not all that the row has. */
typedef struct IdlaNarrowed
{
	Oid			relid;
	int			version;		/* -1: the one in service */
	List	   *names;			/* see idla_needs_find */
	char	   *key;
} IdlaNarrowed;

/* A plan in the making whose calls may be narrowed. */
typedef struct IdlaPlanning
{
	MemoryContext context;
	List	   *models;			/* of IdlaNarrowed * */
	bool		narrowed;		/* some call is */
} IdlaPlanning;

/* NULL: calls in what is planned from now on keep all columns. Returns what it was before. */
extern IdlaPlanning *idla_support_plan(IdlaPlanning *planning);

/*
 * A call of the family whose row is known column by column: of a function of columns (model, version, the kind's own, names, columns),
 * or, where these are too many for a function's arguments, of the function of a row with a row constructor.
 */
typedef struct IdlaCall
{
	IdlaAnswerKind kind;
	Node	   *model;
	Node	   *version;
	int			n_own;
	Node	   *own[IDLA_MOST_OWN];	/* arguments of the kind's own */
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
/* Do they ask the same version about the same columns? Then one pass through the model answers both. */
extern bool idla_support_share(const IdlaCall *a, const IdlaCall *b);
/* Did a call become one whose columns are known since the last idla_support_forget? */
extern bool idla_support_seen(void);
extern void idla_support_forget(void);

/* ---- again.c ---- */

/* Whether a call of the predict family may come up while the query is planned. */
extern bool idla_again_expects(Query *query);
/* Leaves the query, as it was before it was planned, in its plan, so that it can be planned again where the plan's columns no longer do. */
extern void idla_again_keep(PlannedStmt *statement, Query *query, const IdlaPlanning *planning, int cursor_options);
/* Puts the executor's hooks in place. */
extern void idla_again_start(void);

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

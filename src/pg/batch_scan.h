/*
 * batch_scan.h: the state of a batch node, for its parts alone.
 *
 * batch_scan.c is the node. batch_rows.c is how rows come in and go on, batch_pass.c one pass through a model for the rows of a batch.
 */
#ifndef IDLA_BATCH_SCAN_H
#define IDLA_BATCH_SCAN_H

#include "log.h"

#include "nodes/execnodes.h"

/* One call of the predict family. */
typedef struct IdlaBatchCall
{
	IdlaAnswerKind kind;
	int			position;		/* of its answer in the scan tuple */
	int			n_own;
	ExprState  *own[IDLA_MOST_OWN];	/* arguments of its own */
	IdlaAnswering *answering;
	IdlaAnswering *trial;		/* of a candidate */
	int		   *places;			/* (most) the rows' subgroups */
	Datum	   *answers;		/* (most) */
	bool	   *nulls;
} IdlaBatchCall;

/* Calls that share a pass through a model: of one version, for the same columns. */
typedef struct IdlaPass
{
	IdlaCall	parts;			/* of the first of them */
	ExprState  *model;
	ExprState  *version;
	List	   *calls;			/* of IdlaBatchCall * */

	/* The input, by name. Where every column is one of the row below, that row is what is decoded. */
	TupleDesc	desc;
	bool		direct;
	bool		quick;			/* direct, and of a row there is nothing to keep but its channels */
	ExprState **sources;		/* otherwise: (columns) */
	Datum	   *values;
	bool	   *isnull;

	IdlaServed	served;
	IdlaUse		use;
	bool		no_model;		/* the model is NULL, so all answers are */
	IdlaDecoder *decoder;		/* these are in served.context */
	int			width;			/* attributes of the row that the decoder reads */
	float	   *raw;			/* (most, channels) */
	LearnBytes *fields;			/* (most, fields) */
	double	   *scores;			/* (most, outputs) */
	float	   *embeddings;		/* (most_embedded, n_embedding); NULL: no call wants them */
	Size		n_embedding;
	int			most_embedded;	/* rows whose embeddings have room */
	bool	   *missing;		/* (most): no answer */
	IdlaLogging *logging;		/* NULL: nothing is logged */
	bool	   *logged;			/* (most): this row is */
	char	  **keys;			/* (most): how the log names it, or NULL */
} IdlaPass;

typedef struct IdlaBatchCounters
{
	uint64		rows;
	uint64		batches;
	double		load;			/* seconds */
	double		compute;
} IdlaBatchCounters;

/* An attribute of the rows that are handed on: it is one of those carried, or an answer. */
typedef struct IdlaOutput
{
	int			attribute;		/* from 0 */
	int			carried;		/* number among those; -1: */
	const IdlaBatchCall *call;
} IdlaOutput;

struct SharedCounters;

typedef struct IdlaBatchState
{
	CustomScanState scan;		/* first */
	int			n_columns;		/* of the row below */
	List	   *passes;
	List	   *calls;
	bool		logs;			/* some pass does */
	int			most;			/* rows of a batch at most */
	int			wanted;			/* of the next */

	int			n_carried;
	int		   *carried;		/* attributes of the row below that are needed above, from 0 */
	int			carried_width;
	Datum	   *kept;			/* (most, n_carried) */
	bool	   *kept_null;
	TupleTableSlot *output;		/* in which rows are handed on: of the node's result where its target list only picks, else the scan slot */
	bool		picks;
	int			n_outputs;
	IdlaOutput *outputs;
	MemoryContext rows_context; /* emptied with every batch */
	MemoryContext row_context;	/* and with every row decoded */

	int			n;				/* rows of the batch at hand */
	int			next;			/* the one to hand on next */
	int			bad;			/* the first of them without an answer, where that is an error; n: none */
	TupleTableSlot *waiting;	/* a row below that has been read, but not decoded */
	uintptr_t	seen_at;		/* where the row read last lies in its page, see look_ahead */
	bool		done;
	uint64		handed_on;
	IdlaBatchCounters	counters;
	struct SharedCounters *shared;	/* NULL: no worker executes the node */
	IdlaUseCount use_counts;	/* with shared: of the passes' uses, once a row has come */
} IdlaBatchState;

/* As MemoryContextReset, for contexts that mostly are empty. */
static inline void
idla_context_empty(MemoryContext context)
{
	if (!context->isReset || context->firstchild != NULL)
		MemoryContextReset(context);
}

/* ---- batch_rows.c ---- */

/* Room for rows of which these attributes (from 1) are needed above; the node's calls are there already. */
extern void idla_rows_create(IdlaBatchState *state, List *carried);
/* Keeps of the row below what is needed above, as row state->n. */
extern void idla_rows_carry(IdlaBatchState *state, TupleTableSlot *slot);
/* A row of a scan has been read: those to come are asked for from memory. */
extern void idla_rows_look_ahead(IdlaBatchState *state, TupleTableSlot *slot);
/* Row state->next into state->output. */
extern void idla_rows_hand_on(IdlaBatchState *state);

/* ---- batch_pass.c ---- */

/* The pass that such a call may share; NULL: none yet. */
extern IdlaPass *idla_pass_find(IdlaBatchState *state, const IdlaCall *parts);
/* A new one, among the node's. */
extern IdlaPass *idla_pass_create(IdlaBatchState *state, const IdlaCall *parts);
/* Finds the version that the statement sees, and what the calls want of it. */
extern void idla_pass_prepare(IdlaBatchState *state, IdlaPass *pass);
/*
 * The version that the pass has asked, or would ask as far as that is known before the statement runs: nothing that only a running plan
 * can evaluate is evaluated. NULL: not known.
 */
extern const IdlaLoaded *idla_pass_tell(IdlaBatchState *state, IdlaPass *pass);
/* The row's channels and copies of its fields into the pass's buffers, as row state->n; false for a bad one when `soft`. */
extern bool idla_pass_decode(IdlaBatchState *state, IdlaPass *pass, TupleTableSlot *slot, bool soft);
/* The row state->next is handed on: its answers are logged, where that is wished. */
extern void idla_pass_log(IdlaBatchState *state, IdlaPass *pass);
/* Answers of the state->n rows; state->bad becomes the first of them that has none, where that is an error. */
extern void idla_pass_answer(IdlaBatchState *state, IdlaPass *pass);

#endif							/* IDLA_BATCH_SCAN_H */

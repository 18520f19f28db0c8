/*
 * log.h: the log of predictions.
 *
 * log.c switches it on and waits for it, log_row.c takes answers where they are given, log_ring.c keeps them in bounded shared memory, and a worker,
 * log_worker.c, writes them into a table.
 */
#ifndef IDLA_LOG_H
#define IDLA_LOG_H

#include "serve.h"

#include "utils/timestamp.h"

/* ---- log.c ---- */

/* The share of rows that is logged after this event, 0: none; and the column that names a row, or NULL. */
extern double idla_log_share(const IdlaDeployment *event, const char **key);

/* ---- log_row.c: answers of one place in a query ---- */

typedef struct IdlaLogging IdlaLogging;

/* Whose answer is logged: an IdlaAnswerKind, or what follows these. */
typedef enum IdlaLogCall
{
	IDLA_LOG_SURVIVAL = IDLA_ANSWER_KINDS,
	IDLA_LOG_PREDICT_SERIES,
	IDLA_LOG_CLASSIFY_SERIES,
	IDLA_LOG_PROBABILITIES_SERIES,
	N_IDLA_LOG_CALLS
} IdlaLogCall;

/* The function's name; NULL for one whose answers are not logged. */
extern const char *idla_log_function(int call);

/*
 * NULL when the model's answers are not logged. Lives below `context`, and leaves what it has to the worker when that is reset, at the latest. Entries
 * are counted in `use`, which lives longer.
 */
extern IdlaLogging *idla_logging_open(const IdlaLoaded *loaded, IdlaUse *use, MemoryContext context);
/* The rows to come are of this type. */
extern void idla_logging_describe(IdlaLogging *logging, TupleDesc desc);
/* How many attributes of a row, from the first on, tell its key. */
extern int	idla_logging_width(const IdlaLogging *logging);
/* The key of a row, deformed: as text of at most IDLA_LOG_KEY bytes, palloc'd, NULL where it has none. */
extern char *idla_logging_key(IdlaLogging *logging, const Datum *values, const bool *isnull);
/* Is the row with this key, decoded, among those to be logged? */
extern bool idla_logging_wants(IdlaLogging *logging, const char *key, const float *raw, const LearnBytes *fields);
/*
 * An answer that a version gave to such a row; nothing happens for a call that is not logged. served: the query got it; not: it is what a candidate or
 * the version beside it would have said.
 */
extern void idla_logging_put(IdlaLogging *logging, int call, int version, bool served, const char *key, Datum answer, bool isnull);
/* Leaves what there is to the worker. May be called from an abort. */
extern void idla_logging_end(IdlaLogging *logging);
/* The same for all places of this session. */
extern void idla_logging_end_all(void);

/* ---- log_ring.c: entries on their way ---- */

#define IDLA_LOG_BLOCK 8192		/* bytes */
#define IDLA_LOG_KEY 256		/* bytes of a key at most, */
#define IDLA_LOG_OUTPUT 2048	/* and of an answer */

/* In memory one after another, without regard to alignment, each followed by its key and its output; no character is cut in two. */
typedef struct IdlaLogEntry
{
	TimestampTz time;
	double		number;			/* where the output is one */
	Oid			model;
	Oid			role;			/* whose rights the query had */
	Oid			login;			/* who asked */
	int32		version;
	int16		key_length;		/* -1: NULL */
	int16		output_length;	/* -1: NULL, -2: a number */
	uint8		call;			/* IdlaAnswerKind or IdlaLogCall */
	bool		served;
} IdlaLogEntry;

static inline Size
idla_log_size(const IdlaLogEntry *entry)
{
	return sizeof(IdlaLogEntry) + (Size) Max(entry->key_length, 0) + (Size) Max(entry->output_length, 0);
}

/* A block of shared memory that holds entries of one database. */
typedef struct IdlaLogBlock
{
	int32		next;			/* number of the block after it; -1: none */
	uint16		used;			/* bytes */
	uint16		n;				/* entries */
	char		bytes[IDLA_LOG_BLOCK - 8];
} IdlaLogBlock;

/* Called by _PG_init while the library is preloaded. */
extern void idla_log_request_memory(void);
/* Is there shared memory for entries? */
extern bool idla_log_possible(void);
/* Leaves entries of this database, `size` bytes of them, to its worker, and has one started when there is none; returns how many found no room. */
extern uint64 idla_log_append(const char *entries, Size size);
/* Waits until the worker has written what this database had left by now, or given it up; ERROR when that fails. */
extern void idla_log_wait(void);

/* What the worker does. False: another one is at it already, or there is nothing to do. */
extern bool idla_log_attach(Oid database);
/* Before it connects: until it is time to, after a failure of the one before it. */
extern void idla_log_wait_for_turn(void);
extern void idla_log_connected(void);
/* The oldest blocks that wait, as a list of IdlaLogBlock *, palloc'd; they stay the worker's until it is done with them or ends. */
extern List *idla_log_take(void);
/* They are written, or given up. */
extern void idla_log_done(void);
/* Everything that waits is given up, as there is nowhere to write it; returns how many entries that were. */
extern uint64 idla_log_give_up(void);
/* Nothing waits: the worker is none any more. False: something does, after all. */
extern bool idla_log_detach(void);

/* ---- module.c ---- */

extern int	idla_log_memory;	/* idla.log_memory, kB */

#endif							/* IDLA_LOG_H */

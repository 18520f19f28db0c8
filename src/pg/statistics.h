/*
 * statistics.h: a model is asked, and that is counted.
 */
#ifndef IDLA_STATISTICS_H
#define IDLA_STATISTICS_H

#include "idla.h"

#include "portability/instr_time.h"

/* How far a candidate's answers are from those of the version in service. */
typedef struct IdlaCompared
{
	uint64		rows;
	uint64		answered;		/* those whose answer was the candidate's */
	uint64		disagreed;		/* they name different classes */
	uint64		failed;			/* rows that the candidate could not answer */
	double		difference;		/* sums over rows of the mean over outputs */
	double		absolute;
	double		largest;
} IdlaCompared;

/* Which of the processes that execute a place in a query counts it as a call. */
typedef enum IdlaUseCount
{
	IDLA_COUNTS_LEADER,			/* the leader; where it leaves all to workers, the first of them */
	IDLA_COUNTS_HERE,
	IDLA_COUNTS_ELSEWHERE
} IdlaUseCount;

/* What one place in a query asks of one version. Zeroed before the first use; costs nothing more where nothing is counted. */
typedef struct IdlaUse
{
	Oid			relid;			/* InvalidOid: not under way */
	int			version;
	IdlaUseCount counts;
	uint64		rows;			/* answered */
	instr_time	time;			/* of computing answers; reading and decoding rows is not in it */
	bool		inside;			/* the model is being asked: if the query ends now, it is by an error there */
	uint64		logged;			/* entries left for the log: log.h */
	uint64		lost;			/* entries for which there was no room */
	IdlaCompared compared;		/* of a candidate */
	MemoryContextCallback callback;
} IdlaUse;

/* Ends what was under way, and begins. Ends by itself with `owner`, in which `use` lies. */
extern void idla_use_start(IdlaUse *use, MemoryContext owner, Oid relid, int version);
/* Adds what was counted to the statistics; may be called when nothing is under way, and from an abort. */
extern void idla_use_end(IdlaUse *use);

static inline void
idla_use_enter(IdlaUse *use, instr_time *start)
{
	use->inside = true;
	INSTR_TIME_SET_CURRENT(*start);
}

static inline void
idla_use_leave(IdlaUse *use, const instr_time *start, uint64 rows)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_ACCUM_DIFF(use->time, now, *start);
	use->rows += rows;
	use->inside = false;
}

/* Called by _PG_init while the library is preloaded. */
extern void idla_statistics_request_memory(void);

#endif							/* IDLA_STATISTICS_H */

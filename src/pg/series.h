/*
 * series.h: long rows, many for each patient, gathered into one row an entity.
 *
 * A series says which columns hold the entity, the time and the values. A gather reads rows of one type for it, and
 * events are what is known of one entity: they end as the values of a gathered row, whose columns are
 * the entity, what is constant within it, an array of statistics for each channel and an array of bins. From there on
 * the row goes the ordinary way.
 */
#ifndef IDLA_SERIES_H
#define IDLA_SERIES_H

#include "option.h"

typedef enum IdlaSeriesUse
{
	IDLA_USE_BOTH,
	IDLA_USE_BINS,
	IDLA_USE_SUMMARY
} IdlaSeriesUse;

/* How time is counted: in seconds, but numbers in their own unit. */
typedef enum IdlaClock
{
	IDLA_CLOCK_NUMBER,
	IDLA_CLOCK_MOMENT,			/* dates and timestamps */
	IDLA_CLOCK_INTERVAL
} IdlaClock;

typedef struct IdlaSeries
{
	char	   *entity;			/* columns of the long rows */
	char	   *time;
	char	   *label_at;		/* the prediction time; NULL: the time of the entity's last row */
	char	   *value;			/* rows are (name, value) pairs; NULL: numeric columns are the channels */
	char	   *name;
	IdlaClock	clock;
	IdlaSeriesUse use;
	char	   *field;			/* column of the gathered row that holds the bins, NULL without */
	LearnSeriesPlan plan;
	LearnSeriesEntity *scratch; /* of the session that the plan belongs to; one entity at a time */
} IdlaSeries;

/* A column of the gathered row whose value is the same in all rows of an entity. */
typedef struct IdlaPassed
{
	char	   *name;
	bool		past;			/* an input: rows after the prediction time do not count */
} IdlaPassed;

typedef struct IdlaGather IdlaGather;
typedef struct IdlaEvents IdlaEvents;

typedef struct IdlaGatherCounts
{
	uint64		n_rows;
	uint64		n_no_entity;	/* rows: the entity is NULL */
	uint64		n_bad;			/* rows: a time that is NULL or not finite */
	uint64		n_no_label;		/* entities without a prediction time, left out */
	uint64		n_empty;		/* entities without an event up to it */
	uint64		n_events;		/* used */
	uint64		n_late;			/* events after it: not looked at */
} IdlaGatherCounts;

/* ERROR for a type that is no time. */
extern IdlaClock idla_clock_of(const char *column, Oid base_type);
/* Room for one entity at a time, in the memory of work's session. ERROR for a plan that cannot be. */
extern void idla_series_check(IdlaSeries *series, IdlaWork *work);
/* passed: of IdlaPassed. skip: rows without a usable time are counted and left out, else an ERROR. Current memory context. */
extern IdlaGather *idla_gather_create(IdlaSeries *series, TupleDesc source, const List *passed, bool skip);
/* Of the gathered row. */
extern TupleDesc idla_gather_desc(const IdlaGather *gather);
extern IdlaGatherCounts *idla_gather_counts(IdlaGather *gather);

/* Memory of the current context, for as long as the entity is gathered. */
extern IdlaEvents *idla_events_create(const IdlaGather *gather);
/* Rows may come in any order. ERROR for a row of another entity than those before, and for what varies within the entity. */
extern void idla_events_add(IdlaGather *gather, IdlaEvents *events, const Datum *values, const bool *isnull);
/* Whether the row belongs to the entity gathered so far; true before the first row, false for a NULL entity. */
extern bool idla_events_same(const IdlaGather *gather, const IdlaEvents *events, const Datum *values, const bool *isnull);
extern bool idla_gather_has_entity(const IdlaGather *gather, const bool *isnull);
/* ---- series_combine.c: parts of one entity, gathered by several processes ---- */

/* What other knows is added to events, by copy, with the ERRORs of idla_events_add. */
extern void idla_events_merge(const IdlaGather *gather, IdlaEvents *events, const IdlaEvents *other);
/* As bytes, for a gather of the same model and type of row in another process of this query. */
extern void idla_events_write(const IdlaGather *gather, const IdlaEvents *events, StringInfo out);
extern IdlaEvents *idla_events_read(const IdlaGather *gather, StringInfo in);

/* The gathered row, in the current memory context; false for an entity without a prediction time. */
extern bool idla_events_finish(IdlaGather *gather, IdlaEvents *events, Datum *values, bool *isnull);

/* The columns of a model that are the same in all rows of an entity: a list of IdlaPassed. */
extern List *idla_series_passed(const IdlaColumns *columns);
/* Columns planned from a gathered row learn which of them hold statistics and bins. */
extern void idla_series_mark(IdlaColumns *columns, IdlaSeries *series);

/* ---- series_read.c: a source of long rows as a source of gathered ones ---- */

typedef struct IdlaSeriesRows IdlaSeriesRows;

/* As training reads it: channels and the rest are told apart by options, types and the first rows. targets: names. */
extern IdlaSeriesRows *idla_series_open(const char *source, const IdlaOptions *options, const char *target, int task, IdlaWork *work);
/* As a model reads it; others: names of columns that are no inputs, the target's. */
extern IdlaSeriesRows *idla_series_open_model(const char *source, IdlaSeries *series, const IdlaColumns *columns, char **others,
											  int n_others, bool skip);
extern TupleDesc idla_series_desc(const IdlaSeriesRows *rows);
extern IdlaSeries *idla_series_of(const IdlaSeriesRows *rows);
/* Calls take for every gathered row, entities in order; returns their number. */
extern uint64 idla_series_read(IdlaSeriesRows *rows, void (*take) (void *context, const Datum *values, const bool *isnull),
							   void *context);
/* NOTICEs about what was left out. */
extern const IdlaGatherCounts *idla_series_report(IdlaSeriesRows *rows);
extern void idla_series_close(IdlaSeriesRows *rows);

#endif							/* IDLA_SERIES_H */

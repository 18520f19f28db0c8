/*
 * reading.h: a training source on its way into a data set; shared by those who read it, train on it and preview it.
 */
#ifndef IDLA_READING_H
#define IDLA_READING_H

#include "conformal.h"
#include "series.h"
#include "teacher.h"

#include "utils/hsearch.h"

/* What the target columns hold, gathered while rows arrive. */
typedef struct IdlaTarget
{
	int			n;				/* columns */
	char	  **names;
	int		   *attributes;		/* positions in the row */
	Oid		   *types;			/* base types */
	int			n_values;		/* numbers of a row in the data set: n, but 0 for tags */
	int			task;			/* a LearnTask, -1 while it is to be inferred */
	bool		inferred;		/* the task was not given */

	/* classes: key -> code in order of first sight */
	bool		labelled;		/* targets are stored as class codes */
	bool		numeric;		/* labels come from numbers and are sorted as such */
	FmgrInfo	output;			/* of label types */
	HTAB	   *codes;
	int			n_labels;
	int			label_capacity;
	char	  **labels;
	double	   *values;			/* numeric: the number behind each label */
	uint64	   *counts;

	/* a number of unknown task: codes kept aside as long as classes are possible */
	bool		undecided;
	bool		all_integer;
	uint8	   *aside;			/* (rows) */
	Size		aside_capacity;

	uint64		n_not_finite;
	int			first_not_finite;	/* column */
} IdlaTarget;

typedef struct IdlaReading
{
	/* asked */
	const char *source;
	IdlaOptions *options;		/* order_by is taken away where it is a token's place in its sentence */
	IdlaWork   *work;
	int			threads;		/* that decode images */
	long		most;			/* rows to read, 0: all; of long rows all are read */

	/* got */
	IdlaTarget	target;
	IdlaColumns columns;
	LearnDataset *dataset;
	LearnSpill *spill;
	LearnSpill **field_spills;	/* (columns.n_fields) */
	uint64		n_read;
	uint64		n_no_target;	/* dropped: a target is NULL */
	uint64		n_no_order;
	uint64		n_no_part;
	uint64		n_no_input;		/* no column but images and the like, and all of them NULL */
	uint64		n_bad;			/* a value cannot be taken, and the user wants such rows left out */
	char	   *first_bad;		/* why, of the first one */
	char	   *entity;			/* tagging, one token a row: the sentence and the position in it; NULL otherwise */
	char	   *position;
	IdlaSubgroups *subgroups;	/* of the rows in the data set; NULL when none are asked for */
	IdlaTeacher *teacher;		/* what is said of the rows in the data set; NULL without one */
	IdlaGatherCounts gathered;	/* long rows only */
	uint64		hash;			/* over all decoded rows, in order */
} IdlaReading;

/* Reads the source once, as the caller; fills everything under "got". */
extern void idla_reading_run(IdlaReading *reading, const char *target, int task);

/* ---- batch.c: rows that wait to have their images decoded together ---- */

typedef struct IdlaBatch IdlaBatch;

/* NULL when no column holds files of images. take gets every row as it came, in order; what is taken is given to the decoder first. */
extern IdlaBatch *idla_batch_create(const IdlaColumns *columns, TupleDesc desc, IdlaDecoder *decoder, IdlaWork *work, int threads,
									void (*take) (void *context, const Datum *values, const bool *isnull), void *context);
extern void idla_batch_add(IdlaBatch *batch, const Datum *values, const bool *isnull);
extern void idla_batch_flush(IdlaBatch *batch);	/* NULL is allowed */

/* ---- target.c ---- */

/* Splits and finds the target columns, settles what the types alone settle. n stays 0 where none is needed, nor given. */
extern void idla_target_open(IdlaTarget *target, const char *text, int task, const IdlaOptions *options, TupleDesc desc);
extern bool idla_target_is_null(const IdlaTarget *target, const bool *isnull);
/* values gets (n) floats of a row whose targets are not NULL; row is its number in the data set. */
extern void idla_target_decode(IdlaTarget *target, const Datum *datums, uint64 row, float *values);
/* After the last row: refuses what cannot be learned, infers the task, sorts the classes, rewrites targets as the engine wants them. */
extern void idla_target_close(IdlaTarget *target, const IdlaReading *reading, LearnModel *model);

/* ---- spill.c ---- */

extern LearnSpill *idla_spill_create(IdlaWork *work);
extern LearnSpill *idla_spill_another(const LearnSpill *first);	/* as long as the first, wherever it is made */
extern void idla_spill_close(LearnSpill *spill);

#endif							/* IDLA_READING_H */

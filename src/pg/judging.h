/*
 * judging.h: rows of the user's choice with their targets, to judge a model by; shared by evaluate.c, robustness.c and drift.c.
 */
#ifndef IDLA_JUDGING_H
#define IDLA_JUDGING_H

#include "column.h"

/* A column of the source that holds a target. */
typedef struct IdlaTargetColumn
{
	const char *name;
	int			attribute;		/* position in values */
	Oid			type;			/* domains looked through */
} IdlaTargetColumn;

struct IdlaJudging;
/*
 * What is done with a batch of n rows: judging->raw, scores and target_values are of these rows. First it is called with n = 0, when the model is
 * loaded and nothing has been read.
 */
typedef void (*IdlaEach) (void *context, struct IdlaJudging *judging, size_t n);

typedef struct IdlaJudging
{
	IdlaLoaded *loaded;
	const LearnModel *learn;
	IdlaWork   *work;			/* owns what follows */
	IdlaDecoder *decoder;
	int			n_targets;
	IdlaTargetColumn *targets;
	int		   *class_order;	/* class numbers by label, for searching */
	double		threshold;
	bool		skip_bad;		/* as the model's training was told: on_bad_input */
	bool		keep_rows;		/* importance needs the rows themselves, the others their scores */

	size_t		n;				/* rows taken */
	size_t		n_scored;
	size_t		capacity;
	uint64		n_skipped;		/* rows without a target */
	double	   *target_values;	/* (capacity, n_targets) */
	double	   *scores;			/* (capacity, outputs) */
	float	   *raw;			/* (capacity, n_channels) when rows are kept, else (BATCH_ROWS, n_channels) */
	LearnBytes *fields;			/* the same rows' fields; copies */
	Size		field_bytes;	/* of the copies now */
	IdlaEach	each;			/* rows are not kept: they are handed on batch by batch */
	void	   *context;
	uint64		n_streamed;
	uint64		n_bad;			/* rows with a bad value, left out */
	char	   *first_bad;
} IdlaJudging;

/*
 * Reads the source; arguments 0 and 1 of the call are model and source. Rows are scored as they come, or kept. Everything is below
 * the current context and goes with idla_work_close.
 */
extern IdlaJudging *idla_judging_read(FunctionCallInfo fcinfo, int version, bool keep_rows);
/*
 * The same of any number of rows, batch by batch. The source may lack the targets' columns (n_targets is 0 then) and rows their targets (NaN);
 * a class that the model does not know is INFINITY.
 */
extern IdlaJudging *idla_judging_stream(FunctionCallInfo fcinfo, int version, IdlaEach each, void *context);

#endif							/* IDLA_JUDGING_H */

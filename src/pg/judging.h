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

/* Whoever wants the rows that are taken as they come, beside what is made of them. */
typedef struct IdlaKeeper
{
	void	   *context;
	void		(*begin) (void *context, TupleDesc desc);
	void		(*keep) (void *context, const Datum *values, const bool *isnull);
} IdlaKeeper;

struct IdlaJudging;

/* Whoever only looks at each batch of rows: judging->raw, scores and target_values are those of n rows. */
typedef struct IdlaStream
{
	void	   *context;
	void		(*take) (void *context, struct IdlaJudging *judging, size_t n);
} IdlaStream;

/* Whoever looks at each batch of rows beside: those of judging->raw and fields, whose scores are the last n. */
typedef struct IdlaBeside
{
	void	   *context;
	void		(*look) (void *context, const struct IdlaJudging *judging, size_t n);
} IdlaBeside;

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
	const IdlaKeeper *keeper;	/* or NULL */
	const IdlaBeside *beside;	/* or NULL; not when rows are kept */
	/*
	 * NULL, or where rows go instead of being kept, any number of them. The source may lack the targets' columns then (n_targets is 0), and
	 * rows their targets (NaN); a class that the model does not know is INFINITY.
	 */
	const IdlaStream *stream;
	uint64		n_streamed;
	uint64		n_bad;			/* rows with a bad value, left out */
	char	   *first_bad;
} IdlaJudging;

/* The label of a value of a base type as training names classes: true, 2, 0.5, setosa. */
extern char *idla_class_label(Datum value, Oid type);

/*
 * Reads the source; arguments 0 and 1 of the call are model and source. Rows are scored as they come, or kept. Everything is below
 * the current context and goes with idla_work_close.
 */
extern IdlaJudging *idla_judging_read(FunctionCallInfo fcinfo, int version, bool keep_rows);
/* The same in two steps, for whoever has to know the model before rows are read: judging->keeper or stream may be set between them. */
extern IdlaJudging *idla_judging_open(FunctionCallInfo fcinfo, int version, bool keep_rows);
/* The same for a model that is loaded, in a work of the caller's. */
extern IdlaJudging *idla_judging_start(IdlaWork *work, IdlaLoaded *loaded, bool keep_rows);
extern void idla_judging_rows(IdlaJudging *judging, const char *source);

#endif							/* IDLA_JUDGING_H */

/*
 * robust.h: an attack on the rows of a table; shared by robustness.c, attack.c and assault.c.
 */
#ifndef IDLA_ROBUST_H
#define IDLA_ROBUST_H

#include "constrain.h"
#include "rewrite.h"

#include "idla/learn_robust.h"

/* What the options of idla_robustness and idla_attack say. */
typedef struct IdlaRobustOptions
{
	LearnNormKind norm;
	int			steps;
	int			restarts;
	int			max_changes;	/* categories that may change in a row */
	int			max_words;		/* words that may be misspelled in a text */
	int			rows;			/* judged at most */
	int			certify;		/* rows certified at most, 0: none */
	int			samples;		/* noisy copies of each */
	double		sigma;
	double		tolerance;		/* regression: a target off by more scales is wrong */
	int64		seed;
	int			n_overrides;
	IdlaOverride *overrides;
} IdlaRobustOptions;

extern IdlaRobustOptions *idla_robust_options_read(Jsonb *json);

/* Everything to attack up to max_rows rows of a model at once; all in work. */
typedef struct IdlaAssault
{
	IdlaWork   *work;
	const IdlaModel *model;
	const IdlaRobustOptions *options;
	LearnConstraint *constraints;
	IdlaChecks *checks;			/* NULL: whatever the constraints allow is a row */
	IdlaRewriter *rewriter;		/* NULL: rows are not known as the host has them, and not needed */
	bool	   *written;		/* (n_fields): planes are those of values that were written and read again */
	IdlaFieldReader **readers;	/* (n_fields) of those */
	LearnPredictor *predictor;
	LearnPredictorOracle *oracle;
	LearnTableAttacker *attacker;	/* NULL when no number or category may change */
	LearnReferee referee;
	size_t		max_rows;

	/* Texts, where words may be misspelled; see assault_text.c */
	LearnTextAttacker **texts;	/* (n_fields), NULL: the field is none, or stays */
	int		   *text_attributes;	/* (n_fields): where it is in rows as the host has them */
	TupleDesc	text_desc;		/* these are their texts alone, or NULL */
	LearnBytes *given;			/* (max_rows) scratch */
	LearnBytes *stored;

	/* The batch under attack */
	size_t		n;
	const float *raw;			/* (n, n_channels) */
	const LearnBytes *fields;	/* (n, n_fields) */
	uint64		first;			/* number of its first row, for the draws */
	const Datum *own_values;	/* (n, natts), of the layout of idla_assault_desc, or NULL */
	const bool *own_nulls;
	bool	   *stuck;			/* (max_rows): fails the checks as it is, and stays so */
	bool		told;			/* the user, of the first of these */

	/* What became of it */
	float	   *changed;		/* (max_rows, n_channels) */
	float	  **planes;			/* (n_fields): (max_rows, size) of images and signals, moved; NULL for others */
	Datum	   *field_values;	/* (max_rows, n_fields): as written, of the batch's memory; ... */
	bool	   *field_written;	/* ... where this says so */
	MemoryContext batch;
	uint8_t    *fooled;
	float	   *losses;

	/* Scratch of attacks on fields */
	float	   *numbers;		/* (max_rows, n_numbers) */
	int32_t    *codes;
	float	   *clean;			/* (max_rows, largest size) */
	float	   *box_low;
	float	   *box_high;
	float	   *rounded;
	float	   *radii;			/* (max_rows) */
	float	   *scratch;
	int32_t    *lengths;
} IdlaAssault;

/* Where the rules come from and in what form rows are wanted. */
typedef struct IdlaTarget
{
	Oid			relid;			/* the table whose constraints hold, or InvalidOid */
	TupleDesc	desc;			/* of rows of no table; or NULL */
	bool		evaluated;		/* the server is asked about rows, whose values must be given */
	double		threshold;		/* two classes: the probability from which the positive one is named */
	bool		whole;			/* every field that moves is written as the host has it, and judged as read again */
} IdlaTarget;

/* Rows that make a batch, 64 at most: fewer where they are large. */
extern size_t idla_assault_room(const LearnModel *learn);
/* ERROR for a model that nobody can attack. */
extern IdlaAssault *idla_assault_create(IdlaWork *work, const IdlaModel *model, const IdlaTarget *target,
										const IdlaRobustOptions *options, size_t max_rows);
/* count * size bytes of zeros from the work's session, at least one; ERROR when its memory does not suffice. */
extern void *idla_assault_allocate(IdlaWork *work, size_t count, size_t size);
/*
 * The batch: n rows, their labels as learn_predictor_oracle_set has them. values and isnull (n, natts): the same rows as the host has them, in the layout
 * of idla_assault_desc; NULL where that is. All borrowed.
 */
extern void idla_assault_rows(IdlaAssault *assault, uint64 first, size_t n, const float *raw, const LearnBytes *fields,
							  const float *labels, const Datum *values, const bool *isnull);
/* The layout of rows that must be given; NULL: none need be. */
extern TupleDesc idla_assault_desc(const IdlaAssault *assault);
/* A row of the batch as it is now into values (natts), copies of what was given. */
extern void idla_assault_row(const IdlaAssault *assault, size_t row, const float *changed, Datum *values, bool *isnull);
/*
 * Attacks the batch's rows within epsilons (n): changed and planes, losses and fooled of the assault. until_fooled: a row is done
 * when it fools the model; else the largest loss counts. Fields are moved one after another, then columns, each judged with what moved before;
 * an epsilon of l2 is each one's own. What fails a check of its table went back towards the row until it passed.
 */
extern DevStatus idla_assault_run(IdlaAssault *assault, const LearnAttack *how, const float *epsilons, bool until_fooled);

/* Whether the row, so changed and with the fields that are written, passes the checks, of which there are some. */
extern DevStatus idla_assault_ask(IdlaAssault *assault, size_t row, const float *changed, bool *passes);
/* The model's answers for the rows as they are by now: are they wrong? */
extern DevStatus idla_assault_judge(IdlaAssault *assault, uint8_t *fooled);

/* ---- assault_text.c ---- */

/* Whether values of this type, or of the one under a domain, are texts that can be written anew. */
extern bool idla_assault_takes_text(Oid type);
/* After the rewriter, if there is one, and the oracle. */
extern void idla_assault_texts_create(IdlaAssault *assault, const bool *fixed);
/* Whether a text under attack is in this column, from 0 on, of idla_assault_desc. */
extern bool idla_assault_needs_text(const IdlaAssault *assault, int attribute);
/* Misspells the batch's texts of rows whose epsilon is above 0; fooled as in learn_text_attack. */
extern DevStatus idla_assault_texts(IdlaAssault *assault, const float *epsilons, uint8_t *fooled);
extern bool idla_assault_text_changed(const IdlaAssault *assault, size_t row);
extern void idla_assault_texts_restore(IdlaAssault *assault, size_t row);

#endif							/* IDLA_ROBUST_H */

/*
 * robust.h: an attack on the rows of a table; shared by robustness.c and attack.c.
 */
#ifndef IDLA_ROBUST_H
#define IDLA_ROBUST_H

#include "constrain.h"

#include "idla/learn_robust.h"

/* What the options of idla_robustness and idla_attack say. */
typedef struct IdlaRobustOptions
{
	LearnNormKind norm;
	int			steps;
	int			restarts;
	int			max_changes;	/* categories that may change in a row */
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
	LearnPredictor *predictor;
	LearnPredictorOracle *oracle;
	LearnTableAttacker *attacker;	/* NULL when no number or category may change */
	size_t		max_rows;

	/* The batch under attack */
	const float *raw;			/* (n, n_channels) */
	const LearnBytes *fields;	/* (n, n_fields) */
	uint64		first;			/* number of its first row, for the draws */

	/* What became of it */
	float	   *changed;		/* (max_rows, n_channels) */
	float	  **planes;			/* (n_fields): (max_rows, size) of images and signals, moved; NULL for others */
	uint8_t    *fooled;
	float	   *losses;

	/* Scratch of attacks on fields */
	float	   *numbers;		/* (max_rows, n_numbers) */
	int32_t    *codes;
	float	   *clean;			/* (max_rows, largest size) */
	float	   *box_low;
	float	   *box_high;
	float	   *scratch;
	int32_t    *lengths;
} IdlaAssault;

/* relid: the table whose constraints hold, or InvalidOid. ERROR for a model that nobody can attack. */
extern IdlaAssault *idla_assault_create(IdlaWork *work, const IdlaModel *model, Oid relid, const IdlaRobustOptions *options,
										size_t max_rows);
/* count * size bytes of zeros from the work's session, at least one; ERROR when its memory does not suffice. */
extern void *idla_assault_allocate(IdlaWork *work, size_t count, size_t size);
/* The batch: rows of n, their labels as learn_predictor_oracle_set has them. All borrowed. */
extern void idla_assault_rows(IdlaAssault *assault, uint64 first, const float *raw, const LearnBytes *fields,
							  const float *labels);
/*
 * Attacks the batch's n rows within epsilons (n): changed and planes, losses and fooled of the assault. until_fooled: a row is done
 * when it fools the model; else the largest loss counts. Images of a model that has them are moved before its numbers.
 */
extern DevStatus idla_assault_run(IdlaAssault *assault, const LearnAttack *how, size_t n, const float *epsilons,
								  bool until_fooled);

#endif							/* IDLA_ROBUST_H */

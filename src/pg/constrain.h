/*
 * constrain.h: what an attack may make of a row; shared by training, robustness and attacks.
 */
#ifndef IDLA_CONSTRAIN_H
#define IDLA_CONSTRAIN_H

#include "check.h"
#include "option.h"

typedef struct IdlaConstraints
{
	LearnConstraint *channels;	/* (n_channels) */
	bool	   *fixed;			/* (n_fields): images and signals that stay */
	IdlaChecks *checks;			/* of the table, which the server evaluates; NULL: none */
} IdlaConstraints;

/*
 * Palloc'd: from the columns' kinds and the ranges seen in training; where relid is a table, from its types, keys, generated
 * columns and CHECK constraints, those of domains included; and from what the user said, which may narrow but not widen the types. Where a
 * CHECK is not understood, the server will be asked about rows: its columns are `checked`. A column under one that cannot be evaluated, or
 * under any such where work is NULL, cannot change, with a NOTICE. desc: rows of no table, whose types alone are known; or NULL.
 */
extern IdlaConstraints idla_constraints_build(const IdlaColumns *columns, Oid relid, TupleDesc desc, const IdlaOverride *overrides,
											  int n_overrides, IdlaWork *work);
/* The overrides a model was trained with, from its manifest; *n of them. */
extern IdlaOverride *idla_constraints_trained(const IdlaModel *model, int *n);

#endif							/* IDLA_CONSTRAIN_H */

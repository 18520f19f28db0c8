/*
 * constrain.h: what an attack may make of a row; shared by training, robustness and attacks.
 */
#ifndef IDLA_CONSTRAIN_H
#define IDLA_CONSTRAIN_H

#include "option.h"

/*
 * A constraint for every channel, palloc'd: from the column's kind and the range seen in training; where relid is a table, from
 * its types, keys, generated columns and CHECK constraints, those of domains included; and from what the user said, which
 * may narrow but not widen the types. A column under a CHECK that is not understood cannot change, with a NOTICE.
 */
extern LearnConstraint *idla_constraints_build(const IdlaColumns *columns, Oid relid, const IdlaOverride *overrides,
											   int n_overrides);
/* The overrides a model was trained with, from its manifest; *n of them. */
extern IdlaOverride *idla_constraints_trained(const IdlaModel *model, int *n);

#endif							/* IDLA_CONSTRAIN_H */

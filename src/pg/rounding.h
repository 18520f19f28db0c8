/*
 * rounding.h: versions whose weights take less room.
 */
#ifndef IDLA_ROUNDING_H
#define IDLA_ROUNDING_H

#include "idla.h"

/* The precision of that name. ERROR for an unknown one. */
extern LearnPrecision idla_precision_find(const char *name);
/*
 * Makes the next version of a model of one of its versions in float32, with rounded weights and, in card and manifest, what that costs on the
 * rows of the source; tells it in a NOTICE. It is not in service. Needs the rights to read the weights and to train. LEARN_FLOAT32: nothing is
 * made, and the version itself is the result, if it is in float32. source may be NULL for that alone.
 */
extern int	idla_version_round(Oid relid, int version, LearnPrecision precision, const char *source);

#endif							/* IDLA_ROUNDING_H */

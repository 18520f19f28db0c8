/*
 * place.h: where a row stands among all rows, for whoever takes a share of them.
 */
#ifndef IDLA_PLACE_H
#define IDLA_PLACE_H

#include "column.h"

typedef struct IdlaPlaces IdlaPlaces;

/* Of rows that a model of these columns reads; lives in `context`. */
extern IdlaPlaces *idla_places_create(const IdlaColumns *columns, MemoryContext context);
/* Uniform in [0, 1), by the inputs of a decoded row and the seed alone: equal rows have equal places. */
extern double idla_place_of(IdlaPlaces *places, const LearnModel *learn, const float *raw, const LearnBytes *fields, uint64 seed);

#endif							/* IDLA_PLACE_H */

/*
 * conformal.h: intervals and sets of classes that hold the truth as often as is asked; shared by those who calibrate, store
 * and answer with them.
 */
#ifndef IDLA_CONFORMAL_H
#define IDLA_CONFORMAL_H

#include "json.h"

#include "idla/learn_conformal.h"

/* ---- subgroup.c: the values of the column that tells subgroups apart ---- */

#define IDLA_LONGEST_SUBGROUP 256	/* bytes */

typedef struct IdlaSubgroups
{
	char	   *by;				/* the column */
	int			n;
	char	  **names;			/* (n) in order of first sight */
	uint32	   *codes;			/* by row of the data set; LEARN_NO_GROUP for NULL */

	int			attribute;
	Oid			type;
	FmgrInfo	output;
	Size		capacity;
	MemoryContext context;
} IdlaSubgroups;

/* For rows whose attribute of that number has that base type; lives in the current context. ERROR for types whose values have no plain name. */
extern IdlaSubgroups *idla_subgroups_create(const char *by, int attribute, Oid type);
/* Row number `row` of the data set; rows come in order. */
extern void idla_subgroups_add(IdlaSubgroups *subgroups, const Datum *values, const bool *isnull, uint64 row);
/* ERROR unless a column of this base type can tell subgroups apart. */
extern void idla_subgroup_check(const char *column, Oid type);
/* A value as the name of its subgroup; palloc'd. */
extern char *idla_subgroup_name(FmgrInfo *output, Oid type, Datum value);

/* ---- manifest_conformal.c ---- */

extern void idla_conformal_put(StringInfo out, const IdlaModel *model);
/* What the manifest has of it into the model, whose task and targets are read already. */
extern void idla_conformal_manifest(IdlaModel *model, JsonbContainer *root);

#endif							/* IDLA_CONFORMAL_H */

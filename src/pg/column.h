/*
 * column.h: what type means to a model; shared by planning, decoding and reading a manifest.
 */
#ifndef IDLA_COLUMN_H
#define IDLA_COLUMN_H

#include "idla.h"

/* Types that can stand for each other at predict time, as far as a kind allows. */
typedef enum IdlaFamily
{
	IDLA_FAMILY_REFUSED,		/* json, bytea, geometry ...: no column of a model */
	IDLA_FAMILY_NUMBER,
	IDLA_FAMILY_BOOLEAN,
	IDLA_FAMILY_STRING,			/* text, varchar, char, name, enums, citext */
	IDLA_FAMILY_WORD,			/* uuid, inet, bit ...: categories when an option says so */
	IDLA_FAMILY_DATE,
	IDLA_FAMILY_TIMESTAMP,
	IDLA_FAMILY_TIMESTAMPTZ,
	IDLA_FAMILY_TIME,
	IDLA_FAMILY_INTERVAL,
	IDLA_FAMILY_ARRAY			/* of numbers */
} IdlaFamily;

extern IdlaFamily idla_type_family(Oid base_type);
/* Can a column that was trained as `column` be read from a value of base type `actual`? */
extern bool idla_type_fits(const IdlaColumn *column, Oid actual);

extern const char *const idla_kind_names[];	/* by IdlaKind; ends with NULL */
extern int	idla_kind_channels(const IdlaColumn *column);
/* ".days", ".month" ...: what channel `i` of the column is called after its column's name; palloc'd */
extern char *idla_channel_name(const IdlaColumn *column, int i);

/* How the user wants one column treated; option columns. */
typedef struct IdlaOverride
{
	char	   *name;
	bool		ignore;
	bool		keep;			/* even if it looks like an identifier */
	int			kind;			/* an IdlaKind, -1 when not said */
	int			scaling;		/* a LearnScaling, -1 when not said */
	char	   *reference;
	int			length;			/* arrays, 0 when not said */
} IdlaOverride;

/*
 * Decides kind by kind what the inputs are: every attribute of desc that is not in skip (its name) nor ignored.
 * Arrays without a length wait for idla_columns_channels. Memory of the current context.
 */
extern void idla_columns_plan(TupleDesc desc, const List *skip, const IdlaOverride *overrides, int n_overrides,
							  IdlaColumns *columns);
/* Numbers and names the channels once every array's length is known; in the work's memory. */
extern void idla_columns_channels(IdlaColumns *columns, const IdlaOverride *overrides, int n_overrides,
								  LearnScaling scaling, IdlaWork *work);
/* Does the fitted model read the column at all? Identifiers, constants and empty columns were left out. */
extern bool idla_column_used(const IdlaColumns *columns, int column);
/* "a, b, c and 12 more": attribute names for a HINT */
extern char *idla_attribute_list(TupleDesc desc);
extern const IdlaOverride *idla_override_find(const IdlaOverride *overrides, int n, const char *name);

/* decode.c: numbers in an array datum */
extern int	idla_array_length(Datum array);

#endif							/* IDLA_COLUMN_H */

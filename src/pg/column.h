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
	IDLA_FAMILY_ARRAY,			/* of numbers */
	IDLA_FAMILY_TOKENS,			/* text[] */
	IDLA_FAMILY_BYTES			/* bytea */
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
	int			length;			/* arrays, signals: elements; texts: tokens; 0 when not said */
	int			height;			/* images, 0 when not said */
	int			width;
	int			depth;			/* channels of an image: 1 or 3 */
	int			crop;			/* images: side of the centred square that is kept first */
	int			fitting;		/* a LearnFitting, -1 when not said */
	int			part;			/* signals: a LearnCrop, -1 when not said */
	int			window;			/* signals: samples of a window, 0 when not said */
	int			stride;			/* signals: samples from one window to the next, 0 when not said */
	int			normalize;		/* signals: a LearnSignalScaling, -1 when not said */
	int			pieces;			/* texts: of the vocabulary at most, 0 when not said */
	int			lowercase;		/* texts: 0 or 1, -1 when not said */
	char	   *vocabulary;		/* texts: a vocab.txt, NULL when not said */
	int			kept;			/* texts: a LearnKeep, -1 when not said */
	double		rate;			/* signals: samples a second, 0 when not said */
	double		to_rate;
	bool		immutable;		/* attacks may not change it */
	double		low;			/* what attacks may make of it, NaN when not said */
	double		high;
	double		step;			/* 0 when not said */
} IdlaOverride;

/* What the first rows tell of a column whose kind or size its type leaves open. */
typedef struct IdlaLook
{
	uint64		n;				/* values seen */
	int			n_dims;			/* arrays: of the first value */
	int			dims[3];
	int			first;			/* samples of the first value */
	int			longest;
	uint64		bytes;			/* texts */
	uint64		blanks;
	uint64		n_different;
	void	   *seen;			/* hashes of texts */
	LearnImageInfo image;		/* of the first one */
	bool		unreadable;		/* images: there was one that could not be read ... */
	LearnTrouble trouble;		/* ... and why the first of them could not */
} IdlaLook;

/*
 * Decides kind by kind what the inputs are: every attribute of desc that is not in skip (its name) nor ignored.
 * Arrays without a length wait for idla_columns_channels. Memory of the current context.
 */
extern void idla_columns_plan(TupleDesc desc, const List *skip, const IdlaOverride *overrides, int n_overrides,
							  IdlaColumns *columns);
/* Numbers and names the channels once every array's length is known; in the work's memory. */
extern void idla_columns_channels(IdlaColumns *columns, const IdlaOverride *overrides, int n_overrides,
								  LearnScaling scaling, IdlaWork *work);
/* look.c: whether the column waits for rows to be looked at before anything can be stored of it. */
extern bool idla_look_needed(const IdlaColumn *column, const IdlaOverride *override);
extern void idla_look_add(IdlaLook *look, const IdlaColumn *column, Datum value);
/* Settles kind and sizes by what was seen. */
extern void idla_look_settle(const IdlaLook *look, IdlaColumn *column, const IdlaOverride *override);
/* Numbers and describes the images, signals and texts among the columns; in the work's memory. */
extern void idla_columns_fields(IdlaColumns *columns, const IdlaLook *looks, const IdlaOverride *overrides, int n_overrides, IdlaWork *work);
/* Does the fitted model read the column at all? Identifiers, constants and empty columns were left out. */
extern bool idla_column_used(const IdlaColumns *columns, int column);
/* Where the attribute of this name is, from 0; -1: nowhere. */
extern int	idla_attribute_find(TupleDesc desc, const char *name);
/* "a, b, c and 12 more": attribute names for a HINT */
extern char *idla_attribute_list(TupleDesc desc);
extern const IdlaOverride *idla_override_find(const IdlaOverride *overrides, int n, const char *name);

/* decode.c: numbers in an array datum */
extern int	idla_array_length(Datum array);

/* decode_field.c: one column's images, signals or texts */
typedef struct IdlaFieldReader IdlaFieldReader;

/* attribute_type is a base type; stored: values become what a predictor takes, else what a data set does. */
extern IdlaFieldReader *idla_field_reader_create(const IdlaColumn *column, const LearnField *field, Oid attribute_type, bool stored);
/* False after filling *trouble. The bytes are the reader's until the next call. */
extern bool idla_field_read(IdlaFieldReader *reader, Datum value, LearnBytes *bytes, LearnTrouble *trouble);
/* The same of a tagger's text; tags_type InvalidOid: without tags. */
extern bool idla_field_read_tagged(IdlaFieldReader *reader, Datum value, Oid tags_type, Datum tags, LearnBytes *bytes,
								   LearnTrouble *trouble);
/* Floats of an array of numbers of any type, NULL as NaN; palloc'd. */
extern float *idla_array_floats(Datum datum, int *n_dims, int dims[3]);

#endif							/* IDLA_COLUMN_H */

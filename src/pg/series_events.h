/*
 * series_events.h: the inside of a gather and its events, for the files that fill, join and send them.
 */
#ifndef IDLA_SERIES_EVENTS_H
#define IDLA_SERIES_EVENTS_H

#include "series.h"

typedef struct IdlaEvent
{
	double		time;
	int32		channel;
	float		value;
} IdlaEvent;

/* A column of the long rows that is looked at by itself. */
typedef struct IdlaPlace
{
	int			attribute;		/* -1: none */
	Oid			type;			/* base type */
	int16		length;
	bool		by_value;
} IdlaPlace;

typedef struct IdlaPassedPlace
{
	IdlaPlace	place;
	bool		past;
} IdlaPassedPlace;

struct IdlaGather
{
	IdlaSeries *series;
	TupleDesc	source;
	TupleDesc	desc;
	bool		skip;
	IdlaPlace	entity;
	IdlaPlace	time;
	IdlaPlace	label;
	IdlaPlace	value;
	IdlaPlace	name;
	FmgrInfo	name_output;
	IdlaPlace  *channels;		/* (n_channels) for wide rows */
	int			n_passed;
	IdlaPassedPlace *passed;		/* the first columns of desc */
	IdlaGatherCounts counts;
};

struct IdlaEvents
{
	MemoryContext context;
	bool		begun;
	bool		has_label;
	double		label;
	double		last;			/* latest time of a row */
	uint64		late;
	Size		n;
	Size		capacity;
	IdlaEvent  *events;
	bool	   *isnull;			/* (n_passed + 1), the entity last */
	Datum		values[FLEXIBLE_ARRAY_MEMBER];	/* the same */
};

/* Room for n more events. ERROR beyond what one entity may have. */
extern void idla_events_reserve(const IdlaGather *gather, IdlaEvents *events, Size n);
/* The first row's entity. */
extern void idla_events_begin(const IdlaGather *gather, IdlaEvents *events, Datum entity, bool isnull);
/* ERROR that says how to group, where rows are not of one entity. */
extern void idla_events_require_same(const IdlaGather *gather, bool same);
/* The prediction time; ERROR where there is another already. */
extern void idla_events_label(const IdlaGather *gather, IdlaEvents *events, double label);
/* The value of passed column i, which is not NULL; ERROR where there is another already. */
extern void idla_events_keep(const IdlaGather *gather, IdlaEvents *events, int i, Datum value);

#endif							/* IDLA_SERIES_EVENTS_H */

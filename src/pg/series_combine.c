/*
 * series_combine.c: parts of one entity's events, gathered by several processes, into one.
 *
 * Events are sorted when an entity is whole, so parts are put one behind the other and their order is nothing. What belongs to
 * the entity as a whole must be the same in all of them, as it must in all rows.
 */
#include "series_events.h"

#include "libpq/pqformat.h"
#include "utils/datum.h"

void
idla_events_merge(const IdlaGather *gather, IdlaEvents *events, const IdlaEvents *other)
{
	int			entity = gather->n_passed;

	if (!other->begun)
		return;
	if (!events->begun)
		idla_events_begin(gather, events, other->values[entity], other->isnull[entity]);
	idla_events_require_same(gather, events->isnull[entity] == other->isnull[entity] &&
							 (events->isnull[entity] || datum_image_eq(events->values[entity], other->values[entity],
																	   gather->entity.by_value, gather->entity.length)));
	if (other->has_label)
		idla_events_label(gather, events, other->label);
	for (int i = 0; i < gather->n_passed; i++)
		if (!other->isnull[i])
			idla_events_keep(gather, events, i, other->values[i]);
	events->last = Max(events->last, other->last);
	events->late += other->late;
	if (other->n == 0)
		return;
	idla_events_reserve(gather, events, other->n);
	memcpy(events->events + events->n, other->events, other->n * sizeof(IdlaEvent));
	events->n += other->n;
}

static const IdlaPlace *
place_of(const IdlaGather *gather, int i)
{
	return i == gather->n_passed ? &gather->entity : &gather->passed[i].place;
}

/* Values and events go as they lie in memory: they stay on this machine. */
void
idla_events_write(const IdlaGather *gather, const IdlaEvents *events, StringInfo out)
{
	pq_sendbyte(out, events->begun);
	pq_sendbyte(out, events->has_label);
	pq_sendfloat8(out, events->label);
	pq_sendfloat8(out, events->last);
	pq_sendint64(out, events->late);
	pq_sendint64(out, events->n);
	for (int i = 0; i <= gather->n_passed; i++)
	{
		const IdlaPlace *place = place_of(gather, i);
		Size		size = datumEstimateSpace(events->values[i], events->isnull[i], place->by_value, place->length);
		char	   *end;

		enlargeStringInfo(out, (int) size);
		end = out->data + out->len;
		datumSerialize(events->values[i], events->isnull[i], place->by_value, place->length, &end);
		out->len += (int) size;
	}
	/* A varlena holds a gigabyte, and so do as many events as there may be: more than that is an error of enlarging. */
	if (events->n * sizeof(IdlaEvent) > MaxAllocSize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%zu values of one \"%s\" are too many to be sent by a parallel worker", events->n, gather->series->entity),
				 errhint("Set max_parallel_workers_per_gather to 0, or take averages over seconds or minutes in the source.")));
	appendBinaryStringInfo(out, (const char *) events->events, (int) (events->n * sizeof(IdlaEvent)));
}

IdlaEvents *
idla_events_read(const IdlaGather *gather, StringInfo in)
{
	IdlaEvents *events = idla_events_create(gather);
	bool	   *isnull = events->isnull;
	char	   *at;
	Size		n;

	events->begun = pq_getmsgbyte(in) != 0;
	events->has_label = pq_getmsgbyte(in) != 0;
	events->label = pq_getmsgfloat8(in);
	events->last = pq_getmsgfloat8(in);
	events->late = (uint64) pq_getmsgint64(in);
	n = (Size) pq_getmsgint64(in);
	at = in->data + in->cursor;
	for (int i = 0; i <= gather->n_passed; i++)
		events->values[i] = datumRestore(&at, &isnull[i]);
	in->cursor = (int) (at - in->data);
	if (n > 0)
	{
		idla_events_reserve(gather, events, n);
		memcpy(events->events, pq_getmsgbytes(in, (int) (n * sizeof(IdlaEvent))), n * sizeof(IdlaEvent));
		events->n = n;
	}
	return events;
}

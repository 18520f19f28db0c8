/*
 * place.c: a row's place in [0, 1), told by a hash of what a model reads of it.
 *
 * Trials and the log take a share of the rows: those whose place is below it. So a row is taken or not in every query, in batches or one by
 * one, and a larger share keeps the rows of a smaller one.
 */
#include "place.h"

#include <math.h>

#include "common/hashfn.h"

struct IdlaPlaces
{
	int			n;				/* channels that the model reads; what else is in a raw row is nothing */
	int		   *channels;
	float	   *values;			/* (n) of the row at hand */
};

IdlaPlaces *
idla_places_create(const IdlaColumns *columns, MemoryContext context)
{
	IdlaPlaces *places = MemoryContextAllocZero(context, sizeof(IdlaPlaces));

	places->channels = MemoryContextAlloc(context, sizeof(int) * (Size) Max(columns->n_channels, 1));
	places->values = MemoryContextAlloc(context, sizeof(float) * (Size) Max(columns->n_channels, 1));
	for (int i = 0; i < columns->n; i++)
		for (int j = 0; j < columns->columns[i].n_channels && idla_column_used(columns, i); j++)
			places->channels[places->n++] = columns->columns[i].first_channel + j;
	return places;
}

double
idla_place_of(IdlaPlaces *places, const LearnModel *learn, const float *raw, const LearnBytes *fields, uint64 seed)
{
	uint64		hash;

	for (int i = 0; i < places->n; i++)
	{
		float		value = raw[places->channels[i]];

		/* One missing is like another, and 0 like -0. */
		places->values[i] = isnan(value) ? NAN : value + 0.0f;
	}
	hash = hash_bytes_extended((const unsigned char *) places->values, (int) (sizeof(float) * (Size) places->n), seed);
	for (int i = 0; i < learn->n_fields; i++)
		if (fields[i].bytes != NULL)
			hash = hash_combine64(hash, hash_bytes_extended(fields[i].bytes, (int) Min(fields[i].size, (size_t) PG_INT32_MAX), 0));
	return (double) (hash >> 11) / (double) (UINT64CONST(1) << 53);
}

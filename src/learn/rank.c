/*
 * rank.c: a stable radix sort of row numbers by a double.
 *
 * Eight passes of one byte over a 64-bit image of the key that sorts as an
 * unsigned number. A byte that all keys share (most of the exponent, usually)
 * costs nothing but its histogram.
 */
#include "rank.h"

#include <math.h>
#include <string.h>

#define DIGITS 8
#define VALUES 256

typedef struct RankItem
{
	uint64_t	key;
	uint32_t	row;
} RankItem;

/* The bits of a double, rearranged so that unsigned order is numeric order. */
static uint64_t
sortable_bits(double value)
{
	uint64_t	bits;

	if (isnan(value))
		return UINT64_MAX;
	if (value == 0)
		value = 0;				/* the two zeros are one score */
	memcpy(&bits, &value, sizeof(bits));
	return (bits >> 63) != 0 ? ~bits : bits | ((uint64_t) 1 << 63);
}

static DevStatus
fill_items(DevSession *session, size_t n, const double *key, RankItem *items, size_t counts[DIGITS][VALUES])
{
	memset(counts, 0, sizeof(size_t) * DIGITS * VALUES);
	for (size_t row = 0; row < n; row++)
	{
		uint64_t	bits = sortable_bits(key[row]);

		if (row % LEARN_POLL_ROWS == 0 && dev_poll(session) != DEV_OK)
			return DEV_CANCELLED;
		items[row].key = bits;
		items[row].row = (uint32_t) row;
		for (int digit = 0; digit < DIGITS; digit++)
			counts[digit][(bits >> (8 * digit)) & (VALUES - 1)]++;
	}
	return DEV_OK;
}

/* Moves items to where their digit puts them; next[v] is the place of the next item of value v. */
static DevStatus
scatter_items(DevSession *session, size_t n, int digit, const RankItem *src, RankItem *dst, size_t next[VALUES])
{
	for (size_t i = 0; i < n; i++)
	{
		if (i % LEARN_POLL_ROWS == 0 && dev_poll(session) != DEV_OK)
			return DEV_CANCELLED;
		dst[next[(src[i].key >> (8 * digit)) & (VALUES - 1)]++] = src[i];
	}
	return DEV_OK;
}

static DevStatus
sort_items(DevSession *session, size_t n, RankItem **items, RankItem **spare, size_t counts[DIGITS][VALUES])
{
	for (int digit = 0; digit < DIGITS; digit++)
	{
		size_t		next[VALUES];
		size_t		place = 0;
		bool		shared = false;
		RankItem   *swap;

		for (int value = 0; value < VALUES; value++)
		{
			shared = shared || counts[digit][value] == n;
			next[value] = place;
			place += counts[digit][value];
		}
		if (shared)
			continue;
		if (scatter_items(session, n, digit, *items, *spare, next) != DEV_OK)
			return DEV_CANCELLED;
		swap = *items;
		*items = *spare;
		*spare = swap;
	}
	return DEV_OK;
}

DevStatus
learn_order(DevSession *session, size_t n, const double *key, uint32_t **order)
{
	size_t		counts[DIGITS][VALUES];
	RankItem   *items;
	RankItem   *spare;
	DevStatus	status = DEV_NO_MEMORY;

	*order = NULL;
	if (n > UINT32_MAX)
		return dev_fail(session, DEV_INVALID, "cannot sort %zu rows, at most %lu", n, (unsigned long) UINT32_MAX);
	items = dev_alloc(session, n + 1, sizeof(RankItem));
	spare = dev_alloc(session, n + 1, sizeof(RankItem));
	if (items != NULL && spare != NULL)
	{
		status = fill_items(session, n, key, items, counts);
		if (status == DEV_OK)
			status = sort_items(session, n, &items, &spare, counts);
	}
	dev_release(session, spare);
	if (status == DEV_OK)
	{
		*order = dev_alloc(session, n + 1, sizeof(uint32_t));
		if (*order == NULL)
			status = DEV_NO_MEMORY;
		else
			for (size_t i = 0; i < n; i++)
				(*order)[i] = items[i].row;
	}
	dev_release(session, items);
	return status;
}

/*
 * rank.h: rows in the order of a key, for whatever counts over sorted scores.
 *
 * A radix sort over the bits of a double: linear, stable, and interruptible,
 * which qsort is not (it may also take memory behind the session's back).
 */
#ifndef IDLA_LEARN_RANK_H
#define IDLA_LEARN_RANK_H

#include "idla/session.h"

/* Rows between two polls of a plain loop: about a millisecond of work. */
#define LEARN_POLL_ROWS ((size_t) 1 << 18)

/*
 * *order (n), to be released by the caller: row numbers by ascending key, equal keys in row order. -0 equals 0,
 * NaN comes last. DEV_INVALID for n above 2^32 - 1.
 */
extern DevStatus learn_order(DevSession *session, size_t n, const double *key, uint32_t **order);

/* One past the last place of `order` whose key equals that at place `first`. */
static inline size_t
learn_tie_end(size_t n, const double *key, const uint32_t *order, size_t first)
{
	size_t		end = first + 1;

	while (end < n && key[order[end]] == key[order[first]])
		end++;
	return end;
}

/* Polls when a loop has passed another LEARN_POLL_ROWS since *last. */
static inline DevStatus
learn_poll_at(DevSession *session, size_t place, size_t *last)
{
	if (place - *last < LEARN_POLL_ROWS)
		return DEV_OK;
	*last = place;
	return dev_poll(session);
}

#endif							/* IDLA_LEARN_RANK_H */

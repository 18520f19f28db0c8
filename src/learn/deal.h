/*
 * deal.h: rows dealt to parts or folds; private to src/learn.
 *
 * split.c says what is wanted and judges the result, deal.c deals.
 */
#ifndef IDLA_LEARN_DEAL_H
#define IDLA_LEARN_DEAL_H

#include "dataset.h"

#define MOST_FOLDS 254
#define DEAL_POLL_STEPS 16384

/* What is dealt: rows[first[u]] .. rows[first[u + 1] - 1] belong to unit u. */
typedef struct Units
{
	size_t		n;
	size_t	   *first;			/* (n + 1) */
	uint32_t   *rows;
	size_t		n_rows;
} Units;

/* Parts to deal to; number p is written as label[p]. */
typedef struct Deal
{
	LearnDataset *dataset;
	LearnTask	task;
	size_t		n_strata;
	size_t	   *stratum_rows;	/* (n_strata) rows of each in the rows dealt; set while they are dealt */
	uint64_t	seed;
	uint64_t	stream;
	int			n_parts;
	double		share[MOST_FOLDS];
	uint8_t		label[MOST_FOLDS];
	uint8_t    *parts;			/* (rows of the data set) the result */
} Deal;

/* Deals rows (n) by the means that split names; folds: all parts have equal shares. */
extern DevStatus learn_deal_rows(Deal *deal, const LearnSplit *split, const uint32_t *rows, size_t n, bool folds);
/* Rows as units of their own, or gathered by group in order of the groups' first rows. */
extern DevStatus learn_units_create(LearnDataset *dataset, const uint32_t *rows, size_t n, bool by_group, Units *units);
extern void learn_units_free(DevSession *session, Units *units);
/* (n_strata) rows of each stratum among `rows`, to be released; NULL after an error. */
extern size_t *learn_count_strata(const Deal *deal, const uint32_t *rows, size_t n);

static inline DevStatus
deal_poll(LearnDataset *dataset, size_t step)
{
	return step % DEAL_POLL_STEPS == 0 ? dev_poll(dataset->session) : DEV_OK;
}

#endif							/* IDLA_LEARN_DEAL_H */

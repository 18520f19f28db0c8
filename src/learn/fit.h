/*
 * fit.h: what the steps of fitting share; private to src/learn.
 *
 * fit.c walks over the channels, fit_number.c and fit_category.c learn one, bins.c finds the edges that
 * piecewise-linear embeddings need.
 */
#ifndef IDLA_LEARN_FIT_H
#define IDLA_LEARN_FIT_H

#include "dataset.h"

enum
{
	ROW_TRAIN = 1,
	ROW_SAMPLE = 2
};

typedef struct Fitter
{
	LearnDataset *dataset;
	const LearnFit *fit;
	uint8_t    *rows;			/* (rows) flags above */
	size_t		n_train;
	size_t		n_sample;
	float	   *buffer;			/* (chunk_rows) a column of a chunk in the file */
	float	   *piece;			/* (chunk_rows) training values of a chunk */
	float	   *values;			/* (n_sample + 1) sampled values of a column */
	float	   *scratch;		/* the same size */
	uint32_t   *counts;			/* workspace of learn_quantiles */
	size_t		n_values;		/* sampled values that are not missing */
} Fitter;

/* Flags the training rows in rows (rows of the data set), and an even sample of at most `most` of them. */
extern DevStatus learn_flag_rows(LearnDataset *dataset, uint8_t *rows, size_t most, size_t *n_train, size_t *n_sample);
extern DevStatus learn_fit_number(Fitter *fitter, int number);
extern DevStatus learn_fit_category(Fitter *fitter, int number);

#define IDENTIFIER_ROWS 50		/* fewer different integers or texts may well be measured */
#define NAMED_IDENTIFIER_ROWS 10	/* when the name says so, fewer are enough */
#define MOSTLY_DISTINCT 0.5		/* and so is a smaller share of different values */

/* Those of n values that are there and whose row has the flag, one after the other. dst has room for one more. */
static inline size_t
pick_values(const float *column, const uint8_t *rows, size_t n, uint8_t flag, float *dst)
{
	size_t		picked = 0;

	for (size_t i = 0; i < n; i++)
	{
		dst[picked] = column[i];
		picked += (size_t) ((rows[i] & flag) != 0) & (size_t) !isnan(column[i]);
	}
	return picked;
}

#endif							/* IDLA_LEARN_FIT_H */

/*
 * bins.c: quantiles of the encoded numbers, for piecewise-linear embeddings.
 *
 * They come from an even sample of the training rows: a bin's edge need not be exact, but the same for the same rows.
 */
#include "fit.h"

#define BIN_SAMPLE_ROWS ((size_t) 1 << 17)
#define BIN_COLUMNS ((size_t) 16)	/* gathered at a time */
#define MOST_BINS 65536

/* Encoded numbers first .. first + n_columns - 1 of the listed rows, column-wise into columns (n_columns, n). */
static DevStatus
gather_columns(LearnDataset *dataset, const uint32_t *rows, size_t n, size_t first, size_t n_columns,
			   float *numbers, float *columns)
{
	const size_t step = DATASET_TILE;

	for (size_t row = 0; row < n; row += step)
	{
		size_t		n_rows = n - row < step ? n - row : step;
		DevStatus	status = learn_dataset_gather(dataset, rows + row, n_rows, numbers, NULL, NULL);

		if (status != DEV_OK)
			return status;
		for (size_t column = 0; column < n_columns; column++)
			for (size_t i = 0; i < n_rows; i++)
				columns[column * n + row + i] = numbers[i * dataset->n_numbers + first + column];
	}
	return DEV_OK;
}

static DevStatus
find_edges(LearnDataset *dataset, const uint32_t *rows, size_t n, int bins, float *workspace, float *edges)
{
	size_t		n_edges = (size_t) bins + 1;
	float	   *columns = workspace;
	float	   *scratch = columns + BIN_COLUMNS * n;
	float	   *numbers = scratch + n;
	double	   *probabilities = dev_alloc(dataset->session, n_edges, sizeof(double));
	double	   *quantiles = dev_alloc(dataset->session, n_edges, sizeof(double));
	uint32_t   *counts = dev_alloc(dataset->session, LEARN_QUANTILE_COUNTS, sizeof(uint32_t));
	DevStatus	status = probabilities == NULL || quantiles == NULL || counts == NULL ? DEV_NO_MEMORY : DEV_OK;

	for (size_t i = 0; i < n_edges && status == DEV_OK; i++)
		probabilities[i] = (double) i / bins;
	for (size_t first = 0; first < dataset->n_numbers && status == DEV_OK; first += BIN_COLUMNS)
	{
		size_t		n_columns = dataset->n_numbers - first < BIN_COLUMNS ? dataset->n_numbers - first : BIN_COLUMNS;

		status = gather_columns(dataset, rows, n, first, n_columns, numbers, columns);
		for (size_t column = 0; column < n_columns && status == DEV_OK; column++)
		{
			status = learn_quantiles(dataset->session, columns + column * n, scratch, n, counts, probabilities, n_edges, quantiles);
			for (size_t i = 0; i < n_edges && status == DEV_OK; i++)
				edges[(first + column) * n_edges + i] = (float) quantiles[i];
		}
	}
	dev_release(dataset->session, probabilities);
	dev_release(dataset->session, quantiles);
	dev_release(dataset->session, counts);
	return status;
}

DevStatus
learn_bin_edges(LearnDataset *dataset, int bins, float *edges)
{
	DevSession *session = dataset->session;
	uint8_t    *flags;
	uint32_t   *rows;
	float	   *workspace = NULL;
	size_t		n_train;
	size_t		n = 0;
	DevStatus	status = DEV_NO_MEMORY;

	if (dataset->stage != STAGE_ENCODED)
		return dev_fail(session, DEV_INVALID, "bins are found in an encoded data set only");
	if (bins < 1 || bins > MOST_BINS)
		return dev_fail(session, DEV_INVALID, "bins must be between 1 and %d, not %d", MOST_BINS, bins);
	if (dataset->n_numbers == 0)
		return DEV_OK;
	flags = dev_alloc(session, dataset->n_rows, 1);
	if (flags != NULL)
		status = learn_flag_rows(dataset, flags, BIN_SAMPLE_ROWS, &n_train, &n);
	rows = dev_alloc(session, n + 1, sizeof(uint32_t));
	workspace = dev_alloc(session, (BIN_COLUMNS + 1) * n + DATASET_TILE * dataset->n_numbers, sizeof(float));
	if (status == DEV_OK && (rows == NULL || workspace == NULL))
		status = DEV_NO_MEMORY;
	if (status == DEV_OK)
	{
		size_t		listed = 0;

		for (size_t row = 0; row < dataset->n_rows; row++)
			if ((flags[row] & ROW_SAMPLE) != 0)
				rows[listed++] = (uint32_t) row;
		status = find_edges(dataset, rows, n, bins, workspace, edges);
	}
	dev_release(session, workspace);
	dev_release(session, rows);
	dev_release(session, flags);
	return status;
}

/*
 * importance.c: how much worse a model gets when a column's values are shuffled among the rows (Breiman 2001).
 *
 * Rows are predicted a block at a time with one column's channels taken from
 * other rows, so that no second copy of the data is needed.
 */
#include "predict.h"

#include <math.h>
#include <string.h>

#define BLOCK 256				/* rows */

typedef struct Shuffling
{
	LearnPredictor *predictor;
	size_t		n;
	const float *raw;			/* (n, n_channels) */
	const LearnBytes *fields;	/* (n, n_fields) */
	LearnMetric metric;
	void	   *context;
	uint32_t   *rows;			/* (n) where each row's column comes from */
	float	   *block;			/* (BLOCK, n_channels) */
	LearnBytes *field_block;	/* (BLOCK, n_fields) */
	double	   *scores;			/* (n, n_outputs) */
} Shuffling;

static bool
is_used(const LearnChannel *channel)
{
	return channel->number_input >= 0 || channel->indicator_input >= 0 || channel->code_input >= 0;
}

static bool
column_is_used(const LearnModel *model, int column)
{
	for (int i = 0; i < model->n_channels; i++)
		if (model->channels[i].column == column && is_used(&model->channels[i]))
			return true;
	for (int i = 0; i < model->n_fields; i++)
		if (model->fields[i].column == column)
			return true;
	return false;
}

/* A permutation of the rows; number tells the draws apart. */
static DevStatus
draw_rows(Shuffling *shuffling, uint64_t seed, uint64_t number)
{
	size_t		n = shuffling->n;
	uint32_t   *rows = shuffling->rows;

	for (size_t i = 0; i < n; i++)
		rows[i] = (uint32_t) i;
	for (size_t i = n - 1; i > 0; i--)
	{
		size_t		j = (size_t) dev_random_below(seed, DEV_STREAM_PERMUTE, number * n + i, i + 1);
		uint32_t	swap = rows[i];

		rows[i] = rows[j];
		rows[j] = swap;
		if (i % 65536 == 0 && dev_poll(shuffling->predictor->session) != DEV_OK)
			return DEV_CANCELLED;
	}
	return DEV_OK;
}

/* Scores of all rows, column's values taken from the drawn rows. */
static DevStatus
score_shuffled(Shuffling *shuffling, int column)
{
	const LearnModel *model = shuffling->predictor->model;
	size_t		n_channels = (size_t) model->n_channels;
	size_t		n_fields = (size_t) model->n_fields;
	DevStatus	status = DEV_OK;

	for (size_t first = 0; first < shuffling->n && status == DEV_OK; first += BLOCK)
	{
		size_t		count = shuffling->n - first < BLOCK ? shuffling->n - first : BLOCK;

		memcpy(shuffling->block, shuffling->raw + first * n_channels, count * n_channels * sizeof(float));
		for (size_t c = 0; c < n_channels; c++)
			if (model->channels[c].column == column)
				for (size_t i = 0; i < count; i++)
					shuffling->block[i * n_channels + c] =
						shuffling->raw[shuffling->rows[first + i] * n_channels + c];
		for (size_t f = 0; f < n_fields; f++)
			for (size_t i = 0; i < count; i++)
			{
				size_t		from = model->fields[f].column == column ? shuffling->rows[first + i] : first + i;

				shuffling->field_block[i * n_fields + f] = shuffling->fields[from * n_fields + f];
			}
		status = learn_predict_scores(shuffling->predictor, count, shuffling->block, shuffling->field_block,
									  shuffling->scores + first * shuffling->predictor->n_outputs);
		if (status == DEV_OK)
			status = dev_poll(shuffling->predictor->session);
	}
	return status;
}

/* Mean and standard deviation (of a sample) of the loss over the repeats. */
static DevStatus
judge_column(Shuffling *shuffling, int column, int repeats, uint64_t seed, double whole, double *mean,
			 double *deviation)
{
	double		sum = 0;
	double		squares = 0;

	for (int repeat = 0; repeat < repeats; repeat++)
	{
		double		value;
		double		off;
		DevStatus	status = draw_rows(shuffling, seed, (uint64_t) column * (uint64_t) repeats + (uint64_t) repeat);

		if (status == DEV_OK)
			status = score_shuffled(shuffling, column);
		if (status == DEV_OK)
			status = shuffling->metric(shuffling->context, shuffling->n, shuffling->scores, &value);
		if (status != DEV_OK)
			return status;
		off = whole - value - sum;
		sum += off / (repeat + 1);
		squares += off * (whole - value - sum);
	}
	*mean = sum;
	*deviation = repeats > 1 ? sqrt(squares / (repeats - 1)) : 0;
	return DEV_OK;
}

static DevStatus
judge_columns(Shuffling *shuffling, int repeats, uint64_t seed, double *importance, double *deviation)
{
	const LearnModel *model = shuffling->predictor->model;
	double		whole;
	DevStatus	status = learn_predict_scores(shuffling->predictor, shuffling->n, shuffling->raw, shuffling->fields,
										   shuffling->scores);

	if (status == DEV_OK)
		status = shuffling->metric(shuffling->context, shuffling->n, shuffling->scores, &whole);
	for (int column = 0; column < model->n_columns && status == DEV_OK; column++)
	{
		importance[column] = deviation[column] = 0;
		if (column_is_used(model, column))
			status = judge_column(shuffling, column, repeats, seed, whole, &importance[column], &deviation[column]);
	}
	return status;
}

DevStatus
learn_importance(LearnPredictor *predictor, size_t n, const float *raw, const LearnBytes *fields, int repeats,
				 uint64_t seed, LearnMetric metric, void *context, double *importance, double *deviation)
{
	DevSession *session = predictor->session;
	Shuffling	shuffling = {.predictor = predictor, .n = n, .raw = raw, .fields = fields, .metric = metric, .context = context};
	DevStatus	status = DEV_NO_MEMORY;

	if (n == 0 || n > UINT32_MAX)
		return dev_fail(session, DEV_BAD_DATA, "cannot shuffle %zu rows", n);
	if (repeats < 1)
		return dev_fail(session, DEV_INVALID, "number of repeats \"%d\" is not positive", repeats);
	shuffling.rows = dev_alloc(session, n, sizeof(uint32_t));
	shuffling.block = dev_alloc(session, BLOCK * (size_t) predictor->model->n_channels + 1, sizeof(float));
	shuffling.field_block = dev_alloc(session, BLOCK * (size_t) predictor->model->n_fields + 1, sizeof(LearnBytes));
	shuffling.scores = dev_alloc(session, n * predictor->n_outputs, sizeof(double));
	if (shuffling.rows != NULL && shuffling.block != NULL && shuffling.field_block != NULL && shuffling.scores != NULL)
		status = judge_columns(&shuffling, repeats, seed, importance, deviation);
	dev_release(session, shuffling.scores);
	dev_release(session, shuffling.block);
	dev_release(session, shuffling.field_block);
	dev_release(session, shuffling.rows);
	return status;
}

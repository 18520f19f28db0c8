/*
 * field_batch.c: host buffers between stored values and the inputs of a run, one set for each thread.
 */
#include "field_batch.h"

#include <string.h>

DevStatus
learn_field_batch_create(DevSession *session, const LearnField *fields, int n_fields, size_t max_rows,
						 LearnFieldBatch *batch)
{
	size_t		n = (size_t) n_fields;
	size_t		scratch = 0;

	memset(batch, 0, sizeof(*batch));
	if (n_fields == 0)
		return DEV_OK;
	batch->n_fields = n_fields;
	batch->fields = fields;
	batch->max_rows = max_rows;
	batch->sizes = dev_alloc(session, n, sizeof(*batch->sizes));
	batch->codes = dev_alloc(session, n, sizeof(*batch->codes));
	batch->planes = dev_alloc(session, n, sizeof(*batch->planes));
	batch->lengths = dev_alloc(session, n, sizeof(*batch->lengths));
	if (batch->sizes == NULL || batch->codes == NULL || batch->planes == NULL || batch->lengths == NULL)
		return DEV_NO_MEMORY;
	for (size_t i = 0; i < n; i++)
		scratch = learn_field_scratch(&fields[i]) > scratch ? learn_field_scratch(&fields[i]) : scratch;
	batch->scratch = dev_alloc(session, scratch + 1, sizeof(float));
	if (batch->scratch == NULL)
		return DEV_NO_MEMORY;
	for (size_t i = 0; i < n; i++)
	{
		LearnPlane	planes[LEARN_MAX_PLANES];
		int			n_planes = learn_field_planes(&fields[i], planes);

		batch->lengths[i] = dev_alloc(session, max_rows, sizeof(int32_t));
		if (batch->lengths[i] == NULL)
			return DEV_NO_MEMORY;
		for (int p = 0; p < n_planes; p++)
		{
			batch->sizes[i][p] = nn_shape_size(&planes[p].shape);
			batch->codes[i][p] = planes[p].codes;
			/* floats and codes are of one size */
			batch->planes[i][p] = dev_alloc(session, max_rows, batch->sizes[i][p] * sizeof(float));
			if (batch->planes[i][p] == NULL)
				return DEV_NO_MEMORY;
		}
	}
	return DEV_OK;
}

void
learn_field_batch_free(DevSession *session, LearnFieldBatch *batch)
{
	for (int i = 0; i < batch->n_fields; i++)
	{
		for (int p = 0; batch->planes != NULL && p < LEARN_MAX_PLANES; p++)
			dev_release(session, batch->planes[i][p]);
		if (batch->lengths != NULL)
			dev_release(session, batch->lengths[i]);
	}
	dev_release(session, batch->scratch);
	dev_release(session, batch->sizes);
	dev_release(session, batch->codes);
	dev_release(session, batch->planes);
	dev_release(session, batch->lengths);
	memset(batch, 0, sizeof(*batch));
}

void
learn_field_batch_stretch(LearnFieldBatch *batch, const LearnField *fields)
{
	batch->fields = fields;
	for (int i = 0; i < batch->n_fields; i++)
	{
		LearnPlane	planes[LEARN_MAX_PLANES];
		int			n_planes = learn_field_planes(&fields[i], planes);

		for (int p = 0; p < n_planes; p++)
			batch->sizes[i][p] = nn_shape_size(&planes[p].shape);
	}
}

void
learn_field_batch_drop(LearnFieldBatch *batch, size_t rows, double rate, uint64_t seed, uint64_t counter)
{
	for (int i = 0; i < batch->n_fields; i++)
	{
		const LearnField *field = &batch->fields[i];
		int32_t		unknown = LEARN_UNKNOWN;

		if (field->kind != LEARN_TEXT)
			continue;
		if (!field->tagged)
			unknown = learn_vocabulary_special(field->vocabulary, LEARN_UNK);
		for (size_t row = 0; row < rows; row++)
			learn_text_mask((size_t) batch->lengths[i][row], (int32_t *) batch->planes[i][0] + row * batch->sizes[i][0], NULL,
							unknown, rate, seed, DEV_STREAM_WORDS + ((uint64_t) i << 32), counter + ((uint64_t) row << 16));
	}
}

void
learn_field_batch_planes(const LearnFieldBatch *batch, int field, size_t row, void *planes[LEARN_MAX_PLANES])
{
	for (int p = 0; p < LEARN_MAX_PLANES; p++)
		planes[p] = batch->planes[field][p] == NULL ? NULL :
			(float *) batch->planes[field][p] + row * batch->sizes[field][p];
}

void
learn_field_batch_load(LearnFieldBatch *batch, int field, size_t row, LearnBytes stored)
{
	void	   *planes[LEARN_MAX_PLANES];

	learn_field_batch_planes(batch, field, row, planes);
	learn_field_load(&batch->fields[field], stored, batch->scratch, planes, &batch->lengths[field][row]);
}

void
learn_field_batch_repeat(LearnFieldBatch *batch, size_t rows)
{
	for (int i = 0; i < batch->n_fields; i++)
		for (size_t row = 1; row < rows; row++)
		{
			batch->lengths[i][row] = batch->lengths[i][0];
			for (int p = 0; p < LEARN_MAX_PLANES && batch->planes[i][p] != NULL; p++)
				memcpy((float *) batch->planes[i][p] + row * batch->sizes[i][p], batch->planes[i][p],
					   batch->sizes[i][p] * sizeof(float));
		}
}

void
learn_field_batch_set(const LearnFieldBatch *batch, const LearnGraph *built, NnRun *run, size_t rows)
{
	for (int i = 0; i < batch->n_fields; i++)
	{
		for (int p = 0; p < LEARN_MAX_PLANES && batch->planes[i][p] != NULL; p++)
		{
			if (built->planes[i][p] == NN_NONE)
				continue;
			if (batch->codes[i][p])
				nn_run_set_codes(run, built->planes[i][p], rows, batch->planes[i][p]);
			else
				nn_run_set(run, built->planes[i][p], rows, batch->planes[i][p]);
		}
		if (built->lengths[i] != NN_NONE)
			nn_run_set_codes(run, built->lengths[i], rows, batch->lengths[i]);
	}
}

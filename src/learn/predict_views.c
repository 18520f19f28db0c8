/*
 * predict_views.c: the same rows seen in several ways, for answers that are means over them.
 *
 * A view changes the inputs between encoding and the network, as augmentation did in training. What it does
 * depends on its number and the row alone. Fields are loaded anew for each view; the few numbers and codes of a
 * row are kept aside.
 */
#include "predict.h"

#include <string.h>

struct LearnViews
{
	bool		tables;			/* ordinary columns are changed */
	LearnTableLayout layout;
	float	   *numbers;		/* (max_batch, n_numbers) as they are */
	int32_t    *codes;			/* (max_batch, n_codes) */
	float	   *scratch;
};

static DevStatus
keep_tables(LearnPredictor *predictor, LearnViews *views)
{
	const LearnModel *model = predictor->model;

	views->numbers = dev_alloc(predictor->session, predictor->max_batch * model->n_numbers + 1, sizeof(float));
	views->codes = dev_alloc(predictor->session, predictor->max_batch * model->n_codes + 1, sizeof(int32_t));
	if (views->numbers == NULL || views->codes == NULL)
		return DEV_NO_MEMORY;
	return learn_table_layout(predictor->session, model->channels, model->n_channels, model->n_numbers, model->n_codes, &views->layout);
}

DevStatus
learn_views_create(LearnPredictor *predictor)
{
	const LearnModel *model = predictor->model;
	LearnViews *views;
	size_t		scratch = 0;

	if (model->n_views < 2 || model->augment == NULL || !learn_augment_has_views(model->augment))
		return DEV_OK;
	views = dev_alloc(predictor->session, 1, sizeof(LearnViews));
	if (views == NULL)
		return DEV_NO_MEMORY;
	for (int field = 0; field < model->n_fields; field++)
	{
		size_t		wanted = learn_augment_field_scratch(&model->fields[field]);

		scratch = wanted > scratch ? wanted : scratch;
	}
	views->scratch = dev_alloc(predictor->session, scratch + 1, sizeof(float));
	if (views->scratch == NULL)
		return DEV_NO_MEMORY;
	views->tables = learn_augment_any(model->augment, LEARN_AUGMENT_TABLE);
	predictor->views = views;
	return views->tables ? keep_tables(predictor, views) : DEV_OK;
}

int
learn_views_count(const LearnPredictor *predictor)
{
	return predictor->views == NULL ? 1 : predictor->model->n_views;
}

static void
change_columns(LearnPredictor *predictor, size_t n, int view)
{
	const LearnModel *model = predictor->model;
	LearnViews *views = predictor->views;

	if (view == 0)
	{
		memcpy(views->numbers, predictor->numbers, n * model->n_numbers * sizeof(float));
		memcpy(views->codes, predictor->codes, n * model->n_codes * sizeof(int32_t));
		return;
	}
	memcpy(predictor->numbers, views->numbers, n * model->n_numbers * sizeof(float));
	memcpy(predictor->codes, views->codes, n * model->n_codes * sizeof(int32_t));
	for (size_t row = 0; row < n; row++)
		learn_augment_row_view(model->augment, &views->layout, view, predictor->numbers + row * model->n_numbers,
							   predictor->codes + row * model->n_codes);
}

static DevStatus
change_value(LearnPredictor *predictor, const LearnRows *rows, size_t first, size_t row, int number, int view)
{
	const LearnField *field = &predictor->model->fields[number];
	void	   *planes[LEARN_MAX_PLANES];
	int32_t    *length = &predictor->fields.lengths[number][row];
	LearnBytes	value;
	DevStatus	status = learn_rows_shown(predictor, rows, first, row, number, &value);

	if (status != DEV_OK)
		return status;
	learn_field_batch_load(&predictor->fields, number, row, value);
	learn_field_batch_planes(&predictor->fields, number, row, planes);
	learn_augment_view(predictor->model->augment, field, value,
					   learn_stretch_room(&predictor->reader->stretches, field, (size_t) *length), view, planes, length,
					   predictor->views->scratch);
	return DEV_OK;
}

DevStatus
learn_views_take(LearnPredictor *predictor, const LearnRows *rows, size_t first, size_t n, int view)
{
	const LearnModel *model = predictor->model;
	DevStatus	status = DEV_OK;

	if (predictor->views->tables)
		change_columns(predictor, n, view);
	for (int field = 0; field < model->n_fields && view > 0; field++)
	{
		LearnAugmentKind kind = learn_augment_kind(&model->fields[field]);

		if (kind == LEARN_N_AUGMENT_KINDS || !learn_augment_any(model->augment, kind))
			continue;
		for (size_t row = 0; row < n && status == DEV_OK; row++)
			status = change_value(predictor, rows, first, row, field, view);
	}
	return status;
}

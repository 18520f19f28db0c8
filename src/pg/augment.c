/*
 * augment.c: idla_augment_preview, augmentation made visible.
 *
 * A source is read as training reads it, statistics and vocabularies are fitted to what was read, and the first rows are changed by
 * the very functions that change them in training. What is shown is what the network sees, in words that people read: images as
 * PNG, signals and series as arrays in the unit they came in, texts as their tokens spell them, columns as values.
 */
#include "augment.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#define MOST_VARIANTS 1000
#define MOST_READ 10000			/* rows that statistics and vocabularies are of */
#define FARTHEST 2.999f			/* of softly scaled numbers: what noise brings beyond 3 has no value */

PG_FUNCTION_INFO_V1(idla_augment_preview);

/* ---- the rows ---- */

static void
read_source(Preview *preview, const char *source, const char *target, int task)
{
	IdlaReading *reading = &preview->reading;

	/* What is a text and what is a token is known by the tags. */
	if (target == NULL && task == LEARN_TAGGING)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("task \"tagging\" needs a target, the column of the tags"),
				 errhint("Name it: idla_augment_preview(source, options, target => 'column').")));
	preview->options->no_target = true;
	reading->source = source;
	reading->options = preview->options;
	reading->work = preview->work;
	reading->threads = 1;
	reading->most = MOST_READ;
	idla_reading_run(reading, target, task);
	if (reading->dataset == NULL)
		return;
	preview->n_rows = Min(learn_dataset_rows(reading->dataset), PREVIEW_ROWS);
	/* A task without targets has none to check. */
	preview->model.task = LEARN_TAGGING;
	if (reading->target.n > 0)
		idla_target_close(&reading->target, reading, &preview->model);
}

/* Statistics are of all rows that were read. */
static void
fit(Preview *preview)
{
	IdlaReading *reading = &preview->reading;
	LearnModel *model = &preview->model;
	LearnNotes	notes = {0};

	model->channels = reading->columns.channels;
	model->n_channels = reading->columns.n_channels;
	model->fields = reading->columns.fields;
	model->n_fields = reading->columns.n_fields;
	memset(learn_dataset_parts(reading->dataset), LEARN_TRAIN, learn_dataset_rows(reading->dataset));
	preview->options->fit.task = model->task;
	preview->options->fit.warn_leakage = false;
	idla_check(preview->work, learn_fit(reading->dataset, &preview->options->fit, &notes, &model->n_numbers, &model->n_codes));
	idla_report_notes(&notes);
	idla_check(preview->work, learn_dataset_encode(reading->dataset));
}

/* What the options ask of these inputs, refused where training would refuse it. */
static void
settle(Preview *preview)
{
	LearnTraining *training = &preview->options->training;
	LearnModel *model = &preview->model;

	/* What a task rules out is not known without a target. */
	if (preview->reading.target.n == 0)
		model->task = LEARN_REGRESSION;
	idla_augment_settle(preview->options, model);
	/* Nothing said: what training would do by itself. */
	if (training->augmented < 0)
	{
		LearnNetwork network = {.n_fields = model->n_fields, .fields = model->fields};

		learn_training_resolve(&network, learn_dataset_rows(preview->reading.dataset), training);
	}
	if (preview->reading.target.n == 0 && learn_augment_value(&training->augment, LEARN_AUGMENT_TABLE, "mixup") > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("rows of a table are mixed within their class, and no target is named"),
				 errhint("Name its column: idla_augment_preview(source, options, target => 'column').")));
	idla_check(preview->work, learn_augment_check_model(preview->work->session, &training->augment, model));
}

/* ---- the answer ---- */

void
idla_preview_put(const Preview *preview, int row, int variant, const char *column, Datum image, Datum array, const char *text)
{
	ReturnSetInfo *result = (ReturnSetInfo *) preview->fcinfo->resultinfo;
	Datum		values[6] = {Int64GetDatum(row + 1), Int32GetDatum(variant), CStringGetTextDatum(column), image, array, 0};
	bool		nulls[6] = {false, false, false, image == 0, array == 0, text == NULL};

	if (text != NULL)
		values[5] = CStringGetTextDatum(text);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
idla_preview_array(const float *values, size_t length, size_t depth, bool flat)
{
	size_t		n = length * depth;
	Datum	   *datums = palloc_extended(sizeof(Datum) * Max(n, 1), MCXT_ALLOC_HUGE);
	bool	   *nulls = palloc_extended(sizeof(bool) * Max(n, 1), MCXT_ALLOC_HUGE);
	int			dims[2] = {(int) length, (int) depth};
	int			bounds[2] = {1, 1};

	for (size_t i = 0; i < n; i++)
	{
		datums[i] = Float4GetDatum(values[i]);
		nulls[i] = isnan(values[i]);
	}
	return PointerGetDatum(construct_md_array(datums, nulls, flat ? 1 : 2, dims, bounds, FLOAT4OID, sizeof(float4), true, TYPALIGN_INT));
}

/* ---- ordinary columns ---- */

/* The encoded rows that are shown. */
typedef struct Rows
{
	float	   *numbers;		/* (n_rows, n_numbers) */
	int32_t    *codes;			/* (n_rows, n_codes) */
} Rows;

static Rows
make_rows(const Preview *preview)
{
	const LearnModel *model = &preview->model;
	size_t		n = (size_t) preview->n_rows;
	Rows		rows = {
		idla_keep(preview->work, n * model->n_numbers + 1, sizeof(float)),
		idla_keep(preview->work, n * model->n_codes + 1, sizeof(int32_t))
	};

	return rows;
}

/* Whether a channel looks like one that the patient did not have. */
static bool
is_missing(const LearnTableLayout *layout, const LearnChannel *channel, const float *numbers, const int32_t *codes)
{
	if (channel->code_input != NN_NONE && codes[channel->code_input] != layout->missing_codes[channel->code_input])
		return false;
	if (channel->indicator_input != NN_NONE)
		return numbers[channel->indicator_input] != 0;
	return channel->number_input == NN_NONE || numbers[channel->number_input] == layout->missing_numbers[channel->number_input];
}

/* In the column's unit, to the six digits that survive being scaled and back. */
static Datum
number_of(const LearnChannel *channel, const float *numbers)
{
	float		scaled = numbers[channel->number_input];
	float		value;

	if (channel->scaling == LEARN_ROBUST)
		scaled = Max(-FARTHEST, Min(FARTHEST, scaled));
	value = strtof(psprintf("%.6g", learn_unscale_number(channel, scaled)), NULL);
	return idla_preview_array(&value, 1, 1, true);
}

static void
put_channel(const Preview *preview, const LearnTableLayout *layout, const LearnChannel *channel, const Rows *plain, const Rows *changed,
			int row, int variant)
{
	size_t		n_numbers = preview->model.n_numbers;
	size_t		n_codes = preview->model.n_codes;
	const float *numbers = changed->numbers + (size_t) row * n_numbers;
	const int32_t *codes = changed->codes + (size_t) row * n_codes;
	bool		missing = is_missing(layout, channel, numbers, codes);
	int32_t		code = channel->code_input == NN_NONE ? -1 : codes[channel->code_input];

	/* A column that is never missing has the median where it was dropped, and may have it by itself. */
	if (missing && channel->indicator_input == NN_NONE && channel->code_input == NN_NONE)
		missing = !is_missing(layout, channel, plain->numbers + (size_t) row * n_numbers, plain->codes + (size_t) row * n_codes);
	if (missing)
		idla_preview_put(preview, row, variant, channel->name, 0, 0, NULL);
	else if (channel->code_input == NN_NONE)
		idla_preview_put(preview, row, variant, channel->name, 0, number_of(channel, numbers), NULL);
	else
		idla_preview_put(preview, row, variant, channel->name, 0, 0, code >= 0 && code < channel->n_categories ? channel->categories[code] : "(other)");
}

static void
change_rows(const Preview *preview, const LearnTableLayout *layout, const int32_t *classes, int variant, Rows *rows, float *scratch)
{
	const LearnModel *model = &preview->model;
	LearnAugmentTable noise = learn_augment_table_ranges(&preview->options->training.augment);
	LearnAugmentTable mixing = {.mixup = noise.mixup};
	uint64_t	seed = preview->options->training.seed;

	noise.mixup = 0;
	learn_augment_rows(&mixing, layout, (size_t) preview->n_rows, classes, rows->numbers, rows->codes, seed, DEV_STREAM_MIX,
					   (uint64_t) variant << 24, scratch);
	for (int row = 0; row < preview->n_rows; row++)
		learn_augment_rows(&noise, layout, 1, NULL, rows->numbers + (size_t) row * model->n_numbers,
						   rows->codes + (size_t) row * model->n_codes, seed, DEV_STREAM_AUGMENT,
						   learn_augment_counter((uint64_t) variant, (uint64_t) row), NULL);
}

/* Without a target rows have no classes, and are not mixed. */
static int32_t *
classes_of(const Preview *preview)
{
	const LearnModel *model = &preview->model;
	const float *targets = learn_dataset_targets(preview->reading.dataset);
	int32_t    *classes;

	if (model->n_classes == 0)
		return NULL;
	classes = idla_keep(preview->work, (size_t) preview->n_rows, sizeof(int32_t));
	for (int row = 0; row < preview->n_rows; row++)
		classes[row] = (int32_t) targets[row];
	return classes;
}

static void
show_columns(const Preview *preview, int n)
{
	const LearnModel *model = &preview->model;
	uint32_t	numbers[PREVIEW_ROWS];
	size_t		inputs = model->n_numbers + model->n_codes;
	float	   *scratch = idla_keep(preview->work, (size_t) preview->n_rows * inputs + 1, sizeof(float));
	int32_t    *classes = classes_of(preview);
	Rows		plain = make_rows(preview);
	Rows		changed = make_rows(preview);
	LearnTableLayout layout;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext each;

	for (int row = 0; row < preview->n_rows; row++)
		numbers[row] = (uint32_t) row;
	idla_check(preview->work, learn_table_layout(preview->work->session, model->channels, model->n_channels, model->n_numbers,
												 model->n_codes, &layout));
	idla_check(preview->work, learn_dataset_gather(preview->reading.dataset, numbers, (size_t) preview->n_rows, plain.numbers,
												   plain.codes, NULL));
	each = AllocSetContextCreate(caller, "idla variant", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(each);
	for (int variant = 0; variant <= n; variant++)
	{
		memcpy(changed.numbers, plain.numbers, (size_t) preview->n_rows * model->n_numbers * sizeof(float));
		memcpy(changed.codes, plain.codes, (size_t) preview->n_rows * model->n_codes * sizeof(int32_t));
		CHECK_FOR_INTERRUPTS();
		if (variant > 0)
			change_rows(preview, &layout, classes, variant, &changed, scratch);
		for (int row = 0; row < preview->n_rows; row++)
			for (int i = 0; i < model->n_channels; i++)
				if (model->channels[i].number_input != NN_NONE || model->channels[i].code_input != NN_NONE)
					put_channel(preview, &layout, &model->channels[i], &plain, &changed, row, variant);
		MemoryContextReset(each);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(each);
}

/* ---- the function ---- */

static void
show(Preview *preview, int n)
{
	const LearnModel *model = &preview->model;
	bool		tables = learn_augment_any(&preview->options->training.augment, LEARN_AUGMENT_TABLE);

	for (int i = 0; i < model->n_fields; i++)
		idla_preview_field(preview, i, n);
	/* Columns that nothing happens to are left out beside images and the like. */
	if (model->n_numbers + model->n_codes > 0 && (tables || model->n_fields == 0))
		show_columns(preview, n);
}

Datum
idla_augment_preview(PG_FUNCTION_ARGS)
{
	Preview    *preview = palloc0(sizeof(Preview));
	int			n = PG_ARGISNULL(2) ? 8 : PG_GETARG_INT32(2);
	MemoryContext caller = CurrentMemoryContext;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("source must not be NULL")));
	if (n < 0 || n > MOST_VARIANTS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("n is %d: it must be between 0 and %d", n, MOST_VARIANTS)));
	preview->fcinfo = fcinfo;
	preview->options = idla_options_read(PG_ARGISNULL(1) ? DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}"))) :
										 PG_GETARG_JSONB_P(1));
	preview->work = idla_work_open(caller, "augment preview", preview->options->training.seed, 0);
	MemoryContextSwitchTo(preview->work->context);
	read_source(preview, text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3)),
				PG_ARGISNULL(4) ? -1 : idla_task_find(text_to_cstring(PG_GETARG_TEXT_PP(4))));
	if (preview->n_rows > 0)
	{
		fit(preview);
		settle(preview);
		show(preview, n);
	}
	idla_spill_close(preview->reading.spill);
	for (int i = 0; i < preview->reading.columns.n_fields && preview->reading.field_spills != NULL; i++)
		idla_spill_close(preview->reading.field_spills[i]);
	MemoryContextSwitchTo(caller);
	idla_work_close(preview->work);
	return (Datum) 0;
}

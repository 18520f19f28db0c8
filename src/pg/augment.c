/*
 * augment.c: idla_augment_preview, augmentation made visible.
 *
 * The first rows of a source, brought to the size that training would bring them to and changed by the very
 * functions that change them in training. Images come back as PNG, signals as arrays of (samples x leads) in the unit they
 * came in, where jitter is in units of the deviation of what is shown.
 */
#include "option.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "idla/learn_image.h"

#define MOST_ROWS 64
#define MOST_VARIANTS 1000

PG_FUNCTION_INFO_V1(idla_augment_preview);

typedef struct Preview
{
	IdlaOptions *options;
	IdlaWork   *work;
	TupleDesc	desc;
	IdlaColumns columns;
	IdlaLook   *looks;			/* (columns) */
	LearnModel	model;			/* fields alone, for what depends on the inputs */
	int			n_rows;
	Datum	   *values[MOST_ROWS];	/* of the first rows, copied */
	bool	   *nulls[MOST_ROWS];
	float	   *planes[MOST_ROWS];	/* of the field at hand; NULL: missing */
	int32_t		lengths[MOST_ROWS];
} Preview;

static int
find_attribute(TupleDesc desc, const char *name)
{
	for (int i = 0; i < desc->natts; i++)
		if (strcmp(NameStr(TupleDescAttr(desc, i)->attname), name) == 0)
			return i;
	return -1;
}

/* ---- rows ---- */

static void
take_row(void *context, const Datum *values, const bool *isnull)
{
	Preview    *preview = context;
	MemoryContext caller;
	int			n = preview->desc->natts;

	if (preview->n_rows == MOST_ROWS)
		return;
	caller = MemoryContextSwitchTo(preview->work->context);
	preview->values[preview->n_rows] = palloc0(sizeof(Datum) * (Size) Max(n, 1));
	preview->nulls[preview->n_rows] = palloc0(sizeof(bool) * (Size) Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(preview->desc, i);

		preview->nulls[preview->n_rows][i] = isnull[i];
		if (isnull[i])
			continue;
		preview->values[preview->n_rows][i] = attribute->attlen == -1 ?
			PointerGetDatum(PG_DETOAST_DATUM_COPY(values[i])) : datumCopy(values[i], attribute->attbyval, attribute->attlen);
	}
	preview->n_rows++;
	MemoryContextSwitchTo(caller);
}

static void
look_at_rows(Preview *preview)
{
	const IdlaOptions *options = preview->options;

	for (int i = 0; i < preview->columns.n; i++)
	{
		IdlaColumn *column = &preview->columns.columns[i];
		const IdlaOverride *override = idla_override_find(options->overrides, options->n_overrides, column->name);
		int			attribute = find_attribute(preview->desc, column->name);

		if (!idla_look_needed(column, override))
			continue;
		for (int row = 0; row < preview->n_rows; row++)
			if (!preview->nulls[row][attribute])
				idla_look_add(&preview->looks[i], column, preview->values[row][attribute]);
		idla_look_settle(&preview->looks[i], column, override);
	}
}

/* ---- one field ---- */

static size_t
plane_size(const LearnField *field)
{
	return field->dims[0] * field->dims[1] * (field->kind == LEARN_IMAGE ? field->dims[2] : 1);
}

/* Pixels are left as they are; arrays and signals are centred and scaled by what is shown. */
static void
fit_field(Preview *preview, LearnField *field)
{
	size_t		depth = learn_field_depth(field);

	for (size_t d = 0; field->sample == LEARN_SAMPLE_F32 && d < depth; d++)
	{
		double		n = 0;
		double		sum = 0;
		double		squares = 0;
		double		deviation;

		for (int row = 0; row < preview->n_rows; row++)
			for (size_t i = d; preview->planes[row] != NULL && i < plane_size(field); i += depth)
			{
				double		value = preview->planes[row][i];

				if (field->kind != LEARN_IMAGE && i / depth >= (size_t) preview->lengths[row])
					break;
				n++;
				sum += value;
				squares += value * value;
			}
		if (n == 0)
			continue;
		deviation = sqrt(Max(squares / n - sum / n * sum / n, 0));
		field->center[d] = (float) (sum / n);
		field->scale[d] = deviation > 1e-6 ? (float) (1 / deviation) : 1;
	}
	for (int row = 0; row < preview->n_rows; row++)
		for (size_t i = 0; preview->planes[row] != NULL && i < plane_size(field); i++)
			if (field->kind == LEARN_IMAGE || i / depth < (size_t) preview->lengths[row])
				preview->planes[row][i] = (preview->planes[row][i] - field->center[i % depth]) * field->scale[i % depth];
}

static void
load_field(Preview *preview, LearnField *field)
{
	const IdlaColumn *column = &preview->columns.columns[field->column];
	int			attribute = find_attribute(preview->desc, column->name);
	IdlaFieldReader *reader;
	size_t		depth = learn_field_depth(field);

	field->center = MemoryContextAllocZero(preview->work->context, sizeof(float) * depth);
	field->scale = MemoryContextAllocZero(preview->work->context, sizeof(float) * depth);
	for (size_t d = 0; d < depth; d++)
		field->scale[d] = 1;
	reader = idla_field_reader_create(column, field, getBaseType(TupleDescAttr(preview->desc, attribute)->atttypid), true);
	for (int row = 0; row < preview->n_rows; row++)
	{
		LearnTrouble trouble;
		LearnBytes	bytes;
		void	   *planes[LEARN_MAX_PLANES] = {NULL};

		preview->planes[row] = NULL;
		if (preview->nulls[row][attribute])
			continue;
		if (!idla_field_read(reader, preview->values[row][attribute], &bytes, &trouble))
			idla_raise_trouble(&trouble);
		planes[0] = MemoryContextAllocHuge(preview->work->context, sizeof(float) * plane_size(field));
		bytes = learn_field_window_drawn(field, bytes, preview->options->training.seed, learn_augment_counter(0, (uint64) row));
		learn_field_load(field, bytes, NULL, planes, &preview->lengths[row]);
		preview->planes[row] = planes[0];
	}
	fit_field(preview, field);
}

/* ---- the answer ---- */

static Datum
png_of(const float *pixels, const LearnField *field)
{
	LearnTrouble trouble;
	void	   *bytes;
	size_t		size;
	bytea	   *image;

	if (!learn_png_write(pixels, field->dims[0], field->dims[1], (int) field->dims[2], &bytes, &size, &trouble))
		idla_raise_trouble(&trouble);
	image = palloc(VARHDRSZ + size);
	SET_VARSIZE(image, VARHDRSZ + size);
	memcpy(VARDATA(image), bytes, size);
	free(bytes);
	return PointerGetDatum(image);
}

static Datum
array_of(const float *values, size_t length, size_t leads)
{
	Datum	   *datums = palloc(sizeof(Datum) * Max(length * leads, 1));
	int			dims[2] = {(int) length, (int) leads};
	int			bounds[2] = {1, 1};

	for (size_t i = 0; i < length * leads; i++)
		datums[i] = Float4GetDatum(values[i]);
	return PointerGetDatum(construct_md_array(datums, NULL, leads > 1 ? 2 : 1, dims, bounds, FLOAT4OID, sizeof(float4), true,
											  TYPALIGN_INT));
}

static void
put(FunctionCallInfo fcinfo, const Preview *preview, const LearnField *field, int row, int variant, float *plane)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	size_t		depth = learn_field_depth(field);
	bool		picture = field->kind == LEARN_IMAGE && field->sample != LEARN_SAMPLE_F32;
	size_t		length = field->kind == LEARN_IMAGE ? field->dims[0] * field->dims[1] : (size_t) preview->lengths[row];
	Datum		values[5] = {Int64GetDatum(row + 1), Int32GetDatum(variant), CStringGetTextDatum(field->name), 0, 0};
	bool		nulls[5] = {false, false, false, !picture, picture};

	for (size_t i = 0; i < length * depth; i++)
		plane[i] = plane[i] / field->scale[i % depth] + field->center[i % depth];
	if (picture)
		values[3] = png_of(plane, field);
	else
		values[4] = array_of(plane, length, depth);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* The row's variant, as an epoch of training would see it; MixUp and CutMix take the rows shown as their batch. */
static void
make_variant(const Preview *preview, const LearnField *field, int row, int variant, float *plane, float *other, float *scratch)
{
	const LearnAugment *augment = &preview->options->training.augment;
	uint64_t	seed = preview->options->training.seed;
	LearnAugmentImage ranges = learn_augment_image_ranges(augment);
	LearnMix	mix;

	memcpy(plane, preview->planes[row], plane_size(field) * sizeof(float));
	if (variant == 0)
		return;
	learn_augment_field(augment, field, plane, (size_t) preview->lengths[row], seed,
						learn_augment_counter((uint64_t) variant, (uint64_t) row), scratch);
	if (field->kind != LEARN_IMAGE || !(ranges.mixup > 0 || ranges.cutmix > 0))
		return;
	learn_mix_draw(&ranges, field->dims[0], field->dims[1], (size_t) preview->n_rows, (size_t) row, seed, DEV_STREAM_MIX,
				   (uint64_t) variant, &mix);
	if (preview->planes[mix.partner] == NULL)
		return;
	memcpy(other, preview->planes[mix.partner], plane_size(field) * sizeof(float));
	learn_augment_field(augment, field, other, 0, seed, learn_augment_counter((uint64_t) variant, mix.partner), scratch);
	learn_mix_images(&mix, field->dims[0], field->dims[1], field->dims[2], plane, other, plane);
}

static void
show_field(FunctionCallInfo fcinfo, Preview *preview, LearnField *field, int n)
{
	size_t		size = plane_size(field);
	float	   *plane = palloc_extended(sizeof(float) * size, MCXT_ALLOC_HUGE);
	float	   *other = palloc_extended(sizeof(float) * size, MCXT_ALLOC_HUGE);
	float	   *scratch = palloc_extended(sizeof(float) * (learn_augment_field_scratch(field) + 1), MCXT_ALLOC_HUGE);

	load_field(preview, field);
	for (int row = 0; row < preview->n_rows; row++)
		for (int variant = 0; variant <= n && preview->planes[row] != NULL; variant++)
		{
			CHECK_FOR_INTERRUPTS();
			make_variant(preview, field, row, variant, plane, other, scratch);
			put(fcinfo, preview, field, row, variant, plane);
		}
	pfree(plane);
	pfree(other);
	pfree(scratch);
}

static void
read_source(Preview *preview, const char *source)
{
	IdlaRows   *rows = idla_rows_open(source);
	const IdlaOptions *options = preview->options;

	preview->desc = CreateTupleDescCopy(idla_rows_desc(rows));
	idla_columns_plan(preview->desc, NIL, options->overrides, options->n_overrides, &preview->columns);
	preview->looks = palloc0(sizeof(IdlaLook) * (Size) Max(preview->columns.n, 1));
	idla_rows_read(rows, take_row, preview);
	idla_rows_close(rows);
	look_at_rows(preview);
	idla_columns_fields(&preview->columns, preview->looks, options->overrides, options->n_overrides, preview->work);
	preview->model.fields = preview->columns.fields;
	preview->model.n_fields = preview->columns.n_fields;
	if (preview->columns.n_fields == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the source has no images and no signals to show")));
	idla_augment_settle(preview->options, &preview->model);
	/* Nothing said: what training would do by itself. */
	if (preview->options->training.augmented < 0)
	{
		LearnNetwork network = {.n_fields = preview->columns.n_fields, .fields = preview->columns.fields};

		learn_training_resolve(&network, (size_t) preview->n_rows, &preview->options->training);
	}
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
	preview->options = idla_options_read(PG_ARGISNULL(1) ? DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}"))) :
										 PG_GETARG_JSONB_P(1));
	preview->work = idla_work_open(caller, "augment preview", preview->options->training.seed, 0);
	MemoryContextSwitchTo(preview->work->context);
	read_source(preview, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	for (int i = 0; i < preview->columns.n_fields; i++)
		if (learn_augment_field_scratch(&preview->columns.fields[i]) > 0)
			show_field(fcinfo, preview, &preview->columns.fields[i], n);
	MemoryContextSwitchTo(caller);
	idla_work_close(preview->work);
	return (Datum) 0;
}

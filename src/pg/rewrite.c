/*
 * rewrite.c: values of a row as the host has them, out of what a model's numbers, categories and planes became.
 *
 * The way of decode.c and decode_field.c, back. A value that did not change is not touched, so that a row comes back as the row it
 * was but for what an attack did. Domains are looked through: whether their constraints hold is asked elsewhere, with the right rights.
 */
#include "rewrite.h"

#include <math.h>

#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

/* How one column is written. */
typedef struct Place
{
	int			attribute;		/* -1: not in the row */
	Oid			type;			/* base type of the attribute, or of its elements */
	int32		typmod;
	FmgrInfo	input;
	Oid			parameter;
} Place;

struct IdlaRewriter
{
	const IdlaColumns *columns;
	TupleDesc	desc;
	Place	   *places;			/* by column */
};

IdlaRewriter *
idla_rewriter_create(const IdlaColumns *columns, TupleDesc desc)
{
	IdlaRewriter *rewriter = palloc0(sizeof(IdlaRewriter));

	rewriter->columns = columns;
	rewriter->desc = CreateTupleDescCopy(desc);
	rewriter->places = palloc0(sizeof(Place) * (Size) Max(columns->n, 1));
	for (int i = 0; i < columns->n; i++)
	{
		Place	   *place = &rewriter->places[i];
		Oid			input;
		Oid			element;

		place->attribute = idla_attribute_find(desc, columns->columns[i].name);
		if (place->attribute < 0)
			continue;
		place->typmod = TupleDescAttr(desc, place->attribute)->atttypmod;
		place->type = getBaseTypeAndTypmod(TupleDescAttr(desc, place->attribute)->atttypid, &place->typmod);
		element = get_element_type(place->type);
		place->type = OidIsValid(element) ? element : place->type;
		getTypeInputInfo(place->type, &input, &place->parameter);
		fmgr_info(input, &place->input);
	}
	return rewriter;
}

TupleDesc
idla_rewriter_desc(const IdlaRewriter *rewriter)
{
	return rewriter->desc;
}

int
idla_rewriter_attribute(const IdlaRewriter *rewriter, int column)
{
	return rewriter->places[column].attribute;
}

/* ---- columns ---- */

static bool
same_value(float a, float b)
{
	return a == b || (isnan(a) && isnan(b));
}

static Datum
write_text(const Place *place, char *text)
{
	return InputFunctionCall(unconstify(FmgrInfo *, &place->input), text, place->parameter, place->typmod);
}

/* The fewest digits that are read as the same number again. */
static Datum
write_number(const Place *place, float value)
{
	char		text[FLOAT_SHORTEST_DECIMAL_LEN];

	if (value == floorf(value) && fabsf(value) < 1e15f)
		return write_text(place, psprintf("%.0f", (double) value));
	float_to_shortest_decimal_buf(value, text);
	return write_text(place, text);
}

static Datum
rebuild(ArrayType *array, Datum *elements, bool *nulls)
{
	int16		length;
	bool		by_value;
	char		align;

	get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &align);
	return PointerGetDatum(construct_md_array(elements, nulls, ARR_NDIM(array), ARR_DIMS(array), ARR_LBOUND(array),
											  ARR_ELEMTYPE(array), length, by_value, align));
}

static void
take_apart(ArrayType *array, Datum **elements, bool **nulls, int *n)
{
	int16		length;
	bool		by_value;
	char		align;

	get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &align);
	deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, align, elements, nulls, n);
}

static Datum
write_elements(const Place *place, int n_channels, const float *raw, const float *changed, Datum value)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	take_apart(array, &elements, &nulls, &n);
	for (int i = 0; i < Min(n, n_channels); i++)
		if (!nulls[i] && !same_value(raw[i], changed[i]))
			elements[i] = write_number(place, changed[i]);
	return rebuild(array, elements, nulls);
}

static bool
differs(const IdlaColumn *column, const float *raw, const float *changed)
{
	for (int i = 0; i < column->n_channels; i++)
		if (!same_value(raw[column->first_channel + i], changed[column->first_channel + i]))
			return true;
	return false;
}

void
idla_rewrite_columns(const IdlaRewriter *rewriter, const float *raw, const float *changed, Datum *values, const bool *isnull)
{
	for (int i = 0; i < rewriter->columns->n; i++)
	{
		const IdlaColumn *column = &rewriter->columns->columns[i];
		const Place *place = &rewriter->places[i];
		float		value = column->n_channels > 0 ? changed[column->first_channel] : 0;

		if (place->attribute < 0 || isnull[place->attribute] || !differs(column, raw, changed))
			continue;
		if (column->kind == IDLA_ARRAY)
			values[place->attribute] = write_elements(place, column->n_channels, raw + column->first_channel,
													  changed + column->first_channel, values[place->attribute]);
		else if (column->kind == IDLA_CATEGORY)
			values[place->attribute] = write_text(place, rewriter->columns->channels[column->first_channel].categories[(int) value]);
		else if (place->type == BOOLOID)
			values[place->attribute] = BoolGetDatum(value > 0.5f);
		else
			values[place->attribute] = write_number(place, value);
	}
}

/* ---- images and signals ---- */

static Datum
write_image(const LearnField *field, const float *plane)
{
	size_t		depth = field->dims[2];
	size_t		size = field->dims[0] * field->dims[1] * depth;
	float	   *pixels = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * size);
	bytea	   *image;

	for (size_t i = 0; i < size; i++)
		pixels[i] = plane[i] / field->scale[i % depth] + field->center[i % depth];
	image = idla_png(pixels, field->dims[0], field->dims[1], (int) depth, field->sample == LEARN_SAMPLE_U16);
	pfree(pixels);
	return PointerGetDatum(image);
}

/* A number that moved, in the type of its array; integers keep to what they can hold. */
static Datum
write_element(const Place *place, double value)
{
	switch (place->type)
	{
		case INT2OID:
			return Int16GetDatum((int16) Max(Min(rint(value), (double) PG_INT16_MAX), (double) PG_INT16_MIN));
		case INT4OID:
			return Int32GetDatum((int32) Max(Min(rint(value), (double) PG_INT32_MAX), (double) PG_INT32_MIN));
		case INT8OID:
			return Int64GetDatum((int64) Max(Min(rint(value), 9007199254740991.0), -9007199254740991.0));
		case FLOAT4OID:
			return Float4GetDatum((float4) value);
		case FLOAT8OID:
			return Float8GetDatum(value);
		default:
			return write_text(place, DatumGetCString(DirectFunctionCall1(float8out, Float8GetDatum(value))));
	}
}

/* What the user writes (leads, samples) is (samples, leads) inside. */
static bool
find_changes(const LearnField *field, ArrayType *array, const float *values, const float *clean, const float *moved, double *changes)
{
	int			n_dims = ARR_NDIM(array);
	int			n = ArrayGetNItems(n_dims, ARR_DIMS(array));
	bool		turned = field->kind == LEARN_SIGNAL && n_dims == 2;
	size_t		dims[3] = {1, 1, 1};
	float	   *straight = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * (Size) Max(n, 1));
	double	   *found = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(double) * (Size) Max(n, 1));
	LearnTrouble trouble;

	if (n_dims > 3 || n < 1)
		return false;
	for (int i = 0; i < n_dims; i++)
		dims[i] = (size_t) ARR_DIMS(array)[turned ? 1 - i : i];
	for (size_t i = 0; i < (size_t) n; i++)
		straight[i] = values[turned ? i % dims[1] * dims[0] + i / dims[1] : i];
	if (!learn_field_changes(field, dims, straight, clean, moved, found, &trouble))
	{
		if (trouble.status != DEV_OK)
			idla_raise_trouble(&trouble);
		return false;
	}
	for (size_t i = 0; i < (size_t) n; i++)
		changes[turned ? i % dims[1] * dims[0] + i / dims[1] : i] = found[i];
	pfree(straight);
	pfree(found);
	return true;
}

static bool
write_array(const Place *place, const LearnField *field, Datum value, const float *clean, const float *moved, Datum *rewritten)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	int			n_dims;
	int			dims[3];
	float	   *values = idla_array_floats(PointerGetDatum(array), &n_dims, dims);
	double	   *changes = MemoryContextAllocHuge(CurrentMemoryContext,
												 sizeof(double) * (Size) Max(ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)), 1));
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	/* Elements of a domain have constraints that nobody asks. */
	if (get_typtype(ARR_ELEMTYPE(array)) == TYPTYPE_DOMAIN || !find_changes(field, array, values, clean, moved, changes))
		return false;
	take_apart(array, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i] && changes[i] != 0)
			elements[i] = write_element(place, idla_datum_to_double(elements[i], place->type) + changes[i]);
	*rewritten = rebuild(array, elements, nulls);
	pfree(values);
	pfree(changes);
	return true;
}

bool
idla_rewrite_field(const IdlaRewriter *rewriter, int column, Datum value, const float *clean, const float *moved, Datum *rewritten)
{
	const Place *place = &rewriter->places[column];
	const LearnField *field = &rewriter->columns->fields[rewriter->columns->columns[column].field];

	if (field->kind == LEARN_SIGNAL || (field->kind == LEARN_IMAGE && field->sample == LEARN_SAMPLE_F32))
		return write_array(place, field, value, clean, moved, rewritten);
	if (field->kind != LEARN_IMAGE || !learn_field_is_direct(field))
		return false;
	*rewritten = write_image(field, moved);
	return true;
}

Datum
idla_rewrite_text(const IdlaRewriter *rewriter, int column, char *text)
{
	return write_text(&rewriter->places[column], text);
}

double
idla_rewrite_step(const LearnField *field, Oid type)
{
	Oid			element = get_element_type(type);

	if (field->sample == LEARN_SAMPLE_U8)
		return 1.0 / 255;
	if (field->sample == LEARN_SAMPLE_U16)
		return 1.0 / 65535;
	return learn_field_is_direct(field) && (element == INT2OID || element == INT4OID || element == INT8OID) ? 1 : 0;
}

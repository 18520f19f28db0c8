/*
 * decode_field.c: images, signals and texts out of datums.
 *
 * The engine decodes; here arrays become floats and bytes are detoasted. A value that cannot be taken is told
 * apart from an error, so that whoever reads many rows may leave one out.
 */
#include "column.h"
#include "tokens.h"

#include <math.h>
#include <stdlib.h>

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

struct IdlaFieldReader
{
	const IdlaColumn *column;
	const LearnField *field;
	Oid			type;
	bool		stored;
	void	   *taken;			/* malloc'd by the engine */
	MemoryContextCallback callback;
};

static void
release_taken(void *arg)
{
	IdlaFieldReader *reader = arg;

	free(reader->taken);
	reader->taken = NULL;
}

IdlaFieldReader *
idla_field_reader_create(const IdlaColumn *column, const LearnField *field, Oid attribute_type, bool stored)
{
	IdlaFieldReader *reader = palloc0(sizeof(IdlaFieldReader));

	reader->column = column;
	reader->field = field;
	reader->type = attribute_type;
	reader->stored = stored;
	reader->callback.func = release_taken;
	reader->callback.arg = reader;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &reader->callback);
	return reader;
}

float *
idla_array_floats(Datum datum, int *n_dims, int dims[3])
{
	ArrayType  *array = DatumGetArrayTypeP(datum);
	int			length = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	Oid			element = ARR_ELEMTYPE(array);
	float	   *values = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * (Size) Max(length, 1));

	*n_dims = ARR_NDIM(array);
	for (int i = 0; i < 3; i++)
		dims[i] = i < *n_dims ? ARR_DIMS(array)[i] : 1;
	if (element == FLOAT4OID && !ARR_HASNULL(array))
		memcpy(values, ARR_DATA_PTR(array), sizeof(float) * (Size) length);
	else
	{
		Datum	   *elements;
		bool	   *nulls;
		int16		size;
		bool		by_value;
		char		align;
		int			n;

		get_typlenbyvalalign(element, &size, &by_value, &align);
		deconstruct_array(array, element, size, by_value, align, &elements, &nulls, &n);
		element = getBaseType(element);
		for (int i = 0; i < n; i++)
			values[i] = nulls[i] ? NAN : (float) idla_datum_to_double(elements[i], element);
		pfree(elements);
		pfree(nulls);
	}
	for (int i = 0; i < length; i++)
		if (isinf(values[i]))
			values[i] = NAN;
	if ((Pointer) array != DatumGetPointer(datum))
		pfree(array);
	return values;
}

static bool
read_image_file(IdlaFieldReader *reader, Datum value, LearnBytes *bytes, LearnTrouble *trouble)
{
	struct varlena *file = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(value));
	bool		good = learn_field_take_image(reader->field, VARDATA_ANY(file), VARSIZE_ANY_EXHDR(file), &reader->taken,
											  &bytes->size, trouble);

	if ((Pointer) file != DatumGetPointer(value))
		pfree(file);
	return good;
}

static bool
bad_shape(LearnTrouble *trouble, const char *format, int got, int wanted)
{
	memset(trouble, 0, sizeof(*trouble));
	trouble->status = DEV_BAD_DATA;
	snprintf(trouble->message, sizeof(trouble->message), format, got, wanted);
	return false;
}

/* (leads, samples) as users write it to (samples, leads) as networks take it. */
static float *
turn(const float *values, int leads, int samples)
{
	float	   *turned = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * (Size) Max(leads * samples, 1));

	for (int lead = 0; lead < leads; lead++)
		for (int i = 0; i < samples; i++)
			turned[(Size) i * leads + lead] = values[(Size) lead * samples + i];
	return turned;
}

static bool
read_array(IdlaFieldReader *reader, Datum value, LearnBytes *bytes, LearnTrouble *trouble)
{
	const LearnField *field = reader->field;
	int			n_dims;
	int			dims[3];
	float	   *values = idla_array_floats(value, &n_dims, dims);
	bool		good;

	if (field->kind == LEARN_SERIES)
		good = learn_field_take_series(field, n_dims == 1 ? (size_t) dims[0] : 0, values, &reader->taken, &bytes->size, trouble);
	else if (field->kind == LEARN_IMAGE)
	{
		if (n_dims < 2 || n_dims > 3)
			return bad_shape(trouble, "the array has %d dimensions where an image has 2 or 3", n_dims, 0);
		good = learn_field_take_pixels(field, (size_t) dims[0], (size_t) dims[1], (size_t) dims[2], values,
									   &reader->taken, &bytes->size, trouble);
	}
	else
	{
		int			leads = n_dims == 2 ? dims[0] : 1;
		int			samples = n_dims == 2 ? dims[1] : n_dims == 1 ? dims[0] : 0;

		if (n_dims > 2)
			return bad_shape(trouble, "the array has %d dimensions where a signal has 1 or 2", n_dims, 0);
		if (samples > 0 && (size_t) leads != field->dims[1])
			return bad_shape(trouble, "the signal has %d leads where %d are expected", leads, (int) field->dims[1]);
		if (leads > 1)
			values = turn(values, leads, samples);
		good = learn_field_take_signal(field, (size_t) samples, (size_t) leads, values, &reader->taken, &bytes->size, trouble);
	}
	pfree(values);
	return good;
}

/* The engine reads UTF-8; what the server's encoding cannot vouch for (SQL_ASCII) is checked there. */
static bool
read_text(IdlaFieldReader *reader, Datum value, LearnBytes *bytes, LearnTrouble *trouble)
{
	Datum		datum = idla_text_datum(reader->type, value);
	struct varlena *text = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(datum));
	const char *raw = VARDATA_ANY(text);
	int			size = VARSIZE_ANY_EXHDR(text);
	char	   *utf8 = pg_server_to_any(raw, size, PG_UTF8);
	bool		good = learn_field_take_text(reader->field, utf8, utf8 == raw ? (size_t) size : strlen(utf8), reader->stored,
											 &reader->taken, &bytes->size, trouble);

	if (utf8 != raw)
		pfree(utf8);
	if ((Pointer) text != DatumGetPointer(datum))
		pfree(text);
	if (datum != value)
		pfree(DatumGetPointer(datum));
	return good;
}

static bool
take_text(IdlaFieldReader *reader, const IdlaTokens *tokens, LearnBytes *bytes, LearnTrouble *trouble)
{
	if (!reader->field->tagged)
		return learn_field_take_text(reader->field, tokens->text, tokens->size, reader->stored, &reader->taken, &bytes->size, trouble);
	return learn_field_take_tokens(reader->field, tokens->text, tokens->size, tokens->n, tokens->tokens, tokens->tags,
								   reader->stored, &reader->taken, &bytes->size, trouble);
}

bool
idla_field_read_tagged(IdlaFieldReader *reader, Datum value, Oid tags_type, Datum tags, LearnBytes *bytes, LearnTrouble *trouble)
{
	IdlaTokens	tokens;
	bool		good;

	release_taken(reader);
	good = idla_tokens_read(reader->type, value, tags_type, tags, &tokens, trouble) && take_text(reader, &tokens, bytes, trouble);
	bytes->bytes = reader->taken;
	return good;
}

bool
idla_field_read(IdlaFieldReader *reader, Datum value, LearnBytes *bytes, LearnTrouble *trouble)
{
	bool		good;

	release_taken(reader);
	if (reader->field->kind == LEARN_TEXT && idla_is_token_array(reader->type))
		return idla_field_read_tagged(reader, value, InvalidOid, (Datum) 0, bytes, trouble);
	if (reader->field->kind == LEARN_TEXT)
		good = read_text(reader, value, bytes, trouble);
	else if (reader->type == BYTEAOID)
		good = read_image_file(reader, value, bytes, trouble);
	else
		good = read_array(reader, value, bytes, trouble);
	bytes->bytes = reader->taken;
	return good;
}

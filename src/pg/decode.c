/*
 * decode.c: a deformed tuple into channels.
 *
 * A decoder is made once for a row type: it finds the model's columns by name,
 * refuses missing and retyped ones, and keeps for each the one way its type is read. Columns that
 * training left out are not looked for when predicting. NULL,
 * NaN, infinities and what no float can hold become NaN, which means missing.
 */
#include "column.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#define DAYS_A_MONTH_SECONDS (30.0 * SECS_PER_DAY)

typedef enum Reading
{
	READ_NUMBER,
	READ_RUN,					/* as part of a Run */
	READ_PARTS,
	READ_DISTANCE,
	READ_ARRAY,
	READ_TEXT,					/* varlena text */
	READ_PADDED_TEXT,			/* char(n): trailing blanks mean nothing */
	READ_NUMBER_TEXT,			/* a number as a category: 1.50 and 1.5 are one */
	READ_OUTPUT,				/* through the type's output function */
	READ_FIELD					/* decode_field.c */
} Reading;

typedef struct Slot
{
	Reading		reading;
	const IdlaColumn *column;
	Oid			type;			/* base type of the attribute */
	int			attribute;		/* position in values */
	int			reference;		/* position of the reference column */
	Oid			reference_type;
	Oid			element_type;	/* base type of an array's elements */
	int16		element_length;
	bool		element_by_value;
	char		element_align;
	FmgrInfo	output;
	IdlaFieldReader *field;
} Slot;

/* Numbers of one type whose attributes stand beside each other and become channels beside each other. */
typedef struct Run
{
	LearnBits	kind;
	int			attribute;
	int			channel;
	int			n;
} Run;

struct IdlaDecoder
{
	const IdlaColumns *columns;
	LearnDataset *dataset;
	IdlaWork   *work;
	int			n_attributes;
	int			n_slots;
	Slot	   *slots;			/* (n_slots): one for each column that is read, but for ... */
	int			n_runs;
	Run		   *runs;			/* (n_runs): integers and floats, which tables of measurements are full of */
	char	   *trouble;		/* of the last bad value */
	const LearnTaking *given;	/* see idla_decoder_give */
	int			tags;			/* see idla_decoder_tags */
	Oid			tags_type;
	MemoryContext context;
};

static float
to_float(double value)
{
	float		narrow = (float) value;

	return isfinite(narrow) ? narrow : NAN;
}

static double
interval_seconds(const Interval *interval)
{
	return (double) interval->time / USECS_PER_SEC + (double) interval->day * SECS_PER_DAY +
		(double) interval->month * DAYS_A_MONTH_SECONDS;
}

/* PostgreSQL 17 has infinite intervals: all three fields at their extremes. */
static bool
interval_is_infinite(const Interval *interval)
{
	return (interval->time == PG_INT64_MAX && interval->day == PG_INT32_MAX && interval->month == PG_INT32_MAX) ||
		(interval->time == PG_INT64_MIN && interval->day == PG_INT32_MIN && interval->month == PG_INT32_MIN);
}

double
idla_datum_to_double(Datum value, Oid type)
{
	switch (type)
	{
		case BOOLOID:
			return DatumGetBool(value) ? 1 : 0;
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		case INT8OID:
			return (double) DatumGetInt64(value);
		case FLOAT4OID:
			return DatumGetFloat4(value);
		case FLOAT8OID:
			return DatumGetFloat8(value);
		case NUMERICOID:
			return idla_numeric_to_double(value);
		case DATEOID:
			{
				DateADT		date = DatumGetDateADT(value);

				if (DATE_IS_NOBEGIN(date))
					return -INFINITY;
				return DATE_IS_NOEND(date) ? INFINITY : (double) date * SECS_PER_DAY;
			}
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			{
				Timestamp	stamp = DatumGetTimestamp(value);

				if (TIMESTAMP_IS_NOBEGIN(stamp))
					return -INFINITY;
				return TIMESTAMP_IS_NOEND(stamp) ? INFINITY : (double) stamp / USECS_PER_SEC;
			}
		case TIMEOID:
			return (double) DatumGetTimeADT(value) / USECS_PER_SEC;
		case INTERVALOID:
			{
				const Interval *interval = DatumGetIntervalP(value);

				if (interval_is_infinite(interval))
					return interval->time > 0 ? INFINITY : -INFINITY;
				return interval_seconds(interval);
			}
		default:
			elog(ERROR, "type %u is not a number", type);
	}
	return NAN;
}

/* ---- making ---- */

static bool
is_read(const IdlaDecoder *decoder, int column)
{
	return decoder->dataset != NULL || idla_column_used(decoder->columns, column);
}

static void
complain_missing(const IdlaDecoder *decoder, TupleDesc desc, const char *name)
{
	const IdlaColumns *columns = decoder->columns;
	StringInfoData missing;
	int			n = 0;
	bool		nameless = desc->natts > 0 && idla_attribute_find(desc, "f1") == 0;

	initStringInfo(&missing);
	for (int i = 0; i < columns->n; i++)
	{
		if (!is_read(decoder, i) || idla_attribute_find(desc, columns->columns[i].name) >= 0)
			continue;
		if (++n <= 30)
			appendStringInfo(&missing, "%s%s", n > 1 ? ", " : "", columns->columns[i].name);
	}
	if (n > 30)
		appendStringInfo(&missing, " and %d more", n - 30);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("the input has no column \"%s\"", name),
			 n > 0 ? errdetail("Missing: %s. The input has: %s.", missing.data, idla_attribute_list(desc)) :
			 errdetail("The input has: %s.", idla_attribute_list(desc)),
			 nameless ? errhint("ROW(...) has no column names; pass a row of a table, view or subquery.") :
			 errhint("Columns are matched by name; rename them in a subquery.")));
}

/* The attribute of that name, or -1. Which of two is meant cannot be known, and the first one would be a guess by their order. */
static int
find_only(TupleDesc desc, const char *name)
{
	int			found = idla_attribute_find(desc, name);

	for (int i = found + 1; found >= 0 && i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped && strcmp(NameStr(TupleDescAttr(desc, i)->attname), name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_AMBIGUOUS_COLUMN),
					 errmsg("the input has column \"%s\" more than once", name),
					 errhint("Columns are matched by name; give each a name of its own in a subquery.")));
	return found;
}

static void
complain_retyped(const IdlaColumn *column, Oid actual)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" is of type %s, but the model was trained with %s",
					column->name, format_type_be(actual), column->type_name),
			 errhint("Cast the column in the query, or train a new version.")));
}

static void
set_category_reading(Slot *slot)
{
	Oid			output;
	bool		is_varlena;

	if (slot->type == BPCHAROID)
		slot->reading = READ_PADDED_TEXT;
	else if (slot->type == TEXTOID || slot->type == VARCHAROID)
		slot->reading = READ_TEXT;
	else if (idla_type_family(slot->type) == IDLA_FAMILY_NUMBER)
		slot->reading = READ_NUMBER_TEXT;
	else
		slot->reading = READ_OUTPUT;
	getTypeOutputInfo(slot->type, &output, &is_varlena);
	fmgr_info(output, &slot->output);
}

static void
set_reading(Slot *slot, const IdlaDecoder *decoder, TupleDesc desc)
{
	const IdlaColumn *column = slot->column;

	switch (column->kind)
	{
		case IDLA_NUMBER:
		case IDLA_BOOLEAN:
		case IDLA_TIME:
		case IDLA_INTERVAL:
			/* A datum has the bits of a float8 where it is as wide. */
			slot->reading = FLOAT8PASSBYVAL && (slot->type == FLOAT8OID || slot->type == FLOAT4OID || slot->type == INT4OID) ?
				READ_RUN : READ_NUMBER;
			break;
		case IDLA_CATEGORY:
			set_category_reading(slot);
			break;
		case IDLA_DATE:
		case IDLA_TIMESTAMP:
		case IDLA_TIMESTAMPTZ:
			slot->reading = READ_PARTS;
			if (column->reference != NULL)
			{
				IdlaFamily	family;

				slot->reading = READ_DISTANCE;
				slot->reference = find_only(desc, column->reference);
				if (slot->reference < 0)
					complain_missing(decoder, desc, column->reference);
				slot->reference_type = getBaseType(TupleDescAttr(desc, slot->reference)->atttypid);
				family = idla_type_family(slot->reference_type);
				if (family != IDLA_FAMILY_DATE && family != IDLA_FAMILY_TIMESTAMP && family != IDLA_FAMILY_TIMESTAMPTZ)
					ereport(ERROR,
							(errcode(ERRCODE_DATATYPE_MISMATCH),
							 errmsg("column \"%s\" is of type %s, but column \"%s\" is counted from it",
									column->reference, format_type_be(slot->reference_type), column->name),
							 errhint("A reference is a date or a timestamp.")));
			}
			break;
		case IDLA_IMAGE:
		case IDLA_SIGNAL:
		case IDLA_TEXT:
		case IDLA_SERIES:
			slot->reading = READ_FIELD;
			slot->field = idla_field_reader_create(column, &decoder->columns->fields[column->field], slot->type,
												   decoder->dataset == NULL);
			break;
		case IDLA_ARRAY:
		case IDLA_SUMMARY:
			slot->reading = READ_ARRAY;
			slot->element_type = get_element_type(slot->type);
			get_typlenbyvalalign(slot->element_type, &slot->element_length,
								 &slot->element_by_value, &slot->element_align);
			slot->element_type = getBaseType(slot->element_type);
			break;
	}
}

static void
add_to_run(IdlaDecoder *decoder, const Slot *slot)
{
	Run		   *last = decoder->n_runs > 0 ? &decoder->runs[decoder->n_runs - 1] : NULL;
	LearnBits	kind = slot->type == FLOAT8OID ? LEARN_BITS_DOUBLE : slot->type == FLOAT4OID ? LEARN_BITS_FLOAT : LEARN_BITS_INT32;
	int			channel = slot->column->first_channel;

	if (last != NULL && last->kind == kind && last->attribute + last->n == slot->attribute && last->channel + last->n == channel)
		last->n++;
	else
		decoder->runs[decoder->n_runs++] = (Run) {kind, slot->attribute, channel, 1};
}

IdlaDecoder *
idla_decoder_create(const IdlaColumns *columns, TupleDesc desc, LearnDataset *dataset, IdlaWork *work)
{
	IdlaDecoder *decoder = palloc0(sizeof(IdlaDecoder));

	decoder->columns = columns;
	decoder->dataset = dataset;
	decoder->work = work;
	decoder->n_attributes = desc->natts;
	decoder->context = CurrentMemoryContext;
	decoder->slots = palloc0(sizeof(Slot) * Max(columns->n, 1));
	decoder->runs = palloc0(sizeof(Run) * Max(columns->n, 1));
	for (int i = 0; i < columns->n; i++)
	{
		Slot	   *slot;

		if (!is_read(decoder, i))
			continue;
		slot = &decoder->slots[decoder->n_slots];
		memset(slot, 0, sizeof(*slot));
		slot->column = &columns->columns[i];
		slot->attribute = find_only(desc, slot->column->name);
		if (slot->attribute < 0)
			complain_missing(decoder, desc, slot->column->name);
		slot->type = getBaseType(TupleDescAttr(desc, slot->attribute)->atttypid);
		if (!idla_type_fits(slot->column, slot->type))
			complain_retyped(slot->column, slot->type);
		set_reading(slot, decoder, desc);
		if (slot->reading == READ_RUN)
			add_to_run(decoder, slot);
		else
			decoder->n_slots++;
	}
	return decoder;
}

/* ---- decoding ---- */

/* Days since 2000-01-01, month 1 to 12, weekday 0 (Monday) to 6, hour with its fraction */
static void
decode_parts(const Slot *slot, Datum value, float *raw)
{
	double		seconds = idla_datum_to_double(value, slot->type);
	double		days;
	int			year;
	int			month;
	int			day;

	if (!isfinite(seconds))
		return;
	days = floor(seconds / SECS_PER_DAY);
	j2date((int) days + POSTGRES_EPOCH_JDATE, &year, &month, &day);
	raw[1] = (float) month;
	raw[2] = (float) ((j2day((int) days + POSTGRES_EPOCH_JDATE) + 6) % 7);
	if (slot->column->kind == IDLA_DATE)
		raw[0] = (float) days;
	else
	{
		raw[0] = (float) (seconds / SECS_PER_DAY);
		raw[3] = (float) ((seconds - days * SECS_PER_DAY) / SECS_PER_HOUR);
	}
}

int
idla_array_length(Datum datum)
{
	ArrayType  *array = DatumGetArrayTypeP(datum);
	int			length = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));

	if ((Pointer) array != DatumGetPointer(datum))
		pfree(array);
	return length;
}

/* False for an array of another length. */
static bool
decode_array(const Slot *slot, Datum value, float *raw)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	int			length = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	if (length != slot->column->array_length)
		return false;
	if (slot->element_type == FLOAT4OID && !ARR_HASNULL(array))
	{
		const float4 *values = (const float4 *) ARR_DATA_PTR(array);

		for (int i = 0; i < length; i++)
			raw[i] = isfinite(values[i]) ? values[i] : NAN;
	}
	else
	{
		deconstruct_array(array, ARR_ELEMTYPE(array), slot->element_length, slot->element_by_value,
						  slot->element_align, &elements, &nulls, &n);
		for (int i = 0; i < n; i++)
			raw[i] = nulls[i] ? NAN : to_float(idla_datum_to_double(elements[i], slot->element_type));
		pfree(elements);
		pfree(nulls);
	}
	if ((Pointer) array != DatumGetPointer(value))
		pfree(array);
	return true;
}

static float
category_code(IdlaDecoder *decoder, const Slot *slot, const char *bytes, Size size)
{
	int			channel = slot->column->first_channel;
	float		code;

	if (decoder->dataset == NULL)
		return learn_category_code(&decoder->columns->channels[channel], bytes, size);
	idla_check(decoder->work, learn_dataset_intern(decoder->dataset, channel, bytes, size, &code));
	return code;
}

/* 1.50, 1.5 and 15e-1 are the same category. */
static Size
trimmed_number(const char *text)
{
	Size		size = strlen(text);

	if (strchr(text, '.') == NULL)
		return size;
	while (text[size - 1] == '0')
		size--;
	return text[size - 1] == '.' ? size - 1 : size;
}

static float
decode_category(IdlaDecoder *decoder, Slot *slot, Datum value)
{
	float		code;

	if (slot->reading == READ_TEXT || slot->reading == READ_PADDED_TEXT)
	{
		struct varlena *text = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(value));
		const char *bytes = VARDATA_ANY(text);
		Size		size = VARSIZE_ANY_EXHDR(text);

		while (slot->reading == READ_PADDED_TEXT && size > 0 && bytes[size - 1] == ' ')
			size--;
		code = category_code(decoder, slot, bytes, size);
		if ((Pointer) text != DatumGetPointer(value))
			pfree(text);
	}
	else
	{
		char	   *text = OutputFunctionCall(&slot->output, value);

		code = category_code(decoder, slot, text, slot->reading == READ_NUMBER_TEXT ? trimmed_number(text) : strlen(text));
		pfree(text);
	}
	return code;
}

static void
keep_words(IdlaDecoder *decoder, const char *words)
{
	if (decoder->trouble != NULL)
		pfree(decoder->trouble);
	decoder->trouble = MemoryContextStrdup(decoder->context, words);
}

/* Raises what is wrong with a value, or keeps it for the caller. */
static void
keep_trouble(IdlaDecoder *decoder, const Slot *slot, const LearnTrouble *trouble, bool soft)
{
	bool		memory = trouble->status == DEV_NO_MEMORY;

	if (!soft || memory)
		ereport(ERROR,
				(errcode(memory ? ERRCODE_OUT_OF_MEMORY : ERRCODE_DATA_EXCEPTION),
				 errmsg("column \"%s\": %s", slot->column->name, trouble->message),
				 trouble->detail[0] != '\0' ? errdetail("%s", trouble->detail) : 0,
				 trouble->hint[0] != '\0' ? errhint("%s", trouble->hint) : 0));
	keep_words(decoder, psprintf("column \"%s\": %s", slot->column->name, trouble->message));
}

static void
keep_length_trouble(IdlaDecoder *decoder, const Slot *slot, Datum value, bool soft)
{
	char	   *words = psprintf("column \"%s\" has an array of %d elements where %d are expected",
								 slot->column->name, idla_array_length(value), slot->column->array_length);

	if (!soft)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("%s", words),
				 errhint("Arrays of one column have the same number of elements in every row; NULL arrays are allowed.")));
	keep_words(decoder, words);
}

void
idla_decoder_give(IdlaDecoder *decoder, const LearnTaking *given)
{
	decoder->given = given;
}

void
idla_decoder_tags(IdlaDecoder *decoder, int attribute, Oid type)
{
	decoder->tags = attribute;
	decoder->tags_type = type;
}

static bool
read_field(IdlaDecoder *decoder, Slot *slot, const Datum *values, const bool *isnull, LearnBytes *field, LearnTrouble *trouble)
{
	Datum		value = values[slot->attribute];
	bool		is_null = isnull[slot->attribute];
	const LearnTaking *given = decoder->given == NULL ? NULL : &decoder->given[slot->column->field];

	*field = (LearnBytes) {NULL, 0};
	if (is_null)
		return true;
	if (decoder->columns->fields[slot->column->field].tagged)
		return idla_field_read_tagged(slot->field, value, isnull[decoder->tags] ? InvalidOid : decoder->tags_type, values[decoder->tags],
									  field, trouble);
	if (given == NULL || given->field == NULL)
		return idla_field_read(slot->field, value, field, trouble);
	*trouble = given->trouble;
	*field = (LearnBytes) {given->taken, given->taken_size};
	return given->good;
}

int
idla_decoder_width(const IdlaDecoder *decoder)
{
	int			width = 0;

	for (int i = 0; i < decoder->n_runs; i++)
		width = Max(width, decoder->runs[i].attribute + decoder->runs[i].n);
	for (int i = 0; i < decoder->n_slots; i++)
	{
		width = Max(width, decoder->slots[i].attribute + 1);
		if (decoder->slots[i].reading == READ_DISTANCE)
			width = Max(width, decoder->slots[i].reference + 1);
	}
	return width;
}

const char *
idla_decode_trouble(const IdlaDecoder *decoder)
{
	return decoder->trouble;
}

void
idla_fields_keep(LearnBytes *fields, int n, MemoryContext context)
{
	for (int i = 0; i < n; i++)
		if (fields[i].bytes != NULL)
		{
			void	   *copy = MemoryContextAllocHuge(context, fields[i].size);

			memcpy(copy, fields[i].bytes, fields[i].size);
			fields[i].bytes = copy;
		}
}

bool
idla_decode(IdlaDecoder *decoder, const Datum *values, const bool *isnull, float *raw, LearnBytes *fields, bool soft)
{
	for (int i = 0; i < decoder->n_runs; i++)
	{
		Run			run = decoder->runs[i];

		learn_take_numbers(run.kind, (size_t) run.n, (const uint64_t *) values + run.attribute, isnull + run.attribute, raw + run.channel);
	}
	for (int i = 0; i < decoder->n_slots; i++)
	{
		Slot	   *slot = &decoder->slots[i];
		float	   *channels = raw + slot->column->first_channel;
		Datum		value = values[slot->attribute];

		if (slot->reading == READ_NUMBER)
		{
			channels[0] = isnull[slot->attribute] ? NAN : to_float(idla_datum_to_double(value, slot->type));
			continue;
		}
		if (slot->reading == READ_FIELD)
		{
			LearnTrouble trouble;

			if (!read_field(decoder, slot, values, isnull, &fields[slot->column->field], &trouble))
			{
				keep_trouble(decoder, slot, &trouble, soft);
				return false;
			}
			continue;
		}
		for (int j = 0; j < slot->column->n_channels; j++)
			channels[j] = NAN;
		if (isnull[slot->attribute])
			continue;
		switch (slot->reading)
		{
			case READ_PARTS:
				decode_parts(slot, value, channels);
				break;
			case READ_DISTANCE:
				if (!isnull[slot->reference])
					channels[0] = to_float((idla_datum_to_double(value, slot->type) -
											idla_datum_to_double(values[slot->reference], slot->reference_type)) /
										   SECS_PER_DAY);
				break;
			case READ_ARRAY:
				if (!decode_array(slot, value, channels))
				{
					keep_length_trouble(decoder, slot, value, soft);
					return false;
				}
				break;
			default:
				channels[0] = decode_category(decoder, slot, value);
				break;
		}
	}
	return true;
}

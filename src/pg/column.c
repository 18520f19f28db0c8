/*
 * column.c: how a source's columns become channels.
 *
 * A column's kind follows from its type unless option columns says otherwise.
 * One channel is one float of a row: numbers and categories have one, dates and
 * timestamps have parts or the distance to a reference column, arrays have one
 * an element. Types nothing can be learned from are refused with the way out.
 */
#include "column.h"
#include "tokens.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#define MAX_CHANNELS 65536
#define LIST_LENGTH 30			/* names a HINT lists at most */

const char *const idla_kind_names[] = {
	"number", "boolean", "category", "date", "timestamp", "timestamptz", "time", "interval", "array",
	"image", "signal", "text", "series", "summary", NULL
};

static const char *const date_parts[] = {"days", "month", "weekday", "hour"};

static bool
is_number(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID ||
		type == FLOAT4OID || type == FLOAT8OID || type == NUMERICOID;
}

IdlaFamily
idla_type_family(Oid type)
{
	char		category;
	bool		preferred;
	Oid			element;

	if (!OidIsValid(type))
		return IDLA_FAMILY_REFUSED;
	if (is_number(type))
		return IDLA_FAMILY_NUMBER;
	switch (type)
	{
		case BOOLOID:
			return IDLA_FAMILY_BOOLEAN;
		case BYTEAOID:
			return IDLA_FAMILY_BYTES;
		case DATEOID:
			return IDLA_FAMILY_DATE;
		case TIMESTAMPOID:
			return IDLA_FAMILY_TIMESTAMP;
		case TIMESTAMPTZOID:
			return IDLA_FAMILY_TIMESTAMPTZ;
		case TIMEOID:
			return IDLA_FAMILY_TIME;
		case INTERVALOID:
			return IDLA_FAMILY_INTERVAL;
		case CHAROID:
			return IDLA_FAMILY_STRING;
		case UUIDOID:
		case INETOID:
		case CIDROID:
		case MACADDROID:
		case MACADDR8OID:
		case BITOID:
		case VARBITOID:
			return IDLA_FAMILY_WORD;
		default:
			break;
	}
	if (type_is_enum(type))
		return IDLA_FAMILY_STRING;
	element = get_element_type(type);
	if (OidIsValid(element))
		return is_number(getBaseType(element)) ? IDLA_FAMILY_ARRAY :
			idla_is_token_array(type) ? IDLA_FAMILY_TOKENS : IDLA_FAMILY_REFUSED;
	if (!type_is_rowtype(type))
	{
		get_type_category_preferred(type, &category, &preferred);
		if (category == TYPCATEGORY_STRING)
			return IDLA_FAMILY_STRING;
	}
	return IDLA_FAMILY_REFUSED;
}

static int
kind_of_family(IdlaFamily family)
{
	switch (family)
	{
		case IDLA_FAMILY_NUMBER:
			return IDLA_NUMBER;
		case IDLA_FAMILY_BOOLEAN:
			return IDLA_BOOLEAN;
		case IDLA_FAMILY_STRING:
			return IDLA_CATEGORY;
		case IDLA_FAMILY_DATE:
			return IDLA_DATE;
		case IDLA_FAMILY_TIMESTAMP:
			return IDLA_TIMESTAMP;
		case IDLA_FAMILY_TIMESTAMPTZ:
			return IDLA_TIMESTAMPTZ;
		case IDLA_FAMILY_TIME:
			return IDLA_TIME;
		case IDLA_FAMILY_INTERVAL:
			return IDLA_INTERVAL;
		case IDLA_FAMILY_ARRAY:
			return IDLA_ARRAY;
		case IDLA_FAMILY_TOKENS:
			return IDLA_TEXT;
		case IDLA_FAMILY_BYTES:
			return IDLA_IMAGE;
		case IDLA_FAMILY_WORD:
		case IDLA_FAMILY_REFUSED:
			break;
	}
	return -1;
}

/* Types whose text is the same in every session; float, date and interval text is not. */
static bool
can_be_category(Oid type, IdlaFamily family)
{
	return family == IDLA_FAMILY_STRING || family == IDLA_FAMILY_WORD || family == IDLA_FAMILY_BOOLEAN ||
		(family == IDLA_FAMILY_NUMBER && type != FLOAT4OID && type != FLOAT8OID);
}

bool
idla_type_fits(const IdlaColumn *column, Oid actual)
{
	IdlaFamily	family = idla_type_family(actual);

	if (column->kind == IDLA_CATEGORY)
	{
		/* A type of the user's own has another Oid after a restore: it was a string, and a string it must be. */
		IdlaFamily	trained = OidIsValid(column->type) ? idla_type_family(column->type) : IDLA_FAMILY_STRING;

		return family == trained && can_be_category(actual, family);
	}
	if (column->kind == IDLA_TEXT)
		return family == IDLA_FAMILY_STRING || family == IDLA_FAMILY_TOKENS;
	if (column->kind == IDLA_SIGNAL || column->kind == IDLA_SERIES || column->kind == IDLA_SUMMARY)
		return family == IDLA_FAMILY_ARRAY;
	if (column->kind == IDLA_IMAGE)
		return family == (column->type == BYTEAOID ? IDLA_FAMILY_BYTES : IDLA_FAMILY_ARRAY);
	return kind_of_family(family) == (int) column->kind;
}

int
idla_kind_channels(const IdlaColumn *column)
{
	switch (column->kind)
	{
		case IDLA_DATE:
			return column->reference != NULL ? 1 : 3;
		case IDLA_TIMESTAMP:
		case IDLA_TIMESTAMPTZ:
			return column->reference != NULL ? 1 : 4;
		case IDLA_ARRAY:
			return column->array_length;
		case IDLA_IMAGE:
		case IDLA_SIGNAL:
		case IDLA_TEXT:
		case IDLA_SERIES:
			return 0;
		case IDLA_SUMMARY:
			return LEARN_SERIES_STATISTICS;
		case IDLA_NUMBER:
		case IDLA_BOOLEAN:
		case IDLA_CATEGORY:
		case IDLA_TIME:
		case IDLA_INTERVAL:
			break;
	}
	return 1;
}

char *
idla_channel_name(const IdlaColumn *column, int i)
{
	if (column->kind == IDLA_ARRAY)
		return psprintf("%s[%d]", column->name, i + 1);
	if (column->kind == IDLA_SUMMARY)
		return psprintf("%s.%s", column->name, learn_series_statistic_names[i]);
	if (column->kind == IDLA_DATE || column->kind == IDLA_TIMESTAMP || column->kind == IDLA_TIMESTAMPTZ)
		return psprintf("%s.%s", column->name, date_parts[i]);
	return pstrdup(column->name);
}

bool
idla_column_used(const IdlaColumns *columns, int column)
{
	const IdlaColumn *wanted = &columns->columns[column];

	if (wanted->field >= 0)
		return true;
	for (int i = 0; i < wanted->n_channels; i++)
	{
		const LearnChannel *channel = &columns->channels[wanted->first_channel + i];

		if (channel->number_input >= 0 || channel->indicator_input >= 0 || channel->code_input >= 0)
			return true;
	}
	return false;
}

int
idla_attribute_find(TupleDesc desc, const char *name)
{
	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped && strcmp(NameStr(TupleDescAttr(desc, i)->attname), name) == 0)
			return i;
	return -1;
}

char *
idla_attribute_list(TupleDesc desc)
{
	StringInfoData list;
	int			n = 0;
	int			live = 0;

	for (int i = 0; i < desc->natts; i++)
		live += !TupleDescAttr(desc, i)->attisdropped;
	initStringInfo(&list);
	for (int i = 0; i < desc->natts && n < LIST_LENGTH; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped)
			continue;
		if (n++ > 0)
			appendStringInfoString(&list, ", ");
		appendStringInfoString(&list, NameStr(attribute->attname));
	}
	if (live > n)
		appendStringInfo(&list, " and %d more", live - n);
	return list.data;
}

const IdlaOverride *
idla_override_find(const IdlaOverride *overrides, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(overrides[i].name, name) == 0)
			return &overrides[i];
	return NULL;
}

static void
refuse_type(const char *name, Oid type)
{
	const char *way_out = "Leave the column out with the option columns => {\"%s\": \"ignore\"}.";

	if (idla_type_family(type) == IDLA_FAMILY_WORD)
		way_out = "Take it as a category with the option columns => {\"%s\": {\"kind\": \"category\"}}, "
			"or leave it out with \"ignore\".";
	else if (type == TIMETZOID)
		way_out = "Cast column \"%s\" to time in the source, or leave it out with the option columns.";
	else if (type == MONEYOID)
		way_out = "Cast column \"%s\" to numeric in the source, or leave it out with the option columns.";
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of type %s cannot be an input", name, format_type_be(type)),
			 errdetail("Inputs are numbers, booleans, text and enum categories, dates, times, intervals, "
					   "arrays of numbers, images in bytea and free text."),
			 errhint(way_out, name)));
}

/* The first key that only signals have, or NULL. */
static const char *
signal_key(const IdlaOverride *override)
{
	return override->rate > 0 ? "rate" : override->to_rate > 0 ? "to_rate" : override->part >= 0 ? "part" :
		override->window > 0 ? "window" : override->stride > 0 ? "stride" : override->normalize >= 0 ? "normalize" : NULL;
}

/* Only an image has a height; only a signal has a rate: that says what an array is. */
static int
kind_by_keys(const IdlaOverride *override)
{
	if (override->height > 0 || override->width > 0 || override->depth > 0 || override->crop > 0 || override->fitting >= 0)
		return IDLA_IMAGE;
	if (signal_key(override) != NULL)
		return IDLA_SIGNAL;
	return IDLA_ARRAY;
}

static IdlaKind
choose_kind(const char *name, Oid type, const IdlaOverride *override)
{
	IdlaFamily	family = idla_type_family(type);
	int			natural = kind_of_family(family);
	int			wanted = override != NULL ? override->kind : -1;

	if (wanted < 0)
	{
		if (natural < 0)
			refuse_type(name, type);
		return (IdlaKind) (natural == IDLA_ARRAY && override != NULL ? kind_by_keys(override) : natural);
	}
	if (wanted == natural || (wanted == IDLA_CATEGORY && can_be_category(type, family)) ||
		(wanted == IDLA_NUMBER && natural == IDLA_BOOLEAN) ||
		((wanted == IDLA_IMAGE || wanted == IDLA_SIGNAL) && natural == IDLA_ARRAY) ||
		(wanted == IDLA_TEXT && natural == IDLA_CATEGORY))
		return natural == IDLA_BOOLEAN && wanted == IDLA_NUMBER ? IDLA_BOOLEAN : (IdlaKind) wanted;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("column \"%s\" of type %s cannot be taken as kind \"%s\"",
					name, format_type_be(type), idla_kind_names[wanted]),
			 errhint("Cast the column in the source, or leave it out with \"ignore\".")));
}

/* A date may be counted from any date or timestamp of the same source. */
static void
set_reference(TupleDesc desc, IdlaColumn *column, const char *reference)
{
	int			found;
	int			kind;

	if (column->kind != IDLA_DATE && column->kind != IDLA_TIMESTAMP && column->kind != IDLA_TIMESTAMPTZ)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" of type %s cannot have a reference", column->name, column->type_name),
				 errhint("Only dates and timestamps are counted from a reference column.")));
	found = idla_attribute_find(desc, reference);
	if (found < 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("reference \"%s\" of column \"%s\" is not a column of the source", reference, column->name),
				 errhint("The source has the columns %s.", idla_attribute_list(desc))));
	column->reference_type = getBaseType(TupleDescAttr(desc, found)->atttypid);
	kind = kind_of_family(idla_type_family(column->reference_type));
	if ((kind != IDLA_DATE && kind != IDLA_TIMESTAMP && kind != IDLA_TIMESTAMPTZ) ||
		strcmp(reference, column->name) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" cannot be counted from \"%s\"", column->name, reference),
				 errhint("A reference is another column of type date or timestamp.")));
	column->reference = pstrdup(reference);
}

static void
complain_key(const IdlaColumn *column, const char *key, const char *whose)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("column \"%s\" of kind \"%s\" has no \"%s\"", column->name, idla_kind_names[column->kind], key),
			 errhint("\"%s\" is for %s.", key, whose)));
}

/* A signal is seen in windows, or some part of it is seen. */
static void
check_window(const IdlaColumn *column, const IdlaOverride *override)
{
	if (override->window > 0 && (override->length > 0 || override->part >= 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" has a \"window\" and a \"%s\"", column->name, override->length > 0 ? "length" : "part"),
				 errdetail("With windows the network sees all of a signal, a window at a time; \"length\" and \"part\" say what is kept of one "
						   "that it sees at once."),
				 errhint("Leave one of them out.")));
	if (override->stride > 0 && override->window == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" has a \"stride\" and no \"window\"", column->name),
				 errhint("\"window\" says how many samples the network sees at a time, and \"stride\" how many lie from one window's start "
						 "to the next.")));
	if (override->stride > override->window)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"stride\" %d of column \"%s\" is above its \"window\", which is %d", override->stride, column->name,
						override->window),
				 errdetail("No window would have the samples between one and the next.")));
}

/* Sizes and the like are for some kinds only. */
static void
check_shape(const IdlaColumn *column, const IdlaOverride *override)
{
	bool		image = column->kind == IDLA_IMAGE;
	bool		signal = column->kind == IDLA_SIGNAL;

	if (override == NULL)
		return;
	if (!image && (override->height > 0 || override->width > 0))
		complain_key(column, override->height > 0 ? "height" : "width", "images");
	if (!image && (override->depth > 0 || override->crop > 0 || override->fitting >= 0))
		complain_key(column, override->depth > 0 ? "depth" : override->crop > 0 ? "crop" : "fitting", "images");
	if (!signal && signal_key(override) != NULL)
		complain_key(column, signal_key(override), "signals");
	/* What looks like a category may yet turn out to be text. */
	if (column->kind != IDLA_TEXT && column->kind != IDLA_CATEGORY &&
		(override->pieces > 0 || override->lowercase >= 0 || override->vocabulary != NULL || override->kept >= 0))
		complain_key(column, override->pieces > 0 ? "pieces" : override->lowercase >= 0 ? "lowercase" :
					 override->vocabulary != NULL ? "vocabulary" : "truncate", "texts");
	if ((image || signal) && override->scaling >= 0)
		complain_key(column, "scaling", image ? "numbers; images are centred and scaled by channel" :
					 "numbers; signals have \"normalize\"");
	if ((override->to_rate > 0) != (override->rate > 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" has a \"%s\" and no \"%s\"", column->name, override->rate > 0 ? "rate" : "to_rate",
						override->rate > 0 ? "to_rate" : "rate"),
				 errhint("Resampling needs both: the samples a second of the source, and those that are wanted.")));
	check_window(column, override);
}

static void
check_overrides(TupleDesc desc, const IdlaOverride *overrides, int n_overrides)
{
	for (int i = 0; i < n_overrides; i++)
	{
		const char **names;
		const char *nearest;
		int			n = 0;

		if (idla_attribute_find(desc, overrides[i].name) >= 0)
			continue;
		names = palloc0(sizeof(char *) * ((Size) desc->natts + 1));
		for (int j = 0; j < desc->natts; j++)
			if (!TupleDescAttr(desc, j)->attisdropped)
				names[n++] = NameStr(TupleDescAttr(desc, j)->attname);
		nearest = idla_nearest(overrides[i].name, names);
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("option columns names \"%s\", which is not a column of the source", overrides[i].name),
				 nearest != NULL ? errhint("Perhaps you meant \"%s\".", nearest) :
				 errhint("The source has the columns %s.", idla_attribute_list(desc))));
	}
}

void
idla_columns_plan(TupleDesc desc, const List *skip, const IdlaOverride *overrides, int n_overrides,
				  IdlaColumns *columns)
{
	check_overrides(desc, overrides, n_overrides);
	memset(columns, 0, sizeof(*columns));
	columns->columns = palloc0(sizeof(IdlaColumn) * Max(desc->natts, 1));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		const char *name = NameStr(attribute->attname);
		const IdlaOverride *override = idla_override_find(overrides, n_overrides, name);
		IdlaColumn *column = &columns->columns[columns->n];
		bool		skipped = false;
		ListCell   *cell;

		foreach(cell, skip)
			skipped |= strcmp((const char *) lfirst(cell), name) == 0;
		if (attribute->attisdropped || skipped || (override != NULL && override->ignore))
			continue;
		column->name = pstrdup(name);
		column->type = getBaseType(attribute->atttypid);
		column->type_name = format_type_be(column->type);
		column->kind = choose_kind(name, column->type, override);
		if (override != NULL && override->reference != NULL)
			set_reference(desc, column, override->reference);
		column->field = -1;
		if (override != NULL && override->length > 0)
		{
			if (column->kind != IDLA_ARRAY && column->kind != IDLA_SIGNAL && column->kind != IDLA_TEXT)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("column \"%s\" of type %s has no length", name, column->type_name)));
			if (column->kind == IDLA_ARRAY && override->kind == IDLA_ARRAY)
				column->array_length = override->length;
		}
		check_shape(column, override);
		columns->n++;
	}
	if (columns->n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the source has no input columns"),
				 errhint("Inputs are the columns that are neither target, event, group, order or part, nor ignored.")));
}

void
idla_columns_channels(IdlaColumns *columns, const IdlaOverride *overrides, int n_overrides,
					  LearnScaling scaling, IdlaWork *work)
{
	int64		n = 0;

	for (int i = 0; i < columns->n; i++)
		n += idla_kind_channels(&columns->columns[i]);
	if (n > MAX_CHANNELS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the source has %lld values a row, more than %d", (long long) n, MAX_CHANNELS),
				 errhint("Arrays count one value an element; ignore some columns.")));
	columns->n_channels = 0;
	columns->channels = dev_alloc(work->session, (size_t) n + 1, sizeof(LearnChannel));
	if (columns->channels == NULL)
		idla_raise(work);
	for (int i = 0; i < columns->n; i++)
	{
		IdlaColumn *column = &columns->columns[i];
		const IdlaOverride *override = idla_override_find(overrides, n_overrides, column->name);

		column->first_channel = columns->n_channels;
		column->n_channels = idla_kind_channels(column);
		for (int j = 0; j < column->n_channels; j++)
		{
			LearnChannel *channel = &columns->channels[columns->n_channels++];
			char	   *name = idla_channel_name(column, j);

			channel->name = dev_strdup(work->session, name);
			if (channel->name == NULL)
				idla_raise(work);
			pfree(name);
			channel->column = i;
			channel->kind = column->kind == IDLA_CATEGORY ? LEARN_CATEGORY : LEARN_NUMBER;
			channel->scaling = scaling;
			/* Elements of an array are measured, however different they are from row to row. */
			channel->use = column->kind == IDLA_ARRAY ? LEARN_USE_KEEP : LEARN_USE_AUTO;
			if (override != NULL && (override->keep || override->kind >= 0 || override->scaling >= 0))
				channel->use = LEARN_USE_KEEP;
			if (override != NULL && override->scaling >= 0)
				channel->scaling = (LearnScaling) override->scaling;
			channel->number_input = channel->indicator_input = channel->code_input = NN_NONE;
		}
	}
}

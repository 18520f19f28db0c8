/*
 * look.c: the first look at columns whose kind or size their type leaves open.
 *
 * Rows wait in a tuplestore meanwhile. A text column holds categories or free text; an array is a fixed
 * handful of numbers, a signal, or the pixels of an image; an image has the size of the first one unless the user wants another.
 */
#include "column.h"
#include "series.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "common/hashfn.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"

#define SIGNAL_SAMPLES 64		/* arrays of so many numbers are signals */
#define LONGEST_CATEGORY 200	/* mean bytes beyond which a text is no category */
#define FEWEST_TEXTS 50
#define WORDS_OF_PROSE 4.0		/* blanks in a mostly different text that make it free text */
#define LONGEST_SIGNAL 65536	/* samples of a network's input */
#define LONGEST_TEXT 8192		/* tokens of a network's input */
#define MOST_PIXELS ((int64) 1 << 24)

bool
idla_look_needed(const IdlaColumn *column, const IdlaOverride *override)
{
	switch (column->kind)
	{
		case IDLA_ARRAY:
			return column->array_length == 0;
		case IDLA_IMAGE:
		case IDLA_SIGNAL:
			return true;
		case IDLA_CATEGORY:
			return idla_type_family(column->type) == IDLA_FAMILY_STRING && column->type != CHAROID && column->type != NAMEOID &&
				(override == NULL || override->kind < 0);
		default:
			return false;
	}
}

static void
look_at_array(IdlaLook *look, Datum value)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	int			n_dims = ARR_NDIM(array);
	int			samples = n_dims == 2 ? ARR_DIMS(array)[1] : ArrayGetNItems(n_dims, ARR_DIMS(array));

	/* An empty array settles nothing. */
	if (n_dims == 0)
	{
		if ((Pointer) array != DatumGetPointer(value))
			pfree(array);
		return;
	}
	if (look->n == 0)
	{
		look->n_dims = n_dims;
		for (int i = 0; i < n_dims && i < 3; i++)
			look->dims[i] = ARR_DIMS(array)[i];
		look->first = look->longest = samples;
	}
	look->longest = Max(look->longest, samples);
	look->n++;
	if ((Pointer) array != DatumGetPointer(value))
		pfree(array);
}

static void
look_at_image(IdlaLook *look, Datum value)
{
	struct varlena *bytes;
	LearnTrouble trouble;

	if (look->n++ > 0)
		return;
	bytes = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(value));
	/* A first image that cannot be read settles nothing; the next one may. */
	if (!learn_image_info(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes), &look->image, &trouble))
	{
		look->n = 0;
		if (!look->unreadable)
			look->trouble = trouble;
		look->unreadable = true;
	}
	if ((Pointer) bytes != DatumGetPointer(value))
		pfree(bytes);
}

static void
look_at_text(IdlaLook *look, Datum value)
{
	struct varlena *text = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(value));
	const char *bytes = VARDATA_ANY(text);
	Size		size = VARSIZE_ANY_EXHDR(text);
	uint64		hash = hash_bytes_extended((const unsigned char *) bytes, (int) size, 0);
	bool		found;

	if (look->seen == NULL)
	{
		HASHCTL		how = {.keysize = sizeof(uint64),.entrysize = sizeof(uint64),.hcxt = CurrentMemoryContext};

		look->seen = hash_create("idla first texts", 1024, &how, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	(void) hash_search(look->seen, &hash, HASH_ENTER, &found);
	look->n_different += !found;
	look->n++;
	look->bytes += size;
	for (Size i = 0; i < size; i++)
		look->blanks += bytes[i] == ' ';
	if ((Pointer) text != DatumGetPointer(value))
		pfree(text);
}

void
idla_look_add(IdlaLook *look, const IdlaColumn *column, Datum value)
{
	if (column->kind == IDLA_CATEGORY && idla_type_family(column->type) == IDLA_FAMILY_STRING)
	{
		/* Enums are strings to us, and no varlena. */
		if (column->type == TEXTOID || column->type == VARCHAROID || column->type == BPCHAROID)
			look_at_text(look, value);
	}
	else if (column->kind == IDLA_IMAGE && column->type == BYTEAOID)
		look_at_image(look, value);
	else
		look_at_array(look, value);
}

static bool
is_prose(const IdlaLook *look)
{
	return look->n > 0 && (look->bytes / look->n > LONGEST_CATEGORY ||
						   (look->n >= FEWEST_TEXTS && look->n_different > look->n / 2 &&
							(double) look->blanks / (double) look->n >= WORDS_OF_PROSE));
}

static void
settle_array(const IdlaLook *look, IdlaColumn *column, const IdlaOverride *override)
{
	/* How its numbers are scaled is a question for numbers. */
	bool		array = override != NULL && (override->kind == IDLA_ARRAY || override->scaling >= 0);

	if (!array && look->n > 0 && look->n_dims == 3)
		column->kind = IDLA_IMAGE;
	else if (!array && look->n > 0 &&
			 (look->n_dims == 2 || look->longest >= SIGNAL_SAMPLES))
		column->kind = IDLA_SIGNAL;
	else
		column->array_length = override != NULL && override->length > 0 ? override->length : look->first;
}

void
idla_look_settle(const IdlaLook *look, IdlaColumn *column, const IdlaOverride *override)
{
	if (column->kind == IDLA_ARRAY)
		settle_array(look, column, override);
	else if (column->kind == IDLA_CATEGORY && is_prose(look))
		column->kind = IDLA_TEXT;
}

/* ---- sizes ---- */

static void
complain_shape(const IdlaColumn *column, const char *what, int n)
{
	ereport(ERROR,
			(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
			 errmsg("column \"%s\" has an array of %d dimensions, which is no %s", column->name, n, what),
			 errhint("An image is (height, width) or (height, width, channels), a signal (samples) or (leads, samples).")));
}

static void
describe_image(const IdlaLook *look, const IdlaColumn *column, const IdlaOverride *override, LearnField *field)
{
	bool		file = column->type == BYTEAOID;
	size_t		height = (size_t) look->dims[0];
	size_t		width = (size_t) look->dims[1];
	int			depth = look->n_dims == 3 ? look->dims[2] : 1;

	if (file)
	{
		height = look->image.height;
		width = look->image.width;
		depth = look->image.channels >= 3 ? 3 : 1;
	}
	else if (look->n > 0 && look->n_dims != 2 && look->n_dims != 3)
		complain_shape(column, "image", look->n_dims);
	field->kind = LEARN_IMAGE;
	field->sample = !file ? LEARN_SAMPLE_F32 : look->image.bits > 8 ? LEARN_SAMPLE_U16 : LEARN_SAMPLE_U8;
	field->dims[0] = height;
	field->dims[1] = width;
	field->dims[2] = (size_t) depth;
	field->same_size = override == NULL ||
		(override->height == 0 && override->width == 0 && override->crop == 0 && override->fitting < 0);
	field->same_depth = override == NULL || override->depth == 0;
	if (override == NULL)
		return;
	if (override->crop > 0)
		field->crop[0] = field->crop[1] = field->dims[0] = field->dims[1] = (size_t) override->crop;
	if (override->height > 0)
		field->dims[0] = (size_t) override->height;
	if (override->width > 0)
		field->dims[1] = (size_t) override->width;
	if (override->depth > 0)
		field->dims[2] = (size_t) override->depth;
	if (override->fitting >= 0)
		field->fitting = (LearnFitting) override->fitting;
}

static void
describe_signal(const IdlaLook *look, const IdlaColumn *column, const IdlaOverride *override, LearnField *field)
{
	size_t		length = (size_t) look->longest;

	if (look->n_dims > 2)
		complain_shape(column, "signal", look->n_dims);
	field->kind = LEARN_SIGNAL;
	field->sample = LEARN_SAMPLE_F32;
	field->dims[1] = look->n_dims == 2 ? (size_t) look->dims[0] : 1;
	if (override != NULL && override->rate > 0)
	{
		field->rate = override->rate;
		field->to_rate = override->to_rate;
		/* What is far beyond the limit needs no exact size. */
		length = (size_t) Min((double) length * override->to_rate / override->rate + 0.999, 2.0 * LONGEST_SIGNAL);
	}
	if (override != NULL && override->length > 0)
		length = (size_t) override->length;
	if (override != NULL && override->window > 0)
	{
		length = (size_t) override->window;
		field->stride = (size_t) (override->stride > 0 ? override->stride : override->window);
	}
	if (override != NULL && override->part >= 0)
		field->keep = (LearnCrop) override->part;
	if (override != NULL && override->normalize >= 0)
		field->scaling = (LearnSignalScaling) override->normalize;
	field->dims[0] = length;
}

/* The option vocabulary is the text of a vocab.txt. */
static void
read_vocabulary(const IdlaColumn *column, const char *text, LearnField *field, IdlaWork *work)
{
	char	   *utf8 = pg_server_to_any(text, (int) strlen(text), PG_UTF8);

	if (learn_vocabulary_read(work->session, utf8, strlen(utf8), field->lowercase, &field->vocabulary) == DEV_OK)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the vocabulary of column \"%s\" cannot be used: %s", column->name, idla_whole_characters(dev_message_text(work->session))),
			 errhint("It is the text of a vocab.txt: one piece a line.")));
}

static void
describe_text(const IdlaColumn *column, const IdlaOverride *override, LearnField *field, IdlaWork *work)
{
	field->kind = LEARN_TEXT;
	field->lowercase = override == NULL || override->lowercase != 0;
	if (override == NULL)
		return;
	field->dims[0] = (size_t) override->length;
	field->wanted_pieces = (size_t) override->pieces;
	if (override->kept >= 0)
		field->kept = (LearnKeep) override->kept;
	if (override->vocabulary != NULL)
		read_vocabulary(column, override->vocabulary, field, work);
}

static void
describe_series(LearnSeriesPlan *plan, LearnField *field)
{
	field->kind = LEARN_SERIES;
	field->sample = LEARN_SAMPLE_F32;
	field->dims[0] = plan->n_bins;
	field->dims[1] = (size_t) plan->n_channels;
	field->series = plan;
}

static void
check_size(const IdlaLook *look, const LearnField *field)
{
	int64		n = (int64) field->dims[0];

	if (field->kind != LEARN_TEXT)
		n *= (int64) field->dims[1];
	if (field->kind == LEARN_IMAGE)
		n *= (int64) field->dims[2];

	if (field->kind == LEARN_TEXT && field->dims[0] <= LONGEST_TEXT)
		return;
	if (field->kind != LEARN_TEXT && (field->dims[0] == 0 || field->dims[1] == 0))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("column \"%s\" has no value in any of the first rows that could be taken as %s", field->name,
						field->kind == LEARN_IMAGE ? "an image" : "a signal"),
				 look->unreadable ? errdetail("The first one: %s.", look->trouble.message) : 0,
				 errhint("Leave it out with the option columns => {\"%s\": \"ignore\"}.", field->name)));
	if (n > MOST_PIXELS || (field->kind == LEARN_SIGNAL && field->dims[0] > LONGEST_SIGNAL) || field->kind == LEARN_TEXT)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("values of column \"%s\" are too large: %lld numbers", field->name, (long long) n),
				 field->kind == LEARN_TEXT ? errhint("A text is read up to %d tokens.", LONGEST_TEXT) :
				 field->kind == LEARN_IMAGE ?
				 errhint("Make images smaller with the option columns => {\"%s\": {\"height\": 64, \"width\": 64}}.", field->name) :
				 errhint("Crop, cut or resample signals with \"length\", \"window\", or \"rate\" and \"to_rate\" in the option columns.")));
}

void
idla_columns_fields(IdlaColumns *columns, const IdlaLook *looks, const IdlaOverride *overrides, int n_overrides, IdlaWork *work)
{
	columns->n_fields = 0;
	columns->fields = dev_alloc(work->session, (size_t) columns->n + 1, sizeof(LearnField));
	if (columns->fields == NULL)
		idla_raise(work);
	for (int i = 0; i < columns->n; i++)
	{
		IdlaColumn *column = &columns->columns[i];
		const IdlaOverride *override = idla_override_find(overrides, n_overrides, column->name);
		LearnField *field = &columns->fields[columns->n_fields];

		column->field = -1;
		if (column->kind != IDLA_IMAGE && column->kind != IDLA_SIGNAL && column->kind != IDLA_SERIES && column->kind != IDLA_TEXT)
			continue;
		memset(field, 0, sizeof(*field));
		field->name = dev_strdup(work->session, column->name);
		if (field->name == NULL)
			idla_raise(work);
		field->column = i;
		if (column->kind == IDLA_IMAGE)
			describe_image(&looks[i], column, override, field);
		else if (column->kind == IDLA_TEXT)
			describe_text(column, override, field, work);
		else if (column->kind == IDLA_SERIES)
			describe_series(&columns->series->plan, field);
		else
			describe_signal(&looks[i], column, override, field);
		check_size(&looks[i], field);
		column->field = columns->n_fields++;
	}
}

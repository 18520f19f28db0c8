/*
 * manifest_field.c: the fields of a model, images and their like, out of a manifest that anyone may have written.
 */
#include "manifest.h"

#include <math.h>

#include "column.h"
#include "series.h"

#include "mb/pg_wchar.h"

#define MOST_SIDE 65536
#define MOST_TOKENS 8192
#define MOST_ENTRIES 1000000
#define MOST_VIEWS 64
#define MOST_VALUES ((size_t) 1 << 24)

/* By LearnLexiconTable. */
const char *const idla_lexicon_keys[LEARN_TABLES] = {
	"words", "letters", "prefix2", "prefix3", "prefix4", "suffix2", "suffix3", "suffix4"
};

static void
read_sizes(JsonbContainer *object, const char *key, int n, size_t *sizes)
{
	int			found;
	JsonbValue *values = idla_json_array(object, key, n, n, &found);

	for (int i = 0; i < n; i++)
		sizes[i] = (size_t) idla_json_integer_of(&values[i], 0, MOST_SIDE, key);
}

static float *
read_floats(IdlaModel *model, JsonbContainer *object, const char *key, size_t n)
{
	int			found;
	JsonbValue *values = idla_json_array(object, key, (int) n, (int) n, &found);
	float	   *floats = idla_keep(model->work, n, sizeof(float));

	for (size_t i = 0; i < n; i++)
	{
		floats[i] = (float) idla_json_double_of(&values[i], key);
		if (!isfinite(floats[i]))
			idla_corrupt("Key \"%s\" of a field does not fit into a real", key);
	}
	return floats;
}

/* ---- texts ---- */

static const char **
read_texts(JsonbContainer *object, const char *key, int low, int high, int *n)
{
	JsonbValue *values = idla_json_array(object, key, low, high, n);
	const char **texts = palloc(sizeof(char *) * (Size) Max(*n, 1));

	for (int i = 0; i < *n; i++)
	{
		char	   *text = idla_json_string_of(&values[i], key);

		texts[i] = pg_server_to_any(text, (int) strlen(text), PG_UTF8);
	}
	return texts;
}

static void
read_lexicon(IdlaModel *model, JsonbContainer *object, LearnField *field)
{
	LearnLexiconPlan plan = {.min_count = 1,.min_affix_count = 1};
	const char *const *entries[LEARN_TABLES];
	size_t		sizes[LEARN_TABLES];
	const char **labels;
	int			n;

	field->characters = plan.characters = (size_t) idla_json_integer(object, "characters", 2, LEARN_WORD_CHARACTERS);
	for (int i = 0; i < LEARN_TABLES; i++)
	{
		entries[i] = read_texts(object, idla_lexicon_keys[i], 0, MOST_ENTRIES, &n);
		sizes[i] = (size_t) n;
	}
	idla_check(model->work, learn_lexicon_restore(model->work->session, &plan, sizes, entries, &field->lexicon));
	labels = read_texts(object, "labels", 1, LEARN_MAX_LABELS, &n);
	idla_check(model->work, learn_labels_restore(model->work->session, n, labels, &field->labels));
	model->learn.labels = field->labels;
}

static void
read_text(IdlaModel *model, JsonbContainer *object, LearnField *field)
{
	const char **pieces;
	int			n;

	field->lowercase = idla_json_bool(object, "lowercase");
	field->kept = (LearnKeep) idla_json_integer(object, "kept", LEARN_KEEP_HEAD, LEARN_KEEP_BOTH);
	field->tagged = idla_json_bool(object, "tagged");
	if (field->dims[0] < 1 || field->dims[0] > MOST_TOKENS || field->dims[1] != 0 || field->dims[2] != 0)
		idla_corrupt("Key \"dims\" of a text makes %zu tokens", field->dims[0]);
	if (field->tagged != (model->learn.task == LEARN_TAGGING))
		idla_corrupt("Key \"tagged\" of a text does not fit the task");
	if (field->tagged)
	{
		read_lexicon(model, object, field);
		return;
	}
	pieces = read_texts(object, "pieces", 1, LEARN_MAX_PIECES, &n);
	idla_check(model->work, learn_vocabulary_restore(model->work->session, field->lowercase, (size_t) n, pieces, &field->vocabulary));
}

/* ---- one field ---- */

static void
check_kind(const LearnField *field, const IdlaColumn *column)
{
	static const IdlaKind kinds[] = {IDLA_IMAGE, IDLA_SIGNAL, IDLA_SERIES, IDLA_TEXT};	/* by LearnFieldKind */
	IdlaKind	kind = kinds[field->kind];
	size_t		size = field->dims[0] * field->dims[1];

	if (column->kind != kind || column->field >= 0)
		idla_corrupt("A field does not belong to column \"%s\"", column->name);
	if (field->stride > 0 && (field->kind != LEARN_SIGNAL || field->stride > field->dims[0]))
		idla_corrupt("Key \"stride\" of a field is %zu", field->stride);
	if (field->kind == LEARN_TEXT)
		return;
	if (field->kind == LEARN_IMAGE)
		size *= field->dims[2];
	if (size == 0 || size > MOST_VALUES)
		idla_corrupt("Key \"dims\" of a field makes %zu values", size);
	if (field->kind != LEARN_IMAGE && field->sample != LEARN_SAMPLE_F32)
		idla_corrupt("Key \"sample\" of a signal is not a float");
}

/* The plan's channels are scaled as the field says. */
static void
join_series(LearnField *field, IdlaSeries *series)
{
	LearnSeriesPlan *plan = &series->plan;

	if (field->dims[0] != plan->n_bins || field->dims[1] != (size_t) plan->n_channels)
		idla_corrupt("Key \"dims\" of a field is not that of the series");
	for (int i = 0; i < plan->n_channels; i++)
	{
		if (!(field->scale[i] > 0))
			idla_corrupt("Key \"scale\" of a field is not positive");
		plan->channels[i].mean = (double) field->center[i];
		plan->channels[i].deviation = 1 / (double) field->scale[i];
	}
	field->series = plan;
}

static void
read_field(IdlaModel *model, JsonbContainer *object, int number)
{
	LearnField *field = &model->learn.fields[number];
	IdlaColumn *column;

	field->kind = (LearnFieldKind) idla_json_integer(object, "kind", LEARN_IMAGE, LEARN_TEXT);
	field->column = (int) idla_json_integer(object, "column", 0, model->columns.n - 1);
	field->sample = (LearnSample) idla_json_integer(object, "sample", LEARN_SAMPLE_U8, LEARN_SAMPLE_F32);
	read_sizes(object, "dims", 3, field->dims);
	field->same_size = idla_json_bool(object, "same_size");
	field->same_depth = idla_json_bool(object, "same_depth");
	field->fitting = (LearnFitting) idla_json_integer(object, "fitting", LEARN_FIT_STRETCH, LEARN_FIT_PAD);
	read_sizes(object, "crop", 2, field->crop);
	field->keep = (LearnCrop) idla_json_integer(object, "keep", LEARN_CROP_CENTER, LEARN_CROP_END);
	if (idla_json_find(object, "stride") != NULL)
		field->stride = (size_t) idla_json_integer(object, "stride", 1, MOST_SIDE);
	field->rate = idla_json_double(object, "rate");
	field->to_rate = idla_json_double(object, "to_rate");
	if (!(field->rate >= 0 && field->rate <= 1e9 && field->to_rate >= 0 && field->to_rate <= 1e9) ||
		(field->rate > 0) != (field->to_rate > 0))
		idla_corrupt("Keys \"rate\" and \"to_rate\" of a field make no sense");
	field->scaling = (LearnSignalScaling) idla_json_integer(object, "scaling", LEARN_SIGNAL_BY_LEAD, LEARN_SIGNAL_UNSCALED);
	if (field->kind == LEARN_TEXT)
		read_text(model, object, field);
	column = &model->columns.columns[field->column];
	check_kind(field, column);
	field->name = column->name;
	field->center = read_floats(model, object, "center", learn_field_depth(field));
	field->scale = read_floats(model, object, "scale", learn_field_depth(field));
	if (field->kind == LEARN_SERIES)
		join_series(field, model->columns.series);
	column->field = number;
}

static float
read_range(JsonbContainer *object, const LearnAugmentOption *option)
{
	double		value = idla_json_double(object, option->name);

	if (!(value >= option->minimum && value <= option->maximum * (1 + 1e-6)))
		idla_corrupt("Key \"%s\" of the views is \"%g\"", option->name, value);
	return (float) value;
}

/* Views of a row, and the ranges they are drawn from: none outside the bounds that training has. */
static void
read_views(IdlaModel *model, JsonbContainer *root)
{
	LearnAugment *augment;
	JsonbValue *kinds;

	if (idla_json_find(root, "views") == NULL)
		return;
	model->learn.n_views = (int) idla_json_integer(root, "views", 2, MOST_VIEWS);
	augment = idla_keep(model->work, 1, sizeof(LearnAugment));
	model->learn.augment = augment;
	kinds = idla_json_find(root, "view_ranges");
	if (kinds == NULL)
		idla_corrupt("Key \"view_ranges\" is missing");
	for (const LearnAugmentOption *option = learn_augment_options; option->name != NULL; option++)
	{
		JsonbValue *ranges = idla_json_find(idla_json_object_of(kinds, "view_ranges"), learn_augment_kind_names[option->kind]);
		JsonbContainer *object = ranges == NULL ? NULL : idla_json_object_of(ranges, "view_ranges");

		if (object != NULL && idla_json_find(object, option->name) != NULL)
			augment->values[learn_augment_position(option)] = read_range(object, option);
	}
}

void
idla_fields_read(IdlaModel *model, JsonbContainer *root)
{
	LearnModel *learn = &model->learn;
	JsonbValue *values;

	if (idla_json_find(root, "fields") != NULL)
	{
		values = idla_json_array(root, "fields", 1, model->columns.n, &learn->n_fields);
		learn->fields = idla_keep(model->work, (size_t) learn->n_fields, sizeof(LearnField));
		for (int i = 0; i < learn->n_fields; i++)
			read_field(model, idla_json_object_of(&values[i], "fields"), i);
	}
	read_views(model, root);
	model->columns.fields = learn->fields;
	model->columns.n_fields = learn->n_fields;
	for (int i = 0; i < model->columns.n; i++)
	{
		const IdlaColumn *column = &model->columns.columns[i];

		if (column->kind >= IDLA_IMAGE && column->kind != IDLA_SUMMARY && column->field < 0)
			idla_corrupt("Column \"%s\" has no field", column->name);
	}
}

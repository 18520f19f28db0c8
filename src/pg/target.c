/*
 * target.c: what is to be predicted.
 *
 * The target's type and values decide the task when the user does not: a
 * boolean or two values are binary, text and few integers are classes, other numbers
 * are regression. Classes are numbered in the order of their labels (bytes, as in the C
 * collation) or numbers; the last one is the positive one unless an option says otherwise.
 */
#include "reading.h"
#include "tokens.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define MAX_CLASSES 1000
#define FEW_INTEGERS 20			/* so many distinct integers are still taken for classes */
#define FEWEST_ROWS 10
#define FEWEST_OF_CLASS 3

typedef struct LabelEntry
{
	uint64		key;			/* hash of the label: must be first */
	int			code;
} LabelEntry;

/* ---- finding the columns ---- */

static int
require_column(TupleDesc desc, const char *name, const char *role)
{
	const char **names;
	const char *nearest;
	int			found = idla_attribute_find(desc, name);
	int			n = 0;

	if (found >= 0)
		return found;
	names = palloc0(sizeof(char *) * ((Size) desc->natts + 1));
	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped)
			names[n++] = NameStr(TupleDescAttr(desc, i)->attname);
	nearest = idla_nearest(name, names);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("%s \"%s\" is not a column of the source", role, name),
			 nearest != NULL ? errhint("Perhaps you meant \"%s\".", nearest) :
			 errhint("The source has the columns %s.", idla_attribute_list(desc))));
}

/* "a, b" -> a and b; quotes as in SQL keep commas and blanks. */
static List *
split_names(const char *text)
{
	List	   *names = NIL;
	char	   *copy = pstrdup(text);

	if (!SplitDirectoriesString(copy, ',', &names) || names == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a list of target columns", text),
				 errhint("Name one column, or several with commas between them.")));
	return names;
}

static void
find_targets(IdlaTarget *target, const char *text, const IdlaOptions *options, TupleDesc desc)
{
	List	   *names;
	ListCell   *cell;

	if (options->time != NULL || options->event != NULL)
	{
		if (options->time == NULL || options->event == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("options \"time\" and \"event\" go together")));
		names = list_make2(options->time, options->event);
	}
	else if (text == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a target is needed"),
				 errhint("Name the column to predict, or for survival the columns of time and event.")));
	else if (idla_attribute_find(desc, text) >= 0)
		names = list_make1(pstrdup(text));
	else
		names = split_names(text);

	target->n = 0;
	target->names = palloc0(sizeof(char *) * (Size) list_length(names));
	target->attributes = palloc0(sizeof(int) * (Size) list_length(names));
	target->types = palloc0(sizeof(Oid) * (Size) list_length(names));
	foreach(cell, names)
	{
		int			attribute = require_column(desc, lfirst(cell), "target");

		for (int i = 0; i < target->n; i++)
			if (target->attributes[i] == attribute)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("target \"%s\" is named twice", (char *) lfirst(cell))));
		/* The model keeps them as one text. */
		if (list_length(names) > 1 && strchr(lfirst(cell), ',') != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_NAME),
					 errmsg("target \"%s\" has a comma in its name", (char *) lfirst(cell)),
					 errhint("Give it another name in the source with AS.")));
		target->names[target->n] = lfirst(cell);
		target->attributes[target->n] = attribute;
		target->types[target->n] = getBaseType(TupleDescAttr(desc, attribute)->atttypid);
		target->n++;
	}
}

/* ---- what the types settle ---- */

static bool
is_number(Oid type)
{
	return idla_type_family(type) == IDLA_FAMILY_NUMBER;
}

static bool
is_numeric_label(Oid type)
{
	return type == BOOLOID || is_number(type);
}

static void
check_tags(const IdlaTarget *target)
{
	if (target->n > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("task \"tagging\" has one target column, not %d", target->n)));
	if (!idla_is_tags(target->types[0]))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("target \"%s\" of type %s holds no tags", target->names[0], format_type_be(target->types[0])),
				 errhint("Tags are a text[] beside a text[] of tokens, spans in jsonb beside a text, or a text in each row of a token "
						 "with the options \"entity\" and \"order_by\".")));
}

static void
check_types(const IdlaTarget *target)
{
	for (int i = 0; i < target->n; i++)
	{
		IdlaFamily	family = idla_type_family(target->types[i]);
		bool		number = family == IDLA_FAMILY_NUMBER || family == IDLA_FAMILY_BOOLEAN;
		bool		label = family == IDLA_FAMILY_STRING || family == IDLA_FAMILY_WORD;

		if (number || (label && target->n == 1 && target->task != LEARN_REGRESSION && target->task != LEARN_SURVIVAL))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("target \"%s\" of type %s cannot be learned%s", target->names[i], format_type_be(target->types[i]),
						label ? psprintf(" as a number") : ""),
				 errhint("Targets are numbers, booleans or labels; cast the column in the source.")));
	}
}

static bool
all_boolean(const IdlaTarget *target)
{
	for (int i = 0; i < target->n; i++)
		if (target->types[i] != BOOLOID)
			return false;
	return true;
}

static void
start_labels(IdlaTarget *target)
{
	HASHCTL		how;
	Oid			output;
	bool		is_varlena;

	memset(&how, 0, sizeof(how));
	how.keysize = sizeof(uint64);
	how.entrysize = sizeof(LabelEntry);
	how.hcxt = CurrentMemoryContext;
	target->codes = hash_create("idla target labels", 64, &how, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	target->label_capacity = 32;
	target->labels = palloc0(sizeof(char *) * (Size) target->label_capacity);
	target->values = palloc0(sizeof(double) * (Size) target->label_capacity);
	target->counts = palloc0(sizeof(uint64) * (Size) target->label_capacity);
	getTypeOutputInfo(target->types[0], &output, &is_varlena);
	fmgr_info(output, &target->output);
}

void
idla_target_open(IdlaTarget *target, const char *text, int task, const IdlaOptions *options, TupleDesc desc)
{
	memset(target, 0, sizeof(*target));
	if (task < 0 && options->time != NULL)
		task = LEARN_SURVIVAL;
	target->task = task;
	if (options->no_target && text == NULL && options->time == NULL && options->event == NULL)
		return;
	find_targets(target, text, options, desc);
	if (task < 0 && target->n == 1 && idla_is_tags(target->types[0]))
		target->task = task = LEARN_TAGGING;
	if (task == LEARN_TAGGING)
	{
		check_tags(target);
		return;
	}
	target->n_values = target->n;
	check_types(target);
	if (task == LEARN_SURVIVAL && target->n != 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("task \"survival\" needs two target columns, not %d", target->n),
				 errhint("Write them as 'time,event', or as options \"time\" and \"event\".")));
	if (target->n > 1 && (task == LEARN_BINARY || task == LEARN_MULTICLASS))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("task \"%s\" has one target column, not %d", learn_task_names[task], target->n)));
	if (task < 0 && target->n > 1)
		target->task = all_boolean(target) ? LEARN_MULTILABEL : LEARN_REGRESSION;
	if (task == LEARN_MULTILABEL && target->n < 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("task \"multilabel\" needs several target columns, one for each label"),
				 errhint("Write them as 'a,b,c'; for one yes or no use task => 'binary'.")));

	target->numeric = is_numeric_label(target->types[0]);
	target->inferred = target->task < 0;
	target->labelled = target->task == LEARN_BINARY || target->task == LEARN_MULTICLASS ||
		(target->inferred && !is_number(target->types[0]));
	target->undecided = target->inferred && !target->labelled;
	target->all_integer = true;
	if (target->labelled || target->undecided)
		start_labels(target);
}

/* ---- one row ---- */

static char *
number_label(double value, Oid type)
{
	if (type == BOOLOID)
		return pstrdup(value != 0 ? "true" : "false");
	if (value == floor(value) && fabs(value) < 1e15)
		return psprintf("%lld", (long long) value);
	return DatumGetCString(DirectFunctionCall1(float8out, Float8GetDatum(value)));
}

/* The text of a label that is no number; trailing blanks of char(n) mean nothing. */
static char *
text_label(FmgrInfo *output, Datum value, Oid type)
{
	char	   *text = OutputFunctionCall(output, value);
	Size		size = strlen(text);

	while (type == BPCHAROID && size > 0 && text[size - 1] == ' ')
		text[--size] = '\0';
	return text;
}

static void
grow_labels(IdlaTarget *target)
{
	if (target->n_labels < target->label_capacity)
		return;
	target->label_capacity *= 2;
	target->labels = repalloc(target->labels, sizeof(char *) * (Size) target->label_capacity);
	target->values = repalloc(target->values, sizeof(double) * (Size) target->label_capacity);
	target->counts = repalloc(target->counts, sizeof(uint64) * (Size) target->label_capacity);
}

static void
complain_classes(const IdlaTarget *target)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("target \"%s\" has more than %d classes", target->names[0], MAX_CLASSES),
			 target->numeric ? errhint("Predict the number itself with task => 'regression'.") :
			 errhint("It looks like an identifier or free text; group rare labels in the source.")));
}

/* The class code of a label or number, a new one at first sight. */
static int
label_code(IdlaTarget *target, const char *bytes, Size size, double value)
{
	uint64		key = hash_bytes_extended((const unsigned char *) bytes, (int) size, 0);
	LabelEntry *entry;
	bool		found;

	/* Two labels of one hash: the second moves on to another. */
	for (uint64 seed = 1;; seed++)
	{
		const char *label;

		entry = hash_search(target->codes, &key, HASH_ENTER, &found);
		if (!found)
			break;
		label = target->labels[entry->code];
		if (target->numeric ? target->values[entry->code] == value :
			strlen(label) == size && memcmp(label, bytes, size) == 0)
			return entry->code;
		key = hash_bytes_extended((const unsigned char *) bytes, (int) size, seed);
	}
	if (target->n_labels == MAX_CLASSES)
		complain_classes(target);
	grow_labels(target);
	entry->code = target->n_labels++;
	{
		MemoryContext caller = MemoryContextSwitchTo(GetMemoryChunkContext(target->labels));

		target->labels[entry->code] = target->numeric ? number_label(value, target->types[0]) : pnstrdup(bytes, size);
		MemoryContextSwitchTo(caller);
	}
	target->values[entry->code] = value;
	target->counts[entry->code] = 0;
	return entry->code;
}

static int
datum_code(IdlaTarget *target, Datum datum)
{
	int			code;

	if (target->numeric)
	{
		double		value = idla_datum_to_double(datum, target->types[0]);

		value = value == 0 ? 0 : value; /* -0 and 0 are one class */
		code = label_code(target, (const char *) &value, sizeof(value), value);
	}
	else
	{
		char	   *text = text_label(&target->output, datum, target->types[0]);

		code = label_code(target, text, strlen(text), 0);
		pfree(text);
	}
	target->counts[code]++;
	return code;
}

/* Remembers the row's class while the task is open, and gives that up at the first sign of a measured number. */
static void
keep_aside(IdlaTarget *target, Datum datum, double value, uint64 row)
{
	target->all_integer &= value == floor(value);
	if (row >= target->aside_capacity)
	{
		Size		capacity = Max(target->aside_capacity * 2, 65536);
		MemoryContext context = GetMemoryChunkContext(target->labels);

		target->aside = target->aside == NULL ? MemoryContextAllocHuge(context, capacity) :
			repalloc_huge(target->aside, capacity);
		target->aside_capacity = capacity;
	}
	target->aside[row] = (uint8) datum_code(target, datum);
	if (target->n_labels > FEW_INTEGERS || (!target->all_integer && target->n_labels > 2))
	{
		pfree(target->aside);
		target->aside = NULL;
		target->undecided = false;
		target->task = LEARN_REGRESSION;
	}
}

bool
idla_target_is_null(const IdlaTarget *target, const bool *isnull)
{
	for (int i = 0; i < target->n; i++)
		if (isnull[target->attributes[i]])
			return true;
	return false;
}

void
idla_target_decode(IdlaTarget *target, const Datum *datums, uint64 row, float *values)
{
	bool		finite = true;

	for (int i = 0; i < target->n_values; i++)
	{
		Datum		datum = datums[target->attributes[i]];
		double		value = target->numeric || target->n > 1 ? idla_datum_to_double(datum, target->types[i]) : 0;

		if (!isfinite((float) value))
		{
			finite = false;
			target->first_not_finite = i;
			values[i] = 0;
			continue;
		}
		values[i] = target->labelled ? (float) datum_code(target, datum) : (float) value;
		if (target->undecided)
			keep_aside(target, datum, value, row);
	}
	target->n_not_finite += finite ? 0 : 1;
}

/* Why rows were left out, in words. */
static char *
left_out(const IdlaReading *reading)
{
	const struct
	{
		uint64		n;
		const char *why;
	}			reasons[] = {
		{reading->n_no_target, "have no target"}, {reading->n_no_input, "have no input"}, {reading->n_bad, "have a value that cannot be taken"},
		{reading->n_no_order, "have no value to be ordered by"}, {reading->n_no_part, "have no part"}
	};
	StringInfoData words;

	initStringInfo(&words);
	for (size_t i = 0; i < lengthof(reasons); i++)
		if (reasons[i].n > 0)
			appendStringInfo(&words, "%s%llu %s", words.len > 0 ? ", " : "", (unsigned long long) reasons[i].n, reasons[i].why);
	if (words.len == 0)
		appendStringInfoString(&words, "none can be used");
	return words.data;
}

/* ---- after the last row ---- */

static void
check_rows(const IdlaTarget *target, const IdlaReading *reading)
{
	size_t		n = reading->dataset == NULL ? 0 : learn_dataset_rows(reading->dataset);

	if (target->n_not_finite > 0)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("target \"%s\" is NaN, infinite or beyond the range of real in %llu rows",
						target->names[target->first_not_finite], (unsigned long long) target->n_not_finite),
				 errhint("Make them NULL in the source to have such rows dropped and counted.")));
	if (reading->n_read == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("the source has no rows")));
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("the source has no row that can be used"),
				 errdetail("Of %llu rows, %s.", (unsigned long long) reading->n_read, left_out(reading))));
	if (n < FEWEST_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("the source has only %zu usable rows", n),
				 errhint("At least %d rows with a target are needed, and a good model needs hundreds.", FEWEST_ROWS)));
}

static uint64
rarest(const IdlaTarget *target)
{
	uint64		fewest = PG_UINT64_MAX;

	for (int i = 0; i < target->n_labels; i++)
		fewest = Min(fewest, target->counts[i]);
	return fewest;
}

static void
infer_task(IdlaTarget *target)
{
	if (target->task >= 0)
		return;
	if (target->n_labels <= 2)
		target->task = LEARN_BINARY;
	else if (target->undecided && rarest(target) < FEWEST_OF_CLASS)
	{
		/* Counts of something: their tail is too thin for classes, and that they are numbers is no surprise. */
		target->task = LEARN_REGRESSION;
		ereport(NOTICE,
				(errmsg("target \"%s\" has %d distinct integers, some of them rare, and is taken as a number",
						target->names[0], target->n_labels),
				 errhint("For classes use task => 'multiclass', and pool the rare ones in the source.")));
	}
	else
	{
		target->task = LEARN_MULTICLASS;
		if (target->undecided)
			ereport(NOTICE,
					(errmsg("target \"%s\" has %d distinct integers and is taken as classes",
							target->names[0], target->n_labels),
					 errhint("Predict the number itself with task => 'regression'.")));
	}
}

static void
check_classes(const IdlaTarget *target)
{
	if (target->n_labels < 2)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("target \"%s\" has one class only: \"%s\"", target->names[0], target->labels[0]),
				 errhint("Something to tell apart is needed; check the source's WHERE clause.")));
	if (target->task == LEARN_BINARY && target->n_labels > 2)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("target \"%s\" has %d classes, and task \"binary\" needs two", target->names[0], target->n_labels),
				 errhint("Use task => 'multiclass', or compare in the source, for example (%s = 'x') AS y.",
						 quote_identifier(target->names[0]))));
}

static int
compare_codes(const void *a, const void *b, void *arg)
{
	const IdlaTarget *target = arg;
	int			left = *(const int *) a;
	int			right = *(const int *) b;

	if (!target->numeric)
		return strcmp(target->labels[left], target->labels[right]);
	return (target->values[left] > target->values[right]) - (target->values[left] < target->values[right]);
}

static int
find_positive(const IdlaTarget *target, const LearnModel *model, const char *positive)
{
	const char **names;

	if (positive == NULL)
		return model->n_classes - 1;
	for (int i = 0; i < model->n_classes; i++)
		if (strcmp(model->classes[i], positive) == 0)
			return i;
	names = palloc0(sizeof(char *) * 3);
	names[0] = model->classes[0];
	names[1] = model->classes[1];
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("option \"positive\" is \"%s\", which is no class of target \"%s\"", positive, target->names[0]),
			 errhint("The classes are %s.", idla_list(names))));
}

static void
close_classes(IdlaTarget *target, const IdlaReading *reading, LearnModel *model)
{
	int		   *order = palloc(sizeof(int) * (Size) target->n_labels);
	float	   *rank = palloc(sizeof(float) * (Size) target->n_labels);
	uint64	   *counts = palloc(sizeof(uint64) * (Size) target->n_labels);
	float	   *targets = learn_dataset_targets(reading->dataset);
	size_t		n = learn_dataset_rows(reading->dataset);

	for (int i = 0; i < target->n_labels; i++)
		order[i] = i;
	qsort_arg(order, (size_t) target->n_labels, sizeof(int), compare_codes, target);
	model->n_classes = target->n_labels;
	model->classes = dev_alloc(reading->work->session, (size_t) target->n_labels, sizeof(char *));
	if (model->classes == NULL)
		idla_raise(reading->work);
	for (int i = 0; i < target->n_labels; i++)
	{
		model->classes[i] = dev_strdup(reading->work->session, target->labels[order[i]]);
		if (model->classes[i] == NULL)
			idla_raise(reading->work);
		counts[i] = target->counts[order[i]];
		rank[order[i]] = (float) i;
	}
	model->positive = find_positive(target, model, reading->options->positive);
	/* The engine's 1 of a binary target is the positive class, whichever label that is. */
	for (int i = 0; target->task == LEARN_BINARY && i < 2; i++)
		rank[order[i]] = i == model->positive ? 1 : 0;
	for (size_t row = 0; row < n; row++)
		targets[row] = rank[target->aside != NULL ? target->aside[row] : (int) targets[row]];
	memcpy(target->counts, counts, sizeof(uint64) * (Size) target->n_labels);
	for (int i = 0; i < target->n_labels; i++)
		if (counts[i] < FEWEST_OF_CLASS)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("class \"%s\" of target \"%s\" has too few rows: %llu", model->classes[i], target->names[0],
							(unsigned long long) counts[i]),
					 errhint("Each class needs at least %d rows, one for each part; pool rare classes in the source.", FEWEST_OF_CLASS)));
}

static void
close_survival(const IdlaTarget *target, const IdlaReading *reading)
{
	const float *targets = learn_dataset_targets(reading->dataset);
	size_t		n = learn_dataset_rows(reading->dataset);
	size_t		n_events = 0;

	for (size_t row = 0; row < n; row++)
	{
		if (targets[2 * row] < 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("time \"%s\" is negative: %g", target->names[0], targets[2 * row])));
		if (targets[2 * row + 1] != 0 && targets[2 * row + 1] != 1)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("event \"%s\" must be a boolean or 0 or 1, not %g", target->names[1], targets[2 * row + 1])));
		n_events += targets[2 * row + 1] == 1;
	}
	if (n_events < 3)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("event \"%s\" happened in only %zu of %zu rows", target->names[1], n_events, n)));
}

/* Each label is a yes or no, and holds in some rows and not in others. */
static void
close_labels(const IdlaTarget *target, const IdlaReading *reading)
{
	const float *targets = learn_dataset_targets(reading->dataset);
	size_t		n = learn_dataset_rows(reading->dataset);

	for (int i = 0; i < target->n; i++)
	{
		size_t		held = 0;

		for (size_t row = 0; row < n; row++)
		{
			float		value = targets[row * (size_t) target->n + (size_t) i];

			if (value != 0 && value != 1)
				ereport(ERROR,
						(errcode(ERRCODE_DATA_EXCEPTION),
						 errmsg("label \"%s\" must be a boolean or 0 or 1, not %g", target->names[i], value)));
			held += value == 1;
		}
		if (held < FEWEST_OF_CLASS || n - held < FEWEST_OF_CLASS)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("label \"%s\" holds in %zu of %zu rows", target->names[i], held, n),
					 errhint("Each label needs at least %d rows with it and as many without; leave it out of the targets.",
							 FEWEST_OF_CLASS)));
	}
}

static void
close_regression(const IdlaTarget *target, const IdlaReading *reading)
{
	const float *targets = learn_dataset_targets(reading->dataset);
	size_t		n = learn_dataset_rows(reading->dataset);

	for (int i = 0; i < target->n; i++)
	{
		bool		constant = true;

		for (size_t row = 1; row < n && constant; row++)
			constant = targets[row * target->n + i] == targets[i];
		if (constant)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("target \"%s\" has one value only: %g", target->names[i], targets[i])));
	}
}

void
idla_target_close(IdlaTarget *target, const IdlaReading *reading, LearnModel *model)
{
	check_rows(target, reading);
	infer_task(target);
	if (reading->options->positive != NULL && target->task != LEARN_BINARY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"positive\" is for binary targets, and the task is \"%s\"", learn_task_names[target->task])));
	if (target->task == LEARN_BINARY || target->task == LEARN_MULTICLASS)
	{
		check_classes(target);
		close_classes(target, reading, model);
	}
	else if (target->task == LEARN_TAGGING)
	{
		model->task = LEARN_TAGGING;
		model->n_targets = 0;
		return;
	}
	else if (target->task == LEARN_SURVIVAL)
		close_survival(target, reading);
	else if (target->task == LEARN_MULTILABEL)
		close_labels(target, reading);
	else
		close_regression(target, reading);
	model->task = (LearnTask) target->task;
	model->n_targets = target->n;
}

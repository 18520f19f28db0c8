/*
 * reading.c: a training source on its way into a data set.
 *
 * The columns are planned from the row type, then every row is decoded straight into the
 * engine's store. Where arrays are among the columns their length is only known from the
 * first values, so rows wait in a tuplestore until it is.
 */
#include "reading.h"

#include <math.h>

#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

#define FIRST_TEXT_CHECK 1000	/* rows after which texts are looked at first; then ever ten times as many */
#define TEXTS_LOOKED_AT 1000
#define LONGEST_CATEGORY 200	/* mean length beyond which a text is no category */
#define FEWEST_TEXT_ROWS 50
#define WORDS_OF_PROSE 4.0		/* blanks in a mostly different text that make it free text */
#define PROGRESS_ROWS 4096

/* A column that says something about the row but is no input. */
typedef struct Role
{
	int			attribute;		/* -1: there is none */
	Oid			type;
	Oid			collation;
	FmgrInfo	function;		/* hash, or output */
} Role;

typedef struct Reader
{
	IdlaReading *reading;
	TupleDesc	desc;
	MemoryContext context;		/* what lives as long as the reading */
	IdlaDecoder *decoder;		/* NULL while array lengths are unknown */
	Tuplestorestate *waiting;	/* rows read meanwhile */
	float	   *raw;
	float	   *targets;
	int			n_groups;
	Role	   *groups;
	Role		order;
	Role		part;
	uint64		next_text_check;
} Reader;

/* ---- roles ---- */

static Role
find_role(TupleDesc desc, const char *name, const char *option)
{
	Role		role = {-1, InvalidOid, InvalidOid, {0}};
	const char **names;
	const char *nearest;
	int			n = 0;

	if (name == NULL)
		return role;
	names = palloc0(sizeof(char *) * ((Size) desc->natts + 1));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped)
			continue;
		names[n++] = NameStr(attribute->attname);
		if (strcmp(NameStr(attribute->attname), name) != 0)
			continue;
		role.attribute = i;
		role.type = getBaseType(attribute->atttypid);
		role.collation = attribute->attcollation;
	}
	if (role.attribute >= 0)
		return role;
	nearest = idla_nearest(name, names);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("option \"%s\" names \"%s\", which is not a column of the source", option, name),
			 nearest != NULL ? errhint("Perhaps you meant \"%s\".", nearest) :
			 errhint("The source has the columns %s.", idla_attribute_list(desc))));
}

static void
find_groups(Reader *reader)
{
	const List *names = reader->reading->options->group_by;
	ListCell   *cell;

	reader->groups = palloc0(sizeof(Role) * (Size) Max(list_length(names), 1));
	foreach(cell, names)
	{
		Role	   *role = &reader->groups[reader->n_groups++];
		TypeCacheEntry *type;

		*role = find_role(reader->desc, lfirst(cell), "group_by");
		type = lookup_type_cache(role->type, TYPECACHE_HASH_EXTENDED_PROC_FINFO);
		if (!OidIsValid(type->hash_extended_proc))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_FUNCTION),
					 errmsg("column \"%s\" of type %s cannot be grouped by", (char *) lfirst(cell),
							format_type_be(role->type)),
					 errhint("Cast it to text in the source.")));
		fmgr_info_copy(&role->function, &type->hash_extended_proc_finfo, CurrentMemoryContext);
	}
}

static void
find_order(Reader *reader)
{
	const char *name = reader->reading->options->order_by;
	IdlaFamily	family;

	reader->order = find_role(reader->desc, name, "order_by");
	if (name == NULL)
		return;
	family = idla_type_family(reader->order.type);
	if (family != IDLA_FAMILY_NUMBER && family != IDLA_FAMILY_DATE && family != IDLA_FAMILY_TIMESTAMP &&
		family != IDLA_FAMILY_TIMESTAMPTZ && family != IDLA_FAMILY_TIME && family != IDLA_FAMILY_INTERVAL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("rows cannot be ordered by column \"%s\" of type %s", name, format_type_be(reader->order.type)),
				 errhint("Order by a number, a date or a time.")));
}

static void
find_part(Reader *reader)
{
	const char *name = reader->reading->options->part;
	Oid			output;
	bool		is_varlena;

	reader->part = find_role(reader->desc, name, "part");
	if (name == NULL)
		return;
	if (idla_type_family(reader->part.type) != IDLA_FAMILY_STRING)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("part column \"%s\" is of type %s, not text", name, format_type_be(reader->part.type)),
				 errhint("It says 'train', 'validation' or 'test' for every row.")));
	getTypeOutputInfo(reader->part.type, &output, &is_varlena);
	fmgr_info(output, &reader->part.function);
}

/* Columns with a role are no inputs, but for those that option columns names. */
static List *
columns_to_skip(const Reader *reader)
{
	const IdlaReading *reading = reader->reading;
	const IdlaOptions *options = reading->options;
	List	   *candidates = list_copy(options->group_by);
	List	   *skip = NIL;
	ListCell   *cell;

	if (options->order_by != NULL)
		candidates = lappend(candidates, options->order_by);
	if (options->part != NULL)
		candidates = lappend(candidates, options->part);
	foreach(cell, candidates)
		if (idla_override_find(options->overrides, options->n_overrides, lfirst(cell)) == NULL)
			skip = lappend(skip, lfirst(cell));
	for (int i = 0; i < reading->target.n; i++)
	{
		if (idla_override_find(options->overrides, options->n_overrides, reading->target.names[i]) != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("target \"%s\" cannot be an input as well", reading->target.names[i]),
					 errhint("Take it out of option \"columns\".")));
		skip = lappend(skip, reading->target.names[i]);
	}
	return skip;
}

/* ---- starting ---- */

static void
create_dataset(Reader *reader)
{
	IdlaReading *reading = reader->reading;
	const IdlaOptions *options = reading->options;

	idla_columns_channels(&reading->columns, options->overrides, options->n_overrides,
						  (LearnScaling) options->scaling, reading->work);
	idla_check(reading->work, learn_dataset_create(reading->work->session, reading->columns.channels,
												   reading->columns.n_channels, reading->target.n,
												   (Size) idla_train_memory * 1024, reading->spill, &reading->dataset));
	reader->decoder = idla_decoder_create(&reading->columns, reader->desc, reading->dataset, reading->work);
	reader->raw = palloc0(sizeof(float) * (Size) Max(reading->columns.n_channels, 1));
}

static bool
lengths_known(const IdlaColumns *columns)
{
	for (int i = 0; i < columns->n; i++)
		if (columns->columns[i].kind == IDLA_ARRAY && columns->columns[i].array_length == 0)
			return false;
	return true;
}

/* ---- one row ---- */

static uint64
group_of(const Reader *reader, const Datum *values, const bool *isnull)
{
	uint64		group = 0;
	bool		known = false;

	for (int i = 0; i < reader->n_groups; i++)
	{
		Role	   *role = &reader->groups[i];
		uint64		hash = 0;

		if (!isnull[role->attribute])
		{
			hash = DatumGetUInt64(FunctionCall2Coll(&role->function, role->collation, values[role->attribute],
													Int64GetDatum(0x1d1a)));
			known = true;
		}
		group = hash_combine64(group, hash);
	}
	/* Rows of nobody are nobody's: each is a group of its own. */
	return known ? group : hash_combine64(0x1d1a, reader->reading->n_read);
}

static uint8
part_of(Reader *reader, Datum value)
{
	char	   *text = OutputFunctionCall(&reader->part.function, value);

	if (pg_strcasecmp(text, "train") == 0)
		return LEARN_TRAIN;
	if (pg_strcasecmp(text, "validation") == 0)
		return LEARN_VALIDATION;
	if (pg_strcasecmp(text, "test") == 0)
		return LEARN_TEST;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("part column \"%s\" has the value \"%s\"", reader->reading->options->part, text),
			 errhint("It says 'train', 'validation' or 'test' for every row.")));
}

/* Fills what is known of the row; false when it has to be dropped. */
static bool
describe_row(Reader *reader, const Datum *values, const bool *isnull, LearnRow *row)
{
	IdlaReading *reading = reader->reading;

	row->part = LEARN_UNASSIGNED;
	row->order = 0;
	row->group = 0;
	if (reader->part.attribute >= 0)
	{
		if (isnull[reader->part.attribute])
		{
			reading->n_no_part++;
			return false;
		}
		row->part = part_of(reader, values[reader->part.attribute]);
	}
	if (reader->order.attribute >= 0)
	{
		row->order = isnull[reader->order.attribute] ? NAN :
			idla_datum_to_double(values[reader->order.attribute], reader->order.type);
		if (isnan(row->order))
		{
			reading->n_no_order++;
			return false;
		}
	}
	if (reader->n_groups > 0)
		row->group = group_of(reader, values, isnull);
	return true;
}

static void
refuse_text(const IdlaColumn *column, double length)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" looks like free text, not like a category", column->name),
			 errdetail("Its values are %.0f characters long on average, and mostly different.", length),
			 errhint("Leave it out with the option columns => {\"%s\": \"ignore\"}, or take it all the same with \"category\".",
					 column->name)));
}

/* Free text is refused while it is still small in memory. */
static void
check_texts(const Reader *reader)
{
	const IdlaReading *reading = reader->reading;
	size_t		n_rows = learn_dataset_rows(reading->dataset);

	for (int i = 0; i < reading->columns.n; i++)
	{
		const IdlaColumn *column = &reading->columns.columns[i];
		const IdlaOverride *override = idla_override_find(reading->options->overrides, reading->options->n_overrides,
														  column->name);
		int			n;
		int			looked_at;
		double		length = 0;
		double		blanks = 0;

		if (column->kind != IDLA_CATEGORY || (override != NULL && override->kind >= 0))
			continue;
		n = learn_dataset_categories(reading->dataset, column->first_channel);
		looked_at = Min(n, TEXTS_LOOKED_AT);
		for (int code = 0; code < looked_at; code++)
			for (const char *c = learn_dataset_category(reading->dataset, column->first_channel, code); *c != '\0'; c++)
			{
				length++;
				blanks += *c == ' ';
			}
		if (looked_at == 0)
			continue;
		length /= looked_at;
		blanks /= looked_at;
		if (length > LONGEST_CATEGORY ||
			(n_rows >= FEWEST_TEXT_ROWS && n > (int64) (n_rows / 2) && blanks >= WORDS_OF_PROSE))
			refuse_text(column, length);
	}
}

static void
append_row(Reader *reader, const Datum *values, const bool *isnull)
{
	IdlaReading *reading = reader->reading;
	LearnRow	row;
	uint64		n = learn_dataset_rows(reading->dataset);

	reading->n_read++;
	if (idla_target_is_null(&reading->target, isnull))
	{
		reading->n_no_target++;
		return;
	}
	if (!describe_row(reader, values, isnull, &row))
		return;
	/* Only now, so that classes are counted in rows that are used. */
	idla_target_decode(&reading->target, values, n, reader->targets);
	idla_decode(reader->decoder, values, isnull, reader->raw);
	row.channels = reader->raw;
	row.targets = reader->targets;
	idla_check(reading->work, learn_dataset_append(reading->dataset, &row));
	reading->hash = hash_bytes_extended((const unsigned char *) reader->raw,
										(int) ((Size) reading->columns.n_channels * sizeof(float)), reading->hash);
	reading->hash = hash_bytes_extended((const unsigned char *) reader->targets,
										(int) ((Size) reading->target.n * sizeof(float)), reading->hash);
	if (n + 1 == reader->next_text_check)
	{
		check_texts(reader);
		reader->next_text_check *= 10;
	}
	if (n % PROGRESS_ROWS == 0)
		idla_progress_update(NULL, n);
}

/* ---- arrays of yet unknown length ---- */

static void
replay(Reader *reader)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(reader->desc, &TTSOpsMinimalTuple);

	while (tuplestore_gettupleslot(reader->waiting, true, false, slot))
	{
		slot_getallattrs(slot);
		append_row(reader, slot->tts_values, slot->tts_isnull);
	}
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(reader->waiting);
	reader->waiting = NULL;
}

static void
wait_for_lengths(Reader *reader, const Datum *values, const bool *isnull)
{
	IdlaColumns *columns = &reader->reading->columns;
	MemoryContext caller;

	for (int i = 0; i < columns->n; i++)
	{
		IdlaColumn *column = &columns->columns[i];

		if (column->kind != IDLA_ARRAY || column->array_length > 0)
			continue;
		for (int j = 0; j < reader->desc->natts; j++)
			if (strcmp(NameStr(TupleDescAttr(reader->desc, j)->attname), column->name) == 0 && !isnull[j])
				column->array_length = idla_array_length(values[j]);
	}
	caller = MemoryContextSwitchTo(reader->context);
	if (reader->waiting == NULL)
		reader->waiting = tuplestore_begin_heap(false, false, work_mem);
	tuplestore_putvalues(reader->waiting, reader->desc, unconstify(Datum *, values), unconstify(bool *, isnull));
	if (lengths_known(columns))
	{
		create_dataset(reader);
		replay(reader);
	}
	MemoryContextSwitchTo(caller);
}

static void
take_row(void *context, const Datum *values, const bool *isnull)
{
	Reader	   *reader = context;

	if (reader->decoder != NULL)
		append_row(reader, values, isnull);
	else
		wait_for_lengths(reader, values, isnull);
}

/* An array column without a single value has no length to learn from. */
static void
check_lengths(const Reader *reader, uint64 n_rows)
{
	const IdlaColumns *columns = &reader->reading->columns;

	reader->reading->n_read = Max(reader->reading->n_read, n_rows);
	for (int i = 0; i < columns->n && n_rows > 0; i++)
		if (columns->columns[i].kind == IDLA_ARRAY && columns->columns[i].array_length == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("array column \"%s\" has no elements in any row", columns->columns[i].name),
					 errhint("Leave it out with the option columns => {\"%s\": \"ignore\"}.", columns->columns[i].name)));
}

void
idla_reading_run(IdlaReading *reading, const char *target, int task)
{
	Reader		reader;
	IdlaRows   *rows;
	uint64		n_rows;

	memset(&reader, 0, sizeof(reader));
	reader.reading = reading;
	reader.context = CurrentMemoryContext;
	reading->spill = idla_spill_create(reading->work);
	reader.next_text_check = FIRST_TEXT_CHECK;
	rows = idla_rows_open(reading->source);
	/* The cursor's descriptor goes with the cursor; messages and planned columns stay. */
	reader.desc = CreateTupleDescCopy(idla_rows_desc(rows));
	idla_target_open(&reading->target, target, task, reading->options, reader.desc);
	reader.targets = palloc0(sizeof(float) * (Size) reading->target.n);
	find_groups(&reader);
	find_order(&reader);
	find_part(&reader);
	idla_columns_plan(reader.desc, columns_to_skip(&reader), reading->options->overrides,
					  reading->options->n_overrides, &reading->columns);
	if (lengths_known(&reading->columns))
		create_dataset(&reader);

	n_rows = idla_rows_read(rows, take_row, &reader);
	idla_rows_close(rows);
	if (reader.waiting != NULL)
		tuplestore_end(reader.waiting);
	check_lengths(&reader, n_rows);
	if (reading->dataset != NULL)
		check_texts(&reader);
}

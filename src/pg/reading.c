/*
 * reading.c: a training source on its way into a data set.
 *
 * The columns are planned from the row type, then every row is decoded straight into the
 * engine's store. What a text or an array is, and how large images are, is only known from
 * the first values, so the first rows wait in a tuplestore until it is.
 */
#include "reading.h"
#include "series.h"
#include "tokens.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

#define FIRST_LOOK 1000			/* rows that wait until kinds and sizes are settled */
#define PROGRESS_ROWS 4096
#define TOKEN_CHARACTERS 20		/* that a tagger sees of a word; of a longer one its ends */

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
	LearnBytes *fields;
	IdlaBatch  *batch;			/* NULL when there are no files of images */
	IdlaLook   *looks;			/* (columns) what the first rows tell */
	uint64		n_waiting;
	float	   *targets;
	int			n_groups;
	Role	   *groups;
	Role		order;
	Role		part;
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

/* The column that tells subgroups apart may be an input, but no target: that is not known where it is wanted. */
static void
find_subgroups(Reader *reader)
{
	IdlaReading *reading = reader->reading;
	const char *name = reading->options->conformal_by;
	Role		role = find_role(reader->desc, name, "conformal.by");

	for (int i = 0; i < reading->target.n; i++)
		if (name != NULL && strcmp(reading->target.names[i], name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("target \"%s\" cannot tell subgroups apart", name),
					 errdetail("It is not known of the rows that the model is asked about.")));
	if (name != NULL)
		reading->subgroups = idla_subgroups_create(name, role.attribute, role.type);
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
	if (options->entity != NULL)
		candidates = lappend(candidates, options->entity);
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

/* ---- tagging ---- */

static bool
is_text(Oid type)
{
	return type == TEXTOID || type == VARCHAROID || type == BPCHAROID;
}

/* The column of tokens or text: the one that could be it, or the one among them that option columns calls "text". */
static const char *
find_text(const Reader *reader, int tag, bool arrays)
{
	const IdlaOptions *options = reader->reading->options;
	List	   *roles = list_copy(options->group_by);
	const char *found = NULL;
	bool		several = false;

	roles = lappend(roles, options->order_by);
	roles = lappend(roles, options->part);
	roles = lappend(roles, options->entity);
	for (int i = 0; i < reader->desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(reader->desc, i);
		const char *name = NameStr(attribute->attname);
		const IdlaOverride *override = idla_override_find(options->overrides, options->n_overrides, name);
		Oid			type = getBaseType(attribute->atttypid);
		bool		role = i == tag || attribute->attisdropped || (override != NULL && override->ignore);
		ListCell   *cell;

		foreach(cell, roles)
			role |= lfirst(cell) != NULL && strcmp(lfirst(cell), name) == 0;
		if (role || !(arrays ? idla_is_token_array(type) : is_text(type)))
			continue;
		if (override != NULL && override->kind == IDLA_TEXT)
			return pstrdup(name);
		several |= found != NULL;
		found = found != NULL ? found : pstrdup(name);
	}
	if (found == NULL || several)
		ereport(ERROR,
				(errcode(several ? ERRCODE_AMBIGUOUS_COLUMN : ERRCODE_UNDEFINED_COLUMN),
				 errmsg(several ? "the source has several columns of %s that could be tagged" : "the source has no column of %s to be tagged",
						arrays ? "type text[]" : "type text"),
				 errhint("Say which with the option columns => {\"name\": \"text\"}, or \"ignore\" the others.")));
	return found;
}

/* A tagger sees its text and nothing else. */
static List *
all_but_text(const Reader *reader)
{
	int			tag = reader->reading->target.attributes[0];
	const char *text = find_text(reader, tag, reader->reading->target.types[0] != JSONBOID);
	List	   *skip = NIL;

	for (int i = 0; i < reader->desc->natts; i++)
		if (strcmp(NameStr(TupleDescAttr(reader->desc, i)->attname), text) != 0)
			skip = lappend(skip, NameStr(TupleDescAttr(reader->desc, i)->attname));
	return skip;
}

/* Rows of one token each become rows of one sentence each. */
static IdlaRows *
join_sentences(Reader *reader, IdlaRows *rows, const char *target)
{
	IdlaReading *reading = reader->reading;
	IdlaOptions *options = reading->options;
	List	   *kept = list_copy(options->group_by);
	Role		tag;
	const char *token;

	if (target == NULL || options->entity == NULL)
		return rows;
	tag = find_role(reader->desc, target, "target");
	if (!is_text(tag.type))
		return rows;
	find_role(reader->desc, options->entity, "entity");
	if (options->order_by == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"entity\" names the sentence of a token, and \"order_by\" is missing"),
				 errhint("Name the column that says where in its sentence a token stands.")));
	find_role(reader->desc, options->order_by, "order_by");
	token = find_text(reader, tag.attribute, false);
	if (options->part != NULL)
		kept = lappend(kept, options->part);
	reading->entity = options->entity;
	reading->position = options->order_by;
	options->order_by = NULL;
	options->entity = NULL;
	idla_rows_close(rows);
	rows = idla_rows_open(idla_sentences_query(reading->source, token, target, reading->entity, reading->position, kept));
	reader->desc = CreateTupleDescCopy(idla_rows_desc(rows));
	return rows;
}

/* ---- starting ---- */

/* Channels are few beside images and texts: they get a quarter of the memory then, and share it with a teacher's answers. */
static Size
memory_for_rows(const IdlaColumns *columns)
{
	Size		memory = (Size) idla_train_memory * 1024;

	return columns->n_fields == 0 ? memory : memory / 4;
}

static void
add_fields(IdlaReading *reading)
{
	int			n = reading->columns.n_fields;
	Size		memory = (Size) idla_train_memory * 1024;
	const LearnSpill **spills;

	if (n == 0)
		return;
	spills = palloc(sizeof(LearnSpill *) * (Size) n);
	reading->field_spills = palloc(sizeof(LearnSpill *) * (Size) n);
	for (int i = 0; i < n; i++)
		spills[i] = reading->field_spills[i] = idla_spill_another(reading->spill);
	idla_check(reading->work, learn_dataset_add_fields(reading->dataset, reading->columns.fields, n,
													   memory - memory_for_rows(&reading->columns), spills));
}

static void append_row(void *context, const Datum *values, const bool *isnull);

static void
create_dataset(Reader *reader)
{
	IdlaReading *reading = reader->reading;
	const IdlaOptions *options = reading->options;
	Size		memory;

	idla_columns_fields(&reading->columns, reader->looks, options->overrides, options->n_overrides, reading->work);
	if (reading->target.task == LEARN_TAGGING)
	{
		reading->columns.fields[0].tagged = true;
		reading->columns.fields[0].characters = TOKEN_CHARACTERS;
	}
	idla_columns_channels(&reading->columns, options->overrides, options->n_overrides,
						  (LearnScaling) options->scaling, reading->work);
	memory = memory_for_rows(&reading->columns) / (reading->teacher != NULL ? 2 : 1);
	idla_check(reading->work, learn_dataset_create(reading->work->session, reading->columns.channels,
												   reading->columns.n_channels, reading->target.n_values,
												   memory, reading->spill, &reading->dataset));
	if (reading->teacher != NULL)
		idla_teacher_start(reading->teacher, reading->dataset, memory_for_rows(&reading->columns) - memory);
	add_fields(reading);
	reader->decoder = idla_decoder_create(&reading->columns, reader->desc, reading->dataset, reading->work);
	if (reading->target.task == LEARN_TAGGING)
		idla_decoder_tags(reader->decoder, reading->target.attributes[0], reading->target.types[0]);
	reader->batch = idla_batch_create(&reading->columns, reader->desc, reader->decoder, reading->work, reading->threads,
									  append_row, reader);
	reader->fields = palloc0(sizeof(LearnBytes) * (Size) Max(reading->columns.n_fields, 1));
	reader->raw = palloc0(sizeof(float) * (Size) Max(reading->columns.n_channels, 1));
}

static bool
columns_known(const Reader *reader)
{
	const IdlaReading *reading = reader->reading;

	for (int i = 0; i < reading->columns.n; i++)
	{
		const IdlaColumn *column = &reading->columns.columns[i];

		if (idla_look_needed(column, idla_override_find(reading->options->overrides, reading->options->n_overrides, column->name)))
			return false;
	}
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

/* A row of a missing image and nothing else teaches nothing. */
static bool
has_input(const Reader *reader)
{
	const IdlaColumns *columns = &reader->reading->columns;

	if (columns->n_channels > 0)
		return true;
	for (int i = 0; i < columns->n_fields; i++)
		if (reader->fields[i].bytes != NULL)
			return true;
	return columns->n_fields == 0;
}

static void
append_row(void *context, const Datum *values, const bool *isnull)
{
	Reader	   *reader = context;
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
	/* The target comes last, so that classes are counted in rows that are used. */
	if (!idla_decode(reader->decoder, values, isnull, reader->raw, reader->fields, reading->options->on_bad_input == 1))
	{
		if (reading->n_bad++ == 0)
			reading->first_bad = MemoryContextStrdup(reader->context, idla_decode_trouble(reader->decoder));
		return;
	}
	if (!has_input(reader))
	{
		reading->n_no_input++;
		return;
	}
	idla_target_decode(&reading->target, values, n, reader->targets);
	row.channels = reader->raw;
	row.fields = reader->fields;
	row.targets = reader->targets;
	idla_check(reading->work, learn_dataset_append(reading->dataset, &row));
	if (reading->teacher != NULL)
		idla_teacher_take(reading->teacher, values, isnull);
	if (reading->subgroups != NULL)
		idla_subgroups_add(reading->subgroups, values, isnull, n);
	reading->hash = hash_bytes_extended((const unsigned char *) reader->raw,
										(int) ((Size) reading->columns.n_channels * sizeof(float)), reading->hash);
	reading->hash = hash_bytes_extended((const unsigned char *) reader->targets,
										(int) ((Size) reading->target.n_values * sizeof(float)), reading->hash);
	for (int i = 0; i < reading->columns.n_fields; i++)
		if (reader->fields[i].bytes != NULL)
			reading->hash = hash_bytes_extended(reader->fields[i].bytes, (int) reader->fields[i].size, reading->hash);
	if (n % PROGRESS_ROWS == 0)
		idla_progress_update(NULL, n);
}

/* ---- columns of yet unknown kind or size ---- */

static void
take_settled(Reader *reader, const Datum *values, const bool *isnull)
{
	if (reader->batch != NULL)
		idla_batch_add(reader->batch, values, isnull);
	else
		append_row(reader, values, isnull);
}

static void
replay(Reader *reader)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(reader->desc, &TTSOpsMinimalTuple);

	while (tuplestore_gettupleslot(reader->waiting, true, false, slot))
	{
		slot_getallattrs(slot);
		take_settled(reader, slot->tts_values, slot->tts_isnull);
	}
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(reader->waiting);
	reader->waiting = NULL;
}

/* An array column without a single value has no length to learn from. */
static void
check_lengths(const Reader *reader)
{
	const IdlaColumns *columns = &reader->reading->columns;

	for (int i = 0; i < columns->n; i++)
		if (columns->columns[i].kind == IDLA_ARRAY && columns->columns[i].array_length == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("array column \"%s\" has no elements in any row", columns->columns[i].name),
					 errhint("Leave it out with the option columns => {\"%s\": \"ignore\"}.", columns->columns[i].name)));
}

static void
note_texts(const IdlaColumns *columns, const bool *was_category)
{
	for (int i = 0; i < columns->n; i++)
		if (was_category[i] && columns->columns[i].kind == IDLA_TEXT)
			ereport(NOTICE,
					(errmsg("column \"%s\" is taken as free text", columns->columns[i].name),
					 errhint("Its values are long or mostly different. For categories use the option columns => {\"%s\": \"category\"}.",
							 columns->columns[i].name)));
}

/* The first look is over: kinds and sizes are settled, and the rows that waited are read. */
static void
settle(Reader *reader)
{
	IdlaReading *reading = reader->reading;
	IdlaColumns *columns = &reading->columns;
	MemoryContext caller = MemoryContextSwitchTo(reader->context);
	bool	   *was_category = palloc0(sizeof(bool) * (Size) columns->n);

	for (int i = 0; i < columns->n; i++)
	{
		IdlaColumn *column = &columns->columns[i];

		was_category[i] = column->kind == IDLA_CATEGORY;
		idla_look_settle(&reader->looks[i], column,
						 idla_override_find(reading->options->overrides, reading->options->n_overrides, column->name));
	}
	note_texts(columns, was_category);
	check_lengths(reader);
	create_dataset(reader);
	if (reader->waiting != NULL)
		replay(reader);
	MemoryContextSwitchTo(caller);
}

static void
wait_for_look(Reader *reader, const Datum *values, const bool *isnull)
{
	IdlaReading *reading = reader->reading;
	IdlaColumns *columns = &reading->columns;
	MemoryContext caller = MemoryContextSwitchTo(reader->context);

	for (int i = 0; i < columns->n; i++)
	{
		IdlaColumn *column = &columns->columns[i];

		if (!idla_look_needed(column, idla_override_find(reading->options->overrides, reading->options->n_overrides, column->name)))
			continue;
		for (int j = 0; j < reader->desc->natts; j++)
			if (strcmp(NameStr(TupleDescAttr(reader->desc, j)->attname), column->name) == 0 && !isnull[j])
				idla_look_add(&reader->looks[i], column, values[j]);
	}
	if (reader->waiting == NULL)
		reader->waiting = tuplestore_begin_heap(false, false, work_mem);
	tuplestore_putvalues(reader->waiting, reader->desc, unconstify(Datum *, values), unconstify(bool *, isnull));
	MemoryContextSwitchTo(caller);
	if (++reader->n_waiting == FIRST_LOOK)
		settle(reader);
}

static void
take_row(void *context, const Datum *values, const bool *isnull)
{
	Reader	   *reader = context;

	if (reader->decoder != NULL)
		take_settled(reader, values, isnull);
	else
		wait_for_look(reader, values, isnull);
}

/* What is ignored of long rows is not gathered. */
static int
gathered_overrides(const IdlaOptions *options, IdlaOverride *left)
{
	int			n = 0;

	for (int i = 0; i < options->n_overrides; i++)
		if (!options->overrides[i].ignore)
			left[n++] = options->overrides[i];
	return n;
}

static void
plan_columns(Reader *reader, IdlaSeriesRows *series)
{
	IdlaReading *reading = reader->reading;
	const IdlaOptions *options = reading->options;
	IdlaOverride *overrides = options->overrides;
	int			n = options->n_overrides;

	if (series != NULL)
	{
		overrides = palloc0(sizeof(IdlaOverride) * (Size) Max(n, 1));
		n = gathered_overrides(options, overrides);
	}
	idla_columns_plan(reader->desc, reading->target.task == LEARN_TAGGING ? all_but_text(reader) : columns_to_skip(reader),
					  overrides, n, &reading->columns);
	/* Whatever the text looks like, it is one. */
	if (reading->target.task == LEARN_TAGGING)
		reading->columns.columns[0].kind = IDLA_TEXT;
	if (series != NULL)
		idla_series_mark(&reading->columns, idla_series_of(series));
}

static void
report_bad(const IdlaReading *reading)
{
	if (reading->n_bad > 0)
		ereport(NOTICE,
				(errmsg_plural("%llu row with a bad value was left out", "%llu rows with a bad value were left out",
							   (unsigned long) reading->n_bad, (unsigned long long) reading->n_bad),
				 errdetail("The first one: %s.", reading->first_bad)));
}

/* Whoever only looks at rows learns nothing, and asks nobody. */
static void
open_teacher(Reader *reader, bool gathered)
{
	IdlaReading *reading = reader->reading;
	const IdlaOptions *options = reading->options;

	if (options->teacher == NULL || options->no_target)
		return;
	if (gathered || reading->target.task == LEARN_TAGGING || reading->target.task == LEARN_SURVIVAL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("option \"teacher\" is not for %s", gathered ? "rows that belong to an entity" :
						psprintf("task \"%s\"", learn_task_names[reading->target.task])),
				 errdetail("A teacher answers row by row, with classes, labels or values.")));
	reading->teacher = idla_teacher_open(options, &reading->target, reader->desc, reading->work);
}

void
idla_reading_run(IdlaReading *reading, const char *target, int task)
{
	Reader		reader;
	IdlaRows   *rows = NULL;
	IdlaSeriesRows *series = NULL;
	uint64		n_rows;

	memset(&reader, 0, sizeof(reader));
	reader.reading = reading;
	reader.context = CurrentMemoryContext;
	reading->spill = idla_spill_create(reading->work);
	if (reading->options->entity != NULL && task != LEARN_TAGGING && reading->options->series_time == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"entity\" needs the time of the rows"),
				 errhint("Name its column with the option \"time\"; to tag tokens, one a row, say task => 'tagging'.")));
	if (reading->options->entity != NULL && task != LEARN_TAGGING)
		series = idla_series_open(reading->source, reading->options, target, task, reading->work);
	else
		rows = idla_rows_open(reading->source);
	/* The cursor's descriptor goes with the cursor; messages and planned columns stay. */
	reader.desc = CreateTupleDescCopy(series != NULL ? idla_series_desc(series) : idla_rows_desc(rows));
	if (task == LEARN_TAGGING)
		rows = join_sentences(&reader, rows, target);
	idla_target_open(&reading->target, target, task, reading->options, reader.desc);
	reader.targets = palloc0(sizeof(float) * (Size) (reading->target.n + 1));
	find_groups(&reader);
	find_order(&reader);
	find_part(&reader);
	find_subgroups(&reader);
	open_teacher(&reader, series != NULL);
	plan_columns(&reader, series);
	reader.looks = palloc0(sizeof(IdlaLook) * (Size) reading->columns.n);
	if (columns_known(&reader))
		create_dataset(&reader);

	n_rows = series != NULL ? idla_series_read(series, take_row, &reader) :
		reading->most > 0 ? idla_rows_read_some(rows, reading->most, take_row, &reader) : idla_rows_read(rows, take_row, &reader);
	if (reader.decoder == NULL && n_rows > 0)
		settle(&reader);
	idla_batch_flush(reader.batch);
	idla_teacher_flush(reading->teacher);
	if (series != NULL)
	{
		reading->gathered = *idla_series_report(series);
		idla_series_close(series);
	}
	else
		idla_rows_close(rows);
	reading->n_read = Max(reading->n_read, n_rows);
	report_bad(reading);
}

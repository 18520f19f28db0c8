/*
 * needs.c: the columns of a row that a model's answer depends on, by name, while a plan is made.
 *
 * They are read off the manifests of the versions that may answer, without loading any of them: a plan may never ask. Nothing here complains of what
 * it finds. Where the names cannot be had, every column is passed, and the statement meets the error, if it is one, when a row is answered.
 */
#include "column.h"
#include "json.h"
#include "log.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#define MOST_KEPT 32			/* versions whose names are kept */

/* Names that were read off a version, known by the rows that it was. */
typedef struct KeptNeeds
{
	Oid			relid;
	uint64		identity;		/* 0: unused */
	MemoryContext context;
	List	   *names;			/* of char *; NIL: the manifest does not tell */
} KeptNeeds;

static KeptNeeds kept[MOST_KEPT];
static int	next_kept = 0;

/* ---- a manifest ---- */

static bool
find_integer(JsonbContainer *object, const char *key, int low, int high, int *integer)
{
	const JsonbValue *value = idla_json_find(object, key);
	double		number;

	if (value == NULL || value->type != jbvNumeric)
		return false;
	number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
	if (!(number >= low && number <= high))
		return false;
	*integer = (int) number;
	return true;
}

static char *
find_string(JsonbContainer *object, const char *key)
{
	const JsonbValue *value = idla_json_find(object, key);

	return value != NULL && value->type == jbvString ? pnstrdup(value->val.string.val, (Size) value->val.string.len) : NULL;
}

/* The object at a place of an array; NULL for what is none. */
static JsonbContainer *
object_at(JsonbContainer *array, int i)
{
	const JsonbValue *value = getIthJsonbValueFromContainer(array, (uint32) i);

	return value != NULL && value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data) ? value->val.binary.data : NULL;
}

static JsonbContainer *
find_container(JsonbContainer *object, const char *key, bool array)
{
	const JsonbValue *value = idla_json_find(object, key);

	if (value == NULL || value->type != jbvBinary)
		return NULL;
	return (array ? JsonContainerIsArray(value->val.binary.data) : JsonContainerIsObject(value->val.binary.data)) ?
		value->val.binary.data : NULL;
}

/* Does any of these channels feed the network? As idla_column_used has it. */
static bool
feeds(JsonbContainer *channels, int first, int n)
{
	static const char *const inputs[] = {"number_input", "indicator_input", "code_input"};

	for (int i = first; i < first + n; i++)
	{
		JsonbContainer *channel = object_at(channels, i);
		int			input;

		for (int j = 0; channel != NULL && j < (int) lengthof(inputs); j++)
			if (find_integer(channel, inputs[j], 0, PG_INT32_MAX, &input))
				return true;
	}
	return false;
}

/* The column's name, and that of the one it counts from, where the model reads it; false for what is no column. */
static bool
add_column(JsonbContainer *object, JsonbContainer *channels, int *first, List **names)
{
	IdlaColumn	column = {.name = find_string(object, "name"),.reference = find_string(object, "reference")};
	int			kind;
	int			n;
	bool		field;

	if (column.name == NULL || !find_integer(object, "kind", IDLA_NUMBER, IDLA_SUMMARY, &kind))
		return false;
	column.kind = (IdlaKind) kind;
	if (column.kind == IDLA_ARRAY && !find_integer(object, "length", 1, (int) JsonContainerSize(channels), &column.array_length))
		return false;
	field = column.kind == IDLA_IMAGE || column.kind == IDLA_SIGNAL || column.kind == IDLA_TEXT || column.kind == IDLA_SERIES;
	n = idla_kind_channels(&column);
	if (field || feeds(channels, *first, n))
	{
		*names = lappend(*names, column.name);
		if (column.reference != NULL)
			*names = lappend(*names, column.reference);
	}
	*first += n;
	return true;
}

static List *
names_of(Jsonb *manifest)
{
	JsonbContainer *columns = JB_ROOT_IS_OBJECT(manifest) ? find_container(&manifest->root, "columns", true) : NULL;
	JsonbContainer *channels = columns != NULL ? find_container(&manifest->root, "channels", true) : NULL;
	JsonbContainer *conformal;
	List	   *names = NIL;
	char	   *by;
	int			first = 0;

	if (channels == NULL)
		return NIL;
	for (int i = 0; i < (int) JsonContainerSize(columns); i++)
	{
		JsonbContainer *object = object_at(columns, i);

		CHECK_FOR_INTERRUPTS();
		if (object == NULL || !add_column(object, channels, &first, &names))
			return NIL;
	}
	/* Intervals and sets of classes ask it for the row's subgroup; all calls have the same columns, so that they share a pass. */
	conformal = find_container(&manifest->root, "conformal", false);
	by = conformal != NULL ? find_string(conformal, "by") : NULL;
	return by != NULL && names != NIL ? lappend(names, by) : names;
}

/* ---- versions ---- */

static List *
copy_names(const List *names)
{
	List	   *copy = NIL;
	ListCell   *cell;

	foreach(cell, names)
		copy = lappend(copy, pstrdup(lfirst(cell)));
	return copy;
}

static const List *
keep(Oid relid, uint64 identity, const List *names)
{
	KeptNeeds  *place = &kept[next_kept];
	MemoryContext caller;

	next_kept = (next_kept + 1) % MOST_KEPT;
	place->identity = 0;
	place->names = NIL;
	if (place->context == NULL)
		place->context = AllocSetContextCreate(CacheMemoryContext, "idla needed columns", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(place->context);
	caller = MemoryContextSwitchTo(place->context);
	place->names = copy_names(names);
	MemoryContextSwitchTo(caller);
	place->relid = relid;
	place->identity = identity;
	return place->names;
}

/* In the current context, or kept; NIL when it is not known. */
static const List *
needs_of_version(const IdlaTable *table, Snapshot snapshot, int version)
{
	Oid			relid = RelationGetRelid(table->relation);
	uint64		identity = idla_table_identity(table, snapshot, version);
	Jsonb	   *manifest;
	List	   *names;

	for (int i = 0; identity != 0 && i < MOST_KEPT; i++)
		if (kept[i].identity == identity && kept[i].relid == relid)
			return kept[i].names;
	manifest = idla_table_manifest(table, snapshot, version);
	names = manifest != NULL ? names_of(manifest) : NIL;
	return identity != 0 ? keep(relid, identity, names) : names;
}

/* Some may be there twice then. */
static List *
add_names(List *all, const List *names)
{
	ListCell   *cell;

	foreach(cell, names)
		all = lappend(all, pstrdup(lfirst(cell)));
	return all;
}

static List *
needs_of_table(const IdlaTable *table, Snapshot snapshot, int version)
{
	IdlaDeployment latest = {0};
	IdlaDeployment log;
	const List *names;
	const char *key;
	List	   *all;
	bool		service = version < 0;

	if (service)
	{
		if (idla_table_look(table, snapshot, &latest, &log, &version) != 1)
			return NIL;
	}
	else
		idla_table_log(table, snapshot, &log);
	names = needs_of_version(table, snapshot, version);
	if (names == NIL)
		return NIL;
	all = add_names(NIL, names);
	if (service && latest.version != version && idla_deployment_share(&latest) >= 0 && idla_table_has(table, snapshot, latest.version))
	{
		names = needs_of_version(table, snapshot, latest.version);
		if (names == NIL)
			return NIL;
		all = add_names(all, names);
	}
	if (idla_log_share(&log, &key) > 0 && key != NULL)
		all = lappend(all, pstrdup(key));
	return all;
}

List *
idla_needs_find(Oid relid, int version, Snapshot snapshot, bool whoever)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext scratch;
	IdlaTable	table;
	List	   *names = NIL;

	if (!idla_is_model(relid) || !(whoever || idla_model_may_see(relid)) || !idla_table_open(&table, relid, AccessShareLock, true))
		return NIL;
	scratch = AllocSetContextCreate(caller, "idla needed columns", ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(scratch);
	if (!RELATION_IS_OTHER_TEMP(table.relation))
		names = needs_of_table(&table, snapshot, version);
	idla_table_close(&table);
	MemoryContextSwitchTo(caller);
	names = copy_names(names);
	MemoryContextDelete(scratch);
	return names;
}

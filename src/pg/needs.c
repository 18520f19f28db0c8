/*
 * needs.c: the columns of a row that a model's answer depends on, by name, while a plan is made.
 *
 * They are read off the manifests of the versions that may answer, without loading any of them: a plan may never ask. Nothing here complains of what
 * it finds. Where the names cannot be had, every column is passed, and the statement meets the error, if it is one, when a row is answered.
 */
#include "column.h"
#include "log.h"
#include "manifest.h"
#include "serve.h"

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
static int	last_given = -1;	/* its names may be in use when the next are asked for */

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

/* NULL too for what is longer than the name of any column. */
static char *
find_name(JsonbContainer *object, const char *key)
{
	const JsonbValue *value = idla_json_find(object, key);

	return value != NULL && value->type == jbvString && value->val.string.len < NAMEDATALEN ?
		pnstrdup(value->val.string.val, (Size) value->val.string.len) : NULL;
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

		CHECK_FOR_INTERRUPTS();
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
	IdlaColumn	column = {.name = find_name(object, "name"),.reference = find_name(object, "reference")};
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
	/* Every channel is one column's, so that none is looked at twice. */
	if (n > (int) JsonContainerSize(channels) - *first)
		return false;
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

	if (channels == NULL || JsonContainerSize(columns) > IDLA_MOST_COLUMNS || JsonContainerSize(channels) > IDLA_MOST_INPUTS)
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
	by = conformal != NULL ? find_name(conformal, "by") : NULL;
	return by != NULL && names != NIL ? lappend(names, by) : names;
}

/* ---- versions ---- */

static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/* Copies, in order, each once. */
static List *
copy_names(List *names)
{
	List	   *once = NIL;
	ListCell   *cell;

	list_sort(names, compare_names);
	foreach(cell, names)
		if (once == NIL || strcmp(llast(once), lfirst(cell)) != 0)
			once = lappend(once, pstrdup(lfirst(cell)));
	return once;
}

static const KeptNeeds *
keep(Oid relid, uint64 identity, List *names)
{
	KeptNeeds  *place;
	MemoryContext caller;

	next_kept = (next_kept + 1) % MOST_KEPT;
	if (next_kept == last_given)
		next_kept = (next_kept + 1) % MOST_KEPT;
	place = &kept[next_kept];
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
	return place;
}

/* In order. In the current context, or kept until the next but one is asked for; NIL when it is not known. */
static const List *
needs_of_version(const IdlaTable *table, Snapshot snapshot, int version, uint64 identity)
{
	Oid			relid = RelationGetRelid(table->relation);
	const KeptNeeds *place = NULL;
	Jsonb	   *manifest;
	List	   *names;

	for (int i = 0; identity != 0 && place == NULL && i < MOST_KEPT; i++)
		if (kept[i].identity == identity && kept[i].relid == relid)
			place = &kept[i];
	if (place == NULL)
	{
		manifest = idla_table_manifest(table, snapshot, version);
		names = manifest != NULL ? names_of(manifest) : NIL;
		if (identity == 0)
			return copy_names(names);
		place = keep(relid, identity, names);
	}
	last_given = (int) (place - kept);
	return place->names;
}

/* What may answer, and what it needs. */
typedef struct Needs
{
	const List *serving;		/* NIL: not known */
	const List *candidate;		/* NIL: none is on trial, or not known */
	IdlaService service;
} Needs;

static void
gather(const IdlaTable *table, Snapshot snapshot, int version, Needs *needs)
{
	memset(needs, 0, sizeof(*needs));
	if (!idla_service_find(table, snapshot, version, true, &needs->service))
		return;
	needs->serving = needs_of_version(table, snapshot, needs->service.version, needs->service.identity);
	if (needs->serving != NIL && needs->service.candidate > 0)
		needs->candidate = needs_of_version(table, snapshot, needs->service.candidate,
											idla_table_identity(table, snapshot, needs->service.candidate));
}

static bool
logs_key(const Needs *needs)
{
	return needs->service.log_share > 0 && needs->service.log_key[0] != '\0';
}

/* Copies of the names that a snapshot's versions need; NIL: not known. */
static List *
find_names(const IdlaTable *table, int version, Snapshot snapshot, Needs *needs)
{
	gather(table, snapshot, version, needs);
	if (needs->serving == NIL || (needs->service.candidate > 0 && needs->candidate == NIL))
		return NIL;
	return copy_names(list_concat_copy(needs->serving, needs->candidate));
}

/*
 * A statement of a function is planned with the snapshot of the statement that called it, and may run with a later one: its plan passes what either
 * needs, or it would be planned twice, each time, once a deploy came between them.
 */
static List *
add_later_names(const IdlaTable *table, int version, Snapshot snapshot, List *names, Needs *needs)
{
	Snapshot	later = GetTransactionSnapshot();
	IdlaSnapshotIdentity identity = idla_snapshot_identify(snapshot);
	IdlaSnapshotIdentity later_identity = idla_snapshot_identify(later);

	if (memcmp(&identity, &later_identity, sizeof(identity)) == 0)
		return names;
	later = RegisterSnapshot(later);
	names = list_concat(names, find_names(table, version, later, needs));
	UnregisterSnapshot(later);
	return names;
}

List *
idla_needs_find(Oid relid, int version, Snapshot snapshot, char **key)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext scratch;
	IdlaTable	table;
	Needs		needs;
	List	   *names = NIL;

	*key = NULL;
	if (!idla_is_model(relid) || !idla_model_may_see(relid) || !idla_table_open(&table, relid, AccessShareLock, true))
		return NIL;
	scratch = AllocSetContextCreate(caller, "idla needed columns", ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(scratch);
	if (!RELATION_IS_OTHER_TEMP(table.relation))
		names = find_names(&table, version, snapshot, &needs);
	if (names != NIL)
	{
		names = add_later_names(&table, version, snapshot, names, &needs);
		if (logs_key(&needs))
			*key = MemoryContextStrdup(caller, needs.service.log_key);
	}
	idla_table_close(&table);
	MemoryContextSwitchTo(caller);
	names = copy_names(names);
	MemoryContextDelete(scratch);
	return names;
}

/* Is every one of some names among others? Both are in order. */
static bool
are_among(const List *names, const List *others)
{
	int			j = 0;
	ListCell   *cell;

	foreach(cell, names)
	{
		while (j < list_length(others) && strcmp(strVal(list_nth(others, j)), lfirst(cell)) < 0)
			j++;
		if (j == list_length(others) || strcmp(strVal(list_nth(others, j)), lfirst(cell)) != 0)
			return false;
	}
	return true;
}

bool
idla_needs_met(Oid relid, int version, Snapshot snapshot, const List *names, const char *key, uint64 *identity)
{
	MemoryContext caller;
	MemoryContext scratch;
	IdlaTable	table;
	Needs		needs;
	bool		met = true;

	if (!idla_table_open(&table, relid, AccessShareLock, true))
		return true;
	scratch = AllocSetContextCreate(CurrentMemoryContext, "idla needed columns", ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(scratch);
	if (!RELATION_IS_OTHER_TEMP(table.relation))
	{
		gather(&table, snapshot, version, &needs);
		met = needs.serving == NIL ||
			(are_among(needs.serving, names) && are_among(needs.candidate, names) &&
			 (!logs_key(&needs) || (key != NULL && strcmp(key, needs.service.log_key) == 0)));
		*identity = needs.service.identity;
	}
	idla_table_close(&table);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);
	return met;
}

/*
 * views.c: what the views idla_models, idla_versions, idla_deployments and idla_log_settings list.
 *
 * Models are found by the name of their constraint. Only those are listed
 * whose version, in_service and card the caller may read, and a table that is
 * locked, altered or damaged shows with NULLs instead of failing the whole
 * list. Rows are read directly, so that looking at the list runs nobody's code.
 */
#include "log.h"

#include <math.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "commands/comment.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(idla_model_list);
PG_FUNCTION_INFO_V1(idla_version_list);
PG_FUNCTION_INFO_V1(idla_deployment_list);
PG_FUNCTION_INFO_V1(idla_log_list);

enum
{
	MODEL_SCHEMA,
	MODEL_MODEL,
	MODEL_OWNER,
	MODEL_VERSIONS,
	MODEL_IN_SERVICE,
	MODEL_TASK,
	MODEL_ARCHITECTURE,
	MODEL_TARGET,
	MODEL_METRIC,
	MODEL_VALUE,
	MODEL_ROWS,
	MODEL_TRAINED_AT,
	MODEL_SIZE,
	MODEL_COMMENT,
	N_MODEL_COLUMNS
};

enum
{
	VERSION_SCHEMA,
	VERSION_MODEL,
	VERSION_VERSION,
	VERSION_IN_SERVICE,
	VERSION_STATUS,
	VERSION_TASK,
	VERSION_ARCHITECTURE,
	VERSION_TARGET,
	VERSION_METRIC,
	VERSION_VALUE,
	VERSION_ROWS,
	VERSION_TRAINED_AT,
	VERSION_CARD,
	N_VERSION_COLUMNS
};

enum
{
	DEPLOYMENT_SCHEMA,
	DEPLOYMENT_MODEL,
	DEPLOYMENT_NUMBER,
	DEPLOYMENT_EVENT,
	DEPLOYMENT_VERSION,
	DEPLOYMENT_SHARE,
	DEPLOYMENT_REPLACES,
	DEPLOYMENT_BY,
	DEPLOYMENT_AT,
	N_DEPLOYMENT_COLUMNS
};

enum
{
	LOG_SCHEMA,
	LOG_MODEL,
	LOG_SHARE,
	LOG_KEY,
	LOG_BY,
	LOG_AT,
	N_LOG_COLUMNS
};

typedef struct Row
{
	Datum		values[N_MODEL_COLUMNS];
	bool		nulls[N_MODEL_COLUMNS];
} Row;

StaticAssertDecl((int) N_VERSION_COLUMNS <= (int) N_MODEL_COLUMNS && (int) N_DEPLOYMENT_COLUMNS <= (int) N_MODEL_COLUMNS &&
				 (int) N_LOG_COLUMNS <= (int) N_MODEL_COLUMNS, "a row holds any of the lists");

/* ---- reading cards, which may hold anything ---- */

static JsonbValue *
card_value(Jsonb *card, const char *key, JsonbValue *value)
{
	if (card == NULL || !JB_ROOT_IS_OBJECT(card))
		return NULL;
	return getKeyJsonValueFromContainer(&card->root, key, strlen(key), value);
}

char *
idla_card_text(Jsonb *card, const char *key)
{
	JsonbValue	space;
	JsonbValue *value = card_value(card, key, &space);

	if (value == NULL || value->type != jbvString)
		return NULL;
	return pnstrdup(value->val.string.val, value->val.string.len);
}

bool
idla_card_number(Jsonb *card, const char *key, double *number)
{
	JsonbValue	space;
	JsonbValue *value = card_value(card, key, &space);

	if (value == NULL || value->type != jbvNumeric)
		return false;
	*number = idla_numeric_to_double(NumericGetDatum(value->val.numeric));
	return true;
}

static void
put(Row *row, int column, Datum value)
{
	row->values[column] = value;
	row->nulls[column] = false;
}

static void
put_text(Row *row, int column, Jsonb *card, const char *key)
{
	char	   *text = idla_card_text(card, key);

	if (text != NULL)
		put(row, column, CStringGetTextDatum(text));
}

/* "2026-05-31T14:02:07.25Z", the form that cards have; anything else is left out. */
static void
put_time(Row *row, int column, Jsonb *card, const char *key)
{
	char	   *text = idla_card_text(card, key);
	struct pg_tm tm = {0};
	TimestampTz time;
	int			n_read = 0;
	int			utc = 0;

	if (text == NULL ||
		sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
			   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &n_read) != 6 || n_read == 0)
		return;
	if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_year < 1970 ||
		tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
		return;
	if (tm2timestamp(&tm, 0, &utc, &time) == 0)
		put(row, column, TimestampTzGetDatum(time));
}

/* What both lists tell of a version: task, architecture, target, metric, value, rows, trained_at, in this order. */
static void
put_card(Row *row, int first, Jsonb *card)
{
	double		number;

	put_text(row, first, card, "task");
	put_text(row, first + 1, card, "architecture");
	put_text(row, first + 2, card, "target");
	put_text(row, first + 3, card, "metric");
	if (idla_card_number(card, "value", &number) && isfinite(number))
		put(row, first + 4, Float8GetDatum(number));
	if (idla_card_number(card, "rows", &number) && number >= 0 && number < 9e18)
		put(row, first + 5, Int64GetDatum((int64) number));
	put_time(row, first + 6, card, "trained_at");
}

/* ---- finding models ---- */

static List *
find_models(void)
{
	Relation	constraints = table_open(ConstraintRelationId, AccessShareLock);
	List	   *models = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_constraint_conname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum("idla_model"));
	scan = systable_beginscan(constraints, ConstraintNameNspIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint constraint = (Form_pg_constraint) GETSTRUCT(tuple);

		if (constraint->contype == CONSTRAINT_CHECK && OidIsValid(constraint->conrelid))
			models = lappend_oid(models, constraint->conrelid);
	}
	systable_endscan(scan);
	table_close(constraints, AccessShareLock);
	return models;
}

bool
idla_model_may_see(Oid relid)
{
	static const char *const columns[] = {"version", "in_service", "card", NULL};
	bool		missing = false;

	if (pg_class_aclcheck_ext(relid, GetUserId(), ACL_SELECT, &missing) != ACLCHECK_OK)
	{
		for (int i = 0; columns[i] != NULL && !missing; i++)
		{
			AttrNumber	attnum = get_attnum(relid, columns[i]);

			if (attnum == InvalidAttrNumber ||
				pg_attribute_aclcheck_ext(relid, attnum, GetUserId(), ACL_SELECT, &missing) != ACLCHECK_OK)
				return false;
		}
	}
	return !missing && check_enable_rls(relid, InvalidOid, true) != RLS_ENABLED;
}

/* Calls list_one for every model the caller may see, in memory that is emptied after each. */
static void
for_each_model(ReturnSetInfo *result, void (*list_one) (ReturnSetInfo *result, Oid relid, bool locked))
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "idla model list", ALLOCSET_DEFAULT_SIZES);
	ListCell   *cell;

	foreach(cell, find_models())
	{
		Oid			relid = lfirst_oid(cell);
		MemoryContext caller = MemoryContextSwitchTo(scratch);
		/* Whoever alters or drops a model holds its lock until he commits: the list does not wait for him. */
		bool		locked = ConditionalLockRelationOid(relid, AccessShareLock);

		CHECK_FOR_INTERRUPTS();
		if (get_rel_relkind(relid) == RELKIND_RELATION && idla_model_may_see(relid) &&
			!isOtherTempNamespace(get_rel_namespace(relid)))
			list_one(result, relid, locked);
		if (locked)
			UnlockRelationOid(relid, AccessShareLock);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(scratch);
	}
	MemoryContextDelete(scratch);
}

static void
start_row(Row *row)
{
	memset(row->nulls, true, sizeof(row->nulls));
}

static void
put_names(Row *row, int schema, int model, Oid relid)
{
	char	   *name = get_namespace_name(get_rel_namespace(relid));

	if (name != NULL)
		put(row, schema, DirectFunctionCall1(namein, CStringGetDatum(name)));
	put(row, model, ObjectIdGetDatum(relid));
}

/* The versions with their cards, and what was done to them (either may be NULL); false when they cannot be read now. */
static bool
read_versions(Oid relid, bool locked, IdlaVersion **versions, int *n, IdlaDeployment **events, int *n_events)
{
	IdlaTable	table;

	if (!locked || !idla_table_open(&table, relid, NoLock, true))
		return false;
	if (versions != NULL)
		*versions = idla_table_versions(&table, GetActiveSnapshot(), true, n);
	if (events != NULL)
		*events = idla_table_deployments(&table, GetActiveSnapshot(), n_events);
	idla_table_close(&table);
	return true;
}

/* Only a version that once was in service can be retired; one that training put there is known by what replaced it. */
static const char *
status_of(const IdlaVersion *version, const IdlaDeployment *events, int n_events)
{
	if (version->in_service)
		return "serving";
	if (n_events > 0 && events[n_events - 1].version == version->version && idla_deployment_share(&events[n_events - 1]) >= 0)
		return idla_deployment_share(&events[n_events - 1]) > 0 ? "trial" : "shadow";
	for (int i = 0; i < n_events; i++)
	{
		double		replaces;
		char	   *what = idla_card_text(events[i].card, "event");

		if (idla_card_number(events[i].card, "replaces", &replaces) && replaces == version->version)
			return "retired";
		if (events[i].version == version->version && what != NULL && strcmp(what, "service") == 0)
			return "retired";
	}
	return "candidate";
}

Oid
idla_model_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

/* ---- the lists ---- */

static void
list_model(ReturnSetInfo *result, Oid relid, bool locked)
{
	Row			row;
	IdlaVersion *versions;
	IdlaVersion *shown = NULL;	/* the version in service, or else the latest */
	int			n;
	char	   *owner;
	char	   *comment;

	start_row(&row);
	put_names(&row, MODEL_SCHEMA, MODEL_MODEL, relid);
	owner = GetUserNameFromId(idla_model_owner(relid), true);
	if (owner != NULL)
		put(&row, MODEL_OWNER, DirectFunctionCall1(namein, CStringGetDatum(owner)));
	comment = GetComment(relid, RelationRelationId, 0);
	if (comment != NULL)
		put(&row, MODEL_COMMENT, CStringGetTextDatum(comment));

	if (read_versions(relid, locked, &versions, &n, NULL, NULL))
	{
		put(&row, MODEL_VERSIONS, Int32GetDatum(n));
		put(&row, MODEL_SIZE, DirectFunctionCall1(pg_total_relation_size, ObjectIdGetDatum(relid)));
		for (int i = 0; i < n; i++)
		{
			if (versions[i].in_service)
			{
				put(&row, MODEL_IN_SERVICE, Int32GetDatum(versions[i].version));
				shown = &versions[i];
			}
			else if (i == n - 1 && shown == NULL)
				shown = &versions[i];
		}
		if (shown != NULL)
			put_card(&row, MODEL_TASK, shown->card);
	}
	tuplestore_putvalues(result->setResult, result->setDesc, row.values, row.nulls);
}

static void
list_versions(ReturnSetInfo *result, Oid relid, bool locked)
{
	IdlaVersion *versions;
	IdlaDeployment  *events;
	int			n;
	int			n_events;

	if (!read_versions(relid, locked, &versions, &n, &events, &n_events))
		return;
	for (int i = 0; i < n; i++)
	{
		Row			row;

		start_row(&row);
		put_names(&row, VERSION_SCHEMA, VERSION_MODEL, relid);
		put(&row, VERSION_VERSION, Int32GetDatum(versions[i].version));
		put(&row, VERSION_IN_SERVICE, BoolGetDatum(versions[i].in_service));
		put(&row, VERSION_STATUS, CStringGetTextDatum(status_of(&versions[i], events, n_events)));
		put_card(&row, VERSION_TASK, versions[i].card);
		if (versions[i].card != NULL)
			put(&row, VERSION_CARD, JsonbPGetDatum(versions[i].card));
		tuplestore_putvalues(result->setResult, result->setDesc, row.values, row.nulls);
	}
}

Datum
idla_model_list(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	for_each_model((ReturnSetInfo *) fcinfo->resultinfo, list_model);
	return (Datum) 0;
}

Datum
idla_version_list(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	for_each_model((ReturnSetInfo *) fcinfo->resultinfo, list_versions);
	return (Datum) 0;
}

static void
list_deployments(ReturnSetInfo *result, Oid relid, bool locked)
{
	IdlaDeployment  *events;
	int			n;

	if (!read_versions(relid, locked, NULL, NULL, &events, &n))
		return;
	for (int i = 0; i < n; i++)
	{
		Row			row;
		double		number;

		start_row(&row);
		put_names(&row, DEPLOYMENT_SCHEMA, DEPLOYMENT_MODEL, relid);
		put(&row, DEPLOYMENT_NUMBER, Int64GetDatum(events[i].number));
		put_text(&row, DEPLOYMENT_EVENT, events[i].card, "event");
		put(&row, DEPLOYMENT_VERSION, Int32GetDatum(events[i].version));
		if (idla_card_number(events[i].card, "share", &number) && isfinite(number))
			put(&row, DEPLOYMENT_SHARE, Float8GetDatum(number));
		if (idla_card_number(events[i].card, "replaces", &number) && number >= 1 && number <= PG_INT32_MAX)
			put(&row, DEPLOYMENT_REPLACES, Int32GetDatum((int32) number));
		put_text(&row, DEPLOYMENT_BY, events[i].card, "by");
		put_time(&row, DEPLOYMENT_AT, events[i].card, "at");
		tuplestore_putvalues(result->setResult, result->setDesc, row.values, row.nulls);
	}
}

Datum
idla_deployment_list(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	for_each_model((ReturnSetInfo *) fcinfo->resultinfo, list_deployments);
	return (Datum) 0;
}

static void
list_log(ReturnSetInfo *result, Oid relid, bool locked)
{
	IdlaTable	table;
	IdlaDeployment event;
	const char *key;
	double		share;
	Row			row;

	if (!locked || !idla_table_open(&table, relid, NoLock, true))
		return;
	idla_table_log(&table, GetActiveSnapshot(), &event);
	idla_table_close(&table);
	share = idla_log_share(&event, &key);
	if (share <= 0)
		return;
	start_row(&row);
	put_names(&row, LOG_SCHEMA, LOG_MODEL, relid);
	put(&row, LOG_SHARE, Float8GetDatum(share));
	put_text(&row, LOG_KEY, event.card, "key");
	put_text(&row, LOG_BY, event.card, "by");
	put_time(&row, LOG_AT, event.card, "at");
	tuplestore_putvalues(result->setResult, result->setDesc, row.values, row.nulls);
}

Datum
idla_log_list(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	for_each_model((ReturnSetInfo *) fcinfo->resultinfo, list_log);
	return (Datum) 0;
}

/*
 * deploy.c: idla_deploy, which version of a model answers, and which is on trial beside it.
 *
 * Two UPDATEs with the caller's own rights, so that privileges, triggers and replication are
 * the table's affair. Deploys and trainings of one model wait for each other under one
 * lock, and look at the rows with a snapshot taken after it: also in a repeatable-read
 * transaction the version that goes out of service is the one that is in service now.
 *
 * What was done, by whom and when stays in the model's own table, as a row of its own without weights, so that a trial and its end are seen, dumped,
 * replicated and rolled back as everything else of a model. Whoever may deploy need not have INSERT: these rows are written as the owner.
 */
#include "trial.h"

#include <math.h>

#include "json.h"
#include "rounding.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(idla_deploy);

/* The version in service among all, -1 for none; ERROR when `wanted` (unless it is -1) is not there. */
static int
find_versions(Oid relid, Snapshot snapshot, int wanted)
{
	IdlaTable	table;
	IdlaVersion *versions;
	int			n;
	int			current = -1;
	bool		exists = wanted < 0;

	idla_table_open(&table, relid, NoLock, false);
	versions = idla_table_versions(&table, snapshot, false, &n);
	for (int i = 0; i < n; i++)
	{
		if (versions[i].in_service)
			current = versions[i].version;
		exists = exists || versions[i].version == wanted;
	}
	if (!exists)
		idla_version_missing(&table, snapshot, wanted);
	idla_table_close(&table);
	return current;
}

static void
update(const char *query, int version, Snapshot snapshot)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(version)};
	SPIPlanPtr	plan = SPI_prepare(query, 1, types);
	int			result = plan == NULL ? SPI_result :
		SPI_execute_snapshot(plan, values, NULL, snapshot, InvalidSnapshot, false, true, 0);

	if (result < 0)
		elog(ERROR, "changing the version in service failed: %s", SPI_result_code_string(result));
	/* A trigger or rule of the table's owner may turn an update into nothing, or into something else. */
	if (result != SPI_OK_UPDATE || SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("version %d was not changed", version),
				 errdetail("A trigger or rule on the model's table suppressed the update.")));
}

/*
 * Operators are named in full: nothing here is resolved through the caller's search_path. He may not read `chunk`, so the first row of a version is known
 * by its card, and what a deployment left by its card's "event".
 */
static void
change_service(Oid relid, int current, int wanted, Snapshot snapshot)
{
	const char *table = idla_qualified_name(relid);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (current >= 0)
		update(psprintf("UPDATE ONLY %s SET in_service = false "
						"WHERE version OPERATOR(pg_catalog.=) $1 AND in_service", table), current, snapshot);
	if (wanted >= 0)
		update(psprintf("UPDATE ONLY %s SET in_service = true "
						"WHERE version OPERATOR(pg_catalog.=) $1 AND card IS NOT NULL "
						"AND NOT (card OPERATOR(pg_catalog.?) 'event')", table), wanted, snapshot);
	SPI_finish();
}

/* ---- events ---- */

double
idla_deployment_share(const IdlaDeployment *event)
{
	double		share = 0;
	char	   *what;

	if (event->number < 1)
		return -1;
	what = idla_card_text(event->card, "event");
	if (what == NULL)
		return -1;
	if (strcmp(what, "shadow") == 0)
		return 0;
	if (strcmp(what, "trial") != 0 || !idla_card_number(event->card, "share", &share) || !(share > 0 && share <= 1))
		return -1;
	return share;
}

static IdlaDeployment
latest_deployment(Oid relid, Snapshot snapshot)
{
	IdlaTable	table;
	IdlaDeployment	latest;

	idla_table_open(&table, relid, NoLock, false);
	(void) idla_table_in_service(&table, snapshot, &latest, NULL, false);
	idla_table_close(&table);
	return latest;
}

static Jsonb *
deployment_card(const char *what, double share, int replaces)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	idla_json_put_string(&out, "event", what);
	if (share > 0)
		idla_json_put_double(&out, "share", share);
	if (replaces > 0)
		idla_json_put_integer(&out, "replaces", replaces);
	idla_json_put_string(&out, "by", GetUserNameFromId(GetUserId(), false));
	idla_json_put_now(&out, "at");
	appendStringInfoChar(&out, '}');
	return idla_json_parse(out.data);
}

static void
insert_event(const char *table, int version, int64 number, Jsonb *card)
{
	Oid			types[] = {INT4OID, INT4OID, JSONBOID};
	Datum		values[] = {Int32GetDatum(version), Int32GetDatum((int32) -number), JsonbPGetDatum(card)};
	int			result;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	result = SPI_execute_with_args(psprintf("INSERT INTO %s (version, chunk, in_service, card) VALUES ($1, $2, false, $3)", table),
								   3, types, values, NULL, false, 0);
	if (result < 0)
		elog(ERROR, "recording what is done to a model failed: %s", SPI_result_code_string(result));
	if (result != SPI_OK_INSERT || SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 version > 0 ? errmsg("the deployment of version %d was not recorded", version) :
				 errmsg("the setting of the log was not recorded"),
				 errdetail("A trigger or rule on the model's table suppressed the row.")));
	SPI_finish();
}

void
idla_event_write(Oid relid, int version, int64 number, Jsonb *card)
{
	const char *table = idla_qualified_name(relid);
	Oid			caller;
	int			security;
	int			level;

	if (number > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("model \"%s\" has no number left for a %s", get_rel_name(relid), version > 0 ? "deployment" : "setting of the log")));
	/* An error restores the user with its transaction. */
	GetUserIdAndSecContext(&caller, &security);
	SetUserIdAndSecContext(idla_model_owner(relid), security | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	level = idla_pin_search_path();
	insert_event(table, version, number, card);
	AtEOXact_GUC(false, level);
	SetUserIdAndSecContext(caller, security);
	CommandCounterIncrement();
}

void
idla_deployment_write(Oid relid, Snapshot snapshot, int version, const char *what, double share, int replaces)
{
	IdlaDeployment	latest = latest_deployment(relid, snapshot);

	idla_event_write(relid, version, latest.number + 1, deployment_card(what, share, replaces));
}

/* ---- trials ---- */

static void
refuse_trial(Oid relid, int wanted, const char *beside, const char *obstacle)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("version %d of model \"%s\" cannot be tried beside %s", wanted, get_rel_name(relid), beside),
			 errdetail("%s", obstacle),
			 errhint("Deploy it as a whole, or compare the two with idla_evaluate.")));
}

/* ERROR unless the version can be asked beside the one in service. */
static void
check_trial(Oid relid, int current, int wanted, Snapshot snapshot)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "idla trial", ALLOCSET_SMALL_SIZES);
	char	   *obstacle;

	if (current < 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("model \"%s\" has no version in service beside which to try version %d", get_rel_name(relid), wanted),
				 errhint("Put one into service first.")));
	if (current == wanted)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("version %d of model \"%s\" is in service", wanted, get_rel_name(relid)),
				 errdetail("A trial is of another version beside it.")));
	obstacle = idla_trial_obstacle(idla_load(relid, current, snapshot, scratch)->model, idla_load(relid, wanted, snapshot, scratch)->model);
	if (obstacle != NULL)
		refuse_trial(relid, wanted, psprintf("version %d", current), obstacle);
	MemoryContextDelete(scratch);
}

/* What is asked for: the share of a trial, 0 in the shadow, below 0 for all rows. */
static double
read_share(FunctionCallInfo fcinfo)
{
	bool		shadow = !PG_ARGISNULL(3) && PG_GETARG_BOOL(3);
	double		share;

	if (PG_ARGISNULL(2))
		share = shadow ? 0 : -1;
	else
	{
		share = PG_GETARG_FLOAT8(2);
		if (!(share > 0 && share <= 1))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("share \"%g\" is not above 0 and at most 1", share),
					 errdetail("It is the share of rows that the candidate answers."),
					 errhint("To ask a candidate without giving its answers, say shadow => true.")));
		if (shadow)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a shadow has no share"),
					 errdetail("In the shadow a candidate is asked for every row, and answers none.")));
	}
	if (share >= 0 && PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the version to try is NULL")));
	return share;
}

/* ---- idla_deploy ---- */

/* ERROR where no version of its kind has trials, before all rows of a source are asked. */
static void
check_trials(Oid relid, int version)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "idla trial", ALLOCSET_SMALL_SIZES);
	const IdlaModel *model = idla_load(relid, version, GetActiveSnapshot(), scratch)->model;
	char	   *obstacle = idla_trial_obstacle(model, model);

	if (obstacle != NULL)
		refuse_trial(relid, version, "another", obstacle);
	MemoryContextDelete(scratch);
}

/* The version to deploy: a new one, where other weights are asked for than it has. */
static int
round_version(FunctionCallInfo fcinfo, Oid relid, int wanted, bool trial)
{
	char	   *source = PG_ARGISNULL(5) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(5));

	if (PG_ARGISNULL(4) && source == NULL)
		return wanted;
	if (wanted < 0)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the version to deploy is NULL"),
				 errhint("Without a version there are no weights to round and no rows to ask.")));
	if (trial)
		check_trials(relid, wanted);
	return idla_version_round(relid, wanted, PG_ARGISNULL(4) ? LEARN_FLOAT32 : idla_precision_find(text_to_cstring(PG_GETARG_TEXT_PP(4))),
							  source);
}

/* All rows: one version, or none. */
static void
deploy_whole(Oid relid, int current, int wanted, Snapshot snapshot)
{
	IdlaDeployment	latest;

	if (current != wanted)
	{
		change_service(relid, current, wanted, snapshot);
		idla_deployment_write(relid, snapshot, wanted < 0 ? current : wanted, wanted < 0 ? "withdrawn" : "service", 0, current);
		return;
	}
	/* The version in service again ends a trial beside it. */
	latest = latest_deployment(relid, snapshot);
	if (idla_deployment_share(&latest) >= 0)
		idla_deployment_write(relid, snapshot, current, "service", 0, 0);
}

Datum
idla_deploy(PG_FUNCTION_ARGS)
{
	Oid			relid;
	int			wanted;
	int			current;
	double		share;
	Snapshot	snapshot;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the model to deploy is NULL")));
	relid = PG_GETARG_OID(0);
	wanted = idla_version_argument(fcinfo, 1);
	share = read_share(fcinfo);
	PreventCommandIfReadOnly("idla_deploy()");
	PreventCommandIfParallelMode("idla_deploy()");

	/* Who may not deploy may not make others wait either; after the lock the answer is final. Rows are judged before it. */
	idla_require_model(relid);
	idla_model_require(relid, IDLA_RIGHT_DEPLOY);
	wanted = round_version(fcinfo, relid, wanted, share >= 0);
	LockRelationOid(relid, ShareRowExclusiveLock);
	idla_require_model(relid);
	idla_model_require(relid, IDLA_RIGHT_DEPLOY);

	snapshot = RegisterSnapshot(GetLatestSnapshot());
	current = find_versions(relid, snapshot, wanted);
	if (share < 0)
		deploy_whole(relid, current, wanted, snapshot);
	else
	{
		check_trial(relid, current, wanted, snapshot);
		idla_deployment_write(relid, snapshot, wanted, share > 0 ? "trial" : "shadow", share, 0);
	}
	CacheInvalidateRelcacheByRelid(relid);
	UnregisterSnapshot(snapshot);
	if (current < 0)
		PG_RETURN_NULL();
	PG_RETURN_INT32(current);
}

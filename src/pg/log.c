/*
 * log.c: idla_log, which has a model's answers logged, and what one sees of that.
 *
 * What is wished stays in the model's own table, as a row of version 0 without weights, beside what deployments leave (deploy.c). So it is rolled
 * back, dumped and replicated with the model, and the next statement sees it.
 */
#include "log.h"

#include "json.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(idla_log);
PG_FUNCTION_INFO_V1(idla_log_flush);

double
idla_log_share(const IdlaDeployment *event, const char **key)
{
	double		share = 0;
	char	   *what;

	*key = NULL;
	if (event->number < 1)
		return 0;
	what = idla_card_text(event->card, "event");
	if (what == NULL || strcmp(what, "log") != 0 || !idla_card_number(event->card, "share", &share) || !(share > 0 && share <= 1))
		return 0;
	*key = idla_card_text(event->card, "key");
	return share;
}

/* ---- idla_log ---- */

static double
read_share(FunctionCallInfo fcinfo)
{
	double		share = PG_ARGISNULL(1) ? 0 : PG_GETARG_FLOAT8(1);

	if (!(share >= 0 && share <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("share \"%g\" is not from 0 to 1", share),
				 errdetail("It is the share of rows whose answers are logged; 0 or NULL: none.")));
	return share;
}

static char *
read_key(FunctionCallInfo fcinfo, double share)
{
	char	   *key = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));

	if (key == NULL)
		return NULL;
	if (share <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the key \"%s\" is of no use", key),
				 errdetail("A share of %g switches the log off.", share)));
	if (key[0] == '\0' || strlen(key) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("\"%s\" is not the name of a column", key),
				 errdetail("The key is the column of the rows by which one finds them again, such as the patient's number.")));
	return key;
}

static void
require_memory(void)
{
	if (!idla_log_possible())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this server has no memory for a log of predictions"),
				 errdetail("Answers wait in shared memory for a worker to write them."),
				 errhint("Add idla to shared_preload_libraries, set idla.log_memory above 0, and restart.")));
}

static Jsonb *
log_card(double share, const char *key)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	idla_json_put_string(&out, "event", "log");
	idla_json_put_double(&out, "share", share);
	idla_json_put_string(&out, "key", key);
	idla_json_put_string(&out, "by", GetUserNameFromId(GetUserId(), false));
	idla_json_put_now(&out, "at");
	appendStringInfoChar(&out, '}');
	return idla_json_parse(out.data);
}

Datum
idla_log(PG_FUNCTION_ARGS)
{
	Oid			relid;
	double		share;
	double		before;
	char	   *key;
	const char *key_before;
	Snapshot	snapshot;
	IdlaTable	table;
	IdlaDeployment latest;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the model to log is NULL")));
	relid = PG_GETARG_OID(0);
	share = read_share(fcinfo);
	key = read_key(fcinfo, share);
	PreventCommandIfReadOnly("idla_log()");
	PreventCommandIfParallelMode("idla_log()");
	if (share > 0)
		require_memory();

	/* As for idla_deploy. */
	idla_require_model(relid);
	idla_model_require(relid, IDLA_RIGHT_DEPLOY);
	LockRelationOid(relid, ShareRowExclusiveLock);
	idla_require_model(relid);
	idla_model_require(relid, IDLA_RIGHT_DEPLOY);

	snapshot = RegisterSnapshot(GetLatestSnapshot());
	idla_table_open(&table, relid, NoLock, false);
	idla_table_log(&table, snapshot, &latest);
	idla_table_close(&table);
	before = idla_log_share(&latest, &key_before);
	if (share != before || (key == NULL) != (key_before == NULL) || (key != NULL && strcmp(key, key_before) != 0))
		idla_event_write(relid, 0, latest.number + 1, log_card(share, key));
	CacheInvalidateRelcacheByRelid(relid);
	UnregisterSnapshot(snapshot);
	if (before <= 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(before);
}

Datum
idla_log_flush(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	idla_logging_end_all();
	idla_log_wait();
	PG_RETURN_VOID();
}

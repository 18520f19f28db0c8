/*
 * deploy.c: idla_deploy, which version of a model answers.
 *
 * Two UPDATEs with the caller's own rights, so that privileges, triggers and replication are
 * the table's affair. Deploys and trainings of one model wait for each other under one
 * lock, and look at the rows with a snapshot taken after it: also in a repeatable-read
 * transaction the version that goes out of service is the one that is in service now.
 */
#include "idla.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(idla_deploy);

/* The version in service among all, -1 for none; ERROR when `wanted` (unless it is -1) is not there. */
static int
find_versions(Oid relid, Snapshot snapshot, int wanted)
{
	IdlaTable	table;
	IdlaVersion *versions;
	const char **names;
	int			n;
	int			current = -1;
	bool		exists = wanted < 0;

	idla_table_open(&table, relid, NoLock, false);
	versions = idla_table_versions(&table, snapshot, false, &n);
	idla_table_close(&table);
	names = palloc0((n + 1) * sizeof(char *));
	for (int i = 0; i < n; i++)
	{
		names[i] = psprintf("%d", versions[i].version);
		if (versions[i].in_service)
			current = versions[i].version;
		exists = exists || versions[i].version == wanted;
	}
	if (!exists)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("model \"%s\" has no version %d", get_rel_name(relid), wanted),
				 n == 0 ? errdetail("It has no versions.") :
				 n == 1 ? errdetail("Its only version is %s.", names[0]) :
				 errdetail("Its versions are %s.", idla_list(names))));
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

	if (result != SPI_OK_UPDATE)
		elog(ERROR, "changing the version in service failed: %s", SPI_result_code_string(result));
	/* A trigger of the table's owner may turn an update into nothing. */
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("version %d was not changed", version),
				 errdetail("A trigger or rule on the model's table suppressed the update.")));
}

/* Operators are named in full: nothing here is resolved through the caller's search_path. */
static void
change_service(Oid relid, int current, int wanted, Snapshot snapshot)
{
	const char *table = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (current >= 0)
		update(psprintf("UPDATE ONLY %s SET in_service = false "
						"WHERE version OPERATOR(pg_catalog.=) $1 AND in_service", table), current, snapshot);
	if (wanted >= 0)
		update(psprintf("UPDATE ONLY %s SET in_service = true "
						"WHERE version OPERATOR(pg_catalog.=) $1 AND card IS NOT NULL", table), wanted, snapshot);
	SPI_finish();
}

Datum
idla_deploy(PG_FUNCTION_ARGS)
{
	Oid			relid;
	int			wanted;
	int			current;
	Snapshot	snapshot;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the model to deploy is NULL")));
	relid = PG_GETARG_OID(0);
	wanted = idla_version_argument(fcinfo, 1);
	PreventCommandIfReadOnly("idla_deploy()");
	PreventCommandIfParallelMode("idla_deploy()");

	/* Who may not deploy may not make others wait either; after the lock the answer is final. */
	idla_require_model(relid);
	idla_model_require(relid, IDLA_RIGHT_DEPLOY);
	LockRelationOid(relid, ShareRowExclusiveLock);
	idla_require_model(relid);
	idla_model_require(relid, IDLA_RIGHT_DEPLOY);

	snapshot = RegisterSnapshot(GetLatestSnapshot());
	current = find_versions(relid, snapshot, wanted);
	if (current != wanted)
	{
		change_service(relid, current, wanted, snapshot);
		CacheInvalidateRelcacheByRelid(relid);
	}
	UnregisterSnapshot(snapshot);
	if (current < 0)
		PG_RETURN_NULL();
	PG_RETURN_INT32(current);
}

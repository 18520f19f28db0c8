/*
 * cache.c: what a session sees and does of the models that it has in memory.
 */
#include "idla.h"

#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(idla_cache_list);
PG_FUNCTION_INFO_V1(idla_evict);
PG_FUNCTION_INFO_V1(idla_prewarm);

enum
{
	CACHE_MODEL,
	CACHE_VERSION,
	CACHE_DIGEST,
	CACHE_BYTES,
	CACHE_IN_USE,
	CACHE_LOADED_AT,
	CACHE_STATEMENTS,
	N_CACHE_COLUMNS
};

static void
put_row(void *context, const IdlaCached *cached)
{
	ReturnSetInfo *result = context;
	Datum		values[N_CACHE_COLUMNS];
	bool		nulls[N_CACHE_COLUMNS] = {false};

	values[CACHE_MODEL] = ObjectIdGetDatum(cached->relid);
	values[CACHE_VERSION] = Int32GetDatum(cached->version);
	values[CACHE_DIGEST] = CStringGetTextDatum(cached->digest);
	values[CACHE_BYTES] = Int64GetDatum((int64) cached->bytes);
	values[CACHE_IN_USE] = BoolGetDatum(cached->in_use);
	values[CACHE_LOADED_AT] = TimestampTzGetDatum(cached->loaded_at);
	values[CACHE_STATEMENTS] = Int64GetDatum((int64) cached->n_uses);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
idla_cache_list(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	idla_cache_walk(put_row, fcinfo->resultinfo);
	return (Datum) 0;
}

Datum
idla_evict(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);

	if (OidIsValid(relid))
		idla_require_model(relid);
	PG_RETURN_INT32(idla_cache_evict(relid));
}

Datum
idla_prewarm(PG_FUNCTION_ARGS)
{
	MemoryContext owner = AllocSetContextCreate(CurrentMemoryContext, "idla prewarming", ALLOCSET_SMALL_SIZES);
	IdlaLoaded *loaded;
	Size		bytes;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	loaded = idla_load(PG_GETARG_OID(0), idla_version_argument(fcinfo, 1), GetActiveSnapshot(), owner);
	bytes = MemoryContextMemAllocated(loaded->model->work->context, true);
	MemoryContextDelete(owner);
	if (bytes > (Size) idla_model_cache * 1024)
		ereport(WARNING,
				(errmsg("the model does not stay in memory"),
				 errdetail("It takes %zu kB, and the session keeps %d kB.", bytes / 1024, idla_model_cache),
				 errhint("Raise idla.model_cache.")));
	PG_RETURN_INT64((int64) bytes);
}

/*
 * cache.c: what a session sees and does of the models in memory, its own and the weights that it shares with others.
 */
#include "shared.h"

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
	CACHE_SCOPE,
	CACHE_SESSIONS,
	N_CACHE_COLUMNS
};

static void
put_own(void *context, const IdlaCached *cached)
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
	values[CACHE_SCOPE] = CStringGetTextDatum("session");
	nulls[CACHE_SESSIONS] = true;
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
put_shared(void *context, const IdlaSharedShown *shown)
{
	ReturnSetInfo *result = context;
	Datum		values[N_CACHE_COLUMNS];
	bool		nulls[N_CACHE_COLUMNS] = {false};

	values[CACHE_MODEL] = ObjectIdGetDatum(shown->relid);
	values[CACHE_VERSION] = Int32GetDatum(shown->version);
	nulls[CACHE_MODEL] = nulls[CACHE_VERSION] = !OidIsValid(shown->relid);
	values[CACHE_DIGEST] = CStringGetTextDatum(shown->digest);
	values[CACHE_BYTES] = Int64GetDatum((int64) shown->bytes);
	values[CACHE_IN_USE] = BoolGetDatum(shown->sessions > 0);
	values[CACHE_LOADED_AT] = TimestampTzGetDatum(shown->filled_at);
	values[CACHE_STATEMENTS] = Int64GetDatum((int64) shown->n_uses);
	values[CACHE_SCOPE] = CStringGetTextDatum("shared");
	values[CACHE_SESSIONS] = Int32GetDatum(shown->sessions);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
idla_cache_list(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	idla_cache_walk(put_own, fcinfo->resultinfo);
	idla_shared_walk(put_shared, fcinfo->resultinfo);
	return (Datum) 0;
}

Datum
idla_evict(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);

	if (OidIsValid(relid))
		idla_require_model(relid);
	PG_RETURN_INT32(idla_cache_evict(relid) + idla_shared_evict(relid));
}

/* Whoever prewarms a model for other sessions wants to know that they get nothing of it. */
static void
warn_unshared(const IdlaLoaded *loaded)
{
	Size		bytes = idla_floats_size(loaded->model);

	if (loaded->shared > 0 || idla_shared_room() == 0 || bytes < (Size) idla_share_from * 1024)
		return;
	ereport(WARNING,
			(errmsg("the model's weights are not shared with other sessions"),
			 loaded->n_users > 1 ? errdetail("A running query of this session uses weights of its own.") :
			 errdetail("They take %zu kB, and there is room for %zu kB, with what is in use.", bytes / 1024, idla_shared_room()),
			 loaded->n_users > 1 ? errhint("Prewarm the model when that query has ended.") :
			 errhint("Raise idla.shared_models, which needs a restart of the server.")));
}

Datum
idla_prewarm(PG_FUNCTION_ARGS)
{
	MemoryContext owner = AllocSetContextCreate(CurrentMemoryContext, "idla prewarming", ALLOCSET_SMALL_SIZES);
	IdlaLoaded *loaded;
	Size		bytes;
	Size		shared;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	loaded = idla_load_shared(PG_GETARG_OID(0), idla_version_argument(fcinfo, 1), GetActiveSnapshot(), owner);
	bytes = MemoryContextMemAllocated(loaded->model->work->context, true);
	shared = loaded->shared;
	warn_unshared(loaded);
	MemoryContextDelete(owner);
	if (bytes > (Size) idla_model_cache * 1024)
		ereport(WARNING,
				(errmsg("the model does not stay in memory"),
				 errdetail("It takes %zu kB, and the session keeps %d kB.", bytes / 1024, idla_model_cache),
				 errhint("Raise idla.model_cache.")));
	PG_RETURN_INT64((int64) (bytes + shared));
}

/*
 * statistics.c: who asks which model how much, and how far candidates are from the version in service: the views idla_stat_models and idla_stat_trials.
 *
 * One entry a version that was asked, in a table of shared memory of fixed size, where the library is preloaded; without that nothing is
 * counted. A place in a query counts for itself (IdlaUse) and adds that to the entry once, when its query ends, however it ends: the lock is
 * shared, an entry's own spinlock is held for some additions. When the table is full, the entry that was not asked for longest gives way.
 */
#include "statistics.h"

#include "access/parallel.h"
#include "catalog/pg_authid.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#define N_ENTRIES 1024
#define TRANCHE "idla_statistics"

PG_FUNCTION_INFO_V1(idla_stat_list);
PG_FUNCTION_INFO_V1(idla_stat_reset);

/* Compared as bytes: there is nothing between the fields. */
typedef struct Key
{
	Oid			database;
	Oid			relid;
	int32		version;
} Key;

typedef struct Entry
{
	Key			key;			/* first */
	slock_t		mutex;			/* of what follows */
	uint64		calls;
	uint64		rows;
	uint64		errors;
	uint64		logged;
	uint64		lost;
	double		seconds;
	IdlaCompared compared;
	TimestampTz since;
	TimestampTz last;
} Entry;

static shmem_request_hook_type earlier_request = NULL;
static shmem_startup_hook_type earlier_startup = NULL;
static HTAB *entries = NULL;
static LWLock *entries_lock = NULL; /* shared to look an entry up, exclusive to add or remove one */

/* ---- start-up ---- */

static void
request_memory(void)
{
	if (earlier_request != NULL)
		earlier_request();
	RequestAddinShmemSpace(hash_estimate_size(N_ENTRIES, sizeof(Entry)));
	RequestNamedLWLockTranche(TRANCHE, 1);
}

static void
start_memory(void)
{
	HASHCTL		control = {.keysize = sizeof(Key),.entrysize = sizeof(Entry)};

	if (earlier_startup != NULL)
		earlier_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	entries = ShmemInitHash("idla statistics", N_ENTRIES, N_ENTRIES, &control, HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
	entries_lock = &GetNamedLWLockTranche(TRANCHE)->lock;
	LWLockRelease(AddinShmemInitLock);
}

void
idla_statistics_request_memory(void)
{
	earlier_request = shmem_request_hook;
	shmem_request_hook = request_memory;
	earlier_startup = shmem_startup_hook;
	shmem_startup_hook = start_memory;
}

/* ---- counting ---- */

static void
add_to(Entry *entry, const IdlaUse *use, TimestampTz now)
{
	bool		leader = !IsParallelWorker() || (ParallelWorkerNumber == 0 && !parallel_leader_participation);
	bool		calls = use->counts == IDLA_COUNTS_HERE || (use->counts == IDLA_COUNTS_LEADER && leader);

	SpinLockAcquire(&entry->mutex);
	entry->calls += calls;
	entry->rows += use->rows;
	entry->errors += use->inside;
	entry->seconds += INSTR_TIME_GET_DOUBLE(use->time);
	entry->logged += use->logged;
	entry->lost += use->lost;
	entry->compared.rows += use->compared.rows;
	entry->compared.answered += use->compared.answered;
	entry->compared.disagreed += use->compared.disagreed;
	entry->compared.failed += use->compared.failed;
	entry->compared.difference += use->compared.difference;
	entry->compared.absolute += use->compared.absolute;
	entry->compared.largest = Max(entry->compared.largest, use->compared.largest);
	entry->last = now;
	SpinLockRelease(&entry->mutex);
}

/* The lock is held. */
static void
make_room(void)
{
	HASH_SEQ_STATUS scan;
	Entry	   *entry;
	Entry	   *oldest = NULL;

	if (hash_get_num_entries(entries) < N_ENTRIES)
		return;
	hash_seq_init(&scan, entries);
	while ((entry = hash_seq_search(&scan)) != NULL)
		if (oldest == NULL || entry->last < oldest->last)
			oldest = entry;
	hash_search(entries, &oldest->key, HASH_REMOVE, NULL);
}

static Entry *
create_entry(const Key *key, TimestampTz now)
{
	bool		found;
	Entry	   *entry;

	make_room();
	entry = hash_search(entries, key, HASH_ENTER_NULL, &found);
	if (entry == NULL || found)
		return entry;
	SpinLockInit(&entry->mutex);
	entry->calls = entry->rows = entry->errors = entry->logged = entry->lost = 0;
	entry->seconds = 0;
	memset(&entry->compared, 0, sizeof(entry->compared));
	entry->since = entry->last = now;
	return entry;
}

static void
flush(IdlaUse *use)
{
	Key			key = {.database = MyDatabaseId,.relid = use->relid,.version = use->version};
	TimestampTz now = GetCurrentTimestamp();
	Entry	   *entry;

	LWLockAcquire(entries_lock, LW_SHARED);
	entry = hash_search(entries, &key, HASH_FIND, NULL);
	if (entry != NULL)
		add_to(entry, use, now);
	LWLockRelease(entries_lock);
	if (entry != NULL)
		return;
	LWLockAcquire(entries_lock, LW_EXCLUSIVE);
	entry = create_entry(&key, now);
	if (entry != NULL)
		add_to(entry, use, now);
	LWLockRelease(entries_lock);
}

void
idla_use_end(IdlaUse *use)
{
	/* Without a PGPROC there is no lock to be had: the process is as good as gone. */
	if (OidIsValid(use->relid) && entries != NULL && MyProc != NULL)
		flush(use);
	use->relid = InvalidOid;
	use->rows = 0;
	use->logged = use->lost = 0;
	use->inside = false;
	memset(&use->compared, 0, sizeof(use->compared));
	INSTR_TIME_SET_ZERO(use->time);
}

static void
end_with_context(void *use)
{
	idla_use_end(use);
}

void
idla_use_start(IdlaUse *use, MemoryContext owner, Oid relid, int version)
{
	if (entries == NULL)
		return;
	if (use->callback.func == NULL)
	{
		use->callback.func = end_with_context;
		use->callback.arg = use;
		MemoryContextRegisterResetCallback(owner, &use->callback);
	}
	idla_use_end(use);
	use->relid = relid;
	use->version = version;
}

/* ---- SQL ---- */

/* What one may know of a model's use is what one may know of queries; who may predict may know how much that is done. */
static bool
may_see(const Entry *entry)
{
	if (entry->key.database != MyDatabaseId || get_rel_name(entry->key.relid) == NULL)
		return false;
	return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) || idla_model_may_see(entry->key.relid);
}

/* Copies, so that nothing is looked up under the lock. */
static Entry *
copy_entries(int *n)
{
	Entry	   *copies = palloc(sizeof(Entry) * N_ENTRIES);
	HASH_SEQ_STATUS scan;
	Entry	   *entry;

	*n = 0;
	LWLockAcquire(entries_lock, LW_SHARED);
	hash_seq_init(&scan, entries);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		SpinLockAcquire(&entry->mutex);
		copies[*n] = *entry;
		SpinLockRelease(&entry->mutex);
		(*n)++;
	}
	LWLockRelease(entries_lock);
	return copies;
}

Datum
idla_stat_list(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Entry	   *copies;
	int			n;

	InitMaterializedSRF(fcinfo, 0);
	if (entries == NULL)
		return (Datum) 0;
	copies = copy_entries(&n);
	for (int i = 0; i < n; i++)
	{
		const IdlaCompared *compared = &copies[i].compared;
		double		n_compared = (double) compared->rows;
		Datum		values[17];
		bool		nulls[17] = {false};

		if (!may_see(&copies[i]))
			continue;
		values[0] = ObjectIdGetDatum(copies[i].key.relid);
		values[1] = Int32GetDatum(copies[i].key.version);
		values[2] = Int64GetDatum((int64) copies[i].calls);
		values[3] = Int64GetDatum((int64) copies[i].rows);
		values[4] = Int64GetDatum((int64) copies[i].errors);
		values[5] = Float8GetDatum(copies[i].seconds);
		values[6] = TimestampTzGetDatum(copies[i].since);
		values[7] = TimestampTzGetDatum(copies[i].last);
		values[8] = Int64GetDatum((int64) compared->rows);
		values[9] = Float8GetDatum(n_compared > 0 ? compared->difference / n_compared : 0);
		values[10] = Float8GetDatum(n_compared > 0 ? compared->absolute / n_compared : 0);
		values[11] = Float8GetDatum(compared->largest);
		values[12] = Int64GetDatum((int64) compared->disagreed);
		values[13] = Int64GetDatum((int64) compared->failed);
		values[14] = Int64GetDatum((int64) compared->answered);
		values[15] = Int64GetDatum((int64) copies[i].logged);
		values[16] = Int64GetDatum((int64) copies[i].lost);
		nulls[9] = nulls[10] = nulls[11] = nulls[12] = compared->rows == 0;
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	pfree(copies);
	return (Datum) 0;
}

Datum
idla_stat_reset(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	HASH_SEQ_STATUS scan;
	Entry	   *entry;
	int64		n = 0;

	if (OidIsValid(relid))
		idla_require_model(relid);
	if (entries == NULL)
		PG_RETURN_INT64(0);
	LWLockAcquire(entries_lock, LW_EXCLUSIVE);
	hash_seq_init(&scan, entries);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		if (entry->key.database != MyDatabaseId || (OidIsValid(relid) && entry->key.relid != relid))
			continue;
		hash_search(entries, &entry->key, HASH_REMOVE, NULL);
		n++;
	}
	LWLockRelease(entries_lock);
	PG_RETURN_INT64(n);
}

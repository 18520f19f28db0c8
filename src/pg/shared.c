/*
 * shared.c: weights that all sessions use together, in shared memory of fixed size where the library is preloaded.
 *
 * An entry is known by the SHA-256 of a manifest, which has the weights' own; whoever asks for one has read that manifest from rows he may read.
 * The first session reads and checks the weights for all, and others wait for it, though not for ever. An entry remembers which rows were seen to have its
 * weights, so that a manifest alone, copied to a table with other weights or none, gives nobody anything. Sessions hold an entry while a query of theirs
 * uses it: by one atomic number, generation above and holders below, so that holding one again takes no lock and fails when the entry has become another.
 * When there is no room, entries that nobody holds, and did not lately, go, least recently used first; when that does not help, sessions keep weights of
 * their own.
 */
#include "shared.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/acl.h"
#include "utils/dsa.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define N_ENTRIES 256
#define N_PLACES 8				/* rows that an entry remembers; one more makes it forget the first */
#define TRANCHE "idla_shared_models"
#define LINE 64					/* blocks begin on a line of the cache */
#define SLACK 4096				/* bytes that a block may take beyond its safetensors image */
#define LONGEST_WAIT (30 * 1000)	/* ms for another session's reading */
#define WAIT_AT_ONCE 1000		/* ms */
#define WARM (10 * 1000)		/* ms after its last use in which an entry makes no room unasked: models in turn would push each other out */

typedef enum State
{
	FREE,
	LOADING,					/* one session fills it, and counts as its only holder */
	READY
} State;

/* Changed under the exclusive lock, but for the atomic members, and for what only the loading session knows of. */
typedef struct Entry
{
	pg_atomic_uint64 hold;		/* generation << 32 | sessions that hold it */
	pg_atomic_uint64 last_used; /* a TimestampTz */
	pg_atomic_uint64 n_uses;
	State		state;
	char		manifest_hash[65];
	char		digest[65];
	dsa_pointer block;
	Size		bytes;			/* that it takes of the area */
	Size		size;			/* of what lies in it */
	TimestampTz filled_at;
	uint64		n_places;		/* that were ever seen; the last ones are places[n % N_PLACES] */
	IdlaPlace	places[N_PLACES];
	ConditionVariable filled;	/* or given up */
} Entry;

typedef struct Area
{
	Size		room;			/* bytes that entries can have together, about */
	Entry		entries[N_ENTRIES];
} Area;

int			idla_shared_models = 128;
int			idla_share_from = 4 * 1024;

static shmem_request_hook_type earlier_request = NULL;
static shmem_startup_hook_type earlier_startup = NULL;
static Area *area = NULL;		/* NULL: there is none */
static LWLock *area_lock = NULL;
static void *weights_memory = NULL;
static dsa_area *weights = NULL;	/* this session's door to it */
static dlist_head shares = DLIST_STATIC_INIT(shares);	/* what this session holds or fills */
static bool leaving = false;

/* ---- start-up ---- */

static Size
memory_of_weights(void)
{
	return (Size) idla_shared_models * 1024 * 1024;
}

static void
request_memory(void)
{
	if (earlier_request != NULL)
		earlier_request();
	if (idla_shared_models == 0)
		return;
	RequestAddinShmemSpace(add_size(CACHELINEALIGN(sizeof(Area)), CACHELINEALIGN(memory_of_weights())));
	RequestNamedLWLockTranche(TRANCHE, 1);
}

static void
create_area(void)
{
	dsa_area   *created;

	area->room = memory_of_weights() - memory_of_weights() / 256 - 64 * 1024;
	for (int i = 0; i < N_ENTRIES; i++)
	{
		pg_atomic_init_u64(&area->entries[i].hold, 0);
		pg_atomic_init_u64(&area->entries[i].last_used, 0);
		pg_atomic_init_u64(&area->entries[i].n_uses, 0);
		area->entries[i].state = FREE;
		ConditionVariableInit(&area->entries[i].filled);
	}
	created = dsa_create_in_place(weights_memory, memory_of_weights(), area_lock->tranche, NULL);
	dsa_pin(created);
	dsa_set_size_limit(created, memory_of_weights());
	/* Whoever starts up needs it no more, and its copy must not reach the children. */
	dsa_detach(created);
}

static void
start_memory(void)
{
	bool		found;

	if (earlier_startup != NULL)
		earlier_startup();
	area = NULL;
	if (idla_shared_models == 0)
		return;
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	area_lock = &GetNamedLWLockTranche(TRANCHE)->lock;
	area = ShmemInitStruct("idla shared models", sizeof(Area), &found);
	weights_memory = ShmemInitStruct("idla shared weights", memory_of_weights(), &found);
	if (!found)
		create_area();
	LWLockRelease(AddinShmemInitLock);
}

void
idla_shared_request_memory(void)
{
	earlier_request = shmem_request_hook;
	shmem_request_hook = request_memory;
	earlier_startup = shmem_startup_hook;
	shmem_startup_hook = start_memory;
}

/* ---- a session comes and goes ---- */

static void
leave(int code, Datum argument)
{
	(void) code;
	(void) argument;
	leaving = true;
	while (!dlist_is_empty(&shares))
		idla_shared_release(dlist_container(IdlaShare, node, dlist_head_node(&shares)));
	if (weights == NULL)
		return;
	dsa_detach(weights);
	dsa_release_in_place(weights_memory);
	weights = NULL;
}

/* Whether there is an area for this session. */
static bool
enter(void)
{
	MemoryContext caller = CurrentMemoryContext;

	if (area == NULL || leaving)
		return false;
	if (weights != NULL)
		return true;
	MemoryContextSwitchTo(TopMemoryContext);
	weights = dsa_attach_in_place(weights_memory, NULL);
	dsa_pin_mapping(weights);
	MemoryContextSwitchTo(caller);
	before_shmem_exit(leave, 0);
	return true;
}

/* ---- holding ---- */

static uint32
generation_of(uint64 hold)
{
	return (uint32) (hold >> 32);
}

static uint32
holders_of(uint64 hold)
{
	return (uint32) hold;
}

static Entry *
entry_of(const IdlaShare *share)
{
	return &area->entries[share->number - 1];
}

static void
note_use(Entry *entry)
{
	pg_atomic_write_u64(&entry->last_used, (uint64) GetCurrentStatementStartTimestamp());
	pg_atomic_fetch_add_u64(&entry->n_uses, 1);
}

bool
idla_shared_hold(IdlaShare *share)
{
	Entry	   *entry;
	uint64		hold;

	if (share->number == 0 || share->held)
		return true;
	if (leaving)
		return false;
	entry = entry_of(share);
	hold = pg_atomic_read_u64(&entry->hold);
	do
	{
		if (generation_of(hold) != share->generation)
			return false;
	} while (!pg_atomic_compare_exchange_u64(&entry->hold, &hold, hold + 1));
	share->held = true;
	dlist_push_head(&shares, &share->node);
	note_use(entry);
	return true;
}

/* An entry becomes another one, of nothing. The lock is held, and nobody else holds the entry. */
static void
clear(Entry *entry, uint64 hold)
{
	pg_atomic_write_u64(&entry->hold, (uint64) (generation_of(hold) + 1) << 32);
	if (DsaPointerIsValid(entry->block))
		dsa_free(weights, entry->block);
	entry->block = InvalidDsaPointer;
	entry->bytes = 0;
	entry->n_places = 0;
	entry->state = FREE;
}

void
idla_shared_release(IdlaShare *share)
{
	Entry	   *entry;
	bool		locked;

	if (!share->held && !share->claimed)
		return;
	entry = entry_of(share);
	dlist_delete(&share->node);
	share->held = false;
	if (!share->claimed)
	{
		pg_atomic_write_u64(&entry->last_used, (uint64) GetCurrentTimestamp());
		pg_atomic_fetch_sub_u64(&entry->hold, 1);
		return;
	}
	share->claimed = false;
	share->number = 0;
	/* After an error under the lock it is still there. */
	locked = LWLockHeldByMe(area_lock);
	if (!locked)
		LWLockAcquire(area_lock, LW_EXCLUSIVE);
	clear(entry, pg_atomic_read_u64(&entry->hold));
	if (!locked)
		LWLockRelease(area_lock);
	ConditionVariableBroadcast(&entry->filled);
}

/* ---- room; the lock is held ---- */

/* Lets an entry go unless somebody holds it. */
static bool
evict(Entry *entry)
{
	uint64		hold = pg_atomic_read_u64(&entry->hold);
	uint64		next = (uint64) (generation_of(hold) + 1) << 32;

	if (entry->state != READY || holders_of(hold) > 0 || !pg_atomic_compare_exchange_u64(&entry->hold, &hold, next))
		return false;
	clear(entry, hold);
	return true;
}

static bool
is_cold(Entry *entry)
{
	return TimestampDifferenceExceeds((TimestampTz) pg_atomic_read_u64(&entry->last_used), GetCurrentTimestamp(), WARM);
}

static bool
evict_oldest(bool eager)
{
	for (;;)
	{
		Entry	   *oldest = NULL;

		for (int i = 0; i < N_ENTRIES; i++)
		{
			Entry	   *entry = &area->entries[i];

			if (entry->state == READY && holders_of(pg_atomic_read_u64(&entry->hold)) == 0 &&
				(oldest == NULL || pg_atomic_read_u64(&entry->last_used) < pg_atomic_read_u64(&oldest->last_used)))
				oldest = entry;
		}
		if (oldest == NULL)
			return false;
		if (!eager && !is_cold(oldest))
			return false;
		/* Somebody may just have taken hold of it. */
		if (evict(oldest))
			return true;
	}
}

/* Bytes of the entries that will not go. */
static Size
bytes_kept(bool eager)
{
	Size		bytes = 0;

	for (int i = 0; i < N_ENTRIES; i++)
		if (area->entries[i].state != FREE &&
			(holders_of(pg_atomic_read_u64(&area->entries[i].hold)) > 0 || (!eager && !is_cold(&area->entries[i]))))
			bytes += area->entries[i].bytes;
	return bytes;
}

/* Nothing goes for what would not fit all the same. */
static bool
may_fit(Size bytes, bool eager)
{
	return bytes <= area->room && bytes_kept(eager) <= area->room - bytes;
}

static dsa_pointer
make_room(Size bytes, bool eager)
{
	dsa_pointer block;

	if (!may_fit(bytes, eager))
		return InvalidDsaPointer;
	do
	{
		block = dsa_allocate_extended(weights, bytes, DSA_ALLOC_HUGE | DSA_ALLOC_NO_OOM);
	} while (!DsaPointerIsValid(block) && evict_oldest(eager));
	return block;
}

static Entry *
free_entry(bool eager)
{
	do
	{
		for (int i = 0; i < N_ENTRIES; i++)
			if (area->entries[i].state == FREE)
				return &area->entries[i];
	} while (evict_oldest(eager));
	return NULL;
}

/* ---- finding ---- */

static Entry *
look_up(const char *manifest_hash)
{
	for (int i = 0; i < N_ENTRIES; i++)
		if (area->entries[i].state != FREE && strcmp(area->entries[i].manifest_hash, manifest_hash) == 0)
			return &area->entries[i];
	return NULL;
}

static int
n_places(const Entry *entry)
{
	return (int) Min(entry->n_places, N_PLACES);
}

static bool
knows(const Entry *entry, const IdlaPlace *place)
{
	for (int i = 0; i < n_places(entry); i++)
		if (place->identity != 0 && entry->places[i].identity == place->identity &&
			entry->places[i].database == place->database && entry->places[i].relid == place->relid)
			return true;
	return false;
}

static void
remember(Entry *entry, const IdlaPlace *place)
{
	if (place->identity != 0 && !knows(entry, place))
		entry->places[entry->n_places++ % N_PLACES] = *place;
}

static const char *
block_of(const Entry *entry)
{
	return (const char *) TYPEALIGN(LINE, dsa_get_address(weights, entry->block));
}

/* The lock is held. */
static void
take_hold(IdlaShare *share, Entry *entry)
{
	share->number = (int) (entry - area->entries) + 1;
	share->generation = generation_of(pg_atomic_fetch_add_u64(&entry->hold, 1));
	share->held = true;
	share->block = block_of(entry);
	share->size = entry->size;
	strlcpy(share->digest, entry->digest, sizeof(share->digest));
	dlist_push_head(&shares, &share->node);
	note_use(entry);
}

/* The lock is held. */
static bool
claim(IdlaShare *share, const char *manifest_hash, Size bytes, bool eager)
{
	Entry	   *entry = may_fit(bytes, eager) ? free_entry(eager) : NULL;
	dsa_pointer block = entry == NULL ? InvalidDsaPointer : make_room(bytes, eager);

	if (!DsaPointerIsValid(block))
		return false;
	entry->block = block;
	entry->bytes = bytes;
	strlcpy(entry->manifest_hash, manifest_hash, sizeof(entry->manifest_hash));
	pg_atomic_write_u64(&entry->n_uses, 0);
	share->number = (int) (entry - area->entries) + 1;
	share->generation = generation_of(pg_atomic_fetch_add_u64(&entry->hold, 1));
	share->claimed = true;
	dlist_push_head(&shares, &share->node);
	entry->state = LOADING;
	return true;
}

/* One look: false when another session is reading it, whose entry it is then. */
static bool
find_now(IdlaShare *share, const char *manifest_hash, const IdlaPlace *place, Size size, bool eager, IdlaSharing *sharing, Entry **busy)
{
	Entry	   *entry;

	LWLockAcquire(area_lock, LW_EXCLUSIVE);
	entry = look_up(manifest_hash);
	if (entry == NULL)
		*sharing = claim(share, manifest_hash, size, eager) ? IDLA_SHARING_CLAIMED : IDLA_SHARING_NOT;
	else if (entry->state == READY)
	{
		take_hold(share, entry);
		*sharing = knows(entry, place) ? IDLA_SHARING_KNOWN : IDLA_SHARING_UNPROVED;
	}
	*busy = entry != NULL && entry->state == LOADING ? entry : NULL;
	LWLockRelease(area_lock);
	return *busy == NULL;
}

IdlaSharing
idla_shared_find(IdlaShare *share, const char *manifest_hash, const IdlaPlace *place, Size size, bool eager)
{
	IdlaSharing sharing = IDLA_SHARING_NOT;
	Entry	   *busy;
	TimestampTz begin;

	if (!idla_shared_wants(size) || !enter())
		return IDLA_SHARING_NOT;
	begin = GetCurrentTimestamp();
	while (!find_now(share, manifest_hash, place, size + SLACK, eager, &sharing, &busy))
	{
		/* The other one may wait for a lock of this session's, and nobody would notice. */
		if (TimestampDifferenceExceeds(begin, GetCurrentTimestamp(), LONGEST_WAIT))
			break;
		ConditionVariableTimedSleep(&busy->filled, WAIT_AT_ONCE, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	return sharing;
}

void
idla_shared_prove(const IdlaShare *share, const IdlaPlace *place)
{
	if (!share->held)
		return;
	LWLockAcquire(area_lock, LW_EXCLUSIVE);
	remember(entry_of(share), place);
	LWLockRelease(area_lock);
}

bool
idla_shared_proved(const IdlaShare *share, const IdlaPlace *place)
{
	bool		proved;

	if (!share->held)
		return false;
	LWLockAcquire(area_lock, LW_SHARED);
	proved = knows(entry_of(share), place);
	LWLockRelease(area_lock);
	return proved;
}

/* ---- filling ---- */

/* What was claimed is for an image of usual form; this is for the block itself, larger or a good deal smaller. */
static bool
claim_size(Entry *entry, Size bytes, bool eager)
{
	if (bytes <= entry->bytes && entry->bytes - bytes <= SLACK + bytes / 16)
		return true;
	LWLockAcquire(area_lock, LW_EXCLUSIVE);
	dsa_free(weights, entry->block);
	entry->bytes = 0;
	entry->block = InvalidDsaPointer;
	entry->block = make_room(bytes, eager);
	if (DsaPointerIsValid(entry->block))
		entry->bytes = bytes;
	LWLockRelease(area_lock);
	return entry->bytes > 0;
}

void
idla_shared_fill(IdlaShare *share, IdlaModel *model, const IdlaPlace *place, bool eager)
{
	Entry	   *entry = entry_of(share);
	Size		size = idla_floats_size(model);

	if (!claim_size(entry, size + LINE, eager))
	{
		idla_shared_release(share);
		return;
	}
	share->block = block_of(entry);
	share->size = size;
	strlcpy(share->digest, model->digest, sizeof(share->digest));
	idla_floats_move(model, unconstify(char *, share->block));

	LWLockAcquire(area_lock, LW_EXCLUSIVE);
	entry->size = size;
	strlcpy(entry->digest, model->digest, sizeof(entry->digest));
	entry->filled_at = GetCurrentTimestamp();
	remember(entry, place);
	entry->state = READY;
	share->claimed = false;
	share->held = true;
	note_use(entry);
	LWLockRelease(area_lock);
	ConditionVariableBroadcast(&entry->filled);
}

/* ---- what a session sees of it ---- */

bool
idla_shared_wants(Size size)
{
	return area != NULL && size >= (Size) idla_share_from * 1024;
}

Size
idla_shared_room(void)
{
	return area == NULL ? 0 : area->room / 1024;
}

/* An entry as it was, with its number. */
typedef struct Copy
{
	Entry		entry;
	int			number;
	uint64		hold;
} Copy;

/* All that are filled, so that nothing is looked up under the lock. */
static Copy *
copy_entries(int *n)
{
	Copy	   *copies = palloc(N_ENTRIES * sizeof(Copy));

	*n = 0;
	LWLockAcquire(area_lock, LW_SHARED);
	for (int i = 0; i < N_ENTRIES; i++)
	{
		if (area->entries[i].state != READY)
			continue;
		copies[*n].entry = area->entries[i];
		copies[*n].hold = pg_atomic_read_u64(&area->entries[i].hold);
		copies[(*n)++].number = i;
	}
	LWLockRelease(area_lock);
	return copies;
}

/* The model that an entry was last found in and that `fits`; NULL when there is none in this database. */
static const IdlaPlace *
find_place(const Entry *entry, bool (*fits) (Oid relid))
{
	for (int i = 1; i <= n_places(entry); i++)
	{
		const IdlaPlace *place = &entry->places[(entry->n_places - (uint64) i) % N_PLACES];

		if (place->database == MyDatabaseId && fits(place->relid))
			return place;
	}
	return NULL;
}

void
idla_shared_walk(void (*take) (void *context, const IdlaSharedShown *shown), void *context)
{
	bool		sees_all = has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);
	Copy	   *copies;
	int			n;

	if (area == NULL)
		return;
	copies = copy_entries(&n);
	for (int i = 0; i < n; i++)
	{
		const Entry *entry = &copies[i].entry;
		const IdlaPlace *place = find_place(entry, idla_model_may_see);
		IdlaSharedShown shown = {
			.digest = entry->digest,.bytes = entry->bytes,.sessions = (int) holders_of(copies[i].hold),.filled_at = entry->filled_at,
			.n_uses = pg_atomic_read_u64(&copies[i].entry.n_uses)
		};

		if (place == NULL && !sees_all)
			continue;
		if (place != NULL)
		{
			shown.relid = place->relid;
			shown.version = place->version;
		}
		take(context, &shown);
	}
	pfree(copies);
}

static bool
is_own(Oid relid)
{
	Oid			owner = idla_model_owner(relid);

	return OidIsValid(owner) && has_privs_of_role(GetUserId(), owner);
}

/* May the caller let it go, and did he mean it? */
static bool
is_meant(const Entry *entry, Oid relid)
{
	if (!OidIsValid(relid))
		return superuser() || find_place(entry, is_own) != NULL;
	for (int i = 0; i < n_places(entry); i++)
		if (entry->places[i].database == MyDatabaseId && entry->places[i].relid == relid)
			return is_own(relid);
	return false;
}

int
idla_shared_evict(Oid relid)
{
	Copy	   *copies;
	int			n;
	int			n_evicted = 0;

	if (!enter())
		return 0;
	copies = copy_entries(&n);
	for (int i = 0; i < n; i++)
	{
		Entry	   *entry = &area->entries[copies[i].number];

		if (!is_meant(&copies[i].entry, relid))
			continue;
		LWLockAcquire(area_lock, LW_EXCLUSIVE);
		if (generation_of(pg_atomic_read_u64(&entry->hold)) == generation_of(copies[i].hold) && evict(entry))
			n_evicted++;
		LWLockRelease(area_lock);
	}
	pfree(copies);
	return n_evicted;
}

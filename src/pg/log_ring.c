/*
 * log_ring.c: logged answers on their way from those who ask to the worker who writes.
 *
 * Shared memory of fixed size in blocks. Each database that logs has a queue of them: whoever asks adds entries to its last block, the database's worker
 * takes whole blocks from its front, and gives them back when they are written. Where no block is free, entries are lost, and counted;
 * nobody waits. One lock guards all, held for the copying of some kilobytes.
 *
 * A worker is started by who leaves something, in any database, while there is none, and ends when nothing came for a while. An error ends it too: what
 * it had taken waits again, and the postmaster starts it anew, so that a queue has one of the server's places for workers and no more. It stays away
 * from the database for some seconds then. After many failures in a row and some minutes it gives up what waits.
 */
#include "log.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/wait_event.h"

#define N_QUEUES 64				/* databases that log at a time; a further one waits for its turn, losing what it logs */
#define TRANCHE "idla_log"
#define RETRY 10				/* seconds from a failure to the next try, at most */
#define MOST_FAILURES 30		/* in a row, and what waits is given up, */
#define PATIENCE 240			/* but not within so many seconds: who waits for the log has it tried more often */
#define MOST_UNCONNECTED 3		/* the same for a database that cannot be connected to: it may be gone */
#define NO_PLACE 1000			/* ms until a worker is asked for again that the server had no place for */
#define MOST_TAKEN 64			/* blocks a transaction */
#define NONE (-1)

typedef struct Queue
{
	Oid			database;		/* InvalidOid: free */
	int			pid;			/* of the worker, 0: none */
	bool		connected;		/* it came as far as that */
	int			failures;		/* workers that ended by an error, since anything was written, */
	TimestampTz failing_since;	/* the first of them */
	TimestampTz next_try;		/* of the worker after it failed */
	TimestampTz next_start;		/* of a worker, no earlier */
	Latch	   *latch;			/* the worker's */
	int			first;			/* blocks that wait, */
	int			last;
	int			n_waiting;
	int			taken;			/* and those that are being written */
	uint64		generation;		/* another one whenever a database begins */
	uint64		appended;		/* entries, since then */
	uint64		done;			/* of them written or given up */
	ConditionVariable progress;
} Queue;

typedef struct Ring
{
	Queue		queues[N_QUEUES];
	int			n_blocks;
	int			free;			/* the first free block */
	IdlaLogBlock blocks[FLEXIBLE_ARRAY_MEMBER];
} Ring;

static shmem_request_hook_type earlier_request = NULL;
static shmem_startup_hook_type earlier_startup = NULL;
static Ring *ring = NULL;
static LWLock *lock = NULL;

/* In a worker: its queue. */
static Queue *my_queue = NULL;

/* ---- start-up ---- */

static int
count_blocks(void)
{
	const int	block = IDLA_LOG_BLOCK / 1024;

	/* However little it is, above 0 there is a log. */
	return idla_log_memory / block + (idla_log_memory % block > 0);
}

static Size
ring_size(void)
{
	return add_size(offsetof(Ring, blocks), mul_size(sizeof(IdlaLogBlock), (Size) count_blocks()));
}

static void
request_memory(void)
{
	if (earlier_request != NULL)
		earlier_request();
	if (count_blocks() > 0)
	{
		RequestAddinShmemSpace(ring_size());
		RequestNamedLWLockTranche(TRANCHE, 1);
	}
}

static void
start_memory(void)
{
	bool		found;

	if (earlier_startup != NULL)
		earlier_startup();
	if (count_blocks() == 0)
		return;
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	ring = ShmemInitStruct("idla log", ring_size(), &found);
	if (!found)
	{
		memset(ring->queues, 0, sizeof(ring->queues));
		for (int i = 0; i < N_QUEUES; i++)
			ConditionVariableInit(&ring->queues[i].progress);
		ring->n_blocks = count_blocks();
		for (int i = 0; i < ring->n_blocks; i++)
			ring->blocks[i].next = i + 1 < ring->n_blocks ? i + 1 : NONE;
		ring->free = 0;
	}
	lock = &GetNamedLWLockTranche(TRANCHE)->lock;
	LWLockRelease(AddinShmemInitLock);
}

void
idla_log_request_memory(void)
{
	earlier_request = shmem_request_hook;
	shmem_request_hook = request_memory;
	earlier_startup = shmem_startup_hook;
	shmem_startup_hook = start_memory;
}

bool
idla_log_possible(void)
{
	return ring != NULL;
}

/* ---- queues and blocks: the lock is held ---- */

static Queue *
find_queue(Oid database)
{
	for (int i = 0; i < N_QUEUES; i++)
		if (ring->queues[i].database == database)
			return &ring->queues[i];
	return NULL;
}

static Queue *
find_or_create_queue(Oid database)
{
	Queue	   *queue = find_queue(database);

	if (queue != NULL)
		return queue;
	queue = find_queue(InvalidOid);
	if (queue == NULL)
		return NULL;
	queue->database = database;
	queue->pid = 0;
	queue->connected = false;
	queue->failures = 0;
	queue->next_try = queue->next_start = 0;
	queue->latch = NULL;
	queue->first = queue->last = queue->taken = NONE;
	queue->n_waiting = 0;
	queue->generation++;
	queue->appended = queue->done = 0;
	return queue;
}

/* Frees a list of blocks; returns the entries that were in it. */
static uint64
free_blocks(int block)
{
	uint64		n = 0;

	while (block != NONE)
	{
		int			next = ring->blocks[block].next;

		n += ring->blocks[block].n;
		ring->blocks[block].next = ring->free;
		ring->free = block;
		block = next;
	}
	return n;
}

/* The block with room for so many bytes, or NULL. */
static IdlaLogBlock *
find_room(Queue *queue, Size size)
{
	int			block = queue->last;

	if (block != NONE && ring->blocks[block].used + size <= sizeof(ring->blocks[block].bytes))
		return &ring->blocks[block];
	block = ring->free;
	if (block == NONE)
		return NULL;
	ring->free = ring->blocks[block].next;
	ring->blocks[block].next = NONE;
	ring->blocks[block].used = ring->blocks[block].n = 0;
	if (queue->last == NONE)
		queue->first = block;
	else
		ring->blocks[queue->last].next = block;
	queue->last = block;
	queue->n_waiting++;
	return &ring->blocks[block];
}

/* What was taken waits again, before all else. */
static void
put_back(Queue *queue)
{
	int			last = queue->taken;

	if (last == NONE)
		return;
	queue->n_waiting++;
	while (ring->blocks[last].next != NONE)
	{
		last = ring->blocks[last].next;
		queue->n_waiting++;
	}
	ring->blocks[last].next = queue->first;
	queue->first = queue->taken;
	if (queue->last == NONE)
		queue->last = last;
	queue->taken = NONE;
}

/* ---- those who ask ---- */

static uint64
append(Queue *queue, const char *entries, Size size)
{
	uint64		lost = 0;

	for (Size at = 0; at < size;)
	{
		IdlaLogEntry entry;
		IdlaLogBlock *block;
		Size		one;

		memcpy(&entry, entries + at, sizeof(entry));
		one = idla_log_size(&entry);
		block = queue == NULL ? NULL : find_room(queue, one);
		if (block == NULL)
			lost++;
		else
		{
			memcpy(block->bytes + block->used, entries + at, one);
			block->used += (uint16) one;
			block->n++;
			queue->appended++;
		}
		at += one;
	}
	return lost;
}

/* Is a worker to be started now? Then by who is told so. The lock is held. */
static bool
claim_start(Queue *queue, TimestampTz now)
{
	if (!OidIsValid(queue->database) || queue->first == NONE || queue->pid != 0 || now < queue->next_start)
		return false;
	/* Until then it will have come, or it will not come. */
	queue->next_start = TimestampTzPlusMilliseconds(now, RETRY * 1000);
	return true;
}

static bool
start_worker(Oid database)
{
	BackgroundWorker worker;
	Queue	   *queue;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 1;
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	strlcpy(worker.bgw_name, "idla log", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "idla log", sizeof(worker.bgw_type));
	strlcpy(worker.bgw_library_name, "idla", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "idla_log_worker", sizeof(worker.bgw_function_name));
	if (RegisterDynamicBackgroundWorker(&worker, NULL))
		return true;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	queue = find_queue(database);
	if (queue != NULL && queue->pid == 0)
		queue->next_start = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), NO_PLACE);
	LWLockRelease(lock);
	return false;
}

uint64
idla_log_append(const char *entries, Size size)
{
	bool		nowhere = ring == NULL || MyProc == NULL || RecoveryInProgress();
	uint64		lost;
	Queue	   *queue;
	TimestampTz now;
	Oid			starts[N_QUEUES];
	int			n = 0;

	/* Without a PGPROC there is no lock to be had; a standby has nowhere to write. */
	if (nowhere)
		return append(NULL, entries, size);
	LWLockAcquire(lock, LW_EXCLUSIVE);
	queue = find_or_create_queue(MyDatabaseId);
	lost = append(queue, entries, size);
	/* For other databases too, which wait longer: no place was free for their workers, or nobody is there any more to ask for one. */
	now = GetCurrentTimestamp();
	for (int i = 0; i < N_QUEUES; i++)
		if (&ring->queues[i] != queue && claim_start(&ring->queues[i], now))
			starts[n++] = ring->queues[i].database;
	if (queue != NULL && claim_start(queue, now))
		starts[n++] = MyDatabaseId;
	/* It looks by itself now and then; when much waits, it is told. */
	if (queue != NULL && queue->latch != NULL && queue->n_waiting > ring->n_blocks / 4)
		SetLatch(queue->latch);
	LWLockRelease(lock);
	for (int i = 0; i < n; i++)
		(void) start_worker(starts[i]);
	return lost;
}

void
idla_log_wait(void)
{
	uint64		target = 0;
	uint64		generation = 0;
	int			failures = 0;
	bool		hurried = false;
	Queue	   *queue;

	if (ring == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	queue = find_queue(MyDatabaseId);
	if (queue != NULL)
	{
		target = queue->appended;
		generation = queue->generation;
		failures = queue->failures;
	}
	LWLockRelease(lock);
	if (queue == NULL)
		return;
	ConditionVariablePrepareToSleep(&queue->progress);
	for (;;)
	{
		bool		done;
		bool		start;
		bool		failed;

		LWLockAcquire(lock, LW_EXCLUSIVE);
		done = queue->database != MyDatabaseId || queue->generation != generation || queue->done >= target;
		failed = !done && queue->failures > failures;
		/* The time after a failure of before is not waited for. */
		if (!done && queue->failures > 0 && !hurried)
			queue->next_try = 0;
		hurried = true;
		start = !done && !failed && claim_start(queue, GetCurrentTimestamp());
		if (queue->latch != NULL)
			SetLatch(queue->latch);
		LWLockRelease(lock);
		if (done)
			break;
		if (failed)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the log of predictions could not be written"),
					 errdetail("The worker ended by an error; it will be started again, and what waits is kept meanwhile."),
					 errhint("The server's log says which error.")));
		if (start && !start_worker(MyDatabaseId))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
					 errmsg("no background worker is free to write the log of predictions"),
					 errhint("Raise max_worker_processes.")));
		(void) ConditionVariableTimedSleep(&queue->progress, 100, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
}

/* ---- the worker ---- */

static void
leave(int code, Datum argument)
{
	Queue	   *queue = my_queue;

	(void) argument;
	if (queue == NULL)
		return;
	my_queue = NULL;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	put_back(queue);
	queue->pid = 0;
	queue->latch = NULL;
	queue->next_start = 0;
	if (code != 0)
	{
		TimestampTz now = GetCurrentTimestamp();

		if (queue->failures++ == 0)
			queue->failing_since = now;
		queue->next_try = TimestampTzPlusMilliseconds(now, 1000 * Min(RETRY, 1 << Min(queue->failures, 5)));
		/* The postmaster will have started it by then. */
		queue->next_start = TimestampTzPlusMilliseconds(now, 1000 * RETRY);
	}
	else if (queue->first == NONE)
		queue->database = InvalidOid;
	LWLockRelease(lock);
	ConditionVariableBroadcast(&queue->progress);
}

/* Returns how many entries that were. The lock is held. */
static uint64
give_up(Queue *queue)
{
	uint64		n;

	put_back(queue);
	n = free_blocks(queue->first);
	queue->done += n;
	queue->first = queue->last = NONE;
	queue->n_waiting = 0;
	return n;
}

static bool
is_hopeless(const Queue *queue)
{
	if (!queue->connected)
		return queue->failures >= MOST_UNCONNECTED;
	return queue->failures >= MOST_FAILURES && TimestampDifferenceExceeds(queue->failing_since, GetCurrentTimestamp(), PATIENCE * 1000);
}

bool
idla_log_attach(Oid database)
{
	Queue	   *queue;
	int			failures = 0;
	bool		hopeless = false;
	uint64		n = 0;

	if (ring == NULL)
		return false;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	queue = find_queue(database);
	if (queue != NULL && queue->pid == 0)
	{
		failures = queue->failures;
		hopeless = is_hopeless(queue);
		if (hopeless)
		{
			n = give_up(queue);
			queue->database = InvalidOid;
		}
		else
		{
			queue->pid = MyProcPid;
			queue->connected = false;
			queue->latch = MyLatch;
			my_queue = queue;
		}
	}
	LWLockRelease(lock);
	if (hopeless)
	{
		ConditionVariableBroadcast(&queue->progress);
		ereport(LOG,
				(errmsg("the log of predictions of the database with OID %u is given up", database),
				 errdetail("Its worker has failed %d times in a row; " UINT64_FORMAT " answers are lost.", failures, n)));
	}
	if (my_queue == NULL)
		return false;
	before_shmem_exit(leave, (Datum) 0);
	return true;
}

void
idla_log_wait_for_turn(void)
{
	for (;;)
	{
		TimestampTz next;
		long		left;

		LWLockAcquire(lock, LW_SHARED);
		next = my_queue->next_try;
		LWLockRelease(lock);
		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next);
		/* At the server's end there is no other time. */
		if (left <= 0 || ShutdownRequestPending)
			return;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, left, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

void
idla_log_connected(void)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	my_queue->connected = true;
	LWLockRelease(lock);
}

List *
idla_log_take(void)
{
	List	   *blocks = NIL;
	int			n = 0;
	int			last = NONE;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	for (int block = my_queue->first; block != NONE && n < MOST_TAKEN; block = ring->blocks[block].next)
	{
		last = block;
		n++;
	}
	if (n > 0)
	{
		my_queue->taken = my_queue->first;
		my_queue->first = ring->blocks[last].next;
		ring->blocks[last].next = NONE;
		my_queue->n_waiting -= n;
		if (my_queue->first == NONE)
			my_queue->last = NONE;
	}
	LWLockRelease(lock);
	for (int block = n > 0 ? my_queue->taken : NONE; block != NONE; block = ring->blocks[block].next)
		blocks = lappend(blocks, &ring->blocks[block]);
	return blocks;
}

void
idla_log_done(void)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	my_queue->done += free_blocks(my_queue->taken);
	my_queue->taken = NONE;
	my_queue->failures = 0;
	LWLockRelease(lock);
	ConditionVariableBroadcast(&my_queue->progress);
}

uint64
idla_log_give_up(void)
{
	uint64		n;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	n = give_up(my_queue);
	LWLockRelease(lock);
	ConditionVariableBroadcast(&my_queue->progress);
	return n;
}

bool
idla_log_detach(void)
{
	Queue	   *queue = my_queue;
	bool		empty;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	empty = queue->first == NONE && queue->taken == NONE;
	if (empty)
	{
		queue->pid = 0;
		queue->latch = NULL;
		queue->database = InvalidOid;
		my_queue = NULL;
	}
	LWLockRelease(lock);
	if (empty)
		ConditionVariableBroadcast(&queue->progress);
	return empty;
}

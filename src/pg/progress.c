/*
 * progress.c: how far a training is, told in three ways.
 *
 * NOTICEs to the session itself, at once and then at growing intervals; a comment before the
 * query in pg_stat_activity; and, where the library is preloaded, a slot of shared memory that
 * the view idla_progress reads from any session. Everything here may be called from a
 * callback of the engine: nothing raises, and interrupts are held, because threads are alive.
 */
#include "progress.h"

#include <math.h>

#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define N_SLOTS 128				/* trainings shown at once; more run, unseen */
#define PHASE_LENGTH 32
#define FIRST_INTERVAL 2000		/* ms */
#define LONGEST_INTERVAL 60000
#define ACTIVITY_INTERVAL 500
#define TRANCHE "idla_progress"

typedef struct Slot
{
	int			pid;			/* 0: free */
	Oid			role;
	Oid			database;
	char		model[2 * NAMEDATALEN + 2];
	char		phase[PHASE_LENGTH];
	int			net;
	int			n_nets;
	int			epoch;
	int			epochs;
	uint64		rows;
	double		loss;
	double		validation;
	double		best;
	double		seconds_left;
	TimestampTz started;
} Slot;

/* Protected by the tranche's one lock, for reading too: a slot is small. */
typedef struct Board
{
	Slot		slots[N_SLOTS];
} Board;

static shmem_request_hook_type earlier_request = NULL;
static shmem_startup_hook_type earlier_startup = NULL;
static Board *board = NULL;
static LWLock *board_lock = NULL;

/* This backend's training */
static bool running = false;
static bool exit_registered = false;
static Slot *my_slot = NULL;
static TimestampTz started;
static TimestampTz last_notice;
static TimestampTz last_activity;
static int	interval;			/* ms to the next NOTICE */
static uint64 query_id;

/* ---- start-up ---- */

static void
request_memory(void)
{
	if (earlier_request != NULL)
		earlier_request();
	RequestAddinShmemSpace(MAXALIGN(sizeof(Board)));
	RequestNamedLWLockTranche(TRANCHE, 1);
}

static void
start_memory(void)
{
	bool		found;

	if (earlier_startup != NULL)
		earlier_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	board = ShmemInitStruct("idla progress", sizeof(Board), &found);
	if (!found)
		memset(board, 0, sizeof(Board));
	board_lock = &GetNamedLWLockTranche(TRANCHE)->lock;
	LWLockRelease(AddinShmemInitLock);
}

void
idla_progress_request_memory(void)
{
	earlier_request = shmem_request_hook;
	shmem_request_hook = request_memory;
	earlier_startup = shmem_startup_hook;
	shmem_startup_hook = start_memory;
}

/* ---- one training ---- */

static void
free_slot(void)
{
	if (my_slot == NULL)
		return;
	LWLockAcquire(board_lock, LW_EXCLUSIVE);
	memset(my_slot, 0, sizeof(Slot));
	LWLockRelease(board_lock);
	my_slot = NULL;
}

static void
free_slot_at_exit(int code, Datum arg)
{
	(void) code;
	(void) arg;
	free_slot();
}

static void
take_slot(const char *model, const char *phase)
{
	if (board == NULL)
		return;
	if (!exit_registered)
		before_shmem_exit(free_slot_at_exit, (Datum) 0);
	exit_registered = true;
	LWLockAcquire(board_lock, LW_EXCLUSIVE);
	for (int i = 0; i < N_SLOTS && my_slot == NULL; i++)
		if (board->slots[i].pid == 0)
			my_slot = &board->slots[i];
	if (my_slot != NULL)
	{
		my_slot->pid = MyProcPid;
		my_slot->role = GetUserId();
		my_slot->database = MyDatabaseId;
		strlcpy(my_slot->model, model, sizeof(my_slot->model));
		strlcpy(my_slot->phase, phase, sizeof(my_slot->phase));
		my_slot->loss = my_slot->validation = my_slot->best = my_slot->seconds_left = NAN;
		my_slot->started = started;
	}
	LWLockRelease(board_lock);
}

/* The statement as pg_stat_activity shows it, with how far it is in front. */
static void
show_activity(const char *where)
{
	char		text[1200];
	const char *query = debug_query_string != NULL ? debug_query_string : "";

	if (where == NULL)
		pgstat_report_activity(STATE_RUNNING, query);
	else
	{
		/* Longer than pgstat_track_activity_query_size usually is: the server clips it. */
		snprintf(text, sizeof(text), "/* idla_train: %s */ %.1000s", where, query);
		pgstat_report_activity(STATE_RUNNING, text);
	}
	pgstat_report_query_id(query_id, true);
}

void
idla_progress_start(const char *model, const char *phase)
{
	idla_progress_end();
	running = true;
	started = last_notice = GetCurrentTimestamp();
	last_activity = 0;
	interval = FIRST_INTERVAL;
	query_id = pgstat_get_my_query_id();
	take_slot(model, phase);
	show_activity(phase);
}

void
idla_progress_end(void)
{
	if (!running)
		return;
	running = false;
	free_slot();
	show_activity(NULL);
}

void
idla_progress_phase(const char *phase)
{
	if (!running)
		return;
	if (my_slot != NULL)
	{
		LWLockAcquire(board_lock, LW_EXCLUSIVE);
		strlcpy(my_slot->phase, phase, sizeof(my_slot->phase));
		LWLockRelease(board_lock);
	}
	show_activity(phase);
	last_activity = 0;
}

void
idla_progress_announce(const char *format,...)
{
	char		text[256];
	va_list		arguments;

	if (!idla_progress_notices)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	ereport(NOTICE, (errmsg_internal("%s", text)));
	last_notice = GetCurrentTimestamp();
}

static void
fill_slot(const LearnProgress *progress, uint64 rows_read)
{
	LWLockAcquire(board_lock, LW_EXCLUSIVE);
	my_slot->rows = rows_read;
	if (progress != NULL)
	{
		strlcpy(my_slot->phase, progress->phase, sizeof(my_slot->phase));
		my_slot->net = progress->net;
		my_slot->n_nets = progress->n_nets;
		my_slot->epoch = progress->epoch;
		my_slot->epochs = progress->epochs;
		my_slot->rows = progress->rows;
		my_slot->loss = progress->loss;
		my_slot->validation = progress->validation;
		my_slot->best = progress->best;
		my_slot->seconds_left = progress->seconds_left;
	}
	LWLockRelease(board_lock);
}

static void
say(const LearnProgress *progress, uint64 rows_read)
{
	char		net[64] = "";
	char		validation[96] = "";
	char		left[64] = "";

	if (progress == NULL)
	{
		ereport(NOTICE, (errmsg("reading: %llu rows", (unsigned long long) rows_read)));
		return;
	}
	if (progress->n_nets > 1)
		snprintf(net, sizeof(net), ", network %d of %d", progress->net, progress->n_nets);
	if (isfinite(progress->validation))
		snprintf(validation, sizeof(validation), ", validation %.4g (best %.4g)", progress->validation, progress->best);
	if (isfinite(progress->seconds_left) && progress->seconds_left >= 1)
		snprintf(left, sizeof(left), ", at most %.0f s left", ceil(progress->seconds_left));
	ereport(NOTICE,
			(errmsg("%s: epoch %d of at most %d%s: loss %.4g%s%s", progress->phase,
					progress->epoch, progress->epochs, net, progress->loss, validation, left)));
}

void
idla_progress_update(const LearnProgress *progress, uint64 rows_read)
{
	TimestampTz now;

	if (!running)
		return;
	HOLD_INTERRUPTS();
	now = GetCurrentTimestamp();
	if (my_slot != NULL)
		fill_slot(progress, rows_read);
	if (TimestampDifferenceExceeds(last_activity, now, ACTIVITY_INTERVAL))
	{
		char		where[128];

		if (progress == NULL)
			snprintf(where, sizeof(where), "reading row %llu", (unsigned long long) rows_read);
		else
			snprintf(where, sizeof(where), "%s epoch %d of %d, network %d of %d", progress->phase,
					 progress->epoch, progress->epochs, progress->net, progress->n_nets);
		show_activity(where);
		last_activity = now;
	}
	if (idla_progress_notices && TimestampDifferenceExceeds(last_notice, now, interval))
	{
		say(progress, rows_read);
		last_notice = now;
		interval = Min(interval * 2, LONGEST_INTERVAL);
	}
	RESUME_INTERRUPTS();
}

/* ---- SQL ---- */

PG_FUNCTION_INFO_V1(idla_progress_slots);

static void
put_number(Datum *values, bool *nulls, int column, double number)
{
	nulls[column] = !isfinite(number);
	values[column] = Float8GetDatum(number);
}

/* What one may know of others' trainings is what one may know of their queries. */
static bool
may_see(const Slot *slot)
{
	return slot->pid != 0 &&
		(has_privs_of_role(GetUserId(), slot->role) || has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS));
}

Datum
idla_progress_slots(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Slot	   *copies;

	if (board == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("idla_progress needs idla to be loaded at server start"),
				 errhint("Add idla to shared_preload_libraries and restart the server.")));
	InitMaterializedSRF(fcinfo, 0);
	copies = palloc(sizeof(Slot) * N_SLOTS);
	LWLockAcquire(board_lock, LW_SHARED);
	memcpy(copies, board->slots, sizeof(Slot) * N_SLOTS);
	LWLockRelease(board_lock);
	for (int i = 0; i < N_SLOTS; i++)
	{
		const Slot *slot = &copies[i];
		Datum		values[15];
		bool		nulls[15] = {false};

		if (!may_see(slot))
			continue;
		values[0] = Int32GetDatum(slot->pid);
		values[1] = ObjectIdGetDatum(slot->role);
		values[2] = ObjectIdGetDatum(slot->database);
		values[3] = CStringGetTextDatum(slot->model);
		values[4] = CStringGetTextDatum(slot->phase);
		values[5] = Int32GetDatum(slot->net);
		values[6] = Int32GetDatum(slot->n_nets);
		values[7] = Int32GetDatum(slot->epoch);
		values[8] = Int32GetDatum(slot->epochs);
		values[9] = Int64GetDatum((int64) slot->rows);
		put_number(values, nulls, 10, slot->loss);
		put_number(values, nulls, 11, slot->validation);
		put_number(values, nulls, 12, slot->best);
		values[13] = TimestampTzGetDatum(slot->started);
		put_number(values, nulls, 14, slot->seconds_left);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	pfree(copies);
	return (Datum) 0;
}

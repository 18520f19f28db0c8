/*
 * work.c: an engine session tied to a memory context.
 *
 * Everything the engine takes is palloc'd in a context of its own, which shows
 * in pg_backend_memory_contexts and whose reset closes the session. The engine
 * polls an interrupt callback here; what would end the query or the process is left pending
 * and raised by idla_raise once the engine has unwound and its threads are gone.
 */
#include "idla.h"

#include "utils/memutils.h"

/* Of libpq/libpq.h, which cannot be included where the server was built with Kerberos and its headers are not here. */
extern bool pq_check_connection(void);

static void *
work_alloc(void *context, size_t size)
{
	IdlaWork   *work = context;

	/* Beyond this even the no-error allocator raises. */
	if (!AllocHugeSizeIsValid(size))
		return NULL;
	return MemoryContextAllocExtended(work->context, size, MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
}

static void
work_release(void *context, void *block)
{
	(void) context;
	pfree(block);
}

/* Interrupts that raise: those wait for idla_raise. */
static bool
must_stop(void)
{
	if (QueryCancelPending || ProcDiePending || ClientConnectionLost || idla_compat_transaction_timeout())
		return true;
	return CheckClientConnectionPending && MyProcPort != NULL && !pq_check_connection();
}

static bool
work_cancelled(void *context)
{
	IdlaWork   *work = context;
	MemoryContext caller = CurrentMemoryContext;
	volatile bool stop = false;

	if (work->caught != NULL)
		return true;
	if (likely(!InterruptPending) || !INTERRUPTS_CAN_BE_PROCESSED())
		return false;
	if (must_stop())
		return true;

	/* The rest (barriers, memory dumps, configuration) is answered here, and may fail. */
	PG_TRY();
	{
		CHECK_FOR_INTERRUPTS();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(work->context);
		work->caught = CopyErrorData();
		FlushErrorState();
		stop = true;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	return stop;
}

static void
close_session(void *arg)
{
	IdlaWork   *work = arg;

	if (work->session != NULL)
		dev_session_close(work->session);
	work->session = NULL;
}

IdlaWork *
idla_work_open(MemoryContext parent, const char *name, uint64 seed, Size memory_limit)
{
	MemoryContext context = AllocSetContextCreateInternal(parent, "idla", ALLOCSET_DEFAULT_SIZES);
	IdlaWork   *work;
	MemoryContextCallback *callback;
	DevHost		host;

	MemoryContextSetIdentifier(context, MemoryContextStrdup(context, name));
	work = MemoryContextAllocZero(context, sizeof(IdlaWork));
	work->context = context;

	host.context = work;
	host.alloc = work_alloc;
	host.release = work_release;
	host.cancelled = work_cancelled;
	host.memory_limit = memory_limit;
	if (dev_session_open(&host, seed, &work->session) != DEV_OK)
	{
		MemoryContextDelete(context);
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Failed while opening a session of the engine.")));
	}

	callback = MemoryContextAlloc(context, sizeof(MemoryContextCallback));
	callback->func = close_session;
	callback->arg = work;
	MemoryContextRegisterResetCallback(context, callback);
	return work;
}

void
idla_work_close(IdlaWork *work)
{
	MemoryContextDelete(work->context);
}

void *
idla_keep(IdlaWork *work, size_t count, size_t size)
{
	void	   *block = dev_alloc(work->session, Max(count, 1), size);

	if (block == NULL)
		idla_raise(work);
	return block;
}

char *
idla_keep_string(IdlaWork *work, const char *text)
{
	char	   *copy = text == NULL ? NULL : dev_strdup(work->session, text);

	if (text != NULL && copy == NULL)
		idla_raise(work);
	return copy;
}

/*
 * spill.c: the engine's temporary file.
 *
 * A BufFile made at the first write lies in temp_tablespaces, counts against temp_file_limit
 * and goes with the transaction. An error in it is kept in the work, so that
 * no longjmp crosses the engine, and re-thrown once the engine has returned.
 */
#include "reading.h"

#include "commands/tablespace.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

typedef struct Spill
{
	LearnSpill	callbacks;		/* first: the engine's view */
	IdlaWork   *work;
	ResourceOwner owner;		/* of the statement that trains */
	BufFile    *file;
} Spill;

static void
transfer(Spill *spill, uint64 offset, void *bytes, Size size, bool writes)
{
	if (spill->file == NULL)
	{
		PrepareTempTablespaces();
		spill->file = BufFileCreateTemp(false);
	}
	if (BufFileSeek(spill->file, 0, (off_t) offset, SEEK_SET) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not seek to %llu in the temporary file of a training", (unsigned long long) offset)));
	if (writes)
		BufFileWrite(spill->file, bytes, size);
	else if (idla_compat_read(spill->file, bytes, size) != size)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read %zu bytes from the temporary file of a training", size)));
}

/* True when it went well; otherwise the error waits in the work. */
static bool
transfer_caught(Spill *spill, uint64 offset, void *bytes, Size size, bool writes)
{
	MemoryContext caller = MemoryContextSwitchTo(spill->work->context);
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool done = true;

	CurrentResourceOwner = spill->owner;
	PG_TRY();
	{
		transfer(spill, offset, bytes, size, writes);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(spill->work->context);
		spill->work->caught = CopyErrorData();
		FlushErrorState();
		done = false;
	}
	PG_END_TRY();
	CurrentResourceOwner = owner;
	MemoryContextSwitchTo(caller);
	return done;
}

static bool
spill_write(void *context, uint64_t offset, const void *bytes, size_t size)
{
	return transfer_caught(context, offset, unconstify(void *, bytes), size, true);
}

static bool
spill_read(void *context, uint64_t offset, void *bytes, size_t size)
{
	return transfer_caught(context, offset, bytes, size, false);
}

LearnSpill *
idla_spill_create(IdlaWork *work)
{
	Spill	   *spill = MemoryContextAllocZero(work->context, sizeof(Spill));

	spill->callbacks.context = spill;
	spill->callbacks.write = spill_write;
	spill->callbacks.read = spill_read;
	spill->work = work;
	spill->owner = CurrentResourceOwner;
	return &spill->callbacks;
}

/* Rows arrive inside a cursor, whose resources go with it: a file made meanwhile belongs to whom the first one does. */
LearnSpill *
idla_spill_another(const LearnSpill *first)
{
	const Spill *known = first->context;
	LearnSpill *created = idla_spill_create(known->work);

	((Spill *) created->context)->owner = known->owner;
	return created;
}

void
idla_spill_close(LearnSpill *callbacks)
{
	Spill	   *spill = callbacks->context;

	if (spill->file != NULL)
		BufFileClose(spill->file);
	spill->file = NULL;
}

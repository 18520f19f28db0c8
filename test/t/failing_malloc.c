/*
 * failing_malloc.c: memory that runs out when a test says so.
 *
 * Loaded before the C library (LD_PRELOAD), it takes the place of its allocation functions; loaded by the server once more, as the
 * same object, it gives SQL a function that sets after how many calls one fails. Threads of the engine count with the rest.
 */
#include "postgres.h"

#include <errno.h>
#include <stdatomic.h>

#include "fmgr.h"

PG_MODULE_MAGIC;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static atomic_long left = -1;	/* calls that still succeed; below 0: all do */
static atomic_long failed;

static bool
fails(void)
{
	if (atomic_load(&left) < 0 || atomic_fetch_sub(&left, 1) != 0)
		return false;
	atomic_fetch_add(&failed, 1);
	errno = ENOMEM;
	return true;
}

void *
malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *old, size_t size)
{
	return fails() ? NULL : __libc_realloc(old, size);
}

void *
aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : __libc_memalign(alignment, size);
}

int
posix_memalign(void **result, size_t alignment, size_t size)
{
	void	   *taken = fails() ? NULL : __libc_memalign(alignment, size);

	if (taken == NULL)
		return ENOMEM;
	*result = taken;
	return 0;
}

PG_FUNCTION_INFO_V1(fail_malloc);

/* After so many calls one fails; -1: none. Returns how many have failed since the last time. */
Datum
fail_malloc(PG_FUNCTION_ARGS)
{
	atomic_store(&left, -1);
	atomic_store(&left, PG_GETARG_INT64(0));
	PG_RETURN_INT64(atomic_exchange(&failed, 0));
}

/*
 * check.h: the smallest TAP harness that does the job.
 *
 * A test program calls CHECK and its relatives, one line of TAP each, and ends with
 * `return check_done();`. Failures say where and what; the exit status is that of the whole program.
 */
#ifndef IDLA_TEST_CHECK_H
#define IDLA_TEST_CHECK_H

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "idla/session.h"

static int	check_count;
static int	check_failures;

/* One TAP line: "ok 3 - text", or "not ok 3 - text" with the place of the failure. */
static inline bool __attribute__((__format__(__printf__, 4, 5)))
check_that(bool ok, const char *file, int line, const char *format,...)
{
	va_list		args;

	check_count++;
	printf("%s %d - ", ok ? "ok" : "not ok", check_count);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	if (!ok)
	{
		check_failures++;
		printf("#   failed at %s:%d\n", file, line);
	}
	fflush(stdout);
	return ok;
}

/* CHECK(condition, "what must hold, printf style", ...) */
#define CHECK(condition, ...) check_that((condition), __FILE__, __LINE__, __VA_ARGS__)

/* |actual - expected| <= tolerance * max(1, |expected|); says the figures when not. NaN never passes. */
#define CHECK_NEAR(actual, expected, tolerance, ...) \
	do { \
		double		check_a = (actual); \
		double		check_e = (expected); \
		double		check_t = (tolerance); \
		double		check_s = fabs(check_e) > 1.0 ? fabs(check_e) : 1.0; \
		if (!CHECK(fabs(check_a - check_e) <= check_t * check_s, __VA_ARGS__)) \
			printf("#   actual %.17g, expected %.17g, tolerance %g\n", check_a, check_e, check_t); \
	} while (0)

/* The status a call returns; prints the session's message when it differs. session may be NULL. */
#define CHECK_STATUS(session, call, expected, ...) \
	do { \
		DevStatus	check_status = (call); \
		if (!CHECK(check_status == (expected), __VA_ARGS__)) \
			printf("#   status %d, expected %d: %s\n", (int) check_status, (int) (expected), \
				   (session) != NULL ? dev_message_text(session) : ""); \
	} while (0)

/* What a test cannot go on without. */
#define CHECK_OR_STOP(condition, ...) \
	do { \
		if (!CHECK(condition, __VA_ARGS__)) \
			exit(check_failures > 0 ? EXIT_FAILURE : EXIT_SUCCESS); \
	} while (0)

/* Prints the plan; the value to return from main. */
static inline int
check_done(void)
{
	printf("1..%d\n", check_count);
	if (check_failures > 0)
		printf("# %d of %d failed\n", check_failures, check_count);
	return check_failures > 0 || check_count == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/*
 * A host whose allocation number fail_at (1 is the first) and all later ones fail; 0: none. It counts what is held,
 * so that a test can check that closing the session gave everything back.
 */
typedef struct CheckHost
{
	size_t		calls;
	size_t		fail_at;
	size_t		held;			/* blocks not yet released */
} CheckHost;

static inline void *
check_host_alloc(void *context, size_t size)
{
	CheckHost  *host = context;
	void	   *block;

	host->calls++;
	if (host->fail_at != 0 && host->calls >= host->fail_at)
		return NULL;
	block = malloc(size);
	if (block != NULL)
		host->held++;
	return block;
}

static inline void
check_host_release(void *context, void *block)
{
	CheckHost  *host = context;

	if (block != NULL)
		host->held--;
	free(block);
}

static inline DevHost
check_host(CheckHost *host, size_t fail_at)
{
	DevHost		lent = {0};

	memset(host, 0, sizeof(*host));
	host->fail_at = fail_at;
	lent.context = host;
	lent.alloc = check_host_alloc;
	lent.release = check_host_release;
	return lent;
}

#endif							/* IDLA_TEST_CHECK_H */

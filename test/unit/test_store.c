/*
 * test_store.c: records of every size come back as they went in, from memory and from the host's file; missing ones
 * are no empty ones; and every failure of memory and of the file is told.
 */
#include "check_data.h"
#include "learn/store.h"

#define BLOCK ((size_t) 1 << 20)
#define N_SIZES 14

/* Around the alignment, around a block, and one that is a block of its own. */
static const size_t sizes[N_SIZES] = {0, 1, 15, 16, 17, 1000, 65536, 300000, 299999, BLOCK - 16, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5};

static uint8_t
byte_of(size_t record, size_t i)
{
	return (uint8_t) (record * 37 + i * 11 + (i >> 8));
}

/* Every fifth record is missing. */
static bool
is_missing(size_t record)
{
	return record % 5 == 3;
}

static DevStatus
append(LearnStore *store, size_t record)
{
	size_t		size = sizes[record % N_SIZES];
	uint8_t    *bytes = malloc(size + 1);
	DevStatus	status;

	for (size_t i = 0; i < size; i++)
		bytes[i] = byte_of(record, i);
	status = learn_store_append(store, is_missing(record) ? NULL : bytes, is_missing(record) ? 0 : size);
	free(bytes);
	return status;
}

static DevStatus
fill(LearnStore *store, size_t n)
{
	DevStatus	status = DEV_OK;

	for (size_t i = 0; i < n && status == DEV_OK; i++)
		status = append(store, i);
	return status;
}

/* Whether the record reads as it was written; *found counts those that lie in memory. */
static bool
reads_right(LearnStore *store, size_t record, size_t *found)
{
	size_t		size = is_missing(record) ? 0 : sizes[record % N_SIZES];
	uint8_t    *bytes = malloc(size + 1);
	const uint8_t *place = learn_store_find(store, record);
	bool		right = learn_store_size(store, record) == size && learn_store_missing(store, record) == is_missing(record);

	bytes[size] = 0xa5;
	right = learn_store_read(store, record, bytes) == DEV_OK && right && bytes[size] == 0xa5;
	for (size_t i = 0; i < size; i++)
		right = right && bytes[i] == byte_of(record, i);
	if (place != NULL)
	{
		*found += 1;
		right = right && (uintptr_t) place % 16 == 0 && memcmp(place, bytes, size) == 0 && !is_missing(record);
	}
	free(bytes);
	return right;
}

static void
check_store(size_t memory, bool spills)
{
	DevSession *session;
	LearnStore *store;
	CheckFile	file;
	LearnSpill	spill = check_spill(&file);
	size_t		n = 6 * N_SIZES;
	size_t		found = 0;
	size_t		total = 0;
	bool		right = true;

	CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
	CHECK_STATUS(session, learn_store_create(session, memory, &spill, &store), DEV_OK, "a store of %zu bytes", memory);
	CHECK_STATUS(session, fill(store, n), DEV_OK, "%zu records are kept", n);
	for (size_t i = 0; i < n; i++)
		total += is_missing(i) ? 0 : sizes[i % N_SIZES];
	CHECK(learn_store_records(store) == n && learn_store_bytes(store) == total, "with %zu bytes in all", total);
	for (size_t i = 0; i < n; i++)
		right = reads_right(store, (i * 53) % n, &found) && right;
	CHECK(right, "each reads as it was written, in any order");
	CHECK(learn_store_spilled(store) == spills && (file.writes > 0) == spills, "%s", spills ? "some lie in the file" : "all lie in memory");
	CHECK(spills ? found < n : found == n - (n + 1) / 5, "%zu are found where they lie", found);
	CHECK(dev_session_used(session) <= memory + 8 * BLOCK, "memory is held to what was given, a block or two aside");
	learn_store_free(store);
	CHECK(dev_session_used(session) == 0, "a freed store holds nothing");
	learn_store_free(NULL);
	dev_session_close(session);
	free(file.bytes);
}

static void
check_no_file(void)
{
	DevSession *session;
	LearnStore *store;
	DevStatus	status;

	CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
	CHECK_OR_STOP(learn_store_create(session, BLOCK, NULL, &store) == DEV_OK, "a store without a file");
	status = fill(store, 6 * N_SIZES);
	CHECK_STATUS(session, status, DEV_NO_MEMORY, "refuses what is over its memory");
	CHECK(strcmp(dev_message_text(session), "the rows do not fit in the memory for training") == 0, "saying so");
	CHECK(strstr(dev_detail_text(session), "bytes so far") != NULL && strstr(dev_hint_text(session), "idla.train_memory") != NULL,
		  "and how much, and what helps");
	dev_session_close(session);
}

static void
check_too_large(void)
{
	DevSession *session;
	LearnStore *store;
	char		byte = 0;

	CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
	CHECK_OR_STOP(learn_store_create(session, BLOCK, NULL, &store) == DEV_OK, "a store");
	/* Nothing is read of it: the size alone is refused. */
	CHECK_STATUS(session, learn_store_append(store, &byte, (size_t) UINT32_MAX), DEV_BAD_DATA, "a record of 4 GiB is refused");
	CHECK(strcmp(dev_message_text(session), "a value of 4294967295 bytes is too large") == 0 && learn_store_records(store) == 0,
		  "by its size");
	dev_session_close(session);
}

/* Write number k, then read number k, fails. */
static void
check_broken_file(void)
{
	for (size_t fail = 1; fail <= 3; fail++)
	{
		DevSession *session;
		LearnStore *store;
		CheckFile	file;
		LearnSpill	spill = check_spill(&file);
		DevStatus	status;
		uint8_t    *bytes = malloc(4 * BLOCK);

		file.fail_write = fail;
		CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
		CHECK_OR_STOP(learn_store_create(session, BLOCK, &spill, &store) == DEV_OK, "a store");
		status = fill(store, 3 * N_SIZES);
		CHECK_STATUS(session, status, DEV_HOST, "write %zu fails, and that is told", fail);
		CHECK(strcmp(dev_message_text(session), "could not write the temporary file of the data set") == 0, "in words");
		learn_store_free(store);
		free(file.bytes);

		spill = check_spill(&file);
		file.fail_read = fail;
		CHECK_OR_STOP(learn_store_create(session, BLOCK, &spill, &store) == DEV_OK, "a store");
		CHECK_OR_STOP(fill(store, 3 * N_SIZES) == DEV_OK, "it is filled");
		status = DEV_OK;
		for (size_t i = 0; i < 3 * N_SIZES && status == DEV_OK; i++)
			status = learn_store_read(store, i, bytes);
		CHECK_STATUS(session, status, DEV_HOST, "read %zu fails, and that is told", fail);
		CHECK(strcmp(dev_message_text(session), "could not read the temporary file of the data set") == 0, "in words");
		free(bytes);
		free(file.bytes);
		dev_session_close(session);
	}
}

static void
check_failing_memory(void)
{
	CheckHost	host;
	CheckFile	file;
	size_t		calls = 1;
	size_t		failures = 0;

	for (size_t fail_at = 0; fail_at <= calls; fail_at++)
	{
		DevHost		lent = check_host(&host, fail_at);
		LearnSpill	spill = check_spill(&file);
		DevSession *session;
		LearnStore *store = NULL;
		DevStatus	status = dev_session_open(&lent, 1, &session);

		if (status == DEV_OK)
			status = learn_store_create(session, 2 * BLOCK, &spill, &store);
		if (status == DEV_OK)
			status = fill(store, 4 * N_SIZES);
		if (fail_at == 0)
			calls = host.calls;
		else
			failures += status == DEV_NO_MEMORY;
		dev_session_close(session);
		free(file.bytes);
		if (host.held != 0)
			CHECK(false, "allocation %zu fails and memory is left", fail_at);
	}
	CHECK(calls > 10 && failures == calls, "each of %zu allocations fails once, and that is told", calls);
}

static bool
always(void *context)
{
	(void) context;
	return true;
}

static void
check_cancel(void)
{
	DevHost		host = {.cancelled = always};
	DevSession *session;
	LearnStore *store;

	CHECK_OR_STOP(dev_session_open(&host, 1, &session) == DEV_OK, "a session opens");
	CHECK_OR_STOP(learn_store_create(session, 2 * BLOCK, NULL, &store) == DEV_OK, "a store");
	CHECK_STATUS(session, append(store, 1), DEV_CANCELLED, "a host that wants to stop is heard at a new block");
	dev_session_close(session);
}

int
main(void)
{
	check_store((size_t) 1 << 30, false);
	check_store(8 * BLOCK, true);
	check_store(0, true);
	check_no_file();
	check_too_large();
	check_broken_file();
	check_failing_memory();
	check_cancel();
	return check_done();
}

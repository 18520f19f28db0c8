/*
 * test_session.c: memory, messages, cancelling and random numbers of a session.
 */
#include "check.h"

#include "idla/device.h"

/* ---- Memory ---- */

static void
check_memory_is_zeroed_and_aligned(void)
{
	CheckHost	counts;
	DevHost		host = check_host(&counts, 0);
	DevSession *session;
	bool		good = true;

	CHECK_OR_STOP(dev_session_open(&host, 5, &session) == DEV_OK, "a session opens");
	CHECK(dev_session_seed(session) == 5, "the seed is kept");
	for (size_t size = 0; size < 300; size += 7)
	{
		unsigned char *block = dev_alloc(session, size, 1);

		good = good && block != NULL && (uintptr_t) block % 64 == 0;
		for (size_t i = 0; good && i < size; i++)
			good = block[i] == 0;
		/* Memory that is not zero when it comes back, for the next allocation. */
		if (block != NULL)
			memset(block, 0xAB, size);
		if (size % 2 == 0)
			dev_release(session, block);
	}
	CHECK(good, "blocks are zeroed and lie on cache lines");
	dev_release(session, NULL);
	dev_session_close(session);
	CHECK(counts.held == 0, "closing gives everything back");
	dev_session_close(NULL);
}

static void
check_release_in_any_order(void)
{
	CheckHost	counts;
	DevHost		host = check_host(&counts, 0);
	DevSession *session;
	void	   *blocks[30];
	size_t		peak;

	CHECK_OR_STOP(dev_session_open(&host, 0, &session) == DEV_OK, "a session opens");
	for (size_t i = 0; i < 30; i++)
		blocks[i] = dev_alloc(session, i + 1, 100);
	peak = dev_session_used(session);
	CHECK(peak >= 30 * 31 / 2 * 100, "used counts what is held");
	for (size_t i = 0; i < 30; i++)
		dev_release(session, blocks[(i * 7 + 3) % 30]);
	CHECK(dev_session_used(session) == 0 && counts.held == 1, "released in any order, only the session is left");
	CHECK(dev_session_peak(session) == peak, "the peak stays");
	dev_session_close(session);
	CHECK(counts.held == 0, "and goes with the last");
}

static void
check_limit_and_overflow(void)
{
	CheckHost	counts;
	DevHost		host = check_host(&counts, 0);
	DevSession *session;
	void	   *block;

	host.memory_limit = 10000;
	CHECK_OR_STOP(dev_session_open(&host, 0, &session) == DEV_OK, "a session with a limit opens");
	block = dev_alloc(session, 6000, 1);
	CHECK(block != NULL, "below the limit there is memory");
	CHECK(dev_alloc(session, 6000, 1) == NULL && dev_status(session) == DEV_NO_MEMORY, "above it there is none");
	CHECK(strstr(dev_message_text(session), "limit") != NULL && dev_detail_text(session)[0] != '\0', "and the message says so");
	dev_release(session, block);
	CHECK(dev_alloc(session, 6000, 1) != NULL, "what is released can be had again");
	CHECK(dev_session_peak(session) <= 10000, "the peak never passed the limit");
	dev_session_close(session);

	CHECK_OR_STOP(dev_session_open(NULL, 0, &session) == DEV_OK, "a session without a host opens");
	CHECK(dev_alloc(session, SIZE_MAX / 2, 4) == NULL && dev_status(session) == DEV_NO_MEMORY, "count * size may overflow");
	CHECK(dev_alloc(session, SIZE_MAX, 1) == NULL, "and so may the header");
	CHECK(dev_alloc(session, SIZE_MAX - 8, 1) == NULL, "by a little");
	CHECK(dev_alloc(session, 0, 8) != NULL, "nothing is something that can be had");
	dev_session_close(session);

	host = check_host(&counts, 1);
	CHECK(dev_session_open(&host, 0, &session) == DEV_NO_MEMORY && session == NULL, "no memory for the session itself");
	host = check_host(&counts, 2);
	CHECK_OR_STOP(dev_session_open(&host, 0, &session) == DEV_OK, "a session opens");
	CHECK(dev_strdup(session, "text") == NULL && dev_status(session) == DEV_NO_MEMORY, "no memory for a text");
	dev_session_close(session);
	CHECK(counts.held == 0, "nothing is left behind");
}

/* ---- Messages ---- */

static void
check_messages(void)
{
	DevSession *session;
	char		text[3000];

	CHECK_OR_STOP(dev_session_open(NULL, 0, &session) == DEV_OK, "a session opens");
	CHECK(dev_status(session) == DEV_OK && dev_message_text(session)[0] == '\0' && dev_hint_text(session)[0] == '\0',
		  "no failure, no message");
	CHECK(dev_fail(session, DEV_INVALID, "option \"%s\" is unknown", "colour") == DEV_INVALID, "failing returns the status");
	dev_detail(session, "There are %d options.", 3);
	dev_hint(session, "Perhaps \"%s\" was meant.", "color");
	CHECK(strcmp(dev_message_text(session), "option \"colour\" is unknown") == 0 &&
		  strcmp(dev_detail_text(session), "There are 3 options.") == 0 &&
		  strcmp(dev_hint_text(session), "Perhaps \"color\" was meant.") == 0, "message, detail and hint are kept");
	dev_fail(session, DEV_BAD_DATA, "no rows");
	CHECK(dev_status(session) == DEV_BAD_DATA && dev_detail_text(session)[0] == '\0' && dev_hint_text(session)[0] == '\0',
		  "the next failure replaces all three");

	/* Characters of two and of three bytes, cut at every place in them. */
	for (size_t shift = 0; shift < 3; shift++)
	{
		size_t		length;
		size_t		n = 0;

		for (; n < shift; n++)
			text[n] = 'x';
		for (; n + 3 < sizeof(text); n += 3)
			memcpy(text + n, "\xe2\x82\xac", 3);
		text[n] = '\0';
		dev_fail(session, DEV_INVALID, "%s", text);
		length = strlen(dev_message_text(session));
		CHECK(length > 900 && length < 1024 && (length - shift) % 3 == 0, "a long message ends between characters (%zu)", length);
	}
	dev_session_close(session);
}

static bool
say_stop(void *context)
{
	return *(bool *) context;
}

static void
check_cancel(void)
{
	bool		stop = false;
	DevHost		host = {.context = &stop, .cancelled = say_stop};
	DevSession *session;

	CHECK_OR_STOP(dev_session_open(&host, 0, &session) == DEV_OK, "a session with a cancel callback opens");
	CHECK(dev_poll(session) == DEV_OK, "nobody wants to stop");
	stop = true;
	CHECK(dev_poll(session) == DEV_CANCELLED && dev_status(session) == DEV_CANCELLED, "somebody does");
	dev_session_close(session);
}

/* ---- Random numbers ---- */

/* The published known answers of Philox 4x32-10 (counter words 0 and 1 are our counter, 2 and 3 the stream). */
static void
check_known_answers(void)
{
	static const struct
	{
		uint32_t	counter[4];
		uint32_t	key[2];
		uint32_t	bits[4];
	}			known[] = {
		{{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff},
		{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0},
		{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
	{
		uint32_t	bits[4];

		dev_random_bits((uint64_t) known[i].key[1] << 32 | known[i].key[0],
						(uint64_t) known[i].counter[3] << 32 | known[i].counter[2],
						(uint64_t) known[i].counter[1] << 32 | known[i].counter[0], bits);
		CHECK(memcmp(bits, known[i].bits, sizeof(bits)) == 0, "philox: known answer %zu", i + 1);
	}
}

static void
check_distributions(void)
{
	const size_t n = 200000;
	double		sum = 0;
	double		square = 0;
	double		normal = 0;
	double		normal_square = 0;
	double		normal_fourth = 0;
	size_t		counts[3] = {0, 0, 0};
	bool		inside = true;
	bool		below = true;
	const uint64_t bound = ((uint64_t) 1 << 63) + 12345;

	for (size_t i = 0; i < n; i++)
	{
		double		u = dev_random_uniform(1, 2, i);
		double		z = dev_random_normal(1, 3, i);

		inside = inside && u > 0.0 && u < 1.0;
		sum += u;
		square += u * u;
		normal += z;
		normal_square += z * z;
		normal_fourth += z * z * z * z;
		counts[dev_random_below(1, 4, i, 3)]++;
		below = below && dev_random_below(1, 5, i, bound) < bound;
	}
	CHECK(inside, "uniform numbers are in (0, 1)");
	CHECK_NEAR(sum / (double) n, 0.5, 0.003, "mean of uniform numbers");
	CHECK_NEAR(square / (double) n, 1.0 / 3.0, 0.003, "second moment of uniform numbers");
	CHECK_NEAR(normal / (double) n, 0.0, 0.01, "mean of normal numbers");
	CHECK_NEAR(normal_square / (double) n, 1.0, 0.015, "variance of normal numbers");
	CHECK_NEAR(normal_fourth / (double) n, 3.0, 0.05, "fourth moment of normal numbers");
	for (int i = 0; i < 3; i++)
		CHECK_NEAR((double) counts[i] / (double) n, 1.0 / 3.0, 0.004, "number %d of three comes as often as the others", i);
	CHECK(below, "numbers below a large bound are below it");
	CHECK(dev_random_below(1, 2, 3, 1) == 0 && dev_random_below(1, 2, 3, 0) == 0, "below one there is only zero");
	CHECK(dev_random_uniform(1, 2, 3) == dev_random_uniform(1, 2, 3) &&
		  dev_random_uniform(1, 2, 3) != dev_random_uniform(2, 2, 3) &&
		  dev_random_uniform(1, 2, 3) != dev_random_uniform(1, 3, 3) &&
		  dev_random_uniform(1, 2, 3) != dev_random_uniform(1, 2, 4), "seed, stream and counter each matter");
}

int
main(void)
{
	check_memory_is_zeroed_and_aligned();
	check_release_in_any_order();
	check_limit_and_overflow();
	check_messages();
	check_cancel();
	check_known_answers();
	check_distributions();
	return check_done();
}

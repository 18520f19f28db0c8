/*
 * session.h: what every storey of the engine stands on.
 *
 * A session is one training run or one loaded model. It owns all memory taken
 * through it, the message of the last failure, the cancel callback and the
 * seed. Closing it frees everything, whatever state the work was in; nothing
 * in the engine is global.
 *
 * Threads: only the thread that opened a session may call what takes a
 * DevSession, but for dev_random_*, which are pure functions. Worker threads
 * of the engine get all their memory before they start.
 */
#ifndef IDLA_SESSION_H
#define IDLA_SESSION_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define DEV_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#else
#define DEV_PRINTF(text, first)
#endif

typedef enum DevStatus
{
	DEV_OK = 0,
	DEV_CANCELLED,				/* the host asked to stop */
	DEV_NO_MEMORY,				/* allocation failed or the session's limit is reached */
	DEV_INVALID,				/* the request makes no sense: option, shape, name */
	DEV_BAD_DATA,				/* the rows cannot be learned from or predicted */
	DEV_CORRUPT,				/* stored bytes do not match what they claim to be */
	DEV_NOT_FINITE,				/* training diverged */
	DEV_UNAVAILABLE,			/* a library or device is missing */
	DEV_HOST					/* a host callback failed; the host knows why */
} DevStatus;

typedef struct DevSession DevSession;

/*
 * What the surrounding program lends a session. alloc returns NULL when it
 * cannot; it is never asked for zero bytes and need not align beyond 16 bytes.
 * cancelled is polled at least every 50 ms of work. NULL members: malloc,
 * free, never cancelled. memory_limit 0: none.
 */
typedef struct DevHost
{
	void	   *context;
	void	   *(*alloc) (void *context, size_t size);
	void		(*release) (void *context, void *block);
	bool		(*cancelled) (void *context);
	size_t		memory_limit;	/* bytes */
} DevHost;

/* Opens a session; host is copied. DEV_NO_MEMORY leaves *session NULL. */
extern DevStatus dev_session_open(const DevHost *host, uint64_t seed, DevSession **session);
extern void dev_session_close(DevSession *session);	/* NULL is allowed */
extern uint64_t dev_session_seed(const DevSession *session);
extern size_t dev_session_used(const DevSession *session);	/* bytes held now */
extern size_t dev_session_peak(const DevSession *session);	/* most bytes ever held */

/*
 * Memory of the session, zeroed and aligned to 64 bytes. Returns NULL after
 * recording DEV_NO_MEMORY (count * size may overflow: that is refused too).
 * dev_release frees early; whatever is left goes with the session.
 */
extern void *dev_alloc(DevSession *session, size_t count, size_t size);
extern void dev_release(DevSession *session, void *block);	/* NULL is allowed */
extern char *dev_strdup(DevSession *session, const char *text);

/*
 * Records a failure and returns its status, so that callers write
 * `return dev_fail(session, DEV_INVALID, "...")`. The message follows
 * PostgreSQL's style: lower case, no full stop, the offending value in it.
 * dev_detail and dev_hint add full sentences to the failure just recorded.
 * A later dev_fail replaces all three.
 */
extern DevStatus dev_fail(DevSession *session, DevStatus status, const char *format,...) DEV_PRINTF(3, 4);
extern void dev_detail(DevSession *session, const char *format,...) DEV_PRINTF(2, 3);
extern void dev_hint(DevSession *session, const char *format,...) DEV_PRINTF(2, 3);
extern DevStatus dev_status(const DevSession *session);	/* of the last failure, or DEV_OK */
extern const char *dev_message_text(const DevSession *session);	/* "" when none */
extern const char *dev_detail_text(const DevSession *session);
extern const char *dev_hint_text(const DevSession *session);

/* DEV_CANCELLED, recorded, when the host wants to stop; else DEV_OK. */
extern DevStatus dev_poll(DevSession *session);

/*
 * The counter-based generator (Philox 4x32-10, Salmon et al. 2011): value number
 * `counter` of stream `stream` under `seed`. Pure, so any thread may draw any
 * value and the order of drawing does not matter.
 */
extern void dev_random_bits(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t bits[4]);
extern double dev_random_uniform(uint64_t seed, uint64_t stream, uint64_t counter);	/* in (0, 1) */
extern double dev_random_normal(uint64_t seed, uint64_t stream, uint64_t counter);	/* mean 0, variance 1 */
extern uint64_t dev_random_below(uint64_t seed, uint64_t stream, uint64_t counter, uint64_t bound);	/* unbiased */

/* Streams, so that no two uses ever share values; node-bound streams add the node's number. */
enum
{
	DEV_STREAM_SPLIT = 1,
	DEV_STREAM_SHUFFLE,
	DEV_STREAM_FOLD,
	DEV_STREAM_BOOTSTRAP,
	DEV_STREAM_SHAPLEY,
	DEV_STREAM_PERMUTE,
	DEV_STREAM_SAMPLE,
	DEV_STREAM_ROCKET,
	DEV_STREAM_ROCKET_LEADS,
	DEV_STREAM_AUGMENT,			/* these four use the stream's upper half too, see learn_augment.h */
	DEV_STREAM_MIX,
	DEV_STREAM_ATTACK,
	DEV_STREAM_SMOOTHING,
	DEV_STREAM_WORDS,			/* + number of the field << 32 */
	DEV_STREAM_WINDOW,
	DEV_STREAM_CONFORMAL,
	DEV_STREAM_INIT = 1 << 16,	/* + parameter number */
	DEV_STREAM_DROPOUT = 1 << 24	/* + node number */
};

#endif							/* IDLA_SESSION_H */

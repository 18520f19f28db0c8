/*
 * parallel.h: a team of threads that all run the same job; private to src/learn.
 *
 * The calling thread is worker 0 and the only one that may touch the session or
 * the host. All control flow stays with it: it hands out one job after another,
 * and between two jobs the others do nothing. Hence no state machine in
 * the workers, and stopping early is simply not handing out the next job.
 */
#ifndef IDLA_LEARN_PARALLEL_H
#define IDLA_LEARN_PARALLEL_H

#include "idla/session.h"

typedef struct LearnTeam LearnTeam;

/* Does worker's part of the job; worker is 0 to size - 1. Must allocate nothing and call no host. */
typedef void (*LearnJob) (void *context, int worker);

/*
 * Starts n_threads - 1 threads with every signal blocked. DEV_UNAVAILABLE when the system gives no more threads: none
 * of those started is left behind then.
 */
extern DevStatus learn_team_create(DevSession *session, int n_threads, LearnTeam **team);
extern int	learn_team_size(const LearnTeam *team);
/* Runs job in all threads; when it returns, all have finished and what they wrote is visible. */
extern void learn_team_run(LearnTeam *team, LearnJob job, void *context);
/* Ends and joins the threads. NULL is allowed. Must be called before the session is closed. */
extern void learn_team_free(LearnTeam *team);

/* Worker's contiguous part [*low, *high) of n things, the same for the same n and size. */
static inline void
learn_share(size_t n, int worker, int size, size_t *low, size_t *high)
{
	*low = n / (size_t) size * (size_t) worker + n % (size_t) size * (size_t) worker / (size_t) size;
	*high = n / (size_t) size * (size_t) (worker + 1) + n % (size_t) size * (size_t) (worker + 1) / (size_t) size;
}

#endif							/* IDLA_LEARN_PARALLEL_H */

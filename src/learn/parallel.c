/*
 * parallel.c: the thread team.
 *
 * A training step of a small network takes a tenth of a millisecond, so
 * starting and ending a job must cost about a microsecond: waiting threads spin
 * for a moment on a counter before they sleep on a condition variable. How long
 * they spin follows from whether it helped: on a busy machine whoever spins keeps
 * the one he waits for from running, and soon sleeps at once.
 * Whoever wakes others looks at a count of sleepers first; that and the
 * counters are sequentially consistent, so either the sleeper sees the new
 * value or the waker sees the sleeper.
 */
#include "parallel.h"

#include "idla/device.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#define CACHE_LINE 64
#define STACK_SIZE ((size_t) 1 << 20)
#define MOST_SPINS 4000			/* some 50 to 150 microseconds of pauses */
#define LEAST_SPINS 100

typedef struct Worker
{
	LearnTeam  *team;
	pthread_t	thread;
	int			number;
	int			spins;			/* pauses before it sleeps */
} Worker;

struct LearnTeam
{
	DevSession *session;
	Worker	   *workers;		/* (size); 0 is the calling thread */
	int			size;
	int			most_spins;
	LearnJob	job;			/* NULL ends the threads; written before `started` grows */
	void	   *context;
	pthread_mutex_t mutex;
	pthread_cond_t start;
	pthread_cond_t done;
	_Alignas(CACHE_LINE) atomic_uint started;	/* jobs handed out */
	atomic_int	sleepers;		/* workers waiting on start */
	_Alignas(CACHE_LINE) atomic_int running;	/* workers still on the job */
	atomic_int	waiting;		/* 1 while the caller sleeps on done */
};

static inline void
relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("yield");
#endif
}

/* Spinning helped: a little longer next time. It did not: half as long. */
static void
adapt(Worker *worker, bool helped)
{
	int			most = worker->team->most_spins;

	if (helped)
		worker->spins += worker->spins / 8 + 1;
	else
		worker->spins /= 2;
	worker->spins = worker->spins < LEAST_SPINS ? LEAST_SPINS : worker->spins;
	worker->spins = worker->spins > most ? most : worker->spins;
}

static void
await_start(Worker *worker, unsigned int seen)
{
	LearnTeam  *team = worker->team;

	for (int i = 0; i < worker->spins; i++)
	{
		if (atomic_load(&team->started) != seen)
		{
			adapt(worker, true);
			return;
		}
		relax();
	}
	adapt(worker, false);
	pthread_mutex_lock(&team->mutex);
	atomic_fetch_add(&team->sleepers, 1);
	while (atomic_load(&team->started) == seen)
		pthread_cond_wait(&team->start, &team->mutex);
	atomic_fetch_sub(&team->sleepers, 1);
	pthread_mutex_unlock(&team->mutex);
}

static void
await_done(LearnTeam *team)
{
	Worker	   *caller = &team->workers[0];

	for (int i = 0; i < caller->spins; i++)
	{
		if (atomic_load(&team->running) == 0)
		{
			adapt(caller, true);
			return;
		}
		relax();
	}
	adapt(caller, false);
	pthread_mutex_lock(&team->mutex);
	atomic_store(&team->waiting, 1);
	while (atomic_load(&team->running) > 0)
		pthread_cond_wait(&team->done, &team->mutex);
	atomic_store(&team->waiting, 0);
	pthread_mutex_unlock(&team->mutex);
}

static void
hand_out(LearnTeam *team, LearnJob job, void *context)
{
	team->job = job;
	team->context = context;
	atomic_store(&team->running, team->size - 1);
	atomic_fetch_add(&team->started, 1);
	if (atomic_load(&team->sleepers) > 0)
	{
		pthread_mutex_lock(&team->mutex);
		pthread_cond_broadcast(&team->start);
		pthread_mutex_unlock(&team->mutex);
	}
}

static void
report_done(LearnTeam *team)
{
	if (atomic_fetch_sub(&team->running, 1) == 1 && atomic_load(&team->waiting) != 0)
	{
		pthread_mutex_lock(&team->mutex);
		pthread_cond_signal(&team->done);
		pthread_mutex_unlock(&team->mutex);
	}
}

static void *
work(void *argument)
{
	Worker	   *worker = argument;
	LearnTeam  *team = worker->team;
	unsigned int seen = 0;

	for (;;)
	{
		await_start(worker, seen);
		seen++;
		if (team->job == NULL)
			return NULL;
		team->job(team->context, worker->number);
		report_done(team);
	}
}

/* Ends the threads 1 to n_started. */
static void
stop(LearnTeam *team, int n_started)
{
	team->job = NULL;
	pthread_mutex_lock(&team->mutex);
	atomic_fetch_add(&team->started, 1);
	pthread_cond_broadcast(&team->start);
	pthread_mutex_unlock(&team->mutex);
	for (int i = 1; i <= n_started; i++)
		pthread_join(team->workers[i].thread, NULL);
}

static void
destroy(LearnTeam *team)
{
	DevSession *session = team->session;

	pthread_cond_destroy(&team->done);
	pthread_cond_destroy(&team->start);
	pthread_mutex_destroy(&team->mutex);
	dev_release(session, team->workers);
	dev_release(session, team);
}

/* Starts the threads; returns 0 or an errno, with *n_started of them running. */
static int
start_threads(LearnTeam *team, int *n_started)
{
	pthread_attr_t attributes;
	sigset_t	all;
	sigset_t	before;
	int			error = pthread_attr_init(&attributes);

	*n_started = 0;
	if (error != 0)
		return error;
	pthread_attr_setstacksize(&attributes, STACK_SIZE);

	/* A thread starts with its creator's mask: the host's signal handlers must never run in ours. */
	sigfillset(&all);
	error = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (error == 0)
	{
		for (int i = 1; i < team->size && error == 0; i++)
		{
			error = pthread_create(&team->workers[i].thread, &attributes, work, &team->workers[i]);
			*n_started += error == 0;
		}
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	pthread_attr_destroy(&attributes);
	return error;
}

DevStatus
learn_team_create(DevSession *session, int n_threads, LearnTeam **result)
{
	LearnTeam  *team;
	int			n_started;
	int			error;

	*result = NULL;
	if (n_threads < 1)
		return dev_fail(session, DEV_INVALID, "number of threads \"%d\" is not at least 1", n_threads);
	team = dev_alloc(session, 1, sizeof(LearnTeam));
	if (team == NULL)
		return DEV_NO_MEMORY;
	team->session = session;
	team->size = n_threads;
	/* More threads than processors: whoever spins keeps from running the one he waits for. */
	team->most_spins = n_threads <= dev_cpu_count() ? MOST_SPINS : 0;
	team->workers = dev_alloc(session, (size_t) n_threads, sizeof(Worker));
	if (team->workers == NULL)
	{
		dev_release(session, team);
		return DEV_NO_MEMORY;
	}
	for (int i = 0; i < n_threads; i++)
		team->workers[i] = (Worker) {.team = team, .number = i, .spins = team->most_spins};
	pthread_mutex_init(&team->mutex, NULL);
	pthread_cond_init(&team->start, NULL);
	pthread_cond_init(&team->done, NULL);

	error = start_threads(team, &n_started);
	if (error != 0)
	{
		stop(team, n_started);
		destroy(team);
		dev_fail(session, DEV_UNAVAILABLE, "could not start %d training threads: %s", n_threads - 1, strerror(error));
		dev_hint(session, "Train with fewer threads.");
		return DEV_UNAVAILABLE;
	}
	*result = team;
	return DEV_OK;
}

int
learn_team_size(const LearnTeam *team)
{
	return team->size;
}

void
learn_team_run(LearnTeam *team, LearnJob job, void *context)
{
	if (team->size > 1)
		hand_out(team, job, context);
	job(context, 0);
	if (team->size > 1)
		await_done(team);
}

void
learn_team_free(LearnTeam *team)
{
	if (team == NULL)
		return;
	stop(team, team->size - 1);
	destroy(team);
}

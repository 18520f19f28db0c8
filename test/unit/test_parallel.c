/*
 * test_parallel.c: the thread team: every worker runs every job once, sees what others wrote, blocks
 * all signals, and is gone after the team is freed.
 */
#include "check.h"

#include "learn/parallel.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#define MAX_TEAM 8

typedef struct Board
{
	int			size;
	atomic_int	runs[MAX_TEAM];
	int			values[MAX_TEAM];
	int			sums[MAX_TEAM];
	bool		blocked[MAX_TEAM];
	pthread_t	threads[MAX_TEAM];
} Board;

static int
count_threads(void)
{
	DIR		   *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	int			n = 0;

	if (tasks == NULL)
		return -1;
	while ((entry = readdir(tasks)) != NULL)
		n += entry->d_name[0] != '.';
	closedir(tasks);
	return n;
}

/* A joined thread may stay in the list for a moment. */
/* Counted before any team exists: a thread just joined may still be listed for a moment. */
static int	at_start;

static bool
threads_become(int n)
{
	for (int i = 0; i < 1000 && count_threads() != n; i++)
		usleep(1000);
	return count_threads() == n;
}

static void
write_job(void *context, int worker)
{
	Board	   *board = context;

	atomic_fetch_add(&board->runs[worker], 1);
	board->values[worker]++;
	board->threads[worker] = pthread_self();
}

/* Reads what all workers wrote in the job before. */
static void
sum_job(void *context, int worker)
{
	Board	   *board = context;

	board->sums[worker] = 0;
	for (int i = 0; i < board->size; i++)
		board->sums[worker] += board->values[i];
}

static void
signal_job(void *context, int worker)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGCHLD, SIGPIPE};
	Board	   *board = context;
	sigset_t	mask;

	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	board->blocked[worker] = true;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		board->blocked[worker] = board->blocked[worker] && sigismember(&mask, signals[i]) == 1;
}

static void
sleepy_job(void *context, int worker)
{
	Board	   *board = context;

	/* Long enough for the caller, and then for the others, to go to sleep. */
	if (worker == board->size - 1)
		usleep(20000);
	atomic_fetch_add(&board->runs[worker], 1);
}

static void
check_size(DevSession *session, int size)
{
	LearnTeam  *team;
	Board		board = {.size = size};
	int			before = at_start;
	bool		right = true;
	bool		distinct = true;
	bool		blocked = true;
	sigset_t	mask;

	CHECK_STATUS(session, learn_team_create(session, size, &team), DEV_OK, "a team of %d starts", size);
	CHECK(learn_team_size(team) == size, "it has %d workers", size);
	CHECK(count_threads() == before + size - 1, "%d threads were started", size - 1);
	for (int round = 0; round < 3000 && right; round++)
	{
		learn_team_run(team, write_job, &board);
		learn_team_run(team, sum_job, &board);
		for (int i = 0; i < size; i++)
			right = right && board.sums[i] == (round + 1) * size && atomic_load(&board.runs[i]) == round + 1;
	}
	CHECK(right, "team of %d: every worker runs every job once and sees what all wrote before", size);
	for (int i = 1; i < size; i++)
		distinct = distinct && !pthread_equal(board.threads[i], board.threads[0]);
	CHECK(distinct && pthread_equal(board.threads[0], pthread_self()), "team of %d: the caller is worker 0 alone", size);

	learn_team_run(team, signal_job, &board);
	for (int i = 1; i < size; i++)
		blocked = blocked && board.blocked[i];
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	CHECK(blocked && sigismember(&mask, SIGTERM) == 0, "team of %d: threads block all signals, the caller does not", size);

	for (int i = 0; i < size; i++)
		atomic_store(&board.runs[i], 0);
	for (int round = 0; round < 3; round++)
	{
		learn_team_run(team, sleepy_job, &board);
		usleep(5000);
	}
	right = true;
	for (int i = 0; i < size; i++)
		right = right && atomic_load(&board.runs[i]) == 3;
	CHECK(right, "team of %d: who slept is woken", size);
	learn_team_free(team);
	CHECK(threads_become(before), "team of %d: no thread is left", size);
}

static void
check_shares(void)
{
	bool		right = true;

	for (size_t n = 0; n < 40; n++)
	{
		for (int size = 1; size <= MAX_TEAM; size++)
		{
			size_t		next = 0;

			for (int worker = 0; worker < size; worker++)
			{
				size_t		low;
				size_t		high;

				learn_share(n, worker, size, &low, &high);
				right = right && low == next && high >= low && high - low <= n / (size_t) size + 1;
				next = high;
			}
			right = right && next == n;
		}
	}
	CHECK(right, "shares are contiguous, disjoint, complete and even");
}

/* A failed allocation leaves neither memory nor threads. */
static void
check_no_memory(void)
{
	int			before = at_start;

	for (size_t fail_at = 1;; fail_at++)
	{
		CheckHost	counts;
		DevHost		host = check_host(&counts, fail_at);
		DevSession *session;
		LearnTeam  *team = NULL;
		DevStatus	status = dev_session_open(&host, 1, &session);

		if (status == DEV_OK)
			status = learn_team_create(session, 3, &team);
		learn_team_free(team);
		dev_session_close(session);
		if (status != DEV_OK && !CHECK(status == DEV_NO_MEMORY && counts.held == 0 && threads_become(before),
									   "allocation %zu may fail", fail_at))
			return;
		if (status == DEV_OK)
			break;
	}
}

int
main(void)
{
	at_start = count_threads();
	DevSession *session;
	LearnTeam  *team;

	CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
	check_shares();
	check_size(session, 1);
	check_size(session, 2);
	check_size(session, 5);
	CHECK_STATUS(session, learn_team_create(session, 0, &team), DEV_INVALID, "a team of none is refused");
	CHECK(strcmp(dev_message_text(session), "number of threads \"0\" is not at least 1") == 0, "and says so");
	check_no_memory();
	dev_session_close(session);
	return check_done();
}

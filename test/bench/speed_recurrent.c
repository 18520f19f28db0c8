/*
 * speed_recurrent.c: seconds of a training pass, forward and backward, of one recurrent layer.
 *
 *     speed_recurrent lstm|gru LENGTH IN HIDDEN BATCH THREADS SECONDS
 *
 * Several threads have a run of their part of the batch each, and their gradients are added. One thread is timed by its own
 * clock, which stands still while others have the processor. Prints the shortest pass, the median one and the
 * peak resident size in MB; speed_recurrent.py alternates this with PyTorch.
 */
#include "idla/nn.h"
#include "learn/parallel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_THREADS 8
#define MAX_PASSES 100000

typedef struct Bench
{
	DevSession *session;
	NnGraph    *graph;
	NnNode		input;
	NnNode		dst;
	size_t		n_weights;
	float	   *weights;
	int			threads;
	NnRun	   *runs[MAX_THREADS];
	float	   *diff[MAX_THREADS];
} Bench;

static double
now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double) time.tv_sec + 1e-9 * (double) time.tv_nsec;
}

static void
require(DevSession *session, DevStatus status, const char *what)
{
	if (status == DEV_OK)
		return;
	fprintf(stderr, "speed_recurrent: %s: %s\n", what, session == NULL ? "" : dev_message_text(session));
	exit(EXIT_FAILURE);
}

static NnParameter
parameter(Bench *bench, const char *name, NnShape shape, float a)
{
	return nn_parameter(bench->graph, name, &shape, NN_ROLE_MATRIX, NN_INIT_UNIFORM, a, NULL);
}

static void
build(Bench *bench, bool lstm, size_t length, size_t in, size_t hidden)
{
	size_t		summed = (lstm ? 4 : 3) * hidden;
	NnShape		shape = nn_shape(2, length, in, 0, 0);
	NnParameter weights_in;
	NnParameter weights_hidden;
	NnParameter bias;

	require(bench->session, nn_graph_create(bench->session, &bench->graph), "graph");
	bench->input = nn_input(bench->graph, "x", &shape);
	weights_in = parameter(bench, "weights_in", nn_shape(2, in, summed, 0, 0), 0.1f);
	weights_hidden = parameter(bench, "weights_hidden", nn_shape(2, hidden, summed, 0, 0), 0.1f);
	bias = parameter(bench, "bias", nn_shape(1, summed, 0, 0, 0), 0.1f);
	if (lstm)
		bench->dst = nn_lstm(bench->graph, bench->input, NN_NONE, false, weights_in, weights_hidden, bias);
	else
		bench->dst = nn_gru(bench->graph, bench->input, NN_NONE, false, weights_in, weights_hidden, bias,
							parameter(bench, "bias_hidden", nn_shape(1, hidden, 0, 0, 0), 0.1f));
	require(bench->session, nn_graph_compile(bench->graph), "graph");
	bench->n_weights = nn_graph_weights(bench->graph);
}

static void
make_runs(Bench *bench, DevDevice *device, size_t size, size_t batch)
{
	size_t		part = batch / (size_t) bench->threads;
	float	   *rows = dev_alloc(bench->session, part * size, sizeof(float));

	bench->weights = dev_alloc(bench->session, bench->n_weights, sizeof(float));
	if (rows == NULL || bench->weights == NULL)
		require(bench->session, DEV_NO_MEMORY, "rows");
	nn_graph_initialize(bench->graph, 1, bench->weights);
	for (size_t i = 0; i < part * size; i++)
		rows[i] = (float) (i * 7919 % 2003) / 1001 - 1;
	for (int i = 0; i < bench->threads; i++)
	{
		bench->diff[i] = dev_alloc(bench->session, bench->n_weights, sizeof(float));
		if (bench->diff[i] == NULL)
			require(bench->session, DEV_NO_MEMORY, "gradients");
		require(bench->session, nn_run_create(bench->graph, device, part, NN_RUN_TRAIN, &bench->runs[i]), "run");
		nn_run_bind(bench->runs[i], bench->weights, bench->diff[i]);
		nn_run_set(bench->runs[i], bench->input, part, rows);
	}
	dev_release(bench->session, rows);
}

static void
pass_job(void *context, int worker)
{
	Bench	   *bench = context;

	memset(bench->diff[worker], 0, bench->n_weights * sizeof(float));
	nn_run_forward(bench->runs[worker], bench->dst, NN_TRAIN, 1, 1, 0);
	nn_run_backward(bench->runs[worker], bench->dst, 1, NULL);
}

static double
peak_megabytes(void)
{
	FILE	   *status = fopen("/proc/self/status", "r");
	char		line[128];
	double		kilobytes = 0;

	while (status != NULL && fgets(line, sizeof(line), status) != NULL)
		if (strncmp(line, "VmHWM:", 6) == 0)
			kilobytes = atof(line + 6);
	if (status != NULL)
		fclose(status);
	return kilobytes / 1024;
}

static int
compare(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
	static double seconds[MAX_PASSES];
	Bench		bench = {0};
	DevDevice  *device;
	LearnTeam  *team;
	clockid_t	clock;
	double		until;
	int			n = 0;
	size_t		sizes[4];

	if (argc != 8)
	{
		fprintf(stderr, "usage: speed_recurrent lstm|gru LENGTH IN HIDDEN BATCH THREADS SECONDS\n");
		return EXIT_FAILURE;
	}
	for (int i = 0; i < 4; i++)
		sizes[i] = strtoul(argv[2 + i], NULL, 10);
	bench.threads = atoi(argv[6]);
	if (bench.threads < 1 || bench.threads > MAX_THREADS)
		require(NULL, DEV_INVALID, "threads");
	require(NULL, dev_session_open(NULL, 1, &bench.session), "session");
	require(bench.session, dev_cpu_open(bench.session, NULL, &device), "device");
	build(&bench, strcmp(argv[1], "lstm") == 0, sizes[0], sizes[1], sizes[2]);
	make_runs(&bench, device, sizes[0] * sizes[1], sizes[3]);
	require(bench.session, learn_team_create(bench.session, bench.threads, &team), "threads");
	learn_team_run(team, pass_job, &bench);
	clock = bench.threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
	until = now(CLOCK_MONOTONIC) + atof(argv[7]);
	do
	{
		double		start = now(clock);

		learn_team_run(team, pass_job, &bench);
		for (int i = 1; i < bench.threads; i++)
			for (size_t j = 0; j < bench.n_weights; j++)
				bench.diff[0][j] += bench.diff[i][j];
		seconds[n++] = now(clock) - start;
	} while (n < MAX_PASSES && now(CLOCK_MONOTONIC) < until);
	learn_team_free(team);
	qsort(seconds, (size_t) n, sizeof(*seconds), compare);
	printf("%.9f %.9f %.1f\n", seconds[0], seconds[n / 2], peak_megabytes());
	dev_session_close(bench.session);
	return EXIT_SUCCESS;
}

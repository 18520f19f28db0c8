/*
 * speed_attention.c: sequences a second of a Transformer encoder, trained or run, for speed_attention.py.
 *
 *     speed_attention WIDTH LAYERS HEADS LENGTH BATCH THREADS MODE SECONDS
 *
 * MODE is train (forward, backward, AdamW) or infer. Post-norm layers with gelu and a hidden layer of four times
 * the width, the sum over positions, and a head of two classes; threads share the batch as the trainer has them do. Prints
 * sequences a second of elapsed and of processor time, and the most memory that the session and the process had, in MB.
 */
#include "idla/nn.h"
#include "learn/parallel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define MAX_THREADS 2

typedef struct Bench
{
	DevSession *session;
	DevDevice  *device;
	NnGraph    *graph;
	NnNode		input;
	NnNode		target;
	NnNode		logits;
	NnNode		loss;
	NnOptimizer *optimizer;
	NnRun	   *runs[MAX_THREADS];
	float	   *weights;
	float	   *diffs[MAX_THREADS];
	size_t		width;
	size_t		layers;
	size_t		heads;
	size_t		length;
	size_t		batch;
	int			threads;
	bool		train;
	uint64_t	step;
} Bench;

static double
clock_of(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double) time.tv_sec + 1e-9 * (double) time.tv_nsec;
}

static void
require(DevSession *session, DevStatus status)
{
	if (status == DEV_OK)
		return;
	fprintf(stderr, "speed_attention: %s\n", dev_message_text(session));
	exit(EXIT_FAILURE);
}

static NnParameter
parameter(Bench *bench, const char *name, size_t layer, NnShape shape, NnInit init, float a)
{
	char		text[128];

	snprintf(text, sizeof(text), "layer%zu.%s", layer, name);
	return nn_parameter(bench->graph, text, &shape, shape.rank == 1 ? NN_ROLE_VECTOR : NN_ROLE_MATRIX, init, a, NULL);
}

static NnNode
dense(Bench *bench, NnNode src, const char *name, size_t layer, size_t in, size_t out)
{
	char		bias[64];

	snprintf(bias, sizeof(bias), "%s.bias", name);
	src = nn_linear(bench->graph, src, parameter(bench, name, layer, nn_shape(2, in, out, 0, 0), NN_INIT_UNIFORM, 0.05f));
	return nn_bias(bench->graph, src, parameter(bench, bias, layer, nn_shape(1, out, 0, 0, 0), NN_INIT_ZERO, 0));
}

static NnNode
norm(Bench *bench, NnNode src, const char *name, size_t layer)
{
	char		bias[64];
	NnShape		shape = nn_shape(1, bench->width, 0, 0, 0);

	snprintf(bias, sizeof(bias), "%s.bias", name);
	return nn_layer_norm(bench->graph, src, parameter(bench, name, layer, shape, NN_INIT_ONE, 0),
						 parameter(bench, bias, layer, shape, NN_INIT_ZERO, 0), 1e-5f);
}

static NnNode
encoder_layer(Bench *bench, NnNode src, size_t layer)
{
	size_t		width = bench->width;
	NnNode		query = dense(bench, src, "query", layer, width, width);
	NnNode		key = dense(bench, src, "key", layer, width, width);
	NnNode		value = dense(bench, src, "value", layer, width, width);
	NnNode		node = nn_attention(bench->graph, query, key, value, NN_NONE, bench->heads, false, 0);

	node = nn_add(bench->graph, dense(bench, node, "out", layer, width, width), src);
	src = norm(bench, node, "norm1", layer);
	node = nn_activation(bench->graph, dense(bench, src, "up", layer, width, 4 * width), DEV_MAP_GELU);
	node = nn_add(bench->graph, dense(bench, node, "down", layer, 4 * width, width), src);
	return norm(bench, node, "norm2", layer);
}

static void
build(Bench *bench)
{
	NnShape		shape = nn_shape(2, bench->length, bench->width, 0, 0);
	NnNode		node;

	require(bench->session, dev_cpu_open(bench->session, NULL, &bench->device));
	require(bench->session, nn_graph_create(bench->session, &bench->graph));
	node = bench->input = nn_input(bench->graph, "x", &shape);
	bench->target = nn_codes(bench->graph, "target", 1);
	for (size_t i = 0; i < bench->layers; i++)
		node = encoder_layer(bench, node, i);
	bench->logits = dense(bench, nn_sum_groups(bench->graph, node), "head", bench->layers, bench->width, 2);
	bench->loss = nn_cross_entropy(bench->graph, bench->logits, bench->target, NULL, 0);
	require(bench->session, nn_graph_compile(bench->graph));
}

static void
prepare(Bench *bench)
{
	size_t		n = nn_graph_weights(bench->graph);
	size_t		rows = bench->batch / (size_t) bench->threads;
	size_t		size = rows * bench->length * bench->width;
	float	   *x = malloc(size * sizeof(float));
	int32_t    *codes = calloc(rows, sizeof(int32_t));
	NnOptimizerSpec spec;

	bench->weights = dev_alloc(bench->session, n, sizeof(float));
	if (x == NULL || codes == NULL || bench->weights == NULL)
		require(bench->session, DEV_NO_MEMORY);
	nn_graph_initialize(bench->graph, 1, bench->weights);
	nn_optimizer_defaults(NN_ADAMW, &spec);
	if (bench->train)
		require(bench->session, nn_optimizer_create(bench->graph, bench->device, &spec, bench->threads, &bench->optimizer));
	for (size_t i = 0; i < size; i++)
		x[i] = (float) dev_random_normal(1, 2, i);
	for (size_t i = 0; i < rows; i++)
		codes[i] = (int32_t) (i % 2);
	for (int i = 0; i < bench->threads; i++)
	{
		require(bench->session, nn_run_create(bench->graph, bench->device, rows, bench->train ? NN_RUN_TRAIN : NN_RUN_FORWARD,
											  &bench->runs[i]));
		if (bench->train)
		{
			bench->diffs[i] = dev_alloc(bench->session, n, sizeof(float));
			if (bench->diffs[i] == NULL)
				require(bench->session, DEV_NO_MEMORY);
		}
		nn_run_bind(bench->runs[i], bench->weights, bench->diffs[i]);
		nn_run_set(bench->runs[i], bench->input, rows, x);
		nn_run_set_codes(bench->runs[i], bench->target, rows, codes);
	}
	free(x);
	free(codes);
}

static void
pass(void *context, int worker)
{
	Bench	   *bench = context;
	size_t		rows = bench->batch / (size_t) bench->threads;
	NnRun	   *run = bench->runs[worker];

	if (!bench->train)
	{
		nn_run_forward(run, bench->logits, NN_INFER, 1, 0, 0);
		return;
	}
	memset(bench->diffs[worker], 0, nn_graph_weights(bench->graph) * sizeof(float));
	nn_run_forward(run, bench->loss, NN_TRAIN, 1, bench->step, (size_t) worker * rows);
	nn_run_backward(run, bench->loss, 1.0f / (float) bench->batch, NULL);
}

static void
update(void *context, int worker)
{
	Bench	   *bench = context;
	size_t		first;
	size_t		count;

	nn_optimizer_share(bench->optimizer, worker, &first, &count);
	for (int i = 1; i < bench->threads; i++)
		for (size_t k = first; k < first + count; k++)
			bench->diffs[0][k] += bench->diffs[i][k];
	nn_optimizer_apply(bench->optimizer, nn_run_queue(bench->runs[worker]), worker, bench->diffs[0], bench->weights);
}

static void
step(Bench *bench, LearnTeam *team)
{
	learn_team_run(team, pass, bench);
	if (!bench->train)
		return;
	nn_optimizer_begin(bench->optimizer, 1.0f, 1.0f);
	learn_team_run(team, update, bench);
	bench->step++;
}

int
main(int n_arguments, char **arguments)
{
	Bench		bench = {0};
	LearnTeam  *team;
	struct rusage usage;
	double		seconds;
	double		start;
	double		start_cpu;
	double		elapsed;
	double		steps = 0;

	if (n_arguments != 9)
	{
		fprintf(stderr, "usage: speed_attention WIDTH LAYERS HEADS LENGTH BATCH THREADS MODE SECONDS\n");
		return EXIT_FAILURE;
	}
	bench.width = strtoul(arguments[1], NULL, 10);
	bench.layers = strtoul(arguments[2], NULL, 10);
	bench.heads = strtoul(arguments[3], NULL, 10);
	bench.length = strtoul(arguments[4], NULL, 10);
	bench.batch = strtoul(arguments[5], NULL, 10);
	bench.threads = atoi(arguments[6]);
	bench.train = strcmp(arguments[7], "train") == 0;
	seconds = strtod(arguments[8], NULL);
	if (bench.threads < 1 || bench.threads > MAX_THREADS)
		return EXIT_FAILURE;
	require(NULL, dev_session_open(NULL, 1, &bench.session));
	build(&bench);
	prepare(&bench);
	require(bench.session, learn_team_create(bench.session, bench.threads, &team));
	step(&bench, team);
	start = clock_of(CLOCK_MONOTONIC);
	start_cpu = clock_of(CLOCK_PROCESS_CPUTIME_ID);
	do
	{
		step(&bench, team);
		steps++;
		elapsed = clock_of(CLOCK_MONOTONIC) - start;
	} while (elapsed < seconds);
	getrusage(RUSAGE_SELF, &usage);
	printf("%.2f %.2f %.1f %.1f\n", steps * (double) bench.batch / elapsed,
		   steps * (double) bench.batch / (clock_of(CLOCK_PROCESS_CPUTIME_ID) - start_cpu),
		   (double) dev_session_peak(bench.session) / (1024 * 1024), (double) usage.ru_maxrss / 1024);
	learn_team_free(team);
	dev_session_close(bench.session);
	return EXIT_SUCCESS;
}

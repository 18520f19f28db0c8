/*
 * speed_deep.c: how fast the engine trains convolutional networks; speed_deep.py runs it in turns with PyTorch.
 *
 *     make -f engine.mk build/plain/speed_deep
 *     build/plain/speed_deep NETWORK BATCH THREADS ROWS SECONDS
 *
 * Residual networks are those of He et al. 2016 for small images: a 3 x 3 stem, stages of two-convolution blocks, stride 2 and a
 * 1 x 1 projection between them, batch norm and relu, the mean of all places, one dense layer. "fcn" is the
 * convolutional classifier of series of Wang et al. 2017. Every thread trains an equal share of the batch with buffers of its own, at
 * most ROWS examples a pass (0: its whole share, so that batch norm sees it all); gradients are summed and stepped by Nesterov's SGD.
 * One line: examples a second by the clock, and by the processor time of a thread; peak memory; last loss.
 */
#include "idla/nn.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define MAX_THREADS 8
#define CLASSES 10

typedef struct Network
{
	const char *name;
	size_t		height;			/* 0: a sequence */
	size_t		width;
	size_t		channels;
	int			n_stages;
	size_t		widths[3];
	size_t		kernels[3];		/* of a sequence's layers */
	int			blocks;
} Network;

static const Network networks[] = {
	{.name = "resnet20-28x28x1", .height = 28, .width = 28, .channels = 1, .n_stages = 3, .widths = {16, 32, 64}, .blocks = 3},
	{.name = "resnet20-28x28x3", .height = 28, .width = 28, .channels = 3, .n_stages = 3, .widths = {16, 32, 64}, .blocks = 3},
	{.name = "wide-32x32x3", .height = 32, .width = 32, .channels = 3, .n_stages = 3, .widths = {32, 64, 128}, .blocks = 2},
	{.name = "fcn-140x1", .width = 140, .channels = 1, .n_stages = 3, .widths = {128, 256, 128}, .kernels = {8, 5, 3}}
};

typedef struct Trainer Trainer;

typedef struct Worker
{
	Trainer    *trainer;
	int			number;
	size_t		first;			/* rows of the batch */
	size_t		rows;
	NnRun	   *run;
	float	   *diff_weights;
	double		loss;
	double		cpu;			/* seconds */
} Worker;

struct Trainer
{
	DevSession *session;
	DevDevice  *device;
	NnGraph    *graph;
	NnNode		input;
	NnNode		target;
	NnNode		loss;
	NnOptimizer *optimizer;
	size_t		n_weights;
	float	   *weights;
	float	   *images;
	int32_t    *classes;
	size_t		batch;
	size_t		rows;			/* at most, in a pass */
	int			threads;
	Worker		workers[MAX_THREADS];
	pthread_barrier_t barrier;
	double		until;
	volatile bool stop;
	size_t		steps;
};

static double
seconds(clockid_t which)
{
	struct timespec time;

	clock_gettime(which, &time);
	return (double) time.tv_sec + 1e-9 * (double) time.tv_nsec;
}

static void
require(DevSession *session, bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "speed_deep: %s: %s\n", what, session == NULL ? "" : dev_message_text(session));
	exit(EXIT_FAILURE);
}

/* ---- Networks ---- */

static NnParameter
parameter(NnGraph *graph, NnShape shape, NnRole role, NnInit init, float a)
{
	char		name[32];

	snprintf(name, sizeof(name), "parameter%d", nn_graph_parameters(graph));
	return nn_parameter(graph, name, &shape, role, init, a, NULL);
}

static NnParameter
column(NnGraph *graph, size_t n, NnRole role, NnInit init)
{
	return parameter(graph, nn_shape(1, n, 0, 0, 0), role, init, 0);
}

static NnNode
normalized(NnGraph *graph, NnNode src, size_t channels)
{
	return nn_batch_norm(graph, src, column(graph, channels, NN_ROLE_VECTOR, NN_INIT_ONE),
						 column(graph, channels, NN_ROLE_VECTOR, NN_INIT_ZERO),
						 column(graph, channels, NN_ROLE_STATISTIC, NN_INIT_ZERO),
						 column(graph, channels, NN_ROLE_STATISTIC, NN_INIT_ONE), 1e-5f);
}

static NnNode
square(NnGraph *graph, NnNode src, size_t in, size_t out, size_t kernel, size_t stride)
{
	NnWindow	window = {.kernel = {kernel, kernel}, .stride = {stride, stride}, .before = {kernel / 2, kernel / 2},
	.after = {kernel / 2, kernel / 2}};
	float		deviation = sqrtf(2.0f / (float) (kernel * kernel * in));

	return normalized(graph, nn_convolution(graph, src, parameter(graph, nn_shape(4, kernel, kernel, in, out), NN_ROLE_MATRIX,
																  NN_INIT_NORMAL, deviation), &window), out);
}

static NnNode
residual_block(NnGraph *graph, NnNode src, size_t in, size_t out, size_t stride)
{
	NnNode		shortcut = in != out || stride != 1 ? square(graph, src, in, out, 1, stride) : src;
	NnNode		inner = nn_activation(graph, square(graph, src, in, out, 3, stride), DEV_MAP_RELU);

	return nn_activation(graph, nn_add(graph, square(graph, inner, out, out, 3, 1), shortcut), DEV_MAP_RELU);
}

static NnNode
residual_network(NnGraph *graph, const Network *network, NnNode node)
{
	size_t		width = network->widths[0];

	node = nn_activation(graph, square(graph, node, network->channels, width, 3, 1), DEV_MAP_RELU);
	for (int stage = 0; stage < network->n_stages; stage++)
	{
		for (int block = 0; block < network->blocks; block++)
		{
			node = residual_block(graph, node, width, network->widths[stage], stage > 0 && block == 0 ? 2 : 1);
			width = network->widths[stage];
		}
	}
	return node;
}

static NnNode
series_network(NnGraph *graph, const Network *network, NnNode node)
{
	size_t		in = network->channels;

	for (int i = 0; i < network->n_stages; i++)
	{
		size_t		kernel = network->kernels[i];
		size_t		out = network->widths[i];
		NnWindow	window = {.kernel = {kernel}, .before = {(kernel - 1) / 2}, .after = {kernel / 2}};
		NnParameter weights = parameter(graph, nn_shape(3, kernel, in, out, 0), NN_ROLE_MATRIX, NN_INIT_NORMAL,
										sqrtf(2.0f / (float) (kernel * in)));

		node = nn_activation(graph, normalized(graph, nn_convolution(graph, node, weights, &window), out), DEV_MAP_RELU);
		in = out;
	}
	return node;
}

static void
build(Trainer *trainer, const Network *network)
{
	NnGraph    *graph;
	NnShape		image = network->height > 0 ? nn_shape(3, network->height, network->width, network->channels, 0) :
		nn_shape(2, network->width, network->channels, 0, 0);
	size_t		last = network->widths[network->n_stages - 1];
	NnNode		node;

	require(trainer->session, nn_graph_create(trainer->session, &graph) == DEV_OK, "graph");
	trainer->graph = graph;
	trainer->input = nn_input(graph, "image", &image);
	trainer->target = nn_codes(graph, "class", 1);
	node = network->height > 0 ? residual_network(graph, network, trainer->input) :
		series_network(graph, network, trainer->input);
	node = nn_global_mean(graph, node, NN_NONE);
	node = nn_linear(graph, node, parameter(graph, nn_shape(2, last, CLASSES, 0, 0), NN_ROLE_HEAD, NN_INIT_NORMAL, 0.05f));
	node = nn_bias(graph, node, column(graph, CLASSES, NN_ROLE_VECTOR, NN_INIT_ZERO));
	trainer->loss = nn_cross_entropy(graph, node, trainer->target, NULL, 0);
	require(trainer->session, nn_graph_compile(graph) == DEV_OK, "network");
}

static void
make_data(Trainer *trainer, size_t size)
{
	trainer->images = dev_alloc(trainer->session, trainer->batch * size, sizeof(float));
	trainer->classes = dev_alloc(trainer->session, trainer->batch, sizeof(int32_t));
	require(trainer->session, trainer->images != NULL && trainer->classes != NULL, "data");
	for (size_t i = 0; i < trainer->batch; i++)
	{
		trainer->classes[i] = (int32_t) (i % CLASSES);
		for (size_t j = 0; j < size; j++)
			trainer->images[i * size + j] = (float) dev_random_normal(1, DEV_STREAM_SAMPLE, i * size + j);
	}
}

static void
prepare(Trainer *trainer, const Network *network)
{
	NnOptimizerSpec spec;

	build(trainer, network);
	make_data(trainer, nn_shape_size(nn_graph_shape(trainer->graph, trainer->input)));
	trainer->n_weights = nn_graph_weights(trainer->graph);
	trainer->weights = dev_alloc(trainer->session, trainer->n_weights, sizeof(float));
	require(trainer->session, trainer->weights != NULL, "weights");
	nn_graph_initialize(trainer->graph, 1, trainer->weights);
	nn_optimizer_defaults(NN_SGD, &spec);
	spec.rate = 0.05f;
	require(trainer->session, nn_optimizer_create(trainer->graph, trainer->device, &spec, 1, &trainer->optimizer) == DEV_OK,
			"optimizer");
	for (int i = 0; i < trainer->threads; i++)
	{
		Worker	   *worker = &trainer->workers[i];
		size_t		end = trainer->batch * (size_t) (i + 1) / (size_t) trainer->threads;

		worker->trainer = trainer;
		worker->number = i;
		worker->first = trainer->batch * (size_t) i / (size_t) trainer->threads;
		worker->rows = end - worker->first;
		worker->diff_weights = dev_alloc(trainer->session, trainer->n_weights, sizeof(float));
		require(trainer->session, worker->diff_weights != NULL &&
				nn_run_create(trainer->graph, trainer->device,
							  trainer->rows > 0 && trainer->rows < worker->rows ? trainer->rows : worker->rows, NN_RUN_TRAIN,
							  &worker->run) == DEV_OK, "run");
		nn_run_bind(worker->run, trainer->weights, worker->diff_weights);
	}
}

/* ---- Training ---- */

static void
pass(Worker *worker)
{
	const Trainer *trainer = worker->trainer;
	size_t		size = nn_shape_size(nn_graph_shape(trainer->graph, trainer->input));
	size_t		step = trainer->rows > 0 ? trainer->rows : worker->rows;

	memset(worker->diff_weights, 0, trainer->n_weights * sizeof(float));
	worker->loss = 0;
	for (size_t i = 0; i < worker->rows; i += step)
	{
		size_t		rows = worker->rows - i < step ? worker->rows - i : step;
		const float *losses;

		nn_run_set(worker->run, trainer->input, rows, trainer->images + (worker->first + i) * size);
		nn_run_set_codes(worker->run, trainer->target, rows, trainer->classes + worker->first + i);
		nn_run_forward(worker->run, trainer->loss, NN_TRAIN, 1, trainer->steps, worker->first + i);
		nn_run_backward(worker->run, trainer->loss, 1.0f / (float) trainer->batch, NULL);
		losses = nn_run_value(worker->run, trainer->loss);
		for (size_t r = 0; r < rows; r++)
			worker->loss += losses[r] / (double) trainer->batch;
	}
}

static void
step(Trainer *trainer)
{
	float	   *sum = trainer->workers[0].diff_weights;

	for (int i = 1; i < trainer->threads; i++)
		for (size_t j = 0; j < trainer->n_weights; j++)
			sum[j] += trainer->workers[i].diff_weights[j];
	nn_optimizer_begin(trainer->optimizer, 1, 1);
	nn_optimizer_apply(trainer->optimizer, nn_run_queue(trainer->workers[0].run), 0, sum, trainer->weights);
	trainer->steps++;
	trainer->stop = seconds(CLOCK_MONOTONIC) >= trainer->until;
}

static void *
work(void *argument)
{
	Worker	   *worker = argument;
	Trainer    *trainer = worker->trainer;
	double		start = seconds(CLOCK_THREAD_CPUTIME_ID);

	do
	{
		pass(worker);
		pthread_barrier_wait(&trainer->barrier);
		if (worker->number == 0)
			step(trainer);
		pthread_barrier_wait(&trainer->barrier);
	} while (!trainer->stop);
	worker->cpu = seconds(CLOCK_THREAD_CPUTIME_ID) - start;
	return NULL;
}

static void
train(Trainer *trainer, double duration)
{
	pthread_t	threads[MAX_THREADS];
	double		start = seconds(CLOCK_MONOTONIC);
	double		cpu = 0;
	double		loss = 0;
	struct rusage usage;

	trainer->until = start + duration;
	for (int i = 1; i < trainer->threads; i++)
		require(NULL, pthread_create(&threads[i], NULL, work, &trainer->workers[i]) == 0, "thread");
	work(&trainer->workers[0]);
	for (int i = 1; i < trainer->threads; i++)
		pthread_join(threads[i], NULL);
	start = seconds(CLOCK_MONOTONIC) - start;
	for (int i = 0; i < trainer->threads; i++)
	{
		cpu += trainer->workers[i].cpu;
		loss += trainer->workers[i].loss;
	}
	getrusage(RUSAGE_SELF, &usage);
	printf("%.1f %.1f %.0f %.4f\n", (double) (trainer->steps * trainer->batch) / start,
		   (double) (trainer->steps * trainer->batch) / cpu, (double) usage.ru_maxrss / 1024, loss);
}

int
main(int argc, char **argv)
{
	Trainer		trainer = {0};
	const Network *network = NULL;

	for (size_t i = 0; argc == 6 && i < sizeof(networks) / sizeof(networks[0]); i++)
		if (strcmp(argv[1], networks[i].name) == 0)
			network = &networks[i];
	if (network != NULL)
	{
		trainer.batch = strtoul(argv[2], NULL, 10);
		trainer.threads = atoi(argv[3]);
		trainer.rows = strtoul(argv[4], NULL, 10);
	}
	if (trainer.batch < 1 || trainer.threads < 1 || trainer.threads > MAX_THREADS || trainer.batch < (size_t) trainer.threads)
	{
		fprintf(stderr, "usage: speed_deep NETWORK BATCH THREADS ROWS SECONDS\n");
		for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++)
			fprintf(stderr, "  %s\n", networks[i].name);
		return EXIT_FAILURE;
	}
	require(NULL, dev_session_open(NULL, 1, &trainer.session) == DEV_OK &&
			dev_cpu_open(trainer.session, NULL, &trainer.device) == DEV_OK, "device");
	require(NULL, pthread_barrier_init(&trainer.barrier, NULL, (unsigned) trainer.threads) == 0, "barrier");
	prepare(&trainer, network);
	train(&trainer, atof(argv[5]));
	pthread_barrier_destroy(&trainer.barrier);
	dev_session_close(trainer.session);
	return EXIT_SUCCESS;
}

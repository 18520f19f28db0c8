/*
 * speed_engine.c: how much of the machine's arithmetic reaches training.
 *
 * For each network, batch size and number of threads: rows a second of learn_train on data in memory, and rows a second of
 * that network's matrix products alone (forward, weight and input gradients) in OpenBLAS, one BLAS thread in each of
 * as many threads, every one at a whole batch of its own. The ratio is what is left after everything else
 * that a training step must do. Rounds of both alternate, the best of each counts.
 *
 *     make -f engine.mk engine-bench
 */
#include "idla/learn_train.h"
#include "learn/parallel.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_LAYERS 8
#define MAX_THREADS 2
#define ROUNDS 3
#define SECONDS 0.4				/* of products a round */

typedef void (*Sgemm) (int order, int trans_a, int trans_b, int m, int n, int k, float alpha,
					   const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc);

typedef struct Shape
{
	const char *name;
	const char *layers;
	int			n_sizes;
	int			sizes[MAX_LAYERS];	/* inputs, hidden layers, outputs */
	size_t		rows;
} Shape;

static const Shape shapes[] = {
	{"30-128-64-1", "dense(128) relu dense(64) relu", 4, {30, 128, 64, 1}, 400000},
	{"64-256-256-1", "dense(256) relu dense(256) relu", 4, {64, 256, 256, 1}, 100000},
	{"100-512-256-128-1", "dense(512) relu dense(256) relu dense(128) relu", 5, {100, 512, 256, 128, 1}, 50000}
};

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double) time.tv_sec + 1e-9 * (double) time.tv_nsec;
}

static void
require(DevSession *session, DevStatus status, const char *what)
{
	if (status == DEV_OK)
		return;
	fprintf(stderr, "speed_engine: %s: %s\n", what, dev_message_text(session));
	exit(EXIT_FAILURE);
}

/* ---- Products alone ---- */

typedef struct Products
{
	Sgemm		sgemm;
	const Shape *shape;
	int			batch;
	float	   *values[MAX_THREADS];	/* activations, gradients and weights of one thread */
	double		rows[MAX_THREADS];
	double		until;
} Products;

enum
{
	ROW_MAJOR = 101,
	PLAIN = 111,
	TRANSPOSED = 112
};

static size_t
most_values(const Shape *shape, int batch)
{
	size_t		widest = 0;

	for (int i = 0; i < shape->n_sizes; i++)
		widest = (size_t) shape->sizes[i] > widest ? (size_t) shape->sizes[i] : widest;
	return (size_t) batch * widest > widest * widest ? (size_t) batch * widest : widest * widest;
}

/* All products of one step, each into memory of its own size as a step has it. */
static void
multiply_step(const Products *products, float *values)
{
	const Shape *shape = products->shape;
	size_t		most = most_values(shape, products->batch);
	float	   *a = values;
	float	   *b = values + most;
	float	   *c = values + 2 * most;
	int			batch = products->batch;

	for (int i = 0; i + 1 < shape->n_sizes; i++)
	{
		int			n_in = shape->sizes[i];
		int			n_out = shape->sizes[i + 1];

		products->sgemm(ROW_MAJOR, PLAIN, PLAIN, batch, n_out, n_in, 1, a, n_in, b, n_out, 0, c, n_out);
	}
	for (int i = shape->n_sizes - 2; i >= 0; i--)
	{
		int			n_in = shape->sizes[i];
		int			n_out = shape->sizes[i + 1];

		products->sgemm(ROW_MAJOR, TRANSPOSED, PLAIN, n_in, n_out, batch, 1, a, n_in, b, n_out, 0, c, n_out);
		if (i > 0)
			products->sgemm(ROW_MAJOR, PLAIN, TRANSPOSED, batch, n_in, n_out, 1, a, n_out, b, n_out, 0, c, n_in);
	}
}

static void
multiply_job(void *context, int worker)
{
	Products   *products = context;

	products->rows[worker] = 0;
	do
	{
		for (int i = 0; i < 10; i++)
			multiply_step(products, products->values[worker]);
		products->rows[worker] += 10.0 * products->batch;
	} while (now() < products->until);
}

static double
products_rate(DevSession *session, Sgemm sgemm, const Shape *shape, int batch, int threads)
{
	Products	products = {.sgemm = sgemm, .shape = shape, .batch = batch};
	size_t		n = 3 * most_values(shape, batch);
	LearnTeam  *team;
	double		rows = 0;
	double		start;

	for (int i = 0; i < threads; i++)
	{
		products.values[i] = dev_alloc(session, n, sizeof(float));
		if (products.values[i] == NULL)
			require(session, DEV_NO_MEMORY, "products");
		for (size_t j = 0; j < n; j++)
			products.values[i][j] = (float) (j % 17) / 17 - 0.5f;
	}
	require(session, learn_team_create(session, threads, &team), "threads");
	start = now();
	products.until = start + SECONDS;
	learn_team_run(team, multiply_job, &products);
	start = now() - start;
	learn_team_free(team);
	for (int i = 0; i < threads; i++)
	{
		rows += products.rows[i];
		dev_release(session, products.values[i]);
	}
	return rows / start;
}

/* ---- Training ---- */

typedef struct Bench
{
	DevSession *session;
	LearnDataset *dataset;
	LearnModel	model;
	LearnSplit	split;
	LearnNotes	notes;
} Bench;

static void
make_data(const Shape *shape, Bench *bench)
{
	int			n_inputs = shape->sizes[0];
	LearnFit	fit = {.task = LEARN_BINARY, .max_categories = 100, .min_count = 1};
	LearnChannel *channels = dev_alloc(bench->session, (size_t) n_inputs, sizeof(LearnChannel));
	float	   *raw = malloc((size_t) n_inputs * sizeof(float));
	float		target;
	LearnRow	row = {.channels = raw, .targets = &target, .part = LEARN_UNASSIGNED};
	uint32_t	state = 1;

	if (channels == NULL || raw == NULL)
		require(bench->session, DEV_NO_MEMORY, "data");
	for (int i = 0; i < n_inputs; i++)
		channels[i] = (LearnChannel) {.name = "x", .column = i, .number_input = NN_NONE, .indicator_input = NN_NONE,
		.code_input = NN_NONE};
	require(bench->session, learn_dataset_create(bench->session, channels, n_inputs, 1, (size_t) 1 << 30, NULL,
												 &bench->dataset), "data set");
	for (size_t i = 0; i < shape->rows; i++)
	{
		for (int j = 0; j < n_inputs; j++)
		{
			state = state * 1664525u + 1013904223u;
			raw[j] = (float) (state >> 8) / 8388608.0f - 1;
		}
		target = raw[0] + raw[1] * raw[2] > 0 ? 1 : 0;
		require(bench->session, learn_dataset_append(bench->dataset, &row), "row");
	}
	free(raw);
	bench->split = (LearnSplit) {.task = LEARN_BINARY, .seed = 1};
	bench->model = (LearnModel) {.task = LEARN_BINARY, .n_columns = n_inputs, .n_channels = n_inputs,
	.channels = channels, .n_classes = 2, .positive = 1, .n_targets = 1, .temperature = 1};
	require(bench->session, learn_split(bench->dataset, &bench->split, &bench->notes), "split");
	require(bench->session, learn_fit(bench->dataset, &fit, &bench->notes, &bench->model.n_numbers,
									  &bench->model.n_codes), "fit");
	require(bench->session, learn_dataset_encode(bench->dataset), "encode");
}

static double
training_rate(Bench *bench, const Shape *shape, int batch, int threads)
{
	LearnTraining training = {.epochs = 2, .batch = batch, .patience = -1, .optimizer = NN_ADAMW, .rate = 1e-3, .decay = 0,
	.momentum = -1, .schedule = NN_CONSTANT, .warm_up = 0, .clip = 0, .average = 0, .folds = 1, .bags = 1, .linear = 0,
	.seed = 1, .threads = threads};
	LearnNetwork network = {.architecture = LEARN_LAYERS, .layers = (char *) (size_t) shape->layers, .dropout = -1, .activation = -1};
	LearnOutcome outcome;

	require(bench->session, learn_train(bench->session, bench->dataset, &bench->model, &network, &training, &bench->split,
										NULL, NULL, &bench->notes, &outcome), "training");
	return (double) outcome.rows / outcome.seconds;
}

static double
larger(double a, double b)
{
	return a > b ? a : b;
}

static void
compare(Sgemm sgemm, const Shape *shape)
{
	static const int batches[] = {256, 1024};
	Bench		bench = {0};

	require(NULL, dev_session_open(NULL, 1, &bench.session), "session");
	make_data(shape, &bench);
	for (int threads = 1; threads <= MAX_THREADS; threads++)
	{
		for (int i = 0; i < 2; i++)
		{
			double		alone = 0;
			double		trained = 0;

			for (int round = 0; round < ROUNDS; round++)
			{
				alone = larger(alone, products_rate(bench.session, sgemm, shape, batches[i], threads));
				trained = larger(trained, training_rate(&bench, shape, batches[i], threads));
			}
			printf("%-18s threads %d  batch %4d  training %9.0f rows/s  products alone %9.0f rows/s  ratio %.2f\n",
				   shape->name, threads, batches[i], trained, alone, trained / alone);
			fflush(stdout);
		}
	}
	dev_session_close(bench.session);
}

int
main(void)
{
	DevSession *session;
	DevDevice  *device;
	void	   *library;
	Sgemm		sgemm;

	/* The device opens OpenBLAS with one thread; this finds the same library. */
	require(NULL, dev_session_open(NULL, 1, &session), "session");
	require(session, dev_cpu_open(session, "libopenblas.so.0", &device), "device");
	printf("device: %s\n", dev_cpu_description(device));
	library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_NOLOAD);
	if (library == NULL)
	{
		fprintf(stderr, "speed_engine: OpenBLAS was not found\n");
		return EXIT_FAILURE;
	}
	*(void **) (&sgemm) = dlsym(library, "cblas_sgemm");
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		compare(sgemm, &shapes[i]);
	dlclose(library);
	dev_session_close(session);
	return EXIT_SUCCESS;
}

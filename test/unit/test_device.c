/*
 * test_device.c: the CPU device: opening it, moving, products, and several queues at once.
 *
 * Elementwise functions and sums are in test_kernels.c. Products are compared with sums
 * in double precision, inference products bit by bit with a chain of fused multiply-adds.
 */
#include "check.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>

#include "idla/device.h"
#include "device/kernels.h"

static DevSession *session;

static DevDevice *
open_device(const char *library)
{
	DevDevice  *device;

	CHECK_OR_STOP(dev_cpu_open(session, library, &device) == DEV_OK, "the device opens (%s)",
				  library == NULL ? "usual library" : library);
	return device;
}

static DevQueue *
open_queue(DevDevice *device)
{
	DevQueue   *queue;

	CHECK_OR_STOP(dev_queue_create(device, &queue) == DEV_OK, "a queue is made");
	return queue;
}

/* Numbers in (-1, 1), the same for the same stream. */
static float *
draw(size_t n, uint64_t stream)
{
	float	   *values = dev_alloc(session, n + 1, sizeof(float));

	CHECK_OR_STOP(values != NULL, "memory for %zu numbers", n);
	for (size_t i = 0; i < n; i++)
		values[i] = (float) (2 * dev_random_uniform(11, stream, i) - 1);
	return values;
}

/* ---- Opening ---- */

static int
count_threads(void)
{
	DIR		   *dir = opendir("/proc/self/task");
	int			n = 0;

	if (dir == NULL)
		return -1;
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

static void
check_opening(void)
{
	int			before = count_threads();
	sigset_t	mask_before;
	sigset_t	mask_after;
	bool		same_mask = true;
	DevDevice  *device;

	setenv("OPENBLAS_NUM_THREADS", "7", 1);
	unsetenv("OMP_NUM_THREADS");
	pthread_sigmask(SIG_SETMASK, NULL, &mask_before);
	device = open_device(NULL);
	pthread_sigmask(SIG_SETMASK, NULL, &mask_after);
	CHECK(count_threads() == before, "opening starts no thread");
	for (int signal = 1; signal < 32; signal++)
		same_mask = same_mask && sigismember(&mask_before, signal) == sigismember(&mask_after, signal);
	CHECK(same_mask, "signals are unblocked again");
	CHECK(strcmp(getenv("OPENBLAS_NUM_THREADS"), "7") == 0 && getenv("OMP_NUM_THREADS") == NULL,
		  "the environment is as it was");
	CHECK(strstr(dev_cpu_description(device), dev_kernels(0)->name) == dev_cpu_description(device),
		  "the device says what it is: %s", dev_cpu_description(device));

	device = open_device("");
	CHECK(strstr(dev_cpu_description(device), "own products") != NULL, "no library, own products");
	device = open_device("libthere_is_no_such_library.so.0");
	CHECK(strstr(dev_cpu_description(device), "own products") != NULL, "a missing library is no failure");
	device = open_device("libm.so.6");
	CHECK(strstr(dev_cpu_description(device), "own products") != NULL, "nor is one without sgemm");
	CHECK(dev_cpu_count() >= 1, "there is a processor");
	CHECK(dev_kernels(-1) == NULL && dev_kernels(99) == NULL, "variants are numbered from zero");
}

static void
check_opening_without_memory(void)
{
	size_t		n = 1;
	DevStatus	status;
	bool		good = true;

	do
	{
		CheckHost	counts;
		DevHost		host = check_host(&counts, n++);
		DevSession *small;
		DevDevice  *device;
		DevQueue   *queue;

		status = dev_session_open(&host, 0, &small);
		if (status == DEV_OK)
			status = dev_cpu_open(small, "", &device);
		if (status == DEV_OK)
			status = dev_queue_create(device, &queue);
		dev_session_close(small);
		good = good && counts.held == 0 && (status == DEV_OK || status == DEV_NO_MEMORY);
	} while (status != DEV_OK && n < 20);
	CHECK(good && status == DEV_OK && n == 5, "opening survives the failure of each allocation");
}

/* ---- Moving ---- */

static void
check_moving(DevQueue *queue)
{
	const DevPrimitives *p = queue->primitives;
	static const int32_t index[] = {2, -1, 0, 3, 2, INT32_MIN, INT32_MAX};
	float		table[3][2] = {{1, 2}, {3, 4}, {5, 6}};
	float		rows[7][3];
	float		expected[7][2] = {{5, 6}, {0, 0}, {1, 2}, {0, 0}, {5, 6}, {0, 0}, {0, 0}};
	float	   *block = p->alloc(queue->device, 100 * sizeof(float));
	float		back[100];
	bool		good = true;

	CHECK_OR_STOP(block != NULL, "device memory");
	for (size_t i = 0; i < 100; i++)
		good = good && block[i] == 0.0f;
	CHECK(good, "device memory is zeroed");
	p->fill(queue, 100, 2.5f, block);
	p->download(queue, back, block, sizeof(back));
	CHECK(back[0] == 2.5f && back[99] == 2.5f, "fill and download");
	p->upload(queue, block, &back[1], 0);
	CHECK_STATUS(session, p->synchronize(queue), DEV_OK, "nothing failed");
	p->release(queue->device, block);

	p->fill(queue, 21, 7.0f, &rows[0][0]);
	p->gather(queue, 7, 2, &table[0][0], 3, index, &rows[0][0], 3, false);
	for (size_t i = 0; i < 7; i++)
		good = good && rows[i][0] == expected[i][0] && rows[i][1] == expected[i][1] && rows[i][2] == 7.0f;
	CHECK(good, "gather: known rows, zeros for codes outside");
	p->gather(queue, 7, 2, &table[0][0], 3, index, &rows[0][0], 3, true);
	CHECK(rows[0][0] == 10 && rows[1][0] == 0 && rows[4][1] == 12, "gather adds");
	p->scatter_add(queue, 7, 2, &rows[0][0], 3, index, &table[0][0], 3);
	CHECK(table[0][0] == 3 && table[1][0] == 3 && table[2][0] == 25 && table[2][1] == 30,
		  "scatter_add: repeated rows add up, codes outside are left out");
	p->copy(queue, 2, 2, &table[0][0], 2, &rows[0][0], 3, false);
	p->copy(queue, 2, 2, &table[1][0], 2, &rows[0][0], 3, true);
	CHECK(rows[0][0] == 6 && rows[0][2] == 7 && rows[1][1] == 34, "copy with strides, plain and adding");
}

/* ---- Products ---- */

typedef struct Product
{
	bool		transpose_a;
	bool		transpose_b;
	size_t		m;
	size_t		n;
	size_t		k;
	float		alpha;
	float		beta;
} Product;

/* Worst error of gemm against double precision, over what rounding k terms allows; strides are wider than the matrices. */
static double
gemm_error(DevQueue *queue, const Product *g, const float *a, const float *b, const float *c, float *result)
{
	size_t		lda = (g->transpose_a ? g->m : g->k) + 3;
	size_t		ldb = (g->transpose_b ? g->k : g->n) + 1;
	size_t		ldc = g->n + 2;
	double		worst = 0;

	memcpy(result, c, (g->m * ldc + 1) * sizeof(float));
	queue->primitives->gemm(queue, g->transpose_a, g->transpose_b, g->m, g->n, g->k, g->alpha, a, lda, b, ldb,
							g->beta, result, ldc);
	for (size_t i = 0; i < g->m; i++)
		for (size_t j = 0; j < ldc; j++)
		{
			double		sum = 0;
			double		size = 1e-30;
			double		expected;

			for (size_t p = 0; j < g->n && p < g->k; p++)
			{
				double		term = (double) a[g->transpose_a ? p * lda + i : i * lda + p] *
					b[g->transpose_b ? j * ldb + p : p * ldb + j];

				sum += term;
				size += fabs(term);
			}
			expected = g->alpha * sum + g->beta * (double) c[i * ldc + j];
			size = fabs(g->alpha) * size + fabs(g->beta * (double) c[i * ldc + j]) + 1e-6;
			if (j >= g->n)
			{
				expected = c[i * ldc + j];
				size = 0x1p-100;
			}
			/* a NaN must not pass */
			if (!(fabs(result[i * ldc + j] - expected) / size <= worst))
				worst = fabs(result[i * ldc + j] - expected) / size;
		}
	return worst;
}

static void
check_gemm(DevQueue *queue, const char *name)
{
	static const size_t sizes[] = {1, 2, 3, 5, 7, 8, 13, 16, 17, 31, 33, 64, 70};
	const size_t n_sizes = sizeof(sizes) / sizeof(sizes[0]);
	float	   *a = draw(300 * 300, 1);
	float	   *b = draw(300 * 300, 2);
	float	   *c = draw(300 * 300, 3);
	float	   *result = draw(300 * 300, 4);
	double		worst = 0;
	size_t		n = 0;

	for (size_t i = 0; i < 500; i++)
	{
		static const float factors[] = {1, 1, 0.5f, -2};
		Product		g = {i & 1, i & 2, sizes[i * 5 % n_sizes], sizes[i * 7 / 4 % n_sizes], sizes[i * 3 / 2 % n_sizes],
			factors[i / 4 % 4], (float[]) {0, 1, 0.5f}[i / 16 % 3]};
		double		error;

		if (i % 50 == 49)
			g.m = g.k = 257;	/* past one strip and one block of rows */
		if (i % 25 == 12)
			g = (Product) {i & 1, i & 2, 41, 530, 40, 1.0f, g.beta};	/* past one slab of columns */
		if (i % 50 == 24)
			g.k = 0;
		error = gemm_error(queue, &g, a, b, c, result);
		if (!(error <= worst))
			worst = error;
		n++;
	}
	CHECK(worst < 2e-6, "%s: gemm agrees with double precision (%zu products, error %g)", name, n, worst);

	/* Batches: C_i = A_i B_i with shared and with separate matrices. */
	queue->primitives->gemm_batch(queue, 3, false, false, 4, 5, 6, 1.0f, a, 6, 24, b, 5, 0, 0.0f, result, 5, 20);
	for (size_t i = 0; i < 3; i++)
	{
		float		one[20];

		queue->primitives->gemm(queue, false, false, 4, 5, 6, 1.0f, a + i * 24, 6, b, 5, 0.0f, one, 5);
		CHECK(memcmp(one, result + i * 20, sizeof(one)) == 0, "%s: product %zu of a batch", name, i);
	}

	/* beta 0 overwrites, whatever was there. */
	for (size_t i = 0; i < 100; i++)
		result[i] = NAN;
	queue->primitives->gemm(queue, false, false, 10, 10, 4, 1.0f, a, 4, b, 10, 0.0f, result, 10);
	CHECK(result[0] == result[0] && result[99] == result[99], "%s: beta 0 does not read C", name);
	dev_release(session, a);
	dev_release(session, b);
	dev_release(session, c);
	dev_release(session, result);
}

/* Every element is the chain fma(a[k-1], b[k-1], ... fma(a[0], b[0], 0)), then its bias and relu, whatever m, n and the instruction set. */
static void
check_product(DevQueue *queue, const char *name)
{
	static const size_t widths[] = {1, 7, 8, 15, 16, 31, 33, 64, 130};
	static const size_t depths[] = {1, 30, 128, 300, 600};
	float	   *a = draw(37 * 700, 5);
	float	   *b = draw(700 * 140, 6);
	float	   *bias = draw(140, 7);
	float	   *c = draw(37 * 140, 8);
	float	   *chain = draw(37 * 140, 9);
	bool		good = true;
	bool		untouched = true;

	for (size_t w = 0; w < sizeof(widths) / sizeof(widths[0]); w++)
		for (size_t d = 0; d < sizeof(depths) / sizeof(depths[0]); d++)
		{
			size_t		n = widths[w];
			size_t		k = depths[d];
			const float *added = (w + d) % 2 == 0 ? bias : NULL;
			bool		relu = (w + d) % 3 == 0;

			for (size_t i = 0; i < 37; i++)
				for (size_t j = 0; j < n; j++)
				{
					float		sum = 0.0f;

					for (size_t p = 0; p < k; p++)
						sum = fmaf(a[i * (k + 1) + p], b[p * n + j], sum);
					sum += added == NULL ? 0.0f : added[j];
					chain[i * n + j] = relu && sum < 0.0f ? 0.0f : sum;
				}
			for (size_t m = 1; m <= 37; m += k > 200 ? 5 : 1)
			{
				for (size_t i = 0; i <= 37 * (n + 1); i++)
					c[i] = -77.0f;
				queue->primitives->product(queue, m, n, k, a, k + 1, b, n, added, relu, c, n + 1);
				for (size_t i = 0; i < m; i++)
				{
					good = good && memcmp(c + i * (n + 1), chain + i * n, n * sizeof(float)) == 0;
					untouched = untouched && c[i * (n + 1) + n] == -77.0f;
				}
			}
		}
	CHECK(good, "%s: product has the bits of one chain for 1 to 37 rows", name);
	CHECK(untouched, "%s: product writes no column but its own", name);
	queue->primitives->product(queue, 2, 3, 0, a, 1, b, 3, bias, false, c, 3);
	CHECK(memcmp(c, bias, 3 * sizeof(float)) == 0 && memcmp(c + 3, bias, 3 * sizeof(float)) == 0,
		  "%s: an empty product is its bias", name);
	bias[0] = -1.0f;
	queue->primitives->product(queue, 2, 3, 0, a, 1, b, 3, bias, true, c, 3);
	CHECK(c[0] == 0.0f && c[3] == 0.0f, "%s: and its relu", name);
	a[0] = NAN;
	for (size_t n = 1; n <= 40; n += 39)
		for (size_t m = 1; m <= 33; m += 16)
		{
			queue->primitives->product(queue, m, n, 30, a, 30, b, n, bias, true, c, n);
			for (size_t j = 0; j < n; j++)
				CHECK(isnan(c[j]) && (m == 1 || isfinite(c[n + j])), "%s: a relu leaves what is no number (%zu rows, column %zu)", name, m, j);
		}
	dev_release(session, a);
	dev_release(session, b);
	dev_release(session, bias);
	dev_release(session, c);
	dev_release(session, chain);
}

static const Kernels *
last_kernels(void)
{
	int			i = 0;

	while (dev_kernels(i + 1) != NULL)
		i++;
	return dev_kernels(i);
}

/* OpenBLAS takes the products that are large enough: the same sums within rounding. */
static void
check_large_products(DevDevice *with, DevDevice *without)
{
	const size_t n = 400;
	float	   *a = draw(n * n, 20);
	float	   *b = draw(n * n, 21);
	float	   *c = draw(n * n, 22);
	float	   *d = draw(n * n, 23);
	DevQueue   *first = open_queue(with);
	DevQueue   *second = open_queue(without);
	double		worst = 0;

	for (int kind = 0; kind < 4; kind++)
	{
		first->primitives->gemm(first, kind & 1, kind & 2, n, n, n, 1.0f, a, n, b, n, 0.0f, c, n);
		second->primitives->gemm(second, kind & 1, kind & 2, n, n, n, 1.0f, a, n, b, n, 0.0f, d, n);
		for (size_t i = 0; i < n * n; i++)
			if (!(fabs((double) c[i] - d[i]) <= worst))
				worst = fabs((double) c[i] - d[i]);
	}
	CHECK(worst < 2e-4, "large products: %s and %s agree (%g)", dev_cpu_description(with), dev_cpu_description(without), worst);
	dev_release(session, a);
	dev_release(session, b);
	dev_release(session, c);
	dev_release(session, d);
}

static void
check_stopping(DevDevice *device)
{
	DevQueue   *queue = open_queue(device);
	volatile bool stop = true;
	float		a[4] = {1, 2, 3, 4};
	float		c[4] = {0, 0, 0, 0};

	dev_queue_stop_on(queue, &stop);
	CHECK(dev_queue_stopped(queue), "the queue sees that it shall stop");
	queue->primitives->gemm(queue, false, false, 2, 2, 2, 1.0f, a, 2, a, 2, 0.0f, c, 2);
	queue->primitives->product(queue, 2, 2, 2, a, 2, a, 2, NULL, false, c, 2);
	CHECK(c[0] == 0.0f && c[3] == 0.0f, "a stopped queue does no product");
	stop = false;
	queue->primitives->gemm(queue, false, false, 2, 2, 2, 1.0f, a, 2, a, 2, 0.0f, c, 2);
	CHECK(c[0] == 7.0f && c[3] == 22.0f, "and goes on when it may");
}

/* ---- Several threads ---- */

typedef struct Worker
{
	pthread_t	thread;
	DevQueue   *queue;
	const float *a;
	float	   *c;
	size_t		n;
} Worker;

static void *
multiply_often(void *argument)
{
	Worker	   *w = argument;

	for (int i = 0; i < 3; i++)
	{
		w->queue->primitives->gemm(w->queue, false, false, w->n, w->n, w->n, 1.0f, w->a, w->n, w->a, w->n, 0.0f, w->c, w->n);
		w->queue->primitives->map(w->queue, DEV_MAP_TANH, w->n * w->n, w->c, 1.0f, w->c);
	}
	return NULL;
}

static void
check_threads(DevDevice *device)
{
	const size_t n = 390;
	float	   *a = draw(n * n, 30);
	Worker		workers[4];
	bool		same = true;
	int			started = 0;

	for (int i = 0; i < 4; i++)
		workers[i] = (Worker) {0, open_queue(device), a, draw(n * n, 31), n};
	for (; started < 4; started++)
		if (pthread_create(&workers[started].thread, NULL, multiply_often, &workers[started]) != 0)
			break;
	for (int i = 0; i < started; i++)
		pthread_join(workers[i].thread, NULL);
	CHECK(started == 4, "four threads start");
	for (int i = 1; i < started; i++)
		same = same && memcmp(workers[0].c, workers[i].c, n * n * sizeof(float)) == 0;
	CHECK(same, "four queues at once compute the same");
	dev_release(session, a);
	for (int i = 0; i < 4; i++)
		dev_release(session, workers[i].c);
}

int
main(void)
{
	DevDevice  *blas;
	DevDevice  *own;

	CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
	check_opening();
	check_opening_without_memory();
	/* The portable kernels leave all products to it. */
	blas = open_device("libopenblas.so.0");
	dev_cpu_use_kernels(blas, last_kernels());
	own = open_device("");
	check_moving(open_queue(own));
	check_gemm(open_queue(blas), dev_cpu_description(blas));
	for (int i = 0; dev_kernels(i) != NULL; i++)
	{
		DevQueue   *queue = open_queue(own);

		dev_cpu_use_kernels(own, dev_kernels(i));
		check_gemm(queue, dev_kernels(i)->name);
		check_product(queue, dev_kernels(i)->name);
	}
	dev_cpu_use_kernels(own, dev_kernels(0));
	check_large_products(blas, own);
	dev_cpu_use_kernels(blas, dev_kernels(0));
	check_stopping(blas);
	check_threads(blas);
	dev_session_close(session);
	return check_done();
}

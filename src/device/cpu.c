/*
 * cpu.c: the CPU as a device.
 *
 * Fills the table of primitives from the kernels of the best instruction set that
 * the processor has, and hands large products of training to OpenBLAS where that is faster and found. OpenBLAS is opened at
 * run time, with all signals blocked and one thread, so that whoever links or preloads
 * this code starts nothing; several queues may multiply at once, each on its caller's thread.
 */
#include "idla/device.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu_special.h"

/* CBLAS's own numbers. */
#define CBLAS_ROW_MAJOR 101
#define CBLAS_PLAIN 111
#define CBLAS_TRANSPOSED 112

typedef void (*Sgemm) (int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
					   const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc);

typedef struct CpuDevice
{
	DevDevice	base;
	const Kernels *kernels;
	Sgemm		sgemm;			/* NULL: the kernels do all products */
	char		description[96];
} CpuDevice;

typedef struct CpuQueue
{
	DevQueue	base;
	float		pack[KERNEL_PACK_SIZE];
} CpuQueue;

static inline const CpuDevice *
device_of(const DevQueue *queue)
{
	return (const CpuDevice *) queue->device;
}

static inline const Kernels *
kernels_of(const DevQueue *queue)
{
	return device_of(queue)->kernels;
}

const Kernels *
dev_cpu_kernels(const DevQueue *queue)
{
	return kernels_of(queue);
}

float *
dev_cpu_pack(DevQueue *queue)
{
	return ((CpuQueue *) queue)->pack;
}

/* ---- Memory ---- */

static void *
cpu_alloc(DevDevice *device, size_t bytes)
{
	return dev_alloc(device->session, bytes, 1);
}

static void
cpu_release(DevDevice *device, void *block)
{
	dev_release(device->session, block);
}

static void
cpu_move(DevQueue *queue, void *dst, const void *src, size_t bytes)
{
	(void) queue;
	if (bytes > 0)
		memcpy(dst, src, bytes);
}

static DevStatus
cpu_synchronize(DevQueue *queue)
{
	(void) queue;
	return DEV_OK;
}

/* ---- Filling and moving ---- */

static void
cpu_fill(DevQueue *queue, size_t n, float value, float *dst)
{
	(void) queue;
	for (size_t i = 0; i < n; i++)
		dst[i] = value;
}

static void
cpu_copy(DevQueue *queue, size_t rows, size_t cols, const float *src, size_t ld_src,
		 float *dst, size_t ld_dst, bool accumulate)
{
	kernels_of(queue)->copy(rows, cols, src, ld_src, dst, ld_dst, accumulate);
}

static void
cpu_gather(DevQueue *queue, size_t n, size_t width, const float *table, size_t n_table,
		   const int32_t *index, float *dst, size_t ld_dst, bool accumulate)
{
	(void) queue;
	for (size_t i = 0; i < n; i++)
	{
		float	   *to = dst + i * ld_dst;

		if (index[i] >= 0 && (size_t) index[i] < n_table)
		{
			const float *from = table + (size_t) index[i] * width;

			for (size_t j = 0; j < width; j++)
				to[j] = accumulate ? to[j] + from[j] : from[j];
		}
		else if (!accumulate)
			memset(to, 0, width * sizeof(float));
	}
}

static void
cpu_scatter_add(DevQueue *queue, size_t n, size_t width, const float *src, size_t ld_src,
				const int32_t *index, float *table, size_t n_table)
{
	(void) queue;
	for (size_t i = 0; i < n; i++)
	{
		const float *from = src + i * ld_src;
		float	   *to;

		if (index[i] < 0 || (size_t) index[i] >= n_table)
			continue;
		to = table + (size_t) index[i] * width;
		for (size_t j = 0; j < width; j++)
			to[j] += from[j];
	}
}

/* ---- Products ---- */

static void
cpu_gemm(DevQueue *queue, bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k,
		 float alpha, const float *a, size_t lda, const float *b, size_t ldb,
		 float beta, float *c, size_t ldc)
{
	const CpuDevice *device = device_of(queue);
	size_t		rows = part_rows(m, n, k);
	size_t		step_a = transpose_a ? 1 : lda;
	size_t		small = device->kernels->small;
	bool		blas = device->sgemm != NULL && k > 0 && n > 1 && m >= small && n >= small && k >= small &&
		rows <= INT_MAX && n <= INT_MAX && k <= INT_MAX && lda <= INT_MAX && ldb <= INT_MAX && ldc <= INT_MAX;

	for (size_t i = 0; i < m && !dev_queue_stopped(queue); i += rows)
	{
		size_t		part = m - i < rows ? m - i : rows;
		const float *a_part = a + i * step_a;

		if (blas)
			device->sgemm(CBLAS_ROW_MAJOR, transpose_a ? CBLAS_TRANSPOSED : CBLAS_PLAIN,
						  transpose_b ? CBLAS_TRANSPOSED : CBLAS_PLAIN, (int) part, (int) n, (int) k, alpha,
						  a_part, (int) lda, b, (int) ldb, beta, c + i * ldc, (int) ldc);
		else
			device->kernels->multiply(false, part, n, k, alpha, a_part, step_a, transpose_a ? lda : 1,
									  b, transpose_b ? 1 : ldb, transpose_b ? ldb : 1,
									  beta, NULL, false, c + i * ldc, ldc, ((CpuQueue *) queue)->pack);
	}
}

static void
cpu_gemm_batch(DevQueue *queue, size_t count, bool transpose_a, bool transpose_b,
			   size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda, size_t stride_a,
			   const float *b, size_t ldb, size_t stride_b, float beta, float *c, size_t ldc, size_t stride_c)
{
	for (size_t i = 0; i < count; i++)
		cpu_gemm(queue, transpose_a, transpose_b, m, n, k, alpha, a + i * stride_a, lda,
				 b + i * stride_b, ldb, beta, c + i * stride_c, ldc);
}

static void
cpu_product(DevQueue *queue, size_t m, size_t n, size_t k, const float *a, size_t lda,
			const float *b, size_t ldb, const float *bias, bool relu, float *c, size_t ldc)
{
	size_t		rows = part_rows(m, n, k);

	for (size_t i = 0; i < m && !dev_queue_stopped(queue); i += rows)
		kernels_of(queue)->multiply(true, m - i < rows ? m - i : rows, n, k, 1.0f, a + i * lda, lda, 1,
									b, ldb, 1, 0.0f, bias, relu, c + i * ldc, ldc, ((CpuQueue *) queue)->pack);
}

/* ---- Elementwise work and sums ---- */

static void
cpu_map(DevQueue *queue, DevMap function, size_t n, const float *x, float parameter, float *y)
{
	kernels_of(queue)->map(function, n, x, parameter, y);
}

static void
cpu_map_grad(DevQueue *queue, DevMap function, size_t n, const float *x, const float *y, float parameter,
			 const float *diff_y, float *diff_x, bool accumulate)
{
	kernels_of(queue)->map_grad(function, n, x, y, parameter, diff_y, diff_x, accumulate);
}

static void
cpu_zip(DevQueue *queue, DevZip function, DevSpread spread, size_t rows, size_t cols, const float *a, size_t lda,
		const float *b, size_t ldb, float *dst, size_t ld_dst, bool accumulate)
{
	kernels_of(queue)->zip(function, spread, rows, cols, a, lda, b, ldb, dst, ld_dst, accumulate);
}

static void
cpu_reduce_rows(DevQueue *queue, size_t rows, size_t cols, const float *a, size_t lda,
				const float *b, size_t ldb, float *dst, bool accumulate)
{
	kernels_of(queue)->reduce_rows(rows, cols, a, lda, b, ldb, dst, accumulate);
}

static void
cpu_reduce_cols(DevQueue *queue, size_t rows, size_t cols, const float *a, size_t lda,
				const float *b, size_t ldb, float *dst, bool accumulate)
{
	kernels_of(queue)->reduce_cols(rows, cols, a, lda, b, ldb, dst, accumulate);
}

static void
cpu_softmax(DevQueue *queue, size_t rows, size_t cols, const float *x, size_t ldx, float *y, size_t ldy, float *log_sum)
{
	kernels_of(queue)->softmax(rows, cols, x, ldx, y, ldy, log_sum);
}

static void
cpu_random_mask(DevQueue *queue, size_t n, float rate, uint64_t seed, uint64_t stream, uint64_t first, float *dst)
{
	kernels_of(queue)->random_mask(n, rate, seed, stream, first, dst);
}

static void
cpu_adam(DevQueue *queue, size_t n, const DevAdam *how, const float *diff_weights, float *weights,
		 float *mean, float *variance)
{
	kernels_of(queue)->adam(n, how, diff_weights, weights, mean, variance);
}

static void
cpu_layer_norm(DevQueue *queue, size_t rows, size_t cols, const float *x, const float *gain, const float *bias,
			   float epsilon, float *y, float *statistics)
{
	kernels_of(queue)->layer_norm(rows, cols, x, gain, bias, epsilon, y, statistics);
}

static void
cpu_layer_norm_grad(DevQueue *queue, size_t rows, size_t cols, const float *x, const float *gain, const float *statistics,
					const float *diff_y, float *diff_x, bool accumulate, float *diff_gain, float *diff_bias)
{
	kernels_of(queue)->layer_norm_grad(rows, cols, x, gain, statistics, diff_y, diff_x, accumulate, diff_gain, diff_bias);
}

static const DevPrimitives cpu_primitives = {
	.name = "cpu",
	.host = true,
	.alloc = cpu_alloc,
	.release = cpu_release,
	.upload = cpu_move,
	.download = cpu_move,
	.synchronize = cpu_synchronize,
	.fill = cpu_fill,
	.copy = cpu_copy,
	.gather = cpu_gather,
	.scatter_add = cpu_scatter_add,
	.gemm = cpu_gemm,
	.gemm_batch = cpu_gemm_batch,
	.product = cpu_product,
	.map = cpu_map,
	.map_grad = cpu_map_grad,
	.zip = cpu_zip,
	.reduce_rows = cpu_reduce_rows,
	.reduce_cols = cpu_reduce_cols,
	.softmax = cpu_softmax,
	.random_mask = cpu_random_mask,
	.adam = cpu_adam,
	.one_hot = dev_cpu_one_hot,
	.piecewise_linear = dev_cpu_piecewise_linear,
	.piecewise_linear_grad = dev_cpu_piecewise_linear_grad,
	.cox = dev_cpu_cox,
	.cox_grad = dev_cpu_cox_grad,
	.convolve = dev_cpu_convolve,
	.convolve_grad_src = dev_cpu_convolve_grad_src,
	.convolve_grad_weights = dev_cpu_convolve_grad_weights,
	.pool = dev_cpu_pool,
	.pool_grad = dev_cpu_pool_grad,
	.pool_positions = dev_cpu_pool_positions,
	.pool_positions_grad = dev_cpu_pool_positions_grad,
	.moments = dev_cpu_moments,
	.affine = dev_cpu_affine,
	.affine_sums = dev_cpu_affine_sums,
	.affine_grad = dev_cpu_affine_grad,
	.add_relu = dev_cpu_add_relu,
	.sequence_copy = dev_cpu_sequence_copy,
	.sequence_pick = dev_cpu_sequence_pick,
	.sequence_put = dev_cpu_sequence_put,
	.sequence_shares = dev_cpu_sequence_shares,
	.sequence_sum = dev_cpu_sequence_sum,
	.sequence_softmax = dev_cpu_sequence_softmax,
	.lstm = dev_cpu_lstm,
	.gru = dev_cpu_gru,
	.lstm_grad = dev_cpu_lstm_grad,
	.gru_grad = dev_cpu_gru_grad,
	.crf = dev_cpu_crf,
	.crf_grad = dev_cpu_crf_grad,
	.attention = dev_cpu_attention,
	.attention_grad = dev_cpu_attention_grad,
	.layer_norm = cpu_layer_norm,
	.layer_norm_grad = cpu_layer_norm_grad,
	.limit_codes = dev_cpu_limit_codes,
	.first_equal = dev_cpu_first_equal
};

/* ---- Opening ---- */

/*
 * The environment says how many threads OpenBLAS starts when it is loaded, and it starts them at once; a later call
 * could only put them to sleep. The caller's setting is put back.
 */
static void *
load_with_one_thread(const char *library)
{
	static const char *const names[] = {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"};
	char	   *before[2];
	void	   *handle = NULL;
	bool		ready = true;

	for (int i = 0; i < 2; i++)
	{
		const char *value = getenv(names[i]);

		before[i] = value == NULL ? NULL : strdup(value);
		if ((value != NULL && before[i] == NULL) || setenv(names[i], "1", 1) != 0)
			ready = false;
	}
	if (ready)
		handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	for (int i = 0; i < 2; i++)
	{
		if (before[i] != NULL)
			setenv(names[i], before[i], 1);
		else
			unsetenv(names[i]);
		free(before[i]);
	}
	return handle;
}

/* The handle is kept until the process ends: OpenBLAS does not like to be unloaded. */
static void *
open_blas(const char *library)
{
	static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
	sigset_t	all;
	sigset_t	before;
	void	   *handle;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_mutex_lock(&loading);
	handle = dlopen(library, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
	if (handle == NULL)
		handle = load_with_one_thread(library);
	pthread_mutex_unlock(&loading);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return handle;
}

/* Fills sgemm and returns true when the library is there, has what is needed and keeps to one thread. */
static bool
use_blas(CpuDevice *device, const char *library)
{
	void	   *handle = open_blas(library);
	union
	{
		void	   *address;
		Sgemm		sgemm;
		void		(*set_threads) (int);
		int			(*get_threads) (void);
		char	   *(*get_config) (void);
	}			symbol;
	const char *config = NULL;
	int			digits = 0;

	if (handle == NULL)
		return false;
	symbol.address = dlsym(handle, "openblas_get_num_threads");
	if (symbol.address != NULL && symbol.get_threads() != 1)
	{
		/* Somebody else loaded it first, with more. */
		symbol.address = dlsym(handle, "openblas_set_num_threads");
		if (symbol.address != NULL)
			symbol.set_threads(1);
	}
	symbol.address = dlsym(handle, "openblas_get_config");
	if (symbol.address != NULL)
		config = symbol.get_config();
	symbol.address = dlsym(handle, "cblas_sgemm");
	if (symbol.address == NULL)
		return false;
	device->sgemm = symbol.sgemm;

	/* "OpenBLAS 0.3.21 DYNAMIC_ARCH ...": the first two words */
	if (config != NULL && strncmp(config, "OpenBLAS ", 9) == 0)
		digits = 9 + (int) strcspn(config + 9, " ");
	if (digits > 9 && digits < 40)
		snprintf(device->description, sizeof(device->description), "%s, %.*s", device->kernels->name, digits, config);
	else
		snprintf(device->description, sizeof(device->description), "%s, BLAS", device->kernels->name);
	return true;
}

DevStatus
dev_cpu_open(DevSession *session, const char *library, DevDevice **device)
{
	CpuDevice  *opened = dev_alloc(session, 1, sizeof(*opened));

	*device = NULL;
	if (opened == NULL)
		return DEV_NO_MEMORY;
	opened->base.primitives = &cpu_primitives;
	opened->base.session = session;
	opened->kernels = dev_kernels(0);
	if (library == NULL)
		library = opened->kernels->small == SIZE_MAX ? "" : "libopenblas.so.0";
	if (library[0] == '\0' || !use_blas(opened, library))
		snprintf(opened->description, sizeof(opened->description), "%s, own products", opened->kernels->name);
	*device = &opened->base;
	return DEV_OK;
}

const char *
dev_cpu_description(const DevDevice *device)
{
	return ((const CpuDevice *) device)->description;
}

void
dev_cpu_use_kernels(DevDevice *device, const Kernels *kernels)
{
	((CpuDevice *) device)->kernels = kernels;
}

DevStatus
dev_queue_create(DevDevice *device, DevQueue **queue)
{
	CpuQueue   *created = dev_alloc(device->session, 1, sizeof(*created));

	*queue = NULL;
	if (created == NULL)
		return DEV_NO_MEMORY;
	created->base.primitives = device->primitives;
	created->base.device = device;
	*queue = &created->base;
	return DEV_OK;
}

void
dev_queue_free(DevQueue *queue)
{
	if (queue != NULL)
		dev_release(queue->device->session, queue);
}

int
dev_cpu_count(void)
{
	cpu_set_t	set;
	long		online;

	if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
		return CPU_COUNT(&set);
	/* More processors than cpu_set_t has bits. */
	online = sysconf(_SC_NPROCESSORS_ONLN);
	return online > 0 && online < 65536 ? (int) online : 1;
}

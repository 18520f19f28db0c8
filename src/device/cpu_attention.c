/*
 * cpu_attention.c: attention in tiles of queries and keys.
 *
 * A tile of scores is one product, becomes weights in place, and a second product adds it to the result, which
 * is rescaled when the running maximum grows. The way back makes the weights again from the
 * log of their sum. Only what lies within the length is ever touched, so that padding has no influence.
 */
#include "cpu_special.h"

#include <math.h>
#include <string.h>

#define TILE 128
#define STRIDE (TILE + 16)		/* a power of two would put all rows of a column into a few lines of the first cache */

/* Scratch: three tiles, and four numbers a query. */
_Static_assert(3 * TILE * STRIDE + 4 * TILE <= DEV_ATTENTION_SCRATCH, "the scratch of attention holds its tiles");

/* One head of one example. */
typedef struct Head
{
	DevQueue   *queue;
	const DevAttention *how;
	size_t		example;
	size_t		number;
	size_t		n_queries;		/* that have a result */
	size_t		n_keys;			/* that are seen */
	size_t		width;			/* of the head */
	float		scale;
	const float *query;
	const float *key;
	const float *value;
} Head;

/* Some queries meet some keys. */
typedef struct Meeting
{
	size_t		query;
	size_t		rows;
	size_t		key;
	size_t		cols;
	size_t		diagonal;		/* see Kernels.attend */
} Meeting;

static size_t
length_of(const DevAttention *how, size_t example)
{
	if (how->lengths == NULL)
		return how->keys;
	if (how->lengths[example] <= 0)
		return 0;
	return (size_t) how->lengths[example] < how->keys ? (size_t) how->lengths[example] : how->keys;
}

static Head
head_of(DevQueue *queue, const DevAttention *how, size_t example, size_t number,
		const float *query, const float *key, const float *value)
{
	Head		head = {.queue = queue, .how = how, .example = example, .number = number};

	head.width = how->width / how->heads;
	head.scale = 1.0f / sqrtf((float) head.width);
	head.n_keys = length_of(how, example);
	head.n_queries = head.n_keys == 0 ? 0 : how->same && head.n_keys < how->queries ? head.n_keys : how->queries;
	head.query = query + example * how->queries * how->width + number * head.width;
	head.key = key + example * how->keys * how->width + number * head.width;
	head.value = value + example * how->keys * how->width + number * head.width;
	return head;
}

/* The next tile of keys for the queries of a meeting, or false when they have seen all. */
static bool
next_keys(const Head *head, Meeting *m, bool first)
{
	m->key = first ? 0 : m->key + TILE;
	if (m->key >= head->n_keys || (head->how->causal && m->key >= m->query + m->rows))
		return false;
	m->cols = head->n_keys - m->key < TILE ? head->n_keys - m->key : TILE;
	m->diagonal = head->how->causal ? m->query - m->key + 1 : m->cols;
	return true;
}

/* A product that sums as how->exact says. */
static void
add_product(const Head *head, bool transpose_b, size_t m, size_t n, size_t k, const float *a, size_t lda,
			const float *b, size_t ldb, float beta, float *c, size_t ldc)
{
	DevQueue   *queue = head->queue;

	if (head->how->exact)
		dev_cpu_kernels(queue)->multiply(true, m, n, k, 1.0f, a, lda, 1, b, transpose_b ? 1 : ldb, transpose_b ? ldb : 1,
										 beta, NULL, false, c, ldc, dev_cpu_pack(queue));
	else
		queue->primitives->gemm(queue, false, transpose_b, m, n, k, 1.0f, a, lda, b, ldb, beta, c, ldc);
}

static void
make_scores(const Head *head, const Meeting *m, float *scores)
{
	size_t		width = head->how->width;

	add_product(head, true, m->rows, m->cols, head->width, head->query + m->query * width, width,
				head->key + m->key * width, width, 0.0f, scores, STRIDE);
}

/* The mask's rows lie a whole number of groups of the generator apart, so that none is drawn twice. */
static void
make_mask(const Head *head, const Meeting *m, float *mask)
{
	const DevAttention *how = head->how;
	const Kernels *kernels = dev_cpu_kernels(head->queue);
	uint64_t	row = ((how->first_row + head->example) * how->heads + head->number) * how->queries + m->query;
	uint64_t	distance = (how->keys + TILE - 1) / TILE * TILE;

	for (size_t r = 0; r < m->rows; r++)
		kernels->random_mask(m->cols, how->dropout, how->seed, how->stream, (row + r) * distance + m->key, mask + r * STRIDE);
}

static void
attend_queries(const Head *head, size_t query, float *scratch, float *dst, float *log_sum)
{
	const Kernels *kernels = dev_cpu_kernels(head->queue);
	size_t		width = head->how->width;
	float	   *scores = scratch;
	float	   *mask = scores + TILE * STRIDE;
	float	   *most = scratch + 3 * TILE * STRIDE;
	float	   *sum = most + TILE;
	float	   *factor = sum + TILE;
	Meeting		m = {.query = query, .rows = head->n_queries - query < TILE ? head->n_queries - query : TILE};
	bool		first = true;

	for (; next_keys(head, &m, first); first = false)
	{
		make_scores(head, &m, scores);
		kernels->attend(m.rows, m.cols, m.diagonal, head->scale, first, scores, STRIDE, most, sum, factor);
		if (head->how->dropout > 0.0f)
		{
			make_mask(head, &m, mask);
			kernels->zip(DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, m.rows, m.cols, scores, STRIDE, mask, STRIDE, scores, STRIDE, false);
		}
		if (!first)
			kernels->zip(DEV_ZIP_MULTIPLY, DEV_SPREAD_COLUMN, m.rows, head->width, dst, width, factor, 1, dst, width, false);
		add_product(head, false, m.rows, head->width, m.cols, scores, STRIDE, head->value + m.key * width, width,
					first ? 0.0f : 1.0f, dst, width);
	}
	kernels->map(DEV_MAP_RECIPROCAL, m.rows, sum, 0.0f, factor);
	kernels->zip(DEV_ZIP_MULTIPLY, DEV_SPREAD_COLUMN, m.rows, head->width, dst, width, factor, 1, dst, width, false);
	kernels->map(DEV_MAP_LOG, m.rows, sum, 0.0f, log_sum);
	kernels->zip(DEV_ZIP_ADD, DEV_SPREAD_FULL, 1, m.rows, log_sum, m.rows, most, m.rows, log_sum, m.rows, false);
}

void
dev_cpu_attention(DevQueue *queue, const DevAttention *how, const float *query, const float *key, const float *value,
				  float *scratch, float *dst, float *log_sum)
{
	for (size_t b = 0; b < how->batch; b++)
		for (size_t h = 0; h < how->heads; h++)
		{
			Head		head = head_of(queue, how, b, h, query, key, value);
			float	   *to = dst + b * how->queries * how->width;

			if (h == 0)
				memset(to + head.n_queries * how->width, 0, (how->queries - head.n_queries) * how->width * sizeof(float));
			for (size_t q = 0; q < head.n_queries && !dev_queue_stopped(queue); q += TILE)
				attend_queries(&head, q, scratch, to + q * how->width + h * head.width,
							   log_sum + (b * how->heads + h) * how->queries + q);
		}
}

/* Where the gradients of one head go, each NULL when not wanted. */
typedef struct Diffs
{
	float	   *query;
	float	   *key;
	float	   *value;
} Diffs;

static void
attend_queries_grad(const Head *head, size_t query, const float *dst, const float *log_sum, const float *diff_dst,
					float *scratch, const Diffs *diffs)
{
	DevQueue   *queue = head->queue;
	const DevPrimitives *p = queue->primitives;
	const Kernels *kernels = dev_cpu_kernels(queue);
	size_t		width = head->how->width;
	float	   *scores = scratch;
	float	   *diff = scores + TILE * STRIDE;
	float	   *mask = diff + TILE * STRIDE;
	float	   *dots = scratch + 3 * TILE * STRIDE;
	bool		masked = head->how->dropout > 0.0f;
	Meeting		m = {.query = query, .rows = head->n_queries - query < TILE ? head->n_queries - query : TILE};

	/* The sum over keys of a weight times its gradient is the result times its own. */
	kernels->reduce_cols(m.rows, head->width, diff_dst, width, dst, width, dots, false);
	for (bool first = true; next_keys(head, &m, first); first = false)
	{
		make_scores(head, &m, scores);
		add_product(head, true, m.rows, m.cols, head->width, diff_dst, width, head->value + m.key * width, width, 0.0f, diff, STRIDE);
		if (masked)
			make_mask(head, &m, mask);
		kernels->attend_grad(m.rows, m.cols, m.diagonal, head->scale, log_sum, dots, masked ? mask : NULL, scores, diff, STRIDE);
		if (diffs->value != NULL)
			p->gemm(queue, true, false, m.cols, head->width, m.rows, 1.0f, scores, STRIDE, diff_dst, width,
					1.0f, diffs->value + m.key * width, width);
		if (diffs->key != NULL)
			p->gemm(queue, true, false, m.cols, head->width, m.rows, 1.0f, diff, STRIDE, head->query + query * width, width,
					1.0f, diffs->key + m.key * width, width);
		if (diffs->query != NULL)
			p->gemm(queue, false, false, m.rows, head->width, m.cols, 1.0f, diff, STRIDE, head->key + m.key * width, width,
					1.0f, diffs->query + query * width, width);
	}
}

void
dev_cpu_attention_grad(DevQueue *queue, const DevAttention *how, const float *query, const float *key, const float *value,
					   const float *dst, const float *log_sum, const float *diff_dst, float *scratch,
					   float *diff_query, float *diff_key, float *diff_value)
{
	for (size_t b = 0; b < how->batch; b++)
		for (size_t h = 0; h < how->heads; h++)
		{
			Head		head = head_of(queue, how, b, h, query, key, value);
			size_t		of_query = b * how->queries * how->width + h * head.width;
			size_t		of_key = b * how->keys * how->width + h * head.width;
			Diffs		diffs = {.query = diff_query == NULL ? NULL : diff_query + of_query,
				.key = diff_key == NULL ? NULL : diff_key + of_key,
			.value = diff_value == NULL ? NULL : diff_value + of_key};

			for (size_t q = 0; q < head.n_queries && !dev_queue_stopped(queue); q += TILE)
				attend_queries_grad(&head, q, dst + of_query + q * how->width, log_sum + (b * how->heads + h) * how->queries + q,
									diff_dst + of_query + q * how->width, scratch, &diffs);
		}
}

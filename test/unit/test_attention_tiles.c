/*
 * test_attention_tiles.c: the device's attention over several tiles, against double precision, for each instruction set.
 *
 * Also what padding, other examples and the place of a tile's border must not change: bits at inference.
 */
#include "check.h"

#include "idla/device.h"
#include "device/kernels.h"

typedef struct Problem
{
	DevAttention how;
	float	   *query;
	float	   *key;
	float	   *value;
	float	   *seed;			/* gradient of the result */
	float	   *dst;
	float	   *log_sum;
	float	   *diff_query;
	float	   *diff_key;
	float	   *diff_value;
	double	   *expected[4];	/* result and the three gradients */
} Problem;

static DevSession *session;
static DevDevice *device;
static DevQueue *queue;
static float *scratch;

static void *
need(size_t n, size_t size)
{
	void	   *block = dev_alloc(session, n + 1, size);

	if (block == NULL)
		CHECK_OR_STOP(false, "memory for %zu numbers", n);
	return block;
}

static float *
draw(size_t n, uint64_t stream)
{
	float	   *values = need(n, sizeof(float));

	for (size_t i = 0; i < n; i++)
		values[i] = (float) (2 * dev_random_normal(5, stream, i));
	return values;
}

static size_t
query_size(const Problem *p)
{
	return p->how.batch * p->how.queries * p->how.width;
}

static size_t
key_size(const Problem *p)
{
	return p->how.batch * p->how.keys * p->how.width;
}

static Problem
make_problem(const DevAttention *how)
{
	Problem		p = {.how = *how};
	size_t		n = query_size(&p);
	size_t		m = key_size(&p);

	p.query = draw(n, 1);
	p.key = draw(m, 2);
	p.value = draw(m, 3);
	p.seed = draw(n, 4);
	p.dst = draw(n, 5);
	p.log_sum = need(how->batch * how->heads * how->queries, sizeof(float));
	p.diff_query = need(n, sizeof(float));
	p.diff_key = need(m, sizeof(float));
	p.diff_value = need(m, sizeof(float));
	for (int i = 0; i < 4; i++)
		p.expected[i] = need(i < 2 ? n : m, sizeof(double));
	return p;
}

static void
free_problem(Problem *p)
{
	void	   *blocks[] = {p->query, p->key, p->value, p->seed, p->dst, p->log_sum, p->diff_query, p->diff_key, p->diff_value,
		p->expected[0], p->expected[1], p->expected[2], p->expected[3]};

	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
		dev_release(session, blocks[i]);
}

static size_t
seen_by(const DevAttention *how, size_t example, size_t query)
{
	size_t		length = how->lengths == NULL ? how->keys : how->lengths[example] < 0 ? 0 : (size_t) how->lengths[example];

	if (length > how->keys)
		length = how->keys;
	if (how->same && query >= length)
		return 0;
	return how->causal && query + 1 < length ? query + 1 : length;
}

/* One query of one head, forward and backward, as the formulas say it. mask is NULL or has the weights' factors. */
static void
expect_query(const Problem *p, size_t example, size_t head, size_t i, const float *mask)
{
	const DevAttention *how = &p->how;
	size_t		d = how->width / how->heads;
	size_t		at = (example * how->queries + i) * how->width + head * d;
	size_t		keys = example * how->keys * how->width + head * d;
	size_t		seen = seen_by(how, example, i);
	double	   *weight = need(2 * how->keys, sizeof(double));
	double	   *diff = weight + how->keys;
	double		most = -INFINITY;
	double		sum = 0;
	double		dot = 0;

	for (size_t j = 0; j < seen; j++)
	{
		weight[j] = 0;
		for (size_t c = 0; c < d; c++)
			weight[j] += (double) p->query[at + c] * p->key[keys + j * how->width + c] / sqrt((double) d);
		most = weight[j] > most ? weight[j] : most;
	}
	for (size_t j = 0; j < seen; j++)
		sum += weight[j] = exp(weight[j] - most);
	for (size_t j = 0; j < seen; j++)
	{
		double		factor = mask == NULL ? 1 : mask[j];

		weight[j] /= sum;
		diff[j] = 0;
		for (size_t c = 0; c < d; c++)
		{
			p->expected[0][at + c] += factor * weight[j] * p->value[keys + j * how->width + c];
			p->expected[3][keys + j * how->width + c] += factor * weight[j] * p->seed[at + c];
			diff[j] += factor * (double) p->seed[at + c] * p->value[keys + j * how->width + c];
		}
		dot += weight[j] * diff[j];
	}
	for (size_t j = 0; j < seen; j++)
		for (size_t c = 0; c < d; c++)
		{
			double		slope = weight[j] * (diff[j] - dot) / sqrt((double) d);

			p->expected[1][at + c] += slope * p->key[keys + j * how->width + c];
			p->expected[2][keys + j * how->width + c] += slope * p->query[at + c];
		}
	dev_release(session, weight);
}

static void
expect(Problem *p)
{
	float	   *mask = need(p->how.keys, sizeof(float));
	size_t		row = (size_t) p->how.first_row * p->how.heads * p->how.queries;

	for (int i = 0; i < 4; i++)
		memset(p->expected[i], 0, (i < 2 ? query_size(p) : key_size(p)) * sizeof(double));
	for (size_t b = 0; b < p->how.batch; b++)
		for (size_t h = 0; h < p->how.heads; h++)
			for (size_t i = 0; i < p->how.queries; i++, row++)
			{
				/* The mask of a row starts a whole number of tiles from the start. */
				if (p->how.dropout > 0)
					queue->primitives->random_mask(queue, p->how.keys, p->how.dropout, p->how.seed, p->how.stream,
												   row * ((p->how.keys + 127) / 128 * 128), mask);
				expect_query(p, b, h, i, p->how.dropout > 0 ? mask : NULL);
			}
	dev_release(session, mask);
}

/* Gradients start from ones, to which they are added. */
static void
run(Problem *p)
{
	const DevPrimitives *d = queue->primitives;

	d->attention(queue, &p->how, p->query, p->key, p->value, scratch, p->dst, p->log_sum);
	d->fill(queue, query_size(p), 1, p->diff_query);
	d->fill(queue, key_size(p), 1, p->diff_key);
	d->fill(queue, key_size(p), 1, p->diff_value);
	d->attention_grad(queue, &p->how, p->query, p->key, p->value, p->dst, p->log_sum, p->seed, scratch,
					  p->diff_query, p->diff_key, p->diff_value);
}

static double
error_of(const float *actual, const double *expected, double offset, size_t n)
{
	double		largest = 1e-3;
	double		worst = 0;

	for (size_t i = 0; i < n; i++)
	{
		double		d = fabs(actual[i] - offset - expected[i]);

		largest = fabs(expected[i]) > largest ? fabs(expected[i]) : largest;
		if (!(d <= worst))
			worst = d;
	}
	return worst / largest;
}

static void
check_problem(const char *name, const DevAttention *how)
{
	Problem		p = make_problem(how);
	double		errors[4];

	expect(&p);
	for (int i = 0; dev_kernels(i) != NULL; i++)
	{
		dev_cpu_use_kernels(device, dev_kernels(i));
		run(&p);
		errors[0] = error_of(p.dst, p.expected[0], 0, query_size(&p));
		errors[1] = error_of(p.diff_query, p.expected[1], 1, query_size(&p));
		errors[2] = error_of(p.diff_key, p.expected[2], 1, key_size(&p));
		errors[3] = error_of(p.diff_value, p.expected[3], 1, key_size(&p));
		CHECK(errors[0] < 2e-6 && errors[1] < 5e-6 && errors[2] < 5e-6 && errors[3] < 5e-6,
			  "%s (%s): result and gradients agree with double precision (%.1e %.1e %.1e %.1e)", name, dev_kernels(i)->name,
			  errors[0], errors[1], errors[2], errors[3]);
	}
	dev_cpu_use_kernels(device, dev_kernels(0));
	free_problem(&p);
}

static void
check_problems(void)
{
	static const int32_t lengths[] = {0, 1, 128, 129, 200, -3, 1000};
	DevAttention how = {.batch = 1, .queries = 140, .keys = 261, .width = 52, .heads = 2};

	check_problem("three tiles of keys", &how);
	how.causal = true;
	check_problem("causal, more keys than queries", &how);
	how.queries = 261;
	how.keys = 140;
	check_problem("causal, more queries than keys", &how);
	how = (DevAttention) {.batch = 7, .queries = 150, .keys = 200, .width = 8, .heads = 4, .lengths = lengths};
	check_problem("lengths", &how);
	how.queries = 200;
	how.same = true;
	check_problem("lengths of queries too", &how);
	how.causal = true;
	how.exact = true;
	check_problem("causal, lengths of queries too, exact", &how);
	how = (DevAttention) {.batch = 2, .queries = 130, .keys = 150, .width = 6, .heads = 2, .lengths = lengths + 3, .dropout = 0.25f,
	.seed = 9, .stream = 77, .first_row = 5};
	check_problem("dropout", &how);
	how = (DevAttention) {.batch = 3, .queries = 1, .keys = 1, .width = 3, .heads = 3};
	check_problem("one query, one key", &how);
}

/* Longer padding, with rubbish in it, and other examples beside it change no bit of an example, nor does the instruction set. */
static void
check_bits(bool causal)
{
	static const int32_t lengths[] = {77, 133, 140};
	DevAttention how = {.batch = 3, .queries = 300, .keys = 300, .width = 40, .heads = 2, .lengths = lengths, .same = true,
	.causal = causal, .exact = true};
	Problem		p = make_problem(&how);
	Problem		alone;
	bool		same = true;
	bool		zeros = true;
	size_t		size = how.queries * how.width;

	for (size_t b = 0; b < 3; b++)
		for (size_t i = (size_t) lengths[b] * how.width; i < size; i++)
			p.query[b * size + i] = p.key[b * size + i] = p.value[b * size + i] = i % 2 == 0 ? NAN : INFINITY;
	queue->primitives->attention(queue, &how, p.query, p.key, p.value, scratch, p.dst, p.log_sum);
	for (size_t b = 0; b < 3; b++)
	{
		size_t		length = (size_t) lengths[b];

		how = (DevAttention) {.batch = 1, .queries = length, .keys = length, .width = 40, .heads = 2, .causal = causal, .exact = true};
		alone = make_problem(&how);
		memcpy(alone.query, p.query + b * size, length * 40 * sizeof(float));
		memcpy(alone.key, p.key + b * size, length * 40 * sizeof(float));
		memcpy(alone.value, p.value + b * size, length * 40 * sizeof(float));
		for (int i = 0; dev_kernels(i) != NULL; i++)
		{
			dev_cpu_use_kernels(device, dev_kernels(i));
			queue->primitives->attention(queue, &how, alone.query, alone.key, alone.value, scratch, alone.dst, alone.log_sum);
			same = same && memcmp(alone.dst, p.dst + b * size, length * 40 * sizeof(float)) == 0;
		}
		dev_cpu_use_kernels(device, dev_kernels(0));
		for (size_t i = length * 40; i < size; i++)
			zeros = zeros && p.dst[b * size + i] == 0;
		free_problem(&alone);
	}
	CHECK(same, "%s: bits depend neither on padding nor on neighbours nor on the instruction set", causal ? "causal" : "all keys");
	CHECK(zeros, "%s: queries beyond the length give zeros", causal ? "causal" : "all keys");
	free_problem(&p);
}

static void
check_padded_gradients(void)
{
	static const int32_t lengths[] = {5, 0};
	DevAttention how = {.batch = 2, .queries = 9, .keys = 9, .width = 4, .heads = 2, .lengths = lengths, .same = true};
	Problem		p = make_problem(&how);
	bool		good = true;

	for (size_t i = 5 * 4; i < query_size(&p); i++)
		p.query[i] = p.key[i] = p.value[i] = NAN;
	run(&p);
	for (size_t i = 0; i < query_size(&p); i++)
		good = good && (i < 5 * 4 ? isfinite(p.diff_query[i]) && isfinite(p.diff_key[i]) && isfinite(p.diff_value[i])
						: p.diff_query[i] == 1 && p.diff_key[i] == 1 && p.diff_value[i] == 1);
	CHECK(good, "padding has no gradient and gives none");
	free_problem(&p);
}

/* Unwanted gradients are left out, wanted ones are the same. */
static void
check_unwanted(void)
{
	DevAttention how = {.batch = 1, .queries = 6, .keys = 7, .width = 4, .heads = 1};
	Problem		p = make_problem(&how);
	float	   *only = need(query_size(&p), sizeof(float));

	run(&p);
	queue->primitives->fill(queue, query_size(&p), 1, only);
	queue->primitives->attention_grad(queue, &how, p.query, p.key, p.value, p.dst, p.log_sum, p.seed, scratch, only, NULL, NULL);
	CHECK(memcmp(only, p.diff_query, query_size(&p) * sizeof(float)) == 0, "the gradient of the queries alone");
	dev_release(session, only);
	free_problem(&p);
}

static void
check_stopped(void)
{
	DevAttention how = {.batch = 1, .queries = 6, .keys = 7, .width = 4, .heads = 1};
	Problem		p = make_problem(&how);
	volatile bool stop = true;
	float		kept = p.dst[0];

	dev_queue_stop_on(queue, &stop);
	run(&p);
	CHECK(p.dst[0] == kept && p.diff_query[0] == 1, "a stopped queue attends to nothing");
	dev_queue_stop_on(queue, NULL);
	free_problem(&p);
}

/* Layer normalisation of each instruction set has the bits of the first one's, wide and narrow. */
static void
check_layer_norm(void)
{
	static const size_t widths[] = {1, 7, 16, 33, 312, 600};

	for (size_t w = 0; w < sizeof(widths) / sizeof(widths[0]); w++)
	{
		size_t		cols = widths[w];
		size_t		n = 5 * cols;
		float	   *x = draw(n, 1);
		float	   *diff = draw(n, 2);
		float	   *gain = draw(cols, 3);
		float	   *bias = draw(cols, 4);
		float	   *results[2];
		bool		same = true;

		for (int i = 0; dev_kernels(i) != NULL; i++)
		{
			const Kernels *k = dev_kernels(i);
			float	   *y = need(4 * n + 10 + 2 * cols, sizeof(float));
			float	   *statistics = y + n;
			float	   *diff_x = statistics + 10;
			float	   *bare = diff_x + n;

			results[i > 0] = y;
			k->layer_norm(5, cols, x, NULL, bias, 1e-5f, bare, statistics);
			k->layer_norm(5, cols, x, gain, bias, 1e-5f, y, statistics);
			k->layer_norm_grad(5, cols, x, gain, statistics, diff, diff_x, false, bare + n, bare + n + cols);
			k->layer_norm_grad(5, cols, x, NULL, statistics, diff, diff_x, true, NULL, NULL);
			if (i > 0)
			{
				same = same && memcmp(results[0], results[1], (3 * n + 10 + 2 * cols) * sizeof(float)) == 0;
				dev_release(session, y);
			}
		}
		CHECK(same, "layer_norm of %zu columns: every instruction set gives the same bits", cols);
		dev_release(session, results[0]);
		dev_release(session, x);
		dev_release(session, diff);
		dev_release(session, gain);
		dev_release(session, bias);
	}
}

static void
check_codes(void)
{
	static const int32_t codes[] = {3, 0, 3, 7, 0, -1, 2, 2, INT32_MAX, 1};
	static const int32_t lengths[] = {4, 9};
	static const int32_t limited[] = {3, 0, 3, -1, 0, -1, 2, 2, -1, 1};
	int32_t		dst[10];

	queue->primitives->limit_codes(queue, 2, 5, codes, lengths, 7, dst);
	CHECK(memcmp(dst, (int32_t[]) {3, 0, 3, -1, -1, -1, 2, 2, -1, 1}, sizeof(dst)) == 0,
		  "limit_codes: codes outside the table and beyond the length");
	queue->primitives->limit_codes(queue, 2, 5, codes, NULL, 7, dst);
	CHECK(memcmp(dst, limited, sizeof(dst)) == 0, "limit_codes: full sequences");
	queue->primitives->first_equal(queue, 10, limited, dst);
	CHECK(memcmp(dst, (int32_t[]) {0, 1, 0, -1, 1, -1, 6, 6, -1, 9}, sizeof(dst)) == 0, "first_equal: the first of each, no unknown one");
}

int
main(void)
{
	CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK && dev_cpu_open(session, "", &device) == DEV_OK &&
				  dev_queue_create(device, &queue) == DEV_OK, "a device and a queue");
	scratch = need(DEV_ATTENTION_SCRATCH, sizeof(float));
	check_problems();
	check_bits(false);
	check_bits(true);
	check_padded_gradients();
	check_unwanted();
	check_stopped();
	check_layer_norm();
	check_codes();
	dev_session_close(session);
	return check_done();
}

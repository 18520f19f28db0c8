/*
 * test_convolution.c: convolution, pools and normalisation on the device, in every variant of the kernels, against loops in
 * double precision; the bits they promise; and what graphs do with them: a relu done by the node before it, padded
 * sequences, windows that make no sense.
 */
#include "idla/nn.h"
#include "device/kernels.h"

#include "check.h"

static DevSession *session;
static DevDevice *device;

static float *
take(size_t n)
{
	float	   *values = dev_alloc(session, n, sizeof(float));

	CHECK_OR_STOP(values != NULL, "memory for %zu numbers", n);
	return values;
}

static float *
draw(size_t n, uint64_t stream)
{
	float	   *values = take(n);

	for (size_t i = 0; i < n; i++)
		values[i] = (float) dev_random_normal(5, DEV_STREAM_SAMPLE + stream * 1000, i);
	return values;
}

static DevQueue *
open_queue(const Kernels *kernels)
{
	DevQueue   *queue;

	CHECK_OR_STOP(dev_queue_create(device, &queue) == DEV_OK, "a queue is created");
	dev_cpu_use_kernels(device, kernels);
	return queue;
}

/* Largest difference over largest expected value; NaN is infinitely wrong. */
static double
error_of(size_t n, const float *actual, const double *expected)
{
	double		worst = 0;
	double		largest = 1e-3;

	for (size_t i = 0; i < n; i++)
	{
		double		d = fabs(actual[i] - expected[i]);

		if (!(d <= worst))
			worst = isnan(d) ? INFINITY : d;
		largest = fabs(expected[i]) > largest ? fabs(expected[i]) : largest;
	}
	return worst / largest;
}

/* ---- Convolution ---- */

typedef struct Shape
{
	const char *name;
	DevWindow	window;
	size_t		batch;
} Shape;

#define PLAIN .stride = {1, 1}, .dilation = {1, 1}, .groups = 1

static const Shape shapes[] = {
	{"3x3 in two parts of tiles", {.height = 30, .width = 30, .channels = 8, .out_height = 30, .out_width = 30, .out_channels = 8,
		.kernel = {3, 3}, .before = {1, 1}, PLAIN}, 2},
	{"3x3, odd sizes and channels", {.height = 7, .width = 5, .channels = 19, .out_height = 8, .out_width = 3, .out_channels = 33,
		.kernel = {3, 3}, .before = {1, 0}, PLAIN}, 3},
	{"3x3, padded by 2", {.height = 3, .width = 4, .channels = 16, .out_height = 5, .out_width = 6, .out_channels = 48,
		.kernel = {3, 3}, .before = {2, 2}, PLAIN}, 3},
	{"3x3 of one column", {.height = 6, .width = 3, .channels = 9, .out_height = 4, .out_width = 1, .out_channels = 8,
		.kernel = {3, 3}, .before = {0, 0}, PLAIN}, 2},
	{"3x3 of many channels", {.height = 4, .width = 4, .channels = 272, .out_height = 4, .out_width = 4, .out_channels = 256,
		.kernel = {3, 3}, .before = {1, 1}, PLAIN}, 1},
	{"3 over sequences", {.height = 1, .width = 301, .channels = 24, .out_height = 1, .out_width = 300, .out_channels = 12,
		.kernel = {1, 3}, .before = {0, 1}, PLAIN}, 4},
	{"1x3 over images", {.height = 4, .width = 6, .channels = 8, .out_height = 4, .out_width = 6, .out_channels = 8,
		.kernel = {1, 3}, .before = {0, 1}, PLAIN}, 2},
	{"stem", {.height = 28, .width = 28, .channels = 3, .out_height = 28, .out_width = 28, .out_channels = 16,
		.kernel = {3, 3}, .before = {1, 1}, PLAIN}, 7},
	{"7x7 of stride 2", {.height = 13, .width = 12, .channels = 2, .out_height = 7, .out_width = 6, .out_channels = 5,
		.kernel = {7, 7}, .stride = {2, 2}, .dilation = {1, 1}, .before = {3, 3}, .groups = 1}, 3},
	{"8 over sequences", {.height = 1, .width = 140, .channels = 20, .out_height = 1, .out_width = 140, .out_channels = 40,
		.kernel = {1, 8}, .before = {0, 3}, PLAIN}, 8},
	{"dilated", {.height = 9, .width = 8, .channels = 4, .out_height = 7, .out_width = 8, .out_channels = 6,
		.kernel = {3, 3}, .stride = {1, 1}, .dilation = {3, 2}, .before = {2, 2}, .groups = 1}, 2},
	{"groups", {.height = 6, .width = 6, .channels = 12, .out_height = 3, .out_width = 6, .out_channels = 6,
		.kernel = {3, 3}, .stride = {2, 1}, .dilation = {1, 1}, .before = {1, 1}, .groups = 3}, 3},
	{"depthwise", {.height = 6, .width = 7, .channels = 37, .out_height = 6, .out_width = 7, .out_channels = 37,
		.kernel = {3, 3}, .stride = {1, 1}, .dilation = {1, 1}, .before = {1, 1}, .groups = 37}, 3},
	{"depthwise, dilated", {.height = 1, .width = 20, .channels = 16, .out_height = 1, .out_width = 18, .out_channels = 16,
		.kernel = {1, 3}, .stride = {1, 1}, .dilation = {1, 4}, .before = {0, 4}, .groups = 16}, 3},
	{"1x1", {.height = 5, .width = 5, .channels = 18, .out_height = 5, .out_width = 5, .out_channels = 40,
		.kernel = {1, 1}, .before = {0, 0}, PLAIN}, 3},
	{"1x1 of groups", {.height = 5, .width = 5, .channels = 18, .out_height = 5, .out_width = 5, .out_channels = 12,
		.kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}, .groups = 2}, 3},
	{"1x1 of stride 2", {.height = 6, .width = 5, .channels = 18, .out_height = 3, .out_width = 3, .out_channels = 40,
		.kernel = {1, 1}, .stride = {2, 2}, .dilation = {1, 1}, .groups = 1}, 3}
};

#define N_SHAPES (sizeof(shapes) / sizeof(shapes[0]))

typedef struct Arrays
{
	size_t		n_src;
	size_t		n_dst;
	size_t		n_weights;
	float	   *src;
	float	   *weights;
	float	   *diff_dst;
	float	   *result;			/* as many as the largest */
	float	   *before;			/* what is added to */
	double	   *dst;
	double	   *diff_src;
	double	   *diff_weights;
	float	   *scratch;
} Arrays;

static Arrays
arrays_for(const Shape *shape)
{
	const DevWindow *w = &shape->window;
	Arrays		a;
	size_t		most;

	a.n_src = shape->batch * w->height * w->width * w->channels;
	a.n_dst = shape->batch * w->out_height * w->out_width * w->out_channels;
	a.n_weights = w->kernel[0] * w->kernel[1] * w->channels / w->groups * w->out_channels;
	most = a.n_src > a.n_dst ? a.n_src : a.n_dst;
	most = a.n_weights > most ? a.n_weights : most;
	a.src = draw(a.n_src, 1);
	a.weights = draw(a.n_weights, 2);
	a.diff_dst = draw(a.n_dst, 3);
	a.result = take(most);
	a.before = draw(most, 4);
	a.dst = dev_alloc(session, a.n_dst, sizeof(double));
	a.diff_src = dev_alloc(session, a.n_src, sizeof(double));
	a.diff_weights = dev_alloc(session, a.n_weights, sizeof(double));
	/* exactly what is asked for, so that the sanitizer sees a float too many; none is a pointer all the same */
	a.scratch = take(dev_convolution_scratch(w) + (dev_convolution_scratch(w) == 0));
	CHECK_OR_STOP(a.dst != NULL && a.diff_src != NULL && a.diff_weights != NULL, "memory for the expected values");
	return a;
}

static void
release(Arrays *a)
{
	void	   *blocks[] = {a->src, a->weights, a->diff_dst, a->result, a->before, a->dst, a->diff_src, a->diff_weights, a->scratch};

	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
		dev_release(session, blocks[i]);
}

/* The definition: each tap of each window that lies inside the image. */
static void
convolve_plainly(const Shape *shape, Arrays *a)
{
	const DevWindow *w = &shape->window;
	size_t		in = w->channels / w->groups;
	size_t		out = w->out_channels / w->groups;

	for (size_t d = 0; d < a->n_dst; d++)
	{
		size_t		k = d % w->out_channels;
		size_t		x = d / w->out_channels % w->out_width;
		size_t		y = d / w->out_channels / w->out_width % w->out_height;
		size_t		image = d / w->out_channels / w->out_width / w->out_height;

		for (size_t i = 0; i < w->kernel[0]; i++)
			for (size_t j = 0; j < w->kernel[1]; j++)
			{
				size_t		row = y * w->stride[0] + i * w->dilation[0] - w->before[0];
				size_t		col = x * w->stride[1] + j * w->dilation[1] - w->before[1];

				if (row >= w->height || col >= w->width)
					continue;
				for (size_t c = 0; c < in; c++)
				{
					size_t		s = ((image * w->height + row) * w->width + col) * w->channels + k / out * in + c;
					size_t		v = ((i * w->kernel[1] + j) * in + c) * w->out_channels + k;

					a->dst[d] += (double) a->src[s] * a->weights[v];
					a->diff_src[s] += (double) a->diff_dst[d] * a->weights[v];
					a->diff_weights[v] += (double) a->diff_dst[d] * a->src[s];
				}
			}
	}
}

static void
add_before(size_t n, const float *before, float *result, double sign)
{
	for (size_t i = 0; i < n; i++)
		result[i] = (float) (result[i] + sign * before[i]);
}

static void
check_convolution(const Kernels *k, const Shape *shape, Arrays *a)
{
	const DevWindow *w = &shape->window;
	DevQueue   *queue = open_queue(k);
	const DevPrimitives *p = queue->primitives;

	for (int chained = 0; chained < 2; chained++)
	{
		memset(a->result, 0x7f, a->n_dst * sizeof(float));
		p->convolve(queue, w, shape->batch, chained, a->src, a->weights, a->result, a->scratch);
		CHECK_NEAR(error_of(a->n_dst, a->result, a->dst), 0, 2e-6, "%s: %s, %s", k->name, shape->name, chained ? "chained" : "loose");
	}
	memset(a->result, 0x7f, a->n_src * sizeof(float));
	p->convolve_grad_src(queue, w, shape->batch, a->diff_dst, a->weights, a->result, false, a->scratch);
	CHECK_NEAR(error_of(a->n_src, a->result, a->diff_src), 0, 2e-6, "%s: %s, gradient of the source", k->name, shape->name);
	memcpy(a->result, a->before, a->n_src * sizeof(float));
	p->convolve_grad_src(queue, w, shape->batch, a->diff_dst, a->weights, a->result, true, a->scratch);
	add_before(a->n_src, a->before, a->result, -1);
	CHECK_NEAR(error_of(a->n_src, a->result, a->diff_src), 0, 2e-6, "%s: %s, added to a gradient", k->name, shape->name);
	memcpy(a->result, a->before, a->n_weights * sizeof(float));
	p->convolve_grad_weights(queue, w, shape->batch, a->src, a->diff_dst, a->result, a->scratch);
	add_before(a->n_weights, a->before, a->result, -1);
	CHECK_NEAR(error_of(a->n_weights, a->result, a->diff_weights), 0, 2e-6, "%s: %s, gradient of the weights", k->name, shape->name);
	dev_queue_free(queue);
}

/* A chained result has the portable bits, and an image those it has alone. */
static void
check_bits(const Kernels *k, const Shape *shape, Arrays *a)
{
	const DevWindow *w = &shape->window;
	size_t		size_src = a->n_src / shape->batch;
	size_t		size_dst = a->n_dst / shape->batch;
	float	   *portable = take(a->n_dst);
	DevQueue   *queue = open_queue(&dev_kernels_portable);

	queue->primitives->convolve(queue, w, shape->batch, true, a->src, a->weights, portable, a->scratch);
	dev_queue_free(queue);
	queue = open_queue(k);
	queue->primitives->convolve(queue, w, shape->batch, true, a->src, a->weights, a->result, a->scratch);
	CHECK(memcmp(portable, a->result, a->n_dst * sizeof(float)) == 0, "%s: %s has the portable bits", k->name, shape->name);
	for (size_t i = 0; i < shape->batch; i++)
		queue->primitives->convolve(queue, w, 1, true, a->src + i * size_src, a->weights, a->result + i * size_dst, a->scratch);
	CHECK(memcmp(portable, a->result, a->n_dst * sizeof(float)) == 0, "%s: %s, image by image", k->name, shape->name);
	dev_queue_free(queue);
	dev_release(session, portable);
}

static void
check_stopping(const Shape *shape, Arrays *a)
{
	DevQueue   *queue = open_queue(dev_kernels(0));
	const DevPrimitives *p = queue->primitives;
	volatile bool stop = true;
	bool		untouched = true;

	dev_queue_stop_on(queue, &stop);
	memcpy(a->result, a->before, a->n_dst * sizeof(float));
	p->convolve(queue, &shape->window, shape->batch, false, a->src, a->weights, a->result, a->scratch);
	untouched = memcmp(a->result, a->before, a->n_dst * sizeof(float)) == 0;
	memcpy(a->result, a->before, a->n_src * sizeof(float));
	p->convolve_grad_src(queue, &shape->window, shape->batch, a->diff_dst, a->weights, a->result, true, a->scratch);
	untouched = untouched && memcmp(a->result, a->before, a->n_src * sizeof(float)) == 0;
	CHECK(untouched, "%s: a stopped queue does nothing", shape->name);
	dev_queue_free(queue);
}

static void
check_convolutions(void)
{
	for (size_t s = 0; s < N_SHAPES; s++)
	{
		Arrays		a = arrays_for(&shapes[s]);

		convolve_plainly(&shapes[s], &a);
		for (int i = 0; dev_kernels(i) != NULL; i++)
		{
			check_convolution(dev_kernels(i), &shapes[s], &a);
			check_bits(dev_kernels(i), &shapes[s], &a);
		}
		check_stopping(&shapes[s], &a);
		release(&a);
	}
}

/* ---- Pools ---- */

static void
check_pool(const Kernels *k, DevPool kind)
{
	DevWindow	w = {.height = 7, .width = 9, .channels = 70, .out_height = 4, .out_width = 5, .out_channels = 70,
	.kernel = {3, 3}, .before = {1, 1}, .stride = {2, 2}, .dilation = {1, 1}, .groups = 1};
	size_t		n_src = 2 * 7 * 9 * 70;
	size_t		n_dst = 2 * 4 * 5 * 70;
	float	   *src = draw(n_src, 11);
	float	   *diff = draw(n_dst, 12);
	float	   *dst = take(n_dst);
	float	   *portable = take(n_dst);
	float	   *diff_src = take(n_src);
	float	   *portable_src = take(n_src);
	DevQueue   *queue = open_queue(&dev_kernels_portable);
	double		sum = 0;
	double		expected = 0;

	queue->primitives->pool(queue, &w, kind, 2, src, portable);
	queue->primitives->pool_grad(queue, &w, kind, 2, src, portable, diff, portable_src, false);
	dev_queue_free(queue);
	queue = open_queue(k);
	queue->primitives->pool(queue, &w, kind, 2, src, dst);
	queue->primitives->pool_grad(queue, &w, kind, 2, src, dst, diff, diff_src, false);
	CHECK(memcmp(dst, portable, n_dst * sizeof(float)) == 0 && memcmp(diff_src, portable_src, n_src * sizeof(float)) == 0,
		  "%s: pool %d and its gradient have the portable bits", k->name, (int) kind);
	for (size_t i = 0; i < n_src; i++)
		sum += diff_src[i];
	for (size_t i = 0; i < n_dst; i++)
		expected += diff[i];
	CHECK_NEAR(sum, expected, 1e-4, "%s: the gradient of pool %d is handed on, all of it", k->name, (int) kind);

	src[8 * 70 + 3] = NAN;
	queue->primitives->pool(queue, &w, kind, 1, src, dst);
	CHECK(isnan(dst[4 * 70 + 3]) && !isnan(dst[4 * 70 + 2]), "%s: pool %d does not hide what is no number", k->name, (int) kind);
	dev_queue_free(queue);
	dev_release(session, src);
	dev_release(session, diff);
	dev_release(session, dst);
	dev_release(session, portable);
	dev_release(session, diff_src);
	dev_release(session, portable_src);
}

/* ---- Normalisation ---- */

typedef struct Columns
{
	double		mean[40];
	double		variance[40];
	double		sum_diff[40];
	double		sum_product[40];
} Columns;

static void
sum_plainly(size_t rows, size_t cols, const float *x, const float *diff, const float *scale, const float *shift, Columns *c)
{
	memset(c, 0, sizeof(*c));
	for (size_t i = 0; i < rows * cols; i++)
		c->mean[i % cols] += x[i] / (double) rows;
	for (size_t i = 0; i < rows * cols; i++)
	{
		double		centred = x[i] - c->mean[i % cols];
		bool		open = scale == NULL || centred * scale[i % cols] + shift[i % cols] > 0;

		c->variance[i % cols] += centred * centred / (double) rows;
		c->sum_diff[i % cols] += open ? diff[i] : 0;
		c->sum_product[i % cols] += open ? diff[i] * centred : 0;
	}
}

/* Far from zero and of little variance, where sums of squares would lose everything. */
static void
check_normalization(const Kernels *k, size_t rows, size_t cols)
{
	size_t		n = rows * cols;
	float	   *x = draw(n, 21);
	float	   *diff = draw(n, 22);
	float	   *scale = draw(cols, 23);
	float	   *shift = draw(cols, 24);
	float	   *made[2][4];
	float	   *y[2];
	Columns		expected;

	for (size_t i = 0; i < n; i++)
		x[i] = 0.5f * x[i] + 1000;
	sum_plainly(rows, cols, x, diff, scale, shift, &expected);
	for (int i = 0; i < 2; i++)
	{
		DevQueue   *queue = open_queue(i == 0 ? &dev_kernels_portable : k);
		const DevPrimitives *p = queue->primitives;

		for (int j = 0; j < 4; j++)
			made[i][j] = take(cols);
		y[i] = take(3 * n);
		p->moments(queue, 1, rows, cols, x, made[i][0], made[i][1]);
		p->affine(queue, 1, rows, cols, x, made[i][0], scale, shift, true, y[i]);
		p->affine_sums(queue, 1, rows, cols, x, made[i][0], scale, shift, diff, made[i][2], made[i][3]);
		p->affine_grad(queue, 1, rows, cols, x, made[i][0], scale, shift, diff, scale, shift, shift, y[i] + n, false);
		p->affine_grad(queue, 1, rows, cols, x, made[i][0], NULL, NULL, diff, scale, shift, shift, y[i] + 2 * n, true);
		dev_queue_free(queue);
	}
	CHECK(memcmp(y[0], y[1], 3 * n * sizeof(float)) == 0, "%s: %zu x %zu normalised has the portable bits", k->name, rows, cols);
	for (int j = 0; j < 4; j++)
		CHECK(memcmp(made[0][j], made[1][j], cols * sizeof(float)) == 0, "%s: and so has what is one a column (%d)", k->name, j);
	CHECK_NEAR(error_of(cols, made[1][0], expected.mean), 0, 2e-7, "%s: means of %zu x %zu", k->name, rows, cols);
	CHECK_NEAR(error_of(cols, made[1][1], expected.variance), 0, 1e-5, "%s: variances", k->name);
	CHECK_NEAR(error_of(cols, made[1][2], expected.sum_diff), 0, 2e-3, "%s: sums behind a relu", k->name);
	CHECK_NEAR(error_of(cols, made[1][3], expected.sum_product), 0, 2e-3, "%s: and of products", k->name);
	for (int i = 0; i < 2; i++)
	{
		for (int j = 0; j < 4; j++)
			dev_release(session, made[i][j]);
		dev_release(session, y[i]);
	}
	dev_release(session, x);
	dev_release(session, diff);
	dev_release(session, scale);
	dev_release(session, shift);
}

/* ---- Graphs ---- */

typedef struct Graph
{
	NnGraph    *graph;
	NnRun	   *run;
	NnNode		input;
	NnNode		lengths;
	NnNode		dst;
	float	   *weights;
	float	   *diff_weights;
} Graph;

static NnParameter
column(NnGraph *graph, const char *name, NnShape shape, NnRole role, const float *values)
{
	return nn_parameter(graph, name, &shape, role, NN_INIT_GIVEN, 0, values);
}

static void
open_run(Graph *g, size_t batch)
{
	CHECK_STATUS(session, nn_graph_compile(g->graph), DEV_OK, "the graph compiles");
	CHECK_OR_STOP(nn_run_create(g->graph, device, batch, NN_RUN_WHOLE, &g->run) == DEV_OK, "a run is created");
	g->weights = take(nn_graph_weights(g->graph));
	g->diff_weights = take(nn_graph_weights(g->graph));
	nn_graph_initialize(g->graph, 1, g->weights);
	nn_run_bind(g->run, g->weights, g->diff_weights);
	nn_run_all_gradients(g->run, true);
}

static void
close_run(Graph *g)
{
	nn_run_free(g->run);
	nn_graph_free(g->graph);
	dev_release(session, g->weights);
	dev_release(session, g->diff_weights);
}

/* Batch norm, and behind it a sum with the input where `sum`, then a relu, which a second reader keeps apart. */
static Graph
relu_graph(bool sum, bool apart)
{
	static const float gain[] = {1, -0.5f, 2, 0.25f, 1};
	static const float bias[] = {0, 0.5f, -1, 0, 0.125f};
	static const float ones[] = {1, 1, 1, 1, 1};
	NnShape		five = nn_shape(1, 5, 0, 0, 0);
	NnShape		image = nn_shape(3, 3, 4, 5, 0);
	Graph		g = {0};
	NnNode		node;

	CHECK_OR_STOP(nn_graph_create(session, &g.graph) == DEV_OK, "a graph is created");
	g.input = nn_input(g.graph, "image", &image);
	node = nn_batch_norm(g.graph, g.input, column(g.graph, "gain", five, NN_ROLE_VECTOR, gain),
						 column(g.graph, "bias", five, NN_ROLE_VECTOR, bias),
						 column(g.graph, "mean", five, NN_ROLE_STATISTIC, bias),
						 column(g.graph, "variance", five, NN_ROLE_STATISTIC, ones), 1e-3f);
	if (sum)
		node = nn_add(g.graph, node, g.input);
	g.dst = nn_activation(g.graph, node, DEV_MAP_RELU);
	if (apart)
		nn_activation(g.graph, node, DEV_MAP_TANH);
	return g;
}

/* Two ways to compute the same: with the relu merged into the node before it and without. */
static void
check_relu(bool sum, NnMode mode)
{
	const size_t n = 6 * 60;
	float	   *rows = draw(n, 31);
	float	   *seed = draw(n, 32);
	Graph		merged = relu_graph(sum, false);
	Graph		apart = relu_graph(sum, true);
	Graph	   *both[] = {&merged, &apart};
	float		norms[2][6];
	bool		zeros = false;

	for (int i = 0; i < 2; i++)
	{
		open_run(both[i], 6);
		nn_run_set(both[i]->run, both[i]->input, 6, rows);
		nn_run_forward(both[i]->run, both[i]->dst, mode, 1, 1, 0);
		nn_run_backward_from(both[i]->run, both[i]->dst, seed);
		if (mode == NN_INFER)
			CHECK_STATUS(session, nn_run_norms(both[i]->run, norms[i]), DEV_OK, "norms");
	}
	CHECK(memcmp(nn_run_value(merged.run, merged.dst), nn_run_value(apart.run, apart.dst), n * sizeof(float)) == 0,
		  "a merged relu has the values of one apart (%s, mode %d)", sum ? "sum" : "batch norm", (int) mode);
	CHECK(memcmp(nn_run_gradient(merged.run, merged.input), nn_run_gradient(apart.run, apart.input), n * sizeof(float)) == 0,
		  "and hands on the same gradient");
	CHECK(memcmp(merged.diff_weights, apart.diff_weights, nn_graph_weights(merged.graph) * sizeof(float)) == 0,
		  "and the same gradients of the parameters");
	CHECK(mode == NN_TRAIN || memcmp(norms[0], norms[1], sizeof(norms[0])) == 0, "and the same norms");
	for (size_t i = 0; i < n; i++)
		zeros = zeros || nn_run_value(merged.run, merged.dst)[i] == 0;
	CHECK(zeros, "and something to cut off");
	close_run(&merged);
	close_run(&apart);
	dev_release(session, rows);
	dev_release(session, seed);
}

/* mask, convolve, mask, pool: what stands in the padding changes nothing and gets no gradient. */
static void
check_padding(bool largest)
{
	const size_t length = 9;
	const size_t width = 8;
	const int32_t lengths[] = {4, 9, 0};
	NnWindow	window = {.kernel = {3}, .before = {1}, .after = {1}};
	NnShape		sequence = nn_shape(2, length, width, 0, 0);
	float	   *rows = draw(3 * length * width, 41);
	float	   *weights = draw(3 * width * width, 42);
	float		seed[24];
	float		first[24];
	float	   *gradient = take(3 * length * width);
	bool		clean = true;
	Graph		g = {0};
	NnNode		node;

	CHECK_OR_STOP(nn_graph_create(session, &g.graph) == DEV_OK, "a graph is created");
	g.input = nn_input(g.graph, "sequence", &sequence);
	g.lengths = nn_codes(g.graph, "length", 1);
	node = nn_mask(g.graph, g.input, g.lengths);
	node = nn_convolution(g.graph, node, column(g.graph, "weights", nn_shape(3, 3, width, width, 0), NN_ROLE_MATRIX, weights),
						  &window);
	node = nn_bias(g.graph, node, column(g.graph, "bias", nn_shape(1, width, 0, 0, 0), NN_ROLE_VECTOR, weights));
	g.dst = largest ? nn_global_max(g.graph, node, g.lengths) : nn_global_mean(g.graph, node, g.lengths);
	open_run(&g, 3);
	for (size_t i = 0; i < 24; i++)
		seed[i] = 1;
	for (int i = 0; i < 2; i++)
	{
		for (size_t k = 4 * width; i > 0 && k < length * width; k++)
			rows[k] = 1e6f;
		nn_run_set(g.run, g.input, 3, rows);
		nn_run_set_codes(g.run, g.lengths, 3, lengths);
		nn_run_forward(g.run, g.dst, NN_INFER, 1, 1, 0);
		nn_run_backward_from(g.run, g.dst, seed);
		if (i == 0)
			memcpy(first, nn_run_value(g.run, g.dst), sizeof(first));
	}
	CHECK(memcmp(first, nn_run_value(g.run, g.dst), sizeof(first)) == 0, "what stands in the padding changes no bit");
	memcpy(gradient, nn_run_gradient(g.run, g.input), 3 * length * width * sizeof(float));
	for (size_t k = 4 * width; k < length * width; k++)
		clean = clean && gradient[k] == 0 && gradient[2 * length * width + k] == 0;
	CHECK(clean && gradient[3 * width] != 0, "padding has no gradient, the last position before it has");
	CHECK(first[16] == 0 && first[23] == 0, "a sequence of no length gives zeros");
	close_run(&g);
	dev_release(session, rows);
	dev_release(session, weights);
	dev_release(session, gradient);
}

/* ---- Refusals ---- */

typedef NnNode (*Wrong) (NnGraph *graph, NnNode image, NnNode vector, NnNode codes, NnParameter weights);

#define WRONG(name, expression) \
static NnNode \
name(NnGraph *graph, NnNode image, NnNode vector, NnNode codes, NnParameter weights) \
{ \
	(void) image; \
	(void) vector; \
	(void) codes; \
	(void) weights; \
	return expression; \
}

#define WINDOW(...) (&(NnWindow) {__VA_ARGS__})
WRONG(convolve_vector, nn_convolution(graph, vector, weights, WINDOW(.kernel = {3, 3})))
WRONG(convolve_codes, nn_convolution(graph, codes, weights, WINDOW(.kernel = {3, 3})))
WRONG(wrong_kernel, nn_convolution(graph, image, weights, WINDOW(.kernel = {3, 2})))
WRONG(wrong_groups, nn_convolution(graph, image, weights, WINDOW(.kernel = {3, 3}, .groups = 3)))
WRONG(no_weights, nn_convolution(graph, image, NN_NONE, WINDOW(.kernel = {3, 3})))
WRONG(too_far, nn_convolution(graph, image, weights, WINDOW(.kernel = {3, 3}, .dilation = {9, 1})))
WRONG(huge_stride, nn_max_pool(graph, image, WINDOW(.kernel = {2, 2}, .stride = {(size_t) 1 << 40, 1})))
WRONG(huge_padding, nn_pad(graph, image, WINDOW(.before = {SIZE_MAX, 0})))
WRONG(much_padding, nn_average_pool(graph, image, WINDOW(.kernel = {2, 2}, .before = {2, 0})))
WRONG(large_pool, nn_max_pool(graph, image, WINDOW(.kernel = {9, 1})))
WRONG(pool_vector, nn_max_pool(graph, vector, WINDOW(.kernel = {2})))
WRONG(mean_of_vector, nn_global_mean(graph, vector, NN_NONE))
WRONG(lengths_of_images, nn_global_max(graph, image, codes))
WRONG(uneven_groups, nn_group_norm(graph, image, 3, NN_NONE, NN_NONE, 1e-3f))
WRONG(no_groups, nn_group_norm(graph, image, 0, NN_NONE, NN_NONE, 1e-3f))
WRONG(no_axis, nn_flip(graph, image, 3))

static void
check_refusals(void)
{
	static const struct
	{
		const char *name;
		Wrong		build;
	}			wrongs[] = {
		{"a convolution of a vector", convolve_vector}, {"a convolution of codes", convolve_codes},
		{"a kernel other than the weights'", wrong_kernel}, {"groups that do not divide", wrong_groups},
		{"a convolution without weights", no_weights}, {"a window larger than the image", too_far},
		{"a stride without bounds", huge_stride}, {"padding without bounds", huge_padding},
		{"windows of padding alone", much_padding}, {"a pool larger than the image", large_pool},
		{"a pool of a vector", pool_vector}, {"a mean without positions", mean_of_vector},
		{"lengths of images", lengths_of_images},
		{"uneven groups of channels", uneven_groups}, {"no groups of channels", no_groups}, {"an axis that is not there", no_axis}
	};
	NnShape		image = nn_shape(3, 5, 5, 4, 0);
	NnShape		vector = nn_shape(1, 5, 0, 0, 0);
	NnShape		weights = nn_shape(4, 3, 3, 4, 2);

	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++)
	{
		NnGraph    *graph;
		NnNode		node;

		CHECK_OR_STOP(nn_graph_create(session, &graph) == DEV_OK, "a graph is created");
		node = wrongs[i].build(graph, nn_input(graph, "image", &image), nn_input(graph, "vector", &vector),
							   nn_codes(graph, "codes", 1),
							   nn_parameter(graph, "weights", &weights, NN_ROLE_MATRIX, NN_INIT_ONE, 0, NULL));
		CHECK(node == NN_NONE, "%s is refused", wrongs[i].name);
		CHECK_STATUS(session, nn_graph_compile(graph), DEV_INVALID, "%s: %s", wrongs[i].name, dev_message_text(session));
		nn_graph_free(graph);
	}
}

int
main(void)
{
	CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK && dev_cpu_open(session, "", &device) == DEV_OK,
				  "a device opens");
	check_convolutions();
	for (int i = 0; dev_kernels(i) != NULL; i++)
	{
		check_pool(dev_kernels(i), DEV_POOL_MAX);
		check_pool(dev_kernels(i), DEV_POOL_MEAN);
		check_normalization(dev_kernels(i), 1, 5);
		check_normalization(dev_kernels(i), 131, 37);
		check_normalization(dev_kernels(i), 400, 16);
	}
	dev_cpu_use_kernels(device, dev_kernels(0));
	for (int sum = 0; sum < 2; sum++)
	{
		check_relu(sum, NN_TRAIN);
		check_relu(sum, NN_INFER);
	}
	check_padding(false);
	check_padding(true);
	check_refusals();
	dev_session_close(session);
	return check_done();
}

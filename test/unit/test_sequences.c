/*
 * test_sequences.c: the operators on sequences against finite differences, and what they promise beyond values: padding
 * without influence, the same bits on every instruction set, extreme scores, tags as found by trying all, quick cancels.
 */
#include "cases_sequence.h"
#include "gradients.h"

#include "device/kernels.h"

/* ---- A small workplace ---- */

typedef struct Place
{
	DevSession *session;
	DevDevice  *device;
	NnGraph    *graph;
	NnRun	   *run;
	NnNode		src;
	NnNode		scores;
	NnNode		targets;
	NnNode		lengths;
	float	   *weights;
	float	   *diff_weights;
	size_t		n_weights;
} Place;

static void
place_open(Place *place, size_t length, size_t width)
{
	NnShape		shape = nn_shape(2, length, width, 0, 0);
	NnShape		one = nn_shape(1, length, 0, 0, 0);

	memset(place, 0, sizeof(*place));
	CHECK_OR_STOP(dev_session_open(NULL, 3, &place->session) == DEV_OK &&
				  dev_cpu_open(place->session, NULL, &place->device) == DEV_OK &&
				  nn_graph_create(place->session, &place->graph) == DEV_OK, "a graph is created");
	place->src = nn_input(place->graph, "x", &shape);
	place->scores = nn_input(place->graph, "scores", &one);
	place->targets = nn_codes(place->graph, "targets", length);
	place->lengths = nn_codes(place->graph, "lengths", 1);
}

static void
place_compile(Place *place, size_t batch)
{
	CHECK_STATUS(place->session, nn_graph_compile(place->graph), DEV_OK, "the graph compiles");
	CHECK_OR_STOP(nn_run_create(place->graph, place->device, batch, NN_RUN_WHOLE, &place->run) == DEV_OK, "a run is created");
	place->n_weights = nn_graph_weights(place->graph);
	place->weights = calloc(place->n_weights + 1, sizeof(float));
	place->diff_weights = calloc(place->n_weights + 1, sizeof(float));
	CHECK_OR_STOP(place->weights != NULL && place->diff_weights != NULL, "memory for %zu weights", place->n_weights);
	nn_graph_initialize(place->graph, 5, place->weights);
	nn_run_bind(place->run, place->weights, place->diff_weights);
}

static void
place_close(Place *place)
{
	dev_session_close(place->session);
	free(place->weights);
	free(place->diff_weights);
}

static NnParameter
drawn(Place *place, const char *name, NnShape shape)
{
	return nn_parameter(place->graph, name, &shape, NN_ROLE_MATRIX, NN_INIT_UNIFORM, 0.5f, NULL);
}

static NnNode
add_lstm(Place *place, NnNode src, size_t in, size_t hidden, bool backward, const char *name)
{
	char		names[3][32];

	for (int i = 0; i < 3; i++)
		snprintf(names[i], sizeof(names[i]), "%s.%d", name, i);
	return nn_lstm(place->graph, src, place->lengths, backward, drawn(place, names[0], nn_shape(2, in, 4 * hidden, 0, 0)),
				   drawn(place, names[1], nn_shape(2, hidden, 4 * hidden, 0, 0)),
				   drawn(place, names[2], nn_shape(1, 4 * hidden, 0, 0, 0)));
}

static NnNode
add_gru(Place *place, NnNode src, size_t in, size_t hidden, bool backward, const char *name)
{
	char		names[4][32];

	for (int i = 0; i < 4; i++)
		snprintf(names[i], sizeof(names[i]), "%s.%d", name, i);
	return nn_gru(place->graph, src, place->lengths, backward, drawn(place, names[0], nn_shape(2, in, 3 * hidden, 0, 0)),
				  drawn(place, names[1], nn_shape(2, hidden, 3 * hidden, 0, 0)),
				  drawn(place, names[2], nn_shape(1, 3 * hidden, 0, 0, 0)),
				  drawn(place, names[3], nn_shape(1, hidden, 0, 0, 0)));
}

/* ---- Padding, instruction sets and neighbours ---- */

enum
{
	ROWS = 9,					/* more than are multiplied one by one */
	WIDTH = 5,
	HIDDEN = 19
};

static const int32_t row_lengths[ROWS] = {3, 6, 1, 0, 6, 5, 2, 6, 4};

/*
 * Two layers in both directions, pooled in all ways: every operator on sequences but the losses. The layers read each
 * other's padding, which is zeros, and the first one what the test puts there.
 */
static NnNode
add_tower(Place *place)
{
	NnNode		first[2];
	NnNode		pooled[5];
	NnNode		both;
	NnNode		second;

	first[0] = add_lstm(place, place->src, WIDTH, HIDDEN, false, "a");
	first[1] = add_gru(place, place->src, WIDTH, HIDDEN, true, "b");
	both = nn_concat(place->graph, first, 2);
	second = add_gru(place, both, 2 * HIDDEN, HIDDEN, false, "c");
	pooled[0] = nn_last(place->graph, second, place->lengths, false);
	pooled[1] = nn_last(place->graph, first[1], place->lengths, true);
	pooled[2] = nn_masked_mean(place->graph, place->src, place->lengths);
	pooled[3] = nn_attention_pool(place->graph, add_lstm(place, nn_mask(place->graph, both, place->lengths), 2 * HIDDEN, HIDDEN,
														 true, "d"), place->scores, place->lengths);
	pooled[4] = nn_masked_mean(place->graph, second, place->lengths);
	return nn_concat(place->graph, pooled, 5);
}

static NnNode
add_losses(Place *place)
{
	NnNode		losses[2];

	losses[0] = nn_crf(place->graph, place->src, place->targets, place->lengths,
					   drawn(place, "transitions", nn_shape(2, WIDTH, WIDTH, 0, 0)),
					   drawn(place, "start", nn_shape(1, WIDTH, 0, 0, 0)), drawn(place, "end", nn_shape(1, WIDTH, 0, 0, 0)));
	losses[1] = nn_token_cross_entropy(place->graph, place->src, place->targets, place->lengths, NULL, 0.1f);
	return nn_concat(place->graph, losses, 2);
}

typedef NnNode (*Build) (Place *place);

typedef struct Result
{
	size_t		size;
	float	   *value;			/* (ROWS, size) */
	float	   *diff_src;		/* (ROWS, length, WIDTH) */
	float	   *diff_weights;
	size_t		n_weights;
} Result;

static void
result_free(Result *result)
{
	free(result->value);
	free(result->diff_src);
	free(result->diff_weights);
}

/* Row, position and column decide what is drawn, whatever the length of the padding, which gets `padding`. */
static void
set_rows(Place *place, size_t length, size_t first, size_t batch, float padding)
{
	float	   *x = malloc(batch * length * WIDTH * sizeof(float));
	float	   *scores = malloc(batch * length * sizeof(float));
	int32_t    *targets = malloc(batch * length * sizeof(int32_t));

	CHECK_OR_STOP(x != NULL && scores != NULL && targets != NULL, "memory for %zu rows", batch);
	for (size_t b = 0; b < batch; b++)
		for (size_t t = 0; t < length; t++)
		{
			size_t		at = b * length + t;
			uint64_t	number = (first + b) * 1000 + t;
			bool		counts = (int32_t) t < row_lengths[first + b];

			for (size_t c = 0; c < WIDTH; c++)
				x[at * WIDTH + c] = counts ? (float) dev_random_normal(3, 1, number * WIDTH + c) : padding;
			scores[at] = counts ? (float) dev_random_normal(3, 2, number) : padding;
			targets[at] = counts ? (int32_t) dev_random_below(3, 3, number, WIDTH + 1) - 1 : 2;
		}
	nn_run_set(place->run, place->src, batch, x);
	nn_run_set(place->run, place->scores, batch, scores);
	nn_run_set_codes(place->run, place->targets, batch, targets);
	nn_run_set_codes(place->run, place->lengths, batch, row_lengths + first);
	free(x);
	free(scores);
	free(targets);
}

static float *
copy_of(const float *values, size_t n)
{
	float	   *copy = malloc(n * sizeof(float));

	CHECK_OR_STOP(copy != NULL, "memory for %zu values", n);
	memcpy(copy, values, n * sizeof(float));
	return copy;
}

/* A pass over all rows, or over one row after the other. */
static Result
results(Build build, size_t length, float padding, NnMode mode, const Kernels *kernels, bool alone)
{
	Place		place;
	NnNode		dst;
	Result		result = {0};
	size_t		size_src = length * WIDTH;

	place_open(&place, length, WIDTH);
	if (kernels != NULL)
		dev_cpu_use_kernels(place.device, kernels);
	dst = build(&place);
	place_compile(&place, ROWS);
	nn_run_all_gradients(place.run, true);
	result.size = nn_graph_shape(place.graph, dst)->dims[0];
	result.value = malloc(ROWS * result.size * sizeof(float));
	result.diff_src = malloc(ROWS * size_src * sizeof(float));
	CHECK_OR_STOP(result.value != NULL && result.diff_src != NULL, "memory for results");
	for (size_t row = 0; row < ROWS; row += alone ? 1 : ROWS)
	{
		size_t		batch = alone ? 1 : ROWS;

		set_rows(&place, length, row, batch, padding);
		nn_run_forward(place.run, dst, mode, 1, 1, row);
		nn_run_backward(place.run, dst, 1, NULL);
		memcpy(result.value + row * result.size, nn_run_value(place.run, dst), batch * result.size * sizeof(float));
		memcpy(result.diff_src + row * size_src, nn_run_gradient(place.run, place.src), batch * size_src * sizeof(float));
	}
	result.n_weights = place.n_weights;
	result.diff_weights = copy_of(place.diff_weights, place.n_weights);
	place_close(&place);
	return result;
}

static bool
same_values(const Result *a, const Result *b)
{
	return a->size == b->size && memcmp(a->value, b->value, ROWS * a->size * sizeof(float)) == 0;
}

/* Largest difference, relative to the largest value. */
static double
distance(const float *a, const float *b, size_t n)
{
	double		most = 1e-30;
	double		worst = 0;

	for (size_t i = 0; i < n; i++)
	{
		most = fmax(most, fabs(a[i]));
		if (!(fabs((double) a[i] - b[i]) <= worst))
			worst = fabs((double) a[i] - b[i]);
	}
	return worst / most;
}

static void
check_padding(Build build, const char *name)
{
	Result		shortest = results(build, 6, 0, NN_INFER, NULL, false);
	Result		longer = results(build, 11, 1e30f, NN_INFER, NULL, false);
	Result		alone = results(build, 11, -7, NN_INFER, NULL, true);
	Result		train = results(build, 6, 0, NN_TRAIN, NULL, false);
	Result		train_longer = results(build, 11, 1e30f, NN_TRAIN, NULL, false);
	bool		zero = true;
	double		worst = 0;

	CHECK(same_values(&shortest, &longer), "%s: neither length nor contents of the padding change a bit at inference", name);
	CHECK(same_values(&shortest, &alone), "%s: nor do the rows beside", name);
	CHECK_NEAR(distance(shortest.value, train.value, ROWS * shortest.size), 0, 1e-5, "%s: training computes the same", name);
	CHECK_NEAR(distance(train.diff_weights, train_longer.diff_weights, train.n_weights), 0, 1e-5,
			   "%s: padding does not teach the weights", name);
	for (size_t b = 0; b < ROWS; b++)
		for (size_t t = 0; t < 11; t++)
			for (size_t c = 0; c < WIDTH; c++)
			{
				float		diff = train_longer.diff_src[(b * 11 + t) * WIDTH + c];

				if ((int32_t) t >= row_lengths[b])
					zero = zero && diff == 0;
				else
					worst = fmax(worst, fabs(diff - train.diff_src[(b * 6 + t) * WIDTH + c]));
			}
	CHECK(zero, "%s: no gradient reaches the padding", name);
	CHECK_NEAR(worst, 0, 1e-5, "%s: nor does it change one elsewhere", name);
	result_free(&shortest);
	result_free(&longer);
	result_free(&alone);
	result_free(&train);
	result_free(&train_longer);
}

static void
check_instruction_sets(Build build, const char *name)
{
	Result		portable = results(build, 7, 1, NN_INFER, &dev_kernels_portable, false);

	for (int i = 0; dev_kernels(i) != NULL; i++)
	{
		Result		other = results(build, 7, 1, NN_INFER, dev_kernels(i), false);
		Result		train = results(build, 7, 1, NN_TRAIN, dev_kernels(i), false);

		CHECK(same_values(&portable, &other), "%s: the bits of %s are those of the portable kernels", name, dev_kernels(i)->name);
		CHECK_NEAR(distance(portable.diff_weights, train.diff_weights, portable.n_weights), 0, 1e-5,
				   "%s: gradients of %s in training", name, dev_kernels(i)->name);
		result_free(&other);
		result_free(&train);
	}
	result_free(&portable);
}

/* ---- Products with a packed matrix ---- */

static void
check_packed(const Kernels *k)
{
	static const size_t sizes[][3] = {{1, 1, 1}, {3, 33, 5}, {8, 64, 17}, {13, 15, 300}, {250, 40, 9}, {5, 130, 600}};

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
	{
		size_t		m = sizes[s][0];
		size_t		n = sizes[s][1];
		size_t		depth = sizes[s][2];
		float	   *a = malloc(m * depth * sizeof(float));
		float	   *b = malloc(depth * n * sizeof(float));
		float	   *packed = malloc(kernel_packed_size(depth, n) * sizeof(float));
		float	   *c = malloc(m * n * sizeof(float));
		double		worst = 0;

		CHECK_OR_STOP(a != NULL && b != NULL && packed != NULL && c != NULL, "memory for a product");
		for (size_t i = 0; i < m * depth; i++)
			a[i] = (float) dev_random_normal(5, 1, i);
		for (size_t i = 0; i < depth * n; i++)
			b[i] = (float) dev_random_normal(5, 2, i);
		for (int way = 0; way < 4; way++)
		{
			bool		transposed = way % 2 != 0;
			bool		accumulate = way / 2 != 0;

			for (size_t i = 0; i < m * n; i++)
				c[i] = 3;
			k->pack(depth, n, b, transposed ? 1 : n, transposed ? depth : 1, packed);
			k->multiply_packed(way % 3 != 0, m, n, depth, a, depth, packed, accumulate, c, n);
			for (size_t i = 0; i < m; i++)
				for (size_t j = 0; j < n; j++)
				{
					double		sum = accumulate ? 3 : 0;

					for (size_t p = 0; p < depth; p++)
						sum += (double) a[i * depth + p] * b[transposed ? j * depth + p : p * n + j];
					worst = fmax(worst, fabs(sum - c[i * n + j]) / sqrt((double) depth));
				}
		}
		CHECK_NEAR(worst, 0, 3e-6, "%s: products (%zu, %zu, %zu) with a packed matrix", k->name, m, n, depth);
		free(a);
		free(b);
		free(packed);
		free(c);
	}
}

/* ---- Tags ---- */

/* Score of a path, numbered in base n_tags. */
static double
path_score(size_t length, size_t n_tags, size_t path, const float *emissions, const float *transitions, const float *start,
		   const float *end)
{
	double		score = 0;
	size_t		before = 0;

	for (size_t t = 0; t < length; t++)
	{
		size_t		tag = path % n_tags;

		score += (double) emissions[t * n_tags + tag] + (t == 0 ? start[tag] : transitions[before * n_tags + tag]);
		before = tag;
		path /= n_tags;
	}
	return score + end[before];
}

static void
check_decode(size_t length, size_t n_tags, double scale, size_t shift)
{
	float		emissions[64];
	float		transitions[64];
	float		ends[2][8];
	float		work[512];
	int32_t		tags[8] = {0};
	float		marginals[8];
	double		expected[64] = {0};
	size_t		n_paths = 1;
	size_t		best = 0;
	double		best_score = -INFINITY;
	double		sum = 0;
	bool		same = true;
	double		worst = 0;

	for (size_t i = 0; i < 64; i++)
	{
		emissions[i] = (float) (scale * dev_random_normal(9, 1 + length, i));
		transitions[i] = (float) (scale * dev_random_normal(9, 20 + n_tags, i));
		ends[i / 8 % 2][i % 8] = (float) (scale * dev_random_normal(9, 40, i));
	}
	for (size_t t = 0; t < length; t++)
		n_paths *= n_tags;
	for (size_t path = 0; path < n_paths; path++)
	{
		double		score = path_score(length, n_tags, path, emissions, transitions, ends[0], ends[1]);

		if (score > best_score)
		{
			best_score = score;
			best = path;
		}
	}
	for (size_t path = 0; path < n_paths; path++)
	{
		double		weight = exp(path_score(length, n_tags, path, emissions, transitions, ends[0], ends[1]) - best_score);
		size_t		rest = path;

		sum += weight;
		for (size_t t = 0; t < length; t++, rest /= n_tags)
			expected[t * n_tags + rest % n_tags] += weight;
	}
	CHECK_OR_STOP(nn_crf_decode_size(length, n_tags) + shift <= 512, "the work of decoding fits");
	nn_crf_decode(length, n_tags, emissions, transitions, ends[0], ends[1], work + shift, tags, marginals);
	for (size_t t = 0; t < length; t++, best /= n_tags)
	{
		same = same && (size_t) tags[t] == best % n_tags;
		worst = fmax(worst, fabs(marginals[t] - expected[t * n_tags + best % n_tags] / sum));
	}
	CHECK(same, "crf: the best of %zu paths is found (%zu positions, %zu tags)", n_paths, length, n_tags);
	CHECK_NEAR(worst, 0, 1e-6, "crf: and how likely its tags are");
}

/* The loss of one sequence of `length` positions with two tags and its gradients, by hand-made weights. */
typedef struct Two
{
	Place		place;
	NnNode		loss;
} Two;

static void
two_open(Two *two, size_t length, const float *transitions)
{
	static const float zeros[] = {0, 0};
	NnShape		square = nn_shape(2, 2, 2, 0, 0);
	NnShape		pair = nn_shape(1, 2, 0, 0, 0);

	place_open(&two->place, length, 2);
	two->loss = nn_crf(two->place.graph, two->place.src, two->place.targets, two->place.lengths,
					   nn_parameter(two->place.graph, "t", &square, NN_ROLE_MATRIX, NN_INIT_GIVEN, 0, transitions),
					   nn_parameter(two->place.graph, "s", &pair, NN_ROLE_VECTOR, NN_INIT_GIVEN, 0, zeros),
					   nn_parameter(two->place.graph, "e", &pair, NN_ROLE_VECTOR, NN_INIT_GIVEN, 0, zeros));
	place_compile(&two->place, 1);
}

static double
two_loss(Two *two, const float *x, const int32_t *targets, int32_t length)
{
	nn_run_set(two->place.run, two->place.src, 1, x);
	nn_run_set_codes(two->place.run, two->place.targets, 1, targets);
	nn_run_set_codes(two->place.run, two->place.lengths, 1, &length);
	nn_run_forward(two->place.run, two->loss, NN_INFER, 0, 0, 0);
	nn_run_backward(two->place.run, two->loss, 1, NULL);
	return nn_run_value(two->place.run, two->loss)[0];
}

static void
check_crf_extremes(void)
{
	static const float forbidden[] = {0, -1e4f, -1e4f, 0};	/* a tag stays what it is */
	static const float x[] = {1e4f, -1e4f, -1e4f, 1e4f, 0, 0};
	static const float even[] = {0, 0, 0, 0, 0, 0};
	static const int32_t stays[] = {0, 0, 0};
	static const int32_t moves[] = {0, 1, 1};
	static const int32_t unknown[] = {-1, 2, 99};
	bool		finite = true;
	bool		zero = true;
	const float *diff;
	Two			two;

	two_open(&two, 3, forbidden);
	/* all paths: 0 0 0 and 1 1 1 score 0, 0 1 1 scores 1e4, which is nearly all of the sum */
	CHECK_NEAR(two_loss(&two, x, stays, 3), 1e4 / 3, 1e-6, "crf: an unlikely path costs what it is behind");
	diff = nn_run_gradient(two.place.run, two.place.src);
	for (size_t i = 0; i < 6; i++)
		finite = finite && isfinite(diff[i]);
	CHECK(finite && fabs(diff[3] - 1.0 / 3) < 1e-6 && fabs(diff[2] + 1.0 / 3) < 1e-6, "crf: and pulls towards itself");
	CHECK_NEAR(two_loss(&two, x, moves, 3), 0, 1e-6, "crf: the likeliest path costs nothing");
	CHECK(two_loss(&two, x, unknown, 3) == 0, "crf: without a target there is no loss");
	diff = nn_run_gradient(two.place.run, two.place.src);
	for (size_t i = 0; i < 6; i++)
		zero = zero && diff[i] == 0;
	CHECK(zero, "crf: nor a gradient");
	CHECK(two_loss(&two, x, stays, 0) == 0 && two_loss(&two, x, stays, -4) == 0, "crf: nothing costs nothing");
	CHECK_NEAR(two_loss(&two, x, stays, 1), 0, 1e-6, "crf: one position alone");
	CHECK_NEAR(two_loss(&two, even, stays, 1), log(2), 1e-6, "crf: one position alone, undecided");
	place_close(&two.place);
}

/* 3,000 positions whose logarithms add up: a relative error that grew with the length would show. */
static void
check_crf_long(void)
{
	enum
	{
		LONG = 3000
	};
	static const float even[] = {0, 0, 0, 0};
	static float x[2 * LONG];
	static int32_t targets[LONG];
	double		expected = 0;
	Two			two;

	for (size_t t = 0; t < LONG; t++)
	{
		x[2 * t] = (float) (20 * dev_random_normal(4, 1, t));
		x[2 * t + 1] = (float) (20 * dev_random_normal(4, 2, t));
		targets[t] = (int32_t) (t % 2);
		/* even transitions: positions do not know of each other */
		expected += log1p(exp(-fabs((double) x[2 * t] - x[2 * t + 1]))) +
			fmax(x[2 * t], x[2 * t + 1]) - x[2 * t + (size_t) targets[t]];
	}
	two_open(&two, LONG, even);
	CHECK_NEAR(two_loss(&two, x, targets, LONG), expected / LONG, 1e-6, "crf: a long sequence");
	place_close(&two.place);
}

/* ---- Cancel ---- */

enum
{
	ENOUGH = 40					/* cells after which the pass is told to stop */
};

static size_t cells_done;
static volatile bool told_to_stop;

static void
count_cell(void)
{
	cells_done++;
	told_to_stop = cells_done >= ENOUGH;
}

static void
counted_lstm_cell(size_t n, const float *bias, const float *product, float *gates, const float *before, float *cell,
				  float *dst, float *state)
{
	count_cell();
	dev_kernels_portable.lstm_cell(n, bias, product, gates, before, cell, dst, state);
}

static void
counted_gru_cell(size_t n, const float *bias, const float *bias_hidden, const float *product, float *gates,
				 const float *before, float *dst, float *state)
{
	count_cell();
	dev_kernels_portable.gru_cell(n, bias, bias_hidden, product, gates, before, dst, state);
}

static void
counted_lstm_cell_grad(size_t n, const float *gates, const float *before, const float *cell, const float *diff_dst,
					   const float *carry, float *carry_cell, float *diff_gates, float *product, float *diff_bias)
{
	count_cell();
	dev_kernels_portable.lstm_cell_grad(n, gates, before, cell, diff_dst, carry, carry_cell, diff_gates, product, diff_bias);
}

static void
counted_gru_cell_grad(size_t n, const float *gates, const float *before, const float *diff_dst, float *carry,
					  float *diff_gates, float *product, float *diff_bias)
{
	count_cell();
	dev_kernels_portable.gru_cell_grad(n, gates, before, diff_dst, carry, diff_gates, product, diff_bias);
}

/* A pass that is told to stop does so before the next step: of 9 sequences, 5 steps make the 40 cells. */
static void
check_cancel(bool lstm)
{
	const char *name = lstm ? "lstm" : "gru";
	Kernels		counted = dev_kernels_portable;
	float		x[ROWS * 30 * WIDTH] = {0};
	int32_t		lengths[ROWS];
	NnNode		dst;
	Place		place;

	counted.lstm_cell = counted_lstm_cell;
	counted.gru_cell = counted_gru_cell;
	counted.lstm_cell_grad = counted_lstm_cell_grad;
	counted.gru_cell_grad = counted_gru_cell_grad;
	for (size_t i = 0; i < ROWS; i++)
		lengths[i] = 30;
	place_open(&place, 30, WIDTH);
	dev_cpu_use_kernels(place.device, &counted);
	dst = lstm ? add_lstm(&place, place.src, WIDTH, 3, false, "a") : add_gru(&place, place.src, WIDTH, 3, false, "a");
	place_compile(&place, ROWS);
	nn_run_set(place.run, place.src, ROWS, x);
	nn_run_set_codes(place.run, place.lengths, ROWS, lengths);

	cells_done = 0;
	nn_run_forward(place.run, dst, NN_TRAIN, 0, 0, 0);
	CHECK(cells_done == ROWS * 30, "%s: %zu cells of a pass", name, cells_done);
	dev_queue_stop_on(nn_run_queue(place.run), &told_to_stop);
	cells_done = 0;
	told_to_stop = false;
	nn_run_forward(place.run, dst, NN_TRAIN, 0, 0, 0);
	CHECK(cells_done == 45, "%s: a pass told to stop does so before its next step (%zu cells)", name, cells_done);
	cells_done = 0;
	told_to_stop = false;
	nn_run_backward(place.run, dst, 1, NULL);
	CHECK(cells_done == 45, "%s: so does the way back (%zu cells)", name, cells_done);
	place_close(&place);
}

/* ---- Wrong requests ---- */

typedef struct Wrongs
{
	Place		place;
	NnParameter in;				/* (3, 8) */
	NnParameter hidden;			/* (2, 8) */
	NnParameter bias;			/* (8) */
	NnParameter square;			/* (3, 3) */
	NnParameter three;			/* (3) */
} Wrongs;

static NnNode wrong_weights(Wrongs *w) { return nn_lstm(w->place.graph, w->place.src, NN_NONE, false, w->hidden, w->hidden, w->bias); }
static NnNode wrong_gates(Wrongs *w) { return nn_gru(w->place.graph, w->place.src, NN_NONE, false, w->in, w->hidden, w->bias, w->bias); }
static NnNode wrong_missing(Wrongs *w) { return nn_lstm(w->place.graph, w->place.src, NN_NONE, false, w->in, w->hidden, NN_NONE); }
static NnNode wrong_rank(Wrongs *w) { return nn_lstm(w->place.graph, w->place.scores, NN_NONE, false, w->in, w->hidden, w->bias); }
static NnNode wrong_lengths(Wrongs *w) { return nn_last(w->place.graph, w->place.src, w->place.targets, false); }
static NnNode wrong_lengths_kind(Wrongs *w) { return nn_masked_mean(w->place.graph, w->place.src, w->place.scores); }
static NnNode wrong_mask(Wrongs *w) { return nn_mask(w->place.graph, w->place.scores, w->place.lengths); }
static NnNode wrong_scores(Wrongs *w) { return nn_attention_pool(w->place.graph, w->place.src, w->place.src, NN_NONE); }
static NnNode wrong_scores_kind(Wrongs *w) { return nn_attention_pool(w->place.graph, w->place.src, w->place.targets, NN_NONE); }
static NnNode wrong_transitions(Wrongs *w) { return nn_crf(w->place.graph, w->place.src, w->place.targets, NN_NONE, w->in, w->three, w->three); }
static NnNode wrong_end(Wrongs *w) { return nn_crf(w->place.graph, w->place.src, w->place.targets, NN_NONE, w->square, w->three, NN_NONE); }
static NnNode wrong_targets(Wrongs *w) { return nn_crf(w->place.graph, w->place.src, w->place.lengths, NN_NONE, w->square, w->three, w->three); }
static NnNode wrong_target_kind(Wrongs *w) { return nn_token_cross_entropy(w->place.graph, w->place.src, w->place.scores, NN_NONE, NULL, 0); }
static NnNode wrong_smoothing(Wrongs *w) { return nn_token_cross_entropy(w->place.graph, w->place.src, w->place.targets, NN_NONE, NULL, 1); }

static NnNode
wrong_class_weight(Wrongs *w)
{
	static const float weights[] = {1, NAN, 1};

	return nn_token_cross_entropy(w->place.graph, w->place.src, w->place.targets, NN_NONE, weights, 0);
}

static void
check_wrong(void)
{
	static const struct
	{
		const char *name;
		NnNode		(*build) (Wrongs *w);
	}			wrongs[] = {
		{"lstm with weights for other inputs", wrong_weights},
		{"gru with four gates", wrong_gates},
		{"lstm without bias", wrong_missing},
		{"lstm of a vector", wrong_rank},
		{"last with many lengths", wrong_lengths},
		{"masked_mean with lengths that are numbers", wrong_lengths_kind},
		{"mask of a vector", wrong_mask},
		{"attention_pool with several scores a position", wrong_scores},
		{"attention_pool with codes as scores", wrong_scores_kind},
		{"crf with transitions that are not square", wrong_transitions},
		{"crf without end", wrong_end},
		{"crf with one target", wrong_targets},
		{"token_cross_entropy with numbers as targets", wrong_target_kind},
		{"token_cross_entropy with smoothing 1", wrong_smoothing},
		{"token_cross_entropy with a weight that is no number", wrong_class_weight}
	};

	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++)
	{
		Wrongs		w;

		place_open(&w.place, 4, 3);
		w.in = drawn(&w.place, "in", nn_shape(2, 3, 8, 0, 0));
		w.hidden = drawn(&w.place, "hidden", nn_shape(2, 2, 8, 0, 0));
		w.bias = drawn(&w.place, "bias", nn_shape(1, 8, 0, 0, 0));
		w.square = drawn(&w.place, "square", nn_shape(2, 3, 3, 0, 0));
		w.three = drawn(&w.place, "three", nn_shape(1, 3, 0, 0, 0));
		CHECK(wrongs[i].build(&w) == NN_NONE, "%s is refused", wrongs[i].name);
		CHECK_STATUS(w.place.session, nn_graph_compile(w.place.graph), DEV_INVALID, "%s: %s", wrongs[i].name,
					 dev_message_text(w.place.session));
		place_close(&w.place);
	}
}

int
main(void)
{
	check_all(sequence_cases, N_CASES(sequence_cases));
	check_padding(add_tower, "layers and pooling");
	check_padding(add_losses, "losses");
	check_instruction_sets(add_tower, "layers and pooling");
	check_instruction_sets(add_losses, "losses");
	for (int i = 0; dev_kernels(i) != NULL; i++)
		check_packed(dev_kernels(i));
	for (size_t length = 1; length <= 6; length++)
		for (size_t n_tags = 1; n_tags <= 4; n_tags++)
			check_decode(length, n_tags, n_tags == 3 ? 300 : 1, length % 2);
	check_crf_extremes();
	check_crf_long();
	check_cancel(true);
	check_cancel(false);
	check_wrong();
	return check_done();
}

/*
 * test_optimizer.c: trajectories of the optimisers against PyTorch's, shares of the weights, what is never
 * touched, and the learning rate's schedules.
 */
#include "idla/nn.h"

#include "check.h"
#include "reference/optimizers.h"

#define N_REFERENCE 5
#define TOLERANCE 2e-6
#define MUON_TOLERANCE 1e-5		/* its iteration stretches small singular values, and their rounding, some hundredfold */

typedef struct Place
{
	DevSession *session;
	DevDevice  *device;
	DevQueue   *queue;
	NnGraph    *graph;
	NnParameter parameters[16];
	int			n_parameters;
	float	   *weights;
	float	   *diff_weights;
} Place;

static DevStatus
place_open(Place *place, const DevHost *host)
{
	DevStatus	status;

	memset(place, 0, sizeof(*place));
	status = dev_session_open(host, 1, &place->session);
	if (status == DEV_OK)
		status = dev_cpu_open(place->session, NULL, &place->device);
	if (status == DEV_OK)
		status = dev_queue_create(place->device, &place->queue);
	if (status == DEV_OK)
		status = nn_graph_create(place->session, &place->graph);
	return status;
}

static void
place_add(Place *place, const char *name, NnShape shape, NnRole role, float factor)
{
	NnParameter added = nn_parameter(place->graph, name, &shape, role, NN_INIT_NORMAL, 1, NULL);

	if (factor != 1)
		nn_parameter_rate(place->graph, added, factor);
	place->parameters[place->n_parameters++] = added;
}

/* A graph needs a node; weights are filled as the seed says, gradients are left zero. */
static DevStatus
place_compile(Place *place)
{
	NnShape		one = nn_shape(1, 1, 0, 0, 0);
	DevStatus	status;

	nn_input(place->graph, "x", &one);
	status = nn_graph_compile(place->graph);
	if (status != DEV_OK)
		return status;
	place->weights = dev_alloc(place->session, nn_graph_weights(place->graph), sizeof(float));
	place->diff_weights = dev_alloc(place->session, nn_graph_weights(place->graph), sizeof(float));
	if (place->weights == NULL || place->diff_weights == NULL)
		return DEV_NO_MEMORY;
	nn_graph_initialize(place->graph, 5, place->weights);
	return DEV_OK;
}

static const NnParameterInfo *
info_of(const Place *place, int i)
{
	return nn_graph_parameter(place->graph, place->parameters[i]);
}

static void
apply_all(NnOptimizer *optimizer, Place *place, int n_shares, float factor, float scale)
{
	nn_optimizer_begin(optimizer, factor, scale);
	for (int share = 0; share < n_shares; share++)
		nn_optimizer_apply(optimizer, place->queue, share, place->diff_weights, place->weights);
}

/* ---- Trajectories ---- */

/* The parameters of reference/generate.py, in its order; a table is not decayed by itself, a head is. */
static void
add_reference(Place *place)
{
	place_add(place, "wide", nn_shape(2, 3, 5, 0, 0), NN_ROLE_MATRIX, 1);
	place_add(place, "tall", nn_shape(2, 6, 2, 0, 0), NN_ROLE_MATRIX, 0.5f);
	place_add(place, "bias", nn_shape(1, 5, 0, 0, 0), NN_ROLE_VECTOR, 1);
	place_add(place, "groups", nn_shape(3, 2, 3, 4, 0), NN_ROLE_MATRIX, 1);
	place_add(place, "table", nn_shape(2, 4, 2, 0, 0), NN_ROLE_HEAD, 2);
}

/* Copies between the weights array and the reference's, which has no padding; returns the number of values. */
static size_t
scatter(const Place *place, const float *values, float *weights)
{
	size_t		n = 0;

	for (int i = 0; i < N_REFERENCE; i++)
	{
		memcpy(weights + info_of(place, i)->offset, values + n, info_of(place, i)->size * sizeof(float));
		n += info_of(place, i)->size;
	}
	return n;
}

static double
path_error(const Place *place, const float *expected)
{
	double		worst = 0;
	size_t		n = 0;

	for (int i = 0; i < N_REFERENCE; i++)
		for (size_t k = 0; k < info_of(place, i)->size; k++, n++)
		{
			double		e = expected[n];
			double		error = fabs(place->weights[info_of(place, i)->offset + k] - e) / (fabs(e) > 1 ? fabs(e) : 1);

			if (!(error <= worst))
				worst = error;
		}
	return worst;
}

static NnOptimizerSpec
reference_spec(NnOptimizerKind kind)
{
	NnOptimizerSpec spec;

	nn_optimizer_defaults(kind, &spec);
	spec.rate = REFERENCE_RATE;
	spec.matrix_rate = REFERENCE_MATRIX_RATE;
	spec.decay = REFERENCE_DECAY;
	spec.beta1 = kind == NN_ADAMW ? 0.9f : kind == NN_SGD ? 0.875f : 0.9375f;
	spec.beta2 = 0.96875f;
	spec.epsilon = 1e-5f;
	return spec;
}

static void
check_path(NnOptimizerKind kind, const char *name, const float *path, int n_shares, double tolerance)
{
	NnOptimizerSpec spec = reference_spec(kind);
	NnOptimizer *optimizer;
	double		worst = 0;
	size_t		n;
	Place		place;

	CHECK_OR_STOP(place_open(&place, NULL) == DEV_OK, "a graph is created");
	add_reference(&place);
	CHECK_OR_STOP(place_compile(&place) == DEV_OK &&
				  nn_optimizer_create(place.graph, place.device, &spec, n_shares, &optimizer) == DEV_OK,
				  "%s: is created for %d shares", name, n_shares);
	n = scatter(&place, reference_start, place.weights);
	for (size_t step = 0; step < REFERENCE_STEPS; step++)
	{
		scatter(&place, reference_gradients + step * n, place.diff_weights);
		apply_all(optimizer, &place, n_shares, reference_factors[step], REFERENCE_SCALE);
		worst = fmax(worst, path_error(&place, path + step * n));
	}
	if (!CHECK(worst <= tolerance, "%s: %d steps as PyTorch takes them, in %d shares", name, REFERENCE_STEPS, n_shares))
		printf("#   relative error %g\n", worst);
	dev_session_close(place.session);
}

/* ---- Shares ---- */

static void
add_many(Place *place)
{
	place_add(place, "block0.linear.weights", nn_shape(2, 70, 33, 0, 0), NN_ROLE_MATRIX, 1);
	place_add(place, "block0.linear.bias", nn_shape(1, 33, 0, 0, 0), NN_ROLE_VECTOR, 1);
	place_add(place, "edges", nn_shape(2, 3, 5, 0, 0), NN_ROLE_CONSTANT, 1);
	place_add(place, "norm.mean", nn_shape(1, 33, 0, 0, 0), NN_ROLE_STATISTIC, 1);
	place_add(place, "groups", nn_shape(3, 7, 5, 3, 0), NN_ROLE_MATRIX, 1);
	place_add(place, "table", nn_shape(2, 100, 7, 0, 0), NN_ROLE_TABLE, 0.25f);
	place_add(place, "head", nn_shape(2, 33, 1, 0, 0), NN_ROLE_HEAD, 1);
}

static void
draw_gradients(Place *place, uint64_t step)
{
	for (size_t k = 0; k < nn_graph_weights(place->graph); k++)
		place->diff_weights[k] = (float) dev_random_normal(11, step, k);
}

/* The weights after three steps in n_shares shares, and whether the shares are disjoint and cover everything. */
static bool
walk_in_shares(Place *place, NnOptimizerKind kind, int n_shares)
{
	NnOptimizerSpec spec;
	NnOptimizer *optimizer;
	size_t		end = 0;
	bool		good = true;

	nn_optimizer_defaults(kind, &spec);
	CHECK_OR_STOP(place_open(place, NULL) == DEV_OK, "a graph is created");
	add_many(place);
	CHECK_OR_STOP(place_compile(place) == DEV_OK &&
				  nn_optimizer_create(place->graph, place->device, &spec, n_shares, &optimizer) == DEV_OK,
				  "an optimiser is created for %d shares", n_shares);
	for (int share = 0; share < n_shares; share++)
	{
		size_t		first;
		size_t		count;

		nn_optimizer_share(optimizer, share, &first, &count);
		good = good && first == end;
		end = first + count;
	}
	good = good && end == nn_graph_weights(place->graph);
	for (uint64_t step = 0; step < 3; step++)
	{
		draw_gradients(place, step);
		apply_all(optimizer, place, n_shares, 1, 0.5f);
	}
	return good;
}

/* Applying one share changes nothing outside it. */
static bool
stays_inside(NnOptimizerKind kind, int n_shares)
{
	NnOptimizerSpec spec;
	NnOptimizer *optimizer;
	size_t		n;
	bool		good = true;
	float	   *before;
	Place		place;

	nn_optimizer_defaults(kind, &spec);
	CHECK_OR_STOP(place_open(&place, NULL) == DEV_OK, "a graph is created");
	add_many(&place);
	CHECK_OR_STOP(place_compile(&place) == DEV_OK &&
				  nn_optimizer_create(place.graph, place.device, &spec, n_shares, &optimizer) == DEV_OK,
				  "an optimiser is created for %d shares", n_shares);
	n = nn_graph_weights(place.graph);
	before = dev_alloc(place.session, n, sizeof(float));
	CHECK_OR_STOP(before != NULL, "memory for %zu numbers", n);
	draw_gradients(&place, 1);
	nn_optimizer_begin(optimizer, 1, 1);
	for (int share = 0; share < n_shares; share++)
	{
		size_t		first;
		size_t		count;

		nn_optimizer_share(optimizer, share, &first, &count);
		memcpy(before, place.weights, n * sizeof(float));
		nn_optimizer_apply(optimizer, place.queue, share, place.diff_weights, place.weights);
		good = good && memcmp(before, place.weights, first * sizeof(float)) == 0 &&
			memcmp(before + first + count, place.weights + first + count, (n - first - count) * sizeof(float)) == 0;
	}
	dev_session_close(place.session);
	return good;
}

static void
check_shares(NnOptimizerKind kind, const char *name)
{
	static const int numbers[] = {2, 3, 4, 7, 16, 64};
	Place		one;

	CHECK(walk_in_shares(&one, kind, 1), "%s: one share is everything", name);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
	{
		Place		many;

		CHECK(walk_in_shares(&many, kind, numbers[i]), "%s: %d shares are disjoint and cover the weights", name, numbers[i]);
		CHECK(memcmp(one.weights, many.weights, nn_graph_weights(one.graph) * sizeof(float)) == 0,
			  "%s: %d shares give the bits of one", name, numbers[i]);
		CHECK(stays_inside(kind, numbers[i]), "%s: each of %d shares keeps to itself", name, numbers[i]);
		dev_session_close(many.session);
	}
	dev_session_close(one.session);
}

/* Shares that differ in size tenfold would leave threads waiting. */
static void
check_balance(void)
{
	NnOptimizerSpec spec;
	NnOptimizer *optimizer;
	size_t		least = SIZE_MAX;
	size_t		most = 0;
	Place		place;

	nn_optimizer_defaults(NN_ADAMW, &spec);
	CHECK_OR_STOP(place_open(&place, NULL) == DEV_OK, "a graph is created");
	place_add(&place, "a", nn_shape(2, 300, 300, 0, 0), NN_ROLE_MATRIX, 1);
	place_add(&place, "b", nn_shape(1, 300, 0, 0, 0), NN_ROLE_VECTOR, 1);
	CHECK_OR_STOP(place_compile(&place) == DEV_OK &&
				  nn_optimizer_create(place.graph, place.device, &spec, 4, &optimizer) == DEV_OK, "an optimiser is created");
	for (int share = 0; share < 4; share++)
	{
		size_t		first;
		size_t		count;

		nn_optimizer_share(optimizer, share, &first, &count);
		least = count < least ? count : least;
		most = count > most ? count : most;
	}
	CHECK(most - least < 1000, "shares of one large matrix are about equal (%zu to %zu)", least, most);
	dev_session_close(place.session);
}

/* ---- What roles mean ---- */

static void
check_roles(NnOptimizerKind kind, const char *name)
{
	NnOptimizerSpec spec;
	NnOptimizer *optimizer;
	float		before[33];
	size_t		constant;
	size_t		statistic;
	bool		good = true;
	Place		place;

	nn_optimizer_defaults(kind, &spec);
	spec.statistic_momentum = 0.25f;
	CHECK_OR_STOP(place_open(&place, NULL) == DEV_OK, "a graph is created");
	add_many(&place);
	CHECK_OR_STOP(place_compile(&place) == DEV_OK &&
				  nn_optimizer_create(place.graph, place.device, &spec, 2, &optimizer) == DEV_OK, "%s: is created", name);
	constant = info_of(&place, 2)->offset;
	statistic = info_of(&place, 3)->offset;
	draw_gradients(&place, 1);

	memcpy(before, place.weights + constant, 15 * sizeof(float));
	apply_all(optimizer, &place, 2, 1, 1);
	CHECK(memcmp(before, place.weights + constant, 15 * sizeof(float)) == 0, "%s: a constant is never touched", name);

	/* gradients scaled away and rate zero: an average moves all the same, by its momentum alone */
	memcpy(before, place.weights + statistic, 33 * sizeof(float));
	apply_all(optimizer, &place, 2, 0, 0);
	for (size_t k = 0; k < 33; k++)
		good = good && fabsf(place.weights[statistic + k] - (before[k] - 0.25f * place.diff_weights[statistic + k])) < 1e-6f;
	CHECK(good, "%s: a running statistic moves by its momentum, whatever rate and scale are", name);
	dev_session_close(place.session);
}

/* Muon's first update has singular values near one, and a zero gradient is no division by zero. */
static void
check_muon(void)
{
	enum
	{
		ROWS = 8, COLS = 20
	};
	NnOptimizerSpec spec;
	NnOptimizer *optimizer;
	double		least = INFINITY;
	double		most = 0;
	bool		zero = true;
	float	   *w;
	Place		place;

	nn_optimizer_defaults(NN_MUON, &spec);
	spec.decay = 0;
	spec.matrix_rate = 1;
	CHECK_OR_STOP(place_open(&place, NULL) == DEV_OK, "a graph is created");
	place_add(&place, "w", nn_shape(2, ROWS, COLS, 0, 0), NN_ROLE_MATRIX, 1);
	CHECK_OR_STOP(place_compile(&place) == DEV_OK &&
				  nn_optimizer_create(place.graph, place.device, &spec, 1, &optimizer) == DEV_OK, "muon: is created");
	w = place.weights;
	memset(w, 0, ROWS * COLS * sizeof(float));
	apply_all(optimizer, &place, 1, 1, 1);
	for (size_t k = 0; k < ROWS * COLS; k++)
		zero = zero && w[k] == 0;
	CHECK(zero, "muon: a zero gradient moves nothing");

	draw_gradients(&place, 1);
	apply_all(optimizer, &place, 1, 1, 1);
	for (size_t i = 0; i < ROWS; i++)
	{
		double		length = 0;

		for (size_t j = 0; j < COLS; j++)
			length += pow(w[i * COLS + j], 2) * ROWS / COLS;
		least = fmin(least, length);
		most = fmax(most, length);
	}
	CHECK(least > 0.4 && most < 1.6, "muon: rows of the update have length near one (squared %g to %g)", least, most);
	dev_session_close(place.session);
}

/* Every optimiser finds the bottom of a bowl. */
static void
check_descends(NnOptimizerKind kind, const char *name)
{
	enum
	{
		STEPS = 400
	};
	NnOptimizerSpec spec;
	NnOptimizer *optimizer;
	double		distance = 0;
	Place		place;

	nn_optimizer_defaults(kind, &spec);
	spec.rate = 0.05f;
	spec.matrix_rate = 0.1f;
	spec.decay = 0;
	CHECK_OR_STOP(place_open(&place, NULL) == DEV_OK, "a graph is created");
	place_add(&place, "w", nn_shape(2, 6, 4, 0, 0), NN_ROLE_MATRIX, 1);
	place_add(&place, "b", nn_shape(1, 4, 0, 0, 0), NN_ROLE_VECTOR, 1);
	CHECK_OR_STOP(place_compile(&place) == DEV_OK &&
				  nn_optimizer_create(place.graph, place.device, &spec, 1, &optimizer) == DEV_OK, "%s: is created", name);
	for (uint64_t step = 0; step < STEPS; step++)
	{
		for (size_t k = 0; k < nn_graph_weights(place.graph); k++)
			place.diff_weights[k] = 2 * (place.weights[k] - 0.75f);
		apply_all(optimizer, &place, 1, nn_schedule_factor(NN_COSINE, step, STEPS, 0.05f), 1);
	}
	for (int i = 0; i < 2; i++)
		for (size_t k = 0; k < info_of(&place, i)->size; k++)
			distance = fmax(distance, fabs(place.weights[info_of(&place, i)->offset + k] - 0.75));
	CHECK(distance < 0.02, "%s: reaches the bottom of a bowl (%g away)", name, distance);
	dev_session_close(place.session);
}

/* ---- Failures ---- */

static void
check_memory(NnOptimizerKind kind, const char *name)
{
	size_t		n = 0;
	bool		good = true;
	DevStatus	status;

	do
	{
		CheckHost	counts;
		DevHost		host = check_host(&counts, ++n);
		NnOptimizerSpec spec;
		NnOptimizer *optimizer = NULL;
		Place		place;

		nn_optimizer_defaults(kind, &spec);
		status = place_open(&place, &host);
		if (status == DEV_OK)
		{
			add_many(&place);
			status = place_compile(&place);
		}
		if (status == DEV_OK)
		{
			size_t		held = dev_session_used(place.session);

			status = nn_optimizer_create(place.graph, place.device, &spec, 3, &optimizer);
			good = good && (status == DEV_OK) == (optimizer != NULL);
			good = good && (status == DEV_OK || dev_session_used(place.session) == held);
		}
		good = good && (status == DEV_OK || status == DEV_NO_MEMORY);
		dev_session_close(place.session);
		good = good && counts.held == 0;
	} while (status != DEV_OK && n < 500);
	CHECK(good && status == DEV_OK && n > 10, "%s: survives the failure of each of %zu allocations", name, n - 1);
}

static void
check_refused(const char *what, NnOptimizerSpec spec, int n_shares)
{
	NnOptimizer *optimizer;
	Place		place;

	CHECK_OR_STOP(place_open(&place, NULL) == DEV_OK, "a graph is created");
	place_add(&place, "w", nn_shape(2, 3, 3, 0, 0), NN_ROLE_MATRIX, 1);
	CHECK_OR_STOP(place_compile(&place) == DEV_OK, "and compiled");
	CHECK(nn_optimizer_create(place.graph, place.device, &spec, n_shares, &optimizer) == DEV_INVALID && optimizer == NULL,
		  "%s is refused: %s", what, dev_message_text(place.session));
	dev_session_close(place.session);
}

static void
check_specs(void)
{
	NnOptimizerSpec good;
	NnOptimizerSpec bad;

	nn_optimizer_defaults(NN_ADAMW, &good);
	bad = good;
	bad.rate = -1;
	check_refused("a negative rate", bad, 1);
	bad = good;
	bad.rate = NAN;
	check_refused("a rate that is no number", bad, 1);
	bad = good;
	bad.beta1 = 1;
	check_refused("momentum 1", bad, 1);
	bad = good;
	bad.decay = INFINITY;
	check_refused("infinite decay", bad, 1);
	bad = good;
	bad.epsilon = 0;
	check_refused("epsilon 0", bad, 1);
	bad = good;
	bad.statistic_momentum = 2;
	check_refused("statistic momentum 2", bad, 1);
	bad = good;
	bad.kind = (NnOptimizerKind) 9;
	check_refused("an unknown kind", bad, 1);
	check_refused("no share", good, 0);
}

/* ---- Schedules ---- */

static void
check_schedule(NnScheduleKind kind, const char *name, float warm_up, float first, float top, float last)
{
	enum
	{
		STEPS = 200
	};
	float		most = 0;
	float		before = 0;
	bool		rises = true;
	bool		falls = true;
	size_t		n_rise = (size_t) (warm_up * STEPS + 0.5f);

	for (size_t step = 0; step < STEPS; step++)
	{
		float		factor = nn_schedule_factor(kind, step, STEPS, warm_up);

		if (step > 0 && step < n_rise)
			rises = rises && factor > before;
		if (step > n_rise)
			falls = falls && factor <= before;
		most = factor > most ? factor : most;
		before = factor;
	}
	CHECK_NEAR(nn_schedule_factor(kind, 0, STEPS, warm_up), first, 1e-5, "%s: the first step", name);
	CHECK_NEAR(most, top, 1e-6, "%s: the highest", name);
	CHECK_NEAR(nn_schedule_factor(kind, STEPS - 1, STEPS, warm_up), last, 1e-4, "%s: the last step", name);
	CHECK(rises && falls, "%s: rises, then never does again", name);
	CHECK(nn_schedule_factor(kind, STEPS + 5, STEPS, warm_up) == nn_schedule_factor(kind, STEPS - 1, STEPS, warm_up),
		  "%s: a step too many is the last one", name);
	CHECK(nn_schedule_factor(kind, 3, 0, warm_up) == 1, "%s: no steps at all", name);
	CHECK(nn_schedule_factor(kind, 0, 1, warm_up) > 0, "%s: a single step is taken", name);
}

static void
check_schedules(void)
{
	double		final = 0.5 * (1 + cos(3.14159265358979 * 179 / 180));

	check_schedule(NN_CONSTANT, "constant", 0, 1, 1, 1);
	check_schedule(NN_CONSTANT, "constant with warm-up", 0.1f, 0.05f, 1, 1);
	check_schedule(NN_COSINE, "cosine with warm-up", 0.1f, 0.05f, 1, (float) final);
	check_schedule(NN_ONE_CYCLE, "one cycle", 0.25f, 0.04f + 0.96f / 50, 1, (float) (0.5 * (1 + cos(3.14159265358979 * 149 / 150))));
	CHECK_NEAR(nn_schedule_factor(NN_COSINE, 50, 100, 0), 0.5, 1e-6, "cosine: half way is half");
	CHECK_NEAR(nn_schedule_factor(NN_ONE_CYCLE, 59, 200, 0), 1, 1e-6, "one cycle: rises for 30 %% unless told otherwise");
}

int
main(void)
{
	static const char *const names[] = {"adamw", "sgd", "muon"};
	static const int numbers[] = {1, 3};

	for (size_t i = 0; i < 2; i++)
	{
		check_path(NN_ADAMW, names[NN_ADAMW], reference_adamw, numbers[i], TOLERANCE);
		check_path(NN_SGD, names[NN_SGD], reference_sgd, numbers[i], TOLERANCE);
		check_path(NN_MUON, names[NN_MUON], reference_muon, numbers[i], MUON_TOLERANCE);
	}
	for (int kind = NN_ADAMW; kind <= NN_MUON; kind++)
	{
		check_shares((NnOptimizerKind) kind, names[kind]);
		check_roles((NnOptimizerKind) kind, names[kind]);
		check_descends((NnOptimizerKind) kind, names[kind]);
		check_memory((NnOptimizerKind) kind, names[kind]);
	}
	check_balance();
	check_muon();
	check_specs();
	check_schedules();
	return check_done();
}

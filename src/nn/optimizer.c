/*
 * optimizer.c: AdamW, SGD with Nesterov momentum, and Muon.
 *
 * The weights array is cut once into segments that follow one rule each, and into contiguous shares of
 * about equal work, one per thread. A segment that Muon orthogonalises is a whole matrix and is never
 * cut; every other rule works element by element, so a share may end anywhere.
 *
 * AdamW (Loshchilov and Hutter 2019): g = scale * gradient; w *= 1 - rate * decay;
 * m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; w -= rate * (m / c1) / (sqrt(v / c2) + epsilon).
 * SGD: v = b v + g; w = (1 - rate * decay) w - rate * (g + b v).
 * Muon (Jordan 2024): m = b m + (1 - b) g; u = orthogonal((1 - b) g + b m);
 * w = (1 - rate * decay) w - rate * sqrt(max(1, out / in)) * u.
 */
#include "arithmetic.h"

#include <math.h>

#define NEWTON_SCHULZ_STEPS 5
#define MUON_REST_BETA1 0.9f	/* beta1 is Muon's momentum; the AdamW beside it keeps Adam's own */
#define SHARE_GRAIN 16			/* floats in a cache line: threads do not write to the same one */

typedef enum Rule
{
	RULE_ADAM,
	RULE_SGD,
	RULE_MUON,
	RULE_STATISTIC
} Rule;

typedef struct Segment
{
	Rule		rule;
	size_t		first;			/* of its floats in the weights array */
	size_t		count;
	size_t		rows;			/* of a RULE_MUON matrix: inputs */
	size_t		cols;			/* outputs */
	float		decay;
	float		rate_factor;
	double		cost;
} Segment;

/* Scratch of one Newton-Schulz iteration; every share has its own. */
typedef struct Scratch
{
	float	   *matrix;			/* the update, on its way to orthogonal */
	float	   *next;
	float	   *gram;			/* (small, small) */
	float	   *polynomial;		/* (small, small) */
	float	   *sums;			/* (rows) of the norm */
	float	   *norm;			/* (1) */
} Scratch;

struct NnOptimizer
{
	NnOptimizerSpec spec;
	DevDevice  *device;
	size_t		n_weights;
	float	   *mean;			/* first moment, or velocity */
	float	   *variance;		/* NULL under SGD */
	Segment    *segments;
	size_t		n_segments;
	size_t	   *bounds;			/* (n_shares + 1) */
	Scratch    *scratch;		/* (n_shares) */
	int			n_shares;

	/* of the step begun last */
	uint64_t	step;
	float		rate_factor;
	float		scale;
};

void
nn_optimizer_defaults(NnOptimizerKind kind, NnOptimizerSpec *spec)
{
	*spec = (NnOptimizerSpec)
	{
		.kind = kind,
		.rate = kind == NN_SGD ? 0.05f : 2e-3f,
		.matrix_rate = 0.02f,
		.decay = 3e-4f,
		.beta1 = kind == NN_MUON ? 0.95f : 0.9f,
		.beta2 = 0.999f,
		.epsilon = 1e-8f,
		.statistic_momentum = 0.1f
	};
}

static bool
in_range(float value, float low, float high)
{
	return value >= low && value < high;
}

static DevStatus
check_spec(DevSession *session, const NnOptimizerSpec *spec, int n_shares)
{
	if (spec->kind != NN_ADAMW && spec->kind != NN_SGD && spec->kind != NN_MUON)
		return dev_fail(session, DEV_INVALID, "unknown optimizer number %d", (int) spec->kind);
	if (!in_range(spec->rate, 0, INFINITY) || !in_range(spec->matrix_rate, 0, INFINITY))
		return dev_fail(session, DEV_INVALID, "learning rate \"%g\" is not a number of at least 0",
						in_range(spec->rate, 0, INFINITY) ? spec->matrix_rate : spec->rate);
	if (!in_range(spec->decay, 0, INFINITY))
		return dev_fail(session, DEV_INVALID, "weight decay \"%g\" is not a number of at least 0", spec->decay);
	if (!in_range(spec->beta1, 0, 1) || !in_range(spec->beta2, 0, 1))
		return dev_fail(session, DEV_INVALID, "momentum \"%g\" is not at least 0 and less than 1",
						in_range(spec->beta1, 0, 1) ? spec->beta2 : spec->beta1);
	if (!(spec->epsilon > 0) || !isfinite(spec->epsilon))
		return dev_fail(session, DEV_INVALID, "optimizer epsilon \"%g\" is not a positive number", spec->epsilon);
	if (!(spec->statistic_momentum >= 0 && spec->statistic_momentum <= 1))
		return dev_fail(session, DEV_INVALID, "statistic momentum \"%g\" is not between 0 and 1",
						spec->statistic_momentum);
	if (n_shares < 1)
		return dev_fail(session, DEV_INVALID, "number of optimizer shares \"%d\" is not at least 1", n_shares);
	return DEV_OK;
}

/* ---- Segments and shares ---- */

static bool
is_muon_matrix(const NnOptimizerSpec *spec, const NnParameterInfo *info)
{
	return spec->kind == NN_MUON && info->role == NN_ROLE_MATRIX && info->shape.rank >= 2;
}

/* The matrices of a parameter: its last two dimensions, once for every index of those before. */
static size_t
count_matrices(const NnParameterInfo *info)
{
	int			rank = info->shape.rank;

	return info->size / (info->shape.dims[rank - 2] * info->shape.dims[rank - 1]);
}

/* Work of a segment in the time of one AdamW element, roughly: a matrix product does some 40 flops meanwhile. */
static double
segment_cost(const Segment *segment)
{
	double		small = (double) (segment->rows < segment->cols ? segment->rows : segment->cols);
	double		count = (double) segment->count;

	if (segment->rule != RULE_MUON)
		return count;
	return 6 * count + NEWTON_SCHULZ_STEPS * (4 * small * count + 2 * small * small * small) / 40;
}

static size_t
count_segments(const NnGraph *graph, const NnOptimizerSpec *spec)
{
	size_t		n = 0;

	for (int i = 0; i < nn_graph_parameters(graph); i++)
	{
		const NnParameterInfo *info = nn_graph_parameter(graph, i);

		if (info->role != NN_ROLE_CONSTANT && info->size > 0)
			n += is_muon_matrix(spec, info) ? count_matrices(info) : 1;
	}
	return n;
}

static void
add_segments(NnOptimizer *optimizer, const NnParameterInfo *info)
{
	Segment		segment = {.first = info->offset, .count = info->size, .rate_factor = info->rate_factor};
	size_t		n = 1;

	segment.decay = info->decayed ? optimizer->spec.decay : 0;
	if (info->role == NN_ROLE_STATISTIC)
		segment.rule = RULE_STATISTIC;
	else if (is_muon_matrix(&optimizer->spec, info))
	{
		segment.rule = RULE_MUON;
		segment.rows = info->shape.dims[info->shape.rank - 2];
		segment.cols = info->shape.dims[info->shape.rank - 1];
		segment.count = segment.rows * segment.cols;
		n = count_matrices(info);
	}
	else
		segment.rule = optimizer->spec.kind == NN_SGD ? RULE_SGD : RULE_ADAM;
	segment.cost = segment_cost(&segment);

	for (size_t i = 0; i < n; i++)
	{
		optimizer->segments[optimizer->n_segments++] = segment;
		segment.first += segment.count;
	}
}

/* Where a share that should end after `wanted` of the segment's cost ends: whole matrices, or whole cache lines. */
static size_t
cut_segment(const Segment *segment, double wanted)
{
	double		part = wanted / segment->cost;
	size_t		within;

	if (part >= 1)
		return segment->first + segment->count;
	if (segment->rule == RULE_MUON)
		return part < 0.5 ? segment->first : segment->first + segment->count;
	within = (size_t) (part * (double) segment->count) / SHARE_GRAIN * SHARE_GRAIN;
	return segment->first + within;
}

/* Contiguous shares of about equal cost. The parameters lie in the weights array in the order of their numbers. */
static void
set_shares(NnOptimizer *optimizer)
{
	size_t		i = 0;
	double		total = 0;
	double		done = 0;		/* cost of the segments before i */

	for (size_t s = 0; s < optimizer->n_segments; s++)
		total += optimizer->segments[s].cost;

	optimizer->bounds[0] = 0;
	for (int share = 1; share < optimizer->n_shares; share++)
	{
		double		wanted = total * share / optimizer->n_shares;
		size_t		bound = optimizer->bounds[share - 1];

		while (i < optimizer->n_segments && done + optimizer->segments[i].cost <= wanted)
			done += optimizer->segments[i++].cost;
		if (i < optimizer->n_segments)
		{
			size_t		cut = cut_segment(&optimizer->segments[i], wanted - done);

			bound = cut > bound ? cut : bound;
		}
		else
			bound = optimizer->n_weights;
		optimizer->bounds[share] = bound;
	}
	optimizer->bounds[optimizer->n_shares] = optimizer->n_weights;
}

/* ---- Creating ---- */

static bool
alloc_floats(DevDevice *device, size_t n, float **block)
{
	if (n > SIZE_MAX / sizeof(float))
	{
		dev_fail(device->session, DEV_NO_MEMORY, "out of memory");
		return false;
	}
	*block = device->primitives->alloc(device, (n > 0 ? n : 1) * sizeof(float));
	return *block != NULL;
}

static bool
alloc_scratch(NnOptimizer *optimizer, int share)
{
	Scratch    *scratch = &optimizer->scratch[share];
	size_t		most = 0;
	size_t		most_small = 0;
	size_t		most_rows = 0;

	for (size_t i = 0; i < optimizer->n_segments; i++)
	{
		const Segment *segment = &optimizer->segments[i];
		size_t		small = segment->rows < segment->cols ? segment->rows : segment->cols;

		if (segment->rule != RULE_MUON || segment->first < optimizer->bounds[share] ||
			segment->first >= optimizer->bounds[share + 1])
			continue;
		most = segment->count > most ? segment->count : most;
		most_small = small > most_small ? small : most_small;
		most_rows = segment->rows > most_rows ? segment->rows : most_rows;
	}
	if (most == 0)
		return true;
	return alloc_floats(optimizer->device, most, &scratch->matrix) &&
		alloc_floats(optimizer->device, most, &scratch->next) &&
		alloc_floats(optimizer->device, most_small * most_small, &scratch->gram) &&
		alloc_floats(optimizer->device, most_small * most_small, &scratch->polynomial) &&
		alloc_floats(optimizer->device, most_rows, &scratch->sums) &&
		alloc_floats(optimizer->device, 1, &scratch->norm);
}

static void
release(NnOptimizer *optimizer)
{
	DevDevice  *device = optimizer->device;
	DevSession *session = device->session;

	for (int share = 0; optimizer->scratch != NULL && share < optimizer->n_shares; share++)
	{
		Scratch    *scratch = &optimizer->scratch[share];
		float	   *blocks[] = {scratch->matrix, scratch->next, scratch->gram, scratch->polynomial,
		scratch->sums, scratch->norm};

		for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
			if (blocks[i] != NULL)
				device->primitives->release(device, blocks[i]);
	}
	if (optimizer->mean != NULL)
		device->primitives->release(device, optimizer->mean);
	if (optimizer->variance != NULL)
		device->primitives->release(device, optimizer->variance);
	dev_release(session, optimizer->scratch);
	dev_release(session, optimizer->bounds);
	dev_release(session, optimizer->segments);
	dev_release(session, optimizer);
}

/* Everything but the optimiser itself; on false the caller releases what was taken. */
static bool
fill(NnOptimizer *optimizer, const NnGraph *graph)
{
	DevSession *session = optimizer->device->session;
	size_t		n_segments = count_segments(graph, &optimizer->spec);
	size_t		n_shares = (size_t) optimizer->n_shares;

	optimizer->segments = dev_alloc(session, n_segments + 1, sizeof(Segment));
	optimizer->bounds = optimizer->segments ? dev_alloc(session, n_shares + 1, sizeof(size_t)) : NULL;
	optimizer->scratch = optimizer->bounds ? dev_alloc(session, n_shares, sizeof(Scratch)) : NULL;
	if (optimizer->scratch == NULL)
		return false;

	for (int i = 0; i < nn_graph_parameters(graph); i++)
	{
		const NnParameterInfo *info = nn_graph_parameter(graph, i);

		if (info->role != NN_ROLE_CONSTANT && info->size > 0)
			add_segments(optimizer, info);
	}
	set_shares(optimizer);

	if (!alloc_floats(optimizer->device, optimizer->n_weights, &optimizer->mean))
		return false;
	if (optimizer->spec.kind != NN_SGD &&
		!alloc_floats(optimizer->device, optimizer->n_weights, &optimizer->variance))
		return false;
	for (int share = 0; share < optimizer->n_shares; share++)
		if (!alloc_scratch(optimizer, share))
			return false;
	return true;
}

DevStatus
nn_optimizer_create(const NnGraph *graph, DevDevice *device, const NnOptimizerSpec *spec, int n_shares,
					NnOptimizer **optimizer)
{
	DevSession *session = device->session;
	DevStatus	status = check_spec(session, spec, n_shares);
	NnOptimizer *made;

	*optimizer = NULL;
	if (status != DEV_OK)
		return status;
	made = dev_alloc(session, 1, sizeof(NnOptimizer));
	if (made == NULL)
		return DEV_NO_MEMORY;
	made->spec = *spec;
	made->device = device;
	made->n_weights = nn_graph_weights(graph);
	made->n_shares = n_shares;
	if (!fill(made, graph))
	{
		release(made);
		return DEV_NO_MEMORY;
	}
	*optimizer = made;
	return DEV_OK;
}

void
nn_optimizer_free(NnOptimizer *optimizer)
{
	if (optimizer != NULL)
		release(optimizer);
}

void
nn_optimizer_share(const NnOptimizer *optimizer, int share, size_t *first, size_t *count)
{
	*first = optimizer->bounds[share];
	*count = optimizer->bounds[share + 1] - optimizer->bounds[share];
}

/* ---- Stepping ---- */

void
nn_optimizer_begin(NnOptimizer *optimizer, float rate_factor, float scale)
{
	optimizer->step++;
	optimizer->rate_factor = rate_factor;
	optimizer->scale = scale;
}

/* 1 - beta^step, exact for beta near 1 */
static float
correction(float beta, uint64_t step)
{
	return beta > 0 ? (float) -expm1((double) step * log((double) beta)) : 1.0f;
}

static void
step_adam(const NnOptimizer *optimizer, DevQueue *queue, const Segment *segment, size_t first, size_t count,
		  const float *diff_weights, float *weights)
{
	const NnOptimizerSpec *spec = &optimizer->spec;
	DevAdam		how = {
		.rate = spec->rate * segment->rate_factor * optimizer->rate_factor,
		.beta1 = spec->kind == NN_MUON ? MUON_REST_BETA1 : spec->beta1,
		.beta2 = spec->beta2,
		.epsilon = spec->epsilon,
		.decay = segment->decay,
		.scale = optimizer->scale
	};

	how.correction1 = correction(how.beta1, optimizer->step);
	how.correction2 = correction(how.beta2, optimizer->step);
	queue->primitives->adam(queue, count, &how, diff_weights + first, weights + first,
							optimizer->mean + first, optimizer->variance + first);
}

static void
step_sgd(const NnOptimizer *optimizer, DevQueue *queue, const Segment *segment, size_t first, size_t count,
		 const float *diff_weights, float *weights)
{
	float		momentum = optimizer->spec.beta1;
	float		rate = optimizer->spec.rate * segment->rate_factor * optimizer->rate_factor;
	float	   *velocity = optimizer->mean + first;

	multiply(queue, count, momentum, velocity);
	add_scaled(queue, count, optimizer->scale, diff_weights + first, velocity);
	multiply(queue, count, 1 - rate * segment->decay, weights + first);
	add_scaled(queue, count, -rate * optimizer->scale, diff_weights + first, weights + first);
	add_scaled(queue, count, -rate * momentum, velocity, weights + first);
}

/* matrix /= its Frobenius norm, which bounds its largest singular value; a zero matrix stays zero. */
static void
normalize(DevQueue *queue, const Segment *segment, Scratch *scratch)
{
	const DevPrimitives *p = queue->primitives;
	size_t		rows = segment->rows;
	size_t		cols = segment->cols;

	p->reduce_cols(queue, rows, cols, scratch->matrix, cols, scratch->matrix, cols, scratch->sums, false);
	p->fill(queue, 1, 1e-14f, scratch->norm);
	p->reduce_rows(queue, rows, 1, scratch->sums, 1, NULL, 0, scratch->norm, true);
	p->map(queue, DEV_MAP_SQRT, 1, scratch->norm, 0, scratch->norm);
	p->map(queue, DEV_MAP_RECIPROCAL, 1, scratch->norm, 0, scratch->norm);
	p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_COLUMN, 1, rows * cols, scratch->matrix, rows * cols,
		   scratch->norm, 1, scratch->matrix, rows * cols, false);
}

/*
 * scratch->matrix becomes about orthogonal: five steps of X = a X + (b A + c A A) X with A = X X' (or the
 * mirror image where X is tall), whose coefficients are those published with Muon.
 */
static void
orthogonalize(DevQueue *queue, const Segment *segment, Scratch *scratch)
{
	static const float a = 3.4445f;
	static const float b = -4.7750f;
	static const float c = 2.0315f;
	const DevPrimitives *p = queue->primitives;
	size_t		rows = segment->rows;
	size_t		cols = segment->cols;
	bool		wide = rows <= cols;
	size_t		small = wide ? rows : cols;
	size_t		large = wide ? cols : rows;

	normalize(queue, segment, scratch);
	for (int i = 0; i < NEWTON_SCHULZ_STEPS; i++)
	{
		float	   *swap = scratch->matrix;

		p->gemm(queue, !wide, wide, small, small, large, 1, scratch->matrix, cols, scratch->matrix, cols,
				0, scratch->gram, small);
		p->copy(queue, small, small, scratch->gram, small, scratch->polynomial, small, false);
		p->gemm(queue, false, false, small, small, small, c, scratch->gram, small, scratch->gram, small,
				b, scratch->polynomial, small);
		p->copy(queue, rows, cols, scratch->matrix, cols, scratch->next, cols, false);
		if (wide)
			p->gemm(queue, false, false, rows, cols, rows, 1, scratch->polynomial, small, scratch->matrix, cols,
					a, scratch->next, cols);
		else
			p->gemm(queue, false, false, rows, cols, cols, 1, scratch->matrix, cols, scratch->polynomial, small,
					a, scratch->next, cols);
		scratch->matrix = scratch->next;
		scratch->next = swap;
	}
}

static void
step_muon(const NnOptimizer *optimizer, DevQueue *queue, Scratch *scratch, const Segment *segment,
		  const float *diff_weights, float *weights)
{
	size_t		first = segment->first;
	size_t		count = segment->count;
	float		momentum = optimizer->spec.beta1;
	float		rate = optimizer->spec.matrix_rate * segment->rate_factor * optimizer->rate_factor;
	float		fresh = (1 - momentum) * optimizer->scale;
	float	   *mean = optimizer->mean + first;
	float		shape = segment->cols > segment->rows ? sqrtf((float) segment->cols / (float) segment->rows) : 1.0f;

	multiply(queue, count, momentum, mean);
	add_scaled(queue, count, fresh, diff_weights + first, mean);
	queue->primitives->map(queue, DEV_MAP_SCALE, count, diff_weights + first, fresh, scratch->matrix);
	add_scaled(queue, count, momentum, mean, scratch->matrix);
	orthogonalize(queue, segment, scratch);
	multiply(queue, count, 1 - rate * segment->decay, weights + first);
	add_scaled(queue, count, -rate * shape, scratch->matrix, weights + first);
}

void
nn_optimizer_apply(NnOptimizer *optimizer, DevQueue *queue, int share, const float *diff_weights, float *weights)
{
	size_t		low = optimizer->bounds[share];
	size_t		high = optimizer->bounds[share + 1];

	for (size_t i = 0; i < optimizer->n_segments; i++)
	{
		const Segment *segment = &optimizer->segments[i];
		size_t		first = segment->first > low ? segment->first : low;
		size_t		end = segment->first + segment->count;

		end = end < high ? end : high;
		if (first >= end)
			continue;
		switch (segment->rule)
		{
			case RULE_ADAM:
				step_adam(optimizer, queue, segment, first, end - first, diff_weights, weights);
				break;
			case RULE_SGD:
				step_sgd(optimizer, queue, segment, first, end - first, diff_weights, weights);
				break;
			case RULE_MUON:
				step_muon(optimizer, queue, &optimizer->scratch[share], segment, diff_weights, weights);
				break;
			case RULE_STATISTIC:
				/* neither rate nor scale belongs to an average */
				add_scaled(queue, end - first, -optimizer->spec.statistic_momentum, diff_weights + first,
						   weights + first);
				break;
		}
	}
}

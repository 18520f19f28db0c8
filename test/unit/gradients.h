/*
 * gradients.h: a case of cases.h against finite differences, one example at a time, and without memory.
 */
#ifndef IDLA_TEST_GRADIENTS_H
#define IDLA_TEST_GRADIENTS_H

#include "cases.h"

/* sum(seed * dst) of the whole batch, and in *size the sum of its terms' magnitudes */
static inline double
objective(Bench *bench, NnMode mode, double *size)
{
	const Reference *r = bench->c->reference;
	const float *value;
	double		sum = 0;

	nn_run_forward(bench->run, bench->dst, mode, 1, 1, 0);
	value = nn_run_value(bench->run, bench->dst);
	*size = 0;
	for (size_t i = 0; i < r->batch * nn_shape_size(&r->dst.shape); i++)
	{
		sum += (double) value[i] * r->dst.diff[i];
		*size += fabs((double) value[i] * r->dst.diff[i]);
	}
	return sum;
}

typedef struct Differences
{
	size_t		checked;
	size_t		kinks;			/* where the two one-sided differences disagree: no derivative to speak of */
	double		worst;			/* error over its bound */
} Differences;

/*
 * Moves one number, which `set` makes known to the run, and compares the slope with the gradient. The bound has
 * a part for rounding, which grows with the terms summed, and one for the curvature.
 */
static inline void
difference(Bench *bench, NnMode mode, float *number, void (*set) (Bench *bench, const void *context),
		   const void *context, double gradient, Differences *d)
{
	float		kept = *number;
	float		step = 4e-3f;
	volatile float up = kept + step;
	volatile float down = kept - step;
	double		size;
	double		middle = objective(bench, mode, &size);
	double		above;
	double		below;
	double		slope;
	double		bend;
	double		bound;

	*number = up;
	set(bench, context);
	above = objective(bench, mode, &size);
	*number = down;
	set(bench, context);
	below = objective(bench, mode, &size);
	*number = kept;
	set(bench, context);

	slope = (above - below) / ((double) up - (double) down);
	bend = fabs((above - middle) / ((double) up - kept) - (middle - below) / ((double) kept - down));
	bound = 3e-7 * (size + 1) / step + 0.01 * fabs(slope) + 1e-3;
	if (bend > 0.2 * fabs(slope) + 4 * bound)
	{
		d->kinks++;
		return;
	}
	d->checked++;
	if (!(fabs(slope - gradient) / bound <= d->worst))
		d->worst = fabs(slope - gradient) / bound;
}

static inline void
report(const Case *c, const char *what, int i, const Differences *d)
{
	if (!CHECK(d->worst <= 1 && d->kinks * 5 <= d->checked, "%s: gradient of %s %d is the slope (%zu numbers)",
			   c->reference->name, what, i, d->checked))
		printf("#   error %g of what is allowed, %zu kinks\n", d->worst, d->kinks);
}

typedef struct Moved
{
	int			src;
	float	   *rows;
} Moved;

static inline void
set_source(Bench *bench, const void *context)
{
	const Moved *moved = context;

	nn_run_set(bench->run, bench->nodes.input[moved->src], bench->c->reference->batch, moved->rows);
}

/* The CPU's weights are read where they lie. */
static inline void
set_weights(Bench *bench, const void *context)
{
	(void) bench;
	(void) context;
}

static inline void
check_source_differences(Bench *bench, NnMode mode, int i)
{
	const Reference *r = bench->c->reference;
	size_t		n = r->batch * nn_shape_size(&r->src[i].shape);
	float	   *gradient = malloc(n * sizeof(float));
	float	   *rows = malloc(n * sizeof(float));
	Differences d = {0};

	CHECK_OR_STOP(gradient != NULL && rows != NULL, "memory for %zu numbers", n);
	bench_forward(bench, mode, 0, r->batch);
	bench_backward(bench, 0);
	memcpy(gradient, nn_run_gradient(bench->run, bench->nodes.src[i]), n * sizeof(float));
	memcpy(rows, r->src[i].values, n * sizeof(float));
	for (size_t k = 0; k < n; k++)
	{
		Moved		moved = {i, rows};

		difference(bench, mode, &rows[k], set_source, &moved, gradient[k], &d);
	}
	report(bench->c, "source", i, &d);
	free(gradient);
	free(rows);
}

static inline void
check_parameter_differences(Bench *bench, NnMode mode, int i)
{
	const NnParameterInfo *info = nn_graph_parameter(bench->graph, bench->nodes.parameters[i]);
	float	   *gradient = malloc(info->size * sizeof(float));
	Differences d = {0};

	CHECK_OR_STOP(gradient != NULL, "memory for %zu numbers", info->size);
	bench_forward(bench, mode, 0, bench->c->reference->batch);
	bench_backward(bench, 0);
	memcpy(gradient, bench->diff_weights + info->offset, info->size * sizeof(float));
	for (size_t k = 0; k < info->size; k++)
		difference(bench, mode, &bench->weights[info->offset + k], set_weights, NULL, gradient[k], &d);
	report(bench->c, "parameter", i, &d);
	free(gradient);
}

static inline bool
is_trained(NnRole role)
{
	return role != NN_ROLE_CONSTANT && role != NN_ROLE_STATISTIC;
}

/* Every source and trained parameter of a case. */
static inline void
check_differences(const Case *c, NnMode mode)
{
	Bench		bench;

	CHECK_OR_STOP(bench_open(&bench, c, NULL) == DEV_OK, "%s: builds", c->reference->name);
	for (int i = 0; i < c->reference->n_src - c->n_targets; i++)
		check_source_differences(&bench, mode, i);
	for (int i = 0; i < c->reference->n_parameters; i++)
		if (is_trained(c->roles[i]))
			check_parameter_differences(&bench, mode, i);
	bench_close(&bench);
}

/* Squared norm of the trained parameters' gradient of example `row`, by forming it. */
static inline double
formed_norm(Bench *bench, NnMode mode, size_t row)
{
	double		sum = 0;

	bench_forward(bench, mode, row, 1);
	bench_backward(bench, row);
	for (int p = 0; p < nn_graph_parameters(bench->graph); p++)
	{
		const NnParameterInfo *info = nn_graph_parameter(bench->graph, p);

		for (size_t k = 0; is_trained(info->role) && k < info->size; k++)
			sum += pow(bench->diff_weights[info->offset + k], 2);
	}
	return sum;
}

/* Per-example norms against gradients formed one example at a time; refused where examples influence each other. */
static inline void
check_norms(const Case *c, NnMode mode)
{
	const Reference *r = c->reference;
	float		squared[16];
	double		worst = 0;
	Bench		bench;

	CHECK_OR_STOP(r->batch <= 16 && bench_open(&bench, c, NULL) == DEV_OK, "%s: builds", r->name);
	bench_forward(&bench, mode, 0, r->batch);
	bench_backward(&bench, 0);
	if (c->mixed && mode == NN_TRAIN)
	{
		CHECK(nn_run_norms(bench.run, squared) == DEV_INVALID, "%s: has no per-example norms, and says so", r->name);
		CHECK(dev_message_text(bench.session)[0] != '\0', "%s: %s", r->name, dev_message_text(bench.session));
		bench_close(&bench);
		return;
	}
	CHECK_STATUS(bench.session, nn_run_norms(bench.run, squared), DEV_OK, "%s: norms", r->name);
	for (size_t row = 0; row < r->batch; row++)
	{
		double		expected = formed_norm(&bench, mode, row);
		double		error = fabs(squared[row] - expected) / (expected > 1e-6 ? expected : 1e-6);

		if (!(error <= worst))
			worst = error;
	}
	CHECK_NEAR(worst, 0, 1e-5, "%s: per-example norms are those of the formed gradients", r->name);
	bench_close(&bench);
}

/* Allocation number n fails, for every n: no crash, no leak, and an error until there is memory enough. */
static inline void
check_memory(const Case *c)
{
	size_t		n = 1;
	bool		good = true;
	DevStatus	status;

	do
	{
		CheckHost	counts;
		DevHost		host = check_host(&counts, n);
		Bench		bench;

		status = bench_open(&bench, c, &host);
		good = good && (status == DEV_OK || status == DEV_NO_MEMORY);
		bench_close(&bench);
		good = good && counts.held == 0;
		n++;
	} while (status != DEV_OK && n < 500);
	CHECK(good && status == DEV_OK && n > 5, "%s: survives the failure of each of %zu allocations", c->reference->name, n - 2);
}

/* At inference the bits of an example's value do not depend on the rows beside it. */
static inline void
check_rows_alone(const Case *c)
{
	const Reference *r = c->reference;
	size_t		size = nn_shape_size(&r->dst.shape);
	float	   *together = malloc(r->batch * size * sizeof(float));
	bool		same = true;
	Bench		bench;

	CHECK_OR_STOP(together != NULL && bench_open(&bench, c, NULL) == DEV_OK, "%s: builds", r->name);
	bench_forward(&bench, NN_INFER, 0, r->batch);
	memcpy(together, nn_run_value(bench.run, bench.dst), r->batch * size * sizeof(float));
	for (size_t row = 0; row < r->batch; row++)
	{
		bench_forward(&bench, NN_INFER, row, 1);
		same = same && memcmp(nn_run_value(bench.run, bench.dst), together + row * size, size * sizeof(float)) == 0;
	}
	CHECK(same, "%s: a row alone gives the bits of the row among others", r->name);
	bench_close(&bench);
	free(together);
}

static inline void
check_all(const Case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		const Case *c = &cases[i];

		check_differences(c, c->train ? NN_TRAIN : NN_INFER);
		check_norms(c, c->train ? NN_TRAIN : NN_INFER);
		if (c->infer && !c->mixed)
			check_rows_alone(c);
		check_memory(c);
	}
}

#endif							/* IDLA_TEST_GRADIENTS_H */

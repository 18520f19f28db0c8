/*
 * ridge.c: ridge regression with the penalty of least leave-one-out error.
 *
 * With X the standardised features and y the centred targets, the smaller of K = X X' and A = X' X is made tridiagonal,
 * M = Q T Q', once. Then for every alpha, with S the matrix that turns targets into fitted values (intercept included) and row i
 * left out, error_i = (y_i - fitted_i) / (1 - S_ii), where
 *   few rows: c = (K + alpha)^-1 y, y - fitted = alpha c, 1 - S_ii = alpha ((K + alpha)^-1)_ii - 1/n, weights X' c;
 *   few features: weights (A + alpha)^-1 X' y, S_ii = 1/n + x_i' (A + alpha)^-1 x_i.
 * Both need only tridiagonal systems for another alpha. (Golub, Heath and Wahba 1979 for the error in closed form.)
 */
#include "idla/learn_ridge.h"

#include "tridiagonal.h"

#include <math.h>
#include <string.h>

#define DEFAULT_ALPHAS 10
#define PANEL 64				/* features or rows multiplied at once */
#define POLL_PRODUCTS 32000000	/* so many multiply-adds, some ms, between two questions whether to stop */
#define SAME_VALUE 1e-7			/* deviation relative to the mean below which a feature is constant: float32's resolution */

typedef struct Fitter
{
	DevSession *session;
	size_t		n;
	size_t		p;
	size_t		outputs;
	size_t		m;				/* size of the matrix: n or p */
	bool		by_rows;		/* it is K */
	const float *features;
	const float *targets;
	size_t		n_alphas;
	double		alphas[LEARN_RIDGE_MOST_ALPHAS];

	double	   *mean;			/* (p) of features */
	double	   *inverse;		/* (p) 1 / deviation, 0 for constants */
	double	   *target_mean;	/* (outputs) */
	double	   *matrix;			/* (m, m) K or A, then Q */
	double	   *diagonal;		/* (m) of T */
	double	   *below;			/* (m) */
	double	   *work;			/* (3 m) for making it tridiagonal */
	double	   *panel;			/* (PANEL, m) in stripes, see learn_add_products */
	double	   *turned;			/* (outputs, m) Q' y or Q' X' y */
	double	   *solved;			/* (n_alphas, outputs, m) T's systems solved for those */
	double	   *lower;			/* (m, n_alphas) */
	double	   *pivot;			/* (m, n_alphas), NaN where the alpha is too small for the arithmetic */
	double	   *row;			/* (PANEL, m) rows in the coordinates of T */
	double	   *errors;			/* (n, outputs) left-out errors of one alpha */
} Fitter;

/* ---- Setting up ---- */

static DevStatus
check_values(Fitter *fitter)
{
	for (size_t i = 0; i < fitter->n; i++)
	{
		const float *row = fitter->features + i * fitter->p;
		const float *targets = fitter->targets + i * fitter->outputs;
		bool		finite = true;

		if (dev_poll(fitter->session) != DEV_OK)
			return DEV_CANCELLED;
		for (size_t j = 0; j < fitter->p; j++)
			finite = finite && isfinite(row[j]);
		for (size_t j = 0; j < fitter->outputs; j++)
			finite = finite && isfinite(targets[j]);
		if (!finite)
			return dev_fail(fitter->session, DEV_BAD_DATA, "row %zu has a value that is not finite", i + 1);
	}
	return DEV_OK;
}

static DevStatus
take_alphas(Fitter *fitter, const LearnRidgeOptions *how)
{
	if (how == NULL || how->n_alphas == 0)
	{
		fitter->n_alphas = DEFAULT_ALPHAS;
		for (size_t i = 0; i < DEFAULT_ALPHAS; i++)
			fitter->alphas[i] = pow(10, -3 + 6.0 * (double) i / (DEFAULT_ALPHAS - 1));
		return DEV_OK;
	}
	if (how->n_alphas > LEARN_RIDGE_MOST_ALPHAS)
		return dev_fail(fitter->session, DEV_INVALID, "%zu alphas are more than %d", how->n_alphas, LEARN_RIDGE_MOST_ALPHAS);
	fitter->n_alphas = how->n_alphas;
	for (size_t i = 0; i < how->n_alphas; i++)
	{
		if (!(how->alphas[i] > 0) || !isfinite(how->alphas[i]))
			return dev_fail(fitter->session, DEV_INVALID, "alpha must be positive, not %g", how->alphas[i]);
		fitter->alphas[i] = how->alphas[i];
	}
	return DEV_OK;
}

static bool
allocate(Fitter *fitter, LearnRidge *ridge)
{
	DevSession *session = fitter->session;
	size_t		m = fitter->m;

	return (ridge->weights = dev_alloc(session, fitter->p * fitter->outputs, sizeof(float))) != NULL &&
		(ridge->intercept = dev_alloc(session, fitter->outputs, sizeof(float))) != NULL &&
		(fitter->mean = dev_alloc(session, fitter->p, sizeof(double))) != NULL &&
		(fitter->inverse = dev_alloc(session, fitter->p, sizeof(double))) != NULL &&
		(fitter->target_mean = dev_alloc(session, fitter->outputs, sizeof(double))) != NULL &&
		(fitter->matrix = dev_alloc(session, m * m, sizeof(double))) != NULL &&
		(fitter->diagonal = dev_alloc(session, m, sizeof(double))) != NULL &&
		(fitter->below = dev_alloc(session, m, sizeof(double))) != NULL &&
		(fitter->work = dev_alloc(session, 3 * m, sizeof(double))) != NULL &&
		(fitter->panel = dev_alloc(session, PANEL * ((m + 3) / 4 * 4), sizeof(double))) != NULL &&
		(fitter->turned = dev_alloc(session, fitter->outputs * m, sizeof(double))) != NULL &&
		(fitter->solved = dev_alloc(session, fitter->n_alphas * fitter->outputs * m, sizeof(double))) != NULL &&
		(fitter->lower = dev_alloc(session, m * fitter->n_alphas, sizeof(double))) != NULL &&
		(fitter->pivot = dev_alloc(session, m * fitter->n_alphas, sizeof(double))) != NULL &&
		(fitter->row = dev_alloc(session, PANEL * m, sizeof(double))) != NULL &&
		(fitter->errors = dev_alloc(session, fitter->n * fitter->outputs, sizeof(double))) != NULL;
}

static void
release(Fitter *fitter)
{
	double	   *blocks[] = {fitter->mean, fitter->inverse, fitter->target_mean, fitter->matrix, fitter->diagonal, fitter->below,
		fitter->work, fitter->panel, fitter->turned, fitter->solved, fitter->lower, fitter->pivot, fitter->row, fitter->errors};

	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
		dev_release(fitter->session, blocks[i]);
}

/* ---- Standardised features ---- */

static DevStatus
fit_features(Fitter *fitter, bool unscaled)
{
	for (int pass = 0; pass < 2; pass++)
	{
		for (size_t i = 0; i < fitter->n; i++)
		{
			const float *row = fitter->features + i * fitter->p;

			if (dev_poll(fitter->session) != DEV_OK)
				return DEV_CANCELLED;
			if (pass == 0)
				for (size_t j = 0; j < fitter->p; j++)
					fitter->mean[j] += row[j];
			else
				for (size_t j = 0; j < fitter->p; j++)
				{
					double		difference = row[j] - fitter->mean[j];

					fitter->inverse[j] += difference * difference;
				}
		}
		for (size_t j = 0; j < fitter->p; j++)
		{
			double		deviation = sqrt(fitter->inverse[j] / (double) fitter->n);

			if (pass == 0)
				fitter->mean[j] /= (double) fitter->n;
			else if (deviation <= SAME_VALUE * fabs(fitter->mean[j]))
				fitter->inverse[j] = 0;
			else
				fitter->inverse[j] = unscaled ? 1 : 1 / deviation;
		}
	}
	for (size_t i = 0; i < fitter->n; i++)
		for (size_t k = 0; k < fitter->outputs; k++)
			fitter->target_mean[k] += fitter->targets[i * fitter->outputs + k] / (double) fitter->n;
	return DEV_OK;
}

static inline double
feature(const Fitter *fitter, size_t row, size_t j)
{
	return (fitter->features[row * fitter->p + j] - fitter->mean[j]) * fitter->inverse[j];
}

static inline double
target(const Fitter *fitter, size_t row, size_t output)
{
	return fitter->targets[row * fitter->outputs + output] - fitter->target_mean[output];
}

/* The panel's share of K or A. */
static DevStatus
add_panel(Fitter *fitter, size_t count)
{
	size_t		m = fitter->m;
	size_t		rows = (POLL_PRODUCTS / (m * PANEL * 4) + 1) * 4;

	for (size_t first = 0; first < m; first += rows)
	{
		learn_add_products(m, first, m - first < rows ? m : first + rows, count, fitter->panel, fitter->matrix);
		if (dev_poll(fitter->session) != DEV_OK)
			return DEV_CANCELLED;
	}
	return DEV_OK;
}

/* The lower triangle of K or A. */
static DevStatus
multiply_features(Fitter *fitter)
{
	size_t		depth = fitter->by_rows ? fitter->p : fitter->n;

	for (size_t first = 0; first < depth; first += PANEL)
	{
		size_t		count = depth - first < PANEL ? depth - first : PANEL;

		if (fitter->by_rows)
			for (size_t i = 0; i < fitter->n; i++)
				for (size_t k = 0; k < count; k++)
					fitter->panel[learn_panel_place(count, k, i)] = feature(fitter, i, first + k);
		else
			for (size_t k = 0; k < count; k++)
				for (size_t j = 0; j < fitter->p; j++)
					fitter->panel[learn_panel_place(count, k, j)] = feature(fitter, first + k, j);
		if (add_panel(fitter, count) != DEV_OK)
			return DEV_CANCELLED;
	}
	return DEV_OK;
}

/* ---- Systems for all alphas ---- */

/* turned = Q' times the right-hand sides, y or X' y. */
static DevStatus
turn_targets(Fitter *fitter)
{
	size_t		m = fitter->m;
	double	   *side = fitter->row;

	for (size_t k = 0; k < fitter->outputs; k++)
	{
		memset(side, 0, m * sizeof(double));
		for (size_t i = 0; i < fitter->n; i++)
		{
			double		y = target(fitter, i, k);

			if (dev_poll(fitter->session) != DEV_OK)
				return DEV_CANCELLED;
			if (fitter->by_rows)
				side[i] = y;
			else
				for (size_t j = 0; j < m; j++)
					side[j] += y * feature(fitter, i, j);
		}
		for (size_t i = 0; i < m; i++)
			for (size_t j = 0; j < m; j++)
				fitter->turned[k * m + j] += fitter->matrix[i * m + j] * side[i];
	}
	return DEV_OK;
}

/* Factors of T + alpha and the solutions for every alpha; an alpha that rounding makes indefinite is marked. */
static void
solve_all(Fitter *fitter)
{
	size_t		m = fitter->m;
	size_t		n_alphas = fitter->n_alphas;
	double	   *lower = fitter->row;
	double	   *pivot = fitter->row + m;

	for (size_t a = 0; a < n_alphas; a++)
	{
		bool		definite = learn_tridiagonal_factor(m, fitter->diagonal, fitter->below, fitter->alphas[a], lower, pivot);

		for (size_t k = 0; k < m; k++)
		{
			fitter->lower[k * n_alphas + a] = definite ? lower[k] : 0;
			fitter->pivot[k * n_alphas + a] = definite ? pivot[k] : NAN;
		}
		for (size_t output = 0; output < fitter->outputs && definite; output++)
		{
			double	   *solution = fitter->solved + (a * fitter->outputs + output) * m;

			memcpy(solution, fitter->turned + output * m, m * sizeof(double));
			learn_tridiagonal_solve(m, lower, pivot, solution);
		}
	}
}

/* forms[a] = x' (T + alpha)^-1 x for all alphas. */
static void
quadratic_forms(const Fitter *fitter, const double *x, double *forms)
{
	size_t		n_alphas = fitter->n_alphas;
	double		carried[LEARN_RIDGE_MOST_ALPHAS] = {0};

	memset(forms, 0, n_alphas * sizeof(double));
	for (size_t k = 0; k < fitter->m; k++)
	{
		const double *lower = fitter->lower + k * n_alphas;
		const double *pivot = fitter->pivot + k * n_alphas;

		for (size_t a = 0; a < n_alphas; a++)
		{
			carried[a] = x[k] - lower[a] * carried[a];
			forms[a] += carried[a] * carried[a] / pivot[a];
		}
	}
}

/* Rows first .. first + count of X Q, or of Q itself. NULL: to be stopped. */
static const double *
turn_rows(Fitter *fitter, size_t first, size_t count)
{
	size_t		m = fitter->m;

	if (fitter->by_rows)
		return fitter->matrix + first * m;
	memset(fitter->row, 0, count * m * sizeof(double));
	for (size_t j = 0; j < m; j++)
	{
		if (dev_poll(fitter->session) != DEV_OK)
			return NULL;
		for (size_t i = 0; i < count; i++)
		{
			double		x = feature(fitter, first + i, j);
			double	   *row = fitter->row + i * m;

			for (size_t k = 0; k < m; k++)
				row[k] += x * fitter->matrix[j * m + k];
		}
	}
	return fitter->row;
}

/* Left-out error of output k for a row in T's coordinates, whose quadratic form is given. */
static double
left_out(const Fitter *fitter, size_t a, size_t row, size_t k, const double *turned, double form)
{
	double		fitted = learn_dot(fitter->m, turned, fitter->solved + (a * fitter->outputs + k) * fitter->m);
	double		share = 1 / (double) fitter->n;

	if (fitter->by_rows)
		return fitter->alphas[a] * fitted / (fitter->alphas[a] * form - share);
	return (target(fitter, row, k) - fitted) / (1 - share - form);
}

/* Sums of squared left-out errors of every alpha; with only >= 0, that alpha's errors are kept instead. */
static DevStatus
leave_out(Fitter *fitter, double *sums, int only)
{
	size_t		n_alphas = fitter->n_alphas;

	for (size_t first = 0; first < fitter->n; first += PANEL)
	{
		size_t		count = fitter->n - first < PANEL ? fitter->n - first : PANEL;
		const double *rows = turn_rows(fitter, first, count);

		if (rows == NULL)
			return DEV_CANCELLED;
		for (size_t i = 0; i < count; i++)
		{
			double		forms[LEARN_RIDGE_MOST_ALPHAS];
			const double *turned = rows + i * fitter->m;

			if (dev_poll(fitter->session) != DEV_OK)
				return DEV_CANCELLED;
			quadratic_forms(fitter, turned, forms);
			for (size_t k = 0; k < fitter->outputs; k++)
			{
				if (only >= 0)
					fitter->errors[(first + i) * fitter->outputs + k] =
						left_out(fitter, (size_t) only, first + i, k, turned, forms[only]);
				else
					for (size_t a = 0; a < n_alphas; a++)
					{
						double		error = left_out(fitter, a, first + i, k, turned, forms[a]);

						sums[a] += error * error;
					}
			}
		}
	}
	return DEV_OK;
}

/* ---- The result ---- */

/* Weights of one output in standardised features into side (p). */
static DevStatus
find_weights(const Fitter *fitter, size_t a, size_t k, double *dual, double *side)
{
	size_t		m = fitter->m;
	const double *solution = fitter->solved + (a * fitter->outputs + k) * m;

	for (size_t i = 0; i < m; i++)
		dual[i] = learn_dot(m, fitter->matrix + i * m, solution);
	memset(side, 0, fitter->p * sizeof(double));
	if (!fitter->by_rows)
		memcpy(side, dual, fitter->p * sizeof(double));
	else
		for (size_t i = 0; i < fitter->n; i++)
		{
			if (dev_poll(fitter->session) != DEV_OK)
				return DEV_CANCELLED;
			for (size_t j = 0; j < fitter->p; j++)
				side[j] += dual[i] * feature(fitter, i, j);
		}
	return DEV_OK;
}

static DevStatus
write_result(Fitter *fitter, size_t a, float *held_out, LearnRidge *ridge)
{
	double	   *side = dev_alloc(fitter->session, fitter->p, sizeof(double));

	if (side == NULL)
		return DEV_NO_MEMORY;
	for (size_t k = 0; k < fitter->outputs; k++)
	{
		double		intercept = fitter->target_mean[k];

		if (find_weights(fitter, a, k, fitter->row, side) != DEV_OK)
			return DEV_CANCELLED;
		for (size_t j = 0; j < fitter->p; j++)
		{
			double		weight = side[j] * fitter->inverse[j];

			ridge->weights[j * fitter->outputs + k] = (float) weight;
			intercept -= weight * fitter->mean[j];
		}
		ridge->intercept[k] = (float) intercept;
	}
	dev_release(fitter->session, side);
	if (held_out != NULL)
		for (size_t i = 0; i < fitter->n * fitter->outputs; i++)
			held_out[i] = (float) (fitter->targets[i] - fitter->errors[i]);
	return dev_poll(fitter->session);
}

static DevStatus
choose_alpha(Fitter *fitter, size_t *chosen)
{
	double		sums[LEARN_RIDGE_MOST_ALPHAS] = {0};
	DevStatus	status = leave_out(fitter, sums, -1);
	bool		found = false;

	if (status != DEV_OK)
		return status;
	for (size_t a = 0; a < fitter->n_alphas; a++)
		if (isfinite(sums[a]) && (!found || sums[a] < sums[*chosen]))
		{
			*chosen = a;
			found = true;
		}
	if (!found)
	{
		dev_fail(fitter->session, DEV_NOT_FINITE, "no penalty gives a finite error");
		dev_hint(fitter->session, "Features may differ too much in size; standardise them or try larger penalties.");
		return DEV_NOT_FINITE;
	}
	return leave_out(fitter, sums, (int) *chosen);
}

static DevStatus
fit_with_memory(Fitter *fitter, bool unscaled, float *held_out, LearnRidge *ridge)
{
	size_t		chosen = 0;
	DevStatus	status = fit_features(fitter, unscaled);

	if (status == DEV_OK)
		status = multiply_features(fitter);
	if (status == DEV_OK)
		status = learn_tridiagonalize(fitter->session, fitter->m, fitter->matrix, fitter->diagonal, fitter->below, fitter->work);
	if (status == DEV_OK)
		status = turn_targets(fitter);
	if (status != DEV_OK)
		return status;
	solve_all(fitter);
	status = choose_alpha(fitter, &chosen);
	if (status == DEV_OK)
		status = write_result(fitter, chosen, held_out, ridge);
	if (status != DEV_OK)
		return status;
	ridge->n_features = fitter->p;
	ridge->n_outputs = fitter->outputs;
	ridge->alpha = fitter->alphas[chosen];
	ridge->error = learn_dot(fitter->n * fitter->outputs, fitter->errors, fitter->errors)
		/ ((double) fitter->n * (double) fitter->outputs);
	return DEV_OK;
}

DevStatus
learn_ridge_fit(DevSession *session, size_t n, size_t n_features, const float *features,
				size_t n_outputs, const float *targets, const LearnRidgeOptions *how,
				float *held_out, LearnRidge *ridge)
{
	Fitter		fitter = {.session = session, .n = n, .p = n_features, .outputs = n_outputs, .by_rows = n <= n_features,
		.m = n <= n_features ? n : n_features, .features = features, .targets = targets};
	DevStatus	status;

	memset(ridge, 0, sizeof(*ridge));
	if (n < 2)
		return dev_fail(session, DEV_BAD_DATA, "%zu rows are too few to learn from", n);
	if (n_features == 0 || n_outputs == 0)
		return dev_fail(session, DEV_INVALID, "a linear model needs features and outputs");
	if (fitter.m > LEARN_RIDGE_MOST)
	{
		dev_fail(session, DEV_INVALID, "%zu rows of %zu features are too many for ridge regression", n, n_features);
		dev_hint(session, "Train a linear network by steps instead, or use at most %d rows or features.", LEARN_RIDGE_MOST);
		return DEV_INVALID;
	}
	status = take_alphas(&fitter, how);
	if (status == DEV_OK)
		status = check_values(&fitter);
	if (status == DEV_OK)
		status = allocate(&fitter, ridge) ? fit_with_memory(&fitter, how != NULL && how->unscaled, held_out, ridge) : DEV_NO_MEMORY;
	release(&fitter);
	if (status != DEV_OK)
		learn_ridge_free(session, ridge);
	return status;
}

void
learn_ridge_free(DevSession *session, LearnRidge *ridge)
{
	dev_release(session, ridge->weights);
	dev_release(session, ridge->intercept);
	memset(ridge, 0, sizeof(*ridge));
}

void
learn_ridge_class_targets(size_t n, const int32_t *classes, size_t n_classes, float *targets)
{
	for (size_t i = 0; i < n; i++)
	{
		if (n_classes == 2)
			targets[i] = classes[i] == 1 ? 1.0f : -1.0f;
		else
			for (size_t k = 0; k < n_classes; k++)
				targets[i * n_classes + k] = classes[i] == (int32_t) k ? 1.0f : -1.0f;
	}
}

/*
 * test_ridge.c: ridge regression against plainly solved equations, each row really left out once.
 */
#include "check.h"
#include "idla/learn_ridge.h"
#include "learn/tridiagonal.h"

#define MOST 64

/* ---- Tridiagonal form ---- */

static void
fill_matrix(size_t n, int kind, double *a)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j <= i; j++)
		{
			double		value = dev_random_normal(5, (uint64_t) kind, i * 100 + j);

			if (kind == 1)
				value = i == j ? (double) i : 0;
			if (kind == 2)
				value = 0;
			if (kind == 3)
				value = 1;
			a[i * n + j] = a[j * n + i] = value;
		}
}

/* Greatest error of Q T Q' = A and of Q' Q = 1. */
static double
measure_errors(size_t n, const double *a, const double *q, const double *diagonal, const double *below)
{
	double		worst = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
		{
			double		product = 0;
			double		square = 0;

			for (size_t k = 0; k < n; k++)
			{
				product += q[i * n + k] * diagonal[k] * q[j * n + k];
				if (k > 0)
					product += below[k] * (q[i * n + k] * q[j * n + k - 1] + q[i * n + k - 1] * q[j * n + k]);
				square += q[k * n + i] * q[k * n + j];
			}
			worst = fmax(worst, fmax(fabs(product - a[i * n + j]), fabs(square - (i == j))));
		}
	return worst;
}

static void
test_tridiagonal(DevSession *session)
{
	static const size_t sizes[] = {1, 2, 3, 4, 5, 8, 17, 64};

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		for (int kind = 0; kind < 4; kind++)
		{
			size_t		n = sizes[s];
			double		a[MOST * MOST];
			double		q[MOST * MOST];
			double		diagonal[MOST];
			double		below[MOST];
			double		work[3 * MOST];

			fill_matrix(n, kind, a);
			/* Only the lower triangle may be looked at. */
			for (size_t i = 0; i < n; i++)
				for (size_t j = 0; j < n; j++)
					q[i * n + j] = j <= i ? a[i * n + j] : NAN;
			CHECK_STATUS(session, learn_tridiagonalize(session, n, q, diagonal, below, work), DEV_OK, "%zu rows, kind %d", n, kind);
			CHECK(measure_errors(n, a, q, diagonal, below) < 1e-12 * (double) n, "the product is the matrix, the factor orthogonal");
		}
}

static void
test_systems(void)
{
	enum
	{
		N = 9
	};
	double		diagonal[N];
	double		below[N] = {0};
	double		lower[N];
	double		pivot[N];
	double		x[N];
	double		side[N];
	double		worst = 0;

	for (size_t k = 0; k < N; k++)
	{
		diagonal[k] = 3 + (double) k;
		below[k] = k > 0 ? -1 - 0.1 * (double) k : 0;
		x[k] = side[k] = dev_random_normal(6, 1, k);
	}
	CHECK(learn_tridiagonal_factor(N, diagonal, below, 0.5, lower, pivot), "a positive definite system is factored");
	learn_tridiagonal_solve(N, lower, pivot, x);
	for (size_t k = 0; k < N; k++)
	{
		double		product = (diagonal[k] + 0.5) * x[k] + (k > 0 ? below[k] * x[k - 1] : 0) + (k + 1 < N ? below[k + 1] * x[k + 1] : 0);

		worst = fmax(worst, fabs(product - side[k]));
	}
	CHECK(worst < 1e-13, "and solved");
	CHECK(!learn_tridiagonal_factor(N, diagonal, below, -4, lower, pivot), "an indefinite one is not");
}

/* ---- Ridge by elimination ---- */

typedef struct Problem
{
	size_t		n;
	size_t		p;
	size_t		outputs;
	float		features[MOST * MOST];
	float		targets[MOST * 3];
	double		mean[MOST];
	double		deviation[MOST];	/* by which features are divided */
} Problem;

static void
make_problem(Problem *problem, size_t n, size_t p, size_t outputs, bool unscaled)
{
	*problem = (Problem) {.n = n, .p = p, .outputs = outputs};
	for (size_t i = 0; i < n; i++)
	{
		for (size_t j = 0; j < p; j++)
			problem->features[i * p + j] = (float) ((1 + (double) (j % 5)) * dev_random_normal(7, j, i) + (double) j);
		for (size_t k = 0; k < outputs; k++)
			problem->targets[i * outputs + k] = (float) (2 + problem->features[i * p + k % p] * 0.5f + dev_random_normal(8, k, i));
	}
	for (size_t j = 0; j < p; j++)
	{
		double		squares = 0;

		for (size_t i = 0; i < n; i++)
			problem->mean[j] += problem->features[i * p + j] / (double) n;
		for (size_t i = 0; i < n; i++)
			squares += pow((double) problem->features[i * p + j] - problem->mean[j], 2);
		problem->deviation[j] = unscaled ? 1 : sqrt(squares / (double) n);
	}
}

/* x := a^-1 x by elimination with pivots. */
static void
eliminate(size_t n, double *a, double *x)
{
	for (size_t k = 0; k < n; k++)
	{
		size_t		best = k;

		for (size_t i = k + 1; i < n; i++)
			if (fabs(a[i * n + k]) > fabs(a[best * n + k]))
				best = i;
		for (size_t j = 0; j < n; j++)
		{
			double		swap = a[k * n + j];

			a[k * n + j] = a[best * n + j];
			a[best * n + j] = swap;
		}
		{
			double		swap = x[k];

			x[k] = x[best];
			x[best] = swap;
		}
		for (size_t i = 0; i < n; i++)
		{
			double		factor = a[i * n + k] / a[k * n + k];

			if (i == k)
				continue;
			for (size_t j = k; j < n; j++)
				a[i * n + j] -= factor * a[k * n + j];
			x[i] -= factor * x[k];
		}
	}
	for (size_t k = 0; k < n; k++)
		x[k] /= a[k * n + k];
}

/* solution (p + 1): weights of standardised features, then the intercept, without row `without` (n: with all). */
static void
solve_plainly(const Problem *problem, double alpha, size_t output, size_t without, double *solution)
{
	static double a[(MOST + 1) * (MOST + 1)];
	size_t		m = problem->p + 1;

	memset(a, 0, sizeof(a));
	memset(solution, 0, m * sizeof(double));
	for (size_t i = 0; i < problem->n; i++)
	{
		double		x[MOST + 1];

		if (i == without)
			continue;
		for (size_t j = 0; j < problem->p; j++)
			x[j] = ((double) problem->features[i * problem->p + j] - problem->mean[j]) / problem->deviation[j];
		x[problem->p] = 1;
		for (size_t j = 0; j < m; j++)
		{
			solution[j] += x[j] * problem->targets[i * problem->outputs + output];
			for (size_t k = 0; k < m; k++)
				a[j * m + k] += x[j] * x[k];
		}
	}
	for (size_t j = 0; j < problem->p; j++)
		a[j * m + j] += alpha;
	eliminate(m, a, solution);
}

static double
predict_plainly(const Problem *problem, const double *solution, size_t row)
{
	double		sum = solution[problem->p];

	for (size_t j = 0; j < problem->p; j++)
		sum += solution[j] * ((double) problem->features[row * problem->p + j] - problem->mean[j]) / problem->deviation[j];
	return sum;
}

static double
leave_out_plainly(const Problem *problem, double alpha, double *predicted)
{
	double		squares = 0;

	for (size_t i = 0; i < problem->n; i++)
		for (size_t k = 0; k < problem->outputs; k++)
		{
			double		solution[MOST + 1];
			double		value;

			solve_plainly(problem, alpha, k, i, solution);
			value = predict_plainly(problem, solution, i);
			predicted[i * problem->outputs + k] = value;
			squares += pow(value - (double) problem->targets[i * problem->outputs + k], 2);
		}
	return squares / (double) (problem->n * problem->outputs);
}

static void
test_against_elimination(DevSession *session, size_t n, size_t p, size_t outputs, bool unscaled)
{
	static const double alphas[] = {0.01, 1, 30, 1000};
	static Problem problem;
	LearnRidgeOptions how = {.n_alphas = 4, .alphas = alphas, .unscaled = unscaled};
	LearnRidge	ridge;
	float		held_out[MOST * 3];
	double		best = INFINITY;
	double		best_alpha = 0;
	double		best_predicted[MOST * 3];
	double		worst = 0;
	double		worst_fit = 0;

	make_problem(&problem, n, p, outputs, unscaled);
	for (size_t a = 0; a < 4; a++)
	{
		double		predicted[MOST * 3];
		double		error = leave_out_plainly(&problem, alphas[a], predicted);

		if (error < best)
		{
			best = error;
			best_alpha = alphas[a];
			memcpy(best_predicted, predicted, sizeof(predicted));
		}
	}
	CHECK_STATUS(session, learn_ridge_fit(session, n, p, problem.features, outputs, problem.targets, &how, held_out, &ridge), DEV_OK,
				 "%zu rows of %zu features, %zu outputs%s", n, p, outputs, unscaled ? ", unscaled" : "");
	CHECK(ridge.alpha == best_alpha, "the penalty of least error is chosen: %g", best_alpha);
	CHECK_NEAR(ridge.error, best, 1e-9, "its error is that of really leaving out");
	for (size_t i = 0; i < n * outputs; i++)
		worst = fmax(worst, fabs(held_out[i] - best_predicted[i]));
	CHECK(worst < 1e-5, "and so is every prediction: %g", worst);
	for (size_t k = 0; k < outputs; k++)
	{
		double		solution[MOST + 1];

		solve_plainly(&problem, best_alpha, k, n, solution);
		for (size_t i = 0; i < n; i++)
		{
			double		value = ridge.intercept[k];

			for (size_t j = 0; j < p; j++)
				value += (double) problem.features[i * p + j] * (double) ridge.weights[j * outputs + k];
			worst_fit = fmax(worst_fit, fabs(value - predict_plainly(&problem, solution, i)));
		}
	}
	CHECK(worst_fit < 2e-5, "weights for raw features predict what the equations do: %g", worst_fit);
	learn_ridge_free(session, &ridge);
}

/* ---- The rest ---- */

static void
test_special_features(DevSession *session)
{
	enum
	{
		N = 30,
		P = 4
	};
	float		features[N * P];
	float		targets[N];
	LearnRidge	ridge;

	for (size_t i = 0; i < N; i++)
	{
		features[i * P] = (float) dev_random_normal(9, 1, i);
		features[i * P + 1] = 0.1f;
		features[i * P + 2] = features[i * P];
		features[i * P + 3] = (float) dev_random_normal(9, 2, i) * 1e-12f;
		targets[i] = 3 * features[i * P] + 1;
	}
	CHECK_STATUS(session, learn_ridge_fit(session, N, P, features, 1, targets, NULL, NULL, &ridge), DEV_OK, "constant and equal features are taken");
	CHECK(ridge.weights[1] == 0, "a constant has no weight");
	CHECK_NEAR(ridge.weights[0], 1.5, 1e-3, "two equal ones share theirs");
	CHECK_NEAR(ridge.weights[2], 1.5, 1e-3, "evenly");
	CHECK_NEAR(ridge.intercept[0], 1, 1e-3, "the intercept is found");
	CHECK_NEAR(ridge.alpha, 1e-3, 1e-12, "and without noise the smallest penalty is best");
}

static void
test_classes(DevSession *session)
{
	static const int32_t classes[] = {0, 1, 2, 1};
	static const int32_t two[] = {0, 1, 1, 0};
	float		targets[12];
	bool		same = true;

	(void) session;
	learn_ridge_class_targets(4, classes, 3, targets);
	for (size_t i = 0; i < 4; i++)
		for (int32_t k = 0; k < 3; k++)
			same = same && targets[i * 3 + (size_t) k] == (classes[i] == k ? 1 : -1);
	CHECK(same, "each of three classes has an output");
	learn_ridge_class_targets(4, two, 2, targets);
	CHECK(targets[0] == -1 && targets[1] == 1 && targets[2] == 1 && targets[3] == -1, "two classes share one");
}

static bool
cancel_after(void *context)
{
	int		   *calls = context;

	return --*calls <= 0;
}

static void
test_refusals(DevSession *session)
{
	static Problem problem;
	LearnRidge	ridge;
	double		bad_alphas[2] = {1, 0};
	LearnRidgeOptions how = {.n_alphas = 2, .alphas = bad_alphas};
	int			calls = 1000000;
	size_t		cancelled = 0;

	make_problem(&problem, 20, 6, 2, false);
	CHECK_STATUS(session, learn_ridge_fit(session, 1, 6, problem.features, 2, problem.targets, NULL, NULL, &ridge), DEV_BAD_DATA, "one row");
	CHECK_STATUS(session, learn_ridge_fit(session, 20, 0, problem.features, 2, problem.targets, NULL, NULL, &ridge), DEV_INVALID, "no features");
	CHECK_STATUS(session, learn_ridge_fit(session, 20, 6, problem.features, 0, problem.targets, NULL, NULL, &ridge), DEV_INVALID, "no outputs");
	CHECK_STATUS(session, learn_ridge_fit(session, 5000, 5000, problem.features, 2, problem.targets, NULL, NULL, &ridge), DEV_INVALID, "too many");
	CHECK(strstr(dev_hint_text(session), "4096") != NULL, "with a hint");
	CHECK_STATUS(session, learn_ridge_fit(session, 20, 6, problem.features, 2, problem.targets, &how, NULL, &ridge), DEV_INVALID, "a penalty of 0");
	how.n_alphas = 33;
	CHECK_STATUS(session, learn_ridge_fit(session, 20, 6, problem.features, 2, problem.targets, &how, NULL, &ridge), DEV_INVALID, "33 penalties");
	problem.features[8] = INFINITY;
	CHECK_STATUS(session, learn_ridge_fit(session, 20, 6, problem.features, 2, problem.targets, NULL, NULL, &ridge), DEV_BAD_DATA, "an infinity");
	CHECK(strstr(dev_message_text(session), "row 2") != NULL, "whose row is named");
	problem.features[8] = 0;
	problem.targets[0] = NAN;
	CHECK_STATUS(session, learn_ridge_fit(session, 20, 6, problem.features, 2, problem.targets, NULL, NULL, &ridge), DEV_BAD_DATA, "a missing target");
	CHECK(ridge.weights == NULL, "nothing is left behind");
	problem.targets[0] = 0;
	for (int at = 1; at < 200; at++)
	{
		DevHost		host = {.context = &calls, .cancelled = cancel_after};
		DevSession *other;

		calls = at;
		CHECK_OR_STOP(dev_session_open(&host, 1, &other) == DEV_OK, "a session opens");
		cancelled += learn_ridge_fit(other, 20, 6, problem.features, 2, problem.targets, NULL, NULL, &ridge) == DEV_CANCELLED;
		dev_session_close(other);
	}
	CHECK(cancelled > 50 && cancelled < 199, "it asks %zu times whether to stop, and does", cancelled);
}

static void
test_memory(void)
{
	static Problem problem;
	size_t		fail_at = 0;
	size_t		leaked = 0;
	DevStatus	status = DEV_NO_MEMORY;

	make_problem(&problem, 12, 5, 1, false);
	while (status == DEV_NO_MEMORY && ++fail_at < 100)
	{
		CheckHost	counts;
		DevHost		host = check_host(&counts, fail_at);
		DevSession *session;
		LearnRidge	ridge;

		if (dev_session_open(&host, 1, &session) != DEV_OK)
			continue;
		status = learn_ridge_fit(session, 12, 5, problem.features, 1, problem.targets, NULL, NULL, &ridge);
		dev_session_close(session);
		leaked += counts.held;
	}
	CHECK(status == DEV_OK && fail_at > 15 && leaked == 0, "every failing allocation is survived (%zu)", fail_at);
}

int
main(void)
{
	DevSession *session;

	CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
	test_tridiagonal(session);
	test_systems();
	test_against_elimination(session, 20, 6, 1, false);
	test_against_elimination(session, 40, 12, 3, false);
	test_against_elimination(session, 12, 30, 1, false);
	test_against_elimination(session, 21, 50, 3, false);
	test_against_elimination(session, 17, 17, 2, false);
	test_against_elimination(session, 24, 5, 2, true);
	test_against_elimination(session, 9, 33, 2, true);
	test_against_elimination(session, 4, 3, 1, false);
	test_special_features(session);
	test_classes(session);
	test_refusals(session);
	test_memory();
	dev_session_close(session);
	return check_done();
}

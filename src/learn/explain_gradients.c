/*
 * explain_gradients.c: integrated gradients (Sundararajan et al. 2017) by adaptive quadrature.
 *
 * A column's contribution is the integral of its slope along the straight way
 * from the baseline to the row. Each interval of the way is integrated by the
 * two-point Gauss rule, and knows its own error: the score's difference between its ends
 * less the sum of its integrals. The intervals that are worst are split until the whole is good enough.
 * With rectifiers the slope is a step function, for which
 * halving converges slowly; so an interval is split where its two slopes, drawn as
 * lines from its ends, meet: at the kink itself when it has one.
 */
#include "explain.h"

#include <math.h>
#include <string.h>

#define FIRST_INTERVALS 8
#define MOST_INTERVALS 2048
#define MOST_INTEGRALS ((size_t) 1 << 20)	/* intervals times columns: bounds the memory of wide tables */
#define SPLITS 24				/* at most at once */
#define SPLIT_POINTS 5			/* the cut, and two for each of the halves */
#define ROUND_POINTS (SPLITS * SPLIT_POINTS)
#define NARROWEST 1e-6			/* float32 features do not tell narrower ones apart */
#define GAUSS 0.21132486540518712	/* the two points of the rule: GAUSS and 1 - GAUSS of the interval */
#define DEFAULT_TOLERANCE 5e-4

typedef struct Interval
{
	double		low;
	double		high;
	double		score_low;
	double		score_high;
	double		slope_first;	/* of the score, at the two points of the rule */
	double		slope_second;
	double		error;
} Interval;

typedef struct Integration
{
	size_t		n_columns;
	size_t		most;			/* intervals */
	size_t		n;
	Interval   *intervals;		/* (most) */
	double	   *integrals;		/* (most, n_columns) */
	size_t		chosen[SPLITS];
	double		places[ROUND_POINTS];
	double		scores[ROUND_POINTS];
	double	   *slopes;			/* (ROUND_POINTS, n_columns) */
} Integration;

static DevStatus
open_integration(LearnExplainer *explainer, Integration **integration)
{
	DevSession *session = explainer->session;
	Integration *made = explainer->work;
	size_t		columns = explainer->n_columns + 1;

	*integration = made;
	if (made != NULL)
		return DEV_OK;
	made = dev_alloc(session, 1, sizeof(Integration));
	if (made == NULL)
		return DEV_NO_MEMORY;
	made->n_columns = explainer->n_columns;
	made->most = MOST_INTEGRALS / columns < MOST_INTERVALS ? MOST_INTEGRALS / columns : MOST_INTERVALS;
	if (made->most < FIRST_INTERVALS)
		made->most = FIRST_INTERVALS;
	made->intervals = dev_alloc(session, made->most, sizeof(Interval));
	made->integrals = dev_alloc(session, made->most * columns, sizeof(double));
	made->slopes = dev_alloc(session, ROUND_POINTS * columns, sizeof(double));
	if (made->intervals == NULL || made->integrals == NULL || made->slopes == NULL)
		return DEV_NO_MEMORY;
	explainer->work = *integration = made;
	return DEV_OK;
}

/* The point at integration->places[point] of the way; its ends are exact. */
static void
fill_way(void *context, size_t point, const LearnPath *path, float *features)
{
	const Integration *integration = context;
	double		place = integration->places[point];

	if (place == 0 || place == 1)
	{
		memcpy(features, place == 0 ? path->baseline : path->row, path->n_features * sizeof(float));
		return;
	}
	for (size_t i = 0; i < path->n_features; i++)
	{
		double		from = path->baseline[i];

		features[i] = (float) (from + place * ((double) path->row[i] - from));
	}
}

/* Sets an interval whose ends are known from the slopes at points `first` and `second` of this round. */
static void
integrate(Integration *integration, size_t number, size_t first, size_t second)
{
	Interval   *interval = &integration->intervals[number];
	double	   *integrals = integration->integrals + number * integration->n_columns;
	const double *a = integration->slopes + first * integration->n_columns;
	const double *b = integration->slopes + second * integration->n_columns;
	double		half = (interval->high - interval->low) / 2;
	double		sum = 0;

	interval->slope_first = interval->slope_second = 0;
	for (size_t column = 0; column < integration->n_columns; column++)
	{
		interval->slope_first += a[column];
		interval->slope_second += b[column];
		integrals[column] = half * (a[column] + b[column]);
		sum += integrals[column];
	}
	interval->error = interval->score_high - interval->score_low - sum;
}

static void
place_rule(Integration *integration, size_t point, double low, double high)
{
	integration->places[point] = low + GAUSS * (high - low);
	integration->places[point + 1] = high - GAUSS * (high - low);
}

/* The first intervals, equal parts of the way: points are the ends, then two for each. */
static DevStatus
start(LearnExplainer *explainer, Integration *integration)
{
	const size_t ends = FIRST_INTERVALS + 1;
	DevStatus	status;

	for (size_t i = 0; i < ends; i++)
		integration->places[i] = (double) i / FIRST_INTERVALS;
	for (size_t i = 0; i < FIRST_INTERVALS; i++)
		place_rule(integration, ends + 2 * i, integration->places[i], integration->places[i + 1]);
	status = learn_explain_points(explainer, ends + 2 * FIRST_INTERVALS, fill_way, integration,
								  integration->scores, integration->slopes);
	if (status != DEV_OK)
		return status;
	integration->n = FIRST_INTERVALS;
	for (size_t i = 0; i < FIRST_INTERVALS; i++)
	{
		integration->intervals[i] = (Interval) {
			.low = integration->places[i], .high = integration->places[i + 1],
			.score_low = integration->scores[i], .score_high = integration->scores[i + 1]
		};
		integrate(integration, i, ends + 2 * i, ends + 2 * i + 1);
	}
	return DEV_OK;
}

/*
 * Where to cut: at the meeting of the two slopes' lines when the slopes tell of
 * a kink between them, else beside a point of the rule, where the kink must lie.
 */
static double
cut_place(const Interval *interval)
{
	double		width = interval->high - interval->low;
	double		turn = interval->slope_first - interval->slope_second;
	double		rise = interval->score_high - interval->score_low;
	double		share = 0.5;

	if (fabs(turn) * width > fabs(interval->error))
		share = (rise - interval->slope_second * width) / (turn * width);
	if (!(share > 0.02))
		share = 0.02;
	if (share > 0.98)
		share = 0.98;
	return interval->low + share * width;
}

/* Worst intervals first; returns how many are worth a cut. */
static size_t
choose(Integration *integration, double tolerance)
{
	size_t		n_chosen = 0;
	double		worth = tolerance / (4 * (double) integration->n);

	while (n_chosen < SPLITS && integration->n + n_chosen < integration->most)
	{
		size_t		worst = integration->n;

		for (size_t i = 0; i < integration->n; i++)
		{
			const Interval *interval = &integration->intervals[i];
			bool		taken = interval->high - interval->low < NARROWEST || !(fabs(interval->error) > worth);

			for (size_t j = 0; j < n_chosen && !taken; j++)
				taken = integration->chosen[j] == i;
			if (!taken && (worst == integration->n ||
						   fabs(interval->error) > fabs(integration->intervals[worst].error)))
				worst = i;
		}
		if (worst == integration->n)
			break;
		integration->chosen[n_chosen++] = worst;
	}
	return n_chosen;
}

static DevStatus
cut_chosen(LearnExplainer *explainer, Integration *integration, size_t n_chosen)
{
	DevStatus	status;

	for (size_t i = 0; i < n_chosen; i++)
	{
		const Interval *interval = &integration->intervals[integration->chosen[i]];
		double		cut = cut_place(interval);
		size_t		point = i * SPLIT_POINTS;

		integration->places[point] = cut;
		place_rule(integration, point + 1, interval->low, cut);
		place_rule(integration, point + 3, cut, interval->high);
	}
	status = learn_explain_points(explainer, n_chosen * SPLIT_POINTS, fill_way, integration,
								  integration->scores, integration->slopes);
	if (status != DEV_OK)
		return status;
	for (size_t i = 0; i < n_chosen; i++)
	{
		size_t		point = i * SPLIT_POINTS;
		Interval   *left = &integration->intervals[integration->chosen[i]];
		Interval   *right = &integration->intervals[integration->n];

		*right = *left;
		left->high = right->low = integration->places[point];
		left->score_high = right->score_low = integration->scores[point];
		integrate(integration, integration->chosen[i], point + 1, point + 2);
		integrate(integration, integration->n, point + 3, point + 4);
		integration->n++;
	}
	return DEV_OK;
}

/*
 * Good enough: the error of the whole, and that which would be left if the
 * intervals' errors did not happen to cancel, are both within the tolerance.
 */
static bool
is_good(const Integration *integration, double tolerance)
{
	double		sum = 0;
	double		squares = 0;

	for (size_t i = 0; i < integration->n; i++)
	{
		sum += integration->intervals[i].error;
		squares += integration->intervals[i].error * integration->intervals[i].error;
	}
	return fabs(sum) <= tolerance && sqrt(squares) <= tolerance;
}

DevStatus
learn_explain_gradients(LearnExplainer *explainer, const LearnExplain *how, double *contributions,
						double *score, double *baseline)
{
	const LearnModel *model = explainer->predictor->model;
	double		tolerance = how->tolerance > 0 ? how->tolerance / 2 : DEFAULT_TOLERANCE;
	Integration *integration;
	DevStatus	status = open_integration(explainer, &integration);

	/* Targets in units of their own are held to the same accuracy in standard deviations. */
	if (model->task == LEARN_REGRESSION)
		tolerance *= fabs(model->target_scale[explainer->output]);
	if (status == DEV_OK)
		status = start(explainer, integration);
	if (status != DEV_OK)
		return status;
	*baseline = integration->scores[0];
	*score = integration->scores[FIRST_INTERVALS];
	while (status == DEV_OK && !is_good(integration, tolerance))
	{
		size_t		n_chosen = choose(integration, tolerance);

		if (n_chosen == 0)
			break;				/* the error that is left is told to the caller */
		status = cut_chosen(explainer, integration, n_chosen);
	}
	for (size_t i = 0; i < integration->n; i++)
		for (size_t column = 0; column < explainer->n_columns; column++)
			contributions[column] += integration->integrals[i * explainer->n_columns + column];
	return status;
}

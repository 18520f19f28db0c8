/*
 * explain_gradients.c: integrated gradients (Sundararajan et al. 2017) by adaptive quadrature.
 *
 * A column's contribution is the integral of its slope along the straight way
 * from the baseline to the row. The score and the slopes are known at the ends of intervals of the
 * way. An interval's integral mixes the slopes of its two ends in the proportion that makes their
 * sum what the score did there: for a net of rectifiers, whose slopes are steps, this is exact when
 * the interval holds one kink, and the proportion says where that is. There the interval is cut, while it
 * matters, and the new point confirms the kink or tells of more. For smooth nets it is a trapezoid
 * rule whose sum is exact.
 */
#include "explain.h"

#include <math.h>
#include <string.h>

#define FIRST_INTERVALS 16
#define MOST_POINTS 4096
#define MOST_SLOPES ((size_t) 1 << 20)	/* points times columns: bounds the memory of wide tables */
#define CUTS LEARN_EXPLAIN_BATCH	/* at most at once */
#define NARROWEST 1e-6			/* float32 features do not tell narrower intervals apart */
#define LEAST_DOUBT 0.1			/* of a change of slopes, even where the kink seems to lie at an end */
#define DEFAULT_TOLERANCE 5e-4

typedef struct Point
{
	double		place;			/* 0 at the baseline, 1 at the row */
	double		score;
	double		slope;			/* of the score: sum of the columns' */
} Point;

typedef struct Interval
{
	size_t		low;			/* points */
	size_t		high;
	double		share;			/* of the width that has the low end's slopes */
	double		error;			/* by how much the score's change differs from the mix of the two slopes */
	double		doubt;			/* the error, and what columns may have wrong should there be more kinks than one */
} Interval;

typedef struct Integration
{
	size_t		n_groups;
	size_t		most;			/* points */
	size_t		n_points;
	size_t		n_intervals;
	Point	   *points;			/* (most) */
	double	   *slopes;			/* (most, n_groups) */
	Interval   *intervals;		/* (most) */
	double	   *scores;			/* (most) as learn_explain_points gives them */
	size_t		chosen[CUTS];
} Integration;

void
learn_explain_gradients_close(LearnExplainer *explainer)
{
	Integration *integration = explainer->work;

	if (integration == NULL)
		return;
	dev_release(explainer->session, integration->points);
	dev_release(explainer->session, integration->slopes);
	dev_release(explainer->session, integration->intervals);
	dev_release(explainer->session, integration->scores);
	dev_release(explainer->session, integration);
	explainer->work = NULL;
}

static DevStatus
open_integration(LearnExplainer *explainer, Integration **integration)
{
	DevSession *session = explainer->session;
	Integration *made = explainer->work;
	size_t		columns = explainer->n_groups + 1;

	*integration = made;
	if (made != NULL)
		return DEV_OK;
	made = dev_alloc(session, 1, sizeof(Integration));
	if (made == NULL)
		return DEV_NO_MEMORY;
	made->n_groups = explainer->n_groups;
	made->most = MOST_SLOPES / columns < MOST_POINTS ? MOST_SLOPES / columns : MOST_POINTS;
	if (made->most < FIRST_INTERVALS + 1)
		made->most = FIRST_INTERVALS + 1;
	made->points = dev_alloc(session, made->most, sizeof(Point));
	made->slopes = dev_alloc(session, made->most * columns, sizeof(double));
	made->intervals = dev_alloc(session, made->most, sizeof(Interval));
	made->scores = dev_alloc(session, made->most, sizeof(double));
	if (made->points == NULL || made->slopes == NULL || made->intervals == NULL || made->scores == NULL)
		return DEV_NO_MEMORY;
	explainer->work = *integration = made;
	return DEV_OK;
}

/* Point number n_points + point of the way; its ends are exact. */
static void
fill_way(void *context, size_t point, const LearnPath *path, float *features)
{
	const Integration *integration = context;
	double		place = integration->points[integration->n_points + point].place;

	if (place == 0 || place == 1)
	{
		memcpy(features, place == 0 ? path->baseline : path->row, path->n_values * sizeof(float));
		return;
	}
	for (size_t i = 0; i < path->n_values; i++)
	{
		double		from = path->baseline[i];

		features[i] = (float) (from + place * ((double) path->row[i] - from));
	}
}

/* Scores and slopes of the next n points, whose places are set. */
static DevStatus
visit_points(LearnExplainer *explainer, Integration *integration, size_t n)
{
	size_t		first = integration->n_points;
	DevStatus	status = learn_explain_points(explainer, n, fill_way, integration, integration->scores,
											  integration->slopes + first * integration->n_groups);

	if (status != DEV_OK)
		return status;
	for (size_t i = first; i < first + n; i++)
	{
		const double *slopes = integration->slopes + i * integration->n_groups;

		integration->points[i].score = integration->scores[i - first];
		integration->points[i].slope = 0;
		for (size_t column = 0; column < integration->n_groups; column++)
			integration->points[i].slope += slopes[column];
	}
	integration->n_points += n;
	return DEV_OK;
}

/* Euclidean distance of the columns' slopes at two points. */
static double
slopes_apart(const Integration *integration, size_t low, size_t high)
{
	const double *a = integration->slopes + low * integration->n_groups;
	const double *b = integration->slopes + high * integration->n_groups;
	double		squares = 0;

	for (size_t column = 0; column < integration->n_groups; column++)
		squares += (a[column] - b[column]) * (a[column] - b[column]);
	return sqrt(squares);
}

/*
 * With slope a on a share of the width and b on the rest, the score rises by (share a + (1 - share) b) width;
 * the share is what makes this true, as far as one between 0 and 1 can. Doubt is greatest for a kink in the
 * middle, and never nothing while the slopes differ: kinks may hide one another.
 */
static void
set_interval(const Integration *integration, Interval *interval, size_t low, size_t high)
{
	const Point *a = &integration->points[low];
	const Point *b = &integration->points[high];
	double		width = b->place - a->place;
	double		turn = (a->slope - b->slope) * width;
	double		rest = b->score - a->score - b->slope * width;	/* share * turn */
	double		share = turn != 0 ? rest / turn : 0.5;

	interval->low = low;
	interval->high = high;
	interval->share = share > 1 ? 1 : share < 0 ? 0 : share;
	interval->error = rest - interval->share * turn;
	interval->doubt = fabs(interval->error) +
		slopes_apart(integration, low, high) * width * fmax(interval->share * (1 - interval->share), LEAST_DOUBT);
}

static DevStatus
start(LearnExplainer *explainer, Integration *integration)
{
	DevStatus	status;

	integration->n_points = 0;
	for (size_t i = 0; i <= FIRST_INTERVALS; i++)
		integration->points[i].place = (double) i / FIRST_INTERVALS;
	status = visit_points(explainer, integration, FIRST_INTERVALS + 1);
	if (status != DEV_OK)
		return status;
	integration->n_intervals = FIRST_INTERVALS;
	for (size_t i = 0; i < FIRST_INTERVALS; i++)
		set_interval(integration, &integration->intervals[i], i, i + 1);
	return DEV_OK;
}

/* At the kink that the ends tell of; in the middle when they cannot. */
static double
cut_place(const Integration *integration, const Interval *interval)
{
	double		low = integration->points[interval->low].place;
	double		width = integration->points[interval->high].place - low;
	double		share = interval->share;

	if (!(share > 0 && share < 1))
		share = 0.5;
	return low + fmin(fmax(share, 0.01), 0.99) * width;
}

/* The most doubtful intervals; returns how many are worth a cut. */
static size_t
choose(Integration *integration, double tolerance)
{
	size_t		n_chosen = 0;
	double		worth = tolerance / (4 * (double) integration->n_intervals);

	while (n_chosen < CUTS && integration->n_points + n_chosen < integration->most)
	{
		size_t		worst = integration->n_intervals;

		for (size_t i = 0; i < integration->n_intervals; i++)
		{
			const Interval *interval = &integration->intervals[i];
			bool		taken = !(interval->doubt > worth) ||
				integration->points[interval->high].place - integration->points[interval->low].place < NARROWEST;

			for (size_t j = 0; j < n_chosen && !taken; j++)
				taken = integration->chosen[j] == i;
			if (!taken && (worst == integration->n_intervals ||
						   interval->doubt > integration->intervals[worst].doubt))
				worst = i;
		}
		if (worst == integration->n_intervals)
			break;
		integration->chosen[n_chosen++] = worst;
	}
	return n_chosen;
}

static DevStatus
cut_chosen(LearnExplainer *explainer, Integration *integration, size_t n_chosen)
{
	size_t		first = integration->n_points;
	DevStatus	status;

	for (size_t i = 0; i < n_chosen; i++)
		integration->points[first + i].place =
			cut_place(integration, &integration->intervals[integration->chosen[i]]);
	status = visit_points(explainer, integration, n_chosen);
	for (size_t i = 0; i < n_chosen && status == DEV_OK; i++)
	{
		Interval   *left = &integration->intervals[integration->chosen[i]];
		size_t		high = left->high;

		set_interval(integration, left, left->low, first + i);
		set_interval(integration, &integration->intervals[integration->n_intervals++], first + i, high);
	}
	return status;
}

/* Whether the errors' sum is within the tolerance, and what the doubts come to if their signs are chance. */
static bool
is_good(const Integration *integration, double tolerance)
{
	double		sum = 0;
	double		squares = 0;

	for (size_t i = 0; i < integration->n_intervals; i++)
	{
		sum += integration->intervals[i].error;
		squares += integration->intervals[i].doubt * integration->intervals[i].doubt;
	}
	return fabs(sum) <= tolerance && sqrt(squares) <= tolerance;
}

static void
add_integrals(const Integration *integration, double *contributions)
{
	for (size_t i = 0; i < integration->n_intervals; i++)
	{
		const Interval *interval = &integration->intervals[i];
		const double *low = integration->slopes + interval->low * integration->n_groups;
		const double *high = integration->slopes + interval->high * integration->n_groups;
		double		width = integration->points[interval->high].place - integration->points[interval->low].place;

		for (size_t column = 0; column < integration->n_groups; column++)
			contributions[column] += width * (interval->share * low[column] + (1 - interval->share) * high[column]);
	}
}

DevStatus
learn_explain_gradients(LearnExplainer *explainer, const LearnExplain *how, double *contributions,
						double *score, double *baseline)
{
	const LearnModel *model = explainer->predictor->model;
	double		tolerance = how->tolerance > 0 ? how->tolerance : DEFAULT_TOLERANCE;
	Integration *integration;
	DevStatus	status = open_integration(explainer, &integration);

	/* Targets in units of their own are held to the same accuracy in standard deviations. */
	if (model->task == LEARN_REGRESSION)
		tolerance *= fabs(model->target_scale[explainer->output]);
	if (status == DEV_OK)
		status = start(explainer, integration);
	if (status != DEV_OK)
		return status;
	*baseline = integration->points[0].score;
	*score = integration->points[FIRST_INTERVALS].score;
	tolerance = fmax(tolerance, how->relative * fabs(*score - *baseline));
	while (status == DEV_OK && !is_good(integration, tolerance))
	{
		size_t		n_chosen = choose(integration, tolerance);

		if (n_chosen == 0)
			break;				/* what is left is told to the caller as the error */
		status = cut_chosen(explainer, integration, n_chosen);
	}
	add_integrals(integration, contributions);
	return status;
}

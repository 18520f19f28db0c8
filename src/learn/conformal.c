/*
 * conformal.c: split conformal scores, intervals and sets.
 *
 * A score is larger the worse a value or class fits a row's answer. Whatever it is made of, the scores of rows held out and
 * of a new row are exchangeable, and so the rank of the new one is uniform: that alone makes the promise. Targets are kept in
 * single precision, as scores are, and answers may have been summed in another order: scores are made larger by what that can be.
 */
#include "dataset.h"

#include "idla/learn_conformal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ALL_KNOTS 32768			/* of a model, but for what LEAST_KNOTS asks for */
#define LEAST_KNOTS 128
#define RANK_ROUNDING 1e-9		/* (n + 1) * coverage is a whole number more often than its double is */
#define PROBABILITY_ROUNDING 1e-6
#define BIN_ROWS 50				/* that say how large a spread is */
#define MOST_BINS 20
#define LEAST_SPREAD 0.1		/* of the mean one: few rows that are right by chance make no certainty */

const char *const learn_conformal_score_names[] = {"residual", "scaled", "lac", "aps", NULL};

bool
learn_conformal_fits(LearnTask task, LearnConformalScore score)
{
	bool		values = score == LEARN_CONFORMAL_RESIDUAL || score == LEARN_CONFORMAL_SCALED;

	return values ? task == LEARN_REGRESSION : task == LEARN_BINARY || task == LEARN_MULTICLASS;
}

/* ---- Tables ---- */

int
learn_conformal_knots(size_t n_tables)
{
	size_t		knots = ALL_KNOTS / (n_tables > 0 ? n_tables : 1);

	return knots > LEARN_CONFORMAL_MOST_KNOTS ? LEARN_CONFORMAL_MOST_KNOTS : knots < LEAST_KNOTS ? LEAST_KNOTS : (int) knots;
}

uint64_t
learn_conformal_rank(uint64_t n, int n_knots, int knot)
{
	uint64_t	all = (uint64_t) n_knots;
	uint64_t	top = all / 4;
	uint64_t	number = (uint64_t) knot + 1;

	if (n <= all)
		return number;
	if (number > all - top)
		return n - (all - number);
	/* ceil(number * (n - top) / (all - top)) without overflow */
	return number * ((n - top) / (all - top)) + (number * ((n - top) % (all - top)) + all - top - 1) / (all - top);
}

double
learn_conformal_threshold(const LearnScoreTable *table, double coverage)
{
	double		wanted = ceil(((double) table->n + 1) * coverage - RANK_ROUNDING);
	int			low = 0;
	int			high = table->n_knots;

	if (!(wanted <= (double) table->n))
		return INFINITY;
	/* The first knot whose rank is no lower. */
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if ((double) learn_conformal_rank(table->n, table->n_knots, middle) < wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return low < table->n_knots ? (double) table->knots[low] : INFINITY;
}

int
learn_conformal_place(const LearnConformal *conformal, const char *group)
{
	for (int i = 0; i < conformal->n_groups && group != NULL; i++)
		if (strcmp(conformal->groups[i], group) == 0)
			return i + 1;
	return 0;
}

const LearnScoreTable *
learn_conformal_table(const LearnConformal *conformal, int place, int target)
{
	return &conformal->tables[(size_t) place * (size_t) conformal->n_targets + (size_t) target];
}

static int
compare_doubles(const void *left, const void *right)
{
	double		a = *(const double *) left;
	double		b = *(const double *) right;

	return (a > b) - (a < b);
}

/* Sorts the scores. */
static DevStatus
fill_table(DevSession *session, double *scores, size_t n, int most, LearnScoreTable *table)
{
	qsort(scores, n, sizeof(double), compare_doubles);
	table->n = n;
	table->n_knots = n < (size_t) most ? (int) n : most;
	table->knots = dev_alloc(session, (size_t) table->n_knots, sizeof(float));
	if (table->knots == NULL)
		return DEV_NO_MEMORY;
	for (int i = 0; i < table->n_knots; i++)
		table->knots[i] = (float) fmin(scores[learn_conformal_rank(n, table->n_knots, i) - 1], (double) FLT_MAX);
	return dev_poll(session);
}

/* ---- Values ---- */

static double
spread_at(const LearnSpread *spread, double answer)
{
	int			i = 0;
	double		share;

	while (i < spread->n && spread->at[i] <= answer)
		i++;
	if (i == 0)
		return spread->spread[0];
	if (i == spread->n)
		return spread->spread[spread->n - 1];
	share = (answer - spread->at[i - 1]) / (spread->at[i] - spread->at[i - 1]);
	return spread->spread[i - 1] + share * (spread->spread[i] - spread->spread[i - 1]);
}

static double
residual(const LearnModel *model, int target, double answer, double value)
{
	double		rounding = 4 * (double) FLT_EPSILON * (fabs(value) + fabs(answer) + fabs(model->target_mean[target]) +
													   model->target_scale[target]);

	return fabs(value - answer) + rounding;
}

void
learn_conformal_interval(const LearnConformal *conformal, int target, double answer, double threshold, double *low, double *high)
{
	double		reach = threshold;

	if (conformal->score == LEARN_CONFORMAL_SCALED)
		reach *= spread_at(&conformal->spreads[target], answer);
	*low = answer - reach;
	*high = answer + reach;
}

typedef struct Pair
{
	double		answer;
	double		residual;
} Pair;

static int
compare_pairs(const void *left, const void *right)
{
	const Pair *a = left;
	const Pair *b = right;

	if (a->answer != b->answer)
		return a->answer > b->answer ? 1 : -1;
	return (a->residual > b->residual) - (a->residual < b->residual);
}

/* Bins of about equal numbers of rows; rows of equal answers stay in one. */
static DevStatus
fill_spread(DevSession *session, Pair *pairs, size_t n, LearnSpread *spread)
{
	size_t		bins = n / BIN_ROWS < 1 ? 1 : n / BIN_ROWS > MOST_BINS ? MOST_BINS : n / BIN_ROWS;
	double		all = 0;
	size_t		first = 0;

	spread->at = dev_alloc(session, bins, sizeof(double));
	spread->spread = dev_alloc(session, bins, sizeof(double));
	if (spread->at == NULL || spread->spread == NULL)
		return DEV_NO_MEMORY;
	qsort(pairs, n, sizeof(Pair), compare_pairs);
	for (size_t i = 0; i < n; i++)
		all += pairs[i].residual / (double) n;
	all = all > DBL_MIN ? all : 1;
	for (size_t bin = 0; bin < bins && first < n; bin++)
	{
		size_t		end = n * (bin + 1) / bins;
		double		answer = 0;
		double		sum = 0;

		if (end <= first)
			continue;
		while (end < n && pairs[end].answer == pairs[end - 1].answer)
			end++;
		for (size_t i = first; i < end; i++)
		{
			answer += pairs[i].answer / (double) (end - first);
			sum += pairs[i].residual / (double) (end - first);
		}
		/* The mean of a bin may round to that of the one before. */
		if (spread->n == 0 || answer > spread->at[spread->n - 1])
		{
			spread->at[spread->n] = answer;
			spread->spread[spread->n++] = fmax(sum, LEAST_SPREAD * all);
		}
		first = end;
	}
	return dev_poll(session);
}

/* ---- Classes ---- */

static double
probability_of(const LearnModel *model, const double *answers, int class)
{
	if (model->task != LEARN_BINARY)
		return answers[class];
	return class == model->positive ? answers[0] : 1 - answers[0];
}

/* Is class a likelier than class b? Of two that are as likely, the first one. */
static bool
comes_before(const LearnModel *model, const double *answers, int a, int b)
{
	double		of_a = probability_of(model, answers, a);
	double		of_b = probability_of(model, answers, b);

	return of_a > of_b || (of_a == of_b && a < b);
}

static double
class_score(const LearnModel *model, LearnConformalScore score, const double *answers, int class)
{
	double		own = probability_of(model, answers, class);
	double		before = 0;

	if (score == LEARN_CONFORMAL_LAC)
		return 1 - own;
	for (int i = 0; i < model->n_classes; i++)
		if (i != class && comes_before(model, answers, i, class))
			before += probability_of(model, answers, i);
	return before + own / 2;
}

/* Lets order[at], which may be likelier than what was there, sink to its place in the heap of the likeliest classes. */
static void
sift(const LearnModel *model, const double *answers, int *order, int n, int at)
{
	for (;;)
	{
		int			best = at;
		int			left = 2 * at + 1;
		int			swap;

		if (left < n && comes_before(model, answers, order[left], order[best]))
			best = left;
		if (left + 1 < n && comes_before(model, answers, order[left + 1], order[best]))
			best = left + 1;
		if (best == at)
			return;
		swap = order[at];
		order[at] = order[best];
		order[best] = swap;
		at = best;
	}
}

/* Classes are taken one by one, the likeliest first, until one does not fit. */
static int
likeliest_set(const LearnModel *model, const double *answers, double threshold, int *order, bool *in)
{
	int			n = model->n_classes;
	double		before = 0;
	int			taken = 0;

	for (int i = 0; i < n; i++)
		order[i] = i;
	for (int i = n / 2; i-- > 0;)
		sift(model, answers, order, n, i);
	while (n > 0)
	{
		double		own = probability_of(model, answers, order[0]);

		if (!(before + own / 2 <= threshold))
			break;
		in[order[0]] = true;
		taken++;
		before += own;
		order[0] = order[--n];
		sift(model, answers, order, n, 0);
	}
	return taken;
}

int
learn_conformal_set(const LearnModel *model, const LearnConformal *conformal, const double *answers, double threshold,
					int *order, bool *in)
{
	int			taken = 0;

	memset(in, 0, (size_t) model->n_classes * sizeof(bool));
	if (conformal->score == LEARN_CONFORMAL_APS)
		return likeliest_set(model, answers, threshold, order, in);
	for (int i = 0; i < model->n_classes; i++)
	{
		in[i] = 1 - probability_of(model, answers, i) <= threshold;
		taken += in[i];
	}
	return taken;
}

/* ---- Fitting ---- */

typedef struct Fit
{
	DevSession *session;
	const LearnModel *model;
	const LearnConformalRows *rows;
	LearnConformal *conformal;
	int			most_knots;
	double	   *scores;			/* (n) of one target, NAN: the row is not scored */
	double	   *sorted;			/* (n) */
	Pair	   *pairs;			/* (n) */
	int		   *place;			/* (n_groups): number of a group's table, 0: none */
} Fit;

static bool
tells_spread(const Fit *fit, size_t row)
{
	uint32_t	bits[4];

	if (fit->conformal->score != LEARN_CONFORMAL_SCALED)
		return false;
	dev_random_bits(fit->rows->seed, DEV_STREAM_CONFORMAL, row, bits);
	return (bits[0] & 1) != 0;
}

static DevStatus
learn_spread(Fit *fit, int target)
{
	const LearnConformalRows *rows = fit->rows;
	size_t		outputs = (size_t) fit->conformal->n_targets;
	size_t		n = 0;

	for (size_t row = 0; row < rows->n; row++)
	{
		size_t		at = row * outputs + (size_t) target;

		if (tells_spread(fit, row))
			fit->pairs[n++] = (Pair) {rows->answers[at], residual(fit->model, target, rows->answers[at], rows->targets[at])};
	}
	return fill_spread(fit->session, fit->pairs, n, &fit->conformal->spreads[target]);
}

static void
score_rows(Fit *fit, int target)
{
	const LearnModel *model = fit->model;
	const LearnConformalRows *rows = fit->rows;
	LearnConformalScore score = fit->conformal->score;
	size_t		outputs = learn_model_outputs(model);

	for (size_t row = 0; row < rows->n; row++)
	{
		const double *answers = rows->answers + row * outputs;

		if (tells_spread(fit, row))
			fit->scores[row] = NAN;
		else if (model->task == LEARN_REGRESSION)
		{
			fit->scores[row] = residual(model, target, answers[target], rows->targets[row * outputs + (size_t) target]);
			if (score == LEARN_CONFORMAL_SCALED)
				fit->scores[row] /= spread_at(&fit->conformal->spreads[target], answers[target]);
		}
		else
		{
			double		wanted = rows->targets[row];
			int			class = model->task == LEARN_MULTICLASS ? (int) wanted :
				wanted != 0 ? model->positive : 1 - model->positive;

			fit->scores[row] = class_score(model, score, answers, class) + PROBABILITY_ROUNDING;
		}
	}
}

/* The table of all rows (place 0), or of the rows of the group that has this place. */
static DevStatus
score_table(Fit *fit, int target, int place)
{
	const LearnConformalRows *rows = fit->rows;
	size_t		n = 0;

	for (size_t row = 0; row < rows->n; row++)
	{
		if (isnan(fit->scores[row]))
			continue;
		if (place == 0 || (rows->groups[row] != LEARN_NO_GROUP && fit->place[rows->groups[row]] == place))
			fit->sorted[n++] = fit->scores[row];
	}
	return fill_table(fit->session, fit->sorted, n, fit->most_knots,
					  &fit->conformal->tables[(size_t) place * (size_t) fit->conformal->n_targets + (size_t) target]);
}

/* Which groups have rows enough; their names. */
static DevStatus
choose_groups(Fit *fit)
{
	const LearnConformalRows *rows = fit->rows;
	LearnConformal *conformal = fit->conformal;
	size_t		size = (size_t) (rows->n_groups > 0 ? rows->n_groups : 1);
	size_t	   *counts = dev_alloc(fit->session, size, sizeof(size_t));

	fit->place = dev_alloc(fit->session, size, sizeof(int));
	conformal->groups = dev_alloc(fit->session, size, sizeof(char *));
	if (counts == NULL || fit->place == NULL || conformal->groups == NULL)
		return DEV_NO_MEMORY;
	for (size_t row = 0; row < rows->n && rows->groups != NULL; row++)
		if (rows->groups[row] != LEARN_NO_GROUP && !tells_spread(fit, row))
			counts[rows->groups[row]]++;
	for (int i = 0; i < rows->n_groups; i++)
	{
		if (counts[i] < LEARN_CONFORMAL_LEAST_GROUP)
			continue;
		conformal->groups[conformal->n_groups] = dev_strdup(fit->session, rows->names[i]);
		if (conformal->groups[conformal->n_groups] == NULL)
			return DEV_NO_MEMORY;
		fit->place[i] = ++conformal->n_groups;
	}
	dev_release(fit->session, counts);
	if (rows->by != NULL && (conformal->by = dev_strdup(fit->session, rows->by)) == NULL)
		return DEV_NO_MEMORY;
	return DEV_OK;
}

static DevStatus
fill(Fit *fit)
{
	LearnConformal *conformal = fit->conformal;
	size_t		n = fit->rows->n;
	size_t		n_tables;
	DevStatus	status = choose_groups(fit);

	if (status != DEV_OK)
		return status;
	n_tables = (size_t) (1 + conformal->n_groups) * (size_t) conformal->n_targets;
	fit->most_knots = learn_conformal_knots(n_tables);
	conformal->tables = dev_alloc(fit->session, n_tables, sizeof(LearnScoreTable));
	fit->scores = dev_alloc(fit->session, n, sizeof(double));
	fit->sorted = dev_alloc(fit->session, n, sizeof(double));
	if (conformal->tables == NULL || fit->scores == NULL || fit->sorted == NULL)
		return DEV_NO_MEMORY;
	if (conformal->score == LEARN_CONFORMAL_SCALED)
	{
		fit->pairs = dev_alloc(fit->session, n, sizeof(Pair));
		conformal->spreads = dev_alloc(fit->session, (size_t) conformal->n_targets, sizeof(LearnSpread));
		if (fit->pairs == NULL || conformal->spreads == NULL)
			return DEV_NO_MEMORY;
	}
	for (int target = 0; target < conformal->n_targets && status == DEV_OK; target++)
	{
		if (conformal->score == LEARN_CONFORMAL_SCALED)
			status = learn_spread(fit, target);
		if (status == DEV_OK)
			score_rows(fit, target);
		for (int place = 0; place <= conformal->n_groups && status == DEV_OK; place++)
			status = score_table(fit, target, place);
	}
	return status;
}

DevStatus
learn_conformal_fit(DevSession *session, const LearnModel *model, const LearnConformalRows *rows, LearnConformalScore score,
					LearnConformal **conformal)
{
	Fit			fit = {.session = session, .model = model, .rows = rows};
	DevStatus	status;

	*conformal = NULL;
	if (!learn_conformal_fits(model->task, score))
		return dev_fail(session, DEV_INVALID, "conformal score \"%s\" is not for a %s model", learn_conformal_score_names[score],
						learn_task_names[model->task]);
	if (rows->n < LEARN_CONFORMAL_LEAST)
		return DEV_OK;
	fit.conformal = dev_alloc(session, 1, sizeof(LearnConformal));
	if (fit.conformal == NULL)
		return DEV_NO_MEMORY;
	fit.conformal->score = score == LEARN_CONFORMAL_SCALED && rows->n < 2 * LEARN_CONFORMAL_LEAST_GROUP ?
		LEARN_CONFORMAL_RESIDUAL : score;
	fit.conformal->n_targets = model->task == LEARN_REGRESSION ? model->n_targets : 1;
	status = fill(&fit);
	dev_release(session, fit.scores);
	dev_release(session, fit.sorted);
	dev_release(session, fit.pairs);
	dev_release(session, fit.place);
	if (status == DEV_OK)
		*conformal = fit.conformal;
	return status;
}

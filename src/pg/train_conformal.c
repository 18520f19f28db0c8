/*
 * train_conformal.c: how far off a new model's answers may be.
 *
 * Rows that its networks did not learn from tell: the validation part, or with folds every row by the networks of the other
 * folds, or the test part where the user gives it for that. The validation part has chosen when training stopped and the temperature,
 * and networks of folds answer a little worse than their mean: so what is promised is measured on the test part, which has
 * done nothing of the kind, and the card says what came out.
 */
#include "train.h"

#include <math.h>

#include "manifest.h"
#include "utils/builtins.h"

#define MOST_ROWS 100000		/* that are scored: more make no threshold better */

static const double levels[] = {0.8, 0.9, 0.95};

#define N_LEVELS 3
#define GROUP_LEVEL 1			/* the one that subgroups are measured at */

/* What was covered of the test part's rows: (targets, levels, 1 + groups). */
typedef struct Covered
{
	uint64		n;
	uint64		covered;
	uint64		n_finite;
	double		size;			/* summed: widths of intervals that end, or numbers of classes */
} Covered;

struct IdlaCalibration
{
	const char *from;			/* "validation", "folds", "test" */
	size_t		n;				/* rows */
	Covered    *covered;		/* NULL: not measured */
};

/* ---- what is asked ---- */

bool
idla_conformal_wanted(const IdlaTraining *run)
{
	const IdlaOptions *options = run->options;
	LearnTask	task = run->model->learn.task;
	bool		values = task == LEARN_REGRESSION;

	if (options->no_conformal)
		return false;
	if (!values && run->model->learn.n_classes == 0)
	{
		if (options->conformal_asked)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"conformal\" is for numbers and classes, and the task is \"%s\"", learn_task_names[task])));
		return false;
	}
	if (run->model->columns.series != NULL)
	{
		if (options->conformal_asked)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"conformal\" cannot be combined with \"entity\""),
					 errdetail("Intervals and sets of classes are answers for one row, not for all rows of an entity.")));
		return false;
	}
	if (options->conformal_score >= 0 && !learn_conformal_fits(task, (LearnConformalScore) options->conformal_score))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("conformal score \"%s\" does not fit the task \"%s\"", learn_conformal_score_names[options->conformal_score],
						learn_task_names[task]),
				 errhint(values ? "Take \"residual\" or \"scaled\"." : "Take \"lac\" or \"aps\".")));
	if (options->conformal_on == IDLA_CONFORMAL_TEST && run->parts[LEARN_TEST] == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"conformal.on\" is \"test\", and there is no test part")));
	return true;
}

void
idla_abstain_check(const IdlaTraining *run)
{
	if (run->options->abstain > 0 && run->model->learn.n_classes == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"abstain\" is for classes, and the task is \"%s\"", learn_task_names[run->model->learn.task])));
}

/* ---- calibrating ---- */

/* Every so many rows, so that at most MOST_ROWS are left; returns their number. */
static size_t
thin_out(uint32_t *rows, double *scores, size_t outputs, size_t n)
{
	size_t		kept = Min(n, (size_t) MOST_ROWS);

	for (size_t i = 0; i < kept; i++)
	{
		size_t		from = (size_t) ((uint64) i * n / kept);

		rows[i] = rows[from];
		if (scores != NULL && from != i)
			memcpy(scores + i * outputs, scores + from * outputs, sizeof(double) * outputs);
	}
	return kept;
}

/* Rows of a part and the model's scores of them. */
static double *
score_part(IdlaTraining *run, LearnPart part, uint32_t **rows, size_t *n)
{
	IdlaWork   *work = run->model->work;
	LearnModel *learn = &run->model->learn;
	LearnPredictor *predictor;
	double	   *scores;

	*rows = idla_training_rows(run, part, n);
	*n = thin_out(*rows, NULL, 0, *n);
	scores = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(double) * (*n * learn_model_outputs(learn) + 1));
	if (*n == 0)
		return scores;
	idla_check(work, learn_predictor_create(work->session, learn, idla_training_batch(run), &predictor));
	idla_check(work, learn_predict_dataset(predictor, run->reading.dataset, *rows, *n, scores));
	return scores;
}

static void
tell_small_groups(const IdlaSubgroups *subgroups, const LearnConformal *conformal)
{
	const char **names = palloc0(sizeof(char *) * (Size) (subgroups->n + 1));
	int			n = 0;

	for (int i = 0; i < subgroups->n; i++)
		if (learn_conformal_place(conformal, subgroups->names[i]) == 0)
			names[n++] = subgroups->names[i];
	if (n > 0)
		ereport(NOTICE,
				(errmsg_plural("%d subgroup of \"%s\" has no intervals of its own: %s", "%d subgroups of \"%s\" have no intervals of their own: %s",
							   (unsigned long) n, n, subgroups->by, idla_list(names)),
				 errdetail("Fewer than %d of their rows can be calibrated on. The intervals and sets of all rows are used for them.",
						   LEARN_CONFORMAL_LEAST_GROUP)));
}

static void
fit(IdlaTraining *run, const uint32_t *rows, double *answers)
{
	IdlaModel  *model = run->model;
	const IdlaSubgroups *subgroups = run->reading.subgroups;
	size_t		n = run->calibration->n;
	int			score = run->options->conformal_score;
	uint32_t   *groups = NULL;
	LearnConformal *conformal;

	if (score < 0)
		score = model->learn.task == LEARN_REGRESSION ? LEARN_CONFORMAL_RESIDUAL : LEARN_CONFORMAL_LAC;
	learn_scores_to_answers(&model->learn, n, answers);
	if (subgroups != NULL)
	{
		groups = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(uint32_t) * (n + 1));
		for (size_t i = 0; i < n; i++)
			groups[i] = subgroups->codes[rows[i]];
	}
	idla_check(model->work, learn_conformal_fit(model->work->session, &model->learn, &(LearnConformalRows)
	{
		.n = n, .answers = answers, .targets = idla_training_targets(run, rows, n), .groups = groups,
		.n_groups = subgroups == NULL ? 0 : subgroups->n, .names = subgroups == NULL ? NULL : subgroups->names,
		.by = subgroups == NULL ? NULL : subgroups->by, .seed = run->training.seed
	}, (LearnConformalScore) score, &conformal));
	model->learn.conformal = conformal;
	if (subgroups != NULL)
		model->subgroup_type = subgroups->type;
	if (conformal != NULL && subgroups != NULL)
		tell_small_groups(subgroups, conformal);
	if (conformal != NULL && (int) conformal->score != score)
		ereport(NOTICE,
				(errmsg("%zu rows are too few to learn how far off answers are by their size", n),
				 errdetail("The conformal score is \"%s\" instead.", learn_conformal_score_names[conformal->score])));
}

void
idla_training_calibrate(IdlaTraining *run)
{
	IdlaCalibration *calibration;
	uint32_t   *rows;
	double	   *scores;

	if (!idla_conformal_wanted(run))
		return;
	calibration = run->calibration = palloc0(sizeof(IdlaCalibration));
	if (run->options->conformal_on == IDLA_CONFORMAL_TEST)
	{
		calibration->from = "test";
		scores = score_part(run, LEARN_TEST, &rows, &calibration->n);
	}
	else if (run->outcome.n_held > 0)
	{
		calibration->from = "folds";
		rows = run->outcome.held_rows;
		scores = run->outcome.held_scores;
		calibration->n = thin_out(rows, scores, learn_model_outputs(&run->model->learn), run->outcome.n_held);
	}
	else
	{
		calibration->from = "validation";
		scores = score_part(run, LEARN_VALIDATION, &rows, &calibration->n);
	}
	fit(run, rows, scores);
	if (run->model->learn.conformal == NULL && run->options->conformal_asked)
		ereport(WARNING,
				(errmsg("how far off answers may be cannot be told: there are %zu rows for that", calibration->n),
				 errdetail("It takes %d rows that the networks did not learn from.", LEARN_CONFORMAL_LEAST),
				 errhint("Ask for a larger part with the option \"validation\", or give the test part for it with \"conformal\": {\"on\": \"test\"}.")));
}

/* ---- measuring ---- */

static Covered *
covered_at(const IdlaTraining *run, int target, int level, int place)
{
	const LearnConformal *conformal = run->model->learn.conformal;

	return &run->calibration->covered[((Size) target * N_LEVELS + (Size) level) * (Size) (1 + conformal->n_groups) + (Size) place];
}

/* Is the truth in what the model would answer, and how much is that? */
static bool
is_covered(const LearnModel *model, const double *answers, const double *targets, int target, double threshold, int *order,
		   bool *in, double *size)
{
	double		low;
	double		high;

	if (model->task == LEARN_REGRESSION)
	{
		learn_conformal_interval(model->conformal, target, answers[target], threshold, &low, &high);
		*size = high - low;
		return low <= targets[target] && targets[target] <= high;
	}
	*size = learn_conformal_set(model, model->conformal, answers, threshold, order, in);
	return in[idla_class_of_target(model, targets[0])];
}

static void
measure(IdlaTraining *run, size_t n, const int *places, const double *answers, const double *targets, int target, int level)
{
	const LearnModel *model = &run->model->learn;
	const LearnConformal *conformal = model->conformal;
	size_t		outputs = learn_model_outputs(model);
	size_t		width = (size_t) model->n_targets;
	double	   *thresholds = palloc(sizeof(double) * (Size) (1 + conformal->n_groups));
	int		   *order = palloc(sizeof(int) * (Size) Max(model->n_classes, 1));
	bool	   *in = palloc(sizeof(bool) * (Size) Max(model->n_classes, 1));

	for (int place = 0; place <= conformal->n_groups; place++)
		thresholds[place] = learn_conformal_threshold(learn_conformal_table(conformal, place, target), levels[level]);
	for (size_t i = 0; i < n; i++)
	{
		double		size;
		bool		covered = is_covered(model, answers + i * outputs, targets + i * width, target, thresholds[places[i]], order, in, &size);
		Covered    *of_all = covered_at(run, target, level, 0);
		Covered    *of_group = places[i] > 0 ? covered_at(run, target, level, places[i]) : NULL;

		for (Covered *one = of_all; one != NULL; one = one == of_all ? of_group : NULL)
		{
			one->n++;
			one->covered += covered;
			one->n_finite += isfinite(size);
			one->size += isfinite(size) ? size : 0;
		}
	}
	pfree(thresholds);
	pfree(order);
	pfree(in);
}

/* The number of its table among the groups', by row. */
static int *
places_of(const IdlaTraining *run, const uint32_t *rows, size_t n)
{
	const IdlaSubgroups *subgroups = run->reading.subgroups;
	const LearnConformal *conformal = run->model->learn.conformal;
	int		   *places = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int) * (n + 1));
	int			of_group[LEARN_CONFORMAL_MOST_GROUPS] = {0};

	for (int i = 0; subgroups != NULL && i < subgroups->n; i++)
		of_group[i] = learn_conformal_place(conformal, subgroups->names[i]);
	for (size_t i = 0; i < n; i++)
	{
		uint32_t	group = subgroups == NULL ? LEARN_NO_GROUP : subgroups->codes[rows[i]];

		places[i] = group == LEARN_NO_GROUP ? 0 : of_group[group];
	}
	return places;
}

void
idla_training_cover(IdlaTraining *run, const uint32_t *rows, size_t n, const double *answers, const double *targets)
{
	const LearnConformal *conformal = run->model->learn.conformal;
	int		   *places;

	if (conformal == NULL || run->options->conformal_on == IDLA_CONFORMAL_TEST || strcmp(run->judged_on, "test") != 0)
		return;
	places = places_of(run, rows, n);
	run->calibration->covered = palloc0(sizeof(Covered) * (Size) conformal->n_targets * N_LEVELS * (Size) (1 + conformal->n_groups));
	for (int target = 0; target < conformal->n_targets; target++)
		for (int level = 0; level < N_LEVELS; level++)
			measure(run, n, places, answers, targets, target, level);
	pfree(places);
}

/* ---- the card ---- */

static void
put_covered(StringInfo out, const IdlaTraining *run, int target, int level, int place)
{
	const LearnModel *model = &run->model->learn;
	const Covered *covered = covered_at(run, target, level, place);

	if (covered->n == 0)
		return;
	idla_json_open_object(out);
	if (model->conformal->n_targets > 1)
		idla_json_put_string(out, "target", run->reading.target.names[target]);
	if (place > 0)
		idla_json_put_string(out, "group", model->conformal->groups[place - 1]);
	idla_json_put_double(out, "nominal", levels[level]);
	idla_json_put_double(out, "measured", (double) covered->covered / (double) covered->n);
	idla_json_put_integer(out, "n", (int64) covered->n);
	if (covered->n_finite == covered->n)
		idla_json_put_double(out, model->task == LEARN_REGRESSION ? "mean_width" : "mean_classes", covered->size / (double) covered->n);
	appendStringInfoChar(out, '}');
}

/* Rows of each group that has a table. */
static void
put_groups(StringInfo out, const LearnConformal *conformal)
{
	idla_json_put_string(out, "by", conformal->by);
	if (conformal->by == NULL)
		return;
	idla_json_key(out, "groups");
	appendStringInfoChar(out, '{');
	for (int i = 0; i < conformal->n_groups; i++)
		idla_json_put_integer(out, conformal->groups[i], (int64) learn_conformal_table(conformal, i + 1, 0)->n);
	appendStringInfoChar(out, '}');
}

void
idla_training_put_conformal(StringInfo out, const IdlaTraining *run)
{
	const LearnConformal *conformal = run->model->learn.conformal;

	if (conformal == NULL)
		return;
	idla_json_key(out, "conformal");
	appendStringInfoChar(out, '{');
	idla_json_put_string(out, "score", learn_conformal_score_names[conformal->score]);
	idla_json_put_string(out, "rows_from", run->calibration->from);
	idla_json_put_integer(out, "rows", (int64) run->calibration->n);
	put_groups(out, conformal);
	if (run->calibration->covered != NULL)
	{
		idla_json_open_array(out, "coverage");
		for (int target = 0; target < conformal->n_targets; target++)
		{
			for (int level = 0; level < N_LEVELS; level++)
				put_covered(out, run, target, level, 0);
			for (int place = 1; place <= conformal->n_groups; place++)
				put_covered(out, run, target, GROUP_LEVEL, place);
		}
		appendStringInfoChar(out, ']');
	}
	appendStringInfoChar(out, '}');
}

/*
 * judge.c: the metrics of a task, each with a 95 % interval.
 *
 * Training judges its test rows with this, idla_evaluate any source's, so that
 * the figures agree. Intervals: DeLong for AUROC, Wilson for accuracy, the percentile bootstrap for the
 * rest. Beyond BOOTSTRAP_ROWS rows the bootstrap runs on that many of them and its deviations
 * shrink by the square root of the ratio (m out of n: Bickel, Goetze and van Zwet 1997).
 */
#include "idla.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "idla/learn_metrics.h"

#define BOOTSTRAP_ROWS 10000
#define BOOTSTRAP_SEED 20260101
#define MOST_REPEATS 1000
#define FEWEST_REPEATS 200
#define ECE_BINS 10
#define Z_95 1.959963984540054	/* 97.5 % quantile of the normal distribution */

/* Everything that is known of the rows, and room for a draw of them. */
typedef struct Judged
{
	DevSession *session;
	const LearnModel *model;
	size_t		n;
	size_t		n_outputs;
	double	   *answers;		/* (n, outputs) */
	const double *targets;		/* (n, n_targets) */
	double		threshold;
	int			target;			/* regression, labels: which one, -1: the mean over all */

	/* Room for n rows */
	double	   *first;
	double	   *second;
	double	   *many;			/* (n, classes), multi-class only */
	uint8_t    *flags;
	uint32_t   *predicted;
	uint32_t   *labels;
} Judged;

/* A metric of `n` rows, those numbered by `rows` or, when that is NULL, the first n. */
typedef DevStatus (*Metric) (Judged *judged, size_t n, const uint32_t *rows, double *value);

static inline size_t
row_at(const uint32_t *rows, size_t i)
{
	return rows == NULL ? i : rows[i];
}

/* ---- binary ---- */

/* Probability of the positive class into first, whether it was that class into flags. */
static void
gather_binary(Judged *judged, size_t n, const uint32_t *rows)
{
	for (size_t i = 0; i < n; i++)
	{
		size_t		row = row_at(rows, i);

		size_t		at = judged->target < 0 ? row : row * judged->n_outputs + (size_t) judged->target;

		judged->first[i] = judged->answers[at];
		judged->flags[i] = judged->targets[at] != 0;
	}
}

static DevStatus
auprc(Judged *judged, size_t n, const uint32_t *rows, double *value)
{
	gather_binary(judged, n, rows);
	return learn_auprc(judged->session, n, judged->first, judged->flags, value);
}

static DevStatus
log_loss(Judged *judged, size_t n, const uint32_t *rows, double *value)
{
	gather_binary(judged, n, rows);
	*value = learn_log_loss(n, judged->first, judged->flags);
	return DEV_OK;
}

static DevStatus
brier(Judged *judged, size_t n, const uint32_t *rows, double *value)
{
	gather_binary(judged, n, rows);
	*value = learn_brier(n, judged->first, judged->flags);
	return DEV_OK;
}

static DevStatus
ece(Judged *judged, size_t n, const uint32_t *rows, double *value)
{
	gather_binary(judged, n, rows);
	*value = learn_ece(n, judged->first, judged->flags, ECE_BINS);
	return DEV_OK;
}

/* ---- labels ---- */

/* Mean over the labels of a binary metric; those that say nothing of these rows are left out. */
static DevStatus
mean_of_labels(Judged *judged, Metric metric, size_t n, const uint32_t *rows, double *value)
{
	double		sum = 0;
	int			counted = 0;
	DevStatus	status = DEV_OK;

	for (judged->target = 0; judged->target < judged->model->n_targets && status == DEV_OK; judged->target++)
	{
		double		one = NAN;

		status = metric(judged, n, rows, &one);
		sum += isnan(one) ? 0 : one;
		counted += !isnan(one);
	}
	judged->target = -1;
	*value = counted == 0 ? NAN : sum / counted;
	return status;
}

static DevStatus
auroc_of_label(Judged *judged, size_t n, const uint32_t *rows, double *value)
{
	gather_binary(judged, n, rows);
	return learn_auroc(judged->session, n, judged->first, judged->flags, value);
}

static DevStatus
macro_auroc(Judged *judged, size_t n, const uint32_t *rows, double *value)
{
	return mean_of_labels(judged, auroc_of_label, n, rows, value);
}

static DevStatus
macro_auprc(Judged *judged, size_t n, const uint32_t *rows, double *value)
{
	return mean_of_labels(judged, auprc, n, rows, value);
}

static DevStatus
label_log_loss(Judged *judged, size_t n, const uint32_t *rows, double *value)
{
	return mean_of_labels(judged, log_loss, n, rows, value);
}

static DevStatus
label_brier(Judged *judged, size_t n, const uint32_t *rows, double *value)
{
	return mean_of_labels(judged, brier, n, rows, value);
}

/* Of counts; 0 where nothing is to be found and nothing was, as scikit-learn. */
static double
f1_of(uint64_t hits, uint64_t said, uint64_t held)
{
	return said + held == 0 ? 0 : 2.0 * (double) hits / (double) (said + held);
}

static void
count_label(const Judged *judged, size_t label, size_t n, const uint32_t *rows, uint64_t counts[3])
{
	for (size_t i = 0; i < n; i++)
	{
		size_t		at = row_at(rows, i) * judged->n_outputs + label;
		bool		said = judged->answers[at] >= 0.5;
		bool		held = judged->targets[at] != 0;

		counts[0] += said && held;
		counts[1] += said;
		counts[2] += held;
	}
}

static DevStatus
micro_f1(Judged *judged, size_t n, const uint32_t *rows, double *value)
{
	uint64_t	counts[3] = {0};

	for (size_t label = 0; label < judged->n_outputs; label++)
		count_label(judged, label, n, rows, counts);
	*value = f1_of(counts[0], counts[1], counts[2]);
	return DEV_OK;
}

static DevStatus
label_macro_f1(Judged *judged, size_t n, const uint32_t *rows, double *value)
{
	double		sum = 0;

	for (size_t label = 0; label < judged->n_outputs; label++)
	{
		uint64_t	counts[3] = {0};

		count_label(judged, label, n, rows, counts);
		sum += f1_of(counts[0], counts[1], counts[2]);
	}
	*value = sum / (double) judged->n_outputs;
	return DEV_OK;
}

static LearnClassScore
score_of(const uint64_t counts[3])
{
	LearnClassScore score = {
		.precision = counts[1] == 0 ? 0 : (double) counts[0] / (double) counts[1],
		.recall = counts[2] == 0 ? 0 : (double) counts[0] / (double) counts[2],
		.f1 = f1_of(counts[0], counts[1], counts[2]),
		.support = counts[2]
	};

	return score;
}

static void
add_score(LearnClassScore *sum, const LearnClassScore *score, double weight)
{
	sum->precision += weight * score->precision;
	sum->recall += weight * score->recall;
	sum->f1 += weight * score->f1;
}

void
idla_label_report(size_t n, size_t n_labels, const double *answers, const double *targets,
				  LearnClassScore *scores, LearnClassScore averages[3])
{
	Judged		judged = {.answers = unconstify(double *, answers), .targets = targets, .n_outputs = n_labels};
	uint64_t	all[3] = {0};

	memset(averages, 0, 3 * sizeof(averages[0]));
	for (size_t label = 0; label < n_labels; label++)
	{
		uint64_t	counts[3] = {0};

		count_label(&judged, label, n, NULL, counts);
		count_label(&judged, label, n, NULL, all);
		scores[label] = score_of(counts);
	}
	averages[0] = score_of(all);
	for (size_t label = 0; label < n_labels; label++)
	{
		add_score(&averages[1], &scores[label], 1.0 / (double) n_labels);
		if (all[2] > 0)
			add_score(&averages[2], &scores[label], (double) scores[label].support / (double) all[2]);
	}
	averages[1].support = averages[2].support = all[2];
}

/* ---- classes ---- */

uint32_t
idla_likeliest_class(const LearnModel *model, const double *answers, double threshold)
{
	uint32_t	best = 0;

	if (model->task == LEARN_BINARY)
		return answers[0] >= threshold ? model->positive : 1 - model->positive;
	for (int i = 1; i < model->n_classes; i++)
	{
		if (answers[i] > answers[best])
			best = i;
	}
	return best;
}

bool
idla_abstains(const LearnModel *model, const double *answers, double least)
{
	double		most = answers[0];

	if (model->task == LEARN_BINARY)
		return fmax(answers[0], 1 - answers[0]) < least;
	for (int i = 1; i < model->n_classes; i++)
		most = fmax(most, answers[i]);
	return most < least;
}

uint32_t
idla_class_of_target(const LearnModel *model, double target)
{
	if (model->task == LEARN_BINARY)
		return target != 0 ? model->positive : 1 - model->positive;
	return (uint32_t) target;
}

static void
gather_classes(Judged *judged, size_t n, const uint32_t *rows)
{
	for (size_t i = 0; i < n; i++)
	{
		size_t		row = row_at(rows, i);

		judged->predicted[i] = idla_likeliest_class(judged->model, judged->answers + row * judged->n_outputs,
													judged->threshold);
		judged->labels[i] = idla_class_of_target(judged->model, judged->targets[row]);
	}
}

static DevStatus
accuracy(Judged *judged, size_t n, const uint32_t *rows, double *value)
{
	gather_classes(judged, n, rows);
	*value = learn_accuracy(n, judged->predicted, judged->labels);
	return DEV_OK;
}

static DevStatus
class_scores(Judged *judged, size_t n, const uint32_t *rows, bool macro, double *value)
{
	LearnClassScore averages[3];
	LearnClassScore *per_class = dev_alloc(judged->session, judged->model->n_classes, sizeof(LearnClassScore));

	if (per_class == NULL)
		return DEV_NO_MEMORY;
	gather_classes(judged, n, rows);
	learn_classification_report(n, judged->model->n_classes, judged->predicted, judged->labels, per_class, averages);
	*value = macro ? averages[1].f1 : per_class[judged->model->positive].f1;
	dev_release(judged->session, per_class);
	return DEV_OK;
}

static DevStatus
positive_f1(Judged *judged, size_t n, const uint32_t *rows, double *value)
{
	return class_scores(judged, n, rows, false, value);
}

static DevStatus
macro_f1(Judged *judged, size_t n, const uint32_t *rows, double *value)
{
	return class_scores(judged, n, rows, true, value);
}

static DevStatus
log_loss_classes(Judged *judged, size_t n, const uint32_t *rows, double *value)
{
	size_t		width = judged->n_outputs;

	for (size_t i = 0; i < n; i++)
	{
		size_t		row = row_at(rows, i);

		memcpy(judged->many + i * width, judged->answers + row * width, width * sizeof(double));
		judged->labels[i] = (uint32_t) judged->targets[row];
	}
	*value = learn_log_loss_classes(n, width, judged->many, judged->labels);
	return DEV_OK;
}

/* Mean over rows of the squared distance between the probabilities and the class as a vector (Brier 1950), 0 to 2 */
static DevStatus
brier_classes(Judged *judged, size_t n, const uint32_t *rows, double *value)
{
	double		sum = 0;

	for (size_t i = 0; i < n; i++)
	{
		size_t		row = row_at(rows, i);
		const double *answers = judged->answers + row * judged->n_outputs;

		for (size_t class = 0; class < judged->n_outputs; class++)
		{
			double		error = answers[class] - (class == (size_t) judged->targets[row] ? 1 : 0);

			sum += error * error;
		}
	}
	*value = n == 0 ? NAN : sum / (double) n;
	return DEV_OK;
}

/* Calibration of the class that is named: its probability against how often it is right */
static DevStatus
ece_classes(Judged *judged, size_t n, const uint32_t *rows, double *value)
{
	for (size_t i = 0; i < n; i++)
	{
		size_t		row = row_at(rows, i);
		const double *answers = judged->answers + row * judged->n_outputs;
		uint32_t	named = idla_likeliest_class(judged->model, answers, judged->threshold);

		judged->first[i] = answers[named];
		judged->flags[i] = named == (uint32_t) judged->targets[row];
	}
	*value = learn_ece(n, judged->first, judged->flags, ECE_BINS);
	return DEV_OK;
}

/* ---- regression: of one target, or the mean over targets ---- */

static DevStatus
over_targets(Judged *judged, size_t n, const uint32_t *rows,
			 double (*metric) (size_t n, const double *predicted, const double *actual), double *value)
{
	size_t		width = judged->n_outputs;
	size_t		from = judged->target < 0 ? 0 : (size_t) judged->target;
	size_t		to = judged->target < 0 ? width : from + 1;
	double		sum = 0;

	for (size_t target = from; target < to; target++)
	{
		for (size_t i = 0; i < n; i++)
		{
			size_t		row = row_at(rows, i);

			judged->first[i] = judged->answers[row * width + target];
			judged->second[i] = judged->targets[row * width + target];
		}
		sum += metric(n, judged->first, judged->second);
	}
	*value = sum / (double) (to - from);
	return DEV_OK;
}

static DevStatus
rmse(Judged *judged, size_t n, const uint32_t *rows, double *value)
{
	return over_targets(judged, n, rows, learn_rmse, value);
}

static DevStatus
mae(Judged *judged, size_t n, const uint32_t *rows, double *value)
{
	return over_targets(judged, n, rows, learn_mae, value);
}

static DevStatus
r2(Judged *judged, size_t n, const uint32_t *rows, double *value)
{
	return over_targets(judged, n, rows, learn_r2, value);
}

/* ---- survival ---- */

static DevStatus
concordance(Judged *judged, size_t n, const uint32_t *rows, double *value)
{
	for (size_t i = 0; i < n; i++)
	{
		size_t		row = row_at(rows, i);

		judged->first[i] = judged->answers[row];
		judged->second[i] = judged->targets[2 * row];
		judged->flags[i] = judged->targets[2 * row + 1] != 0;
	}
	return learn_concordance(judged->session, n, judged->first, judged->second, judged->flags, value);
}

/* ---- intervals ---- */

typedef struct Draw
{
	Judged	   *judged;
	Metric		metric;
	const uint32_t *sample;		/* row numbers the bootstrap draws from, NULL: all */
	uint32_t   *rows;			/* room for a draw in terms of judged's rows */
} Draw;

static DevStatus
compute_draw(void *context, size_t n, const uint32_t *rows, double *value)
{
	Draw	   *draw = context;

	if (draw->sample == NULL)
		return draw->metric(draw->judged, n, rows, value);
	for (size_t i = 0; i < n; i++)
		draw->rows[i] = draw->sample[rows[i]];
	return draw->metric(draw->judged, n, draw->rows, value);
}

static int
repeats_for(size_t n)
{
	size_t		repeats = 4000000 / Max(n, 1);

	return (int) Max(FEWEST_REPEATS, Min(repeats, MOST_REPEATS));
}

/* The bootstrap on BOOTSTRAP_ROWS of the rows, its deviations brought to n rows. */
static DevStatus
bootstrap_sample(Draw *draw, IdlaMetric *metric)
{
	Judged	   *judged = draw->judged;
	uint32_t   *sample = dev_alloc(judged->session, BOOTSTRAP_ROWS, sizeof(uint32_t));
	double		shrink = sqrt((double) BOOTSTRAP_ROWS / (double) judged->n);
	double		middle;
	DevStatus	status;

	draw->rows = dev_alloc(judged->session, BOOTSTRAP_ROWS, sizeof(uint32_t));
	if (sample == NULL || draw->rows == NULL)
		return DEV_NO_MEMORY;
	/* One row of every stretch: without replacement, in one pass. */
	for (size_t i = 0; i < BOOTSTRAP_ROWS; i++)
	{
		uint64_t	from = (uint64_t) i * judged->n / BOOTSTRAP_ROWS;
		uint64_t	to = (uint64_t) (i + 1) * judged->n / BOOTSTRAP_ROWS;

		sample[i] = (uint32_t) (from + dev_random_below(BOOTSTRAP_SEED, DEV_STREAM_SAMPLE, i, to - from));
	}
	draw->sample = sample;
	status = draw->metric(judged, BOOTSTRAP_ROWS, sample, &middle);
	if (status == DEV_OK)
		status = learn_bootstrap(judged->session, BOOTSTRAP_ROWS, FEWEST_REPEATS, BOOTSTRAP_SEED, compute_draw, draw,
								 &metric->low, &metric->high);
	metric->low = metric->value + (metric->low - middle) * shrink;
	metric->high = metric->value + (metric->high - middle) * shrink;
	dev_release(judged->session, draw->rows);
	dev_release(judged->session, sample);
	return status;
}

static DevStatus
measure(Judged *judged, Metric compute, IdlaMetric *metric)
{
	Draw		draw = {.judged = judged, .metric = compute};
	DevStatus	status = compute(judged, judged->n, NULL, &metric->value);

	metric->low = metric->high = NAN;
	if (status != DEV_OK || isnan(metric->value))
		return status;
	if (judged->n > BOOTSTRAP_ROWS)
		return bootstrap_sample(&draw, metric);
	return learn_bootstrap(judged->session, judged->n, repeats_for(judged->n), BOOTSTRAP_SEED, compute_draw, &draw,
						   &metric->low, &metric->high);
}

/* Wilson 1927: holds also where every answer is right. */
static DevStatus
measure_accuracy(Judged *judged, IdlaMetric *metric)
{
	double		n = (double) judged->n;
	double		spread;
	double		middle;
	DevStatus	status = accuracy(judged, judged->n, NULL, &metric->value);

	metric->low = metric->high = NAN;
	if (status != DEV_OK || isnan(metric->value))
		return status;
	middle = (metric->value + Z_95 * Z_95 / (2 * n)) / (1 + Z_95 * Z_95 / n);
	spread = Z_95 / (1 + Z_95 * Z_95 / n) *
		sqrt(metric->value * (1 - metric->value) / n + Z_95 * Z_95 / (4 * n * n));
	metric->low = Max(0.0, Min(middle - spread, metric->value));
	metric->high = Min(1.0, Max(middle + spread, metric->value));
	return DEV_OK;
}

static DevStatus
measure_auroc(Judged *judged, IdlaMetric *metric)
{
	gather_binary(judged, judged->n, NULL);
	return learn_auroc_interval(judged->session, judged->n, judged->first, judged->flags,
								&metric->value, &metric->low, &metric->high);
}

/* ---- all of a task ---- */

typedef struct Named
{
	const char *name;
	Metric		compute;		/* NULL: one of the two with an interval of its own */
} Named;

static const Named binary_metrics[] = {
	{"auroc", NULL}, {"auprc", auprc}, {"log_loss", log_loss}, {"brier", brier}, {"ece", ece},
	{"accuracy", NULL}, {"f1", positive_f1}, {NULL, NULL}
};
static const Named class_metrics[] = {
	{"accuracy", NULL}, {"macro_f1", macro_f1}, {"log_loss", log_loss_classes}, {"brier", brier_classes},
	{"ece", ece_classes}, {NULL, NULL}
};
static const Named label_metrics[] = {
	{"macro_auroc", macro_auroc}, {"macro_auprc", macro_auprc}, {"log_loss", label_log_loss}, {"brier", label_brier},
	{"micro_f1", micro_f1}, {"macro_f1", label_macro_f1}, {NULL, NULL}
};
static const Named one_label_metrics[] = {{"auroc", NULL}, {"auprc", auprc}, {NULL, NULL}};
static const Named regression_metrics[] = {
	{"rmse", rmse}, {"mae", mae}, {"r2", r2}, {NULL, NULL}
};
static const Named survival_metrics[] = {
	{"concordance", concordance}, {NULL, NULL}
};

static const Named *
metrics_of(LearnTask task)
{
	switch (task)
	{
		case LEARN_BINARY:
			return binary_metrics;
		case LEARN_MULTICLASS:
			return class_metrics;
		case LEARN_REGRESSION:
			return regression_metrics;
		case LEARN_MULTILABEL:
			return label_metrics;
		case LEARN_SURVIVAL:
		case LEARN_TAGGING:		/* tagging.c judges taggers */
			break;
	}
	return survival_metrics;
}

static void
take_room(IdlaWork *work, Judged *judged)
{
	DevSession *session = work->session;
	size_t		n = Max(judged->n, 1);

	judged->first = dev_alloc(session, n, sizeof(double));
	judged->second = dev_alloc(session, n, sizeof(double));
	judged->flags = dev_alloc(session, n, sizeof(uint8_t));
	judged->predicted = dev_alloc(session, n, sizeof(uint32_t));
	judged->labels = dev_alloc(session, n, sizeof(uint32_t));
	judged->answers = dev_alloc(session, n, judged->n_outputs * sizeof(double));
	if (judged->model->task == LEARN_MULTICLASS)
		judged->many = dev_alloc(session, n, judged->n_outputs * sizeof(double));
	if (judged->first == NULL || judged->second == NULL || judged->flags == NULL || judged->predicted == NULL ||
		judged->labels == NULL || judged->answers == NULL ||
		(judged->model->task == LEARN_MULTICLASS && judged->many == NULL))
		idla_raise(work);
}

static void
give_back(Judged *judged)
{
	dev_release(judged->session, judged->many);
	dev_release(judged->session, judged->answers);
	dev_release(judged->session, judged->labels);
	dev_release(judged->session, judged->predicted);
	dev_release(judged->session, judged->flags);
	dev_release(judged->session, judged->second);
	dev_release(judged->session, judged->first);
}

static void
measure_named(IdlaWork *work, Judged *judged, const Named *named, IdlaMetric *metric)
{
	DevStatus	status;

	metric->name = named->name;
	metric->n = judged->n;
	metric->value = metric->low = metric->high = NAN;
	if (named->compute != NULL)
		status = measure(judged, named->compute, metric);
	else if (strcmp(named->name, "auroc") == 0)
		status = measure_auroc(judged, metric);
	else
		status = measure_accuracy(judged, metric);
	idla_check(work, status);
}

IdlaMetric *
idla_judge(IdlaWork *work, const LearnModel *model, size_t n, const double *scores, const double *targets, double threshold,
		   int *n_metrics)
{
	const Named *named = metrics_of(model->task);
	bool		labels = model->task == LEARN_MULTILABEL;
	bool		several = labels || (model->task == LEARN_REGRESSION && model->n_targets > 1);
	Judged		judged = {.session = work->session, .model = model, .n = n, .targets = targets,
	.threshold = threshold, .target = -1, .n_outputs = learn_model_outputs(model)};
	int			capacity = 8 + (several ? 3 * model->n_targets : 0);
	IdlaMetric *metrics = palloc0(capacity * sizeof(IdlaMetric));

	take_room(work, &judged);
	memcpy(judged.answers, scores, n * judged.n_outputs * sizeof(double));
	learn_scores_to_answers(model, n, judged.answers);

	*n_metrics = 0;
	for (; named->name != NULL; named++)
		measure_named(work, &judged, named, &metrics[(*n_metrics)++]);
	/* "rmse_2": of the second target */
	for (judged.target = 0; several && judged.target < model->n_targets; judged.target++)
	{
		for (named = labels ? one_label_metrics : regression_metrics; named->name != NULL; named++)
		{
			IdlaMetric *metric = &metrics[(*n_metrics)++];

			measure_named(work, &judged, named, metric);
			metric->name = psprintf("%s_%d", named->name, judged.target + 1);
		}
	}
	give_back(&judged);
	return metrics;
}

/* ---- as jsonb ---- */

/* Every bit of a float8: the cast in SQL keeps fifteen digits. */
JsonbValue
idla_json_number(double value)
{
	JsonbValue	number;
	char		digits[DOUBLE_SHORTEST_DECIMAL_LEN];

	if (!isfinite(value))
	{
		number.type = jbvNull;
		return number;
	}
	double_to_shortest_decimal_buf(value, digits);
	number.type = jbvNumeric;
	number.val.numeric = DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(digits),
															 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	return number;
}

void
idla_json_push_number(JsonbParseState **state, const char *key, double value)
{
	JsonbValue	name;
	JsonbValue	number = idla_json_number(value);

	name.type = jbvString;
	name.val.string.val = unconstify(char *, key);
	name.val.string.len = (int) strlen(key);
	pushJsonbValue(state, WJB_KEY, &name);
	pushJsonbValue(state, WJB_VALUE, &number);
}

Jsonb *
idla_metrics_jsonb(const IdlaMetric *metrics, int n_metrics)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < n_metrics; i++)
	{
		JsonbValue	name;

		name.type = jbvString;
		name.val.string.val = unconstify(char *, metrics[i].name);
		name.val.string.len = (int) strlen(metrics[i].name);
		pushJsonbValue(&state, WJB_KEY, &name);
		pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
		idla_json_push_number(&state, "value", metrics[i].value);
		idla_json_push_number(&state, "low", metrics[i].low);
		idla_json_push_number(&state, "high", metrics[i].high);
		idla_json_push_number(&state, "n", (double) metrics[i].n);
		pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/*
 * learn_metrics.h: how good the answers are.
 *
 * All metrics are exact on ties and computed in double precision. label is
 * 0 or 1 for binary metrics; probability is of the positive class. NaN when a metric is undefined
 * (one class only, no comparable pair). scratch memory comes from the session.
 */
#ifndef IDLA_LEARN_METRICS_H
#define IDLA_LEARN_METRICS_H

#include "idla/session.h"

#include <math.h>

/* A sum whose rounding errors are carried along (Neumaier 1974). */
typedef struct LearnSum
{
	double		sum;
	double		lost;
} LearnSum;

static inline void
learn_sum_add(LearnSum *total, double value)
{
	double		sum = total->sum + value;

	if (fabs(total->sum) >= fabs(value))
		total->lost += (total->sum - sum) + value;
	else
		total->lost += (value - sum) + total->sum;
	total->sum = sum;
}

static inline double
learn_sum_value(const LearnSum *total)
{
	/* Beyond the range of a double what was lost is NaN, and the sum alone says so better. */
	return isfinite(total->sum) ? total->sum + total->lost : total->sum;
}

/* Area under the ROC curve = probability that a positive outranks a negative, ties counting one half. */
extern DevStatus learn_auroc(DevSession *session, size_t n, const double *score, const uint8_t *label, double *value);
/* Average precision: sum over thresholds of (recall step) * precision, as scikit-learn; 1 without negatives. */
extern DevStatus learn_auprc(DevSession *session, size_t n, const double *score, const uint8_t *label, double *value);
extern double learn_brier(size_t n, const double *probability, const uint8_t *label);
/* Mean negative log likelihood, probabilities clipped to [epsilon, 1 - epsilon] with epsilon = 2^-52. */
extern double learn_log_loss(size_t n, const double *probability, const uint8_t *label);
/* Multi-class: probability (n, classes), label the class number. */
extern double learn_log_loss_classes(size_t n, size_t classes, const double *probability, const uint32_t *label);
/* Expected calibration error: `bins` bins of equal width of the probability, weighted mean |mean p - share|. */
extern double learn_ece(size_t n, const double *probability, const uint8_t *label, int bins);
/*
 * For callers that see one row at a time: a row's log loss given the probability of what happened; a
 * probability's bin, [k / bins, (k + 1) / bins), the last one closed.
 */
extern double learn_log_loss_one(double probability);
extern int	learn_ece_bin(double probability, int bins);
extern double learn_accuracy(size_t n, const uint32_t *predicted, const uint32_t *label);
extern double learn_rmse(size_t n, const double *predicted, const double *actual);
extern double learn_mae(size_t n, const double *predicted, const double *actual);
/* 1 - squared error / variance; of a constant target 1 when exact and else 0, as scikit-learn; NaN below two rows. */
extern double learn_r2(size_t n, const double *predicted, const double *actual);
extern double learn_r2_of(double squared_error, double variance);	/* from the two means */
/*
 * Harrell's C as in lifelines: higher risk should fail earlier; tied risks count one half; who is censored at an
 * event's time outlives it; two events at one time are no pair.
 */
extern DevStatus learn_concordance(DevSession *session, size_t n, const double *risk, const double *time,
								   const uint8_t *event, double *value);

/* Per class, then micro, macro and weighted averages, as scikit-learn's classification_report (0 where undefined). */
typedef struct LearnClassScore
{
	double		precision;
	double		recall;
	double		f1;
	uint64_t	support;
} LearnClassScore;
/* per_class (classes); averages: [0] micro, [1] macro over classes that occur or are predicted, [2] by support */
extern void learn_classification_report(size_t n, size_t classes, const uint32_t *predicted, const uint32_t *label,
										LearnClassScore *per_class, LearnClassScore averages[3]);

/*
 * 95 % confidence interval by the percentile bootstrap over rows (DEV_STREAM_BOOTSTRAP). compute gets
 * row numbers drawn with replacement; a NaN draw is left out. For AUROC of
 * many rows DeLong's variance below is as good and costs one sort.
 */
typedef DevStatus (*LearnStatistic) (void *context, size_t n, const uint32_t *rows, double *value);
extern DevStatus learn_bootstrap(DevSession *session, size_t n, int repeats, uint64_t seed,
								 LearnStatistic compute, void *context, double *low, double *high);
extern DevStatus learn_auroc_interval(DevSession *session, size_t n, const double *score, const uint8_t *label,
									  double *value, double *low, double *high);	/* DeLong 1988, logit scale */

#endif							/* IDLA_LEARN_METRICS_H */

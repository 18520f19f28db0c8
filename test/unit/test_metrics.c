/*
 * test_metrics.c: metrics against scikit-learn and lifelines (frozen by
 * reference/metrics.py), against their quadratic definitions on random
 * ties, and under failing memory and cancelling.
 */
#include "check.h"

#include "idla/learn_metrics.h"
#include "learn/rank.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

typedef struct BinaryCase
{
	const char *name;
	size_t		n;
	const double *score;
	const uint8_t *label;
	double		auroc;
	double		auprc;
	double		brier;
	double		log_loss;
	double		ece10;
	double		ece7;
	double		accuracy;		/* of score >= 0.5 */
	double		f1;
	double		low;			/* DeLong's interval; NaN where the textbook gives none */
	double		high;
} BinaryCase;

typedef struct RegressionCase
{
	const char *name;
	size_t		n;
	const double *predicted;
	const double *actual;
	double		rmse;
	double		mae;
	double		r2;
} RegressionCase;

typedef struct SurvivalCase
{
	const char *name;
	size_t		n;
	const double *risk;
	const double *time;
	const uint8_t *event;
	double		concordance;
} SurvivalCase;

#include "reference/metrics.inc"

/* NaN must be NaN, the rest agree to 1e-12. */
static void
check_value(double actual, double expected, const char *metric, const char *name)
{
	if (isnan(expected))
		CHECK(isnan(actual), "%s of %s is undefined", metric, name);
	else
		CHECK_NEAR(actual, expected, 1e-12, "%s of %s", metric, name);
}

static DevSession *
open_session(void)
{
	DevSession *session;

	CHECK_OR_STOP(dev_session_open(NULL, 7, &session) == DEV_OK, "a session opens");
	return session;
}

/* Class 1 of predictions made at one half. */
static double
hard_f1(const BinaryCase *a, double *accuracy)
{
	uint32_t	predicted[256];
	uint32_t	label[256];
	LearnClassScore per_class[2];
	LearnClassScore averages[3];

	for (size_t row = 0; row < a->n; row++)
	{
		predicted[row] = a->score[row] >= 0.5;
		label[row] = a->label[row];
	}
	*accuracy = learn_accuracy(a->n, predicted, label);
	learn_classification_report(a->n, 2, predicted, label, per_class, averages);
	return per_class[1].f1;
}

static void
test_binary(DevSession *session)
{
	for (size_t i = 0; i < LENGTH(binary_cases); i++)
	{
		const BinaryCase *a = &binary_cases[i];
		double		value;
		double		low;
		double		high;
		double		accuracy;
		double		f1 = hard_f1(a, &accuracy);

		CHECK_STATUS(session, learn_auroc(session, a->n, a->score, a->label, &value), DEV_OK,
					 "AUROC of %s runs", a->name);
		check_value(value, a->auroc, "AUROC", a->name);
		CHECK_STATUS(session, learn_auprc(session, a->n, a->score, a->label, &value), DEV_OK,
					 "AUPRC of %s runs", a->name);
		check_value(value, a->auprc, "average precision", a->name);
		check_value(learn_brier(a->n, a->score, a->label), a->brier, "Brier score", a->name);
		check_value(learn_log_loss(a->n, a->score, a->label), a->log_loss, "log loss", a->name);
		check_value(learn_ece(a->n, a->score, a->label, 10), a->ece10, "ECE in 10 bins", a->name);
		check_value(learn_ece(a->n, a->score, a->label, 7), a->ece7, "ECE in 7 bins", a->name);
		check_value(accuracy, a->accuracy, "accuracy", a->name);
		check_value(f1, a->f1, "F1", a->name);

		CHECK_STATUS(session, learn_auroc_interval(session, a->n, a->score, a->label, &value, &low, &high), DEV_OK,
					 "interval of %s runs", a->name);
		check_value(value, a->auroc, "AUROC with interval", a->name);
		if (!isnan(a->low))
		{
			check_value(low, a->low, "lower DeLong bound", a->name);
			check_value(high, a->high, "upper DeLong bound", a->name);
		}
		else if (a->auroc == 1)
			CHECK(low > 0.5 && low < 1 && high == 1, "a perfect AUROC still has a lower bound (%s)", a->name);
		else if (a->auroc == 0)
			CHECK(low == 0 && high < 1 && high > 0, "a reversed AUROC still has an upper bound (%s)", a->name);
		else
			CHECK(isnan(low) && isnan(high), "%s has no interval", a->name);
	}
}

static void
test_values(DevSession *session)
{
	for (size_t i = 0; i < LENGTH(regression_cases); i++)
	{
		const RegressionCase *a = &regression_cases[i];

		check_value(learn_rmse(a->n, a->predicted, a->actual), a->rmse, "RMSE", a->name);
		check_value(learn_mae(a->n, a->predicted, a->actual), a->mae, "MAE", a->name);
		check_value(learn_r2(a->n, a->predicted, a->actual), a->r2, "R2", a->name);
	}
	for (size_t i = 0; i < LENGTH(survival_cases); i++)
	{
		const SurvivalCase *a = &survival_cases[i];
		double		value = 0;

		CHECK_STATUS(session, learn_concordance(session, a->n, a->risk, a->time, a->event, &value), DEV_OK,
					 "concordance of %s runs", a->name);
		check_value(value, a->concordance, "concordance", a->name);
	}
	CHECK(isnan(learn_brier(0, NULL, NULL)) && isnan(learn_log_loss(0, NULL, NULL)) && isnan(learn_ece(0, NULL,
																									   NULL, 10)) &&
		  isnan(learn_rmse(0, NULL, NULL)) && isnan(learn_mae(0, NULL, NULL)) && isnan(learn_r2(0, NULL, NULL)) &&
		  isnan(learn_accuracy(0, NULL, NULL)), "no rows, no value");
}

static void
check_scores(const LearnClassScore *actual, const LearnClassScore *expected, const char *name, size_t number)
{
	check_value(actual->precision, expected->precision, "precision", name);
	check_value(actual->recall, expected->recall, "recall", name);
	check_value(actual->f1, expected->f1, "F1", name);
	CHECK(actual->support == expected->support, "support of %s %zu", name, number);
}

static void
test_report(void)
{
	enum
	{
		classes = LENGTH(class_scores)
	};
	size_t		n = LENGTH(class_label);
	LearnClassScore per_class[classes];
	LearnClassScore averages[3];

	check_value(learn_log_loss_classes(n, classes, class_probability, class_label), class_log_loss, "log loss",
				"classes");
	check_value(learn_accuracy(n, class_predicted, class_label), class_accuracy, "accuracy", "classes");
	learn_classification_report(n, classes, class_predicted, class_label, per_class, averages);
	for (size_t class = 0; class < classes; class++)
		check_scores(&per_class[class], &class_scores[class], "class", class);
	for (size_t i = 0; i < 3; i++)
		check_scores(&averages[i], &class_averages[i], "average", i);
}

/* ---- Definitions, quadratic ---- */

static double
auroc_by_pairs(size_t n, const double *score, const uint8_t *label)
{
	double		wins = 0;
	double		pairs = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			if (label[i] && !label[j])
			{
				pairs++;
				wins += score[i] > score[j] ? 1 : score[i] == score[j] ? 0.5 : 0;
			}
	return pairs > 0 ? wins / pairs : NAN;
}

static double
concordance_by_pairs(size_t n, const double *risk, const double *time, const uint8_t *event)
{
	double		wins = 0;
	double		pairs = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			if (i != j && event[i] && (time[i] < time[j] || (time[i] == time[j] && !event[j])))
			{
				pairs++;
				wins += risk[i] > risk[j] ? 1 : risk[i] == risk[j] ? 0.5 : 0;
			}
	return pairs > 0 ? wins / pairs : NAN;
}

static void
test_definitions(DevSession *session)
{
	enum
	{
		rows = 300
	};
	double		risk[rows];
	double		time[rows];
	uint8_t		event[rows];

	for (uint64_t round = 0; round < 40; round++)
	{
		size_t		n = 1 + (size_t) dev_random_below(1, 900, round, rows);
		uint64_t	levels = 1 + dev_random_below(1, 901, round, 60);
		double		value;

		for (size_t row = 0; row < n; row++)
		{
			risk[row] = (double) dev_random_below(1, 1000 + round, row, levels) - 20;
			time[row] = (double) dev_random_below(1, 2000 + round, row, 1 + levels / 2);
			event[row] = dev_random_below(1, 3000 + round, row, 3) != 0;
		}
		CHECK_STATUS(session, learn_auroc(session, n, risk, event, &value), DEV_OK, "AUROC of %zu rows runs", n);
		check_value(value, auroc_by_pairs(n, risk, event), "AUROC", "random ties");
		CHECK_STATUS(session, learn_concordance(session, n, risk, time, event, &value), DEV_OK,
					 "concordance of %zu rows runs", n);
		check_value(value, concordance_by_pairs(n, risk, time, event), "concordance", "random ties");
	}
}

static void
test_order(DevSession *session)
{
	const double key[] = {3, -0.0, 0.0, NAN, -INFINITY, INFINITY, -1e-310, -2, 3, 1e-320, -NAN, -2};
	const uint32_t expected[] = {4, 7, 11, 6, 1, 2, 9, 0, 8, 5, 3, 10};
	uint32_t   *order;

	CHECK_STATUS(session, learn_order(session, LENGTH(key), key, &order), DEV_OK, "an order is found");
	CHECK(memcmp(order, expected, sizeof(expected)) == 0, "order is stable, zeros are equal, NaN is last");
	dev_release(session, order);
	CHECK_STATUS(session, learn_order(session, 0, NULL, &order), DEV_OK, "nothing can be ordered");
	dev_release(session, order);
	CHECK_STATUS(session, learn_order(session, (size_t) UINT32_MAX + 1, key, &order), DEV_INVALID,
				 "too many rows are refused");
}

/* ---- Intervals ---- */

typedef struct Sample
{
	const double *values;
	size_t		calls;
	DevStatus	status;			/* what the statistic returns */
} Sample;

/* The mean; undefined in every third draw. */
static DevStatus
mean_of(void *context, size_t n, const uint32_t *rows, double *value)
{
	Sample	   *sample = context;
	double		total = 0;

	for (size_t i = 0; i < n; i++)
		total += sample->values[rows[i]];
	*value = sample->calls++ % 3 == 2 ? NAN : total / (double) n;
	return sample->status;
}

static void
test_bootstrap(DevSession *session)
{
	enum
	{
		rows = 400
	};
	double		values[rows];
	Sample		sample = {values, 0, DEV_OK};
	double		low;
	double		high;
	double		again[2];

	for (size_t row = 0; row < rows; row++)
		values[row] = dev_random_normal(5, 77, row);
	CHECK_STATUS(session, learn_bootstrap(session, rows, 3000, 11, mean_of, &sample, &low, &high), DEV_OK,
				 "a bootstrap runs");
	/* Normal theory: +-1.96 / sqrt(400); the bounds of 2,000 draws scatter by about 0.003. */
	CHECK(fabs((high - low) - 2 * 1.96 / 20) < 0.025, "its width is that of normal theory: %g", high - low);
	sample.calls = 0;
	CHECK_STATUS(session, learn_bootstrap(session, rows, 3000, 11, mean_of, &sample, &again[0], &again[1]),
				 DEV_OK, "again");
	CHECK(again[0] == low && again[1] == high, "the same seed gives the same bounds");
	CHECK_STATUS(session, learn_bootstrap(session, rows, 3000, 12, mean_of, &sample, &again[0], &again[1]),
				 DEV_OK, "other seed");
	CHECK(again[0] != low, "another seed gives other bounds");
	sample.status = DEV_BAD_DATA;
	CHECK(learn_bootstrap(session, rows, 10, 1, mean_of, &sample, &low, &high) == DEV_BAD_DATA,
		  "a failing statistic ends it");
	CHECK_STATUS(session, learn_bootstrap(session, 0, 10, 1, mean_of, &sample, &low, &high), DEV_OK, "no rows");
	CHECK(isnan(low) && isnan(high), "no rows, no bounds");
}

/* ---- Failing memory, cancelling ---- */

static DevStatus
run_all(DevSession *session)
{
	const BinaryCase *a = &binary_cases[1];
	const SurvivalCase *b = &survival_cases[1];
	Sample		sample = {a->score, 0, DEV_OK};
	double		value;
	double		low;
	double		high;
	DevStatus	status;

	if ((status = learn_auroc(session, a->n, a->score, a->label, &value)) != DEV_OK ||
		(status = learn_auprc(session, a->n, a->score, a->label, &value)) != DEV_OK ||
		(status = learn_auroc_interval(session, a->n, a->score, a->label, &value, &low, &high)) != DEV_OK ||
		(status = learn_concordance(session, b->n, b->risk, b->time, b->event, &value)) != DEV_OK ||
		(status = learn_bootstrap(session, a->n, 20, 1, mean_of, &sample, &low, &high)) != DEV_OK)
		return status;
	return DEV_OK;
}

static void
test_no_memory(void)
{
	size_t		fail_at = 1;
	size_t		survived = 0;
	DevStatus	status = DEV_NO_MEMORY;

	for (; status != DEV_OK && fail_at < 1000; fail_at++)
	{
		CheckHost	counts;
		DevHost		host = check_host(&counts, fail_at);
		DevSession *session;
		size_t		before;

		status = dev_session_open(&host, 1, &session);
		if (status != DEV_OK)
			continue;
		before = counts.held;
		status = run_all(session);
		survived += (status == DEV_OK || status == DEV_NO_MEMORY) && counts.held == before;
		dev_session_close(session);
		if (counts.held != 0)
			break;
	}
	CHECK(status == DEV_OK && survived == fail_at - 2,
		  "failure of any allocation is told and leaves nothing (%zu allocations)", survived);
}

typedef struct Canceller
{
	size_t		polls;
	size_t		at;
} Canceller;

static bool
cancel_at(void *context)
{
	Canceller  *canceller = context;

	return ++canceller->polls >= canceller->at;
}

static void
test_cancel(void)
{
	size_t		at = 1;
	size_t		cancelled = 0;
	DevStatus	status = DEV_CANCELLED;

	for (; status != DEV_OK && at < 10000; at++)
	{
		Canceller	canceller = {0, at};
		DevHost		host = {.context = &canceller, .cancelled = cancel_at};
		DevSession *session;
		size_t		before;

		if (dev_session_open(&host, 1, &session) != DEV_OK)
			break;
		before = dev_session_used(session);
		status = run_all(session);
		cancelled += status == DEV_CANCELLED && dev_session_used(session) == before;
		dev_session_close(session);
	}
	CHECK(status == DEV_OK && cancelled == at - 2, "every poll can cancel and leaves nothing (%zu polls)", cancelled);
}

/* A million rows of one time: the longest way without a change of group. */
static void
test_polls_inside_ties(void)
{
	enum
	{
		rows = 1000000
	};
	Canceller	canceller = {0, SIZE_MAX};
	DevHost		host = {.context = &canceller, .cancelled = cancel_at};
	DevSession *session;
	double	   *risk;
	double	   *time;
	uint8_t    *event;
	double		value = 0;

	CHECK_OR_STOP(dev_session_open(&host, 1, &session) == DEV_OK, "a session opens");
	risk = dev_alloc(session, rows, sizeof(double));
	time = dev_alloc(session, rows, sizeof(double));
	event = dev_alloc(session, rows, 1);
	CHECK_OR_STOP(risk != NULL && time != NULL && event != NULL, "memory for a million rows");
	for (size_t row = 0; row < rows; row++)
	{
		risk[row] = (double) ((row * 7919) % rows);
		event[row] = row % 2;
	}
	CHECK_STATUS(session, learn_concordance(session, rows, risk, time, event, &value), DEV_OK,
				 "concordance of a million ties");
	CHECK(value > 0.49 && value < 0.51, "risks that know nothing of the event: %g", value);
	CHECK(canceller.polls > 100, "it was polled %zu times", canceller.polls);
	dev_session_close(session);
}

int
main(void)
{
	DevSession *session = open_session();

	test_order(session);
	test_binary(session);
	test_values(session);
	test_report();
	test_definitions(session);
	test_bootstrap(session);
	dev_session_close(session);
	test_no_memory();
	test_cancel();
	test_polls_inside_ties();
	return check_done();
}

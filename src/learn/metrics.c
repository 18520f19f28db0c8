/*
 * metrics.c: how good the answers are.
 *
 * Ranking metrics (AUROC, average precision, concordance) sort once and then
 * walk groups of tied scores, counting in integers, so that ties cost no
 * accuracy. Means are sums that carry their rounding errors. The SQL aggregates and
 * the evaluation of a model both end here.
 */
#include "idla/learn_metrics.h"

#include "rank.h"

#include <string.h>

static size_t
count_positive(size_t n, const uint8_t *label)
{
	size_t		positive = 0;

	for (size_t row = 0; row < n; row++)
		positive += label[row] != 0;
	return positive;
}

static size_t
count_positive_at(const uint32_t *order, size_t first, size_t end, const uint8_t *label)
{
	size_t		positive = 0;

	for (size_t place = first; place < end; place++)
		positive += label[order[place]] != 0;
	return positive;
}

/* ---- Ranking ---- */

/* Twice the number of (positive, negative) pairs in the right order, a tie counting once. */
static DevStatus
count_wins(DevSession *session, size_t n, const double *score, const uint8_t *label,
		   const uint32_t *order, uint64_t *wins)
{
	uint64_t	negatives = 0;
	size_t		last_poll = 0;

	*wins = 0;
	for (size_t first = 0, end; first < n; first = end)
	{
		uint64_t	positive;
		uint64_t	negative;

		end = learn_tie_end(n, score, order, first);
		positive = count_positive_at(order, first, end, label);
		negative = (end - first) - positive;
		*wins += positive * (2 * negatives + negative);
		negatives += negative;
		if (learn_poll_at(session, end, &last_poll) != DEV_OK)
			return DEV_CANCELLED;
	}
	return DEV_OK;
}

DevStatus
learn_auroc(DevSession *session, size_t n, const double *score, const uint8_t *label, double *value)
{
	size_t		positive = count_positive(n, label);
	size_t		negative = n - positive;
	uint32_t   *order;
	uint64_t	wins;
	DevStatus	status;

	*value = NAN;
	if (positive == 0 || negative == 0)
		return DEV_OK;
	status = learn_order(session, n, score, &order);
	if (status != DEV_OK)
		return status;
	status = count_wins(session, n, score, label, order, &wins);
	dev_release(session, order);
	if (status == DEV_OK)
		*value = (double) wins / (2.0 * (double) positive * (double) negative);
	return status;
}

DevStatus
learn_auprc(DevSession *session, size_t n, const double *score, const uint8_t *label, double *value)
{
	size_t		positive = count_positive(n, label);
	size_t		found = 0;
	size_t		last_poll = 0;
	LearnSum	area = {0, 0};
	double	   *descending;
	uint32_t   *order = NULL;
	DevStatus	status;

	*value = NAN;
	if (positive == 0)
		return DEV_OK;
	descending = dev_alloc(session, n, sizeof(double));
	if (descending == NULL)
		return DEV_NO_MEMORY;
	for (size_t row = 0; row < n; row++)
		descending[row] = -score[row];
	status = learn_order(session, n, descending, &order);
	for (size_t first = 0, end; status == DEV_OK && first < n; first = end)
	{
		size_t		here;

		end = learn_tie_end(n, descending, order, first);
		here = count_positive_at(order, first, end, label);
		found += here;
		learn_sum_add(&area, (double) here * ((double) found / (double) end));
		status = learn_poll_at(session, end, &last_poll);
	}
	dev_release(session, order);
	dev_release(session, descending);
	if (status == DEV_OK)
		*value = learn_sum_value(&area) / (double) positive;
	return status;
}

/* ---- Concordance ---- */

/* Counts of risks seen so far, by rank: a Fenwick tree, where adding and summing cost log n. */
typedef struct SeenRisks
{
	size_t		n_ranks;
	uint32_t   *tree;			/* (n_ranks + 1) */
} SeenRisks;

static void
see_risk(SeenRisks *seen, size_t rank)
{
	for (size_t i = rank + 1; i <= seen->n_ranks; i += i & -i)
		seen->tree[i]++;
}

/* How many seen risks have a rank below `rank`. */
static uint64_t
seen_below(const SeenRisks *seen, size_t rank)
{
	uint64_t	count = 0;

	for (size_t i = rank; i > 0; i -= i & -i)
		count += seen->tree[i];
	return count;
}

/* rank (n): position of each row's risk among the distinct risks, from 0. */
static DevStatus
rank_risks(DevSession *session, size_t n, const double *risk, uint32_t *rank, size_t *n_ranks)
{
	uint32_t   *order;
	DevStatus	status = learn_order(session, n, risk, &order);

	*n_ranks = 0;
	if (status != DEV_OK)
		return status;
	for (size_t first = 0, end; first < n; first = end)
	{
		end = learn_tie_end(n, risk, order, first);
		for (size_t place = first; place < end; place++)
			rank[order[place]] = (uint32_t) *n_ranks;
		(*n_ranks)++;
	}
	dev_release(session, order);
	return DEV_OK;
}

/* A walk over the times from the last to the first; pairs are (event, row that outlived it). */
typedef struct PairWalk
{
	DevSession *session;
	const uint8_t *event;
	const uint32_t *rank;
	SeenRisks	seen;
	uint64_t	n_seen;
	uint64_t	comparable;
	uint64_t	wins;			/* twice the concordant pairs, a tied risk counting once */
	size_t		steps;			/* tree walks since the last poll */
} PairWalk;

/* A tree walk costs some twenty times a plain row, hence the finer grain of these polls. */
static DevStatus
poll_walk(PairWalk *walk)
{
	if (++walk->steps < LEARN_POLL_ROWS / 16)
		return DEV_OK;
	walk->steps = 0;
	return dev_poll(walk->session);
}

/* Adds the rows at places [first, end) whose event flag is `event` to those seen. */
static DevStatus
see_rows(PairWalk *walk, const uint32_t *order, size_t first, size_t end, bool event)
{
	for (size_t place = first; place < end; place++)
	{
		if ((walk->event[order[place]] != 0) != event)
			continue;
		see_risk(&walk->seen, walk->rank[order[place]]);
		walk->n_seen++;
		if (poll_walk(walk) != DEV_OK)
			return DEV_CANCELLED;
	}
	return DEV_OK;
}

static DevStatus
count_events(PairWalk *walk, const uint32_t *order, size_t first, size_t end)
{
	for (size_t place = first; place < end; place++)
	{
		size_t		rank = walk->rank[order[place]];

		if (!walk->event[order[place]])
			continue;
		walk->comparable += walk->n_seen;
		walk->wins += seen_below(&walk->seen, rank) + seen_below(&walk->seen, rank + 1);
		if (poll_walk(walk) != DEV_OK)
			return DEV_CANCELLED;
	}
	return DEV_OK;
}

/*
 * Within one time, who is censored outlives who has the event, so he is seen first; two events
 * are no pair, so they are seen last.
 */
static DevStatus
count_pairs(PairWalk *walk, size_t n, const double *later, const uint32_t *order)
{
	for (size_t first = 0, end; first < n; first = end)
	{
		end = learn_tie_end(n, later, order, first);
		if (see_rows(walk, order, first, end, false) != DEV_OK ||
			count_events(walk, order, first, end) != DEV_OK ||
			see_rows(walk, order, first, end, true) != DEV_OK)
			return DEV_CANCELLED;
	}
	return DEV_OK;
}

DevStatus
learn_concordance(DevSession *session, size_t n, const double *risk, const double *time, const uint8_t *event,
				  double *value)
{
	PairWalk	walk = {.session = session, .event = event};
	uint32_t   *rank = dev_alloc(session, n + 1, sizeof(uint32_t));
	double	   *later = dev_alloc(session, n + 1, sizeof(double));
	uint32_t   *order = NULL;
	DevStatus	status = DEV_NO_MEMORY;

	*value = NAN;
	walk.rank = rank;
	if (rank != NULL && later != NULL)
	{
		for (size_t row = 0; row < n; row++)
			later[row] = -time[row];
		status = rank_risks(session, n, risk, rank, &walk.seen.n_ranks);
	}
	if (status == DEV_OK)
		status = learn_order(session, n, later, &order);
	if (status == DEV_OK)
	{
		walk.seen.tree = dev_alloc(session, walk.seen.n_ranks + 1, sizeof(uint32_t));
		status = walk.seen.tree == NULL ? DEV_NO_MEMORY : count_pairs(&walk, n, later, order);
	}
	if (status == DEV_OK && walk.comparable > 0)
		*value = (double) walk.wins / (2.0 * (double) walk.comparable);
	dev_release(session, walk.seen.tree);
	dev_release(session, order);
	dev_release(session, later);
	dev_release(session, rank);
	return status;
}

/* ---- Probabilities ---- */

double
learn_brier(size_t n, const double *probability, const uint8_t *label)
{
	LearnSum	total = {0, 0};

	for (size_t row = 0; row < n; row++)
	{
		double		miss = probability[row] - (label[row] ? 1.0 : 0.0);

		learn_sum_add(&total, miss * miss);
	}
	return n == 0 ? NAN : learn_sum_value(&total) / (double) n;
}

/* -log of the probability given to what happened, which is kept off 0 and 1 as scikit-learn does. */
double
learn_log_loss_one(double probability)
{
	const double epsilon = 0x1p-52;

	if (probability < epsilon)
		probability = epsilon;
	else if (probability > 1 - epsilon)
		probability = 1 - epsilon;
	return -log(probability);
}

double
learn_log_loss(size_t n, const double *probability, const uint8_t *label)
{
	LearnSum	total = {0, 0};

	for (size_t row = 0; row < n; row++)
		learn_sum_add(&total, learn_log_loss_one(label[row] ? probability[row] : 1 - probability[row]));
	return n == 0 ? NAN : learn_sum_value(&total) / (double) n;
}

double
learn_log_loss_classes(size_t n, size_t classes, const double *probability, const uint32_t *label)
{
	LearnSum	total = {0, 0};

	for (size_t row = 0; row < n; row++)
	{
		double		given = label[row] < classes ? probability[row * classes + label[row]] : 0;

		learn_sum_add(&total, learn_log_loss_one(given));
	}
	return n == 0 ? NAN : learn_sum_value(&total) / (double) n;
}

/* Bin of a probability: [k / bins, (k + 1) / bins), the last one closed. */
int
learn_ece_bin(double probability, int bins)
{
	double		place = probability * bins;

	if (!(place > 0))
		return 0;
	return place >= bins ? bins - 1 : (int) place;
}

double
learn_ece(size_t n, const double *probability, const uint8_t *label, int bins)
{
	LearnSum	total = {0, 0};

	if (n == 0 || bins < 1)
		return NAN;
	/* One pass a bin: bins are few, and this way no memory is needed. */
	for (int bin = 0; bin < bins; bin++)
	{
		LearnSum	excess = {0, 0};

		for (size_t row = 0; row < n; row++)
			if (learn_ece_bin(probability[row], bins) == bin)
				learn_sum_add(&excess, probability[row] - (label[row] ? 1.0 : 0.0));
		learn_sum_add(&total, fabs(learn_sum_value(&excess)));
	}
	return learn_sum_value(&total) / (double) n;
}

/* ---- Values ---- */

double
learn_accuracy(size_t n, const uint32_t *predicted, const uint32_t *label)
{
	size_t		right = 0;

	for (size_t row = 0; row < n; row++)
		right += predicted[row] == label[row];
	return n == 0 ? NAN : (double) right / (double) n;
}

static double
mean_squared_error(size_t n, const double *predicted, const double *actual)
{
	LearnSum	total = {0, 0};

	for (size_t row = 0; row < n; row++)
	{
		double		miss = predicted[row] - actual[row];

		learn_sum_add(&total, miss * miss);
	}
	return n == 0 ? NAN : learn_sum_value(&total) / (double) n;
}

double
learn_rmse(size_t n, const double *predicted, const double *actual)
{
	return sqrt(mean_squared_error(n, predicted, actual));
}

double
learn_mae(size_t n, const double *predicted, const double *actual)
{
	LearnSum	total = {0, 0};

	for (size_t row = 0; row < n; row++)
		learn_sum_add(&total, fabs(predicted[row] - actual[row]));
	return n == 0 ? NAN : learn_sum_value(&total) / (double) n;
}

double
learn_r2_of(double squared_error, double variance)
{
	if (variance > 0)
		return 1 - squared_error / variance;
	return squared_error > 0 ? 0 : 1;
}

double
learn_r2(size_t n, const double *predicted, const double *actual)
{
	LearnSum	total = {0, 0};
	LearnSum	spread = {0, 0};
	double		mean;

	if (n < 2)
		return NAN;
	for (size_t row = 0; row < n; row++)
		learn_sum_add(&total, actual[row]);
	mean = learn_sum_value(&total) / (double) n;
	for (size_t row = 0; row < n; row++)
		learn_sum_add(&spread, (actual[row] - mean) * (actual[row] - mean));
	return learn_r2_of(mean_squared_error(n, predicted, actual), learn_sum_value(&spread) / (double) n);
}

/* ---- Classification report ---- */

static double
share(double part, double whole)
{
	return whole > 0 ? part / whole : 0;
}

/* F1 from counts and not from precision and recall: one rounding fewer, and no 0/0 in the middle. */
static void
score_class(double right, double predicted, double support, LearnClassScore *score)
{
	score->precision = share(right, predicted);
	score->recall = share(right, support);
	score->f1 = share(2 * right, predicted + support);
	score->support = (uint64_t) support;
}

static void
add_weighted(LearnClassScore *total, const LearnClassScore *score, double weight)
{
	total->precision += weight * score->precision;
	total->recall += weight * score->recall;
	total->f1 += weight * score->f1;
}

static void
divide_scores(LearnClassScore *total, double weight)
{
	total->precision = share(total->precision, weight);
	total->recall = share(total->recall, weight);
	total->f1 = share(total->f1, weight);
}

/*
 * From counts that lie in per_class: precision holds how often the class was predicted, recall how often rightly.
 * As in scikit-learn, a class that neither occurs nor is predicted has no say in the macro average.
 */
static void
score_counts(size_t classes, LearnClassScore *per_class, LearnClassScore averages[3])
{
	double		right = 0;
	double		predicted = 0;
	double		support = 0;
	double		present = 0;

	memset(averages, 0, 3 * sizeof(LearnClassScore));
	for (size_t class = 0; class < classes; class++)
	{
		LearnClassScore *score = &per_class[class];
		LearnClassScore counts = *score;

		right += counts.recall;
		predicted += counts.precision;
		support += (double) counts.support;
		score_class(counts.recall, counts.precision, (double) counts.support, score);
		if (counts.precision > 0 || counts.support > 0)
		{
			add_weighted(&averages[1], score, 1);
			present += 1;
		}
		add_weighted(&averages[2], score, (double) counts.support);
	}
	score_class(right, predicted, support, &averages[0]);
	divide_scores(&averages[1], present);
	divide_scores(&averages[2], support);
	averages[1].support = averages[2].support = averages[0].support;
}

void
learn_classification_report(size_t n, size_t classes, const uint32_t *predicted, const uint32_t *label,
							LearnClassScore *per_class, LearnClassScore averages[3])
{
	memset(per_class, 0, classes * sizeof(LearnClassScore));
	for (size_t row = 0; row < n; row++)
	{
		if (label[row] < classes)
			per_class[label[row]].support++;
		if (predicted[row] < classes)
		{
			per_class[predicted[row]].precision += 1;
			per_class[predicted[row]].recall += predicted[row] == label[row];
		}
	}
	score_counts(classes, per_class, averages);
}

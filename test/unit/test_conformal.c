/*
 * test_conformal.c: ranks and thresholds against their definition, sets against a brute-force reference, coverage of new rows
 * over many draws, subgroups, spreads, and what networks of folds say of rows that they were not trained on.
 */
#include "check.h"

#include "idla/learn_conformal.h"
#include "idla/learn_predict.h"
#include "idla/learn_train.h"

#define SEED 7

static double mean_zero[2] = {0, 0};
static double scale_one[2] = {1, 1};

static LearnModel
values_model(int n_targets)
{
	return (LearnModel) {.task = LEARN_REGRESSION, .n_targets = n_targets, .target_mean = mean_zero, .target_scale = scale_one};
}

static LearnModel
classes_model(int n_classes)
{
	return (LearnModel) {.task = n_classes == 2 ? LEARN_BINARY : LEARN_MULTICLASS, .n_targets = 1, .n_classes = n_classes, .positive = 0};
}

/* ---- Ranks ---- */

static void
check_table(DevSession *session, size_t n)
{
	LearnModel	model = values_model(1);
	double	   *answers = calloc(n, sizeof(double));
	double	   *targets = calloc(n, sizeof(double));
	LearnConformalRows rows = {.n = n, .answers = answers, .targets = targets};
	LearnConformal *conformal;
	const LearnScoreTable *table;
	bool		right = true;

	/* The residuals are 1 to n, in some order and with either sign. */
	for (size_t i = 0; i < n; i++)
		targets[i] = (double) (i * 7919 % n + 1) * (i % 2 == 0 ? 1 : -1);
	CHECK_STATUS(session, learn_conformal_fit(session, &model, &rows, LEARN_CONFORMAL_RESIDUAL, &conformal), DEV_OK, "%zu residuals", n);
	table = learn_conformal_table(conformal, 0, 0);
	CHECK(table->n == n && table->n_knots == (n < LEARN_CONFORMAL_MOST_KNOTS ? (int) n : LEARN_CONFORMAL_MOST_KNOTS),
		  "%zu rows have %d knots", n, table->n_knots);
	for (int i = 0; i < table->n_knots; i++)
		right = right && round(table->knots[i]) == (double) learn_conformal_rank(n, table->n_knots, i) &&
			table->knots[i] >= round(table->knots[i]) && (i == 0 || table->knots[i] > table->knots[i - 1]);
	CHECK(right && round(table->knots[table->n_knots - 1]) == (double) n, "knots of %zu rows are the scores of their ranks", n);

	right = true;
	for (int percent = 1; percent < 1000; percent++)
	{
		double		wanted = (double) ((n + 1) * (size_t) percent / 1000 + ((n + 1) * (size_t) percent % 1000 > 0));
		double		found = learn_conformal_threshold(table, percent / 1000.0);
		bool		exact = n <= LEARN_CONFORMAL_MOST_KNOTS || wanted > (double) n - LEARN_CONFORMAL_MOST_KNOTS / 4;

		if (wanted > (double) n)
			right = right && found == INFINITY;
		else if (exact)
			right = right && round(found) == wanted;
		else
			right = right && found >= wanted && found <= wanted + (double) n / (0.75 * LEARN_CONFORMAL_MOST_KNOTS) + 1;
	}
	CHECK(right, "every threshold of %zu rows is the score of rank ceil((n + 1) coverage), or the next one kept", n);
	free(answers);
	free(targets);
}

static void
test_ranks(void)
{
	static const struct { uint64_t n; double coverage; bool finite; } least[] = {
		{9, 0.9, true}, {8, 0.9, false}, {19, 0.95, true}, {18, 0.95, false}, {99, 0.99, true}, {98, 0.99, false}, {1, 0.5, true},
		{0, 0.01, false}
	};
	static const size_t sizes[] = {20, 21, 99, 100, 1000, 1023, 1024, 1025, 1500, 4999, 30011};
	float		scores[99];
	DevSession *session;

	for (int i = 0; i < 99; i++)
		scores[i] = (float) i;
	for (size_t i = 0; i < sizeof(least) / sizeof(least[0]); i++)
	{
		LearnScoreTable table = {least[i].n, (int) least[i].n, scores};

		CHECK(isfinite(learn_conformal_threshold(&table, least[i].coverage)) == least[i].finite, "%d rows are %s for %g",
			  (int) least[i].n, least[i].finite ? "enough" : "too few", least[i].coverage);
	}
	CHECK(learn_conformal_rank(UINT64_C(1) << 53, 1024, 1023) == UINT64_C(1) << 53 &&
		  learn_conformal_rank(UINT64_C(1) << 53, 1024, 767) == (UINT64_C(1) << 53) - 256, "ranks of very many rows do not overflow");
	CHECK(learn_conformal_knots(1) == 1024 && learn_conformal_knots(101) == 324 && learn_conformal_knots(100000) == 128 &&
		  learn_conformal_knots(0) == 1024, "many tables keep fewer knots");
	dev_session_open(NULL, SEED, &session);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		check_table(session, sizes[i]);
	dev_session_close(session);
}

/* ---- Sets ---- */

/* By the definition: the mass of all classes before it, in order of probability, and half of its own. */
static double
reference_score(LearnConformalScore score, int n, const double *p, int class)
{
	double		before = 0;

	if (score == LEARN_CONFORMAL_LAC)
		return 1 - p[class];
	for (int i = 0; i < n; i++)
		before += p[i] > p[class] || (p[i] == p[class] && i < class) ? p[i] : 0;
	return before + 0.5 * p[class];
}

static void
test_sets(void)
{
	LearnModel	three = classes_model(3);
	LearnModel	two = classes_model(2);
	LearnConformal aps = {.score = LEARN_CONFORMAL_APS, .n_targets = 1};
	LearnConformal lac = {.score = LEARN_CONFORMAL_LAC, .n_targets = 1};
	double		p[] = {0.2, 0.5, 0.3};
	int			order[12];
	bool		in[12];
	int			wrong = 0;

	/* Scores by hand: APS .9, .25, .65; LAC .8, .5, .7 */
	CHECK(learn_conformal_set(&three, &aps, p, 0.7, order, in) == 2 && !in[0] && in[1] && in[2], "APS at .7 has the two likeliest");
	CHECK(learn_conformal_set(&three, &aps, p, 0.2, order, in) == 0 && !in[0] && !in[1] && !in[2], "and at .2 none");
	CHECK(learn_conformal_set(&three, &lac, p, 0.75, order, in) == 2 && !in[0] && in[1] && in[2], "LAC at .75 has two");
	CHECK(learn_conformal_set(&three, &lac, p, INFINITY, order, in) == 3 &&
		  learn_conformal_set(&three, &aps, p, INFINITY, order, in) == 3 && in[0] && in[1] && in[2], "nothing known: all classes");
	CHECK(learn_conformal_set(&two, &lac, p, 0.3, order, in) == 1 && !in[0] && in[1], "a binary answer is that of the positive class");

	for (uint64_t draw = 0; draw < 4000; draw++)
	{
		int			n = 2 + (int) (draw % 10);
		LearnModel	model = classes_model(n);
		const LearnConformal *conformal = draw % 4 < 2 ? &aps : &lac;
		double		threshold = dev_random_uniform(SEED, 1, draw);
		double		probabilities[12];
		double		sum = 0;
		int			size = 0;
		int			got;

		for (int i = 0; i < n; i++)
		{
			/* every third draw has ties */
			probabilities[i] = draw % 3 == 0 ? floor(4 * dev_random_uniform(SEED, 2 + draw, (uint64_t) i)) + 1 :
				-log(dev_random_uniform(SEED, 2 + draw, (uint64_t) i));
			sum += probabilities[i];
		}
		for (int i = 0; i < n; i++)
			probabilities[i] /= sum;
		if (n == 2)
			probabilities[1] = 1 - probabilities[0];
		got = learn_conformal_set(&model, conformal, probabilities, threshold, order, in);
		for (int i = 0; i < n; i++)
		{
			double		score = reference_score(conformal->score, n, probabilities, i);

			size += in[i];
			wrong += fabs(score - threshold) > 1e-12 && in[i] != (score <= threshold);
		}
		wrong += size != got;
	}
	CHECK(wrong == 0, "4000 sets are those of the definition");
}

/* ---- Coverage ---- */

/* A row: what the model answers, and the truth. The noise of values grows with the answer. */
static void
draw_row(const LearnModel *model, uint64_t stream, uint64_t row, double *answers, double *target)
{
	double		u = dev_random_uniform(SEED, stream, 4 * row);
	double		v = dev_random_uniform(SEED, stream, 4 * row + 1);
	double		sum = 0;

	if (model->task == LEARN_REGRESSION)
	{
		answers[0] = 10 * u;
		*target = answers[0] + (0.2 + answers[0]) * dev_random_normal(SEED, stream + 1, row);
		return;
	}
	if (model->task == LEARN_BINARY)
	{
		answers[0] = u;
		*target = v < u;
		return;
	}
	for (int i = 0; i < model->n_classes; i++)
		sum += answers[i] = pow(dev_random_uniform(SEED, stream + 2, row * (uint64_t) model->n_classes + (uint64_t) i), 3);
	*target = model->n_classes - 1;
	for (int i = 0; i < model->n_classes; i++)
	{
		answers[i] /= sum;
		if (v >= 0 && v < answers[i])
			*target = i;
		v -= answers[i];
	}
}

static bool
covers(const LearnModel *model, const LearnConformal *conformal, const char *group, const double *answers, double target, double coverage)
{
	double		threshold = learn_conformal_threshold(learn_conformal_table(conformal, learn_conformal_place(conformal, group), 0), coverage);
	int			order[8];
	bool		in[8];
	double		low;
	double		high;

	if (model->task == LEARN_REGRESSION)
	{
		learn_conformal_interval(conformal, 0, answers[0], threshold, &low, &high);
		return low <= target && target <= high;
	}
	learn_conformal_set(model, conformal, answers, threshold, order, in);
	return in[model->task == LEARN_BINARY ? (target != 0 ? 0 : 1) : (int) target];
}

/*
 * Over many draws of n rows and of one new one, the new one is covered with a probability of exactly rank / (scored + 1).
 * Not so where the number of scored rows is itself drawn: then it is at least the coverage, and 1 / (scored + 1) more at most.
 */
static void
check_coverage(LearnModel model, LearnConformalScore score, double coverage)
{
	const size_t n = 139;
	const int	draws = 4000;
	double		answers[140 * 8];
	double		targets[140];
	size_t		outputs = model.task == LEARN_MULTICLASS ? (size_t) model.n_classes : 1;
	double		expected = ceil((double) (n + 1) * coverage - 1e-9) / (double) (n + 1);
	double		deviation = sqrt(expected * (1 - expected) / draws);
	bool		scaled = score == LEARN_CONFORMAL_SCALED;
	double		share = 0;

	for (int draw = 0; draw < draws; draw++)
	{
		LearnConformalRows rows = {.n = n, .answers = answers, .targets = targets, .seed = (uint64_t) draw};
		LearnConformal *conformal;
		DevSession *session;

		dev_session_open(NULL, SEED, &session);
		for (size_t i = 0; i <= n; i++)
			draw_row(&model, 100 + 10 * (uint64_t) draw, i, answers + i * outputs, &targets[i]);
		if (learn_conformal_fit(session, &model, &rows, score, &conformal) == DEV_OK)
			share += covers(&model, conformal, NULL, answers + n * outputs, targets[n], coverage) / (double) draws;
		dev_session_close(session);
	}
	if (!CHECK(share > expected - 2 * deviation && share < expected + 2 * deviation + (scaled ? 1.0 / 50 : 0),
			   "%s of %d classes covers %g of new rows", learn_conformal_score_names[score], model.n_classes, coverage))
		printf("#   %g, expected %g within %g\n", share, expected, 2 * deviation);
}

static void
test_coverage(void)
{
	for (int high = 0; high < 2; high++)
	{
		double		coverage = high ? 0.9 : 0.75;

		check_coverage(values_model(1), LEARN_CONFORMAL_RESIDUAL, coverage);
		check_coverage(values_model(1), LEARN_CONFORMAL_SCALED, coverage);
		check_coverage(classes_model(2), LEARN_CONFORMAL_LAC, coverage);
		check_coverage(classes_model(2), LEARN_CONFORMAL_APS, coverage);
		check_coverage(classes_model(5), LEARN_CONFORMAL_LAC, coverage);
		check_coverage(classes_model(5), LEARN_CONFORMAL_APS, coverage);
	}
}

/* ---- Subgroups, spreads ---- */

#define MANY_ROWS 6000

/* Group 1 is three times as noisy as group 0; group 2 has too few rows; some rows have no group. */
static uint32_t
group_of(size_t row)
{
	return row % 500 == 499 ? 2 : row % 50 == 49 ? LEARN_NO_GROUP : (uint32_t) (row % 4 == 0);
}

static void
test_groups(void)
{
	static char *names[] = {"calm", "wild", "rare"};
	LearnModel	model = values_model(1);
	double	   *answers = calloc(2 * MANY_ROWS, sizeof(double));
	double	   *targets = calloc(2 * MANY_ROWS, sizeof(double));
	uint32_t   *groups = calloc(2 * MANY_ROWS, sizeof(uint32_t));
	LearnConformalRows rows = {.n = MANY_ROWS, .answers = answers, .targets = targets, .groups = groups, .n_groups = 3,
	.names = names, .by = "ward"};
	LearnConformal *conformal;
	DevSession *session;
	double		covered[2] = {0, 0};
	double		overall = 0;
	int			counts[2] = {0, 0};
	int			n_scored = 0;

	for (size_t i = 0; i < 2 * MANY_ROWS; i++)
	{
		groups[i] = group_of(i);
		answers[i] = 10 * dev_random_uniform(SEED, 50, i);
		targets[i] = answers[i] + (groups[i] == 1 ? 3 : 1) * dev_random_normal(SEED, 51, i);
	}
	dev_session_open(NULL, SEED, &session);
	CHECK_STATUS(session, learn_conformal_fit(session, &model, &rows, LEARN_CONFORMAL_RESIDUAL, &conformal), DEV_OK, "groups");
	CHECK(conformal->n_groups == 2 && strcmp(conformal->groups[1], "wild") == 0 && strcmp(conformal->by, "ward") == 0,
		  "12 rows are too few for a group");
	CHECK(learn_conformal_place(conformal, "rare") == 0 && learn_conformal_place(conformal, NULL) == 0 &&
		  learn_conformal_place(conformal, "new") == 0 && learn_conformal_place(conformal, "wild") == 2 &&
		  conformal->tables[0].n == MANY_ROWS && conformal->tables[1].n + conformal->tables[2].n < MANY_ROWS, "who has no table gets that of all rows");
	for (size_t i = MANY_ROWS; i < 2 * MANY_ROWS; i++)
	{
		overall += covers(&model, conformal, NULL, &answers[i], targets[i], 0.9);
		if (groups[i] < 2)
		{
			covered[groups[i]] += covers(&model, conformal, names[groups[i]], &answers[i], targets[i], 0.9);
			counts[groups[i]]++;
		}
	}
	n_scored = MANY_ROWS;
	/* Both the rows that make the threshold and those that it is tried on are drawn. */
	CHECK(fabs(overall / n_scored - 0.9) < 2 * sqrt(0.09 * 2 / n_scored), "all rows: coverage %.3f", overall / n_scored);
	for (int i = 0; i < 2; i++)
		CHECK(fabs(covered[i] / counts[i] - 0.9) < 2 * sqrt(0.09 * 2 / counts[i]), "group %s: coverage %.3f of %d", names[i],
			  covered[i] / counts[i], counts[i]);
	CHECK(learn_conformal_threshold(&conformal->tables[2], 0.9) > 2.5 * learn_conformal_threshold(&conformal->tables[1], 0.9),
		  "the wild group's intervals are about three times as wide");
	dev_session_close(session);
	free(answers);
	free(targets);
	free(groups);
}

static double
width_at(const LearnConformal *conformal, double answer)
{
	double		low;
	double		high;

	learn_conformal_interval(conformal, 0, answer, learn_conformal_threshold(learn_conformal_table(conformal, 0, 0), 0.9), &low, &high);
	return high - low;
}

static void
test_spreads(void)
{
	LearnModel	model = values_model(1);
	double	   *answers = calloc(2 * MANY_ROWS, sizeof(double));
	double	   *targets = calloc(2 * MANY_ROWS, sizeof(double));
	LearnConformalRows rows = {.n = MANY_ROWS, .answers = answers, .targets = targets, .seed = 3};
	LearnConformal *conformal;
	DevSession *session;
	double		covered[2] = {0, 0};
	int			counts[2] = {0, 0};

	for (size_t i = 0; i < 2 * MANY_ROWS; i++)
		draw_row(&model, 60, i, &answers[i], &targets[i]);
	dev_session_open(NULL, SEED, &session);
	CHECK_STATUS(session, learn_conformal_fit(session, &model, &rows, LEARN_CONFORMAL_SCALED, &conformal), DEV_OK, "spreads");
	CHECK(conformal->spreads[0].n == 20 && conformal->tables[0].n > MANY_ROWS / 2 - 200 && conformal->tables[0].n < MANY_ROWS / 2 + 200,
		  "about half of the rows are scored");
	CHECK(width_at(conformal, 9) > 3 * width_at(conformal, 2) && width_at(conformal, 2) > 2 * width_at(conformal, 0.5) &&
		  fabs(width_at(conformal, -5) - width_at(conformal, 0)) < 1e-9 && fabs(width_at(conformal, 50) - width_at(conformal, 11)) < 1e-9,
		  "intervals are as wide as answers are unsure");
	for (size_t i = MANY_ROWS; i < 2 * MANY_ROWS; i++)
	{
		int			half = answers[i] > 5;

		covered[half] += covers(&model, conformal, NULL, &answers[i], targets[i], 0.9);
		counts[half]++;
	}
	CHECK(fabs((covered[0] + covered[1]) / MANY_ROWS - 0.9) < 2 * sqrt(0.09 * 3 / MANY_ROWS), "coverage %.3f",
		  (covered[0] + covered[1]) / MANY_ROWS);
	CHECK(covered[0] / counts[0] > 0.87 && covered[1] / counts[1] > 0.87, "of small and of large answers alike");
	rows.n = 99;
	CHECK_STATUS(session, learn_conformal_fit(session, &model, &rows, LEARN_CONFORMAL_SCALED, &conformal), DEV_OK, "99 rows");
	CHECK(conformal->score == LEARN_CONFORMAL_RESIDUAL && conformal->spreads == NULL && conformal->tables[0].n == 99, "are too few for spreads");

	/* A model that is always right, and answers that are all the same: nothing is divided by nothing. */
	for (size_t i = 0; i < MANY_ROWS; i++)
		answers[i] = targets[i] = 4;
	rows.n = 1000;
	CHECK_STATUS(session, learn_conformal_fit(session, &model, &rows, LEARN_CONFORMAL_SCALED, &conformal), DEV_OK, "a model without error");
	CHECK(conformal->spreads[0].n == 1 && width_at(conformal, 4) > 0 && width_at(conformal, 4) < 1e-4, "has narrow intervals");
	dev_session_close(session);
	free(answers);
	free(targets);
}

/* ---- Requests, memory ---- */

static DevStatus
fit_all(DevSession *session, LearnConformal **conformal)
{
	static char *names[] = {"a", "b"};
	LearnModel	model = values_model(2);
	double		answers[400];
	double		targets[400];
	uint32_t	groups[200];
	LearnConformalRows rows = {.n = 200, .answers = answers, .targets = targets, .groups = groups, .n_groups = 2, .names = names, .by = "x"};

	for (size_t i = 0; i < 400; i++)
	{
		answers[i] = (double) (i % 7);
		targets[i] = answers[i] + dev_random_normal(SEED, 70, i);
		groups[i / 2] = (uint32_t) (i / 2 % 2);
	}
	return learn_conformal_fit(session, &model, &rows, LEARN_CONFORMAL_SCALED, conformal);
}

static void
test_requests(void)
{
	LearnModel	model = values_model(1);
	double		answers[19] = {0};
	double		targets[19] = {0};
	LearnConformalRows rows = {.n = 19, .answers = answers, .targets = targets};
	LearnConformal *conformal;
	DevSession *session;

	dev_session_open(NULL, SEED, &session);
	CHECK_STATUS(session, learn_conformal_fit(session, &model, &rows, LEARN_CONFORMAL_LAC, &conformal), DEV_INVALID, "no sets of values");
	CHECK(strstr(dev_message_text(session), "\"lac\" is not for a regression") != NULL && conformal == NULL, "says so");
	CHECK_STATUS(session, learn_conformal_fit(session, &model, &rows, LEARN_CONFORMAL_RESIDUAL, &conformal), DEV_OK, "19 rows");
	CHECK(conformal == NULL, "are too few");
	CHECK(!learn_conformal_fits(LEARN_SURVIVAL, LEARN_CONFORMAL_RESIDUAL) && !learn_conformal_fits(LEARN_MULTILABEL, LEARN_CONFORMAL_APS) &&
		  learn_conformal_fits(LEARN_MULTICLASS, LEARN_CONFORMAL_APS) && !learn_conformal_fits(LEARN_BINARY, LEARN_CONFORMAL_SCALED),
		  "what fits what");
	CHECK_STATUS(session, fit_all(session, &conformal), DEV_OK, "two targets, two groups");
	CHECK(conformal != NULL && conformal->score == LEARN_CONFORMAL_SCALED && conformal->n_targets == 2, "are scored by spreads");
	dev_session_close(session);
}

static void
test_memory(void)
{
	CheckHost	host;
	DevHost		lent = check_host(&host, 0);
	LearnConformal *conformal;
	DevSession *session;
	size_t		calls;
	bool		clean = true;

	dev_session_open(&lent, SEED, &session);
	fit_all(session, &conformal);
	dev_session_close(session);
	calls = host.calls;
	for (size_t fail = 1; fail <= calls; fail++)
	{
		lent = check_host(&host, fail);
		if (dev_session_open(&lent, SEED, &session) == DEV_OK)
			clean = clean && fit_all(session, &conformal) == DEV_NO_MEMORY && conformal == NULL;
		dev_session_close(session);
		clean = clean && host.held == 0;
	}
	CHECK(clean && calls > 15, "each of %d failing allocations is an error and leaves nothing", (int) calls);
}

/* ---- Folds ---- */

#define FOLD_ROWS 300

static DevStatus
make_dataset(DevSession *session, LearnModel *model, const LearnSplit *split, LearnDataset **dataset)
{
	LearnChannel *channels = dev_alloc(session, 2, sizeof(LearnChannel));
	LearnFit	fit = {.task = LEARN_REGRESSION, .max_categories = 10, .min_count = 1};
	LearnNotes	notes = {0};
	DevStatus	status;

	static char names[2][2] = {"a", "b"};

	for (int i = 0; i < 2; i++)
		channels[i] = (LearnChannel) {.name = names[i], .column = i, .number_input = NN_NONE, .indicator_input = NN_NONE, .code_input = NN_NONE};
	*model = (LearnModel) {.task = LEARN_REGRESSION, .n_columns = 2, .n_channels = 2, .channels = channels, .n_targets = 1, .temperature = 1};
	model->target_mean = dev_alloc(session, 1, sizeof(double));
	model->target_scale = dev_alloc(session, 1, sizeof(double));
	status = learn_dataset_create(session, channels, 2, 1, (size_t) 1 << 20, NULL, dataset);
	for (size_t row = 0; row < FOLD_ROWS && status == DEV_OK; row++)
	{
		float		raw[2] = {(float) dev_random_normal(SEED, 80, row), (float) dev_random_normal(SEED, 81, row)};
		float		target = 20 + 5 * raw[0] - raw[1] + (float) dev_random_normal(SEED, 82, row);
		LearnRow	given = {.channels = raw, .targets = &target, .part = LEARN_UNASSIGNED};

		status = learn_dataset_append(*dataset, &given);
	}
	if (status == DEV_OK)
		status = learn_split(*dataset, split, &notes);
	if (status == DEV_OK)
		status = learn_fit(*dataset, &fit, &notes, &model->n_numbers, &model->n_codes);
	if (status == DEV_OK)
		status = learn_fit_targets(*dataset, model->target_mean, model->target_scale);
	return status == DEV_OK ? learn_dataset_encode(*dataset) : status;
}

/* What a model of the networks of one fold alone says of a row. */
static double
answer_of_fold(DevSession *session, LearnModel model, LearnDataset *dataset, int fold, uint32_t row)
{
	LearnPredictor *predictor;
	double		score = NAN;

	model.nets += 2 * fold;
	model.n_nets = 2;
	if (learn_predictor_create(session, &model, 8, &predictor) == DEV_OK)
		learn_predict_dataset(predictor, dataset, &row, 1, &score);
	return score;
}

static void
test_folds(void)
{
	LearnSplit	split = {.test = 0.2, .task = LEARN_REGRESSION, .seed = 5};
	LearnTraining training = {.epochs = 6, .batch = 32, .patience = -1, .optimizer = -1, .decay = -1, .momentum = -1, .schedule = -1,
		.warm_up = -1, .clip = -1, .average = -1, .folds = 3, .bags = 2, .seed = 9, .threads = 2};
	LearnNetwork network = {.architecture = LEARN_MLP, .width = 8, .depth = 1, .activation = -1, .dropout = 0};
	LearnNotes	notes = {0};
	LearnOutcome outcome;
	LearnModel	model;
	LearnDataset *dataset;
	DevSession *session;
	uint8_t    *fold;
	bool		seen[FOLD_ROWS] = {false};
	bool		once = true;
	double		worst = 0;

	dev_session_open(NULL, SEED, &session);
	CHECK_OR_STOP(make_dataset(session, &model, &split, &dataset) == DEV_OK, "a data set");
	CHECK_STATUS(session, learn_train(session, dataset, &model, &network, &training, &split, NULL, NULL, &notes, &outcome), DEV_OK,
				 "three folds of two networks");
	CHECK_OR_STOP(outcome.n_held == 240 && learn_folds(dataset, &split, 3, &fold) == DEV_OK, "all rows but the test part were held out once");
	for (size_t i = 0; i < outcome.n_held; i++)
	{
		uint32_t	row = outcome.held_rows[i];

		once = once && row < FOLD_ROWS && !seen[row] && fold[row] < 3;
		seen[row] = true;
		if (i % 10 == 0)
			worst = fmax(worst, fabs(answer_of_fold(session, model, dataset, fold[row], row) - outcome.held_scores[i]));
	}
	CHECK(once, "and never twice");
	if (!CHECK(worst < 1e-4, "the answers are those of the networks that had not seen the row"))
		printf("#   up to %g off\n", worst);

	training.folds = 1;
	network = (LearnNetwork) {.architecture = LEARN_MLP, .width = 8, .depth = 1, .activation = -1, .dropout = 0};
	CHECK_STATUS(session, learn_train(session, dataset, &model, &network, &training, &split, NULL, NULL, &notes, &outcome), DEV_OK, "one fold");
	CHECK(outcome.n_held == 0 && outcome.held_rows == NULL, "has no such rows");
	dev_session_close(session);
}

int
main(void)
{
	test_ranks();
	test_sets();
	test_coverage();
	test_groups();
	test_spreads();
	test_requests();
	test_memory();
	test_folds();
	return check_done();
}

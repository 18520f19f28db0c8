/*
 * test_smoothing.c: quantiles and exact bounds against SciPy 1.x, certificates against what is known of a plane, and of a
 * table's model.
 */
#include "models.h"

#include "idla/learn_robust.h"

/* ---- Reference values: scipy.stats.norm.ppf, scipy.special.betainc, beta.ppf, binomtest ---- */

static void
test_quantiles(void)
{
	static const struct { double p; double x; } normal[] = {
		{1e-300, -37.047096299361201}, {1e-20, -9.2623400897984087}, {1e-06, -4.7534243088228987},
		{0.001, -3.0902323061678132}, {0.025, -1.9599639845400545}, {0.3, -0.52440051270804089}, {0.5, 0},
		{0.7, 0.52440051270804067}, {0.975, 1.959963984540054}, {0.999999, 4.7534243088170873}
	};
	static const struct { double x; double a; double b; double p; } beta[] = {
		{0.1, 0.5, 0.5, 0.20483276469913345}, {0.5, 2, 3, 0.6875}, {0.9, 2, 3, 0.99629999999999996},
		{0.001, 0.01, 5, 0.95279588000707716}, {0.999, 100, 2, 0.99527136182507991}, {0.3, 30, 70, 0.51162510455860866},
		{0.02, 1, 200, 0.9824120533942784}, {0.9931, 9900, 101, 0.99982844886887967},
		{0.5, 50000, 50001, 0.5012615631070978}, {1e-12, 0.2, 0.3, 0.0025689367411544299}
	};

	for (size_t i = 0; i < sizeof(normal) / sizeof(normal[0]); i++)
		CHECK_NEAR(learn_normal_quantile(normal[i].p), normal[i].x, 1e-13, "normal quantile of %g", normal[i].p);
	CHECK(learn_normal_quantile(0) == -INFINITY && learn_normal_quantile(1) == INFINITY && isnan(learn_normal_quantile(NAN)),
		  "and at the ends");
	for (size_t i = 0; i < sizeof(beta) / sizeof(beta[0]); i++)
	{
		CHECK_NEAR(learn_beta_probability(beta[i].x, beta[i].a, beta[i].b), beta[i].p, 1e-10, "beta(%g, %g) at %g",
				   beta[i].a, beta[i].b, beta[i].x);
		CHECK_NEAR(learn_beta_quantile(beta[i].p, beta[i].a, beta[i].b) / beta[i].x, 1, 1e-7, "and back");
	}
	CHECK(learn_beta_quantile(0, 2, 3) == 0 && learn_beta_quantile(1, 2, 3) == 1 && learn_beta_probability(-1, 2, 3) == 0 &&
		  learn_beta_probability(2, 2, 3) == 1, "and at the ends");
}

static void
test_bounds(void)
{
	static const struct { uint64_t k; uint64_t n; double alpha; double low; double high; } bounds[] = {
		{0, 10, 0.001, 0, 0.49881276637272765}, {1, 10, 0.05, 0.0051161968918237008, 0.39416330243650466},
		{5, 10, 0.05, 0.22244110100812939, 0.77755889899187058}, {10, 10, 0.001, 0.50118723362727224, 1},
		{95, 100, 0.001, 0.84463269418953169, 0.99248290366288805},
		{9900, 10000, 0.001, 0.98653115932380619, 0.99279808893798416}, {10000, 10000, 0.001, 0.99930946300258994, 1},
		{99990, 100000, 0.001, 0.99975867734359114, 0.99997039390223208},
		{5100, 10000, 0.001, 0.4944993067265927, 0.52548723663263108},
		{50, 100, 0.025, 0.39832112950330095, 0.60167887049669899}
	};
	static const struct { uint64_t k; uint64_t n; double p; } tests[] = {
		{5, 10, 1}, {6, 10, 0.75390625}, {9, 10, 0.021484375}, {10, 10, 0.001953125}, {0, 10, 0.001953125},
		{60, 100, 0.056887933640980888}, {5200, 10000, 6.5935155986723428e-05}, {1, 3, 1}, {0, 0, 1}
	};

	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
	{
		CHECK_NEAR(learn_binomial_lower(bounds[i].k, bounds[i].n, bounds[i].alpha), bounds[i].low, 1e-11,
				   "lower bound of %d of %d", (int) bounds[i].k, (int) bounds[i].n);
		CHECK_NEAR(learn_binomial_upper(bounds[i].k, bounds[i].n, bounds[i].alpha), bounds[i].high, 1e-11, "upper bound");
	}
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		CHECK_NEAR(learn_sign_test(tests[i].k, tests[i].n), tests[i].p, 1e-11, "sign test of %d of %d",
				   (int) tests[i].k, (int) tests[i].n);
}

/* ---- Counts made up ---- */

typedef struct Script
{
	uint64_t	counts[2][3];	/* of the first and the second vote */
	uint64_t	firsts[2];
	size_t		sizes[2];
	int			n;
	DevStatus	status;
} Script;

static DevStatus
script_vote(void *context, double sigma, uint64_t first, size_t n, uint64_t *counts)
{
	Script	   *script = context;

	(void) sigma;
	for (int i = 0; i < 3; i++)
		counts[i] += script->counts[script->n][i];
	script->firsts[script->n] = first;
	script->sizes[script->n++] = n;
	return script->status;
}

static void
test_certify(void)
{
	LearnSmoothing how = {.sigma = 0.25, .n_choose = 100, .n_certify = 10000, .alpha = 0.001};
	Script		script = {.counts = {{10, 80, 10}, {50, 9900, 50}}};
	LearnVoter	voter = {.context = &script, .n_classes = 3, .vote = script_vote};
	LearnCertificate certificate;
	uint64_t	counts[3];
	int			class;

	CHECK_STATUS(NULL, learn_certify(&how, &voter, counts, &certificate), DEV_OK, "a row is certified");
	CHECK(certificate.class == 1, "as the class that was chosen");
	CHECK_NEAR(certificate.probability, 0.9865311593238062, 1e-10, "with Clopper and Pearson's bound");
	CHECK_NEAR(certificate.radius, 0.5531049162755474, 1e-10, "and Cohen's radius");
	CHECK(script.firsts[1] == 100 && script.sizes[0] == 100 && script.sizes[1] == 10000, "no copy votes twice");
	script = (Script) {.counts = {{10, 80, 10}, {2400, 5100, 2500}}};
	learn_certify(&how, &voter, counts, &certificate);
	CHECK(certificate.class == -1 && certificate.radius == 0, "51 %% of 10,000 are not surely more than a half");
	script = (Script) {.counts = {{60, 40, 0}, {0, 10000, 0}}};
	learn_certify(&how, &voter, counts, &certificate);
	CHECK(certificate.class == -1, "a class not chosen is not certified");
	script = (Script) {.status = DEV_CANCELLED};
	CHECK_STATUS(NULL, learn_certify(&how, &voter, counts, &certificate), DEV_CANCELLED, "a failed vote is passed on");
	script = (Script) {.counts = {{4800, 5200, 0}}};
	learn_smooth_predict(&how, &voter, counts, &class);
	CHECK(class == 1, "52 against 48 of 10,000 can be told apart");
	script = (Script) {.counts = {{4950, 5050, 0}}};
	learn_smooth_predict(&how, &voter, counts, &class);
	CHECK(class == -1, "50.5 against 49.5 cannot");
}

static void
test_check(void)
{
	static const LearnSmoothing bad[] = {
		{.sigma = 0, .n_choose = 1, .n_certify = 1, .alpha = 0.1}, {.sigma = NAN, .n_choose = 1, .n_certify = 1, .alpha = 0.1},
		{.sigma = 1, .n_choose = 0, .n_certify = 1, .alpha = 0.1}, {.sigma = 1, .n_choose = 1, .n_certify = -1, .alpha = 0.1},
		{.sigma = 1, .n_choose = 1, .n_certify = 1, .alpha = 1}
	};
	LearnSmoothing good = {.sigma = 1, .n_choose = 1, .n_certify = 1, .alpha = 0.1};
	DevSession *session;

	CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_STATUS(session, learn_smoothing_check(session, &bad[i]), DEV_INVALID, "setting %d is refused", (int) i);
	CHECK_STATUS(session, learn_smoothing_check(session, &good), DEV_OK, "a good one passes");
	dev_session_close(session);
}

/* ---- A plane, of which everything is known ---- */

#define INPUTS 7

static const float plane[INPUTS] = {1, -2, 0.5f, 0, 3, -1, 0.25f};

static DevStatus
score_plane(void *context, size_t n, const float *inputs, float *scores)
{
	(void) context;
	for (size_t row = 0; row < n; row++)
	{
		scores[row] = -0.5f;
		for (size_t i = 0; i < INPUTS; i++)
			scores[row] += plane[i] * inputs[row * INPUTS + i];
	}
	return DEV_OK;
}

static void
test_plane(void)
{
	LearnSmoothing how = {.sigma = 0.5, .n_choose = 50, .n_certify = 5000, .alpha = 0.001};
	LearnClassifier classifier = {.n_inputs = INPUTS, .n_outputs = 1, .score = score_plane};
	float		inputs[64 * INPUTS];
	float		scores[64];
	float		row[INPUTS] = {0};
	uint64_t	counts[2];
	double		length = 0;

	for (int i = 0; i < INPUTS; i++)
		length += (double) plane[i] * (double) plane[i];
	length = sqrt(length);
	for (int place = -4; place <= 4; place++)
	{
		double		distance;
		LearnNoiseVoter noise = {
			.classifier = &classifier, .row = row, .max_rows = 64, .inputs = inputs, .scores = scores, .seed = 3,
			.number = (uint64_t) (place + 4)
		};
		LearnVoter	voter = learn_noise_voter(&noise);
		LearnCertificate once;
		LearnCertificate again;

		row[4] = (float) place / 4;
		distance = (3 * (double) row[4] - 0.5) / length;
		CHECK_STATUS(NULL, learn_certify(&how, &voter, counts, &once), DEV_OK, "certified at distance %.2f", distance);
		CHECK(counts[0] + counts[1] == 5000, "all copies vote");
		CHECK_NEAR((double) counts[1] / 5000, erfc(-distance / how.sigma / sqrt(2)) / 2, 0.025,
				   "as often as the plane lies beyond");
		CHECK(once.class == -1 || once.class == (distance > 0), "the class is right");
		CHECK(once.radius < fabs(distance) && once.radius > fabs(distance) * 0.8 - 0.05,
			  "the radius %.3f is a little less than the distance", once.radius);
		noise.max_rows = 17;
		learn_certify(&how, &voter, counts, &again);
		CHECK(once.probability == again.probability, "the number of rows at once changes nothing");
	}
}

/* ---- A table's model ---- */

static void
test_table(void)
{
	ModelSpec	spec = {.architecture = LEARN_MLP, .task = LEARN_MULTICLASS, .n_columns = 8, .n_outputs = 3, .depth = 2,
		.width = 16, .activation = -1, .seed = 5};
	LearnSmoothing how = {.sigma = 0.1, .n_choose = 50, .n_certify = 500, .alpha = 0.01};
	DevSession *session;
	LearnModel *model;
	LearnPredictor *predictor;
	LearnConstraint constraints[9];
	float		raw[9];
	float		rows[32 * 9];
	double		answers[32 * 3];
	float		inputs[32 * 8];
	float		scores[32 * 3];
	float		here[8] = {0};
	uint64_t	counts[3];
	double		expected[3];
	LearnTableClassifier table = {.constraints = constraints, .raw = raw, .max_rows = 32, .rows = rows, .answers = answers};
	LearnClassifier classifier;
	LearnNoiseVoter noise = {.classifier = &classifier, .row = here, .max_rows = 32, .inputs = inputs, .scores = scores};
	LearnVoter	voter;
	LearnCertificate certificate;
	int			class = 0;

	CHECK_OR_STOP(dev_session_open(NULL, 3, &session) == DEV_OK, "a session opens");
	CHECK_STATUS(session, make_model(session, &spec, &model), DEV_OK, "a model");
	CHECK_STATUS(session, learn_predictor_create(session, model, 32, &predictor), DEV_OK, "a predictor");
	for (int i = 0; i < model->n_channels; i++)
		constraints[i] = learn_constraint_free();
	constraints[0].mutable = false;
	make_rows(model, 1, 4, raw);
	raw[1] = NAN;
	learn_predict_scores(predictor, 1, raw, NULL, expected);
	for (int i = 1; i < 3; i++)
		class = expected[i] > expected[class] ? i : class;
	table.predictor = predictor;
	classifier = learn_table_classifier(&table);
	voter = learn_noise_voter(&noise);
	CHECK(classifier.n_inputs == 3 && voter.n_classes == 3, "three of four numbers may move");
	classifier.score(classifier.context, 1, here, scores);
	CHECK_NEAR(scores[0], expected[0], 1e-6, "no noise is the row itself");
	CHECK_STATUS(session, learn_certify(&how, &voter, counts, &certificate), DEV_OK, "a row of the table is certified");
	CHECK(certificate.class == class && certificate.radius > 0, "as what the model says, within %.2f", certificate.radius);
	CHECK(rows[0] == raw[0] && isnan(rows[1]) && rows[4] != raw[4], "what may not move and what is missing does not");
	dev_session_close(session);
}

int
main(void)
{
	test_quantiles();
	test_bounds();
	test_certify();
	test_check();
	test_plane();
	test_table();
	return check_done();
}

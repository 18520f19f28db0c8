/*
 * test_smoothing.c: quantiles and exact bounds against SciPy 1.x, certificates against what is known of a plane, and of models of
 * columns, images, signals and series.
 */
#include "models.h"

#include "idla/learn_robust.h"

/* ---- Reference values: scipy.stats.norm.ppf, scipy.special.betainc, beta.ppf ---- */

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

	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
	{
		CHECK_NEAR(learn_binomial_lower(bounds[i].k, bounds[i].n, bounds[i].alpha), bounds[i].low, 1e-11,
				   "lower bound of %d of %d", (int) bounds[i].k, (int) bounds[i].n);
		CHECK_NEAR(learn_binomial_upper(bounds[i].k, bounds[i].n, bounds[i].alpha), bounds[i].high, 1e-11, "upper bound");
	}
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

/* ---- Models ---- */

#define CHANNELS 9
#define SIDE 5
#define SAMPLES 12
#define LEADS 2
#define BINS 6
#define STORED_SAMPLES 17		/* longer than the network sees: it sees the middle */
#define FIRST_SEEN 2			/* of them */
#define MOST (4 + SIDE * SIDE + SAMPLES * LEADS + BINS)

static const LearnField pixels = {.name = (char *) "scan", .kind = LEARN_IMAGE, .sample = LEARN_SAMPLE_U8, .dims = {SIDE, SIDE, 1}};
static const LearnField leads = {.name = (char *) "ecg", .kind = LEARN_SIGNAL, .sample = LEARN_SAMPLE_F32, .dims = {SAMPLES, LEADS, 0}};
static LearnSeriesChannel channel = {.n = 10, .mean = 3, .deviation = 4};
static LearnSeriesPlan plan = {.n_channels = 1, .channels = &channel, .n_bins = BINS, .width = 1};

/* One row of a model, and everything to certify it. */
typedef struct Bench
{
	DevSession *session;
	LearnModel *model;
	LearnPredictor *predictor;
	LearnConstraint constraints[CHANNELS];
	float		raw[CHANNELS];
	uint8_t		image[SIDE * SIDE];
	float		signal[STORED_SAMPLES * LEADS];
	float		bins[BINS + 2];
	LearnBytes	fields[2];
	LearnRowClassifier *row;
	LearnClassifier classifier;
	float		zeros[MOST];
	float		inputs[16 * MOST];
	float		scores[16 * 3];
} Bench;

static DevStatus
build_bench(Bench *bench, DevHost *host, const ModelSpec *spec)
{
	DevStatus	status;

	memset(bench, 0, sizeof(*bench));
	status = dev_session_open(host, 3, &bench->session);
	if (status == DEV_OK)
		status = make_model(bench->session, spec, &bench->model);
	if (status == DEV_OK)
		status = learn_predictor_create(bench->session, bench->model, 16, &bench->predictor);
	if (status != DEV_OK)
		return status;
	for (int i = 0; i < bench->model->n_channels; i++)
		bench->constraints[i] = learn_constraint_free();
	bench->constraints[0].mutable = false;
	make_rows(bench->model, 1, 4, bench->raw);
	bench->raw[1] = NAN;
	for (size_t i = 0; i < SIDE * SIDE; i++)
		bench->image[i] = (uint8_t) (20 + 8 * i);
	for (size_t i = 0; i < STORED_SAMPLES * LEADS; i++)
		bench->signal[i] = (float) sin(0.7 * (double) i);
	for (size_t i = 0; i < BINS + 2; i++)
		bench->bins[i] = i % 3 == 1 ? NAN : (float) i;
	for (int i = 0; i < bench->model->n_fields; i++)
	{
		const LearnField *field = &bench->model->fields[i];

		bench->fields[i] = field->kind == LEARN_IMAGE ? (LearnBytes) {bench->image, sizeof(bench->image)} :
			field->kind == LEARN_SIGNAL ? (LearnBytes) {bench->signal, sizeof(bench->signal)} :
			(LearnBytes) {bench->bins, sizeof(bench->bins)};
	}
	return learn_row_classifier_create(bench->predictor, bench->constraints, &bench->row);
}

static void
open_bench(Bench *bench, const ModelSpec *spec)
{
	CHECK_OR_STOP(build_bench(bench, NULL, spec) == DEV_OK, "a model can be certified");
	bench->classifier = learn_row_classifier(bench->row, bench->raw, bench->fields);
	CHECK_OR_STOP(bench->classifier.n_inputs <= learn_row_classifier_inputs(bench->row) && bench->classifier.n_inputs <= MOST,
				  "with a bounded number of inputs");
}

/* The model's own answer for the row as it is now. */
static double
predicted(Bench *bench)
{
	double		scores[3];

	CHECK_STATUS(bench->session, learn_predict_scores(bench->predictor, 1, bench->raw, bench->fields, scores), DEV_OK, "predicted");
	return scores[0];
}

/* What the classifier says when one input is moved by so much. */
static double
moved(Bench *bench, size_t input, float by)
{
	memset(bench->inputs, 0, sizeof(bench->zeros));
	bench->inputs[input] = by;
	CHECK_STATUS(bench->session, bench->classifier.score(bench->classifier.context, 1, bench->inputs, bench->scores), DEV_OK, "scored");
	return (double) bench->scores[0];
}

static LearnCertificate
certify(Bench *bench, double sigma, int copies)
{
	LearnSmoothing how = {.sigma = sigma, .n_choose = 50, .n_certify = copies, .alpha = 0.01};
	LearnNoiseVoter noise = {
		.classifier = &bench->classifier, .row = bench->zeros, .max_rows = 16, .inputs = bench->inputs, .scores = bench->scores
	};
	LearnVoter	voter = learn_noise_voter(&noise);
	LearnCertificate certificate;
	uint64_t	counts[3];

	CHECK_STATUS(bench->session, learn_certify(&how, &voter, counts, &certificate), DEV_OK, "a row is certified");
	return certificate;
}

static void
test_table(void)
{
	ModelSpec	spec = {.architecture = LEARN_MLP, .task = LEARN_MULTICLASS, .n_columns = 8, .n_outputs = 3, .depth = 2,
		.width = 16, .activation = -1, .seed = 5};
	static Bench bench;
	double		expected[3];
	LearnCertificate certificate;
	int			class = 0;

	open_bench(&bench, &spec);
	learn_predict_scores(bench.predictor, 1, bench.raw, NULL, expected);
	for (int i = 1; i < 3; i++)
		class = expected[i] > expected[class] ? i : class;
	CHECK(bench.classifier.n_inputs == 3, "three of four numbers may move");
	CHECK_NEAR(moved(&bench, 0, 0), expected[0], 1e-6, "no noise is the row itself");
	CHECK_NEAR(moved(&bench, 0, 3), expected[0], 1e-6, "what is missing has none");
	certificate = certify(&bench, 0.1, 500);
	CHECK(certificate.class == class && certificate.radius > 0, "certified as what the model says, within %.2f", certificate.radius);
	bench.raw[4] += 0.5f;
	CHECK_NEAR(moved(&bench, 1, -0.5f), expected[0], 1e-5, "a number moves by its unit");
	dev_session_close(bench.session);
}

/* An image and a signal beside columns: noise on each is the change of what is stored. */
static void
test_fields(void)
{
	const LearnField both[] = {pixels, leads};
	ModelSpec	spec = {.architecture = LEARN_CNN, .task = LEARN_BINARY, .n_columns = 2, .depth = 1, .width = 4, .activation = -1,
		.gain = 0.7, .fields = both, .n_fields = 2, .seed = 15};
	static Bench bench;
	double		plain;
	double		changed;
	size_t		numbers = 1;
	size_t		sample = numbers + SIDE * SIDE + 5 * LEADS + 1;

	open_bench(&bench, &spec);
	CHECK(bench.classifier.n_inputs == numbers + SIDE * SIDE + SAMPLES * LEADS, "numbers, pixels and samples have noise");
	plain = predicted(&bench);
	CHECK_NEAR(moved(&bench, 0, 0), plain, 1e-6, "no noise is the row itself");
	bench.image[7] += 51;
	changed = predicted(&bench);
	bench.image[7] -= 51;
	CHECK_NEAR(moved(&bench, numbers + 7, 0.2f), changed, 1e-5, "noise on a pixel is a share of its range");
	CHECK(fabs(changed - plain) > 1e-4, "and matters");
	/* Lead 1 has a scale of 3: a third of the stored unit is one standard deviation. */
	bench.signal[(FIRST_SEEN + 5) * LEADS + 1] += 0.5f;
	changed = predicted(&bench);
	bench.signal[(FIRST_SEEN + 5) * LEADS + 1] -= 0.5f;
	CHECK_NEAR(moved(&bench, sample, 0.5f * 3), changed, 1e-5, "noise on a sample is in standard deviations");
	CHECK(fabs(changed - plain) > 1e-4, "and matters");
	CHECK(certify(&bench, 0.02, 300).class == (plain > 0), "certified as what the model says");
	bench.fields[0] = (LearnBytes) {NULL, 0};
	bench.fields[1].size = 4 * LEADS * sizeof(float);
	bench.classifier = learn_row_classifier(bench.row, bench.raw, bench.fields);
	CHECK(bench.classifier.n_inputs == numbers + 4 * LEADS, "neither a missing image nor padding has noise");
	CHECK_NEAR(moved(&bench, 0, 0), predicted(&bench), 1e-6, "no noise is the row itself");
	dev_session_close(bench.session);
}

/* A bin's noise is carried forward to those without a value, as the value is. */
static void
test_series(void)
{
	LearnField	field = {.name = (char *) "series", .kind = LEARN_SERIES, .sample = LEARN_SAMPLE_F32, .dims = {BINS, 1, 0}, .series = &plan};
	ModelSpec	spec = {.architecture = LEARN_GRU, .task = LEARN_BINARY, .n_columns = 2, .depth = 1, .width = 8, .activation = -1,
		.fields = &field, .n_fields = 1, .seed = 14};
	static Bench bench;
	double		plain;
	double		changed;

	open_bench(&bench, &spec);
	CHECK(bench.classifier.n_inputs == 1 + BINS, "bins have noise, what was known before them has none");
	plain = predicted(&bench);
	CHECK_NEAR(moved(&bench, 0, 0), plain, 1e-6, "no noise is the row itself");
	bench.bins[3] += 2;
	changed = predicted(&bench);
	bench.bins[3] -= 2;
	CHECK_NEAR(moved(&bench, 1 + 1, 0.5f), changed, 1e-5, "noise on a bin is in standard deviations");
	CHECK(fabs(changed - plain) > 1e-4, "and matters");
	CHECK_NEAR(moved(&bench, 1 + 2, 3), plain, 1e-6, "an empty bin stays empty");
	dev_session_close(bench.session);
}

static void
test_row_memory(void)
{
	const LearnField both[] = {pixels, leads};
	ModelSpec	spec = {.architecture = LEARN_CNN, .task = LEARN_BINARY, .n_columns = 2, .depth = 1, .width = 4, .activation = -1,
		.fields = both, .n_fields = 2, .seed = 15};
	static Bench bench;
	CheckHost	counts;
	DevHost		host = check_host(&counts, 0);
	size_t		calls;
	bool		survived = true;

	CHECK(build_bench(&bench, &host, &spec) == DEV_OK, "a model can be certified");
	dev_session_close(bench.session);
	calls = counts.calls;
	CHECK(counts.held == 0, "nothing is held afterwards");
	for (size_t fail_at = 1; fail_at <= calls && survived; fail_at++)
	{
		DevStatus	status;

		host = check_host(&counts, fail_at);
		status = build_bench(&bench, &host, &spec);
		dev_session_close(bench.session);
		survived = status == DEV_NO_MEMORY && counts.held == 0;
	}
	CHECK(survived, "any of %zu allocations may fail", calls);
}

static bool
stop_now(void *context)
{
	return *(bool *) context;
}

static void
test_row_cancel(void)
{
	ModelSpec	spec = {.architecture = LEARN_CNN, .task = LEARN_BINARY, .n_columns = 2, .depth = 1, .width = 4, .activation = -1,
		.fields = &pixels, .n_fields = 1, .seed = 15};
	bool		stop = false;
	DevHost		host = {.context = &stop, .cancelled = stop_now};
	static Bench bench;

	CHECK_OR_STOP(build_bench(&bench, &host, &spec) == DEV_OK, "a model can be certified");
	bench.classifier = learn_row_classifier(bench.row, bench.raw, bench.fields);
	stop = true;
	CHECK(bench.classifier.score(bench.classifier.context, 1, bench.zeros, bench.scores) == DEV_CANCELLED, "a cancel is seen between passes");
	dev_session_close(bench.session);
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
	test_fields();
	test_series();
	test_row_memory();
	test_row_cancel();
	return check_done();
}

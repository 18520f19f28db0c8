/*
 * test_drift.c: profiles, indices and tests of drift against counting by hand and against SciPy, verdicts against chance.
 */
#include "check.h"

#include "idla/device.h"
#include "idla/learn_data.h"
#include "idla/learn_drift.h"

#define MOST 2000

static DevSession *
open_session(void)
{
	DevSession *session = NULL;

	CHECK_OR_STOP(dev_session_open(NULL, 7, &session) == DEV_OK, "a session opens");
	return session;
}

static int
compare_floats(const void *a, const void *b)
{
	float		left = *(const float *) a;
	float		right = *(const float *) b;

	return left < right ? -1 : left > right;
}

static double
uniform(uint64_t stream, uint64_t i)
{
	return dev_random_uniform(11, stream, i);
}

/* ---- Distributions: scipy.stats.chi2.sf, scipy.special.kolmogorov of Stephens' argument ---- */

static void
test_distributions(void)
{
	static const struct { double x; double freedom; double p; } tails[] = {
		{0.5, 1, 0.47950012218695337}, {3.841, 1, 0.050013683763956804}, {10, 3, 0.018566135463043251},
		{1, 10, 0.99982788437004411}, {40, 12, 7.1908840528428939e-05}, {200, 150, 0.0039731859708216346},
		{1e-08, 2, 0.99999999500000003}
	};
	static const struct { double ks; double n; double m; double p; } limits[] = {
		{0.1, 100, 100, 0.67662014970024598}, {0.05, 1000, 500, 0.36680924614044574},
		{0.3, 20, 1000000, 0.043138099669728563}, {0.02, 5000, 5000, 0.26738904394377666},
		{0.5, 8, 8, 0.18768427419801334}, {0.01, 30, 30, 1}
	};

	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++)
		CHECK_NEAR(learn_chi_squared_tail(tails[i].x, tails[i].freedom) / tails[i].p, 1, 1e-11, "chi-squared %g of %g",
				   tails[i].x, tails[i].freedom);
	CHECK_NEAR(learn_chi_squared_tail(1000, 20) / 3.9047966391213445e-199, 1, 1e-9, "and far out");
	CHECK(learn_chi_squared_tail(0, 3) == 1 && learn_chi_squared_tail(-1, 3) == 1 && learn_chi_squared_tail(INFINITY, 3) == 0 &&
		  isnan(learn_chi_squared_tail(NAN, 3)), "and at the ends");
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		CHECK_NEAR(learn_kolmogorov_tail(limits[i].ks, limits[i].n, limits[i].m), limits[i].p, 1e-11, "Kolmogorov %g of %g and %g",
				   limits[i].ks, limits[i].n, limits[i].m);
	CHECK(learn_kolmogorov_tail(1, 1000, 1000) < 1e-300 && isnan(learn_kolmogorov_tail(0.1, 0, 5)), "and at the ends");
}

/* ---- Profiles ---- */

static double
count_between(const float *values, size_t n, double low, double high)
{
	double		count = 0;

	for (size_t i = 0; i < n; i++)
		count += values[i] > low && values[i] <= high;
	return count;
}

/* Every interval has what it says, none is empty, and they are no coarser than ties make them. */
static void
check_profile(DevSession *session, float *values, size_t n, int most, int expected, const char *what)
{
	LearnProfile profile;
	bool		counted = true;
	bool		ascends = true;

	qsort(values, n, sizeof(float), compare_floats);
	CHECK_STATUS(session, learn_profile_numbers(session, values, n, 3, most, &profile), DEV_OK, "%s has a profile", what);
	for (int i = 0; i < profile.n; i++)
	{
		double		low = i > 0 ? profile.edges[i - 1] : -INFINITY;

		counted = counted && profile.counts[i] > 0 && profile.counts[i] == count_between(values, n, low, profile.edges[i]);
		ascends = ascends && low < profile.edges[i];
	}
	CHECK(counted && ascends && profile.edges[profile.n - 1] == values[n - 1], "%s: intervals have the rows they say", what);
	CHECK(expected < 0 || profile.n == expected, "%s: %d intervals", what, profile.n);
	CHECK(profile.n <= most && profile.missing == 3, "%s: no more than wanted", what);
}

static void
test_profiles(void)
{
	DevSession *session = open_session();
	LearnProfile profile;
	float		values[MOST];
	double		largest = 0;

	for (int i = 0; i < MOST; i++)
		values[i] = (float) (i * 7 % 5);
	check_profile(session, values, MOST, 64, 5, "five values");
	for (int i = 0; i < MOST; i++)
		values[i] = (float) uniform(1, (uint64_t) i);
	check_profile(session, values, MOST, 64, 64, "a continuous column");
	check_profile(session, values, 64, 64, 64, "as many values as intervals");
	check_profile(session, values, 65, 64, -1, "one value more");
	check_profile(session, values, 1, 64, 1, "one value");
	check_profile(session, values, MOST, 1, 1, "one interval");
	for (int i = 0; i < MOST; i++)
		values[i] = i < MOST / 2 ? 0 : (float) uniform(1, (uint64_t) i);
	check_profile(session, values, MOST, 64, 64, "half of them zeros");
	learn_profile_numbers(session, values, MOST, 0, 64, &profile);
	for (int i = 1; i < profile.n; i++)
		largest = fmax(largest, profile.counts[i]);
	CHECK(largest <= 16, "what is left of a heavy tie is divided as finely as can be");
	CHECK_STATUS(session, learn_profile_numbers(session, values, 0, 0, 64, &profile), DEV_INVALID, "no values have none");
	dev_session_close(session);
}

/* ---- Indices ---- */

static LearnDrift
compare(DevSession *session, const LearnProfile *profile, const float *values, size_t n)
{
	LearnTally	tally;
	LearnDrift	drift;

	if (!CHECK(learn_tally_create(session, profile, &tally) == DEV_OK, "a tally is created"))
		exit(EXIT_FAILURE);
	for (size_t i = 0; i < n; i++)
		learn_tally_add(&tally, values[i]);
	learn_drift_measure(&tally, &drift);
	return drift;
}

static double
term(double then, double all_then, double now, double all_now)
{
	then = (then > 0 ? then : 0.5) / all_then;
	now = (now > 0 ? now : 0.5) / all_now;
	return (now - then) * log(now / then);
}

/* Values 0 .. 9 at frequencies of their own: by hand every value is a bin. */
static void
test_numbers(void)
{
	DevSession *session = open_session();
	LearnProfile profile;
	LearnDrift	drift;
	float		then[1000];
	float		now[600];
	double		psi = 0;
	double		ks = 0;

	for (int i = 0; i < 1000; i++)
		then[i] = (float) (i % 10);
	for (int i = 0; i < 600; i++)
		now[i] = i < 60 ? NAN : floorf(10 * (float) pow(uniform(2, (uint64_t) i), 1.5));
	qsort(then, 1000, sizeof(float), compare_floats);
	learn_profile_numbers(session, then, 1000, 50, 64, &profile);
	drift = compare(session, &profile, now, 600);
	for (int value = 0; value < 10; value++)
	{
		psi += term(100, 1050, count_between(now, 600, value - 1, value), 600);
		ks = fmax(ks, fabs(0.1 * (value + 1) - count_between(now, 600, -1, value) / 540));
	}
	psi += term(50, 1050, 60, 600);
	CHECK(drift.n == 600, "all rows are counted");
	CHECK_NEAR(drift.psi, psi, 1e-12, "the index by hand");
	CHECK_NEAR(drift.ks, ks, 1e-12, "the largest difference by hand");
	CHECK_NEAR(drift.p, learn_kolmogorov_tail(ks, 1000, 540), 1e-12, "its chance");
	CHECK_NEAR(drift.missing_then, 50.0 / 1050, 1e-12, "missing then");
	CHECK_NEAR(drift.missing_now, 0.1, 1e-12, "missing now");
	CHECK(isnan(drift.unseen) && drift.shift == LEARN_SHIFT_MODERATE, "a moderate shift: %s", learn_shift_names[drift.shift]);
	drift = compare(session, &profile, then, 1000);
	CHECK(drift.ks == 0 && drift.p == 1 && drift.shift == LEARN_SHIFT_MODERATE, "the same rows, but none is missing");
	CHECK_NEAR(drift.psi, 10 * term(100, 1050, 100, 1000) + term(50, 1050, 0, 1000), 1e-12, "an empty bin is half a row");
	profile.missing = 0;
	drift = compare(session, &profile, then, 1000);
	CHECK(drift.psi == 0 && drift.shift == LEARN_SHIFT_STABLE, "the same rows");
	profile.missing = 50;
	for (int i = 0; i < 600; i++)
		now[i] = NAN;
	drift = compare(session, &profile, now, 600);
	CHECK(isnan(drift.ks) && isnan(drift.p) && drift.missing_now == 1 && drift.shift == LEARN_SHIFT_STRONG, "all missing");
	for (int i = 0; i < 600; i++)
		now[i] = 100;
	drift = compare(session, &profile, now, 600);
	CHECK_NEAR(drift.ks, 1, 1e-12, "all beyond what was seen");
	CHECK(drift.shift == LEARN_SHIFT_STRONG, "is a strong shift");
	for (int i = 0; i < 600; i++)
		now[i] = -1;
	drift = compare(session, &profile, now, 600);
	CHECK_NEAR(drift.ks, 0.9, 1e-12, "all below: the first interval has no lower end");
	drift = compare(session, &profile, now, 0);
	CHECK(drift.n == 0 && isnan(drift.psi) && isnan(drift.missing_now) && drift.shift == LEARN_SHIFT_UNCERTAIN, "no rows");
	dev_session_close(session);
}

/* What the engine never makes and a stored profile may say: no rows, or hardly any, in all intervals but the first. */
static void
test_empty_intervals(void)
{
	DevSession *session = open_session();
	float		edges[LEARN_PROFILE_EDGES];
	double		counts[LEARN_PROFILE_EDGES];
	LearnProfile profile = {.n = LEARN_PROFILE_EDGES, .edges = edges, .counts = counts, .missing = 5};
	const double rests[] = {0, 1e-300, 1e-3};
	float		now[LEARN_PROFILE_EDGES];

	for (size_t i = 0; i < sizeof(rests) / sizeof(rests[0]); i++)
	{
		LearnDrift	drift;
		double		rest = (LEARN_PROFILE_EDGES - 1) * rests[i];

		for (int k = 0; k < LEARN_PROFILE_EDGES; k++)
		{
			edges[k] = now[k] = (float) k;
			counts[k] = k == 0 ? 100 : rests[i];
		}
		drift = compare(session, &profile, now, LEARN_PROFILE_EDGES);
		CHECK_NEAR(drift.psi, term(100, 105 + rest, 1, LEARN_PROFILE_EDGES) +
				   term(fmax(rest, 0.5), 105 + rest, LEARN_PROFILE_EDGES - 1, LEARN_PROFILE_EDGES) +
				   term(5, 105 + rest, 0, LEARN_PROFILE_EDGES), 1e-12, "intervals of %g rows are one bin", rests[i]);
		CHECK(drift.n == LEARN_PROFILE_EDGES && drift.shift == LEARN_SHIFT_STRONG, "and the rows that came are counted");
	}
	dev_session_close(session);
}

/* Continuous: bins are between the first edges at or above each tenth. */
static void
test_continuous(void)
{
	DevSession *session = open_session();
	LearnProfile profile;
	LearnDrift	drift;
	float		then[MOST];
	float		now[700];
	double		psi = 0;
	double		low = -INFINITY;
	double		ks = 0;

	for (int i = 0; i < MOST; i++)
		then[i] = (float) (uniform(3, (uint64_t) i) + uniform(4, (uint64_t) i));
	for (int i = 0; i < 700; i++)
		now[i] = (float) (uniform(5, (uint64_t) i) + uniform(6, (uint64_t) i) + 0.3);
	qsort(then, MOST, sizeof(float), compare_floats);
	learn_profile_numbers(session, then, MOST, 0, 64, &profile);
	drift = compare(session, &profile, now, 700);
	for (int k = 1; k <= 10; k++)
	{
		double		high = INFINITY;

		for (int i = profile.n - 1; i >= 0; i--)
			if (k < 10 && count_between(then, MOST, -INFINITY, profile.edges[i]) >= MOST / 10 * k)
				high = profile.edges[i];
		psi += term(count_between(then, MOST, low, high), MOST, count_between(now, 700, low, high), 700);
		low = high;
	}
	for (int i = 0; i < MOST; i++)
		ks = fmax(ks, fabs((i + 1.0) / MOST - count_between(now, 700, -INFINITY, then[i]) / 700));
	CHECK_NEAR(drift.psi, psi, 1e-12, "the index of tenths");
	CHECK(drift.ks <= ks + 1e-12 && drift.ks > ks - 1.0 / 64, "the largest difference at 64 places: %.4f of %.4f", drift.ks, ks);
	CHECK(drift.shift == LEARN_SHIFT_STRONG && drift.p < 1e-6, "a strong shift");
	dev_session_close(session);
}

static void
test_categories(void)
{
	DevSession *session = open_session();
	double		counts[3] = {60, 30, 10};
	LearnProfile profile = {.n = 3, .n_named = 2, .counts = counts, .missing = 0};
	LearnDrift	drift;
	float		now[200];
	double		expected[4] = {0.6, 0.3, 0.1, 0};
	double		chi = 0;

	/* 100 of the first, 40 of the second, 20 pooled, 40 that training never saw */
	for (int i = 0; i < 200; i++)
		now[i] = i < 100 ? 0 : i < 140 ? 1 : i < 160 ? 2 : -1;
	drift = compare(session, &profile, now, 200);
	CHECK_NEAR(drift.psi, term(60, 100, 100, 200) + term(30, 100, 40, 200) + term(10, 100, 20, 200) + term(0, 100, 40, 200),
			   1e-12, "the index of categories by hand");
	for (int i = 0; i < 4; i++)
	{
		double		n = (double[]) {100, 40, 20, 40}[i];
		double		all = n + 100 * expected[i];
		double		later = n - all * 200 / 300;
		double		earlier = 100 * expected[i] - all * 100 / 300;

		chi += later * later / (all * 200 / 300) + earlier * earlier / (all * 100 / 300);
	}
	CHECK_NEAR(drift.p, learn_chi_squared_tail(chi, 3), 1e-12, "chi-squared by its definition");
	CHECK_NEAR(drift.unseen, 0.3, 1e-12, "without a name: pooled and unseen");
	CHECK(isnan(drift.ks) && drift.shift == LEARN_SHIFT_STRONG, "categories have no distribution function");
	drift = compare(session, &profile, now, 5);
	CHECK(drift.psi > 0.1 && drift.shift == LEARN_SHIFT_UNCERTAIN, "five rows are too few to say so: %.3f", drift.psi);
	dev_session_close(session);
}

/* Rows of the same distribution are hardly ever called shifted, however few; shifted ones are, once there are enough. */
static void
test_chance(void)
{
	DevSession *session = open_session();
	int			wrong = 0;
	int			found = 0;
	float		then[MOST];
	float		now[300];
	LearnProfile profile;

	for (int i = 0; i < MOST; i++)
		then[i] = (float) uniform(7, (uint64_t) i);
	qsort(then, MOST, sizeof(float), compare_floats);
	learn_profile_numbers(session, then, MOST, 0, 64, &profile);
	for (uint64_t run = 0; run < 300; run++)
	{
		size_t		n = 10 + run;
		LearnTally	tally;
		LearnDrift	drift;

		for (size_t i = 0; i < n && i < 300; i++)
			now[i] = (float) uniform(100 + run, i);
		if (learn_tally_create(session, &profile, &tally) != DEV_OK)
			break;
		for (size_t i = 0; i < n && i < 300; i++)
			learn_tally_add(&tally, now[i]);
		learn_drift_measure(&tally, &drift);
		wrong += drift.shift == LEARN_SHIFT_MODERATE || drift.shift == LEARN_SHIFT_STRONG;
		for (size_t i = 0; i < n && i < 300; i++)
			learn_tally_add(&tally, now[i] * 0.5f);
		learn_drift_measure(&tally, &drift);
		found += n >= 100 && drift.shift != LEARN_SHIFT_STABLE && drift.shift != LEARN_SHIFT_UNCERTAIN;
	}
	CHECK(wrong <= 9, "%d of 300 samples of the same distribution are called shifted", wrong);
	CHECK(found == 210, "%d of 210 samples of another are", found);
	dev_session_close(session);
}

/* ---- Calibration ---- */

static void
test_probabilities(void)
{
	static double p[MOST];
	static uint8_t label[MOST];
	LearnTrust	trust = {.kind = LEARN_TRUST_PROBABILITY};
	LearnTrusted trusted;
	double		chi = 0;

	for (int i = 0; i < MOST; i++)
	{
		p[i] = uniform(8, (uint64_t) i);
		label[i] = uniform(9, (uint64_t) i) < p[i];
		learn_trust_add(&trust, p[i], label[i]);
	}
	learn_trust_measure(&trust, &trusted);
	for (int bin = 0; bin < 10; bin++)
	{
		double		expected = 0;
		double		actual = 0;
		double		variance = 0;

		for (int i = 0; i < MOST; i++)
			if (learn_ece_bin(p[i], 10) == bin)
			{
				expected += p[i];
				actual += label[i];
				variance += p[i] * (1 - p[i]);
			}
		chi += (actual - expected) * (actual - expected) / variance;
	}
	CHECK_NEAR(trusted.ece, learn_ece(MOST, p, label, 10), 1e-12, "the error is that of learn_ece");
	CHECK_NEAR(trusted.p, learn_chi_squared_tail(chi, 10), 1e-9, "Hosmer and Lemeshow by hand");
	CHECK(trusted.p > 0.01 && trusted.shift == LEARN_SHIFT_STABLE, "right probabilities: %.3f", trusted.p);
	memset(&trust, 0, sizeof(trust));
	for (int i = 0; i < MOST; i++)
		learn_trust_add(&trust, p[i], uniform(9, (uint64_t) i) < p[i] * p[i]);
	learn_trust_measure(&trust, &trusted);
	CHECK(trusted.p < 1e-6 && trusted.shift == LEARN_SHIFT_STRONG && trusted.predicted > trusted.actual + 0.1, "too high");
	memset(&trust, 0, sizeof(trust));
	for (int i = 0; i < 8; i++)
		learn_trust_add(&trust, p[i], uniform(9, (uint64_t) i) < p[i] * p[i]);
	learn_trust_measure(&trust, &trusted);
	CHECK(trusted.ece > 0.1 && trusted.shift == LEARN_SHIFT_UNCERTAIN, "of eight rows nobody knows");
	memset(&trust, 0, sizeof(trust));
	for (int i = 0; i < 100; i++)
		learn_trust_add(&trust, 0, i == 0);
	learn_trust_measure(&trust, &trusted);
	CHECK(trusted.p == 0 && trusted.shift == LEARN_SHIFT_STABLE, "what cannot be has happened, once");
	memset(&trust, 0, sizeof(trust));
	learn_trust_measure(&trust, &trusted);
	CHECK(trusted.n == 0 && isnan(trusted.predicted) && trusted.shift == LEARN_SHIFT_UNCERTAIN, "no rows");
}

static void
test_values(void)
{
	LearnTrust	trust = {.kind = LEARN_TRUST_VALUE, .unit = 2};
	LearnTrusted trusted;
	double		sum = 0;
	double		squares = 0;
	double		deviation;

	for (int i = 0; i < 100; i++)
	{
		double		error = uniform(10, (uint64_t) i) - 0.25;

		learn_trust_add(&trust, i, i + error);
		sum += error;
		squares += error * error;
	}
	deviation = sqrt((squares - sum * sum / 100) / 99 / 100);
	learn_trust_measure(&trust, &trusted);
	CHECK_NEAR(trusted.actual - trusted.predicted, sum / 100, 1e-12, "the mean error");
	CHECK_NEAR(trusted.p, erfc(fabs(sum / 100) / deviation / sqrt(2)), 1e-9, "and whether it is chance");
	CHECK(isnan(trusted.ece) && trusted.shift == LEARN_SHIFT_MODERATE, "an eighth of the unit");

	memset(&trust, 0, sizeof(trust));
	trust.kind = LEARN_TRUST_EVENTS;
	for (int i = 0; i < 400; i++)
		learn_trust_add(&trust, 0.25, i % 2);
	learn_trust_measure(&trust, &trusted);
	CHECK(trusted.actual == 0.5 && trusted.predicted == 0.25 && trusted.shift == LEARN_SHIFT_STRONG, "twice the events");
	CHECK_NEAR(trusted.p, erfc(10 / sqrt(2)), 1e-30, "by Poisson's variance");
}

/* ---- What fitting keeps ---- */

static void
test_fitted(void)
{
	DevSession *session = open_session();
	LearnChannel channels[3] = {{.name = (char *) "age"}, {.name = (char *) "ward", .kind = LEARN_CATEGORY}, {.name = (char *) "one"}};
	LearnSplit	split = {.given = true, .task = LEARN_REGRESSION};
	LearnFit	how = {.task = LEARN_REGRESSION, .max_categories = 10, .min_count = 5, .profile = 8};
	LearnNotes	notes = {0};
	LearnDataset *dataset;
	size_t		n_numbers;
	size_t		n_codes;
	bool		taken = learn_dataset_create(session, channels, 3, 1, 1 << 24, NULL, &dataset) == DEV_OK;

	/* Of 120 rows 100 train: a in 60 of them, b in 30, c and d in 4 each, none in 2; every tenth age is missing. */
	for (int i = 0; i < 120 && taken; i++)
	{
		const char *ward = i < 60 ? "a" : i < 90 ? "b" : i < 94 ? "c" : i < 98 ? "d" : "a";
		float		raw[3] = {i % 10 == 0 ? NAN : (float) (i % 4), NAN, 1};
		float		target = (float) i;
		LearnRow	row = {raw, &target, NULL, 0, 0, i < 100 ? LEARN_TRAIN : LEARN_TEST};

		if (i < 98 || i >= 100)
			taken = learn_dataset_intern(dataset, 1, ward, 1, &raw[1]) == DEV_OK;
		taken = taken && learn_dataset_append(dataset, &row) == DEV_OK;
	}
	CHECK_OR_STOP(taken && learn_split(dataset, &split, &notes) == DEV_OK &&
				  learn_fit(dataset, &how, &notes, &n_numbers, &n_codes) == DEV_OK, "a data set is fitted");
	CHECK_OR_STOP(channels[0].profile != NULL && channels[1].profile != NULL, "with profiles");
	CHECK(channels[2].profile == NULL, "but not of what is left out");
	CHECK(channels[0].profile->n == 4 && channels[0].profile->missing == 10 && channels[0].profile->counts[1] == 25 &&
		  channels[0].profile->counts[0] == 20 && channels[0].profile->edges[3] == 3, "ages");
	CHECK(channels[1].profile->n == 3 && channels[1].profile->n_named == 2 && channels[1].profile->edges == NULL &&
		  channels[1].profile->counts[0] == 60 && channels[1].profile->counts[1] == 30 && channels[1].profile->counts[2] == 8 &&
		  channels[1].profile->missing == 2, "wards, the rare ones together");
	dev_session_close(session);
}

int
main(void)
{
	test_distributions();
	test_profiles();
	test_numbers();
	test_empty_intervals();
	test_continuous();
	test_categories();
	test_chance();
	test_probabilities();
	test_values();
	test_fitted();
	return check_done();
}

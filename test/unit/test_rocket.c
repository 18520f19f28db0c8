/*
 * test_rocket.c: MiniRocket against its definition, against values of the authors' own code, and against damaged states.
 *
 * Signals are small whole numbers, so that every sum is exact and shares must agree to the bit.
 */
#include "check.h"
#include "idla/learn_rocket.h"

#define LEADS 3
#define LENGTH 50

/* ---- Frozen: dilations and features a kernel that the authors' code chooses ---- */

typedef struct Dilations
{
	size_t		length;
	size_t		features;
	size_t		n;
	int			dilations[28];
	int			counts[28];
} Dilations;

static const Dilations frozen_dilations[] = {
	{9, 10000, 1, {1}, {119}},
	{10, 10000, 1, {1}, {119}},
	{50, 10000, 6, {1, 2, 3, 4, 5, 6}, {45, 27, 19, 14, 11, 3}},
	{96, 10000, 11, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, {34, 19, 15, 12, 8, 8, 7, 3, 3, 7, 3}},
	{140, 10000, 15, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 17}, {30, 15, 15, 8, 8, 8, 4, 4, 8, 4, 3, 3, 3, 3, 3}},
	{1000, 10000, 25, {1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 19, 22, 26, 30, 35, 41, 49, 57, 66, 78, 91, 106, 124},
	{19, 12, 4, 8, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 3, 3, 3, 3, 3, 3, 3, 3}},
	{5000, 10000, 28, {1, 2, 3, 4, 5, 6, 7, 9, 12, 14, 18, 22, 27, 34, 42, 51, 63, 78, 96, 118, 146, 179, 221, 272, 335, 412, 507, 624},
	{15, 8, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 3, 3, 3, 3, 3, 3, 3, 3}},
	{96, 84, 1, {1}, {1}},
	{96, 500, 4, {1, 3, 6, 11}, {2, 1, 1, 1}},
	{300, 3000, 21, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 16, 18, 20, 23, 26, 29, 33, 37},
	{7, 5, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}}
};

/* ---- Frozen: features number 0, 42, 84, ... and the sum of all, of sample_value under sample_rocket ---- */

typedef struct Shares
{
	size_t		leads;			/* of the signal */
	size_t		length;
	bool		unequal;
	float		every_42nd[12];
	double		sum;
} Shares;

static const Shares frozen_shares[] = {
	{3, 50, false, {0.8f, 0.56f, 0.24f, 0.7f, 0.42f, 0.72f, 0.5882353186607361f, 0.2f, 0.6764705777168274f, 0.4f, 0.88f, 0.46f},
	252.51389551907778},
	{1, 50, false, {0.8f, 0.56f, 0.28f, 0.7f, 0.38f, 0.82f, 0.5882353186607361f, 0.2f, 0.6764705777168274f, 0.4f, 0.88f, 0.46f},
	251.66241025924683},
	{1, 13, true, {0.7692307829856873f, 0.38461539149284363f, 0.23076923191547394f, 0.692307710647583f, 0.38461539149284363f,
	0.8461538553237915f, 0.4615384638309479f, 0.07692307978868484f, 0.692307710647583f, 0.4615384638309479f, 1.0f,
	0.38461539149284363f}, 252.8461591526866},
	{1, 3, true, {1.0f, 0.0f, 0.3333333432674408f, 1.0f, 0.0f, 1.0f, 1.0f, 0.0f, 0.3333333432674408f, 1.0f, 1.0f, 0.3333333432674408f},
	255.00000289082527}
};

static float
sample_value(size_t t, size_t lead)
{
	return (float) ((int) ((t * 37 + lead * 11 + t * t * 7) % 41) - 20);
}

static void
sample_signal(size_t length, size_t leads, float *signal)
{
	for (size_t t = 0; t < length; t++)
		for (size_t lead = 0; lead < leads; lead++)
			signal[t * leads + lead] = sample_value(t, lead);
}

/* Three dilations of three, two and one feature a kernel; convolution k sums 1 + k % 3 leads. */
static LearnRocket
sample_rocket(size_t leads, bool unequal)
{
	static int32_t dilations[] = {1, 2, 5};
	static int32_t counts[] = {3, 2, 1};
	static int32_t first_lead[3 * LEARN_ROCKET_KERNELS + 1];
	static int32_t lead_list[3 * 3 * LEARN_ROCKET_KERNELS];
	static float biases[6 * LEARN_ROCKET_KERNELS];
	int32_t		used = 0;

	for (int32_t k = 0; k < 3 * LEARN_ROCKET_KERNELS; k++)
	{
		first_lead[k] = used;
		for (int32_t j = 0; j < (leads == 1 ? 1 : 1 + k % 3); j++)
			lead_list[used++] = leads == 1 ? 0 : (k + j) % 3;
	}
	first_lead[3 * LEARN_ROCKET_KERNELS] = used;
	for (int i = 0; i < 6 * LEARN_ROCKET_KERNELS; i++)
		biases[i] = (float) (i * 13 % 101) - 49.5f;
	return (LearnRocket) {.leads = leads, .length = LENGTH, .unequal = unequal, .n_features = 6 * LEARN_ROCKET_KERNELS,
		.n_dilations = 3, .dilations = dilations, .counts = counts, .first_lead = first_lead, .lead_list = lead_list, .biases = biases};
}

/* ---- The definition ---- */

static double
tap(const LearnRocket *rocket, const float *signal, size_t length, long t, int32_t lead)
{
	return t < 0 || t >= (long) length ? 0 : (double) signal[(size_t) t * rocket->leads + (size_t) lead];
}

/* Output of convolution c at t: nine taps, three of weight 2 and six of weight -1, over its leads. */
static double
convolve(const LearnRocket *rocket, const float *signal, size_t length, size_t c, const int chosen[3], long t)
{
	long		dilation = rocket->dilations[c / LEARN_ROCKET_KERNELS];
	double		sum = 0;

	for (int32_t i = rocket->first_lead[c]; i < rocket->first_lead[c + 1]; i++)
		for (int j = 0; j < 9; j++)
		{
			bool		heavy = j == chosen[0] || j == chosen[1] || j == chosen[2];

			sum += (heavy ? 2 : -1) * tap(rocket, signal, length, t + (j - 4) * dilation, rocket->lead_list[i]);
		}
	return sum;
}

static double
share_by_definition(const LearnRocket *rocket, const float *signal, size_t length, size_t c, const int chosen[3], float bias)
{
	long		reach = 4 * rocket->dilations[c / LEARN_ROCKET_KERNELS];
	bool		inner = !rocket->unequal && (c / LEARN_ROCKET_KERNELS + c % LEARN_ROCKET_KERNELS) % 2 == 1 && (long) length > 2 * reach;
	long		from = inner ? reach : 0;
	long		to = inner ? (long) length - reach : (long) length;
	long		above = 0;

	for (long t = from; t < to; t++)
		above += convolve(rocket, signal, length, c, chosen, t) > (double) bias;
	return (float) above / (float) (to - from);
}

/* Number of features that differ from their definition. */
static size_t
count_wrong(const LearnRocket *rocket, const float *signal, size_t length, const float *features)
{
	size_t		feature = 0;
	size_t		wrong = 0;

	for (size_t d = 0; d < rocket->n_dilations; d++)
	{
		size_t		kernel = 0;

		for (int a = 0; a < 9; a++)
			for (int b = a + 1; b < 9; b++)
				for (int c = b + 1; c < 9; c++, kernel++)
					for (int32_t i = 0; i < rocket->counts[d]; i++, feature++)
						wrong += share_by_definition(rocket, signal, length, d * LEARN_ROCKET_KERNELS + kernel,
													 (const int[3]) {a, b, c}, rocket->biases[feature]) != (double) features[feature];
	}
	return wrong;
}

static bool
transform(DevSession *session, const LearnRocket *rocket, size_t length, const float *signal, float *features)
{
	float	   *scratch = dev_alloc(session, learn_rocket_scratch(rocket, length), sizeof(float));
	bool		done = scratch != NULL && learn_rocket_transform(rocket, length, signal, scratch, features, NULL);

	dev_release(session, scratch);
	return done;
}

/* ---- Tests ---- */

static void
test_frozen_shares(DevSession *session)
{
	for (size_t i = 0; i < sizeof(frozen_shares) / sizeof(frozen_shares[0]); i++)
	{
		const Shares *frozen = &frozen_shares[i];
		LearnRocket rocket = sample_rocket(frozen->leads, frozen->unequal);
		float		signal[LENGTH * LEADS];
		float		features[6 * LEARN_ROCKET_KERNELS];
		double		sum = 0;
		bool		same = true;

		sample_signal(frozen->length, frozen->leads, signal);
		CHECK(transform(session, &rocket, frozen->length, signal, features), "a signal of %zu is transformed", frozen->length);
		for (size_t f = 0; f < rocket.n_features; f++)
			sum += features[f];
		for (size_t f = 0; f < 12; f++)
			same = same && features[f * 42] == frozen->every_42nd[f];
		CHECK(same, "features are the authors', %zu leads, length %zu", frozen->leads, frozen->length);
		CHECK_NEAR(sum, frozen->sum, 1e-12, "and so is their sum");
		CHECK(count_wrong(&rocket, signal, frozen->length, features) == 0, "all are what the definition says");
	}
}

/* Signals that the fits below learn from: whole numbers again. */
static void
make_signals(size_t n, size_t leads, const size_t *lengths, float **signals)
{
	for (size_t i = 0; i < n; i++)
	{
		signals[i] = malloc(lengths[i] * leads * sizeof(float));
		for (size_t t = 0; t < lengths[i] * leads; t++)
			signals[i][t] = (float) floor(16 * dev_random_normal(31, i, t));
	}
}

static void
test_dilations(DevSession *session)
{
	for (size_t i = 0; i < sizeof(frozen_dilations) / sizeof(frozen_dilations[0]); i++)
	{
		const Dilations *frozen = &frozen_dilations[i];
		float	   *signal;
		LearnRocket rocket;
		bool		same;

		make_signals(1, 1, &frozen->length, &signal);
		CHECK_STATUS(session, learn_rocket_fit(session, 1, &frozen->length, (const float *const *) &signal, 1, frozen->features, 1, &rocket),
					 DEV_OK, "%zu features of length %zu are fitted", frozen->features, frozen->length);
		same = rocket.n_dilations == frozen->n && rocket.n_features == frozen->features / 84 * 84;
		for (size_t d = 0; d < frozen->n && same; d++)
			same = rocket.dilations[d] == frozen->dilations[d] && rocket.counts[d] == frozen->counts[d];
		CHECK(same, "dilations are the authors'");
		learn_rocket_free(session, &rocket);
		free(signal);
	}
}

static int
compare_floats(const void *a, const void *b)
{
	float		x = *(const float *) a;
	float		y = *(const float *) b;

	return (x > y) - (x < y);
}

/* Whether a bias of convolution 0 is the quantile it should be of one of the signals' outputs. */
static bool
is_quantile(const LearnRocket *rocket, size_t n, const size_t *lengths, float *const *signals, size_t feature)
{
	double		probability = (float) fmod((double) (feature + 1) * (sqrt(5) + 1) / 2, 1);

	for (size_t i = 0; i < n; i++)
	{
		float	   *sorted = malloc(lengths[i] * sizeof(float));
		double		at = probability * (double) (lengths[i] - 1);
		size_t		low = (size_t) at;
		double		expected;

		for (size_t t = 0; t < lengths[i]; t++)
			sorted[t] = (float) convolve(rocket, signals[i], lengths[i], 0, (const int[3]) {0, 1, 2}, (long) t);
		qsort(sorted, lengths[i], sizeof(float), compare_floats);
		expected = sorted[low] + ((double) sorted[low + 1 < lengths[i] ? low + 1 : low] - (double) sorted[low]) * (at - (double) low);
		free(sorted);
		if (fabs(expected - (double) rocket->biases[feature]) < 1e-4)
			return true;
	}
	return false;
}

static void
test_fit(DevSession *session, size_t leads, bool unequal)
{
	enum
	{
		N = 6
	};
	size_t		lengths[N] = {60, 60, 60, 60, 60, 60};
	float	   *signals[N];
	LearnRocket rocket;
	LearnRocket again;
	LearnRocket other;
	LearnRocket loaded;
	float	   *features;
	float	   *state;
	size_t		n_state;
	size_t		right = 0;
	bool		same = true;

	if (unequal)
		for (size_t i = 0; i < N; i++)
			lengths[i] = 1 + i * 11;
	make_signals(N, leads, lengths, signals);
	CHECK_STATUS(session, learn_rocket_fit(session, N, lengths, (const float *const *) signals, leads, 1000, 7, &rocket), DEV_OK,
				 "fits %zu leads, lengths %s", leads, unequal ? "unequal" : "equal");
	CHECK_STATUS(session, learn_rocket_fit(session, N, lengths, (const float *const *) signals, leads, 1000, 7, &again), DEV_OK, "fits again");
	CHECK_STATUS(session, learn_rocket_fit(session, N, lengths, (const float *const *) signals, leads, 1000, 8, &other), DEV_OK, "and by another seed");
	CHECK(rocket.unequal == unequal && rocket.n_features == 924 && rocket.leads == leads, "knows what it fitted");
	CHECK(memcmp(rocket.biases, again.biases, 924 * sizeof(float)) == 0, "the same seed gives the same biases");
	CHECK(memcmp(rocket.biases, other.biases, 924 * sizeof(float)) != 0, "another one gives others");
	for (size_t f = 0; f < (size_t) rocket.counts[0]; f++)
		right += is_quantile(&rocket, N, lengths, signals, f);
	CHECK(right == (size_t) rocket.counts[0], "biases are quantiles of a training signal's outputs");
	for (size_t c = 0; c < rocket.n_dilations * LEARN_ROCKET_KERNELS; c++)
		for (int32_t i = rocket.first_lead[c]; i < rocket.first_lead[c + 1]; i++)
			for (int32_t j = rocket.first_lead[c]; j < i; j++)
				same = same && rocket.lead_list[i] != rocket.lead_list[j];
	CHECK(same, "no convolution takes a lead twice");

	n_state = learn_rocket_state_size(&rocket);
	state = malloc(n_state * sizeof(float));
	features = malloc(2 * rocket.n_features * sizeof(float));
	learn_rocket_store(&rocket, state);
	CHECK_STATUS(session, learn_rocket_load(session, state, n_state, &loaded), DEV_OK, "its state is read back");
	for (size_t i = 0; i < N; i++)
	{
		CHECK(transform(session, &rocket, lengths[i], signals[i], features) &&
			  transform(session, &loaded, lengths[i], signals[i], features + rocket.n_features), "signal %zu is transformed", i);
		CHECK(memcmp(features, features + rocket.n_features, rocket.n_features * sizeof(float)) == 0, "alike by what was read back");
		CHECK(count_wrong(&rocket, signals[i], lengths[i], features) == 0, "and by the definition");
	}
	for (size_t i = 0; i < N; i++)
		free(signals[i]);
	free(state);
	free(features);
}

/* Every float of a state replaced by values that do not belong there is refused or gives a usable rocket. */
static void
test_damaged(DevSession *session)
{
	static const float wrong[] = {NAN, -1, 0.5f, 1e9f, INFINITY};
	LearnRocket rocket = sample_rocket(LEADS, false);
	size_t		n = learn_rocket_state_size(&rocket);
	size_t		n_checked = n - rocket.n_features;
	float	   *state = malloc(n * sizeof(float));
	LearnRocket loaded;
	size_t		refused = 0;

	learn_rocket_store(&rocket, state);
	CHECK_STATUS(session, learn_rocket_load(session, state, n - 1, &loaded), DEV_CORRUPT, "a state cut short is refused");
	CHECK_STATUS(session, learn_rocket_load(session, state, 3, &loaded), DEV_CORRUPT, "so is a stump");
	CHECK_STATUS(session, learn_rocket_load(session, state, 0, &loaded), DEV_CORRUPT, "so is nothing");
	for (size_t i = 0; i < n_checked; i++)
		for (size_t w = 0; w < sizeof(wrong) / sizeof(wrong[0]); w++)
		{
			float		right = state[i];

			state[i] = wrong[w];
			refused += learn_rocket_load(session, state, n, &loaded) == DEV_CORRUPT;
			state[i] = right;
		}
	CHECK(refused == n_checked * 5, "every damaged number is refused: %zu of %zu", refused, n_checked * 5);
	state[n - 1] = NAN;
	CHECK_STATUS(session, learn_rocket_load(session, state, n, &loaded), DEV_CORRUPT, "so is a bias that is none");
	CHECK(loaded.biases == NULL, "and nothing is left behind");
	free(state);
}

static bool
always(void *context)
{
	(void) context;
	return true;
}

static void
test_refusals(DevSession *session)
{
	size_t		lengths[2] = {20, 0};
	float		values[20] = {1, 2, 3};
	const float *signals[2] = {values, values};
	volatile bool stop = true;
	float		scratch[2048];
	float		features[6 * LEARN_ROCKET_KERNELS];
	LearnRocket rocket;
	DevHost		host = {.cancelled = always};
	DevSession *cancelled;

	CHECK_STATUS(session, learn_rocket_fit(session, 0, lengths, signals, 1, 0, 1, &rocket), DEV_BAD_DATA, "no signals");
	CHECK_STATUS(session, learn_rocket_fit(session, 2, lengths, signals, 1, 0, 1, &rocket), DEV_BAD_DATA, "an empty signal");
	CHECK(strstr(dev_message_text(session), "signal 2") != NULL, "which is named");
	CHECK_STATUS(session, learn_rocket_fit(session, 1, lengths, signals, 0, 0, 1, &rocket), DEV_INVALID, "no leads");
	CHECK_STATUS(session, learn_rocket_fit(session, 1, lengths, signals, 5000, 0, 1, &rocket), DEV_INVALID, "too many leads");
	CHECK_STATUS(session, learn_rocket_fit(session, 1, lengths, signals, 1, 83, 1, &rocket), DEV_INVALID, "too few features");
	CHECK_STATUS(session, learn_rocket_fit(session, 1, lengths, signals, 1, 100001, 1, &rocket), DEV_INVALID, "too many features");
	lengths[0] = LEARN_ROCKET_MOST_LENGTH + 1;
	CHECK_STATUS(session, learn_rocket_fit(session, 1, lengths, signals, 1, 0, 1, &rocket), DEV_INVALID, "a signal too long");
	lengths[0] = 20;
	values[7] = NAN;
	CHECK_STATUS(session, learn_rocket_fit(session, 1, lengths, signals, 1, 0, 1, &rocket), DEV_BAD_DATA, "a missing value");
	for (int t = 0; t < 20; t++)
		values[t] = t % 2 == 0 ? 3e38f : -3e38f;
	CHECK_STATUS(session, learn_rocket_fit(session, 1, lengths, signals, 1, 0, 1, &rocket), DEV_BAD_DATA, "values beyond summing");

	rocket = sample_rocket(1, false);
	sample_signal(20, 1, values);
	CHECK(learn_rocket_scratch(&rocket, 20) <= 2048, "scratch is small");
	CHECK(!learn_rocket_transform(&rocket, 20, values, scratch, features, &stop), "a transform stops when told");
	stop = false;
	CHECK(learn_rocket_transform(&rocket, 20, values, scratch, features, &stop), "and not before");
	CHECK_OR_STOP(dev_session_open(&host, 1, &cancelled) == DEV_OK, "a session that is cancelled opens");
	CHECK_STATUS(cancelled, learn_rocket_fit(cancelled, 1, lengths, signals, 1, 0, 1, &rocket), DEV_CANCELLED, "fitting is cancelled");
	dev_session_close(cancelled);
}

static void
test_memory(void)
{
	size_t		lengths[2] = {30, 20};
	float	   *signals[2];
	size_t		fail_at = 0;
	size_t		leaked = 0;
	DevStatus	status = DEV_NO_MEMORY;

	make_signals(2, 2, lengths, signals);
	while (status == DEV_NO_MEMORY && ++fail_at < 100)
	{
		CheckHost	counts;
		DevHost		host = check_host(&counts, fail_at);
		DevSession *session;
		LearnRocket rocket;

		if (dev_session_open(&host, 1, &session) != DEV_OK)
			continue;
		status = learn_rocket_fit(session, 2, lengths, (const float *const *) signals, 2, 168, 1, &rocket);
		dev_session_close(session);
		leaked += counts.held;
	}
	CHECK(status == DEV_OK && fail_at > 5 && leaked == 0, "every failing allocation is survived (%zu)", fail_at);
	free(signals[0]);
	free(signals[1]);
}

int
main(void)
{
	DevSession *session;

	CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
	test_frozen_shares(session);
	test_dilations(session);
	test_fit(session, 1, false);
	test_fit(session, 1, true);
	test_fit(session, 4, false);
	test_fit(session, 12, true);
	test_damaged(session);
	test_refusals(session);
	test_memory();
	dev_session_close(session);
	return check_done();
}

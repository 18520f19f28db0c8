/*
 * test_signal.c: signals made ready (gaps, rates, scaling, lengths), cut into windows, measured and augmented.
 */
#include "check.h"
#include "idla/learn_signal.h"

#define PI 3.14159265358979323846

static LearnSignalPlan
plain_plan(size_t leads, size_t length)
{
	return (LearnSignalPlan) {.leads = leads, .length = length, .scaling = LEARN_SIGNAL_UNSCALED};
}

static bool
same_floats(size_t n, const float *a, const float *b)
{
	bool		same = true;

	for (size_t i = 0; i < n; i++)
		same = same && fabsf(a[i] - b[i]) < 1e-6f;
	return same;
}

/* Prepares with scratch of exactly the size asked for, so that the sanitizers see what goes beyond. */
static DevStatus
prepare(const LearnSignalPlan *plan, size_t length, const float *raw, double position, float *dst, size_t *used, LearnTrouble *trouble)
{
	float	   *scratch = malloc((learn_signal_scratch(plan, length) + (length == 0)) * sizeof(float));
	DevStatus	status = learn_signal_prepare(plan, length, raw, position, scratch, dst, used, NULL, trouble);

	free(scratch);
	return status;
}

/* ---- Gaps ---- */

static void
test_gaps(void)
{
	float		signal[] = {NAN, 5, 1, NAN, 4, NAN, NAN, NAN, NAN, 8, 7, NAN};
	const float bridged[] = {1, 5, 1, 5.75f, 4, 6.5f, 5, 7.25f, 6, 8, 7, 8};
	float		lost[] = {1, NAN, NAN, NAN, 3, NAN};
	const float kept[] = {1, 9, 2, 9, 3, 9};
	const float fill[] = {7, 9};
	float		none[] = {NAN, NAN};

	learn_signal_bridge(6, 2, signal, NULL);
	CHECK(same_floats(12, signal, bridged), "gaps are bridged along lines, ends hold their values");
	learn_signal_bridge(3, 2, lost, fill);
	CHECK(same_floats(6, lost, kept), "a lead without values gets its fill");
	learn_signal_bridge(2, 1, none, NULL);
	CHECK(none[0] == 0 && none[1] == 0, "or 0");
}

static void
test_checks(void)
{
	const float good[] = {1, NAN, 2};
	const float bad[] = {1, -INFINITY, 2};
	const float none[] = {NAN, NAN, NAN};
	size_t		missing;
	LearnTrouble trouble = {0};

	CHECK(learn_signal_check(3, 1, good, &missing, &trouble) == DEV_OK && missing == 1, "a missing sample is counted");
	CHECK(learn_signal_check(0, 1, good, &missing, &trouble) == DEV_BAD_DATA, "an empty signal is refused");
	CHECK(strcmp(trouble.message, "signal is empty") == 0 && trouble.status == DEV_BAD_DATA, "and says so");
	CHECK(learn_signal_check(3, 1, none, &missing, &trouble) == DEV_BAD_DATA, "so is one of missing values only");
	CHECK(learn_signal_check(1, 3, bad, &missing, &trouble) == DEV_BAD_DATA, "and an infinity");
	CHECK(strstr(trouble.message, "value 2") != NULL, "which is named");
	CHECK(learn_signal_check(LEARN_SIGNAL_MOST_VALUES / 2 + 1, 2, good, &missing, &trouble) == DEV_INVALID, "and one too large, unread");
	CHECK(trouble.hint[0] != '\0', "with a hint");
	CHECK(learn_signal_check(3, 1, none, &missing, NULL) == DEV_BAD_DATA, "nobody need listen");
}

/* ---- Rates ---- */

static double
wave(double seconds, double hertz)
{
	return sin(2 * PI * hertz * seconds + 0.3);
}

/* Greatest error, away from the ends, of a resampled wave against the wave itself (or against silence). */
static double
resampling_error(LearnResampling how, double from, double to, double hertz, bool silence)
{
	enum
	{
		N = 1000
	};
	static float src[N];
	static float dst[8 * N];
	LearnSignalPlan plan = {.leads = 1, .rate = from, .to_rate = to};
	size_t		n = learn_signal_resampled(&plan, N);
	double		worst = 0;

	for (size_t i = 0; i < N; i++)
		src[i] = (float) wave((double) i / from, hertz);
	learn_signal_resample(how, N, 1, src, from / to, n, dst, NULL);
	for (size_t i = n / 10; i < n - n / 10; i++)
		worst = fmax(worst, fabs((double) dst[i] - (silence ? 0 : wave((double) i / to, hertz))));
	return worst;
}

static void
test_rates(void)
{
	LearnSignalPlan plan = {.leads = 1, .rate = 500, .to_rate = 100};
	float		flat[50];
	float		resampled[180];
	float		scratch[100];
	size_t		used;
	volatile bool stop = true;
	bool		constant = true;

	CHECK(learn_signal_resampled(&plan, 5000) == 1000 && learn_signal_resampled(&plan, 5001) == 1001, "lengths are rounded up");
	CHECK(learn_signal_resampled(&plan, 1) == 1, "one sample stays one");
	plan.to_rate = 360;
	CHECK(learn_signal_resampled(&plan, 1000) == 720, "whole quotients stay whole");
	plan.rate = 44100;
	plan.to_rate = 16000;
	CHECK(learn_signal_resampled(&plan, 441) == 160, "in odd ratios too");
	plan.rate = plan.to_rate = 0;
	CHECK(learn_signal_resampled(&plan, 77) == 77, "without rates nothing changes");

	CHECK(resampling_error(LEARN_RESAMPLE_SINC, 500, 360, 20, false) < 0.002, "a slow wave passes to a lower rate: %g",
		  resampling_error(LEARN_RESAMPLE_SINC, 500, 360, 20, false));
	CHECK(resampling_error(LEARN_RESAMPLE_SINC, 250, 1000, 80, false) < 0.01, "a fast wave passes to a higher rate: %g",
		  resampling_error(LEARN_RESAMPLE_SINC, 250, 1000, 80, false));
	CHECK(resampling_error(LEARN_RESAMPLE_SINC, 500, 100, 120, true) < 0.005, "what the lower rate cannot carry is taken out: %g",
		  resampling_error(LEARN_RESAMPLE_SINC, 500, 100, 120, true));
	CHECK(resampling_error(LEARN_RESAMPLE_LINEAR, 500, 100, 120, true) > 0.5, "which lines do not do");
	CHECK(resampling_error(LEARN_RESAMPLE_LINEAR, 500, 360, 5, false) < 0.002, "lines follow what is slow");
	for (int i = 0; i < 50; i++)
		flat[i] = 3.25f;
	for (int how = LEARN_RESAMPLE_SINC; how <= LEARN_RESAMPLE_LINEAR; how++)
		for (double step = 0.3; step < 12; step *= 3)
		{
			size_t		n = (size_t) ceil(50 / step);

			learn_signal_resample((LearnResampling) how, 50, 1, flat, step, n, resampled, NULL);
			for (size_t i = 0; i < n; i++)
				constant = constant && fabsf(resampled[i] - 3.25f) < 1e-6f;
		}
	CHECK(constant, "a constant stays one to its ends");
	CHECK(!learn_signal_resample(LEARN_RESAMPLE_SINC, 50, 1, flat, 2, 25, resampled, &stop) &&
		  !learn_signal_resample(LEARN_RESAMPLE_LINEAR, 50, 1, flat, 2, 25, resampled, &stop), "resampling stops when told");
	plan = (LearnSignalPlan) {.leads = 1, .rate = 2, .to_rate = 1, .scaling = LEARN_SIGNAL_UNSCALED};
	CHECK(learn_signal_prepare(&plan, 50, flat, 0, scratch, resampled, &used, &stop, NULL) == DEV_CANCELLED, "and so does preparing");
}

/* ---- Preparing ---- */

static void
test_lengths(void)
{
	const float raw[] = {1, 10, 2, 20, 3, 30, 4, 40, 5, 50};
	LearnSignalPlan plan = plain_plan(2, 3);
	LearnTrouble trouble;
	float		dst[16];
	size_t		used;
	double		starts[3] = {0};

	CHECK(prepare(&plan, 5, raw, 0, dst, &used, &trouble) == DEV_OK && used == 3, "a long signal is cropped");
	CHECK(same_floats(6, dst, raw + 2), "to its middle");
	plan.crop = LEARN_CROP_START;
	CHECK(prepare(&plan, 5, raw, 0, dst, &used, &trouble) == DEV_OK && same_floats(6, dst, raw), "or start");
	plan.crop = LEARN_CROP_END;
	CHECK(prepare(&plan, 5, raw, 0, dst, &used, &trouble) == DEV_OK && same_floats(6, dst, raw + 4), "or end");
	plan.crop = LEARN_CROP_RANDOM;
	for (int i = 0; i < 300; i++)
	{
		CHECK_OR_STOP(prepare(&plan, 5, raw, i / 300.0, dst, &used, &trouble) == DEV_OK || i == 0, "crop at %d", i);
		starts[(int) dst[0] - 1]++;
	}
	CHECK(starts[0] == 100 && starts[1] == 100 && starts[2] == 100, "or anywhere, evenly");
	plan = plain_plan(2, 8);
	CHECK(prepare(&plan, 5, raw, 0, dst, &used, &trouble) == DEV_OK && used == 5, "a short one keeps its length");
	CHECK(same_floats(10, dst, raw) && dst[10] == 0 && dst[15] == 0, "and is padded with zeros at the end");
	plan = plain_plan(2, 0);
	CHECK(prepare(&plan, 5, raw, 0, dst, &used, &trouble) == DEV_OK && used == 5 && same_floats(10, dst, raw), "or nothing is done");
	CHECK(prepare(&plan, 0, raw, 0, dst, &used, &trouble) == DEV_BAD_DATA && used == 0, "an empty signal is refused");
	plan.rate = 1;
	plan.to_rate = 200;
	CHECK(learn_signal_prepare(&plan, LEARN_SIGNAL_MOST_VALUES / 2 + 1, raw, 0, NULL, dst, &used, NULL, &trouble) == DEV_INVALID,
		  "one too long is refused before it is read");
}

static void
test_scaling(void)
{
	const float raw[] = {1, 10, NAN, 30, 3, 20};
	float		mean[] = {1, 10};
	float		deviation[] = {2, 5};
	LearnSignalPlan plan = {.leads = 2, .length = 4, .scaling = LEARN_SIGNAL_BY_LEAD, .mark = true, .mean = mean, .deviation = deviation};
	const float by_lead[] = {0, 0, 0, 0, 0.5f, 4, 1, 0, 1, 2, 0, 0, 0, 0, 0, 0};
	const float lost[] = {NAN, 10, NAN, 15};
	const float filled[] = {0, 0, 1, 0, 0, 1, 1, 0};
	const float a = 1.2247449f;
	const float by_signal[] = {-a, -a, 0, a, a, 0};
	float		dst[16];
	LearnTrouble trouble;
	size_t		used;
	double		sum = 0;
	double		squares = 0;

	CHECK(prepare(&plan, 3, raw, 0, dst, &used, &trouble) == DEV_OK && same_floats(16, dst, by_lead), "leads by training statistics, with marks");
	CHECK(prepare(&plan, 2, lost, 0, dst, &used, &trouble) == DEV_OK && same_floats(8, dst, filled), "a lost lead is its mean, which is 0");
	plan = (LearnSignalPlan) {.leads = 2, .scaling = LEARN_SIGNAL_BY_SIGNAL};
	CHECK(prepare(&plan, 3, raw, 0, dst, &used, &trouble) == DEV_OK && same_floats(6, dst, by_signal), "leads by their own");
	plan.scaling = LEARN_SIGNAL_TOGETHER;
	CHECK(prepare(&plan, 3, raw, 0, dst, &used, &trouble) == DEV_OK, "all leads together");
	for (int i = 0; i < 6; i++)
		sum += dst[i];
	CHECK_NEAR(sum, 0, 1e-6, "are centred");
	CHECK_NEAR((dst[3] - dst[1]) / (dst[4] - dst[0]), 10, 1e-5, "and keep their ratio");
	{
		const float flat[] = {5, 5, 5, 5};

		plan = (LearnSignalPlan) {.leads = 1, .scaling = LEARN_SIGNAL_BY_SIGNAL};
		CHECK(prepare(&plan, 4, flat, 0, dst, &used, &trouble) == DEV_OK && dst[0] == 0 && dst[3] == 0, "a flat signal is 0");
	}
	{
		float		samples[400];

		for (int i = 0; i < 400; i++)
			samples[i] = (float) (1000 + 3 * wave(i, 0.03));
		plan = (LearnSignalPlan) {.leads = 1, .rate = 4, .to_rate = 1, .scaling = LEARN_SIGNAL_BY_SIGNAL, .mark = true};
		samples[200] = samples[201] = NAN;
		float		prepared[200];

		CHECK(prepare(&plan, 400, samples, 0, prepared, &used, &trouble) == DEV_OK && used == 100, "rate, scaling and marks together");
		for (size_t i = 0; i < used; i++)
		{
			sum += prepared[2 * i];
			squares += prepared[2 * i] * prepared[2 * i];
		}
		CHECK_NEAR(squares / 100, 1, 1e-5, "deviation 1");
		CHECK(prepared[2 * 50 + 1] > 0.1f && prepared[2 * 20 + 1] < 0.01f, "the mark is where the gap is");
		for (size_t i = 0; i < used; i++)
			squares = prepared[2 * i + 1] < 0 || prepared[2 * i + 1] > 1 ? NAN : squares;
		CHECK(!isnan(squares), "and no mark is outside 0 to 1");
	}
}

static void
test_plans(DevSession *session)
{
	float		mean[] = {0, 0};
	float		deviation[] = {1, 0};
	LearnSignalPlan good = {.leads = 2, .length = 100, .rate = 500, .to_rate = 100, .scaling = LEARN_SIGNAL_BY_SIGNAL};
	LearnSignalPlan plan = good;

	CHECK_STATUS(session, learn_signal_plan_check(session, &plan), DEV_OK, "a plan is fine");
	plan.leads = 0;
	CHECK_STATUS(session, learn_signal_plan_check(session, &plan), DEV_INVALID, "without leads it is not");
	plan.leads = LEARN_SIGNAL_MOST_LEADS + 1;
	CHECK_STATUS(session, learn_signal_plan_check(session, &plan), DEV_INVALID, "nor with too many");
	plan = good;
	plan.length = SIZE_MAX / 2;
	CHECK_STATUS(session, learn_signal_plan_check(session, &plan), DEV_INVALID, "nor too long");
	plan = good;
	plan.to_rate = 0;
	CHECK_STATUS(session, learn_signal_plan_check(session, &plan), DEV_INVALID, "nor with one rate");
	plan.to_rate = NAN;
	CHECK_STATUS(session, learn_signal_plan_check(session, &plan), DEV_INVALID, "nor one that is none");
	plan.to_rate = 1;
	CHECK_STATUS(session, learn_signal_plan_check(session, &plan), DEV_INVALID, "nor with rates too far apart");
	plan = good;
	plan.crop = (LearnCrop) 17;
	CHECK_STATUS(session, learn_signal_plan_check(session, &plan), DEV_INVALID, "nor with a way that is none");
	plan = good;
	plan.scaling = LEARN_SIGNAL_BY_LEAD;
	CHECK_STATUS(session, learn_signal_plan_check(session, &plan), DEV_INVALID, "nor without the statistics it needs");
	plan.mean = mean;
	plan.deviation = deviation;
	CHECK_STATUS(session, learn_signal_plan_check(session, &plan), DEV_INVALID, "nor with a deviation of 0");
	deviation[1] = 2;
	CHECK_STATUS(session, learn_signal_plan_check(session, &plan), DEV_OK, "a positive one is fine");
}

static void
test_windows(void)
{
	size_t		covered = 0;

	CHECK(learn_signal_windows(10, 20, 5) == 1 && learn_signal_window_start(10, 20, 5, 0) == 0, "a short signal is one window");
	CHECK(learn_signal_windows(20, 20, 5) == 1, "so is one that just fits");
	CHECK(learn_signal_windows(30, 20, 5) == 3 && learn_signal_window_start(30, 20, 5, 2) == 10, "windows follow at the stride");
	CHECK(learn_signal_windows(32, 20, 5) == 4 && learn_signal_window_start(32, 20, 5, 3) == 12, "the last one ends with the signal");
	for (size_t i = 0; i < learn_signal_windows(1003, 100, 70); i++)
	{
		size_t		start = learn_signal_window_start(1003, 100, 70, i);

		if (start <= covered && start + 100 <= 1003)
			covered = start + 100;
	}
	CHECK(covered == 1003, "no sample is left out");
}

static void
test_moments(DevSession *session)
{
	const float first[] = {1, NAN, 2, NAN, NAN, NAN};
	const float second[] = {9, NAN, 4, NAN};
	LearnSignalMoments moments;
	float		mean[2];
	float		deviation[2];

	CHECK_STATUS(session, learn_signal_moments_create(session, 2, &moments), DEV_OK, "moments are made");
	learn_signal_moments_add(&moments, 3, first);
	learn_signal_moments_add(&moments, 2, second);
	learn_signal_moments_finish(&moments, mean, deviation);
	CHECK_NEAR(mean[0], 4, 1e-6, "mean over signals");
	CHECK_NEAR(deviation[0], sqrt((9 + 4 + 25 + 0) / 4.0), 1e-6, "deviation over signals");
	CHECK(mean[1] == 0 && deviation[1] == 1, "a lead without values has mean 0 and deviation 1");
}

/* ---- Augmentation ---- */

enum
{
	A_LENGTH = 400,
	A_LEADS = 3
};

static void
augment(const LearnSignalAugment *how, uint64_t counter, size_t used, size_t width, const float *src, float *dst)
{
	float	   *scratch = malloc(used * width * sizeof(float));

	memcpy(dst, src, A_LENGTH * width * sizeof(float));
	learn_signal_augment(how, 3, 1000, counter, used, width, A_LEADS, dst, scratch);
	free(scratch);
}

static void
test_time(const float *ramp)
{
	static float dst[A_LENGTH * A_LEADS];
	LearnSignalAugment warp = {.warp = 0.8f};
	LearnSignalAugment crop = {.crop = 0.5f};
	bool		rises = true;
	bool		straight = true;
	double		moved = 0;

	augment(&warp, 1, A_LENGTH, A_LEADS, ramp, dst);
	for (size_t t = 1; t < A_LENGTH; t++)
	{
		rises = rises && dst[t * A_LEADS] > dst[(t - 1) * A_LEADS] && dst[t * A_LEADS] - dst[(t - 1) * A_LEADS] < 6;
		moved = fmax(moved, fabs(dst[t * A_LEADS] - (double) t));
	}
	CHECK(rises && moved > 2, "a warp goes forward only and moves samples: %g", moved);
	CHECK(dst[0] == 0 && fabsf(dst[(A_LENGTH - 1) * A_LEADS] - (A_LENGTH - 1)) < 1e-3f, "its ends stay");
	augment(&crop, 1, A_LENGTH, A_LEADS, ramp, dst);
	for (size_t t = 1; t + 1 < A_LENGTH; t++)
		straight = straight && fabsf(dst[(t + 1) * A_LEADS] - 2 * dst[t * A_LEADS] + dst[(t - 1) * A_LEADS]) < 1e-3f;
	CHECK(straight && dst[(A_LENGTH - 1) * A_LEADS] - dst[0] < A_LENGTH - 2 && dst[(A_LENGTH - 1) * A_LEADS] - dst[0] >= (A_LENGTH - 1) * 0.5f,
		  "a crop stretches what it keeps");
}

static void
test_leads(const float *marked)
{
	static float dst[A_LENGTH * A_LEADS * 2];
	LearnSignalAugment dropout = {.lead_dropout = 1};
	LearnSignalAugment scaling = {.scaling = 0.3f};
	LearnSignalAugment jitter = {.jitter = 0.5f};
	size_t		kept = 0;
	double		sum = 0;
	double		squares = 0;
	double		ratio;
	bool		marks = true;

	augment(&dropout, 1, A_LENGTH, 2 * A_LEADS, marked, dst);
	for (size_t lead = 0; lead < A_LEADS; lead++)
	{
		bool		lost = dst[100 * 2 * A_LEADS + lead] == 0;

		kept += !lost;
		marks = marks && (dst[100 * 2 * A_LEADS + A_LEADS + lead] == 1) == lost;
	}
	CHECK(kept == 1 && marks, "of dropped leads one stays, the others are marked");
	augment(&scaling, 1, A_LENGTH, 2 * A_LEADS, marked, dst);
	ratio = dst[10 * 2 * A_LEADS] / marked[10 * 2 * A_LEADS];
	CHECK(ratio != 1 && ratio > 0, "scaling is by a factor");
	CHECK_NEAR(dst[300 * 2 * A_LEADS] / marked[300 * 2 * A_LEADS], ratio, 1e-5, "the same all along");
	augment(&jitter, 1, A_LENGTH, 2 * A_LEADS, marked, dst);
	for (size_t t = 0; t < A_LENGTH; t++)
		for (size_t lead = 0; lead < A_LEADS; lead++)
		{
			double		noise = dst[t * 2 * A_LEADS + lead] - marked[t * 2 * A_LEADS + lead];

			marks = marks && dst[t * 2 * A_LEADS + A_LEADS + lead] == 0;
			sum += noise;
			squares += noise * noise;
		}
	CHECK(fabs(sum / 1200) < 0.06 && fabs(squares / 1200 - 0.25) < 0.04, "jitter has mean 0 and its deviation: %g %g", sum / 1200, squares / 1200);
	CHECK(marks, "marks are left alone by noise");
}

static void
test_augmentation(void)
{
	static float ramp[A_LENGTH * A_LEADS];
	static float marked[A_LENGTH * A_LEADS * 2];
	static float first[A_LENGTH * A_LEADS];
	static float second[A_LENGTH * A_LEADS];
	LearnSignalAugment all = {.jitter = 0.1f, .scaling = 0.2f, .warp = 0.5f, .crop = 0.2f, .lead_dropout = 0.3f};
	LearnSignalAugment none = {0};
	size_t		dropped = 0;

	for (size_t t = 0; t < A_LENGTH; t++)
		for (size_t lead = 0; lead < A_LEADS; lead++)
		{
			ramp[t * A_LEADS + lead] = (float) t;
			marked[t * 2 * A_LEADS + lead] = (float) (1 + lead);
		}
	augment(&none, 1, A_LENGTH, A_LEADS, ramp, first);
	CHECK(memcmp(first, ramp, sizeof(ramp)) == 0, "nothing asked, nothing changed");
	augment(&all, 1, 300, A_LEADS, ramp, first);
	augment(&all, 1, 300, A_LEADS, ramp, second);
	CHECK(memcmp(first, second, sizeof(first)) == 0, "the same counter gives the same bits");
	CHECK(memcmp(first + 300 * A_LEADS, ramp + 300 * A_LEADS, 100 * A_LEADS * sizeof(float)) == 0, "padding is left alone");
	augment(&all, 2, 300, A_LEADS, ramp, second);
	CHECK(memcmp(first, second, sizeof(first)) != 0, "another one others");
	augment(&all, 1, 1, A_LEADS, ramp, second);
	CHECK(memcmp(second + A_LEADS, ramp + A_LEADS, sizeof(ramp) - A_LEADS * sizeof(float)) == 0, "one step is a signal too");
	for (uint64_t counter = 0; counter < 500; counter++)
	{
		LearnSignalAugment dropout = {.lead_dropout = 0.3f};

		augment(&dropout, counter, 5, A_LEADS, ramp, first);
		for (size_t lead = 0; lead < A_LEADS; lead++)
			dropped += first[A_LEADS + lead] == 0;
	}
	CHECK(fabs((double) dropped / 1500 - 0.2) < 0.03, "each lead but the one kept is dropped as often as asked: %zu", dropped);
	test_time(ramp);
	test_leads(marked);
}

int
main(void)
{
	DevSession *session;

	CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
	test_gaps();
	test_checks();
	test_rates();
	test_lengths();
	test_scaling();
	test_plans(session);
	test_windows();
	test_moments(session);
	test_augmentation();
	dev_session_close(session);
	return check_done();
}

/*
 * test_signal.c: signals checked and bridged, at other rates, cut into windows and augmented.
 */
#include "check.h"
#include "idla/learn_signal.h"

#define PI 3.14159265358979323846

static bool
same_floats(size_t n, const float *a, const float *b)
{
	bool		same = true;

	for (size_t i = 0; i < n; i++)
		same = same && fabsf(a[i] - b[i]) < 1e-6f;
	return same;
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
resampling_error(double from, double to, double hertz, bool silence)
{
	enum
	{
		N = 1000
	};
	static float src[N];
	static float dst[8 * N];
	size_t		n = learn_signal_resampled(from, to, N);
	double		worst = 0;

	for (size_t i = 0; i < N; i++)
		src[i] = (float) wave((double) i / from, hertz);
	learn_signal_resample(N, 1, src, from / to, n, dst, NULL);
	for (size_t i = n / 10; i < n - n / 10; i++)
		worst = fmax(worst, fabs((double) dst[i] - (silence ? 0 : wave((double) i / to, hertz))));
	return worst;
}

static void
test_rates(void)
{
	float		flat[50];
	float		resampled[180];
	volatile bool stop = true;
	bool		constant = true;

	CHECK(learn_signal_resampled(500, 100, 5000) == 1000 && learn_signal_resampled(500, 100, 5001) == 1001, "lengths are rounded up");
	CHECK(learn_signal_resampled(500, 100, 1) == 1, "one sample stays one");
	CHECK(learn_signal_resampled(500, 360, 1000) == 720, "whole quotients stay whole");
	CHECK(learn_signal_resampled(44100, 16000, 441) == 160, "in odd ratios too");
	CHECK(learn_signal_resampled(0, 0, 77) == 77, "without rates nothing changes");

	CHECK(resampling_error(500, 360, 20, false) < 0.002, "a slow wave passes to a lower rate: %g",
		  resampling_error(500, 360, 20, false));
	CHECK(resampling_error(250, 1000, 80, false) < 0.01, "a fast wave passes to a higher rate: %g",
		  resampling_error(250, 1000, 80, false));
	CHECK(resampling_error(500, 100, 120, true) < 0.005, "what the lower rate cannot carry is taken out: %g",
		  resampling_error(500, 100, 120, true));
	for (int i = 0; i < 50; i++)
		flat[i] = 3.25f;
	for (double step = 0.3; step < 12; step *= 3)
	{
		size_t		n = (size_t) ceil(50 / step);

		learn_signal_resample(50, 1, flat, step, n, resampled, NULL);
		for (size_t i = 0; i < n; i++)
			constant = constant && fabsf(resampled[i] - 3.25f) < 1e-6f;
	}
	CHECK(constant, "a constant stays one to its ends");
	CHECK(!learn_signal_resample(50, 1, flat, 2, 25, resampled, &stop), "resampling stops when told");
}

/* ---- Windows ---- */

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
	test_windows();
	test_augmentation();
	dev_session_close(session);
	return check_done();
}

/*
 * test_series.c: events into bins and statistics: by hand, in any order, and never from after the prediction time.
 */
#include "check.h"
#include "idla/learn_series.h"

#define CHANNELS 3
#define BINS 4

static char name_hr[] = "hr";
static char name_lactate[] = "lactate";
static char name_never[] = "never";

static void
make_plan(LearnSeriesPlan *plan, LearnSeriesChannel channels[CHANNELS], bool average)
{
	memset(channels, 0, CHANNELS * sizeof(LearnSeriesChannel));
	channels[0] = (LearnSeriesChannel) {.name = name_hr, .n = 10, .mean = 80, .deviation = 10};
	channels[1] = (LearnSeriesChannel) {.name = name_lactate, .n = 10, .mean = 2, .deviation = 1};
	channels[2] = (LearnSeriesChannel) {.name = name_never};
	*plan = (LearnSeriesPlan) {.n_channels = CHANNELS, .channels = channels, .start = -8, .width = 2, .n_bins = BINS, .average = average};
}

typedef struct Event
{
	double		time;
	int			channel;
	float		value;
} Event;

/* All at a prediction time of 100, hence bins from 92, 94, 96 and 98 on. */
static const Event events[] = {
	{85, 0, 60}, {91, 0, 70}, {91, 1, 5},	/* before the window */
	{92, 0, 90}, {93, 0, 100}, {96, 0, 110}, {99.5, 0, 80},
	{95.9, 1, 3}, {100, 1, 4},	/* the last at the very time of the prediction */
	{97, 0, NAN}
};

#define N_EVENTS (sizeof(events) / sizeof(events[0]))

static double
soft(double x)
{
	return x / sqrt(1 + x * x / 9);
}

static LearnSeriesEntity *
make_entity(DevSession *session, const LearnSeriesPlan *plan)
{
	LearnSeriesEntity *entity;

	CHECK_OR_STOP(learn_series_entity_create(session, plan, &entity) == DEV_OK, "an entity is made");
	return entity;
}

static void
add_events(LearnSeriesEntity *entity, double shift)
{
	learn_series_begin(entity, 100 + shift);
	for (size_t i = 0; i < N_EVENTS; i++)
		learn_series_add(entity, events[i].time + shift, events[i].channel, events[i].value, NULL);
}

/* ---- By hand ---- */

static void
check_channel(const float *input, int channel, const double values[BINS], const double observed[BINS], const double since[BINS])
{
	bool		right = true;

	for (int bin = 0; bin < BINS; bin++)
	{
		const float *row = input + bin * 3 * CHANNELS;

		right = right && fabs(row[channel] - values[bin]) < 1e-6 && row[CHANNELS + channel] == observed[bin] &&
			fabs(row[2 * CHANNELS + channel] - since[bin]) < 1e-6;
		if (!right)
			printf("#   bin %d: %g %g %g, expected %g %g %g\n", bin, (double) row[channel], (double) row[CHANNELS + channel],
				   (double) row[2 * CHANNELS + channel], values[bin], observed[bin], since[bin]);
	}
	CHECK(right, "channel %d is what it should be", channel);
}

static void
test_bins(DevSession *session, bool average)
{
	LearnSeriesChannel channels[CHANNELS];
	LearnSeriesPlan plan;
	LearnSeriesEntity *entity;
	float		stored[(BINS + 2) * CHANNELS];
	float		input[BINS * 3 * CHANNELS];
	double		first = average ? 1.5 : 2;

	make_plan(&plan, channels, average);
	entity = make_entity(session, &plan);
	add_events(entity, 0);
	CHECK(learn_series_stored_size(&plan) == (BINS + 2) * CHANNELS, "the stored form has its size");
	learn_series_store(entity, stored);
	CHECK(stored[0] == 70 && stored[CHANNELS] == 0.5f && stored[1] == 5 && isnan(stored[2]) && isnan(stored[CHANNELS + 2]),
		  "what was known before the window is kept with its age");
	learn_series_load(&plan, stored, input);
	check_channel(input, 0, (const double[]) {soft(first), soft(first), soft(3), soft(0)}, (const double[]) {1, 0, 1, 1},
				  (const double[]) {0.5 / 4, 1.0 / 4, 2.0 / 4, 1.0 / 4});
	check_channel(input, 1, (const double[]) {soft(3), soft(1), soft(1), soft(2)}, (const double[]) {0, 1, 0, 1},
				  (const double[]) {0.5 / 4, 1.5 / 4, 1.0 / 4, 2.0 / 4});
	check_channel(input, 2, (const double[]) {0, 0, 0, 0}, (const double[]) {0, 0, 0, 0}, (const double[]) {0, 1.0 / 4, 2.0 / 4, 3.0 / 4});
	learn_series_entity_free(session, entity);
}

static void
test_statistics(DevSession *session)
{
	LearnSeriesChannel channels[CHANNELS];
	LearnSeriesPlan plan;
	LearnSeriesEntity *entity;
	float		s[CHANNELS * LEARN_SERIES_STATISTICS];
	double		mean = 95;
	double		mean_time = (-8 - 7 - 4 - 0.5) / 4;
	double		products = (90 - mean) * (-8 - mean_time) + (100 - mean) * (-7 - mean_time) + (110 - mean) * (-4 - mean_time)
		+ (80 - mean) * (-0.5 - mean_time);
	double		squares_time = pow(-8 - mean_time, 2) + pow(-7 - mean_time, 2) + pow(-4 - mean_time, 2) + pow(-0.5 - mean_time, 2);

	make_plan(&plan, channels, false);
	entity = make_entity(session, &plan);
	add_events(entity, 0);
	learn_series_summarise(entity, s);
	CHECK(s[LEARN_SERIES_N] == 4 && s[LEARN_SERIES_MEAN] == 95 && s[LEARN_SERIES_MIN] == 80 && s[LEARN_SERIES_MAX] == 110 &&
		  s[LEARN_SERIES_FIRST] == 90 && s[LEARN_SERIES_LAST] == 80 && s[LEARN_SERIES_LAST_TIME] == -0.5f, "statistics of a channel");
	CHECK_NEAR(s[LEARN_SERIES_DEVIATION], sqrt(125), 1e-6, "its deviation");
	CHECK_NEAR(s[LEARN_SERIES_SLOPE], products / squares_time, 1e-6, "its slope");
	CHECK(s[2 * LEARN_SERIES_STATISTICS] == 0 && isnan(s[2 * LEARN_SERIES_STATISTICS + LEARN_SERIES_MEAN]), "a channel without values has n 0");
	learn_series_begin(entity, 10);
	learn_series_add(entity, 9, 0, 5, NULL);
	learn_series_summarise(entity, s);
	CHECK(s[LEARN_SERIES_N] == 1 && isnan(s[LEARN_SERIES_SLOPE]) && isnan(s[LEARN_SERIES_DEVIATION]) && s[LEARN_SERIES_LAST_TIME] == -1,
		  "one value has neither slope nor deviation; what came before the beginning is forgotten");
	learn_series_add(entity, 9, 0, 7, NULL);
	learn_series_summarise(entity, s);
	CHECK(isnan(s[LEARN_SERIES_SLOPE]) && s[LEARN_SERIES_DEVIATION] == 1, "two at one time have no slope");
	CHECK(s[LEARN_SERIES_FIRST] == 5 && s[LEARN_SERIES_LAST] == 7, "the greater counts as the later");
	CHECK(learn_series_channel(&plan, "lactate", 7) == 1 && learn_series_channel(&plan, "lact", 4) == -1 &&
		  learn_series_channel(&plan, "hrx", 2) == 0 && learn_series_channel(&plan, "hrx", 3) == -1, "channels are found by name");
	learn_series_entity_free(session, entity);
}

/* ---- Time ---- */

#define MANY 400

/* Events over times 0 to 100, some at equal times. */
static Event
random_event(size_t i)
{
	return (Event) {floor(1000 * dev_random_uniform(17, 1, i)) / 10, (int) dev_random_below(17, 2, i, CHANNELS),
		(float) (50 + 20 * dev_random_normal(17, 3, i))};
}

static void
gather(LearnSeriesEntity *entity, double at, double hidden_after, uint64_t order, float *stored, float *statistics)
{
	size_t		shuffled[MANY];

	for (size_t i = 0; i < MANY; i++)
		shuffled[i] = i;
	for (size_t i = MANY - 1; i > 0 && order > 0; i--)
	{
		size_t		other = (size_t) dev_random_below(order, 4, i, i + 1);
		size_t		swap = shuffled[i];

		shuffled[i] = shuffled[other];
		shuffled[other] = swap;
	}
	learn_series_begin(entity, at);
	for (size_t i = 0; i < MANY; i++)
	{
		Event		event = random_event(shuffled[i]);

		if (event.time <= hidden_after)
			learn_series_add(entity, event.time, event.channel, event.value, NULL);
	}
	learn_series_store(entity, stored);
	learn_series_summarise(entity, statistics);
}

static bool
nearly_same(size_t n, const float *a, const float *b)
{
	bool		same = true;

	for (size_t i = 0; i < n; i++)
		same = same && ((isnan(a[i]) && isnan(b[i])) || fabsf(a[i] - b[i]) <= 1e-5f * fmaxf(1, fabsf(b[i])));
	return same;
}

static void
test_time(DevSession *session)
{
	LearnSeriesChannel channels[CHANNELS];
	LearnSeriesPlan plan;
	LearnSeriesEntity *entity;
	enum
	{
		N_STORED = (40 + 2) * CHANNELS,
		N_STATISTICS = CHANNELS * LEARN_SERIES_STATISTICS
	};
	float		stored[2][N_STORED];
	float		statistics[2][N_STATISTICS];
	size_t		leaks = 0;
	size_t		late = 0;
	bool		same = true;

	make_plan(&plan, channels, false);
	plan.start = -40;
	plan.width = 1;
	plan.n_bins = 40;
	entity = make_entity(session, &plan);
	for (int at = 0; at <= 100; at++)
	{
		gather(entity, at, 1000, 0, stored[0], statistics[0]);
		late += learn_series_counts(entity).late;
		gather(entity, at, at, 0, stored[1], statistics[1]);
		leaks += memcmp(stored[0], stored[1], sizeof(stored[0])) != 0 || memcmp(statistics[0], statistics[1], sizeof(statistics[0])) != 0;
		leaks += learn_series_counts(entity).late != 0;
	}
	CHECK(leaks == 0 && late > MANY, "what comes after the prediction time changes not one bit (%zu such events)", late);
	gather(entity, 70, 1000, 0, stored[0], statistics[0]);
	for (uint64_t order = 1; order < 20; order++)
	{
		gather(entity, 70, 1000, order, stored[1], statistics[1]);
		same = same && nearly_same(N_STORED, stored[0], stored[1]) && nearly_same(N_STATISTICS, statistics[0], statistics[1]);
		same = same && memcmp(stored[0], stored[1], sizeof(stored[0])) == 0;
	}
	CHECK(same, "the order of events does not matter");

	learn_series_begin(entity, 50);
	learn_series_add(entity, 50, 0, 1, NULL);
	learn_series_add(entity, nextafter(50, 60), 0, 2, NULL);
	learn_series_add(entity, 10, 1, 3, NULL);
	learn_series_add(entity, 9.999, 1, 4, NULL);
	learn_series_store(entity, stored[0]);
	CHECK(stored[0][41 * CHANNELS] == 1 && learn_series_counts(entity).late == 1, "the prediction's own moment is seen, the next is not");
	CHECK(stored[0][2 * CHANNELS + 1] == 3 && stored[0][1] == 4, "the window holds its beginning, what is before is carried in");
	learn_series_entity_free(session, entity);

	/* A window that ends earlier: 3 hours between it and the prediction. */
	plan.start = -43;
	entity = make_entity(session, &plan);
	learn_series_begin(entity, 0);
	learn_series_add(entity, -3, 0, 1, NULL);
	learn_series_add(entity, -2.9, 1, 1, NULL);
	learn_series_store(entity, stored[0]);
	CHECK(stored[0][41 * CHANNELS] == 1 && isnan(stored[0][41 * CHANNELS + 1]) && learn_series_counts(entity).used == 1,
		  "a gap before the prediction is kept free");
	learn_series_entity_free(session, entity);
}

/* Times since some epoch lose nothing. */
static void
test_far_times(DevSession *session)
{
	LearnSeriesChannel channels[CHANNELS];
	LearnSeriesPlan plan;
	LearnSeriesEntity *entity;
	float		near_stored[(BINS + 2) * CHANNELS];
	float		far_stored[(BINS + 2) * CHANNELS];
	float		near_statistics[CHANNELS * LEARN_SERIES_STATISTICS];
	float		far_statistics[CHANNELS * LEARN_SERIES_STATISTICS];

	make_plan(&plan, channels, false);
	entity = make_entity(session, &plan);
	add_events(entity, 0);
	learn_series_store(entity, near_stored);
	learn_series_summarise(entity, near_statistics);
	add_events(entity, 1e9);
	learn_series_store(entity, far_stored);
	learn_series_summarise(entity, far_statistics);
	CHECK(nearly_same((BINS + 2) * CHANNELS, near_stored, far_stored) &&
		  nearly_same(CHANNELS * LEARN_SERIES_STATISTICS, near_statistics, far_statistics), "seconds since an epoch do as well");
	learn_series_entity_free(session, entity);
}

/* ---- Augmentation ---- */

static void
test_augmentation(void)
{
	LearnSeriesChannel channels[CHANNELS];
	LearnSeriesPlan plan;
	float		full[(BINS + 2) * CHANNELS];
	float		changed[(BINS + 2) * CHANNELS];
	float		again[(BINS + 2) * CHANNELS];
	LearnSeriesAugment all = {.channel_dropout = 0.2f, .value_dropout = 0.3f, .jitter = 0.1f};
	LearnSeriesAugment none = {0};
	LearnSeriesAugment channel_only = {.channel_dropout = 0.25f};
	LearnSeriesAugment value_only = {.value_dropout = 0.4f};
	LearnSeriesAugment jitter_only = {.jitter = 0.5f};
	double		lost[2] = {0};
	double		squares = 0;
	bool		whole = true;

	make_plan(&plan, channels, false);
	for (size_t i = 0; i < sizeof(full) / sizeof(float); i++)
		full[i] = 80;
	for (uint64_t counter = 0; counter < 2000; counter++)
	{
		size_t		missing = 0;

		memcpy(changed, full, sizeof(full));
		learn_series_augment(&plan, &channel_only, 1, 2, counter, changed);
		for (int i = 0; i < BINS + 2; i++)
			missing += isnan(changed[i * CHANNELS]);
		whole = whole && (missing == 0 || missing == BINS + 2);
		lost[0] += missing > 0;
		memcpy(changed, full, sizeof(full));
		learn_series_augment(&plan, &value_only, 1, 2, counter, changed);
		whole = whole && changed[0] == 80;
		for (int i = 2; i < BINS + 2; i++)
			lost[1] += isnan(changed[i * CHANNELS]);
		memcpy(changed, full, sizeof(full));
		learn_series_augment(&plan, &jitter_only, 1, 2, counter, changed);
		squares += pow(changed[2 * CHANNELS] - 80, 2);
	}
	CHECK(whole, "a dropped channel is dropped whole, values one by one");
	CHECK(fabs(lost[0] / 2000 - 0.25) < 0.03 && fabs(lost[1] / 8000 - 0.4) < 0.02, "as often as asked: %g %g", lost[0] / 2000, lost[1] / 8000);
	CHECK(fabs(squares / 2000 - 25) < 2.5, "noise is in deviations of the channel: %g", squares / 2000);
	memcpy(changed, full, sizeof(full));
	learn_series_augment(&plan, &none, 1, 2, 3, changed);
	CHECK(memcmp(changed, full, sizeof(full)) == 0, "nothing asked, nothing changed");
	learn_series_augment(&plan, &all, 1, 2, 3, changed);
	memcpy(again, full, sizeof(full));
	learn_series_augment(&plan, &all, 1, 2, 3, again);
	CHECK(memcmp(changed, again, sizeof(full)) == 0, "the same counter gives the same bits");
	memcpy(again, full, sizeof(full));
	learn_series_augment(&plan, &all, 1, 2, 4, again);
	CHECK(memcmp(changed, again, sizeof(full)) != 0, "another one others");
}

/* ---- Refusals ---- */

static void
test_refusals(DevSession *session)
{
	LearnSeriesChannel channels[CHANNELS];
	LearnSeriesPlan plan;
	LearnSeriesEntity *entity;
	LearnTrouble trouble = {0};

	make_plan(&plan, channels, false);
	CHECK_STATUS(session, learn_series_plan_check(session, &plan), DEV_OK, "a plan is fine");
	plan.start = -7;
	CHECK_STATUS(session, learn_series_plan_check(session, &plan), DEV_INVALID, "a window into the future is refused");
	plan.start = -INFINITY;
	CHECK_STATUS(session, learn_series_plan_check(session, &plan), DEV_INVALID, "so is one without a beginning");
	make_plan(&plan, channels, false);
	plan.width = 0;
	CHECK_STATUS(session, learn_series_plan_check(session, &plan), DEV_INVALID, "so are bins without width");
	plan.width = 2;
	plan.n_bins = 0;
	CHECK_STATUS(session, learn_series_plan_check(session, &plan), DEV_INVALID, "or none");
	plan.n_bins = SIZE_MAX / 2;
	CHECK_STATUS(session, learn_series_plan_check(session, &plan), DEV_INVALID, "or too many");
	plan.n_bins = BINS;
	plan.n_channels = 0;
	CHECK_STATUS(session, learn_series_plan_check(session, &plan), DEV_INVALID, "or of no channels");
	plan.n_channels = CHANNELS;
	channels[1].deviation = 0;
	CHECK_STATUS(session, learn_series_plan_check(session, &plan), DEV_INVALID, "or a deviation of 0");
	CHECK(strstr(dev_message_text(session), "\"lactate\"") != NULL, "whose channel is named");
	/* Three tenths end at the prediction, but for rounding. */
	make_plan(&plan, channels, false);
	plan.width = 0.1;
	plan.n_bins = 3;
	plan.start = -0.3;
	CHECK_STATUS(session, learn_series_plan_check(session, &plan), DEV_OK, "rounding is no future");

	make_plan(&plan, channels, false);
	entity = make_entity(session, &plan);
	learn_series_begin(entity, 0);
	CHECK(learn_series_add(entity, NAN, 0, 1, &trouble) == DEV_BAD_DATA && strstr(trouble.message, "\"hr\"") != NULL, "no time is refused");
	CHECK(learn_series_add(entity, -INFINITY, 0, 1, &trouble) == DEV_BAD_DATA, "so is an infinite one");
	CHECK(learn_series_add(entity, -1, 0, INFINITY, &trouble) == DEV_BAD_DATA, "and an infinite value");
	CHECK(learn_series_add(entity, -1, 3, 1, &trouble) == DEV_INVALID && learn_series_add(entity, -1, -1, 1, NULL) == DEV_INVALID,
		  "and a channel that is none");
	CHECK(learn_series_add(entity, -1, 0, NAN, &trouble) == DEV_OK && learn_series_counts(entity).missing == 1, "a missing value is counted");
	CHECK(learn_series_add(entity, -1e300, 0, 1, &trouble) == DEV_OK && learn_series_counts(entity).used == 1, "long ago is before the window");
	learn_series_entity_free(session, entity);
	learn_series_entity_free(session, NULL);
}

static void
test_memory(void)
{
	LearnSeriesChannel channels[CHANNELS];
	LearnSeriesPlan plan;
	size_t		fail_at = 0;
	size_t		leaked = 0;
	DevStatus	status = DEV_NO_MEMORY;

	make_plan(&plan, channels, false);
	while (status == DEV_NO_MEMORY && ++fail_at < 50)
	{
		CheckHost	counts;
		DevHost		host = check_host(&counts, fail_at);
		DevSession *session;
		LearnSeriesEntity *entity;

		if (dev_session_open(&host, 1, &session) != DEV_OK)
			continue;
		status = learn_series_entity_create(session, &plan, &entity);
		dev_session_close(session);
		leaked += counts.held;
	}
	CHECK(status == DEV_OK && fail_at > 3 && leaked == 0, "every failing allocation is survived (%zu)", fail_at);
}

int
main(void)
{
	DevSession *session;

	CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
	test_bins(session, false);
	test_bins(session, true);
	test_statistics(session);
	test_time(session);
	test_far_times(session);
	test_augmentation();
	test_refusals(session);
	test_memory();
	dev_session_close(session);
	return check_done();
}

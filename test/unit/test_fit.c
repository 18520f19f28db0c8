/*
 * test_fit.c: what the training part teaches: quantiles, scalings, categories, identifiers, leaks.
 *
 * Expected figures are computed by hand; quantiles are numpy's (linear interpolation).
 */
#include "check_data.h"
#include "learn/dataset.h"

#include <float.h>

#define MOST_ROWS 3000

/* ---- quantiles ---- */

static int
compare_floats(const void *a, const void *b)
{
	float		x = *(const float *) a;
	float		y = *(const float *) b;

	return (x > y) - (x < y);
}

/* shape 0: spread over many magnitudes and signs; 1: many ties; 2: all but equal; 3: ascending */
static float
shaped(int shape, size_t i)
{
	double		u = dev_random_uniform(3, 4, i);

	switch (shape)
	{
		case 0:
			return (float) (tan(3.14 * (u - 0.5)) * (i % 3 == 0 ? 1e-20 : 1));
		case 1:
			return (float) floor(u * 10) - 5;
		case 2:
			return i == 1000 ? -1.0f : 3.25f;
		default:
			return (float) i;
	}
}

static void
test_quantiles(void)
{
	static const double probabilities[] = {0, 0.25, 0.5, 0.50001, 0.75, 1};
	static const size_t sizes[] = {1, 2, 10, 49, 5000, 32768, 100001};
	DevSession *session;
	uint32_t   *counts = malloc(LEARN_QUANTILE_COUNTS * sizeof(uint32_t));

	dev_session_open(NULL, 1, &session);
	for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++)
		for (int shape = 0; shape < 4; shape++)
		{
			size_t		n = sizes[k];
			float	   *values = malloc(n * sizeof(float));
			float	   *sorted = malloc(n * sizeof(float));
			float	   *scratch = malloc(n * sizeof(float));
			double		found[6];
			bool		right = true;

			for (size_t i = 0; i < n; i++)
				values[i] = sorted[i] = shaped(shape, i);
			qsort(sorted, n, sizeof(float), compare_floats);
			right = learn_quantiles(session, values, scratch, n, counts, probabilities, 6, found) == DEV_OK;
			for (int i = 0; i < 6; i++)
			{
				double		at = probabilities[i] * (double) (n - 1);
				size_t		low = (size_t) at;
				size_t		high = low + 1 < n ? low + 1 : low;
				double		expected = sorted[low] + ((double) sorted[high] - sorted[low]) * (at - (double) low);

				right = right && fabs(found[i] - expected) <= 1e-12 * fabs(expected);
			}
			for (size_t i = 0; i < n; i++)
				values[i] = shaped(shape, i);
			right = right && learn_sort_floats(session, values, scratch, n) == DEV_OK &&
				memcmp(values, sorted, n * sizeof(float)) == 0;
			CHECK(right, "%zu values of shape %d: quantiles and order are qsort's", n, shape);
			free(values);
			free(sorted);
			free(scratch);
		}
	free(counts);
	dev_session_close(session);
}

/* ---- one column ---- */

typedef struct Column
{
	const char *name;
	LearnScaling scaling;
	bool		keep;
	size_t		n;
	const float *values;		/* numbers */
	const char *const *texts;	/* categories, NULL: missing; then values is NULL */
	size_t		n_train;		/* rows from here on belong to the test part; 0: all train */
	int			max_categories;
	int			min_count;
} Column;

/* Fits the column beside a plain one that is always used. Raw category codes go to codes when that is not NULL. */
static LearnChannel
fit(DevSession *session, const Column *column, LearnNotes *notes, LearnDataset **made)
{
	LearnChannel *channels = dev_alloc(session, 2, sizeof(LearnChannel));
	LearnSplit	split = {.given = true,.task = LEARN_REGRESSION};
	LearnFit	how = {.task = LEARN_REGRESSION,.max_categories = column->max_categories,.min_count = column->min_count};
	LearnDataset *dataset;
	size_t		n_numbers;
	size_t		n_codes;
	bool		taken;

	channels[0].name = (char *) column->name;
	channels[0].kind = column->texts != NULL ? LEARN_CATEGORY : LEARN_NUMBER;
	channels[0].scaling = column->scaling;
	channels[0].use = column->keep ? LEARN_USE_KEEP : LEARN_USE_AUTO;
	channels[1].name = (char *) "other";
	taken = learn_dataset_create(session, channels, 2, 1, 1 << 28, NULL, &dataset) == DEV_OK;
	for (size_t i = 0; i < column->n && taken; i++)
	{
		float		raw[2] = {NAN, (float) i + 0.5f};
		float		target = (float) dev_random_uniform(5, 6, i);
		LearnRow	row = {raw, &target, NULL, 0, 0, column->n_train > 0 && i >= column->n_train ? LEARN_TEST : LEARN_TRAIN};

		if (column->values != NULL)
			raw[0] = column->values[i];
		else if (column->texts[i] != NULL)
			taken = learn_dataset_intern(dataset, 0, column->texts[i], strlen(column->texts[i]), &raw[0]) == DEV_OK;
		taken = taken && learn_dataset_append(dataset, &row) == DEV_OK;
	}
	taken = taken && learn_split(dataset, &split, notes) == DEV_OK &&
		learn_fit(dataset, &how, notes, &n_numbers, &n_codes) == DEV_OK;
	if (!taken)
		CHECK_OR_STOP(false, "column \"%s\" is fitted: %s", column->name, dev_message_text(session));
	if (made != NULL)
		*made = dataset;
	return channels[0];
}

static float
encode(const LearnChannel *channel, float raw)
{
	float		numbers[4] = {NAN, NAN, NAN, NAN};
	int32_t		codes[1] = {-99};

	learn_encode_row(channel, 1, &raw, numbers, codes);
	return channel->kind == LEARN_CATEGORY ? (float) codes[0] : numbers[channel->number_input];
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
test_scalings(void)
{
	static const float nine[] = {4, 8, 1, NAN, 5, 9, 2, 7, 3, 6};
	static const float digits[] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3};
	static const float mostly_zero[] = {0, 0, 0, 10, 0, 0, 5, 0, 0, 0, 0, 0};
	static const float flags[] = {0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	static const float normal[] = {2, 4, 4, 4, 5, 5, 7, 9};
	static const float extreme[] = {-3e38f, 3e38f, 0, 1e-40f, 2e-40f, 1e38f};
	static const float tiny[] = {1e-40f, 2e-40f, 3e-40f, 4e-40f, 5e-40f};
	static const float once[] = {NAN, NAN, 7, NAN};
	static const float wild[] = {1, 2, 3, 4, 5, NAN, 1e9f, -1e9f};
	float		ramp[300];
	float		heavy[300];
	DevSession *session;
	LearnChannel channel;
	LearnChannel other;

	dev_session_open(NULL, 1, &session);
	channel = fit(session, &(Column) {.name = "nine",.n = COUNT(nine),.values = nine}, NULL, NULL);
	CHECK(channel.center == 5 && channel.scale == 0.25f && channel.fill == 5 && channel.minimum == 1 && channel.maximum == 9,
		  "robust: median 5, quartiles 3 and 7, range 1 to 9");
	CHECK_NEAR(channel.missing, 0.1, 1e-12, "one value in ten is missing");
	CHECK(channel.indicator && channel.number_input == 1 && channel.indicator_input == 2 && channel.code_input == NN_NONE,
		  "and has an indicator, after all numbers");
	CHECK_NEAR(encode(&channel, 9), 1 / sqrt(1 + 1.0 / 9), 1e-7, "9 is scaled to 1 and clipped smoothly to .949");
	CHECK_NEAR(encode(&channel, 1e30f), 3, 1e-6, "nothing is beyond 3");
	CHECK_NEAR(encode(&channel, -FLT_MAX), -3, 1e-6, "nor beyond -3");
	CHECK(encode(&channel, NAN) == 0 && encode(&channel, -INFINITY) == 0, "missing is the median");

	channel = fit(session, &(Column) {.name = "digits",.n = COUNT(digits),.values = digits}, NULL, NULL);
	CHECK_NEAR(channel.center, 3.5, 1e-7, "digits: numpy's median");
	CHECK_NEAR(channel.scale, 1 / 2.75, 1e-7, "digits: numpy's quartiles 2.25 and 5");
	CHECK(!channel.indicator && channel.indicator_input == NN_NONE, "no indicator without missing values");

	channel = fit(session, &(Column) {.name = "x",.n = COUNT(mostly_zero),.values = mostly_zero}, NULL, NULL);
	CHECK(channel.center == 0 && channel.scale == 0.2f, "equal quartiles: half the range is the scale");
	channel = fit(session, &(Column) {.name = "x",.n = COUNT(flags),.values = flags}, NULL, NULL);
	CHECK(channel.center == 0.5f && channel.scale == 2 && channel.fill == 0, "two values become -1 and 1");
	CHECK_NEAR(encode(&channel, 1), 0.9486833, 1e-6, "clipped like all others");
	CHECK_NEAR(encode(&channel, 0), -0.9486833, 1e-6, "on both sides");

	channel = fit(session, &(Column) {.name = "x",.n = COUNT(normal),.values = normal,.scaling = LEARN_STANDARD}, NULL, NULL);
	CHECK(channel.center == 5 && channel.scale == 0.5f && encode(&channel, 9) == 2, "standard: mean 5, deviation 2, no clipping");
	CHECK(channel.fill == 4.5f, "whose missing values are the median all the same");
	channel = fit(session, &(Column) {.name = "x",.n = COUNT(normal),.values = normal,.scaling = LEARN_UNSCALED}, NULL, NULL);
	CHECK(encode(&channel, -17.25f) == -17.25f, "unscaled: as it is");

	for (int scaling = LEARN_ROBUST; scaling <= LEARN_UNSCALED; scaling++)
	{
		bool		finite = true;

		channel = fit(session, &(Column) {.name = "x",.n = COUNT(extreme),.values = extreme,.scaling = (LearnScaling) scaling}, NULL, NULL);
		for (size_t i = 0; i < COUNT(extreme); i++)
			finite = finite && isfinite(encode(&channel, extreme[i]));
		channel = fit(session, &(Column) {.name = "x",.n = COUNT(tiny),.values = tiny,.scaling = (LearnScaling) scaling}, NULL, NULL);
		for (size_t i = 0; i < COUNT(extreme); i++)
			finite = finite && isfinite(encode(&channel, extreme[i]));
		CHECK(finite, "scaling %d: the largest and the smallest floats stay finite", scaling);
	}

	for (size_t i = 0; i < 300; i++)
	{
		ramp[i] = (float) ((i * 7) % 300) + 0.5f;
		heavy[i] = i < 180 ? 0 : 1;
	}
	channel = fit(session, &(Column) {.name = "x",.n = 300,.values = ramp,.scaling = LEARN_QUANTILE}, NULL, NULL);
	CHECK(channel.n_quantiles == 10 && channel.quantiles[0] == 0.5f && channel.quantiles[9] == 299.5f, "quantile: a thirtieth of the rows, ten at least");
	CHECK_NEAR(channel.quantiles[1], 0.5 + 299.0 / 9, 1e-6, "at equal steps of probability");
	CHECK_NEAR(encode(&channel, 150), 0, 1e-6, "the middle is 0");
	CHECK_NEAR(encode(&channel, 225.5f), 0.6824043, 1e-6, "place .7525 is .682 deviations up");
	CHECK_NEAR(encode(&channel, 1000), 1.6448536, 1e-6, "beyond the range is half a step inside");
	CHECK_NEAR(encode(&channel, -1000), -1.6448536, 1e-6, "on both sides");
	channel = fit(session, &(Column) {.name = "x",.n = 300,.values = heavy,.scaling = LEARN_QUANTILE}, NULL, NULL);
	CHECK(encode(&channel, 0) > -1 && encode(&channel, 0) < -0.4 && encode(&channel, 1) > 0.6 && encode(&channel, 1) < 1.2,
		  "ties lie in the middle of their share: %g and %g", encode(&channel, 0), encode(&channel, 1));

	channel = fit(session, &(Column) {.name = "x",.n = COUNT(once),.values = once}, NULL, NULL);
	CHECK(channel.use == LEARN_USE_KEEP && channel.indicator && encode(&channel, 7) == 0,
		  "one value or none: that it is there may tell something");
	channel = fit(session, &(Column) {.name = "x",.n = COUNT(wild),.values = wild,.n_train = 5}, NULL, NULL);
	other = fit(session, &(Column) {.name = "x",.n = 5,.values = wild}, NULL, NULL);
	CHECK(channel.center == other.center && channel.scale == other.scale && channel.maximum == 5 && !channel.indicator &&
		  channel.missing == 0, "rows outside the training part teach nothing");
	dev_session_close(session);
}

/* ---- what is left out ---- */

typedef float (*Rule) (size_t row);

static float
permuted(size_t row)
{
	return 1 + (float) (row * 77 % 400);
}

static float
serial(size_t row)
{
	return 1000 + (float) row;
}

static float
falling(size_t row)
{
	return 5000 - 3 * (float) row;
}

static float
age(size_t row)
{
	return (float) floor(20 + 60 * dev_random_uniform(1, 1, row));
}

static float
laboratory(size_t row)
{
	return (float) (100 + 15 * dev_random_normal(1, 2, row));
}

static float
rising_laboratory(size_t row)
{
	return (float) row * 0.37f + 0.1f;
}

static float
record_number(size_t row)
{
	return 10000000 + (float) dev_random_below(1, 3, row, 6000000);
}

static float
volume(size_t row)
{
	return (float) floor(exp(11 + 1.5 * dev_random_normal(1, 4, row)));
}

static float
repeated_patient(size_t row)
{
	return (float) dev_random_below(1, 5, row * 10 / 14, 100000);
}

static float
kind_of_admission(size_t row)
{
	return 1 + (float) dev_random_below(1, 6, row, 8);
}

static float
beyond_float(size_t row)
{
	return (float) (1e9 + (double) row);
}

static float
year(size_t row)
{
	return 1990 + (float) (row / 13);
}

static float
empty(size_t row)
{
	(void) row;
	return NAN;
}

static float
flat(size_t row)
{
	(void) row;
	return -2.5f;
}

static void
check_use(const char *name, Rule rule, size_t n, LearnUse expected)
{
	static float values[MOST_ROWS];
	DevSession *session;
	LearnChannel channel;

	for (size_t i = 0; i < n; i++)
		values[i] = rule(i);
	dev_session_open(NULL, 1, &session);
	channel = fit(session, &(Column) {.name = name,.n = n,.values = values}, NULL, NULL);
	CHECK(channel.use == expected && (channel.number_input == NN_NONE) == (expected != LEARN_USE_KEEP),
		  "%zu numbers \"%s\" like %g, %g, %g: %d", n, name, (double) values[0], (double) values[1], (double) values[2], (int) channel.use);
	channel = fit(session, &(Column) {.name = name,.n = n,.values = values,.keep = true}, NULL, NULL);
	CHECK(channel.use == (expected == LEARN_USE_IDENTIFIER ? LEARN_USE_KEEP : expected), "  the same when it is to be kept");
	dev_session_close(session);
}

static void
test_left_out(void)
{
	LearnNotes	notes = {0};
	LearnChannel channel = {.name = (char *) "flat"};
	LearnSplit	split = {.task = LEARN_REGRESSION};
	LearnFit	how = {.task = LEARN_REGRESSION};
	float		values[100];
	size_t		n_numbers;
	size_t		n_codes;
	DevSession *session;
	LearnDataset *dataset;

	check_use("x", permuted, 400, LEARN_USE_IDENTIFIER);
	check_use("x", permuted, 40, LEARN_USE_KEEP);
	check_use("id", permuted, 40, LEARN_USE_IDENTIFIER);
	check_use("x", serial, 200, LEARN_USE_IDENTIFIER);
	check_use("x", serial, 30, LEARN_USE_KEEP);
	check_use("record_key", serial, 30, LEARN_USE_IDENTIFIER);
	check_use("x", falling, 200, LEARN_USE_IDENTIFIER);
	check_use("x", age, 1000, LEARN_USE_KEEP);
	check_use("x", age, 60, LEARN_USE_KEEP);
	check_use("x", laboratory, 1000, LEARN_USE_KEEP);
	check_use("x", rising_laboratory, 1000, LEARN_USE_KEEP);
	check_use("fluid", laboratory, 100, LEARN_USE_KEEP);
	check_use("x", record_number, 600, LEARN_USE_IDENTIFIER);
	check_use("x", volume, 600, LEARN_USE_KEEP);
	check_use("specimenId", volume, 600, LEARN_USE_IDENTIFIER);
	check_use("patient_nbr", repeated_patient, 1000, LEARN_USE_IDENTIFIER);
	check_use("x", repeated_patient, 1000, LEARN_USE_KEEP);
	check_use("admission_type_id", kind_of_admission, 1000, LEARN_USE_KEEP);
	check_use("x", beyond_float, 3000, LEARN_USE_IDENTIFIER);
	check_use("x", year, 400, LEARN_USE_KEEP);
	check_use("x", empty, 100, LEARN_USE_EMPTY);
	check_use("x", flat, 100, LEARN_USE_CONSTANT);

	dev_session_open(NULL, 1, &session);
	for (size_t i = 0; i < 100; i++)
		values[i] = serial(i);
	fit(session, &(Column) {.name = "number",.n = 100,.values = values}, &notes, NULL);
	CHECK(notes.n == 1 && strstr(notes.notes[0].message, "identifying columns are left out: \"number\"") != NULL &&
		  !notes.notes[0].warning && strstr(notes.notes[0].hint, "keep") != NULL, "a notice names what is left out and how to keep it");
	learn_dataset_create(session, &channel, 1, 1, 1 << 20, NULL, &dataset);
	for (int i = 0; i < 10; i++)
		learn_dataset_append(dataset, &(LearnRow) {&(float) {1}, &(float) {(float) i}, NULL, 0, 0, LEARN_UNASSIGNED});
	learn_split(dataset, &split, NULL);
	CHECK_STATUS(session, learn_fit(dataset, &how, NULL, &n_numbers, &n_codes), DEV_BAD_DATA, "nothing left to learn from is an error");
	dev_session_close(session);
}

/* ---- categories ---- */

static void
test_categories(void)
{
	static const char *const texts[] = {"b", "a", "a", "c", NULL, "a", "b", "rare", "", "c", "a", "b", "once", "", NULL};
	static const char *const same[] = {"x", "x", "x", "x"};
	static const char *const sometimes[] = {"x", NULL, "x", "x"};
	static const char *const held[] = {"x", "y", "x", "y", "z", NULL};
	static char names[300][32];
	const char *many[300];
	const char *twice[300];
	DevSession *session;
	LearnDataset *dataset;
	LearnChannel channel;
	float		code = -1;
	bool		found = true;

	dev_session_open(NULL, 1, &session);
	channel = fit(session, &(Column) {.name = "x",.n = COUNT(texts),.texts = texts,.max_categories = 100,.min_count = 2}, NULL, NULL);
	CHECK(channel.n_categories == 4 && strcmp(channel.categories[0], "a") == 0 && strcmp(channel.categories[1], "b") == 0 &&
		  strcmp(channel.categories[2], "c") == 0 && strcmp(channel.categories[3], "") == 0,
		  "categories come by frequency, equal ones by first appearance");
	CHECK(channel.has_other && channel.has_missing && channel.use == LEARN_USE_KEEP && channel.code_input == 0 &&
		  channel.number_input == NN_NONE, "the rare are pooled, missing is a category");
	CHECK(learn_category_code(&channel, "b", 1) == 1 && learn_category_code(&channel, "", 0) == 3 &&
		  learn_category_code(&channel, NULL, 0) == 3, "known ones are found");
	CHECK(learn_category_code(&channel, "rare", 4) == 4 && learn_category_code(&channel, "never", 5) == 4 &&
		  learn_category_code(&channel, "b\0", 2) == 4 && learn_category_code(&channel, "bb", 2) == 4, "all others are \"other\"");
	CHECK(encode(&channel, 2) == 2 && encode(&channel, 4) == 4 && encode(&channel, NAN) == 5 && encode(&channel, 17) == -1 &&
		  encode(&channel, -1) == -1, "codes pass, missing has the last");

	channel = fit(session, &(Column) {.name = "x",.n = COUNT(texts),.texts = texts,.max_categories = 2,.min_count = 1}, NULL, NULL);
	CHECK(channel.n_categories == 2 && channel.has_other && learn_category_code(&channel, "c", 1) == 2, "no more than max_categories are kept");
	channel = fit(session, &(Column) {.name = "x",.n = COUNT(held),.texts = held,.n_train = 4}, NULL, NULL);
	CHECK(channel.n_categories == 2 && !channel.has_other && !channel.has_missing && learn_category_code(&channel, "z", 1) == -1 &&
		  encode(&channel, NAN) == -1, "what training never saw gives zeros");
	channel = fit(session, &(Column) {.name = "x",.n = COUNT(same),.texts = same}, NULL, NULL);
	CHECK(channel.use == LEARN_USE_CONSTANT && channel.code_input == NN_NONE, "one category is constant");
	channel = fit(session, &(Column) {.name = "x",.n = COUNT(sometimes),.texts = sometimes}, NULL, NULL);
	CHECK(channel.use == LEARN_USE_KEEP && channel.n_categories == 1 && channel.has_missing, "one category or none is not");

	for (int i = 0; i < 300; i++)
	{
		snprintf(names[i], sizeof(names[i]), "name %d", i);
		many[i] = names[i];
		twice[i] = names[i / 2];
	}
	channel = fit(session, &(Column) {.name = "x",.n = 300,.texts = many}, NULL, NULL);
	CHECK(channel.use == LEARN_USE_IDENTIFIER && channel.n_categories == 0, "300 texts of their own are identifiers");
	channel = fit(session, &(Column) {.name = "x",.n = 300,.texts = many,.keep = true}, NULL, NULL);
	for (int i = 0; i < 300; i++)
		found = found && learn_category_code(&channel, names[i], strlen(names[i])) == (float) i;
	CHECK(channel.use == LEARN_USE_KEEP && channel.n_categories == 300 && found && channel.n_lookup >= 600,
		  "unless they are to be kept; each of many is found");
	CHECK(learn_category_code(&channel, "name 300", 8) == -1 && learn_category_code(&channel, "name 1", 5) == -1, "and no other");
	channel = fit(session, &(Column) {.name = "x",.n = 300,.texts = many,.min_count = 5}, NULL, NULL);
	CHECK(channel.use == LEARN_USE_IDENTIFIER, "all pooled into one is as good as none");
	channel = fit(session, &(Column) {.name = "x",.n = 300,.texts = twice}, NULL, NULL);
	CHECK(channel.use == LEARN_USE_KEEP, "texts that come twice are categories");
	channel = fit(session, &(Column) {.name = "patient_id",.n = 300,.texts = twice}, NULL, NULL);
	CHECK(channel.use == LEARN_USE_IDENTIFIER, "unless the name says what they are");

	/* A NUL inside cannot be named in a model */
	{
		LearnChannel pair[2] = {{.name = (char *) "x",.kind = LEARN_CATEGORY}, {.name = (char *) "other"}};
		LearnSplit	split = {.task = LEARN_REGRESSION};
		LearnFit	how = {.task = LEARN_REGRESSION};
		size_t		n_numbers;
		size_t		n_codes;

		learn_dataset_create(session, pair, 2, 1, 1 << 20, NULL, &dataset);
		for (int i = 0; i < 12; i++)
		{
			float		raw[2] = {0, (float) i + 0.5f};

			learn_dataset_intern(dataset, 0, "a\0b", i % 3 == 0 ? 3 : i % 3 == 1 ? 1 : 2, &code);
			raw[0] = code;
			learn_dataset_append(dataset, &(LearnRow) {raw, &(float) {(float) i}, NULL, 0, 0, LEARN_UNASSIGNED});
		}
		learn_split(dataset, &split, NULL);
		CHECK_STATUS(session, learn_fit(dataset, &how, NULL, &n_numbers, &n_codes), DEV_OK, "categories with NULs inside");
		CHECK(pair[0].n_categories == 1 && strcmp(pair[0].categories[0], "a") == 0 && pair[0].has_other &&
			  learn_category_code(&pair[0], "a\0b", 3) == 1 && learn_category_code(&pair[0], "a", 1) == 0, "are \"other\", in training and later");
	}
	dev_session_close(session);
}

/* ---- names ---- */

static void
test_names(void)
{
	static const char *const person[] = {"patient_id", "patientId", "PATIENT_NBR", "mrn", "subject", "subject_id", "ptid", "person_id",
	"patient number", "PatientID", "id_patient"};
	static const char *const identifier[] = {"id", "ID", "visit_id", "encounterId", "uuid", "row_number", "specimen_no", "index_key"};
	static const char *const plain[] = {"age", "patient_age", "identity", "fluid", "no_of_visits", "width", "candida", "subjective", "", "7",
	"number_of_drugs", "paid"};
	bool		right = true;

	for (size_t i = 0; i < COUNT(person); i++)
		right = CHECK(learn_name_kind(person[i]) == NAME_PERSON, "\"%s\" names people", person[i]) && right;
	for (size_t i = 0; i < COUNT(identifier); i++)
		right = CHECK(learn_name_kind(identifier[i]) == NAME_IDENTIFIER, "\"%s\" is an identifier", identifier[i]) && right;
	for (size_t i = 0; i < COUNT(plain); i++)
		right = CHECK(learn_name_kind(plain[i]) == NAME_PLAIN, "\"%s\" is a plain name", plain[i]) && right;
}

/* ---- leaks ---- */

#define LEAK_ROWS 2000

/* A channel made from the target; *missing says that there is no value. */
typedef float (*Maker) (size_t row, float target, bool *missing);

static float
noise(size_t row)
{
	return (float) dev_random_normal(8, 8, row);
}

static float
honest(size_t row, float target, bool *missing)
{
	(void) missing;
	return 2.77f * target + noise(row);		/* AUROC .975 */
}

static float
nearly_target(size_t row, float target, bool *missing)
{
	(void) missing;
	return -10 * target + noise(row);
}

static float
present_if_one(size_t row, float target, bool *missing)
{
	*missing = target == 0;
	return noise(row);
}

static float
own_text_if_one(size_t row, float target, bool *missing)
{
	*missing = target == 0;
	return (float) (row / 20);
}

static float
half_missing(size_t row, float target, bool *missing)
{
	(void) target;
	*missing = row % 2 == 0;
	return noise(row);
}

static float
itself(size_t row, float target, bool *missing)
{
	(void) row;
	(void) missing;
	return target * 3 - 1;
}

static float
curved(size_t row, float target, bool *missing)
{
	(void) row;
	(void) missing;
	return expf(target / 3);
}

static float
blurred(size_t row, float target, bool *missing)
{
	(void) missing;
	return target + 0.3f * noise(row);
}

static float
class_target(size_t row)
{
	return (float) dev_random_below(8, 9, row, 3);
}

static float
binary_target(size_t row)
{
	return dev_random_uniform(8, 10, row) < 0.2;
}

static float
rare_target(size_t row)
{
	return row % 400 == 0;
}

static float
real_target(size_t row)
{
	return (float) dev_random_normal(8, 11, row);
}

static void
check_leak(const char *what, LearnTask task, float (*target) (size_t row), Maker maker, bool category, bool expected)
{
	LearnChannel channels[2] = {{.name = (char *) "suspect",.kind = category ? LEARN_CATEGORY : LEARN_NUMBER}, {.name = (char *) "fine"}};
	LearnSplit	split = {.test = 0.2,.task = task,.seed = 2};
	LearnFit	how = {.task = task,.max_categories = 100,.min_count = 2,.warn_leakage = true};
	LearnNotes	notes = {0};
	LearnDataset *dataset;
	DevSession *session;
	size_t		n_numbers;
	size_t		n_codes;
	const LearnNote *note;
	DevStatus	status = DEV_OK;

	dev_session_open(NULL, 1, &session);
	learn_dataset_create(session, channels, 2, task == LEARN_SURVIVAL ? 2 : 1, 1 << 28, NULL, &dataset);
	for (size_t i = 0; i < LEAK_ROWS && status == DEV_OK; i++)
	{
		float		targets[2] = {task == LEARN_SURVIVAL ? expf(real_target(i)) : target(i), target(i)};
		float		of = targets[task == LEARN_SURVIVAL && target == binary_target ? 1 : 0];
		bool		missing = false;
		float		raw[2] = {maker(i, of, &missing), (float) dev_random_normal(8, 12, i)};
		char		text[16];

		if (category)
			status = learn_dataset_intern(dataset, 0, text, (size_t) snprintf(text, sizeof(text), "%d", (int) raw[0]), &raw[0]);
		if (missing)
			raw[0] = NAN;
		if (status == DEV_OK)
			status = learn_dataset_append(dataset, &(LearnRow) {raw, targets, NULL, 0, 0, LEARN_UNASSIGNED});
	}
	if (status == DEV_OK)
		status = learn_split(dataset, &split, NULL);
	if (status == DEV_OK)
		status = learn_fit(dataset, &how, &notes, &n_numbers, &n_codes);
	CHECK_STATUS(session, status, DEV_OK, "%s: fitted", what);
	note = check_note(&notes, "column \"suspect\" alone predicts the target almost perfectly");
	CHECK(notes.n == (expected ? 1 : 0) && (note != NULL) == expected && (note == NULL || note->warning), "%s: %s", what,
		  note != NULL ? note->detail : "no warning");
	dev_session_close(session);
}

static void
test_leaks(void)
{
	check_leak("honest number", LEARN_BINARY, binary_target, honest, false, false);
	check_leak("target with noise", LEARN_BINARY, binary_target, nearly_target, false, true);
	check_leak("present means 1", LEARN_BINARY, binary_target, present_if_one, false, true);
	check_leak("missing at random", LEARN_BINARY, binary_target, half_missing, false, false);
	check_leak("target as text", LEARN_BINARY, binary_target, itself, true, true);
	check_leak("a text of its own means 1", LEARN_BINARY, binary_target, own_text_if_one, true, true);
	check_leak("too few to tell", LEARN_BINARY, rare_target, honest, false, false);
	check_leak("honest text of classes", LEARN_MULTICLASS, class_target, blurred, true, false);
	check_leak("class as text", LEARN_MULTICLASS, class_target, itself, true, true);
	check_leak("class as number", LEARN_MULTICLASS, class_target, itself, false, true);
	check_leak("class with noise", LEARN_MULTICLASS, class_target, nearly_target, false, true);
	check_leak("class with more noise", LEARN_MULTICLASS, class_target, blurred, false, false);
	check_leak("linear", LEARN_REGRESSION, real_target, itself, false, true);
	check_leak("curved", LEARN_REGRESSION, real_target, curved, false, true);
	check_leak("correlated", LEARN_REGRESSION, real_target, blurred, false, false);
	check_leak("half of it missing", LEARN_REGRESSION, real_target, half_missing, false, false);
	check_leak("event", LEARN_SURVIVAL, binary_target, itself, false, true);
	check_leak("no event", LEARN_SURVIVAL, binary_target, honest, false, false);
}

static void
test_people(void)
{
	static float values[1000];
	LearnNotes	notes = {0};
	DevSession *session;

	dev_session_open(NULL, 1, &session);
	for (size_t i = 0; i < 1000; i++)
		values[i] = (float) (i / 5 * 31 % 1009);
	fit(session, &(Column) {.name = "patient_id",.n = 1000,.values = values}, &notes, NULL);
	CHECK(check_note(&notes, "identifiers with several rows each: \"patient_id\"") != NULL &&
		  strstr(notes.notes[0].hint, "group_by") != NULL, "repeated patients without group_by are remarked upon");
	notes.n = 0;
	fit(session, &(Column) {.name = "dose",.n = 1000,.values = values}, &notes, NULL);
	CHECK(notes.n == 0, "repeated numbers of any other name are not");
	for (size_t i = 0; i < 1000; i++)
		values[i] = (float) (i * 7 % 1000) * 3;
	fit(session, &(Column) {.name = "patient_id",.n = 1000,.values = values}, &notes, NULL);
	CHECK(check_note(&notes, "several rows") == NULL && check_note(&notes, "left out: \"patient_id\"") != NULL,
		  "patients with one row each are only left out");
	dev_session_close(session);
}

/* ---- targets and bins ---- */

static void
test_targets(void)
{
	LearnChannel channel = {.name = (char *) "x"};
	LearnSplit	split = {.given = true,.task = LEARN_REGRESSION};
	LearnDataset *dataset;
	DevSession *session;
	double		mean[2];
	double		scale[2];
	const float *targets;

	dev_session_open(NULL, 1, &session);
	learn_dataset_create(session, &channel, 1, 2, 1 << 20, NULL, &dataset);
	for (int i = 0; i < 5; i++)
	{
		float		values[2] = {i < 4 ? (float) (2 * i) : 1000, 5000000 + (float) (i % 2)};

		learn_dataset_append(dataset, &(LearnRow) {&(float) {1}, values, NULL, 0, 0, i < 4 ? LEARN_TRAIN : LEARN_TEST});
	}
	learn_split(dataset, &split, NULL);
	CHECK_STATUS(session, learn_fit_targets(dataset, mean, scale), DEV_OK, "targets are standardised");
	targets = learn_dataset_targets(dataset);
	CHECK_NEAR(mean[0], 3, 1e-12, "mean of the training part");
	CHECK_NEAR(scale[0], sqrt(5), 1e-12, "deviation of the training part");
	CHECK_NEAR(targets[8], (1000 - 3) / sqrt(5), 1e-6, "the test part is moved alike");
	CHECK_NEAR(mean[1], 5000000.5, 1e-12, "a large mean");
	CHECK_NEAR(scale[1], 0.5, 1e-12, "does not drown a small deviation");
	CHECK(targets[1] == -1 && targets[3] == 1, "standardised: -1 and 1");

	learn_dataset_create(session, &channel, 1, 1, 1 << 20, NULL, &dataset);
	for (int i = 0; i < 5; i++)
		learn_dataset_append(dataset, &(LearnRow) {&(float) {1}, &(float) {7}, NULL, 0, 0, LEARN_TRAIN});
	CHECK_STATUS(session, learn_fit_targets(dataset, mean, scale), DEV_BAD_DATA, "a target with one value is refused");
	dev_session_close(session);
}

static void
test_bins(void)
{
	static float values[501];
	DevSession *session;
	LearnDataset *dataset;
	LearnChannel channel;
	float		edges[2 * 5];
	bool		ascending = true;

	dev_session_open(NULL, 1, &session);
	for (size_t i = 0; i < 501; i++)
		values[i] = (float) (i * 7 % 501) + 0.25f;
	channel = fit(session, &(Column) {.name = "x",.n = 501,.values = values,.scaling = LEARN_UNSCALED}, NULL, &dataset);
	CHECK(learn_bin_edges(dataset, 4, edges) == DEV_INVALID, "bins of a data set not yet encoded are refused");
	learn_dataset_encode(dataset);
	CHECK_STATUS(session, learn_bin_edges(dataset, 4, edges), DEV_OK, "bin edges are found");
	for (int i = 0; i < 5; i++)
		ascending = ascending && edges[channel.number_input * 5 + i] == 0.25f + (float) i * 125;
	CHECK(ascending, "at the quartiles");
	CHECK(learn_bin_edges(dataset, 0, edges) == DEV_INVALID, "no bins are refused");
	dev_session_close(session);
}

int
main(void)
{
	test_quantiles();
	test_scalings();
	test_left_out();
	test_categories();
	test_names();
	test_leaks();
	test_people();
	test_targets();
	test_bins();
	return check_done();
}

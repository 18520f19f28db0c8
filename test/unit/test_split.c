/*
 * test_split.c: parts and folds: shares, strata, groups, order, and tables too small to split.
 */
#include "check_data.h"
#include "learn/dataset.h"

/* A data set of one channel; class, group, order and part of each row by the callbacks, NULL: none. */
typedef struct Table
{
	size_t		n;
	float		(*target) (size_t row);
	uint64_t	(*group) (size_t row);
	double		(*order) (size_t row);
	uint8_t		(*part) (size_t row);
} Table;

static LearnChannel only_channel = {.name = (char *) "x"};

static LearnDataset *
make(DevSession *session, const Table *table, int n_targets)
{
	LearnDataset *dataset;
	bool		taken;

	taken = learn_dataset_create(session, &only_channel, 1, n_targets, 1 << 28, NULL, &dataset) == DEV_OK;
	for (size_t i = 0; i < table->n && taken; i++)
	{
		float		value = (float) i;
		float		targets[2] = {table->target != NULL ? table->target(i) : 0, table->target != NULL ? table->target(i) : 0};
		LearnRow	row = {&value, targets, NULL, table->group != NULL ? table->group(i) : 0,
			table->order != NULL ? table->order(i) : 0, table->part != NULL ? table->part(i) : (uint8_t) LEARN_UNASSIGNED};

		taken = learn_dataset_append(dataset, &row) == DEV_OK;
	}
	if (!taken)
		CHECK_OR_STOP(false, "a table of %zu rows is taken in", table->n);
	return dataset;
}

static float
one_in_ten(size_t row)
{
	return row % 10 == 3;
}

static float
five_classes(size_t row)
{
	return row < 3 ? 4 : row % 50 == 0 ? 3 : (float) (row % 3);
}

static float
halves(size_t row)
{
	return (float) (row % 2);
}

static float
thirds(size_t row)
{
	return row % 3 == 0;
}

static float
measured(size_t row)
{
	return (float) row * 0.5f;
}

static float
not_a_class(size_t row)
{
	return row == 5 ? 0.5f : (float) (row % 2);
}

static float
infinite_once(size_t row)
{
	return row == 7 ? INFINITY : (float) row;
}

static float
same(size_t row)
{
	(void) row;
	return 0;
}

/* Groups of 1 to 8 rows, scattered */
static uint64_t
by_patient(size_t row)
{
	return 1 + (row * 7919 % 1000) * (row * 7919 % 1000) / 4500 * UINT64_C(0x123456789ABCDEF);
}

/* One group with half of the rows, the rest small */
static uint64_t
one_large(size_t row)
{
	return row % 2 == 0 ? 1 : 2 + row / 20;
}

static uint64_t
two_groups(size_t row)
{
	return 1 + row % 2;
}

/* Years: many rows of equal order, in no order in the table */
static double
by_year(size_t row)
{
	return (double) (row * 7919 % 37);
}

static double
by_serial(size_t row)
{
	return (double) ((row * 7919) % 10007);
}

static double
sometimes_missing(size_t row)
{
	return row % 10 == 0 ? NAN : (double) row;
}

static double
one_moment(size_t row)
{
	(void) row;
	return 5;
}

static double
one_large_tie(size_t row)
{
	return row < 700 ? 1 : row < 900 ? 2 : 3;
}

static uint8_t
given_parts(size_t row)
{
	return row % 4 == 0 ? LEARN_TEST : LEARN_TRAIN;
}

static uint8_t
all_given(size_t row)
{
	return row % 4 == 0 ? LEARN_TEST : row % 4 == 1 ? LEARN_VALIDATION : LEARN_TRAIN;
}

static uint8_t
half_given(size_t row)
{
	return row % 2 == 0 ? LEARN_TRAIN : LEARN_UNASSIGNED;
}

static uint8_t
only_test(size_t row)
{
	(void) row;
	return LEARN_TEST;
}

/* ---- by chance ---- */

static void
check_shares(const char *what, const Table *table, double validation, double test, size_t n_classes)
{
	LearnSplit	split = {.validation = validation,.test = test,.task = n_classes > 1 ? LEARN_MULTICLASS : LEARN_REGRESSION,.seed = 9};
	double		share[3] = {1 - validation - test, validation, test};
	DevSession *session;
	LearnDataset *dataset;
	size_t		sizes[LEARN_N_PARTS];
	size_t		counts[8][LEARN_N_PARTS] = {{0}};
	size_t		totals[8] = {0};
	bool		exact = true;
	bool		present = true;
	bool		whole = true;

	dev_session_open(NULL, 1, &session);
	dataset = make(session, table, 1);
	CHECK_STATUS(session, learn_split(dataset, &split, NULL), DEV_OK, "%s: %zu rows are split %g and %g", what, table->n, validation, test);
	learn_part_sizes(dataset, sizes);
	for (size_t row = 0; row < table->n; row++)
	{
		size_t		class_code = n_classes > 1 ? (size_t) table->target(row) : 0;

		counts[class_code][learn_dataset_parts(dataset)[row] % LEARN_N_PARTS]++;
		totals[class_code]++;
	}
	for (size_t i = 0; i < n_classes; i++)
	{
		size_t		wanted = 1 + (validation > 0) + (test > 0);

		for (int part = 0; part < LEARN_N_PARTS; part++)
		{
			/* Training gets what the two others leave, so it may be off by what both are off. */
			exact = exact && fabs((double) counts[i][part] - share[part] * (double) totals[i]) < (part == 0 ? 2 : 1) + 1e-9;
			present = present && (share[part] == 0 ? counts[i][part] == 0 : totals[i] < wanted || counts[i][part] > 0);
		}
	}
	for (int part = 0; part < LEARN_N_PARTS; part++)
		whole = whole && fabs((double) sizes[part] - share[part] * (double) table->n) <= (double) n_classes;
	CHECK(exact, "%s: every class has its share to one row", what);
	CHECK(present, "%s: every part has a row of every class that has enough", what);
	CHECK(whole && sizes[0] + sizes[1] + sizes[2] == table->n, "%s: the parts are %zu, %zu and %zu", what, sizes[0], sizes[1], sizes[2]);
	dev_session_close(session);
}

static void
test_chance(void)
{
	LearnSplit	split = {.validation = 0.2,.test = 0.2,.task = LEARN_BINARY,.seed = 9};
	DevSession *session;
	uint8_t    *first = malloc(1000);
	LearnDataset *dataset;
	size_t		low = 0;

	check_shares("one in ten", &(Table) {.n = 1003,.target = one_in_ten}, 0.2, 0.15, 2);
	check_shares("rare classes", &(Table) {.n = 301,.target = five_classes}, 0.13, 0.2, 5);
	check_shares("no validation", &(Table) {.n = 57,.target = halves}, 0, 0.3, 2);
	check_shares("no test", &(Table) {.n = 57,.target = halves}, 0.3, 0, 2);
	check_shares("regression", &(Table) {.n = 997,.target = measured}, 0.1, 0.1, 1);
	check_shares("ten rows", &(Table) {.n = 10,.target = halves}, 0.2, 0.2, 2);

	dev_session_open(NULL, 1, &session);
	dataset = make(session, &(Table) {.n = 1000,.target = halves}, 1);
	learn_split(dataset, &split, NULL);
	memcpy(first, learn_dataset_parts(dataset), 1000);
	learn_split(dataset, &split, NULL);
	CHECK(memcmp(first, learn_dataset_parts(dataset), 1000) == 0, "the same seed splits the same way");
	for (size_t row = 0; row < 500; row++)
		low += first[row] == LEARN_TEST;
	CHECK(low > 70 && low < 130, "test rows come from everywhere: %zu of 200 from the first half", low);
	split.seed++;
	learn_split(dataset, &split, NULL);
	CHECK(memcmp(first, learn_dataset_parts(dataset), 1000) != 0, "another seed splits another way");
	free(first);
	dev_session_close(session);
}

/* ---- groups and order ---- */

static bool
groups_are_whole(LearnDataset *dataset, const uint8_t *label)
{
	for (size_t a = 0; a < dataset->n_rows; a++)
		for (size_t b = a + 1; b < dataset->n_rows; b++)
			if (dataset->groups[a] == dataset->groups[b] && label[a] != label[b])
				return false;
	return true;
}

static void
check_groups(const char *what, const Table *table, double tolerance)
{
	LearnSplit	split = {.validation = 0.2,.test = 0.2,.by_group = true,.task = LEARN_BINARY,.seed = 4};
	DevSession *session;
	LearnDataset *dataset;
	size_t		sizes[LEARN_N_PARTS];
	size_t		positive[LEARN_N_PARTS] = {0};
	size_t		n_positive = 0;

	dev_session_open(NULL, 1, &session);
	dataset = make(session, table, 1);
	CHECK_STATUS(session, learn_split(dataset, &split, NULL), DEV_OK, "%s: split by group", what);
	CHECK(groups_are_whole(dataset, learn_dataset_parts(dataset)), "%s: no group is in two parts", what);
	learn_part_sizes(dataset, sizes);
	for (size_t row = 0; row < table->n; row++)
	{
		positive[learn_dataset_parts(dataset)[row]] += table->target(row) > 0;
		n_positive += table->target(row) > 0;
	}
	CHECK(fabs((double) sizes[LEARN_TEST] / (double) table->n - 0.2) < tolerance &&
		  fabs((double) sizes[LEARN_VALIDATION] / (double) table->n - 0.2) < tolerance,
		  "%s: shares are near: %zu, %zu, %zu", what, sizes[0], sizes[1], sizes[2]);
	CHECK(fabs((double) positive[LEARN_TEST] / (double) n_positive - 0.2) < 2 * tolerance, "%s: and so are the classes'", what);
	dev_session_close(session);
}

static void
test_groups(void)
{
	LearnSplit	split = {.validation = 0.2,.test = 0.2,.by_group = true,.task = LEARN_BINARY,.seed = 4};
	LearnNotes	notes = {0};
	DevSession *session;
	LearnDataset *dataset;

	check_groups("patients", &(Table) {.n = 1000,.target = one_in_ten,.group = by_patient}, 0.01);
	check_groups("one large group", &(Table) {.n = 1000,.target = thirds,.group = one_large}, 0.06);

	dev_session_open(NULL, 1, &session);
	dataset = make(session, &(Table) {.n = 100,.target = five_classes,.group = two_groups}, 1);
	CHECK_STATUS(session, learn_split(dataset, &split, NULL), DEV_BAD_DATA, "two groups do not make three parts");
	dataset = make(session, &(Table) {.n = 100,.target = halves}, 1);
	CHECK_STATUS(session, learn_split(dataset, &split, NULL), DEV_BAD_DATA, "rows without groups are one group");
	split.given = true;
	dataset = make(session, &(Table) {.n = 100,.target = halves,.group = one_large,.part = all_given}, 1);
	CHECK_STATUS(session, learn_split(dataset, &split, &notes), DEV_OK, "given parts may tear groups");
	CHECK(check_note(&notes, "groups of group_by have rows in several parts") != NULL && notes.notes[0].warning, "but that is warned of");
	dev_session_close(session);
}

static void
check_order(const char *what, const Table *table, bool by_group, double tolerance)
{
	LearnSplit	split = {.validation = 0.2,.test = 0.3,.by_order = true,.by_group = by_group,.task = LEARN_REGRESSION,.seed = 4};
	double		latest[LEARN_N_PARTS] = {-INFINITY, -INFINITY, -INFINITY};
	double		earliest[LEARN_N_PARTS] = {INFINITY, INFINITY, INFINITY};
	DevSession *session;
	LearnDataset *dataset;
	size_t		sizes[LEARN_N_PARTS];

	dev_session_open(NULL, 1, &session);
	dataset = make(session, table, 1);
	CHECK_STATUS(session, learn_split(dataset, &split, NULL), DEV_OK, "%s: split by order", what);
	for (size_t row = 0; row < table->n; row++)
	{
		int			part = learn_dataset_parts(dataset)[row];

		latest[part] = fmax(latest[part], table->order(row));
		earliest[part] = fmin(earliest[part], table->order(row));
	}
	learn_part_sizes(dataset, sizes);
	if (by_group)
		CHECK(groups_are_whole(dataset, learn_dataset_parts(dataset)) && latest[0] < latest[1] && latest[1] < latest[2],
			  "%s: groups are whole and later parts end later", what);
	else
		CHECK(latest[0] < earliest[1] && latest[1] < earliest[2], "%s: all of a part is later than all before it, ties together", what);
	CHECK(sizes[0] > 0 && sizes[1] > 0 && sizes[2] > 0 && fabs((double) sizes[2] / (double) table->n - 0.3) < tolerance &&
		  fabs((double) sizes[1] / (double) table->n - 0.2) < tolerance, "%s: shares are near: %zu, %zu, %zu", what,
		  sizes[0], sizes[1], sizes[2]);
	dev_session_close(session);
}

static void
test_order(void)
{
	LearnSplit	split = {.validation = 0.2,.test = 0.3,.by_order = true,.task = LEARN_BINARY,.seed = 4};
	LearnNotes	notes = {0};
	DevSession *session;
	LearnDataset *dataset;
	size_t		untimed = 0;

	check_order("serial", &(Table) {.n = 1000,.target = measured,.order = by_serial}, false, 0.001);
	check_order("years", &(Table) {.n = 1000,.target = measured,.order = by_year}, false, 0.03);
	check_order("large tie", &(Table) {.n = 1000,.target = measured,.order = one_large_tie}, false, 0.21);
	check_order("patients in time", &(Table) {.n = 1000,.target = measured,.order = by_serial,.group = by_patient}, true, 0.03);

	dev_session_open(NULL, 1, &session);
	dataset = make(session, &(Table) {.n = 100,.target = halves,.order = one_moment}, 1);
	CHECK_STATUS(session, learn_split(dataset, &split, NULL), DEV_BAD_DATA, "one moment is not split by order");
	dataset = make(session, &(Table) {.n = 100,.target = halves,.order = sometimes_missing}, 1);
	CHECK_STATUS(session, learn_split(dataset, &split, &notes), DEV_OK, "rows without an order");
	for (size_t row = 0; row < 100; row += 10)
		untimed += learn_dataset_parts(dataset)[row] == LEARN_TRAIN;
	CHECK(untimed == 10 && check_note(&notes, "10 rows have no order") != NULL, "are the earliest, and that is said");
	dev_session_close(session);
}

/* ---- given parts ---- */

static void
test_given(void)
{
	LearnSplit	split = {.validation = 0.2,.test = 0.5,.given = true,.task = LEARN_BINARY,.seed = 4};
	DevSession *session;
	LearnDataset *dataset;
	size_t		sizes[LEARN_N_PARTS];
	bool		kept = true;

	dev_session_open(NULL, 1, &session);
	dataset = make(session, &(Table) {.n = 400,.target = one_in_ten,.part = given_parts}, 1);
	CHECK_STATUS(session, learn_split(dataset, &split, NULL), DEV_OK, "given parts");
	learn_part_sizes(dataset, sizes);
	for (size_t row = 0; row < 400; row++)
		kept = kept && (learn_dataset_parts(dataset)[row] == LEARN_TEST) == (given_parts(row) == LEARN_TEST);
	CHECK(kept && sizes[LEARN_VALIDATION] == 60, "are kept, and validation is cut from train when no row names it");
	dataset = make(session, &(Table) {.n = 400,.target = five_classes,.part = all_given}, 1);
	split.task = LEARN_MULTICLASS;
	CHECK_STATUS(session, learn_split(dataset, &split, NULL), DEV_OK, "all three given");
	kept = true;
	for (size_t row = 0; row < 400; row++)
		kept = kept && learn_dataset_parts(dataset)[row] == all_given(row);
	CHECK(kept, "are left as they are");
	dataset = make(session, &(Table) {.n = 400,.target = five_classes,.part = half_given}, 1);
	CHECK_STATUS(session, learn_split(dataset, &split, NULL), DEV_BAD_DATA, "a row without a part is refused");
	dataset = make(session, &(Table) {.n = 400,.target = five_classes,.part = only_test}, 1);
	CHECK_STATUS(session, learn_split(dataset, &split, NULL), DEV_BAD_DATA, "nothing to train on is refused");
	dev_session_close(session);
}

/* ---- what cannot be split ---- */

static void
check_refused(const char *what, const Table *table, int n_targets, LearnTask task, double validation, double test, DevStatus expected)
{
	LearnSplit	split = {.validation = validation,.test = test,.task = task,.seed = 1};
	DevSession *session;

	dev_session_open(NULL, 1, &session);
	CHECK_STATUS(session, learn_split(make(session, table, n_targets), &split, NULL), expected, "%s is refused", what);
	CHECK(dev_message_text(session)[0] != '\0', "  because: %s", dev_message_text(session));
	dev_session_close(session);
}

static void
test_refusals(void)
{
	LearnSplit	split = {.validation = 0.2,.test = 0.2,.task = LEARN_BINARY,.seed = 1};
	LearnNotes	notes = {0};
	DevSession *session;

	check_refused("an empty table", &(Table) {.n = 0}, 1, LEARN_BINARY, 0.2, 0.2, DEV_BAD_DATA);
	check_refused("a table of two rows", &(Table) {.n = 2,.target = halves}, 1, LEARN_BINARY, 0.2, 0.2, DEV_BAD_DATA);
	check_refused("a regression on two rows", &(Table) {.n = 2,.target = measured}, 1, LEARN_REGRESSION, 0.2, 0.2, DEV_BAD_DATA);
	check_refused("a single row", &(Table) {.n = 1,.target = measured}, 1, LEARN_REGRESSION, 0, 0, DEV_BAD_DATA);
	check_refused("one class", &(Table) {.n = 100,.target = same}, 1, LEARN_BINARY, 0.2, 0.2, DEV_BAD_DATA);
	check_refused("survival without an event", &(Table) {.n = 100,.target = same}, 2, LEARN_SURVIVAL, 0.2, 0.2, DEV_BAD_DATA);
	check_refused("half a class", &(Table) {.n = 100,.target = not_a_class}, 1, LEARN_MULTICLASS, 0.2, 0.2, DEV_BAD_DATA);
	check_refused("an infinite target", &(Table) {.n = 100,.target = infinite_once}, 1, LEARN_REGRESSION, 0.2, 0.2, DEV_BAD_DATA);
	check_refused("a third value of a binary target", &(Table) {.n = 100,.target = five_classes}, 1, LEARN_BINARY, 0.2, 0.2, DEV_BAD_DATA);
	check_refused("survival with one target", &(Table) {.n = 100,.target = halves}, 1, LEARN_SURVIVAL, 0.2, 0.2, DEV_INVALID);
	check_refused("shares above one", &(Table) {.n = 100,.target = halves}, 1, LEARN_BINARY, 0.6, 0.5, DEV_INVALID);
	check_refused("a negative share", &(Table) {.n = 100,.target = halves}, 1, LEARN_BINARY, -0.1, 0.5, DEV_INVALID);
	check_refused("a share that is no number", &(Table) {.n = 100,.target = halves}, 1, LEARN_BINARY, 0.2, NAN, DEV_INVALID);

	dev_session_open(NULL, 1, &session);
	CHECK_STATUS(session, learn_split(make(session, &(Table) {.n = 10,.target = halves}, 1), &split, &notes), DEV_OK, "ten rows are split");
	CHECK(check_note(&notes, "the validation part has only 2 rows") != NULL && check_note(&notes, "the test part has only 2 rows") != NULL,
		  "with a note on their number");
	notes.n = 0;
	split.task = LEARN_MULTICLASS;
	CHECK_STATUS(session, learn_split(make(session, &(Table) {.n = 1000,.target = one_in_ten}, 1), &split, &notes), DEV_OK, "1,000 rows are split");
	CHECK(notes.n == 0, "and nothing is to be said");
	dev_session_close(session);
}

/* ---- folds ---- */

static void
check_folds(const char *what, const Table *table, bool by_group, bool by_order, int n_folds, double tolerance)
{
	LearnSplit	split = {.validation = 0.1,.test = 0.2,.by_group = by_group,.by_order = by_order,.task = LEARN_BINARY,.seed = 6};
	DevSession *session;
	LearnDataset *dataset;
	uint8_t    *fold = NULL;
	size_t		counts[256][2] = {{0}};
	size_t		total[2] = {0};
	bool		test_apart = true;
	double		worst = 0;

	dev_session_open(NULL, 1, &session);
	dataset = make(session, table, 1);
	CHECK_STATUS(session, learn_split(dataset, &split, NULL), DEV_OK, "%s: split", what);
	CHECK_STATUS(session, learn_folds(dataset, &split, n_folds, &fold), DEV_OK, "%s: %d folds", what, n_folds);
	for (size_t row = 0; row < table->n; row++)
	{
		bool		test = learn_dataset_parts(dataset)[row] == LEARN_TEST;

		test_apart = test_apart && (test ? fold[row] == 255 : fold[row] < n_folds);
		counts[fold[row]][table->target(row) > 0]++;
		total[table->target(row) > 0] += !test;
	}
	for (int i = 0; i < n_folds; i++)
		for (int class_code = 0; class_code < 2; class_code++)
			worst = fmax(worst, fabs((double) counts[i][class_code] - (double) total[class_code] / n_folds));
	CHECK(test_apart, "%s: all but test rows have a fold", what);
	CHECK(worst <= tolerance, "%s: classes per fold are off by %.1f rows at most", what, worst);
	if (by_group)
		CHECK(groups_are_whole(dataset, fold), "%s: no group is in two folds", what);
	dev_session_close(session);
}

static void
test_folds(void)
{
	LearnSplit	split = {.validation = 0.1,.test = 0.2,.task = LEARN_BINARY,.seed = 6};
	DevSession *session;
	LearnDataset *dataset;
	uint8_t    *fold;

	check_folds("stratified", &(Table) {.n = 503,.target = one_in_ten}, false, false, 5, 1);
	check_folds("many folds", &(Table) {.n = 1003,.target = one_in_ten}, false, false, 100, 1);
	check_folds("grouped", &(Table) {.n = 1000,.target = one_in_ten,.group = by_patient}, true, false, 5, 8);
	check_folds("in time", &(Table) {.n = 1000,.target = halves,.order = by_serial}, false, true, 4, 40);

	dev_session_open(NULL, 1, &session);
	dataset = make(session, &(Table) {.n = 10,.target = halves}, 1);
	learn_split(dataset, &split, NULL);
	CHECK(learn_folds(dataset, &split, 1, &fold) == DEV_INVALID && learn_folds(dataset, &split, 255, &fold) == DEV_INVALID,
		  "1 and 255 folds are refused");
	CHECK_STATUS(session, learn_folds(dataset, &split, 9, &fold), DEV_BAD_DATA, "nine folds of eight rows are refused");
	dev_session_close(session);
}

int
main(void)
{
	test_chance();
	test_groups();
	test_order();
	test_given();
	test_refusals();
	test_folds();
	return check_done();
}

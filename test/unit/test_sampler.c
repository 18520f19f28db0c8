/*
 * test_sampler.c: windows of shuffled rows: each row once, the same with and without a file, from several threads.
 */
#include "check_data.h"
#include "learn/dataset.h"

#include <pthread.h>

#define ROWS 150000
#define WIDTH 3
#define COPY_THREADS 4

/* Row r is (r mod 4096 scaled, (r / 4096), category r mod 5), so that each copy can be checked against its row. */
static LearnDataset *
make(DevSession *session, LearnChannel channels[WIDTH], size_t n, size_t memory, const LearnSpill *spill)
{
	LearnSplit	split = {.given = true,.task = LEARN_REGRESSION};
	LearnFit	fit = {.task = LEARN_REGRESSION,.max_categories = 10};
	LearnDataset *dataset;
	size_t		n_numbers;
	size_t		n_codes;
	DevStatus	status;

	memset(channels, 0, WIDTH * sizeof(LearnChannel));
	for (int i = 0; i < WIDTH; i++)
	{
		channels[i].name = (char *) (i == 0 ? "low" : i == 1 ? "high" : "kind");
		channels[i].kind = i == 2 ? LEARN_CATEGORY : LEARN_NUMBER;
		channels[i].scaling = LEARN_UNSCALED;
		channels[i].use = LEARN_USE_KEEP;
	}
	status = learn_dataset_create(session, channels, WIDTH, 1, memory, spill, &dataset);
	for (size_t row = 0; row < n && status == DEV_OK; row++)
	{
		float		raw[WIDTH] = {(float) (row % 4096), row % 11 == 0 ? NAN : (float) (row / 4096), 0};
		float		target = (float) row;
		char		text = (char) ('a' + row % 5);

		status = learn_dataset_intern(dataset, 2, &text, 1, &raw[2]);
		if (status == DEV_OK)
			status = learn_dataset_append(dataset, &(LearnRow) {raw, &target, NULL, 0, 0, LEARN_TRAIN});
	}
	if (status == DEV_OK)
		status = learn_split(dataset, &split, NULL);
	if (status == DEV_OK)
		status = learn_fit(dataset, &fit, NULL, &n_numbers, &n_codes);
	if (status == DEV_OK)
		status = learn_dataset_encode(dataset);
	if (status != DEV_OK || n_numbers != 3 || n_codes != 1)
		CHECK_OR_STOP(false, "%zu rows are encoded: %s", n, dev_message_text(session));
	return dataset;
}

/* Whether the copied values are those of the row that the target names. */
static bool
is_row(const float *numbers, int32_t code, float target, float fill)
{
	size_t		row = (size_t) target;
	bool		missing = row % 11 == 0;

	return numbers[0] == (float) (row % 4096) && numbers[1] == (missing ? fill : (float) (row / 4096)) &&
		numbers[2] == (missing ? 1 : 0) && code == (int32_t) (row % 5);
}

/* One epoch's row numbers into order; false when a row is wrong. Batches of `batch`. */
static bool
walk(LearnSampler *sampler, uint64_t epoch, size_t batch, float fill, uint32_t *order, size_t *total, size_t *largest)
{
	float	   *numbers = malloc(batch * 3 * sizeof(float));
	int32_t    *codes = malloc(batch * sizeof(int32_t));
	float	   *targets = malloc(batch * sizeof(float));
	bool		right = true;
	size_t		n;

	*total = *largest = 0;
	learn_sampler_epoch(sampler, epoch);
	do
	{
		right = learn_sampler_next(sampler, &n) == DEV_OK && right;
		*largest = n > *largest ? n : *largest;
		for (size_t first = 0; first < n; first += batch)
		{
			size_t		count = n - first < batch ? n - first : batch;

			learn_sampler_copy(sampler, first, count, numbers, codes, targets);
			for (size_t i = 0; i < count; i++)
			{
				right = right && is_row(numbers + 3 * i, codes[i], targets[i], fill);
				order[(*total)++] = (uint32_t) targets[i];
			}
		}
	} while (n > 0 && right);
	free(numbers);
	free(codes);
	free(targets);
	return right;
}

static bool
each_once(const uint32_t *order, size_t n, const uint32_t *rows, size_t n_rows)
{
	uint8_t    *seen = calloc(ROWS, 1);
	bool		right = n == n_rows;

	for (size_t i = 0; i < n && right; i++)
		right = seen[order[i]]++ == 0;
	for (size_t i = 0; i < n_rows && right; i++)
		right = seen[rows[i]] == 1;
	free(seen);
	return right;
}

static void
test_epochs(void)
{
	CheckFile	file;
	LearnSpill	spill = check_spill(&file);
	LearnChannel channels[WIDTH];
	LearnChannel others[WIDTH];
	DevSession *session;
	LearnDataset *dataset;
	LearnSampler *sampler;
	LearnSampler *spilled;
	uint32_t   *rows = malloc(ROWS * sizeof(uint32_t));
	uint32_t   *order[3];
	size_t		n_rows = 0;
	size_t		n;
	size_t		largest;
	size_t		used;
	double		near = 0;

	for (int i = 0; i < 3; i++)
		order[i] = calloc(ROWS, sizeof(uint32_t));
	for (uint32_t row = 0; row < ROWS; row++)
		if (row % 3 != 1)
			rows[n_rows++] = row;
	dev_session_open(NULL, 1, &session);
	dataset = make(session, channels, ROWS, 1 << 30, NULL);
	CHECK_STATUS(session, learn_sampler_create(dataset, rows, n_rows, 7, &sampler), DEV_OK,
				 "a sampler of %zu rows", n_rows);
	CHECK(walk(sampler, 0, 100, channels[1].fill, order[0], &n, &largest), "every copied row is the data set's");
	CHECK(each_once(order[0], n, rows, n_rows), "an epoch has each row once");
	CHECK(largest == 32768, "a window has %zu rows", largest);
	for (size_t i = 1; i < n; i++)
		near += fabs((double) order[0][i] - (double) order[0][i - 1]) < 1000;
	CHECK(near / (double) n < 0.05, "neighbours in a batch are far apart in the table: %.3f are near", near / (double) n);

	CHECK(walk(sampler, 1, 256, channels[1].fill, order[1], &n, &largest) && each_once(order[1], n, rows, n_rows) &&
		  memcmp(order[0], order[1], n * sizeof(uint32_t)) != 0, "the next epoch has another order");
	CHECK(walk(sampler, 0, 999, channels[1].fill, order[1], &n, &largest) &&
		  memcmp(order[0], order[1], n * sizeof(uint32_t)) == 0, "an epoch's order does not depend on what came before or the batch");

	CHECK_STATUS(session, learn_sampler_create(make(session, others, ROWS, 100000, &spill), rows, n_rows, 7, &spilled), DEV_OK,
				 "a sampler over a spilled data set");
	CHECK(file.writes > 0 && walk(spilled, 0, 100, others[1].fill, order[1], &n, &largest) &&
		  memcmp(order[0], order[1], n * sizeof(uint32_t)) == 0, "gives the same rows in the same order");
	file.fail_read = file.reads + 1;
	learn_sampler_epoch(spilled, 3);
	CHECK_STATUS(session, learn_sampler_next(spilled, &n), DEV_HOST, "a failing read is reported");
	CHECK(n == 0, "and the window is empty");

	/* Rows in any order and more than once, as bagging draws them */
	used = dev_session_used(session);
	for (size_t i = 0; i < 1000; i++)
		rows[i] = (uint32_t) dev_random_below(4, 4, i, 300);
	learn_sampler_free(spilled);
	learn_sampler_create(dataset, rows, 1000, 8, &spilled);
	CHECK(walk(spilled, 0, 64, channels[1].fill, order[2], &n, &largest) && n == 1000, "rows may come several times");
	learn_sampler_free(spilled);
	CHECK(dev_session_used(session) < used, "a freed sampler holds nothing");
	learn_sampler_free(NULL);

	CHECK_STATUS(session, learn_sampler_create(dataset, rows, 0, 8, &spilled), DEV_OK, "a sampler of no rows");
	CHECK(learn_sampler_next(spilled, &n) == DEV_OK && n == 0, "has an empty epoch");
	rows[5] = ROWS;
	CHECK_STATUS(session, learn_sampler_create(dataset, rows, 10, 8, &spilled), DEV_INVALID, "a row beyond the last is refused");
	for (int i = 0; i < 3; i++)
		free(order[i]);
	free(rows);
	free(file.bytes);
	dev_session_close(session);
}

/* ---- threads ---- */

typedef struct CopyJob
{
	const LearnSampler *sampler;
	size_t		n;
	float		fill;
	int			number;
	bool		right;
	pthread_t	thread;
} CopyJob;

static void *
copy_share(void *argument)
{
	CopyJob    *job = argument;
	float		numbers[50 * 3];
	int32_t		codes[50];
	float		targets[50];

	job->right = true;
	for (size_t first = (size_t) job->number * 50; first + 50 <= job->n; first += COPY_THREADS * 50)
	{
		learn_sampler_copy(job->sampler, first, 50, numbers, codes, targets);
		for (size_t i = 0; i < 50; i++)
			job->right = job->right && is_row(numbers + 3 * i, codes[i], targets[i], job->fill);
	}
	return NULL;
}

static void
test_threads(bool spill)
{
	CheckFile	file;
	LearnSpill	spilling = check_spill(&file);
	LearnChannel channels[WIDTH];
	DevSession *session;
	LearnDataset *dataset;
	LearnSampler *sampler;
	uint32_t   *rows = malloc(50000 * sizeof(uint32_t));
	CopyJob		jobs[COPY_THREADS];
	bool		right = true;
	size_t		n;

	dev_session_open(NULL, 1, &session);
	dataset = make(session, channels, 50000, spill ? 100000 : 1 << 30, spill ? &spilling : NULL);
	for (uint32_t row = 0; row < 50000; row++)
		rows[row] = row;
	CHECK_STATUS(session, learn_sampler_create(dataset, rows, 50000, 1, &sampler), DEV_OK, "50,000 rows for %d threads", COPY_THREADS);
	while (learn_sampler_next(sampler, &n) == DEV_OK && n > 0)
	{
		for (int i = 0; i < COPY_THREADS; i++)
		{
			jobs[i] = (CopyJob) {.sampler = sampler,.n = n,.fill = channels[1].fill,.number = i};
			right = pthread_create(&jobs[i].thread, NULL, copy_share, &jobs[i]) == 0 && right;
		}
		for (int i = 0; i < COPY_THREADS; i++)
		{
			pthread_join(jobs[i].thread, NULL);
			right = right && jobs[i].right;
		}
	}
	CHECK(right, "each copies its part of every window%s", spill ? " read from the file" : "");
	free(rows);
	free(file.bytes);
	dev_session_close(session);
}

int
main(void)
{
	test_epochs();
	test_threads(false);
	test_threads(true);
	return check_done();
}

/*
 * test_dataset.c: rows in, rows out: dictionaries, chunks in memory and in the file, encoding, failures.
 */
#include "check_data.h"
#include "learn/dataset.h"
#include "learn/encode.h"

#include <float.h>

#include <time.h>

#define ROWS 3000

/* ---- dictionaries ---- */

static void
test_hash(void)
{
	/* Vectors of SipHash-1-3 under the key 00 01 .. 0f, messages "", 00, 00 01 ... */
	static const uint64_t expected[] = {UINT64_C(0xabac0158050fc4dc), UINT64_C(0xc9f49bf37d57ca93)};
	uint64_t	key0 = UINT64_C(0x0706050403020100);
	uint64_t	key1 = UINT64_C(0x0f0e0d0c0b0a0908);
	char		message[16];

	for (int i = 0; i < 16; i++)
		message[i] = (char) i;
	CHECK(learn_hash_bytes(key0, key1, message, 0) == expected[0], "hash of nothing is SipHash-1-3's");
	CHECK(learn_hash_bytes(key0, key1, message, 1) == expected[1], "hash of one byte is SipHash-1-3's");
	CHECK(learn_hash_bytes(key0, key1, message, 15) != learn_hash_bytes(key0, key1, message, 16) &&
		  learn_hash_bytes(key0, key1, message, 8) != learn_hash_bytes(key1, key0, message, 8), "length and key change the hash");
}

static void
test_dictionary(void)
{
	DevSession *session;
	LearnDictionary *dictionary;
	bool		right = true;
	uint32_t	code;
	size_t		size;

	dev_session_open(NULL, 1, &session);
	dictionary = learn_dictionary_create(session, 1);
	CHECK(learn_dictionary_intern(dictionary, "b", 1, 10, &code) == DEV_OK && code == 0 &&
		  learn_dictionary_intern(dictionary, "a", 1, 10, &code) == DEV_OK && code == 1 &&
		  learn_dictionary_intern(dictionary, "b", 1, 10, &code) == DEV_OK && code == 0, "codes come in order of first appearance");
	CHECK(learn_dictionary_intern(dictionary, "b\0x", 3, 10, &code) == DEV_OK && code == 2 &&
		  learn_dictionary_intern(dictionary, "b\0y", 3, 10, &code) == DEV_OK && code == 3 &&
		  learn_dictionary_intern(dictionary, NULL, 0, 10, &code) == DEV_OK && code == 4 &&
		  learn_dictionary_intern(dictionary, "", 0, 10, &code) == DEV_OK && code == 4, "NULs inside and empty strings are told apart");
	CHECK(strcmp(learn_dictionary_text(dictionary, 1, &size), "a") == 0 && size == 1 &&
		  learn_dictionary_text(dictionary, 5, NULL) == NULL && learn_dictionary_text(NULL, 0, NULL) == NULL, "texts are found by code only");
	CHECK(learn_dictionary_intern(dictionary, "new", 3, 5, &code) == DEV_BAD_DATA && learn_dictionary_size(dictionary) == 5,
		  "a full dictionary refuses new strings");
	for (int pass = 0; pass < 2; pass++)
		for (uint32_t i = 0; i < 200000; i++)
		{
			char		text[40];
			int			length = snprintf(text, sizeof(text), "category number %u of many", i);

			right = learn_dictionary_intern(dictionary, text, (size_t) length, UINT32_MAX, &code) == DEV_OK && code == i + 5 && right;
		}
	CHECK(right && learn_dictionary_size(dictionary) == 200005, "200,000 categories keep their codes");
	learn_dictionary_free(dictionary);
	CHECK(dev_session_used(session) == 0, "a freed dictionary holds nothing");
	dev_session_close(session);
}

/* ---- raw rows ---- */

static LearnDataset *
filled(DevSession *session, LearnChannel *channels, LearnTask task, size_t n, size_t memory, const LearnSpill *spill)
{
	LearnDataset *dataset;

	check_channels(session, channels);
	CHECK_OR_STOP(learn_dataset_create(session, channels, CHECK_CHANNELS, task == LEARN_SURVIVAL ? 2 : 1, memory, spill,
									   &dataset) == DEV_OK && check_fill(dataset, task, n) == DEV_OK, "%zu rows are taken in", n);
	return dataset;
}

static void
test_append(void)
{
	LearnChannel channel = {.name = (char *) "x"};
	float		target = 1;
	float		values[5] = {INFINITY, -INFINITY, NAN, -0.0f, 3.5f};
	LearnRow	row = {values, &target, NULL, 0, 0, LEARN_UNASSIGNED};
	LearnDataset *dataset;
	DevSession *session;
	const float *column;
	float		code;

	dev_session_open(NULL, 1, &session);
	CHECK(learn_dataset_create(session, &channel, -1, 1, 1 << 20, NULL, &dataset) == DEV_INVALID && dataset == NULL,
		  "a negative number of channels is refused");
	learn_dataset_create(session, &channel, 1, 1, 1 << 20, NULL, &dataset);
	for (int i = 0; i < 5; i++)
	{
		row.channels = &values[i];
		learn_dataset_append(dataset, &row);
	}
	learn_chunk_column(dataset, 0, 0, NULL, &column);
	CHECK(isnan(column[0]) && isnan(column[1]) && isnan(column[2]), "infinities are missing values");
	CHECK(column[3] == 0 && !signbit(column[3]) && column[4] == 3.5f, "the zeros are one value, others are kept");
	row.part = 7;
	CHECK(learn_dataset_append(dataset, &row) == DEV_INVALID && learn_dataset_rows(dataset) == 5, "an unknown part is refused");
	CHECK(learn_dataset_intern(dataset, 0, "a", 1, &code) == DEV_INVALID &&
		  learn_dataset_intern(dataset, 1, "a", 1, &code) == DEV_INVALID, "only categories are interned");
	CHECK(dataset->groups == NULL && dataset->orders == NULL, "groups and orders take no memory when there are none");
	row.part = LEARN_TEST;
	row.group = 5;
	row.order = -2;
	CHECK(learn_dataset_append(dataset, &row) == DEV_OK && dataset->groups[5] == 5 && dataset->groups[0] == 0 &&
		  dataset->orders[5] == -2 && learn_dataset_parts(dataset)[5] == LEARN_TEST, "groups may begin late; earlier rows have 0");
	CHECK(learn_dataset_encode(dataset) == DEV_INVALID, "encoding before fitting is refused");
	CHECK(learn_dataset_gather(dataset, NULL, 0, NULL, NULL, NULL) == DEV_INVALID, "gathering before encoding is refused");
	learn_dataset_free(dataset);
	learn_dataset_free(NULL);
	CHECK(dev_session_used(session) == 0, "a freed data set holds nothing");
	dev_session_close(session);
}

static void
test_spill(void)
{
	LearnChannel channels[CHECK_CHANNELS];
	CheckFile	file;
	LearnSpill	spill = check_spill(&file);
	DevSession *session;
	LearnDataset *dataset;
	float		buffer[8192];
	bool		right = true;

	dev_session_open(NULL, 1, &session);
	dataset = filled(session, channels, LEARN_BINARY, ROWS, 16384, &spill);
	for (size_t row = 0; row < ROWS; row++)
	{
		float		raw[CHECK_CHANNELS];
		const float *column;

		check_raw_row(dataset, row, raw);
		for (int channel = 0; channel < CHECK_CHANNELS; channel++)
		{
			float		value;

			learn_chunk_column(dataset, row >> dataset->chunk_shift, channel, buffer, &column);
			value = column[row & (dataset->chunk_rows - 1)];
			right = right && (value == raw[channel] || (isnan(value) && isnan(raw[channel])));
		}
	}
	CHECK(file.writes > 10 && right, "what was spilled reads back as it was");
	{
		LearnChannel others[CHECK_CHANNELS];
		DevSession *other;
		size_t		data = ROWS * CHECK_CHANNELS * sizeof(float);

		dev_session_open(NULL, 1, &other);
		filled(other, others, LEARN_BINARY, ROWS, 1 << 26, NULL);
		CHECK(dev_session_used(session) + data < dev_session_used(other) + 16384 + 4096,
			  "of %zu bytes, all but the %d allowed are in the file", data, 16384);
		dev_session_close(other);
	}
	file.fail_read = file.reads + 1;
	CHECK_STATUS(session, learn_chunk_column(dataset, 0, 0, buffer, &(const float *) {NULL}) == DEV_OK ?
				 learn_chunk_column(dataset, dataset->n_chunks - 2, 0, buffer, &(const float *) {NULL}) : dev_status(session),
				 DEV_HOST, "a failing read is the host's failure");
	learn_dataset_free(dataset);
	free(file.bytes);

	spill = check_spill(&file);
	file.fail_write = 3;
	check_channels(session, channels);
	learn_dataset_create(session, channels, CHECK_CHANNELS, 1, 16384, &spill, &dataset);
	CHECK_STATUS(session, check_fill(dataset, LEARN_BINARY, ROWS), DEV_HOST, "a failing write is the host's failure");
	learn_dataset_free(dataset);
	free(file.bytes);

	learn_dataset_create(session, channels, CHECK_CHANNELS, 1, 16384, NULL, &dataset);
	CHECK_STATUS(session, check_fill(dataset, LEARN_BINARY, ROWS), DEV_NO_MEMORY, "without a file, more than the memory is an error");
	CHECK(strstr(dev_hint_text(session), "idla.train_memory") != NULL, "whose hint names the setting");
	dev_session_close(session);
}

/* ---- the whole way ---- */

typedef struct Way
{
	LearnChannel channels[CHECK_CHANNELS];
	LearnDataset *dataset;
	LearnNotes	notes;
	size_t		n_numbers;
	size_t		n_codes;
} Way;

/* Everything between the rows and the first window. */
static DevStatus
go(DevSession *session, Way *way, LearnTask task, size_t n, size_t memory, const LearnSpill *spill, bool by_group)
{
	LearnSplit	split = {.validation = 0.2,.test = 0.2,.by_group = by_group,.task = task,.seed = 5};
	LearnFit	fit = {.task = task,.max_categories = 50,.min_count = 3,.warn_leakage = true};
	uint8_t    *fold;
	double		mean[2];
	double		scale[2];
	float		edges[16 * 9];
	uint32_t   *rows;
	LearnSampler *sampler;
	size_t		count;
	DevStatus	status;

	memset(way, 0, sizeof(*way));
	check_channels(session, way->channels);
	status = learn_dataset_create(session, way->channels, CHECK_CHANNELS, task == LEARN_SURVIVAL ? 2 : 1, memory, spill, &way->dataset);
	if (status == DEV_OK)
		status = check_fill(way->dataset, task, n);
	if (status == DEV_OK)
		status = learn_split(way->dataset, &split, &way->notes);
	if (status == DEV_OK)
		status = learn_folds(way->dataset, &split, 5, &fold);
	if (status == DEV_OK)
		status = learn_fit(way->dataset, &fit, &way->notes, &way->n_numbers, &way->n_codes);
	if (status == DEV_OK && task == LEARN_REGRESSION)
		status = learn_fit_targets(way->dataset, mean, scale);
	if (status == DEV_OK)
		status = learn_dataset_encode(way->dataset);
	if (status == DEV_OK)
		status = learn_bin_edges(way->dataset, 8, edges);
	if (status != DEV_OK)
		return status;
	rows = dev_alloc(session, n, sizeof(uint32_t));
	if (rows == NULL)
		return DEV_NO_MEMORY;
	status = learn_sampler_create(way->dataset, rows, check_list(way->dataset, LEARN_TRAIN, rows), 3, &sampler);
	if (status == DEV_OK)
		status = learn_sampler_next(sampler, &count);
	return status;
}

static void
test_encoding(LearnTask task)
{
	CheckFile	file;
	LearnSpill	spill = check_spill(&file);
	DevSession *session;
	Way			resident;
	Way			spilled;
	float		numbers[2][32];
	int32_t		codes[2][32];
	float		targets[2][2];
	LearnRowEncoder encoder;
	bool		same_as_row = true;
	float	   *raws;
	float	   *row_numbers;
	float	   *all_numbers;
	int32_t    *row_codes;
	int32_t    *all_codes;
	int			n_listed = 0;
	int			n_seen = 0;
	bool		same_as_spilled = true;
	bool		inside = true;
	uint32_t   *rows;

	dev_session_open(NULL, 1, &session);
	CHECK_OR_STOP(go(session, &resident, task, ROWS, 1 << 26, NULL, false) == DEV_OK, "task %d: the way in memory", task);
	CHECK_STATUS(session, go(session, &spilled, task, ROWS, 16384, &spill, false), DEV_OK, "task %d: the way through the file", task);
	CHECK(resident.n_numbers == 7 && resident.n_codes == 2 && resident.channels[7].use == LEARN_USE_CONSTANT,
		  "five numbers, two indicators and two categories are inputs, the constant is not");
	CHECK(memcmp(resident.dataset->parts, spilled.dataset->parts, ROWS) == 0, "the split does not depend on memory");
	CHECK_STATUS(session, learn_row_encoder_create(session, resident.channels, CHECK_CHANNELS, &encoder), DEV_OK, "rows by the dozen");
	for (int run = 0; run < encoder.n_runs; run++)
		n_listed += encoder.runs[run].n;
	for (int channel = 0; channel < CHECK_CHANNELS; channel++)
		n_seen += resident.channels[channel].number_input != NN_NONE || resident.channels[channel].code_input != NN_NONE;
	CHECK(n_seen < CHECK_CHANNELS && n_listed > 0 && n_listed + encoder.n_others == n_seen, "channels that nobody sees are no work");
	raws = malloc(ROWS * CHECK_CHANNELS * sizeof(float));
	row_numbers = malloc(ROWS * resident.n_numbers * sizeof(float));
	row_codes = malloc(ROWS * resident.n_codes * sizeof(int32_t));
	all_numbers = calloc(ROWS * resident.n_numbers, sizeof(float));
	all_codes = calloc(ROWS * resident.n_codes, sizeof(int32_t));
	for (uint32_t row = 0; row < ROWS; row++)
	{
		float	   *raw = raws + row * CHECK_CHANNELS;

		memset(numbers, 0, sizeof(numbers));
		memset(codes, 0, sizeof(codes));
		for (int channel = 0; channel < CHECK_CHANNELS; channel++)
		{
			char		text[32];

			if (!check_value(channel, row, &raw[channel], text))
				raw[channel] = channel % 2 == 0 ? NAN : INFINITY;
			else if (channel == 4 || channel == 5)
				raw[channel] = learn_category_code(&resident.channels[channel], text, strlen(text));
		}
		learn_encode_row(resident.channels, CHECK_CHANNELS, raw, numbers[0], codes[0]);
		learn_dataset_gather(resident.dataset, &row, 1, numbers[1], codes[1], targets[0]);
		same_as_row = same_as_row && memcmp(numbers[0], numbers[1], sizeof(numbers[0])) == 0 &&
			memcmp(codes[0], codes[1], sizeof(codes[0])) == 0;
		memcpy(row_numbers + row * resident.n_numbers, numbers[0], resident.n_numbers * sizeof(float));
		memcpy(row_codes + row * resident.n_codes, codes[0], resident.n_codes * sizeof(int32_t));
		learn_dataset_gather(spilled.dataset, &row, 1, numbers[0], codes[0], targets[1]);
		same_as_spilled = same_as_spilled && memcmp(numbers[0], numbers[1], sizeof(numbers[0])) == 0 &&
			memcmp(codes[0], codes[1], sizeof(codes[0])) == 0 && targets[0][0] == targets[1][0];
		for (size_t i = 0; i < resident.n_numbers; i++)
			inside = inside && isfinite(numbers[0][i]) && fabsf(numbers[0][i]) < 30;
	}
	CHECK(same_as_row, "a row encoded alone has the bits of the data set's");
	learn_encode_rows(&encoder, ROWS, raws, all_numbers, resident.n_numbers, all_codes, resident.n_codes);
	CHECK(memcmp(all_numbers, row_numbers, ROWS * resident.n_numbers * sizeof(float)) == 0 &&
		  memcmp(all_codes, row_codes, ROWS * resident.n_codes * sizeof(int32_t)) == 0, "and so have all rows in one call");
	free(raws);
	free(row_numbers);
	free(row_codes);
	free(all_numbers);
	free(all_codes);
	CHECK(same_as_spilled, "a spilled data set has the bits of one in memory");
	CHECK(inside, "all inputs are finite");

	/* Rows in any order, with repetitions, in one call */
	rows = malloc(ROWS * sizeof(uint32_t));
	for (size_t i = 0; i < ROWS; i++)
		rows[i] = i % 3 == 0 ? (uint32_t) i : (uint32_t) dev_random_below(1, 2, i, ROWS);
	{
		float	   *all[2];
		float	   *all_targets[2];

		for (int i = 0; i < 2; i++)
		{
			all[i] = calloc(ROWS * resident.n_numbers, sizeof(float));
			all_targets[i] = calloc(ROWS * 2, sizeof(float));
		}
		CHECK(learn_dataset_gather(resident.dataset, rows, ROWS, all[0], NULL, all_targets[0]) == DEV_OK &&
			  learn_dataset_gather(spilled.dataset, rows, ROWS, all[1], NULL, all_targets[1]) == DEV_OK &&
			  memcmp(all[0], all[1], ROWS * resident.n_numbers * sizeof(float)) == 0 &&
			  memcmp(all_targets[0], all_targets[1], ROWS * 2 * sizeof(float)) == 0, "rows are gathered in any order");
		for (int i = 0; i < 2; i++)
		{
			free(all[i]);
			free(all_targets[i]);
		}
	}
	rows[0] = ROWS;
	CHECK(learn_dataset_gather(resident.dataset, rows, 1, NULL, NULL, NULL) == DEV_INVALID, "a row beyond the last is refused");
	CHECK(learn_dataset_append(resident.dataset, &(LearnRow) {0}) == DEV_INVALID &&
		  learn_dataset_encode(resident.dataset) == DEV_INVALID, "an encoded data set takes no rows and is not encoded again");
	free(rows);
	free(file.bytes);
	dev_session_close(session);
}

typedef struct Number
{
	LearnBits	kind;
	double		value;			/* what a double has; a float or an integer has it rounded */
	bool		missing;
	float		taken;
} Number;

static uint64_t
bits_of(const Number *number)
{
	const float narrow = (float) number->value;
	uint64_t	bits = UINT64_C(0xdeadbeef00000000);
	uint32_t	low;

	if (number->kind == LEARN_BITS_DOUBLE)
		memcpy(&bits, &number->value, sizeof(bits));
	else if (number->kind == LEARN_BITS_FLOAT)
	{
		memcpy(&low, &narrow, sizeof(low));
		bits |= low;
	}
	else
		bits |= (uint32_t) (int32_t) number->value;
	return bits;
}

/* What is no finite float is a missing value, and so is what is said to be missing, whatever its bits are. Every part of the list is taken. */
static void
take_numbers(size_t n_numbers, const Number *numbers)
{
	uint64_t   *bits = malloc(n_numbers * sizeof(uint64_t));
	bool	   *missing = malloc(n_numbers * sizeof(bool));
	float	   *raw = malloc((n_numbers + 1) * sizeof(float));

	for (size_t first = 0; first < n_numbers; first++)
		for (size_t n = 0; n <= n_numbers - first; n++)
		{
			bool		right = true;

			for (size_t i = 0; i < n; i++)
			{
				bits[i] = bits_of(&numbers[first + i]);
				missing[i] = numbers[first + i].missing;
			}
			raw[n] = 42;
			learn_take_numbers(numbers[first].kind, n, bits, missing, raw);
			for (size_t i = 0; i < n; i++)
			{
				float		wanted = numbers[first + i].taken;

				right = right && (isnan(wanted) ? isnan(raw[i]) : memcmp(&raw[i], &wanted, sizeof(float)) == 0);
			}
			if (!right || raw[n] != 42 || n == n_numbers)
				CHECK(right && raw[n] == 42, "%zu numbers of kind %d from number %zu on are taken", n, (int) numbers[first].kind, first);
		}
	free(bits);
	free(missing);
	free(raw);
}

static void
test_take_numbers(void)
{
	/* The largest double that rounds to a finite float is half a step above FLT_MAX, less one bit. */
	const double half = ldexp(1, 128) - ldexp(1, 103);
	const Number doubles[] = {
		{LEARN_BITS_DOUBLE, 1.5, false, 1.5f}, {LEARN_BITS_DOUBLE, 0.1, false, 0.1f}, {LEARN_BITS_DOUBLE, -0.0, false, -0.0f},
		{LEARN_BITS_DOUBLE, -273.15, false, -273.15f}, {LEARN_BITS_DOUBLE, 1e-46, false, 0}, {LEARN_BITS_DOUBLE, 1e-40, false, 1e-40f},
		{LEARN_BITS_DOUBLE, (double) FLT_MAX, false, FLT_MAX}, {LEARN_BITS_DOUBLE, -(double) FLT_MAX, false, -FLT_MAX},
		{LEARN_BITS_DOUBLE, nextafter(half, 0), false, FLT_MAX}, {LEARN_BITS_DOUBLE, half, false, NAN}, {LEARN_BITS_DOUBLE, 1e39, false, NAN},
		{LEARN_BITS_DOUBLE, -1e300, false, NAN}, {LEARN_BITS_DOUBLE, INFINITY, false, NAN}, {LEARN_BITS_DOUBLE, -INFINITY, false, NAN},
		{LEARN_BITS_DOUBLE, NAN, false, NAN}, {LEARN_BITS_DOUBLE, 7, true, NAN}, {LEARN_BITS_DOUBLE, 16777217, false, 16777216},
		{LEARN_BITS_DOUBLE, INFINITY, true, NAN}, {LEARN_BITS_DOUBLE, 8, false, 8}
	};
	const Number floats[] = {
		{LEARN_BITS_FLOAT, 1.5, false, 1.5f}, {LEARN_BITS_FLOAT, (double) 0.1f, false, 0.1f}, {LEARN_BITS_FLOAT, -0.0, false, -0.0f},
		{LEARN_BITS_FLOAT, (double) FLT_MAX, false, FLT_MAX}, {LEARN_BITS_FLOAT, -(double) FLT_MAX, false, -FLT_MAX},
		{LEARN_BITS_FLOAT, (double) 1e-40f, false, 1e-40f}, {LEARN_BITS_FLOAT, INFINITY, false, NAN}, {LEARN_BITS_FLOAT, 3, true, NAN},
		{LEARN_BITS_FLOAT, -INFINITY, false, NAN}, {LEARN_BITS_FLOAT, NAN, false, NAN}, {LEARN_BITS_FLOAT, 3, false, 3},
		{LEARN_BITS_FLOAT, NAN, true, NAN}
	};
	const Number integers[] = {
		{LEARN_BITS_INT32, 0, false, 0}, {LEARN_BITS_INT32, 1, false, 1}, {LEARN_BITS_INT32, -1, false, -1}, {LEARN_BITS_INT32, 5, true, NAN},
		{LEARN_BITS_INT32, INT32_MAX, false, 2147483648.0f}, {LEARN_BITS_INT32, INT32_MIN, false, -2147483648.0f},
		{LEARN_BITS_INT32, 16777217, false, 16777216}, {LEARN_BITS_INT32, -16777219, false, -16777220}, {LEARN_BITS_INT32, 0, true, NAN},
		{LEARN_BITS_INT32, 120, false, 120}, {LEARN_BITS_INT32, 80, false, 80}
	};

	take_numbers(sizeof(doubles) / sizeof(doubles[0]), doubles);
	take_numbers(sizeof(floats) / sizeof(floats[0]), floats);
	take_numbers(sizeof(integers) / sizeof(integers[0]), integers);
}

/* Encoded data take the memory of the raw, and never both at once. */
static void
test_peak(void)
{
	enum
	{
		CHANNELS = 30, N = 60000
	};
	LearnSplit	split = {.validation = 0.1,.test = 0.1,.task = LEARN_REGRESSION,.seed = 5};
	LearnFit	fit = {.task = LEARN_REGRESSION,.max_categories = 50};
	LearnChannel channels[CHANNELS] = {{0}};
	LearnDataset *dataset;
	DevSession *session;
	size_t		n_numbers;
	size_t		n_codes;
	double		data = (double) N * CHANNELS * sizeof(float);

	dev_session_open(NULL, 1, &session);
	for (int i = 0; i < CHANNELS; i++)
		channels[i].name = (char *) "x";
	learn_dataset_create(session, channels, CHANNELS, 1, 1 << 30, NULL, &dataset);
	for (size_t i = 0; i < N; i++)
	{
		float		raw[CHANNELS];
		float		target = (float) dev_random_uniform(2, 3, i);
		LearnRow	row = {raw, &target, NULL, 0, 0, LEARN_UNASSIGNED};

		for (size_t channel = 0; channel < CHANNELS; channel++)
			raw[channel] = (i + channel) % 9 == 0 ? NAN : (float) ((i * 7919 + channel * 104729) % 100003) + 0.5f;
		learn_dataset_append(dataset, &row);
	}
	CHECK_STATUS(session, learn_split(dataset, &split, NULL), DEV_OK, "60,000 rows are split");
	CHECK_STATUS(session, learn_fit(dataset, &fit, NULL, &n_numbers, &n_codes), DEV_OK, "and fitted");
	CHECK_STATUS(session, learn_dataset_encode(dataset), DEV_OK, "and encoded");
	CHECK(n_numbers == 2 * CHANNELS && (double) dev_session_peak(session) <= 1.5 * data + (4 << 20),
		  "with indicators for all columns, memory peaks at %.2f of the float32 data", (double) dev_session_peak(session) / data);
	dev_session_close(session);
}

/* ---- failures ---- */

static void
test_allocation_failures(LearnTask task, bool by_group, bool spill)
{
	size_t		failures = 0;
	bool		clean = true;
	bool		honest = true;
	DevStatus	status = DEV_NO_MEMORY;

	for (size_t n = 1; status != DEV_OK && n < 10000; n++)
	{
		CheckHost	host;
		DevHost		lent = check_host(&host, n);
		CheckFile	file;
		LearnSpill	spilling = check_spill(&file);
		DevSession *session;
		Way			way;

		status = dev_session_open(&lent, 1, &session);
		if (status == DEV_OK)
			status = go(session, &way, task, 400, spill ? 8192 : 1 << 26, spill ? &spilling : NULL, by_group);
		honest = honest && (status == DEV_OK || status == DEV_NO_MEMORY);
		failures += status != DEV_OK;
		dev_session_close(session);
		clean = clean && host.held == 0;
		free(file.bytes);
	}
	CHECK(status == DEV_OK && honest && failures > 50, "task %d: each of %zu allocations may fail and is reported", task, failures);
	CHECK(clean, "and nothing is left behind");
}

typedef struct Canceller
{
	size_t		polls;
	size_t		cancel_at;
	double		last;
	double		longest;		/* processor time between two polls */
} Canceller;

static double
processor_time(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double) time.tv_sec + 1e-9 * (double) time.tv_nsec;
}

static bool
cancel(void *context)
{
	Canceller  *canceller = context;
	double		now = processor_time();

	if (canceller->polls > 0 && now - canceller->last > canceller->longest)
		canceller->longest = now - canceller->last;
	canceller->last = now;
	return ++canceller->polls == canceller->cancel_at;
}

static void
test_cancel(void)
{
	size_t		step = 1;
	bool		obeyed = true;
	DevStatus	status = DEV_CANCELLED;
	size_t		n = 0;

	for (size_t at = 1; status != DEV_OK; at += step, n++)
	{
		Canceller	canceller = {.cancel_at = at};
		DevHost		host = {.context = &canceller,.cancelled = cancel};
		CheckFile	file;
		LearnSpill	spill = check_spill(&file);
		DevSession *session;
		Way			way;

		dev_session_open(&host, 1, &session);
		status = go(session, &way, LEARN_BINARY, 1000, 8192, &spill, at % 2 == 0);
		obeyed = obeyed && (status == DEV_OK ? canceller.polls < at : status == DEV_CANCELLED && canceller.polls == at);
		dev_session_close(session);
		free(file.bytes);
	}
	CHECK(obeyed && n > 50, "at each of %zu polls, cancelling stops at once", n);
}

static void
test_polls(void)
{
	Canceller	canceller = {0};
	DevHost		host = {.context = &canceller,.cancelled = cancel};
	DevSession *session;
	Way			way;

	dev_session_open(&host, 1, &session);
	CHECK_STATUS(session, go(session, &way, LEARN_BINARY, 250000, (size_t) 1 << 30, NULL, true), DEV_OK, "250,000 rows go all the way");
	CHECK(canceller.longest < 0.05, "polls are never more than %.1f ms apart", canceller.longest * 1e3);
	dev_session_close(session);
}

static void
test_notes(void)
{
	LearnNotes	notes = {0};
	LearnNameText names = {0};
	DevSession *session;

	dev_session_open(NULL, 1, &session);
	for (int i = 0; i < 20; i++)
		learn_note(session, &notes, i % 2 == 0, i == 3 ? "Detail." : NULL, i == 4 ? "Hint." : NULL, "note %d of \"%s\"", i, "x");
	CHECK(notes.n == 20 && strcmp(notes.notes[17].message, "note 17 of \"x\"") == 0 && notes.notes[2].warning &&
		  strcmp(notes.notes[3].detail, "Detail.") == 0 && notes.notes[3].hint == NULL &&
		  strcmp(notes.notes[4].hint, "Hint.") == 0, "notes keep message, detail and hint");
	CHECK(learn_note(session, NULL, false, NULL, NULL, "nobody listens") == DEV_OK, "notes may be unwanted");
	for (int i = 0; i < 1000; i++)
	{
		char		name[32];

		snprintf(name, sizeof(name), "column %d", i);
		learn_name_text_add(&names, name);
	}
	CHECK(strncmp(learn_name_text(&names), "\"column 0\", \"column 1\", ", 24) == 0 &&
		  strstr(learn_name_text(&names), " more") != NULL && strlen(learn_name_text(&names)) < sizeof(names.text),
		  "a long list of names is cut: ...%s", learn_name_text(&names) + strlen(learn_name_text(&names)) - 24);
	dev_session_close(session);
}

int
main(void)
{
	test_hash();
	test_dictionary();
	test_notes();
	test_append();
	test_spill();
	for (int task = LEARN_BINARY; task <= LEARN_SURVIVAL; task++)
		test_encoding((LearnTask) task);
	test_take_numbers();
	test_peak();
	test_allocation_failures(LEARN_BINARY, false, false);
	test_allocation_failures(LEARN_REGRESSION, false, true);
	test_allocation_failures(LEARN_SURVIVAL, true, true);
	test_cancel();
	test_polls();
	return check_done();
}

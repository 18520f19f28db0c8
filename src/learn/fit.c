/*
 * fit.c: what the training part teaches about each channel, before any network sees it.
 *
 * Column by column: is it worth using, what is its middle and its spread, which categories are
 * frequent, is anything missing. Rows of other parts are never looked at. Of more than
 * a million training rows the order statistics are those of an even sample, whatever memory there is.
 */
#include "rank.h"

#include "dataset.h"

#include <float.h>
#include <string.h>

#define SAMPLE_ROWS ((size_t) 1 << 20)
#define BIN_SAMPLE_ROWS ((size_t) 1 << 17)
#define BIN_COLUMNS ((size_t) 16)	/* sampled at a time */
#define LEAST_QUANTILES 10
#define MOST_QUANTILES 1000
#define ROWS_A_QUANTILE 30
#define LANES 8					/* independent minima, so that they fill a vector */

#define IDENTIFIER_ROWS 50		/* fewer distinct integers may well be measured */
#define NAMED_IDENTIFIER_ROWS 10
#define NEARLY_DISTINCT 0.99
#define MOSTLY_DISTINCT 0.5
#define DISTINCT_TEXTS 0.95
#define LONG_NUMBER 1e6			/* numbers of equal length from here on are numbers of something */
#define EXPECTED_TWINS 10		/* chance would have made so many equal pairs */

enum
{
	ROW_TRAIN = 1,
	ROW_SAMPLE = 2
};

typedef struct Fitter
{
	LearnDataset *dataset;
	const LearnFit *fit;
	uint8_t    *rows;			/* (rows) flags above */
	size_t		n_train;
	size_t		n_sample;
	float	   *buffer;			/* (chunk_rows) a column of a chunk in the file */
	float	   *piece;			/* (chunk_rows) training values of a chunk */
	float	   *values;			/* (n_sample + 1) sampled values of a column */
	float	   *scratch;		/* the same size */
	uint32_t   *counts;			/* workspace of learn_quantiles */
	size_t		n_values;		/* sampled values that are not missing */
} Fitter;

/* What one pass over the training values of a number tells. */
typedef struct Moments
{
	size_t		n;				/* not missing */
	float		minimum;
	float		maximum;
	double		shift;			/* first value: sums are of differences to it */
	double		sum;
	double		sum_squares;
	bool		integers;
	bool		ascending;		/* never falls */
	bool		descending;
	bool		strictly;		/* no two neighbours equal */
	float		last;
} Moments;

/* ---- Rows ---- */

/* Flags the training rows and, when they are many, an even sample of them. */
static DevStatus
flag_rows(LearnDataset *dataset, uint8_t *rows, size_t most, size_t *n_train, size_t *n_sample)
{
	size_t		sizes[LEARN_N_PARTS];
	size_t		seen = 0;
	size_t		sampled = 0;

	learn_part_sizes(dataset, sizes);
	*n_train = sizes[LEARN_TRAIN];
	*n_sample = *n_train < most ? *n_train : most;
	for (size_t row = 0; row < dataset->n_rows; row++)
	{
		if (row % LEARN_POLL_ROWS == 0 && dev_poll(dataset->session) != DEV_OK)
			return DEV_CANCELLED;
		rows[row] = 0;
		if (dataset->parts[row] != LEARN_TRAIN)
			continue;
		seen++;
		rows[row] = ROW_TRAIN;
		if ((uint64_t) seen * *n_sample / *n_train > sampled)
		{
			rows[row] |= ROW_SAMPLE;
			sampled++;
		}
	}
	return DEV_OK;
}

static DevStatus
create_fitter(LearnDataset *dataset, const LearnFit *fit, Fitter *fitter)
{
	DevSession *session = dataset->session;

	memset(fitter, 0, sizeof(*fitter));
	fitter->dataset = dataset;
	fitter->fit = fit;
	fitter->rows = dev_alloc(session, dataset->n_rows, 1);
	if (fitter->rows == NULL)
		return DEV_NO_MEMORY;
	if (flag_rows(dataset, fitter->rows, SAMPLE_ROWS, &fitter->n_train, &fitter->n_sample) != DEV_OK)
		return DEV_CANCELLED;
	fitter->buffer = dev_alloc(session, dataset->chunk_rows, sizeof(float));
	fitter->piece = dev_alloc(session, dataset->chunk_rows + 1, sizeof(float));
	fitter->values = dev_alloc(session, fitter->n_sample + 1, sizeof(float));
	fitter->scratch = dev_alloc(session, fitter->n_sample + 1, sizeof(float));
	fitter->counts = dev_alloc(session, LEARN_QUANTILE_COUNTS, sizeof(uint32_t));
	if (fitter->buffer == NULL || fitter->piece == NULL || fitter->values == NULL || fitter->scratch == NULL ||
		fitter->counts == NULL)
		return DEV_NO_MEMORY;
	return DEV_OK;
}

static void
free_fitter(Fitter *fitter)
{
	DevSession *session = fitter->dataset->session;

	dev_release(session, fitter->rows);
	dev_release(session, fitter->buffer);
	dev_release(session, fitter->piece);
	dev_release(session, fitter->values);
	dev_release(session, fitter->scratch);
	dev_release(session, fitter->counts);
}

/* Those of n values that are there and whose row has the flag, one after the other. dst has room for one more. */
static size_t
pick_values(const float *column, const uint8_t *rows, size_t n, uint8_t flag, float *dst)
{
	size_t		picked = 0;

	for (size_t i = 0; i < n; i++)
	{
		dst[picked] = column[i];
		picked += (size_t) ((rows[i] & flag) != 0) & (size_t) !isnan(column[i]);
	}
	return picked;
}

/* ---- Numbers: one pass ---- */

static void
add_range(Moments *moments, const float *values, size_t n)
{
	float		low[LANES];
	float		high[LANES];
	size_t		i = 0;

	for (size_t lane = 0; lane < LANES; lane++)
	{
		low[lane] = moments->minimum;
		high[lane] = moments->maximum;
	}
	for (; i + LANES <= n; i += LANES)
		for (size_t lane = 0; lane < LANES; lane++)
		{
			low[lane] = values[i + lane] < low[lane] ? values[i + lane] : low[lane];
			high[lane] = values[i + lane] > high[lane] ? values[i + lane] : high[lane];
		}
	for (; i < n; i++)
	{
		low[0] = values[i] < low[0] ? values[i] : low[0];
		high[0] = values[i] > high[0] ? values[i] : high[0];
	}
	for (size_t lane = 0; lane < LANES; lane++)
	{
		moments->minimum = low[lane] < moments->minimum ? low[lane] : moments->minimum;
		moments->maximum = high[lane] > moments->maximum ? high[lane] : moments->maximum;
	}
}

static void
add_sums(Moments *moments, const float *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		double		difference = values[i] - moments->shift;

		moments->sum += difference;
		moments->sum_squares += difference * difference;
	}
}

/* Integers only, and whether they rise or fall; stops at the first value that is none. */
static void
add_pattern(Moments *moments, const float *values, size_t n)
{
	for (size_t i = 0; i < n && moments->integers; i++)
	{
		moments->integers = values[i] == floorf(values[i]);
		moments->ascending = moments->ascending && values[i] >= moments->last;
		moments->descending = moments->descending && values[i] <= moments->last;
		moments->strictly = moments->strictly && values[i] != moments->last;
		moments->last = values[i];
	}
}

static void
add_piece(Moments *moments, const float *values, size_t n, bool with_sums)
{
	if (n == 0)
		return;
	if (moments->n == 0)
	{
		moments->minimum = moments->maximum = values[0];
		moments->shift = values[0];
		moments->integers = values[0] == floorf(values[0]);
		moments->ascending = moments->descending = moments->strictly = true;
		moments->last = values[0];
		add_pattern(moments, values + 1, n - 1);
	}
	else
		add_pattern(moments, values, n);
	add_range(moments, values, n);
	if (with_sums)
		add_sums(moments, values, n);
	moments->n += n;
}

/* Reads a number channel once: its moments, and the sampled values into fitter->values. */
static DevStatus
read_number(Fitter *fitter, int number, Moments *moments)
{
	LearnDataset *dataset = fitter->dataset;
	bool		with_sums = dataset->channels[number].scaling == LEARN_STANDARD;
	bool		sampled = fitter->n_sample < fitter->n_train;

	memset(moments, 0, sizeof(*moments));
	fitter->n_values = 0;
	for (size_t chunk = 0; chunk < dataset->n_chunks; chunk++)
	{
		size_t		first = chunk << dataset->chunk_shift;
		size_t		n = learn_chunk_size(dataset, chunk);
		const float *column = NULL;
		DevStatus	status = dev_poll(dataset->session);
		size_t		picked;

		if (status == DEV_OK)
			status = learn_chunk_column(dataset, chunk, number, fitter->buffer, &column);
		if (status != DEV_OK)
			return status;
		picked = pick_values(column, fitter->rows + first, n, ROW_TRAIN, fitter->piece);
		add_piece(moments, fitter->piece, picked, with_sums);
		if (sampled)
			fitter->n_values += pick_values(column, fitter->rows + first, n, ROW_SAMPLE, fitter->values + fitter->n_values);
		else
		{
			memcpy(fitter->values + fitter->n_values, fitter->piece, picked * sizeof(float));
			fitter->n_values += picked;
		}
	}
	return DEV_OK;
}

/* ---- Identifiers ---- */

static size_t
count_distinct(const float *sorted, size_t n)
{
	size_t		distinct = n > 0;

	for (size_t i = 1; i < n; i++)
		distinct += sorted[i] != sorted[i - 1];
	return distinct;
}

/*
 * Integers that name rather than measure. A count or a laboratory value repeats itself sooner or later; a name does
 * not. It counts as a name when nearly no two rows share it, and
 * - the column's name says so, or
 * - it only rises or only falls from row to row, as a running number does, or
 * - its range is so narrow that measured values would have met (a permuted running number), or
 * - all have the same number of digits, seven or more.
 * Beyond 2^24 a float32 holds only every second, fourth ... integer: equal ones are then no proof of repetition.
 */
static bool
names_rows(const Moments *moments, LearnNameKind name, const float *sorted, size_t n)
{
	double		largest = fmax(fabs((double) moments->minimum), fabs((double) moments->maximum));
	double		range = (double) moments->maximum - (double) moments->minimum;
	double		step = fmax(1, (double) nextafterf((float) largest, INFINITY) - largest);
	double		slots = range / step + 1;
	double		possible = step > 1 ? fmin((double) n, slots) : (double) n;
	double		distinct = (double) count_distinct(sorted, n);
	double		twins = (double) n * ((double) n - 1) / 2 / slots;

	if (distinct < NAMED_IDENTIFIER_ROWS)
		return false;
	if (name != NAME_PLAIN && distinct >= MOSTLY_DISTINCT * possible)
		return true;
	if (n < IDENTIFIER_ROWS || distinct < NEARLY_DISTINCT * possible)
		return false;
	if ((moments->ascending || moments->descending) && (moments->strictly || step > 1))
		return true;
	if (step <= 1 && twins >= EXPECTED_TWINS && (double) n - distinct <= twins / 10)
		return true;
	return moments->minimum >= LONG_NUMBER &&
		floor(log10((double) moments->minimum)) == floor(log10((double) moments->maximum));
}

static DevStatus
decide_number(Fitter *fitter, LearnChannel *channel, const Moments *moments)
{
	bool		keep = channel->use == LEARN_USE_KEEP;
	DevStatus	status;

	channel->use = LEARN_USE_KEEP;
	if (moments->n == 0)
		channel->use = LEARN_USE_EMPTY;
	else if (moments->minimum == moments->maximum && moments->n == fitter->n_train)
		channel->use = LEARN_USE_CONSTANT;
	else if (!keep && moments->integers && fitter->n_values >= NAMED_IDENTIFIER_ROWS)
	{
		status = learn_sort_floats(fitter->dataset->session, fitter->values, fitter->scratch, fitter->n_values);
		if (status != DEV_OK)
			return status;
		if (names_rows(moments, learn_name_kind(channel->name), fitter->values, fitter->n_values))
			channel->use = LEARN_USE_IDENTIFIER;
	}
	return DEV_OK;
}

/* ---- Numbers: scaling ---- */

/* 1 / width as a float that is finite and not 0. */
static float
invert(double width)
{
	double		scale = width > 0 ? 1 / width : 1;

	return (float) (scale > FLT_MAX ? FLT_MAX : scale < FLT_MIN ? FLT_MIN : scale);
}

static bool
has_two_values(const Moments *moments, const float *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (values[i] != moments->minimum && values[i] != moments->maximum)
			return false;
	return true;
}

static void
scale_robustly(LearnChannel *channel, const Moments *moments, bool two_values, const double quartiles[3])
{
	double		range = (double) moments->maximum - (double) moments->minimum;

	if (two_values)
	{
		/* -1 and 1, however rare one of them is */
		channel->center = (float) ((double) moments->minimum + range / 2);
		channel->scale = invert(range / 2);
		return;
	}
	channel->center = (float) quartiles[1];
	channel->scale = invert(quartiles[2] > quartiles[0] ? quartiles[2] - quartiles[0] : range / 2);
}

static DevStatus
find_quantiles(Fitter *fitter, LearnChannel *channel)
{
	DevSession *session = fitter->dataset->session;
	size_t		n = fitter->n_values / ROWS_A_QUANTILE;
	double		probabilities[MOST_QUANTILES];
	double		quantiles[MOST_QUANTILES];
	DevStatus	status;

	n = n < LEAST_QUANTILES ? LEAST_QUANTILES : n > MOST_QUANTILES ? MOST_QUANTILES : n;
	for (size_t i = 0; i < n; i++)
		probabilities[i] = (double) i / (double) (n - 1);
	status = learn_quantiles(session, fitter->values, fitter->scratch, fitter->n_values, fitter->counts,
							 probabilities, n, quantiles);
	if (status != DEV_OK)
		return status;
	channel->quantiles = dev_alloc(session, n, sizeof(float));
	if (channel->quantiles == NULL)
		return DEV_NO_MEMORY;
	for (size_t i = 0; i < n; i++)
		channel->quantiles[i] = (float) quantiles[i];
	channel->n_quantiles = (int) n;
	return DEV_OK;
}

static DevStatus
fit_number(Fitter *fitter, int number)
{
	static const double quarters[3] = {0.25, 0.5, 0.75};
	LearnChannel *channel = &fitter->dataset->channels[number];
	double		quartiles[3];
	bool		two_values;
	Moments		moments;
	DevStatus	status = read_number(fitter, number, &moments);

	if (status != DEV_OK)
		return status;
	channel->missing = (double) (fitter->n_train - moments.n) / (double) fitter->n_train;
	channel->indicator = false;
	status = decide_number(fitter, channel, &moments);
	if (status != DEV_OK || channel->use != LEARN_USE_KEEP)
		return status;
	if (fitter->n_values == 0)
	{
		/* So rare that the sample has none of them. */
		fitter->values[fitter->n_values++] = moments.minimum;
		fitter->values[fitter->n_values++] = moments.maximum;
	}

	channel->indicator = moments.n < fitter->n_train;
	channel->minimum = moments.minimum;
	channel->maximum = moments.maximum;
	two_values = has_two_values(&moments, fitter->values, fitter->n_values);
	if (channel->scaling == LEARN_QUANTILE)
		status = find_quantiles(fitter, channel);
	if (status == DEV_OK)
		status = learn_quantiles(fitter->dataset->session, fitter->values, fitter->scratch, fitter->n_values,
								 fitter->counts, quarters, 3, quartiles);
	if (status != DEV_OK)
		return status;
	channel->fill = (float) quartiles[1];
	channel->center = 0;
	channel->scale = 1;
	if (channel->scaling == LEARN_STANDARD)
	{
		double		mean = moments.sum / (double) moments.n;

		channel->center = (float) (moments.shift + mean);
		channel->scale = invert(sqrt(fmax(0, moments.sum_squares / (double) moments.n - mean * mean)));
	}
	else if (channel->scaling != LEARN_UNSCALED)
		scale_robustly(channel, &moments, two_values, quartiles);
	return DEV_OK;
}

/* ---- Categories ---- */

/* How often each of the dictionary's codes occurs in the training part. */
static DevStatus
count_codes(Fitter *fitter, int number, uint32_t n_known, double *counts, size_t *n_present)
{
	LearnDataset *dataset = fitter->dataset;

	*n_present = 0;
	for (size_t chunk = 0; chunk < dataset->n_chunks; chunk++)
	{
		const float *column = NULL;
		DevStatus	status = dev_poll(dataset->session);
		size_t		picked;

		if (status == DEV_OK)
			status = learn_chunk_column(dataset, chunk, number, fitter->buffer, &column);
		if (status != DEV_OK)
			return status;
		picked = pick_values(column, fitter->rows + (chunk << dataset->chunk_shift), learn_chunk_size(dataset, chunk),
							 ROW_TRAIN, fitter->piece);
		for (size_t i = 0; i < picked; i++)
			if (fitter->piece[i] >= 0 && fitter->piece[i] < (float) n_known)
			{
				counts[(size_t) fitter->piece[i]]--;	/* negative, so that the most frequent sort first */
				++*n_present;
			}
	}
	return DEV_OK;
}

/* Copies the names of the kept categories into one block: first the pointers, then the bytes. */
static DevStatus
keep_names(Fitter *fitter, int number, const uint32_t *order)
{
	LearnDataset *dataset = fitter->dataset;
	LearnChannel *channel = &dataset->channels[number];
	size_t		n = (size_t) channel->n_categories;
	size_t		total = 0;
	size_t		size;
	char	   *bytes;

	for (size_t i = 0; i < n; i++)
	{
		learn_dictionary_text(dataset->dictionaries[number], order[i], &size);
		total += size + 1;
	}
	channel->categories = dev_alloc(dataset->session, n + 1, sizeof(char *));
	bytes = dev_alloc(dataset->session, total + 1, 1);
	if (channel->categories == NULL || bytes == NULL)
		return DEV_NO_MEMORY;
	for (size_t i = 0; i < n; i++)
	{
		const char *text = learn_dictionary_text(dataset->dictionaries[number], order[i], &size);

		memcpy(bytes, text, size + 1);
		channel->categories[i] = bytes;
		bytes += size + 1;
	}
	return learn_channel_index(dataset->session, channel);
}

/*
 * order holds the codes by falling frequency. Those frequent enough come to stand first, in that order; all others are
 * "other" when training rows have them. A category with a NUL in it cannot be named in a model, so it is never kept.
 */
static void
choose_categories(Fitter *fitter, int number, const double *counts, uint32_t n_known, uint32_t *order, int32_t *fitted)
{
	LearnDataset *dataset = fitter->dataset;
	LearnChannel *channel = &dataset->channels[number];
	double		least = fitter->fit->min_count > 1 ? fitter->fit->min_count : 1;
	int			most = fitter->fit->max_categories > 0 ? fitter->fit->max_categories : INT32_MAX;

	channel->n_categories = 0;
	channel->has_other = false;
	for (uint32_t i = 0; i < n_known; i++)
	{
		uint32_t	code = order[i];
		size_t		size;
		const char *text = learn_dictionary_text(dataset->dictionaries[number], code, &size);

		fitted[code] = -1;
		if (-counts[code] >= least && channel->n_categories < most && memchr(text, '\0', size) == NULL)
		{
			fitted[code] = channel->n_categories;
			order[channel->n_categories++] = code;
		}
		else if (counts[code] < 0)
			channel->has_other = true;
	}
	/* What training never saw, or pooled, is "other" if there is such a thing. */
	for (uint32_t code = 0; code < n_known; code++)
		if (fitted[code] < 0 && channel->has_other)
			fitted[code] = channel->n_categories;
}

static LearnUse
decide_category(const Fitter *fitter, const LearnChannel *channel, bool keep, size_t n_present, size_t distinct)
{
	bool		named = learn_name_kind(channel->name) != NAME_PLAIN;

	if (n_present == 0)
		return LEARN_USE_EMPTY;
	if (distinct == 1 && n_present == fitter->n_train)
		return LEARN_USE_CONSTANT;
	/* All pooled into "other" and never missing: every row would look the same. */
	if (channel->n_categories == 0 && !channel->has_missing)
		return LEARN_USE_IDENTIFIER;
	if (keep)
		return LEARN_USE_KEEP;
	if (n_present >= IDENTIFIER_ROWS && (double) distinct >= DISTINCT_TEXTS * (double) n_present)
		return LEARN_USE_IDENTIFIER;
	if (named && distinct >= NAMED_IDENTIFIER_ROWS && (double) distinct >= MOSTLY_DISTINCT * (double) n_present)
		return LEARN_USE_IDENTIFIER;
	return LEARN_USE_KEEP;
}

static DevStatus
fit_category(Fitter *fitter, int number)
{
	LearnDataset *dataset = fitter->dataset;
	DevSession *session = dataset->session;
	LearnChannel *channel = &dataset->channels[number];
	uint32_t	n_known = learn_dictionary_size(dataset->dictionaries[number]);
	double	   *counts = dev_alloc(session, (size_t) n_known + 1, sizeof(double));
	int32_t    *fitted = dev_alloc(session, (size_t) n_known + 1, sizeof(int32_t));
	uint32_t   *order = NULL;
	size_t		n_present = 0;
	size_t		distinct = 0;
	DevStatus	status = DEV_NO_MEMORY;

	if (counts != NULL && fitted != NULL)
		status = count_codes(fitter, number, n_known, counts, &n_present);
	if (status == DEV_OK)
		status = learn_order(session, n_known, counts, &order);
	if (status == DEV_OK)
	{
		choose_categories(fitter, number, counts, n_known, order, fitted);
		for (uint32_t code = 0; code < n_known; code++)
			distinct += counts[code] < 0;
		channel->missing = (double) (fitter->n_train - n_present) / (double) fitter->n_train;
		channel->has_missing = n_present < fitter->n_train;
		channel->use = decide_category(fitter, channel, channel->use == LEARN_USE_KEEP, n_present, distinct);
		if (channel->use == LEARN_USE_KEEP)
			status = keep_names(fitter, number, order);
		else
		{
			channel->n_categories = 0;
			channel->has_other = channel->has_missing = false;
		}
	}
	dev_release(session, counts);
	dev_release(session, order);
	if (status == DEV_OK && channel->use == LEARN_USE_KEEP)
		dataset->fitted_codes[number] = fitted;
	else
		dev_release(session, fitted);
	return status;
}

/* ---- All channels ---- */

/* Scaled numbers come first, then the indicators: a stored row has no room for them and ends where they begin. */
static DevStatus
number_inputs(LearnDataset *dataset)
{
	size_t		n_indicators = 0;

	dataset->n_scaled = dataset->n_codes = 0;
	for (int i = 0; i < dataset->n_channels; i++)
	{
		LearnChannel *channel = &dataset->channels[i];

		channel->number_input = channel->indicator_input = channel->code_input = NN_NONE;
		if (channel->use != LEARN_USE_KEEP)
			continue;
		if (channel->kind == LEARN_CATEGORY)
			channel->code_input = (int) dataset->n_codes++;
		else
			channel->number_input = (int) dataset->n_scaled++;
		n_indicators += channel->kind == LEARN_NUMBER && channel->indicator;
	}
	dataset->n_numbers = dataset->n_scaled + n_indicators;
	dataset->width = dataset->n_scaled + dataset->n_codes;
	dataset->n_indicators = 0;
	dataset->indicators = dev_alloc(dataset->session, n_indicators + 1, sizeof(DatasetIndicator));
	if (dataset->indicators == NULL)
		return DEV_NO_MEMORY;
	for (int i = 0; i < dataset->n_channels; i++)
	{
		LearnChannel *channel = &dataset->channels[i];
		DatasetIndicator *indicator = &dataset->indicators[dataset->n_indicators];

		if (channel->use != LEARN_USE_KEEP || channel->kind != LEARN_NUMBER || !channel->indicator)
			continue;
		/* Scaled while the channel has no indicator_input yet, so that the value comes out and not a NaN. */
		learn_scale_numbers(channel, 1, &channel->fill, &indicator->fill);
		indicator->number = channel->number_input;
		indicator->indicator = (int) dataset->n_scaled + dataset->n_indicators++;
		channel->indicator_input = indicator->indicator;
	}
	return DEV_OK;
}

static DevStatus
note_left_out(LearnDataset *dataset, LearnNotes *notes)
{
	static const struct
	{
		LearnUse	use;
		const char *what;
		const char *detail;
		const char *hint;
	}			reasons[] =
	{
		{LEARN_USE_CONSTANT, "constant", "They have one value in all training rows.", NULL},
		{LEARN_USE_EMPTY, "empty", "They have no value in any training row.", NULL},
		{LEARN_USE_IDENTIFIER, "identifying", "They have a value of their own in nearly every training row.",
		"To use such a column, say \"keep\" or its kind in the option columns."}
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
	{
		LearnNameText names = {0};

		for (int channel = 0; channel < dataset->n_channels; channel++)
			if (dataset->channels[channel].use == reasons[i].use)
				learn_name_text_add(&names, dataset->channels[channel].name);
		if (names.n > 0 &&
			learn_note(dataset->session, notes, false, reasons[i].detail, reasons[i].hint,
					   "%s columns are left out: %s", reasons[i].what, learn_name_text(&names)) != DEV_OK)
			return DEV_NO_MEMORY;
	}
	return DEV_OK;
}

static DevStatus
check_fit(LearnDataset *dataset)
{
	size_t		sizes[LEARN_N_PARTS];

	if (dataset->stage != STAGE_OPEN)
		return dev_fail(dataset->session, DEV_INVALID, "a data set is fitted once");
	learn_part_sizes(dataset, sizes);
	if (sizes[LEARN_TRAIN] == 0)
		return dev_fail(dataset->session, DEV_BAD_DATA, "no row belongs to the training part");
	return DEV_OK;
}

DevStatus
learn_fit(LearnDataset *dataset, const LearnFit *fit, LearnNotes *notes, size_t *n_numbers, size_t *n_codes)
{
	DevSession *session = dataset->session;
	Fitter		fitter;
	size_t		n_strata;
	DevStatus	status = check_fit(dataset);

	if (status == DEV_OK)
		status = learn_check_targets(dataset, fit->task, &n_strata);
	if (status != DEV_OK)
		return status;
	status = create_fitter(dataset, fit, &fitter);
	for (int channel = 0; channel < dataset->n_channels && status == DEV_OK; channel++)
		status = dataset->channels[channel].kind == LEARN_CATEGORY ? fit_category(&fitter, channel) :
			fit_number(&fitter, channel);
	free_fitter(&fitter);
	if (status == DEV_OK)
		status = number_inputs(dataset);
	if (status == DEV_OK)
		status = note_left_out(dataset, notes);
	if (status == DEV_OK && dataset->width == 0)
	{
		status = dev_fail(session, DEV_BAD_DATA, "no column is left to learn from");
		dev_detail(session, "All are constant, empty or identifiers in the training part.");
	}
	if (status == DEV_OK && !dataset->grouped)
		status = learn_check_people(dataset, notes);
	if (status == DEV_OK && fit->warn_leakage)
		status = learn_check_leakage(dataset, fit->task, notes);
	if (status != DEV_OK)
		return status;
	dataset->stage = STAGE_FITTED;
	*n_numbers = dataset->n_numbers;
	*n_codes = dataset->n_codes;
	return DEV_OK;
}

/* ---- Targets of a regression ---- */

DevStatus
learn_fit_targets(LearnDataset *dataset, double *mean, double *scale)
{
	size_t		n_targets = (size_t) dataset->n_targets;
	size_t		sizes[LEARN_N_PARTS];
	size_t		n_strata;
	DevStatus	status = learn_check_targets(dataset, LEARN_REGRESSION, &n_strata);

	if (status != DEV_OK)
		return status;
	learn_part_sizes(dataset, sizes);
	if (sizes[LEARN_TRAIN] == 0)
		return dev_fail(dataset->session, DEV_BAD_DATA, "no row belongs to the training part");
	for (size_t target = 0; target < n_targets; target++)
	{
		double		sum = 0;
		double		squares = 0;

		/* Twice over the rows: the second sum is of differences to the mean, which loses nothing to cancellation. */
		for (int pass = 0; pass < 2; pass++)
		{
			for (size_t row = 0; row < dataset->n_rows; row++)
			{
				double		value = dataset->targets[row * n_targets + target];

				if (row % LEARN_POLL_ROWS == 0 && dev_poll(dataset->session) != DEV_OK)
					return DEV_CANCELLED;
				if (dataset->parts[row] != LEARN_TRAIN)
					continue;
				if (pass == 0)
					sum += value;
				else
					squares += (value - mean[target]) * (value - mean[target]);
			}
			if (pass == 0)
				mean[target] = sum / (double) sizes[LEARN_TRAIN];
		}
		scale[target] = sqrt(squares / (double) sizes[LEARN_TRAIN]);
		if (!(scale[target] > 0))
			return dev_fail(dataset->session, DEV_BAD_DATA, "the target has only one value, %g, in the training part", mean[target]);
		for (size_t row = 0; row < dataset->n_rows; row++)
		{
			float	   *value = &dataset->targets[row * n_targets + target];

			*value = (float) ((*value - mean[target]) / scale[target]);
		}
	}
	return DEV_OK;
}

/* ---- Bins ---- */

/* Encoded numbers first .. first + n_columns - 1 of the listed rows, column-wise into columns (n_columns, n). */
static DevStatus
gather_columns(LearnDataset *dataset, const uint32_t *rows, size_t n, size_t first, size_t n_columns,
			   float *numbers, float *columns)
{
	const size_t step = DATASET_TILE;

	for (size_t row = 0; row < n; row += step)
	{
		size_t		n_rows = n - row < step ? n - row : step;
		DevStatus	status = learn_dataset_gather(dataset, rows + row, n_rows, numbers, NULL, NULL);

		if (status != DEV_OK)
			return status;
		for (size_t column = 0; column < n_columns; column++)
			for (size_t i = 0; i < n_rows; i++)
				columns[column * n + row + i] = numbers[i * dataset->n_numbers + first + column];
	}
	return DEV_OK;
}

static DevStatus
find_edges(LearnDataset *dataset, const uint32_t *rows, size_t n, int bins, float *workspace, float *edges)
{
	size_t		n_edges = (size_t) bins + 1;
	float	   *columns = workspace;
	float	   *scratch = columns + BIN_COLUMNS * n;
	float	   *numbers = scratch + n;
	double	   *probabilities = dev_alloc(dataset->session, n_edges, sizeof(double));
	double	   *quantiles = dev_alloc(dataset->session, n_edges, sizeof(double));
	uint32_t   *counts = dev_alloc(dataset->session, LEARN_QUANTILE_COUNTS, sizeof(uint32_t));
	DevStatus	status = probabilities == NULL || quantiles == NULL || counts == NULL ? DEV_NO_MEMORY : DEV_OK;

	for (size_t i = 0; i < n_edges && status == DEV_OK; i++)
		probabilities[i] = (double) i / bins;
	for (size_t first = 0; first < dataset->n_numbers && status == DEV_OK; first += BIN_COLUMNS)
	{
		size_t		n_columns = dataset->n_numbers - first < BIN_COLUMNS ? dataset->n_numbers - first : BIN_COLUMNS;

		status = gather_columns(dataset, rows, n, first, n_columns, numbers, columns);
		for (size_t column = 0; column < n_columns && status == DEV_OK; column++)
		{
			status = learn_quantiles(dataset->session, columns + column * n, scratch, n, counts, probabilities, n_edges, quantiles);
			for (size_t i = 0; i < n_edges && status == DEV_OK; i++)
				edges[(first + column) * n_edges + i] = (float) quantiles[i];
		}
	}
	dev_release(dataset->session, probabilities);
	dev_release(dataset->session, quantiles);
	dev_release(dataset->session, counts);
	return status;
}

DevStatus
learn_bin_edges(LearnDataset *dataset, int bins, float *edges)
{
	DevSession *session = dataset->session;
	uint8_t    *flags;
	uint32_t   *rows;
	float	   *workspace = NULL;
	size_t		n_train;
	size_t		n = 0;
	DevStatus	status = DEV_NO_MEMORY;

	if (dataset->stage != STAGE_ENCODED)
		return dev_fail(session, DEV_INVALID, "bins are found in an encoded data set only");
	if (bins < 1 || bins > 65536)
		return dev_fail(session, DEV_INVALID, "bins must be between 1 and 65536, not %d", bins);
	if (dataset->n_numbers == 0)
		return DEV_OK;
	flags = dev_alloc(session, dataset->n_rows, 1);
	if (flags != NULL)
		status = flag_rows(dataset, flags, BIN_SAMPLE_ROWS, &n_train, &n);
	rows = dev_alloc(session, n + 1, sizeof(uint32_t));
	workspace = dev_alloc(session, (BIN_COLUMNS + 1) * n + DATASET_TILE * dataset->n_numbers, sizeof(float));
	if (status == DEV_OK && (rows == NULL || workspace == NULL))
		status = DEV_NO_MEMORY;
	if (status == DEV_OK)
	{
		size_t		listed = 0;

		for (size_t row = 0; row < dataset->n_rows; row++)
			if ((flags[row] & ROW_SAMPLE) != 0)
				rows[listed++] = (uint32_t) row;
		status = find_edges(dataset, rows, n, bins, workspace, edges);
	}
	dev_release(session, workspace);
	dev_release(session, rows);
	dev_release(session, flags);
	return status;
}

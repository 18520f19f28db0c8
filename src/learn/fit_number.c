/*
 * fit_number.c: one number channel, by its training values.
 *
 * One pass reads the column: range, sums, whether it is all integers. Order statistics come from
 * the values themselves, or from an even sample of them when there are more than a million.
 */
#include "fit.h"

#include "idla/learn_drift.h"

#include <float.h>

#define LEAST_QUANTILES 10
#define MOST_QUANTILES 1000
#define ROWS_A_QUANTILE 30
#define LANES 8					/* independent minima, so that they fill a vector */

#define NEARLY_DISTINCT 0.99
#define LONG_NUMBER 1e6			/* numbers of equal length from here on are numbers of something */
#define EXPECTED_TWINS 10		/* chance would have made so many equal pairs */

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

/* ---- One pass ---- */

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

/* ---- Scaling ---- */

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

/* Leaves the values sorted. */
static DevStatus
profile_number(Fitter *fitter, LearnChannel *channel)
{
	DevSession *session = fitter->dataset->session;
	DevStatus	status;

	if (fitter->fit->profile == 0)
		return DEV_OK;
	channel->profile = dev_alloc(session, 1, sizeof(LearnProfile));
	if (channel->profile == NULL)
		return DEV_NO_MEMORY;
	status = learn_sort_floats(session, fitter->values, fitter->scratch, fitter->n_values);
	if (status != DEV_OK)
		return status;
	/* Values that stand in for a sample without any may be more than it has rows. */
	return learn_profile_numbers(session, fitter->values, fitter->n_values,
								 fitter->n_values < fitter->n_sample ? (double) (fitter->n_sample - fitter->n_values) : 0,
								 fitter->fit->profile, channel->profile);
}

DevStatus
learn_fit_number(Fitter *fitter, int number)
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
	status = profile_number(fitter, channel);
	if (status == DEV_OK && channel->scaling == LEARN_QUANTILE)
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


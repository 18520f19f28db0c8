/*
 * leakage.c: two ways in which a table tells more than it should.
 *
 * A column that alone predicts the target almost perfectly was most likely
 * written down after the outcome. And rows of one patient on both sides of the split
 * let a model remember instead of learn; names such as patient_id give that away.
 * Both look at an even sample of the training rows and only ever warn.
 */
#include "rank.h"

#include "dataset.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define AUROC_LIMIT 0.99		/* the best honest column of the Wisconsin cancer data reaches .975 */
#define ACCURACY_LIMIT 0.99
#define ACCURACY_GAIN 0.98		/* and so much of what guessing the commonest class leaves to gain */
#define CORRELATION_LIMIT 0.999
#define FEWEST_ROWS 20
#define FEWEST_OF_A_CLASS 8
#define BIN_ROWS 10				/* numbers are judged in bins of so many rows */
#define CATEGORY_ROWS 5			/* rarer categories are taken for the commonest class */
#define FIGURES_SIZE 512

typedef struct Sample
{
	LearnDataset *dataset;
	size_t		n;
	uint32_t   *rows;			/* (n) ascending */
	float	   *buffer;			/* (chunk_rows) */
	float	   *values;			/* (n) of the channel looked at, NaN: missing */
	float	   *scratch;		/* (n) */
	double	   *keys;			/* (n) */
	double	   *ranks;			/* (n) */
	double	   *target;			/* (n) class codes, or a regression's target */
	double	   *target_ranks;	/* (n) of a regression's target */
	size_t	   *classes;		/* (n_strata) workspace, all zero between uses */
	size_t		n_strata;
	char		figure[80];		/* what was found, in words */
} Sample;

static void
free_sample(Sample *sample)
{
	DevSession *session = sample->dataset->session;

	dev_release(session, sample->rows);
	dev_release(session, sample->buffer);
	dev_release(session, sample->values);
	dev_release(session, sample->scratch);
	dev_release(session, sample->keys);
	dev_release(session, sample->ranks);
	dev_release(session, sample->target);
	dev_release(session, sample->target_ranks);
	dev_release(session, sample->classes);
}

static DevStatus
take_sample(LearnDataset *dataset, size_t n_strata, Sample *sample)
{
	DevSession *session = dataset->session;
	size_t		sizes[LEARN_N_PARTS];
	size_t		seen = 0;

	memset(sample, 0, sizeof(*sample));
	sample->dataset = dataset;
	sample->n_strata = n_strata;
	learn_part_sizes(dataset, sizes);
	sample->n = sizes[LEARN_TRAIN] < LEAKAGE_ROWS ? sizes[LEARN_TRAIN] : LEAKAGE_ROWS;
	sample->rows = dev_alloc(session, sample->n + 1, sizeof(uint32_t));
	sample->buffer = dev_alloc(session, dataset->chunk_rows, sizeof(float));
	sample->values = dev_alloc(session, sample->n + 1, sizeof(float));
	sample->scratch = dev_alloc(session, sample->n + 1, sizeof(float));
	sample->keys = dev_alloc(session, sample->n + 1, sizeof(double));
	sample->ranks = dev_alloc(session, sample->n + 1, sizeof(double));
	sample->target = dev_alloc(session, sample->n + 1, sizeof(double));
	sample->target_ranks = dev_alloc(session, sample->n + 1, sizeof(double));
	sample->classes = dev_alloc(session, n_strata + 1, sizeof(size_t));
	if (sample->rows == NULL || sample->buffer == NULL || sample->values == NULL || sample->scratch == NULL ||
		sample->keys == NULL || sample->ranks == NULL || sample->target == NULL || sample->target_ranks == NULL || sample->classes == NULL)
	{
		free_sample(sample);
		return DEV_NO_MEMORY;
	}
	for (size_t row = 0, taken = 0; row < dataset->n_rows && taken < sample->n; row++)
	{
		if (dataset->parts[row] != LEARN_TRAIN)
			continue;
		seen++;
		if ((uint64_t) seen * sample->n / sizes[LEARN_TRAIN] > taken)
			sample->rows[taken++] = (uint32_t) row;
	}
	return DEV_OK;
}

/*
 * The channel's raw values of the sampled rows, a used category's as the network will tell them apart: the pooled ones
 * are one. In the file, only chunks with such rows are read.
 */
static DevStatus
read_values(Sample *sample, int channel)
{
	LearnDataset *dataset = sample->dataset;
	const int32_t *fitted = dataset->fitted_codes[channel];
	float		n_known = (float) learn_dictionary_size(dataset->dictionaries[channel]);
	const float *column = NULL;
	size_t		chunk = SIZE_MAX;

	for (size_t i = 0; i < sample->n; i++)
	{
		float		value;

		if (sample->rows[i] >> dataset->chunk_shift != chunk)
		{
			DevStatus	status = dev_poll(dataset->session);

			chunk = sample->rows[i] >> dataset->chunk_shift;
			if (status == DEV_OK)
				status = learn_chunk_column(dataset, chunk, channel, sample->buffer, &column);
			if (status != DEV_OK)
				return status;
		}
		value = column[sample->rows[i] & (dataset->chunk_rows - 1)];
		sample->values[i] = fitted != NULL && value >= 0 && value < n_known ? (float) fitted[(size_t) value] : value;
	}
	return DEV_OK;
}

/* ---- Binary targets ---- */

/* Chance that a row of class 1 has a larger key than one of class 0, ties counting half. keys and target: (n). */
static DevStatus
measure_auroc(Sample *sample, const double *keys, const double *target, size_t n, double *auroc)
{
	double		counts[2] = {0, 0};
	double		pairs = 0;
	uint32_t   *order = NULL;
	size_t		end;

	if (learn_order(sample->dataset->session, n, keys, &order) != DEV_OK)
		return dev_status(sample->dataset->session);
	for (size_t first = 0; first < n; first = end)
	{
		double		tie[2] = {0, 0};

		end = learn_tie_end(n, keys, order, first);
		for (size_t i = first; i < end; i++)
			tie[target[order[i]] > 0]++;
		pairs += tie[1] * (counts[0] + tie[0] / 2);
		counts[0] += tie[0];
		counts[1] += tie[1];
	}
	dev_release(sample->dataset->session, order);
	*auroc = counts[0] >= FEWEST_OF_A_CLASS && counts[1] >= FEWEST_OF_A_CLASS ? pairs / counts[0] / counts[1] : 0.5;
	return DEV_OK;
}

/* Judges an AUROC, in either direction. */
static bool
is_too_good(Sample *sample, double auroc, const char *how)
{
	double		best = auroc > 0.5 ? auroc : 1 - auroc;

	snprintf(sample->figure, sizeof(sample->figure), "AUROC %.4f%s", best, how);
	return best >= AUROC_LIMIT;
}

/* That a value is there at all may tell the class: a time of death, a result of the autopsy. */
static DevStatus
check_missing(Sample *sample, bool *leaks)
{
	double		auroc;
	DevStatus	status;

	for (size_t i = 0; i < sample->n; i++)
		sample->keys[i] = isnan(sample->values[i]) ? 1 : 0;
	status = measure_auroc(sample, sample->keys, sample->target, sample->n, &auroc);
	if (status == DEV_OK)
		*leaks = is_too_good(sample, auroc, " by being missing");
	return status;
}

static DevStatus
check_binary(Sample *sample, bool *leaks)
{
	double	   *present_target = sample->ranks;
	double		auroc;
	size_t		n = 0;
	DevStatus	status;

	for (size_t i = 0; i < sample->n; i++)
		if (!isnan(sample->values[i]))
		{
			sample->keys[n] = sample->values[i];
			present_target[n++] = sample->target[i];
		}
	if (n * 2 < sample->n)
		return DEV_OK;
	status = measure_auroc(sample, sample->keys, present_target, n, &auroc);
	if (status == DEV_OK)
		*leaks = is_too_good(sample, auroc, "");
	return status;
}

/* ---- Classes by bins of a number, or by category ---- */

static size_t
commonest_class(Sample *sample, const uint32_t *order, size_t first, size_t end, size_t *size)
{
	size_t		best = 0;

	*size = 0;
	for (size_t i = first; i < end; i++)
	{
		size_t		stratum = (size_t) sample->target[order[i]];

		if (++sample->classes[stratum] > *size)
		{
			*size = sample->classes[stratum];
			best = stratum;
		}
	}
	for (size_t i = first; i < end; i++)
		sample->classes[(size_t) sample->target[order[i]]] = 0;
	return best;
}

/* The share of rows whose class is the commonest of their bin or category. */
static DevStatus
check_classes(Sample *sample, bool category, bool *leaks)
{
	DevSession *session = sample->dataset->session;
	uint32_t   *order = NULL;
	size_t		right = 0;
	size_t		base;
	size_t		commonest;
	size_t		end;
	double		accuracy;
	double		chance;

	/* Missing is a category like any other, and below all numbers. */
	for (size_t i = 0; i < sample->n; i++)
		sample->keys[i] = isnan(sample->values[i]) ? -INFINITY : sample->values[i];
	if (learn_order(session, sample->n, sample->keys, &order) != DEV_OK)
		return dev_status(session);
	commonest = commonest_class(sample, order, 0, sample->n, &base);
	for (size_t first = 0; first < sample->n; first = end)
	{
		size_t		size;

		end = first;
		do
			end = learn_tie_end(sample->n, sample->keys, order, end);
		while (!category && end < sample->n && end - first < BIN_ROWS);
		if (!category || end - first >= CATEGORY_ROWS)
		{
			commonest_class(sample, order, first, end, &size);
			right += size;
			continue;
		}
		for (size_t i = first; i < end; i++)
			right += (size_t) sample->target[order[i]] == commonest;
	}
	dev_release(session, order);
	accuracy = (double) right / (double) sample->n;
	chance = (double) base / (double) sample->n;
	*leaks = accuracy >= ACCURACY_LIMIT && accuracy - chance >= ACCURACY_GAIN * (1 - chance) &&
		sample->n - base >= FEWEST_OF_A_CLASS;
	snprintf(sample->figure, sizeof(sample->figure), "accuracy %.4f", accuracy);
	return DEV_OK;
}

/* ---- Values ---- */

/* Ranks of keys (n), ties sharing their mean. */
static DevStatus
find_ranks(DevSession *session, const double *keys, size_t n, double *ranks)
{
	uint32_t   *order = NULL;
	size_t		end;

	if (learn_order(session, n, keys, &order) != DEV_OK)
		return dev_status(session);
	for (size_t first = 0; first < n; first = end)
	{
		end = learn_tie_end(n, keys, order, first);
		for (size_t i = first; i < end; i++)
			ranks[order[i]] = ((double) first + (double) end - 1) / 2;
	}
	dev_release(session, order);
	return DEV_OK;
}

/* |Pearson's correlation| over rows whose value is not missing; 0 when those are fewer than half or do not vary. */
static double
correlate(const Sample *sample, const double *x, const double *y)
{
	double		mean_x = 0;
	double		mean_y = 0;
	double		xx = 0;
	double		yy = 0;
	double		xy = 0;
	size_t		n = 0;

	for (size_t i = 0; i < sample->n; i++)
		if (!isnan(sample->values[i]))
		{
			mean_x += x[i];
			mean_y += y[i];
			n++;
		}
	if (n < FEWEST_ROWS || n * 2 < sample->n)
		return 0;
	mean_x /= (double) n;
	mean_y /= (double) n;
	for (size_t i = 0; i < sample->n; i++)
		if (!isnan(sample->values[i]))
		{
			xx += (x[i] - mean_x) * (x[i] - mean_x);
			yy += (y[i] - mean_y) * (y[i] - mean_y);
			xy += (x[i] - mean_x) * (y[i] - mean_y);
		}
	return xx > 0 && yy > 0 ? fabs(xy) / sqrt(xx) / sqrt(yy) : 0;
}

/* Missing values are last in rank and take part in no correlation, so they shift no rank that does. */
static DevStatus
check_values(Sample *sample, bool *leaks)
{
	double		pearson;
	double		spearman;
	DevStatus	status;

	for (size_t i = 0; i < sample->n; i++)
		sample->keys[i] = sample->values[i];
	status = find_ranks(sample->dataset->session, sample->keys, sample->n, sample->ranks);
	if (status != DEV_OK)
		return status;
	pearson = correlate(sample, sample->keys, sample->target);
	spearman = correlate(sample, sample->ranks, sample->target_ranks);
	*leaks = pearson >= CORRELATION_LIMIT || spearman >= CORRELATION_LIMIT;
	snprintf(sample->figure, sizeof(sample->figure), "%s correlation %.5f", pearson >= spearman ? "linear" : "rank",
			 pearson >= spearman ? pearson : spearman);
	return DEV_OK;
}

/* ---- All channels ---- */

static DevStatus
load_target(Sample *sample, int target, bool with_ranks)
{
	for (size_t i = 0; i < sample->n; i++)
		sample->target[i] = sample->dataset->targets[sample->rows[i] * (size_t) sample->dataset->n_targets + (size_t) target];
	return with_ranks ? find_ranks(sample->dataset->session, sample->target, sample->n, sample->target_ranks) : DEV_OK;
}

/* Does the channel tell the target loaded last? */
static DevStatus
check_channel(Sample *sample, LearnTask task, int channel, bool *leaks)
{
	bool		category = sample->dataset->channels[channel].kind == LEARN_CATEGORY;
	DevStatus	status = read_values(sample, channel);

	if (status == DEV_OK && task == LEARN_BINARY)
		status = check_missing(sample, leaks);
	if (status != DEV_OK || *leaks)
		return status;
	if (task == LEARN_REGRESSION)
		return check_values(sample, leaks);
	return category || task == LEARN_MULTICLASS ? check_classes(sample, category, leaks) : check_binary(sample, leaks);
}

/* Looks for the target loaded last in every used channel not yet found to leak. */
static DevStatus
check_target(Sample *sample, LearnTask task, bool *leaking, LearnNameText *names, char *figures)
{
	LearnDataset *dataset = sample->dataset;

	for (int i = 0; i < dataset->n_channels; i++)
	{
		const LearnChannel *channel = &dataset->channels[i];
		bool		category = channel->kind == LEARN_CATEGORY;
		bool		leaks = false;
		size_t		used = strlen(figures);
		DevStatus	status;

		if (channel->use != LEARN_USE_KEEP || leaking[i] || (category && task == LEARN_REGRESSION))
			continue;
		status = check_channel(sample, task, i, &leaks);
		if (status != DEV_OK)
			return status;
		if (!leaks)
			continue;
		leaking[i] = true;
		learn_name_text_add(names, channel->name);
		if (used + strlen(channel->name) + strlen(sample->figure) + 8 < FIGURES_SIZE)
			snprintf(figures + used, FIGURES_SIZE - used, "%s\"%s\": %s", used > 0 ? "; " : "", channel->name, sample->figure);
	}
	return DEV_OK;
}

static DevStatus
check_targets(Sample *sample, LearnTask task, LearnNotes *notes)
{
	LearnDataset *dataset = sample->dataset;
	bool	   *leaking = dev_alloc(dataset->session, (size_t) dataset->n_channels, sizeof(bool));
	LearnNameText names = {0};
	char		figures[FIGURES_SIZE] = "";
	DevStatus	status = leaking == NULL ? DEV_NO_MEMORY : DEV_OK;
	const char *text;

	if (task == LEARN_SURVIVAL && status == DEV_OK)
	{
		/* The event as a class, then the time as a value. */
		status = load_target(sample, 1, false);
		if (status == DEV_OK)
			status = check_target(sample, LEARN_BINARY, leaking, &names, figures);
		task = LEARN_REGRESSION;
		if (status == DEV_OK)
			status = load_target(sample, 0, true);
		if (status == DEV_OK)
			status = check_target(sample, task, leaking, &names, figures);
	}
	else if (task == LEARN_MULTILABEL)
		for (int target = 0; target < dataset->n_targets && status == DEV_OK; target++)
		{
			status = load_target(sample, target, false);
			if (status == DEV_OK)
				status = check_target(sample, LEARN_BINARY, leaking, &names, figures);
		}
	else
		for (int target = 0; target < (task == LEARN_REGRESSION ? dataset->n_targets : 1) && status == DEV_OK; target++)
		{
			status = load_target(sample, target, task == LEARN_REGRESSION);
			if (status == DEV_OK)
				status = check_target(sample, task, leaking, &names, figures);
		}
	dev_release(dataset->session, leaking);
	if (status != DEV_OK || names.n == 0)
		return status;
	text = learn_name_text(&names);
	return learn_note(dataset->session, notes, true, figures,
					  "Leave out what is not known before the outcome, with the option columns and \"ignore\".",
					  names.n == 1 ? "column %s alone predicts the target almost perfectly" :
					  "columns %s each predict the target almost perfectly", text);
}

DevStatus
learn_check_leakage(LearnDataset *dataset, LearnTask task, LearnNotes *notes)
{
	size_t		n_strata;
	Sample		sample;
	DevStatus	status = learn_check_targets(dataset, task, &n_strata);

	if (status == DEV_OK)
		status = take_sample(dataset, n_strata, &sample);
	if (status != DEV_OK)
		return status;
	if (sample.n >= FEWEST_ROWS)
		status = check_targets(&sample, task, notes);
	free_sample(&sample);
	return status;
}

/* ---- Names ---- */

static const char *const people[] = {"patient", "patients", "pat", "pt", "subject", "person", "participant", "member",
"client", "resident", NULL};
static const char *const numbers[] = {"id", "ids", "key", "uid", "uuid", "guid", "nbr", "no", "nr", "num", "number",
"identifier", "mrn", "pk", "serial", NULL};
static const char *const person_words[] = {"mrn", "patientid", "patid", "ptid", "subjectid", "personid", "participantid",
"memberid", "patientnumber", "patientno", "nhs", "ssn", NULL};

static bool
is_listed(const char *const *words, const char *word, size_t size)
{
	for (; *words != NULL; words++)
		if (strlen(*words) == size && strncasecmp(*words, word, size) == 0)
			return true;
	return false;
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/*
 * The words of a name are its runs of letters; "patientId" is two. A person is a person's word alone or with a number's;
 * an identifier ends with a number's word.
 */
LearnNameKind
learn_name_kind(const char *name)
{
	bool		person = false;
	bool		number = false;
	bool		ends_with_number = false;
	int			words = 0;

	while (*name != '\0')
	{
		size_t		size = 0;

		if (!is_letter(*name))
		{
			name++;
			continue;
		}
		do
			size++;
		while (is_letter(name[size]) && !(name[size] >= 'A' && name[size] <= 'Z' && name[size - 1] >= 'a'));
		if (is_listed(person_words, name, size))
			return NAME_PERSON;
		person = person || is_listed(people, name, size);
		ends_with_number = is_listed(numbers, name, size);
		number = number || ends_with_number;
		words++;
		name += size;
	}
	if (person && (words == 1 || number))
		return NAME_PERSON;
	return ends_with_number ? NAME_IDENTIFIER : NAME_PLAIN;
}

/* Many different values, most of which come more than once. */
static DevStatus
names_people(Sample *sample, int channel, bool *repeats)
{
	LearnNameKind kind = learn_name_kind(sample->dataset->channels[channel].name);
	DevStatus	status = read_values(sample, channel);
	float	   *present = sample->values;
	size_t		n = 0;
	size_t		distinct = 1;

	for (size_t i = 0; i < sample->n && status == DEV_OK; i++)
	{
		if (isnan(sample->values[i]))
			continue;
		if (sample->values[i] != floorf(sample->values[i]))
			return DEV_OK;
		present[n++] = sample->values[i];
	}
	if (status != DEV_OK || n < FEWEST_ROWS)
		return status;
	status = learn_sort_floats(sample->dataset->session, present, sample->scratch, n);
	for (size_t i = 1; i < n; i++)
		distinct += present[i] != present[i - 1];
	*repeats = (double) distinct <= 0.98 * (double) n &&
		(kind == NAME_PERSON ? distinct >= 10 : distinct >= 20 && (double) distinct >= 0.05 * (double) n);
	return status;
}

DevStatus
learn_check_people(LearnDataset *dataset, LearnNotes *notes)
{
	LearnNameText names = {0};
	bool		sampled = false;
	Sample		sample;
	DevStatus	status = DEV_OK;

	for (int channel = 0; channel < dataset->n_channels && status == DEV_OK; channel++)
	{
		bool		repeats = false;

		if (learn_name_kind(dataset->channels[channel].name) == NAME_PLAIN)
			continue;
		if (!sampled)
			status = take_sample(dataset, 1, &sample);
		if (status != DEV_OK)
			return status;
		sampled = true;
		status = names_people(&sample, channel, &repeats);
		if (repeats)
			learn_name_text_add(&names, dataset->channels[channel].name);
	}
	if (sampled)
		free_sample(&sample);
	if (status != DEV_OK || names.n == 0)
		return status;
	return learn_note(dataset->session, notes, false,
					  "Rows of one patient in several parts of the split make the metrics too good.",
					  "If patients have several rows, name the column in the option group_by.",
					  "columns look like identifiers with several rows each: %s", learn_name_text(&names));
}

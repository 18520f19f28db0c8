/*
 * fit_category.c: one category channel: which categories are worth an input of their own.
 */
#include "rank.h"

#include "fit.h"

#include "idla/learn_drift.h"

#define DISTINCT_TEXTS 0.95

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

/* counts are negative; what is not kept by name is counted under the code of all others. */
static DevStatus
profile_category(Fitter *fitter, LearnChannel *channel, const double *counts, const int32_t *fitted, uint32_t n_known, size_t n_present)
{
	DevSession *session = fitter->dataset->session;
	LearnProfile *profile;

	if (fitter->fit->profile == 0)
		return DEV_OK;
	profile = channel->profile = dev_alloc(session, 1, sizeof(LearnProfile));
	if (profile == NULL)
		return DEV_NO_MEMORY;
	profile->n = channel->n_categories + channel->has_other;
	profile->n_named = channel->n_categories;
	profile->missing = (double) (fitter->n_train - n_present);
	profile->counts = dev_alloc(session, (size_t) profile->n + 1, sizeof(double));
	if (profile->counts == NULL)
		return DEV_NO_MEMORY;
	for (uint32_t code = 0; code < n_known; code++)
		if (fitted[code] >= 0)
			profile->counts[fitted[code]] -= counts[code];
	return DEV_OK;
}

DevStatus
learn_fit_category(Fitter *fitter, int number)
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
		{
			status = keep_names(fitter, number, order);
			if (status == DEV_OK)
				status = profile_category(fitter, channel, counts, fitted, n_known, n_present);
		}
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


/*
 * check_data.h: a table to learn from, made up for the tests of src/learn.
 *
 * Numbers of several shapes, categories of several frequencies, missing values here and there, all drawn from
 * the engine's generator, so that every build of the tests sees the same rows. And a file in memory for what spills.
 */
#ifndef IDLA_TEST_CHECK_DATA_H
#define IDLA_TEST_CHECK_DATA_H

#include "check.h"
#include "idla/learn_data.h"

/* ---- A host's file ---- */

typedef struct CheckFile
{
	char	   *bytes;
	size_t		size;
	size_t		writes;
	size_t		reads;
	size_t		fail_write;		/* number of the write that fails, 0: none */
	size_t		fail_read;
} CheckFile;

static inline bool
check_file_write(void *context, uint64_t offset, const void *bytes, size_t size)
{
	CheckFile  *file = context;

	if (++file->writes == file->fail_write)
		return false;
	if (offset + size > file->size)
	{
		size_t		grown = (size_t) (offset + size) * 2;

		file->bytes = realloc(file->bytes, grown);
		memset(file->bytes + file->size, 0x5a, grown - file->size);
		file->size = grown;
	}
	memcpy(file->bytes + offset, bytes, size);
	return true;
}

static inline bool
check_file_read(void *context, uint64_t offset, void *bytes, size_t size)
{
	CheckFile  *file = context;

	if (++file->reads == file->fail_read || offset + size > file->size)
		return false;
	memcpy(bytes, file->bytes + offset, size);
	return true;
}

static inline LearnSpill
check_spill(CheckFile *file)
{
	LearnSpill	spill = {file, check_file_write, check_file_read};

	memset(file, 0, sizeof(*file));
	return spill;
}

/* ---- A table ---- */

#define CHECK_CHANNELS 8

static const char *const check_names[CHECK_CHANNELS] = {"age", "glucose", "smoker", "weight", "site", "drug", "visits", "flat"};

static inline void
check_channels(DevSession *session, LearnChannel *channels)
{
	memset(channels, 0, CHECK_CHANNELS * sizeof(LearnChannel));
	for (int i = 0; i < CHECK_CHANNELS; i++)
	{
		channels[i].name = (char *) check_names[i];
		channels[i].column = i;
		channels[i].kind = i == 4 || i == 5 ? LEARN_CATEGORY : LEARN_NUMBER;
	}
	channels[3].scaling = LEARN_QUANTILE;
	channels[6].scaling = LEARN_STANDARD;
	(void) session;
}

/* Raw value of a number channel; the text of a category into text. False: missing. */
static inline bool
check_value(int channel, size_t row, float *value, char text[32])
{
	double		u = dev_random_uniform(11, 1000 + (uint64_t) channel, row);
	double		g = dev_random_normal(11, 2000 + (uint64_t) channel, row);

	switch (channel)
	{
		case 0:
			*value = (float) floor(20 + 60 * u);
			return true;
		case 1:
			*value = (float) (90 + 20 * g);
			return u > 0.1;
		case 2:
			*value = u < 0.3;
			return true;
		case 3:
			*value = (float) exp(4 + 0.3 * g);
			return u > 0.02;
		case 4:
			snprintf(text, 32, "site %d", (int) (u * u * 6));
			return true;
		case 5:
			snprintf(text, 32, "drug %d", (int) (u * u * u * 300));
			return g > -1.5;
		case 6:
			*value = (float) floor(-3 * log(u));
			return true;
		default:
			*value = 7;
			return true;
	}
}

static inline float
check_target(LearnTask task, size_t row, int target)
{
	double		age = floor(20 + 60 * dev_random_uniform(11, 1000, row));
	double		noise = dev_random_normal(11, 77, row);

	switch (task)
	{
		case LEARN_BINARY:
			return age + 15 * noise > 60;
		case LEARN_MULTICLASS:
			return (float) (age + 10 * noise < 35 ? 0 : age + 10 * noise < 60 ? 1 : 2);
		case LEARN_REGRESSION:
			return (float) (age + 10 * noise);
		case LEARN_SURVIVAL:
			return target == 1 ? (float) (noise > 0) : (float) (100 / age);
		case LEARN_MULTILABEL:
			return target == 1 ? noise > 0.5 : age + 15 * noise > 60;
		case LEARN_TAGGING:		/* has no targets */
			break;
	}
	return 0;
}

/* The raw row as the data set takes it: categories interned. */
static inline DevStatus
check_raw_row(LearnDataset *dataset, size_t row, float *raw)
{
	for (int channel = 0; channel < CHECK_CHANNELS; channel++)
	{
		char		text[32];
		DevStatus	status = DEV_OK;

		if (!check_value(channel, row, &raw[channel], text))
			raw[channel] = NAN;
		else if (channel == 4 || channel == 5)
			status = learn_dataset_intern(dataset, channel, text, strlen(text), &raw[channel]);
		if (status != DEV_OK)
			return status;
	}
	return DEV_OK;
}

static inline DevStatus
check_fill(LearnDataset *dataset, LearnTask task, size_t n)
{
	DevStatus	status = DEV_OK;

	for (size_t i = 0; i < n && status == DEV_OK; i++)
	{
		float		raw[CHECK_CHANNELS];
		float		targets[2] = {check_target(task, i, 0), check_target(task, i, 1)};
		LearnRow	row = {raw, targets, NULL, 1 + i / 7, (double) (i / 3), LEARN_UNASSIGNED};

		status = check_raw_row(dataset, i, raw);
		if (status == DEV_OK)
			status = learn_dataset_append(dataset, &row);
	}
	return status;
}

static inline size_t
check_list(LearnDataset *dataset, LearnPart part, uint32_t *rows)
{
	size_t		n = 0;

	for (size_t row = 0; row < learn_dataset_rows(dataset); row++)
		if (learn_dataset_parts(dataset)[row] == part)
			rows[n++] = (uint32_t) row;
	return n;
}

/* The note whose message contains the words, or NULL. */
static inline const LearnNote *
check_note(const LearnNotes *notes, const char *words)
{
	for (int i = 0; i < notes->n; i++)
		if (strstr(notes->notes[i].message, words) != NULL)
			return &notes->notes[i];
	return NULL;
}

#endif							/* IDLA_TEST_CHECK_DATA_H */

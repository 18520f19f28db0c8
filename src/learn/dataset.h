/*
 * dataset.h: the data set from inside; private to src/learn.
 *
 * A chunk is a block of `chunk_rows` rows (a power of two). While rows arrive it is column-wise: column c starts at
 * c * stride floats, stride being a little more than chunk_rows so that the columns do not fall on the same cache
 * sets. Once encoded it is row-major, `width` floats a row. The last chunk and the first max_resident are in
 * memory; the rest lies in the host's file, one after another, chunk_bytes each, in either form.
 *
 * A stored row is [scaled numbers..., codes as int32 bits...]. Missing indicators are not stored: a NaN in a number that has an
 * indicator stands for both, and is expanded when a row is copied out. So the encoded data are never larger than the raw.
 */
#ifndef IDLA_LEARN_DATASET_H
#define IDLA_LEARN_DATASET_H

#include <math.h>
#include <string.h>

#include "idla/learn_data.h"

#include "store.h"

/* ---- dictionary.c: byte strings to codes ---- */

typedef struct LearnDictionary LearnDictionary;

extern LearnDictionary *learn_dictionary_create(DevSession *session, uint64_t seed);
extern void learn_dictionary_free(LearnDictionary *dictionary);	/* NULL is allowed */
/* Code of the bytes, a new one at first sight; DEV_BAD_DATA when `most` are known already. */
extern DevStatus learn_dictionary_intern(LearnDictionary *dictionary, const char *bytes, size_t size, uint32_t most, uint32_t *code);
/* Code of the bytes if they are known; any thread may ask while nobody adds. */
extern bool learn_dictionary_find(const LearnDictionary *dictionary, const char *bytes, size_t size, uint32_t *code);
extern uint32_t learn_dictionary_size(const LearnDictionary *dictionary);
/* NUL-terminated; NULL for a code out of range. size may be NULL. */
extern const char *learn_dictionary_text(const LearnDictionary *dictionary, uint32_t code, size_t *size);
/* SipHash-1-3 (Aumasson and Bernstein 2012) under a 128-bit key. */
extern uint64_t learn_hash_bytes(uint64_t key0, uint64_t key1, const char *bytes, size_t size);

/* ---- dataset.c ---- */

typedef enum DatasetStage
{
	STAGE_OPEN,					/* rows may be appended */
	STAGE_FITTED,
	STAGE_ENCODED,
	STAGE_BROKEN				/* encoding stopped half-way: some chunks are raw, some are not */
} DatasetStage;

struct LearnDataset
{
	DevSession *session;
	LearnChannel *channels;
	int			n_channels;
	int			n_targets;
	DatasetStage stage;
	bool		grouped;		/* the split kept groups together */

	LearnSpill	spill;
	bool		may_spill;
	size_t		chunk_rows;
	unsigned	chunk_shift;	/* chunk_rows = 1 << chunk_shift */
	size_t		stride;			/* floats between columns of a raw chunk */
	size_t		chunk_bytes;
	size_t		max_resident;	/* chunks in memory besides the last one */
	size_t		n_resident;
	size_t		n_chunks;
	size_t		chunk_capacity;
	float	  **chunks;			/* NULL: in the file */
	float	   *spare;			/* a chunk's memory, not in use; NULL when none was needed yet */

	size_t		n_rows;
	size_t		capacity;		/* rows that the arrays below have room for */
	float	   *targets;		/* (rows, n_targets) */
	int			n_lessons;		/* a teacher's answers for a row, 0 without one */
	size_t		lesson_memory;	/* bytes that they may take */
	float	   *lessons;		/* (rows, n_lessons), NULL without a teacher */
	uint8_t    *parts;			/* (rows) LearnPart */
	uint64_t   *groups;			/* (rows), NULL while all are 0 */
	double	   *orders;			/* (rows), NULL while all are 0 */

	int			n_fields;
	LearnField *fields;
	LearnStore **stores;		/* (n_fields): a record a row, raw until encoded */
	void	   *field_buffer;	/* a record read from a file */
	size_t		field_buffer_size;

	LearnDictionary **dictionaries;	/* (n_channels), NULL for those without categories */
	int32_t   **fitted_codes;	/* (n_channels): dictionary's code -> fitted code; NULL for numbers */

	/* Known once fitted */
	size_t		n_plain;		/* scaled numbers without an indicator, which come first */
	size_t		n_indicators;	/* scaled numbers with one, which come next; then their indicators, in the same order */
	size_t		n_scaled;		/* n_plain + n_indicators */
	size_t		n_numbers;		/* n_scaled + n_indicators */
	size_t		n_codes;
	size_t		width;			/* n_scaled + n_codes: floats of a stored row */
	float	   *fills;			/* (n_indicators) scaled values that stand for missing ones */
	float	   *workspace;		/* encoded rows read from the file, workspace_rows of them; NULL before the first need */
	size_t		workspace_rows;
};

#define DATASET_TILE 64			/* rows transposed at a time; chunk_rows is a multiple */

/* Rows in chunk k. */
extern size_t learn_chunk_size(const LearnDataset *dataset, size_t chunk);
/* Column of a raw chunk: in place, or read into buffer (chunk_rows). */
extern DevStatus learn_chunk_column(LearnDataset *dataset, size_t chunk, int channel, float *buffer, const float **values);
extern DevStatus learn_chunk_read(LearnDataset *dataset, size_t chunk, float *dst, size_t offset, size_t size);
extern DevStatus learn_chunk_write(LearnDataset *dataset, size_t chunk, const float *src, size_t size);
/* Stored rows by number, in order, into dst (n, width). */
extern DevStatus learn_dataset_fetch(LearnDataset *dataset, const uint32_t *rows, size_t n, float *dst);

/* The stored row, NULL when it is in the file. */
static inline const float *
learn_stored_row(const LearnDataset *dataset, size_t row)
{
	const float *chunk = dataset->chunks[row >> dataset->chunk_shift];

	return chunk == NULL ? NULL : chunk + (row & (dataset->chunk_rows - 1)) * dataset->width;
}

/* A stored row as the network takes it; either destination may be NULL. */
static inline void
learn_expand_row(const LearnDataset *dataset, const float *stored, float *numbers, int32_t *codes)
{
	if (numbers != NULL)
	{
		const float *maybe = stored + dataset->n_plain;
		float	   *filled = numbers + dataset->n_plain;
		float	   *indicators = numbers + dataset->n_scaled;

		memcpy(numbers, stored, dataset->n_plain * sizeof(float));
		for (size_t i = 0; i < dataset->n_indicators; i++)
		{
			filled[i] = isnan(maybe[i]) ? dataset->fills[i] : maybe[i];
			indicators[i] = isnan(maybe[i]) ? 1.0f : 0.0f;
		}
	}
	if (codes != NULL && dataset->n_codes > 0)
		memcpy(codes, stored + dataset->n_scaled, dataset->n_codes * sizeof(int32_t));
}

/* Number of the class (or 0/1 for the event of survival) that a split keeps balanced; 0 where there is no one class. */
static inline uint32_t
learn_stratum(const LearnDataset *dataset, LearnTask task, size_t row)
{
	if (task == LEARN_REGRESSION || task == LEARN_MULTILABEL || dataset->n_targets == 0)
		return 0;
	return (uint32_t) dataset->targets[row * (size_t) dataset->n_targets + (task == LEARN_SURVIVAL ? 1 : 0)];
}

/* Checks that targets are finite and make sense for the task; sets the number of strata, at least 1. */
extern DevStatus learn_check_targets(LearnDataset *dataset, LearnTask task, size_t *n_strata);

/* ---- encode.c ---- */

/* n raw values of a number channel (NaN: missing) -> scaled; missing ones stay NaN when the channel has an indicator. */
extern void learn_scale_numbers(const LearnChannel *channel, size_t n, const float *raw, float *scaled);

/* ---- quantile.c ---- */

/* Ascending, in place; scratch (n). Values must not be NaN. */
extern DevStatus learn_sort_floats(DevSession *session, float *values, float *scratch, size_t n);
/*
 * Quantiles of values (n >= 1, no NaN) at ascending probabilities, interpolated linearly between order statistics as
 * numpy does. Exact; values and scratch (n) are overwritten. counts: (65536) workspace.
 */
extern DevStatus learn_quantiles(DevSession *session, float *values, float *scratch, size_t n, uint32_t *counts,
								 const double *probabilities, size_t n_probabilities, double *quantiles);
#define LEARN_QUANTILE_COUNTS 65536

/* ---- leakage.c ---- */

/* Most rows that the checks below look at: an even sample of the training part. */
#define LEAKAGE_ROWS 65536

/* What names suggest, without looking at values. */
typedef enum LearnNameKind
{
	NAME_PLAIN,
	NAME_IDENTIFIER,			/* "id", "visit_id", "uuid", "serial_number" */
	NAME_PERSON					/* "patient_id", "mrn", "subject" */
} LearnNameKind;

extern LearnNameKind learn_name_kind(const char *name);
/* WARNING on used channels that alone tell the target; targets must have been checked. */
extern DevStatus learn_check_leakage(LearnDataset *dataset, LearnTask task, LearnNotes *notes);
/* NOTICE on channels, used or not, that look like the ids of patients with several rows each. */
extern DevStatus learn_check_people(LearnDataset *dataset, LearnNotes *notes);

/* ---- note.c ---- */

/* "a", "b", ... and 7 more: names of things for a message, quoted. */
typedef struct LearnNameText
{
	char		text[512];
	int			n;				/* names given */
	int			shown;
} LearnNameText;

extern void learn_name_text_add(LearnNameText *list, const char *name);
/* Completes the text with the number of names that did not fit. */
extern const char *learn_name_text(LearnNameText *list);

#endif							/* IDLA_LEARN_DATASET_H */

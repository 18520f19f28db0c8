/*
 * dataset.c: rows in memory, and what does not fit in the host's file.
 *
 * The first chunks stay in memory, later ones go to the file as they fill: training visits
 * all rows equally often, so it does not matter which are near. What a row is worth to
 * the statistics, the split or a batch depends on its number alone, never on where it lies.
 */
#include "dataset.h"

#include <string.h>

#define MOST_CHUNK_SHIFT 13		/* 8,192 rows */
#define LEAST_CHUNK_SHIFT 6		/* one tile */
#define MOST_CHUNK_BYTES ((size_t) 2 << 20)
#define COLUMN_PADDING 16		/* floats: one cache line */
#define CHUNKS_IN_MEMORY 16		/* at least so many chunks make up `memory` */
#define CHUNKS_IN_USE 3			/* being filled, being read, being written */
#define MOST_CHANNELS (1 << 20)
#define MOST_CATEGORIES 16777216u	/* every code is exact in float32 */
#define FIRST_ROWS 1024
#define FIRST_CHUNKS 16
#define WORKSPACE_BYTES 65536
#define READ_GAP 4				/* rows not wanted are read along when no more lie between two that are */
#define POLL_ROWS 4096

static void
choose_chunk(LearnDataset *dataset, size_t memory)
{
	/* Without channels there are rows all the same, of fields alone. */
	size_t		row_bytes = (size_t) (dataset->n_channels > 0 ? dataset->n_channels : 1) * sizeof(float);
	size_t		most = memory / CHUNKS_IN_MEMORY;
	size_t		in_use = dataset->may_spill ? CHUNKS_IN_USE : 1;
	size_t		chunks;

	if (most > MOST_CHUNK_BYTES)
		most = MOST_CHUNK_BYTES;
	dataset->chunk_shift = MOST_CHUNK_SHIFT;
	while (dataset->chunk_shift > LEAST_CHUNK_SHIFT && row_bytes << dataset->chunk_shift > most)
		dataset->chunk_shift--;
	dataset->chunk_rows = (size_t) 1 << dataset->chunk_shift;
	dataset->stride = dataset->chunk_rows + COLUMN_PADDING;
	dataset->chunk_bytes = row_bytes * dataset->stride;
	chunks = memory / dataset->chunk_bytes;
	dataset->max_resident = chunks > in_use ? chunks - in_use : 0;
}

DevStatus
learn_dataset_create(DevSession *session, LearnChannel *channels, int n_channels, int n_targets,
					 size_t memory, const LearnSpill *spill, LearnDataset **dataset)
{
	LearnDataset *created;

	*dataset = NULL;
	if (n_channels < 0 || n_channels > MOST_CHANNELS)
		return dev_fail(session, DEV_INVALID, "a data set cannot have %d input channels, but 0 to %d", n_channels, MOST_CHANNELS);
	if (n_targets < 0 || n_targets > MOST_CHANNELS)
		return dev_fail(session, DEV_INVALID, "a data set cannot have %d targets", n_targets);
	created = dev_alloc(session, 1, sizeof(*created));
	if (created == NULL)
		return DEV_NO_MEMORY;
	created->session = session;
	created->channels = channels;
	created->n_channels = n_channels;
	created->n_targets = n_targets;
	if (spill != NULL)
	{
		created->spill = *spill;
		created->may_spill = true;
	}
	choose_chunk(created, memory);
	created->dictionaries = dev_alloc(session, (size_t) n_channels + 1, sizeof(LearnDictionary *));
	created->fitted_codes = dev_alloc(session, (size_t) n_channels + 1, sizeof(int32_t *));
	if (created->dictionaries == NULL || created->fitted_codes == NULL)
	{
		learn_dataset_free(created);
		return DEV_NO_MEMORY;
	}
	*dataset = created;
	return DEV_OK;
}

void
learn_dataset_free(LearnDataset *dataset)
{
	DevSession *session;

	if (dataset == NULL)
		return;
	session = dataset->session;
	for (size_t chunk = 0; chunk < dataset->n_chunks; chunk++)
		dev_release(session, dataset->chunks[chunk]);
	for (int channel = 0; channel < dataset->n_channels; channel++)
	{
		if (dataset->dictionaries != NULL)
			learn_dictionary_free(dataset->dictionaries[channel]);
		if (dataset->fitted_codes != NULL)
			dev_release(session, dataset->fitted_codes[channel]);
	}
	for (int field = 0; dataset->stores != NULL && field < dataset->n_fields; field++)
		learn_store_free(dataset->stores[field]);
	dev_release(session, dataset->stores);
	dev_release(session, dataset->field_buffer);
	dev_release(session, dataset->chunks);
	dev_release(session, dataset->spare);
	dev_release(session, dataset->dictionaries);
	dev_release(session, dataset->fitted_codes);
	dev_release(session, dataset->targets);
	dev_release(session, dataset->lessons);
	dev_release(session, dataset->parts);
	dev_release(session, dataset->groups);
	dev_release(session, dataset->orders);
	dev_release(session, dataset->fills);
	dev_release(session, dataset->workspace);
	dev_release(session, dataset);
}

DevStatus
learn_dataset_add_fields(LearnDataset *dataset, LearnField *fields, int n_fields, size_t memory, const LearnSpill *const *spills)
{
	DevSession *session = dataset->session;

	if (dataset->n_rows > 0 || dataset->n_fields > 0 || n_fields < 1)
		return dev_fail(session, DEV_INVALID, "%d fields cannot be added to a data set of %zu rows and %d fields", n_fields,
						dataset->n_rows, dataset->n_fields);
	dataset->stores = dev_alloc(session, (size_t) n_fields, sizeof(LearnStore *));
	if (dataset->stores == NULL)
		return DEV_NO_MEMORY;
	dataset->fields = fields;
	dataset->n_fields = n_fields;
	for (int i = 0; i < n_fields; i++)
	{
		DevStatus	status = learn_store_create(session, memory / (size_t) n_fields, spills == NULL ? NULL : spills[i],
												&dataset->stores[i]);

		if (status != DEV_OK)
			return status;
	}
	return DEV_OK;
}

/* ---- Categories ---- */

DevStatus
learn_dataset_intern(LearnDataset *dataset, int channel, const char *bytes, size_t size, float *code)
{
	LearnDictionary *dictionary;
	DevStatus	status;
	uint32_t	number;

	if (channel < 0 || channel >= dataset->n_channels || dataset->channels[channel].kind != LEARN_CATEGORY)
		return dev_fail(dataset->session, DEV_INVALID, "channel %d has no categories", channel);
	dictionary = dataset->dictionaries[channel];
	if (dictionary == NULL)
	{
		dictionary = learn_dictionary_create(dataset->session, dev_session_seed(dataset->session));
		if (dictionary == NULL)
			return DEV_NO_MEMORY;
		dataset->dictionaries[channel] = dictionary;
	}
	status = learn_dictionary_intern(dictionary, bytes, size, MOST_CATEGORIES, &number);
	if (status == DEV_BAD_DATA)
	{
		dev_fail(dataset->session, status, "column \"%s\" has more than %u different categories",
				 dataset->channels[channel].name, MOST_CATEGORIES);
		dev_hint(dataset->session, "Leave the column out, or group its values in the source.");
	}
	if (status == DEV_OK)
		*code = (float) number;
	return status;
}

/* ---- Rows coming in ---- */

/* A larger copy of array, zeros behind it; the array itself, and *failed, when there is no memory for it. */
static void *
grow_array(LearnDataset *dataset, void *array, size_t capacity, size_t size, bool *failed)
{
	void	   *grown;

	if (*failed || size == 0)
		return array;
	grown = dev_alloc(dataset->session, capacity, size);
	if (grown == NULL)
	{
		*failed = true;
		return array;
	}
	if (array != NULL)
		memcpy(grown, array, dataset->n_rows * size);
	dev_release(dataset->session, array);
	return grown;
}

static DevStatus
grow_rows(LearnDataset *dataset)
{
	size_t		targets_size = (size_t) dataset->n_targets * sizeof(float);
	size_t		lessons_size = (size_t) dataset->n_lessons * sizeof(float);
	size_t		capacity = dataset->capacity > 0 ? dataset->capacity * 2 : FIRST_ROWS;
	bool		failed = false;

	if (dataset->n_lessons > 0)
	{
		/* What is doubled may be more than what is allowed: then as much as that is. */
		size_t		most = dataset->lesson_memory / lessons_size;

		capacity = capacity < most ? capacity : most;
		if (capacity <= dataset->n_rows)
		{
			dev_fail(dataset->session, DEV_NO_MEMORY, "the teacher's answers do not fit in the memory for training");
			dev_detail(dataset->session, "%zu rows of %d answers fill their half of it.", dataset->n_rows, dataset->n_lessons);
			dev_hint(dataset->session, "Increase idla.train_memory.");
			return DEV_NO_MEMORY;
		}
		dataset->lessons = grow_array(dataset, dataset->lessons, capacity, lessons_size, &failed);
	}
	dataset->targets = grow_array(dataset, dataset->targets, capacity, targets_size, &failed);
	dataset->parts = grow_array(dataset, dataset->parts, capacity, sizeof(uint8_t), &failed);
	if (dataset->groups != NULL)
		dataset->groups = grow_array(dataset, dataset->groups, capacity, sizeof(uint64_t), &failed);
	if (dataset->orders != NULL)
		dataset->orders = grow_array(dataset, dataset->orders, capacity, sizeof(double), &failed);
	if (failed)
		return DEV_NO_MEMORY;
	dataset->capacity = capacity;
	return DEV_OK;
}

static DevStatus
over_memory(LearnDataset *dataset)
{
	dev_fail(dataset->session, DEV_NO_MEMORY, "the rows do not fit in the memory for training");
	dev_detail(dataset->session, "%zu rows of %d values fill it.", dataset->n_rows, dataset->n_channels);
	dev_hint(dataset->session, "Increase idla.train_memory.");
	return DEV_NO_MEMORY;
}

/* The chunk for the next row; the one just filled stays in memory while there is room. */
static DevStatus
next_chunk(LearnDataset *dataset)
{
	float	   *fresh = NULL;
	bool		keep;

	if (dataset->n_chunks == dataset->chunk_capacity)
	{
		size_t		capacity = dataset->chunk_capacity > 0 ? dataset->chunk_capacity * 2 : FIRST_CHUNKS;
		float	  **grown = dev_alloc(dataset->session, capacity, sizeof(float *));

		if (grown == NULL)
			return DEV_NO_MEMORY;
		if (dataset->n_chunks > 0)
			memcpy(grown, dataset->chunks, dataset->n_chunks * sizeof(float *));
		dev_release(dataset->session, dataset->chunks);
		dataset->chunks = grown;
		dataset->chunk_capacity = capacity;
	}
	keep = dataset->n_chunks == 0 || dataset->n_resident < dataset->max_resident;
	if (!keep && !dataset->may_spill)
		return over_memory(dataset);
	if (keep)
	{
		fresh = dev_alloc(dataset->session, dataset->chunk_bytes, 1);
		if (fresh == NULL)
			return DEV_NO_MEMORY;
		dataset->n_resident += dataset->n_chunks > 0;
	}
	else
	{
		size_t		full = dataset->n_chunks - 1;
		DevStatus	status = learn_chunk_write(dataset, full, dataset->chunks[full], dataset->chunk_bytes);

		if (status != DEV_OK)
			return status;
		fresh = dataset->chunks[full];
		dataset->chunks[full] = NULL;
	}
	dataset->chunks[dataset->n_chunks++] = fresh;
	return dev_poll(dataset->session);
}

/* Called when one of the arrays is full or a row brings the first value of an optional one. */
static DevStatus
make_room(LearnDataset *dataset, const LearnRow *row)
{
	if (dataset->stage != STAGE_OPEN)
		return dev_fail(dataset->session, DEV_INVALID, "rows cannot be added once the data set is fitted");
	if (dataset->n_rows == UINT32_MAX)
		return dev_fail(dataset->session, DEV_BAD_DATA, "more than %lu rows", (unsigned long) UINT32_MAX);
	if (dataset->n_rows == dataset->capacity && grow_rows(dataset) != DEV_OK)
		return DEV_NO_MEMORY;
	if (row->group != 0 && dataset->groups == NULL)
	{
		dataset->groups = dev_alloc(dataset->session, dataset->capacity, sizeof(uint64_t));
		if (dataset->groups == NULL)
			return DEV_NO_MEMORY;
	}
	if (row->order != 0 && dataset->orders == NULL)
	{
		dataset->orders = dev_alloc(dataset->session, dataset->capacity, sizeof(double));
		if (dataset->orders == NULL)
			return DEV_NO_MEMORY;
	}
	if (dataset->n_rows == dataset->n_chunks << dataset->chunk_shift)
		return next_chunk(dataset);
	return DEV_OK;
}

DevStatus
learn_dataset_append(LearnDataset *dataset, const LearnRow *row)
{
	size_t		at = dataset->n_rows;
	size_t		n_channels = (size_t) dataset->n_channels;
	size_t		n_targets = (size_t) dataset->n_targets;
	size_t		stride = dataset->stride;
	float	   *dst;

	if (dataset->stage != STAGE_OPEN || at == dataset->capacity || at == dataset->n_chunks << dataset->chunk_shift ||
		(row->group != 0 && dataset->groups == NULL) || (row->order != 0 && dataset->orders == NULL))
	{
		DevStatus	status = make_room(dataset, row);

		if (status != DEV_OK)
			return status;
	}
	if (row->part >= LEARN_N_PARTS && row->part != LEARN_UNASSIGNED)
		return dev_fail(dataset->session, DEV_INVALID, "a row cannot belong to part %d", (int) row->part);
	for (int field = 0; field < dataset->n_fields; field++)
	{
		DevStatus	status = learn_store_append(dataset->stores[field], row->fields[field].bytes, row->fields[field].size);

		if (status != DEV_OK)
			return status;
	}

	/* Infinities count as missing, and the two zeros as one value. */
	dst = dataset->chunks[dataset->n_chunks - 1] + (at & (dataset->chunk_rows - 1));
	for (size_t channel = 0; channel < n_channels; channel++)
	{
		float		value = row->channels[channel];

		dst[channel * stride] = isfinite(value) ? value + 0.0f : NAN;
	}
	for (size_t target = 0; target < n_targets; target++)
		dataset->targets[at * n_targets + target] = row->targets[target];
	for (size_t answer = 0; answer < (size_t) dataset->n_lessons; answer++)
		dataset->lessons[at * (size_t) dataset->n_lessons + answer] = NAN;
	dataset->parts[at] = row->part;
	if (dataset->groups != NULL)
		dataset->groups[at] = row->group;
	if (dataset->orders != NULL)
		dataset->orders[at] = row->order;
	dataset->n_rows++;
	return DEV_OK;
}

size_t
learn_dataset_rows(const LearnDataset *dataset)
{
	return dataset->n_rows;
}

float *
learn_dataset_targets(LearnDataset *dataset)
{
	return dataset->targets;
}

DevStatus
learn_dataset_teach(LearnDataset *dataset, int n_answers, size_t memory)
{
	if (dataset->n_rows > 0 || dataset->capacity > 0 || dataset->n_lessons > 0)
		return dev_fail(dataset->session, DEV_INVALID, "a teacher's answers cannot be added to a data set of %zu rows", dataset->n_rows);
	if (n_answers < 1 || n_answers > MOST_CHANNELS)
		return dev_fail(dataset->session, DEV_INVALID, "a teacher cannot have %d answers for a row", n_answers);
	dataset->n_lessons = n_answers;
	dataset->lesson_memory = memory;
	return DEV_OK;
}

float *
learn_dataset_lessons(LearnDataset *dataset)
{
	return dataset->lessons;
}

uint8_t *
learn_dataset_parts(LearnDataset *dataset)
{
	return dataset->parts;
}

void
learn_part_sizes(const LearnDataset *dataset, size_t sizes[LEARN_N_PARTS])
{
	size_t		counts[256] = {0};

	for (size_t row = 0; row < dataset->n_rows; row++)
		counts[dataset->parts[row]]++;
	for (int part = 0; part < LEARN_N_PARTS; part++)
		sizes[part] = counts[part];
}

/* ---- Chunks ---- */

size_t
learn_chunk_size(const LearnDataset *dataset, size_t chunk)
{
	size_t		before = chunk << dataset->chunk_shift;

	return dataset->n_rows - before < dataset->chunk_rows ? dataset->n_rows - before : dataset->chunk_rows;
}

/* The host's file cannot be written far beyond its end, so the chunks in memory leave no gap. */
static uint64_t
file_place(const LearnDataset *dataset, size_t chunk)
{
	return (uint64_t) (chunk - dataset->max_resident) * dataset->chunk_bytes;
}

DevStatus
learn_chunk_read(LearnDataset *dataset, size_t chunk, float *dst, size_t offset, size_t size)
{
	if (!dataset->spill.read(dataset->spill.context, file_place(dataset, chunk) + offset, dst, size))
		return dev_fail(dataset->session, DEV_HOST, "could not read the temporary file of the data set");
	return DEV_OK;
}

DevStatus
learn_chunk_write(LearnDataset *dataset, size_t chunk, const float *src, size_t size)
{
	if (!dataset->spill.write(dataset->spill.context, file_place(dataset, chunk), src, size))
		return dev_fail(dataset->session, DEV_HOST, "could not write the temporary file of the data set");
	return DEV_OK;
}

DevStatus
learn_chunk_column(LearnDataset *dataset, size_t chunk, int channel, float *buffer, const float **values)
{
	size_t		first = (size_t) channel * dataset->stride;

	if (dataset->chunks[chunk] != NULL)
	{
		*values = dataset->chunks[chunk] + first;
		return DEV_OK;
	}
	*values = buffer;
	return learn_chunk_read(dataset, chunk, buffer, first * sizeof(float), dataset->chunk_rows * sizeof(float));
}

/* ---- Encoded rows by number ---- */

/*
 * Reads rows[0] and those after it that follow closely in the same chunk of the file; *count of them then lie in
 * workspace, row i at (rows[i] - rows[0]) * width.
 */
static DevStatus
read_run(LearnDataset *dataset, const uint32_t *rows, size_t n, size_t *count)
{
	size_t		row_bytes = dataset->width * sizeof(float);
	size_t		chunk = rows[0] >> dataset->chunk_shift;
	size_t		last = 0;

	if (dataset->workspace == NULL)
	{
		dataset->workspace_rows = WORKSPACE_BYTES / row_bytes > 0 ? WORKSPACE_BYTES / row_bytes : 1;
		dataset->workspace = dev_alloc(dataset->session, dataset->workspace_rows, row_bytes);
		if (dataset->workspace == NULL)
			return DEV_NO_MEMORY;
	}
	while (last + 1 < n && rows[last + 1] >= rows[last] && rows[last + 1] - rows[last] <= READ_GAP &&
		   rows[last + 1] >> dataset->chunk_shift == chunk && rows[last + 1] - rows[0] < dataset->workspace_rows)
		last++;
	*count = last + 1;
	return learn_chunk_read(dataset, chunk, dataset->workspace, (rows[0] & (dataset->chunk_rows - 1)) * row_bytes,
							(rows[last] - rows[0] + 1) * row_bytes);
}

/* The stored row rows[i]; `run` remembers which rows lie in the workspace. */
typedef struct ReadRun
{
	size_t		first;
	size_t		end;
} ReadRun;

static const float nothing[1];	/* a row of fields alone */

static inline DevStatus
find_row(LearnDataset *dataset, const uint32_t *rows, size_t n, size_t i, ReadRun *run, const float **stored)
{
	if (i % POLL_ROWS == 0 && dev_poll(dataset->session) != DEV_OK)
		return DEV_CANCELLED;
	if (rows[i] >= dataset->n_rows)
		return dev_fail(dataset->session, DEV_INVALID, "no row %lu in a data set of %zu", (unsigned long) rows[i], dataset->n_rows);
	*stored = learn_stored_row(dataset, rows[i]);
	if (*stored != NULL)
		return DEV_OK;
	if (dataset->width == 0)
	{
		*stored = nothing;
		return DEV_OK;
	}
	if (i >= run->end)
	{
		size_t		count = 0;
		DevStatus	status = read_run(dataset, rows + i, n - i, &count);

		if (status != DEV_OK)
			return status;
		run->first = i;
		run->end = i + count;
	}
	*stored = dataset->workspace + (size_t) (rows[i] - rows[run->first]) * dataset->width;
	return DEV_OK;
}

static DevStatus
require_encoded(LearnDataset *dataset)
{
	if (dataset->stage != STAGE_ENCODED)
		return dev_fail(dataset->session, DEV_INVALID, "the data set is not encoded");
	return DEV_OK;
}

DevStatus
learn_dataset_fetch(LearnDataset *dataset, const uint32_t *rows, size_t n, float *dst)
{
	DevStatus	status = require_encoded(dataset);
	ReadRun		run = {0, 0};

	for (size_t i = 0; i < n && status == DEV_OK; i++)
	{
		const float *stored = NULL;

		status = find_row(dataset, rows, n, i, &run, &stored);
		if (status == DEV_OK)
			memcpy(dst + i * dataset->width, stored, dataset->width * sizeof(float));
	}
	return status;
}

DevStatus
learn_dataset_gather(LearnDataset *dataset, const uint32_t *rows, size_t n,
					 float *numbers, int32_t *codes, float *targets)
{
	DevStatus	status = require_encoded(dataset);
	size_t		n_targets = (size_t) dataset->n_targets;
	ReadRun		run = {0, 0};

	for (size_t i = 0; i < n && status == DEV_OK; i++)
	{
		const float *stored = NULL;

		status = find_row(dataset, rows, n, i, &run, &stored);
		if (status != DEV_OK)
			return status;
		learn_expand_row(dataset, stored, numbers == NULL ? NULL : numbers + i * dataset->n_numbers,
						 codes == NULL ? NULL : codes + i * dataset->n_codes);
		if (targets != NULL && n_targets > 0)
			memcpy(targets + i * n_targets, dataset->targets + rows[i] * n_targets, n_targets * sizeof(float));
	}
	return status;
}

DevStatus
learn_dataset_field(LearnDataset *dataset, int field, size_t row, LearnBytes *value)
{
	LearnStore *store = dataset->stores[field];
	size_t		size = learn_store_size(store, row);

	*value = (LearnBytes) {NULL, 0};
	if (learn_store_missing(store, row))
		return DEV_OK;
	value->size = size;
	value->bytes = learn_store_find(store, row);
	if (value->bytes != NULL)
		return DEV_OK;
	if (dataset->field_buffer_size < size || dataset->field_buffer == NULL)
	{
		dev_release(dataset->session, dataset->field_buffer);
		dataset->field_buffer_size = 0;
		dataset->field_buffer = dev_alloc(dataset->session, size + 1, 1);
		if (dataset->field_buffer == NULL)
			return DEV_NO_MEMORY;
		dataset->field_buffer_size = size;
	}
	value->bytes = dataset->field_buffer;
	return learn_store_read(store, row, dataset->field_buffer);
}

/*
 * sampler.c: every row once an epoch, in an order that reads well and mixes well.
 *
 * Rows are taken in blocks of 64 neighbours, blocks in random order; some hundred blocks make a window, within
 * which rows are shuffled freely. So a batch draws from all over the table, while
 * rows in the host's file are read in pieces worth reading. Rows in memory are not
 * copied for it: a window is then no more than a list of row numbers.
 */
#include "dataset.h"

#include <string.h>

#define BLOCK_ROWS ((size_t) 64)
#define MOST_WINDOW_ROWS ((size_t) 32768)
#define LEAST_WINDOW_ROWS ((size_t) 1024)
#define LEAST_FIELD_WINDOW_ROWS ((size_t) 256)
#define POLL_RECORDS 64
#define FIELD_ALIGNMENT ((size_t) 16)
#define MOST_WINDOW_BYTES ((size_t) 16 << 20)
#define PREFETCH 8				/* rows ahead; memory answers in the time that so many rows are copied */
#define CACHE_LINE 64
#define POOL_BATCHES 40		/* batches whose rows are sorted together */

/* One field's values of the window's rows, where some lie in the file. */
typedef struct FieldWindow
{
	char	   *bytes;			/* NULL: all values are in memory */
	size_t		capacity;
	size_t	   *offsets;		/* (window_rows) of picked row i */
} FieldWindow;

struct LearnSampler
{
	DevSession *session;
	LearnDataset *dataset;
	const uint32_t *rows;		/* borrowed */
	size_t		n;
	uint64_t	seed;
	uint64_t	epoch;

	size_t		n_blocks;
	uint32_t   *blocks;			/* in the epoch's order */
	size_t		next_block;
	size_t		window_rows;	/* most, a multiple of BLOCK_ROWS */

	size_t		count;			/* rows of the window now */
	uint32_t   *picked;			/* (window_rows) row numbers in shuffled order */
	uint32_t   *unshuffled;		/* the same before; NULL when all rows are in memory */
	uint32_t   *slots;			/* (window_rows) place in window of picked row; NULL when all rows are in memory */
	float	   *window;			/* (window_rows, width) stored rows; NULL when all rows are in memory */
	FieldWindow *fields;		/* (n_fields) */

	size_t		batch;			/* rows that are grouped by the length of their texts, 0: none are */
	uint64_t   *keys;			/* (2, window_rows): length << 32 | place, and scratch */
};

/* Numbers for shuffling, four a call of the generator; bound is far below 2^32, so the bias is too small to matter. */
typedef struct ShuffleDraw
{
	uint64_t	seed;
	uint64_t	counter;
	uint32_t	bits[4];
	int			left;
} ShuffleDraw;

static inline uint32_t
draw_below(ShuffleDraw *draw, uint32_t bound)
{
	if (draw->left == 0)
	{
		dev_random_bits(draw->seed, DEV_STREAM_SHUFFLE, draw->counter++, draw->bits);
		draw->left = 4;
	}
	return (uint32_t) ((uint64_t) draw->bits[--draw->left] * bound >> 32);
}

static void
shuffle(uint32_t *values, size_t n, uint64_t seed, uint64_t counter)
{
	ShuffleDraw draw = {.seed = seed,.counter = counter};

	for (size_t i = n; i > 1; i--)
	{
		uint32_t	other = draw_below(&draw, (uint32_t) i);
		uint32_t	swap = values[i - 1];

		values[i - 1] = values[other];
		values[other] = swap;
	}
}

/* Counters of an epoch: the order of blocks draws below 2^31, windows above. */
static uint64_t
first_counter(uint64_t epoch, uint64_t within)
{
	return epoch << 32 | within;
}

DevStatus
learn_sampler_create(LearnDataset *dataset, const uint32_t *rows, size_t n, uint64_t seed, LearnSampler **sampler)
{
	DevSession *session = dataset->session;
	bool		spilled = dataset->n_resident + 1 < dataset->n_chunks;
	size_t		row_bytes = dataset->width * sizeof(float);
	size_t		field_bytes = 0;
	bool		failed = false;
	size_t		least = dataset->n_fields > 0 ? LEAST_FIELD_WINDOW_ROWS : LEAST_WINDOW_ROWS;
	LearnSampler *created;

	*sampler = NULL;
	if (dataset->stage != STAGE_ENCODED)
		return dev_fail(session, DEV_INVALID, "rows are drawn from an encoded data set only");
	for (size_t i = 0; i < n; i++)
		if (rows[i] >= dataset->n_rows)
			return dev_fail(session, DEV_INVALID, "no row %lu in a data set of %zu", (unsigned long) rows[i], dataset->n_rows);
	created = dev_alloc(session, 1, sizeof(*created));
	if (created == NULL)
		return DEV_NO_MEMORY;
	created->session = session;
	created->dataset = dataset;
	created->rows = rows;
	created->n = n;
	created->seed = seed;
	created->n_blocks = (n + BLOCK_ROWS - 1) / BLOCK_ROWS;
	/* What a window holds must not depend on the memory given, or the order of rows would. */
	created->window_rows = MOST_WINDOW_ROWS;
	for (int field = 0; field < dataset->n_fields; field++)
		field_bytes += learn_store_bytes(dataset->stores[field]) / (dataset->n_rows + 1);
	while (created->window_rows > least && created->window_rows * (row_bytes + field_bytes) > MOST_WINDOW_BYTES)
		created->window_rows /= 2;
	if (created->window_rows > created->n_blocks * BLOCK_ROWS)
		created->window_rows = created->n_blocks > 0 ? created->n_blocks * BLOCK_ROWS : BLOCK_ROWS;

	created->blocks = dev_alloc(session, created->n_blocks + 1, sizeof(uint32_t));
	created->picked = dev_alloc(session, created->window_rows, sizeof(uint32_t));
	if (spilled)
	{
		created->unshuffled = dev_alloc(session, created->window_rows, sizeof(uint32_t));
		created->slots = dev_alloc(session, created->window_rows, sizeof(uint32_t));
		created->window = dev_alloc(session, created->window_rows, row_bytes);
	}
	created->fields = dev_alloc(session, (size_t) dataset->n_fields + 1, sizeof(FieldWindow));
	for (int field = 0; created->fields != NULL && field < dataset->n_fields; field++)
		if (learn_store_spilled(dataset->stores[field]))
		{
			created->fields[field].offsets = dev_alloc(session, created->window_rows, sizeof(size_t));
			failed = failed || created->fields[field].offsets == NULL;
		}
	if (failed || created->blocks == NULL || created->picked == NULL || created->fields == NULL ||
		(spilled && (created->unshuffled == NULL || created->slots == NULL || created->window == NULL)))
	{
		learn_sampler_free(created);
		return DEV_NO_MEMORY;
	}
	learn_sampler_epoch(created, 0);
	*sampler = created;
	return DEV_OK;
}

void
learn_sampler_free(LearnSampler *sampler)
{
	DevSession *session;

	if (sampler == NULL)
		return;
	session = sampler->session;
	dev_release(session, sampler->blocks);
	dev_release(session, sampler->picked);
	dev_release(session, sampler->unshuffled);
	dev_release(session, sampler->slots);
	dev_release(session, sampler->window);
	for (int field = 0; sampler->fields != NULL && field < sampler->dataset->n_fields; field++)
	{
		dev_release(session, sampler->fields[field].bytes);
		dev_release(session, sampler->fields[field].offsets);
	}
	dev_release(session, sampler->fields);
	dev_release(session, sampler->keys);
	dev_release(session, sampler);
}

void
learn_sampler_epoch(LearnSampler *sampler, uint64_t epoch)
{
	sampler->epoch = epoch;
	sampler->next_block = 0;
	sampler->count = 0;
	for (size_t block = 0; block < sampler->n_blocks; block++)
		sampler->blocks[block] = (uint32_t) block;
	shuffle(sampler->blocks, sampler->n_blocks, sampler->seed, first_counter(epoch, 0));
}

/* Rows of the window in memory order of the blocks, into dst. */
static void
list_window(LearnSampler *sampler, uint32_t *dst)
{
	size_t		n_blocks = sampler->window_rows / BLOCK_ROWS;

	sampler->count = 0;
	for (size_t i = 0; i < n_blocks && sampler->next_block < sampler->n_blocks; i++)
	{
		size_t		first = (size_t) sampler->blocks[sampler->next_block++] * BLOCK_ROWS;
		size_t		size = sampler->n - first < BLOCK_ROWS ? sampler->n - first : BLOCK_ROWS;

		memcpy(dst + sampler->count, sampler->rows + first, size * sizeof(uint32_t));
		sampler->count += size;
	}
}

/* Values of a field that is partly in the file: all of the window's into memory, in the order of the rows picked. */
static DevStatus
fetch_field(LearnSampler *sampler, int number)
{
	LearnStore *store = sampler->dataset->stores[number];
	FieldWindow *window = &sampler->fields[number];
	size_t		total = 0;
	DevStatus	status = DEV_OK;

	if (window->offsets == NULL)
		return DEV_OK;
	for (size_t i = 0; i < sampler->count; i++)
	{
		window->offsets[i] = total;
		total += (learn_store_size(store, sampler->picked[i]) + FIELD_ALIGNMENT - 1) / FIELD_ALIGNMENT * FIELD_ALIGNMENT;
	}
	if (total > window->capacity)
	{
		dev_release(sampler->session, window->bytes);
		window->capacity = 0;
		window->bytes = dev_alloc(sampler->session, total, 1);
		if (window->bytes == NULL)
			return DEV_NO_MEMORY;
		window->capacity = total;
	}
	for (size_t i = 0; i < sampler->count && status == DEV_OK; i++)
	{
		status = i % POLL_RECORDS == 0 ? dev_poll(sampler->session) : DEV_OK;
		if (status == DEV_OK && window->bytes != NULL)
			status = learn_store_read(store, sampler->picked[i], window->bytes + window->offsets[i]);
	}
	return status;
}

/* ---- Texts of a length together ---- */

DevStatus
learn_sampler_group(LearnSampler *sampler, size_t batch)
{
	const LearnDataset *dataset = sampler->dataset;
	bool		texts = false;

	for (int field = 0; field < dataset->n_fields; field++)
		texts = texts || dataset->fields[field].kind == LEARN_TEXT;
	if (!texts || batch == 0)
		return DEV_OK;
	dev_release(sampler->session, sampler->keys);
	sampler->keys = dev_alloc(sampler->session, 2 * sampler->window_rows, sizeof(uint64_t));
	if (sampler->keys == NULL)
		return DEV_NO_MEMORY;
	sampler->batch = batch;
	return DEV_OK;
}

static uint64_t
text_bytes(const LearnDataset *dataset, size_t row)
{
	uint64_t	most = 0;

	for (int field = 0; field < dataset->n_fields; field++)
		if (dataset->fields[field].kind == LEARN_TEXT && learn_store_size(dataset->stores[field], row) > most)
			most = learn_store_size(dataset->stores[field], row);
	return most;
}

/* Ascending; keys differ. */
static void
sort_keys(uint64_t *keys, uint64_t *scratch, size_t n)
{
	for (size_t run = 1; run < n; run *= 2)
	{
		for (size_t first = 0; first < n; first += 2 * run)
		{
			size_t		middle = first + run < n ? first + run : n;
			size_t		end = first + 2 * run < n ? first + 2 * run : n;
			size_t		a = first;
			size_t		b = middle;

			for (size_t i = first; i < end; i++)
				scratch[i] = b == end || (a < middle && keys[a] < keys[b]) ? keys[a++] : keys[b++];
		}
		memcpy(keys, scratch, n * sizeof(uint64_t));
	}
}

/* Rows of the window, by number or place, sorted by length in pools; then whole batches change places. */
static void
group_rows(LearnSampler *sampler, uint32_t *rows, uint64_t counter)
{
	size_t		n = sampler->count;
	size_t		n_batches = (n + sampler->batch - 1) / sampler->batch;
	uint64_t   *keys = sampler->keys;
	uint64_t   *scratch = keys + sampler->window_rows;
	uint32_t   *order = (uint32_t *) (void *) scratch;
	uint32_t   *before = order + sampler->window_rows;
	size_t		done = 0;

	for (size_t i = 0; i < n; i++)
		keys[i] = text_bytes(sampler->dataset, sampler->window != NULL ? sampler->unshuffled[rows[i]] : rows[i]) << 32 | i;
	for (size_t batch = 0; batch < n_batches; batch += POOL_BATCHES)
	{
		size_t		last = batch + POOL_BATCHES < n_batches ? batch + POOL_BATCHES : n_batches;
		size_t		first = learn_batch_start(n, n_batches, batch);

		sort_keys(keys + first, scratch, learn_batch_start(n, n_batches, last) - first);
	}
	memcpy(before, rows, n * sizeof(uint32_t));
	for (size_t batch = 0; batch < n_batches; batch++)
		order[batch] = (uint32_t) batch;
	shuffle(order, n_batches, sampler->seed, counter);
	for (size_t i = 0; i < n_batches; i++)
	{
		size_t		end = learn_batch_start(n, n_batches, (size_t) order[i] + 1);

		for (size_t at = learn_batch_start(n, n_batches, order[i]); at < end; at++)
			rows[done++] = before[(uint32_t) keys[at]];
	}
}

DevStatus
learn_sampler_next(LearnSampler *sampler, size_t *n)
{
	/* A counter a row would do; a quarter is used, so windows never share one. */
	uint64_t	counter = first_counter(sampler->epoch, UINT64_C(1) << 31 | sampler->next_block * (BLOCK_ROWS / 4));
	DevStatus	status;

	*n = 0;
	if (sampler->window == NULL)
	{
		list_window(sampler, sampler->picked);
		shuffle(sampler->picked, sampler->count, sampler->seed, counter);
		if (sampler->batch > 0)
			group_rows(sampler, sampler->picked, counter | UINT64_C(1) << 63);
	}
	else
	{
		list_window(sampler, sampler->unshuffled);
		status = learn_dataset_fetch(sampler->dataset, sampler->unshuffled, sampler->count, sampler->window);
		if (status != DEV_OK)
		{
			sampler->count = 0;
			return status;
		}
		for (size_t i = 0; i < sampler->count; i++)
			sampler->slots[i] = (uint32_t) i;
		shuffle(sampler->slots, sampler->count, sampler->seed, counter);
		if (sampler->batch > 0)
			group_rows(sampler, sampler->slots, counter | UINT64_C(1) << 63);
		for (size_t i = 0; i < sampler->count; i++)
			sampler->picked[i] = sampler->unshuffled[sampler->slots[i]];
	}
	status = dev_poll(sampler->dataset->session);
	for (int field = 0; field < sampler->dataset->n_fields && status == DEV_OK; field++)
		status = fetch_field(sampler, field);
	if (status == DEV_OK)
		*n = sampler->count;
	else
		sampler->count = 0;
	return status;
}

static inline const float *
find_stored(const LearnSampler *sampler, size_t place)
{
	return sampler->window != NULL ? sampler->window + sampler->slots[place] * sampler->dataset->width :
		learn_stored_row(sampler->dataset, sampler->picked[place]);
}

static inline void
prefetch_row(const LearnSampler *sampler, size_t place, size_t row_bytes, const float *targets)
{
	const char *stored = (const char *) find_stored(sampler, place);

	for (size_t at = 0; at < row_bytes + CACHE_LINE; at += CACHE_LINE)
		__builtin_prefetch(stored + at);
	if (targets != NULL)
		__builtin_prefetch(targets + sampler->picked[place] * (size_t) sampler->dataset->n_targets);
}

void
learn_sampler_copy(const LearnSampler *sampler, size_t first, size_t count,
				   float *numbers, int32_t *codes, float *targets)
{
	const LearnDataset *dataset = sampler->dataset;
	size_t		n_targets = (size_t) dataset->n_targets;
	/* Of a wide row the hardware finds the rest by itself. */
	size_t		row_bytes = dataset->width * sizeof(float) < 512 ? dataset->width * sizeof(float) : 512;

	for (size_t i = 0; i < PREFETCH && i < count; i++)
		prefetch_row(sampler, first + i, row_bytes, targets != NULL ? dataset->targets : NULL);
	for (size_t i = 0; i < count; i++)
	{
		if (i + PREFETCH < count)
			prefetch_row(sampler, first + i + PREFETCH, row_bytes, targets != NULL ? dataset->targets : NULL);
		learn_expand_row(dataset, find_stored(sampler, first + i), numbers == NULL ? NULL : numbers + i * dataset->n_numbers,
						 codes == NULL ? NULL : codes + i * dataset->n_codes);
		if (targets == NULL)
			continue;
		for (size_t target = 0; target < n_targets; target++)
			targets[i * n_targets + target] = dataset->targets[sampler->picked[first + i] * n_targets + target];
	}
}

size_t
learn_sampler_row(const LearnSampler *sampler, size_t place)
{
	return sampler->picked[place];
}

LearnBytes
learn_sampler_field(const LearnSampler *sampler, int field, size_t place)
{
	const LearnStore *store = sampler->dataset->stores[field];
	const FieldWindow *window = &sampler->fields[field];
	size_t		row = sampler->picked[place];
	LearnBytes	value = {NULL, 0};

	if (learn_store_missing(store, row))
		return value;
	value.size = learn_store_size(store, row);
	value.bytes = window->bytes != NULL ? window->bytes + window->offsets[place] : learn_store_find(store, row);
	return value;
}

/*
 * store.c: records of bytes in blocks.
 *
 * A record never crosses a block's end, so that it can be read where it lies; one that is
 * larger than a block gets a block of its own. Blocks lie in the file one after another, without gaps: the
 * host's file cannot be written far beyond its end.
 */
#include "store.h"

#include <string.h>

#define BLOCK_BYTES ((size_t) 1 << 20)
#define ALIGNMENT ((size_t) 16)
#define FIRST_RECORDS 1024
#define FIRST_BLOCKS 16
#define MISSING UINT32_MAX

typedef struct Record
{
	uint32_t	block;			/* MISSING */
	uint32_t	offset;			/* in units of ALIGNMENT */
	uint32_t	size;
} Record;

typedef struct Block
{
	size_t		size;
	char	   *bytes;			/* NULL: in the file ... */
	uint64_t	place;			/* ... from here on */
} Block;

struct LearnStore
{
	DevSession *session;
	size_t		memory;
	LearnSpill	spill;
	bool		may_spill;
	bool		spilled;
	uint64_t	file_end;

	size_t		n_records;
	size_t		record_capacity;
	Record	   *records;
	size_t		n_blocks;
	size_t		block_capacity;
	Block	   *blocks;
	size_t		used;			/* of the last block */
	size_t		resident;		/* bytes of blocks in memory */
	size_t		total;			/* bytes of records */
};

DevStatus
learn_store_create(DevSession *session, size_t memory, const LearnSpill *spill, LearnStore **store)
{
	LearnStore *created = dev_alloc(session, 1, sizeof(*created));

	*store = NULL;
	if (created == NULL)
		return DEV_NO_MEMORY;
	created->session = session;
	created->memory = memory;
	if (spill != NULL)
	{
		created->spill = *spill;
		created->may_spill = true;
	}
	*store = created;
	return DEV_OK;
}

DevStatus
learn_store_succeed(const LearnStore *store, LearnStore **successor)
{
	size_t		left = store->memory > store->resident ? store->memory - store->resident : 0;
	DevStatus	status = learn_store_create(store->session, left > store->memory / 2 ? left : store->memory / 2,
											store->may_spill ? &store->spill : NULL, successor);

	if (status == DEV_OK)
		(*successor)->file_end = store->file_end;
	return status;
}

void
learn_store_free(LearnStore *store)
{
	if (store == NULL)
		return;
	for (size_t i = 0; i < store->n_blocks; i++)
		dev_release(store->session, store->blocks[i].bytes);
	dev_release(store->session, store->blocks);
	dev_release(store->session, store->records);
	dev_release(store->session, store);
}

/* Room for one more thing of an array. */
static bool
make_room(DevSession *session, void **array, size_t n, size_t *capacity, size_t first, size_t size)
{
	size_t		grown = *capacity > 0 ? *capacity * 2 : first;
	void	   *copy;

	if (n < *capacity)
		return true;
	copy = dev_alloc(session, grown, size);
	if (copy == NULL)
		return false;
	if (n > 0)
		memcpy(copy, *array, n * size);
	dev_release(session, *array);
	*array = copy;
	*capacity = grown;
	return true;
}

/* The last block is full: it goes to the file when memory is. */
static DevStatus
put_away(LearnStore *store)
{
	Block	   *block = &store->blocks[store->n_blocks - 1];

	if (store->resident <= store->memory)
		return DEV_OK;
	if (!store->may_spill)
	{
		dev_fail(store->session, DEV_NO_MEMORY, "the rows do not fit in the memory for training");
		dev_detail(store->session, "Images, signals and texts take %zu bytes so far.", store->total);
		dev_hint(store->session, "Increase idla.train_memory.");
		return DEV_NO_MEMORY;
	}
	block->place = store->file_end;
	if (!store->spill.write(store->spill.context, block->place, block->bytes, block->size))
		return dev_fail(store->session, DEV_HOST, "could not write the temporary file of the data set");
	dev_release(store->session, block->bytes);
	block->bytes = NULL;
	store->resident -= block->size;
	store->file_end += block->size;
	store->spilled = true;
	return DEV_OK;
}

static DevStatus
next_block(LearnStore *store, size_t least)
{
	size_t		size = least > BLOCK_BYTES ? least : BLOCK_BYTES;
	Block	   *block;

	if (store->n_blocks > 0)
	{
		DevStatus	status = put_away(store);

		if (status != DEV_OK)
			return status;
	}
	if (!make_room(store->session, (void **) &store->blocks, store->n_blocks, &store->block_capacity, FIRST_BLOCKS,
				   sizeof(Block)))
		return DEV_NO_MEMORY;
	block = &store->blocks[store->n_blocks];
	block->bytes = dev_alloc(store->session, size, 1);
	if (block->bytes == NULL)
		return DEV_NO_MEMORY;
	block->size = size;
	store->n_blocks++;
	store->used = 0;
	store->resident += size;
	return dev_poll(store->session);
}

DevStatus
learn_store_append(LearnStore *store, const void *bytes, size_t size)
{
	size_t		room = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	Record	   *record;

	if (size > UINT32_MAX - ALIGNMENT)
		return dev_fail(store->session, DEV_BAD_DATA, "a value of %zu bytes is too large", size);
	if (!make_room(store->session, (void **) &store->records, store->n_records, &store->record_capacity, FIRST_RECORDS,
				   sizeof(Record)))
		return DEV_NO_MEMORY;
	if (bytes != NULL && (store->n_blocks == 0 || room > store->blocks[store->n_blocks - 1].size - store->used))
	{
		DevStatus	status = next_block(store, room);

		if (status != DEV_OK)
			return status;
	}
	record = &store->records[store->n_records++];
	record->size = (uint32_t) size;
	record->block = MISSING;
	if (bytes == NULL)
		return DEV_OK;
	record->block = (uint32_t) (store->n_blocks - 1);
	record->offset = (uint32_t) (store->used / ALIGNMENT);
	if (size > 0)
		memcpy(store->blocks[record->block].bytes + store->used, bytes, size);
	store->used += room;
	store->total += size;
	return DEV_OK;
}

size_t
learn_store_records(const LearnStore *store)
{
	return store->n_records;
}

size_t
learn_store_bytes(const LearnStore *store)
{
	return store->total;
}

size_t
learn_store_size(const LearnStore *store, size_t record)
{
	return store->records[record].size;
}

bool
learn_store_missing(const LearnStore *store, size_t record)
{
	return store->records[record].block == MISSING;
}

const void *
learn_store_find(const LearnStore *store, size_t record)
{
	const Record *found = &store->records[record];
	const Block *block;

	if (found->block == MISSING)
		return NULL;
	block = &store->blocks[found->block];
	return block->bytes == NULL ? NULL : block->bytes + (size_t) found->offset * ALIGNMENT;
}

bool
learn_store_spilled(const LearnStore *store)
{
	return store->spilled;
}

DevStatus
learn_store_read(LearnStore *store, size_t record, void *dst)
{
	const void *found = learn_store_find(store, record);
	size_t		size = store->records[record].size;

	if (size == 0 || store->records[record].block == MISSING)
		return DEV_OK;
	if (found != NULL)
		memcpy(dst, found, size);
	else if (!store->spill.read(store->spill.context, store->blocks[store->records[record].block].place +
							   (uint64_t) store->records[record].offset * ALIGNMENT, dst, size))
		return dev_fail(store->session, DEV_HOST, "could not read the temporary file of the data set");
	return DEV_OK;
}

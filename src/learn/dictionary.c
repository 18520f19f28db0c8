/*
 * dictionary.c: byte strings to codes, in order of first appearance.
 *
 * Open addressing with linear probing over slots that hold a part of the hash, so
 * that a probe rarely looks at the bytes. The hash is keyed with what a writer of rows
 * cannot know, or strings could be chosen to fall on one slot; codes do not depend on it.
 * Bytes are kept in blocks that never move, each string with a NUL after it.
 */
#include "dataset.h"

#include <string.h>

#define FIRST_SLOTS 64
#define FIRST_ENTRIES 32
#define BLOCK_SIZE ((size_t) 16384)
#define POLL_ENTRIES 65536

typedef struct Entry
{
	const char *bytes;
	size_t		size;
	uint64_t	hash;
} Entry;

typedef struct Slot
{
	uint32_t	hash;			/* upper half */
	uint32_t	code;			/* + 1; 0: empty */
} Slot;

typedef struct TextBlock TextBlock;
struct TextBlock
{
	TextBlock  *next;
	size_t		used;
	size_t		size;
	char		bytes[];
};

struct LearnDictionary
{
	DevSession *session;
	uint64_t	key0;
	uint64_t	key1;
	uint32_t	n;
	size_t		capacity;		/* entries */
	Entry	   *entries;
	size_t		n_slots;		/* power of two, more than n */
	Slot	   *slots;
	TextBlock  *blocks;			/* newest first */
};

static inline uint64_t
rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] = rotate(v[2], 32);
}

uint64_t
learn_hash_bytes(uint64_t key0, uint64_t key1, const char *bytes, size_t size)
{
	uint64_t	v[4] = {key0 ^ UINT64_C(0x736f6d6570736575), key1 ^ UINT64_C(0x646f72616e646f6d),
		key0 ^ UINT64_C(0x6c7967656e657261), key1 ^ UINT64_C(0x7465646279746573)};
	uint64_t	last = (uint64_t) size << 56;
	size_t		left = size;
	uint64_t	word;

	for (; left >= sizeof(word); left -= sizeof(word), bytes += sizeof(word))
	{
		memcpy(&word, bytes, sizeof(word));
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	for (size_t i = 0; i < left; i++)
		last |= (uint64_t) (unsigned char) bytes[i] << (8 * i);
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

LearnDictionary *
learn_dictionary_create(DevSession *session, uint64_t seed)
{
	LearnDictionary *dictionary = dev_alloc(session, 1, sizeof(*dictionary));
	uint32_t	bits[4];

	if (dictionary == NULL)
		return NULL;
	dictionary->session = session;
	/* The address is what an outsider does not know; the seed may be written in the query. */
	dev_random_bits(seed ^ (uint64_t) (uintptr_t) dictionary, (uint64_t) (uintptr_t) session, 0, bits);
	dictionary->key0 = (uint64_t) bits[0] << 32 | bits[1];
	dictionary->key1 = (uint64_t) bits[2] << 32 | bits[3];
	dictionary->slots = dev_alloc(session, FIRST_SLOTS, sizeof(Slot));
	dictionary->entries = dev_alloc(session, FIRST_ENTRIES, sizeof(Entry));
	if (dictionary->slots == NULL || dictionary->entries == NULL)
	{
		learn_dictionary_free(dictionary);
		return NULL;
	}
	dictionary->n_slots = FIRST_SLOTS;
	dictionary->capacity = FIRST_ENTRIES;
	return dictionary;
}

void
learn_dictionary_free(LearnDictionary *dictionary)
{
	DevSession *session;

	if (dictionary == NULL)
		return;
	session = dictionary->session;
	while (dictionary->blocks != NULL)
	{
		TextBlock  *block = dictionary->blocks;

		dictionary->blocks = block->next;
		dev_release(session, block);
	}
	dev_release(session, dictionary->slots);
	dev_release(session, dictionary->entries);
	dev_release(session, dictionary);
}

/* The slot that holds the bytes, or the empty one where they belong. */
static Slot *
find_slot(const LearnDictionary *dictionary, uint64_t hash, const char *bytes, size_t size)
{
	size_t		mask = dictionary->n_slots - 1;

	for (size_t at = (size_t) hash & mask;; at = (at + 1) & mask)
	{
		Slot	   *slot = &dictionary->slots[at];
		const Entry *entry;

		if (slot->code == 0)
			return slot;
		if (slot->hash != (uint32_t) (hash >> 32))
			continue;
		entry = &dictionary->entries[slot->code - 1];
		if (entry->size == size && (size == 0 || memcmp(entry->bytes, bytes, size) == 0))
			return slot;
	}
}

static DevStatus
grow_entries(LearnDictionary *dictionary)
{
	Entry	   *grown = dev_alloc(dictionary->session, dictionary->capacity * 2, sizeof(Entry));

	if (grown == NULL)
		return DEV_NO_MEMORY;
	memcpy(grown, dictionary->entries, dictionary->n * sizeof(Entry));
	dev_release(dictionary->session, dictionary->entries);
	dictionary->entries = grown;
	dictionary->capacity *= 2;
	return DEV_OK;
}

static DevStatus
grow_slots(LearnDictionary *dictionary)
{
	size_t		n_slots = dictionary->n_slots * 2;
	size_t		mask = n_slots - 1;
	Slot	   *slots = dev_alloc(dictionary->session, n_slots, sizeof(Slot));

	if (slots == NULL)
		return DEV_NO_MEMORY;
	for (uint32_t code = 0; code < dictionary->n; code++)
	{
		uint64_t	hash = dictionary->entries[code].hash;
		size_t		at = (size_t) hash & mask;

		if (code % POLL_ENTRIES == 0 && dev_poll(dictionary->session) != DEV_OK)
		{
			dev_release(dictionary->session, slots);
			return DEV_CANCELLED;
		}
		while (slots[at].code != 0)
			at = (at + 1) & mask;
		slots[at].hash = (uint32_t) (hash >> 32);
		slots[at].code = code + 1;
	}
	dev_release(dictionary->session, dictionary->slots);
	dictionary->slots = slots;
	dictionary->n_slots = n_slots;
	return DEV_OK;
}

static const char *
keep_bytes(LearnDictionary *dictionary, const char *bytes, size_t size)
{
	TextBlock  *block = dictionary->blocks;
	char	   *kept;

	if (size > SIZE_MAX - sizeof(TextBlock) - 1)
	{
		dev_fail(dictionary->session, DEV_NO_MEMORY, "out of memory: a category of %zu bytes", size);
		return NULL;
	}
	if (block == NULL || block->size - block->used < size + 1)
	{
		size_t		room = size + 1 > BLOCK_SIZE ? size + 1 : BLOCK_SIZE;

		block = dev_alloc(dictionary->session, 1, sizeof(TextBlock) + room);
		if (block == NULL)
			return NULL;
		block->size = room;
		block->next = dictionary->blocks;
		dictionary->blocks = block;
	}
	kept = block->bytes + block->used;
	if (size > 0)
		memcpy(kept, bytes, size);
	kept[size] = '\0';
	block->used += size + 1;
	return kept;
}

DevStatus
learn_dictionary_intern(LearnDictionary *dictionary, const char *bytes, size_t size, uint32_t most, uint32_t *code)
{
	uint64_t	hash = learn_hash_bytes(dictionary->key0, dictionary->key1, bytes, size);
	Slot	   *slot = find_slot(dictionary, hash, bytes, size);
	const char *kept;

	if (slot->code != 0)
	{
		*code = slot->code - 1;
		return DEV_OK;
	}
	if (dictionary->n >= most)
		return dev_fail(dictionary->session, DEV_BAD_DATA, "more than %lu different categories", (unsigned long) most);
	if (dictionary->n == dictionary->capacity && grow_entries(dictionary) != DEV_OK)
		return DEV_NO_MEMORY;
	if ((size_t) dictionary->n * 2 >= dictionary->n_slots)
	{
		DevStatus	status = grow_slots(dictionary);

		if (status != DEV_OK)
			return status;
		slot = find_slot(dictionary, hash, bytes, size);
	}
	kept = keep_bytes(dictionary, bytes, size);
	if (kept == NULL)
		return DEV_NO_MEMORY;
	dictionary->entries[dictionary->n] = (Entry) {kept, size, hash};
	slot->hash = (uint32_t) (hash >> 32);
	slot->code = ++dictionary->n;
	*code = slot->code - 1;
	return DEV_OK;
}

bool
learn_dictionary_find(const LearnDictionary *dictionary, const char *bytes, size_t size, uint32_t *code)
{
	const Slot *slot = find_slot(dictionary, learn_hash_bytes(dictionary->key0, dictionary->key1, bytes, size), bytes, size);

	if (slot->code == 0)
		return false;
	*code = slot->code - 1;
	return true;
}

uint32_t
learn_dictionary_size(const LearnDictionary *dictionary)
{
	return dictionary == NULL ? 0 : dictionary->n;
}

const char *
learn_dictionary_text(const LearnDictionary *dictionary, uint32_t code, size_t *size)
{
	if (dictionary == NULL || code >= dictionary->n)
		return NULL;
	if (size != NULL)
		*size = dictionary->entries[code].size;
	return dictionary->entries[code].bytes;
}

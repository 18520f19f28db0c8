/*
 * counts.c: how often each of many strings was seen.
 *
 * A dictionary with a number beside each entry. When it is full, the entries seen least often are forgotten until half
 * remains; those that come back start anew. So memory is bounded, what is frequent is nearly exact, and the outcome
 * depends on the order of additions alone.
 */
#include "text.h"

#define FIRST_COUNTS 1024
#define RUN 16					/* entries that insertion sorts */

LearnCounts *
learn_counts_create(DevSession *session, uint32_t limit)
{
	LearnCounts *counts = dev_alloc(session, 1, sizeof(*counts));

	if (counts == NULL)
		return NULL;
	counts->session = session;
	counts->limit = limit;
	counts->capacity = FIRST_COUNTS;
	counts->dictionary = learn_dictionary_create(session, dev_session_seed(session));
	counts->counts = dev_alloc(session, counts->capacity, sizeof(uint64_t));
	if (counts->dictionary == NULL || counts->counts == NULL)
	{
		learn_counts_free(counts);
		return NULL;
	}
	return counts;
}

void
learn_counts_free(LearnCounts *counts)
{
	if (counts == NULL)
		return;
	learn_dictionary_free(counts->dictionary);
	dev_release(counts->session, counts->counts);
	dev_release(counts->session, counts);
}

static DevStatus
grow_counts(LearnCounts *counts)
{
	uint64_t   *grown = dev_alloc(counts->session, counts->capacity * 2, sizeof(uint64_t));

	if (grown == NULL)
		return DEV_NO_MEMORY;
	memcpy(grown, counts->counts, counts->capacity * sizeof(uint64_t));
	dev_release(counts->session, counts->counts);
	counts->counts = grown;
	counts->capacity *= 2;
	return DEV_OK;
}

/* The smallest count that at least half of the entries do not exceed, by bisection. */
static DevStatus
find_floor(LearnCounts *counts)
{
	uint32_t	n = learn_dictionary_size(counts->dictionary);
	uint64_t	low = 0;
	uint64_t	high = UINT64_MAX;

	while (low < high)
	{
		uint64_t	middle = low + (high - low) / 2;
		uint32_t	below = 0;
		DevStatus	status = dev_poll(counts->session);

		if (status != DEV_OK)
			return status;
		for (uint32_t i = 0; i < n; i++)
			below += counts->counts[i] <= middle;
		if (below >= n - n / 2)
			high = middle;
		else
			low = middle + 1;
	}
	counts->floor = low;
	return DEV_OK;
}

/* Copies what was seen more often than the floor into a new dictionary. */
static DevStatus
forget_rare(LearnCounts *counts)
{
	DevStatus	status = find_floor(counts);
	LearnDictionary *kept;
	uint32_t	n = learn_dictionary_size(counts->dictionary);

	if (status != DEV_OK)
		return status;
	kept = learn_dictionary_create(counts->session, dev_session_seed(counts->session));
	if (kept == NULL)
		return DEV_NO_MEMORY;
	for (uint32_t i = 0; i < n && status == DEV_OK; i++)
	{
		size_t		size;
		const char *bytes = learn_dictionary_text(counts->dictionary, i, &size);
		uint32_t	code;

		if (i % TEXT_POLL == 0)
			status = dev_poll(counts->session);
		if (status != DEV_OK || counts->counts[i] <= counts->floor)
			continue;
		status = learn_dictionary_intern(kept, bytes, size, counts->limit, &code);
		if (status == DEV_OK)
			counts->counts[code] = counts->counts[i];	/* code <= i */
	}
	if (status != DEV_OK)
	{
		/* The old dictionary no longer fits its counts; nobody adds to it after a failure. */
		learn_dictionary_free(kept);
		return status;
	}
	learn_dictionary_free(counts->dictionary);
	counts->dictionary = kept;
	return DEV_OK;
}

DevStatus
learn_counts_add(LearnCounts *counts, const char *bytes, size_t size, uint64_t count)
{
	uint32_t	known = learn_dictionary_size(counts->dictionary);
	uint32_t	code;
	DevStatus	status;

	if (known >= counts->limit && !learn_dictionary_find(counts->dictionary, bytes, size, &code))
	{
		status = forget_rare(counts);
		if (status != DEV_OK)
			return status;
		known = learn_dictionary_size(counts->dictionary);
	}
	if (known >= counts->capacity)
	{
		status = grow_counts(counts);
		if (status != DEV_OK)
			return status;
	}
	status = learn_dictionary_intern(counts->dictionary, bytes, size, counts->limit, &code);
	if (status != DEV_OK)
		return status;
	counts->counts[code] = code < known ? counts->counts[code] + count : count;
	return DEV_OK;
}

static inline bool
goes_before(const LearnCounted *a, const LearnCounted *b, bool by_count)
{
	size_t		shorter = a->size < b->size ? a->size : b->size;
	int			order;

	if (by_count && a->count != b->count)
		return a->count > b->count;
	order = memcmp(a->bytes, b->bytes, shorter);
	return order != 0 ? order < 0 : a->size < b->size;
}

static void
sort_run(LearnCounted *list, size_t n, bool by_count)
{
	for (size_t i = 1; i < n; i++)
	{
		LearnCounted moving = list[i];
		size_t		at = i;

		for (; at > 0 && goes_before(&moving, &list[at - 1], by_count); at--)
			list[at] = list[at - 1];
		list[at] = moving;
	}
}

static void
merge_runs(const LearnCounted *src, size_t middle, size_t n, LearnCounted *dst, bool by_count)
{
	size_t		left = 0;
	size_t		right = middle;

	for (size_t i = 0; i < n; i++)
	{
		if (left < middle && (right >= n || !goes_before(&src[right], &src[left], by_count)))
			dst[i] = src[left++];
		else
			dst[i] = src[right++];
	}
}

DevStatus
learn_counted_sort(DevSession *session, LearnCounted *list, LearnCounted *scratch, size_t n, bool by_count)
{
	LearnCounted *src = list;
	LearnCounted *dst = scratch;

	for (size_t first = 0; first < n; first += RUN)
		sort_run(list + first, n - first < RUN ? n - first : RUN, by_count);
	for (size_t width = RUN; width < n; width *= 2)
	{
		LearnCounted *swap = src;

		for (size_t first = 0; first < n; first += 2 * width)
		{
			size_t		left = n - first;
			DevStatus	status = first / (2 * width) % TEXT_POLL == 0 || width > TEXT_POLL ? dev_poll(session) : DEV_OK;

			if (status != DEV_OK)
				return status;
			merge_runs(src + first, left < width ? left : width, left < 2 * width ? left : 2 * width, dst + first, by_count);
		}
		src = dst;
		dst = swap;
	}
	if (src != list && n > 0)
		memcpy(list, src, n * sizeof(*list));
	return DEV_OK;
}

DevStatus
learn_counts_list(const LearnCounts *counts, uint64_t min_count, LearnCounted **list, size_t *n)
{
	uint32_t	known = learn_dictionary_size(counts->dictionary);
	LearnCounted *found = dev_alloc(counts->session, known + 1, sizeof(LearnCounted));
	LearnCounted *scratch = dev_alloc(counts->session, known + 1, sizeof(LearnCounted));
	DevStatus	status = found == NULL || scratch == NULL ? DEV_NO_MEMORY : DEV_OK;
	size_t		kept = 0;

	*list = NULL;
	*n = 0;
	for (uint32_t code = 0; code < known && status == DEV_OK; code++)
	{
		LearnCounted entry = {NULL, 0, counts->counts[code]};

		if (entry.count < min_count)
			continue;
		entry.bytes = learn_dictionary_text(counts->dictionary, code, &entry.size);
		found[kept++] = entry;
	}
	if (status == DEV_OK)
		status = learn_counted_sort(counts->session, found, scratch, kept, true);
	dev_release(counts->session, scratch);
	if (status != DEV_OK)
	{
		dev_release(counts->session, found);
		return status;
	}
	*list = found;
	*n = kept;
	return DEV_OK;
}

/*
 * augment_text.c: text with small mistakes in it, for training.
 *
 * Everything happens in place and is drawn from the counter-based generator, one counter a place, so that threads
 * and batches do not matter.
 */
#include "text.h"

#include <utf8proc.h>

static inline bool
chosen(double rate, uint64_t seed, uint64_t stream, uint64_t counter)
{
	return rate > 0 && dev_random_uniform(seed, stream, counter) < rate;
}

/* One past the last piece of the word that begins at `at`. */
static size_t
word_end(const int32_t *words, size_t n, size_t at)
{
	size_t		end = at + 1;

	if (words == NULL || words[at] == LEARN_NO_WORD)
		return end;
	while (end < n && words[end] == words[at])
		end++;
	return end;
}

static inline bool
is_word(const int32_t *words, size_t at)
{
	return words == NULL || words[at] != LEARN_NO_WORD;
}

size_t
learn_text_mask(size_t n, int32_t *ids, const int32_t *words, int32_t mask, double rate, uint64_t seed,
				uint64_t stream, uint64_t counter)
{
	size_t		replaced = 0;

	for (size_t at = 0, end; at < n; at = end)
	{
		end = word_end(words, n, at);
		if (!is_word(words, at) || !chosen(rate, seed, stream, counter + at))
			continue;
		for (size_t i = at; i < end; i++)
			ids[i] = mask;
		replaced += end - at;
	}
	return replaced;
}

static void
reverse(int32_t *ids, size_t from, size_t to)
{
	while (from + 1 < to)
	{
		int32_t		kept = ids[from];

		ids[from++] = ids[--to];
		ids[to] = kept;
	}
}

size_t
learn_text_swap(size_t n, int32_t *ids, const int32_t *words, double rate, uint64_t seed, uint64_t stream,
				uint64_t counter)
{
	size_t		swapped = 0;
	size_t		at = 0;

	while (at < n)
	{
		size_t		middle = word_end(words, n, at);
		size_t		end;

		if (middle >= n || !is_word(words, at) || !is_word(words, middle) || !chosen(rate, seed, stream, counter + at))
		{
			at = middle;
			continue;
		}
		end = word_end(words, n, middle);
		reverse(ids, at, middle);
		reverse(ids, middle, end);
		reverse(ids, at, end);
		swapped++;
		at = end;
	}
	return swapped;
}

/* style 0: lower, 1: upper, 2: capital first */
static void
rewrite(char *text, LearnWord word, uint64_t style)
{
	for (size_t at = word.start; at < word.end;)
	{
		utf8proc_uint8_t bytes[MAX_CHARACTER_BYTES];
		size_t		from = at;
		int32_t		c = learn_character_read(text, word.end, &at);
		bool		upper = style == 1 || (style == 2 && from == word.start);
		int32_t		other = upper ? utf8proc_toupper(c) : utf8proc_tolower(c);

		if (other != c && utf8proc_encode_char(other, bytes) == (utf8proc_ssize_t) (at - from))
			memcpy(text + from, bytes, at - from);
	}
}

size_t
learn_text_case(char *text, size_t size, const LearnWord *words, size_t n, double rate, uint64_t seed,
				uint64_t stream, uint64_t counter)
{
	size_t		rewritten = 0;

	for (size_t i = 0; i < n; i++)
	{
		uint32_t	bits[4];

		if (words[i].end > size || words[i].start > words[i].end || !chosen(rate, seed, stream, counter + i))
			continue;
		/* The decision took the first half of the block; the style takes a word of the second. */
		dev_random_bits(seed, stream, counter + i, bits);
		rewrite(text, words[i], bits[3] % 3);
		rewritten++;
	}
	return rewritten;
}

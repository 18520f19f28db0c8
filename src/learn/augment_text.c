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

/* ---- Case ---- */

bool
learn_case_draw(double rate, uint64_t seed, uint64_t stream, uint64_t counter, LearnCase *style)
{
	uint32_t	bits[4];

	if (!chosen(rate, seed, stream, counter))
		return false;
	/* Whether took the first half of the block; how takes a word of the second. */
	dev_random_bits(seed, stream, counter, bits);
	*style = (LearnCase) (bits[3] % LEARN_N_CASES);
	return true;
}

size_t
learn_case_write(const char *word, size_t size, LearnCase style, char *dst)
{
	size_t		written = 0;

	for (size_t at = 0; at < size;)
	{
		bool		first = at == 0;
		int32_t		c = learn_character_read(word, size, &at);
		bool		upper = style == LEARN_CASE_UPPER || (style == LEARN_CASE_TITLE && first);

		written += (size_t) utf8proc_encode_char(upper ? utf8proc_toupper(c) : utf8proc_tolower(c), (utf8proc_uint8_t *) dst + written);
	}
	return written;
}

static bool
is_special(const LearnVocabulary *vocabulary, int32_t id)
{
	for (int i = 0; i < LEARN_SPECIALS; i++)
		if (vocabulary->special[i] == id)
			return true;
	return false;
}

/* What a piece adds to its word; NULL for one that is no part of any. */
static const char *
part_of_word(const LearnVocabulary *vocabulary, int32_t id, bool *continues, size_t *size)
{
	const char *text = is_special(vocabulary, id) ? NULL : learn_vocabulary_piece(vocabulary, id, size);

	*continues = text != NULL && *size > 2 && text[0] == '#' && text[1] == '#';
	*size -= *continues ? 2 : 0;
	return *continues ? text + 2 : text;
}

/* The word whose pieces begin at `at`: its bytes, 0 where it cannot be told; *end is one past its last piece. */
static size_t
spell_word(const LearnVocabulary *vocabulary, const int32_t *ids, size_t n, size_t at, size_t *end, char *bytes)
{
	size_t		size = 0;
	bool		whole = true;

	for (*end = at; *end < n; (*end)++)
	{
		size_t		more = 0;
		bool		continues;
		const char *part = part_of_word(vocabulary, ids[*end], &continues, &more);

		if (*end > at && !continues)
			break;
		/* A text may begin within a word, and [UNK] says nothing of its own. */
		whole = whole && part != NULL && (*end > at || !continues) && size + more <= MAX_WORD_BYTES;
		if (whole)
			memcpy(bytes + size, part, more);
		size += whole ? more : 0;
	}
	return whole ? size : 0;
}

void
learn_text_join(const LearnVocabulary *vocabulary, size_t n, const int32_t *ids, int32_t *words)
{
	int32_t		word = -1;

	for (size_t i = 0; i < n; i++)
	{
		size_t		size = 0;
		bool		continues;

		part_of_word(vocabulary, ids[i], &continues, &size);
		word += !continues || i == 0;
		words[i] = word;
	}
}

size_t
learn_text_case(const LearnVocabulary *vocabulary, size_t n, size_t room, int32_t *ids, double rate, uint64_t seed,
				uint64_t stream, uint64_t counter)
{
	for (size_t at = 0, end, kept; at < n; at = end, counter++)
	{
		char		word[MAX_WORD_BYTES];
		char		other[MAX_CHARACTER_BYTES * MAX_WORD_BYTES];
		int32_t		pieces[LEARN_WORD_CHARACTERS];
		size_t		size = spell_word(vocabulary, ids, n, at, &end, word);
		size_t		other_size;
		LearnCase	style;

		if (size == 0 || !learn_case_draw(rate, seed, stream, counter, &style))
			continue;
		other_size = learn_case_write(word, size, style, other);
		if (other_size == size && memcmp(word, other, size) == 0)
			continue;
		kept = learn_word_pieces(vocabulary, other, other_size, pieces);
		if (n - (end - at) + kept > room)
			continue;
		memmove(ids + at + kept, ids + end, (n - end) * sizeof(int32_t));
		memcpy(ids + at, pieces, kept * sizeof(int32_t));
		n = n - (end - at) + kept;
		end = at + kept;
	}
	return n;
}

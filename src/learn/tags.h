/*
 * tags.h: the one reading of tags that all of tags.c, spans.c and tag_scores.c share; private to src/learn.
 */
#ifndef IDLA_LEARN_TAGS_PRIVATE_H
#define IDLA_LEARN_TAGS_PRIVATE_H

#include "idla/learn_tags.h"

typedef struct TagSequence
{
	LearnTagScheme scheme;		/* IOB2 or IOBES */
	int32_t		n_codes;
	size_t		n;
	const int32_t *codes;
} TagSequence;

static inline int32_t
tag_at(const TagSequence *sequence, size_t at)
{
	int32_t		code = sequence->codes[at];

	return code > 0 && code < sequence->n_codes ? code : LEARN_OUTSIDE;
}

/* One past the entity that begins at `at`, whose tag is not O. */
static inline size_t
run_end(const TagSequence *sequence, size_t at)
{
	int32_t		code = tag_at(sequence, at);
	int32_t		label = learn_tag_label(sequence->scheme, code);
	size_t		end = at + 1;

	for (; end < sequence->n; end++)
	{
		LearnTagPlace before = learn_tag_place(sequence->scheme, code);
		LearnTagPlace place;

		code = tag_at(sequence, end);
		if (code == LEARN_OUTSIDE || learn_tag_label(sequence->scheme, code) != label)
			break;
		place = learn_tag_place(sequence->scheme, code);
		if ((before != LEARN_TAG_B && before != LEARN_TAG_I) || (place != LEARN_TAG_I && place != LEARN_TAG_E))
			break;
	}
	return end;
}

/* Whether a run is an entity by the strict reading too. */
static inline bool
run_is_strict(const TagSequence *sequence, size_t at, size_t end)
{
	LearnTagPlace first = learn_tag_place(sequence->scheme, tag_at(sequence, at));
	LearnTagPlace last = learn_tag_place(sequence->scheme, tag_at(sequence, end - 1));

	if (first != LEARN_TAG_B && first != LEARN_TAG_S)
		return false;
	return sequence->scheme == LEARN_IOB2 || last == LEARN_TAG_E || last == LEARN_TAG_S;
}

/* The next entity from *at on, which moves past it. */
static inline bool
next_run(const TagSequence *sequence, bool strict, size_t *at, size_t *start, size_t *end)
{
	while (*at < sequence->n)
	{
		if (tag_at(sequence, *at) == LEARN_OUTSIDE)
		{
			(*at)++;
			continue;
		}
		*start = *at;
		*end = run_end(sequence, *at);
		*at = *end;
		if (!strict || run_is_strict(sequence, *start, *end))
			return true;
	}
	return false;
}

/* The place that token `at` of entity [start, end) has in a scheme; touches: the token before it ends an entity of its label. */
static inline LearnTagPlace
place_in(LearnTagScheme scheme, size_t start, size_t end, size_t at, bool touches)
{
	if (scheme == LEARN_IOB1)
		return at == start && touches ? LEARN_TAG_B : LEARN_TAG_I;
	if (scheme == LEARN_IOBES && at == end - 1)
		return at == start ? LEARN_TAG_S : LEARN_TAG_E;
	return at == start ? LEARN_TAG_B : LEARN_TAG_I;
}

#endif							/* IDLA_LEARN_TAGS_PRIVATE_H */

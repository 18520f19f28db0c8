/*
 * spans.c: entities as ranges of text, and as codes of tokens.
 *
 * Nothing here takes memory: spans are sorted in place by a heap sort, and positions are converted in one walk
 * over the text for all starts and one for all ends.
 */
#include "tags.h"
#include "text.h"

/* ---- Sorting ---- */

static bool
starts_later(const LearnSpan *a, const LearnSpan *b)
{
	if (a->start != b->start)
		return a->start > b->start;
	if (a->end != b->end)
		return a->end < b->end;
	return a->label > b->label;
}

static bool
ends_later(const LearnSpan *a, const LearnSpan *b)
{
	return a->end > b->end;
}

static void
sift(LearnSpan *spans, size_t at, size_t n, bool (*later) (const LearnSpan *a, const LearnSpan *b))
{
	LearnSpan	moving = spans[at];

	for (size_t child = 2 * at + 1; child < n; child = 2 * at + 1)
	{
		if (child + 1 < n && later(&spans[child + 1], &spans[child]))
			child++;
		if (!later(&spans[child], &moving))
			break;
		spans[at] = spans[child];
		at = child;
	}
	spans[at] = moving;
}

static void
sort_spans(LearnSpan *spans, size_t n, bool (*later) (const LearnSpan *a, const LearnSpan *b))
{
	for (size_t i = n / 2; i-- > 0;)
		sift(spans, i, n, later);
	for (size_t i = n; i-- > 1;)
	{
		LearnSpan	last = spans[0];

		spans[0] = spans[i];
		spans[i] = last;
		sift(spans, 0, i, later);
	}
}

/* ---- Characters and bytes ---- */

typedef struct Walk
{
	const char *text;
	size_t		size;
	size_t		byte;
	size_t		character;
} Walk;

/* Moves a walk on to a position; false when there is none such. */
static bool
walk_to(Walk *walk, bool to_bytes, uint32_t position, uint32_t *other)
{
	while ((to_bytes ? walk->character : walk->byte) < position && walk->byte < walk->size)
	{
		learn_character_read(walk->text, walk->size, &walk->byte);
		walk->character++;
	}
	*other = (uint32_t) (to_bytes ? walk->byte : walk->character);
	return (to_bytes ? walk->character : walk->byte) == position;
}

static bool
bad_position(const char *what, uint32_t position, bool to_bytes, size_t size, LearnTrouble *trouble)
{
	char		detail[100];

	snprintf(detail, sizeof(detail), "The text has %zu bytes.", size);
	return text_trouble(trouble, DEV_BAD_DATA, detail, NULL, "a span's %s at %s %lu is not in the text", what,
						to_bytes ? "character" : "byte", (unsigned long) position);
}

static bool
convert(const char *text, size_t size, LearnSpan *spans, size_t n, bool to_bytes, LearnTrouble *trouble)
{
	Walk		walk = {text, size, 0, 0};

	if (!learn_text_fits(size, trouble))
		return false;
	for (size_t i = 0; i < n; i++)
		if (spans[i].start >= spans[i].end)
			return text_trouble(trouble, DEV_BAD_DATA, NULL, NULL, "a span from %lu to %lu is empty", (unsigned long) spans[i].start,
								(unsigned long) spans[i].end);
	sort_spans(spans, n, ends_later);
	for (size_t i = 0; i < n; i++)
		if (!walk_to(&walk, to_bytes, spans[i].end, &spans[i].end))
			return bad_position("end", spans[i].end, to_bytes, size, trouble);
	sort_spans(spans, n, starts_later);
	walk.byte = 0;
	walk.character = 0;
	for (size_t i = 0; i < n; i++)
		if (!walk_to(&walk, to_bytes, spans[i].start, &spans[i].start))
			return bad_position("start", spans[i].start, to_bytes, size, trouble);
	return true;
}

bool
learn_spans_to_bytes(const char *text, size_t size, LearnSpan *spans, size_t n, LearnTrouble *trouble)
{
	return convert(text, size, spans, n, true, trouble);
}

bool
learn_spans_to_characters(const char *text, size_t size, LearnSpan *spans, size_t n, LearnTrouble *trouble)
{
	return convert(text, size, spans, n, false, trouble);
}

/* ---- Tokens ---- */

/* The first token that ends after a byte. */
static size_t
token_after(size_t n, const LearnWord *tokens, uint32_t byte)
{
	size_t		low = 0;
	size_t		high = n;

	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;

		if (tokens[middle].end > byte)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* The first token that begins at a byte or later. */
static size_t
token_from(size_t n, const LearnWord *tokens, uint32_t byte)
{
	size_t		low = 0;
	size_t		high = n;

	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;

		if (tokens[middle].start >= byte)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static bool
is_taken(const int32_t *codes, size_t first, size_t last)
{
	for (size_t i = first; i < last; i++)
		if (codes[i] != LEARN_OUTSIDE)
			return true;
	return false;
}

static bool
misfit(const LearnSpan *span, size_t number, const char *why, LearnTrouble *trouble)
{
	return text_trouble(trouble, DEV_BAD_DATA, NULL, NULL, "span %zu, bytes %lu to %lu, %s", number, (unsigned long) span->start,
						(unsigned long) span->end, why);
}

static bool
put_span(LearnTagScheme scheme, size_t n_tokens, const LearnWord *tokens, const LearnSpan *span, size_t number, int32_t *codes,
		 LearnTrouble *trouble)
{
	size_t		first = token_after(n_tokens, tokens, span->start);
	size_t		last = token_from(n_tokens, tokens, span->end);

	if (last <= first)
		return misfit(span, number, "touches no token", trouble);
	if (is_taken(codes, first, last))
		return misfit(span, number, "overlaps another", trouble);
	if (tokens[first].start < span->start || tokens[last - 1].end > span->end)
		return misfit(span, number, "begins or ends inside a token", trouble);
	for (size_t i = first; i < last; i++)
		codes[i] = learn_tag_code(scheme, span->label, place_in(scheme, first, last, i, false));
	return true;
}

bool
learn_tags_from_spans(LearnTagScheme scheme, int32_t n_labels, size_t n_tokens, const LearnWord *tokens,
					  size_t n_spans, const LearnSpan *spans, int32_t *codes, LearnTrouble *trouble)
{
	for (size_t i = 0; i < n_tokens; i++)
		codes[i] = LEARN_OUTSIDE;
	for (size_t i = 0; i < n_spans; i++)
	{
		if (spans[i].label < 0 || spans[i].label >= n_labels)
			return text_trouble(trouble, DEV_INVALID, NULL, NULL, "span %zu has no known label", i + 1);
		if (!put_span(scheme, n_tokens, tokens, &spans[i], i + 1, codes, trouble))
			return false;
	}
	return true;
}

size_t
learn_tags_spans(LearnTagScheme scheme, int32_t n_labels, bool strict, size_t n, const int32_t *codes,
				 const float *token_scores, LearnSpan *spans)
{
	TagSequence sequence = {scheme, learn_tag_codes(scheme, n_labels), n, codes};
	size_t		found = 0;
	size_t		at = 0;
	size_t		start;
	size_t		end;

	while (next_run(&sequence, strict, &at, &start, &end))
	{
		LearnSpan	span = {(uint32_t) start, (uint32_t) end, learn_tag_label(scheme, codes[start]), 1.0f};

		for (size_t i = start; i < end && token_scores != NULL; i++)
			span.score = i == start || token_scores[i] < span.score ? token_scores[i] : span.score;
		spans[found++] = span;
	}
	return found;
}

void
learn_spans_place(size_t n, LearnSpan *spans, const LearnWord *tokens)
{
	for (size_t i = 0; i < n; i++)
	{
		uint32_t	start = tokens[spans[i].start].start;

		spans[i].end = tokens[spans[i].end - 1].end;
		spans[i].start = start;
	}
}

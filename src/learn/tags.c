/*
 * tags.c: the labels of a training, and tags as users write them.
 *
 * Tags are parsed to IOBES codes whatever their scheme, because IOBES can say all that the others can. Runs of them are then
 * written out again, to see which scheme was meant and to make the codes that are wanted.
 */
#include "tags.h"
#include "text.h"

#define SCHEMES 3

struct LearnLabels
{
	DevSession *session;
	LearnDictionary *dictionary;
	bool		settled;
	LearnTagScheme scheme;
	uint64_t	disorder[SCHEMES];	/* tags that each scheme would write otherwise */
	int32_t    *codes;			/* scratch of the sequence at hand */
	size_t		capacity;
};

typedef struct ParsedTag
{
	int			place;			/* LearnTagPlace; -1: outside */
	const char *label;
	size_t		size;
} ParsedTag;

static bool
parse_tag(const char *tag, size_t size, ParsedTag *parsed)
{
	static const char letters[] = "BIESLU";
	static const LearnTagPlace places[] = {LEARN_TAG_B, LEARN_TAG_I, LEARN_TAG_E, LEARN_TAG_S, LEARN_TAG_E, LEARN_TAG_S};
	const char *letter;

	if (size == 1 && tag[0] == 'O')
	{
		parsed->place = -1;
		return true;
	}
	letter = size == 0 || tag[0] == '\0' ? NULL : strchr(letters, tag[0]);
	if (letter == NULL || size == 2 || (size > 2 && tag[1] != '-' && tag[1] != '_'))
		return false;
	parsed->place = (int) places[letter - letters];
	parsed->label = size == 1 ? "_" : tag + 2;
	parsed->size = size == 1 ? 1 : size - 2;
	return parsed->size <= LEARN_MAX_LABEL_BYTES && learn_text_valid(parsed->label, parsed->size);
}

static const char *const tag_hint = "Write \"O\" outside, and a letter and a label inside, such as \"B-Disease\", \"I-Disease\".";

static size_t
tag_size(const char *const *tags, const size_t *sizes, size_t at)
{
	return sizes == NULL ? strlen(tags[at]) : sizes[at];
}

/* ---- Labels ---- */

static LearnLabels *
create_labels(DevSession *session)
{
	LearnLabels *labels = dev_alloc(session, 1, sizeof(*labels));

	if (labels == NULL)
		return NULL;
	labels->session = session;
	labels->dictionary = learn_dictionary_create(session, dev_session_seed(session));
	if (labels->dictionary == NULL)
	{
		dev_release(session, labels);
		return NULL;
	}
	return labels;
}

LearnLabels *
learn_labels_create(DevSession *session)
{
	return create_labels(session);
}

void
learn_labels_free(LearnLabels *labels)
{
	if (labels == NULL)
		return;
	learn_dictionary_free(labels->dictionary);
	dev_release(labels->session, labels->codes);
	dev_release(labels->session, labels);
}

static DevStatus
intern_label(LearnLabels *labels, const char *label, size_t size, uint32_t *code)
{
	if (learn_dictionary_size(labels->dictionary) >= LEARN_MAX_LABELS &&
		!learn_dictionary_find(labels->dictionary, label, size, code))
		return dev_fail(labels->session, DEV_BAD_DATA, "more than %d different labels", LEARN_MAX_LABELS);
	return learn_dictionary_intern(labels->dictionary, label, size, LEARN_MAX_LABELS, code);
}

static DevStatus
check_open(LearnLabels *labels)
{
	if (labels->settled)
		return dev_fail(labels->session, DEV_INVALID, "the labels have been settled already");
	return DEV_OK;
}

static DevStatus
reserve_codes(LearnLabels *labels, size_t n)
{
	size_t		capacity = labels->capacity == 0 ? 256 : labels->capacity;

	if (n <= labels->capacity)
		return DEV_OK;
	while (capacity < n)
		capacity *= 2;
	dev_release(labels->session, labels->codes);
	labels->capacity = 0;
	labels->codes = dev_alloc(labels->session, capacity, sizeof(int32_t));
	if (labels->codes == NULL)
		return DEV_NO_MEMORY;
	labels->capacity = capacity;
	return DEV_OK;
}

/* Tags of IOBES codes, as they are, that a scheme would write otherwise; *first: the earliest of them. */
static size_t
count_disorder(LearnTagScheme scheme, size_t n, const int32_t *codes, size_t *first)
{
	TagSequence sequence = {LEARN_IOBES, INT32_MAX, n, codes};
	size_t		disorder = 0;
	size_t		before = SIZE_MAX;	/* where the entity before ended */
	int32_t		label_before = -1;
	size_t		at = 0;
	size_t		start;
	size_t		end;

	while (next_run(&sequence, false, &at, &start, &end))
	{
		int32_t		label = learn_tag_label(LEARN_IOBES, codes[start]);
		bool		touches = start == before && label == label_before;

		for (size_t i = start; i < end; i++)
		{
			if (learn_tag_place(LEARN_IOBES, codes[i]) == place_in(scheme, start, end, i, touches))
				continue;
			if (disorder++ == 0)
				*first = i;
		}
		before = end;
		label_before = label;
	}
	return disorder;
}

DevStatus
learn_labels_count(LearnLabels *labels, size_t n, const char *const *tags, const size_t *sizes)
{
	DevStatus	status = check_open(labels);
	size_t		first;

	if (status == DEV_OK)
		status = reserve_codes(labels, n);
	for (size_t i = 0; i < n && status == DEV_OK; i++)
	{
		size_t		size = tag_size(tags, sizes, i);
		ParsedTag	parsed;
		uint32_t	label;

		if (!parse_tag(tags[i], size, &parsed))
		{
			dev_fail(labels->session, DEV_BAD_DATA, "\"%.*s\" is not a tag", text_shown(tags[i], size), tags[i]);
			dev_hint(labels->session, "%s", tag_hint);
			return DEV_BAD_DATA;
		}
		labels->codes[i] = LEARN_OUTSIDE;
		if (parsed.place < 0)
			continue;
		status = intern_label(labels, parsed.label, parsed.size, &label);
		if (status == DEV_OK)
			labels->codes[i] = learn_tag_code(LEARN_IOBES, (int32_t) label, (LearnTagPlace) parsed.place);
	}
	for (int scheme = 0; scheme < SCHEMES && status == DEV_OK; scheme++)
		labels->disorder[scheme] += count_disorder(scheme, n, labels->codes, &first);
	return status;
}

/* A dictionary with the same entries in order of their bytes. */
static DevStatus
sort_labels(LearnLabels *labels)
{
	DevSession *session = labels->session;
	uint32_t	n = learn_dictionary_size(labels->dictionary);
	LearnCounted *list = dev_alloc(session, n, sizeof(LearnCounted));
	LearnCounted *scratch = dev_alloc(session, n, sizeof(LearnCounted));
	LearnDictionary *sorted = learn_dictionary_create(session, dev_session_seed(session));
	DevStatus	status = list == NULL || scratch == NULL || sorted == NULL ? DEV_NO_MEMORY : DEV_OK;

	for (uint32_t i = 0; i < n && status == DEV_OK; i++)
		list[i].bytes = learn_dictionary_text(labels->dictionary, i, &list[i].size);
	if (status == DEV_OK)
		status = learn_counted_sort(session, list, scratch, n, false);
	for (uint32_t i = 0; i < n && status == DEV_OK; i++)
	{
		uint32_t	code;

		status = learn_dictionary_intern(sorted, list[i].bytes, list[i].size, LEARN_MAX_LABELS, &code);
	}
	dev_release(session, scratch);
	dev_release(session, list);
	if (status != DEV_OK)
	{
		learn_dictionary_free(sorted);
		return status;
	}
	learn_dictionary_free(labels->dictionary);
	labels->dictionary = sorted;
	return DEV_OK;
}

DevStatus
learn_labels_settle(LearnLabels *labels)
{
	static const LearnTagScheme preferred[SCHEMES] = {LEARN_IOB2, LEARN_IOB1, LEARN_IOBES};
	DevStatus	status = check_open(labels);

	if (status != DEV_OK)
		return status;
	if (learn_dictionary_size(labels->dictionary) == 0)
		return dev_fail(labels->session, DEV_BAD_DATA, "no token has a label");
	status = sort_labels(labels);
	if (status != DEV_OK)
		return status;
	labels->scheme = preferred[0];
	for (int i = 1; i < SCHEMES; i++)
		if (labels->disorder[preferred[i]] < labels->disorder[labels->scheme])
			labels->scheme = preferred[i];
	labels->settled = true;
	return DEV_OK;
}

DevStatus
learn_labels_restore(DevSession *session, int32_t n, const char *const *texts, LearnLabels **labels)
{
	LearnLabels *restored;
	DevStatus	status = DEV_OK;

	*labels = NULL;
	if (n < 1 || n > LEARN_MAX_LABELS)
		return dev_fail(session, DEV_CORRUPT, "a tagger has 1 to %d labels, not %ld", LEARN_MAX_LABELS, (long) n);
	restored = create_labels(session);
	if (restored == NULL)
		return DEV_NO_MEMORY;
	for (int32_t i = 0; i < n && status == DEV_OK; i++)
	{
		size_t		size = strlen(texts[i]);
		uint32_t	code;

		if (size == 0 || size > LEARN_MAX_LABEL_BYTES || !learn_text_valid(texts[i], size))
			status = dev_fail(session, DEV_CORRUPT, "label %ld is empty, too long or not valid UTF-8", (long) i + 1);
		else
			status = intern_label(restored, texts[i], size, &code);
		if (status == DEV_OK && code != (uint32_t) i)
			status = dev_fail(session, DEV_CORRUPT, "label \"%.*s\" is there twice", text_shown(texts[i], size), texts[i]);
	}
	if (status != DEV_OK)
	{
		learn_labels_free(restored);
		return status;
	}
	restored->settled = true;
	*labels = restored;
	return DEV_OK;
}

int32_t
learn_labels_size(const LearnLabels *labels)
{
	return (int32_t) learn_dictionary_size(labels->dictionary);
}

const char *
learn_labels_text(const LearnLabels *labels, int32_t label)
{
	return label < 0 ? NULL : learn_dictionary_text(labels->dictionary, (uint32_t) label, NULL);
}

int32_t
learn_labels_find(const LearnLabels *labels, const char *text, size_t size)
{
	uint32_t	code;

	return learn_dictionary_find(labels->dictionary, text, size, &code) ? (int32_t) code : -1;
}

LearnTagScheme
learn_labels_scheme(const LearnLabels *labels)
{
	return labels->scheme;
}

uint64_t
learn_labels_disorder(const LearnLabels *labels)
{
	return labels->disorder[labels->scheme];
}

const char *
learn_tag_text(const LearnLabels *labels, LearnTagScheme scheme, int32_t code, char *text, size_t room)
{
	const char *label = learn_labels_text(labels, learn_tag_label(scheme, code));

	if (label == NULL)
		snprintf(text, room, "O");
	else
		snprintf(text, room, "%c-%s", "BIES"[learn_tag_place(scheme, code)], label);
	return text;
}

/* ---- Reading ---- */

static bool
parse_known(const LearnLabels *labels, size_t n, const char *const *tags, const size_t *sizes, int32_t *codes,
			LearnTrouble *trouble)
{
	for (size_t i = 0; i < n; i++)
	{
		size_t		size = tag_size(tags, sizes, i);
		ParsedTag	parsed;
		int32_t		label;

		if (!parse_tag(tags[i], size, &parsed))
			return text_trouble(trouble, DEV_BAD_DATA, NULL, tag_hint, "\"%.*s\" at token %zu is not a tag", text_shown(tags[i], size), tags[i],
								i + 1);
		codes[i] = LEARN_OUTSIDE;
		if (parsed.place < 0)
			continue;
		label = learn_labels_find(labels, parsed.label, parsed.size);
		if (label < 0)
			return text_trouble(trouble, DEV_BAD_DATA, "The training part has no token with it.", NULL,
								"label \"%.*s\" of token %zu is not known", text_shown(parsed.label, parsed.size), parsed.label, i + 1);
		codes[i] = learn_tag_code(LEARN_IOBES, label, (LearnTagPlace) parsed.place);
	}
	return true;
}

/* IOBES codes as they were written to codes of another scheme, in order. */
static void
rewrite_codes(LearnTagScheme to, size_t n, int32_t *codes)
{
	TagSequence sequence = {LEARN_IOBES, INT32_MAX, n, codes};
	size_t		at = 0;
	size_t		start;
	size_t		end;

	while (next_run(&sequence, false, &at, &start, &end))
	{
		int32_t		label = learn_tag_label(LEARN_IOBES, codes[start]);

		for (size_t i = start; i < end; i++)
			codes[i] = learn_tag_code(to, label, place_in(to, start, end, i, false));
	}
}

bool
learn_tags_read(const LearnLabels *labels, LearnTagScheme from, LearnTagScheme to, bool repair, size_t n,
				const char *const *tags, const size_t *sizes, int32_t *codes, size_t *repaired, LearnTrouble *trouble)
{
	static const char *const names[SCHEMES] = {"IOB2", "IOBES", "IOB1"};
	size_t		first = 0;
	size_t		disorder;

	if (repaired != NULL)
		*repaired = 0;
	if (!parse_known(labels, n, tags, sizes, codes, trouble))
		return false;
	disorder = count_disorder(from, n, codes, &first);
	if (disorder > 0 && !repair)
	{
		size_t		size = tag_size(tags, sizes, first);

		return text_trouble(trouble, DEV_BAD_DATA, NULL, NULL, "tag \"%.*s\" at token %zu is out of order in scheme %s",
							text_shown(tags[first], size), tags[first], first + 1, names[from]);
	}
	if (repaired != NULL)
		*repaired = disorder;
	rewrite_codes(to, n, codes);
	return true;
}

bool
learn_tag_follows(LearnTagScheme scheme, int32_t before, int32_t after)
{
	bool		inside = before > 0 && learn_tag_place(scheme, before) <= LEARN_TAG_I;
	bool		continues = after > 0 && (learn_tag_place(scheme, after) == LEARN_TAG_I || learn_tag_place(scheme, after) == LEARN_TAG_E);

	if (continues)
		return inside && learn_tag_label(scheme, before) == learn_tag_label(scheme, after);
	/* Under IOBES an entity must be ended before anything else may come. */
	return scheme == LEARN_IOB2 || !inside;
}

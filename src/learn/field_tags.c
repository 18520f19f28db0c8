/*
 * field_tags.c: texts cut into tokens, with a tag for each, as a tagger reads them.
 *
 * A row brings the text, where its tokens lie, and the tags as they were written. Labels are counted over all rows, so that
 * a label of the test part alone is known and missed, not unheard of; words, characters and affixes over the training part
 * alone. What is stored of a token are numbers in the lexicon's tables. Tags are kept as IOBES, whatever they came as: a CRF
 * learns borders best when they have tags of their own.
 */
#include "field.h"

#include <stdlib.h>
#include <string.h>

#include "idla/learn_tags.h"
#include "text.h"

#define MOST_TOKENS ((size_t) 512)	/* unless the user wants more */
#define LENGTH_STEP ((size_t) 8)
#define LEAST_AFFIX_COUNT 3
#define NOTHING (-1)			/* a code that no table has, and LEARN_NO_TAG */
#define MOST_TAKEN ((size_t) 1 << 24)	/* tokens */

/* What a taken record begins with; then come the tokens, the text, the tags with a NUL each. */
typedef struct TakenHead
{
	uint32_t	n;
	uint32_t	text_size;
	uint32_t	tags_size;		/* 0: there are none */
	uint32_t	unused;
} TakenHead;

typedef struct Taken
{
	size_t		n;
	const LearnWord *tokens;
	const char *text;
	size_t		text_size;
	const char *tags;			/* NULL without */
} Taken;

static Taken
read_taken(LearnBytes value)
{
	const char *bytes = value.bytes;
	TakenHead	head;
	Taken		taken = {0};

	memcpy(&head, bytes, sizeof(head));
	taken.n = head.n;
	taken.tokens = (const LearnWord *) (const void *) (bytes + sizeof(head));
	taken.text = bytes + sizeof(head) + head.n * sizeof(LearnWord);
	taken.text_size = head.text_size;
	taken.tags = head.tags_size == 0 ? NULL : taken.text + head.text_size;
	return taken;
}

/* Tags of a taken record, one pointer each, into dst (n). */
static void
list_tags(const Taken *taken, const char **dst)
{
	const char *tag = taken->tags;

	for (size_t i = 0; i < taken->n; i++)
	{
		dst[i] = tag;
		tag += strlen(tag) + 1;
	}
}

/* ---- Taking ---- */

static bool
no_memory(LearnTrouble *trouble, size_t size)
{
	return text_trouble(trouble, DEV_NO_MEMORY, NULL, NULL, "out of memory: %zu bytes are needed for the tokens of a text", size);
}

static bool
take_raw(const char *text, size_t size, size_t n, const LearnWord *tokens, const char *const *tags, void **taken,
		 size_t *taken_size, LearnTrouble *trouble)
{
	TakenHead	head = {.n = (uint32_t) n,.text_size = (uint32_t) size};
	size_t		tags_size = 0;
	char	   *at;

	for (size_t i = 0; tags != NULL && i < n; i++)
		tags_size += strlen(tags[i]) + 1;
	if (tags_size > UINT32_MAX)
		return text_trouble(trouble, DEV_BAD_DATA, NULL, NULL, "the tags of a text are too long");
	head.tags_size = (uint32_t) tags_size;
	*taken_size = sizeof(head) + n * sizeof(LearnWord) + size + tags_size;
	at = *taken = malloc(*taken_size);
	if (at == NULL)
		return no_memory(trouble, *taken_size);
	memcpy(at, &head, sizeof(head));
	at += sizeof(head);
	memcpy(at, tokens, n * sizeof(LearnWord));
	at += n * sizeof(LearnWord);
	memcpy(at, text, size);
	at += size;
	for (size_t i = 0; tags != NULL && i < n; i++)
	{
		size_t		length = strlen(tags[i]) + 1;

		memcpy(at, tags[i], length);
		at += length;
	}
	return true;
}

/* A stored record is n, then the words, shapes, affixes, characters and tags of all tokens. */
static size_t
token_codes(const LearnField *field)
{
	return 3 + LEARN_AFFIXES + field->characters;
}

size_t
learn_affix_rows(const LearnField *field)
{
	size_t		rows = 0;

	for (int table = LEARN_TABLE_PREFIX2; table <= LEARN_TABLE_SUFFIX4; table++)
		rows += learn_lexicon_size(field->lexicon, (LearnLexiconTable) table);
	return rows;
}

/* Affixes of all tables are numbered in one go, so that one embedding serves them all. */
static void
number_affixes(const LearnField *field, size_t n, int32_t *affixes)
{
	int32_t		first[LEARN_AFFIXES];
	int32_t		rows = 0;

	for (int i = 0; i < LEARN_AFFIXES; i++)
	{
		first[i] = rows;
		rows += (int32_t) learn_lexicon_size(field->lexicon, (LearnLexiconTable) (LEARN_TABLE_PREFIX2 + i));
	}
	for (size_t i = 0; i < n * LEARN_AFFIXES; i++)
		affixes[i] += first[i % LEARN_AFFIXES];
}

static bool
encode(const LearnField *field, const char *text, size_t size, size_t n, const LearnWord *tokens, const char *const *tags,
	   int32_t *dst, LearnTrouble *trouble)
{
	int32_t    *words = dst + 1;
	int32_t    *shapes = words + n;
	int32_t    *affixes = shapes + n;
	int32_t    *characters = affixes + n * LEARN_AFFIXES;
	int32_t    *codes = characters + n * field->characters;

	dst[0] = (int32_t) n;
	if (!learn_lexicon_encode(field->lexicon, text, size, tokens, n, words, characters, shapes, affixes, trouble))
		return false;
	number_affixes(field, n, affixes);
	for (size_t i = 0; i < n * field->characters; i++)
		characters[i] = characters[i] == LEARN_PADDING ? NOTHING : characters[i];
	for (size_t i = 0; tags == NULL && i < n; i++)
		codes[i] = LEARN_NO_TAG;
	return tags == NULL || learn_tags_read(field->labels, learn_labels_scheme(field->labels), LEARN_IOBES, true, n, tags, NULL,
										   codes, NULL, trouble);
}

static bool
take_stored(const LearnField *field, const char *text, size_t size, size_t n, const LearnWord *tokens,
			const char *const *tags, void **taken, size_t *taken_size, LearnTrouble *trouble)
{
	size_t		kept = n < field->dims[0] ? n : field->dims[0];

	*taken_size = (1 + kept * token_codes(field)) * sizeof(int32_t);
	*taken = malloc(*taken_size);
	if (*taken == NULL)
		return no_memory(trouble, *taken_size);
	if (encode(field, text, size, kept, tokens, tags, *taken, trouble))
		return true;
	free(*taken);
	*taken = NULL;
	return false;
}

bool
learn_field_take_tokens(const LearnField *field, const char *text, size_t size, size_t n, const LearnWord *tokens,
						const char *const *tags, bool stored, void **taken, size_t *taken_size, LearnTrouble *trouble)
{
	*taken = NULL;
	*taken_size = 0;
	memset(trouble, 0, sizeof(*trouble));
	if (!learn_text_fits(size, trouble) || !learn_tokens_fit(size, tokens, n, trouble))
		return false;
	if (n > MOST_TAKEN)
		return text_trouble(trouble, DEV_BAD_DATA, NULL, NULL, "a text has %zu tokens, more than %zu", n, MOST_TAKEN);
	if (!learn_text_valid(text, size))
		return text_trouble(trouble, DEV_BAD_DATA, NULL, NULL, "the text is no valid UTF-8");
	if (n == 0)
		return true;
	if (stored)
		return take_stored(field, text, size, n, tokens, tags, taken, taken_size, trouble);
	return take_raw(text, size, n, tokens, tags, taken, taken_size, trouble);
}

/* ---- Loading ---- */

int
learn_tagged_planes(const LearnField *field, LearnPlane planes[LEARN_MAX_PLANES])
{
	size_t		length = field->dims[0];

	planes[0] = (LearnPlane) {.name = ".words",.codes = true,.shape = nn_shape(1, length, 0, 0, 0)};
	planes[1] = (LearnPlane) {.name = ".shapes",.codes = true,.shape = nn_shape(1, length, 0, 0, 0)};
	planes[2] = (LearnPlane) {.name = ".affixes",.codes = true,.shape = nn_shape(1, length * LEARN_AFFIXES, 0, 0, 0)};
	planes[3] = (LearnPlane) {.name = ".characters",.codes = true,.shape = nn_shape(1, length * field->characters, 0, 0, 0)};
	planes[4] = (LearnPlane) {.name = ".tags",.codes = true,.shape = nn_shape(1, length, 0, 0, 0)};
	return 5;
}

/* The first `kept` of n tokens' codes, `each` a token, and padding after them. */
static void
load_codes(const int32_t *src, size_t kept, size_t each, size_t length, int32_t padding, int32_t *dst)
{
	memcpy(dst, src, kept * each * sizeof(int32_t));
	for (size_t i = kept * each; i < length * each; i++)
		dst[i] = padding;
}

void
learn_tagged_load(const LearnField *field, LearnBytes stored, void *const planes[LEARN_MAX_PLANES], int32_t *length)
{
	const size_t each[] = {1, 1, LEARN_AFFIXES, field->characters, 1};
	const int32_t *codes = stored.bytes == NULL ? NULL : (const int32_t *) stored.bytes + 1;
	size_t		n = codes == NULL ? 0 : (size_t) codes[-1];
	size_t		kept = n < field->dims[0] ? n : field->dims[0];
	static const int32_t nothing[1];

	for (int i = 0; i < 5; i++)
	{
		load_codes(codes == NULL ? nothing : codes, kept, each[i], field->dims[0], NOTHING, planes[i]);
		if (codes != NULL)
			codes += n * each[i];
	}
	*length = (int32_t) kept;
}

/* ---- Fitting ---- */

typedef struct Counting
{
	LearnDataset *dataset;
	LearnField *field;
	const char **tags;
	size_t		capacity;
	size_t		longest;		/* text of the training part, in tokens */
} Counting;

static DevStatus
room_for_tags(Counting *counting, size_t n)
{
	if (n <= counting->capacity)
		return DEV_OK;
	dev_release(counting->dataset->session, counting->tags);
	counting->capacity = 0;
	counting->tags = dev_alloc(counting->dataset->session, 2 * n, sizeof(char *));
	if (counting->tags == NULL)
		return DEV_NO_MEMORY;
	counting->capacity = 2 * n;
	return DEV_OK;
}

static DevStatus
count_row(Counting *counting, LearnBytes value, bool training)
{
	Taken		taken = read_taken(value);
	DevStatus	status = room_for_tags(counting, taken.n);

	if (status == DEV_OK && taken.tags != NULL)
	{
		list_tags(&taken, counting->tags);
		status = learn_labels_count(counting->field->labels, taken.n, counting->tags, NULL);
	}
	if (status != DEV_OK || !training)
		return status;
	counting->longest = taken.n > counting->longest ? taken.n : counting->longest;
	return learn_lexicon_count(counting->field->lexicon, taken.text, taken.text_size, taken.tokens, taken.n);
}

static DevStatus
count_rows(Counting *counting, int number)
{
	LearnDataset *dataset = counting->dataset;
	DevStatus	status = DEV_OK;

	for (size_t row = 0; row < dataset->n_rows && status == DEV_OK; row++)
	{
		LearnBytes	value;

		status = row % 64 == 0 ? dev_poll(dataset->session) : DEV_OK;
		if (status == DEV_OK)
			status = learn_dataset_field(dataset, number, row, &value);
		if (status == DEV_OK && value.bytes != NULL)
			status = count_row(counting, value, dataset->parts[row] == LEARN_TRAIN);
	}
	return status;
}

DevStatus
learn_tagged_fit(LearnDataset *dataset, int number)
{
	DevSession *session = dataset->session;
	LearnField *field = &dataset->fields[number];
	LearnLexiconPlan plan = {.characters = field->characters,.min_count = 2,.min_affix_count = LEAST_AFFIX_COUNT};
	Counting	counting = {.dataset = dataset,.field = field};
	DevStatus	status;

	field->lexicon = learn_lexicon_create(session, &plan);
	field->labels = learn_labels_create(session);
	if (field->lexicon == NULL || field->labels == NULL)
		return DEV_NO_MEMORY;
	status = count_rows(&counting, number);
	if (status == DEV_OK)
		status = learn_labels_settle(field->labels);
	if (status == DEV_OK)
		status = learn_lexicon_fit(field->lexicon);
	/* A sentence is tagged whole or not at all: the longest counts, within reason. */
	if (status == DEV_OK && field->dims[0] == 0)
	{
		field->dims[0] = (counting.longest + LENGTH_STEP - 1) / LENGTH_STEP * LENGTH_STEP;
		field->dims[0] = field->dims[0] < LENGTH_STEP ? LENGTH_STEP : field->dims[0] > MOST_TOKENS ? MOST_TOKENS : field->dims[0];
	}
	dev_release(session, counting.tags);
	return status;
}

/* ---- Encoding ---- */

DevStatus
learn_tagged_store(LearnDataset *dataset, int number, LearnBytes value, LearnStore *store)
{
	const LearnField *field = &dataset->fields[number];
	Taken		taken = read_taken(value);
	const char **tags = dev_alloc(dataset->session, taken.n, sizeof(char *));
	void	   *stored = NULL;
	size_t		size;
	LearnTrouble trouble;
	DevStatus	status = DEV_NO_MEMORY;

	if (tags == NULL)
		return DEV_NO_MEMORY;
	if (taken.tags != NULL)
		list_tags(&taken, tags);
	if (take_stored(field, taken.text, taken.text_size, taken.n, taken.tokens, taken.tags == NULL ? NULL : tags, &stored, &size,
					&trouble))
		status = learn_store_append(store, stored, size);
	else
		status = text_fail(dataset->session, &trouble);
	free(stored);
	dev_release(dataset->session, tags);
	return status;
}

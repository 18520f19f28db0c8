/*
 * field_text.c: texts as codes of pieces.
 *
 * Rows bring UTF-8. Once the parts are known, a vocabulary is made of the training part's texts alone; then every text is replaced
 * by the numbers of its pieces, which is all that a network sees. An empty text is a missing one.
 */
#include "field.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define SMALL_CORPUS ((size_t) 2000)	/* texts below which the smaller vocabulary does */
#define SMALL_VOCABULARY ((size_t) 8000)
#define LARGE_VOCABULARY ((size_t) 16000)
#define LEAST_COUNT 2			/* of a pair of pieces that is merged */
#define MOST_TOKENS ((size_t) 512)	/* unless the user wants more */
#define MEASURED_TOKENS ((size_t) 4096)	/* of a text whose pieces are counted */
#define ENOUGH_SHARE 0.98		/* of the training texts fit whole */
#define LENGTH_STEP ((size_t) 16)

/* ---- Taking ---- */

/* Bytes as the host has them, checked; *taken is malloc's. */
static bool
take_copy(const char *text, size_t size, void **taken, size_t *taken_size, LearnTrouble *trouble)
{
	if (!learn_text_fits(size, trouble))
		return false;
	if (!learn_text_valid(text, size))
		return text_trouble(trouble, DEV_BAD_DATA, NULL, "Convert the text in the source, for example with convert_from().",
							"the text is no valid UTF-8");
	*taken = malloc(size + 1);
	if (*taken == NULL)
		return text_trouble(trouble, DEV_NO_MEMORY, NULL, NULL, "out of memory: %zu bytes are needed for a text", size);
	memcpy(*taken, text, size);
	*taken_size = size;
	return true;
}

static LearnTextWish
wish_of(const LearnField *field, size_t most)
{
	LearnTextWish wish = {.max_tokens = most, .keep = field->kept, .invalid = LEARN_UTF8_REPLACE};

	return wish;
}

bool
learn_field_take_text(const LearnField *field, const char *text, size_t size, bool stored, void **taken, size_t *taken_size,
					  LearnTrouble *trouble)
{
	LearnTextWish wish = wish_of(field, field->dims[0]);
	LearnWord	word;
	size_t		n;

	*taken = NULL;
	*taken_size = 0;
	memset(trouble, 0, sizeof(*trouble));
	if (!learn_text_fits(size, trouble) || !learn_text_words(text, size, false, LEARN_UTF8_REFUSE, &word, 1, &n, trouble))
		return false;
	if (n == 0)
		return true;
	if (!stored)
		return take_copy(text, size, taken, taken_size, trouble);
	*taken = malloc(field->dims[0] * sizeof(int32_t));
	if (*taken == NULL)
		return text_trouble(trouble, DEV_NO_MEMORY, NULL, NULL, "out of memory: %zu tokens are needed for a text", field->dims[0]);
	if (learn_text_encode(field->vocabulary, text, size, &wish, *taken, NULL, NULL, NULL, &n, trouble))
	{
		*taken_size = n * sizeof(int32_t);
		return true;
	}
	free(*taken);
	*taken = NULL;
	return false;
}

/* ---- Loading ---- */

void
learn_text_load(const LearnField *field, LearnBytes stored, int32_t *ids, int32_t *length)
{
	size_t		n = stored.bytes == NULL ? 0 : stored.size / sizeof(int32_t);

	n = n < field->dims[0] ? n : field->dims[0];
	if (n > 0)
		memcpy(ids, stored.bytes, n * sizeof(int32_t));
	memset(ids + n, 0, (field->dims[0] - n) * sizeof(int32_t));
	*length = (int32_t) n;
}

/* ---- Fitting ---- */

/* Calls for every row of the training part that has a value. */
static DevStatus
each_text(LearnDataset *dataset, int number, DevStatus (*take) (void *context, const char *text, size_t size), void *context)
{
	DevStatus	status = DEV_OK;

	for (size_t row = 0; row < dataset->n_rows && status == DEV_OK; row++)
	{
		LearnBytes	value;

		if (dataset->parts[row] != LEARN_TRAIN)
			continue;
		status = row % 64 == 0 ? dev_poll(dataset->session) : DEV_OK;
		if (status == DEV_OK)
			status = learn_dataset_field(dataset, number, row, &value);
		if (status == DEV_OK && value.bytes != NULL)
			status = take(context, value.bytes, value.size);
	}
	return status;
}

static DevStatus
count_words(void *context, const char *text, size_t size)
{
	return learn_vocabulary_count(context, text, size, LEARN_UTF8_REPLACE);
}

static DevStatus
make_vocabulary(LearnDataset *dataset, int number)
{
	LearnField *field = &dataset->fields[number];
	size_t		sizes[LEARN_N_PARTS];
	size_t		pieces = field->wanted_pieces;
	DevStatus	status;

	learn_part_sizes(dataset, sizes);
	if (pieces == 0)
		pieces = sizes[LEARN_TRAIN] < SMALL_CORPUS ? SMALL_VOCABULARY : LARGE_VOCABULARY;
	field->vocabulary = learn_vocabulary_create(dataset->session, field->lowercase, 0);
	if (field->vocabulary == NULL)
		return dev_status(dataset->session);
	status = each_text(dataset, number, count_words, field->vocabulary);
	if (status == DEV_OK)
		status = learn_vocabulary_train(field->vocabulary, pieces, LEAST_COUNT);
	return status;
}

/* How long texts are in pieces, and in how many of them each piece is. */
typedef struct Measure
{
	DevSession *session;
	const LearnField *field;
	size_t		n_texts;
	size_t	   *lengths;		/* (MEASURED_TOKENS + 1): how many texts have so many pieces */
	uint32_t   *texts;			/* (pieces): in which it is */
	uint32_t   *last;			/* (pieces): number of the text it was last seen in */
	int32_t    *ids;			/* (MEASURED_TOKENS) */
} Measure;

static DevStatus
measure_text(void *context, const char *text, size_t size)
{
	Measure    *measure = context;
	LearnTextWish wish = wish_of(measure->field, MEASURED_TOKENS);
	LearnTrouble trouble;
	size_t		n;

	if (!learn_text_encode(measure->field->vocabulary, text, size, &wish, measure->ids, NULL, NULL, NULL, &n, &trouble))
		return text_fail(measure->session, &trouble);
	measure->n_texts++;
	measure->lengths[n]++;
	for (size_t i = 0; i < n; i++)
	{
		int32_t		id = measure->ids[i];

		measure->texts[id] += measure->last[id] != (uint32_t) measure->n_texts;
		measure->last[id] = (uint32_t) measure->n_texts;
	}
	return DEV_OK;
}

static size_t
enough_tokens(const Measure *measure)
{
	size_t		seen = 0;
	size_t		length = 0;

	while (length < MEASURED_TOKENS && (double) (seen + measure->lengths[length]) < ENOUGH_SHARE * (double) measure->n_texts)
		seen += measure->lengths[length++];
	length = (length + LENGTH_STEP - 1) / LENGTH_STEP * LENGTH_STEP;
	return length < LENGTH_STEP ? LENGTH_STEP : length > MOST_TOKENS ? MOST_TOKENS : length;
}

static DevStatus
measure_texts(LearnDataset *dataset, int number)
{
	DevSession *session = dataset->session;
	LearnField *field = &dataset->fields[number];
	size_t		n_pieces = learn_vocabulary_size(field->vocabulary);
	Measure		measure = {.session = session, .field = field};
	DevStatus	status = DEV_NO_MEMORY;

	measure.lengths = dev_alloc(session, MEASURED_TOKENS + 1, sizeof(size_t));
	measure.texts = dev_alloc(session, n_pieces, sizeof(uint32_t));
	measure.last = dev_alloc(session, n_pieces, sizeof(uint32_t));
	measure.ids = dev_alloc(session, MEASURED_TOKENS, sizeof(int32_t));
	field->piece_weights = dev_alloc(session, n_pieces, sizeof(float));
	if (measure.lengths != NULL && measure.texts != NULL && measure.last != NULL && measure.ids != NULL &&
		field->piece_weights != NULL)
		status = each_text(dataset, number, measure_text, &measure);
	if (status == DEV_OK)
	{
		/* The smoothed inverse document frequency of scikit-learn, its log because weights are made by a softmax. */
		for (size_t i = 0; i < n_pieces; i++)
			field->piece_weights[i] = (float) log(log((1.0 + (double) measure.n_texts) / (1.0 + measure.texts[i])) + 1.0);
		if (field->dims[0] == 0)
			field->dims[0] = enough_tokens(&measure);
	}
	dev_release(session, measure.lengths);
	dev_release(session, measure.texts);
	dev_release(session, measure.last);
	dev_release(session, measure.ids);
	return status;
}

DevStatus
learn_text_fit(LearnDataset *dataset, int number)
{
	LearnField *field = &dataset->fields[number];
	DevStatus	status = field->vocabulary != NULL ? DEV_OK : make_vocabulary(dataset, number);

	if (status == DEV_BAD_DATA)
		dev_detail(dataset->session, "Column \"%s\" has no words in the training part.", field->name);
	return status == DEV_OK ? measure_texts(dataset, number) : status;
}

/* ---- Encoding ---- */

DevStatus
learn_text_store(LearnDataset *dataset, int number, LearnBytes value, LearnStore *store)
{
	const LearnField *field = &dataset->fields[number];
	void	   *stored;
	size_t		size;
	LearnTrouble trouble;
	DevStatus	status;

	if (!learn_field_take_text(field, value.bytes, value.size, true, &stored, &size, &trouble))
		return text_fail(dataset->session, &trouble);
	status = learn_store_append(store, stored, size);
	free(stored);
	return status;
}

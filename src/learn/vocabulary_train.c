/*
 * vocabulary_train.c: pieces from counted words, by merging pairs.
 *
 * Every word is a row of symbols, at first its characters. The pair of neighbours that occurs most often becomes a symbol of its own, and
 * so on. Counts of pairs are kept up to date word by word: a pair knows the words it was seen in (some of
 * which may have lost it since), and a heap serves the most frequent pair, whose entry may be out of date in one direction only: a
 * pair's count falls silently, and is looked up again when its turn has come.
 */
#include "text.h"

#define SMALLEST_VOCABULARY 16
#define MAX_ALPHABET 1000
#define MAX_ALPHABET_SEEN 200000
#define NOTHING UINT32_MAX
#define NO_SYMBOL (-1)			/* a character outside the alphabet: no pair crosses it */

typedef struct TrainWord
{
	size_t		first;			/* in symbols */
	uint32_t	n;
	uint64_t	count;
} TrainWord;

typedef struct Pair
{
	int32_t		left;
	int32_t		right;
	uint64_t	count;
	uint32_t	words;			/* first link, NOTHING: none */
	bool		grown;			/* in the merge at hand: it is on the list of those */
} Pair;

typedef struct Link
{
	uint32_t	word;
	uint32_t	next;
} Link;

typedef struct HeapItem
{
	uint64_t	count;
	uint32_t	pair;
} HeapItem;

/* An array that grows by doubling. */
typedef struct Growing
{
	void	   *items;
	size_t		n;
	size_t		capacity;
	size_t		size;			/* of an item */
} Growing;

typedef struct Training
{
	DevSession *session;
	LearnVocabulary *vocabulary;
	size_t		size;			/* pieces wanted */
	uint64_t	min_count;
	LearnDictionary *pieces;	/* code = symbol = number of the piece */
	LearnCounted *counted;		/* words */
	size_t		n_words;
	TrainWord  *words;
	int32_t    *symbols;
	Growing		pairs;			/* Pair */
	Growing		links;			/* Link */
	uint32_t	free_links;
	Growing		heap;			/* HeapItem */
	Growing		grown;			/* uint32_t: pairs */
	uint32_t   *slots;			/* hash of pairs: number + 1 */
	size_t		n_slots;
} Training;

static DevStatus
grow(DevSession *session, Growing *array)
{
	size_t		capacity = array->capacity == 0 ? 1024 : array->capacity * 2;
	void	   *items;

	if (array->n < array->capacity)
		return DEV_OK;
	if (capacity >= NOTHING)
		return dev_fail(session, DEV_NO_MEMORY, "too many different pairs of pieces");
	items = dev_alloc(session, capacity, array->size);
	if (items == NULL)
		return DEV_NO_MEMORY;
	if (array->n > 0)
		memcpy(items, array->items, array->n * array->size);
	dev_release(session, array->items);
	array->items = items;
	array->capacity = capacity;
	return DEV_OK;
}

static inline Pair *
pair_at(const Training *training, uint32_t pair)
{
	return (Pair *) training->pairs.items + pair;
}

/* ---- The alphabet ---- */

static DevStatus
intern_piece(Training *training, const char *bytes, size_t size, uint32_t *code)
{
	return learn_dictionary_intern(training->pieces, bytes, size, LEARN_MAX_PIECES, code);
}

/* "##" and a character. */
static size_t
continuation(const char *bytes, size_t size, char *text)
{
	memcpy(text, "##", 2);
	memcpy(text + 2, bytes, size);
	return size + 2;
}

static DevStatus
count_alphabet(Training *training, LearnCounts *characters)
{
	for (size_t i = 0; i < training->n_words; i++)
	{
		const LearnCounted *word = &training->counted[i];
		DevStatus	status = i % TEXT_POLL == 0 ? dev_poll(training->session) : DEV_OK;

		for (size_t at = 0; at < word->size && status == DEV_OK;)
		{
			size_t		from = at;

			learn_character_read(word->bytes, word->size, &at);
			status = learn_counts_add(characters, word->bytes + from, at - from, word->count);
		}
		if (status != DEV_OK)
			return status;
	}
	return DEV_OK;
}

/* Special tokens, then all first characters, then all continuations, each in order of their bytes. */
static DevStatus
intern_alphabet(Training *training, const LearnCounted *alphabet, size_t n)
{
	DevStatus	status = DEV_OK;
	uint32_t	code;

	for (int i = 0; i < LEARN_SPECIALS && status == DEV_OK; i++)
		status = intern_piece(training, learn_special_text(i), strlen(learn_special_text(i)), &code);
	for (size_t i = 0; i < n && status == DEV_OK; i++)
		status = intern_piece(training, alphabet[i].bytes, alphabet[i].size, &code);
	for (size_t i = 0; i < n && status == DEV_OK; i++)
	{
		char		text[MAX_CHARACTER_BYTES + 2];
		size_t		at = 0;

		if (!learn_character_alone(learn_character_read(alphabet[i].bytes, alphabet[i].size, &at)))
			status = intern_piece(training, text, continuation(alphabet[i].bytes, alphabet[i].size, text), &code);
	}
	return status;
}

static DevStatus
make_alphabet(Training *training)
{
	size_t		most = (training->size - LEARN_SPECIALS) / 4;
	LearnCounts *characters = learn_counts_create(training->session, MAX_ALPHABET_SEEN);
	LearnCounted *alphabet = NULL;
	LearnCounted *scratch = NULL;
	size_t		n = 0;
	DevStatus	status = characters == NULL ? DEV_NO_MEMORY : count_alphabet(training, characters);

	if (status == DEV_OK)
		status = learn_counts_list(characters, 1, &alphabet, &n);
	if (n > MAX_ALPHABET)
		n = MAX_ALPHABET;
	if (n > most)
		n = most;
	if (status == DEV_OK)
	{
		scratch = dev_alloc(training->session, n + 1, sizeof(LearnCounted));
		status = scratch == NULL ? DEV_NO_MEMORY : learn_counted_sort(training->session, alphabet, scratch, n, false);
	}
	if (status == DEV_OK)
		status = intern_alphabet(training, alphabet, n);
	dev_release(training->session, scratch);
	dev_release(training->session, alphabet);
	learn_counts_free(characters);
	return status;
}

/* ---- Words as symbols ---- */

static DevStatus
make_symbols(Training *training)
{
	DevSession *session = training->session;
	size_t		n = 0;

	for (size_t i = 0; i < training->n_words; i++)
		n += training->counted[i].size;	/* bytes: at least as many as characters */
	training->words = dev_alloc(session, training->n_words + 1, sizeof(TrainWord));
	training->symbols = dev_alloc(session, n + 1, sizeof(int32_t));
	if (training->words == NULL || training->symbols == NULL)
		return DEV_NO_MEMORY;
	n = 0;
	for (size_t i = 0; i < training->n_words; i++)
	{
		const LearnCounted *counted = &training->counted[i];
		DevStatus	status = i % TEXT_POLL == 0 ? dev_poll(session) : DEV_OK;

		if (status != DEV_OK)
			return status;
		training->words[i] = (TrainWord) {n, 0, counted->count};
		for (size_t at = 0; at < counted->size;)
		{
			char		text[MAX_CHARACTER_BYTES + 2];
			size_t		from = at;
			size_t		size;
			uint32_t	code;

			learn_character_read(counted->bytes, counted->size, &at);
			size = at - from;
			if (from > 0)
				size = continuation(counted->bytes + from, size, text);
			else
				memcpy(text, counted->bytes, size);
			training->symbols[n++] = learn_dictionary_find(training->pieces, text, size, &code) ? (int32_t) code : NO_SYMBOL;
			training->words[i].n++;
		}
	}
	return DEV_OK;
}

/* ---- Pairs ---- */

static inline size_t
pair_hash(int32_t left, int32_t right)
{
	uint64_t	x = ((uint64_t) (uint32_t) left << 32 | (uint32_t) right) * UINT64_C(0x9E3779B97F4A7C15);

	return (size_t) (x ^ x >> 29);
}

static DevStatus
grow_pair_slots(Training *training)
{
	size_t		n_slots = training->n_slots == 0 ? 4096 : training->n_slots * 2;
	uint32_t   *slots = dev_alloc(training->session, n_slots, sizeof(uint32_t));

	if (slots == NULL)
		return DEV_NO_MEMORY;
	for (uint32_t i = 0; i < training->pairs.n; i++)
	{
		const Pair *pair = pair_at(training, i);
		size_t		at = pair_hash(pair->left, pair->right) & (n_slots - 1);

		while (slots[at] != 0)
			at = (at + 1) & (n_slots - 1);
		slots[at] = i + 1;
	}
	dev_release(training->session, training->slots);
	training->slots = slots;
	training->n_slots = n_slots;
	return dev_poll(training->session);
}

static DevStatus
find_pair(Training *training, int32_t left, int32_t right, uint32_t *number)
{
	size_t		at;
	Pair	   *pair;
	DevStatus	status;

	if (training->pairs.n * 2 >= training->n_slots)
	{
		status = grow_pair_slots(training);
		if (status != DEV_OK)
			return status;
	}
	for (at = pair_hash(left, right) & (training->n_slots - 1); training->slots[at] != 0; at = (at + 1) & (training->n_slots - 1))
	{
		pair = pair_at(training, training->slots[at] - 1);
		if (pair->left == left && pair->right == right)
		{
			*number = training->slots[at] - 1;
			return DEV_OK;
		}
	}
	status = grow(training->session, &training->pairs);
	if (status != DEV_OK)
		return status;
	*number = (uint32_t) training->pairs.n++;
	*pair_at(training, *number) = (Pair) {left, right, 0, NOTHING, false};
	training->slots[at] = *number + 1;
	return DEV_OK;
}

/* Notes that a word has the pair; twice in a row is noted once. */
static DevStatus
link_word(Training *training, uint32_t number, uint32_t word)
{
	Pair	   *pair = pair_at(training, number);
	uint32_t	place = training->free_links;
	Link	   *link;

	if (pair->words != NOTHING && ((Link *) training->links.items)[pair->words].word == word)
		return DEV_OK;
	if (place == NOTHING)
	{
		DevStatus	status = grow(training->session, &training->links);

		if (status != DEV_OK)
			return status;
		place = (uint32_t) training->links.n++;
	}
	else
		training->free_links = ((Link *) training->links.items)[place].next;
	link = (Link *) training->links.items + place;
	link->word = word;
	link->next = pair->words;
	pair->words = place;
	return DEV_OK;
}

/* The pair got more frequent: it is counted, linked and listed for the heap. */
static DevStatus
gain_pair(Training *training, int32_t left, int32_t right, uint32_t word)
{
	uint32_t	number;
	Pair	   *pair;
	DevStatus	status = find_pair(training, left, right, &number);

	if (status == DEV_OK)
		status = link_word(training, number, word);
	if (status != DEV_OK)
		return status;
	pair = pair_at(training, number);
	pair->count += training->words[word].count;
	if (pair->grown)
		return DEV_OK;
	status = grow(training->session, &training->grown);
	if (status != DEV_OK)
		return status;
	pair->grown = true;
	((uint32_t *) training->grown.items)[training->grown.n++] = number;
	return DEV_OK;
}

/* A pair that is known already; counts wrap around, so that a change may be negative. */
static void
change_pair(Training *training, int32_t left, int32_t right, uint64_t change)
{
	uint32_t	number;

	if (find_pair(training, left, right, &number) == DEV_OK)
		pair_at(training, number)->count += change;
}

/* ---- The heap: the highest count first, then the older symbols ---- */

static bool
comes_first(const Training *training, const HeapItem *a, const HeapItem *b)
{
	const Pair *one = pair_at(training, a->pair);
	const Pair *other = pair_at(training, b->pair);

	if (a->count != b->count)
		return a->count > b->count;
	if (one->left != other->left)
		return one->left < other->left;
	return one->right < other->right;
}

static DevStatus
push(Training *training, uint32_t pair)
{
	DevStatus	status = grow(training->session, &training->heap);
	HeapItem   *heap = training->heap.items;
	HeapItem	item = {pair_at(training, pair)->count, pair};
	size_t		at = training->heap.n;

	if (status != DEV_OK)
		return status;
	training->heap.n++;
	for (; at > 0 && comes_first(training, &item, &heap[(at - 1) / 2]); at = (at - 1) / 2)
		heap[at] = heap[(at - 1) / 2];
	heap[at] = item;
	return DEV_OK;
}

static HeapItem
pop(Training *training)
{
	HeapItem   *heap = training->heap.items;
	HeapItem	top = heap[0];
	HeapItem	item = heap[--training->heap.n];
	size_t		n = training->heap.n;
	size_t		at = 0;

	for (size_t child = 1; child < n; child = 2 * at + 1)
	{
		if (child + 1 < n && comes_first(training, &heap[child + 1], &heap[child]))
			child++;
		if (!comes_first(training, &heap[child], &item))
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = item;
	return top;
}

static DevStatus
push_grown(Training *training)
{
	DevStatus	status = DEV_OK;

	for (size_t i = 0; i < training->grown.n && status == DEV_OK; i++)
	{
		uint32_t	pair = ((uint32_t *) training->grown.items)[i];

		pair_at(training, pair)->grown = false;
		status = push(training, pair);
	}
	training->grown.n = 0;
	return status;
}

/* ---- Merging ---- */

static DevStatus
count_pairs(Training *training)
{
	for (size_t word = 0; word < training->n_words; word++)
	{
		const int32_t *symbols = training->symbols + training->words[word].first;
		DevStatus	status = word % TEXT_POLL == 0 ? dev_poll(training->session) : DEV_OK;

		for (uint32_t i = 1; i < training->words[word].n && status == DEV_OK; i++)
			if (symbols[i - 1] != NO_SYMBOL && symbols[i] != NO_SYMBOL)
				status = gain_pair(training, symbols[i - 1], symbols[i], (uint32_t) word);
		if (status != DEV_OK)
			return status;
	}
	return push_grown(training);
}

static DevStatus
merge_in_word(Training *training, int32_t left, int32_t right, int32_t merged, uint32_t number)
{
	TrainWord  *word = &training->words[number];
	int32_t    *symbols = training->symbols + word->first;
	uint32_t	n = 0;
	uint32_t	at = 0;
	DevStatus	status = DEV_OK;

	for (uint32_t i = 1; i < word->n && at == 0; i++)
		at = symbols[i - 1] == left && symbols[i] == right;
	if (at == 0)
		return DEV_OK;			/* an old link: the word lost the pair to another */
	for (uint32_t i = 1; i < word->n; i++)
		if (symbols[i - 1] != NO_SYMBOL && symbols[i] != NO_SYMBOL)
			change_pair(training, symbols[i - 1], symbols[i], 0 - word->count);
	for (at = 0; at < word->n; n++)
	{
		bool		both = at + 1 < word->n && symbols[at] == left && symbols[at + 1] == right;

		symbols[n] = both ? merged : symbols[at];
		at += both ? 2 : 1;
	}
	word->n = n;
	for (uint32_t i = 1; i < n && status == DEV_OK; i++)
	{
		if (symbols[i - 1] == merged || symbols[i] == merged)
			status = symbols[i - 1] == NO_SYMBOL || symbols[i] == NO_SYMBOL ? DEV_OK :
				gain_pair(training, symbols[i - 1], symbols[i], number);
		else if (symbols[i - 1] != NO_SYMBOL && symbols[i] != NO_SYMBOL)
			change_pair(training, symbols[i - 1], symbols[i], word->count);
	}
	return status;
}

/* The text of two symbols as one: the second is always a continuation. */
static DevStatus
name_merged(Training *training, int32_t left, int32_t right, int32_t *merged)
{
	char		text[MAX_WORD_BYTES + 2];
	size_t		size_left;
	size_t		size_right;
	const char *bytes_left = learn_dictionary_text(training->pieces, (uint32_t) left, &size_left);
	const char *bytes_right = learn_dictionary_text(training->pieces, (uint32_t) right, &size_right);
	uint32_t	code;
	DevStatus	status;

	memcpy(text, bytes_left, size_left);
	memcpy(text + size_left, bytes_right + 2, size_right - 2);
	status = intern_piece(training, text, size_left + size_right - 2, &code);
	*merged = (int32_t) code;
	return status;
}

static DevStatus
merge_pair(Training *training, uint32_t number)
{
	int32_t		left = pair_at(training, number)->left;
	int32_t		right = pair_at(training, number)->right;
	uint32_t	link = pair_at(training, number)->words;
	int32_t		merged;
	DevStatus	status = name_merged(training, left, right, &merged);

	/* Links made meanwhile (the pair may come back next to its own result) start a new list. */
	pair_at(training, number)->words = NOTHING;
	for (size_t i = 0; link != NOTHING && status == DEV_OK; i++)
	{
		uint32_t	word = ((Link *) training->links.items)[link].word;
		uint32_t	next = ((Link *) training->links.items)[link].next;

		((Link *) training->links.items)[link].next = training->free_links;
		training->free_links = link;
		link = next;
		status = merge_in_word(training, left, right, merged, word);
		if (status == DEV_OK && i % TEXT_POLL == 0)
			status = dev_poll(training->session);
	}
	return status == DEV_OK ? push_grown(training) : status;
}

static DevStatus
merge_all(Training *training)
{
	while (learn_dictionary_size(training->pieces) < training->size && training->heap.n > 0)
	{
		HeapItem	top = pop(training);
		uint64_t	count = pair_at(training, top.pair)->count;
		DevStatus	status;

		if (count < training->min_count || count == 0)
			continue;
		status = count != top.count ? push(training, top.pair) : merge_pair(training, top.pair);
		if (status != DEV_OK)
			return status;
	}
	return DEV_OK;
}

static DevStatus
keep_pieces(Training *training)
{
	size_t		n = learn_dictionary_size(training->pieces);
	LearnCounted *list = dev_alloc(training->session, n + 1, sizeof(LearnCounted));
	DevStatus	status;

	if (list == NULL)
		return DEV_NO_MEMORY;
	for (uint32_t i = 0; i < n; i++)
		list[i].bytes = learn_dictionary_text(training->pieces, i, &list[i].size);
	status = learn_vocabulary_fill(training->vocabulary, n, list, DEV_BAD_DATA, "piece");
	dev_release(training->session, list);
	return status;
}

static DevStatus
train(Training *training)
{
	DevStatus	status;

	training->pieces = learn_dictionary_create(training->session, dev_session_seed(training->session));
	if (training->pieces == NULL)
		return DEV_NO_MEMORY;
	status = learn_counts_list(training->vocabulary->counts, 1, &training->counted, &training->n_words);
	if (status == DEV_OK && training->n_words == 0)
		status = dev_fail(training->session, DEV_BAD_DATA, "the texts contain no words");
	if (status == DEV_OK)
		status = make_alphabet(training);
	if (status == DEV_OK)
		status = make_symbols(training);
	if (status == DEV_OK)
		status = count_pairs(training);
	if (status == DEV_OK)
		status = merge_all(training);
	return status == DEV_OK ? keep_pieces(training) : status;
}

static void
free_training(Training *training)
{
	DevSession *session = training->session;

	learn_dictionary_free(training->pieces);
	dev_release(session, training->counted);
	dev_release(session, training->words);
	dev_release(session, training->symbols);
	dev_release(session, training->pairs.items);
	dev_release(session, training->links.items);
	dev_release(session, training->heap.items);
	dev_release(session, training->grown.items);
	dev_release(session, training->slots);
}

DevStatus
learn_vocabulary_train(LearnVocabulary *vocabulary, size_t size, uint64_t min_count)
{
	Training	training = {0};
	DevStatus	status;

	if (vocabulary->counts == NULL)
		return dev_fail(vocabulary->session, DEV_INVALID, "the vocabulary has been trained already");
	if (size < SMALLEST_VOCABULARY || size > LEARN_MAX_PIECES)
		return dev_fail(vocabulary->session, DEV_INVALID, "a vocabulary has %d to %d pieces, not %zu", SMALLEST_VOCABULARY,
						LEARN_MAX_PIECES, size);
	training.session = vocabulary->session;
	training.vocabulary = vocabulary;
	training.size = size;
	training.min_count = min_count;
	training.free_links = NOTHING;
	training.pairs.size = sizeof(Pair);
	training.links.size = sizeof(Link);
	training.heap.size = sizeof(HeapItem);
	training.grown.size = sizeof(uint32_t);
	status = train(&training);
	free_training(&training);
	learn_counts_free(vocabulary->counts);
	vocabulary->counts = NULL;
	return status;
}

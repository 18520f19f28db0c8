/*
 * vocabulary.c: the pieces of WordPiece, and finding them.
 *
 * Whatever a vocabulary comes from (training, vocab.txt, a model's manifest), its pieces pass through one door,
 * learn_vocabulary_fill, which checks and numbers them and grows the trie. The trie's hash is multiplied by what a
 * writer of vocabularies cannot know; numbers of pieces do not depend on it.
 */
#include "text.h"

#define FIRST_SLOTS 256
#define FIRST_NODES 128
#define DEFAULT_WORDS 500000

static const char *const special_texts[LEARN_SPECIALS] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};

const char *
learn_special_text(LearnSpecial which)
{
	return special_texts[which];
}

static LearnVocabulary *
create_empty(DevSession *session, bool lowercase)
{
	LearnVocabulary *vocabulary = dev_alloc(session, 1, sizeof(*vocabulary));
	uint32_t	bits[4];

	if (vocabulary == NULL)
		return NULL;
	vocabulary->session = session;
	vocabulary->lowercase = lowercase;
	for (int i = 0; i < LEARN_SPECIALS; i++)
		vocabulary->special[i] = -1;
	dev_random_bits(dev_session_seed(session) ^ (uint64_t) (uintptr_t) vocabulary, (uint64_t) (uintptr_t) session, 1, bits);
	vocabulary->multiplier = ((uint64_t) bits[0] << 32 | bits[1]) | 1;
	return vocabulary;
}

LearnVocabulary *
learn_vocabulary_create(DevSession *session, bool lowercase, size_t max_words)
{
	LearnVocabulary *vocabulary = create_empty(session, lowercase);

	if (vocabulary == NULL)
		return NULL;
	if (max_words == 0 || max_words > UINT32_MAX / 2)
		max_words = DEFAULT_WORDS;
	vocabulary->counts = learn_counts_create(session, (uint32_t) max_words);
	if (vocabulary->counts == NULL)
	{
		learn_vocabulary_free(vocabulary);
		return NULL;
	}
	return vocabulary;
}

void
learn_vocabulary_free(LearnVocabulary *vocabulary)
{
	DevSession *session;

	if (vocabulary == NULL)
		return;
	session = vocabulary->session;
	learn_counts_free(vocabulary->counts);
	dev_release(session, vocabulary->bytes);
	dev_release(session, vocabulary->places);
	dev_release(session, vocabulary->slots);
	dev_release(session, vocabulary->piece_of);
	dev_release(session, vocabulary);
}

DevStatus
learn_vocabulary_count(LearnVocabulary *vocabulary, const char *text, size_t size, LearnUtf8 invalid)
{
	DevSession *session = vocabulary->session;
	LearnTrouble trouble;
	LearnWordReader reader;
	LearnNormalWord word;
	DevStatus	status = DEV_OK;

	if (vocabulary->counts == NULL)
		return dev_fail(session, DEV_INVALID, "the vocabulary has been trained already");
	if (!learn_text_fits(size, &trouble))
		return text_fail(session, &trouble);
	learn_words_start(&reader, text, 0, (uint32_t) size, vocabulary->lowercase, invalid);
	for (size_t i = 0; status == DEV_OK && learn_words_next(&reader, &word); i++)
	{
		if (!word.too_long)
			status = learn_counts_add(vocabulary->counts, word.bytes, word.places[word.n], 1);
		if (status == DEV_OK && i % TEXT_POLL == 0)
			status = dev_poll(session);
	}
	if (status == DEV_OK && reader.failed)
	{
		learn_words_trouble(&reader, &trouble);
		return text_fail(session, &trouble);
	}
	return status;
}

/* ---- The trie ---- */

static void
insert_slot(LearnVocabulary *vocabulary, uint32_t key, uint32_t child)
{
	size_t		mask = vocabulary->n_slots - 1;
	size_t		at = (size_t) (key * vocabulary->multiplier >> vocabulary->shift);

	while (vocabulary->slots[at].child != 0)
		at = (at + 1) & mask;
	vocabulary->slots[at] = (LearnTrieSlot) {key, child};
}

static DevStatus
grow_trie_slots(LearnVocabulary *vocabulary)
{
	LearnTrieSlot *old = vocabulary->slots;
	size_t		n_old = vocabulary->n_slots;
	size_t		n_slots = n_old == 0 ? FIRST_SLOTS : n_old * 2;
	LearnTrieSlot *slots = dev_alloc(vocabulary->session, n_slots, sizeof(LearnTrieSlot));

	if (slots == NULL)
		return DEV_NO_MEMORY;
	vocabulary->slots = slots;
	vocabulary->n_slots = n_slots;
	vocabulary->shift = n_old == 0 ? 64 - 8 : vocabulary->shift - 1;
	for (size_t i = 0; i < n_old; i++)
		if (old[i].child != 0)
			insert_slot(vocabulary, old[i].key, old[i].child);
	dev_release(vocabulary->session, old);
	return dev_poll(vocabulary->session);
}

static DevStatus
add_node(LearnVocabulary *vocabulary, uint32_t *node)
{
	if (vocabulary->n_nodes == MAX_TRIE_NODES)
		return dev_fail(vocabulary->session, DEV_BAD_DATA, "the vocabulary is too large");
	if (vocabulary->n_nodes == vocabulary->node_capacity)
	{
		size_t		capacity = vocabulary->node_capacity == 0 ? FIRST_NODES : vocabulary->node_capacity * 2;
		int32_t    *grown = dev_alloc(vocabulary->session, capacity, sizeof(int32_t));

		if (grown == NULL)
			return DEV_NO_MEMORY;
		if (vocabulary->n_nodes > 0)
			memcpy(grown, vocabulary->piece_of, vocabulary->n_nodes * sizeof(int32_t));
		dev_release(vocabulary->session, vocabulary->piece_of);
		vocabulary->piece_of = grown;
		vocabulary->node_capacity = capacity;
	}
	*node = vocabulary->n_nodes++;
	vocabulary->piece_of[*node] = -1;
	return DEV_OK;
}

/* "##x" continues a word; "##" alone is a piece like any other. Returns the node to begin at. */
static uint32_t
first_node(const char **bytes, size_t *size)
{
	if (*size <= 2 || (*bytes)[0] != '#' || (*bytes)[1] != '#')
		return 0;
	*bytes += 2;
	*size -= 2;
	return 1;
}

static DevStatus
grow_path(LearnVocabulary *vocabulary, const char *bytes, size_t size, uint32_t *node)
{
	*node = first_node(&bytes, &size);
	for (size_t i = 0; i < size; i++)
	{
		uint32_t	child = learn_trie_child(vocabulary, *node, (unsigned char) bytes[i]);
		DevStatus	status;

		if (child == 0)
		{
			if ((size_t) vocabulary->n_nodes * 2 >= vocabulary->n_slots)
			{
				status = grow_trie_slots(vocabulary);
				if (status != DEV_OK)
					return status;
			}
			status = add_node(vocabulary, &child);
			if (status != DEV_OK)
				return status;
			insert_slot(vocabulary, *node << 8 | (unsigned char) bytes[i], child);
		}
		*node = child;
	}
	return DEV_OK;
}

/* ---- Filling ---- */

static size_t
count_characters(const char *bytes, size_t size)
{
	size_t		n = 0;

	for (size_t i = 0; i < size; i++)
		n += ((unsigned char) bytes[i] & 0xC0) != 0x80;
	return n;
}

static DevStatus
check_piece(DevSession *session, const LearnCounted *piece, size_t number, DevStatus blame, const char *unit)
{
	if (piece->size == 0)
		return dev_fail(session, blame, "%s %zu of the vocabulary is empty", unit, number);
	if (piece->size > MAX_WORD_BYTES + 2 || count_characters(piece->bytes, piece->size) > LEARN_WORD_CHARACTERS + 2)
	{
		dev_fail(session, blame, "%s %zu of the vocabulary is too long: %zu bytes", unit, number, piece->size);
		dev_detail(session, "A piece has up to %d characters.", LEARN_WORD_CHARACTERS);
		return blame;
	}
	if (!learn_text_valid(piece->bytes, piece->size))
		return dev_fail(session, blame, "%s %zu of the vocabulary is not valid UTF-8", unit, number);
	if (memchr(piece->bytes, '\n', piece->size) != NULL || memchr(piece->bytes, '\r', piece->size) != NULL)
		return dev_fail(session, blame, "%s %zu of the vocabulary contains a line end", unit, number);
	return DEV_OK;
}

static DevStatus
add_piece(LearnVocabulary *vocabulary, const LearnCounted *piece, size_t number, DevStatus blame, const char *unit)
{
	DevStatus	status = check_piece(vocabulary->session, piece, number + 1, blame, unit);
	char	   *kept = vocabulary->bytes + vocabulary->places[number];
	uint32_t	node;

	if (status == DEV_OK)
		status = grow_path(vocabulary, piece->bytes, piece->size, &node);
	if (status != DEV_OK)
		return status;
	if (vocabulary->piece_of[node] >= 0)
	{
		dev_fail(vocabulary->session, blame, "piece \"%.*s\" is in the vocabulary twice", text_shown(piece->bytes, piece->size), piece->bytes);
		dev_detail(vocabulary->session, "It is on %s %zu and on %s %zu.", unit, (size_t) vocabulary->piece_of[node] + 1, unit,
				   number + 1);
		return blame;
	}
	vocabulary->piece_of[node] = (int32_t) number;
	memcpy(kept, piece->bytes, piece->size);
	vocabulary->places[number + 1] = vocabulary->places[number] + (uint32_t) piece->size + 1;
	return DEV_OK;
}

static DevStatus
find_specials(LearnVocabulary *vocabulary, DevStatus blame)
{
	for (int i = 0; i < LEARN_SPECIALS; i++)
		vocabulary->special[i] = learn_vocabulary_find(vocabulary, special_texts[i], strlen(special_texts[i]));
	if (vocabulary->special[LEARN_UNK] >= 0)
		return DEV_OK;
	dev_fail(vocabulary->session, blame, "the vocabulary has no piece \"[UNK]\"");
	dev_hint(vocabulary->session, "Add a line \"[UNK]\": it stands for words that cannot be made of pieces.");
	return blame;
}

DevStatus
learn_vocabulary_fill(LearnVocabulary *vocabulary, size_t n, const LearnCounted *pieces, DevStatus blame,
					  const char *unit)
{
	DevSession *session = vocabulary->session;
	size_t		bytes = 0;
	uint32_t	root;
	DevStatus	status;

	for (size_t i = 0; i < n && bytes <= MAX_VOCABULARY_BYTES; i++)
		bytes += pieces[i].size + 1;
	if (n > LEARN_MAX_PIECES || bytes > MAX_VOCABULARY_BYTES)
	{
		dev_fail(session, blame, "the vocabulary is too large: %zu pieces", n);
		dev_detail(session, "It may have up to %d pieces and %zu MB.", LEARN_MAX_PIECES, MAX_VOCABULARY_BYTES >> 20);
		return blame;
	}
	vocabulary->bytes = dev_alloc(session, bytes + 1, 1);
	vocabulary->places = dev_alloc(session, n + 1, sizeof(uint32_t));
	if (vocabulary->bytes == NULL || vocabulary->places == NULL)
		return DEV_NO_MEMORY;
	status = grow_trie_slots(vocabulary);
	for (int i = 0; i < 2 && status == DEV_OK; i++)
		status = add_node(vocabulary, &root);
	for (size_t i = 0; i < n && status == DEV_OK; i++)
	{
		status = add_piece(vocabulary, &pieces[i], i, blame, unit);
		if (status == DEV_OK && i % TEXT_POLL == 0)
			status = dev_poll(session);
	}
	if (status == DEV_OK)
		status = find_specials(vocabulary, blame);
	if (status == DEV_OK)
		vocabulary->n = n;
	return status;
}

/* Fills and hands over, or frees. */
static DevStatus
finish(LearnVocabulary *vocabulary, size_t n, const LearnCounted *pieces, DevStatus blame, const char *unit,
	   LearnVocabulary **result)
{
	DevStatus	status = learn_vocabulary_fill(vocabulary, n, pieces, blame, unit);

	if (status != DEV_OK)
		learn_vocabulary_free(vocabulary);
	else
		*result = vocabulary;
	return status;
}

DevStatus
learn_vocabulary_read(DevSession *session, const char *text, size_t size, bool lowercase, LearnVocabulary **vocabulary)
{
	LearnVocabulary *empty;
	LearnCounted *lines;
	size_t		n = 0;
	size_t		at = 0;
	DevStatus	status;

	*vocabulary = NULL;
	if (size > MAX_VOCABULARY_BYTES)
	{
		dev_fail(session, DEV_BAD_DATA, "the vocabulary is too large: %zu bytes", size);
		dev_detail(session, "It may have up to %zu MB.", MAX_VOCABULARY_BYTES >> 20);
		return DEV_BAD_DATA;
	}
	for (size_t i = 0; i < size; i++)
		n += text[i] == '\n';
	if (size > 0 && text[size - 1] != '\n')
		n++;
	if (n > LEARN_MAX_PIECES)
		return dev_fail(session, DEV_BAD_DATA, "the vocabulary is too large: %zu lines", n);
	lines = dev_alloc(session, n + 1, sizeof(LearnCounted));
	empty = lines == NULL ? NULL : create_empty(session, lowercase);
	if (empty == NULL)
	{
		dev_release(session, lines);
		return DEV_NO_MEMORY;
	}
	for (size_t i = 0; i < n; i++)
	{
		size_t		end = at;

		while (end < size && text[end] != '\n')
			end++;
		lines[i].bytes = text + at;
		lines[i].size = end - at;
		if (lines[i].size > 0 && text[end - 1] == '\r')
			lines[i].size--;
		at = end + 1;
	}
	status = finish(empty, n, lines, DEV_BAD_DATA, "line", vocabulary);
	dev_release(session, lines);
	return status;
}

DevStatus
learn_vocabulary_restore(DevSession *session, bool lowercase, size_t n, const char *const *pieces,
						 LearnVocabulary **vocabulary)
{
	LearnVocabulary *empty;
	LearnCounted *list;
	DevStatus	status;

	*vocabulary = NULL;
	if (n > LEARN_MAX_PIECES)
		return dev_fail(session, DEV_CORRUPT, "the vocabulary is too large: %zu pieces", n);
	list = dev_alloc(session, n + 1, sizeof(LearnCounted));
	empty = list == NULL ? NULL : create_empty(session, lowercase);
	if (empty == NULL)
	{
		dev_release(session, list);
		return DEV_NO_MEMORY;
	}
	for (size_t i = 0; i < n; i++)
	{
		list[i].bytes = pieces[i];
		list[i].size = strlen(pieces[i]);
	}
	status = finish(empty, n, list, DEV_CORRUPT, "piece", vocabulary);
	dev_release(session, list);
	return status;
}

/* ---- Asking ---- */

size_t
learn_vocabulary_size(const LearnVocabulary *vocabulary)
{
	return vocabulary->n;
}

bool
learn_vocabulary_lowercase(const LearnVocabulary *vocabulary)
{
	return vocabulary->lowercase;
}

const char *
learn_vocabulary_piece(const LearnVocabulary *vocabulary, int32_t id, size_t *size)
{
	if (id < 0 || (size_t) id >= vocabulary->n)
		return NULL;
	if (size != NULL)
		*size = vocabulary->places[id + 1] - vocabulary->places[id] - 1;
	return vocabulary->bytes + vocabulary->places[id];
}

int32_t
learn_vocabulary_find(const LearnVocabulary *vocabulary, const char *piece, size_t size)
{
	uint32_t	node = first_node(&piece, &size);

	if (vocabulary->n_nodes == 0)
		return -1;
	for (size_t i = 0; i < size; i++)
	{
		node = learn_trie_child(vocabulary, node, (unsigned char) piece[i]);
		if (node == 0)
			return -1;
	}
	return vocabulary->piece_of[node];
}

int32_t
learn_vocabulary_special(const LearnVocabulary *vocabulary, LearnSpecial which)
{
	return vocabulary->special[which];
}

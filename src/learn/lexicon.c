/*
 * lexicon.c: words, characters, shapes and affixes as numbers (see learn_text.h for what they are for).
 *
 * Counting keeps the words' lower-case forms and the characters; affixes are cut from the forms when the
 * lexicon is fitted. A table is a dictionary in order of frequency, so that a number is a code plus two.
 */
#include "text.h"

#include <utf8proc.h>

#define DEFAULT_ENTRIES 200000
#define MAX_ENTRIES 1000000
#define COUNTED_ENTRIES 1000000	/* while counting, of each kind */
#define FIRST_NUMBER 2			/* after padding and unknown */

/* A token in both forms; of a longer one the first LEARN_WORD_CHARACTERS characters. */
typedef struct Form
{
	size_t		n;
	uint16_t	places[LEARN_WORD_CHARACTERS + 1];	/* in bytes */
	uint16_t	written_places[LEARN_WORD_CHARACTERS + 1];	/* in written */
	char		bytes[MAX_WORD_BYTES];	/* lower case, digits as 0 */
	char		written[MAX_WORD_BYTES];	/* as it stands */
	LearnShape	shape;
} Form;

struct LearnLexicon
{
	DevSession *session;
	LearnLexiconPlan plan;
	LearnCounts *words;			/* until fitted */
	LearnCounts *characters;
	LearnDictionary *tables[LEARN_TABLES];	/* once fitted */
};

typedef struct Letters
{
	size_t		upper;
	size_t		lower;
	size_t		caseless;
	size_t		digits;
	bool		begins_upper;
} Letters;

static LearnShape
shape_of(const Letters *seen)
{
	if (seen->upper == 0 && seen->lower == 0)
		return seen->caseless > 0 ? LEARN_SHAPE_CASELESS : seen->digits > 0 ? LEARN_SHAPE_DIGITS : LEARN_SHAPE_PUNCTUATION;
	if (seen->digits > 0)
		return seen->lower == 0 ? LEARN_SHAPE_UPPER_DIGITS : seen->upper == 0 ? LEARN_SHAPE_LOWER_DIGITS :
			LEARN_SHAPE_MIXED_DIGITS;
	if (seen->upper == 0)
		return LEARN_SHAPE_LOWER;
	if (seen->lower == 0)
		return seen->upper > 1 ? LEARN_SHAPE_UPPER : LEARN_SHAPE_INITIAL;
	return seen->begins_upper && seen->upper == 1 ? LEARN_SHAPE_TITLE : LEARN_SHAPE_MIXED;
}

static void
see_character(Letters *seen, size_t place, utf8proc_category_t category)
{
	switch (category)
	{
		case UTF8PROC_CATEGORY_LU:
		case UTF8PROC_CATEGORY_LT:
			seen->upper++;
			seen->begins_upper |= place == 0;
			break;
		case UTF8PROC_CATEGORY_LL:
			seen->lower++;
			break;
		case UTF8PROC_CATEGORY_LM:
		case UTF8PROC_CATEGORY_LO:
			seen->caseless++;
			break;
		case UTF8PROC_CATEGORY_ND:
		case UTF8PROC_CATEGORY_NL:
		case UTF8PROC_CATEGORY_NO:
			seen->digits++;
			break;
		default:
			break;
	}
}

static void
make_form(const char *text, LearnWord token, Form *form)
{
	Letters		seen = {0};
	size_t		at = token.start;

	form->n = 0;
	form->places[0] = 0;
	form->written_places[0] = 0;
	while (at < token.end && form->n < LEARN_WORD_CHARACTERS)
	{
		int32_t		c = learn_character_read(text, token.end, &at);
		utf8proc_category_t category = utf8proc_category(c);
		uint16_t    place = form->places[form->n];
		uint16_t    written = form->written_places[form->n];

		see_character(&seen, form->n, category);
		written += (uint16_t) utf8proc_encode_char(c, (utf8proc_uint8_t *) form->written + written);
		c = category == UTF8PROC_CATEGORY_ND ? '0' : utf8proc_tolower(c);
		place += (uint16_t) utf8proc_encode_char(c, (utf8proc_uint8_t *) form->bytes + place);
		form->n++;
		form->places[form->n] = place;
		form->written_places[form->n] = written;
	}
	form->shape = shape_of(&seen);
}

/* Which part of n characters an affix table holds: [*from, *to). */
static void
affix_range(LearnLexiconTable table, size_t n, size_t *from, size_t *to)
{
	size_t		length = 2 + (size_t) (table - LEARN_TABLE_PREFIX2) % 3;

	if (length > n)
		length = n;
	*from = table < LEARN_TABLE_SUFFIX2 ? 0 : n - length;
	*to = *from + length;
}

static bool
check_plan(DevSession *session, const LearnLexiconPlan *plan)
{
	if (plan->characters < 2 || plan->characters > LEARN_WORD_CHARACTERS)
		dev_fail(session, DEV_INVALID, "a word has 2 to %d characters for the lexicon, not %zu", LEARN_WORD_CHARACTERS,
				 plan->characters);
	else if (plan->min_count < 1 || plan->min_affix_count < 1)
		dev_fail(session, DEV_INVALID, "the least count of a lexicon's entries is at least 1");
	else if (plan->max_entries > MAX_ENTRIES)
		dev_fail(session, DEV_INVALID, "a lexicon's table has at most %d entries, not %zu", MAX_ENTRIES, plan->max_entries);
	else
		return true;
	return false;
}

static LearnLexicon *
create_empty(DevSession *session, const LearnLexiconPlan *plan)
{
	LearnLexicon *lexicon = check_plan(session, plan) ? dev_alloc(session, 1, sizeof(*lexicon)) : NULL;

	if (lexicon == NULL)
		return NULL;
	lexicon->session = session;
	lexicon->plan = *plan;
	if (lexicon->plan.max_entries == 0)
		lexicon->plan.max_entries = DEFAULT_ENTRIES;
	return lexicon;
}

LearnLexicon *
learn_lexicon_create(DevSession *session, const LearnLexiconPlan *plan)
{
	LearnLexicon *lexicon = create_empty(session, plan);

	if (lexicon == NULL)
		return NULL;
	lexicon->words = learn_counts_create(session, COUNTED_ENTRIES);
	lexicon->characters = learn_counts_create(session, COUNTED_ENTRIES);
	if (lexicon->words == NULL || lexicon->characters == NULL)
	{
		learn_lexicon_free(lexicon);
		return NULL;
	}
	return lexicon;
}

void
learn_lexicon_free(LearnLexicon *lexicon)
{
	if (lexicon == NULL)
		return;
	learn_counts_free(lexicon->words);
	learn_counts_free(lexicon->characters);
	for (int table = 0; table < LEARN_TABLES; table++)
		learn_dictionary_free(lexicon->tables[table]);
	dev_release(lexicon->session, lexicon);
}

DevStatus
learn_lexicon_count(LearnLexicon *lexicon, const char *text, size_t size, const LearnWord *tokens, size_t n_tokens)
{
	LearnTrouble trouble;
	DevStatus	status = DEV_OK;

	if (lexicon->words == NULL)
		return dev_fail(lexicon->session, DEV_INVALID, "the lexicon has been fitted already");
	if (!learn_text_fits(size, &trouble) || !learn_tokens_fit(size, tokens, n_tokens, &trouble))
		return text_fail(lexicon->session, &trouble);
	for (size_t i = 0; i < n_tokens && status == DEV_OK; i++)
	{
		Form		form;

		make_form(text, tokens[i], &form);
		if (form.n > 0)
			status = learn_counts_add(lexicon->words, form.bytes, form.places[form.n], 1);
		for (size_t c = 0; c < form.n && status == DEV_OK; c++)
			status = learn_counts_add(lexicon->characters, form.written + form.written_places[c],
									  (size_t) (form.written_places[c + 1] - form.written_places[c]), 1);
		if (status == DEV_OK && i % TEXT_POLL == 0)
			status = dev_poll(lexicon->session);
	}
	return status;
}

/* Entries in order of frequency become a table. */
static DevStatus
make_table(LearnLexicon *lexicon, LearnLexiconTable table, const LearnCounts *counts, uint64_t min_count)
{
	LearnCounted *list;
	size_t		n;
	DevStatus	status = learn_counts_list(counts, min_count, &list, &n);

	if (status != DEV_OK)
		return status;
	lexicon->tables[table] = learn_dictionary_create(lexicon->session, dev_session_seed(lexicon->session));
	if (lexicon->tables[table] == NULL)
		status = DEV_NO_MEMORY;
	for (size_t i = 0; i < n && i < lexicon->plan.max_entries && status == DEV_OK; i++)
	{
		uint32_t	code;

		status = learn_dictionary_intern(lexicon->tables[table], list[i].bytes, list[i].size, MAX_ENTRIES, &code);
		if (status == DEV_OK && i % TEXT_POLL == 0)
			status = dev_poll(lexicon->session);
	}
	dev_release(lexicon->session, list);
	return status;
}

static DevStatus
count_affixes(LearnLexiconTable table, const LearnCounted *words, size_t n, LearnCounts *counts)
{
	DevStatus	status = DEV_OK;

	for (size_t i = 0; i < n && status == DEV_OK; i++)
	{
		LearnWord	token = {0, (uint32_t) words[i].size};
		Form		form;
		size_t		from;
		size_t		to;

		make_form(words[i].bytes, token, &form);
		affix_range(table, form.n, &from, &to);
		status = learn_counts_add(counts, form.bytes + form.places[from], (size_t) (form.places[to] - form.places[from]),
								  words[i].count);
		if (status == DEV_OK && i % TEXT_POLL == 0)
			status = dev_poll(counts->session);
	}
	return status;
}

static DevStatus
make_affixes(LearnLexicon *lexicon)
{
	LearnCounted *words;
	size_t		n;
	DevStatus	status = learn_counts_list(lexicon->words, 1, &words, &n);

	for (int table = LEARN_TABLE_PREFIX2; table < LEARN_TABLES && status == DEV_OK; table++)
	{
		LearnCounts *counts = learn_counts_create(lexicon->session, COUNTED_ENTRIES);

		status = counts == NULL ? DEV_NO_MEMORY : count_affixes(table, words, n, counts);
		if (status == DEV_OK)
			status = make_table(lexicon, table, counts, lexicon->plan.min_affix_count);
		learn_counts_free(counts);
	}
	dev_release(lexicon->session, words);
	return status;
}

DevStatus
learn_lexicon_fit(LearnLexicon *lexicon)
{
	DevStatus	status;

	if (lexicon->words == NULL)
		return dev_fail(lexicon->session, DEV_INVALID, "the lexicon has been fitted already");
	if (learn_dictionary_size(lexicon->words->dictionary) == 0)
		return dev_fail(lexicon->session, DEV_BAD_DATA, "the texts contain no words");
	status = make_table(lexicon, LEARN_TABLE_WORDS, lexicon->words, lexicon->plan.min_count);
	if (status == DEV_OK)
		status = make_table(lexicon, LEARN_TABLE_CHARACTERS, lexicon->characters, 1);
	if (status == DEV_OK)
		status = make_affixes(lexicon);
	learn_counts_free(lexicon->words);
	learn_counts_free(lexicon->characters);
	lexicon->words = NULL;
	lexicon->characters = NULL;
	return status;
}

static DevStatus
restore_table(LearnLexicon *lexicon, LearnLexiconTable table, size_t n, const char *const *entries)
{
	DevSession *session = lexicon->session;
	LearnDictionary *dictionary;

	if (n > MAX_ENTRIES)
		return dev_fail(session, DEV_CORRUPT, "table %d of the lexicon is too large: %zu entries", table, n);
	dictionary = learn_dictionary_create(session, dev_session_seed(session));
	if (dictionary == NULL)
		return DEV_NO_MEMORY;
	lexicon->tables[table] = dictionary;
	for (size_t i = 0; i < n; i++)
	{
		size_t		size = strlen(entries[i]);
		uint32_t	code;
		DevStatus	status;

		if (size == 0 || size > MAX_WORD_BYTES || !learn_text_valid(entries[i], size))
			return dev_fail(session, DEV_CORRUPT, "entry %zu in table %d of the lexicon is not a word", i + 1, table);
		status = learn_dictionary_intern(dictionary, entries[i], size, MAX_ENTRIES, &code);
		if (status == DEV_OK && i % TEXT_POLL == 0)
			status = dev_poll(session);
		if (status != DEV_OK)
			return status;
		if (code != i)
			return dev_fail(session, DEV_CORRUPT, "entry %zu in table %d of the lexicon is there twice", i + 1, table);
	}
	return DEV_OK;
}

DevStatus
learn_lexicon_restore(DevSession *session, const LearnLexiconPlan *plan, const size_t n[LEARN_TABLES],
					  const char *const *const entries[LEARN_TABLES], LearnLexicon **lexicon)
{
	LearnLexicon *restored = create_empty(session, plan);
	DevStatus	status = restored == NULL ? dev_status(session) : DEV_OK;

	*lexicon = NULL;
	for (int table = 0; table < LEARN_TABLES && status == DEV_OK; table++)
		status = restore_table(restored, table, n[table], entries[table]);
	if (status != DEV_OK)
		learn_lexicon_free(restored);
	else
		*lexicon = restored;
	return status;
}

size_t
learn_lexicon_size(const LearnLexicon *lexicon, LearnLexiconTable table)
{
	return FIRST_NUMBER + learn_dictionary_size(lexicon->tables[table]);
}

const char *
learn_lexicon_entry(const LearnLexicon *lexicon, LearnLexiconTable table, int32_t id, size_t *size)
{
	return id < FIRST_NUMBER ? NULL : learn_dictionary_text(lexicon->tables[table], (uint32_t) (id - FIRST_NUMBER), size);
}

/* ---- Encoding ---- */

static int32_t
number_of(const LearnLexicon *lexicon, LearnLexiconTable table, const char *bytes, size_t size)
{
	uint32_t	code;

	return learn_dictionary_find(lexicon->tables[table], bytes, size, &code) ? (int32_t) code + FIRST_NUMBER : LEARN_UNKNOWN;
}

/* The first and the last half of a word that is longer than there are codes. */
static void
encode_characters(const LearnLexicon *lexicon, const Form *form, int32_t *codes)
{
	size_t		room = lexicon->plan.characters;
	size_t		n = form->n < room ? form->n : room;
	size_t		head = form->n <= room ? n : room - room / 2;

	for (size_t i = 0; i < n; i++)
	{
		size_t		c = i < head ? i : form->n - (n - i);

		codes[i] = number_of(lexicon, LEARN_TABLE_CHARACTERS, form->written + form->written_places[c],
							 (size_t) (form->written_places[c + 1] - form->written_places[c]));
	}
	for (size_t i = n; i < room; i++)
		codes[i] = LEARN_PADDING;
}

static void
encode_affixes(const LearnLexicon *lexicon, const Form *form, int32_t *codes)
{
	for (int i = 0; i < LEARN_AFFIXES; i++)
	{
		size_t		from;
		size_t		to;

		affix_range(LEARN_TABLE_PREFIX2 + i, form->n, &from, &to);
		codes[i] = number_of(lexicon, LEARN_TABLE_PREFIX2 + i, form->bytes + form->places[from],
							 (size_t) (form->places[to] - form->places[from]));
	}
}

bool
learn_lexicon_encode(const LearnLexicon *lexicon, const char *text, size_t size, const LearnWord *tokens,
					 size_t n_tokens, int32_t *words, int32_t *characters, int32_t *shapes, int32_t *affixes,
					 LearnTrouble *trouble)
{
	if (lexicon->tables[LEARN_TABLE_WORDS] == NULL)
		return text_trouble(trouble, DEV_INVALID, NULL, NULL, "the lexicon has not been fitted");
	if (!learn_text_fits(size, trouble) || !learn_tokens_fit(size, tokens, n_tokens, trouble))
		return false;
	for (size_t i = 0; i < n_tokens; i++)
	{
		Form		form;

		make_form(text, tokens[i], &form);
		if (words != NULL)
			words[i] = number_of(lexicon, LEARN_TABLE_WORDS, form.bytes, form.places[form.n]);
		if (characters != NULL)
			encode_characters(lexicon, &form, characters + i * lexicon->plan.characters);
		if (shapes != NULL)
			shapes[i] = (int32_t) form.shape;
		if (affixes != NULL)
			encode_affixes(lexicon, &form, affixes + i * LEARN_AFFIXES);
	}
	return true;
}

/* ---- Case ---- */

/* The word that its characters spell, U+FFFD for unknown ones; *n is their number. */
static size_t
spell(const LearnLexicon *lexicon, const int32_t *codes, size_t *n, char *bytes)
{
	size_t		size = 0;

	for (*n = 0; *n < lexicon->plan.characters && codes[*n] > LEARN_PADDING; (*n)++)
	{
		size_t		more = 3;
		const char *entry = learn_lexicon_entry(lexicon, LEARN_TABLE_CHARACTERS, codes[*n], &more);

		if (entry == NULL || more > MAX_CHARACTER_BYTES)
		{
			entry = "\357\277\275";
			more = 3;
		}
		memcpy(bytes + size, entry, more);
		size += more;
	}
	return size;
}

static void
change_case(const LearnLexicon *lexicon, LearnCase style, int32_t *characters, int32_t *shape)
{
	char		word[MAX_WORD_BYTES] = {0};
	char		other[MAX_WORD_BYTES];
	Form		form;
	size_t		n;
	size_t		size = spell(lexicon, characters, &n, word);
	LearnWord	token = {0, (uint32_t) learn_case_write(word, size, style, other)};

	if (token.end == size && memcmp(word, other, size) == 0)
		return;
	make_form(other, token, &form);
	for (size_t i = 0; i < n && i < form.n; i++)
		if (characters[i] != LEARN_UNKNOWN)
			characters[i] = number_of(lexicon, LEARN_TABLE_CHARACTERS, form.written + form.written_places[i],
									  (size_t) (form.written_places[i + 1] - form.written_places[i]));
	*shape = (int32_t) form.shape;
}

void
learn_lexicon_case(const LearnLexicon *lexicon, size_t n, int32_t *characters, int32_t *shapes, double rate, uint64_t seed,
				   uint64_t stream, uint64_t counter)
{
	for (size_t i = 0; i < n; i++)
	{
		LearnCase	style;

		if (learn_case_draw(rate, seed, stream, counter + i, &style))
			change_case(lexicon, style, characters + i * lexicon->plan.characters, &shapes[i]);
	}
}

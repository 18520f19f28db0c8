/*
 * words.c: text is cut into normalised words (see learn_text.h for the rules).
 *
 * A reader takes one character of the text at a time, turns it into none to several normalised ones, and hands out a
 * word whenever one is complete. It looks at every byte once and keeps no more than one word,
 * whose further characters are only counted once it is too long to be known. ASCII takes a short cut.
 */
#include "text.h"

#include <utf8proc.h>

#define REPLACEMENT 0xFFFD

typedef enum CharacterClass
{
	CHARACTER_KEEP,
	CHARACTER_DROP,
	CHARACTER_SPACE,
	CHARACTER_ALONE
} CharacterClass;

static inline CharacterClass
ascii_class(unsigned char c)
{
	if (c <= ' ')
		return c == ' ' || c == '\t' || c == '\n' || c == '\r' ? CHARACTER_SPACE : CHARACTER_DROP;
	if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		return CHARACTER_KEEP;
	return c == 0x7f ? CHARACTER_DROP : CHARACTER_ALONE;
}

/* The blocks that BERT calls Chinese: ideographs, neither kana nor hangul. */
static bool
is_ideograph(int32_t c)
{
	static const int32_t blocks[][2] = {
		{0x3400, 0x4DBF}, {0x4E00, 0x9FFF}, {0xF900, 0xFAFF}, {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F},
		{0x2B740, 0x2B81F}, {0x2B820, 0x2CEAF}, {0x2F800, 0x2FA1F}
	};

	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
		if (c >= blocks[i][0] && c <= blocks[i][1])
			return true;
	return false;
}

static CharacterClass
character_class(int32_t c)
{
	if (c < 0x80)
		return ascii_class((unsigned char) c);
	if (c == REPLACEMENT)
		return CHARACTER_DROP;
	switch (utf8proc_category(c))
	{
		case UTF8PROC_CATEGORY_CC:
		case UTF8PROC_CATEGORY_CF:
			return CHARACTER_DROP;
		case UTF8PROC_CATEGORY_ZS:
		case UTF8PROC_CATEGORY_ZL:
		case UTF8PROC_CATEGORY_ZP:
			return CHARACTER_SPACE;
		case UTF8PROC_CATEGORY_PC:
		case UTF8PROC_CATEGORY_PD:
		case UTF8PROC_CATEGORY_PS:
		case UTF8PROC_CATEGORY_PE:
		case UTF8PROC_CATEGORY_PI:
		case UTF8PROC_CATEGORY_PF:
		case UTF8PROC_CATEGORY_PO:
			return CHARACTER_ALONE;
		default:
			return is_ideograph(c) ? CHARACTER_ALONE : CHARACTER_KEEP;
	}
}

bool
learn_character_alone(int32_t character)
{
	return character_class(character) == CHARACTER_ALONE;
}

LearnLetter
learn_character_letter(int32_t character)
{
	switch (utf8proc_category(character))
	{
		case UTF8PROC_CATEGORY_LU:
		case UTF8PROC_CATEGORY_LL:
		case UTF8PROC_CATEGORY_LT:
		case UTF8PROC_CATEGORY_LM:
		case UTF8PROC_CATEGORY_LO:
			return LEARN_A_LETTER;
		case UTF8PROC_CATEGORY_MN:
		case UTF8PROC_CATEGORY_MC:
		case UTF8PROC_CATEGORY_ME:
		case UTF8PROC_CATEGORY_CF:
			return LEARN_PART_OF_LETTER;
		default:
			return LEARN_NO_LETTER;
	}
}

int32_t
learn_character_read(const char *text, size_t size, size_t *at)
{
	int32_t		c;
	utf8proc_ssize_t length;

	if ((unsigned char) text[*at] < 0x80)
		return (unsigned char) text[(*at)++];
	length = utf8proc_iterate((const utf8proc_uint8_t *) text + *at,
							  (utf8proc_ssize_t) (size - *at < MAX_CHARACTER_BYTES ? size - *at : MAX_CHARACTER_BYTES), &c);
	if (length <= 0)
	{
		(*at)++;
		return REPLACEMENT;
	}
	*at += (size_t) length;
	return c;
}

bool
learn_text_valid(const char *text, size_t size)
{
	for (size_t at = 0; at < size;)
	{
		size_t		before = at;
		int32_t		c = learn_character_read(text, size, &at);

		/* A U+FFFD that is written out takes three bytes. */
		if (c == 0 || (c == REPLACEMENT && at == before + 1))
			return false;
	}
	return true;
}

bool
learn_text_fits(size_t size, LearnTrouble *trouble)
{
	if (size < UINT32_MAX)
		return true;
	return text_trouble(trouble, DEV_BAD_DATA, NULL, "A text may have up to 4 GB.", "text of %zu bytes is too long", size);
}

bool
learn_tokens_fit(size_t size, const LearnWord *tokens, size_t n, LearnTrouble *trouble)
{
	for (size_t i = 0; i < n; i++)
		if (tokens[i].start > tokens[i].end || tokens[i].end > size)
			return text_trouble(trouble, DEV_INVALID, NULL, NULL, "token %zu at bytes %lu to %lu is outside the text of %zu bytes",
								i + 1, (unsigned long) tokens[i].start, (unsigned long) tokens[i].end, size);
	return true;
}

void
learn_words_start(LearnWordReader *reader, const char *text, uint32_t from, uint32_t to, bool lowercase,
				  LearnUtf8 invalid)
{
	memset(reader, 0, sizeof(*reader));
	reader->text = (const unsigned char *) text;
	reader->size = to;
	reader->at = from;
	reader->lowercase = lowercase;
	reader->invalid = invalid;
}

bool
learn_words_trouble(const LearnWordReader *reader, LearnTrouble *trouble)
{
	char		detail[100];

	snprintf(detail, sizeof(detail), "The byte there is 0x%02x.", reader->text[reader->at]);
	return text_trouble(trouble, DEV_BAD_DATA, detail, NULL, "text is not valid UTF-8 at byte %lu",
						(unsigned long) reader->at + 1);
}

static inline void
append_character(LearnNormalWord *word, const char *bytes, size_t size, uint32_t start, uint32_t end)
{
	if (word->n == 0)
		word->start = start;
	word->end = end;
	if (word->n == LEARN_WORD_CHARACTERS)
	{
		word->too_long = true;
		return;
	}
	memcpy(word->bytes + word->places[word->n], bytes, size);
	word->starts[word->n] = start;
	word->ends[word->n] = end;
	word->n++;
	word->places[word->n] = (uint16_t) (word->places[word->n - 1] + size);
}

static void
append_code(LearnNormalWord *word, int32_t c, uint32_t start, uint32_t end)
{
	utf8proc_uint8_t bytes[MAX_CHARACTER_BYTES];
	utf8proc_ssize_t size = utf8proc_encode_char(c, bytes);

	append_character(word, (const char *) bytes, (size_t) size, start, end);
}

/*
 * NFD of one character without its non-spacing marks, in lower case. Marks of neighbours need not be brought into canonical
 * order, because they are dropped.
 */
static int
normalise(int32_t c, int32_t *out, int room)
{
	int32_t		parts[8];
	int			last = 0;
	utf8proc_ssize_t n = utf8proc_decompose_char(c, parts, 8, UTF8PROC_DECOMPOSE, &last);
	int			kept = 0;

	if (n < 0 || n > 8)
		n = 0;
	for (utf8proc_ssize_t i = 0; i < n && kept < room; i++)
		if (utf8proc_category(parts[i]) != UTF8PROC_CATEGORY_MN)
			out[kept++] = utf8proc_tolower(parts[i]);
	return kept;
}

/* Hands over what is queued; true when the word is complete. */
static bool
take_queue(LearnWordReader *reader, LearnNormalWord *word)
{
	while (reader->next < reader->n_queue)
	{
		int32_t		c = reader->queue[reader->next];
		bool		alone = reader->alone || learn_character_alone(c);

		if (alone && word->n > 0)
			return true;
		reader->next++;
		append_code(word, c, reader->queue_start, reader->queue_end);
		if (alone)
			return true;
	}
	return false;
}

/* Reads a character that is not ASCII into the queue. True when the word before it is complete or reading failed. */
static bool
read_character(LearnWordReader *reader, LearnNormalWord *word)
{
	size_t		at = reader->at;
	int32_t		c = learn_character_read((const char *) reader->text, reader->size, &at);
	CharacterClass class;

	if (c == REPLACEMENT && at == (size_t) reader->at + 1 && reader->invalid == LEARN_UTF8_REFUSE)
	{
		reader->failed = true;
		return true;
	}
	class = character_class(c);
	reader->queue_start = reader->at;
	reader->at = (uint32_t) at;
	reader->queue_end = reader->at;
	reader->next = 0;
	reader->n_queue = 0;
	if (class == CHARACTER_DROP)
		return false;
	if (class == CHARACTER_SPACE)
		return word->n > 0;
	reader->alone = class == CHARACTER_ALONE;
	if (!reader->lowercase)
	{
		reader->queue[0] = c;
		reader->n_queue = 1;
		return false;
	}
	reader->n_queue = normalise(c, reader->queue, 8);
	if (reader->n_queue == 0 && word->n > 0)
	{
		/* A mark: it goes with its letter. */
		word->end = reader->queue_end;
		if (!word->too_long)
			word->ends[word->n - 1] = reader->queue_end;
	}
	return false;
}

bool
learn_words_next(LearnWordReader *reader, LearnNormalWord *word)
{
	word->n = 0;
	word->too_long = false;
	word->places[0] = 0;
	for (;;)
	{
		unsigned char byte;
		CharacterClass class;
		char		kept;

		if (reader->next < reader->n_queue && take_queue(reader, word))
			return true;
		if (reader->at >= reader->size)
			return word->n > 0;
		byte = reader->text[reader->at];
		if (byte >= 0x80)
		{
			if (read_character(reader, word))
				return !reader->failed;
			continue;
		}
		class = ascii_class(byte);
		if (word->n > 0 && (class == CHARACTER_ALONE || class == CHARACTER_SPACE))
			return true;
		reader->at++;
		if (class == CHARACTER_DROP || class == CHARACTER_SPACE)
			continue;
		kept = (char) (reader->lowercase && byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte);
		append_character(word, &kept, 1, reader->at - 1, reader->at);
		if (class == CHARACTER_ALONE)
			return true;
	}
}

bool
learn_text_words(const char *text, size_t size, bool lowercase, LearnUtf8 invalid, LearnWord *words,
				 size_t capacity, size_t *n, LearnTrouble *trouble)
{
	LearnWordReader reader;
	LearnNormalWord word;

	*n = 0;
	if (!learn_text_fits(size, trouble))
		return false;
	learn_words_start(&reader, text, 0, (uint32_t) size, lowercase, invalid);
	while (*n < capacity && learn_words_next(&reader, &word))
		words[(*n)++] = (LearnWord) {word.start, word.end};
	return reader.failed ? learn_words_trouble(&reader, trouble) : true;
}

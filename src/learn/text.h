/*
 * text.h: text from inside; private to src/learn.
 *
 * A reader hands out the words of a text one by one, normalised, in a buffer of fixed size that also knows where
 * every character came from. Counts are a dictionary with a number for each entry, kept below a
 * limit by forgetting the rare.
 */
#ifndef IDLA_LEARN_TEXT_PRIVATE_H
#define IDLA_LEARN_TEXT_PRIVATE_H

#include <stdarg.h>
#include <stdio.h>

#include "idla/learn_text.h"
#include "dataset.h"

#define MAX_CHARACTER_BYTES 4
#define MAX_WORD_BYTES (LEARN_WORD_CHARACTERS * MAX_CHARACTER_BYTES)
#define LONGEST_SHOWN 40		/* bytes of a user's string in a message */
#define TEXT_POLL 1024			/* words or entries between two questions whether to stop */

/* Fills a trouble and returns false: for functions without a session. detail and hint may be NULL. */
static inline bool DEV_PRINTF(5, 6)
text_trouble(LearnTrouble *trouble, DevStatus status, const char *detail, const char *hint, const char *format,...)
{
	va_list		args;

	trouble->status = status;
	va_start(args, format);
	vsnprintf(trouble->message, sizeof(trouble->message), format, args);
	va_end(args);
	snprintf(trouble->detail, sizeof(trouble->detail), "%s", detail == NULL ? "" : detail);
	snprintf(trouble->hint, sizeof(trouble->hint), "%s", hint == NULL ? "" : hint);
	return false;
}

/* Bytes of a user's string that a message shows: whole characters. For "%.*s". */
static inline int
text_shown(const char *bytes, size_t size)
{
	size_t		n = size < LONGEST_SHOWN ? size : LONGEST_SHOWN;

	while (n > 0 && n < size && ((unsigned char) bytes[n] & 0xC0) == 0x80)
		n--;
	return (int) n;
}

/* Hands a trouble on to the session of whoever called. */
static inline DevStatus
text_fail(DevSession *session, const LearnTrouble *trouble)
{
	dev_fail(session, trouble->status, "%s", trouble->message);
	if (trouble->detail[0] != '\0')
		dev_detail(session, "%s", trouble->detail);
	if (trouble->hint[0] != '\0')
		dev_hint(session, "%s", trouble->hint);
	return trouble->status;
}

/* ---- words.c ---- */

/* A word as the vocabulary sees it. */
typedef struct LearnNormalWord
{
	uint32_t	start;			/* in the text */
	uint32_t	end;
	size_t		n;				/* characters kept */
	bool		too_long;		/* it has more; only start and end count then */
	uint16_t	places[LEARN_WORD_CHARACTERS + 1];	/* byte of each character; places[n]: how many bytes */
	uint32_t	starts[LEARN_WORD_CHARACTERS];	/* in the text, of each character */
	uint32_t	ends[LEARN_WORD_CHARACTERS];
	char		bytes[MAX_WORD_BYTES];
} LearnNormalWord;

typedef struct LearnWordReader
{
	const unsigned char *text;
	uint32_t	size;
	uint32_t	at;
	bool		lowercase;
	LearnUtf8	invalid;
	bool		failed;			/* at a byte that is no UTF-8: `at` */

	/* One character of the text becomes none to several */
	int32_t		queue[8];
	int			n_queue;
	int			next;
	bool		alone;			/* each is a word of its own */
	uint32_t	queue_start;
	uint32_t	queue_end;
} LearnWordReader;

/* The words of bytes [from, to) of a text. */
extern void learn_words_start(LearnWordReader *reader, const char *text, uint32_t from, uint32_t to,
							  bool lowercase, LearnUtf8 invalid);
/* False at the end, and with reader->failed at invalid bytes. */
extern bool learn_words_next(LearnWordReader *reader, LearnNormalWord *word);
extern bool learn_words_trouble(const LearnWordReader *reader, LearnTrouble *trouble);	/* false */
/* Whether tokenising makes a word of this character alone: punctuation, CJK. */
extern bool learn_character_alone(int32_t character);
/* Letters of any script; and what belongs to the letter before: accents, vowel signs, joiners. Neither: digits, symbols, controls. */
typedef enum LearnLetter
{
	LEARN_NO_LETTER,
	LEARN_A_LETTER,
	LEARN_PART_OF_LETTER
} LearnLetter;

extern LearnLetter learn_character_letter(int32_t character);
/* The character at *at, which moves on; U+FFFD and one byte for what is no UTF-8. */
extern int32_t learn_character_read(const char *text, size_t size, size_t *at);
/* Valid UTF-8 throughout, without NUL. */
extern bool learn_text_valid(const char *text, size_t size);
/* Offsets are 32 bits wide. */
extern bool learn_text_fits(size_t size, LearnTrouble *trouble);
/* Ranges inside the text, start before end. */
extern bool learn_tokens_fit(size_t size, const LearnWord *tokens, size_t n, LearnTrouble *trouble);

/* ---- encode_text.c ---- */

/* Pieces of one word in UTF-8, of at most LEARN_WORD_CHARACTERS characters; [UNK] alone where it cannot be made. Returns their number. */
extern size_t learn_word_pieces(const LearnVocabulary *vocabulary, const char *word, size_t size, int32_t ids[LEARN_WORD_CHARACTERS]);

/* ---- augment_text.c ---- */

typedef enum LearnCase
{
	LEARN_CASE_LOWER,
	LEARN_CASE_UPPER,
	LEARN_CASE_TITLE,			/* the first character alone */
	LEARN_N_CASES
} LearnCase;

/* Whether a word's case is changed, and to what. */
extern bool learn_case_draw(double rate, uint64_t seed, uint64_t stream, uint64_t counter, LearnCase *style);
/* A word written so; returns its bytes, at most MAX_CHARACTER_BYTES for each character. */
extern size_t learn_case_write(const char *word, size_t size, LearnCase style, char *dst);

/* ---- counts.c ---- */

typedef struct LearnCounts
{
	DevSession *session;
	LearnDictionary *dictionary;
	uint64_t   *counts;			/* by code */
	size_t		capacity;
	uint32_t	limit;			/* entries at most */
	uint64_t	floor;			/* what was counted no more often has been forgotten, at the last time */
} LearnCounts;

typedef struct LearnCounted
{
	const char *bytes;			/* the dictionary's */
	size_t		size;
	uint64_t	count;
} LearnCounted;

extern LearnCounts *learn_counts_create(DevSession *session, uint32_t limit);
extern void learn_counts_free(LearnCounts *counts);	/* NULL is allowed */
extern DevStatus learn_counts_add(LearnCounts *counts, const char *bytes, size_t size, uint64_t count);
/* Entries counted at least min_count times, most frequent first, ties by their bytes; the session's memory. */
extern DevStatus learn_counts_list(const LearnCounts *counts, uint64_t min_count, LearnCounted **list, size_t *n);
/* Sorts by bytes alone; scratch (n). */
extern DevStatus learn_counted_sort(DevSession *session, LearnCounted *list, LearnCounted *scratch, size_t n, bool by_count);

/* ---- vocabulary.c ---- */

/*
 * A trie over bytes: node 0 begins words, node 1 what follows "##". The children of all nodes are in one flat hash table by
 * (node, byte), so that finding the longest piece walks as far as any piece agrees and no further.
 */
typedef struct LearnTrieSlot
{
	uint32_t	key;			/* node << 8 | byte */
	uint32_t	child;			/* 0: empty */
} LearnTrieSlot;

#define MAX_TRIE_NODES ((uint32_t) 1 << 24)
#define MAX_VOCABULARY_BYTES ((size_t) 16 << 20)

struct LearnVocabulary
{
	DevSession *session;
	bool		lowercase;
	LearnCounts *counts;		/* until trained */

	size_t		n;
	char	   *bytes;			/* texts of the pieces, each with a NUL */
	uint32_t   *places;			/* (n + 1) where each begins */
	int32_t		special[LEARN_SPECIALS];

	uint64_t	multiplier;		/* odd, of the hash */
	unsigned	shift;			/* 64 - log2 of n_slots */
	size_t		n_slots;
	LearnTrieSlot *slots;
	uint32_t	n_nodes;
	size_t		node_capacity;
	int32_t    *piece_of;		/* by node; -1: none ends here */
};

static inline uint32_t
learn_trie_child(const LearnVocabulary *vocabulary, uint32_t node, unsigned char byte)
{
	uint32_t	key = node << 8 | byte;
	size_t		mask = vocabulary->n_slots - 1;

	for (size_t at = (size_t) (key * vocabulary->multiplier >> vocabulary->shift);; at = (at + 1) & mask)
	{
		const LearnTrieSlot *slot = &vocabulary->slots[at];

		if (slot->child == 0 || slot->key == key)
			return slot->child;
	}
}

/*
 * Fills an empty vocabulary with n pieces in order (bytes and size count), checked; `blame` is the status of what is wrong, which is
 * called "unit number".
 */
extern DevStatus learn_vocabulary_fill(LearnVocabulary *vocabulary, size_t n, const LearnCounted *pieces,
									   DevStatus blame, const char *unit);

#endif							/* IDLA_LEARN_TEXT_PRIVATE_H */

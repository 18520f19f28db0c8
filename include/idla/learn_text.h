/*
 * learn_text.h: text becomes numbers, and every number knows its bytes.
 *
 * Two roads. WordPiece (a vocabulary of pieces) for classifying text and for
 * Transformers; a lexicon (words, characters, shapes, affixes) for taggers that learn from scratch.
 * Both cut text into words as BERT's basic tokeniser does (google-research/bert,
 * tokenization.py): U+0000, U+FFFD, controls and format characters (Cc, Cf) are dropped as if
 * they were not there; white space (tab, line ends, Zs, Zl, Zp) separates; every CJK ideograph
 * and every punctuation character (ASCII's and category P) is a word of its own. With `lowercase`,
 * characters are decomposed canonically (NFD), non-spacing marks (Mn) dropped and the rest
 * lower-cased, before punctuation is recognised. Text such as "[MASK]" is never a special token.
 *
 * Positions are byte offsets into the original UTF-8, always on borders of characters, exact
 * also where normalisation changes lengths: a dropped mark belongs to the letter before it.
 *
 * Threads: what takes a LearnTrouble and const objects may run on any thread; it allocates nothing
 * (the stack holds about 6 kB), returns false on failure and writes the trouble only then. A text is
 * smaller than 4 GB; every pass is linear in it.
 */
#ifndef IDLA_LEARN_TEXT_H
#define IDLA_LEARN_TEXT_H

#include "idla/learn_trouble.h"

#define LEARN_WORD_CHARACTERS 200	/* a longer word is unknown, as in BERT */
#define LEARN_MAX_PIECES 1000000
#define LEARN_NO_WORD (-1)

/* What to do about bytes that are no UTF-8. */
typedef enum LearnUtf8
{
	LEARN_UTF8_REFUSE,			/* DEV_BAD_DATA, with the byte's position */
	LEARN_UTF8_REPLACE			/* each such byte counts as U+FFFD, which tokenising drops */
} LearnUtf8;

/* Bytes [start, end) of a text. */
typedef struct LearnWord
{
	uint32_t	start;
	uint32_t	end;
} LearnWord;

/*
 * The words of a text, at most `capacity` of them; *n is how many. What follows the last one that fits is
 * not looked at, nor are its bytes checked.
 */
extern bool learn_text_words(const char *text, size_t size, bool lowercase, LearnUtf8 invalid,
							 LearnWord *words, size_t capacity, size_t *n, LearnTrouble *trouble);

/* ---- WordPiece ---- */

typedef struct LearnVocabulary LearnVocabulary;

typedef enum LearnSpecial
{
	LEARN_PAD,					/* "[PAD]" */
	LEARN_UNK,					/* "[UNK]" */
	LEARN_CLS,					/* "[CLS]" */
	LEARN_SEP,					/* "[SEP]" */
	LEARN_MASK,					/* "[MASK]" */
	LEARN_SPECIALS
} LearnSpecial;

/*
 * An empty vocabulary to be trained: count every training text, then train. At most max_words different words
 * are counted at a time (0: 500,000); when there are more, the rarest are forgotten, by a rule that depends on the order of
 * texts only. NULL after recording the failure in the session.
 */
extern LearnVocabulary *learn_vocabulary_create(DevSession *session, bool lowercase, size_t max_words);
/* DEV_BAD_DATA on invalid UTF-8 when `invalid` says so, DEV_INVALID once trained. */
extern DevStatus learn_vocabulary_count(LearnVocabulary *vocabulary, const char *text, size_t size, LearnUtf8 invalid);
/*
 * Makes at most `size` pieces (16 to LEARN_MAX_PIECES): the five special tokens, the characters seen (at most 1,000 and half
 * of the room, the most frequent ones; as first and, unless they always stand alone, as "##" continuation), then
 * pieces by merging, again and again, the pair of neighbours that occurs most often (byte-pair
 * encoding, Sennrich et al. 2016, over WordPiece's symbols, as Hugging Face's WordPiece trainer), until a pair
 * occurs less than min_count times. Ties go to the older pieces, so that the result does not depend on the order of texts.
 * DEV_BAD_DATA when no word was counted. May be asked once.
 */
extern DevStatus learn_vocabulary_train(LearnVocabulary *vocabulary, size_t size, uint64_t min_count);

/*
 * A vocab.txt: one piece a line, its number the line's. A final line end and carriage returns are fine. DEV_BAD_DATA naming the line
 * on an empty line, a piece twice, invalid UTF-8, a carriage return within, or a piece longer than a word can be; when "[UNK]" is missing; when
 * there are more than LEARN_MAX_PIECES or 16 MB. Other special tokens may be missing. Bounded before memory is taken.
 */
extern DevStatus learn_vocabulary_read(DevSession *session, const char *text, size_t size, bool lowercase,
									   LearnVocabulary **vocabulary);
/* The same from the pieces themselves, NUL-terminated, as learn_vocabulary_piece gave them; DEV_CORRUPT on the same grounds. */
extern DevStatus learn_vocabulary_restore(DevSession *session, bool lowercase, size_t n, const char *const *pieces,
										  LearnVocabulary **vocabulary);
extern void learn_vocabulary_free(LearnVocabulary *vocabulary);	/* NULL is allowed */

extern size_t learn_vocabulary_size(const LearnVocabulary *vocabulary);	/* 0 before training */
extern bool learn_vocabulary_lowercase(const LearnVocabulary *vocabulary);
/* "heart", "##ache", "[CLS]"; NULL out of range. size may be NULL. */
extern const char *learn_vocabulary_piece(const LearnVocabulary *vocabulary, int32_t id, size_t *size);
/* Number of a piece, -1 when there is none. */
extern int32_t learn_vocabulary_find(const LearnVocabulary *vocabulary, const char *piece, size_t size);
extern int32_t learn_vocabulary_special(const LearnVocabulary *vocabulary, LearnSpecial which);	/* -1: none */
extern const char *learn_special_text(LearnSpecial which);

/* What remains of a text that has more pieces than are wanted. */
typedef enum LearnKeep
{
	LEARN_KEEP_HEAD,			/* the first ones; reading stops there */
	LEARN_KEEP_TAIL,			/* the last ones */
	LEARN_KEEP_BOTH				/* the first half and the last half */
} LearnKeep;

typedef struct LearnTextWish
{
	size_t		max_tokens;		/* special ones included; at least 1, with add_special 3 */
	bool		add_special;	/* [CLS] first and [SEP] last */
	LearnKeep	keep;
	LearnUtf8	invalid;
} LearnTextWish;

/*
 * Pieces of a text: of every word the longest known beginning, then the longest known continuations; [UNK] for a word
 * that cannot be made or has more than LEARN_WORD_CHARACTERS. ids, and unless NULL starts, ends and words, have room for
 * max_tokens; *n is how many there are. words[i] is the number of the word that piece i belongs to, in the whole text. Special tokens
 * have LEARN_NO_WORD and an empty range: [CLS] at 0, [SEP] where the last piece ends. Starts never decrease; pieces of one
 * decomposed character share its range. DEV_INVALID for a wish that makes no sense or a vocabulary that is not trained.
 */
extern bool learn_text_encode(const LearnVocabulary *vocabulary, const char *text, size_t size, const LearnTextWish *wish,
							  int32_t *ids, uint32_t *starts, uint32_t *ends, int32_t *words, size_t *n,
							  LearnTrouble *trouble);
/* ---- Lexicon: what a tagger from scratch sees of a word ---- */

/*
 * A BiLSTM-CRF tagger without pretrained weights takes, for every word, the sum or concatenation of
 *
 *   its number          in lower case with digits as 0, so that "1998" and "2003" are one word; an embedding. In training
 *                       LEARN_UNKNOWN replaces some words at random (learn_text_mask), or unknown words are met unprepared
 *   its characters      as written, up to `characters` of them (of a longer word the first and the last half);
 *                       embedding, convolution of width 3, maximum: learns "-itis", "-oma", "Anti-"
 *   its shape           lower, Title, UPPER, digits, ...: LearnShape; a small embedding
 *   its affixes         the first and last 2, 3 and 4 characters of the first form, numbered by frequency; six
 *                       small embeddings: what the convolution would need more data to learn
 *
 * In every table 0 is padding and 1 what was not seen in training.
 */
typedef struct LearnLexicon LearnLexicon;

typedef enum LearnLexiconTable
{
	LEARN_TABLE_WORDS,
	LEARN_TABLE_CHARACTERS,
	LEARN_TABLE_PREFIX2,
	LEARN_TABLE_PREFIX3,
	LEARN_TABLE_PREFIX4,
	LEARN_TABLE_SUFFIX2,
	LEARN_TABLE_SUFFIX3,
	LEARN_TABLE_SUFFIX4,
	LEARN_TABLES
} LearnLexiconTable;

#define LEARN_AFFIXES 6
#define LEARN_PADDING 0
#define LEARN_UNKNOWN 1

typedef enum LearnShape
{
	LEARN_SHAPE_PADDING,
	LEARN_SHAPE_LOWER,			/* tumour */
	LEARN_SHAPE_TITLE,			/* Tumour */
	LEARN_SHAPE_UPPER,			/* DNA */
	LEARN_SHAPE_INITIAL,		/* A: one capital */
	LEARN_SHAPE_MIXED,			/* mRNA */
	LEARN_SHAPE_DIGITS,			/* 1998 */
	LEARN_SHAPE_UPPER_DIGITS,	/* APC2 */
	LEARN_SHAPE_LOWER_DIGITS,	/* p53 */
	LEARN_SHAPE_MIXED_DIGITS,	/* Abcd1 */
	LEARN_SHAPE_PUNCTUATION,	/* neither letters nor digits */
	LEARN_SHAPE_CASELESS,		/* letters without case: CJK, Arabic, Hebrew ... */
	LEARN_SHAPES
} LearnShape;

typedef struct LearnLexiconPlan
{
	size_t		characters;		/* codes a word, 2 to LEARN_WORD_CHARACTERS */
	size_t		max_entries;	/* of each table, 0: 200,000; the most frequent stay */
	uint64_t	min_count;		/* of a word, at least 1 */
	uint64_t	min_affix_count;	/* of an affix, at least 1 */
} LearnLexiconPlan;

/* Empty; NULL after recording the failure. Count the tokens of every training text, then fit. */
extern LearnLexicon *learn_lexicon_create(DevSession *session, const LearnLexiconPlan *plan);
/* Bytes that are no UTF-8 count as U+FFFD. Ranges outside the text: DEV_INVALID. */
extern DevStatus learn_lexicon_count(LearnLexicon *lexicon, const char *text, size_t size, const LearnWord *tokens,
									 size_t n_tokens);
extern DevStatus learn_lexicon_fit(LearnLexicon *lexicon);
/* From stored entries (without the first two numbers); DEV_CORRUPT when there are too many, one is too long, empty or there twice. */
extern DevStatus learn_lexicon_restore(DevSession *session, const LearnLexiconPlan *plan, const size_t n[LEARN_TABLES],
									   const char *const *const entries[LEARN_TABLES], LearnLexicon **lexicon);
extern void learn_lexicon_free(LearnLexicon *lexicon);	/* NULL is allowed */
/* Numbers in use, padding and unknown included: rows of the embedding. */
extern size_t learn_lexicon_size(const LearnLexicon *lexicon, LearnLexiconTable table);
/* Entry of a number from 2 up, NUL-terminated; else NULL. */
extern const char *learn_lexicon_entry(const LearnLexicon *lexicon, LearnLexiconTable table, int32_t id, size_t *size);
/*
 * words (n_tokens), characters (n_tokens, plan.characters), shapes (n_tokens), affixes (n_tokens, LEARN_AFFIXES) in the order of
 * the tables; each may be NULL. A word shorter than an affix is its own affix.
 */
extern bool learn_lexicon_encode(const LearnLexicon *lexicon, const char *text, size_t size, const LearnWord *tokens,
								 size_t n_tokens, int32_t *words, int32_t *characters, int32_t *shapes,
								 int32_t *affixes, LearnTrouble *trouble);

/* ---- Augmentation, in place; what happens depends on (seed, stream, counter) alone ---- */

/*
 * Replaces ids by `mask` with probability `rate`, all pieces of a word together. words as learn_text_encode gave them: those
 * with LEARN_NO_WORD stay; NULL: every id is a word. Draws counters [counter, counter + n). Returns the number of ids replaced.
 */
extern size_t learn_text_mask(size_t n, int32_t *ids, const int32_t *words, int32_t mask, double rate,
							  uint64_t seed, uint64_t stream, uint64_t counter);
/*
 * Exchanges neighbouring words with probability `rate` (a word at most once), pieces in their order; words NULL: every id is a
 * word. Positions and words of the pieces are not moved: not for tagging. Draws [counter, counter + n). Returns the number of exchanges.
 */
extern size_t learn_text_swap(size_t n, int32_t *ids, const int32_t *words, double rate,
							  uint64_t seed, uint64_t stream, uint64_t counter);
/* words (n): the number of the word that each piece belongs to, by the pieces alone: one that continues belongs to the piece before it. */
extern void learn_text_join(const LearnVocabulary *vocabulary, size_t n, const int32_t *ids, int32_t *words);
/*
 * Writes words in lower case, in upper case or with a capital first letter, each word with probability `rate` and the three with equal
 * chance. Its pieces are spelled, and what is written anew has the pieces that the tokeniser would have made of it, [UNK] where
 * there are none; a word that would not fit into `room` ids stays. Returns the number of ids. Nothing in a lower-case vocabulary
 * has another case. Draws [counter, counter + n).
 */
extern size_t learn_text_case(const LearnVocabulary *vocabulary, size_t n, size_t room, int32_t *ids, double rate,
							  uint64_t seed, uint64_t stream, uint64_t counter);
/*
 * The same for what a tagger sees: characters (n, plan.characters), anything up to LEARN_PADDING after a word's end, and shapes (n)
 * become those of the word written anew; its number and its affixes know no case. A word is what its characters spell, so of one
 * that has more than plan.characters the middle has no say in the shape.
 */
extern void learn_lexicon_case(const LearnLexicon *lexicon, size_t n, int32_t *characters, int32_t *shapes, double rate,
							   uint64_t seed, uint64_t stream, uint64_t counter);

#endif							/* IDLA_LEARN_TEXT_H */

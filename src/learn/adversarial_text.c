/*
 * adversarial_text.c: texts misspelled so that a model errs.
 *
 * Words cannot be moved a little, but they can be written wrongly, and whoever reads the note still knows what was meant: inside a word of four letters
 * or more two neighbours change places, a letter is left out, or one is written twice (Pruthi et al. 2019). First and last letter
 * stay, and so do numbers. Which words matter is found by leaving each out once (Gao et al. 2018), then spellings are tried of these, most important
 * first. Nothing but answers is asked for, so every architecture is attacked alike, and what is judged is the text itself, cut into
 * pieces by the model's own tokeniser.
 */
#include "idla/learn_adversarial.h"
#include "idla/learn_text.h"

#include "augment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_WORDS 256			/* of a text, left out in turn */
#define SPELLINGS 12			/* tried of a word */
#define SPARE 8					/* bytes that a text may grow by with each word: a letter written twice */
#define SHORTEST 4				/* letters of a word that is misspelled */
#define LONGEST 64

/* A word that may be misspelled. */
typedef struct Target
{
	LearnWord	word;			/* in the text as it came */
	float		gain;			/* of the loss, by leaving it out */
	bool		spelled;		/* differently by now */
	char		spelling[LONGEST * 4 + SPARE];
	size_t		size;			/* of that */
} Target;

/* One row's text. */
typedef struct Text
{
	LearnBytes	given;
	size_t		n;
	Target	   *targets;		/* (MOST_WORDS), from some time on in the order of their gains */
	char	   *written;		/* as it is tried */
	size_t		size;
	size_t		room;
	int			n_changed;
	float		best;
	bool		done;
	bool		tried;			/* in this pass */
} Text;

struct LearnTextAttacker
{
	DevSession *session;
	LearnPredictorOracle *oracle;
	const LearnField *field;
	int			number;
	size_t		max_rows;
	Text	   *texts;			/* (max_rows) */
	LearnWord  *words;			/* scratch, as many as the network sees tokens */
	LearnBytes *stored;			/* (max_rows) of what is tried; malloc's */
	LearnBytes *kept;			/* (max_rows) of what was found; NULL bytes: nothing was */
	float	   *losses;
	uint8_t    *wrong;
};

DevStatus
learn_text_attacker_create(DevSession *session, LearnPredictorOracle *oracle, const LearnField *field, int number, size_t max_rows,
						   LearnTextAttacker **attacker)
{
	LearnTextAttacker *made = dev_alloc(session, 1, sizeof(LearnTextAttacker));

	*attacker = NULL;
	if (made == NULL)
		return DEV_NO_MEMORY;
	*made = (LearnTextAttacker) {.session = session, .oracle = oracle, .field = field, .number = number, .max_rows = max_rows};
	made->texts = dev_alloc(session, max_rows, sizeof(Text));
	made->words = dev_alloc(session, field->dims[0], sizeof(LearnWord));
	made->stored = dev_alloc(session, max_rows, sizeof(LearnBytes));
	made->kept = dev_alloc(session, max_rows, sizeof(LearnBytes));
	made->losses = dev_alloc(session, max_rows, sizeof(float));
	made->wrong = dev_alloc(session, max_rows, 1);
	if (made->texts == NULL || made->words == NULL || made->stored == NULL || made->kept == NULL || made->losses == NULL ||
		made->wrong == NULL)
		return DEV_NO_MEMORY;
	for (size_t row = 0; row < max_rows; row++)
	{
		made->texts[row].targets = dev_alloc(session, MOST_WORDS, sizeof(Target));
		made->stored[row].bytes = dev_alloc(session, field->dims[0], sizeof(int32_t));
		made->kept[row].bytes = dev_alloc(session, field->dims[0], sizeof(int32_t));
		if (made->texts[row].targets == NULL || made->stored[row].bytes == NULL || made->kept[row].bytes == NULL)
			return DEV_NO_MEMORY;
	}
	*attacker = made;
	return DEV_OK;
}

/* ---- Words ---- */

/* Bytes of the letter that begins there: what ASCII calls one, and all beyond it. 0: none. */
static size_t
letter_at(const char *text, size_t size)
{
	unsigned char first = (unsigned char) text[0];
	size_t		n = 1;

	if (size == 0 || (first < 0x80 && !((first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z'))))
		return 0;
	while (n < size && ((unsigned char) text[n] & 0xc0) == 0x80)
		n++;
	return n;
}

/* Where the letters of a word begin, and its end; 0 when it is none of at most LONGEST letters. */
static size_t
find_letters(const char *text, size_t size, size_t begins[LONGEST + 1])
{
	size_t		n = 0;
	size_t		at = 0;

	while (at < size)
	{
		size_t		letter = letter_at(text + at, size - at);

		if (letter == 0 || letter > 4 || n == LONGEST)
			return 0;
		begins[n++] = at;
		at += letter;
	}
	begins[n] = size;
	return n;
}

/* The words of a row that the network may see and that can be misspelled. */
static DevStatus
find_targets(LearnTextAttacker *attacker, Text *text)
{
	const LearnField *field = attacker->field;
	LearnTrouble trouble;
	size_t		n;

	text->n = 0;
	if (text->given.bytes == NULL)
		return DEV_OK;
	if (!learn_text_words(text->given.bytes, text->given.size, false, LEARN_UTF8_REPLACE, attacker->words, field->dims[0], &n, &trouble))
		return dev_fail(attacker->session, trouble.status, "%s", trouble.message);
	for (size_t i = 0; i < n && text->n < MOST_WORDS; i++)
	{
		LearnWord	word = attacker->words[i];
		size_t		begins[LONGEST + 1];

		if (find_letters((const char *) text->given.bytes + word.start, word.end - word.start, begins) >= SHORTEST)
			text->targets[text->n++] = (Target) {.word = word};
	}
	return DEV_OK;
}

/* ---- Spellings ---- */

/*
 * Spelling `number` of a word, of a first letter, letters that can be wrong, and a last one: two change places, one is left out, one is there twice.
 * Returns its size, 0 where the word has no such spelling.
 */
static size_t
spell(const char *word, size_t size, uint32_t draw, int number, char *spelling)
{
	size_t		begins[LONGEST + 1];
	size_t		n = find_letters(word, size, begins);
	size_t		inner = n - 2;
	size_t		i = 1 + (number / 3 + draw) % inner;
	size_t		first = begins[i];
	size_t		second = begins[i + 1];
	size_t		third = begins[i + 1 < n ? i + 2 : n];
	size_t		at = first;

	/* More than there are places of each kind */
	if ((size_t) number / 3 >= inner)
		return 0;
	memcpy(spelling, word, first);
	if (number % 3 == 0)
	{
		/* The last letter stays, and so has the one before it no neighbour to change places with. */
		if (i + 1 >= n - 1)
			return 0;
		memcpy(spelling + at, word + second, third - second);
		at += third - second;
		memcpy(spelling + at, word + first, second - first);
		at += second - first;
		second = third;
	}
	else if (number % 3 == 2)
	{
		memcpy(spelling + at, word + first, second - first);
		memcpy(spelling + at + (second - first), word + first, second - first);
		at += 2 * (second - first);
	}
	memcpy(spelling + at, word + second, size - second);
	at += size - second;
	return at == size && memcmp(spelling, word, size) == 0 ? 0 : at;
}

/* ---- Writing ---- */

static int
compare_places(const void *a, const void *b)
{
	const LearnWord *left = &((const Target *) a)->word;
	const LearnWord *right = &((const Target *) b)->word;

	return left->start < right->start ? -1 : left->start > right->start;
}

static int
compare_gains(const void *a, const void *b)
{
	const Target *left = a;
	const Target *right = b;

	return left->gain > right->gain ? -1 : left->gain < right->gain ? 1 : compare_places(a, b);
}

/*
 * The text with all that is spelled differently, and word `other` (none: SIZE_MAX) as `spelling` of `size` bytes. Words are few, so that the next one in the
 * text is looked for each time.
 */
static void
write_text(Text *text, size_t other, const char *spelling, size_t size)
{
	const char *given = text->given.bytes;
	size_t		from = 0;

	text->size = 0;
	for (;;)
	{
		size_t		next = SIZE_MAX;
		const char *as;
		size_t		as_size;

		for (size_t i = 0; i < text->n; i++)
			if ((text->targets[i].spelled || i == other) && text->targets[i].word.start >= from &&
				(next == SIZE_MAX || text->targets[i].word.start < text->targets[next].word.start))
				next = i;
		if (next == SIZE_MAX)
			break;
		as = next == other ? spelling : text->targets[next].spelling;
		as_size = next == other ? size : text->targets[next].size;
		memcpy(text->written + text->size, given + from, text->targets[next].word.start - from);
		text->size += text->targets[next].word.start - from;
		memcpy(text->written + text->size, as, as_size);
		text->size += as_size;
		from = text->targets[next].word.end;
	}
	memcpy(text->written + text->size, given + from, text->given.size - from);
	text->size += text->given.size - from;
}

/* What the model makes of what is written. */
static DevStatus
store_text(LearnTextAttacker *attacker, size_t row)
{
	const Text *text = &attacker->texts[row];
	LearnTrouble trouble;
	void	   *taken;
	size_t		size;

	if (!learn_field_take_text(attacker->field, text->written, text->size, true, &taken, &size, &trouble))
		return dev_fail(attacker->session, trouble.status, "%s", trouble.message);
	/* A text that is one word, left out, is none. */
	if (taken != NULL)
		memcpy(unconstify_bytes(&attacker->stored[row]), taken, size);
	attacker->stored[row].size = size;
	free(taken);
	return DEV_OK;
}

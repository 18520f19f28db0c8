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
#define MOST_BYTES ((size_t) 1 << 20)	/* of a text; a longer one stays */

/* What spelling number n does to a letter: kind n % KINDS. */
enum { EXCHANGED, LEFT_OUT, TWICE, KINDS };

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
	LearnBytes	own;			/* stored, as it came */
	size_t		n;
	Target	   *targets;		/* (MOST_WORDS), from some time on in the order of their gains */
	char	   *written;		/* as it is tried */
	size_t		size;
	size_t		room;
	int32_t    *stored;			/* what the model makes of that */
	size_t		stored_size;
	int32_t    *kept;			/* the same of the best so far; nothing: its own */
	size_t		kept_size;
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
	const LearnTextReferee *referee;	/* of this attack */
	Text	   *texts;			/* (max_rows) */
	LearnWord  *words;			/* scratch, as many as the network sees tokens */
	LearnBytes *shown;			/* (max_rows) stored, of this pass */
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
	made->shown = dev_alloc(session, max_rows, sizeof(LearnBytes));
	made->losses = dev_alloc(session, max_rows, sizeof(float));
	made->wrong = dev_alloc(session, max_rows, 1);
	if (made->texts == NULL || made->words == NULL || made->shown == NULL || made->losses == NULL || made->wrong == NULL)
		return DEV_NO_MEMORY;
	for (size_t row = 0; row < max_rows; row++)
	{
		Text	   *text = &made->texts[row];

		text->targets = dev_alloc(session, MOST_WORDS, sizeof(Target));
		text->stored = dev_alloc(session, field->dims[0], sizeof(int32_t));
		text->kept = dev_alloc(session, field->dims[0], sizeof(int32_t));
		if (text->targets == NULL || text->stored == NULL || text->kept == NULL)
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

/* Where the words begin that the network sees of a long text whose beginning is dropped: as many as it sees pieces, by the blanks between them. */
static size_t
first_seen(const LearnField *field, LearnBytes text)
{
	const char *bytes = text.bytes;
	size_t		n = 0;
	size_t		at = text.size;

	if (field->kept != LEARN_KEEP_TAIL)
		return 0;
	while (at > 0 && n < field->dims[0])
	{
		at--;
		n += bytes[at] == ' ' || bytes[at] == '\n';
	}
	return at;
}

/* The words of a row that the network may see and that can be misspelled. */
static DevStatus
find_targets(LearnTextAttacker *attacker, Text *text)
{
	const LearnField *field = attacker->field;
	const char *bytes = text->given.bytes;
	size_t		first = first_seen(field, text->given);
	LearnTrouble trouble;
	size_t		n;

	text->n = 0;
	if (!learn_text_words(bytes + first, text->given.size - first, false, LEARN_UTF8_REPLACE, attacker->words, field->dims[0], &n, &trouble))
		return dev_fail(attacker->session, trouble.status, "%s", trouble.message);
	for (size_t i = 0; i < n && text->n < MOST_WORDS; i++)
	{
		LearnWord	word = {attacker->words[i].start + (uint32_t) first, attacker->words[i].end + (uint32_t) first};
		size_t		begins[LONGEST + 1];

		if (find_letters(bytes + word.start, word.end - word.start, begins) >= SHORTEST)
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
	size_t		i = 1 + ((size_t) number / KINDS + draw) % inner;
	size_t		first = begins[i];
	size_t		second = begins[i + 1];
	size_t		third = begins[i + 1 < n ? i + 2 : n];
	size_t		at = first;

	/* More than there are places of each kind */
	if ((size_t) number / KINDS >= inner)
		return 0;
	memcpy(spelling, word, first);
	if (number % KINDS == EXCHANGED)
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
	else if (number % KINDS == TWICE)
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
 * The text with all that is spelled differently, and word `other` (none: SIZE_MAX) as `spelling` of `size` bytes. Words are few, so that
 * the next one in the text is looked for each time.
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
store_text(LearnTextAttacker *attacker, Text *text)
{
	LearnTrouble trouble;
	void	   *taken;
	size_t		size;

	if (!learn_field_take_text(attacker->field, text->written, text->size, true, &taken, &size, &trouble))
		return dev_fail(attacker->session, trouble.status, "%s", trouble.message);
	/* A text that is one word, left out, is none. */
	if (taken != NULL)
		memcpy(text->stored, taken, size);
	text->stored_size = taken != NULL ? size : 0;
	free(taken);
	return DEV_OK;
}

/* ---- Passes ---- */

/* Losses of all rows, those that are tried with what is written, the others as they are by now. */
static DevStatus
score(LearnTextAttacker *attacker, size_t n, const float *numbers, const int32_t *codes)
{
	LearnRowOracle oracle = learn_predictor_oracle(attacker->oracle);

	for (size_t row = 0; row < n; row++)
	{
		Text	   *text = &attacker->texts[row];

		attacker->shown[row] = text->kept_size > 0 ? (LearnBytes) {text->kept, text->kept_size} : text->own;
		if (text->tried)
			attacker->shown[row] = (LearnBytes) {text->stored_size > 0 ? text->stored : NULL, text->stored_size};
	}
	learn_predictor_oracle_texts(attacker->oracle, attacker->number, attacker->shown);
	return oracle.score(oracle.context, n, numbers, codes, attacker->losses, attacker->wrong, NULL);
}

/* Which words matter: each is left out once. */
static DevStatus
weigh_words(LearnTextAttacker *attacker, size_t n, const float *numbers, const int32_t *codes)
{
	size_t		most = 0;
	DevStatus	status = DEV_OK;

	for (size_t row = 0; row < n; row++)
		if (!attacker->texts[row].done)
			most = attacker->texts[row].n > most ? attacker->texts[row].n : most;
	for (size_t i = 0; i < most && status == DEV_OK; i++)
	{
		for (size_t row = 0; row < n && status == DEV_OK; row++)
		{
			Text	   *text = &attacker->texts[row];

			text->tried = !text->done && i < text->n;
			if (!text->tried)
				continue;
			write_text(text, i, "", 0);
			status = store_text(attacker, text);
		}
		if (status == DEV_OK)
			status = score(attacker, n, numbers, codes);
		for (size_t row = 0; row < n && status == DEV_OK; row++)
			if (attacker->texts[row].tried)
				attacker->texts[row].targets[i].gain = attacker->losses[row] - attacker->texts[row].best;
	}
	for (size_t row = 0; row < n; row++)
		qsort(attacker->texts[row].targets, attacker->texts[row].n, sizeof(Target), compare_gains);
	return status;
}

/* A word of each row in one spelling; what is better than all before is kept. */
static DevStatus
try_spelling(LearnTextAttacker *attacker, size_t n, size_t i, int number, int most, const LearnDraw *draw, const float *numbers,
			 const int32_t *codes, bool until_fooled)
{
	char		spellings[sizeof(((Target *) 0)->spelling)];
	bool		any = false;
	DevStatus	status = DEV_OK;

	for (size_t row = 0; row < n && status == DEV_OK; row++)
	{
		Text	   *text = &attacker->texts[row];
		LearnDraw	own = {draw->seed, draw->stream, draw->counter + row};
		uint32_t	bits[4];
		size_t		size;

		text->tried = !text->done && i < text->n && (text->n_changed < most || text->targets[i].spelled);
		if (!text->tried)
			continue;
		learn_draw_block(&own, text->targets[i].word.start, bits);
		size = spell((const char *) text->given.bytes + text->targets[i].word.start,
					 text->targets[i].word.end - text->targets[i].word.start, bits[0], number, spellings);
		text->tried = size > 0;
		if (size == 0)
			continue;
		write_text(text, i, spellings, size);
		status = store_text(attacker, text);
		any = true;
	}
	if (status == DEV_OK && any)
		status = score(attacker, n, numbers, codes);
	for (size_t row = 0; row < n && status == DEV_OK && any; row++)
	{
		Text	   *text = &attacker->texts[row];
		Target	   *target = &text->targets[i];
		LearnDraw	own = {draw->seed, draw->stream, draw->counter + row};
		uint32_t	bits[4];
		bool		fools = until_fooled && attacker->wrong[row];

		bool		allowed = true;

		if (!text->tried || !(fools || attacker->losses[row] > text->best))
			continue;
		if (attacker->referee != NULL)
			status = attacker->referee->judge(attacker->referee->context, row, (LearnBytes) {text->written, text->size}, &allowed);
		if (!allowed || status != DEV_OK)
			continue;
		learn_draw_block(&own, target->word.start, bits);
		target->size = spell((const char *) text->given.bytes + target->word.start, target->word.end - target->word.start, bits[0], number,
							 target->spelling);
		text->n_changed += !target->spelled;
		target->spelled = true;
		text->best = attacker->losses[row];
		text->done = fools;
		memcpy(text->kept, text->stored, text->stored_size);
		text->kept_size = text->stored_size;
	}
	return status;
}

/* ---- The attack ---- */

static DevStatus
begin_text(LearnTextAttacker *attacker, Text *text, LearnBytes given, LearnBytes stored)
{
	size_t		room = given.size + MOST_WORDS * SPARE;

	text->given = given;
	text->own = stored;
	text->n = 0;
	text->n_changed = 0;
	text->kept_size = 0;
	text->tried = false;
	text->done = given.bytes == NULL || stored.bytes == NULL || given.size > MOST_BYTES;
	if (text->done)
		return DEV_OK;
	if (room > text->room)
	{
		dev_release(attacker->session, text->written);
		text->written = dev_alloc(attacker->session, room, 1);
		text->room = text->written == NULL ? 0 : room;
		if (text->written == NULL)
			return DEV_NO_MEMORY;
	}
	return find_targets(attacker, text);
}

DevStatus
learn_text_attack(LearnTextAttacker *attacker, int max_words, const LearnTextReferee *referee, size_t n, const LearnBytes *given,
				  const LearnBytes *stored, const float *numbers, const int32_t *codes, uint64_t seed, uint64_t counter, uint8_t *fooled)
{
	LearnDraw	draw = {seed, DEV_STREAM_ATTACK, counter};
	size_t		most = 0;
	DevStatus	status = DEV_OK;

	attacker->referee = referee;
	for (size_t row = 0; row < n && status == DEV_OK; row++)
		status = begin_text(attacker, &attacker->texts[row], given[row], stored[row]);
	if (status == DEV_OK)
		status = score(attacker, n, numbers, codes);
	for (size_t row = 0; row < n && status == DEV_OK; row++)
	{
		Text	   *text = &attacker->texts[row];

		text->best = attacker->losses[row];
		text->done = text->done || (fooled != NULL && attacker->wrong[row]);
		most = !text->done && text->n > most ? text->n : most;
	}
	if (status == DEV_OK && max_words > 0 && most > 0)
		status = weigh_words(attacker, n, numbers, codes);
	/* Words whose spelling changes nothing cost tries, too. */
	for (size_t i = 0; i < most && i < 4 * (size_t) max_words + 8 && status == DEV_OK; i++)
		for (int number = 0; number < SPELLINGS && status == DEV_OK; number++)
			status = try_spelling(attacker, n, i, number, max_words, &draw, numbers, codes, fooled != NULL);
	for (size_t row = 0; row < n; row++)
		attacker->texts[row].tried = false;
	if (status == DEV_OK)
		status = score(attacker, n, numbers, codes);
	if (status == DEV_OK && fooled != NULL)
		memcpy(fooled, attacker->wrong, n);
	return status;
}

bool
learn_text_attacked(LearnTextAttacker *attacker, size_t row, LearnBytes *text)
{
	Text	   *attacked = &attacker->texts[row];

	if (attacked->n_changed == 0)
		return false;
	write_text(attacked, SIZE_MAX, "", 0);
	*text = (LearnBytes) {attacked->written, attacked->size};
	return true;
}

void
learn_text_restore(LearnTextAttacker *attacker, size_t row)
{
	Text	   *text = &attacker->texts[row];

	text->n_changed = 0;
	text->kept_size = 0;
	for (size_t i = 0; i < text->n; i++)
		text->targets[i].spelled = false;
	attacker->shown[row] = text->own;
}

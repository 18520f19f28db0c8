/*
 * tag_scores.c: precision, recall and F1 of tags and of entities, as scikit-learn and seqeval define them.
 *
 * Three counts a class are all that is needed, at each level: how many were right, were predicted, were there.
 */
#include "tags.h"

#include <string.h>

typedef struct ClassCounts
{
	uint64_t	right;
	uint64_t	predicted;
	uint64_t	actual;
} ClassCounts;

struct LearnTagScores
{
	DevSession *session;
	LearnTagScheme scheme;
	int32_t		n_labels;
	int32_t		n_codes;
	ClassCounts *tokens;		/* (n_codes) */
	ClassCounts *entities[2];	/* (n_labels) lenient, strict */
};

LearnTagScores *
learn_tag_scores_create(DevSession *session, LearnTagScheme scheme, int32_t n_labels)
{
	LearnTagScores *scores;

	if (n_labels < 1 || n_labels > LEARN_MAX_LABELS || (scheme != LEARN_IOB2 && scheme != LEARN_IOBES))
	{
		dev_fail(session, DEV_INVALID, "a tagger has 1 to %d labels, not %ld", LEARN_MAX_LABELS, (long) n_labels);
		return NULL;
	}
	scores = dev_alloc(session, 1, sizeof(*scores));
	if (scores == NULL)
		return NULL;
	scores->session = session;
	scores->scheme = scheme;
	scores->n_labels = n_labels;
	scores->n_codes = learn_tag_codes(scheme, n_labels);
	scores->tokens = dev_alloc(session, (size_t) scores->n_codes, sizeof(ClassCounts));
	scores->entities[0] = dev_alloc(session, (size_t) n_labels, sizeof(ClassCounts));
	scores->entities[1] = dev_alloc(session, (size_t) n_labels, sizeof(ClassCounts));
	if (scores->tokens == NULL || scores->entities[0] == NULL || scores->entities[1] == NULL)
	{
		learn_tag_scores_free(scores);
		return NULL;
	}
	return scores;
}

void
learn_tag_scores_free(LearnTagScores *scores)
{
	if (scores == NULL)
		return;
	dev_release(scores->session, scores->tokens);
	dev_release(scores->session, scores->entities[0]);
	dev_release(scores->session, scores->entities[1]);
	dev_release(scores->session, scores);
}

static void
add_tokens(LearnTagScores *scores, const TagSequence *actual, const TagSequence *predicted)
{
	for (size_t i = 0; i < actual->n; i++)
	{
		int32_t		is = tag_at(actual, i);
		int32_t		said = tag_at(predicted, i);

		if (actual->codes[i] == LEARN_NO_TAG)
			continue;
		scores->tokens[is].actual++;
		scores->tokens[said].predicted++;
		scores->tokens[is].right += is == said;
	}
}

/* Both sequences' entities in one walk: they are in order of their starts, and never overlap. */
static void
add_entities(const TagSequence *actual, const TagSequence *predicted, bool strict, ClassCounts *counts)
{
	size_t		at[2] = {0, 0};
	size_t		start[2] = {0, 0};
	size_t		end[2] = {0, 0};
	bool		have_actual = next_run(actual, strict, &at[0], &start[0], &end[0]);
	bool		have_predicted = next_run(predicted, strict, &at[1], &start[1], &end[1]);

	while (have_actual || have_predicted)
	{
		bool		take_actual = have_actual && (!have_predicted || start[0] <= start[1]);
		bool		take_predicted = have_predicted && (!have_actual || start[1] <= start[0]);
		int32_t		is = take_actual ? learn_tag_label(actual->scheme, tag_at(actual, start[0])) : -1;
		int32_t		said = take_predicted ? learn_tag_label(predicted->scheme, tag_at(predicted, start[1])) : -1;

		if (take_actual)
			counts[is].actual++;
		if (take_predicted)
			counts[said].predicted++;
		if (take_actual && take_predicted && is == said && end[0] == end[1])
			counts[is].right++;
		if (take_actual)
			have_actual = next_run(actual, strict, &at[0], &start[0], &end[0]);
		if (take_predicted)
			have_predicted = next_run(predicted, strict, &at[1], &start[1], &end[1]);
	}
}

void
learn_tag_scores_add(LearnTagScores *scores, size_t n, const int32_t *actual, const int32_t *predicted)
{
	TagSequence is = {scores->scheme, scores->n_codes, n, actual};
	TagSequence said = {scores->scheme, scores->n_codes, n, predicted};

	add_tokens(scores, &is, &said);
	add_entities(&is, &said, false, scores->entities[0]);
	add_entities(&is, &said, true, scores->entities[1]);
}

static void
merge_counts(ClassCounts *counts, const ClassCounts *more, int32_t n)
{
	for (int32_t i = 0; i < n; i++)
	{
		counts[i].right += more[i].right;
		counts[i].predicted += more[i].predicted;
		counts[i].actual += more[i].actual;
	}
}

void
learn_tag_scores_merge(LearnTagScores *scores, const LearnTagScores *more)
{
	merge_counts(scores->tokens, more->tokens, scores->n_codes);
	merge_counts(scores->entities[0], more->entities[0], scores->n_labels);
	merge_counts(scores->entities[1], more->entities[1], scores->n_labels);
}

static double
ratio(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0 : (double) part / (double) whole;
}

static LearnClassScore
score_of(const ClassCounts *counts)
{
	LearnClassScore score = {ratio(counts->right, counts->predicted), ratio(counts->right, counts->actual),
		ratio(2 * counts->right, counts->predicted + counts->actual), counts->actual};

	return score;
}

static void
add_weighted(LearnClassScore *sum, const LearnClassScore *score, double weight)
{
	sum->precision += weight * score->precision;
	sum->recall += weight * score->recall;
	sum->f1 += weight * score->f1;
}

static void
divide(LearnClassScore *sum, double by, uint64_t support)
{
	if (by > 0)
	{
		sum->precision /= by;
		sum->recall /= by;
		sum->f1 /= by;
	}
	sum->support = support;
}

/* Classes from `first` on; returns their sums. */
static ClassCounts
report(const ClassCounts *counts, int32_t first, int32_t n, LearnClassScore *per_class, LearnClassScore averages[3])
{
	ClassCounts total = {0, 0, 0};
	uint64_t	classes = 0;

	memset(averages, 0, 3 * sizeof(averages[0]));
	memset(per_class, 0, (size_t) n * sizeof(per_class[0]));
	for (int32_t i = first; i < n; i++)
	{
		per_class[i] = score_of(&counts[i]);
		merge_counts(&total, &counts[i], 1);
		classes += counts[i].actual > 0 || counts[i].predicted > 0;
		add_weighted(&averages[1], &per_class[i], 1);
		add_weighted(&averages[2], &per_class[i], (double) counts[i].actual);
	}
	averages[0] = score_of(&total);
	divide(&averages[1], (double) classes, total.actual);
	divide(&averages[2], (double) total.actual, total.actual);
	return total;
}

double
learn_tag_scores_report(const LearnTagScores *scores, LearnTagLevel level, LearnClassScore *per_class,
						LearnClassScore averages[3])
{
	ClassCounts total;

	if (level == LEARN_LEVEL_ENTITIES || level == LEARN_LEVEL_STRICT)
	{
		report(scores->entities[level == LEARN_LEVEL_STRICT], 0, scores->n_labels, per_class, averages);
		return NAN;
	}
	total = report(scores->tokens, level == LEARN_LEVEL_TAGGED ? 1 : 0, scores->n_codes, per_class, averages);
	return total.actual == 0 ? NAN : (double) total.right / (double) total.actual;
}

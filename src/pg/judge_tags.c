/*
 * judge_tags.c: how well a tagger finds entities.
 *
 * A sentence is what is drawn again in the bootstrap: tokens of one sentence are not independent. Of each sentence stay the
 * counts that the metrics are made of; the report by class comes from counts over all.
 */
#include "tokens.h"

#include <math.h>

#include "column.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define REPEATS 1000
#define SEED 1
#define FIRST_SENTENCES 1024

/* Of one sentence. */
typedef struct Counts
{
	uint32		right;			/* entities that are predicted, borders and label */
	uint32		predicted;
	uint32		actual;
	uint32		right_tokens;
	uint32		tokens;
} Counts;

struct IdlaTagJudge
{
	IdlaWork   *work;
	int32_t		n_labels;
	LearnTagScores *scores;
	size_t		n;
	size_t		capacity;
	Counts	   *sentences;
	LearnSpan  *spans[2];		/* of a sentence, actual and predicted */
	size_t		n_spans;

	/* while a source is read */
	const IdlaLoaded *loaded;
	int			text;			/* attributes */
	int			tags;
	Oid			text_type;
	Oid			tags_type;
	bool		skip_bad;
	uint64		n_skipped;
	uint64		n_bad;
	char	   *first_bad;
};

IdlaTagJudge *
idla_tag_judge_create(IdlaWork *work, const LearnModel *model)
{
	IdlaTagJudge *judge = MemoryContextAllocZero(work->context, sizeof(IdlaTagJudge));

	judge->work = work;
	judge->n_labels = learn_labels_size(model->labels);
	judge->scores = learn_tag_scores_create(work->session, LEARN_IOBES, judge->n_labels);
	if (judge->scores == NULL)
		idla_raise(work);
	judge->capacity = FIRST_SENTENCES;
	judge->sentences = MemoryContextAllocHuge(work->context, sizeof(Counts) * judge->capacity);
	return judge;
}

size_t
idla_tag_judge_sentences(const IdlaTagJudge *judge)
{
	return judge->n;
}

const LearnTagScores *
idla_tag_judge_scores(const IdlaTagJudge *judge)
{
	return judge->scores;
}

/* ---- one sentence ---- */

static void
make_room(IdlaTagJudge *judge, size_t n)
{
	if (judge->n == judge->capacity)
	{
		judge->capacity *= 2;
		judge->sentences = repalloc_huge(judge->sentences, sizeof(Counts) * judge->capacity);
	}
	for (int i = 0; i < 2 && n > judge->n_spans; i++)
	{
		if (judge->spans[i] != NULL)
			pfree(judge->spans[i]);
		judge->spans[i] = MemoryContextAllocHuge(judge->work->context, sizeof(LearnSpan) * n * 2);
	}
	judge->n_spans = n > judge->n_spans ? n * 2 : judge->n_spans;
}

/* Both ascend. */
static uint32
count_equal(const LearnSpan *a, size_t n_a, const LearnSpan *b, size_t n_b)
{
	uint32		equal = 0;
	size_t		j = 0;

	for (size_t i = 0; i < n_a; i++)
	{
		while (j < n_b && b[j].start < a[i].start)
			j++;
		equal += j < n_b && b[j].start == a[i].start && b[j].end == a[i].end && b[j].label == a[i].label;
	}
	return equal;
}

void
idla_tag_judge_add(IdlaTagJudge *judge, size_t n, const int32_t *actual, const int32_t *predicted)
{
	Counts		counts = {0};

	make_room(judge, n);
	counts.actual = (uint32) learn_tags_spans(LEARN_IOBES, judge->n_labels, false, n, actual, NULL, judge->spans[0]);
	counts.predicted = (uint32) learn_tags_spans(LEARN_IOBES, judge->n_labels, false, n, predicted, NULL, judge->spans[1]);
	counts.right = count_equal(judge->spans[0], counts.actual, judge->spans[1], counts.predicted);
	for (size_t i = 0; i < n; i++)
	{
		counts.tokens += actual[i] != LEARN_NO_TAG;
		counts.right_tokens += actual[i] != LEARN_NO_TAG && actual[i] == predicted[i];
	}
	learn_tag_scores_add(judge->scores, n, actual, predicted);
	judge->sentences[judge->n++] = counts;
}

/* ---- metrics ---- */

typedef struct Drawn
{
	const IdlaTagJudge *judge;
	int			metric;
} Drawn;

static const char *const metric_names[] = {"f1", "precision", "recall", "token_accuracy"};

static double
ratio(double a, double b)
{
	return b > 0 ? a / b : NAN;
}

static double
metric_of(int metric, const double sums[5])
{
	switch (metric)
	{
		case 0:
			return ratio(2 * sums[0], sums[1] + sums[2]);
		case 1:
			return ratio(sums[0], sums[1]);
		case 2:
			return ratio(sums[0], sums[2]);
		default:
			return ratio(sums[3], sums[4]);
	}
}

static void
add_counts(const Counts *counts, double sums[5])
{
	sums[0] += counts->right;
	sums[1] += counts->predicted;
	sums[2] += counts->actual;
	sums[3] += counts->right_tokens;
	sums[4] += counts->tokens;
}

static DevStatus
compute(void *context, size_t n, const uint32_t *rows, double *value)
{
	const Drawn *drawn = context;
	double		sums[5] = {0};

	for (size_t i = 0; i < n; i++)
		add_counts(&drawn->judge->sentences[rows[i]], sums);
	*value = metric_of(drawn->metric, sums);
	return DEV_OK;
}

IdlaMetric *
idla_tag_judge_metrics(IdlaTagJudge *judge, int *n_metrics)
{
	IdlaMetric *metrics = palloc0(sizeof(IdlaMetric) * (lengthof(metric_names) + 1));
	LearnClassScore *per_label = palloc0(sizeof(LearnClassScore) * (Size) judge->n_labels);
	LearnClassScore averages[3];
	double		sums[5] = {0};

	for (size_t i = 0; i < judge->n; i++)
		add_counts(&judge->sentences[i], sums);
	for (int i = 0; i < (int) lengthof(metric_names); i++)
	{
		Drawn		drawn = {judge, i};

		metrics[i].name = metric_names[i];
		metrics[i].value = metric_of(i, sums);
		metrics[i].n = judge->n;
		idla_check(judge->work, learn_bootstrap(judge->work->session, judge->n, REPEATS, SEED, compute, &drawn, &metrics[i].low,
												&metrics[i].high));
	}
	learn_tag_scores_report(judge->scores, LEARN_LEVEL_ENTITIES, per_label, averages);
	metrics[lengthof(metric_names)] = (IdlaMetric) {
		.name = "macro_f1",.value = averages[1].f1,.low = NAN,.high = NAN,.n = judge->n
	};
	*n_metrics = lengthof(metric_names) + 1;
	return metrics;
}

/* ---- a report ---- */

static const char *const level_names[] = {"token", "tagged", "entity", "strict", NULL};	/* by LearnTagLevel */

static LearnTagLevel
level_of(const char *level)
{
	int			found = level == NULL ? LEARN_LEVEL_ENTITIES : learn_name_find(level_names, level);

	if (found < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown level \"%s\"", level),
				 errhint("Levels are %s.", idla_list(level_names))));
	return (LearnTagLevel) found;
}

void
idla_tag_judge_report(IdlaTagJudge *judge, const LearnModel *model, const char *level,
					  void (*put) (void *context, const char *name, const LearnClassScore *score), void *context)
{
	static const char *const averages_names[] = {"micro avg", "macro avg", "weighted avg"};
	LearnTagLevel kind = level_of(level);
	bool		tokens = kind == LEARN_LEVEL_TOKENS || kind == LEARN_LEVEL_TAGGED;
	int			n = tokens ? learn_tag_codes(LEARN_IOBES, judge->n_labels) : judge->n_labels;
	LearnClassScore *scores = palloc0(sizeof(LearnClassScore) * (Size) n);
	LearnClassScore averages[3];

	learn_tag_scores_report(judge->scores, kind, scores, averages);
	for (int i = kind == LEARN_LEVEL_TAGGED ? 1 : 0; i < n; i++)
	{
		char		text[LEARN_MAX_LABEL_BYTES + 8];
		const char *name = tokens ? learn_tag_text(model->labels, LEARN_IOBES, i, text, sizeof(text)) :
			learn_labels_text(model->labels, i);

		put(context, pg_any_to_server(name, (int) strlen(name), PG_UTF8), &scores[i]);
	}
	for (int i = 0; i < (int) lengthof(averages_names); i++)
		put(context, averages_names[i], &averages[i]);
}

/* ---- a source ---- */

static int
require_attribute(TupleDesc desc, const char *name, const char *what, Oid *type)
{
	int			found = idla_attribute_find(desc, name);

	if (found < 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the source has no column \"%s\", %s of the model", name, what),
				 errdetail("The source has: %s.", idla_attribute_list(desc))));
	*type = getBaseType(TupleDescAttr(desc, found)->atttypid);
	return found;
}

static void
keep_bad(IdlaTagJudge *judge, const LearnTrouble *trouble)
{
	if (!judge->skip_bad || trouble->status != DEV_BAD_DATA)
		idla_raise_trouble(trouble);
	if (judge->n_bad++ == 0)
		judge->first_bad = MemoryContextStrdup(judge->work->context, trouble->message);
}

static void
take_row(void *context, const Datum *values, const bool *isnull)
{
	IdlaTagJudge *judge = context;
	IdlaTokens	tokens;
	LearnTrouble trouble;
	int32_t    *actual;
	int32_t    *predicted;
	float	   *certain;
	IdlaWindow *windows;
	size_t		n_windows;

	if (isnull[judge->text] || isnull[judge->tags])
	{
		judge->n_skipped++;
		return;
	}
	if (!idla_tokens_read(judge->text_type, values[judge->text], judge->tags_type, values[judge->tags], &tokens, &trouble))
	{
		keep_bad(judge, &trouble);
		return;
	}
	if (tokens.n == 0)
		return;
	windows = idla_tag_windows(judge->loaded, &tokens, false, &n_windows);
	idla_tag_tokens(judge->loaded, &tokens, windows, n_windows, &predicted, &actual, &certain);
	idla_tag_judge_add(judge, tokens.n, actual, predicted);
}

static IdlaRows *
open_source(IdlaTagJudge *judge, const char *source)
{
	const IdlaModel *model = judge->loaded->model;
	const char *token = model->columns.columns[0].name;
	IdlaRows   *rows = idla_rows_open(source);
	TupleDesc	desc = idla_rows_desc(rows);

	judge->tags = require_attribute(desc, model->target, "the target", &judge->tags_type);
	judge->text = require_attribute(desc, token, "the text", &judge->text_type);
	if (!idla_is_tags(judge->tags_type) && model->entity != NULL)
	{
		idla_rows_close(rows);
		rows = idla_rows_open(idla_sentences_query(source, token, model->target, model->entity, model->position, NIL));
		desc = idla_rows_desc(rows);
		judge->tags = require_attribute(desc, model->target, "the target", &judge->tags_type);
		judge->text = require_attribute(desc, token, "the text", &judge->text_type);
	}
	if (!idla_is_tags(judge->tags_type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of type %s holds no tags", model->target, format_type_be(judge->tags_type))));
	if (!idla_type_fits(&model->columns.columns[0], judge->text_type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of type %s holds no text", token, format_type_be(judge->text_type))));
	return rows;
}

IdlaTagJudge *
idla_tag_judge_source(IdlaWork *work, const IdlaLoaded *loaded, const char *source)
{
	IdlaTagJudge *judge = idla_tag_judge_create(work, &loaded->model->learn);
	IdlaRows   *rows;

	judge->loaded = loaded;
	judge->skip_bad = idla_card_text(loaded->model->card, "on_bad_input") != NULL;
	rows = open_source(judge, source);
	idla_rows_read(rows, take_row, judge);
	idla_rows_close(rows);
	if (judge->n_skipped > 0)
		ereport(NOTICE,
				(errmsg_plural("%llu row without a target was left out", "%llu rows without a target were left out",
							   (unsigned long) judge->n_skipped, (unsigned long long) judge->n_skipped)));
	if (judge->n_bad > 0)
		ereport(NOTICE,
				(errmsg_plural("%llu row with a bad value was left out", "%llu rows with a bad value were left out",
							   (unsigned long) judge->n_bad, (unsigned long long) judge->n_bad),
				 errdetail("The first one: %s.", judge->first_bad)));
	if (judge->n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("the source has no rows to judge by")));
	return judge;
}

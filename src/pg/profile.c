/*
 * profile.c: the training rows' distributions in the manifest, and what an answer's distribution is of.
 *
 * Numbers are written as one text a list, "1 2.5 4": who predicts reads the manifest with every model he loads, and an
 * array of jsonb numbers would cost him a hundred times as much. Only idla_drift looks inside.
 */
#include "profile.h"

#include <math.h>

#include "utils/memutils.h"

#include "json.h"

#define MOST_COUNTS 16777218	/* categories of one channel, and others */

int
idla_profile_intervals(int n_channels)
{
	return Max(MIN_INTERVALS, Min(LEARN_PROFILE_EDGES, MOST_INTERVALS / Max(n_channels, 1)));
}

/* ---- answers ---- */

int
idla_answer_items(const LearnModel *model)
{
	switch (model->task)
	{
		case LEARN_REGRESSION:
		case LEARN_MULTILABEL:
			return model->n_targets;
		case LEARN_TAGGING:
			return 0;
		default:
			return 1;
	}
}

float
idla_answer_item(const LearnModel *model, const double *answers, int item)
{
	if (model->task == LEARN_MULTICLASS)
		return (float) idla_likeliest_class(model, answers, 0.5);
	return (float) answers[item];
}

/* The distribution of one answer over rows; scores are as learn_scores_to_answers left them. */
static void
profile_answer(IdlaModel *model, size_t n, const double *answers, int item, LearnProfile *profile)
{
	const LearnModel *learn = &model->learn;
	size_t		n_outputs = learn_model_outputs(learn);
	DevSession *session = model->work->session;
	float	   *values;

	if (learn->task == LEARN_MULTICLASS)
	{
		profile->n = profile->n_named = learn->n_classes;
		profile->counts = MemoryContextAllocZero(model->work->context, sizeof(double) * (Size) learn->n_classes);
		for (size_t row = 0; row < n; row++)
			profile->counts[(int) idla_answer_item(learn, answers + row * n_outputs, item)]++;
		return;
	}
	values = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * n);
	for (size_t row = 0; row < n; row++)
		values[row] = idla_answer_item(learn, answers + row * n_outputs, item);
	idla_check(model->work, learn_profile_values(session, values, n, LEARN_PROFILE_EDGES, profile));
	pfree(values);
}

void
idla_profile_answers(IdlaModel *model, size_t n, const double *scores)
{
	Size		size = sizeof(double) * n * learn_model_outputs(&model->learn);
	double	   *answers;

	model->n_answers = idla_answer_items(&model->learn);
	if (n == 0 || model->n_answers == 0)
	{
		model->n_answers = 0;
		return;
	}
	answers = MemoryContextAllocHuge(CurrentMemoryContext, size);
	memcpy(answers, scores, size);
	learn_scores_to_answers(&model->learn, n, answers);
	model->answers = MemoryContextAllocZero(model->work->context, sizeof(LearnProfile) * (Size) model->n_answers);
	for (int i = 0; i < model->n_answers; i++)
		profile_answer(model, n, answers, i, &model->answers[i]);
	pfree(answers);
}

/* ---- writing ---- */

static void
put_profile(StringInfo out, const LearnProfile *profile)
{
	idla_json_open_object(out);
	if (profile != NULL && profile->edges != NULL)
	{
		idla_json_key(out, "edges");
		for (int i = 0; i < profile->n; i++)
		{
			appendStringInfoChar(out, i == 0 ? '"' : ' ');
			idla_json_number_float(out, profile->edges[i]);
		}
		appendStringInfoChar(out, '"');
	}
	if (profile != NULL)
	{
		idla_json_key(out, "counts");
		for (int i = 0; i < profile->n; i++)
			appendStringInfo(out, "%c%.0f", i == 0 ? '"' : ' ', profile->counts[i]);
		appendStringInfoChar(out, '"');
		idla_json_put_double(out, "missing", profile->missing);
	}
	appendStringInfoChar(out, '}');
}

void
idla_profile_put(StringInfo out, const IdlaModel *model)
{
	bool		any = model->n_answers > 0;

	for (int i = 0; i < model->columns.n_channels; i++)
		any = any || model->columns.channels[i].profile != NULL;
	if (!any)
		return;
	idla_json_key(out, "profile");
	appendStringInfoChar(out, '{');
	idla_json_open_array(out, "channels");
	for (int i = 0; i < model->columns.n_channels; i++)
		put_profile(out, model->columns.channels[i].profile);
	appendStringInfoChar(out, ']');
	idla_json_open_array(out, "answers");
	for (int i = 0; i < model->n_answers; i++)
		put_profile(out, &model->answers[i]);
	appendStringInfoString(out, "]}");
}

/* ---- reading ---- */

/* The numbers in a text, into an array of the current context; *n of them, at least one. */
static double *
read_numbers(JsonbContainer *object, const char *key, int most, int *n)
{
	char	   *text = idla_json_string(object, key, true);
	double	   *numbers;
	Size		capacity = 1;

	for (const char *c = text; *c != '\0'; c++)
		capacity += *c == ' ';
	if (capacity > (Size) most)
		idla_corrupt("Key \"%s\" has more than %d numbers", key, most);
	numbers = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(double) * capacity);
	*n = 0;
	for (char *rest = text;;)
	{
		char	   *end;
		double		number = strtod(rest, &end);

		if (end == rest || !isfinite(number) || (*end != ' ' && *end != '\0'))
			idla_corrupt("Key \"%s\" is not a list of numbers", key);
		numbers[(*n)++] = number;
		if (*end == '\0')
			break;
		rest = end + 1;
		/* strtod passes over blanks, and there would be fewer numbers than were counted. */
		if (*rest == ' ')
			idla_corrupt("Key \"%s\" is not a list of numbers", key);
	}
	pfree(text);
	return numbers;
}

/* NULL where the object is empty: the channel is not used. */
static LearnProfile *
read_profile(const JsonbValue *value, const char *what, bool categories, int n_codes, int n_named)
{
	JsonbContainer *object = idla_json_object_of(value, what);
	LearnProfile *profile;
	double		sum = 0;

	if (idla_json_find(object, "counts") == NULL)
		return NULL;
	profile = palloc0(sizeof(LearnProfile));
	profile->counts = read_numbers(object, "counts", MOST_COUNTS, &profile->n);
	profile->missing = idla_json_double(object, "missing");
	for (int i = 0; i < profile->n; i++)
	{
		/* Intervals are made of rows; a category may have none among those that trained. */
		if (profile->counts[i] < (categories ? 0 : 1))
			idla_corrupt("Key \"counts\" has a number below %d", categories ? 0 : 1);
		sum += profile->counts[i];
	}
	if (!(sum > 0 && profile->missing >= 0 && isfinite(sum + profile->missing)))
		idla_corrupt("Key \"counts\" has no rows, or too many");
	if (categories)
	{
		profile->n_named = n_named;
		if (profile->n != n_codes)
			idla_corrupt("Key \"counts\" does not fit the categories");
	}
	else
	{
		double	   *edges;
		int			n;

		edges = read_numbers(object, "edges", LEARN_PROFILE_EDGES, &n);
		if (n != profile->n)
			idla_corrupt("Keys \"edges\" and \"counts\" are not of one length");
		profile->edges = palloc(sizeof(float) * (Size) n);
		for (int i = 0; i < n; i++)
		{
			profile->edges[i] = (float) edges[i];
			if (!isfinite(profile->edges[i]) || (i > 0 && profile->edges[i] <= profile->edges[i - 1]))
				idla_corrupt("Key \"edges\" does not ascend");
		}
		pfree(edges);
	}
	return profile;
}

IdlaProfiles *
idla_profiles_read(const IdlaModel *model)
{
	const LearnModel *learn = &model->learn;
	IdlaProfiles *profiles = palloc0(sizeof(IdlaProfiles));
	JsonbValue *found = idla_json_find(&model->manifest->root, "profile");
	JsonbContainer *object;
	JsonbValue *values;
	int			n;

	if (found == NULL)
		return NULL;
	object = idla_json_object_of(found, "profile");
	values = idla_json_array(object, "channels", learn->n_channels, learn->n_channels, &n);
	profiles->channels = palloc0(sizeof(LearnProfile *) * (Size) Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		const LearnChannel *channel = &learn->channels[i];

		profiles->channels[i] = read_profile(&values[i], "channels", channel->kind == LEARN_CATEGORY,
											 channel->n_categories + channel->has_other, channel->n_categories);
	}
	profiles->n_answers = idla_answer_items(learn);
	values = idla_json_array(object, "answers", 0, profiles->n_answers, &n);
	if (n != 0 && n != profiles->n_answers)
		idla_corrupt("Key \"answers\" does not fit the targets");
	profiles->answers = palloc0(sizeof(LearnProfile *) * (Size) Max(profiles->n_answers, 1));
	for (int i = 0; i < n; i++)
		profiles->answers[i] = read_profile(&values[i], "answers", learn->task == LEARN_MULTICLASS, learn->n_classes,
											learn->n_classes);
	return profiles;
}

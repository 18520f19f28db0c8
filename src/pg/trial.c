/*
 * trial.c: a candidate beside the version in service.
 *
 * While a model has a candidate on trial, every row that is asked of the version in service is asked of the candidate as well. A row's
 * inputs decide by their hash whose answer is given, so that the same row gets the same answer everywhere, row by row or in batches, and a larger share
 * keeps the rows of a smaller one. In the shadow no row gets the candidate's. A row that the candidate cannot answer gets the other
 * answer. What the two say apart is counted: statistics.c.
 */
#include "place.h"
#include "serve.h"

#include <math.h>

#include "commands/explain.h"
#include "utils/memutils.h"

struct IdlaTrial
{
	IdlaLoaded *loaded;
	double		share;			/* 0 in the shadow */
	double		threshold;		/* from which the positive class is named */
	double		serving_threshold;
	IdlaUse		use;
	MemoryContext context;
	IdlaPlaces *places;			/* of the version in service */

	IdlaDecoder *decoder;
	float	   *raw;			/* (most, channels) */
	LearnBytes *fields;			/* (most, fields) */
	double	   *answers;		/* (most, outputs) */
	bool	   *chosen;			/* (most): the candidate answers */
	bool	   *failed;			/* (most): it cannot */
};

/* ---- may the one stand in for the other? ---- */

static const IdlaColumn *
find_column(const IdlaColumns *columns, const char *name)
{
	for (int i = 0; i < columns->n; i++)
		if (strcmp(columns->columns[i].name, name) == 0)
			return idla_column_used(columns, i) ? &columns->columns[i] : NULL;
	return NULL;
}

static bool
same_classes(const LearnModel *one, const LearnModel *other)
{
	if (one->n_classes != other->n_classes || (one->n_classes > 0 && one->positive != other->positive))
		return false;
	for (int i = 0; i < one->n_classes; i++)
		if (strcmp(one->classes[i], other->classes[i]) != 0)
			return false;
	return true;
}

char *
idla_trial_obstacle(const IdlaModel *serving, const IdlaModel *candidate)
{
	const LearnModel *one = &serving->learn;
	const LearnModel *other = &candidate->learn;

	if (one->task == LEARN_TAGGING || serving->columns.series != NULL)
		return pstrdup("A model of texts' tags or of long rows has no trials.");
	if (one->task == LEARN_SURVIVAL)
		return pstrdup("Hazard ratios of two versions count from two baselines.");
	if (one->task != other->task || candidate->columns.series != NULL)
		return pstrdup("The versions are for different tasks.");
	if (one->n_targets != other->n_targets || strcmp(serving->target, candidate->target) != 0)
		return pstrdup("The versions have different targets.");
	if (!same_classes(one, other))
		return pstrdup("The versions know different classes.");
	for (int i = 0; i < candidate->columns.n; i++)
	{
		const IdlaColumn *wanted = &candidate->columns.columns[i];
		const IdlaColumn *found;

		if (!idla_column_used(&candidate->columns, i))
			continue;
		found = find_column(&serving->columns, wanted->name);
		if (wanted->reference != NULL && (found == NULL || found->reference == NULL || strcmp(found->reference, wanted->reference) != 0))
			return psprintf("The candidate counts column \"%s\" from column \"%s\", and the version in service does not.",
							wanted->name, wanted->reference);
		if (found == NULL || found->kind != wanted->kind || strcmp(found->type_name, wanted->type_name) != 0)
			return psprintf("The candidate reads column \"%s\" of type %s, and the version in service does not.",
							wanted->name, wanted->type_name);
	}
	return NULL;
}

IdlaTrial *
idla_trial_find(const IdlaLoaded *serving, Snapshot snapshot, MemoryContext owner)
{
	IdlaTrial  *trial;
	IdlaLoaded *loaded;

	if (serving->candidate < 1 || serving->candidate == serving->version)
		return NULL;
	loaded = idla_load(serving->relid, serving->candidate, snapshot, owner);
	/* Somebody else may have put another version into service, or none that compares. */
	if (idla_trial_obstacle(serving->model, loaded->model) != NULL)
		return NULL;
	trial = MemoryContextAllocZero(owner, sizeof(IdlaTrial));
	trial->loaded = loaded;
	trial->share = serving->share;
	trial->context = owner;
	trial->threshold = idla_threshold_of(loaded);
	trial->serving_threshold = idla_threshold_of(serving);
	trial->places = idla_places_create(&serving->model->columns, owner);
	return trial;
}

struct IdlaAnswering *
idla_trial_answering(const IdlaTrial *trial, int kind, MemoryContext context)
{
	if (trial == NULL || kind > IDLA_PROBABILITIES)
		return NULL;
	return idla_answering_create(trial->loaded, (IdlaAnswerKind) kind, context);
}

void
idla_trial_explain(const IdlaTrial *trial, ExplainState *es)
{
	ExplainPropertyInteger("Candidate", NULL, trial->loaded->version, es);
	ExplainPropertyFloat("Candidate Share", NULL, trial->share, 3, es);
}

/* ---- rows ---- */

void
idla_trial_open(IdlaTrial *trial, TupleDesc desc, int most)
{
	const IdlaModel *model = trial->loaded->model;
	Size		n = (Size) most;

	trial->decoder = idla_decoder_create(&model->columns, desc, NULL, model->work);
	trial->raw = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * n * (Size) Max(model->learn.n_channels, 1));
	trial->fields = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(LearnBytes) * n * (Size) Max(model->learn.n_fields, 1));
	trial->answers = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(double) * n * learn_model_outputs(&model->learn));
	trial->chosen = palloc(sizeof(bool) * n);
	trial->failed = palloc(sizeof(bool) * n);
}

int
idla_trial_width(const IdlaTrial *trial)
{
	return idla_decoder_width(trial->decoder);
}

void
idla_trial_take(IdlaTrial *trial, int row, const Datum *values, const bool *isnull, const LearnModel *serving,
				const float *raw, const LearnBytes *fields, MemoryContext copies)
{
	const LearnModel *learn = &trial->loaded->model->learn;
	float	   *own_raw = trial->raw + (Size) row * (Size) learn->n_channels;
	LearnBytes *own_fields = trial->fields + (Size) row * (Size) learn->n_fields;

	/* The row has no answer at all, or the candidate has none for it. */
	trial->failed[row] = raw == NULL || !idla_decode(trial->decoder, values, isnull, own_raw, own_fields, true);
	trial->chosen[row] = !trial->failed[row] && idla_place_of(trial->places, serving, raw, fields, 0) < trial->share;
	if (trial->failed[row])
	{
		memset(own_raw, 0, sizeof(float) * (Size) learn->n_channels);
		memset(own_fields, 0, sizeof(LearnBytes) * (Size) learn->n_fields);
	}
	if (copies != NULL)
		idla_fields_keep(own_fields, learn->n_fields, copies);
}

/* The candidate's answers; where they are not numbers, row by row. */
static void
answer_rows(IdlaTrial *trial, size_t n)
{
	const LearnModel *learn = &trial->loaded->model->learn;
	LearnPredictor *predictor = trial->loaded->predictor;
	size_t		n_outputs = learn_model_outputs(learn);
	DevStatus	status = learn_predict_scores(predictor, n, trial->raw, trial->fields, trial->answers);

	for (size_t row = 0; row < n && status == DEV_BAD_DATA; row++)
	{
		DevStatus	one = learn_predict_scores(predictor, 1, trial->raw + row * (size_t) learn->n_channels,
											   trial->fields + row * (size_t) learn->n_fields, trial->answers + row * n_outputs);

		if (one == DEV_BAD_DATA)
		{
			trial->failed[row] = true;
			trial->chosen[row] = false;
			memset(trial->answers + row * n_outputs, 0, sizeof(double) * n_outputs);
		}
		else
			idla_check(trial->loaded->model->work, one);
	}
	if (status != DEV_BAD_DATA)
		idla_check(trial->loaded->model->work, status);
	learn_scores_to_answers(learn, n, trial->answers);
}

/* How far apart the two answers to a row are, over its outputs. */
static void
compare(IdlaTrial *trial, size_t row, const double *answers)
{
	const LearnModel *learn = &trial->loaded->model->learn;
	size_t		n_outputs = learn_model_outputs(learn);
	const double *own = trial->answers + row * n_outputs;
	IdlaCompared *compared = &trial->use.compared;
	double		signed_sum = 0;
	double		sum = 0;

	for (size_t i = 0; i < n_outputs; i++)
	{
		signed_sum += own[i] - answers[i];
		sum += fabs(own[i] - answers[i]);
	}
	compared->rows++;
	compared->difference += signed_sum / (double) n_outputs;
	compared->absolute += sum / (double) n_outputs;
	compared->largest = Max(compared->largest, sum / (double) n_outputs);
	if (learn->n_classes > 0)
		compared->disagreed += idla_likeliest_class(learn, own, trial->threshold) !=
			idla_likeliest_class(learn, answers, trial->serving_threshold);
}

void
idla_trial_answer(IdlaTrial *trial, size_t n, const double *answers, const bool *missing)
{
	size_t		n_outputs = learn_model_outputs(&trial->loaded->model->learn);
	uint64		n_chosen = 0;
	instr_time	start;

	if (n == 0)
		return;
	if (!OidIsValid(trial->use.relid))
		idla_use_start(&trial->use, trial->context, trial->loaded->relid, trial->loaded->version);
	idla_use_enter(&trial->use, &start);
	answer_rows(trial, n);
	for (size_t row = 0; row < n; row++)
	{
		if (missing != NULL && missing[row])
			continue;
		if (trial->failed[row])
			trial->use.compared.failed++;
		else
			compare(trial, row, answers + row * n_outputs);
		n_chosen += trial->chosen[row];
	}
	trial->use.compared.answered += n_chosen;
	idla_use_leave(&trial->use, &start, n_chosen);
}

const double *
idla_trial_row(const IdlaTrial *trial, size_t row)
{
	return trial->chosen[row] ? trial->answers + row * learn_model_outputs(&trial->loaded->model->learn) : NULL;
}

const double *
idla_trial_seen(const IdlaTrial *trial, size_t row)
{
	return trial->failed[row] ? NULL : trial->answers + row * learn_model_outputs(&trial->loaded->model->learn);
}

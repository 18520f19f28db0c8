/*
 * drift.c: idla_drift, how far rows are from those that a model was trained on.
 *
 * Rows are read as for idla_evaluate, some hundred at a time, and only counted: every used channel, the model's answers, and, where
 * the source has the target, whether the answers are right. What they are compared with is in the manifest.
 * Whoever may choose the source can ask for a training column's whole distribution, so the right to read the manifest is needed.
 */
#include "judging.h"
#include "profile.h"

#include <float.h>
#include <math.h>

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(idla_drift);

typedef struct DriftRun
{
	IdlaProfiles *profiles;
	LearnTally *channels;		/* (n_channels), profile NULL for those that are not used */
	LearnTally *answers;		/* (n_answers) */
	LearnTrust *trusts;			/* (n_answers): is each answer right? */
	uint64	   *unknown;		/* (n_answers): targets that no answer can be */
	double	   *scratch;		/* (outputs) */
} DriftRun;

/* ---- counting ---- */

static void
create_tally(IdlaWork *work, const LearnProfile *profile, LearnTally *tally)
{
	if (profile != NULL)
		idla_check(work, learn_tally_create(work->session, profile, tally));
}

/* What will be counted, in the work's memory. */
static void
start(DriftRun *run, IdlaJudging *judging)
{
	const LearnModel *learn = judging->learn;

	run->profiles = idla_profiles_read(judging->loaded->model);
	if (run->profiles == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("model \"%s\" does not say how its training rows were distributed", idla_model_name(judging->loaded->relid)),
				 errdetail("Version %d was written without that.", judging->loaded->version),
				 errhint("Train a new version.")));
	run->channels = palloc0(sizeof(LearnTally) * (Size) Max(learn->n_channels, 1));
	for (int i = 0; i < learn->n_channels; i++)
		create_tally(judging->work, run->profiles->channels[i], &run->channels[i]);
	run->answers = palloc0(sizeof(LearnTally) * (Size) run->profiles->n_answers);
	run->trusts = palloc0(sizeof(LearnTrust) * (Size) run->profiles->n_answers);
	run->unknown = palloc0(sizeof(uint64) * (Size) run->profiles->n_answers);
	run->scratch = palloc(sizeof(double) * learn_model_outputs(learn));
	for (int i = 0; i < run->profiles->n_answers; i++)
	{
		create_tally(judging->work, run->profiles->answers[i], &run->answers[i]);
		run->trusts[i].kind = learn->task == LEARN_REGRESSION ? LEARN_TRUST_VALUE :
			learn->task == LEARN_SURVIVAL ? LEARN_TRUST_EVENTS : LEARN_TRUST_PROBABILITY;
		run->trusts[i].unit = learn->task == LEARN_REGRESSION ? learn->target_scale[i] : 1;
	}
}

/* The row's answers beside its targets. */
static void
trust_row(DriftRun *run, const LearnModel *learn, const double *scores, const double *answers, const double *targets)
{
	for (int i = 0; i < run->profiles->n_answers; i++)
	{
		double		target = targets[i];

		if (isnan(target))
			continue;
		if (isinf(target))
			run->unknown[i]++;
		else if (learn->task == LEARN_SURVIVAL)
		{
			double		survives = learn_survival_at(learn, scores[0], targets[0]);

			if (!isnan(targets[1]))
				learn_trust_add(&run->trusts[i], -log(Max(survives, DBL_MIN)), targets[1]);
		}
		else if (learn->task == LEARN_MULTICLASS)
		{
			/* Is the class that is named as often right as its probability says? */
			uint32_t	class = idla_likeliest_class(learn, answers, 0.5);

			learn_trust_add(&run->trusts[i], Min(Max(answers[class], 0), 1), class == (uint32_t) target);
		}
		else
			learn_trust_add(&run->trusts[i], answers[i], target);
	}
}

static void
take_batch(void *context, IdlaJudging *judging, size_t n)
{
	DriftRun   *run = context;
	const LearnModel *learn = judging->learn;
	size_t		n_outputs = learn_model_outputs(learn);
	size_t		n_channels = (size_t) learn->n_channels;

	for (size_t i = 0; i < n_channels; i++)
		if (run->channels[i].profile != NULL)
			for (size_t row = 0; row < n; row++)
				learn_tally_add(&run->channels[i], judging->raw[row * n_channels + i]);
	for (size_t row = 0; row < n; row++)
	{
		const double *scores = judging->scores + row * n_outputs;

		memcpy(run->scratch, scores, sizeof(double) * n_outputs);
		learn_scores_to_answers(learn, 1, run->scratch);
		for (int i = 0; i < run->profiles->n_answers; i++)
			if (run->answers[i].profile != NULL)
				learn_tally_add(&run->answers[i], idla_answer_item(learn, run->scratch, i));
		if (judging->n_targets > 0)
			trust_row(run, learn, scores, run->scratch, judging->target_values + row * (size_t) judging->n_targets);
	}
}

/* ---- the answer ---- */

enum
{
	OUT_ITEM,
	OUT_KIND,
	OUT_N,
	OUT_PSI,
	OUT_KS,
	OUT_P,
	OUT_MISSING_THEN,
	OUT_MISSING_NOW,
	OUT_UNSEEN,
	OUT_PREDICTED,
	OUT_OBSERVED,
	OUT_ECE,
	OUT_VERDICT,
	N_OUT
};

static void
put_double(Datum *values, bool *nulls, int column, double value)
{
	nulls[column] = !isfinite(value);
	values[column] = Float8GetDatum(value);
}

static void
put_row(ReturnSetInfo *result, const char *item, const char *kind, const LearnDrift *drift, const LearnTrusted *trusted)
{
	Datum		values[N_OUT] = {0};
	bool		nulls[N_OUT];
	LearnShift	shift = drift != NULL ? drift->shift : trusted->shift;

	memset(nulls, true, sizeof(nulls));
	values[OUT_ITEM] = CStringGetTextDatum(item);
	values[OUT_KIND] = CStringGetTextDatum(kind);
	values[OUT_N] = Int64GetDatum((int64) (drift != NULL ? drift->n : trusted->n));
	values[OUT_VERDICT] = CStringGetTextDatum(learn_shift_names[shift]);
	nulls[OUT_ITEM] = nulls[OUT_KIND] = nulls[OUT_N] = nulls[OUT_VERDICT] = false;
	if (drift != NULL)
	{
		put_double(values, nulls, OUT_PSI, drift->psi);
		put_double(values, nulls, OUT_KS, drift->ks);
		put_double(values, nulls, OUT_P, drift->p);
		put_double(values, nulls, OUT_MISSING_THEN, drift->missing_then);
		put_double(values, nulls, OUT_MISSING_NOW, drift->missing_now);
		put_double(values, nulls, OUT_UNSEEN, drift->unseen);
	}
	else
	{
		put_double(values, nulls, OUT_P, trusted->p);
		put_double(values, nulls, OUT_PREDICTED, trusted->predicted);
		put_double(values, nulls, OUT_OBSERVED, trusted->actual);
		put_double(values, nulls, OUT_ECE, trusted->ece);
	}
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* Of a column with several channels the one that moved most. */
static void
put_columns(ReturnSetInfo *result, const DriftRun *run, const IdlaColumns *columns)
{
	for (int i = 0; i < columns->n; i++)
	{
		const IdlaColumn *column = &columns->columns[i];
		LearnDrift	worst = {0};
		int			found = -1;

		for (int channel = column->first_channel; channel < column->first_channel + column->n_channels; channel++)
		{
			LearnDrift	drift;

			if (run->channels[channel].profile == NULL)
				continue;
			learn_drift_measure(&run->channels[channel], &drift);
			if (found >= 0 && drift.psi <= worst.psi)
				continue;
			worst = drift;
			found = channel;
		}
		if (found >= 0)
			put_row(result, columns->channels[found].name, idla_kind_names[column->kind], &worst, NULL);
	}
}

/* Answers by their names: of several targets each, else the target's. */
static const char *
answer_name(const IdlaModel *model, int item)
{
	return model->learn.task == LEARN_REGRESSION || model->learn.task == LEARN_MULTILABEL ? idla_output_names(model)[item] : model->target;
}

static void
put_answers(ReturnSetInfo *result, const DriftRun *run, const IdlaJudging *judging)
{
	const IdlaModel *model = judging->loaded->model;

	for (int i = 0; i < run->profiles->n_answers; i++)
	{
		LearnDrift	drift;

		if (run->answers[i].profile == NULL)
			continue;
		learn_drift_measure(&run->answers[i], &drift);
		/* Every class has a name. */
		drift.unseen = NAN;
		put_row(result, answer_name(model, i), "answer", &drift, NULL);
	}
	for (int i = 0; i < run->profiles->n_answers && judging->n_targets > 0; i++)
	{
		LearnTrusted trusted;

		learn_trust_measure(&run->trusts[i], &trusted);
		put_row(result, answer_name(model, i), "calibration", NULL, &trusted);
		if (run->unknown[i] > 0)
			ereport(WARNING,
					(errmsg_plural("target \"%s\" is a class that the model does not know in %llu row",
								   "target \"%s\" is a class that the model does not know in %llu rows",
								   (unsigned long) run->unknown[i], answer_name(model, i), (unsigned long long) run->unknown[i]),
					 errdetail("Whether answers are right was not asked of such rows.")));
	}
}

Datum
idla_drift(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	DriftRun	run = {0};
	IdlaStream	stream = {.context = &run,.take = take_batch};
	IdlaJudging *judging;
	MemoryContext caller;

	InitMaterializedSRF(fcinfo, 0);
	if (!PG_ARGISNULL(0))
	{
		idla_require_model(PG_GETARG_OID(0));
		idla_model_require(PG_GETARG_OID(0), IDLA_RIGHT_COPY);
	}
	judging = idla_judging_open(fcinfo, idla_version_argument(fcinfo, 2), false);
	caller = MemoryContextSwitchTo(judging->work->context);
	start(&run, judging);
	MemoryContextSwitchTo(caller);
	judging->stream = &stream;
	idla_judging_rows(judging, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	put_columns(result, &run, &judging->loaded->model->columns);
	put_answers(result, &run, judging);
	idla_work_close(judging->work);
	return (Datum) 0;
}

/*
 * predict.c: idla_predict, idla_classify and idla_probabilities, row by row, and idla_survival.
 *
 * Ordinary functions of a row: any query, view or cursor may call them. A row
 * that is NULL as a whole has no answer; NULL in a column is a missing
 * value, which models know how to take. Where the planner sees the columns of the row, a call becomes one of the functions
 * of columns (support.c), and where it can, many of these are answered at once (batch_scan.c).
 */
#include "log.h"

#include <math.h>

#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(idla_predict);
PG_FUNCTION_INFO_V1(idla_predict_columns);
PG_FUNCTION_INFO_V1(idla_classify);
PG_FUNCTION_INFO_V1(idla_classify_columns);
PG_FUNCTION_INFO_V1(idla_probabilities);
PG_FUNCTION_INFO_V1(idla_probabilities_columns);
PG_FUNCTION_INFO_V1(idla_survival);

/* What the rows to come are told of the site's model. */
static void
create_answering(IdlaSite *site, IdlaAnswerKind kind)
{
	IdlaAnswering *answering = idla_answering_create(site->loaded, kind, site->context);

	if (kind == IDLA_EMBED)
		site->embedding = MemoryContextAllocHuge(site->context, sizeof(float) * idla_embedding_size(site->loaded));
	site->derived = answering;
}

/* What was answered, and what the other version says while a candidate is on trial. */
static void
log_answer(IdlaSite *site, IdlaAnswerKind kind, const NullableDatum *own, const double *answers, int place, bool candidate,
		   Datum result, bool isnull)
{
	const double *other = answers;
	IdlaAnswering *answering = site->derived;
	char	   *key;
	bool		other_isnull;
	Datum		other_result;

	if (!idla_site_wants(site, &key))
		return;
	idla_site_log(site, kind, candidate, true, key, result, isnull);
	if (site->trial == NULL)
		return;
	if (!candidate)
	{
		if (site->derived_trial == NULL)
			site->derived_trial = idla_trial_answering(site->trial, kind, site->context);
		answering = site->derived_trial;
		other = idla_trial_seen(site->trial, 0);
		if (answering == NULL || other == NULL)
			return;
		idla_answering_choose(answering, own);
	}
	other_result = idla_answering_datum(answering, other, NULL, place, &other_isnull);
	idla_site_log(site, kind, !candidate, false, key, other_result, other_isnull);
}

/* The answer for the row that the site has decoded; own_first: the number of the first of the kind's own arguments, or -1: as the shape says. */
static Datum
answer(FunctionCallInfo fcinfo, IdlaSite *site, IdlaAnswerKind kind, int own_first)
{
	const IdlaAnswerShape *shape = &idla_answer_shapes[kind];
	NullableDatum own[IDLA_MOST_OWN];
	IdlaAnswering *answering;
	double	   *answers;
	int			place;
	bool		candidate;
	Datum		result;

	if (site == NULL)
		PG_RETURN_NULL();
	if (unlikely(site->derived == NULL))
		create_answering(site, kind);
	answering = site->derived;
	for (int i = 0; i < shape->n_own; i++)
		own[i] = fcinfo->args[own_first < 0 ? shape->own[i] : own_first + i];
	idla_answering_choose(answering, own);
	place = idla_answering_place(answering, site->desc, site->values, site->isnull);
	answers = idla_site_answers(site, idla_on_bad_input == IDLA_BAD_INPUT_NULL);
	if (answers == NULL)
		PG_RETURN_NULL();
	if (unlikely(site->trial_answers != NULL && site->derived_trial == NULL))
		site->derived_trial = idla_trial_answering(site->trial, kind, site->context);
	candidate = unlikely(site->trial_answers != NULL && site->derived_trial != NULL);
	if (candidate)
	{
		idla_answering_choose(site->derived_trial, own);
		result = idla_answering_datum(site->derived_trial, site->trial_answers, NULL, 0, &fcinfo->isnull);
	}
	else
		result = idla_answering_datum(answering, answers, site->embedding, place, &fcinfo->isnull);
	if (unlikely(site->logged))
		log_answer(site, kind, own, answers, place, candidate, result, fcinfo->isnull);
	return result;
}

Datum
idla_answer_row(FunctionCallInfo fcinfo, IdlaAnswerKind kind)
{
	IdlaSite   *site;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	site = idla_site_row(fcinfo, PG_GETARG_OID(0), idla_version_argument(fcinfo, idla_answer_shapes[kind].version),
						 PG_GETARG_HEAPTUPLEHEADER(1), idla_on_bad_input == IDLA_BAD_INPUT_NULL);
	return answer(fcinfo, site, kind, -1);
}

/* Arguments: model, version, whatever the kind has, names, columns. */
Datum
idla_answer_columns(FunctionCallInfo fcinfo, IdlaAnswerKind kind)
{
	int			names = 2 + idla_answer_shapes[kind].n_own;
	IdlaSite   *site;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(names))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the names of the columns are NULL")));
	site = idla_site_arguments(fcinfo, PG_GETARG_OID(0), idla_version_argument(fcinfo, 1), names,
							   idla_on_bad_input == IDLA_BAD_INPUT_NULL);
	return answer(fcinfo, site, kind, 2);
}

Datum
idla_predict(PG_FUNCTION_ARGS)
{
	return idla_answer_row(fcinfo, IDLA_PREDICT);
}

Datum
idla_classify(PG_FUNCTION_ARGS)
{
	return idla_answer_row(fcinfo, IDLA_CLASSIFY);
}

Datum
idla_probabilities(PG_FUNCTION_ARGS)
{
	return idla_answer_row(fcinfo, IDLA_PROBABILITIES);
}

Datum
idla_predict_columns(PG_FUNCTION_ARGS)
{
	return idla_answer_columns(fcinfo, IDLA_PREDICT);
}

Datum
idla_classify_columns(PG_FUNCTION_ARGS)
{
	return idla_answer_columns(fcinfo, IDLA_CLASSIFY);
}

Datum
idla_probabilities_columns(PG_FUNCTION_ARGS)
{
	return idla_answer_columns(fcinfo, IDLA_PROBABILITIES);
}

/* Arguments: model, input, time, version. */
Datum
idla_survival(PG_FUNCTION_ARGS)
{
	bool		soft = idla_on_bad_input == IDLA_BAD_INPUT_NULL;
	const LearnModel *learn;
	IdlaSite   *site;
	double	   *answers;
	double		at;
	double		survival;
	char	   *key;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	site = idla_site_row(fcinfo, PG_GETARG_OID(0), idla_version_argument(fcinfo, 3), PG_GETARG_HEAPTUPLEHEADER(1), soft);
	if (site == NULL)
		PG_RETURN_NULL();
	learn = &site->model->learn;
	if (learn->task != LEARN_SURVIVAL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("model \"%s\" is a %s model: it knows no times", idla_model_name(site->loaded->relid), learn_task_names[learn->task]),
				 errdetail("idla_survival is for models of survival."),
				 errhint("Use idla_predict, or train with the options \"time\" and \"event\".")));
	at = PG_GETARG_FLOAT8(2);
	if (isnan(at) || at < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time \"%g\" is not a time from 0 on", at),
				 errdetail("Times count from the beginning of follow-up, in the unit of the training's time column.")));
	answers = idla_site_answers(site, soft);
	if (answers == NULL)
		PG_RETURN_NULL();
	survival = learn_survival_at(learn, log(answers[0]), at);
	if (unlikely(site->logged) && idla_site_wants(site, &key))
		idla_site_log(site, IDLA_LOG_SURVIVAL, false, true, key, Float8GetDatum(survival), false);
	PG_RETURN_FLOAT8(survival);
}

/*
 * predict.c: idla_predict, idla_classify, idla_probabilities and idla_survival.
 *
 * Ordinary functions of a row: any query, view or cursor may call them. A row
 * that is NULL as a whole has no answer; NULL in a column is a missing
 * value, which models know how to take.
 */
#include "idla.h"

#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* What one call derives from its loaded model. */
typedef struct Answering
{
	double		threshold;		/* binary: the probability from which the positive class is named */
	int			output;			/* idla_predict: which one */
	char	   *output_name;	/* as the user named it, or NULL */
	Datum	   *labels;			/* idla_classify: (classes) text */
} Answering;

PG_FUNCTION_INFO_V1(idla_predict);
PG_FUNCTION_INFO_V1(idla_predict_columns);
PG_FUNCTION_INFO_V1(idla_classify);
PG_FUNCTION_INFO_V1(idla_probabilities);
PG_FUNCTION_INFO_V1(idla_survival);

static const char *
model_name(const IdlaSite *site)
{
	const char *name = get_rel_name(site->loaded->relid);

	return name != NULL ? name : "?";
}

static bool
is_classifier(const LearnModel *model)
{
	return model->task == LEARN_BINARY || model->task == LEARN_MULTICLASS;
}

/* ---- outputs and their names ---- */

/* "a, b" as the user gave several targets, split; blanks around a name are not part of it. */
static const char **
split_targets(const IdlaModel *model)
{
	const char **names = palloc0((model->learn.n_targets + 1) * sizeof(char *));
	char	   *rest = pstrdup(model->target);

	for (int i = 0; i < model->learn.n_targets && rest != NULL; i++)
	{
		char	   *name = strsep(&rest, ",");
		size_t		length;

		name += strspn(name, " \t\n");
		length = strlen(name);
		while (length > 0 && strchr(" \t\n", name[length - 1]) != NULL)
			name[--length] = '\0';
		names[i] = name;
	}
	return names;
}

const char **
idla_output_names(const IdlaModel *model)
{
	const LearnModel *learn = &model->learn;
	const char **names;

	if ((learn->task == LEARN_REGRESSION || learn->task == LEARN_MULTILABEL) && learn->n_targets > 1)
		return split_targets(model);
	if (is_classifier(learn))
	{
		names = palloc0((learn->n_classes + 1) * sizeof(char *));
		for (int i = 0; i < learn->n_classes; i++)
			names[i] = learn->classes[i];
		return names;
	}
	names = palloc0(2 * sizeof(char *));
	names[0] = model->target;
	return names;
}

int
idla_output_find(const IdlaModel *model, const char *name)
{
	const char **names = idla_output_names(model);
	const char *what = is_classifier(&model->learn) ? "class" : "target";
	const char *nearest;

	for (int i = 0; names[i] != NULL; i++)
	{
		if (strcmp(names[i], name) == 0)
			return i;
	}
	nearest = idla_nearest(name, names);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the model has no %s \"%s\"", what, name),
			 errdetail("It has %s.", idla_list(names)),
			 nearest != NULL ? errhint("Perhaps you meant \"%s\".", nearest) : 0));
	return -1;
}

/* ---- what is derived once a model ---- */

static Answering *
create_answering(IdlaSite *site)
{
	Answering  *answering = MemoryContextAllocZero(site->context, sizeof(Answering));

	answering->threshold = 0.5;
	if (idla_card_number(site->model->card, "threshold", &answering->threshold) &&
		!(answering->threshold > 0 && answering->threshold < 1))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the card of model \"%s\" has a threshold outside 0 and 1", model_name(site))));
	answering->output = -1;
	return answering;
}

/* Which of the model's outputs idla_predict is asked for. */
static void
choose_output(IdlaSite *site, Answering *answering, const char *name)
{
	const LearnModel *learn = &site->model->learn;

	answering->output = -1;
	if (name == NULL)
	{
		if (learn->task == LEARN_MULTICLASS)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("model \"%s\" tells %d classes apart: it has no single answer",
							model_name(site), learn->n_classes),
					 errhint("Use idla_classify for the likeliest class, idla_probabilities for all of them, "
							 "or output => '%s' for the probability of one.", learn->classes[0])));
		if ((learn->task == LEARN_REGRESSION || learn->task == LEARN_MULTILABEL) && learn->n_targets > 1)
		{
			const char **names = idla_output_names(site->model);

			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("model \"%s\" predicts %d targets: it has no single answer",
							model_name(site), learn->n_targets),
					 errhint("Name one of %s, as in output => '%s'.", idla_list(names), names[0])));
		}
	}
	else
	{
		/* Of a binary model both classes may be asked for. */
		answering->output_name = MemoryContextStrdup(site->context, name);
		answering->output = idla_output_find(site->model, name);
		return;
	}
	answering->output_name = NULL;
	answering->output = learn->task == LEARN_BINARY ? learn->positive : 0;
}

static void
require_classifier(const IdlaSite *site, const char *function)
{
	if (!is_classifier(&site->model->learn))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("model \"%s\" is a %s model: it knows no classes", model_name(site),
						learn_task_names[site->model->learn.task]),
				 errdetail("%s is for classification.", function),
				 site->model->learn.task == LEARN_MULTILABEL ? errhint("Use idla_probabilities, or idla_predict for one label.") :
				 errhint("Use idla_predict.")));
}

/* ---- the functions ---- */

/* Arguments 0 and 1: model, input; `number`: version. The site with the row's scores; NULL when there is nothing to answer. */
static IdlaSite *
answer(FunctionCallInfo fcinfo, int number)
{
	IdlaSite   *site;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return NULL;
	site = idla_site_row(fcinfo, PG_GETARG_OID(0), idla_version_argument(fcinfo, number), PG_GETARG_HEAPTUPLEHEADER(1));
	if (unlikely(site->derived == NULL))
		site->derived = create_answering(site);
	return site;
}

/* The row's answers: one probability (binary), one a class, one a target, or the hazard ratio. */
static double *
compute(IdlaSite *site)
{
	double	   *answers = idla_site_scores(site);

	learn_scores_to_answers(&site->model->learn, 1, answers);
	return answers;
}

/* The answer that is wanted: the only one, or the one that argument `number` names. */
static double
wanted_answer(FunctionCallInfo fcinfo, IdlaSite *site, int number)
{
	Answering  *answering = site->derived;
	char	   *name = NULL;
	double	   *answers;

	if (unlikely(!PG_ARGISNULL(number)))
		name = text_to_cstring(PG_GETARG_TEXT_PP(number));
	if (unlikely(answering->output < 0 || (name == NULL) != (answering->output_name == NULL) ||
				 (name != NULL && strcmp(name, answering->output_name) != 0)))
		choose_output(site, answering, name);

	answers = compute(site);
	if (site->model->learn.task != LEARN_BINARY)
		return answers[answering->output];
	return answering->output == site->model->learn.positive ? answers[0] : 1 - answers[0];
}

Datum
idla_predict(PG_FUNCTION_ARGS)
{
	IdlaSite   *site = answer(fcinfo, 2);

	if (site == NULL)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(wanted_answer(fcinfo, site, 3));
}

/* Model, version, output, names, then the columns: what idla_predict becomes where the planner sees them. */
Datum
idla_predict_columns(PG_FUNCTION_ARGS)
{
	IdlaSite   *site;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the names of the columns are NULL")));
	site = idla_site_arguments(fcinfo, PG_GETARG_OID(0), idla_version_argument(fcinfo, 1), 3);
	if (unlikely(site->derived == NULL))
		site->derived = create_answering(site);
	PG_RETURN_FLOAT8(wanted_answer(fcinfo, site, 2));
}

Datum
idla_classify(PG_FUNCTION_ARGS)
{
	IdlaSite   *site = answer(fcinfo, 2);
	const LearnModel *learn;
	Answering  *answering;
	double	   *answers;
	uint32_t	class;

	if (site == NULL)
		PG_RETURN_NULL();
	learn = &site->model->learn;
	answering = site->derived;
	if (unlikely(answering->labels == NULL))
	{
		MemoryContext caller = MemoryContextSwitchTo(site->context);

		require_classifier(site, "idla_classify");
		answering->labels = palloc(learn->n_classes * sizeof(Datum));
		for (int i = 0; i < learn->n_classes; i++)
			answering->labels[i] = CStringGetTextDatum(learn->classes[i]);
		MemoryContextSwitchTo(caller);
	}

	answers = compute(site);
	class = idla_likeliest_class(learn, answers, answering->threshold);
	/* Lives as long as the call site, like a constant. */
	PG_RETURN_DATUM(answering->labels[class]);
}

Datum
idla_probabilities(PG_FUNCTION_ARGS)
{
	IdlaSite   *site = answer(fcinfo, 2);
	const LearnModel *learn;
	double	   *answers;
	JsonbParseState *state = NULL;

	if (site == NULL)
		PG_RETURN_NULL();
	learn = &site->model->learn;
	if (learn->task != LEARN_MULTILABEL)
		require_classifier(site, "idla_probabilities");
	answers = compute(site);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	if (learn->task == LEARN_MULTILABEL)
	{
		const char **names = idla_output_names(site->model);

		for (int i = 0; i < learn->n_targets; i++)
			idla_json_push_number(&state, names[i], answers[i]);
	}
	for (int i = 0; i < learn->n_classes; i++)
	{
		if (learn->task == LEARN_BINARY)
			idla_json_push_number(&state, learn->classes[i], i == learn->positive ? answers[0] : 1 - answers[0]);
		else
			idla_json_push_number(&state, learn->classes[i], answers[i]);
	}
	PG_RETURN_JSONB_P(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}

Datum
idla_survival(PG_FUNCTION_ARGS)
{
	IdlaSite   *site = answer(fcinfo, 3);
	const LearnModel *learn;
	double		at;

	if (site == NULL || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	learn = &site->model->learn;
	if (learn->task != LEARN_SURVIVAL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("model \"%s\" is a %s model: it knows no times", model_name(site), learn_task_names[learn->task]),
				 errdetail("idla_survival is for models of survival."),
				 errhint("Use idla_predict, or train with the options \"time\" and \"event\".")));
	at = PG_GETARG_FLOAT8(2);
	if (isnan(at) || at < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time \"%g\" is not a time from 0 on", at),
				 errdetail("Times count from the beginning of follow-up, in the unit of the training's time column.")));
	PG_RETURN_FLOAT8(learn_survival_at(learn, idla_site_scores(site)[0], at));
}

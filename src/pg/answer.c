/*
 * answer.c: what a query is told of a model's answers.
 *
 * The same for a row by itself and for rows in batches: the number that idla_predict gives, the class of
 * idla_classify, the jsonb of idla_probabilities. What can be known once a model is derived once.
 */
#include "serve.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

struct IdlaAnswering
{
	const IdlaLoaded *loaded;
	IdlaAnswerKind kind;
	MemoryContext context;
	double		threshold;		/* binary: the probability from which the positive class is named */
	double		abstain;		/* idla_classify: the probability below which none is, */
	double		card_abstain;	/* where the query does not say it */
	int			output;			/* idla_predict: which one, -1: not chosen yet */
	char	   *output_name;	/* as the user named it, or NULL */
	Datum	   *labels;			/* idla_classify: (classes) text */
	IdlaConformal *conformal;	/* idla_interval, idla_label_set */
	Size		n_embedding;	/* idla_embed */
};

const IdlaAnswerShape idla_answer_shapes[IDLA_ANSWER_KINDS] = {
	[IDLA_PREDICT] = {"idla_predict_columns", 2, 1, {3}, {TEXTOID}},
	[IDLA_CLASSIFY] = {"idla_classify_columns", 2, 1, {3}, {FLOAT8OID}},
	[IDLA_PROBABILITIES] = {"idla_probabilities_columns", 2, 0, {0}, {InvalidOid}},
	[IDLA_PREDICT_INTERVAL] = {"idla_interval_columns", 3, 2, {2, 4}, {FLOAT8OID, TEXTOID}},
	[IDLA_PREDICT_SET] = {"idla_label_set_columns", 3, 1, {2}, {FLOAT8OID}},
	[IDLA_EMBED] = {"idla_embed_columns", 2, 0, {0}, {InvalidOid}}
};

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

static void
require_classifier(const IdlaLoaded *loaded, const char *function)
{
	const LearnModel *learn = &loaded->model->learn;

	if (!is_classifier(learn))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("model \"%s\" is a %s model: it knows no classes", idla_model_name(loaded->relid), learn_task_names[learn->task]),
				 errdetail("%s is for classification.", function),
				 learn->task == LEARN_MULTILABEL ? errhint("Use idla_probabilities, or idla_predict for one label.") :
				 errhint("Use idla_predict.")));
}

double
idla_threshold_of(const IdlaLoaded *loaded)
{
	double		threshold = 0.5;

	if (idla_card_number(loaded->model->card, "threshold", &threshold) && !(threshold > 0 && threshold < 1))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the card of model \"%s\" has a threshold outside 0 and 1", idla_model_name(loaded->relid))));
	return threshold;
}

double
idla_abstain_of(const IdlaLoaded *loaded)
{
	double		abstain = 0;

	if (idla_card_number(loaded->model->card, "abstain", &abstain) && !(abstain >= 0 && abstain <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the card of model \"%s\" has \"abstain\" outside 0 and 1", idla_model_name(loaded->relid))));
	return abstain;
}

IdlaAnswering *
idla_answering_create(const IdlaLoaded *loaded, IdlaAnswerKind kind, MemoryContext context)
{
	const LearnModel *learn = &loaded->model->learn;
	IdlaAnswering *answering = MemoryContextAllocZero(context, sizeof(IdlaAnswering));

	answering->loaded = loaded;
	answering->kind = kind;
	answering->context = context;
	answering->threshold = idla_threshold_of(loaded);
	answering->card_abstain = idla_abstain_of(loaded);
	answering->output = -1;
	if (kind == IDLA_CLASSIFY)
	{
		MemoryContext caller = MemoryContextSwitchTo(context);

		require_classifier(loaded, "idla_classify");
		answering->labels = palloc(learn->n_classes * sizeof(Datum));
		for (int i = 0; i < learn->n_classes; i++)
			answering->labels[i] = CStringGetTextDatum(learn->classes[i]);
		MemoryContextSwitchTo(caller);
	}
	else if (kind == IDLA_PROBABILITIES && learn->task != LEARN_MULTILABEL)
		require_classifier(loaded, "idla_probabilities");
	else if (kind == IDLA_PREDICT_INTERVAL || kind == IDLA_PREDICT_SET)
		answering->conformal = idla_conformal_create(loaded, kind == IDLA_PREDICT_INTERVAL, context);
	else if (kind == IDLA_EMBED)
		answering->n_embedding = idla_embedding_size(loaded);
	return answering;
}

/* No output was named: there must be only one. */
static void
require_one_output(const IdlaLoaded *loaded)
{
	const LearnModel *learn = &loaded->model->learn;

	if (learn->task == LEARN_MULTICLASS)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("model \"%s\" tells %d classes apart: it has no single answer",
						idla_model_name(loaded->relid), learn->n_classes),
				 errhint("Use idla_classify for the likeliest class, idla_probabilities for all of them, "
						 "or output => '%s' for the probability of one.", learn->classes[0])));
	if ((learn->task == LEARN_REGRESSION || learn->task == LEARN_MULTILABEL) && learn->n_targets > 1)
	{
		const char **names = idla_output_names(loaded->model);

		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("model \"%s\" predicts %d targets: it has no single answer", idla_model_name(loaded->relid), learn->n_targets),
				 errhint("Name one of %s, as in output => '%s'.", idla_list(names), names[0])));
	}
}

static void
choose_output(IdlaAnswering *answering, const char *output)
{
	const LearnModel *learn = &answering->loaded->model->learn;

	if (likely(answering->output >= 0 && (output == NULL) == (answering->output_name == NULL) &&
			   (output == NULL || strcmp(output, answering->output_name) == 0)))
		return;
	answering->output = -1;
	if (answering->output_name != NULL)
		pfree(answering->output_name);
	answering->output_name = NULL;
	if (output == NULL)
	{
		require_one_output(answering->loaded);
		answering->output = learn->task == LEARN_BINARY ? learn->positive : 0;
		return;
	}
	/* Of a binary model both classes may be asked for. */
	answering->output_name = MemoryContextStrdup(answering->context, output);
	answering->output = idla_output_find(answering->loaded->model, output);
}

static void
choose_abstain(IdlaAnswering *answering, const NullableDatum *own)
{
	answering->abstain = own->isnull ? answering->card_abstain : DatumGetFloat8(own->value);
	if (!(answering->abstain >= 0 && answering->abstain <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("abstain %g is not between 0 and 1", answering->abstain),
				 errdetail("It is the probability below which no class is named.")));
}

void
idla_answering_choose(IdlaAnswering *answering, const NullableDatum *own)
{
	if (answering->kind == IDLA_PREDICT)
		choose_output(answering, own->isnull ? NULL : TextDatumGetCString(own->value));
	else if (answering->kind == IDLA_CLASSIFY)
		choose_abstain(answering, own);
	else if (answering->conformal != NULL)
		idla_conformal_choose(answering->conformal, own);
}

int
idla_answering_width(IdlaAnswering *answering, TupleDesc desc)
{
	return answering->conformal == NULL ? 0 : idla_conformal_width(answering->conformal, desc);
}

bool
idla_answering_places(const IdlaAnswering *answering)
{
	return answering->conformal != NULL;
}

int
idla_answering_place(IdlaAnswering *answering, TupleDesc desc, const Datum *values, const bool *isnull)
{
	return answering->conformal == NULL ? 0 : idla_conformal_place(answering->conformal, desc, values, isnull);
}

/* ---- one row ---- */

static double
wanted_answer(const IdlaAnswering *answering, const double *answers)
{
	const LearnModel *learn = &answering->loaded->model->learn;

	if (learn->task != LEARN_BINARY)
		return answers[answering->output];
	return answering->output == learn->positive ? answers[0] : 1 - answers[0];
}

static Jsonb *
all_answers(const IdlaAnswering *answering, const double *answers)
{
	const LearnModel *learn = &answering->loaded->model->learn;
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	if (learn->task == LEARN_MULTILABEL)
	{
		const char **names = idla_output_names(answering->loaded->model);

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
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

bool
idla_answering_numbers(const IdlaAnswering *answering, Size n, const double *answers, Datum *data)
{
	Size		step = learn_model_outputs(&answering->loaded->model->learn);

	if (answering->kind != IDLA_PREDICT)
		return false;
	for (Size row = 0; row < n; row++)
		data[row] = Float8GetDatum(wanted_answer(answering, answers + row * step));
	return true;
}

Datum
idla_answering_datum(const IdlaAnswering *answering, const double *answers, const float *embedding, int place, bool *isnull)
{
	const LearnModel *learn = &answering->loaded->model->learn;

	*isnull = false;
	switch (answering->kind)
	{
		case IDLA_PREDICT:
			return Float8GetDatum(wanted_answer(answering, answers));
		case IDLA_CLASSIFY:
			*isnull = idla_abstains(learn, answers, answering->abstain);
			return answering->labels[idla_likeliest_class(learn, answers, answering->threshold)];
		case IDLA_PROBABILITIES:
			return JsonbPGetDatum(all_answers(answering, answers));
		case IDLA_PREDICT_INTERVAL:
		case IDLA_PREDICT_SET:
			return idla_conformal_datum(answering->conformal, answers, place, isnull);
		case IDLA_EMBED:
			return idla_embedding_datum(embedding, answering->n_embedding);
	}
	return (Datum) 0;
}

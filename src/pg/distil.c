/*
 * distil.c: idla_distil, a model made small.
 *
 * A training like any other, with the model as its teacher: what says which rows and columns there are is taken from the teacher's
 * options, so that the test part is the same; what says how it was trained is not. Both are judged on the same rows.
 */
#include "train.h"

#include <math.h>

#include "json.h"
#include "serve.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(idla_distil);

/* Options about the rows and the answer: those of a teacher are its student's too. */
static const char *const inherited[] = {
	"columns", "group_by", "order_by", "part", "on_bad_input", "test", "seed", "scaling", "max_categories", "min_count", "conformal",
	"abstain", "positive", NULL
};

/* One network, as quick as a perceptron of 30-128-64-1. */
#define STUDENT "{\"folds\": 1, \"bags\": 1, \"linear\": false}"
#define STUDENT_MLP "{\"folds\": 1, \"bags\": 1, \"linear\": false, \"depth\": 2, \"width\": 96, \"embedding\": \"none\"}"

static Jsonb *
concat(Jsonb *first, Jsonb *second)
{
	return DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(first), JsonbPGetDatum(second)));
}

static void
put_value(StringInfo out, const char *key, JsonbValue *value)
{
	Jsonb	   *json = JsonbValueToJsonb(value);

	idla_json_key(out, key);
	/* A scalar is an array of one inside, and is written without it. */
	(void) JsonbToCString(out, &json->root, (int) VARSIZE(json));
}

/* What the teacher's card says it was told, as far as a student is told the same; its threshold too, if that is of the same class. */
static Jsonb *
inherit(const IdlaLoaded *loaded, bool threshold)
{
	Jsonb	   *card = loaded->model->card;
	JsonbValue *options = JB_ROOT_IS_OBJECT(card) ? idla_json_find(&card->root, "options") : NULL;
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	if (options != NULL && options->type == jbvBinary && JsonContainerIsObject(options->val.binary.data))
	{
		for (int i = 0; inherited[i] != NULL; i++)
		{
			JsonbValue *value = idla_json_find(options->val.binary.data, inherited[i]);

			if (value != NULL)
				put_value(&out, inherited[i], value);
		}
	}
	/* It may have been changed since. */
	if (threshold)
		idla_json_put_double(&out, "threshold", idla_threshold_of(loaded));
	idla_json_put_string(&out, "teacher", idla_qualified_name(loaded->relid));
	appendStringInfoChar(&out, '}');
	return idla_json_parse(out.data);
}

static void
put_number(Datum *values, bool *nulls, int column, double value)
{
	nulls[column] = !isfinite(value);
	values[column] = Float8GetDatum(value);
}

static void
put_rows(ReturnSetInfo *result, const IdlaTraining *run)
{
	for (int i = 0; i < run->n_metrics; i++)
	{
		const IdlaMetric *metric = &run->metrics[i];
		bool		told = i < run->n_teacher_metrics;
		Datum		values[7];
		bool		nulls[7] = {false};

		values[0] = Int32GetDatum(run->version);
		values[1] = CStringGetTextDatum(metric->name);
		put_number(values, nulls, 2, told ? run->teacher_metrics[i].value : NAN);
		put_number(values, nulls, 3, metric->value);
		put_number(values, nulls, 4, metric->low);
		put_number(values, nulls, 5, metric->high);
		values[6] = Int64GetDatum((int64) metric->n);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

static void
require_arguments(FunctionCallInfo fcinfo)
{
	static const char *const names[] = {"model", "name", "source"};

	for (int i = 0; i < (int) lengthof(names); i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not be NULL", names[i])));
}

Datum
idla_distil(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context;
	const char *architecture = PG_ARGISNULL(3) ? "mlp" : text_to_cstring(PG_GETARG_TEXT_PP(3));
	Jsonb	   *asked = PG_ARGISNULL(4) ? idla_json_parse("{}") : PG_GETARG_JSONB_P(4);
	const IdlaLoaded *loaded;
	IdlaTraining *run;
	bool		threshold;

	InitMaterializedSRF(fcinfo, 0);
	require_arguments(fcinfo);
	context = AllocSetContextCreate(caller, "idla distil", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	loaded = idla_load(PG_GETARG_OID(0), -1, GetActiveSnapshot(), context);
	idla_teacher_require(loaded);
	if (!JB_ROOT_IS_OBJECT(asked))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options must be a JSON object"),
				 errhint("For example: options => '{\"width\": 64}'.")));
	if (idla_json_find(&asked->root, "teacher") != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("idla_distil has its teacher as an argument, not as option \"teacher\""),
				 errhint("Name the other model first, or use idla_train.")));
	threshold = loaded->model->learn.task == LEARN_BINARY && idla_threshold_of(loaded) != 0.5 &&
		idla_json_find(&asked->root, "positive") == NULL;
	run = palloc0(sizeof(IdlaTraining));
	run->command = "idla_distil()";
	run->name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	run->reading.source = text_to_cstring(PG_GETARG_TEXT_PP(2));
	run->target = loaded->model->target;
	run->given = concat(idla_json_parse(strcmp(architecture, "mlp") == 0 ? STUDENT_MLP : STUDENT), inherit(loaded, threshold));
	run->given = concat(run->given, asked);
	idla_training_run(run, (int) loaded->model->learn.task, architecture);
	put_rows(result, run);
	idla_training_end(run);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return (Datum) 0;
}

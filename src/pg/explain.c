/*
 * explain.c: idla_explain and idla_importance.
 *
 * The engine says what each of the user's columns adds to the score of a row, or
 * how much a metric suffers when a column is shuffled; here the answers get
 * the names and values that the user knows, and an order.
 */
#include "column.h"

#include <math.h>

#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "idla/learn_metrics.h"

#define TOLERANCE 5e-4			/* integrated gradients: half of the error that is promised */
#define EXACT_COLUMNS 12		/* Shapley values of so many columns are enumerated */
#define EXPLAIN_SEED 1

PG_FUNCTION_INFO_V1(idla_explain);

static const char *const method_names[] = {"integrated_gradients", "shapley", NULL};

/* A column and what it adds. */
typedef struct Share
{
	int			column;			/* of the model's columns */
	double		contribution;
} Share;

static LearnExplainMethod
parse_method(const char *name)
{
	const char *nearest;

	if (strcmp(name, "integrated_gradients") == 0)
		return LEARN_INTEGRATED_GRADIENTS;
	if (strcmp(name, "shapley") == 0)
		return LEARN_SHAPLEY;
	nearest = idla_nearest(name, method_names);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown explanation method \"%s\"", name),
			 nearest != NULL ? errhint("Perhaps you meant \"%s\". Methods are %s.", nearest, idla_list(method_names)) :
			 errhint("Methods are %s.", idla_list(method_names))));
	return LEARN_SHAPLEY;
}

static int
compare_shares(const void *a, const void *b)
{
	const Share *left = a;
	const Share *right = b;
	double		size_left = fabs(left->contribution);
	double		size_right = fabs(right->contribution);

	if (size_left != size_right)
		return size_left > size_right ? -1 : 1;
	return left->column - right->column;
}

/* The value of a column as the row has it, in text; NULL for NULL. */
static char *
value_text(const IdlaSite *site, const char *name)
{
	for (int i = 0; i < site->desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(site->desc, i);
		Oid			output;
		bool		is_varlena;

		if (attribute->attisdropped || strcmp(NameStr(attribute->attname), name) != 0)
			continue;
		if (site->isnull[i])
			return NULL;
		getTypeOutputInfo(attribute->atttypid, &output, &is_varlena);
		return OidOutputFunctionCall(output, site->values[i]);
	}
	return NULL;
}

/* Which output is explained: the one named, the positive class, the likeliest class, or the only one. */
static int
choose_output(IdlaSite *site, const char *name, const double *answers)
{
	const LearnModel *learn = &site->model->learn;

	if (name != NULL)
		return idla_output_find(site->model, name);
	if (learn->task == LEARN_BINARY)
		return learn->positive;
	if (learn->task == LEARN_MULTICLASS)
		return (int) idla_likeliest_class(learn, answers, 0.5);
	if (learn->n_targets > 1 && learn->task != LEARN_SURVIVAL)
	{
		const char **names = idla_output_names(site->model);

		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the model predicts %d targets: say which one to explain", learn->n_targets),
				 errhint("Name one of %s, as in output => '%s'.", idla_list(names), names[0])));
	}
	return 0;
}

/* The probability of the chosen class; NaN for models without. */
static double
probability_of(const LearnModel *learn, const double *answers, int output)
{
	if (learn->task == LEARN_BINARY)
		return output == learn->positive ? answers[0] : 1 - answers[0];
	return learn->task == LEARN_MULTICLASS || learn->task == LEARN_MULTILABEL ? answers[output] : NAN;
}

static void
return_shares(FunctionCallInfo fcinfo, IdlaSite *site, Share *shares, int n, double prediction, double baseline,
			  double error, double probability)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	for (int i = 0; i < n; i++)
	{
		const char *name = site->model->columns.columns[shares[i].column].name;
		char	   *text = value_text(site, name);
		Datum		values[8];
		bool		nulls[8] = {false};

		values[0] = Float8GetDatum(prediction);
		values[1] = Float8GetDatum(baseline);
		values[2] = Int32GetDatum(i + 1);
		values[3] = CStringGetTextDatum(name);
		nulls[4] = text == NULL;
		values[4] = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
		values[5] = Float8GetDatum(shares[i].contribution);
		values[6] = Float8GetDatum(error);
		nulls[7] = isnan(probability);
		values[7] = Float8GetDatum(probability);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

Datum
idla_explain(PG_FUNCTION_ARGS)
{
	IdlaSite   *site;
	const LearnModel *learn;
	LearnExplain how = {.exact = EXACT_COLUMNS, .tolerance = TOLERANCE, .seed = EXPLAIN_SEED};
	int			top = PG_INT32_MAX;
	int			output;
	double	   *contributions;
	Share	   *shares;
	int			n = 0;
	double		score;
	double		baseline;
	double		error;
	double		sign = 1;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return (Datum) 0;
	how.method = PG_ARGISNULL(2) ? LEARN_INTEGRATED_GRADIENTS : parse_method(text_to_cstring(PG_GETARG_TEXT_PP(2)));
	if (!PG_ARGISNULL(3))
		top = PG_GETARG_INT32(3);
	if (top < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("top is %d: it must be at least 1", top),
				 errhint("NULL gives every column.")));

	site = idla_site_row(fcinfo, PG_GETARG_OID(0), idla_version_argument(fcinfo, 5), PG_GETARG_HEAPTUPLEHEADER(1));
	learn = &site->model->learn;
	learn_scores_to_answers(learn, 1, idla_site_scores(site));
	output = choose_output(site, PG_ARGISNULL(4) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(4)), site->scores);

	/* A binary model has one score, the positive class's; the other class's is its negative. */
	how.output = learn->task == LEARN_BINARY ? 0 : output;
	if (learn->task == LEARN_BINARY && output != learn->positive)
		sign = -1;
	contributions = palloc0(Max(learn->n_columns, 1) * sizeof(double));
	idla_check(site->model->work, learn_explain(site->loaded->predictor, site->raw, site->fields, &how,
												contributions, &score, &baseline, &error));

	shares = palloc(Max(learn->n_columns, 1) * sizeof(Share));
	for (int i = 0; i < learn->n_columns; i++)
	{
		if (idla_column_used(&site->model->columns, i))
			shares[n++] = (Share) {.column = i, .contribution = sign * contributions[i]};
	}
	qsort(shares, n, sizeof(Share), compare_shares);
	return_shares(fcinfo, site, shares, Min(n, top), sign * score, sign * baseline, error,
				  probability_of(learn, site->scores, output));
	return (Datum) 0;
}

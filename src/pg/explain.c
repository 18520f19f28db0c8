/*
 * explain.c: idla_explain, and the questions that all explanations of a row begin with.
 *
 * The engine says what each of the user's columns adds to the score of a row;
 * here the answers get the names and values that the user knows, and an order.
 */
#include "explain.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#define TOLERANCE 5e-4			/* integrated gradients: half of the error that is promised */
#define RELATIVE 1e-3			/* of models with fields: parts are right to about a hundredth of the largest */
#define EXACT_COLUMNS 12		/* Shapley values of so many columns are enumerated */
#define EXPLAIN_SEED 1
#define TEXT_SHOWN 60			/* characters of a text that stand for it */

PG_FUNCTION_INFO_V1(idla_explain);

static const char *const method_names[] = {"integrated_gradients", "shapley", NULL};

LearnExplainMethod
idla_explain_method(FunctionCallInfo fcinfo, int number)
{
	const char *name;
	const char *nearest;

	if (PG_ARGISNULL(number))
		return LEARN_INTEGRATED_GRADIENTS;
	name = text_to_cstring(PG_GETARG_TEXT_PP(number));
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

int
idla_explain_top(FunctionCallInfo fcinfo, int number)
{
	int			top = PG_ARGISNULL(number) ? PG_INT32_MAX : PG_GETARG_INT32(number);

	if (top < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("top is %d: it must be at least 1", top),
				 errhint("NULL gives all of them.")));
	return top;
}

static int
compare_shares(const void *a, const void *b)
{
	const IdlaShare *left = a;
	const IdlaShare *right = b;
	double		size_left = fabs(left->contribution);
	double		size_right = fabs(right->contribution);

	if (size_left != size_right)
		return size_left > size_right ? -1 : 1;
	return left->place - right->place;
}

void
idla_shares_sort(IdlaShare *shares, int n)
{
	qsort(shares, n, sizeof(IdlaShare), compare_shares);
}

/* ---- values in words ---- */

static char *
image_words(Datum value, Oid type)
{
	struct varlena *bytes;
	LearnImageInfo info;
	LearnTrouble trouble;

	if (type != BYTEAOID)
	{
		ArrayType  *array = DatumGetArrayTypeP(value);

		return psprintf("image %d x %d, array", ARR_NDIM(array) > 1 ? ARR_DIMS(array)[1] : 0, ARR_NDIM(array) > 0 ? ARR_DIMS(array)[0] : 0);
	}
	bytes = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(value));
	if (!learn_image_info(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes), &info, &trouble))
		return psprintf("%zu bytes", (Size) VARSIZE_ANY_EXHDR(bytes));
	return psprintf("image %zu x %zu, %s", info.width, info.height, learn_image_format_name(info.format));
}

static char *
signal_words(Datum value)
{
	ArrayType  *array = DatumGetArrayTypeP(value);

	if (ARR_NDIM(array) == 2)
		return psprintf("signal of %d leads and %d samples", ARR_DIMS(array)[0], ARR_DIMS(array)[1]);
	return psprintf("signal of %d samples", ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)));
}

/* Its beginning. */
static char *
text_words(char *text)
{
	size_t		length = strlen(text);
	size_t		shown = (size_t) pg_mbcharcliplen(text, (int) length, TEXT_SHOWN);

	if (shown == length)
		return text;
	return psprintf("%.*s...", (int) shown, text);
}

char *
idla_value_words(const IdlaSite *site, int column)
{
	const IdlaColumn *described = &site->model->columns.columns[column];

	for (int i = 0; i < site->desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(site->desc, i);
		Oid			output;
		bool		is_varlena;
		char	   *text;

		if (attribute->attisdropped || strcmp(NameStr(attribute->attname), described->name) != 0)
			continue;
		if (site->isnull[i])
			return NULL;
		if (described->kind == IDLA_IMAGE)
			return image_words(site->values[i], getBaseType(attribute->atttypid));
		if (described->kind == IDLA_SIGNAL)
			return signal_words(site->values[i]);
		getTypeOutputInfo(attribute->atttypid, &output, &is_varlena);
		text = OidOutputFunctionCall(output, site->values[i]);
		return described->kind == IDLA_TEXT ? text_words(text) : text;
	}
	return NULL;
}

/* ---- the question ---- */

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

bool
idla_question_ask(FunctionCallInfo fcinfo, int output_argument, int version_argument, IdlaQuestion *question)
{
	IdlaSite   *site;
	const LearnModel *learn;

	memset(question, 0, sizeof(*question));
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return false;
	question->site = site = idla_site_row(fcinfo, PG_GETARG_OID(0), idla_version_argument(fcinfo, version_argument),
										  PG_GETARG_HEAPTUPLEHEADER(1), false);
	learn = &site->model->learn;
	learn_scores_to_answers(learn, 1, idla_site_scores(site));
	question->output = choose_output(site, PG_ARGISNULL(output_argument) ? NULL :
									 text_to_cstring(PG_GETARG_TEXT_PP(output_argument)), site->scores);
	/* A binary model has one score, the positive class's; the other class's is its negative. */
	question->sign = learn->task == LEARN_BINARY && question->output != learn->positive ? -1 : 1;
	question->how = (LearnExplain) {
		.exact = EXACT_COLUMNS, .tolerance = TOLERANCE, .relative = learn->n_fields > 0 ? RELATIVE : 0, .seed = EXPLAIN_SEED,
		.output = learn->task == LEARN_BINARY ? 0 : question->output
	};
	return true;
}

/* ---- idla_explain ---- */

/* The probability of the chosen class; NaN for models without. */
static double
probability_of(const LearnModel *learn, const double *answers, int output)
{
	if (learn->task == LEARN_BINARY)
		return output == learn->positive ? answers[0] : 1 - answers[0];
	return learn->task == LEARN_MULTICLASS || learn->task == LEARN_MULTILABEL ? answers[output] : NAN;
}

static void
return_shares(FunctionCallInfo fcinfo, IdlaSite *site, IdlaShare *shares, int n, double prediction, double baseline,
			  double error, double probability)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	for (int i = 0; i < n; i++)
	{
		const char *name = site->model->columns.columns[shares[i].place].name;
		char	   *text = idla_value_words(site, shares[i].place);
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
	IdlaQuestion question;
	IdlaSite   *site;
	const LearnModel *learn;
	LearnExplainMethod method;
	int			top;
	double	   *contributions;
	IdlaShare *shares;
	int			n = 0;
	double		score;
	double		baseline;
	double		error;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return (Datum) 0;
	method = idla_explain_method(fcinfo, 2);
	top = idla_explain_top(fcinfo, 3);
	idla_question_ask(fcinfo, 4, 5, &question);
	question.how.method = method;
	site = question.site;
	learn = &site->model->learn;
	contributions = palloc0(Max(learn->n_columns, 1) * sizeof(double));
	idla_check(site->model->work, learn_explain(site->loaded->predictor, site->raw, site->fields, &question.how,
												contributions, &score, &baseline, &error));

	shares = palloc(Max(learn->n_columns, 1) * sizeof(IdlaShare));
	for (int i = 0; i < learn->n_columns; i++)
	{
		if (idla_column_used(&site->model->columns, i))
			shares[n++] = (IdlaShare) {.place = i, .contribution = question.sign * contributions[i]};
	}
	idla_shares_sort(shares, n);
	return_shares(fcinfo, site, shares, Min(n, top), question.sign * score, question.sign * baseline, error,
				  probability_of(learn, site->scores, question.output));
	return (Datum) 0;
}

/*
 * evaluate.c: idla_evaluate, idla_classification_report and idla_importance: a model
 * against rows of the user's choice.
 *
 * The source is read once, as training reads it. Answers are computed some
 * hundred rows at a time; what stays of a row is its score and target (for
 * importance the decoded row), within idla.train_memory. Rows without a target
 * cannot be judged: they are left out, and the user is told how many.
 */
#include "judging.h"
#include "series.h"
#include "serve.h"
#include "tokens.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "idla/learn_metrics.h"

#define BATCH_ROWS 1024
#define IMPORTANCE_SEED 1
#define MOST_REPEATS 1000

PG_FUNCTION_INFO_V1(idla_evaluate);
PG_FUNCTION_INFO_V1(idla_classification_report);
PG_FUNCTION_INFO_V1(idla_importance);

static bool
is_classifier(const LearnModel *learn)
{
	return learn->task == LEARN_BINARY || learn->task == LEARN_MULTICLASS;
}

/* ---- targets ---- */

static void
find_target(IdlaTargetColumn *target, TupleDesc desc)
{
	target->attribute = idla_attribute_find(desc, target->name);
	if (target->attribute < 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the source has no column \"%s\", the target of the model", target->name),
				 errdetail("The source has: %s.", idla_attribute_list(desc)),
				 errhint("Judging compares answers with the truth: the source needs the target's column.")));
	target->type = getBaseType(TupleDescAttr(desc, target->attribute)->atttypid);
}

static void
check_number(const IdlaTargetColumn *target)
{
	IdlaFamily	family = idla_type_family(target->type);

	if (family != IDLA_FAMILY_NUMBER && family != IDLA_FAMILY_BOOLEAN && family != IDLA_FAMILY_INTERVAL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("target \"%s\" is of type %s, which is not a number", target->name,
						format_type_be(target->type))));
}

static void
name_targets(IdlaJudging *judging)
{
	const IdlaModel *model = judging->loaded->model;
	const char **names = NULL;

	judging->n_targets = judging->learn->n_targets;
	judging->targets = palloc0(judging->n_targets * sizeof(IdlaTargetColumn));
	if (judging->n_targets > 1 && judging->learn->task != LEARN_SURVIVAL)
		names = idla_output_names(model);
	for (int i = 0; i < judging->n_targets; i++)
	{
		judging->targets[i].name = names != NULL ? names[i] : model->target;
		if (judging->learn->task == LEARN_SURVIVAL)
			judging->targets[i].name = i == 0 ? model->time_column : model->event_column;
	}
}

static void
find_targets(IdlaJudging *judging, TupleDesc desc)
{
	for (int i = 0; i < judging->n_targets; i++)
	{
		IdlaTargetColumn *target = &judging->targets[i];

		find_target(target, desc);
		if (!is_classifier(judging->learn))
			check_number(target);
	}
}

/* Class numbers in the order of their labels' bytes. */
static int
compare_labels(const void *a, const void *b, void *classes)
{
	return strcmp(((char **) classes)[*(const int *) a], ((char **) classes)[*(const int *) b]);
}

static void
order_classes(IdlaJudging *judging)
{
	judging->class_order = palloc(judging->learn->n_classes * sizeof(int));
	for (int i = 0; i < judging->learn->n_classes; i++)
		judging->class_order[i] = i;
	qsort_arg(judging->class_order, judging->learn->n_classes, sizeof(int), compare_labels,
			  judging->learn->classes);
}

static int
find_class(const IdlaJudging *judging, const char *label)
{
	int			low = 0;
	int			high = judging->learn->n_classes - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;
		int			class = judging->class_order[middle];
		int			order = strcmp(label, judging->learn->classes[class]);

		if (order == 0)
			return class;
		if (order < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	if (judging->stream != NULL)
		return -1;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the source has class \"%s\", which the model was not trained with", label),
			 errdetail("It knows %s.", idla_list(idla_output_names(judging->loaded->model))),
			 errhint("Leave such rows out in the source: a SELECT with a WHERE.")));
	return -1;
}

char *
idla_class_label(Datum value, Oid type)
{
	IdlaFamily	family = idla_type_family(type);
	char	   *text;
	Oid			output;
	bool		is_varlena;

	if (family == IDLA_FAMILY_BOOLEAN)
		return pstrdup(DatumGetBool(value) ? "true" : "false");
	if (family == IDLA_FAMILY_NUMBER)
	{
		double		number = idla_datum_to_double(value, type);

		if (number == floor(number) && fabs(number) < 1e15)
			return psprintf("%lld", (long long) number);
		return DatumGetCString(DirectFunctionCall1(float8out, Float8GetDatum(number)));
	}
	getTypeOutputInfo(type, &output, &is_varlena);
	text = OidOutputFunctionCall(output, value);
	/* Trailing blanks of char(n) mean nothing. */
	for (size_t length = strlen(text); type == BPCHAROID && length > 0 && text[length - 1] == ' '; length--)
		text[length - 1] = '\0';
	return text;
}

static double
target_of(const IdlaJudging *judging, int i, Datum value)
{
	const IdlaTargetColumn *target = &judging->targets[i];
	double		number;

	if (is_classifier(judging->learn))
	{
		int			class = find_class(judging, idla_class_label(value, target->type));

		if (class < 0)
			return INFINITY;
		return judging->learn->task == LEARN_MULTICLASS ? class : class == judging->learn->positive;
	}
	number = idla_datum_to_double(value, target->type);
	if (!isfinite(number))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("target \"%s\" is not finite", target->name),
				 errhint("Leave such rows out in the source: a SELECT with a WHERE.")));
	if (judging->learn->task == LEARN_MULTILABEL && number != 0 && number != 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("label \"%s\" is neither 0 nor 1", target->name)));
	if (judging->learn->task == LEARN_SURVIVAL && i == 1 && number != 0 && number != 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("event \"%s\" is neither 0 nor 1", target->name)));
	return number;
}

/* ---- rows ---- */

/* Doubles the room, at most to what idla.train_memory allows. */
static void
grow(IdlaJudging *judging)
{
	size_t		n_outputs = learn_model_outputs(judging->learn);
	Size		row_size = judging->n_targets * sizeof(double) +
		(judging->keep_rows ? judging->learn->n_channels * sizeof(float) : n_outputs * sizeof(double));
	Size		limit = Max((Size) idla_train_memory * 1024 / row_size, BATCH_ROWS);
	size_t		capacity = Min(judging->capacity * 2, limit);

	if (capacity <= judging->capacity)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the source has more than %zu rows, which is all that fits into idla.train_memory", limit),
				 errhint("Judge a sample, or raise idla.train_memory.")));
	judging->target_values = repalloc_huge(judging->target_values, capacity * judging->n_targets * sizeof(double));
	if (judging->keep_rows)
		judging->raw = repalloc_huge(judging->raw, capacity * judging->learn->n_channels * sizeof(float));
	if (judging->keep_rows)
		judging->fields = repalloc_huge(judging->fields, capacity * Max(judging->learn->n_fields, 1) * sizeof(LearnBytes));
	else
		judging->scores = repalloc_huge(judging->scores, capacity * n_outputs * sizeof(double));
	judging->capacity = capacity;
}

static void
allocate(IdlaJudging *judging)
{
	MemoryContext context = judging->work->context;

	judging->capacity = BATCH_ROWS;
	judging->target_values = MemoryContextAllocHuge(context, BATCH_ROWS * judging->n_targets * sizeof(double));
	judging->raw = MemoryContextAllocHuge(context, BATCH_ROWS * Max(judging->learn->n_channels, 1) * sizeof(float));
	judging->fields = MemoryContextAllocHuge(context, BATCH_ROWS * Max(judging->learn->n_fields, 1) * sizeof(LearnBytes));
	if (!judging->keep_rows)
		judging->scores = MemoryContextAllocHuge(context,
												 BATCH_ROWS * learn_model_outputs(judging->learn) * sizeof(double));
}

/* The decoder's memory lasts for a row; what a batch needs is copied. */
static void
keep_fields(IdlaJudging *judging, LearnBytes *fields)
{
	for (int i = 0; i < judging->learn->n_fields; i++)
		judging->field_bytes += fields[i].bytes != NULL ? fields[i].size : 0;
	if (judging->field_bytes > (Size) idla_train_memory * 1024)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("images, signals and texts of %zu rows do not fit into idla.train_memory", judging->n + 1),
				 errhint("Judge a sample, or raise idla.train_memory.")));
	idla_fields_keep(fields, judging->learn->n_fields, judging->work->context);
}

static void
release_fields(IdlaJudging *judging, size_t n)
{
	for (size_t i = 0; i < n * (size_t) judging->learn->n_fields; i++)
		if (judging->fields[i].bytes != NULL)
			pfree(unconstify(void *, judging->fields[i].bytes));
	judging->field_bytes = 0;
}

/* Answers the rows of the batch. */
static void
score(IdlaJudging *judging)
{
	size_t		n = judging->n - judging->n_scored;

	if (n == 0 || judging->keep_rows)
		return;
	idla_check(judging->loaded->model->work,
			   learn_predict_scores(judging->loaded->predictor, n, judging->raw, judging->fields,
									judging->scores + judging->n_scored * learn_model_outputs(judging->learn)));
	judging->n_scored = judging->n;
	if (judging->stream != NULL)
	{
		judging->stream->take(judging->stream->context, judging, n);
		judging->n_streamed += n;
		judging->n = judging->n_scored = 0;
	}
	release_fields(judging, n);
}

static void
take_row(void *context, const Datum *values, const bool *isnull)
{
	IdlaJudging *judging = context;
	LearnBytes *fields;
	size_t		slot;

	for (int i = 0; i < judging->n_targets && judging->stream == NULL; i++)
	{
		if (isnull[judging->targets[i].attribute])
		{
			judging->n_skipped++;
			return;
		}
	}
	if (judging->n == judging->capacity)
		grow(judging);
	for (int i = 0; i < judging->n_targets; i++)
		judging->target_values[judging->n * judging->n_targets + i] = isnull[judging->targets[i].attribute] ? NAN :
			target_of(judging, i, values[judging->targets[i].attribute]);
	slot = judging->keep_rows ? judging->n : judging->n - judging->n_scored;
	fields = judging->fields + slot * judging->learn->n_fields;
	if (!idla_decode(judging->decoder, values, isnull, judging->raw + slot * judging->learn->n_channels, fields, judging->skip_bad))
	{
		if (judging->n_bad++ == 0)
			judging->first_bad = MemoryContextStrdup(judging->work->context, idla_decode_trouble(judging->decoder));
		return;
	}
	keep_fields(judging, fields);
	if (judging->keeper != NULL)
		judging->keeper->keep(judging->keeper->context, values, isnull);
	judging->n++;
	if (judging->n - judging->n_scored == BATCH_ROWS)
		score(judging);
}

static bool
has_targets(const IdlaJudging *judging, const char *text)
{
	IdlaRows   *rows = idla_rows_open(text);
	bool		has_all = true;

	for (int i = 0; i < judging->n_targets; i++)
		has_all = has_all && idla_attribute_find(idla_rows_desc(rows), judging->targets[i].name) >= 0;
	idla_rows_close(rows);
	return has_all;
}

/* The rows of the source, gathered if the model is of series, into judging. */
static void
read_source(IdlaJudging *judging, const char *text)
{
	const IdlaColumns *columns = &judging->loaded->model->columns;
	IdlaSeriesRows *series = NULL;
	IdlaRows   *rows = NULL;
	char	  **targets = palloc(judging->n_targets * sizeof(char *));
	TupleDesc	desc;

	if (judging->stream != NULL && !has_targets(judging, text))
		judging->n_targets = 0;

	for (int i = 0; i < judging->n_targets; i++)
		targets[i] = unconstify(char *, judging->targets[i].name);
	if (columns->series != NULL)
		series = idla_series_open_model(text, columns->series, columns, targets, judging->n_targets, judging->skip_bad);
	else
		rows = idla_rows_open(text);
	desc = series != NULL ? idla_series_desc(series) : idla_rows_desc(rows);
	find_targets(judging, desc);
	if (judging->keeper != NULL)
		judging->keeper->begin(judging->keeper->context, desc);
	judging->decoder = idla_decoder_create(columns, desc, NULL, judging->loaded->model->work);
	if (series != NULL)
		idla_series_read(series, take_row, judging);
	else
		idla_rows_read(rows, take_row, judging);
	score(judging);
	if (series != NULL)
	{
		idla_series_report(series);
		idla_series_close(series);
	}
	else
		idla_rows_close(rows);
}

/* The model of argument 0, in a work of its own. */
static IdlaWork *
open_model(FunctionCallInfo fcinfo, int version, IdlaLoaded **loaded)
{
	IdlaWork   *work;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the %s is NULL", PG_ARGISNULL(0) ? "model" : "source")));
	work = idla_work_open(CurrentMemoryContext, "judging", 0, 0);
	*loaded = idla_load(PG_GETARG_OID(0), version, GetActiveSnapshot(), work->context);
	return work;
}

static IdlaJudging *
start_judging(IdlaWork *work, IdlaLoaded *loaded, bool keep_rows)
{
	MemoryContext caller = MemoryContextSwitchTo(work->context);
	IdlaJudging *judging = palloc0(sizeof(IdlaJudging));

	judging->work = work;
	judging->keep_rows = keep_rows;
	judging->loaded = loaded;
	judging->learn = &judging->loaded->model->learn;
	if (judging->learn->task == LEARN_TAGGING)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("model \"%s\" tags texts: it has no answer for a row", idla_model_name(judging->loaded->relid)),
				 errhint("Judge it with idla_evaluate and idla_classification_report.")));
	judging->threshold = idla_threshold_of(judging->loaded);
	judging->skip_bad = idla_card_text(judging->loaded->model->card, "on_bad_input") != NULL;

	name_targets(judging);
	if (is_classifier(judging->learn))
		order_classes(judging);
	allocate(judging);
	MemoryContextSwitchTo(caller);
	return judging;
}

void
idla_judging_rows(IdlaJudging *judging, const char *source)
{
	MemoryContext caller = MemoryContextSwitchTo(judging->work->context);

	read_source(judging, source);
	MemoryContextSwitchTo(caller);

	if (judging->n_skipped > 0)
		ereport(NOTICE,
				(errmsg_plural("%llu row without a target was left out", "%llu rows without a target were left out",
							   (unsigned long) judging->n_skipped, (unsigned long long) judging->n_skipped)));
	if (judging->n_bad > 0)
		ereport(NOTICE,
				(errmsg_plural("%llu row with a bad value was left out", "%llu rows with a bad value were left out",
							   (unsigned long) judging->n_bad, (unsigned long long) judging->n_bad),
				 errdetail("The first one: %s.", judging->first_bad)));
	if (judging->n + judging->n_streamed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("the source has no rows to judge by")));
}

IdlaJudging *
idla_judging_open(FunctionCallInfo fcinfo, int version, bool keep_rows)
{
	IdlaLoaded *loaded;
	IdlaWork   *work = open_model(fcinfo, version, &loaded);

	return start_judging(work, loaded, keep_rows);
}

/* Judges the rows of the source in argument 1. */
static IdlaJudging *
judge_rows(FunctionCallInfo fcinfo, IdlaWork *work, IdlaLoaded *loaded, bool keep_rows)
{
	IdlaJudging *judging = start_judging(work, loaded, keep_rows);

	idla_judging_rows(judging, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	return judging;
}

IdlaJudging *
idla_judging_read(FunctionCallInfo fcinfo, int version, bool keep_rows)
{
	IdlaLoaded *loaded;
	IdlaWork   *work = open_model(fcinfo, version, &loaded);

	return judge_rows(fcinfo, work, loaded, keep_rows);
}

/* ---- idla_evaluate ---- */

static void
put_number(Datum *values, bool *nulls, int column, double value)
{
	nulls[column] = isnan(value);
	values[column] = Float8GetDatum(value);
}

/* A tagger is judged sentence by sentence: judge_tags.c. */
static IdlaTagJudge *
judge_sentences(FunctionCallInfo fcinfo, IdlaWork *work, IdlaLoaded *loaded)
{
	MemoryContext caller = MemoryContextSwitchTo(work->context);
	IdlaTagJudge *judge = idla_tag_judge_source(work, loaded, text_to_cstring(PG_GETARG_TEXT_PP(1)));

	MemoryContextSwitchTo(caller);
	return judge;
}

static void
put_metrics(ReturnSetInfo *result, const IdlaMetric *metrics, int n)
{
	for (int i = 0; i < n; i++)
	{
		Datum		values[5];
		bool		nulls[5] = {false};

		values[0] = CStringGetTextDatum(metrics[i].name);
		put_number(values, nulls, 1, metrics[i].value);
		put_number(values, nulls, 2, metrics[i].low);
		put_number(values, nulls, 3, metrics[i].high);
		values[4] = Int64GetDatum((int64) metrics[i].n);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

Datum
idla_evaluate(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	IdlaJudging *judging;
	IdlaMetric *metrics;
	int			n;
	IdlaWork   *work;
	IdlaLoaded *loaded;

	InitMaterializedSRF(fcinfo, 0);
	work = open_model(fcinfo, idla_version_argument(fcinfo, 2), &loaded);
	if (loaded->model->learn.task == LEARN_TAGGING)
		metrics = idla_tag_judge_metrics(judge_sentences(fcinfo, work, loaded), &n);
	else
	{
		judging = judge_rows(fcinfo, work, loaded, false);
		metrics = idla_judge(work, judging->learn, judging->n, judging->scores, judging->target_values, judging->threshold, &n);
	}
	put_metrics(result, metrics, n);
	idla_work_close(work);
	return (Datum) 0;
}

/* ---- idla_classification_report ---- */

static const char *const averages_names[] = {"micro avg", "macro avg", "weighted avg"};

static void
put_class(void *context, const char *name, const LearnClassScore *score)
{
	ReturnSetInfo *result = context;
	Datum		values[5];
	bool		nulls[5] = {false};

	values[0] = CStringGetTextDatum(name);
	values[1] = Float8GetDatum(score->precision);
	values[2] = Float8GetDatum(score->recall);
	values[3] = Float8GetDatum(score->f1);
	values[4] = Int64GetDatum((int64) score->support);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* Of several labels each is found or not; micro average over all yes, macro over the labels. */
static void
report_labels(ReturnSetInfo *result, IdlaJudging *judging)
{
	const char **names = idla_output_names(judging->loaded->model);
	LearnClassScore *scores = palloc0(judging->n_targets * sizeof(LearnClassScore));
	LearnClassScore averages[3];

	idla_label_report(judging->n, judging->n_targets, judging->scores, judging->target_values, scores, averages);
	for (int i = 0; i < judging->n_targets; i++)
		put_class(result, names[i], &scores[i]);
	for (int i = 0; i < (int) lengthof(averages); i++)
		put_class(result, averages_names[i], &averages[i]);
}

static void
report_classes(ReturnSetInfo *result, IdlaJudging *judging)
{
	const LearnModel *learn = judging->learn;
	size_t		n_outputs = learn_model_outputs(learn);
	uint32_t   *predicted = MemoryContextAllocHuge(judging->work->context, judging->n * sizeof(uint32_t));
	uint32_t   *labels = MemoryContextAllocHuge(judging->work->context, judging->n * sizeof(uint32_t));
	LearnClassScore *scores = palloc0(learn->n_classes * sizeof(LearnClassScore));
	LearnClassScore averages[3];

	learn_scores_to_answers(learn, judging->n, judging->scores);
	if (learn->task == LEARN_MULTILABEL)
	{
		report_labels(result, judging);
		return;
	}
	for (size_t i = 0; i < judging->n; i++)
	{
		predicted[i] = idla_likeliest_class(learn, judging->scores + i * n_outputs, judging->threshold);
		labels[i] = idla_class_of_target(learn, judging->target_values[i]);
	}
	learn_classification_report(judging->n, learn->n_classes, predicted, labels, scores, averages);
	for (int i = 0; i < learn->n_classes; i++)
		put_class(result, learn->classes[i], &scores[i]);
	for (int i = 0; i < (int) lengthof(averages); i++)
		put_class(result, averages_names[i], &averages[i]);
}

Datum
idla_classification_report(PG_FUNCTION_ARGS)
{
	char	   *level = PG_NARGS() < 4 || PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3));
	IdlaJudging *judging;
	IdlaWork   *work;
	IdlaLoaded *loaded;

	InitMaterializedSRF(fcinfo, 0);
	work = open_model(fcinfo, idla_version_argument(fcinfo, 2), &loaded);
	if (loaded->model->learn.task == LEARN_TAGGING)
	{
		idla_tag_judge_report(judge_sentences(fcinfo, work, loaded), &loaded->model->learn, level, put_class, fcinfo->resultinfo);
		idla_work_close(work);
		return (Datum) 0;
	}
	if (level != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a level is for models that tag")));
	judging = judge_rows(fcinfo, work, loaded, false);
	if (!is_classifier(judging->learn) && judging->learn->task != LEARN_MULTILABEL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("model \"%s\" is a %s model: it knows no classes",
						idla_model_name(judging->loaded->relid), learn_task_names[judging->learn->task]),
				 errhint("Use idla_evaluate.")));
	report_classes((ReturnSetInfo *) fcinfo->resultinfo, judging);
	idla_work_close(work);
	return (Datum) 0;
}

/* ---- idla_importance ---- */

static const char *
importance_metric(LearnTask task)
{
	switch (task)
	{
		case LEARN_BINARY:
			return "auroc";
		case LEARN_MULTICLASS:
		case LEARN_MULTILABEL:
			return "log_loss";
		case LEARN_REGRESSION:
			return "rmse";
		case LEARN_SURVIVAL:
		case LEARN_TAGGING:		/* refused before */
			break;
	}
	return "concordance";
}

/* Over all targets; of several, each on its own scale, so that the largest unit does not decide alone. */
static double
scaled_rmse(const IdlaJudging *judging, size_t n, const double *answers)
{
	const LearnModel *learn = judging->learn;
	size_t		n_targets = judging->n_targets;
	double		sum = 0;

	for (size_t i = 0; i < n * n_targets; i++)
	{
		double		error = answers[i] - judging->target_values[i];

		if (n_targets > 1)
			error /= learn->target_scale[i % n_targets];
		sum += error * error;
	}
	return sqrt(sum / (double) (n * n_targets));
}

static double
label_log_loss(const IdlaJudging *judging, size_t n, const double *answers)
{
	double		sum = 0;
	size_t		n_values = n * judging->n_targets;

	for (size_t i = 0; i < n_values; i++)
		sum += learn_log_loss_one(judging->target_values[i] != 0 ? answers[i] : 1 - answers[i]);
	return sum / (double) n_values;
}

static DevStatus
measure(const IdlaJudging *judging, DevSession *session, size_t n, double *answers, double *truth, uint32_t *labels,
		uint8_t *flags, double *value)
{
	const LearnModel *learn = judging->learn;

	for (size_t i = 0; i < n; i++)
	{
		truth[i] = judging->target_values[i * judging->n_targets];
		labels[i] = learn->task == LEARN_MULTICLASS ? (uint32_t) truth[i] : 0;
		flags[i] = learn->task == LEARN_SURVIVAL ? judging->target_values[2 * i + 1] != 0 : truth[i] != 0;
	}
	if (learn->task == LEARN_BINARY)
		return learn_auroc(session, n, answers, flags, value);
	if (learn->task == LEARN_SURVIVAL)
		return learn_concordance(session, n, answers, truth, flags, value);
	learn_scores_to_answers(learn, n, answers);
	if (learn->task == LEARN_MULTICLASS)
		*value = -learn_log_loss_classes(n, learn_model_outputs(learn), answers, labels);
	else if (learn->task == LEARN_MULTILABEL)
		*value = -label_log_loss(judging, n, answers);
	else
		*value = -scaled_rmse(judging, n, answers);
	return DEV_OK;
}

/* What a column's shuffling is measured by, larger being better: losses come with a minus. */
static DevStatus
goodness(void *context, size_t n, const double *scores, double *value)
{
	IdlaJudging *judging = context;
	/* The predictor's own session, so that a failure is found where the importance fails. */
	DevSession *session = judging->loaded->model->work->session;
	size_t		n_outputs = learn_model_outputs(judging->learn);
	double	   *answers = dev_alloc(session, n, n_outputs * sizeof(double));
	double	   *truth = dev_alloc(session, n, sizeof(double));
	uint32_t   *labels = dev_alloc(session, n, sizeof(uint32_t));
	uint8_t    *flags = dev_alloc(session, n, sizeof(uint8_t));
	DevStatus	status = DEV_NO_MEMORY;

	if (answers != NULL && truth != NULL && labels != NULL && flags != NULL)
	{
		memcpy(answers, scores, n * n_outputs * sizeof(double));
		status = measure(judging, session, n, answers, truth, labels, flags, value);
	}
	dev_release(session, flags);
	dev_release(session, labels);
	dev_release(session, truth);
	dev_release(session, answers);
	return status;
}

typedef struct Importance
{
	int			column;
	double		mean;
	double		deviation;
} Importance;

static int
compare_importance(const void *a, const void *b)
{
	const Importance *left = a;
	const Importance *right = b;

	if (left->mean != right->mean)
		return left->mean > right->mean ? -1 : 1;
	return left->column - right->column;
}

Datum
idla_importance(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int			repeats = PG_ARGISNULL(2) ? 5 : PG_GETARG_INT32(2);
	IdlaJudging *judging;
	double	   *means;
	double	   *deviations;
	Importance *order;
	int			n = 0;

	InitMaterializedSRF(fcinfo, 0);
	if (repeats < 1 || repeats > MOST_REPEATS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("repeats is %d: it must be between 1 and %d", repeats, MOST_REPEATS)));
	judging = idla_judging_read(fcinfo, idla_version_argument(fcinfo, 3), true);
	means = palloc0(judging->learn->n_columns * sizeof(double));
	deviations = palloc0(judging->learn->n_columns * sizeof(double));
	order = palloc0(judging->learn->n_columns * sizeof(Importance));
	idla_check(judging->loaded->model->work,
			   learn_importance(judging->loaded->predictor, judging->n, judging->raw, judging->fields, repeats,
								IMPORTANCE_SEED,
								goodness, judging, means, deviations));
	for (int i = 0; i < judging->learn->n_columns; i++)
		if (idla_column_used(&judging->loaded->model->columns, i))
			order[n++] = (Importance) {.column = i, .mean = means[i], .deviation = deviations[i]};
	qsort(order, n, sizeof(Importance), compare_importance);
	for (int i = 0; i < n; i++)
	{
		Datum		values[5];
		bool		nulls[5] = {false};

		values[0] = Int32GetDatum(i + 1);
		values[1] = CStringGetTextDatum(judging->learn->columns[order[i].column]);
		put_number(values, nulls, 2, order[i].mean);
		put_number(values, nulls, 3, order[i].deviation);
		values[4] = CStringGetTextDatum(importance_metric(judging->learn->task));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	idla_work_close(judging->work);
	return (Datum) 0;
}

/*
 * conformal.c: idla_interval and idla_label_set, answers that hold the truth as often as is asked.
 *
 * A row is answered as idla_predict answers it, and the model's conformal scores say how far around that answer the truth
 * may be. Where subgroups have scores of their own, the row's value in their column chooses; the column must be there, although
 * it need not be an input.
 */
#include "serve.h"
#include "conformal.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rangetypes.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(idla_interval);
PG_FUNCTION_INFO_V1(idla_interval_columns);
PG_FUNCTION_INFO_V1(idla_label_set);
PG_FUNCTION_INFO_V1(idla_label_set_columns);

struct IdlaConformal
{
	const IdlaLoaded *loaded;
	const LearnConformal *learned;
	bool		interval;
	MemoryContext context;
	bool		no_coverage;	/* it is NULL, and so are the answers */
	double		coverage;
	int			target;			/* idla_interval: which output */
	char	   *target_name;	/* as the user named it, or NULL */
	bool		chosen;
	Datum	   *labels;			/* idla_label_set: (classes) text */
	Datum	   *set;			/* (classes) */
	int		   *order;			/* (classes), scratch */
	bool	   *in;				/* (classes) */
	int			attribute;		/* of the subgroups' column in the last row, from 0 */
	Oid			type;			/* of that column */
	FmgrInfo	output;
};

static void
check_task(const IdlaConformal *conformal)
{
	const LearnModel *learn = &conformal->loaded->model->learn;
	bool		interval = conformal->interval;
	bool		values = learn->task == LEARN_REGRESSION;

	if (interval ? values : learn->task == LEARN_BINARY || learn->task == LEARN_MULTICLASS)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("model \"%s\" is a %s model: it has no %s", idla_model_name(conformal->loaded->relid), learn_task_names[learn->task],
					interval ? "intervals" : "sets of classes"),
			 errdetail("%s is for %s.", interval ? "idla_interval" : "idla_label_set", interval ? "regression" : "classification"),
			 values ? errhint("Use idla_interval.") :
			 learn->n_classes > 0 ? errhint("Use idla_label_set.") : errhint("Use idla_predict or idla_probabilities.")));
}

IdlaConformal *
idla_conformal_create(const IdlaLoaded *loaded, bool interval, MemoryContext context)
{
	const LearnModel *learn = &loaded->model->learn;
	MemoryContext caller = MemoryContextSwitchTo(context);
	IdlaConformal *conformal = palloc0(sizeof(IdlaConformal));

	conformal->loaded = loaded;
	conformal->interval = interval;
	conformal->context = context;
	check_task(conformal);
	if (learn->conformal == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("version %d of model \"%s\" does not know how far off its answers may be", loaded->version,
						idla_model_name(loaded->relid)),
				 errdetail("It was trained with the option \"conformal\" off, or without the %d rows that the networks did not learn from.",
						   LEARN_CONFORMAL_LEAST),
				 errhint("Train it again with folds or a validation part, or give the test part for it with \"conformal\": {\"on\": \"test\"}.")));
	conformal->learned = learn->conformal;
	if (!interval)
	{
		conformal->labels = palloc(sizeof(Datum) * (Size) learn->n_classes);
		for (int i = 0; i < learn->n_classes; i++)
			conformal->labels[i] = CStringGetTextDatum(learn->classes[i]);
		conformal->set = palloc(sizeof(Datum) * (Size) learn->n_classes);
		conformal->order = palloc(sizeof(int) * (Size) learn->n_classes);
		conformal->in = palloc(sizeof(bool) * (Size) learn->n_classes);
	}
	MemoryContextSwitchTo(caller);
	return conformal;
}

static void
choose_target(IdlaConformal *conformal, const char *name)
{
	const IdlaModel *model = conformal->loaded->model;

	if (likely(conformal->chosen && (name == NULL) == (conformal->target_name == NULL) &&
			   (name == NULL || strcmp(name, conformal->target_name) == 0)))
		return;
	conformal->chosen = false;
	if (name == NULL && model->learn.n_targets > 1)
	{
		const char **names = idla_output_names(model);

		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("model \"%s\" predicts %d targets: it has no single interval", idla_model_name(conformal->loaded->relid), model->learn.n_targets),
				 errhint("Name one of %s, as in output => '%s'.", idla_list(names), names[0])));
	}
	conformal->target = name == NULL ? 0 : idla_output_find(model, name);
	if (conformal->target_name != NULL)
		pfree(conformal->target_name);
	conformal->target_name = name == NULL ? NULL : MemoryContextStrdup(conformal->context, name);
	conformal->chosen = true;
}

void
idla_conformal_choose(IdlaConformal *conformal, const NullableDatum *own)
{
	conformal->no_coverage = own[0].isnull;
	conformal->coverage = own[0].isnull ? 0.5 : DatumGetFloat8(own[0].value);
	if (!(conformal->coverage > 0 && conformal->coverage < 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("coverage %g is not between 0 and 1", conformal->coverage),
				 errhint("0.9 is right for nine of ten rows.")));
	if (conformal->interval)
		choose_target(conformal, own[1].isnull ? NULL : TextDatumGetCString(own[1].value));
}

/* ---- subgroups ---- */

static bool
is_named(TupleDesc desc, int number, const char *name)
{
	return number < desc->natts && !TupleDescAttr(desc, number)->attisdropped &&
		strcmp(NameStr(TupleDescAttr(desc, number)->attname), name) == 0;
}

/* The attribute that tells the subgroup, from 1; 0 when the model tells none apart. */
int
idla_conformal_width(const IdlaConformal *conformal, TupleDesc desc)
{
	const char *by = conformal->learned->by;

	if (by == NULL)
		return 0;
	for (int i = 0; i < desc->natts; i++)
		if (is_named(desc, i, by))
			return i + 1;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("the row has no column \"%s\"", by),
			 errdetail("Model \"%s\" tells subgroups apart by it, which have intervals and sets of their own.",
						   idla_model_name(conformal->loaded->relid))));
	return 0;
}

int
idla_conformal_place(IdlaConformal *conformal, TupleDesc desc, const Datum *values, const bool *isnull)
{
	int			attribute;
	Oid			type;

	if (conformal->learned->by == NULL)
		return 0;
	/* Mostly where it was in the last row. */
	if (!is_named(desc, conformal->attribute, conformal->learned->by))
		conformal->attribute = idla_conformal_width(conformal, desc) - 1;
	attribute = conformal->attribute;
	if (isnull[attribute])
		return 0;
	type = getBaseType(TupleDescAttr(desc, attribute)->atttypid);
	if (type != conformal->type)
	{
		Oid			output;
		bool		is_varlena;

		idla_subgroup_check(conformal->learned->by, type);
		getTypeOutputInfo(type, &output, &is_varlena);
		fmgr_info_cxt(output, &conformal->output, conformal->context);
		conformal->type = type;
	}
	return learn_conformal_place(conformal->learned, idla_subgroup_name(&conformal->output, type, values[attribute]));
}

/* ---- one row ---- */

static RangeBound
make_bound(double value, bool lower)
{
	RangeBound	bound = {.infinite = !isfinite(value), .inclusive = true, .lower = lower};

	/* With every bit: the cast in SQL keeps fifteen digits, which may be inside of the bound. */
	if (!bound.infinite)
		bound.val = NumericGetDatum(idla_json_number(value).val.numeric);
	return bound;
}

static Datum
interval_datum(const IdlaConformal *conformal, const double *answers, double threshold)
{
	RangeBound	lower;
	RangeBound	upper;
	double		low;
	double		high;

	learn_conformal_interval(conformal->learned, conformal->target, answers[conformal->target], threshold, &low, &high);
	lower = make_bound(low, true);
	upper = make_bound(high, false);
	return RangeTypePGetDatum(idla_compat_range(lookup_type_cache(NUMRANGEOID, TYPECACHE_RANGE_INFO), &lower, &upper));
}

static Datum
set_datum(const IdlaConformal *conformal, const double *answers, double threshold)
{
	const LearnModel *learn = &conformal->loaded->model->learn;
	int			n = 0;

	learn_conformal_set(learn, conformal->learned, answers, threshold, conformal->order, conformal->in);
	for (int i = 0; i < learn->n_classes; i++)
		if (conformal->in[i])
			conformal->set[n++] = conformal->labels[i];
	return PointerGetDatum(construct_array(conformal->set, n, TEXTOID, -1, false, TYPALIGN_INT));
}

Datum
idla_conformal_datum(const IdlaConformal *conformal, const double *answers, int place, bool *isnull)
{
	double		threshold;

	*isnull = conformal->no_coverage;
	if (*isnull)
		return (Datum) 0;
	threshold = learn_conformal_threshold(learn_conformal_table(conformal->learned, place, conformal->target), conformal->coverage);
	return conformal->interval ? interval_datum(conformal, answers, threshold) : set_datum(conformal, answers, threshold);
}

Datum
idla_interval(PG_FUNCTION_ARGS)
{
	return idla_answer_row(fcinfo, IDLA_PREDICT_INTERVAL);
}

Datum
idla_interval_columns(PG_FUNCTION_ARGS)
{
	return idla_answer_columns(fcinfo, IDLA_PREDICT_INTERVAL);
}

Datum
idla_label_set(PG_FUNCTION_ARGS)
{
	return idla_answer_row(fcinfo, IDLA_PREDICT_SET);
}

Datum
idla_label_set_columns(PG_FUNCTION_ARGS)
{
	return idla_answer_columns(fcinfo, IDLA_PREDICT_SET);
}

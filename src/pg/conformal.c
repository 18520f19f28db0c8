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
PG_FUNCTION_INFO_V1(idla_label_set);

/* What one call keeps between rows. */
typedef struct Conformal
{
	const LearnConformal *learned;
	int			target;			/* idla_interval: which output */
	char	   *target_name;	/* as the user named it, or NULL */
	bool		chosen;
	Datum	   *labels;			/* idla_label_set: (classes) text */
	Datum	   *set;			/* (classes) */
	int		   *order;			/* (classes), scratch */
	bool	   *in;				/* (classes) */
	Oid			type;			/* of the subgroups' column in the last row */
	FmgrInfo	output;
} Conformal;

static const char *
model_name(const IdlaSite *site)
{
	const char *name = get_rel_name(site->loaded->relid);

	return name != NULL ? name : "?";
}

static void
check_task(const IdlaSite *site, bool interval)
{
	const LearnModel *learn = &site->model->learn;
	bool		values = learn->task == LEARN_REGRESSION;

	if (interval ? values : learn->task == LEARN_BINARY || learn->task == LEARN_MULTICLASS)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("model \"%s\" is a %s model: it has no %s", model_name(site), learn_task_names[learn->task],
					interval ? "intervals" : "sets of classes"),
			 errdetail("%s is for %s.", interval ? "idla_interval" : "idla_label_set", interval ? "regression" : "classification"),
			 values ? errhint("Use idla_interval.") :
			 learn->n_classes > 0 ? errhint("Use idla_label_set.") : errhint("Use idla_predict or idla_probabilities.")));
}

static Conformal *
create(IdlaSite *site, bool interval)
{
	const LearnModel *learn = &site->model->learn;
	MemoryContext caller = MemoryContextSwitchTo(site->context);
	Conformal  *conformal = palloc0(sizeof(Conformal));

	check_task(site, interval);
	if (learn->conformal == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("version %d of model \"%s\" does not know how far off its answers may be", site->loaded->version, model_name(site)),
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
choose_target(const IdlaSite *site, Conformal *conformal, const char *name)
{
	if (likely(conformal->chosen && (name == NULL) == (conformal->target_name == NULL) &&
			   (name == NULL || strcmp(name, conformal->target_name) == 0)))
		return;
	if (name == NULL && site->model->learn.n_targets > 1)
	{
		const char **names = idla_output_names(site->model);

		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("model \"%s\" predicts %d targets: it has no single interval", model_name(site), site->model->learn.n_targets),
				 errhint("Name one of %s, as in output => '%s'.", idla_list(names), names[0])));
	}
	conformal->target = name == NULL ? 0 : idla_output_find(site->model, name);
	conformal->target_name = name == NULL ? NULL : MemoryContextStrdup(site->context, name);
	conformal->chosen = true;
}

/* The name of the row's subgroup, NULL when it is not known or the model tells none apart. */
static char *
subgroup_of(IdlaSite *site, Conformal *conformal)
{
	const char *by = conformal->learned->by;

	if (by == NULL)
		return NULL;
	for (int i = 0; i < site->desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(site->desc, i);
		Oid			type;

		if (attribute->attisdropped || strcmp(NameStr(attribute->attname), by) != 0)
			continue;
		if (site->isnull[i])
			return NULL;
		type = getBaseType(attribute->atttypid);
		if (type != conformal->type)
		{
			Oid			output;
			bool		is_varlena;

			idla_subgroup_check(by, type);
			getTypeOutputInfo(type, &output, &is_varlena);
			fmgr_info_cxt(output, &conformal->output, site->context);
			conformal->type = type;
		}
		return idla_subgroup_name(&conformal->output, type, site->values[i]);
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("the row has no column \"%s\"", by),
			 errdetail("Model \"%s\" tells subgroups apart by it, which have intervals and sets of their own.", model_name(site))));
	return NULL;
}

static double
coverage_argument(FunctionCallInfo fcinfo)
{
	double		coverage = PG_GETARG_FLOAT8(2);

	if (!(coverage > 0 && coverage < 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("coverage %g is not between 0 and 1", coverage),
				 errhint("0.9 is right for nine of ten rows.")));
	return coverage;
}

/* The row decoded and its answers, NULL for a row that has none; arguments: model, input, coverage, version. */
static double *
answer(FunctionCallInfo fcinfo, bool interval, IdlaSite **found)
{
	bool		soft = idla_on_bad_input == IDLA_BAD_INPUT_NULL;
	IdlaSite   *site;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return NULL;
	site = idla_site_row(fcinfo, PG_GETARG_OID(0), idla_version_argument(fcinfo, 3), PG_GETARG_HEAPTUPLEHEADER(1), soft);
	if (site == NULL)
		return NULL;
	if (unlikely(site->derived == NULL))
		site->derived = create(site, interval);
	*found = site;
	return idla_site_answers(site, soft);
}

static RangeBound
make_bound(double value, bool lower)
{
	RangeBound	bound = {.infinite = !isfinite(value), .inclusive = true, .lower = lower};

	/* With every bit: the cast in SQL keeps fifteen digits, which may be inside of the bound. */
	if (!bound.infinite)
		bound.val = NumericGetDatum(idla_json_number(value).val.numeric);
	return bound;
}

Datum
idla_interval(PG_FUNCTION_ARGS)
{
	IdlaSite   *site;
	double	   *answers = answer(fcinfo, true, &site);
	Conformal  *conformal;
	const LearnScoreTable *table;
	RangeBound	lower;
	RangeBound	upper;
	double		low;
	double		high;

	if (answers == NULL)
		PG_RETURN_NULL();
	conformal = site->derived;
	choose_target(site, conformal, PG_ARGISNULL(4) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(4)));
	table = learn_conformal_table(conformal->learned, subgroup_of(site, conformal), conformal->target);
	learn_conformal_interval(conformal->learned, conformal->target, answers[conformal->target],
							 learn_conformal_threshold(table, coverage_argument(fcinfo)), &low, &high);
	lower = make_bound(low, true);
	upper = make_bound(high, false);
	return RangeTypePGetDatum(idla_compat_range(lookup_type_cache(NUMRANGEOID, TYPECACHE_RANGE_INFO), &lower, &upper));
}

Datum
idla_label_set(PG_FUNCTION_ARGS)
{
	IdlaSite   *site;
	double	   *answers = answer(fcinfo, false, &site);
	const LearnModel *learn;
	Conformal  *conformal;
	const LearnScoreTable *table;
	int			n = 0;

	if (answers == NULL)
		PG_RETURN_NULL();
	conformal = site->derived;
	learn = &site->model->learn;
	table = learn_conformal_table(conformal->learned, subgroup_of(site, conformal), 0);
	learn_conformal_set(learn, conformal->learned, answers, learn_conformal_threshold(table, coverage_argument(fcinfo)),
						conformal->order, conformal->in);
	for (int i = 0; i < learn->n_classes; i++)
		if (conformal->in[i])
			conformal->set[n++] = conformal->labels[i];
	return PointerGetDatum(construct_array(conformal->set, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * attack.c: idla_attack, one row changed so that the model errs.
 *
 * What comes back is a row of the type that came in: numbers written through their types, categories
 * known to the model, arrays and signals of the same type and dimensions, images as PNG of the size that the network sees, everything
 * else as it was. Without a target in the row the attack leads away from the model's own answer.
 */
#include "judging.h"
#include "robust.h"
#include "serve.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(idla_attack);

/* What one call of the function in a query keeps between rows. */
typedef struct Attacking
{
	Jsonb	   *given;			/* options, or NULL */
	int32		typmod;			/* of the record, which may change from row to row */
	IdlaRobustOptions *options;
	IdlaAssault *assault;
	double		threshold;		/* two classes: from which the positive one is named */
	float	   *labels;			/* of the row */
	double	   *scores;
} Attacking;

/* ---- the label ---- */

/* The class that the row's target names, -1 when it has none that the model knows. */
static int
own_class(const IdlaSite *site)
{
	const LearnModel *learn = &site->model->learn;
	int			attribute = idla_attribute_find(site->desc, site->model->target);
	char	   *label;

	if (attribute < 0 || site->isnull[attribute])
		return -1;
	label = idla_class_label(site->values[attribute], getBaseType(TupleDescAttr(site->desc, attribute)->atttypid));
	for (int i = 0; i < learn->n_classes; i++)
		if (strcmp(learn->classes[i], label) == 0)
			return i;
	return -1;
}

static void
label_class(const IdlaSite *site, Attacking *attacking)
{
	const LearnModel *learn = &site->model->learn;
	int			class = own_class(site);

	if (class < 0)
	{
		memcpy(attacking->scores, site->scores, sizeof(double) * learn_model_outputs(learn));
		learn_scores_to_answers(learn, 1, attacking->scores);
		class = (int) idla_likeliest_class(learn, attacking->scores, attacking->threshold);
	}
	attacking->labels[0] = (float) (learn->task == LEARN_BINARY ? class == learn->positive : class);
}

static void
label_values(const IdlaSite *site, Attacking *attacking)
{
	const LearnModel *learn = &site->model->learn;
	const char **names = learn->n_targets > 1 ? idla_output_names(site->model) : NULL;

	for (int i = 0; i < learn->n_targets; i++)
	{
		int			attribute = idla_attribute_find(site->desc, names != NULL ? names[i] : site->model->target);

		attacking->labels[i] = learn->task == LEARN_MULTILABEL ? (float) (site->scores[i] > 0) : (float) site->scores[i];
		if (attribute >= 0 && !site->isnull[attribute])
			attacking->labels[i] = (float) idla_datum_to_double(site->values[attribute],
																getBaseType(TupleDescAttr(site->desc, attribute)->atttypid));
	}
}

/* ---- the row that comes back ---- */

static Datum
build_row(const IdlaSite *site, const Attacking *attacking)
{
	Datum	   *values = palloc(sizeof(Datum) * (Size) Max(site->desc->natts, 1));
	bool	   *isnull = palloc(sizeof(bool) * (Size) Max(site->desc->natts, 1));

	idla_assault_row(attacking->assault, 0, attacking->assault->changed, values, isnull);
	return HeapTupleGetDatum(heap_form_tuple(site->desc, values, isnull));
}

/* ---- the function ---- */

static Attacking *
start(IdlaSite *site, Oid type, Jsonb *json)
{
	MemoryContext caller = MemoryContextSwitchTo(site->context);
	Attacking  *attacking = palloc0(sizeof(Attacking));
	IdlaWork   *work = idla_work_open(site->context, "attack", 0, 0);
	const LearnModel *learn = &site->model->learn;
	IdlaTarget	target = {.relid = get_typ_typrelid(type), .desc = site->desc, .evaluated = true, .whole = true};

	if (json != NULL)
	{
		attacking->given = palloc(VARSIZE(json));
		memcpy(attacking->given, json, VARSIZE(json));
	}
	attacking->typmod = site->desc->tdtypmod;
	attacking->threshold = target.threshold = idla_threshold_of(site->loaded);
	attacking->options = idla_robust_options_read(json);
	attacking->assault = idla_assault_create(work, site->model, &target, attacking->options, 1);
	attacking->labels = palloc0(sizeof(float) * (Size) Max(learn->n_targets, 1));
	attacking->scores = palloc0(sizeof(double) * learn_model_outputs(learn));
	MemoryContextSwitchTo(caller);
	site->derived = attacking;
	return attacking;
}

static bool
same_options(const Jsonb *a, const Jsonb *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0;
}

/* Options may change from row to row, though they rarely do. */
static Attacking *
require_attacking(IdlaSite *site, Oid type, Jsonb *json)
{
	Attacking  *attacking = site->derived;

	if (attacking != NULL && attacking->typmod == site->desc->tdtypmod && same_options(attacking->given, json))
		return attacking;
	site->derived = NULL;
	if (attacking != NULL)
		idla_work_close(attacking->assault->work);
	return start(site, type, json);
}

Datum
idla_attack(PG_FUNCTION_ARGS)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, 1);
	double		epsilon = PG_ARGISNULL(2) ? NAN : PG_GETARG_FLOAT8(2);
	Attacking  *attacking;
	IdlaSite   *site;
	LearnAttack how;
	float		within;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (!type_is_rowtype(type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the input is of type %s, which is no row", format_type_be(type)),
				 errhint("Give a whole row: idla_attack('model', t, 0.5) with FROM table AS t.")));
	if (!(epsilon >= 0) || isinf(epsilon))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("epsilon \"%g\" is not a number of at least 0", epsilon)));
	site = idla_site_row(fcinfo, PG_GETARG_OID(0), idla_version_argument(fcinfo, 4), PG_GETARG_HEAPTUPLEHEADER(1), false);
	attacking = require_attacking(site, type, PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3));
	(void) idla_site_scores(site);
	if (site->model->learn.n_classes > 0)
		label_class(site, attacking);
	else
		label_values(site, attacking);
	within = (float) epsilon;
	how = learn_attack_judge(attacking->options->norm, epsilon, attacking->options->steps, attacking->options->restarts);
	idla_assault_rows(attacking->assault, 0, 1, site->raw, site->fields, attacking->labels, site->values, site->isnull);
	idla_check(attacking->assault->work, idla_assault_run(attacking->assault, &how, &within, false));
	PG_RETURN_DATUM(build_row(site, attacking));
}

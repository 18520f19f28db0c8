/*
 * attack.c: idla_attack, one row changed so that the model errs.
 *
 * What comes back is a row of the type that came in: numbers written through their types, categories
 * known to the model, images as PNG of the size that the network sees, everything else (arrays and signals too) as
 * it was. Without a target in the row the attack leads away from the model's own answer.
 */
#include "robust.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "idla/learn_image.h"

PG_FUNCTION_INFO_V1(idla_attack);

/* What one call of the function in a query keeps between rows. */
typedef struct Attacking
{
	Jsonb	   *given;			/* options, or NULL */
	IdlaRobustOptions *options;
	IdlaAssault *assault;
	float	   *labels;			/* of the row */
	double	   *scores;
} Attacking;

/* ---- the label ---- */

static int
find_attribute(const IdlaSite *site, const char *name)
{
	for (int i = 0; i < site->desc->natts; i++)
		if (!TupleDescAttr(site->desc, i)->attisdropped && strcmp(NameStr(TupleDescAttr(site->desc, i)->attname), name) == 0)
			return i;
	return -1;
}

/* The class that the row's target names, -1 when it has none that the model knows. */
static int
own_class(const IdlaSite *site)
{
	const LearnModel *learn = &site->model->learn;
	int			attribute = find_attribute(site, site->model->target);
	Oid			type;
	char	   *label;
	Oid			output;
	bool		is_varlena;

	if (attribute < 0 || site->isnull[attribute])
		return -1;
	type = TupleDescAttr(site->desc, attribute)->atttypid;
	getTypeOutputInfo(type, &output, &is_varlena);
	label = OidOutputFunctionCall(output, site->values[attribute]);
	if (getBaseType(type) == BOOLOID)
		label = DatumGetBool(site->values[attribute]) ? pstrdup("true") : pstrdup("false");
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
		class = (int) idla_likeliest_class(learn, attacking->scores, 0.5);
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
		int			attribute = find_attribute(site, names != NULL ? names[i] : site->model->target);

		attacking->labels[i] = (float) site->scores[i];
		if (attribute >= 0 && !site->isnull[attribute])
			attacking->labels[i] = (float) idla_datum_to_double(site->values[attribute],
																getBaseType(TupleDescAttr(site->desc, attribute)->atttypid));
	}
}

/* ---- the row that comes back ---- */

static Datum
datum_of_text(char *text, const FormData_pg_attribute *attribute)
{
	Oid			input;
	Oid			parameter;

	getTypeInputInfo(attribute->atttypid, &input, &parameter);
	return OidInputFunctionCall(input, text, parameter, attribute->atttypmod);
}

static Datum
write_number(const IdlaColumn *column, float value, const FormData_pg_attribute *attribute)
{
	char	   *text;

	if (column->kind == IDLA_BOOLEAN)
		text = pstrdup(value > 0.5f ? "true" : "false");
	else if (value == floorf(value) && fabsf(value) < 1e15f)
		text = psprintf("%.0f", (double) value);
	else
		text = psprintf("%.7g", (double) value);
	return datum_of_text(text, attribute);
}

static Datum
write_category(const LearnChannel *channel, float code, const FormData_pg_attribute *attribute)
{
	return datum_of_text(channel->categories[(int) code], attribute);
}

/* The moved image of an eight- or sixteen-bit column as PNG. */
static Datum
write_image(const LearnField *field, const float *plane)
{
	size_t		depth = field->dims[2];
	size_t		size = field->dims[0] * field->dims[1] * depth;
	float	   *pixels = palloc(sizeof(float) * size);
	LearnTrouble trouble;
	void	   *bytes;
	size_t		n_bytes;
	bytea	   *image;

	for (size_t i = 0; i < size; i++)
		pixels[i] = plane[i] / field->scale[i % depth] + field->center[i % depth];
	if (!learn_png_write(pixels, field->dims[0], field->dims[1], (int) depth, &bytes, &n_bytes, &trouble))
		idla_raise_trouble(&trouble);
	image = palloc(VARHDRSZ + n_bytes);
	SET_VARSIZE(image, VARHDRSZ + n_bytes);
	memcpy(VARDATA(image), bytes, n_bytes);
	free(bytes);
	return PointerGetDatum(image);
}

static bool
same_value(float a, float b)
{
	return a == b || (isnan(a) && isnan(b));
}

static void
write_column(const IdlaSite *site, const Attacking *attacking, const IdlaColumn *column, Datum *values)
{
	const IdlaAssault *assault = attacking->assault;
	int			attribute = find_attribute(site, column->name);
	FormData_pg_attribute *form = attribute < 0 ? NULL : TupleDescAttr(site->desc, attribute);
	int			first = column->first_channel;

	if (attribute < 0 || site->isnull[attribute])
		return;
	if (column->field >= 0)
	{
		const LearnField *field = &site->model->learn.fields[column->field];

		if (field->kind == LEARN_IMAGE && field->sample != LEARN_SAMPLE_F32 && assault->planes[column->field] != NULL)
			values[attribute] = write_image(field, assault->planes[column->field]);
		return;
	}
	if (column->n_channels != 1 || same_value(assault->changed[first], site->raw[first]))
		return;
	if (column->kind == IDLA_CATEGORY)
		values[attribute] = write_category(&site->model->columns.channels[first], assault->changed[first], form);
	else
		values[attribute] = write_number(column, assault->changed[first], form);
}

static Datum
build_row(const IdlaSite *site, const Attacking *attacking)
{
	Datum	   *values = palloc(sizeof(Datum) * (Size) Max(site->desc->natts, 1));

	memcpy(values, site->values, sizeof(Datum) * (Size) site->desc->natts);
	for (int i = 0; i < site->model->columns.n; i++)
		write_column(site, attacking, &site->model->columns.columns[i], values);
	return HeapTupleGetDatum(heap_form_tuple(site->desc, values, site->isnull));
}

/* ---- the function ---- */

static Attacking *
start(IdlaSite *site, Oid type, Jsonb *json)
{
	MemoryContext caller = MemoryContextSwitchTo(site->context);
	Attacking  *attacking = palloc0(sizeof(Attacking));
	IdlaWork   *work = idla_work_open(site->context, "attack", 0, 0);
	const LearnModel *learn = &site->model->learn;

	if (json != NULL)
	{
		attacking->given = palloc(VARSIZE(json));
		memcpy(attacking->given, json, VARSIZE(json));
	}
	attacking->options = idla_robust_options_read(json);
	attacking->assault = idla_assault_create(work, site->model, get_typ_typrelid(type), attacking->options, 1);
	/* What cannot be written back as it came stays as it is. */
	for (int i = 0; i < learn->n_fields; i++)
		if (learn->fields[i].kind != LEARN_IMAGE || learn->fields[i].sample == LEARN_SAMPLE_F32)
			attacking->assault->planes[i] = NULL;
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

	if (attacking != NULL && same_options(attacking->given, json))
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
	idla_assault_rows(attacking->assault, 0, site->raw, site->fields, attacking->labels);
	idla_check(attacking->assault->work, idla_assault_run(attacking->assault, &how, 1, &within, false));
	PG_RETURN_DATUM(build_row(site, attacking));
}

/*
 * series_read.c: a source of long rows, ordered by entity, as a source of gathered ones.
 *
 * PostgreSQL sorts. The first rows wait until it is known which numeric columns are channels and which belong to the
 * entity as a whole: those that never vary within one. Names of (name, value) pairs are asked for beforehand, because the
 * first entity must already know its channels.
 */
#include "series.h"

#include <math.h>

#include "reading.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#define LOOK_ROWS 5000
#define DEFAULT_BINS 48
#define HOUR 3600.0
#define FIELD_NAME "series"

struct IdlaSeriesRows
{
	IdlaSeries *series;
	IdlaRows   *rows;
	IdlaGather *gather;
	Tuplestorestate *waiting;	/* the first rows, NULL when none wait */
	TupleDesc	source;
	MemoryContext entity_context;
	MemoryContext row_context;
	IdlaEvents *events;			/* NULL between entities */
	Datum	   *values;
	bool	   *isnull;
	uint64		n;
	void		(*take) (void *context, const Datum *values, const bool *isnull);
	void	   *context;
};

/* ---- planning ---- */

/* A numeric column of wide rows: a channel, or something of the entity's own? */
typedef struct Candidate
{
	int			attribute;
	Oid			type;
	char	   *name;
	bool		seen;			/* in the present entity */
	double		first;
	bool		repeated;		/* some entity has it several times */
	bool		varies;
} Candidate;

typedef struct Planning
{
	const IdlaOptions *options;
	TupleDesc	source;
	IdlaWork   *work;
	IdlaTarget	target;
	List	   *passed;
	int			n_candidates;
	Candidate  *candidates;
	IdlaSeriesRows *rows;
	int			entity;			/* attribute */
	Datum		last;			/* entity of the row before */
	bool		begun;
	MemoryContext context;
} Planning;

static void
require_column(TupleDesc desc, const char *name, const char *option)
{
	const char **names;
	const char *nearest;
	int			n = 0;

	if (name == NULL || idla_attribute_find(desc, name) >= 0)
		return;
	names = palloc0(sizeof(char *) * ((Size) desc->natts + 1));
	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped)
			names[n++] = NameStr(TupleDescAttr(desc, i)->attname);
	nearest = idla_nearest(name, names);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("option \"%s\" names \"%s\", which is not a column of the source", option, name),
			 nearest != NULL ? errhint("Perhaps you meant \"%s\".", nearest) :
			 errhint("The source has the columns %s.", idla_attribute_list(desc))));
}

/* What the rows of a source are, without reading any. */
static TupleDesc
describe_source(const char *source)
{
	IdlaRows   *rows = idla_rows_open(source);
	TupleDesc	desc = CreateTupleDescCopy(idla_rows_desc(rows));

	idla_rows_close(rows);
	return desc;
}

static bool
is_one_of(const List *names, const char *name)
{
	const ListCell *cell;

	foreach(cell, names)
		if (strcmp((const char *) lfirst(cell), name) == 0)
			return true;
	return false;
}

static bool
same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* Targets and columns that split rows: known of the entity, but no input. */
static bool
has_role(const Planning *planning, const char *name)
{
	const IdlaOptions *options = planning->options;

	for (int i = 0; i < planning->target.n; i++)
		if (strcmp(planning->target.names[i], name) == 0)
			return true;
	return is_one_of(options->group_by, name) || same(options->order_by, name) || same(options->part, name);
}

static void
pass(Planning *planning, const char *name, bool past)
{
	IdlaPassed *passed = palloc(sizeof(IdlaPassed));

	*passed = (IdlaPassed) {pstrdup(name), past};
	planning->passed = lappend(planning->passed, passed);
}

/* Sorts the source's columns; numeric ones of wide rows wait for a look. */
static void
sort_columns(Planning *planning)
{
	const IdlaOptions *options = planning->options;

	planning->candidates = palloc0(sizeof(Candidate) * (Size) Max(planning->source->natts, 1));
	for (int i = 0; i < planning->source->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(planning->source, i);
		const char *name = NameStr(attribute->attname);
		const IdlaOverride *override = idla_override_find(options->overrides, options->n_overrides, name);
		Oid			type = getBaseType(attribute->atttypid);
		IdlaFamily	family = idla_type_family(type);
		bool		numeric = family == IDLA_FAMILY_NUMBER || family == IDLA_FAMILY_BOOLEAN;

		if (attribute->attisdropped || same(options->series_time, name) || same(options->label_at, name) ||
			same(options->series_value, name) || same(options->series_name, name))
			continue;
		if (has_role(planning, name) || same(options->entity, name))
			pass(planning, name, false);
		else if (override != NULL && override->ignore)
			continue;
		else if (options->series_name != NULL || !numeric || is_one_of(options->series_static, name) ||
				 (override != NULL && override->kind >= 0))
			pass(planning, name, true);
		else
		{
			Candidate  *candidate = &planning->candidates[planning->n_candidates++];

			candidate->attribute = i;
			candidate->type = type;
			candidate->name = pstrdup(name);
		}
	}
}

static void
look(void *context, const Datum *values, const bool *isnull)
{
	Planning   *planning = context;
	Form_pg_attribute entity = TupleDescAttr(planning->source, planning->entity);
	MemoryContext caller = MemoryContextSwitchTo(planning->context);

	tuplestore_putvalues(planning->rows->waiting, planning->source, unconstify(Datum *, values), unconstify(bool *, isnull));
	if (!isnull[planning->entity])
	{
		bool		next = !planning->begun || !datum_image_eq(planning->last, values[planning->entity], entity->attbyval,
															   entity->attlen);

		if (next)
			planning->last = datumCopy(values[planning->entity], entity->attbyval, entity->attlen);
		planning->begun = true;
		for (int i = 0; i < planning->n_candidates; i++)
		{
			Candidate  *candidate = &planning->candidates[i];
			double		value;

			candidate->seen = candidate->seen && !next;
			if (isnull[candidate->attribute])
				continue;
			value = idla_datum_to_double(values[candidate->attribute], candidate->type);
			candidate->repeated = candidate->repeated || candidate->seen;
			candidate->varies = candidate->varies || (candidate->seen && value != candidate->first);
			candidate->first = value;
			candidate->seen = true;
		}
	}
	MemoryContextSwitchTo(caller);
}

/* What never varies is the entity's own, unless the user has said what is. */
static char **
settle_channels(Planning *planning, int *n)
{
	char	  **names = palloc(sizeof(char *) * (Size) Max(planning->n_candidates, 1));
	const char **constant = palloc0(sizeof(char *) * ((Size) planning->n_candidates + 1));
	int			n_constant = 0;

	*n = 0;
	for (int i = 0; i < planning->n_candidates; i++)
	{
		const Candidate *candidate = &planning->candidates[i];

		if (planning->options->series_static_given || candidate->varies || !candidate->repeated)
			names[(*n)++] = candidate->name;
		else
		{
			constant[n_constant++] = candidate->name;
			pass(planning, candidate->name, true);
		}
	}
	if (n_constant > 0)
		ereport(NOTICE,
				(errmsg("constant within \"%s\" and taken as its own: %s", planning->options->entity, idla_list(constant)),
				 errhint("The option series => {\"static\": [...]} says which columns are.")));
	return names;
}

/* In the source's order, whoever said what is constant: the same columns make the same model. */
static void
order_passed(Planning *planning)
{
	List	   *ordered = NIL;
	const ListCell *cell;

	for (int i = 0; i < planning->source->natts; i++)
		foreach(cell, planning->passed)
			if (!TupleDescAttr(planning->source, i)->attisdropped &&
				strcmp(((const IdlaPassed *) lfirst(cell))->name, NameStr(TupleDescAttr(planning->source, i)->attname)) == 0)
				ordered = lappend(ordered, lfirst(cell));
	planning->passed = ordered;
}

/* ---- the series ---- */

static void
check_channels(const Planning *planning, char **names, int n)
{
	const ListCell *cell;

	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the source has no values that change with time"),
				 errhint("Values are the numeric columns beside \"%s\" and \"%s\", or those that \"name\" and \"value\" of option \"series\" name.",
						 planning->options->entity, planning->options->series_time)));
	for (int i = 0; i < n; i++)
	{
		if (strlen(names[i]) >= NAMEDATALEN || names[i][0] == '\0')
			ereport(ERROR,
					(errcode(ERRCODE_NAME_TOO_LONG),
					 errmsg("\"%s\" cannot be the name of a channel", names[i]),
					 errhint("Names have from 1 to %d bytes.", NAMEDATALEN - 1)));
		foreach(cell, planning->passed)
			if (strcmp(((const IdlaPassed *) lfirst(cell))->name, names[i]) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("\"%s\" is the name of a column and of a channel", names[i]),
						 errhint("Give the column another name in the source with AS.")));
	}
}

/* A name that neither a channel nor a column has. */
static char *
field_name(const Planning *planning, const LearnSeriesPlan *plan)
{
	char	   *name = pstrdup(FIELD_NAME);
	const ListCell *cell;

	for (int i = 1;; i++)
	{
		bool		taken = learn_series_channel(plan, name, strlen(name)) >= 0;

		foreach(cell, planning->passed)
			taken = taken || strcmp(((const IdlaPassed *) lfirst(cell))->name, name) == 0;
		if (!taken)
			return name;
		name = psprintf("%s_%d", FIELD_NAME, i);
	}
}

static void
set_window(const Planning *planning, IdlaSeries *series)
{
	const IdlaOptions *options = planning->options;
	LearnSeriesPlan *plan = &series->plan;

	if (options->series_width_is_time && series->clock == IDLA_CLOCK_NUMBER)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"width\" of option \"series\" is an interval, and time \"%s\" is a number", series->time),
				 errhint("Give the width in the unit of that column.")));
	plan->n_bins = options->series_bins > 0 ? (size_t) options->series_bins : DEFAULT_BINS;
	plan->width = options->series_width > 0 ? options->series_width : series->clock == IDLA_CLOCK_NUMBER ? 1 : HOUR;
	plan->start = -plan->width * (double) plan->n_bins;
	plan->average = options->series_average;
}

static IdlaSeries *
make_series(Planning *planning, char **names, int n)
{
	const IdlaOptions *options = planning->options;
	IdlaWork   *work = planning->work;
	IdlaSeries *series = idla_keep(work, 1, sizeof(IdlaSeries));
	int			time = idla_attribute_find(planning->source, options->series_time);

	check_channels(planning, names, n);
	series->entity = idla_keep_string(work, options->entity);
	series->time = idla_keep_string(work, options->series_time);
	series->label_at = idla_keep_string(work, options->label_at);
	series->value = idla_keep_string(work, options->series_value);
	series->name = idla_keep_string(work, options->series_name);
	series->use = (IdlaSeriesUse) options->series_use;
	series->clock = idla_clock_of(series->time, getBaseType(TupleDescAttr(planning->source, time)->atttypid));
	series->plan.n_channels = n;
	series->plan.channels = idla_keep(work, (size_t) n, sizeof(LearnSeriesChannel));
	for (int i = 0; i < n; i++)
		series->plan.channels[i].name = idla_keep_string(work, names[i]);
	set_window(planning, series);
	if (series->use != IDLA_USE_SUMMARY)
		series->field = idla_keep_string(work, field_name(planning, &series->plan));
	idla_series_check(series, work);
	return series;
}

/* ---- opening ---- */

static IdlaSeriesRows *
create_rows(void)
{
	IdlaSeriesRows *rows = palloc0(sizeof(IdlaSeriesRows));

	rows->entity_context = AllocSetContextCreate(CurrentMemoryContext, "idla entity", ALLOCSET_DEFAULT_SIZES);
	rows->row_context = AllocSetContextCreate(CurrentMemoryContext, "idla gathered row", ALLOCSET_DEFAULT_SIZES);
	return rows;
}

static void
set_gather(IdlaSeriesRows *rows, IdlaSeries *series, const List *passed, bool skip)
{
	int			n;

	rows->series = series;
	rows->gather = idla_gather_create(series, rows->source, passed, skip);
	n = idla_gather_desc(rows->gather)->natts;
	rows->values = palloc0(sizeof(Datum) * (Size) n);
	rows->isnull = palloc0(sizeof(bool) * (Size) n);
}

static void
check_options(const Planning *planning)
{
	const IdlaOptions *options = planning->options;
	const ListCell *cell;

	require_column(planning->source, options->entity, "entity");
	require_column(planning->source, options->series_time, "time");
	require_column(planning->source, options->label_at, "label_at");
	require_column(planning->source, options->series_name, "series.name");
	require_column(planning->source, options->series_value, "series.value");
	foreach(cell, options->series_static)
		require_column(planning->source, lfirst(cell), "series.static");
	for (int i = 0; i < options->n_overrides; i++)
		if (options->overrides[i].ignore)
			require_column(planning->source, options->overrides[i].name, "columns");
}

IdlaSeriesRows *
idla_series_open(const char *source, const IdlaOptions *options, const char *target, int task, IdlaWork *work)
{
	Planning	planning = {.options = options, .work = work, .context = CurrentMemoryContext};
	IdlaSeriesRows *rows = create_rows();
	char	  **names = NULL;
	int			n = 0;

	planning.rows = rows;
	planning.source = rows->source = describe_source(source);
	check_options(&planning);
	planning.entity = idla_attribute_find(planning.source, options->entity);
	idla_target_open(&planning.target, target, task, options, planning.source);
	sort_columns(&planning);
	if (options->series_name != NULL)
		names = idla_rows_words(source, options->series_name, options->series_value, &n);
	rows->rows = idla_rows_open_ordered(source, options->entity);
	if (options->series_name == NULL)
	{
		rows->waiting = tuplestore_begin_heap(false, false, work_mem);
		idla_rows_read_some(rows->rows, LOOK_ROWS, look, &planning);
		names = settle_channels(&planning, &n);
		order_passed(&planning);
	}
	set_gather(rows, make_series(&planning, names, n), planning.passed, options->on_bad_input == 1);
	return rows;
}

IdlaSeriesRows *
idla_series_open_model(const char *source, IdlaSeries *series, const IdlaColumns *columns, char **others, int n_others,
					   bool skip)
{
	IdlaSeriesRows *rows = create_rows();
	List	   *passed = idla_series_passed(columns);

	for (int i = 0; i < n_others; i++)
	{
		IdlaPassed *one = palloc(sizeof(IdlaPassed));

		*one = (IdlaPassed) {others[i], false};
		passed = lappend(passed, one);
	}
	rows->source = describe_source(source);
	if (idla_attribute_find(rows->source, series->entity) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the source has no column \"%s\", whose rows the model takes together", series->entity),
				 errdetail("The source has: %s.", idla_attribute_list(rows->source))));
	rows->rows = idla_rows_open_ordered(source, series->entity);
	set_gather(rows, series, passed, skip);
	return rows;
}

TupleDesc
idla_series_desc(const IdlaSeriesRows *rows)
{
	return idla_gather_desc(rows->gather);
}

IdlaSeries *
idla_series_of(const IdlaSeriesRows *rows)
{
	return rows->series;
}

/* ---- reading ---- */

static void
flush(IdlaSeriesRows *rows)
{
	MemoryContext caller;

	if (rows->events == NULL)
		return;
	caller = MemoryContextSwitchTo(rows->row_context);
	if (idla_events_finish(rows->gather, rows->events, rows->values, rows->isnull))
	{
		rows->take(rows->context, rows->values, rows->isnull);
		rows->n++;
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(rows->row_context);
	MemoryContextReset(rows->entity_context);
	rows->events = NULL;
}

static void
gather_row(void *context, const Datum *values, const bool *isnull)
{
	IdlaSeriesRows *rows = context;

	if (!idla_gather_has_entity(rows->gather, isnull))
	{
		idla_gather_counts(rows->gather)->n_no_entity++;
		return;
	}
	if (rows->events != NULL && !idla_events_same(rows->gather, rows->events, values, isnull))
		flush(rows);
	if (rows->events == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(rows->entity_context);

		rows->events = idla_events_create(rows->gather);
		MemoryContextSwitchTo(caller);
	}
	idla_events_add(rows->gather, rows->events, values, isnull);
}

static void
replay(IdlaSeriesRows *rows)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(rows->source, &TTSOpsMinimalTuple);

	while (tuplestore_gettupleslot(rows->waiting, true, false, slot))
	{
		slot_getallattrs(slot);
		gather_row(rows, slot->tts_values, slot->tts_isnull);
	}
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(rows->waiting);
	rows->waiting = NULL;
}

uint64
idla_series_read(IdlaSeriesRows *rows, void (*take) (void *context, const Datum *values, const bool *isnull), void *context)
{
	rows->take = take;
	rows->context = context;
	if (rows->waiting != NULL)
		replay(rows);
	idla_rows_read(rows->rows, gather_row, rows);
	flush(rows);
	return rows->n;
}

const IdlaGatherCounts *
idla_series_report(IdlaSeriesRows *rows)
{
	const IdlaGatherCounts *counts = idla_gather_counts(rows->gather);
	const IdlaSeries *series = rows->series;

	if (counts->n_no_entity > 0)
		ereport(NOTICE,
				(errmsg("rows without \"%s\" were left out: %llu", series->entity, (unsigned long long) counts->n_no_entity)));
	if (counts->n_bad > 0)
		ereport(NOTICE,
				(errmsg("rows without a usable time were left out: %llu", (unsigned long long) counts->n_bad)));
	if (counts->n_no_label > 0)
		ereport(NOTICE,
				(errmsg("entities without a prediction time were left out: %llu", (unsigned long long) counts->n_no_label)));
	if (counts->n_empty > 0)
		ereport(NOTICE,
				(errmsg("entities without any value up to their prediction time: %llu", (unsigned long long) counts->n_empty)));
	if (counts->n_late > 0)
		ereport(NOTICE,
				(errmsg("values after the prediction time were not looked at: %llu", (unsigned long long) counts->n_late)));
	return counts;
}

void
idla_series_close(IdlaSeriesRows *rows)
{
	idla_rows_close(rows->rows);
	MemoryContextDelete(rows->entity_context);
	MemoryContextDelete(rows->row_context);
}

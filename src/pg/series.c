/*
 * series.c: the rows of one entity into one row.
 *
 * Events are kept as they come and are only put into bins and statistics when all are known, sorted: so neither the order of
 * rows nor the plan of the query changes a bit of the answer, and the prediction time may be the last row's. What lies
 * after the prediction time is turned away as soon as that is known.
 */
#include "series_events.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "column.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"

#define MOST_EVENTS ((Size) 1 << 26)	/* of one entity: a gigabyte */
#define FIRST_EVENTS 32

/* ---- making ---- */

void
idla_series_check(IdlaSeries *series, IdlaWork *work)
{
	idla_check(work, learn_series_plan_check(work->session, &series->plan));
	idla_check(work, learn_series_entity_create(work->session, &series->plan, &series->scratch));
}

static IdlaPlace
find_place(TupleDesc desc, const char *name)
{
	IdlaPlace		place = {.attribute = -1};

	for (int i = 0; name != NULL && i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped || strcmp(NameStr(attribute->attname), name) != 0)
			continue;
		place.attribute = i;
		place.type = getBaseType(attribute->atttypid);
		place.length = attribute->attlen;
		place.by_value = attribute->attbyval;
	}
	return place;
}

static IdlaPlace
require_place(TupleDesc desc, const char *name)
{
	IdlaPlace		place = find_place(desc, name);

	if (name != NULL && place.attribute < 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the input has no column \"%s\"", name),
				 errdetail("The input has: %s.", idla_attribute_list(desc)),
				 errhint("Columns are matched by name; rename them in a subquery.")));
	return place;
}

static bool
is_moment(IdlaFamily family)
{
	return family == IDLA_FAMILY_DATE || family == IDLA_FAMILY_TIMESTAMP || family == IDLA_FAMILY_TIMESTAMPTZ;
}

IdlaClock
idla_clock_of(const char *column, Oid type)
{
	IdlaFamily	family = idla_type_family(type);

	if (is_moment(family))
		return IDLA_CLOCK_MOMENT;
	if (family == IDLA_FAMILY_INTERVAL)
		return IDLA_CLOCK_INTERVAL;
	if (family != IDLA_FAMILY_NUMBER)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("time \"%s\" is of type %s, which is no time", column, format_type_be(type)),
				 errhint("A date, a timestamp, an interval or a number tells when something was observed.")));
	return IDLA_CLOCK_NUMBER;
}

/* A zone is part of a moment, or of none: two clocks would differ by hours. */
static void
check_times(const IdlaGather *gather)
{
	const IdlaSeries *series = gather->series;
	bool		labelled = gather->label.attribute >= 0;
	IdlaClock	time = idla_clock_of(series->time, gather->time.type);
	IdlaClock	label = labelled ? idla_clock_of(series->label_at, gather->label.type) : time;

	if (time != series->clock)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("time \"%s\" is of type %s, and the model was trained with another kind of time", series->time,
						format_type_be(gather->time.type)),
				 errhint("Cast the column in the query, or train a new version.")));
	if (labelled && (time != label || (gather->time.type == TIMESTAMPTZOID) != (gather->label.type == TIMESTAMPTZOID)))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("time \"%s\" is of type %s and label_at \"%s\" of type %s", series->time,
						format_type_be(gather->time.type), series->label_at, format_type_be(gather->label.type)),
				 errhint("Both are counted alike: cast one in the source.")));
}

static void
check_value(const char *name, const IdlaPlace *place)
{
	IdlaFamily	family = idla_type_family(place->type);

	if (family != IDLA_FAMILY_NUMBER && family != IDLA_FAMILY_BOOLEAN)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" is of type %s, and the values of a series are numbers", name, format_type_be(place->type))));
}

static void
find_values(IdlaGather *gather)
{
	const LearnSeriesPlan *plan = &gather->series->plan;
	Oid			output;
	bool		is_varlena;

	if (gather->series->name != NULL)
	{
		gather->value = require_place(gather->source, gather->series->value);
		gather->name = require_place(gather->source, gather->series->name);
		check_value(gather->series->value, &gather->value);
		getTypeOutputInfo(gather->name.type, &output, &is_varlena);
		fmgr_info(output, &gather->name_output);
		return;
	}
	gather->channels = palloc0(sizeof(IdlaPlace) * (Size) plan->n_channels);
	for (int i = 0; i < plan->n_channels; i++)
	{
		gather->channels[i] = require_place(gather->source, plan->channels[i].name);
		check_value(plan->channels[i].name, &gather->channels[i]);
	}
}

/* Passed columns as they are, then statistics by channel, then bins. */
static void
describe(IdlaGather *gather, const List *passed)
{
	const IdlaSeries *series = gather->series;
	int			n_summaries = series->use != IDLA_USE_BINS ? series->plan.n_channels : 0;
	int			n = list_length(passed) + n_summaries + (series->field != NULL);
	ListCell   *cell;
	int			attribute = 0;

	if (n > MaxTupleAttributeNumber)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("%d channels and columns are more than %d", n, MaxTupleAttributeNumber),
				 errhint("Leave some out in the source, or use bins alone with the option series => {\"use\": \"bins\"}.")));
	gather->passed = palloc0(sizeof(IdlaPassedPlace) * (Size) Max(list_length(passed), 1));
	gather->desc = CreateTemplateTupleDesc(n);
	foreach(cell, passed)
	{
		const IdlaPassed *one = lfirst(cell);
		IdlaPassedPlace *place = &gather->passed[gather->n_passed++];

		place->place = require_place(gather->source, one->name);
		place->past = one->past;
		TupleDescCopyEntry(gather->desc, (AttrNumber) ++attribute, gather->source, (AttrNumber) (place->place.attribute + 1));
	}
	for (int i = 0; i < n_summaries; i++)
		TupleDescInitEntry(gather->desc, (AttrNumber) ++attribute, series->plan.channels[i].name, FLOAT4ARRAYOID, -1, 0);
	if (series->field != NULL)
		TupleDescInitEntry(gather->desc, (AttrNumber) ++attribute, series->field, FLOAT4ARRAYOID, -1, 0);
}

IdlaGather *
idla_gather_create(IdlaSeries *series, TupleDesc source, const List *passed, bool skip)
{
	IdlaGather *gather = palloc0(sizeof(IdlaGather));

	gather->series = series;
	gather->source = CreateTupleDescCopy(source);
	gather->skip = skip;
	gather->entity = find_place(source, series->entity);
	gather->time = require_place(source, series->time);
	gather->label = require_place(source, series->label_at);
	check_times(gather);
	find_values(gather);
	describe(gather, passed);
	return gather;
}

TupleDesc
idla_gather_desc(const IdlaGather *gather)
{
	return gather->desc;
}

IdlaGatherCounts *
idla_gather_counts(IdlaGather *gather)
{
	return &gather->counts;
}

/* The entity is one datum more than the passed ones. */
IdlaEvents *
idla_events_create(const IdlaGather *gather)
{
	Size		n = (Size) gather->n_passed + 1;
	IdlaEvents *events = palloc0(offsetof(IdlaEvents, values) + n * sizeof(Datum));

	events->context = CurrentMemoryContext;
	events->isnull = palloc(n * sizeof(bool));
	memset(events->isnull, true, n * sizeof(bool));
	events->last = -INFINITY;
	return events;
}

/* ---- rows ---- */

/* Which entity it is, for a message; where the rows that an aggregate gets do not tell, only that it is one. */
static char *
entity_words(const IdlaGather *gather, const IdlaEvents *events)
{
	Oid			output;
	bool		is_varlena;

	if (gather->entity.attribute < 0 || events->isnull[gather->n_passed])
		return psprintf("one \"%s\"", gather->series->entity);
	getTypeOutputInfo(gather->entity.type, &output, &is_varlena);
	return psprintf("\"%s\" %s", gather->series->entity, OidOutputFunctionCall(output, events->values[gather->n_passed]));
}

bool
idla_gather_has_entity(const IdlaGather *gather, const bool *isnull)
{
	return gather->entity.attribute < 0 || !isnull[gather->entity.attribute];
}

bool
idla_events_same(const IdlaGather *gather, const IdlaEvents *events, const Datum *values, const bool *isnull)
{
	const IdlaPlace *entity = &gather->entity;

	if (entity->attribute < 0 || !events->begun)
		return true;
	if (isnull[entity->attribute] || events->isnull[gather->n_passed])
		return isnull[entity->attribute] == events->isnull[gather->n_passed];
	return datum_image_eq(events->values[gather->n_passed], values[entity->attribute], entity->by_value,
						  entity->length);
}

/* A copy that lives as long as the events; what else a row needs goes with the row. */
static Datum
keep_value(const IdlaEvents *events, const IdlaPlace *place, Datum value)
{
	MemoryContext caller = MemoryContextSwitchTo(events->context);
	Datum		copy = datumCopy(value, place->by_value, place->length);

	MemoryContextSwitchTo(caller);
	return copy;
}

void
idla_events_begin(const IdlaGather *gather, IdlaEvents *events, Datum entity, bool isnull)
{
	events->begun = true;
	if (gather->entity.attribute < 0 || isnull)
		return;
	events->isnull[gather->n_passed] = false;
	events->values[gather->n_passed] = keep_value(events, &gather->entity, entity);
}

void
idla_events_require_same(const IdlaGather *gather, bool same)
{
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_GROUPING_ERROR),
				 errmsg("rows of several \"%s\" are taken for one", gather->series->entity),
				 errhint("Group the query by it: ... GROUP BY %s.", quote_identifier(gather->series->entity))));
}

/* A moment, or NaN for one that cannot be used. */
static double
moment_of(const IdlaPlace *place, const Datum *values, const bool *isnull)
{
	double		moment = isnull[place->attribute] ? NAN : idla_datum_to_double(values[place->attribute], place->type);

	return isfinite(moment) ? moment : NAN;
}

void
idla_events_label(const IdlaGather *gather, IdlaEvents *events, double label)
{
	if (events->has_label && events->label != label)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("label_at \"%s\" varies within %s", gather->series->label_at, entity_words(gather, events)),
				 errhint("Each entity has one prediction time: give several of them different entities, such as patient and day.")));
	events->has_label = true;
	events->label = label;
}

void
idla_events_keep(const IdlaGather *gather, IdlaEvents *events, int i, Datum value)
{
	const IdlaPassedPlace *passed = &gather->passed[i];
	const IdlaPlace *place = &passed->place;

	if (events->isnull[i])
	{
		events->isnull[i] = false;
		events->values[i] = keep_value(events, place, value);
	}
	else if (!datum_image_eq(events->values[i], value, place->by_value, place->length))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("column \"%s\" varies within %s", NameStr(TupleDescAttr(gather->desc, i)->attname),
						entity_words(gather, events)),
				 errdetail("Only numbers with a time may vary; everything else belongs to the entity as a whole."),
				 !passed->past ? errhint("Targets, groups and parts are said once for each \"%s\".", gather->series->entity) :
				 errhint("Leave the column out with the option columns => {\"%s\": \"ignore\"}, or make it constant in the source.",
						 NameStr(TupleDescAttr(gather->desc, i)->attname))));
}

static void
take_passed(const IdlaGather *gather, IdlaEvents *events, bool past, const Datum *values, const bool *isnull)
{
	for (int i = 0; i < gather->n_passed; i++)
	{
		int			attribute = gather->passed[i].place.attribute;

		if (!isnull[attribute] && (past || !gather->passed[i].past))
			idla_events_keep(gather, events, i, values[attribute]);
	}
}

void
idla_events_reserve(const IdlaGather *gather, IdlaEvents *events, Size n)
{
	Size		capacity = Max(events->capacity, FIRST_EVENTS);

	if (events->n + n <= events->capacity)
		return;
	if (events->n + n > MOST_EVENTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s has more than %zu values", entity_words(gather, events), MOST_EVENTS),
				 errhint("Take averages over seconds or minutes in the source.")));
	while (capacity < events->n + n)
		capacity *= 2;
	events->events = events->events == NULL ? MemoryContextAllocHuge(events->context, capacity * sizeof(IdlaEvent)) :
		repalloc_huge(events->events, capacity * sizeof(IdlaEvent));
	events->capacity = capacity;
}

static void
add_event(const IdlaGather *gather, IdlaEvents *events, double time, int channel, double value)
{
	float		narrow = (float) value;

	if (!isfinite(narrow))
		return;
	if (events->has_label && time > events->label)
	{
		events->late++;
		return;
	}
	idla_events_reserve(gather, events, 1);
	events->events[events->n++] = (IdlaEvent) {time, channel, narrow};
}

static void
add_pair(IdlaGather *gather, IdlaEvents *events, double time, const Datum *values, const bool *isnull)
{
	char	   *name;
	int			channel;

	if (isnull[gather->name.attribute] || isnull[gather->value.attribute])
		return;
	name = OutputFunctionCall(&gather->name_output, values[gather->name.attribute]);
	channel = learn_series_channel(&gather->series->plan, name, strlen(name));
	pfree(name);
	/* A name that training has not seen means nothing to the model. */
	if (channel >= 0)
		add_event(gather, events, time, channel, idla_datum_to_double(values[gather->value.attribute], gather->value.type));
}

static void
complain_time(const IdlaGather *gather, const IdlaEvents *events, const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("time \"%s\" of %s is NULL or not finite", column, entity_words(gather, events)),
			 errhint("Leave such rows out with the option \"on_bad_input\": \"skip\", or with a WHERE in the source.")));
}

void
idla_events_add(IdlaGather *gather, IdlaEvents *events, const Datum *values, const bool *isnull)
{
	double		time = moment_of(&gather->time, values, isnull);
	double		label = gather->label.attribute < 0 ? NAN : moment_of(&gather->label, values, isnull);
	bool		past = gather->label.attribute < 0 || time <= label;
	int			entity = gather->entity.attribute;

	gather->counts.n_rows++;
	idla_events_require_same(gather, idla_events_same(gather, events, values, isnull));
	if (!events->begun)
		idla_events_begin(gather, events, entity < 0 ? (Datum) 0 : values[entity], entity < 0 || isnull[entity]);
	if (!isnan(label))
		idla_events_label(gather, events, label);
	else if (gather->label.attribute >= 0 && !isnull[gather->label.attribute] && !gather->skip)
		complain_time(gather, events, gather->series->label_at);
	if (isnan(time))
	{
		if (!gather->skip)
			complain_time(gather, events, gather->series->time);
		gather->counts.n_bad++;
		return;
	}
	take_passed(gather, events, past, values, isnull);
	events->last = Max(events->last, time);
	if (gather->series->name != NULL)
	{
		add_pair(gather, events, time, values, isnull);
		return;
	}
	for (int i = 0; i < gather->series->plan.n_channels; i++)
	{
		const IdlaPlace *place = &gather->channels[i];

		if (!isnull[place->attribute])
			add_event(gather, events, time, i, idla_datum_to_double(values[place->attribute], place->type));
	}
}

/* ---- the gathered row ---- */

static int
compare_events(const void *a, const void *b)
{
	const IdlaEvent *left = a;
	const IdlaEvent *right = b;

	if (left->time != right->time)
		return left->time < right->time ? -1 : 1;
	if (left->channel != right->channel)
		return left->channel < right->channel ? -1 : 1;
	return left->value < right->value ? -1 : left->value > right->value;
}

/* A one-dimensional float4 array; the caller fills it. */
static ArrayType *
make_array(Size n, float4 **values)
{
	Size		size = ARR_OVERHEAD_NONULLS(1) + n * sizeof(float4);
	ArrayType  *array = palloc0(size);

	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->elemtype = FLOAT4OID;
	ARR_DIMS(array)[0] = (int) n;
	ARR_LBOUND(array)[0] = 1;
	*values = (float4 *) ARR_DATA_PTR(array);
	return array;
}

static void
put_summaries(const IdlaSeries *series, Datum *values)
{
	Size		n = (Size) series->plan.n_channels * LEARN_SERIES_STATISTICS;
	float	   *statistics = palloc(n * sizeof(float));

	learn_series_summarise(series->scratch, statistics);
	for (int i = 0; i < series->plan.n_channels; i++)
	{
		float4	   *part;

		values[i] = PointerGetDatum(make_array(LEARN_SERIES_STATISTICS, &part));
		memcpy(part, statistics + i * LEARN_SERIES_STATISTICS, LEARN_SERIES_STATISTICS * sizeof(float));
	}
	pfree(statistics);
}

bool
idla_events_finish(IdlaGather *gather, IdlaEvents *events, Datum *values, bool *isnull)
{
	IdlaSeries *series = gather->series;
	LearnSeriesCounts counts;
	LearnTrouble trouble;
	int			column = gather->n_passed;

	if (series->label_at != NULL ? !events->has_label : !isfinite(events->last))
	{
		gather->counts.n_no_label++;
		return false;
	}
	if (events->n > 1)
		qsort(events->events, events->n, sizeof(IdlaEvent), compare_events);
	learn_series_begin(series->scratch, events->has_label ? events->label : events->last);
	for (Size i = 0; i < events->n; i++)
	{
		const IdlaEvent *event = &events->events[i];

		if (learn_series_add(series->scratch, event->time, event->channel, event->value, &trouble) != DEV_OK)
			idla_raise_trouble(&trouble);
	}
	counts = learn_series_counts(series->scratch);
	gather->counts.n_events += counts.used;
	gather->counts.n_late += counts.late + events->late;
	gather->counts.n_empty += counts.used == 0;

	memcpy(values, events->values, sizeof(Datum) * (Size) gather->n_passed);
	memcpy(isnull, events->isnull, sizeof(bool) * (Size) gather->n_passed);
	memset(isnull + gather->n_passed, false, sizeof(bool) * (Size) (gather->desc->natts - gather->n_passed));
	if (series->use != IDLA_USE_BINS)
	{
		put_summaries(series, values + column);
		column += series->plan.n_channels;
	}
	if (series->field != NULL)
	{
		float4	   *stored;

		values[column] = PointerGetDatum(make_array(learn_series_stored_size(&series->plan), &stored));
		learn_series_store(series->scratch, stored);
	}
	return true;
}

/* ---- columns ---- */

List *
idla_series_passed(const IdlaColumns *columns)
{
	List	   *passed = NIL;

	for (int i = 0; i < columns->n; i++)
	{
		IdlaPassed *one;

		if (columns->columns[i].kind == IDLA_SERIES || columns->columns[i].kind == IDLA_SUMMARY || !idla_column_used(columns, i))
			continue;
		one = palloc(sizeof(IdlaPassed));
		*one = (IdlaPassed) {columns->columns[i].name, true};
		passed = lappend(passed, one);
	}
	return passed;
}

void
idla_series_mark(IdlaColumns *columns, IdlaSeries *series)
{
	columns->series = series;
	for (int i = 0; i < columns->n; i++)
	{
		IdlaColumn *column = &columns->columns[i];

		if (column->type != FLOAT4ARRAYOID)
			continue;
		if (series->field != NULL && strcmp(column->name, series->field) == 0)
			column->kind = IDLA_SERIES;
		else if (series->use != IDLA_USE_BINS && learn_series_channel(&series->plan, column->name, strlen(column->name)) >= 0)
		{
			column->kind = IDLA_SUMMARY;
			column->array_length = LEARN_SERIES_STATISTICS;
		}
	}
}

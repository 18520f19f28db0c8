/*
 * option_series.c: the options of long rows: entity, time, label_at, series.
 *
 * Survival has a time of its own. Where there is an entity and no "event", option time is that of the rows; beside an
 * event it stays survival's, and the rows' is said in option series.
 */
#include "series.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#define WIDTH "series.width"
#define MOST_BINS 4096			/* a recurrence walks through them one by one */

const char *const idla_series_use_names[] = {"both", "bins", "summary", NULL};
static const char *const series_keys[] = {"time", "value", "name", "bins", "width", "use", "average", "static", NULL};

static char *
text_of(const char *name, const JsonbValue *value)
{
	if (value->type != jbvString)
		idla_option_complain(name, value, "a string");
	return idla_option_text(value);
}

/* A number in the unit of the time, or an interval as text. */
static void
read_width(IdlaOptions *options, const JsonbValue *value)
{
	Interval   *interval;

	if (value->type == jbvNumeric)
	{
		options->series_width = idla_option_number(WIDTH, value, 1e-9, 1e12, false);
		return;
	}
	interval = DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(text_of(WIDTH, value)),
													 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	options->series_width = idla_datum_to_double(IntervalPGetDatum(interval), INTERVALOID);
	options->series_width_is_time = true;
	if (!(options->series_width > 0 && isfinite(options->series_width)))
		idla_option_complain(WIDTH, value, "a positive interval");
}

static void
read_static(IdlaOptions *options, const JsonbValue *value)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	item;

	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		idla_option_complain("series.static", value, "an array of column names");
	options->series_static_given = true;
	iterator = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
		if (token == WJB_ELEM)
			options->series_static = lappend(options->series_static, text_of("series.static", &item));
}

void
idla_series_options_read(IdlaOptions *options, const JsonbValue *value)
{
	JsonbIterator *iterator = JsonbIteratorInit(idla_option_object("series", value, "an object"));
	JsonbIteratorToken token;
	JsonbValue	item;
	char	   *key = NULL;

	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = idla_option_text(&item);
		if (token != WJB_VALUE || item.type == jbvNull)
			continue;
		if (strcmp(key, "time") == 0)
			options->series_time = text_of("series.time", &item);
		else if (strcmp(key, "value") == 0)
			options->series_value = text_of("series.value", &item);
		else if (strcmp(key, "name") == 0)
			options->series_name = text_of("series.name", &item);
		else if (strcmp(key, "bins") == 0)
			options->series_bins = (int) idla_option_number("series.bins", &item, 1, MOST_BINS, true);
		else if (strcmp(key, "width") == 0)
			read_width(options, &item);
		else if (strcmp(key, "use") == 0)
			options->series_use = idla_option_word("series.use", &item, idla_series_use_names);
		else if (strcmp(key, "average") == 0)
			options->series_average = idla_option_boolean("series.average", &item);
		else if (strcmp(key, "static") == 0)
			read_static(options, &item);
		else
			idla_option_unknown("key of option \"series\":", key, series_keys);
	}
}

static void
complain_series(const char *message, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s", message),
			 errhint("%s", hint)));
}

/* Time is that of the events, unless there is an event of survival, which has a time of its own. */
void
idla_series_options_check(IdlaOptions *options)
{
	if (options->entity == NULL)
	{
		if (options->label_at != NULL || options->series_time != NULL || options->series_value != NULL ||
			options->series_bins > 0 || options->series_width > 0 || options->series_static_given ||
			options->series_use > 0 || !options->series_average)
			complain_series("options \"label_at\" and \"series\" are for entities",
							"Name the column of the patient or stay with the option \"entity\".");
		return;
	}
	if (options->series_time == NULL && options->event == NULL)
	{
		options->series_time = options->time;
		options->time = NULL;
	}
	/* Tokens have an order instead; whether the task is tagging is known later. */
	if (options->series_time == NULL && options->order_by == NULL)
		complain_series("option \"entity\" needs the time of the rows",
						"Name its column with the option \"time\", or beside an \"event\" with series => {\"time\": ...}.");
	if ((options->series_name == NULL) != (options->series_value == NULL))
		complain_series("\"name\" and \"value\" of option \"series\" go together",
						"Rows are (name, value) pairs, or the numeric columns are the channels.");
}

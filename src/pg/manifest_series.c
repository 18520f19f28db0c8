/*
 * manifest_series.c: how long rows are gathered, out of a manifest that anyone may have written.
 */
#include "manifest.h"

#include <math.h>

#include "series.h"

static void
read_channels(IdlaModel *model, JsonbContainer *object, LearnSeriesPlan *plan)
{
	JsonbValue *values = idla_json_array(object, "channels", 1, LEARN_SERIES_MOST_CHANNELS, &plan->n_channels);

	plan->channels = idla_keep(model->work, (size_t) plan->n_channels, sizeof(LearnSeriesChannel));
	for (int i = 0; i < plan->n_channels; i++)
	{
		JsonbContainer *channel = idla_json_object_of(&values[i], "channels");

		plan->channels[i].name = idla_keep_string(model->work, idla_json_string(channel, "name", true));
		if (strlen(plan->channels[i].name) >= NAMEDATALEN)
			idla_corrupt("Channel \"%s\" has too long a name", plan->channels[i].name);
		plan->channels[i].n = (uint64_t) idla_json_integer(channel, "n", 0, PG_INT64_MAX);
		plan->channels[i].deviation = 1;
	}
}

static void
read_plan(IdlaModel *model, JsonbContainer *object, LearnSeriesPlan *plan)
{
	plan->n_bins = (size_t) idla_json_integer(object, "bins", 1, 65536);
	plan->width = idla_json_double(object, "width");
	plan->start = -plan->width * (double) plan->n_bins;
	plan->average = idla_json_bool(object, "average");
	read_channels(model, object, plan);
	/* Bounds before memory is taken. */
	idla_check_stored(model->work, learn_series_plan_check(model->work->session, plan), "The series cannot be");
}

/* Every column of statistics is a channel's, in the order of channels, and the bins are where the series says. */
static void
check_columns(const IdlaModel *model, const IdlaSeries *series)
{
	int			summaries = 0;
	int			fields = 0;

	for (int i = 0; i < model->columns.n; i++)
	{
		const IdlaColumn *column = &model->columns.columns[i];

		if (column->kind == IDLA_SUMMARY && (series == NULL || series->use == IDLA_USE_BINS ||
											 learn_series_channel(&series->plan, column->name, strlen(column->name)) < 0))
			idla_corrupt("Column \"%s\" is no channel of the series", column->name);
		if (column->kind == IDLA_SERIES && (series == NULL || series->field == NULL || strcmp(series->field, column->name) != 0))
			idla_corrupt("Column \"%s\" does not hold the series", column->name);
		summaries += column->kind == IDLA_SUMMARY;
		fields += column->kind == IDLA_SERIES;
	}
	if (series == NULL)
		return;
	if (summaries != (series->use == IDLA_USE_BINS ? 0 : series->plan.n_channels) || fields != (series->field != NULL) ||
		fields != (series->use != IDLA_USE_SUMMARY))
		idla_corrupt("The columns are not those that the series makes");
}

static IdlaSeriesUse
read_use(JsonbContainer *object)
{
	char	   *word = idla_json_string(object, "use", true);
	int			found = learn_name_find(idla_series_use_names, word);

	if (found < 0)
		idla_corrupt("Key \"use\" is \"%s\", which this idla does not know", word);
	return (IdlaSeriesUse) found;
}

void
idla_series_manifest(IdlaModel *model, JsonbContainer *root)
{
	JsonbValue *value = idla_json_find(root, "series");
	IdlaSeries *series = NULL;

	if (value != NULL)
	{
		JsonbContainer *object = idla_json_object_of(value, "series");

		series = idla_keep(model->work, 1, sizeof(IdlaSeries));
		series->entity = idla_keep_string(model->work, idla_json_string(object, "entity", true));
		series->time = idla_keep_string(model->work, idla_json_string(object, "time", true));
		series->label_at = idla_keep_string(model->work, idla_json_string(object, "label_at", false));
		series->value = idla_keep_string(model->work, idla_json_string(object, "value", false));
		series->name = idla_keep_string(model->work, idla_json_string(object, "name", false));
		series->field = idla_keep_string(model->work, idla_json_string(object, "field", false));
		if ((series->value == NULL) != (series->name == NULL))
			idla_corrupt("The series has a name without a value, or the other way round");
		series->clock = (IdlaClock) idla_json_integer(object, "clock", IDLA_CLOCK_NUMBER, IDLA_CLOCK_INTERVAL);
		series->use = read_use(object);
		read_plan(model, object, &series->plan);
		idla_series_check(series, model->work);
	}
	model->columns.series = series;
	check_columns(model, series);
}

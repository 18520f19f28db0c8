/*
 * manifest.c: a model as jsonb, all of it but the weights.
 *
 * The manifest is what predicting needs: columns, fitted channels, networks in
 * words, calibration. Numbers are printed with as many digits as bring the same bits
 * back. Reading it is manifest_read.c; both change together, and with them IDLA_FORMAT.
 */
#include "manifest.h"

#include <math.h>

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

static void
key(StringInfo out, const char *name)
{
	char		last = out->len > 0 ? out->data[out->len - 1] : '{';

	if (last != '{' && last != '[')
		appendStringInfoChar(out, ',');
	appendStringInfo(out, "\"%s\":", name);
}

static void
put_string(StringInfo out, const char *name, const char *value)
{
	if (value == NULL)
		return;
	key(out, name);
	escape_json(out, value);
}

static void
put_integer(StringInfo out, const char *name, int64 value)
{
	key(out, name);
	appendStringInfo(out, "%lld", (long long) value);
}

static void
put_bool(StringInfo out, const char *name, bool value)
{
	key(out, name);
	appendStringInfoString(out, value ? "true" : "false");
}

/* What is not finite has no place in JSON, and is nothing that a used channel could have. */
static void
number(StringInfo out, double value, int digits)
{
	if (isfinite(value))
		appendStringInfo(out, "%.*g", digits, value);
	else
		appendStringInfoString(out, "0");
}

static void
put_double(StringInfo out, const char *name, double value)
{
	key(out, name);
	number(out, value, 17);
}

static void
put_float(StringInfo out, const char *name, float value)
{
	key(out, name);
	number(out, value, 9);
}

static void
put_doubles(StringInfo out, const char *name, const double *values, size_t n)
{
	key(out, name);
	appendStringInfoChar(out, '[');
	for (size_t i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		number(out, values[i], 17);
	}
	appendStringInfoChar(out, ']');
}

static void
put_strings(StringInfo out, const char *name, char *const *values, int n)
{
	key(out, name);
	appendStringInfoChar(out, '[');
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		escape_json(out, values[i]);
	}
	appendStringInfoChar(out, ']');
}

static void
open_array(StringInfo out, const char *name)
{
	key(out, name);
	appendStringInfoChar(out, '[');
}

static void
open_object(StringInfo out)
{
	if (out->data[out->len - 1] != '[')
		appendStringInfoChar(out, ',');
	appendStringInfoChar(out, '{');
}

static void
put_columns(StringInfo out, const IdlaColumns *columns)
{
	open_array(out, "columns");
	for (int i = 0; i < columns->n; i++)
	{
		const IdlaColumn *column = &columns->columns[i];

		open_object(out);
		put_string(out, "name", column->name);
		put_string(out, "type", column->type_name);
		put_integer(out, "kind", column->kind);
		put_string(out, "reference", column->reference);
		if (column->kind == IDLA_ARRAY)
			put_integer(out, "length", column->array_length);
		appendStringInfoChar(out, '}');
	}
	appendStringInfoChar(out, ']');
}

static void
put_number_channel(StringInfo out, const LearnChannel *channel)
{
	put_float(out, "minimum", channel->minimum);
	put_float(out, "maximum", channel->maximum);
	put_float(out, "fill", channel->fill);
	put_float(out, "center", channel->center);
	put_float(out, "scale", channel->scale);
	put_bool(out, "indicator", channel->indicator);
	if (channel->n_quantiles > 0)
	{
		open_array(out, "quantiles");
		for (int i = 0; i < channel->n_quantiles; i++)
		{
			if (i > 0)
				appendStringInfoChar(out, ',');
			number(out, channel->quantiles[i], 9);
		}
		appendStringInfoChar(out, ']');
	}
}

static void
put_channels(StringInfo out, const IdlaColumns *columns)
{
	open_array(out, "channels");
	for (int i = 0; i < columns->n_channels; i++)
	{
		const LearnChannel *channel = &columns->channels[i];

		open_object(out);
		put_integer(out, "use", channel->use);
		put_string(out, "scaling", learn_scaling_names[channel->scaling]);
		put_double(out, "missing", channel->missing);
		if (channel->kind == LEARN_CATEGORY)
		{
			put_strings(out, "categories", channel->categories, channel->n_categories);
			put_bool(out, "has_other", channel->has_other);
			put_bool(out, "has_missing", channel->has_missing);
		}
		else
			put_number_channel(out, channel);
		put_integer(out, "number_input", channel->number_input);
		put_integer(out, "indicator_input", channel->indicator_input);
		put_integer(out, "code_input", channel->code_input);
		appendStringInfoChar(out, '}');
	}
	appendStringInfoChar(out, ']');
}

static const char *
activation_name(int activation)
{
	for (int i = 0; learn_activation_names[i] != NULL; i++)
		if (learn_activation_map(i) == activation)
			return learn_activation_names[i];
	return NULL;
}

static void
put_nets(StringInfo out, const LearnModel *model)
{
	open_array(out, "nets");
	for (int i = 0; i < model->n_nets; i++)
	{
		const LearnNetwork *network = &model->nets[i].network;

		open_object(out);
		put_string(out, "architecture", learn_architecture_names[network->architecture]);
		put_string(out, "layers", network->layers);
		put_integer(out, "depth", network->depth);
		put_integer(out, "width", network->width);
		put_integer(out, "members", network->members);
		put_string(out, "activation", activation_name(network->activation));
		put_float(out, "dropout", network->dropout);
		put_string(out, "embedding", learn_embedding_names[network->embedding]);
		put_integer(out, "bins", network->bins);
		put_integer(out, "embedding_width", network->embedding_width);
		put_integer(out, "n_outputs", (int64) network->n_outputs);
		open_array(out, "cardinality");
		for (size_t c = 0; c < network->n_codes; c++)
			appendStringInfo(out, "%s%d", c > 0 ? "," : "", network->cardinality[c]);
		appendStringInfoString(out, "]}");
	}
	appendStringInfoChar(out, ']');
}

static void
put_answers(StringInfo out, const LearnModel *model)
{
	size_t		outputs = learn_model_outputs(model);

	if (model->n_classes > 0)
	{
		put_strings(out, "classes", model->classes, model->n_classes);
		put_integer(out, "positive", model->positive);
	}
	put_integer(out, "n_targets", model->n_targets);
	if (model->task == LEARN_REGRESSION)
	{
		put_doubles(out, "target_mean", model->target_mean, (size_t) model->n_targets);
		put_doubles(out, "target_scale", model->target_scale, (size_t) model->n_targets);
	}
	put_double(out, "temperature", model->temperature);
	if (model->offset != NULL)
		put_doubles(out, "offset", model->offset, outputs);
	if (model->task == LEARN_SURVIVAL)
	{
		put_doubles(out, "hazard_time", model->hazard_time, (size_t) model->n_hazard);
		put_doubles(out, "hazard", model->hazard, (size_t) model->n_hazard);
	}
}

static Jsonb *
parse(const StringInfoData *text)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text->data)));
}

Jsonb *
idla_manifest_build(const IdlaModel *model, Jsonb *extra)
{
	StringInfoData out;
	Jsonb	   *manifest;
	char		hex[65];

	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	put_integer(&out, "format", IDLA_FORMAT);
	put_string(&out, "task", learn_task_names[model->learn.task]);
	put_string(&out, "target", model->target);
	put_string(&out, "time_column", model->time_column);
	put_string(&out, "event_column", model->event_column);
	put_columns(&out, &model->columns);
	put_channels(&out, &model->columns);
	put_integer(&out, "n_numbers", (int64) model->learn.n_numbers);
	put_integer(&out, "n_codes", (int64) model->learn.n_codes);
	put_answers(&out, &model->learn);
	put_nets(&out, &model->learn);
	put_string(&out, "weights_sha256", model->digest);
	appendStringInfoChar(&out, '}');
	manifest = parse(&out);
	if (extra != NULL)
		manifest = DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(extra), JsonbPGetDatum(manifest)));

	idla_manifest_digest(manifest, hex);
	resetStringInfo(&out);
	appendStringInfo(&out, "{\"sha256\":\"%s\"}", hex);
	manifest = DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(manifest), JsonbPGetDatum(parse(&out))));
	pfree(out.data);
	return manifest;
}

/*
 * manifest.c: a model as jsonb, all of it but the weights.
 *
 * The manifest is what predicting needs: columns, fitted channels, networks in
 * words, calibration. Numbers are printed with as many digits as bring the same bits
 * back. Reading it is manifest_read.c; both change together, and with them IDLA_FORMAT.
 */
#include "manifest.h"
#include "conformal.h"
#include "profile.h"
#include "series.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

static void
put_columns(StringInfo out, const IdlaColumns *columns)
{
	idla_json_open_array(out, "columns");
	for (int i = 0; i < columns->n; i++)
	{
		const IdlaColumn *column = &columns->columns[i];

		idla_json_open_object(out);
		idla_json_put_string(out, "name", column->name);
		idla_json_put_string(out, "type", column->type_name);
		idla_json_put_integer(out, "kind", column->kind);
		idla_json_put_string(out, "reference", column->reference);
		if (OidIsValid(column->reference_type))
			idla_json_put_string(out, "reference_type", format_type_be(column->reference_type));
		if (column->kind == IDLA_ARRAY)
			idla_json_put_integer(out, "length", column->array_length);
		appendStringInfoChar(out, '}');
	}
	appendStringInfoChar(out, ']');
}

static void
put_number_channel(StringInfo out, const LearnChannel *channel)
{
	idla_json_put_float(out, "minimum", channel->minimum);
	idla_json_put_float(out, "maximum", channel->maximum);
	idla_json_put_float(out, "fill", channel->fill);
	idla_json_put_float(out, "center", channel->center);
	idla_json_put_float(out, "scale", channel->scale);
	idla_json_put_bool(out, "indicator", channel->indicator);
	if (channel->n_quantiles > 0)
	{
		idla_json_open_array(out, "quantiles");
		for (int i = 0; i < channel->n_quantiles; i++)
		{
			if (i > 0)
				appendStringInfoChar(out, ',');
			idla_json_number_float(out, channel->quantiles[i]);
		}
		appendStringInfoChar(out, ']');
	}
}

static void
put_channels(StringInfo out, const IdlaColumns *columns)
{
	idla_json_open_array(out, "channels");
	for (int i = 0; i < columns->n_channels; i++)
	{
		const LearnChannel *channel = &columns->channels[i];

		idla_json_open_object(out);
		idla_json_put_integer(out, "use", channel->use);
		idla_json_put_string(out, "scaling", learn_scaling_names[channel->scaling]);
		idla_json_put_double(out, "missing", channel->missing);
		if (channel->kind == LEARN_CATEGORY)
		{
			idla_json_put_strings(out, "categories", channel->categories, channel->n_categories);
			idla_json_put_bool(out, "has_other", channel->has_other);
			idla_json_put_bool(out, "has_missing", channel->has_missing);
		}
		else
			put_number_channel(out, channel);
		idla_json_put_integer(out, "number_input", channel->number_input);
		idla_json_put_integer(out, "indicator_input", channel->indicator_input);
		idla_json_put_integer(out, "code_input", channel->code_input);
		appendStringInfoChar(out, '}');
	}
	appendStringInfoChar(out, ']');
}

static void
put_floats(StringInfo out, const char *name, const float *values, size_t n)
{
	idla_json_open_array(out, name);
	for (size_t i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		idla_json_number_float(out, values[i]);
	}
	appendStringInfoChar(out, ']');
}

/* Pieces, words and labels are UTF-8; the manifest is in the server's encoding. */
static void
put_texts(StringInfo out, const char *name, int n, const char *(*text_of) (const void *owner, int i), const void *owner)
{
	char	  **texts = palloc(sizeof(char *) * (Size) Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		const char *text = text_of(owner, i);

		texts[i] = pg_any_to_server(text, (int) strlen(text), PG_UTF8);
	}
	idla_json_put_strings(out, name, texts, n);
	pfree(texts);
}

static const char *
piece_text(const void *vocabulary, int i)
{
	return learn_vocabulary_piece(vocabulary, i, NULL);
}

typedef struct LexiconTable
{
	const LearnLexicon *lexicon;
	LearnLexiconTable table;
} LexiconTable;

static const char *
entry_text(const void *owner, int i)
{
	const LexiconTable *table = owner;

	return learn_lexicon_entry(table->lexicon, table->table, i + IDLA_LEXICON_FIRST, NULL);
}

static const char *
label_text(const void *labels, int i)
{
	return learn_labels_text(labels, i);
}

static void
put_text_field(StringInfo out, const LearnField *field)
{
	idla_json_put_bool(out, "lowercase", field->lowercase);
	idla_json_put_integer(out, "kept", field->kept);
	idla_json_put_bool(out, "tagged", field->tagged);
	if (!field->tagged)
	{
		put_texts(out, "pieces", (int) learn_vocabulary_size(field->vocabulary), piece_text, field->vocabulary);
		return;
	}
	idla_json_put_integer(out, "characters", (int64) field->characters);
	for (int i = 0; i < LEARN_TABLES; i++)
	{
		LexiconTable table = {field->lexicon, (LearnLexiconTable) i};

		put_texts(out, idla_lexicon_keys[i], (int) learn_lexicon_size(field->lexicon, table.table) - IDLA_LEXICON_FIRST,
				  entry_text, &table);
	}
	put_texts(out, "labels", learn_labels_size(field->labels), label_text, field->labels);
}

static void
put_fields(StringInfo out, const LearnModel *model)
{
	if (model->n_fields == 0)
		return;
	idla_json_open_array(out, "fields");
	for (int i = 0; i < model->n_fields; i++)
	{
		const LearnField *field = &model->fields[i];

		idla_json_open_object(out);
		idla_json_put_integer(out, "kind", field->kind);
		idla_json_put_integer(out, "column", field->column);
		idla_json_put_integer(out, "sample", field->sample);
		idla_json_open_array(out, "dims");
		appendStringInfo(out, "%zu,%zu,%zu]", field->dims[0], field->dims[1], field->dims[2]);
		idla_json_put_bool(out, "same_size", field->same_size);
		idla_json_put_bool(out, "same_depth", field->same_depth);
		idla_json_put_integer(out, "fitting", field->fitting);
		idla_json_open_array(out, "crop");
		appendStringInfo(out, "%zu,%zu]", field->crop[0], field->crop[1]);
		idla_json_put_integer(out, "keep", field->keep);
		if (field->stride > 0)
			idla_json_put_integer(out, "stride", (int64) field->stride);
		idla_json_put_double(out, "rate", field->rate);
		idla_json_put_double(out, "to_rate", field->to_rate);
		idla_json_put_integer(out, "scaling", field->scaling);
		if (field->kind == LEARN_TEXT)
			put_text_field(out, field);
		put_floats(out, "center", field->center, learn_field_depth(field));
		put_floats(out, "scale", field->scale, learn_field_depth(field));
		appendStringInfoChar(out, '}');
	}
	appendStringInfoChar(out, ']');
}

/* How rows are gathered, and what training has learned of the channels beside the field's centers and scales. */
static void
put_series(StringInfo out, const IdlaSeries *series)
{
	if (series == NULL)
		return;
	idla_json_key(out, "series");
	appendStringInfoChar(out, '{');
	idla_json_put_string(out, "entity", series->entity);
	idla_json_put_string(out, "time", series->time);
	idla_json_put_string(out, "label_at", series->label_at);
	idla_json_put_string(out, "value", series->value);
	idla_json_put_string(out, "name", series->name);
	idla_json_put_string(out, "field", series->field);
	idla_json_put_integer(out, "clock", series->clock);
	idla_json_put_string(out, "use", idla_series_use_names[series->use]);
	idla_json_put_integer(out, "bins", (int64) series->plan.n_bins);
	idla_json_put_double(out, "width", series->plan.width);
	idla_json_put_bool(out, "average", series->plan.average);
	idla_json_open_array(out, "channels");
	for (int i = 0; i < series->plan.n_channels; i++)
	{
		idla_json_open_object(out);
		idla_json_put_string(out, "name", series->plan.channels[i].name);
		idla_json_put_integer(out, "n", (int64) series->plan.channels[i].n);
		appendStringInfoChar(out, '}');
	}
	appendStringInfoString(out, "]}");
}

/* The views of a row that predicting averages. */
static void
put_views(StringInfo out, const LearnModel *model)
{
	if (model->n_views < 2)
		return;
	idla_json_put_integer(out, "views", model->n_views);
	idla_json_key(out, "view_ranges");
	idla_augment_put(out, model->augment);
}

static void
put_nets(StringInfo out, const LearnModel *model)
{
	idla_json_open_array(out, "nets");
	for (int i = 0; i < model->n_nets; i++)
	{
		const LearnNetwork *network = &model->nets[i].network;

		idla_json_open_object(out);
		idla_json_put_string(out, "architecture", learn_architecture_names[network->architecture]);
		idla_json_put_string(out, "layers", network->layers);
		idla_json_put_integer(out, "depth", network->depth);
		idla_json_put_integer(out, "width", network->width);
		idla_json_put_integer(out, "members", network->members);
		idla_json_put_string(out, "activation", learn_activation_name(network->activation));
		idla_json_put_float(out, "dropout", network->dropout);
		idla_json_put_string(out, "embedding", learn_embedding_names[network->embedding]);
		idla_json_put_integer(out, "bins", network->bins);
		idla_json_put_integer(out, "embedding_width", network->embedding_width);
		if (network->architecture == LEARN_TRANSFORMER)
			idla_json_put_string(out, "positions", learn_position_names[network->positions]);
		if (network->task == LEARN_TAGGING)
			idla_json_put_bool(out, "crf", !network->tags_alone);
		if (network->n_fields > 0)
			idla_json_put_bool(out, "fields", true);
		idla_json_put_integer(out, "n_outputs", (int64) network->n_outputs);
		idla_json_open_array(out, "cardinality");
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
		idla_json_put_strings(out, "classes", model->classes, model->n_classes);
		idla_json_put_integer(out, "positive", model->positive);
	}
	idla_json_put_integer(out, "n_targets", model->n_targets);
	if (model->task == LEARN_REGRESSION)
	{
		idla_json_put_doubles(out, "target_mean", model->target_mean, (size_t) model->n_targets);
		idla_json_put_doubles(out, "target_scale", model->target_scale, (size_t) model->n_targets);
	}
	idla_json_put_double(out, "temperature", model->temperature);
	if (model->offset != NULL)
		idla_json_put_doubles(out, "offset", model->offset, outputs);
	if (model->task == LEARN_SURVIVAL)
	{
		idla_json_put_doubles(out, "hazard_time", model->hazard_time, (size_t) model->n_hazard);
		idla_json_put_doubles(out, "hazard", model->hazard, (size_t) model->n_hazard);
	}
}

Jsonb *
idla_manifest_build(const IdlaModel *model, Jsonb *extra)
{
	StringInfoData out;
	Jsonb	   *manifest;
	char		hex[65];

	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	idla_json_put_integer(&out, "format", IDLA_FORMAT_FLOAT32);
	idla_json_put_string(&out, "task", learn_task_names[model->learn.task]);
	idla_json_put_string(&out, "target", model->target);
	idla_json_put_string(&out, "time_column", model->time_column);
	idla_json_put_string(&out, "event_column", model->event_column);
	idla_json_put_string(&out, "entity", model->entity);
	idla_json_put_string(&out, "position", model->position);
	put_series(&out, model->columns.series);
	put_columns(&out, &model->columns);
	put_channels(&out, &model->columns);
	put_fields(&out, &model->learn);
	put_views(&out, &model->learn);
	idla_json_put_integer(&out, "n_numbers", (int64) model->learn.n_numbers);
	idla_json_put_integer(&out, "n_codes", (int64) model->learn.n_codes);
	put_answers(&out, &model->learn);
	idla_conformal_put(&out, model);
	put_nets(&out, &model->learn);
	idla_profile_put(&out, model);
	idla_json_put_string(&out, "weights_sha256", model->digest);
	appendStringInfoChar(&out, '}');
	manifest = idla_json_parse(out.data);
	if (extra != NULL)
		manifest = DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(extra), JsonbPGetDatum(manifest)));

	idla_manifest_digest(manifest, hex);
	resetStringInfo(&out);
	appendStringInfo(&out, "{\"sha256\":\"%s\"}", hex);
	manifest = DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(manifest), JsonbPGetDatum(idla_json_parse(out.data))));
	pfree(out.data);
	return manifest;
}

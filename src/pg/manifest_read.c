/*
 * manifest_read.c: a model out of jsonb and bytes that anyone may have written.
 *
 * First the format (a newer idla's model is told apart from a damaged one), then
 * the digests, then every value within its bounds: what the engine is handed afterwards
 * cannot make it read or write outside its buffers, whoever computed the digests.
 */
#include "manifest.h"
#include "shared.h"
#include "conformal.h"

#include <math.h>

#include "column.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#define MAX_CATEGORIES 16777216
#define MAX_CLASSES 65536
#define MAX_NETS 1024
#define MAX_LAYERS_TEXT 10000

static int
find_name(const char *const *names, JsonbContainer *object, const char *key)
{
	char	   *name = idla_json_string(object, key, true);
	int			found = learn_name_find(names, name);

	if (found < 0)
		idla_corrupt("Key \"%s\" is \"%s\", which this idla does not know", key, name);
	return found;
}

static char **
keep_strings(IdlaModel *model, JsonbContainer *object, const char *key, int low, int high, int *n)
{
	JsonbValue *values = idla_json_array(object, key, low, high, n);
	char	  **strings = idla_keep(model->work, (size_t) *n, sizeof(char *));

	for (int i = 0; i < *n; i++)
		strings[i] = idla_keep_string(model->work, idla_json_string_of(&values[i], key));
	return strings;
}

double *
idla_json_keep_doubles(IdlaModel *model, JsonbContainer *object, const char *key, int low, int high, int *n)
{
	JsonbValue *values = idla_json_array(object, key, low, high, n);
	double	   *doubles = idla_keep(model->work, (size_t) *n, sizeof(double));

	for (int i = 0; i < *n; i++)
		doubles[i] = idla_json_double_of(&values[i], key);
	return doubles;
}

static float
as_float(double value, const char *what)
{
	if (!isfinite((float) value))
		idla_corrupt("Key \"%s\" does not fit into a real", what);
	return (float) value;
}

/* ---- columns and channels ---- */

Oid
idla_builtin_type(const char *name)
{
	static const Oid types[] = {
		BOOLOID, CHAROID, NAMEOID, TEXTOID, VARCHAROID, BPCHAROID, INT2OID, INT4OID, INT8OID, FLOAT4OID, FLOAT8OID,
		NUMERICOID, BYTEAOID, DATEOID, TIMESTAMPOID, TIMESTAMPTZOID, TIMEOID, INTERVALOID, UUIDOID, INETOID, CIDROID,
		MACADDROID, MACADDR8OID, BITOID, VARBITOID, INT2ARRAYOID, INT4ARRAYOID, INT8ARRAYOID, FLOAT4ARRAYOID,
		FLOAT8ARRAYOID, NUMERICARRAYOID, TEXTARRAYOID, VARCHARARRAYOID
	};

	for (int i = 0; i < (int) lengthof(types); i++)
		if (strcmp(format_type_be(types[i]), name) == 0)
			return types[i];
	return InvalidOid;
}

static void
read_columns(IdlaModel *model, JsonbContainer *root)
{
	IdlaColumns *columns = &model->columns;
	JsonbValue *values = idla_json_array(root, "columns", 1, IDLA_MOST_COLUMNS, &columns->n);
	int64		n_channels = 0;

	columns->columns = idla_keep(model->work, (size_t) columns->n, sizeof(IdlaColumn));
	model->learn.columns = idla_keep(model->work, (size_t) columns->n, sizeof(char *));
	model->learn.n_columns = columns->n;
	for (int i = 0; i < columns->n; i++)
	{
		JsonbContainer *object = idla_json_object_of(&values[i], "columns");
		IdlaColumn *column = &columns->columns[i];

		column->name = idla_keep_string(model->work, idla_json_string(object, "name", true));
		column->type_name = idla_keep_string(model->work, idla_json_string(object, "type", true));
		column->type = idla_builtin_type(column->type_name);
		column->kind = (IdlaKind) idla_json_integer(object, "kind", IDLA_NUMBER, IDLA_SUMMARY);
		column->field = -1;
		column->reference = idla_keep_string(model->work, idla_json_string(object, "reference", false));
		if (idla_json_find(object, "reference_type") != NULL)
			column->reference_type = idla_builtin_type(idla_json_string(object, "reference_type", true));
		if (column->kind == IDLA_ARRAY)
			column->array_length = (int) idla_json_integer(object, "length", 1, IDLA_MOST_INPUTS);
		if (column->kind == IDLA_SUMMARY)
			column->array_length = LEARN_SERIES_STATISTICS;
		for (int j = 0; j < i; j++)
			if (strcmp(columns->columns[j].name, column->name) == 0)
				idla_corrupt("Column \"%s\" is listed twice", column->name);
		column->first_channel = (int) n_channels;
		column->n_channels = idla_kind_channels(column);
		n_channels += column->n_channels;
		if (n_channels > IDLA_MOST_INPUTS)
			idla_corrupt("The columns have too many channels");
		model->learn.columns[i] = column->name;
	}
	columns->n_channels = (int) n_channels;
}

static void
read_number_channel(IdlaModel *model, JsonbContainer *object, LearnChannel *channel)
{
	channel->minimum = as_float(idla_json_double(object, "minimum"), "minimum");
	channel->maximum = as_float(idla_json_double(object, "maximum"), "maximum");
	channel->fill = as_float(idla_json_double(object, "fill"), "fill");
	channel->center = as_float(idla_json_double(object, "center"), "center");
	channel->scale = as_float(idla_json_double(object, "scale"), "scale");
	channel->indicator = idla_json_bool(object, "indicator");
	if (idla_json_find(object, "quantiles") != NULL)
	{
		JsonbValue *values = idla_json_array(object, "quantiles", 2, 1000000, &channel->n_quantiles);

		channel->quantiles = idla_keep(model->work, (size_t) channel->n_quantiles, sizeof(float));
		for (int i = 0; i < channel->n_quantiles; i++)
		{
			channel->quantiles[i] = as_float(idla_json_double_of(&values[i], "quantiles"), "quantiles");
			if (i > 0 && channel->quantiles[i] < channel->quantiles[i - 1])
				idla_corrupt("Key \"quantiles\" does not ascend");
		}
	}
	else if (channel->scaling == LEARN_QUANTILE && channel->number_input != NN_NONE)
		idla_corrupt("Key \"quantiles\" is missing");
}

/* Every input is fed by one channel, or the engine would read what nobody wrote. */
static void
take_input(bool *taken, int64 n, int input, const char *what)
{
	if (input == NN_NONE)
		return;
	if (input >= n || taken[input])
		idla_corrupt("Key \"%s\" is %d, which is no input or another channel's", what, input);
	taken[input] = true;
}

static void
check_all_taken(const bool *taken, int64 n, const char *what)
{
	for (int64 i = 0; i < n; i++)
		if (!taken[i])
			idla_corrupt("No channel feeds input %lld of \"%s\"", (long long) i, what);
}

static void
read_channel(IdlaModel *model, JsonbContainer *object, const IdlaColumn *column, int part, LearnChannel *channel)
{
	LearnModel *learn = &model->learn;

	channel->name = idla_keep_string(model->work, idla_channel_name(column, part));
	channel->kind = column->kind == IDLA_CATEGORY ? LEARN_CATEGORY : LEARN_NUMBER;
	channel->use = (LearnUse) idla_json_integer(object, "use", LEARN_USE_AUTO, LEARN_USE_EMPTY);
	channel->scaling = (LearnScaling) find_name(learn_scaling_names, object, "scaling");
	channel->missing = idla_json_double(object, "missing");
	channel->number_input = (int) idla_json_integer(object, "number_input", NN_NONE, (int64) learn->n_numbers - 1);
	channel->indicator_input = (int) idla_json_integer(object, "indicator_input", NN_NONE, (int64) learn->n_numbers - 1);
	channel->code_input = (int) idla_json_integer(object, "code_input", NN_NONE, (int64) learn->n_codes - 1);
	if (channel->kind == LEARN_CATEGORY)
	{
		channel->categories = keep_strings(model, object, "categories", 0, MAX_CATEGORIES, &channel->n_categories);
		channel->has_other = idla_json_bool(object, "has_other");
		channel->has_missing = idla_json_bool(object, "has_missing");
		if (learn_channel_index(model->work->session, channel) != DEV_OK)
			idla_raise(model->work);
		idla_check(model->work, learn_channel_index(model->work->session, channel));
		if (channel->number_input != NN_NONE || channel->indicator_input != NN_NONE)
			idla_corrupt("A category feeds a number input");
	}
	else
	{
		if (channel->code_input != NN_NONE)
			idla_corrupt("A number feeds a code input");
		read_number_channel(model, object, channel);
	}
}

static void
read_channels(IdlaModel *model, JsonbContainer *root)
{
	IdlaColumns *columns = &model->columns;
	LearnModel *learn = &model->learn;
	bool	   *numbers;
	bool	   *codes;
	JsonbValue *values;
	int			n;

	learn->n_numbers = (size_t) idla_json_integer(root, "n_numbers", 0, 2 * IDLA_MOST_INPUTS);
	learn->n_codes = (size_t) idla_json_integer(root, "n_codes", 0, IDLA_MOST_INPUTS);
	values = idla_json_array(root, "channels", columns->n_channels, columns->n_channels, &n);
	columns->channels = idla_keep(model->work, (size_t) n, sizeof(LearnChannel));
	numbers = palloc0(learn->n_numbers + 1);
	codes = palloc0(learn->n_codes + 1);
	for (int i = 0; i < columns->n; i++)
	{
		IdlaColumn *column = &columns->columns[i];

		for (int j = 0; j < column->n_channels; j++)
		{
			LearnChannel *channel = &columns->channels[column->first_channel + j];

			channel->column = i;
			read_channel(model, idla_json_object_of(&values[column->first_channel + j], "channels"), column, j, channel);
			take_input(numbers, (int64) learn->n_numbers, channel->number_input, "number_input");
			take_input(numbers, (int64) learn->n_numbers, channel->indicator_input, "indicator_input");
			take_input(codes, (int64) learn->n_codes, channel->code_input, "code_input");
		}
	}
	check_all_taken(numbers, (int64) learn->n_numbers, "number_input");
	check_all_taken(codes, (int64) learn->n_codes, "code_input");
	learn->channels = columns->channels;
	learn->n_channels = columns->n_channels;
	pfree(numbers);
	pfree(codes);
}

/* ---- the answer ---- */

static void
read_classes(IdlaModel *model, JsonbContainer *root)
{
	LearnModel *learn = &model->learn;

	learn->classes = keep_strings(model, root, "classes", 2,
								  learn->task == LEARN_BINARY ? 2 : MAX_CLASSES, &learn->n_classes);
	learn->positive = (int) idla_json_integer(root, "positive", 0, learn->n_classes - 1);
}

static void
read_hazard(IdlaModel *model, JsonbContainer *root)
{
	LearnModel *learn = &model->learn;
	int			n;

	learn->hazard_time = idla_json_keep_doubles(model, root, "hazard_time", 0, 100000000, &learn->n_hazard);
	learn->hazard = idla_json_keep_doubles(model, root, "hazard", learn->n_hazard, learn->n_hazard, &n);
	for (int i = 1; i < n; i++)
		if (learn->hazard_time[i] < learn->hazard_time[i - 1] || learn->hazard[i] < learn->hazard[i - 1])
			idla_corrupt("The baseline hazard does not ascend");
	model->time_column = idla_keep_string(model->work, idla_json_string(root, "time_column", true));
	model->event_column = idla_keep_string(model->work, idla_json_string(root, "event_column", true));
}

int
idla_count_names(const char *text)
{
	int			n = 1;

	for (; *text != '\0'; text++)
		n += *text == ',';
	return n;
}

static void
read_answers(IdlaModel *model, JsonbContainer *root)
{
	LearnModel *learn = &model->learn;
	int			n;

	model->target = idla_keep_string(model->work, idla_json_string(root, "target", true));
	model->entity = idla_keep_string(model->work, idla_json_string(root, "entity", false));
	model->position = idla_keep_string(model->work, idla_json_string(root, "position", false));
	learn->n_targets = (int) idla_json_integer(root, "n_targets", 0, IDLA_MOST_COLUMNS);
	if (learn->task == LEARN_REGRESSION || learn->task == LEARN_MULTILABEL ? learn->n_targets < 1 :
		learn->n_targets != (learn->task == LEARN_TAGGING ? 0 : learn->task == LEARN_SURVIVAL ? 2 : 1))
		idla_corrupt("Key \"n_targets\" does not fit the task");
	if ((learn->task == LEARN_REGRESSION || learn->task == LEARN_MULTILABEL) && learn->n_targets > 1 &&
		learn->n_targets != idla_count_names(model->target))
		idla_corrupt("Key \"n_targets\" does not fit the target \"%s\"", model->target);
	if (learn->task == LEARN_BINARY || learn->task == LEARN_MULTICLASS)
		read_classes(model, root);
	if (learn->task == LEARN_REGRESSION)
	{
		learn->target_mean = idla_json_keep_doubles(model, root, "target_mean", learn->n_targets, learn->n_targets, &n);
		learn->target_scale = idla_json_keep_doubles(model, root, "target_scale", learn->n_targets, learn->n_targets, &n);
	}
	if (learn->task == LEARN_SURVIVAL)
		read_hazard(model, root);
	learn->temperature = idla_json_double(root, "temperature");
	if (learn->temperature <= 0)
		idla_corrupt("Key \"temperature\" is not positive");
	if (idla_json_find(root, "offset") != NULL)
	{
		int			outputs = (int) learn_model_outputs(learn);

		learn->offset = idla_json_keep_doubles(model, root, "offset", outputs, outputs, &n);
	}
}

/* ---- networks ---- */

/* Categories each code input can have, from the channel that feeds it. */
static int
cardinality_of(const LearnModel *learn, size_t code)
{
	for (int i = 0; i < learn->n_channels; i++)
	{
		const LearnChannel *channel = &learn->channels[i];

		if (channel->code_input == (int) code)
			return channel->n_categories + channel->has_other + channel->has_missing;
	}
	return 0;
}

static void
read_net(IdlaModel *model, JsonbContainer *object, LearnNet *net)
{
	LearnModel *learn = &model->learn;
	LearnNetwork *network = &net->network;
	JsonbValue *values;
	int			n;

	network->architecture = (LearnArchitecture) find_name(learn_architecture_names, object, "architecture");
	if (network->architecture == LEARN_AUTO)
		idla_corrupt("A stored network has no architecture");
	network->layers = idla_keep_string(model->work, idla_json_string(object, "layers", false));
	if (network->layers != NULL && strlen(network->layers) > MAX_LAYERS_TEXT)
		idla_corrupt("Key \"layers\" is too long");
	network->depth = (int) idla_json_integer(object, "depth", 0, 1024);
	network->width = (int) idla_json_integer(object, "width", 0, 65536);
	network->members = (int) idla_json_integer(object, "members", 0, 4096);
	network->activation = -1;
	if (idla_json_find(object, "activation") != NULL)
		network->activation = learn_activation_map(find_name(learn_activation_names, object, "activation"));
	network->dropout = as_float(idla_json_double(object, "dropout"), "dropout");
	network->embedding = (LearnEmbedding) find_name(learn_embedding_names, object, "embedding");
	network->bins = (int) idla_json_integer(object, "bins", 0, 65536);
	network->embedding_width = (int) idla_json_integer(object, "embedding_width", 0, 65536);
	if (network->embedding == LEARN_EMBEDDING_AUTO || (network->embedding != LEARN_EMBEDDING_NONE && network->bins == 0))
		idla_corrupt("A stored network has no embedding");
	/* Versions of before there was a choice had sinusoids, and a CRF. */
	if (network->architecture == LEARN_TRANSFORMER)
		network->positions = idla_json_find(object, "positions") == NULL ? LEARN_POSITIONS_SINUSOID :
			(LearnPositions) find_name(learn_position_names, object, "positions");
	network->task = learn->task;
	network->tags_alone = network->task == LEARN_TAGGING && idla_json_find(object, "crf") != NULL && !idla_json_bool(object, "crf");
	network->n_outputs = (size_t) idla_json_integer(object, "n_outputs", 1, PG_INT32_MAX);
	if (network->n_outputs != learn_model_outputs(learn))
		idla_corrupt("A network has %zu outputs", network->n_outputs);
	network->n_numbers = learn->n_numbers;
	network->n_codes = learn->n_codes;
	if (idla_json_find(object, "fields") != NULL && idla_json_bool(object, "fields"))
	{
		network->n_fields = learn->n_fields;
		network->fields = learn->fields;
	}
	values = idla_json_array(object, "cardinality", (int) learn->n_codes, (int) learn->n_codes, &n);
	network->cardinality = idla_keep(model->work, learn->n_codes, sizeof(int));
	for (int i = 0; i < n; i++)
	{
		network->cardinality[i] = (int) idla_json_integer_of(&values[i], 1, MAX_CATEGORIES + 2, "cardinality");
		if (network->cardinality[i] != Max(cardinality_of(learn, (size_t) i), 1))
			idla_corrupt("Key \"cardinality\" does not fit the categories");
	}
}

static void
read_nets(IdlaModel *model, JsonbContainer *root)
{
	JsonbValue *values = idla_json_array(root, "nets", 1, MAX_NETS, &model->learn.n_nets);

	model->learn.nets = idla_keep(model->work, (size_t) model->learn.n_nets, sizeof(LearnNet));
	for (int i = 0; i < model->learn.n_nets; i++)
		read_net(model, idla_json_object_of(&values[i], "nets"), &model->learn.nets[i]);
}

/* ---- the whole ---- */

static void
check_format(JsonbContainer *root)
{
	int64		format = idla_json_integer(root, "format", 1, PG_INT32_MAX);

	if (format > IDLA_FORMAT)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the model was written by a newer idla"),
				 errdetail("Its format is %lld; this idla reads formats up to %d.", (long long) format, IDLA_FORMAT),
				 errhint("Upgrade idla on this server.")));
}

static void
check_manifest(Jsonb *manifest)
{
	char	   *recorded;
	char		computed[65];

	if (!JB_ROOT_IS_OBJECT(manifest))
		idla_corrupt("The manifest is not a JSON object");
	check_format(&manifest->root);
	recorded = idla_json_string(&manifest->root, "sha256", true);
	idla_manifest_digest(manifest, computed);
	if (strcmp(recorded, computed) != 0)
		idla_corrupt("The manifest is not what was written: its SHA-256 is %s", computed);
}

static void
check_digest(IdlaModel *model, Jsonb *manifest, const char *computed)
{
	char	   *recorded = idla_json_string(&manifest->root, "weights_sha256", true);

	if (strcmp(recorded, computed) != 0)
		idla_corrupt("The weights are not what was written: their SHA-256 is %s", computed);
	strlcpy(model->digest, computed, sizeof(model->digest));
}

static void
check_weights(IdlaModel *model, Jsonb *manifest, const char *weights, Size size)
{
	char		computed[65];

	idla_sha256(weights, size, computed);
	check_digest(model, manifest, computed);
}

LearnPrecision
idla_manifest_precision(Jsonb *manifest)
{
	JsonbValue *value = JB_ROOT_IS_OBJECT(manifest) ? idla_json_find(&manifest->root, "weights") : NULL;
	int			found = value == NULL || value->type != jbvString ? -1 :
		learn_name_find(learn_precision_names, pnstrdup(value->val.string.val, value->val.string.len));

	return found < 0 ? LEARN_FLOAT32 : (LearnPrecision) found;
}

/* Everything but the weights. */
static void
read_all(IdlaModel *model, Jsonb *manifest)
{
	JsonbContainer *root = &manifest->root;

	model->learn.task = (LearnTask) find_name(learn_task_names, root, "task");
	read_columns(model, root);
	idla_series_manifest(model, root);
	read_channels(model, root);
	idla_fields_read(model, root);
	if (model->learn.n_numbers + model->learn.n_codes == 0 && model->learn.n_fields == 0)
		idla_corrupt("The model has no inputs");
	read_answers(model, root);
	idla_conformal_manifest(model, root);
	read_nets(model, root);
	if (idla_json_find(root, "weights") != NULL)
		model->precision = (LearnPrecision) find_name(learn_precision_names, root, "weights");
}

void
idla_manifest_read(IdlaModel *model, Jsonb *manifest, const char *weights, Size size)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext scratch = AllocSetContextCreate(caller, "idla manifest", ALLOCSET_DEFAULT_SIZES);

	MemoryContextSwitchTo(scratch);
	check_manifest(manifest);
	check_weights(model, manifest, weights, size);
	read_all(model, manifest);
	idla_weights_read(model, weights, size);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);
}

void
idla_manifest_borrow(IdlaModel *model, Jsonb *manifest, const IdlaShare *share)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext scratch = AllocSetContextCreate(caller, "idla manifest", ALLOCSET_DEFAULT_SIZES);

	MemoryContextSwitchTo(scratch);
	check_manifest(manifest);
	check_digest(model, manifest, share->digest);
	read_all(model, manifest);
	idla_floats_borrow(model, share->block, share->size);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);
}

char *
idla_manifest_read_image(IdlaModel *model, Jsonb *manifest, const char *image, Size image_size, Size *size)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext scratch = AllocSetContextCreate(caller, "idla manifest", ALLOCSET_DEFAULT_SIZES);
	char	   *weights;

	MemoryContextSwitchTo(scratch);
	check_manifest(manifest);
	read_all(model, manifest);
	idla_weights_read(model, image, image_size);
	MemoryContextSwitchTo(caller);
	weights = idla_weights_write(model, "", size);
	MemoryContextSwitchTo(scratch);
	check_weights(model, manifest, weights, *size);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);
	return weights;
}

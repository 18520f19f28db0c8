/*
 * exchange_mapping.c: what a user says about a safetensors file that idla did not write.
 *
 * The mapping tells what training would have found out: columns with their preprocessing, the network, and which tensor is which
 * parameter. Inputs stand in a fixed order: all numbers, then all missing indicators, then all categories, one-hot, each in the order of
 * the columns. Dense layers of other libraries keep their matrices as (outputs, inputs), so these are turned unless told otherwise.
 */
#include "column.h"
#include "exchange.h"
#include "option.h"
#include "version.h"

#include <float.h>
#include <math.h>

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#define MAX_CHANNELS 65536
#define MOST_COLUMNS 1600
#define MOST_CATEGORIES 10000

static const char *const mapping_keys[] = {
	"task", "target", "classes", "positive", "columns", "architecture", "layers", "depth", "width", "members", "activation", "layout",
	"tensors", "temperature", "offset", "target_mean", "target_scale", NULL
};
static const char *const column_keys[] = {
	"name", "kind", "length", "scaling", "center", "scale", "fill", "indicator", "categories", "other", "missing", NULL
};
static const char *const tensor_keys[] = {"tensor", "transpose", NULL};
static const char *const task_words[] = {"binary", "multiclass", "regression", "multilabel", NULL};
static const char *const kind_words[] = {"number", "boolean", "category", "array", NULL};
static const char *const scaling_words[] = {"robust", "standard", "none", NULL};
static const char *const layout_words[] = {"torch", "idla", NULL};

static const LearnTask tasks[] = {LEARN_BINARY, LEARN_MULTICLASS, LEARN_REGRESSION, LEARN_MULTILABEL};
static const IdlaKind kinds[] = {IDLA_NUMBER, IDLA_BOOLEAN, IDLA_CATEGORY, IDLA_ARRAY};
static const LearnScaling scalings[] = {LEARN_ROBUST, LEARN_STANDARD, LEARN_UNSCALED};
static const char *const kind_types[] = {"double precision", "boolean", "text", "double precision[]"};

/* ---- reading JSON ---- */

static void
check_keys(const char *what, JsonbContainer *object, const char *const *keys)
{
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue	item;

	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
		if (token == WJB_KEY)
		{
			char	   *key = pnstrdup(item.val.string.val, item.val.string.len);

			if (learn_name_find(keys, key) < 0)
				idla_option_unknown(psprintf("key of %s", what), key, keys);
		}
}

static JsonbValue *
need(JsonbContainer *object, const char *key, const char *what)
{
	JsonbValue *value = idla_json_find(object, key);

	if (value == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s has no \"%s\"", what, key),
				 errhint("See the description of idla_import.")));
	return value;
}

static char *
text_of(const JsonbValue *value, const char *name)
{
	if (value->type != jbvString)
		idla_option_complain(name, value, "a string");
	return pnstrdup(value->val.string.val, value->val.string.len);
}

static double
number_or(JsonbContainer *object, const char *key, double low, double high, bool integer, double otherwise)
{
	JsonbValue *value = idla_json_find(object, key);

	return value == NULL ? otherwise : idla_option_number(key, value, low, high, integer);
}

static bool
flag_of(JsonbContainer *object, const char *key)
{
	JsonbValue *value = idla_json_find(object, key);

	return value != NULL && idla_option_boolean(key, value);
}

/* The elements of a list; n between its bounds. */
static JsonbValue *
list_of(const JsonbValue *value, const char *name, int low, int high, int *n)
{
	JsonbContainer *list = value->val.binary.data;
	JsonbValue *elements;

	if (value->type != jbvBinary || !JsonContainerIsArray(list) || JsonContainerSize(list) < (uint32) low ||
		JsonContainerSize(list) > (uint32) high)
		idla_option_complain(name, value, low == high ? psprintf("a list of %d", low) : psprintf("a list of %d to %d", low, high));
	*n = (int) JsonContainerSize(list);
	elements = palloc(sizeof(JsonbValue) * (Size) Max(*n, 1));
	for (int i = 0; i < *n; i++)
		elements[i] = *getIthJsonbValueFromContainer(list, (uint32) i);
	return elements;
}

static int
compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static char **
keep_strings(IdlaModel *model, const JsonbValue *list, const char *name, int low, int high, int *n)
{
	JsonbValue *elements = list_of(list, name, low, high, n);
	char	  **texts = idla_keep(model->work, (size_t) *n, sizeof(char *));
	char	  **sorted = palloc(sizeof(char *) * (Size) Max(*n, 1));

	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < *n; i++)
		sorted[i] = texts[i] = idla_keep_string(model->work, text_of(&elements[i], name));
	qsort(sorted, (size_t) *n, sizeof(char *), compare_texts);
	for (int i = 1; i < *n; i++)
		if (strcmp(sorted[i - 1], sorted[i]) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" is twice among \"%s\"", sorted[i], name)));
	pfree(sorted);
	return texts;
}

/* n numbers: a list, or one number when there is one. */
static double *
keep_doubles(IdlaModel *model, const JsonbValue *value, const char *name, double low, int n)
{
	double	   *doubles = idla_keep(model->work, (size_t) n, sizeof(double));
	int			n_found;

	if (n == 1 && value->type == jbvNumeric)
		doubles[0] = idla_option_number(name, value, low, 1e300, false);
	else
	{
		JsonbValue *elements = list_of(value, name, n, n, &n_found);

		for (int i = 0; i < n; i++)
			doubles[i] = idla_option_number(name, &elements[i], low, 1e300, false);
	}
	return doubles;
}

/* ---- columns ---- */

static void
read_channel(IdlaModel *model, JsonbContainer *object, LearnChannel *channel, bool category)
{
	JsonbValue *value;

	channel->use = LEARN_USE_KEEP;
	channel->number_input = channel->indicator_input = channel->code_input = NN_NONE;
	if (category)
	{
		value = need(object, "categories", "a category");
		channel->kind = LEARN_CATEGORY;
		channel->categories = keep_strings(model, value, "categories", 1, MOST_CATEGORIES, &channel->n_categories);
		channel->has_other = flag_of(object, "other");
		channel->has_missing = flag_of(object, "missing");
		return;
	}
	channel->kind = LEARN_NUMBER;
	value = idla_json_find(object, "scaling");
	channel->scaling = value == NULL ? LEARN_UNSCALED : scalings[idla_option_word("scaling", value, scaling_words)];
	channel->center = (float) number_or(object, "center", -FLT_MAX, FLT_MAX, false, 0);
	channel->scale = (float) number_or(object, "scale", -FLT_MAX, FLT_MAX, false, 1);
	channel->fill = (float) number_or(object, "fill", -FLT_MAX, FLT_MAX, false, channel->center);
	channel->indicator = flag_of(object, "indicator");
}

/* What one kind of column has and another has not would be silently of no use. */
static void
check_column_keys(JsonbContainer *object, const char *name, int kind)
{
	static const char *const numbers[] = {"scaling", "center", "scale", "fill", "indicator", NULL};
	static const char *const categories[] = {"categories", "other", "missing", NULL};
	const char *const *others = kinds[kind] == IDLA_CATEGORY ? numbers : categories;

	for (; *others != NULL; others++)
		if (idla_json_find(object, *others) != NULL)
			break;
	if (*others == NULL && kinds[kind] != IDLA_ARRAY && idla_json_find(object, "length") != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" of kind \"%s\" has no \"length\"", name, kind_words[kind])));
	if (*others != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" of kind \"%s\" has no \"%s\"", name, kind_words[kind], *others)));
}

static void
read_column(IdlaModel *model, const JsonbValue *value, int number)
{
	JsonbContainer *object = idla_option_object("columns", value, "a list of objects");
	IdlaColumn *column = &model->columns.columns[number];
	JsonbValue *kind_value;
	int			kind;

	check_keys("a column", object, column_keys);
	column->name = idla_keep_string(model->work, text_of(need(object, "name", "a column"), "name"));
	kind_value = idla_json_find(object, "kind");
	kind = kind_value != NULL ? idla_option_word("kind", kind_value, kind_words) : idla_json_find(object, "categories") != NULL ? 2 : 0;
	check_column_keys(object, column->name, kind);
	column->kind = kinds[kind];
	column->type_name = idla_keep_string(model->work, kind_types[kind]);
	column->field = -1;
	if (column->kind == IDLA_ARRAY)
		column->array_length = (int) idla_option_number("length", need(object, "length", "an array"), 1, 65536, true);
	column->n_channels = idla_kind_channels(column);
	for (int i = 0; i < number; i++)
		if (strcmp(model->columns.columns[i].name, column->name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("column \"%s\" is listed twice", column->name)));
}

/* All numbers, then all indicators, then all codes. */
static void
number_inputs(IdlaModel *model)
{
	LearnModel *learn = &model->learn;

	for (int i = 0; i < learn->n_channels; i++)
		if (learn->channels[i].kind == LEARN_NUMBER)
			learn->channels[i].number_input = (int) learn->n_numbers++;
		else
			learn->channels[i].code_input = (int) learn->n_codes++;
	for (int i = 0; i < learn->n_channels; i++)
		if (learn->channels[i].indicator)
			learn->channels[i].indicator_input = (int) learn->n_numbers++;
}

static void
read_columns(IdlaModel *model, JsonbContainer *root)
{
	IdlaColumns *columns = &model->columns;
	JsonbValue *elements = list_of(need(root, "columns", "the mapping"), "columns", 1, MOST_COLUMNS, &columns->n);
	int64		n = 0;

	columns->columns = idla_keep(model->work, (size_t) columns->n, sizeof(IdlaColumn));
	for (int i = 0; i < columns->n; i++)
	{
		read_column(model, &elements[i], i);
		columns->columns[i].first_channel = (int) n;
		n += columns->columns[i].n_channels;
		if (n > MAX_CHANNELS)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("the columns have more than %d values", MAX_CHANNELS)));
	}
	columns->n_channels = (int) n;
	columns->channels = idla_keep(model->work, (size_t) n, sizeof(LearnChannel));
	for (int i = 0; i < columns->n; i++)
	{
		IdlaColumn *column = &columns->columns[i];

		for (int j = 0; j < column->n_channels; j++)
		{
			LearnChannel *channel = &columns->channels[column->first_channel + j];

			channel->column = i;
			channel->name = idla_keep_string(model->work, idla_channel_name(column, j));
			read_channel(model, elements[i].val.binary.data, channel, column->kind == IDLA_CATEGORY);
		}
	}
	model->learn.channels = columns->channels;
	model->learn.n_channels = columns->n_channels;
	number_inputs(model);
}

/* ---- the answer ---- */

static void
read_classes(IdlaModel *model, JsonbContainer *root)
{
	LearnModel *learn = &model->learn;
	bool		binary = learn->task == LEARN_BINARY;
	JsonbValue *value = need(root, "classes", "the mapping");
	char	   *positive;

	learn->classes = keep_strings(model, value, "classes", 2, binary ? 2 : MOST_CATEGORIES, &learn->n_classes);
	learn->positive = binary ? 1 : 0;
	value = idla_json_find(root, "positive");
	if (value == NULL)
		return;
	positive = text_of(value, "positive");
	for (learn->positive = 0; learn->positive < learn->n_classes; learn->positive++)
		if (strcmp(learn->classes[learn->positive], positive) == 0)
			return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("positive class \"%s\" is not among the classes", positive)));
}

static void
read_answer(IdlaModel *model, JsonbContainer *root)
{
	LearnModel *learn = &model->learn;
	JsonbValue *value = idla_json_find(root, "target");
	int			outputs;

	learn->task = tasks[idla_option_word("task", need(root, "task", "the mapping"), task_words)];
	model->target = idla_keep_string(model->work, value == NULL ? "target" : text_of(value, "target"));
	learn->n_targets = learn->task == LEARN_REGRESSION || learn->task == LEARN_MULTILABEL ? idla_count_names(model->target) : 1;
	if (learn->task == LEARN_BINARY || learn->task == LEARN_MULTICLASS)
		read_classes(model, root);
	outputs = (int) learn_model_outputs(learn);
	learn->temperature = number_or(root, "temperature", DBL_MIN, 1e300, false, 1);
	value = idla_json_find(root, "offset");
	if (value != NULL)
		learn->offset = keep_doubles(model, value, "offset", -1e300, outputs);
	if (learn->task != LEARN_REGRESSION)
		return;
	learn->target_mean = idla_keep(model->work, (size_t) outputs, sizeof(double));
	learn->target_scale = idla_keep(model->work, (size_t) outputs, sizeof(double));
	for (int i = 0; i < outputs; i++)
		learn->target_scale[i] = 1;
	value = idla_json_find(root, "target_mean");
	if (value != NULL)
		learn->target_mean = keep_doubles(model, value, "target_mean", -1e300, outputs);
	value = idla_json_find(root, "target_scale");
	if (value != NULL)
		learn->target_scale = keep_doubles(model, value, "target_scale", -1e300, outputs);
}

/* ---- the network ---- */

static void
read_network(IdlaModel *model, JsonbContainer *root, LearnNetwork *network)
{
	LearnModel *learn = &model->learn;
	JsonbValue *layers = idla_json_find(root, "layers");
	JsonbValue *activation = idla_json_find(root, "activation");

	network->architecture = LEARN_LAYERS;
	if (layers == NULL)
		network->architecture = (LearnArchitecture) idla_option_word("architecture", need(root, "architecture", "the mapping"),
																	 learn_architecture_names);
	else
		network->layers = idla_keep_string(model->work, text_of(layers, "layers"));
	network->depth = (int) number_or(root, "depth", 1, 64, true, 0);
	network->width = (int) number_or(root, "width", 1, 16384, true, 0);
	network->members = (int) number_or(root, "members", 1, 512, true, 0);
	network->activation = activation == NULL ? -1 :
		learn_activation_map(idla_option_word("activation", activation, learn_activation_names));
	network->embedding = LEARN_EMBEDDING_NONE;
	network->task = learn->task;
	network->n_outputs = learn_model_outputs(learn);
	network->n_numbers = learn->n_numbers;
	network->n_codes = learn->n_codes;
	network->cardinality = idla_keep(model->work, learn->n_codes, sizeof(int));
	for (int i = 0; i < learn->n_channels; i++)
	{
		const LearnChannel *channel = &learn->channels[i];

		if (channel->code_input != NN_NONE)
			network->cardinality[channel->code_input] = channel->n_categories + channel->has_other + channel->has_missing;
	}
	idla_check(model->work, learn_network_resolve(model->work->session, network, 1000));
	/* Nothing is trained any more, and the graph is one operator shorter for each. */
	network->dropout = 0;
}

static const char *
shape_text(int rank, const size_t *dims)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < rank; i++)
		appendStringInfo(&text, "%s%zu", i > 0 ? ", " : "(", dims[i]);
	appendStringInfoString(&text, rank > 0 ? ")" : "()");
	return text.data;
}

static const char **
parameter_names(const NnGraph *graph)
{
	int			n = nn_graph_parameters(graph);
	const char **names = palloc0(sizeof(char *) * ((Size) n + 1));

	for (int i = 0; i < n; i++)
		names[i] = nn_graph_parameter(graph, i)->name;
	return names;
}

/* Every parameter is said, and nothing that is none. The hint names them without their shapes, which would be long. */
static void
check_parameters(const NnGraph *graph, JsonbContainer *tensors)
{
	const char **names = parameter_names(graph);

	check_keys("\"tensors\"", tensors, names);
	for (int i = 0; names[i] != NULL; i++)
		if (idla_json_find(tensors, names[i]) == NULL)
		{
			const NnShape *shape = &nn_graph_parameter(graph, i)->shape;

			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"tensors\" does not say what parameter \"%s\" is", names[i]),
					 errdetail("Its shape is %s, inputs before outputs.", shape_text(shape->rank, shape->dims)),
					 errhint("The network has the parameters %s.", idla_list(names))));
		}
}

/* Names in the file are UTF-8. */
static const LearnTensor *
find_tensor(const LearnSafetensors *image, const char *name)
{
	const LearnTensor *found = learn_safetensors_find(image, pg_server_to_any(name, (int) strlen(name), PG_UTF8));
	const char **names;
	const char *nearest;

	if (found != NULL)
		return found;
	names = palloc0(sizeof(char *) * (image->n + 1));
	for (size_t i = 0; i < image->n; i++)
		names[i] = pg_any_to_server(image->tensors[i].name, (int) strlen(image->tensors[i].name), PG_UTF8);
	nearest = idla_nearest(name, names);
	if (image->n > 100)
		names[100] = NULL;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the file has no tensor \"%s\"", name),
			 image->n == 0 ? errdetail("It has none at all.") : errdetail("It has %s.", idla_list(names)),
			 nearest != NULL ? errhint("Perhaps you meant \"%s\".", nearest) : 0));
}

static void
read_parameter(IdlaModel *model, const NnParameterInfo *info, const JsonbValue *said, bool turned, const LearnSafetensors *image,
			   bool *used, float *values)
{
	const char *name = NULL;
	const LearnTensor *tensor;
	size_t		dims[LEARN_TENSOR_RANK];
	float	   *floats;

	turned = turned && info->shape.rank == 2 && strlen(info->name) > 8 && strcmp(info->name + strlen(info->name) - 8, ".weights") == 0;
	if (said->type == jbvString)
		name = text_of(said, info->name);
	else
	{
		JsonbContainer *object = idla_option_object(info->name, said, "the name of a tensor or an object");
		JsonbValue *transpose = idla_json_find(object, "transpose");

		check_keys("a tensor", object, tensor_keys);
		name = text_of(need(object, "tensor", info->name), "tensor");
		if (transpose != NULL)
			turned = idla_option_boolean("transpose", transpose);
		if (transpose != NULL && info->shape.rank != 2)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"transpose\" is said of parameter \"%s\", which is no matrix", info->name),
					 errdetail("Its shape is %s.", shape_text(info->shape.rank, info->shape.dims)),
					 errhint("Give the name of its tensor alone.")));
	}
	tensor = find_tensor(image, name);
	used[tensor - image->tensors] = true;
	for (int i = 0; i < info->shape.rank; i++)
		dims[i] = info->shape.dims[turned ? 1 - i : i];
	if (tensor->rank != info->shape.rank || memcmp(tensor->dims, dims, (size_t) tensor->rank * sizeof(dims[0])) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("tensor \"%s\" does not fit parameter \"%s\"", name, info->name),
				 errdetail("Its shape is %s, and %s is needed.", shape_text(tensor->rank, tensor->dims), shape_text(info->shape.rank, dims)),
				 errhint("Matrices are taken as (outputs, inputs) unless \"layout\" is \"idla\" or \"transpose\" is false.")));
	if (!learn_tensor_is_float(tensor))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("tensor \"%s\" is of type %s", name, tensor->type),
				 errdetail("Parameters are numbers of type F16, BF16, F32 or F64.")));
	floats = idla_keep(model->work, tensor->count, sizeof(float));
	if (!learn_tensor_floats(tensor, floats))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("tensor \"%s\" has a value that is not finite in single precision", name)));
	for (size_t i = 0; i < tensor->count; i++)
		values[turned ? i % dims[1] * dims[0] + i / dims[1] : i] = floats[i];
	dev_release(model->work->session, floats);
}

/* What explanations count from: numbers at their centers, categories equally frequent. */
static void
fill_baseline(const LearnGraph *built, LearnNet *net)
{
	const LearnNetwork *network = &net->network;

	for (size_t code = 0; code < network->n_codes; code++)
	{
		int			n = network->cardinality[code];
		NnParameter table = nn_graph_find(built->graph, psprintf("code%zu.table", code));

		for (size_t i = 0; i < built->code_width[code]; i++)
		{
			double		sum = table < 0 ? 1 : 0;

			for (int k = 0; k < n && table >= 0; k++)
				sum += net->weights[nn_graph_parameter(built->graph, table)->offset + (size_t) k * built->code_width[code] + i];
			net->baseline[built->code_first[code] + i] = (float) (sum / n);
		}
	}
}

static void
tell_unused(const LearnSafetensors *image, const bool *used)
{
	const char **names = palloc0(sizeof(char *) * (image->n + 1));
	int			n = 0;

	for (size_t i = 0; i < image->n && n < 20; i++)
		if (!used[i])
			names[n++] = pg_any_to_server(image->tensors[i].name, (int) strlen(image->tensors[i].name), PG_UTF8);
	if (n > 0)
		ereport(NOTICE,
				(errmsg("tensors that the mapping does not use: %s", idla_list(names))));
}

/* A network is told in two numbers, and may need more memory than there is. */
static void
check_held(const LearnNet *net, const LearnSafetensors *image, int n_parameters)
{
	size_t		held = 0;

	for (size_t i = 0; i < image->n; i++)
		held += learn_tensor_is_float(&image->tensors[i]) ? image->tensors[i].count : 0;
	if (!idla_weights_held(net->n_weights, held, (size_t) n_parameters))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the network has more parameters than the file has numbers"),
				 errdetail("It needs %zu values, and all tensors together have %zu.", net->n_weights, held),
				 errhint("Every parameter is a tensor of its own. See \"depth\", \"width\" and \"layers\" of the mapping.")));
}

static void
read_net(IdlaModel *model, JsonbContainer *root, const LearnSafetensors *image)
{
	LearnNet   *net = idla_keep(model->work, 1, sizeof(LearnNet));
	JsonbValue *layout = idla_json_find(root, "layout");
	bool		turned = layout == NULL || idla_option_word("layout", layout, layout_words) == 0;
	JsonbContainer *tensors = idla_option_object("tensors", need(root, "tensors", "the mapping"), "an object");
	bool	   *used = palloc0(image->n + 1);
	LearnGraph	built;

	model->learn.n_nets = 1;
	model->learn.nets = net;
	read_network(model, root, &net->network);
	idla_check(model->work, learn_network_build(model->work->session, &net->network, NULL, &built));
	check_parameters(built.graph, tensors);
	net->n_weights = nn_graph_weights(built.graph);
	check_held(net, image, nn_graph_parameters(built.graph));
	net->weights = idla_keep(model->work, net->n_weights, sizeof(float));
	for (int i = 0; i < nn_graph_parameters(built.graph); i++)
	{
		const NnParameterInfo *info = nn_graph_parameter(built.graph, i);

		read_parameter(model, info, idla_json_find(tensors, info->name), turned, image, used, net->weights + info->offset);
	}
	net->n_features = nn_shape_size(nn_graph_shape(built.graph, built.features));
	net->baseline = idla_keep(model->work, net->n_features, sizeof(float));
	fill_baseline(&built, net);
	tell_unused(image, used);
}

void
idla_mapping_read(IdlaModel *model, Jsonb *mapping, const LearnSafetensors *image)
{
	JsonbContainer *root = &mapping->root;

	if (!JB_ROOT_IS_OBJECT(mapping))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the mapping is not a JSON object")));
	check_keys("the mapping", root, mapping_keys);
	read_answer(model, root);
	read_columns(model, root);
	read_net(model, root, image);
}

Jsonb *
idla_mapping_record(Jsonb *mapping)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoString(&out, "{\"mapping\":");
	(void) JsonbToCString(&out, &mapping->root, (int) VARSIZE(mapping));
	appendStringInfoChar(&out, '}');
	return idla_json_parse(out.data);
}

Jsonb *
idla_mapping_card(const IdlaModel *model, const char *digest, int64 n_embedding)
{
	const LearnModel *learn = &model->learn;
	char	   *words = learn_network_words(model->work->session, &learn->nets[0].network);
	StringInfoData out;

	if (words == NULL)
		idla_raise(model->work);
	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	idla_json_put_string(&out, "task", learn_task_names[learn->task]);
	idla_json_put_string(&out, "target", model->target);
	idla_json_put_string(&out, "architecture", words);
	idla_json_put_integer(&out, "embedding", n_embedding);
	if (learn->n_classes > 0)
		idla_json_put_strings(&out, "classes", learn->classes, learn->n_classes);
	if (learn->task == LEARN_BINARY)
		idla_json_put_string(&out, "positive", learn->classes[learn->positive]);
	idla_json_open_array(&out, "inputs");
	for (int i = 0; i < model->columns.n; i++)
	{
		const IdlaColumn *column = &model->columns.columns[i];

		idla_json_open_object(&out);
		idla_json_put_string(&out, "name", column->name);
		idla_json_put_string(&out, "type", column->type_name);
		idla_json_put_string(&out, "kind", idla_kind_names[column->kind]);
		if (column->kind == IDLA_ARRAY)
			idla_json_put_integer(&out, "length", column->array_length);
		idla_json_put_string(&out, "use", "input");
		appendStringInfoChar(&out, '}');
	}
	appendStringInfoChar(&out, ']');
	idla_json_put_string(&out, "engine", "idla " IDLA_VERSION);
	idla_json_put_string(&out, "privacy", "unknown: not trained here");
	idla_json_put_string(&out, "digest", digest);
	appendStringInfoChar(&out, '}');
	return idla_json_parse(out.data);
}

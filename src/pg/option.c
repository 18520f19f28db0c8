/*
 * option.c: the options of idla_train.
 *
 * One table lists every option with its type and bounds; what the table does
 * not know is an error that names the nearest option. Null means the default.
 */
#include "option.h"

#include <math.h>

#include "conformal.h"
#include "json.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#define LONGEST_SHOWN 60		/* bytes of a wrong value in a message */

typedef enum OptionType
{
	OPTION_INTEGER,
	OPTION_NUMBER,				/* a double */
	OPTION_REAL,				/* a float */
	OPTION_BOOLEAN,
	OPTION_TEXT,
	OPTION_WORD,				/* one of a list, stored as its index */
	OPTION_SPECIAL				/* has a reader of its own */
} OptionType;

typedef struct Option
{
	const char *name;
	OptionType	type;
	size_t		offset;
	double		low;
	double		high;
	const char *const *words;
	void		(*read) (IdlaOptions *options, const struct Option *option, const JsonbValue *value);
} Option;

const char *const idla_optimizer_names[] = {"adamw", "sgd", "muon", NULL};
const char *const idla_schedule_names[] = {"constant", "cosine", "one_cycle", NULL};
/* What a column's option may be when it is one word. The kinds follow in their order. */
static const char *const column_words[] = {
	"ignore", "keep", "number", "boolean", "category", "date", "timestamp", "timestamptz", "time", "interval", "array",
	"image", "signal", "text", NULL
};
static const char *const override_names[] = {
	"kind", "scaling", "reference", "length", "keep", "height", "width", "depth", "crop", "fitting", "rate", "to_rate", "part",
	"window", "stride", "normalize", "immutable", "low", "high", "step", "pieces", "lowercase", "vocabulary", "truncate", NULL
};
static const char *const bad_input_words[] = {"error", "skip", NULL};
static const char *const fitting_names[] = {"stretch", "crop", "pad", NULL};	/* by LearnFitting */
static const char *const part_names[] = {"center", "start", "end", NULL};	/* by LearnCrop */
static const char *const truncate_names[] = {"end", "start", "middle", NULL};	/* what goes: by LearnKeep */
static const char *const conformal_on_words[] = {"validation", "test", NULL};	/* by IdlaConformalOn */
static const char *const normalize_names[] = {"lead", "signal", "together", "none", NULL};	/* by LearnSignalScaling */

/* ---- values ---- */

char *
idla_option_text(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		case jbvBinary:
			return JsonbToCString(NULL, value->val.binary.data, 0);
		default:
			return pstrdup("null");
	}
}

void
idla_option_complain(const char *name, const JsonbValue *value, const char *wanted)
{
	const char *quote = value->type == jbvString ? "\"" : "";
	char	   *text = idla_option_text(value);
	int			shown = pg_mbcliplen(text, (int) strlen(text), LONGEST_SHOWN);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("option \"%s\" must be %s, not %s%.*s%s%s", name, wanted, quote, shown, text,
					text[shown] != '\0' ? "..." : "", quote)));
}

void
idla_option_unknown(const char *what, const char *name, const char *const *names)
{
	const char *nearest = idla_nearest(name, names);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown %s \"%s\"", what, name),
			 nearest != NULL ?
			 errhint("Perhaps you meant \"%s\". Valid are %s.", nearest, idla_list(names)) :
			 errhint("Valid are %s.", idla_list(names))));
}

double
idla_option_number(const char *name, const JsonbValue *value, double low, double high, bool integer)
{
	double		number = NAN;

	if (value->type == jbvNumeric)
		number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
	if (!(number >= low && number <= high) || (integer && number != floor(number)))
		idla_option_complain(name, value, psprintf("%s from %g to %g", integer ? "an integer" : "a number", low, high));
	return number;
}

static double
number_of(const Option *option, const JsonbValue *value)
{
	return idla_option_number(option->name, value, option->low, option->high, option->type == OPTION_INTEGER);
}

int
idla_option_word(const char *name, const JsonbValue *value, const char *const *words)
{
	char	   *text;
	int			found;

	if (value->type != jbvString)
		idla_option_complain(name, value, psprintf("one of %s", idla_list(words)));
	text = idla_option_text(value);
	found = learn_name_find(words, text);
	if (found < 0)
		idla_option_unknown(psprintf("value of option \"%s\":", name), text, words);
	return found;
}

static char *
text_of(const char *name, const JsonbValue *value)
{
	if (value->type != jbvString)
		idla_option_complain(name, value, "a string");
	return idla_option_text(value);
}

bool
idla_option_boolean(const char *name, const JsonbValue *value)
{
	if (value->type != jbvBool)
		idla_option_complain(name, value, "true or false");
	return value->val.boolean;
}

JsonbContainer *
idla_option_object(const char *name, const JsonbValue *value, const char *wanted)
{
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		idla_option_complain(name, value, wanted);
	return value->val.binary.data;
}

static int
size_of(const char *name, const JsonbValue *value)
{
	Option		size = {name, OPTION_INTEGER, 0, 1, 65536, NULL, NULL};

	return (int) number_of(&size, value);
}

static double
rate_of(const char *name, const JsonbValue *value)
{
	Option		rate = {name, OPTION_NUMBER, 0, 1e-6, 1e9, NULL, NULL};

	return number_of(&rate, value);
}

/* Channels of an image: what is between grey and colour cannot be made of either. */
static int
depth_of(const char *name, const JsonbValue *value)
{
	Option		depth = {name, OPTION_INTEGER, 0, 1, 3, NULL, NULL};
	int			n = (int) number_of(&depth, value);

	if (n == 2)
		idla_option_complain(name, value, "1 (grey) or 3 (colour)");
	return n;
}

/* ---- options that are more than one value ---- */

static void
read_override(IdlaOverride *override, const char *path, const JsonbValue *value)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	item;
	char	   *name = NULL;

	override->low = override->high = NAN;
	override->kind = override->scaling = override->fitting = override->part = override->normalize = -1;
	override->lowercase = override->kept = -1;
	if (value->type == jbvString)
	{
		int			word = idla_option_word(path, value, column_words);

		override->ignore = word == 0;
		override->keep = word == 1;
		if (word > 1)
			override->kind = word - 2;
		return;
	}
	iterator = JsonbIteratorInit(idla_option_object(path, value, "\"ignore\", \"keep\", a kind or an object"));
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = idla_option_text(&item);
		if (token != WJB_VALUE || item.type == jbvNull)
			continue;
		if (strcmp(name, "kind") == 0)
			override->kind = idla_option_word(psprintf("%s.kind", path), &item, idla_kind_names);
		else if (strcmp(name, "scaling") == 0)
			override->scaling = idla_option_word(psprintf("%s.scaling", path), &item, learn_scaling_names);
		else if (strcmp(name, "reference") == 0)
			override->reference = text_of(psprintf("%s.reference", path), &item);
		else if (strcmp(name, "keep") == 0)
			override->keep = idla_option_boolean(psprintf("%s.keep", path), &item);
		else if (strcmp(name, "length") == 0)
			override->length = size_of(psprintf("%s.length", path), &item);
		else if (strcmp(name, "height") == 0)
			override->height = size_of(psprintf("%s.height", path), &item);
		else if (strcmp(name, "width") == 0)
			override->width = size_of(psprintf("%s.width", path), &item);
		else if (strcmp(name, "depth") == 0)
			override->depth = depth_of(psprintf("%s.depth", path), &item);
		else if (strcmp(name, "crop") == 0)
			override->crop = size_of(psprintf("%s.crop", path), &item);
		else if (strcmp(name, "fitting") == 0)
			override->fitting = idla_option_word(psprintf("%s.fitting", path), &item, fitting_names);
		else if (strcmp(name, "rate") == 0)
			override->rate = rate_of(psprintf("%s.rate", path), &item);
		else if (strcmp(name, "to_rate") == 0)
			override->to_rate = rate_of(psprintf("%s.to_rate", path), &item);
		else if (strcmp(name, "part") == 0)
			override->part = idla_option_word(psprintf("%s.part", path), &item, part_names);
		else if (strcmp(name, "window") == 0)
			override->window = size_of(psprintf("%s.window", path), &item);
		else if (strcmp(name, "stride") == 0)
			override->stride = size_of(psprintf("%s.stride", path), &item);
		else if (strcmp(name, "pieces") == 0)
			override->pieces = (int) idla_option_number(psprintf("%s.pieces", path), &item, 16, LEARN_MAX_PIECES, true);
		else if (strcmp(name, "lowercase") == 0)
			override->lowercase = idla_option_boolean(psprintf("%s.lowercase", path), &item) ? 1 : 0;
		else if (strcmp(name, "vocabulary") == 0)
			override->vocabulary = text_of(psprintf("%s.vocabulary", path), &item);
		else if (strcmp(name, "truncate") == 0)
			override->kept = idla_option_word(psprintf("%s.truncate", path), &item, truncate_names);
		else if (strcmp(name, "normalize") == 0)
			override->normalize = idla_option_word(psprintf("%s.normalize", path), &item, normalize_names);
		else if (strcmp(name, "immutable") == 0)
			override->immutable = idla_option_boolean(psprintf("%s.immutable", path), &item);
		else if (strcmp(name, "low") == 0)
			override->low = idla_option_number(psprintf("%s.low", path), &item, -1e300, 1e300, false);
		else if (strcmp(name, "high") == 0)
			override->high = idla_option_number(psprintf("%s.high", path), &item, -1e300, 1e300, false);
		else if (strcmp(name, "step") == 0)
			override->step = idla_option_number(psprintf("%s.step", path), &item, 1e-12, 1e300, false);
		else
			idla_option_unknown(psprintf("key of option \"%s\":", path), name, override_names);
	}
	if (override->low > override->high)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s.low\" is %g, above \"high\", which is %g", path, override->low, override->high)));
}

IdlaOverride *
idla_overrides_read(const char *name, const JsonbValue *value, int *n)
{
	JsonbContainer *object = idla_option_object(name, value, "an object of column names");
	JsonbIterator *iterator = JsonbIteratorInit(object);
	IdlaOverride *overrides = palloc0(sizeof(IdlaOverride) * Max(JsonContainerSize(object), 1));
	JsonbIteratorToken token;
	JsonbValue	item;

	*n = 0;
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		IdlaOverride *override = &overrides[*n];

		if (token == WJB_KEY)
			override->name = idla_option_text(&item);
		if (token == WJB_VALUE && item.type != jbvNull)
		{
			read_override(override, psprintf("%s.%s", name, override->name), &item);
			(*n)++;
		}
	}
	return overrides;
}

static void
read_columns(IdlaOptions *options, const Option *option, const JsonbValue *value)
{
	options->overrides = idla_overrides_read(option->name, value, &options->n_overrides);
}

static void
read_group_by(IdlaOptions *options, const Option *option, const JsonbValue *value)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	item;

	if (value->type == jbvString)
	{
		options->group_by = list_make1(idla_option_text(value));
		return;
	}
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		idla_option_complain(option->name, value, "a column name or an array of column names");
	iterator = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
		if (token == WJB_ELEM)
			options->group_by = lappend(options->group_by, text_of(option->name, &item));
	if (options->group_by == NIL)
		idla_option_complain(option->name, value, "a column name or an array of column names");
}

static void
read_class_weights(IdlaOptions *options, const Option *option, const JsonbValue *value)
{
	JsonbContainer *object;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	item;
	int			n = 0;

	if (value->type == jbvString && strcmp(idla_option_text(value), "balanced") == 0)
	{
		options->training.balanced = true;
		return;
	}
	object = idla_option_object(option->name, value, "\"balanced\" or an object of class weights");
	options->weighted_classes = palloc0(sizeof(char *) * Max(JsonContainerSize(object), 1));
	options->class_weights = palloc0(sizeof(double) * Max(JsonContainerSize(object), 1));
	iterator = JsonbIteratorInit(object);
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		Option		weight = {option->name, OPTION_NUMBER, 0, 1e-6, 1e6, NULL, NULL};

		if (token == WJB_KEY)
			options->weighted_classes[n] = idla_option_text(&item);
		if (token == WJB_VALUE)
			options->class_weights[n++] = number_of(&weight, &item);
	}
	options->n_class_weights = n;
}

static void
read_series(IdlaOptions *options, const Option *option, const JsonbValue *value)
{
	(void) option;
	idla_series_options_read(options, value);
}

/* A label, in whatever type the target has it. */
static void
read_positive(IdlaOptions *options, const Option *option, const JsonbValue *value)
{
	if (value->type == jbvBinary)
		idla_option_complain(option->name, value, "a label");
	options->positive = idla_option_text(value);
}

/* To the user 0 is "never stop early"; to the engine it is the default. */
static void
read_patience(IdlaOptions *options, const Option *option, const JsonbValue *value)
{
	Option		number = {option->name, OPTION_INTEGER, 0, 0, 100000, NULL, NULL};
	int			patience = (int) number_of(&number, value);

	options->training.patience = patience == 0 ? -1 : patience;
}

static void
read_linear(IdlaOptions *options, const Option *option, const JsonbValue *value)
{
	options->training.linear = idla_option_boolean(option->name, value) ? 1 : 0;
}

static void
read_activation(IdlaOptions *options, const Option *option, const JsonbValue *value)
{
	options->network.activation = learn_activation_map(idla_option_word(option->name, value, learn_activation_names));
}

static void
read_crf(IdlaOptions *options, const Option *option, const JsonbValue *value)
{
	options->network.tags_alone = !idla_option_boolean(option->name, value);
}

static void
read_seed(IdlaOptions *options, const Option *option, const JsonbValue *value)
{
	Option		number = {option->name, OPTION_INTEGER, 0, 0, 9007199254740991.0, NULL, NULL};

	options->training.seed = (uint64_t) number_of(&number, value);
}

static void
read_augment(IdlaOptions *options, const Option *option, const JsonbValue *value)
{
	(void) option;
	idla_augment_read(options, value);
}

static void
read_adversary(IdlaOptions *options, const Option *option, const JsonbValue *value)
{
	(void) option;
	idla_adversary_read(&options->training.adversary, value);
}

/* false, true, or {"score": ..., "by": ..., "on": ...} */
static void
read_conformal(IdlaOptions *options, const Option *option, const JsonbValue *value)
{
	static const char *const keys[] = {"score", "by", "on", NULL};
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	item;
	char	   *name = NULL;

	if (value->type == jbvBool)
	{
		options->no_conformal = !value->val.boolean;
		options->conformal_asked = value->val.boolean;
		return;
	}
	options->conformal_asked = true;
	iterator = JsonbIteratorInit(idla_option_object(option->name, value, "true, false or an object"));
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = idla_option_text(&item);
		if (token != WJB_VALUE || item.type == jbvNull)
			continue;
		if (strcmp(name, "score") == 0)
			options->conformal_score = idla_option_word("conformal.score", &item, learn_conformal_score_names);
		else if (strcmp(name, "by") == 0)
			options->conformal_by = text_of("conformal.by", &item);
		else if (strcmp(name, "on") == 0)
			options->conformal_on = idla_option_word("conformal.on", &item, conformal_on_words);
		else
			idla_option_unknown("key of option \"conformal\":", name, keys);
	}
}

/* ---- the table ---- */

#define AT(member) offsetof(IdlaOptions, member)
#define INTEGER(name, member, low, high) {name, OPTION_INTEGER, AT(member), low, high, NULL, NULL}
#define NUMBER(name, member, low, high) {name, OPTION_NUMBER, AT(member), low, high, NULL, NULL}
#define REAL(name, member, low, high) {name, OPTION_REAL, AT(member), low, high, NULL, NULL}
#define BOOLEAN(name, member) {name, OPTION_BOOLEAN, AT(member), 0, 0, NULL, NULL}
#define TEXT(name, member) {name, OPTION_TEXT, AT(member), 0, 0, NULL, NULL}
#define WORD(name, member, words) {name, OPTION_WORD, AT(member), 0, 0, words, NULL}
#define SPECIAL(name, reader) {name, OPTION_SPECIAL, 0, 0, 0, NULL, reader}

static const Option known[] = {
	/* columns and rows */
	SPECIAL("columns", read_columns),
	SPECIAL("group_by", read_group_by),
	TEXT("order_by", order_by),
	TEXT("part", part),
	WORD("on_bad_input", on_bad_input, bad_input_words),
	TEXT("time", time),
	TEXT("event", event),
	TEXT("entity", entity),
	TEXT("label_at", label_at),
	SPECIAL("series", read_series),
	NUMBER("validation", split.validation, 0, 0.9),
	NUMBER("test", split.test, 0, 0.9),
	INTEGER("folds", training.folds, 0, 100),
	INTEGER("bags", training.bags, 1, 100),
	SPECIAL("seed", read_seed),
	WORD("scaling", scaling, learn_scaling_names),
	INTEGER("max_categories", fit.max_categories, 2, 1000000),
	INTEGER("min_count", fit.min_count, 1, 1000000),

	/* the network */
	INTEGER("depth", network.depth, 1, 64),
	INTEGER("width", network.width, 1, 8192),
	INTEGER("members", network.members, 1, 512),
	SPECIAL("activation", read_activation),
	REAL("dropout", network.dropout, 0, 0.95),
	WORD("embedding", network.embedding, learn_embedding_names),
	INTEGER("bins", network.bins, 2, 1024),
	INTEGER("embedding_width", network.embedding_width, 1, 256),
	TEXT("layers", network.layers),
	WORD("positions", network.positions, learn_position_names),
	SPECIAL("crf", read_crf),

	/* training */
	INTEGER("epochs", training.epochs, 1, 100000),
	INTEGER("batch", training.batch, 1, 1048576),
	SPECIAL("patience", read_patience),
	WORD("optimizer", training.optimizer, idla_optimizer_names),
	NUMBER("rate", training.rate, 1e-9, 10),
	NUMBER("matrix_rate", training.matrix_rate, 1e-9, 10),
	NUMBER("decay", training.decay, 0, 10),
	NUMBER("momentum", training.momentum, 0, 0.9999),
	WORD("schedule", training.schedule, idla_schedule_names),
	NUMBER("warm_up", training.warm_up, 0, 1),
	NUMBER("clip", training.clip, 0, 1e9),
	NUMBER("average", training.average, 0, 0.99999),
	NUMBER("word_dropout", training.word_dropout, 0, 0.9),
	NUMBER("smoothing", training.smoothing, 0, 0.9),
	NUMBER("huber", training.huber, 0, 1e9),
	SPECIAL("class_weights", read_class_weights),
	BOOLEAN("calibrate", training.calibrate),
	SPECIAL("linear", read_linear),
	INTEGER("threads", training.threads, 1, 1024),

	/* changed rows */
	SPECIAL("augment", read_augment),
	INTEGER("augment_predict", views, 0, 64),
	SPECIAL("adversarial", read_adversary),

	/* the answer and the version */
	SPECIAL("conformal", read_conformal),
	NUMBER("abstain", abstain, 0, 1),
	NUMBER("threshold", threshold, 0, 1),
	SPECIAL("positive", read_positive),
	BOOLEAN("deploy", deploy),
	TEXT("comment", comment)
};

static void
set_defaults(IdlaOptions *options)
{
	LearnTraining *training = &options->training;

	/* A negative share is "not given": train.c decides once it knows of folds. */
	options->split.validation = options->split.test = -1;
	options->threshold = 0.5;
	options->fit.max_categories = 1000;
	options->fit.min_count = 5;
	options->fit.warn_leakage = true;
	options->scaling = LEARN_ROBUST;
	options->conformal_score = -1;
	options->series_average = true;
	options->network.activation = -1;
	options->network.dropout = -1;
	training->optimizer = training->schedule = training->linear = training->augmented = -1;
	training->decay = training->momentum = training->warm_up = training->clip = training->average = training->word_dropout = -1;
	training->calibrate = true;
	training->seed = 1;
}

static void
set_option(IdlaOptions *options, const Option *option, const JsonbValue *value)
{
	void	   *place = (char *) options + option->offset;

	switch (option->type)
	{
		case OPTION_INTEGER:
			*(int *) place = (int) number_of(option, value);
			break;
		case OPTION_NUMBER:
			*(double *) place = number_of(option, value);
			break;
		case OPTION_REAL:
			*(float *) place = (float) number_of(option, value);
			break;
		case OPTION_BOOLEAN:
			*(bool *) place = idla_option_boolean(option->name, value);
			break;
		case OPTION_TEXT:
			*(char **) place = text_of(option->name, value);
			break;
		case OPTION_WORD:
			*(int *) place = idla_option_word(option->name, value, option->words);
			break;
		case OPTION_SPECIAL:
			option->read(options, option, value);
			break;
	}
}

static const Option *
find_option(const char *name)
{
	const char *names[lengthof(known) + 1];

	for (int i = 0; i < (int) lengthof(known); i++)
	{
		if (strcmp(known[i].name, name) == 0)
			return &known[i];
		names[i] = known[i].name;
	}
	names[lengthof(known)] = NULL;
	idla_option_unknown("option", name, names);
	return NULL;
}

static void
check_together(IdlaOptions *options)
{
	const LearnSplit *split = &options->split;

	idla_series_options_check(options);

	if (Max(split->validation, 0) + Max(split->test, 0) >= 0.95)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options \"validation\" and \"test\" leave no rows to train on")));
	/* Beside an entity, the order may be that of tokens. */
	if (options->part != NULL && ((options->order_by != NULL && options->entity == NULL) || options->group_by != NIL || split->test >= 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"part\" cannot be combined with \"group_by\", \"order_by\" or \"test\""),
				 errdetail("Column \"%s\" already says for every row which part it is in.", options->part)));
}

IdlaOptions *
idla_options_read(Jsonb *json)
{
	IdlaOptions *options = palloc0(sizeof(IdlaOptions));
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	item;
	const Option *option = NULL;

	StaticAssertStmt(sizeof(LearnEmbedding) == sizeof(int), "words are stored as int");
	set_defaults(options);
	if (!JB_ROOT_IS_OBJECT(json))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options must be a JSON object"),
				 errhint("For example: options => '{\"epochs\": 20}'.")));
	iterator = JsonbIteratorInit(&json->root);
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			option = find_option(idla_option_text(&item));
		else if (token == WJB_VALUE && item.type != jbvNull)
			set_option(options, option, &item);
	}
	check_together(options);
	return options;
}

int
idla_task_find(const char *name)
{
	int			found = learn_name_find(learn_task_names, name);

	if (found < 0)
		idla_option_unknown("task", name, learn_task_names);
	return found;
}

void
idla_architecture_read(const char *text, LearnNetwork *network)
{
	int			found = learn_name_find(learn_architecture_names, text);

	/* A word with parentheses is a layer text: dense(128) relu dense(64) relu. */
	if (found < 0 && strchr(text, '(') != NULL)
	{
		found = LEARN_LAYERS;
		network->layers = pstrdup(text);
	}
	if (found < 0)
		idla_option_unknown("architecture", text, learn_architecture_names);
	network->architecture = (LearnArchitecture) found;
	if (network->layers != NULL && network->architecture == LEARN_AUTO)
		network->architecture = LEARN_LAYERS;
	if (network->layers != NULL && network->architecture != LEARN_LAYERS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"layers\" cannot be combined with architecture \"%s\"", text)));
	if (network->architecture == LEARN_LAYERS && network->layers == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("architecture \"layers\" needs the layers"),
				 errhint("Write them as the architecture, for example 'dense(128) relu dropout(0.1)', or as option \"layers\".")));
	if (network->positions != LEARN_POSITIONS_AUTO && network->architecture != LEARN_TRANSFORMER)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"positions\" cannot be combined with architecture \"%s\"", learn_architecture_names[network->architecture]),
				 errdetail("Only a Transformer has to be told where in a sequence something stands."),
				 errhint("Say architecture => 'transformer', or leave the option out.")));
}

/*
 * option_augment.c: the options augment and adversarial.
 *
 * The names of augmentation and their bounds come from the engine's table. A name may stand alone
 * ({"rotate": 10}) where only one of the model's inputs knows it; which that is, and what "usual" means, is settled
 * once the columns are known.
 */
#include "option.h"

#include <math.h>

#define MOST_WISHES 64
#define PIXEL_EPSILON (8.0 / 255)
#define SIGNAL_EPSILON 0.1
#define TEXT_EPSILON 0.05
#define TABLE_EPSILON 0.5

static const char *const adversary_keys[] = {
	"method", "norm", "epsilon", "steps", "step", "restarts", "share", "beta", NULL
};

/* ---- augment ---- */

/* Names of a kind's options, or of all and the kinds too; NULL ends. */
static const char **
augment_names(int kind)
{
	const char **names = palloc0(sizeof(char *) * (LEARN_AUGMENT_MOST + LEARN_N_AUGMENT_KINDS + 1));
	int			n = 0;

	for (int i = 0; kind < 0 && learn_augment_kind_names[i] != NULL; i++)
		names[n++] = learn_augment_kind_names[i];
	for (const LearnAugmentOption *option = learn_augment_options; option->name != NULL; option++)
	{
		bool		listed = kind >= 0 && kind != (int) option->kind;

		for (int i = 0; i < n; i++)
			listed = listed || strcmp(names[i], option->name) == 0;
		if (!listed)
			names[n++] = option->name;
	}
	return names;
}

static void
add_wish(IdlaOptions *options, int kind, char *name, double value)
{
	if (options->augment == NULL)
		options->augment = palloc0(sizeof(IdlaAugmentWish) * MOST_WISHES);
	if (options->n_augment == MOST_WISHES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"augment\" says more than %d things", MOST_WISHES)));
	options->augment[options->n_augment++] = (IdlaAugmentWish) {kind, name, value};
}

/* The bounds of an option of that name; of several kinds the widest. */
static double
augment_value(int kind, const char *path, const char *name, const JsonbValue *value)
{
	double		high = -1;

	for (const LearnAugmentOption *option = learn_augment_options; option->name != NULL; option++)
		if ((kind < 0 || kind == (int) option->kind) && strcmp(option->name, name) == 0)
			high = Max(high, option->maximum);
	if (high < 0)
		idla_option_unknown(psprintf("key of option \"%s\":", path), name, augment_names(kind));
	return idla_option_number(psprintf("%s.%s", path, name), value, 0, high, false);
}

static void
read_augment_object(IdlaOptions *options, int kind, const char *path, JsonbContainer *object)
{
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue	item;
	char	   *name = NULL;

	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		int			inner;

		if (token == WJB_KEY)
			name = idla_option_text(&item);
		if (token != WJB_VALUE || item.type == jbvNull)
			continue;
		inner = kind < 0 ? learn_name_find(learn_augment_kind_names, name) : -1;
		if (inner < 0)
			add_wish(options, kind, name, augment_value(kind, path, name, &item));
		else if (item.type != jbvBool)
			read_augment_object(options, inner, psprintf("%s.%s", path, name),
								idla_option_object(psprintf("%s.%s", path, name), &item, "true, false or an object"));
		else if (item.val.boolean)
			add_wish(options, inner, NULL, 0);
	}
}

void
idla_augment_read(IdlaOptions *options, const JsonbValue *value)
{
	options->training.augmented = 1;
	if (value->type != jbvBool)
		read_augment_object(options, -1, "augment", idla_option_object("augment", value, "true, false or an object"));
	else if (value->val.boolean)
		add_wish(options, -1, NULL, 0);
	else
		options->training.augmented = 0;
}

static bool
has_input(const LearnModel *model, LearnAugmentKind kind)
{
	if (kind == LEARN_AUGMENT_TABLE)
		return model->n_numbers + model->n_codes > 0;
	for (int i = 0; i < model->n_fields; i++)
		if (learn_augment_kind(&model->fields[i]) == kind)
			return true;
	return false;
}

/* A name without a kind belongs to the one kind of input that knows it. */
static const LearnAugmentOption *
find_for_inputs(const IdlaAugmentWish *wish, const LearnModel *model)
{
	const LearnAugmentOption *found = NULL;

	for (int kind = 0; kind < LEARN_N_AUGMENT_KINDS; kind++)
	{
		const LearnAugmentOption *option = learn_augment_find((LearnAugmentKind) kind, wish->name);

		if (option == NULL || (wish->kind < 0 ? !has_input(model, (LearnAugmentKind) kind) : wish->kind != kind))
			continue;
		if (found != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"augment.%s\" may mean %s or %s", wish->name,
							learn_augment_kind_names[found->kind], learn_augment_kind_names[kind]),
					 errhint("Say which: {\"augment\": {\"%s\": {\"%s\": %g}}}.", learn_augment_kind_names[kind],
							 wish->name, wish->value)));
		found = option;
	}
	if (found == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"augment.%s\" is for inputs that the source does not have", wish->name)));
	return found;
}

/* Predicting averages over what training was changed by, so something must have been. */
static void
check_views(const LearnTraining *training, const LearnModel *model)
{
	bool		changed = training->augmented < 0 ? has_input(model, LEARN_AUGMENT_IMAGE) :
		training->augmented > 0 && learn_augment_has_views(&training->augment);

	if (model->task == LEARN_TAGGING)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"augment_predict\" is for one answer a row, and a tagger gives one a word")));
	if (!changed)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"augment_predict\" averages over changed rows, and nothing is changed"),
				 errdetail("Views are made with the options of \"augment\"; light, noise and erasing of images have no part in them, nor has mixing."),
				 errhint("Say what may change, for example \"augment\": {\"noise\": 0.05}.")));
}

void
idla_augment_settle(IdlaOptions *options, const LearnModel *model)
{
	LearnTraining *training = &options->training;

	for (int i = 0; i < options->n_augment; i++)
	{
		const IdlaAugmentWish *wish = &options->augment[i];

		for (int kind = 0; wish->name == NULL && kind < LEARN_N_AUGMENT_KINDS; kind++)
			if (wish->kind == kind || (wish->kind < 0 && has_input(model, (LearnAugmentKind) kind)))
				learn_augment_usual(&training->augment, (LearnAugmentKind) kind);
	}
	for (int i = 0; i < options->n_augment; i++)
	{
		const IdlaAugmentWish *wish = &options->augment[i];
		const LearnAugmentOption *option;

		if (wish->name == NULL)
			continue;
		option = find_for_inputs(wish, model);
		if (!(wish->value <= option->maximum))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"augment.%s.%s\" must be a number from %g to %g, not %g", learn_augment_kind_names[option->kind],
							option->name, option->minimum, option->maximum, wish->value)));
		training->augment.values[learn_augment_position(option)] = (float) wish->value;
	}
	if (options->views > 1)
		check_views(training, model);
}

/* ---- adversarial ---- */

static void
read_adversary_key(LearnAdversary *adversary, const char *name, const JsonbValue *value)
{
	char	   *path = psprintf("adversarial.%s", name);

	if (strcmp(name, "method") == 0)
		adversary->method = (LearnAdversaryMethod) idla_option_word(path, value, learn_adversary_names);
	else if (strcmp(name, "norm") == 0)
		adversary->norm = (LearnNormKind) idla_option_word(path, value, learn_norm_names);
	else if (strcmp(name, "epsilon") == 0)
		adversary->epsilon = idla_option_number(path, value, 1e-9, 1e6, false);
	else if (strcmp(name, "steps") == 0)
		adversary->steps = (int) idla_option_number(path, value, 1, 1000, true);
	else if (strcmp(name, "step") == 0)
		adversary->step = idla_option_number(path, value, 1e-6, 10, false);
	else if (strcmp(name, "restarts") == 0)
		adversary->restarts = (int) idla_option_number(path, value, 1, 100, true);
	else if (strcmp(name, "share") == 0)
		adversary->share = idla_option_number(path, value, 0.01, 1, false);
	else if (strcmp(name, "beta") == 0)
		adversary->beta = idla_option_number(path, value, 0, 1000, false);
	else
		idla_option_unknown("key of option \"adversarial\":", name, adversary_keys);
}

void
idla_adversary_read(LearnAdversary *adversary, const JsonbValue *value)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	item;
	char	   *name = NULL;

	*adversary = (LearnAdversary) {
		.method = LEARN_PGD, .norm = LEARN_NORM_MAX, .steps = 10, .restarts = 1, .share = 0.5, .beta = 6
	};
	if (value->type == jbvString)
	{
		adversary->method = (LearnAdversaryMethod) idla_option_word("adversarial", value, learn_adversary_names);
		return;
	}
	iterator = JsonbIteratorInit(idla_option_object("adversarial", value, "a method or an object"));
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = idla_option_text(&item);
		if (token == WJB_VALUE && item.type != jbvNull)
			read_adversary_key(adversary, name, &item);
	}
}

void
idla_adversary_settle(LearnAdversary *adversary, const LearnModel *model)
{
	if (adversary->method == LEARN_NO_ADVERSARY || adversary->epsilon > 0)
		return;
	adversary->epsilon = has_input(model, LEARN_AUGMENT_IMAGE) ? PIXEL_EPSILON :
		has_input(model, LEARN_AUGMENT_SIGNAL) || has_input(model, LEARN_AUGMENT_SERIES) ? SIGNAL_EPSILON :
		has_input(model, LEARN_AUGMENT_TEXT) ? TEXT_EPSILON : TABLE_EPSILON;
}

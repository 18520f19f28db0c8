/*
 * assault.c: an attack on rows, columns and images together.
 *
 * Numbers and categories are changed by the engine's attack on tables, which keeps every constraint; images and
 * signals by the general one, in the values that the network sees. Of a model with both, the images are moved while the columns
 * are the row's own, and the columns after that; a row counts as fooled when either fools the model.
 */
#include "robust.h"

#include <math.h>

static const char *const option_names[] = {
	"norm", "steps", "restarts", "max_changes", "rows", "certify", "samples", "sigma", "tolerance", "seed", "columns", NULL
};

/* ---- options ---- */

static void
read_option(IdlaRobustOptions *options, const char *name, const JsonbValue *value)
{
	if (strcmp(name, "norm") == 0)
		options->norm = (LearnNormKind) idla_option_word(name, value, learn_norm_names);
	else if (strcmp(name, "steps") == 0)
		options->steps = (int) idla_option_number(name, value, 1, 10000, true);
	else if (strcmp(name, "restarts") == 0)
		options->restarts = (int) idla_option_number(name, value, 1, 1000, true);
	else if (strcmp(name, "max_changes") == 0)
		options->max_changes = (int) idla_option_number(name, value, 0, 1000, true);
	else if (strcmp(name, "rows") == 0)
		options->rows = (int) idla_option_number(name, value, 1, 1000000, true);
	else if (strcmp(name, "certify") == 0)
		options->certify = (int) idla_option_number(name, value, 0, 1000000, true);
	else if (strcmp(name, "samples") == 0)
		options->samples = (int) idla_option_number(name, value, 10, 1000000, true);
	else if (strcmp(name, "sigma") == 0)
		options->sigma = idla_option_number(name, value, 1e-6, 1000, false);
	else if (strcmp(name, "tolerance") == 0)
		options->tolerance = idla_option_number(name, value, 1e-6, 1000, false);
	else if (strcmp(name, "seed") == 0)
		options->seed = (int64) idla_option_number(name, value, 0, 9007199254740991.0, true);
	else if (strcmp(name, "columns") == 0)
		options->overrides = idla_overrides_read(name, value, &options->n_overrides);
	else
		idla_option_unknown("option", name, option_names);
}

IdlaRobustOptions *
idla_robust_options_read(Jsonb *json)
{
	IdlaRobustOptions *options = palloc0(sizeof(IdlaRobustOptions));
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	item;
	char	   *name = NULL;

	*options = (IdlaRobustOptions) {
		.steps = 40, .restarts = 3, .rows = 1000, .certify = 50, .samples = 1000, .sigma = 0.5, .tolerance = 0.5, .seed = 1
	};
	if (json == NULL)
		return options;
	if (!JB_ROOT_IS_OBJECT(json))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options must be a JSON object")));
	iterator = JsonbIteratorInit(&json->root);
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = idla_option_text(&item);
		else if (token == WJB_VALUE && item.type != jbvNull)
			read_option(options, name, &item);
	}
	return options;
}

/* ---- making ---- */

void *
idla_assault_allocate(IdlaWork *work, size_t count, size_t size)
{
	void	   *block = dev_alloc(work->session, Max(count, 1), Max(size, 1));

	if (block == NULL)
		idla_raise(work);
	return block;
}

static size_t
plane_size(const LearnField *field)
{
	return field->dims[0] * field->dims[1] * (field->kind == LEARN_IMAGE ? field->dims[2] : 1);
}

static void
allocate_fields(IdlaAssault *assault)
{
	const LearnModel *learn = &assault->model->learn;
	size_t		n = assault->max_rows;
	size_t		widest = 0;

	assault->planes = idla_assault_allocate(assault->work, (size_t) learn->n_fields, sizeof(float *));
	for (int i = 0; i < learn->n_fields; i++)
	{
		if (!learn_field_is_attacked(&learn->fields[i]))
			continue;
		widest = Max(widest, plane_size(&learn->fields[i]));
		assault->planes[i] = idla_assault_allocate(assault->work, n, plane_size(&learn->fields[i]) * sizeof(float));
	}
	if (widest == 0)
		return;
	assault->clean = idla_assault_allocate(assault->work, n, widest * sizeof(float));
	assault->box_low = idla_assault_allocate(assault->work, n, widest * sizeof(float));
	assault->box_high = idla_assault_allocate(assault->work, n, widest * sizeof(float));
	assault->scratch = idla_assault_allocate(assault->work, learn_attack_scratch(n, widest), sizeof(float));
}

/* What the user says now goes before what he said in training. */
static LearnConstraint *
build_constraints(const IdlaModel *model, Oid relid, const IdlaRobustOptions *options)
{
	int			n_trained;
	IdlaOverride *trained = idla_constraints_trained(model, &n_trained);
	IdlaOverride *all = palloc0(sizeof(IdlaOverride) * (Size) Max(n_trained + options->n_overrides, 1));

	if (options->n_overrides > 0)
		memcpy(all, options->overrides, sizeof(IdlaOverride) * (Size) options->n_overrides);
	if (n_trained > 0)
		memcpy(all + options->n_overrides, trained, sizeof(IdlaOverride) * (Size) n_trained);
	for (int i = 0; i < options->n_overrides; i++)
	{
		bool		known = false;

		for (int j = 0; j < model->columns.n; j++)
			known = known || strcmp(model->columns.columns[j].name, options->overrides[i].name) == 0;
		if (!known)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("option \"columns\" names \"%s\", which is no input of the model", options->overrides[i].name)));
	}
	return idla_constraints_build(&model->columns, relid, all, n_trained + options->n_overrides);
}

IdlaAssault *
idla_assault_create(IdlaWork *work, const IdlaModel *model, Oid relid, const IdlaRobustOptions *options, size_t max_rows)
{
	const LearnModel *learn = &model->learn;
	MemoryContext caller = MemoryContextSwitchTo(work->context);
	IdlaAssault *assault = palloc0(sizeof(IdlaAssault));
	bool		movable = false;

	assault->work = work;
	assault->model = model;
	assault->options = options;
	assault->max_rows = max_rows;
	assault->constraints = build_constraints(model, relid, options);
	idla_check(work, learn_constraints_check(work->session, learn->channels, learn->n_channels, assault->constraints));
	idla_check(work, learn_predictor_create(work->session, learn, max_rows, &assault->predictor));
	idla_check(work, learn_predictor_oracle_create(assault->predictor, options->tolerance, &assault->oracle));
	for (int i = 0; i < learn->n_channels; i++)
		movable = movable || assault->constraints[i].mutable;
	if (movable)
		idla_check(work, learn_table_attacker_create(work->session, learn->channels, learn->n_channels, assault->constraints,
													 learn->n_numbers, learn->n_codes, max_rows, &assault->attacker));
	assault->changed = idla_assault_allocate(work, max_rows, (size_t) learn->n_channels * sizeof(float));
	assault->fooled = idla_assault_allocate(work, max_rows, 1);
	assault->losses = idla_assault_allocate(work, max_rows, sizeof(float));
	assault->lengths = idla_assault_allocate(work, max_rows, sizeof(int32_t));
	assault->numbers = idla_assault_allocate(work, max_rows, learn->n_numbers * sizeof(float));
	assault->codes = idla_assault_allocate(work, max_rows, learn->n_codes * sizeof(int32_t));
	allocate_fields(assault);
	MemoryContextSwitchTo(caller);
	return assault;
}

void
idla_assault_rows(IdlaAssault *assault, uint64 first, const float *raw, const LearnBytes *fields, const float *labels)
{
	assault->first = first;
	assault->raw = raw;
	assault->fields = fields;
	learn_predictor_oracle_set(assault->oracle, labels);
	learn_predictor_oracle_fields(assault->oracle, fields);
}

/* ---- attacking ---- */

/* Moves one field of the n rows, everything else as it is; into planes, and into fooled of this field alone. */
static DevStatus
attack_field(IdlaAssault *assault, int number, const LearnAttack *how, size_t n, const float *epsilons, uint8_t *fooled)
{
	const LearnModel *learn = &assault->model->learn;
	const LearnField *field = &learn->fields[number];
	LearnOracle oracle = learn_predictor_field_oracle(assault->oracle, number, assault->numbers, assault->codes);
	LearnBox	box = {.low = assault->box_low, .high = assault->box_high, .by_row = true};
	LearnAttack attack = *how;
	float	   *radii = assault->losses;
	size_t		size = oracle.n_inputs;

	for (size_t row = 0; row < n; row++)
	{
		void	   *planes[LEARN_MAX_PLANES] = {assault->clean + row * size};

		learn_field_load(field, assault->fields[row * (size_t) learn->n_fields + (size_t) number], NULL, planes, &assault->lengths[row]);
		learn_field_box(field, (size_t) assault->lengths[row], how->norm == LEARN_NORM_MAX ? (double) epsilons[row] : INFINITY,
						assault->clean + row * size, assault->box_low + row * size, assault->box_high + row * size);
		radii[row] = how->norm == LEARN_NORM_MAX ? INFINITY : (float) learn_field_radius(field, (double) epsilons[row]);
	}
	return learn_attack(&attack, &oracle, &box, n, assault->clean, radii, (uint64_t) assault->options->seed + (uint64_t) number,
						assault->first, assault->planes[number], NULL, fooled, assault->scratch);
}

DevStatus
idla_assault_run(IdlaAssault *assault, const LearnAttack *how, size_t n, const float *epsilons, bool until_fooled)
{
	const LearnModel *learn = &assault->model->learn;
	LearnTableAttack table = {.numbers = *how, .rounds = 2, .max_changes = assault->options->max_changes};
	LearnRowOracle oracle = learn_predictor_oracle(assault->oracle);
	uint8_t    *fooled = until_fooled ? palloc0(n) : NULL;
	DevStatus	status = DEV_OK;

	memset(assault->fooled, 0, n);
	memcpy(assault->changed, assault->raw, n * (size_t) learn->n_channels * sizeof(float));
	for (size_t row = 0; row < n; row++)
		learn_encode_row(learn->channels, learn->n_channels, assault->raw + row * (size_t) learn->n_channels,
						 assault->numbers + row * learn->n_numbers, assault->codes + row * learn->n_codes);
	for (int i = 0; i < learn->n_fields && status == DEV_OK; i++)
	{
		if (assault->planes[i] == NULL)
			continue;
		status = attack_field(assault, i, how, n, epsilons, fooled);
		for (size_t row = 0; until_fooled && row < n; row++)
			assault->fooled[row] |= fooled[row];
	}
	if (status == DEV_OK && assault->attacker != NULL)
	{
		status = learn_table_attack(assault->attacker, &table, &oracle, n, assault->raw, epsilons,
									(uint64_t) assault->options->seed, assault->first, assault->changed, assault->losses, fooled);
		for (size_t row = 0; until_fooled && row < n; row++)
			assault->fooled[row] |= fooled[row];
	}
	if (fooled != NULL)
		pfree(fooled);
	return status;
}

/*
 * assault.c: an attack on rows, columns and images together.
 *
 * Numbers and categories are changed by the engine's attack on tables, which keeps every constraint; images and
 * signals by the general one, in the values that the network sees, in the steps that pixels and whole numbers have. Of a model with both, one
 * moves after the other and is judged with what moved before. The table's own CHECKs have the last word: numbers ask the server before
 * the model does, images and signals after they moved, and whatever fails goes back.
 */
#include "robust.h"

#include <math.h>

#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define ROOM 64
#define PLANE_FLOATS ((size_t) 1 << 21)	/* of all rows of a batch, about */
#define TRIES 5					/* of a written field, each half as far as the last */

static const char *const option_names[] = {
	"norm", "steps", "restarts", "max_changes", "max_words", "rows", "certify", "samples", "sigma", "tolerance", "seed", "columns", NULL
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
	else if (strcmp(name, "max_words") == 0)
		options->max_words = (int) idla_option_number(name, value, 0, 256, true);
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

size_t
idla_assault_room(const LearnModel *learn)
{
	size_t		size = 1;

	for (int i = 0; i < learn->n_fields; i++)
		if (learn_field_is_attacked(&learn->fields[i]))
			size = Max(size, learn_field_moves(&learn->fields[i]));
	return Max(Min(PLANE_FLOATS / size, ROOM), 1);
}

static void
allocate_fields(IdlaAssault *assault, const bool *fixed)
{
	const LearnModel *learn = &assault->model->learn;
	size_t		n = assault->max_rows;
	size_t		widest = 0;

	assault->planes = idla_assault_allocate(assault->work, (size_t) learn->n_fields, sizeof(float *));
	assault->field_values = idla_assault_allocate(assault->work, n, (size_t) learn->n_fields * sizeof(Datum));
	assault->field_written = idla_assault_allocate(assault->work, n, (size_t) learn->n_fields * sizeof(bool));
	for (int i = 0; i < learn->n_fields; i++)
	{
		if (!learn_field_is_attacked(&learn->fields[i]) || fixed[i])
			continue;
		widest = Max(widest, learn_field_moves(&learn->fields[i]));
		assault->planes[i] = idla_assault_allocate(assault->work, n, learn_field_moves(&learn->fields[i]) * sizeof(float));
	}
	if (widest == 0)
		return;
	assault->clean = idla_assault_allocate(assault->work, n, widest * sizeof(float));
	assault->box_low = idla_assault_allocate(assault->work, n, widest * sizeof(float));
	assault->box_high = idla_assault_allocate(assault->work, n, widest * sizeof(float));
	assault->rounded = idla_assault_allocate(assault->work, n, widest * sizeof(float));
	assault->radii = idla_assault_allocate(assault->work, n, sizeof(float));
	assault->scratch = idla_assault_allocate(assault->work, learn_attack_scratch(n, widest), sizeof(float));
}

/* What the user says now goes before what he said in training. */
static IdlaConstraints
build_constraints(IdlaWork *work, const IdlaModel *model, const IdlaTarget *target, const IdlaRobustOptions *options)
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
	return idla_constraints_build(&model->columns, target->relid, target->desc, all, n_trained + options->n_overrides,
								  target->evaluated ? work : NULL);
}

/* Which fields are written and read again: all when rows are wanted whole, else those that a check speaks of. */
static void
choose_written(IdlaAssault *assault, const IdlaTarget *target)
{
	const IdlaColumns *columns = &assault->model->columns;
	TupleDesc	desc = assault->checks != NULL ? idla_checks_desc(assault->checks) : target->desc;

	assault->written = palloc0(sizeof(bool) * (Size) Max(columns->n_fields, 1));
	assault->readers = palloc0(sizeof(IdlaFieldReader *) * (Size) Max(columns->n_fields, 1));
	if (desc == NULL)
		return;
	assault->rewriter = idla_rewriter_create(columns, desc);
	for (int i = 0; i < columns->n; i++)
	{
		int			field = columns->columns[i].field;
		int			attribute = idla_rewriter_attribute(assault->rewriter, i);

		if (field < 0 || attribute < 0 || assault->planes[field] == NULL)
			continue;
		assault->written[field] = target->whole || idla_checks_need(assault->checks, attribute + 1);
		assault->readers[field] = idla_field_reader_create(&columns->columns[i], &columns->fields[field],
														   getBaseType(TupleDescAttr(desc, attribute)->atttypid), true);
	}
}

static DevStatus judge_row(void *context, size_t row, const float *changed, bool *allowed);

IdlaAssault *
idla_assault_create(IdlaWork *work, const IdlaModel *model, const IdlaTarget *target, const IdlaRobustOptions *options, size_t max_rows)
{
	const LearnModel *learn = &model->learn;
	MemoryContext caller = MemoryContextSwitchTo(work->context);
	IdlaAssault *assault = palloc0(sizeof(IdlaAssault));
	IdlaConstraints constraints = build_constraints(work, model, target, options);
	bool		movable = false;

	assault->work = work;
	assault->model = model;
	assault->options = options;
	assault->max_rows = max_rows;
	assault->constraints = constraints.channels;
	assault->checks = constraints.checks != NULL && idla_checks_any(constraints.checks) ? constraints.checks : NULL;
	assault->referee = (LearnReferee) {.context = assault, .judge = judge_row};
	assault->batch = AllocSetContextCreate(work->context, "idla attacked rows", ALLOCSET_DEFAULT_SIZES);
	idla_check(work, learn_constraints_check(work->session, learn->channels, learn->n_channels, assault->constraints));
	idla_check(work, learn_predictor_create(work->session, learn, max_rows, &assault->predictor));
	idla_check(work, learn_predictor_oracle_create(assault->predictor, options->tolerance, &assault->oracle));
	learn_predictor_oracle_threshold(assault->oracle, target->threshold);
	for (int i = 0; i < learn->n_channels; i++)
		movable = movable || assault->constraints[i].mutable;
	if (movable)
		idla_check(work, learn_table_attacker_create(work->session, learn->channels, learn->n_channels, assault->constraints,
													 learn->n_numbers, learn->n_codes, max_rows, &assault->attacker));
	assault->changed = idla_assault_allocate(work, max_rows, (size_t) learn->n_channels * sizeof(float));
	assault->fooled = idla_assault_allocate(work, max_rows, 1);
	assault->stuck = idla_assault_allocate(work, max_rows, sizeof(bool));
	assault->losses = idla_assault_allocate(work, max_rows, sizeof(float));
	assault->lengths = idla_assault_allocate(work, max_rows, sizeof(int32_t));
	assault->numbers = idla_assault_allocate(work, max_rows, learn->n_numbers * sizeof(float));
	assault->codes = idla_assault_allocate(work, max_rows, learn->n_codes * sizeof(int32_t));
	allocate_fields(assault, constraints.fixed);
	choose_written(assault, target);
	idla_assault_texts_create(assault, constraints.fixed);
	MemoryContextSwitchTo(caller);
	return assault;
}

/* ---- rows as the host has them ---- */

TupleDesc
idla_assault_desc(const IdlaAssault *assault)
{
	return assault->rewriter == NULL ? assault->text_desc : idla_rewriter_desc(assault->rewriter);
}

void
idla_assault_row(const IdlaAssault *assault, size_t row, const float *changed, Datum *values, bool *isnull)
{
	const IdlaColumns *columns = &assault->model->columns;
	size_t		natts = (size_t) idla_rewriter_desc(assault->rewriter)->natts;
	const float *raw = assault->raw + row * (size_t) assault->model->learn.n_channels;

	memcpy(values, assault->own_values + row * natts, sizeof(Datum) * natts);
	memcpy(isnull, assault->own_nulls + row * natts, sizeof(bool) * natts);
	for (int i = 0; i < columns->n; i++)
	{
		size_t		at = row * (size_t) columns->n_fields + (size_t) Max(columns->columns[i].field, 0);

		if (columns->columns[i].field >= 0 && assault->field_written[at])
			values[idla_rewriter_attribute(assault->rewriter, i)] = assault->field_values[at];
	}
	idla_rewrite_columns(assault->rewriter, raw, changed, values, isnull);
}

/* One row that the checks are asked about. */
typedef struct Asked
{
	const IdlaAssault *assault;
	size_t		row;
	const float *changed;
} Asked;

static void
fill_row(void *context, Datum *values, bool *isnull)
{
	const Asked *asked = context;

	idla_assault_row(asked->assault, asked->row, asked->changed, values, isnull);
}

DevStatus
idla_assault_ask(IdlaAssault *assault, size_t row, const float *changed, bool *passes)
{
	Asked		asked = {assault, row, changed};

	return idla_checks_pass(assault->checks, fill_row, &asked, passes);
}

static DevStatus
judge_row(void *context, size_t row, const float *changed, bool *allowed)
{
	IdlaAssault *assault = context;

	*allowed = false;
	return assault->stuck[row] ? DEV_OK : idla_assault_ask(assault, row, changed, allowed);
}

static void
tell_stuck(IdlaAssault *assault)
{
	const char *message;
	const char *name = idla_checks_failed(assault->checks, &message);

	if (!assault->told)
		ereport(NOTICE,
				(errmsg("a row that is no valid row of its table as it is stays so under attack"),
				 errdetail("Constraint \"%s\": %s.", name, message == NULL ? "the row does not pass it" : message)));
	assault->told = true;
}

void
idla_assault_rows(IdlaAssault *assault, uint64 first, size_t n, const float *raw, const LearnBytes *fields, const float *labels,
				  const Datum *values, const bool *isnull)
{
	const LearnModel *learn = &assault->model->learn;

	assault->n = n;
	assault->first = first;
	assault->raw = raw;
	assault->fields = fields;
	assault->own_values = values;
	assault->own_nulls = isnull;
	memset(assault->field_written, 0, n * (size_t) learn->n_fields * sizeof(bool));
	MemoryContextReset(assault->batch);
	learn_predictor_oracle_set(assault->oracle, labels);
	learn_predictor_oracle_fields(assault->oracle, fields);
	for (size_t row = 0; row < n && assault->checks != NULL; row++)
	{
		bool		passes;

		idla_check(assault->work, idla_assault_ask(assault, row, raw + row * (size_t) learn->n_channels, &passes));
		assault->stuck[row] = !passes;
		if (!passes)
			tell_stuck(assault);
	}
}

/* ---- fields ---- */

static const IdlaColumn *
column_of(const IdlaAssault *assault, int field, int *number)
{
	const IdlaColumns *columns = &assault->model->columns;

	*number = 0;
	while (columns->columns[*number].field != field)
		(*number)++;
	return &columns->columns[*number];
}

static void
load_plane(const IdlaAssault *assault, int field, size_t row, float *plane)
{
	const LearnModel *learn = &assault->model->learn;
	learn_field_moves_load(&learn->fields[field], assault->fields[row * (size_t) learn->n_fields + (size_t) field], plane,
						   &assault->lengths[row]);
}

/* Moves one field of the rows, everything else as it is by now; into planes, and into fooled. */
static DevStatus
attack_field(IdlaAssault *assault, int number, const LearnAttack *how, const float *epsilons, uint8_t *fooled)
{
	const LearnModel *learn = &assault->model->learn;
	const LearnField *field = &learn->fields[number];
	int			column;
	LearnFieldSteps steps = {
		.step = idla_rewrite_step(field, column_of(assault, number, &column)->type), .clean = assault->clean, .low = assault->box_low,
		.high = assault->box_high, .radii = assault->radii
	};
	LearnOracle oracle = learn_predictor_field_oracle(assault->oracle, number, assault->numbers, assault->codes, &steps, assault->rounded);
	LearnBox	box = {.low = assault->box_low, .high = assault->box_high, .by_row = true};
	LearnAttack attack = *how;
	size_t		size = oracle.n_inputs;
	bool		largest = how->norm == LEARN_NORM_MAX;
	uint64_t	seed = (uint64_t) assault->options->seed + (uint64_t) number;
	DevStatus	status;

	for (size_t row = 0; row < assault->n; row++)
	{
		bool		missing = assault->fields[row * (size_t) learn->n_fields + (size_t) number].bytes == NULL;
		double		epsilon = missing ? 0 : (double) epsilons[row];

		load_plane(assault, number, row, assault->clean + row * size);
		learn_field_box(field, (size_t) assault->lengths[row], largest || missing ? epsilon : INFINITY, assault->clean + row * size,
						assault->box_low + row * size, assault->box_high + row * size);
		assault->radii[row] = largest ? INFINITY : (float) learn_field_radius(field, epsilon);
	}
	if (learn_field_has_slope(field))
		status = learn_attack(&attack, &oracle, &box, assault->n, assault->clean, assault->radii, seed, assault->first,
							  assault->planes[number], NULL, fooled, assault->scratch);
	else
		status = learn_attack_blind(&attack, &oracle, &box, assault->n, field->dims[0], field->dims[1], assault->lengths, assault->clean,
									assault->radii, seed, assault->first, assault->planes[number], NULL, fooled, assault->scratch);
	learn_field_round(field, &steps, assault->n, size, assault->planes[number]);
	return status;
}

/* Whether a plane that was written and read again is as near to the row as it had to be, but for rounding. */
static bool
is_near(const IdlaAssault *assault, size_t row, size_t size, const float *plane)
{
	const float *clean = assault->clean + row * size;
	const float *low = assault->box_low + row * size;
	const float *high = assault->box_high + row * size;
	double		square = 0;

	for (size_t i = 0; i < size; i++)
	{
		float		slack = 1e-4f * (high[i] - low[i]) + 1e-6f * (1 + fabsf(clean[i]));

		if (!(plane[i] >= low[i] - slack && plane[i] <= high[i] + slack))
			return false;
		square += ((double) plane[i] - (double) clean[i]) * ((double) plane[i] - (double) clean[i]);
	}
	return sqrt(square) <= (double) assault->radii[row] * (1 + 1e-4) + 1e-6;
}

/* A plane on its way into its column. */
typedef struct Writing
{
	IdlaAssault *assault;
	int			number;			/* of the field */
	size_t		row;
	float		share;			/* of the way from clean to moved */
	const float *moved;
	bool		good;
} Writing;

static void
write_plane(void *context)
{
	Writing    *writing = context;
	IdlaAssault *assault = writing->assault;
	size_t		row = writing->row;
	const LearnField *field = &assault->model->learn.fields[writing->number];
	size_t		size = learn_field_moves(field);
	const float *clean = assault->clean + row * size;
	float	   *plane = assault->planes[writing->number] + row * size;
	size_t		at = row * (size_t) assault->model->learn.n_fields + (size_t) writing->number;
	int			column;
	int			attribute;
	LearnBytes	bytes;
	LearnTrouble trouble;
	LearnFieldSteps steps = {
		.step = idla_rewrite_step(field, column_of(assault, writing->number, &column)->type), .clean = clean,
		.low = assault->box_low + row * size, .high = assault->box_high + row * size, .radii = assault->radii + row
	};

	writing->good = false;
	attribute = idla_rewriter_attribute(assault->rewriter, column);
	for (size_t i = 0; i < size; i++)
		plane[i] = clean[i] + writing->share * (writing->moved[i] - clean[i]);
	learn_field_round(field, &steps, 1, size, plane);
	if (!idla_rewrite_field(assault->rewriter, column,
							assault->own_values[row * (size_t) idla_rewriter_desc(assault->rewriter)->natts + (size_t) attribute],
							clean, plane, &assault->field_values[at]))
		return;
	if (!idla_field_read(assault->readers[writing->number], assault->field_values[at], &bytes, &trouble))
		return;
	learn_field_moves_load(field, bytes, plane, &assault->lengths[row]);
	writing->good = is_near(assault, row, size, plane);
}

/* Writes the plane that share of the way leads to, and reads it again. Not good: that is no value of the row, or its type does not take it. */
static DevStatus
write_field(IdlaAssault *assault, int number, size_t row, float share, const float *moved, bool *good)
{
	size_t		at = row * (size_t) assault->model->learn.n_fields + (size_t) number;
	Writing		writing = {assault, number, row, share, moved, false};
	ErrorData  *refused;
	DevStatus	status = idla_guarded(assault->work, write_plane, &writing, &refused);

	*good = status == DEV_OK && refused == NULL && writing.good;
	if (refused != NULL)
		FreeErrorData(refused);
	if (!*good || assault->checks == NULL)
		return status;
	assault->field_written[at] = true;
	return idla_assault_ask(assault, row, assault->changed + row * (size_t) assault->model->learn.n_channels, good);
}

/* The field of a row becomes what its column can hold and its table allows: what moved, half of that and so on, or nothing. */
static DevStatus
settle_field(IdlaAssault *assault, int number, size_t row)
{
	const LearnModel *learn = &assault->model->learn;
	size_t		size = learn_field_moves(&learn->fields[number]);
	size_t		at = row * (size_t) learn->n_fields + (size_t) number;
	float	   *plane = assault->planes[number] + row * size;
	float	   *moved = assault->rounded;	/* of no use any more */
	bool		same = memcmp(plane, assault->clean + row * size, size * sizeof(float)) == 0;
	float		share = 1;
	bool		good = false;
	DevStatus	status = DEV_OK;

	memcpy(moved, plane, size * sizeof(float));
	for (int i = 0; i < TRIES && !same && !good && !assault->stuck[row] && status == DEV_OK; i++, share /= 2)
		status = write_field(assault, number, row, share, moved, &good);
	assault->field_written[at] = good;
	if (!good)
		memcpy(plane, assault->clean + row * size, size * sizeof(float));
	return status;
}

DevStatus
idla_assault_judge(IdlaAssault *assault, uint8_t *fooled)
{
	const LearnModel *learn = &assault->model->learn;
	LearnRowOracle oracle = learn_predictor_oracle(assault->oracle);

	for (size_t row = 0; row < assault->n; row++)
		learn_encode_row(learn->channels, learn->n_channels, assault->changed + row * (size_t) learn->n_channels,
						 assault->numbers + row * learn->n_numbers, assault->codes + row * learn->n_codes);
	return oracle.score(oracle.context, assault->n, assault->numbers, assault->codes, assault->losses, fooled, NULL);
}

static DevStatus
move_field(IdlaAssault *assault, int number, const LearnAttack *how, const float *epsilons, uint8_t *fooled)
{
	DevStatus	status = attack_field(assault, number, how, epsilons, fooled);
	MemoryContext caller = MemoryContextSwitchTo(assault->batch);

	for (size_t row = 0; row < assault->n && assault->written[number] && status == DEV_OK; row++)
		status = settle_field(assault, number, row);
	MemoryContextSwitchTo(caller);
	learn_predictor_oracle_moved(assault->oracle, number, assault->planes[number]);
	if (status == DEV_OK && assault->written[number] && fooled != NULL)
		status = idla_assault_judge(assault, fooled);
	return status;
}

/* ---- all of a row ---- */

/* Does the row differ from what it was? */
static bool
is_changed(const IdlaAssault *assault, size_t row)
{
	const LearnModel *learn = &assault->model->learn;
	size_t		first = row * (size_t) learn->n_channels;

	for (int i = 0; i < learn->n_fields; i++)
		if (assault->planes[i] != NULL)
			return true;
	if (idla_assault_text_changed(assault, row))
		return true;
	return memcmp(assault->changed + first, assault->raw + first, (size_t) learn->n_channels * sizeof(float)) != 0;
}

static void
restore_row(IdlaAssault *assault, size_t row)
{
	const LearnModel *learn = &assault->model->learn;
	size_t		first = row * (size_t) learn->n_channels;

	memcpy(assault->changed + first, assault->raw + first, (size_t) learn->n_channels * sizeof(float));
	idla_assault_texts_restore(assault, row);
	for (int i = 0; i < learn->n_fields; i++)
	{
		assault->field_written[row * (size_t) learn->n_fields + (size_t) i] = false;
		if (assault->planes[i] != NULL)
			load_plane(assault, i, row, assault->planes[i] + row * learn_field_moves(&learn->fields[i]));
	}
}

/* Rows that fail a check all the same, by a rounding on their way into their types, are what they were. */
static DevStatus
verify_rows(IdlaAssault *assault, uint8_t *fooled)
{
	bool		restored = false;
	DevStatus	status = DEV_OK;

	for (size_t row = 0; row < assault->n && assault->checks != NULL && status == DEV_OK; row++)
	{
		bool		passes = true;

		if ((fooled != NULL && !fooled[row]) || !is_changed(assault, row))
			continue;
		status = idla_assault_ask(assault, row, assault->changed + row * (size_t) assault->model->learn.n_channels, &passes);
		if (passes || status != DEV_OK)
			continue;
		restore_row(assault, row);
		restored = true;
	}
	if (restored && fooled != NULL && status == DEV_OK)
		status = idla_assault_judge(assault, fooled);
	return status;
}

DevStatus
idla_assault_run(IdlaAssault *assault, const LearnAttack *how, const float *epsilons, bool until_fooled)
{
	const LearnModel *learn = &assault->model->learn;
	LearnTableAttack table = {
		.numbers = *how, .rounds = 2, .max_changes = assault->options->max_changes,
		.referee = assault->checks == NULL ? NULL : &assault->referee
	};
	LearnRowOracle oracle = learn_predictor_oracle(assault->oracle);
	uint8_t    *fooled = until_fooled ? assault->fooled : NULL;
	size_t		n = assault->n;
	DevStatus	status = DEV_OK;

	memset(assault->fooled, 0, n);
	memcpy(assault->changed, assault->raw, n * (size_t) learn->n_channels * sizeof(float));
	memset(assault->field_written, 0, n * (size_t) learn->n_fields * sizeof(bool));
	MemoryContextReset(assault->batch);
	learn_predictor_oracle_fields(assault->oracle, assault->fields);
	for (size_t row = 0; row < n; row++)
		learn_encode_row(learn->channels, learn->n_channels, assault->raw + row * (size_t) learn->n_channels,
						 assault->numbers + row * learn->n_numbers, assault->codes + row * learn->n_codes);
	for (int i = 0; i < learn->n_fields && status == DEV_OK; i++)
		if (assault->planes[i] != NULL)
			status = move_field(assault, i, how, epsilons, fooled);
	/* Noise alone misspells nothing. */
	if (status == DEV_OK && how->steps > 0)
		status = idla_assault_texts(assault, epsilons, fooled);
	if (status == DEV_OK && assault->attacker != NULL)
		status = learn_table_attack(assault->attacker, &table, &oracle, n, assault->raw, epsilons, (uint64_t) assault->options->seed,
									assault->first, assault->changed, assault->losses, fooled);
	else if (status == DEV_OK && fooled != NULL)
		status = idla_assault_judge(assault, fooled);
	return status == DEV_OK ? verify_rows(assault, fooled) : status;
}

/*
 * train_augment.c: the rows of a pass, changed at random between the data set and the network.
 *
 * What becomes of a row is drawn from the network's seed, the epoch and the row's number in the data set alone: neither
 * threads nor the size of a pass change it. MixUp and CutMix take their partner from the whole batch, whoever
 * works on it, and load it again. Only MixUp of table rows looks for a partner within the pass.
 */
#include "trainer.h"

#include <string.h>

/* Told apart by their seeds. */
#define SEED_TABLE UINT64_C(0x7461626c65000000)
#define SEED_FIELD UINT64_C(0x6669656c64000000)

static bool
is_mixed(const LearnAugment *augment)
{
	return learn_augment_value(augment, LEARN_AUGMENT_IMAGE, "mixup") > 0 ||
		learn_augment_value(augment, LEARN_AUGMENT_IMAGE, "cutmix") > 0;
}

bool
learn_augment_mixes(const LearnTraining *training)
{
	return training->augmented > 0 && is_mixed(&training->augment);
}

/* Whether a kind has anything to change in the model's rows. */
static bool
has_input(const LearnModel *model, LearnAugmentKind kind)
{
	bool		found = kind == LEARN_AUGMENT_TABLE && model->n_numbers + model->n_codes > 0;

	for (int i = 0; i < model->n_fields; i++)
		found = found || learn_augment_kind(&model->fields[i]) == kind;
	return found;
}

/* A text in lower case has no other. */
static bool
has_case(const LearnModel *model)
{
	bool		found = false;

	for (int i = 0; i < model->n_fields; i++)
		if (model->fields[i].kind == LEARN_TEXT)
			found = found || model->fields[i].tagged || !learn_vocabulary_lowercase(model->fields[i].vocabulary);
	return found;
}

DevStatus
learn_augment_check_model(DevSession *session, const LearnAugment *augment, const LearnModel *model)
{
	for (int i = 0; i < model->n_fields; i++)
		if (model->fields[i].rocket != NULL && learn_augment_any(augment, LEARN_AUGMENT_SIGNAL))
		{
			dev_fail(session, DEV_INVALID, "architecture \"rocket\" sees no samples that augmentation could change");
			dev_hint(session, "Take \"fcn\" to have signals augmented.");
			return DEV_INVALID;
		}
	for (int kind = 0; kind < LEARN_N_AUGMENT_KINDS; kind++)
		if (learn_augment_any(augment, (LearnAugmentKind) kind) && !has_input(model, (LearnAugmentKind) kind))
			return dev_fail(session, DEV_INVALID, "there is no input that augmentation of kind \"%s\" could change",
							learn_augment_kind_names[kind]);
	if (learn_augment_value(augment, LEARN_AUGMENT_TEXT, "case") > 0 && !has_case(model))
	{
		dev_fail(session, DEV_INVALID, "the vocabulary is in lower case, and augmentation \"case\" could change nothing");
		dev_hint(session, "Say \"lowercase\": false of the text's column to have upper and lower case told apart.");
		return DEV_INVALID;
	}
	if (learn_augment_value(augment, LEARN_AUGMENT_TEXT, "swap") > 0 && model->task == LEARN_TAGGING)
		return dev_fail(session, DEV_INVALID, "words cannot change places where each has its tag");
	if (is_mixed(augment) && model->task == LEARN_SURVIVAL)
		return dev_fail(session, DEV_INVALID, "survival times of two rows cannot be mixed");
	if (is_mixed(augment) && (model->n_fields != 1 || model->fields[0].kind != LEARN_IMAGE))
		return dev_fail(session, DEV_INVALID, "rows are mixed only where one image is all beside ordinary columns");
	if (learn_augment_value(augment, LEARN_AUGMENT_TABLE, "mixup") > 0 && model->task != LEARN_BINARY &&
		model->task != LEARN_MULTICLASS)
		return dev_fail(session, DEV_INVALID, "rows of a table are mixed within their class, and the task has no classes");
	return DEV_OK;
}

/* ---- Making ---- */

DevStatus
learn_augmenter_create(DevSession *session, const LearnAugment *augment, const LearnModel *model, LearnAugmenter *augmenter)
{
	memset(augmenter, 0, sizeof(*augmenter));
	augmenter->augment = augment;
	augmenter->table = learn_augment_table_ranges(augment);
	augmenter->image = learn_augment_image_ranges(augment);
	augmenter->tables = learn_augment_any(augment, LEARN_AUGMENT_TABLE);
	augmenter->mixed = is_mixed(augment);
	for (int kind = 0; kind < LEARN_N_AUGMENT_KINDS; kind++)
		augmenter->kinds[kind] = learn_augment_any(augment, (LearnAugmentKind) kind);
	if (!augmenter->tables)
		return DEV_OK;
	return learn_table_layout(session, model->channels, model->n_channels, model->n_numbers, model->n_codes, &augmenter->layout);
}

static size_t
image_size(const LearnField *field)
{
	return field->dims[0] * field->dims[1] * field->dims[2];
}

DevStatus
learn_machine_augment(LearnMachine *machine, const LearnAugmenter *augmenter)
{
	const LearnNetwork *network = &machine->network;
	size_t		inputs = network->n_numbers + network->n_codes;
	size_t		scratch = augmenter->tables && augmenter->table.mixup > 0 ? machine->max_rows * inputs : 0;
	size_t		partner = 0;

	for (int i = 0; i < network->n_fields; i++)
	{
		const LearnField *field = &network->fields[i];
		size_t		wanted = learn_augment_field_scratch(field);

		scratch = wanted > scratch ? wanted : scratch;
		if (field->kind == LEARN_IMAGE && image_size(field) > partner)
			partner = image_size(field);
	}
	for (int i = 0; i < machine->n_workers; i++)
	{
		LearnWorker *worker = &machine->workers[i];

		worker->augment_scratch = dev_alloc(machine->session, scratch + 1, sizeof(float));
		worker->partner = dev_alloc(machine->session, partner + 1, sizeof(float));
		worker->partner_numbers = dev_alloc(machine->session, network->n_numbers + 1, sizeof(float));
		worker->partner_codes = dev_alloc(machine->session, network->n_codes + 1, sizeof(int32_t));
		worker->partner_targets = dev_alloc(machine->session, machine->n_targets, sizeof(float));
		worker->partner_shares = dev_alloc(machine->session, machine->n_outputs, sizeof(float));
		if (worker->augment_scratch == NULL || worker->partner == NULL || worker->partner_numbers == NULL ||
			worker->partner_codes == NULL || worker->partner_targets == NULL || worker->partner_shares == NULL)
			return DEV_NO_MEMORY;
	}
	machine->augmenter = augmenter;
	return DEV_OK;
}

/* ---- Tables ---- */

static void
change_numbers(LearnMachine *machine, LearnWorker *worker, size_t first, size_t rows)
{
	const LearnAugmenter *augmenter = machine->augmenter;
	const LearnNetwork *network = &machine->network;
	uint64_t	seed = machine->step.seed ^ SEED_TABLE;
	LearnAugmentTable mixing = {.mixup = augmenter->table.mixup};
	LearnAugmentTable noise = augmenter->table;

	noise.mixup = 0;
	if (mixing.mixup > 0)
	{
		for (size_t row = 0; row < rows; row++)
			worker->classes[row] = (int32_t) worker->targets[row * machine->n_targets];
		learn_augment_rows(&mixing, &augmenter->layout, rows, worker->classes, worker->numbers, worker->codes, seed,
						   DEV_STREAM_MIX, machine->step.number << 24 | first, worker->augment_scratch);
	}
	for (size_t row = 0; row < rows; row++)
		learn_augment_rows(&noise, &augmenter->layout, 1, NULL, worker->numbers + row * network->n_numbers,
						   worker->codes + row * network->n_codes, seed, DEV_STREAM_AUGMENT,
						   learn_augment_counter(machine->step.epoch,
												 learn_sampler_row(machine->sampler, machine->first + first + row)), NULL);
}

/* ---- Fields ---- */

/* What was loaded from a place of the window. */
static void
change_value(LearnMachine *machine, LearnWorker *worker, int number, size_t place, void *const planes[LEARN_MAX_PLANES], int32_t *length)
{
	const LearnField *field = &machine->network.fields[number];
	LearnAugmentKind kind = learn_augment_kind(field);
	size_t		row = learn_sampler_row(machine->sampler, place);

	if (kind < LEARN_N_AUGMENT_KINDS && machine->augmenter->kinds[kind])
		learn_augment_loaded(machine->augmenter->augment, field, learn_sampler_field(machine->sampler, number, place),
							 learn_stretch_room(&machine->stretches, field, (size_t) *length),
							 machine->step.seed ^ (SEED_FIELD + (uint64_t) number), learn_augment_counter(machine->step.epoch, row),
							 planes, length, worker->augment_scratch);
}

static void
mix_image(LearnMachine *machine, LearnWorker *worker, int number, const LearnMix *mix, float *plane)
{
	const LearnField *field = &machine->network.fields[number];
	size_t		place = machine->first + mix->partner;
	void	   *planes[LEARN_MAX_PLANES] = {worker->partner};
	int32_t		length;

	learn_field_load(field, learn_sampler_field(machine->sampler, number, place), worker->fields.scratch, planes, &length);
	change_value(machine, worker, number, place, planes, &length);
	learn_mix_images(mix, field->dims[0], field->dims[1], field->dims[2], plane, worker->partner, plane);
}

/* Ordinary columns of a mixed row: numbers between, codes of whoever weighs more. */
static void
mix_columns(LearnMachine *machine, LearnWorker *worker, size_t row, const LearnMix *mix)
{
	const LearnNetwork *network = &machine->network;
	float	   *numbers = worker->numbers + row * network->n_numbers;

	if (network->n_numbers + network->n_codes == 0)
		return;
	learn_sampler_copy(machine->sampler, machine->first + mix->partner, 1, worker->partner_numbers, worker->partner_codes, NULL);
	for (size_t i = 0; i < network->n_numbers; i++)
		numbers[i] = mix->lambda * numbers[i] + (1 - mix->lambda) * worker->partner_numbers[i];
	if (mix->lambda < 0.5f)
		memcpy(worker->codes + row * network->n_codes, worker->partner_codes, network->n_codes * sizeof(int32_t));
}

/* The row's target becomes lambda of its own and the rest of its partner's. */
static void
mix_target(LearnMachine *machine, LearnWorker *worker, size_t row, const LearnMix *mix)
{
	bool		shares = machine->network.task == LEARN_MULTICLASS;
	size_t		n = shares ? machine->n_outputs : machine->n_targets;
	float	   *own = (shares ? worker->shares : worker->targets) + row * n;
	float	   *partner = shares ? worker->partner_shares : worker->partner_targets;
	size_t		place = machine->first + mix->partner;

	learn_sampler_copy(machine->sampler, place, 1, NULL, NULL, worker->partner_targets);
	if (shares)
	{
		memset(partner, 0, n * sizeof(float));
		partner[(size_t) worker->partner_targets[0]] = 1;
	}
	if (machine->lessons != NULL)
		learn_machine_blend(machine, place, 1, partner);
	for (size_t i = 0; i < n; i++)
		own[i] = mix->lambda * own[i] + (1 - mix->lambda) * partner[i];
}

static void
mix_rows(LearnMachine *machine, LearnWorker *worker, size_t first, size_t rows)
{
	const LearnNetwork *network = &machine->network;
	const LearnField *measure = &network->fields[0];

	for (size_t row = 0; row < rows; row++)
	{
		LearnMix	mix;

		learn_mix_draw(&machine->augmenter->image, measure->dims[0], measure->dims[1], machine->count, first + row,
					   machine->step.seed, DEV_STREAM_MIX, machine->step.number, &mix);
		for (int field = 0; field < network->n_fields; field++)
			mix_image(machine, worker, field, &mix,
					  (float *) worker->fields.planes[field][0] + row * worker->fields.sizes[field][0]);
		mix_columns(machine, worker, row, &mix);
		mix_target(machine, worker, row, &mix);
	}
}

static void
change_field(LearnMachine *machine, LearnWorker *worker, int number, size_t first, size_t row)
{
	void	   *planes[LEARN_MAX_PLANES];

	learn_field_batch_planes(&worker->fields, number, row, planes);
	change_value(machine, worker, number, machine->first + first + row, planes, &worker->fields.lengths[number][row]);
}

void
learn_machine_change(LearnMachine *machine, LearnWorker *worker, size_t first, size_t rows)
{
	const LearnNetwork *network = &machine->network;

	if (machine->augmenter->tables && network->n_numbers + network->n_codes > 0)
		change_numbers(machine, worker, first, rows);
	for (int field = 0; field < network->n_fields; field++)
		for (size_t row = 0; row < rows; row++)
			change_field(machine, worker, field, first, row);
	if (machine->augmenter->mixed && network->n_fields > 0)
		mix_rows(machine, worker, first, rows);
}

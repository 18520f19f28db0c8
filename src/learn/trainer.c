/*
 * trainer.c: from a data set to a model.
 *
 * A model is a blend of networks: on every fold some that differ by seed (bags) and, where
 * that helps, a linear one; beside one that sees patients' events, one of their statistics. Without folds there is one fold, whose rows held out are the
 * validation part. With folds, train and validation parts together are cut
 * into k; each network learns on k - 1 of them and is stopped by the last.
 *
 * Temperature and baseline hazard are fitted to answers of networks that had not seen the
 * row: those of its own fold. Without folds the hazard is that of the training rows, as Breslow's is.
 */
#include "trainer.h"

#include "field.h"
#include "predict.h"
#include "windows.h"

#include <math.h>
#include <string.h>

#define MAX_FOLDS 100
#define MAX_BAGS 100
#define MAX_THREADS 1024
#define MAX_BATCH (1 << 20)
#define MAX_EPOCHS 1000000
#define CALIBRATION_FLOATS ((size_t) 1 << 18)	/* outputs kept for calibration: more tell nothing more */
#define LEAST_CALIBRATION 20	/* rows below which a temperature is noise */

typedef struct Trainer
{
	DevSession *session;
	LearnDataset *dataset;
	LearnModel *model;
	LearnNetwork *network;
	const LearnSplit *split;
	LearnTraining training;
	LearnTraining linear_training;
	LearnTraining tabular_training;
	LearnOutcome *outcome;
	LearnMonitor monitor;

	size_t		n_rows;
	size_t		n_targets;		/* floats of a row's targets */
	size_t		n_train;		/* rows networks learn from, all folds together */
	size_t		n_validation;	/* rows of the validation part */
	uint8_t    *fold;			/* (n_rows), NULL without folds */
	uint32_t   *train_rows;
	uint32_t   *held_rows;
	float	   *class_weights;	/* by target class, NULL when all are 1 */

	DevDevice  *device;
	LearnTeam  *team;
	LearnMachine machine;
	LearnMachine linear;
	LearnMachine tabular;
	bool		solves;			/* equations instead of steps: see train_solve.c */
	LearnAugmenter augmenter;
	LearnResistance resistance;

	/* Outputs of the networks of a row's own fold, for the temperature or the hazard */
	size_t		pool_capacity;
	size_t		n_pool;
	float	   *pool_outputs;	/* (pool_capacity, n_outputs) */
	float	   *pool_targets;	/* (pool_capacity, n_targets) */
	uint32_t   *pool_rows;		/* (pool_capacity) */
} Trainer;

/* ---- What is asked for ---- */

static DevStatus
check_between(DevSession *session, const char *what, double value, double low, double high)
{
	if (value >= low && value <= high)
		return DEV_OK;
	return dev_fail(session, DEV_INVALID, "%s \"%g\" is not between %g and %g", what, value, low, high);
}

/* Checks a resolved training. */
static DevStatus
check_training(DevSession *session, const LearnTraining *training)
{
	DevStatus	status = check_between(session, "number of epochs", training->epochs, 1, MAX_EPOCHS);

	if (status == DEV_OK)
		status = check_between(session, "batch size", training->batch, 1, MAX_BATCH);
	if (status == DEV_OK)
		status = check_between(session, "number of folds", training->folds, 1, MAX_FOLDS);
	if (status == DEV_OK)
		status = check_between(session, "number of bags", training->bags, 1, MAX_BAGS);
	if (status == DEV_OK)
		status = check_between(session, "number of threads", training->threads, 1, MAX_THREADS);
	if (status == DEV_OK)
		status = check_between(session, "learning rate", training->rate, 0, 100);
	if (status == DEV_OK)
		status = check_between(session, "warm-up", training->warm_up, 0, 1);
	if (status == DEV_OK)
		status = check_between(session, "largest gradient norm", training->clip, 0, INFINITY);
	if (status == DEV_OK && !(training->average >= 0 && training->average < 1))
		status = dev_fail(session, DEV_INVALID, "decay of the weights' average \"%g\" is not at least 0 and less than 1",
						  training->average);
	if (status == DEV_OK && !(training->smoothing >= 0 && training->smoothing < 1))
		status = dev_fail(session, DEV_INVALID, "label smoothing \"%g\" is not at least 0 and less than 1",
						  training->smoothing);
	if (status == DEV_OK)
		status = check_between(session, "Huber's delta", training->huber, 0, INFINITY);
	if (status == DEV_OK)
		status = check_between(session, "share of words dropped", training->word_dropout, 0, 0.95);
	if (status == DEV_OK)
		status = check_between(session, "schedule number", training->schedule, NN_CONSTANT, NN_ONE_CYCLE);
	if (status == DEV_OK)
		status = check_between(session, "optimizer number", training->optimizer, NN_ADAMW, NN_MUON);
	return status;
}

/* The network's inputs and outputs follow from the model's channels and task. */
static DevStatus
describe_inputs(Trainer *trainer)
{
	const LearnModel *model = trainer->model;
	LearnNetwork *network = trainer->network;

	network->task = model->task;
	network->n_outputs = learn_model_outputs(model);
	network->n_numbers = model->n_numbers;
	network->n_codes = model->n_codes;
	network->n_fields = model->n_fields;
	network->fields = model->fields;
	network->cardinality = dev_alloc(trainer->session, model->n_codes + 1, sizeof(int));
	if (network->cardinality == NULL)
		return DEV_NO_MEMORY;
	/* The model outlives what the caller wrote its wishes in. */
	if (network->layers != NULL && (network->layers = dev_strdup(trainer->session, network->layers)) == NULL)
		return DEV_NO_MEMORY;
	for (int i = 0; i < model->n_channels; i++)
	{
		const LearnChannel *channel = &model->channels[i];

		if (channel->code_input >= 0 && (size_t) channel->code_input < model->n_codes)
			network->cardinality[channel->code_input] = channel->n_categories + channel->has_other
				+ channel->has_missing;
	}
	return DEV_OK;
}

static bool
may_learn(const Trainer *trainer, size_t row)
{
	uint8_t		part = learn_dataset_parts(trainer->dataset)[row];

	return part == LEARN_TRAIN || (trainer->training.folds > 1 && part == LEARN_VALIDATION);
}

static DevStatus
resolve(Trainer *trainer, const LearnTraining *training)
{
	size_t		sizes[LEARN_N_PARTS];
	DevStatus	status;

	trainer->training = *training;
	learn_part_sizes(trainer->dataset, sizes);
	/* Who says which rows validate, or that the later ones do, does not want them drawn at random. */
	if (trainer->training.folds == 0 && trainer->split != NULL && (trainer->split->by_order || trainer->split->given))
		trainer->training.folds = 1;
	status = learn_network_resolve(trainer->session, trainer->network, sizes[LEARN_TRAIN]);
	if (status != DEV_OK)
		return status;
	trainer->solves = learn_training_solves(trainer->network, sizes[LEARN_TRAIN], training);
	learn_training_resolve(trainer->network, sizes[LEARN_TRAIN], &trainer->training);
	trainer->linear_training = learn_member_training(&trainer->training, LEARN_LINEAR, trainer->model->task, sizes[LEARN_TRAIN]);
	trainer->tabular_training = learn_member_training(&trainer->training, LEARN_TABM, trainer->model->task, sizes[LEARN_TRAIN]);
	if (trainer->network->n_fields == 0 || trainer->network->n_numbers + trainer->network->n_codes == 0)
		trainer->training.tabular = false;
	status = check_training(trainer->session, &trainer->training);
	if (status != DEV_OK)
		return status;
	trainer->n_train = sizes[LEARN_TRAIN] + (trainer->training.folds > 1 ? sizes[LEARN_VALIDATION] : 0);
	trainer->n_validation = sizes[LEARN_VALIDATION];
	if (sizes[LEARN_TRAIN] == 0)
		return dev_fail(trainer->session, DEV_BAD_DATA, "the training part has no rows");
	if (trainer->training.folds > 1 && trainer->n_train < 2 * (size_t) trainer->training.folds)
		return dev_fail(trainer->session, DEV_BAD_DATA, "%zu rows are too few for %d folds", trainer->n_train,
						trainer->training.folds);
	return DEV_OK;
}

/* ---- Classes ---- */

static size_t
count_classes(const Trainer *trainer)
{
	if (trainer->model->task == LEARN_BINARY)
		return 2;
	return trainer->model->task == LEARN_MULTICLASS ? trainer->network->n_outputs : 0;
}

/* Rows of each class that networks learn from; refuses targets that are no class, and survival without an event. */
static DevStatus
count_targets(Trainer *trainer, size_t n_classes, size_t *counts)
{
	const float *targets = learn_dataset_targets(trainer->dataset);
	size_t		events = 0;

	for (size_t row = 0; row < trainer->n_rows && trainer->n_targets > 0; row++)
	{
		float		target = targets[row * trainer->n_targets];

		if (n_classes > 0)
		{
			if (!(target >= 0 && target < (float) n_classes) || target != floorf(target))
				return dev_fail(trainer->session, DEV_BAD_DATA, "target \"%g\" of row %zu is not the number of a class",
								(double) target, row + 1);
			if (may_learn(trainer, row))
				counts[(size_t) target]++;
		}
		else if (trainer->model->task == LEARN_SURVIVAL && may_learn(trainer, row))
			events += targets[row * trainer->n_targets + 1] > 0;
	}
	if (trainer->model->task == LEARN_SURVIVAL && events == 0)
		return dev_fail(trainer->session, DEV_BAD_DATA, "no event was observed in the training part");
	return DEV_OK;
}

/* The user's weight of the class that target stands for: a binary target of 1 is the positive class, wherever its label sorts. */
static double
asked_weight(const Trainer *trainer, size_t target, size_t n_classes, const size_t *counts)
{
	size_t		class = target;

	if (trainer->training.class_weights == NULL)
		return counts[target] == 0 ? 1 : (double) trainer->n_train / ((double) n_classes * (double) counts[target]);
	if (trainer->model->task == LEARN_BINARY && trainer->model->positive == 0)
		class = 1 - target;
	return trainer->training.class_weights[class];
}

/*
 * Weights whose mean over the rows is 1. A network trained under weights w gives p(class) w(class) up to a constant: the model's
 * offset takes them back, so that probabilities stay those of the population.
 */
static DevStatus
weigh_classes(Trainer *trainer, size_t n_classes, const size_t *counts)
{
	LearnModel *model = trainer->model;
	double		sum = 0;

	trainer->class_weights = dev_alloc(trainer->session, n_classes, sizeof(float));
	if (trainer->class_weights == NULL)
		return DEV_NO_MEMORY;
	for (size_t i = 0; i < n_classes; i++)
	{
		double		weight = asked_weight(trainer, i, n_classes, counts);

		if (!(weight > 0) || !isfinite(weight))
			return dev_fail(trainer->session, DEV_INVALID, "class weight \"%g\" is not a positive number", weight);
		sum += weight * (double) counts[i];
	}
	for (size_t i = 0; i < n_classes; i++)
		trainer->class_weights[i] = (float) (asked_weight(trainer, i, n_classes, counts)
											 * (double) trainer->n_train / sum);
	if (model->task == LEARN_BINARY)
		model->offset[0] = log((double) trainer->class_weights[0]) - log((double) trainer->class_weights[1]);
	else
		for (size_t i = 0; i < n_classes; i++)
			model->offset[i] = -log((double) trainer->class_weights[i]);
	return DEV_OK;
}

static DevStatus
prepare_targets(Trainer *trainer)
{
	size_t		n_classes = count_classes(trainer);
	size_t	   *counts = dev_alloc(trainer->session, n_classes + 1, sizeof(size_t));
	DevStatus	status;

	trainer->model->offset = dev_alloc(trainer->session, trainer->network->n_outputs, sizeof(double));
	trainer->model->temperature = 1;
	if (counts == NULL || trainer->model->offset == NULL)
		return DEV_NO_MEMORY;
	status = count_targets(trainer, n_classes, counts);
	if (status == DEV_OK && n_classes > 0 && (trainer->training.balanced || trainer->training.class_weights != NULL))
		status = weigh_classes(trainer, n_classes, counts);
	dev_release(trainer->session, counts);
	return status;
}

/* ---- Machines ---- */

static DevStatus
prepare_edges(Trainer *trainer, LearnNetwork *network)
{
	DevStatus	status;

	network->bin_edges = NULL;
	if (network->embedding != LEARN_EMBEDDING_PIECEWISE)
		return DEV_OK;
	network->bin_edges = dev_alloc(trainer->session, network->n_numbers * ((size_t) network->bins + 1), sizeof(float));
	if (network->bin_edges == NULL)
		return DEV_NO_MEMORY;
	status = learn_bin_edges(trainer->dataset, network->bins, network->bin_edges);
	if (status == DEV_OK)
		learn_edges_rise(network->n_numbers, network->bins, network->bin_edges);
	return status;
}

/* A member of the blend that sees ordinary columns alone. */
static DevStatus
prepare_member(Trainer *trainer, LearnArchitecture architecture, const LearnTraining *training, const LearnLoss *loss,
			   LearnMachine *machine)
{
	LearnNetwork network = {
		.architecture = architecture,
		.activation = -1,
		.dropout = -1,
		.n_numbers = trainer->network->n_numbers,
		.n_codes = trainer->network->n_codes,
		.cardinality = trainer->network->cardinality,
		.n_fields = 0,
		.task = trainer->network->task,
		.n_outputs = trainer->network->n_outputs
	};
	DevStatus	status = learn_network_resolve(trainer->session, &network, trainer->n_train);

	size_t		batch = (size_t) training->batch;

	batch = batch < trainer->n_train ? batch : trainer->n_train;
	if (status == DEV_OK)
		status = prepare_edges(trainer, &network);
	if (status == DEV_OK)
		status = learn_machine_create(trainer->session, trainer->device, trainer->team, &network, loss, batch, machine);
	if (status == DEV_OK)
		memcpy(machine->offset, trainer->model->offset, network.n_outputs * sizeof(double));
	return status;
}

/* Rocket's convolutions are drawn from the training part. */
static DevStatus
prepare_rockets(Trainer *trainer)
{
	const uint8_t *parts = learn_dataset_parts(trainer->dataset);
	uint32_t   *rows;
	size_t		n = 0;
	DevStatus	status = DEV_OK;

	if (trainer->network->architecture != LEARN_ROCKET)
		return DEV_OK;
	rows = dev_alloc(trainer->session, trainer->n_rows + 1, sizeof(uint32_t));
	if (rows == NULL)
		return DEV_NO_MEMORY;
	for (size_t row = 0; row < trainer->n_rows; row++)
		if (parts[row] == LEARN_TRAIN)
			rows[n++] = (uint32_t) row;
	for (int i = 0; i < trainer->network->n_fields && status == DEV_OK; i++)
		status = learn_field_fit_rocket(trainer->dataset, i, rows, n, (size_t) trainer->network->width,
										trainer->training.seed + (uint64_t) i);
	dev_release(trainer->session, rows);
	return status;
}

static DevStatus
prepare_machines(Trainer *trainer)
{
	LearnLoss	loss = {
		.class_weights = trainer->class_weights,
		.smoothing = (float) trainer->training.smoothing,
		.soft = learn_augment_mixes(&trainer->training) || trainer->training.lessons > 0,
		.huber = (float) trainer->training.huber,
		.nudged = learn_adversary_nudges(&trainer->training.adversary, trainer->model)
	};
	size_t		bytes = trainer->network->n_outputs * sizeof(double);
	size_t		batch = (size_t) trainer->training.batch;
	DevStatus	status = dev_cpu_open(trainer->session, NULL, &trainer->device);

	/* No batch is larger than all rows, however large the user wants it. */
	batch = batch < trainer->n_train ? batch : trainer->n_train;
	if (status == DEV_OK)
		status = learn_team_create(trainer->session, trainer->training.threads, &trainer->team);
	if (status == DEV_OK)
		status = prepare_edges(trainer, trainer->network);
	if (status == DEV_OK)
		status = prepare_rockets(trainer);
	if (status == DEV_OK)
		status = learn_machine_create(trainer->session, trainer->device, trainer->team, trainer->network, &loss,
									  batch, &trainer->machine);
	if (status == DEV_OK)
		memcpy(trainer->machine.offset, trainer->model->offset, bytes);
	if (status == DEV_OK && trainer->training.linear > 0)
		status = prepare_member(trainer, LEARN_LINEAR, &trainer->linear_training, &loss, &trainer->linear);
	if (status == DEV_OK && trainer->training.tabular)
		status = prepare_member(trainer, LEARN_TABM, &trainer->tabular_training, &loss, &trainer->tabular);
	return status;
}

/* What is done to the rows of both machines before a network sees them. */
static DevStatus
prepare_changes(Trainer *trainer)
{
	LearnTraining *training = &trainer->training;
	bool		linear = training->linear > 0;
	bool		tabular = training->tabular;
	DevStatus	status = DEV_OK;

	if (training->lessons > 0)
	{
		const float *lessons = learn_dataset_lessons(trainer->dataset);

		learn_machine_teach(&trainer->machine, lessons, training->lessons);
		learn_machine_teach(&trainer->linear, lessons, training->lessons);
		learn_machine_teach(&trainer->tabular, lessons, training->lessons);
	}
	if (training->augmented > 0)
	{
		status = learn_augment_check_model(trainer->session, &training->augment, trainer->model);
		if (status == DEV_OK)
			status = learn_augmenter_create(trainer->session, &training->augment, trainer->model, &trainer->augmenter);
		if (status == DEV_OK)
			status = learn_machine_augment(&trainer->machine, &trainer->augmenter);
		if (status == DEV_OK && linear)
			status = learn_machine_augment(&trainer->linear, &trainer->augmenter);
		if (status == DEV_OK && tabular)
			status = learn_machine_augment(&trainer->tabular, &trainer->augmenter);
	}
	if (status != DEV_OK || training->adversary.method == LEARN_NO_ADVERSARY)
		return status;
	status = learn_adversary_check(trainer->session, &training->adversary, trainer->model);
	if (status == DEV_OK)
		status = learn_resistance_create(trainer->session, &training->adversary, trainer->model, &trainer->resistance);
	if (status == DEV_OK)
		status = learn_machine_resist(&trainer->machine, &trainer->resistance);
	if (status == DEV_OK && linear)
		status = learn_machine_resist(&trainer->linear, &trainer->resistance);
	if (status == DEV_OK && tabular)
		status = learn_machine_resist(&trainer->tabular, &trainer->resistance);
	return status;
}

/* Room for the outputs that are kept: all rows for survival, else what calibration can use. */
static DevStatus
prepare_pool(Trainer *trainer)
{
	size_t		n_outputs = trainer->network->n_outputs;
	size_t		most = CALIBRATION_FLOATS / n_outputs + 1;
	size_t		n = trainer->n_train;

	if (trainer->model->task == LEARN_TAGGING)
		n = 0;
	else if (trainer->model->task != LEARN_SURVIVAL)
	{
		n = trainer->training.folds > 1 ? n : trainer->n_validation;
		n = n < most ? n : most;
	}
	trainer->pool_capacity = n;
	trainer->pool_outputs = dev_alloc(trainer->session, trainer->pool_capacity + 1, n_outputs * sizeof(float));
	trainer->pool_targets = dev_alloc(trainer->session, trainer->pool_capacity + 1, (trainer->n_targets + 1) * sizeof(float));
	trainer->pool_rows = dev_alloc(trainer->session, trainer->pool_capacity + 1, sizeof(uint32_t));
	if (trainer->pool_outputs == NULL || trainer->pool_targets == NULL || trainer->pool_rows == NULL)
		return DEV_NO_MEMORY;
	return DEV_OK;
}

/* ---- Folds ---- */

/* Sorts the rows of fold `number` into those to learn from and those held out. */
static void
list_rows(Trainer *trainer, int number, size_t *n_train, size_t *n_held)
{
	const uint8_t *parts = learn_dataset_parts(trainer->dataset);

	*n_train = 0;
	*n_held = 0;
	for (size_t row = 0; row < trainer->n_rows; row++)
	{
		bool		held = trainer->fold != NULL ? trainer->fold[row] == number : parts[row] == LEARN_VALIDATION;

		if (held)
			trainer->held_rows[(*n_held)++] = (uint32_t) row;
		else if (trainer->fold != NULL ? trainer->fold[row] != 255 : parts[row] == LEARN_TRAIN)
			trainer->train_rows[(*n_train)++] = (uint32_t) row;
	}
}

static void
add_outputs(size_t n, const float *outputs, float *total)
{
	for (size_t i = 0; i < n; i++)
		total[i] += outputs[i];
}

/* Breslow's hazard without folds is that of the training rows: the network's answers on those. */
static DevStatus
judge_training_rows(LearnMachine *machine, LearnHeld *seen)
{
	double		loss;
	DevStatus	status = learn_machine_judge(machine, machine->best, seen, &loss);

	if (status == DEV_OK)
	{
		add_outputs(seen->keep * machine->n_outputs, seen->outputs, seen->total);
		seen->n_total++;
	}
	return status;
}

static uint64_t
net_seed(const Trainer *trainer, int number)
{
	uint32_t	bits[4];

	dev_random_bits(trainer->training.seed, DEV_STREAM_FOLD, (uint64_t) 1 << 32 | (uint64_t) number, bits);
	return (uint64_t) bits[0] << 32 | bits[1];
}

static DevStatus
train_net(Trainer *trainer, LearnMachine *machine, const LearnTraining *training, LearnSampler *sampler,
		  size_t n_train, LearnHeld *held, LearnHeld *seen)
{
	LearnModel *model = trainer->model;
	LearnCourse course = {
		.sampler = sampler,
		.n_train = n_train,
		.held = held,
		.training = training,
		.seed = net_seed(trainer, model->n_nets)
	};
	DevStatus	status;

	trainer->monitor.progress.net = model->n_nets + 1;
	status = learn_net_train(machine, &course, &trainer->monitor, &model->nets[model->n_nets], trainer->outcome);
	if (status != DEV_OK)
		return status;
	model->n_nets++;
	add_outputs(held->keep * machine->n_outputs, held->best, held->total);
	held->n_total++;
	return seen != NULL ? judge_training_rows(machine, seen) : DEV_OK;
}

/* Mean outputs of a fold's networks, at the end of the pool. */
static void
pool(Trainer *trainer, const LearnHeld *held)
{
	size_t		n_outputs = trainer->network->n_outputs;
	size_t		room = trainer->pool_capacity - trainer->n_pool;
	size_t		n = held->keep < room ? held->keep : room;
	float	   *outputs = trainer->pool_outputs + trainer->n_pool * n_outputs;

	for (size_t i = 0; i < n * n_outputs; i++)
		outputs[i] = held->total[i] / (float) held->n_total;
	memcpy(trainer->pool_targets + trainer->n_pool * trainer->n_targets, held->targets,
		   n * trainer->n_targets * sizeof(float));
	memcpy(trainer->pool_rows + trainer->n_pool, held->rows, n * sizeof(uint32_t));
	trainer->n_pool += n;
}

/* The one network of a model that is solved; nothing is held out but by leaving rows out one by one. */
static DevStatus
solve(Trainer *trainer, LearnSampler *sampler, size_t n_train)
{
	LearnModel *model = trainer->model;
	DevStatus	status;

	trainer->monitor.progress.net = 1;
	trainer->monitor.progress.epochs = 1;
	status = learn_net_solve(&trainer->machine, sampler, n_train, net_seed(trainer, 0), &trainer->monitor,
							 &model->nets[0], trainer->outcome);
	if (status == DEV_OK)
		model->n_nets = 1;
	return status;
}

static DevStatus
train_members(Trainer *trainer, LearnSampler *sampler, size_t n_train, LearnHeld *held, LearnHeld *seen)
{
	DevStatus	status = DEV_OK;

	if (trainer->solves)
		return solve(trainer, sampler, n_train);
	for (int bag = 0; bag < trainer->training.bags && status == DEV_OK; bag++)
	{
		status = train_net(trainer, &trainer->machine, &trainer->training, sampler, n_train, held, seen);
		if (status == DEV_OK && trainer->training.tabular)
			status = train_net(trainer, &trainer->tabular, &trainer->tabular_training, sampler, n_train, held, seen);
	}
	if (status == DEV_OK && trainer->training.linear > 0)
		status = train_net(trainer, &trainer->linear, &trainer->linear_training, sampler, n_train, held, seen);
	return status;
}

static DevStatus
create_held(Trainer *trainer, const uint32_t *rows, size_t n, LearnHeld *held)
{
	size_t		most = trainer->model->task == LEARN_SURVIVAL ? n
		: trainer->model->task == LEARN_TAGGING ? 0 : trainer->pool_capacity / (size_t) trainer->training.folds + 1;
	LearnSampler *sampler = NULL;
	DevStatus	status = DEV_OK;

	if (n > 0)
		status = learn_sampler_create(trainer->dataset, rows, n, trainer->training.seed, &sampler);
	if (status == DEV_OK && n > 0)
		status = learn_sampler_group(sampler, trainer->machine.max_rows);
	if (status != DEV_OK)
		return status;
	return learn_held_create(trainer->session, sampler, n, n < most ? n : most, trainer->n_targets,
							 trainer->network->n_outputs, held);
}

static DevStatus
train_fold(Trainer *trainer, int number)
{
	bool		hazard = trainer->model->task == LEARN_SURVIVAL && trainer->fold == NULL;
	LearnSampler *sampler = NULL;
	LearnHeld	held = {0};
	LearnHeld	seen = {0};
	size_t		n_train;
	size_t		n_held;
	DevStatus	status;

	list_rows(trainer, number, &n_train, &n_held);
	n_held = trainer->solves ? 0 : n_held;
	status = learn_sampler_create(trainer->dataset, trainer->train_rows, n_train,
								  trainer->training.seed + (uint64_t) number, &sampler);
	if (status == DEV_OK)
		status = learn_sampler_group(sampler, (size_t) trainer->training.batch);
	if (status == DEV_OK)
		status = create_held(trainer, trainer->held_rows, n_held, &held);
	if (status == DEV_OK && hazard)
		status = create_held(trainer, trainer->train_rows, n_train, &seen);
	if (status == DEV_OK)
		status = train_members(trainer, sampler, n_train, &held, hazard ? &seen : NULL);
	if (status != DEV_OK)
		return status;
	pool(trainer, hazard ? &seen : &held);
	learn_sampler_free(sampler);
	learn_sampler_free(held.sampler);
	learn_held_release(trainer->session, &held);
	if (hazard)
	{
		learn_sampler_free(seen.sampler);
		learn_held_release(trainer->session, &seen);
	}
	return DEV_OK;
}

static DevStatus
train_folds(Trainer *trainer)
{
	LearnModel *model = trainer->model;
	int			n_folds = trainer->training.folds;
	int			n_nets = n_folds * (trainer->training.bags * (1 + trainer->training.tabular) + (trainer->training.linear > 0));
	double		share = n_folds > 1 ? (double) (n_folds - 1) / n_folds : 1;
	double		epochs = (double) trainer->training.bags
		* (trainer->training.epochs + (trainer->training.tabular ? trainer->tabular_training.epochs : 0))
		+ (trainer->training.linear > 0 ? trainer->linear_training.epochs : 0);
	DevStatus	status = DEV_OK;

	trainer->train_rows = dev_alloc(trainer->session, trainer->n_rows, sizeof(uint32_t));
	trainer->held_rows = dev_alloc(trainer->session, trainer->n_rows, sizeof(uint32_t));
	model->nets = dev_alloc(trainer->session, (size_t) n_nets, sizeof(LearnNet));
	if (trainer->train_rows == NULL || trainer->held_rows == NULL || model->nets == NULL)
		return DEV_NO_MEMORY;
	if (n_folds > 1)
		status = learn_folds(trainer->dataset, trainer->split, n_folds, &trainer->fold);
	trainer->monitor.planned = (double) trainer->n_train * share * n_folds * epochs;
	trainer->monitor.progress.n_nets = n_nets;
	trainer->monitor.progress.phase = "training";
	for (int i = 0; i < n_folds && status == DEV_OK; i++)
		status = train_fold(trainer, i);
	return status;
}

/* ---- Afterwards ---- */

static DevStatus
fit_afterwards(Trainer *trainer)
{
	LearnModel *model = trainer->model;
	bool		classes = model->task == LEARN_BINARY || model->task == LEARN_MULTICLASS;
	double		no_offset = 0;
	DevStatus	status;

	trainer->monitor.progress.phase = "calibrating";
	trainer->monitor.planned = 0;
	status = learn_monitor_tick(&trainer->monitor, false);
	if (status != DEV_OK)
		return status;
	if (model->task == LEARN_SURVIVAL)
		return learn_breslow(trainer->session, trainer->n_pool, trainer->pool_outputs, trainer->pool_targets, model);
	if (classes && trainer->training.calibrate && trainer->n_pool >= LEAST_CALIBRATION)
		model->temperature = learn_temperature(trainer->n_pool, trainer->network->n_outputs, trainer->pool_outputs,
											   trainer->pool_targets, model->offset);
	/* Every label of every row is a yes or no of its own. */
	if (model->task == LEARN_MULTILABEL && trainer->training.calibrate && trainer->n_pool >= LEAST_CALIBRATION)
		model->temperature = learn_temperature(trainer->n_pool * trainer->n_targets, 1, trainer->pool_outputs,
											   trainer->pool_targets, &no_offset);
	return dev_poll(trainer->session);
}

/* What the networks of its own fold say of a row is what a model says of rows that it has not seen. */
static DevStatus
tell_held(Trainer *trainer)
{
	LearnOutcome *outcome = trainer->outcome;
	size_t		n_outputs = trainer->network->n_outputs;

	if (trainer->fold == NULL || trainer->n_pool == 0 || trainer->model->task == LEARN_SURVIVAL)
		return DEV_OK;
	outcome->held_scores = dev_alloc(trainer->session, trainer->n_pool, n_outputs * sizeof(double));
	if (outcome->held_scores == NULL)
		return DEV_NO_MEMORY;
	outcome->held_rows = trainer->pool_rows;
	trainer->pool_rows = NULL;
	for (size_t i = 0; i < trainer->n_pool * n_outputs; i++)
		outcome->held_scores[i] = (double) trainer->pool_outputs[i];
	learn_outputs_to_scores(trainer->model, trainer->n_pool, outcome->held_scores);
	outcome->n_held = trainer->n_pool;
	return DEV_OK;
}

static DevStatus
run(Trainer *trainer, const LearnTraining *training)
{
	DevStatus	status = describe_inputs(trainer);

	if (status == DEV_OK)
		status = resolve(trainer, training);
	if (status == DEV_OK && training->lessons != 0)
		status = learn_lessons_check(trainer->session, trainer->dataset, trainer->model, &trainer->training);
	if (status == DEV_OK)
		status = prepare_targets(trainer);
	if (status == DEV_OK)
		status = prepare_machines(trainer);
	if (status == DEV_OK)
		status = prepare_changes(trainer);
	if (status == DEV_OK)
		status = prepare_pool(trainer);
	if (status == DEV_OK)
		status = train_folds(trainer);
	if (status == DEV_OK)
		status = fit_afterwards(trainer);
	if (status == DEV_OK)
		status = tell_held(trainer);
	/* Threads end whatever happened: nothing of the session may be freed under them. */
	learn_team_free(trainer->team);
	return status;
}

static void
release(Trainer *trainer)
{
	learn_machine_free(&trainer->machine);
	learn_machine_free(&trainer->linear);
	learn_machine_free(&trainer->tabular);
	dev_release(trainer->session, trainer->pool_outputs);
	dev_release(trainer->session, trainer->pool_targets);
	dev_release(trainer->session, trainer->pool_rows);
	dev_release(trainer->session, trainer->train_rows);
	dev_release(trainer->session, trainer->held_rows);
	dev_release(trainer->session, trainer->fold);
	dev_release(trainer->session, trainer->class_weights);
}

DevStatus
learn_train(DevSession *session, LearnDataset *dataset, LearnModel *model, LearnNetwork *network,
			const LearnTraining *training, const LearnSplit *split, LearnReport report, void *report_context,
			LearnNotes *notes, LearnOutcome *outcome)
{
	Trainer		trainer = {
		.session = session,
		.dataset = dataset,
		.model = model,
		.network = network,
		.split = split,
		.outcome = outcome,
		.n_rows = learn_dataset_rows(dataset)
	};
	DevStatus	status;

	memset(outcome, 0, sizeof(*outcome));
	trainer.monitor = (LearnMonitor) {
		.session = session,
		.report = report,
		.context = report_context,
		.start = learn_seconds()
	};
	model->n_nets = 0;
	model->n_hazard = 0;
	trainer.n_targets = model->task == LEARN_REGRESSION || model->task == LEARN_MULTILABEL ? learn_model_outputs(model)
		: model->task == LEARN_SURVIVAL ? 2 : model->task == LEARN_TAGGING ? 0 : 1;
	status = run(&trainer, training);
	release(&trainer);
	if (status != DEV_OK)
		return status;
	outcome->seconds = learn_seconds() - trainer.monitor.start;
	outcome->rows = trainer.monitor.progress.rows;
	outcome->validation_loss /= model->n_nets;
	/* A mean over windows is timid by nature. */
	if ((model->temperature < 0.2 && !learn_fields_windowed(model->fields, model->n_fields)) || model->temperature > 5)
		status = learn_note(session, notes, true, NULL,
							"Check that the validation part resembles the training part.",
							"the network's probabilities had to be changed by a temperature of %.2g",
							model->temperature);
	return status;
}

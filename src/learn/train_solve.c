/*
 * train_solve.c: a linear network whose weights are solved for.
 *
 * All workers bring their rows to what the heads multiply (features, rocket's included); ridge regression gives the
 * weights and, for every row, what the others say of it. From those answers comes the scale that makes
 * outputs of a squared error calibrated logits. It goes into the weights, so that the model is like any other.
 */
#include "trainer.h"

#include "idla/learn_ridge.h"

#include <math.h>
#include <string.h>

/* What is solved. */
typedef struct Problem
{
	LearnMachine *machine;
	size_t		n;
	size_t		width;			/* of what the heads multiply */
	size_t		position;		/* of the window's first row */
	float	   *features;		/* (n, width) */
	float	   *targets;		/* (n, n_targets) as the data set has them */
	float	   *wanted;			/* (n, n_outputs) */
	float	   *lessons;		/* (n, n_outputs) what the teacher says of them, NULL without one */
	float	   *held_out;		/* (n, n_outputs) */
} Problem;

typedef struct Gathering
{
	size_t		width;
	float	   *features;		/* of the first row */
} Gathering;

/* Adds a window's share to its row's features. */
static void
add_share(void *context, const LearnSlot *slot, const float *values)
{
	Gathering  *gathering = context;
	float	   *features = gathering->features + slot->row * gathering->width;

	for (size_t i = 0; i < gathering->width; i++)
		features[i] += values[i] / (float) slot->n_windows;
}

/* What the heads multiply of some rows into features (rows, width), which is zero; of a row in windows the mean over them. */
static void
gather(LearnMachine *machine, LearnWorker *worker, size_t first, size_t rows, size_t width, float *features)
{
	Gathering	gathering = {width, features};

	if (machine->windowed)
	{
		learn_sampler_copy(machine->sampler, first, rows, worker->numbers, worker->codes, worker->targets);
		learn_machine_count(machine, worker, rows);
		learn_machine_visit(machine, worker, first, rows, machine->built.embedded, add_share, &gathering);
		return;
	}
	learn_machine_load(machine, worker, first, rows);
	learn_machine_set(machine, worker, rows);
	learn_machine_count(machine, worker, rows);
	nn_run_forward(worker->run, machine->built.embedded, NN_INFER, 0, 0, 0);
	memcpy(features, nn_run_value(worker->run, machine->built.embedded), rows * width * sizeof(float));
}

static void
collect_job(void *context, int number)
{
	Problem    *problem = context;
	LearnMachine *machine = problem->machine;
	LearnWorker *worker;
	size_t		low;
	size_t		high;

	if (number >= machine->n_workers)
		return;
	worker = &machine->workers[number];
	learn_share(machine->count, number, machine->n_workers, &low, &high);
	for (size_t first = low; first < high && !atomic_load(&machine->stop); first += machine->max_rows)
	{
		size_t		rows = machine->max_rows < high - first ? machine->max_rows : high - first;
		size_t		at = problem->position + first;

		gather(machine, worker, first, rows, problem->width, problem->features + at * problem->width);
		memcpy(problem->targets + at * machine->n_targets, worker->targets, rows * machine->n_targets * sizeof(float));
		for (size_t row = 0; row < rows && problem->lessons != NULL; row++)
			learn_machine_lesson(machine, first + row, problem->lessons + (at + row) * machine->n_outputs);
		if (number == 0)
			learn_machine_poll(machine);
	}
}

static DevStatus
collect(Problem *problem, LearnSampler *sampler)
{
	LearnMachine *machine = problem->machine;
	DevStatus	status = DEV_OK;
	size_t		n;

	learn_sampler_epoch(sampler, 0);
	machine->sampler = sampler;
	while (status == DEV_OK)
	{
		status = learn_sampler_next(sampler, &n);
		if (status != DEV_OK || n == 0)
			break;
		machine->count = n;
		if (machine->n_workers == 1)
			collect_job(problem, 0);
		else
			learn_team_run(machine->team, collect_job, problem);
		learn_machine_poll(machine);
		problem->position += n;
		status = machine->status;
	}
	return status;
}

/* Regression: the values; classes: -1 and +1. */
static DevStatus
set_wanted(Problem *problem)
{
	LearnMachine *machine = problem->machine;
	size_t		n_outputs = machine->n_outputs;
	int32_t    *classes;

	if (machine->network.task == LEARN_REGRESSION)
	{
		memcpy(problem->wanted, problem->targets, problem->n * n_outputs * sizeof(float));
		return DEV_OK;
	}
	classes = dev_alloc(machine->session, problem->n, sizeof(int32_t));
	if (classes == NULL)
		return DEV_NO_MEMORY;
	for (size_t i = 0; i < problem->n; i++)
		classes[i] = (int32_t) problem->targets[i];
	learn_ridge_class_targets(problem->n, classes, n_outputs == 1 ? 2 : n_outputs, problem->wanted);
	dev_release(machine->session, classes);
	return DEV_OK;
}

/* Wanted values drawn towards the teacher's: of classes -1 and +1 by how probable they are. */
static void
blend_wanted(Problem *problem)
{
	const LearnMachine *machine = problem->machine;
	float		weight = machine->lesson_weight;
	bool		classes = machine->network.task != LEARN_REGRESSION;

	for (size_t i = 0; problem->lessons != NULL && i < problem->n * machine->n_outputs; i++)
	{
		float		own = classes ? (float) (problem->wanted[i] > 0) : problem->wanted[i];
		float		blend = (1 - weight) * own + weight * problem->lessons[i];

		if (!isnan(problem->lessons[i]))
			problem->wanted[i] = classes ? 2 * blend - 1 : blend;
	}
}

/* Mean loss of the rows left out, and the factor that calibrates the outputs. */
static double
judge_held_out(const Problem *problem, double *factor)
{
	const LearnMachine *machine = problem->machine;
	size_t		n_outputs = machine->n_outputs;
	double		sum = 0;

	*factor = 1;
	if (machine->network.task != LEARN_REGRESSION)
		*factor = 1 / learn_temperature(problem->n, n_outputs, problem->held_out, problem->targets, machine->offset);
	for (size_t i = 0; i < problem->n; i++)
	{
		const float *outputs = problem->held_out + i * n_outputs;

		if (machine->network.task != LEARN_REGRESSION)
			sum += learn_row_loss(n_outputs, outputs, problem->targets[i], machine->offset, *factor);
		for (size_t j = 0; j < n_outputs && machine->network.task == LEARN_REGRESSION; j++)
			sum += ((double) outputs[j] - problem->targets[i * n_outputs + j]) *
				((double) outputs[j] - problem->targets[i * n_outputs + j]) / (double) n_outputs;
	}
	return sum / (double) problem->n;
}

static void
set_weights(LearnMachine *machine, const LearnRidge *ridge, double factor)
{
	NnGraph    *graph = machine->built.graph;
	DevQueue   *queue = machine->workers[0].queue;
	const NnParameterInfo *weights = nn_graph_parameter(graph, nn_graph_find(graph, "head.weights"));
	const NnParameterInfo *bias = nn_graph_parameter(graph, nn_graph_find(graph, "head.bias"));

	for (size_t i = 0; i < ridge->n_features * ridge->n_outputs; i++)
		machine->host_weights[weights->offset + i] = (float) ((double) ridge->weights[i] * factor);
	for (size_t i = 0; i < ridge->n_outputs; i++)
		machine->host_weights[bias->offset + i] = (float) ((double) ridge->intercept[i] * factor);
	queue->primitives->upload(queue, machine->best, machine->host_weights, machine->n_weights * sizeof(float));
}

static DevStatus
solve(Problem *problem, LearnSampler *sampler, LearnMonitor *monitor, double *loss)
{
	LearnMachine *machine = problem->machine;
	LearnRidge	ridge = {0};
	double		factor;
	DevStatus	status = collect(problem, sampler);

	monitor->progress.rows += problem->n;
	if (status == DEV_OK)
		status = learn_monitor_tick(monitor, false);
	if (status == DEV_OK)
		status = set_wanted(problem);
	if (status == DEV_OK)
		blend_wanted(problem);
	if (status == DEV_OK)
		status = learn_ridge_fit(machine->session, problem->n, problem->width, problem->features, machine->n_outputs,
								 problem->wanted, NULL, problem->held_out, &ridge);
	if (status != DEV_OK)
		return status;
	*loss = judge_held_out(problem, &factor);
	set_weights(machine, &ridge, factor);
	learn_ridge_free(machine->session, &ridge);
	return DEV_OK;
}

static void
release(Problem *problem)
{
	DevSession *session = problem->machine->session;

	dev_release(session, problem->features);
	dev_release(session, problem->targets);
	dev_release(session, problem->wanted);
	dev_release(session, problem->lessons);
	dev_release(session, problem->held_out);
}

DevStatus
learn_net_solve(LearnMachine *machine, LearnSampler *sampler, size_t n_train, uint64_t seed, LearnMonitor *monitor,
				LearnNet *net, LearnOutcome *outcome)
{
	DevSession *session = machine->session;
	Problem		problem = {.machine = machine, .n = n_train};
	NnOptimizerSpec spec;
	double		loss = 0;
	DevStatus	status;

	/* No step is taken: this only gives tables of categories their values and zeroes the counts. */
	nn_optimizer_defaults(NN_SGD, &spec);
	status = learn_machine_start(machine, &spec, seed);
	if (status != DEV_OK)
		return status;
	learn_machine_bind(machine, machine->weights);
	problem.width = nn_shape_size(nn_graph_shape(machine->built.graph, machine->built.embedded));
	problem.features = dev_alloc(session, n_train, problem.width * sizeof(float));
	problem.targets = dev_alloc(session, n_train, machine->n_targets * sizeof(float));
	problem.wanted = dev_alloc(session, n_train, machine->n_outputs * sizeof(float));
	problem.held_out = dev_alloc(session, n_train, machine->n_outputs * sizeof(float));
	if (machine->lessons != NULL)
		problem.lessons = dev_alloc(session, n_train, machine->n_outputs * sizeof(float));
	status = problem.features == NULL || problem.targets == NULL || problem.wanted == NULL || problem.held_out == NULL
		|| (machine->lessons != NULL && problem.lessons == NULL) ?
		DEV_NO_MEMORY : solve(&problem, sampler, monitor, &loss);
	release(&problem);
	if (status != DEV_OK)
		return status;
	outcome->epochs = outcome->best_epoch = 1;
	outcome->train_loss = outcome->validation_loss = loss;
	monitor->progress.epoch = 1;
	monitor->progress.validation = monitor->progress.best = loss;
	status = learn_monitor_tick(monitor, true);
	return status == DEV_OK ? learn_net_keep(machine, n_train, net) : status;
}

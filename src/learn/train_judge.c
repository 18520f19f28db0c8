/*
 * train_judge.c: what networks say about rows they were not trained on.
 *
 * The answers are those that a predictor will give (inference arithmetic, mean
 * of members), computed by all workers over windows of the rows in the sampler's
 * first order, which is always the same: so outputs of several networks can
 * be added position by position. The loss is the task's plain one, without class
 * weights and smoothing.
 */
#include "trainer.h"

#include <string.h>

DevStatus
learn_held_create(DevSession *session, LearnSampler *sampler, size_t n, size_t keep, size_t n_targets,
				  size_t n_outputs, LearnHeld *held)
{
	size_t		size = keep == 0 ? 1 : keep;

	*held = (LearnHeld) {.sampler = sampler, .n = n, .keep = keep};
	held->targets = dev_alloc(session, size, (n_targets + 1) * sizeof(float));
	held->outputs = dev_alloc(session, size, n_outputs * sizeof(float));
	held->best = dev_alloc(session, size, n_outputs * sizeof(float));
	held->total = dev_alloc(session, size, n_outputs * sizeof(float));
	held->rows = dev_alloc(session, size, sizeof(uint32_t));
	if (held->rows == NULL || held->targets == NULL || held->outputs == NULL || held->best == NULL || held->total == NULL)
		return DEV_NO_MEMORY;
	return DEV_OK;
}

void
learn_held_release(DevSession *session, LearnHeld *held)
{
	dev_release(session, held->targets);
	dev_release(session, held->outputs);
	dev_release(session, held->best);
	dev_release(session, held->total);
	dev_release(session, held->rows);
	memset(held, 0, sizeof(*held));
}

static double
squared_error(size_t n_outputs, const float *outputs, const float *targets)
{
	double		sum = 0;

	for (size_t i = 0; i < n_outputs; i++)
	{
		double		error = (double) outputs[i] - (double) targets[i];

		sum += error * error;
	}
	return sum / (double) n_outputs;
}

static double
label_loss(size_t n_outputs, const float *outputs, const float *targets)
{
	const double no_offset = 0;
	double		sum = 0;

	for (size_t i = 0; i < n_outputs; i++)
		sum += learn_row_loss(1, &outputs[i], targets[i], &no_offset, 1);
	return sum / (double) n_outputs;
}

/* Sum of the losses of the loaded rows with these outputs. */
static double
sum_losses(const LearnMachine *machine, const LearnWorker *worker, size_t rows, const float *outputs)
{
	LearnTask	task = machine->network.task;
	size_t		n_outputs = machine->n_outputs;
	double		sum = 0;

	for (size_t row = 0; row < rows; row++)
	{
		const float *output = outputs + row * n_outputs;
		const float *target = worker->targets + row * machine->n_targets;

		if (task == LEARN_BINARY || task == LEARN_MULTICLASS)
			sum += learn_row_loss(n_outputs, output, target[0], machine->offset, 1);
		else if (task == LEARN_MULTILABEL)
			sum += label_loss(n_outputs, output, target);
		else if (task == LEARN_REGRESSION)
			sum += squared_error(n_outputs, output, target);
	}
	return sum;
}

/* Keeps the outputs of `rows` rows, the first of which has this place in the window. */
static void
keep(LearnMachine *machine, const LearnWorker *worker, size_t first, size_t rows, const float *outputs)
{
	LearnHeld  *held = machine->held;
	size_t		position = machine->position + first;
	size_t		kept = position >= held->keep ? 0 : held->keep - position;

	if (kept == 0)
		return;
	kept = kept < rows ? kept : rows;
	memcpy(held->outputs + position * machine->n_outputs, outputs, kept * machine->n_outputs * sizeof(float));
	memcpy(held->targets + position * machine->n_targets, worker->targets, kept * machine->n_targets * sizeof(float));
	for (size_t i = 0; i < kept; i++)
		held->rows[position + i] = (uint32_t) learn_sampler_row(held->sampler, first + i);
}

/* A network trained against an attack is judged under it too, in the same proportion. */
static void
judge_rows(LearnMachine *machine, LearnWorker *worker, size_t first, size_t rows)
{
	double		share = machine->resistance == NULL ? 0 : machine->resistance->share;
	const float *outputs;

	if (machine->windowed)
	{
		learn_machine_answer(machine, worker, first, rows);
		outputs = worker->answers;
	}
	else
	{
		learn_machine_load(machine, worker, first, rows);
		learn_machine_set(machine, worker, rows);
		nn_run_forward(worker->run, machine->built.output, NN_INFER, 0, 0, 0);
		outputs = nn_run_value(worker->run, machine->built.output);
	}
	if (machine->network.task == LEARN_TAGGING)
	{
		learn_tagger_take(machine, worker, rows);
		return;
	}
	worker->loss += (1 - share) * sum_losses(machine, worker, rows, outputs);
	keep(machine, worker, first, rows, outputs);
	if (share > 0 && learn_machine_judge_moved(machine, worker, machine->position + first, rows))
		worker->loss += share * sum_losses(machine, worker, rows, outputs);
}

static void
judge_job(void *context, int number)
{
	LearnMachine *machine = context;
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

		judge_rows(machine, worker, first, rows);
		if (number == 0)
			learn_machine_poll(machine);
	}
}

DevStatus
learn_machine_judge(LearnMachine *machine, const float *weights, LearnHeld *held, double *loss)
{
	DevStatus	status = machine->network.task == LEARN_TAGGING ? learn_tagger_begin(machine, weights) : DEV_OK;
	size_t		n;

	learn_machine_bind(machine, weights);
	learn_sampler_epoch(held->sampler, 0);
	machine->held = held;
	machine->sampler = held->sampler;
	machine->position = 0;
	for (int i = 0; i < machine->n_workers; i++)
		machine->workers[i].loss = 0;
	while (status == DEV_OK)
	{
		status = learn_sampler_next(held->sampler, &n);
		if (status != DEV_OK || n == 0)
			break;
		machine->count = n;
		learn_machine_run(machine, judge_job);
		machine->position += n;
		status = machine->status;
	}
	learn_machine_bind(machine, machine->weights);
	*loss = 0;
	for (int i = 0; i < machine->n_workers; i++)
		*loss += machine->workers[i].loss;
	*loss /= (double) held->n;
	if (machine->network.task == LEARN_TAGGING)
		learn_tagger_end(machine, loss);
	if (status == DEV_OK && machine->network.task == LEARN_SURVIVAL)
		status = learn_cox_loss(machine->session, held->keep, held->outputs, held->targets, loss);
	return status;
}

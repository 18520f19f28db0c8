/*
 * train_windows.c: training on signals that are seen a window at a time.
 *
 * A step sees one window of each row, drawn by the seed, the epoch and the row, so that all threads agree and an epoch costs what it
 * would cost without windows. Rows held out are answered for as a predictor will: all windows, averaged.
 */
#include "trainer.h"

#include "windows.h"

#include "idla/learn_augment.h"

#include <string.h>

DevStatus
learn_worker_windows(LearnMachine *machine, LearnWorker *worker)
{
	DevSession *session = machine->session;

	worker->slots = dev_alloc(session, machine->max_rows, sizeof(LearnSlot));
	worker->pooled = dev_alloc(session, machine->max_rows, machine->n_outputs * sizeof(double));
	worker->window_outputs = dev_alloc(session, machine->n_outputs, sizeof(double));
	worker->answers = dev_alloc(session, machine->max_rows, machine->n_outputs * sizeof(float));
	return worker->slots == NULL || worker->pooled == NULL || worker->window_outputs == NULL || worker->answers == NULL ?
		DEV_NO_MEMORY : DEV_OK;
}

void
learn_worker_windows_free(LearnMachine *machine, LearnWorker *worker)
{
	dev_release(machine->session, worker->slots);
	dev_release(machine->session, worker->pooled);
	dev_release(machine->session, worker->window_outputs);
	dev_release(machine->session, worker->answers);
}

LearnBytes
learn_machine_drawn(const LearnMachine *machine, int field, size_t place)
{
	return learn_field_window_drawn(&machine->network.fields[field], learn_sampler_field(machine->sampler, field, place),
									machine->step.seed, learn_augment_counter(machine->step.epoch, learn_sampler_row(machine->sampler, place)));
}

/* ---- All windows ---- */

static size_t
count_windows(const LearnMachine *machine, size_t place)
{
	size_t		most = 1;

	for (int field = 0; field < machine->network.n_fields; field++)
		most = learn_windows_most(most, &machine->network.fields[field], learn_sampler_field(machine->sampler, field, place).size);
	return most;
}

static void
load_slot(LearnMachine *machine, LearnWorker *worker, size_t place, size_t at)
{
	const LearnNetwork *network = &machine->network;
	const LearnSlot *slot = &worker->slots[at];

	learn_sampler_copy(machine->sampler, place, 1, worker->numbers + at * network->n_numbers, worker->codes + at * network->n_codes, NULL);
	for (int field = 0; field < network->n_fields; field++)
		learn_field_batch_load(&worker->fields, field, at,
							   learn_field_window(&network->fields[field], learn_sampler_field(machine->sampler, field, place),
												  slot->window, slot->n_windows));
}

void
learn_machine_visit(LearnMachine *machine, LearnWorker *worker, size_t first, size_t rows, NnNode node, LearnWindowVisit visit,
					void *context)
{
	size_t		size = nn_shape_size(nn_graph_shape(machine->built.graph, node));
	LearnSlot	next = {0};

	learn_machine_stretch(machine, worker, first, rows);
	while (next.row < rows && !atomic_load(&machine->stop))
	{
		size_t		n = 0;

		for (; next.row < rows && n < machine->max_rows; n++)
		{
			next.n_windows = count_windows(machine, first + next.row);
			worker->slots[n] = next;
			load_slot(machine, worker, first + next.row, n);
			if (++next.window == next.n_windows)
				next = (LearnSlot) {.row = next.row + 1};
		}
		learn_machine_set_inputs(machine, worker, n);
		nn_run_forward(worker->run, node, NN_INFER, 0, 0, 0);
		for (size_t i = 0; i < n; i++)
			visit(context, &worker->slots[i], (const float *) nn_run_value(worker->run, node) + i * size);
		if (worker->number == 0)
			learn_machine_poll(machine);
	}
}

/* ---- Answers ---- */

typedef struct Answering
{
	LearnWindowing windowing;
	LearnWorker *worker;
} Answering;

static void
add_answer(void *context, const LearnSlot *slot, const float *values)
{
	Answering  *answering = context;
	LearnWorker *worker = answering->worker;
	size_t		n_outputs = answering->windowing.n_outputs;

	for (size_t i = 0; i < n_outputs; i++)
		worker->window_outputs[i] = (double) values[i];
	learn_windows_add(&answering->windowing, slot->window, worker->window_outputs, worker->pooled + slot->row * n_outputs);
}

void
learn_machine_answer(LearnMachine *machine, LearnWorker *worker, size_t first, size_t rows)
{
	const LearnNetwork *network = &machine->network;
	Answering	answering = {
		.windowing = learn_windowing(network->task, network->fields, network->n_fields, machine->n_outputs, machine->offset),
		.worker = worker
	};

	learn_sampler_copy(machine->sampler, first, rows, NULL, NULL, worker->targets);
	learn_machine_visit(machine, worker, first, rows, machine->built.output, add_answer, &answering);
	for (size_t i = 0; i < rows * machine->n_outputs; i++)
		worker->answers[i] = (float) worker->pooled[i];
}

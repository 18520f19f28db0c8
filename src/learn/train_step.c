/*
 * train_step.c: one batch, shared among the threads.
 *
 * Every worker runs forward and backward on its contiguous rows into a gradient
 * of its own; then each sums all gradients over its share of the weights and
 * steps that share. Two jobs a step, three when gradients are clipped, because the
 * norm must be known before anyone steps. The sums run in the order of workers,
 * so the same number of threads gives the same bits.
 *
 * A worker's rows are cut into passes that stay in its cache and are short enough to be
 * interrupted between two. A risk set of Cox's likelihood is the rows of a pass, so for survival
 * a pass is all of a worker's rows (fewer only when they would take too long to be
 * interrupted), and there are fewer workers with more rows each.
 */
#include "trainer.h"

#include "windows.h"

#include <math.h>
#include <string.h>
#include <time.h>

#define POLL_SECONDS 0.010
#define PASS_WORK 4e8			/* flops of the longest pass: some 10 to 20 ms */
#define FIELD_PASS_WORK 3e9		/* the same with images and sequences, whose kernels run at several times the speed: batch norm
								 * wants rows, and 20 ms are still soon */
#define PASS_FLOATS 65536		/* of the widest activation of a pass: 256 kB */
#define LEAST_PASS 16			/* rows, unless their work forbids */
#define WORKER_WORK 4e5			/* flops of a worker's part of a step below which handing it out does not pay */
#define RISK_WORK 1.6e9			/* flops of the longest pass for survival */
#define RISK_SET 128			/* rows a worker has at least, for survival */

double
learn_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double) now.tv_sec + 1e-9 * (double) now.tv_nsec;
}

/* ---- Making a machine ---- */

static size_t
min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void
plan_work(LearnMachine *machine, size_t batch)
{
	const LearnNetwork *network = &machine->network;
	double		work = learn_network_work(machine->built.graph, network);
	size_t		rows_each = (size_t) ceil(WORKER_WORK / work);
	size_t		widest = network->n_fields > 0 ? nn_graph_widest(machine->built.graph) :
		learn_network_members(network) * (size_t) (network->width > 0 ? network->width : 64);
	int			workers = learn_team_size(machine->team);
	size_t		rows;

	if (network->task == LEARN_SURVIVAL)
		rows_each = rows_each > RISK_SET ? rows_each : RISK_SET;
	if ((size_t) workers > batch / rows_each)
		workers = batch / rows_each < 1 ? 1 : (int) (batch / rows_each);
	machine->n_workers = workers;
	rows = (batch + (size_t) workers - 1) / (size_t) workers;
	machine->max_rows = rows;
	if (network->task == LEARN_SURVIVAL)
	{
		machine->max_rows = min_size(rows, (size_t) (RISK_WORK / work) + RISK_SET);
		return;
	}
	/* Passes of equal size: the last one is not a remainder. */
	rows = min_size(rows, PASS_FLOATS / widest > LEAST_PASS ? PASS_FLOATS / widest : LEAST_PASS);
	rows = min_size(rows, (size_t) ((network->n_fields > 0 ? FIELD_PASS_WORK : PASS_WORK) / work) + 1);
	rows = (machine->max_rows + rows - 1) / rows;
	machine->max_rows = (machine->max_rows + rows - 1) / rows;
}

static void *
device_floats(LearnMachine *machine, size_t n)
{
	return machine->device->primitives->alloc(machine->device, n * sizeof(float));
}

DevStatus
learn_worker_run(LearnMachine *machine, LearnWorker *worker, NnRunUse use)
{
	DevStatus	status = DEV_OK;

	for (int i = 0; i < machine->stretches.n && status == DEV_OK; i++)
	{
		nn_run_free(worker->runs[i]);
		worker->runs[i] = NULL;
		status = nn_run_create(machine->stretches.stretches[i].built.graph, machine->device, machine->max_rows, use, &worker->runs[i]);
		if (status == DEV_OK)
			nn_run_bind(worker->runs[i], machine->bound, worker->diff_weights);
	}
	if (status == DEV_OK)
	{
		worker->run = worker->runs[machine->stretches.n - 1];
		worker->queue = nn_run_queue(worker->run);
	}
	return status;
}

static DevStatus
create_worker(LearnMachine *machine, LearnWorker *worker)
{
	DevSession *session = machine->session;
	const LearnNetwork *network = &machine->network;
	DevStatus	status = learn_worker_run(machine, worker, NN_RUN_TRAIN);

	if (status != DEV_OK)
		return status;
	worker->diff_weights = device_floats(machine, machine->n_weights);
	worker->squared = device_floats(machine, 1);
	worker->numbers = dev_alloc(session, machine->max_rows * (network->n_numbers + 1), sizeof(float));
	worker->codes = dev_alloc(session, machine->max_rows * (network->n_codes + 1), sizeof(int32_t));
	worker->targets = dev_alloc(session, machine->max_rows * (machine->n_targets + 1), sizeof(float));
	worker->classes = dev_alloc(session, machine->max_rows, sizeof(int32_t));
	worker->shares = machine->soft ? dev_alloc(session, machine->max_rows, machine->n_outputs * sizeof(float)) : NULL;
	worker->number_sums = dev_alloc(session, network->n_numbers + 1, sizeof(double));
	worker->code_counts = dev_alloc(session, machine->n_codes_total + 1, sizeof(uint64_t));
	status = learn_field_batch_create(session, network->fields, network->n_fields, machine->max_rows, &worker->fields);
	if (status != DEV_OK)
		return status;
	if (worker->diff_weights == NULL || worker->squared == NULL || worker->numbers == NULL || worker->codes == NULL
		|| worker->targets == NULL || worker->classes == NULL || worker->number_sums == NULL || worker->code_counts == NULL
		|| (machine->soft && worker->shares == NULL))
		return DEV_NO_MEMORY;
	if (machine->windowed)
		return learn_worker_windows(machine, worker);
	return network->task == LEARN_TAGGING ? learn_tagger_create(machine, worker) : DEV_OK;
}

/* Parameters lie in the order of their numbers; those of a kind that follow each other make one range. */
static void
add_range(LearnRange *ranges, int *n, const NnParameterInfo *info, size_t end)
{
	if (*n > 0 && ranges[*n - 1].first + ranges[*n - 1].count == info->offset)
		ranges[*n - 1].count += end - info->offset;
	else
		ranges[(*n)++] = (LearnRange) {info->offset, end - info->offset};
}

static DevStatus
find_ranges(LearnMachine *machine)
{
	NnGraph    *graph = machine->built.graph;
	int			n = nn_graph_parameters(graph);

	machine->trained = dev_alloc(machine->session, (size_t) n + 1, sizeof(LearnRange));
	machine->statistics = dev_alloc(machine->session, (size_t) n + 1, sizeof(LearnRange));
	if (machine->trained == NULL || machine->statistics == NULL)
		return DEV_NO_MEMORY;
	for (int i = 0; i < n; i++)
	{
		const NnParameterInfo *info = nn_graph_parameter(graph, i);
		/* the padding behind a parameter stays zero and may go with it */
		size_t		end = i + 1 < n ? nn_graph_parameter(graph, i + 1)->offset : machine->n_weights;

		if (end < info->offset + info->size)
			end = info->offset + info->size;
		if (info->role == NN_ROLE_STATISTIC)
			add_range(machine->statistics, &machine->n_statistics, info, end);
		else if (info->role != NN_ROLE_CONSTANT)
			add_range(machine->trained, &machine->n_trained, info, end);
	}
	return DEV_OK;
}

static DevStatus
create_buffers(LearnMachine *machine)
{
	DevSession *session = machine->session;

	machine->weights = device_floats(machine, machine->n_weights);
	machine->average = device_floats(machine, machine->n_weights);
	machine->best = device_floats(machine, machine->n_weights);
	machine->host_weights = dev_alloc(session, machine->n_weights, sizeof(float));
	machine->offset = dev_alloc(session, machine->n_outputs, sizeof(double));
	machine->workers = dev_alloc(session, (size_t) machine->n_workers, sizeof(LearnWorker));
	if (machine->weights == NULL || machine->average == NULL || machine->best == NULL
		|| machine->host_weights == NULL || machine->offset == NULL || machine->workers == NULL)
		return DEV_NO_MEMORY;
	for (int i = 0; i < machine->n_workers; i++)
	{
		DevStatus	status;

		machine->workers[i].number = i;
		machine->workers[i].machine = machine;
		status = create_worker(machine, &machine->workers[i]);

		if (status != DEV_OK)
			return status;
	}
	return find_ranges(machine);
}

DevStatus
learn_machine_create(DevSession *session, DevDevice *device, LearnTeam *team, const LearnNetwork *network,
					 const LearnLoss *loss, size_t batch, LearnMachine *machine)
{
	DevStatus	status;

	memset(machine, 0, sizeof(*machine));
	machine->session = session;
	machine->device = device;
	machine->team = team;
	machine->network = *network;
	status = learn_stretches_create(session, &machine->network, loss, &machine->stretches);
	if (status != DEV_OK)
		return status;
	machine->built = machine->stretches.stretches[machine->stretches.n - 1].built;
	machine->n_weights = nn_graph_weights(machine->built.graph);
	machine->n_outputs = network->n_outputs;
	machine->soft = loss->soft && network->task == LEARN_MULTICLASS;
	machine->n_targets = machine->soft ? 1 : machine->built.target == NN_NONE ? 0 :
		nn_shape_size(nn_graph_shape(machine->built.graph, machine->built.target));
	for (size_t i = 0; i < network->n_codes; i++)
		machine->n_codes_total += (size_t) network->cardinality[i];
	if (network->task == LEARN_TAGGING)
	{
		machine->label_scores = dev_alloc(session, network->n_outputs, sizeof(LearnClassScore));
		if (machine->label_scores == NULL)
			return DEV_NO_MEMORY;
	}
	machine->windowed = learn_fields_windowed(network->fields, network->n_fields);
	atomic_init(&machine->stop, false);
	plan_work(machine, batch);
	return create_buffers(machine);
}

static void
free_worker(LearnMachine *machine, LearnWorker *worker)
{
	DevSession *session = machine->session;
	void	   *const buffers[] = {
		worker->numbers, worker->codes, worker->targets, worker->classes, worker->shares, worker->number_sums,
		worker->code_counts, worker->augment_scratch, worker->partner, worker->partner_numbers, worker->partner_codes,
		worker->partner_targets, worker->partner_shares, worker->low, worker->high, worker->attack_scratch, worker->clean, worker->by_clean,
		worker->by_moved, worker->bins, worker->moved_bins, worker->tried, worker->by_tried, worker->radii
	};

	for (int i = 0; i < LEARN_MAX_STRETCHES; i++)
		nn_run_free(worker->runs[i]);
	learn_tagger_free(machine, worker);
	learn_worker_windows_free(machine, worker);
	if (worker->diff_weights != NULL)
		machine->device->primitives->release(machine->device, worker->diff_weights);
	if (worker->squared != NULL)
		machine->device->primitives->release(machine->device, worker->squared);
	for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++)
		dev_release(session, buffers[i]);
	for (int i = 0; worker->moved != NULL && i < machine->n_moved; i++)
		dev_release(session, worker->moved[i]);
	for (int i = 0; worker->nudges != NULL && i < machine->network.n_fields; i++)
		dev_release(session, worker->nudges[i]);
	dev_release(session, worker->nudges);
	dev_release(session, worker->moved);
	learn_field_batch_free(session, &worker->fields);
}

void
learn_machine_free(LearnMachine *machine)
{
	float	   *buffers[] = {machine->weights, machine->average, machine->best};

	if (machine->session == NULL)
		return;
	nn_optimizer_free(machine->optimizer);
	for (int i = 0; machine->workers != NULL && i < machine->n_workers; i++)
		free_worker(machine, &machine->workers[i]);
	for (int i = 0; i < 3; i++)
		if (buffers[i] != NULL)
			machine->device->primitives->release(machine->device, buffers[i]);
	dev_release(machine->session, machine->workers);
	dev_release(machine->session, machine->host_weights);
	dev_release(machine->session, machine->offset);
	dev_release(machine->session, machine->label_scores);
	dev_release(machine->session, machine->trained);
	dev_release(machine->session, machine->statistics);
	dev_release(machine->session, machine->moved);
	learn_stretches_free(machine->session, &machine->stretches);
	memset(machine, 0, sizeof(*machine));
}

void
learn_machine_copy(LearnMachine *machine, const float *src, float *dst)
{
	DevQueue   *queue = machine->workers[0].queue;

	queue->primitives->copy(queue, 1, machine->n_weights, src, machine->n_weights, dst, machine->n_weights, false);
}

void
learn_machine_bind(LearnMachine *machine, const float *weights)
{
	machine->bound = weights;
	for (int i = 0; i < machine->n_workers; i++)
		for (int j = 0; j < machine->stretches.n; j++)
			nn_run_bind(machine->workers[i].runs[j], weights, machine->workers[i].diff_weights);
}

DevStatus
learn_machine_start(LearnMachine *machine, const NnOptimizerSpec *spec, uint64_t seed)
{
	DevQueue   *queue = machine->workers[0].queue;
	DevStatus	status;

	nn_graph_initialize(machine->built.graph, seed, machine->host_weights);
	queue->primitives->upload(queue, machine->weights, machine->host_weights, machine->n_weights * sizeof(float));
	learn_machine_copy(machine, machine->weights, machine->average);
	learn_machine_copy(machine, machine->weights, machine->best);
	nn_optimizer_free(machine->optimizer);
	machine->optimizer = NULL;
	status = nn_optimizer_create(machine->built.graph, machine->device, spec, machine->n_workers,
								 &machine->optimizer);
	if (status != DEV_OK)
		return status;
	for (int i = 0; i < machine->n_workers; i++)
	{
		memset(machine->workers[i].number_sums, 0, machine->network.n_numbers * sizeof(double));
		memset(machine->workers[i].code_counts, 0, machine->n_codes_total * sizeof(uint64_t));
	}
	return queue->primitives->synchronize(queue);
}

/* ---- Jobs ---- */

void
learn_machine_poll(LearnMachine *machine)
{
	double		now = learn_seconds();

	/* What was recorded stands: the host may not say it twice. */
	if (machine->status != DEV_OK || now - machine->last_poll < POLL_SECONDS)
		return;
	machine->last_poll = now;
	machine->status = dev_poll(machine->session);
	if (machine->status != DEV_OK)
		atomic_store(&machine->stop, true);
}

void
learn_machine_run(LearnMachine *machine, LearnJob job)
{
	if (machine->n_workers == 1)
		job(machine, 0);
	else
		learn_team_run(machine->team, job, machine);
	learn_machine_poll(machine);
}

/* Sums of the inputs, for the mean of the features. */
void
learn_machine_count(LearnMachine *machine, LearnWorker *worker, size_t rows)
{
	const LearnNetwork *network = &machine->network;
	size_t		n_numbers = network->n_numbers;
	size_t		n_codes = network->n_codes;

	for (size_t row = 0; row < rows; row++)
	{
		const float *numbers = worker->numbers + row * n_numbers;
		const int32_t *codes = worker->codes + row * n_codes;
		uint64_t   *counts = worker->code_counts;

		for (size_t i = 0; i < n_numbers; i++)
			worker->number_sums[i] += numbers[i];
		for (size_t i = 0; i < n_codes; i++)
		{
			if (codes[i] >= 0 && codes[i] < network->cardinality[i])
				counts[codes[i]]++;
			counts += network->cardinality[i];
		}
	}
}

void
learn_machine_stretch(LearnMachine *machine, LearnWorker *worker, size_t first, size_t rows)
{
	size_t		longest = 0;
	int			stretch;

	if (machine->stretches.n == 1)
		return;
	for (int field = 0; field < worker->fields.n_fields; field++)
		for (size_t row = 0; row < rows; row++)
		{
			size_t		length = learn_text_length(&machine->network.fields[field],
												   learn_sampler_field(machine->sampler, field, first + row));

			longest = length > longest ? length : longest;
		}
	stretch = learn_stretch_find(&machine->stretches, longest);
	worker->run = worker->runs[stretch];
	learn_field_batch_stretch(&worker->fields, machine->stretches.stretches[stretch].network.fields);
}

void
learn_machine_load(LearnMachine *machine, LearnWorker *worker, size_t first, size_t rows)
{
	learn_sampler_copy(machine->sampler, first, rows, worker->numbers, worker->codes, machine->n_targets > 0 ? worker->targets : NULL);
	learn_machine_stretch(machine, worker, first, rows);
	for (int field = 0; field < worker->fields.n_fields; field++)
		for (size_t row = 0; row < rows; row++)
			learn_field_batch_load(&worker->fields, field, row, learn_machine_drawn(machine, field, first + row));
	learn_machine_still(machine, worker, rows);
	if (!machine->soft)
		return;
	memset(worker->shares, 0, rows * machine->n_outputs * sizeof(float));
	for (size_t row = 0; row < rows; row++)
		worker->shares[row * machine->n_outputs + (size_t) worker->targets[row]] = 1;
}

static void
set_targets(LearnMachine *machine, LearnWorker *worker, size_t rows)
{
	if (machine->built.target == NN_NONE)
		return;
	if (machine->network.task != LEARN_MULTICLASS || machine->soft)
	{
		nn_run_set(worker->run, machine->built.target, rows, machine->soft ? worker->shares : worker->targets);
		return;
	}
	for (size_t row = 0; row < rows; row++)
		worker->classes[row] = (int32_t) worker->targets[row];
	nn_run_set_codes(worker->run, machine->built.target, rows, worker->classes);
}

void
learn_machine_set_inputs(LearnMachine *machine, LearnWorker *worker, size_t rows)
{
	if (machine->built.numbers != NN_NONE)
		nn_run_set(worker->run, machine->built.numbers, rows, worker->numbers);
	if (machine->built.codes != NN_NONE)
		nn_run_set_codes(worker->run, machine->built.codes, rows, worker->codes);
	learn_field_batch_set(&worker->fields, &machine->built, worker->run, rows);
	for (int i = 0; worker->nudges != NULL && i < machine->network.n_fields; i++)
		if (worker->nudges[i] != NULL)
			nn_run_set(worker->run, machine->built.nudges[i], rows, worker->nudges[i]);
}

void
learn_machine_set(LearnMachine *machine, LearnWorker *worker, size_t rows)
{
	learn_machine_set_inputs(machine, worker, rows);
	set_targets(machine, worker, rows);
}

static void
pass(LearnMachine *machine, LearnWorker *worker, size_t first, size_t rows)
{
	const LearnStep *step = &machine->step;
	const LearnResistance *resistance = machine->resistance;
	const float *losses;

	learn_machine_load(machine, worker, machine->first + first, rows);
	if (step->word_dropout > 0)
		learn_field_batch_drop(&worker->fields, rows, step->word_dropout, step->seed, step->number << 36 | (uint64_t) first << 16);
	if (machine->counting)
		learn_machine_count(machine, worker, rows);
	if (machine->lessons != NULL)
		learn_machine_blend(machine, machine->first + first, rows, machine->soft ? worker->shares : worker->targets);
	if (machine->augmenter != NULL)
		learn_machine_change(machine, worker, first, rows);
	if (resistance != NULL && resistance->adversary.method == LEARN_TRADES)
	{
		learn_machine_trades(machine, worker, first, rows);
		return;
	}
	if (resistance != NULL)
		learn_machine_move(machine, worker, first, rows);
	learn_machine_set(machine, worker, rows);
	nn_run_forward(worker->run, machine->built.loss, NN_TRAIN, step->seed, step->number, first);
	nn_run_backward(worker->run, machine->built.loss, 1.0f / (float) machine->count, NULL);
	worker->passes++;
	losses = nn_run_value(worker->run, machine->built.loss);
	for (size_t row = 0; row < rows; row++)
		worker->loss += losses[row];
}

static void
gradient_job(void *context, int number)
{
	LearnMachine *machine = context;
	LearnWorker *worker;
	size_t		low;
	size_t		high;

	if (number >= machine->n_workers)
		return;
	worker = &machine->workers[number];
	worker->loss = 0;
	worker->passes = 0;
	worker->queue->primitives->fill(worker->queue, machine->n_weights, 0, worker->diff_weights);
	learn_share(machine->count, number, machine->n_workers, &low, &high);
	for (size_t first = low; first < high && !atomic_load(&machine->stop); first += machine->max_rows)
	{
		pass(machine, worker, first, min_size(machine->max_rows, high - first));
		if (number == 0)
			learn_machine_poll(machine);
	}
}

/* Calls for the part of each range that lies in worker's share of the weights. */
typedef void (*RangeAction) (LearnMachine *machine, LearnWorker *worker, size_t first, size_t count);

static void
each_range(LearnMachine *machine, int number, const LearnRange *ranges, int n_ranges, RangeAction action)
{
	size_t		low;
	size_t		count;

	nn_optimizer_share(machine->optimizer, number, &low, &count);
	for (int i = 0; i < n_ranges; i++)
	{
		size_t		first = ranges[i].first > low ? ranges[i].first : low;
		size_t		end = min_size(ranges[i].first + ranges[i].count, low + count);

		if (first < end)
			action(machine, &machine->workers[number], first, end - first);
	}
}

static void
add_gradients(LearnMachine *machine, LearnWorker *worker, size_t first, size_t count)
{
	for (int i = 1; i < machine->n_workers; i++)
		worker->queue->primitives->copy(worker->queue, 1, count, machine->workers[i].diff_weights + first, count,
										machine->workers[0].diff_weights + first, count, true);
}

/* Every pass adds how far its own statistics are from the running ones: the step takes the mean of those. */
static void
average_statistics(LearnMachine *machine, LearnWorker *worker, size_t first, size_t count)
{
	float	   *diff = machine->workers[0].diff_weights + first;
	size_t		passes = 0;

	add_gradients(machine, worker, first, count);
	for (int i = 0; i < machine->n_workers; i++)
		passes += machine->workers[i].passes;
	worker->queue->primitives->map(worker->queue, DEV_MAP_SCALE, count, diff, 1.0f / (float) passes, diff);
}

static void
add_norm(LearnMachine *machine, LearnWorker *worker, size_t first, size_t count)
{
	const float *diff = machine->workers[0].diff_weights + first;
	float		squared;

	worker->queue->primitives->reduce_cols(worker->queue, 1, count, diff, count, diff, count, worker->squared, false);
	worker->queue->primitives->download(worker->queue, &squared, worker->squared, sizeof(float));
	worker->queue->primitives->synchronize(worker->queue);
	worker->norm += squared;
}

/* average = decay * average + (1 - decay) * weights */
static void
add_average(LearnMachine *machine, LearnWorker *worker, size_t first, size_t count)
{
	const DevPrimitives *p = worker->queue->primitives;
	float	   *average = machine->average + first;
	const float *weights = machine->weights + first;

	p->map(worker->queue, DEV_MAP_SCALE, count, average, machine->step.decay, average);
	/* the derivative of scaling is the one primitive that adds a multiple */
	p->map_grad(worker->queue, DEV_MAP_SCALE, count, weights, weights, 1 - machine->step.decay, weights, average,
				true);
}

static void
reduce(LearnMachine *machine, int number)
{
	if (machine->n_workers > 1)
		each_range(machine, number, machine->trained, machine->n_trained, add_gradients);
	each_range(machine, number, machine->statistics, machine->n_statistics, average_statistics);
}

static void
apply(LearnMachine *machine, int number)
{
	LearnWorker *worker = &machine->workers[number];

	nn_optimizer_apply(machine->optimizer, worker->queue, number, machine->workers[0].diff_weights, machine->weights);
	if (machine->step.decay > 0)
	{
		each_range(machine, number, machine->trained, machine->n_trained, add_average);
		each_range(machine, number, machine->statistics, machine->n_statistics, add_average);
	}
}

static void
norm_job(void *context, int number)
{
	LearnMachine *machine = context;

	if (number >= machine->n_workers)
		return;
	machine->workers[number].norm = 0;
	reduce(machine, number);
	each_range(machine, number, machine->trained, machine->n_trained, add_norm);
}

static void
apply_job(void *context, int number)
{
	LearnMachine *machine = context;

	if (number < machine->n_workers)
		apply(machine, number);
}

static void
reduce_apply_job(void *context, int number)
{
	LearnMachine *machine = context;

	if (number >= machine->n_workers)
		return;
	reduce(machine, number);
	apply(machine, number);
}

/* ---- One step ---- */

static void
update(LearnMachine *machine)
{
	double		norm = 0;
	float		scale = 1;

	if (machine->step.clip <= 0)
	{
		nn_optimizer_begin(machine->optimizer, machine->step.rate_factor, 1);
		learn_machine_run(machine, reduce_apply_job);
		return;
	}
	learn_machine_run(machine, norm_job);
	if (machine->status != DEV_OK)
		return;
	for (int i = 0; i < machine->n_workers; i++)
		norm += machine->workers[i].norm;
	norm = sqrt(norm);
	if (norm > machine->step.clip)
		scale = (float) (machine->step.clip / norm);
	nn_optimizer_begin(machine->optimizer, machine->step.rate_factor, scale);
	learn_machine_run(machine, apply_job);
}

DevStatus
learn_machine_step(LearnMachine *machine, const LearnSampler *sampler, size_t first, size_t count,
				   const LearnStep *step, double *loss)
{
	machine->sampler = sampler;
	machine->first = first;
	machine->count = count;
	machine->step = *step;
	learn_machine_run(machine, gradient_job);
	if (machine->status != DEV_OK)
		return machine->status;
	*loss = 0;
	for (int i = 0; i < machine->n_workers; i++)
		*loss += machine->workers[i].loss;
	/* A step from such a gradient would spoil the weights. */
	if (!isfinite(*loss))
		return dev_fail(machine->session, DEV_NOT_FINITE, "training diverged: the loss is not finite");
	update(machine);
	return machine->status;
}

/*
 * train_net.c: one network from its first weights to its best ones.
 *
 * Epochs of windows of batches. After each epoch the running average of the weights (or the
 * weights, when none is kept) answers for the rows held out; the best answers are
 * kept and training ends when patience does. Without rows held out all epochs
 * are run and the last weights are the best.
 */
#include "trainer.h"

#include <math.h>
#include <string.h>

#define REPORT_SECONDS 0.050
#define WORTH_WAITING 1e-4		/* relative gain of the loss that renews patience */

/* What one network's training remembers between epochs. */
typedef struct Progress
{
	LearnMachine *machine;
	const LearnCourse *course;
	LearnMonitor *monitor;
	uint64_t	step;
	uint64_t	epoch;
	uint64_t	steps;			/* planned */
	double		loss;			/* summed over the epoch's rows */
	size_t		rows;			/* of the epoch so far */
	double		best;
	double		mark;			/* the loss that patience counts from */
	int			best_epoch;
	int			stale;			/* epochs since mark */
} Progress;

DevStatus
learn_monitor_tick(LearnMonitor *monitor, bool epoch_end)
{
	LearnProgress *progress = &monitor->progress;
	double		now = learn_seconds();

	if (monitor->report == NULL || (!epoch_end && now - monitor->last < REPORT_SECONDS))
		return DEV_OK;
	monitor->last = now;
	progress->epoch_end = epoch_end;
	progress->seconds_left = progress->rows == 0 ? NAN
		: (now - monitor->start) * monitor->planned / (double) progress->rows;
	if (!monitor->report(monitor->context, progress))
		return dev_fail(monitor->session, DEV_HOST, "training was stopped by the host");
	return DEV_OK;
}

/* ---- One epoch ---- */

/* A short history is averaged over a shorter time: the first weights are forgotten soon. */
static float
average_decay(const LearnTraining *training, uint64_t step)
{
	double		early = (1.0 + (double) step) / (10.0 + (double) step);

	return (float) fmin(training->average, early);
}

static DevStatus
train_batch(Progress *progress, size_t first, size_t count)
{
	const LearnTraining *training = progress->course->training;
	LearnMonitor *monitor = progress->monitor;
	uint64_t	at = progress->step < progress->steps ? progress->step : progress->steps - 1;
	LearnStep	step = {
		.seed = progress->course->seed,
		.number = progress->step,
		.epoch = progress->epoch,
		.rate_factor = nn_schedule_factor((NnScheduleKind) training->schedule, at, progress->steps,
										  (float) training->warm_up),
		.clip = (float) training->clip,
		.decay = average_decay(training, progress->step),
		.word_dropout = training->word_dropout
	};
	double		loss;
	DevStatus	status = learn_machine_step(progress->machine, progress->course->sampler, first, count, &step, &loss);

	if (status != DEV_OK)
		return status;
	progress->step++;
	progress->loss += loss;
	progress->rows += count;
	monitor->planned -= (double) count;
	monitor->progress.rows += count;
	monitor->progress.loss = progress->loss / (double) progress->rows;
	return learn_monitor_tick(monitor, false);
}

/* A window is cut into batches of nearly equal size, none larger than asked for. */
static DevStatus
train_window(Progress *progress, size_t n)
{
	size_t		batch = (size_t) progress->course->training->batch;
	size_t		n_batches = (n + batch - 1) / batch;
	DevStatus	status = DEV_OK;

	for (size_t i = 0; i < n_batches && status == DEV_OK; i++)
	{
		size_t		first = learn_batch_start(n, n_batches, i);

		status = train_batch(progress, first, learn_batch_start(n, n_batches, i + 1) - first);
	}
	return status;
}

static DevStatus
train_epoch(Progress *progress, uint64_t epoch)
{
	LearnSampler *sampler = progress->course->sampler;
	DevStatus	status;
	size_t		n;

	progress->loss = 0;
	progress->rows = 0;
	progress->epoch = epoch;
	learn_sampler_epoch(sampler, epoch);
	do
	{
		status = learn_sampler_next(sampler, &n);
		if (status == DEV_OK && n > 0)
			status = train_window(progress, n);
	} while (status == DEV_OK && n > 0);
	if (status == DEV_NOT_FINITE)
	{
		dev_detail(progress->machine->session, "It happened in epoch %d.", (int) epoch + 1);
		dev_hint(progress->machine->session, "Train with a smaller learning rate or with gradient clipping.");
	}
	return status;
}

/* ---- Judging ---- */

static float *
judged_weights(Progress *progress)
{
	return progress->course->training->average > 0 ? progress->machine->average : progress->machine->weights;
}

static void
keep_best(Progress *progress, int epoch, double loss)
{
	LearnHeld  *held = progress->course->held;
	float	   *outputs = held->best;

	learn_machine_copy(progress->machine, judged_weights(progress), progress->machine->best);
	held->best = held->outputs;
	held->outputs = outputs;
	progress->best = loss;
	progress->best_epoch = epoch;
}

/* Judges the epoch; *enough when patience has come to its end. */
static DevStatus
judge(Progress *progress, int epoch, bool *enough)
{
	const LearnTraining *training = progress->course->training;
	LearnProgress *shown = &progress->monitor->progress;
	double		loss;
	DevStatus	status = learn_machine_judge(progress->machine, judged_weights(progress), progress->course->held,
											 &loss);

	if (status != DEV_OK)
		return status;
	shown->validation = loss;
	*enough = false;
	/* Without an event held out, Cox's likelihood has nothing to say: the last epoch is as good as any. */
	if (progress->machine->network.task == LEARN_SURVIVAL && isnan(loss))
	{
		keep_best(progress, epoch, NAN);
		return DEV_OK;
	}
	if (loss < progress->best)
		keep_best(progress, epoch, loss);
	if (loss < progress->mark - WORTH_WAITING * fabs(progress->mark) || isinf(progress->mark))
	{
		progress->mark = loss;
		progress->stale = 0;
	}
	else
		progress->stale++;
	shown->best = progress->best;
	*enough = training->patience > 0 && progress->stale >= training->patience;
	return DEV_OK;
}

/* ---- What remains ---- */

static DevStatus
keep_baseline(LearnMachine *machine, size_t n_rows, LearnNet *net)
{
	DevSession *session = machine->session;
	size_t		n_numbers = machine->network.n_numbers;
	double	   *means = dev_alloc(session, n_numbers + 1, sizeof(double));
	double	   *shares = dev_alloc(session, machine->n_codes_total + 1, sizeof(double));

	net->n_features = learn_network_features(&machine->network);
	net->baseline = dev_alloc(session, net->n_features, sizeof(float));
	if (means == NULL || shares == NULL || net->baseline == NULL)
		return DEV_NO_MEMORY;
	for (int i = 0; i < machine->n_workers; i++)
	{
		for (size_t j = 0; j < n_numbers; j++)
			means[j] += machine->workers[i].number_sums[j];
		for (size_t j = 0; j < machine->n_codes_total; j++)
			shares[j] += (double) machine->workers[i].code_counts[j];
	}
	for (size_t j = 0; j < n_numbers; j++)
		means[j] /= (double) n_rows;
	for (size_t j = 0; j < machine->n_codes_total; j++)
		shares[j] /= (double) n_rows;
	learn_features_mean(&machine->network, &machine->built, net->weights, means, shares, net->baseline);
	dev_release(session, means);
	dev_release(session, shares);
	return DEV_OK;
}

DevStatus
learn_net_keep(LearnMachine *machine, size_t n_rows, LearnNet *net)
{
	DevQueue   *queue = machine->workers[0].queue;
	DevStatus	status;

	net->network = machine->network;
	net->n_weights = machine->n_weights;
	net->weights = dev_alloc(machine->session, machine->n_weights, sizeof(float));
	if (net->weights == NULL)
		return DEV_NO_MEMORY;
	queue->primitives->download(queue, net->weights, machine->best, machine->n_weights * sizeof(float));
	status = queue->primitives->synchronize(queue);
	if (status != DEV_OK)
		return status;
	for (size_t i = 0; i < machine->n_weights; i++)
		if (!isfinite(net->weights[i]))
			return dev_fail(machine->session, DEV_NOT_FINITE, "training diverged: a weight is not finite");
	return keep_baseline(machine, n_rows, net);
}

static void
conclude(Progress *progress, int epochs, LearnOutcome *outcome)
{
	outcome->epochs += epochs;
	outcome->best_epoch = progress->best_epoch;
	outcome->train_loss = progress->loss / (double) progress->rows;
	outcome->steps += progress->step;
}

static DevStatus
train_epochs(Progress *progress, LearnOutcome *outcome)
{
	LearnMachine *machine = progress->machine;
	LearnMonitor *monitor = progress->monitor;
	const LearnCourse *course = progress->course;
	bool		judged = course->held->n > 0;
	bool		enough = false;
	DevStatus	status = DEV_OK;
	int			epoch = 0;

	while (epoch < course->training->epochs && !enough && status == DEV_OK)
	{
		monitor->progress.epoch = ++epoch;
		machine->counting = epoch == 1;
		status = train_epoch(progress, (uint64_t) epoch - 1);
		machine->counting = false;
		if (status == DEV_OK && judged)
			status = judge(progress, epoch, &enough);
		if (status == DEV_OK)
			status = learn_monitor_tick(monitor, true);
	}
	if (status != DEV_OK)
		return status;
	monitor->planned -= (double) (course->training->epochs - epoch) * (double) course->n_train;
	if (!judged)
	{
		learn_machine_copy(machine, judged_weights(progress), machine->best);
		progress->best_epoch = epoch;
	}
	else if (progress->best_epoch == 0)
		return dev_fail(machine->session, DEV_NOT_FINITE, "training diverged: the validation loss is not finite");
	conclude(progress, epoch, outcome);
	return DEV_OK;
}

DevStatus
learn_net_train(LearnMachine *machine, const LearnCourse *course, LearnMonitor *monitor, LearnNet *net,
				LearnOutcome *outcome)
{
	NnOptimizerSpec spec = learn_optimizer_spec(course->training);
	size_t		batch = (size_t) course->training->batch;
	Progress	progress = {
		.machine = machine,
		.course = course,
		.monitor = monitor,
		.steps = (uint64_t) course->training->epochs * ((course->n_train + batch - 1) / batch),
		.best = INFINITY,
		.mark = INFINITY
	};
	DevStatus	status = learn_machine_start(machine, &spec, course->seed);

	monitor->progress.epochs = course->training->epochs;
	monitor->progress.epoch = 0;
	monitor->progress.loss = NAN;
	monitor->progress.validation = NAN;
	monitor->progress.best = NAN;
	if (status == DEV_OK)
	{
		learn_machine_bind(machine, machine->weights);
		status = train_epochs(&progress, outcome);
	}
	if (status != DEV_OK)
		return status;
	outcome->validation_loss += course->held->n > 0 ? progress.best : NAN;
	return learn_net_keep(machine, course->n_train, net);
}

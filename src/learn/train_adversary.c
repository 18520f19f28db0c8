/*
 * train_adversary.c: rows of a pass moved against the network that is trained.
 *
 * The inner maximisation runs on each worker, over the worker's own run, within the time a pass has: every
 * oracle call is a pass, between two of which cancelling is asked for. Inputs are moved one after
 * another, numbers first, then images and signals. FGSM and PGD move the first rows of a pass, as many as the share says; the order of
 * rows is random anyway. TRADES moves all and adds the divergence of their answers from the clean ones.
 */
#include "trainer.h"

#include "windows.h"

#include <math.h>
#include <string.h>

#define JUDGE_SEED UINT64_C(0x6a75646765)
#define TRADES_SHARE 0.5		/* of changed rows in what a TRADES network is judged by */

const char *const learn_adversary_names[] = {
	[LEARN_NO_ADVERSARY] = "off",
	[LEARN_FGSM] = "fgsm",
	[LEARN_PGD] = "pgd",
	[LEARN_TRADES] = "trades",
	NULL
};

/* ---- What is asked for ---- */

static LearnAttack
attack_of(const LearnAdversary *adversary)
{
	LearnAttack how = learn_attack_pgd(adversary->norm, adversary->epsilon, adversary->steps);

	if (adversary->method == LEARN_FGSM)
		return learn_attack_fgsm(adversary->norm, adversary->epsilon);
	how.rate = adversary->step;
	how.restarts = adversary->restarts;
	how.keep_best = adversary->restarts > 1;
	return how;
}

static bool
moves_field(const LearnAdversary *adversary, const LearnField *fields, int field)
{
	return learn_field_has_slope(&fields[field]) && (adversary->fixed == NULL || !adversary->fixed[field]);
}

/* Texts of taggers have no one embedding that could be moved. */
static bool
nudges_text(const LearnAdversary *adversary, const LearnField *fields, int field)
{
	return fields[field].kind == LEARN_TEXT && !fields[field].tagged && (adversary->fixed == NULL || !adversary->fixed[field]);
}

bool
learn_adversary_nudges(const LearnAdversary *adversary, const LearnModel *model)
{
	for (int i = 0; i < model->n_fields; i++)
		if (adversary->method != LEARN_NO_ADVERSARY && nudges_text(adversary, model->fields, i))
			return true;
	return false;
}

static bool
moves_channel(const LearnAdversary *adversary, const LearnChannel *channels, int channel)
{
	return channels[channel].kind == LEARN_NUMBER && channels[channel].number_input != NN_NONE &&
		(adversary->constraints == NULL || adversary->constraints[channel].mutable);
}

static DevStatus
refuse_rocket(DevSession *session)
{
	dev_fail(session, DEV_INVALID, "a signal under rocket cannot be trained against an attacker");
	dev_detail(session, "Its features count how often the signal rises above a bias: they have no gradient that an attack could follow "
			   "in each step.");
	dev_hint(session, "Take architecture fcn, lstm, gru, cnn or transformer, or measure what random search finds with idla_robustness.");
	return DEV_INVALID;
}

DevStatus
learn_adversary_check(DevSession *session, const LearnAdversary *adversary, const LearnModel *model)
{
	LearnAttack how = attack_of(adversary);
	bool		any = false;
	bool		rocket = false;

	if (adversary->method == LEARN_NO_ADVERSARY)
		return DEV_OK;
	for (int i = 0; i < model->n_channels; i++)
		any = any || moves_channel(adversary, model->channels, i);
	for (int i = 0; i < model->n_fields; i++)
	{
		any = any || moves_field(adversary, model->fields, i) || nudges_text(adversary, model->fields, i);
		rocket = rocket || model->fields[i].rocket != NULL;
	}
	if (learn_fields_windowed(model->fields, model->n_fields))
		return learn_windows_no_attack(session);
	if (model->task == LEARN_SURVIVAL)
		return dev_fail(session, DEV_INVALID, "a survival model has no wrong answer that an attack could look for");
	if (rocket)
		return refuse_rocket(session);
	if (!any)
	{
		dev_fail(session, DEV_INVALID, "there is nothing that an attack could change");
		dev_detail(session, "In training attacks follow gradients by numbers, pixels, samples, bins and the embedded pieces of texts; categories, a "
				   "tagger's texts and statistics of a series stay, and so does what the table does not let change.");
		return DEV_INVALID;
	}
	if (!(adversary->epsilon > 0) || !isfinite(adversary->epsilon))
		return dev_fail(session, DEV_INVALID, "epsilon \"%g\" of adversarial training is not above 0", adversary->epsilon);
	if (!(adversary->share > 0 && adversary->share <= 1))
		return dev_fail(session, DEV_INVALID, "share \"%g\" of adversarial training is not above 0 and at most 1",
						adversary->share);
	if (!(adversary->beta >= 0) || !isfinite(adversary->beta))
		return dev_fail(session, DEV_INVALID, "beta \"%g\" of adversarial training is not at least 0", adversary->beta);
	if (adversary->constraints != NULL &&
		learn_constraints_check(session, model->channels, model->n_channels, adversary->constraints) != DEV_OK)
		return dev_status(session);
	return learn_attack_check(session, &how);
}

/* ---- Making ---- */

DevStatus
learn_resistance_create(DevSession *session, const LearnAdversary *adversary, const LearnModel *model,
						LearnResistance *resistance)
{
	LearnConstraint *constraints = dev_alloc(session, (size_t) model->n_channels + 1, sizeof(LearnConstraint));

	memset(resistance, 0, sizeof(*resistance));
	if (constraints == NULL)
		return DEV_NO_MEMORY;
	for (int i = 0; i < model->n_channels; i++)
		constraints[i] = adversary->constraints == NULL ? learn_constraint_free() : adversary->constraints[i];
	*resistance = (LearnResistance) {
		.adversary = *adversary, .channels = model->channels, .n_channels = model->n_channels, .constraints = constraints,
		.share = adversary->method == LEARN_TRADES ? TRADES_SHARE : adversary->share
	};
	return DEV_OK;
}

static DevStatus
create_moved(LearnMachine *machine, LearnWorker *worker)
{
	DevSession *session = machine->session;
	size_t		rows = machine->max_rows;
	size_t		answers = rows * nn_shape_size(nn_graph_shape(machine->built.graph, machine->built.heads));
	size_t		widest = 0;
	size_t		series = 0;

	for (int i = 0; i < machine->n_moved; i++)
	{
		size_t		size = machine->moved[i].size;

		widest = size > widest ? size : widest;
		series = machine->moved[i].moves != size && size > series ? size : series;
		worker->moved[i] = dev_alloc(session, rows, size * sizeof(float));
		if (worker->moved[i] == NULL)
			return DEV_NO_MEMORY;
	}
	worker->low = dev_alloc(session, rows, widest * sizeof(float) + 1);
	worker->high = dev_alloc(session, rows, widest * sizeof(float) + 1);
	worker->attack_scratch = dev_alloc(session, learn_attack_scratch(rows, widest), sizeof(float));
	worker->clean = dev_alloc(session, answers, sizeof(float));
	worker->by_clean = dev_alloc(session, answers, sizeof(float));
	worker->by_moved = dev_alloc(session, answers, sizeof(float));
	/* Bins are fewer than what is seen of them. */
	worker->bins = dev_alloc(session, rows, series * sizeof(float) + 1);
	worker->moved_bins = dev_alloc(session, rows, series * sizeof(float) + 1);
	worker->tried = dev_alloc(session, rows, series * sizeof(float) + 1);
	worker->by_tried = dev_alloc(session, rows, series * sizeof(float) + 1);
	if (worker->low == NULL || worker->high == NULL || worker->attack_scratch == NULL || worker->clean == NULL ||
		worker->by_clean == NULL || worker->by_moved == NULL || worker->bins == NULL || worker->moved_bins == NULL ||
		worker->tried == NULL || worker->by_tried == NULL)
		return DEV_NO_MEMORY;
	return DEV_OK;
}

static DevStatus
create_nudges(LearnMachine *machine, LearnWorker *worker)
{
	worker->nudges = dev_alloc(machine->session, (size_t) machine->network.n_fields + 1, sizeof(float *));
	worker->radii = dev_alloc(machine->session, machine->max_rows, sizeof(float));
	if (worker->nudges == NULL || worker->radii == NULL)
		return DEV_NO_MEMORY;
	for (int i = 0; i < machine->network.n_fields; i++)
	{
		if (machine->built.nudges[i] == NN_NONE)
			continue;
		worker->nudges[i] = dev_alloc(machine->session, machine->max_rows,
									  nn_shape_size(nn_graph_shape(machine->built.graph, machine->built.nudges[i])) * sizeof(float));
		if (worker->nudges[i] == NULL)
			return DEV_NO_MEMORY;
	}
	return DEV_OK;
}

/* Texts of newly loaded rows are where they are. */
void
learn_machine_still(LearnMachine *machine, LearnWorker *worker, size_t rows)
{
	for (int i = 0; worker->nudges != NULL && i < machine->network.n_fields; i++)
		if (worker->nudges[i] != NULL)
			memset(worker->nudges[i], 0, rows * nn_shape_size(nn_graph_shape(machine->built.graph, machine->built.nudges[i])) * sizeof(float));
}

/* The inputs that attacks change: numbers, fields, and what is added to texts; counted alone where moved is NULL. */
static int
list_moved(const LearnMachine *machine, const LearnAdversary *adversary, LearnMoved *moved)
{
	const LearnNetwork *network = &machine->network;
	int			n = 0;

	if (machine->built.numbers != NN_NONE)
		moved[n++] = (LearnMoved) {machine->built.numbers, -1, network->n_numbers, network->n_numbers, false};
	for (int i = 0; i < network->n_fields; i++)
	{
		bool		nudge = machine->built.nudges[i] != NN_NONE;
		NnNode		node = nudge ? machine->built.nudges[i] : machine->built.planes[i][0];
		size_t		size = nn_shape_size(nn_graph_shape(machine->built.graph, node));

		if (nudge ? nudges_text(adversary, network->fields, i) : moves_field(adversary, network->fields, i))
			moved[n++] = (LearnMoved) {node, i, size, nudge ? size : learn_field_moves(&network->fields[i]), nudge};
	}
	return n;
}

DevStatus
learn_machine_resist(LearnMachine *machine, const LearnResistance *resistance)
{
	DevStatus	status = DEV_OK;

	machine->moved = dev_alloc(machine->session, (size_t) machine->network.n_fields + 1, sizeof(LearnMoved));
	if (machine->moved == NULL)
		return DEV_NO_MEMORY;
	machine->n_moved = list_moved(machine, &resistance->adversary, machine->moved);
	for (int i = 0; i < machine->n_workers && status == DEV_OK; i++)
	{
		LearnWorker *worker = &machine->workers[i];

		worker->moved = dev_alloc(machine->session, (size_t) machine->n_moved + 1, sizeof(float *));
		status = worker->moved == NULL ? DEV_NO_MEMORY : create_moved(machine, worker);
		if (status == DEV_OK)
			status = create_nudges(machine, worker);
		/* An attack reads gradients of inputs. */
		if (status == DEV_OK)
			status = learn_worker_run(machine, worker, NN_RUN_WHOLE);
	}
	machine->resistance = resistance;
	return status;
}

/* ---- What may change ---- */

static float *
clean_input(const LearnWorker *worker, const LearnMoved *moved)
{
	return moved->field < 0 ? worker->numbers : moved->nudge ? worker->nudges[moved->field] : worker->fields.planes[moved->field][0];
}

static void
field_box(const LearnMachine *machine, LearnWorker *worker, const LearnMoved *moved, size_t rows, const float *clean, double epsilon)
{
	for (size_t row = 0; row < rows; row++)
		learn_field_box(&machine->network.fields[moved->field], (size_t) worker->fields.lengths[moved->field][row], epsilon,
						clean + row * moved->moves, worker->low + row * moved->moves, worker->high + row * moved->moves);
}

/*
 * Epsilon of a text is a share of the size of the numbers that its pieces are embedded in, as the network now has them: one that grew could
 * otherwise make every attack small. The rows' inputs are set.
 */
static void
nudge_box(LearnMachine *machine, LearnWorker *worker, const LearnMoved *moved, size_t rows, double epsilon, bool ball)
{
	const float *pieces = nn_run_value(worker->run, machine->built.starts[moved->field][0]);
	size_t		width = moved->size / machine->network.fields[moved->field].dims[0];

	nn_run_forward(worker->run, machine->built.starts[moved->field][0], NN_INFER, 0, 0, 0);
	for (size_t row = 0; row < rows; row++)
	{
		size_t		n = (size_t) worker->fields.lengths[moved->field][row] * width;
		double		square = 0;
		float		reach;

		for (size_t i = 0; i < n; i++)
			square += (double) pieces[row * moved->size + i] * (double) pieces[row * moved->size + i];
		worker->radii[row] = (float) (epsilon * sqrt(square));
		reach = ball ? INFINITY : (float) (epsilon * sqrt(square / (double) (n > 0 ? n : 1)));
		for (size_t i = 0; i < moved->size; i++)
		{
			worker->low[row * moved->size + i] = i < n ? -reach : 0;
			worker->high[row * moved->size + i] = i < n ? reach : 0;
		}
	}
}

/* ---- One attack ---- */

/* The run's oracle, which stops when the training does. */
typedef struct Watched
{
	LearnOracle oracle;
	LearnWorker *worker;
} Watched;

static DevStatus
watched_score(void *context, size_t n, const float *inputs, float *losses, uint8_t *wrong, float *diff)
{
	Watched    *watched = context;
	LearnMachine *machine = watched->worker->machine;

	if (watched->worker->number == 0)
		learn_machine_poll(machine);
	if (atomic_load(&machine->stop))
		return DEV_CANCELLED;
	return watched->oracle.score(watched->oracle.context, n, inputs, losses, wrong, diff);
}

/* Over the bins of a series: the same oracle, asked about what the network sees of them. */
typedef struct Binned
{
	LearnOracle oracle;
	LearnWorker *worker;
	const LearnMoved *moved;
	const LearnField *field;
} Binned;

/* Planes (n, size) of bins, whatever is no bin being as it was loaded. */
static void
show_bins(const Binned *binned, size_t n, const float *bins, float *planes)
{
	size_t		size = binned->moved->size;

	memcpy(planes, clean_input(binned->worker, binned->moved), n * size * sizeof(float));
	for (size_t row = 0; row < n; row++)
		learn_series_show(binned->field, bins + row * binned->moved->moves, planes + row * size);
}

static DevStatus
binned_score(void *context, size_t n, const float *inputs, float *losses, uint8_t *wrong, float *diff)
{
	const Binned *binned = context;
	LearnWorker *worker = binned->worker;
	DevStatus	status;

	show_bins(binned, n, inputs, worker->tried);
	status = binned->oracle.score(binned->oracle.context, n, worker->tried, losses, wrong, diff == NULL ? NULL : worker->by_tried);
	for (size_t row = 0; row < n && diff != NULL && status == DEV_OK; row++)
		learn_series_slope(binned->field, inputs + row * binned->moved->moves, worker->by_tried + row * binned->moved->size,
						   diff + row * binned->moved->moves);
	return status;
}

static NnMean
answer_scale(LearnTask task)
{
	return task == LEARN_BINARY || task == LEARN_MULTILABEL ? NN_MEAN_BINARY : task == LEARN_MULTICLASS ? NN_MEAN_CLASSES : NN_MEAN_VALUE;
}

static LearnRunOracle
run_oracle(const LearnMachine *machine, LearnWorker *worker, NnNode input, const float *clean)
{
	return (LearnRunOracle) {
		.run = worker->run, .weights = machine->bound, .diff_weights = worker->diff_weights, .input = input,
		.loss = machine->built.loss, .mode = NN_INFER, .answer = machine->built.heads,
		.scale = answer_scale(machine->network.task), .clean = clean, .seeds = worker->by_moved
	};
}

/*
 * Moves every input of the first n rows, which are set in the run together with their targets: worker->moved. The run is
 * left with the moved inputs. clean: answers to lead away from, NULL: the loss is to rise.
 */
static DevStatus
attack(LearnMachine *machine, LearnWorker *worker, size_t n, const float *clean, uint64_t seed, uint64_t counter)
{
	const LearnResistance *resistance = machine->resistance;
	double		epsilon = resistance->adversary.epsilon;
	DevStatus	status = DEV_OK;

	for (int i = 0; i < machine->n_moved && status == DEV_OK; i++)
	{
		const LearnMoved *moved = &machine->moved[i];
		LearnRunOracle run = run_oracle(machine, worker, moved->node, clean);
		Watched		watched = {.oracle = learn_run_oracle(&run, machine->built.graph), .worker = worker};
		LearnOracle oracle = {.context = &watched, .n_inputs = moved->size, .score = watched_score};
		LearnBox	box = {.low = worker->low, .high = worker->high, .by_row = true};
		LearnAttack how = attack_of(&resistance->adversary);
		bool		series = moved->field >= 0 && machine->network.fields[moved->field].kind == LEARN_SERIES;
		Binned		binned = {.oracle = oracle, .worker = worker, .moved = moved, .field = series ? &machine->network.fields[moved->field] : NULL};
		const float *from = series ? worker->bins : clean_input(worker, moved);

		for (size_t row = 0; row < n && series; row++)
			learn_series_bins(binned.field, clean_input(worker, moved) + row * moved->size, worker->bins + row * moved->moves);
		if (series)
			oracle = (LearnOracle) {.context = &binned, .n_inputs = moved->moves, .score = binned_score};
		if (moved->field < 0)
			learn_table_box(resistance->channels, resistance->n_channels, resistance->constraints, epsilon, n, moved->size,
							worker->numbers, worker->low, worker->high);
		else if (moved->nudge)
			nudge_box(machine, worker, moved, n, epsilon, how.norm == LEARN_NORM_L2);
		else
			field_box(machine, worker, moved, n, from, how.norm == LEARN_NORM_MAX ? epsilon : INFINITY);
		how.epsilon = how.norm == LEARN_NORM_MAX ? INFINITY : moved->field < 0 ? epsilon :
			learn_field_radius(&machine->network.fields[moved->field], epsilon);
		status = learn_attack(&how, &oracle, &box, n, from, moved->nudge && how.norm == LEARN_NORM_L2 ? worker->radii : NULL, seed + (uint64_t) i, counter,
							  series ? worker->moved_bins : worker->moved[i], NULL, NULL, worker->attack_scratch);
		if (series)
			show_bins(&binned, n, worker->moved_bins, worker->moved[i]);
		nn_run_set(worker->run, moved->node, n, worker->moved[i]);
	}
	return status;
}

/* Moved inputs of the first n rows become the rows' own. */
static void
adopt(LearnMachine *machine, LearnWorker *worker, size_t n)
{
	for (int i = 0; i < machine->n_moved; i++)
		memcpy(clean_input(worker, &machine->moved[i]), worker->moved[i], n * machine->moved[i].size * sizeof(float));
}

/* How many of `rows` rows from `first` of the batch on are changed: in the end the share of all, however passes are cut. */
static size_t
count_changed(double share, size_t first, size_t rows)
{
	return (size_t) floor((double) (first + rows) * share) - (size_t) floor((double) first * share);
}

/* ---- In a training step ---- */

static uint64_t
step_counter(const LearnMachine *machine, size_t first)
{
	return machine->step.number << 20 | first;
}

void
learn_machine_move(LearnMachine *machine, LearnWorker *worker, size_t first, size_t rows)
{
	size_t		n = count_changed(machine->resistance->share, first, rows);

	if (n == 0)
		return;
	learn_machine_set(machine, worker, n);
	if (attack(machine, worker, n, NULL, machine->step.seed, step_counter(machine, first)) == DEV_OK)
		adopt(machine, worker, n);
	learn_machine_set(machine, worker, rows);
}

static void
forward(LearnMachine *machine, LearnWorker *worker, size_t first, size_t rows, bool moved)
{
	const LearnStep *step = &machine->step;

	for (int i = 0; i < machine->n_moved; i++)
		nn_run_set(worker->run, machine->moved[i].node, rows,
				   moved ? worker->moved[i] : clean_input(worker, &machine->moved[i]));
	nn_run_forward(worker->run, machine->built.loss, NN_TRAIN, step->seed, step->number, first);
}

/* loss(clean) + beta * divergence(clean, moved), with the gradient through both answers. */
void
learn_machine_trades(LearnMachine *machine, LearnWorker *worker, size_t first, size_t rows)
{
	const NnShape *shape = nn_graph_shape(machine->built.graph, machine->built.heads);
	size_t		outputs = shape->dims[shape->rank - 1];
	size_t		size = nn_shape_size(shape);
	float		each = 1.0f / (float) machine->count;
	float		weight = (float) machine->resistance->adversary.beta * each;
	const float *answers = nn_run_value(worker->run, machine->built.heads);
	const float *losses = nn_run_value(worker->run, machine->built.loss);

	learn_machine_set(machine, worker, rows);
	nn_run_forward(worker->run, machine->built.heads, NN_INFER, 0, 0, 0);
	memcpy(worker->clean, answers, rows * size * sizeof(float));
	if (attack(machine, worker, rows, worker->clean, machine->step.seed, step_counter(machine, first)) != DEV_OK)
		return;
	forward(machine, worker, first, rows, false);
	memcpy(worker->clean, answers, rows * size * sizeof(float));
	forward(machine, worker, first, rows, true);
	for (size_t row = 0; row < rows; row++)
		worker->loss += (double) machine->resistance->adversary.beta *
			learn_divergence(answer_scale(machine->network.task), size / outputs, outputs, worker->clean + row * size,
							 answers + row * size, weight, worker->by_clean + row * size, worker->by_moved + row * size);
	nn_run_backward_from(worker->run, machine->built.heads, worker->by_moved);
	forward(machine, worker, first, rows, false);
	nn_run_backward(worker->run, machine->built.loss, each, NULL);
	nn_run_backward_from(worker->run, machine->built.heads, worker->by_clean);
	worker->passes += 3;
	for (size_t row = 0; row < rows; row++)
		worker->loss += losses[row];
}

/* ---- In judging ---- */

bool
learn_machine_judge_moved(LearnMachine *machine, LearnWorker *worker, size_t position, size_t rows)
{
	learn_machine_set(machine, worker, rows);
	if (attack(machine, worker, rows, NULL, JUDGE_SEED, position) != DEV_OK)
		return false;
	nn_run_forward(worker->run, machine->built.output, NN_INFER, 0, 0, 0);
	return true;
}

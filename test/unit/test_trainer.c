/*
 * test_trainer.c: training from a data set to a model, on tables made here: that it learns, stops and restores the best,
 * gives the same bits again, blends, corrects priors, stops when told to, and survives failing memory.
 */
#include "check.h"

#include "idla/learn_metrics.h"
#include "idla/learn_predict.h"
#include "learn/trainer.h"

#include <dirent.h>
#include <unistd.h>

/* ---- Tables ---- */

#define N_CHANNELS 5			/* four numbers, the last a category of three */

typedef struct Table
{
	DevSession *session;
	LearnDataset *dataset;
	LearnModel	model;
	LearnSplit	split;
	LearnNotes	notes;
	size_t		n;
	double		true_mean[4];
	double		true_scale[4];
} Table;

static double
normal(uint64_t stream, size_t i)
{
	return dev_random_normal(42, stream, i);
}

/* A score that no line can follow; the targets come from it. */
static double
risk_of(const float *x)
{
	return 1.5 * (double) x[0] + (x[1] > 0 ? 1.0 : -1.0) * (double) x[2] * 1.5 + (x[4] > 0.5f ? 0.8 : -0.4);
}

static void
make_targets(LearnTask task, size_t row, const float *x, float *targets)
{
	double		risk = risk_of(x);
	double		u = dev_random_uniform(43, 900, row);

	switch (task)
	{
		case LEARN_BINARY:
			targets[0] = u < 1 / (1 + exp(-2 * risk + 3)) ? 1 : 0;
			break;
		case LEARN_MULTICLASS:
			targets[0] = risk + 0.3 * normal(901, row) > 1 ? 2 : risk > -0.5 ? 1 : 0;
			break;
		case LEARN_REGRESSION:
			targets[0] = (float) (100 + 10 * risk + normal(902, row));
			targets[1] = (float) (-5 * (double) x[0]);
			break;
		case LEARN_SURVIVAL:
			targets[0] = (float) (-log(u) * exp(-risk) * 10);
			targets[1] = dev_random_uniform(44, 903, row) < 0.7 ? 1 : 0;
			break;
		case LEARN_TAGGING:		/* is not asked for */
		case LEARN_MULTILABEL:
			targets[0] = u < 1 / (1 + exp(-2 * risk + 3)) ? 1 : 0;
			targets[1] = x[1] + 0.3f * (float) normal(904, row) > 0.4f;
			break;
	}
}

static DevStatus
append_rows(Table *table, LearnTask task, size_t n)
{
	static const char *const words[] = {"left", "right", "both"};
	DevStatus	status = DEV_OK;

	for (size_t row = 0; row < n && status == DEV_OK; row++)
	{
		float		x[N_CHANNELS];
		float		raw[N_CHANNELS];
		float		targets[2] = {0, 0};
		LearnRow	given = {.channels = raw, .targets = targets, .part = LEARN_UNASSIGNED};

		for (int i = 0; i < 4; i++)
			raw[i] = x[i] = (float) normal((uint64_t) (800 + i), row);
		x[4] = (float) (row % 3);
		if (row % 11 == 3)
			raw[3] = NAN;
		make_targets(task, row, x, targets);
		status = learn_dataset_intern(table->dataset, 4, words[row % 3], strlen(words[row % 3]), &raw[4]);
		if (status == DEV_OK)
			status = learn_dataset_append(table->dataset, &given);
	}
	return status;
}

static DevStatus
make_table(DevSession *session, LearnTask task, size_t n, double validation, Table *table)
{
	LearnModel *model = &table->model;
	LearnFit	fit = {.task = task, .max_categories = 100, .min_count = 1};
	LearnChannel *channels = dev_alloc(session, N_CHANNELS, sizeof(LearnChannel));
	static char names[N_CHANNELS][2] = {"a", "b", "c", "d", "e"};
	DevStatus	status;

	memset(table, 0, sizeof(*table));
	if (channels == NULL)
		return DEV_NO_MEMORY;
	for (int i = 0; i < N_CHANNELS; i++)
		channels[i] = (LearnChannel) {.name = names[i], .column = i, .kind = i == 4 ? LEARN_CATEGORY : LEARN_NUMBER,
		.number_input = NN_NONE, .indicator_input = NN_NONE, .code_input = NN_NONE};
	table->session = session;
	table->n = n;
	*model = (LearnModel) {.task = task, .n_columns = N_CHANNELS, .n_channels = N_CHANNELS, .channels = channels,
	.n_classes = task == LEARN_MULTICLASS ? 3 : task == LEARN_BINARY ? 2 : 0, .positive = 1,
	.n_targets = task == LEARN_BINARY || task == LEARN_MULTICLASS ? 1 : 2, .temperature = 1};
	table->split = (LearnSplit) {.validation = validation, .test = 0, .task = task, .seed = 5};
	status = learn_dataset_create(session, channels, N_CHANNELS, model->n_targets, (size_t) 1 << 26, NULL, &table->dataset);
	if (status == DEV_OK)
		status = append_rows(table, task, n);
	if (status == DEV_OK)
		status = learn_split(table->dataset, &table->split, &table->notes);
	if (status == DEV_OK)
		status = learn_fit(table->dataset, &fit, &table->notes, &model->n_numbers, &model->n_codes);
	if (status == DEV_OK && task == LEARN_REGRESSION)
		status = learn_fit_targets(table->dataset, table->true_mean, table->true_scale);
	model->target_mean = table->true_mean;
	model->target_scale = table->true_scale;
	if (status == DEV_OK)
		status = learn_dataset_encode(table->dataset);
	return status;
}

/* ---- Training ---- */

static LearnTraining
ask(int epochs, int threads)
{
	return (LearnTraining)
	{
		.epochs = epochs, .batch = 64, .patience = -1, .optimizer = -1, .decay = -1, .momentum = -1, .schedule = -1,
		.warm_up = -1, .clip = -1, .average = -1, .calibrate = true, .folds = 1, .bags = 1, .linear = 0, .seed = 9,
		.threads = threads
	};
}

static LearnNetwork
wish(LearnArchitecture architecture)
{
	return (LearnNetwork)
	{
		.architecture = architecture, .layers = architecture == LEARN_LAYERS ? "dense(96) relu batch_norm dense(64) tanh" : NULL,
		.width = architecture == LEARN_NAM || architecture == LEARN_LAYERS ? 0 : 24, .members = 4, .dropout = 0, .activation = -1
	};
}

typedef struct Listener
{
	double		lowest;			/* validation loss seen */
	double		first_loss;
	double		last_loss;
	int			epochs;			/* ends of epochs seen */
	int			calls;
	int			stop_at;		/* call that says no; 0: never */
	bool		sane;
} Listener;

static bool
listen(void *context, const LearnProgress *progress)
{
	Listener   *listener = context;

	listener->calls++;
	if (progress->epoch_end)
	{
		listener->epochs++;
		if (listener->epochs == 1)
			listener->first_loss = progress->loss;
		listener->last_loss = progress->loss;
		if (progress->validation < listener->lowest)
			listener->lowest = progress->validation;
	}
	listener->sane = listener->sane && progress->phase != NULL && progress->net <= progress->n_nets
		&& progress->epoch <= progress->epochs && !(progress->seconds_left < 0);
	return listener->calls != listener->stop_at;
}

static DevStatus
train(Table *table, LearnNetwork network, LearnTraining training, Listener *listener, LearnOutcome *outcome)
{
	listener->lowest = INFINITY;
	listener->sane = true;
	return learn_train(table->session, table->dataset, &table->model, &network, &training, &table->split,
					   listen, listener, &table->notes, outcome);
}

static int
count_threads(void)
{
	DIR		   *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	int			n = 0;

	while (tasks != NULL && (entry = readdir(tasks)) != NULL)
		n += entry->d_name[0] != '.';
	if (tasks != NULL)
		closedir(tasks);
	return n;
}

/* Counted before any team exists: a thread just joined may still be listed for a moment. */
static int	at_start;

static bool
threads_become(int n)
{
	for (int i = 0; i < 1000 && count_threads() != n; i++)
		usleep(1000);
	return count_threads() == n;
}

static double
answer_quality(Table *table, double *mean_answer)
{
	LearnPredictor *predictor;
	size_t		n_outputs = learn_model_outputs(&table->model);
	double	   *scores = calloc(table->n * n_outputs, sizeof(double));
	uint32_t   *rows = calloc(table->n, sizeof(uint32_t));
	double		right = 0;

	for (size_t row = 0; row < table->n; row++)
		rows[row] = (uint32_t) row;
	*mean_answer = 0;
	if (learn_predictor_create(table->session, &table->model, 128, &predictor) == DEV_OK
		&& learn_predict_dataset(predictor, table->dataset, rows, table->n, scores) == DEV_OK)
	{
		const float *targets = learn_dataset_targets(table->dataset);

		for (size_t row = 0; row < table->n; row++)
		{
			const double *score = scores + row * n_outputs;
			float		target = targets[row * (size_t) table->model.n_targets];
			size_t		best = 0;

			for (size_t i = 1; i < n_outputs; i++)
				best = score[i] > score[best] ? i : best;
			if (table->model.task == LEARN_BINARY)
			{
				*mean_answer += 1 / (1 + exp(-score[0])) / (double) table->n;
				right += ((score[0] > 0) == (target > 0.5f)) / (double) table->n;
			}
			else if (table->model.task == LEARN_MULTICLASS)
				right += (best == (size_t) target) / (double) table->n;
			else if (table->model.task == LEARN_REGRESSION)
				right += pow((score[0] - table->true_mean[0]) / table->true_scale[0] - (double) target, 2) / (double) table->n;
		}
	}
	free(scores);
	free(rows);
	return right;
}

/* ---- It learns ---- */

static void
check_learns(LearnArchitecture architecture, LearnTask task, int threads, double most)
{
	DevSession *session;
	Table		table;
	Listener	listener = {0};
	LearnOutcome outcome;
	const char *name = learn_architecture_names[architecture];
	LearnTraining training = ask(30, threads);

	if (architecture == LEARN_LINEAR)
		training.rate = 0.02;
	dev_session_open(NULL, 3, &session);
	CHECK_OR_STOP(make_table(session, task, 1500, 0.2, &table) == DEV_OK, "a table for %s", learn_task_names[task]);
	CHECK_STATUS(session, train(&table, wish(architecture), training, &listener, &outcome), DEV_OK,
				 "%s learns %s with %d threads", name, learn_task_names[task], threads);
	if (!CHECK(outcome.validation_loss < most, "%s, %s: validation loss below %g", name, learn_task_names[task], most))
		printf("#   it is %g\n", outcome.validation_loss);
	CHECK(listener.last_loss < listener.first_loss && listener.epochs == 30 && outcome.epochs == 30 && listener.sane,
		  "%s, %s: the training loss falls over 30 epochs", name, learn_task_names[task]);
	CHECK(table.model.n_nets == 1 && table.model.nets[0].network.architecture == architecture
		  && outcome.rows == 30 * 1200, "%s, %s: one network, 1200 rows an epoch", name, learn_task_names[task]);
	dev_session_close(session);
}

static void
check_tasks(void)
{
	/* A line reaches a log loss of about 0.5 here. */
	check_learns(LEARN_LINEAR, LEARN_BINARY, 1, 0.56);
	check_learns(LEARN_MLP, LEARN_BINARY, 1, 0.44);
	check_learns(LEARN_RESNET, LEARN_BINARY, 2, 0.44);
	check_learns(LEARN_TABM, LEARN_BINARY, 2, 0.44);
	check_learns(LEARN_NAM, LEARN_BINARY, 1, 0.56);
	check_learns(LEARN_LAYERS, LEARN_BINARY, 2, 0.46);
	check_learns(LEARN_TABM, LEARN_MULTICLASS, 2, 0.5);
	check_learns(LEARN_TABM, LEARN_REGRESSION, 2, 0.1);
	check_learns(LEARN_MLP, LEARN_SURVIVAL, 2, 6);
}

static void
check_answers(void)
{
	DevSession *session;
	Table		table;
	Listener	listener = {0};
	LearnOutcome outcome;
	LearnTraining training = ask(20, 2);
	double		mean;
	double		quality;

	dev_session_open(NULL, 3, &session);
	make_table(session, LEARN_BINARY, 1500, 0.2, &table);
	CHECK_STATUS(session, train(&table, wish(LEARN_TABM), training, &listener, &outcome), DEV_OK, "binary trains");
	quality = answer_quality(&table, &mean);
	CHECK(quality > 0.78, "four of five answers are right (%g)", quality);
	dev_session_close(session);

	dev_session_open(NULL, 3, &session);
	make_table(session, LEARN_REGRESSION, 1500, 0.2, &table);
	CHECK_STATUS(session, train(&table, wish(LEARN_TABM), training, &listener, &outcome), DEV_OK, "regression trains");
	quality = answer_quality(&table, &mean);
	CHECK(quality < 0.2, "the squared error is small against the variance (%g)", quality);
	dev_session_close(session);
}

static void
check_optimizers(void)
{
	static const char *const names[] = {"adamw", "sgd", "muon"};

	for (int optimizer = NN_ADAMW; optimizer <= NN_MUON; optimizer++)
	{
		for (int schedule = NN_CONSTANT; schedule <= NN_ONE_CYCLE; schedule++)
		{
			DevSession *session;
			Table		table;
			Listener	listener = {0};
			LearnOutcome outcome;
			LearnTraining training = ask(15, 2);

			training.optimizer = optimizer;
			training.schedule = schedule;
			training.clip = schedule == NN_COSINE ? 1 : 0;
			training.average = schedule == NN_CONSTANT ? 0 : 0.98;
			dev_session_open(NULL, 3, &session);
			make_table(session, LEARN_BINARY, 1000, 0.2, &table);
			CHECK_STATUS(session, train(&table, wish(LEARN_MLP), training, &listener, &outcome), DEV_OK,
						 "%s trains with schedule %d", names[optimizer], schedule);
			if (!CHECK(outcome.validation_loss < 0.52, "%s, schedule %d: it learns", names[optimizer], schedule))
				printf("#   validation loss %g\n", outcome.validation_loss);
			dev_session_close(session);
		}
	}
}

/* ---- Same bits ---- */

typedef struct Result
{
	size_t		n;
	float	   *weights;
	double		loss;
	double		temperature;
} Result;

static Result
train_once(LearnArchitecture architecture, int threads, uint64_t seed, bool averaged)
{
	DevSession *session;
	Table		table;
	Listener	listener = {0};
	LearnOutcome outcome;
	LearnTraining training = ask(4, threads);
	LearnNetwork network = wish(architecture);
	Result		result = {0};

	/* large enough to be worth sharing */
	network.width = 96;
	training.batch = 256;
	training.seed = seed;
	training.average = averaged ? 0.99 : 0;
	network.dropout = 0.1f;
	dev_session_open(NULL, 3, &session);
	make_table(session, LEARN_BINARY, 700, 0.2, &table);
	if (train(&table, network, training, &listener, &outcome) == DEV_OK)
	{
		result.n = table.model.nets[0].n_weights;
		result.weights = malloc(result.n * sizeof(float));
		memcpy(result.weights, table.model.nets[0].weights, result.n * sizeof(float));
		result.loss = outcome.validation_loss;
		result.temperature = table.model.temperature;
	}
	dev_session_close(session);
	return result;
}

static bool
same_bits(const Result *a, const Result *b)
{
	return a->n > 0 && a->n == b->n && memcmp(a->weights, b->weights, a->n * sizeof(float)) == 0
		&& a->loss == b->loss && a->temperature == b->temperature;
}

static void
check_deterministic(void)
{
	for (int threads = 1; threads <= 3; threads++)
	{
		Result		first = train_once(LEARN_TABM, threads, 7, true);
		Result		again = train_once(LEARN_TABM, threads, 7, true);
		Result		other = train_once(LEARN_TABM, threads, 8, true);

		CHECK(same_bits(&first, &again), "%d threads: the same seed gives the same bits", threads);
		CHECK(first.n > 0 && !same_bits(&first, &other), "%d threads: another seed gives others", threads);
		free(first.weights);
		free(again.weights);
		first = train_once(LEARN_LAYERS, threads, 7, true);
		again = train_once(LEARN_LAYERS, threads, 7, true);
		CHECK(same_bits(&first, &again), "%d threads: running statistics are the same bits, too", threads);
		free(first.weights);
		free(again.weights);
		free(other.weights);
	}
	/* What one thread draws, two draw: only the order of sums differs. */
	{
		Result		one = train_once(LEARN_MLP, 1, 7, false);
		Result		two = train_once(LEARN_MLP, 2, 7, false);
		double		worst = 0;

		for (size_t i = 0; i < one.n && i < two.n; i++)
			worst = fmax(worst, fabs((double) one.weights[i] - (double) two.weights[i]));
		CHECK(one.n > 0 && one.n == two.n && worst > 0 && worst < 1e-3, "one and two threads learn the same but for rounding (%g)", worst);
		free(one.weights);
		free(two.weights);
	}
}

/* ---- Stopping ---- */

static void
check_best(void)
{
	DevSession *session;
	Table		table;
	Listener	listener = {0};
	LearnOutcome outcome;
	LearnTraining training = ask(200, 1);

	/* Far too much network for 60 rows: it overfits soon. */
	training.patience = 5;
	training.average = 0;
	training.rate = 0.01;
	dev_session_open(NULL, 3, &session);
	make_table(session, LEARN_BINARY, 100, 0.4, &table);
	CHECK_STATUS(session, train(&table, wish(LEARN_MLP), training, &listener, &outcome), DEV_OK, "a small table trains");
	CHECK(outcome.epochs < 200 && outcome.epochs == listener.epochs, "patience ends it (%d epochs)", outcome.epochs);
	CHECK(outcome.best_epoch <= outcome.epochs - 4, "the best epoch was before (%d)", outcome.best_epoch);
	CHECK(outcome.validation_loss == listener.lowest, "the best loss is the lowest seen");
	{
		/* The weights kept are those of the best epoch: judged again they give its loss. */
		LearnPredictor *predictor;
		uint32_t	rows[100];
		double		scores[100];
		double		sum = 0;
		size_t		n = 0;

		for (uint32_t row = 0; row < 100; row++)
			if (learn_dataset_parts(table.dataset)[row] == LEARN_VALIDATION)
				rows[n++] = row;
		table.model.temperature = 1;
		learn_predictor_create(session, &table.model, 16, &predictor);
		learn_predict_dataset(predictor, table.dataset, rows, n, scores);
		for (size_t i = 0; i < n; i++)
			sum += log1p(exp(learn_dataset_targets(table.dataset)[rows[i]] > 0.5f ? -scores[i] : scores[i]));
		CHECK_NEAR(sum / (double) n, outcome.validation_loss, 1e-9, "the weights are those of the best epoch");
	}
	dev_session_close(session);

	dev_session_open(NULL, 3, &session);
	make_table(session, LEARN_BINARY, 100, 0, &table);
	CHECK_STATUS(session, train(&table, wish(LEARN_MLP), ask(7, 1), &listener, &outcome), DEV_OK, "nothing held out trains");
	CHECK(outcome.epochs == 7 && outcome.best_epoch == 7 && isnan(outcome.validation_loss)
		  && table.model.temperature == 1, "it runs all epochs, and nothing is calibrated");
	dev_session_close(session);
}

typedef struct Impatient
{
	int			polls;
	int			at;
} Impatient;

static bool
impatient(void *context)
{
	Impatient  *host = context;

	return ++host->polls >= host->at;
}

static void
check_cancelled(int at, int threads)
{
	DevSession *session;
	Impatient	host = {.at = 1 << 30};
	DevHost		lent = {.context = &host, .cancelled = impatient};
	Table		table;
	Listener	listener = {0};
	LearnOutcome outcome;
	int			before = at_start;
	double		start;
	LearnNetwork network = wish(LEARN_TABM);
	LearnTraining training = ask(100000, threads);

	network.width = 96;
	training.batch = 256;
	dev_session_open(&lent, 3, &session);
	make_table(session, LEARN_BINARY, 3000, 0.2, &table);
	host.polls = 0;
	host.at = at;
	start = learn_seconds();
	CHECK_STATUS(session, train(&table, network, training, &listener, &outcome), DEV_CANCELLED,
				 "poll %d of %d threads says stop", at, threads);
	CHECK(threads_become(before), "no thread is left");
	CHECK(at > 10 || learn_seconds() - start < 5, "and it was soon");
	dev_session_close(session);
}

static void
check_stopped(void)
{
	DevSession *session;
	Table		table;
	Listener	listener = {.stop_at = 3};
	LearnOutcome outcome;
	LearnTraining training = ask(1000, 2);
	int			before = at_start;

	check_cancelled(1, 2);
	check_cancelled(4, 2);
	check_cancelled(30, 1);
	dev_session_open(NULL, 3, &session);
	make_table(session, LEARN_BINARY, 3000, 0.2, &table);
	CHECK_STATUS(session, train(&table, wish(LEARN_MLP), training, &listener, &outcome), DEV_HOST,
				 "a report that says no ends the training");
	CHECK(listener.calls == 3 && threads_become(before), "at once, and no thread is left");
	listener = (Listener) {0};
	training.optimizer = NN_SGD;
	training.rate = 90;
	training.clip = 0;
	dev_session_close(session);

	dev_session_open(NULL, 3, &session);
	make_table(session, LEARN_REGRESSION, 600, 0.2, &table);
	CHECK_STATUS(session, train(&table, wish(LEARN_MLP), training, &listener, &outcome), DEV_NOT_FINITE,
				 "a rate far too large diverges");
	CHECK(strstr(dev_message_text(session), "training diverged") != NULL
		  && strstr(dev_hint_text(session), "smaller learning rate") != NULL && threads_become(before),
		  "it says so, with a hint, and no thread is left");
	dev_session_close(session);
}

/* ---- Blends ---- */

static void
check_blend(void)
{
	DevSession *session;
	Table		table;
	Listener	listener = {0};
	LearnOutcome outcome;
	LearnTraining training = ask(5, 2);
	bool		linear = true;
	double		worst = 0;
	float	   *numbers;
	int32_t	   *codes;

	training.folds = 3;
	training.bags = 2;
	training.linear = 1;
	dev_session_open(NULL, 3, &session);
	make_table(session, LEARN_BINARY, 600, 0.2, &table);
	CHECK_STATUS(session, train(&table, wish(LEARN_TABM), training, &listener, &outcome), DEV_OK, "folds, bags and a line train");
	CHECK(table.model.n_nets == 9, "3 folds of 2 bags and a line are 9 networks");
	for (int i = 0; i < table.model.n_nets && table.model.n_nets == 9; i++)
		linear = linear && (table.model.nets[i].network.architecture == LEARN_LINEAR) == (i % 3 == 2);
	CHECK(linear, "every third is linear");
	CHECK(memcmp(table.model.nets[0].weights, table.model.nets[1].weights, table.model.nets[0].n_weights * 4) != 0
		  && memcmp(table.model.nets[0].weights, table.model.nets[3].weights, table.model.nets[0].n_weights * 4) != 0,
		  "bags and folds differ");
	CHECK(table.model.temperature > 0.3 && table.model.temperature < 3, "the temperature is near 1 (%g)", table.model.temperature);
	dev_session_close(session);

	/* The baseline is the mean of the training rows' features; here those are the inputs, the category one-hot. */
	dev_session_open(NULL, 3, &session);
	make_table(session, LEARN_BINARY, 600, 0.2, &table);
	CHECK_STATUS(session, train(&table, wish(LEARN_TABM), ask(2, 2), &listener, &outcome), DEV_OK, "one network trains");
	numbers = calloc(table.model.n_numbers, sizeof(float));
	codes = calloc(table.model.n_codes, sizeof(int32_t));
	for (size_t j = 0; j < table.model.nets[0].n_features; j++)
	{
		double		mean = 0;
		size_t		n = 0;

		for (uint32_t row = 0; row < 600; row++)
		{
			if (learn_dataset_parts(table.dataset)[row] != LEARN_TRAIN)
				continue;
			learn_dataset_gather(table.dataset, &row, 1, numbers, codes, NULL);
			mean += j < table.model.n_numbers ? (double) numbers[j] : codes[0] == (int32_t) (j - table.model.n_numbers);
			n++;
		}
		worst = fmax(worst, fabs(mean / (double) n - (double) table.model.nets[0].baseline[j]));
	}
	CHECK_NEAR(worst, 0, 1e-6, "the baseline is the mean of the training rows' features");
	free(numbers);
	free(codes);
	dev_session_close(session);
}

static void
check_priors(void)
{
	double		means[2];
	double		truth = 0;
	double		offset = 0;

	for (int balanced = 0; balanced < 2; balanced++)
	{
		DevSession *session;
		Table		table;
		Listener	listener = {0};
		LearnOutcome outcome;
		LearnTraining training = ask(15, 1);

		training.balanced = balanced == 1;
		dev_session_open(NULL, 3, &session);
		make_table(session, LEARN_BINARY, 1500, 0.2, &table);
		CHECK_STATUS(session, train(&table, wish(LEARN_MLP), training, &listener, &outcome), DEV_OK, "balanced %d trains", balanced);
		answer_quality(&table, &means[balanced]);
		offset = table.model.offset[0];
		truth = 0;
		for (size_t row = 0; row < table.n; row++)
			truth += (double) learn_dataset_targets(table.dataset)[row] / (double) table.n;
		dev_session_close(session);
	}
	CHECK(truth < 0.47 && offset < -0.1, "the positive class is rarer, so its weight is taken back (%g)", offset);
	CHECK_NEAR(means[0], truth, 0.02, "the mean probability is the share of the positive class");
	CHECK_NEAR(means[1], truth, 0.02, "with balanced weights, too");
}

/* ---- Wrong requests ---- */

static void
check_request(LearnTraining training, DevStatus expected, const char *message)
{
	DevSession *session;
	Table		table;
	Listener	listener = {0};
	LearnOutcome outcome;

	dev_session_open(NULL, 3, &session);
	make_table(session, LEARN_BINARY, 30, 0.2, &table);
	CHECK(train(&table, wish(LEARN_MLP), training, &listener, &outcome) == expected
		  && strcmp(dev_message_text(session), message) == 0, "refused: %s", message);
	if (strcmp(dev_message_text(session), message) != 0)
		printf("#   said %s\n", dev_message_text(session));
	dev_session_close(session);
}

static void
check_requests(void)
{
	static const double weights[] = {1, 0};
	LearnTraining training = ask(2, 1);

	training.folds = 20;
	check_request(training, DEV_BAD_DATA, "30 rows are too few for 20 folds");
	training.folds = 1000;
	check_request(training, DEV_INVALID, "number of folds \"1000\" is not between 1 and 100");
	training = ask(2, 1);
	training.class_weights = weights;
	check_request(training, DEV_INVALID, "class weight \"0\" is not a positive number");
	training = ask(2, 1);
	training.average = 1;
	check_request(training, DEV_INVALID, "decay of the weights' average \"1\" is not at least 0 and less than 1");
	training = ask(2, 1);
	training.smoothing = NAN;
	check_request(training, DEV_INVALID, "label smoothing \"nan\" is not at least 0 and less than 1");
	training = ask(2, 5000);
	check_request(training, DEV_INVALID, "number of threads \"5000\" is not between 1 and 1024");
}

/* ---- Survival ---- */

static void
check_survival(void)
{
	DevSession *session;
	Table		table;
	Listener	listener = {0};
	LearnOutcome outcome;
	bool		rising = true;

	dev_session_open(NULL, 3, &session);
	make_table(session, LEARN_SURVIVAL, 1500, 0.2, &table);
	CHECK_STATUS(session, train(&table, wish(LEARN_MLP), ask(10, 2), &listener, &outcome), DEV_OK, "survival trains");
	for (int i = 1; i < table.model.n_hazard; i++)
		rising = rising && table.model.hazard[i] >= table.model.hazard[i - 1]
			&& table.model.hazard_time[i] > table.model.hazard_time[i - 1];
	CHECK(rising && table.model.n_hazard > 100 && table.model.n_hazard <= LEARN_MAX_HAZARD,
		  "its baseline hazard rises over %d times", table.model.n_hazard);
	CHECK(learn_survival_at(&table.model, 0, 0) == 1, "everyone is alive at the start");
	for (size_t row = 0; row < table.n; row++)
		learn_dataset_targets(table.dataset)[2 * row + 1] = 0;
	CHECK_STATUS(session, train(&table, wish(LEARN_MLP), ask(2, 1), &listener, &outcome), DEV_BAD_DATA, "no event, no training");
	dev_session_close(session);
}

/* ---- Memory ---- */

static DevStatus
try_training(DevHost *host, LearnTask task)
{
	DevSession *session;
	Table		table;
	Listener	listener = {0};
	LearnOutcome outcome;
	LearnTraining training = ask(1, 2);
	LearnNetwork network = wish(LEARN_TABM);
	DevStatus	status = dev_session_open(host, 3, &session);

	training.folds = task == LEARN_BINARY ? 2 : 1;
	training.linear = 1;
	training.balanced = true;
	training.clip = 1;
	training.batch = 32;
	network.embedding = LEARN_EMBEDDING_PIECEWISE;
	network.members = 16;
	network.width = 40;
	if (status == DEV_OK)
		status = make_table(session, task, 80, 0.25, &table);
	if (status == DEV_OK)
		status = train(&table, network, training, &listener, &outcome);
	dev_session_close(session);
	return status;
}

static void
check_no_memory(LearnTask task)
{
	CheckHost	counts;
	DevHost		host = check_host(&counts, 0);
	int			before = at_start;
	bool		survived = true;
	size_t		calls;

	CHECK(try_training(&host, task) == DEV_OK && counts.held == 0, "%s: nothing is held afterwards", learn_task_names[task]);
	calls = counts.calls;
	for (size_t fail_at = 1; fail_at <= calls && survived; fail_at++)
	{
		DevStatus	status;

		host = check_host(&counts, fail_at);
		status = try_training(&host, task);
		survived = status == DEV_NO_MEMORY && counts.held == 0;
		if (!survived)
			printf("#   allocation %zu of %zu: status %d, held %zu\n", fail_at, calls, (int) status, counts.held);
	}
	CHECK(survived && threads_become(before), "%s: any of %zu allocations may fail", learn_task_names[task], calls);
}

/* Attacks read gradients of inputs, which an ordinary training does not have. */
static void
check_attacked(LearnAdversaryMethod method)
{
	LearnTraining training = ask(12, 2);
	Listener	listener = {0};
	LearnOutcome outcome;
	DevSession *session;
	Table		table;

	training.adversary = (LearnAdversary) {.method = method, .epsilon = 0.1, .steps = 2, .restarts = 1, .share = 1, .beta = 1};
	CHECK(dev_session_open(NULL, 4, &session) == DEV_OK && make_table(session, LEARN_BINARY, 800, 0.2, &table) == DEV_OK &&
		  train(&table, wish(LEARN_MLP), training, &listener, &outcome) == DEV_OK && listener.lowest < 0.6,
		  "it learns under attack by %s", learn_adversary_names[method]);
	dev_session_close(session);
}

int
main(void)
{
	at_start = count_threads();
	check_tasks();
	check_answers();
	check_optimizers();
	check_deterministic();
	check_best();
	check_stopped();
	check_blend();
	check_priors();
	check_requests();
	check_survival();
	for (int method = LEARN_FGSM; method <= LEARN_TRADES; method++)
		check_attacked((LearnAdversaryMethod) method);
	check_no_memory(LEARN_BINARY);
	check_no_memory(LEARN_SURVIVAL);
	return check_done();
}

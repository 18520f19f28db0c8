/*
 * test_changes.c: rows changed in training: augmentation that neither threads nor passes alter, mixed targets, views of
 * images that predicting averages, and networks trained against an attacker.
 */
#include "check.h"

#include "idla/learn_predict.h"
#include "idla/learn_robust.h"
#include "idla/learn_text.h"
#include "learn/trainer.h"

#define N_CHANNELS 2
#define SIDE 6
#define PIXELS (SIDE * SIDE)
#define ROWS 240

typedef struct Table
{
	DevSession *session;
	LearnDataset *dataset;
	LearnModel	model;
	LearnField	field;
	LearnSplit	split;
	LearnNotes	notes;
	uint8_t		pixels[ROWS][PIXELS];
} Table;

static Table table;

/* Channel 0 tells the class but for every seventh row and cannot be attacked; channel 1 tells it exactly. The image's upper half is bright in class 1. */
static void
make_row(LearnTask task, size_t row, float *raw, float *targets)
{
	int			class = (int) (row % (task == LEARN_MULTICLASS ? 3 : 2));
	double		noise = dev_random_normal(5, 800, row);

	raw[0] = (float) ((class == 0 ? -1.0 : 1.0) * (dev_random_uniform(5, 803, row) < 0.15 ? -1 : 1) + 0.25 * noise);
	raw[1] = (float) ((class == 0 ? -0.5 : 0.5) + 0.1 * dev_random_normal(5, 801, row));
	for (size_t i = 0; i < PIXELS; i++)
		table.pixels[row][i] = (uint8_t) (40 + 60 * dev_random_uniform(6, 802, row * PIXELS + i) +
										  (i / SIDE / 2 == (size_t) class ? 120 : 0));
	targets[0] = task == LEARN_REGRESSION ? (float) class * 2 + 0.1f * (float) noise : (float) class;
}

static DevStatus
append_rows(LearnTask task)
{
	DevStatus	status = DEV_OK;

	for (size_t row = 0; row < ROWS && status == DEV_OK; row++)
	{
		float		raw[N_CHANNELS];
		float		targets[1];
		LearnBytes	field = {table.pixels[row], PIXELS};
		LearnRow	given = {
			.channels = raw, .targets = targets, .fields = table.model.n_fields > 0 ? &field : NULL,
			.part = row / 6 % 4 == 3 ? LEARN_VALIDATION : LEARN_TRAIN
		};

		make_row(task, row, raw, targets);
		/* A missing image and a missing number. */
		if (row == 10)
			field.bytes = NULL;
		if (row % 13 == 5)
			raw[0] = NAN;
		status = learn_dataset_append(table.dataset, &given);
	}
	return status;
}

static DevStatus
describe_model(LearnTask task, bool image)
{
	static char names[N_CHANNELS][2] = {"a", "b"};
	LearnModel *model = &table.model;

	*model = (LearnModel) {
		.task = task, .n_columns = N_CHANNELS + image, .n_channels = N_CHANNELS, .n_classes = task == LEARN_MULTICLASS ? 3 : 2,
		.positive = 1, .n_targets = 1, .temperature = 1, .n_fields = image
	};
	model->channels = dev_alloc(table.session, N_CHANNELS, sizeof(LearnChannel));
	model->target_mean = dev_alloc(table.session, 1, sizeof(double));
	model->target_scale = dev_alloc(table.session, 1, sizeof(double));
	if (model->channels == NULL || model->target_mean == NULL || model->target_scale == NULL)
		return DEV_NO_MEMORY;
	for (int i = 0; i < N_CHANNELS; i++)
		model->channels[i] = (LearnChannel) {
			.name = names[i], .column = i, .number_input = NN_NONE, .indicator_input = NN_NONE, .code_input = NN_NONE
		};
	table.field = (LearnField) {.name = (char *) "scan", .column = 2, .kind = LEARN_IMAGE, .dims = {SIDE, SIDE, 1}};
	model->fields = image ? &table.field : NULL;
	return DEV_OK;
}

static DevStatus
build_table(DevHost *host, LearnTask task, bool image)
{
	LearnFit	fit = {.task = task, .max_categories = 100, .min_count = 1};
	LearnModel *model = &table.model;
	DevStatus	status;

	memset(&table, 0, sizeof(table));
	status = dev_session_open(host, 3, &table.session);
	if (status == DEV_OK)
		status = describe_model(task, image);
	table.split = (LearnSplit) {.given = true, .task = task, .seed = 5};
	if (status == DEV_OK)
		status = learn_dataset_create(table.session, model->channels, N_CHANNELS, 1, (size_t) 1 << 24, NULL, &table.dataset);
	if (status == DEV_OK && image)
		status = learn_dataset_add_fields(table.dataset, &table.field, 1, (size_t) 1 << 24, NULL);
	if (status == DEV_OK)
		status = append_rows(task);
	if (status == DEV_OK)
		status = learn_split(table.dataset, &table.split, &table.notes);
	if (status == DEV_OK)
		status = learn_fit(table.dataset, &fit, &table.notes, &model->n_numbers, &model->n_codes);
	if (status == DEV_OK && task == LEARN_REGRESSION)
		status = learn_fit_targets(table.dataset, model->target_mean, model->target_scale);
	if (status == DEV_OK)
		status = learn_dataset_encode(table.dataset);
	return status;
}

static void
make_table(LearnTask task, bool image)
{
	CHECK_OR_STOP(build_table(NULL, task, image) == DEV_OK, "a table is made");
}

static void
free_table(void)
{
	dev_session_close(table.session);
}

static LearnTraining
ask(int epochs, int threads)
{
	return (LearnTraining) {
		.epochs = epochs, .batch = 32, .patience = -1, .optimizer = -1, .decay = -1, .momentum = -1, .schedule = -1, .warm_up = -1,
		.clip = -1, .average = -1, .folds = 1, .bags = 1, .seed = 9, .threads = threads
	};
}

static LearnNetwork
wish(bool image)
{
	return (LearnNetwork) {
		.architecture = image ? LEARN_CNN : LEARN_MLP, .depth = 1, .width = image ? 6 : 24, .dropout = 0, .activation = -1,
		.embedding = LEARN_EMBEDDING_NONE
	};
}

static void
set(LearnAugment *augment, LearnAugmentKind kind, const char *name, double value)
{
	augment->values[learn_augment_position(learn_augment_find(kind, name))] = (float) value;
}

static DevStatus
train(LearnTraining training, LearnOutcome *outcome)
{
	LearnNetwork network = wish(table.model.n_fields > 0);

	return learn_train(table.session, table.dataset, &table.model, &network, &training, &table.split, NULL, NULL, &table.notes,
					   outcome);
}

/* ---- Whoever does it, and however much at once ---- */

typedef struct Bench
{
	DevDevice  *device;
	LearnTeam  *team;
	LearnMachine machine;
	LearnSampler *sampler;
	LearnAugmenter augmenter;
	uint32_t	rows[ROWS];
	size_t		n;
} Bench;

static void
open_bench(Bench *bench, const LearnAugment *augment)
{
	LearnLoss	loss = {.soft = true};
	LearnNetwork network = wish(true);
	DevStatus	status;
	size_t		n;

	memset(bench, 0, sizeof(*bench));
	network.task = table.model.task;
	network.n_outputs = learn_model_outputs(&table.model);
	network.n_numbers = table.model.n_numbers;
	network.fields = table.model.fields;
	network.n_fields = table.model.n_fields;
	for (size_t row = 0; row < ROWS; row++)
		bench->rows[row] = (uint32_t) row;
	status = dev_cpu_open(table.session, NULL, &bench->device);
	if (status == DEV_OK)
		status = learn_team_create(table.session, 1, &bench->team);
	if (status == DEV_OK)
		status = learn_network_resolve(table.session, &network, ROWS);
	if (status == DEV_OK)
		status = learn_machine_create(table.session, bench->device, bench->team, &network, &loss, 64, &bench->machine);
	if (status == DEV_OK)
		status = learn_sampler_create(table.dataset, bench->rows, ROWS, 7, &bench->sampler);
	if (status == DEV_OK)
		status = learn_augmenter_create(table.session, augment, &table.model, &bench->augmenter);
	if (status == DEV_OK)
		status = learn_machine_augment(&bench->machine, &bench->augmenter);
	if (status == DEV_OK)
		status = learn_sampler_next(bench->sampler, &n);
	CHECK_OR_STOP(status == DEV_OK && n == ROWS, "a machine is made");
	bench->machine.sampler = bench->sampler;
	bench->machine.first = 20;
	bench->machine.count = 64;
	bench->machine.step = (LearnStep) {.seed = 77, .number = 3, .epoch = 2};
	bench->n = bench->machine.max_rows < 12 ? bench->machine.max_rows : 12;
}

/* Rows first to first + rows of the batch as a pass would see them. */
static void
change(Bench *bench, size_t first, size_t rows, float *planes, float *numbers, float *shares)
{
	LearnMachine *machine = &bench->machine;
	LearnWorker *worker = &machine->workers[0];

	learn_machine_load(machine, worker, machine->first + first, rows);
	learn_machine_change(machine, worker, first, rows);
	memcpy(planes, worker->fields.planes[0][0], rows * PIXELS * sizeof(float));
	memcpy(numbers, worker->numbers, rows * machine->network.n_numbers * sizeof(float));
	memcpy(shares, worker->shares, rows * machine->n_outputs * sizeof(float));
}

static void
test_passes(void)
{
	static float all[64 * PIXELS];
	static float part[64 * PIXELS];
	float		numbers[64 * 8];
	float		some_numbers[64 * 8];
	float		shares[64 * 3];
	float		some_shares[64 * 3];
	LearnAugment augment = {.values = {0}};
	LearnMix	mix;
	Bench		bench;
	size_t		width;
	bool		same = true;
	bool		mixed = true;

	make_table(LEARN_MULTICLASS, true);
	learn_augment_usual(&augment, LEARN_AUGMENT_IMAGE);
	set(&augment, LEARN_AUGMENT_IMAGE, "mixup", 0.4);
	set(&augment, LEARN_AUGMENT_IMAGE, "cutmix", 0.4);
	set(&augment, LEARN_AUGMENT_TABLE, "noise", 0.1);
	set(&augment, LEARN_AUGMENT_TABLE, "dropout", 0.2);
	open_bench(&bench, &augment);
	width = bench.machine.network.n_numbers;
	change(&bench, 0, bench.n, all, numbers, shares);
	for (size_t first = 0; first < bench.n; first += 2)
	{
		size_t		rows = bench.n - first < 2 ? 1 : 2;

		change(&bench, first, rows, part, some_numbers, some_shares);
		same = same && memcmp(part, all + first * PIXELS, rows * PIXELS * sizeof(float)) == 0 &&
			memcmp(some_numbers, numbers + first * width, rows * width * sizeof(float)) == 0 &&
			memcmp(some_shares, shares + first * 3, rows * 3 * sizeof(float)) == 0;
	}
	CHECK(same, "rows are changed the same way whatever the pass");
	for (size_t row = 0; row < bench.n; row++)
	{
		float		largest = fmaxf(shares[row * 3], fmaxf(shares[row * 3 + 1], shares[row * 3 + 2]));

		learn_mix_draw(&bench.augmenter.image, SIDE, SIDE, 64, row, 77, DEV_STREAM_MIX, 3, &mix);
		mixed = mixed && fabsf(shares[row * 3] + shares[row * 3 + 1] + shares[row * 3 + 2] - 1) < 1e-6f &&
			(largest == 1 || fabsf(largest - fmaxf(mix.lambda, 1 - mix.lambda)) < 1e-6f);
	}
	CHECK(mixed, "targets are mixed as the images are");
	bench.machine.step.epoch = 3;
	change(&bench, 0, bench.n, part, some_numbers, some_shares);
	CHECK(memcmp(part, all, bench.n * PIXELS * sizeof(float)) != 0, "another epoch changes rows in another way");
	learn_machine_free(&bench.machine);
	learn_sampler_free(bench.sampler);
	learn_team_free(bench.team);
	free_table();
}

/* ---- Training ---- */

static double
share_right(size_t n_outputs, const double *scores, size_t n, const uint32_t *rows)
{
	const float *targets = learn_dataset_targets(table.dataset);
	size_t		right = 0;

	for (size_t i = 0; i < n; i++)
	{
		size_t		best = 0;

		for (size_t j = 1; j < n_outputs; j++)
			if (scores[i * n_outputs + j] > scores[i * n_outputs + best])
				best = j;
		if (n_outputs == 1)
			best = scores[i] > 0;
		right += (float) best == targets[rows[i]];
	}
	return (double) right / (double) n;
}

static double
accuracy(void)
{
	static double scores[ROWS * 3];
	uint32_t	rows[ROWS];
	LearnPredictor *predictor;

	for (size_t row = 0; row < ROWS; row++)
		rows[row] = (uint32_t) row;
	CHECK_OR_STOP(learn_predictor_create(table.session, &table.model, 16, &predictor) == DEV_OK, "a predictor opens");
	CHECK_OR_STOP(learn_predict_dataset(predictor, table.dataset, rows, ROWS, scores) == DEV_OK, "rows are predicted");
	return share_right(learn_model_outputs(&table.model), scores, ROWS, rows);
}

static void
test_mixed_training(LearnTask task, const char *what)
{
	LearnTraining training = ask(20, 2);
	LearnOutcome outcome;
	LearnOutcome again;

	make_table(task, true);
	training.augmented = 1;
	set(&training.augment, LEARN_AUGMENT_IMAGE, "shift", 0.05);
	set(&training.augment, LEARN_AUGMENT_IMAGE, "mixup", 0.3);
	set(&training.augment, LEARN_AUGMENT_IMAGE, "cutmix", 0.3);
	CHECK_STATUS(table.session, train(training, &outcome), DEV_OK, "%s: mixed rows can be learned from", what);
	if (task == LEARN_REGRESSION)
		CHECK(outcome.validation_loss < 0.3, "%s: and are, loss %g", what, outcome.validation_loss);
	else
		CHECK(accuracy() > 0.9, "%s: and are", what);
	CHECK_STATUS(table.session, train(training, &again), DEV_OK, "%s: again", what);
	CHECK(outcome.validation_loss == again.validation_loss && outcome.train_loss == again.train_loss, "%s: the same bits again", what);
	free_table();
}

static void
test_table_mixing(void)
{
	LearnTraining training = ask(60, 2);
	LearnOutcome outcome;

	make_table(LEARN_BINARY, false);
	training.augmented = 1;
	learn_augment_usual(&training.augment, LEARN_AUGMENT_TABLE);
	set(&training.augment, LEARN_AUGMENT_TABLE, "mixup", 0.4);
	CHECK_STATUS(table.session, train(training, &outcome), DEV_OK, "rows of a table are augmented");
	CHECK(accuracy() > 0.75, "and learned from");
	free_table();
}

static void
test_refusals(void)
{
	LearnTraining training = ask(1, 1);
	LearnOutcome outcome;

	make_table(LEARN_BINARY, false);
	training.augmented = 1;
	set(&training.augment, LEARN_AUGMENT_IMAGE, "flip", 0.5);
	CHECK_STATUS(table.session, train(training, &outcome), DEV_INVALID, "images of a table cannot be augmented");
	free_table();

	make_table(LEARN_REGRESSION, false);
	memset(&training.augment, 0, sizeof(training.augment));
	set(&training.augment, LEARN_AUGMENT_TABLE, "mixup", 0.5);
	CHECK_STATUS(table.session, train(training, &outcome), DEV_INVALID, "rows without classes cannot be mixed within them");
	free_table();

	make_table(LEARN_BINARY, false);
	training.augmented = 0;
	training.adversary = (LearnAdversary) {.method = LEARN_PGD, .epsilon = 0, .steps = 3, .restarts = 1, .share = 0.5};
	CHECK_STATUS(table.session, train(training, &outcome), DEV_INVALID, "an attacker needs an epsilon");
	training.adversary.epsilon = 1;
	training.adversary.share = 0;
	CHECK_STATUS(table.session, train(training, &outcome), DEV_INVALID, "and rows");
	free_table();
}

/* ---- Views ---- */

static void
test_views(void)
{
	LearnTraining training = ask(3, 1);
	LearnAugment views = {.values = {0}};
	LearnOutcome outcome;
	LearnPredictor *predictor;
	float		raw[3 * N_CHANNELS];
	LearnBytes	fields[3];
	uint8_t		mirrored[PIXELS];
	double		plain[3];
	double		flipped;
	double		averaged[3];
	double		alone;

	make_table(LEARN_BINARY, true);
	CHECK_OR_STOP(train(training, &outcome) == DEV_OK, "a model is trained");
	for (size_t row = 0; row < 3; row++)
	{
		float		target;

		make_row(LEARN_BINARY, row, raw + row * N_CHANNELS, &target);
		fields[row] = (LearnBytes) {table.pixels[row], PIXELS};
	}
	for (size_t i = 0; i < PIXELS; i++)
		mirrored[i] = table.pixels[1][i / SIDE * SIDE + SIDE - 1 - i % SIDE];
	table.model.temperature = 1;
	CHECK_OR_STOP(learn_predictor_create(table.session, &table.model, 4, &predictor) == DEV_OK, "a predictor opens");
	CHECK_STATUS(table.session, learn_predict_scores(predictor, 3, raw, fields, plain), DEV_OK, "images as they are");
	fields[1] = (LearnBytes) {mirrored, PIXELS};
	CHECK_STATUS(table.session, learn_predict_scores(predictor, 1, raw + N_CHANNELS, &fields[1], &flipped), DEV_OK, "a mirrored one");
	fields[1] = (LearnBytes) {table.pixels[1], PIXELS};
	set(&views, LEARN_AUGMENT_IMAGE, "flip", 0.5);
	table.model.n_views = 2;
	table.model.augment = &views;
	CHECK_OR_STOP(learn_predictor_create(table.session, &table.model, 4, &predictor) == DEV_OK, "a predictor with views opens");
	CHECK_STATUS(table.session, learn_predict_scores(predictor, 3, raw, fields, averaged), DEV_OK, "two views");
	CHECK_NEAR(averaged[1], (plain[1] + flipped) / 2, 1e-5, "two views are an image and its mirror image");
	set(&views, LEARN_AUGMENT_IMAGE, "rotate", 20);
	table.model.n_views = 7;
	CHECK_OR_STOP(learn_predictor_create(table.session, &table.model, 4, &predictor) == DEV_OK, "a predictor with more views opens");
	CHECK_STATUS(table.session, learn_predict_scores(predictor, 3, raw, fields, averaged), DEV_OK, "seven views");
	CHECK_STATUS(table.session, learn_predict_scores(predictor, 1, raw + 2 * N_CHANNELS, &fields[2], &alone), DEV_OK, "of one row");
	CHECK(alone == averaged[2], "views do not depend on the batch");
	CHECK(averaged[2] != plain[2], "and are not the image alone");
	free_table();
}

/* ---- Attackers ---- */

typedef struct Assault
{
	LearnTableAttacker *attacker;
	LearnRowOracle oracle;
	const float *raw;
	float	   *changed;
} Assault;

static DevStatus
attack_rows(void *context, const LearnAttack *how, size_t n, const float *epsilons, uint8_t *fooled)
{
	Assault    *assault = context;
	LearnTableAttack attack = {.numbers = *how, .rounds = 1};

	return learn_table_attack(assault->attacker, &attack, &assault->oracle, n, assault->raw, epsilons, 9, 0, assault->changed, NULL,
							  fooled);
}

/* Shares of rows that are right as they are, and under attack. */
static void
judge(double epsilon, double *clean, double *robust)
{
	static float raw[ROWS * N_CHANNELS];
	static float changed[ROWS * N_CHANNELS];
	static float labels[ROWS];
	static float scratch[2 * ROWS];
	static uint8_t fooled[2 * ROWS];
	LearnConstraint constraints[N_CHANNELS] = {{.mutable = false}, learn_constraint_free()};
	double		epsilons[] = {0, epsilon};
	uint64_t	right[2] = {0};
	LearnAttack how = learn_attack_judge(LEARN_NORM_MAX, 1, 20, 2);
	LearnPredictor *predictor;
	LearnPredictorOracle *oracle;
	Assault		assault = {.raw = raw, .changed = changed};
	LearnAttacker attacker = {.context = &assault, .attack = attack_rows};

	for (size_t row = 0; row < ROWS; row++)
		make_row(LEARN_BINARY, row, raw + row * N_CHANNELS, &labels[row]);
	CHECK_OR_STOP(learn_predictor_create(table.session, &table.model, 64, &predictor) == DEV_OK, "a predictor opens");
	CHECK_OR_STOP(learn_predictor_oracle_create(predictor, 1, &oracle) == DEV_OK, "an oracle opens");
	learn_predictor_oracle_set(oracle, labels);
	assault.oracle = learn_predictor_oracle(oracle);
	CHECK_OR_STOP(learn_table_attacker_create(table.session, table.model.channels, N_CHANNELS, constraints, table.model.n_numbers,
											  table.model.n_codes, ROWS, &assault.attacker) == DEV_OK, "an attacker opens");
	CHECK_OR_STOP(learn_robust_counts(&attacker, &how, ROWS, 2, epsilons, right, NULL, scratch, fooled, fooled + ROWS) == DEV_OK,
				  "rows are attacked");
	*clean = (double) right[0] / ROWS;
	*robust = (double) right[1] / ROWS;
}

static void
test_adversaries(void)
{
	static const LearnAdversaryMethod methods[] = {LEARN_FGSM, LEARN_PGD, LEARN_TRADES};
	LearnConstraint constraints[N_CHANNELS] = {{.mutable = false}, learn_constraint_free()};
	LearnTraining training = ask(40, 2);
	LearnOutcome outcome;
	double		plain_clean;
	double		plain_robust;
	double		clean;
	double		robust;

	make_table(LEARN_BINARY, false);
	CHECK_OR_STOP(train(training, &outcome) == DEV_OK, "a plain model is trained");
	judge(0.8, &plain_clean, &plain_robust);
	CHECK(plain_clean > 0.9, "the plain model is right as long as nobody attacks: %g", plain_clean);
	for (size_t i = 0; i < 3; i++)
	{
		const char *name = learn_adversary_names[methods[i]];
		LearnOutcome again;

		training.adversary = (LearnAdversary) {
			.method = methods[i], .norm = LEARN_NORM_MAX, .epsilon = 0.8, .steps = 5, .restarts = 1, .share = 1, .beta = 6,
			.constraints = constraints
		};
		CHECK_STATUS(table.session, train(training, &outcome), DEV_OK, "%s: trains", name);
		judge(0.8, &clean, &robust);
		CHECK(robust > plain_robust + 0.2, "%s: more robust than the plain model, %g against %g", name, robust, plain_robust);
		CHECK_STATUS(table.session, train(training, &again), DEV_OK, "%s: trains again", name);
		CHECK(outcome.validation_loss == again.validation_loss, "%s: the same bits again", name);
	}
	free_table();
}

/* Images and numbers attacked together, in the other norm, with several restarts and a share of the rows. */
static void
test_fields_under_attack(LearnTask task, LearnAdversaryMethod method, LearnNormKind norm)
{
	LearnTraining training = ask(6, 2);
	LearnOutcome outcome;

	make_table(task, true);
	training.adversary = (LearnAdversary) {
		.method = method, .norm = norm, .epsilon = 0.05, .steps = 3, .restarts = 2, .share = 0.5, .beta = 2
	};
	training.augmented = 1;
	set(&training.augment, LEARN_AUGMENT_IMAGE, "shift", 0.1);
	CHECK_STATUS(table.session, train(training, &outcome), DEV_OK, "%s in norm %s trains images", learn_adversary_names[method],
				 learn_norm_names[norm]);
	CHECK(isfinite(outcome.validation_loss), "with a loss of %g", outcome.validation_loss);
	free_table();
}

/* The gradient by an image's pixels against differences of the loss. */
static void
test_field_oracle(void)
{
	static const size_t places[] = {0, 7, 20, 35};
	LearnTraining training = ask(3, 1);
	LearnOutcome outcome;
	LearnPredictor *predictor;
	LearnPredictorOracle *made;
	LearnOracle oracle;
	float		raw[2 * N_CHANNELS];
	float		labels[2];
	float		numbers[2 * 8];
	int32_t		codes[2];
	LearnBytes	fields[2];
	float		planes[2 * PIXELS];
	float		diff[2 * PIXELS];
	float		losses[2];
	float		above[2];
	float		below[2];
	uint8_t		wrong[2];

	make_table(LEARN_BINARY, true);
	CHECK_OR_STOP(train(training, &outcome) == DEV_OK, "a model is trained");
	CHECK_OR_STOP(learn_predictor_create(table.session, &table.model, 4, &predictor) == DEV_OK, "a predictor opens");
	CHECK_OR_STOP(learn_predictor_oracle_create(predictor, 1, &made) == DEV_OK, "an oracle opens");
	for (size_t row = 0; row < 2; row++)
	{
		void	   *loaded[LEARN_MAX_PLANES] = {planes + row * PIXELS};
		int32_t		length;

		make_row(LEARN_BINARY, row, raw + row * N_CHANNELS, &labels[row]);
		fields[row] = (LearnBytes) {table.pixels[row], PIXELS};
		learn_field_load(&table.field, fields[row], NULL, loaded, &length);
		learn_encode_row(table.model.channels, N_CHANNELS, raw + row * N_CHANNELS, numbers + row * table.model.n_numbers, codes);
	}
	learn_predictor_oracle_set(made, labels);
	learn_predictor_oracle_fields(made, fields);
	oracle = learn_predictor_field_oracle(made, 0, numbers, codes, NULL, NULL);
	CHECK_STATUS(table.session, oracle.score(oracle.context, 2, planes, losses, wrong, diff), DEV_OK, "an image is scored");
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
	{
		float	   *pixel = &planes[PIXELS + places[i]];
		float		kept = *pixel;
		float		step = 0.02f;

		*pixel = kept + step;
		oracle.score(oracle.context, 2, planes, above, NULL, NULL);
		*pixel = kept - step;
		oracle.score(oracle.context, 2, planes, below, NULL, NULL);
		*pixel = kept;
		CHECK_NEAR((double) (above[1] - below[1]) / (2 * (double) step), (double) diff[PIXELS + places[i]],
				   2e-3, "gradient by pixel %zu", places[i]);
		CHECK(above[0] == losses[0], "another row's loss is untouched");
	}
	free_table();
}

static void
test_field_box(void)
{
	float		center[] = {0.5f};
	float		scale[] = {4};
	LearnField	field = {.kind = LEARN_IMAGE, .sample = LEARN_SAMPLE_U8, .dims = {1, 3, 1}, .center = center, .scale = scale};
	LearnField	signal = {.kind = LEARN_SIGNAL, .sample = LEARN_SAMPLE_F32, .dims = {3, 1, 0}, .center = center, .scale = scale};
	float		plane[] = {-2, 0, 1.8f};
	float		low[3];
	float		high[3];

	learn_field_box(&field, 3, 0.1, plane, low, high);
	CHECK(low[0] == -2 && fabsf(high[0] + 1.6f) < 1e-6f, "black cannot get darker");
	CHECK(fabsf(low[1] + 0.4f) < 1e-6f && fabsf(high[1] - 0.4f) < 1e-6f, "a pixel moves by epsilon of the range");
	CHECK(high[2] == 2, "and no farther than white");
	learn_field_box(&signal, 2, 0.1, plane, low, high);
	CHECK(fabsf(low[0] + 2.1f) < 1e-6f && low[2] == plane[2] && high[2] == plane[2], "padding of a signal stays");
	CHECK_NEAR(learn_field_radius(&field, 0.5), 2, 1e-12, "a ball is measured in the network's unit");
}

/* Pixels in steps: what is rounded is on them, in the box, in the ball, and what has no room stays. */
static void
test_field_steps(void)
{
	float		center[] = {0.5f};
	float		scale[] = {4};
	LearnField	field = {.kind = LEARN_IMAGE, .sample = LEARN_SAMPLE_U8, .dims = {1, 4, 1}, .center = center, .scale = scale};
	float		clean[4];
	float		low[4];
	float		high[4];
	float		plane[4];
	float		radius = INFINITY;
	LearnFieldSteps steps = {.step = 1.0 / 255, .clean = clean, .low = low, .high = high, .radii = &radius};
	double		square = 0;

	for (int i = 0; i < 4; i++)
		clean[i] = ((float) (50 * i + 10) / 255 - 0.5f) * 4;
	learn_field_box(&field, 4, 10.6 / 255, clean, low, high);
	low[3] = high[3] = clean[3];
	plane[0] = clean[0] + 3.4f / 255 * 4;
	plane[1] = high[1];
	plane[2] = low[2];
	plane[3] = clean[3] + 1;
	learn_field_round(&field, &steps, 1, 4, plane);
	CHECK_NEAR((double) plane[0], (13.0 / 255 - 0.5) * 4, 1e-6, "a pixel goes to the next step");
	CHECK_NEAR((double) plane[1], (70.0 / 255 - 0.5) * 4, 1e-6, "but not out of the box above");
	CHECK_NEAR((double) plane[2], (100.0 / 255 - 0.5) * 4, 1e-6, "nor below");
	CHECK(plane[3] == clean[3], "and not where there is no room");
	learn_field_box(&field, 4, 1, clean, low, high);
	radius = 3.0f / 255 * 4;
	for (int i = 0; i < 4; i++)
		plane[i] = clean[i] + (i < 2 ? 1.9f : -1.9f) / 255 * 4;
	learn_field_round(&field, &steps, 1, 4, plane);
	for (int i = 0; i < 4; i++)
		square += ((double) plane[i] - (double) clean[i]) * ((double) plane[i] - (double) clean[i]);
	CHECK_NEAR(sqrt(square), 2.0 / 255 * 4, 1e-6, "towards the row where the ball would be left");
	steps.step = 0;
	plane[0] = 0.123f;
	learn_field_round(&field, &steps, 1, 4, plane);
	CHECK(plane[0] == 0.123f, "without steps everything stays");
}

/* Tokens of a tagger, changed as an epoch of training changes them. */
static void
change_tokens(const LearnAugment *augment, const LearnField *field, uint64_t epoch, int32_t tokens[40])
{
	static int32_t others[4][40];
	void	   *planes[LEARN_MAX_PLANES] = {tokens, others[0], others[1], others[2], others[3]};
	int32_t		length = 30;

	learn_augment_loaded(augment, field, (LearnBytes) {tokens, 1}, 40, 7, learn_augment_counter(epoch, 11), planes, &length, NULL);
	CHECK(length == 30, "tokens of a tagger stay as many");
}

static void
test_tokens(void)
{
	LearnField	field = {.kind = LEARN_TEXT, .tagged = true};
	LearnAugment augment = {.values = {0}};
	int32_t		tokens[40];
	int32_t		again[40];
	size_t		masked = 0;
	bool		kept = true;

	set(&augment, LEARN_AUGMENT_TEXT, "mask", 0.5);
	set(&augment, LEARN_AUGMENT_TEXT, "swap", 0.9);
	for (int32_t i = 0; i < 40; i++)
		tokens[i] = again[i] = 100 + i;
	change_tokens(&augment, &field, 2, tokens);
	change_tokens(&augment, &field, 2, again);
	for (int32_t i = 0; i < 40; i++)
	{
		masked += tokens[i] == LEARN_UNKNOWN;
		kept = kept && (tokens[i] == 100 + i || (i < 30 && tokens[i] == LEARN_UNKNOWN));
	}
	CHECK(masked > 5 && masked < 25, "%zu of 30 words of a tagger are masked", masked);
	CHECK(kept, "and none changes its place, nor what is beyond the text");
	CHECK(memcmp(tokens, again, sizeof(tokens)) == 0, "the same row is changed the same way");
	change_tokens(&augment, &field, 3, again);
	CHECK(memcmp(tokens, again, sizeof(tokens)) != 0, "but not in the next epoch");
}

/* ---- Series ---- */

static void
test_series(void)
{
	enum {BINS = 6, SERIES = 2};
	LearnSeriesChannel channels[SERIES] = {
		{.name = (char *) "hr", .n = 9, .mean = 80, .deviation = 10}, {.name = (char *) "ph", .n = 9, .mean = 7, .deviation = 1}
	};
	LearnSeriesPlan plan = {.n_channels = SERIES, .channels = channels, .start = -BINS, .width = 1, .n_bins = BINS};
	LearnField	field = {.kind = LEARN_SERIES, .sample = LEARN_SAMPLE_F32, .dims = {BINS, SERIES, 0}, .series = &plan};
	LearnAugment augment = {.values = {0}};
	float		stored[(BINS + 2) * SERIES];
	float		scratch[(BINS + 2) * SERIES];
	float		plain[BINS * 3 * SERIES];
	float		plane[BINS * 3 * SERIES];
	void	   *planes[LEARN_MAX_PLANES] = {plane};
	int32_t		length = BINS;
	size_t		lost = 0;
	bool		agrees = true;
	LearnBytes	value = {stored, sizeof(stored)};

	for (size_t i = 0; i < BINS + 2; i++)
		for (size_t c = 0; c < SERIES; c++)
			stored[i * SERIES + c] = i == 1 ? 1 : c == 0 ? 70 + 5 * (float) i : 7;
	CHECK(learn_augment_kind(&field) == LEARN_AUGMENT_SERIES &&
		  learn_augment_field_scratch(&field) == (BINS + 2) * SERIES, "series are a kind of their own");
	learn_series_load(&plan, stored, plain);
	memcpy(plane, plain, sizeof(plain));
	set(&augment, LEARN_AUGMENT_SERIES, "value_dropout", 0.5);
	learn_augment_loaded(&augment, &field, value, 0, 7, learn_augment_counter(1, 4), planes, &length, scratch);
	for (size_t bin = 0; bin < BINS; bin++)
		for (size_t c = 0; c < SERIES; c++)
		{
			const float *row = plane + bin * 3 * SERIES;
			bool		observed = row[SERIES + c] == 1;

			lost += !observed;
			agrees = agrees && (!observed || row[c] == plain[bin * 3 * SERIES + c]);
			/* the time since grows where nothing was observed in the bin before */
			agrees = agrees && (bin == 0 || plane[(bin - 1) * 3 * SERIES + SERIES + c] == 1 ||
								row[2 * SERIES + c] > plane[(bin - 1) * 3 * SERIES + 2 * SERIES + c]);
		}
	CHECK(lost > 2 && lost < 10, "%zu of 12 observations are taken away", lost);
	CHECK(agrees, "and fills and times agree with what is left");
	learn_augment_loaded(&augment, &field, (LearnBytes) {NULL, 0}, 0, 7, 1, planes, &length, scratch);
	memcpy(plane, plain, sizeof(plain));
	learn_augment_view(&augment, &field, value, 0, 0, planes, &length, scratch);
	CHECK(memcmp(plane, plain, sizeof(plain)) == 0, "view 0 is the series itself");
	learn_augment_view(&augment, &field, value, 0, 1, planes, &length, scratch);
	CHECK(memcmp(plane, plain, sizeof(plain)) != 0 && learn_augment_has_views(&augment), "view 1 is another");
	memset(&augment, 0, sizeof(augment));
	set(&augment, LEARN_AUGMENT_IMAGE, "mixup", 0.5);
	set(&augment, LEARN_AUGMENT_TABLE, "mixup", 0.5);
	set(&augment, LEARN_AUGMENT_IMAGE, "noise", 0.5);
	CHECK(!learn_augment_has_views(&augment), "what is mixed, or noise on images, is no view");
}

/* ---- Memory and cancel ---- */

static LearnTraining
everything(void)
{
	LearnTraining training = ask(1, 2);

	training.augmented = 1;
	learn_augment_usual(&training.augment, LEARN_AUGMENT_IMAGE);
	learn_augment_usual(&training.augment, LEARN_AUGMENT_TABLE);
	set(&training.augment, LEARN_AUGMENT_IMAGE, "mixup", 0.4);
	training.adversary = (LearnAdversary) {
		.method = LEARN_TRADES, .epsilon = 0.05, .steps = 2, .restarts = 1, .share = 1, .beta = 1
	};
	return training;
}

static DevStatus
try_everything(DevHost *host)
{
	static const uint32_t rows[] = {3, 10, 5};
	LearnTraining training = everything();
	LearnOutcome outcome;
	LearnPredictor *predictor;
	double		scores[9];
	DevStatus	status = build_table(host, LEARN_MULTICLASS, true);

	if (status == DEV_OK)
		status = train(training, &outcome);
	table.model.n_views = 3;
	table.model.augment = &training.augment;
	if (status == DEV_OK)
		status = learn_predictor_create(table.session, &table.model, 2, &predictor);
	if (status == DEV_OK)
		status = learn_predict_dataset(predictor, table.dataset, rows, 3, scores);
	dev_session_close(table.session);
	return status;
}

static void
test_no_memory(void)
{
	CheckHost	counts;
	DevHost		host = check_host(&counts, 0);
	bool		survived = true;
	size_t		calls;

	CHECK(try_everything(&host) == DEV_OK && counts.held == 0, "nothing is held afterwards");
	calls = counts.calls;
	for (size_t fail_at = 1; fail_at <= calls && survived; fail_at++)
	{
		DevStatus	status;

		host = check_host(&counts, fail_at);
		status = try_everything(&host);
		survived = status == DEV_NO_MEMORY && counts.held == 0;
		if (!survived)
			printf("#   allocation %zu of %zu: status %d, held %zu\n", fail_at, calls, (int) status, counts.held);
	}
	CHECK(survived, "any of %zu allocations may fail", calls);
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

/* A step of so many passes takes long, and is left between two of them. */
static void
test_cancel(void)
{
	Impatient	host = {.at = 1 << 30};
	DevHost		lent = {.context = &host, .cancelled = impatient};
	LearnTraining training = ask(1000, 2);
	LearnOutcome outcome;
	double		start;

	training.batch = 180;
	training.adversary = (LearnAdversary) {
		.method = LEARN_PGD, .epsilon = 0.1, .steps = 10000, .restarts = 20, .share = 1, .beta = 1
	};
	CHECK_OR_STOP(build_table(&lent, LEARN_BINARY, true) == DEV_OK, "a table is made");
	host.polls = 0;
	host.at = 20;
	start = learn_seconds();
	CHECK_STATUS(table.session, train(training, &outcome), DEV_CANCELLED, "an attack is cancelled");
	CHECK(learn_seconds() - start < 10, "and soon: %g s", learn_seconds() - start);
	free_table();
}

int
main(void)
{
	test_passes();
	test_mixed_training(LEARN_BINARY, "binary");
	test_mixed_training(LEARN_MULTICLASS, "three classes");
	test_mixed_training(LEARN_REGRESSION, "regression");
	test_table_mixing();
	test_refusals();
	test_views();
	test_adversaries();
	test_fields_under_attack(LEARN_BINARY, LEARN_PGD, LEARN_NORM_L2);
	test_fields_under_attack(LEARN_MULTICLASS, LEARN_TRADES, LEARN_NORM_MAX);
	test_fields_under_attack(LEARN_REGRESSION, LEARN_FGSM, LEARN_NORM_MAX);
	test_field_box();
	test_field_steps();
	test_field_oracle();
	test_tokens();
	test_series();
	test_no_memory();
	test_cancel();
	return check_done();
}

/*
 * robust_heart.c: what adversarial training buys on UCI heart, and what it costs.
 *
 * The same small perceptron is trained plainly, on rows perturbed by PGD, and with TRADES. Each is judged
 * on test rows nobody has seen: clean, and under constrained attacks in the user's units, with fixed columns, whole steps
 * and the observed ranges; in the second kind one category that the patient reports may change too. The validation part
 * picks the epoch, by the loss that the recipe trains. Means over seeds.
 *
 *     make -f engine.mk engine-robust
 */
#include "idla/learn_robust.h"
#include "idla/learn_augment.h"
#include "idla/learn_train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME "test/data/heart.csv"
#define MOST_ROWS 1000
#define COLUMNS 14				/* inputs */
#define FIELDS 16				/* of a line: a number of the patient before, the disease behind */
#define MOST_BATCH 64
#define SEEDS 5
#define TRAIN_STEPS 10
#define N_EPSILONS 6

static const double epsilons[N_EPSILONS] = {0, 0.25, 0.5, 1, 1.25, 1.5};

typedef struct Column
{
	const char *name;
	LearnChannelKind kind;
	int			threat;			/* the first kind of attack that may change it; 0: none */
	double		step;
} Column;

/* What somebody could report or measure wrongly may change; who the patient is and what imaging found may not. */
static const Column columns[COLUMNS] = {
	{"centre", LEARN_CATEGORY, 0, 0}, {"age", LEARN_NUMBER, 0, 0}, {"sex", LEARN_CATEGORY, 0, 0},
	{"chest_pain", LEARN_CATEGORY, 2, 0}, {"resting_bp", LEARN_NUMBER, 1, 1}, {"cholesterol", LEARN_NUMBER, 1, 1},
	{"high_fasting_sugar", LEARN_CATEGORY, 0, 0}, {"resting_ecg", LEARN_CATEGORY, 0, 0},
	{"max_heart_rate", LEARN_NUMBER, 1, 1}, {"exercise_angina", LEARN_CATEGORY, 2, 0},
	{"st_depression", LEARN_NUMBER, 1, 0.1}, {"st_slope", LEARN_CATEGORY, 0, 0}, {"vessels", LEARN_NUMBER, 0, 0},
	{"thallium_scan", LEARN_CATEGORY, 0, 0}
};

typedef struct Recipe
{
	const char *name;
	double		epsilon;		/* 0: plain */
	double		share;			/* of the rows that are perturbed, the others are clean */
	double		beta;			/* above 0: TRADES */
	int			epochs;
} Recipe;

static const Recipe recipes[] = {
	{"plain", 0, 0, 0, 60},
	{"PGD, half the rows", 1.5, 0.5, 0, 60},
	{"PGD, all rows", 1.5, 1, 0, 60},
	{"TRADES, beta 3", 1.5, 0, 3, 60},
	{"TRADES, beta 6", 1.5, 0, 6, 60}
};

#define N_RECIPES (sizeof(recipes) / sizeof(recipes[0]))

static char text[1 << 18];
static const char *fields[MOST_ROWS][FIELDS];
static size_t n_rows;

static void
require(DevSession *session, DevStatus status, const char *what)
{
	if (status == DEV_OK)
		return;
	fprintf(stderr, "robust_heart: %s: %s\n", what, dev_message_text(session));
	exit(EXIT_FAILURE);
}

/* No field of this file is quoted. */
static void
read_file(void)
{
	FILE	   *file = fopen(FILE_NAME, "r");
	char	   *line;
	size_t		size;

	if (file == NULL)
	{
		fprintf(stderr, "robust_heart: cannot open %s; run it in the root of the tree\n", FILE_NAME);
		exit(EXIT_FAILURE);
	}
	size = fread(text, 1, sizeof(text) - 1, file);
	text[size] = '\0';
	fclose(file);
	line = strchr(text, '\n') + 1;
	while (*line != '\0' && n_rows < MOST_ROWS)
	{
		char	   *end = strchr(line, '\n');

		if (end != NULL)
			*end = '\0';
		for (int i = 0; i < FIELDS; i++)
		{
			char	   *comma = strchr(line, ',');

			fields[n_rows][i] = line;
			if (comma != NULL)
				*comma = '\0';
			line = comma != NULL ? comma + 1 : line + strlen(line);
		}
		n_rows++;
		line = end != NULL ? end + 1 : line;
	}
}

static float
label_of(size_t row)
{
	return fields[row][FIELDS - 1][0] == 't';
}

/* ---- One experiment ---- */

typedef struct Heart
{
	DevSession *session;
	LearnDataset *dataset;
	LearnModel	model;
	LearnConstraint constraints[COLUMNS];
	uint32_t	rows[LEARN_N_PARTS][MOST_ROWS];
	size_t		n[LEARN_N_PARTS];
	uint64_t	seed;
	int			threat;

	LearnNetwork network;
	LearnGraph	built;
	NnRun	   *run;
	size_t		n_weights;
	float	   *weights;
	float	   *diff_weights;
	float	   *best;
	float	   *numbers;		/* (MOST_BATCH, n_numbers), and the like */
	float	   *low;
	float	   *high;
	float	   *moved;
	int32_t    *codes;
	float	   *scratch;
	float		targets[MOST_BATCH];
} Heart;

static void
load(Heart *heart)
{
	LearnSplit	split = {.validation = 0.2, .test = 0.25, .task = LEARN_BINARY, .seed = heart->seed};
	LearnFit	fit = {.task = LEARN_BINARY, .max_categories = 20, .min_count = 1};
	LearnNotes	notes = {0};
	DevSession *session = heart->session;

	heart->model.channels = dev_alloc(session, COLUMNS, sizeof(LearnChannel));
	for (int c = 0; c < COLUMNS; c++)
	{
		heart->model.channels[c].name = (char *) columns[c].name;
		heart->model.channels[c].column = c;
		heart->model.channels[c].kind = columns[c].kind;
	}
	require(session, learn_dataset_create(session, heart->model.channels, COLUMNS, 1, 1 << 26, NULL, &heart->dataset), "data");
	for (size_t row = 0; row < n_rows; row++)
	{
		float		raw[COLUMNS];
		float		target = label_of(row);
		LearnRow	added = {.channels = raw, .targets = &target, .part = LEARN_UNASSIGNED};

		for (int c = 0; c < COLUMNS; c++)
		{
			const char *value = fields[row][c + 1];

			if (value[0] == '\0')
				raw[c] = NAN;
			else if (columns[c].kind == LEARN_NUMBER)
				raw[c] = strtof(value, NULL);
			else
				require(session, learn_dataset_intern(heart->dataset, c, value, strlen(value), &raw[c]), "a category");
		}
		require(session, learn_dataset_append(heart->dataset, &added), "a row");
	}
	require(session, learn_split(heart->dataset, &split, &notes), "the split");
	require(session, learn_fit(heart->dataset, &fit, &notes, &heart->model.n_numbers, &heart->model.n_codes), "preprocessing");
	require(session, learn_dataset_encode(heart->dataset), "encoding");
	for (size_t row = 0; row < n_rows; row++)
	{
		uint8_t		part = learn_dataset_parts(heart->dataset)[row];

		heart->rows[part][heart->n[part]++] = (uint32_t) row;
	}
	for (int c = 0; c < COLUMNS; c++)
	{
		heart->constraints[c] = learn_constraint_free();
		heart->constraints[c].mutable = columns[c].threat > 0 && columns[c].threat <= heart->threat;
		heart->constraints[c].step = columns[c].step;
		heart->constraints[c].low = (double) heart->model.channels[c].minimum;
		heart->constraints[c].high = (double) heart->model.channels[c].maximum;
		if (columns[c].kind == LEARN_CATEGORY)
			require(session, learn_channel_index(session, &heart->model.channels[c]), "categories");
	}
	require(session, learn_constraints_check(session, heart->model.channels, COLUMNS, heart->constraints), "constraints");
}

static float *
floats(Heart *heart, size_t n)
{
	float	   *values = dev_alloc(heart->session, n + 1, sizeof(float));

	require(heart->session, values == NULL ? DEV_NO_MEMORY : DEV_OK, "memory");
	return values;
}

static void
build(Heart *heart)
{
	DevSession *session = heart->session;
	LearnLoss	loss = {0};
	DevDevice  *device;
	size_t		n_values;

	heart->network = (LearnNetwork) {
		.architecture = LEARN_MLP, .depth = 2, .width = 64, .activation = -1, .dropout = 0.1f, .n_numbers = heart->model.n_numbers,
		.n_codes = heart->model.n_codes, .task = LEARN_BINARY, .n_outputs = 1
	};
	heart->network.cardinality = dev_alloc(session, heart->model.n_codes + 1, sizeof(int));
	for (int c = 0; c < COLUMNS; c++)
	{
		const LearnChannel *channel = &heart->model.channels[c];

		if (channel->code_input != NN_NONE)
			heart->network.cardinality[channel->code_input] =
				channel->n_categories + channel->has_other + channel->has_missing;
	}
	require(session, learn_network_resolve(session, &heart->network, n_rows), "the network");
	require(session, learn_network_build(session, &heart->network, &loss, &heart->built), "the graph");
	require(session, dev_cpu_open(session, NULL, &device), "the device");
	require(session, nn_run_create(heart->built.graph, device, MOST_BATCH, NN_RUN_WHOLE, &heart->run), "the run");
	heart->n_weights = nn_graph_weights(heart->built.graph);
	heart->weights = floats(heart, heart->n_weights);
	heart->diff_weights = floats(heart, heart->n_weights);
	heart->best = floats(heart, heart->n_weights);
	n_values = MOST_BATCH * heart->model.n_numbers;
	heart->numbers = floats(heart, n_values);
	heart->low = floats(heart, n_values);
	heart->high = floats(heart, n_values);
	heart->moved = floats(heart, n_values);
	heart->codes = dev_alloc(session, MOST_BATCH * heart->model.n_codes + 1, sizeof(int32_t));
	heart->scratch = floats(heart, learn_attack_scratch(MOST_BATCH, heart->model.n_numbers));
}

/* ---- Training ---- */

static void
load_batch(Heart *heart, const uint32_t *rows, size_t n)
{
	require(heart->session, learn_dataset_gather(heart->dataset, rows, n, heart->numbers, heart->codes, heart->targets), "a batch");
	nn_run_set(heart->run, heart->built.numbers, n, heart->numbers);
	nn_run_set_codes(heart->run, heart->built.codes, n, heart->codes);
	nn_run_set(heart->run, heart->built.target, n, heart->targets);
}

/* heart->moved: the batch, perturbed; clean: answers to move away from, or NULL for the loss. */
static void
perturb(Heart *heart, double epsilon, size_t n, const float *clean, float *seeds, uint64_t counter)
{
	LearnRunOracle run = {
		.run = heart->run, .weights = heart->weights, .diff_weights = heart->diff_weights, .input = heart->built.numbers,
		.loss = heart->built.loss, .answer = heart->built.heads, .scale = NN_MEAN_BINARY, .mode = NN_INFER, .clean = clean,
		.seeds = seeds
	};
	LearnOracle oracle = learn_run_oracle(&run, heart->built.graph);
	LearnAttack how = learn_attack_pgd(LEARN_NORM_MAX, INFINITY, TRAIN_STEPS);
	LearnBox	box = {.low = heart->low, .high = heart->high, .by_row = true};

	learn_table_box(heart->model.channels, COLUMNS, heart->constraints, epsilon, n, heart->model.n_numbers, heart->numbers,
					heart->low, heart->high);
	require(heart->session, learn_attack(&how, &oracle, &box, n, heart->numbers, NULL, heart->seed, counter, heart->moved, NULL,
										 NULL, heart->scratch), "the attack");
}

static void
forward(Heart *heart, const float *numbers, size_t n, uint64_t step)
{
	nn_run_set(heart->run, heart->built.numbers, n, numbers);
	nn_run_forward(heart->run, heart->built.loss, NN_TRAIN, heart->seed, step, 0);
}

static void
step_pgd(Heart *heart, const Recipe *recipe, size_t n, uint64_t step)
{
	size_t		n_clean = n - (size_t) lround(recipe->share * (double) n);

	if (recipe->epsilon > 0)
	{
		perturb(heart, recipe->epsilon, n, NULL, NULL, step << 16);
		memcpy(heart->moved, heart->numbers, n_clean * heart->model.n_numbers * sizeof(float));
	}
	forward(heart, recipe->epsilon > 0 ? heart->moved : heart->numbers, n, step);
	nn_run_backward(heart->run, heart->built.loss, 1.0f / (float) n, NULL);
}

/* loss(clean) + beta KL(clean || moved), the gradient through both answers. */
static void
step_trades(Heart *heart, const Recipe *recipe, size_t n, uint64_t step)
{
	float		clean[MOST_BATCH];
	float		by_clean[MOST_BATCH];
	float		by_moved[MOST_BATCH];
	float	   *answers = nn_run_value(heart->run, heart->built.heads);

	nn_run_forward(heart->run, heart->built.heads, NN_INFER, 0, 0, 0);
	memcpy(clean, answers, n * sizeof(float));
	perturb(heart, recipe->epsilon, n, clean, by_moved, step << 16);
	forward(heart, heart->numbers, n, step);
	memcpy(clean, answers, n * sizeof(float));
	forward(heart, heart->moved, n, step);
	for (size_t row = 0; row < n; row++)
		learn_divergence(NN_MEAN_BINARY, 1, 1, &clean[row], &answers[row], (float) (recipe->beta / (double) n), &by_clean[row],
						 &by_moved[row]);
	nn_run_backward_from(heart->run, heart->built.heads, by_moved);
	forward(heart, heart->numbers, n, step);
	nn_run_backward(heart->run, heart->built.loss, 1.0f / (float) n, NULL);
	nn_run_backward_from(heart->run, heart->built.heads, by_clean);
}

/* The validation part's loss, of the kind that the recipe trains. */
static double
validate(Heart *heart, const Recipe *recipe)
{
	double		sum = 0;
	size_t		n_held = heart->n[LEARN_VALIDATION];

	for (size_t first = 0; first < n_held; first += MOST_BATCH)
	{
		size_t		n = n_held - first < MOST_BATCH ? n_held - first : MOST_BATCH;
		const float *losses = nn_run_value(heart->run, heart->built.loss);
		double		share = recipe->beta > 0 ? 0.5 : recipe->share;

		load_batch(heart, heart->rows[LEARN_VALIDATION] + first, n);
		nn_run_forward(heart->run, heart->built.loss, NN_INFER, 0, 0, 0);
		for (size_t row = 0; row < n; row++)
			sum += (1 - share) * (double) losses[row];
		if (recipe->epsilon == 0)
			continue;
		perturb(heart, recipe->epsilon, n, NULL, NULL, first);
		nn_run_set(heart->run, heart->built.numbers, n, heart->moved);
		nn_run_forward(heart->run, heart->built.loss, NN_INFER, 0, 0, 0);
		for (size_t row = 0; row < n; row++)
			sum += share * (double) losses[row];
	}
	return sum / (double) n_held;
}

static void
shuffle(uint32_t *rows, size_t n, uint64_t seed, uint64_t epoch)
{
	for (size_t i = n; i > 1; i--)
	{
		size_t		j = (size_t) dev_random_below(seed, DEV_STREAM_SHUFFLE, epoch << 32 | i, i);
		uint32_t	row = rows[i - 1];

		rows[i - 1] = rows[j];
		rows[j] = row;
	}
}

static int
train(Heart *heart, const Recipe *recipe)
{
	NnOptimizerSpec spec;
	NnOptimizer *optimizer;
	double		least = INFINITY;
	uint64_t	step = 0;
	int			best_epoch = 0;

	nn_optimizer_defaults(NN_ADAMW, &spec);
	spec.rate = 0.003f;
	spec.decay = 0.01f;
	require(heart->session, nn_optimizer_create(heart->built.graph, nn_run_queue(heart->run)->device, &spec, 1, &optimizer), "optimiser");
	nn_graph_initialize(heart->built.graph, heart->seed, heart->weights);
	nn_run_bind(heart->run, heart->weights, heart->diff_weights);
	for (int epoch = 0; epoch < recipe->epochs; epoch++)
	{
		double		loss;

		shuffle(heart->rows[LEARN_TRAIN], heart->n[LEARN_TRAIN], heart->seed, (uint64_t) epoch);
		for (size_t first = 0; first < heart->n[LEARN_TRAIN]; first += MOST_BATCH, step++)
		{
			size_t		n = heart->n[LEARN_TRAIN] - first < MOST_BATCH ? heart->n[LEARN_TRAIN] - first : MOST_BATCH;

			load_batch(heart, heart->rows[LEARN_TRAIN] + first, n);
			memset(heart->diff_weights, 0, heart->n_weights * sizeof(float));
			if (recipe->beta > 0)
				step_trades(heart, recipe, n, step);
			else
				step_pgd(heart, recipe, n, step);
			nn_optimizer_begin(optimizer, 1, 1);
			nn_optimizer_apply(optimizer, nn_run_queue(heart->run), 0, heart->diff_weights, heart->weights);
		}
		loss = validate(heart, recipe);
		if (loss < least)
		{
			least = loss;
			best_epoch = epoch + 1;
			memcpy(heart->best, heart->weights, heart->n_weights * sizeof(float));
		}
	}
	nn_optimizer_free(optimizer);
	return best_epoch;
}

/* ---- Judging ---- */

typedef struct Judge
{
	LearnTableAttacker *attacker;
	LearnRowOracle oracle;
	const float *raw;
	float	   *changed;
	Heart	   *heart;
} Judge;

static DevStatus
attack_rows(void *context, const LearnAttack *how, size_t n, const float *epsilons_of, uint8_t *fooled)
{
	Judge	   *judge = context;
	LearnTableAttack attack = {.numbers = *how, .rounds = 2, .max_changes = judge->heart->threat - 1};
	DevStatus	status = learn_table_attack(judge->attacker, &attack, &judge->oracle, n, judge->raw, epsilons_of, 99, 0,
											judge->changed, NULL, fooled);

	for (size_t row = 0; row < n && status == DEV_OK; row++)
		if (!learn_row_allowed(judge->heart->model.channels, COLUMNS, judge->heart->constraints, how->norm, (double) epsilons_of[row],
							   attack.max_changes, judge->raw + row * COLUMNS, judge->changed + row * COLUMNS))
			return dev_fail(judge->heart->session, DEV_INVALID, "the attack broke a constraint in row %zu", row);
	return status;
}

static void
make_model(Heart *heart)
{
	LearnModel *model = &heart->model;

	model->task = LEARN_BINARY;
	model->n_columns = model->n_channels = COLUMNS;
	model->n_classes = 2;
	model->n_targets = 1;
	model->positive = 1;
	model->temperature = 1;
	model->n_nets = 1;
	model->nets = dev_alloc(heart->session, 1, sizeof(LearnNet));
	model->nets[0] = (LearnNet) {.network = heart->network, .n_weights = heart->n_weights, .weights = heart->best};
	model->nets[0].n_features = nn_shape_size(nn_graph_shape(heart->built.graph, heart->built.features));
	model->nets[0].baseline = floats(heart, model->nets[0].n_features);
}

/* What one unit of epsilon is in each column that may change. */
static void
print_units(const Heart *heart)
{
	printf("%-20s", "one unit (seed 1)");
	for (int c = 0; c < COLUMNS; c++)
		if (heart->constraints[c].mutable && columns[c].kind == LEARN_NUMBER)
			printf("  %s %.3g", columns[c].name, learn_channel_unit(&heart->model.channels[c]));
	printf("\n");
}

/* The test part as the user has it, categories by the model's numbers. */
static void
fill_raw(const Heart *heart, float *raw, float *labels)
{
	for (size_t i = 0; i < heart->n[LEARN_TEST]; i++)
	{
		size_t		row = heart->rows[LEARN_TEST][i];

		labels[i] = label_of(row);
		for (size_t c = 0; c < COLUMNS; c++)
		{
			const char *value = fields[row][c + 1];

			raw[i * COLUMNS + c] = value[0] == '\0' ? NAN : columns[c].kind == LEARN_NUMBER ? strtof(value, NULL)
				: learn_category_code(&heart->model.channels[c], value, strlen(value));
		}
	}
}

/* Test rows that stand at each epsilon, and signs that the attack is misled at epsilon 1. */
static unsigned
judge_model(Heart *heart, uint64_t *right, double *distance)
{
	size_t		n = heart->n[LEARN_TEST];
	float	   *raw = floats(heart, n * COLUMNS);
	float	   *labels = floats(heart, n);
	float	   *scratch = floats(heart, 2 * n);
	double	   *distances = dev_alloc(heart->session, n, sizeof(double));
	uint8_t    *fooled = dev_alloc(heart->session, 2 * n, 1);
	LearnAttack how = learn_attack_judge(LEARN_NORM_MAX, 1, 40, 5);
	LearnAttack quick = learn_attack_judge(LEARN_NORM_MAX, 1, 20, 2);
	LearnMasking masking = {0};
	LearnPredictorOracle *oracle;
	LearnPredictor *predictor;
	Judge		judge = {.raw = raw, .heart = heart};
	LearnAttacker attacker = {.context = &judge, .attack = attack_rows};

	fill_raw(heart, raw, labels);
	judge.changed = floats(heart, n * COLUMNS);
	make_model(heart);
	require(heart->session, learn_predictor_create(heart->session, &heart->model, 256, &predictor), "the predictor");
	require(heart->session, learn_predictor_oracle_create(predictor, 0, &oracle), "the oracle");
	learn_predictor_oracle_set(oracle, labels);
	judge.oracle = learn_predictor_oracle(oracle);
	require(heart->session, learn_table_attacker_create(heart->session, heart->model.channels, COLUMNS, heart->constraints,
														heart->model.n_numbers, heart->model.n_codes, n, &judge.attacker), "the attacker");
	require(heart->session, learn_robust_counts(&attacker, &how, n, N_EPSILONS, epsilons, right, scratch, fooled, fooled + n),
			"the judgement");
	require(heart->session, learn_minimal_perturbations(&attacker, &quick, n, 2, 8, distances, scratch, fooled), "distances");
	*distance += learn_mean_perturbation(n, distances, 2, NULL);
	require(heart->session, learn_masking_add(&attacker, &quick, n, &masking, scratch, fooled), "probes");
	return learn_masking_judge(&masking);
}

static void
experiment(const Recipe *recipe, int threat)
{
	uint64_t	right[N_EPSILONS] = {0};
	size_t		n = 0;
	double		epochs = 0;
	double		distance = 0;
	unsigned	signs = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++)
	{
		Heart	   *heart = calloc(1, sizeof(Heart));

		if (heart == NULL || dev_session_open(NULL, seed, &heart->session) != DEV_OK)
			exit(EXIT_FAILURE);
		heart->seed = seed;
		heart->threat = threat;
		load(heart);
		build(heart);
		if (seed == 1 && recipe == recipes)
			print_units(heart);
		epochs += train(heart, recipe);
		signs |= judge_model(heart, right, &distance);
		n += heart->n[LEARN_TEST];
		dev_session_close(heart->session);
		free(heart);
	}
	printf("%-20s", recipe->name);
	for (int i = 0; i < N_EPSILONS; i++)
		printf(" %6.1f", 100 * (double) right[i] / (double) n);
	printf(" %9.2f %6.0f", distance / SEEDS, epochs / SEEDS);
	for (unsigned sign = 1; sign <= LEARN_MASKED_TRANSFER; sign *= 2)
		if (signs & sign)
			printf("  %s", learn_masked_words((LearnMasked) sign));
	printf("\n");
	fflush(stdout);
}

static void
experiments(int threat)
{
	printf("\nL-infinity in interquartile ranges of each column; mutable within ranges and steps:");
	for (int c = 0; c < COLUMNS; c++)
		if (columns[c].threat > 0 && columns[c].threat <= threat)
			printf(" %s", columns[c].name);
	printf("\nat most %d category changed\n%-20s", threat - 1, "epsilon");
	for (int i = 0; i < N_EPSILONS; i++)
		printf(" %6.2f", epsilons[i]);
	printf(" %9s %6s\n", "distance", "epoch");
	for (size_t i = 0; i < N_RECIPES; i++)
		experiment(&recipes[i], threat);
}

int
main(void)
{
	read_file();
	printf("UCI heart, %zu rows, %d seeds; accuracy in %% on the test part under attack, mean distance to a wrong answer\n",
		   n_rows, SEEDS);
	experiments(1);
	experiments(2);
	return EXIT_SUCCESS;
}

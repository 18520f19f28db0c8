/*
 * test_adversarial.c: attacks against planes whose worst point is known, against a trained network, in training runs and
 * on rows of tables, whose constraints must hold whatever is asked.
 */
#include "allowed.h"
#include "models.h"

#include "idla/learn_adversarial.h"
#include "learn/adversarial.h"
#include "learn/predict.h"

static DevSession *
open_session(void)
{
	DevSession *session;

	CHECK_OR_STOP(dev_session_open(NULL, 3, &session) == DEV_OK, "a session opens");
	return session;
}

/* ---- A plane ---- */

#define INPUTS 6

static const float plane[INPUTS] = {1, -2, 0.5f, 0, 3, -1};

typedef struct Plane
{
	float		offset;			/* rows are wrong when plane x + offset > 0 */
	size_t		calls;
	DevStatus	status;
} Plane;

static DevStatus
score_plane(void *context, size_t n, const float *inputs, float *losses, uint8_t *wrong, float *diff)
{
	Plane	   *p = context;

	p->calls++;
	for (size_t row = 0; row < n; row++)
	{
		double		loss = (double) p->offset;

		for (size_t i = 0; i < INPUTS; i++)
			loss += isnan(inputs[row * INPUTS + i]) ? 0 : (double) plane[i] * (double) inputs[row * INPUTS + i];
		losses[row] = (float) loss;
		if (wrong != NULL)
			wrong[row] = loss > 0;
		if (diff != NULL)
			memcpy(diff + row * INPUTS, plane, sizeof(plane));
	}
	return p->status;
}

static double
l2_distance(const float *a, const float *b, size_t n)
{
	double		square = 0;

	for (size_t i = 0; i < n; i++)
		square += pow((double) a[i] - (double) b[i], 2);
	return sqrt(square);
}

static void
test_plane(void)
{
	static const float low[INPUTS] = {-1, -1, -1, -1, -1, -1};
	static const float high[INPUTS] = {1, 1, 1, 1, 0.05f, 1};
	static const float row[INPUTS] = {0, 0.1f, 0.2f, NAN, 0, 2};	/* the last one is outside the box */
	Plane		state = {0};
	LearnOracle oracle = {.context = &state, .n_inputs = INPUTS, .score = score_plane};
	LearnBox	box = {.low = low, .high = high};
	LearnAttack fgsm = learn_attack_fgsm(LEARN_NORM_MAX, 0.1);
	LearnAttack l2 = learn_attack_judge(LEARN_NORM_L2, 0.3, 20, 3);
	LearnAttack infinite = learn_attack_pgd(LEARN_NORM_L2, INFINITY, 3);
	LearnAttack inside = learn_attack_judge(LEARN_NORM_MAX, INFINITY, 1, 1);
	float		scratch[256];
	float		out[INPUTS];
	float		loss;
	double		length = 0;

	CHECK_OR_STOP(learn_attack_scratch(1, INPUTS) <= 256, "scratch is small");
	CHECK_STATUS(NULL, learn_attack(&fgsm, &oracle, NULL, 1, row, NULL, 1, 0, out, &loss, NULL, scratch), DEV_OK, "FGSM");
	CHECK(out[0] == 0.1f && fabsf(out[1]) < 1e-7f && out[4] == 0.1f && out[5] == 1.9f && isnan(out[3]),
		  "FGSM moves each input by epsilon, and leaves what is missing");
	CHECK(state.calls == 2, "with one gradient and one loss");
	learn_attack(&fgsm, &oracle, NULL, 1, row, NULL, 1, 0, out, NULL, NULL, scratch);
	CHECK(state.calls == 3, "or the gradient alone");
	learn_attack(&fgsm, &oracle, &box, 1, row, NULL, 1, 0, out, &loss, NULL, scratch);
	CHECK(out[4] == 0.05f && out[5] == 1.9f, "the box cuts, but a row outside need not stay there");
	learn_attack(&inside, &oracle, &box, 1, row, NULL, 1, 0, out, &loss, NULL, scratch);
	CHECK(out[0] == 1 && out[1] == -1 && out[5] == -1, "an infinite epsilon goes to the corner of the box");
	CHECK_STATUS(NULL, learn_attack(&infinite, &oracle, NULL, 1, row, NULL, 1, 0, out, NULL, NULL, scratch), DEV_INVALID,
				 "but not in L2");

	for (int i = 0; i < INPUTS; i++)
		length += i == 3 ? 0 : (double) plane[i] * (double) plane[i];
	learn_attack(&l2, &oracle, NULL, 1, row, NULL, 1, 0, out, &loss, NULL, scratch);
	out[3] = 0;
	for (int i = 0; i < INPUTS; i++)
		if (i != 3 && fabs((double) out[i] - (double) row[i] - 0.3 * (double) plane[i] / sqrt(length)) > 0.02)
			CHECK(false, "L2: input %d goes along the gradient: %g", i, (double) out[i] - (double) row[i]);
	state.status = DEV_CANCELLED;
	CHECK_STATUS(NULL, learn_attack(&l2, &oracle, NULL, 1, row, NULL, 1, 0, out, &loss, NULL, scratch), DEV_CANCELLED,
				 "a failing oracle ends it");
}

/* Random rows, epsilons and boxes: nothing leaves the ball or the box, in either norm. */
static void
test_bounds(void)
{
	enum { ROWS = 200 };
	Plane		state = {0};
	LearnOracle oracle = {.context = &state, .n_inputs = INPUTS, .score = score_plane};
	float		clean[ROWS * INPUTS];
	float		low[ROWS * INPUTS];
	float		high[ROWS * INPUTS];
	float		out[ROWS * INPUTS];
	float		part[ROWS * INPUTS];
	float		epsilons[ROWS];
	float		losses[ROWS];
	LearnBox	box = {.low = low, .high = high, .by_row = true};
	LearnBox	rest = {.low = low + 37 * INPUTS, .high = high + 37 * INPUTS, .by_row = true};
	float	   *scratch = malloc(learn_attack_scratch(ROWS, INPUTS) * sizeof(float));

	for (size_t i = 0; i < ROWS * INPUTS; i++)
	{
		clean[i] = (float) dev_random_normal(1, 1, i);
		low[i] = clean[i] - (float) dev_random_uniform(1, 2, i);
		high[i] = clean[i] + (float) dev_random_uniform(1, 3, i);
	}
	for (size_t row = 0; row < ROWS; row++)
		epsilons[row] = row % 9 == 0 ? 0 : (float) (2 * dev_random_uniform(1, 4, row));
	for (int kind = 0; kind < 8; kind++)
	{
		LearnNormKind norm = kind % 2 == 0 ? LEARN_NORM_MAX : LEARN_NORM_L2;
		LearnAttack how = learn_attack_judge(norm, 99, kind < 4 ? 0 : 7, 1 + kind % 3);
		bool		right = true;

		how.random_start = true;
		how.keep_best = kind % 4 < 2;
		learn_attack(&how, &oracle, &box, ROWS, clean, epsilons, 5, 100, out, losses, NULL, scratch);
		for (size_t i = 0; i < ROWS * INPUTS; i++)
		{
			double		moved = fabs((double) out[i] - (double) clean[i]);

			right = right && out[i] >= low[i] && out[i] <= high[i];
			right = right && moved <= (double) epsilons[i / INPUTS] * (1 + 1e-5) + 1e-6;
		}
		for (size_t row = 0; row < ROWS && norm == LEARN_NORM_L2; row++)
			right = right && l2_distance(out + row * INPUTS, clean + row * INPUTS, INPUTS)
				<= (double) epsilons[row] * (1 + 1e-5) + 1e-6;
		CHECK(right, "attack %d stays in ball and box", kind);
		learn_attack(&how, &oracle, &rest, ROWS - 37, clean + 37 * INPUTS, epsilons + 37, 5, 137, part, NULL, NULL, scratch);
		CHECK(memcmp(part, out + 37 * INPUTS, (ROWS - 37) * INPUTS * sizeof(float)) == 0,
			  "a row's result does not depend on its batch");
		learn_attack(&how, &oracle, &box, ROWS, clean, epsilons, 6, 100, part, NULL, NULL, scratch);
		if (kind < 4)
			CHECK(memcmp(part, out, sizeof(part)) != 0, "another seed draws other points");
	}
	free(scratch);
}

static void
test_check(void)
{
	DevSession *session = open_session();
	static const LearnAttack bad[] = {
		{.epsilon = -1, .restarts = 1}, {.epsilon = NAN, .restarts = 1}, {.epsilon = 1, .steps = -1, .restarts = 1},
		{.epsilon = 1, .restarts = 0}, {.epsilon = 1, .restarts = 1, .rate = -1}, {.norm = LEARN_NORM_L2, .epsilon = INFINITY, .restarts = 1},
		{.norm = (LearnNormKind) 7, .epsilon = 1, .restarts = 1}
	};
	LearnAttack good = learn_attack_pgd(LEARN_NORM_L2, 0.1, 10);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_STATUS(session, learn_attack_check(session, &bad[i]), DEV_INVALID, "attack %d is refused", (int) i);
	CHECK_STATUS(session, learn_attack_check(session, &good), DEV_OK, "a good one passes");
	dev_session_close(session);
}

/* ---- A trained network ---- */

#define BATCH 128

typedef struct Toy
{
	DevSession *session;
	DevDevice  *device;
	LearnNetwork network;
	LearnGraph	built;
	NnRun	   *run;
	size_t		n_weights;
	float	   *weights;
	float	   *diff_weights;
	float		numbers[BATCH * 4];
	float		targets[BATCH];
	int32_t		classes[BATCH];
} Toy;

/* Two rings in the first two numbers; the others are noise. */
static void
draw_toy(Toy *toy, uint64_t step)
{
	for (size_t row = 0; row < BATCH; row++)
	{
		uint64_t	at = step * BATCH + row;
		double		angle = 6.283185307179586 * dev_random_uniform(2, 1, at);
		int32_t		class = (int32_t) (at % 3);

		for (size_t i = 0; i < 4; i++)
			toy->numbers[row * 4 + i] = (float) (0.15 * dev_random_normal(2, 2 + i, at));
		toy->numbers[row * 4] += (float) ((0.2 + class) * cos(angle));
		toy->numbers[row * 4 + 1] += (float) ((0.2 + class) * sin(angle));
		toy->classes[row] = class;
		toy->targets[row] = (float) (class > 0);
	}
	nn_run_set(toy->run, toy->built.numbers, BATCH, toy->numbers);
	if (toy->network.task == LEARN_MULTICLASS)
		nn_run_set_codes(toy->run, toy->built.target, BATCH, toy->classes);
	else
		nn_run_set(toy->run, toy->built.target, BATCH, toy->targets);
}

static Toy *
train_toy(LearnTask task, LearnArchitecture architecture)
{
	DevSession *session = open_session();
	Toy		   *toy = dev_alloc(session, 1, sizeof(Toy));
	LearnLoss	loss = {0};
	NnOptimizerSpec spec;
	NnOptimizer *optimizer;

	toy->session = session;
	toy->network = (LearnNetwork) {
		.architecture = architecture, .depth = 2, .width = 24, .members = 4, .activation = DEV_MAP_SILU, .dropout = 0.1f,
		.embedding = LEARN_EMBEDDING_NONE, .n_numbers = 4, .task = task, .n_outputs = task == LEARN_MULTICLASS ? 3 : 1
	};
	CHECK_STATUS(session, learn_network_resolve(session, &toy->network, 1000), DEV_OK, "a network");
	CHECK_STATUS(session, learn_network_build(session, &toy->network, &loss, &toy->built), DEV_OK, "its graph");
	CHECK_STATUS(session, dev_cpu_open(session, "", &toy->device), DEV_OK, "a device");
	CHECK_STATUS(session, nn_run_create(toy->built.graph, toy->device, BATCH, NN_RUN_WHOLE, &toy->run), DEV_OK, "a run");
	toy->n_weights = nn_graph_weights(toy->built.graph);
	toy->weights = dev_alloc(session, toy->n_weights, sizeof(float));
	toy->diff_weights = dev_alloc(session, toy->n_weights, sizeof(float));
	nn_graph_initialize(toy->built.graph, 3, toy->weights);
	nn_optimizer_defaults(NN_ADAMW, &spec);
	spec.rate = 0.01f;
	CHECK_STATUS(session, nn_optimizer_create(toy->built.graph, toy->device, &spec, 1, &optimizer), DEV_OK, "an optimiser");
	nn_run_bind(toy->run, toy->weights, toy->diff_weights);
	for (uint64_t step = 0; step < 300; step++)
	{
		draw_toy(toy, step);
		memset(toy->diff_weights, 0, toy->n_weights * sizeof(float));
		nn_run_forward(toy->run, toy->built.loss, NN_TRAIN, 1, step, 0);
		nn_run_backward(toy->run, toy->built.loss, 1.0f / BATCH, NULL);
		nn_optimizer_begin(optimizer, 1, 1);
		nn_optimizer_apply(optimizer, nn_run_queue(toy->run), 0, toy->diff_weights, toy->weights);
	}
	draw_toy(toy, 1000);
	return toy;
}

static double
mean_loss(const float *losses)
{
	double		sum = 0;

	for (size_t row = 0; row < BATCH; row++)
		sum += (double) losses[row] / BATCH;
	return sum;
}

static LearnRunOracle
toy_run(Toy *toy, NnMode mode)
{
	return (LearnRunOracle) {
		.run = toy->run, .weights = toy->weights, .diff_weights = toy->diff_weights, .input = toy->built.numbers,
		.loss = toy->built.loss, .answer = toy->built.heads, .mode = mode, .seed = 1, .step = 77,
		.scale = toy->network.task == LEARN_MULTICLASS ? NN_MEAN_CLASSES : NN_MEAN_BINARY
	};
}

static void
test_strength(LearnTask task, LearnArchitecture architecture, LearnNormKind norm, double epsilon)
{
	Toy		   *toy = train_toy(task, architecture);
	LearnRunOracle run = toy_run(toy, NN_INFER);
	LearnOracle oracle = learn_run_oracle(&run, toy->built.graph);
	LearnAttack clean = learn_attack_fgsm(norm, 0);
	LearnAttack noise = learn_attack_judge(norm, epsilon, 0, 20);
	LearnAttack fgsm = learn_attack_fgsm(norm, epsilon);
	LearnAttack few = learn_attack_judge(norm, epsilon, 5, 1);
	LearnAttack pgd = learn_attack_judge(norm, epsilon, 20, 4);
	float	   *scratch = malloc(learn_attack_scratch(BATCH, 4) * sizeof(float));
	float		out[BATCH * 4];
	float		losses[BATCH];
	double		mean[5];
	const LearnAttack *attacks[5] = {&clean, &noise, &fgsm, &few, &pgd};

	for (int i = 0; i < 5; i++)
	{
		CHECK_STATUS(toy->session, learn_attack(attacks[i], &oracle, NULL, BATCH, toy->numbers, NULL, 1, 0, out, losses,
												NULL, scratch), DEV_OK, "attack %d", i);
		mean[i] = mean_loss(losses);
	}
	CHECK(mean[0] < 0.25, "the network has learned: %.3f", mean[0]);
	CHECK(mean[0] < mean[1] && mean[1] < mean[3] && mean[2] < mean[4] && mean[3] <= mean[4] && mean[4] > 2 * mean[0],
		  "task %d, norm %s: noise %.3f, FGSM %.3f, PGD 5 %.3f, PGD 20 x 4 %.3f", (int) task, learn_norm_names[norm], mean[1],
		  mean[2], mean[3], mean[4]);
	free(scratch);
	dev_session_close(toy->session);
}

/* What TRADES compares with: the answers to rows as they are. */
static void
answer_clean(LearnRunOracle *run, const float *inputs, float *clean)
{
	nn_run_set(run->run, run->input, BATCH, inputs);
	nn_run_forward(run->run, run->answer, run->mode, run->seed, run->step, run->first_row);
	memcpy(clean, nn_run_value(run->run, run->answer), BATCH * run->positions * run->outputs * sizeof(float));
}

/* Gradients by finite differences, in both modes and with both objectives; weight gradients are left alone. */
static void
test_run(NnMode mode, bool trades, LearnArchitecture architecture)
{
	Toy		   *toy = train_toy(LEARN_MULTICLASS, architecture);
	LearnRunOracle run = toy_run(toy, mode);
	LearnOracle oracle = learn_run_oracle(&run, toy->built.graph);
	size_t		size = run.positions * run.outputs;
	float	   *answers = malloc(BATCH * size * sizeof(float));
	float	   *seeds = malloc(BATCH * size * sizeof(float));
	float		moved[BATCH * 4];
	float		diff[BATCH * 4];
	float		losses[3][BATCH];
	double		worst = 0;
	bool		left = true;

	CHECK(size == (architecture == LEARN_TABM ? 12 : 3), "answers have their size");
	if (trades)
	{
		answer_clean(&run, toy->numbers, answers);
		run.clean = answers;
		run.seeds = seeds;
	}
	for (size_t i = 0; i < BATCH * 4; i++)
		moved[i] = toy->numbers[i] + (float) (0.1 * dev_random_normal(3, 3, i));
	for (size_t i = 0; i < toy->n_weights; i++)
		toy->diff_weights[i] = 7;
	CHECK_STATUS(toy->session, oracle.score(oracle.context, BATCH, moved, losses[0], NULL, diff), DEV_OK, "scores");
	for (size_t i = 0; i < 4; i++)
	{
		for (int side = 0; side < 2; side++)
		{
			for (size_t row = 0; row < BATCH; row++)
				moved[row * 4 + i] += side == 0 ? 0.01f : -0.02f;
			oracle.score(oracle.context, BATCH, moved, losses[side + 1], NULL, NULL);
		}
		for (size_t row = 0; row < BATCH; row++)
		{
			double		slope = ((double) losses[1][row] - (double) losses[2][row]) / 0.02;

			worst = fmax(worst, fabs(slope - (double) diff[row * 4 + i]) / (1 + fabs(slope)));
			moved[row * 4 + i] += 0.01f;
		}
	}
	CHECK(worst < 0.02, "mode %d, objective %d: gradients are those of the losses: %.4f", (int) mode, (int) trades, worst);
	for (size_t i = 0; i < toy->n_weights; i++)
		left = left && toy->diff_weights[i] == 7;
	CHECK(left, "the gradient of the weights is left alone");
	nn_run_forward(toy->run, toy->built.loss, NN_TRAIN, 1, 1, 0);
	nn_run_backward(toy->run, toy->built.loss, 1, NULL);
	left = true;
	for (size_t i = 0; i < toy->n_weights; i++)
		left = left && toy->diff_weights[i] == 7;
	CHECK(!left, "and the run goes on training afterwards");
	free(answers);
	free(seeds);
	dev_session_close(toy->session);
}

static void
test_divergence(void)
{
	static const NnMean scales[] = {NN_MEAN_BINARY, NN_MEAN_CLASSES, NN_MEAN_VALUE};
	float		clean[6];
	float		moved[6];
	float		diff_clean[6];
	float		diff_moved[6];

	for (size_t i = 0; i < 6; i++)
	{
		clean[i] = (float) dev_random_normal(5, 1, i);
		moved[i] = (float) dev_random_normal(5, 2, i);
	}
	for (int s = 0; s < 3; s++)
	{
		double		worst = 0;

		CHECK_NEAR(learn_divergence(scales[s], 2, 3, clean, clean, 1, NULL, NULL), 0, 1e-12, "nothing diverges from itself");
		CHECK(learn_divergence(scales[s], 2, 3, clean, moved, 2, diff_clean, diff_moved) > 0, "something else does");
		for (int i = 0; i < 12; i++)
		{
			float	   *at = i < 6 ? &clean[i] : &moved[i - 6];
			float		old = *at;
			double		up;
			double		down;

			*at = old + 0.01f;
			up = learn_divergence(scales[s], 2, 3, clean, moved, 1, NULL, NULL);
			*at = old - 0.01f;
			down = learn_divergence(scales[s], 2, 3, clean, moved, 1, NULL, NULL);
			*at = old;
			worst = fmax(worst, fabs(2 * (up - down) / 0.02 - (double) (i < 6 ? diff_clean[i] : diff_moved[i - 6])));
		}
		CHECK(worst < 1e-3, "scale %d: its gradients are right: %g", s, worst);
	}
	clean[0] = 1000;
	moved[0] = -1000;
	CHECK_NEAR(learn_divergence(NN_MEAN_BINARY, 1, 1, clean, moved, 1, diff_clean, diff_moved), 1000, 1e-9,
			   "large logits do not overflow");
}

/* ---- Tables ---- */

#define ROWS 60

/* The model's channels with every scaling; raw values far from the unit. */
static void
stretch_channels(DevSession *session, LearnModel *model)
{
	static const LearnScaling scalings[] = {LEARN_ROBUST, LEARN_STANDARD, LEARN_QUANTILE, LEARN_UNSCALED};

	for (int c = 0; c < model->n_channels; c++)
	{
		LearnChannel *channel = &model->channels[c];

		channel->scaling = scalings[c / 2 % 4];
		channel->center = (float) c;
		channel->scale = channel->scaling == LEARN_UNSCALED ? 1 : 0.4f;
		channel->fill = (float) c;
		if (channel->scaling != LEARN_QUANTILE)
			continue;
		channel->n_quantiles = 50;
		channel->quantiles = dev_alloc(session, 50, sizeof(float));
		for (int i = 0; i < 50; i++)
			channel->quantiles[i] = (float) (c + 0.1 * (i - 25) * fabs(i - 25.0) / 5);
	}
}

static LearnConstraint
draw_constraint(const LearnChannel *channel, uint64_t seed, uint64_t number, float *clean, const int32_t *codes)
{
	LearnConstraint constraint = learn_constraint_free();
	uint64_t	kind = dev_random_below(seed, 60, number, 8);

	constraint.mutable = kind != 0;
	if (channel->kind == LEARN_CATEGORY)
	{
		constraint.n_allowed = kind % 2 == 0 ? 3 : 0;
		constraint.allowed = codes;
		return constraint;
	}
	if (kind == 1 || kind == 2)
		constraint.low = (double) channel->center - 0.3;
	if (kind == 2 || kind == 3)
		constraint.high = (double) channel->center + 0.7;
	if (kind >= 4 && kind < 7)
	{
		static const double steps[] = {1, 0.1, 0.25};

		constraint.step = steps[kind - 4];
		constraint.low = -10 * constraint.step;
		if (!isnan(*clean))
			*clean = (float) (rint((double) *clean / constraint.step) * constraint.step);
	}
	return constraint;
}

/* Random models, constraints and attacks: every row that comes back is allowed, and judged as it is. */
static void
test_constraints(void)
{
	static const int32_t codes[] = {0, 2, 3};
	static const ModelSpec specs[] = {
		{.architecture = LEARN_MLP, .task = LEARN_BINARY, .n_columns = 16, .depth = 2, .width = 16, .activation = DEV_MAP_SILU, .seed = 1},
		{.architecture = LEARN_TABM, .task = LEARN_MULTICLASS, .n_columns = 9, .n_outputs = 3, .depth = 2, .width = 16, .members = 3,
		.activation = -1, .n_nets = 2, .seed = 2},
		{.architecture = LEARN_LINEAR, .task = LEARN_BINARY, .n_columns = 8, .activation = -1, .seed = 3}
	};
	size_t		n_moved = 0;
	size_t		n_choices = 0;

	for (uint64_t trial = 0; trial < 18; trial++)
	{
		DevSession *session = open_session();
		LearnModel *model;
		LearnPredictor *predictor;
		LearnPredictorOracle *judge;
		LearnTableAttacker *attacker;
		LearnRowOracle oracle;
		LearnConstraint constraints[17];
		LearnTableAttack how = {
			.numbers = learn_attack_judge(trial % 2 == 0 ? LEARN_NORM_MAX : LEARN_NORM_L2, 0.2 + 0.2 * (double) (trial % 5), 6, 2),
			.rounds = 2, .max_changes = (int) (trial % 3), .max_codes = trial % 4 == 0 ? 2 : 0
		};
		float		raw[ROWS * 17];
		float		changed[ROWS * 17];
		float		labels[ROWS];
		float		losses[ROWS];
		float		epsilons[ROWS];
		uint8_t		fooled[ROWS];
		double		scores[ROWS * 3];
		bool		allowed = true;
		bool		judged = true;
		size_t		width;

		CHECK_STATUS(session, make_model(session, &specs[trial % 3], &model), DEV_OK, "a model");
		stretch_channels(session, model);
		width = (size_t) model->n_channels;
		make_rows(model, ROWS, trial, raw);
		for (size_t i = 0; i < ROWS * width; i++)
			if (model->channels[i % width].kind == LEARN_NUMBER)
				raw[i] += model->channels[i % width].center;
		for (size_t c = 0; c < width; c++)
			for (size_t row = 0; row < ROWS; row++)
				constraints[c] = draw_constraint(&model->channels[c], trial, c, &raw[row * width + c], codes);
		for (size_t row = 0; row < ROWS; row++)
		{
			labels[row] = (float) (row % (size_t) model->n_classes);
			epsilons[row] = row % 7 == 0 ? 0 : (float) (how.numbers.epsilon * dev_random_uniform(trial, 9, row));
		}
		CHECK_STATUS(session, learn_constraints_check(session, model->channels, model->n_channels, constraints), DEV_OK,
					 "constraints");
		CHECK_STATUS(session, learn_predictor_create(session, model, 32, &predictor), DEV_OK, "a predictor");
		CHECK_STATUS(session, learn_predictor_oracle_create(predictor, 0, &judge), DEV_OK, "its oracle");
		learn_predictor_oracle_set(judge, labels);
		oracle = learn_predictor_oracle(judge);
		CHECK_STATUS(session, learn_table_attacker_create(session, model->channels, model->n_channels, constraints,
														  model->n_numbers, model->n_codes, ROWS, &attacker), DEV_OK, "an attacker");
		CHECK_STATUS(session, learn_table_attack(attacker, &how, &oracle, ROWS, raw, trial % 2 == 0 ? epsilons : NULL, 1, 0,
												 changed, losses, trial % 3 == 0 ? fooled : NULL), DEV_OK, "an attack");
		learn_predict_scores(predictor, ROWS, changed, NULL, scores);
		for (size_t row = 0; row < ROWS; row++)
		{
			double		epsilon = trial % 2 == 0 ? (double) epsilons[row] : how.numbers.epsilon;
			double		own = model->task == LEARN_BINARY ? 0 : scores[row * 3 + (size_t) labels[row]];
			double		loss = model->task == LEARN_BINARY ? (labels[row] > 0.5f ? -scores[row] : scores[row]) : log1p(-exp(own)) - own;

			allowed = allowed && row_allowed(model->channels, model->n_channels, constraints, how.numbers.norm, epsilon,
												   how.max_changes, raw + row * width, changed + row * width);
			judged = judged && fabs(loss - (double) losses[row]) < 1e-4 * (1 + fabs(loss));
			for (size_t c = 0; c < width; c++)
			{
				bool		differs = changed[row * width + c] != raw[row * width + c] && !isnan(raw[row * width + c]);

				n_moved += differs && model->channels[c].kind == LEARN_NUMBER;
				n_choices += differs && model->channels[c].kind == LEARN_CATEGORY;
			}
		}
		CHECK(allowed, "trial %d: every row is allowed", (int) trial);
		CHECK(judged, "and was judged as it came back");
		dev_session_close(session);
	}
	CHECK(n_moved > 2000 && n_choices > 100, "numbers (%zu) and categories (%zu) were changed", n_moved, n_choices);
}

static void
test_allowed(void)
{
	LearnChannel channels[2] = {
		{.name = (char *) "dose", .kind = LEARN_NUMBER, .scaling = LEARN_STANDARD, .scale = 0.5f, .number_input = 0},
		{.name = (char *) "drug", .kind = LEARN_CATEGORY, .n_categories = 3, .number_input = NN_NONE}
	};
	static const int32_t codes[] = {0, 2};
	LearnConstraint constraints[2] = {{.mutable = true, .low = 0, .high = 0.7, .step = 0.1},
		{.mutable = true, .n_allowed = 2, .allowed = codes}};
	static const struct { float clean[2]; float changed[2]; int changes; bool allowed; } cases[] = {
		{{0.3f, 0}, {0.3f, 0}, 0, true}, {{0.3f, 0}, {0.7f, 0}, 0, true}, {{0.3f, 0}, {0.8f, 0}, 0, false},
		{{0.3f, 0}, {0.35f, 0}, 0, false}, {{0.35f, 0}, {0.35f, 0}, 0, true}, {{0.3f, 0}, {-0.1f, 0}, 0, false},
		{{0.3f, 0}, {NAN, 0}, 0, false}, {{NAN, 0}, {NAN, 0}, 0, true}, {{NAN, 0}, {0.3f, 0}, 0, false},
		{{0.3f, 0}, {0.3f, 2}, 1, true}, {{0.3f, 0}, {0.3f, 2}, 0, false}, {{0.3f, 0}, {0.3f, 1}, 1, false},
		{{0.3f, 1}, {0.3f, 1}, 1, true}, {{0.3f, 0}, {0.3f, 2.5f}, 1, false}, {{0.3f, 0}, {0.3f, NAN}, 1, false}
	};
	DevSession *session = open_session();

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK(row_allowed(channels, 2, constraints, LEARN_NORM_MAX, 1, cases[i].changes, cases[i].clean,
								cases[i].changed) == cases[i].allowed, "case %d is %s", (int) i,
			  cases[i].allowed ? "allowed" : "not allowed");
	CHECK(!row_allowed(channels, 2, constraints, LEARN_NORM_MAX, 0, 1, cases[9].clean, cases[9].changed),
		  "at epsilon 0 no category may change either");
	CHECK(!row_allowed(channels, 2, constraints, LEARN_NORM_MAX, 0.1, 0, cases[1].clean, cases[1].changed),
		  "nor is what is too far: 0.4 is 0.2 units");
	CHECK(learn_legal_value(&constraints[0], 1, 0.3f, 0.66, false) == 0.7f &&
		  learn_legal_value(&constraints[0], 1, 0.3f, 0.66, true) == 0.6f &&
		  learn_legal_value(&constraints[0], 1, 0.3f, 0.96, false) == 0.7f &&
		  learn_legal_value(&constraints[0], 0.05, 0.3f, 0.96, false) == 0.3f, "values go to allowed ones in reach");
	constraints[0].step = 0;
	for (int i = 0; i < 1000; i++)
	{
		double		wanted = dev_random_uniform(1, 1, (uint64_t) i) * 2 - 0.5;
		float		value = learn_legal_value(&constraints[0], 0.33, 0.4f, wanted, i % 2 == 0);

		if (!((double) value >= 0 && (double) value <= 0.7 && fabs((double) value - (double) 0.4f) <= 0.33))
			CHECK(false, "value %.9g for %.9g is within bounds to the last bit", (double) value, wanted);
	}
	CHECK_STATUS(session, learn_constraints_check(session, channels, 2, constraints), DEV_OK, "constraints pass");
	constraints[0].low = 1;
	CHECK_STATUS(session, learn_constraints_check(session, channels, 2, constraints), DEV_INVALID, "bounds crossed do not");
	CHECK(strstr(dev_message_text(session), "\"dose\"") != NULL, "and the column is named");
	constraints[0] = learn_constraint_free();
	constraints[0].step = -1;
	CHECK_STATUS(session, learn_constraints_check(session, channels, 2, constraints), DEV_INVALID, "nor a negative step");
	constraints[0] = learn_constraint_free();
	channels[1].n_categories = 2;
	CHECK_STATUS(session, learn_constraints_check(session, channels, 2, constraints), DEV_INVALID, "nor unknown categories");
	dev_session_close(session);
}

/* The box of encoded numbers holds every encoded row within reach, and not much more. */
static void
test_box(void)
{
	ModelSpec	spec = {.architecture = LEARN_LINEAR, .task = LEARN_BINARY, .n_columns = 16, .activation = -1, .seed = 4};
	DevSession *session = open_session();
	LearnModel *model;
	LearnConstraint constraints[17];
	float		raw[17];
	float		moved[17];
	float		numbers[16];
	float		other[16];
	float		low[16];
	float		high[16];
	int32_t		codes[16];
	double		outside = 0;
	double		slack = 0;
	bool		fixed = true;

	CHECK_STATUS(session, make_model(session, &spec, &model), DEV_OK, "a model");
	stretch_channels(session, model);
	for (int c = 0; c < model->n_channels; c++)
		constraints[c] = learn_constraint_free();
	constraints[0].mutable = false;
	constraints[4].high = 4.5;
	for (uint64_t trial = 0; trial < 300; trial++)
	{
		make_rows(model, 1, trial, raw);
		for (int c = 0; c < model->n_channels; c++)
			raw[c] += model->channels[c].kind == LEARN_NUMBER ? model->channels[c].center : 0;
		raw[4] = fminf(raw[4], 4.5f);
		learn_encode_row(model->channels, model->n_channels, raw, numbers, codes);
		learn_table_box(model->channels, model->n_channels, constraints, 0.5, 1, model->n_numbers, numbers, low, high);
		for (int side = 0; side < 3; side++)
		{
			memcpy(moved, raw, sizeof(raw));
			for (int c = 1; c < model->n_channels; c++)
				if (model->channels[c].kind == LEARN_NUMBER && !isnan(raw[c]))
					moved[c] += (float) (learn_channel_unit(&model->channels[c]) *
										 (side == 0 ? -0.5 : side == 1 ? 0.5 : dev_random_uniform(4, (uint64_t) c, trial) - 0.5));
			moved[4] = fminf(moved[4], 4.5f);
			learn_encode_row(model->channels, model->n_channels, moved, other, codes);
			for (size_t i = 0; i < model->n_numbers; i++)
			{
				outside = fmax(outside, fmax((double) low[i] - (double) other[i], (double) other[i] - (double) high[i]));
				slack = fmax(slack, side == 0 ? (double) other[i] - (double) low[i] : side == 1 ? (double) high[i] - (double) other[i] : 0);
			}
		}
		fixed = fixed && low[0] == numbers[0] && high[0] == numbers[0];
	}
	CHECK(outside < 2e-3, "the box holds what is in reach: %g outside", outside);
	CHECK(slack < 2e-3, "and ends there: %g", slack);
	CHECK(fixed, "what cannot change has no room");
	dev_session_close(session);
}

/* The predictor's gradient by finite differences, for blends and every task. */
static void
test_predictor(void)
{
	static const ModelSpec specs[] = {
		{.architecture = LEARN_MLP, .task = LEARN_BINARY, .n_columns = 9, .depth = 2, .width = 16, .activation = DEV_MAP_SILU, .n_nets = 3, .seed = 1},
		{.architecture = LEARN_TABM, .task = LEARN_MULTICLASS, .n_columns = 8, .n_outputs = 4, .depth = 2, .width = 16, .members = 3,
		.activation = DEV_MAP_GELU, .n_nets = 2, .seed = 2},
		{.architecture = LEARN_MLP, .task = LEARN_REGRESSION, .n_columns = 6, .n_outputs = 2, .depth = 2, .width = 8,
		.activation = DEV_MAP_TANH, .seed = 3},
		{.architecture = LEARN_MLP, .task = LEARN_SURVIVAL, .n_columns = 6, .depth = 2, .width = 8, .activation = -1, .seed = 3}
	};

	for (int s = 0; s < 4; s++)
	{
		DevSession *session = open_session();
		LearnModel *model;
		LearnPredictor *predictor;
		LearnPredictorOracle *judge;
		LearnRowOracle oracle;
		float		raw[50 * 10];
		float		labels[50 * 2];
		float	   *numbers;
		int32_t    *codes;
		float	   *diff;
		float		losses[3][50];
		uint8_t		wrong[50];
		double		worst = 0;
		int			n_wrong = 0;

		CHECK_STATUS(session, make_model(session, &specs[s], &model), DEV_OK, "a model");
		CHECK_STATUS(session, learn_predictor_create(session, model, 50, &predictor), DEV_OK, "a predictor");
		if (specs[s].task == LEARN_SURVIVAL || specs[s].task == LEARN_REGRESSION)
			CHECK_STATUS(session, learn_predictor_oracle_create(predictor, 0, &judge), DEV_INVALID, "no oracle");
		if (specs[s].task == LEARN_SURVIVAL)
		{
			dev_session_close(session);
			continue;
		}
		CHECK_STATUS(session, learn_predictor_oracle_create(predictor, 0.5, &judge), DEV_OK, "an oracle");
		make_rows(model, 50, 3, raw);
		learn_predictor_encode(predictor, 50, raw, NULL, 0);
		numbers = dev_alloc(session, 50 * model->n_numbers, sizeof(float));
		codes = dev_alloc(session, 50 * model->n_codes + 1, sizeof(int32_t));
		diff = dev_alloc(session, 50 * model->n_numbers, sizeof(float));
		memcpy(numbers, predictor->numbers, 50 * model->n_numbers * sizeof(float));
		memcpy(codes, predictor->codes, 50 * model->n_codes * sizeof(int32_t));
		for (int i = 0; i < 100; i++)
			labels[i] = model->task == LEARN_REGRESSION ? 50.0f + (float) (i % 7) : (float) (i % model->n_classes);
		learn_predictor_oracle_set(judge, labels);
		oracle = learn_predictor_oracle(judge);
		CHECK_STATUS(session, oracle.score(oracle.context, 50, numbers, codes, losses[0], wrong, diff), DEV_OK, "scores");
		for (size_t i = 0; i < model->n_numbers; i++)
		{
			for (int side = 0; side < 2; side++)
			{
				for (size_t row = 0; row < 50; row++)
					numbers[row * model->n_numbers + i] += side == 0 ? 0.004f : -0.008f;
				oracle.score(oracle.context, 50, numbers, codes, losses[side + 1], NULL, NULL);
			}
			for (size_t row = 0; row < 50; row++)
			{
				double		slope = ((double) losses[1][row] - (double) losses[2][row]) / 0.008;

				worst = fmax(worst, fabs(slope - (double) diff[row * model->n_numbers + i]) / (1 + fabs(slope)));
				numbers[row * model->n_numbers + i] += 0.004f;
			}
		}
		for (int row = 0; row < 50; row++)
			n_wrong += wrong[row];
		CHECK(worst < 0.02, "model %d: gradients are those of the losses: %.4f", s, worst);
		CHECK(n_wrong > 0 && n_wrong < 50, "some answers are wrong, some are not: %d", n_wrong);
		dev_session_close(session);
	}
}

static void
test_memory(void)
{
	ModelSpec	spec = {.architecture = LEARN_LINEAR, .task = LEARN_BINARY, .n_columns = 6, .activation = -1, .seed = 4};
	DevSession *lender = open_session();
	LearnModel *model;
	LearnConstraint constraints[7];
	bool		done = false;

	CHECK_STATUS(lender, make_model(lender, &spec, &model), DEV_OK, "a model");
	for (int c = 0; c < model->n_channels; c++)
		constraints[c] = learn_constraint_free();
	for (size_t fail_at = 1; !done && fail_at < 100; fail_at++)
	{
		CheckHost	host;
		DevHost		lent = check_host(&host, fail_at);
		DevSession *session;
		LearnTableAttacker *attacker;
		DevStatus	status;

		if (dev_session_open(&lent, 1, &session) != DEV_OK)
			continue;
		status = learn_table_attacker_create(session, model->channels, model->n_channels, constraints, model->n_numbers,
											 model->n_codes, 8, &attacker);
		done = status == DEV_OK;
		if (status != DEV_OK && (status != DEV_NO_MEMORY || attacker != NULL))
			CHECK(false, "allocation %zu fails cleanly", fail_at);
		learn_table_attacker_free(attacker);
		dev_session_close(session);
		if (host.held != 0)
			CHECK(false, "everything was given back");
	}
	CHECK(done, "an attacker needs some allocations, each of which may fail");
	dev_session_close(lender);
}

int
main(void)
{
	test_plane();
	test_bounds();
	test_check();
	test_divergence();
	test_strength(LEARN_BINARY, LEARN_MLP, LEARN_NORM_MAX, 0.25);
	test_strength(LEARN_MULTICLASS, LEARN_MLP, LEARN_NORM_L2, 0.3);
	test_run(NN_INFER, false, LEARN_MLP);
	test_run(NN_TRAIN, false, LEARN_TABM);
	test_run(NN_INFER, true, LEARN_TABM);
	test_run(NN_TRAIN, true, LEARN_MLP);
	test_allowed();
	test_constraints();
	test_box();
	test_predictor();
	test_memory();
	return check_done();
}

/*
 * test_windows.c: signals seen a window at a time: which samples a window has; answers as the means of those for windows, whoever is
 * answered beside; derivatives against differences; explanations that add up over the whole signal; training, judging and solving.
 */
#include "models.h"

#include "check_fields.h"

#include "idla/learn_robust.h"
#include "learn/explain.h"
#include "learn/field.h"
#include "learn/trainer.h"
#include "learn/windows.h"

#define WINDOW 16
#define STRIDE 6
#define LEADS 2
#define ROWS 7
#define LONGEST 90

static const LearnField windowed = {.name = "ecg", .kind = LEARN_SIGNAL, .sample = LEARN_SAMPLE_F32, .dims = {WINDOW, LEADS, 0}, .stride = STRIDE};
static const LearnField two[] = {
	{.name = "ecg", .kind = LEARN_SIGNAL, .sample = LEARN_SAMPLE_F32, .dims = {WINDOW, LEADS, 0}, .stride = STRIDE},
	{.name = "flow", .kind = LEARN_SIGNAL, .sample = LEARN_SAMPLE_F32, .dims = {10, 1, 0}, .stride = 10}
};

static const ModelSpec specs[] = {
	{.architecture = LEARN_FCN, .task = LEARN_BINARY, .n_columns = 3, .depth = 2, .width = 6, .activation = -1, .fields = &windowed,
	.n_fields = 1, .seed = 21},
	{.architecture = LEARN_FCN, .task = LEARN_MULTICLASS, .n_columns = 2, .n_outputs = 3, .depth = 2, .width = 6, .activation = -1,
	.n_nets = 2, .fields = &windowed, .n_fields = 1, .seed = 22},
	{.architecture = LEARN_GRU, .task = LEARN_REGRESSION, .n_columns = 2, .n_outputs = 2, .depth = 1, .width = 6, .activation = -1,
	.fields = &windowed, .n_fields = 1, .seed = 23},
	{.architecture = LEARN_TRANSFORMER, .task = LEARN_BINARY, .depth = 1, .width = 8, .activation = -1, .n_nets = 2, .fields = &windowed,
	.n_fields = 1, .seed = 24},
	{.architecture = LEARN_FCN, .task = LEARN_SURVIVAL, .n_columns = 2, .depth = 2, .width = 6, .activation = -1, .fields = two, .n_fields = 2,
	.seed = 25},
	{.architecture = LEARN_FCN, .task = LEARN_MULTILABEL, .n_columns = 1, .n_outputs = 2, .depth = 2, .width = 6, .activation = -1,
	.fields = two, .n_fields = 2, .seed = 26}
};

#define N_SPECS (sizeof(specs) / sizeof(specs[0]))

/* ---- Windows of a field ---- */

static void
test_cuts(void)
{
	float		samples[LONGEST * LEADS];
	LearnBytes	whole = {samples, 30 * LEADS * sizeof(float)};
	LearnBytes	shorter = {samples, 9 * LEADS * sizeof(float)};
	LearnField	plain = windowed;
	bool		seen[15] = {false};
	bool		all = true;

	plain.stride = 0;
	CHECK(learn_field_windows(&windowed, whole.size) == 4 && learn_field_windows(&windowed, shorter.size) == 1 &&
		  learn_field_windows(&windowed, 0) == 1 && learn_field_windows(&plain, whole.size) == 1, "windows are counted");
	CHECK(learn_field_window(&windowed, whole, 1, 4).bytes == samples + STRIDE * LEADS &&
		  learn_field_window(&windowed, whole, 1, 4).size == WINDOW * LEADS * sizeof(float), "a window lies in its signal");
	CHECK(learn_field_window(&windowed, whole, 3, 4).bytes == samples + 14 * LEADS, "the last ends with it");
	CHECK(learn_field_window(&windowed, whole, 7, 8).bytes == samples + 14 * LEADS &&
		  learn_field_window(&windowed, whole, 1, 8).bytes == samples, "among more windows it stays in step");
	CHECK(learn_field_window(&windowed, shorter, 0, 4).size == shorter.size && learn_field_window(&plain, whole, 2, 4).size == whole.size,
		  "what is one window is seen whole");
	CHECK(learn_field_window(&windowed, (LearnBytes) {NULL, 0}, 1, 2).bytes == NULL, "a missing signal stays missing");
	for (uint64_t counter = 0; counter < 400; counter++)
	{
		LearnBytes	drawn = learn_field_window_drawn(&windowed, whole, 5, counter);
		size_t		start = (size_t) ((const float *) drawn.bytes - samples) / LEADS;

		CHECK_OR_STOP(drawn.size == WINDOW * LEADS * sizeof(float) && start < 15, "a drawn window is one: %zu", start);
		seen[start] = true;
	}
	for (int i = 0; i < 15; i++)
		all = all && seen[i];
	CHECK(all, "it may lie anywhere");
	CHECK(learn_field_window_drawn(&windowed, whole, 5, 77).bytes == learn_field_window_drawn(&windowed, whole, 5, 77).bytes &&
		  learn_field_window_drawn(&windowed, shorter, 5, 77).size == shorter.size &&
		  learn_field_window_drawn(&plain, whole, 5, 77).size == whole.size, "the same each time, and whole where there is one");
}

static void
test_taking(void)
{
	size_t		n = LEARN_SIGNAL_MOST_WINDOWS + 1;
	float	   *long_one = calloc(n, sizeof(float));
	LearnField	field = {.kind = LEARN_SIGNAL, .sample = LEARN_SAMPLE_F32, .dims = {1, 1, 0}, .stride = 1};
	LearnTrouble trouble;
	void	   *taken;
	size_t		size;

	CHECK(!learn_field_take_signal(&field, n, 1, long_one, &taken, &size, &trouble) && taken == NULL &&
		  trouble.status == DEV_BAD_DATA && strstr(trouble.message, "makes 16385 windows") != NULL && trouble.hint[0] != '\0',
		  "too many windows are refused: %s", trouble.message);
	CHECK(learn_field_take_signal(&field, n - 1, 1, long_one, &taken, &size, &trouble), "one less is not");
	free(taken);
	field.rate = 2;
	field.to_rate = 1;
	CHECK(learn_field_take_signal(&field, n, 1, long_one, &taken, &size, &trouble), "what counts is what there is at the new rate");
	free(taken);
	free(long_one);
}

/* ---- Means ---- */

static double
logistic(double x)
{
	return 1 / (1 + exp(-x));
}

/* Means of probabilities, however they come; and their derivatives. */
static void
test_means(void)
{
	const double offset[] = {0.4, -0.3, 0.1};
	const double far[] = {-900, 900, 3};
	const double weights[] = {0.7, -1.1, 0.4};

	for (int kind = 0; kind < 3; kind++)
	{
		LearnWindowing windowing = {.linear = kind == 2, .classes = kind == 1, .n_outputs = 3, .offset = offset};
		double		values[4][3];
		double		row[3];
		double		wanted[3] = {0};
		double		apart = 0;

		for (int w = 0; w < 4; w++)
		{
			double		total = 0;

			for (int i = 0; i < 3; i++)
			{
				values[w][i] = 2 * dev_random_normal(7, (uint64_t) kind, (uint64_t) (3 * w + i));
				total += exp(values[w][i] + offset[i]);
			}
			for (int i = 0; i < 3; i++)
				wanted[i] += (kind == 0 ? logistic(values[w][i] + offset[i]) : kind == 1 ? exp(values[w][i] + offset[i]) / total : values[w][i]) / 4;
		}
		for (int w = 0; w < 4; w++)
		{
			double		used[3];

			memcpy(used, values[w], sizeof(used));
			learn_windows_add(&windowing, (size_t) w, used, row);
		}
		for (int i = 0; i < 3; i++)
			apart = fmax(apart, fabs((kind == 0 ? logistic(row[i] + offset[i]) : kind == 1 ? exp(row[i] + offset[i]) : row[i]) - wanted[i]));
		CHECK(apart < 1e-12, "kind %d: the mean over windows: %g", kind, apart);

		for (int w = 0; w < 4; w++)
		{
			double		diff[3];

			learn_windows_gradient(&windowing, 4, values[w], row, weights, diff);
			for (int i = 0; i < 3; i++)
			{
				double		sums[2] = {0};

				for (int side = 0; side < 2; side++)
				{
					double		moved[3];

					for (int v = 0; v < 4; v++)
					{
						double		used[3];

						memcpy(used, values[v], sizeof(used));
						if (v == w)
							used[i] += side == 0 ? -1e-5 : 1e-5;
						learn_windows_add(&windowing, (size_t) v, used, moved);
					}
					for (int j = 0; j < 3; j++)
						sums[side] += weights[j] * moved[j];
				}
				CHECK(fabs((sums[1] - sums[0]) / 2e-5 - diff[i]) < 1e-8, "kind %d, window %d, output %d: %g for %g", kind, w, i, diff[i],
					  (sums[1] - sums[0]) / 2e-5);
			}
		}
		for (int w = 0; w < 4; w++)
		{
			double		used[3];

			memcpy(used, far, sizeof(used));
			learn_windows_add(&windowing, (size_t) w, used, row);
		}
		CHECK(isfinite(row[0]) && isfinite(row[1]) && row[1] > 600 * (kind != 1) && row[0] < -600,
			  "kind %d: what is certain stays finite: %g, %g", kind, row[0], row[1]);
		{
			double		none[3] = {NAN, NAN, NAN};

			learn_windows_add(&windowing, 4, none, row);
			CHECK(isnan(row[0]) && isnan(row[2]), "kind %d: what is no number does not become one", kind);
		}
	}
}

/* ---- Answers ---- */

/* Signals of all lengths, some missing; fields (ROWS, n_fields). */
static LearnBytes *
make_signals(DevSession *session, const LearnModel *model, uint64_t seed)
{
	size_t		n_fields = (size_t) model->n_fields;
	LearnBytes *fields = dev_alloc(session, ROWS * n_fields, sizeof(LearnBytes));

	CHECK_OR_STOP(fields != NULL, "memory for fields");
	for (size_t row = 0; row < ROWS; row++)
		for (size_t i = 0; i < n_fields; i++)
		{
			size_t		leads = model->fields[i].dims[1];
			size_t		n = (5 + row * 13 + i * 40) % LONGEST * leads;
			float	   *values = dev_alloc(session, n + 1, sizeof(float));

			CHECK_OR_STOP(values != NULL, "memory for a signal");
			for (size_t j = 0; j < n; j++)
				values[j] = (float) model_normal(seed + row, 3000000 + i * 1000 + j);
			fields[row * n_fields + i] = row == 3 && i == 0 ? (LearnBytes) {NULL, 0} : (LearnBytes) {values, n * sizeof(float)};
		}
	return fields;
}

/* A row's outputs from those of its windows, each answered for as a row of its own. */
static void
by_windows(LearnPredictor *predictor, const LearnModel *model, const float *raw, const LearnBytes *fields, double *scores)
{
	size_t		n_outputs = learn_model_outputs(model);
	double		sums[2][8] = {0};
	size_t		n = 1;

	for (int i = 0; i < model->n_fields; i++)
	{
		size_t		own = learn_field_windows(&model->fields[i], fields[i].size);

		n = own > n ? own : n;
	}
	for (size_t window = 0; window < n; window++)
	{
		LearnBytes	views[2];

		for (int i = 0; i < model->n_fields; i++)
			views[i] = learn_field_window(&model->fields[i], fields[i], window, n);
		CHECK_OR_STOP(learn_predict_scores(predictor, 1, raw, views, scores) == DEV_OK, "a window is answered for");
		for (size_t i = 0; i < n_outputs; i++)
		{
			bool		odds = model->task == LEARN_BINARY || model->task == LEARN_MULTILABEL;

			sums[0][i] += (odds ? logistic(scores[i]) : model->task == LEARN_MULTICLASS ? exp(scores[i]) : scores[i]) / (double) n;
			sums[1][i] += logistic(-scores[i]) / (double) n;
		}
	}
	for (size_t i = 0; i < n_outputs; i++)
		scores[i] = model->task == LEARN_BINARY || model->task == LEARN_MULTILABEL ? log(sums[0][i] / sums[1][i]) :
			model->task == LEARN_MULTICLASS ? log(sums[0][i]) : sums[0][i];
}

static void
test_answers(const ModelSpec *spec, size_t number)
{
	DevSession *session;
	LearnModel *model;
	LearnPredictor *narrow;
	LearnPredictor *wide;
	LearnBytes *fields;
	float	   *raw;
	double		together[ROWS * 8];
	double		alone[8];
	double		apart = 0;
	bool		same = true;
	size_t		n;

	CHECK_OR_STOP(dev_session_open(NULL, 3, &session) == DEV_OK, "a session opens");
	CHECK_OR_STOP(make_model(session, spec, &model) == DEV_OK, "a model is made");
	model->temperature = 1;
	n = learn_model_outputs(model);
	raw = dev_alloc(session, ROWS * (size_t) model->n_channels + 1, sizeof(float));
	CHECK_OR_STOP(raw != NULL && learn_predictor_create(session, model, 1, &narrow) == DEV_OK &&
				  learn_predictor_create(session, model, 5, &wide) == DEV_OK, "predictors open");
	make_rows(model, ROWS, spec->seed, raw);
	fields = make_signals(session, model, spec->seed);
	CHECK_STATUS(session, learn_predict_scores(wide, ROWS, raw, fields, together), DEV_OK, "model %zu answers", number);
	for (size_t row = 0; row < ROWS; row++)
	{
		const float *own = raw + row * (size_t) model->n_channels;
		const LearnBytes *its = fields + row * (size_t) model->n_fields;

		CHECK_OR_STOP(learn_predict_scores(narrow, 1, own, its, alone) == DEV_OK, "a row alone");
		same = same && memcmp(alone, together + row * n, n * sizeof(double)) == 0;
		by_windows(narrow, model, own, its, alone);
		for (size_t i = 0; i < n; i++)
			apart = fmax(apart, fabs(alone[i] - together[row * n + i]));
	}
	CHECK(same, "model %zu: neighbours and the size of passes change no bit", number);
	CHECK(apart < 1e-9, "model %zu: an answer is the mean of the windows' answers: %g", number, apart);
	dev_session_close(session);
}

/* ---- Explanations ---- */

static void
test_explanations(const ModelSpec *spec, size_t number)
{
	DevSession *session;
	LearnModel *model;
	LearnPredictor *predictor;
	LearnBytes *fields;
	float	   *raw;

	CHECK_OR_STOP(dev_session_open(NULL, 3, &session) == DEV_OK, "a session opens");
	CHECK_OR_STOP(make_model(session, spec, &model) == DEV_OK, "a model is made");
	raw = dev_alloc(session, ROWS * (size_t) model->n_channels + 1, sizeof(float));
	CHECK_OR_STOP(raw != NULL && learn_predictor_create(session, model, 3, &predictor) == DEV_OK, "a predictor opens");
	make_rows(model, ROWS, spec->seed, raw);
	fields = make_signals(session, model, spec->seed);
	for (size_t row = 0; row < ROWS; row += 2)
	{
		const float *own = raw + row * (size_t) model->n_channels;
		const LearnBytes *its = fields + row * (size_t) model->n_fields;
		size_t		places = learn_field_places(&model->fields[0], its[0]);
		double		unit = spec->task == LEARN_REGRESSION ? model->target_scale[0] : 1;
		double		columns[8];
		double		shapley[8];
		double		parts[LONGEST * LEADS + 1];
		double		segments[4];
		int			segment_of[LONGEST * LEADS];
		double		scores[8];
		double		score;
		double		baseline;
		double		error;
		double		sum = 0;
		double		thirds[3] = {0};

		CHECK_STATUS(session, learn_explain(predictor, own, its, &(LearnExplain) {.tolerance = 2e-4}, columns, &score, &baseline, &error), DEV_OK,
					 "model %zu, row %zu is explained", number, row);
		CHECK(error < 5e-4 * unit, "completely: %g of %g", error, score - baseline);
		CHECK_OR_STOP(learn_predict_scores(predictor, 1, own, its, scores) == DEV_OK, "and answered for");
		CHECK_NEAR(score, spec->task == LEARN_MULTICLASS ? scores[0] - log1p(-exp(scores[0])) : scores[0], 1e-5 * unit, "the score is the prediction's");
		CHECK_STATUS(session, learn_explain(predictor, own, its, &(LearnExplain) {.method = LEARN_SHAPLEY, .exact = 8}, shapley, &score, &baseline,
											&error), DEV_OK, "Shapley's way");
		CHECK(error < 1e-6 * unit, "which is complete, too: %g", error);
		CHECK_STATUS(session, learn_explain(predictor, own, its, &(LearnExplain) {.tolerance = 2e-4, .by_parts = true}, parts, &score, &baseline,
											&error), DEV_OK, "its samples");
		CHECK(error < 5e-4 * unit, "completely: %g", error);
		for (size_t i = 0; i < places; i++)
		{
			segment_of[i] = (int) (3 * i / places);
			thirds[segment_of[i]] += parts[i];
			sum += parts[i];
		}
		CHECK(fabs(sum - columns[model->fields[0].column]) < 5e-3 * unit, "samples of all windows make up the column: %g, %g", sum,
			  columns[model->fields[0].column]);
		CHECK_STATUS(session, learn_explain(predictor, own, its, &(LearnExplain) {.tolerance = 2e-4, .by_parts = true, .segment_of = segment_of,
											.n_segments = 3}, segments, &score, &baseline, &error), DEV_OK, "thirds of the signal");
		for (int i = 0; i < 3; i++)
			CHECK(fabs(segments[i] - thirds[i]) < 2e-3 * unit, "a segment is the sum of its samples: %g, %g", segments[i], thirds[i]);
		if (row == 6)
			CHECK(places > 3 * WINDOW * LEADS && segments[0] != 0 && segments[1] != 0 && segments[2] != 0, "all of a long signal is explained");
	}
	dev_session_close(session);
}

/* ---- Training ---- */

static LearnBytes
stored_of(FieldTable *table, size_t row)
{
	LearnBytes	stored;

	CHECK_OR_STOP(learn_dataset_field(table->dataset, 0, row, &stored) == DEV_OK, "a signal is read");
	return stored;
}

static DevStatus
train_windowed(DevSession *session, LearnArchitecture architecture, LearnTask task, int threads, FieldTable *table, LearnOutcome *outcome)
{
	FieldPlan	plan = {.signal = true, .columns = true, .task = task, .n = 240, .missing = 0.03};
	LearnNetwork network;
	LearnTraining training = {
		.optimizer = -1, .decay = -1, .momentum = -1, .schedule = -1, .warm_up = -1, .clip = -1, .average = -1, .calibrate = true,
		.linear = -1, .seed = 9, .threads = threads
	};

	CHECK_OR_STOP(field_table(session, &plan, table) == DEV_OK, "a table");
	for (int i = 0; i < table->model.n_fields; i++)
	{
		table->model.fields[i].dims[0] = 8;
		table->model.fields[i].stride = 4;
	}
	network = field_network(table, architecture, NULL);
	network.depth = architecture == LEARN_ROCKET ? 0 : 2;
	network.width = architecture == LEARN_ROCKET ? 168 : 8;
	if (architecture != LEARN_ROCKET)
	{
		training.epochs = 12;
		training.batch = 16;
		training.rate = 0.02;
		training.folds = 1;
	}
	return field_train(table, network, training, outcome);
}

static double
share_right(FieldTable *table, const double *scores)
{
	double		right = 0;
	double		n = 0;

	for (size_t row = 0; row < table->n; row++)
	{
		if (learn_dataset_parts(table->dataset)[row] == LEARN_TRAIN)
			continue;
		n++;
		right += (scores[row] > 0) == (learn_dataset_targets(table->dataset)[row] > 0.5f);
	}
	return right / n;
}

static void
test_training(LearnArchitecture architecture, double good)
{
	double		scores[2][240];

	for (int run = 0; run < 2; run++)
	{
		DevSession *session;
		FieldTable	table;
		LearnOutcome outcome;

		CHECK_OR_STOP(dev_session_open(NULL, 3, &session) == DEV_OK, "a session opens");
		CHECK_STATUS(session, train_windowed(session, architecture, LEARN_BINARY, 2, &table, &outcome), DEV_OK, "%s learns windows",
					 learn_architecture_names[architecture]);
		CHECK_STATUS(session, field_scores(&table, run == 0 ? 64 : 3, scores[run]), DEV_OK, "and answers");
		CHECK(share_right(&table, scores[run]) >= good, "well on rows it has not seen: %g", share_right(&table, scores[run]));
		field_table_close(&table);
		dev_session_close(session);
	}
	CHECK(memcmp(scores[0], scores[1], sizeof(scores[0])) == 0, "a second time the same, in whatever batches");
}

/* A solved rocket's answer is that for the mean of the windows' features, since its model is linear. */
static void
test_solving(void)
{
	DevSession *session;
	FieldTable	table;
	LearnOutcome outcome;
	double		scores[240];
	double		apart = 0;
	double		total = 0;

	CHECK_OR_STOP(dev_session_open(NULL, 3, &session) == DEV_OK, "a session opens");
	CHECK_STATUS(session, train_windowed(session, LEARN_ROCKET, LEARN_REGRESSION, 1, &table, &outcome), DEV_OK, "rocket is solved");
	CHECK(table.model.n_nets == 1 && outcome.steps == 0 && isfinite(outcome.validation_loss), "in no steps");
	CHECK_STATUS(session, field_scores(&table, 16, scores), DEV_OK, "and answers");
	for (size_t row = 0; row < 240; row++)
	{
		double		target = (double) learn_dataset_targets(table.dataset)[row] * table.scale[0] + table.mean[0];

		apart += fabs(scores[row] - target) / 240;
		total += fabs(target - table.mean[0]) / 240;
	}
	CHECK(apart < 0.4 * total, "well: %g of %g", apart, total);
	CHECK(learn_field_windows(&table.model.fields[0], stored_of(&table, 1).size) > 1, "of several windows");
	field_table_close(&table);
	dev_session_close(session);
}

/* What is judged while a network learns is what a predictor says. */
static void
test_judging(void)
{
	FieldPlan	plan = {.signal = true, .columns = true, .task = LEARN_MULTICLASS, .n = 60, .missing = 0.05};
	DevSession *session;
	FieldTable	table;
	LearnOutcome outcome;
	LearnNetwork network;
	LearnTraining training = {
		.optimizer = -1, .decay = -1, .momentum = -1, .schedule = -1, .warm_up = -1, .clip = -1, .average = 0, .epochs = 1, .batch = 16, .folds = 1,
		.linear = 0, .seed = 9, .threads = 2, .rate = 0.01
	};
	double		scores[60 * 3];
	double		loss = 0;
	size_t		n = 0;

	CHECK_OR_STOP(dev_session_open(NULL, 3, &session) == DEV_OK, "a session opens");
	CHECK_OR_STOP(field_table(session, &plan, &table) == DEV_OK, "a table");
	table.model.fields[0].dims[0] = 8;
	table.model.fields[0].stride = 3;
	network = field_network(&table, LEARN_FCN, NULL);
	network.depth = 2;
	network.width = 8;
	CHECK_STATUS(session, field_train(&table, network, training, &outcome), DEV_OK, "one epoch");
	CHECK_STATUS(session, field_scores(&table, 7, scores), DEV_OK, "answers");
	for (size_t row = 0; row < 60; row++)
	{
		if (learn_dataset_parts(table.dataset)[row] != LEARN_VALIDATION)
			continue;
		loss -= scores[row * 3 + (size_t) learn_dataset_targets(table.dataset)[row]];
		n++;
	}
	CHECK(n > 3, "rows validate");
	CHECK_NEAR(loss / (double) n, outcome.validation_loss, 1e-5, "the loss of the epoch is that of the answers");
	field_table_close(&table);
	dev_session_close(session);
}

/* ---- Attacks ---- */

static void
test_attacks(void)
{
	DevSession *session;
	LearnModel *model;
	LearnPredictor *predictor;
	LearnPredictorOracle *oracle;
	LearnRowClassifier *classifier;
	LearnAdversary adversary = {.method = LEARN_FGSM, .epsilon = 0.1, .steps = 1, .restarts = 1, .share = 0.5};

	CHECK_OR_STOP(dev_session_open(NULL, 3, &session) == DEV_OK, "a session opens");
	CHECK_OR_STOP(make_model(session, &specs[0], &model) == DEV_OK, "a model is made");
	CHECK_OR_STOP(learn_predictor_create(session, model, 2, &predictor) == DEV_OK, "a predictor opens");
	CHECK_STATUS(session, learn_predictor_oracle_create(predictor, 1, &oracle), DEV_INVALID, "a model of windows is not attacked");
	dev_session_close(session);
	CHECK_OR_STOP(dev_session_open(NULL, 3, &session) == DEV_OK, "a session opens");
	CHECK_OR_STOP(make_model(session, &specs[0], &model) == DEV_OK, "a model is made");
	CHECK_STATUS(session, learn_adversary_check(session, &adversary, model), DEV_INVALID, "nor trained against attacks");
	dev_session_close(session);
	CHECK_OR_STOP(dev_session_open(NULL, 3, &session) == DEV_OK, "a session opens");
	CHECK_OR_STOP(make_model(session, &specs[0], &model) == DEV_OK, "a model is made");
	CHECK_OR_STOP(learn_predictor_create(session, model, 2, &predictor) == DEV_OK, "a predictor opens");
	CHECK_STATUS(session, learn_row_classifier_create(predictor, NULL, &classifier), DEV_INVALID, "nor certified");
	dev_session_close(session);
}

int
main(void)
{
	test_cuts();
	test_taking();
	test_means();
	for (size_t i = 0; i < N_SPECS; i++)
	{
		test_answers(&specs[i], i);
		test_explanations(&specs[i], i);
	}
	test_training(LEARN_FCN, 0.85);
	test_training(LEARN_LSTM, 0.85);
	test_training(LEARN_ROCKET, 0.85);
	test_solving();
	test_judging();
	test_attacks();
	return check_done();
}

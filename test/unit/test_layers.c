/*
 * test_layers.c: encoders of images and signals, and every word of a layer text: what is built gives finite answers, the
 * gradient of its loss, and nothing of the padding; what cannot be is refused in words.
 */
#include "check.h"

#include "idla/learn_data.h"
#include "learn/architecture.h"
#include "learn/names.h"

#define ROWS 4
#define NUMBERS 3
#define HEIGHT 12
#define WIDTH 10
#define SAMPLES 20
#define LEADS 3

static int	cardinality[1] = {4};

/* ---- Networks over an image, a signal, or both ---- */

typedef struct Shape
{
	bool		image;
	bool		signal;
	bool		columns;
} Shape;

static LearnField fields[2];

static LearnNetwork
describe(LearnArchitecture architecture, const char *layers, Shape shape, LearnTask task)
{
	LearnNetwork network = {.architecture = architecture, .layers = (char *) layers, .dropout = -1, .activation = -1, .task = task,
	.n_outputs = task == LEARN_MULTICLASS ? 3 : task == LEARN_MULTILABEL || task == LEARN_REGRESSION ? 2 : 1, .fields = fields};

	if (architecture != LEARN_LAYERS)
	{
		network.width = 4;
		network.depth = architecture == LEARN_FCN || architecture == LEARN_CNN ? 2 : 1;
	}
	if (shape.image)
		fields[network.n_fields++] = (LearnField) {.kind = LEARN_IMAGE, .dims = {HEIGHT, WIDTH, 1}};
	if (shape.signal)
		fields[network.n_fields++] = (LearnField) {.kind = LEARN_SIGNAL, .sample = LEARN_SAMPLE_F32, .dims = {SAMPLES, LEADS, 0}};
	if (shape.columns)
	{
		network.n_numbers = NUMBERS;
		network.n_codes = 1;
		network.cardinality = cardinality;
	}
	return network;
}

typedef struct Running
{
	LearnNetwork network;
	LearnGraph	built;
	NnRun	   *run;
	size_t		n;
	float	   *weights;
	float	   *diff_weights;
} Running;

static DevStatus
start(DevSession *session, DevDevice *device, LearnNetwork network, Running *running)
{
	LearnLoss	loss = {0};
	DevStatus	status = learn_network_resolve(session, &network, 500);

	memset(running, 0, sizeof(*running));
	running->network = network;
	if (status == DEV_OK)
		status = learn_network_build(session, &network, &loss, &running->built);
	if (status != DEV_OK)
		return status;
	running->n = nn_graph_weights(running->built.graph);
	running->weights = dev_alloc(session, running->n, sizeof(float));
	running->diff_weights = dev_alloc(session, running->n, sizeof(float));
	if (running->weights == NULL || running->diff_weights == NULL)
		return DEV_NO_MEMORY;
	status = nn_run_create(running->built.graph, device, ROWS, NN_RUN_WHOLE, &running->run);
	if (status != DEV_OK)
		return status;
	nn_graph_initialize(running->built.graph, 3, running->weights);
	for (size_t i = 0; i < running->n; i++)
		if (running->weights[i] == 0)
			running->weights[i] = 0.05f * (float) dev_random_normal(5, DEV_STREAM_SAMPLE, i);
	nn_run_bind(running->run, running->weights, running->diff_weights);
	return DEV_OK;
}

static const int32_t lengths[ROWS] = {SAMPLES, 7, 1, 13};

/* Padding is filled with a value, to see that it makes no difference. */
static void
set_inputs(Running *running, float padding)
{
	float		numbers[ROWS * NUMBERS];
	int32_t		codes[ROWS] = {0, 1, 3, -1};

	for (int i = 0; i < ROWS * NUMBERS; i++)
		numbers[i] = (float) dev_random_normal(7, 1, (uint64_t) i);
	if (running->built.numbers != NN_NONE)
		nn_run_set(running->run, running->built.numbers, ROWS, numbers);
	if (running->built.codes != NN_NONE)
		nn_run_set_codes(running->run, running->built.codes, ROWS, codes);
	for (int f = 0; f < running->network.n_fields; f++)
	{
		bool		signal = fields[f].kind != LEARN_IMAGE;
		size_t		depth = fields[f].kind == LEARN_SERIES ? 3 * LEADS : LEADS;
		size_t		size = signal ? fields[f].dims[0] * depth : HEIGHT * WIDTH;
		float	   *values = calloc(ROWS * size, sizeof(float));

		for (size_t i = 0; i < ROWS * size; i++)
			values[i] = signal && (int32_t) (i % size / depth) >= lengths[i / size] ? padding :
				(float) dev_random_normal(8, 2 + i / size, i % size);
		nn_run_set(running->run, running->built.planes[f][0], ROWS, values);
		if (running->built.lengths[f] != NN_NONE)
			nn_run_set_codes(running->run, running->built.lengths[f], ROWS, lengths);
		free(values);
	}
}

static double
loss_of(Running *running)
{
	double		sum = 0;

	nn_run_forward(running->run, running->built.loss, NN_INFER, 1, 1, 0);
	for (int row = 0; row < ROWS; row++)
		sum += (double) nn_run_value(running->run, running->built.loss)[row];
	return sum;
}

static void
set_targets(Running *running)
{
	float		target[ROWS * 2];
	int32_t		classes[ROWS] = {0, 1, 2, 1};

	for (int i = 0; i < ROWS * 2; i++)
		target[i] = running->network.task == LEARN_SURVIVAL && i % 2 == 0 ? (float) (1 + i) : (float) (i / 2 % 2);
	if (running->network.task == LEARN_MULTICLASS)
		nn_run_set_codes(running->run, running->built.target, ROWS, classes);
	else
		nn_run_set(running->run, running->built.target, ROWS, target);
}

/*
 * The loss's derivative along a random direction of the weights against a difference. Rectifiers bend within the step, so of some directions
 * the best counts: a wrong gradient agrees with none.
 */
static void
check_gradient(Running *running, const char *name)
{
	float	   *saved = malloc(running->n * sizeof(float));
	double		best = INFINITY;

	set_targets(running);
	loss_of(running);
	nn_run_backward(running->run, running->built.loss, 1, NULL);
	memcpy(saved, running->weights, running->n * sizeof(float));
	for (uint64_t try = 0; try < 12; try++)
	{
		const double step = try % 2 == 0 ? 5e-4 : 1e-4;
		double		slope = 0;
		double		losses[2];

		for (int side = 0; side < 2; side++)
		{
			for (int p = 0; p < nn_graph_parameters(running->built.graph); p++)
			{
				const NnParameterInfo *info = nn_graph_parameter(running->built.graph, p);

				for (size_t i = info->offset; i < info->offset + info->size; i++)
				{
					double		direction = 0.1 * dev_random_normal(9, 3 + try, i);

					if (info->role == NN_ROLE_CONSTANT || info->role == NN_ROLE_STATISTIC)
						continue;
					running->weights[i] = saved[i] + (float) ((side == 0 ? -step : step) * direction);
					slope += side == 0 ? (double) running->diff_weights[i] * direction : 0;
				}
			}
			losses[side] = loss_of(running);
		}
		best = fmin(best, fabs((losses[1] - losses[0]) / (2 * step) - slope) / fmax(fabs(slope), 0.1));
	}
	memcpy(running->weights, saved, running->n * sizeof(float));
	free(saved);
	CHECK_NEAR(best, 0, 2e-2, "%s: the gradient is that of the loss", name);
}

static void
outputs_of(Running *running, float *outputs)
{
	size_t		n = ROWS * running->network.n_outputs;

	nn_run_forward(running->run, running->built.output, NN_INFER, 0, 0, 0);
	memcpy(outputs, nn_run_value(running->run, running->built.output), n * sizeof(float));
}

static void
check_held(Running *running, const float *expected, size_t n, const char *name)
{
	float		outputs[ROWS * 3];

	set_inputs(running, 1000);
	outputs_of(running, outputs);
	CHECK(memcmp(outputs, expected, n * sizeof(float)) == 0, "%s: what padding holds changes no bit", name);
}

/* More padding, which is zeros, changes no answer; what stands in it changes none either where nothing reads across the end. */
static void
check_padding(DevSession *session, DevDevice *device, Running *running, LearnNetwork network, bool recurrent, const char *name)
{
	float		expected[ROWS * 3];
	float		outputs[ROWS * 3];
	size_t		n = ROWS * running->network.n_outputs;
	int			signal = running->network.n_fields - 1;
	Running		longer;
	double		worst = 0;

	outputs_of(running, expected);
	if (recurrent)
		check_held(running, expected, n, name);
	fields[signal].dims[0] += 9;
	if (start(session, device, network, &longer) == DEV_OK)
	{
		set_inputs(&longer, 0);
		outputs_of(&longer, outputs);
		for (size_t i = 0; i < n; i++)
			worst = fmax(worst, fabs((double) (outputs[i] - expected[i])));
	}
	CHECK(longer.run != NULL && longer.n == running->n && worst < 1e-5, "%s: nor does more of it", name);
	fields[signal].dims[0] -= 9;
}

static void
check_network(DevDevice *device, DevSession *session, LearnNetwork network, bool padded, bool recurrent, const char *name)
{
	Running		running;
	float		outputs[ROWS * 3];
	bool		finite = true;
	bool		vary = false;

	CHECK_STATUS(session, start(session, device, network, &running), DEV_OK, "%s is built", name);
	if (running.run == NULL)
		return;
	set_inputs(&running, 0);
	outputs_of(&running, outputs);
	for (size_t i = 0; i < ROWS * network.n_outputs; i++)
	{
		finite = finite && isfinite(outputs[i]);
		vary = vary || outputs[i] != outputs[i % network.n_outputs];
	}
	CHECK(finite && vary, "%s: finite answers that differ", name);
	check_gradient(&running, name);
	if (padded)
		check_padding(session, device, &running, network, recurrent, name);
}

static void
check_encoders(void)
{
	static const LearnArchitecture deep[] = {LEARN_CNN, LEARN_RESNET20, LEARN_FCN, LEARN_LSTM, LEARN_GRU, LEARN_MLP, LEARN_TABM, LEARN_LINEAR};

	for (size_t i = 0; i < sizeof(deep) / sizeof(deep[0]); i++)
		for (int which = 0; which < 3; which++)
		{
			Shape		shape = {.image = which != 1, .signal = which > 0, .columns = which == 2};
			LearnTask	task = (LearnTask) ((i + (size_t) which) % (LEARN_MULTILABEL + 1));
			DevSession *session;
			DevDevice  *device;
			char		name[80];

			CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
			CHECK_OR_STOP(dev_cpu_open(session, NULL, &device) == DEV_OK, "the CPU opens");
			snprintf(name, sizeof(name), "%s over %s for %s", learn_architecture_names[deep[i]],
					 which == 0 ? "an image" : which == 1 ? "a signal" : "both and columns", learn_task_names[task]);
			check_network(device, session, describe(deep[i], NULL, shape, task), which > 0, deep[i] == LEARN_LSTM || deep[i] == LEARN_GRU, name);
			dev_session_close(session);
		}
}

/* ---- Positions of a Transformer ---- */

static LearnNetwork
describe_places(bool series, LearnPositions positions, int width)
{
	static LearnSeriesPlan plan = {.n_channels = LEADS, .n_bins = SAMPLES, .width = 1, .start = -SAMPLES};
	LearnNetwork network = describe(LEARN_TRANSFORMER, NULL, (Shape) {.signal = true}, LEARN_REGRESSION);

	if (series)
		fields[0] = (LearnField) {.kind = LEARN_SERIES, .sample = LEARN_SAMPLE_F32, .dims = {SAMPLES, LEADS, 0}, .series = &plan};
	network.positions = positions;
	network.width = width;
	network.dropout = 0;
	return network;
}

/* Some weight of the parameter has a gradient. */
static bool
learns(const Running *running, const char *name)
{
	NnParameter parameter = nn_graph_find(running->built.graph, name);
	const NnParameterInfo *info = parameter == NN_NONE ? NULL : nn_graph_parameter(running->built.graph, parameter);
	bool		found = false;

	for (size_t i = 0; info != NULL && i < info->size; i++)
		found = found || running->diff_weights[info->offset + i] != 0;
	return found;
}

static void
check_positions(void)
{
	static const char *const words[] = {
		[LEARN_POSITIONS_SINUSOID] = "transformer: 1 layer of width 4",
		[LEARN_POSITIONS_LEARNED] = "transformer: 1 layer of width 4, learned positions",
		[LEARN_POSITIONS_TIME] = "transformer: 1 layer of width 4, positions by time",
		[LEARN_POSITIONS_NONE] = "transformer: 1 layer of width 4, no positions"
	};

	for (LearnPositions positions = LEARN_POSITIONS_SINUSOID; positions <= LEARN_POSITIONS_NONE; positions++)
		for (int series = 0; series < 2; series++)
		{
			LearnNetwork network = describe_places(series == 1, positions, 4);
			DevSession *session;
			DevDevice  *device;
			Running		running;
			float		outputs[ROWS * 3];
			char		name[80];

			CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
			CHECK_OR_STOP(dev_cpu_open(session, NULL, &device) == DEV_OK, "the CPU opens");
			snprintf(name, sizeof(name), "%s positions of %s", learn_position_names[positions], series == 1 ? "a series" : "a signal");
			CHECK_STATUS(session, start(session, device, network, &running), DEV_OK, "%s are built", name);
			CHECK_OR_STOP(running.run != NULL, "%s run", name);
			CHECK(strcmp(learn_network_words(session, &running.network), words[positions]) == 0, "in words: %s",
				  learn_network_words(session, &running.network));
			set_inputs(&running, 0);
			outputs_of(&running, outputs);
			check_gradient(&running, name);
			check_held(&running, outputs, ROWS * network.n_outputs, name);
			CHECK(learns(&running, "field0.positions.table") == (positions == LEARN_POSITIONS_LEARNED), "%s: is there a table that learns", name);
			CHECK(learns(&running, "field0.positions.frequencies") == (positions == LEARN_POSITIONS_TIME), "%s: are there frequencies that learn", name);
			CHECK(learns(&running, "field0.positions.since.frequencies") == (positions == LEARN_POSITIONS_TIME && series == 1),
				  "%s: does the time since the last observation count", name);
			CHECK(!learns(&running, "field0.positions.clock") && !learns(&running, "field0.positions.nothing") &&
				  !learns(&running, "field0.positions.since"), "%s: clocks are not learned", name);
			dev_session_close(session);
		}
}

/* Where it starts, a clock whose frequencies are learned tells the same as the sinusoid does, in another order. */
static void
check_clock(void)
{
	DevSession *session;
	DevDevice  *device;
	LearnNetwork network = describe_places(false, LEARN_POSITIONS_TIME, 5);
	LearnBuilder builder = {.network = &network};
	LearnGraph	built = {0};
	NnShape		shape = nn_shape(2, SAMPLES, 4, 0, 0);
	NnNode		src;
	NnNode		coded[2];
	NnRun	   *run;
	float	   *weights;
	float		zeros[SAMPLES * 4] = {0};
	double		worst = 0;

	CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
	CHECK_STATUS(session, learn_network_resolve(session, &network, 500), DEV_INVALID, "an odd width has no pairs");
	CHECK(strcmp(dev_message_text(session), "positions \"time\" need an even width, not \"5\"") == 0, "saying %s", dev_message_text(session));
	dev_session_close(session);

	CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
	CHECK_OR_STOP(dev_cpu_open(session, NULL, &device) == DEV_OK, "the CPU opens");
	CHECK_OR_STOP(nn_graph_create(session, &builder.graph) == DEV_OK, "a graph is made");
	builder.session = session;
	builder.built = &built;
	src = nn_input(builder.graph, "src", &shape);
	for (int i = 0; i < 2; i++)
	{
		coded[i] = learn_build_positions(&builder, src, 0, "x", i == 0 ? LEARN_POSITIONS_SINUSOID : LEARN_POSITIONS_TIME);
		nn_graph_keep(builder.graph, coded[i]);
	}
	CHECK_STATUS(session, nn_graph_compile(builder.graph), DEV_OK, "and compiled");
	weights = dev_alloc(session, nn_graph_weights(builder.graph), sizeof(float));
	CHECK_OR_STOP(weights != NULL && nn_run_create(builder.graph, device, 1, NN_RUN_WHOLE, &run) == DEV_OK, "and run");
	nn_graph_initialize(builder.graph, 3, weights);
	nn_run_bind(run, weights, NULL);
	nn_run_set(run, src, 1, zeros);
	for (int i = 0; i < 2; i++)
		nn_run_forward(run, coded[i], NN_INFER, 0, 0, 0);
	for (size_t p = 0; p < SAMPLES; p++)
		for (size_t i = 0; i < 4; i++)
			worst = fmax(worst, fabs((double) (nn_run_value(run, coded[0])[4 * p + i] - nn_run_value(run, coded[1])[4 * p + i / 2 + i % 2 * 2])));
	CHECK(worst < 1e-4, "the clock starts as the sinusoid");
	dev_session_close(session);
}

/* ---- Words ---- */

/* Numbers of the parameters, without what lies between them. */
static size_t
count_weights(const NnGraph *graph)
{
	size_t		n = 0;

	for (int p = 0; p < nn_graph_parameters(graph); p++)
		n += nn_graph_parameter(graph, p)->size;
	return n;
}

typedef struct Text
{
	const char *text;
	bool		image;
	bool		padded;			/* padding counts nothing to the end */
	size_t		n_weights;		/* but for the head's */
	size_t		n_features;		/* what the head has, columns not counted */
} Text;

#define ENTRY (LEADS * 4 + 4)	/* of dense(4) over the signal */
#define ATTENTION (2 * 8 + 4 * (4 * 4 + 4) + (4 * 16 + 16) + (16 * 4 + 4))	/* of width 4: norms, projections, inner layer */

/* Weights by hand: kernel places x channels in x channels out, and so on. */
static const Text texts[] = {
	{"conv(4) global_mean", true, false, 9 * 4, 4},
	{"conv(4, 5) relu global_max", true, false, 25 * 4, 4},
	{"conv(4, 3, 2) flatten", true, false, 9 * 4, 6 * 5 * 4},
	{"conv(4) batch_norm relu max_pool(2) conv(6) group_norm(3) silu average_pool(3) flatten", true, false, 36 + 4 * 4 + 9 * 4 * 6 + 2 * 6, 2 * 1 * 6},
	{"conv(4) layer_norm gelu dropout(0.3) global_mean dense(5) tanh", true, false, 36 + 8 + 4 * 5 + 5, 5},
	{"conv(4) batch_norm relu flatten dense(3)", false, false, 36 + 16 + SAMPLES * 4 * 3 + 3, 3},
	{"flatten dense(7) relu", true, false, HEIGHT * WIDTH * 7 + 7, 7},
	{"global_mean", true, false, 0, 1},
	{"conv(4) global_mean", false, true, 3 * LEADS * 4, 4},
	{"conv(4, 8) relu global_max", false, true, 8 * LEADS * 4, 4},
	{"conv(4) batch_norm relu conv(5) batch_norm relu last", false, true, 36 + 16 + 3 * 4 * 5 + 20, 5},
	{"lstm(4) last", false, true, (LEADS + 4) * 16 + 16, 4},
	{"gru(4) global_mean", false, true, (LEADS + 4) * 12 + 12 + 4, 4},
	{"bilstm(4) global_max", false, true, 2 * ((LEADS + 4) * 16 + 16), 8},
	{"bigru(4) dropout(0.2) gru(3) last", false, true, 2 * ((LEADS + 4) * 12 + 12 + 4) + (8 + 3) * 9 + 9 + 3, 3},
	{"gru(4) layer_norm selu global_mean mish", false, true, (LEADS + 4) * 12 + 16 + 8, 4},
	{"conv(4) relu max_pool(2) gru(4) last", false, false, 36 + (4 + 4) * 12 + 12 + 4, 4},
	{"conv(4, 3, 2) sigmoid global_mean", false, false, 36, 4},
	{"average_pool(4) flatten", false, false, 0, 5 * LEADS},
	{"last", false, true, 0, LEADS},
	{"pad(2) flatten", true, false, 0, (HEIGHT + 4) * (WIDTH + 4)},
	{"conv(4) pad(1) max_pool(2) flatten", true, false, 36, 7 * 6 * 4},
	{"pad(3) conv(4) global_mean", false, false, 3 * LEADS * 4, 4},
	{"conv(4) mirror relu conv(3) global_mean", true, false, 36 + 9 * 8 * 3, 3},
	{"mirror flatten", true, false, 0, 2 * HEIGHT * WIDTH},
	{"dense(4) sinusoid attention(2) global_mean", false, true, ENTRY + ATTENTION, 4},
	{"gru(4) attention(1) last", false, true, (LEADS + 4) * 12 + 16 + ATTENTION, 4},
	{"dense(4) learned_positions gru(3) last", false, false, ENTRY + SAMPLES * 4 + (4 + 3) * 9 + 9 + 3, 3},
	{"dense(4) time_positions attention(4) global_max", false, false, ENTRY + 4 + SAMPLES + 2 + ATTENTION, 4}
};

static void
check_texts(void)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		for (int columns = 0; columns < 2; columns++)
		{
			const Text *text = &texts[i];
			Shape		shape = {.image = text->image, .signal = !text->image, .columns = columns == 1};
			size_t		joined = text->n_features + (columns ? NUMBERS + 4 : 0);
			DevSession *session;
			DevDevice  *device;
			LearnNetwork network = describe(LEARN_LAYERS, text->text, shape, LEARN_REGRESSION);
			LearnGraph	built;
			LearnNetwork resolved = network;

			CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
			CHECK_OR_STOP(dev_cpu_open(session, NULL, &device) == DEV_OK, "the CPU opens");
			check_network(device, session, network, text->padded, text->padded, text->text);
			CHECK_STATUS(session, learn_network_resolve(session, &resolved, 500), DEV_OK, "resolved");
			CHECK_STATUS(session, learn_network_build(session, &resolved, NULL, &built), DEV_OK, "built without a loss");
			if (!CHECK(count_weights(built.graph) == text->n_weights + joined * 2 + 2, "\"%s\" has the weights that it should", text->text))
				printf("#   %zu, not %zu\n", count_weights(built.graph), text->n_weights + joined * 2 + 2);
			dev_session_close(session);
		}
}

/* Columns come in where the text says so, or before the head. */
static void
check_join(void)
{
	static const struct
	{
		const char *text;
		size_t		n_weights;
	}			joins[] = {
		{"conv(4) global_mean join dense(5) relu", 36 + (4 + NUMBERS + 4) * 5 + 5 + 5 + 1},
		{"conv(4) global_mean dense(5) relu", 36 + 4 * 5 + 5 + (5 + NUMBERS + 4) + 1},
		{"conv(4) global_mean dense(5) relu join dense(6)", 36 + 4 * 5 + 5 + (5 + NUMBERS + 4) * 6 + 6 + 6 + 1}
	};

	for (size_t i = 0; i < sizeof(joins) / sizeof(joins[0]); i++)
	{
		DevSession *session;
		DevDevice  *device;
		Running		running;

		CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
		CHECK_OR_STOP(dev_cpu_open(session, NULL, &device) == DEV_OK, "the CPU opens");
		CHECK_STATUS(session, start(session, device, describe(LEARN_LAYERS, joins[i].text, (Shape) {.image = true, .columns = true}, LEARN_BINARY),
									&running), DEV_OK, "\"%s\"", joins[i].text);
		CHECK(running.run != NULL && count_weights(running.built.graph) == joins[i].n_weights, "columns come in at their place");
		dev_session_close(session);
	}
}

/* ---- What cannot be ---- */

typedef struct Refusal
{
	const char *text;
	Shape		shape;
	const char *message;
	const char *hint;
} Refusal;

#define IMAGE_ALONE {.image = true}
#define SIGNAL_ALONE {.signal = true}

static const Refusal refusals[] = {
	{"conv(4) relu", IMAGE_ALONE, "layer 2 of the layer text leaves places or moments, and the head needs one vector",
	"End with global_mean, global_max, last or flatten."},
	{"gru(4)", SIGNAL_ALONE, "layer 1 of the layer text leaves places or moments, and the head needs one vector", "End with"},
	{"conv(4) join global_mean", IMAGE_ALONE, "layer 2 of the layer text joins columns with places",
	"Let global_mean, global_max, last or flatten come before join."},
	{"global_mean join dense(4) join", {.image = true, .columns = true}, "layer 4 of the layer text joins the columns again", "Write join once."},
	{"conv(4) lstm(4) last", IMAGE_ALONE, "layer 2 of the layer text needs a sequence, and an image has two directions", "conv and pools"},
	{"conv(4) last", IMAGE_ALONE, "layer 2 of the layer text needs a sequence, and an image has two directions", "conv and pools"},
	{"max_pool(11) global_mean", IMAGE_ALONE, "layer 1 of the layer text has a window larger than what is left of the input", "make it smaller"},
	{"average_pool(5) average_pool(5) last", SIGNAL_ALONE, "layer 2 of the layer text has a window larger than what is left of the input", "smaller"},
	{"conv(4, 24) global_mean", IMAGE_ALONE, "layer 1 of the layer text has a kernel larger than what is left of the input", "Make the kernel smaller."},
	{"conv(4, 45) global_mean", SIGNAL_ALONE, "layer 1 of the layer text has a kernel larger than what is left of the input", "smaller"},
	{"conv(5) group_norm(2) global_mean", IMAGE_ALONE, "layer 2 of the layer text has groups that do not divide its channels", "group_norm(8)"},
	{"global_mean conv(4)", IMAGE_ALONE,
	"layer 2 of the layer text needs an image or a sequence, and what comes before it has neither places nor moments",
	"come before dense layers"},
	{"flatten gru(4) last", SIGNAL_ALONE,
	"layer 2 of the layer text needs an image or a sequence, and what comes before it has neither places nor moments", NULL},
	{"conv(4) global_mean", {.columns = true}, "a layer text with places needs one image, signal or series, and there are 0", "dense layers alone"},
	{"conv(4) global_mean", {.image = true, .signal = true},
	"a layer text with places needs one image, signal or series, and there are 2", "Leave the others out"},
	{"conv(4, 3, 2) sinusoid last", SIGNAL_ALONE, "layer 2 of the layer text tells places apart after their number has changed", "before pools"},
	{"pad(1) learned_positions last", SIGNAL_ALONE, "layer 2 of the layer text tells places apart after their number has changed", "and pad"},
	{"time_positions last", SIGNAL_ALONE, "layer 1 of the layer text needs an even number of channels: pairs of a sine and a cosine", "dense(64)"},
	{"mirror last", SIGNAL_ALONE, "layer 1 of the layer text mirrors an image, and this is a sequence", "bilstm"},
	{"attention(2) last", SIGNAL_ALONE, "layer 1 of the layer text has heads that do not divide its channels", "attention(4)"},
	{"conv(4) attention(2) global_mean", IMAGE_ALONE, "layer 2 of the layer text needs a sequence, and an image has two directions", "conv"},
	{"gru(4) crf", SIGNAL_ALONE, "layer 2 of the layer text is for tagging", "task => 'tagging'"}
};

static void
check_refusals(void)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
	{
		const Refusal *refusal = &refusals[i];
		DevSession *session;
		DevDevice  *device;
		Running		running;

		CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
		CHECK_OR_STOP(dev_cpu_open(session, NULL, &device) == DEV_OK, "the CPU opens");
		CHECK_STATUS(session, start(session, device, describe(LEARN_LAYERS, refusal->text, refusal->shape, LEARN_BINARY), &running), DEV_INVALID,
					 "\"%s\" is refused", refusal->text);
		if (!CHECK(strcmp(dev_message_text(session), refusal->message) == 0, "saying %s", refusal->message))
			printf("#   said %s\n", dev_message_text(session));
		CHECK(refusal->hint == NULL || strstr(dev_hint_text(session), refusal->hint) != NULL, "and what helps: %s", dev_hint_text(session));
		dev_session_close(session);
	}
}

/* Words with bad numbers; the texts of dense layers are test_architecture.c's. */
static void
check_numbers(void)
{
	static const struct
	{
		const char *text;
		const char *message;
	}			bad[] = {
		{"conv", "layer \"conv\" needs its channels, and if need be kernel and stride, in parentheses at position 5 of the layer text"},
		{"conv()", "layer \"conv\" needs its channels, and if need be kernel and stride, in parentheses at position 5 of the layer text"},
		{"conv(4, 65)", "layer \"conv\" needs its channels, and if need be kernel and stride, in parentheses at position 5 of the layer text"},
		{"conv(4, 3, 0)", "layer \"conv\" needs its channels, and if need be kernel and stride, in parentheses at position 5 of the layer text"},
		{"conv(4, 3, 2, 1)", "layer \"conv\" needs its channels, and if need be kernel and stride, in parentheses at position 5 of the layer text"},
		{"conv(4,", "layer \"conv\" needs its channels, and if need be kernel and stride, in parentheses at position 5 of the layer text"},
		{"conv(16385)", "layer \"conv\" needs its channels, and if need be kernel and stride, in parentheses at position 5 of the layer text"},
		{"max_pool", "layer \"max_pool\" needs a whole number from 1 to 64 in parentheses at position 9 of the layer text"},
		{"average_pool(65)", "layer \"average_pool\" needs a whole number from 1 to 64 in parentheses at position 13 of the layer text"},
		{"group_norm(1.5)", "layer \"group_norm\" needs a whole number from 1 to 16384 in parentheses at position 11 of the layer text"},
		{"lstm(-4)", "layer \"lstm\" needs a whole number from 1 to 16384 in parentheses at position 5 of the layer text"},
		{"bigru()", "layer \"bigru\" needs a whole number from 1 to 16384 in parentheses at position 6 of the layer text"},
		{"pad(65)", "layer \"pad\" needs a whole number from 1 to 64 in parentheses at position 4 of the layer text"},
		{"attention", "layer \"attention\" needs a whole number from 1 to 64 in parentheses at position 10 of the layer text"},
		{"mirror(2)", "unexpected \"(2)\" at position 7 of the layer text"},
		{"global_mean(2)", "unexpected \"(2)\" at position 12 of the layer text"},
		{"glob_mean", "unknown layer \"glob_mean\" at position 1 of the layer text"}
	};
	DevSession *session;
	LearnLayer *layers;
	int			n;

	CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		CHECK_STATUS(session, learn_layers_parse(session, bad[i].text, &layers, &n), DEV_INVALID, "\"%s\" is refused", bad[i].text);
		if (!CHECK(strcmp(dev_message_text(session), bad[i].message) == 0, "saying %s", bad[i].message))
			printf("#   said %s\n", dev_message_text(session));
	}
	CHECK(strstr(dev_hint_text(session), "Perhaps you meant \"global_mean\"") != NULL, "the nearest word is named");
	CHECK_STATUS(session, learn_layers_parse(session, "conv( 8 , 5,2 ) max_pool(2)", &layers, &n), DEV_OK, "blanks are allowed in parentheses");
	CHECK(n == 2 && layers[0].n_arguments == 3 && layers[0].arguments[1] == 5 && layers[0].arguments[2] == 2 && layers[1].n_arguments == 1,
		  "and every number is read");
	dev_session_close(session);
}

/* ---- Defaults and words ---- */

static void
check_defaults(void)
{
	static const struct
	{
		LearnArchitecture architecture;
		Shape		shape;
		LearnArchitecture becomes;
		const char *words;
	}			defaults[] = {
		{LEARN_AUTO, IMAGE_ALONE, LEARN_RESNET20, "resnet20: 3 stages of 3 residual blocks, 16 to 64 channels"},
		{LEARN_FCN, SIGNAL_ALONE, LEARN_FCN, "fcn: 3 convolutions over time, 128 channels"},
		{LEARN_CNN, IMAGE_ALONE, LEARN_CNN, "cnn: 3 blocks of 2 convolutions, 32 channels and up"},
		{LEARN_LSTM, SIGNAL_ALONE, LEARN_LSTM, "lstm: 1 layer of 64 units"},
		{LEARN_GRU, SIGNAL_ALONE, LEARN_GRU, "gru: 1 layer of 64 units"}
	};
	DevSession *session;
	LearnNetwork network;

	CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
	{
		network = describe(defaults[i].architecture, NULL, defaults[i].shape, LEARN_BINARY);
		network.width = network.depth = 0;
		CHECK_STATUS(session, learn_network_resolve(session, &network, 500), DEV_OK, "%s is resolved", learn_architecture_names[defaults[i].architecture]);
		CHECK(network.architecture == defaults[i].becomes, "to %s", learn_architecture_names[network.architecture]);
		CHECK(strcmp(learn_network_words(session, &network), defaults[i].words) == 0, "in words: %s", learn_network_words(session, &network));
	}
	network = describe(LEARN_CNN, NULL, (Shape) {.columns = true}, LEARN_BINARY);
	CHECK_STATUS(session, learn_network_resolve(session, &network, 500), DEV_INVALID, "a cnn of numbers is refused");
	CHECK(strcmp(dev_message_text(session), "architecture \"cnn\" needs an image, a signal, a series or a text") == 0 &&
		  strstr(dev_hint_text(session), "tabm") != NULL, "saying what it needs");
	network = describe(LEARN_NAM, NULL, (Shape) IMAGE_ALONE, LEARN_BINARY);
	CHECK_STATUS(session, learn_network_resolve(session, &network, 500), DEV_INVALID, "an additive net of an image is refused");
	CHECK(strcmp(dev_message_text(session), "architecture \"nam\" takes no images, signals or texts") == 0, "saying so");
	dev_session_close(session);
}

/* Images of any size: a stem brings large ones down, small ones are not halved away. */
static void
check_sizes(void)
{
	static const size_t sides[][2] = {{1, 1}, {1, 9}, {2, 3}, {5, 64}, {65, 70}, {224, 224}, {300, 40}};

	for (size_t i = 0; i < sizeof(sides) / sizeof(sides[0]); i++)
		for (int which = 0; which < 2; which++)
		{
			DevSession *session;
			LearnGraph	built;
			LearnNetwork network = describe(which == 0 ? LEARN_CNN : LEARN_RESNET20, NULL, (Shape) IMAGE_ALONE, LEARN_BINARY);

			CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
			fields[0].dims[0] = sides[i][0];
			fields[0].dims[1] = sides[i][1];
			network.depth = 3;
			CHECK_STATUS(session, learn_network_resolve(session, &network, 500), DEV_OK, "resolved");
			CHECK_STATUS(session, learn_network_build(session, &network, NULL, &built), DEV_OK, "%s over %zu x %zu",
						 learn_architecture_names[network.architecture], sides[i][0], sides[i][1]);
			dev_session_close(session);
		}
	for (size_t samples = 1; samples < 12; samples++)
	{
		DevSession *session;
		LearnGraph	built;
		LearnNetwork network = describe(LEARN_FCN, NULL, (Shape) SIGNAL_ALONE, LEARN_BINARY);

		CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
		fields[0].dims[0] = samples;
		CHECK_STATUS(session, learn_network_resolve(session, &network, 500), DEV_OK, "resolved");
		CHECK_STATUS(session, learn_network_build(session, &network, NULL, &built), DEV_OK, "fcn over %zu samples", samples);
		dev_session_close(session);
	}
}

static void
check_no_memory(void)
{
	LearnLoss	loss = {0};
	bool		survived = true;
	size_t		fail_at = 0;
	DevStatus	status = DEV_NO_MEMORY;

	while (survived && status != DEV_OK)
	{
		CheckHost	counts;
		DevHost		host = check_host(&counts, ++fail_at);
		Shape		shape = {.signal = true, .columns = true};
		LearnNetwork network = describe(LEARN_LAYERS, "conv(4) batch_norm bigru(3) last join dense(4)", shape, LEARN_BINARY);
		DevSession *session;
		LearnGraph	built;

		status = dev_session_open(&host, 1, &session);
		if (status == DEV_OK)
			status = learn_network_resolve(session, &network, 500);
		if (status == DEV_OK)
			status = learn_network_build(session, &network, &loss, &built);
		dev_session_close(session);
		survived = counts.held == 0 && (status == DEV_OK || status == DEV_NO_MEMORY);
	}
	CHECK(survived && fail_at > 20, "any of %zu allocations may fail", fail_at - 1);
}

int
main(void)
{
	check_encoders();
	check_positions();
	check_clock();
	check_texts();
	check_join();
	check_refusals();
	check_numbers();
	check_defaults();
	check_sizes();
	check_no_memory();
	return check_done();
}

/*
 * test_architecture.c: networks from words to graphs: layer texts and their errors, defaults, every
 * architecture for every task, what a stored description may not say, and memory failing anywhere.
 */
#include "check.h"

#include "learn/architecture.h"
#include "learn/names.h"

#define ROWS 6
#define NUMBERS 3
#define CODES 2

static int	cardinality[CODES] = {4, 20};

static LearnNetwork
describe(LearnArchitecture architecture, LearnTask task, size_t n_outputs)
{
	return (LearnNetwork)
	{
		.architecture = architecture,
		.dropout = -1,
		.activation = -1,
		.n_numbers = NUMBERS,
		.n_codes = CODES,
		.cardinality = cardinality,
		.task = task,
		.n_outputs = n_outputs
	};
}

/* ---- Names ---- */

static void
check_names(void)
{
	char		list[64];

	CHECK(learn_name_find(learn_architecture_names, "tabm") == LEARN_TABM, "an architecture is found by name");
	CHECK(learn_name_find(learn_task_names, "survival") == LEARN_SURVIVAL, "a task is found by name");
	CHECK(learn_name_find(learn_scaling_names, "quantile") == LEARN_QUANTILE, "a scaling is found by name");
	CHECK(learn_name_find(learn_task_names, "Binary") == -1, "letter case counts");
	CHECK(learn_activation_map(learn_name_find(learn_activation_names, "selu")) == DEV_MAP_SELU, "selu is selu");
	CHECK(learn_activation_map(-1) == -1 && learn_activation_map(100) == -1, "an unknown activation has no map");
	CHECK(strcmp(learn_name_nearest(learn_architecture_names, "tamb", 4), "tabm") == 0, "tamb is near tabm");
	CHECK(strcmp(learn_name_nearest(learn_architecture_names, "RESNET", 6), "resnet") == 0, "RESNET is near resnet");
	CHECK(learn_name_nearest(learn_architecture_names, "perceptron", 10) == NULL, "perceptron is near nothing");
	CHECK(strcmp(learn_name_list(learn_scaling_names, list, sizeof(list)), "robust, standard, quantile or none") == 0,
		  "names are listed");
	CHECK(strlen(learn_name_list(learn_architecture_names, list, 12)) == 11, "a list is cut where it does not fit");
}

/* ---- Layer text ---- */

static void
check_good_text(DevSession *session)
{
	LearnLayer *layers;
	int			n;

	CHECK_STATUS(session, learn_layers_parse(session, " dense(128) relu dropout( 0.1 ),layer_norm\n dense (64), batch_norm tanh",
											 &layers, &n), DEV_OK, "a layer text is read");
	CHECK(n == 7 && layers[0].kind == LEARN_LAYER_DENSE && layers[0].arguments[0] == 128
		  && layers[1].kind == LEARN_LAYER_ACTIVATION && layers[1].activation == DEV_MAP_RELU
		  && layers[2].kind == LEARN_LAYER_DROPOUT && layers[2].arguments[0] == 0.1
		  && layers[3].kind == LEARN_LAYER_LAYER_NORM && layers[4].arguments[0] == 64
		  && layers[5].kind == LEARN_LAYER_BATCH_NORM && layers[6].activation == DEV_MAP_TANH,
		  "every layer is what was written");
	dev_release(session, layers);
}

static void
check_bad_text(DevSession *session, const char *text, const char *message, const char *hint)
{
	LearnLayer *layers;
	int			n;

	CHECK_STATUS(session, learn_layers_parse(session, text, &layers, &n), DEV_INVALID, "\"%.60s\" is refused", text);
	if (!CHECK(strcmp(dev_message_text(session), message) == 0, "saying %s", message))
		printf("#   said %s\n", dev_message_text(session));
	if (hint != NULL && !CHECK(strstr(dev_hint_text(session), hint) != NULL, "with the hint %s", hint))
		printf("#   hint %s\n", dev_hint_text(session));
	CHECK(layers == NULL && n == 0, "and gives nothing");
}

static void
check_bad_texts(DevSession *session)
{
	static char many[LEARN_MAX_LAYERS * 5 + 16];

	check_bad_text(session, "", "the layer text is empty", "dense(128) relu");
	check_bad_text(session, "dense(8) rleu", "unknown layer \"rleu\" at position 10 of the layer text",
				   "Perhaps you meant \"relu\"");
	check_bad_text(session, "dens(8)", "unknown layer \"dens\" at position 1 of the layer text", "\"dense\"");
	check_bad_text(session, "relu conv3d(2)", "unknown layer \"conv3d\" at position 6 of the layer text",
				   "A layer is dense, dropout,");
	check_bad_text(session, "dense relu",
				   "layer \"dense\" needs a whole number from 1 to 16384 in parentheses at position 7 of the layer text",
				   "dense(128)");
	check_bad_text(session, "dense(0)",
				   "layer \"dense\" needs a whole number from 1 to 16384 in parentheses at position 6 of the layer text",
				   "dense(128)");
	check_bad_text(session, "dense(1.5)",
				   "layer \"dense\" needs a whole number from 1 to 16384 in parentheses at position 6 of the layer text", NULL);
	check_bad_text(session, "dense(99999999999999999999999999999999999999)",
				   "layer \"dense\" needs a whole number from 1 to 16384 in parentheses at position 6 of the layer text", NULL);
	check_bad_text(session, "dense(-3)",
				   "layer \"dense\" needs a whole number from 1 to 16384 in parentheses at position 6 of the layer text", NULL);
	check_bad_text(session, "dropout(1)",
				   "layer \"dropout\" needs a number of at least 0 and less than 1 in parentheses at position 8 of the layer text",
				   "dropout(0.1)");
	check_bad_text(session, "dropout(0.1", "layer \"dropout\" needs a number of at least 0 and less than 1 in parentheses"
				   " at position 8 of the layer text", NULL);
	check_bad_text(session, "relu(3)", "unexpected \"(3)\" at position 5 of the layer text", NULL);
	check_bad_text(session, "relu,,tanh", "unexpected \",tanh\" at position 6 of the layer text", NULL);
	check_bad_text(session, "relu,", "unexpected \"\" at position 6 of the layer text", NULL);
	check_bad_text(session, "dense(8)relu", "unexpected \"relu\" at position 9 of the layer text", NULL);
	check_bad_text(session, "\xc3\xa9", "unknown layer \"\xc3\xa9\" at position 1 of the layer text", NULL);
	for (int i = 0; i <= LEARN_MAX_LAYERS; i++)
		strcat(many, "relu ");
	check_bad_text(session, many, "the layer text has more than 256 layers", NULL);
}

/* ---- Defaults ---- */

static void
check_defaults(DevSession *session)
{
	LearnNetwork network = describe(LEARN_AUTO, LEARN_BINARY, 1);
	LearnNetwork again;

	CHECK_STATUS(session, learn_network_resolve(session, &network, 500), DEV_OK, "auto is resolved");
	CHECK(network.architecture == LEARN_TABM && network.depth > 0 && network.width > 0 && network.members > 0
		  && network.activation == DEV_MAP_RELU && network.embedding != LEARN_EMBEDDING_AUTO,
		  "500 rows: a complete tabm");
	again = network;
	CHECK(learn_network_resolve(session, &again, 5000000) == DEV_OK && memcmp(&again, &network, sizeof(network)) == 0,
		  "what is resolved stays as it is");
	CHECK(strncmp(learn_network_words(session, &network), "tabm: 16 members of ", 20) == 0, "words say what was picked");

	network = describe(LEARN_AUTO, LEARN_BINARY, 1);
	learn_network_resolve(session, &network, 20);
	CHECK(network.architecture == LEARN_LINEAR, "20 rows: linear");
	network = describe(LEARN_AUTO, LEARN_BINARY, 1);
	learn_network_resolve(session, &network, 10000000);
	CHECK(network.architecture == LEARN_MLP, "10 million rows: mlp");
	network = describe(LEARN_AUTO, LEARN_BINARY, 1);
	network.layers = "dense(4) relu";
	learn_network_resolve(session, &network, 500);
	CHECK(network.architecture == LEARN_LAYERS, "a layer text says the architecture");
	CHECK(strcmp(learn_network_words(session, &network), "layers: dense(4) relu") == 0, "in words, too");
	network = describe(LEARN_MLP, LEARN_BINARY, 1);
	network.width = 17;
	network.dropout = 0;
	network.activation = DEV_MAP_TANH;
	learn_network_resolve(session, &network, 500);
	CHECK(network.width == 17 && network.dropout == 0 && network.activation == DEV_MAP_TANH, "wishes are kept");
}

static void
check_refused(DevSession *session, const LearnNetwork *network, const char *message)
{
	LearnNetwork copy = *network;

	CHECK(learn_network_resolve(session, &copy, 500) != DEV_OK && strcmp(dev_message_text(session), message) == 0,
		  "refused: %s", message);
}

static void
check_refusals(DevSession *session)
{
	LearnNetwork good = describe(LEARN_TABM, LEARN_BINARY, 1);
	LearnNetwork bad = good;
	LearnGraph	built;
	int			none[CODES] = {4, 0};

	bad.n_numbers = bad.n_codes = 0;
	check_refused(session, &bad, "there is no column to learn from");
	bad = good;
	bad.cardinality = none;
	check_refused(session, &bad, "number of categories \"0\" is not between 1 and 16777216");
	bad = good;
	bad.depth = 65;
	check_refused(session, &bad, "depth \"65\" is not between 0 and 64");
	bad = good;
	bad.width = -1;
	check_refused(session, &bad, "width \"-1\" is not between 0 and 16384");
	bad = good;
	bad.members = 1000;
	check_refused(session, &bad, "number of members \"1000\" is not between 0 and 512");
	bad = good;
	bad.dropout = 1;
	check_refused(session, &bad, "dropout \"1\" is not less than 1");
	bad = good;
	bad.dropout = NAN;
	check_refused(session, &bad, "dropout \"nan\" is not less than 1");
	bad = good;
	bad.activation = DEV_MAP_LOG;
	check_refused(session, &bad, "unknown activation number 11");
	bad = good;
	bad.architecture = (LearnArchitecture) 99;
	check_refused(session, &bad, "unknown architecture number 99");
	bad = good;
	bad.architecture = LEARN_LAYERS;
	check_refused(session, &bad, "architecture \"layers\" needs a layer text");
	bad = good;
	bad.n_outputs = 0;
	check_refused(session, &bad, "the network has no output");

	CHECK_STATUS(session, learn_network_build(session, &good, NULL, &built), DEV_INVALID,
				 "an unresolved network is not built");
	bad = good;
	learn_network_resolve(session, &bad, 500);
	bad.embedding = LEARN_EMBEDDING_PIECEWISE;
	bad.bins = bad.embedding_width = 4;
	CHECK_STATUS(session, learn_network_build(session, &bad, NULL, &built), DEV_INVALID, "nor one without bin edges");
}

/* ---- Graphs ---- */

typedef struct Inputs
{
	float		numbers[ROWS * NUMBERS];
	int32_t		codes[ROWS * CODES];
} Inputs;

static Inputs
make_inputs(void)
{
	Inputs		inputs;

	for (int i = 0; i < ROWS * NUMBERS; i++)
		inputs.numbers[i] = (float) dev_random_normal(7, DEV_STREAM_SAMPLE, (uint64_t) i);
	for (int i = 0; i < ROWS * CODES; i++)
		inputs.codes[i] = (int32_t) dev_random_below(8, DEV_STREAM_SAMPLE, (uint64_t) i,
													 (uint64_t) cardinality[i % CODES]);
	inputs.codes[1] = -1;
	return inputs;
}

typedef struct Running
{
	LearnGraph	built;
	NnRun	   *run;
	float	   *weights;
	float	   *diff_weights;
} Running;

static DevStatus
start(DevSession *session, DevDevice *device, const LearnNetwork *network, const LearnLoss *loss, Running *running)
{
	DevStatus	status = learn_network_build(session, network, loss, &running->built);
	size_t		n;

	if (status != DEV_OK)
		return status;
	n = nn_graph_weights(running->built.graph);
	running->weights = dev_alloc(session, n, sizeof(float));
	running->diff_weights = dev_alloc(session, n, sizeof(float));
	if (running->weights == NULL || running->diff_weights == NULL)
		return DEV_NO_MEMORY;
	status = nn_run_create(running->built.graph, device, ROWS, NN_RUN_WHOLE, &running->run);
	if (status != DEV_OK)
		return status;
	nn_graph_initialize(running->built.graph, 3, running->weights);
	/* A head that starts at zero would hide what is below it. */
	for (size_t i = 0; i < n; i++)
		if (running->weights[i] == 0)
			running->weights[i] = 0.05f * (float) dev_random_normal(5, DEV_STREAM_SAMPLE, i);
	nn_run_bind(running->run, running->weights, running->diff_weights);
	return DEV_OK;
}

static void
set_inputs(Running *running, const Inputs *inputs)
{
	nn_run_set(running->run, running->built.numbers, ROWS, inputs->numbers);
	nn_run_set_codes(running->run, running->built.codes, ROWS, inputs->codes);
}

static void
check_features(DevSession *session, Running *running, const LearnNetwork *network, const Inputs *inputs)
{
	size_t		n = learn_network_features(network);
	double		means[NUMBERS] = {0};
	double		shares[4 + 20] = {0};
	float	   *mean = dev_alloc(session, n, sizeof(float));
	const float *features;
	double		worst = 0;
	bool		same = true;

	nn_run_forward(running->run, running->built.features, NN_INFER, 0, 0, 0);
	features = nn_run_value(running->run, running->built.features);
	CHECK(nn_shape_size(nn_graph_shape(running->built.graph, running->built.features)) == n, "the features node is as wide as said");
	for (int row = 0; row < ROWS; row++)
	{
		for (int i = 0; i < NUMBERS; i++)
		{
			same = same && features[(size_t) row * n + (size_t) i] == inputs->numbers[row * NUMBERS + i];
			means[i] += (double) inputs->numbers[row * NUMBERS + i] / ROWS;
		}
		for (int code = 0; code < CODES; code++)
			if (inputs->codes[row * CODES + code] >= 0)
				shares[code * 4 + inputs->codes[row * CODES + code]] += 1.0 / ROWS;
		same = same && (inputs->codes[row * CODES] < 0
						|| features[(size_t) row * n + running->built.code_first[0] + (size_t) inputs->codes[row * CODES]] == 1);
	}
	CHECK(same, "features begin with the numbers, then codes where code_first says");
	learn_features_mean(network, &running->built, running->weights, means, shares, mean);
	for (size_t j = 0; j < n; j++)
	{
		double		sum = 0;

		for (int row = 0; row < ROWS; row++)
			sum += (double) features[(size_t) row * n + j] / ROWS;
		worst = fmax(worst, fabs(sum - (double) mean[j]));
	}
	CHECK_NEAR(worst, 0, 1e-6, "the mean of the features follows from the mean of the inputs");
}

/* The loss's derivative along a random direction of the weights against a difference. */
static void
check_gradient(Running *running, size_t n_targets, bool multiclass, const char *name)
{
	size_t		n = nn_graph_weights(running->built.graph);
	float		target[ROWS * 4];
	int32_t		classes[ROWS];
	double		slope = 0;
	double		losses[2] = {0, 0};
	float	   *saved = malloc(n * sizeof(float));
	const double step = 5e-4;	/* small: relu bends */

	for (size_t i = 0; i < ROWS * n_targets; i++)
		target[i] = n_targets == 2 && i % 2 == 0 ? (float) (1 + i) : (float) (i / n_targets % 2);
	for (size_t i = 0; i < ROWS; i++)
		classes[i] = (int32_t) i % 3;
	if (multiclass)
		nn_run_set_codes(running->run, running->built.target, ROWS, classes);
	else
		nn_run_set(running->run, running->built.target, ROWS, target);
	nn_run_forward(running->run, running->built.loss, NN_INFER, 1, 1, 0);
	nn_run_backward(running->run, running->built.loss, 1, NULL);
	memcpy(saved, running->weights, n * sizeof(float));
	for (int side = 0; side < 2; side++)
	{
		for (int p = 0; p < nn_graph_parameters(running->built.graph); p++)
		{
			const NnParameterInfo *info = nn_graph_parameter(running->built.graph, p);

			for (size_t i = info->offset; i < info->offset + info->size; i++)
			{
				double		direction = dev_random_normal(9, DEV_STREAM_SAMPLE, i);

				if (info->role == NN_ROLE_CONSTANT || info->role == NN_ROLE_STATISTIC)
					continue;
				running->weights[i] = saved[i] + (float) ((side == 0 ? -step : step) * direction * 0.1);
				slope += side == 0 ? (double) running->diff_weights[i] * direction * 0.1 : 0;
			}
		}
		nn_run_forward(running->run, running->built.loss, NN_INFER, 1, 1, 0);
		for (int row = 0; row < ROWS; row++)
			losses[side] += (double) nn_run_value(running->run, running->built.loss)[row];
	}
	CHECK_NEAR((losses[1] - losses[0]) / (2 * step), slope, 2e-2, "%s: the gradient is that of the loss", name);
	memcpy(running->weights, saved, n * sizeof(float));
	free(saved);
}

static void
check_parts(Running *running, size_t n_features)
{
	const float *parts;
	const float *output;
	double		worst = 0;
	NnParameter bias = nn_graph_find(running->built.graph, "head.bias");
	float		constant = running->weights[nn_graph_parameter(running->built.graph, bias)->offset];

	nn_run_forward(running->run, running->built.output, NN_INFER, 0, 0, 0);
	parts = nn_run_value(running->run, running->built.parts);
	output = nn_run_value(running->run, running->built.output);
	for (size_t row = 0; row < ROWS; row++)
	{
		double		sum = (double) constant;

		for (size_t i = 0; i < n_features; i++)
			sum += (double) parts[row * n_features + i];
		worst = fmax(worst, fabs(sum - (double) output[row]));
	}
	CHECK_NEAR(worst, 0, 1e-5, "nam: the parts and a constant add up to the answer");
}

static void
check_build(DevSession *session, DevDevice *device, LearnNetwork network, const Inputs *inputs)
{
	static const float weights[] = {1, 2, 0.5f};
	LearnLoss	loss = {.class_weights = network.task == LEARN_MULTICLASS || network.task == LEARN_BINARY ? weights : NULL,
	.smoothing = 0.1f, .huber = network.task == LEARN_REGRESSION ? 1 : 0};
	bool		several = network.task == LEARN_REGRESSION || network.task == LEARN_MULTILABEL;
	size_t		n_targets = several ? network.n_outputs : network.task == LEARN_SURVIVAL ? 2 : 1;
	Running		running = {0};
	char		name[80];
	bool		finite = true;

	CHECK_STATUS(session, learn_network_resolve(session, &network, 500), DEV_OK, "it is resolved");
	snprintf(name, sizeof(name), "%s for %s, embedding %s", learn_architecture_names[network.architecture],
			 learn_task_names[network.task], learn_embedding_names[network.embedding]);
	if (network.embedding == LEARN_EMBEDDING_PIECEWISE)
	{
		network.bin_edges = dev_alloc(session, NUMBERS * ((size_t) network.bins + 1), sizeof(float));
		for (int i = 0; i < NUMBERS * (network.bins + 1); i++)
			network.bin_edges[i] = -1 + 0.3f * (float) (i % (network.bins + 1));
	}
	CHECK_STATUS(session, start(session, device, &network, &loss, &running), DEV_OK, "%s is built", name);
	if (running.run == NULL)
		return;
	set_inputs(&running, inputs);
	nn_run_forward(running.run, running.built.output, NN_INFER, 0, 0, 0);
	for (size_t i = 0; i < ROWS * network.n_outputs; i++)
		finite = finite && isfinite(nn_run_value(running.run, running.built.output)[i]);
	CHECK(finite && nn_shape_size(nn_graph_shape(running.built.graph, running.built.output)) == network.n_outputs,
		  "%s: %zu finite outputs", name, network.n_outputs);
	check_features(session, &running, &network, inputs);
	check_gradient(&running, n_targets, network.task == LEARN_MULTICLASS, name);
	if (running.built.parts != NN_NONE && network.n_outputs == 1)
		check_parts(&running, learn_network_features(&network));
}

static void
check_builds(DevSession *session, DevDevice *device)
{
	Inputs		inputs = make_inputs();

	for (int architecture = LEARN_LINEAR; architecture <= LEARN_LAYERS; architecture++)
	{
		for (int task = LEARN_BINARY; task <= LEARN_MULTILABEL && !learn_is_deep((LearnArchitecture) architecture) && architecture != LEARN_ROCKET; task++)
		{
			LearnNetwork network = describe((LearnArchitecture) architecture, (LearnTask) task,
											task == LEARN_MULTICLASS ? 3 : task == LEARN_REGRESSION || task == LEARN_MULTILABEL ? 2 : 1);

			network.layers = "dense(8) gelu layer_norm dropout(0.2) dense(4) mish batch_norm";
			network.width = 8;
			check_build(session, device, network, &inputs);
		}
	}
	for (int embedding = LEARN_EMBEDDING_PIECEWISE; embedding <= LEARN_EMBEDDING_PERIODIC; embedding++)
	{
		LearnNetwork network = describe(LEARN_TABM, LEARN_BINARY, 1);

		network.embedding = (LearnEmbedding) embedding;
		network.members = 4;
		network.width = 8;
		check_build(session, device, network, &inputs);
		network.architecture = LEARN_RESNET;
		check_build(session, device, network, &inputs);
	}
}

static void
check_edges(void)
{
	float		edges[2][5] = {{0, 0, 0, 1, 1}, {-2, -1, 0, 1, 2}};
	float		constant[5] = {1e9f, 1e9f, 1e9f, 1e9f, 1e9f};
	bool		rising = true;

	learn_edges_rise(2, 4, edges[0]);
	CHECK(edges[0][0] == 0 && edges[0][1] == 1 && edges[0][2] == 2 && edges[0][4] == 4, "repeated edges are spread beyond the last");
	CHECK(edges[1][0] == -2 && edges[1][4] == 2, "rising edges stay");
	learn_edges_rise(1, 4, constant);
	for (int i = 0; i < 4; i++)
		rising = rising && constant[i + 1] > constant[i];
	CHECK(rising, "edges rise at any magnitude");
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
		LearnNetwork network = describe(LEARN_TABM, LEARN_BINARY, 1);
		DevSession *session;
		LearnGraph	built;

		network.embedding = LEARN_EMBEDDING_PERIODIC;
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
	DevSession *session;
	DevDevice  *device;

	CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
	check_names();
	check_good_text(session);
	check_bad_texts(session);
	check_defaults(session);
	check_refusals(session);
	check_edges();
	CHECK_OR_STOP(dev_cpu_open(session, NULL, &device) == DEV_OK, "the CPU opens");
	check_builds(session, device);
	check_no_memory();
	dev_session_close(session);
	return check_done();
}

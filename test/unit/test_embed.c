/*
 * test_embed.c: embeddings are what the heads multiply: done by hand it gives the scores; of members, views and windows the mean, of several
 * networks one after another; the same bits whatever the batch.
 */
#include "models.h"
#include "learn/predict.h"

#define ROWS 70
#define SAMPLES 60
#define MOST 4096				/* numbers of an embedding */

static const LearnField picture = {.name = "xray", .kind = LEARN_IMAGE, .sample = LEARN_SAMPLE_F32, .dims = {6, 5, 1}};
static const LearnField lead = {.name = "ecg", .kind = LEARN_SIGNAL, .sample = LEARN_SAMPLE_F32, .dims = {16, 2, 0}};
static const LearnField windowed = {.name = "ecg", .kind = LEARN_SIGNAL, .sample = LEARN_SAMPLE_F32, .dims = {16, 2, 0}, .stride = 6};

/* Networks of one head, whose outputs for windows are averaged as they are. */
static const ModelSpec specs[] = {
	{.architecture = LEARN_LINEAR, .task = LEARN_BINARY, .n_columns = 9, .activation = -1, .seed = 1},
	{.architecture = LEARN_MLP, .task = LEARN_MULTICLASS, .n_columns = 8, .n_outputs = 5, .depth = 2, .width = 33,
	.activation = DEV_MAP_RELU, .seed = 2},
	{.architecture = LEARN_RESNET, .task = LEARN_REGRESSION, .n_columns = 7, .n_outputs = 2, .depth = 2, .width = 24, .activation = -1,
	.seed = 3},
	{.architecture = LEARN_MLP, .task = LEARN_SURVIVAL, .n_columns = 6, .depth = 1, .width = 17, .bins = 5, .activation = -1, .seed = 4},
	{.architecture = LEARN_LAYERS, .task = LEARN_MULTILABEL, .n_columns = 5, .n_outputs = 3, .activation = -1,
	.layers = "batch_norm dense(20) tanh layer_norm dense(10) relu dropout(0.5)", .seed = 5},
	{.architecture = LEARN_CNN, .task = LEARN_BINARY, .n_columns = 3, .depth = 1, .width = 4, .activation = -1, .fields = &picture,
	.n_fields = 1, .seed = 6},
	{.architecture = LEARN_LAYERS, .task = LEARN_BINARY, .n_columns = 3, .activation = -1, .layers = "conv(3) relu flatten", .fields = &picture,
	.n_fields = 1, .seed = 7},
	{.architecture = LEARN_TRANSFORMER, .task = LEARN_REGRESSION, .n_outputs = 1, .depth = 1, .width = 8, .activation = -1, .fields = &lead,
	.n_fields = 1, .seed = 8},
	{.architecture = LEARN_FCN, .task = LEARN_REGRESSION, .n_columns = 3, .n_outputs = 2, .depth = 2, .width = 6, .activation = -1,
	.fields = &windowed, .n_fields = 1, .seed = 9},
	{.architecture = LEARN_GRU, .task = LEARN_SURVIVAL, .depth = 1, .width = 6, .activation = -1, .fields = &windowed, .n_fields = 1, .seed = 10}
};

#define N_SPECS (sizeof(specs) / sizeof(specs[0]))

/* Rows and what is asked of them. */
typedef struct Table
{
	DevSession *session;
	LearnModel *model;
	float	   *raw;			/* (ROWS, channels) */
	LearnBytes *fields;			/* (ROWS) of one field, some missing */
	double	   *scores;			/* (ROWS, outputs) */
	float	   *embeddings;		/* (ROWS, MOST) */
} Table;

static Table
open_table(const ModelSpec *spec)
{
	Table		table;

	CHECK_OR_STOP(dev_session_open(NULL, 3, &table.session) == DEV_OK, "a session opens");
	CHECK_STATUS(table.session, make_model(table.session, spec, &table.model), DEV_OK, "%s: a model is made",
				 learn_architecture_names[spec->architecture]);
	CHECK_OR_STOP(table.model != NULL, "it is there");
	table.raw = dev_alloc(table.session, ROWS * (size_t) table.model->n_channels, sizeof(float));
	table.fields = dev_alloc(table.session, ROWS, sizeof(LearnBytes));
	table.scores = dev_alloc(table.session, ROWS * learn_model_outputs(table.model), sizeof(double));
	table.embeddings = dev_alloc(table.session, ROWS * MOST, sizeof(float));
	CHECK_OR_STOP(table.raw != NULL && table.fields != NULL && table.scores != NULL && table.embeddings != NULL, "memory for rows");
	make_rows(table.model, ROWS, 17, table.raw);
	for (size_t row = 0; row < ROWS && spec->n_fields > 0; row++)
	{
		size_t		n = spec->fields->kind == LEARN_IMAGE ? 30 : spec->fields->stride == 0 ? 32 : 2 * (5 + row * 7 % (SAMPLES - 5));
		float	   *values = dev_alloc(table.session, n, sizeof(float));

		CHECK_OR_STOP(values != NULL, "memory for a value");
		for (size_t i = 0; i < n; i++)
			values[i] = (float) model_normal(18, row * 1000 + i);
		if (row % 10 != 9)
			table.fields[row] = (LearnBytes) {values, n * sizeof(float)};
	}
	return table;
}

static LearnPredictor *
open_predictor(const Table *table, size_t batch)
{
	LearnPredictor *predictor;

	CHECK_STATUS(table->session, learn_predictor_create(table->session, table->model, batch, &predictor), DEV_OK, "a predictor of %zu rows opens", batch);
	CHECK_OR_STOP(predictor != NULL && learn_predictor_embedding(predictor) > 0 && learn_predictor_embedding(predictor) <= MOST, "it embeds");
	return predictor;
}

/* Embeddings of all rows into the table; how many numbers each has. */
static size_t
embed(Table *table, size_t batch)
{
	LearnPredictor *predictor = open_predictor(table, batch);

	/* What was there before does not matter. */
	for (size_t i = 0; i < ROWS * MOST; i++)
		table->embeddings[i] = NAN;
	CHECK_STATUS(table->session, learn_predict_embedded(predictor, ROWS, table->raw, table->fields, table->scores, table->embeddings), DEV_OK,
				 "embeds by %zu", batch);
	return learn_predictor_embedding(predictor);
}

/* A parameter of a network by its name. */
static float *
find_weights(const Table *table, int number, const char *name, size_t *size)
{
	const LearnNet *net = &table->model->nets[number];
	LearnGraph	built;
	const NnParameterInfo *info;

	CHECK_OR_STOP(learn_network_build(table->session, &net->network, NULL, &built) == DEV_OK, "its graph");
	CHECK_OR_STOP(nn_graph_find(built.graph, name) >= 0, "it has \"%s\"", name);
	info = nn_graph_parameter(built.graph, nn_graph_find(built.graph, name));
	if (size != NULL)
		*size = info->size;
	return net->weights + info->offset;
}

static void
check_head(Table *table, size_t n, const char *what)
{
	size_t		n_outputs = learn_model_outputs(table->model);
	const float *weights = find_weights(table, 0, "head.weights", NULL);
	const float *bias = find_weights(table, 0, "head.bias", NULL);
	double		apart = 0;
	double		spread = 0;

	for (size_t row = 0; row < ROWS; row++)
	{
		const double *scores = table->scores + row * n_outputs;
		double		outputs[8];

		for (size_t i = 0; i < n_outputs; i++)
		{
			outputs[i] = bias[i];
			for (size_t j = 0; j < n; j++)
				outputs[i] += (double) table->embeddings[row * n + j] * weights[j * n_outputs + i];
		}
		learn_outputs_to_scores(table->model, 1, outputs);
		for (size_t i = 0; i < n_outputs; i++)
		{
			apart = fmax(apart, fabs(outputs[i] - scores[i]));
			spread = fmax(spread, fabs(scores[i] - table->scores[i]));
		}
	}
	CHECK(apart < 1e-3 * spread && spread > 0, "%s: the head makes the scores of embeddings, but for %g of %g", what, apart, spread);
}

static void
test_heads(const ModelSpec *spec, int n_views)
{
	Table		table = open_table(spec);
	size_t		n_outputs = learn_model_outputs(table.model);
	const char *what = learn_architecture_names[spec->architecture];
	LearnAugment usual = {.values = {0}};
	double	   *scores = dev_alloc(table.session, ROWS * n_outputs, sizeof(double));
	float	   *embeddings = dev_alloc(table.session, ROWS * MOST, sizeof(float));
	size_t		n;

	CHECK_OR_STOP(scores != NULL && embeddings != NULL, "memory");
	if (n_views > 1)
	{
		for (int kind = 0; kind < LEARN_N_AUGMENT_KINDS; kind++)
			learn_augment_usual(&usual, (LearnAugmentKind) kind);
		table.model->augment = &usual;
		table.model->n_views = n_views;
	}
	n = embed(&table, 64);
	check_head(&table, n, what);
	memcpy(scores, table.scores, ROWS * n_outputs * sizeof(double));
	memcpy(embeddings, table.embeddings, ROWS * n * sizeof(float));
	for (size_t batch = 1; batch < 20; batch += 6)
	{
		CHECK(embed(&table, batch) == n, "%s: as many numbers by %zu", what, batch);
		CHECK(memcmp(embeddings, table.embeddings, ROWS * n * sizeof(float)) == 0 &&
			  memcmp(scores, table.scores, ROWS * n_outputs * sizeof(double)) == 0,
			  "%s: bits by %zu are those by 64", what, batch);
	}
	memset(table.scores, 0, ROWS * n_outputs * sizeof(double));
	CHECK_STATUS(table.session, learn_predict_scores(open_predictor(&table, 64), ROWS, table.raw, table.fields, table.scores), DEV_OK,
				 "%s predicts", what);
	CHECK(memcmp(scores, table.scores, ROWS * n_outputs * sizeof(double)) == 0, "%s: whoever wants embeddings gets the same scores", what);
	dev_session_close(table.session);
}

/* Every member by itself, with its own scales given to all of them, and the mean by hand. */
static void
test_members(void)
{
	static const ModelSpec spec = {.architecture = LEARN_TABM, .task = LEARN_BINARY, .n_columns = 6, .depth = 2, .width = 12, .members = 3,
	.bins = 4, .activation = -1, .seed = 20};
	Table		table = open_table(&spec);
	size_t		n = embed(&table, 32);
	float	   *mean = dev_alloc(table.session, ROWS * MOST, sizeof(float));
	double	   *sums = dev_alloc(table.session, ROWS * 12, sizeof(double));
	float		kept[4096];
	size_t		size;
	float	   *scales = find_weights(&table, 0, "members.scale", &size);
	double		apart = 0;
	double		spread = 0;

	CHECK_OR_STOP(mean != NULL && sums != NULL && size <= 4096 && size % 3 == 0, "memory, and scales of three members");
	CHECK_OR_STOP(n == 12, "one width, however many members: %zu", n);
	memcpy(mean, table.embeddings, ROWS * n * sizeof(float));
	memcpy(kept, scales, size * sizeof(float));
	for (size_t member = 0; member < 3; member++)
	{
		for (size_t i = 0; i < size; i++)
			scales[i] = kept[member * (size / 3) + i % (size / 3)];
		embed(&table, 32);
		for (size_t i = 0; i < ROWS * n; i++)
		{
			sums[i] += table.embeddings[i] / 3.0;
			spread = fmax(spread, fabs(table.embeddings[i] - mean[i]));
		}
	}
	for (size_t i = 0; i < ROWS * n; i++)
		apart = fmax(apart, fabs(sums[i] - mean[i]));
	CHECK(apart < 1e-5 * spread && spread > 0, "the mean over members: %g of %g", apart, spread);
	dev_session_close(table.session);
}

/* Do numbers [at, at + n_part) of all embeddings, of `n` each, have the bits of network `number` by itself? */
static void
check_part(Table *table, const float *embeddings, size_t n, size_t at, size_t n_part, int number, const char *what)
{
	LearnModel *whole = table->model;
	LearnModel	single = *whole;
	bool		same = true;

	single.n_nets = 1;
	single.nets = &whole->nets[number];
	table->model = &single;
	CHECK(embed(table, 16) == n_part, "%s: network %d has %zu numbers", what, number, n_part);
	for (size_t row = 0; row < ROWS; row++)
		same = same && memcmp(embeddings + row * n + at, table->embeddings + row * n_part, n_part * sizeof(float)) == 0;
	CHECK(same, "%s: network %d stands at %zu", what, number, at);
	table->model = whole;
}

/* Folds side by side; linear ones, which see the same, once; a linear one among others by itself. */
static void
test_networks(void)
{
	static const ModelSpec deep = {.architecture = LEARN_MLP, .task = LEARN_BINARY, .n_columns = 7, .depth = 1, .width = 9, .activation = -1,
	.n_nets = 3, .seed = 30};
	static const ModelSpec straight = {.architecture = LEARN_LINEAR, .task = LEARN_BINARY, .n_columns = 7, .activation = -1, .n_nets = 2, .seed = 31};
	Table		table = open_table(&deep);
	Table		linear = open_table(&straight);
	float	   *all = dev_alloc(table.session, ROWS * MOST, sizeof(float));
	LearnNet	nets[5];
	size_t		n_linear;
	size_t		n;

	CHECK_OR_STOP(all != NULL, "memory");
	n = embed(&table, 32);
	CHECK_OR_STOP(n == 3 * 9, "three networks of nine: %zu", n);
	memcpy(all, table.embeddings, ROWS * n * sizeof(float));
	for (int i = 0; i < 3; i++)
		check_part(&table, all, n, 9 * (size_t) i, 9, i, "folds");

	n_linear = embed(&linear, 32);
	memcpy(all, linear.embeddings, ROWS * n_linear * sizeof(float));
	for (int i = 0; i < 2; i++)
		check_part(&linear, all, n_linear, 0, n_linear, i, "linear folds");

	/* deep, linear, deep, linear, deep */
	for (int i = 0; i < 5; i++)
		nets[i] = i % 2 == 0 ? table.model->nets[i / 2] : linear.model->nets[i / 2];
	table.model->n_nets = 5;
	table.model->nets = nets;
	n = embed(&table, 32);
	CHECK_OR_STOP(n == 3 * 9 + n_linear, "each deep one, and what linear ones see: %zu", n);
	memcpy(all, table.embeddings, ROWS * n * sizeof(float));
	check_part(&table, all, n, 0, 9, 0, "blend");
	check_part(&table, all, n, 9, n_linear, 1, "blend");
	check_part(&table, all, n, 9 + n_linear, 9, 2, "blend");
	check_part(&table, all, n, 9, n_linear, 3, "blend");
	check_part(&table, all, n, 18 + n_linear, 9, 4, "blend");
	dev_session_close(linear.session);
	dev_session_close(table.session);
}

/* Of an additive network the shares of its columns: what is missing of the outputs is the constant. */
static void
test_additive(void)
{
	static const ModelSpec spec = {.architecture = LEARN_NAM, .task = LEARN_REGRESSION, .n_columns = 6, .n_outputs = 2, .depth = 1, .width = 5,
	.activation = -1, .seed = 40};
	Table		table = open_table(&spec);
	size_t		n = embed(&table, 32);
	const float *bias = find_weights(&table, 0, "head.bias", NULL);
	double		apart = 0;

	for (size_t row = 0; row < ROWS; row++)
	{
		double		sums[2] = {bias[0], bias[1]};

		for (size_t i = 0; i < n; i++)
			sums[i % 2] += table.embeddings[row * n + i];
		learn_outputs_to_scores(table.model, 1, sums);
		for (size_t i = 0; i < 2; i++)
			apart = fmax(apart, fabs(sums[i] - table.scores[row * 2 + i]));
	}
	CHECK(n % 2 == 0 && n >= 12 && apart < 1e-3, "%zu shares add up to the outputs, but for %g", n, apart);
	dev_session_close(table.session);
}

int
main(void)
{
	for (size_t i = 0; i < N_SPECS; i++)
		test_heads(&specs[i], 1);
	test_heads(&specs[2], 3);
	test_heads(&specs[5], 4);
	test_heads(&specs[8], 3);
	test_members();
	test_networks();
	test_additive();
	return check_done();
}

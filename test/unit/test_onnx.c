/*
 * test_onnx.c: what a model answers as an ONNX file is what it answers here, for every architecture, scaling, embedding and task that can
 * be exported; what cannot is told.
 */
#include "models.h"

#include "check_onnx.h"

#include "idla/learn_onnx.h"
#include "idla/nn_onnx.h"

#define N_ROWS 40
#define MOST_PIXELS 1000		/* of the one image that a model may have */

static const char *const odd_texts[] = {"\\N", "never seen", ""};

typedef struct Rows
{
	float		raw[N_ROWS * 64];
	float		column[64][N_ROWS];
	const char *texts[64][N_ROWS];
	float		pixels[N_ROWS * MOST_PIXELS];
	LearnBytes	images[N_ROWS];
} Rows;

/* Raw rows of the model, and the same as the file's inputs: infinities, unknown and missing texts among them. */
static void
give_rows(Onnx *onnx, const LearnModel *model, Rows *rows)
{
	make_rows(model, N_ROWS, 7, rows->raw);
	for (int c = 0; c < model->n_channels; c++)
	{
		const LearnChannel *channel = &model->channels[c];

		for (int i = 0; i < N_ROWS; i++)
		{
			float	   *raw = &rows->raw[i * model->n_channels + c];

			if (channel->kind == LEARN_CATEGORY)
			{
				rows->texts[c][i] = isnan(*raw) ? odd_texts[0] : i % 9 == 0 ? odd_texts[1] : i % 11 == 0 ? odd_texts[2] :
					channel->categories[(int) *raw];
				*raw = isnan(*raw) ? *raw : learn_category_code(channel, rows->texts[c][i], strlen(rows->texts[c][i]));
			}
			else if (i % 13 == 5)
				*raw = i % 2 ? INFINITY : 1e30f;
			else
				*raw = *raw * 3 + 1;
			rows->column[c][i] = *raw;
		}
		if (channel->number_input != NN_NONE || channel->code_input != NN_NONE)
			give_input(onnx, model->columns[channel->column], 2, (const size_t[]) {N_ROWS, 1}, rows->column[c],
					   channel->kind == LEARN_CATEGORY ? rows->texts[c] : NULL);
	}
}

/* Some images are missing: they are stored as nothing, and NaN in the file. */
static void
give_images(Onnx *onnx, const LearnModel *model, Rows *rows)
{
	const LearnField *field = &model->fields[0];
	size_t		n = field->dims[0] * field->dims[1] * field->dims[2];

	MUST(n <= MOST_PIXELS);
	for (size_t i = 0; i < N_ROWS * n; i++)
		rows->pixels[i] = (i / n) % 9 == 4 ? NAN : (float) model_normal(11, i);
	for (size_t i = 0; i < N_ROWS; i++)
		rows->images[i] = i % 9 == 4 ? (LearnBytes) {NULL, 0} : (LearnBytes) {rows->pixels + i * n, n * sizeof(float)};
	give_input(onnx, field->name, 4, (const size_t[]) {N_ROWS, field->dims[0], field->dims[1], field->dims[2]}, rows->pixels, NULL);
}

/* The columns are called as their channels are, the classes by letters. */
static void
name_columns(DevSession *session, LearnModel *model)
{
	model->columns = dev_alloc(session, (size_t) model->n_columns, sizeof(char *));
	for (int i = 0; i < model->n_channels; i++)
		model->columns[i] = model->channels[i].name;
	for (int i = 0; i < model->n_fields; i++)
		model->columns[model->fields[i].column] = model->fields[i].name;
	model->classes = (char **) model_labels;
}

/* Every column in another way, so that each is exported. */
static void
dress(DevSession *session, LearnModel *model, bool quantiles)
{
	float	   *steps = dev_alloc(session, 9, sizeof(float));

	for (int i = 0; i < 9; i++)
		steps[i] = i < 3 ? -2 : (float) (i / 2);
	for (int c = 0; c < model->n_channels; c++)
	{
		LearnChannel *channel = &model->channels[c];

		channel->scaling = c % 8 == 0 ? LEARN_ROBUST : c % 8 == 1 ? (quantiles ? LEARN_QUANTILE : LEARN_ROBUST) :
			c % 8 == 4 ? LEARN_STANDARD : LEARN_UNSCALED;
		channel->n_quantiles = channel->scaling == LEARN_QUANTILE ? 9 : 0;
		channel->quantiles = steps;
		channel->fill = 0.5f;
		channel->center = channel->scaling == LEARN_UNSCALED ? 0 : 0.75f;
		channel->scale = channel->scaling == LEARN_UNSCALED ? 1 : 0.6f;
	}
	model->temperature = model->task == LEARN_BINARY || model->task == LEARN_MULTICLASS ? 1.7 : 1;
	if (model->task == LEARN_BINARY || model->task == LEARN_MULTICLASS)
	{
		model->offset = dev_alloc(session, learn_model_outputs(model), sizeof(double));
		for (size_t i = 0; i < learn_model_outputs(model); i++)
			model->offset[i] = 0.3 * (double) i - 0.2;
	}
}

static double
difference(const LearnModel *model, Onnx *onnx, const double *answers)
{
	size_t		n = learn_model_outputs(model);
	bool		classes = model->task == LEARN_MULTICLASS || model->task == LEARN_MULTILABEL;
	const Tensor *found = find_value(onnx, classes ? "probabilities" : "prediction");
	double		worst = 0;

	MUST(found->size == N_ROWS * n);
	for (size_t i = 0; i < found->size; i++)
	{
		/* Hazards of infinite rows may be infinite. */
		double		off = found->values[i] == answers[i] ? 0 : fabs(found->values[i] - answers[i]) / fmax(1, fabs(answers[i]));

		worst = isfinite(off) ? fmax(worst, off) : INFINITY;
	}
	if (model->task == LEARN_BINARY)
		for (size_t i = 0; i < N_ROWS; i++)
		{
			const double *both = find_value(onnx, "probabilities")->values + 2 * i;

			worst = fmax(worst, fabs(both[model->positive] - answers[i]));
			worst = fmax(worst, fabs(both[0] + both[1] - 1));
		}
	return worst;
}

/* Of embeddings, in the unit of the largest number of a row, which may be of infinite ones. */
static double
embedding_difference(Onnx *onnx, const float *embeddings, size_t n)
{
	const Tensor *found = find_value(onnx, "embedding");
	double		worst = 0;

	MUST(found->size == N_ROWS * n && n > 0);
	for (size_t row = 0; row < N_ROWS; row++)
	{
		double		size = 1;

		for (size_t i = row * n; i < (row + 1) * n; i++)
			size = fmax(size, fabs(embeddings[i]));
		for (size_t i = row * n; i < (row + 1) * n; i++)
		{
			double		off = fabs(found->values[i] - embeddings[i]) / size;

			worst = isfinite(off) ? fmax(worst, off) : INFINITY;
		}
	}
	return worst;
}

static void
test_model(const ModelSpec *spec, bool quantiles, const char *what)
{
	static Onnx onnx;
	static Rows rows;
	DevHost		host = {0};
	DevSession *session;
	LearnModel *model;
	LearnPredictor *predictor;
	LearnOnnx	file;
	double		answers[N_ROWS * 8];
	float	   *embeddings;
	size_t		n;

	MUST(dev_session_open(&host, 3, &session) == DEV_OK);
	MUST(make_model(session, spec, &model) == DEV_OK);
	name_columns(session, model);
	dress(session, model, quantiles);
	CHECK_STATUS(session, learn_onnx_write(session, model, "model", "target", &file), DEV_OK, "%s is written", what);
	give_rows(&onnx, model, &rows);
	if (model->n_fields > 0)
		give_images(&onnx, model, &rows);
	run_onnx(&onnx, file.bytes, file.size);
	MUST(learn_predictor_create(session, model, 16, &predictor) == DEV_OK);
	n = learn_predictor_embedding(predictor);
	embeddings = dev_alloc(session, N_ROWS * n + 1, sizeof(float));
	MUST(embeddings != NULL);
	CHECK_STATUS(session, learn_predict_embedded(predictor, N_ROWS, rows.raw, rows.images, answers, embeddings), DEV_OK, "and answers");
	learn_scores_to_answers(model, N_ROWS, answers);
	CHECK_NEAR(difference(model, &onnx, answers), 0, 1e-5, "%s answers the same in %d operators", what, onnx.n_nodes);
	CHECK_NEAR(embedding_difference(&onnx, embeddings, n), 0, 1e-5, "%s knows the same of a row, in %zu numbers", what, n);
	forget_onnx(&onnx);
	dev_session_close(session);
}

static const char all_layers[] = "dense(12) relu batch_norm dense(12) gelu layer_norm dense(8) silu dropout(0.5) dense(8) mish "
	"dense(8) selu dense(8) tanh";

static void
test_models(void)
{
	ModelSpec	spec = {.architecture = LEARN_LINEAR,.task = LEARN_BINARY,.n_columns = 9,.n_nets = 1,.n_outputs = 1,.activation = -1,.seed = 5};

	test_model(&spec, false, "a linear model");
	test_model(&spec, true, "a column by its quantiles");
	spec.numbers_only = true;
	test_model(&spec, false, "a model of numbers");
	spec.numbers_only = false;
	spec.architecture = LEARN_MLP;
	spec.depth = 2;
	spec.width = 12;
	spec.activation = DEV_MAP_RELU;
	spec.n_nets = 3;
	test_model(&spec, false, "the mean of three perceptrons");
	spec.bins = 4;
	test_model(&spec, false, "piecewise-linear numbers");
	spec.bins = 0;
	spec.n_nets = 2;
	spec.architecture = LEARN_RESNET;
	spec.activation = DEV_MAP_GELU;
	test_model(&spec, false, "a residual network");
	spec.architecture = LEARN_NAM;
	spec.activation = DEV_MAP_SILU;
	test_model(&spec, false, "an additive network");
	spec.architecture = LEARN_LAYERS;
	spec.layers = all_layers;
	test_model(&spec, false, "a layer text");
	spec.layers = NULL;
	spec.architecture = LEARN_TABM;
	spec.members = 4;
	spec.activation = DEV_MAP_RELU;
	test_model(&spec, false, "an ensemble of probabilities");
	spec.task = LEARN_MULTICLASS;
	spec.n_outputs = 4;
	test_model(&spec, true, "an ensemble of several classes");
	spec.task = LEARN_MULTILABEL;
	test_model(&spec, false, "an ensemble of several labels");
	spec.task = LEARN_REGRESSION;
	test_model(&spec, false, "an ensemble of values");
	spec.task = LEARN_SURVIVAL;
	spec.n_outputs = 1;
	spec.architecture = LEARN_MLP;
	test_model(&spec, false, "a model of survival");
}

static void
test_images(void)
{
	static const LearnField scan = {.name = (char *) "scan",.kind = LEARN_IMAGE,.sample = LEARN_SAMPLE_F32,.dims = {14, 10, 3}};
	ModelSpec	spec = {.architecture = LEARN_CNN,.task = LEARN_BINARY,.n_columns = 4,.n_nets = 1,.n_outputs = 1,.depth = 2,.width = 4,
		.activation = DEV_MAP_RELU,.fields = &scan,.n_fields = 1,.seed = 5};

	test_model(&spec, false, "a convolutional network");
	spec.architecture = LEARN_RESNET20;
	spec.depth = 1;
	test_model(&spec, false, "a residual network over an image");
	spec.architecture = LEARN_LAYERS;
	spec.layers = "pad(2) conv(8, 4, 2) group_norm(4) relu mirror max_pool(2) conv(8, 1) average_pool(2) batch_norm global_max join dense(8) relu";
	test_model(&spec, false, "a layer text of places");
	spec.layers = "conv(4, 3, 1) relu flatten dense(6) tanh";
	test_model(&spec, false, "one that flattens them");
}

/* What has no such form is said by its name. */
static void
test_refusals(void)
{
	DevHost		host = {0};
	DevSession *session;
	ModelSpec	spec = {.architecture = LEARN_LINEAR,.task = LEARN_BINARY,.n_columns = 3,.n_nets = 1,.n_outputs = 1,.activation = -1,.seed = 5};
	LearnModel *model;
	LearnOnnx	file;
	NnOnnx	   *onnx;
	NnGraph    *graph;
	NnShape		shape = nn_shape(1, 3, 0, 0, 0);
	NnNode		input;
	NnNode		last;
	NnOnnxValue value;
	const void *bytes;
	size_t		size;

	MUST(dev_session_open(&host, 3, &session) == DEV_OK);
	MUST(make_model(session, &spec, &model) == DEV_OK);
	name_columns(session, model);
	model->n_views = 4;
	CHECK(learn_onnx_write(session, model, "model", NULL, &file) == DEV_INVALID && strstr(dev_message_text(session), "changed rows") != NULL,
		  "averaged views are refused");

	MUST(nn_graph_create(session, &graph) == DEV_OK && nn_onnx_create(session, &onnx) == DEV_OK);
	input = nn_input(graph, "values", &shape);
	last = nn_huber(graph, input, input, 1);
	nn_graph_keep(graph, last);
	MUST(nn_graph_compile(graph) == DEV_OK);
	value = nn_onnx_input(onnx, "values", NN_ONNX_FLOAT, 1, shape.dims, "");
	value = nn_graph_onnx(onnx, graph, NULL, last, &input, &value, 1);
	CHECK(value == NN_NONE && nn_onnx_status(onnx) == DEV_INVALID && strstr(dev_message_text(session), "operator \"huber\"") != NULL,
		  "an operator without such a form is named");
	CHECK(nn_onnx_apply1(onnx, "Relu", value) == NN_NONE && nn_onnx_write(onnx, "m", "", &bytes, &size) == DEV_INVALID,
		  "and the first failure is what counts");
	nn_onnx_free(onnx);
	dev_session_close(session);
}

/* A column called like an output keeps its name. */
static void
test_names(void)
{
	static Onnx onnx;
	static Rows rows;
	DevHost		host = {0};
	DevSession *session;
	ModelSpec	spec = {.architecture = LEARN_LINEAR,.task = LEARN_BINARY,.n_columns = 1,.numbers_only = true,.n_nets = 1,.n_outputs = 1,
		.activation = -1,.seed = 5};
	LearnModel *model;
	LearnOnnx	file;

	MUST(dev_session_open(&host, 3, &session) == DEV_OK);
	MUST(make_model(session, &spec, &model) == DEV_OK);
	name_columns(session, model);
	model->columns[0] = (char *) "prediction";
	MUST(learn_onnx_write(session, model, "model", NULL, &file) == DEV_OK);
	give_rows(&onnx, model, &rows);
	run_onnx(&onnx, file.bytes, file.size);
	CHECK(find_value(&onnx, "prediction_")->size == N_ROWS, "a column called like an output keeps its name");
	forget_onnx(&onnx);
	dev_session_close(session);
}

/* ---- memory ---- */

static void *
take_few(void *context, size_t size)
{
	int		   *left = context;

	return (*left)-- > 0 ? malloc(size) : NULL;
}

static void
give_back(void *context, void *block)
{
	(void) context;
	free(block);
}

static void
test_memory(void)
{
	ModelSpec	spec = {.architecture = LEARN_TABM,.task = LEARN_BINARY,.n_columns = 4,.n_nets = 1,.n_outputs = 1,.depth = 1,.width = 8,.members = 2,
		.bins = 3,.activation = DEV_MAP_RELU,.seed = 5};
	DevStatus	status = DEV_NO_MEMORY;
	bool		told = true;
	int			most = 0;

	for (; most < 5000 && status == DEV_NO_MEMORY; most++)
	{
		int			left = 1 << 20;
		DevHost		host = {.context = &left,.alloc = take_few,.release = give_back};
		DevSession *session;
		LearnModel *model;
		LearnOnnx	file = {0};

		MUST(dev_session_open(&host, 1, &session) == DEV_OK);
		MUST(make_model(session, &spec, &model) == DEV_OK);
		name_columns(session, model);
		left = most;
		status = learn_onnx_write(session, model, "model", NULL, &file);
		told = told && (status == DEV_OK || (status == DEV_NO_MEMORY && dev_status(session) == DEV_NO_MEMORY));
		dev_session_close(session);
	}
	CHECK(told && status == DEV_OK && most > 100, "%d failing allocations are told, and nothing leaks", most - 1);
}

int
main(void)
{
	test_models();
	test_images();
	test_refusals();
	test_names();
	test_memory();
	return check_done();
}

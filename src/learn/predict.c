/*
 * predict.c: rows into answers.
 *
 * A predictor owns everything that a pass needs, so that a row costs its
 * arithmetic and little else: nothing is allocated and nothing cleared between
 * passes. Networks of the same description (folds, bags) share one
 * graph and its buffers and differ in their weights alone. The model comes from a table, so
 * whatever indexes something is checked once, at the start.
 */
#include "predict.h"

#include "dataset.h"
#include "logistic.h"

#include <math.h>
#include <string.h>

#define MAX_OUTPUTS 65536
#define PASS_FLOATS ((size_t) 1 << 20)	/* of the widest activation of a pass over texts */

/* ---- What a model claims, checked ---- */

static DevStatus
check_channel(DevSession *session, const LearnModel *model, int number)
{
	const LearnChannel *channel = &model->channels[number];

	if (channel->column < 0 || channel->column >= model->n_columns ||
		channel->number_input < NN_NONE || channel->indicator_input < NN_NONE || channel->code_input < NN_NONE ||
		(channel->number_input >= 0 && (size_t) channel->number_input >= model->n_numbers) ||
		(channel->indicator_input >= 0 && (size_t) channel->indicator_input >= model->n_numbers) ||
		(channel->code_input >= 0 && (size_t) channel->code_input >= model->n_codes))
		return dev_fail(session, DEV_CORRUPT, "channel %d of the model points outside its inputs", number);
	return DEV_OK;
}

static DevStatus
check_calibration(DevSession *session, const LearnModel *model)
{
	size_t		n_outputs = learn_model_outputs(model);

	if (!(model->temperature > 0 && isfinite(model->temperature)))
		return dev_fail(session, DEV_CORRUPT, "temperature \"%g\" of the model is not a positive number",
						model->temperature);
	for (size_t i = 0; i < n_outputs; i++)
	{
		if (model->offset != NULL && !isfinite(model->offset[i]))
			return dev_fail(session, DEV_CORRUPT, "offset \"%g\" of the model is not finite", model->offset[i]);
		if (model->task == LEARN_REGRESSION &&
			!(isfinite(model->target_mean[i]) && isfinite(model->target_scale[i])))
			return dev_fail(session, DEV_CORRUPT, "target %zu of the model has no finite scale", i);
	}
	return DEV_OK;
}

static DevStatus
check_model(DevSession *session, const LearnModel *model)
{
	DevStatus	status = DEV_OK;

	if (model->n_nets < 1)
		return dev_fail(session, DEV_CORRUPT, "the model has no network");
	if (model->n_columns < 0 || model->n_channels < 0 || learn_model_outputs(model) - 1 >= MAX_OUTPUTS)
		return dev_fail(session, DEV_CORRUPT, "the model has no columns or outputs that can be");
	if (model->task == LEARN_REGRESSION && (model->target_mean == NULL || model->target_scale == NULL))
		return dev_fail(session, DEV_CORRUPT, "the model has no scale of its targets");
	if (model->task == LEARN_TAGGING && (model->n_fields != 1 || !model->fields[0].tagged || model->labels == NULL))
		return dev_fail(session, DEV_CORRUPT, "the model has no text to tag");
	/* Rows of taggers are texts and nothing else: nobody brings values of channels. */
	if (model->task == LEARN_TAGGING && model->n_channels > 0)
		return dev_fail(session, DEV_CORRUPT, "the model tags texts and has %d channels beside them", model->n_channels);
	status = check_calibration(session, model);
	for (int i = 0; i < model->n_channels && status == DEV_OK; i++)
		status = check_channel(session, model, i);
	return status;
}

static DevStatus
check_network(DevSession *session, const LearnModel *model, const LearnNetwork *network, int number)
{
	if (network->task != model->task || network->n_numbers != model->n_numbers ||
		network->n_codes != model->n_codes || (network->n_fields > 0 && network->n_fields != model->n_fields) ||
		network->n_outputs != learn_model_outputs(model))
		return dev_fail(session, DEV_CORRUPT, "network %d does not take the model's inputs or give its outputs",
						number);
	return DEV_OK;
}

static DevStatus
check_weights(DevSession *session, const LearnEngine *engine, const LearnNet *net, int number)
{
	if (net->weights == NULL || net->n_weights != nn_graph_weights(engine->built.graph))
		return dev_fail(session, DEV_CORRUPT, "network %d has %zu weights where its description needs %zu",
						number, net->weights == NULL ? (size_t) 0 : net->n_weights,
						nn_graph_weights(engine->built.graph));
	if (net->baseline == NULL || net->n_features != engine->n_features)
		return dev_fail(session, DEV_CORRUPT,
						"network %d has a baseline of %zu features where its description needs %zu",
						number, net->baseline == NULL ? (size_t) 0 : net->n_features, engine->n_features);
	return DEV_OK;
}

/* ---- Engines ---- */

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool
learn_same_network(const LearnNetwork *a, const LearnNetwork *b)
{
	return a->architecture == b->architecture && same_text(a->layers, b->layers) && a->depth == b->depth &&
		a->width == b->width && a->members == b->members && a->activation == b->activation &&
		a->dropout == b->dropout && a->embedding == b->embedding && a->bins == b->bins &&
		a->embedding_width == b->embedding_width && a->positions == b->positions && a->tags_alone == b->tags_alone &&
		a->n_numbers == b->n_numbers && a->n_codes == b->n_codes &&
		(a->n_codes == 0 || memcmp(a->cardinality, b->cardinality, a->n_codes * sizeof(int)) == 0) &&
		a->n_fields == b->n_fields && (a->n_fields == 0 || a->fields == b->fields) && a->task == b->task && a->n_outputs == b->n_outputs;
}

/*
 * Rows are loaded for one network with fields and read by all: what is cut for the texts of one must be what the others take, and
 * tags of all must come about in one way.
 */
static DevStatus
choose_reader(LearnPredictor *predictor, const LearnEngine *engine, int number)
{
	const LearnEngine *reader = predictor->reader;
	bool		alike = true;

	if (reader == NULL || reader->network->n_fields == 0)
	{
		predictor->reader = reader == NULL || engine->network->n_fields > 0 ? engine : reader;
		return DEV_OK;
	}
	if (engine->network->n_fields == 0)
		return DEV_OK;
	alike = engine->stretches.n == reader->stretches.n;
	for (int i = 0; i < reader->stretches.n && alike; i++)
		alike = engine->stretches.stretches[i].length == reader->stretches.stretches[i].length;
	if (!alike || (engine->built.shares == NN_NONE) != (reader->built.shares == NN_NONE))
		return dev_fail(predictor->session, DEV_CORRUPT, "network %d reads texts in another way than those before it", number);
	return DEV_OK;
}

static DevStatus
build_engine(LearnPredictor *predictor, const LearnNetwork *network, int number, LearnEngine *engine)
{
	DevSession *session = predictor->session;
	DevStatus	status = check_network(session, predictor->model, network, number);

	if (status == DEV_OK)
		status = learn_stretches_create(session, network, NULL, &engine->stretches);
	for (int i = 0; i < engine->stretches.n && status == DEV_OK; i++)
	{
		NnGraph    *graph = engine->stretches.stretches[i].built.graph;
		size_t		rows = PASS_FLOATS / nn_graph_widest(graph) + 1;

		/* Long texts are many numbers: they come in fewer rows at a time. */
		if (engine->stretches.stretches[i].length == 0 || rows > predictor->max_batch)
			rows = predictor->max_batch;
		if (predictor->rows[i] == 0 || predictor->rows[i] > rows)
			predictor->rows[i] = rows;
		status = nn_run_create(graph, predictor->device, rows, NN_RUN_FORWARD, &engine->runs[i]);
	}
	if (status != DEV_OK)
		return status;
	engine->built = engine->stretches.stretches[engine->stretches.n - 1].built;
	engine->run = engine->runs[engine->stretches.n - 1];
	engine->network = network;
	engine->n_features = engine->built.features == NN_NONE ? 0 :
		nn_shape_size(nn_graph_shape(engine->built.graph, engine->built.features));
	return choose_reader(predictor, engine, number);
}

static DevStatus
find_engine(LearnPredictor *predictor, const LearnNetwork *network, int number, LearnEngine **engine)
{
	DevStatus	status;

	for (int i = 0; i < predictor->n_engines; i++)
	{
		*engine = &predictor->engines[i];
		if (learn_same_network((*engine)->network, network))
			return DEV_OK;
	}
	*engine = &predictor->engines[predictor->n_engines];
	status = build_engine(predictor, network, number, *engine);
	if (status == DEV_OK)
		predictor->n_engines++;
	return status;
}

static DevStatus
upload_weights(LearnPredictor *predictor, const LearnNet *net, LearnVoice *voice)
{
	const DevPrimitives *primitives = predictor->device->primitives;
	size_t		bytes = net->n_weights * sizeof(float);
	float	   *weights;

	/* A run that only infers changes nothing, so the model's own will do. */
	if (primitives->host && bytes > 0)
	{
		voice->weights = net->weights;
		return DEV_OK;
	}
	weights = primitives->alloc(predictor->device, bytes == 0 ? sizeof(float) : bytes);
	if (weights == NULL)
		return dev_status(predictor->session) != DEV_OK ? dev_status(predictor->session) : DEV_NO_MEMORY;
	primitives->upload(nn_run_queue(voice->engine->run), weights, net->weights, bytes);
	voice->weights = weights;
	return nn_run_synchronize(voice->engine->run);
}

static DevStatus
build_voice(LearnPredictor *predictor, int number)
{
	const LearnNet *net = &predictor->model->nets[number];
	LearnVoice *voice = &predictor->voices[number];
	DevStatus	status = find_engine(predictor, &net->network, number, &voice->engine);

	voice->net = net;
	if (status == DEV_OK)
		status = check_weights(predictor->session, voice->engine, net, number);
	if (status == DEV_OK)
		status = upload_weights(predictor, net, voice);
	if (status != DEV_OK)
		return status;
	predictor->n_voices++;
	learn_embeddings_place(predictor, voice);
	return DEV_OK;
}

/* Whether the networks tell of every token by itself how probable its tags are. */
static bool
tags_alone(const LearnPredictor *predictor)
{
	return predictor->engines[0].built.shares != NN_NONE;
}

static DevStatus
create_tagger(LearnPredictor *predictor)
{
	const LearnStretches *stretches = &predictor->engines[0].stretches;
	const float **weights = dev_alloc(predictor->session, (size_t) predictor->n_voices, sizeof(float *));
	size_t		most = 0;
	DevStatus	status = learn_chain_create(predictor->session, predictor->n_outputs, predictor->model->fields[0].dims[0], &predictor->chain);

	for (int i = 0; i < stretches->n; i++)
		most = stretches->stretches[i].length * predictor->rows[i] > most ? stretches->stretches[i].length * predictor->rows[i] : most;
	predictor->emissions = dev_alloc(predictor->session, most, predictor->n_outputs * sizeof(float));
	if (tags_alone(predictor))
		predictor->shares = dev_alloc(predictor->session, most, predictor->n_outputs * sizeof(float));
	if (status != DEV_OK || predictor->emissions == NULL || weights == NULL || (tags_alone(predictor) && predictor->shares == NULL))
		return DEV_NO_MEMORY;
	for (int i = 0; i < predictor->n_voices; i++)
		weights[i] = predictor->voices[i].net->weights;
	learn_chain_set(&predictor->chain, &predictor->engines[0].built, predictor->n_voices, weights);
	dev_release(predictor->session, weights);
	return DEV_OK;
}

static DevStatus
create_windows(LearnPredictor *predictor)
{
	if (!learn_fields_windowed(predictor->model->fields, predictor->model->n_fields))
		return DEV_OK;
	predictor->slots = dev_alloc(predictor->session, predictor->max_batch, sizeof(LearnSlot));
	predictor->window_outputs = dev_alloc(predictor->session, predictor->max_batch, predictor->n_outputs * sizeof(double));
	return predictor->slots == NULL || predictor->window_outputs == NULL ? DEV_NO_MEMORY : DEV_OK;
}

DevStatus
learn_predictor_create(DevSession *session, const LearnModel *model, size_t max_batch, LearnPredictor **predictor)
{
	LearnPredictor *made = dev_alloc(session, 1, sizeof(LearnPredictor));
	size_t		batch = max_batch == 0 ? 1 : max_batch;
	DevStatus	status;

	*predictor = NULL;
	if (made == NULL)
		return DEV_NO_MEMORY;
	status = check_model(session, model);
	if (status != DEV_OK)
		return status;
	made->session = session;
	made->model = model;
	made->max_batch = batch;
	made->n_outputs = learn_model_outputs(model);
	made->voices = dev_alloc(session, (size_t) model->n_nets, sizeof(LearnVoice));
	made->engines = dev_alloc(session, (size_t) model->n_nets, sizeof(LearnEngine));
	made->numbers = dev_alloc(session, batch * model->n_numbers + 1, sizeof(float));
	made->codes = dev_alloc(session, batch * model->n_codes + 1, sizeof(int32_t));
	if (made->voices == NULL || made->engines == NULL || made->numbers == NULL || made->codes == NULL)
		return DEV_NO_MEMORY;
	status = learn_row_encoder_create(session, model->channels, model->n_channels, &made->encoder);
	if (status == DEV_OK)
		status = learn_field_batch_create(session, model->fields, model->n_fields, batch, &made->fields);
	if (status == DEV_OK)
		status = learn_views_create(made);
	if (status == DEV_OK)
		status = create_windows(made);
	/* Inference runs on the device's own products: a backend that only predicts never opens a BLAS. */
	if (status == DEV_OK)
		status = dev_cpu_open(session, "", &made->device);
	for (int i = 0; i < model->n_nets && status == DEV_OK; i++)
		status = build_voice(made, i);
	if (status == DEV_OK && model->task == LEARN_TAGGING)
		status = create_tagger(made);
	if (status == DEV_OK)
		*predictor = made;
	return status;
}

/* ---- Passes ---- */

void
learn_predictor_stretch(LearnPredictor *predictor, int stretch)
{
	const LearnEngine *reader = predictor->reader;

	if (reader->network->n_fields == 0)
		return;
	predictor->stretch = learn_engine_stretch(reader, stretch);
	learn_field_batch_stretch(&predictor->fields, reader->stretches.stretches[predictor->stretch].network.fields);
}

void
learn_predictor_encode(LearnPredictor *predictor, size_t n, const float *raw, const LearnBytes *fields, int stretch)
{
	const LearnModel *model = predictor->model;

	learn_predictor_stretch(predictor, stretch);
	learn_encode_rows(&predictor->encoder, n, raw, predictor->numbers, model->n_numbers, predictor->codes, model->n_codes);
	for (size_t row = 0; row < n; row++)
		for (int field = 0; field < model->n_fields; field++)
			learn_field_batch_load(&predictor->fields, field, row, fields[row * (size_t) model->n_fields + (size_t) field]);
}

void
learn_predictor_set(LearnPredictor *predictor, const LearnEngine *engine, NnRun *run, size_t n)
{
	if (engine->built.numbers != NN_NONE)
		nn_run_set(run, engine->built.numbers, n, predictor->numbers);
	if (engine->built.codes != NN_NONE)
		nn_run_set_codes(run, engine->built.codes, n, predictor->codes);
	if (engine->network->n_fields > 0)
		learn_field_batch_set(&predictor->fields, &engine->built, run, n);
}

static NnRun *
run_of(const LearnPredictor *predictor, const LearnVoice *voice)
{
	const LearnEngine *engine = voice->engine;

	return engine->runs[learn_engine_stretch(engine, predictor->stretch)];
}

/* The probabilities of tags that belong to the pass of learn_voice_forward. */
static const float *
voice_shares(const LearnPredictor *predictor, const LearnVoice *voice)
{
	return nn_run_value(run_of(predictor, voice), voice->engine->built.shares);
}

DevStatus
learn_voice_forward(LearnPredictor *predictor, const LearnVoice *voice, size_t n, const float **values)
{
	LearnEngine *engine = voice->engine;
	NnRun	   *run = run_of(predictor, voice);
	DevStatus	status;

	nn_run_bind(run, voice->weights, NULL);
	learn_predictor_set(predictor, engine, run, n);
	nn_run_forward(run, engine->built.shares != NN_NONE ? engine->built.shares : engine->built.output, NN_INFER, 0, 0, 0);
	status = nn_run_synchronize(run);
	if (status == DEV_OK)
		*values = nn_run_value(run, engine->built.output);
	return status;
}

/* Adds the outputs of one network for the n encoded rows. */
static DevStatus
add_outputs(LearnPredictor *predictor, const LearnVoice *voice, size_t n, double *outputs)
{
	const float *values;
	DevStatus	status = learn_voice_forward(predictor, voice, n, &values);

	if (status != DEV_OK)
		return status;
	for (size_t i = 0; i < n * predictor->n_outputs; i++)
		outputs[i] += (double) values[i];
	return DEV_OK;
}

/*
 * Mean outputs of the networks, over all views, for the n <= max_batch rows that lie encoded in the predictor, and came from `rows`,
 * beginning with `first`; NULL: they are seen as they lie there, in one way. Unless NULL, embeddings (n, n_embedding) are
 * zeros and get theirs.
 */
static DevStatus
answer_encoded(LearnPredictor *predictor, const LearnRows *rows, size_t first, size_t n, double *outputs, float *embeddings)
{
	const size_t n_values = n * predictor->n_outputs;
	int			n_views = rows == NULL ? 1 : learn_views_count(predictor);

	for (size_t i = 0; i < n_values; i++)
		outputs[i] = 0;
	for (int view = 0; view < n_views; view++)
	{
		DevStatus	status = view > 0 ? dev_poll(predictor->session) : DEV_OK;

		if (n_views > 1 && status == DEV_OK)
			status = learn_views_take(predictor, rows, first, n, view);
		for (int i = 0; i < predictor->n_voices && status == DEV_OK; i++)
		{
			status = add_outputs(predictor, &predictor->voices[i], n, outputs);
			if (status == DEV_OK && embeddings != NULL)
				learn_embeddings_add(predictor, &predictor->voices[i], run_of(predictor, &predictor->voices[i]), n, n_views, embeddings);
		}
		if (status != DEV_OK)
			return status;
	}
	for (size_t i = 0; i < n_values; i++)
		outputs[i] /= predictor->n_voices * n_views;
	return DEV_OK;
}

/* Mean outputs of n rows become scores. */
static DevStatus
finish(const LearnPredictor *predictor, size_t n, double *outputs)
{
	learn_outputs_to_scores(predictor->model, n, outputs);
	for (size_t i = 0; i < n * predictor->n_outputs; i++)
		if (!isfinite(outputs[i]))
			return dev_fail(predictor->session, DEV_BAD_DATA, "the model has no finite answer for a row");
	return DEV_OK;
}

DevStatus
learn_predict_encoded(LearnPredictor *predictor, size_t n, double *scores)
{
	DevStatus	status = answer_encoded(predictor, NULL, 0, n, scores, NULL);

	return status == DEV_OK ? finish(predictor, n, scores) : status;
}

/* A stored value of row `row`, good until the next one is asked for. */
static DevStatus
find_field(const LearnPredictor *predictor, const LearnRows *rows, size_t row, int field, LearnBytes *value)
{
	if (rows->dataset != NULL)
		return learn_dataset_field(rows->dataset, field, rows->numbers[row], value);
	*value = rows->fields[row * (size_t) predictor->model->n_fields + (size_t) field];
	return DEV_OK;
}

DevStatus
learn_rows_shown(const LearnPredictor *predictor, const LearnRows *rows, size_t first, size_t row, int field, LearnBytes *value)
{
	const LearnSlot *slot = predictor->slots == NULL ? NULL : &predictor->slots[row];
	DevStatus	status = find_field(predictor, rows, slot == NULL ? first + row : slot->row, field, value);

	if (status == DEV_OK && slot != NULL)
		*value = learn_field_window(&predictor->model->fields[field], *value, slot->window, slot->n_windows);
	return status;
}

/* Bytes of the same, 0 when it is missing. */
static size_t
field_size(const LearnPredictor *predictor, const LearnRows *rows, size_t row, int field)
{
	const LearnBytes *value;

	if (rows->dataset != NULL)
		return learn_store_missing(rows->dataset->stores[field], rows->numbers[row]) ? 0 :
			learn_store_size(rows->dataset->stores[field], rows->numbers[row]);
	value = &rows->fields[row * (size_t) predictor->model->n_fields + (size_t) field];
	return value->bytes == NULL ? 0 : value->size;
}

static size_t
stretch_rows(const LearnPredictor *predictor, int stretch)
{
	return predictor->rows[stretch] == 0 ? predictor->max_batch : predictor->rows[stretch];
}

int
learn_predictor_find_stretch(const LearnPredictor *predictor, const LearnBytes *fields)
{
	const LearnStretches *stretches = &predictor->reader->stretches;
	int			needed = 0;

	for (int field = 0; field < predictor->model->n_fields && stretches->n > 1; field++)
	{
		int			own = learn_stretch_find(stretches, learn_text_length(&predictor->model->fields[field], fields[field]));

		needed = own > needed ? own : needed;
	}
	return needed;
}

size_t
learn_predictor_room(const LearnPredictor *predictor)
{
	size_t		room = predictor->max_batch;

	for (int stretch = 0; stretch < LEARN_MAX_STRETCHES; stretch++)
		room = stretch_rows(predictor, stretch) < room ? stretch_rows(predictor, stretch) : room;
	return room;
}

/* How many rows from `first` on make the next pass; the stretch that they need is used. */
static DevStatus
next_pass(LearnPredictor *predictor, const LearnRows *rows, size_t first, size_t n, size_t *count)
{
	const LearnModel *model = predictor->model;
	const LearnStretches *stretches = &predictor->reader->stretches;
	int			needed = 0;
	DevStatus	status = DEV_OK;

	*count = 0;
	/* All rows are alike where none brings a text. */
	if (model->n_fields == 0 || stretches->n <= 1)
		*count = n - first < stretch_rows(predictor, 0) ? n - first : stretch_rows(predictor, 0);
	while (first + *count < n && stretches->n > 1 && model->n_fields > 0 && status == DEV_OK)
	{
		int			stretch = needed;

		for (int field = 0; field < model->n_fields && stretches->n > 1 && status == DEV_OK; field++)
		{
			LearnBytes	value;
			int			own;

			status = find_field(predictor, rows, first + *count, field, &value);
			own = status == DEV_OK ? learn_stretch_find(stretches, learn_text_length(&model->fields[field], value)) : 0;
			stretch = own > stretch ? own : stretch;
		}
		if (*count >= stretch_rows(predictor, stretch))
			break;
		needed = stretch;
		(*count)++;
	}
	learn_predictor_stretch(predictor, needed);
	return status;
}

/* Columns of n rows into the predictor's rows from `slot` on. */
static DevStatus
load_columns(LearnPredictor *predictor, const LearnRows *rows, size_t first, size_t n, size_t slot)
{
	const LearnModel *model = predictor->model;
	float	   *numbers = predictor->numbers + slot * model->n_numbers;
	int32_t    *codes = predictor->codes + slot * model->n_codes;

	if (rows->dataset != NULL)
		return learn_dataset_gather(rows->dataset, rows->numbers + first, n, numbers, codes, NULL);
	learn_encode_rows(&predictor->encoder, n, rows->raw + first * (size_t) model->n_channels, numbers, model->n_numbers, codes,
					  model->n_codes);
	return DEV_OK;
}

/* Fields of rows, one after another. */
static DevStatus
load_fields(LearnPredictor *predictor, const LearnRows *rows, size_t first, size_t n)
{
	DevStatus	status = DEV_OK;

	for (int field = 0; field < predictor->model->n_fields; field++)
		for (size_t row = 0; row < n && status == DEV_OK; row++)
		{
			LearnBytes	value;

			status = find_field(predictor, rows, first + row, field, &value);
			if (status == DEV_OK)
				learn_field_batch_load(&predictor->fields, field, row, value);
		}
	return status;
}

/* ---- Rows of several windows ---- */

static size_t
count_windows(const LearnPredictor *predictor, const LearnRows *rows, size_t row)
{
	size_t		most = 1;

	for (int field = 0; field < predictor->model->n_fields; field++)
		most = learn_windows_most(most, &predictor->model->fields[field], field_size(predictor, rows, row, field));
	return most;
}

/* Windows [window, window + n) of n_windows of a row into the predictor's rows from `slot` on. */
static DevStatus
load_windows(LearnPredictor *predictor, const LearnRows *rows, size_t row, size_t window, size_t n, size_t n_windows, size_t slot)
{
	const LearnModel *model = predictor->model;
	DevStatus	status = load_columns(predictor, rows, row, 1, slot);

	for (size_t i = 1; i < n; i++)
	{
		memcpy(predictor->numbers + (slot + i) * model->n_numbers, predictor->numbers + slot * model->n_numbers,
			   model->n_numbers * sizeof(float));
		memcpy(predictor->codes + (slot + i) * model->n_codes, predictor->codes + slot * model->n_codes,
			   model->n_codes * sizeof(int32_t));
	}
	for (int field = 0; field < model->n_fields && status == DEV_OK; field++)
	{
		LearnBytes	value;

		status = find_field(predictor, rows, row, field, &value);
		for (size_t i = 0; i < n && status == DEV_OK; i++)
			learn_field_batch_load(&predictor->fields, field, slot + i,
								   learn_field_window(&model->fields[field], value, window + i, n_windows));
	}
	return status;
}

/* Fills the predictor's slots with the next windows of rows from *next on, before row `end`; returns how many there are. */
static size_t
load_pass(LearnPredictor *predictor, const LearnRows *rows, LearnSlot *next, size_t end, size_t capacity, DevStatus *status)
{
	size_t		n = 0;

	while (next->row < end && n < capacity && *status == DEV_OK)
	{
		size_t		left;
		size_t		count;

		next->n_windows = count_windows(predictor, rows, next->row);
		left = next->n_windows - next->window;
		count = left < capacity - n ? left : capacity - n;
		*status = load_windows(predictor, rows, next->row, next->window, count, next->n_windows, n);
		for (size_t i = 0; i < count; i++, next->window++)
			predictor->slots[n++] = *next;
		if (count == left)
			*next = (LearnSlot) {.row = next->row + 1};
	}
	return n;
}

/* Outputs of rows [first, first + n): passes are filled with windows, whosever they are. */
static DevStatus
answer_windows(LearnPredictor *predictor, const LearnRows *rows, size_t first, size_t n, double *outputs, float *embeddings)
{
	const LearnModel *model = predictor->model;
	LearnWindowing windowing = learn_windowing(model->task, model->fields, model->n_fields, predictor->n_outputs, model->offset);
	size_t		capacity = stretch_rows(predictor, predictor->stretch);
	LearnSlot	next = {.row = first};
	DevStatus	status = DEV_OK;

	while (next.row < first + n && status == DEV_OK)
	{
		size_t		loaded = load_pass(predictor, rows, &next, first + n, capacity, &status);
		float	   *embedded = embeddings == NULL || status != DEV_OK ? NULL : learn_embeddings_of_windows(predictor, loaded);

		if (status == DEV_OK && embeddings != NULL && embedded == NULL)
			status = DEV_NO_MEMORY;
		if (status == DEV_OK)
			status = answer_encoded(predictor, rows, first, loaded, predictor->window_outputs, embedded);
		if (status == DEV_OK && embedded != NULL)
			learn_embeddings_join(predictor, first, loaded, embeddings);
		for (size_t i = 0; i < loaded && status == DEV_OK; i++)
			learn_windows_add(&windowing, predictor->slots[i].window, predictor->window_outputs + i * predictor->n_outputs,
							  outputs + (predictor->slots[i].row - first) * predictor->n_outputs);
		if (status == DEV_OK && next.row < first + n)
			status = dev_poll(predictor->session);
	}
	return status;
}

/* ---- Rows ---- */

static DevStatus
answer_rows(LearnPredictor *predictor, const LearnRows *rows, size_t first, size_t n, double *outputs, float *embeddings)
{
	DevStatus	status;

	if (predictor->slots != NULL)
		return answer_windows(predictor, rows, first, n, outputs, embeddings);
	status = load_columns(predictor, rows, first, n, 0);
	if (status == DEV_OK)
		status = load_fields(predictor, rows, first, n);
	return status == DEV_OK ? answer_encoded(predictor, rows, first, n, outputs, embeddings) : status;
}

static DevStatus
score_rows(LearnPredictor *predictor, const LearnRows *rows, size_t n, double *scores, float *embeddings)
{
	DevStatus	status = DEV_OK;
	size_t		count;

	for (size_t first = 0; first < n && status == DEV_OK; first += count)
	{
		double	   *pass = scores + first * predictor->n_outputs;
		float	   *embedded = embeddings == NULL ? NULL : embeddings + first * predictor->n_embedding;

		status = next_pass(predictor, rows, first, n, &count);
		if (status == DEV_OK && embedded != NULL)
			memset(embedded, 0, count * predictor->n_embedding * sizeof(float));
		if (status == DEV_OK)
			status = answer_rows(predictor, rows, first, count, pass, embedded);
		if (status != DEV_OK)
			break;
		status = finish(predictor, count, pass);
		if (status == DEV_OK && first + count < n)
			status = dev_poll(predictor->session);
	}
	return status;
}

DevStatus
learn_predict_scores(LearnPredictor *predictor, size_t n, const float *raw, const LearnBytes *fields, double *scores)
{
	LearnRows	rows = {.raw = raw, .fields = fields};

	return score_rows(predictor, &rows, n, scores, NULL);
}

DevStatus
learn_predict_embedded(LearnPredictor *predictor, size_t n, const float *raw, const LearnBytes *fields, double *scores, float *embeddings)
{
	LearnRows	rows = {.raw = raw, .fields = fields};

	return score_rows(predictor, &rows, n, scores, embeddings);
}

DevStatus
learn_predict_dataset(LearnPredictor *predictor, LearnDataset *dataset, const uint32_t *rows, size_t n,
					  double *scores)
{
	LearnRows	from = {.dataset = dataset, .numbers = rows};

	return score_rows(predictor, &from, n, scores, NULL);
}

/* ---- Tags ---- */

static void
add_mean(const LearnPredictor *predictor, const float *values, size_t n, float *mean)
{
	for (size_t i = 0; i < n; i++)
		mean[i] += values[i] / (float) predictor->n_voices;
}

/* Where tokens stand alone, so does the certainty of each: its tag's probability among all tags, well-formed or not. */
static void
tell_shares(const LearnPredictor *predictor, const float *shares, LearnTagged *answer)
{
	for (size_t i = 0; i < answer->n; i++)
		answer->certain[i] = shares[i * predictor->n_outputs + (size_t) answer->tags[i]];
}

/* Mean emissions of the rows that are loaded, and shares where tokens stand alone; a row's begin every `stride` floats. */
static DevStatus
find_emissions(LearnPredictor *predictor, size_t rows, size_t stride)
{
	size_t		n = rows * stride;

	memset(predictor->emissions, 0, n * sizeof(float));
	if (tags_alone(predictor))
		memset(predictor->shares, 0, n * sizeof(float));
	for (int i = 0; i < predictor->n_voices; i++)
	{
		const float *values;
		DevStatus	status = learn_voice_forward(predictor, &predictor->voices[i], rows, &values);

		if (status != DEV_OK)
			return status;
		add_mean(predictor, values, n, predictor->emissions);
		if (tags_alone(predictor))
			add_mean(predictor, voice_shares(predictor, &predictor->voices[i]), n, predictor->shares);
	}
	return DEV_OK;
}

static DevStatus
decode_loaded(LearnPredictor *predictor, size_t rows, LearnTagged *answers)
{
	size_t		length = predictor->fields.fields[0].dims[0];
	size_t		stride = length * predictor->n_outputs;
	const int32_t *stored = predictor->fields.planes[0][4];
	DevStatus	status = find_emissions(predictor, rows, stride);

	for (size_t row = 0; row < rows && status == DEV_OK; row++)
	{
		const float *emissions = predictor->emissions + row * stride;
		LearnTagged *answer = &answers[row];

		answer->n = (size_t) predictor->fields.lengths[0][row];
		for (size_t j = 0; j < answer->n * predictor->n_outputs; j++)
			if (!isfinite(emissions[j]))
				return dev_fail(predictor->session, DEV_BAD_DATA, "the model has no finite answer for a text");
		learn_chain_decode(&predictor->chain, answer->n, emissions, answer->tags, answer->certain);
		if (tags_alone(predictor))
			tell_shares(predictor, predictor->shares + row * stride, answer);
		if (answer->actual != NULL)
			memcpy(answer->actual, stored + row * length, answer->n * sizeof(int32_t));
	}
	return status;
}

DevStatus
learn_predict_tags(LearnPredictor *predictor, size_t n, const LearnBytes *texts, LearnTagged *answers)
{
	LearnRows	rows = {.fields = texts};
	DevStatus	status = DEV_OK;
	size_t		count;

	if (predictor->model->task != LEARN_TAGGING)
		return dev_fail(predictor->session, DEV_INVALID, "the model does not tag");
	for (size_t first = 0; first < n && status == DEV_OK; first += count)
	{
		status = next_pass(predictor, &rows, first, n, &count);
		if (status == DEV_OK)
			status = load_fields(predictor, &rows, first, count);
		if (status == DEV_OK)
			status = decode_loaded(predictor, count, answers + first);
		if (status == DEV_OK && first + count < n)
			status = dev_poll(predictor->session);
	}
	return status;
}

/* ---- Outputs, scores, answers ---- */

void
learn_outputs_to_scores(const LearnModel *model, size_t n, double *outputs)
{
	size_t		n_outputs = learn_model_outputs(model);

	for (size_t row = 0; row < n; row++)
	{
		double	   *values = outputs + row * n_outputs;

		for (size_t i = 0; i < n_outputs; i++)
		{
			if (model->task == LEARN_REGRESSION)
				values[i] = values[i] * model->target_scale[i] + model->target_mean[i];
			else
				values[i] = values[i] / model->temperature + (model->offset != NULL ? model->offset[i] : 0);
		}
		if (model->task == LEARN_MULTICLASS)
			learn_normalize_log(n_outputs, values);
	}
}

void
learn_scores_to_answers(const LearnModel *model, size_t n, double *scores)
{
	size_t		n_values = n * learn_model_outputs(model);

	if (model->task == LEARN_BINARY || model->task == LEARN_MULTILABEL)
		learn_logistic_all(n_values, scores);
	else if (model->task != LEARN_REGRESSION)
		for (size_t i = 0; i < n_values; i++)
			scores[i] = exp(scores[i]);
}

double
learn_survival_at(const LearnModel *model, double log_hazard, double time)
{
	int			low = 0;
	int			high = model->n_hazard;

	/* The last event time that is not after `time`. */
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (model->hazard_time[middle] <= time)
			low = middle + 1;
		else
			high = middle;
	}
	return low == 0 ? 1 : exp(-model->hazard[low - 1] * exp(log_hazard));
}

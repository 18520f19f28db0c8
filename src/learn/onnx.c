/*
 * onnx.c: a model as an ONNX file.
 *
 * The same steps as predicting, in the operators of ONNX: columns and fields become what the networks take; each network by its graph; the mean over
 * networks, temperature, offset and link in double precision, as predict.c does it. What a sequence's network computes beyond its length is
 * computed here too: networks see no padding, whatever it holds.
 */
#include "onnx.h"

#include <stdio.h>
#include <string.h>

#include "predict.h"

/* ---- networks and answers ---- */

/* A network's part of an embedding, of what its heads multiply. */
static void
write_part(LearnOnnxWriter *writer, const LearnNetwork *network, const LearnGraph *built, NnOnnxValue embedded)
{
	const int64_t members = 1;
	int64_t		flat[2] = {-1, (int64_t) (nn_shape_size(nn_graph_shape(built->graph, built->embedded)) / learn_network_members(network))};

	if (network->architecture == LEARN_TABM)
	{
		nn_onnx_set_integers(writer->onnx, "axes", 1, &members);
		nn_onnx_set_integer(writer->onnx, "keepdims", 0);
		embedded = nn_onnx_apply1(writer->onnx, "ReduceMean", embedded);
	}
	writer->embedded[writer->n_embedded++] = nn_onnx_apply2(writer->onnx, "Reshape", embedded, nn_onnx_list(writer->onnx, 2, flat));
	writer->n_embedding += (size_t) flat[1];
}

/* The network's graph with the nodes that stand for what was made of the columns; room for one more. */
typedef struct Given
{
	LearnGraph	built;
	NnNode	   *nodes;
	NnOnnxValue *values;
	int			n;
} Given;

static void
give(Given *given, NnNode node, NnOnnxValue value)
{
	given->nodes[given->n] = node;
	given->values[given->n++] = value;
}

static bool
build_given(LearnOnnxWriter *writer, const LearnNetwork *network, Given *given)
{
	size_t		most = (size_t) network->n_fields * (LEARN_MAX_PLANES + 1) + 3;
	DevStatus	status = learn_network_build(writer->session, network, NULL, &given->built);

	given->n = 0;
	given->nodes = dev_alloc(writer->session, most, sizeof(NnNode));
	given->values = dev_alloc(writer->session, most, sizeof(NnOnnxValue));
	if (status != DEV_OK || given->nodes == NULL || given->values == NULL)
	{
		nn_onnx_fail(writer->onnx, status != DEV_OK ? status : DEV_NO_MEMORY, "%s", dev_message_text(writer->session));
		return false;
	}
	give(given, given->built.numbers, writer->numbers);
	give(given, given->built.codes, writer->codes);
	for (int i = 0; i < network->n_fields; i++)
	{
		for (int plane = 0; plane < LEARN_MAX_PLANES; plane++)
			give(given, given->built.planes[i][plane], writer->planes[i][plane]);
		give(given, given->built.lengths[i], writer->lengths[i]);
	}
	return true;
}

static NnOnnxValue
write_node(LearnOnnxWriter *writer, const LearnNet *net, const Given *given, NnNode wanted)
{
	return nn_graph_onnx(writer->onnx, given->built.graph, net->weights, wanted, given->nodes, given->values, given->n);
}

static void
forget_given(LearnOnnxWriter *writer, Given *given)
{
	nn_graph_free(given->built.graph);
	dev_release(writer->session, given->nodes);
	dev_release(writer->session, given->values);
}

static NnOnnxValue
write_net(LearnOnnxWriter *writer, int number)
{
	const LearnNet *net = &writer->model->nets[number];
	NnOnnxValue value;
	Given		given;

	if (!build_given(writer, &net->network, &given))
		return NN_NONE;
	value = write_node(writer, net, &given, given.built.embedded);
	give(&given, given.built.embedded, value);
	if (!learn_embedding_repeats(writer->model, number, given.built.graph))
		write_part(writer, &net->network, &given.built, value);
	value = nn_onnx_cast(writer->onnx, write_node(writer, net, &given, given.built.output), NN_ONNX_DOUBLE);
	forget_given(writer, &given);
	return value;
}

/* What learn_predict_scores gives, but for the normalising of several classes. */
static NnOnnxValue
write_scores(LearnOnnxWriter *writer)
{
	const LearnModel *model = writer->model;
	NnOnnx	   *onnx = writer->onnx;
	size_t		n = learn_model_outputs(model);
	NnOnnxValue sum = NN_NONE;

	for (int i = 0; i < model->n_nets && nn_onnx_status(onnx) == DEV_OK; i++)
	{
		NnOnnxValue one = write_net(writer, i);

		sum = i == 0 ? one : nn_onnx_apply2(onnx, "Add", sum, one);
	}
	sum = nn_onnx_apply2(onnx, "Div", sum, nn_onnx_double(onnx, model->n_nets));
	if (writer->n_windows != NN_NONE)
		sum = learn_onnx_window_outputs(writer, sum);
	if (model->task == LEARN_REGRESSION)
		return nn_onnx_apply2(onnx, "Add", nn_onnx_apply2(onnx, "Mul", sum, nn_onnx_doubles(onnx, 1, &n, model->target_scale)),
							  nn_onnx_doubles(onnx, 1, &n, model->target_mean));
	sum = nn_onnx_apply2(onnx, "Div", sum, nn_onnx_double(onnx, model->temperature));
	return model->offset == NULL ? sum : nn_onnx_apply2(onnx, "Add", sum, nn_onnx_doubles(onnx, 1, &n, model->offset));
}

static void
write_embedding(LearnOnnxWriter *writer)
{
	NnOnnxValue all = learn_onnx_beside(writer, writer->embedded, writer->n_embedded);
	char		name[LEARN_ONNX_NAME];

	if (writer->n_windows != NN_NONE)
		all = learn_onnx_window_mean(writer, all, NN_ONNX_FLOAT, writer->n_embedding);
	nn_onnx_output(writer->onnx, all, learn_onnx_name(writer, "embedding", "", name), NN_ONNX_FLOAT, writer->n_embedding,
				   "what the networks know before their last layers decide");
}

/* Means over the networks of what they say of each token, and the chain that decides. */
static void
write_tags(LearnOnnxWriter *writer)
{
	const LearnModel *model = writer->model;
	NnOnnx	   *onnx = writer->onnx;
	size_t		n_tags = learn_model_outputs(model);
	const float **weights = dev_alloc(writer->session, (size_t) model->n_nets, sizeof(float *));
	NnOnnxValue emissions = NN_NONE;
	NnOnnxValue shares = NN_NONE;
	LearnChain	chain;

	if (weights == NULL || learn_chain_create(writer->session, n_tags, 1, &chain) != DEV_OK)
	{
		nn_onnx_fail(onnx, DEV_NO_MEMORY, "no memory for %zu tags", n_tags);
		return;
	}
	for (int i = 0; i < model->n_nets && nn_onnx_status(onnx) == DEV_OK; i++)
	{
		const LearnNet *net = &model->nets[i];
		NnOnnxValue one;
		Given		given;

		if (!build_given(writer, &net->network, &given))
			break;
		one = write_node(writer, net, &given, given.built.output);
		emissions = i == 0 ? one : nn_onnx_apply2(onnx, "Add", emissions, one);
		if (given.built.shares != NN_NONE)
		{
			nn_onnx_set_integer(onnx, "axis", -1);
			one = nn_onnx_apply1(onnx, "Softmax", one);
			shares = i == 0 ? one : nn_onnx_apply2(onnx, "Add", shares, one);
		}
		weights[i] = net->weights;
		if (i == model->n_nets - 1)
			learn_chain_set(&chain, &given.built, model->n_nets, weights);
		forget_given(writer, &given);
	}
	emissions = nn_onnx_apply2(onnx, "Div", emissions, nn_onnx_float(onnx, (float) model->n_nets));
	if (shares != NN_NONE)
		shares = nn_onnx_apply2(onnx, "Div", shares, nn_onnx_float(onnx, (float) model->n_nets));
	learn_onnx_tags(writer, &chain, emissions, shares);
	learn_chain_free(writer->session, &chain);
	dev_release(writer->session, weights);
}

static void
write_output(LearnOnnxWriter *writer, NnOnnxValue value, const char *name, NnOnnxType type, size_t width, const char *note)
{
	char		free[LEARN_ONNX_NAME];

	nn_onnx_output(writer->onnx, value, learn_onnx_name(writer, name, "", free), type, width, note);
}

static void
write_answers(LearnOnnxWriter *writer, NnOnnxValue scores)
{
	const LearnModel *model = writer->model;
	NnOnnx	   *onnx = writer->onnx;
	size_t		n = learn_model_outputs(model);
	NnOnnxValue both[2];

	switch (model->task)
	{
		case LEARN_BINARY:
			scores = nn_onnx_apply1(onnx, "Sigmoid", scores);
			write_output(writer, scores, "prediction", NN_ONNX_DOUBLE, 1, "probability of the positive class");
			both[model->positive] = scores;
			both[1 - model->positive] = nn_onnx_apply2(onnx, "Sub", nn_onnx_double(onnx, 1), scores);
			write_output(writer, learn_onnx_beside(writer, both, 2), "probabilities", NN_ONNX_DOUBLE, 2, "of the classes, in the order of the metadata");
			break;
		case LEARN_MULTICLASS:
			nn_onnx_set_integer(onnx, "axis", -1);
			write_output(writer, nn_onnx_apply1(onnx, "Softmax", scores), "probabilities", NN_ONNX_DOUBLE, n,
						 "of the classes, in the order of the metadata");
			break;
		case LEARN_MULTILABEL:
			write_output(writer, nn_onnx_apply1(onnx, "Sigmoid", scores), "probabilities", NN_ONNX_DOUBLE, n, "of the labels, in the order of the target");
			break;
		case LEARN_SURVIVAL:
			write_output(writer, nn_onnx_apply1(onnx, "Exp", scores), "prediction", NN_ONNX_DOUBLE, 1, "hazard ratio");
			break;
		case LEARN_REGRESSION:
			write_output(writer, scores, "prediction", NN_ONNX_DOUBLE, n, "value in the target's unit");
			break;
		case LEARN_TAGGING:
			break;
	}
}

/* ---- the whole ---- */

static DevStatus
check_model(DevSession *session, const LearnModel *model)
{
	if (model->n_views < 2)
		return DEV_OK;
	dev_fail(session, DEV_INVALID, "answers that are means over changed rows have no form in ONNX");
	dev_detail(session, "Rows are changed at random, by a generator of numbers that ONNX does not have.");
	dev_hint(session, "Train without option \"augment_predict\", or export the model as \"safetensors\".");
	return DEV_INVALID;
}

static void
write_fields(LearnOnnxWriter *writer)
{
	const LearnModel *model = writer->model;
	LearnOnnxWave *waves = dev_alloc(writer->session, (size_t) model->n_fields + 1, sizeof(LearnOnnxWave));

	if (waves == NULL)
	{
		nn_onnx_fail(writer->onnx, DEV_NO_MEMORY, "no memory for %d fields", model->n_fields);
		return;
	}
	for (int i = 0; i < model->n_fields; i++)
	{
		const LearnField *field = &model->fields[i];

		writer->lengths[i] = NN_NONE;
		for (int plane = 0; plane < LEARN_MAX_PLANES; plane++)
			writer->planes[i][plane] = NN_NONE;
		if (field->kind == LEARN_IMAGE)
			learn_onnx_image(writer, i);
		else if (field->kind == LEARN_SERIES)
			learn_onnx_series(writer, i);
		else if (field->tagged)
			learn_onnx_tokens(writer, i);
		else if (field->kind == LEARN_TEXT)
			learn_onnx_text(writer, i);
		else
			waves[i] = learn_onnx_signal(writer, i);
	}
	if (writer->n_windows != NN_NONE)
		learn_onnx_windows(writer);
	for (int i = 0; i < model->n_fields; i++)
		if (model->fields[i].kind == LEARN_SIGNAL)
			learn_onnx_signal_cut(writer, i, &waves[i]);
	if (writer->n_windows != NN_NONE)
		learn_onnx_repeat_inputs(writer);
	dev_release(writer->session, waves);
}

static void
write_notes(LearnOnnxWriter *writer, const char *target)
{
	const LearnModel *model = writer->model;
	char		key[32];

	nn_onnx_note(writer->onnx, "task", learn_task_names[model->task]);
	if (target != NULL)
		nn_onnx_note(writer->onnx, "target", target);
	for (int i = 0; i < model->n_classes; i++)
	{
		snprintf(key, sizeof(key), "class.%d", i);
		nn_onnx_note(writer->onnx, key, model->classes[i]);
	}
	if (model->task == LEARN_BINARY)
		nn_onnx_note(writer->onnx, "positive", model->classes[model->positive]);
}

DevStatus
learn_onnx_write(DevSession *session, const LearnModel *model, const char *name, const char *target, LearnOnnx *file)
{
	LearnOnnxWriter writer = {.session = session,.model = model,.numbers = NN_NONE,.codes = NN_NONE,.n_windows = NN_NONE,.most_windows = NN_NONE};
	DevStatus	status = check_model(session, model);

	if (status == DEV_OK)
		status = nn_onnx_create(session, &writer.onnx);
	if (status != DEV_OK)
		return status;
	writer.channels = dev_alloc(session, (size_t) model->n_channels + 1, sizeof(NnOnnxValue));
	writer.parts = dev_alloc(session, (size_t) model->n_channels + 2, sizeof(NnOnnxValue));
	writer.planes = dev_alloc(session, (size_t) model->n_fields + 1, sizeof(*writer.planes));
	writer.lengths = dev_alloc(session, (size_t) model->n_fields + 1, sizeof(NnOnnxValue));
	writer.embedded = dev_alloc(session, (size_t) model->n_nets, sizeof(NnOnnxValue));
	if (writer.channels == NULL || writer.parts == NULL || writer.planes == NULL || writer.lengths == NULL || writer.embedded == NULL)
		return DEV_NO_MEMORY;
	learn_onnx_columns(&writer);
	write_fields(&writer);
	if (model->task == LEARN_TAGGING)
		write_tags(&writer);
	else
	{
		write_answers(&writer, write_scores(&writer));
		write_embedding(&writer);
	}
	write_notes(&writer, target);
	dev_release(session, writer.embedded);
	dev_release(session, writer.lengths);
	dev_release(session, writer.planes);
	dev_release(session, writer.channels);
	dev_release(session, writer.parts);
	return nn_onnx_write(writer.onnx, name, "A model of idla: one input a column, preprocessing and calibration included.", &file->bytes, &file->size);
}

/*
 * architecture_field.c: from the planes of fields to one vector each.
 *
 * The network's architecture says how its fields are encoded; where it does not
 * suit a field (a Transformer for an image beside a note), the field's usual encoder is taken. All encoders end
 * in one vector, so that whatever comes above joins them with the ordinary columns.
 */
#include "architecture.h"

#include "idla/learn_data.h"

#include <math.h>
#include <stdio.h>


LearnArchitecture
learn_field_encoder(const LearnNetwork *network, const LearnField *field)
{
	LearnArchitecture wanted = network->architecture;

	if (field->kind == LEARN_IMAGE)
		return wanted == LEARN_CNN ? LEARN_CNN : LEARN_RESNET20;
	if (field->kind == LEARN_TEXT)
		return wanted == LEARN_CNN || wanted == LEARN_FCN || wanted == LEARN_LSTM || wanted == LEARN_GRU ||
			wanted == LEARN_TRANSFORMER ? wanted :
			field->tagged ? LEARN_BILSTM_CRF : LEARN_BAG;
	if (wanted == LEARN_FCN || wanted == LEARN_LSTM || wanted == LEARN_GRU || wanted == LEARN_TRANSFORMER)
		return wanted;
	if (wanted == LEARN_CNN)
		return LEARN_FCN;
	return field->kind == LEARN_SERIES ? LEARN_GRU : LEARN_FCN;
}

bool
learn_is_deep(LearnArchitecture architecture)
{
	return architecture == LEARN_CNN || architecture == LEARN_RESNET20 || architecture == LEARN_FCN ||
		architecture == LEARN_LSTM || architecture == LEARN_GRU || architecture == LEARN_TRANSFORMER || architecture == LEARN_BAG ||
		architecture == LEARN_BILSTM_CRF;
}

/* ---- Parts that encoders share ---- */

NnNode
learn_build_convolution(LearnBuilder *builder, NnNode src, const char *name, size_t kernel, size_t stride, size_t width)
{
	const NnShape *shape;
	NnWindow	window = {.kernel = {0, 0}};
	NnShape		weights;
	size_t		n_in;
	int			axes;
	char		full[96];

	if (src == NN_NONE)
		return NN_NONE;
	shape = nn_graph_shape(builder->graph, src);
	axes = shape->rank - 1;
	n_in = shape->dims[shape->rank - 1];
	for (int i = 0; i < axes; i++)
	{
		/* A short side gets a short kernel: padding is less than the kernel's extent. */
		window.kernel[i] = kernel;
		window.stride[i] = stride;
		window.before[i] = (kernel - 1) / 2;
		window.after[i] = kernel / 2;
	}
	weights = axes == 2 ? nn_shape(4, kernel, kernel, n_in, width) : nn_shape(3, kernel, n_in, width, 0);
	snprintf(full, sizeof(full), "%s.weights", name);
	return nn_convolution(builder->graph, src,
						  nn_parameter(builder->graph, full, &weights, NN_ROLE_MATRIX, NN_INIT_NORMAL,
									   sqrtf(2.0f / (float) (n_in * (axes == 2 ? kernel * kernel : kernel))), NULL), &window);
}

NnNode
learn_build_convolution_block(LearnBuilder *builder, NnNode src, const char *name, size_t kernel, size_t stride, size_t width,
							  bool rectified)
{
	char		part[80];
	NnNode		node;

	snprintf(part, sizeof(part), "%s.convolution", name);
	node = learn_build_convolution(builder, src, part, kernel, stride, width);
	snprintf(part, sizeof(part), "%s.norm", name);
	node = learn_build_batch_norm(builder, node, part);
	return rectified ? nn_activation(builder->graph, node, DEV_MAP_RELU) : node;
}

void
learn_build_map(LearnBuilder *builder, NnNode map, NnNode length, int field)
{
	builder->built->maps[field] = map;
	builder->built->map_has_length[field] = length != NN_NONE;
}

NnNode
learn_build_mean(LearnBuilder *builder, NnNode src, NnNode length, int field)
{
	learn_build_map(builder, src, length, field);
	return nn_global_mean(builder->graph, src, length);
}

/* ---- Inputs ---- */

static void
build_planes(LearnBuilder *builder, LearnGraph *built, int number)
{
	const LearnField *field = &builder->network->fields[number];
	LearnPlane	planes[LEARN_MAX_PLANES];
	int			n = learn_field_planes(field, planes);
	char		name[64];

	for (int i = 0; i < LEARN_MAX_PLANES; i++)
		built->planes[number][i] = built->starts[number][i] = NN_NONE;
	for (int i = 0; i < n; i++)
	{
		snprintf(name, sizeof(name), "field%d%s", number, planes[i].name);
		built->planes[number][i] = planes[i].codes ?
			nn_codes(builder->graph, name, nn_shape_size(&planes[i].shape)) :
			nn_input(builder->graph, name, &planes[i].shape);
		if (!planes[i].codes)
			built->starts[number][i] = built->planes[number][i];
	}
	built->lengths[number] = built->nudges[number] = NN_NONE;
	if (learn_field_has_length(field))
	{
		snprintf(name, sizeof(name), "field%d.length", number);
		built->lengths[number] = nn_codes(builder->graph, name, 1);
	}
}

static NnNode
build_encoder(LearnBuilder *builder, LearnGraph *built, int number)
{
	const LearnField *field = &builder->network->fields[number];
	LearnArchitecture encoder = learn_field_encoder(builder->network, field);
	NnNode		src = built->planes[number][0];
	NnNode		length = built->lengths[number];
	char		name[32];

	/* Features already. */
	if (field->rocket != NULL)
		return src;
	if (field->kind == LEARN_TEXT)
		return learn_build_text(builder, built, number, encoder);
	snprintf(name, sizeof(name), "field%d", number);
	switch (encoder)
	{
		case LEARN_CNN:
			return learn_build_cnn(builder, src, name, number);
		case LEARN_FCN:
			return learn_build_fcn(builder, src, length, name, number);
		case LEARN_TRANSFORMER:
			return nn_masked_mean(builder->graph, learn_build_transformer(builder, src, number, name), length);
		case LEARN_LSTM:
		case LEARN_GRU:
			return learn_build_recurrent(builder, src, length, name, encoder == LEARN_LSTM, field->kind != LEARN_SERIES);
		default:
			return learn_build_resnet20(builder, src, name, number);
	}
}

/*
 * Sizes are those of the architecture that was named, and of its counterpart for sequences; a field that is encoded otherwise has its
 * encoder's usual ones: a table's hundreds of units would be an image's hundreds of channels.
 */
static NnNode
build_sized(LearnBuilder *builder, LearnGraph *built, int number)
{
	const LearnNetwork *network = builder->network;
	LearnNetwork sized = *network;
	LearnArchitecture encoder = learn_field_encoder(network, &network->fields[number]);
	NnNode		node;

	if (encoder != network->architecture && !(encoder == LEARN_FCN && network->architecture == LEARN_CNN))
		learn_encoder_sizes(encoder, &sized);
	builder->network = &sized;
	node = build_encoder(builder, built, number);
	builder->network = network;
	return node;
}

DevStatus
learn_build_fields(LearnBuilder *builder, LearnGraph *built)
{
	size_t		n = (size_t) builder->network->n_fields;

	built->planes = dev_alloc(builder->session, n, sizeof(*built->planes));
	built->starts = dev_alloc(builder->session, n, sizeof(*built->starts));
	built->lengths = dev_alloc(builder->session, n, sizeof(NnNode));
	built->nudges = dev_alloc(builder->session, n, sizeof(NnNode));
	built->maps = dev_alloc(builder->session, n, sizeof(NnNode));
	built->map_has_length = dev_alloc(builder->session, n, sizeof(bool));
	builder->encoded = dev_alloc(builder->session, n, sizeof(NnNode));
	if (built->planes == NULL || built->starts == NULL || built->lengths == NULL || built->nudges == NULL || built->maps == NULL ||
		built->map_has_length == NULL || builder->encoded == NULL)
		return DEV_NO_MEMORY;
	builder->built = built;
	for (int i = 0; i < (int) n; i++)
	{
		build_planes(builder, built, i);
		built->maps[i] = builder->encoded[i] = NN_NONE;
		if (builder->network->task != LEARN_TAGGING && !learn_layers_encode(builder->session, builder->network))
			builder->encoded[i] = build_sized(builder, built, i);
	}
	return DEV_OK;
}

/* ---- The layers above ---- */

/*
 * Deep encoders leave little to do. Beside ordinary columns there is one hidden layer, so that an age can change what an image
 * means.
 */
NnNode
learn_build_deep(LearnBuilder *builder)
{
	const LearnNetwork *network = builder->network;
	NnNode		node = learn_build_joined(builder);

	if (builder->features != NN_NONE || network->n_fields > 1)
	{
		node = learn_build_dense(builder, node, "join", JOIN_WIDTH, NN_ROLE_MATRIX);
		node = nn_activation(builder->graph, node, DEV_MAP_RELU);
	}
	if (network->dropout > 0)
		node = nn_dropout(builder->graph, node, network->dropout);
	return learn_build_dense(builder, node, "head", network->n_outputs, NN_ROLE_HEAD);
}

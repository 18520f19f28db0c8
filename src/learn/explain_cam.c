/*
 * explain_cam.c: gradient-weighted class activation maps (Selvaraju et al. 2017).
 *
 * Encoders that end in the mean over places tell where they looked: the last activations are still a picture,
 * and the slope of the score by a channel's mean says what that channel is worth. All places share this slope, the
 * mean being what it is, so that one backward pass down to the encoding is enough. Networks of a model may
 * have maps of different sizes; each is brought to the field's own before they are added.
 */
#include "explain.h"

#include <string.h>

typedef struct Camera
{
	int			field;
	double		sign;			/* -1: what speaks against the output */
	size_t		height;			/* of the field; a sequence is one row */
	size_t		width;
	float	   *map;			/* (most places of any network) */
	float	   *spread;			/* (height, width) */
	float	   *heat;			/* (height, width): sum over networks */
} Camera;

static NnNode
map_of(const LearnEngine *engine, int field)
{
	return engine->network->n_fields == 0 ? NN_NONE : engine->built.maps[field];
}

/* (height, width, channels) or (length, channels) as height and width. */
static void
map_size(const NnShape *shape, size_t *height, size_t *width)
{
	*height = shape->rank == 3 ? shape->dims[0] : 1;
	*width = shape->rank == 3 ? shape->dims[1] : shape->dims[0];
}

/* Places of the row that its encoding is the mean of. */
static size_t
places_meant(const LearnExplainer *explainer, const LearnEngine *engine, int field, size_t places)
{
	size_t		length;

	if (!engine->built.map_has_length[field])
		return places;
	length = (size_t) explainer->predictor->fields.lengths[field][0];
	return length < places ? length : places;
}

static DevStatus
add_map(LearnExplainer *explainer, Camera *camera, size_t height, size_t width)
{
	LearnImageWish wish = {.height = camera->height, .width = camera->width};
	size_t		n = camera->height * camera->width;
	LearnTrouble trouble;

	if (!learn_image_resize(camera->map, height, width, 1, &wish, camera->spread, n, &trouble))
		return dev_fail(explainer->session, trouble.status, "%s", trouble.message);
	for (size_t i = 0; i < n; i++)
		camera->heat[i] += camera->spread[i];
	return DEV_OK;
}

static DevStatus
collect_map(LearnExplainer *explainer, int number, size_t n_points, void *into)
{
	const LearnEngine *engine = explainer->predictor->voices[number].engine;
	Camera	   *camera = into;
	NnNode		node = map_of(engine, camera->field);
	const NnShape *shape;
	const float *values;
	const float *slopes;
	size_t		channels;
	size_t		places;
	size_t		height;
	size_t		width;
	size_t		meant;

	(void) n_points;
	if (node == NN_NONE)
		return DEV_OK;
	shape = nn_graph_shape(engine->built.graph, node);
	map_size(shape, &height, &width);
	channels = shape->dims[shape->rank - 1];
	places = height * width;
	meant = places_meant(explainer, engine, camera->field, places);
	values = nn_run_value(engine->explain_run, node);
	slopes = nn_run_gradient(engine->explain_run, engine->built.encoded[camera->field]);
	for (size_t place = 0; place < places; place++)
	{
		double		sum = 0;

		for (size_t channel = 0; channel < channels && place < meant; channel++)
			sum += (double) slopes[channel] * (double) values[place * channels + channel];
		sum *= camera->sign / (double) (meant > 0 ? meant : 1);
		camera->map[place] = sum > 0 ? (float) sum : 0.0f;
	}
	return add_map(explainer, camera, height, width);
}

/* Most places of any network's map, 0: none has one. */
static size_t
most_places(const LearnPredictor *predictor, int field)
{
	size_t		most = 0;

	for (int i = 0; i < predictor->n_engines; i++)
	{
		const LearnEngine *engine = &predictor->engines[i];
		NnNode		node = map_of(engine, field);
		size_t		height;
		size_t		width;

		if (node == NN_NONE)
			continue;
		map_size(nn_graph_shape(engine->built.graph, node), &height, &width);
		most = height * width > most ? height * width : most;
	}
	return most;
}

static DevStatus
take_picture(LearnPredictor *predictor, const float *raw, const LearnBytes *fields, const LearnExplain *how, Camera *camera)
{
	DevSession *session = predictor->session;
	size_t		n = camera->height * camera->width;
	LearnExplainer *explainer;
	DevStatus	status = DEV_NO_MEMORY;

	camera->map = dev_alloc(session, most_places(predictor, camera->field), sizeof(float));
	camera->spread = dev_alloc(session, n, sizeof(float));
	if (camera->map != NULL && camera->spread != NULL)
		status = learn_explain_open(predictor, raw, fields, how, &explainer);
	if (status == DEV_OK)
	{
		memset(camera->heat, 0, n * sizeof(float));
		status = learn_explain_row(explainer, collect_map, camera);
	}
	dev_release(session, camera->map);
	dev_release(session, camera->spread);
	return status;
}

DevStatus
learn_explain_cam(LearnPredictor *predictor, const float *raw, const LearnBytes *fields, int field, int output, bool against,
				  float *heat)
{
	const LearnModel *model = predictor->model;
	LearnExplain how = {.output = output};
	Camera		camera = {.field = field, .sign = against ? -1 : 1, .heat = heat};
	DevStatus	status;

	if (field < 0 || field >= model->n_fields)
		return dev_fail(predictor->session, DEV_INVALID, "the model has no field number %d", field);
	if (most_places(predictor, field) == 0)
	{
		status = dev_fail(predictor->session, DEV_INVALID, "the model does not encode column \"%s\" as a mean over places",
						  model->fields[field].name);
		dev_hint(predictor->session, "Use the method \"integrated_gradients\", which needs no such mean.");
		return status;
	}
	camera.height = model->fields[field].kind == LEARN_IMAGE ? model->fields[field].dims[0] : 1;
	camera.width = model->fields[field].dims[model->fields[field].kind == LEARN_IMAGE ? 1 : 0];
	return take_picture(predictor, raw, fields, &how, &camera);
}

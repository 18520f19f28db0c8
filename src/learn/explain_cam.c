/*
 * explain_cam.c: gradient-weighted class activation maps (Selvaraju et al. 2017).
 *
 * What the last convolution gives is still a picture, and the mean over places of the score's slopes by a channel says what that
 * channel is worth, whatever makes a vector of the picture: a mean, a maximum, dense layers over all of it. One backward
 * pass gives the slopes. Networks of a model may have maps of different sizes; each is brought to the field's own before they are added.
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
	double	   *worth;			/* (most channels) */
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

/* Places of the row, without the padding of a short one. */
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

/* Means over places of the slopes (places, channels). */
static void
weigh_channels(const float *slopes, size_t places, size_t channels, double *worth)
{
	memset(worth, 0, channels * sizeof(double));
	for (size_t place = 0; place < places; place++)
		for (size_t channel = 0; channel < channels; channel++)
			worth[channel] += (double) slopes[place * channels + channel] / (double) places;
}

static DevStatus
collect_map(LearnExplainer *explainer, int number, size_t n_points, void *into)
{
	const LearnEngine *engine = explainer->predictor->voices[number].engine;
	Camera	   *camera = into;
	NnNode		node = map_of(engine, camera->field);
	const NnShape *shape;
	const float *values;
	NnRun	   *run = learn_engine_explain_run(engine, explainer->stretch);
	size_t		channels;
	size_t		places;
	size_t		height;
	size_t		width;
	size_t		meant;

	(void) n_points;
	if (node == NN_NONE)
		return DEV_OK;
	shape = nn_graph_shape(learn_engine_graph(engine, explainer->stretch)->graph, node);
	map_size(shape, &height, &width);
	channels = shape->dims[shape->rank - 1];
	places = height * width;
	meant = places_meant(explainer, engine, camera->field, places);
	values = nn_run_value(run, node);
	weigh_channels(nn_run_gradient(run, node), meant, channels, camera->worth);
	for (size_t place = 0; place < places; place++)
	{
		double		sum = 0;

		for (size_t channel = 0; channel < channels && place < meant; channel++)
			sum += camera->worth[channel] * (double) values[place * channels + channel];
		sum *= camera->sign;
		camera->map[place] = sum > 0 ? (float) sum : 0.0f;
	}
	return add_map(explainer, camera, height, width);
}

/* Most places of any network's map, 0: none has one; and channels. */
static size_t
most_places(const LearnPredictor *predictor, int field, size_t *channels)
{
	size_t		most = 0;

	*channels = 0;
	for (int i = 0; i < predictor->n_engines; i++)
	{
		const LearnEngine *engine = &predictor->engines[i];
		NnNode		node = map_of(engine, field);
		const NnShape *shape;
		size_t		height;
		size_t		width;

		if (node == NN_NONE)
			continue;
		shape = nn_graph_shape(engine->built.graph, node);
		map_size(shape, &height, &width);
		*channels = shape->dims[shape->rank - 1] > *channels ? shape->dims[shape->rank - 1] : *channels;
		most = height * width > most ? height * width : most;
	}
	return most;
}

static DevStatus
take_picture(LearnPredictor *predictor, const float *raw, const LearnBytes *fields, const LearnExplain *how, Camera *camera)
{
	DevSession *session = predictor->session;
	size_t		n = camera->height * camera->width;
	size_t		channels;
	LearnExplainer *explainer;
	DevStatus	status = DEV_NO_MEMORY;

	camera->map = dev_alloc(session, most_places(predictor, camera->field, &channels), sizeof(float));
	camera->worth = dev_alloc(session, channels, sizeof(double));
	camera->spread = dev_alloc(session, n, sizeof(float));
	if (camera->map != NULL && camera->worth != NULL && camera->spread != NULL)
		status = learn_explain_open(predictor, raw, fields, how, &explainer);
	if (status == DEV_OK)
	{
		memset(camera->heat, 0, n * sizeof(float));
		status = learn_explain_row(explainer, collect_map, camera);
	}
	dev_release(session, camera->map);
	dev_release(session, camera->worth);
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
	size_t		channels;
	DevStatus	status;

	if (field < 0 || field >= model->n_fields)
		return dev_fail(predictor->session, DEV_INVALID, "the model has no field number %d", field);
	if (most_places(predictor, field, &channels) == 0)
	{
		status = dev_fail(predictor->session, DEV_INVALID, "no convolution of the model makes a map of column \"%s\"",
						  model->fields[field].name);
		dev_hint(predictor->session, "Use the method \"integrated_gradients\", which needs no map.");
		return status;
	}
	camera.height = model->fields[field].kind == LEARN_IMAGE ? model->fields[field].dims[0] : 1;
	camera.width = model->fields[field].dims[model->fields[field].kind == LEARN_IMAGE ? 1 : 0];
	return take_picture(predictor, raw, fields, &how, &camera);
}

/*
 * smoothing_row.c: a model's row under Gaussian noise, for randomised smoothing.
 *
 * Noise is laid on what was stored, before anything is derived of it: a bin's noisy value is carried forward like any other, rocket's features are
 * those of the noisy signal. So the certificate speaks of what was measured. Pixels are stored in steps; their noise goes on the loaded
 * values, which are the same but for centre and scale.
 */
#include "field.h"
#include "predict.h"

#include "idla/learn_robust.h"

#include <math.h>
#include <string.h>

struct LearnRowClassifier
{
	LearnPredictor *predictor;
	const LearnConstraint *constraints;
	double	   *answers;		/* (room, n_outputs) */
	float	   *changed;		/* (n_channels) the raw row with noise */
	float	  **clean;			/* (n_fields): what is stored of the row, as far as it is seen; NULL for pixels and texts */
	LearnBytes *loaded;			/* (n_fields): bytes are clean, or as stored */
	size_t	   *n_inputs;		/* (n_fields) of the row */
	float	   *noisy;			/* of the largest field */
	size_t		most;
	double		shift;			/* binary: the score from which the positive class is named */

	const float *raw;			/* of the row */
};

bool
learn_field_is_smoothed(const LearnField *field)
{
	return field->kind != LEARN_TEXT;
}

static bool
is_movable(const LearnChannel *channel, const LearnConstraint *constraint)
{
	return channel->kind == LEARN_NUMBER && channel->number_input != NN_NONE && constraint->mutable;
}

/* Values that a field has at most, and of those the ones that get no noise: what was known before a series' window. */
static size_t
before_of(const LearnField *field)
{
	return field->kind == LEARN_SERIES ? 2 * field->dims[1] : 0;
}

static size_t
size_of(const LearnField *field)
{
	return before_of(field) + field->dims[0] * field->dims[1] * (field->kind == LEARN_IMAGE ? field->dims[2] : 1);
}

/* ---- Making ---- */

DevStatus
learn_row_classifier_create(LearnPredictor *predictor, const LearnConstraint *constraints, LearnRowClassifier **row)
{
	DevSession *session = predictor->session;
	const LearnModel *model = predictor->model;
	size_t		n_fields = (size_t) model->n_fields + 1;
	size_t		largest = 0;
	LearnRowClassifier *made = dev_alloc(session, 1, sizeof(LearnRowClassifier));

	*row = NULL;
	if (made == NULL)
		return DEV_NO_MEMORY;
	if (learn_fields_windowed(model->fields, model->n_fields))
		return learn_windows_no_noise(session);
	made->predictor = predictor;
	made->constraints = constraints;
	made->answers = dev_alloc(session, learn_predictor_room(predictor), predictor->n_outputs * sizeof(double));
	made->changed = dev_alloc(session, (size_t) model->n_channels + 1, sizeof(float));
	made->clean = dev_alloc(session, n_fields, sizeof(float *));
	made->loaded = dev_alloc(session, n_fields, sizeof(LearnBytes));
	made->n_inputs = dev_alloc(session, n_fields, sizeof(size_t));
	if (made->answers == NULL || made->changed == NULL || made->clean == NULL || made->loaded == NULL || made->n_inputs == NULL)
		return DEV_NO_MEMORY;
	for (int c = 0; c < model->n_channels; c++)
		made->most += is_movable(&model->channels[c], &constraints[c]);
	for (int i = 0; i < model->n_fields; i++)
	{
		const LearnField *field = &model->fields[i];

		if (!learn_field_is_smoothed(field))
			continue;
		made->most += size_of(field) - before_of(field);
		if (field->sample != LEARN_SAMPLE_F32)
			continue;
		largest = size_of(field) > largest ? size_of(field) : largest;
		made->clean[i] = dev_alloc(session, size_of(field), sizeof(float));
		if (made->clean[i] == NULL)
			return DEV_NO_MEMORY;
	}
	made->noisy = dev_alloc(session, largest + 1, sizeof(float));
	if (made->noisy == NULL)
		return DEV_NO_MEMORY;
	*row = made;
	return DEV_OK;
}

size_t
learn_row_classifier_inputs(const LearnRowClassifier *row)
{
	return row->most;
}

void
learn_row_classifier_threshold(LearnRowClassifier *row, double threshold)
{
	row->shift = row->predictor->model->task == LEARN_BINARY ? log(threshold) - log1p(-threshold) : 0;
}

/* ---- One row ---- */

/* What is seen of a stored value becomes the clean one; returns how many of its values get noise. */
static size_t
take_field(LearnRowClassifier *row, int number, LearnBytes stored)
{
	const LearnField *field = &row->predictor->model->fields[number];
	LearnBytes *loaded = &row->loaded[number];
	size_t		first;
	size_t		n;

	*loaded = stored;
	if (!learn_field_is_smoothed(field) || stored.bytes == NULL)
		return 0;
	if (field->sample != LEARN_SAMPLE_F32)
		return size_of(field);
	if (field->kind == LEARN_SERIES)
	{
		/* Another size loads as nothing. */
		if (stored.size != size_of(field) * sizeof(float))
			return 0;
		memcpy(row->clean[number], stored.bytes, stored.size);
		n = size_of(field);
	}
	else
		n = learn_field_values(field, stored, row->clean[number], &first) * learn_field_depth(field);
	*loaded = (LearnBytes) {.bytes = row->clean[number], .size = n * sizeof(float)};
	return n - before_of(field);
}

/* Row `at` of the predictor's buffers gets a field with noise; returns what comes behind the noise. */
static const float *
load_field(LearnRowClassifier *row, int number, size_t at, const float *noise)
{
	LearnFieldBatch *batch = &row->predictor->fields;
	const LearnField *field = &row->predictor->model->fields[number];
	size_t		n = row->n_inputs[number];
	size_t		depth = learn_field_depth(field);
	LearnBytes	loaded = row->loaded[number];

	if (n > 0 && field->sample == LEARN_SAMPLE_F32)
	{
		float	   *values = row->noisy + before_of(field);

		memcpy(row->noisy, loaded.bytes, loaded.size);
		for (size_t i = 0; i < n; i++)
			values[i] = (float) ((double) values[i] + (double) noise[i] * learn_field_unit(field, i % depth));
		loaded.bytes = row->noisy;
	}
	learn_field_batch_load(batch, number, at, loaded);
	if (n > 0 && field->sample != LEARN_SAMPLE_F32)
	{
		float	   *plane = (float *) batch->planes[number][0] + at * batch->sizes[number][0];

		for (size_t i = 0; i < n; i++)
			plane[i] += noise[i] * field->scale[i % depth];
	}
	return noise + n;
}

static const float *
load_row(LearnRowClassifier *row, size_t at, const float *noise)
{
	LearnPredictor *predictor = row->predictor;
	const LearnModel *model = predictor->model;

	memcpy(row->changed, row->raw, (size_t) model->n_channels * sizeof(float));
	for (int c = 0; c < model->n_channels; c++)
		if (is_movable(&model->channels[c], &row->constraints[c]))
			row->changed[c] = (float) ((double) row->changed[c] + (double) *noise++ * learn_channel_unit(&model->channels[c]));
	learn_encode_row(model->channels, model->n_channels, row->changed, predictor->numbers + at * model->n_numbers,
					 predictor->codes + at * model->n_codes);
	for (int i = 0; i < model->n_fields; i++)
		noise = load_field(row, i, at, noise);
	return noise;
}

static DevStatus
score(void *context, size_t n, const float *inputs, float *scores)
{
	LearnRowClassifier *row = context;
	LearnPredictor *predictor = row->predictor;
	size_t		room = learn_predictor_room(predictor);
	DevStatus	status = DEV_OK;

	learn_predictor_stretch(predictor, LEARN_MAX_STRETCHES);
	for (size_t first = 0; first < n && status == DEV_OK; first += room)
	{
		size_t		count = n - first < room ? n - first : room;
		size_t		n_values = count * predictor->n_outputs;

		for (size_t at = 0; at < count; at++)
			inputs = load_row(row, at, inputs);
		status = learn_predict_encoded(predictor, count, row->answers);
		for (size_t i = 0; i < n_values && status == DEV_OK; i++)
			*scores++ = (float) (row->answers[i] - row->shift);
		if (status == DEV_OK)
			status = dev_poll(predictor->session);
	}
	return status;
}

LearnClassifier
learn_row_classifier(LearnRowClassifier *row, const float *raw, const LearnBytes *fields)
{
	const LearnModel *model = row->predictor->model;
	LearnClassifier classifier = {.context = row, .n_outputs = row->predictor->n_outputs, .score = score};

	row->raw = raw;
	for (int c = 0; c < model->n_channels; c++)
		classifier.n_inputs += is_movable(&model->channels[c], &row->constraints[c]);
	for (int i = 0; i < model->n_fields; i++)
	{
		row->n_inputs[i] = take_field(row, i, fields[i]);
		classifier.n_inputs += row->n_inputs[i];
	}
	return classifier;
}

/*
 * field_rocket.c: signals as MiniRocket's features.
 *
 * A signal stays what it was in the store and becomes features when a batch is loaded: ten thousand floats a row would
 * be a hundred times the signal. The convolutions see what a network would see, scaled and cut to length, and features
 * are centred and scaled by the training part's, so that a missing signal can be zeros as everywhere.
 */
#include "field.h"

#include <math.h>
#include <string.h>

#define FIT_SIGNALS 2000		/* signals that biases are drawn from, at most */
#define FIT_FLOATS ((size_t) 64 << 20)	/* and their samples in memory */
#define SCALE_SIGNALS ((size_t) 512)	/* signals that features' medians and ranges are taken of, at most */
#define POLL_FEATURES 64		/* sorted between two looks at whether to go on: few values are sorted without one */
#define LEAST_RANGE 1e-4f
#define SOFT 3.0f				/* ranges beyond which a feature saturates, as ordinary columns do: recordings of other devices differ */

size_t
learn_field_rocket_scratch(const LearnField *field)
{
	return field->dims[0] * field->dims[1] + learn_rocket_scratch(field->rocket, field->dims[0]);
}

/* Raw features of the n samples that scratch begins with into dst; false for a missing signal. */
static bool
transform_samples(const LearnField *field, size_t n, float *scratch, float *dst)
{
	return n > 0 && learn_rocket_transform(field->rocket, n, scratch, scratch + field->dims[0] * field->dims[1], dst, NULL);
}

static bool
transform(const LearnField *field, LearnBytes stored, float *scratch, float *dst)
{
	return transform_samples(field, learn_field_load_samples(field, stored, scratch), scratch, dst);
}

void
learn_field_load_rocket(const LearnField *field, LearnBytes stored, float *scratch, float *dst)
{
	learn_rocket_features(field, learn_field_load_samples(field, stored, scratch), scratch, dst);
}

void
learn_rocket_features(const LearnField *field, size_t n_samples, float *scratch, float *dst)
{
	size_t		n = field->rocket->n_features;

	if (!transform_samples(field, n_samples, scratch, dst))
	{
		memset(dst, 0, n * sizeof(float));
		return;
	}
	for (size_t i = 0; i < n; i++)
	{
		float		x = (dst[i] - field->feature_center[i]) * field->feature_scale[i];

		dst[i] = x / sqrtf(1 + x * x * (1 / (SOFT * SOFT)));
	}
}

/* ---- Fitting ---- */

/* An even sample of some signals, as the convolutions see them. */
typedef struct Sample
{
	size_t		n;
	float	   *values;
	size_t	   *lengths;
	const float **signals;
} Sample;

static DevStatus
draw_sample(LearnDataset *dataset, int number, const uint32_t *rows, size_t n, uint64_t seed, Sample *sample)
{
	const LearnField *field = &dataset->fields[number];
	size_t		size = field->dims[0] * field->dims[1];
	size_t		most = FIT_FLOATS / size + 1;
	size_t		wanted = n < FIT_SIGNALS ? n : FIT_SIGNALS;
	DevStatus	status = DEV_OK;

	wanted = wanted < most ? wanted : most;
	sample->values = dev_alloc(dataset->session, wanted * size, sizeof(float));
	sample->lengths = dev_alloc(dataset->session, wanted, sizeof(size_t));
	sample->signals = dev_alloc(dataset->session, wanted, sizeof(float *));
	if (sample->values == NULL || sample->lengths == NULL || sample->signals == NULL)
		return DEV_NO_MEMORY;
	for (size_t i = 0; i < wanted && status == DEV_OK; i++)
	{
		float	   *values = sample->values + sample->n * size;
		LearnBytes	stored;

		status = learn_dataset_field(dataset, number, rows[i * n / wanted], &stored);
		if (status != DEV_OK)
			break;
		stored = learn_field_window_drawn(field, stored, seed, i);
		sample->lengths[sample->n] = learn_field_load_samples(field, stored, values);
		sample->signals[sample->n] = values;
		sample->n += sample->lengths[sample->n] > 0;
	}
	return status;
}

static DevStatus
fit_convolutions(LearnDataset *dataset, int number, const uint32_t *rows, size_t n, size_t wish, uint64_t seed)
{
	LearnField *field = &dataset->fields[number];
	DevSession *session = dataset->session;
	Sample		sample = {0};
	LearnRocket *rocket = dev_alloc(session, 1, sizeof(LearnRocket));
	DevStatus	status = rocket == NULL ? DEV_NO_MEMORY : draw_sample(dataset, number, rows, n, seed, &sample);

	if (status == DEV_OK && sample.n == 0)
		status = dev_fail(session, DEV_BAD_DATA, "signal \"%s\" is missing in every training row", field->name);
	if (status == DEV_OK)
		status = learn_rocket_fit(session, sample.n, sample.lengths, sample.signals, field->dims[1], wish, seed, rocket);
	dev_release(session, sample.values);
	dev_release(session, sample.lengths);
	dev_release(session, (void *) sample.signals);
	if (status == DEV_OK)
		field->rocket = rocket;
	return status;
}

/* Median and interquartile range as of ordinary columns; of a feature that is nearly always the same, its range. */
static void
set_scale(LearnField *field, size_t feature, size_t n, const float *values)
{
	float		range;

	range = values[n * 3 / 4] - values[n / 4];
	if (!(range > LEAST_RANGE))
		range = (values[n - 1] - values[0]) / 2;
	field->feature_center[feature] = values[n / 2];
	field->feature_scale[feature] = range > LEAST_RANGE ? 1 / range : 0.0f;
}

/* features (SCALE_SIGNALS, n_features) and column (2, SCALE_SIGNALS): workspace */
static DevStatus
fit_scales(LearnDataset *dataset, int number, const uint32_t *rows, size_t n, uint64_t seed, float *scratch, float *features,
		   float *column)
{
	LearnField *field = &dataset->fields[number];
	size_t		n_features = field->rocket->n_features;
	size_t		wanted = n < SCALE_SIGNALS ? n : SCALE_SIGNALS;
	size_t		taken = 0;
	DevStatus	status = DEV_OK;

	for (size_t i = 0; i < wanted; i++)
	{
		LearnBytes	stored;

		status = learn_dataset_field(dataset, number, rows[i * n / wanted], &stored);

		if (status == DEV_OK)
			status = dev_poll(dataset->session);
		if (status != DEV_OK)
			return status;
		stored = learn_field_window_drawn(field, stored, seed, i);
		taken += transform(field, stored, scratch, features + taken * n_features);
	}
	for (size_t i = 0; i < n_features && taken > 0 && status == DEV_OK; i++)
	{
		for (size_t j = 0; j < taken; j++)
			column[j] = features[j * n_features + i];
		status = i % POLL_FEATURES == 0 ? dev_poll(dataset->session) : DEV_OK;
		if (status == DEV_OK)
			status = learn_sort_floats(dataset->session, column, column + SCALE_SIGNALS, taken);
		if (status == DEV_OK)
			set_scale(field, i, taken, column);
	}
	return status;
}

DevStatus
learn_field_fit_rocket(LearnDataset *dataset, int number, const uint32_t *rows, size_t n, size_t wish, uint64_t seed)
{
	LearnField *field = &dataset->fields[number];
	DevSession *session = dataset->session;
	DevStatus	status = fit_convolutions(dataset, number, rows, n, wish, seed);
	size_t		n_features;
	float	   *features;
	float	   *column;
	float	   *scratch;

	if (status != DEV_OK)
		return status;
	n_features = field->rocket->n_features;
	field->feature_center = dev_alloc(session, n_features, sizeof(float));
	field->feature_scale = dev_alloc(session, n_features, sizeof(float));
	features = dev_alloc(session, SCALE_SIGNALS * n_features, sizeof(float));
	column = dev_alloc(session, 2 * SCALE_SIGNALS, sizeof(float));
	scratch = dev_alloc(session, learn_field_rocket_scratch(field), sizeof(float));
	if (field->feature_center == NULL || field->feature_scale == NULL || features == NULL || column == NULL || scratch == NULL)
		return DEV_NO_MEMORY;
	status = fit_scales(dataset, number, rows, n, seed, scratch, features, column);
	dev_release(session, features);
	dev_release(session, column);
	dev_release(session, scratch);
	return status;
}

/* ---- As floats ---- */

size_t
learn_field_state_size(const LearnField *field)
{
	return field->rocket == NULL ? 0 : 1 + 2 * field->rocket->n_features + learn_rocket_state_size(field->rocket);
}

void
learn_field_state_store(const LearnField *field, float *state)
{
	size_t		n_features = field->rocket->n_features;

	*state++ = (float) n_features;
	memcpy(state, field->feature_center, n_features * sizeof(float));
	memcpy(state + n_features, field->feature_scale, n_features * sizeof(float));
	learn_rocket_store(field->rocket, state + 2 * n_features);
}

DevStatus
learn_field_state_load(DevSession *session, LearnField *field, const float *state, size_t n)
{
	LearnRocket *rocket = dev_alloc(session, 1, sizeof(LearnRocket));
	size_t		n_features;
	DevStatus	status;

	if (rocket == NULL)
		return DEV_NO_MEMORY;
	/* The first number says how many features there are. */
	if (field->kind != LEARN_SIGNAL || n < 1 || !(state[0] >= 1 && state[0] <= LEARN_ROCKET_MOST_FEATURES) ||
		state[0] != floorf(state[0]) || n <= 1 + 2 * (size_t) state[0])
		return dev_fail(session, DEV_CORRUPT, "stored signal features are damaged");
	n_features = (size_t) state[0];
	status = learn_rocket_load(session, state + 1 + 2 * n_features, n - 1 - 2 * n_features, rocket);
	if (status != DEV_OK)
		return status;
	if (rocket->n_features != n_features || rocket->leads != field->dims[1] || rocket->length > field->dims[0])
		return dev_fail(session, DEV_CORRUPT, "stored signal features do not fit the signal");
	field->rocket = rocket;
	field->feature_center = dev_alloc(session, n_features, sizeof(float));
	field->feature_scale = dev_alloc(session, n_features, sizeof(float));
	if (field->feature_center == NULL || field->feature_scale == NULL)
		return DEV_NO_MEMORY;
	for (size_t i = 1; i <= 2 * n_features; i++)
		if (!isfinite(state[i]))
			return dev_fail(session, DEV_CORRUPT, "stored signal features are damaged");
	memcpy(field->feature_center, state + 1, n_features * sizeof(float));
	memcpy(field->feature_scale, state + 1 + n_features, n_features * sizeof(float));
	return DEV_OK;
}

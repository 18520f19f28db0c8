/*
 * field.c: images, signals and their like as planes of a network.
 *
 * What is stored is as small as what came (eight-bit pixels stay eight bits); it becomes centred and
 * scaled floats only when a batch is loaded, by whichever thread needs it. A missing value loads as zeros: the
 * mean of the training part.
 */
#include "field.h"

#include <math.h>
#include <string.h>

#define FIT_RECORDS ((size_t) 20000)	/* an even sample of so many training records tells mean and deviation well enough */
#define FIT_BYTES ((size_t) 256 << 20)	/* and so many bytes */
#define LEAST_DEVIATION 1e-6

size_t
learn_field_depth(const LearnField *field)
{
	if (field->kind == LEARN_TEXT)
		return 0;
	return field->kind == LEARN_IMAGE ? field->dims[2] : field->dims[1];
}

static size_t
sample_bytes(LearnSample sample)
{
	return sample == LEARN_SAMPLE_U8 ? 1 : sample == LEARN_SAMPLE_U16 ? 2 : sizeof(float);
}

bool
learn_field_has_length(const LearnField *field)
{
	return field->kind != LEARN_IMAGE && field->rocket == NULL;
}

int
learn_field_planes(const LearnField *field, LearnPlane planes[LEARN_MAX_PLANES])
{
	memset(planes, 0, LEARN_MAX_PLANES * sizeof(LearnPlane));
	if (field->tagged)
		return learn_tagged_planes(field, planes);
	planes[0].name = "";
	planes[0].codes = field->kind == LEARN_TEXT;
	if (field->kind == LEARN_TEXT)
		planes[0].shape = nn_shape(1, field->dims[0], 0, 0, 0);
	else if (field->kind == LEARN_IMAGE)
		planes[0].shape = nn_shape(3, field->dims[0], field->dims[1], field->dims[2], 0);
	else if (field->rocket != NULL)
		planes[0].shape = nn_shape(1, field->rocket->n_features, 0, 0, 0);
	else if (field->kind == LEARN_SERIES)
		planes[0].shape = nn_shape(2, field->dims[0], 3 * field->dims[1], 0, 0);
	else
		planes[0].shape = nn_shape(2, field->dims[0], field->dims[1], 0, 0);
	return 1;
}

size_t
learn_field_parts(const LearnField *field)
{
	return field->rocket != NULL ? 1 : field->kind == LEARN_TEXT ? field->dims[0] : field->dims[0] * field->dims[1];
}

/*
 * Channels of a pixel are one part; samples of a signal are told apart by lead. Of a series' channel in a bin value, mask and time
 * since are one part. A feature of rocket is of the whole signal.
 */
size_t
learn_field_part(const LearnField *field, int plane, size_t i, size_t n)
{
	size_t		depth = learn_field_depth(field);

	(void) plane;
	if (field->rocket != NULL)
		return 0;
	if (field->kind == LEARN_SERIES)
		return i / (3 * depth) * depth + i % depth;
	return i / (n / learn_field_parts(field));
}

size_t
learn_field_places(const LearnField *field, LearnBytes stored)
{
	size_t		step = learn_field_depth(field) * sizeof(float);

	if (field->stride > 0 && stored.bytes != NULL && stored.size / step > field->dims[0])
		return stored.size / step * field->dims[1];
	return field->rocket != NULL || field->stride > 0 ? field->dims[0] * field->dims[1] : learn_field_parts(field);
}

/* Number i of stored samples. */
static inline float
sample_at(LearnSample sample, const void *stored, size_t i)
{
	if (sample == LEARN_SAMPLE_U8)
		return (float) ((const uint8_t *) stored)[i] * (1.0f / 255.0f);
	if (sample == LEARN_SAMPLE_U16)
		return (float) ((const uint16_t *) stored)[i] * (1.0f / 65535.0f);
	return ((const float *) stored)[i];
}

/* (positions, depth) samples to centred and scaled floats; what is no number becomes zero. */
static void
load_samples(const LearnField *field, const void *stored, size_t positions, float *dst)
{
	size_t		depth = learn_field_depth(field);

	for (size_t p = 0; p < positions; p++)
		for (size_t d = 0; d < depth; d++)
		{
			float		value = (sample_at(field->sample, stored, p * depth + d) - field->center[d]) * field->scale[d];

			dst[p * depth + d] = isfinite(value) ? value : 0.0f;
		}
}

/* Where a longer signal begins to be kept. */
static size_t
first_kept(const LearnField *field, size_t n, size_t most)
{
	if (n <= most || field->keep == LEARN_CROP_START)
		return 0;
	return field->keep == LEARN_CROP_END ? n - most : (n - most) / 2;
}

size_t
learn_field_first(const LearnField *field, size_t n)
{
	return first_kept(field, n, field->dims[0]);
}

static size_t
most_positions(const LearnField *field)
{
	return field->kind == LEARN_IMAGE ? field->dims[0] * field->dims[1] : field->dims[0];
}

/* Where the positions that the network sees begin; *n is their number, *first that of the first. */
static const void *
find_kept(const LearnField *field, LearnBytes stored, size_t *n, size_t *first)
{
	size_t		step = learn_field_depth(field) * sample_bytes(field->sample);
	size_t		most = most_positions(field);

	*n = stored.bytes == NULL ? 0 : stored.size / step;
	*first = first_kept(field, *n, most);
	*n = *n < most ? *n : most;
	return *n == 0 ? NULL : (const char *) stored.bytes + *first * step;
}

size_t
learn_field_values(const LearnField *field, LearnBytes stored, float *values, size_t *first)
{
	size_t		n;
	const void *samples = find_kept(field, stored, &n, first);

	if (field->stride > 0 && n > 0)
	{
		*first = 0;
		n = stored.size / (learn_field_depth(field) * sizeof(float));
		memcpy(values, stored.bytes, stored.size);
		return n;
	}
	for (size_t i = 0; i < n * learn_field_depth(field); i++)
		values[i] = sample_at(field->sample, samples, i);
	return n;
}

size_t
learn_field_load_samples(const LearnField *field, LearnBytes stored, float *dst)
{
	size_t		first;
	size_t		n;
	const void *samples = find_kept(field, stored, &n, &first);

	if (n > 0)
		load_samples(field, samples, n, dst);
	return n;
}

static void
load_series(const LearnField *field, LearnBytes stored, float *dst)
{
	size_t		size = learn_series_stored_size(field->series) * sizeof(float);

	if (stored.bytes != NULL && stored.size == size)
		learn_series_load(field->series, stored.bytes, dst);
	else
		memset(dst, 0, field->dims[0] * 3 * field->dims[1] * sizeof(float));
}

size_t
learn_field_scratch(const LearnField *field)
{
	return field->rocket == NULL ? 0 : learn_field_rocket_scratch(field);
}

void
learn_field_load(const LearnField *field, LearnBytes stored, float *scratch, void *const planes[LEARN_MAX_PLANES],
				 int32_t *length)
{
	size_t		depth = learn_field_depth(field);
	size_t		n;

	*length = (int32_t) field->dims[0];
	if (field->rocket != NULL)
		learn_field_load_rocket(field, stored, scratch, planes[0]);
	else if (field->tagged)
		learn_tagged_load(field, stored, planes, length);
	else if (field->kind == LEARN_TEXT)
		learn_text_load(field, stored, planes[0], length);
	else if (field->kind == LEARN_SERIES)
		load_series(field, stored, planes[0]);
	else
	{
		n = learn_field_load_samples(field, stored, planes[0]);
		memset((float *) planes[0] + n * depth, 0, (most_positions(field) - n) * depth * sizeof(float));
		*length = (int32_t) n;
	}
}

/* ---- Fitting ---- */

typedef struct Moments
{
	double		n;
	double		sum;
	double		squares;
} Moments;

static void
add_moments(const LearnField *field, const void *stored, size_t positions, Moments *moments)
{
	size_t		depth = learn_field_depth(field);

	for (size_t p = 0; p < positions; p++)
		for (size_t d = 0; d < depth; d++)
		{
			double		value = (double) sample_at(field->sample, stored, p * depth + d);

			if (!isfinite(value))
				continue;
			moments[d].n++;
			moments[d].sum += value;
			moments[d].squares += value * value;
		}
}

static void
set_scale(LearnField *field, const Moments *moments)
{
	for (size_t d = 0; d < learn_field_depth(field); d++)
	{
		double		mean = moments[d].n > 0 ? moments[d].sum / moments[d].n : 0;
		double		variance = moments[d].n > 0 ? moments[d].squares / moments[d].n - mean * mean : 0;
		double		deviation = variance > 0 ? sqrt(variance) : 0;

		if (field->kind == LEARN_SIGNAL && field->scaling == LEARN_SIGNAL_UNSCALED)
		{
			field->center[d] = 0;
			field->scale[d] = 1;
			continue;
		}
		field->center[d] = (float) mean;
		field->scale[d] = deviation > LEAST_DEVIATION * (1 + fabs(mean)) ? (float) (1 / deviation) : 1.0f;
	}
}

/* The largest record of a store, for a buffer to read any of them. */
static size_t
largest_record(const LearnStore *store)
{
	size_t		largest = 0;

	for (size_t i = 0; i < learn_store_records(store); i++)
		if (learn_store_size(store, i) > largest)
			largest = learn_store_size(store, i);
	return largest;
}

/* A stored series begins with what was known before its window, which is no part of it. */
static void
add_record(const LearnField *field, const void *record, size_t size, Moments *moments)
{
	size_t		step = learn_field_depth(field) * sample_bytes(field->sample);
	size_t		before = field->kind == LEARN_SERIES ? 2 : 0;
	size_t		positions = size / step;

	if (positions > before)
		add_moments(field, (const char *) record + before * step, positions - before, moments);
}

static void
set_series(LearnField *field, const Moments *moments)
{
	for (size_t d = 0; d < field->dims[1]; d++)
	{
		LearnSeriesChannel *channel = &field->series->channels[d];

		channel->n = (uint64_t) moments[d].n;
		channel->mean = (double) field->center[d];
		channel->deviation = 1 / (double) field->scale[d];
	}
}

static DevStatus
fit_samples(LearnDataset *dataset, int number)
{
	DevSession *session = dataset->session;
	LearnField *field = &dataset->fields[number];
	LearnStore *store = dataset->stores[number];
	size_t		depth = learn_field_depth(field);
	size_t		sizes[LEARN_N_PARTS];
	size_t		most = FIT_RECORDS;
	size_t		mean_bytes;
	size_t		seen = 0;
	size_t		taken = 0;
	Moments    *moments = dev_alloc(session, depth, sizeof(Moments));
	void	   *buffer = dev_alloc(session, largest_record(store) + 1, 1);
	DevStatus	status = DEV_OK;

	field->center = dev_alloc(session, depth, sizeof(float));
	field->scale = dev_alloc(session, depth, sizeof(float));
	if (moments == NULL || buffer == NULL || field->center == NULL || field->scale == NULL)
		return DEV_NO_MEMORY;
	learn_part_sizes(dataset, sizes);
	mean_bytes = learn_store_bytes(store) / (learn_store_records(store) + 1) + 1;
	most = most < FIT_BYTES / mean_bytes ? most : FIT_BYTES / mean_bytes + 1;
	most = most < sizes[LEARN_TRAIN] ? most : sizes[LEARN_TRAIN];
	for (size_t row = 0; row < dataset->n_rows && status == DEV_OK; row++)
	{
		if (dataset->parts[row] != LEARN_TRAIN)
			continue;
		seen++;
		if ((uint64_t) seen * most / sizes[LEARN_TRAIN] <= taken)
			continue;
		taken++;
		if (learn_store_missing(store, row))
			continue;
		status = taken % 64 == 0 ? dev_poll(session) : DEV_OK;
		if (status == DEV_OK)
			status = learn_store_read(store, row, buffer);
		if (status == DEV_OK)
			add_record(field, buffer, learn_store_size(store, row), moments);
	}
	if (status == DEV_OK)
		set_scale(field, moments);
	if (status == DEV_OK && field->kind == LEARN_SERIES)
		set_series(field, moments);
	dev_release(session, moments);
	dev_release(session, buffer);
	return status;
}

DevStatus
learn_fields_fit(LearnDataset *dataset)
{
	DevStatus	status = DEV_OK;

	for (int i = 0; i < dataset->n_fields && status == DEV_OK; i++)
		status = dataset->fields[i].tagged ? learn_tagged_fit(dataset, i) :
			dataset->fields[i].kind == LEARN_TEXT ? learn_text_fit(dataset, i) : fit_samples(dataset, i);
	return status;
}

/* Every record of a field's store in its other form, in a store of its own. */
static DevStatus
encode_field(LearnDataset *dataset, int number)
{
	LearnStore *store;
	DevStatus	status = learn_store_succeed(dataset->stores[number], &store);

	for (size_t row = 0; row < dataset->n_rows && status == DEV_OK; row++)
	{
		LearnBytes	value;

		status = row % 64 == 0 ? dev_poll(dataset->session) : DEV_OK;
		if (status == DEV_OK)
			status = learn_dataset_field(dataset, number, row, &value);
		if (status != DEV_OK)
			break;
		if (value.bytes == NULL)
			status = learn_store_append(store, NULL, 0);
		else
			status = dataset->fields[number].tagged ? learn_tagged_store(dataset, number, value, store) :
				learn_text_store(dataset, number, value, store);
	}
	if (status != DEV_OK)
	{
		learn_store_free(store);
		return status;
	}
	learn_store_free(dataset->stores[number]);
	dataset->stores[number] = store;
	return DEV_OK;
}

DevStatus
learn_fields_encode(LearnDataset *dataset)
{
	DevStatus	status = DEV_OK;

	for (int i = 0; i < dataset->n_fields && status == DEV_OK; i++)
		if (dataset->fields[i].kind == LEARN_TEXT)
			status = encode_field(dataset, i);
	return status;
}

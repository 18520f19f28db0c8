/*
 * encode.c: raw values into what the network sees.
 *
 * A whole data set is encoded tile by tile: 64 rows of up to 32 channels are scaled
 * column-wise, where the loops are long and plain, and laid down row-wise. A single row runs through the
 * same arithmetic, one IEEE operation after the other, so that its bits are the same.
 */
#include "encode.h"
#include "field.h"
#include "wide.h"

#include <float.h>

#include <string.h>

#define TILE_SLOTS 32
#define FARTHEST 1e9f			/* scaled values are cut here: beyond, squaring would overflow */
#define FEW_CATEGORIES 8		/* compared one by one faster than hashed */

#define WIDE_NUMBERS 8			/* from so many of one kind on */

static inline float
cut(float x)
{
	x = x < FARTHEST ? x : FARTHEST;	/* also NaN, which stored statistics may produce */
	return x > -FARTHEST ? x : -FARTHEST;
}

static inline float
scale_linear(float raw, float center, float scale)
{
	return cut((raw - center) * scale);
}

/* x / sqrt(1 + (x/3)^2): the identity near 0, never beyond 3 (RealMLP, Holzmueller et al. 2024). */
static inline float
scale_robust(float raw, float center, float scale)
{
	float		x = scale_linear(raw, center, scale);
	float		third = x * (1.0f / 3.0f);

	return x / sqrtf(1.0f + third * third);
}

/* Quantile function of the normal distribution: algorithm AS 241, PPND7 (Wichura 1988). */
static double
normal_quantile(double p)
{
	double		q = p - 0.5;
	double		r;
	double		value;

	if (fabs(q) <= 0.425)
	{
		r = 0.180625 - q * q;
		return q * (((59.109374720 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179) /
			(((67.187563600 * r + 78.757757664) * r + 17.895169469) * r + 1.0);
	}
	r = sqrt(-log(q < 0 ? p : 1.0 - p));
	if (r <= 5.0)
	{
		r -= 1.6;
		value = (((0.17023821103 * r + 1.3067284816) * r + 2.7568153900) * r + 1.4234372777) /
			((0.12021132975 * r + 0.73700164250) * r + 1.0);
	}
	else
	{
		r -= 5.0;
		value = (((0.017337203997 * r + 0.42868294337) * r + 3.0812263860) * r + 6.6579051150) /
			((0.012258202635 * r + 0.24197894225) * r + 1.0);
	}
	return q < 0 ? -value : value;
}

/*
 * The share of training values below a value, those equal to it counting half, to a normal distribution. Nothing
 * gets farther out than half a step of the quantiles.
 */
static float
scale_by_quantiles(const LearnChannel *channel, float raw)
{
	const float *quantiles = channel->quantiles;
	int			low = 0;		/* first quantile >= raw */
	int			high;			/* first quantile > raw */
	int			end = channel->n_quantiles;
	double		place;
	double		half;

	if (channel->n_quantiles < 2)
		return 0;
	while (low < end)
	{
		int			middle = low + (end - low) / 2;

		if (quantiles[middle] < raw)
			low = middle + 1;
		else
			end = middle;
	}
	high = low;
	end = channel->n_quantiles;
	while (high < end)
	{
		int			middle = high + (end - high) / 2;

		if (quantiles[middle] <= raw)
			high = middle + 1;
		else
			end = middle;
	}
	if (high > low)
		place = ((double) low + (double) (high - 1)) / 2;
	else if (low == 0 || low == channel->n_quantiles)
		place = low == 0 ? 0 : channel->n_quantiles - 1;
	else
		place = low - 1 + ((double) raw - quantiles[low - 1]) / ((double) quantiles[low] - quantiles[low - 1]);
	place /= channel->n_quantiles - 1;
	half = 0.5 / channel->n_quantiles;
	place = place > half ? place : half;
	return (float) normal_quantile(place < 1 - half ? place : 1 - half);
}

/* A raw value that is not missing. */
static inline float
scale_number(const LearnChannel *channel, float raw)
{
	switch (channel->scaling)
	{
		case LEARN_QUANTILE:
			return scale_by_quantiles(channel, raw);
		case LEARN_STANDARD:
		case LEARN_UNSCALED:
			return scale_linear(raw, channel->center, channel->scale);
		case LEARN_ROBUST:
			break;
	}
	return scale_robust(raw, channel->center, channel->scale);
}

double
learn_unscale_number(const LearnChannel *channel, float scaled)
{
	double		x = (double) scaled;
	double		third = x / 3;
	double		place;
	int			below;

	if (channel->scaling == LEARN_QUANTILE)
	{
		if (channel->n_quantiles < 2)
			return 0;
		place = erfc(-x / sqrt(2)) / 2 * (channel->n_quantiles - 1);
		below = (int) place < channel->n_quantiles - 2 ? (int) place : channel->n_quantiles - 2;
		return (double) channel->quantiles[below] +
			(place - below) * ((double) channel->quantiles[below + 1] - (double) channel->quantiles[below]);
	}
	if (channel->scaling == LEARN_ROBUST)
		x /= sqrt(fmax(1 - third * third, 1e-12));
	return (double) channel->center + x / (double) channel->scale;
}

void
learn_scale_numbers(const LearnChannel *channel, size_t n, const float *raw, float *scaled)
{
	float		center = channel->center;
	float		scale = channel->scale;
	float		fill = channel->fill;

	if (channel->scaling == LEARN_ROBUST)
		for (size_t i = 0; i < n; i++)
			scaled[i] = scale_robust(isnan(raw[i]) ? fill : raw[i], center, scale);
	else
		for (size_t i = 0; i < n; i++)
			scaled[i] = scale_number(channel, isnan(raw[i]) ? fill : raw[i]);
	if (channel->indicator_input != NN_NONE)
		for (size_t i = 0; i < n; i++)
			scaled[i] = isnan(raw[i]) ? raw[i] : scaled[i];
}

static inline int32_t
missing_code(const LearnChannel *channel)
{
	return channel->has_missing ? channel->n_categories + (int32_t) channel->has_other : -1;
}

static inline void
encode_value(const LearnChannel *channel, float raw, float *numbers, int32_t *codes)
{
	bool		missing = !isfinite(raw);

	if (channel->number_input != NN_NONE)
	{
		numbers[channel->number_input] = scale_number(channel, missing ? channel->fill : raw);
		if (channel->indicator_input != NN_NONE)
			numbers[channel->indicator_input] = missing ? 1.0f : 0.0f;
	}
	else if (channel->code_input != NN_NONE)
	{
		int32_t		n_codes = channel->n_categories + (int32_t) channel->has_other;

		codes[channel->code_input] = missing ? missing_code(channel) :
			raw >= 0 && raw < (float) n_codes ? (int32_t) raw : -1;
	}
}

void
learn_encode_row(const LearnChannel *channels, int n_channels, const float *raw, float *numbers, int32_t *codes)
{
	for (int i = 0; i < n_channels; i++)
		encode_value(&channels[i], raw[i], numbers, codes);
}

static inline float
take_double(uint64_t bits)
{
	double		value;
	float		narrow;

	memcpy(&value, &bits, sizeof(value));
	narrow = (float) value;
	return fabsf(narrow) <= FLT_MAX ? narrow : NAN;
}

static inline float
take_float(uint64_t bits)
{
	uint32_t	low = (uint32_t) bits;
	float		value;

	memcpy(&value, &low, sizeof(value));
	return fabsf(value) <= FLT_MAX ? value : NAN;
}

static inline float
take_int32(uint64_t bits)
{
	return (float) (int32_t) (uint32_t) bits;
}

WIDE_LOOPS static void
take_wide(LearnBits kind, size_t n, const uint64_t *restrict bits, float *restrict raw)
{
	if (kind == LEARN_BITS_DOUBLE)
		for (size_t i = 0; i < n; i++)
			raw[i] = take_double(bits[i]);
	else if (kind == LEARN_BITS_FLOAT)
		for (size_t i = 0; i < n; i++)
			raw[i] = take_float(bits[i]);
	else
		for (size_t i = 0; i < n; i++)
			raw[i] = take_int32(bits[i]);
}

/* Of eight at least, eight by eight; the last eight may be among those looked at before. */
static inline bool
any_missing(size_t n, const bool *missing)
{
	uint64_t	eight;
	uint64_t	any;

	_Static_assert(sizeof(bool) == 1, "a bool is a byte");
	memcpy(&any, missing + n - sizeof(any), sizeof(any));
	for (size_t i = 0; i + sizeof(eight) < n; i += sizeof(eight))
	{
		memcpy(&eight, missing + i, sizeof(eight));
		any |= eight;
	}
	return any != 0;
}

void
learn_take_numbers(LearnBits kind, size_t n, const uint64_t *bits, const bool *missing, float *raw)
{
	/* In tables of many types a wide loop would not pay for its call. */
	if (n < WIDE_NUMBERS)
	{
		for (size_t i = 0; i < n; i++)
			raw[i] = missing[i] ? NAN : kind == LEARN_BITS_DOUBLE ? take_double(bits[i]) : kind == LEARN_BITS_FLOAT ? take_float(bits[i]) :
				take_int32(bits[i]);
		return;
	}
	take_wide(kind, n, bits, raw);
	if (any_missing(n, missing))
		for (size_t i = 0; i < n; i++)
			if (missing[i])
				raw[i] = NAN;
}

/* ---- Rows by the dozen ---- */

static bool
is_plain(const LearnChannel *channel)
{
	return channel->number_input != NN_NONE && channel->indicator_input == NN_NONE && channel->scaling != LEARN_QUANTILE;
}

static void
lay_out(LearnRowEncoder *encoder)
{
	for (int i = 0; i < encoder->n_channels; i++)
	{
		const LearnChannel *channel = &encoder->channels[i];
		LearnRun   *last = encoder->n_runs > 0 ? &encoder->runs[encoder->n_runs - 1] : NULL;

		encoder->fill[i] = channel->fill;
		encoder->center[i] = channel->center;
		encoder->scale[i] = channel->scale;
		encoder->clip[i] = channel->scaling == LEARN_ROBUST ? 1.0f / 3.0f : 0.0f;
		if (channel->number_input == NN_NONE && channel->code_input == NN_NONE)
			continue;
		if (!is_plain(channel))
			encoder->others[encoder->n_others++] = i;
		else if (last != NULL && last->channel + last->n == i && last->input + last->n == channel->number_input)
			last->n++;
		else
			encoder->runs[encoder->n_runs++] = (LearnRun) {.channel = i, .input = channel->number_input, .n = 1};
	}
}

DevStatus
learn_row_encoder_create(DevSession *session, const LearnChannel *channels, int n_channels, LearnRowEncoder *encoder)
{
	size_t		n = (size_t) n_channels + 1;

	*encoder = (LearnRowEncoder) {.channels = channels, .n_channels = n_channels};
	encoder->fill = dev_alloc(session, n, sizeof(float));
	encoder->center = dev_alloc(session, n, sizeof(float));
	encoder->scale = dev_alloc(session, n, sizeof(float));
	encoder->clip = dev_alloc(session, n, sizeof(float));
	encoder->runs = dev_alloc(session, n, sizeof(LearnRun));
	encoder->others = dev_alloc(session, n, sizeof(int));
	if (encoder->fill == NULL || encoder->center == NULL || encoder->scale == NULL || encoder->clip == NULL ||
		encoder->runs == NULL || encoder->others == NULL)
		return DEV_NO_MEMORY;
	lay_out(encoder);
	return DEV_OK;
}

/* A run of n rows. scale_robust and scale_linear are one formula, the latter without a clip: x / sqrt(1) is x. */
WIDE_LOOPS static void
scale_run(const LearnRowEncoder *encoder, const LearnRun *run, size_t n, const float *restrict raw, float *restrict numbers, size_t n_numbers)
{
	const float *fill = encoder->fill + run->channel;
	const float *center = encoder->center + run->channel;
	const float *scale = encoder->scale + run->channel;
	const float *clip = encoder->clip + run->channel;
	const size_t width = (size_t) run->n;
	const size_t n_channels = (size_t) encoder->n_channels;

	raw += run->channel;
	numbers += run->input;
	for (size_t row = 0; row < n; row++)
	{
		for (size_t i = 0; i < width; i++)
		{
			float		here = raw[i];
			float		instead = fill[i];
			float		x = scale_linear(fabsf(here) <= FLT_MAX ? here : instead, center[i], scale[i]);
			float		part = x * clip[i];

			numbers[i] = x / sqrtf(1.0f + part * part);
		}
		raw += n_channels;
		numbers += n_numbers;
	}
}

void
learn_encode_rows(const LearnRowEncoder *encoder, size_t n, const float *raw, float *numbers, size_t n_numbers, int32_t *codes,
				  size_t n_codes)
{
	for (int i = 0; i < encoder->n_runs; i++)
		scale_run(encoder, &encoder->runs[i], n, raw, numbers, n_numbers);
	for (size_t row = 0; row < n && encoder->n_others > 0; row++)
	{
		for (int i = 0; i < encoder->n_others; i++)
			encode_value(&encoder->channels[encoder->others[i]], raw[encoder->others[i]], numbers, codes);
		raw += encoder->n_channels;
		numbers += n_numbers;
		codes += n_codes;
	}
}

/* ---- Categories at predict time ---- */

/* Position of the bytes among the categories, or -1. */
static int32_t
compare_all(const LearnChannel *channel, const char *bytes, size_t size)
{
	for (int32_t i = 0; i < channel->n_categories; i++)
		if (strncmp(channel->categories[i], bytes, size) == 0 && channel->categories[i][size] == '\0')
			return i;
	return -1;
}

static int32_t
look_up(const LearnChannel *channel, const char *bytes, size_t size)
{
	uint32_t	mask = channel->n_lookup - 1;
	uint32_t	at = (uint32_t) learn_hash_bytes(0, 0, bytes, size) & mask;

	for (; channel->lookup[at] >= 0; at = (at + 1) & mask)
	{
		const char *category = channel->categories[channel->lookup[at]];

		if (strncmp(category, bytes, size) == 0 && category[size] == '\0')
			return channel->lookup[at];
	}
	return -1;
}

float
learn_category_code(const LearnChannel *channel, const char *bytes, size_t size)
{
	int32_t		code = -1;

	if (size == 0)
		bytes = "";
	/* A known category has no NUL in it, and bytes after one would not be compared. */
	if (memchr(bytes, '\0', size) == NULL)
		code = channel->n_lookup > 0 ? look_up(channel, bytes, size) : compare_all(channel, bytes, size);
	if (code < 0 && channel->has_other)
		code = channel->n_categories;
	return (float) code;
}

DevStatus
learn_channel_index(DevSession *session, LearnChannel *channel)
{
	uint32_t	n_slots = 16;

	dev_release(session, channel->lookup);
	channel->lookup = NULL;
	channel->n_lookup = 0;
	if (channel->kind != LEARN_CATEGORY || channel->n_categories <= FEW_CATEGORIES)
		return DEV_OK;
	while (n_slots < (uint32_t) channel->n_categories * 2)
		n_slots *= 2;
	channel->lookup = dev_alloc(session, n_slots, sizeof(int32_t));
	if (channel->lookup == NULL)
		return DEV_NO_MEMORY;
	for (uint32_t slot = 0; slot < n_slots; slot++)
		channel->lookup[slot] = -1;
	for (int32_t i = 0; i < channel->n_categories; i++)
	{
		const char *category = channel->categories[i];
		uint32_t	at = (uint32_t) learn_hash_bytes(0, 0, category, strlen(category)) & (n_slots - 1);

		while (channel->lookup[at] >= 0)
			at = (at + 1) & (n_slots - 1);
		channel->lookup[at] = i;
	}
	channel->n_lookup = n_slots;
	return DEV_OK;
}

/* ---- The whole data set ---- */

/* 64 raw codes of the dictionary -> codes by the fitted categories, as bits of floats. */
static void
encode_codes(const LearnDataset *dataset, int number, const float *raw, float *encoded)
{
	const LearnChannel *channel = &dataset->channels[number];
	const int32_t *fitted = dataset->fitted_codes[number];
	float		n_known = (float) learn_dictionary_size(dataset->dictionaries[number]);
	int32_t		missing = missing_code(channel);

	for (size_t i = 0; i < DATASET_TILE; i++)
	{
		int32_t		code = isnan(raw[i]) ? missing : raw[i] >= 0 && raw[i] < n_known ? fitted[(size_t) raw[i]] : -1;

		memcpy(&encoded[i], &code, sizeof(code));
	}
}

/* A column-wise chunk of n rows into rows of `width`; slot s is channel slots[s]. */
static void
encode_chunk(const LearnDataset *dataset, const int *slots, size_t n, const float *raw, float *dst)
{
	float		tile[TILE_SLOTS][DATASET_TILE];
	size_t		width = dataset->width;

	for (size_t row = 0; row < n; row += DATASET_TILE)
	{
		size_t		n_rows = n - row < DATASET_TILE ? n - row : DATASET_TILE;

		for (size_t first = 0; first < width; first += TILE_SLOTS)
		{
			size_t		n_slots = width - first < TILE_SLOTS ? width - first : TILE_SLOTS;

			for (size_t slot = 0; slot < n_slots; slot++)
			{
				int			channel = slots[first + slot];
				const float *column = raw + (size_t) channel * dataset->stride + row;

				if (first + slot < dataset->n_scaled)
					learn_scale_numbers(&dataset->channels[channel], DATASET_TILE, column, tile[slot]);
				else
					encode_codes(dataset, channel, column, tile[slot]);
			}
			for (size_t i = 0; i < n_rows; i++)
				for (size_t slot = 0; slot < n_slots; slot++)
					dst[(row + i) * width + first + slot] = tile[slot][i];
		}
	}
}

/* Encodes chunk after chunk into the memory that the one before it has left. */
static DevStatus
encode_chunks(LearnDataset *dataset, const int *slots, float *incoming)
{
	for (size_t chunk = 0; chunk < dataset->n_chunks; chunk++)
	{
		size_t		n = learn_chunk_size(dataset, chunk);
		float	   *raw = dataset->chunks[chunk];
		DevStatus	status = dev_poll(dataset->session);

		if (status == DEV_OK && raw == NULL)
			status = learn_chunk_read(dataset, chunk, incoming, 0, dataset->chunk_bytes);
		if (status != DEV_OK)
			return status;
		encode_chunk(dataset, slots, n, raw != NULL ? raw : incoming, dataset->spare);
		if (raw != NULL)
		{
			dataset->chunks[chunk] = dataset->spare;
			dataset->spare = raw;
		}
		else
			status = learn_chunk_write(dataset, chunk, dataset->spare, n * dataset->width * sizeof(float));
		if (status != DEV_OK)
			return status;
	}
	return DEV_OK;
}

DevStatus
learn_dataset_encode(LearnDataset *dataset)
{
	DevSession *session = dataset->session;
	bool		spilled = dataset->n_resident + 1 < dataset->n_chunks;
	float	   *incoming = NULL;
	int		   *slots;
	DevStatus	status = DEV_NO_MEMORY;

	if (dataset->stage != STAGE_FITTED)
		return dev_fail(session, DEV_INVALID, "the data set must be fitted, once, before it is encoded");
	slots = dev_alloc(session, dataset->width + 1, sizeof(int));
	dataset->spare = dev_alloc(session, dataset->chunk_bytes, 1);
	if (spilled)
		incoming = dev_alloc(session, dataset->chunk_bytes, 1);
	if (slots != NULL && dataset->spare != NULL && (incoming != NULL || !spilled))
	{
		for (int channel = 0; channel < dataset->n_channels; channel++)
		{
			const LearnChannel *used = &dataset->channels[channel];

			if (used->number_input != NN_NONE)
				slots[used->number_input] = channel;
			if (used->code_input != NN_NONE)
				slots[dataset->n_scaled + (size_t) used->code_input] = channel;
		}
		dataset->stage = STAGE_BROKEN;
		status = encode_chunks(dataset, slots, incoming);
		if (status == DEV_OK)
			status = learn_fields_encode(dataset);
		if (status == DEV_OK)
			dataset->stage = STAGE_ENCODED;
	}
	dev_release(session, slots);
	dev_release(session, incoming);
	dev_release(session, dataset->spare);
	dataset->spare = NULL;
	return status;
}

/*
 * rounding.c: weights in fewer bits.
 *
 * A scale of eight-bit numbers keeps 17 bits of its mantissa, and 127 takes seven: every multiple is a float32, exactly, and dividing the channel's
 * largest value by 127 gives the scale back to the last bit. Smaller scales, which clip the largest value for the sake of the others, were tried:
 * with eight bits they gain next to nothing.
 */
#include "idla/learn_rounding.h"

#include <math.h>
#include <string.h>

#define MOST 127				/* -128 has no counterpart */
#define LEAST_VALUE 1e-30f		/* of a channel that is not nothing: far from where multiples would be subnormal */
#define SHORTEST_ROW 8			/* of a table, for its rows to have scales of their own */
#define FEWEST_ROWS 16			/* of one of several matrices, for it to have its own */
#define FEWEST_SHARING 4		/* values for one scale, which takes as much room as four of them */
#define LARGEST_BFLOAT16 0x7f7f
#define POLLED ((size_t) 1 << 16)

const char *const learn_precision_names[] = {
	[LEARN_FLOAT32] = "float32",
	[LEARN_BFLOAT16] = "bfloat16",
	[LEARN_INT8] = "int8",
	NULL
};

size_t
learn_precision_bytes(LearnPrecision precision)
{
	return precision == LEARN_INT8 ? 1 : precision == LEARN_BFLOAT16 ? 2 : sizeof(float);
}

/* ---- which values share a scale ---- */

static void
share_scales(LearnRounding *rounding, const NnParameterInfo *parameter)
{
	const NnShape *shape = &parameter->shape;
	int			last = shape->rank - 1;
	bool		by_row = parameter->role == NN_ROLE_TABLE && parameter->size / shape->dims[0] >= SHORTEST_ROW;
	bool		by_matrix = !by_row && shape->rank == 3 && shape->dims[1] >= FEWEST_ROWS;

	rounding->n_groups = by_row || by_matrix ? shape->dims[0] : 1;
	rounding->n_channels = by_row ? 1 : shape->dims[last];
	rounding->n_rows = parameter->size / rounding->n_groups / rounding->n_channels;
	rounding->n_scales = rounding->n_groups * rounding->n_channels;
	rounding->scales = *shape;
	for (int i = 0; i < shape->rank; i++)
		if (!((i == 0 && rounding->n_groups > 1) || (i == last && !by_row)))
			rounding->scales.dims[i] = 1;
}

LearnRounding
learn_rounding_of(LearnPrecision precision, const NnParameterInfo *parameter)
{
	LearnRounding rounding = {.precision = LEARN_FLOAT32, .size = parameter->size};
	LearnRounding whole = rounding;
	NnRole		role = parameter->role;

	if (parameter->size == 0 || parameter->shape.rank < 2 ||
		(role != NN_ROLE_MATRIX && role != NN_ROLE_HEAD && role != NN_ROLE_TABLE))
		return whole;
	rounding.precision = precision;
	if (precision != LEARN_INT8)
		return rounding;
	share_scales(&rounding, parameter);
	return rounding.n_rows < FEWEST_SHARING ? whole : rounding;
}

/* ---- bfloat16 ---- */

static uint32_t
bits_of(float value)
{
	uint32_t	bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static float
float_of(uint32_t bits)
{
	float		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

uint16_t
learn_to_bfloat16(float value)
{
	uint32_t	bits = bits_of(value);

	/* A NaN whose upper half says infinity must not become one. */
	if (isnan(value))
		return (uint16_t) (bits >> 16 | 0x40);
	return (uint16_t) ((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float
learn_from_bfloat16(uint16_t bits)
{
	return float_of((uint32_t) bits << 16);
}

static float
nearest_bfloat16(float value)
{
	float		rounded = learn_from_bfloat16(learn_to_bfloat16(value));

	return isfinite(rounded) ? rounded : copysignf(learn_from_bfloat16(LARGEST_BFLOAT16), value);
}

/* ---- int8 ---- */

/* The first value of a channel, by the number of its scale; the others follow n_channels apart. */
static size_t
first_of(const LearnRounding *rounding, size_t scale)
{
	return scale / rounding->n_channels * rounding->n_rows * rounding->n_channels + scale % rounding->n_channels;
}

/* The scale of which 127 is at most `largest`, in 17 bits of mantissa. */
static float
short_scale(float largest)
{
	return float_of(bits_of(largest / MOST) & ~(uint32_t) 0x7f);
}

static float
whole_number(float value, float inverse)
{
	float		whole = rintf(value * inverse);

	return whole > MOST ? MOST : whole < -MOST ? -MOST : whole;
}

static float
largest_of(const float *values, size_t n, size_t stride)
{
	float		largest = 0;

	for (size_t i = 0; i < n; i++)
	{
		float		size = fabsf(values[i * stride]);

		largest = size > largest ? size : largest;
	}
	return largest;
}

static void
round_channel(float *values, size_t n, size_t stride)
{
	float		largest = largest_of(values, n, stride);
	float		scale = largest < LEAST_VALUE ? 0 : short_scale(largest);
	float		inverse = scale == 0 ? 0 : 1 / scale;

	/* Among whole numbers 0 has no sign. */
	for (size_t i = 0; i < n; i++)
		values[i * stride] = scale * whole_number(values[i * stride], inverse) + 0.0f;
}

static DevStatus
round_channels(DevSession *session, const LearnRounding *rounding, float *values)
{
	DevStatus	status = DEV_OK;
	size_t		unpolled = 0;

	for (size_t i = 0; i < rounding->n_scales && status == DEV_OK; i++)
	{
		round_channel(values + first_of(rounding, i), rounding->n_rows, rounding->n_channels);
		unpolled += rounding->n_rows;
		if (unpolled >= POLLED)
		{
			status = dev_poll(session);
			unpolled = 0;
		}
	}
	return status;
}

DevStatus
learn_round(DevSession *session, const LearnRounding *rounding, float *values)
{
	if (rounding->precision == LEARN_INT8)
		return round_channels(session, rounding, values);
	for (size_t i = 0; i < rounding->size && rounding->precision == LEARN_BFLOAT16; i++)
		values[i] = nearest_bfloat16(values[i]);
	return dev_poll(session);
}

/* ---- bytes ---- */

/* The scale of a rounded channel: 1 of one that is all zeros. */
static float
scale_of(const float *values, size_t n, size_t stride)
{
	float		largest = largest_of(values, n, stride);

	return largest == 0 ? 1 : largest / MOST;
}

static bool
is_scale(float scale)
{
	return scale >= LEAST_VALUE / (2 * MOST) && isfinite(scale * MOST) && (bits_of(scale) & 0x7f) == 0;
}

static bool
store_channel(const float *values, size_t n, size_t stride, signed char *bytes, float *scale)
{
	bool		rounded = true;

	*scale = scale_of(values, n, stride);
	rounded = is_scale(*scale);
	for (size_t i = 0; i < n && rounded; i++)
	{
		float		whole = values[i * stride] / *scale;

		rounded = whole == rintf(whole) && fabsf(whole) <= MOST && whole * *scale == values[i * stride];
		if (rounded)
			bytes[i * stride] = (signed char) whole;
	}
	return rounded;
}

bool
learn_rounded_store(const LearnRounding *rounding, const float *values, void *bytes, float *scales)
{
	unsigned char *to = bytes;
	bool		rounded = true;

	for (size_t i = 0; i < rounding->n_scales && rounded; i++)
	{
		size_t		first = first_of(rounding, i);

		rounded = store_channel(values + first, rounding->n_rows, rounding->n_channels, (signed char *) bytes + first, &scales[i]);
	}
	for (size_t i = 0; i < rounding->size && rounding->precision == LEARN_BFLOAT16 && rounded; i++)
	{
		uint16_t	bits = learn_to_bfloat16(values[i]);

		rounded = learn_from_bfloat16(bits) == values[i] && isfinite(values[i]);
		to[2 * i] = (unsigned char) bits;
		to[2 * i + 1] = (unsigned char) (bits >> 8);
	}
	return rounded;
}

/* One row of numbers, and what is the largest of each channel so far. */
static void
load_row(const signed char *bytes, const float *scales, size_t n, float *values, unsigned char *largest)
{
	for (size_t i = 0; i < n; i++)
	{
		unsigned char size = (unsigned char) (bytes[i] < 0 ? -bytes[i] : bytes[i]);

		largest[i] = size > largest[i] ? size : largest[i];
		values[i] = (float) bytes[i] * scales[i];
	}
}

static DevStatus
check_channels(DevSession *session, const LearnRounding *rounding, const float *scales, const unsigned char *largest)
{
	for (size_t i = 0; i < rounding->n_scales; i++)
	{
		if (!is_scale(scales[i]))
			return dev_fail(session, DEV_CORRUPT, "channel %zu has a scale of %g, which is none", i, (double) scales[i]);
		if (largest[i] == 0 && scales[i] != 1)
			return dev_fail(session, DEV_CORRUPT, "channel %zu has only zeros, and its scale is not 1", i);
		if (largest[i] != 0 && largest[i] != MOST)
			return dev_fail(session, DEV_CORRUPT, "the largest number of channel %zu is %d, not %d", i, largest[i], MOST);
	}
	return DEV_OK;
}

/* Row by row, as they lie. */
static DevStatus
load_channels(DevSession *session, const LearnRounding *rounding, const signed char *bytes, const float *scales, float *values)
{
	unsigned char *largest = dev_alloc(session, rounding->n_scales, 1);
	size_t		width = rounding->n_channels;
	DevStatus	status;

	if (largest == NULL)
		return DEV_NO_MEMORY;
	for (size_t row = 0; row < rounding->n_groups * rounding->n_rows; row++)
	{
		size_t		first = row / rounding->n_rows * width;

		load_row(bytes + row * width, scales + first, width, values + row * width, largest + first);
	}
	status = check_channels(session, rounding, scales, largest);
	dev_release(session, largest);
	return status;
}

static DevStatus
load_halves(DevSession *session, size_t n, const unsigned char *bytes, float *values)
{
	for (size_t i = 0; i < n; i++)
	{
		values[i] = learn_from_bfloat16((uint16_t) (bytes[2 * i] | bytes[2 * i + 1] << 8));
		if (!isfinite(values[i]))
			return dev_fail(session, DEV_CORRUPT, "value %zu is not finite", i);
	}
	return DEV_OK;
}

DevStatus
learn_rounded_load(DevSession *session, const LearnRounding *rounding, const void *bytes, const float *scales, float *values)
{
	DevStatus	status = rounding->precision == LEARN_INT8 ? load_channels(session, rounding, bytes, scales, values) :
		load_halves(session, rounding->size, bytes, values);

	return status == DEV_OK ? dev_poll(session) : status;
}

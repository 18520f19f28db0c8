/*
 * dicom_pixels.c: stored values to grey or colour in [0, 1].
 *
 * Stored bits are cut out and, where signed, extended; rescaling and a linear window are then one product and one sum a pixel, and only
 * the sigmoid needs more. Rows are read from the file's own bytes, in short loops that compilers turn into vectors.
 */
#include "dicom.h"

#include <math.h>

static uint32_t
stored_bits(const LearnDicom *dicom, size_t sample)
{
	uint32_t	mask = (1u << dicom->stored) - 1;
	uint32_t	raw = dicom->allocated == 8 ? dicom->pixels[sample] :
		(uint32_t) dicom->pixels[2 * sample] | (uint32_t) dicom->pixels[2 * sample + 1] << 8;

	return raw >> dicom->shift & mask;
}

static int32_t
stored_value(const LearnDicom *dicom, size_t sample)
{
	uint32_t	sign = dicom->is_signed ? 1u << (dicom->stored - 1) : 0;

	return (int32_t) (stored_bits(dicom, sample) ^ sign) - (int32_t) sign;
}

/* Grey is scale * value + offset, clipped, unless a curve or a step is asked for. */
typedef struct Tone
{
	double		scale;
	double		offset;
	bool		step;			/* a window of width 1: grey is 0 or 1 */
	bool		sigmoid;		/* grey is 1 / (1 + exp(-4 (scale * value + offset))) */
} Tone;

static bool
is_padding(const LearnDicom *dicom, int32_t value)
{
	return dicom->has_padding && value == dicom->padding;
}

/* The smallest and the largest value, in one unit; equal where all pixels are. */
static void
find_range(const LearnDicom *dicom, double *low, double *high)
{
	int32_t		smallest = INT32_MAX;
	int32_t		largest = INT32_MIN;

	for (size_t i = 0; i < dicom->rows * dicom->columns; i++)
	{
		int32_t		value = stored_value(dicom, i);

		if (is_padding(dicom, value))
			continue;
		smallest = value < smallest ? value : smallest;
		largest = value > largest ? value : largest;
	}
	*low = smallest <= largest ? smallest : 0;
	*high = smallest <= largest ? largest : 0;
}

/* Without a window: what the bits can say, or, of more than eight, what they do say. A negative slope turns the range around. */
static Tone
tone_of_range(const LearnDicom *dicom)
{
	Tone		tone = {0};
	double		low = dicom->is_signed ? -ldexp(1.0, dicom->stored - 1) : 0.0;
	double		high = low + ldexp(1.0, dicom->stored) - 1.0;

	if (dicom->stored > 8)
		find_range(dicom, &low, &high);
	if (high > low)
	{
		tone.scale = (dicom->slope < 0.0 ? -1.0 : 1.0) / (high - low);
		tone.offset = -tone.scale * (dicom->slope < 0.0 ? high : low);
	}
	return tone;
}

static Tone
tone_of_window(const LearnDicom *dicom)
{
	Tone		tone = {0};
	bool		linear = dicom->voi == LEARN_VOI_LINEAR;
	double		width = linear ? dicom->window - 1.0 : dicom->window;
	double		centre = linear ? dicom->centre - 0.5 : dicom->centre;

	tone.sigmoid = dicom->voi == LEARN_VOI_SIGMOID;
	tone.step = width == 0.0;
	width = tone.step ? 1.0 : width;
	tone.scale = dicom->slope / width;
	tone.offset = (dicom->intercept - centre) / width + (tone.sigmoid || tone.step ? 0.0 : 0.5);
	return tone;
}

/* A row of stored values, each of which a float holds exactly. */
static void
fill_values(const LearnDicom *dicom, size_t row, float *dst)
{
	const uint8_t *src = dicom->pixels + row * dicom->columns * (size_t) (dicom->allocated / 8);
	uint32_t	mask = (1u << dicom->stored) - 1;
	uint32_t	sign = dicom->is_signed ? 1u << (dicom->stored - 1) : 0;
	int			shift = dicom->shift;

	if (dicom->allocated == 8)
		for (size_t i = 0; i < dicom->columns; i++)
			dst[i] = (float) ((int32_t) ((((uint32_t) src[i] >> shift) & mask) ^ sign) - (int32_t) sign);
	else
		for (size_t i = 0; i < dicom->columns; i++)
		{
			uint32_t	raw = (uint32_t) src[2 * i] | (uint32_t) src[2 * i + 1] << 8;

			dst[i] = (float) ((int32_t) (((raw >> shift) & mask) ^ sign) - (int32_t) sign);
		}
}

static void
bend(const Tone *tone, size_t n, float *row)
{
	for (size_t i = 0; i < n; i++)
	{
		double		grey = tone->scale * (double) row[i] + tone->offset;

		row[i] = tone->step ? (grey > 0.0 ? 1.0f : 0.0f) : (float) (1.0 / (1.0 + exp(-4.0 * grey)));
	}
}

static void
stretch(const Tone *tone, size_t n, float *row)
{
	for (size_t i = 0; i < n; i++)
	{
		float		grey = (float) (tone->scale * (double) row[i] + tone->offset);

		row[i] = learn_clip(grey);
	}
}

static void
fill_grey(const LearnDicom *dicom, const Tone *tone, size_t row, float *dst)
{
	size_t		n = dicom->columns;

	fill_values(dicom, row, dst);
	if (tone->step || tone->sigmoid)
		bend(tone, n, dst);
	else
		stretch(tone, n, dst);
	for (size_t i = 0; dicom->inverted && i < n; i++)
		dst[i] = 1.0f - dst[i];
	for (size_t i = 0; dicom->has_padding && i < n; i++)
		if (is_padding(dicom, stored_value(dicom, row * n + i)))
			dst[i] = 0.0f;
}

static void
fill_colour(const LearnDicom *dicom, size_t row, float *dst)
{
	size_t		plane = dicom->planar ? dicom->rows * dicom->columns : 1;
	size_t		step = dicom->planar ? 1 : 3;
	size_t		first = row * dicom->columns * step;
	float		most = (float) ((1u << dicom->stored) - 1);

	for (size_t i = 0; i < dicom->columns; i++)
		for (size_t channel = 0; channel < 3; channel++)
			dst[3 * i + channel] = (float) stored_bits(dicom, first + i * step + channel * plane) / most;
}

bool
learn_dicom_read(const uint8_t *bytes, size_t size, LearnResizer *resizer, LearnTrouble *trouble)
{
	float	   *room = learn_resizer_room(resizer);
	LearnDicom	dicom;
	Tone		tone = {0};
	size_t		needed;

	if (!learn_dicom_header(bytes, size, &dicom, trouble))
		return false;
	needed = dicom.rows * dicom.columns * (size_t) dicom.samples * (size_t) (dicom.allocated / 8);
	if (dicom.pixel_bytes < needed)
	{
		learn_image_fail(trouble, DEV_BAD_DATA, "DICOM image is truncated");
		learn_image_detail(trouble, "Its pixels at byte %zu need %zu bytes, and there are %zu.", dicom.pixel_place, needed, dicom.pixel_bytes);
		return false;
	}
	if (dicom.samples == 1)
		tone = dicom.has_window ? tone_of_window(&dicom) : tone_of_range(&dicom);
	for (size_t row = 0; row < dicom.rows; row++)
	{
		if (dicom.samples == 1)
			fill_grey(&dicom, &tone, row, room);
		else
			fill_colour(&dicom, row, room);
		learn_resizer_put(resizer, row, room);
	}
	return true;
}

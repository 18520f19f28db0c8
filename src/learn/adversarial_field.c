/*
 * adversarial_field.c: how far an image or a signal may be moved, in the values a network sees.
 *
 * Users think in shares of the range of pixels, networks see centred and scaled channels. A box by row says both.
 */
#include "idla/learn_adversarial.h"

#include <math.h>

static bool
has_pixels(const LearnField *field)
{
	return field->kind == LEARN_IMAGE && field->sample != LEARN_SAMPLE_F32;
}

void
learn_field_box(const LearnField *field, size_t length, double epsilon, const float *plane, float *low, float *high)
{
	size_t		depth = learn_field_depth(field);
	size_t		positions = field->kind == LEARN_IMAGE ? field->dims[0] * field->dims[1] : field->dims[0];
	bool		pixels = has_pixels(field);

	for (size_t i = 0; i < positions * depth; i++)
	{
		size_t		d = i % depth;
		bool		padding = field->kind != LEARN_IMAGE && i / depth >= length;
		float		reach = padding ? 0 : (float) epsilon * (pixels ? field->scale[d] : 1);

		low[i] = plane[i] - reach;
		high[i] = plane[i] + reach;
		if (pixels)
		{
			low[i] = fmaxf(low[i], -field->center[d] * field->scale[d]);
			high[i] = fminf(high[i], (1 - field->center[d]) * field->scale[d]);
		}
	}
}

/* The value on a step next to x, no farther from clean than x is when towards; clean where the box leaves no other. */
static float
place_value(const LearnField *field, size_t d, double step, float x, float clean, float low, float high, bool towards)
{
	double		scale = (double) field->scale[d];
	double		center = (double) field->center[d];
	double		own = (double) clean / scale + center;
	double		moved = ((double) x - (double) clean) / scale / step;
	double		slack = 1e-3 * step * scale;
	double		steps = towards ? trunc(moved + copysign(1e-3, moved)) : nearbyint(moved);

	/* Rounding may lead out of the box by less than a step. */
	for (int i = 0; i < 2; i++, steps -= copysign(1, steps))
	{
		double		value = (own + steps * step - center) * scale;

		if (steps == 0)
			break;
		if (value >= (double) low - slack && value <= (double) high + slack)
			return (float) value;
	}
	return clean;
}

void
learn_field_round(const LearnField *field, const LearnFieldSteps *steps, size_t n, size_t size, float *planes)
{
	size_t		depth = learn_field_depth(field);

	for (size_t row = 0; row < n && steps->step > 0; row++)
	{
		const float *clean = steps->clean + row * size;
		const float *low = steps->low + row * size;
		const float *high = steps->high + row * size;
		float	   *plane = planes + row * size;
		double		square = 0;

		/* The nearest steps may lie beyond the ball. */
		for (size_t i = 0; i < size; i++)
		{
			double		moved = (double) place_value(field, i % depth, steps->step, plane[i], clean[i], low[i], high[i], false) -
				(double) clean[i];

			square += moved * moved;
		}
		for (size_t i = 0; i < size; i++)
			plane[i] = place_value(field, i % depth, steps->step, plane[i], clean[i], low[i], high[i],
								   sqrt(square) > (double) steps->radii[row]);
	}
}

double
learn_field_unit(const LearnField *field, size_t d)
{
	if (field->kind == LEARN_SERIES)
		return field->series->channels[d].deviation;
	return has_pixels(field) ? 1 : 1 / (double) field->scale[d];
}

double
learn_field_radius(const LearnField *field, double epsilon)
{
	double		sum = 0;

	if (!has_pixels(field))
		return epsilon;
	for (size_t d = 0; d < field->dims[2]; d++)
		sum += (double) field->scale[d];
	return epsilon * sum / (double) field->dims[2];
}

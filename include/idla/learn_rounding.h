/*
 * learn_rounding.h: weights in fewer bits.
 *
 * A parameter is rounded to bfloat16, or to whole numbers of eight bits with one scale for each channel; computing goes on in
 * float32, with the rounded values. What is stored can be read off these values alone: a bfloat16 is a float32 whose lower half is zero, and
 * a scale has so short a mantissa that its multiples are exact, and is the largest value of its channel over 127. So a rounded model in memory is
 * no different from another, and is always written with the same bytes.
 */
#ifndef IDLA_LEARN_ROUNDING_H
#define IDLA_LEARN_ROUNDING_H

#include "idla/nn.h"

typedef enum LearnPrecision
{
	LEARN_FLOAT32,				/* nothing is rounded */
	LEARN_BFLOAT16,				/* sign, 8 bits of exponent, 7 of mantissa */
	LEARN_INT8					/* -127 to 127, times the channel's scale */
} LearnPrecision;

extern const char *const learn_precision_names[];	/* as the user writes them; ends with NULL */

/* How one parameter is stored. */
typedef struct LearnRounding
{
	LearnPrecision precision;
	size_t		size;			/* values */
	/* LEARN_INT8: value (group, row, channel) of (n_groups, n_rows, n_channels) has scale (group, channel) */
	size_t		n_groups;
	size_t		n_rows;
	size_t		n_channels;
	size_t		n_scales;		/* 0 for the other precisions */
	NnShape		scales;			/* the parameter's shape with 1 where values share a scale, so that q * scale broadcasts */
} LearnRounding;

/*
 * How a parameter is stored in a model of that precision. Matrices, kernels and tables are rounded. Vectors, running statistics and constants, which
 * are few and matter much, stay LEARN_FLOAT32, as under LEARN_INT8 do those of which three values or less would share a scale. Channels are outputs:
 * the last dimension, of each of several matrices of 16 rows or more by itself; of a table they are its rows, unless these are shorter than 8.
 */
extern LearnRounding learn_rounding_of(LearnPrecision precision, const NnParameterInfo *parameter);

/* Bytes of a value. */
extern size_t learn_precision_bytes(LearnPrecision precision);

/* To the nearest bfloat16, of two equally near to the even one; infinities and NaN stay what they are, and what is out of range becomes infinite. */
extern uint16_t learn_to_bfloat16(float value);
extern float learn_from_bfloat16(uint16_t bits);

/*
 * Rounds finite values in place; the outcome is finite, and rounded again it is the same. LEARN_BFLOAT16: what is out of range becomes the largest number.
 * LEARN_INT8: the scale of a channel is its largest value over 127; channels whose values are all below 1e-30 become zeros. DEV_CANCELLED.
 */
extern DevStatus learn_round(DevSession *session, const LearnRounding *rounding, float *values);

/*
 * Rounded values as bytes, little-endian, and the scales (n_scales); bytes has room for learn_precision_bytes a value. Not for LEARN_FLOAT32.
 * False when the values are not rounded so.
 */
extern bool learn_rounded_store(const LearnRounding *rounding, const float *values, void *bytes, float *scales);
/*
 * The way back, from bytes that anyone may have written: DEV_CORRUPT unless they and the scales are what learn_rounded_store makes of
 * the values.
 */
extern DevStatus learn_rounded_load(DevSession *session, const LearnRounding *rounding, const void *bytes, const float *scales, float *values);

#endif							/* IDLA_LEARN_ROUNDING_H */

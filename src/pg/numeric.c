/*
 * numeric.c: numeric -> double from its digits.
 *
 * The server's own cast prints the number and scans the text, which costs more
 * than the rest of reading a row. The stored form (utils/adt/numeric.c; the same in 15 to 18) is a header
 * of one or two 16-bit words and digits in base 10,000. Up to 19
 * decimal digits are gathered exactly and scaled once in extended precision.
 */
#include "idla.h"

#include <float.h>
#include <math.h>

#include "utils/builtins.h"
#include "utils/numeric.h"

#define SIGN_BITS 0xC000
#define IS_SHORT 0x8000
#define IS_SPECIAL 0xC000
#define IS_NEGATIVE 0x4000
#define SPECIAL_BITS 0xF000
#define POSITIVE_INFINITY 0xD000
#define NEGATIVE_INFINITY 0xF000
#define SHORT_NEGATIVE 0x2000
#define SHORT_WEIGHT_SIGN 0x0040
#define SHORT_WEIGHT_MASK 0x003F

#define LARGEST_EXACT_POWER 27	/* 10^27 = 5^27 * 2^27, and 5^27 fits in 64 bits */
#define LARGEST_DOUBLE_POWER 22

static const double double_power[LARGEST_DOUBLE_POWER + 1] = {
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
	1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
};

#if LDBL_MANT_DIG >= 64
static const long double long_power[LARGEST_EXACT_POWER + 1] = {
	1e0L, 1e1L, 1e2L, 1e3L, 1e4L, 1e5L, 1e6L, 1e7L, 1e8L, 1e9L, 1e10L, 1e11L, 1e12L, 1e13L,
	1e14L, 1e15L, 1e16L, 1e17L, 1e18L, 1e19L, 1e20L, 1e21L, 1e22L, 1e23L, 1e24L, 1e25L, 1e26L, 1e27L
};
#endif

/* significand * 10^exponent, correctly rounded; false when that needs more than one rounding. */
static bool
scale_exactly(uint64 significand, int exponent, double *value)
{
	if (significand > (UINT64CONST(1) << 53) || exponent < -LARGEST_DOUBLE_POWER || exponent > LARGEST_DOUBLE_POWER)
		return false;
	*value = exponent < 0 ? (double) significand / double_power[-exponent] : (double) significand * double_power[exponent];
	return true;
}

/*
 * The same for up to 19 digits and one base-10,000 digit more: 64 bits of mantissa keep the error of the two
 * roundings below a thousandth of an ulp before the last one. False where long double is no wider than double.
 */
static bool
scale_widely(uint64 significand, int next_digit, int exponent, double *value)
{
#if LDBL_MANT_DIG >= 64
	long double wide = (long double) significand;

	if (next_digit >= 0)
	{
		wide = wide * 10000 + next_digit;
		exponent -= 4;
	}
	if (exponent < -LARGEST_EXACT_POWER || exponent > LARGEST_EXACT_POWER)
		return false;
	*value = (double) (exponent < 0 ? wide / long_power[-exponent] : wide * long_power[exponent]);
	return true;
#else
	(void) significand;
	(void) next_digit;
	(void) exponent;
	(void) value;
	return false;
#endif
}

static double
convert_by_text(Datum numeric)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out, numeric));
	double		value = strtod(text, NULL);

	pfree(text);
	return value;
}

static int
digit_at(const char *bytes, int i)
{
	int16		digit;

	memcpy(&digit, bytes + (Size) i * sizeof(int16), sizeof(int16));
	return digit;
}

double
idla_numeric_to_double(Datum numeric)
{
	struct varlena *packed = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(numeric));
	const char *bytes = VARDATA_ANY(packed);
	int			size = (int) VARSIZE_ANY_EXHDR(packed);
	uint16		header = 0;
	int			weight;
	bool		negative;
	int			n_digits;
	uint64		significand = 0;
	int			used = 0;
	int			next_digit = -1;
	int			exponent;
	double		value = 0;

	if (size >= (int) sizeof(uint16))
		memcpy(&header, bytes, sizeof(uint16));
	if ((header & SIGN_BITS) == IS_SPECIAL)
	{
		if ((header & SPECIAL_BITS) == POSITIVE_INFINITY)
			value = INFINITY;
		else if ((header & SPECIAL_BITS) == NEGATIVE_INFINITY)
			value = -INFINITY;
		else
			value = NAN;
		goto done;
	}
	if (header & IS_SHORT)
	{
		weight = (header & SHORT_WEIGHT_MASK) | ((header & SHORT_WEIGHT_SIGN) ? ~SHORT_WEIGHT_MASK : 0);
		negative = (header & SHORT_NEGATIVE) != 0;
		bytes += sizeof(uint16);
		size -= (int) sizeof(uint16);
	}
	else
	{
		int16		wide = 0;

		if (size >= (int) (2 * sizeof(uint16)))
			memcpy(&wide, bytes + sizeof(uint16), sizeof(int16));
		weight = wide;
		negative = (header & SIGN_BITS) == IS_NEGATIVE;
		bytes += 2 * sizeof(uint16);
		size -= (int) (2 * sizeof(uint16));
	}

	/* Below 10^15 one more digit keeps the sum below 10^19, which 64 bits hold. */
	n_digits = Max(size, 0) / (int) sizeof(int16);
	for (; used < n_digits && significand < UINT64CONST(1000000000000000); used++)
		significand = significand * 10000 + (uint64) digit_at(bytes, used);
	if (used < n_digits)
		next_digit = digit_at(bytes, used);
	exponent = 4 * (weight + 1 - used);
	if (significand == 0)
		value = 0;
	else if (!(next_digit < 0 && scale_exactly(significand, exponent, &value)) &&
			 !scale_widely(significand, next_digit, exponent, &value))
	{
		value = convert_by_text(PointerGetDatum(packed));
		negative = false;
	}
	if (negative)
		value = -value;
done:
	if ((Pointer) packed != DatumGetPointer(numeric))
		pfree(packed);
	return value;
}

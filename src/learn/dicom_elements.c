/*
 * dicom_elements.c: a DICOM data set, element by element.
 *
 * A data set is a list of elements: tag, sometimes a type (VR), length, value (PS3.5 section 7). A sequence is skipped by its
 * length or, where that is undefined, element by element to a bounded depth. Every length is
 * compared with the bytes that are left before anything is read.
 */
#include "dicom.h"

#include <math.h>

#define MOST_NESTED 32

#define VR(a, b) ((unsigned) (a) << 8 | (unsigned) (b))
#define TAG_ITEM LEARN_DICOM_TAG(0xFFFE, 0xE000)
#define TAG_ITEM_END LEARN_DICOM_TAG(0xFFFE, 0xE00D)
#define TAG_SEQUENCE_END LEARN_DICOM_TAG(0xFFFE, 0xE0DD)

static bool
truncated(const LearnDicomCursor *cursor, size_t place)
{
	learn_image_fail(cursor->trouble, DEV_BAD_DATA, "DICOM file is truncated");
	learn_image_detail(cursor->trouble, "Its %zu bytes end within the element at byte %zu.", cursor->size, place);
	return false;
}

bool
learn_dicom_corrupt(const LearnDicomCursor *cursor, const LearnDicomElement *element, const char *what)
{
	learn_image_fail(cursor->trouble, DEV_BAD_DATA, "DICOM file is corrupt");
	learn_image_detail(cursor->trouble, "The element (%04X,%04X) at byte %zu %s.", (unsigned) (element->tag >> 16),
					   (unsigned) (element->tag & 0xFFFF), element->place, what);
	return false;
}

/* Types whose length takes two bytes; that of all others takes four, after two that say nothing (PS3.5 7.1.2). */
static bool
has_short_length(unsigned vr)
{
	static const char short_ones[] = "AEASATCSDADSDTFDFLISLOLTPNSHSLSSSTTMUIULUS";

	for (const char *name = short_ones; *name != '\0'; name += 2)
	{
		if (vr == VR(name[0], name[1]))
			return true;
	}
	return false;
}

bool
learn_dicom_element(LearnDicomCursor *cursor, LearnDicomElement *element)
{
	const uint8_t *at = cursor->bytes + cursor->place;
	size_t		left = cursor->size - cursor->place;
	size_t		head = 8;

	if (left < 8)
		return truncated(cursor, cursor->place);
	element->place = cursor->place;
	element->tag = (uint32_t) learn_two_bytes(at) << 16 | learn_two_bytes(at + 2);
	element->vr = 0;
	if (cursor->implicit || element->tag >> 16 == 0xFFFE)
		element->length = learn_four_bytes(at + 4);
	else
	{
		element->vr = VR(at[4], at[5]);
		if (!learn_is_letter(at[4]) || !learn_is_letter(at[5]))
			return learn_dicom_corrupt(cursor, element, "has no type");
		if (has_short_length(element->vr))
			element->length = learn_two_bytes(at + 6);
		else
		{
			head = 12;
			if (left < head)
				return truncated(cursor, cursor->place);
			element->length = learn_four_bytes(at + 8);
		}
	}
	element->value = at + head;
	cursor->place += head;
	return true;
}

bool
learn_dicom_skip(LearnDicomCursor *cursor, const LearnDicomElement *element)
{
	if (element->length > cursor->size - cursor->place)
		return truncated(cursor, element->place);
	cursor->place += element->length;
	return true;
}

/*
 * What is open while a value of undefined length is skipped: a sequence, which holds items, or an item, which holds
 * elements. The content of type UN is implicit (PS3.5 6.2.2), and what is in it too.
 */
typedef struct Open
{
	bool		is_item;
	bool		implicit;		/* as before it */
} Open;

bool
learn_dicom_skip_sequence(LearnDicomCursor *cursor, const LearnDicomElement *sequence)
{
	Open		stack[MOST_NESTED];
	int			depth = 1;

	stack[0] = (Open) {false, cursor->implicit};
	cursor->implicit = cursor->implicit || sequence->vr == VR('U', 'N');
	while (depth > 0)
	{
		bool		in_item = stack[depth - 1].is_item;
		LearnDicomElement		element;

		if (!learn_dicom_element(cursor, &element))
			return false;
		if (element.tag == (in_item ? TAG_ITEM_END : TAG_SEQUENCE_END))
		{
			cursor->implicit = stack[--depth].implicit;
			continue;
		}
		if (in_item == (element.tag >> 16 == 0xFFFE) || (!in_item && element.tag != TAG_ITEM))
			return learn_dicom_corrupt(cursor, &element, in_item ? "may not be in an item" : "may not be in a sequence");
		if (element.length != LEARN_DICOM_UNDEFINED)
		{
			if (!learn_dicom_skip(cursor, &element))
				return false;
			continue;
		}
		if (depth == MOST_NESTED)
			return learn_dicom_corrupt(cursor, &element, "is nested too deeply");
		stack[depth++] = (Open) {!in_item, cursor->implicit};
		cursor->implicit = cursor->implicit || element.vr == VR('U', 'N');
	}
	return true;
}

/* ---- Values ---- */

bool
learn_dicom_short(const LearnDicomCursor *cursor, const LearnDicomElement *element, int *value)
{
	if (element->length < 2)
		return learn_dicom_corrupt(cursor, element, "is too short for a number");
	*value = (int) learn_two_bytes(element->value);
	return true;
}

/*
 * Not by strtod, which asks the locale what a decimal point is. A string has at most 16 characters, so its digits
 * fit into 64 bits; of longer ones the first 19 count.
 */
bool
learn_dicom_decimal(const LearnDicomCursor *cursor, const LearnDicomElement *element, double *value, bool *found)
{
	const char *at = (const char *) element->value;
	const char *end = at + element->length;
	const char *digits;
	uint64_t	number = 0;
	int			power = 0;
	int			exponent = 0;
	bool		negative;
	bool		fraction = false;

	while (at < end && *at == ' ')
		at++;
	*found = at < end && *at != '\\' && *at != '\0';
	if (!*found)
		return true;
	negative = *at == '-';
	at += *at == '-' || *at == '+' ? 1 : 0;
	digits = at;
	for (; at < end && ((*at >= '0' && *at <= '9') || (*at == '.' && !fraction)); at++)
	{
		if (*at == '.')
			fraction = true;
		else if (number < UINT64_MAX / 16)
		{
			number = number * 10 + (uint64_t) (*at - '0');
			power -= fraction ? 1 : 0;
		}
		else
			power += fraction ? 0 : 1;
	}
	if (at - digits < (fraction ? 2 : 1))
		return learn_dicom_corrupt(cursor, element, "is not a number");
	if (at < end && (*at == 'e' || *at == 'E'))
	{
		bool		minus = ++at < end && *at == '-';

		at += at < end && (*at == '-' || *at == '+') ? 1 : 0;
		digits = at;
		for (; at < end && *at >= '0' && *at <= '9'; at++)
			exponent = exponent < 1000 ? exponent * 10 + (*at - '0') : exponent;
		if (at == digits)
			return learn_dicom_corrupt(cursor, element, "is not a number");
		power += minus ? -exponent : exponent;
	}
	while (at < end && (*at == ' ' || *at == '\0'))
		at++;
	if (at < end && *at != '\\')
		return learn_dicom_corrupt(cursor, element, "is not a number");
	/* One rounding where the power is exact, as nearly all of them are. */
	*value = power < 0 ? (double) number / pow(10.0, -power) : (double) number * pow(10.0, power);
	*value = negative ? -*value : *value;
	return isfinite(*value) || learn_dicom_corrupt(cursor, element, "is a number out of range");
}

void
learn_dicom_text(const LearnDicomElement *element, char *text, size_t capacity)
{
	size_t		length = element->length;

	while (length > 0 && (element->value[length - 1] == ' ' || element->value[length - 1] == '\0'))
		length--;
	learn_image_quote(text, capacity, element->value, length);
}

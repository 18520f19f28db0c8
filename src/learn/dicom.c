/*
 * dicom.c: the attributes of a DICOM file that say where and what its pixels are.
 *
 * File meta information first (PS3.10 7.1), whose transfer syntax decides how the rest is written; then the elements of
 * the top level up to the pixels; then what they say together, checked.
 */
#include "dicom.h"

#include <stdio.h>
#include <string.h>

#define UID_SIZE 64

#define TAG LEARN_DICOM_TAG

enum
{
	TAG_TRANSFER_SYNTAX = TAG(0x0002, 0x0010),
	TAG_SAMPLES = TAG(0x0028, 0x0002),
	TAG_PHOTOMETRIC = TAG(0x0028, 0x0004),
	TAG_PLANAR = TAG(0x0028, 0x0006),
	TAG_FRAMES = TAG(0x0028, 0x0008),
	TAG_ROWS = TAG(0x0028, 0x0010),
	TAG_COLUMNS = TAG(0x0028, 0x0011),
	TAG_ALLOCATED = TAG(0x0028, 0x0100),
	TAG_STORED = TAG(0x0028, 0x0101),
	TAG_HIGH_BIT = TAG(0x0028, 0x0102),
	TAG_SIGNED = TAG(0x0028, 0x0103),
	TAG_PADDING = TAG(0x0028, 0x0120),
	TAG_CENTRE = TAG(0x0028, 0x1050),
	TAG_WINDOW = TAG(0x0028, 0x1051),
	TAG_INTERCEPT = TAG(0x0028, 0x1052),
	TAG_SLOPE = TAG(0x0028, 0x1053),
	TAG_VOI_FUNCTION = TAG(0x0028, 0x1056),
	TAG_MODALITY_TABLE = TAG(0x0028, 0x3000),
};

/* Beyond the range of an enumeration of int. */
#define TAG_FLOAT_PIXELS TAG(0x7FE0, 0x0008)
#define TAG_DOUBLE_PIXELS TAG(0x7FE0, 0x0009)
#define TAG_PIXELS TAG(0x7FE0, 0x0010)

/* ---- Transfer syntaxes ---- */

#define IMPLICIT_LITTLE "1.2.840.10008.1.2"
#define EXPLICIT_LITTLE "1.2.840.10008.1.2.1"

/* PS3.6 annex A. */
static const char *
syntax_name(const char *uid)
{
	static const struct
	{
		const char *uid;
		const char *name;
	}			names[] = {
		{"1.2.840.10008.1.2.1.98", "Encapsulated Uncompressed Explicit VR Little Endian"},
		{"1.2.840.10008.1.2.1.99", "Deflated Explicit VR Little Endian"},
		{"1.2.840.10008.1.2.2", "Explicit VR Big Endian"},
		{"1.2.840.10008.1.2.4.50", "JPEG Baseline (Process 1)"},
		{"1.2.840.10008.1.2.4.51", "JPEG Extended (Process 2 and 4)"},
		{"1.2.840.10008.1.2.4.57", "JPEG Lossless, Non-Hierarchical (Process 14)"},
		{"1.2.840.10008.1.2.4.70", "JPEG Lossless, Non-Hierarchical, First-Order Prediction"},
		{"1.2.840.10008.1.2.4.80", "JPEG-LS Lossless"},
		{"1.2.840.10008.1.2.4.81", "JPEG-LS Lossy (Near-Lossless)"},
		{"1.2.840.10008.1.2.4.90", "JPEG 2000 (Lossless Only)"},
		{"1.2.840.10008.1.2.4.91", "JPEG 2000"},
		{"1.2.840.10008.1.2.4.92", "JPEG 2000 Part 2 (Lossless Only)"},
		{"1.2.840.10008.1.2.4.93", "JPEG 2000 Part 2"},
		{"1.2.840.10008.1.2.4.94", "JPIP Referenced"},
		{"1.2.840.10008.1.2.4.95", "JPIP Referenced Deflate"},
		{"1.2.840.10008.1.2.4.100", "MPEG2 Main Profile"},
		{"1.2.840.10008.1.2.4.101", "MPEG2 High Profile"},
		{"1.2.840.10008.1.2.4.102", "MPEG-4 AVC/H.264 High Profile"},
		{"1.2.840.10008.1.2.4.103", "MPEG-4 AVC/H.264 BD-compatible"},
		{"1.2.840.10008.1.2.4.107", "HEVC/H.265 Main Profile"},
		{"1.2.840.10008.1.2.4.110", "JPEG XL Lossless"},
		{"1.2.840.10008.1.2.4.111", "JPEG XL JPEG Recompression"},
		{"1.2.840.10008.1.2.4.112", "JPEG XL"},
		{"1.2.840.10008.1.2.4.201", "High-Throughput JPEG 2000 (Lossless Only)"},
		{"1.2.840.10008.1.2.4.202", "High-Throughput JPEG 2000 with RPCL (Lossless Only)"},
		{"1.2.840.10008.1.2.4.203", "High-Throughput JPEG 2000"},
		{"1.2.840.10008.1.2.5", "RLE Lossless"},
		{"1.2.840.113619.5.2", "GE Private Implicit VR Big Endian"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		if (strcmp(uid, names[i].uid) == 0)
			return names[i].name;
	}
	return "unknown";
}

static bool
choose_syntax(LearnDicomCursor *cursor, const char *uid)
{
	cursor->implicit = strcmp(uid, IMPLICIT_LITTLE) == 0;
	if (cursor->implicit || strcmp(uid, EXPLICIT_LITTLE) == 0)
		return true;
	learn_image_fail(cursor->trouble, DEV_BAD_DATA, "DICOM transfer syntax \"%s\" is not supported", syntax_name(uid));
	learn_image_detail(cursor->trouble, "Its UID is \"%s\".", uid);
	learn_image_hint(cursor->trouble, "Explicit and Implicit VR Little Endian are read. Decompress the file first, "
					 "e.g. with dcmdjpeg, dcmdrle or gdcmconv --raw.");
	return false;
}

/* Whether elements have types, told by the first. */
static bool
looks_implicit(const LearnDicomCursor *cursor)
{
	const uint8_t *at = cursor->bytes + cursor->place;

	return cursor->size - cursor->place < 8 || !learn_is_letter(at[4]) || !learn_is_letter(at[5]);
}

/* The group 0002, which is explicit whatever follows (PS3.10 7.1). */
static bool
read_file_meta(LearnDicomCursor *cursor)
{
	char		uid[UID_SIZE + 1] = "";

	cursor->implicit = false;
	while (cursor->size - cursor->place >= 8 && learn_two_bytes(cursor->bytes + cursor->place) == 0x0002)
	{
		LearnDicomElement		element;

		if (!learn_dicom_element(cursor, &element))
			return false;
		if (element.length == LEARN_DICOM_UNDEFINED)
			return learn_dicom_corrupt(cursor, &element, "has no length");
		if (!learn_dicom_skip(cursor, &element))
			return false;
		if (element.tag == TAG_TRANSFER_SYNTAX)
			learn_dicom_text(&element, uid, sizeof(uid));
	}
	if (uid[0] != '\0')
		return choose_syntax(cursor, uid);
	cursor->implicit = looks_implicit(cursor);
	return true;
}

bool
learn_is_dicom(const uint8_t *bytes, size_t size)
{
	if (size >= 132 && memcmp(bytes + 128, "DICM", 4) == 0)
		return true;
	/* A data set without a preamble: the first element of group 2 or 8 has a low number, and a type or a length that is small. */
	if (size < 16 || (learn_two_bytes(bytes) != 0x0002 && learn_two_bytes(bytes) != 0x0008) || learn_two_bytes(bytes + 2) > 0x0060)
		return false;
	return (learn_is_letter(bytes[4]) && learn_is_letter(bytes[5])) || (learn_two_bytes(bytes) == 0x0008 && learn_four_bytes(bytes + 4) <= 256);
}

/* ---- The attributes ---- */

/* What is needed beside LearnDicom while reading. */
typedef struct Attributes
{
	int			rows;
	int			columns;
	int			samples;
	int			allocated;
	int			stored;
	int			high_bit;
	int			is_signed;
	int			planar;
	int			padding;
	double		frames;
	char		photometric[20];
	char		voi[20];
	bool		has_centre;
	bool		has_width;
	bool		has_pixels;
} Attributes;

static bool
read_attribute(const LearnDicomCursor *cursor, const LearnDicomElement *element, Attributes *attributes, LearnDicom *dicom)
{
	bool		found;

	switch (element->tag)
	{
		case TAG_ROWS:
			return learn_dicom_short(cursor, element, &attributes->rows);
		case TAG_COLUMNS:
			return learn_dicom_short(cursor, element, &attributes->columns);
		case TAG_SAMPLES:
			return learn_dicom_short(cursor, element, &attributes->samples);
		case TAG_ALLOCATED:
			return learn_dicom_short(cursor, element, &attributes->allocated);
		case TAG_STORED:
			return learn_dicom_short(cursor, element, &attributes->stored);
		case TAG_HIGH_BIT:
			return learn_dicom_short(cursor, element, &attributes->high_bit);
		case TAG_SIGNED:
			return learn_dicom_short(cursor, element, &attributes->is_signed);
		case TAG_PLANAR:
			return learn_dicom_short(cursor, element, &attributes->planar);
		case TAG_PADDING:
			dicom->has_padding = element->length > 0;
			return !dicom->has_padding || learn_dicom_short(cursor, element, &attributes->padding);
		case TAG_FRAMES:
			return learn_dicom_decimal(cursor, element, &attributes->frames, &found);
		case TAG_CENTRE:
			return learn_dicom_decimal(cursor, element, &dicom->centre, &attributes->has_centre);
		case TAG_WINDOW:
			return learn_dicom_decimal(cursor, element, &dicom->window, &attributes->has_width);
		case TAG_INTERCEPT:
			return learn_dicom_decimal(cursor, element, &dicom->intercept, &found);
		case TAG_SLOPE:
			return learn_dicom_decimal(cursor, element, &dicom->slope, &found);
		case TAG_PHOTOMETRIC:
			learn_dicom_text(element, attributes->photometric, sizeof(attributes->photometric));
			return true;
		case TAG_VOI_FUNCTION:
			learn_dicom_text(element, attributes->voi, sizeof(attributes->voi));
			return true;
		case TAG_MODALITY_TABLE:
			learn_image_fail(cursor->trouble, DEV_BAD_DATA, "DICOM image with a modality look-up table is not supported");
			return false;
		default:
			return true;
	}
}

static bool
read_pixel_element(const LearnDicomCursor *cursor, const LearnDicomElement *element, LearnDicom *dicom)
{
	if (element->length == LEARN_DICOM_UNDEFINED)
		return learn_dicom_corrupt(cursor, element, "holds compressed pixels, which its transfer syntax excludes");
	dicom->pixels = element->value;
	dicom->pixel_place = cursor->place;
	dicom->pixel_bytes = cursor->size - cursor->place;
	if (dicom->pixel_bytes > element->length)
		dicom->pixel_bytes = element->length;
	return true;
}

/* The data set up to its pixels. */
static bool
read_data_set(LearnDicomCursor *cursor, Attributes *attributes, LearnDicom *dicom)
{
	while (cursor->place < cursor->size)
	{
		LearnDicomElement		element;

		if (!learn_dicom_element(cursor, &element))
			return false;
		if (element.tag == TAG_PIXELS)
		{
			attributes->has_pixels = true;
			return read_pixel_element(cursor, &element, dicom);
		}
		if (element.tag == TAG_FLOAT_PIXELS || element.tag == TAG_DOUBLE_PIXELS)
			return learn_image_fail(cursor->trouble, DEV_BAD_DATA, "DICOM image with floating-point pixels is not supported");
		if (element.tag >> 16 == 0xFFFE)
			return learn_dicom_corrupt(cursor, &element, "may not be outside a sequence");
		if (element.length == LEARN_DICOM_UNDEFINED)
		{
			if ((element.tag == TAG_MODALITY_TABLE && !read_attribute(cursor, &element, attributes, dicom)) ||
				!learn_dicom_skip_sequence(cursor, &element))
				return false;
			continue;
		}
		if (!learn_dicom_skip(cursor, &element) || !read_attribute(cursor, &element, attributes, dicom))
			return false;
	}
	return true;
}

/* ---- What they say together ---- */

static bool
check_present(const Attributes *attributes, LearnTrouble *trouble)
{
	const struct
	{
		bool		there;
		const char *name;
	}			needed[] = {
		{attributes->has_pixels, "Pixel Data (7FE0,0010)"},
		{attributes->rows >= 0, "Rows (0028,0010)"},
		{attributes->columns >= 0, "Columns (0028,0011)"},
		{attributes->samples >= 0, "Samples per Pixel (0028,0002)"},
		{attributes->photometric[0] != '\0', "Photometric Interpretation (0028,0004)"},
		{attributes->allocated >= 0, "Bits Allocated (0028,0100)"},
		{attributes->stored >= 0, "Bits Stored (0028,0101)"},
		{attributes->high_bit >= 0, "High Bit (0028,0102)"},
		{attributes->is_signed >= 0, "Pixel Representation (0028,0103)"},
	};

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
	{
		if (!needed[i].there)
			return learn_image_fail(trouble, DEV_BAD_DATA, "DICOM file lacks %s", needed[i].name);
	}
	return true;
}

static bool
check_kind(const Attributes *attributes, LearnDicom *dicom, LearnTrouble *trouble)
{
	bool		grey = strcmp(attributes->photometric, "MONOCHROME1") == 0 || strcmp(attributes->photometric, "MONOCHROME2") == 0;

	if (attributes->frames != 1.0)
	{
		learn_image_fail(trouble, DEV_BAD_DATA, "DICOM image of %.0f frames is not supported", attributes->frames);
		learn_image_hint(trouble, "Split the file into one image a frame first, e.g. with dcmsplit or pydicom.");
		return false;
	}
	if (!grey && strcmp(attributes->photometric, "RGB") != 0)
	{
		learn_image_fail(trouble, DEV_BAD_DATA, "DICOM photometric interpretation \"%s\" is not supported", attributes->photometric);
		learn_image_hint(trouble, "MONOCHROME1, MONOCHROME2 and RGB are read.");
		return false;
	}
	if (attributes->samples != (grey ? 1 : 3))
		return learn_image_fail(trouble, DEV_BAD_DATA, "DICOM image is \"%s\" but has %d samples a pixel",
								attributes->photometric, attributes->samples);
	if (attributes->planar < 0 || attributes->planar > 1)
		return learn_image_fail(trouble, DEV_BAD_DATA, "DICOM planar configuration %d is unknown", attributes->planar);
	dicom->inverted = strcmp(attributes->photometric, "MONOCHROME1") == 0;
	dicom->samples = attributes->samples;
	dicom->planar = !grey && attributes->planar == 1;
	return true;
}

static bool
check_bits(const Attributes *attributes, LearnDicom *dicom, LearnTrouble *trouble)
{
	if (attributes->allocated != 8 && attributes->allocated != 16)
		return learn_image_fail(trouble, DEV_BAD_DATA, "DICOM image with %d bits allocated a sample is not supported", attributes->allocated);
	if (attributes->stored < 1 || attributes->stored > attributes->allocated || attributes->high_bit < attributes->stored - 1 ||
		attributes->high_bit >= attributes->allocated || attributes->is_signed > 1)
	{
		learn_image_fail(trouble, DEV_BAD_DATA, "DICOM image has an impossible layout of bits");
		learn_image_detail(trouble, "Bits Allocated is %d, Bits Stored %d, High Bit %d, Pixel Representation %d.", attributes->allocated,
						   attributes->stored, attributes->high_bit, attributes->is_signed);
		return false;
	}
	if (dicom->samples == 3 && attributes->is_signed == 1)
		return learn_image_fail(trouble, DEV_BAD_DATA, "DICOM image in colour has signed samples");
	dicom->allocated = attributes->allocated;
	dicom->stored = attributes->stored;
	dicom->shift = attributes->high_bit + 1 - attributes->stored;
	dicom->is_signed = attributes->is_signed == 1;
	dicom->padding = dicom->is_signed ? (int16_t) attributes->padding : attributes->padding;
	return true;
}

static bool
check_window(const Attributes *attributes, LearnDicom *dicom, LearnTrouble *trouble)
{
	if (dicom->slope == 0.0)
		return learn_image_fail(trouble, DEV_BAD_DATA, "DICOM image has a rescale slope of 0");
	if (strcmp(attributes->voi, "LINEAR_EXACT") == 0)
		dicom->voi = LEARN_VOI_LINEAR_EXACT;
	else if (strcmp(attributes->voi, "SIGMOID") == 0)
		dicom->voi = LEARN_VOI_SIGMOID;
	else if (attributes->voi[0] != '\0' && strcmp(attributes->voi, "LINEAR") != 0)
		return learn_image_fail(trouble, DEV_BAD_DATA, "DICOM VOI LUT function \"%s\" is unknown", attributes->voi);
	dicom->has_window = dicom->samples == 1 && attributes->has_centre && attributes->has_width;
	if (dicom->has_window && !(dicom->voi == LEARN_VOI_LINEAR ? dicom->window >= 1.0 : dicom->window > 0.0))
		return learn_image_fail(trouble, DEV_BAD_DATA, "DICOM image has an impossible window width of %g", dicom->window);
	return true;
}

bool
learn_dicom_header(const uint8_t *bytes, size_t size, LearnDicom *dicom, LearnTrouble *trouble)
{
	LearnDicomCursor		cursor = {bytes, size, 0, false, trouble};
	Attributes	attributes = {
		.rows = -1, .columns = -1, .samples = -1, .allocated = -1, .stored = -1, .high_bit = -1, .is_signed = -1, .frames = 1.0,
	};

	memset(dicom, 0, sizeof(*dicom));
	dicom->slope = 1.0;
	if (size >= 132 && memcmp(bytes + 128, "DICM", 4) == 0)
		cursor.place = 132;
	if (!read_file_meta(&cursor) || !read_data_set(&cursor, &attributes, dicom) || !check_present(&attributes, trouble) ||
		!check_kind(&attributes, dicom, trouble) || !check_bits(&attributes, dicom, trouble) || !check_window(&attributes, dicom, trouble))
		return false;
	dicom->implicit = cursor.implicit;
	dicom->rows = (size_t) attributes.rows;
	dicom->columns = (size_t) attributes.columns;
	if (dicom->rows == 0 || dicom->columns == 0)
		return learn_image_fail(trouble, DEV_BAD_DATA, "DICOM image declares %zu x %zu pixels", dicom->columns, dicom->rows);
	return true;
}

bool
learn_dicom_info(const uint8_t *bytes, size_t size, LearnImageInfo *info, LearnTrouble *trouble)
{
	LearnDicom	dicom;
	char		window[40] = "";

	if (!learn_dicom_header(bytes, size, &dicom, trouble))
		return false;
	info->format = LEARN_DICOM;
	info->width = dicom.columns;
	info->height = dicom.rows;
	info->channels = dicom.samples;
	info->bits = dicom.stored;
	if (dicom.has_window)
		snprintf(window, sizeof(window), ", window %g/%g", dicom.centre, dicom.window);
	snprintf(info->description, sizeof(info->description), "DICOM, %s VR Little Endian, %s, %d of %d bits%s%s",
			 dicom.implicit ? "Implicit" : "Explicit", dicom.samples == 3 ? "RGB" : dicom.inverted ? "MONOCHROME1" : "MONOCHROME2",
			 dicom.stored, dicom.allocated, dicom.is_signed ? " signed" : "", window);
	return true;
}

/*
 * dicom.h: uncompressed single-frame DICOM images.
 *
 * Read are files (PS3.10, with preamble or without) and bare data sets in Explicit and Implicit VR Little Endian; 8 or 16 bits allocated, any
 * Bits Stored and High Bit, signed or not; MONOCHROME1, MONOCHROME2 and RGB (planar configuration 0 and 1). Refused by name:
 * other transfer syntaxes, other photometric interpretations, floating-point pixels, several frames, a modality look-up table.
 * Only attributes of the top level count, so that an icon's or a functional group's are never taken for the image's;
 * a VOI look-up table is not applied.
 */
#ifndef IDLA_LEARN_DICOM_H
#define IDLA_LEARN_DICOM_H

#include "image.h"

/* Whether the bytes begin as DICOM does; says nothing about the rest. */
extern bool learn_is_dicom(const uint8_t *bytes, size_t size);
extern bool learn_dicom_info(const uint8_t *bytes, size_t size, LearnImageInfo *info, LearnTrouble *trouble);
/* Puts rows of 1 or 3 channels in [0, 1]. */
extern bool learn_dicom_read(const uint8_t *bytes, size_t size, LearnResizer *resizer, LearnTrouble *trouble);

/* ---- Between dicom.c, which reads the data set, and dicom_pixels.c, which reads its pixels ---- */

typedef enum LearnVoi
{
	LEARN_VOI_LINEAR,			/* PS3.3 C.11.2.1.2.1 */
	LEARN_VOI_LINEAR_EXACT,		/* C.11.2.1.3.2 */
	LEARN_VOI_SIGMOID			/* C.11.2.1.3.1 */
} LearnVoi;

typedef struct LearnDicom
{
	bool		implicit;
	size_t		rows;
	size_t		columns;
	int			samples;		/* of a pixel: 1 or 3 */
	bool		planar;			/* all red, then all green, then all blue */
	bool		inverted;		/* MONOCHROME1: the smallest value is white */
	int			allocated;		/* bits, 8 or 16 */
	int			stored;
	int			shift;			/* of the stored bits in the allocated ones */
	bool		is_signed;
	double		slope;
	double		intercept;
	bool		has_window;
	double		centre;
	double		window;
	LearnVoi	voi;
	bool		has_padding;
	int32_t		padding;		/* a stored value that is no part of the picture */
	const uint8_t *pixels;		/* as many bytes as the header promises, if pixel_bytes are enough */
	size_t		pixel_bytes;	/* that are there */
	size_t		pixel_place;	/* offset in the file, for messages */
} LearnDicom;

extern bool learn_dicom_header(const uint8_t *bytes, size_t size, LearnDicom *dicom, LearnTrouble *trouble);

/* ---- dicom_elements.c: one element after another ---- */

#define LEARN_DICOM_TAG(group, element) ((uint32_t) (group) << 16 | (element))
#define LEARN_DICOM_UNDEFINED 0xFFFFFFFFu	/* a length that is told by an end mark */

typedef struct LearnDicomCursor
{
	const uint8_t *bytes;
	size_t		size;
	size_t		place;
	bool		implicit;
	LearnTrouble *trouble;
} LearnDicomCursor;

typedef struct LearnDicomElement
{
	uint32_t	tag;
	unsigned	vr;				/* VR('U', 'S'); 0: implicit */
	uint32_t	length;
	size_t		place;			/* of the tag */
	const uint8_t *value;
} LearnDicomElement;

static inline unsigned
learn_two_bytes(const uint8_t *bytes)
{
	return (unsigned) bytes[0] | (unsigned) bytes[1] << 8;
}

static inline uint32_t
learn_four_bytes(const uint8_t *bytes)
{
	return learn_two_bytes(bytes) | (uint32_t) learn_two_bytes(bytes + 2) << 16;
}

/* As types (VR) have two. */
static inline bool
learn_is_letter(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z';
}

/* Tag, type and length; the cursor is left at the value, which may be longer than what is left. False: in cursor->trouble. */
extern bool learn_dicom_element(LearnDicomCursor *cursor, LearnDicomElement *element);
/* Over the value just reached; false when it is not all there. */
extern bool learn_dicom_skip(LearnDicomCursor *cursor, const LearnDicomElement *element);
/* Over one of undefined length. */
extern bool learn_dicom_skip_sequence(LearnDicomCursor *cursor, const LearnDicomElement *sequence);
/* Values, which must be all there. The first of several decimal numbers ("40\\400 "); *found is false when it is empty. */
extern bool learn_dicom_short(const LearnDicomCursor *cursor, const LearnDicomElement *element, int *value);
extern bool learn_dicom_decimal(const LearnDicomCursor *cursor, const LearnDicomElement *element, double *value, bool *found);
/* Without the blanks or zeros that make the length even; see learn_image_quote. */
extern void learn_dicom_text(const LearnDicomElement *element, char *text, size_t capacity);
/* Records what is wrong with an element; returns false. */
extern bool learn_dicom_corrupt(const LearnDicomCursor *cursor, const LearnDicomElement *element, const char *what);

#endif							/* IDLA_LEARN_DICOM_H */

/*
 * learn_image.h: pictures in bytes to numbers, and numbers to pictures.
 *
 * PNG and JPEG are decoded by libpng and libjpeg-turbo, DICOM by dicom.c. The bytes are untrusted: every
 * declared size is checked against a limit before memory is taken, and what is truncated, corrupt or of a kind that is
 * not read is refused with a message that says what and where. Bytes after the end of an image are allowed.
 *
 * Every function may be called on any thread. They have no session: memory is taken with malloc, and given back
 * before they return, failures included; a failure (false) is in *trouble, which is cleared at first. DEV_BAD_DATA
 * blames the bytes, DEV_INVALID the request, DEV_NO_MEMORY the machine.
 *
 * Pixels are float, (height, width, channels) in row-major order: channels last, the top row first.
 */
#ifndef IDLA_LEARN_IMAGE_H
#define IDLA_LEARN_IMAGE_H

#include "idla/learn_trouble.h"

typedef enum LearnImageFormat
{
	LEARN_PNG,
	LEARN_JPEG,
	LEARN_DICOM
} LearnImageFormat;

typedef struct LearnImageInfo
{
	LearnImageFormat format;
	size_t		width;			/* of the upright image: EXIF's orientation is applied */
	size_t		height;
	int			channels;		/* as stored: 1 grey, 2 grey and alpha, 3 colour (a palette's too), 4 colour and alpha, or CMYK */
	int			bits;			/* of a stored sample (of a palette's colours: 8; DICOM: Bits Stored) */
	int			orientation;	/* EXIF's, 1 to 8; 1: stored upright */
	bool		alpha;			/* has opacities, or one colour that is transparent */
	char		description[128];	/* in words: "PNG, 8-bit grey"; DICOM: transfer syntax, photometric interpretation, window */
} LearnImageInfo;

/* Reads the header alone, and never the pixels: their end may still be missing. */
extern bool learn_image_info(const void *bytes, size_t size, LearnImageInfo *info, LearnTrouble *trouble);
extern const char *learn_image_format_name(LearnImageFormat format);	/* "PNG", "JPEG", "DICOM" */

/* How an image is brought to a size of another aspect ratio. */
typedef enum LearnFitting
{
	LEARN_FIT_STRETCH,			/* height and width each by its own factor */
	LEARN_FIT_CROP,				/* the largest centred part that has the wanted aspect ratio */
	LEARN_FIT_PAD				/* the whole image, centred between zeros */
} LearnFitting;

typedef struct LearnImageWish
{
	size_t		height;			/* 0: as it is */
	size_t		width;			/* 0: as it is */
	int			channels;		/* 0: as it is; 1: grey; 3: colour */
	LearnFitting fitting;
	size_t		crop_height;	/* of the centred part that is kept, before anything else; 0: all */
	size_t		crop_width;
	size_t		max_pixels;		/* larger images are refused before memory is taken; 0: 64 Mi; at most 1 Gi counts */
} LearnImageWish;

/*
 * Decodes into pixels (capacity floats; too few is DEV_INVALID), values in [0, 1]. A crop larger than the image is
 * DEV_BAD_DATA. What pixels holds after a failure is undefined.
 *
 * Samples are divided by the largest that their bits can say; no gamma, no colour profile. Alpha is composed on black. Colour becomes grey
 * as .299 R + .587 G + .114 B (ITU-R BT.601; of a JPEG this is its stored Y), grey becomes colour three times over.
 *
 * PNG: all depths and kinds, interlaced too; of an animation the still image. Damaged checksums are errors.
 * JPEG: 8-bit baseline, extended and progressive, grey, YCbCr, RGB, CMYK and YCCK; 12-bit, arithmetic, lossless, hierarchical and JPEG-LS are
 * refused. EXIF's orientation is applied. CMYK becomes (1 - C)(1 - K), and so on; with Adobe's marker the stored values are
 * 1 - C, as Adobe writes them. A warning of the decoder (premature end, bad Huffman code) is an error.
 * DICOM: see learn_dicom in src/learn/dicom.h for what is read; values are rescaled (slope, intercept), windowed by the first
 * window (PS3.3 C.11.2.1.2 and .3: LINEAR, LINEAR_EXACT, SIGMOID) and, MONOCHROME1, inverted. Without a window
 * up to 8 stored bits are taken by what they can say, and more by the smallest and largest value of the image. Pixels that have the
 * padding value are 0.
 *
 * Size: an axis that shrinks is averaged over the area that each new pixel covers, exactly, parts of old pixels included; one that grows
 * is interpolated linearly between the centres of old pixels, the edge repeated. Axes are independent (first width, then height),
 * and sums run in one order on every processor.
 *
 * Memory besides the result: some rows; the whole image for interlaced PNG (up to 8 bytes a pixel) and for JPEG (up to 4, and
 * 6 more inside the decoder when progressive).
 */
extern bool learn_image_decode(const void *bytes, size_t size, const LearnImageWish *wish,
							   float *pixels, size_t capacity, LearnTrouble *trouble);

/*
 * An array of numbers, src (height, width, channels), of any range and any number of channels, through the same crop, change of channels (1 to
 * 3 and back only) and size. A NaN spreads to every pixel that it has a part in. src and dst may not overlap.
 */
extern bool learn_image_resize(const float *src, size_t height, size_t width, int channels, const LearnImageWish *wish,
							   float *dst, size_t capacity, LearnTrouble *trouble);

/*
 * PNG of 8 bits, or 16 when deep, of pixels in [0, 1], channels 1 (grey), 3 (RGB) or 4 (RGB and alpha); beyond the range is clipped, NaN is 0.
 * *bytes (*size) is malloc'd, to be freed by the caller with free(); NULL after a failure.
 */
extern bool learn_png_write(const float *pixels, size_t height, size_t width, int channels, bool deep,
							void **bytes, size_t *size, LearnTrouble *trouble);

/*
 * The colour of a heat in [-1, 1] (beyond is clipped, NaN is 0), sRGB in [0, 1]: from light grey at 0 to red at 1 and to blue at -1. Both
 * arms are straight lines of equal length in CIELAB between colours of equal lightness, so that equal differences of heat are
 * equal differences of colour (CIE 1976), and both signs weigh the same.
 */
extern void learn_heat_colour(double heat, float rgb[3]);

/*
 * heat (heat_height, heat_width) in [-1, 1] or [0, 1] over pixels (height, width, channels 1 or 3) in [0, 1]: rgb (height, width, 3) is the
 * image turned to grey, mixed with the heat's colour by the share strength * |heat|, strength in [0, 1]. Heat is brought to the
 * image's size as learn_image_resize does.
 */
extern bool learn_heat_overlay(const float *pixels, size_t height, size_t width, int channels,
							   const float *heat, size_t heat_height, size_t heat_width, float strength,
							   float *rgb, LearnTrouble *trouble);

#endif							/* IDLA_LEARN_IMAGE_H */

/*
 * image_jpeg.c: JPEG in, by TurboJPEG.
 *
 * The markers before the pixels are read here: they say the kind, which decides whether the decoder sees the bytes at all, and
 * what TurboJPEG does not tell: Adobe's marker, which turns CMYK inside out, and EXIF's orientation. A warning of the decoder
 * is taken for a failure, because what comes after it are made-up pixels.
 */
#include "image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

typedef struct JpegHeader
{
	int			frame;			/* marker of the frame, SOF0 = 0xC0 and so on; 0: none yet */
	int			precision;
	size_t		height;			/* as stored */
	size_t		width;
	int			components;
	bool		adobe;			/* CMYK is stored inverted */
	int			orientation;	/* EXIF's */
} JpegHeader;

static size_t
big_endian(const uint8_t *bytes)
{
	return (size_t) bytes[0] << 8 | bytes[1];
}

/* ---- EXIF ---- */

static uint32_t
exif_number(const uint8_t *bytes, int size, bool little)
{
	uint32_t	value = 0;

	for (int i = 0; i < size; i++)
		value = value << 8 | bytes[little ? size - 1 - i : i];
	return value;
}

/* The orientation in a segment APP1 (TIFF 6.0, tag 274), or 1: what is damaged here does not bear on the pixels. */
static int
exif_orientation(const uint8_t *bytes, size_t size)
{
	const uint8_t *tiff = bytes + 6;
	bool		little;
	size_t		directory;
	size_t		n_entries;

	if (size < 6 + 8 || memcmp(bytes, "Exif\0\0", 6) != 0)
		return 1;
	size -= 6;
	little = tiff[0] == 'I';
	if ((memcmp(tiff, "II", 2) != 0 && memcmp(tiff, "MM", 2) != 0) || exif_number(tiff + 2, 2, little) != 42)
		return 1;
	directory = exif_number(tiff + 4, 4, little);
	if (directory > size - 2)
		return 1;
	n_entries = exif_number(tiff + directory, 2, little);
	for (size_t entry = 0; entry < n_entries && size - directory - 2 >= 12 * (entry + 1); entry++)
	{
		const uint8_t *at = tiff + directory + 2 + 12 * entry;
		uint32_t	value;

		if (exif_number(at, 2, little) != 274)
			continue;
		value = exif_number(at + 8, 2, little);
		return exif_number(at + 2, 2, little) == 3 && value >= 1 && value <= 8 ? (int) value : 1;
	}
	return 1;
}

/* ---- The header ---- */

static bool
truncated(size_t size, LearnTrouble *trouble)
{
	learn_image_fail(trouble, DEV_BAD_DATA, "JPEG image is truncated");
	learn_image_detail(trouble, "Its %zu bytes end before the pixels.", size);
	return false;
}

static bool
corrupt(size_t place, const char *what, LearnTrouble *trouble)
{
	learn_image_fail(trouble, DEV_BAD_DATA, "JPEG image is corrupt");
	learn_image_detail(trouble, "At byte %zu there is %s.", place, what);
	return false;
}

/* SOF0 to SOF15 and JPEG-LS's SOF55, but for three markers that are among them and mean something else. */
static bool
is_frame(int marker)
{
	return (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC) || marker == 0xF7;
}

static const char *
frame_name(int marker)
{
	switch (marker)
	{
		case 0xC0:
			return "baseline";
		case 0xC1:
			return "extended";
		case 0xC2:
			return "progressive";
		case 0xC3:
			return "lossless";
		case 0xC9:
			return "arithmetic";
		case 0xCA:
			return "progressive arithmetic";
		case 0xCB:
			return "lossless arithmetic";
		case 0xF7:
			return "JPEG-LS";
		default:
			return "hierarchical";
	}
}

static bool
read_segment(int marker, const uint8_t *segment, size_t size, size_t place, JpegHeader *header, LearnTrouble *trouble)
{
	if (is_frame(marker))
	{
		if (header->frame != 0)
			return corrupt(place, "a second frame", trouble);
		if (size < 6)
			return corrupt(place, "a frame header that is too short", trouble);
		header->frame = marker;
		header->precision = segment[0];
		header->height = big_endian(segment + 1);
		header->width = big_endian(segment + 3);
		header->components = segment[5];
	}
	else if (marker == 0xEE && size >= 12 && memcmp(segment, "Adobe", 5) == 0)
		header->adobe = true;
	else if (marker == 0xE1 && header->orientation == 1)
		header->orientation = exif_orientation(segment, size);
	return true;
}

/* The segments from SOI to the first scan. */
static bool
read_header(const uint8_t *bytes, size_t size, JpegHeader *header, LearnTrouble *trouble)
{
	size_t		place = 2;

	memset(header, 0, sizeof(*header));
	header->orientation = 1;
	for (;;)
	{
		int			marker;
		size_t		length;

		if (place >= size)
			return truncated(size, trouble);
		if (bytes[place] != 0xFF)
			return corrupt(place, "no marker where one must be", trouble);
		while (place < size && bytes[place] == 0xFF)
			place++;
		if (place >= size)
			return truncated(size, trouble);
		marker = bytes[place++];
		if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD7))
			continue;
		if (marker == 0xDA)
			break;
		if (marker == 0x00 || marker == 0xD8 || marker == 0xD9)
			return corrupt(place - 1, marker == 0xD9 ? "the end of the image, without pixels" : "a marker that may not be there", trouble);
		if (size - place < 2)
			return truncated(size, trouble);
		length = big_endian(bytes + place);
		if (length < 2)
			return corrupt(place, "a segment of impossible length", trouble);
		if (length > size - place)
			return truncated(size, trouble);
		if (!read_segment(marker, bytes + place + 2, length - 2, place, header, trouble))
			return false;
		place += length;
	}
	return header->frame != 0 || corrupt(place, "a scan before the frame header", trouble);
}

static bool
check_header(const JpegHeader *header, LearnTrouble *trouble)
{
	if (header->frame < 0xC0 || header->frame > 0xC2 || header->precision != 8)
	{
		learn_image_fail(trouble, DEV_BAD_DATA, "JPEG image of kind \"%d-bit %s\" is not supported",
						 header->precision, frame_name(header->frame));
		learn_image_hint(trouble, "Only 8-bit baseline, extended and progressive JPEG is read. Convert the image to PNG.");
		return false;
	}
	if (header->width == 0 || header->height == 0)
		return learn_image_fail(trouble, DEV_BAD_DATA, "JPEG image declares %zu x %zu pixels", header->width, header->height);
	if (header->components != 1 && header->components != 3 && header->components != 4)
		return learn_image_fail(trouble, DEV_BAD_DATA, "JPEG image has %d components, and 1, 3 or 4 can be read", header->components);
	return true;
}

/*
 * A block of 8 x 8 pixels takes a bit at least in the scan that has its mean, and each axis is halved at most in the component that has most
 * blocks. So what declares much and holds little is refused before memory is taken for it.
 */
static bool
check_amount(size_t size, const JpegHeader *header, LearnTrouble *trouble)
{
	size_t		n_blocks = ((header->height + 7) / 8) * ((header->width + 7) / 8);

	if (n_blocks / 4 / 8 <= size)
		return true;
	learn_image_fail(trouble, DEV_BAD_DATA, "JPEG image of %zu x %zu pixels cannot be in %zu bytes", header->width, header->height, size);
	learn_image_detail(trouble, "It is truncated, or its header lies.");
	return false;
}

/* Orientations from 5 on exchange rows and columns. */
static bool
is_turned(int orientation)
{
	return orientation >= 5;
}

bool
learn_jpeg_info(const uint8_t *bytes, size_t size, LearnImageInfo *info, LearnTrouble *trouble)
{
	static const char *const colours[] = {"", "grey", "", "colour", "CMYK"};
	JpegHeader	header;
	char		turned[48] = "";

	if (!read_header(bytes, size, &header, trouble) || !check_header(&header, trouble))
		return false;
	info->format = LEARN_JPEG;
	info->width = is_turned(header.orientation) ? header.height : header.width;
	info->height = is_turned(header.orientation) ? header.width : header.height;
	info->channels = header.components;
	info->bits = 8;
	info->orientation = header.orientation;
	if (header.orientation != 1)
		snprintf(turned, sizeof(turned), ", stored with EXIF orientation %d", header.orientation);
	snprintf(info->description, sizeof(info->description), "JPEG, 8-bit %s, %s%s",
			 colours[header.components], frame_name(header.frame), turned);
	return true;
}

/* ---- Pixels ---- */

/* How to walk the stored pixels so that they come upright: pixel (row, column) is at start + row * down + column * right. */
typedef struct Walk
{
	ptrdiff_t	start;
	ptrdiff_t	down;
	ptrdiff_t	right;
} Walk;

/* EXIF 2.3, tag 274: which sides of the picture the stored row 0 and column 0 are. */
static Walk
upright(int orientation, size_t height, size_t width)
{
	ptrdiff_t	last_row = (ptrdiff_t) ((height - 1) * width);
	ptrdiff_t	last_column = (ptrdiff_t) (width - 1);
	ptrdiff_t	row = (ptrdiff_t) width;

	switch (orientation)
	{
		case 2:
			return (Walk) {last_column, row, -1};
		case 3:
			return (Walk) {last_row + last_column, -row, -1};
		case 4:
			return (Walk) {last_row, -row, 1};
		case 5:
			return (Walk) {0, 1, row};
		case 6:
			return (Walk) {last_row, 1, -row};
		case 7:
			return (Walk) {last_row + last_column, -1, -row};
		case 8:
			return (Walk) {last_column, -1, row};
		default:
			return (Walk) {0, row, 1};
	}
}

static void
fill_row(const uint8_t *src, ptrdiff_t right, size_t n, size_t channels, float *dst)
{
	if (right == 1)
	{
		for (size_t i = 0; i < n * channels; i++)
			dst[i] = (float) src[i] / 255.0f;
		return;
	}
	for (size_t i = 0; i < n; i++)
		for (size_t channel = 0; channel < channels; channel++)
			dst[i * channels + channel] = (float) src[(ptrdiff_t) i * right * (ptrdiff_t) channels + (ptrdiff_t) channel] / 255.0f;
}

/* Four samples to three; `invert` when they say how much ink there is. */
static void
fill_row_of_inks(const uint8_t *src, ptrdiff_t right, size_t n, bool invert, float *dst)
{
	unsigned	flip = invert ? 255 : 0;

	for (size_t i = 0; i < n; i++)
	{
		const uint8_t *pixel = src + (ptrdiff_t) i * right * 4;
		float		light = (float) (pixel[3] ^ flip) / 255.0f;

		for (size_t channel = 0; channel < 3; channel++)
			dst[3 * i + channel] = (float) (pixel[channel] ^ flip) / 255.0f * light;
	}
}

static void
put_rows(const JpegHeader *header, const LearnImageInfo *info, const uint8_t *samples, size_t n_samples, LearnResizer *resizer)
{
	Walk		walk = upright(header->orientation, header->height, header->width);
	float	   *room = learn_resizer_room(resizer);

	for (size_t row = 0; row < info->height; row++)
	{
		const uint8_t *src = samples + (walk.start + (ptrdiff_t) row * walk.down) * (ptrdiff_t) n_samples;

		if (n_samples == 4)
			fill_row_of_inks(src, walk.right, info->width, !header->adobe, room);
		else
			fill_row(src, walk.right, info->width, n_samples, room);
		learn_resizer_put(resizer, row, room);
	}
}

static bool
decode(const uint8_t *bytes, size_t size, const JpegHeader *header, int pixel_format, uint8_t *samples, LearnTrouble *trouble)
{
	tjhandle	handle = tjInitDecompress();
	char		said[120];
	bool		good;

	if (handle == NULL)
		return learn_image_no_memory(trouble, 0);
	/* Width and height are given, so that more than the room there is cannot be filled. */
	good = tjDecompress2(handle, bytes, (unsigned long) size, samples, (int) header->width, 0, (int) header->height,
						 pixel_format, TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS) == 0;
	if (!good)
	{
		const char *text = tjGetErrorStr2(handle);

		/* It tells this apart in words only: "Insufficient memory", "Memory allocation failure". */
		if (strstr(text, "emory") != NULL)
			learn_image_no_memory(trouble, 0);
		else
		{
			learn_image_quote(said, sizeof(said), (const uint8_t *) text, strlen(text));
			learn_image_fail(trouble, DEV_BAD_DATA, "JPEG image is truncated or corrupt");
			learn_image_detail(trouble, "Of its %zu bytes libjpeg-turbo says: %s.", size, said);
		}
	}
	tjDestroy(handle);
	return good;
}

bool
learn_jpeg_read(const uint8_t *bytes, size_t size, const LearnImageInfo *info, int channels,
				LearnResizer *resizer, LearnTrouble *trouble)
{
	JpegHeader	header;
	size_t		n_samples;
	size_t		room;
	uint8_t    *samples;
	bool		good;

	if (!read_header(bytes, size, &header, trouble) || !check_amount(size, &header, trouble))
		return false;
	n_samples = header.components == 4 ? 4 : (size_t) channels;
	room = header.height * header.width * n_samples;
	samples = malloc(room);
	if (samples == NULL)
		return learn_image_no_memory(trouble, room);
	good = decode(bytes, size, &header, n_samples == 4 ? TJPF_CMYK : n_samples == 3 ? TJPF_RGB : TJPF_GRAY, samples, trouble);
	if (good)
		put_rows(&header, info, samples, n_samples, resizer);
	free(samples);
	return good;
}

/*
 * image.c: the door of the image readers.
 *
 * Looks at the first bytes, checks what the header declares against the limits, and only then takes
 * memory and lets the format's reader put rows into a resizer. Failures go into the caller's LearnTrouble.
 */
#include "dicom.h"
#include "image.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_PIXELS ((size_t) 64 << 20)
#define MOST_PIXELS ((size_t) 1 << 30)

/* ---- Failures ---- */

static void
clear_trouble(LearnTrouble *trouble)
{
	trouble->status = DEV_OK;
	trouble->message[0] = '\0';
	trouble->detail[0] = '\0';
	trouble->hint[0] = '\0';
}

bool
learn_image_fail(LearnTrouble *trouble, DevStatus status, const char *format,...)
{
	va_list		args;

	clear_trouble(trouble);
	trouble->status = status;
	va_start(args, format);
	vsnprintf(trouble->message, sizeof(trouble->message), format, args);
	va_end(args);
	return false;
}

void
learn_image_detail(LearnTrouble *trouble, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	vsnprintf(trouble->detail, sizeof(trouble->detail), format, args);
	va_end(args);
}

void
learn_image_hint(LearnTrouble *trouble, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	vsnprintf(trouble->hint, sizeof(trouble->hint), format, args);
	va_end(args);
}

bool
learn_image_no_memory(LearnTrouble *trouble, size_t size)
{
	learn_image_fail(trouble, DEV_NO_MEMORY, "out of memory for an image");
	if (size > 0)
		learn_image_detail(trouble, "%zu bytes were asked for.", size);
	return false;
}

void
learn_image_quote(char *text, size_t capacity, const uint8_t *bytes, size_t size)
{
	size_t		n = size < capacity - 1 ? size : capacity - 1;

	for (size_t i = 0; i < n; i++)
		text[i] = (char) (bytes[i] >= ' ' && bytes[i] <= '~' && bytes[i] != '"' ? bytes[i] : '?');
	text[n] = '\0';
}

/* ---- What the bytes are ---- */

static bool
starts_with(const uint8_t *bytes, size_t size, const char *start, size_t length)
{
	return size >= length && memcmp(bytes, start, length) == 0;
}

/* A hint on a format that is known and not read; NULL: none. */
static const char *
other_format(const uint8_t *bytes, size_t size)
{
	static const struct
	{
		const char *start;
		size_t		length;
		const char *hint;
	}			others[] = {
		{"GIF8", 4, "This looks like GIF. Convert the image to PNG first."},
		{"BM", 2, "This looks like BMP. Convert the image to PNG first."},
		{"II*\0", 4, "This looks like TIFF. Convert the image to PNG first."},
		{"MM\0*", 4, "This looks like TIFF. Convert the image to PNG first."},
		{"\0\0\0\014jP  ", 8, "This looks like JPEG 2000. Convert the image to PNG first."},
		{"\377O\377Q", 4, "This looks like JPEG 2000. Convert the image to PNG first."},
		{"\0\0\0\014JXL ", 8, "This looks like JPEG XL. Convert the image to PNG first."},
		{"%PDF", 4, "This looks like PDF. Convert the image to PNG first."},
		{"\\x", 2, "This looks like hexadecimal text. Decode it to bytes first."},
		{"iVBORw0KGgo", 11, "This looks like base64 text. Decode it to bytes first."},
		{"/9j/", 4, "This looks like base64 text. Decode it to bytes first."},
		{"\037\213", 2, "This looks like gzip. Decompress it first."},
		{"PK\003\004", 4, "This looks like ZIP. Decompress it first."},
	};

	if (starts_with(bytes, size, "RIFF", 4) && size >= 12 && memcmp(bytes + 8, "WEBP", 4) == 0)
		return "This looks like WebP. Convert the image to PNG first.";
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
	{
		if (starts_with(bytes, size, others[i].start, others[i].length))
			return others[i].hint;
	}
	return NULL;
}

static bool
refuse_unknown(const uint8_t *bytes, size_t size, LearnTrouble *trouble)
{
	const char *other = other_format(bytes, size);
	char		start[3 * 8 + 1] = "";

	if (size == 0)
		return learn_image_fail(trouble, DEV_BAD_DATA, "image has no bytes");
	for (size_t i = 0; i < size && i < 8; i++)
		snprintf(start + 3 * i, sizeof(start) - 3 * i, "%02x ", bytes[i]);
	start[strlen(start) - 1] = '\0';
	learn_image_fail(trouble, DEV_BAD_DATA, "bytes are not an image in PNG, JPEG or DICOM format");
	learn_image_detail(trouble, "There are %zu bytes, and they begin with %s.", size, start);
	if (other != NULL)
		learn_image_hint(trouble, "%s", other);
	return false;
}

static bool
read_info(const uint8_t *bytes, size_t size, LearnImageInfo *info, LearnTrouble *trouble)
{
	memset(info, 0, sizeof(*info));
	info->orientation = 1;
	if (starts_with(bytes, size, "\211PNG\r\n\032\n", 8))
		return learn_png_info(bytes, size, info, trouble);
	if (starts_with(bytes, size, "\377\330\377", 3))
		return learn_jpeg_info(bytes, size, info, trouble);
	if (learn_is_dicom(bytes, size))
		return learn_dicom_info(bytes, size, info, trouble);
	return refuse_unknown(bytes, size, trouble);
}

bool
learn_image_info(const void *bytes, size_t size, LearnImageInfo *info, LearnTrouble *trouble)
{
	clear_trouble(trouble);
	return read_info(bytes, size, info, trouble);
}

const char *
learn_image_format_name(LearnImageFormat format)
{
	switch (format)
	{
		case LEARN_PNG:
			return "PNG";
		case LEARN_JPEG:
			return "JPEG";
		case LEARN_DICOM:
			break;
	}
	return "DICOM";
}

/* ---- From bytes to pixels ---- */

static bool
check_pixels(size_t height, size_t width, const LearnImageWish *wish, LearnTrouble *trouble)
{
	size_t		most = wish->max_pixels == 0 ? DEFAULT_PIXELS : wish->max_pixels;

	most = most < MOST_PIXELS ? most : MOST_PIXELS;
	if (height == 0 || width == 0)
		return learn_image_fail(trouble, DEV_BAD_DATA, "image of %zu x %zu pixels is empty", width, height);
	if (height <= most / width)
		return true;
	learn_image_fail(trouble, DEV_BAD_DATA, "image of %zu x %zu pixels (width x height) is too large", width, height);
	learn_image_detail(trouble, "At most %zu pixels are decoded.", most);
	return false;
}

/* The channels of the rows that the format's reader puts. */
static int
channels_put(const LearnImageInfo *info, const LearnImageWish *wish)
{
	if (info->format == LEARN_JPEG && info->channels == 3 && wish->channels == 1)
		return 1;
	return info->channels >= 3 ? 3 : 1;
}

bool
learn_image_plan(const uint8_t *bytes, size_t size, const LearnImageWish *wish, LearnImageInfo *info, LearnFrame *frame, LearnTrouble *trouble)
{
	clear_trouble(trouble);
	return read_info(bytes, size, info, trouble) && check_pixels(info->height, info->width, wish, trouble) &&
		learn_frame(info->height, info->width, channels_put(info, wish), wish, frame, trouble);
}

static bool
check_capacity(const LearnFrame *frame, size_t capacity, LearnTrouble *trouble)
{
	size_t		needed = frame->dst_height * frame->dst_width * (size_t) frame->dst_channels;

	if (needed <= capacity)
		return true;
	return learn_image_fail(trouble, DEV_INVALID, "image needs room for %zu values, and there is room for %zu", needed, capacity);
}

static bool
read_pixels(const uint8_t *bytes, size_t size, const LearnImageInfo *info, const LearnFrame *frame,
			LearnResizer *resizer, LearnTrouble *trouble)
{
	switch (info->format)
	{
		case LEARN_PNG:
			return learn_png_read(bytes, size, info, resizer, trouble);
		case LEARN_JPEG:
			return learn_jpeg_read(bytes, size, info, frame->src_channels, resizer, trouble);
		case LEARN_DICOM:
			break;
	}
	return learn_dicom_read(bytes, size, resizer, trouble);
}

bool
learn_image_decode(const void *bytes, size_t size, const LearnImageWish *wish,
				   float *pixels, size_t capacity, LearnTrouble *trouble)
{
	LearnImageInfo info;
	LearnFrame	frame;
	LearnResizer *resizer;
	size_t		n;
	bool		good;

	if (!learn_image_plan(bytes, size, wish, &info, &frame, trouble) || !check_capacity(&frame, capacity, trouble) ||
		!learn_resizer_open(&frame, pixels, &resizer, trouble))
		return false;
	good = read_pixels(bytes, size, &info, &frame, resizer, trouble);
	learn_resizer_close(resizer);
	/* Weights that add up to one may do so but for a rounding. */
	n = frame.dst_height * frame.dst_width * (size_t) frame.dst_channels;
	for (size_t i = 0; good && i < n; i++)
		pixels[i] = learn_clip(pixels[i]);
	return good;
}

bool
learn_image_resize(const float *src, size_t height, size_t width, int channels, const LearnImageWish *wish,
				   float *dst, size_t capacity, LearnTrouble *trouble)
{
	LearnFrame	frame;
	LearnResizer *resizer;

	clear_trouble(trouble);
	if (!check_pixels(height, width, wish, trouble) || !learn_frame(height, width, channels, wish, &frame, trouble) ||
		!check_capacity(&frame, capacity, trouble) || !learn_resizer_open(&frame, dst, &resizer, trouble))
		return false;
	for (size_t row = 0; row < height; row++)
		learn_resizer_put(resizer, row, src + row * width * (size_t) channels);
	learn_resizer_close(resizer);
	return true;
}

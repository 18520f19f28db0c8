/*
 * image_png.c: PNG in and out, by libpng.
 *
 * The header is read here, without libpng: what it declares decides whether libpng sees the bytes at all. libpng is told to
 * skip every chunk that does not bear on the pixels, so that no text or profile is ever inflated. Its longjmp ends in the
 * function of this file that called it.
 */
#include "image.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIGNATURE 8
#define MOST_PIXELS_WRITTEN ((size_t) 64 << 20)

enum
{
	GREY = 0,
	COLOUR = 2,
	PALETTE = 3,
	GREY_ALPHA = 4,
	COLOUR_ALPHA = 6
};

/* ---- The header ---- */

static uint32_t
big_endian(const uint8_t *bytes)
{
	return (uint32_t) bytes[0] << 24 | (uint32_t) bytes[1] << 16 | (uint32_t) bytes[2] << 8 | bytes[3];
}

/* CRC-32 as of PNG's specification, annex D; of some bytes, so bit by bit. */
static uint32_t
checksum(const uint8_t *bytes, size_t size)
{
	uint32_t	crc = 0xFFFFFFFFu;

	for (size_t i = 0; i < size; i++)
	{
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc & 1) != 0 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
	}
	return ~crc;
}

static bool
truncated(size_t size, const char *where, LearnTrouble *trouble)
{
	learn_image_fail(trouble, DEV_BAD_DATA, "PNG image is truncated");
	learn_image_detail(trouble, "Its %zu bytes end %s.", size, where);
	return false;
}

static bool
corrupt(LearnTrouble *trouble, const char *what)
{
	learn_image_fail(trouble, DEV_BAD_DATA, "PNG image is corrupt");
	learn_image_detail(trouble, "%s.", what);
	return false;
}

/* Bits of a sample that the kind allows: all kinds 8; grey 1, 2, 4, 16; palette 1, 2, 4; others 16. */
static bool
known_kind(int kind, int depth)
{
	switch (kind)
	{
		case GREY:
			return depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
		case PALETTE:
			return depth == 1 || depth == 2 || depth == 4 || depth == 8;
		case COLOUR:
		case GREY_ALPHA:
		case COLOUR_ALPHA:
			return depth == 8 || depth == 16;
		default:
			return false;
	}
}

static int
samples_of(int kind)
{
	switch (kind)
	{
		case GREY_ALPHA:
			return 2;
		case COLOUR:
			return 3;
		case COLOUR_ALPHA:
			return 4;
		default:
			return 1;
	}
}

/* What deflate can make of `size` bytes at most is 1032 times as much: a lower bound of what must be there. */
static bool
check_amount(size_t size, size_t width, size_t height, int kind, int depth, LearnTrouble *trouble)
{
	size_t		row = (width * (size_t) (samples_of(kind) * depth) + 7) / 8;

	if (row / 1032 <= size / height)
		return true;
	learn_image_fail(trouble, DEV_BAD_DATA, "PNG image of %zu x %zu pixels cannot be in %zu bytes", width, height, size);
	learn_image_detail(trouble, "It is truncated, or its header lies.");
	return false;
}

typedef struct PngHeader
{
	size_t		width;
	size_t		height;
	int			depth;
	int			kind;
	bool		interlaced;
	bool		transparent;	/* has a chunk tRNS */
	size_t		colours;		/* of the palette */
} PngHeader;

static bool
read_first_chunk(const uint8_t *bytes, size_t size, PngHeader *header, LearnTrouble *trouble)
{
	const uint8_t *chunk = bytes + SIGNATURE;

	if (size < SIGNATURE + 25)
		return truncated(size, "within the header", trouble);
	if (big_endian(chunk) != 13 || memcmp(chunk + 4, "IHDR", 4) != 0)
		return corrupt(trouble, "It does not begin with the chunk IHDR");
	if (checksum(chunk + 4, 17) != big_endian(chunk + 21))
		return corrupt(trouble, "The checksum of its header (chunk IHDR) is wrong");
	header->width = big_endian(chunk + 8);
	header->height = big_endian(chunk + 12);
	header->depth = chunk[16];
	header->kind = chunk[17];
	header->interlaced = chunk[20] == 1;
	if (header->width == 0 || header->height == 0 || header->width > INT32_MAX || header->height > INT32_MAX)
	{
		learn_image_fail(trouble, DEV_BAD_DATA, "PNG image declares %zu x %zu pixels", header->width, header->height);
		return false;
	}
	if (!known_kind(header->kind, header->depth))
		return learn_image_fail(trouble, DEV_BAD_DATA, "PNG image has the unknown colour type %d with %d bits", header->kind, header->depth);
	if (chunk[18] != 0 || chunk[19] != 0 || chunk[20] > 1)
		return learn_image_fail(trouble, DEV_BAD_DATA, "PNG image has an unknown compression, filter or interlacing (%d, %d, %d)",
								chunk[18], chunk[19], chunk[20]);
	return true;
}

/* The chunks before the pixels. */
static bool
read_header(const uint8_t *bytes, size_t size, PngHeader *header, LearnTrouble *trouble)
{
	size_t		place = SIGNATURE + 25;

	memset(header, 0, sizeof(*header));
	if (!read_first_chunk(bytes, size, header, trouble))
		return false;
	for (;;)
	{
		size_t		length;

		if (size - place < 8)
			return truncated(size, "before the pixels", trouble);
		length = big_endian(bytes + place);
		if (memcmp(bytes + place + 4, "IDAT", 4) == 0)
			break;
		if (memcmp(bytes + place + 4, "IEND", 4) == 0)
			return corrupt(trouble, "It has no pixels (chunk IDAT)");
		if (memcmp(bytes + place + 4, "PLTE", 4) == 0)
			header->colours = length / 3;
		if (memcmp(bytes + place + 4, "tRNS", 4) == 0)
			header->transparent = true;
		if (size - place < 12 || length > size - place - 12)
			return truncated(size, "before the pixels", trouble);
		place += 12 + length;
	}
	if (header->kind == PALETTE && header->colours == 0)
		return corrupt(trouble, "It has no palette (chunk PLTE)");
	return true;
}

bool
learn_png_info(const uint8_t *bytes, size_t size, LearnImageInfo *info, LearnTrouble *trouble)
{
	static const char *const kinds[] = {"grey", NULL, "colour", NULL, "grey with alpha", NULL, "colour with alpha"};
	PngHeader	header;
	char		kind[64];

	if (!read_header(bytes, size, &header, trouble))
		return false;
	info->format = LEARN_PNG;
	info->width = header.width;
	info->height = header.height;
	info->channels = header.kind == PALETTE ? 3 : samples_of(header.kind);
	info->bits = header.kind == PALETTE ? 8 : header.depth;
	info->alpha = header.transparent || header.kind == GREY_ALPHA || header.kind == COLOUR_ALPHA;
	if (header.kind == PALETTE)
		snprintf(kind, sizeof(kind), "palette of %zu colours", header.colours);
	else
		snprintf(kind, sizeof(kind), "%s", kinds[header.kind]);
	snprintf(info->description, sizeof(info->description), "PNG, %d-bit %s%s%s", header.depth, kind,
			 header.transparent ? ", with transparency" : "", header.interlaced ? ", interlaced" : "");
	return true;
}

/* ---- Pixels in ---- */

typedef struct PngReader
{
	png_structp png;
	png_infop	info;
	const uint8_t *bytes;
	size_t		size;
	size_t		place;			/* of the next byte */
	size_t		row;			/* now being read */
	bool		ended;			/* libpng asked for more bytes than there are */
	bool		no_memory;		/* libpng could not have what it asked for */
	char		said[100];		/* by libpng, when it failed */
	size_t		height;
	size_t		width;
	bool		interlaced;
	uint8_t    *samples;		/* one row; all rows when interlaced */
	size_t		row_bytes;
	int			n_samples;		/* of a pixel, alpha included */
	int			depth;			/* 8 or 16 */
	LearnResizer *resizer;
} PngReader;

static void
lend_bytes(png_structp png, png_bytep target, size_t n)
{
	PngReader  *reader = png_get_io_ptr(png);

	if (n > reader->size - reader->place)
	{
		reader->ended = true;
		png_error(png, "the bytes end");
	}
	memcpy(target, reader->bytes + reader->place, n);
	reader->place += n;
}

static void
note_error(png_structp png, png_const_charp message)
{
	char	   *said = png_get_error_ptr(png);

	learn_image_quote(said, sizeof(((PngReader *) NULL)->said), (const uint8_t *) message, strlen(message));
	png_longjmp(png, 1);
}

/* libpng's own, but that a failure is known for what it is. */
static png_voidp
lend_memory(png_structp png, png_alloc_size_t size)
{
	bool	   *no_memory = png_get_mem_ptr(png);
	void	   *block = malloc(size);

	*no_memory = *no_memory || block == NULL;
	return block;
}

static void
take_memory_back(png_structp png, png_voidp block)
{
	(void) png;
	free(block);
}

/* libpng warns of what does not bear on the pixels. */
static void
ignore_warning(png_structp png, png_const_charp message)
{
	(void) png;
	(void) message;
}

static void
set_up(PngReader *reader)
{
	png_structp png = reader->png;

	png_set_read_fn(png, reader, lend_bytes);
	/* The limits were checked before; libpng's own of a million a side would refuse long strips. */
	png_set_user_limits(png, 0x7FFFFFFF, 0x7FFFFFFF);
	png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
	png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
	png_read_info(png, reader->info);
	png_set_expand(png);		/* palette to colours, few bits to 8, tRNS to alpha */
	if (reader->interlaced)
		png_set_interlace_handling(png);
	png_read_update_info(png, reader->info);
	reader->row_bytes = png_get_rowbytes(png, reader->info);
	reader->n_samples = png_get_channels(png, reader->info);
	reader->depth = png_get_bit_depth(png, reader->info);
}

/* One pixel of 1 to 4 samples in [0, 1] -> 1 or 3 with alpha on black. */
static void
compose(const float *src, int n_samples, float *dst)
{
	int			channels = n_samples >= 3 ? 3 : 1;

	for (int channel = 0; channel < channels; channel++)
		dst[channel] = src[channel] * src[channels];
}

static void
put_row(PngReader *reader, size_t row, const uint8_t *samples)
{
	float	   *room = learn_resizer_room(reader->resizer);
	size_t		n_samples = (size_t) reader->n_samples;
	size_t		channels = n_samples >= 3 ? 3 : 1;

	if (n_samples == channels && reader->depth == 8)
		for (size_t i = 0; i < reader->width * channels; i++)
			room[i] = (float) samples[i] / 255.0f;
	else if (n_samples == channels)
		for (size_t i = 0; i < reader->width * channels; i++)
			room[i] = (float) (samples[2 * i] << 8 | samples[2 * i + 1]) / 65535.0f;
	else
		for (size_t i = 0; i < reader->width; i++)
		{
			float		pixel[4];

			for (size_t k = 0; k < n_samples; k++)
			{
				size_t		at = i * n_samples + k;

				pixel[k] = reader->depth == 8 ? (float) samples[at] / 255.0f :
					(float) (samples[2 * at] << 8 | samples[2 * at + 1]) / 65535.0f;
			}
			compose(pixel, reader->n_samples, room + i * channels);
		}
	learn_resizer_put(reader->resizer, row, room);
}

/* The two parts between which memory is taken; false after libpng's longjmp. */
static bool
read_start(PngReader *reader)
{
	if (setjmp(png_jmpbuf(reader->png)) != 0)
		return false;
	set_up(reader);
	return true;
}

static bool
read_rows(PngReader *reader)
{
	if (setjmp(png_jmpbuf(reader->png)) != 0)
		return false;
	for (int pass = 0; pass < (reader->interlaced ? PNG_INTERLACE_ADAM7_PASSES : 1); pass++)
		for (reader->row = 0; reader->row < reader->height; reader->row++)
		{
			png_read_row(reader->png, reader->samples + (reader->interlaced ? reader->row * reader->row_bytes : 0), NULL);
			if (!reader->interlaced)
				put_row(reader, reader->row, reader->samples);
		}
	png_read_end(reader->png, NULL);
	return true;
}

static bool
report(const PngReader *reader, LearnTrouble *trouble)
{
	char		where[64];

	if (reader->no_memory)
		return learn_image_no_memory(trouble, 0);
	if (reader->ended)
	{
		if (reader->row < reader->height)
			snprintf(where, sizeof(where), "in row %zu of %zu", reader->row, reader->height);
		else
			snprintf(where, sizeof(where), "before the chunk IEND");
		return truncated(reader->size, where, trouble);
	}
	learn_image_fail(trouble, DEV_BAD_DATA, "PNG image is corrupt");
	learn_image_detail(trouble, "Near byte %zu of %zu, in row %zu of %zu, libpng says: %s.",
					   reader->place, reader->size, reader->row, reader->height, reader->said);
	return false;
}

static bool
read_all(PngReader *reader, LearnTrouble *trouble)
{
	size_t		size;

	if (!read_start(reader))
		return report(reader, trouble);
	size = reader->row_bytes * (reader->interlaced ? reader->height : 1);
	reader->samples = malloc(size);
	if (reader->samples == NULL)
		return learn_image_no_memory(trouble, size);
	if (!read_rows(reader))
		return report(reader, trouble);
	for (size_t row = 0; reader->interlaced && row < reader->height; row++)
		put_row(reader, row, reader->samples + row * reader->row_bytes);
	return true;
}

bool
learn_png_read(const uint8_t *bytes, size_t size, const LearnImageInfo *info, LearnResizer *resizer, LearnTrouble *trouble)
{
	PngReader	reader = {0};
	PngHeader	header;
	bool		good = false;

	if (!read_header(bytes, size, &header, trouble) ||
		!check_amount(size, header.width, header.height, header.kind, header.depth, trouble))
		return false;
	reader.bytes = bytes;
	reader.size = size;
	reader.resizer = resizer;
	reader.height = info->height;
	reader.width = info->width;
	reader.interlaced = header.interlaced;
	reader.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, reader.said, note_error, ignore_warning,
										  &reader.no_memory, lend_memory, take_memory_back);
	reader.info = reader.png == NULL ? NULL : png_create_info_struct(reader.png);
	if (reader.info == NULL)
		learn_image_no_memory(trouble, 0);
	else
		good = read_all(&reader, trouble);
	free(reader.samples);
	png_destroy_read_struct(&reader.png, &reader.info, NULL);
	return good;
}

/* ---- Pixels out ---- */

typedef struct PngWriter
{
	png_structp png;
	png_infop	info;
	char		said[100];
	uint8_t    *bytes;
	size_t		size;
	size_t		capacity;
	bool		no_memory;
	uint8_t    *row;
	const float *pixels;
	size_t		height;
	size_t		width;
	int			channels;
	bool		deep;			/* sixteen bits */
} PngWriter;

static void
keep_bytes(png_structp png, png_bytep source, size_t n)
{
	PngWriter  *writer = png_get_io_ptr(png);

	if (n > writer->capacity - writer->size)
	{
		size_t		capacity = 2 * writer->capacity + n + 4096;
		uint8_t    *grown = realloc(writer->bytes, capacity);

		if (grown == NULL)
		{
			writer->no_memory = true;
			png_error(png, "no memory");
		}
		writer->bytes = grown;
		writer->capacity = capacity;
	}
	memcpy(writer->bytes + writer->size, source, n);
	writer->size += n;
}

static void
nothing_to_flush(png_structp png)
{
	(void) png;
}

static bool
write_rows(PngWriter *writer)
{
	static const int kinds[] = {0, PNG_COLOR_TYPE_GRAY, 0, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};
	size_t		n = writer->width * (size_t) writer->channels;

	if (setjmp(png_jmpbuf(writer->png)) != 0)
		return false;
	png_set_write_fn(writer->png, writer, keep_bytes, nothing_to_flush);
	png_set_user_limits(writer->png, 0x7FFFFFFF, 0x7FFFFFFF);
	png_set_IHDR(writer->png, writer->info, (png_uint_32) writer->width, (png_uint_32) writer->height, writer->deep ? 16 : 8,
				 kinds[writer->channels], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	png_write_info(writer->png, writer->info);
	for (size_t row = 0; row < writer->height; row++)
	{
		const float *src = writer->pixels + row * n;

		for (size_t i = 0; i < n && !writer->deep; i++)
			writer->row[i] = (uint8_t) (learn_clip(src[i]) * 255.0f + 0.5f);
		for (size_t i = 0; i < n && writer->deep; i++)
		{
			unsigned	value = (unsigned) (learn_clip(src[i]) * 65535.0f + 0.5f);

			writer->row[2 * i] = (uint8_t) (value >> 8);
			writer->row[2 * i + 1] = (uint8_t) value;
		}
		png_write_row(writer->png, writer->row);
	}
	png_write_end(writer->png, NULL);
	return true;
}

static bool
write_all(PngWriter *writer, LearnTrouble *trouble)
{
	size_t		n = writer->width * (size_t) writer->channels;

	writer->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, writer->said, note_error, ignore_warning,
											&writer->no_memory, lend_memory, take_memory_back);
	writer->info = writer->png == NULL ? NULL : png_create_info_struct(writer->png);
	writer->row = malloc(2 * n);
	if (writer->info == NULL || writer->row == NULL)
		return learn_image_no_memory(trouble, n);
	if (write_rows(writer))
		return true;
	if (writer->no_memory)
		return learn_image_no_memory(trouble, 0);
	learn_image_fail(trouble, DEV_INVALID, "image cannot be written as PNG");
	learn_image_detail(trouble, "libpng says: %s.", writer->said);
	return false;
}

bool
learn_png_write(const float *pixels, size_t height, size_t width, int channels, bool deep,
				void **bytes, size_t *size, LearnTrouble *trouble)
{
	PngWriter	writer = {0};
	bool		good;

	memset(trouble, 0, sizeof(*trouble));
	*bytes = NULL;
	*size = 0;
	if (channels != 1 && channels != 3 && channels != 4)
		return learn_image_fail(trouble, DEV_INVALID, "PNG image cannot be written with %d channels", channels);
	if (height == 0 || width == 0 || height > MOST_PIXELS_WRITTEN / width)
		return learn_image_fail(trouble, DEV_INVALID, "PNG image of %zu x %zu pixels cannot be written", width, height);
	writer.pixels = pixels;
	writer.height = height;
	writer.width = width;
	writer.channels = channels;
	writer.deep = deep;
	good = write_all(&writer, trouble);
	png_destroy_write_struct(&writer.png, &writer.info);
	free(writer.row);
	if (!good)
	{
		free(writer.bytes);
		return false;
	}
	*bytes = writer.bytes;
	*size = writer.size;
	return true;
}

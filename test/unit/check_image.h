/*
 * check_image.h: images made for tests: PNG by libpng, JPEG by TurboJPEG, DICOM element by element.
 *
 * They lie in memory of exactly their size, so that a reader that goes past the end is caught by the address sanitizer.
 */
#ifndef IDLA_TEST_CHECK_IMAGE_H
#define IDLA_TEST_CHECK_IMAGE_H

#include "check.h"

#include <png.h>
#include <turbojpeg.h>

#include "learn/image.h"

typedef struct Made
{
	uint8_t    *bytes;
	size_t		size;
} Made;

static inline void
made_add(Made *made, const void *bytes, size_t size)
{
	uint8_t    *grown = malloc(made->size + size);

	if (grown == NULL)
		exit(EXIT_FAILURE);
	if (made->size > 0)
		memcpy(grown, made->bytes, made->size);
	if (size > 0)
		memcpy(grown + made->size, bytes, size);
	free(made->bytes);
	made->bytes = grown;
	made->size += size;
}

static inline void
made_free(Made *made)
{
	free(made->bytes);
	memset(made, 0, sizeof(*made));
}

/* The first `size` bytes of another. */
static inline Made
made_part(const Made *made, size_t size)
{
	Made		part = {0};

	made_add(&part, made->bytes, size);
	return part;
}

/* ---- PNG ---- */

typedef struct MadePng
{
	size_t		width;
	size_t		height;
	int			depth;
	int			kind;			/* PNG_COLOR_TYPE_* */
	bool		interlaced;
	int			n_colours;		/* of the palette */
	const png_color *palette;
	int			n_opacities;	/* of the palette's first colours */
	const png_byte *opacities;
	const png_color_16 *transparent;	/* grey and colour */
} MadePng;

static inline void
made_png_write(png_structp png, png_bytep bytes, size_t size)
{
	made_add(png_get_io_ptr(png), bytes, size);
}

static inline void
made_png_flush(png_structp png)
{
	(void) png;
}

static inline int
made_png_samples(int kind)
{
	return kind == PNG_COLOR_TYPE_RGB_ALPHA ? 4 : kind == PNG_COLOR_TYPE_RGB ? 3 : kind == PNG_COLOR_TYPE_GRAY_ALPHA ? 2 : 1;
}

/* samples (height, width, samples of the kind), each of the depth */
static inline Made
make_png(const MadePng *how, const uint16_t *samples)
{
	png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
	png_infop	info = png_create_info_struct(png);
	size_t		n = how->width * (size_t) made_png_samples(how->kind);
	uint8_t    *row = malloc(n * 2);
	Made		made = {0};
	int			passes;

	if (png == NULL || info == NULL || row == NULL || setjmp(png_jmpbuf(png)) != 0)
		exit(EXIT_FAILURE);
	png_set_write_fn(png, &made, made_png_write, made_png_flush);
	png_set_IHDR(png, info, (png_uint_32) how->width, (png_uint_32) how->height, how->depth, how->kind,
				 how->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	if (how->palette != NULL)
		png_set_PLTE(png, info, how->palette, how->n_colours);
	if (how->opacities != NULL || how->transparent != NULL)
		png_set_tRNS(png, info, how->opacities, how->n_opacities, how->transparent);
	png_write_info(png, info);
	if (how->depth < 8)
		png_set_packing(png);
	passes = png_set_interlace_handling(png);
	for (int pass = 0; pass < passes; pass++)
		for (size_t y = 0; y < how->height; y++)
		{
			for (size_t i = 0; i < n; i++)
			{
				uint16_t	sample = samples[y * n + i];

				if (how->depth == 16)
				{
					row[2 * i] = (uint8_t) (sample >> 8);
					row[2 * i + 1] = (uint8_t) sample;
				}
				else
					row[i] = (uint8_t) sample;
			}
			png_write_row(png, row);
		}
	png_write_end(png, info);
	png_destroy_write_struct(&png, &info);
	free(row);
	return made;
}

/* ---- JPEG ---- */

/* pixels (height, width, 1, 3 or 4) */
static inline Made
make_jpeg(const uint8_t *pixels, size_t height, size_t width, int channels, int subsampling, int flags)
{
	tjhandle	handle = tjInitCompress();
	unsigned char *bytes = NULL;
	unsigned long size = 0;
	Made		made = {0};
	int			format = channels == 1 ? TJPF_GRAY : channels == 3 ? TJPF_RGB : TJPF_CMYK;

	if (handle == NULL || tjCompress2(handle, pixels, (int) width, 0, (int) height, format, &bytes, &size, subsampling, 95, flags) != 0)
		exit(EXIT_FAILURE);
	made_add(&made, bytes, size);
	tjFree(bytes);
	tjDestroy(handle);
	return made;
}

/* Another with `size` bytes put in at `place`. */
static inline Made
made_with(const Made *made, size_t place, const void *bytes, size_t size)
{
	Made		with = made_part(made, place);

	made_add(&with, bytes, size);
	made_add(&with, made->bytes + place, made->size - place);
	return with;
}

/* ---- Reading, as a caller does ---- */

typedef struct Seen
{
	bool		good;
	size_t		height;
	size_t		width;
	int			channels;
	int			bits;
	float	   *pixels;			/* NULL unless good */
	LearnTrouble trouble;
} Seen;

static inline Seen
see(const Made *made, const LearnImageWish *wish)
{
	static const LearnImageWish as_it_is = {0};
	Seen		seen = {0};
	LearnImageInfo info;
	LearnFrame	frame;

	wish = wish == NULL ? &as_it_is : wish;
	if (learn_image_plan(made->bytes, made->size, wish, &info, &frame, &seen.trouble))
	{
		size_t		n = frame.dst_height * frame.dst_width * (size_t) frame.dst_channels;

		seen.height = frame.dst_height;
		seen.width = frame.dst_width;
		seen.channels = frame.dst_channels;
		seen.bits = info.bits;
		seen.pixels = malloc(n * sizeof(float));
		if (seen.pixels == NULL)
			exit(EXIT_FAILURE);
		seen.good = learn_image_decode(made->bytes, made->size, wish, seen.pixels, n, &seen.trouble);
	}
	if (!seen.good)
	{
		free(seen.pixels);
		seen.pixels = NULL;
	}
	return seen;
}

static inline void
seen_free(Seen *seen)
{
	free(seen->pixels);
	seen->pixels = NULL;
}

/* Refused with this status, and these words in message or detail. */
#define CHECK_REFUSED(made, wish, expected, words, ...) \
	do { \
		Seen		check_seen = see(made, wish); \
		if (!CHECK(!check_seen.good && check_seen.trouble.status == (expected) && \
				   (strstr(check_seen.trouble.message, words) != NULL || strstr(check_seen.trouble.detail, words) != NULL), __VA_ARGS__)) \
			printf("#   status %d, \"%s\", \"%s\"\n", (int) check_seen.trouble.status, check_seen.trouble.message, \
				   check_seen.trouble.detail); \
		seen_free(&check_seen); \
	} while (0)

#endif							/* IDLA_TEST_CHECK_IMAGE_H */

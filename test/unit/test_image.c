/*
 * test_image.c: PNG and JPEG against the samples they were made of, PNG written and read again, and
 * everything that must be refused: truncated, corrupt, mislabelled and gigantic bytes.
 */
#include "check_image.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum
{
	WIDTH = 19,
	HEIGHT = 11
};

static uint16_t
noise(size_t i, unsigned bits)
{
	uint32_t	draw[4];

	dev_random_bits(1, 2, i, draw);
	return (uint16_t) (draw[0] & ((1u << bits) - 1));
}

/* Whether every pixel is what it should be, to `tolerance`; says the first that is not. */
static bool
same_pixels(const Seen *seen, const float *expected, float tolerance)
{
	if (!seen->good)
	{
		printf("#   \"%s\", \"%s\"\n", seen->trouble.message, seen->trouble.detail);
		return false;
	}
	for (size_t i = 0; i < seen->height * seen->width * (size_t) seen->channels; i++)
		if (!(fabsf(seen->pixels[i] - expected[i]) <= tolerance))
		{
			printf("#   value %zu is %g, not %g\n", i, seen->pixels[i], expected[i]);
			return false;
		}
	return true;
}

/* ---- PNG ---- */

static const png_color palette[16] = {
	{0, 0, 0}, {255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {10, 20, 30}, {200, 100, 50}, {1, 2, 3}, {255, 255, 255},
	{9, 8, 7}, {90, 80, 70}, {17, 34, 51}, {250, 240, 230}, {66, 77, 88}, {128, 64, 32}, {31, 63, 127}, {5, 55, 155}
};
static const png_byte opacities[3] = {0, 128, 255};
static const png_color_16 transparent = {.red = 3, .green = 2, .blue = 1, .gray = 1};

/* The transparency of a pixel, by what kind of picture it is in. */
static double
opacity(const MadePng *how, const uint16_t *pixel)
{
	double		most = (1 << how->depth) - 1;

	if (how->kind == PNG_COLOR_TYPE_GRAY_ALPHA)
		return pixel[1] / most;
	if (how->kind == PNG_COLOR_TYPE_RGB_ALPHA)
		return pixel[3] / most;
	if (how->opacities != NULL)
		return pixel[0] < how->n_opacities ? how->opacities[pixel[0]] / 255.0 : 1.0;
	if (how->transparent != NULL && how->kind == PNG_COLOR_TYPE_GRAY)
		return pixel[0] == how->transparent->gray ? 0.0 : 1.0;
	if (how->transparent != NULL)
		return pixel[0] == how->transparent->red && pixel[1] == how->transparent->green &&
			pixel[2] == how->transparent->blue ? 0.0 : 1.0;
	return 1.0;
}

static int
expected_channels(const MadePng *how)
{
	return how->kind == PNG_COLOR_TYPE_GRAY || how->kind == PNG_COLOR_TYPE_GRAY_ALPHA ? 1 : 3;
}

static void
expect_pixel(const MadePng *how, const uint16_t *pixel, float *expected)
{
	double		most = (1 << how->depth) - 1;
	double		share = opacity(how, pixel);

	for (int channel = 0; channel < expected_channels(how); channel++)
	{
		double		value = pixel[channel] / most;

		if (how->kind == PNG_COLOR_TYPE_PALETTE)
		{
			const png_color *colour = &how->palette[pixel[0]];

			value = (channel == 0 ? colour->red : channel == 1 ? colour->green : colour->blue) / 255.0;
		}
		expected[channel] = (float) (value * share);
	}
}

static void
check_png(MadePng how, bool interlaced, const char *description)
{
	static uint16_t samples[HEIGHT * WIDTH * 4];
	static float expected[HEIGHT * WIDTH * 3];
	size_t		n_samples = (size_t) made_png_samples(how.kind);
	LearnImageInfo info;
	LearnTrouble trouble;
	Made		made;
	Seen		seen;

	how.width = WIDTH;
	how.height = HEIGHT;
	how.interlaced = interlaced;
	for (size_t i = 0; i < HEIGHT * WIDTH * n_samples; i++)
		samples[i] = noise(i, (unsigned) how.depth);
	if (how.kind == PNG_COLOR_TYPE_RGB && how.transparent != NULL)
	{
		samples[0] = 3;
		samples[1] = 2;
		samples[2] = 1;
	}
	/* A palette may be shorter than its indexes can say. */
	for (size_t i = 0; how.palette != NULL && i < HEIGHT * WIDTH; i++)
		samples[i] = (uint16_t) (samples[i] % how.n_colours);
	for (size_t i = 0; i < HEIGHT * WIDTH; i++)
		expect_pixel(&how, samples + i * n_samples, expected + i * (size_t) expected_channels(&how));
	made = make_png(&how, samples);

	CHECK(learn_image_info(made.bytes, made.size, &info, &trouble) && info.format == LEARN_PNG && info.width == WIDTH &&
		  info.height == HEIGHT && strncmp(info.description, description, strlen(description)) == 0 &&
		  (strstr(info.description, "interlaced") != NULL) == interlaced &&
		  (strstr(info.description, "transparency") != NULL) == (how.opacities != NULL || how.transparent != NULL),
		  "\"%s\" describes a PNG", info.description);
	seen = see(&made, NULL);
	CHECK(seen.channels == expected_channels(&how) && seen.bits == (how.palette != NULL ? 8 : how.depth) &&
		  same_pixels(&seen, expected, 1e-7f), "%s is read as it was written", info.description);
	seen_free(&seen);
	made_free(&made);
}

static void
check_png_kinds(void)
{
	const struct
	{
		MadePng		how;
		const char *description;
	}			cases[] = {
		{{.kind = PNG_COLOR_TYPE_GRAY, .depth = 1}, "PNG, 1-bit grey"},
		{{.kind = PNG_COLOR_TYPE_GRAY, .depth = 2}, "PNG, 2-bit grey"},
		{{.kind = PNG_COLOR_TYPE_GRAY, .depth = 4}, "PNG, 4-bit grey"},
		{{.kind = PNG_COLOR_TYPE_GRAY, .depth = 8}, "PNG, 8-bit grey"},
		{{.kind = PNG_COLOR_TYPE_GRAY, .depth = 16}, "PNG, 16-bit grey"},
		{{.kind = PNG_COLOR_TYPE_GRAY, .depth = 2, .transparent = &transparent}, "PNG, 2-bit grey, with transparency"},
		{{.kind = PNG_COLOR_TYPE_GRAY, .depth = 8, .transparent = &transparent}, "PNG, 8-bit grey, with transparency"},
		{{.kind = PNG_COLOR_TYPE_RGB, .depth = 8}, "PNG, 8-bit colour"},
		{{.kind = PNG_COLOR_TYPE_RGB, .depth = 16}, "PNG, 16-bit colour"},
		{{.kind = PNG_COLOR_TYPE_RGB, .depth = 8, .transparent = &transparent}, "PNG, 8-bit colour, with transparency"},
		{{.kind = PNG_COLOR_TYPE_RGB, .depth = 16, .transparent = &transparent}, "PNG, 16-bit colour, with transparency"},
		{{.kind = PNG_COLOR_TYPE_PALETTE, .depth = 1, .palette = palette, .n_colours = 2}, "PNG, 1-bit palette of 2 colours"},
		{{.kind = PNG_COLOR_TYPE_PALETTE, .depth = 2, .palette = palette, .n_colours = 4}, "PNG, 2-bit palette of 4 colours"},
		{{.kind = PNG_COLOR_TYPE_PALETTE, .depth = 4, .palette = palette, .n_colours = 16}, "PNG, 4-bit palette of 16 colours"},
		{{.kind = PNG_COLOR_TYPE_PALETTE, .depth = 8, .palette = palette, .n_colours = 16, .n_opacities = 3, .opacities = opacities},
		"PNG, 8-bit palette of 16 colours, with transparency"},
		{{.kind = PNG_COLOR_TYPE_GRAY_ALPHA, .depth = 8}, "PNG, 8-bit grey with alpha"},
		{{.kind = PNG_COLOR_TYPE_GRAY_ALPHA, .depth = 16}, "PNG, 16-bit grey with alpha"},
		{{.kind = PNG_COLOR_TYPE_RGB_ALPHA, .depth = 8}, "PNG, 8-bit colour with alpha"},
		{{.kind = PNG_COLOR_TYPE_RGB_ALPHA, .depth = 16}, "PNG, 16-bit colour with alpha"},
	};

	for (size_t i = 0; i < LENGTH(cases); i++)
	{
		check_png(cases[i].how, false, cases[i].description);
		check_png(cases[i].how, true, cases[i].description);
	}
}

static Made
small_png(bool interlaced)
{
	MadePng		how = {.width = 5, .height = 4, .depth = 8, .kind = PNG_COLOR_TYPE_RGB, .interlaced = interlaced};
	uint16_t	samples[60];

	for (size_t i = 0; i < LENGTH(samples); i++)
		samples[i] = noise(i, 8);
	return make_png(&how, samples);
}

/* Nothing of a PNG is unprotected: whatever byte is changed or missing, it is noticed. */
static void
check_damaged_png(bool interlaced)
{
	Made		made = small_png(interlaced);
	const char *kind = interlaced ? "an interlaced PNG" : "a PNG";
	bool		noticed = true;
	bool		explained = true;

	for (size_t size = 0; size < made.size; size++)
	{
		Made		part = made_part(&made, size);
		Seen		seen = see(&part, NULL);

		noticed = noticed && !seen.good && seen.trouble.status == DEV_BAD_DATA && seen.trouble.message[0] != '\0';
		if (size >= 8)
			explained = explained && strcmp(seen.trouble.message, "PNG image is truncated") == 0 && seen.trouble.detail[0] != '\0';
		seen_free(&seen);
		made_free(&part);
	}
	CHECK(noticed, "%s cut anywhere is refused", kind);
	CHECK(explained, "and called truncated");

	noticed = true;
	for (size_t place = 0; place < made.size; place++)
		for (int bit = 0; bit < 8; bit++)
		{
			Seen		seen;

			made.bytes[place] ^= (uint8_t) (1 << bit);
			seen = see(&made, NULL);
			made.bytes[place] ^= (uint8_t) (1 << bit);
			noticed = noticed && !seen.good && seen.trouble.status == DEV_BAD_DATA && seen.trouble.message[0] != '\0';
			seen_free(&seen);
		}
	CHECK(noticed, "%s with any bit changed is refused", kind);
	made_free(&made);
}

static void
put_big(uint8_t *bytes, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t) (value >> (24 - 8 * i));
}

/* PNG's CRC, table-less; independent of the reader's. */
static uint32_t
crc_of(const uint8_t *bytes, size_t size)
{
	uint32_t	crc = UINT32_MAX;

	for (size_t i = 0; i < size * 8; i++)
	{
		uint32_t	bit = (crc ^ (uint32_t) (bytes[i / 8] >> (i % 8))) & 1;

		crc = (crc >> 1) ^ (bit != 0 ? 0xEDB88320u : 0);
	}
	return crc ^ UINT32_MAX;
}

/* The small PNG with another header whose checksum is right. */
static Made
lying_png(uint32_t width, uint32_t height, int depth, int kind, int interlacing)
{
	Made		made = small_png(false);

	put_big(made.bytes + 16, width);
	put_big(made.bytes + 20, height);
	made.bytes[24] = (uint8_t) depth;
	made.bytes[25] = (uint8_t) kind;
	made.bytes[28] = (uint8_t) interlacing;
	put_big(made.bytes + 29, crc_of(made.bytes + 12, 17));
	return made;
}

static void
check_lying_png(void)
{
	const LearnImageWish generous = {.max_pixels = SIZE_MAX};
	const LearnImageWish tiny = {.max_pixels = 19};
	const struct
	{
		uint32_t	width;
		uint32_t	height;
		int			depth;
		int			kind;
		int			interlacing;
		const LearnImageWish *wish;
		const char *words;
	}			cases[] = {
		{50000, 50000, 8, 2, 0, NULL, "image of 50000 x 50000 pixels (width x height) is too large"},
		{50000, 50000, 8, 2, 0, &generous, "too large"},
		{0x7FFFFFFF, 1, 8, 2, 0, &generous, "too large"},
		{0x7FFFFFFF, 0x7FFFFFFF, 16, 6, 0, &generous, "too large"},
		{20000, 3000, 16, 6, 0, NULL, "cannot be in"},
		{20000, 3000, 16, 6, 1, NULL, "cannot be in"},
		{5, 4, 8, 2, 0, &tiny, "image of 5 x 4 pixels (width x height) is too large"},
		{0, 4, 8, 2, 0, NULL, "declares 0 x 4 pixels"},
		{5, 0, 8, 2, 0, NULL, "declares 5 x 0 pixels"},
		{0x80000000u, 4, 8, 2, 0, NULL, "declares 2147483648 x 4 pixels"},
		{5, 4, 3, 0, 0, NULL, "unknown colour type 0 with 3 bits"},
		{5, 4, 4, 2, 0, NULL, "unknown colour type 2 with 4 bits"},
		{5, 4, 8, 7, 0, NULL, "unknown colour type 7 with 8 bits"},
		{5, 4, 8, 3, 0, NULL, "It has no palette"},
		{5, 4, 8, 2, 2, NULL, "unknown compression, filter or interlacing"},
		{5, 5, 8, 2, 0, NULL, "libpng says"},
		{5, 3, 8, 6, 0, NULL, "libpng says"},
	};

	for (size_t i = 0; i < LENGTH(cases); i++)
	{
		Made		made = lying_png(cases[i].width, cases[i].height, cases[i].depth, cases[i].kind, cases[i].interlacing);

		CHECK_REFUSED(&made, cases[i].wish, DEV_BAD_DATA, cases[i].words, "a PNG's header that lies: %s", cases[i].words);
		made_free(&made);
	}
}

/* A text chunk that would inflate to much is never looked at; bytes after the end are allowed. */
static void
check_extra_bytes(void)
{
	Made		made = small_png(false);
	uint8_t		chunk[12 + 40] = {0, 0, 0, 40, 'z', 'T', 'X', 't', 'k', 0, 0};
	Made		with;
	Seen		plain = see(&made, NULL);
	Seen		seen;

	put_big(chunk + 48, crc_of(chunk + 4, 44));
	with = made_with(&made, 33, chunk, sizeof(chunk));
	made_add(&with, "garbage after the end", 21);
	seen = see(&with, NULL);
	CHECK(plain.good && seen.good && memcmp(plain.pixels, seen.pixels, 60 * sizeof(float)) == 0,
		  "what is no pixel, and what is after the end, changes nothing");
	seen_free(&seen);
	seen_free(&plain);
	made_free(&with);
	made_free(&made);
}

/* ---- JPEG ---- */

/* Smooth, so that compression hardly changes it. */
static void
fill_smooth(uint8_t *pixels, size_t height, size_t width, size_t channels)
{
	for (size_t y = 0; y < height; y++)
		for (size_t x = 0; x < width; x++)
			for (size_t channel = 0; channel < channels; channel++)
				pixels[(y * width + x) * channels + channel] = (uint8_t) (20 + (channel == 1 ? 3 * y : 2 * x) + 3 * channel * y / 2);
}

static void
check_jpeg(int channels, int subsampling, int flags, const char *description)
{
	static uint8_t pixels[40 * 50 * 4];
	static float expected[40 * 50 * 3];
	LearnImageInfo info;
	LearnTrouble trouble;
	Made		made;
	Seen		seen;

	fill_smooth(pixels, 40, 50, (size_t) channels);
	for (size_t i = 0; i < 40 * 50; i++)
		for (size_t k = 0; k < (channels == 1 ? 1 : 3); k++)
		{
			const uint8_t *pixel = pixels + i * (size_t) channels;

			/* TurboJPEG writes Adobe's marker, so the samples say how much light, not how much ink. */
			expected[i * (channels == 1 ? 1 : 3) + k] = (float) pixel[k] / 255.0f * (channels == 4 ? (float) pixel[3] / 255.0f : 1.0f);
		}
	made = make_jpeg(pixels, 40, 50, channels, subsampling, flags);
	CHECK(learn_image_info(made.bytes, made.size, &info, &trouble) && info.format == LEARN_JPEG && info.width == 50 &&
		  info.height == 40 && info.channels == channels && info.bits == 8 && strcmp(info.description, description) == 0,
		  "\"%s\" describes a JPEG", info.description);
	seen = see(&made, NULL);
	CHECK(seen.channels == (channels == 1 ? 1 : 3) && same_pixels(&seen, expected, 0.03f), "it is read as it was written, nearly");
	seen_free(&seen);
	made_free(&made);
}

/* Without Adobe's marker CMYK says how much ink there is. */
static void
check_plain_cmyk(void)
{
	static uint8_t pixels[16 * 16 * 4];
	Made		made;
	Seen		adobe;
	Seen		plain;
	bool		good = true;
	size_t		at = 0;

	memset(pixels, 60, sizeof(pixels));
	made = make_jpeg(pixels, 16, 16, 4, TJSAMP_444, 0);
	adobe = see(&made, NULL);
	while (at + 5 < made.size && memcmp(made.bytes + at, "Adobe", 5) != 0)
		at++;
	memcpy(made.bytes + at, "adobe", 5);	/* then nothing says YCCK either: all four samples are as they are stored */
	plain = see(&made, NULL);
	CHECK_OR_STOP(adobe.good && plain.good, "CMYK is read with and without Adobe's marker");
	for (size_t i = 0; i < 16 * 16; i++)
		good = good && fabsf(adobe.pixels[3 * i] - 60.0f / 255 * 60.0f / 255) < 0.01f &&
			plain.pixels[3 * i + 2] > 0.35f && plain.pixels[3 * i + 2] < 0.45f;
	CHECK(good, "ink and light are told apart: %g, %g", adobe.pixels[0], plain.pixels[2]);
	seen_free(&adobe);
	seen_free(&plain);
	made_free(&made);
}

/* An EXIF segment that says an orientation, in either order of bytes. */
static Made
with_orientation(const Made *made, int orientation, bool little)
{
	uint8_t		segment[] = {0xFF, 0xE1, 0, 34, 'E', 'x', 'i', 'f', 0, 0,
		'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0};

	segment[29] = (uint8_t) orientation;
	if (little)
	{
		const uint8_t tiff[] = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, (uint8_t) orientation, 0, 0, 0, 0, 0, 0, 0};

		memcpy(segment + 10, tiff, sizeof(tiff));
	}
	return made_with(made, 2, segment, sizeof(segment));
}

/* Where the pixel that is shown at (y, x) is stored: what each orientation means, in words, is in EXIF 2.3. */
static void
stored_at(int orientation, size_t height, size_t width, size_t y, size_t x, size_t *row, size_t *column)
{
	bool		turned = orientation >= 5;
	size_t		down = turned ? x : y;
	size_t		right = turned ? y : x;
	bool		flip_row = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
	bool		flip_column = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;

	*row = flip_row ? height - 1 - down : down;
	*column = flip_column ? width - 1 - right : right;
}

static void
check_orientations(void)
{
	static uint8_t pixels[24 * 40 * 3];
	Made		made;
	Seen		stored;

	fill_smooth(pixels, 24, 40, 3);
	made = make_jpeg(pixels, 24, 40, 3, TJSAMP_444, 0);
	stored = see(&made, NULL);
	CHECK_OR_STOP(stored.good, "a JPEG without EXIF is read");
	for (int orientation = 0; orientation <= 9; orientation++)
	{
		Made		with = with_orientation(&made, orientation, orientation % 2 == 0);
		Seen		seen = see(&with, NULL);
		bool		valid = orientation >= 1 && orientation <= 8;
		bool		same = seen.good && seen.width == (valid && orientation >= 5 ? 24u : 40u) &&
			seen.height == (valid && orientation >= 5 ? 40u : 24u);

		for (size_t i = 0; same && i < 24 * 40; i++)
		{
			size_t		row;
			size_t		column;

			stored_at(valid ? orientation : 1, 24, 40, i / seen.width, i % seen.width, &row, &column);
			same = memcmp(seen.pixels + 3 * i, stored.pixels + 3 * (row * 40 + column), 3 * sizeof(float)) == 0;
		}
		CHECK(same, "EXIF orientation %d is applied", orientation);
		seen_free(&seen);
		made_free(&with);
	}
	seen_free(&stored);
	made_free(&made);
}

static size_t
find_marker(const Made *made, int marker)
{
	size_t		at = 2;

	while (at + 4 < made->size && made->bytes[at + 1] != marker)
		at += 2 + (size_t) (made->bytes[at + 2] << 8 | made->bytes[at + 3]);
	return at;
}

static void
check_refused_jpeg(void)
{
	static uint8_t pixels[40 * 50 * 3];
	const struct
	{
		size_t		place;		/* from the frame's marker */
		uint8_t		value;
		const char *words;
	}			cases[] = {
		{1, 0xC3, "\"8-bit lossless\" is not supported"},
		{1, 0xC5, "\"8-bit hierarchical\" is not supported"},
		{1, 0xC9, "\"8-bit arithmetic\" is not supported"},
		{1, 0xCA, "\"8-bit progressive arithmetic\" is not supported"},
		{1, 0xCB, "\"8-bit lossless arithmetic\" is not supported"},
		{1, 0xF7, "\"8-bit JPEG-LS\" is not supported"},
		{4, 12, "\"12-bit baseline\" is not supported"},
		{9, 2, "has 2 components"},
		{1, 0xE2, "a scan before the frame header"},
	};
	Made		made;
	size_t		frame;
	bool		noticed = true;
	bool		survived = true;

	fill_smooth(pixels, 40, 50, 3);
	made = make_jpeg(pixels, 40, 50, 3, TJSAMP_420, 0);
	frame = find_marker(&made, 0xC0);
	for (size_t i = 0; i < LENGTH(cases); i++)
	{
		uint8_t		before = made.bytes[frame + cases[i].place];

		made.bytes[frame + cases[i].place] = cases[i].value;
		CHECK_REFUSED(&made, NULL, DEV_BAD_DATA, cases[i].words, "a JPEG is refused: %s", cases[i].words);
		made.bytes[frame + cases[i].place] = before;
	}
	for (size_t size = 0; size < made.size; size++)
	{
		Made		part = made_part(&made, size);
		Seen		seen = see(&part, NULL);

		noticed = noticed && !seen.good && seen.trouble.status == DEV_BAD_DATA && seen.trouble.message[0] != '\0';
		seen_free(&seen);
		made_free(&part);
	}
	CHECK(noticed, "a JPEG cut anywhere is refused, the last byte too");
	for (size_t place = 0; place < made.size; place++)
	{
		Seen		seen;

		made.bytes[place] ^= 0x55;
		seen = see(&made, &(LearnImageWish) {.max_pixels = 1 << 20});
		made.bytes[place] ^= 0x55;
		survived = survived && seen.good == (seen.trouble.status == DEV_OK);
		seen_free(&seen);
	}
	CHECK(survived, "a JPEG with a byte changed is refused or read");
	memset(made.bytes + frame + 5, 0x1F, 4);
	CHECK_REFUSED(&made, NULL, DEV_BAD_DATA, "JPEG image of 7967 x 7967 pixels cannot be in", "a JPEG that is too small for its size is refused");
	memset(made.bytes + frame + 5, 0, 2);
	CHECK_REFUSED(&made, NULL, DEV_BAD_DATA, "declares 7967 x 0 pixels", "a JPEG without rows is refused");
	memset(made.bytes + frame + 5, 0xFF, 4);
	CHECK_REFUSED(&made, NULL, DEV_BAD_DATA, "65535 x 65535 pixels (width x height) is too large", "a gigantic JPEG is refused");
	made_free(&made);
}

/* ---- Neither, and writing ---- */

static void
check_unknown(void)
{
	const struct
	{
		const char *bytes;
		size_t		size;
		const char *hint;
	}			cases[] = {
		{"GIF89a and so on", 16, "GIF"}, {"RIFF....WEBPVP8 ", 16, "WebP"}, {"II*\0............", 16, "TIFF"},
		{"\\x89504e470d0a1a0a", 18, "hexadecimal text"}, {"iVBORw0KGgoAAAANS", 17, "base64 text"}, {"%PDF-1.4 ........", 17, "PDF"},
		{"\0\0\0\014jP  ........", 16, "JPEG 2000"}, {"a plain text, no image", 22, ""}, {"\377\330", 2, ""},
	};
	Made		made = {0};
	Seen		seen;

	for (size_t i = 0; i < LENGTH(cases); i++)
	{
		made_add(&made, cases[i].bytes, cases[i].size);
		seen = see(&made, NULL);
		CHECK(!seen.good && seen.trouble.status == DEV_BAD_DATA &&
			  strcmp(seen.trouble.message, "bytes are not an image in PNG, JPEG or DICOM format") == 0 &&
			  strstr(seen.trouble.hint, cases[i].hint) != NULL && (cases[i].hint[0] != '\0' || seen.trouble.hint[0] == '\0'),
			  "what is no image is refused%s%s", cases[i].hint[0] != '\0' ? ": " : "", cases[i].hint);
		made_free(&made);
	}
	CHECK(strcmp(seen.trouble.detail, "There are 2 bytes, and they begin with ff d8.") == 0, "its first bytes are shown");
	made_add(&made, "", 0);
	CHECK_REFUSED(&made, NULL, DEV_BAD_DATA, "image has no bytes", "no bytes are refused");
	made_free(&made);
}

static void
check_writing(int channels, bool deep)
{
	float		most = deep ? 65535.0f : 255.0f;
	static float pixels[HEIGHT * WIDTH * 4];
	static float expected[HEIGHT * WIDTH * 4];
	size_t		n = (size_t) (HEIGHT * WIDTH * channels);
	void	   *bytes;
	Made		made = {0};
	LearnTrouble trouble;
	Seen		seen;

	for (size_t i = 0; i < n; i++)
	{
		pixels[i] = (float) noise(i, 10) / 900.0f - 0.05f;
		if (channels == 4 && i % 4 == 3)
			pixels[i] = 1.0f;
		expected[i] = roundf(fminf(fmaxf(pixels[i], 0.0f), 1.0f) * most) / most;
	}
	pixels[0] = NAN;
	expected[0] = 0.0f;
	for (size_t i = 0; channels == 4 && i < HEIGHT * WIDTH; i++)
		memmove(expected + 3 * i, expected + 4 * i, 3 * sizeof(float));
	CHECK_OR_STOP(learn_png_write(pixels, HEIGHT, WIDTH, channels, deep, &bytes, &made.size, &trouble), "a PNG of %d channels is written", channels);
	made.bytes = bytes;
	seen = see(&made, NULL);
	CHECK(same_pixels(&seen, expected, 1e-7f), "and read again");
	seen_free(&seen);
	made_free(&made);
}

static void
check_requests(void)
{
	float		pixels[4] = {0};
	void	   *bytes = pixels;
	size_t		size;
	LearnTrouble trouble;
	Made		made = small_png(false);

	CHECK(!learn_png_write(pixels, 2, 2, 2, false, &bytes, &size, &trouble) && trouble.status == DEV_INVALID && bytes == NULL,
		  "a PNG of two channels is not written");
	CHECK(!learn_png_write(pixels, 0, 2, 1, false, &bytes, &size, &trouble) && trouble.status == DEV_INVALID, "nor one without rows");
	CHECK(!learn_png_write(pixels, SIZE_MAX / 2, 3, 1, false, &bytes, &size, &trouble) && trouble.status == DEV_INVALID, "nor a gigantic one");
	CHECK(!learn_image_decode(made.bytes, made.size, &(LearnImageWish) {0}, pixels, 4, &trouble) && trouble.status == DEV_INVALID,
		  "too little room is noticed: %s", trouble.message);
	made_free(&made);
}

int
main(void)
{
	check_png_kinds();
	check_damaged_png(false);
	check_damaged_png(true);
	check_lying_png();
	check_extra_bytes();
	check_jpeg(1, TJSAMP_GRAY, 0, "JPEG, 8-bit grey, baseline");
	check_jpeg(3, TJSAMP_444, 0, "JPEG, 8-bit colour, baseline");
	check_jpeg(3, TJSAMP_420, 0, "JPEG, 8-bit colour, baseline");
	check_jpeg(3, TJSAMP_422, TJFLAG_PROGRESSIVE, "JPEG, 8-bit colour, progressive");
	check_jpeg(4, TJSAMP_444, 0, "JPEG, 8-bit CMYK, baseline");
	check_plain_cmyk();
	check_orientations();
	check_refused_jpeg();
	check_unknown();
	check_writing(1, false);
	check_writing(3, false);
	check_writing(4, false);
	check_writing(1, true);
	check_writing(3, true);
	check_requests();
	return check_done();
}

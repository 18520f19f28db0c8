/*
 * test_dicom.c: files made by pydicom against its pixels (frozen by reference/dicom.py), files made
 * element by element for what pydicom does not write, and everything that must be refused.
 */
#include "check_image.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

typedef struct DicomCase
{
	const char *name;
	size_t		size;
	const uint8_t *bytes;
	size_t		height;
	size_t		width;
	int			channels;
	const float *pixels;
} DicomCase;

#include "reference/dicom.inc"

static void
check_frozen(const DicomCase *a)
{
	Made		made = {0};
	Seen		seen;
	bool		same;
	bool		refused = true;
	bool		survived = true;
	size_t		n = a->height * a->width * (size_t) a->channels;

	made_add(&made, a->bytes, a->size);
	seen = see(&made, NULL);
	same = seen.good && seen.height == a->height && seen.width == a->width && seen.channels == a->channels;
	for (size_t i = 0; same && i < n; i++)
		same = fabsf(seen.pixels[i] - a->pixels[i]) < 2e-7f;
	CHECK(same, "%s: the pixels are pydicom's %s", a->name, seen.trouble.message);
	seen_free(&seen);
	/* A byte that makes the length even may be missing. */
	for (size_t size = 0; size + 1 < made.size; size++)
	{
		Made		part = made_part(&made, size);

		seen = see(&part, NULL);
		refused = refused && !seen.good && seen.trouble.status == DEV_BAD_DATA && seen.trouble.message[0] != '\0';
		seen_free(&seen);
		made_free(&part);
	}
	CHECK(refused, "%s: cut anywhere it is refused", a->name);
	for (size_t place = 0; place < made.size; place++)
		for (int flip = 1; flip < 256; flip += 127)
		{
			made.bytes[place] ^= (uint8_t) flip;
			seen = see(&made, &(LearnImageWish) {.max_pixels = 10000});
			made.bytes[place] ^= (uint8_t) flip;
			survived = survived && seen.good == (seen.trouble.status == DEV_OK);
			seen_free(&seen);
		}
	CHECK(survived, "%s: with a byte changed it is refused or read", a->name);
	made_free(&made);
}

/* ---- Files made by hand ---- */

static void
put_number(Made *made, uint32_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		made_add(made, &(uint8_t) {(uint8_t) (value >> (8 * i))}, 1);
}

/* One element; vr NULL: implicit, or an item's mark. length may differ from the value's, and be undefined. */
static void
put_head(Made *made, uint32_t tag, const char *vr, uint32_t length)
{
	put_number(made, tag >> 16, 2);
	put_number(made, tag & 0xFFFF, 2);
	if (vr == NULL)
		put_number(made, length, 4);
	else
	{
		bool		is_long = strstr("OB OW SQ UN UT", vr) != NULL;

		made_add(made, vr, 2);
		if (is_long)
			put_number(made, 0, 2);
		put_number(made, length, is_long ? 4 : 2);
	}
}

static void
put_short(Made *made, uint32_t tag, unsigned value)
{
	put_head(made, tag, "US", 2);
	put_number(made, value, 2);
}

static void
put_text(Made *made, uint32_t tag, const char *vr, const char *text)
{
	put_head(made, tag, vr, (uint32_t) (strlen(text) + 1) / 2 * 2);
	made_add(made, text, strlen(text));
	if (strlen(text) % 2 == 1)
		made_add(made, " ", 1);
}

/* What a file made by hand says; zeros and NULLs are left out. */
typedef struct Hand
{
	const char *syntax;
	unsigned	samples;
	const char *photometric;
	const char *frames;
	unsigned	rows;
	unsigned	columns;
	unsigned	allocated;
	unsigned	stored;
	unsigned	high_bit;
	unsigned	is_signed;
	unsigned	planar;
	const char *centre;
	const char *width;
	const char *function;
	const char *intercept;
	const char *slope;
	const char *padding;		/* two bytes */
	const char *before;			/* raw elements put before the pixels */
	size_t		n_before;
	uint32_t	pixel_tag;
} Hand;

static const Hand plain = {
	.syntax = "1.2.840.10008.1.2.1", .samples = 1, .photometric = "MONOCHROME2", .rows = 2, .columns = 3,
	.allocated = 16, .stored = 16, .high_bit = 15, .pixel_tag = 0x7FE00010,
};

static Made
make_by_hand(const Hand *hand, const void *pixels, size_t size)
{
	const char	preamble[129] = "";
	Made		made = {0};

	made_add(&made, preamble, 128);
	made_add(&made, "DICM", 4);
	if (hand->syntax != NULL)
		put_text(&made, 0x00020010, "UI", hand->syntax);
	if (hand->samples != 0)
		put_short(&made, 0x00280002, hand->samples);
	if (hand->photometric != NULL)
		put_text(&made, 0x00280004, "CS", hand->photometric);
	if (hand->samples == 3)
		put_short(&made, 0x00280006, hand->planar);
	if (hand->frames != NULL)
		put_text(&made, 0x00280008, "IS", hand->frames);
	put_short(&made, 0x00280010, hand->rows);
	put_short(&made, 0x00280011, hand->columns);
	put_short(&made, 0x00280100, hand->allocated);
	put_short(&made, 0x00280101, hand->stored);
	put_short(&made, 0x00280102, hand->high_bit);
	put_short(&made, 0x00280103, hand->is_signed);
	if (hand->padding != NULL)
	{
		put_head(&made, 0x00280120, "US", 2);
		made_add(&made, hand->padding, 2);
	}
	if (hand->centre != NULL)
		put_text(&made, 0x00281050, "DS", hand->centre);
	if (hand->width != NULL)
		put_text(&made, 0x00281051, "DS", hand->width);
	if (hand->intercept != NULL)
		put_text(&made, 0x00281052, "DS", hand->intercept);
	if (hand->slope != NULL)
		put_text(&made, 0x00281053, "DS", hand->slope);
	if (hand->function != NULL)
		put_text(&made, 0x00281056, "CS", hand->function);
	if (hand->before != NULL)
		made_add(&made, hand->before, hand->n_before);
	if (hand->pixel_tag != 0)
	{
		put_head(&made, hand->pixel_tag, "OW", (uint32_t) size);
		made_add(&made, pixels, size);
	}
	return made;
}

static void
check_hand(const Hand *hand, const void *pixels, size_t size, const float *expected, const char *what)
{
	Made		made = make_by_hand(hand, pixels, size);
	Seen		seen = see(&made, NULL);
	bool		same = seen.good && seen.height == hand->rows && seen.width == hand->columns;

	for (size_t i = 0; same && i < hand->rows * hand->columns * hand->samples; i++)
	{
		same = fabsf(seen.pixels[i] - expected[i]) < 2e-7f;
		if (!same)
			printf("#   value %zu is %g, not %g\n", i, seen.pixels[i], expected[i]);
	}
	CHECK(same, "%s %s%s", what, seen.trouble.message, seen.trouble.detail);
	seen_free(&seen);
	made_free(&made);
}

static void
check_values(void)
{
	const uint16_t values[6] = {100, 200, 300, 0xFFFF, 0x7FFF, 500};
	const uint16_t shifted[6] = {0x1000 | 7, 0x2000, 0x3000, 0x4000 | 15, 0x5000, 0xFFFF};
	const uint16_t signed12[6] = {0x0800, 0x0FFF, 0x0000, 0x07FF, 0xF800, 0x0001};
	const uint8_t bytes[6] = {0, 51, 102, 153, 204, 255};
	const uint8_t colours[18] = {0, 51, 102, 153, 204, 255, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
	float		planes[18];
	float		packed[18];
	Hand		hand = plain;

	check_hand(&hand, values, 12, (float[]) {0, 100.0f / 65435, 200.0f / 65435, 1, 32667.0f / 65435, 400.0f / 65435},
			   "16 bits without a window go from the smallest to the largest value");
	hand.padding = "\377\377";
	check_hand(&hand, values, 12, (float[]) {0, 100.0f / 32667, 200.0f / 32667, 0, 1, 400.0f / 32667}, "but for the padding value, which is black");
	hand.photometric = "MONOCHROME1";
	check_hand(&hand, values, 12, (float[]) {1, 1 - 100.0f / 32667, 1 - 200.0f / 32667, 0, 0, 1 - 400.0f / 32667}, "inverted too");
	hand.photometric = "MONOCHROME2";
	hand.is_signed = 1;
	check_hand(&hand, values, 12, (float[]) {0, 100.0f / 32667, 200.0f / 32667, 0, 1, 400.0f / 32667}, "a signed padding value is -1");
	hand = plain;
	check_hand(&hand, (uint16_t[]) {7, 7, 7, 7, 7, 7}, 12, (float[6]) {0}, "an image of one value is black");

	hand.stored = 12;
	check_hand(&hand, shifted, 12, (float[]) {0, 1.0f * 256 / (0xFFF - 256), 2.0f * 256 / (0xFFF - 256), 3.0f * 256 / (0xFFF - 256),
			   4.0f * 256 / (0xFFF - 256), 1}, "stored bits lie below the high bit");
	hand.high_bit = 11;
	hand.is_signed = 1;
	check_hand(&hand, signed12, 12, (float[]) {0, 2047.0f / 4095, 2048.0f / 4095, 1, 0, 2049.0f / 4095}, "12 bits are signed by their own sign");

	hand = plain;
	hand.allocated = hand.stored = 8;
	hand.high_bit = 7;
	check_hand(&hand, bytes, 6, (float[]) {0, 0.2f, 0.4f, 0.6f, 0.8f, 1}, "8 bits are taken by what they can say");
	hand.slope = "-2";
	check_hand(&hand, bytes, 6, (float[]) {1, 0.8f, 0.6f, 0.4f, 0.2f, 0}, "a negative slope turns them around");
	hand.centre = "-250\\40 ";
	hand.width = "101\\400";
	check_hand(&hand, bytes, 6, (float[]) {1, 1, (-204 + 250.5f) / 100 + 0.5f, 0, 0, 0}, "the first window counts, on rescaled values");
	hand.slope = NULL;
	hand.centre = "102.5";
	hand.width = "1";
	check_hand(&hand, bytes, 6, (float[]) {0, 0, 0, 1, 1, 1}, "a window of width 1 is a step");
	hand.centre = "";
	check_hand(&hand, bytes, 6, (float[]) {0, 0.2f, 0.4f, 0.6f, 0.8f, 1}, "an empty window is none");
	hand.intercept = ".5e1";
	hand.slope = " +0.25 ";
	hand.centre = "0030.5";
	hand.width = "2.1E+01";
	hand.function = "LINEAR";
	check_hand(&hand, bytes, 6, (float[]) {0, 0, (25.5f + 5 - 30) / 20 + 0.5f, 1, 1, 1}, "numbers are read in any way they may be written");

	hand = plain;
	hand.samples = 3;
	hand.photometric = "RGB";
	hand.allocated = hand.stored = 8;
	hand.high_bit = 7;
	for (size_t i = 0; i < 18; i++)
	{
		packed[i] = (float) colours[i] / 255;
		planes[i] = (float) colours[i % 3 * 6 + i / 3] / 255;
	}
	check_hand(&hand, colours, 18, packed, "colours lie side by side");
	hand.planar = 1;
	check_hand(&hand, colours, 18, planes, "or in planes");
	hand.frames = "1 ";
	check_hand(&hand, colours, 18, planes, "one frame is allowed");
}

/* ---- Sequences ---- */

/* `depth` sequences in one another, of undefined length, with Rows in the innermost. */
static Made
nested(int depth, bool unknown)
{
	Made		made = {0};

	for (int i = 0; i < depth; i++)
	{
		put_head(&made, 0x00091010, unknown && i > 0 ? NULL : unknown ? "UN" : "SQ", 0xFFFFFFFFu);
		put_head(&made, 0xFFFEE000, NULL, 0xFFFFFFFFu);
	}
	put_head(&made, 0x00280010, unknown ? NULL : "US", 2);
	put_number(&made, 999, 2);
	for (int i = 0; i < depth; i++)
	{
		put_head(&made, 0xFFFEE00D, NULL, 0);
		put_head(&made, 0xFFFEE0DD, NULL, 0);
	}
	return made;
}

static void
check_sequences(void)
{
	const uint8_t bytes[6] = {0, 51, 102, 153, 204, 255};
	const float expected[6] = {0, 0.2f, 0.4f, 0.6f, 0.8f, 1};
	Hand		hand = plain;
	Made		before;
	Made		made;

	hand.allocated = hand.stored = 8;
	hand.high_bit = 7;
	for (int unknown = 0; unknown < 2; unknown++)
	{
		before = nested(8, unknown == 1);
		hand.before = (const char *) before.bytes;
		hand.n_before = before.size;
		check_hand(&hand, bytes, 6, expected, unknown ? "sequences of unknown type are skipped" : "sequences of undefined length are skipped");
		made_free(&before);
	}
	before = nested(1, false);
	made = made_part(&before, before.size - 8);	/* its end is where its defined length says */
	made_free(&before);
	put_number(&before, 0x0009, 2);
	put_number(&before, 0x1010, 2);
	made_add(&before, "SQ\0", 4);
	put_number(&before, (uint32_t) (made.size - 12), 4);
	made_add(&before, made.bytes + 12, made.size - 12);
	hand.before = (const char *) before.bytes;
	hand.n_before = before.size;
	check_hand(&hand, bytes, 6, expected, "a sequence of defined length is skipped whole");
	made_free(&made);
	made_free(&before);

	before = nested(100, false);
	hand.before = (const char *) before.bytes;
	hand.n_before = before.size;
	made = make_by_hand(&hand, bytes, 6);
	CHECK_REFUSED(&made, NULL, DEV_BAD_DATA, "is nested too deeply", "depth is bounded");
	made_free(&made);
	made_free(&before);

	put_head(&before, 0xFFFEE00D, NULL, 0);
	hand.before = (const char *) before.bytes;
	hand.n_before = before.size;
	made = make_by_hand(&hand, bytes, 6);
	CHECK_REFUSED(&made, NULL, DEV_BAD_DATA, "may not be outside a sequence", "an end without a beginning is refused");
	made_free(&made);
	made_free(&before);
	put_head(&before, 0x00091010, "SQ", 0xFFFFFFFFu);
	put_short(&before, 0x00280010, 5);
	hand.before = (const char *) before.bytes;
	hand.n_before = before.size;
	made = make_by_hand(&hand, bytes, 6);
	CHECK_REFUSED(&made, NULL, DEV_BAD_DATA, "may not be in a sequence", "an element where an item must be is refused");
	made_free(&made);
	made_free(&before);
}

/* ---- What is refused ---- */

static void
check_refused(Hand hand, const char *words)
{
	const uint8_t pixels[18] = {0};
	Made		made = make_by_hand(&hand, pixels, sizeof(pixels));

	CHECK_REFUSED(&made, NULL, DEV_BAD_DATA, words, "a DICOM file is refused: %s", words);
	made_free(&made);
}

#define REFUSED(words, ...) \
	do { \
		Hand		hand = plain; \
		__VA_ARGS__; \
		check_refused(hand, words); \
	} while (0)

static void
check_refusals(void)
{
	REFUSED("\"JPEG Baseline (Process 1)\" is not supported", hand.syntax = "1.2.840.10008.1.2.4.50");
	REFUSED("Its UID is \"1.2.840.10008.1.2.4.90\"", hand.syntax = "1.2.840.10008.1.2.4.90");
	REFUSED("\"RLE Lossless\" is not supported", hand.syntax = "1.2.840.10008.1.2.5");
	REFUSED("\"Explicit VR Big Endian\" is not supported", hand.syntax = "1.2.840.10008.1.2.2");
	REFUSED("\"Deflated Explicit VR Little Endian\" is not supported", hand.syntax = "1.2.840.10008.1.2.1.99");
	REFUSED("\"unknown\" is not supported", hand.syntax = "1.2.3.\377\"");
	REFUSED("Its UID is \"1.2.3.??\"", hand.syntax = "1.2.3.\377\"");
	REFUSED("\"PALETTE COLOR\" is not supported", hand.photometric = "PALETTE COLOR");
	REFUSED("\"YBR_FULL\" is not supported", hand.photometric = "YBR_FULL"; hand.samples = 3);
	REFUSED("\"RGB\" but has 1 samples", hand.photometric = "RGB");
	REFUSED("\"MONOCHROME2\" but has 3 samples", hand.samples = 3);
	REFUSED("image of 20 frames is not supported", hand.frames = "20");
	REFUSED("(0028,0008) at byte 190 is not a number", hand.frames = "1A");
	REFUSED("declares 3 x 0 pixels", hand.rows = 0);
	REFUSED("declares 0 x 2 pixels", hand.columns = 0);
	REFUSED("65535 x 65535 pixels (width x height) is too large", hand.rows = hand.columns = 65535);
	REFUSED("Its pixels at byte 262 need 24 bytes, and there are 18", hand.rows = 4);
	REFUSED("with 32 bits allocated", hand.allocated = 32);
	REFUSED("with 1 bits allocated", hand.allocated = 1);
	REFUSED("impossible layout of bits", hand.stored = 17);
	REFUSED("impossible layout of bits", hand.stored = 0);
	REFUSED("impossible layout of bits", hand.high_bit = 16);
	REFUSED("Bits Allocated is 16, Bits Stored 12, High Bit 10, Pixel Representation 0", hand.stored = 12; hand.high_bit = 10);
	REFUSED("impossible layout of bits", hand.is_signed = 2);
	REFUSED("in colour has signed samples", hand.samples = 3; hand.photometric = "RGB"; hand.is_signed = 1);
	REFUSED("planar configuration 2 is unknown", hand.samples = 3; hand.photometric = "RGB"; hand.planar = 2);
	REFUSED("rescale slope of 0", hand.slope = "0.0");
	REFUSED("is a number out of range", hand.slope = "1e999");
	REFUSED("is not a number", hand.slope = "1..5");
	REFUSED("is not a number", hand.slope = "1e");
	REFUSED("is not a number", hand.centre = "-");
	REFUSED("is not a number", hand.centre = "40 400");
	REFUSED("impossible window width of 0.5", hand.centre = "40"; hand.width = "0.5");
	REFUSED("impossible window width of 0", hand.centre = "40"; hand.width = "0"; hand.function = "SIGMOID");
	REFUSED("VOI LUT function \"CUBIC\" is unknown", hand.function = "CUBIC");
	REFUSED("lacks Samples per Pixel (0028,0002)", hand.samples = 0);
	REFUSED("lacks Photometric Interpretation (0028,0004)", hand.photometric = NULL);
	REFUSED("lacks Pixel Data (7FE0,0010)", hand.pixel_tag = 0);
	REFUSED("floating-point pixels", hand.pixel_tag = 0x7FE00008);
	REFUSED("floating-point pixels", hand.pixel_tag = 0x7FE00009);
	REFUSED("modality look-up table", hand.before = "\x28\0\0\x30SQ\0\0\0\0\0"; hand.n_before = 12);
	REFUSED("modality look-up table", hand.before = "\x28\0\0\x30SQ\0\0\377\377\377\377"; hand.n_before = 12);
	REFUSED("is too short for a number", hand.before = "\x28\0\x10\0US\1\0x"; hand.n_before = 9);
	REFUSED("has no type", hand.before = "\x28\0\x10\0us\2\0xx"; hand.n_before = 10);
	REFUSED("holds compressed pixels", hand.before = "\xE0\x7F\x10\0OB\0\0\377\377\377\377"; hand.n_before = 12);
}

static void
check_descriptions(void)
{
	const struct
	{
		Hand		hand;
		const char *description;
	}			cases[] = {
		{plain, "DICOM, Explicit VR Little Endian, MONOCHROME2, 16 of 16 bits"},
		{{.syntax = "1.2.840.10008.1.2.1", .samples = 1, .photometric = "MONOCHROME1", .rows = 1, .columns = 1, .allocated = 16, .stored = 12,
		.high_bit = 11, .is_signed = 1, .centre = "40", .width = "400", .pixel_tag = 0x7FE00010},
		"DICOM, Explicit VR Little Endian, MONOCHROME1, 12 of 16 bits signed, window 40/400"},
	};

	for (size_t i = 0; i < LENGTH(cases); i++)
	{
		Made		made = make_by_hand(&cases[i].hand, "", 0);
		LearnImageInfo info;
		LearnTrouble trouble;

		CHECK(learn_image_info(made.bytes, made.size, &info, &trouble) && strcmp(info.description, cases[i].description) == 0 &&
			  info.bits == (int) cases[i].hand.stored, "\"%s\" describes a file whose pixels are missing", info.description);
		CHECK_REFUSED(&made, NULL, DEV_BAD_DATA, "DICOM image is truncated", "which is noticed when it is read");
		made_free(&made);
	}
}

int
main(void)
{
	for (size_t i = 0; i < LENGTH(dicom_cases); i++)
		check_frozen(&dicom_cases[i]);
	check_values();
	check_sequences();
	check_refusals();
	check_descriptions();
	return check_done();
}

/*
 * fuzz_image.c: any bytes through the readers of images, with a wish that the bytes' own length and end choose.
 *
 * Beside what the sanitizers see, a reader must say why it failed, must keep to the sizes that it promised, and must give
 * values in [0, 1]. The checksums of a PNG are put right after most mutations, or nothing behind them would ever be reached.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "learn/image.h"

int			LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
size_t		LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t capacity, unsigned seed);
extern size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t capacity);

static const LearnImageWish wishes[] = {
	{.max_pixels = 1 << 16},
	{.height = 8, .width = 8, .channels = 1, .max_pixels = 1 << 18},
	{.height = 40, .width = 30, .channels = 3, .fitting = LEARN_FIT_CROP, .max_pixels = 1 << 18},
	{.height = 30, .width = 40, .fitting = LEARN_FIT_PAD, .crop_height = 2, .max_pixels = 1 << 18},
	{.width = 3, .crop_width = 1, .channels = 1, .max_pixels = 1 << 18},
};

#define MUST(condition) do { if (!(condition)) { fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); abort(); } } while (0)

static void
check_text(const char *text, size_t capacity)
{
	size_t		length = strnlen(text, capacity);

	MUST(length < capacity);
	for (size_t i = 0; i < length; i++)
		MUST(text[i] >= ' ' && text[i] <= '~');
}

static void
check_trouble(const LearnTrouble *trouble, bool good)
{
	MUST((trouble->status == DEV_OK) == good);
	MUST((trouble->message[0] == '\0') == good);
	MUST(trouble->status == DEV_OK || trouble->status == DEV_BAD_DATA || trouble->status == DEV_NO_MEMORY);
	check_text(trouble->message, sizeof(trouble->message));
	check_text(trouble->detail, sizeof(trouble->detail));
	check_text(trouble->hint, sizeof(trouble->hint));
}

static void
decode(const uint8_t *bytes, size_t size, const LearnImageWish *wish)
{
	LearnTrouble trouble;
	LearnImageInfo info;
	LearnFrame	frame;
	bool		good = learn_image_plan(bytes, size, wish, &info, &frame, &trouble);
	size_t		n;
	float	   *pixels;

	check_trouble(&trouble, good);
	if (!good)
		return;
	MUST((wish->height == 0 || frame.dst_height == wish->height) && (wish->width == 0 || frame.dst_width == wish->width));
	MUST(frame.dst_channels == 1 || frame.dst_channels == 3);
	n = frame.dst_height * frame.dst_width * (size_t) frame.dst_channels;
	pixels = malloc(n * sizeof(float));
	MUST(pixels != NULL);
	good = learn_image_decode(bytes, size, wish, pixels, n, &trouble);
	check_trouble(&trouble, good);
	for (size_t i = 0; good && i < n; i++)
		MUST(pixels[i] >= 0.0f && pixels[i] <= 1.0f);
	free(pixels);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	LearnImageInfo info;
	LearnTrouble trouble;
	bool		good = learn_image_info(bytes, size, &info, &trouble);
	size_t		choice = size > 0 ? size + bytes[size - 1] : 0;

	check_trouble(&trouble, good);
	if (good)
	{
		MUST(info.height > 0 && info.width > 0 && info.channels >= 1 && info.channels <= 4 && info.bits >= 1 && info.bits <= 16);
		MUST(info.orientation >= 1 && info.orientation <= 8);
		check_text(info.description, sizeof(info.description));
	}
	decode(bytes, size, &wishes[choice % (sizeof(wishes) / sizeof(wishes[0]))]);
	return 0;
}

static uint32_t
checksum(const uint8_t *bytes, size_t size)
{
	uint32_t	crc = UINT32_MAX;

	for (size_t i = 0; i < size * 8; i++)
	{
		uint32_t	bit = (crc ^ (uint32_t) (bytes[i / 8] >> (i % 8))) & 1;

		crc = (crc >> 1) ^ (bit != 0 ? 0xEDB88320u : 0);
	}
	return crc ^ UINT32_MAX;
}

size_t
LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t capacity, unsigned seed)
{
	size_t		place = 8;

	size = LLVMFuzzerMutate(bytes, size, capacity);
	if (seed % 8 == 0 || size < 8 || memcmp(bytes, "\211PNG\r\n\032\n", 8) != 0)
		return size;
	while (size - place >= 12)
	{
		size_t		length = (size_t) bytes[place] << 24 | (size_t) bytes[place + 1] << 16 | (size_t) bytes[place + 2] << 8 | bytes[place + 3];
		uint32_t	crc;

		if (length > size - place - 12)
			break;
		crc = checksum(bytes + place + 4, length + 4);
		for (size_t i = 0; i < 4; i++)
			bytes[place + 8 + length + i] = (uint8_t) (crc >> (24 - 8 * i));
		place += 12 + length;
	}
	return size;
}

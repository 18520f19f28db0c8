/*
 * augment_options.c: what a user may ask of augmentation, in one table.
 *
 * Options are read, checked and documented from it. The structs of ranges list their fields in the
 * same order, so that a number among its kind's options is a field's number too.
 */
#include "idla/learn_augment.h"

#include <assert.h>
#include <string.h>

const char *const learn_augment_kind_names[] = {
	[LEARN_AUGMENT_IMAGE] = "image",
	[LEARN_AUGMENT_SIGNAL] = "signal",
	[LEARN_AUGMENT_SERIES] = "series",
	[LEARN_AUGMENT_TABLE] = "table",
	[LEARN_AUGMENT_TEXT] = "text",
	[LEARN_N_AUGMENT_KINDS] = NULL
};

#define IMAGE LEARN_AUGMENT_IMAGE
#define SIGNAL LEARN_AUGMENT_SIGNAL
#define SERIES LEARN_AUGMENT_SERIES
#define TABLE LEARN_AUGMENT_TABLE
#define TEXT LEARN_AUGMENT_TEXT

const LearnAugmentOption learn_augment_options[] = {
	{IMAGE, "rotate", 0, 180, 10, "rotation by up to this many degrees either way"},
	{IMAGE, "shift", 0, 1, 0.05, "translation by up to this share of width and height"},
	{IMAGE, "scale", 0, 4, 0.1, "enlarged or shrunk by up to this share"},
	{IMAGE, "shear", 0, 60, 0, "sheared by up to this many degrees either way"},
	{IMAGE, "crop", 0, 0.5, 0, "padded by this share of each side, then cut to its size at random"},
	{IMAGE, "flip", 0, 1, 0.5, "probability of being mirrored left to right"},
	{IMAGE, "flip_vertical", 0, 1, 0, "probability of being mirrored top to bottom"},
	{IMAGE, "brightness", 0, 1, 0.1, "made lighter or darker by up to this share of the range of values"},
	{IMAGE, "contrast", 0, 4, 0.1, "contrast raised or lowered by up to this share"},
	{IMAGE, "noise", 0, 1, 0, "standard deviation of Gaussian noise, as a share of the range of values"},
	{IMAGE, "erase", 0, 1, 0, "probability of a random rectangle being erased"},
	{IMAGE, "mixup", 0, 8, 0, "MixUp: two images blended by a weight from Beta(a, a), this a"},
	{IMAGE, "cutmix", 0, 8, 0, "CutMix: a rectangle from another image, its area from Beta(a, a), this a"},

	{SIGNAL, "jitter", 0, 2, 0.03, "standard deviation of Gaussian noise, in units of each lead's deviation"},
	{SIGNAL, "scaling", 0, 2, 0.1, "amplitude raised or lowered by up to this share"},
	{SIGNAL, "warp", 0, 1, 0.1, "time smoothly stretched and squeezed by up to this share"},
	{SIGNAL, "crop", 0, 0.9, 0, "share of the length that a random crop may leave out"},
	{SIGNAL, "lead_dropout", 0, 1, 0, "probability of each lead being silenced"},

	{SERIES, "channel_dropout", 0, 0.9, 0.05, "probability of each channel being as if never observed"},
	{SERIES, "value_dropout", 0, 0.9, 0.05, "probability of each observed bin being as if not observed"},
	{SERIES, "jitter", 0, 2, 0.03, "standard deviation of Gaussian noise on observed values, in units of each channel's deviation"},

	{TABLE, "noise", 0, 2, 0.05, "standard deviation of Gaussian noise on numbers, in units of their scale"},
	{TABLE, "dropout", 0, 0.9, 0.05, "probability of each column being treated as missing"},
	{TABLE, "mixup", 0, 8, 0, "rows of one class blended by a weight from Beta(a, a), this a"},

	{TEXT, "mask", 0, 0.9, 0.1, "probability of each word being masked"},
	{TEXT, "swap", 0, 0.9, 0, "probability of each word changing places with the next"},
	{TEXT, "case", 0, 0.9, 0, "probability of each word being written in lower case, in upper case or with a capital"},

	{LEARN_N_AUGMENT_KINDS, NULL, 0, 0, 0, NULL}
};

static_assert(sizeof(learn_augment_options) / sizeof(learn_augment_options[0]) <= LEARN_AUGMENT_MOST + 1, "every option has a value");

const LearnAugmentOption *
learn_augment_find(LearnAugmentKind kind, const char *name)
{
	for (const LearnAugmentOption *option = learn_augment_options; option->name != NULL; option++)
		if (option->kind == kind && strcmp(option->name, name) == 0)
			return option;
	return NULL;
}

int
learn_augment_number(const LearnAugmentOption *option)
{
	int			number = 0;

	while (option - number > learn_augment_options && option[-number - 1].kind == option->kind)
		number++;
	return number;
}

int
learn_augment_position(const LearnAugmentOption *option)
{
	return (int) (option - learn_augment_options);
}

bool
learn_augment_any(const LearnAugment *augment, LearnAugmentKind kind)
{
	for (const LearnAugmentOption *option = learn_augment_options; option->name != NULL; option++)
		if (option->kind == kind && augment->values[learn_augment_position(option)] > 0)
			return true;
	return false;
}

float
learn_augment_value(const LearnAugment *augment, LearnAugmentKind kind, const char *name)
{
	const LearnAugmentOption *option = learn_augment_find(kind, name);

	return option == NULL ? 0 : augment->values[learn_augment_position(option)];
}

void
learn_augment_usual(LearnAugment *augment, LearnAugmentKind kind)
{
	for (const LearnAugmentOption *option = learn_augment_options; option->name != NULL; option++)
		if (option->kind == kind)
			augment->values[learn_augment_position(option)] = (float) option->usual;
}

void
learn_augment_image_set(LearnAugmentImage *how, int number, double value)
{
	float	   *const ranges[] = {
		&how->rotate, &how->shift, &how->scale, &how->shear, &how->crop, &how->flip, &how->flip_vertical,
		&how->brightness, &how->contrast, &how->noise, &how->erase, &how->mixup, &how->cutmix
	};

	if (number >= 0 && (size_t) number < sizeof(ranges) / sizeof(ranges[0]))
		*ranges[number] = (float) value;
}

void
learn_augment_table_set(LearnAugmentTable *how, int number, double value)
{
	float	   *const ranges[] = {&how->noise, &how->dropout, &how->mixup};

	if (number >= 0 && (size_t) number < sizeof(ranges) / sizeof(ranges[0]))
		*ranges[number] = (float) value;
}

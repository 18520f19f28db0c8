/*
 * augment_field.c: augmentation of what a network sees.
 *
 * Planes are centred and scaled; the functions that change images want values in a range of their own. So a plane is
 * brought back to the units it came in, changed there, and centred and scaled again. Arrays of numbers have no range:
 * they are changed as they are, in deviations, without cutting.
 */
#include "idla/learn_augment.h"
#include "idla/learn_data.h"
#include "idla/learn_text.h"

#include <string.h>

#define TOKEN_BITS 16			/* texts have fewer tokens than 2^16 */
#define VIEW_SEED UINT64_C(0x76696577)

LearnAugmentImage
learn_augment_image_ranges(const LearnAugment *augment)
{
	LearnAugmentImage ranges = {.reflect = true, .low = 0, .high = 1};

	for (const LearnAugmentOption *option = learn_augment_options; option->name != NULL; option++)
		if (option->kind == LEARN_AUGMENT_IMAGE)
			learn_augment_image_set(&ranges, learn_augment_number(option), (double) augment->values[learn_augment_position(option)]);
	return ranges;
}

LearnAugmentTable
learn_augment_table_ranges(const LearnAugment *augment)
{
	LearnAugmentTable ranges = {.noise = 0};

	for (const LearnAugmentOption *option = learn_augment_options; option->name != NULL; option++)
		if (option->kind == LEARN_AUGMENT_TABLE)
			learn_augment_table_set(&ranges, learn_augment_number(option), (double) augment->values[learn_augment_position(option)]);
	return ranges;
}

LearnSignalAugment
learn_augment_signal_ranges(const LearnAugment *augment)
{
	return (LearnSignalAugment) {
		.jitter = learn_augment_value(augment, LEARN_AUGMENT_SIGNAL, "jitter"),
		.scaling = learn_augment_value(augment, LEARN_AUGMENT_SIGNAL, "scaling"),
		.warp = learn_augment_value(augment, LEARN_AUGMENT_SIGNAL, "warp"),
		.crop = learn_augment_value(augment, LEARN_AUGMENT_SIGNAL, "crop"),
		.lead_dropout = learn_augment_value(augment, LEARN_AUGMENT_SIGNAL, "lead_dropout")
	};
}

static size_t
image_size(const LearnField *field)
{
	return field->dims[0] * field->dims[1] * field->dims[2];
}

bool
learn_augment_takes(LearnAugmentKind kind, const LearnField *field)
{
	switch (kind)
	{
		case LEARN_AUGMENT_IMAGE:
			return field->kind == LEARN_IMAGE;
		case LEARN_AUGMENT_SIGNAL:
			return field->kind == LEARN_SIGNAL && field->rocket == NULL;
		case LEARN_AUGMENT_TEXT:
			return field->kind == LEARN_TEXT;
		default:
			return false;
	}
}

size_t
learn_augment_field_scratch(const LearnField *field)
{
	if (learn_augment_takes(LEARN_AUGMENT_IMAGE, field))
		return image_size(field) + learn_augment_image_scratch(field->dims[0], field->dims[1], field->dims[2]);
	return learn_augment_takes(LEARN_AUGMENT_SIGNAL, field) ? field->dims[0] * field->dims[1] : 0;
}

void
learn_augment_tokens(const LearnAugment *augment, const LearnField *field, int32_t *tokens, size_t length, uint64_t seed,
					 uint64_t counter)
{
	int32_t		unknown = field->tagged ? LEARN_UNKNOWN : learn_vocabulary_special(field->vocabulary, LEARN_UNK);
	float		masked = learn_augment_value(augment, LEARN_AUGMENT_TEXT, "mask");
	float		swapped = learn_augment_value(augment, LEARN_AUGMENT_TEXT, "swap");

	/* A place of the text has a counter of its own. */
	counter <<= TOKEN_BITS;
	if (masked > 0)
		learn_text_mask(length, tokens, NULL, unknown, (double) masked, seed, DEV_STREAM_AUGMENT, counter);
	if (swapped > 0 && !field->tagged)
		learn_text_swap(length, tokens, NULL, (double) swapped, seed, DEV_STREAM_MIX, counter);
}

/* Outside an image, and where it is erased, is the mean of the training part. */
static float
mean_center(const LearnField *field)
{
	float		sum = 0;

	for (size_t d = 0; d < field->dims[2]; d++)
		sum += field->center[d];
	return sum / (float) field->dims[2];
}

static void
change_image(LearnAugmentImage ranges, const LearnField *field, float *plane, uint64_t seed, uint64_t counter, float *scratch)
{
	size_t		depth = field->dims[2];
	size_t		size = image_size(field);
	bool		pixels = field->sample != LEARN_SAMPLE_F32;

	if (!pixels)
		ranges.low = ranges.high = 0;
	ranges.fill = pixels ? mean_center(field) : 0;
	for (size_t i = 0; i < size; i += depth)
		for (size_t d = 0; d < depth; d++)
			scratch[i + d] = pixels ? plane[i + d] / field->scale[d] + field->center[d] : plane[i + d];
	learn_augment_image(&ranges, field->dims[0], field->dims[1], depth, scratch, plane, seed, DEV_STREAM_AUGMENT, counter,
						scratch + size);
	for (size_t i = 0; pixels && i < size; i += depth)
		for (size_t d = 0; d < depth; d++)
			plane[i + d] = (plane[i + d] - field->center[d]) * field->scale[d];
}

void
learn_augment_field(const LearnAugment *augment, const LearnField *field, float *plane, size_t length, uint64_t seed,
					uint64_t counter, float *scratch)
{
	if (field->kind == LEARN_IMAGE)
		change_image(learn_augment_image_ranges(augment), field, plane, seed, counter, scratch);
	else if (field->kind == LEARN_SIGNAL && length > 0)
	{
		LearnSignalAugment ranges = learn_augment_signal_ranges(augment);

		learn_signal_augment(&ranges, seed, DEV_STREAM_AUGMENT, counter, length, field->dims[1], field->dims[1], plane, scratch);
	}
}

void
learn_augment_view(const LearnAugment *augment, const LearnField *field, int view, float *plane, float *scratch)
{
	LearnAugmentImage ranges = learn_augment_image_ranges(augment);
	bool		sideways = ranges.flip > 0;
	bool		upside = ranges.flip_vertical > 0;
	int			mirrored = (sideways ? 2 : 1) * (upside ? 2 : 1);
	int			kind = view % mirrored;

	if (field->kind != LEARN_IMAGE || view == 0)
		return;
	ranges.flip = (float) (sideways && kind % 2 == 1);
	ranges.flip_vertical = (float) (upside && kind / (sideways ? 2 : 1) == 1);
	ranges.brightness = ranges.contrast = ranges.noise = ranges.erase = 0;
	if (view < mirrored)
		ranges.rotate = ranges.shift = ranges.scale = ranges.shear = ranges.crop = 0;
	change_image(ranges, field, plane, VIEW_SEED, (uint64_t) view, scratch);
}

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
#define STREAM_CASE (DEV_STREAM_AUGMENT + (UINT64_C(1) << 32))

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

LearnSeriesAugment
learn_augment_series_ranges(const LearnAugment *augment)
{
	return (LearnSeriesAugment) {
		.channel_dropout = learn_augment_value(augment, LEARN_AUGMENT_SERIES, "channel_dropout"),
		.value_dropout = learn_augment_value(augment, LEARN_AUGMENT_SERIES, "value_dropout"),
		.jitter = learn_augment_value(augment, LEARN_AUGMENT_SERIES, "jitter")
	};
}

static size_t
image_size(const LearnField *field)
{
	return field->dims[0] * field->dims[1] * field->dims[2];
}

LearnAugmentKind
learn_augment_kind(const LearnField *field)
{
	switch (field->kind)
	{
		case LEARN_IMAGE:
			return LEARN_AUGMENT_IMAGE;
		case LEARN_SIGNAL:
			return field->rocket == NULL ? LEARN_AUGMENT_SIGNAL : LEARN_N_AUGMENT_KINDS;
		case LEARN_SERIES:
			return LEARN_AUGMENT_SERIES;
		case LEARN_TEXT:
			return LEARN_AUGMENT_TEXT;
	}
	return LEARN_N_AUGMENT_KINDS;
}

size_t
learn_augment_field_scratch(const LearnField *field)
{
	switch (learn_augment_kind(field))
	{
		case LEARN_AUGMENT_IMAGE:
			return image_size(field) + learn_augment_image_scratch(field->dims[0], field->dims[1], field->dims[2]);
		case LEARN_AUGMENT_SIGNAL:
			return field->dims[0] * field->dims[1];
		case LEARN_AUGMENT_SERIES:
			return learn_series_stored_size(field->series);
		case LEARN_AUGMENT_TEXT:
			/* the number of each piece's word */
			return field->dims[0];
		default:
			return 0;
	}
}

/* ---- Texts ---- */

/* Planes of a tagger are words, shapes, affixes, characters and tags. */
static void
change_tagged(const LearnAugment *augment, const LearnField *field, void *const planes[LEARN_MAX_PLANES], size_t n, uint64_t seed,
			  uint64_t counter)
{
	float		masked = learn_augment_value(augment, LEARN_AUGMENT_TEXT, "mask");
	float		cased = learn_augment_value(augment, LEARN_AUGMENT_TEXT, "case");

	if (cased > 0)
		learn_lexicon_case(field->lexicon, n, planes[3], planes[1], (double) cased, seed, STREAM_CASE, counter);
	if (masked > 0)
		learn_text_mask(n, planes[0], NULL, LEARN_UNKNOWN, (double) masked, seed, DEV_STREAM_AUGMENT, counter);
}

/* Words are spelled while they are whole; then they are masked and exchanged whole. */
static size_t
change_pieces(const LearnAugment *augment, const LearnField *field, int32_t *ids, size_t n, size_t room, uint64_t seed,
			  uint64_t counter, int32_t *words)
{
	float		masked = learn_augment_value(augment, LEARN_AUGMENT_TEXT, "mask");
	float		swapped = learn_augment_value(augment, LEARN_AUGMENT_TEXT, "swap");
	float		cased = learn_augment_value(augment, LEARN_AUGMENT_TEXT, "case");
	size_t		before = n;

	if (cased > 0 && !learn_vocabulary_lowercase(field->vocabulary))
		n = learn_text_case(field->vocabulary, n, room, ids, (double) cased, seed, STREAM_CASE, counter);
	for (size_t i = n; i < before; i++)
		ids[i] = 0;
	learn_text_join(field->vocabulary, n, ids, words);
	if (masked > 0)
		learn_text_mask(n, ids, words, learn_vocabulary_special(field->vocabulary, LEARN_UNK), (double) masked, seed,
						DEV_STREAM_AUGMENT, counter);
	if (swapped > 0)
		learn_text_swap(n, ids, words, (double) swapped, seed, DEV_STREAM_MIX, counter);
	return n;
}

/* ---- Series ---- */

static void
change_series(const LearnAugment *augment, const LearnField *field, LearnBytes stored, uint64_t seed, uint64_t counter, float *plane,
			  float *scratch)
{
	LearnSeriesAugment ranges = learn_augment_series_ranges(augment);
	size_t		size = learn_series_stored_size(field->series) * sizeof(float);

	if (stored.size != size)
		return;
	memcpy(scratch, stored.bytes, size);
	learn_series_augment(field->series, &ranges, seed, DEV_STREAM_AUGMENT, counter, scratch);
	learn_series_load(field->series, scratch, plane);
}

/* ---- Images ---- */

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

/* ---- Any of them ---- */

void
learn_augment_loaded(const LearnAugment *augment, const LearnField *field, LearnBytes stored, size_t room, uint64_t seed,
					 uint64_t counter, void *const planes[LEARN_MAX_PLANES], int32_t *length, float *scratch)
{
	LearnSignalAugment ranges;

	if (stored.bytes == NULL)
		return;
	switch (learn_augment_kind(field))
	{
		case LEARN_AUGMENT_IMAGE:
			change_image(learn_augment_image_ranges(augment), field, planes[0], seed, counter, scratch);
			break;
		case LEARN_AUGMENT_SIGNAL:
			ranges = learn_augment_signal_ranges(augment);
			if (*length > 0)
				learn_signal_augment(&ranges, seed, DEV_STREAM_AUGMENT, counter, (size_t) *length, field->dims[1], field->dims[1],
									 planes[0], scratch);
			break;
		case LEARN_AUGMENT_SERIES:
			change_series(augment, field, stored, seed, counter, planes[0], scratch);
			break;
		case LEARN_AUGMENT_TEXT:
			/* A place of the text has a counter of its own. */
			if (field->tagged)
				change_tagged(augment, field, planes, (size_t) *length, seed, counter << TOKEN_BITS);
			else
				*length = (int32_t) change_pieces(augment, field, planes[0], (size_t) *length, room, seed, counter << TOKEN_BITS,
												  (int32_t *) (void *) scratch);
			break;
		default:
			break;
	}
}

/* ---- Views ---- */

static void
view_image(const LearnAugment *augment, const LearnField *field, int view, float *plane, float *scratch)
{
	LearnAugmentImage ranges = learn_augment_image_ranges(augment);
	bool		sideways = ranges.flip > 0;
	bool		upside = ranges.flip_vertical > 0;
	int			mirrored = (sideways ? 2 : 1) * (upside ? 2 : 1);
	int			kind = view % mirrored;

	ranges.flip = (float) (sideways && kind % 2 == 1);
	ranges.flip_vertical = (float) (upside && kind / (sideways ? 2 : 1) == 1);
	ranges.brightness = ranges.contrast = ranges.noise = ranges.erase = 0;
	if (view < mirrored)
		ranges.rotate = ranges.shift = ranges.scale = ranges.shear = ranges.crop = 0;
	change_image(ranges, field, plane, VIEW_SEED, (uint64_t) view, scratch);
}

void
learn_augment_view(const LearnAugment *augment, const LearnField *field, LearnBytes stored, size_t room, int view,
				   void *const planes[LEARN_MAX_PLANES], int32_t *length, float *scratch)
{
	LearnAugmentKind kind = learn_augment_kind(field);

	if (view == 0 || kind == LEARN_N_AUGMENT_KINDS || !learn_augment_any(augment, kind))
		return;
	if (kind == LEARN_AUGMENT_IMAGE)
		view_image(augment, field, view, planes[0], scratch);
	else
		learn_augment_loaded(augment, field, stored, room, VIEW_SEED, (uint64_t) view, planes, length, scratch);
}

void
learn_augment_row_view(const LearnAugment *augment, const LearnTableLayout *layout, int view, float *numbers, int32_t *codes)
{
	LearnAugmentTable ranges = learn_augment_table_ranges(augment);

	ranges.mixup = 0;
	if (view > 0)
		learn_augment_rows(&ranges, layout, 1, NULL, numbers, codes, VIEW_SEED, DEV_STREAM_MIX, (uint64_t) view, NULL);
}

bool
learn_augment_has_views(const LearnAugment *augment)
{
	static const char *const alone[] = {"brightness", "contrast", "noise", "erase", "mixup", "cutmix", NULL};

	for (const LearnAugmentOption *option = learn_augment_options; option->name != NULL; option++)
	{
		bool		counts = option->kind == LEARN_AUGMENT_IMAGE ? learn_name_find(alone, option->name) < 0 :
			strcmp(option->name, "mixup") != 0;

		if (counts && augment->values[learn_augment_position(option)] > 0)
			return true;
	}
	return false;
}

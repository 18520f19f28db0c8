/*
 * augment_field.c: images, signals, series and texts of a preview.
 *
 * Values go the way of training: loaded as planes, changed there, and only then turned back into what people read.
 */
#include "augment.h"

#include <math.h>

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#define UNKNOWN "[UNK]"
#define CHARACTER_BYTES 4

typedef struct Shown
{
	const Preview *preview;
	const LearnField *field;
	LearnBytes	stored[PREVIEW_ROWS];	/* NULL: missing */
	int			n_planes;
	LearnPlane	planes[LEARN_MAX_PLANES];
	void	   *plain[LEARN_MAX_PLANES];	/* the value at hand as it is */
	void	   *changed[LEARN_MAX_PLANES];
	void	   *partner[LEARN_MAX_PLANES];
	int32_t		plain_length;
	int32_t		length;
	float	   *scratch;
} Shown;

static void *
huge(Size size)
{
	return MemoryContextAllocHuge(CurrentMemoryContext, size + 1);
}

static void
make_planes(const Shown *shown, void *planes[LEARN_MAX_PLANES])
{
	/* floats and codes are of one size */
	for (int i = 0; i < shown->n_planes; i++)
		planes[i] = huge(nn_shape_size(&shown->planes[i].shape) * sizeof(float));
}

static void
load_rows(Shown *shown, int number)
{
	const Preview *preview = shown->preview;

	for (int row = 0; row < preview->n_rows; row++)
	{
		LearnBytes	value;
		void	   *copy;

		idla_check(preview->work, learn_dataset_field(preview->reading.dataset, number, (size_t) row, &value));
		if (value.bytes == NULL)
			continue;
		copy = huge(value.size);
		memcpy(copy, value.bytes, value.size);
		shown->stored[row] = (LearnBytes) {copy, value.size};
	}
}

/* ---- changing ---- */

/* Of a signal in windows each variant sees another one, as each epoch does. */
static LearnBytes
seen(const Shown *shown, int row, int variant)
{
	return learn_field_window_drawn(shown->field, shown->stored[row], shown->preview->options->training.seed,
									learn_augment_counter((uint64_t) variant, (uint64_t) row));
}

static void
change(const Shown *shown, int row, int variant, void *const planes[LEARN_MAX_PLANES], int32_t *length)
{
	const LearnAugment *augment = &shown->preview->options->training.augment;
	LearnAugmentKind kind = learn_augment_kind(shown->field);

	learn_field_load(shown->field, seen(shown, row, variant), NULL, planes, length);
	if (variant > 0 && kind < LEARN_N_AUGMENT_KINDS && learn_augment_any(augment, kind))
		learn_augment_loaded(augment, shown->field, shown->stored[row], shown->field->dims[0], shown->preview->options->training.seed,
							 learn_augment_counter((uint64_t) variant, (uint64_t) row), planes, length, shown->scratch);
}

/* MixUp and CutMix take the rows shown as their batch. */
static void
mix(const Shown *shown, int row, int variant)
{
	const LearnField *field = shown->field;
	LearnAugmentImage ranges = learn_augment_image_ranges(&shown->preview->options->training.augment);
	LearnMix	drawn;
	int32_t		length;

	if (variant == 0 || field->kind != LEARN_IMAGE || !(ranges.mixup > 0 || ranges.cutmix > 0))
		return;
	learn_mix_draw(&ranges, field->dims[0], field->dims[1], (size_t) shown->preview->n_rows, (size_t) row,
				   shown->preview->options->training.seed, DEV_STREAM_MIX, (uint64_t) variant, &drawn);
	if (shown->stored[drawn.partner].bytes == NULL)
		return;
	change(shown, (int) drawn.partner, variant, shown->partner, &length);
	learn_mix_images(&drawn, field->dims[0], field->dims[1], field->dims[2], shown->changed[0], shown->partner[0], shown->changed[0]);
}

/* ---- showing ---- */

/* Images and signals, in the unit they came in. */
static void
put_samples(const Shown *shown, int row, int variant)
{
	const LearnField *field = shown->field;
	size_t		depth = learn_field_depth(field);
	size_t		length = field->kind == LEARN_IMAGE ? field->dims[0] * field->dims[1] : (size_t) shown->length;
	float	   *plane = shown->changed[0];

	for (size_t i = 0; i < length * depth; i++)
		plane[i] = plane[i] / field->scale[i % depth] + field->center[i % depth];
	if (field->kind == LEARN_IMAGE && field->sample != LEARN_SAMPLE_F32)
		idla_preview_put(shown->preview, row, variant, field->name,
						 PointerGetDatum(idla_png(plane, field->dims[0], field->dims[1], (int) depth, field->sample == LEARN_SAMPLE_U16)), 0, NULL);
	else
		idla_preview_put(shown->preview, row, variant, field->name, 0, idla_preview_array(plane, length, depth, depth == 1), NULL);
}

/* A series' bins by channels, NULL where nothing is observed: what is left of them, not what the network fills in. */
static void
put_series(const Shown *shown, int row, int variant)
{
	const LearnField *field = shown->field;
	const LearnSeriesPlan *plan = field->series;
	LearnSeriesAugment ranges = learn_augment_series_ranges(&shown->preview->options->training.augment);

	memcpy(shown->scratch, shown->stored[row].bytes, learn_series_stored_size(plan) * sizeof(float));
	if (variant > 0)
		learn_series_augment(plan, &ranges, shown->preview->options->training.seed, DEV_STREAM_AUGMENT,
							 learn_augment_counter((uint64_t) variant, (uint64_t) row), shown->scratch);
	idla_preview_put(shown->preview, row, variant, field->name, 0,
					 idla_preview_array(shown->scratch + 2 * plan->n_channels, plan->n_bins, (size_t) plan->n_channels, false), NULL);
}

/* Pieces as they are joined to words. */
static void
spell_pieces(const Shown *shown, StringInfo out)
{
	const int32_t *ids = shown->changed[0];

	for (int32_t i = 0; i < shown->length; i++)
	{
		size_t		size;
		const char *piece = learn_vocabulary_piece(shown->field->vocabulary, ids[i], &size);
		bool		continues = size > 2 && piece[0] == '#' && piece[1] == '#';

		if (i > 0 && !continues)
			appendStringInfoChar(out, ' ');
		appendBinaryStringInfo(out, continues ? piece + 2 : piece, (int) (continues ? size - 2 : size));
	}
}

/* Words as a tagger sees their characters; a masked one has them still, but not its number. */
static void
spell_words(const Shown *shown, StringInfo out)
{
	const int32_t *words = shown->changed[0];
	const int32_t *before = shown->plain[0];
	const int32_t *characters = shown->changed[3];

	for (int32_t i = 0; i < shown->length; i++, characters += shown->field->characters)
	{
		if (i > 0)
			appendStringInfoChar(out, ' ');
		if (words[i] != before[i])
			appendStringInfoString(out, UNKNOWN);
		for (size_t c = 0; words[i] == before[i] && c < shown->field->characters && characters[c] > LEARN_PADDING; c++)
		{
			size_t		size = 0;
			const char *text = learn_lexicon_entry(shown->field->lexicon, LEARN_TABLE_CHARACTERS, characters[c], &size);

			appendBinaryStringInfo(out, text == NULL ? "?" : text, text == NULL ? 1 : (int) size);
		}
	}
}

static void
put_text(const Shown *shown, int row, int variant)
{
	StringInfoData text;

	initStringInfo(&text);
	if (shown->field->tagged)
		spell_words(shown, &text);
	else
		spell_pieces(shown, &text);
	idla_preview_put(shown->preview, row, variant, shown->field->name, 0, 0, pg_any_to_server(text.data, text.len, PG_UTF8));
}

static void
put_variant(Shown *shown, int row, int variant)
{
	change(shown, row, variant, shown->changed, &shown->length);
	mix(shown, row, variant);
	switch (shown->field->kind)
	{
		case LEARN_IMAGE:
		case LEARN_SIGNAL:
			put_samples(shown, row, variant);
			break;
		case LEARN_SERIES:
			put_series(shown, row, variant);
			break;
		case LEARN_TEXT:
			put_text(shown, row, variant);
			break;
	}
}

void
idla_preview_field(const Preview *preview, int number, int n)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext values = AllocSetContextCreate(caller, "idla preview", ALLOCSET_DEFAULT_SIZES);
	MemoryContext each = AllocSetContextCreate(caller, "idla variant", ALLOCSET_DEFAULT_SIZES);
	Shown	   *shown;

	MemoryContextSwitchTo(values);
	shown = palloc0(sizeof(Shown));
	shown->preview = preview;
	shown->field = &preview->model.fields[number];
	shown->n_planes = learn_field_planes(shown->field, shown->planes);
	shown->scratch = huge(sizeof(float) * learn_augment_field_scratch(shown->field));
	make_planes(shown, shown->plain);
	make_planes(shown, shown->changed);
	make_planes(shown, shown->partner);
	load_rows(shown, number);
	MemoryContextSwitchTo(each);
	for (int row = 0; row < preview->n_rows; row++)
	{
		if (shown->stored[row].bytes == NULL)
			continue;
		learn_field_load(shown->field, seen(shown, row, 0), NULL, shown->plain, &shown->plain_length);
		for (int variant = 0; variant <= n; variant++)
		{
			CHECK_FOR_INTERRUPTS();
			put_variant(shown, row, variant);
			MemoryContextReset(each);
		}
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(each);
	MemoryContextDelete(values);
}

/*
 * learn_augment.h: training rows changed at random, so that a network learns what does not matter.
 *
 * Every function here is pure: what happens to a row depends on (seed, stream, counter) and on
 * the row alone, so neither threads nor the way a batch is shared change the result. They work on plain
 * buffers, allocate nothing and touch no session, so worker threads may call them. Whoever wants a row
 * as it is does not call: there is no mode for prediction. All ranges 0: dst is src, bit for bit.
 *
 * Draws come from block b of (seed, stream + b * 2^32, counter); streams are below 2^32 (see session.h).
 */
#ifndef IDLA_LEARN_AUGMENT_H
#define IDLA_LEARN_AUGMENT_H

#include "idla/learn_model.h"

/* The counter of a row in an epoch; row numbers below 2^32, epochs below 2^24. */
static inline uint64_t
learn_augment_counter(uint64_t epoch, uint64_t row)
{
	return epoch << 32 | (row & UINT32_MAX);
}

/* ---- Options (src/learn/augment_options.c) ---- */

typedef enum LearnAugmentKind
{
	LEARN_AUGMENT_IMAGE,
	LEARN_AUGMENT_SIGNAL,
	LEARN_AUGMENT_SERIES,
	LEARN_AUGMENT_TABLE,
	LEARN_AUGMENT_TEXT,
	LEARN_N_AUGMENT_KINDS
} LearnAugmentKind;

/* What a user may ask for. 0 is always "off" and the default of an option that is not named. */
typedef struct LearnAugmentOption
{
	LearnAugmentKind kind;
	const char *name;
	double		minimum;
	double		maximum;
	double		usual;			/* the value of "the usual augmentation" of this kind; 0: not part of it */
	const char *description;	/* one line for the documentation, with the unit */
} LearnAugmentOption;

/* All options, kind by kind; a NULL name ends the table. Within a kind, images and tables are in the order of their structs. */
extern const LearnAugmentOption learn_augment_options[];
extern const char *const learn_augment_kind_names[];	/* "image", ...; NULL ends */
/* The option of that name, or NULL. */
extern const LearnAugmentOption *learn_augment_find(LearnAugmentKind kind, const char *name);
/* Position of an option among those of its kind. */
extern int	learn_augment_number(const LearnAugmentOption *option);

#define LEARN_AUGMENT_MOST 32	/* options at most, all kinds together */

/* What training rows are changed by: a value for every option, in the order of learn_augment_options. Zeroed: nothing. */
typedef struct LearnAugment
{
	float		values[LEARN_AUGMENT_MOST];
} LearnAugment;

/* Position of an option among all. */
extern int	learn_augment_position(const LearnAugmentOption *option);
/* Whether any option of a kind is on. */
extern bool learn_augment_any(const LearnAugment *augment, LearnAugmentKind kind);
/* Value of an option by its kind and name, which must exist. */
extern float learn_augment_value(const LearnAugment *augment, LearnAugmentKind kind, const char *name);
/* Every option of a kind at its usual value. */
extern void learn_augment_usual(LearnAugment *augment, LearnAugmentKind kind);

/* DEV_INVALID for what no input of the model, or its task, could be changed by (src/learn/train_augment.c). */
extern DevStatus learn_augment_check_model(DevSession *session, const LearnAugment *augment, const LearnModel *model);

/* ---- Images (src/learn/augment_image.c) ---- */

/* Ranges; 0: off. Images are (height, width, channels) floats before any normalisation by channel. */
typedef struct LearnAugmentImage
{
	float		rotate;			/* degrees: angle uniform in [-rotate, rotate] */
	float		shift;			/* share of width and height: uniform in [-shift, shift], each */
	float		scale;			/* size times exp(u), u uniform in [-log(1 + scale), log(1 + scale)] */
	float		shear;			/* degrees, uniform in [-shear, shear]: x moves with y */
	float		crop;			/* padded by this share of each side, then a window of the old size is cut: whole pixels */
	float		flip;			/* probability: left becomes right */
	float		flip_vertical;	/* probability: top becomes bottom */
	float		brightness;		/* share of the range of values: adds uniform [-brightness, brightness] of it */
	float		contrast;		/* distance from the image's mean times exp(u), u as for scale */
	float		noise;			/* share of the range of values: standard deviation of what is added to each value */
	float		erase;			/* probability: a rectangle of 2 to 33 % of the area becomes fill (Zhong et al. 2020) */
	float		mixup;			/* alpha of Beta(alpha, alpha); see LearnMix */
	float		cutmix;			/* alpha; with both, each row takes one or the other with equal chance */

	/* Not ranges: how pixels are meant. */
	bool		reflect;		/* outside is the image mirrored at its border pixels (which are not repeated); else fill */
	float		fill;			/* one value for all channels: outside, and erased */
	float		low;			/* the range of values: what brightness, contrast and noise make is cut to [low, high]; */
	float		high;			/* low = high: as [0, 1], without cutting */
} LearnAugmentImage;

/* The ranges by number of option (learn_augment_number); the rest is left as it is. */
extern void learn_augment_image_set(LearnAugmentImage *how, int number, double value);

/* Floats of scratch that one image needs. 0 when the size overflows: such an image cannot be in memory either. */
extern size_t learn_augment_image_scratch(size_t height, size_t width, size_t channels);

/*
 * One image: the geometry as one affine warp (bilinear; copied pixel by pixel when only whole pixels move), then contrast
 * and brightness, noise, erasing. Not MixUp and CutMix. src and dst (height, width, channels) must not overlap.
 */
extern void learn_augment_image(const LearnAugmentImage *how, size_t height, size_t width, size_t channels,
								const float *src, float *dst, uint64_t seed, uint64_t stream, uint64_t counter,
								float *scratch);

/*
 * dst(x, y) = src(m[0] x + m[1] y + m[2], m[3] x + m[4] y + m[5]), x to the right, y down, pixel centres at whole
 * numbers, bilinear between them. Outside: as LearnAugmentImage says; a pixel fades to fill over one pixel's width.
 */
extern void learn_warp_image(size_t height, size_t width, size_t channels, const double m[6], bool reflect, float fill,
							 const float *src, float *dst, float *scratch);

/* ---- MixUp and CutMix (src/learn/augment_mix.c) ---- */

/* What a row becomes: lambda of itself and the rest of its partner, in values, in a rectangle, and in the label. */
typedef struct LearnMix
{
	uint32_t	row;			/* of the batch */
	uint32_t	partner;
	float		lambda;			/* weight of the row's own label in the loss; the partner's has 1 - lambda */
	bool		cut;			/* CutMix: the partner's pixels fill [top, bottom) x [left, right) */
	uint32_t	top;
	uint32_t	left;
	uint32_t	bottom;
	uint32_t	right;
} LearnMix;

/*
 * How row `row` of a batch of n_batch (below 2^24) is mixed; counter is the number of the step, below 2^40. Rows of one batch have the same
 * distance to their partners, drawn at random: a batch is shuffled already, so this is as good as a permutation, and a
 * worker can find a row's partner knowing nothing of the others. lambda is drawn for each row. With both alphas 0, or one
 * row, the row is its own partner with lambda 1. MixUp: Zhang et al. 2018, CutMix: Yun et al. 2019.
 */
extern void learn_mix_draw(const LearnAugmentImage *how, size_t height, size_t width, size_t n_batch, size_t row,
						   uint64_t seed, uint64_t stream, uint64_t counter, LearnMix *mix);
/* dst from a row and its partner, all (height, width, channels); dst may be own. */
extern void learn_mix_images(const LearnMix *mix, size_t height, size_t width, size_t channels,
							 const float *own, const float *partner, float *dst);
/* A draw from Beta(alpha, alpha), alpha > 0, from blocks first_block on, 64 at most. */
extern double learn_beta_draw(double alpha, uint64_t seed, uint64_t stream, uint64_t counter, uint64_t first_block);

/* ---- Tables (src/learn/augment_table.c) ---- */

typedef struct LearnAugmentTable
{
	float		noise;			/* standard deviation, in units of the scaled numbers */
	float		dropout;		/* probability of each column's value to become missing */
	float		mixup;			/* alpha of Beta(alpha, alpha): mixed with another row of the same class */
} LearnAugmentTable;

extern void learn_augment_table_set(LearnAugmentTable *how, int number, double value);

/* One channel's inputs, NN_NONE where it has none. */
typedef struct LearnTableInput
{
	int			number;
	int			indicator;
	int			code;
} LearnTableInput;

/* What the inputs of a table mean, made once. Its arrays are the session's. */
typedef struct LearnTableLayout
{
	size_t		n_numbers;
	size_t		n_codes;
	size_t		n_inputs;		/* used channels */
	LearnTableInput *inputs;
	float	   *missing_numbers;	/* (n_numbers): a row of which everything is missing, encoded */
	int32_t    *missing_codes;	/* (n_codes) */
} LearnTableLayout;

/* Channels must be fitted (or read from a model): their input numbers lie below n_numbers and n_codes. */
extern DevStatus learn_table_layout(DevSession *session, const LearnChannel *channels, int n_channels,
									size_t n_numbers, size_t n_codes, LearnTableLayout *layout);

/*
 * Encoded rows in place: numbers (n, n_numbers), codes (n, n_codes); row i has counter + i. Mixing first: numbers are
 * mixed, a code is the partner's with probability 1 - lambda, a column missing in either row is taken from the row that
 * weighs more. The partner is the next row of the same class from a random place of these n rows on, so a row whose class
 * is alone here stays. Then noise, on numbers that are there, then dropout. classes (n) NULL, or no mixup: not mixed.
 * scratch: n * (n_numbers + n_codes) floats, needed for mixing only.
 */
extern void learn_augment_rows(const LearnAugmentTable *how, const LearnTableLayout *layout, size_t n,
							   const int32_t *classes, float *numbers, int32_t *codes,
							   uint64_t seed, uint64_t stream, uint64_t counter, float *scratch);

/* ---- Fields as a network sees them (src/learn/augment_field.c) ---- */

/* The options of a kind as the structs that the functions above take; images with the range and fill of pixels in [0, 1]. */
extern LearnAugmentImage learn_augment_image_ranges(const LearnAugment *augment);
extern LearnAugmentTable learn_augment_table_ranges(const LearnAugment *augment);
extern LearnSignalAugment learn_augment_signal_ranges(const LearnAugment *augment);
extern LearnSeriesAugment learn_augment_series_ranges(const LearnAugment *augment);

/* The kind whose options change such a field; LEARN_N_AUGMENT_KINDS where none do. */
extern LearnAugmentKind learn_augment_kind(const LearnField *field);
/* Floats of scratch for one value of a field. */
extern size_t learn_augment_field_scratch(const LearnField *field);
/*
 * A loaded value of a field, changed in place: its planes and its length as learn_field_load made them of `stored`, whose missing
 * values stay as they are. Images go back to the units they came in, are changed there, and centred and scaled again; of a series
 * observations are taken away before it is loaded anew, so that fills and times agree with what is left. room: tokens that a
 * text may have afterwards; padding stays what it was. Words of taggers keep their places, for their tags do. Of texts, epochs are
 * below 2^16, and tokens too.
 */
extern void learn_augment_loaded(const LearnAugment *augment, const LearnField *field, LearnBytes stored, size_t room,
								 uint64_t seed, uint64_t counter, void *const planes[LEARN_MAX_PLANES], int32_t *length,
								 float *scratch);

/* ---- Views, for prediction ---- */

/*
 * View `view` of a loaded value, in place. View 0 is the value itself. Of an image come its mirror images next, as far as flips are
 * among the options, then ones turned, shifted, scaled and cropped within the ranges: neither lit nor with noise; everything else is changed as
 * in training. Which is which depends on the view alone, so that a row's answer does not depend on others.
 */
extern void learn_augment_view(const LearnAugment *augment, const LearnField *field, LearnBytes stored, size_t room, int view,
							   void *const planes[LEARN_MAX_PLANES], int32_t *length, float *scratch);
/* The same for one encoded row of a table: noise and dropout, nothing mixed. */
extern void learn_augment_row_view(const LearnAugment *augment, const LearnTableLayout *layout, int view, float *numbers,
								   int32_t *codes);
/* Whether any view differs from the value itself. */
extern bool learn_augment_has_views(const LearnAugment *augment);

#endif							/* IDLA_LEARN_AUGMENT_H */

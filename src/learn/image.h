/*
 * image.h: what the readers of images share.
 *
 * A reader tells its header (learn_*_info), and then puts one row of samples after another into a resizer, which
 * adds each row to the rows of the result that it has a part in. So an image is never held as a whole unless
 * its format needs it.
 */
#ifndef IDLA_LEARN_IMAGE_PRIVATE_H
#define IDLA_LEARN_IMAGE_PRIVATE_H

#include "idla/learn_image.h"

/* ---- image.c: failures without a session ---- */

/* Records a failure without detail and hint; returns false. */
extern bool learn_image_fail(LearnTrouble *trouble, DevStatus status, const char *format,...) DEV_PRINTF(3, 4);
extern void learn_image_detail(LearnTrouble *trouble, const char *format,...) DEV_PRINTF(2, 3);
extern void learn_image_hint(LearnTrouble *trouble, const char *format,...) DEV_PRINTF(2, 3);
extern bool learn_image_no_memory(LearnTrouble *trouble, size_t size);	/* size 0: unknown */
/* size bytes that may be anything -> at most capacity - 1 printable ASCII characters and a zero; others become '?'. */
extern void learn_image_quote(char *text, size_t capacity, const uint8_t *bytes, size_t size);

/* ---- image_resize.c ---- */

/* The way from a source to the result. */
typedef struct LearnFrame
{
	size_t		src_height;
	size_t		src_width;
	int			src_channels;	/* of the rows that are put */
	double		top;			/* the part of the source that is used, in pixels */
	double		bottom;
	double		left;
	double		right;
	size_t		dst_height;
	size_t		dst_width;
	int			dst_channels;
	size_t		inner_top;		/* the part of the result that is not padding */
	size_t		inner_left;
	size_t		inner_height;
	size_t		inner_width;
} LearnFrame;

extern bool learn_frame(size_t height, size_t width, int channels, const LearnImageWish *wish,
						LearnFrame *frame, LearnTrouble *trouble);

/* What the bytes are and what will be made of them, from the header alone. (image.c) */
extern bool learn_image_plan(const uint8_t *bytes, size_t size, const LearnImageWish *wish, LearnImageInfo *info, LearnFrame *frame,
							 LearnTrouble *trouble);

typedef struct LearnResizer LearnResizer;

/* Sets dst (dst_height, dst_width, dst_channels) to zero and takes all memory; close with learn_resizer_close. */
extern bool learn_resizer_open(const LearnFrame *frame, float *dst, LearnResizer **resizer, LearnTrouble *trouble);
/* Room for one row (src_width, src_channels) that the caller may fill and put. */
extern float *learn_resizer_room(LearnResizer *resizer);
/* Row number `row` of the source; every row once, from the top. */
extern void learn_resizer_put(LearnResizer *resizer, size_t row, const float *samples);
extern void learn_resizer_close(LearnResizer *resizer);	/* NULL is allowed */

/* ---- readers; each is asked only for bytes that begin as its format does ---- */

extern bool learn_png_info(const uint8_t *bytes, size_t size, LearnImageInfo *info, LearnTrouble *trouble);
/* Puts rows of 1 or 3 channels: alpha is composed. */
extern bool learn_png_read(const uint8_t *bytes, size_t size, const LearnImageInfo *info,
						   LearnResizer *resizer, LearnTrouble *trouble);

extern bool learn_jpeg_info(const uint8_t *bytes, size_t size, LearnImageInfo *info, LearnTrouble *trouble);
/* Puts rows of `channels`: 1 (not of CMYK, which has four) or 3. */
extern bool learn_jpeg_read(const uint8_t *bytes, size_t size, const LearnImageInfo *info, int channels,
							LearnResizer *resizer, LearnTrouble *trouble);

/* ---- image_heat.c and others ---- */

/* The luma of ITU-R BT.601. */
static inline float
learn_luma(float red, float green, float blue)
{
	return 0.299f * red + 0.587f * green + 0.114f * blue;
}

/* In [0, 1]; NaN becomes 0. */
static inline float
learn_clip(float value)
{
	value = value > 0.0f ? value : 0.0f;
	return value < 1.0f ? value : 1.0f;
}

#endif							/* IDLA_LEARN_IMAGE_PRIVATE_H */

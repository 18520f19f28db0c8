/*
 * augment.h: draws that augmentation and attacks share; private to src/learn.
 *
 * One Philox block gives four numbers of 32 bits; block b of a row is (seed, stream + b * 2^32, counter).
 */
#ifndef IDLA_LEARN_AUGMENT_PRIVATE_H
#define IDLA_LEARN_AUGMENT_PRIVATE_H

#include "idla/session.h"

/* Where a row's draws come from. */
typedef struct LearnDraw
{
	uint64_t	seed;
	uint64_t	stream;
	uint64_t	counter;
} LearnDraw;

static inline void
learn_draw_block(const LearnDraw *draw, uint64_t block, uint32_t bits[4])
{
	dev_random_bits(draw->seed, draw->stream + (block << 32), draw->counter, bits);
}

/* In (0, 1): the middles of 2^23 steps, exact in float. */
static inline float
learn_unit(uint32_t bits)
{
	return ((float) (int32_t) (bits >> 9) + 0.5f) * 0x1p-23f;
}

/* Blocks from first_block on; n / 4 of them, rounded up. Values are N(0, deviation^2), to some 5.8 deviations. */
extern void learn_draw_normal(const LearnDraw *draw, uint64_t first_block, size_t n, float deviation, float *dst);
/* In (0, 1). */
extern void learn_draw_uniform(const LearnDraw *draw, uint64_t first_block, size_t n, float *dst);

#endif							/* IDLA_LEARN_AUGMENT_PRIVATE_H */

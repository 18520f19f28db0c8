/*
 * rocket.h: MiniRocket from inside, what fitting and transforming share; private to src/learn.
 *
 * A planned signal lies planar in scratch: for each lead its values times -1 and times 3, each with
 * zeros around it as far as the widest convolution reaches, so that taps are plain shifted reads.
 */
#ifndef IDLA_LEARN_ROCKET_PRIVATE_H
#define IDLA_LEARN_ROCKET_PRIVATE_H

#include "idla/learn_rocket.h"

#define ROCKET_TAPS 9
#define ROCKET_REACH 4			/* taps on either side of the middle one */

/* Views into the scratch of one signal. */
typedef struct RocketBuffers
{
	size_t		length;
	size_t		pad;			/* zeros on each side */
	size_t		stride;			/* length + 2 pad */
	float	   *negative;		/* (leads, stride) -x */
	float	   *triple;			/* (leads, stride) 3 x */
	float	   *alpha;			/* (leads, length) sum of the nine taps of -x at the current dilation */
	float	   *output;			/* (length) */
} RocketBuffers;

/* Which taps of kernel k weigh 2. */
extern const uint8_t learn_rocket_taps[LEARN_ROCKET_KERNELS][3];

extern void learn_rocket_lay_out(const LearnRocket *rocket, size_t length, float *scratch, RocketBuffers *buffers);
extern void learn_rocket_enter(const LearnRocket *rocket, const float *signal, RocketBuffers *buffers);
extern void learn_rocket_dilate(const LearnRocket *rocket, size_t dilation, RocketBuffers *buffers);
/* Output of a kernel at a dilation of number `d` into buffers->output; learn_rocket_dilate comes before. */
extern void learn_rocket_convolve(const LearnRocket *rocket, size_t d, size_t kernel, RocketBuffers *buffers);

#endif							/* IDLA_LEARN_ROCKET_PRIVATE_H */

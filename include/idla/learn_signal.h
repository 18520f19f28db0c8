/*
 * learn_signal.h: signals made whole, resampled, cut into windows and augmented: ECG, pressure curves, accelerations.
 *
 * A signal is (length, leads) float32, the leads of a moment beside each other; NaN is a missing sample.
 * Nothing here allocates or takes a session but where it says so: it runs on worker threads, and failures
 * go into a LearnTrouble.
 */
#ifndef IDLA_LEARN_SIGNAL_H
#define IDLA_LEARN_SIGNAL_H

#include "idla/learn_trouble.h"

#define LEARN_SIGNAL_MOST_VALUES ((size_t) 1 << 24)	/* of one signal, before and after resampling */
#define LEARN_SIGNAL_MOST_LEADS 1024
#define LEARN_SIGNAL_MOST_WINDOWS 16384	/* of one signal: a network looks at each */

typedef enum LearnCrop
{
	LEARN_CROP_CENTER,
	LEARN_CROP_START,
	LEARN_CROP_END
} LearnCrop;

typedef enum LearnSignalScaling
{
	LEARN_SIGNAL_BY_LEAD,		/* mean and deviation of each lead over the training part */
	LEARN_SIGNAL_BY_SIGNAL,		/* each lead of each signal by its own: what differs is form, not size */
	LEARN_SIGNAL_TOGETHER,		/* each signal by its own, all leads by one deviation: ratios of leads stay */
	LEARN_SIGNAL_UNSCALED
} LearnSignalScaling;

/* DEV_BAD_DATA when a signal has no values, NaN only, or an infinity; DEV_INVALID when it is too large. *missing counts NaN. */
extern DevStatus learn_signal_check(size_t length, size_t leads, const float *values, size_t *missing, LearnTrouble *trouble);
/* NaN become a straight line between the samples beside them, at an end the nearest sample; a lead without any value becomes fill[lead], fill NULL: 0. */
extern void learn_signal_bridge(size_t length, size_t leads, float *values, const float *fill);
/* Samples that `length` of them become at another rate: length * to_rate / rate, rounded up; as many when both are 0. */
extern size_t learn_signal_resampled(double rate, double to_rate, size_t length);
/*
 * src (n_src, leads), without NaN, read at steps of `step` samples -> dst (n_dst, leads), by a sinc under a Hann window, eight zero
 * crossings a side: below the lower rate's half nothing is lost. Positions beyond the end hold the last. At most
 * LEARN_SIGNAL_MOST_LEADS leads. False when stop (may be NULL), asked for every output, made it end early.
 */
extern bool learn_signal_resample(size_t n_src, size_t leads, const float *src, double step, size_t n_dst, float *dst,
								  const volatile bool *stop);

/*
 * Windows of a long signal: one starts every `stride` samples while it fits; the last ends with the
 * signal, so that no sample is left out. A signal not longer than a window is one window. width and stride at least 1.
 */
extern size_t learn_signal_windows(size_t length, size_t width, size_t stride);
extern size_t learn_signal_window_start(size_t length, size_t width, size_t stride, size_t window);

/* ---- Augmentation (src/learn/augment_signal.c) ---- */

/* Zeros change nothing. */
typedef struct LearnSignalAugment
{
	float		jitter;			/* standard deviation of noise added to each value, in scaled units */
	float		scaling;		/* each lead is multiplied by exp(scaling * normal) */
	float		warp;			/* 0 to 1: how much time runs faster and slower, smoothly; ends stay in place */
	float		crop;			/* 0 to 0.9: up to this share is cut off at the ends and the rest stretched */
	float		lead_dropout;	/* probability of each lead to become missing; one always stays */
} LearnSignalAugment;

/*
 * Changes a loaded signal in place: values (length, width), of which the first `leads` columns are leads and the others, if any,
 * marks. Give the used length, not the padding. scratch (length * width). The same (seed, stream, counter) makes the same
 * changes; a counter is one use of one example. Any thread.
 */
extern void learn_signal_augment(const LearnSignalAugment *how, uint64_t seed, uint64_t stream, uint64_t counter,
								 size_t length, size_t width, size_t leads, float *values, float *scratch);

#endif							/* IDLA_LEARN_SIGNAL_H */

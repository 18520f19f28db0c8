/*
 * learn_signal.h: signals made ready for a network: ECG, pressure curves, accelerations.
 *
 * A signal is (length, leads) float32, the leads of a moment beside each other; NaN is a missing sample. A plan says
 * what a network wants and what was fitted on the training part; learn_signal_prepare brings any signal into that form.
 * Nothing here allocates or takes a session but where it says so: it runs on worker threads, and failures
 * go into a LearnTrouble.
 */
#ifndef IDLA_LEARN_SIGNAL_H
#define IDLA_LEARN_SIGNAL_H

#include "idla/learn_trouble.h"

#define LEARN_SIGNAL_MOST_VALUES ((size_t) 1 << 24)	/* of one signal, before and after resampling */
#define LEARN_SIGNAL_MOST_LEADS 1024
#define LEARN_SIGNAL_MOST_RATIO 256	/* between two sampling rates */

typedef enum LearnResampling
{
	LEARN_RESAMPLE_SINC,		/* sinc under a Hann window, eight zero crossings a side; below the lower rate's half nothing is lost */
	LEARN_RESAMPLE_LINEAR		/* cheap; what is above the new rate's half folds back */
} LearnResampling;

typedef enum LearnCrop
{
	LEARN_CROP_CENTER,
	LEARN_CROP_START,
	LEARN_CROP_END,
	LEARN_CROP_RANDOM			/* where `position` says; training draws it, prediction passes 0.5 */
} LearnCrop;

typedef enum LearnSignalScaling
{
	LEARN_SIGNAL_BY_LEAD,		/* mean and deviation of each lead over the training part */
	LEARN_SIGNAL_BY_SIGNAL,		/* each lead of each signal by its own: what differs is form, not size */
	LEARN_SIGNAL_TOGETHER,		/* each signal by its own, all leads by one deviation: ratios of leads stay */
	LEARN_SIGNAL_UNSCALED
} LearnSignalScaling;

typedef struct LearnSignalPlan
{
	size_t		leads;
	size_t		length;			/* steps the network takes; 0: each signal keeps its own length */
	double		rate;			/* samples a second, both 0: not resampled */
	double		to_rate;
	LearnResampling resampling;
	LearnCrop	crop;
	LearnSignalScaling scaling;
	bool		mark;			/* as many columns again follow the leads, 1 where a sample was missing (resampled: a share) */
	float	   *mean;			/* (leads) fitted, for LEARN_SIGNAL_BY_LEAD */
	float	   *deviation;		/* (leads) fitted, positive */
} LearnSignalPlan;

/* DEV_INVALID for a plan that cannot be: sizes, rates, statistics that are not finite. */
extern DevStatus learn_signal_plan_check(DevSession *session, const LearnSignalPlan *plan);
/* Columns of a prepared signal: leads, twice that with marks. */
extern size_t learn_signal_width(const LearnSignalPlan *plan);
/* Samples that `length` of them become at the plan's rate: length * to_rate / rate, rounded up. */
extern size_t learn_signal_resampled(const LearnSignalPlan *plan, size_t length);
/* Floats of scratch for a signal of `length` samples a lead. */
extern size_t learn_signal_scratch(const LearnSignalPlan *plan, size_t length);

/*
 * raw (length, leads) -> dst (plan->length, width), or (learn_signal_resampled(length), width) when that is 0. In order:
 * gaps are bridged by straight lines, the first and last value hold outwards, and a lead without any value gets the training mean
 * (0 once scaled); resampled; scaled; cropped, or padded with zeros at the end. *used is how many steps
 * of dst are signal and not padding. position is in [0, 1), for LEARN_CROP_RANDOM. scratch as above.
 * DEV_BAD_DATA: no values, only NaN, an infinity; DEV_INVALID: more than LEARN_SIGNAL_MOST_VALUES; DEV_CANCELLED: *stop became
 * true while resampling, the one step that may take long. stop and trouble may be NULL.
 */
extern DevStatus learn_signal_prepare(const LearnSignalPlan *plan, size_t length, const float *raw, double position,
									  float *scratch, float *dst, size_t *used, const volatile bool *stop,
									  LearnTrouble *trouble);

/* ---- Parts ---- */

/* DEV_BAD_DATA when a signal has no values, NaN only, or an infinity; DEV_INVALID when it is too large. *missing counts NaN. */
extern DevStatus learn_signal_check(size_t length, size_t leads, const float *values, size_t *missing, LearnTrouble *trouble);
/* Bridges NaN as above; a lead without any value becomes fill[lead], fill NULL: 0. */
extern void learn_signal_bridge(size_t length, size_t leads, float *values, const float *fill);
/*
 * src (n_src, leads), without NaN, read at steps of `step` samples -> dst (n_dst, leads); positions beyond the end hold the
 * last. At most 2 * LEARN_SIGNAL_MOST_LEADS leads. False when stop (may be NULL), asked for every output, made it end early.
 */
extern bool learn_signal_resample(LearnResampling how, size_t n_src, size_t leads, const float *src, double step,
								  size_t n_dst, float *dst, const volatile bool *stop);

/*
 * Windows of a long signal: one starts every `stride` samples while it fits; the last ends with the
 * signal, so that no sample is left out. A signal not longer than a window is one window. width and stride at least 1.
 */
extern size_t learn_signal_windows(size_t length, size_t width, size_t stride);
extern size_t learn_signal_window_start(size_t length, size_t width, size_t stride, size_t window);

/* ---- Fitting on the training part ---- */

/* Running moments of the leads: zero them, give arrays of (leads) zeros. One at a time may add. */
typedef struct LearnSignalMoments
{
	size_t		leads;
	uint64_t   *n;
	double	   *mean;
	double	   *squares;		/* sum of squared distances from the mean */
} LearnSignalMoments;

extern DevStatus learn_signal_moments_create(DevSession *session, size_t leads, LearnSignalMoments *moments);
/* Adds the values of a checked signal; NaN are passed over. */
extern void learn_signal_moments_add(LearnSignalMoments *moments, size_t length, const float *values);
/* mean and deviation (leads); a lead without values, or of one value, has deviation 1. */
extern void learn_signal_moments_finish(const LearnSignalMoments *moments, float *mean, float *deviation);

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
 * Changes a prepared signal in place: values (length, width), of which the first `leads` columns are leads and the others, if any,
 * marks. Give the used length, not the padding. scratch (length * width). The same (seed, stream, counter) makes the same
 * changes; a counter is one use of one example. Any thread.
 */
extern void learn_signal_augment(const LearnSignalAugment *how, uint64_t seed, uint64_t stream, uint64_t counter,
								 size_t length, size_t width, size_t leads, float *values, float *scratch);

#endif							/* IDLA_LEARN_SIGNAL_H */

/*
 * learn_rocket.h: MiniRocket features of signals.
 *
 * Dempster, Schmidt and Webb, "MiniRocket: a very fast (almost) deterministic transform for time series classification",
 * 2021: 84 convolutions of nine taps (three of them 2, six -1) at some dozen dilations, each turned into shares of
 * positive values (PPV) above several biases. The biases are quantiles of the outputs on training signals. A linear
 * model on the features (learn_ridge.h, or a linear network trained by steps when there are more than
 * LEARN_RIDGE_MOST rows) is as accurate as deep networks on most small sets of signals.
 *
 * Signals are (length, leads) float32, a lead being one channel, without NaN. Several leads: each convolution
 * sums over a random subset of at most nine, as the authors do. Unequal lengths: each signal is convolved over its own
 * length with zeros around it, and shares are of its own length; dilations follow the longest training signal.
 */
#ifndef IDLA_LEARN_ROCKET_H
#define IDLA_LEARN_ROCKET_H

#include "idla/session.h"

#define LEARN_ROCKET_KERNELS 84
#define LEARN_ROCKET_DILATIONS 32	/* at most */
#define LEARN_ROCKET_MOST_FEATURES 100000
#define LEARN_ROCKET_MOST_LEADS 1024
#define LEARN_ROCKET_MOST_LENGTH (1 << 22)

/* Everything fitted. Features come by dilation, then kernel, then bias. */
typedef struct LearnRocket
{
	size_t		leads;
	size_t		length;			/* the longest training signal */
	bool		unequal;		/* training signals had several lengths: all convolutions are padded with zeros */
	size_t		n_features;
	size_t		n_dilations;
	int32_t    *dilations;		/* (n_dilations) ascending */
	int32_t    *counts;			/* (n_dilations) features of one kernel at that dilation */
	int32_t    *first_lead;		/* (n_dilations * 84 + 1) where a convolution's leads begin in lead_list */
	int32_t    *lead_list;
	float	   *biases;			/* (n_features) */
} LearnRocket;

/*
 * Fits to n training signals; signal i is (lengths[i], leads). A few thousand are plenty: one is drawn for each of some
 * 1,300 convolutions. n_features 0: 9,996; else a multiple of 84 not above the wish (at least 84). DEV_BAD_DATA for
 * empty signals and values that are not finite, DEV_INVALID for sizes beyond the bounds above. Memory of the session.
 */
extern DevStatus learn_rocket_fit(DevSession *session, size_t n, const size_t *lengths, const float *const *signals,
								  size_t leads, size_t n_features, uint64_t seed, LearnRocket *rocket);
extern void learn_rocket_free(DevSession *session, LearnRocket *rocket);

/* Floats that learn_rocket_transform needs as scratch for signals up to `length`. */
extern size_t learn_rocket_scratch(const LearnRocket *rocket, size_t length);

/*
 * signal (length, leads), length >= 1 -> features (n_features), each in [0, 1]. Any thread, no allocation. The bits
 * depend on the signal alone. stop (may be NULL) is asked every few ms; false when it made the work end early. A signal
 * not longer than a convolution's reach is always padded, where the authors' code would divide by nothing.
 */
extern bool learn_rocket_transform(const LearnRocket *rocket, size_t length, const float *signal, float *scratch,
								   float *features, const volatile bool *stop);

/* ---- As floats, to be stored among a model's weights ---- */

extern size_t learn_rocket_state_size(const LearnRocket *rocket);
extern void learn_rocket_store(const LearnRocket *rocket, float *state);
/* Checks everything: DEV_CORRUPT when the n floats of state are not what learn_rocket_store writes. */
extern DevStatus learn_rocket_load(DevSession *session, const float *state, size_t n, LearnRocket *rocket);

#endif							/* IDLA_LEARN_ROCKET_H */

/*
 * learn_ridge.h: ridge regression that chooses its own penalty, for few rows and many features.
 *
 * Minimises the squared error plus alpha times the squared weights of standardised features, the intercept free. Of a
 * list of alphas the one with the least squared leave-one-out error is taken (exact, in closed form: Allen's PRESS).
 * Classes are learned as targets -1 and +1, one output a class (Rifkin's regularised least-squares classification).
 * The way to a linear model on MiniRocket's features; beyond LEARN_RIDGE_MOST rows and features, train
 * a linear network on them by steps instead (cross entropy, AdamW: what the trainer does).
 */
#ifndef IDLA_LEARN_RIDGE_H
#define IDLA_LEARN_RIDGE_H

#include "idla/session.h"

/* The smaller of rows and features may be so large; work grows with its cube (about a minute at the bound). */
#define LEARN_RIDGE_MOST 4096
#define LEARN_RIDGE_MOST_ALPHAS 32

typedef struct LearnRidgeOptions
{
	size_t		n_alphas;		/* 0: ten from 1e-3 to 1e3 at equal steps of the logarithm */
	const double *alphas;		/* (n_alphas) positive */
	bool		unscaled;		/* features are centred only, not divided by their standard deviations */
} LearnRidgeOptions;

typedef struct LearnRidge
{
	size_t		n_features;
	size_t		n_outputs;
	float	   *weights;		/* (n_features, n_outputs), for raw features: nn_linear's layout */
	float	   *intercept;		/* (n_outputs) */
	double		alpha;			/* the one chosen */
	double		error;			/* its mean squared leave-one-out error */
} LearnRidge;

/*
 * features (n, n_features) and targets (n, n_outputs), dense. held_out (n, n_outputs, may be NULL) becomes what a model of
 * the chosen alpha trained on the other rows predicts for each row: fit for calibration. A feature with one value gets
 * weight 0. how NULL: defaults. DEV_BAD_DATA for fewer than two rows and for values that are not finite, DEV_INVALID
 * beyond LEARN_RIDGE_MOST. Works in float64; memory of the session, beside the result about 8 min(n, n_features)^2 bytes.
 */
extern DevStatus learn_ridge_fit(DevSession *session, size_t n, size_t n_features, const float *features,
								 size_t n_outputs, const float *targets, const LearnRidgeOptions *how,
								 float *held_out, LearnRidge *ridge);
extern void learn_ridge_free(DevSession *session, LearnRidge *ridge);

/* Class numbers (n) -> targets: (n, 1) +1 for class 1 when there are two classes, else (n, n_classes). Otherwise -1. */
extern void learn_ridge_class_targets(size_t n, const int32_t *classes, size_t n_classes, float *targets);

#endif							/* IDLA_LEARN_RIDGE_H */

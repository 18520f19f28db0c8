/*
 * learn_robust.h: how robust a model is, measured and certified.
 *
 * Measured: accuracy under attack, the smallest change that fools the model, and whether the attack's gradients can
 * be trusted. Certified: randomised smoothing (Cohen, Rosenfeld and Kolter 2019). Both work through
 * callbacks, whatever the rows are: tables, images, text. Nothing is allocated.
 */
#ifndef IDLA_LEARN_ROBUST_H
#define IDLA_LEARN_ROBUST_H

#include "idla/learn_adversarial.h"

/* ---- Under attack (src/learn/robustness.c) ---- */

/* Attacks the n rows of the batch that the context stands for, row i within epsilons[i]; fooled (n): was its answer made wrong? */
typedef struct LearnAttacker
{
	void	   *context;
	DevStatus	(*attack) (void *context, const LearnAttack *how, size_t n, const float *epsilons, uint8_t *fooled);
} LearnAttacker;

/*
 * Adds to right[k] how many of the n rows no attack within epsilons[k] or less fools. epsilons (n_epsilons) ascend; 0 gives
 * the clean accuracy. distances (n), or NULL: the first epsilon that fools each row, INFINITY when none does. scratch: n floats; fooled, once:
 * (n) bytes.
 */
extern DevStatus learn_robust_counts(const LearnAttacker *attacker, const LearnAttack *how, size_t n, size_t n_epsilons,
									 const double *epsilons, uint64_t *right, double *distances, float *scratch, uint8_t *fooled,
									 uint8_t *once);

/*
 * The smallest epsilon at which the attack fools each row, found by halving the interval up to `largest` `halvings` times:
 * distances (n), 0 for rows wrong by themselves, INFINITY for those that `largest` does not fool. They come with what is known to
 * fool each row, INFINITY for nothing, and never grow. An upper bound of the true one, since no attack finds everything. scratch: 2 n floats; fooled (n).
 */
extern DevStatus learn_minimal_perturbations(const LearnAttacker *attacker, const LearnAttack *how, size_t n, double largest,
											 int halvings, double *distances, float *scratch, uint8_t *fooled);
/*
 * Mean of the distances of rows right by themselves, those beyond counted as `largest` (so it is a lower bound of the
 * mean of what was searched); NaN without any. *n_beyond may be NULL.
 */
extern double learn_mean_perturbation(size_t n, const double *distances, double largest, size_t *n_beyond);

/* ---- Can the attack's gradients be trusted? ---- */

/* Attacks on the same rows whose order of success is known when gradients say what they should. */
typedef enum LearnProbe
{
	LEARN_PROBE_CLEAN,			/* no attack */
	LEARN_PROBE_NOISE,			/* as many random points as the attack has steps, all restarts together, 200 at most */
	LEARN_PROBE_ONE_STEP,		/* FGSM */
	LEARN_PROBE_ATTACK,			/* the attack itself */
	LEARN_PROBE_MORE,			/* four times its steps */
	LEARN_PROBE_FAR,			/* at four times its epsilon */
	LEARN_N_PROBES
} LearnProbe;

/* Signs of masked gradients (Athalye et al. 2018, Carlini et al. 2019). */
typedef enum LearnMasked
{
	LEARN_MASKED_NOISE = 1,		/* noise fools more rows than the attack */
	LEARN_MASKED_STEPS = 2,		/* one step fools more than many */
	LEARN_MASKED_UNFINISHED = 4,	/* four times the steps fool many more: the attack has too few */
	LEARN_MASKED_FAR = 8		/* farther away the attack fools fewer */
} LearnMasked;

typedef struct LearnMasking
{
	uint64_t	n;				/* rows */
	uint64_t	fooled[LEARN_N_PROBES];
} LearnMasking;

/* Adds the n rows of a batch to masking, zeroed before the first. scratch: n floats; fooled (n). */
extern DevStatus learn_masking_add(const LearnAttacker *attacker, const LearnAttack *how, size_t n, LearnMasking *masking,
								   float *scratch, uint8_t *fooled);
/*
 * LearnMasked flags. A difference counts when it is larger than two standard errors of the difference of
 * two independent shares, and for UNFINISHED when it is also larger than 5 % of the rows.
 */
extern unsigned learn_masking_judge(const LearnMasking *masking);
extern const char *learn_masked_words(LearnMasked sign);	/* a full sentence */

/* ---- Exact bounds (src/learn/binomial.c) ---- */

extern double learn_normal_quantile(double p);	/* inverse of the normal distribution; -INFINITY at 0, INFINITY at 1 */
extern double learn_beta_probability(double x, double a, double b);	/* regularised incomplete beta function, a and b > 0 */
extern double learn_beta_quantile(double p, double a, double b);	/* its inverse by x */
/* One-sided Clopper-Pearson bounds of a probability of which k of n trials succeeded: each fails with probability <= alpha. */
extern double learn_binomial_lower(uint64_t k, uint64_t n, double alpha);
extern double learn_binomial_upper(uint64_t k, uint64_t n, double alpha);

/* ---- Randomised smoothing (src/learn/smoothing.c) ---- */

typedef struct LearnSmoothing
{
	double		sigma;			/* standard deviation of the noise on every input, in the inputs' unit */
	int			n_choose;		/* noisy copies by which the class is chosen, e.g. 100 */
	int			n_certify;		/* others by which its probability is bounded, e.g. 10,000 */
	double		alpha;			/* the certificate is wrong with at most this probability, e.g. 0.001 */
} LearnSmoothing;

/* DEV_INVALID, with words, for what is out of range. */
extern DevStatus learn_smoothing_check(DevSession *session, const LearnSmoothing *how);

/* Classes of n noisy copies, numbered from `first` on, of the row that the context stands for: adds to counts (n_classes). */
typedef struct LearnVoter
{
	void	   *context;
	size_t		n_classes;
	DevStatus	(*vote) (void *context, double sigma, uint64_t first, size_t n, uint64_t *counts);
} LearnVoter;

typedef struct LearnCertificate
{
	int			class;			/* what most noisy copies are; -1: abstains */
	double		probability;	/* lower bound of that class's probability under noise */
	double		radius;			/* L2 distance within which the smoothed model's answer is class; 0 when it abstains */
} LearnCertificate;

/* CERTIFY of Cohen et al.: radius = sigma * Phi^-1(lower bound), abstains unless that is above one half. counts: (n_classes). */
extern DevStatus learn_certify(const LearnSmoothing *how, const LearnVoter *voter, uint64_t *counts,
							   LearnCertificate *certificate);

/* Scores of n inputs (n, n_inputs): (n, n_outputs); the largest is the class. One output: class 1 when it is above 0, else 0. */
typedef struct LearnClassifier
{
	void	   *context;
	size_t		n_inputs;
	size_t		n_outputs;
	DevStatus	(*score) (void *context, size_t n, const float *inputs, float *scores);
} LearnClassifier;

/* A voter for one row of floats: adds Gaussian noise and asks a classifier. */
typedef struct LearnNoiseVoter
{
	const LearnClassifier *classifier;
	const float *row;			/* (n_inputs) */
	size_t		max_rows;		/* asked at once */
	float	   *inputs;			/* (max_rows, n_inputs) */
	float	   *scores;			/* (max_rows, n_outputs) */
	uint64_t	seed;
	uint64_t	number;			/* of the row, below 2^32: copy i draws from counter number * 2^32 + i of DEV_STREAM_SMOOTHING */
} LearnNoiseVoter;

extern LearnVoter learn_noise_voter(LearnNoiseVoter *voter);

/*
 * A row as a classifier of what its mutable numbers, images, signals and series may be, for binary and multi-class models (src/learn/smoothing_row.c).
 * Input j is how far a value is from the row's own, in the units of epsilon: learn_channel_unit for numbers, the range for pixels, a channel's
 * standard deviation in training for the numbers of arrays, signals (resampled and scaled as the field says) and bins. So noise and radius are in
 * those units, over all inputs together. What is missing stays so; texts, categories and what cannot change are held fixed. Steps and bounds
 * are ignored: values in between and beyond are answered too, so the certificate covers those within as well.
 */
typedef struct LearnRowClassifier LearnRowClassifier;

/* Takes all memory; constraints (n_channels) are borrowed. */
extern DevStatus learn_row_classifier_create(LearnPredictor *predictor, const LearnConstraint *constraints,
											 LearnRowClassifier **row);
/* Binary: the positive class is named from this probability on, above 0 and below 1, in place of one half. */
extern void learn_row_classifier_threshold(LearnRowClassifier *row, double threshold);
/* Inputs of any row at most; 0: nothing of a row can have noise. */
extern size_t learn_row_classifier_inputs(const LearnRowClassifier *row);
/* The row: raw (n_channels), fields (n_fields) stored, both borrowed as long as the classifier is asked. */
extern LearnClassifier learn_row_classifier(LearnRowClassifier *row, const float *raw, const LearnBytes *fields);
/* Whether noise is laid on a field's values: all but texts. */
extern bool learn_field_is_smoothed(const LearnField *field);

#endif							/* IDLA_LEARN_ROBUST_H */

/*
 * learn_drift.h: how rows of later differ from those a model was trained on.
 *
 * A profile is the distribution of one channel, or of one answer, among the training rows: at most some dozen intervals, or a
 * count for every category. A tally counts later rows by the same intervals, so that any number of them is compared in
 * constant memory. Whether answers are still right is another question, with another tally: LearnTrust.
 */
#ifndef IDLA_LEARN_DRIFT_H
#define IDLA_LEARN_DRIFT_H

#include "idla/learn_metrics.h"

#define LEARN_PROFILE_EDGES 64	/* intervals of a profile at most */
#define LEARN_TRUST_BINS 10		/* of the expected calibration error, as in learn_ece */

typedef struct LearnProfile
{
	int			n;				/* intervals, or codes of categories */
	int			n_named;		/* categories: codes from here on stand for those that have no name of their own */
	float	   *edges;			/* (n) ascending: interval i is (edges[i - 1], edges[i]], the first one has no lower end; NULL for categories */
	double	   *counts;			/* (n) rows, of a sample where there were very many */
	double		missing;		/* rows without a value, of the same sample */
} LearnProfile;

/*
 * The profile of n ascending values, none of them NaN: every value by itself where there are at most `most` different ones, else
 * intervals of about equal counts, ties together. Memory is the session's.
 */
extern DevStatus learn_profile_numbers(DevSession *session, const float *sorted, size_t n, double missing, int most,
									   LearnProfile *profile);

/* The same of n values in any order, which it sorts. */
extern DevStatus learn_profile_values(DevSession *session, float *values, size_t n, int most, LearnProfile *profile);

/* What was counted of later rows. */
typedef struct LearnTally
{
	const LearnProfile *profile;
	uint64_t   *counts;			/* (n + 1), the last: beyond the last edge, or of no category that training has seen */
	uint64_t	missing;
} LearnTally;

/* profile is borrowed. */
extern DevStatus learn_tally_create(DevSession *session, const LearnProfile *profile, LearnTally *tally);
/* A raw value of the channel: NaN is missing, a category is its code, -1 for an unknown one. */
extern void learn_tally_add(LearnTally *tally, float value);

typedef enum LearnShift
{
	LEARN_SHIFT_STABLE,			/* population stability index below 0.1 */
	LEARN_SHIFT_MODERATE,		/* below 0.25 */
	LEARN_SHIFT_STRONG,
	LEARN_SHIFT_UNCERTAIN		/* not stable, but chance makes so much of so few rows once in a hundred times, or there are none */
} LearnShift;

extern const char *const learn_shift_names[];

typedef struct LearnDrift
{
	uint64_t	n;				/* later rows */
	/*
	 * Sum over bins of (now - then) ln(now / then) of the bins' shares. Bins are intervals of about a tenth of the training rows, or the
	 * twenty most frequent categories and all others; what is missing is a bin, and so is what training has never seen. An empty bin counts as half a row.
	 */
	double		psi;
	double		ks;				/* numbers: the largest difference of the distribution functions at the profile's edges; NaN for categories */
	double		p;				/* numbers: that chance makes it so large (Kolmogorov's limit); categories: of a chi-squared test of the bins */
	double		missing_then;	/* shares */
	double		missing_now;
	double		unseen;			/* categories: share of rows whose category has no name in the model; NaN for numbers */
	LearnShift	shift;
} LearnDrift;

extern void learn_drift_measure(const LearnTally *tally, LearnDrift *drift);

/* Are probabilities, values or expected events what happens? */
typedef enum LearnTrustKind
{
	LEARN_TRUST_PROBABILITY,	/* predicted in [0, 1], actual 0 or 1 */
	LEARN_TRUST_VALUE,			/* both any number */
	LEARN_TRUST_EVENTS			/* predicted: events expected of a row (a cumulative hazard); actual 0 or 1 */
} LearnTrustKind;

typedef struct LearnTrust
{
	LearnTrustKind kind;
	double		unit;			/* values: what a difference of the means is measured in */
	uint64_t	n;
	LearnSum	predicted;
	LearnSum	actual;
	LearnSum	squares;		/* of actual - predicted */
	struct
	{
		uint64_t	n;
		double		predicted;
		double		actual;
		double		variance;	/* sum of p (1 - p) */
	}			bins[LEARN_TRUST_BINS];
} LearnTrust;

extern void learn_trust_add(LearnTrust *trust, double predicted, double actual);

typedef struct LearnTrusted
{
	uint64_t	n;
	double		predicted;		/* means */
	double		actual;
	double		ece;			/* probabilities, as learn_ece; NaN for the others */
	/*
	 * That chance makes it so if answers are right: for probabilities Hosmer and Lemeshow's test, whose degrees of freedom are the bins,
	 * because nothing was fitted to these rows; for values that their mean error is 0; for events that so many are expected.
	 */
	double		p;
	/* By the expected calibration error (0.05, 0.1), the mean error in units (0.1, 0.25), or the share of events too many or too few (0.1, 0.25). */
	LearnShift	shift;
} LearnTrusted;

extern void learn_trust_measure(const LearnTrust *trust, LearnTrusted *trusted);

/* Upper tail of the chi-squared distribution with so many degrees of freedom; 1 for x <= 0. */
extern double learn_chi_squared_tail(double x, double freedom);
/*
 * That two samples of one continuous distribution with n and m values differ by ks or more: Kolmogorov's limit, with
 * Stephens' correction for small samples. Too large for values with ties, never too small.
 */
extern double learn_kolmogorov_tail(double ks, double n, double m);

#endif							/* IDLA_LEARN_DRIFT_H */

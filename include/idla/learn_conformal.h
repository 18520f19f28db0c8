/*
 * learn_conformal.h: how far off an answer may be.
 *
 * Split conformal prediction (Vovk, Gammerman and Shafer 2005; Lei et al. 2018): rows that networks did not learn from
 * are scored by how badly their answers fit. With n scores, what fits no worse than the ceil((n + 1) coverage)-th
 * smallest of them holds the truth of a new row with a probability of at least `coverage`, whatever the model and the
 * data are, as long as the rows come from where new rows come from. Subgroups may have scores of their own (Mondrian).
 */
#ifndef IDLA_LEARN_CONFORMAL_H
#define IDLA_LEARN_CONFORMAL_H

#include "idla/learn_model.h"

typedef enum LearnConformalScore
{
	LEARN_CONFORMAL_RESIDUAL,	/* regression: |value - answer| */
	LEARN_CONFORMAL_SCALED,		/* the same, divided by how far off answers of that size usually are */
	LEARN_CONFORMAL_LAC,		/* classes: 1 - probability of the class (Sadinle, Lei and Wasserman 2019): the smallest sets */
	LEARN_CONFORMAL_APS			/* the probability of all likelier classes and half of its own (Romano et al. 2020, with the middle in
								 * place of a random number): sets that are larger where the model is less sure */
} LearnConformalScore;

extern const char *const learn_conformal_score_names[];	/* "residual", "scaled", "lac", "aps"; NULL ends */

#define LEARN_CONFORMAL_LEAST 20	/* rows below which there are no scores */
#define LEARN_CONFORMAL_LEAST_GROUP 50	/* rows below which a subgroup has none of its own */
#define LEARN_CONFORMAL_MOST_GROUPS 100
#define LEARN_CONFORMAL_MOST_KNOTS 1024	/* scores that a table keeps */
#define LEARN_NO_GROUP UINT32_MAX

/*
 * The scores of n rows, ascending, in single precision, which they are rounded up by more than. Of more rows than knots the
 * largest quarter is kept, and of the others each that comes at equal steps of rank: what lies between is rounded up, so that
 * coverage never suffers.
 */
typedef struct LearnScoreTable
{
	uint64_t	n;
	int			n_knots;
	float	   *knots;
} LearnScoreTable;

/* How far off answers usually are, by their size: linear between the points, constant beyond them. */
typedef struct LearnSpread
{
	int			n;
	double	   *at;				/* (n) ascending */
	double	   *spread;			/* (n) above 0 */
} LearnSpread;

typedef struct LearnConformal
{
	LearnConformalScore score;
	int			n_targets;		/* regression: the model's; classes: 1 */
	LearnSpread *spreads;		/* (n_targets), LEARN_CONFORMAL_SCALED; else NULL */
	char	   *by;				/* the column that tells subgroups apart, NULL without */
	int			n_groups;		/* those with tables of their own */
	char	  **groups;			/* (n_groups) */
	LearnScoreTable *tables;	/* (1 + n_groups, n_targets): of all rows, then of each group */
} LearnConformal;

/* Rows that the networks answered without having learned from them. */
typedef struct LearnConformalRows
{
	size_t		n;
	const double *answers;		/* (n, outputs) as learn_scores_to_answers gives them */
	const double *targets;		/* (n, n_targets): values; 1 for the positive class; the class number */
	const uint32_t *groups;		/* (n) below n_groups, or LEARN_NO_GROUP; NULL without groups */
	int			n_groups;
	char	  **names;			/* (n_groups), copied */
	const char *by;				/* copied */
	uint64_t	seed;			/* deals rows to what LEARN_CONFORMAL_SCALED needs: spreads and scores */
} LearnConformalRows;

/* The numbers of classes and targets, and for which score, must agree. False: the task has no such sets or intervals. */
extern bool learn_conformal_fits(LearnTask task, LearnConformalScore score);
/*
 * Scores the rows: *conformal in the session's memory, NULL when there are fewer than LEARN_CONFORMAL_LEAST. Groups of fewer than
 * LEARN_CONFORMAL_LEAST_GROUP rows are left out of it. LEARN_CONFORMAL_SCALED learns spreads from about half of the rows and keeps the
 * scores of the others; with fewer than twice LEARN_CONFORMAL_LEAST_GROUP it becomes LEARN_CONFORMAL_RESIDUAL.
 */
extern DevStatus learn_conformal_fit(DevSession *session, const LearnModel *model, const LearnConformalRows *rows,
									 LearnConformalScore score, LearnConformal **conformal);

/* How many knots each of n_tables tables has at most. */
extern int	learn_conformal_knots(size_t n_tables);
/* Rank, from 1, of a knot among n scores; n_knots is at most n. */
extern uint64_t learn_conformal_rank(uint64_t n, int n_knots, int knot);
/* The score that ceil((n + 1) coverage) of n rows do not exceed; INFINITY when n rows are too few to say. */
extern double learn_conformal_threshold(const LearnScoreTable *table, double coverage);
/* Which tables a row of that group has: 0, those of all rows, for a group without its own and for NULL; else the group's number from 1. */
extern int	learn_conformal_place(const LearnConformal *conformal, const char *group);
extern const LearnScoreTable *learn_conformal_table(const LearnConformal *conformal, int place, int target);

/* Regression: the values that fit an answer; infinite where the threshold is. */
extern void learn_conformal_interval(const LearnConformal *conformal, int target, double answer, double threshold,
									 double *low, double *high);
/*
 * Classes: which fit the answers (outputs) of one row: in (n_classes). order: scratch (n_classes). Returns how many. None may, for a
 * row that looks like no class.
 */
extern int	learn_conformal_set(const LearnModel *model, const LearnConformal *conformal, const double *answers, double threshold,
								int *order, bool *in);

#endif							/* IDLA_LEARN_CONFORMAL_H */

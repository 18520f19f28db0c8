/*
 * explain.h: what both ways of explaining share; private to src/learn.
 *
 * Both ask the model about points that lie between the baseline and the row,
 * in the space of its features nodes (each network of a model has its own, because
 * embeddings are learned). explain.c answers: the explained score at such points and, where wanted, how
 * fast it changes on the way to the row, by column of the user's.
 */
#ifndef IDLA_LEARN_EXPLAIN_H
#define IDLA_LEARN_EXPLAIN_H

#include "predict.h"

/* One network's way from the baseline to the row. */
typedef struct LearnPath
{
	size_t		n_features;
	const float *baseline;		/* (n_features) */
	float	   *row;			/* (n_features) */
	const int  *column_of;		/* (n_features): the user's column of each feature */
} LearnPath;

typedef struct LearnExplainer
{
	LearnPredictor *predictor;
	DevSession *session;
	int			output;
	size_t		n_columns;
	LearnPath  *paths;			/* (n_voices) */
	bool	   *moves;			/* (n_columns): the row differs from the baseline there */
	double	   *outputs;		/* (LEARN_EXPLAIN_BATCH, n_outputs): mean over networks */
	float	   *seeds;			/* the same: d score / d output of one network */
	double	   *diff;			/* (n_outputs) */
	float	   *no_numbers;		/* (LEARN_EXPLAIN_BATCH, n_numbers) zeros: inputs below the features node */
	int32_t    *no_codes;
	void	   *work;			/* buffers of explain_gradients.c, kept for the next row */
} LearnExplainer;

/* Writes point number `point` of a network's path: (n_features) values. */
typedef void (*LearnFill) (void *context, size_t point, const LearnPath *path, float *features);

/*
 * scores (n): the explained score at each point. slopes (n, n_columns) or NULL: its derivative when a column's features
 * move at the rate of row - baseline.
 */
extern DevStatus learn_explain_points(LearnExplainer *explainer, size_t n, LearnFill fill, void *context,
									  double *scores, double *slopes);

/* contributions (n_columns) are zero on entry; explained_score and baseline are scores at the two ends. */
extern DevStatus learn_explain_gradients(LearnExplainer *explainer, const LearnExplain *how, double *contributions,
										 double *score, double *baseline);
extern DevStatus learn_explain_shapley(LearnExplainer *explainer, const LearnExplain *how, double *contributions,
									   double *score, double *baseline);

#endif							/* IDLA_LEARN_EXPLAIN_H */

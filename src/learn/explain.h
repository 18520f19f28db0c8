/*
 * explain.h: what both ways of explaining share; private to src/learn.
 *
 * Both ask the model about points that lie between the baseline and the row,
 * in the space where its networks' explanations start: the features node, and of every field its planes, or
 * what its codes are embedded as (each network of a model has a space of its own, because embeddings are
 * learned). Of a row in windows every window has such a way, and all are walked at once. explain.c
 * answers: the explained score at such points and, where wanted, how fast it changes on the way to the row, by
 * GROUP of values: the user's columns, or the parts of one field and all the rest as the last.
 */
#ifndef IDLA_LEARN_EXPLAIN_H
#define IDLA_LEARN_EXPLAIN_H

#include "predict.h"

/* One network's way from the baseline to the row. */
typedef struct LearnPath
{
	size_t		n_values;		/* of all starts, one after another */
	int			n_starts;
	NnNode	   *starts;			/* (n_starts) */
	size_t	   *first;			/* (n_starts) where its values lie */
	size_t	   *size;			/* (n_starts) */
	float	   *baseline;		/* (n_values) */
	float	   *row;			/* (n_values) */
	int		   *group_of;		/* (n_values) */
} LearnPath;

struct LearnOcclusion;			/* explain_occlusion.c */

typedef struct LearnExplainer
{
	LearnPredictor *predictor;
	DevSession *session;
	int			output;
	int			field;			/* whose parts are the groups, -1: columns are */
	bool		lasting;		/* the groups are the same for every row */
	size_t		first_part;		/* of the field, in the window that is looked at */
	int			stretch;		/* that the row is explained in */
	const struct LearnEntity *entity;	/* of a tagger: whose odds are explained; or NULL */
	size_t		batch;			/* points at once */
	size_t		n_values;		/* outputs of a point: of a tagger, those of all tokens */
	size_t		n_groups;
	LearnPath  *paths;			/* (n_voices) */
	bool	   *moves;			/* (n_groups): the row differs from the baseline there */
	float	   *point;			/* (most n_values of a path) */
	double	   *outputs;		/* (batch, most n_values): mean over networks */
	float	   *seeds;			/* the same: d score / d output of one network */
	double	   *diff;			/* (most n_values) */
	const LearnExplain *how;	/* the question, and the row it is about; the caller's */
	const float *raw;
	const LearnBytes *fields;
	LearnBytes *views;			/* (n_fields): the row's values, or what of them window number `window` shows */
	size_t		n_windows;
	size_t		window;			/* that the paths lead to */
	double	   *pooled;			/* (batch, n_outputs): of the windows up to now */
	double	   *pooled_diff;	/* (batch, n_outputs): d score / d those */
	float	   *no_numbers;		/* (batch, n_numbers) zeros: inputs below the features node */
	int32_t    *no_codes;
	void	   *work;			/* buffers of explain_gradients.c, kept for the next row */
	struct LearnOcclusion *occlusion;	/* points are rows with parts of a field replaced, and not in the networks' spaces; or NULL */
} LearnExplainer;

/* Writes point number `point` of a network's path: (n_values) values. */
typedef void (*LearnFill) (void *context, size_t point, const LearnPath *path, float *features);

/*
 * scores (n): the explained score at each point. slopes (n, n_groups) or NULL: its derivative when a group's values
 * move at the rate of row - baseline.
 */
extern DevStatus learn_explain_points(LearnExplainer *explainer, size_t n, LearnFill fill, void *context,
									  double *scores, double *slopes);

/* Of one network whose run has walked from the points to the score and back. */
typedef DevStatus (*LearnCollect) (LearnExplainer *explainer, int number, size_t n_points, void *into);

/* The predictor's explainer, ready for this row and this request. */
extern DevStatus learn_explain_open(LearnPredictor *predictor, const float *raw, const LearnBytes *fields, const LearnExplain *how,
									LearnExplainer **explainer);
/* Contributions (n_groups) of an open explainer's row. */
extern DevStatus learn_explain_opened(LearnExplainer *explainer, const LearnExplain *how, double *contributions, double *score,
									  double *baseline, double *error);
/* Calls collect for every network, at the row itself. */
extern DevStatus learn_explain_row(LearnExplainer *explainer, LearnCollect collect, void *into);

/* Scores at the baseline and at the row. */
extern DevStatus learn_explain_ends(LearnExplainer *explainer, double ends[2]);
/* Log odds of a class: u_c - log(sum of exp(u_j), j other than c), and its derivatives by u in diff (n) unless NULL. */
extern double learn_log_odds(size_t n, const double *u, size_t class, double *diff);

/* ---- explain_tags.c: an entity's log odds ---- */

/* Tokens [start, end) have these codes, of a text of `length` tokens whose emissions a chain reads. */
typedef struct LearnEntity
{
	const LearnChain *chain;
	size_t		length;
	size_t		start;
	size_t		end;
	const int32_t *tags;		/* (end - start) */
	double	   *work;			/* learn_entity_work doubles */
} LearnEntity;

extern size_t learn_entity_work(size_t length, size_t n_tags);
/*
 * log(P / (1 - P)), P being the probability under the chain of all tags of the entity together, and its derivatives by the emissions
 * (length, n_tags) in diff. 1 - P is summed by itself, over the sequences that differ, so that nothing is lost where the model is sure.
 */
extern double learn_entity_odds(const LearnEntity *entity, const double *emissions, double *diff);

/* learn_explain for segments of a field that the networks do not see as places. */
extern DevStatus learn_explain_occluded(LearnPredictor *predictor, const float *raw, const LearnBytes *fields, const LearnExplain *how,
										double *contributions, double *score, double *baseline, double *error);
/* Scores of n points, number `first` and on, of an explainer with an occlusion. */
extern DevStatus learn_occluded_scores(LearnExplainer *explainer, size_t first, size_t n, LearnFill fill, void *context, double *scores);

/* contributions (n_groups) are zero on entry; explained_score and baseline are scores at the two ends. */
extern DevStatus learn_explain_gradients(LearnExplainer *explainer, const LearnExplain *how, double *contributions,
										 double *score, double *baseline);
extern void learn_explain_gradients_close(LearnExplainer *explainer);	/* gives up explainer->work */
extern DevStatus learn_explain_shapley(LearnExplainer *explainer, const LearnExplain *how, double *contributions,
									   double *score, double *baseline);

#endif							/* IDLA_LEARN_EXPLAIN_H */

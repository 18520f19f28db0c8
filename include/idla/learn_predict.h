/*
 * learn_predict.h: answers of a model, and reasons for them.
 *
 * A predictor holds a model's graphs and buffers. Its bits for a row do not
 * depend on how many rows are asked at once. Not for several threads at a time.
 */
#ifndef IDLA_LEARN_PREDICT_H
#define IDLA_LEARN_PREDICT_H

#include "idla/learn_data.h"
#include "idla/learn_tags.h"

typedef struct LearnPredictor LearnPredictor;

/* model is borrowed and must outlive the predictor; both in the same session. max_batch: rows per pass. */
extern DevStatus learn_predictor_create(DevSession *session, const LearnModel *model, size_t max_batch, LearnPredictor **predictor);

/*
 * raw (n, n_channels), fields (n, n_fields) stored values (NULL for a model without) -> scores (n, outputs): the
 * calibrated logit of the positive class or of each label, the log probabilities, the values in the target's unit, or the log hazard
 * ratio. Any n. DEV_BAD_DATA when a score is not finite.
 */
extern DevStatus learn_predict_scores(LearnPredictor *predictor, size_t n, const float *raw, const LearnBytes *fields,
									  double *scores);
/*
 * What the networks know of a row before their last layers decide: how many numbers that is, one network after another; those that see the same,
 * as linear models of several folds do, once. 0: none, of a tagger, whose layers know tokens.
 */
extern size_t learn_predictor_embedding(const LearnPredictor *predictor);
/*
 * learn_predict_scores, of whose passes embeddings (n, learn_predictor_embedding) come as well: what each network's last layer multiplies, and of
 * LEARN_NAM what it adds up, the columns' shares of the outputs. A mean over the members of LEARN_TABM, over views and over windows, as the scores are.
 */
extern DevStatus learn_predict_embedded(LearnPredictor *predictor, size_t n, const float *raw, const LearnBytes *fields,
										double *scores, float *embeddings);
/* scores -> what users see, in place: probability (binary: 1; classes: one each), value, hazard ratio. */
extern void learn_scores_to_answers(const LearnModel *model, size_t n, double *scores);
/* The same as learn_predict_scores for rows of an encoded data set. */
extern DevStatus learn_predict_dataset(LearnPredictor *predictor, LearnDataset *dataset, const uint32_t *rows, size_t n, double *scores);
/*
 * Tagging: codes of LEARN_IOBES for the tokens of n stored texts, each of which has no more than the model reads at a time. Texts of about one
 * length that follow each other are computed together: in order of length many short ones are quick.
 */
typedef struct LearnTagged
{
	int32_t    *tags;			/* as many as the text has tokens; the caller's, and so are those below */
	float	   *certain;		/* how sure each is, the posterior of its code */
	int32_t    *actual;			/* the codes that it was stored with, LEARN_NO_TAG where it came without; or NULL */
	size_t		n;				/* set: tokens */
} LearnTagged;

extern DevStatus learn_predict_tags(LearnPredictor *predictor, size_t n, const LearnBytes *texts, LearnTagged *answers);
/* Survival: probability of being event-free at `time`. */
extern double learn_survival_at(const LearnModel *model, double log_hazard, double time);

/* ---- Explanation (src/learn/explain_*.c) ---- */

typedef enum LearnExplainMethod
{
	LEARN_INTEGRATED_GRADIENTS,
	LEARN_SHAPLEY				/* exact enumeration up to `exact` columns, antithetic permutations beyond */
} LearnExplainMethod;

typedef struct LearnExplain
{
	LearnExplainMethod method;
	int			output;			/* which class or target; binary, survival: 0 */
	int			exact;			/* most columns to enumerate, 12 */
	int			permutations;	/* Shapley beyond that, 0: default */
	double		tolerance;		/* integrated gradients: completeness error to reach (regression: in units of
								 * the target's scale), 0: 1e-3 */
	double		relative;		/* or to this share of |score - baseline|, where that is more: deep networks bend too often for less */
	uint64_t	seed;
	bool		by_parts;		/* contributions of the parts of one field instead of columns, and of all the rest as the last */
	int			field;
	const int  *segment_of;		/* by_parts: (learn_field_places, of this row) the segment that each belongs to, n_segments: to the rest; */
	int			n_segments;		/* contributions are of segments then. NULL: every part by itself */
} LearnExplain;

/*
 * fields (n_fields) are the row's stored values, NULL for a model without.
 * Why row `raw` scores as it does: contributions (n_columns, the user's columns, channels and
 * categories folded back; or learn_field_parts + 1, or n_segments + 1) on the score's scale, so that baseline + their sum = score but for
 * *error. The baseline is the score at the mean of the training rows' features. Columns the model does not use get 0.
 * Of several classes the score is the chosen one's log odds against all others. A row that integrated gradients
 * cannot bring within the tolerance comes back with the error that is left.
 * Segments of a signal that the network sees as features have no slopes: their Shapley values are found by putting
 * the training part's means in their place, and what the mean signal's features differ from the mean features by is in the rest.
 */
extern DevStatus learn_explain(LearnPredictor *predictor, const float *raw, const LearnBytes *fields, const LearnExplain *how,
							   double *contributions, double *score, double *baseline, double *error);

/*
 * Why a tagger finds an entity: `span` is of tokens of a stored text (no more than the model reads at a time). The score is the log odds of
 * all the entity's tags together under the model's chain, the baseline that of a text of the same length whose tokens have no features.
 * contributions (learn_field_parts + 1) are by token, each with all its features; of how the method, its tolerance and seed count.
 */
extern DevStatus learn_explain_entity(LearnPredictor *predictor, LearnBytes text, const LearnSpan *span, const LearnExplain *how,
									  double *contributions, double *score, double *baseline, double *error);

/*
 * Grad-CAM (Selvaraju et al. 2017): where a network's last convolution (or what it takes a mean over places of) finds what speaks for an output, or
 * `against` it. With A_pk the activation of channel k at place p of that map (normalised and rectified, where that follows) and w_k the mean over
 * places of the score's slope by A_pk, the heat of a place is max(0, sum of w_k A_pk over k). heat (dims[0], dims[1]) of an image, (dims[0]) of a
 * sequence: brought to the field's size as learn_image_resize does, the mean over the model's networks; its unit is that of
 * the score, times places. The score is learn_explain's. DEV_INVALID when no network of the model has such a map of the field.
 */
extern DevStatus learn_explain_cam(LearnPredictor *predictor, const float *raw, const LearnBytes *fields, int field, int output,
								   bool against, float *heat);

/*
 * Permutation importance: how much worse `metric` gets when a column's values are shuffled among the rows.
 * raw (n, n_channels), fields (n, n_fields) as for learn_predict_scores; importance and deviation (n_columns), mean and
 * standard deviation over repeats. Of metric more is better; it gets all n rows' scores.
 */
typedef DevStatus (*LearnMetric) (void *context, size_t n, const double *scores, double *value);
extern DevStatus learn_importance(LearnPredictor *predictor, size_t n, const float *raw, const LearnBytes *fields, int repeats, uint64_t seed,
								  LearnMetric metric, void *context, double *importance, double *deviation);

#endif							/* IDLA_LEARN_PREDICT_H */

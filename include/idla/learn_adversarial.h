/*
 * learn_adversarial.h: inputs changed so that a network errs, as far as they may be changed.
 *
 * Gradient attacks (FGSM: Goodfellow et al. 2015, PGD: Madry et al. 2018, the inner step of TRADES: Zhang et al.
 * 2019) on rows of floats, whatever gives losses and gradients: a run in training, a predictor, or any other oracle. For
 * tables the same attack works on raw values in the user's units, within ranges, steps and known categories.
 *
 * The attacks allocate nothing, so worker threads may call them, each with an oracle and scratch of its own.
 * A row's result depends on its own numbers, (seed, counter of the row) and the oracle, not on its batch.
 */
#ifndef IDLA_LEARN_ADVERSARIAL_H
#define IDLA_LEARN_ADVERSARIAL_H

#include "idla/learn_predict.h"

typedef enum LearnNormKind
{
	LEARN_NORM_MAX,				/* L-infinity: no value moves farther than epsilon */
	LEARN_NORM_L2				/* the Euclidean length of the whole change is at most epsilon */
} LearnNormKind;

extern const char *const learn_norm_names[];	/* "linf", "l2"; NULL ends */

/*
 * Losses of the first n rows of the batch that the oracle stands for (it knows their labels), as if they had these inputs
 * (n, n_inputs). losses (n): what the attack wants large. wrong (n) may be NULL: whether the answer is wrong. diff
 * (n, n_inputs) may be NULL: gradient of each row's loss by its inputs. A status that is not DEV_OK ends the attack.
 */
typedef struct LearnOracle
{
	void	   *context;
	size_t		n_inputs;
	DevStatus	(*score) (void *context, size_t n, const float *inputs, float *losses, uint8_t *wrong, float *diff);
} LearnOracle;

/* What inputs may be: low and high (n_inputs) for all rows, or (n, n_inputs) by row. A row's own value is always allowed. */
typedef struct LearnBox
{
	const float *low;
	const float *high;
	bool		by_row;
} LearnBox;

typedef struct LearnAttack
{
	LearnNormKind norm;
	double		epsilon;		/* LEARN_NORM_MAX: INFINITY leaves the box alone as the bound */
	int			steps;			/* of the gradient; 0: points drawn at random only */
	double		rate;			/* length of a step as a share of epsilon (of what the box leaves of it); 0: 2.5 / steps, at most 1 */
	int			restarts;		/* times the attack is made, 1 to 1000; from the second on from a random point */
	bool		random_start;	/* the first time too */
	bool		keep_best;		/* the point of the largest loss of all; else that after the last step, as training uses */
} LearnAttack;

extern LearnAttack learn_attack_fgsm(LearnNormKind norm, double epsilon);	/* one step of epsilon from the row itself */
/* Random start, the last point: for training. */
extern LearnAttack learn_attack_pgd(LearnNormKind norm, double epsilon, int steps);
/* The row itself and restarts - 1 random starts, the best point: for judging. */
extern LearnAttack learn_attack_judge(LearnNormKind norm, double epsilon, int steps, int restarts);
/* DEV_INVALID, with words, for what is out of range. */
extern DevStatus learn_attack_check(DevSession *session, const LearnAttack *how);

/* Floats of scratch for n rows. */
extern size_t learn_attack_scratch(size_t n, size_t n_inputs);

/*
 * clean (n, n_inputs) -> perturbed (n, n_inputs), another buffer. box may be NULL. epsilons (n) in place of how->epsilon, or
 * NULL. counter + i is row i's counter in DEV_STREAM_ATTACK. losses (n) of the perturbed rows, may be NULL. fooled (n) may be
 * NULL; else a row is done at its first wrong answer and fooled[i] tells whether there was one (the row itself counts when
 * the attack starts there). NaN in clean stays. DEV_INVALID for LEARN_NORM_L2 with an infinite epsilon.
 */
extern DevStatus learn_attack(const LearnAttack *how, const LearnOracle *oracle, const LearnBox *box, size_t n,
							  const float *clean, const float *epsilons, uint64_t seed, uint64_t counter,
							  float *perturbed, float *losses, uint8_t *fooled, float *scratch);

/* ---- A run as the oracle: adversarial training ---- */

/*
 * The other inputs of the run (codes, targets) must be set for the n rows. Passes bind the weights without a weight
 * gradient and leave the run bound to diff_weights; nn_run_all_gradients is off afterwards.
 *
 * mode: NN_INFER is what the attack of a finished network sees, makes rows independent of each other, and always gives
 * gradients of inputs: take it unless there is a reason. NN_TRAIN attacks through dropout (the mask of seed, step and
 * first_row, the same in every step) and batch statistics, which then depend on the whole perturbed batch.
 */
typedef struct LearnRunOracle
{
	NnRun	   *run;
	const float *weights;		/* device, as for nn_run_bind */
	float	   *diff_weights;
	NnNode		input;			/* float input that is perturbed */
	NnNode		loss;			/* (1); its rise is what the attack wants, unless clean is set */
	NnMode		mode;
	uint64_t	seed;
	uint64_t	step;
	size_t		first_row;

	/* TRADES: the divergence of `answer` from what it was for the clean rows; clean NULL: off */
	NnNode		answer;			/* logits or values, (outputs) or (members, outputs) */
	NnMean		scale;			/* what answer is: see learn_divergence */
	const float *clean;			/* (n, size of answer): values of answer for the clean rows, in the same mode and step */
	float	   *seeds;			/* (n, size of answer) scratch */
	size_t		positions;		/* filled by learn_run_oracle */
	size_t		outputs;
	size_t		n_inputs;
} LearnRunOracle;

/* The oracle over run, which must outlive it. `graph` is the run's. wrong is not known to it: all zero. */
extern LearnOracle learn_run_oracle(LearnRunOracle *run, const NnGraph *graph);

/*
 * How far `moved` answers are from `clean` ones, and the gradient by both, times weight; either gradient may be NULL.
 * NN_MEAN_BINARY: KL(clean || moved) of the Bernoulli distributions of logits, mean over outputs; NN_MEAN_CLASSES: of the
 * softmax; NN_MEAN_VALUE: half the squared difference, mean over outputs. Mean over positions. Gradients are added nowhere
 * but written. The outer step of TRADES is loss(clean) + beta * divergence(clean, moved).
 */
extern double learn_divergence(NnMean scale, size_t positions, size_t outputs, const float *clean, const float *moved,
							   float weight, float *diff_clean, float *diff_moved);

/* ---- Tables (src/learn/adversarial_table.c) ---- */

/* What a column allows, in the user's unit. Zeroed means "cannot change"; learn_constraint_free allows all. */
typedef struct LearnConstraint
{
	bool		mutable;
	double		low;			/* numbers: bounds, -INFINITY and INFINITY for none */
	double		high;
	double		step;			/* numbers: only whole multiples, 1 for integers; 0: any number */
	int			n_allowed;		/* categories: codes that may be chosen; n_allowed 0: every known one */
	const int32_t *allowed;
	bool		checked;		/* whether a change is allowed depends on the whole row: LearnReferee knows */
} LearnConstraint;

/* What constraints by channel cannot say: whether the host allows a raw row (n_channels) of a batch, changed so. */
typedef struct LearnReferee
{
	void	   *context;
	DevStatus	(*judge) (void *context, size_t row, const float *changed, bool *allowed);
} LearnReferee;

extern LearnConstraint learn_constraint_free(void);
/* DEV_INVALID, naming the channel, for bounds, steps and codes that cannot be. */
extern DevStatus learn_constraints_check(DevSession *session, const LearnChannel *channels, int n_channels,
										 const LearnConstraint *constraints);
/*
 * Raw units that one unit of epsilon is, always above 0: 1 / scale of the channel, which is the interquartile range for
 * robust scaling (half the range for a number of two values, so that a boolean's change takes 2 units), a standard deviation
 * for standard scaling and 1 without scaling; the interquartile range for quantile scaling.
 */
extern double learn_channel_unit(const LearnChannel *channel);

/*
 * The box, among the encoded number inputs, of a raw change of at most epsilon within the constraints: for adversarial
 * training, which has encoded rows only. numbers (n, n_numbers) -> low, high (n, n_numbers), to be used with epsilon
 * INFINITY. Scaling is monotone, so for LEARN_NORM_MAX and step 0 the box is exact but for rounding; steps are ignored (the
 * network is trained against a little more than can happen). Missing values, indicators and what cannot change have no room.
 */
extern void learn_table_box(const LearnChannel *channels, int n_channels, const LearnConstraint *constraints,
							double epsilon, size_t n, size_t n_numbers, const float *numbers, float *low, float *high);

/* As LearnOracle for encoded rows: numbers (n, n_numbers), codes (n, n_codes), diff by numbers. */
typedef struct LearnRowOracle
{
	void	   *context;
	DevStatus	(*score) (void *context, size_t n, const float *numbers, const int32_t *codes,
						  float *losses, uint8_t *wrong, float *diff);
} LearnRowOracle;

typedef struct LearnTableAttack
{
	LearnAttack numbers;		/* epsilon in units of learn_channel_unit; keep_best is implied */
	int			rounds;			/* numbers, then categories, so often; at least 1 */
	int			max_changes;	/* categories that may change in a row */
	int			max_codes;		/* tried of each, the most frequent ones; 0: 32 */
	const LearnReferee *referee;	/* asked when a checked channel differs from the row's own; NULL: nothing is forbidden */
} LearnTableAttack;

typedef struct LearnTableAttacker LearnTableAttacker;

/* Takes all memory. channels and constraints (n_channels) are borrowed and must have been checked. */
extern DevStatus learn_table_attacker_create(DevSession *session, const LearnChannel *channels, int n_channels,
											 const LearnConstraint *constraints, size_t n_numbers, size_t n_codes,
											 size_t max_rows, LearnTableAttacker **attacker);
extern void learn_table_attacker_free(LearnTableAttacker *attacker);	/* NULL is allowed */
/*
 * raw (n, n_channels) -> changed (n, n_channels), n <= max_rows: every row is what an attack within epsilon may make of its own: what
 * cannot change is the same bits, numbers are the row's own or within bounds and on their steps, categories the row's own or allowed, at most
 * max_changes of them changed (none at epsilon 0, which is the row itself), the numbers' change within epsilon but for rounding (1e-6 of it),
 * and what is missing stays missing. Gradients by raw values
 * go through the derivative of the scaling; values are rounded to their steps before the oracle sees them, so what
 * is returned is what was judged. Categories are chosen greedily: the one change that raises the loss most, then the
 * next. epsilons (n) or NULL; losses (n) or NULL; fooled (n) as in learn_attack, or NULL.
 *
 * What the referee forbids goes back half the way to the row, a few times, then takes the checked numbers one by one as far as they are
 * allowed. So every row that the oracle sees was allowed, the row itself aside, which is not asked about. A status of the
 * referee that is not DEV_OK ends the attack.
 */
extern DevStatus learn_table_attack(LearnTableAttacker *attacker, const LearnTableAttack *how,
									const LearnRowOracle *oracle, size_t n, const float *raw, const float *epsilons,
									uint64_t seed, uint64_t counter, float *changed, float *losses, uint8_t *fooled);

/* ---- Search without gradients ---- */

/*
 * As learn_attack with the best point kept, for an oracle that has no gradients to give (diff is never asked for): random search by
 * stretches of positions that jump to the ends of ball and box (linf) or are lifted within the ball (l2), ever shorter ones, each kept where the
 * loss rises (the square attack of Andriushchenko et al. 2020, along one dimension). The row itself, then steps * restarts points. A row has
 * `positions` by `depth` inputs, of which lengths[row] positions are moved; lengths NULL: all. steps 0: random points, as of learn_attack.
 */
extern DevStatus learn_attack_blind(const LearnAttack *how, const LearnOracle *oracle, const LearnBox *box, size_t n, size_t positions,
									size_t depth, const int32_t *lengths, const float *clean, const float *epsilons, uint64_t seed,
									uint64_t counter, float *perturbed, float *losses, uint8_t *fooled, float *scratch);

/* ---- Images, signals and series (src/learn/adversarial_moves.c, adversarial_field.c) ---- */

/*
 * What an attack moves of a field: pixels and samples, centred and scaled, as the network sees them; samples, too, where the network sees
 * rocket's features of them; of a series (n_bins, n_channels) bins in deviations of their channel, NaN where nothing was observed, which stays so.
 */
extern bool learn_field_is_attacked(const LearnField *field);	/* all but texts */
extern bool learn_field_has_slope(const LearnField *field);	/* not of rocket: learn_attack_blind */
extern size_t learn_field_moves(const LearnField *field);	/* how many floats that is */
extern size_t learn_field_moved_positions(const LearnField *field, LearnBytes stored);	/* how many positions of a stored value are no padding */
extern void learn_field_moves_load(const LearnField *field, LearnBytes stored, float *moves, int32_t *length);
/*
 * The network's plane of moves. plane: of a series as loaded from what is stored, to be changed; else overwritten. length: of the signal;
 * scratch: learn_field_scratch floats.
 */
extern void learn_field_moves_show(const LearnField *field, const float *moves, size_t length, float *scratch, float *plane);
/* Of a series alone: bins of a loaded plane, the plane of bins, and from gradients by the plane (n_bins, 3 n_channels) those by the bins. */
extern void learn_series_bins(const LearnField *field, const float *plane, float *moves);
extern void learn_series_show(const LearnField *field, const float *moves, float *plane);
extern void learn_series_slope(const LearnField *field, const float *moves, const float *by_plane, float *by_moves);
/*
 * low and high of what moves of one value: epsilon in [0, 1] pixel units, and pixels stay in [0, 1]; for arrays and signals
 * in the scaled values, where padding beyond length stays; for bins in deviations. INFINITY leaves the range alone as the bound.
 */
extern void learn_field_box(const LearnField *field, size_t length, double epsilon, const float *plane, float *low, float *high);
/* What one unit of epsilon is in the stored values of channel d: 1 for pixels, which are stored in [0, 1]; 1 / scale for numbers of arrays. */
extern double learn_field_unit(const LearnField *field, size_t d);
/*
 * The steps in which what is stored of a field can change: what moves of n rows is brought to the nearest ones that lie in
 * the box and the ball, as placing a row on the steps of its columns does. Whatever is on a step already stays.
 */
typedef struct LearnFieldSteps
{
	double		step;			/* in stored values: 1 / 255 for eight-bit pixels, 1 for whole numbers; 0: none, any value will do */
	const float *clean;			/* (n, size) loaded */
	const float *low;			/* (n, size), as learn_field_box gives them */
	const float *high;
	const float *radii;			/* (n) Euclidean, INFINITY: none */
} LearnFieldSteps;

extern void learn_field_round(const LearnField *field, const LearnFieldSteps *steps, size_t n, size_t size, float *planes);
/* A Euclidean epsilon of the same unit in loaded values: of colours the mean of the channels' scales counts. */
extern double learn_field_radius(const LearnField *field, double epsilon);

/* ---- A predictor as the oracle (src/learn/adversarial_predict.c) ---- */

/*
 * A model's calibrated answer. Loss: the log of the odds against the right class, of several labels that of the least sure one; regression: squared
 * error in units of the targets' scale, mean over targets.
 * Wrong: another class than the label is likelier (binary: the probability of the positive class is on the other side of one
 * half, or of the threshold); one label of several is; regression: a target is off by more than tolerance scales. labels (n): class codes, for binary
 * 0 and 1; several labels (n, n_outputs) 0 and 1; regression (n, n_outputs) in the target's unit. DEV_INVALID for survival, which has no wrong answer.
 */
typedef struct LearnPredictorOracle LearnPredictorOracle;
extern DevStatus learn_predictor_oracle_create(LearnPredictor *predictor, double tolerance, LearnPredictorOracle **oracle);
/* Binary: the positive class is named from this probability on, above 0 and below 1. */
extern void learn_predictor_oracle_threshold(LearnPredictorOracle *oracle, double threshold);
extern void learn_predictor_oracle_set(LearnPredictorOracle *oracle, const float *labels);	/* borrowed, for the next batch */
/* Stored fields of the next batch's rows (n, n_fields), borrowed; needed by a model that has fields. */
extern void learn_predictor_oracle_fields(LearnPredictorOracle *oracle, const LearnBytes *fields);
/* From now on, and until the next batch's fields, what moves of a field is this (n, learn_field_moves), borrowed; NULL: as stored. */
extern void learn_predictor_oracle_moved(LearnPredictorOracle *oracle, int field, const float *planes);
/*
 * The oracle over what moves of one field (learn_field_moves floats a row); the rows' encoded numbers and codes are borrowed for the batch.
 * steps, borrowed, or NULL: moves are judged as learn_field_round makes them, in rounded (n, size). Gradients are zeros where there is no slope.
 */
extern LearnOracle learn_predictor_field_oracle(LearnPredictorOracle *oracle, int field, const float *numbers,
												const int32_t *codes, const LearnFieldSteps *steps, float *rounded);
/* From now on, and until the next batch's fields, a text is stored so (n), borrowed; NULL: as in the fields. */
extern void learn_predictor_oracle_texts(LearnPredictorOracle *oracle, int field, const LearnBytes *stored);
extern LearnRowOracle learn_predictor_oracle(LearnPredictorOracle *oracle);

/* ---- Texts (src/learn/adversarial_text.c) ---- */

/*
 * Misspells words of texts, field `number` of the oracle's model. Words are of four letters or more; first and last letter stay. Takes all memory
 * but that for the texts themselves, of which those of more than 1 MB stay as they are. One that is token array (a tagger's) is not for this.
 */
typedef struct LearnTextAttacker LearnTextAttacker;
extern DevStatus learn_text_attacker_create(DevSession *session, LearnPredictorOracle *oracle, const LearnField *field, int number, size_t max_rows,
											LearnTextAttacker **attacker);
/* Whether the host takes a text for a row of the batch. */
typedef struct LearnTextReferee
{
	void	   *context;
	DevStatus	(*judge) (void *context, size_t row, LearnBytes text, bool *allowed);
} LearnTextReferee;

/*
 * Changes at most max_words words in each of the n texts of the oracle's batch: the loss rises with each. given (n): UTF-8, and what
 * is stored of it; both borrowed until the next attack; NULL bytes: stays. The rows' encoded numbers and codes, borrowed for the call. fooled (n)
 * may be NULL; else a row is done when its answer is wrong, and fooled tells. The oracle's texts are the changed ones afterwards. referee, which
 * may be NULL, is asked about each text that would be kept; the last one that it allows is.
 */
extern DevStatus learn_text_attack(LearnTextAttacker *attacker, int max_words, const LearnTextReferee *referee, size_t n,
								   const LearnBytes *given, const LearnBytes *stored, const float *numbers, const int32_t *codes,
								   uint64_t seed, uint64_t counter, uint8_t *fooled);
/* The text of a row as it is changed, good until the next call; false where it is as it was. */
extern bool learn_text_attacked(LearnTextAttacker *attacker, size_t row, LearnBytes *text);
/* A row's text is as it was, for the oracle too. */
extern void learn_text_restore(LearnTextAttacker *attacker, size_t row);

#endif							/* IDLA_LEARN_ADVERSARIAL_H */

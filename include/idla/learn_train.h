/*
 * learn_train.h: from an encoded data set to a model.
 *
 * The trainer shares each batch among its threads (data parallel: every thread
 * runs forward and backward on its rows, then all reduce and step disjoint
 * parts of the weights). Same seed and same number of threads: same bits.
 */
#ifndef IDLA_LEARN_TRAIN_H
#define IDLA_LEARN_TRAIN_H

#include "idla/learn_adversarial.h"
#include "idla/learn_augment.h"

typedef enum LearnAdversaryMethod
{
	LEARN_NO_ADVERSARY,
	LEARN_FGSM,					/* one step of epsilon */
	LEARN_PGD,					/* several from a random start */
	LEARN_TRADES				/* as PGD, away from the clean answer; every row, clean loss + beta * divergence */
} LearnAdversaryMethod;

extern const char *const learn_adversary_names[];	/* "off", "fgsm", "pgd", "trades"; NULL ends */

/*
 * Training against changed rows. Of tables the numbers are changed, within constraints, as learn_table_box says; of images and
 * signals every value: pixels within [0, 1]. All in the units of learn_table_box, of pixels in [0, 1], of deviations of a lead.
 */
typedef struct LearnAdversary
{
	LearnAdversaryMethod method;
	LearnNormKind norm;
	double		epsilon;
	int			steps;			/* PGD, TRADES */
	double		step;			/* length of a step as a share of epsilon, 0: 2.5 / steps */
	int			restarts;		/* PGD: the worst of so many */
	double		share;			/* of the rows that are changed; TRADES: all */
	double		beta;			/* TRADES */
	const LearnConstraint *constraints;	/* (n_channels), borrowed; NULL: all numbers are free */
	const bool *fixed;			/* (n_fields), borrowed: images and signals that stay; NULL: none */
} LearnAdversary;

/* DEV_INVALID, with words, for what is out of range or cannot be trained so. */
extern DevStatus learn_adversary_check(DevSession *session, const LearnAdversary *adversary, const LearnModel *model);

/* Zero, or negative where zero means something, is "the default for this architecture and data". */
typedef struct LearnTraining
{
	int			epochs;			/* at most */
	int			batch;			/* rows a step */
	int			patience;		/* epochs without a better validation loss before stopping; 0: default, -1: never stops */
	int			optimizer;		/* NnOptimizerKind, -1: default */
	double		rate;
	double		matrix_rate;	/* Muon */
	double		decay;			/* -1: default */
	double		momentum;		/* SGD, Muon; -1: default */
	int			schedule;		/* NnScheduleKind, -1: default */
	double		warm_up;		/* share of steps; -1: default */
	double		clip;			/* largest gradient norm; 0: none, -1: default */
	double		average;		/* decay of the running average of the weights (EMA); 0: off, -1: default */
	double		word_dropout;	/* share of a text's tokens that become unknown in training; negative: default */
	double		smoothing;		/* of labels */
	double		huber;			/* regression; 0: squared error */
	bool		balanced;		/* class weights inverse to frequency, probabilities corrected back */
	const double *class_weights;	/* (classes) given by the user, or NULL */
	bool		calibrate;		/* temperature on the validation part */
	int			folds;			/* 0 or 1: one network; k: k networks, each validated on its own fold, blended */
	int			bags;			/* networks of other seeds a fold, blended; 0: 1 */
	int			augmented;		/* 1: as `augment` says, 0: not at all, -1: default */
	LearnAugment augment;
	LearnAdversary adversary;
	int			linear;			/* blend in a linear model: 1 yes, 0 no, -1: default */
	double		lessons;		/* weight of the teacher's answers in what is learned, the rest is the row's own target; 0: they are not looked at */
	bool		tabular;		/* beside each network of fields one of the ordinary columns alone, of the usual architecture */
	uint64_t	seed;
	int			threads;		/* at least 1 */
} LearnTraining;

typedef struct LearnProgress
{
	const char *phase;			/* "training", "calibrating", ... */
	int			net;			/* 1 .. n_nets */
	int			n_nets;
	int			epoch;			/* 1 .. epochs */
	int			epochs;
	uint64_t	rows;			/* rows trained on so far, all epochs and nets */
	double		loss;			/* mean training loss of the epoch so far */
	double		validation;		/* validation loss of the last epoch, NaN before the first */
	double		best;			/* best so far */
	double		seconds_left;	/* estimate, an upper bound while early stopping may still come */
	bool		epoch_end;		/* an epoch was just completed */
} LearnProgress;

/* Called on the main thread at most every 50 ms or at the end of an epoch. False stops the run with DEV_HOST. */
typedef bool (*LearnReport) (void *context, const LearnProgress *progress);

typedef struct LearnOutcome
{
	int			epochs;			/* done, summed over nets */
	int			best_epoch;		/* of the last net */
	double		train_loss;
	double		validation_loss;	/* best, mean over nets */
	double		seconds;
	uint64_t	steps;
	uint64_t	rows;

	/* With folds: rows of the train and validation parts, and what the networks that were not trained on them say, their mean */
	size_t		n_held;
	uint32_t   *held_rows;		/* (n_held) in the session's memory; NULL without folds, and for taggers and survival */
	double	   *held_scores;	/* (n_held, outputs) as learn_predict_scores gives them */
} LearnOutcome;

/*
 * Trains on dataset's train part, stops on its validation part, and fills model's nets,
 * temperature, offset, baselines and hazard. model->channels and sizes are set by the caller;
 * network gives the wishes and comes back resolved. Nothing but the test part is kept from training and stopping.
 */
extern DevStatus learn_train(DevSession *session, LearnDataset *dataset, LearnModel *model,
							 LearnNetwork *network, const LearnTraining *training, const LearnSplit *split,
							 LearnReport report, void *report_context, LearnNotes *notes, LearnOutcome *outcome);

/* The training options as they will be used, defaults filled in; what the manifest records. */
extern void learn_training_resolve(const LearnNetwork *network, size_t n_train, LearnTraining *training);

/*
 * Whether such a training solves equations in place of taking steps: rocket's linear model by ridge regression, the
 * penalty chosen by leaving rows out. Then no validation part is needed. training as the user gave it, not resolved.
 */
extern bool learn_training_solves(const LearnNetwork *network, size_t n_train, const LearnTraining *training);

#endif							/* IDLA_LEARN_TRAIN_H */

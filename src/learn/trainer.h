/*
 * trainer.h: the parts of the trainer; private to src/learn.
 *
 *     trainer.c      folds, bags and the linear member; what becomes of them
 *     train_net.c    one network: epochs, schedule, early stopping
 *     train_solve.c  one network by equations
 *     train_step.c   one batch shared among the threads
 *     train_windows.c  signals that are seen a window at a time
 *     train_augment.c, train_adversary.c   what is done to its rows before the network sees them
 *     train_judge.c  the answers and the loss on rows held out
 *     train_lessons.c  targets that are in part a teacher's answers
 *     train_tags.c   the same of taggers: how much of the entities is found
 *     calibrate.c, hazard.c   what is fitted to the answers afterwards
 *
 * A machine is one graph with everything needed to train and judge it, used
 * for one network after another: nothing is allocated while it works.
 */
#ifndef IDLA_LEARN_TRAINER_H
#define IDLA_LEARN_TRAINER_H

#include "architecture.h"
#include "decode_tags.h"
#include "field_batch.h"
#include "parallel.h"
#include "stretch.h"
#include "windows.h"

#include "idla/learn_train.h"

#include <stdatomic.h>

typedef struct LearnRange
{
	size_t		first;
	size_t		count;
} LearnRange;

/* Augmentation, shared by the workers; read only while they work. */
typedef struct LearnAugmenter
{
	const LearnAugment *augment;
	bool		kinds[LEARN_N_AUGMENT_KINDS];	/* which are changed at all */
	bool		tables;
	bool		mixed;			/* images, and targets with them */
	LearnAugmentImage image;
	LearnAugmentTable table;
	LearnTableLayout layout;
} LearnAugmenter;

/* Adversarial training, likewise. */
typedef struct LearnResistance
{
	LearnAdversary adversary;
	const LearnChannel *channels;
	int			n_channels;
	const LearnConstraint *constraints;	/* (n_channels) */
	double		share;			/* of changed rows in a batch, and of their loss in what is judged by */
} LearnResistance;

/* An input that attacks change. */
typedef struct LearnMoved
{
	NnNode		node;
	int			field;			/* -1: the numbers */
	size_t		size;			/* of the input */
	size_t		moves;			/* of what moves: of a series its bins, see learn_field_moves; else the input */
	bool		nudge;			/* what is added to the field's embedded pieces */
} LearnMoved;

struct LearnMachine;

/* What one thread has of its own. */
typedef struct LearnWorker
{
	int			number;
	struct LearnMachine *machine;
	NnRun	   *runs[LEARN_MAX_STRETCHES];
	NnRun	   *run;			/* of the stretch that the rows now loaded need */
	DevQueue   *queue;
	float	   *diff_weights;	/* device: the gradient of this worker's rows */
	float	   *squared;		/* device (1) */
	float	   *numbers;		/* host (max_rows, n_numbers) */
	int32_t    *codes;			/* host (max_rows, n_codes) */
	float	   *targets;		/* host (max_rows, n_targets) */
	int32_t    *classes;		/* host (max_rows): targets as codes */
	float	   *shares;			/* host (max_rows, n_outputs): targets as shares of the classes, NULL unless they are mixed */
	LearnFieldBatch fields;		/* host (max_rows) */
	double		loss;			/* sum over its rows of this job */
	double		norm;			/* squared norm of its share of the gradient */
	size_t		passes;			/* backward passes of this job */
	LearnChain	chain;			/* tagging */
	int32_t    *tags;			/* tagging: (longest text) */
	LearnTagScores *scores;		/* tagging: of its rows of this job */
	double	   *number_sums;	/* (n_numbers): of the rows seen while the machine counts */
	uint64_t   *code_counts;	/* (sum of cardinalities) */

	/* Rows held out, and rows of a problem to solve, in windows; NULL without */
	LearnSlot  *slots;			/* (max_rows) what is loaded */
	double	   *pooled;			/* (max_rows, n_outputs) */
	double	   *window_outputs; /* (n_outputs) */
	float	   *answers;		/* (max_rows, n_outputs) */

	/* Augmentation; NULL without */
	float	   *augment_scratch;
	float	   *partner;		/* an image */
	float	   *partner_numbers;
	int32_t    *partner_codes;
	float	   *partner_targets;
	float	   *partner_shares;	/* (n_outputs) */

	/* Adversarial training; NULL without */
	float	  **moved;			/* (n_moved): (max_rows, size) each */
	float	   *low;			/* (max_rows, largest size) */
	float	   *high;
	float	   *attack_scratch;
	float	   *bins;			/* of series (max_rows, most moves), as they are and ... */
	float	   *moved_bins;		/* ... as they are moved */
	float	   *tried;			/* their planes, (max_rows, size), and ... */
	float	   *by_tried;		/* ... gradients by these */
	float	  **nudges;			/* (n_fields): (max_rows, size) added to embedded texts, NULL for others */
	float	   *radii;			/* (max_rows) of these under l2 */
	float	   *clean;			/* (max_rows, size of heads), and the like */
	float	   *by_clean;
	float	   *by_moved;
} LearnWorker;

/* One step's settings. */
typedef struct LearnStep
{
	uint64_t	seed;
	uint64_t	number;
	uint64_t	epoch;
	float		rate_factor;
	float		clip;			/* 0: none */
	float		decay;			/* of the running average in this step */
	double		word_dropout;	/* share of a text's tokens that become unknown */
} LearnStep;

/* Rows held out, in their sampler's order, and what networks say about them. */
typedef struct LearnHeld
{
	LearnSampler *sampler;
	size_t		n;
	size_t		keep;			/* the first so many have their outputs kept */
	uint32_t   *rows;			/* (keep) their numbers */
	float	   *targets;		/* (keep, n_targets) */
	float	   *outputs;		/* (keep, n_outputs) of the last judgement */
	float	   *best;			/* (keep, n_outputs) of the best epoch */
	float	   *total;			/* (keep, n_outputs) summed over the networks that were not trained on them */
	int			n_total;
} LearnHeld;

typedef struct LearnMachine
{
	DevSession *session;
	DevDevice  *device;
	LearnTeam  *team;			/* borrowed; its first n_workers are used */
	int			n_workers;
	LearnNetwork network;
	LearnStretches stretches;
	LearnGraph	built;			/* the last stretch's */
	size_t		n_weights;
	size_t		n_codes_total;	/* sum of cardinalities */
	size_t		n_targets;
	size_t		n_outputs;
	size_t		max_rows;		/* of one pass of one worker */
	LearnWorker *workers;		/* (n_workers) */
	float	   *weights;		/* device */
	float	   *average;		/* device: running average of weights */
	float	   *best;			/* device: what the best epoch ended with */
	float	   *host_weights;
	LearnRange *trained;		/* contiguous parts of the weights that are trained ... */
	int			n_trained;
	LearnRange *statistics;		/* ... and that are running statistics */
	int			n_statistics;
	NnOptimizer *optimizer;
	double	   *offset;			/* (n_outputs): prior correction, added to outputs when they are judged */
	LearnClassScore *label_scores;	/* (n_outputs) tagging */
	bool		soft;			/* targets are shares of the classes */
	const float *lessons;		/* (rows, n_outputs) a teacher's answers, of the data set; NULL: there is none */
	float		lesson_weight;
	bool		windowed;		/* there are signals seen in windows */
	const LearnAugmenter *augmenter;	/* NULL: rows are as they are */
	const LearnResistance *resistance;	/* NULL: nobody attacks */
	int			n_moved;
	LearnMoved *moved;
	const float *bound;			/* weights that the workers' runs have now */
	bool		counting;		/* the first epoch: inputs are summed for the baseline */

	/* The job under way; written by the main thread between jobs. */
	const LearnSampler *sampler;
	size_t		first;			/* of the window */
	size_t		count;
	LearnStep	step;
	LearnHeld  *held;
	size_t		position;		/* of the window's first row among the rows held out */
	double		last_poll;
	DevStatus	status;			/* of polling */
	atomic_bool stop;
} LearnMachine;

/* Tells the host how far the training is. */
typedef struct LearnMonitor
{
	DevSession *session;
	LearnReport report;			/* NULL: nobody listens */
	void	   *context;
	double		start;
	double		last;
	double		planned;		/* rows still to come at most, all epochs and nets */
	LearnProgress progress;
} LearnMonitor;

extern double learn_seconds(void);	/* monotonic clock */

/* At most every 50 ms but at the end of an epoch. */
extern DevStatus learn_monitor_tick(LearnMonitor *monitor, bool epoch_end);

/* ---- train_step.c ---- */

/* max_threads and batch decide how many workers take part and how many rows one pass has. */
extern DevStatus learn_machine_create(DevSession *session, DevDevice *device, LearnTeam *team,
									  const LearnNetwork *network, const LearnLoss *loss, size_t batch,
									  LearnMachine *machine);
/* Gives up its memory. A zeroed machine is allowed. */
extern void learn_machine_free(LearnMachine *machine);
/* Fresh weights and optimiser state for the next network. */
extern DevStatus learn_machine_start(LearnMachine *machine, const NnOptimizerSpec *spec, uint64_t seed);
/* One step on `count` rows of the sampler's window; *loss is the sum of the rows' losses. */
extern DevStatus learn_machine_step(LearnMachine *machine, const LearnSampler *sampler, size_t first, size_t count,
									const LearnStep *step, double *loss);
/* Runs job on the machine's workers. */
extern void learn_machine_run(LearnMachine *machine, LearnJob job);
/* Worker 0 only: keeps the host's wish to stop in machine->status and ->stop. */
extern void learn_machine_poll(LearnMachine *machine);
extern void learn_machine_bind(LearnMachine *machine, const float *weights);
/* Rows first to first + rows of the window into the worker's buffers. */
extern void learn_machine_load(LearnMachine *machine, LearnWorker *worker, size_t first, size_t rows);
/* The worker's run is that of the shortest stretch that takes all texts of these rows. */
extern void learn_machine_stretch(LearnMachine *machine, LearnWorker *worker, size_t first, size_t rows);
/* The worker's run made anew, for that use: NN_RUN_TRAIN at first. */
extern DevStatus learn_worker_run(LearnMachine *machine, LearnWorker *worker, NnRunUse use);
/* Adds the worker's `rows` loaded rows to the sums that the baseline is made of. */
extern void learn_machine_count(LearnMachine *machine, LearnWorker *worker, size_t rows);
/* The first `rows` loaded rows into its run's inputs, and their targets. */
extern void learn_machine_set(LearnMachine *machine, LearnWorker *worker, size_t rows);
extern void learn_machine_set_inputs(LearnMachine *machine, LearnWorker *worker, size_t rows);
extern void learn_machine_copy(LearnMachine *machine, const float *src, float *dst);	/* weights on the device */

/* ---- train_lessons.c ---- */

/* DEV_INVALID for what a teacher cannot be combined with, or answers that are none; the training's weight is not 0. */
extern DevStatus learn_lessons_check(DevSession *session, LearnDataset *dataset, const LearnModel *model, const LearnTraining *training);
/* The machine's training looks at the data set's lessons from now on, which stay where they are. */
extern void learn_machine_teach(LearnMachine *machine, const float *lessons, double weight);
/*
 * targets (rows, n_outputs) of the rows of the window from place `first` on, shares where targets are classes: drawn towards what
 * the teacher says of them. Rows that it says nothing of keep theirs.
 */
extern void learn_machine_blend(const LearnMachine *machine, size_t first, size_t rows, float *targets);

/* What the teacher says of the row at a place of the window: (n_outputs), NaN where nothing. */
extern void learn_machine_lesson(const LearnMachine *machine, size_t place, float *lesson);

/* ---- train_windows.c ---- */

extern DevStatus learn_worker_windows(LearnMachine *machine, LearnWorker *worker);
extern void learn_worker_windows_free(LearnMachine *machine, LearnWorker *worker);
/* A place of the sampler's window: the value of a field that this step's training sees. */
extern LearnBytes learn_machine_drawn(const LearnMachine *machine, int field, size_t place);

/* Gets the node's values for one window; those of a row come in their order. */
typedef void (*LearnWindowVisit) (void *context, const LearnSlot *slot, const float *values);

/* Computes `node` for all windows of rows first to first + rows of the sampler's window. Less when training is stopped. */
extern void learn_machine_visit(LearnMachine *machine, LearnWorker *worker, size_t first, size_t rows, NnNode node,
								LearnWindowVisit visit, void *context);
/* Outputs of the same rows, as a predictor would average them: worker->answers, with worker->targets. */
extern void learn_machine_answer(LearnMachine *machine, LearnWorker *worker, size_t first, size_t rows);

/* ---- train_augment.c ---- */

/* Whether two rows are made one, so that targets of classes become shares. */
extern bool learn_augment_mixes(const LearnTraining *training);
extern DevStatus learn_augmenter_create(DevSession *session, const LearnAugment *augment, const LearnModel *model,
										LearnAugmenter *augmenter);
/* The machine's training passes are augmented from now on; takes the workers' memory. augmenter is borrowed. */
extern DevStatus learn_machine_augment(LearnMachine *machine, const LearnAugmenter *augmenter);
/* Changes the loaded rows; first is that of the batch. */
extern void learn_machine_change(LearnMachine *machine, LearnWorker *worker, size_t first, size_t rows);

/* ---- train_adversary.c ---- */

extern DevStatus learn_resistance_create(DevSession *session, const LearnAdversary *adversary, const LearnModel *model,
										 LearnResistance *resistance);
/* As learn_machine_augment. */
extern DevStatus learn_machine_resist(LearnMachine *machine, const LearnResistance *resistance);
/* FGSM, PGD: moves some of the loaded rows, which are set in the run afterwards. */
extern void learn_machine_move(LearnMachine *machine, LearnWorker *worker, size_t first, size_t rows);
/* TRADES: the whole pass on the loaded rows, forward and backward. */
extern void learn_machine_trades(LearnMachine *machine, LearnWorker *worker, size_t first, size_t rows);
/* Answers of the loaded rows, moved, are the run's output afterwards; false when the training is stopped. */
extern bool learn_machine_judge_moved(LearnMachine *machine, LearnWorker *worker, size_t position, size_t rows);
/* Nothing is added to the texts of the first rows that are loaded. */
extern void learn_machine_still(LearnMachine *machine, LearnWorker *worker, size_t rows);
/* Whether texts are attacked, for which the graph needs an input: LearnLoss. */
extern bool learn_adversary_nudges(const LearnAdversary *adversary, const LearnModel *model);

/* ---- train_judge.c ---- */

/* *loss is the mean loss of the weights' answers on held's rows; outputs and targets are kept there. */
extern DevStatus learn_machine_judge(LearnMachine *machine, const float *weights, LearnHeld *held, double *loss);
/* keep: rows whose outputs are kept, all of them for survival. */
extern DevStatus learn_held_create(DevSession *session, LearnSampler *sampler, size_t n, size_t keep,
								   size_t n_targets, size_t n_outputs, LearnHeld *held);
extern void learn_held_release(DevSession *session, LearnHeld *held);

/* ---- train_tags.c ---- */

extern DevStatus learn_tagger_create(LearnMachine *machine, LearnWorker *worker);
extern void learn_tagger_free(LearnMachine *machine, LearnWorker *worker);
/* Before and after rows held out are judged; *loss is 1 - F1 of entities, micro, and a little for tokens that are wrong. */
extern DevStatus learn_tagger_begin(LearnMachine *machine, const float *weights);
extern void learn_tagger_take(LearnMachine *machine, LearnWorker *worker, size_t rows);
extern void learn_tagger_end(LearnMachine *machine, double *loss);

/* ---- train_net.c ---- */

typedef struct LearnCourse
{
	LearnSampler *sampler;
	size_t		n_train;
	LearnHeld  *held;			/* n 0: nothing held out */
	const LearnTraining *training;
	uint64_t	seed;
} LearnCourse;

/* Trains one network; machine->best holds its weights then, and *net gets a copy with the baseline. */
extern DevStatus learn_net_train(LearnMachine *machine, const LearnCourse *course, LearnMonitor *monitor,
								 LearnNet *net, LearnOutcome *outcome);

/* What an epoch's inputs were counted for, and the weights in machine->best, of n_rows rows: into *net. */
extern DevStatus learn_net_keep(LearnMachine *machine, size_t n_rows, LearnNet *net);

/* ---- train_solve.c ---- */

/*
 * Ridge regression on what the machine's heads multiply: *net gets the weights, scaled so that outputs are calibrated logits (or
 * values). The sampler's rows are at most LEARN_RIDGE_MOST. outcome gets the mean loss of rows left out.
 */
extern DevStatus learn_net_solve(LearnMachine *machine, LearnSampler *sampler, size_t n_train, uint64_t seed,
								 LearnMonitor *monitor, LearnNet *net, LearnOutcome *outcome);

/* ---- calibrate.c ---- */

/*
 * The temperature that minimises the mean log loss of outputs / temperature + offset. outputs (n, n_outputs), targets
 * (n): class codes, or 0 and 1 with one output.
 */
extern double learn_temperature(size_t n, size_t n_outputs, const float *outputs, const float *targets,
								const double *offset);
/* Log loss of one row, from its logits. */
extern double learn_row_loss(size_t n_outputs, const float *outputs, float target, const double *offset,
							 double inverse_temperature);

/* ---- hazard.c ---- */

/* Mean negative Cox partial log likelihood an event (Breslow ties). targets (n, 2): time, event. NaN without an event. */
extern DevStatus learn_cox_loss(DevSession *session, size_t n, const float *scores, const float *targets, double *loss);
/* Breslow's cumulative baseline hazard at no more than LEARN_MAX_HAZARD event times into the model. */
extern DevStatus learn_breslow(DevSession *session, size_t n, const float *scores, const float *targets,
							   LearnModel *model);
#define LEARN_MAX_HAZARD 512

/* ---- training_defaults.c ---- */

/* The optimiser's settings that a resolved training means. */
extern NnOptimizerSpec learn_optimizer_spec(const LearnTraining *training);
/* The same training for a member of a blend that sees ordinary columns alone. */
extern LearnTraining learn_member_training(const LearnTraining *training, LearnArchitecture architecture, LearnTask task,
										   size_t n_train);

#endif							/* IDLA_LEARN_TRAINER_H */

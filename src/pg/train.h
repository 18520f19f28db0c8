/*
 * train.h: one training; shared by train.c, train_conformal.c, train_teacher.c, train_report.c and distil.c.
 */
#ifndef IDLA_TRAIN_H
#define IDLA_TRAIN_H

#include "reading.h"

#include "idla/learn_metrics.h"

typedef struct IdlaCalibration IdlaCalibration;

typedef struct IdlaTraining
{
	/* asked */
	const char *command;		/* "idla_train()", for errors */
	const char *name;			/* of the model, as given */
	const char *target;
	Jsonb	   *given;			/* options */
	IdlaOptions *options;

	/* done */
	IdlaReading reading;
	IdlaModel  *model;
	LearnNetwork network;		/* resolved */
	LearnTraining training;		/* resolved */
	LearnOutcome outcome;
	size_t		parts[LEARN_N_PARTS];
	char	   *test_rows;		/* idla_training_test_rows */
	double		reading_seconds;	/* of seconds: until the last row was in the store */
	double		seconds;
	int			version;
	bool		in_service;
	char	   *architecture;	/* in words */

	/* how good */
	const char *judged_on;		/* "test", "validation", or NULL when no rows were left for that */
	int			n_metrics;
	IdlaMetric *metrics;
	LearnClassScore *per_class; /* (classes), classification only */
	LearnClassScore averages[3];
	double		abstained;		/* share of the rows judged on that get no class, with option abstain */
	double		accuracy_answered;	/* of the others, NaN when there are none */
	bool		same_test;		/* the test part is the teacher's */
	double		dealt_validation;	/* NaN, or the validation part with which rows were dealt for that, before their own was cut */
	int			n_teacher_metrics;	/* of the rows that it answered among those judged on */
	IdlaMetric *teacher_metrics;
	IdlaCalibration *calibration;	/* NULL: not asked for, or not for this task */
} IdlaTraining;

/* ---- train.c ---- */

/* From name, source, target and options to a version that is written; task below 0: to be found out. What it takes is in the current context. */
extern void idla_training_run(IdlaTraining *run, int task, const char *architecture);
/* Closes the files; the memory goes with its context. */
extern void idla_training_end(IdlaTraining *run);

/* ---- train_report.c ---- */

/* The rows of a part, and their targets as the user gave them, classes as their numbers; palloc'd. */
extern uint32_t *idla_training_rows(const IdlaTraining *run, LearnPart part, size_t *n);
extern double *idla_training_targets(const IdlaTraining *run, const uint32_t *rows, size_t n);
/* Rows a pass of a predictor that judges. */
extern size_t idla_training_batch(const IdlaTraining *run);

/* Metrics on the test part, or failing that on the validation part. */
extern void idla_training_judge(IdlaTraining *run);
/* What goes into the manifest beside the model: options, split, source, hash of the rows. */
extern Jsonb *idla_training_record(const IdlaTraining *run);
/* What anyone who may predict may know; digest is the manifest's. */
extern Jsonb *idla_training_card(const IdlaTraining *run, const char *digest);
extern Jsonb *idla_training_dropped(const IdlaTraining *run);
extern uint64 idla_training_n_dropped(const IdlaTraining *run);
/* "auroc", or "auroc (validation)" */
extern char *idla_training_metric(const IdlaTraining *run, double *value);

/* ---- train_teacher.c ---- */

/* Deals the rows to their parts: where there is a teacher, so that its test part is the student's, if that can be. */
extern void idla_training_split(IdlaTraining *run, LearnNotes *notes);
/* A hash of which rows the test part is, and their targets as they were read; NULL when it has none. */
extern char *idla_training_test_rows(const IdlaTraining *run);
/* The teacher's metrics on n rows. */
extern void idla_training_judge_teacher(IdlaTraining *run, const uint32_t *rows, size_t n, const double *targets);
/* "teacher": {...}, with its metrics or without; nothing without one. */
extern void idla_training_put_teacher(StringInfo out, const IdlaTraining *run, bool metrics);

/* ---- train_conformal.c ---- */

/* Whether the model learns how far off it may be; ERROR for what is asked and cannot be. Parts and task are settled. */
extern bool idla_conformal_wanted(const IdlaTraining *run);
extern void idla_abstain_check(const IdlaTraining *run);
/* Fills the model's `conformal` after learning. */
extern void idla_training_calibrate(IdlaTraining *run);
/* What it would have covered of the rows judged on. */
extern void idla_training_cover(IdlaTraining *run, const uint32_t *rows, size_t n, const double *answers, const double *targets);
extern void idla_training_put_conformal(StringInfo out, const IdlaTraining *run);

#endif							/* IDLA_TRAIN_H */

/*
 * train.h: one training; shared by train.c and train_report.c.
 */
#ifndef IDLA_TRAIN_H
#define IDLA_TRAIN_H

#include "reading.h"

#include "idla/learn_metrics.h"

typedef struct IdlaTraining
{
	/* asked */
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
	double		reading_seconds;	/* of seconds: until the last row was in the store */
	double		seconds;
	char	   *architecture;	/* in words */

	/* how good */
	const char *judged_on;		/* "test", "validation", or NULL when no rows were left for that */
	int			n_metrics;
	IdlaMetric *metrics;
	LearnClassScore *per_class; /* (classes), classification only */
	LearnClassScore averages[3];
} IdlaTraining;

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

#endif							/* IDLA_TRAIN_H */

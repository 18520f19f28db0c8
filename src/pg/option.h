/*
 * option.h: what the options of idla_train say, with defaults where they say nothing.
 */
#ifndef IDLA_OPTION_H
#define IDLA_OPTION_H

#include "column.h"

typedef struct IdlaOptions
{
	/* columns */
	int			n_overrides;
	IdlaOverride *overrides;
	List	   *group_by;		/* of char * */
	char	   *order_by;
	char	   *part;
	int			on_bad_input;	/* 0: an error, 1: the row is left out */
	char	   *entity;			/* tagging, one token a row: its sentence */
	char	   *time;			/* survival */
	char	   *event;

	/* engine */
	LearnSplit	split;
	LearnFit	fit;
	LearnNetwork network;
	LearnTraining training;
	int			scaling;		/* a LearnScaling */

	/* classes */
	char	   *positive;
	int			n_class_weights;
	char	  **weighted_classes;
	double	   *class_weights;

	/* the version */
	bool		deploy;
	char	   *comment;
} IdlaOptions;

extern const char *const idla_optimizer_names[];	/* by NnOptimizerKind; ends with NULL */
extern const char *const idla_schedule_names[];	/* by NnScheduleKind; ends with NULL */

/* ERROR with the nearest name for an unknown option, with the bounds for a bad value. Memory of the current context. */
extern IdlaOptions *idla_options_read(Jsonb *json);

/* The task or architecture of that name; ERROR with the valid names. An architecture may be a layer text. */
extern int	idla_task_find(const char *name);
extern void idla_architecture_read(const char *text, LearnNetwork *network);

#endif							/* IDLA_OPTION_H */

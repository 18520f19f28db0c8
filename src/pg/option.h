/*
 * option.h: what the options of idla_train say, with defaults where they say nothing.
 */
#ifndef IDLA_OPTION_H
#define IDLA_OPTION_H

#include "column.h"

/* One thing the user said of augmentation. */
typedef struct IdlaAugmentWish
{
	int			kind;			/* a LearnAugmentKind, -1: whichever of the model's inputs has an option of that name */
	char	   *name;			/* NULL: the usual values of the kind, or of all kinds */
	double		value;
} IdlaAugmentWish;

typedef struct IdlaOptions
{
	/* columns */
	int			n_overrides;
	IdlaOverride *overrides;
	List	   *group_by;		/* of char * */
	char	   *order_by;
	char	   *part;
	int			on_bad_input;	/* 0: an error, 1: the row is left out */
	char	   *time;			/* survival */
	char	   *event;

	/* long rows, see series.h; entity NULL: a row is a row. Tagging, one token a row: its sentence */
	char	   *entity;
	char	   *label_at;
	char	   *series_time;
	char	   *series_value;
	char	   *series_name;
	int			series_use;		/* an IdlaSeriesUse */
	int			series_bins;	/* 0: default */
	double		series_width;	/* number or seconds, 0: default */
	bool		series_width_is_time;	/* it came as an interval */
	bool		series_average;
	bool		series_static_given;
	List	   *series_static;	/* of char * */

	/* engine */
	LearnSplit	split;
	LearnFit	fit;
	LearnNetwork network;
	LearnTraining training;
	int			scaling;		/* a LearnScaling */

	/* changed rows; what of it depends on the inputs is settled by idla_augment_settle and idla_adversary_settle */
	int			n_augment;
	IdlaAugmentWish *augment;
	int			views;			/* augment_predict */

	bool		no_target;		/* rows are only looked at: they need none */

	/* intervals and sets of classes; abstain 0: never; the probability from which the positive class is named */
	bool		no_conformal;
	bool		conformal_asked;	/* for more than the default */
	int			conformal_score;	/* a LearnConformalScore, -1: by task */
	char	   *conformal_by;
	int			conformal_on;	/* an IdlaConformalOn */
	double		abstain;
	double		threshold;

	/* classes */
	char	   *positive;
	int			n_class_weights;
	char	  **weighted_classes;
	double	   *class_weights;

	/* the version */
	bool		deploy;
	char	   *comment;
} IdlaOptions;

/* Which rows tell how far off answers may be. */
typedef enum IdlaConformalOn
{
	IDLA_CONFORMAL_VALIDATION,	/* those held out of training: the validation part, or every fold by the networks of the others */
	IDLA_CONFORMAL_TEST
} IdlaConformalOn;

extern const char *const idla_optimizer_names[];	/* by NnOptimizerKind; ends with NULL */
extern const char *const idla_series_use_names[];	/* by IdlaSeriesUse; ends with NULL */
extern const char *const idla_schedule_names[];	/* by NnScheduleKind; ends with NULL */

/* ERROR with the nearest name for an unknown option, with the bounds for a bad value. Memory of the current context. */
extern IdlaOptions *idla_options_read(Jsonb *json);

/* An object of column names: option columns. */
extern IdlaOverride *idla_overrides_read(const char *name, const JsonbValue *value, int *n);

/* The task or architecture of that name; ERROR with the valid names. An architecture may be a layer text. */
extern int	idla_task_find(const char *name);
extern void idla_architecture_read(const char *text, LearnNetwork *network);

/* ---- option_augment.c: augment and adversarial ---- */

extern void idla_augment_read(IdlaOptions *options, const JsonbValue *value);
/* option_series.c */
extern void idla_series_options_read(IdlaOptions *options, const JsonbValue *value);
/* What belongs together, once all are read: settles whose time option time is. */
extern void idla_series_options_check(IdlaOptions *options);
extern void idla_adversary_read(LearnAdversary *adversary, const JsonbValue *value);
/* The wishes as values in options->training, by the inputs that there are: ERROR for what does not fit them. */
extern void idla_augment_settle(IdlaOptions *options, const LearnModel *model);
/* Epsilon's default by the inputs. */
extern void idla_adversary_settle(LearnAdversary *adversary, const LearnModel *model);

/* ---- values of options, for readers outside option.c; name is a path like "columns.age.low" ---- */

extern double idla_option_number(const char *name, const JsonbValue *value, double low, double high, bool integer);
extern int	idla_option_word(const char *name, const JsonbValue *value, const char *const *words);
extern bool idla_option_boolean(const char *name, const JsonbValue *value);
extern char *idla_option_text(const JsonbValue *value);	/* whatever it is */
extern JsonbContainer *idla_option_object(const char *name, const JsonbValue *value, const char *wanted);
extern void idla_option_complain(const char *name, const JsonbValue *value, const char *wanted) pg_attribute_noreturn();
/* ERROR with the nearest name. */
extern void idla_option_unknown(const char *what, const char *name, const char *const *names) pg_attribute_noreturn();

#endif							/* IDLA_OPTION_H */

/*
 * trial.h: a candidate that is asked beside the version in service.
 */
#ifndef IDLA_TRIAL_H
#define IDLA_TRIAL_H

#include "column.h"
#include "statistics.h"

typedef struct IdlaTrial IdlaTrial;
struct ExplainState;
struct IdlaAnswering;

/* Why a version cannot be on trial beside another, as a sentence; NULL where it can. */
extern char *idla_trial_obstacle(const IdlaModel *serving, const IdlaModel *candidate);
/* The trial of a model that idla_load found, for the life of `owner`; NULL when there is none. */
extern IdlaTrial *idla_trial_find(const IdlaLoaded *serving, Snapshot snapshot, MemoryContext owner);
/*
 * How the candidate answers a call of an IdlaAnswerKind; NULL for those that only the version in service answers: intervals and sets of classes, whose
 * coverage is that of the rows it was measured on. NULL too without a trial.
 */
extern struct IdlaAnswering *idla_trial_answering(const IdlaTrial *trial, int kind, MemoryContext context);
/* Its lines of EXPLAIN. */
extern void idla_trial_explain(const IdlaTrial *trial, struct ExplainState *es);
/* Room for `most` rows of desc in the current context; may be called again. */
extern void idla_trial_open(IdlaTrial *trial, TupleDesc desc, int most);
/* How many attributes of a row, from the first on, the candidate needs deformed. */
extern int	idla_trial_width(const IdlaTrial *trial);
/*
 * Row number `row` of the next answers: deformed, and as the version in service has decoded it (raw NULL: it could not). Fields are copied into
 * `copies`, or stay valid until the next row when that is NULL.
 */
extern void idla_trial_take(IdlaTrial *trial, int row, const Datum *values, const bool *isnull, const LearnModel *serving,
							const float *raw, const LearnBytes *fields, MemoryContext copies);
/* Answers the n rows taken, and counts how far that is from answers (n, outputs) of the version in service; missing (n): it has none; or NULL. */
extern void idla_trial_answer(IdlaTrial *trial, size_t n, const double *answers, const bool *missing);
/* The answers to give for a row; NULL: those of the version in service. */
extern const double *idla_trial_row(const IdlaTrial *trial, size_t row);
/* The candidate's answers for a row, whoever answered it; NULL: it has none. */
extern const double *idla_trial_seen(const IdlaTrial *trial, size_t row);

#endif							/* IDLA_TRIAL_H */

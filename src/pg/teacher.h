/*
 * teacher.h: what another model says of the rows that one is trained on; see teacher.c.
 */
#ifndef IDLA_TEACHER_H
#define IDLA_TEACHER_H

#include "option.h"

struct IdlaTarget;
typedef struct IdlaTeacher IdlaTeacher;

/* ERROR for a model that has no answers for single rows that could be taught. */
extern void idla_teacher_require(const IdlaLoaded *loaded);
/*
 * The version in service of the model that option teacher names, which must answer for single rows of type desc and predict the same target;
 * checks the right to predict with it. Lives in the current context, and is pinned for the life of work.
 */
extern IdlaTeacher *idla_teacher_open(const IdlaOptions *options, const struct IdlaTarget *target, TupleDesc desc, IdlaWork *work);
/* The data set is there, without a row: what it is told of each takes `memory` bytes at most. */
extern void idla_teacher_start(IdlaTeacher *teacher, LearnDataset *dataset, Size memory);
/* The row just appended. */
extern void idla_teacher_take(IdlaTeacher *teacher, const Datum *values, const bool *isnull);
/* After the last one; NULL is allowed, as below. */
extern void idla_teacher_flush(IdlaTeacher *teacher);
/* Task and classes are known: ERROR when they are not the teacher's; its answers are in the student's order from now on. */
extern void idla_teacher_close(IdlaTeacher *teacher, const struct IdlaTarget *target, const LearnModel *student);
/* The table's name when it was asked for, for messages, and with its schema, quoted. */
extern const char *idla_teacher_name(const IdlaTeacher *teacher);
extern const char *idla_teacher_qualified(const IdlaTeacher *teacher);
extern const IdlaLoaded *idla_teacher_loaded(const IdlaTeacher *teacher);
/* The probability of the student's positive class from which the teacher names it. */
extern double idla_teacher_threshold(const IdlaTeacher *teacher, const LearnModel *student);
/* Rows that it had no answer for, as their values could not be taken. */
extern uint64 idla_teacher_unanswered(const IdlaTeacher *teacher);

#endif							/* IDLA_TEACHER_H */

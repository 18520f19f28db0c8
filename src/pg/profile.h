/*
 * profile.h: how training rows were distributed; shared by training, the manifest and drift.c.
 */
#ifndef IDLA_PROFILE_H
#define IDLA_PROFILE_H

#include "idla.h"

#include "idla/learn_drift.h"
#include "lib/stringinfo.h"

/* Intervals of all channels together, and of one at least. */
#define MOST_INTERVALS 262144
#define MIN_INTERVALS 8

/* Intervals of one channel's profile at most, that many channels do not make a manifest large. */
extern int	idla_profile_intervals(int n_channels);

/* How many answers a model gives for a row that can drift, 0 for a tagger; answer `item` among learn_scores_to_answers', or the class named. */
extern int	idla_answer_items(const LearnModel *model);
extern float idla_answer_item(const LearnModel *model, const double *answers, int item);

/* The answers to rows that the training kept apart: model->answers. scores (n, outputs) are not changed. */
extern void idla_profile_answers(IdlaModel *model, size_t n, const double *scores);
/* "profile": {...}; nothing for a model that was not trained here */
extern void idla_profile_put(StringInfo out, const IdlaModel *model);

typedef struct IdlaProfiles
{
	LearnProfile **channels;	/* (n_channels), NULL for those that are not used */
	int			n_answers;
	LearnProfile **answers;		/* (n_answers), NULL where training kept no rows apart */
} IdlaProfiles;

/* From the model's manifest, untrusted; palloc'd. NULL when it has none. */
extern IdlaProfiles *idla_profiles_read(const IdlaModel *model);

#endif							/* IDLA_PROFILE_H */

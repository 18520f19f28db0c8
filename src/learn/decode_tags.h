/*
 * decode_tags.h: from a tagger's emissions to tags; private to src/learn.
 */
#ifndef IDLA_LEARN_DECODE_TAGS_H
#define IDLA_LEARN_DECODE_TAGS_H

#include "architecture.h"

#include "idla/learn_tags.h"

/* The chain that emissions are decoded by, one a thread. Tags are codes of LEARN_IOBES. */
typedef struct LearnChain
{
	size_t		n_tags;
	size_t		longest;
	float	   *transitions;	/* (n_tags, n_tags) and so on: means over the networks, what may not follow far below 0 */
	float	   *start;
	float	   *end;
	float	   *work;
} LearnChain;

extern DevStatus learn_chain_create(DevSession *session, size_t n_tags, size_t longest, LearnChain *chain);
extern void learn_chain_free(DevSession *session, LearnChain *chain);
/* The mean of n networks' parameters; weights[i] are host memory. */
extern void learn_chain_set(LearnChain *chain, const LearnGraph *built, int n, const float *const *weights);
/* The likeliest well-formed tags (length) of emissions (length, n_tags), and how sure each is (NULL: not wanted). */
extern void learn_chain_decode(const LearnChain *chain, size_t length, const float *emissions, int32_t *tags, float *certain);

#endif							/* IDLA_LEARN_DECODE_TAGS_H */

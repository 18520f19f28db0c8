/*
 * stretch.h: one network for texts of several lengths; private to src/learn.
 *
 * Parameters do not depend on how long a text is, nor do answers on the padding behind it, but for layer texts that flatten or
 * pool, of which there is one, for all texts. Otherwise a network is built several
 * times, for texts of at most 32, 64, 128 ... tokens (to predict with, from 8 on), all with the weights of one, and short texts are not
 * made long. Nodes and parameters have the same numbers in all of them.
 */
#ifndef IDLA_LEARN_STRETCH_H
#define IDLA_LEARN_STRETCH_H

#include "architecture.h"
#include "field_batch.h"

#define LEARN_MAX_STRETCHES 8

typedef struct LearnStretch
{
	size_t		length;			/* tokens of the longest text that it takes */
	LearnNetwork network;		/* its fields are a copy with that length */
	LearnGraph	built;
} LearnStretch;

typedef struct LearnStretches
{
	int			n;				/* the last one takes all texts */
	LearnStretch stretches[LEARN_MAX_STRETCHES];
} LearnStretches;

/* Without texts there is one. loss as in learn_network_build. */
extern DevStatus learn_stretches_create(DevSession *session, const LearnNetwork *network, const LearnLoss *loss,
										LearnStretches *stretches);
extern void learn_stretches_free(DevSession *session, LearnStretches *stretches);
/* The shortest that takes texts of so many tokens. */
extern int	learn_stretch_find(const LearnStretches *stretches, size_t length);
/* Tokens that a text of `length` may grow to where rows that are loaded with it were not asked. */
extern size_t learn_stretch_room(const LearnStretches *stretches, const LearnField *field, size_t length);
/* Tokens of a stored text; 0 for what is no text. */
extern size_t learn_text_length(const LearnField *field, LearnBytes stored);

#endif							/* IDLA_LEARN_STRETCH_H */

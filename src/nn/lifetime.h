/*
 * lifetime.h: which numbers of a run may lie in the same memory; private to src/nn.
 *
 * A run works through a graph in one order only: node i on the way there at moment i, and on the way back at moment
 * 2 n - 1 - i, n being the number of nodes. A buffer is needed from the moment that writes it first to the last one that reads it, and
 * buffers whose moments do not meet share memory. Moments are those of the whole graph, so that a pass that visits
 * some of its nodes only is as safe as one through all.
 */
#ifndef IDLA_NN_LIFETIME_H
#define IDLA_NN_LIFETIME_H

#include "operator.h"

typedef struct NnBuffer
{
	size_t		size;			/* floats, for the largest batch */
	int			first;			/* moments, both included */
	int			last;
	size_t		offset;			/* of its first float, a multiple of 16; where nothing is shared, 0 */
	bool		kept;			/* nothing is ever written over it */
} NnBuffer;

/* What a node uses, as numbers of buffers; -1: it has none. */
typedef struct NnPlaces
{
	int			value;
	int			diff;
	int			workspace;
	int			workspace_fixed;
	int			scratch[2];		/* on the way there, and back */
} NnPlaces;

typedef struct NnLayout
{
	int			n_buffers;
	NnBuffer   *buffers;
	NnPlaces   *places;			/* by node */
	size_t		total;			/* floats of memory in which all buffers lie at their offsets; where nothing is shared, 0 */
} NnLayout;

/*
 * The layout of a compiled graph's run for up to max_batch examples. NN_RUN_WHOLE shares nothing but the scratchpad. The arrays are
 * the session's until nn_layout_free, which takes a layout of zeros too. DEV_NO_MEMORY also when a size overflows.
 */
extern DevStatus nn_layout_create(const NnGraph *graph, DevSession *session, size_t max_batch, NnRunUse use, NnLayout *layout);
extern void nn_layout_free(DevSession *session, NnLayout *layout);

#endif							/* IDLA_NN_LIFETIME_H */

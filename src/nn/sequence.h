/*
 * sequence.h: what operators on padded sequences share; private to src/nn.
 */
#ifndef IDLA_NN_SEQUENCE_H
#define IDLA_NN_SEQUENCE_H

#include "arithmetic.h"

/* Source i, which is the last one where there are lengths at all, is a node of codes with one an example. */
static inline bool
check_lengths(NnGraph *graph, NnNodeData *node, int i)
{
	char		text[64];

	if (node->n_src <= i)
		return true;
	if (!nn_src_is_codes(graph, node, i))
		return nn_reject(graph, node, "lengths are not a node of codes");
	if (nn_src_shape(graph, node, i)->dims[0] != 1)
		return nn_reject(graph, node, "lengths have shape %s where (1) is needed",
						 nn_shape_text(nn_src_shape(graph, node, i), text, sizeof(text)));
	return true;
}

static inline const int32_t *
lengths_of(const NnPass *pass, int i)
{
	return pass->node->n_src <= i ? NULL : nn_src_codes(pass, i);
}

/* Source i as (length, width). */
static inline const NnShape *
need_sequence(NnGraph *graph, NnNodeData *node, int i)
{
	const NnShape *src = nn_src_shape(graph, node, i);
	char		text[64];

	if (!nn_need_floats(graph, node, i))
		return NULL;
	if (src->rank == 2)
		return src;
	nn_reject(graph, node, "source %d has shape %s where (length, width) is needed", i + 1, nn_shape_text(src, text, sizeof(text)));
	return NULL;
}

#endif							/* IDLA_NN_SEQUENCE_H */

/*
 * convolution_cases.h: convolution, pools, group normalisation, padding and flipping as cases, like cases.h.
 */
#ifndef IDLA_TEST_CONVOLUTION_CASES_H
#define IDLA_TEST_CONVOLUTION_CASES_H

#include "cases.h"
#include "reference/convolution.h"

/* By number, for the option of a case. */
static const NnWindow case_windows[] = {
	{.kernel = {3, 3}, .before = {1, 1}, .after = {1, 1}},
	{.kernel = {3, 3}, .before = {2, 0}, .after = {0, 1}},
	{.kernel = {3, 3}, .stride = {2, 2}, .before = {1, 1}, .after = {1, 1}},
	{.kernel = {2, 4}, .dilation = {2, 1}, .before = {1, 2}, .after = {0, 1}},
	{.kernel = {3, 2}, .before = {1, 0}, .after = {1, 0}, .groups = 2},
	{.kernel = {3, 3}, .stride = {2, 1}, .before = {1, 1}, .after = {1, 1}, .groups = 5},
	{.kernel = {1, 1}},
	{.stride = {2, 2}},
	{.kernel = {3}, .dilation = {2}, .before = {2}, .after = {1}},
	{.kernel = {2}, .stride = {1}, .dilation = {2}, .before = {1}, .after = {1}},
	{.kernel = {2, 3}, .stride = {2, 1}, .before = {0, 1}, .after = {0, 1}},
	{.kernel = {3}, .stride = {2}, .before = {1}, .after = {1}},
	{.before = {0, 1}, .after = {1, 2}},
	{.before = {2}, .after = {1}},
	{.kernel = {3}, .before = {1}}
};

static NnNode
build_convolution(NnGraph *graph, const Nodes *n, const Case *c)
{
	return nn_convolution(graph, n->src[0], n->parameters[0], &case_windows[c->option]);
}

static NnNode
build_max_pool(NnGraph *graph, const Nodes *n, const Case *c)
{
	return nn_max_pool(graph, n->src[0], &case_windows[c->option]);
}

static NnNode
build_average_pool(NnGraph *graph, const Nodes *n, const Case *c)
{
	return nn_average_pool(graph, n->src[0], &case_windows[c->option]);
}

static NnNode
build_global_mean(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_global_mean(graph, n->src[0], n->codes);
}

static NnNode
build_global_max(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_global_max(graph, n->src[0], n->codes);
}

static NnNode
build_group_norm(NnGraph *graph, const Nodes *n, const Case *c)
{
	bool		bare = c->reference->n_parameters == 0;

	return nn_group_norm(graph, n->src[0], (size_t) c->option, bare ? NN_NONE : n->parameters[0],
						 bare ? NN_NONE : n->parameters[1], 1e-3f);
}

static NnNode
build_pad(NnGraph *graph, const Nodes *n, const Case *c)
{
	return nn_pad(graph, n->src[0], &case_windows[c->option]);
}

static NnNode
build_flip(NnGraph *graph, const Nodes *n, const Case *c)
{
	return nn_flip(graph, n->src[0], c->option);
}

static const Case convolution_cases[] = {
	{&convolution, build_convolution, 0, BOTH},
	{&convolution_uneven, build_convolution, 1, BOTH},
	{&convolution_narrow, build_convolution, 0, BOTH},
	{&convolution_stride, build_convolution, 2, BOTH},
	{&convolution_dilated, build_convolution, 3, BOTH},
	{&convolution_groups, build_convolution, 4, BOTH},
	{&convolution_depthwise, build_convolution, 5, BOTH},
	{&convolution_point, build_convolution, 6, BOTH},
	{&convolution_point_stride, build_convolution, 7, BOTH},
	{&convolution_sequence, build_convolution, 8, BOTH},
	{&convolution_sequence_wide, build_convolution, 14, BOTH},
	{&max_pool, build_max_pool, 2, BOTH},
	{&max_pool_sequence, build_max_pool, 9, BOTH},
	{&average_pool, build_average_pool, 10, BOTH},
	{&average_pool_sequence, build_average_pool, 11, BOTH},
	{&global_mean, build_global_mean, 0, BOTH},
	{&global_mean_lengths, build_global_mean, 0, BOTH},
	{&global_max, build_global_max, 0, BOTH},
	{&global_max_lengths, build_global_max, 0, BOTH},
	{&group_norm, build_group_norm, 3, BOTH, .roles = {NN_ROLE_VECTOR, NN_ROLE_VECTOR}},
	{&group_norm_sequence, build_group_norm, 1, BOTH, .roles = {NN_ROLE_VECTOR, NN_ROLE_VECTOR}},
	{&group_norm_bare, build_group_norm, 2, BOTH},
	{&pad, build_pad, 12, BOTH},
	{&pad_sequence, build_pad, 13, BOTH},
	{&flip, build_flip, 1, BOTH}
};

#endif							/* IDLA_TEST_CONVOLUTION_CASES_H */

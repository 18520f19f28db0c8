/*
 * decode_tags.c: from a tagger's emissions to tags.
 *
 * The CRF learns which tags follow which, but only what it has seen; here what the scheme forbids is made impossible, so that
 * answers are well formed. Several networks answer with one chain of their means: the product of their distributions.
 */
#include "decode_tags.h"

#include <string.h>

#define IMPOSSIBLE (-1e4f)

DevStatus
learn_chain_create(DevSession *session, size_t n_tags, size_t longest, LearnChain *chain)
{
	memset(chain, 0, sizeof(*chain));
	chain->n_tags = n_tags;
	chain->longest = longest;
	chain->transitions = dev_alloc(session, n_tags * n_tags, sizeof(float));
	chain->start = dev_alloc(session, n_tags, sizeof(float));
	chain->end = dev_alloc(session, n_tags, sizeof(float));
	chain->work = dev_alloc(session, nn_crf_decode_size(longest, n_tags), sizeof(float));
	return chain->transitions == NULL || chain->start == NULL || chain->end == NULL || chain->work == NULL ? DEV_NO_MEMORY : DEV_OK;
}

void
learn_chain_free(DevSession *session, LearnChain *chain)
{
	dev_release(session, chain->transitions);
	dev_release(session, chain->start);
	dev_release(session, chain->end);
	dev_release(session, chain->work);
	memset(chain, 0, sizeof(*chain));
}

static void
add_mean(const LearnGraph *built, NnParameter parameter, int n, const float *weights, size_t size, float *dst)
{
	const float *values = weights + nn_graph_parameter(built->graph, parameter)->offset;

	for (size_t i = 0; i < size; i++)
		dst[i] += values[i] / (float) n;
}

void
learn_chain_set(LearnChain *chain, const LearnGraph *built, int n, const float *const *weights)
{
	size_t		n_tags = chain->n_tags;

	memset(chain->transitions, 0, n_tags * n_tags * sizeof(float));
	memset(chain->start, 0, n_tags * sizeof(float));
	memset(chain->end, 0, n_tags * sizeof(float));
	for (int i = 0; i < n; i++)
	{
		add_mean(built, built->crf[0], n, weights[i], n_tags * n_tags, chain->transitions);
		add_mean(built, built->crf[1], n, weights[i], n_tags, chain->start);
		add_mean(built, built->crf[2], n, weights[i], n_tags, chain->end);
	}
	for (size_t before = 0; before < n_tags; before++)
	{
		for (size_t after = 0; after < n_tags; after++)
			if (!learn_tag_follows(LEARN_IOBES, (int32_t) before, (int32_t) after))
				chain->transitions[before * n_tags + after] = IMPOSSIBLE;
		if (!learn_tag_follows(LEARN_IOBES, -1, (int32_t) before))
			chain->start[before] = IMPOSSIBLE;
		if (!learn_tag_follows(LEARN_IOBES, (int32_t) before, -1))
			chain->end[before] = IMPOSSIBLE;
	}
}

void
learn_chain_decode(const LearnChain *chain, size_t length, const float *emissions, int32_t *tags, float *certain)
{
	if (length > 0)
		nn_crf_decode(length, chain->n_tags, emissions, chain->transitions, chain->start, chain->end, chain->work, tags, certain);
}

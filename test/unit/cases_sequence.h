/*
 * cases_sequence.h: the operators on sequences as cases, see cases.h; values come from reference/generate_sequences.py.
 */
#ifndef IDLA_TEST_CASES_SEQUENCE_H
#define IDLA_TEST_CASES_SEQUENCE_H

#include "cases.h"

#include "reference/sequences.h"

static NnNode
build_lstm(NnGraph *graph, const Nodes *n, const Case *c)
{
	return nn_lstm(graph, n->src[0], n->lengths, c->option != 0, n->parameters[0], n->parameters[1], n->parameters[2]);
}

static NnNode
build_gru(NnGraph *graph, const Nodes *n, const Case *c)
{
	return nn_gru(graph, n->src[0], n->lengths, c->option != 0, n->parameters[0], n->parameters[1], n->parameters[2],
				  n->parameters[3]);
}

static NnNode
build_last(NnGraph *graph, const Nodes *n, const Case *c)
{
	return nn_last(graph, n->src[0], n->lengths, c->option != 0);
}

static NnNode
build_masked_mean(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_masked_mean(graph, n->src[0], n->lengths);
}

static NnNode
build_mask(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_mask(graph, n->src[0], n->lengths);
}

static NnNode
build_attention_pool(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_attention_pool(graph, n->src[0], n->src[1], n->lengths);
}

static NnNode
build_crf(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_crf(graph, n->src[0], n->codes, n->lengths, n->parameters[0], n->parameters[1], n->parameters[2]);
}

static NnNode
build_token_cross_entropy(NnGraph *graph, const Nodes *n, const Case *c)
{
	static const float weights[] = {1.0f, 0.5f, 2.0f};

	return nn_token_cross_entropy(graph, n->src[0], n->codes, n->lengths, c->option > 0 ? weights : NULL,
								  c->option > 1 ? 0.125f : 0.0f);
}

static const Case sequence_cases[] = {
	{&lstm, build_lstm, false, BOTH},
	{&lstm_full, build_lstm, false, BOTH},
	{&lstm_backward, build_lstm, true, BOTH},
	{&lstm_backward_full, build_lstm, true, BOTH},
	{&lstm_wide, build_lstm, false, BOTH},
	{&lstm_one, build_lstm, true, BOTH},
	{&gru, build_gru, false, BOTH},
	{&gru_full, build_gru, false, BOTH},
	{&gru_backward, build_gru, true, BOTH},
	{&gru_backward_full, build_gru, true, BOTH},
	{&gru_wide, build_gru, false, BOTH},
	{&gru_one, build_gru, true, BOTH},
	{&last, build_last, false, BOTH},
	{&last_full, build_last, false, BOTH},
	{&first, build_last, true, BOTH},
	{&first_full, build_last, true, BOTH},
	{&masked_mean, build_masked_mean, 0, BOTH},
	{&masked_mean_full, build_masked_mean, 0, BOTH},
	{&mask, build_mask, 0, BOTH},
	{&mask_full, build_mask, 0, BOTH},
	{&attention_pool, build_attention_pool, 0, BOTH},
	{&attention_pool_full, build_attention_pool, 0, BOTH},
	{&crf, build_crf, 0, BOTH},
	{&crf_full, build_crf, 0, BOTH},
	{&token_cross_entropy, build_token_cross_entropy, 0, BOTH},
	{&token_cross_entropy_weighted, build_token_cross_entropy, 2, BOTH},
	{&token_cross_entropy_full, build_token_cross_entropy, 1, BOTH}
};

#endif							/* IDLA_TEST_CASES_SEQUENCE_H */

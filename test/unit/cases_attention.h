/*
 * cases_attention.h: as cases.h, for the operators on sequences that a Transformer needs.
 */
#ifndef IDLA_TEST_CASES_ATTENTION_H
#define IDLA_TEST_CASES_ATTENTION_H

#include "cases.h"

#include "reference/attention.h"

/* The option is the number of heads, and 10 more of a causal one. Codes are lengths. */
static NnNode
build_attention(NnGraph *graph, const Nodes *n, const Case *c)
{
	const NnNode *last = &n->src[c->reference->n_src - 1];

	return nn_attention(graph, n->src[0], c->reference->n_src == 1 ? n->src[0] : n->src[1], *last, n->codes,
						(size_t) c->option % 10, c->option >= 10, 0);
}

static NnNode
build_token_embedding(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_token_embedding(graph, n->codes, n->parameters[0], NN_NONE);
}

static NnNode
build_position(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_position(graph, n->src[0], n->parameters[0]);
}

static NnNode
build_sinusoid(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_sinusoid(graph, n->src[0]);
}

static NnNode
build_time_encoding(NnGraph *graph, const Nodes *n, const Case *c)
{
	(void) c;
	return nn_time_encoding(graph, n->src[0], n->parameters[0], 4);
}

static const Case attention_cases[] = {
	{&attention, build_attention, 2, BOTH},
	{&attention_lengths, build_attention, 1, BOTH},
	{&attention_causal, build_attention, 13, BOTH},
	{&attention_itself, build_attention, 2, BOTH},
	{&attention_itself_causal, build_attention, 11, BOTH},
	{&token_embedding, build_token_embedding, 0, BOTH, .roles = {NN_ROLE_TABLE}},
	{&position, build_position, 0, BOTH, .roles = {NN_ROLE_TABLE}},
	{&sinusoid, build_sinusoid, 0, BOTH},
	{&time_encoding, build_time_encoding, 0, BOTH, .roles = {NN_ROLE_TABLE}},
	{&time_encoding_column, build_time_encoding, 0, BOTH, .roles = {NN_ROLE_TABLE}}
};

#endif							/* IDLA_TEST_CASES_ATTENTION_H */

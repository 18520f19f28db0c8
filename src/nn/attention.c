/*
 * attention.c: scaled dot-product attention with heads (Vaswani et al. 2017), without parameters of its own.
 *
 * The device does all heads of all examples in one primitive each way; what is kept between
 * the two is the log of every softmax's denominator, one number a query and head. The
 * mask of dropout is drawn again on the way back.
 */
#include "sequence.h"

typedef struct Options
{
	size_t		heads;
	bool		causal;
	float		dropout;
	bool		same;			/* shape rule: query and key are one sequence */
} Options;

#define LENGTHS 3				/* the source of them, where there are any */

/* Does the way back along first sources from `a` meet that from `b`? Sources come before their nodes. */
static bool
meet(const NnGraph *graph, NnNode a, NnNode b)
{
	while (a != b)
	{
		const NnNodeData *later = graph->nodes[a > b ? a : b];

		if (later->n_src == 0)
			return false;
		if (a > b)
			a = later->src[0];
		else
			b = later->src[0];
	}
	return true;
}

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	Options    *options = node->options;
	const NnShape *query = need_sequence(graph, node, 0);
	const NnShape *key = query == NULL ? NULL : need_sequence(graph, node, 1);
	const NnShape *value = key == NULL ? NULL : need_sequence(graph, node, 2);
	char		text[3][64];

	if (value == NULL || !check_lengths(graph, node, LENGTHS))
		return false;
	if (query->dims[1] != key->dims[1] || !nn_shape_equal(key, value))
		return nn_reject(graph, node, "query %s, key %s and value %s do not fit", nn_shape_text(query, text[0], sizeof(text[0])),
						 nn_shape_text(key, text[1], sizeof(text[1])), nn_shape_text(value, text[2], sizeof(text[2])));
	if (options->heads == 0 || query->dims[1] % options->heads != 0)
		return nn_reject(graph, node, "width %zu cannot be divided among \"%zu\" heads", query->dims[1], options->heads);
	if (!(options->dropout >= 0.0f && options->dropout < 1.0f))
		return nn_reject(graph, node, "rate \"%g\" is not in [0, 1)", options->dropout);
	options->same = query->dims[0] == key->dims[0] && meet(graph, node->src[0], node->src[1]);
	node->shape = *query;
	node->workspace_row = options->heads * query->dims[0];
	node->scratch_fixed = DEV_ATTENTION_SCRATCH;
	return true;
}

static DevAttention
how_of(const NnPass *pass)
{
	const Options *options = pass->node->options;
	const NnShape *key = nn_src_shape(pass->graph, pass->node, 1);
	DevAttention how = {.batch = pass->batch, .queries = pass->node->shape.dims[0], .keys = key->dims[0], .width = key->dims[1],
		.heads = options->heads, .lengths = lengths_of(pass, LENGTHS), .same = options->same, .causal = options->causal,
	.exact = pass->mode == NN_INFER};

	if (pass->mode == NN_TRAIN)
		how.dropout = options->dropout;
	how.seed = pass->seed;
	how.stream = (pass->step << 32) + DEV_STREAM_DROPOUT + (uint64_t) pass->node->number;
	how.first_row = pass->first_row;
	return how;
}

static void
forward(const NnPass *pass)
{
	DevAttention how = how_of(pass);

	pass->device->attention(pass->queue, &how, nn_src(pass, 0), nn_src(pass, 1), nn_src(pass, 2), pass->scratch,
							nn_dst(pass), pass->workspace);
}

static void
backward(const NnPass *pass)
{
	DevAttention how = how_of(pass);
	float	   *diffs[3];

	/* Cleared at once: sources may be one and the same node. */
	for (int i = 0; i < 3; i++)
	{
		bool		accumulate;

		diffs[i] = nn_diff_src(pass, i, &accumulate);
		if (diffs[i] != NULL && !accumulate)
			pass->device->fill(pass->queue, pass->batch * nn_src_size(pass, i), 0, diffs[i]);
	}
	pass->device->attention_grad(pass->queue, &how, nn_src(pass, 0), nn_src(pass, 1), nn_src(pass, 2), nn_dst(pass),
								 pass->workspace, nn_diff_dst(pass), pass->scratch, diffs[0], diffs[1], diffs[2]);
}

const NnOperator nn_operator_attention = {
	.name = "attention",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.reads_src = true,
	.reads_dst = true
};

NnNode
nn_attention(NnGraph *graph, NnNode query, NnNode key, NnNode value, NnNode lengths, size_t heads, bool causal, float dropout)
{
	NnNode		src[] = {query, key, value, lengths};
	Options		options = {.heads = heads, .causal = causal, .dropout = dropout};

	return nn_node_add(graph, &nn_operator_attention, src, lengths == NN_NONE ? 3 : 4, NULL, 0, &options, sizeof(options));
}

/*
 * attention.c: scaled dot-product attention with heads (Vaswani et al. 2017), without parameters of its own.
 *
 * The device does all heads of all examples in one primitive each way; what is kept between
 * the two is the log of every softmax's denominator, one number a query and head. The
 * mask of dropout is drawn again on the way back.
 */
#include "sequence.h"

#include <math.h>

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

/* (rows, n, width) -> (rows, heads, n, width / heads), or with the last two exchanged */
static NnOnnxValue
heads_apart(const NnOnnxNode *at, int i, bool keys)
{
	const Options *options = at->node->options;
	const NnShape *shape = nn_src_shape(at->graph, at->node, i);
	const int64_t dims[] = {-1, (int64_t) shape->dims[0], (int64_t) options->heads, (int64_t) (shape->dims[1] / options->heads)};
	const int64_t order[] = {0, 2, keys ? 3 : 1, keys ? 1 : 3};
	NnOnnxValue apart = nn_onnx_apply2(at->onnx, "Reshape", nn_onnx_src(at, i), nn_onnx_list(at->onnx, 4, dims));

	nn_onnx_set_integers(at->onnx, "perm", 4, order);
	return nn_onnx_apply1(at->onnx, "Transpose", apart);
}

/* Keys that come after a query are not seen: no less than its own number. */
static NnOnnxValue
past_only(const NnOnnxNode *at, NnOnnxValue scores, size_t n_queries, size_t n_keys)
{
	NnOnnxValue past = nn_onnx_apply2(at->onnx, "LessOrEqual", positions_numbered(at, n_keys, false), positions_numbered(at, n_queries, true));

	return nn_onnx_apply3(at->onnx, "Where", past, scores, nn_onnx_float(at->onnx, NN_ONNX_NEVER));
}

/* Queries of padding get something, where forward gives nothing; whoever reads them knows the lengths. */
static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	static const int64_t order[] = {0, 2, 1, 3};
	const Options *options = at->node->options;
	const NnShape *shape = &at->node->shape;
	size_t		n_keys = nn_src_shape(at->graph, at->node, 1)->dims[0];
	const int64_t together[] = {-1, (int64_t) shape->dims[0], (int64_t) shape->dims[1]};
	NnOnnx	   *file = at->onnx;
	NnOnnxValue scores = nn_onnx_apply2(file, "MatMul", heads_apart(at, 0, false), heads_apart(at, 1, true));

	scores = nn_onnx_apply2(file, "Mul", scores, nn_onnx_float(file, 1.0f / sqrtf((float) (shape->dims[1] / options->heads))));
	if (options->causal)
		scores = past_only(at, scores, shape->dims[0], n_keys);
	if (at->node->n_src > LENGTHS)
	{
		const int64_t dims[] = {-1, 1, 1, (int64_t) n_keys};
		NnOnnxValue counted = nn_onnx_apply2(file, "Reshape", positions_counted(at, LENGTHS, n_keys, false), nn_onnx_list(file, 4, dims));

		scores = nn_onnx_apply3(file, "Where", counted, scores, nn_onnx_float(file, NN_ONNX_NEVER));
	}
	nn_onnx_set_integer(file, "axis", -1);
	scores = nn_onnx_apply1(file, "Softmax", scores);
	scores = nn_onnx_apply2(file, "MatMul", scores, heads_apart(at, 2, false));
	nn_onnx_set_integers(file, "perm", 4, order);
	return nn_onnx_apply2(file, "Reshape", nn_onnx_apply1(file, "Transpose", scores), nn_onnx_list(file, 3, together));
}

const NnOperator nn_operator_attention = {
	.name = "attention",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.reads_src = true,
	.reads_dst = true,
	.onnx = onnx
};

NnNode
nn_attention(NnGraph *graph, NnNode query, NnNode key, NnNode value, NnNode lengths, size_t heads, bool causal, float dropout)
{
	NnNode		src[] = {query, key, value, lengths};
	Options		options = {.heads = heads, .causal = causal, .dropout = dropout};

	return nn_node_add(graph, &nn_operator_attention, src, lengths == NN_NONE ? 3 : 4, NULL, 0, &options, sizeof(options));
}

/*
 * attention_pool.c: the positions of a sequence, weighed by the softmax of their scores: (length, width) -> (width).
 *
 * The weights are kept; the gradient of a score is its weight times (what the position contributes to the gradient
 * of the sum, less the weighted mean of that).
 */
#include "sequence.h"

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	const NnShape *src = check_sequence(graph, node);
	const NnShape *scores = nn_src_shape(graph, node, 1);
	char		text[96];

	if (src == NULL || !nn_need_floats(graph, node, 1) || !check_lengths(graph, node, 2))
		return false;
	if (scores->rank > 2 || nn_shape_size(scores) != src->dims[0] || scores->dims[0] != src->dims[0])
		return nn_reject(graph, node, "scores have shape %s where one for each of %zu positions is needed",
						 nn_shape_text(scores, text, sizeof(text)), src->dims[0]);
	node->shape = nn_shape(1, src->dims[1], 0, 0, 0);
	node->workspace_row = src->dims[0];
	node->scratch_row = src->dims[0] + 1;
	return true;
}

static void
forward(const NnPass *pass)
{
	Sequence	s = sequence_of(pass);
	const int32_t *lengths = lengths_of(pass, 2);

	pass->device->sequence_softmax(pass->queue, pass->batch, s.length, lengths, nn_src(pass, 1), pass->workspace);
	pass->device->sequence_sum(pass->queue, pass->batch, s.length, s.width, lengths, pass->workspace, nn_src(pass, 0),
							   nn_dst(pass));
}

static void
backward(const NnPass *pass)
{
	const DevPrimitives *p = pass->device;
	DevQueue   *queue = pass->queue;
	Sequence	s = sequence_of(pass);
	const float *weights = pass->workspace;
	float	   *share = pass->scratch;
	float	   *mean = share + pass->batch * s.length;
	bool		accumulate;
	float	   *diff_scores;

	spread_sum(pass, weights);
	diff_scores = nn_diff_src(pass, 1, &accumulate);
	if (diff_scores == NULL)
		return;
	p->gemm_batch(queue, pass->batch, false, false, s.length, 1, s.width, 1.0f, nn_src(pass, 0), s.width,
				  s.length * s.width, nn_diff_dst(pass), 1, s.width, 0.0f, share, 1, s.length);
	p->reduce_cols(queue, pass->batch, s.length, share, s.length, weights, s.length, mean, false);
	p->zip(queue, DEV_ZIP_SUBTRACT, DEV_SPREAD_COLUMN, pass->batch, s.length, share, s.length, mean, 1,
		   share, s.length, false);
	p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, pass->batch, s.length, share, s.length, weights, s.length,
		   diff_scores, s.length, accumulate);
}

static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	size_t		length = nn_src_shape(at->graph, at->node, 0)->dims[0];
	const int64_t flat[] = {-1, (int64_t) length};
	NnOnnx	   *file = at->onnx;
	NnOnnxValue scores = nn_onnx_apply2(file, "Reshape", nn_onnx_src(at, 1), nn_onnx_list(file, 2, flat));

	if (at->node->n_src > 2)
		scores = nn_onnx_apply3(file, "Where", positions_counted(at, 2, length, false), scores, nn_onnx_float(file, NN_ONNX_NEVER));
	nn_onnx_set_integer(file, "axis", -1);
	scores = nn_onnx_along(file, "Unsqueeze", nn_onnx_apply1(file, "Softmax", scores), 2);
	return positions_summed(at, nn_onnx_apply2(file, "Mul", padding_replaced(at, nn_onnx_src(at, 0), 2, length, 0), scores));
}

const NnOperator nn_operator_attention_pool = {
	.name = "attention_pool",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.reads_src = true,
	.onnx = onnx
};

NnNode
nn_attention_pool(NnGraph *graph, NnNode src, NnNode scores, NnNode lengths)
{
	NnNode		sources[] = {src, scores, lengths};

	return nn_node_add(graph, &nn_operator_attention_pool, sources, lengths == NN_NONE ? 2 : 3, NULL, 0, NULL, 0);
}

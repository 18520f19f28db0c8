/*
 * token_cross_entropy.c: the cross entropy of every labelled position of a sequence, and of these the mean.
 *
 * As in cross_entropy.c, with q what class_target.h makes of a position's target, a position's
 * loss is - sum over classes of q log softmax(z), with derivative (sum of q) softmax - q. Positions beyond the length, and those
 * whose target is no class, do not count; a sequence without any that does has no loss.
 */
#include "class_target.h"
#include "sequence.h"

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	const NnShape *logits = check_sequence(graph, node);

	if (logits == NULL || !check_position_codes(graph, node, 1, logits->dims[0]) || !check_lengths(graph, node, 2) ||
		!prepare_class_target(graph, node, logits->dims[1]))
		return false;
	node->shape = nn_shape(1, 1, 0, 0, 0);
	node->workspace_row = nn_shape_size(logits);
	node->scratch_row = 2 * nn_shape_size(logits) + 2 * logits->dims[0];
	return true;
}

static void
set_shares(const NnPass *pass, const Sequence *s, float *shares)
{
	pass->device->sequence_shares(pass->queue, pass->batch, s->length, lengths_of(pass, 2), nn_src_codes(pass, 1),
								  s->width, shares);
}

static void
forward(const NnPass *pass)
{
	const DevPrimitives *p = pass->device;
	DevQueue   *queue = pass->queue;
	Sequence	s = sequence_of(pass);
	size_t		rows = pass->batch * s.length;
	float	   *term = pass->scratch;
	float	   *q = term + rows * s.width;
	float	   *shares = q + rows * s.width;
	float	   *losses = shares + rows;	/* at first the logarithms of the sums */

	p->softmax(queue, rows, s.width, nn_src(pass, 0), s.width, pass->workspace, s.width, losses);
	p->zip(queue, DEV_ZIP_SUBTRACT, DEV_SPREAD_COLUMN, rows, s.width, nn_src(pass, 0), s.width, losses, 1,
		   term, s.width, false);
	set_class_target(pass, rows, s.width, nn_src_codes(pass, 1), q);
	p->reduce_cols(queue, rows, s.width, term, s.width, q, s.width, losses, false);
	set_shares(pass, &s, shares);
	p->sequence_sum(queue, pass->batch, s.length, 1, lengths_of(pass, 2), shares, losses, nn_dst(pass));
	multiply(queue, pass->batch, -1, nn_dst(pass));
}

static void
backward(const NnPass *pass)
{
	const DevPrimitives *p = pass->device;
	DevQueue   *queue = pass->queue;
	Sequence	s = sequence_of(pass);
	size_t		rows = pass->batch * s.length;
	float	   *derivative = pass->scratch;
	float	   *q = derivative + rows * s.width;
	float	   *shares = q + rows * s.width;
	float	   *sum = shares + rows;
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	if (diff_src == NULL)
		return;
	set_class_target(pass, rows, s.width, nn_src_codes(pass, 1), q);
	p->reduce_cols(queue, rows, s.width, q, s.width, NULL, 0, sum, false);
	p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_COLUMN, rows, s.width, pass->workspace, s.width, sum, 1,
		   derivative, s.width, false);
	p->zip(queue, DEV_ZIP_SUBTRACT, DEV_SPREAD_FULL, rows, s.width, derivative, s.width, q, s.width,
		   derivative, s.width, false);
	set_shares(pass, &s, shares);
	p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_COLUMN, pass->batch, s.length, shares, s.length, nn_diff_dst(pass), 1,
		   shares, s.length, false);
	p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_COLUMN, rows, s.width, derivative, s.width, shares, 1,
		   diff_src, s.width, accumulate);
}

const NnOperator nn_operator_token_cross_entropy = {
	.name = "token_cross_entropy",
	.shape = shape,
	.forward = forward,
	.backward = backward
};

NnNode
nn_token_cross_entropy(NnGraph *graph, NnNode logits, NnNode targets, NnNode lengths, const float *class_weights,
					   float smoothing)
{
	NnNode		src[] = {logits, targets, lengths};
	ClassTarget options = {.class_weights = class_weights, .smoothing = smoothing};

	return nn_node_add(graph, &nn_operator_token_cross_entropy, src, lengths == NN_NONE ? 2 : 3, NULL, 0,
					   &options, sizeof(options));
}

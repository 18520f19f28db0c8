/*
 * linear.c: (..., in) -> (..., out), y = x W at every position, W (in, out).
 *
 * dx = dy W', dW = x' dy over all rows. An example's own gradient is the sum over its positions
 * p of x_p' dy_p; its squared norm is the sum over pairs of positions of (x_p . x_q)(dy_p . dy_q)
 * (Goodfellow 2015; Li et al. 2022), which with one position is |x|^2 |dy|^2.
 */
#include "operator.h"

NnNode
nn_linear(NnGraph *graph, NnNode src, NnParameter weights)
{
	return nn_node_add(graph, &nn_operator_linear, &src, 1, &weights, 1, NULL, 0);
}

/* With many positions and few weights the gradient itself is smaller than the two matrices of pairs. */
static bool
pairs_are_cheaper(size_t positions, size_t in, size_t out)
{
	return (double) positions * (double) (in + out + 2) < (double) in * (double) out;
}

static bool
linear_shape(NnGraph *graph, NnNodeData *node)
{
	const NnShape *src = nn_src_shape(graph, node, 0);
	const NnShape *weights = nn_need_parameter(graph, node, 0);
	size_t		in = nn_shape_last(src);
	size_t		positions = nn_shape_positions(src);
	char		text[96];

	if (weights == NULL || !nn_need_floats(graph, node, 0))
		return false;
	if (weights->rank != 2 || weights->dims[0] != in)
		return nn_reject(graph, node, "weights %s do not fit %zu inputs", nn_shape_text(weights, text, sizeof(text)), in);
	node->shape = *src;
	node->shape.dims[src->rank - 1] = weights->dims[1];
	if (positions == 1)
		node->scratch_row = 2;
	else if (pairs_are_cheaper(positions, in, weights->dims[1]))
		node->scratch_fixed = 2 * positions * positions;
	else
		node->scratch_fixed = in * weights->dims[1];
	return true;
}

static size_t
rows_of(const NnPass *pass)
{
	return pass->batch * nn_shape_positions(&pass->node->shape);
}

static void
linear_forward(const NnPass *pass)
{
	size_t		out = nn_shape_last(&pass->node->shape);
	size_t		in = nn_src_size(pass, 0) / nn_shape_positions(&pass->node->shape);

	if (pass->mode == NN_TRAIN)
		pass->device->gemm(pass->queue, false, false, rows_of(pass), out, in, 1.0f, nn_src(pass, 0), in,
						   nn_parameter_values(pass, 0), out, 0.0f, nn_dst(pass), out);
	else
		pass->device->product(pass->queue, rows_of(pass), out, in, nn_src(pass, 0), in,
							  nn_parameter_values(pass, 0), out, nn_finishing_bias(pass), nn_finishing_relu(pass), nn_dst(pass), out);
}

static void
linear_backward(const NnPass *pass)
{
	size_t		out = nn_shape_last(&pass->node->shape);
	size_t		in = nn_src_size(pass, 0) / nn_shape_positions(&pass->node->shape);
	float	   *diff_weights = nn_diff_parameter(pass, 0);
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	if (diff_weights != NULL)
		pass->device->gemm(pass->queue, true, false, in, out, rows_of(pass), 1.0f, nn_src(pass, 0), in,
						   nn_diff_dst(pass), out, 1.0f, diff_weights, out);
	if (diff_src != NULL)
		pass->device->gemm(pass->queue, false, true, rows_of(pass), in, out, 1.0f, nn_diff_dst(pass), out,
						   nn_parameter_values(pass, 0), out, accumulate ? 1.0f : 0.0f, diff_src, in);
}

static void
linear_norms(const NnPass *pass, float *squared)
{
	const DevPrimitives *device = pass->device;
	DevQueue   *queue = pass->queue;
	size_t		positions = nn_shape_positions(&pass->node->shape);
	size_t		out = nn_shape_last(&pass->node->shape);
	size_t		in = nn_src_size(pass, 0) / positions;
	const float *src = nn_src(pass, 0);
	const float *diff = nn_diff_dst(pass);

	if (positions == 1)
	{
		float	   *src_squared = pass->scratch;
		float	   *diff_squared = pass->scratch + pass->batch;

		device->reduce_cols(queue, pass->batch, in, src, in, src, in, src_squared, false);
		device->reduce_cols(queue, pass->batch, out, diff, out, diff, out, diff_squared, false);
		device->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, 1, pass->batch, src_squared, pass->batch,
					diff_squared, pass->batch, squared, pass->batch, true);
		return;
	}
	for (size_t i = 0; i < pass->batch; i++)
	{
		const float *x = src + i * positions * in;
		const float *dy = diff + i * positions * out;
		size_t		n = in * out;
		float	   *a = pass->scratch;
		float	   *b = pass->scratch;

		if (pairs_are_cheaper(positions, in, out))
		{
			n = positions * positions;
			b = a + n;
			device->gemm(queue, false, true, positions, positions, in, 1.0f, x, in, x, in, 0.0f, a, positions);
			device->gemm(queue, false, true, positions, positions, out, 1.0f, dy, out, dy, out, 0.0f, b, positions);
		}
		else
			device->gemm(queue, true, false, in, out, positions, 1.0f, x, in, dy, out, 0.0f, a, out);
		device->reduce_cols(queue, 1, n, a, n, b, n, squared + i, true);
	}
}

static NnOnnxValue
linear_onnx(const NnOnnxNode *at)
{
	return nn_onnx_apply2(at->onnx, "MatMul", nn_onnx_src(at, 0), nn_onnx_parameter(at, 0));
}

const NnOperator nn_operator_linear = {
	.name = "linear",
	.shape = linear_shape,
	.forward = linear_forward,
	.backward = linear_backward,
	.norms = linear_norms,
	.finishes = true,
	.overwritable = true,
	.reads_src = true,
	.onnx = linear_onnx
};

/*
 * grouped_linear.c: (groups, in) -> (groups, out), group g multiplied by a matrix of its own, W (groups, in, out).
 *
 * dx_g = dy_g W_g', dW_g = x_g' dy_g. An example's gradients of the groups do not meet: its
 * squared norm is the sum over groups of |x_g|^2 |dy_g|^2.
 */
#include "operator.h"

typedef struct Sizes
{
	size_t		groups;
	size_t		in;
	size_t		out;
} Sizes;

NnNode
nn_grouped_linear(NnGraph *graph, NnNode src, NnParameter weights)
{
	return nn_node_add(graph, &nn_operator_grouped_linear, &src, 1, &weights, 1, NULL, 0);
}

static bool
grouped_linear_shape(NnGraph *graph, NnNodeData *node)
{
	const NnShape *src = nn_src_shape(graph, node, 0);
	const NnShape *weights = nn_need_parameter(graph, node, 0);
	char		text[2][96];

	if (weights == NULL || !nn_need_floats(graph, node, 0))
		return false;
	if (src->rank != 2 || weights->rank != 3 || weights->dims[0] != src->dims[0] || weights->dims[1] != src->dims[1])
		return nn_reject(graph, node, "weights %s do not fit groups %s", nn_shape_text(weights, text[0], sizeof(text[0])),
						 nn_shape_text(src, text[1], sizeof(text[1])));
	node->shape = nn_shape(2, src->dims[0], weights->dims[2], 0, 0);
	node->scratch_row = 2 * src->dims[0];
	return true;
}

static Sizes
sizes_of(const NnPass *pass)
{
	Sizes		sizes;

	sizes.groups = pass->node->shape.dims[0];
	sizes.out = pass->node->shape.dims[1];
	sizes.in = nn_src_size(pass, 0) / sizes.groups;
	return sizes;
}

static void
grouped_linear_forward(const NnPass *pass)
{
	Sizes		s = sizes_of(pass);
	const float *src = nn_src(pass, 0);
	const float *weights = nn_parameter_values(pass, 0);
	const float *bias = nn_finishing_bias(pass);
	float	   *dst = nn_dst(pass);

	if (pass->mode == NN_TRAIN)
		pass->device->gemm_batch(pass->queue, s.groups, false, false, pass->batch, s.out, s.in, 1.0f,
								 src, s.groups * s.in, s.in, weights, s.out, s.in * s.out,
								 0.0f, dst, s.groups * s.out, s.out);
	else
		for (size_t g = 0; g < s.groups; g++)
			pass->device->product(pass->queue, pass->batch, s.out, s.in, src + g * s.in, s.groups * s.in,
								  weights + g * s.in * s.out, s.out, bias == NULL ? NULL : bias + g * s.out, nn_finishing_relu(pass),
								  dst + g * s.out, s.groups * s.out);
}

static void
grouped_linear_backward(const NnPass *pass)
{
	Sizes		s = sizes_of(pass);
	const float *diff = nn_diff_dst(pass);
	float	   *diff_weights = nn_diff_parameter(pass, 0);
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	if (diff_weights != NULL)
		pass->device->gemm_batch(pass->queue, s.groups, true, false, s.in, s.out, pass->batch, 1.0f,
								 nn_src(pass, 0), s.groups * s.in, s.in, diff, s.groups * s.out, s.out,
								 1.0f, diff_weights, s.out, s.in * s.out);
	if (diff_src != NULL)
		pass->device->gemm_batch(pass->queue, s.groups, false, true, pass->batch, s.in, s.out, 1.0f,
								 diff, s.groups * s.out, s.out, nn_parameter_values(pass, 0), s.out, s.in * s.out,
								 accumulate ? 1.0f : 0.0f, diff_src, s.groups * s.in, s.in);
}

static void
grouped_linear_norms(const NnPass *pass, float *squared)
{
	Sizes		s = sizes_of(pass);
	size_t		rows = pass->batch * s.groups;
	const float *src = nn_src(pass, 0);
	const float *diff = nn_diff_dst(pass);
	float	   *src_squared = pass->scratch;
	float	   *diff_squared = pass->scratch + rows;

	pass->device->reduce_cols(pass->queue, rows, s.in, src, s.in, src, s.in, src_squared, false);
	pass->device->reduce_cols(pass->queue, rows, s.out, diff, s.out, diff, s.out, diff_squared, false);
	pass->device->reduce_cols(pass->queue, pass->batch, s.groups, src_squared, s.groups, diff_squared, s.groups,
							  squared, true);
}

/* One row a group, times the group's matrix. */
static NnOnnxValue
grouped_linear_onnx(const NnOnnxNode *at)
{
	NnOnnxValue rows = nn_onnx_along(at->onnx, "Unsqueeze", nn_onnx_src(at, 0), 2);

	return nn_onnx_along(at->onnx, "Squeeze", nn_onnx_apply2(at->onnx, "MatMul", rows, nn_onnx_parameter(at, 0)), 2);
}

const NnOperator nn_operator_grouped_linear = {
	.name = "grouped_linear",
	.shape = grouped_linear_shape,
	.forward = grouped_linear_forward,
	.backward = grouped_linear_backward,
	.norms = grouped_linear_norms,
	.finishes = true,
	.overwritable = true,
	.reads_src = true,
	.onnx = grouped_linear_onnx
};

/*
 * ensemble_scale.c: batch ensemble (Wen, Tran and Ba 2020): each member scales the features in its own way.
 *
 * (in) is copied to all members or (members, in) is taken as it is; y = x * scale. dx = dy * scale,
 * summed over members when they shared x; an example's own gradient of scale is x * dy.
 */
#include "operator.h"

NnNode
nn_ensemble_scale(NnGraph *graph, NnNode src, NnParameter scale)
{
	return nn_node_add(graph, &nn_operator_ensemble_scale, &src, 1, &scale, 1, NULL, 0);
}

static bool
ensemble_scale_shape(NnGraph *graph, NnNodeData *node)
{
	const NnShape *src = nn_src_shape(graph, node, 0);
	const NnShape *scale = nn_need_parameter(graph, node, 0);
	char		text[2][96];

	if (scale == NULL || !nn_need_floats(graph, node, 0))
		return false;
	if (scale->rank != 2 || src->rank > 2 || nn_shape_last(src) != scale->dims[1] ||
		(src->rank == 2 && src->dims[0] != scale->dims[0]))
		return nn_reject(graph, node, "scale %s does not fit %s", nn_shape_text(scale, text[0], sizeof(text[0])),
						 nn_shape_text(src, text[1], sizeof(text[1])));
	node->shape = *scale;
	node->scratch_row = nn_shape_size(scale);
	return true;
}

/* How many members read the same x; 1 when each has its own, (members, in) then being one long row. */
static size_t
sharing(const NnPass *pass)
{
	return pass->node->size / nn_src_size(pass, 0);
}

/* dst (batch, members * in) = x * other, other being the scales or a gradient of dst's shape. */
static void
multiply_members(const NnPass *pass, DevSpread spread, const float *other, float *dst)
{
	size_t		members = sharing(pass);
	size_t		in = nn_src_size(pass, 0);
	size_t		size = pass->node->size;

	for (size_t m = 0; m < members; m++)
		pass->device->zip(pass->queue, DEV_ZIP_MULTIPLY, spread, pass->batch, in, nn_src(pass, 0), in,
						  other + m * in, size, dst + m * in, size, false);
}

static void
ensemble_scale_forward(const NnPass *pass)
{
	multiply_members(pass, DEV_SPREAD_ROW, nn_parameter_values(pass, 0), nn_dst(pass));
}

static void
ensemble_scale_backward(const NnPass *pass)
{
	size_t		members = sharing(pass);
	size_t		in = nn_src_size(pass, 0);
	size_t		size = pass->node->size;
	const float *diff = nn_diff_dst(pass);
	float	   *diff_scale = nn_diff_parameter(pass, 0);
	bool		accumulate;
	float	   *diff_src;

	/* Before diff_src, which may be written over diff. */
	if (diff_scale != NULL)
		for (size_t m = 0; m < members; m++)
			pass->device->reduce_rows(pass->queue, pass->batch, in, nn_src(pass, 0), in, diff + m * in, size,
									  diff_scale + m * in, true);
	diff_src = nn_diff_src(pass, 0, &accumulate);
	if (diff_src != NULL)
		for (size_t m = 0; m < members; m++)
			pass->device->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_ROW, pass->batch, in, diff + m * in, size,
							  nn_parameter_values(pass, 0) + m * in, in, diff_src, in, accumulate || m > 0);
}

static void
ensemble_scale_norms(const NnPass *pass, float *squared)
{
	size_t		size = pass->node->size;

	multiply_members(pass, DEV_SPREAD_FULL, nn_diff_dst(pass), pass->scratch);
	pass->device->reduce_cols(pass->queue, pass->batch, size, pass->scratch, size, pass->scratch, size, squared, true);
}

static NnOnnxValue
ensemble_scale_onnx(const NnOnnxNode *at)
{
	NnOnnxValue src = nn_onnx_src(at, 0);

	if (nn_src_shape(at->graph, at->node, 0)->rank == 1)
		src = nn_onnx_along(at->onnx, "Unsqueeze", src, 1);
	return nn_onnx_apply2(at->onnx, "Mul", src, nn_onnx_parameter(at, 0));
}

const NnOperator nn_operator_ensemble_scale = {
	.name = "ensemble_scale",
	.shape = ensemble_scale_shape,
	.forward = ensemble_scale_forward,
	.backward = ensemble_scale_backward,
	.norms = ensemble_scale_norms,
	.reads_src = true,
	.onnx = ensemble_scale_onnx
};

/*
 * batch_norm.c: every column to mean 0 and variance 1 over the batch and its positions, then gain and bias
 * (Ioffe and Szegedy 2015).
 *
 * NN_TRAIN takes the statistics of the rows at hand and leaves (running - batch) in the gradient slots of the
 * running ones, whose average the optimiser moves; NN_INFER takes the running statistics. As is usual,
 * rows are scaled by the biased variance and the unbiased one is averaged; a single row has none, and leaves that
 * average alone.
 *
 * A relu that alone reads this node is done here in both directions (node->relu): its derivative is known from src.
 *
 * Examples of a training pass share statistics, so none has a gradient of its own: mixes_examples makes
 * nn_run_norms refuse such a pass. Per-example norms are those of NN_INFER.
 */
#include "normalize.h"

enum
{
	GAIN,
	BIAS,
	RUNNING_MEAN,
	RUNNING_VARIANCE,
	N_PARAMETERS
};

/* What is one a column: kept from forward to backward, and made on the way back. */
enum
{
	MEAN,
	VARIANCE,
	INVERSE,
	SCALE,						/* gain * inverse */
	SHIFT,						/* bias */
	N_KEPT
};

enum
{
	SUM_DIFF,
	SUM_PRODUCT,
	N_MADE
};

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	static const char *const names[N_PARAMETERS] = {"gain", "bias", "running mean", "running variance"};
	const NnShape *src = nn_src_shape(graph, node, 0);

	if (!check_normalization(graph, node, names, N_PARAMETERS))
		return false;
	node->workspace_fixed = N_KEPT * nn_shape_last(src);
	node->scratch_row = 2 * nn_shape_last(src) + N_KEPT * nn_shape_last(src);
	node->scratch_fixed = N_MADE * nn_shape_last(src);
	return true;
}

/* Of the last forward pass; (cols) each. */
static float *
kept(const NnPass *pass, int which)
{
	return pass->workspace_fixed + (size_t) which * nn_shape_last(&pass->node->shape);
}

static float *
made(const NnPass *pass, int which)
{
	return pass->scratch + (size_t) which * nn_shape_last(&pass->node->shape);
}

/* The relu that this node does for the next: its scale, else NULL, which means that there is none. */
static const float *
gate_of(const NnPass *pass)
{
	return pass->node->relu ? kept(pass, SCALE) : NULL;
}

static void
forward(const NnPass *pass)
{
	const Options *options = pass->node->options;
	const DevPrimitives *p = pass->device;
	DevQueue   *queue = pass->queue;
	Sizes		s = sizes_of(pass);
	const float *gain = nn_parameter_values(pass, GAIN);
	const float *bias = nn_parameter_values(pass, BIAS);
	float	   *inverse = kept(pass, INVERSE);
	float	   *scale = kept(pass, SCALE);

	if (pass->mode == NN_TRAIN)
		p->moments(queue, 1, s.rows, s.cols, nn_src(pass, 0), kept(pass, MEAN), kept(pass, VARIANCE));
	else
	{
		p->copy(queue, 1, s.cols, nn_parameter_values(pass, RUNNING_MEAN), s.cols, kept(pass, MEAN), s.cols, false);
		p->copy(queue, 1, s.cols, nn_parameter_values(pass, RUNNING_VARIANCE), s.cols, kept(pass, VARIANCE), s.cols, false);
	}
	p->fill(queue, s.cols, options->epsilon, inverse);
	p->copy(queue, 1, s.cols, kept(pass, VARIANCE), s.cols, inverse, s.cols, true);
	p->map(queue, DEV_MAP_SQRT, s.cols, inverse, 0, inverse);
	p->map(queue, DEV_MAP_RECIPROCAL, s.cols, inverse, 0, inverse);

	p->copy(queue, 1, s.cols, inverse, s.cols, scale, s.cols, false);
	if (gain != NULL)
		p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, 1, s.cols, scale, s.cols, gain, s.cols, scale, s.cols, false);
	p->fill(queue, s.cols, 0, kept(pass, SHIFT));
	if (bias != NULL)
		p->copy(queue, 1, s.cols, bias, s.cols, kept(pass, SHIFT), s.cols, false);
	p->affine(queue, 1, s.rows, s.cols, nn_src(pass, 0), kept(pass, MEAN), scale, kept(pass, SHIFT), pass->node->relu,
			  nn_dst(pass));
}

/*
 * NN_INFER: diff_src = scale * d. NN_TRAIN: scale * (d - mean(d) - (x - mean) * inverse^2 * mean(d * (x - mean))), of which
 * SUM_DIFF and SUM_PRODUCT hold the sums.
 */
static void
backward_src(const NnPass *pass, const Sizes *s, float *diff_src, bool accumulate)
{
	const DevPrimitives *p = pass->device;
	DevQueue   *queue = pass->queue;
	const float *scale = kept(pass, SCALE);
	float	   *b = made(pass, SUM_PRODUCT);
	float	   *c = made(pass, SUM_DIFF);

	if (pass->mode == NN_TRAIN)
	{
		multiply(queue, s->cols, -1.0f / (float) s->rows, c);
		multiply(queue, s->cols, -1.0f / (float) s->rows, b);
		p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, 1, s->cols, c, s->cols, scale, s->cols, c, s->cols, false);
		p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, 1, s->cols, b, s->cols, scale, s->cols, b, s->cols, false);
		for (int i = 0; i < 2; i++)
			p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, 1, s->cols, b, s->cols, kept(pass, INVERSE), s->cols,
				   b, s->cols, false);
	}
	else
	{
		p->fill(queue, s->cols, 0, c);
		p->fill(queue, s->cols, 0, b);
	}
	p->affine_grad(queue, 1, s->rows, s->cols, nn_src(pass, 0), kept(pass, MEAN), gate_of(pass), kept(pass, SHIFT),
				   nn_diff_dst(pass), scale, b, c, diff_src, accumulate);
}

/* slot += running - batch */
static void
leave_statistics(const NnPass *pass, const Sizes *s)
{
	const DevPrimitives *p = pass->device;
	float	   *slot_mean = nn_diff_parameter(pass, RUNNING_MEAN);
	float	   *slot_variance = nn_diff_parameter(pass, RUNNING_VARIANCE);
	float	   *unbiased = pass->scratch;

	if (slot_mean != NULL)
		p->zip(pass->queue, DEV_ZIP_SUBTRACT, DEV_SPREAD_FULL, 1, s->cols, nn_parameter_values(pass, RUNNING_MEAN),
			   s->cols, kept(pass, MEAN), s->cols, slot_mean, s->cols, true);
	if (slot_variance != NULL && s->rows > 1)
	{
		p->map(pass->queue, DEV_MAP_SCALE, s->cols, kept(pass, VARIANCE), (float) s->rows / (float) (s->rows - 1),
			   unbiased);
		p->zip(pass->queue, DEV_ZIP_SUBTRACT, DEV_SPREAD_FULL, 1, s->cols,
			   nn_parameter_values(pass, RUNNING_VARIANCE), s->cols, unbiased, s->cols, slot_variance, s->cols, true);
	}
}

static void
backward(const NnPass *pass)
{
	const DevPrimitives *p = pass->device;
	Sizes		s = sizes_of(pass);
	float	   *diff_gain = nn_diff_parameter(pass, GAIN);
	float	   *diff_bias = nn_diff_parameter(pass, BIAS);
	bool		accumulate;
	float	   *diff_src;

	leave_statistics(pass, &s);
	p->affine_sums(pass->queue, 1, s.rows, s.cols, nn_src(pass, 0), kept(pass, MEAN), gate_of(pass), kept(pass, SHIFT),
				   nn_diff_dst(pass), made(pass, SUM_DIFF), made(pass, SUM_PRODUCT));
	if (diff_gain != NULL)
		p->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, 1, s.cols, made(pass, SUM_PRODUCT), s.cols,
			   kept(pass, INVERSE), s.cols, diff_gain, s.cols, true);
	if (diff_bias != NULL)
		p->copy(pass->queue, 1, s.cols, made(pass, SUM_DIFF), s.cols, diff_bias, s.cols, true);
	diff_src = nn_diff_src(pass, 0, &accumulate);
	if (diff_src != NULL)
		backward_src(pass, &s, diff_src, accumulate);
}

/* The examples' own sums, for which every example gets a copy of what is one a column. */
static void
norms(const NnPass *pass, float *squared)
{
	const DevPrimitives *p = pass->device;
	Sizes		s = sizes_of(pass);
	size_t		n = pass->batch * s.cols;
	float	   *copies = pass->scratch;
	float	   *sum_diff = pass->scratch + N_KEPT * n;
	float	   *sum_product = sum_diff + n;

	p->fill(pass->queue, N_KEPT * n, 0, copies);
	for (int i = 0; i < N_KEPT; i++)
		p->zip(pass->queue, DEV_ZIP_ADD, DEV_SPREAD_ROW, pass->batch, s.cols, copies + (size_t) i * n, s.cols,
			   kept(pass, i), s.cols, copies + (size_t) i * n, s.cols, false);
	p->affine_sums(pass->queue, pass->batch, s.positions, s.cols, nn_src(pass, 0), copies + MEAN * n,
				   pass->node->relu ? copies + SCALE * n : NULL, copies + SHIFT * n, nn_diff_dst(pass), sum_diff, sum_product);
	if (trains(pass, GAIN))
	{
		p->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, 1, n, sum_product, n, copies + INVERSE * n, n,
			   sum_product, n, false);
		add_squares(pass->queue, pass->batch, s.cols, sum_product, squared);
	}
	if (trains(pass, BIAS))
		add_squares(pass->queue, pass->batch, s.cols, sum_diff, squared);
}

/* (x - mean) * (gain / sqrt(variance + epsilon)) + bias, by the running statistics; gain and bias may be absent. */
static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	const Options *options = at->node->options;
	NnOnnxValue variance = nn_onnx_apply2(at->onnx, "Add", nn_onnx_parameter(at, RUNNING_VARIANCE), nn_onnx_float(at->onnx, options->epsilon));
	NnOnnxValue scale = nn_onnx_apply1(at->onnx, "Reciprocal", nn_onnx_apply1(at->onnx, "Sqrt", variance));
	NnOnnxValue value = nn_onnx_apply2(at->onnx, "Sub", nn_onnx_src(at, 0), nn_onnx_parameter(at, RUNNING_MEAN));

	if (at->node->parameters[GAIN] != NN_NONE)
		scale = nn_onnx_apply2(at->onnx, "Mul", scale, nn_onnx_parameter(at, GAIN));
	value = nn_onnx_apply2(at->onnx, "Mul", value, scale);
	if (at->node->parameters[BIAS] != NN_NONE)
		value = nn_onnx_apply2(at->onnx, "Add", value, nn_onnx_parameter(at, BIAS));
	return value;
}

const NnOperator nn_operator_batch_norm = {
	.name = "batch_norm",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.norms = norms,
	.mixes_examples = true,
	.overwritable = true,
	.relu = NN_RELU_BOTH,
	.reads_src = true,
	.onnx = onnx
};

NnNode
nn_batch_norm(NnGraph *graph, NnNode src, NnParameter gain, NnParameter bias, NnParameter running_mean,
			  NnParameter running_variance, float epsilon)
{
	NnParameter parameters[N_PARAMETERS] = {gain, bias, running_mean, running_variance};
	Options		options = {.epsilon = epsilon};

	return nn_node_add(graph, &nn_operator_batch_norm, &src, 1, parameters, N_PARAMETERS, &options,
					   sizeof(options));
}

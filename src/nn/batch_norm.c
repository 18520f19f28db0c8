/*
 * batch_norm.c: every column to mean 0 and variance 1 over the batch and its positions, then gain and bias
 * (Ioffe and Szegedy 2015).
 *
 * NN_TRAIN takes the statistics of the rows at hand and leaves (running - batch) in the gradient slots of the
 * running ones, whose average the optimiser moves; NN_INFER takes the running statistics. As is usual,
 * rows are scaled by the biased variance and the unbiased one is averaged; a single row has none, and leaves that
 * average alone.
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

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	static const char *const names[N_PARAMETERS] = {"gain", "bias", "running mean", "running variance"};
	const NnShape *src = nn_src_shape(graph, node, 0);

	if (!check_normalization(graph, node, names, N_PARAMETERS))
		return false;
	node->workspace_fixed = 3 * nn_shape_last(src);
	node->scratch_row = 2 * nn_shape_size(src);
	node->scratch_fixed = 3 * nn_shape_last(src);
	return true;
}

/* Of the last forward pass; (cols) each. */
static float *
mean_of(const NnPass *pass)
{
	return pass->workspace_fixed;
}

static float *
inverse_of(const NnPass *pass)
{
	return pass->workspace_fixed + nn_shape_last(&pass->node->shape);
}

static float *
variance_of(const NnPass *pass)
{
	return pass->workspace_fixed + 2 * nn_shape_last(&pass->node->shape);
}

/* Mean and variance of the rows at hand; centred becomes src - mean. */
static void
batch_statistics(const NnPass *pass, const Sizes *s, float *centred)
{
	const DevPrimitives *p = pass->device;
	DevQueue   *queue = pass->queue;
	float	   *mean = mean_of(pass);
	float	   *variance = variance_of(pass);
	float		share = 1.0f / (float) s->rows;

	p->reduce_rows(queue, s->rows, s->cols, nn_src(pass, 0), s->cols, NULL, 0, mean, false);
	multiply(queue, s->cols, share, mean);
	p->zip(queue, DEV_ZIP_SUBTRACT, DEV_SPREAD_ROW, s->rows, s->cols, nn_src(pass, 0), s->cols, mean, s->cols,
		   centred, s->cols, false);
	p->reduce_rows(queue, s->rows, s->cols, centred, s->cols, centred, s->cols, variance, false);
	multiply(queue, s->cols, share, variance);
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
	const float *variance = nn_parameter_values(pass, RUNNING_VARIANCE);
	float	   *dst = nn_dst(pass);
	float	   *inverse = inverse_of(pass);

	if (pass->mode == NN_TRAIN)
	{
		batch_statistics(pass, &s, dst);
		variance = variance_of(pass);
	}
	else
	{
		p->copy(queue, 1, s.cols, nn_parameter_values(pass, RUNNING_MEAN), s.cols, mean_of(pass), s.cols, false);
		p->zip(queue, DEV_ZIP_SUBTRACT, DEV_SPREAD_ROW, s.rows, s.cols, nn_src(pass, 0), s.cols,
			   mean_of(pass), s.cols, dst, s.cols, false);
	}
	p->fill(queue, s.cols, options->epsilon, inverse);
	p->copy(queue, 1, s.cols, variance, s.cols, inverse, s.cols, true);
	p->map(queue, DEV_MAP_SQRT, s.cols, inverse, 0, inverse);
	p->map(queue, DEV_MAP_RECIPROCAL, s.cols, inverse, 0, inverse);

	p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_ROW, s.rows, s.cols, dst, s.cols, inverse, s.cols,
		   dst, s.cols, false);
	if (gain != NULL)
		p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_ROW, s.rows, s.cols, dst, s.cols, gain, s.cols,
			   dst, s.cols, false);
	if (bias != NULL)
		p->zip(queue, DEV_ZIP_ADD, DEV_SPREAD_ROW, s.rows, s.cols, dst, s.cols, bias, s.cols, dst, s.cols, false);
}

/* The normalised values again, into `normal` (rows, cols). */
static void
normalize(const NnPass *pass, const Sizes *s, float *normal)
{
	const DevPrimitives *p = pass->device;

	p->zip(pass->queue, DEV_ZIP_SUBTRACT, DEV_SPREAD_ROW, s->rows, s->cols, nn_src(pass, 0), s->cols,
		   mean_of(pass), s->cols, normal, s->cols, false);
	p->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_ROW, s->rows, s->cols, normal, s->cols,
		   inverse_of(pass), s->cols, normal, s->cols, false);
}

/* NN_TRAIN: gain * inverse * (d - mean(d) - normal * mean(d * normal)); NN_INFER: gain * inverse * d */
static void
backward_src(const NnPass *pass, const Sizes *s, const float *normal, float *diff_src, bool accumulate)
{
	const DevPrimitives *p = pass->device;
	DevQueue   *queue = pass->queue;
	const float *gain = nn_parameter_values(pass, GAIN);
	const float *diff = nn_diff_dst(pass);
	float	   *centred = pass->scratch + s->rows * s->cols;
	float	   *mean_diff = centred + s->rows * s->cols;
	float	   *mean_product = mean_diff + s->cols;
	float	   *factor = mean_product + s->cols;

	if (pass->mode == NN_TRAIN)
	{
		p->reduce_rows(queue, s->rows, s->cols, diff, s->cols, NULL, 0, mean_diff, false);
		p->reduce_rows(queue, s->rows, s->cols, diff, s->cols, normal, s->cols, mean_product, false);
		multiply(queue, s->cols, 1.0f / (float) s->rows, mean_diff);
		multiply(queue, s->cols, -1.0f / (float) s->rows, mean_product);
		p->zip(queue, DEV_ZIP_SUBTRACT, DEV_SPREAD_ROW, s->rows, s->cols, diff, s->cols, mean_diff, s->cols,
			   centred, s->cols, false);
		p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_ROW, s->rows, s->cols, normal, s->cols, mean_product, s->cols,
			   centred, s->cols, true);
		diff = centred;
	}
	p->copy(queue, 1, s->cols, inverse_of(pass), s->cols, factor, s->cols, false);
	if (gain != NULL)
		p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, 1, s->cols, factor, s->cols, gain, s->cols,
			   factor, s->cols, false);
	p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_ROW, s->rows, s->cols, diff, s->cols, factor, s->cols,
		   diff_src, s->cols, accumulate);
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
			   s->cols, mean_of(pass), s->cols, slot_mean, s->cols, true);
	if (slot_variance != NULL && s->rows > 1)
	{
		p->map(pass->queue, DEV_MAP_SCALE, s->cols, variance_of(pass), (float) s->rows / (float) (s->rows - 1),
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
	float	   *normal = pass->scratch;
	float	   *diff_gain = nn_diff_parameter(pass, GAIN);
	float	   *diff_bias = nn_diff_parameter(pass, BIAS);
	bool		accumulate;
	float	   *diff_src;

	leave_statistics(pass, &s);
	normalize(pass, &s, normal);
	if (diff_gain != NULL)
		p->reduce_rows(pass->queue, s.rows, s.cols, nn_diff_dst(pass), s.cols, normal, s.cols, diff_gain, true);
	if (diff_bias != NULL)
		p->reduce_rows(pass->queue, s.rows, s.cols, nn_diff_dst(pass), s.cols, NULL, 0, diff_bias, true);
	diff_src = nn_diff_src(pass, 0, &accumulate);
	if (diff_src != NULL)
		backward_src(pass, &s, normal, diff_src, accumulate);
}

static void
norms(const NnPass *pass, float *squared)
{
	Sizes		s = sizes_of(pass);
	float	   *product = pass->scratch;
	float	   *sum = pass->scratch + s.rows * s.cols;

	if (trains(pass, GAIN))
	{
		normalize(pass, &s, product);
		pass->device->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, s.rows, s.cols, product, s.cols,
						  nn_diff_dst(pass), s.cols, product, s.cols, false);
		sum_positions(pass->queue, pass->batch, s.positions, s.cols, product, sum);
		add_squares(pass->queue, pass->batch, s.cols, sum, squared);
	}
	if (trains(pass, BIAS))
	{
		sum_positions(pass->queue, pass->batch, s.positions, s.cols, nn_diff_dst(pass), sum);
		add_squares(pass->queue, pass->batch, s.cols, sum, squared);
	}
}

const NnOperator nn_operator_batch_norm = {
	.name = "batch_norm",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.norms = norms,
	.mixes_examples = true,
	.reads_src = true
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

/*
 * layer_norm.c: every position of every example to mean 0 and variance 1 over its last dimension, then
 * gain and bias (Ba et al. 2016).
 *
 * Only 1 / deviation is kept for the way back; the normalised values are made again from it,
 * which costs three passes over memory and saves a copy of the activations.
 */
#include "normalize.h"

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	static const char *const names[] = {"gain", "bias"};
	const NnShape *src = nn_src_shape(graph, node, 0);

	if (!check_normalization(graph, node, names, 2))
		return false;
	node->workspace_row = nn_shape_positions(src);
	node->scratch_row = 2 * nn_shape_size(src) + 2 * nn_shape_positions(src);
	return true;
}

/* dst = src - mean, (rows, cols) */
static void
centre(const NnPass *pass, const Sizes *s, float *dst)
{
	const DevPrimitives *p = pass->device;
	float	   *mean = pass->scratch + 2 * s->rows * s->cols;

	p->reduce_cols(pass->queue, s->rows, s->cols, nn_src(pass, 0), s->cols, NULL, 0, mean, false);
	multiply(pass->queue, s->rows, 1.0f / (float) s->cols, mean);
	p->zip(pass->queue, DEV_ZIP_SUBTRACT, DEV_SPREAD_COLUMN, s->rows, s->cols, nn_src(pass, 0), s->cols, mean, 1,
		   dst, s->cols, false);
}

static void
forward(const NnPass *pass)
{
	const Options *options = pass->node->options;
	const DevPrimitives *p = pass->device;
	DevQueue   *queue = pass->queue;
	Sizes		s = sizes_of(pass);
	const float *gain = nn_parameter_values(pass, 0);
	const float *bias = nn_parameter_values(pass, 1);
	float	   *dst = nn_dst(pass);
	float	   *inverse = pass->workspace;

	centre(pass, &s, dst);
	p->fill(queue, s.rows, options->epsilon * (float) s.cols, inverse);
	p->reduce_cols(queue, s.rows, s.cols, dst, s.cols, dst, s.cols, inverse, true);
	multiply(queue, s.rows, 1.0f / (float) s.cols, inverse);
	p->map(queue, DEV_MAP_SQRT, s.rows, inverse, 0, inverse);
	p->map(queue, DEV_MAP_RECIPROCAL, s.rows, inverse, 0, inverse);

	p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_COLUMN, s.rows, s.cols, dst, s.cols, inverse, 1, dst, s.cols, false);
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
	centre(pass, s, normal);
	pass->device->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_COLUMN, s->rows, s->cols, normal, s->cols,
					  pass->workspace, 1, normal, s->cols, false);
}

/* diff_src = inverse * (d - mean(d) - normal * mean(d * normal)), d = diff_dst * gain */
static void
backward_src(const NnPass *pass, const Sizes *s, const float *normal, float *diff_src, bool accumulate)
{
	const DevPrimitives *p = pass->device;
	DevQueue   *queue = pass->queue;
	const float *gain = nn_parameter_values(pass, 0);
	const float *inverse = pass->workspace;
	size_t		size = s->rows * s->cols;
	float	   *diff = pass->scratch + size;
	float	   *mean_diff = diff + size;
	float	   *mean_product = mean_diff + s->rows;

	if (gain != NULL)
		p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_ROW, s->rows, s->cols, nn_diff_dst(pass), s->cols,
			   gain, s->cols, diff, s->cols, false);
	else
		p->copy(queue, s->rows, s->cols, nn_diff_dst(pass), s->cols, diff, s->cols, false);
	p->reduce_cols(queue, s->rows, s->cols, diff, s->cols, NULL, 0, mean_diff, false);
	p->reduce_cols(queue, s->rows, s->cols, diff, s->cols, normal, s->cols, mean_product, false);
	multiply(queue, s->rows, 1.0f / (float) s->cols, mean_diff);
	multiply(queue, s->rows, -1.0f / (float) s->cols, mean_product);

	p->zip(queue, DEV_ZIP_SUBTRACT, DEV_SPREAD_COLUMN, s->rows, s->cols, diff, s->cols, mean_diff, 1,
		   diff, s->cols, false);
	p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_COLUMN, s->rows, s->cols, normal, s->cols, mean_product, 1,
		   diff, s->cols, true);
	p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_COLUMN, s->rows, s->cols, diff, s->cols, inverse, 1,
		   diff_src, s->cols, accumulate);
}

static void
backward(const NnPass *pass)
{
	const DevPrimitives *p = pass->device;
	Sizes		s = sizes_of(pass);
	float	   *normal = pass->scratch;
	float	   *diff_gain = nn_diff_parameter(pass, 0);
	float	   *diff_bias = nn_diff_parameter(pass, 1);
	bool		accumulate;
	float	   *diff_src;

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

	if (trains(pass, 0))
	{
		normalize(pass, &s, product);
		pass->device->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, s.rows, s.cols, product, s.cols,
						  nn_diff_dst(pass), s.cols, product, s.cols, false);
		sum_positions(pass->queue, pass->batch, s.positions, s.cols, product, sum);
		add_squares(pass->queue, pass->batch, s.cols, sum, squared);
	}
	if (trains(pass, 1))
	{
		sum_positions(pass->queue, pass->batch, s.positions, s.cols, nn_diff_dst(pass), sum);
		add_squares(pass->queue, pass->batch, s.cols, sum, squared);
	}
}

const NnOperator nn_operator_layer_norm = {
	.name = "layer_norm",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.norms = norms,
	.reads_src = true
};

NnNode
nn_layer_norm(NnGraph *graph, NnNode src, NnParameter gain, NnParameter bias, float epsilon)
{
	NnParameter parameters[] = {gain, bias};
	Options		options = {.epsilon = epsilon};

	return nn_node_add(graph, &nn_operator_layer_norm, &src, 1, parameters, 2, &options, sizeof(options));
}

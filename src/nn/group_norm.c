/*
 * group_norm.c: every example's groups of channels to mean 0 and variance 1 over all positions, then gain and bias
 * a channel (Wu and He 2018).
 *
 * Moments are taken a channel and joined to those of groups: of equally many values each, the mean of a group is that of its channels'
 * means, its variance the mean of their variances and squared distances. With n values in a group, d = diff_dst * gain and
 * sums over the group: diff_src = inverse * (d - sum(d) / n - (x - mean) * inverse^2 * sum(d * (x - mean)) / n).
 */
#include "normalize.h"

typedef struct GroupOptions
{
	Options		common;			/* first: check_normalization reads it */
	size_t		groups;
} GroupOptions;

/* One value a channel of every example, (batch, channels) each; the first two are kept for the way back. */
enum
{
	MEAN,
	INVERSE,
	N_KEPT,
	SCALE = N_KEPT,
	SHIFT,
	FIRST,
	SECOND,
	PRODUCT,
	N_MADE
};

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	static const char *const names[] = {"gain", "bias"};
	const GroupOptions *options = node->options;
	const NnShape *src = nn_src_shape(graph, node, 0);

	if (!check_normalization(graph, node, names, 2))
		return false;
	if (options->groups == 0 || nn_shape_last(src) % options->groups != 0)
		return nn_reject(graph, node, "%zu channels do not divide into %zu groups", nn_shape_last(src), options->groups);
	node->workspace_row = N_KEPT * nn_shape_last(src);
	node->scratch_row = N_MADE * nn_shape_last(src) + 2 * options->groups;
	return true;
}

static size_t
groups_of(const NnPass *pass)
{
	return ((const GroupOptions *) pass->node->options)->groups;
}

static float *
made(const NnPass *pass, int which)
{
	return pass->scratch + (size_t) which * pass->batch * nn_shape_last(&pass->node->shape);
}

/* One value a group of every example. */
static float *
grouped(const NnPass *pass, int which)
{
	return made(pass, N_MADE) + (size_t) which * pass->batch * groups_of(pass);
}

/* dst (batch, channels) = each group's value of src at its channels */
static void
spread(const NnPass *pass, const Sizes *s, const float *src, float *dst)
{
	size_t		rows = pass->batch * groups_of(pass);
	size_t		width = s->cols / groups_of(pass);

	pass->device->fill(pass->queue, rows * width, 1, dst);
	pass->device->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_COLUMN, rows, width, dst, width, src, 1, dst, width, false);
}

/* dst (batch, groups) (+)= share * sums over the groups' channels of a * b; b may be NULL */
static void
gather_groups(const NnPass *pass, const Sizes *s, float share, const float *a, const float *b, float *dst)
{
	size_t		rows = pass->batch * groups_of(pass);
	size_t		width = s->cols / groups_of(pass);

	pass->device->reduce_cols(pass->queue, rows, width, a, width, b, width, dst, false);
	multiply(pass->queue, rows, share, dst);
}

/* values (batch, channels) *= the gain of each channel, where there is one */
static void
apply_gain(const NnPass *pass, const Sizes *s, float *values)
{
	const float *gain = nn_parameter_values(pass, 0);

	if (gain != NULL)
		pass->device->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_ROW, pass->batch, s->cols, values, s->cols,
						  gain, s->cols, values, s->cols, false);
}

/*
 * Means and inverse deviations, taken to where they are kept or brought back from there: one example behind the other,
 * so that a pass of one row finds its own.
 */
static void
keep(const NnPass *pass, const Sizes *s, bool back)
{
	size_t		ld = N_KEPT * s->cols;

	for (int i = 0; i < N_KEPT; i++)
	{
		float	   *row = pass->workspace + (size_t) i * s->cols;

		pass->device->copy(pass->queue, pass->batch, s->cols, back ? row : made(pass, i), back ? ld : s->cols,
						   back ? made(pass, i) : row, back ? s->cols : ld, false);
	}
}

static void
find_moments(const NnPass *pass, const Sizes *s)
{
	const DevPrimitives *p = pass->device;
	DevQueue   *queue = pass->queue;
	const GroupOptions *options = pass->node->options;
	size_t		rows = pass->batch * options->groups;
	size_t		width = s->cols / options->groups;
	float	   *mean = made(pass, FIRST);
	float	   *variance = made(pass, SECOND);
	float	   *group = grouped(pass, 0);
	float	   *distance = grouped(pass, 1);

	p->moments(queue, pass->batch, s->positions, s->cols, nn_src(pass, 0), mean, variance);
	gather_groups(pass, s, 1.0f / (float) width, mean, NULL, group);
	spread(pass, s, group, made(pass, MEAN));
	p->zip(queue, DEV_ZIP_SUBTRACT, DEV_SPREAD_COLUMN, rows, width, mean, width, group, 1, mean, width, false);
	gather_groups(pass, s, 1.0f / (float) width, mean, mean, distance);
	gather_groups(pass, s, 1.0f / (float) width, variance, NULL, group);
	p->copy(queue, 1, rows, distance, rows, group, rows, true);
	p->fill(queue, rows, options->common.epsilon, distance);
	p->copy(queue, 1, rows, distance, rows, group, rows, true);
	p->map(queue, DEV_MAP_SQRT, rows, group, 0, group);
	p->map(queue, DEV_MAP_RECIPROCAL, rows, group, 0, group);
	spread(pass, s, group, made(pass, INVERSE));
}

static void
forward(const NnPass *pass)
{
	const DevPrimitives *p = pass->device;
	Sizes		s = sizes_of(pass);
	size_t		n = pass->batch * s.cols;
	const float *bias = nn_parameter_values(pass, 1);
	float	   *scale = made(pass, SCALE);
	float	   *shift = made(pass, SHIFT);

	find_moments(pass, &s);
	keep(pass, &s, false);
	p->copy(pass->queue, 1, n, made(pass, INVERSE), n, scale, n, false);
	apply_gain(pass, &s, scale);
	p->fill(pass->queue, n, 0, shift);
	if (bias != NULL)
		p->zip(pass->queue, DEV_ZIP_ADD, DEV_SPREAD_ROW, pass->batch, s.cols, shift, s.cols, bias, s.cols,
			   shift, s.cols, false);
	p->affine(pass->queue, pass->batch, s.positions, s.cols, nn_src(pass, 0), made(pass, MEAN), scale, shift, false,
			  nn_dst(pass));
}

/* FIRST: sums over positions of diff_dst; SECOND: of diff_dst * (x - mean). */
static void
find_sums(const NnPass *pass, const Sizes *s)
{
	pass->device->affine_sums(pass->queue, pass->batch, s->positions, s->cols, nn_src(pass, 0), made(pass, MEAN), NULL, NULL,
							  nn_diff_dst(pass), made(pass, FIRST), made(pass, SECOND));
}

static void
backward_src(const NnPass *pass, const Sizes *s, float *diff_src, bool accumulate)
{
	const DevPrimitives *p = pass->device;
	DevQueue   *queue = pass->queue;
	size_t		n = pass->batch * s->cols;
	float		share = -1.0f / (float) (s->positions * (s->cols / groups_of(pass)));
	const float *inverse = made(pass, INVERSE);
	float	   *a = made(pass, SCALE);
	float	   *b = made(pass, PRODUCT);
	float	   *c = made(pass, SHIFT);

	apply_gain(pass, s, made(pass, FIRST));
	apply_gain(pass, s, made(pass, SECOND));
	gather_groups(pass, s, share, made(pass, FIRST), NULL, grouped(pass, 0));
	gather_groups(pass, s, share, made(pass, SECOND), NULL, grouped(pass, 1));
	p->copy(queue, 1, n, inverse, n, a, n, false);
	apply_gain(pass, s, a);
	spread(pass, s, grouped(pass, 0), c);
	p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, 1, n, c, n, inverse, n, c, n, false);
	spread(pass, s, grouped(pass, 1), b);
	for (int i = 0; i < 3; i++)
		p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, 1, n, b, n, inverse, n, b, n, false);
	p->affine_grad(queue, pass->batch, s->positions, s->cols, nn_src(pass, 0), made(pass, MEAN), NULL, NULL,
				   nn_diff_dst(pass), a, b, c, diff_src, accumulate);
}

static void
backward(const NnPass *pass)
{
	Sizes		s = sizes_of(pass);
	float	   *diff_gain = nn_diff_parameter(pass, 0);
	float	   *diff_bias = nn_diff_parameter(pass, 1);
	bool		accumulate;
	float	   *diff_src;

	keep(pass, &s, true);
	find_sums(pass, &s);
	if (diff_gain != NULL)
		pass->device->reduce_rows(pass->queue, pass->batch, s.cols, made(pass, SECOND), s.cols, made(pass, INVERSE), s.cols,
								  diff_gain, true);
	if (diff_bias != NULL)
		pass->device->reduce_rows(pass->queue, pass->batch, s.cols, made(pass, FIRST), s.cols, NULL, 0, diff_bias, true);
	diff_src = nn_diff_src(pass, 0, &accumulate);
	if (diff_src != NULL)
		backward_src(pass, &s, diff_src, accumulate);
}

static void
norms(const NnPass *pass, float *squared)
{
	Sizes		s = sizes_of(pass);
	size_t		n = pass->batch * s.cols;

	keep(pass, &s, true);
	find_sums(pass, &s);
	if (trains(pass, 0))
	{
		pass->device->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, 1, n, made(pass, SECOND), n, made(pass, INVERSE), n,
						  made(pass, SECOND), n, false);
		add_squares(pass->queue, pass->batch, s.cols, made(pass, SECOND), squared);
	}
	if (trains(pass, 1))
		add_squares(pass->queue, pass->batch, s.cols, made(pass, FIRST), squared);
}

/* (places, groups, width) to mean 0 and variance 1 over places and width, then gain and bias a channel */
static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	const GroupOptions *options = at->node->options;
	const NnShape *shape = &at->node->shape;
	size_t		cols = nn_shape_last(shape);
	const int64_t apart[] = {-1, (int64_t) nn_shape_positions(shape), (int64_t) options->groups, (int64_t) (cols / options->groups)};
	const int64_t axes[] = {1, 3};
	int64_t		dims[NN_MAX_RANK + 1] = {-1};
	NnOnnx	   *file = at->onnx;
	NnOnnxValue x = nn_onnx_apply2(file, "Reshape", nn_onnx_src(at, 0), nn_onnx_list(file, 4, apart));
	NnOnnxValue variance;

	for (int i = 0; i < shape->rank; i++)
		dims[i + 1] = (int64_t) shape->dims[i];
	nn_onnx_set_integers(file, "axes", 2, axes);
	x = nn_onnx_apply2(file, "Sub", x, nn_onnx_apply1(file, "ReduceMean", x));
	variance = nn_onnx_apply2(file, "Mul", x, x);
	nn_onnx_set_integers(file, "axes", 2, axes);
	variance = nn_onnx_apply1(file, "ReduceMean", variance);
	variance = nn_onnx_apply2(file, "Add", variance, nn_onnx_float(file, options->common.epsilon));
	x = nn_onnx_apply2(file, "Div", x, nn_onnx_apply1(file, "Sqrt", variance));
	x = nn_onnx_apply2(file, "Reshape", x, nn_onnx_list(file, (size_t) shape->rank + 1, dims));
	if (at->node->parameters[0] != NN_NONE)
		x = nn_onnx_apply2(file, "Mul", x, nn_onnx_parameter(at, 0));
	return at->node->parameters[1] == NN_NONE ? x : nn_onnx_apply2(file, "Add", x, nn_onnx_parameter(at, 1));
}

const NnOperator nn_operator_group_norm = {
	.name = "group_norm",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.norms = norms,
	.reads_src = true,
	.onnx = onnx
};

NnNode
nn_group_norm(NnGraph *graph, NnNode src, size_t groups, NnParameter gain, NnParameter bias, float epsilon)
{
	NnParameter parameters[] = {gain, bias};
	GroupOptions options = {{.epsilon = epsilon}, groups};

	return nn_node_add(graph, &nn_operator_group_norm, &src, 1, parameters, 2, &options, sizeof(options));
}

/*
 * time_encoding.c: a time as the sines and cosines of learned frequencies.
 *
 * With u = cos * diff_sin - sin * diff_cos the gradients are sum(f u) for the time and sum(time u) for a
 * frequency; sines and cosines are read back from the node's own value.
 */
#include "sequence.h"

typedef struct Options
{
	size_t		width;
} Options;

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	const Options *options = node->options;
	const NnShape *times = nn_src_shape(graph, node, 0);
	const NnShape *frequencies = nn_need_parameter(graph, node, 0);
	size_t		half = options->width / 2;
	char		text[64];

	if (frequencies == NULL || !nn_need_floats(graph, node, 0))
		return false;
	if (times->rank > 2 || (times->rank == 2 && times->dims[1] != 1))
		return nn_reject(graph, node, "times have shape %s where (length) or (length, 1) is needed",
						 nn_shape_text(times, text, sizeof(text)));
	if (half == 0 || options->width % 2 != 0)
		return nn_reject(graph, node, "width \"%zu\" is not an even number of sines and cosines", options->width);
	if (frequencies->rank != 1 || frequencies->dims[0] != half)
		return nn_reject(graph, node, "frequencies have shape %s where (%zu) is needed",
						 nn_shape_text(frequencies, text, sizeof(text)), half);
	if (times->dims[0] > (SIZE_MAX >> 8) / options->width)
		return nn_reject(graph, node, "too many times");
	node->shape = nn_shape(2, times->dims[0], options->width, 0, 0);
	node->scratch_row = times->dims[0] * (2 * half + 1) + half;
	return true;
}

typedef struct Sizes
{
	size_t		rows;			/* batch * length */
	size_t		length;
	size_t		half;
} Sizes;

static Sizes
sizes_of(const NnPass *pass)
{
	Sizes		s = {.length = pass->node->shape.dims[0], .half = pass->node->shape.dims[1] / 2};

	s.rows = pass->batch * s.length;
	return s;
}

static void
forward(const NnPass *pass)
{
	const DevPrimitives *p = pass->device;
	DevQueue   *queue = pass->queue;
	Sizes		s = sizes_of(pass);
	size_t		n = s.rows * s.half;
	float	   *angle = pass->scratch;
	float	   *wave = angle + n;
	float	   *dst = nn_dst(pass);

	p->fill(queue, n, 0, angle);
	p->zip(queue, DEV_ZIP_ADD, DEV_SPREAD_ROW, s.rows, s.half, angle, s.half, nn_parameter_values(pass, 0), s.half,
		   angle, s.half, false);
	p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_COLUMN, s.rows, s.half, angle, s.half, nn_src(pass, 0), 1, angle, s.half, false);
	p->map(queue, DEV_MAP_SIN, n, angle, 0, wave);
	p->copy(queue, s.rows, s.half, wave, s.half, dst, 2 * s.half, false);
	p->map(queue, DEV_MAP_COS, n, angle, 0, wave);
	p->copy(queue, s.rows, s.half, wave, s.half, dst + s.half, 2 * s.half, false);
}

/* u, see above, into turned (batch, length, half); other is scratch of the same size. */
static void
turn(const NnPass *pass, const Sizes *s, float *turned, float *other)
{
	const DevPrimitives *p = pass->device;
	const float *value = nn_dst(pass);
	const float *diff = nn_diff_dst(pass);
	size_t		width = 2 * s->half;

	p->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, s->rows, s->half, value + s->half, width, diff, width,
		   turned, s->half, false);
	p->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, s->rows, s->half, value, width, diff + s->half, width,
		   other, s->half, false);
	p->zip(pass->queue, DEV_ZIP_SUBTRACT, DEV_SPREAD_FULL, s->rows, s->half, turned, s->half, other, s->half,
		   turned, s->half, false);
}

/* dst = u times the time of its row */
static void
times_turned(const NnPass *pass, const Sizes *s, const float *turned, float *dst)
{
	pass->device->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_COLUMN, s->rows, s->half, turned, s->half,
					  nn_src(pass, 0), 1, dst, s->half, false);
}

static void
backward(const NnPass *pass)
{
	const DevPrimitives *p = pass->device;
	DevQueue   *queue = pass->queue;
	Sizes		s = sizes_of(pass);
	float	   *turned = pass->scratch;
	float	   *product = turned + s.rows * s.half;
	float	   *sums = product + s.rows * s.half;
	float	   *diff_frequencies = nn_diff_parameter(pass, 0);
	bool		accumulate;
	float	   *diff_src;

	turn(pass, &s, turned, product);
	if (diff_frequencies != NULL)
	{
		times_turned(pass, &s, turned, product);
		p->reduce_rows(queue, s.rows, s.half, product, s.half, NULL, 0, diff_frequencies, true);
	}
	diff_src = nn_diff_src(pass, 0, &accumulate);
	if (diff_src != NULL)
	{
		p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_ROW, s.rows, s.half, turned, s.half, nn_parameter_values(pass, 0), s.half,
			   product, s.half, false);
		p->reduce_cols(queue, s.rows, s.half, product, s.half, NULL, 0, sums, false);
		p->copy(queue, 1, s.rows, sums, s.rows, diff_src, s.rows, accumulate);
	}
}

static void
norms(const NnPass *pass, float *squared)
{
	Sizes		s = sizes_of(pass);
	float	   *turned = pass->scratch;
	float	   *other = turned + s.rows * s.half;

	if (!trains(pass, 0))
		return;
	turn(pass, &s, turned, other);
	times_turned(pass, &s, turned, turned);
	sum_positions(pass->queue, pass->batch, s.length, s.half, turned, other);
	add_squares(pass->queue, pass->batch, s.half, other, squared);
}

static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	const int64_t upright[] = {-1, (int64_t) at->node->shape.dims[0], 1};
	NnOnnx	   *file = at->onnx;
	NnOnnxValue angle = nn_onnx_apply2(file, "Reshape", nn_onnx_src(at, 0), nn_onnx_list(file, 3, upright));
	NnOnnxValue sine;

	angle = nn_onnx_apply2(file, "Mul", angle, nn_onnx_parameter(at, 0));
	sine = nn_onnx_apply1(file, "Sin", angle);
	angle = nn_onnx_apply1(file, "Cos", angle);
	nn_onnx_set_integer(file, "axis", -1);
	return nn_onnx_apply2(file, "Concat", sine, angle);
}

const NnOperator nn_operator_time_encoding = {
	.name = "time_encoding",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.norms = norms,
	.reads_src = true,
	.reads_dst = true,
	.onnx = onnx
};

NnNode
nn_time_encoding(NnGraph *graph, NnNode times, NnParameter frequencies, size_t width)
{
	Options		options = {.width = width};

	return nn_node_add(graph, &nn_operator_time_encoding, &times, 1, &frequencies, 1, &options, sizeof(options));
}

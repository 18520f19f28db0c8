/*
 * periodic.c: a number as the cosines and sines of learned frequencies (Gorishniy et al. 2022).
 *
 * With u = cos * diff_sin - sin * diff_cos the gradients are 2 pi sum(f u) for the number and 2 pi x u for
 * a frequency; the cosines and sines are read back from the node's own value.
 */
#include "arithmetic.h"

#define TWO_PI 6.28318530717958648f

typedef struct Sizes
{
	size_t		rows;			/* batch * n */
	size_t		n;
	size_t		frequencies;
	size_t		size;			/* n * frequencies */
} Sizes;

static Sizes
sizes_of(const NnPass *pass)
{
	Sizes		sizes;

	sizes.n = pass->node->shape.dims[0];
	sizes.frequencies = pass->node->shape.dims[1] / 2;
	sizes.rows = pass->batch * sizes.n;
	sizes.size = sizes.n * sizes.frequencies;
	return sizes;
}

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	const NnShape *src = nn_src_shape(graph, node, 0);
	const NnShape *frequencies = nn_need_parameter(graph, node, 0);
	char		text[64];

	if (frequencies == NULL || !nn_need_floats(graph, node, 0))
		return false;
	if (src->rank != 1)
		return nn_reject(graph, node, "source has shape %s where (n) is needed", nn_shape_text(src, text, sizeof(text)));
	if (frequencies->rank != 2 || frequencies->dims[0] != src->dims[0])
		return nn_reject(graph, node, "frequencies have shape %s where (%zu, frequencies) is needed",
						 nn_shape_text(frequencies, text, sizeof(text)), src->dims[0]);
	if (frequencies->dims[1] > SIZE_MAX / 2)
		return nn_reject(graph, node, "too many frequencies");
	node->shape = nn_shape(2, src->dims[0], 2 * frequencies->dims[1], 0, 0);
	node->scratch_row = 2 * frequencies->dims[0] * frequencies->dims[1] + src->dims[0];
	node->scratch_fixed = frequencies->dims[0] * frequencies->dims[1];
	return true;
}

static void
forward(const NnPass *pass)
{
	const DevPrimitives *p = pass->device;
	DevQueue   *queue = pass->queue;
	Sizes		s = sizes_of(pass);
	size_t		n = s.rows * s.frequencies;
	float	   *angle = pass->scratch;
	float	   *wave = pass->scratch + n;
	float	   *dst = nn_dst(pass);

	/* angle = 2 pi x f: the frequencies to every example, then times the number */
	p->fill(queue, n, 0, angle);
	p->zip(queue, DEV_ZIP_ADD, DEV_SPREAD_ROW, pass->batch, s.size, angle, s.size, nn_parameter_values(pass, 0),
		   s.size, angle, s.size, false);
	p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_COLUMN, s.rows, s.frequencies, angle, s.frequencies,
		   nn_src(pass, 0), 1, angle, s.frequencies, false);
	multiply(queue, n, TWO_PI, angle);

	p->map(queue, DEV_MAP_COS, n, angle, 0, wave);
	p->copy(queue, s.rows, s.frequencies, wave, s.frequencies, dst, 2 * s.frequencies, false);
	p->map(queue, DEV_MAP_SIN, n, angle, 0, wave);
	p->copy(queue, s.rows, s.frequencies, wave, s.frequencies, dst + s.frequencies, 2 * s.frequencies, false);
}

/* u, see above, into turned (batch, n, frequencies) */
static void
turn(const NnPass *pass, const Sizes *s, float *turned)
{
	const DevPrimitives *p = pass->device;
	const float *value = nn_dst(pass);
	const float *diff = nn_diff_dst(pass);
	size_t		f = s->frequencies;
	float	   *other = turned + s->rows * f;

	p->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, s->rows, f, value, 2 * f, diff + f, 2 * f,
		   turned, f, false);
	p->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, s->rows, f, value + f, 2 * f, diff, 2 * f,
		   other, f, false);
	p->zip(pass->queue, DEV_ZIP_SUBTRACT, DEV_SPREAD_FULL, s->rows, f, turned, f, other, f, turned, f, false);
}

static void
backward(const NnPass *pass)
{
	const DevPrimitives *p = pass->device;
	DevQueue   *queue = pass->queue;
	Sizes		s = sizes_of(pass);
	float	   *turned = pass->scratch;
	float	   *product = turned + s.rows * s.frequencies;
	float	   *sums = product + s.rows * s.frequencies;
	float	   *sum_frequencies = sums + s.rows;
	float	   *diff_frequencies = nn_diff_parameter(pass, 0);
	bool		accumulate;
	float	   *diff_src;

	turn(pass, &s, turned);
	if (diff_frequencies != NULL)
	{
		p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_COLUMN, s.rows, s.frequencies, turned, s.frequencies,
			   nn_src(pass, 0), 1, product, s.frequencies, false);
		p->reduce_rows(queue, pass->batch, s.size, product, s.size, NULL, 0, sum_frequencies, false);
		add_scaled(queue, s.size, TWO_PI, sum_frequencies, diff_frequencies);
	}
	diff_src = nn_diff_src(pass, 0, &accumulate);
	if (diff_src != NULL)
	{
		p->zip(queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_ROW, pass->batch, s.size, turned, s.size,
			   nn_parameter_values(pass, 0), s.size, product, s.size, false);
		p->reduce_cols(queue, s.rows, s.frequencies, product, s.frequencies, NULL, 0, sums, false);
		multiply(queue, s.rows, TWO_PI, sums);
		p->copy(queue, 1, s.rows, sums, s.rows, diff_src, s.rows, accumulate);
	}
}

static void
norms(const NnPass *pass, float *squared)
{
	Sizes		s = sizes_of(pass);
	float	   *turned = pass->scratch;

	if (!trains(pass, 0))
		return;
	turn(pass, &s, turned);
	pass->device->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_COLUMN, s.rows, s.frequencies, turned, s.frequencies,
					  nn_src(pass, 0), 1, turned, s.frequencies, false);
	multiply(pass->queue, s.rows * s.frequencies, TWO_PI, turned);
	add_squares(pass->queue, pass->batch, s.size, turned, squared);
}

static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	NnOnnxValue x = nn_onnx_along(at->onnx, "Unsqueeze", nn_onnx_src(at, 0), 2);
	NnOnnxValue angle = nn_onnx_apply2(at->onnx, "Mul", nn_onnx_apply2(at->onnx, "Mul", nn_onnx_parameter(at, 0), x),
									   nn_onnx_float(at->onnx, TWO_PI));
	NnOnnxValue cosine = nn_onnx_apply1(at->onnx, "Cos", angle);
	NnOnnxValue sine = nn_onnx_apply1(at->onnx, "Sin", angle);

	nn_onnx_set_integer(at->onnx, "axis", -1);
	return nn_onnx_apply2(at->onnx, "Concat", cosine, sine);
}

const NnOperator nn_operator_periodic = {
	.name = "periodic",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.norms = norms,
	.reads_src = true,
	.reads_dst = true,
	.onnx = onnx
};

NnNode
nn_periodic(NnGraph *graph, NnNode src, NnParameter frequencies)
{
	return nn_node_add(graph, &nn_operator_periodic, &src, 1, &frequencies, 1, NULL, 0);
}

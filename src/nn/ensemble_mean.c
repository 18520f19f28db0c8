/*
 * ensemble_mean.c: the one answer of an ensemble, (members, outputs) -> (outputs).
 *
 * Probabilities are averaged, not logits, and in logarithms throughout:
 * binary: log mean sigmoid(z) - log mean sigmoid(-z), whose terms are log mean exp(-softplus(-z)) and its mirror;
 * classes: log mean exp(z - log sum exp(z)). A softmax over members gives both the
 * log of a sum and the weights of its derivative; for that the members must lie side by side, so
 * values are first put into (outputs, batch, members).
 */
#include "loss.h"

#include <math.h>

typedef struct Options
{
	NnMean		scale;
} Options;

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	const Options *options = node->options;
	const NnShape *src = nn_src_shape(graph, node, 0);
	char		text[64];

	if (!nn_need_floats(graph, node, 0))
		return false;
	if (src->rank != 2)
		return nn_reject(graph, node, "source has shape %s where (members, outputs) is needed",
						 nn_shape_text(src, text, sizeof(text)));
	node->shape = nn_shape(1, src->dims[1], 0, 0, 0);
	if (options->scale == NN_MEAN_VALUE)
	{
		node->reads_src = false;
		node->scratch_row = src->dims[1];
	}
	else
		node->scratch_row = 4 * nn_shape_size(src) + src->dims[0] + 2 * src->dims[1];
	return true;
}

static size_t
count(const NnPass *pass, const LossSizes *s)
{
	return pass->batch * s->size;
}

/* (batch, members, outputs) -> (outputs, batch, members) */
static void
members_together(const NnPass *pass, const LossSizes *s, const float *src, float *dst)
{
	size_t		rows = pass->batch * s->members;

	for (size_t o = 0; o < s->outputs; o++)
		pass->device->copy(pass->queue, rows, 1, src + o, s->outputs, dst + o * rows, 1, false);
}

static void
members_apart(const NnPass *pass, const LossSizes *s, const float *src, float *dst, bool accumulate)
{
	size_t		rows = pass->batch * s->members;

	for (size_t o = 0; o < s->outputs; o++)
		pass->device->copy(pass->queue, rows, 1, src + o * rows, 1, dst + o, s->outputs, accumulate);
}

/* src (outputs, batch) -> dst (batch, outputs), or back */
static void
outputs_last(const NnPass *pass, const LossSizes *s, const float *src, float *dst)
{
	for (size_t o = 0; o < s->outputs; o++)
		pass->device->copy(pass->queue, pass->batch, 1, src + o * pass->batch, 1, dst + o, s->outputs, false);
}

static void
outputs_first(const NnPass *pass, const LossSizes *s, const float *src, float *dst)
{
	for (size_t o = 0; o < s->outputs; o++)
		pass->device->copy(pass->queue, pass->batch, 1, src + o, s->outputs, dst + o * pass->batch, 1, false);
}

/* weights = softmax over members of x (outputs, batch, members), log_sum (outputs, batch) */
static void
weigh_members(const NnPass *pass, const LossSizes *s, const float *x, float *weights, float *log_sum)
{
	pass->device->softmax(pass->queue, s->outputs * pass->batch, s->members, x, s->members, weights, s->members,
						  log_sum);
}

/* x = -softplus(sign * z), the logarithm of sigmoid(-sign * z) */
static void
log_sigmoid(const NnPass *pass, size_t n, const float *z, float sign, float *x)
{
	pass->device->map(pass->queue, DEV_MAP_SCALE, n, z, sign, x);
	pass->device->map(pass->queue, DEV_MAP_SOFTPLUS, n, x, 0, x);
	multiply(pass->queue, n, -1, x);
}

/* ---- Values ---- */

static void
forward_value(const NnPass *pass, const LossSizes *s)
{
	float	   *dst = nn_dst(pass);

	sum_positions(pass->queue, pass->batch, s->members, s->outputs, nn_src(pass, 0), dst);
	multiply(pass->queue, pass->batch * s->outputs, 1.0f / (float) s->members, dst);
}

static void
backward_value(const NnPass *pass, const LossSizes *s)
{
	float	   *share = pass->scratch;
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	if (diff_src == NULL)
		return;
	pass->device->map(pass->queue, DEV_MAP_SCALE, pass->batch * s->outputs, nn_diff_dst(pass),
					  1.0f / (float) s->members, share);
	for (size_t m = 0; m < s->members; m++)
		pass->device->copy(pass->queue, pass->batch, s->outputs, share, s->outputs, diff_src + m * s->outputs,
						   s->size, accumulate);
}

/* ---- Binary ---- */

static void
forward_binary(const NnPass *pass, const LossSizes *s)
{
	size_t		n = count(pass, s);
	size_t		rows = pass->batch * s->outputs;
	float	   *z = pass->scratch;
	float	   *x = z + n;
	float	   *weights = x + n;
	float	   *yes = weights + n;
	float	   *no = yes + rows;

	members_together(pass, s, nn_src(pass, 0), z);
	log_sigmoid(pass, n, z, -1, x);
	weigh_members(pass, s, x, weights, yes);
	log_sigmoid(pass, n, z, 1, x);
	weigh_members(pass, s, x, weights, no);
	pass->device->zip(pass->queue, DEV_ZIP_SUBTRACT, DEV_SPREAD_FULL, 1, rows, yes, rows, no, rows, yes, rows, false);
	outputs_last(pass, s, yes, nn_dst(pass));
}

/* d/dz = (weight in yes) sigmoid(-z) + (weight in no) sigmoid(z) */
static void
backward_binary(const NnPass *pass, const LossSizes *s, float *diff_src, bool accumulate)
{
	const DevPrimitives *p = pass->device;
	size_t		n = count(pass, s);
	size_t		rows = pass->batch * s->outputs;
	float	   *z = pass->scratch;
	float	   *x = z + n;
	float	   *weights = x + n;
	float	   *derivative = weights + n;
	float	   *diff = derivative + n;

	members_together(pass, s, nn_src(pass, 0), z);
	p->fill(pass->queue, n, 0, derivative);
	for (int sign = -1; sign <= 1; sign += 2)
	{
		log_sigmoid(pass, n, z, (float) sign, x);
		weigh_members(pass, s, x, weights, diff);
		p->map(pass->queue, DEV_MAP_SCALE, n, z, (float) sign, x);
		p->map(pass->queue, DEV_MAP_SIGMOID, n, x, 0, x);
		p->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_FULL, 1, n, weights, n, x, n, derivative, n, true);
	}
	outputs_first(pass, s, nn_diff_dst(pass), diff);
	p->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_COLUMN, rows, s->members, derivative, s->members, diff, 1,
		   derivative, s->members, false);
	members_apart(pass, s, derivative, diff_src, accumulate);
}

/* ---- Classes ---- */

/*
 * softmax (batch, members, classes) of every member, the weights of the members (outputs, batch, members) in the
 * mean, and the log of the sum of their probabilities (outputs, batch); x and log_sum (batch, members) are scratch.
 */
static void
mix_classes(const NnPass *pass, const LossSizes *s, float *softmax, float *x, float *weights, float *log_sum,
			float *log_mix)
{
	const DevPrimitives *p = pass->device;
	size_t		rows = pass->batch * s->members;

	p->softmax(pass->queue, rows, s->outputs, nn_src(pass, 0), s->outputs, softmax, s->outputs, log_sum);
	p->zip(pass->queue, DEV_ZIP_SUBTRACT, DEV_SPREAD_COLUMN, rows, s->outputs, nn_src(pass, 0), s->outputs,
		   log_sum, 1, weights, s->outputs, false);
	members_together(pass, s, weights, x);
	weigh_members(pass, s, x, weights, log_mix);
}

static void
forward_classes(const NnPass *pass, const LossSizes *s)
{
	size_t		n = count(pass, s);
	size_t		rows = pass->batch * s->outputs;
	float	   *x = pass->scratch + n;
	float	   *weights = x + n;
	float	   *log_mix = weights + 2 * n;
	float	   *shift = log_mix + rows;

	mix_classes(pass, s, pass->scratch, x, weights, shift + rows, log_mix);
	pass->device->fill(pass->queue, rows, -logf((float) s->members), shift);
	pass->device->copy(pass->queue, 1, rows, log_mix, rows, shift, rows, true);
	outputs_last(pass, s, shift, nn_dst(pass));
}

/* With d = weights * diff: diff_src = d - softmax * (sum of d over the classes of the member) */
static void
backward_classes(const NnPass *pass, const LossSizes *s, float *diff_src, bool accumulate)
{
	const DevPrimitives *p = pass->device;
	size_t		n = count(pass, s);
	size_t		outputs = pass->batch * s->outputs;
	size_t		rows = pass->batch * s->members;
	float	   *softmax = pass->scratch;
	float	   *x = softmax + n;
	float	   *weights = x + n;
	float	   *diff = weights + 2 * n;
	float	   *sums = diff + 2 * outputs;

	mix_classes(pass, s, softmax, x, weights, sums, diff);
	outputs_first(pass, s, nn_diff_dst(pass), diff);
	p->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_COLUMN, outputs, s->members, weights, s->members, diff, 1,
		   weights, s->members, false);
	members_apart(pass, s, weights, x, false);
	p->reduce_cols(pass->queue, rows, s->outputs, x, s->outputs, NULL, 0, sums, false);
	p->zip(pass->queue, DEV_ZIP_MULTIPLY, DEV_SPREAD_COLUMN, rows, s->outputs, softmax, s->outputs, sums, 1,
		   softmax, s->outputs, false);
	p->zip(pass->queue, DEV_ZIP_SUBTRACT, DEV_SPREAD_FULL, rows, s->outputs, x, s->outputs, softmax, s->outputs,
		   diff_src, s->outputs, accumulate);
}

static void
forward(const NnPass *pass)
{
	const Options *options = pass->node->options;
	LossSizes	s = pass_sizes(pass);

	switch (options->scale)
	{
		case NN_MEAN_VALUE:
			forward_value(pass, &s);
			break;
		case NN_MEAN_BINARY:
			forward_binary(pass, &s);
			break;
		case NN_MEAN_CLASSES:
			forward_classes(pass, &s);
			break;
	}
}

static void
backward(const NnPass *pass)
{
	const Options *options = pass->node->options;
	LossSizes	s = pass_sizes(pass);
	bool		accumulate;
	float	   *diff_src;

	if (options->scale == NN_MEAN_VALUE)
	{
		backward_value(pass, &s);
		return;
	}
	diff_src = nn_diff_src(pass, 0, &accumulate);
	if (diff_src == NULL)
		return;
	if (options->scale == NN_MEAN_BINARY)
		backward_binary(pass, &s, diff_src, accumulate);
	else
		backward_classes(pass, &s, diff_src, accumulate);
}

/* Over members, the first dimension after the batch. */
static NnOnnxValue
reduce(NnOnnx *onnx, const char *operator, NnOnnxValue src)
{
	const int64_t axis = 1;

	nn_onnx_set_integers(onnx, "axes", 1, &axis);
	nn_onnx_set_integer(onnx, "keepdims", 0);
	return nn_onnx_apply1(onnx, operator, src);
}

static NnOnnxValue
log_sum_sigmoid(NnOnnx *onnx, NnOnnxValue minus_z)
{
	return reduce(onnx, "ReduceLogSumExp", nn_onnx_apply1(onnx, "Neg", nn_onnx_apply1(onnx, "Softplus", minus_z)));
}

static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	const Options *options = at->node->options;
	NnOnnxValue z = nn_onnx_src(at, 0);
	float		members = (float) nn_src_shape(at->graph, at->node, 0)->dims[0];

	switch (options->scale)
	{
		case NN_MEAN_VALUE:
			return reduce(at->onnx, "ReduceMean", z);
		case NN_MEAN_BINARY:
			return nn_onnx_apply2(at->onnx, "Sub", log_sum_sigmoid(at->onnx, nn_onnx_apply1(at->onnx, "Neg", z)), log_sum_sigmoid(at->onnx, z));
		case NN_MEAN_CLASSES:
			nn_onnx_set_integer(at->onnx, "axis", -1);
			z = reduce(at->onnx, "ReduceLogSumExp", nn_onnx_apply1(at->onnx, "LogSoftmax", z));
			return nn_onnx_apply2(at->onnx, "Sub", z, nn_onnx_float(at->onnx, logf(members)));
	}
	return nn_onnx_fail(at->onnx, DEV_INVALID, "a mean of kind %d has no form in ONNX", (int) options->scale);
}

const NnOperator nn_operator_ensemble_mean = {
	.name = "ensemble_mean",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.reads_src = true,
	.onnx = onnx
};

NnNode
nn_ensemble_mean(NnGraph *graph, NnNode src, NnMean scale)
{
	Options		options = {.scale = scale};

	return nn_node_add(graph, &nn_operator_ensemble_mean, &src, 1, NULL, 0, &options, sizeof(options));
}

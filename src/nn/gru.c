/*
 * gru.c: gated recurrent unit, (length, in) -> (length, hidden) (Cho et al. 2014, in the variant that resets after the
 * product, as cuDNN and PyTorch have it).
 *
 * r = sigmoid(x W_r + h' U_r + b_r), z likewise; n = tanh(x W_n + b_n + r (h' U_n + c_n)); h = (1 - z) n + z h'.
 */
#include "recurrent.h"

#define N_PARAMETERS (BIAS_HIDDEN + 1)

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	return recurrent_shape(graph, node, 3, 4);
}

static void
forward(const NnPass *pass)
{
	Recurrent	r = recurrent_of(pass, 3, 4);
	DevRecurrence how = recurrence_of(pass, &r);

	how.bias_hidden = nn_parameter_values(pass, BIAS_HIDDEN);
	multiply_inputs(pass, &r);
	pass->device->gru(pass->queue, &how, pass->workspace, nn_dst(pass), r.device);
}

static void
walk_back(const NnPass *pass, const Recurrent *r)
{
	DevRecurrence how = recurrence_of(pass, r);

	pass->device->gru_grad(pass->queue, &how, pass->workspace, nn_dst(pass), nn_diff_dst(pass), r->device,
						   r->diff_gates, r->diff_bias);
}

static void
backward(const NnPass *pass)
{
	Recurrent	r = recurrent_of(pass, 3, 4);
	float	   *diff_hidden = nn_diff_parameter(pass, BIAS_HIDDEN);

	walk_back(pass, &r);
	if (diff_hidden != NULL)
		pass->device->copy(pass->queue, 1, r.hidden, r.diff_bias + 3 * r.hidden, r.hidden, diff_hidden, r.hidden, true);
	recurrent_backward(pass, &r);
}

static void
norms(const NnPass *pass, float *squared)
{
	Recurrent	r = recurrent_of(pass, 3, 4);

	walk_back(pass, &r);
	recurrent_norms(pass, &r, squared);
}

/* ONNX has z before r. */
static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	static const size_t order[] = {1, 0, 2};

	return recurrent_onnx(at, "GRU", 3, order);
}

const NnOperator nn_operator_gru = {
	.name = "gru",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.norms = norms,
	.reads_src = true,
	.reads_dst = true,
	.onnx = onnx
};

NnNode
nn_gru(NnGraph *graph, NnNode src, NnNode lengths, bool backward_in_time, NnParameter weights_in,
	   NnParameter weights_hidden, NnParameter bias, NnParameter bias_hidden)
{
	NnNode		sources[] = {src, lengths};
	NnParameter parameters[N_PARAMETERS] = {weights_in, weights_hidden, bias, bias_hidden};
	RecurrentOptions options = {.backward = backward_in_time};

	return nn_node_add(graph, &nn_operator_gru, sources, lengths == NN_NONE ? 1 : 2, parameters, N_PARAMETERS,
					   &options, sizeof(options));
}

/*
 * lstm.c: long short-term memory, (length, in) -> (length, hidden) (Hochreiter and Schmidhuber 1997, with the forget gate
 * of Gers, Schmidhuber and Cummins 2000).
 *
 * i f g o = x W + h' U + b; c = sigmoid(f) c' + sigmoid(i) tanh(g); h = sigmoid(o) tanh(c).
 */
#include "recurrent.h"

#define N_PARAMETERS (BIAS + 1)

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	return recurrent_shape(graph, node, 4, 5);
}

static void
forward(const NnPass *pass)
{
	Recurrent	r = recurrent_of(pass, 4, 5);
	DevRecurrence how = recurrence_of(pass, &r);

	multiply_inputs(pass, &r);
	pass->device->lstm(pass->queue, &how, pass->workspace, nn_dst(pass), r.device);
}

static void
walk_back(const NnPass *pass, const Recurrent *r)
{
	DevRecurrence how = recurrence_of(pass, r);

	pass->device->lstm_grad(pass->queue, &how, pass->workspace, nn_dst(pass), nn_diff_dst(pass), r->device,
							r->diff_gates, r->diff_bias);
}

static void
backward(const NnPass *pass)
{
	Recurrent	r = recurrent_of(pass, 4, 5);

	walk_back(pass, &r);
	recurrent_backward(pass, &r);
}

static void
norms(const NnPass *pass, float *squared)
{
	Recurrent	r = recurrent_of(pass, 4, 5);

	walk_back(pass, &r);
	recurrent_norms(pass, &r, squared);
}

/* ONNX has the gates i o f g. */
static NnOnnxValue
onnx(const NnOnnxNode *at)
{
	static const size_t order[] = {0, 3, 1, 2};

	return recurrent_onnx(at, "LSTM", 4, order);
}

const NnOperator nn_operator_lstm = {
	.name = "lstm",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.norms = norms,
	.reads_src = true,
	.reads_dst = true,
	.onnx = onnx
};

NnNode
nn_lstm(NnGraph *graph, NnNode src, NnNode lengths, bool backward_in_time, NnParameter weights_in,
		NnParameter weights_hidden, NnParameter bias)
{
	NnNode		sources[] = {src, lengths};
	NnParameter parameters[N_PARAMETERS] = {weights_in, weights_hidden, bias};
	RecurrentOptions options = {.backward = backward_in_time};

	return nn_node_add(graph, &nn_operator_lstm, sources, lengths == NN_NONE ? 1 : 2, parameters, N_PARAMETERS,
					   &options, sizeof(options));
}

/*
 * crf.c: negative log likelihood of a sequence of tags in a linear-chain conditional random field (Lafferty et al. 2001),
 * divided by the number of positions.
 *
 * The score of a path is the sum of its emissions and transitions, and of the scores of its ends. A mean over
 * positions, as in token_cross_entropy.c, makes the losses of short and long sequences comparable, so that a step is not
 * decided by its longest sequences and one learning rate fits both losses.
 */
#include "sequence.h"

enum
{
	TRANSITIONS,
	START,
	END,
	N_PARAMETERS
};

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	static const char *const names[N_PARAMETERS] = {"transitions", "start", "end"};
	const NnShape *emissions = check_sequence(graph, node);
	size_t		tags;
	char		text[96];

	if (emissions == NULL || !check_position_codes(graph, node, 1, emissions->dims[0]) || !check_lengths(graph, node, 2))
		return false;
	tags = emissions->dims[1];
	for (int i = 0; i < N_PARAMETERS; i++)
	{
		const NnShape *parameter = nn_need_parameter(graph, node, i);
		NnShape		wanted = i == TRANSITIONS ? nn_shape(2, tags, tags, 0, 0) : nn_shape(1, tags, 0, 0, 0);

		if (parameter == NULL)
			return false;
		if (!nn_shape_equal(parameter, &wanted))
			return nn_reject(graph, node, "%s %s do not fit %zu tags", names[i],
							 nn_shape_text(parameter, text, sizeof(text)), tags);
	}
	node->shape = nn_shape(1, 1, 0, 0, 0);
	/* the first part is the primitives', the second an example's own gradients */
	node->scratch_fixed = dev_crf_scratch(emissions->dims[0], tags) + tags * (tags + 2);
	return true;
}

static DevCrf
chain_of(const NnPass *pass)
{
	Sequence	s = sequence_of(pass);
	DevCrf		how = {.batch = pass->batch, .length = s.length, .tags = s.width};

	how.targets = nn_src_codes(pass, 1);
	how.lengths = lengths_of(pass, 2);
	how.transitions = nn_parameter_values(pass, TRANSITIONS);
	how.start = nn_parameter_values(pass, START);
	how.end = nn_parameter_values(pass, END);
	return how;
}

static void
forward(const NnPass *pass)
{
	DevCrf		how = chain_of(pass);

	pass->device->crf(pass->queue, &how, nn_src(pass, 0), pass->scratch, nn_dst(pass));
}

static void
backward(const NnPass *pass)
{
	DevCrf		how = chain_of(pass);
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	pass->device->crf_grad(pass->queue, &how, nn_src(pass, 0), pass->scratch, nn_diff_dst(pass), diff_src, accumulate,
						   nn_diff_parameter(pass, TRANSITIONS), nn_diff_parameter(pass, START),
						   nn_diff_parameter(pass, END));
}

static void
norms(const NnPass *pass, float *squared)
{
	DevCrf		how = chain_of(pass);
	const int32_t *targets = how.targets;
	const int32_t *lengths = how.lengths;
	size_t		size = how.length * how.tags;
	float	   *transitions = pass->scratch + dev_crf_scratch(how.length, how.tags);
	float	   *start = transitions + how.tags * how.tags;
	float	   *end = start + how.tags;

	how.batch = 1;
	for (size_t b = 0; b < pass->batch; b++)
	{
		how.targets = targets + b * how.length;
		how.lengths = lengths == NULL ? NULL : lengths + b;
		pass->device->fill(pass->queue, how.tags * (how.tags + 2), 0, transitions);
		pass->device->crf_grad(pass->queue, &how, nn_src(pass, 0) + b * size, pass->scratch, nn_diff_dst(pass) + b,
							   NULL, false, transitions, start, end);
		if (trains(pass, TRANSITIONS))
			add_squares(pass->queue, 1, how.tags * how.tags, transitions, squared + b);
		if (trains(pass, START))
			add_squares(pass->queue, 1, how.tags, start, squared + b);
		if (trains(pass, END))
			add_squares(pass->queue, 1, how.tags, end, squared + b);
	}
}

const NnOperator nn_operator_crf = {
	.name = "crf",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.norms = norms,
	.reads_src = true
};

NnNode
nn_crf(NnGraph *graph, NnNode emissions, NnNode targets, NnNode lengths, NnParameter transitions, NnParameter start,
	   NnParameter end)
{
	NnNode		src[] = {emissions, targets, lengths};
	NnParameter parameters[N_PARAMETERS] = {transitions, start, end};

	return nn_node_add(graph, &nn_operator_crf, src, lengths == NN_NONE ? 2 : 3, parameters, N_PARAMETERS, NULL, 0);
}

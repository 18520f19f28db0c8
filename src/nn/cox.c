/*
 * cox.c: negative Cox partial likelihood, Breslow ties, of the rows of a pass (Cox 1972; Katzman et al. 2018).
 *
 * An example's loss compares it with the rows of the same pass that were still at risk, so the loss depends
 * on how rows are cut into passes, and an example has no gradient of its own.
 */
#include "loss.h"

static bool
shape(NnGraph *graph, NnNodeData *node)
{
	const NnShape *values = check_values(graph, node);
	const NnShape *target = nn_src_shape(graph, node, 1);
	char		text[64];

	if (values == NULL || !nn_need_floats(graph, node, 1))
		return false;
	if (nn_shape_last(values) != 1)
		return nn_reject(graph, node, "log hazards have shape %s where (1) or (members, 1) is needed",
						 nn_shape_text(values, text, sizeof(text)));
	if (target->rank != 1 || target->dims[0] != 2)
		return nn_reject(graph, node, "target has shape %s where (2), time and event, is needed",
						 nn_shape_text(target, text, sizeof(text)));
	node->scratch_row = 3;
	return true;
}

static void
forward(const NnPass *pass)
{
	pass->device->cox(pass->queue, pass->batch, nn_src_size(pass, 0), nn_src(pass, 0), nn_src(pass, 1),
					  pass->scratch, nn_dst(pass));
}

static void
backward(const NnPass *pass)
{
	bool		accumulate;
	float	   *diff_src = nn_diff_src(pass, 0, &accumulate);

	if (diff_src != NULL)
		pass->device->cox_grad(pass->queue, pass->batch, nn_src_size(pass, 0), nn_src(pass, 0), nn_src(pass, 1),
							   pass->scratch, nn_diff_dst(pass), diff_src, accumulate);
}

const NnOperator nn_operator_cox = {
	.name = "cox",
	.shape = shape,
	.forward = forward,
	.backward = backward,
	.mixes_examples = true,
	.reads_src = true
};

NnNode
nn_cox(NnGraph *graph, NnNode log_hazard, NnNode target)
{
	NnNode		src[] = {log_hazard, target};

	return nn_node_add(graph, &nn_operator_cox, src, 2, NULL, 0, NULL, 0);
}

/*
 * adversarial_run.c: a run of the trainer as the oracle of an attack.
 *
 * The attack wants gradients by inputs and none by weights: the run is bound without a weight gradient for
 * the time of the passes. For TRADES the way back starts at the answer, with the gradient of the divergence.
 */
#include "idla/learn_adversarial.h"

#include "logistic.h"

#include <math.h>
#include <string.h>

/* ---- Divergence ---- */

/* log(1 + exp(x)) without overflow */
static double
softplus(double x)
{
	return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}

/* KL between Bernoulli distributions of logits: p (u - v) + softplus(v) - softplus(u), with p = logistic(u). */
static double
diverge_binary(size_t n, const float *clean, const float *moved, double weight, float *diff_clean, float *diff_moved)
{
	double		total = 0;

	weight /= (double) n;
	for (size_t i = 0; i < n; i++)
	{
		double		u = (double) clean[i];
		double		v = (double) moved[i];
		double		p = learn_logistic(u);

		total += p * (u - v) + softplus(v) - softplus(u);
		if (diff_clean != NULL)
			diff_clean[i] = (float) (weight * p * (1 - p) * (u - v));
		if (diff_moved != NULL)
			diff_moved[i] = (float) (weight * (learn_logistic(v) - p));
	}
	return total / (double) n;
}

static double
log_sum(size_t n, const float *values)
{
	double		largest = -INFINITY;
	double		sum = 0;

	for (size_t i = 0; i < n; i++)
		largest = fmax(largest, (double) values[i]);
	for (size_t i = 0; i < n; i++)
		sum += exp((double) values[i] - largest);
	return largest + log(sum);
}

/* The derivative by the clean logit j is p_j (log p_j - log q_j - KL). */
static double
diverge_classes(size_t n, const float *clean, const float *moved, double weight, float *diff_clean, float *diff_moved)
{
	double		clean_sum = log_sum(n, clean);
	double		moved_sum = log_sum(n, moved);
	double		total = 0;

	for (size_t i = 0; i < n; i++)
	{
		double		log_p = (double) clean[i] - clean_sum;

		total += exp(log_p) * (log_p - ((double) moved[i] - moved_sum));
	}
	for (size_t i = 0; i < n; i++)
	{
		double		log_p = (double) clean[i] - clean_sum;
		double		log_q = (double) moved[i] - moved_sum;

		if (diff_clean != NULL)
			diff_clean[i] = (float) (weight * exp(log_p) * (log_p - log_q - total));
		if (diff_moved != NULL)
			diff_moved[i] = (float) (weight * (exp(log_q) - exp(log_p)));
	}
	return total;
}

static double
diverge_values(size_t n, const float *clean, const float *moved, double weight, float *diff_clean, float *diff_moved)
{
	double		total = 0;

	weight /= (double) n;
	for (size_t i = 0; i < n; i++)
	{
		double		apart = (double) moved[i] - (double) clean[i];

		total += apart * apart / 2;
		if (diff_clean != NULL)
			diff_clean[i] = (float) (weight * -apart);
		if (diff_moved != NULL)
			diff_moved[i] = (float) (weight * apart);
	}
	return total / (double) n;
}

double
learn_divergence(NnMean scale, size_t positions, size_t outputs, const float *clean, const float *moved, float weight,
				 float *diff_clean, float *diff_moved)
{
	double		share = (double) weight / (double) positions;
	double		total = 0;

	for (size_t position = 0; position < positions; position++)
	{
		size_t		at = position * outputs;
		float	   *by_clean = diff_clean == NULL ? NULL : diff_clean + at;
		float	   *by_moved = diff_moved == NULL ? NULL : diff_moved + at;

		if (scale == NN_MEAN_BINARY)
			total += diverge_binary(outputs, clean + at, moved + at, share, by_clean, by_moved);
		else if (scale == NN_MEAN_CLASSES)
			total += diverge_classes(outputs, clean + at, moved + at, share, by_clean, by_moved);
		else
			total += diverge_values(outputs, clean + at, moved + at, share, by_clean, by_moved);
	}
	return total / (double) positions;
}

/* ---- The run ---- */

/* Losses from the divergence of answers, and the seeds of the way back. */
static void
score_divergence(const LearnRunOracle *run, size_t n, float *losses)
{
	size_t		size = run->positions * run->outputs;
	const float *answers = nn_run_value(run->run, run->answer);

	for (size_t row = 0; row < n; row++)
		losses[row] = (float) learn_divergence(run->scale, run->positions, run->outputs, run->clean + row * size,
											   answers + row * size, 1, NULL, run->seeds + row * size);
}

static DevStatus
score(void *context, size_t n, const float *inputs, float *losses, uint8_t *wrong, float *diff)
{
	LearnRunOracle *run = context;
	NnNode		last = run->clean != NULL ? run->answer : run->loss;
	DevStatus	status;

	if (wrong != NULL)
		memset(wrong, 0, n);
	nn_run_bind(run->run, run->weights, NULL);
	nn_run_set(run->run, run->input, n, inputs);
	nn_run_forward(run->run, last, run->mode, run->seed, run->step, run->first_row);
	status = nn_run_synchronize(run->run);
	if (status == DEV_OK && run->clean != NULL)
		score_divergence(run, n, losses);
	else if (status == DEV_OK)
		memcpy(losses, nn_run_value(run->run, run->loss), n * sizeof(float));
	if (status == DEV_OK && diff != NULL)
	{
		nn_run_all_gradients(run->run, true);
		if (run->clean != NULL)
			nn_run_backward_from(run->run, run->answer, run->seeds);
		else
			nn_run_backward(run->run, run->loss, 1, NULL);
		nn_run_all_gradients(run->run, false);
		status = nn_run_synchronize(run->run);
		if (status == DEV_OK)
			memcpy(diff, nn_run_gradient(run->run, run->input), n * run->n_inputs * sizeof(float));
	}
	nn_run_bind(run->run, run->weights, run->diff_weights);
	return status;
}

LearnOracle
learn_run_oracle(LearnRunOracle *run, const NnGraph *graph)
{
	run->n_inputs = nn_shape_size(nn_graph_shape(graph, run->input));
	if (run->answer != NN_NONE)
	{
		const NnShape *shape = nn_graph_shape(graph, run->answer);

		run->outputs = shape->dims[shape->rank - 1];
		run->positions = nn_shape_size(shape) / run->outputs;
	}
	return (LearnOracle) {.context = run, .n_inputs = run->n_inputs, .score = score};
}

/*
 * test_reference.c: values and gradients of every operator and loss against frozen PyTorch values.
 *
 * The error of an array is its largest difference over its largest expected value.
 */
#include "cases.h"
#include "convolution_cases.h"
#include "cases_sequence.h"
#include "cases_attention.h"

#define TOLERANCE 2e-6

static double
array_error(const float *actual, const float *expected, size_t n)
{
	double		difference = 0;
	double		largest = 0;

	for (size_t i = 0; i < n; i++)
	{
		double		d = fabs((double) actual[i] - (double) expected[i]);

		if (!(d <= difference))	/* NaN gets in, and stays */
			difference = d;
		if (fabs((double) expected[i]) > largest)
			largest = fabs((double) expected[i]);
	}
	return difference / (largest > 1e-3 ? largest : 1e-3);
}

static void
check_array(const char *name, const char *mode, const char *what, const float *actual, const float *expected, size_t n)
{
	double		error = array_error(actual, expected, n);

	if (!CHECK(error <= TOLERANCE, "%s (%s): %s agrees", name, mode, what))
		printf("#   relative error %g\n", error);
}

static void
check_parameters(const Bench *bench, const char *mode_name, NnMode mode)
{
	const Reference *r = bench->c->reference;

	for (int i = 0; i < r->n_parameters; i++)
	{
		const NnParameterInfo *info = nn_graph_parameter(bench->graph, bench->nodes.parameters[i]);
		const float *diff = bench->diff_weights + info->offset;
		char		what[64];

		snprintf(what, sizeof(what), "gradient of parameter %d", i);
		if (info->role == NN_ROLE_CONSTANT || (info->role == NN_ROLE_STATISTIC && mode == NN_INFER))
		{
			bool		untouched = true;

			for (size_t k = 0; k < info->size; k++)
				untouched = untouched && diff[k] == 0;
			CHECK(untouched, "%s (%s): %s stays zero", r->name, mode_name, what);
		}
		else
			check_array(r->name, mode_name, what, diff, r->parameters[i].diff, info->size);
	}
}

static void
check_case(const Case *c, NnMode mode)
{
	const Reference *r = c->reference;
	const char *mode_name = mode == NN_TRAIN ? "train" : "infer";
	Bench		bench;
	DevStatus	status = bench_open(&bench, c, NULL);

	CHECK_STATUS(bench.session, status, DEV_OK, "%s (%s): builds", r->name, mode_name);
	if (status != DEV_OK)
	{
		bench_close(&bench);
		return;
	}
	bench_forward(&bench, mode, 0, r->batch);
	check_array(r->name, mode_name, "value", nn_run_value(bench.run, bench.dst), r->dst.values,
				r->batch * nn_shape_size(&r->dst.shape));
	bench_backward(&bench, 0);
	for (int i = 0; i < r->n_src - c->n_targets; i++)
	{
		char		what[64];

		snprintf(what, sizeof(what), "gradient of source %d", i);
		check_array(r->name, mode_name, what, nn_run_gradient(bench.run, bench.nodes.src[i]), r->src[i].diff,
					r->batch * nn_shape_size(&r->src[i].shape));
	}
	check_parameters(&bench, mode_name, mode);
	bench_close(&bench);
}

static void
check_table(const Case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		if (cases[i].train)
			check_case(&cases[i], NN_TRAIN);
		if (cases[i].infer)
			check_case(&cases[i], NN_INFER);
	}
}

int
main(void)
{
	check_table(operator_cases, N_CASES(operator_cases));
	check_table(loss_cases, N_CASES(loss_cases));
	check_table(convolution_cases, N_CASES(convolution_cases));
	check_table(sequence_cases, N_CASES(sequence_cases));
	check_table(attention_cases, N_CASES(attention_cases));
	return check_done();
}

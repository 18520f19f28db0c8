/*
 * robustness.c: idla_robustness, a model's rows under attack.
 *
 * The source is read as for idla_evaluate. Rows are attacked some dozen at a time within each epsilon, then with
 * less and less until the smallest change that fools the model is known; some are certified by
 * randomised smoothing, which is proof where an attack is only evidence.
 */
#include "robust.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "judging.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#define BATCH 64
#define MOST_EPSILONS 64
#define HALVINGS 8
#define INTERVAL_ALPHA 0.025	/* on either side */
#define CERTIFY_ALPHA 0.001
#define CHOOSE 100				/* noisy copies by which the class is chosen */

PG_FUNCTION_INFO_V1(idla_robustness);

typedef struct Robustness
{
	IdlaJudging *judging;
	IdlaRobustOptions *options;
	IdlaAssault *assault;
	LearnAttack how;
	int			n_epsilons;
	double	   *epsilons;		/* ascending, 0 first */
	size_t		n;				/* rows under attack */
	float	   *labels;			/* (n, labels of a row) */
	size_t		n_labels;

	/* Found */
	uint64_t   *right;			/* (n_epsilons) */
	double	   *distances;		/* (n) */
	LearnMasking masking;
	size_t		n_certified;
	uint64_t   *certified;		/* (n_epsilons): of the certified rows, right with so large a radius */
	size_t		n_abstained;
} Robustness;

/* ---- what is asked ---- */

static int
compare_doubles(const void *a, const void *b)
{
	double		left = *(const double *) a;
	double		right = *(const double *) b;

	return left < right ? -1 : left > right;
}

static void
read_epsilons(Robustness *run, ArrayType *array)
{
	Datum	   *values;
	bool	   *nulls;
	int			n;

	deconstruct_array(array, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &values, &nulls, &n);
	if (n < 1 || n > MOST_EPSILONS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%d epsilons were given: there must be 1 to %d", n, MOST_EPSILONS)));
	run->epsilons = palloc0(sizeof(double) * (Size) (n + 1));
	run->n_epsilons = 1;
	for (int i = 0; i < n; i++)
	{
		double		epsilon = nulls[i] ? NAN : DatumGetFloat8(values[i]);

		if (!(epsilon >= 0) || isinf(epsilon))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("epsilon \"%g\" is not a number of at least 0", epsilon)));
		if (epsilon > 0)
			run->epsilons[run->n_epsilons++] = epsilon;
	}
	qsort(run->epsilons, (size_t) run->n_epsilons, sizeof(double), compare_doubles);
}

/* ---- the rows ---- */

/* An even sample of the rows that were read, moved to the front, and their labels as the attack wants them. */
static void
choose_rows(Robustness *run)
{
	IdlaJudging *judging = run->judging;
	const LearnModel *learn = judging->learn;
	size_t		n_channels = (size_t) learn->n_channels;
	size_t		n_fields = (size_t) learn->n_fields;

	run->n = Min(judging->n, (size_t) run->options->rows);
	run->n_labels = learn->task == LEARN_REGRESSION ? (size_t) judging->n_targets : 1;
	run->labels = MemoryContextAllocHuge(judging->work->context, sizeof(float) * run->n * run->n_labels);
	for (size_t i = 0; i < run->n; i++)
	{
		size_t		row = (size_t) ((uint64) i * judging->n / run->n);

		memmove(judging->raw + i * n_channels, judging->raw + row * n_channels, n_channels * sizeof(float));
		memmove(judging->fields + i * n_fields, judging->fields + row * n_fields, n_fields * sizeof(LearnBytes));
		for (size_t t = 0; t < run->n_labels; t++)
			run->labels[i * run->n_labels + t] = (float) judging->target_values[row * (size_t) judging->n_targets + t];
	}
}

static DevStatus
attack_batch(void *context, const LearnAttack *how, size_t n, const float *epsilons, uint8_t *fooled)
{
	Robustness *run = context;
	DevStatus	status = idla_assault_run(run->assault, how, n, epsilons, true);

	memcpy(fooled, run->assault->fooled, n);
	return status;
}

/* A quarter of the work for the measures that attack many times. */
static LearnAttack
quick_attack(const Robustness *run, double epsilon)
{
	return learn_attack_judge(run->options->norm, epsilon, Max(run->options->steps / 4, 1), 1);
}

static void
attack_all(Robustness *run)
{
	IdlaJudging *judging = run->judging;
	LearnAttacker attacker = {.context = run, .attack = attack_batch};
	double		largest = run->epsilons[run->n_epsilons - 1];
	float		scratch[2 * BATCH];
	uint8_t		fooled[BATCH];
	uint8_t		once[BATCH];

	for (size_t first = 0; first < run->n; first += BATCH)
	{
		size_t		n = Min(run->n - first, BATCH);
		LearnAttack quick = quick_attack(run, largest);

		CHECK_FOR_INTERRUPTS();
		idla_assault_rows(run->assault, first, judging->raw + first * (size_t) judging->learn->n_channels,
						  judging->fields + first * (size_t) judging->learn->n_fields, run->labels + first * run->n_labels);
		idla_check(judging->work, learn_robust_counts(&attacker, &run->how, n, (size_t) run->n_epsilons, run->epsilons,
													  run->right, scratch, fooled, once));
		if (largest > 0)
			idla_check(judging->work, learn_minimal_perturbations(&attacker, &quick, n, 2 * largest, HALVINGS,
																  run->distances + first, scratch, fooled));
		if (largest > 0)
			idla_check(judging->work, learn_masking_add(&attacker, &quick, n, &run->masking, scratch, fooled));
	}
}

/* ---- certificates ---- */

static bool
may_certify(const Robustness *run)
{
	const LearnModel *learn = run->judging->learn;

	if (run->options->certify == 0 || learn->n_fields > 0 || (learn->task != LEARN_BINARY && learn->task != LEARN_MULTICLASS))
		return false;
	for (int i = 0; i < learn->n_channels; i++)
		if (run->assault->constraints[i].mutable && learn->channels[i].number_input != NN_NONE)
			return true;
	return false;
}

static void
certify_rows(Robustness *run)
{
	IdlaJudging *judging = run->judging;
	const LearnModel *learn = judging->learn;
	size_t		n_outputs = learn_model_outputs(learn);
	LearnSmoothing how = {
		.sigma = run->options->sigma, .n_choose = CHOOSE, .n_certify = run->options->samples, .alpha = CERTIFY_ALPHA
	};
	LearnTableClassifier table = {
		.predictor = run->assault->predictor, .constraints = run->assault->constraints, .max_rows = BATCH,
		.rows = palloc(sizeof(float) * BATCH * (Size) Max(learn->n_channels, 1)),
		.answers = palloc(sizeof(double) * BATCH * n_outputs)
	};
	uint64_t   *counts = palloc(sizeof(uint64_t) * Max(n_outputs, 2));

	if (!may_certify(run))
		return;
	idla_check(judging->work, learn_smoothing_check(judging->work->session, &how));
	run->n_certified = Min(run->n, (size_t) run->options->certify);
	for (size_t i = 0; i < run->n_certified; i++)
	{
		size_t		row = (size_t) ((uint64) i * run->n / run->n_certified);
		LearnClassifier classifier;
		LearnNoiseVoter noise = {.max_rows = BATCH, .seed = (uint64_t) run->options->seed, .number = row};
		LearnVoter	voter;
		LearnCertificate certificate;
		float	   *zeros;

		table.raw = judging->raw + row * (size_t) learn->n_channels;
		classifier = learn_table_classifier(&table);
		zeros = palloc0(sizeof(float) * classifier.n_inputs);
		noise.classifier = &classifier;
		noise.row = zeros;
		noise.inputs = palloc(sizeof(float) * BATCH * classifier.n_inputs);
		noise.scores = palloc(sizeof(float) * BATCH * classifier.n_outputs);
		voter = learn_noise_voter(&noise);
		idla_check(judging->work, learn_certify(&how, &voter, counts, &certificate));
		run->n_abstained += certificate.class < 0;
		for (int k = 0; k < run->n_epsilons && certificate.class == (int) run->labels[row]; k++)
			run->certified[k] += certificate.radius >= run->epsilons[k];
		pfree(noise.inputs);
		pfree(noise.scores);
		pfree(zeros);
		CHECK_FOR_INTERRUPTS();
	}
}

/* ---- the answer ---- */

static void
put(FunctionCallInfo fcinfo, const char *measure, double epsilon, double value, double low, double high, size_t n,
	const char *detail)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		values[7] = {
		CStringGetTextDatum(measure), Float8GetDatum(epsilon), Float8GetDatum(value), Float8GetDatum(low), Float8GetDatum(high),
		Int64GetDatum((int64) n), detail == NULL ? (Datum) 0 : CStringGetTextDatum(detail)
	};
	bool		nulls[7] = {false, isnan(epsilon), isnan(value), isnan(low), isnan(high), false, detail == NULL};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
put_share(FunctionCallInfo fcinfo, const char *measure, double epsilon, uint64_t k, size_t n, const char *detail)
{
	put(fcinfo, measure, epsilon, (double) k / (double) n, learn_binomial_lower(k, n, INTERVAL_ALPHA),
		learn_binomial_upper(k, n, INTERVAL_ALPHA), n, detail);
}

static void
put_masking(FunctionCallInfo fcinfo, const Robustness *run)
{
	const uint64_t *fooled = run->masking.fooled;
	unsigned	signs = learn_masking_judge(&run->masking);
	StringInfoData detail;

	initStringInfo(&detail);
	appendStringInfo(&detail, "%s Wrong of %zu rows: %llu as they are, %llu with noise, %llu after one step, %llu under attack, "
					 "%llu with four times the steps, %llu at four times the epsilon.",
					 signs == 0 ? "No sign of it: the attack's gradients can be trusted."
					 : "Gradients may be masked, and the model less robust than it seems.",
					 (size_t) run->masking.n, (unsigned long long) fooled[LEARN_PROBE_CLEAN],
					 (unsigned long long) fooled[LEARN_PROBE_NOISE], (unsigned long long) fooled[LEARN_PROBE_ONE_STEP],
					 (unsigned long long) fooled[LEARN_PROBE_ATTACK], (unsigned long long) fooled[LEARN_PROBE_MORE],
					 (unsigned long long) fooled[LEARN_PROBE_FAR]);
	for (unsigned sign = 1; sign <= LEARN_MASKED_FAR; sign *= 2)
		if (signs & sign)
			appendStringInfo(&detail, " %s", learn_masked_words((LearnMasked) sign));
	put(fcinfo, "gradient masking", run->epsilons[run->n_epsilons - 1], signs != 0, NAN, NAN, run->n, detail.data);
}

static void
put_all(FunctionCallInfo fcinfo, const Robustness *run)
{
	double		largest = run->epsilons[run->n_epsilons - 1];
	bool		regression = run->judging->learn->task == LEARN_REGRESSION;
	char	   *within = regression ? psprintf("Right is a value within %g scales of the target.", run->options->tolerance) : NULL;
	size_t		n_beyond;
	double		distance;

	put_share(fcinfo, "clean accuracy", 0, run->right[0], run->n, within);
	for (int k = 1; k < run->n_epsilons; k++)
		put_share(fcinfo, "robust accuracy", run->epsilons[k], run->right[k], run->n, within);
	if (largest > 0)
	{
		distance = learn_mean_perturbation(run->n, run->distances, 2 * largest, &n_beyond);
		put(fcinfo, "mean minimal perturbation", NAN, distance, NAN, NAN, run->right[0],
			psprintf("%zu rows were not fooled within %g and count as that.", n_beyond, 2 * largest));
	}
	for (int k = 0; k < run->n_epsilons && run->n_certified > 0; k++)
		put_share(fcinfo, "certified accuracy", run->epsilons[k], run->certified[k], run->n_certified,
				  k > 0 ? NULL : psprintf("Of the model smoothed by noise of %g, in the Euclidean norm; "
										  "each certificate fails with probability %g at most; it abstains for %zu rows.",
										  run->options->sigma, CERTIFY_ALPHA, run->n_abstained));
	if (largest > 0)
		put_masking(fcinfo, run);
}

Datum
idla_robustness(PG_FUNCTION_ARGS)
{
	Robustness	run = {0};
	Oid			relid = InvalidOid;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("epsilons must not be NULL")));
	run.options = idla_robust_options_read(PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3));
	read_epsilons(&run, PG_GETARG_ARRAYTYPE_P(2));
	if (!PG_ARGISNULL(1))
		relid = idla_rows_relation(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	run.judging = idla_judging_read(fcinfo, idla_version_argument(fcinfo, 4), true);
	choose_rows(&run);
	run.assault = idla_assault_create(run.judging->work, run.judging->loaded->model, relid, run.options, BATCH);
	run.how = learn_attack_judge(run.options->norm, 1, run.options->steps, run.options->restarts);
	run.right = palloc0(sizeof(uint64_t) * (Size) run.n_epsilons);
	run.certified = palloc0(sizeof(uint64_t) * (Size) run.n_epsilons);
	run.distances = MemoryContextAllocHuge(run.judging->work->context, sizeof(double) * run.n);
	attack_all(&run);
	certify_rows(&run);
	put_all(fcinfo, &run);
	idla_work_close(run.judging->work);
	return (Datum) 0;
}

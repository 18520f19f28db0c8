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
#include "executor/tuptable.h"
#include "funcapi.h"
#include "judging.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#define BATCH 64				/* rows at once at most, and noisy copies */
#define MOST_EPSILONS 64
#define HALVINGS 8
#define INTERVAL_ALPHA 0.025	/* on either side */
#define CERTIFY_ALPHA 0.001
#define CHOOSE 100				/* noisy copies by which the class is chosen */
#define COPY_FLOATS ((size_t) 1 << 22)	/* of noise at once, about */

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

	/* Rows as the host has them, where a check of their table is evaluated or texts are changed */
	Tuplestorestate *store;		/* all that were judged, in their order; NULL: none are needed */
	TupleDesc	desc;			/* of the table, or of its texts */
	int		   *sources;		/* (natts): where the value is in what is read, -1 when it is not needed */
	size_t		n_passed;		/* tuples read again so far */
	TupleTableSlot *slot;
	Datum	   *values;			/* (BATCH, natts) of the batch */
	bool	   *nulls;
	MemoryContext tuples;		/* of their values */

	/* Found */
	uint64_t   *right;			/* (n_epsilons) */
	double	   *distances;		/* (n) */
	LearnMasking masking;
	size_t		n_certified;
	uint64_t   *certified;		/* (n_epsilons): of the certified rows, right with so large a radius */
	size_t		n_abstained;
	double		radii;			/* of the certified rows whose certified answer is right, their sum */
	char	   *smoothed;		/* the units of what is certified, or NULL */
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

/* Row i of n that are taken of many, evenly. */
static size_t
chosen_row(const Robustness *run, size_t i)
{
	return (size_t) ((uint64) i * run->judging->n / run->n);
}

/* An even sample of the rows that were read, moved to the front, and their labels as the attack wants them. */
static void
choose_rows(Robustness *run)
{
	IdlaJudging *judging = run->judging;
	const LearnModel *learn = judging->learn;
	size_t		n_channels = (size_t) learn->n_channels;
	size_t		n_fields = (size_t) learn->n_fields;

	run->n = Min(judging->n, (size_t) run->options->rows);
	run->n_labels = learn->task == LEARN_REGRESSION || learn->task == LEARN_MULTILABEL ? (size_t) judging->n_targets : 1;
	run->labels = MemoryContextAllocHuge(judging->work->context, sizeof(float) * run->n * run->n_labels);
	for (size_t i = 0; i < run->n; i++)
	{
		size_t		row = chosen_row(run, i);

		memmove(judging->raw + i * n_channels, judging->raw + row * n_channels, n_channels * sizeof(float));
		memmove(judging->fields + i * n_fields, judging->fields + row * n_fields, n_fields * sizeof(LearnBytes));
		for (size_t t = 0; t < run->n_labels; t++)
			run->labels[i * run->n_labels + t] = (float) judging->target_values[row * (size_t) judging->n_targets + t];
	}
}

/* ---- rows as the host has them ---- */

/* Whether column i of the rows that are kept is a text under attack, which this column of the source may be. */
static bool
takes_text(const Robustness *run, int i, Form_pg_attribute source)
{
	return idla_assault_needs_text(run->assault, i) && idla_assault_takes_text(source->atttypid);
}

/* Finds what checks and attacks on texts need among what is read. */
static void
begin_keeping(void *context, TupleDesc source)
{
	Robustness *run = context;

	for (int i = 0; i < run->desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(run->desc, i);

		run->sources[i] = -1;
		for (int j = 0; j < source->natts && !attribute->attisdropped; j++)
			if (((run->assault->checks != NULL && idla_checks_need(run->assault->checks, i + 1)) || takes_text(run, i, TupleDescAttr(source, j))) &&
				strcmp(NameStr(TupleDescAttr(source, j)->attname), NameStr(attribute->attname)) == 0)
				run->sources[i] = j;
		if (run->sources[i] < 0 && idla_assault_needs_text(run->assault, i))
			ereport(NOTICE,
					(errmsg("texts of column \"%s\" stay as they are under attack", NameStr(attribute->attname)),
					 errdetail("Only values of type text, varchar and char are written anew.")));
	}
}

static void
keep_row(void *context, const Datum *values, const bool *isnull)
{
	Robustness *run = context;

	for (int i = 0; i < run->desc->natts; i++)
	{
		run->nulls[i] = run->sources[i] < 0 || isnull[run->sources[i]];
		run->values[i] = run->nulls[i] ? (Datum) 0 : values[run->sources[i]];
	}
	tuplestore_putvalues(run->store, run->desc, run->values, run->nulls);
}

static bool
changes_texts(const Robustness *run)
{
	for (int i = 0; i < run->judging->learn->n_fields; i++)
		if (run->assault->texts[i] != NULL)
			return true;
	return false;
}

static void
prepare_keeping(Robustness *run, IdlaKeeper *keeper)
{
	size_t		natts;

	if (run->assault->checks == NULL && !changes_texts(run))
		return;
	run->desc = idla_assault_desc(run->assault);
	natts = (size_t) run->desc->natts;
	run->sources = palloc(sizeof(int) * natts);
	run->values = palloc0(sizeof(Datum) * natts * BATCH);
	run->nulls = palloc0(sizeof(bool) * natts * BATCH);
	run->store = tuplestore_begin_heap(false, false, work_mem);
	run->slot = MakeSingleTupleTableSlot(run->desc, &TTSOpsMinimalTuple);
	run->tuples = AllocSetContextCreate(CurrentMemoryContext, "idla rows to attack", ALLOCSET_DEFAULT_SIZES);
	*keeper = (IdlaKeeper) {.context = run, .begin = begin_keeping, .keep = keep_row};
	run->judging->keeper = keeper;
}

/* Values of rows first to first + n, which come in order. */
static void
fetch_rows(Robustness *run, size_t first, size_t n)
{
	size_t		natts = (size_t) run->desc->natts;
	MemoryContext caller;

	MemoryContextReset(run->tuples);
	caller = MemoryContextSwitchTo(run->tuples);
	for (size_t i = 0; i < n; i++)
	{
		size_t		wanted = chosen_row(run, first + i);

		do
		{
			if (!tuplestore_gettupleslot(run->store, true, false, run->slot))
				elog(ERROR, "the rows that were read are no longer there");
		} while (run->n_passed++ < wanted);
		slot_getallattrs(run->slot);
		for (size_t j = 0; j < natts; j++)
		{
			Form_pg_attribute attribute = TupleDescAttr(run->desc, (int) j);

			run->nulls[i * natts + j] = run->slot->tts_isnull[j];
			run->values[i * natts + j] = run->slot->tts_isnull[j] ? (Datum) 0 :
				datumCopy(run->slot->tts_values[j], attribute->attbyval, attribute->attlen);
		}
	}
	MemoryContextSwitchTo(caller);
}

/* ---- attacking ---- */

static DevStatus
attack_batch(void *context, const LearnAttack *how, size_t n, const float *epsilons, uint8_t *fooled)
{
	Robustness *run = context;
	DevStatus	status = idla_assault_run(run->assault, how, epsilons, true);

	memcpy(fooled, run->assault->fooled, n);
	return status;
}

/* Whether signals are searched at random, which finds little in few steps. */
static bool
is_blind(const Robustness *run)
{
	const LearnModel *learn = run->judging->learn;

	for (int i = 0; i < learn->n_fields; i++)
		if (run->assault->planes[i] != NULL && !learn_field_has_slope(&learn->fields[i]))
			return true;
	return false;
}

/* A quarter of the work for the measures that attack many times. */
static LearnAttack
quick_attack(const Robustness *run, double epsilon)
{
	if (is_blind(run))
		return learn_attack_judge(run->options->norm, epsilon, run->options->steps, run->options->restarts);
	return learn_attack_judge(run->options->norm, epsilon, Max(run->options->steps / 4, 1), 1);
}

static void
attack_all(Robustness *run)
{
	IdlaJudging *judging = run->judging;
	LearnAttacker attacker = {.context = run, .attack = attack_batch};
	double		largest = run->epsilons[run->n_epsilons - 1];
	size_t		room = run->assault->max_rows;
	float		scratch[2 * BATCH];
	uint8_t		fooled[BATCH];
	uint8_t		once[BATCH];

	for (size_t first = 0; first < run->n; first += room)
	{
		size_t		n = Min(run->n - first, room);
		LearnAttack quick = quick_attack(run, largest);

		CHECK_FOR_INTERRUPTS();
		if (run->store != NULL)
			fetch_rows(run, first, n);
		idla_assault_rows(run->assault, first, n, judging->raw + first * (size_t) judging->learn->n_channels,
						  judging->fields + first * (size_t) judging->learn->n_fields, run->labels + first * run->n_labels,
						  run->values, run->nulls);
		idla_check(judging->work, learn_robust_counts(&attacker, &run->how, n, (size_t) run->n_epsilons, run->epsilons,
													  run->right, run->distances + first, scratch, fooled, once));
		if (largest > 0)
			idla_check(judging->work, learn_minimal_perturbations(&attacker, &quick, n, 2 * largest, HALVINGS,
																  run->distances + first, scratch, fooled));
		if (largest > 0)
			idla_check(judging->work, learn_masking_add(&attacker, &quick, n, &run->masking, scratch, fooled));
	}
}

/* ---- certificates ---- */

/* Noise may be as large as an image: fewer copies at once then. */
static size_t
copies_at_once(size_t n_inputs)
{
	return Max(Min((size_t) BATCH, COPY_FLOATS / Max(n_inputs, 1)), 1);
}

/* Of how many kinds of inputs the certificate speaks, in words; NULL without any. */
static char *
smoothed_words(const Robustness *run)
{
	const LearnModel *learn = run->judging->learn;
	bool		numbers = false;
	bool		pixels = false;
	bool		scaled = false;
	StringInfoData words;

	for (int i = 0; i < learn->n_channels; i++)
		numbers |= run->assault->constraints[i].mutable && learn->channels[i].kind == LEARN_NUMBER &&
			learn->channels[i].number_input != NN_NONE;
	for (int i = 0; i < learn->n_fields; i++)
	{
		pixels |= learn_field_is_smoothed(&learn->fields[i]) && learn->fields[i].sample != LEARN_SAMPLE_F32;
		scaled |= learn_field_is_smoothed(&learn->fields[i]) && learn->fields[i].sample == LEARN_SAMPLE_F32;
	}
	initStringInfo(&words);
	if (numbers)
		appendStringInfoString(&words, "scales of its columns");
	if (pixels)
		appendStringInfo(&words, "%sshares of the range of pixels", words.len > 0 ? ", " : "");
	if (scaled)
		appendStringInfo(&words, "%sstandard deviations of arrays, signals and series", words.len > 0 ? ", " : "");
	return words.len > 0 ? words.data : NULL;
}

static bool
has_kind(const LearnModel *learn, LearnFieldKind kind)
{
	for (int i = 0; i < learn->n_fields; i++)
		if (learn->fields[i].kind == kind)
			return true;
	return false;
}

/* Why there can be no certificate, or NULL when there can be. */
static const char *
no_certificate(const Robustness *run)
{
	const LearnModel *learn = run->judging->learn;

	if (learn->task != LEARN_BINARY && learn->task != LEARN_MULTICLASS)
		return "Only the answers of models with classes are certified.";
	if (run->smoothed == NULL && has_kind(learn, LEARN_TEXT))
		return "Texts cannot be certified: there is no noise to lay on words, and the model has nothing else that may change.";
	if (run->smoothed == NULL)
		return "Nothing can be certified: no number of a row may change.";
	return NULL;
}

static void
certify_rows(Robustness *run)
{
	IdlaJudging *judging = run->judging;
	const LearnModel *learn = judging->learn;
	IdlaWork   *work = run->assault->work;
	size_t		n_outputs = learn_model_outputs(learn);
	LearnSmoothing how = {
		.sigma = run->options->sigma, .n_choose = CHOOSE, .n_certify = run->options->samples, .alpha = CERTIFY_ALPHA
	};
	LearnRowClassifier *smoothed;
	LearnClassifier classifier;
	LearnNoiseVoter noise = {.classifier = &classifier, .seed = (uint64_t) run->options->seed};
	size_t		most;
	uint64_t   *counts = palloc(sizeof(uint64_t) * Max(n_outputs, 2));
	float	   *zeros;

	run->smoothed = smoothed_words(run);
	if (run->options->certify == 0 || no_certificate(run) != NULL)
		return;
	idla_check(work, learn_smoothing_check(work->session, &how));
	idla_check(work, learn_row_classifier_create(run->assault->predictor, run->assault->constraints, &smoothed));
	learn_row_classifier_threshold(smoothed, judging->threshold);
	most = learn_row_classifier_inputs(smoothed);
	noise.max_rows = copies_at_once(most);
	noise.inputs = idla_assault_allocate(work, noise.max_rows, most * sizeof(float));
	noise.scores = idla_assault_allocate(work, noise.max_rows, n_outputs * sizeof(float));
	zeros = idla_assault_allocate(work, most, sizeof(float));
	noise.row = zeros;
	run->n_certified = Min(run->n, (size_t) run->options->certify);
	for (size_t i = 0; i < run->n_certified; i++)
	{
		size_t		row = (size_t) ((uint64) i * run->n / run->n_certified);
		LearnVoter	voter;
		LearnCertificate certificate;

		classifier = learn_row_classifier(smoothed, judging->raw + row * (size_t) learn->n_channels,
										  judging->fields + row * (size_t) learn->n_fields);
		noise.number = row;
		voter = learn_noise_voter(&noise);
		idla_check(work, learn_certify(&how, &voter, counts, &certificate));
		run->n_abstained += certificate.class < 0;
		run->radii += certificate.class == (int) run->labels[row] ? certificate.radius : 0;
		for (int k = 0; k < run->n_epsilons && certificate.class == (int) run->labels[row]; k++)
			run->certified[k] += certificate.radius >= run->epsilons[k];
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

/* Whether an attack has anything to change. */
static bool
is_attacked(const Robustness *run)
{
	for (int i = 0; i < run->judging->learn->n_fields; i++)
		if (run->assault->planes[i] != NULL)
			return true;
	return run->assault->attacker != NULL || changes_texts(run);
}

/* What right means, and which inputs no attack here changes; NULL when there is nothing to say. */
static char *
attack_words(const Robustness *run)
{
	const LearnModel *learn = run->judging->learn;
	const IdlaColumns *columns = &run->judging->loaded->model->columns;
	bool		statistics = false;
	StringInfoData words;

	initStringInfo(&words);
	if (learn->task == LEARN_REGRESSION)
		appendStringInfo(&words, "Right is a value within %g scales of the target.", run->options->tolerance);
	if (learn->task == LEARN_MULTILABEL)
		appendStringInfoString(&words, "Right is a row all of whose labels are.");
	if (learn->task == LEARN_BINARY && run->judging->threshold != 0.5)
		appendStringInfo(&words, "Right is the class named at the model's threshold, %g.", run->judging->threshold);
	if (has_kind(learn, LEARN_TEXT))
		appendStringInfo(&words, changes_texts(run) ? "%sUp to %d words of a text are misspelled, whatever epsilon is."
						 : "%sTexts stay as they are under attack: option max_words has them misspelled.", words.len > 0 ? " " : "",
						 run->options->max_words);
	for (int i = 0; i < columns->n; i++)
		statistics |= columns->columns[i].kind == IDLA_SUMMARY;
	if (statistics)
		appendStringInfo(&words, "%sStatistics of a series' channels stay as they are under attack%s.", words.len > 0 ? " " : "",
						 has_kind(learn, LEARN_SERIES) ? ", while its bins move" : "");
	if (is_blind(run))
		appendStringInfo(&words, "%sSignals under rocket have no gradient: they are attacked by random search, which more steps make stronger.",
						 words.len > 0 ? " " : "");
	return words.len > 0 ? words.data : NULL;
}

static void
put_masking(FunctionCallInfo fcinfo, const Robustness *run)
{
	const uint64_t *fooled = run->masking.fooled;
	unsigned	signs = learn_masking_judge(&run->masking);
	double		largest = run->epsilons[run->n_epsilons - 1];
	StringInfoData detail;

	if (!is_attacked(run))
	{
		put(fcinfo, "gradient masking", largest, NAN, NAN, NAN, run->n, "Nothing of a row could be changed: there was no attack.");
		return;
	}
	initStringInfo(&detail);
	appendStringInfo(&detail, "%s Wrong of %zu rows: %llu as they are, %llu with noise, %llu after one step, %llu under attack, "
					 "%llu with four times the steps, %llu at four times the epsilon.",
					 signs == 0 ? (is_blind(run) ? "No sign that the attack is too weak." : "No sign of it: the attack's gradients can be trusted.")
					 : "Gradients may be masked, and the model less robust than it seems.",
					 (size_t) run->masking.n, (unsigned long long) fooled[LEARN_PROBE_CLEAN],
					 (unsigned long long) fooled[LEARN_PROBE_NOISE], (unsigned long long) fooled[LEARN_PROBE_ONE_STEP],
					 (unsigned long long) fooled[LEARN_PROBE_ATTACK], (unsigned long long) fooled[LEARN_PROBE_MORE],
					 (unsigned long long) fooled[LEARN_PROBE_FAR]);
	for (unsigned sign = 1; sign <= LEARN_MASKED_FAR; sign *= 2)
		if (signs & sign)
			appendStringInfo(&detail, " %s", learn_masked_words((LearnMasked) sign));
	put(fcinfo, "gradient masking", largest, signs != 0, NAN, NAN, run->n, detail.data);
}

static void
put_certificates(FunctionCallInfo fcinfo, const Robustness *run)
{
	const LearnModel *learn = run->judging->learn;
	char	   *detail;

	if (run->options->certify == 0)
		return;
	if (run->n_certified == 0)
	{
		put(fcinfo, "certified accuracy", NAN, NAN, NAN, NAN, 0, no_certificate(run));
		return;
	}
	detail = psprintf("Of the model smoothed by noise of %g, in the Euclidean norm of all that may change together, in %s; "
					  "each certificate fails with probability %g at most; it abstains for %zu rows.%s",
					  run->options->sigma, run->smoothed, CERTIFY_ALPHA, run->n_abstained,
					  has_kind(learn, LEARN_TEXT) ? " It holds for the texts as they are: changes of words are not certified." : "");
	for (int k = 0; k < run->n_epsilons; k++)
		put_share(fcinfo, "certified accuracy", run->epsilons[k], run->certified[k], run->n_certified, k > 0 ? NULL : detail);
	put(fcinfo, "mean certified radius", NAN, run->radii / (double) run->n_certified, NAN, NAN, run->n_certified,
		psprintf("Within it the smoothed model's answer is certain to be right; 0 where that is wrong or abstains. "
				 "Each radius holds with a confidence of %g.",
				 1 - CERTIFY_ALPHA));
}

static void
put_all(FunctionCallInfo fcinfo, const Robustness *run)
{
	double		largest = run->epsilons[run->n_epsilons - 1];
	char	   *words = attack_words(run);
	size_t		n_beyond;
	double		distance;

	put_share(fcinfo, "clean accuracy", 0, run->right[0], run->n, words);
	for (int k = 1; k < run->n_epsilons; k++)
		put_share(fcinfo, "robust accuracy", run->epsilons[k], run->right[k], run->n, words);
	if (largest > 0)
	{
		distance = learn_mean_perturbation(run->n, run->distances, 2 * largest, &n_beyond);
		put(fcinfo, "mean minimal perturbation", NAN, distance, NAN, NAN, run->right[0],
			psprintf("%zu rows were not fooled within %g and count as that.", n_beyond, 2 * largest));
	}
	put_certificates(fcinfo, run);
	if (largest > 0)
		put_masking(fcinfo, run);
}

Datum
idla_robustness(PG_FUNCTION_ARGS)
{
	Robustness	run = {0};
	IdlaTarget	target = {0};
	IdlaKeeper	keeper;
	size_t		room;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("epsilons must not be NULL")));
	run.options = idla_robust_options_read(PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3));
	read_epsilons(&run, PG_GETARG_ARRAYTYPE_P(2));
	run.judging = idla_judging_open(fcinfo, idla_version_argument(fcinfo, 4), true);
	target.relid = idla_rows_relation(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	/* Rows that are gathered are no rows of the table. */
	target.evaluated = run.judging->loaded->model->columns.series == NULL;
	target.threshold = run.judging->threshold;
	room = Min(idla_assault_room(run.judging->learn), BATCH);
	run.assault = idla_assault_create(run.judging->work, run.judging->loaded->model, &target, run.options, room);
	prepare_keeping(&run, &keeper);
	idla_judging_rows(run.judging, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	choose_rows(&run);
	run.how = learn_attack_judge(run.options->norm, 1, run.options->steps, run.options->restarts);
	run.right = palloc0(sizeof(uint64_t) * (Size) run.n_epsilons);
	run.certified = palloc0(sizeof(uint64_t) * (Size) run.n_epsilons);
	run.distances = MemoryContextAllocHuge(run.judging->work->context, sizeof(double) * run.n);
	attack_all(&run);
	certify_rows(&run);
	put_all(fcinfo, &run);
	if (run.store != NULL)
	{
		ExecDropSingleTupleTableSlot(run.slot);
		tuplestore_end(run.store);
	}
	idla_work_close(run.judging->work);
	return (Datum) 0;
}

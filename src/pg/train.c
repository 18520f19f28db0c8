/*
 * train.c: idla_train, from a table to a version of a model.
 *
 * The order is that of the work: what can be refused without reading is refused
 * first; then the rows are read, split, prepared and learned from; the answer is judged on rows that
 * learning never saw; and last one version is written. All memory is in one
 * context, so that success, error and cancel leave nothing behind.
 */
#include "train.h"

#include <math.h>

#include "catalog.h"
#include "constrain.h"
#include "profile.h"
#include "progress.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define SMALL 5000				/* rows below which a larger share is needed to judge with */
#define LARGE 100000

PG_FUNCTION_INFO_V1(idla_train);

/* ---- what is asked ---- */

static char *
required_argument(FunctionCallInfo fcinfo, int number, const char *name)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", name)));
	return text_to_cstring(PG_GETARG_TEXT_PP(number));
}

static Jsonb *
options_argument(FunctionCallInfo fcinfo, int number)
{
	if (PG_ARGISNULL(number))
		return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
	return PG_GETARG_JSONB_P(number);
}

static int
choose_threads(const IdlaOptions *options)
{
	if (options->training.threads > 0)
		return options->training.threads;
	return idla_threads > 0 ? idla_threads : dev_cpu_count();
}

/* ---- the parts ---- */

static bool
names_validation(const IdlaReading *reading)
{
	const uint8_t *parts = learn_dataset_parts(reading->dataset);
	size_t		n = learn_dataset_rows(reading->dataset);

	for (size_t row = 0; row < n; row++)
		if (parts[row] == LEARN_VALIDATION)
			return true;
	return false;
}

/*
 * Few rows are learned from in folds, and then every row outside the test part is validated on in turn: a part for
 * validation alone would be a waste. Whoever asks for such a part, or for the order of time, gets it instead of folds.
 */
static void
settle_shares(IdlaTraining *run)
{
	IdlaOptions *options = run->options;
	LearnSplit *split = &options->split;
	LearnTraining probe = options->training;
	size_t		n = learn_dataset_rows(run->reading.dataset);

	split->by_group = options->group_by != NIL;
	split->by_order = options->order_by != NULL;
	split->given = options->part != NULL;
	split->task = run->model->learn.task;
	split->seed = options->training.seed;
	if (split->test < 0)
		split->test = split->given ? 0 : n < SMALL ? 0.2 : n < LARGE ? 0.15 : 0.1;
	if (options->training.folds == 0 &&
		(split->validation > 0 || split->by_order || (split->given && names_validation(&run->reading))))
		options->training.folds = 1;
	if (split->validation < 0)
	{
		probe.folds = options->training.folds;
		options->network.task = run->model->learn.task;
		if (learn_training_solves(&options->network, (size_t) ((double) n * (1 - split->test)), &probe))
		{
			split->validation = 0;
			return;
		}
		learn_training_resolve(&options->network, (size_t) ((double) n * (1 - split->test)), &probe);
		split->validation = probe.folds > 1 ? 0 : 0.15;
		/* settled here, so that the engine, which counts the rows that are left, does not think otherwise */
		options->training.folds = probe.folds;
	}
}

/* ---- the work ---- */

static void
end_progress(void *arg)
{
	(void) arg;
	idla_progress_end();
}

static IdlaWork *
open_work(const char *name, const IdlaOptions *options)
{
	/* The rows have a bound of their own; networks and what they work in get as much again, and a gigabyte at least. */
	Size		rows = (Size) idla_train_memory * 1024;
	IdlaWork   *work = idla_work_open(CurrentMemoryContext, name, options->training.seed,
									  2 * rows + (Size) 1024 * 1024 * 1024);
	MemoryContextCallback *callback = MemoryContextAlloc(work->context, sizeof(MemoryContextCallback));

	callback->func = end_progress;
	callback->arg = NULL;
	MemoryContextRegisterResetCallback(work->context, callback);
	return work;
}

static void
name_columns(IdlaTraining *run)
{
	IdlaModel  *model = run->model;
	LearnModel *learn = &model->learn;
	StringInfoData names;

	model->columns = run->reading.columns;
	learn->channels = model->columns.channels;
	learn->n_channels = model->columns.n_channels;
	learn->fields = model->columns.fields;
	learn->n_fields = model->columns.n_fields;
	/* What a network has to do with decides how it is trained. */
	run->options->network.fields = learn->fields;
	run->options->network.n_fields = learn->n_fields;
	run->options->network.task = learn->task;
	run->options->training.tabular = model->columns.series != NULL && model->columns.series->use == IDLA_USE_BOTH;
	learn->n_columns = model->columns.n;
	learn->columns = idla_keep(model->work, (size_t) model->columns.n, sizeof(char *));
	for (int i = 0; i < model->columns.n; i++)
		learn->columns[i] = model->columns.columns[i].name;

	initStringInfo(&names);
	for (int i = 0; i < run->reading.target.n; i++)
		appendStringInfo(&names, "%s%s", i > 0 ? "," : "", run->reading.target.names[i]);
	model->target = names.data;
	model->entity = run->reading.entity;
	model->position = run->reading.position;
	if (learn->task == LEARN_SURVIVAL)
	{
		model->time_column = run->reading.target.names[0];
		model->event_column = run->reading.target.names[1];
	}
}

/* Weights in the order of the classes; a class that is not named weighs 1. */
static void
set_class_weights(IdlaTraining *run)
{
	const IdlaOptions *options = run->options;
	const LearnModel *learn = &run->model->learn;
	double	   *weights;

	if ((options->n_class_weights > 0 || options->training.balanced) && learn->n_classes == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"class_weights\" is for classes, and the task is \"%s\"", learn_task_names[learn->task])));
	if (options->n_class_weights == 0)
		return;
	weights = idla_keep(run->model->work, (size_t) learn->n_classes, sizeof(double));
	for (int i = 0; i < learn->n_classes; i++)
		weights[i] = 1;
	for (int i = 0; i < options->n_class_weights; i++)
	{
		int			class = 0;

		while (class < learn->n_classes && strcmp(learn->classes[class], options->weighted_classes[i]) != 0)
			class++;
		if (class == learn->n_classes)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"class_weights\" names \"%s\", which is no class of target \"%s\"",
							options->weighted_classes[i], run->model->target)));
		weights[class] = options->class_weights[i];
	}
	run->training.class_weights = weights;
}

static void
check_for_task(const IdlaTraining *run)
{
	if (run->options->training.huber > 0 && run->model->learn.task != LEARN_REGRESSION)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"huber\" is for regression, and the task is \"%s\"",
						learn_task_names[run->model->learn.task])));
	if (run->options->training.smoothing > 0 && run->model->learn.n_classes == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"smoothing\" is for classes, and the task is \"%s\"",
						learn_task_names[run->model->learn.task])));
	if (run->options->threshold != 0.5 && run->model->learn.task != LEARN_BINARY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"threshold\" is for two classes, and the task is \"%s\"",
						learn_task_names[run->model->learn.task])));
	if (!(run->options->threshold > 0 && run->options->threshold < 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"threshold\" is %g", run->options->threshold),
				 errdetail("One class would be named for every row."),
				 errhint("It is a probability above 0 and below 1.")));
}

/* Split, preprocessing learned from the training part, rows turned into inputs. */
static void
prepare(IdlaTraining *run)
{
	IdlaModel  *model = run->model;
	LearnModel *learn = &model->learn;
	LearnDataset *dataset = run->reading.dataset;
	IdlaWork   *work = model->work;
	LearnNotes	notes = {0};

	settle_shares(run);
	idla_progress_phase("preparing");
	idla_training_split(run, &notes);
	idla_report_notes(&notes);
	learn_part_sizes(dataset, run->parts);
	run->test_rows = idla_training_test_rows(run);

	run->options->fit.task = learn->task;
	run->options->fit.profile = idla_profile_intervals(learn->n_channels);
	idla_check(work, learn_fit(dataset, &run->options->fit, &notes, &learn->n_numbers, &learn->n_codes));
	idla_report_notes(&notes);
	if (learn->task == LEARN_TAGGING)
		learn->labels = learn->fields[0].labels;
	if (learn->n_numbers + learn->n_codes == 0 && learn->n_fields == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("no column is left to learn from"),
				 errhint("Constants, empty columns and identifiers are left out; "
						 "keep one all the same with the option columns => {\"name\": \"keep\"}.")));
	if (learn->task == LEARN_REGRESSION)
	{
		learn->target_mean = idla_keep(work, (size_t) learn->n_targets, sizeof(double));
		learn->target_scale = idla_keep(work, (size_t) learn->n_targets, sizeof(double));
		idla_check(work, learn_fit_targets(dataset, learn->target_mean, learn->target_scale));
	}
	idla_check(work, learn_dataset_encode(dataset));
}

static bool
report(void *context, const LearnProgress *progress)
{
	(void) context;
	idla_progress_update(progress, progress->rows);
	return true;
}

static void
learn(IdlaTraining *run)
{
	IdlaModel  *model = run->model;
	IdlaWork   *work = model->work;
	LearnNotes	notes = {0};
	char	   *words;

	run->network = run->options->network;
	idla_augment_settle(run->options, &model->learn);
	idla_adversary_settle(&run->options->training.adversary, &model->learn);
	if (run->options->training.adversary.method != LEARN_NO_ADVERSARY)
	{
		IdlaConstraints constraints = idla_constraints_build(&model->columns, idla_rows_relation(run->reading.source), NULL,
															 run->options->overrides, run->options->n_overrides, NULL);

		run->options->training.adversary.constraints = constraints.channels;
		run->options->training.adversary.fixed = constraints.fixed;
	}
	run->training = run->options->training;
	run->training.threads = choose_threads(run->options);
	set_class_weights(run);
	check_for_task(run);
	(void) idla_conformal_wanted(run);
	idla_abstain_check(run);
	idla_progress_announce("training \"%s\": %zu rows (%zu to train on, %zu to validate, %zu to test), %d columns",
						   run->name, learn_dataset_rows(run->reading.dataset), run->parts[LEARN_TRAIN],
						   run->parts[LEARN_VALIDATION], run->parts[LEARN_TEST], model->columns.n);
	idla_check(work, learn_train(work->session, run->reading.dataset, &model->learn, &run->network, &run->training,
								 &run->options->split, report, NULL, &notes, &run->outcome));
	idla_report_notes(&notes);
	learn_training_resolve(&run->network, run->parts[LEARN_TRAIN], &run->training);
	model->learn.n_views = run->options->views;
	model->learn.augment = &run->training.augment;

	words = learn_network_words(work->session, &run->network);
	if (words == NULL)
		idla_raise(work);
	/* The second network is the tabular one, if there is one: not where no ordinary column is left, or the one network was solved. */
	if (run->options->training.tabular && run->network.n_fields > 0 && model->learn.n_nets > 1 &&
		model->learn.nets[1].network.n_fields == 0 && model->learn.nets[1].network.architecture == LEARN_TABM)
	{
		char	   *more = learn_network_words(work->session, &model->learn.nets[1].network);

		if (more == NULL)
			idla_raise(work);
		words = psprintf("%s; %s", words, more);
	}
	run->architecture = model->learn.n_nets > 1 ?
		psprintf("%s; mean of %d networks", words, model->learn.n_nets) : pstrdup(words);
}

static int
write_version(IdlaTraining *run, Oid *relid, bool *in_service)
{
	IdlaModel  *model = run->model;
	char	   *weights;
	Size		size;
	Jsonb	   *manifest;
	char	   *digest;
	int			version;

	idla_progress_phase("writing");
	weights = idla_weights_write(model, "", &size);
	idla_sha256(weights, size, model->digest);
	manifest = idla_manifest_build(model, idla_training_record(run));
	digest = idla_card_text(manifest, "sha256");
	version = idla_version_write(run->name, idla_training_card(run, digest), manifest, weights, size,
								 run->options->deploy, relid, in_service);
	pfree(weights);
	return version;
}

/* ---- the answer ---- */

static Datum
build_row(FunctionCallInfo fcinfo, const IdlaTraining *run)
{
	const LearnModel *model = &run->model->learn;
	TupleDesc	desc;
	Datum		values[14];
	bool		nulls[14] = {false};
	double		value;
	char	   *metric = idla_training_metric(run, &value);

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE || desc->natts != lengthof(values))
		elog(ERROR, "idla_train is declared with another result than this library gives");
	values[0] = CStringGetTextDatum(run->name);
	values[1] = Int32GetDatum(run->version);
	values[2] = CStringGetTextDatum(learn_task_names[model->task]);
	values[3] = CStringGetTextDatum(run->architecture);
	values[4] = Int64GetDatum((int64) learn_dataset_rows(run->reading.dataset));
	values[5] = Int64GetDatum((int64) idla_training_n_dropped(run));
	values[6] = JsonbPGetDatum(idla_training_dropped(run));
	nulls[7] = model->task != LEARN_BINARY;
	values[7] = nulls[7] ? (Datum) 0 : CStringGetTextDatum(model->classes[model->positive]);
	values[8] = Int32GetDatum(run->outcome.epochs);
	values[9] = Float8GetDatum(run->seconds);
	nulls[10] = metric == NULL;
	values[10] = nulls[10] ? (Datum) 0 : CStringGetTextDatum(metric);
	nulls[11] = metric == NULL || !isfinite(value);
	values[11] = Float8GetDatum(value);
	nulls[12] = true;
	values[12] = (Datum) 0;
	values[13] = BoolGetDatum(run->in_service);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

static double
seconds_since(TimestampTz start)
{
	return (double) (GetCurrentTimestamp() - start) / USECS_PER_SEC;
}

void
idla_training_run(IdlaTraining *run, int task, const char *architecture)
{
	TimestampTz start = GetCurrentTimestamp();
	IdlaWork   *work;
	Oid			relid;

	run->options = idla_options_read(run->given);
	idla_architecture_read(architecture, &run->options->network);
	idla_model_prepare(run->name, run->options->deploy, run->command);

	work = open_work(run->name, run->options);
	idla_progress_start(run->name, "reading");
	run->reading.options = run->options;
	run->reading.work = work;
	run->reading.threads = choose_threads(run->options);
	idla_reading_run(&run->reading, run->target, task);
	run->reading_seconds = seconds_since(start);

	run->model = MemoryContextAllocZero(work->context, sizeof(IdlaModel));
	run->model->work = work;
	run->model->learn.temperature = 1;
	idla_target_close(&run->reading.target, &run->reading, &run->model->learn);
	idla_teacher_close(run->reading.teacher, &run->reading.target, &run->model->learn);
	name_columns(run);
	prepare(run);
	learn(run);
	idla_progress_phase("judging");
	idla_training_calibrate(run);
	idla_training_judge(run);
	run->seconds = seconds_since(start);
	run->version = write_version(run, &relid, &run->in_service);
}

void
idla_training_end(IdlaTraining *run)
{
	idla_spill_close(run->reading.spill);
	for (int i = 0; i < run->reading.columns.n_fields; i++)
		idla_spill_close(run->reading.field_spills[i]);
}

Datum
idla_train(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "idla train", ALLOCSET_DEFAULT_SIZES);
	IdlaTraining *run;
	int			task = -1;
	Datum		row;

	MemoryContextSwitchTo(context);
	run = palloc0(sizeof(IdlaTraining));
	run->command = "idla_train()";
	run->name = required_argument(fcinfo, 0, "model");
	run->reading.source = required_argument(fcinfo, 1, "source");
	run->target = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
	if (!PG_ARGISNULL(3))
		task = idla_task_find(text_to_cstring(PG_GETARG_TEXT_PP(3)));
	run->given = options_argument(fcinfo, 5);
	idla_training_run(run, task, PG_ARGISNULL(4) ? "auto" : text_to_cstring(PG_GETARG_TEXT_PP(4)));

	MemoryContextSwitchTo(caller);
	row = build_row(fcinfo, run);
	idla_training_end(run);
	MemoryContextDelete(context);
	PG_RETURN_DATUM(row);
}

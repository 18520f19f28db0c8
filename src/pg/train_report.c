/*
 * train_report.c: what is told of a training: its metrics, its card, its record.
 *
 * Metrics are computed on the test part, which neither learning nor stopping nor
 * calibration saw. Where there is none they are of the validation part, and say so. The card is for whoever may
 * predict; the record, with options as used and hashes, goes into the manifest.
 */
#include "train.h"
#include "tokens.h"

#include <math.h>

#include "manifest.h"
#include "profile.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "version.h"

#define PREDICT_BATCH 256
#define FIELD_BATCH 32			/* of images and sequences */

/* ---- judging ---- */

uint32_t *
idla_training_rows(const IdlaTraining *run, LearnPart part, size_t *n)
{
	const uint8_t *parts = learn_dataset_parts(run->reading.dataset);
	size_t		n_rows = learn_dataset_rows(run->reading.dataset);
	uint32_t   *rows;

	*n = 0;
	rows = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(uint32_t) * (run->parts[part] + 1));
	for (size_t row = 0; row < n_rows; row++)
		if (parts[row] == part)
			rows[(*n)++] = (uint32_t) row;
	return rows;
}

double *
idla_training_targets(const IdlaTraining *run, const uint32_t *rows, size_t n)
{
	const LearnModel *model = &run->model->learn;
	const float *stored = learn_dataset_targets(run->reading.dataset);
	size_t		width = (size_t) model->n_targets;
	double	   *targets = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(double) * (n * width + 1));

	for (size_t i = 0; i < n; i++)
		for (size_t t = 0; t < width; t++)
		{
			double		value = stored[(size_t) rows[i] * width + t];

			if (model->task == LEARN_REGRESSION)
				value = value * model->target_scale[t] + model->target_mean[t];
			targets[i * width + t] = value;
		}
	return targets;
}

size_t
idla_training_batch(const IdlaTraining *run)
{
	return run->model->learn.n_fields > 0 ? FIELD_BATCH : PREDICT_BATCH;
}

/* Per class precision, recall, F1 and support. */
static void
report_classes(IdlaTraining *run, size_t n, const double *answers, const double *targets)
{
	const LearnModel *model = &run->model->learn;
	size_t		outputs = learn_model_outputs(model);
	uint32_t   *predicted = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(uint32_t) * (n + 1));
	uint32_t   *labels = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(uint32_t) * (n + 1));
	size_t		n_answered = 0;
	size_t		n_right = 0;

	for (size_t i = 0; i < n; i++)
	{
		predicted[i] = idla_likeliest_class(model, answers + i * outputs, run->options->threshold);
		labels[i] = idla_class_of_target(model, targets[i]);
		if (idla_abstains(model, answers + i * outputs, run->options->abstain))
			continue;
		n_answered++;
		n_right += predicted[i] == labels[i];
	}
	run->per_class = palloc0(sizeof(LearnClassScore) * (Size) model->n_classes);
	learn_classification_report(n, (size_t) model->n_classes, predicted, labels, run->per_class, run->averages);
	run->abstained = 1 - (double) n_answered / (double) n;
	run->accuracy_answered = n_answered == 0 ? NAN : (double) n_right / (double) n_answered;
	pfree(predicted);
	pfree(labels);
}

/* Tags are judged as they were stored: of a sentence that is too long, what was kept. */
static void
judge_tags(IdlaTraining *run, LearnPredictor *predictor, const uint32_t *rows, size_t n)
{
	IdlaWork   *work = run->model->work;
	IdlaTagJudge *judge = idla_tag_judge_create(work, &run->model->learn);
	Size		most = run->model->learn.fields[0].dims[0];
	LearnTagged answer = {
		.tags = palloc(sizeof(int32_t) * most),.certain = palloc(sizeof(float) * most),.actual = palloc(sizeof(int32_t) * most)
	};

	for (size_t i = 0; i < n; i++)
	{
		LearnBytes	value;

		idla_check(work, learn_dataset_field(run->reading.dataset, 0, rows[i], &value));
		if (value.bytes == NULL)
			continue;
		if (i % 64 == 0)
			idla_check(work, dev_poll(work->session));
		idla_check(work, learn_predict_tags(predictor, 1, &value, &answer));
		idla_tag_judge_add(judge, answer.n, answer.actual, answer.tags);
	}
	if (idla_tag_judge_sentences(judge) > 0)
		run->metrics = idla_tag_judge_metrics(judge, &run->n_metrics);
}

void
idla_training_judge(IdlaTraining *run)
{
	LearnPart	part = run->parts[LEARN_TEST] > 0 ? LEARN_TEST : LEARN_VALIDATION;
	IdlaModel  *model = run->model;
	IdlaWork   *work = model->work;
	LearnPredictor *predictor;
	uint32_t   *rows;
	double	   *scores;
	double	   *targets;
	size_t		n;

	rows = idla_training_rows(run, part, &n);
	if (n == 0)
		return;
	run->judged_on = part == LEARN_TEST ? "test" : "validation";
	idla_check(work, learn_predictor_create(work->session, &model->learn,
											idla_training_batch(run), &predictor));
	if (model->learn.task == LEARN_TAGGING)
	{
		judge_tags(run, predictor, rows, n);
		return;
	}
	scores = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(double) * n * learn_model_outputs(&model->learn));
	idla_check(work, learn_predict_dataset(predictor, run->reading.dataset, rows, n, scores));
	idla_profile_answers(model, n, scores);
	targets = idla_training_targets(run, rows, n);
	run->metrics = idla_judge(work, &model->learn, n, scores, targets, run->options->threshold, &run->n_metrics);
	idla_training_judge_teacher(run, rows, n, targets);
	learn_scores_to_answers(&model->learn, n, scores);
	if (model->learn.n_classes > 0)
		report_classes(run, n, scores, targets);
	idla_training_cover(run, rows, n, scores, targets);
	pfree(scores);
	pfree(targets);
	pfree(rows);
}

char *
idla_training_metric(const IdlaTraining *run, double *value)
{
	if (run->n_metrics == 0)
	{
		/* Folds leave no row out in the end: what is known is their loss on what each held out. */
		*value = run->outcome.validation_loss;
		return isfinite(*value) && run->training.folds > 1 ? pstrdup("validation_loss") : NULL;
	}
	*value = run->metrics[0].value;
	return strcmp(run->judged_on, "test") == 0 ? pstrdup(run->metrics[0].name) :
		psprintf("%s (%s)", run->metrics[0].name, run->judged_on);
}

/* ---- what was dropped ---- */

uint64
idla_training_n_dropped(const IdlaTraining *run)
{
	return run->reading.n_no_target + run->reading.n_no_order + run->reading.n_no_part + run->reading.n_no_input + run->reading.n_bad;
}

static void
put_dropped(StringInfo out, const IdlaTraining *run)
{
	appendStringInfoChar(out, '{');
	if (run->reading.n_no_target > 0)
		idla_json_put_integer(out, "target is null", (int64) run->reading.n_no_target);
	if (run->reading.n_no_order > 0)
		idla_json_put_integer(out, "order_by is null", (int64) run->reading.n_no_order);
	if (run->reading.n_no_part > 0)
		idla_json_put_integer(out, "part is null", (int64) run->reading.n_no_part);
	if (run->reading.n_no_input > 0)
		idla_json_put_integer(out, "input is null", (int64) run->reading.n_no_input);
	if (run->reading.n_bad > 0)
		idla_json_put_integer(out, "bad input", (int64) run->reading.n_bad);
	appendStringInfoChar(out, '}');
}

Jsonb *
idla_training_dropped(const IdlaTraining *run)
{
	StringInfoData out;
	Jsonb	   *dropped;

	initStringInfo(&out);
	put_dropped(&out, run);
	dropped = idla_json_parse(out.data);
	pfree(out.data);
	return dropped;
}

/* ---- shared pieces ---- */

static void
put_json(StringInfo out, const char *name, Jsonb *value)
{
	idla_json_key(out, name);
	(void) JsonbToCString(out, &value->root, (int) VARSIZE(value));
}

static void
put_parts(StringInfo out, const IdlaTraining *run)
{
	idla_json_key(out, "parts");
	appendStringInfoChar(out, '{');
	idla_json_put_integer(out, "train", (int64) run->parts[LEARN_TRAIN]);
	idla_json_put_integer(out, "validation", (int64) run->parts[LEARN_VALIDATION]);
	idla_json_put_integer(out, "test", (int64) run->parts[LEARN_TEST]);
	appendStringInfoChar(out, '}');
}

/* ---- what was done to the rows ---- */

/* {"image": {"rotate": 10}}: what is on, kind by kind */
void
idla_augment_put(StringInfo out, const LearnAugment *augment)
{
	appendStringInfoChar(out, '{');
	for (int kind = 0; kind < LEARN_N_AUGMENT_KINDS; kind++)
	{
		if (!learn_augment_any(augment, (LearnAugmentKind) kind))
			continue;
		idla_json_key(out, learn_augment_kind_names[kind]);
		appendStringInfoChar(out, '{');
		for (const LearnAugmentOption *option = learn_augment_options; option->name != NULL; option++)
			if (option->kind == (LearnAugmentKind) kind && augment->values[learn_augment_position(option)] > 0)
				idla_json_put_float(out, option->name, augment->values[learn_augment_position(option)]);
		appendStringInfoChar(out, '}');
	}
	appendStringInfoChar(out, '}');
}

static void
put_adversary(StringInfo out, const LearnAdversary *adversary)
{
	if (adversary->method == LEARN_NO_ADVERSARY)
		return;
	idla_json_key(out, "adversarial");
	appendStringInfoChar(out, '{');
	idla_json_put_string(out, "method", learn_adversary_names[adversary->method]);
	idla_json_put_string(out, "norm", learn_norm_names[adversary->norm]);
	idla_json_put_double(out, "epsilon", adversary->epsilon);
	if (adversary->method != LEARN_FGSM)
		idla_json_put_integer(out, "steps", adversary->steps);
	if (adversary->step > 0)
		idla_json_put_double(out, "step", adversary->step);
	if (adversary->method == LEARN_PGD)
		idla_json_put_integer(out, "restarts", adversary->restarts);
	if (adversary->method == LEARN_TRADES)
		idla_json_put_double(out, "beta", adversary->beta);
	else
		idla_json_put_double(out, "share", adversary->share);
	appendStringInfoChar(out, '}');
}

/* What was done to the rows; nothing where nothing was. */
static void
put_changes(StringInfo out, const IdlaTraining *run)
{
	if (run->training.augmented > 0)
	{
		idla_json_key(out, "augment");
		idla_augment_put(out, &run->training.augment);
	}
	if (run->options->views > 1)
		idla_json_put_integer(out, "augment_predict", run->options->views);
	put_adversary(out, &run->training.adversary);
}

/* ---- the card ---- */

static const char *
use_of(const IdlaModel *model, const IdlaColumn *column)
{
	bool		identifier = false;
	bool		constant = false;

	if (column->field >= 0)
		return "input";
	for (int i = 0; i < column->n_channels; i++)
	{
		const LearnChannel *channel = &model->columns.channels[column->first_channel + i];

		if (channel->number_input != NN_NONE || channel->indicator_input != NN_NONE || channel->code_input != NN_NONE)
			return "input";
		identifier |= channel->use == LEARN_USE_IDENTIFIER;
		constant |= channel->use == LEARN_USE_CONSTANT;
	}
	if (identifier)
		return "left out: identifier";
	return constant ? "left out: constant" : "left out: empty";
}

static void
put_inputs(StringInfo out, const IdlaModel *model)
{
	idla_json_open_array(out, "inputs");
	for (int i = 0; i < model->columns.n; i++)
	{
		const IdlaColumn *column = &model->columns.columns[i];

		idla_json_open_object(out);
		idla_json_put_string(out, "name", column->name);
		idla_json_put_string(out, "type", column->type_name);
		idla_json_put_string(out, "kind", idla_kind_names[column->kind]);
		idla_json_put_string(out, "reference", column->reference);
		if (column->kind == IDLA_ARRAY)
			idla_json_put_integer(out, "length", column->array_length);
		if (column->field >= 0 && model->learn.fields[column->field].stride > 0)
		{
			idla_json_put_integer(out, "window", (int64) model->learn.fields[column->field].dims[0]);
			idla_json_put_integer(out, "stride", (int64) model->learn.fields[column->field].stride);
		}
		idla_json_put_string(out, "use", use_of(model, column));
		appendStringInfoChar(out, '}');
	}
	appendStringInfoChar(out, ']');
}

static void
put_score(StringInfo out, const char *class, const LearnClassScore *score)
{
	idla_json_open_object(out);
	idla_json_put_string(out, "class", class);
	idla_json_put_double(out, "precision", score->precision);
	idla_json_put_double(out, "recall", score->recall);
	idla_json_put_double(out, "f1", score->f1);
	idla_json_put_integer(out, "support", (int64) score->support);
	appendStringInfoChar(out, '}');
}

static void
put_classes(StringInfo out, const IdlaTraining *run)
{
	static const char *const averages[] = {"micro average", "macro average", "weighted average"};
	const LearnModel *model = &run->model->learn;

	if (model->n_classes == 0)
		return;
	idla_json_put_strings(out, "classes", model->classes, model->n_classes);
	if (model->task == LEARN_BINARY)
		idla_json_put_string(out, "positive", model->classes[model->positive]);
	idla_json_put_double(out, "temperature", model->temperature);
	if (run->per_class == NULL)
		return;
	idla_json_open_array(out, "report");
	for (int i = 0; i < model->n_classes; i++)
		put_score(out, model->classes[i], &run->per_class[i]);
	for (int i = 0; i < (int) lengthof(averages); i++)
		put_score(out, averages[i], &run->averages[i]);
	appendStringInfoChar(out, ']');
}

/* idla_classify, and whatever else names a class, reads "threshold" and "abstain" from here. */
static void
put_naming(StringInfo out, const IdlaTraining *run)
{
	if (run->options->threshold != 0.5)
		idla_json_put_double(out, "threshold", run->options->threshold);
	if (run->options->abstain == 0)
		return;
	idla_json_put_double(out, "abstain", run->options->abstain);
	if (run->per_class == NULL)
		return;
	idla_json_put_double(out, "abstained", run->abstained);
	if (isfinite(run->accuracy_answered))
		idla_json_put_double(out, "accuracy_answered", run->accuracy_answered);
}

static void
put_quality(StringInfo out, const IdlaTraining *run)
{
	double		value;
	char	   *metric = idla_training_metric(run, &value);

	if (metric == NULL)
		return;
	idla_json_put_string(out, "metric", metric);
	if (isfinite(value))
		idla_json_put_double(out, "value", value);
	if (run->n_metrics == 0)
		return;
	idla_json_put_string(out, "judged_on", run->judged_on);
	put_json(out, "metrics", idla_metrics_jsonb(run->metrics, run->n_metrics));
}

/* Long rows: how many there were, and which of their values came too late to be seen. */
static void
put_gathered(StringInfo out, const IdlaTraining *run)
{
	const IdlaGatherCounts *counts = &run->reading.gathered;

	if (run->model->columns.series == NULL)
		return;
	idla_json_key(out, "gathered");
	appendStringInfoChar(out, '{');
	idla_json_put_integer(out, "rows", (int64) counts->n_rows);
	idla_json_put_integer(out, "values", (int64) counts->n_events);
	idla_json_put_integer(out, "after the prediction time", (int64) counts->n_late);
	idla_json_put_integer(out, "rows without an entity", (int64) counts->n_no_entity);
	idla_json_put_integer(out, "rows without a time", (int64) counts->n_bad);
	idla_json_put_integer(out, "entities without a prediction time", (int64) counts->n_no_label);
	idla_json_put_integer(out, "entities without a value", (int64) counts->n_empty);
	appendStringInfoChar(out, '}');
}

static void
put_embedding(StringInfo out, const IdlaModel *model)
{
	int64		n = idla_embedding_count(model);

	if (n > 0)
		idla_json_put_integer(out, "embedding", n);
}

Jsonb *
idla_training_card(const IdlaTraining *run, const char *digest)
{
	const IdlaModel *model = run->model;
	StringInfoData out;
	Jsonb	   *card;

	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	idla_json_put_string(&out, "task", learn_task_names[model->learn.task]);
	idla_json_put_string(&out, "target", model->target);
	idla_json_put_string(&out, "architecture", run->architecture);
	put_embedding(&out, model);
	put_quality(&out, run);
	put_classes(&out, run);
	put_naming(&out, run);
	idla_training_put_conformal(&out, run);
	put_inputs(&out, model);
	idla_json_put_integer(&out, "rows", (int64) learn_dataset_rows(run->reading.dataset));
	put_parts(&out, run);
	idla_json_key(&out, "dropped");
	put_dropped(&out, run);
	put_gathered(&out, run);
	if (run->options->on_bad_input == 1)
		idla_json_put_string(&out, "on_bad_input", "skip");
	put_json(&out, "options", run->given);
	put_changes(&out, run);
	idla_training_put_teacher(&out, run, true);
	idla_json_put_integer(&out, "seed", (int64) run->training.seed);
	idla_json_put_integer(&out, "epochs", run->outcome.epochs);
	idla_json_put_double(&out, "reading_seconds", run->reading_seconds);
	idla_json_put_double(&out, "seconds", run->seconds);
	idla_json_put_string(&out, "source", run->reading.source);
	idla_json_put_string(&out, "trained_by", GetUserNameFromId(GetUserId(), false));
	idla_json_put_now(&out, "trained_at");
	idla_json_put_string(&out, "engine", "idla " IDLA_VERSION);
	idla_json_put_string(&out, "privacy", "none: trained without differential privacy");
	idla_json_put_string(&out, "comment", run->options->comment);
	idla_json_put_string(&out, "digest", digest);
	appendStringInfoChar(&out, '}');
	card = idla_json_parse(out.data);
	pfree(out.data);
	return card;
}

/* ---- the record ---- */

static void
put_used(StringInfo out, const IdlaTraining *run)
{
	const LearnTraining *training = &run->training;

	idla_json_key(out, "training");
	appendStringInfoChar(out, '{');
	idla_json_put_integer(out, "epochs", training->epochs);
	idla_json_put_integer(out, "batch", training->batch);
	idla_json_put_integer(out, "patience", training->patience);
	idla_json_put_string(out, "optimizer", idla_optimizer_names[training->optimizer]);
	idla_json_put_double(out, "rate", training->rate);
	idla_json_put_double(out, "matrix_rate", training->matrix_rate);
	idla_json_put_double(out, "decay", training->decay);
	idla_json_put_double(out, "momentum", training->momentum);
	idla_json_put_string(out, "schedule", idla_schedule_names[training->schedule]);
	idla_json_put_double(out, "warm_up", training->warm_up);
	idla_json_put_double(out, "clip", training->clip);
	idla_json_put_double(out, "average", training->average);
	idla_json_put_double(out, "word_dropout", training->word_dropout);
	idla_json_put_double(out, "smoothing", training->smoothing);
	idla_json_put_double(out, "huber", training->huber);
	idla_json_put_bool(out, "balanced", training->balanced);
	idla_json_put_bool(out, "calibrate", training->calibrate);
	idla_json_put_integer(out, "folds", training->folds);
	idla_json_put_integer(out, "bags", training->bags);
	idla_json_put_bool(out, "linear", training->linear > 0);
	put_changes(out, run);
	idla_json_put_integer(out, "threads", training->threads);
	idla_json_put_integer(out, "seed", (int64) training->seed);
	appendStringInfoChar(out, '}');
}

static void
put_split(StringInfo out, const IdlaTraining *run)
{
	const LearnSplit *split = &run->options->split;

	idla_json_key(out, "split");
	appendStringInfoChar(out, '{');
	idla_json_put_double(out, "validation", split->validation);
	idla_json_put_double(out, "test", split->test);
	idla_json_put_bool(out, "by_group", split->by_group);
	idla_json_put_bool(out, "by_order", split->by_order);
	idla_json_put_bool(out, "given", split->given);
	idla_json_put_string(out, "test_rows", run->test_rows);
	if (!isnan(run->dealt_validation))
		idla_json_put_double(out, "dealt_validation", run->dealt_validation);
	appendStringInfoChar(out, '}');
}

Jsonb *
idla_training_record(const IdlaTraining *run)
{
	StringInfoData out;
	Jsonb	   *record;
	char		hash[20];

	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	put_json(&out, "options", run->given);
	put_used(&out, run);
	put_split(&out, run);
	idla_training_put_teacher(&out, run, false);
	put_parts(&out, run);
	idla_json_put_string(&out, "source", run->reading.source);
	snprintf(hash, sizeof(hash), "%016llx", (unsigned long long) run->reading.hash);
	idla_json_put_string(&out, "rows_hash", hash);
	idla_json_put_integer(&out, "rows_read", (int64) run->reading.n_read);
	idla_json_put_double(&out, "train_loss", run->outcome.train_loss);
	idla_json_put_double(&out, "validation_loss", run->outcome.validation_loss);
	idla_json_put_integer(&out, "steps", (int64) run->outcome.steps);
	idla_json_put_string(&out, "engine", "idla " IDLA_VERSION);
	idla_json_put_now(&out, "trained_at");
	appendStringInfoChar(&out, '}');
	record = idla_json_parse(out.data);
	pfree(out.data);
	return record;
}

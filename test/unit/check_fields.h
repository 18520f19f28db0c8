/*
 * check_fields.h: images and signals to learn from, made up for the tests of src/learn.
 *
 * An image is 6 x 5 grey bytes, bright above or below; a signal has two leads and up to 24 samples, slow or fast. Beside them there are a number and a
 * category. Everything is drawn from the engine's generator.
 */
#ifndef IDLA_TEST_CHECK_FIELDS_H
#define IDLA_TEST_CHECK_FIELDS_H

#include "check_data.h"
#include "idla/learn_predict.h"
#include "idla/learn_train.h"
#include "learn/architecture.h"

#define FIELD_HEIGHT 6
#define FIELD_WIDTH 5
#define FIELD_SAMPLES 24
#define FIELD_LEADS 2
#define FIELD_CHANNELS 2
#define FIELD_MOST_BYTES (FIELD_SAMPLES * FIELD_LEADS * sizeof(float))

typedef struct FieldTable
{
	DevSession *session;
	LearnDataset *dataset;
	LearnModel	model;
	LearnField	fields[2];
	LearnChannel channels[FIELD_CHANNELS];
	LearnSplit	split;
	LearnNotes	notes;
	CheckFile	files[2];
	LearnSpill	spills[2];
	double		mean[3];
	double		scale[3];
	size_t		n;
} FieldTable;

/* Which fields a table has, and what is to be learned of it. */
typedef struct FieldPlan
{
	bool		image;
	bool		signal;
	bool		columns;
	LearnTask	task;
	size_t		n;
	size_t		memory;			/* for the fields, 0: more than enough */
	double		missing;		/* share of fields that are */
	int			lessons;		/* answers of a teacher for a row, unknown at first */
} FieldPlan;

static inline LearnField
field_image(void)
{
	return (LearnField) {.name = (char *) "scan", .column = FIELD_CHANNELS, .kind = LEARN_IMAGE, .sample = LEARN_SAMPLE_U8,
	.dims = {FIELD_HEIGHT, FIELD_WIDTH, 1}, .same_size = true, .same_depth = true};
}

static inline LearnField
field_signal(void)
{
	return (LearnField) {.name = (char *) "lead", .column = FIELD_CHANNELS + 1, .kind = LEARN_SIGNAL, .sample = LEARN_SAMPLE_F32,
	.dims = {FIELD_SAMPLES, FIELD_LEADS, 0}};
}

/* Whether the row's image is bright above, whether its signal is fast: what labels say. */
static inline bool
field_truth(size_t row, int field)
{
	return dev_random_uniform(31, 500 + (uint64_t) field, row) < 0.5;
}

static inline bool
field_missing(const FieldPlan *plan, size_t row, int field)
{
	return dev_random_uniform(31, 510 + (uint64_t) field, row) < plan->missing;
}

/* The stored bytes of a row's field. */
static inline size_t
field_bytes(const LearnField *field, size_t row, void *bytes)
{
	if (field->kind == LEARN_IMAGE)
	{
		uint8_t    *pixels = bytes;
		bool		above = field_truth(row, 0);

		for (size_t i = 0; i < FIELD_HEIGHT * FIELD_WIDTH; i++)
			pixels[i] = (uint8_t) (60 * dev_random_uniform(31, 520, row * 64 + i) + ((i < FIELD_HEIGHT * FIELD_WIDTH / 2) == above ? 120 : 0));
		return FIELD_HEIGHT * FIELD_WIDTH;
	}
	else
	{
		float	   *samples = bytes;
		size_t		n = 12 + (size_t) dev_random_below(31, 530, row, FIELD_SAMPLES - 11);
		double		speed = field_truth(row, 1) ? 1.6 : 0.5;
		double		phase = 6 * dev_random_uniform(31, 531, row);

		for (size_t i = 0; i < n; i++)
		{
			samples[i * FIELD_LEADS] = (float) (sin(speed * (double) i + phase) + 0.2 * dev_random_normal(31, 532, row * 64 + i));
			samples[i * FIELD_LEADS + 1] = (float) (5 + cos(speed * (double) i + phase));
		}
		return n * FIELD_LEADS * sizeof(float);
	}
}

/* The outcome: of one field alone, or of both of them. */
static inline void
field_targets(const FieldPlan *plan, size_t row, float targets[3])
{
	bool		first = field_truth(row, plan->image ? 0 : 1);
	bool		second = field_truth(row, plan->signal ? 1 : 0);

	targets[0] = plan->task == LEARN_MULTICLASS ? (float) (first + second) : (float) first;
	targets[1] = (float) second;
	targets[2] = row % 3 == 0;
	if (plan->task == LEARN_REGRESSION)
		targets[0] = (float) (first ? 30 : 10) + (float) dev_random_normal(31, 540, row);
	if (plan->task == LEARN_SURVIVAL)
	{
		targets[0] = (float) (-log(dev_random_uniform(31, 541, row)) * (first ? 1 : 10));
		targets[1] = dev_random_uniform(31, 542, row) < 0.8;
	}
}

static inline int
field_n_targets(LearnTask task)
{
	return task == LEARN_MULTILABEL ? 3 : task == LEARN_SURVIVAL ? 2 : 1;
}

static inline DevStatus
field_append(FieldTable *table, const FieldPlan *plan, size_t row)
{
	char		memory[2][FIELD_MOST_BYTES];
	LearnBytes	values[2];
	float		raw[FIELD_CHANNELS] = {(float) dev_random_normal(31, 550, row), 0};
	float		targets[3];
	LearnRow	given = {.channels = raw, .targets = targets, .fields = values, .part = LEARN_UNASSIGNED};
	DevStatus	status = DEV_OK;

	for (int i = 0; i < table->model.n_fields; i++)
	{
		values[i].size = field_bytes(&table->fields[i], row, memory[i]);
		values[i].bytes = memory[i];
		if (field_missing(plan, row, i))
			values[i] = (LearnBytes) {NULL, 0};
	}
	field_targets(plan, row, targets);
	if (plan->columns)
		status = learn_dataset_intern(table->dataset, 1, row % 4 == 0 ? "north" : "south", 5, &raw[1]);
	return status == DEV_OK ? learn_dataset_append(table->dataset, &given) : status;
}

/* A table split, fitted and encoded; its files are field_table_close's. */
static inline DevStatus
field_table(DevSession *session, const FieldPlan *plan, FieldTable *table)
{
	LearnModel *model = &table->model;
	LearnFit	fit = {.task = plan->task, .max_categories = 10, .min_count = 1};
	const LearnSpill *spills[2];
	size_t		memory = plan->memory > 0 ? plan->memory : (size_t) 1 << 26;
	DevStatus	status;

	memset(table, 0, sizeof(*table));
	table->session = session;
	table->n = plan->n;
	for (int i = 0; i < FIELD_CHANNELS; i++)
	{
		table->channels[i] = (LearnChannel) {.name = (char *) (i == 0 ? "age" : "site"), .column = i, .use = LEARN_USE_KEEP,
		.kind = i == 0 ? LEARN_NUMBER : LEARN_CATEGORY, .number_input = NN_NONE, .indicator_input = NN_NONE, .code_input = NN_NONE};
		table->spills[i] = check_spill(&table->files[i]);
		spills[i] = &table->spills[i];
	}
	*model = (LearnModel) {.task = plan->task, .n_columns = FIELD_CHANNELS + 2, .n_channels = plan->columns ? FIELD_CHANNELS : 0,
	.channels = table->channels, .fields = table->fields, .n_targets = field_n_targets(plan->task), .positive = 1, .temperature = 1,
	.n_classes = plan->task == LEARN_MULTICLASS ? 3 : plan->task == LEARN_BINARY ? 2 : 0, .target_mean = table->mean, .target_scale = table->scale};
	if (plan->image)
		table->fields[model->n_fields++] = field_image();
	if (plan->signal)
		table->fields[model->n_fields++] = field_signal();
	table->split = (LearnSplit) {.validation = 0.2, .test = 0.2, .task = plan->task, .seed = 5};
	status = learn_dataset_create(session, model->channels, model->n_channels, model->n_targets, (size_t) 1 << 26, NULL, &table->dataset);
	if (status == DEV_OK)
		status = learn_dataset_add_fields(table->dataset, table->fields, model->n_fields, memory, spills);
	if (status == DEV_OK && plan->lessons > 0)
		status = learn_dataset_teach(table->dataset, plan->lessons, (size_t) 1 << 20);
	for (size_t row = 0; row < plan->n && status == DEV_OK; row++)
		status = field_append(table, plan, row);
	if (status == DEV_OK)
		status = learn_split(table->dataset, &table->split, &table->notes);
	if (status == DEV_OK)
		status = learn_fit(table->dataset, &fit, &table->notes, &model->n_numbers, &model->n_codes);
	if (status == DEV_OK && plan->task == LEARN_REGRESSION)
		status = learn_fit_targets(table->dataset, table->mean, table->scale);
	return status == DEV_OK ? learn_dataset_encode(table->dataset) : status;
}

static inline void
field_table_close(FieldTable *table)
{
	for (int i = 0; i < 2; i++)
		free(table->files[i].bytes);
}

static inline LearnTraining
field_training(int epochs, int threads)
{
	return (LearnTraining)
	{
		.epochs = epochs, .batch = 32, .patience = -1, .optimizer = -1, .rate = 0.01, .decay = -1, .momentum = -1, .schedule = -1,
		.warm_up = -1, .clip = -1, .average = -1, .calibrate = true, .folds = 1, .bags = 1, .linear = 0, .seed = 9, .threads = threads
	};
}

static inline LearnNetwork
field_network(const FieldTable *table, LearnArchitecture architecture, const char *layers)
{
	return (LearnNetwork)
	{
		.architecture = architecture, .layers = (char *) layers, .depth = architecture == LEARN_FCN || architecture == LEARN_LAYERS ? 0 : 1,
		.width = architecture == LEARN_LAYERS ? 0 : 8, .members = architecture == LEARN_TABM ? 4 : 0, .dropout = 0, .activation = -1,
		.n_fields = table->model.n_fields, .fields = table->fields
	};
}

static inline bool
field_listen(void *context, const LearnProgress *progress)
{
	(void) context;
	(void) progress;
	return true;
}

static inline DevStatus
field_train(FieldTable *table, LearnNetwork network, LearnTraining training, LearnOutcome *outcome)
{
	return learn_train(table->session, table->dataset, &table->model, &network, &training, &table->split, field_listen, NULL,
					   &table->notes, outcome);
}

/* Scores of all rows of the data set, (n, outputs). */
static inline DevStatus
field_scores(FieldTable *table, size_t batch, double *scores)
{
	uint32_t   *rows = calloc(table->n, sizeof(uint32_t));
	LearnPredictor *predictor;
	DevStatus	status = learn_predictor_create(table->session, &table->model, batch, &predictor);

	for (size_t row = 0; row < table->n; row++)
		rows[row] = (uint32_t) row;
	if (status == DEV_OK)
		status = learn_predict_dataset(predictor, table->dataset, rows, table->n, scores);
	free(rows);
	return status;
}

#endif							/* IDLA_TEST_CHECK_FIELDS_H */

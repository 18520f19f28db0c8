/*
 * test_lessons.c: targets that are in part a teacher's answers. Most is held against the same training with the blend
 * made by hand and learned alone: the bits must be the same, by steps and by equations, with rows mixed and without.
 */
#include "check_fields.h"

#define ROWS 200

/* What a training left behind. */
typedef struct Learned
{
	size_t		n;
	float	   *weights;
	double		loss;			/* validation */
	double		temperature;
} Learned;

/* What is done to the table between its making and the training. */
typedef struct Lesson
{
	double		weight;
	bool		known;			/* the teacher has answers, for two rows of three */
	bool		by_hand;		/* they are the blend by `blended`, for all rows */
	double		blended;
	bool		other_labels;	/* of the training part */
	bool		mixed;			/* images */
	bool		attacked;
	bool		many;			/* two folds, and beside each network one of the columns */
} Lesson;

static size_t
outputs_of(LearnTask task)
{
	return task == LEARN_MULTICLASS || task == LEARN_MULTILABEL ? 3 : 1;
}

/* An answer with all its bits; of classes a share each. */
static void
answer(LearnTask task, size_t row, float *lesson)
{
	size_t		n = outputs_of(task);
	double		sum = 0;

	for (size_t i = 0; i < n; i++)
	{
		lesson[i] = (float) dev_random_uniform(77, 600 + i, row);
		sum += (double) lesson[i];
	}
	for (size_t i = 0; i < n && task == LEARN_MULTICLASS; i++)
		lesson[i] = (float) ((double) lesson[i] / sum);
}

static void
fill_lessons(FieldTable *table, LearnTask task, const Lesson *how)
{
	size_t		n = outputs_of(task);
	float	   *lessons = learn_dataset_lessons(table->dataset);
	const float *targets = learn_dataset_targets(table->dataset);

	for (size_t row = 0; row < table->n; row++)
	{
		float	   *lesson = lessons + row * n;
		const float *target = targets + row * (size_t) table->model.n_targets;
		bool		known = how->known && row % 3 != 1;
		float		weight = known ? (float) how->blended : 0;
		float		said[3];

		answer(task, row, said);
		for (size_t i = 0; i < n; i++)
		{
			float		own = task == LEARN_MULTICLASS ? (float) (target[0] == (float) i) : target[i];

			lesson[i] = how->by_hand ? (1 - weight) * own + weight * said[i] : known ? said[i] : NAN;
		}
	}
}

static void
change_labels(FieldTable *table, LearnTask task)
{
	float	   *targets = learn_dataset_targets(table->dataset);
	size_t		width = (size_t) table->model.n_targets;

	for (size_t i = 0; i < table->n * width; i++)
		if (learn_dataset_parts(table->dataset)[i / width] == LEARN_TRAIN)
			targets[i] = task == LEARN_REGRESSION ? -2 * targets[i] : task == LEARN_MULTICLASS ? 2 - targets[i] : 1 - targets[i];
}

/* The weights of all networks, one after another. */
static void
keep(const FieldTable *table, Learned *learned)
{
	*learned = (Learned) {0};
	for (int i = 0; i < table->model.n_nets; i++)
		learned->n += table->model.nets[i].n_weights;
	learned->weights = malloc(learned->n * sizeof(float));
	learned->n = 0;
	for (int i = 0; i < table->model.n_nets; i++)
	{
		memcpy(learned->weights + learned->n, table->model.nets[i].weights, table->model.nets[i].n_weights * sizeof(float));
		learned->n += table->model.nets[i].n_weights;
	}
}

static DevStatus
try(LearnTask task, LearnArchitecture architecture, const Lesson *how, Learned *learned)
{
	FieldPlan	plan = {.image = how->mixed, .signal = !how->mixed, .columns = true, .task = task, .n = ROWS,
	.lessons = how->known ? (int) outputs_of(task) : 0};
	LearnTraining training = field_training(3, 2);
	DevSession *session;
	FieldTable	table;
	LearnOutcome outcome;
	LearnNetwork network;
	DevStatus	status;

	CHECK_OR_STOP(dev_session_open(NULL, 3, &session) == DEV_OK, "a session opens");
	CHECK_OR_STOP(field_table(session, &plan, &table) == DEV_OK, "a table");
	if (plan.lessons > 0)
		fill_lessons(&table, task, how);
	if (how->other_labels)
		change_labels(&table, task);
	network = field_network(&table, architecture, NULL);
	training.lessons = how->weight;
	if (architecture == LEARN_ROCKET)
	{
		/* Nothing is said of steps: the weights are solved for. */
		training.epochs = training.batch = training.patience = training.folds = 0;
		training.rate = 0;
		network.depth = 0;
		network.width = 168;
	}
	if (how->mixed)
	{
		training.augmented = 1;
		training.augment.values[learn_augment_position(learn_augment_find(LEARN_AUGMENT_IMAGE, "mixup"))] = 0.4f;
		training.augment.values[learn_augment_position(learn_augment_find(LEARN_AUGMENT_IMAGE, "cutmix"))] = 0.4f;
	}
	if (how->attacked)
		training.adversary = (LearnAdversary) {.method = LEARN_PGD, .norm = LEARN_NORM_MAX, .epsilon = 0.2, .steps = 2, .restarts = 1, .share = 0.5};
	if (how->many)
	{
		training.folds = 2;
		training.tabular = true;
	}
	status = field_train(&table, network, training, &outcome);
	if (status == DEV_OK)
	{
		keep(&table, learned);
		learned->loss = outcome.validation_loss;
		learned->temperature = table.model.temperature;
	}
	else
		printf("#   %s\n", dev_message_text(session));
	field_table_close(&table);
	dev_session_close(session);
	return status;
}

static bool
same(const Learned *a, const Learned *b)
{
	return a->n == b->n && memcmp(a->weights, b->weights, a->n * sizeof(float)) == 0 && a->temperature == b->temperature;
}

static void
forget(Learned *learned)
{
	free(learned->weights);
	*learned = (Learned) {0};
}

/* ---- What is learned ---- */

static void
check_blend(LearnTask task, LearnArchitecture architecture, bool mixed)
{
	const char *name = learn_task_names[task];
	const char *how = mixed ? "mixed images" : learn_architecture_names[architecture];
	Learned		alone;
	Learned		unheard;
	Learned		blended;
	Learned		by_hand;
	Learned		all;
	Learned		blind;

	CHECK_OR_STOP(try(task, architecture, &(Lesson) {.mixed = mixed}, &alone) == DEV_OK, "%s, %s: without a teacher", name, how);
	CHECK_OR_STOP(try(task, architecture, &(Lesson) {.known = true, .mixed = mixed}, &unheard) == DEV_OK, "%s, %s: weight 0", name, how);
	CHECK(same(&alone, &unheard) && alone.loss == unheard.loss, "%s, %s: a teacher of weight 0 changes no bit", name, how);
	CHECK_OR_STOP(try(task, architecture, &(Lesson) {.weight = 0.7, .known = true, .mixed = mixed}, &blended) == DEV_OK, "weight 0.7");
	CHECK_OR_STOP(try(task, architecture, &(Lesson) {.weight = 1, .known = true, .by_hand = true, .blended = 0.7, .mixed = mixed},
					  &by_hand) == DEV_OK, "the blend by hand");
	CHECK(same(&blended, &by_hand), "%s, %s: a row teaches its target and the teacher's answer in their proportion", name, how);
	CHECK(!same(&alone, &blended), "%s, %s: which is something else than the target", name, how);
	CHECK(blended.loss == by_hand.loss, "%s, %s: and is judged by the target", name, how);

	/* Rows that the teacher has no answer for still teach their target. */
	CHECK_OR_STOP(try(task, architecture, &(Lesson) {.weight = 1, .known = true, .by_hand = true, .blended = 1, .mixed = mixed},
					  &all) == DEV_OK, "weight 1");
	CHECK_OR_STOP(try(task, architecture, &(Lesson) {.weight = 1, .known = true, .mixed = mixed}, &blind) == DEV_OK, "weight 1 again");
	CHECK(same(&all, &blind), "%s, %s: rows without an answer keep their target", name, how);
	forget(&alone);
	forget(&unheard);
	forget(&blended);
	forget(&by_hand);
	forget(&all);
	forget(&blind);
}

/* The same of what else a training does, on two classes. */
static void
check_under(const Lesson *base, const char *what)
{
	Lesson		how = *base;
	Learned		alone;
	Learned		blended;
	Learned		by_hand;

	CHECK_OR_STOP(try(LEARN_BINARY, LEARN_FCN, &how, &alone) == DEV_OK, "%s: without a teacher", what);
	how.known = true;
	how.weight = 0.6;
	CHECK_OR_STOP(try(LEARN_BINARY, LEARN_FCN, &how, &blended) == DEV_OK, "%s: with one", what);
	how.by_hand = true;
	how.blended = 0.6;
	how.weight = 1;
	CHECK_OR_STOP(try(LEARN_BINARY, LEARN_FCN, &how, &by_hand) == DEV_OK, "%s: the blend by hand", what);
	CHECK(same(&blended, &by_hand) && !same(&alone, &blended), "%s: targets and answers in their proportion", what);
	forget(&alone);
	forget(&blended);
	forget(&by_hand);
}

/* With answers for all rows and weight 1, the labels of the training part are not looked at. */
static void
check_blind(LearnTask task)
{
	Lesson		how = {.weight = 1, .known = true, .by_hand = true, .blended = 1};
	Learned		one;
	Learned		other;
	FieldTable	table;
	DevSession *session;
	FieldPlan	plan = {.signal = true, .columns = true, .task = task, .n = ROWS, .lessons = (int) outputs_of(task)};
	LearnNetwork network;
	LearnTraining training = field_training(2, 1);
	LearnOutcome outcome;

	for (int changed = 0; changed < 2; changed++)
	{
		Learned    *learned = changed ? &other : &one;

		CHECK_OR_STOP(dev_session_open(NULL, 3, &session) == DEV_OK, "a session opens");
		CHECK_OR_STOP(field_table(session, &plan, &table) == DEV_OK, "a table");
		for (size_t row = 0; row < ROWS; row++)
			answer(task, row, learn_dataset_lessons(table.dataset) + row * outputs_of(task));
		if (changed)
			change_labels(&table, task);
		network = field_network(&table, LEARN_FCN, NULL);
		training.lessons = how.weight;
		CHECK_OR_STOP(field_train(&table, network, training, &outcome) == DEV_OK, "weight 1");
		keep(&table, learned);
		learned->temperature = table.model.temperature;
		field_table_close(&table);
		dev_session_close(session);
	}
	CHECK(same(&one, &other), "%s: with weight 1 the training part's own targets are not looked at", learn_task_names[task]);
	forget(&one);
	forget(&other);
}

/* ---- The data set ---- */

static void
check_dataset(void)
{
	FieldPlan	plan = {.signal = true, .task = LEARN_REGRESSION, .n = ROWS, .lessons = 1};
	LearnChannel channel = {.name = (char *) "a", .kind = LEARN_NUMBER};
	float		one = 1;
	LearnRow	row = {.channels = &one, .targets = &one, .part = LEARN_UNASSIGNED};
	DevSession *session;
	FieldTable	table;
	LearnDataset *dataset;
	LearnFit	fit = {.task = LEARN_REGRESSION, .max_categories = 10, .min_count = 1};
	size_t		appended = 0;
	bool		unknown = true;
	double		mean;
	double		scale;

	CHECK_OR_STOP(dev_session_open(NULL, 3, &session) == DEV_OK, "a session opens");
	CHECK_OR_STOP(field_table(session, &plan, &table) == DEV_OK, "a table");
	for (size_t i = 0; i < ROWS; i++)
		unknown = unknown && isnan(learn_dataset_lessons(table.dataset)[i]);
	CHECK(unknown, "answers that nobody has given are unknown, scaled or not");
	CHECK_STATUS(session, learn_dataset_teach(table.dataset, 1, 4096), DEV_INVALID, "no teacher comes after the rows");
	field_table_close(&table);

	CHECK_OR_STOP(learn_dataset_create(session, &channel, 1, 1, (size_t) 1 << 20, NULL, &dataset) == DEV_OK, "another");
	CHECK_STATUS(session, learn_dataset_teach(dataset, 0, 4096), DEV_INVALID, "no answers are no teacher");
	CHECK_STATUS(session, learn_dataset_teach(dataset, 2, 8 * 100), DEV_OK, "two answers for a row, room for a hundred rows");
	CHECK(learn_dataset_lessons(dataset) == NULL, "there are none before the first row");
	while (appended < 200 && learn_dataset_append(dataset, &row) == DEV_OK)
		appended++;
	CHECK(appended == 100 && dev_status(session) == DEV_NO_MEMORY, "and the row after those is refused (%zu)", appended);
	learn_dataset_free(dataset);

	/* The same numbers come out the same. */
	dev_session_close(session);
	CHECK_OR_STOP(dev_session_open(NULL, 3, &session) == DEV_OK, "a session opens");
	CHECK_OR_STOP(learn_dataset_create(session, &channel, 1, 1, (size_t) 1 << 20, NULL, &dataset) == DEV_OK, "another");
	CHECK_OR_STOP(learn_dataset_teach(dataset, 1, 1 << 16) == DEV_OK, "with a teacher");
	for (size_t i = 0; i < 50; i++)
	{
		float		target = (float) (i % 7) * 3 + 2;

		row.targets = &target;
		one = (float) i;
		CHECK_OR_STOP(learn_dataset_append(dataset, &row) == DEV_OK, "row %zu", i);
	}
	for (size_t i = 0; i < 50; i++)
		learn_dataset_lessons(dataset)[i] = learn_dataset_targets(dataset)[i];
	learn_dataset_lessons(dataset)[3] = NAN;
	CHECK_OR_STOP(learn_split(dataset, &(LearnSplit) {.test = 0.2, .task = LEARN_REGRESSION, .seed = 1}, &table.notes) == DEV_OK, "split");
	CHECK_OR_STOP(learn_fit(dataset, &fit, &table.notes, &table.model.n_numbers, &table.model.n_codes) == DEV_OK, "fitted");
	CHECK_OR_STOP(learn_fit_targets(dataset, &mean, &scale) == DEV_OK, "scaled");
	CHECK(isnan(learn_dataset_lessons(dataset)[3]), "an unknown answer stays unknown");
	learn_dataset_lessons(dataset)[3] = learn_dataset_targets(dataset)[3];
	CHECK(memcmp(learn_dataset_lessons(dataset), learn_dataset_targets(dataset), 50 * sizeof(float)) == 0,
		  "answers are scaled as their target is");
	dev_session_close(session);
}

/* ---- What is refused ---- */

static DevStatus
refuse(LearnTask task, int lessons, float value, void (*spoil) (LearnTraining *training))
{
	FieldPlan	plan = {.signal = true, .columns = true, .task = task, .n = ROWS, .lessons = lessons};
	LearnTraining training = field_training(1, 1);
	DevSession *session;
	FieldTable	table;
	LearnOutcome outcome;
	DevStatus	status;

	CHECK_OR_STOP(dev_session_open(NULL, 3, &session) == DEV_OK, "a session opens");
	CHECK_OR_STOP(field_table(session, &plan, &table) == DEV_OK, "a table");
	if (lessons > 0)
		learn_dataset_lessons(table.dataset)[ROWS / 2] = value;
	training.lessons = 0.5;
	if (spoil != NULL)
		spoil(&training);
	status = field_train(&table, field_network(&table, LEARN_FCN, NULL), training, &outcome);
	if (status != DEV_OK)
		printf("#   %s\n", dev_message_text(session));
	field_table_close(&table);
	dev_session_close(session);
	return status;
}

static void
too_heavy(LearnTraining *training)
{
	training->lessons = 1.5;
}

static void
balance(LearnTraining *training)
{
	training->balanced = true;
}

static void
mix_columns(LearnTraining *training)
{
	training->augmented = 1;
	training->augment.values[learn_augment_position(learn_augment_find(LEARN_AUGMENT_TABLE, "mixup"))] = 0.5f;
}

static void
check_refusals(void)
{
	CHECK(refuse(LEARN_BINARY, 1, 0.5f, NULL) == DEV_OK, "what follows is wrong by itself");
	CHECK(refuse(LEARN_BINARY, 1, 1.25f, NULL) == DEV_INVALID, "no probability is above one");
	CHECK(refuse(LEARN_MULTICLASS, 3, -0.5f, NULL) == DEV_INVALID, "or below zero");
	CHECK(refuse(LEARN_REGRESSION, 1, INFINITY, NULL) == DEV_INVALID, "values are finite");
	CHECK(refuse(LEARN_REGRESSION, 1, -1.25f, NULL) == DEV_OK, "and may be anything else");
	CHECK(refuse(LEARN_MULTICLASS, 2, 0.5f, NULL) == DEV_INVALID, "three classes have three answers");
	CHECK(refuse(LEARN_BINARY, 0, 0, NULL) == DEV_INVALID, "without answers there is no teacher");
	CHECK(refuse(LEARN_SURVIVAL, 1, 0.5f, NULL) == DEV_INVALID, "hazards are not taught");
	CHECK(refuse(LEARN_BINARY, 1, 0.5f, too_heavy) == DEV_INVALID, "weights end at one");
	CHECK(refuse(LEARN_BINARY, 1, 0.5f, balance) == DEV_INVALID, "classes are not weighed");
	CHECK(refuse(LEARN_BINARY, 1, 0.5f, mix_columns) == DEV_INVALID, "rows of a table are not mixed");
}

int
main(void)
{
	check_blend(LEARN_BINARY, LEARN_FCN, false);
	check_blend(LEARN_MULTICLASS, LEARN_FCN, false);
	check_blend(LEARN_MULTILABEL, LEARN_FCN, false);
	check_blend(LEARN_REGRESSION, LEARN_FCN, false);
	check_blend(LEARN_BINARY, LEARN_ROCKET, false);
	check_blend(LEARN_MULTICLASS, LEARN_ROCKET, false);
	check_blend(LEARN_REGRESSION, LEARN_ROCKET, false);
	check_blend(LEARN_BINARY, LEARN_CNN, true);
	check_blend(LEARN_MULTICLASS, LEARN_CNN, true);
	check_blend(LEARN_MULTILABEL, LEARN_CNN, true);
	check_blend(LEARN_REGRESSION, LEARN_CNN, true);
	check_under(&(Lesson) {.attacked = true}, "attacked rows");
	check_under(&(Lesson) {.many = true}, "folds and a network of the columns");
	check_blind(LEARN_BINARY);
	check_blind(LEARN_MULTICLASS);
	check_blind(LEARN_MULTILABEL);
	check_dataset();
	check_refusals();
	return check_done();
}

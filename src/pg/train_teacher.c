/*
 * train_teacher.c: what a training tells of its teacher, and whether the comparison of the two is fair.
 *
 * Both are judged on the same rows. That is fair as long as the teacher has not learned from them: every version therefore
 * keeps a hash of which rows its test part was, with their targets, and a student whose rows and split are its teacher's gets the same one.
 */
#include "train.h"

#include <math.h>

#include "common/hashfn.h"
#include "manifest.h"
#include "utils/builtins.h"

/* ---- the test part ---- */

static int
compare_targets(const void *a, const void *b, void *arg)
{
	char	  **names = arg;

	return strcmp(names[*(const int *) a], names[*(const int *) b]);
}

/* Targets by name: in whichever order they are asked for, the rows are dealt alike. */
static int *
order_targets(const IdlaTraining *run)
{
	const IdlaTarget *target = &run->reading.target;
	int			n = run->model->learn.n_targets;
	int		   *order = palloc(sizeof(int) * (Size) Max(n, 1));

	for (int i = 0; i < n; i++)
		order[i] = i;
	if (n > 1)
		qsort_arg(order, (size_t) n, sizeof(int), compare_targets, target->names);
	return order;
}

char *
idla_training_test_rows(const IdlaTraining *run)
{
	const LearnModel *model = &run->model->learn;
	const float *targets = learn_dataset_targets(run->reading.dataset);
	const uint8_t *parts = learn_dataset_parts(run->reading.dataset);
	size_t		n = learn_dataset_rows(run->reading.dataset);
	size_t		width = (size_t) model->n_targets;
	int		   *order = order_targets(run);
	uint64		hash = hash_bytes_extended((const unsigned char *) &n, sizeof(n), 0);
	size_t		n_test = 0;

	for (size_t row = 0; row < n; row++)
	{
		if (parts[row] != LEARN_TEST)
			continue;
		n_test++;
		hash = hash_combine64(hash, (uint64) row);
		for (size_t i = 0; i < width; i++)
		{
			/* Whichever class is the positive one. */
			float		target = model->task == LEARN_BINARY ? (float) idla_class_of_target(model, (double) targets[row]) :
				targets[row * width + (size_t) order[i]];
			uint32		bits;

			memcpy(&bits, &target, sizeof(bits));
			hash = hash_combine64(hash, bits);
		}
	}
	return n_test == 0 ? NULL : psprintf("%016llx", (unsigned long long) hash);
}

/* What the teacher's manifest tells of its split; NULL where it tells nothing. What is not as it should be counts as not told. */
static JsonbContainer *
teacher_split(const IdlaTraining *run)
{
	JsonbValue *split = idla_json_find(&idla_teacher_loaded(run->reading.teacher)->model->manifest->root, "split");

	return split != NULL && split->type == jbvBinary && JsonContainerIsObject(split->val.binary.data) ? split->val.binary.data : NULL;
}

static bool
is_teachers_test(const IdlaTraining *run)
{
	JsonbContainer *split = teacher_split(run);
	JsonbValue *told = split == NULL ? NULL : idla_json_find(split, "test_rows");
	char	   *here = idla_training_test_rows(run);

	return told != NULL && told->type == jbvString && here != NULL && strlen(here) == (size_t) told->val.string.len &&
		memcmp(here, told->val.string.val, strlen(here)) == 0;
}

/* With which validation part the teacher's rows were dealt: with folds none, and then groups are dealt otherwise. */
static double
teacher_validation(const IdlaTraining *run)
{
	JsonbContainer *split = teacher_split(run);
	JsonbValue *value = split == NULL ? NULL : idla_json_find(split, "dealt_validation");
	double		share = NAN;

	if (value == NULL && split != NULL)
		value = idla_json_find(split, "validation");
	if (value != NULL && value->type == jbvNumeric)
		share = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
	return share >= 0 && share < 1 ? share : NAN;
}

/* The validation part, as large as is wanted, cut anew from what is no test part. */
static DevStatus
cut_validation(IdlaTraining *run, LearnNotes *notes)
{
	LearnDataset *dataset = run->reading.dataset;
	uint8_t    *parts = learn_dataset_parts(dataset);
	size_t		n = learn_dataset_rows(dataset);
	LearnSplit	split = run->options->split;

	for (size_t row = 0; row < n; row++)
		if (parts[row] == LEARN_VALIDATION)
			parts[row] = LEARN_TRAIN;
	/* Of the rows that are left it is another share. */
	split.validation /= 1 - split.test;
	split.test = 0;
	split.given = true;
	return learn_split(dataset, &split, notes);
}

/* The rows dealt as the teacher's were, and the student's validation part then cut from the rest; false when that makes no difference, or cannot be. */
static bool
split_as_teacher(IdlaTraining *run, LearnNotes *notes)
{
	IdlaWork   *work = run->model->work;
	LearnDataset *dataset = run->reading.dataset;
	LearnSplit	split = run->options->split;
	LearnNotes	unheard = {0};
	DevStatus	status;

	split.validation = teacher_validation(run);
	if (isnan(split.validation) || split.validation == run->options->split.validation || split.given ||
		split.validation + split.test >= 1)
		return false;
	status = learn_split(dataset, &split, &unheard);
	if (status == DEV_OK && !is_teachers_test(run))
		return false;
	if (status == DEV_OK)
		status = cut_validation(run, notes);
	if (status == DEV_BAD_DATA)
		return false;
	idla_check(work, status);
	run->dealt_validation = split.validation;
	return true;
}

void
idla_training_split(IdlaTraining *run, LearnNotes *notes)
{
	IdlaWork   *work = run->model->work;
	LearnDataset *dataset = run->reading.dataset;
	LearnNotes	own = {0};
	LearnNotes	theirs = {0};
	LearnNotes	unheard = {0};

	run->dealt_validation = NAN;
	idla_check(work, learn_split(dataset, &run->options->split, &own));
	run->same_test = run->reading.teacher != NULL && is_teachers_test(run);
	if (run->reading.teacher == NULL || run->same_test)
	{
		*notes = own;
		return;
	}
	run->same_test = split_as_teacher(run, &theirs);
	*notes = run->same_test ? theirs : own;
	if (!run->same_test)
		idla_check(work, learn_split(dataset, &run->options->split, &unheard));
	learn_part_sizes(dataset, run->parts);
	if (run->same_test || run->parts[LEARN_TEST] == 0)
		return;
	ereport(NOTICE,
			(errmsg("teacher \"%s\" may have learned from rows of the test part", idla_teacher_name(run->reading.teacher)),
			 errdetail("Its own test part was another, or is not known; what it remembers of these rows flatters the metrics, its own and the student's."),
			 errhint("Train from the teacher's source with its seed and its options for the split, or judge by rows that neither has seen.")));
}

/* ---- how good it is ---- */

/* Its answers as the engine's scores, of which rows that it has no answer for are left out. */
static size_t
teacher_scores(const IdlaTraining *run, const uint32_t *rows, size_t n, const double *targets, double *scores, double *kept_targets)
{
	const LearnModel *model = &run->model->learn;
	const float *lessons = learn_dataset_lessons(run->reading.dataset);
	size_t		outputs = learn_model_outputs(model);
	size_t		width = (size_t) model->n_targets;
	size_t		kept = 0;

	for (size_t i = 0; i < n; i++)
	{
		const float *lesson = lessons + (size_t) rows[i] * outputs;

		if (isnan(lesson[0]))
			continue;
		for (size_t j = 0; j < outputs; j++)
		{
			double		answer = (double) lesson[j];

			scores[kept * outputs + j] = model->task == LEARN_REGRESSION ? answer * model->target_scale[j] + model->target_mean[j] :
				model->task == LEARN_MULTICLASS ? log(answer) : log(answer) - log1p(-answer);
		}
		memcpy(kept_targets + kept * width, targets + i * width, width * sizeof(double));
		kept++;
	}
	return kept;
}

void
idla_training_judge_teacher(IdlaTraining *run, const uint32_t *rows, size_t n, const double *targets)
{
	const LearnModel *model = &run->model->learn;
	double	   *scores;
	double	   *kept_targets;
	size_t		kept;

	if (run->reading.teacher == NULL)
		return;
	scores = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(double) * (n * learn_model_outputs(model) + 1));
	kept_targets = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(double) * (n * (size_t) model->n_targets + 1));
	kept = teacher_scores(run, rows, n, targets, scores, kept_targets);
	if (kept > 0)
		run->teacher_metrics = idla_judge(run->model->work, model, kept, scores, kept_targets,
										  idla_teacher_threshold(run->reading.teacher, model), &run->n_teacher_metrics);
	pfree(scores);
	pfree(kept_targets);
}

/* ---- what is kept ---- */

void
idla_training_put_teacher(StringInfo out, const IdlaTraining *run, bool metrics)
{
	const IdlaLoaded *loaded;
	Jsonb	   *judged;

	if (run->reading.teacher == NULL)
		return;
	loaded = idla_teacher_loaded(run->reading.teacher);
	idla_json_key(out, "teacher");
	appendStringInfoChar(out, '{');
	idla_json_put_string(out, "model", idla_teacher_qualified(run->reading.teacher));
	idla_json_put_integer(out, "version", loaded->version);
	idla_json_put_string(out, "digest", idla_card_text(loaded->model->manifest, "sha256"));
	idla_json_put_double(out, "weight", run->training.lessons);
	idla_json_put_integer(out, "unanswered", (int64) idla_teacher_unanswered(run->reading.teacher));
	idla_json_put_bool(out, "same_test", run->same_test);
	if (metrics && run->n_teacher_metrics > 0)
	{
		judged = idla_metrics_jsonb(run->teacher_metrics, run->n_teacher_metrics);
		idla_json_key(out, "metrics");
		(void) JsonbToCString(out, &judged->root, (int) VARSIZE(judged));
	}
	appendStringInfoChar(out, '}');
}

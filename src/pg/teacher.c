/*
 * teacher.c: what another model says of the rows that one is trained on.
 *
 * The teacher sees the row as the source has it and takes its columns by name, so it may look at some that the student does not. It
 * answers some hundred rows at once while they are read; its answers lie beside the targets, and are put into the student's
 * order of classes when that is known.
 */
#include "reading.h"
#include "serve.h"
#include "teacher.h"

#include <math.h>

#include "catalog/namespace.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define MOST_ROWS 256
#define BATCH_FLOATS (4 * 1024 * 1024)	/* channels of a batch at most */
#define BATCH_BYTES ((Size) 16 * 1024 * 1024)	/* of images and their like that wait for the batch to be full */

struct IdlaTeacher
{
	IdlaLoaded *loaded;
	const char *name;			/* as it was when it was asked for: a function of the source may drop the table, whatever locks say */
	const char *qualified;		/* with its schema, quoted */
	double		threshold;
	const LearnModel *learn;
	IdlaWork   *work;			/* the training's */
	IdlaDecoder *decoder;
	LearnDataset *dataset;
	bool		skip_bad;
	int			n_outputs;

	size_t		first;			/* row of the data set that the batch begins with */
	size_t		n;
	size_t		batch;			/* rows that are answered together */
	float	   *raw;			/* (batch, n_channels) */
	LearnBytes *fields;			/* (batch, n_fields) copies */
	bool	   *taken;			/* (batch): the row's values could be taken */
	double	   *scores;			/* (batch, n_outputs) */
	MemoryContext copies;
	Size		n_bytes;

	uint64		n_unanswered;
	char	   *first_unanswered;
};

/* ---- which model ---- */

static void
require_task(const IdlaTeacher *teacher, int task)
{
	if (task < 0 || task == (int) teacher->learn->task)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("teacher \"%s\" is a %s model, and the task is \"%s\"", teacher->name,
					learn_task_names[teacher->learn->task], learn_task_names[task]),
			 errhint("Say task => '%s', or name a teacher of the same task.", learn_task_names[teacher->learn->task])));
}

/* Its targets are the student's, by name. */
static void
require_targets(const IdlaTeacher *teacher, const IdlaTarget *target)
{
	const IdlaModel *model = teacher->loaded->model;
	bool		several = teacher->learn->task == LEARN_REGRESSION || teacher->learn->task == LEARN_MULTILABEL;
	const char *one[2] = {model->target, NULL};
	const char **names = several ? idla_output_names(model) : one;
	int			n = 0;
	int			missing = -1;

	while (names[n] != NULL)
		n++;
	for (int i = 0; i < target->n && missing < 0; i++)
		if (learn_name_find(names, target->names[i]) < 0)
			missing = i;
	if (missing < 0 && n == target->n)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 missing >= 0 ? errmsg("teacher \"%s\" does not predict \"%s\"", teacher->name, target->names[missing]) :
			 errmsg("teacher \"%s\" predicts more than is to be learned", teacher->name),
			 errdetail("It predicts %s.", idla_list(names)),
			 errhint("A teacher answers the student's own question; give the target another name in the source with AS if it is the same.")));
}

void
idla_teacher_require(const IdlaLoaded *loaded)
{
	LearnTask	task = loaded->model->learn.task;
	bool		series = loaded->model->columns.series != NULL;

	if (!series && task != LEARN_TAGGING && task != LEARN_SURVIVAL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("model \"%s\" cannot be a teacher", idla_model_name(loaded->relid)),
			 series ? errdetail("It answers for many rows together.") :
			 errdetail("Its task is \"%s\"; classes, labels and values can be taught.", learn_task_names[task])));
}

/* Whose trouble it is: the student may have no such column, or take such values. */
static void
tell_whose(void *arg)
{
	errcontext("asking teacher \"%s\"", ((const IdlaTeacher *) arg)->name);
}

static void
enter(IdlaTeacher *teacher, ErrorContextCallback *callback)
{
	callback->callback = tell_whose;
	callback->arg = teacher;
	callback->previous = error_context_stack;
	error_context_stack = callback;
}

static void
leave(const ErrorContextCallback *callback)
{
	error_context_stack = callback->previous;
}

IdlaTeacher *
idla_teacher_open(const IdlaOptions *options, const IdlaTarget *target, TupleDesc desc, IdlaWork *work)
{
	IdlaTeacher *teacher = palloc0(sizeof(IdlaTeacher));
	Oid			relid = RangeVarGetRelid(makeRangeVarFromNameList(idla_compat_name_list(options->teacher)), NoLock, false);
	ErrorContextCallback callback;

	teacher->loaded = idla_load(relid, -1, GetActiveSnapshot(), work->context);
	teacher->learn = &teacher->loaded->model->learn;
	teacher->name = pstrdup(idla_model_name(relid));
	teacher->qualified = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), teacher->name);
	teacher->threshold = idla_threshold_of(teacher->loaded);
	teacher->work = work;
	teacher->skip_bad = options->on_bad_input == 1;
	teacher->n_outputs = (int) learn_model_outputs(teacher->learn);
	idla_teacher_require(teacher->loaded);
	require_task(teacher, target->task);
	require_targets(teacher, target);
	teacher->batch = (size_t) Max(1, Min(MOST_ROWS, BATCH_FLOATS / Max(teacher->learn->n_channels, 1)));
	enter(teacher, &callback);
	teacher->decoder = idla_decoder_create(&teacher->loaded->model->columns, desc, NULL, teacher->loaded->model->work);
	leave(&callback);
	teacher->raw = palloc0(sizeof(float) * teacher->batch * (Size) Max(teacher->learn->n_channels, 1));
	teacher->fields = palloc0(sizeof(LearnBytes) * teacher->batch * (Size) Max(teacher->learn->n_fields, 1));
	teacher->taken = palloc0(sizeof(bool) * teacher->batch);
	teacher->scores = palloc0(sizeof(double) * teacher->batch * (Size) teacher->n_outputs);
	teacher->copies = AllocSetContextCreate(CurrentMemoryContext, "idla teacher", ALLOCSET_DEFAULT_SIZES);
	return teacher;
}

void
idla_teacher_start(IdlaTeacher *teacher, LearnDataset *dataset, Size memory)
{
	teacher->dataset = dataset;
	idla_check(teacher->work, learn_dataset_teach(dataset, teacher->n_outputs, memory));
}

/* ---- answering ---- */

static void
count_unanswered(IdlaTeacher *teacher, const char *why)
{
	if (teacher->n_unanswered++ == 0)
		teacher->first_unanswered = MemoryContextStrdup(teacher->work->context, why);
}

/* A batch, or one row of it after the batch could not be answered as a whole. */
static DevStatus
predict(IdlaTeacher *teacher, size_t first, size_t n)
{
	const LearnModel *learn = teacher->learn;

	return learn_predict_scores(teacher->loaded->predictor, n, teacher->raw + first * (Size) learn->n_channels,
								learn->n_fields == 0 ? NULL : teacher->fields + first * (Size) learn->n_fields,
								teacher->scores + first * (Size) teacher->n_outputs);
}

static void
predict_one_by_one(IdlaTeacher *teacher)
{
	for (size_t i = 0; i < teacher->n; i++)
	{
		DevStatus	status = predict(teacher, i, 1);

		if (status != DEV_BAD_DATA)
			idla_check(teacher->loaded->model->work, status);
		else if (teacher->taken[i])
		{
			teacher->taken[i] = false;
			count_unanswered(teacher, dev_message_text(teacher->loaded->model->work->session));
		}
	}
}

void
idla_teacher_flush(IdlaTeacher *teacher)
{
	ErrorContextCallback callback;
	float	   *lessons;
	DevStatus	status;

	if (teacher == NULL || teacher->n == 0)
		return;
	enter(teacher, &callback);
	status = predict(teacher, 0, teacher->n);
	if (status == DEV_BAD_DATA && teacher->skip_bad)
		predict_one_by_one(teacher);
	else
		idla_check(teacher->loaded->model->work, status);
	leave(&callback);
	learn_scores_to_answers(teacher->learn, teacher->n, teacher->scores);
	lessons = learn_dataset_lessons(teacher->dataset) + teacher->first * (Size) teacher->n_outputs;
	for (size_t i = 0; i < teacher->n; i++)
		for (int j = 0; j < teacher->n_outputs; j++)
			lessons[i * (Size) teacher->n_outputs + (Size) j] = teacher->taken[i] ?
				(float) teacher->scores[i * (Size) teacher->n_outputs + (Size) j] : NAN;
	teacher->first += teacher->n;
	teacher->n = 0;
	teacher->n_bytes = 0;
	MemoryContextReset(teacher->copies);
}

/* The decoder's memory lasts for a row. */
static void
keep_fields(IdlaTeacher *teacher, LearnBytes *fields)
{
	idla_fields_keep(fields, teacher->learn->n_fields, teacher->copies);
	for (int i = 0; i < teacher->learn->n_fields; i++)
		teacher->n_bytes += fields[i].size;
}

void
idla_teacher_take(IdlaTeacher *teacher, const Datum *values, const bool *isnull)
{
	const LearnModel *learn = teacher->learn;
	float	   *raw = teacher->raw + teacher->n * (Size) learn->n_channels;
	LearnBytes *fields = teacher->fields + teacher->n * (Size) learn->n_fields;
	ErrorContextCallback callback;

	enter(teacher, &callback);
	memset(fields, 0, sizeof(LearnBytes) * (Size) learn->n_fields);
	teacher->taken[teacher->n] = idla_decode(teacher->decoder, values, isnull, raw, fields, teacher->skip_bad);
	leave(&callback);
	if (teacher->taken[teacher->n])
		keep_fields(teacher, fields);
	else
	{
		/* The place is answered for with the others, as if nothing were known of the row. */
		count_unanswered(teacher, idla_decode_trouble(teacher->decoder));
		memset(fields, 0, sizeof(LearnBytes) * (Size) learn->n_fields);
		for (int i = 0; i < learn->n_channels; i++)
			raw[i] = NAN;
	}
	if (++teacher->n == teacher->batch || teacher->n_bytes > BATCH_BYTES)
		idla_teacher_flush(teacher);
}

/* ---- in the student's order ---- */

/* from[i]: which of the teacher's outputs is the student's output i. */
static void
match_classes(const IdlaTeacher *teacher, const LearnModel *student, int *from)
{
	const char **names = idla_output_names(teacher->loaded->model);
	const char **wanted = palloc0(sizeof(char *) * ((Size) student->n_classes + 1));
	bool		same = student->n_classes == teacher->learn->n_classes;

	for (int i = 0; i < student->n_classes; i++)
	{
		wanted[i] = student->classes[i];
		from[i] = learn_name_find(names, wanted[i]);
		same = same && from[i] >= 0;
	}
	if (same)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("teacher \"%s\" knows other classes than the target has", teacher->name),
			 errdetail("It knows %s; the target has %s.", idla_list(names), idla_list(wanted)),
			 errhint("Leave rows of other classes out in the source, and have one of each class in it.")));
}

static void
reorder(const IdlaTeacher *teacher, const int *from)
{
	float	   *lessons = learn_dataset_lessons(teacher->dataset);
	size_t		n = learn_dataset_rows(teacher->dataset);
	size_t		width = (size_t) teacher->n_outputs;
	float	   *row = palloc(sizeof(float) * width);

	for (size_t i = 0; i < n; i++, lessons += width)
	{
		memcpy(row, lessons, width * sizeof(float));
		for (size_t j = 0; j < width; j++)
			lessons[j] = row[from[j]];
	}
	pfree(row);
}

/* The other class's probability, where the student's positive class is not the teacher's. */
static void
turn(const IdlaTeacher *teacher)
{
	float	   *lessons = learn_dataset_lessons(teacher->dataset);
	size_t		n = learn_dataset_rows(teacher->dataset);

	for (size_t i = 0; i < n; i++)
		lessons[i] = 1 - lessons[i];
}

void
idla_teacher_close(IdlaTeacher *teacher, const IdlaTarget *target, const LearnModel *student)
{
	int		   *from;

	if (teacher == NULL)
		return;
	require_task(teacher, (int) student->task);
	from = palloc0(sizeof(int) * (Size) Max(teacher->n_outputs, Max(student->n_classes, 1)));
	if (student->n_classes > 0)
		match_classes(teacher, student, from);
	if (student->task == LEARN_BINARY && from[student->positive] != teacher->learn->positive)
		turn(teacher);
	else if (student->task == LEARN_MULTICLASS)
		reorder(teacher, from);
	else if (student->task != LEARN_BINARY)
	{
		const char **names = idla_output_names(teacher->loaded->model);

		for (int i = 0; i < target->n; i++)
			from[i] = learn_name_find(names, target->names[i]);
		reorder(teacher, from);
	}
	if (teacher->n_unanswered > 0)
		ereport(NOTICE,
				(errmsg_plural("teacher \"%s\" has no answer for %llu row, which teaches its target alone",
							   "teacher \"%s\" has no answer for %llu rows, which teach their targets alone",
							   (unsigned long) teacher->n_unanswered, teacher->name, (unsigned long long) teacher->n_unanswered),
				 errdetail("The first one: %s.", teacher->first_unanswered)));
}

const char *
idla_teacher_name(const IdlaTeacher *teacher)
{
	return teacher->name;
}

const char *
idla_teacher_qualified(const IdlaTeacher *teacher)
{
	return teacher->qualified;
}

const IdlaLoaded *
idla_teacher_loaded(const IdlaTeacher *teacher)
{
	return teacher->loaded;
}

double
idla_teacher_threshold(const IdlaTeacher *teacher, const LearnModel *student)
{
	bool		same = student->task != LEARN_BINARY ||
		strcmp(student->classes[student->positive], teacher->learn->classes[teacher->learn->positive]) == 0;

	return same ? teacher->threshold : 1 - teacher->threshold;
}

uint64
idla_teacher_unanswered(const IdlaTeacher *teacher)
{
	return teacher->n_unanswered;
}

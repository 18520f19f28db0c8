/*
 * train_lessons.c: targets that are in part a teacher's answers.
 *
 * With weight w a row teaches (1 - w) of its own target and w of what another model says of it (Hinton, Vinyals and Dean 2015, at
 * temperature 1): the cross entropies and the squared error are linear in their target, or differ from that by a constant, so this is the same as adding
 * both losses. What networks are judged, stopped and calibrated by are the rows' own targets alone.
 */
#include "trainer.h"

#include "dataset.h"
#include "rank.h"

DevStatus
learn_lessons_check(DevSession *session, LearnDataset *dataset, const LearnModel *model, const LearnTraining *training)
{
	size_t		n_outputs = learn_model_outputs(model);
	bool		chances = model->task != LEARN_REGRESSION;

	if (!(training->lessons >= 0 && training->lessons <= 1))
		return dev_fail(session, DEV_INVALID, "weight of the teacher's answers \"%g\" is not between 0 and 1", training->lessons);
	if (model->task == LEARN_SURVIVAL || model->task == LEARN_TAGGING)
		return dev_fail(session, DEV_INVALID, "task \"%s\" cannot be learned from a teacher", learn_task_names[model->task]);
	if (training->balanced || training->class_weights != NULL)
		return dev_fail(session, DEV_INVALID, "class weights cannot be combined with a teacher, whose answers are no classes");
	if (training->augmented > 0 && learn_augment_value(&training->augment, LEARN_AUGMENT_TABLE, "mixup") > 0)
		return dev_fail(session, DEV_INVALID, "rows of a table cannot be mixed where a teacher has answered for each");
	if ((size_t) dataset->n_lessons != n_outputs || dataset->lessons == NULL)
		return dev_fail(session, DEV_INVALID, "a teacher has %d answers where %zu are learned", dataset->n_lessons, n_outputs);
	for (size_t i = 0; i < dataset->n_rows * n_outputs; i++)
	{
		float		lesson = dataset->lessons[i];

		if (i % LEARN_POLL_ROWS == 0 && dev_poll(session) != DEV_OK)
			return DEV_CANCELLED;
		if (isinf(lesson) || (chances && (lesson < 0 || lesson > 1)))
			return dev_fail(session, DEV_INVALID, "teacher's answer \"%g\" for row %zu is %s", (double) lesson, i / n_outputs + 1,
							chances ? "no probability" : "not finite");
	}
	return DEV_OK;
}

void
learn_machine_teach(LearnMachine *machine, const float *lessons, double weight)
{
	machine->lessons = lessons;
	machine->lesson_weight = (float) weight;
}

static const float *
find_lesson(const LearnMachine *machine, size_t place)
{
	return machine->lessons + learn_sampler_row(machine->sampler, place) * machine->n_outputs;
}

void
learn_machine_lesson(const LearnMachine *machine, size_t place, float *lesson)
{
	memcpy(lesson, find_lesson(machine, place), machine->n_outputs * sizeof(float));
}

void
learn_machine_blend(const LearnMachine *machine, size_t first, size_t rows, float *targets)
{
	size_t		n_outputs = machine->n_outputs;
	float		weight = machine->lesson_weight;

	for (size_t row = 0; row < rows; row++)
	{
		const float *lesson = find_lesson(machine, first + row);
		float	   *target = targets + row * n_outputs;

		/* A teacher answers for a row as a whole or not at all. */
		for (size_t i = 0; i < n_outputs && !isnan(lesson[0]); i++)
			target[i] = (1 - weight) * target[i] + weight * lesson[i];
	}
}

/*
 * train_tags.c: how well a tagger does on rows held out.
 *
 * What users want are entities, borders and label right; the CRF's likelihood goes on falling long after those have become
 * worse. So the best epoch is that of the best F1 of entities, counted over all classes, and its "loss" is what is missing to 1; of
 * equal ones, such as the first that find nothing, the one that gets more tokens right.
 */
#include "trainer.h"

#include <math.h>
#include <string.h>

#define TOKENS_SHARE 1e-3		/* that tokens have in the loss, beside entities */

DevStatus
learn_tagger_create(LearnMachine *machine, LearnWorker *worker)
{
	const LearnField *field = &machine->network.fields[0];
	DevStatus	status = learn_chain_create(machine->session, machine->n_outputs, field->dims[0], &worker->chain);

	if (status != DEV_OK)
		return status;
	worker->tags = dev_alloc(machine->session, field->dims[0], sizeof(int32_t));
	return worker->tags == NULL ? DEV_NO_MEMORY : DEV_OK;
}

void
learn_tagger_free(LearnMachine *machine, LearnWorker *worker)
{
	learn_chain_free(machine->session, &worker->chain);
	dev_release(machine->session, worker->tags);
	learn_tag_scores_free(worker->scores);
}

DevStatus
learn_tagger_begin(LearnMachine *machine, const float *weights)
{
	DevQueue   *queue = machine->workers[0].queue;
	const float *host = machine->host_weights;
	DevStatus	status;

	queue->primitives->download(queue, machine->host_weights, weights, machine->n_weights * sizeof(float));
	status = queue->primitives->synchronize(queue);
	for (int i = 0; i < machine->n_workers && status == DEV_OK; i++)
	{
		LearnWorker *worker = &machine->workers[i];

		learn_chain_set(&worker->chain, &machine->built, 1, &host);
		learn_tag_scores_free(worker->scores);
		worker->scores = learn_tag_scores_create(machine->session, LEARN_IOBES, learn_labels_size(machine->network.fields[0].labels));
		if (worker->scores == NULL)
			status = dev_status(machine->session);
	}
	return status;
}

void
learn_tagger_take(LearnMachine *machine, LearnWorker *worker, size_t rows)
{
	const float *emissions = nn_run_value(worker->run, machine->built.output);
	size_t		length = worker->fields.fields[0].dims[0];
	const int32_t *actual = worker->fields.planes[0][4];

	for (size_t row = 0; row < rows; row++)
	{
		size_t		n = (size_t) worker->fields.lengths[0][row];

		learn_chain_decode(&worker->chain, n, emissions + row * length * machine->n_outputs, worker->tags, NULL);
		learn_tag_scores_add(worker->scores, n, actual + row * length, worker->tags);
	}
}

void
learn_tagger_end(LearnMachine *machine, double *loss)
{
	LearnTagScores *scores = machine->workers[0].scores;
	LearnClassScore averages[3];
	double		right;

	for (int i = 1; i < machine->n_workers; i++)
		learn_tag_scores_merge(scores, machine->workers[i].scores);
	learn_tag_scores_report(scores, LEARN_LEVEL_ENTITIES, machine->label_scores, averages);
	*loss = 1 - averages[0].f1;
	right = learn_tag_scores_report(scores, LEARN_LEVEL_TOKENS, machine->label_scores, averages);
	if (isfinite(right))
		*loss += TOKENS_SHARE * (1 - right);
}

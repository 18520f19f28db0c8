/*
 * predict_embed.c: what networks know of a row before their last layers decide.
 *
 * A part for each network, in their order: what its heads multiply. Where nothing is learned below the heads, as in linear models of several
 * folds, networks of one description see the same, and the first stands for all. The members of an ensemble that share their layers work in one
 * space, so their mean is taken; so it is over the views and the windows of a row, whose answers are averaged too. Sums are taken
 * over a window's views first and then over windows, so that a row's bits do not depend on how many windows a pass takes.
 */
#include "predict.h"

#include "architecture.h"

#include <string.h>

#define HEAD_PARAMETERS 2		/* weights and bias */

bool
learn_embedding_repeats(const LearnModel *model, int number, const NnGraph *graph)
{
	if (nn_graph_parameters(graph) > HEAD_PARAMETERS)
		return false;
	for (int i = 0; i < number; i++)
		if (learn_same_network(&model->nets[i].network, &model->nets[number].network))
			return true;
	return false;
}

void
learn_embeddings_place(LearnPredictor *predictor, LearnVoice *voice)
{
	const LearnEngine *engine = voice->engine;

	voice->first = predictor->n_embedding;
	if (engine->built.embedded == NN_NONE || learn_embedding_repeats(predictor->model, (int) (voice - predictor->voices), engine->built.graph))
		return;
	voice->width = nn_shape_size(nn_graph_shape(engine->built.graph, engine->built.embedded)) / learn_network_members(engine->network);
	predictor->n_embedding += voice->width;
}

size_t
learn_predictor_embedding(const LearnPredictor *predictor)
{
	return predictor->n_embedding;
}

void
learn_embeddings_add(const LearnPredictor *predictor, const LearnVoice *voice, NnRun *run, size_t n, int n_views, float *embeddings)
{
	const size_t members = learn_network_members(voice->engine->network);
	const float count = (float) members * (float) n_views;
	const float *values = voice->width == 0 ? NULL : nn_run_value(run, voice->engine->built.embedded);

	for (size_t row = 0; values != NULL && row < n; row++)
	{
		float	   *part = embeddings + row * predictor->n_embedding + voice->first;

		for (size_t member = 0; member < members; member++)
			for (size_t j = 0; j < voice->width; j++)
				part[j] += *values++ / count;
	}
}

float *
learn_embeddings_of_windows(LearnPredictor *predictor, size_t n)
{
	if (predictor->window_embeddings == NULL)
		predictor->window_embeddings = dev_alloc(predictor->session, predictor->max_batch, predictor->n_embedding * sizeof(float));
	if (predictor->window_embeddings != NULL)
		memset(predictor->window_embeddings, 0, n * predictor->n_embedding * sizeof(float));
	return predictor->window_embeddings;
}

void
learn_embeddings_join(const LearnPredictor *predictor, size_t first, size_t n, float *embeddings)
{
	for (size_t i = 0; i < n; i++)
	{
		const LearnSlot *slot = &predictor->slots[i];
		const float *window = predictor->window_embeddings + i * predictor->n_embedding;
		float	   *row = embeddings + (slot->row - first) * predictor->n_embedding;

		for (size_t j = 0; j < predictor->n_embedding; j++)
			row[j] += window[j] / (float) slot->n_windows;
	}
}

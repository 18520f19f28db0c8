/*
 * predict_embed.c: what networks know of a row before their last layers decide.
 *
 * A part for each network, in their order: what its heads multiply. Where nothing is learned below the heads, as in linear models of several
 * folds, networks of one description see the same, and the first stands for all. The members of an ensemble that share their layers work in one
 * space, so their mean is taken; so it is over the views and the windows of a row, whose answers are averaged too. Sums are taken
 * in the order of views and windows, and a row's bits do not depend on the rows beside it.
 */
#include "predict.h"

#include "architecture.h"

#define HEAD_PARAMETERS 2		/* weights and bias */

/* Is what this voice's heads multiply in the embedding already? */
static bool
stands_there(const LearnPredictor *predictor, const LearnVoice *voice)
{
	if (nn_graph_parameters(voice->engine->built.graph) > HEAD_PARAMETERS)
		return false;
	for (const LearnVoice *other = predictor->voices; other < voice; other++)
		if (other->engine == voice->engine)
			return true;
	return false;
}

void
learn_embeddings_place(LearnPredictor *predictor, LearnVoice *voice)
{
	const LearnEngine *engine = voice->engine;

	voice->first = predictor->n_embedding;
	if (engine->built.embedded == NN_NONE || stands_there(predictor, voice))
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
learn_embeddings_add(const LearnPredictor *predictor, const LearnVoice *voice, NnRun *run, size_t first, size_t n, int n_views,
					 float *embeddings)
{
	const size_t members = learn_network_members(voice->engine->network);
	const float *values = voice->width == 0 ? NULL : nn_run_value(run, voice->engine->built.embedded);

	for (size_t i = 0; values != NULL && i < n; i++)
	{
		const LearnSlot *slot = predictor->slots == NULL ? NULL : &predictor->slots[i];
		size_t		row = slot == NULL ? i : slot->row - first;
		float	   *part = embeddings + row * predictor->n_embedding + voice->first;
		float		count = (float) members * (float) n_views * (slot == NULL ? 1.0f : (float) slot->n_windows);

		for (size_t member = 0; member < members; member++)
			for (size_t j = 0; j < voice->width; j++)
				part[j] += *values++ / count;
	}
}

/*
 * smoothing.c: certified radii by randomised smoothing (Cohen, Rosenfeld and Kolter, "Certified adversarial
 * robustness via randomized smoothing", 2019).
 *
 * The smoothed model answers what the base model most often says about noisy copies of a row. If that class has a
 * probability of at least p > 1/2 under noise of deviation sigma, no change shorter than sigma * Phi^-1(p) makes
 * another class the most frequent one.
 */
#include "augment.h"

#include "idla/learn_robust.h"

#include <math.h>
#include <string.h>

DevStatus
learn_smoothing_check(DevSession *session, const LearnSmoothing *how)
{
	if (!(how->sigma > 0 && isfinite(how->sigma)))
		return dev_fail(session, DEV_INVALID, "smoothing sigma \"%g\" is not above 0 and finite", how->sigma);
	if (how->n_choose < 1 || how->n_choose > 10000000 || how->n_certify < 1 || how->n_certify > 10000000)
		return dev_fail(session, DEV_INVALID, "noisy copies \"%d\" and \"%d\" are not between 1 and 10000000",
						how->n_choose, how->n_certify);
	if (!(how->alpha > 0 && how->alpha < 1))
		return dev_fail(session, DEV_INVALID, "smoothing alpha \"%g\" is not between 0 and 1", how->alpha);
	return DEV_OK;
}

/* ---- Counting ---- */

/* The first of the largest counts. */
static size_t
most_frequent(size_t n, const uint64_t *counts)
{
	size_t		most = 0;

	for (size_t i = 1; i < n; i++)
		if (counts[i] > counts[most])
			most = i;
	return most;
}

DevStatus
learn_certify(const LearnSmoothing *how, const LearnVoter *voter, uint64_t *counts, LearnCertificate *certificate)
{
	uint64_t	n = (uint64_t) how->n_certify;
	size_t		chosen;
	DevStatus	status;

	*certificate = (LearnCertificate) {.class = -1};
	memset(counts, 0, voter->n_classes * sizeof(*counts));
	status = voter->vote(voter->context, how->sigma, 0, (size_t) how->n_choose, counts);
	if (status != DEV_OK)
		return status;
	chosen = most_frequent(voter->n_classes, counts);
	/* Other copies: those that chose the class would favour it. */
	memset(counts, 0, voter->n_classes * sizeof(*counts));
	status = voter->vote(voter->context, how->sigma, (uint64_t) how->n_choose, (size_t) n, counts);
	if (status != DEV_OK)
		return status;
	certificate->probability = learn_binomial_lower(counts[chosen], n, how->alpha);
	if (certificate->probability > 0.5)
	{
		certificate->class = (int) chosen;
		certificate->radius = how->sigma * learn_normal_quantile(certificate->probability);
	}
	return DEV_OK;
}

/* ---- Noise on floats ---- */

static void
add_vote(const LearnClassifier *classifier, const float *scores, uint64_t *counts)
{
	size_t		best = 0;

	if (classifier->n_outputs == 1)
	{
		counts[scores[0] > 0 ? 1 : 0]++;
		return;
	}
	for (size_t i = 1; i < classifier->n_outputs; i++)
		if (scores[i] > scores[best])
			best = i;
	counts[best]++;
}

static DevStatus
vote(void *context, double sigma, uint64_t first, size_t n, uint64_t *counts)
{
	LearnNoiseVoter *voter = context;
	const LearnClassifier *classifier = voter->classifier;
	size_t		n_inputs = classifier->n_inputs;

	for (size_t done = 0; done < n; done += voter->max_rows)
	{
		size_t		count = n - done < voter->max_rows ? n - done : voter->max_rows;
		DevStatus	status;

		for (size_t i = 0; i < count; i++)
		{
			LearnDraw	draw = {voter->seed, DEV_STREAM_SMOOTHING, voter->number << 32 | (first + done + i)};
			float	   *inputs = voter->inputs + i * n_inputs;

			learn_draw_normal(&draw, 0, n_inputs, (float) sigma, inputs);
			for (size_t j = 0; j < n_inputs; j++)
				inputs[j] += voter->row[j];
		}
		status = classifier->score(classifier->context, count, voter->inputs, voter->scores);
		if (status != DEV_OK)
			return status;
		for (size_t i = 0; i < count; i++)
			add_vote(classifier, voter->scores + i * classifier->n_outputs, counts);
	}
	return DEV_OK;
}

LearnVoter
learn_noise_voter(LearnNoiseVoter *voter)
{
	size_t		n_outputs = voter->classifier->n_outputs;

	return (LearnVoter) {.context = voter, .n_classes = n_outputs == 1 ? 2 : n_outputs, .vote = vote};
}

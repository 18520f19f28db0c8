/*
 * crf_decode.c: the likeliest tags of a linear chain (Viterbi 1967) and how sure each of them is.
 *
 * The second recursion is Viterbi's with sums in place of maxima; the posterior of a tag comes from walking it back, as in
 * the way back of crf.c. Both work in float64 on logarithms, of which that of the best or of all is taken
 * off at every position, so that nothing grows with the length.
 */
#include "idla/nn.h"

#include <math.h>
#include <string.h>

typedef struct Chain
{
	size_t		length;
	size_t		tags;
	const float *emissions;
	const float *transitions;
	const float *start;
	const float *end;
	double	   *alpha;			/* (length, tags): log of the weight of all paths to here, over that of those to all tags */
	double	   *best;			/* (2, tags): of the position before and of this one; later posteriors */
	int32_t    *from;			/* (length, tags): the tag before, on the best path to here */
} Chain;

size_t
nn_crf_decode_size(size_t length, size_t n_tags)
{
	/* one more, since floats need not lie where a double may */
	return 1 + 2 * (length * n_tags + 2 * n_tags) + length * n_tags;
}

static Chain
make_chain(size_t length, size_t n_tags, float *work)
{
	Chain		chain = {.length = length, .tags = n_tags};

	if ((uintptr_t) work % sizeof(double) != 0)
		work++;
	chain.alpha = (double *) (void *) work;
	chain.best = chain.alpha + length * n_tags;
	chain.from = (int32_t *) (void *) (chain.best + 2 * n_tags);
	return chain;
}

/* Subtracts the largest value. */
static void
subtract_most(size_t n, double *values)
{
	double		most = values[0];

	for (size_t i = 1; i < n; i++)
		most = values[i] > most ? values[i] : most;
	for (size_t i = 0; i < n; i++)
		values[i] -= most;
}

static double
log_sum(size_t n, const double *values, const float *column, size_t step)
{
	double		most = -INFINITY;
	double		sum = 0;

	for (size_t i = 0; i < n; i++)
		most = values[i] + column[i * step] > most ? values[i] + column[i * step] : most;
	for (size_t i = 0; i < n; i++)
		sum += exp(values[i] + column[i * step] - most);
	return most + log(sum);
}

/* Both recursions one position on. */
static void
step_forward(const Chain *chain, size_t t)
{
	size_t		tags = chain->tags;
	const double *alpha_before = chain->alpha + (t - 1) * tags;
	const double *best_before = chain->best + (t - 1) % 2 * tags;
	double	   *best = chain->best + t % 2 * tags;

	for (size_t j = 0; j < tags; j++)
	{
		size_t		from = 0;

		for (size_t i = 1; i < tags; i++)
			if (best_before[i] + chain->transitions[i * tags + j] > best_before[from] + chain->transitions[from * tags + j])
				from = i;
		chain->from[t * tags + j] = (int32_t) from;
		best[j] = best_before[from] + chain->transitions[from * tags + j] + chain->emissions[t * tags + j];
		chain->alpha[t * tags + j] = log_sum(tags, alpha_before, chain->transitions + j, tags) +
			chain->emissions[t * tags + j];
	}
	subtract_most(tags, best);
	subtract_most(tags, chain->alpha + t * tags);
}

/* posterior of position t becomes that of the position before it */
static void
step_back(const Chain *chain, size_t t, const double *posterior, double *before)
{
	size_t		tags = chain->tags;
	const double *alpha = chain->alpha + (t - 1) * tags;

	memset(before, 0, tags * sizeof(double));
	for (size_t j = 0; j < tags; j++)
	{
		double		sum = log_sum(tags, alpha, chain->transitions + j, tags);

		for (size_t i = 0; i < tags; i++)
			before[i] += posterior[j] * exp(alpha[i] + chain->transitions[i * tags + j] - sum);
	}
}

static void
find_best(const Chain *chain, int32_t *tags)
{
	const double *best = chain->best + (chain->length - 1) % 2 * chain->tags;
	size_t		last = 0;

	for (size_t i = 1; i < chain->tags; i++)
		if (best[i] + chain->end[i] > best[last] + chain->end[last])
			last = i;
	tags[chain->length - 1] = (int32_t) last;
	for (size_t t = chain->length - 1; t > 0; t--)
		tags[t - 1] = chain->from[t * chain->tags + (size_t) tags[t]];
}

static void
find_marginals(const Chain *chain, const int32_t *tags, float *marginals)
{
	double	   *posterior = chain->best;
	double	   *before = chain->best + chain->tags;
	const double *last = chain->alpha + (chain->length - 1) * chain->tags;
	double		sum = log_sum(chain->tags, last, chain->end, 1);

	for (size_t i = 0; i < chain->tags; i++)
		posterior[i] = exp(last[i] + chain->end[i] - sum);
	for (size_t t = chain->length; t-- > 0;)
	{
		double	   *kept = posterior;

		marginals[t] = (float) fmin(posterior[tags[t]], 1);
		if (t == 0)
			break;
		step_back(chain, t, posterior, before);
		posterior = before;
		before = kept;
	}
}

void
nn_crf_decode(size_t length, size_t n_tags, const float *emissions, const float *transitions, const float *start,
			  const float *end, float *work, int32_t *tags, float *marginals)
{
	Chain		chain = make_chain(length, n_tags, work);

	if (length == 0)
		return;
	chain.emissions = emissions;
	chain.transitions = transitions;
	chain.start = start;
	chain.end = end;
	for (size_t j = 0; j < n_tags; j++)
		chain.alpha[j] = chain.best[j] = (double) start[j] + emissions[j];
	subtract_most(n_tags, chain.best);
	subtract_most(n_tags, chain.alpha);
	for (size_t t = 1; t < length; t++)
		step_forward(&chain, t);
	find_best(&chain, tags);
	if (marginals != NULL)
		find_marginals(&chain, tags, marginals);
}

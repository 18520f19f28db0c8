/*
 * cpu_crf.c: the linear-chain conditional random field (Lafferty, McCallum and Pereira 2001) on the CPU.
 *
 * The likelihood is the weight of all paths through the targets over that of all paths; a position without a
 * target lets all tags pass, in both. Each is a forward recursion over logarithms in float64 (alpha), whose exponentials,
 * of differences to the largest and so at most 1, are taken in float32, tags * tags at a time. The derivative of such a
 * sum is the posterior of what it sums over, which the recursion gives walking back: a tag passes its
 * posterior on to its predecessors in the shares that they had in its alpha.
 */
#include "cpu_special.h"

#include <math.h>
#include <string.h>

typedef struct Chain
{
	const DevCrf *how;
	const Kernels *kernels;
	const int32_t *targets;		/* of the sequence; NULL: all paths */
	const float *emissions;
	size_t		n;				/* positions that count */
	double	   *alpha;			/* (length, tags): log of the weight of all paths to here */
	double	   *sums;			/* (tags, tags): posteriors of pairs, from column to row */
	double	   *posterior;		/* (tags) */
	double	   *passed;			/* (tags) */
	float	   *into;			/* (tags, tags): transitions, from column to row */
	float	   *shares;			/* (tags, tags) */
} Chain;

/* Tags that may stand at a position. */
typedef struct Range
{
	size_t		first;
	size_t		end;
} Range;

static Range
open_tags(const Chain *chain, size_t t)
{
	Range		range = {0, chain->how->tags};

	if (chain->targets != NULL && chain->targets[t] >= 0 && (size_t) chain->targets[t] < chain->how->tags)
	{
		range.first = (size_t) chain->targets[t];
		range.end = range.first + 1;
	}
	return range;
}

static Chain
make_chain(DevQueue *queue, const DevCrf *how, float *scratch)
{
	Chain		chain = {.how = how, .kernels = dev_cpu_kernels(queue)};
	size_t		tags = how->tags;

	chain.alpha = (double *) (void *) scratch;
	chain.sums = chain.alpha + how->length * tags;
	chain.posterior = chain.sums + tags * tags;
	chain.passed = chain.posterior + tags;
	chain.into = (float *) (chain.passed + tags);
	chain.shares = chain.into + tags * tags;
	for (size_t to = 0; to < tags; to++)
		for (size_t from = 0; from < tags; from++)
			chain.into[to * tags + from] = how->transitions[from * tags + to];
	return chain;
}

/* shares[to][from] = the part of all paths into `to` that comes from `from`; returns the log of all in log_sum (tags) */
static void
share_paths(const Chain *chain, size_t t, Range from, Range to, double *log_sum)
{
	size_t		tags = chain->how->tags;
	const double *before = chain->alpha + (t - 1) * tags;
	size_t		width = from.end - from.first;
	float	   *row = chain->shares;

	for (size_t j = to.first; j < to.end; j++, row += width)
	{
		const float *into = chain->into + j * tags;
		double		most = -INFINITY;

		for (size_t i = from.first; i < from.end; i++)
			most = before[i] + into[i] > most ? before[i] + into[i] : most;
		log_sum[j] = most;
		for (size_t i = from.first; i < from.end; i++)
			row[i - from.first] = (float) (before[i] + into[i] - most);
	}
	chain->kernels->map(DEV_MAP_EXP, width * (to.end - to.first), chain->shares, 0.0f, chain->shares);
	row = chain->shares;
	for (size_t j = to.first; j < to.end; j++, row += width)
	{
		double		sum = 0;

		for (size_t i = 0; i < width; i++)
			sum += row[i];
		for (size_t i = 0; i < width; i++)
			row[i] = (float) (row[i] / sum);
		log_sum[j] += log(sum);
	}
}

/* Logarithm of the weight of all paths that the targets leave open; posterior becomes that of the last tag. */
static double
sum_paths(DevQueue *queue, Chain *chain)
{
	size_t		tags = chain->how->tags;
	Range		before = open_tags(chain, 0);
	double	   *last = chain->alpha + (chain->n - 1) * tags;
	double		most = -INFINITY;
	double		sum = 0;

	for (size_t j = before.first; j < before.end; j++)
		chain->alpha[j] = (double) chain->how->start[j] + chain->emissions[j];
	for (size_t t = 1; t < chain->n && !dev_queue_stopped(queue); t++)
	{
		Range		range = open_tags(chain, t);
		double	   *alpha = chain->alpha + t * tags;

		share_paths(chain, t, before, range, alpha);
		for (size_t j = range.first; j < range.end; j++)
			alpha[j] += chain->emissions[t * tags + j];
		before = range;
	}
	memset(chain->posterior, 0, tags * sizeof(double));
	for (size_t j = before.first; j < before.end; j++)
		most = last[j] + chain->how->end[j] > most ? last[j] + chain->how->end[j] : most;
	for (size_t j = before.first; j < before.end; j++)
	{
		chain->posterior[j] = exp(last[j] + chain->how->end[j] - most);
		sum += chain->posterior[j];
	}
	for (size_t j = before.first; j < before.end; j++)
		chain->posterior[j] /= sum;
	return most + log(sum);
}

void
dev_cpu_crf(DevQueue *queue, const DevCrf *how, const float *emissions, float *scratch, float *loss)
{
	Chain		chain = make_chain(queue, how, scratch);

	for (size_t b = 0; b < how->batch && !dev_queue_stopped(queue); b++)
	{
		double		all;

		loss[b] = 0;
		chain.n = sequence_length(how->lengths, b, how->length);
		chain.emissions = emissions + b * how->length * how->tags;
		if (chain.n == 0)
			continue;
		chain.targets = NULL;
		all = sum_paths(queue, &chain);
		chain.targets = how->targets + b * how->length;
		loss[b] = (float) ((all - sum_paths(queue, &chain)) / (double) chain.n);
	}
}

/* Where the gradients go; any may be NULL. */
typedef struct Gradients
{
	float	   *emissions;		/* of the sequence */
	float	   *transitions;
	float	   *start;
	float	   *end;
} Gradients;

static void
add_posterior(const Chain *chain, double factor, float *dst)
{
	for (size_t j = 0; dst != NULL && j < chain->how->tags; j++)
		dst[j] += (float) (factor * chain->posterior[j]);
}

/* posterior of position t becomes that of t - 1, and what passes between them is added to sums. */
static void
pass_back(Chain *chain, size_t t)
{
	size_t		tags = chain->how->tags;
	Range		from = open_tags(chain, t - 1);
	Range		to = open_tags(chain, t);
	const float *row = chain->shares;

	/* the alphas of t are no longer needed but for their sums, which come out the same */
	share_paths(chain, t, from, to, chain->alpha + t * tags);
	memset(chain->passed, 0, tags * sizeof(double));
	for (size_t j = to.first; j < to.end; j++, row += from.end - from.first)
		for (size_t i = from.first; i < from.end; i++)
		{
			double		pair = chain->posterior[j] * row[i - from.first];

			chain->sums[j * tags + i] += pair;
			chain->passed[i] += pair;
		}
	memcpy(chain->posterior, chain->passed, tags * sizeof(double));
}

/* Adds factor times the derivative of sum_paths. */
static void
add_derivative(DevQueue *queue, Chain *chain, double factor, const Gradients *to)
{
	size_t		tags = chain->how->tags;

	sum_paths(queue, chain);
	memset(chain->sums, 0, tags * tags * sizeof(double));
	add_posterior(chain, factor, to->end);
	for (size_t t = chain->n; t-- > 0 && !dev_queue_stopped(queue);)
	{
		add_posterior(chain, factor, to->emissions == NULL ? NULL : to->emissions + t * tags);
		if (t > 0)
			pass_back(chain, t);
	}
	add_posterior(chain, factor, to->start);
	for (size_t i = 0; to->transitions != NULL && i < tags; i++)
		for (size_t j = 0; j < tags; j++)
			to->transitions[i * tags + j] += (float) (factor * chain->sums[j * tags + i]);
}

void
dev_cpu_crf_grad(DevQueue *queue, const DevCrf *how, const float *emissions, float *scratch, const float *diff_loss,
				 float *diff_emissions, bool accumulate, float *diff_transitions, float *diff_start, float *diff_end)
{
	Chain		chain = make_chain(queue, how, scratch);
	size_t		size = how->length * how->tags;
	Gradients	to = {.transitions = diff_transitions, .start = diff_start, .end = diff_end};

	for (size_t b = 0; b < how->batch && !dev_queue_stopped(queue); b++)
	{
		double		factor;

		chain.n = sequence_length(how->lengths, b, how->length);
		chain.emissions = emissions + b * size;
		if (diff_emissions != NULL)
		{
			to.emissions = diff_emissions + b * size;
			if (!accumulate)
				memset(to.emissions, 0, size * sizeof(float));
		}
		if (chain.n == 0)
			continue;
		factor = (double) diff_loss[b] / (double) chain.n;
		chain.targets = NULL;
		add_derivative(queue, &chain, factor, &to);
		chain.targets = how->targets + b * how->length;
		add_derivative(queue, &chain, -factor, &to);
	}
}

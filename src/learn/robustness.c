/*
 * robustness.c: what attacks say about a model, and what a comparison of attacks says about them.
 */
#include "idla/learn_robust.h"

#include <math.h>
#include <string.h>

#define MOST_POINTS 200
#define STEPS_FACTOR 4
#define FAR_FACTOR 4
#define MANY_MORE 0.05			/* of the rows */

/* ---- The attack and its variants ---- */

static LearnAttack
make_probe(const LearnAttack *how, LearnProbe probe)
{
	LearnAttack attack = *how;

	switch (probe)
	{
		case LEARN_PROBE_CLEAN:
			attack = learn_attack_fgsm(how->norm, 0);
			attack.keep_best = true;
			break;
		case LEARN_PROBE_NOISE:
			attack.restarts = how->steps * how->restarts < MOST_POINTS ? how->steps * how->restarts : MOST_POINTS;
			attack.restarts = attack.restarts > 0 ? attack.restarts : 1;
			attack.steps = 0;
			break;
		case LEARN_PROBE_ONE_STEP:
			attack = learn_attack_fgsm(how->norm, how->epsilon);
			break;
		case LEARN_PROBE_MORE:
			attack.steps *= STEPS_FACTOR;
			/* Shorter steps, in the way that the default has it. */
			attack.rate /= how->rate > 0 ? 2 : 1;
			break;
		case LEARN_PROBE_FAR:
			attack.epsilon *= FAR_FACTOR;
			break;
		case LEARN_PROBE_ATTACK:
		case LEARN_N_PROBES:
			break;
	}
	return attack;
}

/* ---- Accuracy under attack ---- */

static void
fill(size_t n, double value, float *dst)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = (float) value;
}

DevStatus
learn_robust_counts(const LearnAttacker *attacker, const LearnAttack *how, size_t n, size_t n_epsilons,
					const double *epsilons, uint64_t *right, double *distances, float *scratch, uint8_t *fooled, uint8_t *once)
{
	memset(once, 0, n);
	for (size_t row = 0; row < n && distances != NULL; row++)
		distances[row] = INFINITY;
	for (size_t k = 0; k < n_epsilons; k++)
	{
		/* Within nothing there is nothing to search. */
		LearnAttack attack = epsilons[k] > 0 ? *how : make_probe(how, LEARN_PROBE_CLEAN);
		DevStatus	status;

		attack.epsilon = epsilons[k];
		fill(n, epsilons[k], scratch);
		status = attacker->attack(attacker->context, &attack, n, scratch, fooled);
		if (status != DEV_OK)
			return status;
		for (size_t row = 0; row < n; row++)
		{
			if (fooled[row] && !once[row] && distances != NULL)
				distances[row] = epsilons[k];
			once[row] |= fooled[row] != 0;
			right[k] += once[row] == 0;
		}
	}
	return DEV_OK;
}

/* ---- The smallest change ---- */

DevStatus
learn_minimal_perturbations(const LearnAttacker *attacker, const LearnAttack *how, size_t n, double largest, int halvings,
							double *distances, float *scratch, uint8_t *fooled)
{
	float	   *low = scratch;
	float	   *tried = scratch + n;

	fill(n, 0, low);
	/* The row itself, the farthest where nothing nearer is known, then what lies half-way between the two ends. */
	for (int i = 0; i < halvings + 2; i++)
	{
		DevStatus	status;

		for (size_t row = 0; row < n; row++)
			tried[row] = i == 0 || distances[row] == 0 ? 0 : i == 1 && isinf(distances[row]) ? (float) largest
				: (float) (((double) low[row] + fmin(distances[row], largest)) / 2);
		status = attacker->attack(attacker->context, how, n, tried, fooled);
		if (status != DEV_OK)
			return status;
		for (size_t row = 0; row < n; row++)
		{
			if (fooled[row])
				distances[row] = fmin(distances[row], (double) tried[row]);
			else
				low[row] = tried[row];
		}
	}
	return DEV_OK;
}

double
learn_mean_perturbation(size_t n, const double *distances, double largest, size_t *n_beyond)
{
	size_t		beyond = 0;
	size_t		counted = 0;
	double		sum = 0;

	for (size_t row = 0; row < n; row++)
	{
		if (distances[row] == 0)
			continue;
		beyond += isinf(distances[row]) != 0;
		sum += fmin(distances[row], largest);
		counted++;
	}
	if (n_beyond != NULL)
		*n_beyond = beyond;
	return counted > 0 ? sum / (double) counted : NAN;
}

/* ---- Masked gradients ---- */

DevStatus
learn_masking_add(const LearnAttacker *attacker, const LearnAttack *how, size_t n, LearnMasking *masking, float *scratch,
				  uint8_t *fooled)
{
	masking->n += n;
	for (int probe = 0; probe < LEARN_N_PROBES; probe++)
	{
		LearnAttack attack = make_probe(how, (LearnProbe) probe);
		DevStatus	status;

		fill(n, attack.epsilon, scratch);
		status = attacker->attack(attacker->context, &attack, n, scratch, fooled);
		if (status != DEV_OK)
			return status;
		for (size_t row = 0; row < n; row++)
			masking->fooled[probe] += fooled[row] != 0;
	}
	return DEV_OK;
}

/* Is a of n a larger share than b of n, by more than chance? */
static bool
larger(uint64_t a, uint64_t b, uint64_t n)
{
	double		p = (double) a / (double) n;
	double		q = (double) b / (double) n;

	return n > 0 && p - q > 2 * sqrt((p * (1 - p) + q * (1 - q)) / (double) n);
}

unsigned
learn_masking_judge(const LearnMasking *masking)
{
	const uint64_t *fooled = masking->fooled;
	uint64_t	n = masking->n;
	unsigned	signs = 0;

	if (larger(fooled[LEARN_PROBE_NOISE], fooled[LEARN_PROBE_ATTACK], n))
		signs |= LEARN_MASKED_NOISE;
	if (larger(fooled[LEARN_PROBE_ONE_STEP], fooled[LEARN_PROBE_ATTACK], n))
		signs |= LEARN_MASKED_STEPS;
	if (larger(fooled[LEARN_PROBE_MORE], fooled[LEARN_PROBE_ATTACK], n) &&
		(double) (fooled[LEARN_PROBE_MORE] - fooled[LEARN_PROBE_ATTACK]) > MANY_MORE * (double) n)
		signs |= LEARN_MASKED_UNFINISHED;
	if (larger(fooled[LEARN_PROBE_ATTACK], fooled[LEARN_PROBE_FAR], n))
		signs |= LEARN_MASKED_FAR;
	return signs;
}

const char *
learn_masked_words(LearnMasked sign)
{
	switch (sign)
	{
		case LEARN_MASKED_NOISE:
			return "Random points fool the model more often than the attack does.";
		case LEARN_MASKED_STEPS:
			return "One step of the attack fools the model more often than many.";
		case LEARN_MASKED_UNFINISHED:
			return "With four times the steps the attack fools the model much more often, so it has too few.";
		case LEARN_MASKED_FAR:
			return "Farther from the rows the attack fools the model less often.";
	}
	return "";
}

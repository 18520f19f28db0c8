/*
 * adversarial.c: gradient attacks on rows of floats.
 *
 * One loop serves all: start somewhere in the ball, follow the gradient's sign or direction, come back into the
 * ball and the box. Bounds are computed from the clean row each time instead of being stored.
 */
#include "augment.h"

#include "idla/learn_adversarial.h"

#include <math.h>
#include <string.h>

const char *const learn_norm_names[] = {
	[LEARN_NORM_MAX] = "linf",
	[LEARN_NORM_L2] = "l2",
	NULL
};

#define MOST_STEPS 10000
#define MOST_RESTARTS 1000

LearnAttack
learn_attack_fgsm(LearnNormKind norm, double epsilon)
{
	return (LearnAttack) {.norm = norm, .epsilon = epsilon, .steps = 1, .rate = 1, .restarts = 1};
}

LearnAttack
learn_attack_pgd(LearnNormKind norm, double epsilon, int steps)
{
	return (LearnAttack) {.norm = norm, .epsilon = epsilon, .steps = steps, .restarts = 1, .random_start = true};
}

LearnAttack
learn_attack_judge(LearnNormKind norm, double epsilon, int steps, int restarts)
{
	return (LearnAttack) {.norm = norm, .epsilon = epsilon, .steps = steps, .restarts = restarts, .keep_best = true};
}

DevStatus
learn_attack_check(DevSession *session, const LearnAttack *how)
{
	if (!(how->epsilon >= 0))
		return dev_fail(session, DEV_INVALID, "epsilon \"%g\" of the attack is not at least 0", how->epsilon);
	if (how->norm == LEARN_NORM_L2 && isinf(how->epsilon))
		return dev_fail(session, DEV_INVALID, "epsilon \"%g\" of an attack in norm l2 is not finite", how->epsilon);
	if (how->norm != LEARN_NORM_MAX && how->norm != LEARN_NORM_L2)
		return dev_fail(session, DEV_INVALID, "unknown norm number %d of the attack", (int) how->norm);
	if (how->steps < 0 || how->steps > MOST_STEPS)
		return dev_fail(session, DEV_INVALID, "attack steps \"%d\" are not between 0 and %d", how->steps, MOST_STEPS);
	if (how->restarts < 1 || how->restarts > MOST_RESTARTS)
		return dev_fail(session, DEV_INVALID, "attack restarts \"%d\" are not between 1 and %d", how->restarts,
						MOST_RESTARTS);
	if (!(how->rate >= 0 && how->rate <= 10))
		return dev_fail(session, DEV_INVALID, "attack rate \"%g\" is not between 0 and 10", how->rate);
	return DEV_OK;
}

/* ---- The state of one attack ---- */

typedef struct Search
{
	const LearnAttack *how;
	const LearnBox *box;
	size_t		n;
	size_t		n_inputs;
	const float *clean;
	const float *epsilons;
	double		share;			/* of epsilon, of each step */
	float	   *perturbed;		/* the caller's; the best so far when the best is kept */
	uint8_t    *fooled;			/* the caller's, or NULL */
	float	   *current;		/* (n, n_inputs) */
	float	   *diff;			/* (n, n_inputs) */
	float	   *losses;			/* (n) of current */
	float	   *best;			/* (n) of perturbed */
	uint8_t    *wrong;			/* (n) of current */
	uint64_t	seed;
	uint64_t	counter;
} Search;

size_t
learn_attack_scratch(size_t n, size_t n_inputs)
{
	return 2 * n * n_inputs + 3 * n;
}

static inline double
epsilon_of(const Search *search, size_t row)
{
	return search->epsilons != NULL ? (double) search->epsilons[row] : search->how->epsilon;
}

/* Bounds of input i of a row: ball (for LEARN_NORM_MAX) and box, both containing the row itself. */
static inline void
bounds_of(const Search *search, size_t row, size_t i, double epsilon, float *low, float *high)
{
	float		x = search->clean[row * search->n_inputs + i];
	float		reach = search->how->norm == LEARN_NORM_MAX ? (float) epsilon : INFINITY;

	*low = x - reach;
	*high = x + reach;
	if (search->box != NULL)
	{
		size_t		at = search->box->by_row ? row * search->n_inputs + i : i;

		*low = *low > search->box->low[at] ? *low : search->box->low[at];
		*high = *high < search->box->high[at] ? *high : search->box->high[at];
	}
	*low = *low < x ? *low : x;
	*high = *high > x ? *high : x;
}

/* Into the ball, then into the box, which contains the row and so leads no farther from it. */
static void
project(const Search *search, size_t row, double epsilon)
{
	const float *clean = search->clean + row * search->n_inputs;
	float	   *current = search->current + row * search->n_inputs;

	if (search->how->norm == LEARN_NORM_L2)
	{
		double		square = 0;

		for (size_t i = 0; i < search->n_inputs; i++)
		{
			double		distance = (double) current[i] - (double) clean[i];

			square += isnan(distance) ? 0 : distance * distance;
		}
		if (square > epsilon * epsilon)
		{
			double		factor = epsilon / sqrt(square);

			for (size_t i = 0; i < search->n_inputs; i++)
				current[i] = (float) ((double) clean[i] + factor * ((double) current[i] - (double) clean[i]));
		}
	}
	for (size_t i = 0; i < search->n_inputs; i++)
	{
		float		low;
		float		high;

		bounds_of(search, row, i, epsilon, &low, &high);
		current[i] = current[i] < low ? low : current[i] > high ? high : current[i];
	}
}

/* ---- Starts ---- */

/* Uniform in what ball and box leave of each input; one without bounds stays. */
static void
start_in_box(const Search *search, size_t row, double epsilon, const LearnDraw *draw, uint64_t first_block)
{
	float	   *current = search->current + row * search->n_inputs;

	learn_draw_uniform(draw, first_block, search->n_inputs, current);
	for (size_t i = 0; i < search->n_inputs; i++)
	{
		float		low;
		float		high;
		float		value;

		bounds_of(search, row, i, epsilon, &low, &high);
		value = low + current[i] * (high - low);
		current[i] = isfinite(value) ? (value < high ? value : high) : search->clean[row * search->n_inputs + i];
	}
}

/* Uniform in the ball: a direction from normal draws, and a radius whose power is uniform. */
static void
start_in_ball(const Search *search, size_t row, double epsilon, const LearnDraw *draw, uint64_t first_block)
{
	const float *clean = search->clean + row * search->n_inputs;
	float	   *current = search->current + row * search->n_inputs;
	double		square = 0;
	double		radius;
	uint32_t	bits[4];

	learn_draw_block(draw, first_block, bits);
	learn_draw_normal(draw, first_block + 1, search->n_inputs, 1, current);
	for (size_t i = 0; i < search->n_inputs; i++)
		square += (double) current[i] * (double) current[i];
	radius = epsilon * pow((double) learn_unit(bits[0]), 1 / (double) search->n_inputs);
	radius = square > 0 ? radius / sqrt(square) : 0;
	for (size_t i = 0; i < search->n_inputs; i++)
		current[i] = (float) ((double) clean[i] + radius * (double) current[i]);
	project(search, row, epsilon);
}

static void
start(const Search *search, int restart)
{
	uint64_t	blocks = search->n_inputs / 4 + 2;
	bool		random = restart > 0 || search->how->random_start || search->how->steps == 0;

	if (!random)
	{
		memcpy(search->current, search->clean, search->n * search->n_inputs * sizeof(float));
		return;
	}
	for (size_t row = 0; row < search->n; row++)
	{
		LearnDraw	draw = {search->seed, DEV_STREAM_ATTACK, search->counter + row};

		if (search->how->norm == LEARN_NORM_L2)
			start_in_ball(search, row, epsilon_of(search, row), &draw, (uint64_t) restart * blocks);
		else
			start_in_box(search, row, epsilon_of(search, row), &draw, (uint64_t) restart * blocks);
	}
}

/* ---- Steps ---- */

static inline float
sign_of(float x)
{
	return (float) (x > 0) - (float) (x < 0);
}

/* A step of each input by its own share of the room it has; to a bound at most. */
static void
step_by_sign(const Search *search, size_t row, double epsilon)
{
	const float *clean = search->clean + row * search->n_inputs;
	const float *diff = search->diff + row * search->n_inputs;
	float	   *current = search->current + row * search->n_inputs;
	float		share = (float) search->share;

	for (size_t i = 0; i < search->n_inputs; i++)
	{
		float		low;
		float		high;
		float		up;
		float		down;
		float		value;

		bounds_of(search, row, i, epsilon, &low, &high);
		up = high - clean[i];
		down = clean[i] - low;
		value = current[i] + sign_of(diff[i]) * share * (up > down ? up : down);
		if (isnan(value))
			continue;
		current[i] = value < low ? low : value > high ? high : value;
	}
}

/* The gradient without what points out of the box: that would only be cut off again, and the rest made too short. */
static inline double
useful(const Search *search, size_t row, size_t i, double epsilon)
{
	float		diff = search->diff[row * search->n_inputs + i];
	float		value = search->current[row * search->n_inputs + i];
	float		low;
	float		high;

	bounds_of(search, row, i, epsilon, &low, &high);
	if (!isfinite(diff) || (diff > 0 && value >= high) || (diff < 0 && value <= low))
		return 0;
	return (double) diff;
}

static void
step_by_direction(const Search *search, size_t row, double epsilon)
{
	float	   *current = search->current + row * search->n_inputs;
	double		square = 0;
	double		length;

	for (size_t i = 0; i < search->n_inputs; i++)
	{
		double		diff = useful(search, row, i, epsilon);

		square += diff * diff;
	}
	if (!(square > 0))
		return;
	length = search->share * epsilon / sqrt(square);
	for (size_t i = 0; i < search->n_inputs; i++)
		current[i] = (float) ((double) current[i] + length * useful(search, row, i, epsilon));
	project(search, row, epsilon);
}

static void
step(const Search *search)
{
	for (size_t row = 0; row < search->n; row++)
	{
		if (search->fooled != NULL && search->fooled[row])
			continue;
		if (search->how->norm == LEARN_NORM_L2)
			step_by_direction(search, row, epsilon_of(search, row));
		else
			step_by_sign(search, row, epsilon_of(search, row));
	}
}

/* ---- Keeping ---- */

/* Takes over what is better than all before: a wrong answer, or without one a larger loss. */
static void
consider(const Search *search)
{
	size_t		bytes = search->n_inputs * sizeof(float);

	for (size_t row = 0; row < search->n; row++)
	{
		bool		wrong = search->fooled != NULL && search->wrong[row];

		if (search->fooled != NULL && search->fooled[row])
			continue;
		if (!wrong && !(search->losses[row] > search->best[row]))
			continue;
		memcpy(search->perturbed + row * search->n_inputs, search->current + row * search->n_inputs, bytes);
		search->best[row] = search->losses[row];
		if (wrong)
			search->fooled[row] = 1;
	}
}

static bool
all_fooled(const Search *search)
{
	if (search->fooled == NULL)
		return false;
	for (size_t row = 0; row < search->n; row++)
		if (!search->fooled[row])
			return false;
	return true;
}

/* One walk. kept: points on the way are judged; else only the last one matters, whose loss is found when it is wanted. */
static DevStatus
walk(const Search *search, const LearnOracle *oracle, int restart, bool kept, bool judged)
{
	uint8_t    *wrong = search->fooled != NULL ? search->wrong : NULL;
	DevStatus	status;

	start(search, restart);
	for (int i = 0; i < search->how->steps; i++)
	{
		status = oracle->score(oracle->context, search->n, search->current, search->losses, wrong, search->diff);
		if (status != DEV_OK)
			return status;
		if (kept)
			consider(search);
		if (all_fooled(search))
			return DEV_OK;
		step(search);
	}
	if (!judged)
		return DEV_OK;
	status = oracle->score(oracle->context, search->n, search->current, search->losses, wrong, NULL);
	if (status == DEV_OK && kept)
		consider(search);
	return status;
}

/* Lays out what is kept of each row, behind the two batches of inputs in scratch: nothing has been found yet. */
static void
begin(Search *search, float *scratch)
{
	search->losses = scratch + 2 * search->n * search->n_inputs;
	search->best = search->losses + search->n;
	search->wrong = (uint8_t *) (search->best + search->n);
	for (size_t row = 0; row < search->n; row++)
	{
		search->best[row] = -INFINITY;
		if (search->fooled != NULL)
			search->fooled[row] = 0;
	}
}

DevStatus
learn_attack(const LearnAttack *how, const LearnOracle *oracle, const LearnBox *box, size_t n, const float *clean,
			 const float *epsilons, uint64_t seed, uint64_t counter, float *perturbed, float *losses, uint8_t *fooled,
			 float *scratch)
{
	size_t		size = n * oracle->n_inputs;
	bool		kept = how->keep_best || fooled != NULL;
	/* Of several walks whose points are not compared the last one counts. */
	int			first = kept ? 0 : how->restarts - 1;
	Search		search = {
		.how = how, .box = box, .n = n, .n_inputs = oracle->n_inputs, .clean = clean, .epsilons = epsilons,
		.share = how->rate > 0 ? how->rate : how->steps > 2 ? 2.5 / how->steps : 1,
		.perturbed = perturbed, .fooled = fooled, .current = kept ? scratch : perturbed, .diff = scratch + size,
		.seed = seed, .counter = counter
	};
	DevStatus	status = DEV_OK;

	if (how->norm == LEARN_NORM_L2 && epsilons == NULL && isinf(how->epsilon))
		return DEV_INVALID;
	begin(&search, scratch);
	if (kept)
		memcpy(perturbed, clean, size * sizeof(float));
	for (int restart = first; restart < how->restarts && status == DEV_OK && !all_fooled(&search); restart++)
		status = walk(&search, oracle, restart, kept, kept || losses != NULL);
	if (losses != NULL)
		memcpy(losses, kept ? search.best : search.losses, n * sizeof(float));
	return status;
}

/* ---- Without gradients ---- */

#define LONGEST_SHARE 0.5		/* of a row's positions, of the first stretch that is tried */
#define HALVINGS 6				/* of that, until the last one */
#define FIRST_STRETCHES 16		/* of alternating fortune, that the first point has */

/* Positions from `begin` to `end` of one channel of a row's candidate go a share of the way up or down. */
static void
lift(const Search *search, size_t row, size_t depth, size_t channel, size_t begin, size_t end, float share, bool up)
{
	const float *clean = search->clean + row * search->n_inputs;
	float	   *current = search->current + row * search->n_inputs;
	double		epsilon = epsilon_of(search, row);
	float		step = share * (float) (epsilon / sqrt((double) (end - begin)));

	for (size_t p = begin; p < end; p++)
	{
		size_t		i = p * depth + channel;
		float		low;
		float		high;
		float		value;

		bounds_of(search, row, i, epsilon, &low, &high);
		value = search->how->norm == LEARN_NORM_L2 ? current[i] + (up ? step : -step) : clean[i] + share * ((up ? high : low) - clean[i]);
		current[i] = isfinite(value) ? value : current[i];
	}
}

/* Candidate `point` of a row, made of the best one so far. */
static void
make_candidate(const Search *search, size_t row, size_t positions, size_t depth, size_t point, size_t n_points)
{
	LearnDraw	draw = {search->seed, DEV_STREAM_ATTACK, search->counter + row};
	double		share = LONGEST_SHARE * exp2(-HALVINGS * (double) point / (double) n_points);
	size_t		length = (size_t) fmax(1, round(share * (double) positions));
	uint32_t	bits[4];

	memcpy(search->current + row * search->n_inputs, search->perturbed + row * search->n_inputs, search->n_inputs * sizeof(float));
	for (size_t channel = 0; channel < depth && point > 1; channel++)
	{
		size_t		begin;
		/* All of the way as often as not: in a wide ball the ends alone are too far. */
		float		way;

		learn_draw_block(&draw, point * depth + channel, bits);
		way = bits[3] % 4 < 2 ? 1 : learn_unit(bits[2]);
		begin = (size_t) ((double) learn_unit(bits[0]) * (double) (positions - length + 1));
		/* Often one channel alone: together they rarely all help. */
		if (bits[1] % depth == 0 || bits[2] % 2 == 0)
			lift(search, row, depth, channel, begin, begin + length, way, bits[3] % 2 == 0);
	}
	for (size_t i = 0; i < FIRST_STRETCHES * depth && point == 1; i++)
	{
		size_t		begin = i / depth * positions / FIRST_STRETCHES;
		size_t		end = (i / depth + 1) * positions / FIRST_STRETCHES;

		learn_draw_block(&draw, ((uint64_t) 1 << 24) + i, bits);
		if (end > begin)
			lift(search, row, depth, i % depth, begin, end, learn_unit(bits[1]), bits[0] % 2 == 0);
	}
	project(search, row, epsilon_of(search, row));
}

static DevStatus
search_blindly(const Search *search, const LearnOracle *oracle, size_t positions, size_t depth, const int32_t *lengths, size_t n_points)
{
	uint8_t    *wrong = search->fooled != NULL ? search->wrong : NULL;
	DevStatus	status = DEV_OK;

	memcpy(search->current, search->clean, search->n * search->n_inputs * sizeof(float));
	for (size_t point = 0; point <= n_points && status == DEV_OK && !all_fooled(search); point++)
	{
		for (size_t row = 0; row < search->n && point > 0; row++)
		{
			size_t		there = lengths == NULL ? positions : (size_t) lengths[row];

			if (there > 0 && (search->fooled == NULL || !search->fooled[row]))
				make_candidate(search, row, there, depth, point, n_points);
		}
		status = oracle->score(oracle->context, search->n, search->current, search->losses, wrong, NULL);
		if (status == DEV_OK)
			consider(search);
	}
	return status;
}

DevStatus
learn_attack_blind(const LearnAttack *how, const LearnOracle *oracle, const LearnBox *box, size_t n, size_t positions, size_t depth,
				   const int32_t *lengths, const float *clean, const float *epsilons, uint64_t seed, uint64_t counter, float *perturbed,
				   float *losses, uint8_t *fooled, float *scratch)
{
	size_t		size = n * oracle->n_inputs;
	Search		search = {
		.how = how, .box = box, .n = n, .n_inputs = oracle->n_inputs, .clean = clean, .epsilons = epsilons, .perturbed = perturbed,
		.fooled = fooled, .current = scratch, .seed = seed, .counter = counter
	};
	DevStatus	status;

	if (how->steps == 0)
		return learn_attack(how, oracle, box, n, clean, epsilons, seed, counter, perturbed, losses, fooled, scratch);
	if (how->norm == LEARN_NORM_L2 && epsilons == NULL && isinf(how->epsilon))
		return DEV_INVALID;
	begin(&search, scratch);
	memcpy(perturbed, clean, size * sizeof(float));
	status = search_blindly(&search, oracle, positions, depth, lengths, (size_t) how->steps * (size_t) how->restarts);
	if (losses != NULL)
		memcpy(losses, search.best, n * sizeof(float));
	return status;
}

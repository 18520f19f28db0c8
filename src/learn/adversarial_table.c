/*
 * adversarial_table.c: adversarial rows of tables, in the user's units.
 *
 * The movable numbers of a row become coordinates "how many units away from the row", where the general attack
 * works. Its oracle here rounds such a point to an allowed row, encodes it like any row and hands the gradient back
 * through the scaling, so whatever the attack finds best is an allowed row and was judged as such. Categories
 * are tried out one by one between two searches of the numbers.
 */
#include "adversarial.h"
#include "dataset.h"

#define MAX_CODES 32			/* of a category that are tried unless told otherwise */
#define MOST_HALVINGS 3			/* of the way to a point that is not allowed */

struct LearnTableAttacker
{
	DevSession *session;
	const LearnChannel *channels;
	int			n_channels;
	const LearnConstraint *constraints;
	size_t		n_numbers;
	size_t		n_codes;
	size_t		max_rows;

	size_t		n_movable;
	int		   *movable;		/* channels of numbers that may change */
	double	   *units;			/* (n_movable) */
	float	   *wanted;			/* (n_movable) of one row */
	size_t		n_choices;
	int		   *choices;		/* channels of categories that may change */

	float	   *origin;			/* (max_rows, n_movable) zeros */
	float	   *point;			/* (max_rows, n_movable): what a search found, in units from the row */
	float	   *low;			/* (max_rows, n_movable): bounds in units */
	float	   *high;
	float	   *scratch;		/* of learn_attack */
	float	   *candidate;		/* (max_rows, n_channels) raw */
	float	   *found;			/* (max_rows, n_channels): the candidate that a search of numbers keeps */
	float	   *found_loss;		/* (max_rows) */
	uint8_t    *found_wrong;	/* (max_rows): it fools, and the search of its row is over */
	float	   *numbers;		/* (max_rows, n_numbers) encoded candidates */
	int32_t    *codes;			/* (max_rows, n_codes) */
	float	   *diff;			/* (max_rows, n_numbers) */
	float	   *losses;			/* (max_rows) of candidates */
	float	   *best;			/* (max_rows) of the rows changed so far */
	float	   *gain;			/* (max_rows): largest loss by changing one category */
	int		   *gain_channel;	/* (max_rows): which, or -1 */
	float	   *gain_code;
	uint8_t    *wrong;			/* (max_rows) of candidates */
	uint8_t    *done;			/* (max_rows): fooled, when that is asked for */
	uint8_t    *gain_wrong;
	uint8_t    *tried;			/* (max_rows): has a candidate with another category */

	/* The attack under way */
	const LearnTableAttack *how;
	const LearnRowOracle *oracle;
	const float *raw;
	const float *epsilons;
	float	   *changed;
	bool		until_fooled;
};

/* ---- Making ---- */

static bool
take_search(LearnTableAttacker *attacker)
{
	DevSession *session = attacker->session;
	size_t		n = attacker->max_rows;
	size_t		n_points = n * attacker->n_movable + 1;

	attacker->origin = dev_alloc(session, n_points, sizeof(float));
	attacker->point = dev_alloc(session, n_points, sizeof(float));
	attacker->low = dev_alloc(session, n_points, sizeof(float));
	attacker->high = dev_alloc(session, n_points, sizeof(float));
	attacker->scratch = dev_alloc(session, learn_attack_scratch(n, attacker->n_movable), sizeof(float));
	return attacker->origin != NULL && attacker->point != NULL && attacker->low != NULL && attacker->high != NULL &&
		attacker->scratch != NULL;
}

static bool
take_rows(LearnTableAttacker *attacker)
{
	DevSession *session = attacker->session;
	size_t		n = attacker->max_rows;

	attacker->candidate = dev_alloc(session, n, (size_t) attacker->n_channels * sizeof(float));
	attacker->found = dev_alloc(session, n, (size_t) attacker->n_channels * sizeof(float));
	attacker->found_loss = dev_alloc(session, n, sizeof(float));
	attacker->found_wrong = dev_alloc(session, n, 1);
	attacker->numbers = dev_alloc(session, n, (attacker->n_numbers + 1) * sizeof(float));
	attacker->codes = dev_alloc(session, n, (attacker->n_codes + 1) * sizeof(int32_t));
	attacker->diff = dev_alloc(session, n, (attacker->n_numbers + 1) * sizeof(float));
	attacker->losses = dev_alloc(session, n, sizeof(float));
	attacker->best = dev_alloc(session, n, sizeof(float));
	attacker->gain = dev_alloc(session, n, sizeof(float));
	attacker->gain_channel = dev_alloc(session, n, sizeof(int));
	attacker->gain_code = dev_alloc(session, n, sizeof(float));
	attacker->wrong = dev_alloc(session, n, 1);
	attacker->done = dev_alloc(session, n, 1);
	attacker->gain_wrong = dev_alloc(session, n, 1);
	attacker->tried = dev_alloc(session, n, 1);
	return attacker->candidate != NULL && attacker->found != NULL && attacker->found_loss != NULL && attacker->found_wrong != NULL &&
		attacker->numbers != NULL && attacker->codes != NULL && attacker->diff != NULL &&
		attacker->losses != NULL && attacker->best != NULL && attacker->gain != NULL && attacker->gain_channel != NULL &&
		attacker->gain_code != NULL && attacker->wrong != NULL && attacker->done != NULL && attacker->gain_wrong != NULL &&
		attacker->tried != NULL;
}

/* Which channels can change at all: what the network does not see could, but to no effect. */
static void
find_movable(LearnTableAttacker *attacker)
{
	for (int i = 0; i < attacker->n_channels; i++)
	{
		const LearnChannel *channel = &attacker->channels[i];

		if (!attacker->constraints[i].mutable)
			continue;
		if (channel->kind == LEARN_NUMBER && channel->number_input != NN_NONE)
		{
			attacker->units[attacker->n_movable] = learn_channel_unit(channel);
			attacker->movable[attacker->n_movable++] = i;
		}
		if (channel->kind == LEARN_CATEGORY && channel->code_input != NN_NONE)
			attacker->choices[attacker->n_choices++] = i;
	}
}

DevStatus
learn_table_attacker_create(DevSession *session, const LearnChannel *channels, int n_channels,
							const LearnConstraint *constraints, size_t n_numbers, size_t n_codes, size_t max_rows,
							LearnTableAttacker **attacker)
{
	LearnTableAttacker *made = dev_alloc(session, 1, sizeof(LearnTableAttacker));

	*attacker = NULL;
	if (made == NULL)
		return DEV_NO_MEMORY;
	made->session = session;
	made->channels = channels;
	made->n_channels = n_channels;
	made->constraints = constraints;
	made->n_numbers = n_numbers;
	made->n_codes = n_codes;
	made->max_rows = max_rows;
	made->movable = dev_alloc(session, (size_t) n_channels + 1, sizeof(int));
	made->units = dev_alloc(session, (size_t) n_channels + 1, sizeof(double));
	made->wanted = dev_alloc(session, (size_t) n_channels + 1, sizeof(float));
	made->choices = dev_alloc(session, (size_t) n_channels + 1, sizeof(int));
	if (made->movable == NULL || made->units == NULL || made->wanted == NULL || made->choices == NULL)
	{
		learn_table_attacker_free(made);
		return DEV_NO_MEMORY;
	}
	find_movable(made);
	if (!take_search(made) || !take_rows(made))
	{
		learn_table_attacker_free(made);
		return DEV_NO_MEMORY;
	}
	*attacker = made;
	return DEV_OK;
}

void
learn_table_attacker_free(LearnTableAttacker *attacker)
{
	DevSession *session;

	if (attacker == NULL)
		return;
	session = attacker->session;
	dev_release(session, attacker->movable);
	dev_release(session, attacker->units);
	dev_release(session, attacker->wanted);
	dev_release(session, attacker->choices);
	dev_release(session, attacker->origin);
	dev_release(session, attacker->point);
	dev_release(session, attacker->low);
	dev_release(session, attacker->high);
	dev_release(session, attacker->scratch);
	dev_release(session, attacker->candidate);
	dev_release(session, attacker->found);
	dev_release(session, attacker->found_loss);
	dev_release(session, attacker->found_wrong);
	dev_release(session, attacker->numbers);
	dev_release(session, attacker->codes);
	dev_release(session, attacker->diff);
	dev_release(session, attacker->losses);
	dev_release(session, attacker->best);
	dev_release(session, attacker->gain);
	dev_release(session, attacker->gain_channel);
	dev_release(session, attacker->gain_code);
	dev_release(session, attacker->wrong);
	dev_release(session, attacker->done);
	dev_release(session, attacker->gain_wrong);
	dev_release(session, attacker->tried);
	dev_release(session, attacker);
}

/* ---- Candidates ---- */

static inline double
epsilon_of(const LearnTableAttacker *attacker, size_t row)
{
	return attacker->epsilons != NULL ? (double) attacker->epsilons[row] : attacker->how->numbers.epsilon;
}

static double
length_of(const LearnTableAttacker *attacker, const float *clean, const float *candidate)
{
	double		square = 0;

	for (size_t i = 0; i < attacker->n_movable; i++)
	{
		int			channel = attacker->movable[i];
		double		moved = ((double) candidate[channel] - (double) clean[channel]) / attacker->units[i];

		square += isnan(moved) ? 0 : moved * moved;
	}
	return sqrt(square);
}

/* The legal numbers next to a point, of which share is gone for those that are checked; categories are those found so far. */
static void
place_numbers(LearnTableAttacker *attacker, size_t row, const float *point, double share)
{
	size_t		n_channels = (size_t) attacker->n_channels;
	const float *clean = attacker->raw + row * n_channels;
	float	   *candidate = attacker->candidate + row * n_channels;
	bool		ball = attacker->how->numbers.norm == LEARN_NORM_L2;
	double		epsilon = epsilon_of(attacker, row);

	memcpy(candidate, attacker->changed + row * n_channels, n_channels * sizeof(float));
	for (int towards = 0; towards < 2; towards++)
	{
		for (size_t i = 0; i < attacker->n_movable; i++)
		{
			int			channel = attacker->movable[i];
			double		part = attacker->constraints[channel].checked ? share : 1;
			double		wanted = (double) clean[channel] + part * (double) point[i] * attacker->units[i];

			candidate[channel] = learn_legal_value(&attacker->constraints[channel], epsilon * attacker->units[i],
												   clean[channel], wanted, towards == 1);
		}
		if (!ball || length_of(attacker, clean, candidate) <= epsilon)
			return;
	}
}

/* Is the candidate of a row allowed? What differs from the row in nothing that is checked is not asked about. */
static DevStatus
ask(LearnTableAttacker *attacker, size_t row, bool *allowed)
{
	const LearnReferee *referee = attacker->how->referee;
	size_t		first = row * (size_t) attacker->n_channels;
	bool		asked = false;
	DevStatus	status;

	*allowed = true;
	for (size_t i = 0; i < (size_t) attacker->n_channels && referee != NULL && !asked; i++)
	{
		float		own = attacker->raw[first + i];
		float		now = attacker->candidate[first + i];

		asked = attacker->constraints[i].checked && own != now && !(isnan(own) && isnan(now));
	}
	if (!asked)
		return DEV_OK;
	status = referee->judge(referee->context, row, attacker->candidate + first, allowed);
	return status == DEV_OK ? dev_poll(attacker->session) : status;
}

/*
 * Checked numbers as they were found so far, then each as the point has it where that is allowed. They move between their
 * old and new values only, so length and legality hold for whatever is taken.
 */
static DevStatus
take_one_by_one(LearnTableAttacker *attacker, size_t row)
{
	size_t		first = row * (size_t) attacker->n_channels;
	float	   *candidate = attacker->candidate + first;
	const float *clean = attacker->raw + first;
	bool		allowed;
	DevStatus	status;

	/* With the categories found so far the row's own numbers may not do. */
	for (size_t i = 0; i < attacker->n_movable; i++)
		attacker->wanted[i] = candidate[attacker->movable[i]];
	for (size_t i = 0; i < attacker->n_movable; i++)
		if (attacker->constraints[attacker->movable[i]].checked)
			candidate[attacker->movable[i]] = clean[attacker->movable[i]];
	status = ask(attacker, row, &allowed);
	if (status == DEV_OK && !allowed)
		memcpy(candidate, attacker->changed + first, (size_t) attacker->n_channels * sizeof(float));
	for (size_t i = 0; i < attacker->n_movable && status == DEV_OK && allowed; i++)
	{
		int			channel = attacker->movable[i];
		float		kept = candidate[channel];

		if (!attacker->constraints[channel].checked || !(attacker->wanted[i] != kept))
			continue;
		candidate[channel] = attacker->wanted[i];
		status = ask(attacker, row, &allowed);
		if (!allowed)
			candidate[channel] = kept;
		allowed = true;
	}
	return status;
}

/* The allowed candidate next to a point. */
static DevStatus
place_row(LearnTableAttacker *attacker, size_t row, const float *point)
{
	double		share = 1;
	bool		allowed = false;
	DevStatus	status = DEV_OK;

	for (int i = 0; i <= MOST_HALVINGS && status == DEV_OK && !allowed; i++, share /= 2)
	{
		place_numbers(attacker, row, point, share);
		status = ask(attacker, row, &allowed);
	}
	if (status != DEV_OK || allowed)
		return status;
	place_numbers(attacker, row, point, 1);
	return take_one_by_one(attacker, row);
}

static void
encode_candidates(LearnTableAttacker *attacker, size_t n)
{
	for (size_t row = 0; row < n; row++)
		learn_encode_row(attacker->channels, attacker->n_channels, attacker->candidate + row * (size_t) attacker->n_channels,
						 attacker->numbers + row * attacker->n_numbers, attacker->codes + row * attacker->n_codes);
}

/* Remembers the candidates that learn_attack keeps the points of, by its rule: to make them again would ask the referee again. */
static void
keep_found(LearnTableAttacker *attacker, size_t n, const float *losses, const uint8_t *wrong)
{
	size_t		width = (size_t) attacker->n_channels;

	for (size_t row = 0; row < n; row++)
	{
		bool		fools = wrong != NULL && wrong[row];

		if (attacker->found_wrong[row] || (!fools && !(losses[row] > attacker->found_loss[row])))
			continue;
		memcpy(attacker->found + row * width, attacker->candidate + row * width, width * sizeof(float));
		attacker->found_loss[row] = losses[row];
		attacker->found_wrong[row] = fools;
	}
}

/* The oracle of the search: points (n, n_movable) in units. */
static DevStatus
score_points(void *context, size_t n, const float *points, float *losses, uint8_t *wrong, float *diff)
{
	LearnTableAttacker *attacker = context;
	const LearnRowOracle *oracle = attacker->oracle;
	DevStatus	status = DEV_OK;

	for (size_t row = 0; row < n && status == DEV_OK; row++)
		status = place_row(attacker, row, points + row * attacker->n_movable);
	if (status != DEV_OK)
		return status;
	encode_candidates(attacker, n);
	status = oracle->score(oracle->context, n, attacker->numbers, attacker->codes, losses, wrong,
						   diff == NULL ? NULL : attacker->diff);
	if (status == DEV_OK)
		keep_found(attacker, n, losses, wrong);
	if (status != DEV_OK || diff == NULL)
		return status;
	for (size_t row = 0; row < n; row++)
		for (size_t i = 0; i < attacker->n_movable; i++)
		{
			int			channel = attacker->movable[i];
			float		value = attacker->candidate[row * (size_t) attacker->n_channels + (size_t) channel];
			size_t		input = row * attacker->n_numbers + (size_t) attacker->channels[channel].number_input;

			diff[row * attacker->n_movable + i] = !isfinite(value) ? 0 :
				(float) ((double) attacker->diff[input] * learn_scale_slope(&attacker->channels[channel], value) *
						 attacker->units[i]);
		}
	return DEV_OK;
}

/* Whether the candidate of a row is better than what was found so far, and may still replace it. */
static bool
is_better(const LearnTableAttacker *attacker, size_t row, float loss, bool wrong)
{
	if (attacker->done[row])
		return false;
	return (attacker->until_fooled && wrong) || loss > attacker->best[row];
}

/* ---- Numbers ---- */

static void
set_bounds(LearnTableAttacker *attacker, size_t n)
{
	for (size_t row = 0; row < n; row++)
		for (size_t i = 0; i < attacker->n_movable; i++)
		{
			int			channel = attacker->movable[i];
			const LearnConstraint *constraint = &attacker->constraints[channel];
			double		own = (double) attacker->raw[row * (size_t) attacker->n_channels + (size_t) channel];
			size_t		at = row * attacker->n_movable + i;

			/* What is missing has no room. */
			attacker->low[at] = isnan(own) ? 0 : (float) ((constraint->low - own) / attacker->units[i]);
			attacker->high[at] = isnan(own) ? 0 : (float) ((constraint->high - own) / attacker->units[i]);
		}
}

static DevStatus
search_numbers(LearnTableAttacker *attacker, size_t n, uint64_t seed, uint64_t counter)
{
	LearnAttack how = attacker->how->numbers;
	LearnOracle oracle = {.context = attacker, .n_inputs = attacker->n_movable, .score = score_points};
	LearnBox	box = {.low = attacker->low, .high = attacker->high, .by_row = true};
	DevStatus	status;

	if (attacker->n_movable == 0)
		return DEV_OK;
	how.keep_best = true;
	set_bounds(attacker, n);
	for (size_t row = 0; row < n; row++)
	{
		attacker->found_loss[row] = -INFINITY;
		attacker->found_wrong[row] = 0;
	}
	status = learn_attack(&how, &oracle, &box, n, attacker->origin, attacker->epsilons, seed, counter,
						  attacker->point, attacker->losses, attacker->until_fooled ? attacker->wrong : NULL,
						  attacker->scratch);
	for (size_t row = 0; row < n && status == DEV_OK; row++)
	{
		size_t		width = (size_t) attacker->n_channels;

		if (!is_better(attacker, row, attacker->found_loss[row], attacker->found_wrong[row]))
			continue;
		memcpy(attacker->changed + row * width, attacker->found + row * width, width * sizeof(float));
		attacker->best[row] = attacker->found_loss[row];
		attacker->done[row] = attacker->found_wrong[row];
	}
	return status;
}

/* ---- Categories ---- */

static int
changes_of(const LearnTableAttacker *attacker, size_t row)
{
	size_t		first = row * (size_t) attacker->n_channels;
	int			n = 0;

	for (size_t i = 0; i < attacker->n_choices; i++)
		n += attacker->raw[first + (size_t) attacker->choices[i]] !=
			attacker->changed[first + (size_t) attacker->choices[i]];
	return n;
}

/* May the row's category change to this code now? A second change of the same category is no further one. */
static bool
may_choose(const LearnTableAttacker *attacker, size_t row, int channel, float code)
{
	size_t		at = row * (size_t) attacker->n_channels + (size_t) channel;

	if (attacker->done[row] || !(epsilon_of(attacker, row) > 0) || isnan(attacker->raw[at]) || attacker->changed[at] == code)
		return false;
	return attacker->raw[at] != attacker->changed[at] || attacker->raw[at] == code ||
		changes_of(attacker, row) < attacker->how->max_changes;
}

/* Candidates with this code in this channel, where it may be and is allowed: tried tells where; *any whether anywhere. */
static DevStatus
place_code(LearnTableAttacker *attacker, size_t n, int channel, int32_t code, bool *any)
{
	DevStatus	status = DEV_OK;

	*any = false;
	memcpy(attacker->candidate, attacker->changed, n * (size_t) attacker->n_channels * sizeof(float));
	for (size_t row = 0; row < n && status == DEV_OK; row++)
	{
		float	   *at = attacker->candidate + row * (size_t) attacker->n_channels + (size_t) channel;
		float		kept = *at;
		bool		allowed = may_choose(attacker, row, channel, (float) code);

		if (allowed)
		{
			*at = (float) code;
			status = ask(attacker, row, &allowed);
		}
		if (!allowed)
			*at = kept;
		attacker->tried[row] = allowed;
		*any = *any || allowed;
	}
	return status;
}

/* Every row with this code in this channel, where it may; remembers for each row whether nothing was better so far. */
static DevStatus
try_code(LearnTableAttacker *attacker, size_t n, int channel, int32_t code)
{
	bool		any;
	DevStatus	status = place_code(attacker, n, channel, code, &any);

	if (status != DEV_OK || !any)
		return status;
	encode_candidates(attacker, n);
	status = attacker->oracle->score(attacker->oracle->context, n, attacker->numbers, attacker->codes, attacker->losses,
									 attacker->wrong, NULL);
	for (size_t row = 0; row < n && status == DEV_OK; row++)
	{
		bool		wrong = attacker->until_fooled && attacker->wrong[row];

		if (!attacker->tried[row] || attacker->gain_wrong[row] ||
			!(wrong || attacker->losses[row] > attacker->gain[row]))
			continue;
		attacker->gain[row] = attacker->losses[row];
		attacker->gain_channel[row] = channel;
		attacker->gain_code[row] = (float) code;
		attacker->gain_wrong[row] = wrong;
	}
	return status;
}

static DevStatus
try_channel(LearnTableAttacker *attacker, size_t n, int channel)
{
	const LearnConstraint *constraint = &attacker->constraints[channel];
	int			n_codes = constraint->n_allowed > 0 ? constraint->n_allowed : attacker->channels[channel].n_categories;
	int			most = attacker->how->max_codes > 0 ? attacker->how->max_codes : MAX_CODES;
	DevStatus	status = DEV_OK;

	n_codes = n_codes < most ? n_codes : most;
	for (int i = 0; i < n_codes && status == DEV_OK; i++)
		status = try_code(attacker, n, channel, constraint->n_allowed > 0 ? constraint->allowed[i] : i);
	return status;
}

/* Changes in each row the category that raises its loss most; *any tells whether one was. */
static DevStatus
change_one(LearnTableAttacker *attacker, size_t n, bool *any)
{
	DevStatus	status = DEV_OK;

	*any = false;
	for (size_t row = 0; row < n; row++)
	{
		attacker->gain[row] = attacker->best[row];
		attacker->gain_channel[row] = -1;
		attacker->gain_wrong[row] = 0;
	}
	for (size_t i = 0; i < attacker->n_choices && status == DEV_OK; i++)
		status = try_channel(attacker, n, attacker->choices[i]);
	for (size_t row = 0; row < n && status == DEV_OK; row++)
	{
		if (attacker->gain_channel[row] < 0)
			continue;
		attacker->changed[row * (size_t) attacker->n_channels + (size_t) attacker->gain_channel[row]] =
			attacker->gain_code[row];
		attacker->best[row] = attacker->gain[row];
		attacker->done[row] = attacker->gain_wrong[row];
		*any = true;
	}
	return status;
}

static DevStatus
search_categories(LearnTableAttacker *attacker, size_t n)
{
	bool		any = attacker->n_choices > 0;
	DevStatus	status = DEV_OK;

	for (int i = 0; i < attacker->how->max_changes && any && status == DEV_OK; i++)
		status = change_one(attacker, n, &any);
	return status;
}

/* ---- The attack ---- */

/* The rows as they are are where the search begins, and may be wrong already. */
static DevStatus
score_clean(LearnTableAttacker *attacker, size_t n)
{
	const LearnRowOracle *oracle = attacker->oracle;
	DevStatus	status;

	memcpy(attacker->candidate, attacker->raw, n * (size_t) attacker->n_channels * sizeof(float));
	memcpy(attacker->changed, attacker->raw, n * (size_t) attacker->n_channels * sizeof(float));
	encode_candidates(attacker, n);
	status = oracle->score(oracle->context, n, attacker->numbers, attacker->codes, attacker->best, attacker->wrong, NULL);
	for (size_t row = 0; row < n && status == DEV_OK; row++)
	{
		attacker->done[row] = attacker->until_fooled && attacker->wrong[row];
		if (isnan(attacker->best[row]))
			attacker->best[row] = -INFINITY;
	}
	return status;
}

static bool
all_done(const LearnTableAttacker *attacker, size_t n)
{
	for (size_t row = 0; row < n; row++)
		if (!attacker->done[row])
			return false;
	return true;
}

DevStatus
learn_table_attack(LearnTableAttacker *attacker, const LearnTableAttack *how, const LearnRowOracle *oracle, size_t n,
				   const float *raw, const float *epsilons, uint64_t seed, uint64_t counter, float *changed,
				   float *losses, uint8_t *fooled)
{
	DevStatus	status;

	attacker->how = how;
	attacker->oracle = oracle;
	attacker->raw = raw;
	attacker->epsilons = epsilons;
	attacker->changed = changed;
	attacker->until_fooled = fooled != NULL;
	status = score_clean(attacker, n);
	for (int round = 0; (round < how->rounds || round == 0) && status == DEV_OK && !all_done(attacker, n); round++)
	{
		/* Every round starts from other random points. */
		status = search_numbers(attacker, n, seed + (uint64_t) round * UINT64_C(0x9E3779B97F4A7C15), counter);
		if (status == DEV_OK)
			status = search_categories(attacker, n);
	}
	if (losses != NULL)
		memcpy(losses, attacker->best, n * sizeof(float));
	if (fooled != NULL)
		memcpy(fooled, attacker->done, n);
	return status;
}

/*
 * split.c: which rows teach, which decide when to stop, and which judge.
 *
 * A split deals UNITS to parts: single rows, or groups of rows that must stay together.
 * - by chance: rows are shuffled within their class and each part gets its share of every class;
 * - by group: the largest groups first, each to the part that lacks its classes most;
 * - by order: the last go to the test part, those before them to validation. Rows of equal order
 *   are one unit, so that nothing in an earlier part is as late as anything in a later one. Groups are
 *   ordered by their latest row: every row of the training part is then earlier than the
 *   latest row of any group that judges.
 * Folds are parts of equal shares, dealt by the same means.
 */
#include "rank.h"

#include "dataset.h"

#include <string.h>

#define MOST_FOLDS 254
#define MOST_STRATA ((size_t) 1 << 20)
#define FEW_ROWS 10				/* a part smaller than this is remarked upon */
#define POLL_STEPS 16384

/* What is dealt: rows[first[u]] .. rows[first[u + 1] - 1] belong to unit u. */
typedef struct Units
{
	size_t		n;
	size_t	   *first;			/* (n + 1) */
	uint32_t   *rows;
	size_t		n_rows;
} Units;

/* Parts to deal to; number p is written as label[p]. */
typedef struct Deal
{
	LearnDataset *dataset;
	LearnTask	task;
	size_t		n_strata;
	size_t	   *stratum_rows;	/* (n_strata) rows of each in the rows dealt */
	uint64_t	seed;
	uint64_t	stream;
	int			n_parts;
	double		share[MOST_FOLDS];
	uint8_t		label[MOST_FOLDS];
	uint8_t    *parts;			/* (rows of the data set) the result */
} Deal;

static DevStatus
poll_at(LearnDataset *dataset, size_t step)
{
	return step % POLL_STEPS == 0 ? dev_poll(dataset->session) : DEV_OK;
}

/* ---- Targets ---- */

static DevStatus
bad_target(LearnDataset *dataset, size_t row, const char *what, double value)
{
	return dev_fail(dataset->session, DEV_BAD_DATA, "%s: %g in row %zu", what, value, row + 1);
}

DevStatus
learn_check_targets(LearnDataset *dataset, LearnTask task, size_t *n_strata)
{
	size_t		n_targets = (size_t) dataset->n_targets;
	size_t		needed = task == LEARN_SURVIVAL ? 2 : 1;
	uint32_t	most = 0;

	*n_strata = 1;
	if (n_targets < needed)
		return dev_fail(dataset->session, DEV_INVALID, "the task needs %zu targets, the data set has %zu", needed, n_targets);
	for (size_t row = 0; row < dataset->n_rows; row++)
	{
		const float *target = dataset->targets + row * n_targets;
		float		class_code = task == LEARN_SURVIVAL ? target[1] : target[0];

		if (poll_at(dataset, row) != DEV_OK)
			return DEV_CANCELLED;
		for (size_t i = 0; i < n_targets; i++)
			if (!isfinite(target[i]))
				return bad_target(dataset, row, "target is not finite", target[i]);
		if (task == LEARN_REGRESSION)
			continue;
		if (task == LEARN_SURVIVAL && target[0] < 0)
			return bad_target(dataset, row, "time of survival is negative", target[0]);
		if (task != LEARN_MULTICLASS && class_code != 0 && class_code != 1)
			return bad_target(dataset, row, task == LEARN_SURVIVAL ? "event is neither 0 nor 1" :
							  "class is neither 0 nor 1", class_code);
		if (class_code < 0 || class_code >= (float) MOST_STRATA || class_code != floorf(class_code))
			return bad_target(dataset, row, "not the code of a class", class_code);
		if ((uint32_t) class_code > most)
			most = (uint32_t) class_code;
	}
	*n_strata = (size_t) most + 1;
	return DEV_OK;
}

/* Rows of each stratum among `rows`; NULL after an error. */
static size_t *
count_strata(Deal *deal, const uint32_t *rows, size_t n)
{
	size_t	   *counts = dev_alloc(deal->dataset->session, deal->n_strata, sizeof(size_t));

	if (counts != NULL)
		for (size_t i = 0; i < n; i++)
			counts[learn_stratum(deal->dataset, deal->task, rows[i])]++;
	return counts;
}

/* ---- By chance ---- */

/*
 * Rows of each stratum that a part gets: its share rounded down, and one more where the remainder is largest, until
 * the part has its share of all rows.
 */
static DevStatus
share_out(const Deal *deal, double share, size_t n, size_t *quota)
{
	DevSession *session = deal->dataset->session;
	double	   *remainder = dev_alloc(session, deal->n_strata, sizeof(double));
	uint32_t   *order = NULL;
	size_t		given = 0;
	size_t		wanted = (size_t) floor(share * (double) n + 0.5);
	DevStatus	status;

	if (remainder == NULL)
		return DEV_NO_MEMORY;
	for (size_t stratum = 0; stratum < deal->n_strata; stratum++)
	{
		double		ideal = share * (double) deal->stratum_rows[stratum];

		quota[stratum] = (size_t) floor(ideal);
		remainder[stratum] = floor(ideal) - ideal;	/* negative: the largest comes first */
		given += quota[stratum];
	}
	status = learn_order(session, deal->n_strata, remainder, &order);
	if (status == DEV_OK)
		for (size_t i = 0; i < deal->n_strata && given < wanted && remainder[order[i]] < 0; i++, given++)
			quota[order[i]]++;
	dev_release(session, order);
	dev_release(session, remainder);
	return status;
}

/* Every part that wants rows gets one of the stratum if it can; the training part comes first, the test part next. */
static void
adjust_quota(const Deal *deal, size_t stratum, size_t *validation, size_t *test)
{
	size_t		n = deal->stratum_rows[stratum];

	if (deal->share[LEARN_TEST] > 0 && *test == 0 && n >= *validation + 2)
		*test = 1;
	if (deal->share[LEARN_VALIDATION] > 0 && *validation == 0 && n >= *test + 2)
		*validation = 1;
	while (*validation + *test > 0 && *validation + *test >= n)
		(*(*validation >= *test ? validation : test))--;
}

/* rows in order of their stratum and shuffled within it, into sorted. */
static DevStatus
shuffle_strata(const Deal *deal, const uint32_t *rows, size_t n, uint32_t *sorted)
{
	DevSession *session = deal->dataset->session;
	size_t	   *next = dev_alloc(session, deal->n_strata + 1, sizeof(size_t));
	size_t		first = 0;

	if (next == NULL)
		return DEV_NO_MEMORY;
	for (size_t stratum = 0; stratum < deal->n_strata; stratum++)
		next[stratum + 1] = next[stratum] + deal->stratum_rows[stratum];
	for (size_t i = 0; i < n; i++)
	{
		if (poll_at(deal->dataset, i) != DEV_OK)
			return DEV_CANCELLED;
		sorted[next[learn_stratum(deal->dataset, deal->task, rows[i])]++] = rows[i];
	}
	dev_release(session, next);

	for (size_t stratum = 0; stratum < deal->n_strata; first += deal->stratum_rows[stratum++])
		for (size_t i = deal->stratum_rows[stratum]; i > 1; i--)
		{
			uint64_t	step = first + i - 1;
			size_t		other = first + (size_t) dev_random_below(deal->seed, deal->stream, step, i);
			uint32_t	swap = sorted[step];

			if (poll_at(deal->dataset, step) != DEV_OK)
				return DEV_CANCELLED;
			sorted[step] = sorted[other];
			sorted[other] = swap;
		}
	return DEV_OK;
}

/* Training, validation and test part: every stratum in shares that are exact to one row. */
static DevStatus
deal_shares(const Deal *deal, const uint32_t *rows, size_t n)
{
	DevSession *session = deal->dataset->session;
	uint32_t   *sorted = dev_alloc(session, n, sizeof(uint32_t));
	size_t	   *validation = dev_alloc(session, deal->n_strata, sizeof(size_t));
	size_t	   *test = dev_alloc(session, deal->n_strata, sizeof(size_t));
	DevStatus	status = DEV_NO_MEMORY;
	size_t		first = 0;

	if (sorted != NULL && validation != NULL && test != NULL)
		status = shuffle_strata(deal, rows, n, sorted);
	if (status == DEV_OK)
		status = share_out(deal, deal->share[LEARN_VALIDATION], n, validation);
	if (status == DEV_OK)
		status = share_out(deal, deal->share[LEARN_TEST], n, test);
	for (size_t stratum = 0; stratum < deal->n_strata && status == DEV_OK; stratum++)
	{
		size_t		size = deal->stratum_rows[stratum];

		adjust_quota(deal, stratum, &validation[stratum], &test[stratum]);
		for (size_t i = 0; i < size; i++)
			deal->parts[sorted[first + i]] = i < test[stratum] ? LEARN_TEST :
				i < test[stratum] + validation[stratum] ? LEARN_VALIDATION : LEARN_TRAIN;
		first += size;
	}
	dev_release(session, sorted);
	dev_release(session, validation);
	dev_release(session, test);
	return status;
}

/* Equal shares: stratum after stratum is dealt round, so that neither strata nor folds differ by more than one row. */
static DevStatus
deal_round(const Deal *deal, const uint32_t *rows, size_t n)
{
	DevSession *session = deal->dataset->session;
	uint32_t   *sorted = dev_alloc(session, n, sizeof(uint32_t));
	DevStatus	status;

	if (sorted == NULL)
		return DEV_NO_MEMORY;
	status = shuffle_strata(deal, rows, n, sorted);
	if (status == DEV_OK)
		for (size_t i = 0; i < n; i++)
			deal->parts[sorted[i]] = deal->label[i % (size_t) deal->n_parts];
	dev_release(session, sorted);
	return status;
}

/* ---- Units ---- */

/* Numbers the groups in order of their first row: number[i] for rows[i]. The groups' hashes decide nothing else. */
static DevStatus
number_groups(LearnDataset *dataset, const uint32_t *rows, size_t n, uint32_t *number, size_t *n_groups)
{
	DevSession *session = dataset->session;
	size_t		n_slots = 64;
	uint32_t   *slots;			/* place in rows of a group's first row, + 1 */

	while (n_slots < n * 2)
		n_slots *= 2;
	slots = dev_alloc(session, n_slots, sizeof(uint32_t));
	if (slots == NULL)
		return DEV_NO_MEMORY;
	*n_groups = 0;
	for (size_t i = 0; i < n; i++)
	{
		uint64_t	group = dataset->groups == NULL ? 0 : dataset->groups[rows[i]];
		size_t		at = (size_t) ((group ^ group >> 32) * UINT64_C(0x9E3779B97F4A7C15) >> 20) & (n_slots - 1);

		if (poll_at(dataset, i) != DEV_OK)
			return DEV_CANCELLED;
		while (slots[at] != 0 && dataset->groups[rows[slots[at] - 1]] != group)
			at = (at + 1) & (n_slots - 1);
		if (slots[at] == 0)
		{
			slots[at] = (uint32_t) i + 1;
			number[i] = (uint32_t) (*n_groups)++;
		}
		else
			number[i] = number[slots[at] - 1];
		if (dataset->groups == NULL)
		{
			/* Nobody named a group: all rows are one. */
			memset(number, 0, n * sizeof(uint32_t));
			break;
		}
	}
	dev_release(session, slots);
	return DEV_OK;
}

/* Rows as units of their own, or gathered by group. */
static DevStatus
make_units(LearnDataset *dataset, const uint32_t *rows, size_t n, bool by_group, Units *units)
{
	DevSession *session = dataset->session;
	uint32_t   *number = NULL;
	DevStatus	status = DEV_OK;

	units->n = n;
	units->n_rows = n;
	units->rows = dev_alloc(session, n, sizeof(uint32_t));
	number = dev_alloc(session, n, sizeof(uint32_t));
	if (units->rows == NULL || number == NULL)
		return DEV_NO_MEMORY;
	if (by_group)
		status = number_groups(dataset, rows, n, number, &units->n);
	else
		for (size_t i = 0; i < n; i++)
			number[i] = (uint32_t) i;
	if (status != DEV_OK)
		return status;
	units->first = dev_alloc(session, units->n + 2, sizeof(size_t));
	if (units->first == NULL)
		return DEV_NO_MEMORY;
	/* first[u + 2] counts, then first[u + 1] walks from the start of unit u to its end. */
	for (size_t i = 0; i < n; i++)
		units->first[number[i] + 2]++;
	for (size_t unit = 0; unit < units->n; unit++)
		units->first[unit + 2] += units->first[unit + 1];
	for (size_t i = 0; i < n; i++)
		units->rows[units->first[number[i] + 1]++] = rows[i];
	dev_release(session, number);
	return dev_poll(session);
}

static void
free_units(DevSession *session, Units *units)
{
	dev_release(session, units->first);
	dev_release(session, units->rows);
	memset(units, 0, sizeof(*units));
}

static void
label_unit(const Deal *deal, const Units *units, size_t unit, int part)
{
	for (size_t i = units->first[unit]; i < units->first[unit + 1]; i++)
		deal->parts[units->rows[i]] = deal->label[part];
}

static int
count_wanted(const Deal *deal)
{
	int			wanted = 0;

	for (int part = 0; part < deal->n_parts; part++)
		wanted += deal->share[part] > 0;
	return wanted;
}

/* ---- By group ---- */

/* What a part still lacks of the strata of a unit after getting it, as a share of what it should have in the end. */
static double
lack_after(const Deal *deal, const Units *units, size_t unit, int part, const size_t *have, const size_t *in_unit)
{
	double		sum = 0;

	for (size_t i = units->first[unit]; i < units->first[unit + 1]; i++)
	{
		uint32_t	stratum = learn_stratum(deal->dataset, deal->task, units->rows[i]);
		double		wanted = deal->share[part] * (double) deal->stratum_rows[stratum];

		sum += (wanted - (double) have[stratum] - (double) in_unit[stratum]) / wanted;
	}
	return sum;
}

/* A part that got nothing takes the smallest unit of the part with the most. */
static void
fill_empty(const Deal *deal, const Units *units, const uint32_t *order, uint8_t *part_of, size_t *n_units)
{
	for (int part = 0; part < deal->n_parts; part++)
	{
		int			donor = 0;

		if (deal->share[part] <= 0 || n_units[part] > 0)
			continue;
		for (int other = 1; other < deal->n_parts; other++)
			if (n_units[other] > n_units[donor])
				donor = other;
		for (size_t i = units->n; i > 0; i--)
			if (part_of[order[i - 1]] == donor)
			{
				part_of[order[i - 1]] = (uint8_t) part;
				n_units[donor]--;
				n_units[part]++;
				break;
			}
	}
}

static DevStatus
choose_parts(const Deal *deal, const Units *units, const uint32_t *order, uint8_t *part_of, size_t *n_units)
{
	DevSession *session = deal->dataset->session;
	size_t	   *have = dev_alloc(session, deal->n_strata * (size_t) deal->n_parts, sizeof(size_t));
	size_t	   *in_unit = dev_alloc(session, deal->n_strata, sizeof(size_t));
	size_t		steps = 0;

	if (have == NULL || in_unit == NULL)
		return DEV_NO_MEMORY;
	for (size_t i = 0; i < units->n; i++)
	{
		size_t		unit = order[i];
		double		best_lack = -INFINITY;
		int			best = 0;

		for (size_t k = units->first[unit]; k < units->first[unit + 1]; k++)
			in_unit[learn_stratum(deal->dataset, deal->task, units->rows[k])]++;
		for (int part = 0; part < deal->n_parts; part++)
		{
			double		lack;

			if (deal->share[part] <= 0)
				continue;
			lack = lack_after(deal, units, unit, part, have + (size_t) part * deal->n_strata, in_unit);
			if (lack > best_lack)
			{
				best_lack = lack;
				best = part;
			}
			steps += 1 + units->first[unit + 1] - units->first[unit];
			if (steps >= POLL_STEPS)
			{
				steps = 0;
				if (dev_poll(session) != DEV_OK)
					return DEV_CANCELLED;
			}
		}
		part_of[unit] = (uint8_t) best;
		n_units[best]++;
		for (size_t k = units->first[unit]; k < units->first[unit + 1]; k++)
		{
			uint32_t	stratum = learn_stratum(deal->dataset, deal->task, units->rows[k]);

			have[(size_t) best * deal->n_strata + stratum]++;
			in_unit[stratum] = 0;
		}
	}
	dev_release(session, have);
	dev_release(session, in_unit);
	return DEV_OK;
}

static DevStatus
deal_groups(const Deal *deal, const Units *units)
{
	DevSession *session = deal->dataset->session;
	double	   *key = dev_alloc(session, units->n, sizeof(double));
	uint8_t    *part_of = dev_alloc(session, units->n, 1);
	uint32_t   *order = NULL;
	size_t		n_units[MOST_FOLDS] = {0};
	DevStatus	status;

	if (units->n < (size_t) count_wanted(deal))
	{
		dev_fail(session, DEV_BAD_DATA, "%zu groups cannot be dealt to %d parts", units->n, count_wanted(deal));
		dev_hint(session, "Choose another group_by, fewer parts or fewer folds.");
		return DEV_BAD_DATA;
	}
	if (key == NULL || part_of == NULL)
		return DEV_NO_MEMORY;
	/* Largest first, those of one size by chance. */
	for (size_t unit = 0; unit < units->n; unit++)
		key[unit] = dev_random_uniform(deal->seed, deal->stream, unit) -
			(double) (units->first[unit + 1] - units->first[unit]);
	status = learn_order(session, units->n, key, &order);
	if (status == DEV_OK)
		status = choose_parts(deal, units, order, part_of, n_units);
	if (status == DEV_OK)
	{
		fill_empty(deal, units, order, part_of, n_units);
		for (size_t unit = 0; unit < units->n; unit++)
			label_unit(deal, units, unit, part_of[unit]);
	}
	dev_release(session, key);
	dev_release(session, part_of);
	dev_release(session, order);
	return status;
}

/* ---- By order ---- */

/* A unit is as late as its latest row; rows without an order count as the earliest. */
static double
latest_row(const LearnDataset *dataset, const Units *units, size_t unit)
{
	double		latest = -INFINITY;

	for (size_t i = units->first[unit]; i < units->first[unit + 1]; i++)
	{
		double		order = dataset->orders == NULL ? 0 : dataset->orders[units->rows[i]];

		if (order > latest)
			latest = order;
	}
	return latest;
}

/* The part in whose share of all rows, laid end to end, the middle of a run lies. */
static int
part_at(const Deal *deal, double middle)
{
	double		end = 0;
	int			last = 0;

	for (int part = 0; part < deal->n_parts; part++)
	{
		if (deal->share[part] <= 0)
			continue;
		last = part;
		end += deal->share[part];
		if (middle < end)
			break;
	}
	return last;
}

/* Walks over runs of units of equal order; n_runs is known at the second walk, which labels. */
static DevStatus
walk_runs(const Deal *deal, const Units *units, const uint32_t *order, const double *key, size_t *n_runs, bool label)
{
	int			parts[MOST_FOLDS];	/* those that want rows */
	int			n_parts = 0;
	int			previous = -1;
	size_t		run = 0;
	size_t		before = 0;
	size_t		end;

	for (int part = 0; part < deal->n_parts; part++)
		if (deal->share[part] > 0)
			parts[n_parts++] = part;
	for (size_t first = 0; first < units->n; first = end, run++)
	{
		size_t		size = 0;
		int			chosen = 0;
		int			part;

		for (end = first; end < units->n && key[order[end]] == key[order[first]]; end++)
		{
			if (poll_at(deal->dataset, end) != DEV_OK)
				return DEV_CANCELLED;
			size += units->first[order[end] + 1] - units->first[order[end]];
		}
		if (!label)
			continue;
		part = part_at(deal, ((double) before + (double) size / 2) / (double) units->n_rows);
		while (parts[chosen] != part)
			chosen++;
		/* No part is skipped, and enough runs are left for those to come. */
		if (chosen > previous + 1)
			chosen = previous + 1;
		if ((size_t) chosen + (*n_runs - run) < (size_t) n_parts)
			chosen = n_parts - (int) (*n_runs - run);
		for (size_t i = first; i < end; i++)
			label_unit(deal, units, order[i], parts[chosen]);
		previous = chosen;
		before += size;
	}
	*n_runs = run;
	return DEV_OK;
}

static DevStatus
deal_in_order(const Deal *deal, const Units *units)
{
	DevSession *session = deal->dataset->session;
	double	   *key = dev_alloc(session, units->n, sizeof(double));
	uint32_t   *order = NULL;
	size_t		n_runs = 0;
	DevStatus	status;

	if (key == NULL)
		return DEV_NO_MEMORY;
	for (size_t unit = 0; unit < units->n; unit++)
		key[unit] = latest_row(deal->dataset, units, unit);
	status = learn_order(session, units->n, key, &order);
	if (status == DEV_OK)
		status = walk_runs(deal, units, order, key, &n_runs, false);
	if (status == DEV_OK && n_runs < (size_t) count_wanted(deal))
	{
		status = dev_fail(session, DEV_BAD_DATA, "order_by has only %zu different values for %d parts", n_runs, count_wanted(deal));
		dev_detail(session, "Rows of equal order stay in one part.");
		dev_hint(session, "Choose another order_by, fewer parts or fewer folds.");
	}
	if (status == DEV_OK)
		status = walk_runs(deal, units, order, key, &n_runs, true);
	dev_release(session, key);
	dev_release(session, order);
	return status;
}

/* ---- Both ---- */

/* Deals rows (n) by the means that split names; equal: the parts are folds. */
static DevStatus
deal_rows(Deal *deal, const LearnSplit *split, const uint32_t *rows, size_t n, bool equal)
{
	DevSession *session = deal->dataset->session;
	Units		units = {0};
	DevStatus	status;

	deal->stratum_rows = count_strata(deal, rows, n);
	if (deal->stratum_rows == NULL)
		return DEV_NO_MEMORY;
	if (split->by_group || split->by_order)
	{
		status = make_units(deal->dataset, rows, n, split->by_group, &units);
		if (status == DEV_OK)
			status = split->by_order ? deal_in_order(deal, &units) : deal_groups(deal, &units);
		free_units(session, &units);
	}
	else
		status = equal ? deal_round(deal, rows, n) : deal_shares(deal, rows, n);
	dev_release(session, deal->stratum_rows);
	deal->stratum_rows = NULL;
	return status;
}

/* Numbers of the rows whose part is in the set `wanted` (bit 1 << part; bit 3: unassigned), ascending. */
static DevStatus
list_rows(LearnDataset *dataset, unsigned wanted, uint32_t **rows, size_t *n)
{
	*n = 0;
	*rows = dev_alloc(dataset->session, dataset->n_rows, sizeof(uint32_t));
	if (*rows == NULL)
		return DEV_NO_MEMORY;
	for (size_t row = 0; row < dataset->n_rows; row++)
	{
		unsigned	part = dataset->parts[row] < LEARN_N_PARTS ? dataset->parts[row] : LEARN_N_PARTS;

		(*rows)[*n] = (uint32_t) row;
		*n += wanted >> part & 1;
	}
	return dev_poll(dataset->session);
}

static DevStatus
check_split(LearnDataset *dataset, const LearnSplit *split)
{
	DevSession *session = dataset->session;

	if (!(split->validation >= 0 && split->validation < 1))
		return dev_fail(session, DEV_INVALID, "validation must be at least 0 and less than 1, not %g", split->validation);
	if (!(split->test >= 0 && split->test < 1))
		return dev_fail(session, DEV_INVALID, "test must be at least 0 and less than 1, not %g", split->test);
	if (!(split->validation + split->test < 1))
		return dev_fail(session, DEV_INVALID, "validation %g and test %g leave no rows to train on", split->validation, split->test);
	if (dataset->stage != STAGE_OPEN)
		return dev_fail(session, DEV_INVALID, "the data set is split before it is fitted, not after");
	if (dataset->n_rows == 0)
		return dev_fail(session, DEV_BAD_DATA, "there are no rows to learn from");
	return DEV_OK;
}

/* Every row must have come with its part. */
static DevStatus
check_given(LearnDataset *dataset)
{
	size_t		sizes[LEARN_N_PARTS];
	size_t		assigned = 0;

	learn_part_sizes(dataset, sizes);
	for (int part = 0; part < LEARN_N_PARTS; part++)
		assigned += sizes[part];
	if (assigned == dataset->n_rows)
		return DEV_OK;
	dev_fail(dataset->session, DEV_BAD_DATA, "%zu of %zu rows belong to no part", dataset->n_rows - assigned, dataset->n_rows);
	dev_hint(dataset->session, "Name the part of every row: train, validation or test.");
	return DEV_BAD_DATA;
}

/* One class, or no event, teaches nothing. */
static DevStatus
check_classes(LearnDataset *dataset, LearnTask task, const size_t *rows_of, size_t n_strata, const char *where)
{
	size_t		present = 0;

	if (task == LEARN_REGRESSION)
		return DEV_OK;
	if (task == LEARN_SURVIVAL)
		return n_strata > 1 && rows_of[1] > 0 ? DEV_OK :
			dev_fail(dataset->session, DEV_BAD_DATA, "no row%s has the event", where);
	for (size_t stratum = 0; stratum < n_strata; stratum++)
		present += rows_of[stratum] > 0;
	if (present >= 2)
		return DEV_OK;
	dev_fail(dataset->session, DEV_BAD_DATA, "the target has only one class%s", where);
	dev_hint(dataset->session, "A classifier needs rows of at least two classes to learn from.");
	return DEV_BAD_DATA;
}

/* ---- What came out ---- */

static const char *const part_names[] = {"training", "validation", "test"};

static DevStatus
note_part(LearnDataset *dataset, LearnTask task, int part, size_t size, const size_t *in_part, const size_t *in_all,
		  size_t n_strata, LearnNotes *notes)
{
	size_t		absent = 0;
	size_t		present = 0;

	for (size_t stratum = 0; stratum < n_strata; stratum++)
	{
		present += in_all[stratum] > 0;
		absent += in_all[stratum] > 0 && in_part[stratum] == 0;
	}
	if (part != LEARN_TRAIN && size < FEW_ROWS &&
		learn_note(dataset->session, notes, false, "What is measured on so few rows is very uncertain.", NULL,
				   "the %s part has only %zu row%s", part_names[part], size, size == 1 ? "" : "s") != DEV_OK)
		return DEV_NO_MEMORY;
	if (absent == 0 || task == LEARN_REGRESSION)
		return DEV_OK;
	if (task == LEARN_SURVIVAL)
		return learn_note(dataset->session, notes, false, NULL, NULL, "all rows of the %s part are %s", part_names[part],
						  in_part[1] == 0 ? "without the event" : "with the event");
	return learn_note(dataset->session, notes, part == LEARN_TRAIN,
					  part == LEARN_TRAIN ? "The model cannot learn classes that it never sees." : NULL, NULL,
					  "%zu of %zu classes have no row in the %s part", absent, present, part_names[part]);
}

/* Refuses a split that cannot be used and remarks on one that is poor. */
static DevStatus
check_result(LearnDataset *dataset, const LearnSplit *split, size_t n_strata, LearnNotes *notes)
{
	DevSession *session = dataset->session;
	double		share[LEARN_N_PARTS] = {1, split->validation, split->given ? 0 : split->test};
	size_t		sizes[LEARN_N_PARTS];
	size_t	   *counts = dev_alloc(session, n_strata * (LEARN_N_PARTS + 1), sizeof(size_t));
	size_t	   *in_all;
	DevStatus	status = DEV_OK;

	if (counts == NULL)
		return DEV_NO_MEMORY;
	in_all = counts + n_strata * LEARN_N_PARTS;
	for (size_t row = 0; row < dataset->n_rows; row++)
	{
		uint32_t	stratum = learn_stratum(dataset, split->task, row);

		if (poll_at(dataset, row) != DEV_OK)
			return DEV_CANCELLED;
		counts[dataset->parts[row] * n_strata + stratum]++;
		in_all[stratum]++;
	}
	learn_part_sizes(dataset, sizes);
	for (int part = 0; part < LEARN_N_PARTS; part++)
		if (share[part] > 0 && sizes[part] < (part == LEARN_TRAIN ? 2 : 1))
		{
			dev_fail(session, DEV_BAD_DATA, "%zu rows are too few: the %s part would have %zu", dataset->n_rows,
					 part_names[part], sizes[part]);
			dev_hint(session, "Give more rows, or ask for other parts with the options validation and test.");
			return DEV_BAD_DATA;
		}
	status = check_classes(dataset, split->task, counts, n_strata, " in the training part");
	for (int part = 0; part < LEARN_N_PARTS && status == DEV_OK; part++)
		if (sizes[part] > 0)
			status = note_part(dataset, split->task, part, sizes[part], counts + (size_t) part * n_strata, in_all,
							   n_strata, notes);
	dev_release(session, counts);
	return status;
}

/* Parts that a column names may tear a group apart; that is the user's choice, but he must know. */
static DevStatus
note_torn_groups(LearnDataset *dataset, const uint32_t *rows, size_t n, LearnNotes *notes)
{
	Units		units = {0};
	size_t		torn = 0;
	DevStatus	status = make_units(dataset, rows, n, true, &units);

	for (size_t unit = 0; unit < units.n && status == DEV_OK; unit++)
	{
		size_t		i = units.first[unit];

		while (i < units.first[unit + 1] && dataset->parts[units.rows[i]] == dataset->parts[units.rows[units.first[unit]]])
			i++;
		torn += i < units.first[unit + 1];
	}
	if (status == DEV_OK && torn > 0)
		status = learn_note(dataset->session, notes, true, "What the model remembers of a group flatters its metrics.", NULL,
							"%zu of %zu groups of group_by have rows in several parts", torn, units.n);
	free_units(dataset->session, &units);
	return status;
}

static DevStatus
note_missing_order(LearnDataset *dataset, const uint32_t *rows, size_t n, LearnNotes *notes)
{
	size_t		missing = 0;

	if (dataset->orders == NULL)
		return DEV_OK;
	for (size_t i = 0; i < n; i++)
		missing += isnan(dataset->orders[rows[i]]);
	if (missing == 0)
		return DEV_OK;
	return learn_note(dataset->session, notes, false, NULL, "Filter them out in the source if they may be late.",
					  "%zu rows have no order and count as the earliest", missing);
}

DevStatus
learn_split(LearnDataset *dataset, const LearnSplit *split, LearnNotes *notes)
{
	Deal		deal = {.dataset = dataset,.task = split->task,.seed = split->seed,.stream = DEV_STREAM_SPLIT,
		.n_parts = LEARN_N_PARTS,.label = {LEARN_TRAIN, LEARN_VALIDATION, LEARN_TEST},.parts = dataset->parts};
	size_t		sizes[LEARN_N_PARTS];
	uint32_t   *rows = NULL;
	size_t		n = 0;
	DevStatus	status = check_split(dataset, split);

	if (status == DEV_OK)
		status = learn_check_targets(dataset, split->task, &deal.n_strata);
	if (status == DEV_OK && split->given)
		status = check_given(dataset);
	if (status != DEV_OK)
		return status;
	learn_part_sizes(dataset, sizes);
	deal.share[LEARN_VALIDATION] = split->validation;
	deal.share[LEARN_TEST] = split->given ? 0 : split->test;
	deal.share[LEARN_TRAIN] = 1 - deal.share[LEARN_VALIDATION] - deal.share[LEARN_TEST];

	status = list_rows(dataset, split->given ? 1u << LEARN_TRAIN : ~0u, &rows, &n);
	if (status == DEV_OK && n == 0)
		status = dev_fail(dataset->session, DEV_BAD_DATA, "no row belongs to the training part");
	if (status == DEV_OK && split->by_order)
		status = note_missing_order(dataset, rows, n, notes);
	if (status == DEV_OK)
	{
		deal.stratum_rows = count_strata(&deal, rows, n);
		status = deal.stratum_rows == NULL ? DEV_NO_MEMORY :
			check_classes(dataset, split->task, deal.stratum_rows, deal.n_strata, split->given ? " in the training part" : "");
		dev_release(dataset->session, deal.stratum_rows);
	}
	if (status == DEV_OK && (!split->given || (split->validation > 0 && sizes[LEARN_VALIDATION] == 0)))
		status = deal_rows(&deal, split, rows, n, false);
	dev_release(dataset->session, rows);
	rows = NULL;
	if (status == DEV_OK && split->given && split->by_group)
	{
		status = list_rows(dataset, ~0u, &rows, &n);
		if (status == DEV_OK)
			status = note_torn_groups(dataset, rows, n, notes);
		dev_release(dataset->session, rows);
	}
	dataset->grouped = split->by_group;
	return status == DEV_OK ? check_result(dataset, split, deal.n_strata, notes) : status;
}

DevStatus
learn_folds(LearnDataset *dataset, const LearnSplit *split, int n_folds, uint8_t **fold)
{
	DevSession *session = dataset->session;
	Deal		deal = {.dataset = dataset,.task = split->task,.seed = split->seed,.stream = DEV_STREAM_FOLD,.n_parts = n_folds};
	uint32_t   *rows = NULL;
	size_t		n = 0;
	DevStatus	status;

	*fold = NULL;
	if (n_folds < 2 || n_folds > MOST_FOLDS)
		return dev_fail(session, DEV_INVALID, "folds must be between 2 and %d, not %d", MOST_FOLDS, n_folds);
	status = list_rows(dataset, 1u << LEARN_TRAIN | 1u << LEARN_VALIDATION, &rows, &n);
	/* The targets of a regression may have been standardised since the split; nothing here looks at their size. */
	if (status == DEV_OK)
		status = learn_check_targets(dataset, split->task, &deal.n_strata);
	if (status == DEV_OK && n < (size_t) n_folds)
		status = dev_fail(session, DEV_BAD_DATA, "%zu rows cannot be dealt to %d folds", n, n_folds);
	if (status != DEV_OK)
		return status;
	deal.parts = dev_alloc(session, dataset->n_rows, 1);
	if (deal.parts == NULL)
		return DEV_NO_MEMORY;
	memset(deal.parts, 255, dataset->n_rows);
	for (int part = 0; part < n_folds; part++)
	{
		deal.share[part] = 1.0 / n_folds;
		deal.label[part] = (uint8_t) part;
	}
	status = deal_rows(&deal, split, rows, n, true);
	dev_release(session, rows);
	if (status == DEV_OK)
		*fold = deal.parts;
	else
		dev_release(session, deal.parts);
	return status;
}

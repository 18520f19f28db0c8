/*
 * deal.c: dealing rows to parts.
 *
 * What is dealt is units: single rows, or groups of rows that must stay together.
 * - by chance: rows are shuffled within their class and each part gets its share of every class;
 * - by group: the largest groups first, each to the part that lacks its classes most;
 * - by order: the last go to the test part, those before them to validation. Rows of equal order
 *   are one unit, so that nothing in an earlier part is as late as anything in a later one. Groups are
 *   ordered by their latest row: every row of the training part is then earlier than the
 *   latest row of any group that judges.
 */
#include "rank.h"

#include "deal.h"

#include <string.h>

/* Rows of each stratum among `rows`; NULL after an error. */
size_t *
learn_count_strata(const Deal *deal, const uint32_t *rows, size_t n)
{
	size_t	   *counts = dev_alloc(deal->dataset->session, deal->n_strata, sizeof(size_t));

	for (size_t i = 0; counts != NULL && i < n; i++)
	{
		if (deal_poll(deal->dataset, i) != DEV_OK)
		{
			dev_release(deal->dataset->session, counts);
			return NULL;
		}
		counts[learn_stratum(deal->dataset, deal->task, rows[i])]++;
	}
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
		if (deal_poll(deal->dataset, i) != DEV_OK)
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

			if (deal_poll(deal->dataset, step) != DEV_OK)
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
		for (size_t i = 0; i < size && status == DEV_OK; i++)
		{
			status = deal_poll(deal->dataset, i);
			deal->parts[sorted[first + i]] = i < test[stratum] ? LEARN_TEST :
				i < test[stratum] + validation[stratum] ? LEARN_VALIDATION : LEARN_TRAIN;
		}
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
		for (size_t i = 0; i < n && status == DEV_OK; i++)
		{
			deal->parts[sorted[i]] = deal->label[i % (size_t) deal->n_parts];
			status = deal_poll(deal->dataset, i);
		}
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

	*n_groups = 0;
	if (dataset->groups == NULL)
	{
		/* No row named a group: all are one, as number (zeroed) says already. */
		*n_groups = 1;
		return DEV_OK;
	}
	while (n_slots < n * 2)
		n_slots *= 2;
	slots = dev_alloc(session, n_slots, sizeof(uint32_t));
	if (slots == NULL)
		return DEV_NO_MEMORY;
	for (size_t i = 0; i < n; i++)
	{
		uint64_t	group = dataset->groups[rows[i]];
		size_t		at = (size_t) ((group ^ group >> 32) * UINT64_C(0x9E3779B97F4A7C15) >> 20) & (n_slots - 1);

		if (deal_poll(dataset, i) != DEV_OK)
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
	}
	dev_release(session, slots);
	return DEV_OK;
}

/* Rows as units of their own, or gathered by group. */
DevStatus
learn_units_create(LearnDataset *dataset, const uint32_t *rows, size_t n, bool by_group, Units *units)
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
	{
		if (deal_poll(dataset, i) != DEV_OK)
			return DEV_CANCELLED;
		units->rows[units->first[number[i] + 1]++] = rows[i];
	}
	dev_release(session, number);
	return DEV_OK;
}

void
learn_units_free(DevSession *session, Units *units)
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
			if (steps >= DEAL_POLL_STEPS)
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
			if (deal_poll(deal->dataset, end) != DEV_OK)
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

/* ---- The three together ---- */

/* Deals rows (n) by the means that split names; folds: all parts have equal shares. */
DevStatus
learn_deal_rows(Deal *deal, const LearnSplit *split, const uint32_t *rows, size_t n, bool folds)
{
	DevSession *session = deal->dataset->session;
	Units		units = {0};
	DevStatus	status;

	deal->stratum_rows = learn_count_strata(deal, rows, n);
	if (deal->stratum_rows == NULL)
		return dev_status(session);
	if (split->by_group || split->by_order)
	{
		status = learn_units_create(deal->dataset, rows, n, split->by_group, &units);
		if (status == DEV_OK)
			status = split->by_order ? deal_in_order(deal, &units) : deal_groups(deal, &units);
		learn_units_free(session, &units);
	}
	else
		status = folds ? deal_round(deal, rows, n) : deal_shares(deal, rows, n);
	dev_release(session, deal->stratum_rows);
	deal->stratum_rows = NULL;
	return status;
}


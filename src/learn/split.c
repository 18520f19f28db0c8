/*
 * split.c: which rows teach, which decide when to stop, and which judge.
 *
 * Checks what is asked and what the targets allow, lets deal.c do it, and judges what came
 * out: a split that cannot be used is refused, a poor one is remarked upon. Folds are parts of equal shares.
 */
#include "deal.h"

#include <string.h>

#define MOST_STRATA ((size_t) 1 << 20)
#define FEW_ROWS 10				/* a part smaller than this is remarked upon */

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
	if (task == LEARN_TAGGING)
		return DEV_OK;
	if (n_targets < needed)
		return dev_fail(dataset->session, DEV_INVALID, "the task needs %zu targets, the data set has %zu", needed, n_targets);
	for (size_t row = 0; row < dataset->n_rows; row++)
	{
		const float *target = dataset->targets + row * n_targets;
		float		class_code = task == LEARN_SURVIVAL ? target[1] : target[0];

		if (deal_poll(dataset, row) != DEV_OK)
			return DEV_CANCELLED;
		for (size_t i = 0; i < n_targets; i++)
			if (!isfinite(target[i]))
				return bad_target(dataset, row, "target is not finite", target[i]);
		for (size_t i = 0; i < n_targets && task == LEARN_MULTILABEL; i++)
			if (target[i] != 0 && target[i] != 1)
				return bad_target(dataset, row, "label is neither 0 nor 1", target[i]);
		if (task == LEARN_REGRESSION || task == LEARN_MULTILABEL)
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

/* ---- Checks before ---- */

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

	if (task == LEARN_REGRESSION || task == LEARN_MULTILABEL || task == LEARN_TAGGING)
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
	if (absent == 0 || task == LEARN_REGRESSION || task == LEARN_MULTILABEL || task == LEARN_TAGGING)
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

		if (deal_poll(dataset, row) != DEV_OK)
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
	DevStatus	status = learn_units_create(dataset, rows, n, true, &units);

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
	learn_units_free(dataset->session, &units);
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
		deal.stratum_rows = learn_count_strata(&deal, rows, n);
		status = deal.stratum_rows == NULL ? dev_status(dataset->session) :
			check_classes(dataset, split->task, deal.stratum_rows, deal.n_strata, split->given ? " in the training part" : "");
		dev_release(dataset->session, deal.stratum_rows);
	}
	if (status == DEV_OK && (!split->given || (split->validation > 0 && sizes[LEARN_VALIDATION] == 0)))
		status = learn_deal_rows(&deal, split, rows, n, false);
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
	status = learn_deal_rows(&deal, split, rows, n, true);
	dev_release(session, rows);
	if (status == DEV_OK)
		*fold = deal.parts;
	else
		dev_release(session, deal.parts);
	return status;
}

/*
 * manifest_conformal.c: how far off answers may be, as jsonb and back.
 *
 * A table is the number of its rows and the scores kept of them; their ranks follow. What is read was written by
 * anyone: tables must be as many as the targets and subgroups, and their scores few, finite and ascending.
 */
#include "manifest.h"

#include <math.h>

#include "conformal.h"
#include "utils/builtins.h"

static void
put_table(StringInfo out, const LearnScoreTable *table)
{
	idla_json_open_object(out);
	idla_json_put_integer(out, "rows", (int64) table->n);
	idla_json_open_array(out, "scores");
	for (int i = 0; i < table->n_knots; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		idla_json_number_float(out, table->knots[i]);
	}
	appendStringInfoString(out, "]}");
}

void
idla_conformal_put(StringInfo out, const IdlaModel *model)
{
	const LearnConformal *conformal = model->learn.conformal;
	int			n_tables;

	if (conformal == NULL)
		return;
	n_tables = (1 + conformal->n_groups) * conformal->n_targets;
	idla_json_key(out, "conformal");
	appendStringInfoChar(out, '{');
	idla_json_put_string(out, "score", learn_conformal_score_names[conformal->score]);
	idla_json_put_string(out, "by", conformal->by);
	if (OidIsValid(model->subgroup_type))
		idla_json_put_string(out, "by_type", format_type_be(model->subgroup_type));
	idla_json_put_strings(out, "groups", conformal->groups, conformal->n_groups);
	if (conformal->score == LEARN_CONFORMAL_SCALED)
	{
		idla_json_open_array(out, "spreads");
		for (int i = 0; i < conformal->n_targets; i++)
		{
			idla_json_open_object(out);
			idla_json_put_doubles(out, "at", conformal->spreads[i].at, (size_t) conformal->spreads[i].n);
			idla_json_put_doubles(out, "spread", conformal->spreads[i].spread, (size_t) conformal->spreads[i].n);
			appendStringInfoChar(out, '}');
		}
		appendStringInfoChar(out, ']');
	}
	idla_json_open_array(out, "tables");
	for (int i = 0; i < n_tables; i++)
		put_table(out, &conformal->tables[i]);
	appendStringInfoString(out, "]}");
}

/* ---- reading ---- */

static void
read_table(IdlaModel *model, JsonbContainer *object, LearnScoreTable *table)
{
	int64		rows = idla_json_integer(object, "rows", 1, INT64CONST(1) << 53);

	JsonbValue *values = idla_json_array(object, "scores", 1, LEARN_CONFORMAL_MOST_KNOTS, &table->n_knots);

	table->knots = idla_keep(model->work, (size_t) table->n_knots, sizeof(float));
	table->n = (uint64) rows;
	if (table->n_knots > rows)
		idla_corrupt("%lld rows have %d conformal scores", (long long) rows, table->n_knots);
	for (int i = 0; i < table->n_knots; i++)
	{
		double		score = idla_json_double_of(&values[i], "scores");

		table->knots[i] = (float) score;
		if (!isfinite(table->knots[i]) || table->knots[i] < (i == 0 ? 0 : table->knots[i - 1]))
			idla_corrupt("Conformal scores are negative, too large, or do not ascend");
	}
}

static void
read_spread(IdlaModel *model, JsonbContainer *object, LearnSpread *spread)
{
	int			n;

	spread->at = idla_json_keep_doubles(model, object, "at", 1, LEARN_CONFORMAL_MOST_KNOTS, &spread->n);
	spread->spread = idla_json_keep_doubles(model, object, "spread", spread->n, spread->n, &n);
	for (int i = 0; i < n; i++)
		if (spread->spread[i] <= 0 || (i > 0 && spread->at[i] <= spread->at[i - 1]))
			idla_corrupt("Spreads are not positive, or their places do not ascend");
}

static void
read_groups(IdlaModel *model, JsonbContainer *object, LearnConformal *conformal)
{
	JsonbValue *values = idla_json_array(object, "groups", 0, LEARN_CONFORMAL_MOST_GROUPS, &conformal->n_groups);
	char	   *by = idla_json_string(object, "by", conformal->n_groups > 0);

	conformal->by = by == NULL ? NULL : idla_keep_string(model->work, by);
	if (idla_json_find(object, "by_type") != NULL)
		model->subgroup_type = idla_builtin_type(idla_json_string(object, "by_type", true));
	conformal->groups = idla_keep(model->work, (size_t) conformal->n_groups, sizeof(char *));
	for (int i = 0; i < conformal->n_groups; i++)
		conformal->groups[i] = idla_keep_string(model->work, idla_json_string_of(&values[i], "groups"));
}

void
idla_conformal_manifest(IdlaModel *model, JsonbContainer *root)
{
	const LearnModel *learn = &model->learn;
	JsonbValue *value = idla_json_find(root, "conformal");
	LearnConformal *conformal;
	JsonbContainer *object;
	JsonbValue *values;
	char	   *word;
	int			score;
	int			n;

	if (value == NULL)
		return;
	object = idla_json_object_of(value, "conformal");
	word = idla_json_string(object, "score", true);
	score = learn_name_find(learn_conformal_score_names, word);
	if (score < 0 || !learn_conformal_fits(learn->task, (LearnConformalScore) score))
		idla_corrupt("Key \"score\" is \"%s\", which does not fit the task", word);
	conformal = idla_keep(model->work, 1, sizeof(LearnConformal));
	conformal->score = (LearnConformalScore) score;
	conformal->n_targets = learn->task == LEARN_REGRESSION ? learn->n_targets : 1;
	read_groups(model, object, conformal);
	if (conformal->score == LEARN_CONFORMAL_SCALED)
	{
		values = idla_json_array(object, "spreads", conformal->n_targets, conformal->n_targets, &n);
		conformal->spreads = idla_keep(model->work, (size_t) n, sizeof(LearnSpread));
		for (int i = 0; i < n; i++)
			read_spread(model, idla_json_object_of(&values[i], "spreads"), &conformal->spreads[i]);
	}
	n = (1 + conformal->n_groups) * conformal->n_targets;
	values = idla_json_array(object, "tables", n, n, &n);
	conformal->tables = idla_keep(model->work, (size_t) n, sizeof(LearnScoreTable));
	for (int i = 0; i < n; i++)
		read_table(model, idla_json_object_of(&values[i], "tables"), &conformal->tables[i]);
	model->learn.conformal = conformal;
}

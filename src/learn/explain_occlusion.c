/*
 * explain_occlusion.c: segments of a signal that a model sees as features of the whole.
 *
 * MiniRocket's features are counts, which have no slope by any sample. So the question is put to the signal itself: samples are
 * replaced by the training part's means, which is what a network would see in place of nothing, and the model is asked again. The
 * segments are the players of the same game that columns play (explain_shapley.c); only where its points lie differs.
 */
#include "explain.h"

#include "windows.h"

#include <math.h>
#include <string.h>

#define MOST_EXACT 10			/* segments: a thousand signals to transform */
#define LEAST_EXACT 4			/* the same where a signal is many windows */
#define BUDGET 2048				/* signals that orders of more segments cost, about */
#define FEWEST_ORDERS 8
#define MOST_ORDERS 128
#define POINTS_AT_ONCE 8		/* between two looks at whether to stop */

typedef struct LearnOcclusion
{
	const float *raw;
	LearnBytes *fields;			/* (n_fields): the row's, but for the signal */
	float	   *signal;			/* the signal with what is replaced */
	float	   *kept;			/* in it: what the network sees, the values of path */
	double	   *scores;			/* (n_outputs) */
	LearnPath	path;			/* from the means to the row */
} LearnOcclusion;

static double
score_of(const LearnExplainer *explainer, const double *scores)
{
	const LearnPredictor *predictor = explainer->predictor;
	size_t		output = (size_t) explainer->output;

	return predictor->model->task == LEARN_MULTICLASS ? learn_log_odds(predictor->n_outputs, scores, output, NULL) : scores[output];
}

DevStatus
learn_occluded_scores(LearnExplainer *explainer, size_t first, size_t n, LearnFill fill, void *context, double *scores)
{
	LearnOcclusion *occlusion = explainer->occlusion;
	DevStatus	status = DEV_OK;

	for (size_t point = 0; point < n && status == DEV_OK; point++)
	{
		fill(context, first + point, &occlusion->path, occlusion->kept);
		status = learn_predict_scores(explainer->predictor, 1, occlusion->raw, occlusion->fields, occlusion->scores);
		if (status == DEV_OK)
			scores[point] = score_of(explainer, occlusion->scores);
	}
	return status;
}

/* ---- Making ---- */

static void
fill_path(LearnExplainer *explainer, const LearnField *field, const LearnExplain *how)
{
	LearnPath  *path = &explainer->occlusion->path;
	size_t		depth = learn_field_depth(field);

	for (size_t i = 0; i < path->n_values; i++)
	{
		path->baseline[i] = field->center[i % depth];
		path->group_of[i] = how->segment_of[i];
		if (path->row[i] != path->baseline[i])
			explainer->moves[path->group_of[i]] = true;
	}
}

/* Signals are stored as floats, (samples, leads). */
static DevStatus
open_occlusion(LearnExplainer *explainer, const float *raw, const LearnBytes *fields, const LearnExplain *how)
{
	const LearnModel *model = explainer->predictor->model;
	const LearnField *field = &model->fields[how->field];
	DevSession *session = explainer->session;
	LearnOcclusion *occlusion = explainer->occlusion;
	LearnPath  *path = &occlusion->path;
	LearnBytes	stored = fields[how->field];
	size_t		places = learn_field_places(field, stored);
	size_t		first;

	occlusion->raw = raw;
	occlusion->fields = dev_alloc(session, (size_t) model->n_fields, sizeof(LearnBytes));
	occlusion->signal = dev_alloc(session, stored.size + sizeof(float), 1);
	occlusion->scores = dev_alloc(session, explainer->predictor->n_outputs, sizeof(double));
	path->baseline = dev_alloc(session, places, sizeof(float));
	path->row = dev_alloc(session, places, sizeof(float));
	path->group_of = dev_alloc(session, places, sizeof(int));
	explainer->moves = dev_alloc(session, explainer->n_groups, sizeof(bool));
	if (occlusion->fields == NULL || occlusion->signal == NULL || occlusion->scores == NULL || path->baseline == NULL ||
		path->row == NULL || path->group_of == NULL || explainer->moves == NULL)
		return DEV_NO_MEMORY;
	memcpy(occlusion->fields, fields, (size_t) model->n_fields * sizeof(LearnBytes));
	if (stored.bytes != NULL)
	{
		memcpy(occlusion->signal, stored.bytes, stored.size);
		occlusion->fields[how->field].bytes = occlusion->signal;
	}
	path->n_values = learn_field_depth(field) * learn_field_values(field, stored, path->row, &first);
	occlusion->kept = occlusion->signal + first * learn_field_depth(field);
	fill_path(explainer, field, how);
	return DEV_OK;
}

static void
close_occlusion(LearnExplainer *explainer)
{
	LearnOcclusion *occlusion = explainer->occlusion;

	dev_release(explainer->session, occlusion->fields);
	dev_release(explainer->session, occlusion->signal);
	dev_release(explainer->session, occlusion->scores);
	dev_release(explainer->session, occlusion->path.baseline);
	dev_release(explainer->session, occlusion->path.row);
	dev_release(explainer->session, occlusion->path.group_of);
	dev_release(explainer->session, explainer->moves);
}

/* ---- Entry ---- */

/* A transformed signal costs more than a pass of a table's network: fewer are asked about unless the caller says. */
static LearnExplain
make_cheap(const LearnExplain *how, size_t n_windows)
{
	LearnExplain cheap = *how;
	int			orders = BUDGET / (how->n_segments + 1) / (int) n_windows;

	if (cheap.exact <= 0 || cheap.exact > MOST_EXACT)
		cheap.exact = MOST_EXACT;
	while (cheap.exact > LEAST_EXACT && n_windows << cheap.exact > (size_t) BUDGET)
		cheap.exact--;
	if (cheap.permutations <= 0)
		cheap.permutations = orders < FEWEST_ORDERS ? FEWEST_ORDERS : orders > MOST_ORDERS ? MOST_ORDERS : orders;
	return cheap;
}

/* Scores of the row and of the mean of the training part's features, as every other explanation has them. */
static DevStatus
find_ends(LearnPredictor *predictor, const float *raw, const LearnBytes *fields, const LearnExplain *how, double ends[2])
{
	LearnExplain by_columns = {.output = how->output};
	LearnExplainer *explainer;
	DevStatus	status = learn_explain_open(predictor, raw, fields, &by_columns, &explainer);

	return status == DEV_OK ? learn_explain_ends(explainer, ends) : status;
}

DevStatus
learn_explain_occluded(LearnPredictor *predictor, const float *raw, const LearnBytes *fields, const LearnExplain *how,
					   double *contributions, double *score, double *baseline, double *error)
{
	LearnOcclusion occlusion = {.raw = NULL};
	LearnExplainer explainer = {
		.predictor = predictor, .session = predictor->session, .output = how->output, .batch = POINTS_AT_ONCE,
		.n_groups = (size_t) how->n_segments + 1, .occlusion = &occlusion
	};
	const LearnField *field = &predictor->model->fields[how->field];
	LearnExplain cheap = make_cheap(how, learn_field_windows(field, fields[how->field].bytes == NULL ? 0 : fields[how->field].size));
	double		ends[2];
	double		occluded;
	double		sum = 0;
	DevStatus	status;

	if (how->method != LEARN_SHAPLEY)
	{
		status = dev_fail(predictor->session, DEV_INVALID, "the features that the model sees of column \"%s\" have no gradients",
						  field->name);
		dev_hint(predictor->session, "Use the method \"shapley\".");
		return status;
	}
	memset(contributions, 0, explainer.n_groups * sizeof(double));
	status = find_ends(predictor, raw, fields, how, ends);
	if (status == DEV_OK)
		status = open_occlusion(&explainer, raw, fields, how);
	if (status == DEV_OK)
		status = learn_explain_shapley(&explainer, &cheap, contributions, score, &occluded);
	close_occlusion(&explainer);
	if (status != DEV_OK)
		return status;
	*baseline = ends[0];
	contributions[how->n_segments] += occluded - ends[0];
	for (size_t i = 0; i < explainer.n_groups; i++)
		sum += contributions[i];
	*error = fabs(*score - *baseline - sum);
	return DEV_OK;
}

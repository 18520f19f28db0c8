/*
 * explain.c: the explained score at points between the baseline and a row.
 *
 * The score is a function of the networks' mean outputs: linear in them but for
 * several classes, where it is the log odds of one class against the
 * others. So all networks walk their ways to the row at once, and
 * the gradient of the score by a network's outputs is what its backward pass
 * starts from. Additive networks need no walk: their parts are the explanation.
 */
#include "explain.h"

#include <math.h>
#include <string.h>

/* ---- The score ---- */

/* Log odds of a class: u_c - log(sum of exp(u_j), j other than c), and its derivatives by u. */
static double
log_odds(size_t n, const double *u, size_t class, double *diff)
{
	double		largest = -INFINITY;
	double		sum = 0;

	for (size_t j = 0; j < n; j++)
		if (j != class && u[j] > largest)
			largest = u[j];
	for (size_t j = 0; j < n; j++)
		if (j != class)
			sum += exp(u[j] - largest);
	for (size_t j = 0; j < n; j++)
		diff[j] = j == class ? 1 : -exp(u[j] - largest) / sum;
	return u[class] - largest - log(sum);
}

/* Mean outputs of one row (changed) -> the explained score, and its derivatives by them in explainer->diff. */
static double
explained_score(LearnExplainer *explainer, double *outputs)
{
	const LearnModel *model = explainer->predictor->model;
	size_t		n = explainer->predictor->n_outputs;
	size_t		output = (size_t) explainer->output;
	double		score;

	for (size_t i = 0; i < n; i++)
	{
		explainer->diff[i] = 0;
		if (model->task == LEARN_REGRESSION)
			outputs[i] = outputs[i] * model->target_scale[i] + model->target_mean[i];
		else
			outputs[i] = outputs[i] / model->temperature + (model->offset != NULL ? model->offset[i] : 0);
	}
	if (model->task == LEARN_REGRESSION)
	{
		explainer->diff[output] = model->target_scale[output];
		return outputs[output];
	}
	if (model->task != LEARN_MULTICLASS)
	{
		explainer->diff[output] = 1 / model->temperature;
		return outputs[output];
	}
	score = log_odds(n, outputs, output, explainer->diff);
	for (size_t i = 0; i < n; i++)
		explainer->diff[i] /= model->temperature;
	return score;
}

static bool
is_linear_in_outputs(const LearnExplainer *explainer)
{
	return explainer->predictor->model->task != LEARN_MULTICLASS;
}

/* Scores of the first n rows of explainer->outputs, and what each network's backward pass starts from. */
static void
score_outputs(LearnExplainer *explainer, size_t n, double *scores)
{
	size_t		n_outputs = explainer->predictor->n_outputs;
	int			n_voices = explainer->predictor->n_voices;

	for (size_t row = 0; row < n; row++)
	{
		double	   *outputs = explainer->outputs + row * n_outputs;

		for (size_t i = 0; i < n_outputs; i++)
			outputs[i] /= n_voices;
		scores[row] = explained_score(explainer, outputs);
		for (size_t i = 0; i < n_outputs; i++)
			explainer->seeds[row * n_outputs + i] = (float) (explainer->diff[i] / n_voices);
	}
}

/* ---- Points ---- */

/* One network's outputs at points [first, first + n). */
static DevStatus
forward(LearnExplainer *explainer, int number, size_t first, size_t n, LearnFill fill, void *context)
{
	const LearnVoice *voice = &explainer->predictor->voices[number];
	const LearnEngine *engine = voice->engine;
	const LearnPath *path = &explainer->paths[number];
	float	   *features;

	nn_run_bind(engine->explain_run, voice->weights, NULL);
	/* What lies below the features node is not computed, but a run learns from its inputs how many rows there are. */
	if (engine->built.numbers != NN_NONE)
		nn_run_set(engine->explain_run, engine->built.numbers, n, explainer->no_numbers);
	if (engine->built.codes != NN_NONE)
		nn_run_set_codes(engine->explain_run, engine->built.codes, n, explainer->no_codes);
	features = nn_run_value(engine->explain_run, engine->built.features);
	for (size_t point = 0; point < n; point++)
		fill(context, first + point, path, features + point * path->n_features);
	nn_run_forward_from(engine->explain_run, engine->built.features, engine->built.output, NN_INFER);
	return nn_run_synchronize(engine->explain_run);
}

static void
add_outputs(LearnExplainer *explainer, int number, size_t n)
{
	const LearnEngine *engine = explainer->predictor->voices[number].engine;
	const float *values = nn_run_value(engine->explain_run, engine->built.output);

	for (size_t i = 0; i < n * explainer->predictor->n_outputs; i++)
		explainer->outputs[i] += (double) values[i];
}

/* Adds a network's slopes at the n points that its run holds. */
static DevStatus
add_slopes(LearnExplainer *explainer, int number, size_t n, double *slopes)
{
	const LearnEngine *engine = explainer->predictor->voices[number].engine;
	const LearnPath *path = &explainer->paths[number];
	const float *gradient;
	DevStatus	status;

	nn_run_backward_from(engine->explain_run, engine->built.output, explainer->seeds);
	status = nn_run_synchronize(engine->explain_run);
	if (status != DEV_OK)
		return status;
	gradient = nn_run_gradient(engine->explain_run, engine->built.features);
	for (size_t point = 0; point < n; point++)
		for (size_t i = 0; i < path->n_features; i++)
			slopes[point * explainer->n_columns + (size_t) path->column_of[i]] +=
				(double) gradient[point * path->n_features + i] *
				((double) path->row[i] - (double) path->baseline[i]);
	return DEV_OK;
}

/* Points [first, first + n), n <= LEARN_EXPLAIN_BATCH; scores and slopes are of the first of them. */
static DevStatus
explain_block(LearnExplainer *explainer, size_t first, size_t n, LearnFill fill, void *context,
			  double *scores, double *slopes)
{
	const LearnPredictor *predictor = explainer->predictor;
	bool		at_once = is_linear_in_outputs(explainer);
	DevStatus	status = DEV_OK;

	memset(explainer->outputs, 0, n * predictor->n_outputs * sizeof(double));
	if (at_once)
		score_outputs(explainer, n, scores);	/* the seeds are the same whatever the outputs are */
	memset(explainer->outputs, 0, n * predictor->n_outputs * sizeof(double));
	if (slopes != NULL)
		memset(slopes, 0, n * explainer->n_columns * sizeof(double));
	for (int i = 0; i < predictor->n_voices && status == DEV_OK; i++)
	{
		status = forward(explainer, i, first, n, fill, context);
		if (status == DEV_OK)
			add_outputs(explainer, i, n);
		if (status == DEV_OK && slopes != NULL && at_once)
			status = add_slopes(explainer, i, n, slopes);
	}
	if (status != DEV_OK)
		return status;
	score_outputs(explainer, n, scores);
	for (int i = 0; slopes != NULL && !at_once && i < predictor->n_voices && status == DEV_OK; i++)
	{
		/* Networks may share one run: only the last one's values are still there. */
		if (predictor->n_voices > 1)
			status = forward(explainer, i, first, n, fill, context);
		if (status == DEV_OK)
			status = add_slopes(explainer, i, n, slopes);
	}
	return status;
}

DevStatus
learn_explain_points(LearnExplainer *explainer, size_t n, LearnFill fill, void *context, double *scores,
					 double *slopes)
{
	DevStatus	status = DEV_OK;

	for (size_t first = 0; first < n && status == DEV_OK; first += LEARN_EXPLAIN_BATCH)
	{
		size_t		count = n - first < LEARN_EXPLAIN_BATCH ? n - first : LEARN_EXPLAIN_BATCH;

		status = explain_block(explainer, first, count, fill, context, scores + first,
							   slopes == NULL ? NULL : slopes + first * explainer->n_columns);
		for (size_t i = first; i < first + count && status == DEV_OK; i++)
			if (!isfinite(scores[i]))
				status = dev_fail(explainer->session, DEV_BAD_DATA,
								  "the model has no finite answer on the way to a row");
		if (status == DEV_OK)
			status = dev_poll(explainer->session);
	}
	return status;
}

/* ---- Set-up ---- */

/* The user's column of each feature of a network. */
static DevStatus
map_columns(LearnPredictor *predictor, const LearnEngine *engine, int *column_of)
{
	const LearnModel *model = predictor->model;
	const LearnGraph *built = &engine->built;

	for (size_t i = 0; i < engine->n_features; i++)
		column_of[i] = -1;
	for (int c = 0; c < model->n_channels; c++)
	{
		const LearnChannel *channel = &model->channels[c];

		if (channel->number_input >= 0)
			column_of[channel->number_input] = channel->column;
		if (channel->indicator_input >= 0)
			column_of[channel->indicator_input] = channel->column;
		if (channel->code_input >= 0)
			for (size_t i = 0; i < built->code_width[channel->code_input]; i++)
				column_of[built->code_first[channel->code_input] + i] = channel->column;
	}
	for (size_t i = 0; i < engine->n_features; i++)
		if (column_of[i] < 0)
			return dev_fail(predictor->session, DEV_CORRUPT, "feature %zu of the model belongs to no column", i);
	return DEV_OK;
}

static DevStatus
create_paths(LearnExplainer *explainer)
{
	LearnPredictor *predictor = explainer->predictor;
	DevStatus	status = DEV_OK;

	for (int i = 0; i < predictor->n_voices && status == DEV_OK; i++)
	{
		const LearnVoice *voice = &predictor->voices[i];
		LearnPath  *path = &explainer->paths[i];
		int		   *column_of = dev_alloc(explainer->session, voice->engine->n_features, sizeof(int));

		path->n_features = voice->engine->n_features;
		path->baseline = voice->net->baseline;
		path->row = dev_alloc(explainer->session, path->n_features, sizeof(float));
		path->column_of = column_of;
		if (column_of == NULL || path->row == NULL)
			return DEV_NO_MEMORY;
		status = map_columns(predictor, voice->engine, column_of);
	}
	return status;
}

static DevStatus
create_runs(LearnPredictor *predictor)
{
	DevStatus	status = DEV_OK;

	for (int i = 0; i < predictor->n_engines && status == DEV_OK; i++)
	{
		LearnEngine *engine = &predictor->engines[i];

		if (engine->explain_run == NULL)
			status = nn_run_create(engine->built.graph, predictor->device, LEARN_EXPLAIN_BATCH, true,
								   &engine->explain_run);
	}
	return status;
}

/* The predictor's explainer, made when the first row is explained. */
static DevStatus
open_explainer(LearnPredictor *predictor, LearnExplainer **explainer)
{
	const LearnModel *model = predictor->model;
	DevSession *session = predictor->session;
	LearnExplainer *made;
	DevStatus	status;

	*explainer = predictor->explainer;
	if (*explainer != NULL)
		return DEV_OK;
	made = dev_alloc(session, 1, sizeof(LearnExplainer));
	if (made == NULL)
		return DEV_NO_MEMORY;
	made->predictor = predictor;
	made->session = session;
	made->n_columns = (size_t) model->n_columns;
	made->paths = dev_alloc(session, (size_t) predictor->n_voices, sizeof(LearnPath));
	made->moves = dev_alloc(session, made->n_columns + 1, sizeof(bool));
	made->outputs = dev_alloc(session, LEARN_EXPLAIN_BATCH * predictor->n_outputs, sizeof(double));
	made->seeds = dev_alloc(session, LEARN_EXPLAIN_BATCH * predictor->n_outputs, sizeof(float));
	made->diff = dev_alloc(session, predictor->n_outputs, sizeof(double));
	made->no_numbers = dev_alloc(session, LEARN_EXPLAIN_BATCH * model->n_numbers + 1, sizeof(float));
	made->no_codes = dev_alloc(session, LEARN_EXPLAIN_BATCH * model->n_codes + 1, sizeof(int32_t));
	if (made->paths == NULL || made->moves == NULL || made->outputs == NULL || made->seeds == NULL ||
		made->diff == NULL || made->no_numbers == NULL || made->no_codes == NULL)
		return DEV_NO_MEMORY;
	status = create_paths(made);
	if (status == DEV_OK)
		status = create_runs(predictor);
	if (status == DEV_OK)
		predictor->explainer = *explainer = made;
	return status;
}

/* Features of the row in every network, and which columns differ from the baseline in any. */
static DevStatus
read_row(LearnExplainer *explainer, const float *raw)
{
	LearnPredictor *predictor = explainer->predictor;

	learn_predictor_encode(predictor, 1, raw);
	memset(explainer->moves, 0, explainer->n_columns * sizeof(bool));
	for (int i = 0; i < predictor->n_voices; i++)
	{
		const LearnVoice *voice = &predictor->voices[i];
		LearnEngine *engine = voice->engine;
		LearnPath  *path = &explainer->paths[i];
		DevStatus	status;

		nn_run_bind(engine->run, voice->weights, NULL);
		engine->bound = voice->weights;
		learn_predictor_set(predictor, engine, engine->run, 1);
		nn_run_forward(engine->run, engine->built.features, NN_INFER, 0, 0, 0);
		status = nn_run_synchronize(engine->run);
		if (status != DEV_OK)
			return status;
		memcpy(path->row, nn_run_value(engine->run, engine->built.features), path->n_features * sizeof(float));
		for (size_t f = 0; f < path->n_features; f++)
			if (path->row[f] != path->baseline[f])
				explainer->moves[path->column_of[f]] = true;
	}
	return DEV_OK;
}

/* ---- Additive networks ---- */

static bool
is_additive(const LearnExplainer *explainer)
{
	const LearnPredictor *predictor = explainer->predictor;

	for (int i = 0; i < predictor->n_voices; i++)
	{
		const LearnEngine *engine = predictor->voices[i].engine;

		if (engine->built.parts == NN_NONE ||
			nn_shape_size(nn_graph_shape(engine->built.graph, engine->built.parts)) !=
			engine->n_features * predictor->n_outputs)
			return false;
	}
	return is_linear_in_outputs(explainer);
}

/* Point 0 is the baseline, point 1 the row. */
static void
fill_end(void *context, size_t point, const LearnPath *path, float *features)
{
	(void) context;
	memcpy(features, point == 0 ? path->baseline : path->row, path->n_features * sizeof(float));
}

/* What each part gains from the baseline to the row is its column's contribution, exactly. */
static DevStatus
explain_parts(LearnExplainer *explainer, double *contributions, double *score, double *baseline)
{
	LearnPredictor *predictor = explainer->predictor;
	size_t		n_outputs = predictor->n_outputs;
	size_t		output = (size_t) explainer->output;
	double		ends[2];
	DevStatus	status = learn_explain_points(explainer, 2, fill_end, NULL, ends, NULL);

	for (int i = 0; i < predictor->n_voices && status == DEV_OK; i++)
	{
		const LearnEngine *engine = predictor->voices[i].engine;
		const LearnPath *path = &explainer->paths[i];
		const float *parts;

		status = forward(explainer, i, 0, 2, fill_end, NULL);
		if (status != DEV_OK)
			return status;
		parts = nn_run_value(engine->explain_run, engine->built.parts);
		for (size_t f = 0; f < path->n_features; f++)
			contributions[path->column_of[f]] += explainer->diff[output] / predictor->n_voices *
				((double) parts[(path->n_features + f) * n_outputs + output] -
				 (double) parts[f * n_outputs + output]);
	}
	*baseline = ends[0];
	*score = ends[1];
	return status;
}

/* ---- Entry ---- */

static DevStatus
check_request(const LearnPredictor *predictor, const LearnExplain *how)
{
	if (how->output < 0 || (size_t) how->output >= predictor->n_outputs)
		return dev_fail(predictor->session, DEV_INVALID, "the model has no output number %d", how->output);
	if (predictor->model->task == LEARN_MULTICLASS && predictor->n_outputs < 2)
		return dev_fail(predictor->session, DEV_CORRUPT, "the model has one class");
	return DEV_OK;
}

DevStatus
learn_explain(LearnPredictor *predictor, const float *raw, const LearnExplain *how,
			  double *contributions, double *score, double *baseline, double *error)
{
	LearnExplainer *explainer = NULL;
	double		sum = 0;
	DevStatus	status = check_request(predictor, how);

	if (status == DEV_OK)
		status = open_explainer(predictor, &explainer);
	if (status != DEV_OK)
		return status;
	explainer->output = how->output;
	memset(contributions, 0, explainer->n_columns * sizeof(double));
	status = read_row(explainer, raw);
	if (status != DEV_OK)
		return status;
	if (how->method == LEARN_SHAPLEY)
		status = learn_explain_shapley(explainer, how, contributions, score, baseline);
	else if (is_additive(explainer))
		status = explain_parts(explainer, contributions, score, baseline);
	else
		status = learn_explain_gradients(explainer, how, contributions, score, baseline);
	if (status != DEV_OK)
		return status;
	for (size_t column = 0; column < explainer->n_columns; column++)
		sum += contributions[column];
	*error = fabs(*score - *baseline - sum);
	return DEV_OK;
}

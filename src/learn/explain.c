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

#include "windows.h"

#include <math.h>
#include <string.h>

#define FIELD_BATCH 8			/* points at once of a model with fields */
#define UNGROUPED (-2)
#define NO_WINDOW SIZE_MAX

/* ---- The score ---- */

double
learn_log_odds(size_t n, const double *u, size_t class, double *diff)
{
	double		largest = -INFINITY;
	double		sum = 0;

	for (size_t j = 0; j < n; j++)
		if (j != class && u[j] > largest)
			largest = u[j];
	for (size_t j = 0; j < n; j++)
		if (j != class)
			sum += exp(u[j] - largest);
	for (size_t j = 0; j < n && diff != NULL; j++)
		diff[j] = j == class ? 1 : -exp(u[j] - largest) / sum;
	return u[class] - largest - log(sum);
}

/* Mean outputs of one row (changed) -> the explained score, and its derivatives by them in explainer->diff. */
static double
explained_score(LearnExplainer *explainer, double *outputs)
{
	const LearnModel *model = explainer->predictor->model;
	size_t		n = explainer->n_values;
	size_t		output = (size_t) explainer->output;
	double		score;

	memset(explainer->diff, 0, n * sizeof(double));
	if (explainer->entity != NULL)
		return learn_entity_odds(explainer->entity, outputs, explainer->diff);
	for (size_t i = 0; i < n; i++)
	{
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
	score = learn_log_odds(n, outputs, output, explainer->diff);
	for (size_t i = 0; i < n; i++)
		explainer->diff[i] /= model->temperature;
	return score;
}

static bool
is_linear_in_outputs(const LearnExplainer *explainer)
{
	return explainer->predictor->model->task != LEARN_MULTICLASS && explainer->entity == NULL;
}

/* Scores of the first n rows of explainer->outputs, and what each network's backward pass starts from. */
static void
score_outputs(LearnExplainer *explainer, size_t n, double *scores)
{
	size_t		n_outputs = explainer->n_values;
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

/* Row `point` of the values that node holds in a run. */
static float *
node_row(NnRun *run, NnNode node, size_t size, size_t point)
{
	return nn_run_value(run, node) + point * size;
}

/* One network's outputs at points [first, first + n). */
static DevStatus
forward(LearnExplainer *explainer, int number, size_t first, size_t n, LearnFill fill, void *context)
{
	const LearnVoice *voice = &explainer->predictor->voices[number];
	const LearnEngine *engine = voice->engine;
	const LearnPath *path = &explainer->paths[number];
	NnRun	   *run = learn_engine_explain_run(engine, explainer->stretch);

	nn_run_bind(run, voice->weights, NULL);
	/* What lies below the starts is not computed, but a run learns from its inputs how many rows there are. */
	if (engine->built.numbers != NN_NONE)
		nn_run_set(run, engine->built.numbers, n, explainer->no_numbers);
	if (engine->built.codes != NN_NONE)
		nn_run_set_codes(run, engine->built.codes, n, explainer->no_codes);
	if (engine->network->n_fields > 0)
		learn_field_batch_set(&explainer->predictor->fields, &engine->built, run, n);
	for (size_t point = 0; point < n; point++)
	{
		fill(context, first + point, path, explainer->point);
		for (int i = 0; i < path->n_starts; i++)
			memcpy(node_row(run, path->starts[i], path->size[i], point), explainer->point + path->first[i],
				   path->size[i] * sizeof(float));
	}
	nn_run_forward_from(run, path->starts, path->n_starts, engine->built.output, NN_INFER);
	return nn_run_synchronize(run);
}

static void
add_outputs(LearnExplainer *explainer, int number, size_t n)
{
	const LearnEngine *engine = explainer->predictor->voices[number].engine;
	const float *values = nn_run_value(learn_engine_explain_run(engine, explainer->stretch), engine->built.output);

	for (size_t i = 0; i < n * explainer->n_values; i++)
		explainer->outputs[i] += (double) values[i];
}

/* Back through the points that a network's run holds. */
static DevStatus
walk_back(LearnExplainer *explainer, int number, size_t n, LearnCollect collect, void *into)
{
	const LearnEngine *engine = explainer->predictor->voices[number].engine;
	NnRun	   *run = learn_engine_explain_run(engine, explainer->stretch);
	DevStatus	status;

	nn_run_backward_from(run, engine->built.output, explainer->seeds);
	status = nn_run_synchronize(run);
	return status != DEV_OK ? status : collect(explainer, number, n, into);
}

/* Adds a network's slopes to (n, n_groups) of them. */
static DevStatus
add_slopes(LearnExplainer *explainer, int number, size_t n, void *into)
{
	const LearnEngine *engine = explainer->predictor->voices[number].engine;
	const LearnPath *path = &explainer->paths[number];
	const float *gradient;
	double	   *slopes = into;

	for (int start = 0; start < path->n_starts; start++)
	{
		size_t		at = path->first[start];
		size_t		size = path->size[start];

		gradient = nn_run_gradient(learn_engine_explain_run(engine, explainer->stretch), path->starts[start]);
		for (size_t point = 0; point < n; point++)
			for (size_t i = 0; i < size; i++)
				slopes[point * explainer->n_groups + (size_t) path->group_of[at + i]] +=
					(double) gradient[point * size + i] * ((double) path->row[at + i] - (double) path->baseline[at + i]);
	}
	return DEV_OK;
}

/* Points [first, first + n), n <= explainer->batch; scores are of the first of them. collect NULL: nobody walks back. */
static DevStatus
explain_block(LearnExplainer *explainer, size_t first, size_t n, LearnFill fill, void *context,
			  double *scores, LearnCollect collect, void *into)
{
	const LearnPredictor *predictor = explainer->predictor;
	bool		at_once = is_linear_in_outputs(explainer);
	DevStatus	status = DEV_OK;

	memset(explainer->outputs, 0, n * explainer->n_values * sizeof(double));
	if (at_once)
		score_outputs(explainer, n, scores);	/* the seeds are the same whatever the outputs are */
	memset(explainer->outputs, 0, n * explainer->n_values * sizeof(double));
	for (int i = 0; i < predictor->n_voices && status == DEV_OK; i++)
	{
		status = forward(explainer, i, first, n, fill, context);
		if (status == DEV_OK)
			add_outputs(explainer, i, n);
		if (status == DEV_OK && collect != NULL && at_once)
			status = walk_back(explainer, i, n, collect, into);
	}
	if (status != DEV_OK)
		return status;
	score_outputs(explainer, n, scores);
	for (int i = 0; collect != NULL && !at_once && i < predictor->n_voices && status == DEV_OK; i++)
	{
		/* Networks may share one run: only the last one's values are still there. */
		if (predictor->n_voices > 1)
			status = forward(explainer, i, first, n, fill, context);
		if (status == DEV_OK)
			status = walk_back(explainer, i, n, collect, into);
	}
	return status;
}

/* ---- Points of a row in windows ---- */

static DevStatus use_window(LearnExplainer *explainer, size_t window);

static LearnWindowing
windowing_of(const LearnExplainer *explainer)
{
	const LearnModel *model = explainer->predictor->model;

	return learn_windowing(model->task, model->fields, model->n_fields, explainer->predictor->n_outputs, model->offset);
}

/* Mean outputs of the networks for one window into explainer->outputs; the last network's run holds its values. */
static DevStatus
answer_window(LearnExplainer *explainer, size_t window, size_t first, size_t n, LearnFill fill, void *context)
{
	const LearnPredictor *predictor = explainer->predictor;
	DevStatus	status = use_window(explainer, window);

	memset(explainer->outputs, 0, n * predictor->n_outputs * sizeof(double));
	for (int i = 0; i < predictor->n_voices && status == DEV_OK; i++)
	{
		status = forward(explainer, i, first, n, fill, context);
		if (status == DEV_OK)
			add_outputs(explainer, i, n);
	}
	for (size_t i = 0; i < n * predictor->n_outputs; i++)
		explainer->outputs[i] /= predictor->n_voices;
	return status == DEV_OK ? dev_poll(explainer->session) : status;
}

/* The way back through one window. */
static DevStatus
collect_window(LearnExplainer *explainer, size_t window, size_t first, size_t n, LearnFill fill, void *context,
			   LearnCollect collect, void *into)
{
	const LearnPredictor *predictor = explainer->predictor;
	size_t		n_outputs = predictor->n_outputs;
	LearnWindowing windowing = windowing_of(explainer);
	DevStatus	status = answer_window(explainer, window, first, n, fill, context);

	for (size_t row = 0; row < n; row++)
	{
		learn_windows_gradient(&windowing, explainer->n_windows, explainer->outputs + row * n_outputs,
							   explainer->pooled + row * n_outputs, explainer->pooled_diff + row * n_outputs, explainer->diff);
		for (size_t i = 0; i < n_outputs; i++)
			explainer->seeds[row * n_outputs + i] = (float) (explainer->diff[i] / predictor->n_voices);
	}
	for (int i = 0; i < predictor->n_voices && status == DEV_OK; i++)
	{
		/* Networks may share one run: only the last one's values are still there. */
		if (predictor->n_voices > 1)
			status = forward(explainer, i, first, n, fill, context);
		if (status == DEV_OK)
			status = walk_back(explainer, i, n, collect, into);
	}
	return status;
}

/* explain_block for all windows: what they say together first, and how that depends on each of them after that. */
static DevStatus
explain_windows(LearnExplainer *explainer, size_t first, size_t n, LearnFill fill, void *context, double *scores,
				LearnCollect collect, void *into)
{
	size_t		n_outputs = explainer->predictor->n_outputs;
	LearnWindowing windowing = windowing_of(explainer);
	DevStatus	status = DEV_OK;

	for (size_t window = 0; window < explainer->n_windows && status == DEV_OK; window++)
	{
		status = answer_window(explainer, window, first, n, fill, context);
		for (size_t row = 0; row < n && status == DEV_OK; row++)
			learn_windows_add(&windowing, window, explainer->outputs + row * n_outputs, explainer->pooled + row * n_outputs);
	}
	for (size_t row = 0; row < n && status == DEV_OK; row++)
	{
		memcpy(explainer->outputs, explainer->pooled + row * n_outputs, n_outputs * sizeof(double));
		scores[row] = explained_score(explainer, explainer->outputs);
		memcpy(explainer->pooled_diff + row * n_outputs, explainer->diff, n_outputs * sizeof(double));
	}
	for (size_t window = 0; collect != NULL && window < explainer->n_windows && status == DEV_OK; window++)
		status = collect_window(explainer, window, first, n, fill, context, collect, into);
	return status;
}

static DevStatus
check_scores(const LearnExplainer *explainer, size_t n, const double *scores)
{
	for (size_t i = 0; i < n; i++)
		if (!isfinite(scores[i]))
			return dev_fail(explainer->session, DEV_BAD_DATA, "the model has no finite answer on the way to a row");
	return DEV_OK;
}

DevStatus
learn_explain_points(LearnExplainer *explainer, size_t n, LearnFill fill, void *context, double *scores,
					 double *slopes)
{
	DevStatus	status = DEV_OK;

	if (slopes != NULL)
		memset(slopes, 0, n * explainer->n_groups * sizeof(double));
	for (size_t first = 0; first < n && status == DEV_OK; first += explainer->batch)
	{
		size_t		count = n - first < explainer->batch ? n - first : explainer->batch;

		if (explainer->occlusion != NULL)
			status = learn_occluded_scores(explainer, first, count, fill, context, scores + first);
		else if (explainer->n_windows > 1)
			status = explain_windows(explainer, first, count, fill, context, scores + first, slopes == NULL ? NULL : add_slopes,
									 slopes == NULL ? NULL : slopes + first * explainer->n_groups);
		else
			status = explain_block(explainer, first, count, fill, context, scores + first, slopes == NULL ? NULL : add_slopes,
								   slopes == NULL ? NULL : slopes + first * explainer->n_groups);
		if (status == DEV_OK)
			status = check_scores(explainer, count, scores + first);
		if (status == DEV_OK)
			status = dev_poll(explainer->session);
	}
	return status;
}

/* ---- Set-up ---- */

/* The user's column of each feature of a network. */
static DevStatus
map_features(LearnPredictor *predictor, const LearnEngine *engine, int *column_of)
{
	const LearnModel *model = predictor->model;
	const LearnGraph *built = &engine->built;

	for (size_t i = 0; i < engine->n_features; i++)
		column_of[i] = -1;
	for (int c = 0; c < model->n_channels && engine->n_features > 0; c++)
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

/* The group of value i of n of a field's plane. */
static int
group_of_value(const LearnExplainer *explainer, const LearnExplain *how, int field, int plane, size_t i, size_t n)
{
	const LearnField *described = &explainer->predictor->fields.fields[field];
	size_t		part;

	if (!how->by_parts)
		return described->column;
	if (how->field != field)
		return (int) explainer->n_groups - 1;
	part = learn_field_part(described, plane, i, n) + explainer->first_part;
	return how->segment_of == NULL ? (int) part : how->segment_of[part];
}

/* Groups of all values of a path, by column or by the parts of a field. */
static DevStatus
map_groups(LearnExplainer *explainer, const LearnExplain *how, int number)
{
	const LearnEngine *engine = explainer->predictor->voices[number].engine;
	LearnPath  *path = &explainer->paths[number];
	int			rest = (int) explainer->n_groups - 1;
	int			start = 0;
	DevStatus	status = map_features(explainer->predictor, engine, path->group_of);

	for (size_t i = 0; i < engine->n_features && how->by_parts; i++)
		path->group_of[i] = rest;
	start += engine->n_features > 0;
	for (int field = 0; field < engine->network->n_fields; field++)
		for (int plane = 0; plane < LEARN_MAX_PLANES; plane++)
		{
			int		   *group_of = path->group_of + path->first[start < path->n_starts ? start : 0];

			if (engine->built.starts[field][plane] == NN_NONE)
				continue;
			for (size_t i = 0; i < path->size[start]; i++)
				group_of[i] = group_of_value(explainer, how, field, plane, i, path->size[start]);
			start++;
		}
	return status;
}

/* Where values lie in the networks' spaces depends on how long a text they take. */
static void
lay_out(LearnExplainer *explainer, int stretch)
{
	const LearnPredictor *predictor = explainer->predictor;

	for (int i = 0; i < predictor->n_voices; i++)
	{
		const LearnGraph *built = learn_engine_graph(predictor->voices[i].engine, stretch);
		LearnPath  *path = &explainer->paths[i];

		path->n_values = 0;
		for (int start = 0; start < path->n_starts; start++)
		{
			path->first[start] = path->n_values;
			path->size[start] = nn_shape_size(nn_graph_shape(built->graph, path->starts[start]));
			path->n_values += path->size[start];
		}
		explainer->n_values = nn_shape_size(nn_graph_shape(built->graph, built->output));
	}
	explainer->stretch = stretch;
	explainer->field = UNGROUPED;
}

/* Where a network's explanations start. */
static DevStatus
find_starts(LearnExplainer *explainer, const LearnEngine *engine, LearnPath *path)
{
	const LearnGraph *built = &engine->built;
	size_t		most = (size_t) engine->network->n_fields * LEARN_MAX_PLANES + 1;

	path->starts = dev_alloc(explainer->session, most, sizeof(NnNode));
	path->first = dev_alloc(explainer->session, most, sizeof(size_t));
	path->size = dev_alloc(explainer->session, most, sizeof(size_t));
	if (path->starts == NULL || path->first == NULL || path->size == NULL)
		return DEV_NO_MEMORY;
	if (built->features != NN_NONE)
		path->starts[path->n_starts++] = built->features;
	for (int field = 0; field < engine->network->n_fields; field++)
		for (int plane = 0; plane < LEARN_MAX_PLANES; plane++)
			if (built->starts[field][plane] != NN_NONE)
				path->starts[path->n_starts++] = built->starts[field][plane];
	return DEV_OK;
}

static DevStatus
create_paths(LearnExplainer *explainer)
{
	LearnPredictor *predictor = explainer->predictor;
	size_t		most = 0;
	DevStatus	status = DEV_OK;

	for (int i = 0; i < predictor->n_voices && status == DEV_OK; i++)
		status = find_starts(explainer, predictor->voices[i].engine, &explainer->paths[i]);
	if (status != DEV_OK)
		return status;
	/* Room for the longest texts. */
	lay_out(explainer, LEARN_MAX_STRETCHES);
	for (int i = 0; i < predictor->n_voices; i++)
	{
		const LearnVoice *voice = &predictor->voices[i];
		LearnPath  *path = &explainer->paths[i];

		most = path->n_values > most ? path->n_values : most;
		path->baseline = dev_alloc(explainer->session, path->n_values, sizeof(float));
		path->row = dev_alloc(explainer->session, path->n_values, sizeof(float));
		path->group_of = dev_alloc(explainer->session, path->n_values + 1, sizeof(int));
		if (path->baseline == NULL || path->group_of == NULL || path->row == NULL)
			return DEV_NO_MEMORY;
		/* Of a field the baseline is zero: what a missing value loads as. */
		memcpy(path->baseline, voice->net->baseline, voice->engine->n_features * sizeof(float));
	}
	explainer->point = dev_alloc(explainer->session, most, sizeof(float));
	return explainer->point == NULL ? DEV_NO_MEMORY : DEV_OK;
}

size_t
learn_predictor_explain_batch(const LearnPredictor *predictor)
{
	/* Activations of images and sequences are large; and the field batch holds no more rows than the predictor's. */
	if (predictor->model->n_fields == 0)
		return LEARN_EXPLAIN_BATCH;
	return FIELD_BATCH < predictor->max_batch ? FIELD_BATCH : predictor->max_batch;
}

DevStatus
learn_predictor_explain_runs(LearnPredictor *predictor, int stretch)
{
	size_t		batch = learn_predictor_explain_batch(predictor);
	DevStatus	status = DEV_OK;

	for (int i = 0; i < predictor->n_engines && status == DEV_OK; i++)
	{
		LearnEngine *engine = &predictor->engines[i];
		NnRun	  **run = &engine->explain_runs[learn_engine_stretch(engine, stretch)];

		if (*run == NULL)
			status = nn_run_create(learn_engine_graph(engine, stretch)->graph, predictor->device, batch, NN_RUN_WHOLE, run);
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
	made->field = UNGROUPED;
	made->batch = learn_predictor_explain_batch(predictor);
	made->paths = dev_alloc(session, (size_t) predictor->n_voices, sizeof(LearnPath));
	made->pooled = dev_alloc(session, made->batch * predictor->n_outputs, sizeof(double));
	made->pooled_diff = dev_alloc(session, made->batch * predictor->n_outputs, sizeof(double));
	made->views = dev_alloc(session, (size_t) model->n_fields + 1, sizeof(LearnBytes));
	made->no_numbers = dev_alloc(session, made->batch * model->n_numbers + 1, sizeof(float));
	made->no_codes = dev_alloc(session, made->batch * model->n_codes + 1, sizeof(int32_t));
	if (made->paths == NULL || made->pooled == NULL || made->pooled_diff == NULL || made->views == NULL || made->no_numbers == NULL ||
		made->no_codes == NULL)
		return DEV_NO_MEMORY;
	status = create_paths(made);
	if (status != DEV_OK)
		return status;
	made->outputs = dev_alloc(session, made->batch * made->n_values, sizeof(double));
	made->seeds = dev_alloc(session, made->batch * made->n_values, sizeof(float));
	made->diff = dev_alloc(session, made->n_values, sizeof(double));
	if (made->outputs == NULL || made->seeds == NULL || made->diff == NULL)
		return DEV_NO_MEMORY;
	predictor->explainer = *explainer = made;
	return DEV_OK;
}

static DevStatus
set_stretch(LearnExplainer *explainer, int stretch)
{
	learn_predictor_stretch(explainer->predictor, stretch);
	if (explainer->stretch != stretch)
		lay_out(explainer, stretch);
	return learn_predictor_explain_runs(explainer->predictor, stretch);
}

static size_t
count_groups(const LearnModel *model, const LearnExplain *how, const LearnBytes *fields)
{
	const LearnField *field;

	if (!how->by_parts)
		return (size_t) model->n_columns;
	if (how->segment_of != NULL)
		return (size_t) how->n_segments + 1;
	field = &model->fields[how->field];
	return (field->stride > 0 ? learn_field_places(field, fields[how->field]) : learn_field_parts(field)) + 1;
}

/* Whether the groups are the same for every row. */
static bool
is_lasting(const LearnModel *model, const LearnExplain *how)
{
	return !how->by_parts || (how->segment_of == NULL && model->fields[how->field].stride == 0);
}

/* Groups by column, or by the parts of a field. */
static DevStatus
set_groups(LearnExplainer *explainer, const LearnExplain *how, const LearnBytes *fields)
{
	int			field = how->by_parts ? how->field : -1;
	bool		lasting = is_lasting(explainer->predictor->model, how);
	DevStatus	status = DEV_OK;

	if (explainer->field == field && explainer->lasting && lasting)
		return DEV_OK;
	learn_explain_gradients_close(explainer);
	explainer->field = UNGROUPED;
	explainer->n_groups = count_groups(explainer->predictor->model, how, fields);
	dev_release(explainer->session, explainer->moves);
	explainer->moves = dev_alloc(explainer->session, explainer->n_groups + 1, sizeof(bool));
	if (explainer->moves == NULL)
		return DEV_NO_MEMORY;
	explainer->field = field;
	explainer->lasting = lasting;
	explainer->first_part = 0;
	for (int i = 0; i < explainer->predictor->n_voices && status == DEV_OK; i++)
		status = map_groups(explainer, how, i);
	if (status != DEV_OK)
		explainer->field = UNGROUPED;
	return status;
}

/* One start's values of the row. Planes are inputs and hold them already; features and embeddings are computed. */
static DevStatus
read_start(NnRun *run, LearnPath *path, int start)
{
	DevStatus	status;

	nn_run_forward(run, path->starts[start], NN_INFER, 0, 0, 0);
	status = nn_run_synchronize(run);
	if (status == DEV_OK)
		memcpy(path->row + path->first[start], nn_run_value(run, path->starts[start]),
			   path->size[start] * sizeof(float));
	return status;
}

/* The views in every network's space, and which groups differ from the baseline in any. */
static DevStatus
read_views(LearnExplainer *explainer)
{
	LearnPredictor *predictor = explainer->predictor;

	learn_predictor_encode(predictor, 1, explainer->raw, explainer->views, explainer->stretch);
	for (int i = 0; i < predictor->n_voices; i++)
	{
		const LearnVoice *voice = &predictor->voices[i];
		LearnEngine *engine = voice->engine;
		NnRun	   *run = engine->runs[learn_engine_stretch(engine, explainer->stretch)];
		LearnPath  *path = &explainer->paths[i];
		DevStatus	status = DEV_OK;

		nn_run_bind(run, voice->weights, NULL);
		learn_predictor_set(predictor, engine, run, 1);
		for (int start = 0; start < path->n_starts && status == DEV_OK; start++)
			status = read_start(run, path, start);
		if (status != DEV_OK)
			return status;
		for (size_t f = 0; f < path->n_values; f++)
			if (path->row[f] != path->baseline[f])
				explainer->moves[path->group_of[f]] = true;
	}
	/* All points of a block keep the row's lengths, and whatever is not on the way. */
	learn_field_batch_repeat(&predictor->fields, explainer->batch);
	return DEV_OK;
}

/* From now on all ways lead to this window of the row; groups by parts are those that it lies over. */
static DevStatus
use_window(LearnExplainer *explainer, size_t window)
{
	const LearnModel *model = explainer->predictor->model;
	const LearnExplain *how = explainer->how;
	DevStatus	status = DEV_OK;

	if (explainer->window == window)
		return DEV_OK;
	for (int field = 0; field < model->n_fields; field++)
		explainer->views[field] = learn_field_window(&model->fields[field], explainer->fields[field], window, explainer->n_windows);
	if (how->by_parts && model->fields[how->field].stride > 0)
	{
		if (explainer->fields[how->field].bytes != NULL)
			explainer->first_part = (size_t) ((const float *) explainer->views[how->field].bytes -
											  (const float *) explainer->fields[how->field].bytes);
		for (int i = 0; i < explainer->predictor->n_voices && status == DEV_OK; i++)
			status = map_groups(explainer, how, i);
	}
	if (status == DEV_OK)
		status = read_views(explainer);
	explainer->window = window;
	return status;
}

/* The row, which lies in all its windows. */
static DevStatus
read_row(LearnExplainer *explainer, const float *raw, const LearnBytes *fields)
{
	const LearnModel *model = explainer->predictor->model;
	DevStatus	status = DEV_OK;

	explainer->raw = raw;
	explainer->fields = fields;
	explainer->n_windows = 1;
	explainer->window = NO_WINDOW;
	for (int field = 0; field < model->n_fields; field++)
		explainer->n_windows = learn_windows_most(explainer->n_windows, &model->fields[field],
												  fields[field].bytes == NULL ? 0 : fields[field].size);
	memset(explainer->moves, 0, explainer->n_groups * sizeof(bool));
	for (size_t window = 0; window < explainer->n_windows && status == DEV_OK; window++)
	{
		status = use_window(explainer, window);
		if (status == DEV_OK && window > 0)
			status = dev_poll(explainer->session);
	}
	return status;
}

/* ---- Additive networks ---- */

static bool
is_additive(const LearnExplainer *explainer)
{
	const LearnPredictor *predictor = explainer->predictor;

	if (explainer->n_windows > 1)
		return false;
	for (int i = 0; i < predictor->n_voices; i++)
	{
		const LearnEngine *engine = predictor->voices[i].engine;

		if (engine->built.parts == NN_NONE || explainer->field >= 0 ||
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
	memcpy(features, point == 0 ? path->baseline : path->row, path->n_values * sizeof(float));
}

DevStatus
learn_explain_ends(LearnExplainer *explainer, double ends[2])
{
	return learn_explain_points(explainer, 2, fill_end, NULL, ends, NULL);
}

/* What each part gains from the baseline to the row is its column's contribution, exactly. */
static DevStatus
explain_parts(LearnExplainer *explainer, double *contributions, double *score, double *baseline)
{
	LearnPredictor *predictor = explainer->predictor;
	size_t		n_outputs = predictor->n_outputs;
	size_t		output = (size_t) explainer->output;
	double		ends[2];
	DevStatus	status = learn_explain_ends(explainer, ends);

	for (int i = 0; i < predictor->n_voices && status == DEV_OK; i++)
	{
		const LearnEngine *engine = predictor->voices[i].engine;
		const LearnPath *path = &explainer->paths[i];
		const float *parts;

		status = forward(explainer, i, 0, 2, fill_end, NULL);
		if (status != DEV_OK)
			return status;
		parts = nn_run_value(learn_engine_explain_run(engine, explainer->stretch), engine->built.parts);
		for (size_t f = 0; f < path->n_values; f++)
			contributions[path->group_of[f]] += explainer->diff[output] / predictor->n_voices *
				((double) parts[(path->n_values + f) * n_outputs + output] -
				 (double) parts[f * n_outputs + output]);
	}
	*baseline = ends[0];
	*score = ends[1];
	return status;
}

/* ---- Entry ---- */

static DevStatus
check_request(const LearnPredictor *predictor, const LearnBytes *fields, const LearnExplain *how)
{
	if (how->output < 0 || (size_t) how->output >= predictor->n_outputs)
		return dev_fail(predictor->session, DEV_INVALID, "the model has no output number %d", how->output);
	if (how->by_parts && (how->field < 0 || how->field >= predictor->model->n_fields))
		return dev_fail(predictor->session, DEV_INVALID, "the model has no field number %d", how->field);
	if (how->by_parts && how->segment_of != NULL)
		for (size_t i = 0; i < learn_field_places(&predictor->model->fields[how->field], fields[how->field]); i++)
			if (how->segment_of[i] < 0 || how->segment_of[i] > how->n_segments)
				return dev_fail(predictor->session, DEV_INVALID, "part %zu of field %d belongs to segment %d of %d", i, how->field,
								how->segment_of[i], how->n_segments);
	if (predictor->model->task == LEARN_MULTICLASS && predictor->n_outputs < 2)
		return dev_fail(predictor->session, DEV_CORRUPT, "the model has one class");
	return DEV_OK;
}

DevStatus
learn_explain_open(LearnPredictor *predictor, const float *raw, const LearnBytes *fields, const LearnExplain *how,
				   LearnExplainer **explainer)
{
	DevStatus	status = check_request(predictor, fields, how);

	if (status == DEV_OK)
		status = open_explainer(predictor, explainer);
	if (status == DEV_OK)
		status = set_stretch(*explainer, learn_predictor_find_stretch(predictor, fields));
	if (status == DEV_OK)
		status = set_groups(*explainer, how, fields);
	if (status != DEV_OK)
		return status;
	(*explainer)->output = how->output;
	(*explainer)->entity = NULL;
	(*explainer)->how = how;
	return read_row(*explainer, raw, fields);
}

DevStatus
learn_explain_row(LearnExplainer *explainer, LearnCollect collect, void *into)
{
	double		score;
	DevStatus	status = explainer->n_windows > 1 ? explain_windows(explainer, 1, 1, fill_end, NULL, &score, collect, into) :
		explain_block(explainer, 1, 1, fill_end, NULL, &score, collect, into);

	return status == DEV_OK ? check_scores(explainer, 1, &score) : status;
}

DevStatus
learn_explain(LearnPredictor *predictor, const float *raw, const LearnBytes *fields, const LearnExplain *how,
			  double *contributions, double *score, double *baseline, double *error)
{
	LearnExplainer *explainer = NULL;
	DevStatus	status = check_request(predictor, fields, how);

	if (status == DEV_OK && how->by_parts && how->segment_of != NULL && predictor->model->fields[how->field].rocket != NULL)
		return learn_explain_occluded(predictor, raw, fields, how, contributions, score, baseline, error);
	if (status == DEV_OK)
		status = learn_explain_open(predictor, raw, fields, how, &explainer);
	return status != DEV_OK ? status : learn_explain_opened(explainer, how, contributions, score, baseline, error);
}

DevStatus
learn_explain_opened(LearnExplainer *explainer, const LearnExplain *how, double *contributions, double *score, double *baseline,
					 double *error)
{
	double		sum = 0;
	DevStatus	status;

	memset(contributions, 0, explainer->n_groups * sizeof(double));
	if (how->method == LEARN_SHAPLEY)
		status = learn_explain_shapley(explainer, how, contributions, score, baseline);
	else if (is_additive(explainer))
		status = explain_parts(explainer, contributions, score, baseline);
	else
		status = learn_explain_gradients(explainer, how, contributions, score, baseline);
	if (status != DEV_OK)
		return status;
	for (size_t column = 0; column < explainer->n_groups; column++)
		sum += contributions[column];
	*error = fabs(*score - *baseline - sum);
	return DEV_OK;
}

/*
 * adversarial_predict.c: a model's calibrated answer as the oracle of an attack.
 *
 * The networks of a model answer together: their mean output, calibrated, decides. So the gradient needs
 * every network's outputs first and every network's way back after that. Networks of one description share a run, whose values the
 * next one overwrites; they are passed through again, as explanations do.
 */
#include "adversarial.h"
#include "predict.h"
#include "windows.h"

#include <math.h>
#include <string.h>

struct LearnPredictorOracle
{
	LearnPredictor *predictor;
	const float *labels;		/* of the batch's rows */
	double		tolerance;
	size_t		n_labels;		/* of a row */
	double	   *outputs;		/* (LEARN_EXPLAIN_BATCH, n_outputs) mean over networks, then scores */
	float	   *seeds;			/* the same: d loss / d output of one network */
	const LearnBytes *fields;	/* (n, n_fields) stored, of the batch's rows */
	const float **moved;		/* (n_fields): (n, size) in place of what is stored, or NULL */

	/* An attack on one field's plane */
	int			field;			/* -1: on the numbers */
	const float *planes;		/* (n, size) as they are tried */
	const LearnFieldSteps *steps;	/* they are brought to, into rounded, or NULL */
	float	   *rounded;
	const float *numbers;		/* (n, n_numbers) encoded rows */
	const int32_t *codes;
};

DevStatus
learn_predictor_oracle_create(LearnPredictor *predictor, double tolerance, LearnPredictorOracle **oracle)
{
	DevSession *session = predictor->session;
	const LearnModel *model = predictor->model;
	LearnPredictorOracle *made;

	*oracle = NULL;
	if (model->task == LEARN_SURVIVAL)
		return dev_fail(session, DEV_INVALID, "a survival model has no wrong answer that an attack could look for");
	if (model->task != LEARN_BINARY && model->task != LEARN_MULTICLASS && model->task != LEARN_REGRESSION)
		return dev_fail(session, DEV_INVALID, "a model of several labels has no single wrong answer that an attack could look for");
	if (model->task == LEARN_REGRESSION && !(tolerance > 0))
		return dev_fail(session, DEV_INVALID, "tolerance \"%g\" is not above 0", tolerance);
	if (learn_fields_windowed(model->fields, model->n_fields))
		return learn_windows_no_attack(session);
	made = dev_alloc(session, 1, sizeof(LearnPredictorOracle));
	if (made == NULL)
		return DEV_NO_MEMORY;
	made->predictor = predictor;
	made->field = -1;
	made->tolerance = tolerance;
	made->n_labels = model->task == LEARN_REGRESSION ? predictor->n_outputs : 1;
	made->outputs = dev_alloc(session, LEARN_EXPLAIN_BATCH * predictor->n_outputs, sizeof(double));
	made->seeds = dev_alloc(session, LEARN_EXPLAIN_BATCH * predictor->n_outputs, sizeof(float));
	made->moved = dev_alloc(session, (size_t) model->n_fields + 1, sizeof(float *));
	if (made->outputs == NULL || made->seeds == NULL || made->moved == NULL)
		return DEV_NO_MEMORY;
	*oracle = made;
	return learn_predictor_explain_runs(predictor, LEARN_MAX_STRETCHES);
}

void
learn_predictor_oracle_set(LearnPredictorOracle *oracle, const float *labels)
{
	oracle->labels = labels;
}

void
learn_predictor_oracle_fields(LearnPredictorOracle *oracle, const LearnBytes *fields)
{
	oracle->fields = fields;
	for (int i = 0; i < oracle->predictor->model->n_fields; i++)
		oracle->moved[i] = NULL;
}

void
learn_predictor_oracle_moved(LearnPredictorOracle *oracle, int field, const float *planes)
{
	oracle->moved[field] = planes;
}

/* ---- Losses ---- */

/* Scores of a row -> its loss, whether it is wrong, and d loss / d mean output in diff (n_outputs), which may be scores. */
static double
judge_binary(const LearnModel *model, double score, double label, bool *wrong, double *diff)
{
	double		sign = label > 0.5 ? 1 : -1;
	double		margin = sign * score;
	double		e = exp(-fabs(margin));

	*wrong = !(margin > 0);
	diff[0] = -sign * (margin > 0 ? e / (1 + e) : 1 / (1 + e)) / model->temperature;
	return (margin > 0 ? 0 : -margin) + log1p(e);
}

static double
judge_classes(const LearnModel *model, size_t n, const double *scores, size_t label, bool *wrong, double *diff)
{
	double		own = label < n ? scores[label] : -INFINITY;

	*wrong = false;
	for (size_t i = 0; i < n; i++)
	{
		*wrong = *wrong || (i != label && scores[i] >= own);
		diff[i] = (exp(scores[i]) - (i == label ? 1.0 : 0.0)) / model->temperature;
	}
	return -own;
}

static double
judge_values(const LearnModel *model, size_t n, const double *scores, const float *labels, double tolerance, bool *wrong,
			 double *diff)
{
	double		total = 0;

	*wrong = false;
	for (size_t i = 0; i < n; i++)
	{
		double		off = (scores[i] - (double) labels[i]) / model->target_scale[i];

		*wrong = *wrong || !(fabs(off) <= tolerance);
		diff[i] = 2 * off / (double) n;
		total += off * off;
	}
	return total / (double) n;
}

/* A label that is no class of the model gets a number no answer has. */
static size_t
class_of(float label, size_t n)
{
	return label >= 0 && label < (float) n ? (size_t) label : n;
}

/* The outputs of n rows become scores, and those derivatives. */
static void
judge(LearnPredictorOracle *oracle, size_t first, size_t n, float *losses, uint8_t *wrong)
{
	const LearnModel *model = oracle->predictor->model;
	size_t		n_outputs = oracle->predictor->n_outputs;

	learn_outputs_to_scores(model, n, oracle->outputs);
	for (size_t row = 0; row < n; row++)
	{
		double	   *scores = oracle->outputs + row * n_outputs;
		const float *labels = oracle->labels + (first + row) * oracle->n_labels;
		bool		is_wrong;
		double		loss;

		if (model->task == LEARN_BINARY)
			loss = judge_binary(model, scores[0], (double) labels[0], &is_wrong, scores);
		else if (model->task == LEARN_MULTICLASS)
			loss = judge_classes(model, n_outputs, scores, class_of(labels[0], n_outputs), &is_wrong, scores);
		else
			loss = judge_values(model, n_outputs, scores, labels, oracle->tolerance, &is_wrong, scores);
		losses[row] = (float) loss;
		if (wrong != NULL)
			wrong[row] = is_wrong;
		for (size_t i = 0; i < n_outputs; i++)
			oracle->seeds[row * n_outputs + i] = (float) (scores[i] / oracle->predictor->n_voices);
	}
}

/* ---- Passes ---- */

static DevStatus
forward(const LearnVoice *voice, const LearnFieldBatch *fields, size_t n, const float *numbers, const int32_t *codes)
{
	const LearnGraph *built = &voice->engine->built;
	NnRun	   *run = learn_engine_explain_run(voice->engine, LEARN_MAX_STRETCHES);

	nn_run_bind(run, voice->weights, NULL);
	if (built->numbers != NN_NONE)
		nn_run_set(run, built->numbers, n, numbers);
	if (built->codes != NN_NONE)
		nn_run_set_codes(run, built->codes, n, codes);
	if (voice->engine->network->n_fields > 0)
		learn_field_batch_set(fields, built, run, n);
	nn_run_forward(run, built->output, NN_INFER, 0, 0, 0);
	return nn_run_synchronize(run);
}

static DevStatus
add_gradients(LearnPredictorOracle *oracle, size_t n, const float *numbers, const int32_t *codes, float *diff)
{
	LearnPredictor *predictor = oracle->predictor;
	size_t		size = n * (oracle->field < 0 ? predictor->model->n_numbers : predictor->fields.sizes[oracle->field][0]);
	DevStatus	status = DEV_OK;

	memset(diff, 0, size * sizeof(float));
	for (int i = 0; i < predictor->n_voices && status == DEV_OK; i++)
	{
		const LearnVoice *voice = &predictor->voices[i];
		NnRun	   *run = learn_engine_explain_run(voice->engine, LEARN_MAX_STRETCHES);
		const float *gradient;
		NnNode		input = voice->engine->built.numbers;

		if (oracle->field >= 0)
			input = voice->engine->network->n_fields > 0 ? voice->engine->built.planes[oracle->field][0] : NN_NONE;
		if (input == NN_NONE)
			continue;
		if (predictor->n_voices > 1)
			status = forward(voice, &predictor->fields, n, numbers, codes);
		if (status != DEV_OK)
			return status;
		nn_run_backward_from(run, voice->engine->built.output, oracle->seeds);
		status = nn_run_synchronize(run);
		gradient = nn_run_gradient(run, input);
		for (size_t j = 0; j < size; j++)
			diff[j] += gradient[j];
	}
	return status;
}

/* The fields of rows first to first + n into the predictor's buffers. */
static void
load_fields(LearnPredictorOracle *oracle, size_t first, size_t n)
{
	LearnPredictor *predictor = oracle->predictor;
	size_t		n_fields = (size_t) predictor->model->n_fields;

	/* The graph with gradients is that of the longest texts. */
	learn_predictor_stretch(predictor, LEARN_MAX_STRETCHES);
	for (size_t row = 0; row < n; row++)
		for (size_t field = 0; field < n_fields; field++)
			learn_field_batch_load(&predictor->fields, (int) field, row, oracle->fields[(first + row) * n_fields + field]);
	for (size_t field = 0; field < n_fields; field++)
	{
		size_t		size = predictor->fields.sizes[field][0];
		const float *planes = (int) field == oracle->field ? oracle->planes : oracle->moved[field];

		if (planes != NULL)
			memcpy(predictor->fields.planes[field][0], planes + first * size, n * size * sizeof(float));
	}
}

static DevStatus
score_block(LearnPredictorOracle *oracle, size_t first, size_t n, const float *numbers, const int32_t *codes,
			float *losses, uint8_t *wrong, float *diff)
{
	LearnPredictor *predictor = oracle->predictor;
	size_t		n_values = n * predictor->n_outputs;
	DevStatus	status = DEV_OK;

	if (predictor->model->n_fields > 0)
		load_fields(oracle, first, n);
	for (size_t i = 0; i < n_values; i++)
		oracle->outputs[i] = 0;
	for (int i = 0; i < predictor->n_voices && status == DEV_OK; i++)
	{
		const LearnVoice *voice = &predictor->voices[i];

		status = forward(voice, &predictor->fields, n, numbers, codes);
		for (size_t j = 0; j < n_values && status == DEV_OK; j++)
			oracle->outputs[j] += (double) nn_run_value(learn_engine_explain_run(voice->engine, LEARN_MAX_STRETCHES), voice->engine->built.output)[j];
	}
	if (status != DEV_OK)
		return status;
	for (size_t i = 0; i < n_values; i++)
		oracle->outputs[i] /= predictor->n_voices;
	judge(oracle, first, n, losses, wrong);
	return diff == NULL ? DEV_OK : add_gradients(oracle, n, numbers, codes, diff);
}

static size_t
min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* diff: by the numbers, or by the plane under attack. */
static DevStatus
score_rows(LearnPredictorOracle *oracle, size_t n, const float *numbers, const int32_t *codes, float *losses, uint8_t *wrong,
		   float *diff)
{
	LearnPredictor *predictor = oracle->predictor;
	const LearnModel *model = predictor->model;
	size_t		block = learn_predictor_explain_batch(predictor);
	size_t		width = oracle->field < 0 ? model->n_numbers : predictor->fields.sizes[oracle->field][0];
	DevStatus	status = DEV_OK;

	for (size_t first = 0; first < n && status == DEV_OK; first += block)
	{
		size_t		count = min_size(n - first, block);

		status = score_block(oracle, first, count, numbers + first * model->n_numbers, codes + first * model->n_codes,
							 losses + first, wrong == NULL ? NULL : wrong + first, diff == NULL ? NULL : diff + first * width);
		if (status == DEV_OK)
			status = dev_poll(predictor->session);
	}
	return status;
}

static DevStatus
score(void *context, size_t n, const float *numbers, const int32_t *codes, float *losses, uint8_t *wrong, float *diff)
{
	LearnPredictorOracle *oracle = context;

	oracle->field = -1;
	return score_rows(oracle, n, numbers, codes, losses, wrong, diff);
}

LearnRowOracle
learn_predictor_oracle(LearnPredictorOracle *oracle)
{
	return (LearnRowOracle) {.context = oracle, .score = score};
}

static DevStatus
score_planes(void *context, size_t n, const float *inputs, float *losses, uint8_t *wrong, float *diff)
{
	LearnPredictorOracle *oracle = context;

	oracle->planes = inputs;
	if (oracle->steps != NULL)
	{
		size_t		size = oracle->predictor->fields.sizes[oracle->field][0];

		memcpy(oracle->rounded, inputs, n * size * sizeof(float));
		learn_field_round(&oracle->predictor->model->fields[oracle->field], oracle->steps, n, size, oracle->rounded);
		oracle->planes = oracle->rounded;
	}
	return score_rows(oracle, n, oracle->numbers, oracle->codes, losses, wrong, diff);
}

LearnOracle
learn_predictor_field_oracle(LearnPredictorOracle *oracle, int field, const float *numbers, const int32_t *codes,
							 const LearnFieldSteps *steps, float *rounded)
{
	oracle->field = field;
	oracle->steps = steps;
	oracle->rounded = rounded;
	oracle->numbers = numbers;
	oracle->codes = codes;
	return (LearnOracle) {.context = oracle, .n_inputs = oracle->predictor->fields.sizes[field][0], .score = score_planes};
}

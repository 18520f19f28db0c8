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
	double		shift;			/* binary: the score from which the positive class is named */
	size_t		n_labels;		/* of a row */
	double	   *outputs;		/* (LEARN_EXPLAIN_BATCH, n_outputs) mean over networks, then scores */
	float	   *seeds;			/* the same: d loss / d output of one network */
	const LearnBytes *fields;	/* (n, n_fields) stored, of the batch's rows */
	const float **moved;		/* (n_fields): (n, moves) in place of what is stored, or NULL */

	const LearnBytes **texts;	/* (n_fields): (n) in place of what is stored, or NULL */

	/* An attack on what moves of one field */
	int			field;			/* -1: on the numbers */
	const float *moves;			/* (n, moves) as they are tried */
	float	   *by_plane;		/* (LEARN_EXPLAIN_BATCH, size) gradients by the plane of a series; NULL without one */
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
	size_t		widest = 0;

	*oracle = NULL;
	if (model->task == LEARN_SURVIVAL)
		return dev_fail(session, DEV_INVALID, "a survival model has no wrong answer that an attack could look for");
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
	made->n_labels = model->task == LEARN_REGRESSION || model->task == LEARN_MULTILABEL ? predictor->n_outputs : 1;
	made->outputs = dev_alloc(session, LEARN_EXPLAIN_BATCH * predictor->n_outputs, sizeof(double));
	made->seeds = dev_alloc(session, LEARN_EXPLAIN_BATCH * predictor->n_outputs, sizeof(float));
	made->moved = dev_alloc(session, (size_t) model->n_fields + 1, sizeof(float *));
	made->texts = dev_alloc(session, (size_t) model->n_fields + 1, sizeof(LearnBytes *));
	if (made->outputs == NULL || made->seeds == NULL || made->moved == NULL || made->texts == NULL)
		return DEV_NO_MEMORY;
	for (int i = 0; i < model->n_fields; i++)
		if (model->fields[i].kind == LEARN_SERIES && predictor->fields.sizes[i][0] > widest)
			widest = predictor->fields.sizes[i][0];
	made->by_plane = dev_alloc(session, LEARN_EXPLAIN_BATCH * widest + 1, sizeof(float));
	if (made->by_plane == NULL)
		return DEV_NO_MEMORY;
	*oracle = made;
	return learn_predictor_explain_runs(predictor, LEARN_MAX_STRETCHES);
}

void
learn_predictor_oracle_threshold(LearnPredictorOracle *oracle, double threshold)
{
	oracle->shift = oracle->predictor->model->task == LEARN_BINARY ? log(threshold) - log1p(-threshold) : 0;
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
	{
		oracle->moved[i] = NULL;
		oracle->texts[i] = NULL;
	}
}

void
learn_predictor_oracle_moved(LearnPredictorOracle *oracle, int field, const float *moves)
{
	oracle->moved[field] = moves;
}

void
learn_predictor_oracle_texts(LearnPredictorOracle *oracle, int field, const LearnBytes *stored)
{
	oracle->texts[field] = stored;
}

/* ---- Losses ---- */

/*
 * Scores of a row -> its loss, whether it is wrong, and d loss / d mean output in diff (n_outputs), which may be scores. Of classes the loss is the log of
 * the odds against the right one: it rises where the log loss does, but its slope never vanishes, however sure the model is. An attack that followed
 * the log loss would stand still at a model whose probabilities are one.
 */
static double
judge_binary(const LearnModel *model, double score, double label, bool *wrong, double *diff)
{
	double		sign = label > 0.5 ? 1 : -1;

	*wrong = !(sign * score > 0);
	diff[0] = -sign / model->temperature;
	return -sign * score;
}

/* Every label is an answer of its own, and the row is wrong when one is: the least sure one is led away. */
static double
judge_labels(const LearnModel *model, size_t n, const double *scores, const float *labels, bool *wrong, double *diff)
{
	double		largest = -INFINITY;
	double		slope = 0;
	size_t		weakest = 0;

	*wrong = false;
	for (size_t i = 0; i < n; i++)
	{
		bool		off;
		double		by;
		double		loss = judge_binary(model, scores[i], (double) labels[i], &off, &by);

		*wrong = *wrong || off;
		if (!(loss > largest))
			continue;
		largest = loss;
		slope = by;
		weakest = i;
	}
	for (size_t i = 0; i < n; i++)
		diff[i] = i == weakest ? slope : 0;
	return largest;
}

static double
judge_classes(const LearnModel *model, size_t n, const double *scores, size_t label, bool *wrong, double *diff)
{
	double		own = label < n ? scores[label] : -INFINITY;
	double		largest = -INFINITY;
	double		sum = 0;

	*wrong = false;
	for (size_t i = 0; i < n; i++)
		if (i != label)
			largest = fmax(largest, scores[i]);
	for (size_t i = 0; i < n; i++)
	{
		*wrong = *wrong || (i != label && scores[i] >= own);
		sum += i == label ? 0 : exp(scores[i] - largest);
	}
	for (size_t i = 0; i < n; i++)
		diff[i] = (i == label ? -1 : exp(scores[i] - largest) / sum) / model->temperature;
	return largest + log(sum) - own;
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
			loss = judge_binary(model, scores[0] - oracle->shift, (double) labels[0], &is_wrong, scores);
		else if (model->task == LEARN_MULTILABEL)
			loss = judge_labels(model, n_outputs, scores, labels, &is_wrong, scores);
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

/* By what the network sees: the numbers, or the plane of the field under attack. */
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

/* diff (n, inputs of the attack) of rows first to first + n. */
static DevStatus
find_gradients(LearnPredictorOracle *oracle, size_t first, size_t n, const float *numbers, const int32_t *codes, float *diff)
{
	const LearnFieldBatch *batch = &oracle->predictor->fields;
	const LearnField *field = oracle->field < 0 ? NULL : &oracle->predictor->model->fields[oracle->field];
	DevStatus	status;

	if (field != NULL && !learn_field_has_slope(field))
	{
		memset(diff, 0, n * learn_field_moves(field) * sizeof(float));
		return DEV_OK;
	}
	if (field == NULL || field->kind != LEARN_SERIES)
		return add_gradients(oracle, n, numbers, codes, diff);
	status = add_gradients(oracle, n, numbers, codes, oracle->by_plane);
	for (size_t row = 0; row < n && status == DEV_OK; row++)
		learn_series_slope(field, oracle->moves + (first + row) * learn_field_moves(field),
						   oracle->by_plane + row * batch->sizes[oracle->field][0], diff + row * learn_field_moves(field));
	return status;
}

/* A field of row `row` of the pass: as stored, then as it is moved. */
static void
load_field(LearnFieldBatch *batch, int number, size_t row, LearnBytes stored, const float *moves)
{
	const LearnField *field = &batch->fields[number];

	if (moves == NULL || learn_field_has_slope(field))
		learn_field_batch_load(batch, number, row, stored);
	if (moves != NULL)
		learn_field_moves_show(field, moves, learn_field_moved_positions(field, stored), batch->scratch,
							   (float *) batch->planes[number][0] + row * batch->sizes[number][0]);
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
		{
			const float *moves = (int) field == oracle->field ? oracle->moves : oracle->moved[field];
			const LearnBytes *stored = oracle->texts[field] != NULL ? &oracle->texts[field][first + row] :
				&oracle->fields[(first + row) * n_fields + field];

			load_field(&predictor->fields, (int) field, row, *stored,
					   moves == NULL ? NULL : moves + (first + row) * learn_field_moves(&predictor->model->fields[field]));
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
	return diff == NULL ? DEV_OK : find_gradients(oracle, first, n, numbers, codes, diff);
}

static size_t
min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* diff: by the numbers, or by what moves of the field under attack. */
static DevStatus
score_rows(LearnPredictorOracle *oracle, size_t n, const float *numbers, const int32_t *codes, float *losses, uint8_t *wrong,
		   float *diff)
{
	LearnPredictor *predictor = oracle->predictor;
	const LearnModel *model = predictor->model;
	size_t		block = learn_predictor_explain_batch(predictor);
	size_t		width = oracle->field < 0 ? model->n_numbers : learn_field_moves(&model->fields[oracle->field]);
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
score_moves(void *context, size_t n, const float *inputs, float *losses, uint8_t *wrong, float *diff)
{
	LearnPredictorOracle *oracle = context;

	oracle->moves = inputs;
	if (oracle->steps != NULL)
	{
		size_t		size = learn_field_moves(&oracle->predictor->model->fields[oracle->field]);

		memcpy(oracle->rounded, inputs, n * size * sizeof(float));
		learn_field_round(&oracle->predictor->model->fields[oracle->field], oracle->steps, n, size, oracle->rounded);
		oracle->moves = oracle->rounded;
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
	return (LearnOracle) {.context = oracle, .n_inputs = learn_field_moves(&oracle->predictor->model->fields[field]), .score = score_moves};
}

/*
 * test_moves.c: what attacks move of series and texts, alone and in training, and search without gradients.
 */
#include "check_fields.h"

#include "idla/learn_adversarial.h"

#include <math.h>
#include <stdlib.h>

/* ---- Bins of a series ---- */

#define BINS 6
#define CHANNELS 3
#define MOVES (BINS * CHANNELS)

static LearnSeriesChannel channels[CHANNELS] = {
	{.name = "hr", .n = 10, .mean = 80, .deviation = 12}, {.name = "resp", .n = 10, .mean = 18, .deviation = 3},
	{.name = "never", .n = 0, .mean = 0, .deviation = 1}
};
static LearnSeriesPlan plan = {.n_channels = CHANNELS, .channels = channels, .start = -BINS, .width = 1, .n_bins = BINS};

/* Known before the window: resp, two bins ago. */
static const float stored[(BINS + 2) * CHANNELS] = {
	NAN, 21, NAN, NAN, 2, NAN,
	NAN, NAN, NAN,
	95, NAN, 7,
	NAN, NAN, NAN,
	NAN, 12, NAN,
	60, NAN, NAN,
	NAN, NAN, NAN
};

static LearnField
series_field(void)
{
	return (LearnField) {.kind = LEARN_SERIES, .sample = LEARN_SAMPLE_F32, .dims = {BINS, CHANNELS, 0}, .series = &plan};
}

/* Half the squared length of what the network would see, each value weighed. */
static double
half_square(const float *plane, float *diff)
{
	double		sum = 0;

	for (size_t i = 0; i < 3 * MOVES; i++)
	{
		double		weight = 1 + 0.1 * (double) i;

		sum += weight * (double) plane[i] * (double) plane[i] / 2;
		if (diff != NULL)
			diff[i] = (float) (weight * (double) plane[i]);
	}
	return sum;
}

static void
test_bins(void)
{
	LearnField	field = series_field();
	LearnBytes	bytes = {stored, sizeof(stored)};
	LearnBytes	torn = {stored, sizeof(stored) - 4};
	void	   *planes[LEARN_MAX_PLANES];
	float		plane[3 * MOVES];
	float		shown[3 * MOVES];
	float		moves[MOVES];
	float		back[MOVES];
	float		by_plane[3 * MOVES];
	float		by_moves[MOVES];
	int32_t		length;
	size_t		n_moving = 0;

	planes[0] = plane;
	learn_field_load(&field, bytes, NULL, planes, &length);
	learn_field_moves_load(&field, bytes, moves, &length);
	CHECK(learn_field_is_attacked(&field) && learn_field_has_slope(&field) && learn_field_moves(&field) == MOVES, "bins move");
	CHECK(length == BINS && fabsf(moves[CHANNELS] - 1.25f) < 1e-6f && isnan(moves[0]), "in deviations, where something was observed");
	CHECK(isnan(moves[CHANNELS + 2]), "not of a channel without a scale");
	learn_series_bins(&field, plane, back);
	for (size_t i = 0; i < MOVES; i++)
	{
		n_moving += !isnan(moves[i]);
		if (isnan(moves[i]) != isnan(back[i]) || fabs((double) moves[i] - (double) back[i]) > 1e-5)
			CHECK(false, "bin %zu is the same from the plane: %g, not %g", i, (double) back[i], (double) moves[i]);
	}
	CHECK(n_moving == 3, "three bins were observed, not %zu", n_moving);
	memcpy(shown, plane, sizeof(plane));
	learn_field_moves_show(&field, moves, BINS, NULL, shown);
	for (size_t i = 0; i < 3 * MOVES; i++)
		if (fabsf(shown[i] - plane[i]) > 1e-6f)
			CHECK(false, "bins that did not move are seen as they were, value %zu", i);

	moves[CHANNELS] += 1;
	learn_field_moves_show(&field, moves, BINS, NULL, shown);
	CHECK(shown[0] == plane[0], "what came before a bin stays");
	CHECK(shown[9] > plane[9] && shown[18] == shown[9] && shown[27] == shown[9], "what is carried from it follows");
	CHECK(fabsf(shown[36] - plane[36]) < 1e-6f, "until the next one");
	CHECK(shown[1] == plane[1] && shown[10] == plane[10], "what was known before the window stays");
	for (size_t i = 0; i < BINS; i++)
		CHECK(memcmp(shown + 9 * i + 3, plane + 9 * i + 3, 6 * sizeof(float)) == 0, "when it was observed stays");

	half_square(shown, by_plane);
	learn_series_slope(&field, moves, by_plane, by_moves);
	for (size_t i = 0; i < MOVES; i++)
	{
		float		kept = moves[i];
		double		slope;

		if (isnan(kept))
		{
			CHECK(by_moves[i] == 0, "no slope where nothing was observed");
			continue;
		}
		moves[i] = kept + 0.01f;
		learn_series_show(&field, moves, shown);
		slope = half_square(shown, NULL);
		moves[i] = kept - 0.01f;
		learn_series_show(&field, moves, shown);
		slope = (slope - half_square(shown, NULL)) / 0.02;
		moves[i] = kept;
		CHECK_NEAR((double) by_moves[i], slope, 5e-3 * (1 + fabs(slope)), "slope by bin %zu", i);
	}
	learn_field_moves_load(&field, torn, moves, &length);
	for (size_t i = 0; i < MOVES; i++)
		if (!isnan(moves[i]))
			CHECK(false, "of a torn value nothing moves");
}

/* ---- Without gradients ---- */

#define POSITIONS 40
#define LEADS 2
#define INPUTS (POSITIONS * LEADS)
#define ROWS 12

/* Steps, as features that are counts have: no gradient anywhere. */
typedef struct Stairs
{
	size_t		calls;
	bool		asked;			/* for gradients */
} Stairs;

static DevStatus
score_stairs(void *context, size_t n, const float *inputs, float *losses, uint8_t *wrong, float *diff)
{
	Stairs	   *stairs = context;

	stairs->calls++;
	stairs->asked = stairs->asked || diff != NULL;
	for (size_t row = 0; row < n; row++)
	{
		int			count = 0;

		for (size_t p = 0; p < POSITIONS; p++)
			count += inputs[row * INPUTS + p * LEADS] > 0.25f && inputs[row * INPUTS + p * LEADS + 1] < 0.1f;
		losses[row] = (float) count;
		if (wrong != NULL)
			wrong[row] = count >= POSITIONS / 2;
	}
	return DEV_OK;
}

static void
test_blind(void)
{
	Stairs		stairs = {0};
	LearnOracle oracle = {.context = &stairs, .n_inputs = INPUTS, .score = score_stairs};
	float	   *clean = calloc(ROWS * INPUTS, sizeof(float));
	float	   *low = malloc(ROWS * INPUTS * sizeof(float));
	float	   *high = malloc(ROWS * INPUTS * sizeof(float));
	float	   *out = malloc(ROWS * INPUTS * sizeof(float));
	float	   *part = malloc(ROWS * INPUTS * sizeof(float));
	float	   *scratch = malloc(learn_attack_scratch(ROWS, INPUTS) * sizeof(float));
	LearnBox	box = {.low = low, .high = high, .by_row = true};
	LearnBox	rest = {.low = low + 5 * INPUTS, .high = high + 5 * INPUTS, .by_row = true};
	int32_t		lengths[ROWS];
	float		epsilons[ROWS];
	float		losses[ROWS];
	uint8_t		fooled[ROWS];

	for (size_t row = 0; row < ROWS; row++)
	{
		lengths[row] = row == 3 ? 0 : row == 4 ? 7 : POSITIONS;
		epsilons[row] = row == 2 ? 0 : 4;
		for (size_t i = 0; i < INPUTS; i++)
		{
			low[row * INPUTS + i] = row == 2 ? 0 : -0.3f;
			high[row * INPUTS + i] = row == 2 ? 0 : 0.5f;
		}
	}
	for (int norm = 0; norm < 2; norm++)
	{
		LearnAttack how = learn_attack_judge(norm == 0 ? LEARN_NORM_MAX : LEARN_NORM_L2, INFINITY, 60, 3);
		bool		inside = true;
		size_t		n_fooled = 0;

		how.epsilon = norm == 0 ? INFINITY : 1;
		stairs = (Stairs) {0};
		learn_attack_blind(&how, &oracle, &box, ROWS, POSITIONS, LEADS, lengths, clean, norm == 0 ? NULL : epsilons, 1, 7, out, losses, NULL,
						   scratch);
		CHECK(stairs.calls == 181 && !stairs.asked, "norm %d: the row and steps times restarts points, no gradient", norm);
		for (size_t row = 0; row < ROWS; row++)
		{
			double		square = 0;

			for (size_t i = 0; i < INPUTS; i++)
			{
				float		value = out[row * INPUTS + i];

				inside = inside && value >= low[row * INPUTS + i] && value <= high[row * INPUTS + i];
				inside = inside && (i / LEADS < (size_t) lengths[row] || value == 0);
				square += (double) value * (double) value;
			}
			inside = inside && (norm == 0 || sqrt(square) <= (double) epsilons[row] * (1 + 1e-5));
			CHECK(losses[row] > 1 || row == 2 || row == 3, "norm %d: row %zu gets worse: %g", norm, row, (double) losses[row]);
		}
		CHECK(inside, "norm %d: within ball, box and length", norm);
		learn_attack_blind(&how, &oracle, &rest, ROWS - 5, POSITIONS, LEADS, lengths + 5, clean, norm == 0 ? NULL : epsilons + 5, 1, 12, part,
						   NULL, NULL, scratch);
		CHECK(memcmp(part, out + 5 * INPUTS, (ROWS - 5) * INPUTS * sizeof(float)) == 0, "norm %d: whatever the batch is", norm);
		learn_attack_blind(&how, &oracle, &box, ROWS, POSITIONS, LEADS, NULL, clean, norm == 0 ? NULL : epsilons, 1, 7, out, losses, fooled,
						   scratch);
		for (size_t row = 0; row < ROWS; row++)
			n_fooled += fooled[row];
		CHECK(norm == 1 || n_fooled == ROWS - 1, "rows that can be fooled are: %zu", n_fooled);
		CHECK(!fooled[2], "norm %d: one that may not move is not", norm);
	}
	free(clean);
	free(low);
	free(high);
	free(out);
	free(part);
	free(scratch);
}

/* ---- A model of series and texts ---- */

#define N 120

static const char *const notes[2] = {"The patient complains of weakness and fever number", "Routine control without any findings number"};

/* A series whose channel hr tells, and a note that does. */
typedef struct Ward
{
	DevSession *session;
	LearnDataset *dataset;
	LearnModel	model;
	LearnField	fields[2];
	LearnSeriesChannel channels[CHANNELS];
	LearnSeriesPlan plan;
	float		stored[N][(BINS + 2) * CHANNELS];
	char		texts[N][80];
	LearnSplit	split;
	LearnNotes	told;
} Ward;

static LearnBytes
ward_text(Ward *ward, size_t row)
{
	snprintf(ward->texts[row], sizeof(ward->texts[row]), "%s %zu", notes[row % 2], row);
	return (LearnBytes) {ward->texts[row], strlen(ward->texts[row])};
}

static Ward *
open_ward(void)
{
	Ward	   *ward = calloc(1, sizeof(Ward));
	LearnFit	fit = {.task = LEARN_BINARY, .max_categories = 10, .min_count = 1};

	CHECK_OR_STOP(ward != NULL && dev_session_open(NULL, 3, &ward->session) == DEV_OK, "a session opens");
	memcpy(ward->channels, channels, sizeof(channels));
	ward->plan = plan;
	ward->plan.channels = ward->channels;
	ward->fields[0] = series_field();
	ward->fields[0].name = (char *) "series";
	ward->fields[0].series = &ward->plan;
	ward->fields[1] = (LearnField) {.name = (char *) "note", .kind = LEARN_TEXT, .lowercase = true};
	ward->model = (LearnModel) {.task = LEARN_BINARY, .n_columns = 2, .fields = ward->fields, .n_fields = 2, .n_targets = 1, .positive = 1,
	.temperature = 1, .n_classes = 2};
	ward->split = (LearnSplit) {.validation = 0.2, .test = 0.2, .task = LEARN_BINARY, .seed = 5};
	CHECK_OR_STOP(learn_dataset_create(ward->session, NULL, 0, 1, 1 << 24, NULL, &ward->dataset) == DEV_OK, "a data set");
	CHECK_OR_STOP(learn_dataset_add_fields(ward->dataset, ward->fields, 2, 1 << 24, NULL) == DEV_OK, "with two fields");
	for (size_t row = 0; row < N; row++)
	{
		float		target = (float) (row % 2);
		LearnBytes	values[2] = {{ward->stored[row], sizeof(ward->stored[row])}, ward_text(ward, row)};
		LearnRow	given = {.targets = &target, .fields = values, .part = LEARN_UNASSIGNED};

		for (size_t i = 0; i < (BINS + 2) * CHANNELS; i++)
			ward->stored[row][i] = i % CHANNELS == 2 || dev_random_uniform(5, 1, row * 64 + i) < 0.3 ? NAN :
				(float) (80 + 5 * (double) target + 3 * dev_random_normal(5, 2, row * 64 + i));
		if (row == 7)
			values[0] = (LearnBytes) {NULL, 0};
		if (row == 9)
			values[1] = (LearnBytes) {NULL, 0};
		CHECK_OR_STOP(learn_dataset_append(ward->dataset, &given) == DEV_OK, "a row");
	}
	CHECK_OR_STOP(learn_split(ward->dataset, &ward->split, &ward->told) == DEV_OK, "parts");
	CHECK_OR_STOP(learn_fit(ward->dataset, &fit, &ward->told, &ward->model.n_numbers, &ward->model.n_codes) == DEV_OK, "statistics");
	CHECK_OR_STOP(learn_dataset_encode(ward->dataset) == DEV_OK, "encoded");
	return ward;
}

static void
train_ward(Ward *ward, LearnAdversary adversary, LearnOutcome *outcome)
{
	LearnTraining training = field_training(6, 2);
	LearnNetwork network = {.architecture = LEARN_GRU, .depth = 1, .width = 8, .activation = -1, .n_fields = 2, .fields = ward->fields};

	training.word_dropout = 0;
	training.adversary = adversary;
	CHECK_STATUS(ward->session, learn_train(ward->session, ward->dataset, &ward->model, &network, &training, &ward->split, field_listen, NULL,
											&ward->told, outcome), DEV_OK, "series and texts are trained");
}

static void
close_ward(Ward *ward)
{
	dev_session_close(ward->session);
	free(ward);
}

static void
test_training(void)
{
	static const LearnAdversaryMethod methods[] = {LEARN_FGSM, LEARN_PGD, LEARN_TRADES};
	LearnOutcome plain;

	for (int i = 0; i < 3; i++)
	{
		Ward	   *ward = open_ward();
		LearnAdversary adversary = {
			.method = methods[i], .norm = i == 1 ? LEARN_NORM_L2 : LEARN_NORM_MAX, .epsilon = 0.7, .steps = 3, .restarts = 1, .share = 1, .beta = 2
		};
		bool		fixed[2] = {true, true};
		LearnOutcome outcome;

		train_ward(ward, (LearnAdversary) {.method = LEARN_NO_ADVERSARY}, &plain);
		train_ward(ward, adversary, &outcome);
		CHECK(isfinite(outcome.validation_loss) && outcome.validation_loss > plain.validation_loss * 1.05,
			  "under attack by %s it is harder: %g after %g", learn_adversary_names[methods[i]], outcome.validation_loss, plain.validation_loss);
		/* Either alone is attacked as well, and together they are worse. */
		for (int left = 0; left < 2 && methods[i] == LEARN_PGD; left++)
		{
			fixed[0] = left == 0;
			fixed[1] = left == 1;
			adversary.fixed = fixed;
			train_ward(ward, adversary, &outcome);
			CHECK(outcome.validation_loss > plain.validation_loss * 1.01, "field %d alone is attacked: %g after %g", 1 - left, outcome.validation_loss,
				  plain.validation_loss);
		}
		close_ward(ward);
	}
}

/* ---- Texts ---- */

static DevStatus
refuse_long(void *context, size_t row, LearnBytes text, bool *allowed)
{
	size_t	   *most = context;

	*allowed = text.size <= *most && row != 3;
	return DEV_OK;
}

static void
test_texts(void)
{
	enum { ROWS_OF_TEXT = 20 };
	Ward	   *ward = open_ward();
	LearnPredictor *predictor;
	LearnPredictorOracle *oracle;
	LearnTextAttacker *attacker;
	LearnOutcome outcome;
	LearnBytes	fields[ROWS_OF_TEXT][2];
	LearnBytes	given[ROWS_OF_TEXT];
	LearnBytes	stored[ROWS_OF_TEXT];
	float		labels[ROWS_OF_TEXT];
	size_t		most;
	LearnTextReferee referee = {.context = &most, .judge = refuse_long};
	uint8_t		fooled[ROWS_OF_TEXT];
	LearnTrouble trouble;
	size_t		n_changed = 0;

	train_ward(ward, (LearnAdversary) {.method = LEARN_NO_ADVERSARY}, &outcome);
	CHECK_OR_STOP(learn_predictor_create(ward->session, &ward->model, ROWS_OF_TEXT, &predictor) == DEV_OK, "a predictor");
	CHECK_OR_STOP(learn_predictor_oracle_create(predictor, 0, &oracle) == DEV_OK, "an oracle");
	CHECK_OR_STOP(learn_text_attacker_create(ward->session, oracle, &ward->fields[1], 1, ROWS_OF_TEXT, &attacker) == DEV_OK, "an attacker");
	for (size_t row = 0; row < ROWS_OF_TEXT; row++)
	{
		void	   *taken = NULL;

		labels[row] = (float) (row % 2);
		given[row] = row == 5 ? (LearnBytes) {NULL, 0} : ward_text(ward, row);
		stored[row] = (LearnBytes) {NULL, 0};
		if (row != 5)
			CHECK_OR_STOP(learn_field_take_text(&ward->fields[1], given[row].bytes, given[row].size, true, &taken, &stored[row].size, &trouble),
						  "a text is taken");
		stored[row].bytes = taken;
		fields[row][0] = (LearnBytes) {ward->stored[row], sizeof(ward->stored[row])};
		fields[row][1] = stored[row];
	}
	learn_predictor_oracle_set(oracle, labels);
	learn_predictor_oracle_fields(oracle, fields[0]);
	for (int turn = 0; turn < 3; turn++)
	{
		most = turn == 1 ? 0 : 1000;
		n_changed = 0;
		CHECK_STATUS(ward->session, learn_text_attack(attacker, turn == 2 ? 0 : 2, turn == 1 ? &referee : NULL, ROWS_OF_TEXT, given, stored, NULL,
													  NULL, 1, 0, turn == 0 ? NULL : fooled), DEV_OK, "texts are attacked");
		for (size_t row = 0; row < ROWS_OF_TEXT; row++)
		{
			LearnBytes	text;
			size_t		differs = 0;

			if (!learn_text_attacked(attacker, row, &text))
				continue;
			n_changed++;
			/* Words are as many as they were, of at most two other letters. */
			for (size_t i = 0; i < text.size; i++)
				differs += ((const char *) text.bytes)[i] == ' ';
			for (size_t i = 0; i < given[row].size; i++)
				differs -= ((const char *) given[row].bytes)[i] == ' ';
			CHECK(differs == 0 && text.size + 2 >= given[row].size && text.size <= given[row].size + 2, "row %zu: %.*s", row, (int) text.size,
				  (const char *) text.bytes);
			learn_text_restore(attacker, row);
			CHECK(!learn_text_attacked(attacker, row, &text), "and is what it was");
		}
		CHECK(turn == 0 ? n_changed > ROWS_OF_TEXT / 2 : n_changed == 0, "attack %d changes %zu texts", turn, n_changed);
	}
	for (size_t row = 0; row < ROWS_OF_TEXT; row++)
		free((void *) (uintptr_t) stored[row].bytes);
	close_ward(ward);
}

int
main(void)
{
	test_bins();
	test_blind();
	test_training();
	test_texts();
	return check_done();
}

/*
 * test_moves.c: what attacks move of series, and search without gradients.
 */
#include "check.h"

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

int
main(void)
{
	test_bins();
	test_blind();
	return check_done();
}

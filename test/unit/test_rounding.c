/*
 * test_rounding.c: bfloat16 against all of its numbers, ties, infinities, subnormal ones; int8 channels of zeros, of extremes; which values
 * share a scale; rounded twice is rounded once; bytes come back as they were, and others do not come back.
 */
#include "check.h"

#include <float.h>

#include "idla/device.h"
#include "idla/learn_rounding.h"

#define SEED 11
#define MOST_SCALES 512

static float
from_bits(uint32_t bits)
{
	float		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static uint32_t
to_bits(float value)
{
	uint32_t	bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

/* ---- bfloat16 ---- */

static void
test_bfloat16_numbers(void)
{
	bool		same = true;
	bool		nan = true;
	bool		nearest = true;

	for (uint32_t bits = 0; bits < 65536; bits++)
	{
		float		value = learn_from_bfloat16((uint16_t) bits);

		if (isnan(value))
			nan = nan && isnan(learn_from_bfloat16(learn_to_bfloat16(value)));
		else
			same = same && learn_to_bfloat16(value) == bits;
	}
	CHECK(same, "every bfloat16 but NaN becomes itself");
	CHECK(nan && isnan(learn_from_bfloat16(learn_to_bfloat16(from_bits(0x7f800001)))) &&
		  isnan(learn_from_bfloat16(learn_to_bfloat16(from_bits(0xffffffff)))), "NaN stays NaN, whatever its bits");

	for (uint64_t i = 0; i < 200000; i++)
	{
		uint32_t	random[4];
		float		value;
		float		low;
		float		high;
		float		found;

		dev_random_bits(SEED, 1, i, random);
		value = from_bits(random[0]);
		if (isnan(value) || fabsf(value) > 3.3e38f)
			continue;
		low = from_bits(random[0] & 0xffff0000);
		high = from_bits((random[0] & 0xffff0000) + 0x10000);
		found = learn_from_bfloat16(learn_to_bfloat16(value));
		nearest = nearest && (found == low || found == high) &&
			fabs((double) found - value) == fmin(fabs((double) low - value), fabs((double) high - value));
	}
	CHECK(nearest, "any other becomes the nearest one");
}

static void
test_bfloat16_places(void)
{
	static const struct
	{
		uint32_t	from;
		uint16_t	to;
		const char *what;
	}			cases[] = {
		{0x3f808000, 0x3f80, "a tie goes to the even number below"},
		{0x3f818000, 0x3f82, "a tie goes to the even number above"},
		{0xbf818000, 0xbf82, "and so does one below 0"},
		{0x3f808001, 0x3f81, "what is more than a tie goes up"},
		{0x3f817fff, 0x3f81, "what is less goes down"},
		{0x3fffffff, 0x4000, "the mantissa is carried into the exponent"},
		{0x7f800000, 0x7f80, "infinity stays"},
		{0xff800000, 0xff80, "so does the other"},
		{0x7f7fffff, 0x7f80, "the largest float32 is too large"},
		{0x7f7f7fff, 0x7f7f, "what is nearer to the largest becomes that"},
		{0x80000000, 0x8000, "0 keeps its sign"},
		{0x00000001, 0x0000, "the smallest subnormal number becomes 0"},
		{0x00008000, 0x0000, "half of the smallest bfloat16 becomes 0"},
		{0x00008001, 0x0001, "more becomes the smallest"},
		{0x00018000, 0x0002, "a subnormal tie goes to the even one"},
		{0x007fffff, 0x0080, "the largest subnormal number becomes normal"}
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK(learn_to_bfloat16(from_bits(cases[i].from)) == cases[i].to, "bfloat16: %s", cases[i].what);
}

/* ---- which values share a scale ---- */

static NnParameterInfo
parameter(NnRole role, int rank, size_t d0, size_t d1, size_t d2, size_t d3)
{
	NnParameterInfo info = {.name = "p", .role = role, .shape = nn_shape(rank, d0, d1, d2, d3)};

	info.size = nn_shape_size(&info.shape);
	return info;
}

static void
check_layout(const char *what, NnParameterInfo info, size_t groups, size_t rows, size_t channels, NnShape scales)
{
	LearnRounding rounding = learn_rounding_of(LEARN_INT8, &info);

	CHECK(rounding.precision == LEARN_INT8 && rounding.n_groups == groups && rounding.n_rows == rows && rounding.n_channels == channels &&
		  rounding.n_scales == groups * channels && nn_shape_size(&rounding.scales) == rounding.n_scales &&
		  rounding.scales.rank == scales.rank && memcmp(rounding.scales.dims, scales.dims, sizeof(scales.dims)) == 0,
		  "scales of %s", what);
	CHECK(learn_rounding_of(LEARN_BFLOAT16, &info).precision == LEARN_BFLOAT16 && learn_rounding_of(LEARN_BFLOAT16, &info).n_scales == 0,
		  "%s in bfloat16 needs none", what);
}

static void
check_whole(const char *what, NnParameterInfo info)
{
	LearnRounding rounding = learn_rounding_of(LEARN_INT8, &info);

	CHECK(rounding.precision == LEARN_FLOAT32 && rounding.size == info.size && rounding.n_scales == 0, "%s is left alone", what);
}

static void
test_layouts(void)
{
	NnParameterInfo any = parameter(NN_ROLE_MATRIX, 2, 30, 64, 0, 0);

	check_layout("a matrix", any, 1, 30, 64, nn_shape(2, 1, 64, 0, 0));
	check_layout("a head", parameter(NN_ROLE_HEAD, 2, 64, 1, 0, 0), 1, 64, 1, nn_shape(2, 1, 1, 0, 0));
	check_layout("several matrices", parameter(NN_ROLE_MATRIX, 3, 5, 32, 16, 0), 5, 32, 16, nn_shape(3, 5, 1, 16, 0));
	check_layout("several flat ones", parameter(NN_ROLE_MATRIX, 3, 5, 1, 16, 0), 1, 5, 16, nn_shape(3, 1, 1, 16, 0));
	check_layout("a kernel", parameter(NN_ROLE_MATRIX, 4, 3, 3, 16, 32), 1, 144, 32, nn_shape(4, 1, 1, 1, 32));
	check_layout("a table", parameter(NN_ROLE_TABLE, 2, 100, 24, 0, 0), 100, 24, 1, nn_shape(2, 100, 1, 0, 0));
	check_layout("a narrow table", parameter(NN_ROLE_TABLE, 2, 100, 1, 0, 0), 1, 100, 1, nn_shape(2, 1, 1, 0, 0));
	check_layout("a deep table", parameter(NN_ROLE_TABLE, 3, 7, 12, 8, 0), 7, 96, 1, nn_shape(3, 7, 1, 1, 0));
	check_whole("a vector", parameter(NN_ROLE_VECTOR, 2, 16, 4, 0, 0));
	check_whole("a matrix of one dimension", parameter(NN_ROLE_MATRIX, 1, 16, 0, 0, 0));
	check_whole("a statistic", parameter(NN_ROLE_STATISTIC, 2, 16, 16, 0, 0));
	check_whole("a constant", parameter(NN_ROLE_CONSTANT, 2, 16, 16, 0, 0));
	check_whole("a matrix of three rows", parameter(NN_ROLE_HEAD, 2, 3, 10, 0, 0));
	check_whole("a matrix of nothing", parameter(NN_ROLE_MATRIX, 2, 0, 16, 0, 0));
	CHECK(learn_rounding_of(LEARN_FLOAT32, &any).precision == LEARN_FLOAT32, "in float32 so is everything");
	CHECK(learn_precision_bytes(LEARN_FLOAT32) == 4 && learn_precision_bytes(LEARN_BFLOAT16) == 2 && learn_precision_bytes(LEARN_INT8) == 1,
		  "bytes of a value");
}

/* ---- rounding ---- */

/* Rounded twice is rounded once, and the bytes bring it back. */
static void
check_round_trip(DevSession *session, const LearnRounding *rounding, const float *rounded, const char *what)
{
	size_t		n = rounding->size;
	float	   *again = calloc(n, sizeof(float));
	uint8_t    *bytes = calloc(n, 4);
	float		scales[MOST_SCALES];

	memcpy(again, rounded, n * sizeof(float));
	CHECK(learn_round(session, rounding, again) == DEV_OK && memcmp(again, rounded, n * sizeof(float)) == 0, "%s: rounded twice is rounded once", what);
	memset(again, 1, n * sizeof(float));
	CHECK(learn_rounded_store(rounding, rounded, bytes, scales) && learn_rounded_load(session, rounding, bytes, scales, again) == DEV_OK &&
		  memcmp(again, rounded, n * sizeof(float)) == 0, "%s: bytes bring the values back", what);
	free(bytes);
	free(again);
}

static void
test_parameters(DevSession *session)
{
	const struct
	{
		const char *what;
		NnParameterInfo info;
	}			cases[] = {
		{"a matrix", parameter(NN_ROLE_MATRIX, 2, 37, 64, 0, 0)},
		{"several matrices", parameter(NN_ROLE_HEAD, 3, 16, 64, 2, 0)},
		{"a kernel", parameter(NN_ROLE_MATRIX, 4, 3, 3, 8, 12)},
		{"a table", parameter(NN_ROLE_TABLE, 2, 90, 24, 0, 0)},
		{"a vector", parameter(NN_ROLE_VECTOR, 1, 64, 0, 0, 0)}
	};

	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++)
	{
		size_t		n = cases[c].info.size;
		float	   *values = calloc(n, sizeof(float));
		float	   *rounded = calloc(n, sizeof(float));

		for (int precision = LEARN_FLOAT32; precision <= LEARN_INT8; precision++)
		{
			LearnRounding rounding = learn_rounding_of((LearnPrecision) precision, &cases[c].info);
			bool		near = true;

			for (size_t i = 0; i < n; i++)
				values[i] = rounded[i] = (float) dev_random_normal(SEED, 2, i) * expf((float) (i % 7));
			CHECK_STATUS(session, learn_round(session, &rounding, rounded), DEV_OK, "%s is rounded to %s", cases[c].what,
						 learn_precision_names[precision]);
			for (size_t i = 0; i < n; i++)
				near = near && fabsf(values[i] - rounded[i]) <= (rounding.precision == LEARN_FLOAT32 ? 0 :
																rounding.precision == LEARN_BFLOAT16 ? fabsf(values[i]) / 256 : 4 * expf(6) / 127);
			CHECK(near, "no value moves far");
			if (rounding.precision != LEARN_FLOAT32)
				check_round_trip(session, &rounding, rounded, cases[c].what);
		}
		free(rounded);
		free(values);
	}
}

static LearnRounding
one_channel(size_t n)
{
	NnParameterInfo info = parameter(NN_ROLE_HEAD, 2, n, 1, 0, 0);

	return learn_rounding_of(LEARN_INT8, &info);
}

static void
test_channels(DevSession *session)
{
	enum {N = 1000};
	float		values[N];
	float		rounded[N];
	LearnRounding rounding = one_channel(N);
	float		largest = 0;
	bool		near = true;

	for (int i = 0; i < N; i++)
	{
		values[i] = rounded[i] = (float) dev_random_normal(SEED, 3, (uint64_t) i);
		largest = fmaxf(largest, fabsf(values[i]));
	}
	CHECK(learn_round(session, &rounding, rounded) == DEV_OK, "a channel is rounded");
	for (int i = 0; i < N; i++)
		near = near && fabsf(values[i] - rounded[i]) <= 0.501f * largest / 127;
	CHECK(near, "no value moves farther than half of a step");
	check_round_trip(session, &rounding, rounded, "normal values");

	for (int i = 0; i < N; i++)
		values[i] = rounded[i] = (float) (i % 255 - 127) * 0.0078125f;
	CHECK(learn_round(session, &rounding, rounded) == DEV_OK && memcmp(values, rounded, sizeof(values)) == 0, "what is rounded already stays");
}

static void
check_extreme(DevSession *session, const char *what, float largest, bool vanishes)
{
	enum {N = 6};
	const float parts[N] = {1, -1, 0.5f, -0.25f, 0.003f, 0};
	LearnRounding rounding = one_channel(N);
	float		values[N];
	bool		right = true;

	for (int i = 0; i < N; i++)
		values[i] = parts[i] * largest;
	CHECK_STATUS(session, learn_round(session, &rounding, values), DEV_OK, "%s are rounded", what);
	for (int i = 0; i < N; i++)
		right = right && isfinite(values[i]) && (vanishes ? values[i] == 0 : fabs((double) values[i] / largest - parts[i]) < 0.005);
	CHECK(right, "%s: as they should be", what);
	check_round_trip(session, &rounding, values, what);
}

static void
test_extremes(DevSession *session)
{
	NnParameterInfo matrix = parameter(NN_ROLE_MATRIX, 2, 4, 2, 0, 0);
	LearnRounding rounding = learn_rounding_of(LEARN_INT8, &matrix);
	LearnRounding halved = learn_rounding_of(LEARN_BFLOAT16, &matrix);
	float		values[8] = {0, 3, 0, -1, 0, 2, -0.0f, 0.5f};
	float		large[8] = {FLT_MAX, -FLT_MAX, 1, -1, 1e-40f, -1e-40f, 0, 3.39e38f};

	check_extreme(session, "zeros", 0, true);
	check_extreme(session, "the largest numbers", FLT_MAX, false);
	check_extreme(session, "large numbers", 1e30f, false);
	check_extreme(session, "small numbers", 1e-25f, false);
	check_extreme(session, "the smallest that count", 1.001e-30f, false);
	check_extreme(session, "numbers that are nothing", 0.999e-30f, true);
	check_extreme(session, "subnormal numbers", 1e-42f, true);
	check_extreme(session, "the smallest numbers", 1e-45f, true);

	CHECK(learn_round(session, &rounding, values) == DEV_OK && fabsf(values[1] - 3) < 0.02f && fabsf(values[3] + 1) < 0.02f,
		  "channels have scales of their own");
	CHECK(values[0] == 0 && values[2] == 0 && values[4] == 0 && values[6] == 0, "zeros beside others stay zeros");
	check_round_trip(session, &rounding, values, "a channel of zeros beside another");

	CHECK(learn_round(session, &halved, large) == DEV_OK && large[0] == from_bits(0x7f7f0000) && large[1] == -large[0] && large[7] == large[0],
		  "bfloat16: what is too large becomes the largest");
	CHECK(large[2] == 1 && large[3] == -1 && large[4] > 0 && large[4] < 2e-40f, "and subnormal numbers stay");
	check_round_trip(session, &halved, large, "extremes in bfloat16");
}

/* ---- bytes that nobody wrote so ---- */

static void
check_refused(DevSession *session, const char *what, const int8_t bytes[4], float scale)
{
	LearnRounding rounding = one_channel(4);
	float		values[4];

	CHECK_STATUS(session, learn_rounded_load(session, &rounding, bytes, &scale, values), DEV_CORRUPT, "refused: %s", what);
	CHECK(strlen(dev_message_text(session)) > 10, "with a message");
}

static void
test_damaged(DevSession *session)
{
	static const int8_t good[4] = {127, -5, 0, 3};
	static const int8_t none[4] = {0, 0, 0, 0};
	static const int8_t lower[4] = {126, -126, 0, 0};
	static const int8_t lowest[4] = {127, -128, 0, 0};
	static const uint8_t infinite[8] = {0x80, 0x3f, 0x80, 0x7f, 0, 0, 0, 0};
	NnParameterInfo matrix = parameter(NN_ROLE_MATRIX, 2, 4, 1, 0, 0);
	LearnRounding rounding = one_channel(4);
	LearnRounding halved = learn_rounding_of(LEARN_BFLOAT16, &matrix);
	float		values[4] = {1, 0.5f, 0.3f, 0};
	float		scale = 0.5f;
	uint8_t		bytes[16];

	CHECK(learn_rounded_load(session, &rounding, good, &scale, values) == DEV_OK && values[0] == 63.5f && values[1] == -2.5f, "good bytes are read");
	check_refused(session, "a scale that is no number", good, NAN);
	check_refused(session, "an infinite scale", good, INFINITY);
	check_refused(session, "a scale below 0", good, -0.5f);
	check_refused(session, "a scale of 0", good, 0);
	check_refused(session, "a scale with too long a mantissa", good, 0.1f);
	check_refused(session, "a scale too large", good, from_bits(0x7f000000));
	check_refused(session, "a scale too small", good, from_bits(0x00800000));
	check_refused(session, "a subnormal scale", good, from_bits(0x00000080));
	check_refused(session, "a channel without 127", lower, 0.5f);
	check_refused(session, "-128", lowest, 0.5f);
	check_refused(session, "zeros with a scale that is not 1", none, 0.5f);
	CHECK_STATUS(session, learn_rounded_load(session, &halved, infinite, NULL, values), DEV_CORRUPT, "refused: an infinite bfloat16");

	values[0] = 1;
	values[1] = 0.3f;
	CHECK(!learn_rounded_store(&rounding, values, bytes, &scale) && !learn_rounded_store(&halved, values, bytes, NULL),
		  "what is not rounded is not stored");
	values[1] = 0;
	values[2] = 0;
	values[3] = NAN;
	CHECK(!learn_rounded_store(&rounding, values, bytes, &scale) && !learn_rounded_store(&halved, values, bytes, NULL), "nor is NaN");
	values[3] = INFINITY;
	CHECK(!learn_rounded_store(&rounding, values, bytes, &scale) && !learn_rounded_store(&halved, values, bytes, NULL), "nor infinity");
	CHECK(to_bits(values[0]) == to_bits(1.0f), "and nothing is changed");
}

/* ---- the host's say ---- */

static bool
wants_to_stop(void *context)
{
	(void) context;
	return true;
}

static void
test_cancel(void)
{
	DevHost		host = {.cancelled = wants_to_stop};
	DevSession *session;
	NnParameterInfo info = parameter(NN_ROLE_MATRIX, 2, 1000, 200, 0, 0);
	LearnRounding rounding = learn_rounding_of(LEARN_INT8, &info);
	float	   *values = calloc(info.size, sizeof(float));

	CHECK_OR_STOP(dev_session_open(&host, SEED, &session) == DEV_OK, "a session is opened");
	CHECK_STATUS(session, learn_round(session, &rounding, values), DEV_CANCELLED, "rounding can be cancelled");
	dev_session_close(session);
	free(values);
}

int
main(void)
{
	DevHost		host = {0};
	DevSession *session;

	CHECK_OR_STOP(dev_session_open(&host, SEED, &session) == DEV_OK, "a session is opened");
	test_bfloat16_numbers();
	test_bfloat16_places();
	test_layouts();
	test_parameters(session);
	test_channels(session);
	test_extremes(session);
	test_damaged(session);
	CHECK(dev_session_used(session) == 0, "nothing is left in memory");
	dev_session_close(session);
	test_cancel();
	return check_done();
}

/*
 * test_kernels.c: the elementwise functions, sums, masks and the optimiser's step of each instruction set.
 *
 * Functions are measured against the C library's double precision in units of the last place; every
 * instruction set must give the bits of the portable one, wherever in an array a value stands.
 */
#include "check.h"

#include <float.h>

#include "device/kernels.h"

static uint32_t
bits(float value)
{
	uint32_t	b;

	memcpy(&b, &value, sizeof(b));
	return b;
}

static bool
same_bits(const float *a, const float *b, size_t n)
{
	return n == 0 || memcmp(a, b, n * sizeof(float)) == 0;
}

/* Numbers in (-size, size), the same for the same stream. */
static void
draw(size_t n, float size, uint64_t stream, float *values)
{
	for (size_t i = 0; i < n; i++)
		values[i] = (float) (size * (2 * dev_random_uniform(13, stream, i) - 1));
}

/* ---- Accuracy ---- */

typedef struct Function
{
	DevMap		function;
	const char *name;
	double		(*exact) (double x);
	double		(*slope) (double x);
	float		low;
	float		high;
	double		ulps;			/* allowed error, in units of the last place */
} Function;

static double copy_of(double x) { return x; }
static double one(double x) { (void) x; return 1; }
static double relu(double x) { return x > 0 ? x : 0; }
static double step(double x) { return x > 0; }
static double cdf(double x) { return 0.5 * erfc(-x / sqrt(2)); }
static double density(double x) { return exp(-x * x / 2) / sqrt(2 * 3.14159265358979323846); }
static double gelu(double x) { return x * cdf(x); }
static double gelu_slope(double x) { return cdf(x) + x * density(x); }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double sigmoid_slope(double x) { return sigmoid(x) * sigmoid(-x); }
static double silu(double x) { return x * sigmoid(x); }
static double silu_slope(double x) { return sigmoid(x) + x * sigmoid_slope(x); }
static double softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
static double mish(double x) { return x * tanh(softplus(x)); }
static double mish_slope(double x) { double t = tanh(softplus(x)); return t + x * (1 - t * t) * sigmoid(x); }
static double selu(double x) { return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * expm1(x)); }
static double selu_slope(double x) { return 1.0507009873554805 * (x > 0 ? 1 : 1.6732632423543772 * exp(x)); }
static double tanh_slope(double x) { return 1 - tanh(x) * tanh(x); }
static double square(double x) { return x * x; }
static double twice(double x) { return 2 * x; }
static double sqrt_slope(double x) { return 0.5 / sqrt(x); }
static double reciprocal(double x) { return 1 / x; }
static double reciprocal_slope(double x) { return -1 / (x * x); }
static double minus_sin(double x) { return -sin(x); }
static double clamp01(double x) { return x < 0 ? 0 : x > 1 ? 1 : x; }
static double inside01(double x) { return x > 0 && x < 1; }

static const Function functions[] = {
	{DEV_MAP_COPY, "copy", copy_of, one, -5, 5, 0.5},
	{DEV_MAP_RELU, "relu", relu, step, -5, 5, 0.5},
	{DEV_MAP_GELU, "gelu", gelu, gelu_slope, -12, 12, 7},
	{DEV_MAP_SILU, "silu", silu, silu_slope, -80, 80, 4},
	{DEV_MAP_MISH, "mish", mish, mish_slope, -80, 80, 6},
	{DEV_MAP_SELU, "selu", selu, selu_slope, -80, 80, 3},
	{DEV_MAP_TANH, "tanh", tanh, tanh_slope, -12, 12, 3},
	{DEV_MAP_SIGMOID, "sigmoid", sigmoid, sigmoid_slope, -80, 80, 3},
	{DEV_MAP_SOFTPLUS, "softplus", softplus, sigmoid, -80, 80, 4},
	{DEV_MAP_EXP, "exp", exp, exp, -87, 88.7f, 2},
	{DEV_MAP_LOG, "log", log, reciprocal, 1e-30f, 40, 2},
	{DEV_MAP_SQUARE, "square", square, twice, -9, 9, 0.5},
	{DEV_MAP_SQRT, "sqrt", sqrt, sqrt_slope, 1e-20f, 9, 0.5},
	{DEV_MAP_RECIPROCAL, "reciprocal", reciprocal, reciprocal_slope, 0.01f, 9, 0.5},
	{DEV_MAP_SIN, "sin", sin, cos, -1000, 1000, 2},
	{DEV_MAP_COS, "cos", cos, minus_sin, -1000, 1000, 2},
	{DEV_MAP_CLAMP01, "clamp01", clamp01, inside01, -2, 3, 0.5}
};

#define N_FUNCTIONS (sizeof(functions) / sizeof(functions[0]))
#define N_POINTS 20011

/* Arguments dense over the range, and denser towards zero and the ends. */
static void
spread_points(const Function *f, float *x)
{
	for (size_t i = 0; i < N_POINTS; i++)
	{
		double		u = (double) i / (N_POINTS - 1);

		if (i % 4 == 0 && f->low < 0)
			x[i] = (float) ((i % 8 ? -1 : 1) * exp(-40 * u) * f->high);
		else if (i % 4 == 0)
			x[i] = (float) (f->low * exp(u * log(f->high / f->low)));
		else
			x[i] = (float) (f->low + u * (f->high - f->low));
	}
}

static double
in_ulps(float actual, double exact)
{
	float		nearest = (float) fabs(exact);
	double		unit = (double) nextafterf(nearest, INFINITY) - nearest;

	if (nearest < FLT_MIN)
		unit = (double) nextafterf(FLT_MIN, INFINITY) - FLT_MIN;
	return fabs(actual - exact) / unit;
}

static void
check_accuracy(const Kernels *k)
{
	static float x[N_POINTS];
	static float y[N_POINTS];
	static float diff_y[N_POINTS];
	static float diff_x[N_POINTS];

	for (size_t i = 0; i < N_POINTS; i++)
		diff_y[i] = 1.0f;
	for (size_t f = 0; f < N_FUNCTIONS; f++)
	{
		double		worst = 0;
		double		worst_slope = 0;
		float		at = 0;

		spread_points(&functions[f], x);
		k->map(functions[f].function, N_POINTS, x, 1.0f, y);
		k->map_grad(functions[f].function, N_POINTS, x, y, 1.0f, diff_y, diff_x, false);
		for (size_t i = 0; i < N_POINTS; i++)
		{
			double		error = in_ulps(y[i], functions[f].exact(x[i]));
			double		slope = functions[f].slope(x[i]);
			double		slope_error = fabs(diff_x[i] - slope) / (fabs(slope) > 1 ? fabs(slope) : 1);

			if (!(error <= worst))
			{
				worst = error;
				at = x[i];
			}
			if (!(slope_error <= worst_slope))
				worst_slope = slope_error;
		}
		if (!CHECK(worst <= functions[f].ulps, "%s: %s is right to %.2f units in the last place", k->name, functions[f].name, worst))
			printf("#   at %.9g\n", at);
		CHECK(worst_slope <= 2e-6, "%s: slope of %s is right to %.2g", k->name, functions[f].name, worst_slope);
	}
}

static void
check_special_values(const Kernels *k)
{
	static const struct
	{
		DevMap		function;
		float		x;
		float		y;
	}			known[] = {
		{DEV_MAP_EXP, INFINITY, INFINITY}, {DEV_MAP_EXP, -INFINITY, 0}, {DEV_MAP_EXP, 89.5f, INFINITY},
		{DEV_MAP_EXP, -120, 0}, {DEV_MAP_EXP, 0, 1}, {DEV_MAP_LOG, 0, -INFINITY}, {DEV_MAP_LOG, INFINITY, INFINITY},
		{DEV_MAP_LOG, 1, 0}, {DEV_MAP_LOG, -1, NAN}, {DEV_MAP_TANH, 100, 1}, {DEV_MAP_TANH, -INFINITY, -1},
		{DEV_MAP_SIGMOID, 200, 1}, {DEV_MAP_SIGMOID, -INFINITY, 0}, {DEV_MAP_SIGMOID, 0, 0.5f},
		{DEV_MAP_SOFTPLUS, 1000, 1000}, {DEV_MAP_SOFTPLUS, -INFINITY, 0}, {DEV_MAP_SOFTPLUS, INFINITY, INFINITY},
		{DEV_MAP_GELU, 0, 0}, {DEV_MAP_GELU, 50, 50}, {DEV_MAP_GELU, -50, 0}, {DEV_MAP_MISH, 1000, 1000},
		{DEV_MAP_SIN, 0, 0}, {DEV_MAP_SIN, INFINITY, NAN}, {DEV_MAP_COS, 0, 1}, {DEV_MAP_RELU, -INFINITY, 0},
		{DEV_MAP_CLAMP01, INFINITY, 1}, {DEV_MAP_RECIPROCAL, 0, INFINITY}, {DEV_MAP_SQRT, -1, NAN}
	};
	bool		nan_stays = true;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
	{
		float		y;

		k->map(known[i].function, 1, &known[i].x, 1.0f, &y);
		CHECK(known[i].y != known[i].y ? y != y : y == known[i].y, "%s: function %d of %g is %g", k->name,
			  (int) known[i].function, known[i].x, known[i].y);
	}
	for (int f = DEV_MAP_COPY; f <= DEV_MAP_CLAMP01; f++)
	{
		float		x[33];
		float		y[33];

		for (size_t i = 0; i < 33; i++)
			x[i] = i % 2 == 0 ? NAN : -NAN;
		k->map((DevMap) f, 33, x, 1.0f, y);
		for (size_t i = 0; i < 33; i++)
			if (y[i] == y[i])
				nan_stays = false;
	}
	CHECK(nan_stays, "%s: every function of NaN is NaN", k->name);
}

/* ---- Bits ---- */

/* The same bits as the portable kernels, alone as in the middle of an array, and in place as not. */
static void
check_bits(const Kernels *k, const Function *f)
{
	static float x[N_POINTS];
	static float y[N_POINTS];
	static float result[N_POINTS];
	bool		alone = true;

	spread_points(f, x);
	dev_kernels_portable.map(f->function, N_POINTS, x, 1.0f, y);
	k->map(f->function, N_POINTS, x, 1.0f, result);
	CHECK(same_bits(result, y, N_POINTS), "%s: %s has the portable bits", k->name, f->name);
	for (size_t i = 0; i < N_POINTS; i += 61)
	{
		float		single;

		k->map(f->function, 1, x + i, 1.0f, &single);
		alone = alone && bits(single) == bits(y[i]);
	}
	CHECK(alone, "%s: %s of one value has the bits it has in an array", k->name, f->name);
	memcpy(result, x, sizeof(result));
	k->map(f->function, N_POINTS, result, 1.0f, result);
	CHECK(same_bits(result, y, N_POINTS), "%s: %s in place", k->name, f->name);
}

static void
check_gradient_bits(const Kernels *k, const Function *f)
{
	static float x[N_POINTS];
	static float y[N_POINTS];
	static float diff[N_POINTS];
	static float expected[N_POINTS];
	static float result[N_POINTS];
	bool		added = true;

	spread_points(f, x);
	draw(N_POINTS, 1.0f, 1, diff);
	dev_kernels_portable.map(f->function, N_POINTS, x, 1.0f, y);
	dev_kernels_portable.map_grad(f->function, N_POINTS, x, y, 1.0f, diff, expected, false);
	memcpy(result, diff, sizeof(result));
	k->map_grad(f->function, N_POINTS, x, y, 1.0f, result, result, false);
	CHECK(same_bits(result, expected, N_POINTS), "%s: gradient of %s in place has the portable bits", k->name, f->name);
	memcpy(result, diff, sizeof(result));
	k->map_grad(f->function, N_POINTS, x, y, 1.0f, diff, result, true);
	for (size_t i = 0; i < N_POINTS; i++)
		added = added && bits(result[i]) == bits(diff[i] + expected[i]);
	CHECK(added, "%s: gradient of %s is added", k->name, f->name);
}

/* ---- Zips and sums ---- */

static float
zip_expected(DevZip function, float a, float b)
{
	return function == DEV_ZIP_ADD ? a + b : function == DEV_ZIP_SUBTRACT ? a - b : a * b;
}

static void
check_zip(const Kernels *k)
{
	static const size_t shapes[][2] = {{1, 1}, {1, 37}, {37, 1}, {5, 8}, {7, 33}, {16, 16}};
	static float a[40 * 40];
	static float b[40 * 40];
	static float dst[40 * 40];
	static float before[40 * 40];
	bool		good = true;
	size_t		n = 0;

	draw(1600, 2, 2, a);
	draw(1600, 2, 3, b);
	draw(1600, 2, 4, before);
	for (int function = DEV_ZIP_ADD; function <= DEV_ZIP_MULTIPLY; function++)
		for (int spread = DEV_SPREAD_FULL; spread <= DEV_SPREAD_COLUMN; spread++)
			for (size_t s = 0; s < 6; s++)
				for (int kind = 0; kind < 8; kind++)
				{
					size_t		rows = shapes[s][0];
					size_t		cols = shapes[s][1];
					bool		accumulate = kind & 1;
					size_t		lda = cols + (kind & 2 ? 2 : 0);
					size_t		ldb = cols + (kind & 4 ? 1 : 0);
					size_t		ld_dst = cols + (kind & 2 ? 1 : 0);

					memcpy(dst, before, sizeof(dst));
					k->zip((DevZip) function, (DevSpread) spread, rows, cols, a, lda, b, ldb, dst, ld_dst, accumulate);
					for (size_t r = 0; r < rows; r++)
						for (size_t c = 0; c < ld_dst; c++)
						{
							size_t		i = r * ld_dst + c;
							float		other = spread == DEV_SPREAD_FULL ? b[r * ldb + c] : spread == DEV_SPREAD_ROW ? b[c] : b[r];
							float		value = zip_expected((DevZip) function, a[r * lda + c], other);

							if (c >= cols && r + 1 == rows)
								continue;
							if (c >= cols)
								value = before[i];
							else if (accumulate)
								value = before[i] + value;
							good = good && bits(dst[i]) == bits(value);
							n++;
						}
				}
	CHECK(good, "%s: zips of every function, spread and stride (%zu values)", k->name, n);
	memcpy(dst, a, sizeof(dst));
	k->zip(DEV_ZIP_MULTIPLY, DEV_SPREAD_ROW, 10, 33, dst, 33, b, 33, dst, 33, false);
	CHECK(bits(dst[34]) == bits(a[34] * b[1]), "%s: a zip in place", k->name);
}

static void
check_sums(const Kernels *k)
{
	static const size_t sizes[] = {1, 2, 5, 15, 16, 17, 40, 64};
	static float a[70 * 70];
	static float b[70 * 70];
	float		sums[70];
	float		portable[70];
	double		worst = 0;
	bool		same = true;

	draw(4900, 1, 5, a);
	draw(4900, 1, 6, b);
	for (size_t i = 0; i < 8; i++)
		for (size_t j = 0; j < 8; j++)
			for (int kind = 0; kind < 8; kind++)
			{
				size_t		rows = sizes[i];
				size_t		cols = sizes[j];
				const float *other = kind & 1 ? b : NULL;
				bool		accumulate = kind & 2;
				bool		by_rows = kind & 4;
				size_t		n = by_rows ? cols : rows;

				for (size_t s = 0; s < n; s++)
					sums[s] = portable[s] = accumulate ? 3.0f : NAN;
				(by_rows ? k->reduce_rows : k->reduce_cols) (rows, cols, a, cols + 2, other, cols + 1, sums, accumulate);
				(by_rows ? dev_kernels_portable.reduce_rows : dev_kernels_portable.reduce_cols)
					(rows, cols, a, cols + 2, other, cols + 1, portable, accumulate);
				same = same && same_bits(sums, portable, n);
				for (size_t s = 0; s < n; s++)
				{
					double		exact = accumulate ? 3.0 : 0.0;

					for (size_t t = 0; t < (by_rows ? rows : cols); t++)
					{
						size_t		row = by_rows ? t : s;
						size_t		col = by_rows ? s : t;

						exact += (double) a[row * (cols + 2) + col] * (other == NULL ? 1.0 : other[row * (cols + 1) + col]);
					}
					if (!(fabs(sums[s] - exact) <= worst))
						worst = fabs(sums[s] - exact);
				}
			}
	CHECK(worst < 5e-6, "%s: sums over rows and columns (error %g)", k->name, worst);
	CHECK(same, "%s: sums have the portable bits", k->name);
}

static void
check_softmax(const Kernels *k)
{
	static float x[30 * 40];
	static float y[30 * 40];
	static float portable[30 * 40];
	float		log_sum[30];
	double		worst = 0;

	memset(y, 0, sizeof(y));
	memset(portable, 0, sizeof(portable));
	draw(1200, 30, 7, x);
	x[0] = 3000;
	x[40] = -3000;
	k->softmax(30, 39, x, 40, y, 40, log_sum);
	dev_kernels_portable.softmax(30, 39, x, 40, portable, 40, NULL);
	for (size_t r = 0; r < 30; r++)
	{
		double		most = -INFINITY;
		double		sum = 0;

		for (size_t c = 0; c < 39; c++)
			most = fmax(most, x[r * 40 + c]);
		for (size_t c = 0; c < 39; c++)
			sum += exp(x[r * 40 + c] - most);
		for (size_t c = 0; c < 39; c++)
			worst = fmax(worst, fabs(y[r * 40 + c] - exp(x[r * 40 + c] - most) / sum));
		worst = fmax(worst, fabs(log_sum[r] - (most + log(sum))) / fmax(1, fabs(most)));
	}
	CHECK(worst < 1e-6, "%s: softmax, extreme values included (error %g)", k->name, worst);
	CHECK(same_bits(y, portable, 1199), "%s: softmax has the portable bits", k->name);
	k->softmax(400, 3, x, 3, portable, 3, NULL);
	k->softmax(1, 3, x + 300, 3, y, 3, NULL);
	CHECK(same_bits(y, portable + 300, 3), "%s: softmax of a row alone has the bits it has among others", k->name);
}

/* ---- Masks and steps ---- */

/*
 * Element e of a group of 128 is decided by sixteen bits of the generator's word e / 16 % 4 of block e % 16,
 * the upper half of them for the second 64.
 */
static void
check_mask(const Kernels *k)
{
	static float whole[5000];
	static float part[5000];
	const uint32_t threshold = 19661;	/* 0.3 * 2^16 */
	bool		good = true;
	size_t		zeros = 0;

	k->random_mask(5000, 0.3f, 77, 88, 0, whole);
	for (size_t i = 0; i < 5000; i++)
	{
		size_t		e = i % 128;
		uint32_t	words[4];
		uint32_t	word;

		dev_random_bits(77, 88, i / 128 * 16 + e % 16, words);
		word = words[e / 16 % 4] >> (e < 64 ? 0 : 16) & 0xFFFF;
		good = good && (whole[i] == 0.0f) == (word < threshold);
		if (whole[i] != 0.0f)
			good = good && fabs(whole[i] * (1 - threshold / 65536.0) - 1) < 1e-6;
		zeros += whole[i] == 0.0f;
	}
	CHECK(good, "%s: masks draw the words of the generator", k->name);
	CHECK_NEAR((double) zeros / 5000, 0.3, 0.03, "%s: share of zeros", k->name);
	for (size_t first = 1; first < 400; first += 13)
	{
		k->random_mask(5000 - first, 0.3f, 77, 88, first, part);
		good = good && same_bits(part, whole + first, 5000 - first);
	}
	CHECK(good, "%s: a part of a mask is that part of it", k->name);
	k->random_mask(50, 0.0f, 1, 2, 3, part);
	CHECK(part[0] == 1.0f && part[49] == 1.0f, "%s: rate 0 keeps all", k->name);
}

static void
check_adam(const Kernels *k)
{
	const DevAdam how = {.rate = 0.01f, .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .decay = 0.1f,
		.correction1 = 0.19f, .correction2 = 0.002f, .scale = 0.5f};
	float		diff[50];
	float		weights[50];
	float		mean[50];
	float		variance[50];
	double		worst = 0;

	draw(50, 1, 8, diff);
	draw(50, 1, 9, weights);
	draw(50, 1, 10, mean);
	for (size_t i = 0; i < 50; i++)
		variance[i] = mean[i] * mean[i];
	for (size_t i = 0; i < 50; i += 7)
	{
		double		g = 0.5 * diff[i];
		double		m = 0.9 * mean[i] + 0.1 * g;
		double		v = 0.999 * variance[i] + 0.001 * g * g;
		double		w = weights[i] - 0.01 * 0.1 * weights[i] - 0.01 * (m / 0.19) / (sqrt(v / 0.002) + 1e-8);

		k->adam(i + 1 < 50 ? 1 : 0, &how, diff + i, weights + i, mean + i, variance + i);
		if (i + 1 < 50)
			worst = fmax(worst, fmax(fabs(weights[i] - w), fmax(fabs(mean[i] - m), fabs(variance[i] - v))));
	}
	CHECK(worst < 1e-6, "%s: a step of AdamW (error %g)", k->name, worst);
}

int
main(void)
{
	for (int i = 0; dev_kernels(i) != NULL; i++)
	{
		const Kernels *k = dev_kernels(i);

		check_accuracy(k);
		check_special_values(k);
		for (size_t f = 0; f < N_FUNCTIONS; f++)
		{
			check_bits(k, &functions[f]);
			check_gradient_bits(k, &functions[f]);
		}
		check_zip(k);
		check_sums(k);
		check_softmax(k);
		check_mask(k);
		check_adam(k);
	}
	return check_done();
}

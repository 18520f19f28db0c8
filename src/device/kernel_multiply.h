/*
 * kernel_multiply.h: matrix products.
 *
 * B is packed, KERNEL_DEPTH rows and PANEL columns at a time, into a strip that stays in
 * the first cache; tiles of TILE_ROWS rows of C are held in registers while they walk down the strip. A
 * is read where it lies. Every element of C is one chain of multiply-adds in ascending order of the
 * inner index: between two strips the chain is parked in C, which changes no bit.
 * A few rows alone read B unpacked, since packing would cost more than the product.
 */
#define PANEL_VECTORS 2
#define PANEL (PANEL_VECTORS * VF_WIDTH)
#define KERNEL_DEPTH 256
#define KERNEL_ROWS 240
#define WIDE_VECTORS 8

#define ALWAYS_INLINE inline __attribute__((__always_inline__))

/* Where the chains of a tile start. */
typedef enum Start
{
	START_ZERO,
	START_BIAS,
	START_C
} Start;

typedef struct Strip
{
	size_t		k;
	const float *a;
	size_t		row_a;
	size_t		col_a;
	const float *b;
	size_t		step;			/* from one row of the strip to the next */
	const float *bias;			/* of its first column */
	Start		start;
} Strip;

/* rows and vectors are constants at every call, so that the sums live in registers. */
static ALWAYS_INLINE void
tile(const bool chained, const size_t rows, const size_t vectors, const Strip *strip, float *c, size_t ldc)
{
	Vf			sum[TILE_ROWS][WIDE_VECTORS];
	const float *a = strip->a;
	const float *b = strip->b;
	const size_t row_a = strip->row_a;
	const size_t col_a = strip->col_a;
	const size_t step = strip->step;

#pragma GCC unroll 16
	for (size_t i = 0; i < rows; i++)
	{
#pragma GCC unroll 16
		for (size_t v = 0; v < vectors; v++)
			sum[i][v] = strip->start == START_ZERO ? vf_zero() :
				strip->start == START_BIAS ? vf_load(strip->bias + v * VF_WIDTH) :
				vf_load(c + i * ldc + v * VF_WIDTH);
	}
	for (size_t p = 0; p < strip->k; p++)
	{
		Vf			row[WIDE_VECTORS];

#pragma GCC unroll 16
		for (size_t v = 0; v < vectors; v++)
			row[v] = vf_load(b + v * VF_WIDTH);
#pragma GCC unroll 16
		for (size_t i = 0; i < rows; i++)
		{
			Vf			x = vf_spread(a[i * row_a]);

#pragma GCC unroll 16
			for (size_t v = 0; v < vectors; v++)
				sum[i][v] = chained ? vf_fma(x, row[v], sum[i][v]) : vf_madd(x, row[v], sum[i][v]);
		}
		a += col_a;
		b += step;
	}
#pragma GCC unroll 16
	for (size_t i = 0; i < rows; i++)
	{
#pragma GCC unroll 16
		for (size_t v = 0; v < vectors; v++)
			vf_store(c + i * ldc + v * VF_WIDTH, sum[i][v]);
	}
}

/* A tile of any number of rows up to TILE_ROWS, `vectors` wide. */
static ALWAYS_INLINE void
tile_rows(const bool chained, const size_t vectors, size_t rows, const Strip *strip, float *c, size_t ldc)
{
	switch (rows)
	{
		case 1:
			tile(chained, 1, vectors, strip, c, ldc);
			break;
		case 2:
			tile(chained, 2, vectors, strip, c, ldc);
			break;
		case 3:
			tile(chained, 3, vectors, strip, c, ldc);
			break;
		case 4:
			tile(chained, 4, vectors, strip, c, ldc);
			break;
#if TILE_ROWS > 4
		case 5:
			tile(chained, 5, vectors, strip, c, ldc);
			break;
		case 6:
			tile(chained, 6, vectors, strip, c, ldc);
			break;
#endif
#if TILE_ROWS > 6
		case 7:
			tile(chained, 7, vectors, strip, c, ldc);
			break;
		case 8:
			tile(chained, 8, vectors, strip, c, ldc);
			break;
		case 9:
			tile(chained, 9, vectors, strip, c, ldc);
			break;
		case 10:
			tile(chained, 10, vectors, strip, c, ldc);
			break;
		case 11:
			tile(chained, 11, vectors, strip, c, ldc);
			break;
		case 12:
			tile(chained, 12, vectors, strip, c, ldc);
			break;
#endif
		default:
			break;
	}
}

/* One strip for `m` rows of C, tile after tile; a strip narrower than `vectors` goes through a full-width copy of C. */
static ALWAYS_INLINE void
strip_rows(const bool chained, const size_t vectors, size_t m, size_t cols, const Strip *strip, float *c, size_t ldc)
{
	Strip		part = *strip;

	for (size_t i = 0; i < m; i += TILE_ROWS)
	{
		size_t		rows = m - i < TILE_ROWS ? m - i : TILE_ROWS;

		part.a = strip->a + i * strip->row_a;
		if (cols == vectors * VF_WIDTH)
			tile_rows(chained, vectors, rows, &part, c + i * ldc, ldc);
		else
		{
			float		whole[TILE_ROWS * PANEL];

			if (part.start == START_C)
				for (size_t r = 0; r < rows; r++)
					for (size_t j = 0; j < vectors * VF_WIDTH; j++)
						whole[r * PANEL + j] = j < cols ? c[(i + r) * ldc + j] : 0.0f;
			tile_rows(chained, vectors, rows, &part, whole, PANEL);
			for (size_t r = 0; r < rows; r++)
				for (size_t j = 0; j < cols; j++)
					c[(i + r) * ldc + j] = whole[r * PANEL + j];
		}
	}
}

/* dst (k, width) = alpha * B(k, cols), zeros beyond cols. */
static void
pack_strip(size_t k, size_t cols, size_t width, float alpha, const float *b, size_t row_b, size_t col_b, float *dst)
{
	if (col_b == 1 && cols == width && alpha == 1.0f)
	{
		for (size_t p = 0; p < k; p++)
			for (size_t v = 0; v < width; v += VF_WIDTH)
				vf_store(dst + p * width + v, vf_load(b + p * row_b + v));
		return;
	}
	for (size_t j = 0; j < cols; j++)
		for (size_t p = 0; p < k; p++)
			dst[p * width + j] = alpha * b[p * row_b + j * col_b];
	for (size_t j = cols; j < width; j++)
		for (size_t p = 0; p < k; p++)
			dst[p * width + j] = 0.0f;
}

static void
scale_matrix(size_t m, size_t n, float beta, float *c, size_t ldc)
{
	for (size_t i = 0; i < m; i++)
		for (size_t j = 0; j < n; j++)
			c[i * ldc + j] = beta == 0.0f ? 0.0f : beta * c[i * ldc + j];
}

/* m is at most TILE_ROWS and B has contiguous rows: wide strips of it are read where they lie. Returns the columns done. */
static ALWAYS_INLINE size_t
few_rows(const bool chained, size_t m, size_t n, Strip *strip, const float *b, const float *bias, float *c, size_t ldc)
{
	size_t		j = 0;

	if (m == 1)
		for (; j + WIDE_VECTORS * VF_WIDTH <= n; j += WIDE_VECTORS * VF_WIDTH)
		{
			strip->b = b + j;
			strip->bias = bias == NULL ? NULL : bias + j;
			tile(chained, 1, WIDE_VECTORS, strip, c + j, ldc);
		}
	for (; j + PANEL <= n; j += PANEL)
	{
		strip->b = b + j;
		strip->bias = bias == NULL ? NULL : bias + j;
		tile_rows(chained, PANEL_VECTORS, m, strip, c + j, ldc);
	}
	return j;
}

static ALWAYS_INLINE void
multiply_with(const bool chained, size_t m, size_t n, size_t k, float alpha,
			  const float *a, size_t row_a, size_t col_a, const float *b, size_t row_b, size_t col_b,
			  float beta, const float *bias, float *c, size_t ldc, float *pack)
{
	const bool	unpacked = m <= TILE_ROWS && col_b == 1 && alpha == 1.0f;
	Start		start = bias != NULL ? START_BIAS : beta == 0.0f ? START_ZERO : START_C;

	if (k == 0 && bias != NULL)
	{
		for (size_t i = 0; i < m; i++)
			for (size_t j = 0; j < n; j++)
				c[i * ldc + j] = bias[j];
		return;
	}
	if (k == 0 || (beta != 0.0f && beta != 1.0f))
		scale_matrix(m, n, beta, c, ldc);

	for (size_t p = 0; p < k; p += KERNEL_DEPTH)
	{
		size_t		depth = k - p < KERNEL_DEPTH ? k - p : KERNEL_DEPTH;

		for (size_t i = 0; i < m; i += KERNEL_ROWS)
		{
			size_t		rows = m - i < KERNEL_ROWS ? m - i : KERNEL_ROWS;
			Strip		strip = {depth, a + i * row_a + p * col_a, row_a, col_a, NULL, row_b, NULL, start};
			size_t		j = 0;

			if (unpacked)
				j = few_rows(chained, m, n, &strip, b + p * row_b, bias, c, ldc);
			for (; j < n; j += PANEL)
			{
				size_t		cols = n - j < PANEL ? n - j : PANEL;
				size_t		width = cols <= VF_WIDTH ? VF_WIDTH : PANEL;
				float		padded[PANEL];

				pack_strip(depth, cols, width, alpha, b + p * row_b + j * col_b, row_b, col_b, pack);
				strip.b = pack;
				strip.step = width;
				if (start == START_BIAS)
				{
					for (size_t v = 0; v < width; v++)
						padded[v] = v < cols ? bias[j + v] : 0.0f;
					strip.bias = padded;
				}
				if (width == VF_WIDTH)
					strip_rows(chained, 1, rows, cols, &strip, c + i * ldc + j, ldc);
				else
					strip_rows(chained, PANEL_VECTORS, rows, cols, &strip, c + i * ldc + j, ldc);
			}
		}
		start = START_C;
	}
}

static void
multiply(bool chained, size_t m, size_t n, size_t k, float alpha,
		 const float *a, size_t row_a, size_t col_a, const float *b, size_t row_b, size_t col_b,
		 float beta, const float *bias, float *c, size_t ldc, float *pack)
{
	if (chained)
		multiply_with(true, m, n, k, alpha, a, row_a, col_a, b, row_b, col_b, beta, bias, c, ldc, pack);
	else
		multiply_with(false, m, n, k, alpha, a, row_a, col_a, b, row_b, col_b, beta, bias, c, ldc, pack);
}

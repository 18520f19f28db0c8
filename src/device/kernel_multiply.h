/*
 * kernel_multiply.h: matrix products.
 *
 * B is packed, KERNEL_DEPTH rows at a time, into strips of PANEL columns, each of which stays in
 * the first cache while tiles of TILE_ROWS rows of C, held in registers, walk down it one after another. A
 * is read where it lies, but for a transposed one, whose tiles are packed too. Every element of C is one chain of
 * multiply-adds in ascending order of the inner index: between two strips the chain is parked in C, which
 * changes no bit. A few rows alone read B unpacked, since packing would cost more than the product.
 */
#define PANEL_VECTORS 2
#define PANEL (PANEL_VECTORS * VF_WIDTH)
#define WIDE_VECTORS 8
#define TALL_ROWS (2 * TILE_ROWS)	/* of a tile one vector wide */

/*
 * The address sanitizer makes tiles fifty times slower. It watches the portable ones, whose indexes are the same.
 */
#if defined(__SANITIZE_ADDRESS__) && VF_FUSED
#define TILE_CODE __attribute__((__no_sanitize__("address", "undefined")))
#else
#define TILE_CODE
#endif

/* Where the chains of a tile start. */
typedef enum Start
{
	START_ZERO,
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
	const float *bias;			/* of its first column, added to the ends of the chains; or NULL */
	bool		relu;			/* follows */
	Start		start;
} Strip;

/* rows and vectors are constants at every call, so that the sums live in registers. */
static ALWAYS_INLINE TILE_CODE void
tile(const bool chained, const size_t rows, const size_t vectors, const Strip *strip, float *c, size_t ldc)
{
	Vf			sum[TALL_ROWS][WIDE_VECTORS];
	const float *a = strip->a;
	const float *below = strip->a + TILE_ROWS * strip->row_a;	/* of a tall tile's second half */
	const float *b = strip->b;
	const size_t row_a = strip->row_a;
	const size_t col_a = strip->col_a;
	const size_t step = strip->step;

#pragma GCC unroll 16
	for (size_t i = 0; i < rows; i++)
	{
#pragma GCC unroll 16
		for (size_t v = 0; v < vectors; v++)
			sum[i][v] = strip->start == START_ZERO ? vf_zero() : vf_load(c + i * ldc + v * VF_WIDTH);
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
			Vf			x = vf_spread(i < TILE_ROWS ? a[i * row_a] : below[(i - TILE_ROWS) * row_a]);

#pragma GCC unroll 16
			for (size_t v = 0; v < vectors; v++)
				sum[i][v] = chained ? vf_fma(x, row[v], sum[i][v]) : vf_madd(x, row[v], sum[i][v]);
		}
		a += col_a;
		if (rows > TILE_ROWS)
			below += col_a;
		b += step;
	}
	for (size_t v = 0; v < vectors && strip->bias != NULL; v++)
	{
		Vf			bias = vf_load(strip->bias + v * VF_WIDTH);

#pragma GCC unroll 16
		for (size_t i = 0; i < rows; i++)
			sum[i][v] = vf_add(sum[i][v], bias);
	}
	/* In this order what is no number stays none. */
	if (strip->relu)
	{
#pragma GCC unroll 16
		for (size_t i = 0; i < rows; i++)
		{
#pragma GCC unroll 16
			for (size_t v = 0; v < vectors; v++)
				sum[i][v] = vf_max(vf_zero(), sum[i][v]);
		}
	}
#pragma GCC unroll 16
	for (size_t i = 0; i < rows; i++)
	{
#pragma GCC unroll 16
		for (size_t v = 0; v < vectors; v++)
			vf_store(c + i * ldc + v * VF_WIDTH, sum[i][v]);
	}
}

#define TILE_CASE(n) \
		case n: \
			tile(chained, n, vectors, strip, c, ldc); \
			break

/* A tile of any number of rows up to TILE_ROWS, `vectors` wide. */
static ALWAYS_INLINE TILE_CODE void
tile_any(const bool chained, const size_t vectors, size_t rows, const Strip *strip, float *c, size_t ldc)
{
	switch (rows)
	{
		TILE_CASE(1);
		TILE_CASE(2);
		TILE_CASE(3);
		TILE_CASE(4);
#if TILE_ROWS > 4
		TILE_CASE(5);
		TILE_CASE(6);
#endif
#if TILE_ROWS > 6
		TILE_CASE(7);
		TILE_CASE(8);
#endif
		default:
			break;
	}
}

typedef void (*TileRows) (size_t rows, const Strip *strip, float *c, size_t ldc);

static TILE_CODE void
chained_narrow(size_t rows, const Strip *strip, float *c, size_t ldc)
{
	tile_any(true, 1, rows, strip, c, ldc);
}

/* Of TALL_ROWS rows: a single column of vectors needs more sums to keep the arithmetic busy. */
static TILE_CODE void
chained_tall(const Strip *strip, float *c, size_t ldc)
{
	tile(true, TALL_ROWS, 1, strip, c, ldc);
}

static TILE_CODE void
chained_panel(size_t rows, const Strip *strip, float *c, size_t ldc)
{
	tile_any(true, PANEL_VECTORS, rows, strip, c, ldc);
}

/* One row, many columns. */
static TILE_CODE void
chained_wide(const Strip *strip, float *c)
{
	tile(true, 1, WIDE_VECTORS, strip, c, 0);
}

/* Where a fused multiply-add is one instruction, nothing is faster than the chained tiles. */
#if VF_FUSED
#define loose_narrow chained_narrow
#define loose_tall chained_tall
#define loose_panel chained_panel
#define loose_wide chained_wide
#else
static void
loose_narrow(size_t rows, const Strip *strip, float *c, size_t ldc)
{
	tile_any(false, 1, rows, strip, c, ldc);
}

static void
loose_tall(const Strip *strip, float *c, size_t ldc)
{
	tile(false, TALL_ROWS, 1, strip, c, ldc);
}

static void
loose_panel(size_t rows, const Strip *strip, float *c, size_t ldc)
{
	tile_any(false, PANEL_VECTORS, rows, strip, c, ldc);
}

static void
loose_wide(const Strip *strip, float *c)
{
	tile(false, 1, WIDE_VECTORS, strip, c, 0);
}
#endif

/*
 * One strip for `m` rows of C, tile after tile. tile_a is the distance from one tile of A to the next. A strip that is
 * not full goes through a full-width copy of C.
 */
static void
strip_rows(TileRows tile_rows, size_t m, size_t cols, size_t width, size_t tile_a, const Strip *strip, float *c, size_t ldc)
{
	Strip		part = *strip;

	for (size_t i = 0; i < m; i += TILE_ROWS)
	{
		size_t		rows = m - i < TILE_ROWS ? m - i : TILE_ROWS;
		float		whole[TILE_ROWS * PANEL];

		if (cols == width)
			tile_rows(rows, &part, c + i * ldc, ldc);
		else
		{
			if (part.start == START_C)
				for (size_t r = 0; r < rows; r++)
					for (size_t j = 0; j < width; j++)
						whole[r * PANEL + j] = j < cols ? c[(i + r) * ldc + j] : 0.0f;
			tile_rows(rows, &part, whole, PANEL);
			for (size_t r = 0; r < rows; r++)
				for (size_t j = 0; j < cols; j++)
					c[(i + r) * ldc + j] = whole[r * PANEL + j];
		}
		part.a += tile_a;
	}
}

static size_t
strip_width(size_t cols)
{
	return cols <= VF_WIDTH ? VF_WIDTH : PANEL;
}

/* Packing goes by so many rows at a time, which then lie in few lines of the cache, and few pages. */
#define PACK_ROWS 32

typedef float Eight __attribute__((__vector_size__(32)));

/* turned[p] = column p of the 8 rows of src, p < 8. */
static ALWAYS_INLINE void
turn_eight(const float *src, size_t ld_src, Eight *turned)
{
	Eight		rows[8];
	Eight		pairs[8];
	Eight		fours[8];

#pragma GCC unroll 8
	for (size_t i = 0; i < 8; i++)
		__builtin_memcpy(&rows[i], src + i * ld_src, sizeof(Eight));
#pragma GCC unroll 4
	for (size_t i = 0; i < 8; i += 2)
	{
		pairs[i] = __builtin_shufflevector(rows[i], rows[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
		pairs[i + 1] = __builtin_shufflevector(rows[i], rows[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
	}
#pragma GCC unroll 2
	for (size_t i = 0; i < 8; i += 4)
	{
		fours[i] = __builtin_shufflevector(pairs[i], pairs[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
		fours[i + 1] = __builtin_shufflevector(pairs[i], pairs[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
		fours[i + 2] = __builtin_shufflevector(pairs[i + 1], pairs[i + 3], 0, 1, 8, 9, 4, 5, 12, 13);
		fours[i + 3] = __builtin_shufflevector(pairs[i + 1], pairs[i + 3], 2, 3, 10, 11, 6, 7, 14, 15);
	}
#pragma GCC unroll 4
	for (size_t i = 0; i < 4; i++)
	{
		turned[i] = __builtin_shufflevector(fours[i], fours[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
		turned[i + 4] = __builtin_shufflevector(fours[i], fours[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
	}
}

/* dst row p = alpha * column p of the 8 rows of src, p < 8. */
static ALWAYS_INLINE void
transpose_eight(float alpha, const float *src, size_t ld_src, float *dst, size_t ld_dst)
{
	Eight		turned[8];

	turn_eight(src, ld_src, turned);
#pragma GCC unroll 8
	for (size_t i = 0; i < 8; i++)
	{
		turned[i] = alpha * turned[i];
		__builtin_memcpy(dst + i * ld_dst, &turned[i], sizeof(Eight));
	}
}

/* dst (k, width) = alpha * B(k, cols) where the columns of B are contiguous */
static void
pack_columns(size_t k, size_t cols, size_t width, float alpha, const float *b, size_t col_b, float *dst)
{
	size_t		j = 0;

	for (; j + 8 <= cols; j += 8)
	{
		size_t		p = 0;

		for (; p + 8 <= k; p += 8)
			transpose_eight(alpha, b + j * col_b + p, col_b, dst + p * width + j, width);
		for (; p < k; p++)
			for (size_t i = j; i < j + 8; i++)
				dst[p * width + i] = alpha * b[p + i * col_b];
	}
	for (; j < cols; j++)
		for (size_t p = 0; p < k; p++)
			dst[p * width + j] = alpha * b[p + j * col_b];
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
	/* Two written-out stores: a loop over them would become a call of memset. */
	for (size_t p = 0; cols < width && p < k; p++)
	{
		vf_store(dst + p * width, vf_zero());
		vf_store(dst + p * width + width - VF_WIDTH, vf_zero());
	}
	if (row_b == 1 && col_b != 1)
		pack_columns(k, cols, width, alpha, b, col_b, dst);
	else
		for (size_t p = 0; p < k; p++)
			for (size_t j = 0; j < cols; j++)
				dst[p * width + j] = alpha * b[p * row_b + j * col_b];
}

/* All strips of B(k, n), one behind the other, k * PANEL floats apart. */
static void
pack_strips(size_t k, size_t n, float alpha, const float *b, size_t row_b, size_t col_b, float *dst)
{
	for (size_t p = 0; p < k; p += PACK_ROWS)
		for (size_t j = 0; j < n; j += PANEL)
		{
			size_t		cols = n - j < PANEL ? n - j : PANEL;
			size_t		width = strip_width(cols);

			pack_strip(k - p < PACK_ROWS ? k - p : PACK_ROWS, cols, width, alpha, b + p * row_b + j * col_b, row_b, col_b,
					   dst + j * k + p * width);
		}
}

/* The tiles of a transposed A(m, k), whose columns are contiguous: k * TILE_ROWS floats each. */
static void
pack_tiles(size_t m, size_t k, const float *a, size_t col_a, float *dst)
{
	for (size_t p = 0; p < k; p += PACK_ROWS)
	{
		size_t		end = k - p < PACK_ROWS ? k : p + PACK_ROWS;

		for (size_t i = 0; i < m; i += TILE_ROWS)
		{
			float	   *to = dst + i * k;

			if (m - i >= TILE_ROWS)
				for (size_t q = p; q < end; q++)
					for (size_t r = 0; r < TILE_ROWS; r++)
						to[q * TILE_ROWS + r] = a[i + r + q * col_a];
			else
				for (size_t q = p; q < end; q++)
					for (size_t r = 0; r < m - i; r++)
						to[q * TILE_ROWS + r] = a[i + r + q * col_a];
		}
	}
}

static void
scale_matrix(size_t m, size_t n, float beta, float *c, size_t ldc)
{
	for (size_t i = 0; i < m; i++)
		for (size_t j = 0; j < n; j++)
			c[i * ldc + j] = beta == 0.0f ? 0.0f : beta * c[i * ldc + j];
}

/* m is at most TILE_ROWS and B has contiguous rows: full strips of it are read where they lie. Returns the columns done. */
static size_t
few_rows(bool chained, size_t m, size_t n, Strip *strip, const float *b, const float *bias, float *c, size_t ldc)
{
	size_t		j = 0;

	for (; m == 1 && j + WIDE_VECTORS * VF_WIDTH <= n; j += WIDE_VECTORS * VF_WIDTH)
	{
		strip->b = b + j;
		strip->bias = bias == NULL ? NULL : bias + j;
		if (chained)
			chained_wide(strip, c + j);
		else
			loose_wide(strip, c + j);
	}
	for (; j + PANEL <= n; j += PANEL)
	{
		strip->b = b + j;
		strip->bias = bias == NULL ? NULL : bias + j;
		if (chained)
			chained_panel(m, strip, c + j, ldc);
		else
			loose_panel(m, strip, c + j, ldc);
	}
	return j;
}

/* A block of rows of A times packed strips of B; tiles is room for those of a transposed A, NULL when it is none. */
static void
multiply_block(bool chained, size_t m, size_t n, const Strip *block, const float *strips, const float *bias,
			   float *c, size_t ldc, float *tiles)
{
	Strip		strip = *block;
	size_t		tile_a = TILE_ROWS * strip.row_a;

	if (tiles != NULL && strip.row_a == 1 && m >= 2 * TILE_ROWS && n >= 2 * PANEL && strip.k >= 16)
	{
		pack_tiles(m, strip.k, strip.a, strip.col_a, tiles);
		strip.a = tiles;
		strip.col_a = TILE_ROWS;
		tile_a = strip.k * TILE_ROWS;
	}
	for (size_t j = 0; j < n; j += PANEL)
	{
		size_t		cols = n - j < PANEL ? n - j : PANEL;
		size_t		width = strip_width(cols);
		float		padded[PANEL];

		strip.b = strips + j * strip.k;
		strip.step = width;
		strip.bias = bias == NULL ? NULL : bias + j;
		if (bias != NULL && cols < width)
		{
			for (size_t v = 0; v < width; v++)
				padded[v] = v < cols ? bias[j + v] : 0.0f;
			strip.bias = padded;
		}
		if (width == PANEL)
			strip_rows(chained ? chained_panel : loose_panel, m, cols, width, tile_a, &strip, c + j, ldc);
		else
			strip_rows(chained ? chained_narrow : loose_narrow, m, cols, width, tile_a, &strip, c + j, ldc);
	}
}

/* At most KERNEL_DEPTH terms and KERNEL_COLS columns. */
static void
multiply_slab(bool chained, size_t m, size_t n, float alpha, const Strip *slab, const float *b, size_t row_b, size_t col_b,
			  const float *bias, float *c, size_t ldc, float *pack)
{
	Strip		strip = *slab;
	size_t		done = 0;

	if (m <= TILE_ROWS && col_b == 1 && alpha == 1.0f)
		done = few_rows(chained, m, n, &strip, b, bias, c, ldc);
	if (done == n)
		return;
	pack_strips(strip.k, n - done, alpha, b + done * col_b, row_b, col_b, pack);
	for (size_t i = 0; i < m; i += KERNEL_ROWS)
	{
		strip.a = slab->a + i * slab->row_a;
		multiply_block(chained, m - i < KERNEL_ROWS ? m - i : KERNEL_ROWS, n - done, &strip, pack,
					   bias == NULL ? NULL : bias + done, c + i * ldc + done, ldc, pack + KERNEL_DEPTH * KERNEL_COLS);
	}
}

/* One column, rows of A contiguous, no order asked for: dot products. */
static void
multiply_column(size_t m, size_t k, float alpha, const float *a, size_t row_a, const float *b, float beta,
				float *c, size_t ldc)
{
	for (size_t i = 0; i < m; i++)
	{
		float		sum = alpha * sum_products(k, a + i * row_a, b);

		c[i * ldc] = beta == 0.0f ? sum : beta * c[i * ldc] + sum;
	}
}

/*
 * One column, rows of A contiguous, chains: a tile would leave all lanes but one idle, so that here every lane is a row of A, which is turned on
 * its way, eight by eight. Where multiply-adds are no instruction, turning is worth nothing.
 */
#if VF_FUSED
typedef struct Column
{
	size_t		k;
	size_t		row_a;
	const float *b;
	size_t		row_b;
	float		bias;
	bool		relu;
	size_t		ldc;
} Column;

static ALWAYS_INLINE void
column_eight(const Column *column, const float *a, float *c)
{
	__m256		sum = _mm256_setzero_ps();
	float		values[8];
	size_t		p = 0;

	for (; p + 8 <= column->k; p += 8)
	{
		Eight		turned[8];

		turn_eight(a + p, column->row_a, turned);
#pragma GCC unroll 8
		for (size_t q = 0; q < 8; q++)
			sum = _mm256_fmadd_ps((__m256) turned[q], _mm256_set1_ps(column->b[(p + q) * column->row_b]), sum);
	}
	for (; p < column->k; p++)
	{
		for (size_t i = 0; i < 8; i++)
			values[i] = a[i * column->row_a + p];
		sum = _mm256_fmadd_ps(_mm256_loadu_ps(values), _mm256_set1_ps(column->b[p * column->row_b]), sum);
	}
	_mm256_storeu_ps(values, sum);
	for (size_t i = 0; i < 8; i++)
	{
		float		value = values[i] + column->bias;

		c[i * column->ldc] = column->relu && value < 0.0f ? 0.0f : value;
	}
}

/* As many rows as make whole eights; returns how many. */
static size_t
multiply_column_chained(size_t m, const Column *column, const float *a, float *c)
{
	size_t		i = 0;

	for (; i + 8 <= m; i += 8)
		column_eight(column, a + i * column->row_a, c + i * column->ldc);
	return i;
}
#endif

static void
multiply(bool chained, size_t m, size_t n, size_t k, float alpha,
		 const float *a, size_t row_a, size_t col_a, const float *b, size_t row_b, size_t col_b,
		 float beta, const float *bias, bool relu, float *c, size_t ldc, float *pack)
{
	Start		start = beta == 0.0f ? START_ZERO : START_C;

	if (n == 1 && !chained && bias == NULL && !relu && col_a == 1 && row_b == 1)
	{
		multiply_column(m, k, alpha, a, row_a, b, beta, c, ldc);
		return;
	}
	if (n == 1 && bias == NULL && !relu && row_a == 1 && ldc == 1)
	{
		/* c' = b' A', whose rows are contiguous */
		multiply(chained, 1, m, k, alpha, b, 0, row_b, a, col_a, 1, beta, NULL, false, c, m, pack);
		return;
	}
	if (k == 0 && bias != NULL)
	{
		for (size_t i = 0; i < m; i++)
			for (size_t j = 0; j < n; j++)
				c[i * ldc + j] = relu && bias[j] < 0.0f ? 0.0f : bias[j];
		return;
	}
	if (k == 0 || (beta != 0.0f && beta != 1.0f))
		scale_matrix(m, n, beta, c, ldc);
#if VF_FUSED
	if (n == 1 && chained && col_a == 1 && alpha == 1.0f && beta == 0.0f)
	{
		Column		column = {k, row_a, b, row_b, bias == NULL ? -0.0f : bias[0], relu, ldc};
		size_t		done = multiply_column_chained(m, &column, a, c);

		a += done * row_a;
		c += done * ldc;
		m -= done;
	}
#endif
	if (m == 0)
		return;

	for (size_t p = 0; p < k; p += KERNEL_DEPTH)
	{
		bool		last = k - p <= KERNEL_DEPTH;
		Strip		slab = {last ? k - p : KERNEL_DEPTH, a + p * col_a, row_a, col_a, NULL, row_b, NULL, last && relu, start};

		for (size_t j = 0; j < n; j += KERNEL_COLS)
			multiply_slab(chained, m, n - j < KERNEL_COLS ? n - j : KERNEL_COLS, alpha, &slab, b + p * row_b + j * col_b,
						  row_b, col_b, bias == NULL || !last ? NULL : bias + j, c + j, ldc, pack);
		start = START_C;
	}
}

/* One vector of columns, two tiles at a time. Returns the rows done. */
static size_t
tall_rows(bool chained, size_t m, const Strip *strip, float *c, size_t ldc)
{
	Strip		part = *strip;
	size_t		i = 0;

	for (; i + TALL_ROWS <= m; i += TALL_ROWS)
	{
		if (chained)
			chained_tall(&part, c + i * ldc, ldc);
		else
			loose_tall(&part, c + i * ldc, ldc);
		part.a += TALL_ROWS * part.row_a;
	}
	return i;
}

/* For operands that are in the cache already, n a multiple of LANES: C (+)= A B, B read where it lies. */
static void
multiply_small(bool chained, size_t m, size_t n, size_t k, const float *a, size_t row_a, size_t col_a,
			   const float *b, size_t ldb, bool accumulate, float *c, size_t ldc)
{
	Strip		strip = {k, a, row_a, col_a, b, ldb, NULL, false, accumulate ? START_C : START_ZERO};

	for (size_t j = 0; j < n; j += PANEL)
	{
		size_t		done = 0;

		strip.a = a;
		strip.b = b + j;
		if (n - j >= PANEL)
		{
			strip_rows(chained ? chained_panel : loose_panel, m, PANEL, PANEL, TILE_ROWS * row_a, &strip, c + j, ldc);
			continue;
		}
		done = tall_rows(chained, m, &strip, c + j, ldc);
		strip.a += done * row_a;
		strip_rows(chained ? chained_narrow : loose_narrow, m - done, VF_WIDTH, VF_WIDTH, TILE_ROWS * row_a, &strip,
				   c + done * ldc + j, ldc);
	}
}

/* Slab after slab of KERNEL_DEPTH rows, the strips of each one behind the other. */
static void
pack(size_t k, size_t n, const float *b, size_t row_b, size_t col_b, float *packed)
{
	size_t		width = (n + PANEL - 1) / PANEL * PANEL;

	for (size_t p = 0; p < k; p += KERNEL_DEPTH)
		pack_strips(k - p < KERNEL_DEPTH ? k - p : KERNEL_DEPTH, n, 1.0f, b + p * row_b, row_b, col_b, packed + p * width);
}

static void
multiply_packed(bool chained, size_t m, size_t n, size_t k, const float *a, size_t lda, const float *packed,
				bool accumulate, float *c, size_t ldc)
{
	size_t		width = (n + PANEL - 1) / PANEL * PANEL;
	Start		start = accumulate ? START_C : START_ZERO;

	for (size_t p = 0; p < k; p += KERNEL_DEPTH)
	{
		Strip		slab = {k - p < KERNEL_DEPTH ? k - p : KERNEL_DEPTH, a + p, lda, 1, NULL, 0, NULL, false, start};

		for (size_t i = 0; i < m; i += KERNEL_ROWS)
		{
			Strip		block = slab;

			block.a += i * lda;
			multiply_block(chained, m - i < KERNEL_ROWS ? m - i : KERNEL_ROWS, n, &block, packed + p * width, NULL,
						   c + i * ldc, ldc, NULL);
		}
		start = START_C;
	}
}

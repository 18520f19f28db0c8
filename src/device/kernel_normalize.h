/*
 * kernel_normalize.h: means and variances of columns, the affine map that makes use of them, and the way back.
 *
 * Rows are taken in blocks that stay in the first cache. A column's sum within a block is four interleaved chains down the rows;
 * blocks are added up in order: the same on every processor, and more exact than one long chain.
 */
#define MOMENT_ROWS 64

/* NULL scale: there is no relu. */
typedef struct Gate
{
	const float *mean;
	const float *scale;
	const float *shift;
} Gate;

/* For n columns, up to VF_WIDTH: the sum of rows [0, rows) of x - origin. */
static ALWAYS_INLINE Vf
sum_columns(size_t rows, size_t cols, size_t n, const float *x, Vf origin)
{
	Vf			sums[4] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()};
	size_t		row = 0;

	for (; row + 4 <= rows; row += 4)
	{
#pragma GCC unroll 4
		for (size_t i = 0; i < 4; i++)
			sums[i] = vf_add(sums[i], vf_subtract(load_part(x + (row + i) * cols, n), origin));
	}
	for (; row < rows; row++)
		sums[row % 4] = vf_add(sums[row % 4], vf_subtract(load_part(x + row * cols, n), origin));
	return vf_add(vf_add(sums[0], sums[1]), vf_add(sums[2], sums[3]));
}

static ALWAYS_INLINE Vf
sum_squares(size_t rows, size_t cols, size_t n, const float *x, Vf origin, Vf mean)
{
	Vf			sums[4] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()};

	for (size_t row = 0; row < rows; row += 4)
	{
#pragma GCC unroll 4
		for (size_t i = 0; i < 4; i++)
		{
			Vf			d;

			if (row + i >= rows)
				break;
			d = vf_subtract(vf_subtract(load_part(x + (row + i) * cols, n), origin), mean);
			sums[i] = vf_add(sums[i], vf_multiply(d, d));
		}
	}
	return vf_add(vf_add(sums[0], sums[1]), vf_add(sums[2], sums[3]));
}

/*
 * Columns [c, c + n) of rows [seen, seen + rows) join those before: mean and variance hold the mean and the sum of squared deviations.
 * Everything is counted from the first row, so that columns far from zero lose nothing.
 */
static ALWAYS_INLINE void
join_moments(size_t seen, size_t rows, size_t cols, size_t c, size_t n, const float *x, float *mean, float *variance)
{
	const float *block = x + seen * cols + c;
	float		weight = (float) rows / (float) (seen + rows);
	Vf			origin = load_part(x + c, n);
	Vf			own = vf_multiply(sum_columns(rows, cols, n, block, origin), vf_spread(1.0f / (float) rows));
	Vf			squares = sum_squares(rows, cols, n, block, origin, own);
	Vf			before = load_part(mean + c, n);
	Vf			apart = vf_subtract(own, before);

	if (seen == 0)
	{
		store_part(mean + c, n, false, own);
		store_part(variance + c, n, false, squares);
		return;
	}
	squares = vf_add(squares, vf_multiply(vf_multiply(apart, apart), vf_spread((float) seen * weight)));
	store_part(mean + c, n, false, vf_add(before, vf_multiply(apart, vf_spread(weight))));
	store_part(variance + c, n, true, squares);
}

/* One matrix. */
static void
moments(size_t rows, size_t cols, const float *x, float *mean, float *variance)
{
	for (size_t row = 0; row < rows; row += MOMENT_ROWS)
	{
		size_t		part = rows - row < MOMENT_ROWS ? rows - row : MOMENT_ROWS;
		size_t		c = 0;

		for (; c + VF_WIDTH <= cols; c += VF_WIDTH)
			join_moments(row, part, cols, c, VF_WIDTH, x, mean, variance);
		if (c < cols)
			join_moments(row, part, cols, c, cols - c, x, mean, variance);
	}
	EACH(cols) mean[i] += x[i];
	EACH(cols) variance[i] = variance[i] / (float) rows;
}

static void
affine(size_t rows, size_t cols, const float *x, const float *mean, const float *scale, const float *shift, bool relu,
	   float *y)
{
	for (size_t row = 0; row < rows; row++)
	{
		const float *from = x + row * cols;
		float	   *to = y + row * cols;

		if (relu)
			EACH(cols)
			{
				float		value = (from[i] - mean[i]) * scale[i] + shift[i];

				to[i] = value < 0.0f ? 0.0f : value;
			}
		else
			EACH(cols) to[i] = (from[i] - mean[i]) * scale[i] + shift[i];
	}
}

/* Zero where gate and value say so; the comparison is of the very value that affine has made. */
static ALWAYS_INLINE Vf
gate_diff(const bool gated, Vf centred, Vf scale, Vf shift, Vf diff)
{
	return gated ? vf_where_positive(vf_add(vf_multiply(centred, scale), shift), diff) : diff;
}

static ALWAYS_INLINE void
join_sums(const bool gated, size_t rows, size_t cols, size_t c, size_t n, const float *x, const Gate *gate, const float *diff,
		  float *sum_diff, float *sum_product)
{
	Vf			mean = load_part(gate->mean + c, n);
	Vf			scale = gated ? load_part(gate->scale + c, n) : vf_zero();
	Vf			shift = gated ? load_part(gate->shift + c, n) : vf_zero();
	Vf			sums[4] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()};
	Vf			products[4] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()};

	for (size_t row = 0; row < rows; row += 4)
	{
#pragma GCC unroll 4
		for (size_t i = 0; i < 4; i++)
		{
			Vf			centred;
			Vf			d;

			if (row + i >= rows)
				break;
			centred = vf_subtract(load_part(x + (row + i) * cols + c, n), mean);
			d = gate_diff(gated, centred, scale, shift, load_part(diff + (row + i) * cols + c, n));
			sums[i] = vf_add(sums[i], d);
			products[i] = vf_add(products[i], vf_multiply(d, centred));
		}
	}
	store_part(sum_diff + c, n, true, vf_add(vf_add(sums[0], sums[1]), vf_add(sums[2], sums[3])));
	store_part(sum_product + c, n, true, vf_add(vf_add(products[0], products[1]), vf_add(products[2], products[3])));
}

static ALWAYS_INLINE void
sum_blocks(const bool gated, size_t rows, size_t cols, const float *x, const Gate *gate, const float *diff,
		   float *sum_diff, float *sum_product)
{
	for (size_t row = 0; row < rows; row += MOMENT_ROWS)
	{
		size_t		part = rows - row < MOMENT_ROWS ? rows - row : MOMENT_ROWS;
		size_t		c = 0;

		for (; c + VF_WIDTH <= cols; c += VF_WIDTH)
			join_sums(gated, part, cols, c, VF_WIDTH, x + row * cols, gate, diff + row * cols, sum_diff, sum_product);
		if (c < cols)
			join_sums(gated, part, cols, c, cols - c, x + row * cols, gate, diff + row * cols, sum_diff, sum_product);
	}
}

static void
affine_sums(size_t rows, size_t cols, const float *x, const float *mean, const float *scale, const float *shift,
			const float *diff, float *sum_diff, float *sum_product)
{
	Gate		gate = {mean, scale, shift};

	zero_run(cols, sum_diff);
	zero_run(cols, sum_product);
	if (scale != NULL)
		sum_blocks(true, rows, cols, x, &gate, diff, sum_diff, sum_product);
	else
		sum_blocks(false, rows, cols, x, &gate, diff, sum_diff, sum_product);
}

static ALWAYS_INLINE void
affine_grad_rows(const bool gated, const bool accumulate, size_t rows, size_t cols, const float *x, const Gate *gate,
				 const float *diff, const float *a, const float *b, const float *c, float *diff_x)
{
	const float *mean = gate->mean;
	const float *scale = gate->scale;
	const float *shift = gate->shift;

	for (size_t row = 0; row < rows; row++)
	{
		const float *from = x + row * cols;
		const float *d = diff + row * cols;
		float	   *to = diff_x + row * cols;

		EACH(cols)
		{
			float		centred = from[i] - mean[i];
			float		known = gated && !(centred * scale[i] + shift[i] > 0.0f) ? 0.0f : d[i];
			float		value = (a[i] * known + b[i] * centred) + c[i];

			to[i] = accumulate ? to[i] + value : value;
		}
	}
}

static void
affine_grad(size_t rows, size_t cols, const float *x, const float *mean, const float *scale, const float *shift,
			const float *diff, const float *a, const float *b, const float *c, float *diff_x, bool accumulate)
{
	Gate		gate = {mean, scale, shift};

	if (scale != NULL && accumulate)
		affine_grad_rows(true, true, rows, cols, x, &gate, diff, a, b, c, diff_x);
	else if (scale != NULL)
		affine_grad_rows(true, false, rows, cols, x, &gate, diff, a, b, c, diff_x);
	else if (accumulate)
		affine_grad_rows(false, true, rows, cols, x, &gate, diff, a, b, c, diff_x);
	else
		affine_grad_rows(false, false, rows, cols, x, &gate, diff, a, b, c, diff_x);
}

static void
add_relu(size_t n, const float *a, const float *b, float *y)
{
	EACH(n)
	{
		float		sum = a[i] + b[i];

		y[i] = sum < 0.0f ? 0.0f : sum;
	}
}

/*
 * kernel_loops.h: elementwise work, sums, softmax, dropout masks and the optimiser's step.
 *
 * Destination and source may be the same array, element for element; the ivdep
 * pragma says that no other overlap happens, without which the loops would
 * not vectorise. Sums go in a stated order.
 */
#define EACH(n) _Pragma("GCC ivdep") for (size_t i = 0; i < (n); i++)

static void
copy(size_t rows, size_t cols, const float *src, size_t ld_src, float *dst, size_t ld_dst, bool accumulate)
{
	if (ld_src == cols && ld_dst == cols)
	{
		cols *= rows;
		rows = rows > 0;
	}
	for (size_t row = 0; row < rows; row++)
	{
		const float *from = src + row * ld_src;
		float	   *to = dst + row * ld_dst;

		if (accumulate)
			EACH(cols) to[i] += from[i];
		else
			EACH(cols) to[i] = from[i];
	}
}

static void
map(DevMap function, size_t n, const float *x, float parameter, float *y)
{
	switch (function)
	{
		case DEV_MAP_COPY:
			EACH(n) y[i] = x[i];
			break;
		case DEV_MAP_SCALE:
			EACH(n) y[i] = parameter * x[i];
			break;
		case DEV_MAP_RELU:
			EACH(n) y[i] = x[i] < 0.0f ? 0.0f : x[i];
			break;
		case DEV_MAP_GELU:
			EACH(n) y[i] = math_gelu(x[i]);
			break;
		case DEV_MAP_SILU:
			EACH(n) y[i] = math_silu(x[i]);
			break;
		case DEV_MAP_MISH:
			EACH(n) y[i] = x[i] * mish_gate(x[i]);
			break;
		case DEV_MAP_SELU:
			EACH(n) y[i] = math_selu(x[i]);
			break;
		case DEV_MAP_TANH:
			EACH(n) y[i] = math_tanh(x[i]);
			break;
		case DEV_MAP_SIGMOID:
			EACH(n) y[i] = math_sigmoid(x[i]);
			break;
		case DEV_MAP_SOFTPLUS:
			EACH(n) y[i] = math_softplus(x[i]);
			break;
		case DEV_MAP_EXP:
			EACH(n) y[i] = math_exp(x[i]);
			break;
		case DEV_MAP_LOG:
			EACH(n) y[i] = math_log(x[i]);
			break;
		case DEV_MAP_SQUARE:
			EACH(n) y[i] = x[i] * x[i];
			break;
		case DEV_MAP_SQRT:
			EACH(n) y[i] = __builtin_sqrtf(x[i]);
			break;
		case DEV_MAP_RECIPROCAL:
			EACH(n) y[i] = 1.0f / x[i];
			break;
		case DEV_MAP_SIN:
			EACH(n) y[i] = math_sine(x[i], 0);
			break;
		case DEV_MAP_COS:
			EACH(n) y[i] = math_sine(x[i], 1);
			break;
		case DEV_MAP_CLAMP01:
			EACH(n) y[i] = x[i] < 0.0f ? 0.0f : x[i] > 1.0f ? 1.0f : x[i];
			break;
	}
}

/* diff_x (+)= the expression, which is made of diff_y[i], x[i] and y[i] */
#define CHAIN(expression) \
	if (accumulate) \
		EACH(n) diff_x[i] += (expression); \
	else \
		EACH(n) diff_x[i] = (expression); \
	break

static void
map_grad(DevMap function, size_t n, const float *x, const float *y, float parameter,
		 const float *diff_y, float *diff_x, bool accumulate)
{
	switch (function)
	{
		case DEV_MAP_COPY:
			CHAIN(diff_y[i]);
		case DEV_MAP_SCALE:
			CHAIN(diff_y[i] * parameter);
		case DEV_MAP_RELU:
			CHAIN(y[i] > 0.0f ? diff_y[i] : 0.0f);
		case DEV_MAP_GELU:
			CHAIN(diff_y[i] * math_gelu_slope(x[i]));
		case DEV_MAP_SILU:
			CHAIN(diff_y[i] * math_silu_slope(x[i]));
		case DEV_MAP_MISH:
			CHAIN(diff_y[i] * math_mish_slope(x[i]));
		case DEV_MAP_SELU:
			CHAIN(diff_y[i] * (y[i] > 0.0f ? SELU_SCALE : y[i] + SELU_SCALE_ALPHA));
		case DEV_MAP_TANH:
			CHAIN(diff_y[i] * (1.0f - y[i] * y[i]));
		case DEV_MAP_SIGMOID:
			CHAIN(diff_y[i] * (y[i] * (1.0f - y[i])));
		case DEV_MAP_SOFTPLUS:
			CHAIN(diff_y[i] * math_sigmoid(x[i]));
		case DEV_MAP_EXP:
			CHAIN(diff_y[i] * y[i]);
		case DEV_MAP_LOG:
			CHAIN(diff_y[i] / x[i]);
		case DEV_MAP_SQUARE:
			CHAIN(diff_y[i] * (2.0f * x[i]));
		case DEV_MAP_SQRT:
			CHAIN(diff_y[i] * (0.5f / y[i]));
		case DEV_MAP_RECIPROCAL:
			CHAIN(diff_y[i] * -(y[i] * y[i]));
		case DEV_MAP_SIN:
			CHAIN(diff_y[i] * math_sine(x[i], 1));
		case DEV_MAP_COS:
			CHAIN(diff_y[i] * math_sine(x[i], 2));
		case DEV_MAP_CLAMP01:
			CHAIN(y[i] > 0.0f && y[i] < 1.0f ? diff_y[i] : 0.0f);
	}
}

/* The switches fold: function, spread and accumulate are constants at every call. */
static ALWAYS_INLINE float
zip_one(const DevZip function, float a, float b)
{
	return function == DEV_ZIP_ADD ? a + b : function == DEV_ZIP_SUBTRACT ? a - b : a * b;
}

static ALWAYS_INLINE void
zip_with(const DevZip function, const DevSpread spread, const bool accumulate, size_t rows, size_t cols,
		 const float *a, size_t lda, const float *b, size_t ldb, float *dst, size_t ld_dst)
{
	for (size_t row = 0; row < rows; row++)
	{
		const float *from = a + row * lda;
		const float *other = spread == DEV_SPREAD_FULL ? b + row * ldb : b;
		float	   *to = dst + row * ld_dst;
		float		same = spread == DEV_SPREAD_COLUMN ? b[row] : 0.0f;

		EACH(cols)
		{
			float		value = zip_one(function, from[i], spread == DEV_SPREAD_COLUMN ? same : other[i]);

			to[i] = accumulate ? to[i] + value : value;
		}
	}
}

#define ZIP_SPREAD(function, spread) \
	if (accumulate) \
		zip_with(function, spread, true, rows, cols, a, lda, b, ldb, dst, ld_dst); \
	else \
		zip_with(function, spread, false, rows, cols, a, lda, b, ldb, dst, ld_dst)

#define ZIP_FUNCTION(function) \
	if (spread == DEV_SPREAD_FULL) \
	{ \
		ZIP_SPREAD(function, DEV_SPREAD_FULL); \
	} \
	else if (spread == DEV_SPREAD_ROW) \
	{ \
		ZIP_SPREAD(function, DEV_SPREAD_ROW); \
	} \
	else \
	{ \
		ZIP_SPREAD(function, DEV_SPREAD_COLUMN); \
	} \
	break

static void
zip(DevZip function, DevSpread spread, size_t rows, size_t cols, const float *a, size_t lda,
	const float *b, size_t ldb, float *dst, size_t ld_dst, bool accumulate)
{
	/* One long row is quicker than many short ones. */
	if (cols == 1 && spread == DEV_SPREAD_COLUMN)
	{
		spread = DEV_SPREAD_FULL;
		ldb = 1;
	}
	if (lda == cols && ld_dst == cols && rows > 1)
	{
		if (cols == 1 && spread == DEV_SPREAD_ROW)
			spread = DEV_SPREAD_COLUMN;
		else if (spread != DEV_SPREAD_FULL || ldb != cols)
			goto separate;
		cols *= rows;
		lda = ldb = ld_dst = cols;
		rows = 1;
	}
separate:
	switch (function)
	{
		case DEV_ZIP_ADD:
			ZIP_FUNCTION(DEV_ZIP_ADD);
		case DEV_ZIP_SUBTRACT:
			ZIP_FUNCTION(DEV_ZIP_SUBTRACT);
		case DEV_ZIP_MULTIPLY:
			ZIP_FUNCTION(DEV_ZIP_MULTIPLY);
	}
}

/* Each column is one chain of additions down the rows; four rows at a time spare loads and stores of dst. */
static void
reduce_rows(size_t rows, size_t cols, const float *a, size_t lda, const float *b, size_t ldb,
			float *dst, bool accumulate)
{
	size_t		row = 0;

	if (!accumulate)
		EACH(cols) dst[i] = 0.0f;
	for (; row + 4 <= rows; row += 4)
	{
		const float *a0 = a + row * lda;
		const float *a1 = a0 + lda;
		const float *a2 = a1 + lda;
		const float *a3 = a2 + lda;

		if (b == NULL)
			EACH(cols) dst[i] = (((dst[i] + a0[i]) + a1[i]) + a2[i]) + a3[i];
		else
		{
			const float *b0 = b + row * ldb;
			const float *b1 = b0 + ldb;
			const float *b2 = b1 + ldb;
			const float *b3 = b2 + ldb;

			EACH(cols) dst[i] = (((dst[i] + a0[i] * b0[i]) + a1[i] * b1[i]) + a2[i] * b2[i]) + a3[i] * b3[i];
		}
	}
	for (; row < rows; row++)
	{
		const float *a0 = a + row * lda;

		if (b == NULL)
			EACH(cols) dst[i] += a0[i];
		else
		{
			const float *b0 = b + row * ldb;

			EACH(cols) dst[i] += a0[i] * b0[i];
		}
	}
}

static void
reduce_cols(size_t rows, size_t cols, const float *a, size_t lda, const float *b, size_t ldb,
			float *dst, bool accumulate)
{
	for (size_t row = 0; row < rows; row++)
	{
		float		sum = b == NULL ? sum_values(cols, a + row * lda) : sum_products(cols, a + row * lda, b + row * ldb);

		dst[row] = accumulate ? dst[row] + sum : sum;
	}
}

/* y = exp(x - most) of one row becomes its softmax. */
static ALWAYS_INLINE void
share_out(size_t cols, float *y, float most, float *log_sum)
{
	float		sum = sum_values(cols, y);
	float		share = 1.0f / sum;

	EACH(cols) y[i] *= share;
	if (log_sum != NULL)
		*log_sum = most + math_log(sum);
}

/* Rows that fill vectors, each read from memory once. */
static void
softmax_wide(size_t rows, size_t cols, const float *x, size_t ldx, float *y, size_t ldy, float *log_sum)
{
	for (size_t row = 0; row < rows; row++)
	{
		const float *from = x + row * ldx;
		float	   *to = y + row * ldy;
		const float most = largest(cols, from);

		EACH(cols) to[i] = math_exp(from[i] - most);
		share_out(cols, to, most, log_sum == NULL ? NULL : log_sum + row);
	}
}

static void
softmax(size_t rows, size_t cols, const float *x, size_t ldx, float *y, size_t ldy, float *log_sum)
{
	if (cols >= LANES)
	{
		softmax_wide(rows, cols, x, ldx, y, ldy, log_sum);
		return;
	}
	for (size_t row = 0; row < rows; row++)
	{
		const float *from = x + row * ldx;
		float	   *to = y + row * ldy;
		float		most = from[0];

		for (size_t i = 1; i < cols; i++)
			most = from[i] > most ? from[i] : most;
		if (log_sum != NULL)
			log_sum[row] = most;
		EACH(cols) to[i] = from[i] - most;
	}
	/* A few classes a row do not fill vectors, all rows together do. */
	if (ldy == cols)
		map(DEV_MAP_EXP, rows * cols, y, 0.0f, y);
	else
		for (size_t row = 0; row < rows; row++)
			map(DEV_MAP_EXP, cols, y + row * ldy, 0.0f, y + row * ldy);
	for (size_t row = 0; row < rows; row++)
		share_out(cols, y + row * ldy, log_sum == NULL ? 0.0f : log_sum[row], log_sum == NULL ? NULL : log_sum + row);
}

/* Loshchilov and Hutter, "Decoupled weight decay regularization", 2019. */
static void
adam(size_t n, const DevAdam *how, const float *diff_weights, float *weights, float *mean, float *variance)
{
	const float beta1 = how->beta1;
	const float beta2 = how->beta2;
	const float scale = how->scale;
	const float epsilon = how->epsilon;
	const float kept = 1.0f - how->rate * how->decay;
	const float step = how->rate / how->correction1;
	const float root = 1.0f / __builtin_sqrtf(how->correction2);

	EACH(n)
	{
		float		g = scale * diff_weights[i];
		float		m = beta1 * mean[i] + (1.0f - beta1) * g;
		float		v = beta2 * variance[i] + (1.0f - beta2) * g * g;

		mean[i] = m;
		variance[i] = v;
		weights[i] = kept * weights[i] - step * m / (__builtin_sqrtf(v) * root + epsilon);
	}
}

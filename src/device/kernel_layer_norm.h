/*
 * kernel_layer_norm.h: layer normalisation, row by row, so that a row is read from memory once
 * each way. Sums are those of sum_row; gain's and bias's gradients are chains down the rows.
 */
static void
layer_norm(size_t rows, size_t cols, const float *x, const float *gain, const float *bias, float epsilon,
		   float *y, float *statistics)
{
	const float share = 1.0f / (float) cols;

	for (size_t row = 0; row < rows; row++)
	{
		const float *from = x + row * cols;
		float	   *to = y + row * cols;
		const float middle = share * sum_values(cols, from);
		float		factor;

		EACH(cols) to[i] = from[i] - middle;
		factor = 1.0f / __builtin_sqrtf(share * sum_products(cols, to, to) + epsilon);
		statistics[2 * row] = middle;
		statistics[2 * row + 1] = factor;
		if (gain != NULL && bias != NULL)
			EACH(cols) to[i] = to[i] * factor * gain[i] + bias[i];
		else if (gain != NULL)
			EACH(cols) to[i] = to[i] * factor * gain[i];
		else if (bias != NULL)
			EACH(cols) to[i] = to[i] * factor + bias[i];
		else
			EACH(cols) to[i] = to[i] * factor;
	}
}

/* Columns are done in pieces that the stack holds. */
#define NORM_PIECE 256

/* Sums over a row of d = diff * gain and of d * normal, normal being (x - middle) * factor. */
static ALWAYS_INLINE void
norm_sums(size_t cols, const float *x, const float *gain, const float *diff, float middle, float factor,
		  float *sum, float *sum_product)
{
	float		d[NORM_PIECE];
	float		product[NORM_PIECE];

	*sum = 0.0f;
	*sum_product = 0.0f;
	for (size_t first = 0; first < cols; first += NORM_PIECE)
	{
		size_t		n = cols - first < NORM_PIECE ? cols - first : NORM_PIECE;
		const float *from = x + first;
		const float *piece = diff + first;

		if (gain != NULL)
			EACH(n) d[i] = piece[i] * gain[first + i];
		else
			EACH(n) d[i] = piece[i];
		EACH(n) product[i] = d[i] * ((from[i] - middle) * factor);
		*sum += sum_values(n, d);
		*sum_product += sum_values(n, product);
	}
}

/* dx = inverse * (d - mean(d) - normal * mean(d * normal)), d = diff_y * gain */
static void
layer_norm_grad(size_t rows, size_t cols, const float *x, const float *gain, const float *statistics,
				const float *diff_y, float *diff_x, bool accumulate, float *diff_gain, float *diff_bias)
{
	const float share = 1.0f / (float) cols;

	for (size_t row = 0; row < rows; row++)
	{
		const float *from = x + row * cols;
		const float *diff = diff_y + row * cols;
		const float middle = statistics[2 * row];
		const float factor = statistics[2 * row + 1];
		float	   *to;
		float		sum;
		float		sum_product;

		if (diff_gain != NULL)
			EACH(cols) diff_gain[i] += diff[i] * ((from[i] - middle) * factor);
		if (diff_bias != NULL)
			EACH(cols) diff_bias[i] += diff[i];
		if (diff_x == NULL)
			continue;
		to = diff_x + row * cols;
		norm_sums(cols, from, gain, diff, middle, factor, &sum, &sum_product);
		sum *= share;
		sum_product *= share;
		if (gain != NULL && accumulate)
			EACH(cols) to[i] += factor * (diff[i] * gain[i] - sum - (from[i] - middle) * factor * sum_product);
		else if (gain != NULL)
			EACH(cols) to[i] = factor * (diff[i] * gain[i] - sum - (from[i] - middle) * factor * sum_product);
		else if (accumulate)
			EACH(cols) to[i] += factor * (diff[i] - sum - (from[i] - middle) * factor * sum_product);
		else
			EACH(cols) to[i] = factor * (diff[i] - sum - (from[i] - middle) * factor * sum_product);
	}
}

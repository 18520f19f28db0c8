/*
 * kernel_attention.h: tiles of attention scores into weights and back.
 *
 * A row's sum runs over what it sees, in LANES lanes, with zeros up to whole vectors: it depends
 * neither on the other rows nor on how far the tile goes on.
 */
/* What a row sees of a tile. */
static size_t
visible(size_t row, size_t cols, size_t diagonal)
{
	return diagonal + row < cols ? diagonal + row : cols;
}

static size_t
whole_lanes(size_t n)
{
	return (n + LANES - 1) / LANES * LANES;
}

static void
attend(size_t rows, size_t cols, size_t diagonal, float scale, bool first, float *scores, size_t ld,
	   float *most, float *sum, float *factor)
{
	const size_t end = whole_lanes(cols);

	for (size_t row = 0; row < rows; row++)
	{
		float	   *s = scores + row * ld;
		size_t		seen = visible(row, cols, diagonal);
		size_t		whole = whole_lanes(seen);
		float		top;

		/* Vectors are filled up with a number that the row has, and cleared below. */
		for (size_t i = seen; i < whole; i++)
			s[i] = s[0];
		top = scale * largest(whole, s);
		if (!first && !(top > most[row]))
			top = most[row];
		EACH(whole) s[i] = math_exp(__builtin_fmaf(s[i], scale, -top));
		for (size_t i = seen; i < end; i++)
			s[i] = 0.0f;
		factor[row] = first ? 0.0f : math_exp(most[row] - top);
		sum[row] = first ? sum_values(whole, s) : sum[row] * factor[row] + sum_values(whole, s);
		most[row] = top;
	}
}

static void
attend_grad(size_t rows, size_t cols, size_t diagonal, float scale, const float *log_sum, const float *dots,
			const float *mask, float *scores, float *diff, size_t ld)
{
	const size_t end = whole_lanes(cols);

	for (size_t row = 0; row < rows; row++)
	{
		float	   *s = scores + row * ld;
		float	   *d = diff + row * ld;
		const float top = log_sum[row];
		const float dot = dots[row];
		size_t		seen = visible(row, cols, diagonal);
		size_t		whole = whole_lanes(seen);

		for (size_t i = seen; i < whole; i++)
			s[i] = s[0];
		if (mask != NULL)
		{
			const float *kept = mask + row * ld;

			EACH(whole)
			{
				float		weight = math_exp(__builtin_fmaf(s[i], scale, -top));

				s[i] = weight * kept[i];
				d[i] = scale * weight * (d[i] * kept[i] - dot);
			}
		}
		else
			EACH(whole)
			{
				float		weight = math_exp(__builtin_fmaf(s[i], scale, -top));

				s[i] = weight;
				d[i] = scale * weight * (d[i] - dot);
			}
		for (size_t i = seen; i < end; i++)
			s[i] = d[i] = 0.0f;
	}
}

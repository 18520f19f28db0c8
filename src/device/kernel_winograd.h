/*
 * kernel_winograd.h: convolution with 3 x 3 kernels of stride 1 in 2.25 times fewer multiplications, and with kernels of 3 over
 * sequences ("flat") in 1.5 times fewer.
 *
 * F(2 x 2, 3 x 3) of Lavin and Gray 2016: a tile of 4 x 4 source places gives 2 x 2 output places. Tile, kernel and output
 * are each taken through a small linear map (B'dB, GgG', A'mA); between the maps stand 16 matrix products, one for each
 * place of the 4 x 4 grid, with tiles as rows and channels as the inner dimension. Backward maps are the
 * transposed ones. In memory a plane holds one of the 16 places: (tiles, channels), channels filled up with
 * zeros to a multiple of LANES. The maps only add, subtract and halve, in a fixed order. A flat tile has 4 places, 4 planes
 * and 2 output places.
 */
#define PLANES 16

/* Where the tiles of an image are, one after another. */
typedef struct Tile
{
	size_t		rows;			/* of tiles in an image */
	size_t		cols;
	size_t		image;
	size_t		row;
	size_t		col;
} Tile;

static inline Tile
tile_number(size_t height, size_t width, size_t number)
{
	Tile		tile;

	tile.rows = (height + 1) / 2;
	tile.cols = (width + 1) / 2;
	tile.image = number / (tile.rows * tile.cols);
	number %= tile.rows * tile.cols;
	tile.row = number / tile.cols;
	tile.col = number % tile.cols;
	return tile;
}

static inline void
next_tile(Tile *tile)
{
	if (++tile->col < tile->cols)
		return;
	tile->col = 0;
	if (++tile->row < tile->rows)
		return;
	tile->row = 0;
	tile->image++;
}

static inline bool
is_flat(const DevWindow *window)
{
	return window->kernel[0] == 1;
}

/*
 * Pointers to the rows x cols places of `image` (height, width, channels) from (top, left) on; a place outside it reads
 * `zeros`, of as many floats as there are channels.
 */
static ALWAYS_INLINE void
find_places(const size_t rows, const size_t cols, const float *image, size_t height, size_t width, size_t channels, ptrdiff_t top, ptrdiff_t left,
			const float *zeros, const float **place)
{
	/* a negative number is a very large one */
	size_t		y = (size_t) top;
	size_t		first = (size_t) left;

#pragma GCC unroll 4
	for (size_t i = 0; i < rows; i++, y++)
	{
		bool		inside = y < height;
		const float *line = inside ? image + y * width * channels : zeros;
		size_t		x = first;

#pragma GCC unroll 4
		for (size_t j = 0; j < cols; j++, x++)
			*place++ = inside && x < width ? line + x * channels : zeros;
	}
}

/* B'd along one direction. */
#define SOURCE_MAP(d0, d1, d2, d3, m0, m1, m2, m3) \
	do { \
		m0 = vf_subtract(d0, d2); \
		m1 = vf_add(d1, d2); \
		m2 = vf_subtract(d2, d1); \
		m3 = vf_subtract(d1, d3); \
	} while (0)

static ALWAYS_INLINE TILE_CODE void
map_source(const float *const *place, size_t at, size_t n, float *dst, size_t plane)
{
	Vf			d[4][4];
	Vf			m[4][4];

#pragma GCC unroll 4
	for (size_t i = 0; i < 4; i++)
	{
#pragma GCC unroll 4
		for (size_t j = 0; j < 4; j++)
			d[i][j] = load_part(place[4 * i + j] + at, n);
	}
#pragma GCC unroll 4
	for (size_t j = 0; j < 4; j++)
		SOURCE_MAP(d[0][j], d[1][j], d[2][j], d[3][j], m[0][j], m[1][j], m[2][j], m[3][j]);
#pragma GCC unroll 4
	for (size_t i = 0; i < 4; i++)
	{
		SOURCE_MAP(m[i][0], m[i][1], m[i][2], m[i][3], d[i][0], d[i][1], d[i][2], d[i][3]);
#pragma GCC unroll 4
		for (size_t j = 0; j < 4; j++)
			vf_store(dst + (4 * i + j) * plane + at, d[i][j]);
	}
}

static ALWAYS_INLINE TILE_CODE void
map_source_flat(const float *const *place, size_t at, size_t n, float *dst, size_t plane)
{
	Vf			d[4];
	Vf			m[4];

#pragma GCC unroll 4
	for (size_t j = 0; j < 4; j++)
		d[j] = load_part(place[j] + at, n);
	SOURCE_MAP(d[0], d[1], d[2], d[3], m[0], m[1], m[2], m[3]);
#pragma GCC unroll 4
	for (size_t j = 0; j < 4; j++)
		vf_store(dst + j * plane + at, m[j]);
}

/* A tile's channels, vector after vector, the last filled up with zeros. */
#define EACH_FILLED(channels, filled, map, ...) \
	do { \
		size_t		c_ = 0; \
		for (; c_ + VF_WIDTH <= (channels); c_ += VF_WIDTH) \
			map(place, c_, VF_WIDTH, __VA_ARGS__); \
		for (; c_ < (filled); c_ += VF_WIDTH) \
			map(place, c_, c_ < (channels) ? (channels) - c_ : 0, __VA_ARGS__); \
	} while (0)

/* Tiles [first, first + n) of src, mapped: dst planes, `plane` floats apart, of (n, filled channels). */
static TILE_CODE void
winograd_source(const DevWindow *window, const float *src, size_t first, size_t n, const float *zeros, float *dst,
				size_t plane)
{
	size_t		channels = window->channels;
	size_t		filled = (channels + LANES - 1) / LANES * LANES;
	Tile		tile = tile_number(window->out_height, window->out_width, first);

	for (size_t t = 0; t < n; t++)
	{
		const float *place[PLANES];
		const float *image = src + tile.image * window->height * window->width * channels;
		ptrdiff_t	top = (ptrdiff_t) (2 * tile.row) - (ptrdiff_t) window->before[0];
		ptrdiff_t	left = (ptrdiff_t) (2 * tile.col) - (ptrdiff_t) window->before[1];

		if (is_flat(window))
		{
			find_places(1, 4, image, window->height, window->width, channels, top, left, zeros, place);
			EACH_FILLED(channels, filled, map_source_flat, dst, plane);
		}
		else
		{
			find_places(4, 4, image, window->height, window->width, channels, top, left, zeros, place);
			EACH_FILLED(channels, filled, map_source, dst, plane);
		}
		dst += filled;
		next_tile(&tile);
	}
}

/* A'm along one direction. */
#define OUTPUT_MAP(m0, m1, m2, m3, y0, y1) \
	do { \
		y0 = vf_add(vf_add(m0, m1), m2); \
		y1 = vf_subtract(vf_subtract(m1, m2), m3); \
	} while (0)

static ALWAYS_INLINE TILE_CODE void
map_output(const float *src, size_t plane, size_t n, bool accumulate, float *const *place)
{
	Vf			m[4][4];
	Vf			h[2][4];

#pragma GCC unroll 4
	for (size_t i = 0; i < 4; i++)
	{
#pragma GCC unroll 4
		for (size_t j = 0; j < 4; j++)
			m[i][j] = vf_load(src + (4 * i + j) * plane);
	}
#pragma GCC unroll 4
	for (size_t j = 0; j < 4; j++)
		OUTPUT_MAP(m[0][j], m[1][j], m[2][j], m[3][j], h[0][j], h[1][j]);
#pragma GCC unroll 2
	for (size_t i = 0; i < 2; i++)
	{
		Vf			y[2];

		OUTPUT_MAP(h[i][0], h[i][1], h[i][2], h[i][3], y[0], y[1]);
#pragma GCC unroll 2
		for (size_t j = 0; j < 2; j++)
			if (place[2 * i + j] != NULL)
				store_part(place[2 * i + j], n, accumulate, y[j]);
	}
}

static ALWAYS_INLINE TILE_CODE void
map_output_flat(const float *src, size_t plane, size_t n, bool accumulate, float *const *place)
{
	Vf			y[2];

	OUTPUT_MAP(vf_load(src), vf_load(src + plane), vf_load(src + 2 * plane), vf_load(src + 3 * plane), y[0], y[1]);
#pragma GCC unroll 2
	for (size_t j = 0; j < 2; j++)
		if (place[j] != NULL)
			store_part(place[j], n, accumulate, y[j]);
}

/* Products of tiles [first, first + n), (n, filled output channels) each, to their output places. */
static TILE_CODE void
winograd_output(const DevWindow *window, const float *src, size_t plane, size_t first, size_t n, bool accumulate, float *dst)
{
	size_t		channels = window->out_channels;
	size_t		filled = (channels + LANES - 1) / LANES * LANES;
	Tile		tile = tile_number(window->out_height, window->out_width, first);

	for (size_t t = 0; t < n; t++)
	{
		float	   *place[4];

		for (size_t i = 0; i < 4; i++)
		{
			size_t		y = 2 * tile.row + i / 2;
			size_t		x = 2 * tile.col + i % 2;

			place[i] = y < window->out_height && x < window->out_width ?
				dst + ((tile.image * window->out_height + y) * window->out_width + x) * channels : NULL;
		}
		for (size_t c = 0; c < channels; c += VF_WIDTH)
		{
			if (is_flat(window))
				map_output_flat(src + c, plane, channels - c < VF_WIDTH ? channels - c : VF_WIDTH, accumulate, place);
			else if (c + VF_WIDTH <= channels)
				map_output(src + c, plane, VF_WIDTH, accumulate, place);
			else
				map_output(src + c, plane, channels - c, accumulate, place);
			for (size_t i = 0; i < 4; i++)
				if (place[i] != NULL)
					place[i] += VF_WIDTH;
		}
		src += filled;
		next_tile(&tile);
	}
}

/* Ay along one direction: the way back of OUTPUT_MAP. */
#define OUTPUT_BACK(y0, y1, m0, m1, m2, m3) \
	do { \
		m0 = y0; \
		m1 = vf_add(y0, y1); \
		m2 = vf_subtract(y0, y1); \
		m3 = vf_subtract(vf_zero(), y1); \
	} while (0)

static ALWAYS_INLINE TILE_CODE void
map_output_back(const float *const *place, size_t at, size_t n, float *dst, size_t plane)
{
	Vf			y[2][2];
	Vf			h[4][2];

#pragma GCC unroll 2
	for (size_t i = 0; i < 2; i++)
	{
#pragma GCC unroll 2
		for (size_t j = 0; j < 2; j++)
			y[i][j] = load_part(place[2 * i + j] + at, n);
	}
#pragma GCC unroll 2
	for (size_t j = 0; j < 2; j++)
		OUTPUT_BACK(y[0][j], y[1][j], h[0][j], h[1][j], h[2][j], h[3][j]);
#pragma GCC unroll 4
	for (size_t i = 0; i < 4; i++)
	{
		Vf			m[4];

		OUTPUT_BACK(h[i][0], h[i][1], m[0], m[1], m[2], m[3]);
#pragma GCC unroll 4
		for (size_t j = 0; j < 4; j++)
			vf_store(dst + (4 * i + j) * plane + at, m[j]);
	}
}

static ALWAYS_INLINE TILE_CODE void
map_output_back_flat(const float *const *place, size_t at, size_t n, float *dst, size_t plane)
{
	Vf			y0 = load_part(place[0] + at, n);
	Vf			y1 = load_part(place[1] + at, n);
	Vf			m[4];

	OUTPUT_BACK(y0, y1, m[0], m[1], m[2], m[3]);
#pragma GCC unroll 4
	for (size_t j = 0; j < 4; j++)
		vf_store(dst + j * plane + at, m[j]);
}

/* Output gradients of tiles [first, first + n) -> gradients of their products. */
static TILE_CODE void
winograd_output_back(const DevWindow *window, const float *diff_dst, size_t first, size_t n, const float *zeros,
					 float *dst, size_t plane)
{
	size_t		channels = window->out_channels;
	size_t		filled = (channels + LANES - 1) / LANES * LANES;
	Tile		tile = tile_number(window->out_height, window->out_width, first);

	for (size_t t = 0; t < n; t++)
	{
		const float *place[4];
		const float *image = diff_dst + tile.image * window->out_height * window->out_width * channels;
		ptrdiff_t	top = (ptrdiff_t) (2 * tile.row);
		ptrdiff_t	left = (ptrdiff_t) (2 * tile.col);

		if (is_flat(window))
		{
			find_places(1, 2, image, window->out_height, window->out_width, channels, top, left, zeros, place);
			EACH_FILLED(channels, filled, map_output_back_flat, dst, plane);
		}
		else
		{
			find_places(2, 2, image, window->out_height, window->out_width, channels, top, left, zeros, place);
			EACH_FILLED(channels, filled, map_output_back, dst, plane);
		}
		dst += filled;
		next_tile(&tile);
	}
}

/*
 * weights (3, 3, channels, out_channels), or (3, channels, out_channels), -> dst planes (channels, filled out_channels). turned: those of the convolution
 * that takes output gradients to source gradients, (out_channels, filled channels), the kernel turned round.
 */
static ALWAYS_INLINE void
map_weights(const bool flat, const DevWindow *window, bool turned, const float *weights, float *dst)
{
	size_t		rows = turned ? window->out_channels : window->channels;
	size_t		cols = turned ? window->channels : window->out_channels;
	size_t		filled = (cols + LANES - 1) / LANES * LANES;
	size_t		plane = rows * filled;
	size_t		step = turned ? rows : 1;

	for (size_t r = 0; r < rows; r++)
	{
		const float *from = weights + r * (turned ? 1 : cols);
		float	   *to = dst + r * filled;
		ptrdiff_t	tap = (ptrdiff_t) (rows * cols) * (turned ? -1 : 1);

		if (turned)
			from += (flat ? 2 : 8) * rows * cols;
		zero_run(filled - cols, to + cols);
		EACH(cols)
		{
			const float *g = from + i * step;
			float		h[4][3];

			if (flat)
			{
				float		ends = 0.5f * (g[0] + g[2 * tap]);
				float		middle = 0.5f * g[tap];

				to[i] = g[0];
				to[plane + i] = ends + middle;
				to[2 * plane + i] = ends - middle;
				to[3 * plane + i] = g[2 * tap];
				continue;
			}

			for (ptrdiff_t j = 0; j < 3; j++)
			{
				float		ends = 0.5f * (g[j * tap] + g[(6 + j) * tap]);
				float		middle = 0.5f * g[(3 + j) * tap];

				h[0][j] = g[j * tap];
				h[1][j] = ends + middle;
				h[2][j] = ends - middle;
				h[3][j] = g[(6 + j) * tap];
			}
			for (size_t k = 0; k < 4; k++)
			{
				float		ends = 0.5f * (h[k][0] + h[k][2]);
				float		middle = 0.5f * h[k][1];

				to[(4 * k) * plane + i] = h[k][0];
				to[(4 * k + 1) * plane + i] = ends + middle;
				to[(4 * k + 2) * plane + i] = ends - middle;
				to[(4 * k + 3) * plane + i] = h[k][2];
			}
		}
		for (size_t k = 1; k < (flat ? 4 : PLANES); k++)
			zero_run(filled - cols, to + k * plane + cols);
	}
}

static void
winograd_weights(const DevWindow *window, bool turned, const float *weights, float *dst)
{
	if (is_flat(window))
		map_weights(true, window, turned, weights, dst);
	else
		map_weights(false, window, turned, weights, dst);
}

/* diff_weights += the way back of winograd_weights; src planes (channels, filled out_channels). */
static ALWAYS_INLINE void
map_weights_back(const bool flat, const DevWindow *window, const float *src, float *diff_weights)
{
	size_t		rows = window->channels;
	size_t		cols = window->out_channels;
	size_t		filled = (cols + LANES - 1) / LANES * LANES;

	for (size_t r = 0; r < rows; r++)
	{
		EACH(cols)
		{
			float		h[3][4];

			if (flat)
			{
				float		u1 = src[(rows + r) * filled + i];
				float		u2 = src[(2 * rows + r) * filled + i];
				float		both = 0.5f * (u1 + u2);

				diff_weights[r * cols + i] += src[r * filled + i] + both;
				diff_weights[(rows + r) * cols + i] += 0.5f * (u1 - u2);
				diff_weights[(2 * rows + r) * cols + i] += both + src[(3 * rows + r) * filled + i];
				continue;
			}
			for (size_t j = 0; j < 4; j++)
			{
				float		u0 = src[(j * rows + r) * filled + i];
				float		u1 = src[((4 + j) * rows + r) * filled + i];
				float		u2 = src[((8 + j) * rows + r) * filled + i];
				float		u3 = src[((12 + j) * rows + r) * filled + i];
				float		both = 0.5f * (u1 + u2);

				h[0][j] = u0 + both;
				h[1][j] = 0.5f * (u1 - u2);
				h[2][j] = both + u3;
			}
			for (size_t k = 0; k < 3; k++)
			{
				float		both = 0.5f * (h[k][1] + h[k][2]);

				diff_weights[((3 * k) * rows + r) * cols + i] += h[k][0] + both;
				diff_weights[((3 * k + 1) * rows + r) * cols + i] += 0.5f * (h[k][1] - h[k][2]);
				diff_weights[((3 * k + 2) * rows + r) * cols + i] += both + h[k][3];
			}
		}
	}
}

static void
winograd_weights_back(const DevWindow *window, const float *src, float *diff_weights)
{
	if (is_flat(window))
		map_weights_back(true, window, src, diff_weights);
	else
		map_weights_back(false, window, src, diff_weights);
}

/*
 * kernel_window.h: windows that slide over images: their values as rows of a matrix, convolution of every channel by
 * itself, pools.
 *
 * The taps of a window that lie inside the image are a rectangle, found once for each output place; what remains
 * is loops over channels. Sums go over taps in ascending order.
 */

/* The window of one output place: taps [low, high) in both directions are inside the image, which may be empty. */
typedef struct View
{
	size_t		low[2];
	size_t		high[2];
	size_t		first;			/* number of the source place under tap (low, low) */
} View;

static inline void
clip_taps(ptrdiff_t start, size_t dilation, size_t kernel, size_t size, size_t *low, size_t *high)
{
	size_t		lead = start < 0 ? ((size_t) -start + dilation - 1) / dilation : 0;
	size_t		room = (ptrdiff_t) size > start ? ((size_t) ((ptrdiff_t) size - start) + dilation - 1) / dilation : 0;

	*high = room < kernel ? room : kernel;
	*low = lead < *high ? lead : *high;
}

static inline View
view_of(const DevWindow *window, size_t y, size_t x)
{
	ptrdiff_t	top = (ptrdiff_t) (y * window->stride[0]) - (ptrdiff_t) window->before[0];
	ptrdiff_t	left = (ptrdiff_t) (x * window->stride[1]) - (ptrdiff_t) window->before[1];
	View		view;

	clip_taps(top, window->dilation[0], window->kernel[0], window->height, &view.low[0], &view.high[0]);
	clip_taps(left, window->dilation[1], window->kernel[1], window->width, &view.low[1], &view.high[1]);
	view.first = 0;
	if (view.low[0] < view.high[0] && view.low[1] < view.high[1])
		view.first = (size_t) (top + (ptrdiff_t) (view.low[0] * window->dilation[0])) * window->width +
			(size_t) (left + (ptrdiff_t) (view.low[1] * window->dilation[1]));
	return view;
}

static inline size_t
taps_of(const View *view)
{
	return (view->high[0] - view->low[0]) * (view->high[1] - view->low[1]);
}

/* ---- Values as a matrix ---- */

static inline void
copy_run(size_t n, const float *src, float *dst)
{
	size_t		i = 0;

	for (; i + VF_WIDTH <= n; i += VF_WIDTH)
		vf_store(dst + i, vf_load(src + i));
	if (i < n)
		vf_store_first(n - i, dst + i, vf_load_first(n - i, src + i));
}

static inline void
add_run(size_t n, const float *src, float *dst)
{
	size_t		i = 0;

	for (; i + VF_WIDTH <= n; i += VF_WIDTH)
		vf_store(dst + i, vf_add(vf_load(dst + i), vf_load(src + i)));
	if (i < n)
		store_part(dst + i, n - i, true, vf_load_first(n - i, src + i));
}

/* Row i of dst, (kernel[0], kernel[1], channels / groups): what output place first + i sees of group `group`. */
static void
lower(const DevWindow *window, size_t group, size_t first, size_t count, const float *src, float *dst)
{
	size_t		places = window->out_height * window->out_width;
	size_t		image = first / places;
	size_t		y = first % places / window->out_width;
	size_t		x = first % window->out_width;
	size_t		channels = window->channels;
	size_t		width = channels / window->groups;
	size_t		line = window->kernel[1] * width;
	bool		joined = window->groups == 1 && window->dilation[1] == 1;

	src += group * width;
	for (size_t p = 0; p < count; p++)
	{
		View		view = view_of(window, y, x);
		size_t		taps = view.high[1] - view.low[1];
		const float *from = src + (image * window->height * window->width + view.first) * channels;

		for (size_t i = 0; i < window->kernel[0]; i++)
		{
			if (i < view.low[0] || i >= view.high[0])
			{
				zero_run(line, dst);
				dst += line;
				continue;
			}
			zero_run(view.low[1] * width, dst);
			dst += view.low[1] * width;
			if (joined)
				copy_run(taps * width, from, dst);
			else
				for (size_t j = 0; j < taps; j++)
					copy_run(width, from + j * window->dilation[1] * channels, dst + j * width);
			dst += taps * width;
			zero_run((window->kernel[1] - view.high[1]) * width, dst);
			dst += (window->kernel[1] - view.high[1]) * width;
			from += window->dilation[0] * window->width * channels;
		}
		if (++x < window->out_width)
			continue;
		x = 0;
		if (++y < window->out_height)
			continue;
		y = 0;
		image++;
	}
}

/* The way back: rows of `src` are added to the places they came from. */
static void
raise_rows(const DevWindow *window, size_t group, size_t first, size_t count, const float *src, float *dst)
{
	size_t		places = window->out_height * window->out_width;
	size_t		image = first / places;
	size_t		y = first % places / window->out_width;
	size_t		x = first % window->out_width;
	size_t		channels = window->channels;
	size_t		width = channels / window->groups;
	size_t		line = window->kernel[1] * width;
	bool		joined = window->groups == 1 && window->dilation[1] == 1;

	dst += group * width;
	for (size_t p = 0; p < count; p++)
	{
		View		view = view_of(window, y, x);
		size_t		taps = view.high[1] - view.low[1];
		float	   *to = dst + (image * window->height * window->width + view.first) * channels;

		for (size_t i = view.low[0]; i < view.high[0]; i++)
		{
			const float *from = src + i * line + view.low[1] * width;

			if (joined)
				add_run(taps * width, from, to);
			else
				for (size_t j = 0; j < taps; j++)
					add_run(width, from + j * width, to + j * window->dilation[1] * channels);
			to += window->dilation[0] * window->width * channels;
		}
		src += window->kernel[0] * line;
		if (++x < window->out_width)
			continue;
		x = 0;
		if (++y < window->out_height)
			continue;
		y = 0;
		image++;
	}
}

/* ---- Loops over the taps of a view, for the channels of one vector ---- */

#define EACH_TAP(window, view, channels) \
	for (size_t i_ = (view)->low[0], line_ = (view)->first; i_ < (view)->high[0]; \
		 i_++, line_ += (window)->dilation[0] * (window)->width) \
		for (size_t j_ = (view)->low[1], at = line_ * (channels), tap = (i_ * (window)->kernel[1] + j_) * (channels); \
			 j_ < (view)->high[1]; j_++, at += (window)->dilation[1] * (channels), tap += (channels))

/* Calls `action` (a function of window, view, channel, number of channels, and what follows) for every vector of channels. */
#define EACH_VECTOR(channels, action, ...) \
	do { \
		size_t		c_ = 0; \
		for (; c_ + VF_WIDTH <= (channels); c_ += VF_WIDTH) \
			action(window, &view, c_, VF_WIDTH, __VA_ARGS__); \
		if (c_ < (channels)) \
			action(window, &view, c_, (channels) - c_, __VA_ARGS__); \
	} while (0)

static ALWAYS_INLINE void
depthwise_place(const DevWindow *window, const View *view, size_t c, size_t n, const float *src, const float *weights, float *dst)
{
	Vf			sum = vf_zero();

	EACH_TAP(window, view, window->channels)
		sum = vf_add(sum, vf_multiply(load_part(src + at + c, n), load_part(weights + tap + c, n)));
	store_part(dst + c, n, false, sum);
}

static ALWAYS_INLINE void
depthwise_place_src(const DevWindow *window, const View *view, size_t c, size_t n, const float *diff_dst,
					const float *weights, float *diff_src)
{
	Vf			d = load_part(diff_dst + c, n);

	EACH_TAP(window, view, window->channels)
		store_part(diff_src + at + c, n, true, vf_multiply(d, load_part(weights + tap + c, n)));
}

static ALWAYS_INLINE void
depthwise_place_weights(const DevWindow *window, const View *view, size_t c, size_t n, const float *src,
						const float *diff_dst, float *diff_weights)
{
	Vf			d = load_part(diff_dst + c, n);

	EACH_TAP(window, view, window->channels)
		store_part(diff_weights + tap + c, n, true, vf_multiply(d, load_part(src + at + c, n)));
}

/* One image; weights (kernel[0], kernel[1], channels). */
static void
depthwise(const DevWindow *window, const float *src, const float *weights, float *dst)
{
	for (size_t y = 0; y < window->out_height; y++)
	{
		for (size_t x = 0; x < window->out_width; x++)
		{
			View		view = view_of(window, y, x);

			EACH_VECTOR(window->channels, depthwise_place, src, weights, dst);
			dst += window->channels;
		}
	}
}

/* One image; both gradients are added to. */
static void
depthwise_src(const DevWindow *window, const float *diff_dst, const float *weights, float *diff_src)
{
	for (size_t y = 0; y < window->out_height; y++)
	{
		for (size_t x = 0; x < window->out_width; x++)
		{
			View		view = view_of(window, y, x);

			EACH_VECTOR(window->channels, depthwise_place_src, diff_dst, weights, diff_src);
			diff_dst += window->channels;
		}
	}
}

static void
depthwise_weights(const DevWindow *window, const float *src, const float *diff_dst, float *diff_weights)
{
	for (size_t y = 0; y < window->out_height; y++)
	{
		for (size_t x = 0; x < window->out_width; x++)
		{
			View		view = view_of(window, y, x);

			EACH_VECTOR(window->channels, depthwise_place_weights, src, diff_dst, diff_weights);
			diff_dst += window->channels;
		}
	}
}

/* ---- Pools ---- */

/* The greater of two; NaN wins. */
static inline float
greater(float a, float b)
{
	return b > a || b != b ? b : a;
}

/* One output place of a pool; the loops over channels are left to the compiler, to which NaN is a comparison like others. */
static void
pool_place(const DevWindow *window, const View *view, DevPool kind, const float *src, float *dst)
{
	size_t		channels = window->channels;
	size_t		taps = taps_of(view);
	float		share = 1.0f / (float) taps;
	bool		begun = false;

	if (taps == 0)
	{
		zero_run(channels, dst);
		return;
	}
	EACH_TAP(window, view, channels)
	{
		const float *from = src + at;

		(void) tap;
		if (!begun)
			copy_run(channels, from, dst);
		else if (kind == DEV_POOL_MAX)
			EACH(channels) dst[i] = greater(dst[i], from[i]);
		else
			EACH(channels) dst[i] += from[i];
		begun = true;
	}
	if (kind == DEV_POOL_MEAN)
		EACH(channels) dst[i] *= share;
}

/* The maximum's gradient is given to the first place that has its value: what is left to give lies in `rest`. */
#define POOL_BLOCK 64

static void
max_place_grad(const DevWindow *window, const View *view, size_t c, size_t n, const float *src, const float *dst,
			   const float *diff_dst, float *diff_src)
{
	float		rest[POOL_BLOCK];

	EACH(n) rest[i] = diff_dst[c + i];
	EACH_TAP(window, view, window->channels)
	{
		const float *from = src + at + c;
		float	   *to = diff_src + at + c;

		(void) tap;
		EACH(n)
		{
			bool		hit = from[i] == dst[c + i];

			to[i] += hit ? rest[i] : 0.0f;
			rest[i] = hit ? 0.0f : rest[i];
		}
	}
}

static void
mean_place_grad(const DevWindow *window, const View *view, const float *diff_dst, float *diff_src)
{
	size_t		channels = window->channels;
	float		share = 1.0f / (float) taps_of(view);

	EACH_TAP(window, view, channels)
	{
		float	   *to = diff_src + at;

		(void) tap;
		EACH(channels) to[i] += share * diff_dst[i];
	}
}

/* One image. */
static void
pool(const DevWindow *window, DevPool kind, const float *src, float *dst)
{
	for (size_t y = 0; y < window->out_height; y++)
	{
		for (size_t x = 0; x < window->out_width; x++)
		{
			View		view = view_of(window, y, x);

			pool_place(window, &view, kind, src, dst);
			dst += window->channels;
		}
	}
}

/* One image; diff_src is added to. */
static void
pool_grad(const DevWindow *window, DevPool kind, const float *src, const float *dst, const float *diff_dst, float *diff_src)
{
	size_t		channels = window->channels;

	for (size_t y = 0; y < window->out_height; y++)
	{
		for (size_t x = 0; x < window->out_width; x++)
		{
			View		view = view_of(window, y, x);

			if (kind == DEV_POOL_MEAN)
				mean_place_grad(window, &view, diff_dst, diff_src);
			else
				for (size_t c = 0; c < channels; c += POOL_BLOCK)
					max_place_grad(window, &view, c, channels - c < POOL_BLOCK ? channels - c : POOL_BLOCK,
								   src, dst, diff_dst, diff_src);
			dst += channels;
			diff_dst += channels;
		}
	}
}

/* One example of pool_positions; `positions` are those that count. */
static void
pool_all(DevPool kind, size_t positions, size_t cols, const float *src, float *dst)
{
	DevWindow	window = {.height = 1, .width = positions, .channels = cols, .kernel = {1, positions}, .dilation = {1, 1}};
	View		view = {.low = {0, 0}, .high = {1, positions}, .first = 0};

	pool_place(&window, &view, kind, src, dst);
}

static void
pool_all_grad(DevPool kind, size_t positions, size_t cols, const float *src, const float *dst, const float *diff_dst,
			  float *diff_src)
{
	DevWindow	window = {.height = 1, .width = positions, .channels = cols, .kernel = {1, positions}, .dilation = {1, 1},
	.out_height = 1, .out_width = 1, .stride = {1, 1}, .groups = 1};

	if (positions > 0)
		pool_grad(&window, kind, src, dst, diff_dst, diff_src);
}

/*
 * kernel_vector.h: the vector of floats that the kernels are written over.
 *
 * VF_WIDTH floats; vf_fma is always fused, vf_madd only where that is one instruction (VF_FUSED).
 * Included once by each kernels_*.c under its own target.
 */
#define ALWAYS_INLINE inline __attribute__((__always_inline__))

#if defined(KERNELS_AVX512)

#define VF_WIDTH 16
#define VF_FUSED 1
#define TILE_ROWS 8
#define SMALL SIZE_MAX
typedef __m512 Vf;
#define vf_zero() _mm512_setzero_ps()
#define vf_spread(x) _mm512_set1_ps(x)
#define vf_load(p) _mm512_loadu_ps(p)
#define vf_store(p, v) _mm512_storeu_ps(p, v)
#define vf_load_first(n, p) _mm512_maskz_loadu_ps((__mmask16) ((1u << (n)) - 1), p)
#define vf_store_first(n, p, v) _mm512_mask_storeu_ps(p, (__mmask16) ((1u << (n)) - 1), v)
#define vf_add(a, b) _mm512_add_ps(a, b)
#define vf_subtract(a, b) _mm512_sub_ps(a, b)
#define vf_multiply(a, b) _mm512_mul_ps(a, b)
#define vf_where_positive(x, v) _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GT_OQ), v)
#define vf_max(a, b) _mm512_max_ps(a, b)
#define vf_fma(a, b, c) _mm512_fmadd_ps(a, b, c)
#define vf_madd(a, b, c) _mm512_fmadd_ps(a, b, c)

#elif defined(KERNELS_AVX2)

#define VF_WIDTH 8
#define VF_FUSED 1
#define TILE_ROWS 6
#define SMALL 384
typedef __m256 Vf;
#define vf_zero() _mm256_setzero_ps()
#define vf_spread(x) _mm256_set1_ps(x)
#define vf_load(p) _mm256_loadu_ps(p)
#define vf_store(p, v) _mm256_storeu_ps(p, v)
#define vf_add(a, b) _mm256_add_ps(a, b)
#define vf_subtract(a, b) _mm256_sub_ps(a, b)
#define vf_multiply(a, b) _mm256_mul_ps(a, b)
#define vf_where_positive(x, v) _mm256_and_ps(_mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_GT_OQ), v)
#define vf_max(a, b) _mm256_max_ps(a, b)
#define vf_fma(a, b, c) _mm256_fmadd_ps(a, b, c)
#define vf_madd(a, b, c) _mm256_fmadd_ps(a, b, c)

#else

#define VF_WIDTH 4
#define VF_FUSED 0
#define TILE_ROWS 4
#define SMALL 0
typedef float Vf __attribute__((__vector_size__(16)));

static inline Vf
vf_spread(float x)
{
	return (Vf) {x, x, x, x};
}

static inline Vf
vf_load(const float *p)
{
	Vf			v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline void
vf_store(float *p, Vf v)
{
	__builtin_memcpy(p, &v, sizeof(v));
}

static inline Vf
vf_fma(Vf a, Vf b, Vf c)
{
	Vf			r;

	for (int lane = 0; lane < VF_WIDTH; lane++)
		r[lane] = __builtin_fmaf(a[lane], b[lane], c[lane]);
	return r;
}

/* v where x is above zero, else 0 */
static inline Vf
vf_where_positive(Vf x, Vf v)
{
	for (int lane = 0; lane < VF_WIDTH; lane++)
		v[lane] = x[lane] > 0.0f ? v[lane] : 0.0f;
	return v;
}

/* b where the two are not ordered, as the instructions of x86 have it. */
static inline Vf
vf_max(Vf a, Vf b)
{
	Vf			r;

	for (int lane = 0; lane < VF_WIDTH; lane++)
		r[lane] = a[lane] > b[lane] ? a[lane] : b[lane];
	return r;
}

#define vf_zero() vf_spread(0.0f)
#define vf_add(a, b) ((a) + (b))
#define vf_subtract(a, b) ((a) - (b))
#define vf_multiply(a, b) ((a) * (b))
#define vf_madd(a, b, c) ((a) * (b) + (c))

#endif

#define LANES KERNEL_LANES

#ifndef vf_load_first
/* n floats, fewer than VF_WIDTH, zeros behind them */
static inline Vf
vf_load_first(size_t n, const float *p)
{
	float		whole[VF_WIDTH] = {0};

	for (size_t i = 0; i < n; i++)
		whole[i] = p[i];
	return vf_load(whole);
}

static inline void
vf_store_first(size_t n, float *p, Vf v)
{
	float		whole[VF_WIDTH];

	vf_store(whole, v);
	for (size_t i = 0; i < n; i++)
		p[i] = whole[i];
}
#endif

/* Of up to VF_WIDTH floats; where n is a constant there is nothing to decide. */
static ALWAYS_INLINE Vf
load_part(const float *p, size_t n)
{
	return n >= VF_WIDTH ? vf_load(p) : vf_load_first(n, p);
}

static ALWAYS_INLINE void
store_part(float *p, size_t n, bool accumulate, Vf v)
{
	if (accumulate)
		v = vf_add(load_part(p, n), v);
	if (n >= VF_WIDTH)
		vf_store(p, v);
	else
		vf_store_first(n, p, v);
}
#define LANE_VECTORS (LANES / VF_WIDTH)

static inline void
zero_run(size_t n, float *dst)
{
	size_t		i = 0;

	for (; i + VF_WIDTH <= n; i += VF_WIDTH)
		vf_store(dst + i, vf_zero());
	if (i < n)
		vf_store_first(n - i, dst + i, vf_zero());
}

/* Sum of LANES lanes in a fixed tree. */
static inline float
sum_lanes(const Vf *sums)
{
	float		lane[LANES];

	for (size_t v = 0; v < LANE_VECTORS; v++)
		vf_store(lane + v * VF_WIDTH, sums[v]);
	for (size_t width = LANES / 2; width > 0; width /= 2)
		for (size_t i = 0; i < width; i++)
			lane[i] += lane[i + width];
	return lane[0];
}

/* Sum of n values or products: short ones from left to right, long ones in LANES lanes. */
static ALWAYS_INLINE float
sum_row(size_t n, const float *a, const float *b)
{
	Vf			sums[LANE_VECTORS];
	float		rest_a[LANES];
	float		rest_b[LANES];
	size_t		i = 0;

	if (n < LANES)
	{
		float		sum = 0.0f;

		for (; i < n; i++)
			sum += b == NULL ? a[i] : a[i] * b[i];
		return sum;
	}
	for (size_t v = 0; v < LANE_VECTORS; v++)
		sums[v] = vf_zero();
	for (; i + LANES <= n; i += LANES)
	{
#pragma GCC unroll 4
		for (size_t v = 0; v < LANE_VECTORS; v++)
		{
			Vf			values = vf_load(a + i + v * VF_WIDTH);

			if (b != NULL)
				values = vf_multiply(values, vf_load(b + i + v * VF_WIDTH));
			sums[v] = vf_add(sums[v], values);
		}
	}
	if (i < n)
	{
		for (size_t j = 0; j < LANES; j++)
		{
			rest_a[j] = i + j < n ? a[i + j] : 0.0f;
			rest_b[j] = b == NULL ? 1.0f : i + j < n ? b[i + j] : 0.0f;
		}
		for (size_t v = 0; v < LANE_VECTORS; v++)
			sums[v] = vf_add(sums[v], vf_multiply(vf_load(rest_a + v * VF_WIDTH), vf_load(rest_b + v * VF_WIDTH)));
	}
	return sum_lanes(sums);
}

/* The largest of n values, LANES at least. */
static float
largest(size_t n, const float *x)
{
	Vf			most[LANE_VECTORS];
	float		lane[LANES];
	size_t		i = LANES;

	for (size_t v = 0; v < LANE_VECTORS; v++)
		most[v] = vf_load(x + v * VF_WIDTH);
	for (; i + LANES <= n; i += LANES)
	{
#pragma GCC unroll 4
		for (size_t v = 0; v < LANE_VECTORS; v++)
			most[v] = vf_max(most[v], vf_load(x + i + v * VF_WIDTH));
	}
	for (size_t v = 0; v < LANE_VECTORS; v++)
		vf_store(lane + v * VF_WIDTH, most[v]);
	for (; i < n; i++)
		lane[0] = lane[0] > x[i] ? lane[0] : x[i];
	for (size_t width = LANES / 2; width > 0; width /= 2)
		for (size_t j = 0; j < width; j++)
			lane[j] = lane[j] > lane[j + width] ? lane[j] : lane[j + width];
	return lane[0];
}

static float
sum_values(size_t n, const float *a)
{
	return sum_row(n, a, NULL);
}

static float
sum_products(size_t n, const float *a, const float *b)
{
	return sum_row(n, a, b);
}

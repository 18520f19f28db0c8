/*
 * kernel_vector.h: the vector of floats that the kernels are written over.
 *
 * VF_WIDTH floats; vf_fma is always fused, vf_madd is fused where that is one
 * instruction. Included once by each kernels_*.c under its own target.
 */
#if defined(__AVX512F__)

#define VF_WIDTH 16
#define TILE_ROWS 12
typedef __m512 Vf;
#define vf_zero() _mm512_setzero_ps()
#define vf_spread(x) _mm512_set1_ps(x)
#define vf_load(p) _mm512_loadu_ps(p)
#define vf_store(p, v) _mm512_storeu_ps(p, v)
#define vf_add(a, b) _mm512_add_ps(a, b)
#define vf_multiply(a, b) _mm512_mul_ps(a, b)
#define vf_fma(a, b, c) _mm512_fmadd_ps(a, b, c)
#define vf_madd(a, b, c) _mm512_fmadd_ps(a, b, c)

#elif defined(__AVX2__)

#define VF_WIDTH 8
#define TILE_ROWS 6
typedef __m256 Vf;
#define vf_zero() _mm256_setzero_ps()
#define vf_spread(x) _mm256_set1_ps(x)
#define vf_load(p) _mm256_loadu_ps(p)
#define vf_store(p, v) _mm256_storeu_ps(p, v)
#define vf_add(a, b) _mm256_add_ps(a, b)
#define vf_multiply(a, b) _mm256_mul_ps(a, b)
#define vf_fma(a, b, c) _mm256_fmadd_ps(a, b, c)
#define vf_madd(a, b, c) _mm256_fmadd_ps(a, b, c)

#else

#define VF_WIDTH 4
#define TILE_ROWS 4
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

#define vf_zero() vf_spread(0.0f)
#define vf_add(a, b) ((a) + (b))
#define vf_multiply(a, b) ((a) * (b))
#define vf_madd(a, b, c) ((a) * (b) + (c))

#endif

/* Sums are kept in this many lanes whatever the vector's width, so that their order is the same everywhere. */
#define LANES 16
#define LANE_VECTORS (LANES / VF_WIDTH)

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

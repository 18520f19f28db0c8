/*
 * kernel_random.h: masks of dropout, from the words of Philox 4x32-10 (see random.c).
 *
 * Sixteen blocks are made at once, each in a 64-bit lane, where the product of two 32-bit words is
 * one instruction that ignores what lies above the words: nothing is ever masked between rounds.
 * A block decides eight elements, sixteen bits each. Element e of a group of MASK_BLOCKS blocks
 * takes half e / 64 of word e / 16 % 4 of block e % 16, so that neighbours come from neighbouring lanes.
 */
#define MASK_BLOCKS 16
#define MASK_GROUP (8 * MASK_BLOCKS)
#define MASK_ROUNDS 10

#if defined(KERNELS_AVX512)

#define VW_WIDTH 8
typedef __m512i Vw;
#define vw_spread(x) _mm512_set1_epi64((long long) (x))
#define vw_load(p) _mm512_loadu_si512(p)
#define vw_product(a, b) _mm512_mul_epu32(a, b)
#define vw_high(a) _mm512_srli_epi64(a, 32)
#define vw_xor(a, b) _mm512_xor_si512(a, b)
#define vw_store_pair(p, even, odd) \
	_mm512_storeu_si512(p, _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32)))

#elif defined(KERNELS_AVX2)

#define VW_WIDTH 4
typedef __m256i Vw;
#define vw_spread(x) _mm256_set1_epi64x((long long) (x))
#define vw_load(p) _mm256_loadu_si256((const __m256i *) (const void *) (p))
#define vw_product(a, b) _mm256_mul_epu32(a, b)
#define vw_high(a) _mm256_srli_epi64(a, 32)
#define vw_xor(a, b) _mm256_xor_si256(a, b)
#define vw_store_pair(p, even, odd) \
	_mm256_storeu_si256((__m256i *) (void *) (p), _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA))

#else

#define VW_WIDTH 1
typedef uint64_t Vw;
#define vw_spread(x) ((uint64_t) (x))
#define vw_load(p) (*(p))
#define vw_product(a, b) ((uint64_t) (uint32_t) (a) * (uint32_t) (b))
#define vw_high(a) ((a) >> 32)
#define vw_xor(a, b) ((a) ^ (b))
#define vw_store_pair(p, even, odd) ((p)[0] = (uint32_t) (even), (p)[1] = (uint32_t) (odd))

#endif

#define MASK_VECTORS (MASK_BLOCKS / VW_WIDTH)

/* What all blocks of a mask share. */
typedef struct MaskKeys
{
	Vw			key0[MASK_ROUNDS];
	Vw			key1[MASK_ROUNDS];
	Vw			stream_low;
	Vw			stream_high;
} MaskKeys;

static void
spread_keys(uint64_t seed, uint64_t stream, MaskKeys *keys)
{
	uint32_t	key0 = (uint32_t) seed;
	uint32_t	key1 = (uint32_t) (seed >> 32);

	for (int round = 0; round < MASK_ROUNDS; round++)
	{
		keys->key0[round] = vw_spread(key0);
		keys->key1[round] = vw_spread(key1);
		key0 += 0x9E3779B9u;
		key1 += 0xBB67AE85u;
	}
	keys->stream_low = vw_spread((uint32_t) stream);
	keys->stream_high = vw_spread(stream >> 32);
}

/* Words of MASK_BLOCKS blocks from number `block` on. Vectors come in pairs: one of even blocks, one of odd. */
static void
random_words(const MaskKeys *keys, uint64_t block, uint32_t words[4 * MASK_BLOCKS])
{
	const Vw	multiplier0 = vw_spread(0xD2511F53u);
	const Vw	multiplier1 = vw_spread(0xCD9E8D57u);
	uint64_t	counters[MASK_BLOCKS];
	Vw			x0[MASK_VECTORS];
	Vw			x1[MASK_VECTORS];
	Vw			x2[MASK_VECTORS];
	Vw			x3[MASK_VECTORS];

	for (size_t v = 0; v < MASK_VECTORS; v++)
		for (size_t lane = 0; lane < VW_WIDTH; lane++)
			counters[v * VW_WIDTH + lane] = block + (v / 2 * VW_WIDTH + lane) * 2 + v % 2;
#pragma GCC unroll 16
	for (size_t v = 0; v < MASK_VECTORS; v++)
	{
		x0[v] = vw_load(counters + v * VW_WIDTH);
		x1[v] = vw_high(x0[v]);
		x2[v] = keys->stream_low;
		x3[v] = keys->stream_high;
	}
	for (int round = 0; round < MASK_ROUNDS; round++)
	{
#pragma GCC unroll 16
		for (size_t v = 0; v < MASK_VECTORS; v++)
		{
			Vw			product0 = vw_product(x0[v], multiplier0);
			Vw			product1 = vw_product(x2[v], multiplier1);

			x0[v] = vw_xor(vw_xor(vw_high(product1), x1[v]), keys->key0[round]);
			x1[v] = product1;
			x2[v] = vw_xor(vw_xor(vw_high(product0), x3[v]), keys->key1[round]);
			x3[v] = product0;
		}
	}
#pragma GCC unroll 16
	for (size_t v = 0; v < MASK_VECTORS; v += 2)
	{
		vw_store_pair(words + v * VW_WIDTH, x0[v], x0[v + 1]);
		vw_store_pair(words + MASK_BLOCKS + v * VW_WIDTH, x1[v], x1[v + 1]);
		vw_store_pair(words + 2 * MASK_BLOCKS + v * VW_WIDTH, x2[v], x2[v + 1]);
		vw_store_pair(words + 3 * MASK_BLOCKS + v * VW_WIDTH, x3[v], x3[v + 1]);
	}
}

/* The rate is taken to the nearest 65,536th, and what is kept grows by that rate exactly. */
static void
random_mask(size_t n, float rate, uint64_t seed, uint64_t stream, uint64_t first, float *dst)
{
	const uint32_t threshold = rate >= 1.0f ? 0x10000u : rate > 0.0f ? (uint32_t) (rate * 0x1p16f + 0.5f) : 0;
	const float kept = threshold < 0x10000u ? 0x1p16f / (float) (0x10000u - threshold) : 0.0f;
	uint64_t	group = first / MASK_GROUP;
	size_t		skip = (size_t) (first % MASK_GROUP);
	MaskKeys	keys;

	spread_keys(seed, stream, &keys);
	for (size_t done = 0; done < n; group++)
	{
		uint32_t	words[4 * MASK_BLOCKS];
		float		values[MASK_GROUP];
		size_t		count = MASK_GROUP - skip < n - done ? MASK_GROUP - skip : n - done;

		random_words(&keys, group * MASK_BLOCKS, words);
		for (size_t i = 0; i < 4 * MASK_BLOCKS; i++)
		{
			values[i] = (words[i] & 0xFFFFu) >= threshold ? kept : 0.0f;
			values[4 * MASK_BLOCKS + i] = words[i] >> 16 >= threshold ? kept : 0.0f;
		}
		memcpy(dst + done, values + skip, count * sizeof(float));
		done += count;
		skip = 0;
	}
}

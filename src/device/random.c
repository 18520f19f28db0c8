/*
 * random.c: the counter-based generator Philox 4x32-10.
 *
 * Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011.
 * The seed is the key; the counter block holds the stream above the counter, so
 * that every (seed, stream, counter) names 128 bits of its own.
 */
#include "idla/session.h"

#include <math.h>

#define PHILOX_MULTIPLIER0 0xD2511F53u
#define PHILOX_MULTIPLIER1 0xCD9E8D57u
#define PHILOX_WEYL0 0x9E3779B9u
#define PHILOX_WEYL1 0xBB67AE85u
#define PHILOX_ROUNDS 10

void
dev_random_bits(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t bits[4])
{
	uint32_t	key0 = (uint32_t) seed;
	uint32_t	key1 = (uint32_t) (seed >> 32);
	uint32_t	x0 = (uint32_t) counter;
	uint32_t	x1 = (uint32_t) (counter >> 32);
	uint32_t	x2 = (uint32_t) stream;
	uint32_t	x3 = (uint32_t) (stream >> 32);

	for (int round = 0; round < PHILOX_ROUNDS; round++)
	{
		uint64_t	product0 = (uint64_t) PHILOX_MULTIPLIER0 * x0;
		uint64_t	product1 = (uint64_t) PHILOX_MULTIPLIER1 * x2;

		x0 = (uint32_t) (product1 >> 32) ^ x1 ^ key0;
		x1 = (uint32_t) product1;
		x2 = (uint32_t) (product0 >> 32) ^ x3 ^ key1;
		x3 = (uint32_t) product0;
		key0 += PHILOX_WEYL0;
		key1 += PHILOX_WEYL1;
	}
	bits[0] = x0;
	bits[1] = x1;
	bits[2] = x2;
	bits[3] = x3;
}

/* 52 random bits and a half: never 0, never 1. */
static double
to_unit(uint32_t low, uint32_t high)
{
	uint64_t	word = ((uint64_t) high << 32 | low) >> 12;

	return ((double) word + 0.5) * 0x1p-52;
}

double
dev_random_uniform(uint64_t seed, uint64_t stream, uint64_t counter)
{
	uint32_t	bits[4];

	dev_random_bits(seed, stream, counter, bits);
	return to_unit(bits[0], bits[1]);
}

/* Box and Muller's transform of the block's two uniform numbers. */
double
dev_random_normal(uint64_t seed, uint64_t stream, uint64_t counter)
{
	uint32_t	bits[4];

	dev_random_bits(seed, stream, counter, bits);
	return sqrt(-2.0 * log(to_unit(bits[0], bits[1]))) * cos(6.283185307179586 * to_unit(bits[2], bits[3]));
}

/*
 * Rejects the words that would favour small results. Retries draw from the same stream with the top bits of
 * the counter set, where no caller's counter reaches.
 */
uint64_t
dev_random_below(uint64_t seed, uint64_t stream, uint64_t counter, uint64_t bound)
{
	uint64_t	threshold;

	if (bound < 2)
		return 0;
	threshold = (0 - bound) % bound;	/* 2^64 mod bound */
	for (uint64_t retry = 0;; retry++)
	{
		uint32_t	bits[4];
		uint64_t	first;
		uint64_t	second;

		dev_random_bits(seed, stream, counter ^ retry << 56, bits);
		first = (uint64_t) bits[1] << 32 | bits[0];
		second = (uint64_t) bits[3] << 32 | bits[2];
		if (first >= threshold)
			return first % bound;
		if (second >= threshold)
			return second % bound;
		if (retry == 255)
			return second % bound;	/* has a probability below 2^-512 */
	}
}

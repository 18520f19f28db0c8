/*
 * quantile.c: exact quantiles of many floats, without comparing them.
 *
 * A float's bits, turned so that unsigned order is numeric order, are sorted by three
 * passes of 11 bits. For a few quantiles of many values most of the sorting is spared:
 * the upper 16 bits are counted, and only the values that share them with a
 * wanted order statistic are gathered and sorted.
 */
#include "dataset.h"

#include <string.h>

#define DIGIT_BITS 11
#define DIGIT_VALUES (1 << DIGIT_BITS)
#define DIGITS 3
#define MOST_RANKS 16			/* order statistics for which selecting beats sorting */
#define FEWEST_TO_SELECT 32768

static inline uint32_t
to_key(float value)
{
	uint32_t	bits;

	memcpy(&bits, &value, sizeof(bits));
	return (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
}

static inline float
from_key(uint32_t key)
{
	uint32_t	bits = (key >> 31) != 0 ? key & 0x7fffffffu : ~key;
	float		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* The bits of `n` floats as keys and back, in the memory that they have. */
static void
turn_to_keys(float *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		uint32_t	key = to_key(values[i]);

		memcpy(&values[i], &key, sizeof(key));
	}
}

static inline uint32_t
load_key(const float *keys, size_t i)
{
	uint32_t	key;

	memcpy(&key, &keys[i], sizeof(key));
	return key;
}

static void
count_digits(const float *keys, size_t n, uint32_t counts[DIGITS][DIGIT_VALUES])
{
	memset(counts, 0, sizeof(uint32_t) * DIGITS * DIGIT_VALUES);
	for (size_t i = 0; i < n; i++)
	{
		uint32_t	key = load_key(keys, i);

		counts[0][key & (DIGIT_VALUES - 1)]++;
		counts[1][(key >> DIGIT_BITS) & (DIGIT_VALUES - 1)]++;
		counts[2][key >> (2 * DIGIT_BITS)]++;
	}
}

static void
scatter_digit(const float *src, float *dst, size_t n, int shift, uint32_t *counts)
{
	uint32_t	place = 0;

	for (size_t value = 0; value < DIGIT_VALUES; value++)
	{
		uint32_t	count = counts[value];

		counts[value] = place;
		place += count;
	}
	for (size_t i = 0; i < n; i++)
	{
		uint32_t	key = load_key(src, i);

		memcpy(&dst[counts[(key >> shift) & (DIGIT_VALUES - 1)]++], &key, sizeof(key));
	}
}

static void
insertion_sort(float *values, size_t n)
{
	for (size_t i = 1; i < n; i++)
	{
		float		value = values[i];
		size_t		at = i;

		for (; at > 0 && values[at - 1] > value; at--)
			values[at] = values[at - 1];
		values[at] = value;
	}
}

DevStatus
learn_sort_floats(DevSession *session, float *values, float *scratch, size_t n)
{
	uint32_t	counts[DIGITS][DIGIT_VALUES];
	float	   *src = values;
	float	   *dst = scratch;

	if (n <= 48)
	{
		insertion_sort(values, n);
		return DEV_OK;
	}
	if (n > UINT32_MAX)
		return dev_fail(session, DEV_INVALID, "cannot sort %zu values", n);
	turn_to_keys(values, n);
	count_digits(values, n, counts);
	for (int digit = 0; digit < DIGITS; digit++)
	{
		float	   *swap = src;
		int			shift = digit * DIGIT_BITS;

		if (dev_poll(session) != DEV_OK)
			return DEV_CANCELLED;
		/* A digit that all share needs no pass. */
		if (counts[digit][(load_key(src, 0) >> shift) & (DIGIT_VALUES - 1)] == n)
			continue;
		scatter_digit(src, dst, n, shift, counts[digit]);
		src = dst;
		dst = swap;
	}
	for (size_t i = 0; i < n; i++)
		values[i] = from_key(load_key(src, i));
	return DEV_OK;
}

/* Where a probability lies between two order statistics. */
typedef struct Place
{
	size_t		rank;
	double		fraction;
} Place;

static Place
find_place(size_t n, double probability)
{
	double		at = probability * (double) (n - 1);
	Place		place;

	place.rank = at > 0 ? (size_t) at : 0;
	if (place.rank > n - 1)
		place.rank = n - 1;
	place.fraction = at - (double) place.rank;
	return place;
}

static double
interpolate(double low, double high, double fraction)
{
	return fraction > 0 ? low + (high - low) * fraction : low;
}

static void
read_sorted(const float *sorted, size_t n, const double *probabilities, size_t n_probabilities, double *quantiles)
{
	for (size_t i = 0; i < n_probabilities; i++)
	{
		Place		place = find_place(n, probabilities[i]);
		size_t		next = place.rank + 1 < n ? place.rank + 1 : n - 1;

		quantiles[i] = interpolate(sorted[place.rank], sorted[next], place.fraction);
	}
}

/* A bin of values with the same upper 16 bits that holds wanted order statistics. */
typedef struct WantedBin
{
	uint32_t	bin;
	size_t		before;			/* values in lower bins */
	size_t		size;
} WantedBin;

/* Ascending ranks -> the bins they fall into. Returns the number of bins. */
static size_t
find_bins(const uint32_t *counts, const size_t *ranks, size_t n_ranks, WantedBin *bins)
{
	size_t		before = 0;
	size_t		n_bins = 0;
	size_t		wanted = 0;

	for (uint32_t bin = 0; bin < LEARN_QUANTILE_COUNTS && wanted < n_ranks; bin++)
	{
		if (ranks[wanted] < before + counts[bin])
		{
			bins[n_bins++] = (WantedBin) {bin, before, counts[bin]};
			while (wanted < n_ranks && ranks[wanted] < before + counts[bin])
				wanted++;
		}
		before += counts[bin];
	}
	return n_bins;
}

/* The values of the wanted bins, bin after bin, into dst; marks (65536) tells bin + 1 of a bin's number. */
static void
gather_bins(const float *values, size_t n, const WantedBin *bins, size_t n_bins, uint32_t *marks, float *dst)
{
	float	   *ends[MOST_RANKS + 1];

	memset(marks, 0, LEARN_QUANTILE_COUNTS * sizeof(uint32_t));
	for (size_t i = 0; i < n_bins; i++)
	{
		marks[bins[i].bin] = (uint32_t) i + 1;
		ends[i + 1] = dst;
		dst += bins[i].size;
	}
	for (size_t i = 0; i < n; i++)
	{
		uint32_t	mark = marks[to_key(values[i]) >> 16];

		if (mark != 0)
			*ends[mark]++ = values[i];
	}
}

static DevStatus
select_quantiles(DevSession *session, float *values, float *scratch, size_t n, uint32_t *counts,
				 const double *probabilities, size_t n_probabilities, double *quantiles)
{
	size_t		ranks[MOST_RANKS];
	float		found[MOST_RANKS];
	WantedBin	bins[MOST_RANKS];
	size_t		n_ranks = 0;
	size_t		n_bins;
	size_t		next = 0;
	float	   *bin_values = scratch;

	for (size_t i = 0; i < n_probabilities; i++)
	{
		size_t		rank = find_place(n, probabilities[i]).rank;

		ranks[n_ranks++] = rank;
		ranks[n_ranks++] = rank + 1 < n ? rank + 1 : rank;
	}
	/* Neighbouring probabilities may share an order statistic: 3 4 4 5 stays ascending, 3 4 3 4 must become so. */
	for (size_t i = 1; i < n_ranks; i++)
		for (size_t at = i; at > 0 && ranks[at - 1] > ranks[at]; at--)
		{
			size_t		swap = ranks[at];

			ranks[at] = ranks[at - 1];
			ranks[at - 1] = swap;
		}

	memset(counts, 0, LEARN_QUANTILE_COUNTS * sizeof(uint32_t));
	for (size_t i = 0; i < n; i++)
		counts[to_key(values[i]) >> 16]++;
	n_bins = find_bins(counts, ranks, n_ranks, bins);
	gather_bins(values, n, bins, n_bins, counts, scratch);
	for (size_t i = 0; i < n_bins; i++)
	{
		/* The values have been gathered, so their own memory serves the sort. */
		DevStatus	status = learn_sort_floats(session, bin_values, values, bins[i].size);

		if (status != DEV_OK)
			return status;
		for (; next < n_ranks && ranks[next] < bins[i].before + bins[i].size; next++)
			found[next] = bin_values[ranks[next] - bins[i].before];
		bin_values += bins[i].size;
	}
	for (size_t i = 0; i < n_probabilities; i++)
	{
		Place		place = find_place(n, probabilities[i]);
		size_t		low = 0;
		size_t		high;

		while (ranks[low] != place.rank)
			low++;
		for (high = low; ranks[high] == place.rank && high + 1 < n_ranks;)
			high++;
		quantiles[i] = interpolate(found[low], found[high], place.fraction);
	}
	return DEV_OK;
}

DevStatus
learn_quantiles(DevSession *session, float *values, float *scratch, size_t n, uint32_t *counts,
				const double *probabilities, size_t n_probabilities, double *quantiles)
{
	if (n >= FEWEST_TO_SELECT && n <= UINT32_MAX && n_probabilities * 2 <= MOST_RANKS)
		return select_quantiles(session, values, scratch, n, counts, probabilities, n_probabilities, quantiles);
	if (learn_sort_floats(session, values, scratch, n) != DEV_OK)
		return dev_status(session);
	read_sorted(values, n, probabilities, n_probabilities, quantiles);
	return DEV_OK;
}

/*
 * tridiagonal.c: Householder's reduction of a symmetric matrix, in float64.
 *
 * Rows go from the last to the first, so that a reflection's vector lies in the row that it clears. The update of
 * the rest by one reflection and its product with the next one's vector are done in one pass over memory, and
 * likewise when Q is put together: for large matrices memory is what takes the time.
 */
#include "tridiagonal.h"

#include <math.h>
#include <string.h>

/* Pairs of doubles: one instruction on every processor of the family. */
typedef double Pair __attribute__((__vector_size__(16)));

static inline Pair
load_pair(const double *p)
{
	Pair		pair;

	memcpy(&pair, p, sizeof(pair));
	return pair;
}

static inline void
store_pair(double *p, Pair pair)
{
	memcpy(p, &pair, sizeof(pair));
}

double
learn_dot(size_t n, const double *a, const double *b)
{
	Pair		even = {0, 0};
	Pair		odd = {0, 0};
	double		sum;
	size_t		i = 0;

	for (; i + 4 <= n; i += 4)
	{
		even += load_pair(a + i) * load_pair(b + i);
		odd += load_pair(a + i + 2) * load_pair(b + i + 2);
	}
	even += odd;
	sum = even[0] + even[1];
	for (; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

/* ---- Reduction ---- */

/* A reflection I - scale v v', the matrix's update by it being - v w' - w v'. */
typedef struct Reflection
{
	const double *v;
	double	   *w;
	double		scale;			/* 0: none is needed */
} Reflection;

/*
 * Row of the lower triangle up to column r: updated by `old`, then multiplied with the next vector: its dot product is
 * returned, and its transpose's share added to product (r).
 */
static double
update_row(double *restrict row, size_t r, const Reflection *old, const double *restrict next, double *restrict product)
{
	const double *restrict v = old->v;
	const double *restrict w = old->w;
	const double v_r = v[r];
	const double w_r = w[r];
	const double next_r = next[r];
	const Pair	vv = {v_r, v_r};
	const Pair	ww = {w_r, w_r};
	const Pair	nn = {next_r, next_r};
	Pair		sum0 = {0, 0};
	Pair		sum1 = {0, 0};
	double		sum;
	size_t		j = 0;

	for (; j + 4 <= r; j += 4)
	{
		Pair		x0 = load_pair(row + j) - vv * load_pair(w + j) - ww * load_pair(v + j);
		Pair		x1 = load_pair(row + j + 2) - vv * load_pair(w + j + 2) - ww * load_pair(v + j + 2);

		store_pair(row + j, x0);
		store_pair(row + j + 2, x1);
		sum0 += x0 * load_pair(next + j);
		sum1 += x1 * load_pair(next + j + 2);
		store_pair(product + j, load_pair(product + j) + x0 * nn);
		store_pair(product + j + 2, load_pair(product + j + 2) + x1 * nn);
	}
	sum0 += sum1;
	sum = sum0[0] + sum0[1];
	for (; j < r; j++)
	{
		row[j] -= v_r * w[j] + w_r * v[j];
		sum += row[j] * next[j];
		product[j] += row[j] * next_r;
	}
	row[r] -= 2 * v_r * w_r;
	return sum + row[r] * next_r;
}

/* The vector that clears row (n) but for its last element, in place. Returns its scale; *left is what is left. */
static double
make_reflection(double *row, size_t n, double *left)
{
	double		rest = learn_dot(n - 1, row, row);
	double		last = row[n - 1];
	double		norm;

	*left = last;
	if (!(rest > 0))
		return 0;
	norm = sqrt(rest + last * last);
	*left = last > 0 ? -norm : norm;
	row[n - 1] = last - *left;
	return 2 / (rest + row[n - 1] * row[n - 1]);
}

static DevStatus
reduce(DevSession *session, size_t n, double *a, double *diagonal, double *below, double *scales, double *buffers[2])
{
	/* Starts with an update that changes nothing. */
	Reflection	old = {buffers[0], buffers[0], 0};
	int			free_buffer = 1;

	for (size_t i = n - 1; i > 0; i--)
	{
		double	   *row = a + i * n;
		double	   *product = buffers[free_buffer];
		double		overlap;

		if (dev_poll(session) != DEV_OK)
			return DEV_CANCELLED;
		for (size_t j = 0; j <= i; j++)
			row[j] -= old.v[i] * old.w[j] + old.w[i] * old.v[j];
		diagonal[i] = row[i];
		scales[i] = make_reflection(row, i, &below[i]);
		/* A row that needs no reflection still has to let the old one update the rest. */
		if (scales[i] == 0)
			memset(row, 0, i * sizeof(double));
		memset(product, 0, i * sizeof(double));
		for (size_t r = 0; r < i; r++)
			product[r] += update_row(a + r * n, r, &old, row, product);
		overlap = scales[i] * learn_dot(i, product, row) * scales[i] / 2;
		for (size_t j = 0; j < i; j++)
			product[j] = scales[i] * product[j] - overlap * row[j];
		old = (Reflection) {row, product, scales[i]};
		free_buffer = 1 - free_buffer;
	}
	diagonal[0] = a[0] - 2 * old.v[0] * old.w[0];
	return DEV_OK;
}

/* ---- Q ---- */

/* row (n) -= factor * t; next_t (n) += weight * row */
static void
reflect_row(double *restrict row, size_t n, double factor, const double *restrict t, double weight, double *restrict next_t)
{
	for (size_t j = 0; j < n; j++)
	{
		row[j] -= factor * t[j];
		next_t[j] += weight * row[j];
	}
}

/*
 * Reflections of the rows from 2 on, each applied from the left to the product of those before it. That product is the identity from
 * the reflection's last place on, and its row is free once the next row's reflection has been read.
 */
static DevStatus
multiply_reflections(DevSession *session, size_t n, double *a, const double *scales, double *buffers[2])
{
	double	   *t = buffers[0];
	double	   *next_t = buffers[1];

	memset(t, 0, n * sizeof(double));
	a[0] = 1;
	if (n > 1)
		t[0] = a[n];			/* row 1's reflection, which is none: its scale is 0 */
	for (size_t i = 1; i < n; i++)
	{
		const double *v = a + i * n;
		const double *next = i + 1 < n ? v + n : NULL;
		double	   *swap = t;

		if (dev_poll(session) != DEV_OK)
			return DEV_CANCELLED;
		memset(next_t, 0, (i + 1) * sizeof(double));
		for (size_t r = 0; r < i; r++)
			reflect_row(a + r * n, i, scales[i] * v[r], t, next != NULL ? next[r] : 0, next_t);
		memset(a + i * n, 0, n * sizeof(double));
		a[i * n + i] = 1;
		for (size_t r = 0; r < i; r++)
			a[r * n + i] = 0;
		if (next != NULL)
			next_t[i] = next[i];
		t = next_t;
		next_t = swap;
	}
	return DEV_OK;
}

DevStatus
learn_tridiagonalize(DevSession *session, size_t n, double *a, double *diagonal, double *below, double *work)
{
	double	   *buffers[2] = {work + n, work + 2 * n};
	DevStatus	status;

	memset(work, 0, 3 * n * sizeof(double));
	below[0] = 0;
	status = reduce(session, n, a, diagonal, below, work, buffers);
	if (status == DEV_OK)
		status = multiply_reflections(session, n, a, work, buffers);
	return status;
}

/* ---- Systems ---- */

bool
learn_tridiagonal_factor(size_t n, const double *diagonal, const double *below, double shift, double *lower, double *pivot)
{
	for (size_t k = 0; k < n; k++)
	{
		lower[k] = k > 0 ? below[k] / pivot[k - 1] : 0;
		pivot[k] = diagonal[k] + shift - lower[k] * below[k];
		if (!(pivot[k] > 0))
			return false;
	}
	return true;
}

void
learn_tridiagonal_solve(size_t n, const double *lower, const double *pivot, double *x)
{
	for (size_t k = 1; k < n; k++)
		x[k] -= lower[k] * x[k - 1];
	for (size_t k = n; k-- > 0;)
		x[k] = x[k] / pivot[k] - (k + 1 < n ? lower[k + 1] * x[k + 1] : 0);
}

/* ---- Products ---- */

#define SIDE 4

/* SIDE x SIDE products of two stripes (depth, SIDE). */
static void
multiply_tile(size_t depth, const double *rows, const double *columns, double tile[SIDE][SIDE])
{
	Pair		sums[SIDE][SIDE / 2];

	memset(sums, 0, sizeof(sums));
	for (size_t k = 0; k < depth; k++)
	{
		Pair		left = load_pair(columns + k * SIDE);
		Pair		right = load_pair(columns + k * SIDE + 2);

#pragma GCC unroll 4
		for (size_t s = 0; s < SIDE; s++)
		{
			Pair		factor = {rows[k * SIDE + s], rows[k * SIDE + s]};

			sums[s][0] += factor * left;
			sums[s][1] += factor * right;
		}
	}
	memcpy(tile, sums, sizeof(sums));
}

void
learn_add_products(size_t n, size_t first, size_t last, size_t depth, const double *panel, double *c)
{
	for (size_t i = first; i < last; i += SIDE)
		for (size_t j = 0; j <= i; j += SIDE)
		{
			double		tile[SIDE][SIDE];

			multiply_tile(depth, panel + i * depth, panel + j * depth, tile);
			for (size_t s = 0; s < SIDE && i + s < last; s++)
				for (size_t t = 0; t < SIDE && j + t <= i + s; t++)
					c[(i + s) * n + j + t] += tile[s][t];
		}
}

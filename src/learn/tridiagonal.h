/*
 * tridiagonal.h: symmetric matrices made tridiagonal, and systems with them solved; private to src/learn.
 *
 * With A = Q T Q', a system with A + alpha for another alpha is linear in the size of A once Q is known: no
 * eigenvalues are needed to try many.
 */
#ifndef IDLA_LEARN_TRIDIAGONAL_H
#define IDLA_LEARN_TRIDIAGONAL_H

#include "idla/session.h"

/*
 * a (n, n), its lower triangle given, becomes Q; T has diagonal (n) and below (n), below[k] joining k - 1 and k
 * (below[0] is 0). work (3 n). Householder's method; asks for cancel after each row.
 */
extern DevStatus learn_tridiagonalize(DevSession *session, size_t n, double *a, double *diagonal, double *below, double *work);

/*
 * T + shift = L D L': lower (n) is L's subdiagonal, pivot (n) is D. False when that is not positive definite.
 */
extern bool learn_tridiagonal_factor(size_t n, const double *diagonal, const double *below, double shift,
									 double *lower, double *pivot);
/* x (n) := (L D L')^-1 x */
extern void learn_tridiagonal_solve(size_t n, const double *lower, const double *pivot, double *x);

/*
 * Rows first .. last of c (n, n), lower triangle, += panel' panel. panel (depth, n) lies in stripes of four columns, each
 * (depth, 4), see learn_panel_place; what lies beyond column n does not matter. first is a multiple of 4.
 */
extern void learn_add_products(size_t n, size_t first, size_t last, size_t depth, const double *panel, double *c);

static inline size_t
learn_panel_place(size_t depth, size_t row, size_t column)
{
	return (column / 4 * depth + row) * 4 + column % 4;
}

/* Sum of n products. */
extern double learn_dot(size_t n, const double *a, const double *b);

#endif							/* IDLA_LEARN_TRIDIAGONAL_H */

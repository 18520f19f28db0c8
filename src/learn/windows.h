/*
 * windows.h: long signals seen a window at a time; private to src/learn.
 *
 * A field whose stride is not 0 is stored whole, however long, and a network sees dims[0] samples of it. A window of a stored signal is a
 * stored signal too, borrowed from it, so that whatever loads one loads the other. Training sees one window of a row an
 * epoch, drawn anew; wherever a row is answered for, all its windows are looked at, on a grid, and their answers averaged.
 * Where a row has several such signals, windows go in step: the first ones are seen together, and the last ones.
 */
#ifndef IDLA_LEARN_WINDOWS_H
#define IDLA_LEARN_WINDOWS_H

#include "idla/learn_model.h"

extern bool learn_fields_windowed(const LearnField *fields, int n_fields);
/* Windows of a stored value of so many bytes: 1 when it is missing or short, or the field is seen at once. */
extern size_t learn_field_windows(const LearnField *field, size_t bytes);
/* The same, or `most` where that is more: a row is looked at as often as its field with most windows needs, and once at least. */
extern size_t learn_windows_most(size_t most, const LearnField *field, size_t bytes);
/* Number `window` of the row's n_windows. */
extern LearnBytes learn_field_window(const LearnField *field, LearnBytes stored, size_t window, size_t n_windows);

/* A window among those that are looked at together. */
typedef struct LearnSlot
{
	size_t		row;
	size_t		window;
	size_t		n_windows;		/* of the row */
} LearnSlot;

/*
 * How the outputs for a row's windows become the row's. Probabilities are averaged (of classes and of labels, with the offset that corrects for
 * class weights); values and log hazards, too. Rocket's model is linear in its features, and solved for by their means: so
 * its outputs are averaged, which is the output for the mean.
 */
typedef struct LearnWindowing
{
	bool		linear;			/* outputs are averaged */
	bool		classes;		/* outputs are logits of classes that exclude each other */
	size_t		n_outputs;
	const double *offset;		/* (n_outputs), or NULL */
} LearnWindowing;

extern LearnWindowing learn_windowing(LearnTask task, const LearnField *fields, int n_fields, size_t n_outputs, const double *offset);
/* row: outputs that stand for the first n_before windows, and then for one more. outputs (n_outputs) are used up. */
extern void learn_windows_add(const LearnWindowing *windowing, size_t n_before, double *outputs, double *row);
/*
 * Derivatives by the outputs of one of n_windows windows, from those by the row's outputs, diff_row. outputs: of the window; row: of the row.
 */
extern void learn_windows_gradient(const LearnWindowing *windowing, size_t n_windows, const double *outputs, const double *row,
								   const double *diff_row, double *diff);
/* Fails: an attack sees what the network sees at once. */
extern DevStatus learn_windows_no_attack(DevSession *session);
extern DevStatus learn_windows_no_noise(DevSession *session);	/* the same of a certificate */
/* values -= log(sum(exp(values))) */
extern void learn_normalize_log(size_t n, double *values);

#endif							/* IDLA_LEARN_WINDOWS_H */

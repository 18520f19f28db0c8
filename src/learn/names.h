/*
 * names.h: finding the word that a user probably meant; private to src/learn.
 */
#ifndef IDLA_LEARN_NAMES_H
#define IDLA_LEARN_NAMES_H

#include "idla/learn_model.h"

/*
 * The name nearest to the `size` bytes at `word` by edit distance, letter case ignored; NULL when none is nearer than
 * half the word. names ends with NULL.
 */
extern const char *learn_name_nearest(const char *const *names, const char *word, size_t size);
/* "a, b or c" into text, cut where it does not fit; returns text. */
extern char *learn_name_list(const char *const *names, char *text, size_t size);

#endif							/* IDLA_LEARN_NAMES_H */

/*
 * field.h: fields on their way from a row to the network; private to src/learn.
 *
 * A field's value has two forms of bytes. TAKEN is what the host hands over and the data set keeps while rows
 * arrive: pixels of the sample type, floats, UTF-8 text. STORED is what the network's input is
 * loaded from: the same for all but text, which becomes codes once the vocabulary is known.
 */
#ifndef IDLA_LEARN_FIELD_H
#define IDLA_LEARN_FIELD_H

#include "dataset.h"

/* Statistics of all fields from the training part's rows. */
extern DevStatus learn_fields_fit(LearnDataset *dataset);
/* Taken records become stored ones. */
extern DevStatus learn_fields_encode(LearnDataset *dataset);

#endif							/* IDLA_LEARN_FIELD_H */

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

/* ---- field_text.c, field_tags.c: the same of one field, and one taken value (not missing) as a stored one at the end of a store ---- */

extern DevStatus learn_text_fit(LearnDataset *dataset, int number);
extern DevStatus learn_text_store(LearnDataset *dataset, int number, LearnBytes value, LearnStore *store);
extern void learn_text_load(const LearnField *field, LearnBytes stored, int32_t *ids, int32_t *length);

extern DevStatus learn_tagged_fit(LearnDataset *dataset, int number);
extern DevStatus learn_tagged_store(LearnDataset *dataset, int number, LearnBytes value, LearnStore *store);
extern void learn_tagged_load(const LearnField *field, LearnBytes stored, void *const planes[LEARN_MAX_PLANES], int32_t *length);
/* Planes of a tagger, and numbers in the tables that they look up. */
extern int	learn_tagged_planes(const LearnField *field, LearnPlane planes[LEARN_MAX_PLANES]);
extern size_t learn_affix_rows(const LearnField *field);
/* Samples as the network would see them into dst (positions, depth); returns how many positions there are, 0 when missing. */
extern size_t learn_field_load_samples(const LearnField *field, LearnBytes stored, float *dst);

/* ---- field_rocket.c ---- */

/* Fits field `number` to the training rows (n), which are borrowed; about `wish` features. Statistics are of those rows too. */
extern DevStatus learn_field_fit_rocket(LearnDataset *dataset, int number, const uint32_t *rows, size_t n, size_t wish,
										uint64_t seed);
extern size_t learn_field_rocket_scratch(const LearnField *field);
/* Centred and scaled features, zeros when missing. */
extern void learn_field_load_rocket(const LearnField *field, LearnBytes stored, float *scratch, float *dst);
/* The same of samples as the convolutions see them, n_samples of them, with which scratch begins. */
extern void learn_rocket_features(const LearnField *field, size_t n_samples, float *scratch, float *dst);

#endif							/* IDLA_LEARN_FIELD_H */

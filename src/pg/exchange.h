/*
 * exchange.h: what the files of the family exchange share.
 */
#ifndef IDLA_EXCHANGE_H
#define IDLA_EXCHANGE_H

#include "manifest.h"

#include "idla/learn_safetensors.h"

/* ---- exchange.c ---- */

/* Begins {"by": "idla_copy", "role", "at"; more may be put, without an end. */
extern void idla_origin_begin(StringInfo origin, const char *deed);
/* The card with {"origin": {...}}, of which only the beginning is given; an origin that it has already becomes what was before. */
extern Jsonb *idla_origin_add(Jsonb *card, StringInfo origin);

/* ---- exchange_mapping.c ---- */

/*
 * Fills model->learn, ->columns and ->target from what a user says about an image that idla did not write. ERROR for what
 * the mapping leaves out, says of tensors that are not there, or that do not have the shape the network needs.
 */
extern void idla_mapping_read(IdlaModel *model, Jsonb *mapping, const LearnSafetensors *image);
/* The mapping for the manifest: it has values that stem from the rows. */
extern Jsonb *idla_mapping_record(Jsonb *mapping);
/* What may be known of such a model: task, target, architecture, classes, inputs. */
extern Jsonb *idla_mapping_card(const IdlaModel *model, const char *digest, int64 n_embedding);

#endif							/* IDLA_EXCHANGE_H */

/*
 * manifest.h: what the writing and the reading of a model share.
 */
#ifndef IDLA_MANIFEST_H
#define IDLA_MANIFEST_H

#include "json.h"

#include "idla/learn_tags.h"

/* Raised when the form of a manifest changes so that an older idla would misread it. Whatever an older one can read has the older number. */
#define IDLA_FORMAT 2
#define IDLA_FORMAT_FLOAT32 1

/* What a manifest may have at most, whatever it says. */
#define IDLA_MOST_COLUMNS 1664	/* MaxTupleAttributeNumber */
#define IDLA_MOST_INPUTS 131072	/* channels of all columns */

/* ---- train_report.c ---- */

/* {"image": {"rotate": 10}}: what is on, kind by kind. */
extern void idla_augment_put(StringInfo out, const LearnAugment *augment);

/* ---- manifest_read.c ---- */

/* The Oid of a type whose Oid is the same in every database, by the name that format_type_be gives it; InvalidOid for the others. */
extern Oid	idla_builtin_type(const char *name);
/* How many targets a text names: commas stand between them. */
extern int	idla_count_names(const char *text);
/* An array of low to high numbers, *n of them, in the model's memory. */
extern double *idla_json_keep_doubles(IdlaModel *model, JsonbContainer *object, const char *key, int low, int high, int *n);
/*
 * idla_manifest_read of an image that others may have written anew, in another order and with more metadata. Returns what
 * idla_weights_write makes of it; the digest must be that of those bytes.
 */
extern char *idla_manifest_read_image(IdlaModel *model, Jsonb *manifest, const char *image, Size image_size, Size *size);

/* ---- manifest_field.c ---- */

#define IDLA_LEXICON_FIRST 2	/* number of a lexicon's first entry */
extern const char *const idla_lexicon_keys[LEARN_TABLES];

/* The model's images and their like; columns are read already. */
extern void idla_fields_read(IdlaModel *model, JsonbContainer *root);

/* ---- manifest_series.c ---- */

/* How rows are gathered, when they are; columns are read already. */
extern void idla_series_manifest(IdlaModel *model, JsonbContainer *root);

/* ---- safetensors.c ---- */

/*
 * Reads every net's weights, baseline and bin edges; networks are complete but for the edges. Shapes, bounds and
 * finiteness are checked against the graphs that the networks describe.
 */
extern void idla_weights_read(IdlaModel *model, const char *bytes, Size size);
/* Rounds all weights in memory; written from now on is the rounded form. */
extern void idla_weights_round(IdlaModel *model, LearnPrecision precision);
/* Whether n weights of so many parameters may come from tensors that hold `held` values: to be asked before there is memory for them. */
extern bool idla_weights_held(size_t n, size_t held, size_t n_parameters);
/* Whether a network's numbers are put into bins, whose edges stand with the weights. */
extern bool idla_has_edges(const LearnNetwork *network);
/* SHA-256 over the text of a manifest without its own digest, in UTF-8 so that a restore into another encoding agrees. */
extern void idla_manifest_digest(Jsonb *manifest, char hex[65]);

#endif							/* IDLA_MANIFEST_H */

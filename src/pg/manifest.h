/*
 * manifest.h: what the writing and the reading of a model share.
 */
#ifndef IDLA_MANIFEST_H
#define IDLA_MANIFEST_H

#include "idla.h"

/* Raised when the form of a manifest changes so that an older idla would misread it. */
#define IDLA_FORMAT 1

/* ---- json.c: untrusted jsonb, read with bounds; every failure is ERROR (data_corrupted) naming the key ---- */

extern void idla_corrupt(const char *format,...) pg_attribute_printf(1, 2) pg_attribute_noreturn();
/* NULL when the key is absent or null; result palloc'd */
extern JsonbValue *idla_json_find(JsonbContainer *object, const char *key);
extern int64 idla_json_integer(JsonbContainer *object, const char *key, int64 low, int64 high);
extern double idla_json_double(JsonbContainer *object, const char *key);	/* finite */
extern bool idla_json_bool(JsonbContainer *object, const char *key);
extern char *idla_json_string(JsonbContainer *object, const char *key, bool required);	/* palloc'd */
extern JsonbValue *idla_json_array(JsonbContainer *object, const char *key, int low, int high, int *n);
extern double idla_json_double_of(const JsonbValue *value, const char *what);
extern int64 idla_json_integer_of(const JsonbValue *value, int64 low, int64 high, const char *what);
extern char *idla_json_string_of(const JsonbValue *value, const char *what);
extern JsonbContainer *idla_json_object_of(const JsonbValue *value, const char *what);

/* ---- safetensors.c ---- */

/*
 * Reads every net's weights, baseline and bin edges; networks are complete but for the edges. Shapes, bounds and
 * finiteness are checked against the graphs that the networks describe.
 */
extern void idla_weights_read(IdlaModel *model, const char *bytes, Size size);
/* SHA-256 over the text of a manifest without its own digest, in UTF-8 so that a restore into another encoding agrees. */
extern void idla_manifest_digest(Jsonb *manifest, char hex[65]);

#endif							/* IDLA_MANIFEST_H */

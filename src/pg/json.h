/*
 * json.h: jsonb read with suspicion, JSON text written piece by piece.
 */
#ifndef IDLA_JSON_H
#define IDLA_JSON_H

#include "idla.h"

#include "lib/stringinfo.h"

/* ---- json.c: untrusted jsonb, read with bounds; every failure is ERROR (data_corrupted) naming the key ---- */

extern void idla_corrupt(const char *format,...) pg_attribute_printf(1, 2) pg_attribute_noreturn();
/* The engine refused what is stored: it is damaged, as `what` begins to say, unless memory or the user's patience ran out. */
extern void idla_check_stored(IdlaWork *work, DevStatus status, const char *what);
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

/* ---- json_write.c: the comma before a key or element is put when one is needed ---- */

extern void idla_json_key(StringInfo out, const char *name);
extern void idla_json_put_string(StringInfo out, const char *name, const char *value);	/* NULL: left out */
extern void idla_json_put_now(StringInfo out, const char *name);	/* "2026-05-31T14:02:07Z" */
extern void idla_json_put_integer(StringInfo out, const char *name, int64 value);
extern void idla_json_put_bool(StringInfo out, const char *name, bool value);
extern void idla_json_put_double(StringInfo out, const char *name, double value);
extern void idla_json_put_float(StringInfo out, const char *name, float value);
extern void idla_json_put_doubles(StringInfo out, const char *name, const double *values, size_t n);
extern void idla_json_put_strings(StringInfo out, const char *name, char *const *values, int n);
extern void idla_json_number_double(StringInfo out, double value);	/* without a key; 0 for what is not finite */
extern void idla_json_number_float(StringInfo out, float value);
extern void idla_json_open_array(StringInfo out, const char *name);	/* "name":[ */
extern void idla_json_open_object(StringInfo out);	/* an element { of the array being written */
extern Jsonb *idla_json_parse(const char *text);

#endif							/* IDLA_JSON_H */

/*
 * json_write.c: JSON text, put together key by key.
 *
 * Cards and manifests are written as text and parsed once into jsonb. Numbers get
 * the shortest digits that bring the same bits back.
 */
#include "json.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/timestamp.h"

void
idla_json_key(StringInfo out, const char *name)
{
	char		last = out->len > 0 ? out->data[out->len - 1] : '{';

	if (last != '{' && last != '[')
		appendStringInfoChar(out, ',');
	appendStringInfo(out, "\"%s\":", name);
}

void
idla_json_put_string(StringInfo out, const char *name, const char *value)
{
	if (value == NULL)
		return;
	idla_json_key(out, name);
	escape_json(out, value);
}

void
idla_json_put_now(StringInfo out, const char *name)
{
	pg_time_t	now = timestamptz_to_time_t(GetCurrentTimestamp());
	char		text[64];

	pg_strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", pg_gmtime(&now));
	idla_json_put_string(out, name, text);
}

void
idla_json_put_integer(StringInfo out, const char *name, int64 value)
{
	idla_json_key(out, name);
	appendStringInfo(out, "%lld", (long long) value);
}

void
idla_json_put_bool(StringInfo out, const char *name, bool value)
{
	idla_json_key(out, name);
	appendStringInfoString(out, value ? "true" : "false");
}

/* What is not finite has no place in JSON, and is nothing that a used channel could have. */
void
idla_json_number_double(StringInfo out, double value)
{
	char		text[DOUBLE_SHORTEST_DECIMAL_LEN];

	double_to_shortest_decimal_buf(isfinite(value) ? value : 0, text);
	appendStringInfoString(out, text);
}

void
idla_json_number_float(StringInfo out, float value)
{
	char		text[FLOAT_SHORTEST_DECIMAL_LEN];

	float_to_shortest_decimal_buf(isfinite(value) ? value : 0, text);
	appendStringInfoString(out, text);
}

void
idla_json_put_double(StringInfo out, const char *name, double value)
{
	idla_json_key(out, name);
	idla_json_number_double(out, value);
}

void
idla_json_put_float(StringInfo out, const char *name, float value)
{
	idla_json_key(out, name);
	idla_json_number_float(out, value);
}

void
idla_json_put_doubles(StringInfo out, const char *name, const double *values, size_t n)
{
	idla_json_key(out, name);
	appendStringInfoChar(out, '[');
	for (size_t i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		idla_json_number_double(out, values[i]);
	}
	appendStringInfoChar(out, ']');
}

void
idla_json_put_strings(StringInfo out, const char *name, char *const *values, int n)
{
	idla_json_key(out, name);
	appendStringInfoChar(out, '[');
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		escape_json(out, values[i]);
	}
	appendStringInfoChar(out, ']');
}

void
idla_json_open_array(StringInfo out, const char *name)
{
	idla_json_key(out, name);
	appendStringInfoChar(out, '[');
}

void
idla_json_open_object(StringInfo out)
{
	if (out->data[out->len - 1] != '[')
		appendStringInfoChar(out, ',');
	appendStringInfoChar(out, '{');
}

Jsonb *
idla_json_parse(const char *text)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
}

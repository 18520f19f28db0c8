/*
 * json.c: reading jsonb that nobody vouches for.
 *
 * A model's rows can be written by whoever owns the table. Each helper takes one
 * value by key, checks that it is what it must be and within bounds, and says
 * which key is wrong.
 */
#include "json.h"

#include <math.h>

#include "utils/builtins.h"
#include "utils/numeric.h"

void
idla_corrupt(const char *format,...)
{
	char		reason[256];
	va_list		arguments;

	va_start(arguments, format);
	vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("the model's manifest or weights are damaged"),
			 errdetail("%s.", idla_whole_characters(reason))));
	pg_unreachable();
}

void
idla_check_stored(IdlaWork *work, DevStatus status, const char *what)
{
	if (status == DEV_NO_MEMORY || status == DEV_CANCELLED)
		idla_raise(work);
	if (status != DEV_OK)
		idla_corrupt("%s: %s", what, dev_message_text(work->session));
}

JsonbValue *
idla_json_find(JsonbContainer *object, const char *key)
{
	JsonbValue *value = getKeyJsonValueFromContainer(object, key, (int) strlen(key), NULL);

	return value == NULL || value->type == jbvNull ? NULL : value;
}

static JsonbValue *
require(JsonbContainer *object, const char *key)
{
	JsonbValue *value = idla_json_find(object, key);

	if (value == NULL)
		idla_corrupt("Key \"%s\" is missing", key);
	return value;
}

double
idla_json_double_of(const JsonbValue *value, const char *what)
{
	double		number;

	if (value->type != jbvNumeric)
		idla_corrupt("Key \"%s\" is not a number", what);
	/* Through the server's own cast: it rounds correctly, so that a model predicts the same bits after a reload. */
	number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
	if (!isfinite(number))
		idla_corrupt("Key \"%s\" is not finite", what);
	return number;
}

int64
idla_json_integer_of(const JsonbValue *value, int64 low, int64 high, const char *what)
{
	double		number = idla_json_double_of(value, what);

	if (number != floor(number) || number < (double) low || number > (double) high)
		idla_corrupt("Key \"%s\" is not an integer from %lld to %lld", what, (long long) low, (long long) high);
	return (int64) number;
}

char *
idla_json_string_of(const JsonbValue *value, const char *what)
{
	if (value->type != jbvString)
		idla_corrupt("Key \"%s\" is not a string", what);
	return pnstrdup(value->val.string.val, value->val.string.len);
}

JsonbContainer *
idla_json_object_of(const JsonbValue *value, const char *what)
{
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		idla_corrupt("Key \"%s\" is not an object", what);
	return value->val.binary.data;
}

int64
idla_json_integer(JsonbContainer *object, const char *key, int64 low, int64 high)
{
	return idla_json_integer_of(require(object, key), low, high, key);
}

double
idla_json_double(JsonbContainer *object, const char *key)
{
	return idla_json_double_of(require(object, key), key);
}

bool
idla_json_bool(JsonbContainer *object, const char *key)
{
	JsonbValue *value = require(object, key);

	if (value->type != jbvBool)
		idla_corrupt("Key \"%s\" is not true or false", key);
	return value->val.boolean;
}

char *
idla_json_string(JsonbContainer *object, const char *key, bool required)
{
	JsonbValue *value = required ? require(object, key) : idla_json_find(object, key);

	return value == NULL ? NULL : idla_json_string_of(value, key);
}

JsonbValue *
idla_json_array(JsonbContainer *object, const char *key, int low, int high, int *n)
{
	JsonbValue *value = require(object, key);
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	element;
	JsonbValue *elements;

	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data) ||
		JsonContainerIsScalar(value->val.binary.data))
		idla_corrupt("Key \"%s\" is not an array", key);
	*n = (int) JsonContainerSize(value->val.binary.data);
	if (*n < low || *n > high)
		idla_corrupt("Key \"%s\" has %d elements", key, *n);

	elements = palloc(sizeof(JsonbValue) * Max(*n, 1));
	iterator = JsonbIteratorInit(value->val.binary.data);
	*n = 0;
	while ((token = JsonbIteratorNext(&iterator, &element, true)) != WJB_DONE)
		if (token == WJB_ELEM)
			elements[(*n)++] = element;
	return elements;
}

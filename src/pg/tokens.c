/*
 * tokens.c: texts cut into tokens, with their tags, out of datums.
 *
 * Users bring tokens with a tag each, or texts with spans. Both become one thing: a text, ranges of bytes in it, and a
 * tag for each range. What does not fit together is told apart from an error, so that whoever reads many rows may leave one out.
 */
#include "tokens.h"

#include "json.h"
#include "mb/pg_wchar.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define MOST_SPANS 1000000

bool
idla_is_token_array(Oid type)
{
	Oid			element = get_element_type(type);

	element = OidIsValid(element) ? getBaseType(element) : InvalidOid;
	return element == TEXTOID || element == VARCHAROID;
}

bool
idla_is_tags(Oid type)
{
	return type == JSONBOID || idla_is_token_array(type);
}

Datum
idla_text_datum(Oid type, Datum value)
{
	Oid			output;
	bool		is_varlena;

	if (type == TEXTOID || type == VARCHAROID || type == BPCHAROID)
		return value;
	getTypeOutputInfo(type, &output, &is_varlena);
	return CStringGetTextDatum(OidOutputFunctionCall(output, value));
}

static bool
trouble_of(LearnTrouble *trouble, const char *hint, char *message)
{
	memset(trouble, 0, sizeof(*trouble));
	trouble->status = DEV_BAD_DATA;
	strlcpy(trouble->message, message, sizeof(trouble->message));
	if (hint != NULL)
		strlcpy(trouble->hint, hint, sizeof(trouble->hint));
	return false;
}

/* A text's bytes in UTF-8, NUL-terminated. */
static char *
utf8_of(Datum value, size_t *size)
{
	char	   *own = TextDatumGetCString(value);
	char	   *utf8 = pg_server_to_any(own, (int) strlen(own), PG_UTF8);

	*size = strlen(utf8);
	return utf8;
}

/* Strings of a text[] in UTF-8; false for an element that is NULL. */
static bool
read_strings(Datum value, const char *what, int *n, const char ***strings, LearnTrouble *trouble)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	Oid			element = ARR_ELEMTYPE(array);
	Datum	   *elements;
	bool	   *nulls;
	int16		length;
	bool		by_value;
	char		align;
	size_t		size;

	if (ARR_NDIM(array) > 1)
		return trouble_of(trouble, NULL, psprintf("the array of %ss has %d dimensions", what, ARR_NDIM(array)));
	get_typlenbyvalalign(element, &length, &by_value, &align);
	deconstruct_array(array, element, length, by_value, align, &elements, &nulls, n);
	*strings = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(char *) * (Size) Max(*n, 1));
	for (int i = 0; i < *n; i++)
	{
		if (nulls[i])
			return trouble_of(trouble, NULL, psprintf("%s %d is NULL", what, i + 1));
		(*strings)[i] = utf8_of(elements[i], &size);
	}
	return true;
}

/* ---- the text and its tokens ---- */

static bool
join_tokens(Datum value, IdlaTokens *tokens, LearnTrouble *trouble)
{
	const char **strings;
	StringInfoData text;
	int			n;

	if (!read_strings(value, "token", &n, &strings, trouble))
		return false;
	initStringInfo(&text);
	tokens->n = (size_t) n;
	tokens->tokens = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(LearnWord) * (Size) Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		if (strings[i][0] == '\0')
			return trouble_of(trouble, NULL, psprintf("token %d is empty", i + 1));
		if (i > 0)
			appendStringInfoChar(&text, ' ');
		tokens->tokens[i].start = (uint32_t) text.len;
		appendStringInfoString(&text, strings[i]);
		tokens->tokens[i].end = (uint32_t) text.len;
	}
	tokens->text = text.data;
	tokens->size = (size_t) text.len;
	return true;
}

static bool
cut_text(Datum value, IdlaTokens *tokens, LearnTrouble *trouble)
{
	tokens->text = utf8_of(value, &tokens->size);
	/* A word has a byte at least. */
	tokens->tokens = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(LearnWord) * Max(tokens->size, 1));
	return learn_text_words(tokens->text, tokens->size, false, LEARN_UTF8_REFUSE, tokens->tokens, tokens->size, &tokens->n, trouble);
}

/* ---- tags ---- */

static bool
read_span(const JsonbValue *value, LearnSpan *span, const char **label, LearnTrouble *trouble)
{
	const char *shape = "A span is {\"start\": 10, \"end\": 16, \"label\": \"Disease\"}, in characters from 0, the end not included.";
	JsonbValue *start;
	JsonbValue *end;
	JsonbValue *name;
	double		from;
	double		to;

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		return trouble_of(trouble, shape, pstrdup("a span is no object"));
	start = idla_json_find(value->val.binary.data, "start");
	end = idla_json_find(value->val.binary.data, "end");
	name = idla_json_find(value->val.binary.data, "label");
	if (start == NULL || end == NULL || name == NULL || start->type != jbvNumeric || end->type != jbvNumeric ||
		name->type != jbvString)
		return trouble_of(trouble, shape, pstrdup("a span lacks its \"start\", \"end\" or \"label\""));
	from = idla_numeric_to_double(NumericGetDatum(start->val.numeric));
	to = idla_numeric_to_double(NumericGetDatum(end->val.numeric));
	if (!(from >= 0 && from < to && to <= PG_INT32_MAX) || from != (double) (uint32_t) from || to != (double) (uint32_t) to)
		return trouble_of(trouble, shape, psprintf("no span goes from %g to %g", from, to));
	span->start = (uint32_t) from;
	span->end = (uint32_t) to;
	*label = pnstrdup(name->val.string.val, name->val.string.len);
	*label = pg_server_to_any(*label, (int) strlen(*label), PG_UTF8);
	return true;
}

/* Numbers the labels of spans, which are few in one text. */
static int32_t
number_label(const char **labels, int32_t *n_labels, const char *label)
{
	for (int32_t i = 0; i < *n_labels; i++)
		if (strcmp(labels[i], label) == 0)
			return i;
	labels[*n_labels] = label;
	return (*n_labels)++;
}

static bool
tags_of_spans(IdlaTokens *tokens, LearnSpan *spans, int n, const char **labels, int32_t n_labels, LearnTrouble *trouble)
{
	int32_t    *codes = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int32_t) * Max(tokens->n, 1));
	char	  **written;

	if (!learn_spans_to_bytes(tokens->text, tokens->size, spans, (size_t) n, trouble) ||
		!learn_tags_from_spans(LEARN_IOB2, n_labels, tokens->n, tokens->tokens, (size_t) n, spans, codes, trouble))
		return false;
	written = palloc(sizeof(char *) * (Size) (2 * n_labels + 1));
	written[0] = pstrdup("O");
	for (int32_t i = 0; i < n_labels; i++)
	{
		written[learn_tag_code(LEARN_IOB2, i, LEARN_TAG_B)] = psprintf("B-%s", labels[i]);
		written[learn_tag_code(LEARN_IOB2, i, LEARN_TAG_I)] = psprintf("I-%s", labels[i]);
	}
	tokens->tags = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(char *) * Max(tokens->n, 1));
	for (size_t i = 0; i < tokens->n; i++)
		tokens->tags[i] = written[codes[i]];
	return true;
}

static bool
read_spans(Datum value, IdlaTokens *tokens, LearnTrouble *trouble)
{
	Jsonb	   *json = DatumGetJsonbP(value);
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	item;
	LearnSpan  *spans;
	const char **labels;
	int32_t		n_labels = 0;
	int			n = 0;

	if (!JB_ROOT_IS_ARRAY(json) || JB_ROOT_IS_SCALAR(json) || JB_ROOT_COUNT(json) > MOST_SPANS)
		return trouble_of(trouble, NULL, pstrdup("the spans are no array"));
	spans = palloc0(sizeof(LearnSpan) * (Size) Max(JB_ROOT_COUNT(json), 1));
	labels = palloc0(sizeof(char *) * (Size) Max(JB_ROOT_COUNT(json), 1));
	iterator = JsonbIteratorInit(&json->root);
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		const char *label;

		if (token != WJB_ELEM)
			continue;
		if (!read_span(&item, &spans[n], &label, trouble))
			return false;
		spans[n++].label = number_label(labels, &n_labels, label);
	}
	return tags_of_spans(tokens, spans, n, labels, n_labels, trouble);
}

static bool
read_tags(Datum value, IdlaTokens *tokens, LearnTrouble *trouble)
{
	int			n;

	if (!read_strings(value, "tag", &n, &tokens->tags, trouble))
		return false;
	if ((size_t) n != tokens->n)
		return trouble_of(trouble, NULL, psprintf("there are %d tags for %zu tokens", n, tokens->n));
	return true;
}

bool
idla_tokens_read(Oid type, Datum value, Oid tags_type, Datum tags, IdlaTokens *tokens, LearnTrouble *trouble)
{
	bool		array = idla_is_token_array(type);

	memset(tokens, 0, sizeof(*tokens));
	if (array ? !join_tokens(value, tokens, trouble) : !cut_text(idla_text_datum(type, value), tokens, trouble))
		return false;
	if (!OidIsValid(tags_type))
		return true;
	if (tags_type == JSONBOID)
		return array ? trouble_of(trouble, "Give the tags as an array beside them.", pstrdup("spans are for a text, not for tokens")) :
			read_spans(tags, tokens, trouble);
	return read_tags(tags, tokens, trouble);
}

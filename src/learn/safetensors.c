/*
 * safetensors.c: a safetensors image, read with suspicion.
 *
 * The header is read by a parser of its own, which knows only the JSON that the format has: a general one would keep the
 * last of two equal names and silently lose the first. Strings are unescaped into one block as
 * long as the header, which no text outgrows, and everything else is as many as were counted there.
 */
#include "idla/learn_safetensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define PREFIX 8				/* bytes that say how long the header is */
#define SHORTEST_TENSOR 48		/* bytes of header that none does without, its comma included */
#define TENSOR_COLONS 4			/* that none does without either */
#define SHORTEST_METADATA 6		/* bytes of an entry with both its texts empty, its comma included */
#define POLLED_ENTRIES 4096
#define POLLED_BYTES ((size_t) 1 << 20)

typedef struct Type
{
	const char *name;
	size_t		size;
} Type;

static const Type types[] = {
	{"BOOL", 1}, {"U8", 1}, {"I8", 1}, {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"I16", 2}, {"U16", 2}, {"F16", 2}, {"BF16", 2},
	{"I32", 4}, {"U32", 4}, {"F32", 4}, {"F64", 8}, {"I64", 8}, {"U64", 8}
};

typedef struct Reader
{
	DevSession *session;
	const char *header;
	size_t		size;
	size_t		at;
	LearnSafetensors *image;
	size_t		n_strings;		/* bytes of image->strings used */
	const char *data;
	size_t		data_size;
	bool		has_metadata;
} Reader;

static DevStatus
damaged(DevSession *session, const char *format,...) DEV_PRINTF(2, 3);

/* What is wrong is the detail: callers know better what the bytes should have been. */
static DevStatus
damaged(DevSession *session, const char *format,...)
{
	char		text[400];
	va_list		arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	dev_fail(session, DEV_CORRUPT, "the bytes are no safetensors image");
	dev_detail(session, "%s.", text);
	return DEV_CORRUPT;
}

/* ---- JSON ---- */

static DevStatus
unexpected(Reader *reader, const char *wanted)
{
	if (reader->at >= reader->size)
		return damaged(reader->session, "The header ends where %s should be", wanted);
	return damaged(reader->session, "Byte %zu of the header is not %s", reader->at, wanted);
}

static void
skip_blanks(Reader *reader)
{
	while (reader->at < reader->size && reader->header[reader->at] != '\0' && strchr(" \t\n\r", reader->header[reader->at]) != NULL)
		reader->at++;
}

/* Blanks, then this character? */
static bool
take(Reader *reader, char wanted)
{
	skip_blanks(reader);
	if (reader->at >= reader->size || reader->header[reader->at] != wanted)
		return false;
	reader->at++;
	return true;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The four digits of \uXXXX, or -1. */
static int32_t
read_unit(Reader *reader)
{
	int32_t		unit = 0;

	for (int i = 0; i < 4; i++)
	{
		int			digit = reader->at < reader->size ? hex_digit(reader->header[reader->at]) : -1;

		if (digit < 0)
			return -1;
		unit = unit * 16 + digit;
		reader->at++;
	}
	return unit;
}

/* What stands behind \u, in UTF-8; -1 for half a pair and for zero, which would end a text. */
static int
read_character(Reader *reader, char *dst)
{
	int32_t		c = read_unit(reader);
	int32_t		low;

	if (c <= 0 || (c >= 0xdc00 && c <= 0xdfff))
		return -1;
	if (c >= 0xd800 && c <= 0xdbff)
	{
		if (reader->size - reader->at < 6 || reader->header[reader->at] != '\\' || reader->header[reader->at + 1] != 'u')
			return -1;
		reader->at += 2;
		low = read_unit(reader);
		if (low < 0xdc00 || low > 0xdfff)
			return -1;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	return (int) utf8proc_encode_char(c, (utf8proc_uint8_t *) dst);
}

static DevStatus
read_escape(Reader *reader, char *dst, int *length)
{
	static const char escapes[] = "\"\\/bfnrt";
	static const char meant[] = "\"\\/\b\f\n\r\t";
	char		c = reader->at < reader->size ? reader->header[reader->at] : '\0';
	const char *found = c == '\0' ? NULL : strchr(escapes, c);

	*length = 1;
	reader->at++;
	if (found != NULL)
		*dst = meant[found - escapes];
	else if (c == 'u')
		*length = read_character(reader, dst);
	if ((found == NULL && c != 'u') || *length < 0)
		return damaged(reader->session, "The escape before byte %zu of the header stands for nothing", reader->at);
	return DEV_OK;
}

static DevStatus
read_string(Reader *reader, const char **text)
{
	char	   *dst = reader->image->strings + reader->n_strings;
	int			length;

	if (!take(reader, '"'))
		return unexpected(reader, "a text");
	*text = dst;
	while (reader->at < reader->size && reader->header[reader->at] != '"')
	{
		unsigned char c = (unsigned char) reader->header[reader->at++];
		DevStatus	status = DEV_OK;

		length = 1;
		*dst = (char) c;
		if (c < 0x20)
			status = damaged(reader->session, "Byte %zu of the header is a control character inside a text", reader->at - 1);
		else if (c == '\\')
			status = read_escape(reader, dst, &length);
		if (status != DEV_OK)
			return status;
		dst += length;
	}
	if (reader->at >= reader->size)
		return unexpected(reader, "the end of a text");
	reader->at++;
	*dst++ = '\0';
	reader->n_strings = (size_t) (dst - reader->image->strings);
	return DEV_OK;
}

static DevStatus
read_size(Reader *reader, size_t *value)
{
	size_t		first;

	skip_blanks(reader);
	first = reader->at;
	*value = 0;
	for (; reader->at < reader->size && reader->header[reader->at] >= '0' && reader->header[reader->at] <= '9'; reader->at++)
	{
		size_t		digit = (size_t) (reader->header[reader->at] - '0');

		if (*value > (SIZE_MAX - digit) / 10)
			return damaged(reader->session, "The number at byte %zu of the header is too large", first);
		*value = *value * 10 + digit;
	}
	if (reader->at == first || (reader->header[first] == '0' && reader->at > first + 1))
		return unexpected(reader, "a whole number");
	return DEV_OK;
}

/* [n, n, ...] of at most so many. */
static DevStatus
read_sizes(Reader *reader, size_t most, size_t *values, size_t *n, const char *tensor)
{
	DevStatus	status = DEV_OK;

	*n = 0;
	if (!take(reader, '['))
		return unexpected(reader, "a list of numbers");
	if (take(reader, ']'))
		return DEV_OK;
	do
	{
		if (*n == most)
			return damaged(reader->session, "Tensor \"%.200s\" has a list of more than %zu numbers", tensor, most);
		status = read_size(reader, &values[*n]);
		(*n)++;
	} while (status == DEV_OK && take(reader, ','));
	if (status == DEV_OK && !take(reader, ']'))
		status = unexpected(reader, "the end of a list of numbers");
	return status;
}

/* ---- entries ---- */

static DevStatus
too_many(Reader *reader, const char *what)
{
	return damaged(reader->session, "The header has more than %d %s", LEARN_SAFETENSORS_ENTRIES, what);
}

static DevStatus
check_places(Reader *reader, LearnTensor *tensor, const Type *type, const size_t places[2])
{
	size_t		bytes = type->size;

	tensor->count = 1;
	for (int i = 0; i < tensor->rank; i++)
	{
		if (tensor->dims[i] != 0 && tensor->count > SIZE_MAX / type->size / tensor->dims[i])
			return damaged(reader->session, "Tensor \"%.200s\" has a shape too large for any file", tensor->name);
		tensor->count *= tensor->dims[i];
	}
	bytes *= tensor->count;
	if (places[0] > places[1] || places[1] > reader->data_size)
		return damaged(reader->session, "Tensor \"%.200s\" lies at bytes %zu to %zu of %zu", tensor->name, places[0], places[1],
					   reader->data_size);
	if (places[1] - places[0] != bytes)
		return damaged(reader->session, "Tensor \"%.200s\" has %zu bytes, and its shape needs %zu", tensor->name,
					   places[1] - places[0], bytes);
	tensor->bytes = reader->data + places[0];
	tensor->size = bytes;
	tensor->type = type->name;
	return DEV_OK;
}

static const Type *
find_type(const char *name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i].name, name) == 0)
			return &types[i];
	return NULL;
}

/* {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]} in any order. */
static DevStatus
read_tensor(Reader *reader, const char *name)
{
	LearnTensor *tensor = &reader->image->tensors[reader->image->n];
	const Type *type = NULL;
	size_t		places[2];
	size_t		n;
	bool		has_shape = false;
	bool		has_places = false;
	DevStatus	status = DEV_OK;

	if (reader->image->n == LEARN_SAFETENSORS_ENTRIES)
		return too_many(reader, "tensors");
	tensor->name = name;
	if (!take(reader, '{'))
		return unexpected(reader, "the description of a tensor");
	do
	{
		size_t		kept = reader->n_strings;
		const char *key;

		status = read_string(reader, &key);
		if (status == DEV_OK && !take(reader, ':'))
			status = unexpected(reader, "a colon");
		if (status != DEV_OK)
			return status;
		if (strcmp(key, "dtype") == 0 && type == NULL)
		{
			const char *word;

			status = read_string(reader, &word);
			type = status == DEV_OK ? find_type(word) : NULL;
			if (status == DEV_OK && type == NULL)
				status = damaged(reader->session, "Tensor \"%.200s\" is of type \"%.50s\", which the format does not have", name, word);
		}
		else if (strcmp(key, "shape") == 0 && !has_shape)
		{
			status = read_sizes(reader, LEARN_TENSOR_RANK, tensor->dims, &n, name);
			tensor->rank = (int) n;
			has_shape = true;
		}
		else if (strcmp(key, "data_offsets") == 0 && !has_places)
		{
			status = read_sizes(reader, 2, places, &n, name);
			if (status == DEV_OK && n != 2)
				status = damaged(reader->session, "Tensor \"%.200s\" has no beginning and end", name);
			has_places = true;
		}
		else
			status = damaged(reader->session, "Tensor \"%.200s\" has the key \"%.50s\" twice, or should not have it", name, key);
		reader->n_strings = kept;
	} while (status == DEV_OK && take(reader, ','));
	if (status == DEV_OK && !take(reader, '}'))
		status = unexpected(reader, "the end of a tensor's description");
	if (status == DEV_OK && (type == NULL || !has_shape || !has_places))
		status = damaged(reader->session, "Tensor \"%.200s\" lacks its dtype, shape or data_offsets", name);
	if (status == DEV_OK)
		status = check_places(reader, tensor, type, places);
	if (status == DEV_OK)
		reader->image->n++;
	return status;
}

static DevStatus
read_metadata(Reader *reader)
{
	DevStatus	status = DEV_OK;

	if (reader->has_metadata)
		return damaged(reader->session, "The header has \"__metadata__\" twice");
	reader->has_metadata = true;
	if (!take(reader, '{'))
		return unexpected(reader, "the metadata");
	if (take(reader, '}'))
		return DEV_OK;
	do
	{
		LearnMetadata *entry = &reader->image->metadata[reader->image->n_metadata];

		if (reader->image->n_metadata == LEARN_SAFETENSORS_ENTRIES)
			return too_many(reader, "entries of metadata");
		if (++reader->image->n_metadata % POLLED_ENTRIES == 0 && dev_poll(reader->session) != DEV_OK)
			return DEV_CANCELLED;
		status = read_string(reader, &entry->key);
		if (status == DEV_OK && !take(reader, ':'))
			status = unexpected(reader, "a colon");
		if (status == DEV_OK)
			status = read_string(reader, &entry->value);
	} while (status == DEV_OK && take(reader, ','));
	if (status == DEV_OK && !take(reader, '}'))
		status = unexpected(reader, "the end of the metadata");
	return status;
}

static DevStatus
read_header(Reader *reader)
{
	DevStatus	status = DEV_OK;

	if (reader->size == 0 || reader->header[0] != '{')
		return damaged(reader->session, "The header does not begin with a brace");
	reader->at = 1;
	if (!take(reader, '}'))
	{
		do
		{
			const char *name;

			status = read_string(reader, &name);
			if (status == DEV_OK && !take(reader, ':'))
				status = unexpected(reader, "a colon");
			if (status == DEV_OK)
				status = strcmp(name, "__metadata__") == 0 ? read_metadata(reader) : read_tensor(reader, name);
			if (status == DEV_OK && reader->image->n % POLLED_ENTRIES == 0)
				status = dev_poll(reader->session);
		} while (status == DEV_OK && take(reader, ','));
		if (status == DEV_OK && !take(reader, '}'))
			status = unexpected(reader, "the end of the header");
	}
	skip_blanks(reader);
	if (status == DEV_OK && reader->at < reader->size)
		status = unexpected(reader, "a blank after the header's end");
	return status;
}

/* ---- the whole ---- */

static int
compare_names(const void *a, const void *b)
{
	return strcmp(((const LearnTensor *) a)->name, ((const LearnTensor *) b)->name);
}

static int
compare_keys(const void *a, const void *b)
{
	return strcmp(((const LearnMetadata *) a)->key, ((const LearnMetadata *) b)->key);
}

/* Tensors without values lie at the borders of others. */
static int
compare_places(const void *a, const void *b)
{
	const LearnTensor *left = a;
	const LearnTensor *right = b;

	if (left->bytes != right->bytes)
		return (const char *) left->bytes < (const char *) right->bytes ? -1 : 1;
	return left->size < right->size ? -1 : left->size > right->size;
}

/* Every byte of data belongs to one tensor. */
static DevStatus
check_cover(Reader *reader)
{
	LearnSafetensors *image = reader->image;
	const char *end = reader->data;

	qsort(image->tensors, image->n, sizeof(LearnTensor), compare_places);
	for (size_t i = 0; i < image->n; i++)
	{
		const LearnTensor *tensor = &image->tensors[i];

		if ((const char *) tensor->bytes < end)
			return damaged(reader->session, "Tensor \"%.200s\" overlaps \"%.100s\"", tensor->name, image->tensors[i - 1].name);
		if ((const char *) tensor->bytes > end)
			return damaged(reader->session, "%zu bytes before tensor \"%.200s\" belong to none",
						   (size_t) ((const char *) tensor->bytes - end), tensor->name);
		end = (const char *) tensor->bytes + tensor->size;
	}
	if (end != reader->data + reader->data_size)
		return damaged(reader->session, "The last %zu bytes belong to no tensor", (size_t) (reader->data + reader->data_size - end));
	return DEV_OK;
}

static DevStatus
check_names(Reader *reader)
{
	LearnSafetensors *image = reader->image;

	qsort(image->tensors, image->n, sizeof(LearnTensor), compare_names);
	qsort(image->metadata, image->n_metadata, sizeof(LearnMetadata), compare_keys);
	for (size_t i = 1; i < image->n; i++)
		if (strcmp(image->tensors[i - 1].name, image->tensors[i].name) == 0)
			return damaged(reader->session, "Tensor \"%.200s\" is there twice", image->tensors[i].name);
	for (size_t i = 1; i < image->n_metadata; i++)
		if (strcmp(image->metadata[i - 1].key, image->metadata[i].key) == 0)
			return damaged(reader->session, "The metadata have \"%.200s\" twice", image->metadata[i].key);
	return DEV_OK;
}

static DevStatus
check_encoding(Reader *reader)
{
	size_t		polled = 0;

	for (size_t at = 0; at < reader->size;)
	{
		int32_t		c;
		utf8proc_ssize_t length = utf8proc_iterate((const utf8proc_uint8_t *) reader->header + at,
												   (utf8proc_ssize_t) (reader->size - at), &c);

		if (length <= 0)
			return damaged(reader->session, "Byte %zu of the header is no UTF-8", at);
		at += (size_t) length;
		if (at - polled > POLLED_BYTES)
		{
			if (dev_poll(reader->session) != DEV_OK)
				return DEV_CANCELLED;
			polled = at;
		}
	}
	return DEV_OK;
}

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Memory by what the header can hold, and one more for the entry that turns out to be none. */
static DevStatus
make_room(Reader *reader)
{
	LearnSafetensors *image = reader->image;
	size_t		colons = 0;
	size_t		tensors;
	size_t		metadata;

	for (size_t i = 0; i < reader->size; i++)
		colons += reader->header[i] == ':';
	image->strings = dev_alloc(reader->session, reader->size + 1, 1);
	tensors = smaller(smaller(reader->size / SHORTEST_TENSOR, colons / TENSOR_COLONS), LEARN_SAFETENSORS_ENTRIES);
	metadata = smaller(smaller(reader->size / SHORTEST_METADATA, colons), LEARN_SAFETENSORS_ENTRIES);
	image->tensors = dev_alloc(reader->session, tensors + 1, sizeof(LearnTensor));
	image->metadata = dev_alloc(reader->session, metadata + 1, sizeof(LearnMetadata));
	return image->strings == NULL || image->tensors == NULL || image->metadata == NULL ? DEV_NO_MEMORY : DEV_OK;
}

static DevStatus
find_header(Reader *reader, const unsigned char *bytes, size_t size)
{
	uint64_t	header_size = 0;

	if (size < PREFIX)
		return damaged(reader->session, "There are %zu bytes, and the length of the header alone takes %d", size, PREFIX);
	for (int i = 0; i < PREFIX; i++)
		header_size |= (uint64_t) bytes[i] << (8 * i);
	if (header_size > LEARN_SAFETENSORS_HEADER)
		return damaged(reader->session, "The header is said to have %llu bytes, and the format allows %d", (unsigned long long) header_size,
					   LEARN_SAFETENSORS_HEADER);
	if (header_size > size - PREFIX)
		return damaged(reader->session, "The header is said to have %llu bytes, and there are %zu", (unsigned long long) header_size,
					   size - PREFIX);
	reader->header = (const char *) bytes + PREFIX;
	reader->size = (size_t) header_size;
	reader->data = reader->header + reader->size;
	reader->data_size = size - PREFIX - reader->size;
	return DEV_OK;
}

DevStatus
learn_safetensors_open(DevSession *session, const void *bytes, size_t size, LearnSafetensors **image)
{
	Reader		reader = {.session = session};
	DevStatus	status = find_header(&reader, bytes, size);

	*image = NULL;
	if (status != DEV_OK)
		return status;
	reader.image = dev_alloc(session, 1, sizeof(LearnSafetensors));
	if (reader.image == NULL)
		return DEV_NO_MEMORY;
	status = check_encoding(&reader);
	if (status == DEV_OK)
		status = make_room(&reader);
	if (status == DEV_OK)
		status = read_header(&reader);
	if (status == DEV_OK)
		status = check_cover(&reader);
	if (status == DEV_OK)
		status = check_names(&reader);
	if (status != DEV_OK)
	{
		learn_safetensors_free(session, reader.image);
		return status;
	}
	*image = reader.image;
	return DEV_OK;
}

void
learn_safetensors_free(DevSession *session, LearnSafetensors *image)
{
	if (image == NULL)
		return;
	dev_release(session, image->strings);
	dev_release(session, image->tensors);
	dev_release(session, image->metadata);
	dev_release(session, image);
}

const LearnTensor *
learn_safetensors_find(const LearnSafetensors *image, const char *name)
{
	LearnTensor wanted = {.name = name};

	return bsearch(&wanted, image->tensors, image->n, sizeof(LearnTensor), compare_names);
}

const char *
learn_safetensors_metadata(const LearnSafetensors *image, const char *key)
{
	LearnMetadata wanted = {.key = key};
	const LearnMetadata *found = bsearch(&wanted, image->metadata, image->n_metadata, sizeof(LearnMetadata), compare_keys);

	return found == NULL ? NULL : found->value;
}

/* ---- values ---- */

static uint32_t
bits_of(const unsigned char *bytes)
{
	return (uint32_t) bytes[0] | (uint32_t) bytes[1] << 8 | (uint32_t) bytes[2] << 16 | (uint32_t) bytes[3] << 24;
}

static float
from_bits(uint32_t bits)
{
	float		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static float
from_half(uint32_t bits)
{
	float		sign = bits & 0x8000 ? -1.0f : 1.0f;
	int			exponent = (int) (bits >> 10 & 31);
	float		fraction = (float) (bits & 1023);

	if (exponent == 31)
		return fraction > 0 ? NAN : sign * INFINITY;
	return exponent == 0 ? sign * ldexpf(fraction, -24) : sign * ldexpf(1024 + fraction, exponent - 25);
}

static float
from_double(uint64_t bits)
{
	double		value;

	memcpy(&value, &bits, sizeof(value));
	/* What a float cannot hold is no number to it. */
	return fabs(value) > 3.4028234663852886e38 ? INFINITY : (float) value;
}

bool
learn_tensor_is_float(const LearnTensor *tensor)
{
	return strcmp(tensor->type, "F32") == 0 || strcmp(tensor->type, "F64") == 0 || strcmp(tensor->type, "F16") == 0 ||
		strcmp(tensor->type, "BF16") == 0;
}

bool
learn_tensor_floats(const LearnTensor *tensor, float *values)
{
	const unsigned char *bytes = tensor->bytes;
	bool		finite = true;

	switch (tensor->type[0] == 'B' ? 0 : tensor->count > 0 ? tensor->size / tensor->count : 0)
	{
		case 8:
			for (size_t i = 0; i < tensor->count; i++)
				values[i] = from_double((uint64_t) bits_of(bytes + 8 * i) | (uint64_t) bits_of(bytes + 8 * i + 4) << 32);
			break;
		case 4:
			for (size_t i = 0; i < tensor->count; i++)
				values[i] = from_bits(bits_of(bytes + 4 * i));
			break;
		case 2:
			for (size_t i = 0; i < tensor->count; i++)
				values[i] = from_half((uint32_t) (bytes[2 * i] | bytes[2 * i + 1] << 8));
			break;
		default:
			for (size_t i = 0; i < tensor->count; i++)
				values[i] = from_bits((uint32_t) bytes[2 * i] << 16 | (uint32_t) bytes[2 * i + 1] << 24);
			break;
	}
	for (size_t i = 0; i < tensor->count; i++)
		finite = finite && isfinite(values[i]);
	return finite;
}

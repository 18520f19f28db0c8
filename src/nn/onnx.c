/*
 * onnx.c: an ONNX model under construction.
 *
 * A message of protocol buffers is a row of fields: a key (the field's number and how it is written), then a number of seven bits a
 * byte, four bytes, or a length and as many bytes. A message inside another is such bytes, so each is built in a buffer of
 * its own first. Numbers of fields are those of onnx.proto.
 */
#include "idla/nn_onnx.h"

#include <stdio.h>
#include <string.h>

#define OPSET 17
#define OPSET_ML 3
#define IR_VERSION 8
#define CONVERTED_AT_ONCE 512	/* numbers */
#define DOMAIN_ML "ai.onnx.ml"

typedef struct Buffer
{
	char	   *bytes;
	size_t		n;
	size_t		room;
} Buffer;

struct NnOnnx
{
	DevSession *session;
	DevStatus	status;			/* of the first failure */
	char	  **names;			/* of values */
	int			n_values;
	int			max_values;
	Buffer		nodes;			/* fields of the graph */
	Buffer		constants;
	Buffer		inputs;
	Buffer		outputs;
	Buffer		attributes;		/* of the next node */
	Buffer		outside[3];		/* nodes, inputs and outputs of the graph around the body that is being written */
	Buffer		metadata;		/* field of the model */
	Buffer		spare[3];		/* messages being put together, by how deep they lie */
	Buffer		file;
};

/* Kinds of types of attributes, of onnx.proto. */
enum
{
	ATTRIBUTE_FLOAT = 1,
	ATTRIBUTE_INTEGER = 2,
	ATTRIBUTE_STRING = 3,
	ATTRIBUTE_GRAPH = 5,
	ATTRIBUTE_INTEGERS = 7,
	ATTRIBUTE_STRINGS = 8
};

/* ---- bytes ---- */

static void
put_bytes(NnOnnx *onnx, Buffer *buffer, const void *bytes, size_t n)
{
	if (onnx->status != DEV_OK || n == 0)
		return;
	if (n > buffer->room - buffer->n)
	{
		size_t		room = buffer->room > 0 ? buffer->room : 256;
		char	   *larger;

		while (room - buffer->n < n && room <= SIZE_MAX / 4)
			room *= 2;
		larger = dev_alloc(onnx->session, room, 1);
		if (larger == NULL)
		{
			onnx->status = DEV_NO_MEMORY;
			return;
		}
		if (buffer->n > 0)
			memcpy(larger, buffer->bytes, buffer->n);
		dev_release(onnx->session, buffer->bytes);
		buffer->bytes = larger;
		buffer->room = room;
	}
	memcpy(buffer->bytes + buffer->n, bytes, n);
	buffer->n += n;
}

static void
put_number(NnOnnx *onnx, Buffer *buffer, uint64_t number)
{
	unsigned char bytes[10];
	size_t		n = 0;

	for (; number >= 128; number >>= 7)
		bytes[n++] = (unsigned char) (number | 128);
	bytes[n++] = (unsigned char) number;
	put_bytes(onnx, buffer, bytes, n);
}

static void
put_integer(NnOnnx *onnx, Buffer *buffer, unsigned field, int64_t value)
{
	put_number(onnx, buffer, field << 3);
	put_number(onnx, buffer, (uint64_t) value);
}

static void
put_block(NnOnnx *onnx, Buffer *buffer, unsigned field, const void *bytes, size_t n)
{
	put_number(onnx, buffer, field << 3 | 2);
	put_number(onnx, buffer, n);
	put_bytes(onnx, buffer, bytes, n);
}

static void
put_text(NnOnnx *onnx, Buffer *buffer, unsigned field, const char *text)
{
	put_block(onnx, buffer, field, text, strlen(text));
}

/* A message that is complete, into another; its buffer is empty then. */
static void
put_message(NnOnnx *onnx, Buffer *buffer, unsigned field, Buffer *message)
{
	put_block(onnx, buffer, field, message->bytes, message->n);
	message->n = 0;
}

static void
little_endian(const void *value, size_t size, unsigned char *bytes)
{
	uint64_t	bits = 0;
	uint32_t	half;

	if (size == 8)
		memcpy(&bits, value, 8);
	else
	{
		memcpy(&half, value, 4);
		bits = half;
	}
	for (size_t i = 0; i < size; i++)
		bytes[i] = (unsigned char) (bits >> (8 * i));
}

/* ---- the object ---- */

DevStatus
nn_onnx_create(DevSession *session, NnOnnx **onnx)
{
	*onnx = dev_alloc(session, 1, sizeof(NnOnnx));
	if (*onnx == NULL)
		return DEV_NO_MEMORY;
	(*onnx)->session = session;
	return DEV_OK;
}

void
nn_onnx_free(NnOnnx *onnx)
{
	Buffer	   *buffers[] = {&onnx->nodes, &onnx->constants, &onnx->inputs, &onnx->outputs, &onnx->attributes, &onnx->metadata,
		&onnx->outside[0], &onnx->outside[1], &onnx->outside[2], &onnx->spare[0], &onnx->spare[1], &onnx->spare[2], &onnx->file};

	for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++)
		dev_release(onnx->session, buffers[i]->bytes);
	for (int i = 0; i < onnx->n_values; i++)
		dev_release(onnx->session, onnx->names[i]);
	dev_release(onnx->session, onnx->names);
	dev_release(onnx->session, onnx);
}

DevStatus
nn_onnx_status(const NnOnnx *onnx)
{
	return onnx->status;
}

DevSession *
nn_onnx_session(const NnOnnx *onnx)
{
	return onnx->session;
}

NnOnnxValue
nn_onnx_fail(NnOnnx *onnx, DevStatus status, const char *format,...)
{
	char		text[400];
	va_list		arguments;

	if (onnx->status != DEV_OK)
		return NN_NONE;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	onnx->status = dev_fail(onnx->session, status, "%s", text);
	return NN_NONE;
}

/* A value of that name, or of one of its own. Names of our making begin with a slash. */
static NnOnnxValue
new_value(NnOnnx *onnx, const char *name)
{
	char		own[32];

	if (onnx->status != DEV_OK)
		return NN_NONE;
	if (onnx->n_values == onnx->max_values)
	{
		int			most = onnx->max_values > 0 ? 2 * onnx->max_values : 64;
		char	  **larger = dev_alloc(onnx->session, (size_t) most, sizeof(char *));

		if (larger == NULL)
		{
			onnx->status = DEV_NO_MEMORY;
			return NN_NONE;
		}
		if (onnx->n_values > 0)
			memcpy(larger, onnx->names, (size_t) onnx->n_values * sizeof(char *));
		dev_release(onnx->session, onnx->names);
		onnx->names = larger;
		onnx->max_values = most;
	}
	snprintf(own, sizeof(own), "/idla/%d", onnx->n_values);
	onnx->names[onnx->n_values] = dev_strdup(onnx->session, name != NULL ? name : own);
	if (onnx->names[onnx->n_values] == NULL)
	{
		onnx->status = DEV_NO_MEMORY;
		return NN_NONE;
	}
	return onnx->n_values++;
}

/* ---- values ---- */

/* ValueInfoProto: what comes in or goes out, (rows, dims ...); a dimension of size 0 is called `open`. rank below 0: of any shape. */
static void
put_value_info(NnOnnx *onnx, Buffer *buffer, unsigned field, const char *name, NnOnnxType type, int rank, const size_t *dims,
			   const char *open, const char *note)
{
	Buffer	   *shape = &onnx->spare[0];
	Buffer	   *inner = &onnx->spare[1];
	Buffer	   *outer = &onnx->spare[2];

	if (rank >= 0)
	{
		put_text(onnx, inner, 2, "rows");	/* dim_param */
		put_message(onnx, shape, 1, inner);
	}
	for (int i = 0; i < rank; i++)
	{
		if (dims[i] == 0)
			put_text(onnx, inner, 2, open);
		else
			put_integer(onnx, inner, 1, (int64_t) dims[i]);	/* dim_value */
		put_message(onnx, shape, 1, inner);
	}
	put_integer(onnx, inner, 1, type);	/* elem_type */
	if (rank >= 0)
		put_message(onnx, inner, 2, shape);
	put_message(onnx, outer, 1, inner);	/* tensor_type */
	put_text(onnx, inner, 1, name);
	put_message(onnx, inner, 2, outer);
	put_text(onnx, inner, 3, note);
	put_message(onnx, buffer, field, inner);
}

NnOnnxValue
nn_onnx_input_open(NnOnnx *onnx, const char *name, NnOnnxType type, int rank, const size_t *dims, const char *open, const char *note)
{
	put_value_info(onnx, &onnx->inputs, 11, name, type, rank, dims, open, note);
	return new_value(onnx, name);
}

NnOnnxValue
nn_onnx_input(NnOnnx *onnx, const char *name, NnOnnxType type, int rank, const size_t *dims, const char *note)
{
	return nn_onnx_input_open(onnx, name, type, rank, dims, "any", note);
}

static void
put_node(NnOnnx *onnx, const char *operator, const NnOnnxValue *src, int n_src, const char *const *names, int n_names)
{
	Buffer	   *node = &onnx->spare[2];
	bool		features = strncmp(operator, "ml.", 3) == 0;

	for (int i = 0; i < n_src; i++)
		put_text(onnx, node, 1, onnx->names[src[i]]);
	for (int i = 0; i < n_names; i++)
		put_text(onnx, node, 2, names[i]);
	put_text(onnx, node, 4, features ? operator + 3 : operator);
	put_bytes(onnx, node, onnx->attributes.bytes, onnx->attributes.n);
	onnx->attributes.n = 0;
	if (features)
		put_text(onnx, node, 7, DOMAIN_ML);
	put_message(onnx, &onnx->nodes, 1, node);
}

#define MOST_MADE 4

void
nn_onnx_apply_several(NnOnnx *onnx, const char *operator, const NnOnnxValue *src, int n_src, NnOnnxValue *made, int n_made)
{
	const char *names[MOST_MADE];

	for (int i = 0; i < n_made; i++)
		made[i] = new_value(onnx, NULL);
	for (int i = 0; i < n_src; i++)
		if (src[i] == NN_NONE)
			nn_onnx_fail(onnx, DEV_INVALID, "ONNX operator \"%s\" has no source %d", operator, i + 1);
	for (int i = 0; i < n_made; i++)
	{
		if (onnx->status != DEV_OK)
			made[i] = NN_NONE;
		else
			names[i] = onnx->names[made[i]];
	}
	if (onnx->status == DEV_OK)
		put_node(onnx, operator, src, n_src, names, n_made);
}

NnOnnxValue
nn_onnx_apply(NnOnnx *onnx, const char *operator, const NnOnnxValue *src, int n_src)
{
	NnOnnxValue made;

	nn_onnx_apply_several(onnx, operator, src, n_src, &made, 1);
	return made;
}

NnOnnxValue
nn_onnx_apply1(NnOnnx *onnx, const char *operator, NnOnnxValue a)
{
	return nn_onnx_apply(onnx, operator, &a, 1);
}

NnOnnxValue
nn_onnx_apply2(NnOnnx *onnx, const char *operator, NnOnnxValue a, NnOnnxValue b)
{
	const NnOnnxValue src[] = {a, b};

	return nn_onnx_apply(onnx, operator, src, 2);
}

NnOnnxValue
nn_onnx_apply3(NnOnnx *onnx, const char *operator, NnOnnxValue a, NnOnnxValue b, NnOnnxValue c)
{
	const NnOnnxValue src[] = {a, b, c};

	return nn_onnx_apply(onnx, operator, src, 3);
}

NnOnnxValue
nn_onnx_cast(NnOnnx *onnx, NnOnnxValue value, NnOnnxType type)
{
	nn_onnx_set_integer(onnx, "to", type);
	return nn_onnx_apply1(onnx, "Cast", value);
}

void
nn_onnx_output(NnOnnx *onnx, NnOnnxValue value, const char *name, NnOnnxType type, size_t width, const char *note)
{
	if (onnx->status != DEV_OK || value == NN_NONE)
		return;
	put_node(onnx, "Identity", &value, 1, &name, 1);
	put_value_info(onnx, &onnx->outputs, 12, name, type, 1, &width, "any", note);
}

/* TensorProto, values as raw bytes. */
static NnOnnxValue
new_constant(NnOnnx *onnx, NnOnnxType type, int rank, const size_t *dims, const void *values, size_t size)
{
	Buffer	   *tensor = &onnx->spare[2];
	NnOnnxValue made = new_value(onnx, NULL);
	size_t		n = 1;

	if (made == NN_NONE)
		return NN_NONE;
	for (int i = 0; i < rank; i++)
	{
		put_integer(onnx, tensor, 1, (int64_t) dims[i]);
		n *= dims[i];
	}
	put_integer(onnx, tensor, 2, type);
	put_text(onnx, tensor, 8, onnx->names[made]);
	put_number(onnx, tensor, 9 << 3 | 2);
	put_number(onnx, tensor, n * size);
	for (size_t i = 0; i < n;)
	{
		unsigned char bytes[CONVERTED_AT_ONCE * 8];
		size_t		some = 0;

		for (; some < CONVERTED_AT_ONCE && i < n; some++, i++)
			little_endian((const char *) values + i * size, size, bytes + some * size);
		put_bytes(onnx, tensor, bytes, some * size);
	}
	put_message(onnx, &onnx->constants, 5, tensor);
	return made;
}

NnOnnxValue
nn_onnx_floats(NnOnnx *onnx, int rank, const size_t *dims, const float *values)
{
	return new_constant(onnx, NN_ONNX_FLOAT, rank, dims, values, sizeof(float));
}

NnOnnxValue
nn_onnx_doubles(NnOnnx *onnx, int rank, const size_t *dims, const double *values)
{
	return new_constant(onnx, NN_ONNX_DOUBLE, rank, dims, values, sizeof(double));
}

NnOnnxValue
nn_onnx_integers(NnOnnx *onnx, int rank, const size_t *dims, const int64_t *values)
{
	return new_constant(onnx, NN_ONNX_INT64, rank, dims, values, sizeof(int64_t));
}

NnOnnxValue
nn_onnx_float(NnOnnx *onnx, float value)
{
	return nn_onnx_floats(onnx, 0, NULL, &value);
}

NnOnnxValue
nn_onnx_double(NnOnnx *onnx, double value)
{
	return nn_onnx_doubles(onnx, 0, NULL, &value);
}

NnOnnxValue
nn_onnx_integer(NnOnnx *onnx, int64_t value)
{
	return nn_onnx_integers(onnx, 0, NULL, &value);
}

NnOnnxValue
nn_onnx_list(NnOnnx *onnx, size_t n, const int64_t *values)
{
	return nn_onnx_integers(onnx, 1, &n, values);
}

/* ---- attributes ---- */

/* AttributeProto: its name and type, then what the caller has put into spare[0]. */
static void
put_attribute(NnOnnx *onnx, const char *name, int type)
{
	Buffer	   *attribute = &onnx->spare[1];

	put_text(onnx, attribute, 1, name);
	put_bytes(onnx, attribute, onnx->spare[0].bytes, onnx->spare[0].n);
	onnx->spare[0].n = 0;
	put_integer(onnx, attribute, 20, type);
	put_message(onnx, &onnx->attributes, 5, attribute);
}

void
nn_onnx_set_integer(NnOnnx *onnx, const char *name, int64_t value)
{
	put_integer(onnx, &onnx->spare[0], 3, value);
	put_attribute(onnx, name, ATTRIBUTE_INTEGER);
}

void
nn_onnx_set_integers(NnOnnx *onnx, const char *name, size_t n, const int64_t *values)
{
	for (size_t i = 0; i < n; i++)
		put_integer(onnx, &onnx->spare[0], 8, values[i]);
	put_attribute(onnx, name, ATTRIBUTE_INTEGERS);
}

void
nn_onnx_set_float(NnOnnx *onnx, const char *name, float value)
{
	unsigned char bytes[4];

	little_endian(&value, sizeof(value), bytes);
	put_number(onnx, &onnx->spare[0], 2 << 3 | 5);
	put_bytes(onnx, &onnx->spare[0], bytes, sizeof(bytes));
	put_attribute(onnx, name, ATTRIBUTE_FLOAT);
}

void
nn_onnx_set_string(NnOnnx *onnx, const char *name, const char *value)
{
	put_text(onnx, &onnx->spare[0], 4, value);
	put_attribute(onnx, name, ATTRIBUTE_STRING);
}

void
nn_onnx_set_strings(NnOnnx *onnx, const char *name, size_t n, const char *const *values)
{
	for (size_t i = 0; i < n; i++)
		put_text(onnx, &onnx->spare[0], 9, values[i]);
	put_attribute(onnx, name, ATTRIBUTE_STRINGS);
}

/* ---- a graph inside ---- */

static void
exchange(Buffer *a, Buffer *b)
{
	Buffer		kept = *a;

	*a = *b;
	*b = kept;
}

/* What is written goes where nothing has been written yet, or back to where it went before. Constants are all the outer graph's. */
static void
change_graph(NnOnnx *onnx)
{
	exchange(&onnx->nodes, &onnx->outside[0]);
	exchange(&onnx->inputs, &onnx->outside[1]);
	exchange(&onnx->outputs, &onnx->outside[2]);
}

void
nn_onnx_body_begin(NnOnnx *onnx)
{
	change_graph(onnx);
}

NnOnnxValue
nn_onnx_body_input(NnOnnx *onnx, NnOnnxType type)
{
	NnOnnxValue made = new_value(onnx, NULL);

	if (made != NN_NONE)
		put_value_info(onnx, &onnx->inputs, 11, onnx->names[made], type, -1, NULL, "", "");
	return made;
}

void
nn_onnx_body_output(NnOnnx *onnx, NnOnnxValue value, NnOnnxType type)
{
	NnOnnxValue made = nn_onnx_apply1(onnx, "Identity", value);

	if (made != NN_NONE)
		put_value_info(onnx, &onnx->outputs, 12, onnx->names[made], type, -1, NULL, "", "");
}

/* GraphProto, as a whole graph's in nn_onnx_write. */
void
nn_onnx_body_end(NnOnnx *onnx)
{
	Buffer	   *graph = &onnx->spare[2];

	put_bytes(onnx, graph, onnx->nodes.bytes, onnx->nodes.n);
	put_text(onnx, graph, 2, "body");
	put_bytes(onnx, graph, onnx->inputs.bytes, onnx->inputs.n);
	put_bytes(onnx, graph, onnx->outputs.bytes, onnx->outputs.n);
	put_message(onnx, &onnx->spare[0], 6, graph);
	onnx->nodes.n = onnx->inputs.n = onnx->outputs.n = 0;
	change_graph(onnx);
	put_attribute(onnx, "body", ATTRIBUTE_GRAPH);
}

/* ---- the file ---- */

void
nn_onnx_note(NnOnnx *onnx, const char *key, const char *value)
{
	put_text(onnx, &onnx->spare[0], 1, key);
	put_text(onnx, &onnx->spare[0], 2, value);
	put_message(onnx, &onnx->metadata, 14, &onnx->spare[0]);
}

static void
put_opset(NnOnnx *onnx, const char *domain, int64_t version)
{
	put_text(onnx, &onnx->spare[0], 1, domain);
	put_integer(onnx, &onnx->spare[0], 2, version);
	put_message(onnx, &onnx->file, 8, &onnx->spare[0]);
}

DevStatus
nn_onnx_write(NnOnnx *onnx, const char *name, const char *note, const void **bytes, size_t *size)
{
	Buffer	   *graph = &onnx->spare[2];

	put_integer(onnx, &onnx->file, 1, IR_VERSION);
	put_opset(onnx, "", OPSET);
	put_opset(onnx, DOMAIN_ML, OPSET_ML);
	put_text(onnx, &onnx->file, 2, "idla");
	put_text(onnx, &onnx->file, 6, note);
	put_bytes(onnx, graph, onnx->nodes.bytes, onnx->nodes.n);
	put_text(onnx, graph, 2, name);
	put_bytes(onnx, graph, onnx->constants.bytes, onnx->constants.n);
	put_bytes(onnx, graph, onnx->inputs.bytes, onnx->inputs.n);
	put_bytes(onnx, graph, onnx->outputs.bytes, onnx->outputs.n);
	put_message(onnx, &onnx->file, 7, graph);
	put_bytes(onnx, &onnx->file, onnx->metadata.bytes, onnx->metadata.n);
	*bytes = onnx->file.bytes;
	*size = onnx->file.n;
	return onnx->status;
}

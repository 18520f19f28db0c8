/*
 * check_onnx.h: runs an ONNX file, so that what idla writes is judged without another runtime.
 *
 * Reads the protocol buffers anew and computes the operators that idla uses, one value after another in double precision, as
 * the specification (onnx.ai) defines them, with its broadcasting. Anything that is not as it must be stops the program.
 */
#ifndef IDLA_TEST_CHECK_ONNX_H
#define IDLA_TEST_CHECK_ONNX_H

#include "check.h"

#define ONNX_RANK 6
#define ONNX_VALUES 12000
#define ONNX_ATTRIBUTES 8
#define MUST(condition) \
	do { \
		if (!(condition)) \
		{ \
			printf("not ok - %s:%d: %s\n", __FILE__, __LINE__, #condition); \
			exit(1); \
		} \
	} while (0)

/* A span of bytes. */
typedef struct Span
{
	const uint8_t *at;
	size_t		size;
} Span;

typedef struct Field
{
	unsigned	number;
	uint64_t	value;			/* of a number */
	Span		span;			/* of anything longer */
} Field;

typedef struct Tensor
{
	char		name[64];
	int			rank;
	size_t		dims[ONNX_RANK];
	size_t		size;
	double	   *values;			/* every type but text */
	bool		whole;			/* integers: their quotients are cut off */
	const char *const *texts;
} Tensor;

typedef struct Attribute
{
	char		name[32];
	int64_t		integer;
	float		number;
	size_t		n;
	int64_t    *integers;
	char	  **strings;
	char		text[16];
	Span		graph;
} Attribute;

typedef struct Onnx
{
	Tensor		tensors[ONNX_VALUES];
	int			n;
	int			n_nodes;
	int			n_attributes;
	Attribute	attributes[ONNX_ATTRIBUTES];	/* of the node at hand */
} Onnx;

/* ---- protocol buffers ---- */

static uint64_t
read_varint(Span *span)
{
	uint64_t	value = 0;

	for (int shift = 0; shift < 64; shift += 7)
	{
		MUST(span->size > 0);
		value |= (uint64_t) (*span->at & 127) << shift;
		span->size--;
		if ((*span->at++ & 128) == 0)
			return value;
	}
	MUST(false);
	return 0;
}

static bool
next_field(Span *span, Field *field)
{
	uint64_t	key;
	size_t		size = 0;

	if (span->size == 0)
		return false;
	key = read_varint(span);
	field->number = (unsigned) (key >> 3);
	if ((key & 7) == 0)
		field->value = read_varint(span);
	else if ((key & 7) == 2)
		size = (size_t) read_varint(span);
	else
	{
		MUST((key & 7) == 5);
		size = 4;
	}
	MUST(size <= span->size);
	field->span = (Span) {span->at, size};
	span->at += size;
	span->size -= size;
	return true;
}

static void
copy_text(Span span, char *text, size_t room)
{
	MUST(span.size < room);
	memcpy(text, span.at, span.size);
	text[span.size] = '\0';
}

/* ---- values ---- */

static Tensor *
new_tensor(Onnx *onnx, int rank, const size_t *dims)
{
	Tensor	   *tensor = &onnx->tensors[onnx->n++];

	MUST(onnx->n < ONNX_VALUES && rank <= ONNX_RANK);
	*tensor = (Tensor) {.rank = rank,.size = 1};
	for (int i = 0; i < rank; i++)
		tensor->size *= tensor->dims[i] = dims[i];
	tensor->values = calloc(tensor->size + 1, sizeof(double));
	return tensor;
}

static Tensor *
find_value(Onnx *onnx, const char *name)
{
	for (int i = 0; i < onnx->n; i++)
		if (strcmp(onnx->tensors[i].name, name) == 0)
			return &onnx->tensors[i];
	printf("# no value \"%s\"\n", name);
	MUST(false);
	return NULL;
}

static const Attribute *
attribute(const Onnx *onnx, const char *name)
{
	for (int i = 0; i < onnx->n_attributes; i++)
		if (strcmp(onnx->attributes[i].name, name) == 0)
			return &onnx->attributes[i];
	return NULL;
}

static int64_t
integer_attribute(const Onnx *onnx, const char *name, int64_t otherwise)
{
	const Attribute *found = attribute(onnx, name);

	return found == NULL ? otherwise : found->integer;
}

static void
read_constant(Onnx *onnx, Span span)
{
	size_t		dims[ONNX_RANK];
	int			rank = 0;
	int			type = 0;
	char		name[64] = "";
	Span		raw = {NULL, 0};
	Field		field;
	Tensor	   *tensor;
	size_t		width;

	while (next_field(&span, &field))
	{
		if (field.number == 1)
			dims[rank++] = (size_t) field.value;
		else if (field.number == 2)
			type = (int) field.value;
		else if (field.number == 8)
			copy_text(field.span, name, sizeof(name));
		else if (field.number == 9)
			raw = field.span;
	}
	tensor = new_tensor(onnx, rank, dims);
	strcpy(tensor->name, name);
	tensor->whole = type == 7;
	width = type == 1 ? 4 : 8;
	MUST((type == 1 || type == 7 || type == 11) && raw.size == width * tensor->size);
	for (size_t i = 0; i < tensor->size; i++)
	{
		float		single;
		int64_t		integer;

		if (type == 1)
		{
			memcpy(&single, raw.at + 4 * i, 4);
			tensor->values[i] = (double) single;
		}
		else if (type == 7)
		{
			memcpy(&integer, raw.at + 8 * i, 8);
			tensor->values[i] = (double) integer;
		}
		else
			memcpy(&tensor->values[i], raw.at + 8 * i, 8);
	}
}

static void
read_attribute(Onnx *onnx, Span span)
{
	Attribute  *made = &onnx->attributes[onnx->n_attributes++];
	size_t		most = span.size + 1;
	Field		field;

	MUST(onnx->n_attributes <= ONNX_ATTRIBUTES);
	*made = (Attribute) {.integers = calloc(most, sizeof(int64_t)),.strings = calloc(most, sizeof(char *))};
	while (next_field(&span, &field))
	{
		if (field.number == 1)
			copy_text(field.span, made->name, sizeof(made->name));
		else if (field.number == 2)
			memcpy(&made->number, field.span.at, 4);
		else if (field.number == 3)
			made->integer = (int64_t) field.value;
		else if (field.number == 4)
			copy_text(field.span, made->text, sizeof(made->text));
		else if (field.number == 6)
			made->graph = field.span;
		else if (field.number == 8)
			made->integers[made->n++] = (int64_t) field.value;
		else if (field.number == 9)
		{
			made->strings[made->n] = calloc(field.span.size + 1, 1);
			memcpy(made->strings[made->n++], field.span.at, field.span.size);
		}
	}
}

static void
forget_attributes(Onnx *onnx)
{
	for (int i = 0; i < onnx->n_attributes; i++)
	{
		for (size_t j = 0; j < onnx->attributes[i].n && onnx->attributes[i].strings[0] != NULL; j++)
			free(onnx->attributes[i].strings[j]);
		free(onnx->attributes[i].integers);
		free(onnx->attributes[i].strings);
	}
	onnx->n_attributes = 0;
}

/* ---- operators ---- */

/* Where in `tensor` the element of an array (rank, dims) lies, dimensions of one being read again and again. */
static size_t
spread(const Tensor *tensor, int rank, const size_t *dims, size_t element)
{
	size_t		at = 0;
	size_t		step = 1;

	for (int i = 0; i < rank; i++)
	{
		size_t		place = element % dims[rank - 1 - i];
		int			own = tensor->rank - 1 - i;

		element /= dims[rank - 1 - i];
		if (own < 0)
			continue;
		at += tensor->dims[own] == 1 ? 0 : place * step;
		step *= tensor->dims[own];
	}
	return at;
}

static Tensor *
broadcast(Onnx *onnx, Tensor *const *src, int n)
{
	size_t		dims[ONNX_RANK] = {1, 1, 1, 1, 1, 1};
	int			rank = 0;

	for (int i = 0; i < n; i++)
		rank = src[i]->rank > rank ? src[i]->rank : rank;
	for (int i = 0; i < n; i++)
		for (int d = 0; d < src[i]->rank; d++)
		{
			size_t	   *dim = &dims[rank - src[i]->rank + d];

			MUST(*dim == 1 || src[i]->dims[d] == 1 || *dim == src[i]->dims[d]);
			*dim = *dim > src[i]->dims[d] ? *dim : src[i]->dims[d];
		}
	return new_tensor(onnx, rank, dims);
}

static double
of_one(const char *op, double x, bool *known)
{
	*known = true;
	if (strcmp(op, "Identity") == 0 || strcmp(op, "Cast") == 0)
		return x;
	if (strcmp(op, "Relu") == 0)
		return x > 0 ? x : 0;
	if (strcmp(op, "Erf") == 0)
		return erf(x);
	if (strcmp(op, "Sigmoid") == 0)
		return 1 / (1 + exp(-x));
	if (strcmp(op, "Tanh") == 0)
		return tanh(x);
	if (strcmp(op, "Softplus") == 0)
		return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
	if (strcmp(op, "Selu") == 0)
		return 1.05070102214813232421875 * (x > 0 ? x : 1.67326319217681884765625 * expm1(x));
	if (strcmp(op, "Exp") == 0)
		return exp(x);
	if (strcmp(op, "Log") == 0)
		return log(x);
	if (strcmp(op, "Neg") == 0)
		return -x;
	if (strcmp(op, "Abs") == 0)
		return fabs(x);
	if (strcmp(op, "Sqrt") == 0)
		return sqrt(x);
	if (strcmp(op, "Reciprocal") == 0)
		return 1 / x;
	if (strcmp(op, "Sin") == 0)
		return sin(x);
	if (strcmp(op, "Cos") == 0)
		return cos(x);
	if (strcmp(op, "Ceil") == 0)
		return ceil(x);
	if (strcmp(op, "Not") == 0)
		return x == 0;
	if (strcmp(op, "IsNaN") == 0)
		return isnan(x);
	if (strcmp(op, "IsInf") == 0)
		return isinf(x) != 0;
	*known = false;
	return 0;
}

static double
of_several(const char *op, const double *x, int n, bool *known)
{
	*known = true;
	if (strcmp(op, "Where") == 0 && n == 3)
		return x[0] != 0 ? x[1] : x[2];
	if (strcmp(op, "Clip") == 0 && n == 3)
		return x[0] < x[1] ? x[1] : x[0] > x[2] ? x[2] : x[0];
	*known = n == 2;
	if (strcmp(op, "Add") == 0)
		return x[0] + x[1];
	if (strcmp(op, "Sub") == 0)
		return x[0] - x[1];
	if (strcmp(op, "Mul") == 0)
		return x[0] * x[1];
	if (strcmp(op, "Div") == 0)
		return x[0] / x[1];
	if (strcmp(op, "Min") == 0)
		return x[0] < x[1] ? x[0] : x[1];
	if (strcmp(op, "Max") == 0)
		return x[0] > x[1] ? x[0] : x[1];
	if (strcmp(op, "Equal") == 0)
		return x[0] == x[1];
	if (strcmp(op, "Less") == 0)
		return x[0] < x[1];
	if (strcmp(op, "LessOrEqual") == 0)
		return x[0] <= x[1];
	if (strcmp(op, "Greater") == 0)
		return x[0] > x[1];
	if (strcmp(op, "Or") == 0)
		return x[0] != 0 || x[1] != 0;
	if (strcmp(op, "And") == 0)
		return x[0] != 0 && x[1] != 0;
	*known = false;
	return 0;
}

/* NULL for an operator that does not work element by element. */
static Tensor *
elementwise(Onnx *onnx, const char *op, Tensor *const *src, int n)
{
	double		x[3] = {0};
	bool		known;
	Tensor	   *made;

	if (n > 3)
		return NULL;
	if (n == 1)
		(void) of_one(op, 0, &known);
	else
		(void) of_several(op, x, n, &known);
	if (!known)
		return NULL;
	made = broadcast(onnx, src, n);
	made->whole = src[n - 1]->whole;
	if (strcmp(op, "Cast") == 0)
		made->whole = integer_attribute(onnx, "to", 0) == 6 || integer_attribute(onnx, "to", 0) == 7;
	for (size_t i = 0; i < made->size; i++)
	{
		for (int s = 0; s < n; s++)
			x[s] = src[s]->values[spread(src[s], made->rank, made->dims, i)];
		made->values[i] = n == 1 ? of_one(op, x[0], &known) : of_several(op, x, n, &known);
		if (made->whole)
			made->values[i] = trunc(made->values[i]);
	}
	return made;
}

/* (..., m, k) times (..., k, n) */
static Tensor *
multiply(Onnx *onnx, const Tensor *a, const Tensor *b)
{
	size_t		dims[ONNX_RANK];
	size_t		inner = a->dims[a->rank - 1];
	size_t		rows = a->dims[a->rank - 2];
	size_t		cols = b->dims[b->rank - 1];
	Tensor	   *made;

	MUST(a->rank >= b->rank && b->rank >= 2 && b->dims[b->rank - 2] == inner);
	memcpy(dims, a->dims, sizeof(dims));
	dims[a->rank - 1] = cols;
	made = new_tensor(onnx, a->rank, dims);
	for (size_t i = 0; i < made->size; i++)
	{
		size_t		matrix = i / (rows * cols);
		const double *left = a->values + (matrix * rows + i / cols % rows) * inner;
		const double *right = b->values + matrix % (b->size / (inner * cols)) * inner * cols + i % cols;

		for (size_t k = 0; k < inner; k++)
			made->values[i] += left[k] * right[k * cols];
	}
	return made;
}

static int
axis_of(int64_t axis, int rank)
{
	int			found = (int) (axis < 0 ? axis + rank : axis);

	MUST(found >= 0 && found < rank);
	return found;
}

/* What lies before, at and behind an axis. */
static void
split(const Tensor *tensor, int axis, size_t *before, size_t *behind)
{
	*before = *behind = 1;
	for (int i = 0; i < axis; i++)
		*before *= tensor->dims[i];
	for (int i = axis + 1; i < tensor->rank; i++)
		*behind *= tensor->dims[i];
}

static Tensor *
concat(Onnx *onnx, Tensor *const *src, int n)
{
	int			axis = axis_of(integer_attribute(onnx, "axis", 0), src[0]->rank);
	size_t		dims[ONNX_RANK];
	size_t		before;
	size_t		behind;
	size_t		at = 0;
	Tensor	   *made;

	memcpy(dims, src[0]->dims, sizeof(dims));
	dims[axis] = 0;
	for (int i = 0; i < n; i++)
		dims[axis] += src[i]->dims[axis];
	made = new_tensor(onnx, src[0]->rank, dims);
	split(made, axis, &before, &behind);
	for (size_t row = 0; row < before; row++)
		for (int i = 0; i < n; i++)
			for (size_t j = 0; j < src[i]->dims[axis] * behind; j++)
				made->values[at++] = src[i]->values[row * src[i]->dims[axis] * behind + j];
	MUST(at == made->size);
	return made;
}

static Tensor *
gather(Onnx *onnx, const Tensor *src, const Tensor *index)
{
	int			axis = axis_of(integer_attribute(onnx, "axis", 0), src->rank);
	size_t		dims[ONNX_RANK];
	int			rank = 0;
	size_t		before;
	size_t		behind;
	Tensor	   *made;

	for (int i = 0; i < axis; i++)
		dims[rank++] = src->dims[i];
	for (int i = 0; i < index->rank; i++)
		dims[rank++] = index->dims[i];
	for (int i = axis + 1; i < src->rank; i++)
		dims[rank++] = src->dims[i];
	made = new_tensor(onnx, rank, dims);
	split(src, axis, &before, &behind);
	for (size_t i = 0; i < made->size; i++)
	{
		double		number = index->values[i / behind % index->size];
		size_t		place = (size_t) (number < 0 ? number + (double) src->dims[axis] : number);

		MUST(place < src->dims[axis]);
		made->values[i] = src->values[(i / behind / index->size * src->dims[axis] + place) * behind + i % behind];
	}
	return made;
}

static Tensor *
reshape(Onnx *onnx, const char *op, const Tensor *src, const Tensor *how)
{
	size_t		dims[ONNX_RANK];
	int			rank = 0;
	Tensor	   *made;

	if (strcmp(op, "Reshape") == 0)
	{
		size_t		rest = src->size;
		int			open = -1;

		for (rank = 0; rank < (int) how->size; rank++)
		{
			dims[rank] = how->values[rank] < 0 ? 1 : how->values[rank] > 0 ? (size_t) how->values[rank] : src->dims[rank];
			rest /= dims[rank];
			MUST(how->values[rank] >= 0 || open < 0);
			open = how->values[rank] < 0 ? rank : open;
		}
		MUST(open >= 0);
		dims[open] = rest;
	}
	else
		for (int i = 0; i < src->rank + (op[0] == 'U'); i++)
		{
			if (op[0] == 'U')
				dims[rank++] = i < (int) how->values[0] ? src->dims[i] : i == (int) how->values[0] ? 1 : src->dims[i - 1];
			else if (i != (int) how->values[0])
				dims[rank++] = src->dims[i];
		}
	made = new_tensor(onnx, rank, dims);
	MUST(made->size == src->size);
	memcpy(made->values, src->values, src->size * sizeof(double));
	return made;
}

/* log(sum(exp(x))) of n values, so far apart */
static double
log_sum(const double *x, size_t n, size_t step)
{
	double		largest = x[0];
	double		sum = 0;

	for (size_t i = 1; i < n; i++)
		largest = fmax(largest, x[i * step]);
	for (size_t i = 0; i < n; i++)
		sum += exp(x[i * step] - largest);
	return largest + log(sum);
}

/* One axis that stays. */
static Tensor *
reduce(Onnx *onnx, const char *op, const Tensor *src, int64_t wanted, bool keep)
{
	int			axis = axis_of(wanted, src->rank);
	size_t		dims[ONNX_RANK];
	size_t		n = src->dims[axis];
	int			rank = 0;
	size_t		before;
	size_t		behind;
	Tensor	   *made;

	split(src, axis, &before, &behind);
	for (int i = 0; i < src->rank; i++)
		if (i != axis)
			dims[rank++] = src->dims[i];
		else if (keep)
			dims[rank++] = 1;
	made = new_tensor(onnx, rank, dims);
	for (size_t i = 0; i < made->size; i++)
	{
		const double *x = src->values + i / behind * n * behind + i % behind;

		if (strcmp(op, "ReduceLogSumExp") == 0)
			made->values[i] = log_sum(x, n, behind);
		else if (strcmp(op, "ReduceMax") == 0)
			for (size_t k = 0; k < n; k++)
				made->values[i] = k == 0 ? x[0] : fmax(made->values[i], x[k * behind]);
		else
			for (size_t k = 0; k < n; k++)
				made->values[i] += x[k * behind];
		if (strcmp(op, "ReduceMean") == 0)
			made->values[i] /= (double) n;
	}
	return made;
}

/* Several axes, from the last on; none of the operators minds the order. */
static Tensor *
reduce_all(Onnx *onnx, const char *op, const Tensor *src)
{
	const Attribute *axes = attribute(onnx, "axes");
	bool		keep = integer_attribute(onnx, "keepdims", 1) != 0;
	Tensor	   *made = NULL;

	MUST(axes != NULL && axes->n > 0 && (axes->n == 1 || strcmp(op, "ReduceLogSumExp") != 0));
	for (size_t i = axes->n; i > 0; i--)
		src = made = reduce(onnx, op, src, axes->integers[i - 1], keep);
	return made;
}

static Tensor *
transpose(Onnx *onnx, const Tensor *src)
{
	const int64_t *order = attribute(onnx, "perm")->integers;
	size_t		dims[ONNX_RANK];
	Tensor	   *made;

	for (int i = 0; i < src->rank; i++)
		dims[i] = src->dims[order[i]];
	made = new_tensor(onnx, src->rank, dims);
	for (size_t i = 0; i < made->size; i++)
	{
		size_t		places[ONNX_RANK];
		size_t		rest = i;
		size_t		at = 0;

		for (int d = made->rank - 1; d >= 0; d--)
		{
			places[order[d]] = rest % dims[d];
			rest /= dims[d];
		}
		for (int d = 0; d < src->rank; d++)
			at = at * src->dims[d] + places[d];
		made->values[i] = src->values[at];
	}
	return made;
}

/* Softmax, LogSoftmax and LayerNormalization, all over the last dimension. */
static Tensor *
normalize(Onnx *onnx, const char *op, Tensor *const *src)
{
	Tensor	   *made = new_tensor(onnx, src[0]->rank, src[0]->dims);
	size_t		n = made->dims[made->rank - 1];

	MUST(integer_attribute(onnx, "axis", 0) == -1);
	for (size_t row = 0; row < made->size; row += n)
	{
		const double *x = src[0]->values + row;
		double		sum = log_sum(x, n, 1);
		double		mean = 0;
		double		variance = 0;

		for (size_t i = 0; i < n; i++)
			mean += x[i] / (double) n;
		for (size_t i = 0; i < n; i++)
			variance += (x[i] - mean) * (x[i] - mean) / (double) n;
		for (size_t i = 0; i < n; i++)
			made->values[row + i] = strcmp(op, "Softmax") == 0 ? exp(x[i] - sum) : strcmp(op, "LogSoftmax") == 0 ? x[i] - sum :
				(x[i] - mean) / sqrt(variance + (double) attribute(onnx, "epsilon")->number) * src[1]->values[i] + src[2]->values[i];
	}
	return made;
}

static Tensor *
encode_labels(Onnx *onnx, const Tensor *src)
{
	const Attribute *keys = attribute(onnx, "keys_strings");
	const Attribute *values = attribute(onnx, "values_int64s");
	Tensor	   *made = new_tensor(onnx, src->rank, src->dims);

	MUST(keys != NULL && values != NULL && keys->n == values->n && src->texts != NULL);
	for (size_t i = 0; i < made->size; i++)
	{
		made->values[i] = (double) integer_attribute(onnx, "default_int64", -1);
		for (size_t k = 0; k < keys->n; k++)
			if (strcmp(keys->strings[k], src->texts[i]) == 0)
				made->values[i] = (double) values->integers[k];
	}
	return made;
}

#include "check_onnx_places.h"
#include "check_onnx_walk.h"

/* NULL for one that makes several values. */
static Tensor *
compute(Onnx *onnx, const char *op, Tensor *const *src, int n)
{
	Tensor	   *made = elementwise(onnx, op, src, n);

	if (made != NULL)
		return made;
	made = move(onnx, op, src);
	if (made != NULL)
		return made;
	if (strcmp(op, "MatMul") == 0)
		return multiply(onnx, src[0], src[1]);
	if (strcmp(op, "Concat") == 0)
		return concat(onnx, src, n);
	if (strcmp(op, "Gather") == 0)
		return gather(onnx, src[0], src[1]);
	if (strcmp(op, "Reshape") == 0 || strcmp(op, "Unsqueeze") == 0 || strcmp(op, "Squeeze") == 0)
		return reshape(onnx, op, src[0], src[1]);
	if (strcmp(op, "ReduceSum") == 0)
		return reduce(onnx, op, src[0], (int64_t) src[1]->values[0], integer_attribute(onnx, "keepdims", 1) != 0);
	if (strncmp(op, "Reduce", 6) == 0)
		return reduce_all(onnx, op, src[0]);
	if (strcmp(op, "Transpose") == 0)
		return transpose(onnx, src[0]);
	if (strcmp(op, "Pad") == 0 || strcmp(op, "Slice") == 0)
		return shift(onnx, op, src, n);
	if (strcmp(op, "Conv") == 0 || strcmp(op, "MaxPool") == 0 || strcmp(op, "AveragePool") == 0)
		return slide(onnx, op, src);
	if (strcmp(op, "LSTM") == 0 || strcmp(op, "GRU") == 0)
		return recur(onnx, op, src, n);
	if (strcmp(op, "LabelEncoder") == 0)
		return encode_labels(onnx, src[0]);
	if (strcmp(op, "Softmax") != 0 && strcmp(op, "LogSoftmax") != 0 && strcmp(op, "LayerNormalization") != 0)
	{
		printf("# operator \"%s\" of %d sources\n", op, n);
		MUST(false);
	}
	return normalize(onnx, op, src);
}

static void
run_node(Onnx *onnx, Span span)
{
	int			src[1024];
	Tensor	   *found[1024];
	int			n = 0;
	int			n_made = 0;
	char		op[64] = "";
	char		name[64] = "";
	char		output[2][64];
	Field		field;
	Tensor	   *made;

	while (next_field(&span, &field))
	{
		if (field.number == 1)
		{
			copy_text(field.span, name, sizeof(name));
			MUST(n < 1024);
			src[n++] = (int) (find_value(onnx, name) - onnx->tensors);
		}
		else if (field.number == 2)
		{
			MUST(n_made < 2);
			copy_text(field.span, output[n_made++], sizeof(output[0]));
		}
		else if (field.number == 4)
			copy_text(field.span, op, sizeof(op));
		else if (field.number == 5)
			read_attribute(onnx, field.span);
	}
	for (int i = 0; i < n; i++)
		found[i] = &onnx->tensors[src[i]];
	onnx->n_nodes++;
	if (strcmp(op, "Scan") == 0)
	{
		MUST(n_made == 2 && n == 3);
		walk(onnx, found, output);
		return;
	}
	MUST(n_made == 1);
	made = compute(onnx, op, found, n);
	if (strcmp(op, "Concat") == 0 || strncmp(op, "Gather", 6) == 0 || strcmp(op, "Reshape") == 0 || strstr(op, "queeze") != NULL ||
		strcmp(op, "Pad") == 0 || strcmp(op, "Slice") == 0 || strcmp(op, "Transpose") == 0 || strcmp(op, "Expand") == 0 || strncmp(op, "Reduce", 6) == 0)
		made->whole = found[0]->whole;
	strcpy(made->name, output[0]);
	forget_attributes(onnx);
}

/* An input: what it is called is the caller's; values or texts, or none yet. */
static Tensor *
give_input(Onnx *onnx, const char *name, int rank, const size_t *dims, const float *values, const char *const *texts)
{
	Tensor	   *tensor = new_tensor(onnx, rank, dims);

	snprintf(tensor->name, sizeof(tensor->name), "%s", name);
	tensor->texts = texts;
	for (size_t i = 0; i < tensor->size && values != NULL; i++)
		tensor->values[i] = (double) values[i];
	return tensor;
}

/* Runs the file with the inputs that were given; its graph's fields come in any order. */
static void
run_onnx(Onnx *onnx, const void *bytes, size_t size)
{
	Span		file = {bytes, size};
	Span		graph = {NULL, 0};
	Span		again;
	Field		field;

	while (next_field(&file, &field))
		if (field.number == 7)
			graph = field.span;
	again = graph;
	while (next_field(&again, &field))
		if (field.number == 5)
			read_constant(onnx, field.span);
	while (next_field(&graph, &field))
		if (field.number == 1)
			run_node(onnx, field.span);
}

static void
forget_onnx(Onnx *onnx)
{
	for (int i = 0; i < onnx->n; i++)
		free(onnx->tensors[i].values);
	onnx->n = onnx->n_nodes = 0;
}

#endif							/* IDLA_TEST_CHECK_ONNX_H */

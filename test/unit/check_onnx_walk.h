/*
 * check_onnx_walk.h: the part of check_onnx.h for sequences: moving values along an axis, recurrence, and graphs inside Scan.
 */
#ifndef IDLA_TEST_CHECK_ONNX_WALK_H
#define IDLA_TEST_CHECK_ONNX_WALK_H

static void run_node(Onnx *onnx, Span span);

/* ---- moving ---- */

static Tensor *
list(Onnx *onnx, size_t n)
{
	Tensor	   *made = new_tensor(onnx, 1, &n);

	made->whole = true;
	return made;
}

/* GatherND of one batch dimension: whole rows of (batch, n, ...) by (batch, m, 1). */
static Tensor *
gather_rows(Onnx *onnx, const Tensor *src, const Tensor *index)
{
	size_t		dims[ONNX_RANK];
	size_t		width = src->size / (src->dims[0] * src->dims[1]);
	Tensor	   *made;

	MUST(integer_attribute(onnx, "batch_dims", 0) == 1 && index->rank == 3 && index->dims[2] == 1 && index->dims[0] == src->dims[0]);
	memcpy(dims, src->dims, sizeof(dims));
	dims[1] = index->dims[1];
	made = new_tensor(onnx, src->rank, dims);
	for (size_t i = 0; i < index->size; i++)
	{
		size_t		place = (size_t) index->values[i];

		MUST(index->values[i] >= 0 && place < src->dims[1]);
		memcpy(made->values + i * width, src->values + (i / dims[1] * src->dims[1] + place) * width, width * sizeof(double));
	}
	return made;
}

/* GatherElements, or ScatterElements where `updates` is not NULL: one axis of src by an index of the same rank. */
static Tensor *
by_element(Onnx *onnx, const Tensor *src, const Tensor *index, const Tensor *updates)
{
	int			axis = axis_of(integer_attribute(onnx, "axis", 0), src->rank);
	size_t		behind;
	size_t		before;
	size_t		n = index->dims[axis];
	Tensor	   *made = new_tensor(onnx, src->rank, updates == NULL ? index->dims : src->dims);

	split(index, axis, &before, &behind);
	MUST(index->rank == src->rank && src->size == before * src->dims[axis] * behind && (updates == NULL || updates->size == index->size));
	if (updates != NULL)
		memcpy(made->values, src->values, src->size * sizeof(double));
	for (size_t i = 0; i < index->size; i++)
	{
		size_t		place = (size_t) index->values[i];
		size_t		at = (i / (n * behind) * src->dims[axis] + place) * behind + i % behind;

		MUST(index->values[i] >= 0 && place < src->dims[axis]);
		if (updates == NULL)
			made->values[i] = src->values[at];
		else
			made->values[at] = updates->values[i];
	}
	return made;
}

/* CumSum and ArgMax. */
static Tensor *
run_along(Onnx *onnx, const char *op, const Tensor *src, int64_t wanted)
{
	int			axis = axis_of(wanted, src->rank);
	bool		sum = op[0] == 'C';
	bool		keep = sum || integer_attribute(onnx, "keepdims", 1) != 0;
	size_t		n = src->dims[axis];
	size_t		dims[ONNX_RANK];
	int			rank = 0;
	size_t		before;
	size_t		behind;
	Tensor	   *made;

	split(src, axis, &before, &behind);
	for (int d = 0; d < src->rank; d++)
		if (d != axis || keep)
			dims[rank++] = d != axis || sum ? src->dims[d] : 1;
	made = new_tensor(onnx, rank, dims);
	made->whole = !sum || src->whole;
	for (size_t i = 0; i < before * behind; i++)
	{
		const double *x = src->values + i / behind * n * behind + i % behind;
		double	   *dst = made->values + i / behind * n * behind + i % behind;
		size_t		best = 0;

		for (size_t k = 0; k < n; k++)
		{
			best = x[k * behind] > x[best * behind] ? k : best;
			if (sum)
				dst[k * behind] = x[k * behind] + (k > 0 ? dst[(k - 1) * behind] : 0);
		}
		if (!sum)
			made->values[i] = (double) best;
	}
	return made;
}

/* NULL for an operator that is none of these. */
static Tensor *
move(Onnx *onnx, const char *op, Tensor *const *src)
{
	Tensor	   *made;

	if (strcmp(op, "Shape") == 0)
	{
		made = list(onnx, (size_t) src[0]->rank);
		for (int d = 0; d < src[0]->rank; d++)
			made->values[d] = (double) src[0]->dims[d];
		return made;
	}
	if (strcmp(op, "Range") == 0)
	{
		MUST(src[0]->values[0] == 0 && src[2]->values[0] == 1 && src[1]->values[0] > 0);
		made = list(onnx, (size_t) src[1]->values[0]);
		for (size_t i = 0; i < made->size; i++)
			made->values[i] = (double) i;
		return made;
	}
	if (strcmp(op, "Expand") == 0)
	{
		Tensor		shape = {.rank = (int) src[1]->size};
		Tensor	   *const both[] = {src[0], &shape};

		for (int d = 0; d < shape.rank; d++)
			shape.dims[d] = (size_t) src[1]->values[d];
		made = broadcast(onnx, both, 2);
		for (size_t i = 0; i < made->size; i++)
			made->values[i] = src[0]->values[spread(src[0], made->rank, made->dims, i)];
		return made;
	}
	if (strcmp(op, "CumSum") == 0)
		return run_along(onnx, op, src[0], (int64_t) src[1]->values[0]);
	if (strcmp(op, "ArgMax") == 0)
		return run_along(onnx, op, src[0], integer_attribute(onnx, "axis", 0));
	if (strcmp(op, "GatherND") == 0)
		return gather_rows(onnx, src[0], src[1]);
	if (strcmp(op, "GatherElements") == 0)
		return by_element(onnx, src[0], src[1], NULL);
	return strcmp(op, "ScatterElements") == 0 ? by_element(onnx, src[0], src[1], src[2]) : NULL;
}

/* ---- recurrence ---- */

static double
logistic(double x)
{
	return 1 / (1 + exp(-x));
}

typedef struct Cell
{
	bool		lstm;
	size_t		in;
	size_t		hidden;
	const double *weights;		/* (gates hidden, in) */
	const double *hidden_weights;	/* (gates hidden, hidden) */
	const double *bias;			/* (2 gates hidden) */
} Cell;

/* Gate row g of x and of h, biases added. */
static void
gate(const Cell *cell, size_t row, const double *x, const double *h, double *of_x, double *of_h)
{
	*of_x = cell->bias[row];
	*of_h = cell->bias[(cell->lstm ? 4 : 3) * cell->hidden + row];
	for (size_t k = 0; k < cell->in; k++)
		*of_x += cell->weights[row * cell->in + k] * x[k];
	for (size_t k = 0; k < cell->hidden; k++)
		*of_h += cell->hidden_weights[row * cell->hidden + k] * h[k];
}

/* h and c one step on: the formulas of the specification, LSTM with gates i o f c, GRU z r h with linear_before_reset. */
static void
step(const Cell *cell, const double *x, double *h, double *c)
{
	size_t		n = cell->hidden;
	double		next[64];

	MUST(n <= 64);
	for (size_t j = 0; j < n; j++)
	{
		double		of_x[4];
		double		of_h[4];

		for (size_t g = 0; g < (cell->lstm ? 4u : 3u); g++)
			gate(cell, g * n + j, x, h, &of_x[g], &of_h[g]);
		if (cell->lstm)
		{
			c[j] = logistic(of_x[2] + of_h[2]) * c[j] + logistic(of_x[0] + of_h[0]) * tanh(of_x[3] + of_h[3]);
			next[j] = logistic(of_x[1] + of_h[1]) * tanh(c[j]);
		}
		else
		{
			double		z = logistic(of_x[0] + of_h[0]);

			next[j] = (1 - z) * tanh(of_x[2] + logistic(of_x[1] + of_h[1]) * of_h[2]) + z * h[j];
		}
	}
	memcpy(h, next, n * sizeof(double));
}

/* LSTM and GRU in one direction: (length, batch, in) -> (length, 1, batch, hidden), zeros beyond the lengths. */
static Tensor *
recur(Onnx *onnx, const char *op, Tensor *const *src, int n)
{
	const Attribute *direction = attribute(onnx, "direction");
	bool		reverse = direction != NULL && strcmp(direction->text, "reverse") == 0;
	size_t		length = src[0]->dims[0];
	size_t		batch = src[0]->dims[1];
	Cell		cell = {.lstm = op[0] == 'L',.in = src[0]->dims[2],.hidden = (size_t) integer_attribute(onnx, "hidden_size", 0),
		.weights = src[1]->values,.hidden_weights = src[2]->values,.bias = src[3]->values};
	size_t		gates = (cell.lstm ? 4 : 3) * cell.hidden;
	Tensor	   *made = new_tensor(onnx, 4, (const size_t[]) {length, 1, batch, cell.hidden});

	MUST(src[1]->rank == 3 && src[1]->dims[1] == gates && src[1]->dims[2] == cell.in && src[2]->dims[1] == gates && src[2]->dims[2] == cell.hidden);
	MUST(src[3]->rank == 2 && src[3]->dims[1] == 2 * gates && (cell.lstm || integer_attribute(onnx, "linear_before_reset", 0) == 1));
	MUST(direction != NULL && (reverse || strcmp(direction->text, "forward") == 0));
	for (size_t b = 0; b < batch; b++)
	{
		size_t		own = n > 4 ? (size_t) src[4]->values[b] : length;
		double		h[64] = {0};
		double		c[64] = {0};

		MUST(own <= length && (n == 4 || (src[4]->rank == 1 && src[4]->whole)));
		for (size_t i = 0; i < own; i++)
		{
			size_t		t = reverse ? own - 1 - i : i;

			step(&cell, src[0]->values + (t * batch + b) * cell.in, h, c);
			memcpy(made->values + (t * batch + b) * cell.hidden, h, cell.hidden * sizeof(double));
		}
	}
	return made;
}

/* ---- Scan ---- */

/* Number t along an axis, which goes away; under the name that the body has for it. */
static void
give_slice(Onnx *onnx, const Tensor *src, int axis, size_t t, const char *name)
{
	size_t		dims[ONNX_RANK] = {0};
	int			rank = 0;
	size_t		before;
	size_t		behind;
	Tensor	   *made;

	split(src, axis, &before, &behind);
	for (int d = 0; d < src->rank; d++)
		if (d != axis)
			dims[rank++] = src->dims[d];
	made = new_tensor(onnx, rank, dims);
	for (size_t i = 0; i < made->size; i++)
		made->values[i] = src->values[(i / behind * src->dims[axis] + t) * behind + i % behind];
	made->whole = src->whole;
	strcpy(made->name, name);
}

/* The names in fields of one number of a graph, which are values with a name. */
static int
list_names(Span graph, unsigned number, char names[3][64])
{
	Field		field;
	Field		inner;
	int			n = 0;

	while (next_field(&graph, &field))
	{
		if (field.number != number)
			continue;
		MUST(n < 3);
		while (next_field(&field.span, &inner))
			if (inner.number == 1)
				copy_text(inner.span, names[n], 64);
		n++;
	}
	return n;
}

/* A value that outlives the step in which it was made. */
static Tensor
keep(const Tensor *src)
{
	Tensor		kept = *src;

	kept.values = calloc(src->size + 1, sizeof(double));
	memcpy(kept.values, src->values, src->size * sizeof(double));
	return kept;
}

/*
 * One state, a sequence (batch, length, ...) and the numbers (length); outputs are the state in the end and what every step gave, side by side along
 * axis 1.
 */
static void
walk(Onnx *onnx, Tensor *const *src, char output[2][64])
{
	const Attribute *body = attribute(onnx, "body");
	Span		graph = body->graph;
	bool		reverse = attribute(onnx, "scan_input_directions")->integers[0] == 1;
	size_t		length = src[2]->size;
	char		in[3][64];
	char		out[3][64];
	Tensor		state = keep(src[0]);
	Tensor		all = {0};
	Tensor		sequence = *src[1];
	Tensor		numbers = *src[2];
	size_t		dims[ONNX_RANK];

	MUST(integer_attribute(onnx, "num_scan_inputs", 0) == 2 && sequence.dims[1] == length);
	MUST(list_names(graph, 11, in) == 3 && list_names(graph, 12, out) == 2);
	MUST(attribute(onnx, "scan_input_axes")->integers[0] == 1 && attribute(onnx, "scan_output_axes")->integers[0] == 1 &&
		 attribute(onnx, "scan_input_axes")->integers[1] == 0 && attribute(onnx, "scan_output_directions")->integers[0] == (int64_t) reverse);
	forget_attributes(onnx);
	for (size_t i = 0; i < length; i++)
	{
		size_t		t = reverse ? length - 1 - i : i;
		int			first = onnx->n;
		Span		nodes = graph;
		Tensor	   *given = new_tensor(onnx, state.rank, state.dims);
		const Tensor *made;
		size_t		width;
		Field		field;

		memcpy(given->values, state.values, state.size * sizeof(double));
		given->whole = state.whole;
		strcpy(given->name, in[0]);
		give_slice(onnx, &sequence, 1, t, in[1]);
		give_slice(onnx, &numbers, 0, t, in[2]);
		while (next_field(&nodes, &field))
			if (field.number == 1)
				run_node(onnx, field.span);
		made = find_value(onnx, out[0]);
		MUST(made->size == state.size);
		memcpy(state.values, made->values, state.size * sizeof(double));
		made = find_value(onnx, out[1]);
		if (i == 0)
		{
			all = keep(made);
			all.values = realloc(all.values, (length * made->size + 1) * sizeof(double));
		}
		width = made->size / made->dims[0];
		for (size_t j = 0; j < made->size; j++)
			all.values[(j / width * length + t) * width + j % width] = made->values[j];
		while (onnx->n > first)
			free(onnx->tensors[--onnx->n].values);
	}
	for (int d = 0; d <= all.rank; d++)
		dims[d] = d == 0 ? all.dims[0] : d == 1 ? length : all.dims[d - 1];
	all.rank++;
	all.size *= length;
	memcpy(all.dims, dims, sizeof(size_t) * (size_t) all.rank);
	for (int i = 0; i < 2; i++)
	{
		const Tensor *from = i == 0 ? &state : &all;
		Tensor	   *made = new_tensor(onnx, from->rank, from->dims);

		memcpy(made->values, from->values, from->size * sizeof(double));
		made->whole = from->whole;
		strcpy(made->name, output[i]);
		free(from->values);
	}
}

#endif							/* IDLA_TEST_CHECK_ONNX_WALK_H */

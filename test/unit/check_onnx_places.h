/*
 * check_onnx_places.h: the part of check_onnx.h for windows over images and sequences, and for what is laid around them or cut off.
 */
#ifndef IDLA_TEST_CHECK_ONNX_PLACES_H
#define IDLA_TEST_CHECK_ONNX_PLACES_H

/* Zeros or another value around, or a part of one axis, or its reverse. */
static Tensor *
shift(Onnx *onnx, const char *op, Tensor *const *src, int n)
{
	bool		pads = strcmp(op, "Pad") == 0;
	int			axis = pads ? -1 : (int) src[3]->values[0];
	int64_t		step_along = n == 5 ? (int64_t) src[4]->values[0] : 1;
	int64_t		first[ONNX_RANK] = {0};
	size_t		dims[ONNX_RANK];
	Tensor	   *made;

	for (int d = 0; d < src[0]->rank; d++)
	{
		dims[d] = src[0]->dims[d] + (pads ? (size_t) (src[1]->values[d] + src[1]->values[src[0]->rank + d]) : 0);
		first[d] = pads ? -(int64_t) src[1]->values[d] : 0;
	}
	if (!pads && step_along < 0)
		MUST(step_along == -1 && src[1]->values[0] == -1 && src[2]->values[0] < -1e18);
	else if (!pads)
	{
		first[axis] = (int64_t) src[1]->values[0];
		dims[axis] = (size_t) (src[2]->values[0] - src[1]->values[0]);
		MUST(step_along == 1 && first[axis] >= 0 && (size_t) first[axis] + dims[axis] <= src[0]->dims[axis]);
	}
	made = new_tensor(onnx, src[0]->rank, dims);
	for (size_t i = 0; i < made->size; i++)
	{
		size_t		rest = i;
		size_t		at = 0;
		size_t		step = 1;
		bool		inside = true;

		for (int d = made->rank - 1; d >= 0; d--)
		{
			int64_t		place = (int64_t) (rest % dims[d]);

			place = d == axis && step_along < 0 ? (int64_t) dims[d] - 1 - place : place + first[d];
			inside = inside && place >= 0 && place < (int64_t) src[0]->dims[d];
			at += (size_t) place * step;
			step *= src[0]->dims[d];
			rest /= dims[d];
		}
		made->values[i] = inside ? src[0]->values[at] : pads && n > 2 ? src[2]->values[0] : 0;
	}
	return made;
}

/* An attribute of one number a side; of a sequence, which is an image of one line, `line` comes first. */
static void
sides(const Onnx *onnx, const char *name, bool image, int64_t line, int64_t *dst)
{
	const Attribute *found = attribute(onnx, name);

	MUST(found != NULL && (found->n == (image ? 2u : 1u)));
	dst[0] = image ? found->integers[0] : line;
	dst[1] = found->integers[image ? 1 : 0];
}

/* Conv (without bias), MaxPool and AveragePool of images (batch, channels, height, width) and sequences (batch, channels, length). */
static Tensor *
slide(Onnx *onnx, const char *op, Tensor *const *given)
{
	bool		image = given[0]->rank == 4;
	bool		pool = strcmp(op, "Conv") != 0;
	Tensor		lines[2];
	const Tensor *x = &lines[0];
	const Tensor *src[2] = {x, &lines[1]};
	const int64_t *around = attribute(onnx, "pads")->integers;
	int64_t		kernel[2];
	int64_t		stride[2];
	int64_t		dilation[2] = {1, 1};
	int64_t		pads[4] = {image ? around[0] : 0, around[image ? 1 : 0], image ? around[2] : 0, around[image ? 3 : 1]};
	size_t		groups = (size_t) integer_attribute(onnx, "group", 1);
	size_t		inside = pool ? 1 : given[1]->dims[1];
	size_t		dims[4] = {given[0]->dims[0], pool ? given[0]->dims[1] : given[1]->dims[0]};
	Tensor	   *made;

	for (int i = 0; i < (pool ? 1 : 2); i++)
	{
		lines[i] = *given[i];
		if (!image)
		{
			lines[i].dims[3] = lines[i].dims[2];
			lines[i].dims[2] = 1;
		}
	}
	sides(onnx, "kernel_shape", image, 1, kernel);
	sides(onnx, "strides", image, 1, stride);
	if (!pool)
		sides(onnx, "dilations", image, 1, dilation);
	for (int d = 0; d < 2; d++)
		dims[2 + d] = (size_t) (((int64_t) x->dims[2 + d] + pads[d] + pads[2 + d] - (kernel[d] - 1) * dilation[d] - 1) / stride[d] + 1);
	made = new_tensor(onnx, 4, dims);
	MUST(pool || (src[1]->dims[2] == (size_t) kernel[0] && src[1]->dims[3] == (size_t) kernel[1] && inside * groups == x->dims[1]));
	for (size_t i = 0; i < made->size; i++)
	{
		size_t		out = i / (dims[2] * dims[3]) % dims[1];
		size_t		n = 0;

		for (size_t c = 0; c < inside; c++)
			for (int64_t k = 0; k < kernel[0] * kernel[1]; k++)
			{
				int64_t		row = (int64_t) (i / dims[3] % dims[2]) * stride[0] + k / kernel[1] * dilation[0] - pads[0];
				int64_t		col = (int64_t) (i % dims[3]) * stride[1] + k % kernel[1] * dilation[1] - pads[1];
				size_t		channel = pool ? out : out / (dims[1] / groups) * inside + c;
				double		value;

				if (row < 0 || col < 0 || row >= (int64_t) x->dims[2] || col >= (int64_t) x->dims[3])
					continue;
				value = x->values[((i / (dims[1] * dims[2] * dims[3]) * x->dims[1] + channel) * x->dims[2] + (size_t) row) * x->dims[3] + (size_t) col];
				if (!pool)
					made->values[i] += value * src[1]->values[(out * inside + c) * (size_t) (kernel[0] * kernel[1]) + (size_t) k];
				else if (op[0] == 'A')
					made->values[i] += value;
				else
					made->values[i] = n == 0 ? value : fmax(value, made->values[i]);
				n++;
			}
		if (op[0] == 'A')
			made->values[i] /= (double) n;
	}
	if (!image)
	{
		made->rank = 3;
		made->dims[2] = made->dims[3];
	}
	return made;
}

#endif							/* IDLA_TEST_CHECK_ONNX_PLACES_H */

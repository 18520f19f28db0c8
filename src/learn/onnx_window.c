/*
 * onnx_window.c: rows that are seen in windows, in ONNX, as windows.c sees them.
 *
 * Every row gets as many windows as the one with most; those that it has not show something and do not count in its means.
 */
#include "onnx.h"

#include <float.h>

#include "idla/learn_data.h"

#include "windows.h"

void
learn_onnx_windows(LearnOnnxWriter *writer)
{
	NnOnnx	   *onnx = writer->onnx;
	NnOnnxValue most = learn_onnx_reduce(onnx, "ReduceMax", writer->n_windows, 0, false);

	writer->most_windows = learn_onnx_along(onnx, "Squeeze", most, 0);
}

NnOnnxValue
learn_onnx_repeat(LearnOnnxWriter *writer, NnOnnxValue value, int rank, const size_t *dims)
{
	NnOnnx	   *onnx = writer->onnx;
	static const int64_t ones[NN_MAX_RANK] = {1, 1, 1, 1};
	int64_t		flat[NN_MAX_RANK + 1] = {-1};
	const NnOnnxValue shape[] = {nn_onnx_list(onnx, 1, ones), learn_onnx_along(onnx, "Unsqueeze", writer->most_windows, 0),
		nn_onnx_list(onnx, (size_t) rank, ones)};

	for (int i = 0; i < rank; i++)
		flat[i + 1] = dims == NULL ? 1 : (int64_t) dims[i];
	value = learn_onnx_along(onnx, "Unsqueeze", value, 1);
	nn_onnx_set_integer(onnx, "axis", 0);
	value = nn_onnx_apply2(onnx, "Expand", value, nn_onnx_apply(onnx, "Concat", shape, 3));
	return nn_onnx_apply2(onnx, "Reshape", value, nn_onnx_list(onnx, (size_t) rank + 1, flat));
}

void
learn_onnx_repeat_inputs(LearnOnnxWriter *writer)
{
	const LearnModel *model = writer->model;

	if (model->n_numbers > 0)
		writer->numbers = learn_onnx_repeat(writer, writer->numbers, 1, &model->n_numbers);
	if (model->n_codes > 0)
		writer->codes = learn_onnx_repeat(writer, writer->codes, 1, &model->n_codes);
	for (int i = 0; i < model->n_fields; i++)
	{
		LearnPlane	planes[LEARN_MAX_PLANES];
		int			n = learn_field_planes(&model->fields[i], planes);

		if (model->fields[i].stride > 0)
			continue;
		for (int plane = 0; plane < n; plane++)
			writer->planes[i][plane] = learn_onnx_repeat(writer, writer->planes[i][plane], planes[plane].shape.rank, planes[plane].shape.dims);
		if (writer->lengths[i] != NN_NONE)
			writer->lengths[i] = learn_onnx_repeat(writer, writer->lengths[i], 1, NULL);
	}
}

NnOnnxValue
learn_onnx_window_mean(LearnOnnxWriter *writer, NnOnnxValue value, NnOnnxType type, size_t width)
{
	NnOnnx	   *onnx = writer->onnx;
	const int64_t any = -1;
	const int64_t last = (int64_t) width;
	const NnOnnxValue shape[] = {nn_onnx_list(onnx, 1, &any), learn_onnx_along(onnx, "Unsqueeze", writer->most_windows, 0), nn_onnx_list(onnx, 1, &last)};
	NnOnnxValue number = learn_onnx_along(onnx, "Unsqueeze", learn_onnx_count(onnx, writer->most_windows), 1);
	NnOnnxValue seen = nn_onnx_apply2(onnx, "Less", number, learn_onnx_along(onnx, "Unsqueeze", writer->n_windows, 2));

	nn_onnx_set_integer(onnx, "axis", 0);
	value = nn_onnx_apply2(onnx, "Reshape", value, nn_onnx_apply(onnx, "Concat", shape, 3));
	value = nn_onnx_apply3(onnx, "Where", seen, value, type == NN_ONNX_DOUBLE ? nn_onnx_double(onnx, 0) : nn_onnx_float(onnx, 0));
	nn_onnx_set_integer(onnx, "keepdims", 0);
	value = learn_onnx_along(onnx, "ReduceSum", value, 1);
	return nn_onnx_apply2(onnx, "Div", value, nn_onnx_cast(onnx, writer->n_windows, type));
}

/* The log of a mean of probabilities, which may have underflowed. */
static NnOnnxValue
log_mean(LearnOnnxWriter *writer, NnOnnxValue probabilities, size_t width)
{
	NnOnnxValue mean = learn_onnx_window_mean(writer, probabilities, NN_ONNX_DOUBLE, width);

	return nn_onnx_apply1(writer->onnx, "Log", nn_onnx_apply2(writer->onnx, "Max", mean, nn_onnx_double(writer->onnx, DBL_MIN)));
}

NnOnnxValue
learn_onnx_window_outputs(LearnOnnxWriter *writer, NnOnnxValue outputs)
{
	const LearnModel *model = writer->model;
	NnOnnx	   *onnx = writer->onnx;
	size_t		n = learn_model_outputs(model);
	LearnWindowing how = learn_windowing(model->task, model->fields, model->n_fields, n, model->offset);
	NnOnnxValue offset;
	NnOnnxValue mean;

	if (how.linear)
		return learn_onnx_window_mean(writer, outputs, NN_ONNX_DOUBLE, n);
	offset = how.offset == NULL ? nn_onnx_double(onnx, 0) : nn_onnx_doubles(onnx, 1, &n, how.offset);
	outputs = nn_onnx_apply2(onnx, "Add", outputs, offset);
	if (how.classes)
	{
		nn_onnx_set_integer(onnx, "axis", -1);
		mean = log_mean(writer, nn_onnx_apply1(onnx, "Softmax", outputs), n);
	}
	else
	{
		mean = log_mean(writer, nn_onnx_apply1(onnx, "Sigmoid", outputs), n);
		outputs = nn_onnx_apply1(onnx, "Sigmoid", nn_onnx_apply1(onnx, "Neg", outputs));
		mean = nn_onnx_apply2(onnx, "Sub", mean, log_mean(writer, outputs, n));
	}
	return nn_onnx_apply2(onnx, "Sub", mean, offset);
}

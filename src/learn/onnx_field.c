/*
 * onnx_field.c: images and series in ONNX, from what is stored of them to the planes of the network, as field.c and series.c load them.
 */
#include "onnx.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "idla/learn_data.h"

/* ---- What fields share ---- */

NnOnnxValue
learn_onnx_numbered(LearnOnnxWriter *writer, size_t n)
{
	int64_t    *numbers = dev_alloc(writer->session, n, sizeof(int64_t));
	NnOnnxValue made;

	if (numbers == NULL)
		return nn_onnx_fail(writer->onnx, DEV_NO_MEMORY, "no memory for %zu numbers", n);
	for (size_t i = 0; i < n; i++)
		numbers[i] = (int64_t) i;
	made = nn_onnx_list(writer->onnx, n, numbers);
	dev_release(writer->session, numbers);
	return made;
}

/* What is not known is scattered to place 0, where nobody looks. */
LearnOnnxKnown
learn_onnx_known(NnOnnx *onnx, NnOnnxValue known)
{
	static const int64_t room[] = {0, 0, 0, 0, 2, 0};
	NnOnnxValue ones = nn_onnx_cast(onnx, known, NN_ONNX_INT64);
	NnOnnxValue zeros = nn_onnx_apply2(onnx, "Mul", ones, nn_onnx_integer(onnx, 0));
	NnOnnxValue numbers = learn_onnx_along(onnx, "Unsqueeze", learn_onnx_count(onnx, learn_onnx_size(onnx, known, 1)), 1);
	LearnOnnxKnown made;

	made.rank = nn_onnx_apply2(onnx, "CumSum", ones, nn_onnx_integer(onnx, 1));
	numbers = nn_onnx_apply2(onnx, "Add", zeros, numbers);
	zeros = nn_onnx_apply2(onnx, "Pad", zeros, nn_onnx_list(onnx, 6, room));
	ones = nn_onnx_apply2(onnx, "Mul", made.rank, ones);
	nn_onnx_set_integer(onnx, "axis", 1);
	made.places = nn_onnx_apply3(onnx, "ScatterElements", zeros, ones, numbers);
	return made;
}

NnOnnxValue
learn_onnx_pick(NnOnnx *onnx, NnOnnxValue src, NnOnnxValue index)
{
	nn_onnx_set_integer(onnx, "axis", 1);
	return nn_onnx_apply2(onnx, "GatherElements", src, index);
}

NnOnnxValue
learn_onnx_finite(NnOnnx *onnx, NnOnnxValue value)
{
	NnOnnxValue none = nn_onnx_apply2(onnx, "Or", nn_onnx_apply1(onnx, "IsNaN", value), nn_onnx_apply1(onnx, "IsInf", value));

	return nn_onnx_apply3(onnx, "Where", none, nn_onnx_float(onnx, 0), value);
}

/* ---- Images ---- */

/* Pixels as they are stored, (value - center) * scale, one each a channel; what is missing is nothing after that. */
void
learn_onnx_image(LearnOnnxWriter *writer, int number)
{
	const LearnField *field = &writer->model->fields[number];
	NnOnnx	   *onnx = writer->onnx;
	char		note[LEARN_ONNX_NOTE];
	NnOnnxValue input;
	NnOnnxValue scaled;

	snprintf(note, sizeof(note), "image of %zu x %zu pixels and %zu channels%s; NaN stands for NULL", field->dims[0], field->dims[1], field->dims[2],
			 field->sample == LEARN_SAMPLE_F32 ? "" : ", black being 0 and white 1");
	input = nn_onnx_input(onnx, field->name, NN_ONNX_FLOAT, 3, field->dims, note);
	scaled = nn_onnx_apply2(onnx, "Sub", input, nn_onnx_floats(onnx, 1, &field->dims[2], field->center));
	scaled = nn_onnx_apply2(onnx, "Mul", scaled, nn_onnx_floats(onnx, 1, &field->dims[2], field->scale));
	writer->planes[number][0] = nn_onnx_apply3(onnx, "Where", nn_onnx_apply1(onnx, "IsNaN", input), nn_onnx_float(onnx, 0), scaled);
}

/* ---- Series ---- */

/* One number a channel, (channels). */
typedef enum Fitted
{
	FITTED_KNOWN,				/* 0, or NaN for a channel that training has never seen */
	FITTED_MEAN,
	FITTED_DEVIATION
} Fitted;

static NnOnnxValue
fitted(LearnOnnxWriter *writer, const LearnSeriesPlan *plan, Fitted which)
{
	size_t		n = (size_t) plan->n_channels;
	double	   *values = dev_alloc(writer->session, n, sizeof(double));
	NnOnnxValue made;

	if (values == NULL)
		return nn_onnx_fail(writer->onnx, DEV_NO_MEMORY, "no memory for %zu channels", n);
	for (size_t i = 0; i < n; i++)
		values[i] = which == FITTED_MEAN ? plan->channels[i].mean : which == FITTED_DEVIATION ? plan->channels[i].deviation :
			plan->channels[i].n > 0 ? 0 : NAN;
	made = nn_onnx_doubles(writer->onnx, 1, &n, values);
	dev_release(writer->session, values);
	return made;
}

static NnOnnxValue
scale_values(LearnOnnxWriter *writer, const LearnSeriesPlan *plan, NnOnnxValue value)
{
	NnOnnx	   *onnx = writer->onnx;
	NnOnnxValue x = nn_onnx_apply2(onnx, "Sub", value, fitted(writer, plan, FITTED_MEAN));
	NnOnnxValue part;

	x = nn_onnx_apply2(onnx, "Div", x, fitted(writer, plan, FITTED_DEVIATION));
	part = nn_onnx_apply2(onnx, "Div", nn_onnx_apply2(onnx, "Mul", x, x), nn_onnx_double(onnx, 9));
	part = nn_onnx_apply1(onnx, "Sqrt", nn_onnx_apply2(onnx, "Add", part, nn_onnx_double(onnx, 1)));
	return nn_onnx_cast(onnx, nn_onnx_apply2(onnx, "Div", x, part), NN_ONNX_FLOAT);
}

static const char *
channel_of(const void *context, size_t i, size_t *size)
{
	const LearnSeriesPlan *plan = context;

	*size = strlen(plan->channels[i].name);
	return plan->channels[i].name;
}

/* What was observed before the window, or nothing, stands before the first bin. */
static NnOnnxValue
with_before(LearnOnnxWriter *writer, NnOnnxValue before, NnOnnxValue bins)
{
	NnOnnxValue both[2] = {learn_onnx_along(writer->onnx, "Unsqueeze", before, 1), bins};

	return learn_onnx_beside(writer, both, 2);
}

/*
 * Bins since the observation before each bin, as a share of all: place 0 of last (rows, bins, channels) is what came before the window, whose age is
 * told.
 */
static NnOnnxValue
since_observed(LearnOnnxWriter *writer, const LearnSeriesPlan *plan, NnOnnxValue last, NnOnnxValue age)
{
	NnOnnx	   *onnx = writer->onnx;
	NnOnnxValue bin = learn_onnx_along(onnx, "Unsqueeze", learn_onnx_numbered(writer, plan->n_bins), 1);
	NnOnnxValue known = nn_onnx_apply2(onnx, "Sub", nn_onnx_apply2(onnx, "Add", bin, nn_onnx_integer(onnx, 1)), last);
	NnOnnxValue since;

	age = nn_onnx_cast(onnx, learn_onnx_along(onnx, "Unsqueeze", age, 1), NN_ONNX_DOUBLE);
	age = nn_onnx_apply3(onnx, "Where", nn_onnx_apply1(onnx, "IsNaN", age), nn_onnx_double(onnx, 0), age);
	since = nn_onnx_apply2(onnx, "Add", nn_onnx_cast(onnx, bin, NN_ONNX_DOUBLE), age);
	since = nn_onnx_apply3(onnx, "Where", nn_onnx_apply2(onnx, "Greater", last, nn_onnx_integer(onnx, 0)),
						   nn_onnx_cast(onnx, known, NN_ONNX_DOUBLE), since);
	since = nn_onnx_apply2(onnx, "Div", since, nn_onnx_double(onnx, (double) plan->n_bins));
	return nn_onnx_cast(onnx, nn_onnx_apply2(onnx, "Min", since, nn_onnx_double(onnx, 1)), NN_ONNX_FLOAT);
}

/* learn_series_load: values, the last one observed where there is none, whether one was observed, and how long ago the one before was. */
void
learn_onnx_series(LearnOnnxWriter *writer, int number)
{
	const LearnField *field = &writer->model->fields[number];
	const LearnSeriesPlan *plan = field->series;
	const int64_t length = (int64_t) plan->n_bins;
	const size_t dims[] = {plan->n_bins, (size_t) plan->n_channels};
	NnOnnx	   *onnx = writer->onnx;
	char		note[LEARN_ONNX_NOTE];
	NnOnnxValue bins;
	NnOnnxValue before;
	NnOnnxValue age;
	NnOnnxValue observed;
	NnOnnxValue last;
	NnOnnxValue parts[3];
	LearnOnnxKnown known;

	snprintf(note, sizeof(note), "values of the metadata's %s.channels in %zu bins of %g, the first of which begins at %g, the time of the prediction "
			 "being 0; NaN where nothing was observed", field->name, plan->n_bins, plan->width, plan->start);
	learn_onnx_note_list(writer, field->name, ".channels", false, (size_t) plan->n_channels, channel_of, plan);
	bins = learn_onnx_input(writer, field->name, "", NN_ONNX_FLOAT, 2, dims, NULL, note);
	before = learn_onnx_input(writer, field->name, ".before", NN_ONNX_FLOAT, 1, dims + 1, NULL,
							  "the last value of each channel before the first bin; NaN where there is none");
	age = learn_onnx_input(writer, field->name, ".age", NN_ONNX_FLOAT, 1, dims + 1, NULL,
						   "how long before the first bin that was, in bins; NaN where there is none");

	bins = nn_onnx_apply2(onnx, "Add", nn_onnx_cast(onnx, bins, NN_ONNX_DOUBLE), fitted(writer, plan, FITTED_KNOWN));
	before = nn_onnx_apply2(onnx, "Add", nn_onnx_cast(onnx, before, NN_ONNX_DOUBLE), fitted(writer, plan, FITTED_KNOWN));
	observed = nn_onnx_apply1(onnx, "Not", nn_onnx_apply1(onnx, "IsNaN", bins));
	/* Of what came before it counts that it is there, be it nothing. */
	known = learn_onnx_known(onnx, with_before(writer, nn_onnx_apply2(onnx, "Equal", nn_onnx_apply1(onnx, "IsNaN", before),
																	  nn_onnx_apply1(onnx, "IsNaN", before)), observed));
	last = learn_onnx_pick(onnx, known.places, known.rank);
	parts[0] = learn_onnx_finite(onnx, scale_values(writer, plan, with_before(writer, before, bins)));
	parts[0] = learn_onnx_pick(onnx, parts[0], last);
	parts[0] = learn_onnx_gather(onnx, parts[0], 1, nn_onnx_apply2(onnx, "Add", learn_onnx_numbered(writer, plan->n_bins), nn_onnx_integer(onnx, 1)));
	parts[1] = nn_onnx_cast(onnx, observed, NN_ONNX_FLOAT);
	parts[2] = since_observed(writer, plan, learn_onnx_gather(onnx, last, 1, learn_onnx_numbered(writer, plan->n_bins)), age);
	nn_onnx_set_integer(onnx, "axis", 2);
	writer->planes[number][0] = nn_onnx_apply(onnx, "Concat", parts, 3);
	/* All bins count; there are as many numbers as rows. */
	parts[0] = learn_onnx_reduce(onnx, "ReduceMax", nn_onnx_cast(onnx, observed, NN_ONNX_INT64), 2, false);
	parts[0] = nn_onnx_apply2(onnx, "Mul", learn_onnx_reduce(onnx, "ReduceMax", parts[0], 1, true), nn_onnx_integer(onnx, 0));
	writer->lengths[number] = nn_onnx_apply2(onnx, "Add", parts[0], nn_onnx_integer(onnx, length));
}

/*
 * onnx_signal.c: signals in ONNX, from samples as they were recorded to the plane of the network: gaps bridged, resampled, scaled, cut to length, as
 * field_take.c and field.c do it.
 *
 * Samples are (rows, samples, leads), as many as the longest has; another input tells how many of them each row has. All that concerns samples
 * beyond that is computed too, and thrown away in the end.
 */
#include "onnx.h"

#include <math.h>
#include <stdio.h>

/* Which samples count: (rows, most, 1). */
static NnOnnxValue
counted(NnOnnx *onnx, const LearnOnnxWave *wave)
{
	NnOnnxValue numbers = learn_onnx_along(onnx, "Unsqueeze", learn_onnx_count(onnx, wave->most), 1);

	return nn_onnx_apply2(onnx, "Less", numbers, learn_onnx_along(onnx, "Unsqueeze", wave->n, 2));
}

static void
describe(const LearnField *field, char *note)
{
	size_t		used = (size_t) snprintf(note, LEARN_ONNX_NOTE, "samples of %zu leads", field->dims[1]);

	if (field->rate > 0)
		used += (size_t) snprintf(note + used, LEARN_ONNX_NOTE - used, ", %g a second", field->rate);
	snprintf(note + used, LEARN_ONNX_NOTE - used, "; NaN stands for a missing one, nothing but NaN for NULL");
}

static LearnOnnxWave
write_inputs(LearnOnnxWriter *writer, const LearnField *field)
{
	const size_t dims[] = {0, field->dims[1]};
	const size_t one = 1;
	NnOnnx	   *onnx = writer->onnx;
	char		note[LEARN_ONNX_NOTE];
	LearnOnnxWave wave;

	describe(field, note);
	wave.samples = learn_onnx_input(writer, field->name, "", NN_ONNX_FLOAT, 2, dims, ".samples", note);
	wave.n = learn_onnx_input(writer, field->name, ".length", NN_ONNX_INT64, 1, &one, NULL, "how many of the samples are the row's; 0 for NULL");
	wave.most = learn_onnx_size(onnx, wave.samples, 1);
	wave.n = nn_onnx_apply3(onnx, "Clip", wave.n, nn_onnx_integer(onnx, 0), wave.most);
	return wave;
}

/*
 * learn_signal_bridge: between the known samples beside a gap there is a line, in double precision; at an end both are the same one. A signal without
 * any value is none.
 */
static void
bridge(NnOnnx *onnx, LearnOnnxWave *wave)
{
	NnOnnxValue gap = nn_onnx_apply2(onnx, "Or", nn_onnx_apply1(onnx, "IsNaN", wave->samples), nn_onnx_apply1(onnx, "IsInf", wave->samples));
	NnOnnxValue known = nn_onnx_apply2(onnx, "And", counted(onnx, wave), nn_onnx_apply1(onnx, "Not", gap));
	LearnOnnxKnown where = learn_onnx_known(onnx, known);
	NnOnnxValue one = nn_onnx_integer(onnx, 1);
	NnOnnxValue all = learn_onnx_reduce(onnx, "ReduceMax", where.rank, 1, true);
	NnOnnxValue left = learn_onnx_pick(onnx, where.places, nn_onnx_apply2(onnx, "Max", where.rank, one));
	NnOnnxValue right = nn_onnx_apply2(onnx, "Min", nn_onnx_apply2(onnx, "Add", where.rank, one), all);
	NnOnnxValue at = learn_onnx_along(onnx, "Unsqueeze", learn_onnx_count(onnx, wave->most), 1);
	NnOnnxValue from;
	NnOnnxValue slope;
	NnOnnxValue distance;

	right = learn_onnx_pick(onnx, where.places, nn_onnx_apply2(onnx, "Max", right, one));
	from = nn_onnx_cast(onnx, learn_onnx_pick(onnx, wave->samples, left), NN_ONNX_DOUBLE);
	slope = nn_onnx_cast(onnx, learn_onnx_pick(onnx, wave->samples, right), NN_ONNX_DOUBLE);
	distance = nn_onnx_apply2(onnx, "Max", nn_onnx_apply2(onnx, "Sub", right, left), one);
	slope = nn_onnx_apply2(onnx, "Div", nn_onnx_apply2(onnx, "Sub", slope, from), nn_onnx_cast(onnx, distance, NN_ONNX_DOUBLE));
	distance = nn_onnx_cast(onnx, nn_onnx_apply2(onnx, "Sub", at, left), NN_ONNX_DOUBLE);
	from = nn_onnx_apply2(onnx, "Add", from, nn_onnx_apply2(onnx, "Mul", slope, distance));
	wave->samples = nn_onnx_apply3(onnx, "Where", known, wave->samples, nn_onnx_cast(onnx, from, NN_ONNX_FLOAT));
	all = learn_onnx_reduce(onnx, "ReduceMax", all, 2, false);
	wave->n = nn_onnx_apply2(onnx, "Mul", wave->n, nn_onnx_apply2(onnx, "Min", all, one));
}

/* ---- Resampling ---- */

#define CROSSINGS 8				/* as in signal_resample.c */
#define STEPS 256
#define MOST_TAPS 16384			/* samples that one is made of, in the file: a rate 1,024 times lower */
#define PI 3.14159265358979323846

static NnOnnxValue
tabulated(NnOnnx *onnx)
{
	const size_t n = CROSSINGS * STEPS + 2;
	double		weights[CROSSINGS * STEPS + 2];

	weights[0] = 1;
	for (size_t i = 1; i < CROSSINGS * STEPS; i++)
	{
		double		x = PI * (double) i / STEPS;

		weights[i] = sin(x) / x * (0.5 + 0.5 * cos(x / CROSSINGS));
	}
	weights[CROSSINGS * STEPS] = weights[CROSSINGS * STEPS + 1] = 0;
	return nn_onnx_doubles(onnx, 1, &n, weights);
}

/* learn_signal_resampled of n, int64: so many samples at the other rate. */
static NnOnnxValue
resampled_length(NnOnnx *onnx, const LearnField *field, NnOnnxValue n)
{
	NnOnnxValue one = nn_onnx_integer(onnx, 1);
	NnOnnxValue exact = nn_onnx_apply2(onnx, "Mul", nn_onnx_cast(onnx, n, NN_ONNX_DOUBLE), nn_onnx_double(onnx, field->to_rate));

	exact = nn_onnx_apply2(onnx, "Div", exact, nn_onnx_double(onnx, field->rate));
	exact = nn_onnx_apply1(onnx, "Ceil", nn_onnx_apply2(onnx, "Mul", exact, nn_onnx_double(onnx, 1 - 1e-12)));
	exact = nn_onnx_apply2(onnx, "Max", nn_onnx_cast(onnx, exact, NN_ONNX_INT64), one);
	return nn_onnx_apply2(onnx, "Mul", exact, nn_onnx_apply2(onnx, "Min", n, one));
}

/* Linear between the places of the table; x (rows, most, taps) in places. */
static NnOnnxValue
looked_up(NnOnnx *onnx, NnOnnxValue x)
{
	NnOnnxValue table = tabulated(onnx);
	NnOnnxValue low = nn_onnx_cast(onnx, x, NN_ONNX_INT64);
	NnOnnxValue first = nn_onnx_apply2(onnx, "Gather", table, low);
	NnOnnxValue next = nn_onnx_apply2(onnx, "Gather", table, nn_onnx_apply2(onnx, "Add", low, nn_onnx_integer(onnx, 1)));

	x = nn_onnx_apply2(onnx, "Sub", x, nn_onnx_cast(onnx, low, NN_ONNX_DOUBLE));
	return nn_onnx_apply2(onnx, "Add", first, nn_onnx_apply2(onnx, "Mul", nn_onnx_apply2(onnx, "Sub", next, first), x));
}

/* samples of row r at index (rows, n): (rows, n, leads); an index out of range stands for the nearest that is in it. */
static NnOnnxValue
pick_samples(NnOnnx *onnx, const LearnOnnxWave *wave, NnOnnxValue index)
{
	NnOnnxValue last = nn_onnx_apply2(onnx, "Sub", wave->most, nn_onnx_integer(onnx, 1));

	index = nn_onnx_apply3(onnx, "Clip", index, nn_onnx_integer(onnx, 0), last);
	index = learn_onnx_along(onnx, "Unsqueeze", index, 2);
	nn_onnx_set_integer(onnx, "batch_dims", 1);
	return nn_onnx_apply2(onnx, "GatherND", wave->samples, index);
}

/* A shape of four, the second of which is known when the file is run. */
static NnOnnxValue
shape_of(NnOnnx *onnx, NnOnnxValue second, int64_t third, int64_t fourth)
{
	const int64_t any = -1;
	const int64_t rest[] = {third, fourth};
	const NnOnnxValue parts[] = {nn_onnx_list(onnx, 1, &any), learn_onnx_along(onnx, "Unsqueeze", second, 0),
		nn_onnx_list(onnx, fourth > 0 ? 2 : 1, rest)};

	nn_onnx_set_integer(onnx, "axis", 0);
	return nn_onnx_apply(onnx, "Concat", parts, 3);
}

/*
 * learn_signal_resample: output i is the weighted mean of the samples within `reach` of place i * step, of which there are `taps` at most. Samples under
 * the taps of all outputs are (rows, most, taps, leads), and a product with the taps' weights sums them.
 */
static void
resample(LearnOnnxWriter *writer, const LearnField *field, LearnOnnxWave *wave)
{
	NnOnnx	   *onnx = writer->onnx;
	const double step = field->rate / field->to_rate;
	const double stretch = step > 1 ? step : 1;
	const double reach = CROSSINGS * stretch;
	const int64_t taps = 2 * reach < MOST_TAPS ? (int64_t) floor(2 * reach) + 1 : 1;
	const int64_t leads = (int64_t) field->dims[1];
	NnOnnxValue zero = nn_onnx_double(onnx, 0);
	NnOnnxValue n = nn_onnx_cast(onnx, wave->n, NN_ONNX_DOUBLE);
	NnOnnxValue last = nn_onnx_apply2(onnx, "Sub", n, nn_onnx_double(onnx, 1));
	/* A weight of nothing makes nothing of a sample, unless that is no number. */
	LearnOnnxWave clean = {.samples = nn_onnx_apply3(onnx, "Where", counted(onnx, wave), nn_onnx_cast(onnx, wave->samples, NN_ONNX_DOUBLE), zero),
		.n = wave->n,.most = wave->most};
	LearnOnnxWave made = {.n = resampled_length(onnx, field, wave->n),.most = resampled_length(onnx, field, wave->most)};
	NnOnnxValue at;
	NnOnnxValue index;
	NnOnnxValue weight;
	NnOnnxValue value;
	NnOnnxValue used;

	if (2 * reach >= MOST_TAPS)
	{
		nn_onnx_fail(onnx, DEV_INVALID, "the resampling of input \"%s\" has no form in ONNX", field->name);
		dev_detail(writer->session, "From %g to %g samples a second each one is made of %.0f, and %d are the most.", field->rate, field->to_rate,
				   floor(2 * reach) + 1, MOST_TAPS);
		dev_hint(writer->session, "Resample in the source, or export the model as \"safetensors\".");
		return;
	}
	at = nn_onnx_apply2(onnx, "Mul", nn_onnx_cast(onnx, learn_onnx_count(onnx, made.most), NN_ONNX_DOUBLE), nn_onnx_double(onnx, step));
	at = learn_onnx_along(onnx, "Unsqueeze", nn_onnx_apply2(onnx, "Min", at, last), 2);
	index = nn_onnx_apply1(onnx, "Ceil", nn_onnx_apply2(onnx, "Sub", at, nn_onnx_double(onnx, reach)));
	index = nn_onnx_apply2(onnx, "Add", index, nn_onnx_cast(onnx, learn_onnx_numbered(writer, (size_t) taps), NN_ONNX_DOUBLE));
	weight = nn_onnx_apply1(onnx, "Abs", nn_onnx_apply2(onnx, "Sub", index, at));
	used = nn_onnx_apply2(onnx, "And", nn_onnx_apply2(onnx, "LessOrEqual", index, learn_onnx_along(onnx, "Unsqueeze", last, 2)),
						  nn_onnx_apply2(onnx, "LessOrEqual", zero, index));
	used = nn_onnx_apply2(onnx, "And", used, nn_onnx_apply2(onnx, "LessOrEqual", weight, nn_onnx_double(onnx, reach)));
	weight = nn_onnx_apply2(onnx, "Min", nn_onnx_apply2(onnx, "Div", weight, nn_onnx_double(onnx, stretch)), nn_onnx_double(onnx, CROSSINGS));
	weight = looked_up(onnx, nn_onnx_apply2(onnx, "Mul", weight, nn_onnx_double(onnx, STEPS)));
	weight = nn_onnx_apply3(onnx, "Where", used, weight, zero);
	value = nn_onnx_apply2(onnx, "Reshape", nn_onnx_cast(onnx, index, NN_ONNX_INT64),
						   shape_of(onnx, nn_onnx_apply2(onnx, "Mul", made.most, nn_onnx_integer(onnx, taps)), 1, 0));
	value = pick_samples(onnx, &clean, learn_onnx_along(onnx, "Squeeze", value, 2));
	value = nn_onnx_apply2(onnx, "Reshape", value, shape_of(onnx, made.most, taps, leads));
	value = nn_onnx_apply2(onnx, "MatMul", learn_onnx_along(onnx, "Unsqueeze", weight, 2), value);
	value = nn_onnx_apply2(onnx, "Div", learn_onnx_along(onnx, "Squeeze", value, 2), learn_onnx_along(onnx, "ReduceSum", weight, 2));
	made.samples = nn_onnx_cast(onnx, value, NN_ONNX_FLOAT);
	*wave = made;
}

/* ---- Scaling by the signal itself ---- */

/* The mean over the samples that count, (rows, 1, leads), double. */
static NnOnnxValue
mean_of(NnOnnx *onnx, const LearnOnnxWave *wave, NnOnnxValue values)
{
	NnOnnxValue n = nn_onnx_cast(onnx, nn_onnx_apply2(onnx, "Max", wave->n, nn_onnx_integer(onnx, 1)), NN_ONNX_DOUBLE);

	values = nn_onnx_apply3(onnx, "Where", counted(onnx, wave), values, nn_onnx_double(onnx, 0));
	return nn_onnx_apply2(onnx, "Div", learn_onnx_along(onnx, "ReduceSum", values, 1), learn_onnx_along(onnx, "Unsqueeze", n, 2));
}

/* scale_signal: less the mean, over the deviation, of each lead or of all leads together. */
static void
scale_by_itself(NnOnnx *onnx, const LearnField *field, LearnOnnxWave *wave)
{
	NnOnnxValue values = nn_onnx_cast(onnx, wave->samples, NN_ONNX_DOUBLE);
	NnOnnxValue deviation;

	values = nn_onnx_apply2(onnx, "Sub", values, mean_of(onnx, wave, values));
	deviation = mean_of(onnx, wave, nn_onnx_apply2(onnx, "Mul", values, values));
	if (field->scaling == LEARN_SIGNAL_TOGETHER)
		deviation = learn_onnx_reduce(onnx, "ReduceMean", deviation, 2, true);
	deviation = nn_onnx_apply1(onnx, "Sqrt", deviation);
	deviation = nn_onnx_apply3(onnx, "Where", nn_onnx_apply2(onnx, "Greater", deviation, nn_onnx_double(onnx, 0)), deviation, nn_onnx_double(onnx, 1));
	wave->samples = nn_onnx_cast(onnx, nn_onnx_apply2(onnx, "Div", values, deviation), NN_ONNX_FLOAT);
}

/* ---- Cutting ---- */

static NnOnnxValue
surplus_of(NnOnnx *onnx, const LearnField *field, const LearnOnnxWave *wave)
{
	return nn_onnx_apply2(onnx, "Max", nn_onnx_apply2(onnx, "Sub", wave->n, nn_onnx_integer(onnx, (int64_t) field->dims[0])), nn_onnx_integer(onnx, 0));
}

/* Of a longer signal a part, or how many windows there are: (rows, 1). */
static NnOnnxValue
own_windows(NnOnnx *onnx, const LearnField *field, const LearnOnnxWave *wave)
{
	const int64_t stride = (int64_t) field->stride;
	NnOnnxValue steps = nn_onnx_apply2(onnx, "Add", surplus_of(onnx, field, wave), nn_onnx_integer(onnx, stride - 1));

	return nn_onnx_apply2(onnx, "Add", nn_onnx_apply2(onnx, "Div", steps, nn_onnx_integer(onnx, stride)), nn_onnx_integer(onnx, 1));
}

/* The first sample of what is kept, (rows, 1), or of each window, (rows, most windows). */
static NnOnnxValue
first_kept(const LearnOnnxWriter *writer, const LearnField *field, const LearnOnnxWave *wave)
{
	NnOnnx	   *onnx = writer->onnx;
	NnOnnxValue surplus = surplus_of(onnx, field, wave);
	NnOnnxValue window;

	if (field->stride > 0)
	{
		window = nn_onnx_apply2(onnx, "Mul", learn_onnx_count(onnx, writer->most_windows), own_windows(onnx, field, wave));
		window = nn_onnx_apply2(onnx, "Div", window, writer->n_windows);
		return nn_onnx_apply2(onnx, "Min", nn_onnx_apply2(onnx, "Mul", window, nn_onnx_integer(onnx, (int64_t) field->stride)), surplus);
	}
	if (field->keep == LEARN_CROP_START)
		return nn_onnx_apply2(onnx, "Mul", surplus, nn_onnx_integer(onnx, 0));
	return field->keep == LEARN_CROP_END ? surplus : nn_onnx_apply2(onnx, "Div", surplus, nn_onnx_integer(onnx, 2));
}

/* As many samples as the network sees, centred and scaled; zeros where there are none. Windows are rows of their own. */
static void
cut(LearnOnnxWriter *writer, const LearnField *field, LearnOnnxWave *wave)
{
	NnOnnx	   *onnx = writer->onnx;
	const int64_t length = (int64_t) field->dims[0];
	const int64_t all[] = {0, -1};
	const int64_t apart[] = {-1, length, (int64_t) field->dims[1]};
	NnOnnxValue index = learn_onnx_along(onnx, "Unsqueeze", first_kept(writer, field, wave), 2);
	NnOnnxValue value;

	index = nn_onnx_apply2(onnx, "Add", index, learn_onnx_numbered(writer, field->dims[0]));
	value = pick_samples(onnx, wave, nn_onnx_apply2(onnx, "Reshape", index, nn_onnx_list(onnx, 2, all)));
	value = nn_onnx_apply2(onnx, "Reshape", value, nn_onnx_list(onnx, 3, apart));
	wave->n = nn_onnx_apply2(onnx, "Min", wave->n, nn_onnx_integer(onnx, length));
	if (field->stride > 0)
		wave->n = learn_onnx_repeat(writer, wave->n, 1, NULL);
	wave->most = nn_onnx_integer(onnx, length);
	value = nn_onnx_apply2(onnx, "Sub", value, nn_onnx_floats(onnx, 1, &field->dims[1], field->center));
	value = nn_onnx_apply2(onnx, "Mul", value, nn_onnx_floats(onnx, 1, &field->dims[1], field->scale));
	value = learn_onnx_finite(onnx, value);
	wave->samples = nn_onnx_apply3(onnx, "Where", counted(onnx, wave), value, nn_onnx_float(onnx, 0));
}

/* ---- All signals ---- */

LearnOnnxWave
learn_onnx_signal(LearnOnnxWriter *writer, int number)
{
	const LearnField *field = &writer->model->fields[number];
	NnOnnx	   *onnx = writer->onnx;
	LearnOnnxWave wave = write_inputs(writer, field);

	bridge(onnx, &wave);
	if (field->rate > 0 && field->rate != field->to_rate)
		resample(writer, field, &wave);
	if (field->scaling == LEARN_SIGNAL_BY_SIGNAL || field->scaling == LEARN_SIGNAL_TOGETHER)
		scale_by_itself(onnx, field, &wave);
	if (field->stride > 0)
	{
		NnOnnxValue own = own_windows(onnx, field, &wave);

		writer->n_windows = writer->n_windows == NN_NONE ? own : nn_onnx_apply2(onnx, "Max", writer->n_windows, own);
	}
	return wave;
}

void
learn_onnx_signal_cut(LearnOnnxWriter *writer, int number, LearnOnnxWave *wave)
{
	const LearnField *field = &writer->model->fields[number];

	cut(writer, field, wave);
	writer->planes[number][0] = field->rocket == NULL ? wave->samples : learn_onnx_rocket(writer, field, wave->samples, wave->n);
	writer->lengths[number] = wave->n;
}

/*
 * onnx_column.c: ordinary columns in ONNX, by the formulas of encode.c.
 *
 * Raw channels side by side, missing ones filled, scaled by one formula for all; codes by a table of texts.
 */
#include "onnx.h"

#include <stdio.h>
#include <string.h>

#define FARTHEST 1e9f			/* as in encode.c */

NnOnnxValue
learn_onnx_beside(LearnOnnxWriter *writer, const NnOnnxValue *parts, int n)
{
	nn_onnx_set_integer(writer->onnx, "axis", 1);
	return nn_onnx_apply(writer->onnx, "Concat", parts, n);
}

static bool
is_used(const LearnChannel *channel)
{
	return channel->number_input != NN_NONE || channel->code_input != NN_NONE;
}

/* ---- what comes in ---- */

static void
describe(const LearnModel *model, int first, int n, char *note)
{
	size_t		used;

	if (model->channels[first].kind == LEARN_CATEGORY)
	{
		snprintf(note, LEARN_ONNX_NOTE, "text; \"%s\" stands for NULL", LEARN_ONNX_MISSING);
		return;
	}
	used = (size_t) snprintf(note, LEARN_ONNX_NOTE, "number; NaN stands for NULL%s", n > 1 ? "; in this order:" : "");
	for (int i = 0; i < n && n > 1 && used < LEARN_ONNX_NOTE; i++)
		used += (size_t) snprintf(note + used, LEARN_ONNX_NOTE - used, " %s", model->channels[first + i].name);
	learn_onnx_whole_characters(note);
}

/* One column's channels, those from `first` on. */
static void
write_input(LearnOnnxWriter *writer, int first, int n)
{
	const LearnModel *model = writer->model;
	bool		category = model->channels[first].kind == LEARN_CATEGORY;
	const size_t width = (size_t) n;
	char		note[LEARN_ONNX_NOTE];
	NnOnnxValue input;

	describe(model, first, n, note);
	input = nn_onnx_input(writer->onnx, model->columns[model->channels[first].column], category ? NN_ONNX_STRING : NN_ONNX_FLOAT, 1, &width, note);
	for (int i = 0; i < n; i++)
	{
		const int64_t at = i;

		if (!is_used(&model->channels[first + i]))
			continue;
		if (n > 1)
			nn_onnx_set_integer(writer->onnx, "axis", 1);
		writer->channels[first + i] = n == 1 ? input : nn_onnx_apply2(writer->onnx, "Gather", input, nn_onnx_list(writer->onnx, 1, &at));
	}
}

static void
write_inputs(LearnOnnxWriter *writer)
{
	const LearnModel *model = writer->model;
	int			n;

	for (int first = 0; first < model->n_channels; first += n)
	{
		bool		used = false;

		for (n = 0; first + n < model->n_channels && model->channels[first + n].column == model->channels[first].column; n++)
		{
			writer->channels[first + n] = NN_NONE;
			used = used || is_used(&model->channels[first + n]);
		}
		if (used)
			write_input(writer, first, n);
	}
}

/* ---- numbers ---- */

/* One value a used number channel, (numbers). */
typedef enum Fitted
{
	FITTED_FILL,
	FITTED_CENTER,
	FITTED_SCALE,
	FITTED_CLIP,
	N_FITTED
} Fitted;

static float
fitted_value(const LearnChannel *channel, Fitted which)
{
	switch (which)
	{
		case FITTED_FILL:
			return channel->fill;
		case FITTED_CENTER:
			return channel->center;
		case FITTED_SCALE:
			return channel->scale;
		default:
			return channel->scaling == LEARN_ROBUST ? 1.0f / 3.0f : 0.0f;
	}
}

static NnOnnxValue
fitted(LearnOnnxWriter *writer, Fitted which)
{
	const LearnModel *model = writer->model;
	float	   *values = dev_alloc(writer->session, (size_t) model->n_channels, sizeof(float));
	size_t		n = 0;
	NnOnnxValue made;

	if (values == NULL)
		return nn_onnx_fail(writer->onnx, DEV_NO_MEMORY, "no memory for %d channels", model->n_channels);
	for (int i = 0; i < model->n_channels; i++)
		if (model->channels[i].number_input != NN_NONE)
			values[n++] = fitted_value(&model->channels[i], which);
	made = nn_onnx_floats(writer->onnx, 1, &n, values);
	dev_release(writer->session, values);
	return made;
}

/* x / sqrt(1 + (x clip)^2), x = (raw - center) * scale: the one formula of scale_run. */
static NnOnnxValue
scale_all(LearnOnnxWriter *writer, NnOnnxValue filled)
{
	NnOnnx	   *onnx = writer->onnx;
	NnOnnxValue x = nn_onnx_apply2(onnx, "Mul", nn_onnx_apply2(onnx, "Sub", filled, fitted(writer, FITTED_CENTER)),
								   fitted(writer, FITTED_SCALE));
	NnOnnxValue part;

	x = nn_onnx_apply3(onnx, "Clip", x, nn_onnx_float(onnx, -FARTHEST), nn_onnx_float(onnx, FARTHEST));
	part = nn_onnx_apply2(onnx, "Mul", x, fitted(writer, FITTED_CLIP));
	part = nn_onnx_apply2(onnx, "Add", nn_onnx_float(onnx, 1), nn_onnx_apply2(onnx, "Mul", part, part));
	return nn_onnx_apply2(onnx, "Div", x, nn_onnx_apply1(onnx, "Sqrt", part));
}

/* sum of coefficients[i] x^(n - 1 - i), by Horner's rule */
static NnOnnxValue
polynomial(LearnOnnxWriter *writer, NnOnnxValue x, const double *coefficients, int n)
{
	NnOnnxValue sum = nn_onnx_double(writer->onnx, coefficients[0]);

	for (int i = 1; i < n; i++)
		sum = nn_onnx_apply2(writer->onnx, "Add", nn_onnx_apply2(writer->onnx, "Mul", sum, x),
							 nn_onnx_double(writer->onnx, coefficients[i]));
	return sum;
}

/*
 * PPND7 as in encode.c. Its third part, for probabilities below 1e-11, is for none that half a step of the quantiles leaves.
 */
static NnOnnxValue
normal_quantile(LearnOnnxWriter *writer, NnOnnxValue p)
{
	static const double middle[2][4] = {
		{59.109374720, 159.29113202, 50.434271938, 3.3871327179}, {67.187563600, 78.757757664, 17.895169469, 1.0}
	};
	static const double tail[2][4] = {
		{0.17023821103, 1.3067284816, 2.7568153900, 1.4234372777}, {0, 0.12021132975, 0.73700164250, 1.0}
	};
	NnOnnx	   *onnx = writer->onnx;
	NnOnnxValue zero = nn_onnx_double(onnx, 0);
	NnOnnxValue q = nn_onnx_apply2(onnx, "Sub", p, nn_onnx_double(onnx, 0.5));
	NnOnnxValue below = nn_onnx_apply2(onnx, "Less", q, zero);
	NnOnnxValue r = nn_onnx_apply2(onnx, "Sub", nn_onnx_double(onnx, 0.180625), nn_onnx_apply2(onnx, "Mul", q, q));
	NnOnnxValue near = nn_onnx_apply2(onnx, "Div", polynomial(writer, r, middle[0], 4), polynomial(writer, r, middle[1], 4));
	NnOnnxValue far = nn_onnx_apply3(onnx, "Where", below, p, nn_onnx_apply2(onnx, "Sub", nn_onnx_double(onnx, 1), p));
	NnOnnxValue central = nn_onnx_apply2(onnx, "LessOrEqual", nn_onnx_apply1(onnx, "Abs", q), nn_onnx_double(onnx, 0.425));

	near = nn_onnx_apply2(onnx, "Mul", q, near);
	r = nn_onnx_apply1(onnx, "Sqrt", nn_onnx_apply1(onnx, "Neg", nn_onnx_apply1(onnx, "Log", far)));
	r = nn_onnx_apply2(onnx, "Sub", r, nn_onnx_double(onnx, 1.6));
	far = nn_onnx_apply2(onnx, "Div", polynomial(writer, r, tail[0], 4), polynomial(writer, r, tail[1], 4));
	far = nn_onnx_apply3(onnx, "Where", below, nn_onnx_apply1(onnx, "Neg", far), far);
	return nn_onnx_apply3(onnx, "Where", central, near, far);
}

/* How many quantiles compare so with the value, (rows, 1), as a double. */
static NnOnnxValue
count(LearnOnnxWriter *writer, const char *comparison, NnOnnxValue quantiles, NnOnnxValue value)
{
	NnOnnxValue each = nn_onnx_cast(writer->onnx, nn_onnx_apply2(writer->onnx, comparison, quantiles, value), NN_ONNX_DOUBLE);
	const int64_t axis = 1;

	return nn_onnx_apply2(writer->onnx, "ReduceSum", each, nn_onnx_list(writer->onnx, 1, &axis));
}

static NnOnnxValue
pick(LearnOnnxWriter *writer, NnOnnxValue quantiles, NnOnnxValue number)
{
	return nn_onnx_apply2(writer->onnx, "Gather", quantiles, nn_onnx_cast(writer->onnx, number, NN_ONNX_INT64));
}

/* scale_by_quantiles of encode.c: value (rows, 1), float. */
static NnOnnxValue
scale_by_quantiles(LearnOnnxWriter *writer, const LearnChannel *channel, NnOnnxValue value)
{
	NnOnnx	   *onnx = writer->onnx;
	size_t		n = (size_t) channel->n_quantiles;
	NnOnnxValue quantiles = nn_onnx_floats(onnx, 1, &n, channel->quantiles);
	NnOnnxValue low = count(writer, "Less", quantiles, value);
	NnOnnxValue high = count(writer, "LessOrEqual", quantiles, value);
	NnOnnxValue zero = nn_onnx_double(onnx, 0);
	NnOnnxValue one = nn_onnx_double(onnx, 1);
	NnOnnxValue last = nn_onnx_double(onnx, (double) n - 1);
	NnOnnxValue exact = nn_onnx_cast(onnx, quantiles, NN_ONNX_DOUBLE);
	NnOnnxValue upper = nn_onnx_apply3(onnx, "Clip", low, one, last);
	NnOnnxValue before = pick(writer, exact, nn_onnx_apply2(onnx, "Sub", upper, one));
	NnOnnxValue step = nn_onnx_apply2(onnx, "Sub", pick(writer, exact, upper), before);
	NnOnnxValue place;
	NnOnnxValue equal;
	NnOnnxValue half;

	step = nn_onnx_apply3(onnx, "Where", nn_onnx_apply2(onnx, "Equal", step, zero), one, step);
	place = nn_onnx_apply2(onnx, "Div", nn_onnx_apply2(onnx, "Sub", nn_onnx_cast(onnx, value, NN_ONNX_DOUBLE), before), step);
	place = nn_onnx_apply2(onnx, "Add", nn_onnx_apply2(onnx, "Sub", low, one), place);
	place = nn_onnx_apply3(onnx, "Where", nn_onnx_apply2(onnx, "Greater", low, last), last, place);
	place = nn_onnx_apply3(onnx, "Where", nn_onnx_apply2(onnx, "Less", low, one), zero, place);
	equal = nn_onnx_apply2(onnx, "Sub", nn_onnx_apply2(onnx, "Add", low, high), one);
	equal = nn_onnx_apply2(onnx, "Div", equal, nn_onnx_double(onnx, 2));
	place = nn_onnx_apply3(onnx, "Where", nn_onnx_apply2(onnx, "Greater", high, low), equal, place);
	place = nn_onnx_apply2(onnx, "Div", place, last);
	half = nn_onnx_double(onnx, 0.5 / (double) n);
	place = nn_onnx_apply3(onnx, "Clip", place, half, nn_onnx_double(onnx, 1 - 0.5 / (double) n));
	return nn_onnx_cast(onnx, normal_quantile(writer, place), NN_ONNX_FLOAT);
}

static NnOnnxValue
column_of(LearnOnnxWriter *writer, NnOnnxValue matrix, int64_t column)
{
	nn_onnx_set_integer(writer->onnx, "axis", 1);
	return nn_onnx_apply2(writer->onnx, "Gather", matrix, nn_onnx_list(writer->onnx, 1, &column));
}

/*
 * Scaled numbers beside indicators, in the order of the channels; then one gathering puts each where the network expects it. Numbers
 * scaled by quantiles come after all these.
 */
static void
write_numbers(LearnOnnxWriter *writer)
{
	const LearnModel *model = writer->model;
	NnOnnx	   *onnx = writer->onnx;
	int64_t    *places = dev_alloc(writer->session, model->n_numbers + 1, sizeof(int64_t));
	int64_t		n = 0;
	int			n_parts = 2;
	int64_t		at = 0;
	NnOnnxValue raw;
	NnOnnxValue missing;

	if (places == NULL)
	{
		nn_onnx_fail(onnx, DEV_NO_MEMORY, "no memory for %zu numbers", model->n_numbers);
		return;
	}
	for (int i = 0; i < model->n_channels; i++)
		if (model->channels[i].number_input != NN_NONE)
			writer->parts[n++] = writer->channels[i];
	raw = learn_onnx_beside(writer, writer->parts, (int) n);
	missing = nn_onnx_apply2(onnx, "Or", nn_onnx_apply1(onnx, "IsNaN", raw), nn_onnx_apply1(onnx, "IsInf", raw));
	raw = nn_onnx_apply3(onnx, "Where", missing, fitted(writer, FITTED_FILL), raw);
	writer->parts[0] = scale_all(writer, raw);
	writer->parts[1] = nn_onnx_cast(onnx, missing, NN_ONNX_FLOAT);
	for (int i = 0; i < model->n_channels; i++)
	{
		const LearnChannel *channel = &model->channels[i];

		if (channel->number_input == NN_NONE)
			continue;
		places[channel->number_input] = at;
		if (channel->indicator_input != NN_NONE)
			places[channel->indicator_input] = n + at;
		if (channel->scaling == LEARN_QUANTILE)
		{
			places[channel->number_input] = 2 * n + n_parts - 2;
			writer->parts[n_parts++] = scale_by_quantiles(writer, channel, column_of(writer, raw, at));
		}
		at++;
	}
	raw = learn_onnx_beside(writer, writer->parts, n_parts);
	nn_onnx_set_integer(onnx, "axis", 1);
	writer->numbers = nn_onnx_apply2(onnx, "Gather", raw, nn_onnx_list(onnx, model->n_numbers, places));
	dev_release(writer->session, places);
}

/* ---- codes ---- */

/* Texts to codes; the rest is the pooled category, or none. A category of that name is no NULL. */
static NnOnnxValue
write_code(LearnOnnxWriter *writer, const LearnChannel *channel, NnOnnxValue text)
{
	size_t		n = (size_t) channel->n_categories;
	const char **keys = dev_alloc(writer->session, n + 1, sizeof(char *));
	int64_t    *codes = dev_alloc(writer->session, n + 1, sizeof(int64_t));
	bool		missing = true;

	if (keys == NULL || codes == NULL)
		return nn_onnx_fail(writer->onnx, DEV_NO_MEMORY, "no memory for %zu categories", n);
	for (size_t i = 0; i < n; i++)
	{
		keys[i] = channel->categories[i];
		codes[i] = (int64_t) i;
		missing = missing && strcmp(keys[i], LEARN_ONNX_MISSING) != 0;
	}
	if (missing)
	{
		keys[n] = LEARN_ONNX_MISSING;
		codes[n++] = channel->has_missing ? channel->n_categories + channel->has_other : -1;
	}
	nn_onnx_set_strings(writer->onnx, "keys_strings", n, keys);
	nn_onnx_set_integers(writer->onnx, "values_int64s", n, codes);
	nn_onnx_set_integer(writer->onnx, "default_int64", channel->has_other ? channel->n_categories : -1);
	dev_release(writer->session, keys);
	dev_release(writer->session, codes);
	return nn_onnx_apply1(writer->onnx, "ml.LabelEncoder", text);
}

static void
write_codes(LearnOnnxWriter *writer)
{
	const LearnModel *model = writer->model;

	for (int i = 0; i < model->n_channels; i++)
		if (model->channels[i].code_input != NN_NONE)
			writer->parts[model->channels[i].code_input] = write_code(writer, &model->channels[i], writer->channels[i]);
	writer->codes = learn_onnx_beside(writer, writer->parts, (int) model->n_codes);
}

void
learn_onnx_columns(LearnOnnxWriter *writer)
{
	write_inputs(writer);
	if (writer->model->n_numbers > 0)
		write_numbers(writer);
	if (writer->model->n_codes > 0)
		write_codes(writer);
}

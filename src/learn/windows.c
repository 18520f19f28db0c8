/*
 * windows.c: which samples a window has, and what the answers for all windows say together.
 */
#include "windows.h"

#include "field.h"
#include "logistic.h"

#include <float.h>
#include <math.h>

bool
learn_fields_windowed(const LearnField *fields, int n_fields)
{
	for (int i = 0; i < n_fields; i++)
		if (fields[i].stride > 0)
			return true;
	return false;
}

/* ---- Windows ---- */

static size_t
sample_bytes(const LearnField *field)
{
	return field->dims[1] * sizeof(float);
}

size_t
learn_field_windows(const LearnField *field, size_t bytes)
{
	return field->stride == 0 ? 1 : learn_signal_windows(bytes / sample_bytes(field), field->dims[0], field->stride);
}

size_t
learn_windows_most(size_t most, const LearnField *field, size_t bytes)
{
	size_t		own = learn_field_windows(field, bytes);

	return own > most ? own : most;
}

static LearnBytes
cut(const LearnField *field, LearnBytes stored, size_t start)
{
	size_t		most = field->dims[0] * sample_bytes(field);

	if (stored.bytes == NULL || stored.size <= most)
		return stored;
	return (LearnBytes) {(const char *) stored.bytes + start * sample_bytes(field), most};
}

LearnBytes
learn_field_window(const LearnField *field, LearnBytes stored, size_t window, size_t n_windows)
{
	size_t		own = learn_field_windows(field, stored.size);

	if (own < 2)
		return stored;
	return cut(field, stored, learn_signal_window_start(stored.size / sample_bytes(field), field->dims[0], field->stride,
														window * own / n_windows));
}

LearnBytes
learn_field_window_drawn(const LearnField *field, LearnBytes stored, uint64_t seed, uint64_t counter)
{
	size_t		length = stored.size / (field->stride > 0 ? sample_bytes(field) : 1);
	size_t		surplus;

	if (field->stride == 0 || length <= field->dims[0])
		return stored;
	surplus = length - field->dims[0];
	/* A place in the whole, not a number of a sample: signals of a row that differ in length stay in step. */
	return cut(field, stored, (size_t) (dev_random_uniform(seed, DEV_STREAM_WINDOW, counter) * (double) (surplus + 1)));
}

DevStatus
learn_windows_no_attack(DevSession *session)
{
	dev_fail(session, DEV_INVALID, "a model that sees signals in windows cannot be attacked");
	dev_detail(session, "An attack would have to change samples that several windows share, so that all of them are fooled together.");
	dev_hint(session, "Train with \"length\" in place of \"window\".");
	return DEV_INVALID;
}

DevStatus
learn_windows_no_noise(DevSession *session)
{
	dev_fail(session, DEV_INVALID, "a model that sees signals in windows has no certificate");
	dev_detail(session, "Its noise would have to be laid on all of a signal, and each noisy copy answered for by all windows.");
	dev_hint(session, "Train with \"length\" in place of \"window\".");
	return DEV_INVALID;
}

/* ---- Answers ---- */

LearnWindowing
learn_windowing(LearnTask task, const LearnField *fields, int n_fields, size_t n_outputs, const double *offset)
{
	LearnWindowing windowing = {
		.linear = task == LEARN_REGRESSION || task == LEARN_SURVIVAL,
		.classes = task == LEARN_MULTICLASS,
		.n_outputs = n_outputs,
		.offset = offset
	};

	for (int i = 0; i < n_fields; i++)
		windowing.linear = windowing.linear || fields[i].rocket != NULL;
	return windowing;
}

void
learn_normalize_log(size_t n, double *values)
{
	double		largest = values[0];
	double		sum = 0;

	for (size_t i = 1; i < n; i++)
		largest = values[i] > largest ? values[i] : largest;
	for (size_t i = 0; i < n; i++)
		sum += exp(values[i] - largest);
	for (size_t i = 0; i < n; i++)
		values[i] -= largest + log(sum);
}

/* What has underflowed is as small as can be without that; NaN stays. */
static double
above_zero(double x)
{
	return x < DBL_MIN ? DBL_MIN : x;
}

static double
offset_of(const LearnWindowing *windowing, size_t i)
{
	return windowing->offset != NULL ? windowing->offset[i] : 0;
}

/* Both ways of an output are averaged, so that what is nearly certain does not become certain. */
static double
add_odds(size_t n_before, double before, double next)
{
	double		n = (double) n_before;

	return log(above_zero(n * learn_logistic(before) + learn_logistic(next))) - log(above_zero(n * learn_logistic(-before) + learn_logistic(-next)));
}

/* outputs become the log probabilities that they mean with the offset. */
static void
take_logs(const LearnWindowing *windowing, double *outputs)
{
	for (size_t i = 0; i < windowing->n_outputs; i++)
		outputs[i] += offset_of(windowing, i);
	learn_normalize_log(windowing->n_outputs, outputs);
}

static void
add_classes(const LearnWindowing *windowing, size_t n_before, double *outputs, double *row)
{
	double		n = (double) n_before;

	take_logs(windowing, outputs);
	take_logs(windowing, row);
	for (size_t i = 0; i < windowing->n_outputs; i++)
		row[i] = log(above_zero((n * exp(row[i]) + exp(outputs[i])) / (n + 1))) - offset_of(windowing, i);
}

void
learn_windows_add(const LearnWindowing *windowing, size_t n_before, double *outputs, double *row)
{
	if (n_before > 0 && !windowing->linear && windowing->classes)
	{
		add_classes(windowing, n_before, outputs, row);
		return;
	}
	for (size_t i = 0; i < windowing->n_outputs; i++)
	{
		double		offset = offset_of(windowing, i);

		if (n_before == 0)
			row[i] = outputs[i];
		else if (windowing->linear)
			row[i] += (outputs[i] - row[i]) / (double) (n_before + 1);
		else
			row[i] = add_odds(n_before, row[i] + offset, outputs[i] + offset) - offset;
	}
}

/*
 * row[j] = log(mean over windows of p[j]) - offset[j], p = softmax(outputs + offset): d row[j] / d outputs[i] =
 * p[j] ((i == j) - p[i]) / (n_windows mean[j]).
 */
static void
class_gradient(const LearnWindowing *windowing, size_t n_windows, const double *outputs, const double *row, const double *diff_row,
			   double *diff)
{
	size_t		n = windowing->n_outputs;
	double		largest = -INFINITY;
	double		total = 0;
	double		sum = 0;

	for (size_t i = 0; i < n; i++)
		largest = fmax(largest, outputs[i] + offset_of(windowing, i));
	for (size_t i = 0; i < n; i++)
		total += exp(outputs[i] + offset_of(windowing, i) - largest);
	for (size_t i = 0; i < n; i++)
	{
		double		log_share = outputs[i] + offset_of(windowing, i) - largest - log(total);

		diff[i] = diff_row[i] * exp(log_share - row[i] - offset_of(windowing, i));
		sum += diff[i];
	}
	for (size_t i = 0; i < n; i++)
		diff[i] = (diff[i] - sum * exp(outputs[i] + offset_of(windowing, i) - largest) / total) / (double) n_windows;
}

void
learn_windows_gradient(const LearnWindowing *windowing, size_t n_windows, const double *outputs, const double *row,
					   const double *diff_row, double *diff)
{
	if (n_windows > 1 && !windowing->linear && windowing->classes)
	{
		class_gradient(windowing, n_windows, outputs, row, diff_row, diff);
		return;
	}
	for (size_t i = 0; i < windowing->n_outputs; i++)
	{
		double		own = outputs[i] + offset_of(windowing, i);
		double		mean = row[i] + offset_of(windowing, i);

		diff[i] = diff_row[i] / (double) n_windows;
		/* The slope of a probability, over that of the mean. */
		if (n_windows > 1 && !windowing->linear)
			diff[i] *= learn_logistic(own) * learn_logistic(-own) / above_zero(learn_logistic(mean) * learn_logistic(-mean));
	}
}

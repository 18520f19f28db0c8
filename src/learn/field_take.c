/*
 * field_take.c: what users have, taken: files of images decoded, arrays resized, signals made whole.
 *
 * Any thread may take; memory is malloc's, for there is no session on worker threads. Everything that could be
 * wrong with a value is found here, so that whoever reads rows can refuse or skip one.
 */
#include "idla/learn_data.h"

#include "parallel.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
no_memory(LearnTrouble *trouble, size_t bytes)
{
	memset(trouble, 0, sizeof(*trouble));
	trouble->status = DEV_NO_MEMORY;
	snprintf(trouble->message, sizeof(trouble->message), "out of memory: %zu bytes are needed for a value", bytes);
	return false;
}

_Static_assert(LEARN_SIGNAL_MOST_LEADS == 1024, "a message says so");

static LearnImageWish
wish_of(const LearnField *field)
{
	LearnImageWish wish = {
		.height = field->dims[0],
		.width = field->dims[1],
		.channels = (int) field->dims[2],
		.fitting = field->fitting,
		.crop_height = field->crop[0],
		.crop_width = field->crop[1]
	};

	return wish;
}

/* n numbers in [0, 1] as eight or sixteen bits. */
static void
pack(LearnSample sample, size_t n, const float *values, void *dst)
{
	uint8_t    *bytes = dst;
	uint16_t   *words = dst;

	for (size_t i = 0; i < n; i++)
	{
		float		value = fminf(fmaxf(values[i], 0.0f), 1.0f);

		if (sample == LEARN_SAMPLE_U8)
			bytes[i] = (uint8_t) (value * 255.0f + 0.5f);
		else
			words[i] = (uint16_t) (value * 65535.0f + 0.5f);
	}
}

static bool
other_shape(LearnTrouble *trouble, const char *what, size_t height, size_t width, size_t depth, const LearnField *field)
{
	memset(trouble, 0, sizeof(*trouble));
	trouble->status = DEV_BAD_DATA;
	snprintf(trouble->message, sizeof(trouble->message), "the image is %zu x %zu with %zu channels where %zu x %zu with %zu are expected",
			 height, width, depth, field->dims[0], field->dims[1], field->dims[2]);
	snprintf(trouble->hint, sizeof(trouble->hint), "Say %s in the option columns to have all images brought to it.", what);
	return false;
}

/* The user has not said to what images shall be brought: they must be alike. */
static bool
fits(const LearnField *field, size_t height, size_t width, size_t depth, LearnTrouble *trouble)
{
	if (field->same_size && (height != field->dims[0] || width != field->dims[1]))
		return other_shape(trouble, "height and width", height, width, depth, field);
	if (field->same_depth && depth != field->dims[2])
		return other_shape(trouble, "depth", height, width, depth, field);
	return true;
}

bool
learn_field_take_image(const LearnField *field, const void *bytes, size_t size, void **taken, size_t *taken_size,
					   LearnTrouble *trouble)
{
	LearnImageWish wish = wish_of(field);
	size_t		n = field->dims[0] * field->dims[1] * field->dims[2];
	LearnImageInfo info;
	float	   *pixels;

	*taken = NULL;
	if (!learn_image_info(bytes, size, &info, trouble) ||
		!fits(field, info.height, info.width, info.channels >= 3 ? 3 : 1, trouble))
		return false;
	pixels = malloc(n * sizeof(float));
	*taken_size = n * (field->sample == LEARN_SAMPLE_U8 ? 1 : 2);
	if (pixels == NULL)
		return no_memory(trouble, n * sizeof(float));
	if (learn_image_decode(bytes, size, &wish, pixels, n, trouble))
	{
		*taken = malloc(*taken_size);
		if (*taken == NULL)
			no_memory(trouble, *taken_size);
		else
			pack(field->sample, n, pixels, *taken);
	}
	free(pixels);
	return *taken != NULL;
}

static bool
bad_value(LearnTrouble *trouble, const char *message)
{
	memset(trouble, 0, sizeof(*trouble));
	trouble->status = DEV_BAD_DATA;
	snprintf(trouble->message, sizeof(trouble->message), "%s", message);
	return false;
}

bool
learn_field_take_pixels(const LearnField *field, size_t height, size_t width, size_t depth, const float *src,
						void **taken, size_t *taken_size, LearnTrouble *trouble)
{
	LearnImageWish wish = wish_of(field);
	size_t		n = field->dims[0] * field->dims[1] * field->dims[2];

	*taken = NULL;
	*taken_size = n * sizeof(float);
	if (height == 0 || width == 0 || depth == 0)
		return bad_value(trouble, "the image has no pixels");
	for (size_t i = 0; i < height * width * depth; i++)
		if (!isfinite(src[i]))
			return bad_value(trouble, "the image has a pixel that is no number");
	if (!fits(field, height, width, depth, trouble))
		return false;
	*taken = malloc(*taken_size);
	if (*taken == NULL)
		return no_memory(trouble, *taken_size);
	if (learn_image_resize(src, height, width, (int) depth, &wish, *taken, n, trouble))
		return true;
	free(*taken);
	*taken = NULL;
	return false;
}

/* Each lead by its own mean and deviation, or all leads by one deviation: (leads) of both. */
static void
measure_signal(LearnSignalScaling scaling, size_t length, size_t leads, const float *values, double *mean, double *deviation)
{
	double		together = 0;

	for (size_t lead = 0; lead < leads; lead++)
	{
		double		squares = 0;

		mean[lead] = 0;
		for (size_t i = 0; i < length; i++)
			mean[lead] += (double) values[i * leads + lead];
		mean[lead] /= (double) length;
		for (size_t i = 0; i < length; i++)
			squares += ((double) values[i * leads + lead] - mean[lead]) * ((double) values[i * leads + lead] - mean[lead]);
		together += squares;
		deviation[lead] = sqrt(squares / (double) length);
	}
	for (size_t lead = 0; lead < leads; lead++)
	{
		if (scaling == LEARN_SIGNAL_TOGETHER)
			deviation[lead] = sqrt(together / (double) (length * leads));
		deviation[lead] = deviation[lead] > 0 ? deviation[lead] : 1;
	}
}

static bool
scaled_by_signal(const LearnField *field)
{
	return field->scaling == LEARN_SIGNAL_BY_SIGNAL || field->scaling == LEARN_SIGNAL_TOGETHER;
}

static void
scale_signal(LearnSignalScaling scaling, size_t length, size_t leads, float *values)
{
	double		mean[LEARN_SIGNAL_MOST_LEADS];
	double		deviation[LEARN_SIGNAL_MOST_LEADS];

	measure_signal(scaling, length, leads, values, mean, deviation);
	for (size_t i = 0; i < length * leads; i++)
		values[i] = (float) (((double) values[i] - mean[i % leads]) / deviation[i % leads]);
}

static bool
too_many_windows(const LearnField *field, size_t n, LearnTrouble *trouble)
{
	memset(trouble, 0, sizeof(*trouble));
	trouble->status = DEV_BAD_DATA;
	snprintf(trouble->message, sizeof(trouble->message), "the signal of %zu samples makes %zu windows, and %d are the most", n,
			 learn_signal_windows(n, field->dims[0], field->stride), LEARN_SIGNAL_MOST_WINDOWS);
	snprintf(trouble->hint, sizeof(trouble->hint), "Train with a larger \"stride\", or cut the recording into several rows.");
	return false;
}

bool
learn_field_take_signal(const LearnField *field, size_t length, size_t leads, const float *src,
						void **taken, size_t *taken_size, LearnTrouble *trouble)
{
	bool		resampled = field->rate > 0 && field->rate != field->to_rate;
	float		nothing[LEARN_SIGNAL_MOST_LEADS];
	float	   *whole;
	float	   *dst;
	size_t		missing;
	size_t		n;

	*taken = NULL;
	if (leads > LEARN_SIGNAL_MOST_LEADS)
	{
		bad_value(trouble, "the signal has more than 1024 leads");
		snprintf(trouble->hint, sizeof(trouble->hint), "Of a signal's two dimensions leads are the first, and samples the second.");
		return false;
	}
	if (learn_signal_check(length, leads, src, &missing, trouble) != DEV_OK)
		return false;
	/* Before a size is made of it: rates may be anything. */
	if (resampled && (double) length * field->to_rate / field->rate > (double) (LEARN_SIGNAL_MOST_VALUES / leads))
		return bad_value(trouble, "the signal is too long once it is resampled");
	n = resampled ? learn_signal_resampled(field->rate, field->to_rate, length) : length;
	if (field->stride > 0 && learn_signal_windows(n, field->dims[0], field->stride) > LEARN_SIGNAL_MOST_WINDOWS)
		return too_many_windows(field, n, trouble);
	*taken_size = n * leads * sizeof(float);
	whole = malloc(length * leads * sizeof(float));
	dst = resampled ? malloc(*taken_size) : whole;
	if (whole == NULL || dst == NULL)
	{
		free(whole);
		if (resampled)
			free(dst);
		return no_memory(trouble, *taken_size);
	}
	memcpy(whole, src, length * leads * sizeof(float));
	/* A lead without any value stays without: it loads as the training mean. */
	for (size_t lead = 0; lead < leads; lead++)
		nothing[lead] = NAN;
	if (missing > 0)
		learn_signal_bridge(length, leads, whole, nothing);
	if (resampled)
	{
		learn_signal_resample(length, leads, whole, field->rate / field->to_rate, n, dst, NULL);
		free(whole);
	}
	if (scaled_by_signal(field))
		scale_signal(field->scaling, n, leads, dst);
	*taken = dst;
	return true;
}

bool
learn_field_take_series(const LearnField *field, size_t n, const float *src, void **taken, size_t *taken_size,
						LearnTrouble *trouble)
{
	*taken = NULL;
	*taken_size = n * sizeof(float);
	if (n != learn_series_stored_size(field->series))
		return bad_value(trouble, "the bins are not as many as the series has");
	*taken = malloc(*taken_size);
	if (*taken == NULL)
		return no_memory(trouble, *taken_size);
	memcpy(*taken, src, *taken_size);
	return true;
}

/* ---- The way back ---- */

bool
learn_field_is_direct(const LearnField *field)
{
	if (field->kind == LEARN_IMAGE)
		return field->crop[0] == 0 && field->crop[1] == 0;
	return field->kind == LEARN_SIGNAL && !scaled_by_signal(field) &&
		!(field->rate > 0 && field->rate != field->to_rate);
}

/* Deviations (leads) that a signal was divided by when it was taken; all 1 where by none. */
static bool
find_deviations(const LearnField *field, size_t length, size_t leads, const float *src, double *deviation, LearnTrouble *trouble)
{
	LearnField	plain = *field;
	double		mean[LEARN_SIGNAL_MOST_LEADS];
	void	   *taken;
	size_t		size;

	for (size_t lead = 0; lead < leads; lead++)
		deviation[lead] = 1;
	if (!scaled_by_signal(field))
		return true;
	plain.scaling = LEARN_SIGNAL_UNSCALED;
	if (!learn_field_take_signal(&plain, length, leads, src, &taken, &size, trouble))
		return false;
	measure_signal(field->scaling, size / (leads * sizeof(float)), leads, taken, mean, deviation);
	free(taken);
	return true;
}

/* How far a lead moved at position p of the whole stored signal, of which the network sees n from first on. */
static double
moved_at(const LearnField *field, size_t lead, double p, size_t first, size_t n, const float *clean, const float *moved)
{
	size_t		at = (size_t) p - first;

	if (p < (double) first || at >= n)
		return 0;
	return ((double) moved[at * field->dims[1] + lead] - (double) clean[at * field->dims[1] + lead]) / (double) field->scale[lead];
}

static bool
find_signal_changes(const LearnField *field, size_t length, const float *src, const float *clean, const float *moved, double *changes,
					LearnTrouble *trouble)
{
	size_t		leads = field->dims[1];
	bool		resampled = field->rate > 0 && field->rate != field->to_rate;
	size_t		whole = resampled ? learn_signal_resampled(field->rate, field->to_rate, length) : length;
	size_t		n = whole < field->dims[0] ? whole : field->dims[0];
	size_t		first = learn_field_first(field, whole);
	double		step = resampled ? field->to_rate / field->rate : 1;
	double		deviation[LEARN_SIGNAL_MOST_LEADS];

	if (!find_deviations(field, length, leads, src, deviation, trouble))
		return false;
	for (size_t i = 0; i < length; i++)
		for (size_t lead = 0; lead < leads; lead++)
		{
			double		place = (double) i * step;
			double		below = floor(place);
			double		change = moved_at(field, lead, below, first, n, clean, moved);

			if (place > below)
				change += (place - below) * (moved_at(field, lead, below + 1, first, n, clean, moved) - change);
			/* What is missing stays so, and what bridges it follows. */
			changes[i * leads + lead] = isnan(src[i * leads + lead]) ? 0 : change * deviation[lead];
		}
	return true;
}

bool
learn_field_changes(const LearnField *field, const size_t dims[3], const float *src, const float *clean, const float *moved,
					double *changes, LearnTrouble *trouble)
{
	memset(trouble, 0, sizeof(*trouble));
	if (field->kind == LEARN_SIGNAL && dims[1] == field->dims[1] && dims[0] > 0)
		return find_signal_changes(field, dims[0], src, clean, moved, changes, trouble);
	if (field->kind != LEARN_IMAGE || !learn_field_is_direct(field) || dims[0] != field->dims[0] || dims[1] != field->dims[1] ||
		dims[2] != field->dims[2])
		return false;
	for (size_t i = 0; i < dims[0] * dims[1] * dims[2]; i++)
		changes[i] = ((double) moved[i] - (double) clean[i]) / (double) field->scale[i % dims[2]];
	return true;
}

/* ---- Many at once ---- */

struct LearnTaker
{
	DevSession *session;
	LearnTeam  *team;
	size_t		n;
	LearnTaking *takings;
	atomic_size_t next;
};

DevStatus
learn_taker_create(DevSession *session, int threads, LearnTaker **taker)
{
	LearnTaker *made = dev_alloc(session, 1, sizeof(LearnTaker));
	DevStatus	status;

	*taker = NULL;
	if (made == NULL)
		return DEV_NO_MEMORY;
	made->session = session;
	status = learn_team_create(session, threads, &made->team);
	if (status == DEV_OK)
		*taker = made;
	return status;
}

/* Images differ in size: whoever is done takes the next one. */
static void
take_job(void *context, int worker)
{
	LearnTaker *taker = context;

	(void) worker;
	for (size_t i = atomic_fetch_add(&taker->next, 1); i < taker->n; i = atomic_fetch_add(&taker->next, 1))
	{
		LearnTaking *taking = &taker->takings[i];

		taking->good = learn_field_take_image(taking->field, taking->bytes, taking->size, &taking->taken,
											  &taking->taken_size, &taking->trouble);
	}
}

void
learn_taker_run(LearnTaker *taker, size_t n, LearnTaking *takings)
{
	taker->n = n;
	taker->takings = takings;
	atomic_store(&taker->next, 0);
	learn_team_run(taker->team, take_job, taker);
}

void
learn_taker_free(LearnTaker *taker)
{
	if (taker == NULL)
		return;
	learn_team_free(taker->team);
	dev_release(taker->session, taker);
}

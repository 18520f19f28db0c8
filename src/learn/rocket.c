/*
 * rocket.c: fitting MiniRocket, and its state as floats.
 *
 * Dilations grow by powers of two from 1 to as far as nine taps fit into the longest signal; each takes as many
 * features a kernel as of 32 equal steps of the exponent fall on it. The biases of a convolution are quantiles of its output
 * on one random training signal, at the probabilities of a low-discrepancy sequence (multiples of the golden ratio).
 */
#include "rocket.h"

#include "dataset.h"

#include <math.h>
#include <string.h>

#define DEFAULT_FEATURES 10000
#define MOST_CHOSEN_LEADS 9
#define GOLDEN_RATIO 1.618033988749895

#define STATE_FORMAT 1.0f
#define STATE_HEADER 7			/* format, leads, length, unequal, features, dilations, leads listed */

/* ---- Fitting ---- */

/* Fills dilations and counts for `wanted` features a kernel. */
static void
choose_dilations(LearnRocket *rocket, size_t wanted)
{
	size_t		steps = wanted < LEARN_ROCKET_DILATIONS ? wanted : LEARN_ROCKET_DILATIONS;
	double		reach = rocket->length > ROCKET_TAPS ? log2((double) (rocket->length - 1) / (ROCKET_TAPS - 1)) : 0;
	size_t		given = 0;

	rocket->n_dilations = 0;
	for (size_t i = 0; i < steps; i++)
	{
		double		exponent = steps == 1 ? 0 : i == steps - 1 ? reach : (double) i * (reach / (double) (steps - 1));
		int32_t		dilation = (int32_t) exp2(exponent);

		if (rocket->n_dilations == 0 || rocket->dilations[rocket->n_dilations - 1] != dilation)
			rocket->dilations[rocket->n_dilations++] = dilation;
		rocket->counts[rocket->n_dilations - 1]++;
	}
	for (size_t d = 0; d < rocket->n_dilations; d++)
	{
		rocket->counts[d] = (int32_t) ((double) rocket->counts[d] * ((double) wanted / (double) steps));
		given += (size_t) rocket->counts[d];
	}
	for (size_t d = 0; given < wanted; d = (d + 1) % rocket->n_dilations, given++)
		rocket->counts[d]++;
}

/* Draws each convolution's leads: their number is spread evenly on the scale of its logarithm. order: (leads) workspace. */
static void
choose_leads(LearnRocket *rocket, uint64_t seed, int32_t *order)
{
	size_t		most = rocket->leads < MOST_CHOSEN_LEADS ? rocket->leads : MOST_CHOSEN_LEADS;
	int32_t		used = 0;

	for (size_t lead = 0; lead < rocket->leads; lead++)
		order[lead] = (int32_t) lead;
	for (size_t c = 0; c < rocket->n_dilations * LEARN_ROCKET_KERNELS; c++)
	{
		double		drawn = dev_random_uniform(seed, DEV_STREAM_ROCKET_LEADS, c * 16);
		size_t		chosen = (size_t) exp2(drawn * log2((double) most + 1));

		rocket->first_lead[c] = used;
		for (size_t i = 0; i < chosen && i < most; i++)
		{
			size_t		other = i + (size_t) dev_random_below(seed, DEV_STREAM_ROCKET_LEADS, c * 16 + 1 + i, rocket->leads - i);
			int32_t		lead = order[other];

			order[other] = order[i];
			order[i] = lead;
			rocket->lead_list[used++] = lead;
		}
	}
	rocket->first_lead[rocket->n_dilations * LEARN_ROCKET_KERNELS] = used;
}

/* Where the biases of the features so far came from, and what is needed for more. */
typedef struct BiasFitter
{
	DevSession *session;
	LearnRocket *rocket;
	const size_t *lengths;
	const float *const *signals;
	size_t		n;
	uint64_t	seed;
	float	   *scratch;		/* of learn_rocket_scratch */
	float	   *sorted;			/* (length) */
	float	   *sort_scratch;	/* (length) */
} BiasFitter;

/* Biases of one convolution, the first being feature number `feature`. */
static DevStatus
fit_biases(BiasFitter *fitter, size_t d, size_t kernel, size_t feature)
{
	LearnRocket *rocket = fitter->rocket;
	size_t		drawn = (size_t) dev_random_below(fitter->seed, DEV_STREAM_ROCKET, d * LEARN_ROCKET_KERNELS + kernel, fitter->n);
	size_t		length = fitter->lengths[drawn];
	RocketBuffers buffers;

	learn_rocket_lay_out(rocket, length, fitter->scratch, &buffers);
	learn_rocket_enter(rocket, fitter->signals[drawn], &buffers);
	learn_rocket_dilate(rocket, (size_t) rocket->dilations[d], &buffers);
	learn_rocket_convolve(rocket, d, kernel, &buffers);
	memcpy(fitter->sorted, buffers.output, length * sizeof(float));
	for (size_t t = 0; t < length; t++)
		if (!isfinite(fitter->sorted[t]))
			return dev_fail(fitter->session, DEV_BAD_DATA, "values of signal %zu are too large to be summed", drawn + 1);
	if (learn_sort_floats(fitter->session, fitter->sorted, fitter->sort_scratch, length) != DEV_OK)
		return dev_status(fitter->session);
	for (size_t i = 0; i < (size_t) rocket->counts[d]; i++)
	{
		/* The authors keep the probabilities in float32. */
		double		probability = (float) fmod((double) (feature + i + 1) * GOLDEN_RATIO, 1.0);
		double		at = probability * (double) (length - 1);
		size_t		low = (size_t) at < length - 1 ? (size_t) at : length - 1;
		size_t		high = low + 1 < length ? low + 1 : low;
		double		difference = (double) fitter->sorted[high] - (double) fitter->sorted[low];

		rocket->biases[feature + i] = (float) (fitter->sorted[low] + difference * (at - (double) low));
	}
	return DEV_OK;
}

static DevStatus
fit_all_biases(BiasFitter *fitter)
{
	LearnRocket *rocket = fitter->rocket;
	size_t		feature = 0;
	DevStatus	status = DEV_OK;

	for (size_t d = 0; d < rocket->n_dilations; d++)
		for (size_t kernel = 0; kernel < LEARN_ROCKET_KERNELS; kernel++)
		{
			status = dev_poll(fitter->session);
			if (status == DEV_OK)
				status = fit_biases(fitter, d, kernel, feature);
			if (status != DEV_OK)
				return status;
			feature += (size_t) rocket->counts[d];
		}
	return DEV_OK;
}

static DevStatus
check_signals(DevSession *session, size_t n, const size_t *lengths, const float *const *signals, size_t leads)
{
	if (n == 0)
		return dev_fail(session, DEV_BAD_DATA, "no signals to learn from");
	for (size_t i = 0; i < n; i++)
	{
		DevStatus	status = dev_poll(session);

		if (status != DEV_OK)
			return status;
		if (lengths[i] == 0)
			return dev_fail(session, DEV_BAD_DATA, "signal %zu is empty", i + 1);
		if (lengths[i] > LEARN_ROCKET_MOST_LENGTH)
		{
			dev_fail(session, DEV_INVALID, "signal %zu has %zu values a lead", i + 1, lengths[i]);
			dev_hint(session, "Cut signals into windows of at most %d values.", LEARN_ROCKET_MOST_LENGTH);
			return DEV_INVALID;
		}
		for (size_t t = 0; t < lengths[i] * leads; t++)
			if (!isfinite(signals[i][t]))
				return dev_fail(session, DEV_BAD_DATA, "signal %zu has a value that is not finite", i + 1);
	}
	return DEV_OK;
}

/* Memory for n_features biases, n_dilations and `listed` leads. */
static bool
allocate(DevSession *session, size_t n_dilations, size_t listed, LearnRocket *rocket)
{
	rocket->dilations = dev_alloc(session, n_dilations, sizeof(int32_t));
	rocket->counts = dev_alloc(session, n_dilations, sizeof(int32_t));
	rocket->first_lead = dev_alloc(session, n_dilations * LEARN_ROCKET_KERNELS + 1, sizeof(int32_t));
	rocket->lead_list = dev_alloc(session, listed, sizeof(int32_t));
	rocket->biases = dev_alloc(session, rocket->n_features, sizeof(float));
	return rocket->dilations != NULL && rocket->counts != NULL && rocket->first_lead != NULL && rocket->lead_list != NULL &&
		rocket->biases != NULL;
}

static DevStatus
fit_with_memory(BiasFitter *fitter)
{
	LearnRocket *rocket = fitter->rocket;
	size_t		most = rocket->leads < MOST_CHOSEN_LEADS ? rocket->leads : MOST_CHOSEN_LEADS;
	size_t		chosen = LEARN_ROCKET_DILATIONS * LEARN_ROCKET_KERNELS * most;
	int32_t    *order = dev_alloc(fitter->session, rocket->leads, sizeof(int32_t));
	DevStatus	status = DEV_NO_MEMORY;

	if (order != NULL && allocate(fitter->session, LEARN_ROCKET_DILATIONS, chosen, rocket))
	{
		choose_dilations(rocket, rocket->n_features / LEARN_ROCKET_KERNELS);
		choose_leads(rocket, fitter->seed, order);
		fitter->scratch = dev_alloc(fitter->session, learn_rocket_scratch(rocket, rocket->length), sizeof(float));
		fitter->sorted = dev_alloc(fitter->session, rocket->length, sizeof(float));
		fitter->sort_scratch = dev_alloc(fitter->session, rocket->length, sizeof(float));
		if (fitter->scratch != NULL && fitter->sorted != NULL && fitter->sort_scratch != NULL)
			status = fit_all_biases(fitter);
	}
	dev_release(fitter->session, order);
	dev_release(fitter->session, fitter->scratch);
	dev_release(fitter->session, fitter->sorted);
	dev_release(fitter->session, fitter->sort_scratch);
	if (status != DEV_OK)
		learn_rocket_free(fitter->session, rocket);
	return status;
}

DevStatus
learn_rocket_fit(DevSession *session, size_t n, const size_t *lengths, const float *const *signals,
				 size_t leads, size_t n_features, uint64_t seed, LearnRocket *rocket)
{
	BiasFitter	fitter = {.session = session, .rocket = rocket, .lengths = lengths, .signals = signals, .n = n, .seed = seed};
	DevStatus	status;

	memset(rocket, 0, sizeof(*rocket));
	if (n_features == 0)
		n_features = DEFAULT_FEATURES;
	if (leads == 0 || leads > LEARN_ROCKET_MOST_LEADS)
		return dev_fail(session, DEV_INVALID, "signals of %zu leads cannot be transformed", leads);
	if (n_features < LEARN_ROCKET_KERNELS || n_features > LEARN_ROCKET_MOST_FEATURES)
		return dev_fail(session, DEV_INVALID, "number of features must be from %d to %d, not %zu",
						LEARN_ROCKET_KERNELS, LEARN_ROCKET_MOST_FEATURES, n_features);
	status = check_signals(session, n, lengths, signals, leads);
	if (status != DEV_OK)
		return status;
	rocket->leads = leads;
	rocket->n_features = n_features / LEARN_ROCKET_KERNELS * LEARN_ROCKET_KERNELS;
	for (size_t i = 0; i < n; i++)
	{
		rocket->length = lengths[i] > rocket->length ? lengths[i] : rocket->length;
		rocket->unequal = rocket->unequal || lengths[i] != lengths[0];
	}
	return fit_with_memory(&fitter);
}

void
learn_rocket_free(DevSession *session, LearnRocket *rocket)
{
	dev_release(session, rocket->dilations);
	dev_release(session, rocket->counts);
	dev_release(session, rocket->first_lead);
	dev_release(session, rocket->lead_list);
	dev_release(session, rocket->biases);
	memset(rocket, 0, sizeof(*rocket));
}

/* ---- As floats ---- */

static size_t
count_convolutions(const LearnRocket *rocket)
{
	return rocket->n_dilations * LEARN_ROCKET_KERNELS;
}

size_t
learn_rocket_state_size(const LearnRocket *rocket)
{
	size_t		listed = (size_t) rocket->first_lead[count_convolutions(rocket)];

	return STATE_HEADER + 2 * rocket->n_dilations + count_convolutions(rocket) + listed + rocket->n_features;
}

void
learn_rocket_store(const LearnRocket *rocket, float *state)
{
	size_t		convolutions = count_convolutions(rocket);
	size_t		listed = (size_t) rocket->first_lead[convolutions];

	*state++ = STATE_FORMAT;
	*state++ = (float) rocket->leads;
	*state++ = (float) rocket->length;
	*state++ = rocket->unequal ? 1.0f : 0.0f;
	*state++ = (float) rocket->n_features;
	*state++ = (float) rocket->n_dilations;
	*state++ = (float) listed;
	for (size_t d = 0; d < rocket->n_dilations; d++)
		*state++ = (float) rocket->dilations[d];
	for (size_t d = 0; d < rocket->n_dilations; d++)
		*state++ = (float) rocket->counts[d];
	for (size_t c = 0; c < convolutions; c++)
		*state++ = (float) (rocket->first_lead[c + 1] - rocket->first_lead[c]);
	for (size_t i = 0; i < listed; i++)
		*state++ = (float) rocket->lead_list[i];
	memcpy(state, rocket->biases, rocket->n_features * sizeof(float));
}

/* What is left to read of a stored state; once something was wrong all further reads give 0. */
typedef struct StateReader
{
	const float *next;
	bool		wrong;
} StateReader;

/* The next number, which must be whole and within [low, high]. */
static size_t
read_whole(StateReader *reader, size_t low, size_t high)
{
	float		value;

	if (reader->wrong)
		return 0;
	value = *reader->next++;
	/* NaN fails the first comparison. */
	if (!(value >= (float) low && value <= (float) high) || value != floorf(value))
	{
		reader->wrong = true;
		return 0;
	}
	return (size_t) value;
}

static void
read_dilations(StateReader *reader, LearnRocket *rocket)
{
	size_t		widest = rocket->length > ROCKET_TAPS ? (rocket->length - 1) / (ROCKET_TAPS - 1) : 1;
	size_t		features = 0;

	for (size_t d = 0; d < rocket->n_dilations; d++)
		rocket->dilations[d] = (int32_t) read_whole(reader, d > 0 ? (size_t) rocket->dilations[d - 1] + 1 : 1, widest);
	for (size_t d = 0; d < rocket->n_dilations; d++)
	{
		rocket->counts[d] = (int32_t) read_whole(reader, 1, rocket->n_features);
		features += (size_t) rocket->counts[d] * LEARN_ROCKET_KERNELS;
	}
	reader->wrong = reader->wrong || features != rocket->n_features;
}

static void
read_leads(StateReader *reader, size_t listed, LearnRocket *rocket)
{
	size_t		used = 0;

	for (size_t c = 0; c < count_convolutions(rocket); c++)
	{
		rocket->first_lead[c] = (int32_t) used;
		used += read_whole(reader, 1, MOST_CHOSEN_LEADS);
	}
	rocket->first_lead[count_convolutions(rocket)] = (int32_t) used;
	reader->wrong = reader->wrong || used != listed;
	for (size_t i = 0; i < listed && !reader->wrong; i++)
		rocket->lead_list[i] = (int32_t) read_whole(reader, 0, rocket->leads - 1);
}

static void
read_biases(StateReader *reader, LearnRocket *rocket)
{
	for (size_t i = 0; i < rocket->n_features && !reader->wrong; i++)
	{
		rocket->biases[i] = *reader->next++;
		reader->wrong = !isfinite(rocket->biases[i]);
	}
}

DevStatus
learn_rocket_load(DevSession *session, const float *state, size_t n, LearnRocket *rocket)
{
	const char *damaged = "stored signal features are damaged";
	StateReader reader = {state, n < STATE_HEADER};
	size_t		listed;

	memset(rocket, 0, sizeof(*rocket));
	read_whole(&reader, (size_t) STATE_FORMAT, (size_t) STATE_FORMAT);
	rocket->leads = read_whole(&reader, 1, LEARN_ROCKET_MOST_LEADS);
	rocket->length = read_whole(&reader, 1, LEARN_ROCKET_MOST_LENGTH);
	rocket->unequal = read_whole(&reader, 0, 1) == 1;
	rocket->n_features = read_whole(&reader, LEARN_ROCKET_KERNELS, LEARN_ROCKET_MOST_FEATURES);
	rocket->n_dilations = read_whole(&reader, 1, LEARN_ROCKET_DILATIONS);
	listed = read_whole(&reader, 1, LEARN_ROCKET_DILATIONS * LEARN_ROCKET_KERNELS * MOST_CHOSEN_LEADS);
	if (reader.wrong ||
		n != STATE_HEADER + 2 * rocket->n_dilations + count_convolutions(rocket) + listed + rocket->n_features)
	{
		memset(rocket, 0, sizeof(*rocket));
		return dev_fail(session, DEV_CORRUPT, "%s", damaged);
	}
	if (!allocate(session, rocket->n_dilations, listed, rocket))
	{
		learn_rocket_free(session, rocket);
		return DEV_NO_MEMORY;
	}
	read_dilations(&reader, rocket);
	if (!reader.wrong)
		read_leads(&reader, listed, rocket);
	read_biases(&reader, rocket);
	if (reader.wrong)
	{
		learn_rocket_free(session, rocket);
		return dev_fail(session, DEV_CORRUPT, "%s", damaged);
	}
	return DEV_OK;
}

/*
 * augment_table.c: rows of tables disturbed, thinned and mixed, after they have been encoded.
 *
 * What "missing" looks like is asked of the encoder once: a row of NaN, encoded. A column that is dropped looks
 * exactly like one the patient did not have.
 */
#include "augment.h"

#include "idla/learn_augment.h"
#include "idla/learn_data.h"

#include <math.h>
#include <string.h>

/* Blocks of a row's draws. */
enum
{
	BLOCK_PLACE,				/* where the search for a partner starts */
	BLOCK_LAMBDA,				/* 64 */
	BLOCK_CODES = 1 << 10,		/* four columns a block, here and below */
	BLOCK_DROPOUT = 1 << 26,
	BLOCK_NOISE = 1 << 27
};

DevStatus
learn_table_layout(DevSession *session, const LearnChannel *channels, int n_channels, size_t n_numbers,
				   size_t n_codes, LearnTableLayout *layout)
{
	float	   *raw = dev_alloc(session, (size_t) n_channels + 1, sizeof(float));

	memset(layout, 0, sizeof(*layout));
	layout->n_numbers = n_numbers;
	layout->n_codes = n_codes;
	layout->inputs = dev_alloc(session, (size_t) n_channels + 1, sizeof(LearnTableInput));
	layout->missing_numbers = dev_alloc(session, n_numbers + 1, sizeof(float));
	layout->missing_codes = dev_alloc(session, n_codes + 1, sizeof(int32_t));
	if (raw == NULL || layout->inputs == NULL || layout->missing_numbers == NULL || layout->missing_codes == NULL)
		return DEV_NO_MEMORY;
	for (int i = 0; i < n_channels; i++)
	{
		const LearnChannel *channel = &channels[i];

		if (channel->number_input >= (int) n_numbers || channel->indicator_input >= (int) n_numbers ||
			channel->code_input >= (int) n_codes)
		{
			dev_release(session, raw);
			return dev_fail(session, DEV_CORRUPT, "channel %d of the model points outside its inputs", i);
		}
		raw[i] = NAN;
		if (channel->number_input == NN_NONE && channel->code_input == NN_NONE)
			continue;
		layout->inputs[layout->n_inputs++] = (LearnTableInput) {
			channel->number_input, channel->indicator_input, channel->code_input
		};
	}
	learn_encode_row(channels, n_channels, raw, layout->missing_numbers, layout->missing_codes);
	dev_release(session, raw);
	return DEV_OK;
}

/* ---- Mixing ---- */

static bool
is_missing(const LearnTableInput *input, const float *numbers)
{
	return input->indicator != NN_NONE && numbers[input->indicator] != 0;
}

/* The next row of row's class from a random place on, or row itself. */
static size_t
find_partner(size_t n, size_t row, const int32_t *classes, const LearnDraw *draw)
{
	uint32_t	bits[4];
	size_t		start;

	learn_draw_block(draw, BLOCK_PLACE, bits);
	start = (size_t) (((uint64_t) bits[0] << 32 | bits[1]) % n);
	for (size_t i = 0; i < n; i++)
	{
		size_t		other = start + i < n ? start + i : start + i - n;

		if (other != row && classes[other] == classes[row])
			return other;
	}
	return row;
}

/* numbers and codes are the row's; own are as they were before anything was mixed, partner likewise. */
static void
mix_row(const LearnTableLayout *layout, double lambda, const float *own, const float *partner,
		const int32_t *partner_codes, const LearnDraw *draw, float *numbers, int32_t *codes)
{
	float		weight = (float) lambda;
	uint32_t	bits[4];

	for (size_t i = 0; i < layout->n_inputs; i++)
	{
		const LearnTableInput *input = &layout->inputs[i];

		if (i % 4 == 0)
			learn_draw_block(draw, BLOCK_CODES + i / 4, bits);
		if (input->code != NN_NONE && learn_unit(bits[i % 4]) >= weight)
			codes[input->code] = partner_codes[input->code];
		if (input->number == NN_NONE)
			continue;
		if (!is_missing(input, own) && !is_missing(input, partner))
			numbers[input->number] = weight * own[input->number] + (1 - weight) * partner[input->number];
		else if (weight < 0.5f)
		{
			numbers[input->number] = partner[input->number];
			numbers[input->indicator] = partner[input->indicator];
		}
	}
}

static void
mix_rows(const LearnAugmentTable *how, const LearnTableLayout *layout, size_t n, const int32_t *classes,
		 float *numbers, int32_t *codes, LearnDraw draw, float *scratch)
{
	size_t		n_numbers = layout->n_numbers;
	size_t		n_codes = layout->n_codes;
	int32_t    *old_codes = (int32_t *) (void *) (scratch + n * n_numbers);

	memcpy(scratch, numbers, n * n_numbers * sizeof(float));
	if (n_codes > 0)
		memcpy(old_codes, codes, n * n_codes * sizeof(int32_t));
	for (size_t row = 0; row < n; row++, draw.counter++)
	{
		size_t		partner = find_partner(n, row, classes, &draw);
		double		lambda;

		if (partner == row)
			continue;
		lambda = learn_beta_draw((double) how->mixup, draw.seed, draw.stream, draw.counter, BLOCK_LAMBDA);
		mix_row(layout, lambda, scratch + row * n_numbers, scratch + partner * n_numbers,
				old_codes + partner * n_codes, &draw, numbers + row * n_numbers, codes + row * n_codes);
	}
}

/* ---- Noise and dropout ---- */

static void
add_noise(const LearnTableLayout *layout, float deviation, const LearnDraw *draw, float *numbers)
{
	float		noise[64];

	for (size_t first = 0; first < layout->n_inputs; first += 64)
	{
		size_t		count = layout->n_inputs - first < 64 ? layout->n_inputs - first : 64;

		learn_draw_normal(draw, BLOCK_NOISE + first / 4, count, deviation, noise);
		for (size_t i = 0; i < count; i++)
		{
			const LearnTableInput *input = &layout->inputs[first + i];

			if (input->number != NN_NONE && !is_missing(input, numbers))
				numbers[input->number] += noise[i];
		}
	}
}

static void
drop_columns(const LearnTableLayout *layout, float rate, const LearnDraw *draw, float *numbers, int32_t *codes)
{
	uint32_t	bits[4];

	for (size_t i = 0; i < layout->n_inputs; i++)
	{
		const LearnTableInput *input = &layout->inputs[i];

		if (i % 4 == 0)
			learn_draw_block(draw, BLOCK_DROPOUT + i / 4, bits);
		if (learn_unit(bits[i % 4]) >= rate)
			continue;
		if (input->number != NN_NONE)
			numbers[input->number] = layout->missing_numbers[input->number];
		if (input->indicator != NN_NONE)
			numbers[input->indicator] = layout->missing_numbers[input->indicator];
		if (input->code != NN_NONE)
			codes[input->code] = layout->missing_codes[input->code];
	}
}

void
learn_augment_rows(const LearnAugmentTable *how, const LearnTableLayout *layout, size_t n, const int32_t *classes,
				   float *numbers, int32_t *codes, uint64_t seed, uint64_t stream, uint64_t counter, float *scratch)
{
	LearnDraw	draw = {seed, stream, counter};

	if (how->mixup > 0 && classes != NULL && n > 1)
		mix_rows(how, layout, n, classes, numbers, codes, draw, scratch);
	for (size_t row = 0; row < n; row++, draw.counter++)
	{
		float	   *own = numbers + row * layout->n_numbers;

		if (how->noise > 0)
			add_noise(layout, how->noise, &draw, own);
		if (how->dropout > 0)
			drop_columns(layout, how->dropout, &draw, own, codes + row * layout->n_codes);
	}
}

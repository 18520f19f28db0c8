/*
 * fit.c: what the training part teaches about the channels, before any network sees it.
 *
 * Column by column: is it worth using, what is its middle and its spread, which categories are
 * frequent, is anything missing. Rows of other parts are never looked at. Of more than
 * a million training rows the order statistics are those of an even sample, whatever memory there is.
 */
#include "rank.h"

#include "field.h"
#include "fit.h"

#include "idla/learn_tags.h"

#define SAMPLE_ROWS ((size_t) 1 << 20)

DevStatus
learn_flag_rows(LearnDataset *dataset, uint8_t *rows, size_t most, size_t *n_train, size_t *n_sample)
{
	size_t		sizes[LEARN_N_PARTS];
	size_t		seen = 0;
	size_t		sampled = 0;

	learn_part_sizes(dataset, sizes);
	*n_train = sizes[LEARN_TRAIN];
	*n_sample = *n_train < most ? *n_train : most;
	for (size_t row = 0; row < dataset->n_rows; row++)
	{
		if (row % LEARN_POLL_ROWS == 0 && dev_poll(dataset->session) != DEV_OK)
			return DEV_CANCELLED;
		rows[row] = 0;
		if (dataset->parts[row] != LEARN_TRAIN)
			continue;
		seen++;
		rows[row] = ROW_TRAIN;
		if ((uint64_t) seen * *n_sample / *n_train > sampled)
		{
			rows[row] |= ROW_SAMPLE;
			sampled++;
		}
	}
	return DEV_OK;
}

static DevStatus
create_fitter(LearnDataset *dataset, const LearnFit *fit, Fitter *fitter)
{
	DevSession *session = dataset->session;

	memset(fitter, 0, sizeof(*fitter));
	fitter->dataset = dataset;
	fitter->fit = fit;
	fitter->rows = dev_alloc(session, dataset->n_rows, 1);
	if (fitter->rows == NULL)
		return DEV_NO_MEMORY;
	if (learn_flag_rows(dataset, fitter->rows, SAMPLE_ROWS, &fitter->n_train, &fitter->n_sample) != DEV_OK)
		return DEV_CANCELLED;
	fitter->buffer = dev_alloc(session, dataset->chunk_rows, sizeof(float));
	fitter->piece = dev_alloc(session, dataset->chunk_rows + 1, sizeof(float));
	fitter->values = dev_alloc(session, fitter->n_sample + 1, sizeof(float));
	fitter->scratch = dev_alloc(session, fitter->n_sample + 1, sizeof(float));
	fitter->counts = dev_alloc(session, LEARN_QUANTILE_COUNTS, sizeof(uint32_t));
	if (fitter->buffer == NULL || fitter->piece == NULL || fitter->values == NULL || fitter->scratch == NULL ||
		fitter->counts == NULL)
		return DEV_NO_MEMORY;
	return DEV_OK;
}

static void
free_fitter(Fitter *fitter)
{
	DevSession *session = fitter->dataset->session;

	dev_release(session, fitter->rows);
	dev_release(session, fitter->buffer);
	dev_release(session, fitter->piece);
	dev_release(session, fitter->values);
	dev_release(session, fitter->scratch);
	dev_release(session, fitter->counts);
}

/* ---- All channels ---- */

static bool
has_indicator(const LearnChannel *channel)
{
	return channel->kind == LEARN_NUMBER && channel->use == LEARN_USE_KEEP && channel->indicator;
}

/* Order of the number inputs: those without an indicator, those with one, the indicators. */
static DevStatus
number_inputs(LearnDataset *dataset)
{
	size_t		plain = 0;
	size_t		indicator = 0;

	for (int i = 0; i < dataset->n_channels; i++)
	{
		LearnChannel *channel = &dataset->channels[i];

		channel->number_input = channel->indicator_input = channel->code_input = NN_NONE;
		if (channel->use != LEARN_USE_KEEP)
			continue;
		if (channel->kind == LEARN_CATEGORY)
			channel->code_input = (int) dataset->n_codes++;
		else if (channel->indicator)
			dataset->n_indicators++;
		else
			dataset->n_plain++;
	}
	dataset->n_scaled = dataset->n_plain + dataset->n_indicators;
	dataset->n_numbers = dataset->n_scaled + dataset->n_indicators;
	dataset->width = dataset->n_scaled + dataset->n_codes;
	dataset->fills = dev_alloc(dataset->session, dataset->n_indicators + 1, sizeof(float));
	if (dataset->fills == NULL)
		return DEV_NO_MEMORY;
	for (int i = 0; i < dataset->n_channels; i++)
	{
		LearnChannel *channel = &dataset->channels[i];

		if (has_indicator(channel))
		{
			/* Scaled while the channel has no indicator_input yet, so that the value comes out and not a NaN. */
			learn_scale_numbers(channel, 1, &channel->fill, &dataset->fills[indicator]);
			channel->number_input = (int) (dataset->n_plain + indicator);
			channel->indicator_input = (int) (dataset->n_scaled + indicator);
			indicator++;
		}
		else if (channel->kind == LEARN_NUMBER && channel->use == LEARN_USE_KEEP)
			channel->number_input = (int) plain++;
	}
	return DEV_OK;
}

static DevStatus
note_left_out(LearnDataset *dataset, LearnNotes *notes)
{
	static const struct
	{
		LearnUse	use;
		const char *what;
		const char *detail;
		const char *hint;
	}			reasons[] =
	{
		{LEARN_USE_CONSTANT, "constant", "They have one value in all training rows.", NULL},
		{LEARN_USE_EMPTY, "empty", "They have no value in any training row.", NULL},
		{LEARN_USE_IDENTIFIER, "identifying", "They have a value of their own in nearly every training row.",
		"To use such a column, say \"keep\" or its kind in the option columns."}
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
	{
		LearnNameText names = {0};

		for (int channel = 0; channel < dataset->n_channels; channel++)
			if (dataset->channels[channel].use == reasons[i].use)
				learn_name_text_add(&names, dataset->channels[channel].name);
		if (names.n > 0 &&
			learn_note(dataset->session, notes, false, reasons[i].detail, reasons[i].hint,
					   "%s columns are left out: %s", reasons[i].what, learn_name_text(&names)) != DEV_OK)
			return DEV_NO_MEMORY;
	}
	return DEV_OK;
}

static DevStatus
check_fit(LearnDataset *dataset)
{
	size_t		sizes[LEARN_N_PARTS];

	if (dataset->stage != STAGE_OPEN)
		return dev_fail(dataset->session, DEV_INVALID, "a data set is fitted once");
	learn_part_sizes(dataset, sizes);
	if (sizes[LEARN_TRAIN] == 0)
		return dev_fail(dataset->session, DEV_BAD_DATA, "no row belongs to the training part");
	return DEV_OK;
}

/* Tags that contradict their scheme are read all the same, but may be a mistake of whoever wrote them. */
static DevStatus
note_disorder(LearnDataset *dataset, LearnNotes *notes)
{
	static const char *const names[] = {[LEARN_IOB2] = "IOB2", [LEARN_IOBES] = "IOBES", [LEARN_IOB1] = "IOB1"};
	DevStatus	status = DEV_OK;

	for (int i = 0; i < dataset->n_fields && status == DEV_OK; i++)
	{
		const LearnLabels *labels = dataset->fields[i].labels;
		uint64_t	n = labels == NULL ? 0 : learn_labels_disorder(labels);

		if (n > 0)
			status = learn_note(dataset->session, notes, true,
								"They are read as the entities that they mean most likely: longest runs of one label.",
								"See whether sentences are cut where entities go on, and whether all tags are written in one scheme.",
								"tags of \"%s\" that are out of order in %s: %llu", dataset->fields[i].name,
								names[learn_labels_scheme(labels)], (unsigned long long) n);
	}
	return status;
}

DevStatus
learn_fit(LearnDataset *dataset, const LearnFit *fit, LearnNotes *notes, size_t *n_numbers, size_t *n_codes)
{
	DevSession *session = dataset->session;
	Fitter		fitter;
	size_t		n_strata;
	DevStatus	status = check_fit(dataset);

	if (status == DEV_OK)
		status = learn_check_targets(dataset, fit->task, &n_strata);
	if (status != DEV_OK)
		return status;
	status = create_fitter(dataset, fit, &fitter);
	for (int channel = 0; channel < dataset->n_channels && status == DEV_OK; channel++)
		status = dataset->channels[channel].kind == LEARN_CATEGORY ? learn_fit_category(&fitter, channel) :
			learn_fit_number(&fitter, channel);
	free_fitter(&fitter);
	if (status == DEV_OK)
		status = number_inputs(dataset);
	if (status == DEV_OK)
		status = note_left_out(dataset, notes);
	if (status == DEV_OK && dataset->n_fields > 0)
		status = learn_fields_fit(dataset);
	if (status == DEV_OK)
		status = note_disorder(dataset, notes);
	if (status == DEV_OK && dataset->width == 0 && dataset->n_fields == 0)
	{
		status = dev_fail(session, DEV_BAD_DATA, "no column is left to learn from");
		dev_detail(session, "All are constant, empty or identifiers in the training part.");
	}
	if (status == DEV_OK && !dataset->grouped && dataset->n_channels > 0)
		status = learn_check_people(dataset, notes);
	if (status == DEV_OK && fit->warn_leakage && dataset->n_channels > 0)
		status = learn_check_leakage(dataset, fit->task, notes);
	if (status != DEV_OK)
		return status;
	dataset->stage = STAGE_FITTED;
	*n_numbers = dataset->n_numbers;
	*n_codes = dataset->n_codes;
	return DEV_OK;
}

/* ---- Targets of a regression ---- */

DevStatus
learn_fit_targets(LearnDataset *dataset, double *mean, double *scale)
{
	size_t		n_targets = (size_t) dataset->n_targets;
	size_t		sizes[LEARN_N_PARTS];
	size_t		n_strata;
	DevStatus	status = learn_check_targets(dataset, LEARN_REGRESSION, &n_strata);

	if (status != DEV_OK)
		return status;
	if (dataset->n_lessons > 0 && (size_t) dataset->n_lessons != n_targets)
		return dev_fail(dataset->session, DEV_INVALID, "a teacher has %d answers for %zu targets", dataset->n_lessons, n_targets);
	learn_part_sizes(dataset, sizes);
	if (sizes[LEARN_TRAIN] == 0)
		return dev_fail(dataset->session, DEV_BAD_DATA, "no row belongs to the training part");
	for (size_t target = 0; target < n_targets; target++)
	{
		double		sum = 0;
		double		squares = 0;

		/* Twice over the rows: the second sum is of differences to the mean, which loses nothing to cancellation. */
		for (int pass = 0; pass < 2; pass++)
		{
			for (size_t row = 0; row < dataset->n_rows; row++)
			{
				double		value = dataset->targets[row * n_targets + target];

				if (row % LEARN_POLL_ROWS == 0 && dev_poll(dataset->session) != DEV_OK)
					return DEV_CANCELLED;
				if (dataset->parts[row] != LEARN_TRAIN)
					continue;
				if (pass == 0)
					sum += value;
				else
					squares += (value - mean[target]) * (value - mean[target]);
			}
			if (pass == 0)
				mean[target] = sum / (double) sizes[LEARN_TRAIN];
		}
		scale[target] = sqrt(squares / (double) sizes[LEARN_TRAIN]);
		if (!(scale[target] > 0))
			return dev_fail(dataset->session, DEV_BAD_DATA, "the target has only one value, %g, in the training part", mean[target]);
		for (size_t row = 0; row < dataset->n_rows; row++)
		{
			float	   *value = &dataset->targets[row * n_targets + target];

			if (row % LEARN_POLL_ROWS == 0 && dev_poll(dataset->session) != DEV_OK)
				return DEV_CANCELLED;
			*value = (float) ((*value - mean[target]) / scale[target]);
			if (dataset->n_lessons > 0)
			{
				float	   *lesson = &dataset->lessons[row * (size_t) dataset->n_lessons + target];

				*lesson = (float) ((*lesson - mean[target]) / scale[target]);
			}
		}
	}
	return DEV_OK;
}


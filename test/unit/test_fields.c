/*
 * test_fields.c: images and signals on their way from values to planes: taken, packed, resized and refused; loaded, padded
 * and cropped; fitted on the training part alone; drawn from memory and from the file.
 */
#include "check_fields.h"
#include "check_image.h"
#include "learn/dataset.h"
#include "learn/field.h"

#define TAKINGS 300

static DevSession *
open_session(void)
{
	DevSession *session;

	CHECK_OR_STOP(dev_session_open(NULL, 3, &session) == DEV_OK, "a session opens");
	return session;
}

/* ---- Planes ---- */

static void
check_planes(void)
{
	LearnField	image = field_image();
	LearnField	signal = field_signal();
	LearnPlane	planes[LEARN_MAX_PLANES];

	CHECK(learn_field_planes(&image, planes) == 1 && planes[0].shape.rank == 3 && planes[0].shape.dims[0] == FIELD_HEIGHT &&
		  planes[0].shape.dims[1] == FIELD_WIDTH && planes[0].shape.dims[2] == 1 && !planes[0].codes && planes[0].name[0] == '\0',
		  "an image is one plane of height, width and depth");
	CHECK(learn_field_planes(&signal, planes) == 1 && planes[0].shape.rank == 2 && planes[0].shape.dims[0] == FIELD_SAMPLES &&
		  planes[0].shape.dims[1] == FIELD_LEADS, "a signal is one of samples and leads");
	CHECK(!learn_field_has_length(&image) && learn_field_has_length(&signal), "a signal alone has a length");
	CHECK(learn_field_depth(&image) == 1 && learn_field_depth(&signal) == 2, "depths");
	CHECK(learn_field_parts(&image) == FIELD_HEIGHT * FIELD_WIDTH && learn_field_parts(&signal) == FIELD_SAMPLES * FIELD_LEADS,
		  "parts are pixels, and samples of leads");
	image.dims[2] = 3;
	CHECK(learn_field_part(&image, 0, 0, 90) == 0 && learn_field_part(&image, 0, 2, 90) == 0 && learn_field_part(&image, 0, 3, 90) == 1 &&
		  learn_field_part(&image, 0, 89, 90) == 29, "three channels of a pixel are one part");
	CHECK(learn_field_part(&signal, 0, 47, 48) == 47, "every sample of a lead is a part");
}

/* ---- Loading ---- */

/* What load gives for bytes; the planes are filled with a value before. */
static int32_t
load(const LearnField *field, const void *bytes, size_t size, float *plane, size_t n)
{
	void	   *planes[LEARN_MAX_PLANES] = {plane};
	int32_t		length = -1;

	for (size_t i = 0; i < n; i++)
		plane[i] = 99;
	learn_field_load(field, (LearnBytes) {bytes, size}, NULL, planes, &length);
	return length;
}

static void
check_load(void)
{
	float		center[2] = {0.5f, 10};
	float		scale[2] = {2, 0.5f};
	uint8_t		bytes[4] = {0, 51, 255, 102};
	uint16_t	words[4] = {0, 65535, 13107, 65535};
	float		values[12] = {1, 12, 2, 14, NAN, 16, 4, INFINITY, 5, 20, 6, 22};
	float		plane[12];
	LearnField	field = {.kind = LEARN_IMAGE, .sample = LEARN_SAMPLE_U8, .dims = {2, 2, 1}, .center = center, .scale = scale};

	CHECK(load(&field, bytes, 4, plane, 4) == 4, "four pixels");
	CHECK_NEAR(plane[0], -1, 1e-6, "black, centred and scaled");
	CHECK_NEAR(plane[1], -0.6, 1e-6, "a fifth of white");
	CHECK_NEAR(plane[2], 1, 1e-6, "white");
	field.sample = LEARN_SAMPLE_U16;
	load(&field, words, 8, plane, 4);
	CHECK(fabsf(plane[0] + 1) < 1e-6f && fabsf(plane[1] - 1) < 1e-6f && fabsf(plane[2] + 0.6f) < 1e-6f, "sixteen bits are shares of white too");
	CHECK(load(&field, NULL, 0, plane, 4) == 0 && plane[0] == 0 && plane[3] == 0, "a missing image is zeros: the training mean");

	field = (LearnField) {.kind = LEARN_SIGNAL, .sample = LEARN_SAMPLE_F32, .dims = {4, 2, 0}, .center = center, .scale = scale};
	CHECK(load(&field, values, 6 * sizeof(float), plane, 8) == 3, "a short signal has its length");
	CHECK(plane[0] == 1 && plane[1] == 1 && plane[2] == 3 && plane[3] == 2, "each lead has a centre and a scale of its own");
	CHECK(plane[4] == 0 && plane[5] == 3, "what is no number is zero, its neighbour is not");
	CHECK(plane[6] == 0 && plane[7] == 0, "and the rest is padding");
	CHECK(load(&field, values, sizeof(values), plane, 8) == 4 && plane[1] == 2 && plane[7] == 5, "of a longer one the middle is kept");
	field.keep = LEARN_CROP_START;
	CHECK(load(&field, values, sizeof(values), plane, 8) == 4 && plane[1] == 1 && plane[7] == 0, "or the start, an infinity being none");
	field.keep = LEARN_CROP_END;
	CHECK(load(&field, values, sizeof(values), plane, 8) == 4 && plane[1] == 3 && plane[7] == 6, "or the end");
	CHECK(load(&field, values, 0, plane, 8) == 0 && plane[0] == 0 && plane[7] == 0, "an empty record is padding alone");
}

/* ---- Taking ---- */

static bool
take_signal(const LearnField *field, size_t length, size_t leads, const float *src, float **taken, size_t *n, LearnTrouble *trouble)
{
	void	   *bytes;
	size_t		size;
	bool		good = learn_field_take_signal(field, length, leads, src, &bytes, &size, trouble);

	*taken = bytes;
	*n = good ? size / sizeof(float) : 0;
	return good == (bytes != NULL) && good;
}

static void
check_take_signal(void)
{
	float		values[8] = {1, 10, NAN, 20, 3, 30, 4, 40};
	float		empty[8] = {1, NAN, 2, NAN, 3, NAN, 4, NAN};
	float		nothing[2] = {NAN, NAN};
	float	   *many = calloc(2000, sizeof(float));
	float	   *taken;
	size_t		n;
	LearnTrouble trouble;
	LearnField	field = {.kind = LEARN_SIGNAL, .sample = LEARN_SAMPLE_F32, .dims = {4, 2, 0}};

	CHECK(take_signal(&field, 4, 2, values, &taken, &n, &trouble) && n == 8 && taken[0] == 1 && taken[7] == 40, "a signal is taken");
	CHECK(taken[2] == 2, "its gap bridged");
	free(taken);
	CHECK(take_signal(&field, 4, 2, empty, &taken, &n, &trouble) && taken[0] == 1 && isnan(taken[1]) && isnan(taken[7]),
		  "a lead without values stays without");
	free(taken);
	CHECK(!take_signal(&field, 1, 2, nothing, &taken, &n, &trouble) && trouble.status == DEV_BAD_DATA &&
		  strcmp(trouble.message, "signal has no values, only missing ones") == 0, "a signal of gaps is refused");
	CHECK(!take_signal(&field, 0, 1, values, &taken, &n, &trouble) && strcmp(trouble.message, "signal is empty") == 0, "so is an empty one");
	CHECK(!take_signal(&field, 1, 2000, many, &taken, &n, &trouble) && strcmp(trouble.message, "the signal has more than 1024 leads") == 0 &&
		  trouble.hint[0] != '\0', "and one of too many leads");
	CHECK(take_signal(&field, 1, 1024, many, &taken, &n, &trouble) && n == 1024, "1024 are allowed");
	free(taken);
	free(many);
	field.scaling = LEARN_SIGNAL_BY_SIGNAL;
	CHECK(take_signal(&field, 4, 2, values, &taken, &n, &trouble), "a signal scaled by itself");
	CHECK_NEAR(taken[0] + taken[2] + taken[4] + taken[6], 0, 1e-5, "has leads of mean zero");
	CHECK_NEAR(taken[1] * taken[1] + taken[3] * taken[3] + taken[5] * taken[5] + taken[7] * taken[7], 4, 1e-5, "and deviation one");
	free(taken);
	field.scaling = LEARN_SIGNAL_TOGETHER;
	CHECK(take_signal(&field, 4, 2, values, &taken, &n, &trouble), "leads scaled together");
	CHECK_NEAR(taken[1] / taken[0], 10, 1e-4, "keep their proportions");
	free(taken);
}

static void
check_resampling(void)
{
	float		values[100];
	float	   *taken;
	size_t		n;
	LearnTrouble trouble;
	LearnField	field = {.kind = LEARN_SIGNAL, .sample = LEARN_SAMPLE_F32, .dims = {50, 1, 0}, .rate = 100, .to_rate = 50};
	double		worst = 0;

	for (size_t i = 0; i < 100; i++)
		values[i] = (float) sin(0.1 * (double) i);
	CHECK(take_signal(&field, 100, 1, values, &taken, &n, &trouble) && n == 50, "half the rate, half the samples");
	for (size_t i = 5; i < 45; i++)
		worst = fmax(worst, fabs((double) taken[i] - sin(0.2 * (double) i)));
	CHECK(worst < 0.01, "of the same wave");
	free(taken);
	field.rate = field.to_rate = 7;
	CHECK(take_signal(&field, 100, 1, values, &taken, &n, &trouble) && n == 100 && memcmp(taken, values, sizeof(values)) == 0,
		  "equal rates change nothing");
	free(taken);
	/* The size that the rates ask for wraps around if it is not refused first. */
	field.rate = 1e-6;
	field.to_rate = 1e9;
	CHECK(!take_signal(&field, 100, 1, values, &taken, &n, &trouble) && strcmp(trouble.message, "the signal is too long once it is resampled") == 0,
		  "rates far apart are refused before memory is taken");
	field.rate = 1e9;
	field.to_rate = 1e-6;
	CHECK(take_signal(&field, 100, 1, values, &taken, &n, &trouble) && n == 1, "the other way round one sample is left");
	free(taken);
}

static bool
take_pixels(const LearnField *field, size_t height, size_t width, size_t depth, const float *src, float **taken, LearnTrouble *trouble)
{
	void	   *bytes;
	size_t		size;
	bool		good = learn_field_take_pixels(field, height, width, depth, src, &bytes, &size, trouble);

	*taken = bytes;
	return good == (bytes != NULL) && good && size == field->dims[0] * field->dims[1] * field->dims[2] * sizeof(float);
}

static void
check_take_pixels(void)
{
	float		pixels[48];
	float	   *taken;
	LearnTrouble trouble;
	LearnField	field = {.kind = LEARN_IMAGE, .sample = LEARN_SAMPLE_F32, .dims = {4, 4, 1}, .same_size = true, .same_depth = true};

	for (size_t i = 0; i < 48; i++)
		pixels[i] = (float) i * 100 - 7;
	CHECK(take_pixels(&field, 4, 4, 1, pixels, &taken, &trouble) && memcmp(taken, pixels, 16 * sizeof(float)) == 0,
		  "an array of numbers of any range is taken as it is");
	free(taken);
	CHECK(!take_pixels(&field, 2, 8, 1, pixels, &taken, &trouble) && trouble.status == DEV_BAD_DATA &&
		  strcmp(trouble.message, "the image is 2 x 8 with 1 channels where 4 x 4 with 1 are expected") == 0 &&
		  strstr(trouble.hint, "height and width") != NULL, "another size is refused");
	CHECK(!take_pixels(&field, 4, 4, 3, pixels, &taken, &trouble) &&
		  strcmp(trouble.message, "the image is 4 x 4 with 3 channels where 4 x 4 with 1 are expected") == 0 &&
		  strstr(trouble.hint, "depth") != NULL, "so is another depth");
	CHECK(!take_pixels(&field, 0, 4, 1, pixels, &taken, &trouble) && strcmp(trouble.message, "the image has no pixels") == 0, "and no pixels");
	pixels[5] = NAN;
	CHECK(!take_pixels(&field, 4, 4, 1, pixels, &taken, &trouble) && strcmp(trouble.message, "the image has a pixel that is no number") == 0,
		  "and what is no number");
	pixels[5] = INFINITY;
	CHECK(!take_pixels(&field, 4, 4, 1, pixels, &taken, &trouble), "nor an infinity");
	pixels[5] = 493;
	field.same_size = false;
	field.dims[0] = field.dims[1] = 2;
	CHECK(take_pixels(&field, 4, 4, 1, pixels, &taken, &trouble), "a size that was asked for is made");
	CHECK_NEAR(taken[0], (-7 + 93 + 393 + 493) / 4.0, 1e-5, "as means over areas");
	free(taken);
	field.same_depth = false;
	field.dims[2] = 3;
	CHECK(take_pixels(&field, 4, 4, 1, pixels, &taken, &trouble) && taken[0] == taken[1] && taken[1] == taken[2], "grey becomes colour");
	free(taken);
	CHECK(!take_pixels(&field, 4, 4, 2, pixels, &taken, &trouble), "two channels become nothing else");
	field.crop[0] = field.crop[1] = 5;
	CHECK(!take_pixels(&field, 4, 4, 3, pixels, &taken, &trouble) && trouble.status == DEV_BAD_DATA, "nothing is cut out of a smaller image");
}

static void
check_take_files(void)
{
	uint16_t	samples[4] = {0, 65535, 13107, 100};
	MadePng		how = {.width = 2, .height = 2, .depth = 16, .kind = PNG_COLOR_TYPE_GRAY};
	LearnField	field = {.kind = LEARN_IMAGE, .sample = LEARN_SAMPLE_U8, .dims = {2, 2, 1}, .same_size = true, .same_depth = true};
	Made		made = make_png(&how, samples);
	Made		part = made_part(&made, made.size - 20);
	LearnTrouble trouble;
	void	   *taken;
	size_t		size;

	CHECK(learn_field_take_image(&field, made.bytes, made.size, &taken, &size, &trouble) && size == 4, "a file is taken as bytes");
	CHECK(((uint8_t *) taken)[0] == 0 && ((uint8_t *) taken)[1] == 255 && ((uint8_t *) taken)[2] == 51 && ((uint8_t *) taken)[3] == 0,
		  "the shares of white of each pixel");
	free(taken);
	field.sample = LEARN_SAMPLE_U16;
	CHECK(learn_field_take_image(&field, made.bytes, made.size, &taken, &size, &trouble) && size == 8 && memcmp(taken, samples, 8) == 0,
		  "or as sixteen bits without loss");
	free(taken);
	CHECK(!learn_field_take_image(&field, part.bytes, part.size, &taken, &size, &trouble) && taken == NULL && trouble.status == DEV_BAD_DATA &&
		  trouble.message[0] != '\0', "a truncated one is refused: %s", trouble.message);
	CHECK(!learn_field_take_image(&field, "", 0, &taken, &size, &trouble) && taken == NULL, "no bytes are refused: %s", trouble.message);
	field.dims[0] = 3;
	CHECK(!learn_field_take_image(&field, made.bytes, made.size, &taken, &size, &trouble) &&
		  strcmp(trouble.message, "the image is 2 x 2 with 1 channels where 3 x 2 with 1 are expected") == 0, "and another size");
	made_free(&made);
	made_free(&part);
}

/* Files of different sizes, some of them bad, on several threads: each answer is that of taking alone. */
static void
check_taker(int threads)
{
	DevSession *session = open_session();
	LearnField	field = {.kind = LEARN_IMAGE, .sample = LEARN_SAMPLE_U8, .dims = {4, 4, 1}, .same_depth = true};
	LearnTaking *takings = calloc(TAKINGS, sizeof(LearnTaking));
	Made	   *files = calloc(TAKINGS, sizeof(Made));
	LearnTaker *taker;
	bool		same = true;
	int			n_bad = 0;

	CHECK_STATUS(session, learn_taker_create(session, threads, &taker), DEV_OK, "%d threads take images", threads);
	for (size_t i = 0; i < TAKINGS; i++)
	{
		MadePng		how = {.width = 1 + i % 40, .height = 1 + i % 23, .depth = 8, .kind = PNG_COLOR_TYPE_GRAY};
		uint16_t   *samples = calloc(how.width * how.height, sizeof(uint16_t));

		for (size_t k = 0; k < how.width * how.height; k++)
			samples[k] = (uint16_t) ((i * 31 + k * 7) % 256);
		files[i] = make_png(&how, samples);
		takings[i] = (LearnTaking) {.field = &field, .bytes = files[i].bytes, .size = i % 9 == 4 ? files[i].size / 2 : files[i].size};
		free(samples);
	}
	for (int round = 0; round < 2; round++)
	{
		learn_taker_run(taker, TAKINGS, takings);
		for (size_t i = 0; i < TAKINGS; i++)
		{
			LearnTrouble trouble;
			void	   *taken;
			size_t		size = 0;
			bool		good = learn_field_take_image(&field, takings[i].bytes, takings[i].size, &taken, &size, &trouble);

			same = same && good == takings[i].good && good == (i % 9 != 4);
			same = same && (good ? size == takings[i].taken_size && memcmp(taken, takings[i].taken, size) == 0 :
							takings[i].taken == NULL && strcmp(trouble.message, takings[i].trouble.message) == 0);
			n_bad += !takings[i].good;
			free(taken);
			free(takings[i].taken);
			takings[i].taken = NULL;
		}
	}
	CHECK(same && n_bad == 2 * 33, "each as if it were alone, the bad ones refused");
	learn_taker_run(taker, 0, takings);
	learn_taker_free(taker);
	learn_taker_free(NULL);
	for (size_t i = 0; i < TAKINGS; i++)
		made_free(&files[i]);
	free(files);
	free(takings);
	dev_session_close(session);
}

/* ---- Fitting ---- */

static const FieldPlan both = {.image = true, .signal = true, .columns = true, .task = LEARN_BINARY, .n = 400};

static void
check_fit(void)
{
	DevSession *session = open_session();
	FieldTable	table;
	double		sum[3] = {0};
	double		squares[3] = {0};
	double		count[3] = {0};

	CHECK_STATUS(session, field_table(session, &both, &table), DEV_OK, "a table of images, signals and columns");
	for (size_t row = 0; row < both.n; row++)
	{
		uint8_t		pixels[FIELD_MOST_BYTES];
		float		samples[FIELD_SAMPLES * FIELD_LEADS];
		size_t		n = field_bytes(&table.fields[0], row, pixels);
		size_t		m = field_bytes(&table.fields[1], row, samples) / sizeof(float);

		if (learn_dataset_parts(table.dataset)[row] != LEARN_TRAIN)
			continue;
		for (size_t i = 0; i < n + m; i++)
		{
			size_t		which = i < n ? 0 : 1 + (i - n) % FIELD_LEADS;
			double		value = i < n ? pixels[i] / 255.0 : (double) samples[i - n];

			sum[which] += value;
			squares[which] += value * value;
			count[which]++;
		}
	}
	for (int which = 0; which < 3; which++)
	{
		const LearnField *field = &table.fields[which > 0];
		int			d = which > 0 ? which - 1 : 0;
		double		mean = sum[which] / count[which];

		CHECK_NEAR(field->center[d], mean, 1e-5, "the centre of %s %d is the mean of the training part alone", field->name, d);
		CHECK_NEAR(field->scale[d], 1 / sqrt(squares[which] / count[which] - mean * mean), 1e-4, "and the scale its deviation's inverse");
	}
	field_table_close(&table);
	dev_session_close(session);
}

/* A field that never varies, and one that is always missing, are no reason to divide by zero. */
static void
check_flat(void)
{
	DevSession *session = open_session();
	LearnField	fields[2] = {field_image(), field_signal()};
	LearnChannel none;
	LearnSplit	split = {.given = true, .task = LEARN_REGRESSION};
	LearnFit	fit = {.task = LEARN_REGRESSION, .min_count = 1};
	LearnDataset *dataset;
	uint8_t		pixels[FIELD_HEIGHT * FIELD_WIDTH];
	size_t		n_numbers;
	size_t		n_codes;
	DevStatus	status = learn_dataset_create(session, &none, 0, 1, (size_t) 1 << 20, NULL, &dataset);

	memset(pixels, 17, sizeof(pixels));
	if (status == DEV_OK)
		status = learn_dataset_add_fields(dataset, fields, 2, (size_t) 1 << 22, NULL);
	for (size_t row = 0; row < 20 && status == DEV_OK; row++)
	{
		float		target = (float) row;
		LearnBytes	values[2] = {{pixels, sizeof(pixels)}, {NULL, 0}};

		status = learn_dataset_append(dataset, &(LearnRow) {.targets = &target, .fields = values, .part = LEARN_TRAIN});
	}
	if (status == DEV_OK)
		status = learn_split(dataset, &split, NULL);
	if (status == DEV_OK)
		status = learn_fit(dataset, &fit, NULL, &n_numbers, &n_codes);
	CHECK_STATUS(session, status, DEV_OK, "flat and empty fields are fitted");
	CHECK(status == DEV_OK && fabsf(fields[0].center[0] - 17 / 255.0f) < 1e-6f && fields[0].scale[0] == 1, "a flat one is only centred");
	CHECK(status == DEV_OK && fields[1].center[0] == 0 && fields[1].scale[1] == 1, "an empty one is left alone");
	CHECK_STATUS(session, learn_dataset_add_fields(dataset, fields, 2, 1, NULL), DEV_INVALID, "fields come before rows");
	CHECK(strcmp(dev_message_text(session), "2 fields cannot be added to a data set of 20 rows and 2 fields") == 0, "which is said");
	dev_session_close(session);
}

/* ---- Windows ---- */

/* A sum over all values in the order that a sampler gives them. */
static uint64_t
walk(FieldTable *table, uint64_t epoch, const uint32_t *rows, size_t n_rows, size_t *seen)
{
	LearnSampler *sampler;
	uint64_t	hash = 7;
	size_t		n;

	*seen = 0;
	CHECK_OR_STOP(learn_sampler_create(table->dataset, rows, n_rows, 11, &sampler) == DEV_OK, "a sampler");
	learn_sampler_epoch(sampler, epoch);
	do
	{
		CHECK_OR_STOP(learn_sampler_next(sampler, &n) == DEV_OK, "a window of %zu", n);
		for (size_t place = 0; place < n; place++)
			for (int field = 0; field < table->model.n_fields; field++)
			{
				LearnBytes	value = learn_sampler_field(sampler, field, place);

				hash = learn_hash_bytes(hash, value.bytes == NULL, value.bytes == NULL ? "" : value.bytes, value.size);
			}
		*seen += n;
	} while (n > 0);
	learn_sampler_free(sampler);
	return hash;
}

static void
check_windows(void)
{
	/* Blocks of the stores are a MiB: so many signals make several. */
	FieldPlan	plan = {.image = true, .signal = true, .task = LEARN_BINARY, .n = 30000, .missing = 0.1};
	uint32_t   *rows = calloc(plan.n, sizeof(uint32_t));
	uint64_t	hash[2][2];
	size_t		n[2];
	size_t		seen;

	for (int spilled = 0; spilled < 2; spilled++)
	{
		DevSession *session = open_session();
		FieldTable	table;

		plan.memory = spilled ? 1 : 0;
		CHECK_STATUS(session, field_table(session, &plan, &table), DEV_OK, "%s", spilled ? "a table whose fields spill" : "a table in memory");
		CHECK((table.files[1].writes > 0) == (spilled == 1), "which they %s", spilled ? "do" : "do not");
		n[spilled] = check_list(table.dataset, LEARN_TRAIN, rows);
		for (uint64_t epoch = 0; epoch < 2; epoch++)
		{
			hash[spilled][epoch] = walk(&table, epoch, rows, n[spilled], &seen);
			CHECK(seen == n[spilled], "epoch %d gives every row of the part once", (int) epoch);
		}
		field_table_close(&table);
		dev_session_close(session);
	}
	CHECK(n[0] == n[1] && hash[0][0] == hash[1][0] && hash[0][1] == hash[1][1], "windows are the same bits, spilled or not");
	CHECK(hash[0][0] != hash[0][1], "epochs differ in order");
	free(rows);
}

/* A file that cannot be read is told by the window, and by a field that is asked for alone. */
static void
check_broken_file(void)
{
	FieldPlan	plan = {.signal = true, .task = LEARN_BINARY, .n = 20000, .memory = 1};
	DevSession *session = open_session();
	FieldTable	table;
	uint32_t   *rows = calloc(plan.n, sizeof(uint32_t));
	LearnSampler *sampler;
	LearnBytes	value;
	size_t		n;

	CHECK_STATUS(session, field_table(session, &plan, &table), DEV_OK, "a table whose signals spill");
	n = check_list(table.dataset, LEARN_TRAIN, rows);
	CHECK_STATUS(session, learn_sampler_create(table.dataset, rows, n, 1, &sampler), DEV_OK, "a sampler");
	table.files[0].fail_read = table.files[0].reads + 3;
	CHECK_STATUS(session, learn_sampler_next(sampler, &n), DEV_HOST, "a window that cannot be read");
	CHECK(n == 0 && strcmp(dev_message_text(session), "could not read the temporary file of the data set") == 0, "says so, and is empty");
	table.files[0].fail_read = table.files[0].reads + 1;
	CHECK_STATUS(session, learn_dataset_field(table.dataset, 0, 0, &value), DEV_HOST, "so does a single value");
	free(rows);
	field_table_close(&table);
	dev_session_close(session);
}

/* Every allocation on the way from rows to an encoded data set fails in turn. */
static void
check_failing_memory(void)
{
	FieldPlan	plan = both;
	CheckHost	host;
	size_t		calls = 1;
	size_t		told = 0;

	plan.n = 60;
	plan.memory = 1;
	for (size_t fail_at = 0; fail_at <= calls; fail_at++)
	{
		DevHost		lent = check_host(&host, fail_at);
		DevSession *session;
		FieldTable	table = {0};
		DevStatus	status = dev_session_open(&lent, 1, &session);

		if (status == DEV_OK)
			status = field_table(session, &plan, &table);
		if (fail_at == 0)
			calls = host.calls;
		else
			told += status == DEV_NO_MEMORY;
		field_table_close(&table);
		dev_session_close(session);
		if (host.held != 0)
			CHECK(false, "allocation %zu fails and memory is left", fail_at);
	}
	CHECK(calls > 20 && told == calls, "each of %zu allocations fails once, and that is told", calls);
}

/* ---- The way back ---- */

#define BACK_SAMPLES 40

/* Takes a signal, moves what the network sees of it, changes the signal so and takes it again: how far is that from what was wanted? */
static double
go_back(const LearnField *field, float *values, double *largest)
{
	float		clean[FIELD_SAMPLES * FIELD_LEADS];
	float		moved[FIELD_SAMPLES * FIELD_LEADS];
	float		again[FIELD_SAMPLES * FIELD_LEADS];
	double		changes[BACK_SAMPLES * FIELD_LEADS];
	size_t		dims[3] = {BACK_SAMPLES, FIELD_LEADS, 1};
	LearnTrouble trouble;
	float	   *taken;
	size_t		n;
	double		off = 0;

	CHECK_OR_STOP(take_signal(field, BACK_SAMPLES, FIELD_LEADS, values, &taken, &n, &trouble), "taken");
	n = load(field, taken, n * sizeof(float), clean, FIELD_SAMPLES * FIELD_LEADS);
	free(taken);
	for (size_t i = 0; i < FIELD_SAMPLES * FIELD_LEADS; i++)
		moved[i] = clean[i] + (i / FIELD_LEADS < n ? 0.2f * (float) sin((double) (i / FIELD_LEADS) / 4.0 + (double) (i % 2)) : 0);
	CHECK(learn_field_changes(field, dims, values, clean, moved, changes, &trouble), "there is a way back");
	*largest = 0;
	for (size_t i = 0; i < BACK_SAMPLES * FIELD_LEADS; i++)
	{
		*largest = fmax(*largest, fabs(changes[i]));
		values[i] += (float) changes[i];
	}
	CHECK_OR_STOP(take_signal(field, BACK_SAMPLES, FIELD_LEADS, values, &taken, &n, &trouble), "taken again");
	load(field, taken, n * sizeof(float), again, FIELD_SAMPLES * FIELD_LEADS);
	free(taken);
	for (size_t i = 0; i < FIELD_SAMPLES * FIELD_LEADS; i++)
		off = fmax(off, fabs((double) again[i] - (double) moved[i]));
	return off;
}

static void
test_way_back(void)
{
	float		center[FIELD_LEADS] = {1, -2};
	float		scale[FIELD_LEADS] = {2, 0.5f};
	LearnField	field = field_signal();
	LearnField	image = field_image();
	float		values[BACK_SAMPLES * FIELD_LEADS];
	float		pixels[FIELD_HEIGHT * FIELD_WIDTH] = {0};
	float		brighter[FIELD_HEIGHT * FIELD_WIDTH] = {1};
	double		changes[FIELD_HEIGHT * FIELD_WIDTH];
	size_t		dims[3] = {FIELD_HEIGHT, FIELD_WIDTH, 1};
	double		largest;
	LearnTrouble trouble;

	field.center = image.center = center;
	field.scale = image.scale = scale;
	for (int way = 0; way < 6; way++)
	{
		double		most[] = {1e-5, 1e-5, 0.05, 0.05, 0.1, 0.1};
		double		off;

		for (size_t i = 0; i < BACK_SAMPLES * FIELD_LEADS; i++)
			values[i] = (float) sin((double) i / 5);
		field.keep = way == 1 ? LEARN_CROP_END : LEARN_CROP_CENTER;
		field.rate = way == 2 || way == 3 ? 10 : 0;
		field.to_rate = way == 2 ? 5 : way == 3 ? 13 : 0;
		field.scaling = way == 4 ? LEARN_SIGNAL_BY_SIGNAL : way == 5 ? LEARN_SIGNAL_TOGETHER : LEARN_SIGNAL_BY_LEAD;
		CHECK(learn_field_is_direct(&field) == (way < 2), "direct when neither rate nor the signal's own deviation come in between");
		off = go_back(&field, values, &largest);
		CHECK(off < most[way], "way %d leads back, off by %g", way, off);
		CHECK(largest > 0.05, "by changes of up to %g", largest);
		CHECK(way > 0 || values[0] == 0, "what is not seen does not change");
	}
	field.scaling = LEARN_SIGNAL_BY_LEAD;
	values[20] = NAN;
	(void) go_back(&field, values, &largest);
	CHECK(isnan(values[20]) && largest > 0.05, "a gap stays one");
	image.sample = LEARN_SAMPLE_F32;
	CHECK(learn_field_changes(&image, dims, pixels, pixels, brighter, changes, &trouble) && changes[0] == 0.5 && changes[1] == 0,
		  "an array's pixels change in its own unit");
	dims[0]++;
	CHECK(!learn_field_changes(&image, dims, pixels, pixels, brighter, changes, &trouble) && trouble.status == DEV_OK,
		  "of another size there is no way back");
	dims[0]--;
	image.crop[0] = image.crop[1] = 4;
	CHECK(!learn_field_changes(&image, dims, pixels, pixels, brighter, changes, &trouble), "nor of a part");
}

int
main(void)
{
	check_planes();
	check_load();
	check_take_signal();
	check_resampling();
	check_take_pixels();
	check_take_files();
	check_taker(1);
	check_taker(3);
	check_fit();
	check_flat();
	check_windows();
	check_broken_file();
	check_failing_memory();
	test_way_back();
	return check_done();
}

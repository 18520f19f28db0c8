/*
 * test_onnx_fields.c: what a model of signals, series, texts or tokens answers as an ONNX file is what it answers here: from samples as they were
 * recorded, bins and codes on, for every architecture that reads them.
 */
#include "models.h"

#include "check_onnx.h"

#include "idla/learn_onnx.h"
#include "idla/learn_tags.h"
#include "learn/onnx.h"

#define ROWS 9
#define MOST_OUTPUTS 8
#define MOST_LEADS 3
#define LONGEST 40				/* samples as they come, bins, tokens */
#define LENGTH 16				/* of the network */
#define CHANNELS 3
#define TAGS 9					/* of two labels */

/* What stands for rows here, and what does in the file. */
typedef struct Rows
{
	float		raw[ROWS * 8];
	float		columns[8][ROWS];
	const char *texts[8][ROWS];
	LearnBytes	fields[ROWS * 2];
	void	   *taken[ROWS * 2];	/* to be freed */
	int32_t		stored[ROWS][1 + LONGEST * 20];
	float		series[ROWS][(LENGTH + 2) * CHANNELS];
	int32_t		tags[ROWS][LONGEST];
	float		certain[ROWS][LONGEST];
} Rows;

static DevSession *
open_session(void)
{
	DevSession *session;

	MUST(dev_session_open(NULL, 3, &session) == DEV_OK);
	return session;
}

static void
name_columns(DevSession *session, LearnModel *model)
{
	model->columns = dev_alloc(session, (size_t) model->n_columns + 1, sizeof(char *));
	for (int i = 0; i < model->n_channels; i++)
		model->columns[i] = model->channels[i].name;
	for (int i = 0; i < model->n_fields; i++)
		model->columns[model->fields[i].column] = model->fields[i].name;
	model->classes = (char **) model_labels;
}

/* Ordinary columns: nothing odd, which is test_onnx.c's. */
static void
give_columns(Onnx *onnx, const LearnModel *model, Rows *rows)
{
	make_rows(model, ROWS, 7, rows->raw);
	for (int c = 0; c < model->n_channels; c++)
	{
		const LearnChannel *channel = &model->channels[c];

		for (int i = 0; i < ROWS; i++)
		{
			float		value = rows->raw[i * model->n_channels + c];

			rows->columns[c][i] = value;
			rows->texts[c][i] = channel->n_categories == 0 ? NULL : isnan(value) ? LEARN_ONNX_MISSING : channel->categories[(int) value];
		}
		if (channel->number_input != NN_NONE || channel->code_input != NN_NONE)
			give_input(onnx, channel->name, 2, (const size_t[]) {ROWS, 1}, rows->columns[c], channel->kind == LEARN_CATEGORY ? rows->texts[c] : NULL);
	}
}

static Tensor *
give_whole(Onnx *onnx, const char *name, const char *suffix, int rank, const size_t *dims)
{
	char		full[64];
	Tensor	   *made;

	snprintf(full, sizeof(full), "%s%s", name, suffix);
	made = give_input(onnx, full, rank, dims, NULL, NULL);
	made->whole = true;
	return made;
}

/* ---- Signals ---- */

/* One row is missing, one has one sample, one has nothing but gaps in its first lead; the others have from some to more samples than a network sees. */
static size_t
samples_of(int row)
{
	return row == 3 ? 0 : row == 4 ? 1 : 6 + (size_t) (row * 11) % (LONGEST - 5);
}

/* On a coarse grid, so that rocket's comparisons of sums end alike in single and double precision. */
static float
sample(const LearnField *field, int row, size_t t, size_t lead)
{
	double		wave = sin(0.4 * (double) t * (double) (1 + lead) + row) * 3 + model_normal(13, (uint64_t) row * 1000 + t * 10 + lead);

	if ((row == 5 && lead == 0 && field->dims[1] > 1) || (row != 4 && (t * 7 + lead + (size_t) row) % 9 == 2) || (row == 6 && t < 4))
		return NAN;
	return (float) (round(wave * 4) / 4);
}

static void
give_signal(Onnx *onnx, const LearnModel *model, int number, Rows *rows)
{
	const LearnField *field = &model->fields[number];
	size_t		leads = field->dims[1];
	float		samples[LONGEST * MOST_LEADS];
	Tensor	   *waves = give_whole(onnx, field->name, "", 3, (const size_t[]) {ROWS, LONGEST, leads});
	Tensor	   *lengths = give_whole(onnx, field->name, ".length", 2, (const size_t[]) {ROWS, 1});

	waves = lengths - 1;
	waves->whole = false;
	for (int row = 0; row < ROWS; row++)
	{
		LearnBytes *bytes = &rows->fields[row * model->n_fields + number];
		void	  **taken = &rows->taken[row * model->n_fields + number];
		size_t		n = samples_of(row);
		LearnTrouble trouble;

		*taken = NULL;
		*bytes = (LearnBytes) {NULL, 0};
		lengths->values[row] = (double) n;
		for (size_t t = 0; t < LONGEST; t++)
			for (size_t lead = 0; lead < leads; lead++)
			{
				/* What stands behind the end is nothing to the answer. */
				waves->values[((size_t) row * LONGEST + t) * leads + lead] = t < n ? (double) sample(field, row, t, lead) : 77;
				samples[t * leads + lead] = sample(field, row, t, lead);
			}
		if (n == 0)
			continue;
		MUST(learn_field_take_signal(field, n, leads, samples, taken, &bytes->size, &trouble));
		bytes->bytes = *taken;
	}
}

/* ---- Series ---- */

static void
give_series(Onnx *onnx, const LearnModel *model, int number, Rows *rows)
{
	const LearnField *field = &model->fields[number];
	Tensor	   *bins = give_whole(onnx, field->name, "", 3, (const size_t[]) {ROWS, LENGTH, CHANNELS});
	Tensor	   *before = give_whole(onnx, field->name, ".before", 2, (const size_t[]) {ROWS, CHANNELS});
	Tensor	   *age = give_whole(onnx, field->name, ".age", 2, (const size_t[]) {ROWS, CHANNELS});

	before = age - 1;
	bins = age - 2;
	bins->whole = before->whole = age->whole = false;
	for (int row = 0; row < ROWS; row++)
	{
		float	   *stored = rows->series[row];

		for (int i = 0; i < (LENGTH + 2) * CHANNELS; i++)
			stored[i] = row == 2 || (i * 5 + row) % 4 != 1 ? NAN : (float) (5 + 3 * model_normal(17, (uint64_t) (row * 1000 + i)));
		for (int c = 0; c < CHANNELS; c++)
		{
			stored[CHANNELS + c] = isnan(stored[c]) ? NAN : (float) (1 + c);
			before->values[row * CHANNELS + c] = (double) stored[c];
			age->values[row * CHANNELS + c] = (double) stored[CHANNELS + c];
		}
		for (int i = 0; i < LENGTH * CHANNELS; i++)
			bins->values[row * LENGTH * CHANNELS + i] = (double) stored[2 * CHANNELS + i];
		rows->fields[row * model->n_fields + number] = (LearnBytes) {stored, sizeof(rows->series[row])};
	}
}

/* ---- Texts and tokens ---- */

static size_t
tokens_of(int row)
{
	return row == 3 ? 0 : row == 4 ? LENGTH : 1 + (size_t) (row * 5) % LENGTH;
}

/* The mask, for fewer tokens than the network could take. */
static size_t
give_mask(Onnx *onnx, const char *name)
{
	Tensor	   *mask = give_whole(onnx, name, ".mask", 2, (const size_t[]) {ROWS, LENGTH});

	for (int row = 0; row < ROWS; row++)
		for (size_t t = 0; t < LENGTH; t++)
			mask->values[(size_t) row * LENGTH + t] = t < tokens_of(row);
	return LENGTH;
}

static void
give_text(Onnx *onnx, const LearnModel *model, int number, Rows *rows)
{
	const LearnField *field = &model->fields[number];
	Tensor	   *ids = give_whole(onnx, field->name, "", 2, (const size_t[]) {ROWS, LENGTH});

	for (int row = 0; row < ROWS; row++)
	{
		for (size_t t = 0; t < LENGTH; t++)
		{
			rows->stored[row][t] = (int32_t) dev_random_below(5, 77, (uint64_t) row * 100 + t, learn_vocabulary_size(field->vocabulary));
			/* Behind the end there may be anything, known or not. */
			ids->values[(size_t) row * LENGTH + t] = t < tokens_of(row) ? rows->stored[row][t] : t % 2 == 0 ? 1 : 1e6;
		}
		rows->fields[row * model->n_fields + number] = tokens_of(row) == 0 ? (LearnBytes) {NULL, 0} :
			(LearnBytes) {rows->stored[row], tokens_of(row) * sizeof(int32_t)};
	}
	give_mask(onnx, field->name);
}

/* Codes (rows, tokens, each) of the file, those of a row beside each other, and how they are stored. */
static void
give_token_codes(Onnx *onnx, const LearnField *field, const char *suffix, size_t each, size_t first, const size_t *rows_of_table, Rows *rows)
{
	size_t		inner = each == 0 ? 1 : each;
	Tensor	   *codes = give_whole(onnx, field->name, suffix, each == 0 ? 2 : 3, (const size_t[]) {ROWS, LENGTH, each});

	for (int row = 0; row < ROWS; row++)
		for (size_t t = 0; t < LENGTH; t++)
			for (size_t i = 0; i < inner; i++)
			{
				size_t		table = rows_of_table[each == LEARN_AFFIXES ? i : 0];
				size_t		code = dev_random_below(5, 80 + first, (uint64_t) ((size_t) row * LENGTH + t) * 20 + i, table);
				int32_t    *stored = rows->stored[row] + 1 + first * tokens_of(row) + t * inner + i;
				size_t		shift = 0;

				codes->values[((size_t) row * LENGTH + t) * inner + i] = (double) code;
				for (size_t before = 0; each == LEARN_AFFIXES && before < i; before++)
					shift += rows_of_table[before];
				if (t < tokens_of(row))
					*stored = each > LEARN_AFFIXES && code == 0 ? -1 : (int32_t) (code + shift);
			}
}

static void
give_tokens(Onnx *onnx, const LearnModel *model, Rows *rows)
{
	const LearnField *field = &model->fields[0];
	size_t		tables[LEARN_TABLES];
	const size_t shapes = LEARN_SHAPES;

	for (int table = 0; table < LEARN_TABLES; table++)
		tables[table] = learn_lexicon_size(field->lexicon, (LearnLexiconTable) table);
	give_token_codes(onnx, field, ".words", 0, 0, tables, rows);
	give_token_codes(onnx, field, ".shapes", 0, 1, &shapes, rows);
	give_token_codes(onnx, field, ".affixes", LEARN_AFFIXES, 2, tables + LEARN_TABLE_PREFIX2, rows);
	give_token_codes(onnx, field, ".characters", field->characters, 2 + LEARN_AFFIXES, tables + LEARN_TABLE_CHARACTERS, rows);
	give_mask(onnx, field->name);
	for (int row = 0; row < ROWS; row++)
	{
		size_t		n = tokens_of(row);

		rows->stored[row][0] = (int32_t) n;
		for (size_t t = 0; t < n; t++)
			rows->stored[row][1 + (2 + LEARN_AFFIXES + field->characters) * n + t] = LEARN_NO_TAG;
		rows->fields[row] = n == 0 ? (LearnBytes) {NULL, 0} :
			(LearnBytes) {rows->stored[row], (1 + n * (3 + LEARN_AFFIXES + field->characters)) * sizeof(int32_t)};
	}
}

/* ---- Comparing ---- */

static void
give_rows(Onnx *onnx, const LearnModel *model, Rows *rows)
{
	give_columns(onnx, model, rows);
	for (int i = 0; i < model->n_fields; i++)
	{
		if (model->fields[i].kind == LEARN_SIGNAL)
			give_signal(onnx, model, i, rows);
		else if (model->fields[i].kind == LEARN_SERIES)
			give_series(onnx, model, i, rows);
		else if (model->fields[i].tagged)
			give_tokens(onnx, model, rows);
		else
			give_text(onnx, model, i, rows);
	}
}

static void
forget_rows(const LearnModel *model, Rows *rows)
{
	for (int i = 0; i < ROWS * model->n_fields; i++)
		free(rows->taken[i]);
	memset(rows, 0, sizeof(*rows));
}

/* The largest difference, in the unit of a number that is larger than 1. */
static double
farthest(const Tensor *found, const double *wanted)
{
	double		worst = 0;

	for (size_t i = 0; i < found->size; i++)
	{
		double		off = fabs(found->values[i] - wanted[i]) / fmax(1, fabs(wanted[i]));

		worst = isfinite(off) ? fmax(worst, off) : INFINITY;
	}
	return worst;
}

static void
test_model(const ModelSpec *spec, const char *what)
{
	static Onnx onnx;
	static Rows rows;
	DevSession *session = open_session();
	LearnModel *model;
	LearnPredictor *predictor;
	LearnOnnx	file;
	double		answers[ROWS * MOST_OUTPUTS];
	float	   *embeddings;
	double	   *wanted;
	size_t		n;

	if (make_model(session, spec, &model) != DEV_OK)
		printf("# %s\n", dev_message_text(session));
	MUST(model != NULL);
	name_columns(session, model);
	CHECK_STATUS(session, learn_onnx_write(session, model, "model", "target", &file), DEV_OK, "%s is written", what);
	give_rows(&onnx, model, &rows);
	run_onnx(&onnx, file.bytes, file.size);
	MUST(learn_predictor_create(session, model, 4, &predictor) == DEV_OK);
	n = learn_predictor_embedding(predictor);
	embeddings = dev_alloc(session, ROWS * n + 1, sizeof(float));
	wanted = dev_alloc(session, ROWS * n + 1, sizeof(double));
	MUST(embeddings != NULL && wanted != NULL && learn_model_outputs(model) <= MOST_OUTPUTS);
	CHECK_STATUS(session, learn_predict_embedded(predictor, ROWS, rows.raw, rows.fields, answers, embeddings), DEV_OK, "and answers");
	learn_scores_to_answers(model, ROWS, answers);
	for (size_t i = 0; i < ROWS * n; i++)
		wanted[i] = (double) embeddings[i];
	/* Values to 1e-5 of their spread. */
	CHECK_NEAR(farthest(find_value(&onnx, spec->task == LEARN_MULTICLASS || spec->task == LEARN_MULTILABEL ? "probabilities" : "prediction"), answers), 0,
			   spec->task == LEARN_REGRESSION ? 1e-5 * model->target_scale[0] : 1e-5,
			   "%s answers the same in %d operators", what, onnx.n_nodes);
	MUST(find_value(&onnx, "embedding")->size == ROWS * n);
	CHECK_NEAR(farthest(find_value(&onnx, "embedding"), wanted), 0, 2e-5, "%s knows the same of a row, in %zu numbers", what, n);
	forget_onnx(&onnx);
	forget_rows(model, &rows);
	dev_session_close(session);
}

static ModelSpec
spec_of(LearnArchitecture architecture, const LearnField *fields, int n_fields)
{
	return (ModelSpec) {.architecture = architecture,.task = LEARN_BINARY,.n_columns = 4,.n_nets = 1,.n_outputs = 1,.depth = 2,.width = 8,.activation = -1,
		.fields = fields,.n_fields = n_fields,.gain = 1,.seed = 5};
}

static LearnField
signal_field(size_t leads)
{
	return (LearnField) {.name = (char *) "wave",.kind = LEARN_SIGNAL,.sample = LEARN_SAMPLE_F32,.dims = {LENGTH, leads}};
}

static void
test_layers(const LearnField *field, int n_columns, const char *layers, const char *what)
{
	ModelSpec	spec = spec_of(LEARN_LAYERS, field, 1);

	spec.layers = layers;
	spec.n_columns = n_columns;
	test_model(&spec, what);
}

static void
test_signals(void)
{
	LearnField	fields[2] = {signal_field(2), signal_field(1)};
	ModelSpec	spec = spec_of(LEARN_FCN, fields, 1);

	test_model(&spec, "convolutions over a signal");
	spec = spec_of(LEARN_LSTM, fields, 1);
	test_model(&spec, "an lstm in both directions");
	spec = spec_of(LEARN_GRU, fields, 1);
	spec.n_nets = 2;
	spec.task = LEARN_REGRESSION;
	spec.n_outputs = 2;
	test_model(&spec, "the mean of two grus");
	fields[0].keep = LEARN_CROP_END;
	fields[0].scaling = LEARN_SIGNAL_BY_SIGNAL;
	spec = spec_of(LEARN_TRANSFORMER, fields, 1);
	spec.task = LEARN_SURVIVAL;
	test_model(&spec, "attention at the end of a signal");
	spec.positions = LEARN_POSITIONS_LEARNED;
	fields[0].keep = LEARN_CROP_START;
	fields[0].scaling = LEARN_SIGNAL_TOGETHER;
	test_model(&spec, "learned positions at its beginning");
	spec.positions = LEARN_POSITIONS_TIME;
	fields[0].rate = 100;
	fields[0].to_rate = 40;
	test_model(&spec, "learned times at a lower rate");
	fields[0].to_rate = 130;
	fields[0].scaling = LEARN_SIGNAL_BY_LEAD;
	fields[1].name = (char *) "flow";
	spec = spec_of(LEARN_FCN, fields, 2);
	spec.task = LEARN_MULTILABEL;
	spec.n_outputs = 3;
	test_model(&spec, "a signal at a higher rate beside another");
}

static void
test_sequence_layers(void)
{
	LearnField	field = signal_field(3);

	test_layers(&field, 3, "pad(1) conv(6, 5, 2) group_norm(3) relu max_pool(2) conv(8, 4) average_pool(2) batch_norm gelu global_mean join dense(8) tanh",
				"a layer text of moments");
	test_layers(&field, 1, "conv(6, 3) layer_norm conv(4) global_max", "the largest of a sequence");
	test_layers(&field, 1, "dense(8) sinusoid attention(2) lstm(5) last", "the last of a sequence");
	test_layers(&field, 1, "dense(6) learned_positions bigru(4) dense(6) time_positions bilstm(3) global_mean", "all that a layer text may say of order");
	test_layers(&field, 1, "conv(4) relu flatten dense(6) relu", "a sequence laid flat");
}

static void
test_windows(void)
{
	LearnField	fields[2] = {signal_field(2), signal_field(1)};
	ModelSpec	spec = spec_of(LEARN_FCN, fields, 2);

	fields[0].stride = 6;
	fields[1].name = (char *) "flow";
	test_model(&spec, "a signal in windows beside one that is cut");
	fields[1].stride = 4;
	fields[1].dims[0] = 10;
	spec.task = LEARN_MULTICLASS;
	spec.n_outputs = 4;
	test_model(&spec, "classes by signals whose windows go in step");
	spec.task = LEARN_REGRESSION;
	test_model(&spec, "values by windows");
}

static void
fit_rocket(DevSession *session, const LearnField *field, bool equal, LearnRocket *rocket)
{
	float	   *values = dev_alloc(session, ROWS * LONGEST * MOST_LEADS, sizeof(float));
	const float *signals[ROWS];
	size_t		lengths[ROWS];

	for (int row = 0; row < ROWS; row++)
	{
		lengths[row] = equal ? LENGTH : LENGTH - (size_t) row % 4;
		signals[row] = values + row * LONGEST * MOST_LEADS;
		for (size_t i = 0; i < LENGTH * field->dims[1]; i++)
			values[(size_t) row * LONGEST * MOST_LEADS + i] = (float) round(8 * model_normal(3, (uint64_t) row * 1000 + i)) / 4;
	}
	MUST(learn_rocket_fit(session, ROWS, lengths, signals, field->dims[1], 84 * 4, 9, rocket) == DEV_OK);
}

static void
test_rocket(void)
{
	DevSession *session = open_session();
	LearnField	field = signal_field(3);
	LearnRocket rocket;
	ModelSpec	spec = spec_of(LEARN_ROCKET, &field, 1);

	fit_rocket(session, &field, true, &rocket);
	field.rocket = &rocket;
	test_model(&spec, "rocket over three leads");
	field = signal_field(1);
	fit_rocket(session, &field, false, &rocket);
	field.rocket = &rocket;
	field.stride = 7;
	spec.task = LEARN_MULTICLASS;
	spec.n_outputs = 3;
	test_model(&spec, "rocket over windows, trained with unequal lengths");
	dev_session_close(session);
}

static bool
mentions(const LearnOnnx *file, const char *text)
{
	size_t		n = strlen(text);

	for (size_t i = 0; i + n <= file->size; i++)
		if (memcmp((const char *) file->bytes + i, text, n) == 0)
			return true;
	return false;
}

static void
test_series(void)
{
	LearnSeriesChannel channels[CHANNELS] = {{.name = (char *) "hr",.n = 10,.mean = 5,.deviation = 2},
	{.name = (char *) "ph",.n = 3,.mean = 4,.deviation = 1},
	{.name = (char *) "never",.n = 0,.mean = 0,.deviation = 1}};
	LearnSeriesPlan plan = {.n_channels = CHANNELS,.channels = channels,.start = -LENGTH,.width = 1,.n_bins = LENGTH};
	DevSession *session = open_session();
	LearnModel *model;
	LearnOnnx	file;
	const LearnField field = {.name = (char *) "stay",.kind = LEARN_SERIES,.sample = LEARN_SAMPLE_F32,.dims = {LENGTH, CHANNELS},.series = &plan};
	ModelSpec	spec = spec_of(LEARN_GRU, &field, 1);

	test_model(&spec, "a series");
	spec = spec_of(LEARN_TRANSFORMER, &field, 1);
	spec.positions = LEARN_POSITIONS_TIME;
	test_model(&spec, "a series that attention reads, with how long ago");
	test_layers(&field, 2, "conv(4) relu flatten dense(6) relu", "a series by a layer text");
	MUST(make_model(session, &spec, &model) == DEV_OK);
	name_columns(session, model);
	MUST(learn_onnx_write(session, model, "model", NULL, &file) == DEV_OK);
	CHECK(mentions(&file, "stay.channels") && mentions(&file, "[\"hr\",\"ph\",\"never\"]"), "its channels are told in order");
	dev_session_close(session);
}

static LearnVocabulary *
make_vocabulary(DevSession *session)
{
	static const char text[] = "[PAD]\n[UNK]\n[CLS]\nheart\n##ache\n\xc3\xa9t\xc3\xa9\nlung\n\"\\\nwell\nill\n";
	LearnVocabulary *made;

	MUST(learn_vocabulary_read(session, text, strlen(text), true, &made) == DEV_OK);
	return made;
}

static void
test_texts(void)
{
	DevSession *session = open_session();
	LearnField	fields[2] = {{.name = (char *) "note",.kind = LEARN_TEXT,.dims = {LENGTH},.vocabulary = make_vocabulary(session),.kept = LEARN_KEEP_TAIL},
		signal_field(1)};
	static const LearnArchitecture architectures[] = {LEARN_BAG, LEARN_CNN, LEARN_FCN, LEARN_LSTM, LEARN_GRU, LEARN_TRANSFORMER};
	static const char *const names[] = {"a bag of pieces", "convolutions over pieces", "an fcn over pieces", "an lstm over pieces", "a gru over pieces",
	"attention over pieces"};
	ModelSpec	spec;
	LearnModel *model;
	LearnOnnx	file;

	for (int i = 0; i < 6; i++)
	{
		spec = spec_of(architectures[i], fields, 1);
		test_model(&spec, names[i]);
	}
	test_layers(fields, 1, "bilstm(6) attention(2) global_max", "a text by a layer text");
	spec = spec_of(LEARN_TRANSFORMER, fields, 2);
	test_model(&spec, "a text beside a signal");
	MUST(make_model(session, &spec, &model) == DEV_OK);
	name_columns(session, model);
	MUST(learn_onnx_write(session, model, "model", NULL, &file) == DEV_OK);
	CHECK(mentions(&file, "note.vocabulary") && mentions(&file, "heart\n##ache\n\xc3\xa9t\xc3\xa9\n") && mentions(&file, "\"lowercase\":true") &&
		  mentions(&file, "\"max_tokens\":16,\"keep\":\"tail\""), "a reader finds the vocabulary, and how it is used");
	dev_session_close(session);
}

/* ---- Taggers ---- */

static void
check_tags(const LearnModel *model, Onnx *onnx, const Rows *rows, const LearnTagged *answers, const char *what)
{
	const Tensor *tags = find_value(onnx, "tags");
	const Tensor *certain = find_value(onnx, "certainty");
	size_t		n_same = 0;
	size_t		n_all = 0;
	double		worst = 0;

	MUST(tags->size == ROWS * LENGTH && certain->size == ROWS * LENGTH && model->n_fields == 1);
	for (size_t row = 0; row < ROWS; row++)
		for (size_t t = 0; t < LENGTH; t++)
		{
			bool		there = t < answers[row].n;

			n_same += tags->values[row * LENGTH + t] == (there ? rows->tags[row][t] : LEARN_NO_TAG);
			worst = fmax(worst, fabs(certain->values[row * LENGTH + t] - (there ? (double) rows->certain[row][t] : 0)));
			n_all++;
		}
	CHECK(n_same == n_all && n_all == ROWS * LENGTH, "%s finds the same tags in %d operators", what, onnx->n_nodes);
	CHECK_NEAR(worst, 0, 1e-5, "%s is as sure of them", what);
}

static void
test_tagger(const ModelSpec *spec, const char *what)
{
	static Onnx onnx;
	static Rows rows;
	DevSession *session = open_session();
	LearnModel *model;
	LearnPredictor *predictor;
	LearnOnnx	file;
	LearnTagged answers[ROWS];

	if (make_model(session, spec, &model) != DEV_OK)
		printf("# %s\n", dev_message_text(session));
	MUST(model != NULL);
	name_columns(session, model);
	CHECK_STATUS(session, learn_onnx_write(session, model, "model", "tags", &file), DEV_OK, "%s is written", what);
	give_rows(&onnx, model, &rows);
	run_onnx(&onnx, file.bytes, file.size);
	MUST(learn_predictor_create(session, model, 4, &predictor) == DEV_OK);
	for (int row = 0; row < ROWS; row++)
		answers[row] = (LearnTagged) {.tags = rows.tags[row],.certain = rows.certain[row]};
	CHECK_STATUS(session, learn_predict_tags(predictor, ROWS, rows.fields, answers), DEV_OK, "and tags");
	check_tags(model, &onnx, &rows, answers, what);
	CHECK(mentions(&file, "tag.8") && mentions(&file, "S-Drug") && mentions(&file, "[\"heart\",\"\\\"\\\\\\u0009\"]") && mentions(&file, "note.suffix4"),
		  "its tags and tables are told");
	forget_onnx(&onnx);
	forget_rows(model, &rows);
	dev_session_close(session);
}

static void
test_taggers(void)
{
	static const char *const some[] = {"heart", "\"\\\t"};
	static const char *const labels[] = {"Disease", "Drug"};
	const char *const *entries[LEARN_TABLES];
	size_t		n[LEARN_TABLES];
	DevSession *session = open_session();
	LearnLexiconPlan plan = {.characters = 8,.min_count = 1,.min_affix_count = 1};
	LearnField	field = {.name = (char *) "note",.kind = LEARN_TEXT,.tagged = true,.characters = 8,.dims = {LENGTH}};
	ModelSpec	spec = spec_of(LEARN_BILSTM_CRF, &field, 1);

	for (int table = 0; table < LEARN_TABLES; table++)
	{
		entries[table] = some;
		n[table] = 2;
	}
	MUST(learn_lexicon_restore(session, &plan, n, entries, &field.lexicon) == DEV_OK);
	MUST(learn_labels_restore(session, 2, labels, &field.labels) == DEV_OK);
	spec.task = LEARN_TAGGING;
	spec.labels = field.labels;
	spec.n_outputs = TAGS;
	test_tagger(&spec, "a tagger with a chain");
	spec.n_nets = 2;
	spec.tags_alone = true;
	test_tagger(&spec, "the mean of two, tokens alone");
	spec.architecture = LEARN_TRANSFORMER;
	spec.tags_alone = false;
	test_tagger(&spec, "a tagger that attends");
	dev_session_close(session);
}

/* ---- What cannot be ---- */

static void
test_refusals(void)
{
	DevSession *session = open_session();
	LearnField	field = signal_field(1);
	ModelSpec	spec = spec_of(LEARN_FCN, &field, 1);
	LearnModel *model;
	LearnOnnx	file;

	field.rate = 1e9;
	field.to_rate = 1e-6;
	MUST(make_model(session, &spec, &model) == DEV_OK);
	name_columns(session, model);
	CHECK(learn_onnx_write(session, model, "model", NULL, &file) == DEV_INVALID && strstr(dev_message_text(session), "input \"wave\"") != NULL,
		  "a rate that is too low is refused before memory is taken");
	dev_session_close(session);
}

/* A column called like what belongs to a field keeps its name. */
static void
test_names(void)
{
	DevSession *session = open_session();
	LearnField	fields[2] = {signal_field(1), signal_field(1)};
	ModelSpec	spec = spec_of(LEARN_FCN, fields, 2);
	LearnModel *model;
	LearnOnnx	file;

	fields[1].name = (char *) "wave.length";
	MUST(make_model(session, &spec, &model) == DEV_OK);
	name_columns(session, model);
	MUST(learn_onnx_write(session, model, "model", NULL, &file) == DEV_OK);
	CHECK(mentions(&file, "wave.length_") && mentions(&file, "wave.length.length"), "a column called like what belongs to another keeps its name");
	dev_session_close(session);
}

/* A note that had no more room is cut between two characters. */
static void
test_notes(void)
{
	static const char *const before[] = {"a\xc3", "a\xc3\xa9", "a\xe6\x97", "a\xe6\x97\xa5", "\xf0\x9f\x91", "abc", "", "\xf0\x9f\x91\xa9", "\xf0"};
	static const char *const after[] = {"a", "a\xc3\xa9", "a", "a\xe6\x97\xa5", "", "abc", "", "\xf0\x9f\x91\xa9", ""};
	bool		good = true;

	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
	{
		char		note[8];

		strcpy(note, before[i]);
		learn_onnx_whole_characters(note);
		good = good && strcmp(note, after[i]) == 0;
	}
	CHECK(good, "a note that was cut off ends with a whole character");
}

/* ---- Memory ---- */

static void *
take_few(void *context, size_t size)
{
	int		   *left = context;

	return (*left)-- > 0 ? malloc(size) : NULL;
}

static void
give_back(void *context, void *block)
{
	(void) context;
	free(block);
}

/* Every so many allocations one fails, from none on. */
static void
test_memory(void)
{
	LearnField	fields[2] = {signal_field(2), signal_field(1)};
	ModelSpec	spec = spec_of(LEARN_TRANSFORMER, fields, 2);
	DevStatus	status = DEV_NO_MEMORY;
	bool		told = true;
	int			most = 0;

	fields[0].stride = 6;
	fields[1].name = (char *) "flow";
	fields[1].rate = 3;
	fields[1].to_rate = 2;
	for (; most < 20000 && status == DEV_NO_MEMORY; most += 1 + most / 100)
	{
		int			left = 1 << 20;
		DevHost		host = {.context = &left,.alloc = take_few,.release = give_back};
		DevSession *session;
		LearnModel *model;
		LearnOnnx	file = {0};

		MUST(dev_session_open(&host, 1, &session) == DEV_OK);
		MUST(make_model(session, &spec, &model) == DEV_OK);
		name_columns(session, model);
		left = most;
		status = learn_onnx_write(session, model, "model", NULL, &file);
		told = told && (status == DEV_OK || (status == DEV_NO_MEMORY && dev_status(session) == DEV_NO_MEMORY));
		dev_session_close(session);
	}
	CHECK(told && status == DEV_OK && most > 500, "%d failing allocations are told, and nothing leaks", most);
}

int
main(void)
{
	test_signals();
	test_sequence_layers();
	test_windows();
	test_rocket();
	test_series();
	test_texts();
	test_taggers();
	test_refusals();
	test_names();
	test_notes();
	test_memory();
	return check_done();
}

/*
 * test_tagging.c: texts and tags from rows to answers: vocabularies and lexicons of the training part alone, networks of several
 * lengths that give one answer, rows in memory and in the file that make the same model, and taggers that find what they were shown.
 */
#include "check_data.h"

#include "idla/learn_predict.h"
#include "idla/learn_tags.h"
#include "idla/learn_train.h"
#include "learn/architecture.h"
#include "learn/dataset.h"
#include "learn/explain.h"

#define ROWS 240
#define MOST_WORDS 90

typedef struct TextTable
{
	DevSession *session;
	LearnDataset *dataset;
	LearnModel	model;
	LearnField	field;
	LearnSplit	split;
	LearnNotes	notes;
	CheckFile	file;
	LearnSpill	spill;
	bool		tagged;
} TextTable;

static DevSession *
open_session(void)
{
	DevSession *session;

	CHECK_OR_STOP(dev_session_open(NULL, 3, &session) == DEV_OK, "a session opens");
	return session;
}

/* ---- Rows ---- */

static size_t
draw(size_t row, size_t at, size_t n)
{
	return (size_t) dev_random_below(17, 900 + at, row, n);
}

static bool
is_ill(size_t row)
{
	return draw(row, 0, 2) == 1;
}

/* A note of 3 to 80 words, one of which says what there is; some are much longer than the rest. words (n) are its tokens. */
static size_t
make_note(size_t row, char *text, LearnWord *words, size_t *disease)
{
	static const char *const fill[] = {"the", "patient", "was", "seen", "today", "and", "left", "with", "Dr", "42"};
	static const char *const ill[] = {"nephritis", "carditis", "hepatitis", "gastritis"};
	static const char *const well[] = {"nephrons", "cardboard", "hepatics", "gastronomy"};
	size_t		n = row % 9 == 0 ? 60 + draw(row, 1, 20) : 3 + draw(row, 1, 12);
	size_t		at = 0;

	*disease = draw(row, 2, n);
	for (size_t i = 0; i < n; i++)
	{
		const char *word = fill[draw(row, 3 + i, 10)];

		if (i == *disease)
			word = is_ill(row) ? ill[draw(row, 100, 4)] : well[draw(row, 100, 4)];
		words[i].start = (uint32_t) at;
		at += (size_t) sprintf(text + at, "%s", word);
		words[i].end = (uint32_t) at;
		if (i + 1 < n)
			text[at++] = ' ';
	}
	text[at] = '\0';
	return n;
}

/* A note as it is taken, or stored. */
static bool
take_note(const TextTable *table, size_t row, bool stored, void **taken, size_t *size, LearnTrouble *trouble)
{
	char		text[MOST_WORDS * 16];
	LearnWord	words[MOST_WORDS];
	const char *tags[MOST_WORDS];
	size_t		disease;
	size_t		n = make_note(row, text, words, &disease);

	for (size_t i = 0; i < n; i++)
		tags[i] = i == disease && is_ill(row) ? "B-Disease" : "O";
	if (table->tagged)
		return learn_field_take_tokens(&table->field, text, strlen(text), n, words, tags, stored, taken, size, trouble);
	return learn_field_take_text(&table->field, text, strlen(text), stored, taken, size, trouble);
}

static DevStatus
append_rows(TextTable *table)
{
	DevStatus	status = DEV_OK;

	for (size_t row = 0; row < ROWS && status == DEV_OK; row++)
	{
		float		nothing[1] = {0};
		float		target[1] = {is_ill(row) ? 1.0f : 0.0f};
		LearnBytes	bytes;
		LearnRow	values = {.channels = nothing, .targets = target, .fields = &bytes, .part = LEARN_UNASSIGNED};
		LearnTrouble trouble;
		void	   *taken;

		CHECK_OR_STOP(take_note(table, row, false, &taken, &bytes.size, &trouble), "note %zu is taken", row);
		bytes.bytes = taken;
		status = learn_dataset_append(table->dataset, &values);
		free(taken);
	}
	return status;
}

/* characters: 0 for texts as a whole, else those of a tagger's words. memory 0: all rows stay there. */
static DevStatus
make_table(DevSession *session, size_t characters, size_t memory, TextTable *table)
{
	const LearnSpill *spills[1];
	bool		tagged = characters > 0;
	LearnFit	fit = {.task = tagged ? LEARN_TAGGING : LEARN_BINARY};
	DevStatus	status;

	memset(table, 0, sizeof(*table));
	table->session = session;
	table->tagged = tagged;
	table->field = (LearnField) {.name = (char *) "note", .kind = LEARN_TEXT, .lowercase = true, .tagged = tagged, .characters = characters};
	table->spill = check_spill(&table->file);
	spills[0] = &table->spill;
	table->split = (LearnSplit) {.validation = 0.2, .test = 0.2, .task = fit.task, .seed = 5};
	status = learn_dataset_create(session, NULL, 0, tagged ? 0 : 1, 1 << 20, NULL, &table->dataset);
	if (status == DEV_OK)
		status = learn_dataset_add_fields(table->dataset, &table->field, 1, memory == 0 ? (size_t) 1 << 28 : memory, spills);
	if (status == DEV_OK)
		status = append_rows(table);
	if (status == DEV_OK)
		status = learn_split(table->dataset, &table->split, &table->notes);
	if (status == DEV_OK)
		status = learn_fit(table->dataset, &fit, &table->notes, &table->model.n_numbers, &table->model.n_codes);
	if (status == DEV_OK)
		status = learn_dataset_encode(table->dataset);
	table->model.task = fit.task;
	table->model.fields = &table->field;
	table->model.n_fields = 1;
	table->model.n_columns = 1;
	table->model.n_targets = tagged ? 0 : 1;
	table->model.labels = table->field.labels;
	return status;
}

static LearnNetwork
ask(LearnArchitecture architecture)
{
	return (LearnNetwork) {.architecture = architecture, .dropout = -1, .activation = -1, .width = 24};
}

static DevStatus
train(TextTable *table, LearnNetwork network, int epochs, int threads)
{
	LearnTraining training = {.epochs = epochs, .patience = -1, .optimizer = -1, .decay = -1, .momentum = -1, .schedule = -1,
		.warm_up = -1, .clip = -1, .average = -1, .linear = -1, .word_dropout = -1, .batch = 16, .seed = 9, .threads = threads,
	.rate = 0.01, .augmented = -1};
	LearnOutcome outcome;

	network.task = table->model.task;
	network.fields = &table->field;
	network.n_fields = 1;
	return learn_train(table->session, table->dataset, &table->model, &network, &training, &table->split, NULL, NULL, &table->notes,
					   &outcome);
}

static void
close_table(TextTable *table)
{
	learn_dataset_free(table->dataset);
	free(table->file.bytes);
	dev_session_close(table->session);
}

/* ---- Texts as a whole ---- */

/* Scores of all rows as a predictor gives them that takes `batch` at a time. */
static void
score_rows(TextTable *table, size_t batch, double *scores)
{
	LearnPredictor *predictor;
	LearnBytes	values[ROWS];
	LearnTrouble trouble;
	void	   *taken[ROWS];
	float		nothing[1] = {0};

	CHECK_OR_STOP(learn_predictor_create(table->session, &table->model, batch, &predictor) == DEV_OK, "a predictor is made");
	for (size_t row = 0; row < ROWS; row++)
	{
		CHECK_OR_STOP(take_note(table, row, true, &taken[row], &values[row].size, &trouble), "note %zu is encoded", row);
		values[row].bytes = taken[row];
	}
	CHECK_STATUS(table->session, learn_predict_scores(predictor, ROWS, nothing, values, scores), DEV_OK, "rows are scored %zu at a time", batch);
	for (size_t row = 0; row < ROWS; row++)
		free(taken[row]);
}

static void
check_text(LearnNetwork network, int epochs)
{
	TextTable	table;
	static double scores[3][ROWS];
	uint32_t	rows[ROWS];
	LearnPredictor *predictor;
	const char *name = learn_architecture_names[network.architecture];
	size_t		right = 0;

	CHECK_OR_STOP(make_table(open_session(), 0, 0, &table) == DEV_OK, "%s: notes are read", name);
	CHECK(table.field.dims[0] % 16 == 0 && table.field.dims[0] >= 64 && table.field.dims[0] < 512, "long notes decide the length");
	CHECK_STATUS(table.session, train(&table, network, epochs, 2), DEV_OK, "%s learns notes", name);
	for (size_t row = 0; row < ROWS; row++)
		rows[row] = (uint32_t) row;
	score_rows(&table, 1, scores[0]);
	score_rows(&table, 64, scores[1]);
	CHECK_OR_STOP(learn_predictor_create(table.session, &table.model, 32, &predictor) == DEV_OK, "one more predictor");
	CHECK_STATUS(table.session, learn_predict_dataset(predictor, table.dataset, rows, ROWS, scores[2]), DEV_OK, "the data set is scored");
	CHECK(memcmp(scores[0], scores[1], sizeof(scores[0])) == 0, "%s: a note's score does not depend on its neighbours' length", name);
	CHECK(memcmp(scores[0], scores[2], sizeof(scores[0])) == 0, "%s: rows of the data set score as the same rows from outside", name);
	for (size_t row = 0; row < ROWS; row++)
		right += (scores[0][row] > 0) == is_ill(row);
	if (!CHECK(right > ROWS * 9 / 10, "%s tells the ill from the well", name))
		printf("#   %zu of %d\n", right, ROWS);
	close_table(&table);
}

/* Words of the other parts are unknown, and an empty text is a missing one. */
static void
check_vocabulary(void)
{
	TextTable	table;
	void	   *taken;
	size_t		size;
	LearnTrouble trouble;
	int32_t		unknown;

	CHECK_OR_STOP(make_table(open_session(), 0, 0, &table) == DEV_OK, "notes are read");
	unknown = learn_vocabulary_special(table.field.vocabulary, LEARN_UNK);
	CHECK(learn_field_take_text(&table.field, "\xe2\x82\xac", 3, true, &taken, &size, &trouble) && size == sizeof(int32_t)
		  && ((int32_t *) taken)[0] == unknown, "a character that no training text has is unknown");
	free(taken);
	CHECK(learn_field_take_text(&table.field, " \n\t ", 4, true, &taken, &size, &trouble) && taken == NULL, "a text of blanks is missing");
	CHECK(!learn_field_take_text(&table.field, "\xff\xfe", 2, false, &taken, &size, &trouble) && trouble.status == DEV_BAD_DATA,
		  "what is no UTF-8 is refused");
	close_table(&table);
}

/* ---- Tags ---- */

/* Tags of all notes, a row each of MOST_WORDS. */
typedef struct Answers
{
	int32_t		tags[ROWS][MOST_WORDS];
	int32_t		actual[ROWS][MOST_WORDS];
	float		certain[ROWS][MOST_WORDS];
	LearnTagged answers[ROWS];
} Answers;

/* As a predictor gives them that takes `batch` at a time. */
static void
tag_rows(TextTable *table, size_t batch, Answers *answers)
{
	LearnPredictor *predictor;
	LearnBytes	values[ROWS];
	LearnTrouble trouble;
	void	   *taken[ROWS];

	memset(answers, 0, sizeof(*answers));
	CHECK_OR_STOP(learn_predictor_create(table->session, &table->model, batch, &predictor) == DEV_OK, "a predictor is made");
	for (size_t row = 0; row < ROWS; row++)
	{
		CHECK_OR_STOP(take_note(table, row, true, &taken[row], &values[row].size, &trouble), "note %zu is encoded", row);
		values[row].bytes = taken[row];
		answers->answers[row] = (LearnTagged) {answers->tags[row], answers->certain[row], answers->actual[row], 0};
	}
	CHECK_STATUS(table->session, learn_predict_tags(predictor, ROWS, values, answers->answers), DEV_OK, "notes are tagged %zu at a time", batch);
	for (size_t row = 0; row < ROWS; row++)
		free(taken[row]);
}

/* ---- Why ---- */

/* Contributions of a few entities add up, speak for them with the word itself first, and are the same by both methods. */
static void
explain_rows(TextTable *table, const Answers *answers)
{
	LearnPredictor *predictor;
	double		contributions[2][1024];
	size_t		n_explained = 0;
	size_t		n_first = 0;
	size_t		n_near = 0;

	CHECK_OR_STOP(learn_predictor_create(table->session, &table->model, 4, &predictor) == DEV_OK, "a predictor is made");
	CHECK_OR_STOP(learn_field_parts(&table->field) < 1024, "there is room for all tokens");
	for (size_t row = 0; row < ROWS && n_explained < 6; row++)
	{
		size_t		n = answers->answers[row].n;
		LearnExplain how = {.method = LEARN_INTEGRATED_GRADIENTS, .relative = 1e-3, .permutations = 64, .seed = 1};
		LearnSpan	spans[MOST_WORDS];
		LearnBytes	value;
		LearnTrouble trouble;
		void	   *taken;
		double		score;
		double		baseline;
		double		error;
		size_t		most = 0;
		double		size = 0;
		double		near = 0;
		double		apart = 0;
		bool		silent = true;

		if (learn_tags_spans(LEARN_IOBES, 1, false, n, answers->tags[row], NULL, spans) == 0)
			continue;
		n_explained++;
		CHECK_OR_STOP(take_note(table, row, true, &taken, &value.size, &trouble), "note %zu is encoded", row);
		value.bytes = taken;
		CHECK_STATUS(table->session, learn_explain_entity(predictor, value, &spans[0], &how, contributions[0], &score, &baseline, &error), DEV_OK,
					 "the entity of note %zu is explained", row);
		CHECK(score > 0 && baseline < score, "it is likelier than not: %g, and without words %g", score, baseline);
		CHECK(error <= 1e-3 * (score - baseline), "the parts add up: %g of %g", error, score - baseline);
		for (size_t i = 0; i <= learn_field_parts(&table->field); i++)
		{
			most = contributions[0][i] > contributions[0][most] ? i : most;
			size += contributions[0][i];
			silent &= i < n || contributions[0][i] == 0;
		}
		CHECK(fabs(size - (score - baseline)) <= error + 1e-9 && silent, "and padding has no part in it");
		n_first += most == spans[0].start;
		how.method = LEARN_SHAPLEY;
		CHECK_STATUS(table->session, learn_explain_entity(predictor, value, &spans[0], &how, contributions[1], &score, &baseline, &error), DEV_OK,
					 "Shapley values");
		for (size_t i = 0; i < n; i++)
		{
			apart += fabs(contributions[1][i]);
			near += i + 1 >= spans[0].start && i <= spans[0].end ? fabs(contributions[1][i]) : 0;
		}
		n_near += near > 0.75 * apart;
		CHECK(contributions[1][spans[0].start] > 0.1 * apart && error < 1e-6 * (1 + size), "find the word as well");
		spans[0].end = (uint32_t) n + 1;
		CHECK_STATUS(table->session, learn_explain_entity(predictor, value, &spans[0], &how, contributions[0], &score, &baseline, &error),
					 DEV_INVALID, "what is behind the end is no entity");
		free(taken);
	}
	/* A convolution may tell an entity by its neighbours not being names, as well as by itself. */
	CHECK(n_explained == 6 && n_near == 6, "it is those about the word that speak: %zu of %zu", n_near, n_explained);
	CHECK(table->model.nets[0].network.architecture == LEARN_LAYERS || n_first >= 5, "the word itself loudest: %zu of %zu", n_first, n_explained);
}

/* Alone, tokens know nothing of what follows what, and no training teaches it. */
static void
check_chain(TextTable *table, bool alone)
{
	LearnNet   *net = &table->model.nets[0];
	bool		learned = false;
	LearnGraph	built;

	CHECK(net->network.tags_alone == alone, "the network says whether tokens stand alone");
	CHECK_OR_STOP(learn_network_build(table->session, &net->network, NULL, &built) == DEV_OK, "it is built again");
	for (int i = 0; i < 3; i++)
	{
		const NnParameterInfo *info = nn_graph_parameter(built.graph, built.crf[i]);

		for (size_t j = 0; j < info->size; j++)
			learned = learned || net->weights[info->offset + j] != 0;
	}
	CHECK(learned == !alone && (built.shares != NN_NONE) == alone, "and so do its weights");
}

static void
check_tagger(LearnNetwork network, bool alone, int epochs)
{
	static Answers answers;
	static Answers single;
	TextTable	table;
	LearnTagScores *scores;
	LearnClassScore per_label[1];
	LearnClassScore averages[3];
	const char *name = network.layers != NULL ? network.layers : learn_architecture_names[network.architecture];

	CHECK_OR_STOP(make_table(open_session(), 8, 0, &table) == DEV_OK, "%s: tags are read", name);
	CHECK(learn_labels_size(table.field.labels) == 1 && learn_model_outputs(&table.model) == 5, "there is one label, with O five tags");
	CHECK_STATUS(table.session, train(&table, network, epochs, 2), DEV_OK, "%s learns tags", name);
	check_chain(&table, alone);
	tag_rows(&table, 8, &answers);
	tag_rows(&table, 1, &single);
	CHECK(memcmp(answers.tags, single.tags, sizeof(single.tags)) == 0 && memcmp(answers.certain, single.certain, sizeof(single.certain)) == 0,
		  "%s: a note's tags and certainties do not depend on its neighbours", name);
	scores = learn_tag_scores_create(table.session, LEARN_IOBES, 1);
	for (size_t row = 0; row < ROWS; row++)
	{
		const int32_t *tags = answers.tags[row];
		size_t		n = answers.answers[row].n;

		CHECK(n > 0, "note %zu has tags", row);
		for (size_t i = 0; i < n; i++)
			if (!(answers.certain[row][i] > 0 && answers.certain[row][i] < 1.001f) ||
				(i > 0 && !learn_tag_follows(LEARN_IOBES, tags[i - 1], tags[i])))
				CHECK(false, "certainties are shares and tags well formed, note %zu", row);
		learn_tag_scores_add(scores, n, answers.actual[row], tags);
	}
	learn_tag_scores_report(scores, LEARN_LEVEL_STRICT, per_label, averages);
	if (!CHECK(averages[0].f1 > 0.9, "%s finds diseases", name))
		printf("#   F1 %g\n", averages[0].f1);
	explain_rows(&table, &answers);
	close_table(&table);
}

static void
check_bad_tags(void)
{
	static const char *const strange[] = {"B-Weather"};
	static const char *const wrong[] = {"Disease"};
	LearnWord	word = {0, 4};
	LearnWord	outside = {2, 9};
	TextTable	table;
	LearnTrouble trouble;
	void	   *taken;
	size_t		size;

	CHECK_OR_STOP(make_table(open_session(), 8, 0, &table) == DEV_OK, "tags are read");
	CHECK(!learn_field_take_tokens(&table.field, "rain", 4, 1, &word, strange, true, &taken, &size, &trouble)
		  && strstr(trouble.message, "Weather") != NULL, "a label that was not learned is named");
	CHECK(!learn_field_take_tokens(&table.field, "rain", 4, 1, &word, wrong, true, &taken, &size, &trouble), "what is no tag is refused");
	CHECK(!learn_field_take_tokens(&table.field, "rain", 4, 1, &outside, NULL, true, &taken, &size, &trouble),
		  "a token outside the text is refused");
	CHECK(learn_field_take_tokens(&table.field, "", 0, 0, NULL, NULL, true, &taken, &size, &trouble) && taken == NULL,
		  "a text without tokens is missing");
	close_table(&table);
}

/* ---- An entity's odds ---- */

#define ODDS_LENGTH 5
#define ODDS_TAGS 4

/* By going through all sequences of tags. */
static double
odds_by_hand(const LearnEntity *entity, const double *emissions)
{
	const LearnChain *chain = entity->chain;
	double		sums[2] = {0};

	for (int code = 0; code < 1024; code++)
	{
		bool		agrees = true;
		double		score = 0;

		for (size_t t = 0; t < ODDS_LENGTH; t++)
		{
			size_t		tag = (size_t) (code >> (2 * t)) % ODDS_TAGS;

			score += emissions[t * ODDS_TAGS + tag];
			score += t == 0 ? (double) chain->start[tag] :
				(double) chain->transitions[(size_t) (code >> (2 * t - 2)) % ODDS_TAGS * ODDS_TAGS + tag];
			score += t == ODDS_LENGTH - 1 ? (double) chain->end[tag] : 0;
			agrees &= t < entity->start || t >= entity->end || (int32_t) tag == entity->tags[t - entity->start];
		}
		sums[agrees] += exp(score);
	}
	return log(sums[1] / sums[0]);
}

static void
check_odds(void)
{
	float		transitions[ODDS_TAGS * ODDS_TAGS];
	float		start[ODDS_TAGS];
	float		end[ODDS_TAGS];
	double		emissions[ODDS_LENGTH * ODDS_TAGS];
	double		diff[ODDS_LENGTH * ODDS_TAGS];
	double		unused[ODDS_LENGTH * ODDS_TAGS];
	double		work[5 * ODDS_LENGTH * ODDS_TAGS];
	const int32_t tags[] = {2, 1, 3, 0, 2};
	LearnChain	chain = {.n_tags = ODDS_TAGS, .longest = ODDS_LENGTH, .transitions = transitions, .start = start, .end = end};

	for (size_t i = 0; i < ODDS_TAGS * ODDS_TAGS; i++)
		transitions[i] = (float) dev_random_uniform(3, 1, i) * 4 - 2;
	for (size_t i = 0; i < ODDS_TAGS; i++)
	{
		start[i] = (float) dev_random_uniform(3, 2, i) * 2 - 1;
		end[i] = (float) dev_random_uniform(3, 3, i) * 2 - 1;
	}
	for (size_t i = 0; i < ODDS_LENGTH * ODDS_TAGS; i++)
		emissions[i] = dev_random_uniform(3, 4, i) * 6 - 3;
	CHECK(learn_entity_work(ODDS_LENGTH, ODDS_TAGS) == sizeof(work) / sizeof(work[0]), "there is room to work in");
	for (size_t first = 0; first < ODDS_LENGTH; first++)
		for (size_t behind = first + 1; behind <= ODDS_LENGTH; behind++)
		{
			LearnEntity entity = {.chain = &chain, .length = ODDS_LENGTH, .start = first, .end = behind, .tags = tags, .work = work};
			double		odds = learn_entity_odds(&entity, emissions, diff);

			CHECK_NEAR(odds, odds_by_hand(&entity, emissions), 1e-9, "log odds of tokens %zu to %zu", first, behind);
			for (size_t i = 0; i < ODDS_LENGTH * ODDS_TAGS; i++)
			{
				double		kept = emissions[i];
				double		up;

				emissions[i] = kept + 1e-5;
				up = learn_entity_odds(&entity, emissions, unused);
				emissions[i] = kept - 1e-5;
				CHECK_NEAR(diff[i], (up - learn_entity_odds(&entity, emissions, unused)) / 2e-5, 1e-8, "and their slope by emission %zu", i);
				emissions[i] = kept;
			}
		}
	/* Sure beyond what 1 - P can say in a double. */
	for (size_t t = 0; t < ODDS_LENGTH; t++)
		emissions[t * ODDS_TAGS + (size_t) tags[t]] = 100;
	{
		LearnEntity entity = {.chain = &chain, .length = ODDS_LENGTH, .start = 1, .end = 3, .tags = tags + 1, .work = work};
		double		odds = learn_entity_odds(&entity, emissions, diff);

		CHECK(odds > 80 && odds < 110 && isfinite(odds), "odds of what is certain are large, not lost: %g", odds);
	}
}

/* ---- The same bits ---- */

/* Words of 64 characters make records that fill more than a block. */
static void
check_same(void)
{
	TextTable	tables[2];

	for (size_t i = 0; i < 2; i++)
	{
		CHECK_OR_STOP(make_table(open_session(), 64, i, &tables[i]) == DEV_OK, "rows are read");
		CHECK(learn_store_spilled(tables[i].dataset->stores[0]) == (i == 1), "with little memory they are in the file");
		CHECK_STATUS(tables[i].session, train(&tables[i], ask(LEARN_BILSTM_CRF), 2, 2), DEV_OK, "and learned from");
	}
	CHECK(tables[0].model.nets[0].n_weights == tables[1].model.nets[0].n_weights &&
		  memcmp(tables[0].model.nets[0].weights, tables[1].model.nets[0].weights,
				 tables[0].model.nets[0].n_weights * sizeof(float)) == 0, "little memory gives the same weights");
	for (int i = 0; i < 2; i++)
		close_table(&tables[i]);
}

/* A text with one more wish. */
static LearnNetwork
with_positions(LearnPositions positions)
{
	LearnNetwork network = ask(LEARN_TRANSFORMER);

	network.positions = positions;
	return network;
}

static LearnNetwork
alone(LearnNetwork network)
{
	network.tags_alone = true;
	return network;
}

static LearnNetwork
in_layers(const char *text)
{
	LearnNetwork network = ask(LEARN_LAYERS);

	network.layers = (char *) text;
	return network;
}

/* What a tagger's text cannot be. */
static void
check_texts_refused(void)
{
	static const struct
	{
		const char *text;
		bool		alone;
		const char *message;
	}			texts[] = {
		{"gru(8) last", false, "layer 2 of the layer text leaves no place for every token"},
		{"conv(8) max_pool(2) crf", false, "layer 2 of the layer text leaves no place for every token"},
		{"pad(1) gru(8)", false, "layer 2 of the layer text leaves no place for every token"},
		{"crf gru(8)", false, "layer 1 of the layer text stands before the end"},
		{"gru(8) crf", true, "the layer text ends in \"crf\", and the option \"crf\" is false"},
		{"gru(8) join", false, "layer 2 of the layer text joins columns with places"}
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		TextTable	table;
		LearnNetwork network = in_layers(texts[i].text);

		network.tags_alone = texts[i].alone;
		CHECK_OR_STOP(make_table(open_session(), 8, 0, &table) == DEV_OK, "tags are read");
		CHECK_STATUS(table.session, train(&table, network, 1, 1), DEV_INVALID, "\"%s\" is refused", texts[i].text);
		if (!CHECK(strcmp(dev_message_text(table.session), texts[i].message) == 0, "saying %s", texts[i].message))
			printf("#   said %s\n", dev_message_text(table.session));
		close_table(&table);
	}
}

/* A predictor of two networks, the second one like the first but for `other`, is refused as what cannot be. */
static void
check_two(TextTable *table, LearnNetwork other, const char *message)
{
	LearnNet	nets[2] = {table->model.nets[0], table->model.nets[0]};
	LearnModel	model = table->model;
	LearnPredictor *predictor;

	other.task = nets[0].network.task;
	other.fields = nets[0].network.fields;
	other.n_fields = 1;
	other.n_outputs = nets[0].network.n_outputs;
	nets[1].network = other;
	model.nets = nets;
	model.n_nets = 2;
	CHECK_STATUS(table->session, learn_predictor_create(table->session, &model, 4, &predictor), DEV_CORRUPT, "%s", message);
	if (!CHECK(strcmp(dev_message_text(table->session), message) == 0, "is what is said"))
		printf("#   said %s\n", dev_message_text(table->session));
}

/* Stored models whose networks do not go together, or take what nobody brings them. */
static void
check_models_refused(void)
{
	TextTable	table;
	LearnNetwork other;
	LearnModel	model;
	LearnChannel channel = {.name = (char *) "age", .scale = 1, .number_input = NN_NONE, .indicator_input = NN_NONE, .code_input = NN_NONE};
	LearnPredictor *predictor;

	CHECK_OR_STOP(make_table(open_session(), 8, 0, &table) == DEV_OK, "tags are read");
	CHECK_OR_STOP(train(&table, ask(LEARN_BILSTM_CRF), 1, 1) == DEV_OK, "and learned");
	other = table.model.nets[0].network;
	other.tags_alone = true;
	check_two(&table, other, "network 1 reads texts in another way than those before it");
	model = table.model;
	model.n_channels = 1;
	model.channels = &channel;
	CHECK_STATUS(table.session, learn_predictor_create(table.session, &model, 4, &predictor), DEV_CORRUPT, "a tagger with a channel");
	CHECK(strcmp(dev_message_text(table.session), "the model tags texts and has 1 channels beside them") == 0, "is refused: %s",
		  dev_message_text(table.session));
	close_table(&table);

	/* A text that is flattened comes in one length, others in several. */
	CHECK_OR_STOP(make_table(open_session(), 0, 0, &table) == DEV_OK, "notes are read");
	CHECK_OR_STOP(train(&table, in_layers("dense(8) relu global_max"), 1, 1) == DEV_OK, "and learned");
	other = table.model.nets[0].network;
	other.layers = (char *) "dense(8) relu flatten";
	check_two(&table, other, "network 1 reads texts in another way than those before it");
	close_table(&table);
}

int
main(void)
{
	check_odds();
	check_vocabulary();
	check_text(ask(LEARN_BAG), 12);
	check_text(ask(LEARN_CNN), 8);
	check_text(ask(LEARN_GRU), 8);
	check_text(ask(LEARN_TRANSFORMER), 10);
	check_text(with_positions(LEARN_POSITIONS_LEARNED), 10);
	check_text(with_positions(LEARN_POSITIONS_TIME), 10);
	check_text(in_layers("dense(24) learned_positions attention(4) global_max"), 10);
	check_text(in_layers("conv(8) batch_norm relu flatten dense(8) relu"), 10);
	check_text(in_layers("conv(16) group_norm(4) relu max_pool(2) conv(16, 3, 2) relu global_max"), 10);
	check_tagger(ask(LEARN_BILSTM_CRF), false, 6);
	check_tagger(ask(LEARN_TRANSFORMER), false, 10);
	check_tagger(alone(ask(LEARN_BILSTM_CRF)), true, 6);
	check_tagger(alone(with_positions(LEARN_POSITIONS_LEARNED)), true, 10);
	check_tagger(in_layers("dropout(0.3) bigru(24) dropout(0.3) crf"), false, 6);
	check_tagger(in_layers("conv(32, 3) batch_norm relu bilstm(24)"), true, 8);
	check_texts_refused();
	check_models_refused();
	check_bad_tags();
	check_same();
	return check_done();
}

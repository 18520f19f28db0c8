/*
 * explain_parts.c: idla_explain_parts: which places of an image, moments of a signal, words of a text.
 *
 * A kind of field says how it is divided and what its segments are called; everything else is the same for
 * all of them. Contributions add up as those of columns do: whatever is not listed stands together in the last row.
 */
#include "explain.h"
#include "tokens.h"

#include <math.h>

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#define MOST_SEGMENTS 4096		/* of a field, about: each is a row, and slopes are kept of all at every point of the way */
#define SHOWN_DEPTH 4			/* channels of a patch that are shown by their means */

PG_FUNCTION_INFO_V1(idla_explain_parts);

/* One segment as the user is told of it; NULL: nothing to tell. */
typedef struct Segment
{
	char	   *part;
	int			first;
	int			last;
	char	   *channel;
	char	   *value;
} Segment;

typedef struct Division
{
	int			n;
	Segment    *segments;		/* (n) */
	int		   *segment_of;		/* (learn_field_places); n: to none of them */
} Division;

/* How fields of a kind are divided. */
typedef struct Divider
{
	const char *what;			/* a field of this kind, in a message */
	int			by_default;		/* segments */
	int			(*most) (const LearnField *field);	/* that may be asked for; NULL: the field itself says how many */
	void		(*divide) (const IdlaSite *site, int field, int segments, Division *division);
} Divider;

/* ---- images ---- */

/* Patches along a side. */
static int
most_patches(const LearnField *field)
{
	(void) field;
	return 64;
}

/* Where segment number i of n begins among `size` places: sizes differ by one at most. */
static int
edge(int i, int n, size_t size)
{
	return (int) ((uint64) i * size / (uint64) n);
}

void
idla_image_segments(const LearnField *field, int n_rows, int n_columns, int *segment_of)
{
	for (int row = 0; row < n_rows; row++)
		for (int column = 0; column < n_columns; column++)
			for (int y = edge(row, n_rows, field->dims[0]); y < edge(row + 1, n_rows, field->dims[0]); y++)
				for (int x = edge(column, n_columns, field->dims[1]); x < edge(column + 1, n_columns, field->dims[1]); x++)
					segment_of[(size_t) y * field->dims[1] + (size_t) x] = row * n_columns + column;
}

/* Means of a patch's channels, or of all of them when they are many. */
static char *
patch_words(const LearnField *field, const float *values, int top, int bottom, int left, int right)
{
	size_t		depth = field->dims[2];
	size_t		shown = depth <= SHOWN_DEPTH ? depth : 1;
	double		sums[SHOWN_DEPTH] = {0};
	double		n = (double) (bottom - top) * (double) (right - left) * (double) (depth / shown);
	StringInfoData words;

	for (int y = top; y < bottom; y++)
		for (int x = left; x < right; x++)
			for (size_t d = 0; d < depth; d++)
				sums[shown > 1 ? d : 0] += (double) values[((size_t) y * field->dims[1] + (size_t) x) * depth + d];
	initStringInfo(&words);
	appendStringInfoString(&words, "mean ");
	for (size_t d = 0; d < shown; d++)
		appendStringInfo(&words, "%s%.3g", d > 0 ? ", " : "", sums[d] / n);
	return words.data;
}

static char *
span_words(const char *one, const char *many, int first, int last)
{
	return first == last ? psprintf("%s %d", one, first) : psprintf("%s %d to %d", many, first, last);
}

/* A grid of patches; places are counted row by row, as pixels are. */
static void
divide_image(const IdlaSite *site, int number, int segments, Division *division)
{
	const LearnField *field = &site->model->learn.fields[number];
	int			n_rows = (int) Min((size_t) segments, field->dims[0]);
	int			n_columns = (int) Min((size_t) segments, field->dims[1]);
	float	   *values = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * field->dims[0] * field->dims[1] * field->dims[2]);
	size_t		start;

	(void) learn_field_values(field, site->fields[number], values, &start);
	idla_image_segments(field, n_rows, n_columns, division->segment_of);
	division->n = n_rows * n_columns;
	division->segments = palloc0(division->n * sizeof(Segment));
	for (int i = 0; i < division->n; i++)
	{
		Segment    *segment = &division->segments[i];
		int			top = edge(i / n_columns, n_rows, field->dims[0]);
		int			bottom = edge(i / n_columns + 1, n_rows, field->dims[0]);
		int			left = edge(i % n_columns, n_columns, field->dims[1]);
		int			right = edge(i % n_columns + 1, n_columns, field->dims[1]);

		segment->part = psprintf("%s, %s", span_words("row", "rows", top + 1, bottom),
								 span_words("column", "columns", left + 1, right));
		segment->first = top * (int) field->dims[1] + left + 1;
		segment->last = (bottom - 1) * (int) field->dims[1] + right;
		segment->value = patch_words(field, values, top, bottom, left, right);
	}
	pfree(values);
}

/* ---- signals ---- */

static int
most_stretches(const LearnField *field)
{
	return Max(MOST_SEGMENTS / (int) field->dims[1], 1);
}

/* Mean of one lead's samples, those without a value left out; NULL when none has one. */
static char *
samples_words(const float *values, size_t leads, size_t lead, int first, int last)
{
	double		sum = 0;
	int			n = 0;

	for (int i = first; i < last; i++)
	{
		float		value = values[(size_t) i * leads + lead];

		if (!isfinite(value))
			continue;
		sum += (double) value;
		n++;
	}
	return n == 0 ? NULL : psprintf("mean %.3g", sum / n);
}

/* Places in the user's own samples, whatever was resampled and cropped; and in seconds where the rate is known. */
static void
describe_moment(const LearnField *field, size_t start, int first, int last, Segment *segment)
{
	double		ratio = field->rate > 0 ? field->rate / field->to_rate : 1;

	segment->first = (int) ((double) (start + (size_t) first) * ratio) + 1;
	segment->last = Max((int) ((double) (start + (size_t) last) * ratio), segment->first);
	if (field->rate > 0)
		segment->part = psprintf("%.3f to %.3f s", (double) (start + (size_t) first) / field->to_rate,
								 (double) (start + (size_t) last) / field->to_rate);
	else
		segment->part = span_words("sample", "samples", segment->first, segment->last);
}

/* Stretches of time, each lead by itself; what lies behind the end belongs to none. */
static void
divide_signal(const IdlaSite *site, int number, int segments, Division *division)
{
	const LearnField *field = &site->model->learn.fields[number];
	size_t		leads = field->dims[1];
	float	   *values = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * learn_field_places(field, site->fields[number]));
	size_t		start;
	size_t		length = learn_field_values(field, site->fields[number], values, &start);
	int			n = (int) Min((size_t) segments, length);

	division->n = n * (int) leads;
	division->segments = palloc0(Max(division->n, 1) * sizeof(Segment));
	for (size_t i = length * leads; i < learn_field_places(field, site->fields[number]); i++)
		division->segment_of[i] = division->n;
	for (int i = 0; i < division->n; i++)
	{
		Segment    *segment = &division->segments[i];
		int			first = edge(i / (int) leads, n, length);
		int			last = edge(i / (int) leads + 1, n, length);
		size_t		lead = (size_t) i % leads;

		describe_moment(field, start, first, last, segment);
		if (leads > 1)
			segment->channel = psprintf("lead %zu", lead + 1);
		segment->value = samples_words(values, leads, lead, first, last);
		for (int j = first; j < last; j++)
			division->segment_of[(size_t) j * leads + lead] = i;
	}
	pfree(values);
}

/* ---- texts ---- */

/* The pieces that the network saw, cut again from the row's text, so that their places in it are known. */
typedef struct Pieces
{
	IdlaTokens	text;
	size_t		n;
	int32_t    *ids;
	uint32_t   *starts;
	uint32_t   *ends;
	int32_t    *words;
} Pieces;

static Pieces
cut_again(const IdlaSite *site, const LearnField *field)
{
	LearnTextWish wish = {.max_tokens = field->dims[0],.keep = field->kept,.invalid = LEARN_UTF8_REPLACE};
	Pieces		pieces;
	LearnTrouble trouble;

	pieces.ids = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int32_t) * field->dims[0]);
	pieces.starts = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(uint32_t) * field->dims[0]);
	pieces.ends = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(uint32_t) * field->dims[0]);
	pieces.words = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int32_t) * field->dims[0]);
	for (int i = 0; i < site->desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(site->desc, i);

		if (attribute->attisdropped || strcmp(NameStr(attribute->attname), field->name) != 0)
			continue;
		if (!idla_tokens_read(getBaseType(attribute->atttypid), site->values[i], InvalidOid, (Datum) 0, &pieces.text, &trouble) ||
			!learn_text_encode(field->vocabulary, pieces.text.text, pieces.text.size, &wish, pieces.ids, pieces.starts,
							   pieces.ends, pieces.words, &pieces.n, &trouble))
			idla_raise_trouble(&trouble);
		return pieces;
	}
	elog(ERROR, "the row has lost its column \"%s\"", field->name);
	return pieces;
}

/* "cardi ##omy": how the model spells a word. */
static char *
spelling(const LearnField *field, const Pieces *pieces, size_t first, size_t end)
{
	StringInfoData words;

	initStringInfo(&words);
	for (size_t i = first; i < end; i++)
	{
		const char *piece = learn_vocabulary_piece(field->vocabulary, pieces->ids[i], NULL);

		appendStringInfo(&words, "%s%s", i > first ? " " : "", pg_any_to_server(piece, (int) strlen(piece), PG_UTF8));
	}
	return words.data;
}

/* Words, with their characters in the text from 1; what lies behind the last belongs to none. */
static void
divide_text(const IdlaSite *site, int number, int segments, Division *division)
{
	const LearnField *field = &site->model->learn.fields[number];
	Pieces		pieces = cut_again(site, field);
	LearnSpan  *spans = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(LearnSpan) * Max(pieces.n, 1));
	LearnTrouble trouble;
	size_t		end;

	(void) segments;
	division->segments = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Segment) * Max(pieces.n, 1));
	for (size_t i = 0; i < pieces.n; i = end)
	{
		LearnSpan  *span = &spans[division->n];
		Segment    *segment = &division->segments[division->n];
		char	   *utf8;

		for (end = i; end < pieces.n && pieces.words[end] == pieces.words[i]; end++)
			division->segment_of[end] = division->n;
		*span = (LearnSpan) {.start = pieces.starts[i],.end = pieces.ends[end - 1]};
		utf8 = pnstrdup(pieces.text.text + span->start, span->end - span->start);
		*segment = (Segment) {.part = pg_any_to_server(utf8, (int) strlen(utf8), PG_UTF8),
			.value = spelling(field, &pieces, i, end)};
		division->n++;
	}
	for (size_t i = pieces.n; i < learn_field_places(field, site->fields[number]); i++)
		division->segment_of[i] = division->n;
	if (!learn_spans_to_characters(pieces.text.text, pieces.text.size, spans, (size_t) division->n, &trouble))
		idla_raise_trouble(&trouble);
	for (int i = 0; i < division->n; i++)
	{
		division->segments[i].first = (int) spans[i].start + 1;
		division->segments[i].last = (int) spans[i].end;
	}
}

/* ---- kinds ---- */

/* A kind that is not divided has no parts that could be told apart. */
static const Divider dividers[LEARN_TEXT + 1] = {
	[LEARN_IMAGE] = {"an image", 7, most_patches, divide_image},
	[LEARN_SIGNAL] = {"a signal", 16, most_stretches, divide_signal},
	[LEARN_TEXT] = {"a text", 0, NULL, divide_text}
};

/* ---- which field ---- */

static bool
is_wanted(const LearnField *field, bool images)
{
	return images ? field->kind == LEARN_IMAGE : dividers[field->kind].divide != NULL;
}

/* Names of the fields that could be meant; NULL-terminated. */
static const char **
wanted_names(const LearnModel *learn, bool images, int *n)
{
	const char **names = palloc0((learn->n_fields + 1) * sizeof(char *));

	*n = 0;
	for (int i = 0; i < learn->n_fields; i++)
		if (is_wanted(&learn->fields[i], images))
			names[(*n)++] = learn->fields[i].name;
	return names;
}

/* The field called `name`, or the only one. */
static int
find_field(const IdlaSite *site, const char *name, bool images)
{
	const LearnModel *learn = &site->model->learn;
	const char *what = images ? "an image" : "an image, a signal or a text";
	int			n;
	const char **names = wanted_names(learn, images, &n);
	const char *nearest;

	for (int i = 0; i < learn->n_fields; i++)
		if (is_wanted(&learn->fields[i], images) && (name == NULL ? n == 1 : strcmp(learn->fields[i].name, name) == 0))
			return i;
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("model \"%s\" has no column that is %s", idla_model_name(site->loaded->relid), what),
				 learn->n_fields > 0 ? errhint("Use idla_explain_parts.") :
				 errhint("Use idla_explain, which says what each column adds.")));
	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the model has %d such columns: say which one to explain", n),
				 errhint("Name one of %s, as in \"column\" => '%s'.", idla_list(names), names[0])));
	for (int i = 0; i < site->model->columns.n; i++)
		if (strcmp(site->model->columns.columns[i].name, name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("column \"%s\" is not %s", name, what),
					 errdetail("The model has %s.", idla_list(names)),
					 errhint("idla_explain says what each column adds.")));
	nearest = idla_nearest(name, names);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("the model has no column \"%s\" that is %s", name, what),
			 errdetail("It has %s.", idla_list(names)),
			 nearest != NULL ? errhint("Perhaps you meant \"%s\".", nearest) : 0));
	return -1;
}

int
idla_explain_field(FunctionCallInfo fcinfo, int number, const IdlaSite *site, bool images)
{
	int			field = find_field(site, PG_ARGISNULL(number) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(number)), images);
	const LearnField *found = &site->model->learn.fields[field];

	if (site->fields[field].bytes == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("column \"%s\" is NULL in this row: it has no parts", found->name),
				 errhint("Leave such rows out: WHERE %s IS NOT NULL.", quote_identifier(found->name))));
	return field;
}

/* ---- idla_explain_parts ---- */

static int
wanted_segments(FunctionCallInfo fcinfo, int number, const Divider *divider, const LearnField *field)
{
	int			most = divider->most == NULL ? 0 : divider->most(field);
	int			segments;

	if (divider->most == NULL && !PG_ARGISNULL(number))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is divided into its words: it has no segments", divider->what)));
	if (PG_ARGISNULL(number))
		return Min(divider->by_default, most);
	segments = PG_GETARG_INT32(number);
	if (segments < 1 || segments > most)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("segments is %d: for %s it must be between 1 and %d", segments,
						field->kind == LEARN_SIGNAL && field->dims[1] > 1 ? psprintf("%s of %zu leads", divider->what, field->dims[1]) :
						divider->what, most)));
	return segments;
}

static void
put_text(Datum *values, bool *nulls, int at, const char *text)
{
	nulls[at] = text == NULL;
	values[at] = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

/* rank 0, segment NULL: the rest. */
static void
return_part(FunctionCallInfo fcinfo, int rank, const Segment *segment, double contribution, double error)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		values[8] = {0};
	bool		nulls[8] = {false};

	nulls[0] = nulls[2] = nulls[3] = segment == NULL;
	if (segment != NULL)
	{
		values[0] = Int32GetDatum(rank);
		values[2] = Int32GetDatum(segment->first);
		values[3] = Int32GetDatum(segment->last);
	}
	put_text(values, nulls, 1, segment != NULL ? segment->part : "everything else");
	put_text(values, nulls, 4, segment != NULL ? segment->channel : NULL);
	put_text(values, nulls, 5, segment != NULL ? segment->value : NULL);
	values[6] = Float8GetDatum(contribution);
	values[7] = Float8GetDatum(error);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
return_parts(FunctionCallInfo fcinfo, const Division *division, const double *contributions, int top, double sign, double error)
{
	IdlaShare *shares = palloc(Max(division->n, 1) * sizeof(IdlaShare));
	double		rest = sign * contributions[division->n];

	for (int i = 0; i < division->n; i++)
		shares[i] = (IdlaShare) {.place = i, .contribution = sign * contributions[i]};
	idla_shares_sort(shares, division->n);
	for (int i = 0; i < division->n; i++)
	{
		if (i < top)
			return_part(fcinfo, i + 1, &division->segments[shares[i].place], shares[i].contribution, error);
		else
			rest += shares[i].contribution;
	}
	return_part(fcinfo, 0, NULL, rest, error);
}

Datum
idla_explain_parts(PG_FUNCTION_ARGS)
{
	IdlaQuestion question;
	IdlaSite   *site;
	const LearnField *field;
	const Divider *divider;
	Division	division = {0};
	LearnExplainMethod method;
	int			top;
	double	   *contributions;
	double		score;
	double		baseline;
	double		error;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return (Datum) 0;
	method = idla_explain_method(fcinfo, 3);
	top = idla_explain_top(fcinfo, 4);
	idla_question_ask(fcinfo, 5, 7, &question);
	site = question.site;
	question.how.by_parts = true;
	question.how.field = idla_explain_field(fcinfo, 2, site, false);
	field = &site->model->learn.fields[question.how.field];
	/* The features of rocket are counts, which have no gradient: there the default is the only method. */
	question.how.method = PG_ARGISNULL(3) && field->rocket != NULL ? LEARN_SHAPLEY : method;
	divider = &dividers[field->kind];
	division.segment_of = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int) * learn_field_places(field, site->fields[question.how.field]));
	divider->divide(site, question.how.field, wanted_segments(fcinfo, 6, divider, field), &division);
	question.how.segment_of = division.segment_of;
	question.how.n_segments = division.n;
	contributions = palloc0(((Size) division.n + 1) * sizeof(double));
	idla_check(site->model->work, learn_explain(site->loaded->predictor, site->raw, site->fields, &question.how,
												contributions, &score, &baseline, &error));
	return_parts(fcinfo, &division, contributions, top, question.sign, error);
	return (Datum) 0;
}

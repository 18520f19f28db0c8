/*
 * series_predict.c: the aggregates that answer for an entity: idla_predict_series, idla_classify_series,
 * idla_probabilities_series, idla_embed_series and idla_explain_series.
 *
 * A group's rows are one entity's, in any order. The state holds its events; the final function gathers them into a row
 * and asks the model as for any other row. A model is loaded once for each call of an aggregate in a query, which has one
 * snapshot from its first row to its last.
 */
#include "log.h"
#include "series.h"
#include "serve.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(idla_series_transition);
PG_FUNCTION_INFO_V1(idla_series_transition_version);
PG_FUNCTION_INFO_V1(idla_series_combine);
PG_FUNCTION_INFO_V1(idla_series_serial);
PG_FUNCTION_INFO_V1(idla_series_deserial);
PG_FUNCTION_INFO_V1(idla_series_predict);
PG_FUNCTION_INFO_V1(idla_series_classify);
PG_FUNCTION_INFO_V1(idla_series_probabilities);
PG_FUNCTION_INFO_V1(idla_series_embed);
PG_FUNCTION_INFO_V1(idla_series_explain);

#define TOLERANCE 5e-4
#define EXPLAIN_SEED 1

/* A model and how it reads rows of one type. */
typedef struct Reader
{
	struct Reader *next;
	Oid			relid;
	int			version;
	Oid			type;
	int32		typmod;
	TupleDesc	desc;			/* of the rows */
	IdlaLoaded *loaded;
	IdlaGather *gather;
	IdlaDecoder *decoder;		/* of gathered rows */
	Datum	   *values;			/* of a row */
	bool	   *isnull;
	float	   *raw;			/* of the gathered one */
	LearnBytes *fields;
	double	   *scores;
	float	   *embedding;		/* NULL: nobody asked for it */
	MemoryContext context;		/* in which this lies */
	IdlaUse		use;
	IdlaLogging *logging;		/* NULL: nothing is logged */
} Reader;

/* One group. */
typedef struct State
{
	Reader	   *reader;			/* of the query's, which outlives the group */
	IdlaEvents *events;
	char	   *output;			/* as the user named it, or NULL */
	char	   *key;			/* how the log names the entity, or NULL */
} State;

/* ---- rows ---- */

static void
require_series(const IdlaModel *model, Oid relid)
{
	if (model->columns.series == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("model \"%s\" answers for single rows", idla_model_name(relid)),
				 errhint("Use idla_predict('%s', row).", idla_model_name(relid))));
}

static Reader *
create_reader(MemoryContext context, Oid relid, int version, Oid type, int32 typmod)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	Reader	   *reader = palloc0(sizeof(Reader));
	Snapshot	snapshot = ActiveSnapshotSet() ? GetActiveSnapshot() : GetTransactionSnapshot();
	const IdlaModel *model;

	reader->relid = relid;
	reader->version = version;
	reader->type = type;
	reader->typmod = typmod;
	reader->loaded = idla_load(relid, version, snapshot, context);
	model = reader->loaded->model;
	require_series(model, relid);
	reader->context = context;
	reader->desc = lookup_rowtype_tupdesc_copy(type, typmod);
	reader->logging = idla_logging_open(reader->loaded, &reader->use, context);
	idla_logging_describe(reader->logging, reader->desc);
	reader->gather = idla_gather_create(model->columns.series, reader->desc, idla_series_passed(&model->columns),
										idla_card_text(model->card, "on_bad_input") != NULL);
	reader->decoder = idla_decoder_create(&model->columns, idla_gather_desc(reader->gather), NULL, model->work);
	reader->values = palloc0(sizeof(Datum) * (Size) Max(reader->desc->natts, 1));
	reader->isnull = palloc0(sizeof(bool) * (Size) Max(reader->desc->natts, 1));
	reader->raw = palloc0(sizeof(float) * (Size) Max(model->learn.n_channels, 1));
	reader->fields = palloc0(sizeof(LearnBytes) * (Size) Max(model->learn.n_fields, 1));
	reader->scores = palloc0(sizeof(double) * learn_model_outputs(&model->learn));
	MemoryContextSwitchTo(caller);
	return reader;
}

/* Few calls see more than one model or type of row. */
static Reader *
find_reader(FunctionCallInfo fcinfo, Oid relid, int version, Oid type, int32 typmod)
{
	Reader	   *reader = fcinfo->flinfo->fn_extra;

	while (reader != NULL && (reader->relid != relid || reader->version != version || reader->type != type ||
							  reader->typmod != typmod))
		reader = reader->next;
	if (reader == NULL)
	{
		reader = create_reader(fcinfo->flinfo->fn_mcxt, relid, version, type, typmod);
		reader->next = fcinfo->flinfo->fn_extra;
		fcinfo->flinfo->fn_extra = reader;
	}
	return reader;
}

static void
deform(Reader *reader, HeapTupleHeader row)
{
	HeapTupleData tuple;

	tuple.t_len = HeapTupleHeaderGetDatumLength(row);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = row;
	heap_deform_tuple(&tuple, reader->desc, reader->values, reader->isnull);
}

static State *
create_state(Reader *reader, const char *output)
{
	State	   *state = palloc0(sizeof(State));

	state->reader = reader;
	state->events = idla_events_create(reader->gather);
	state->output = output == NULL ? NULL : pstrdup(output);
	return state;
}

static void
require_same(const Reader *one, const Reader *other)
{
	if (one->relid != other->relid || one->version != other->version || one->type != other->type || one->typmod != other->typmod)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the rows of one group are of several types, or for several models")));
}

/* Arguments state, model, row, and others. */
static Datum
take(FunctionCallInfo fcinfo, text *output, int version)
{
	State	   *state = PG_ARGISNULL(0) ? NULL : (State *) PG_GETARG_POINTER(0);
	MemoryContext group;
	MemoryContext caller;
	HeapTupleHeader row;
	Reader	   *reader;

	if (!AggCheckCallContext(fcinfo, &group))
		elog(ERROR, "a transition function of series is called outside an aggregate");
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	row = PG_GETARG_HEAPTUPLEHEADER(2);
	reader = find_reader(fcinfo, PG_GETARG_OID(1), version, HeapTupleHeaderGetTypeId(row), HeapTupleHeaderGetTypMod(row));
	if (state == NULL)
	{
		caller = MemoryContextSwitchTo(group);
		state = create_state(reader, output == NULL ? NULL : text_to_cstring(output));
		MemoryContextSwitchTo(caller);
	}
	require_same(state->reader, reader);
	deform(reader, row);
	if (unlikely(reader->logging != NULL && state->key == NULL))
	{
		caller = MemoryContextSwitchTo(group);
		state->key = idla_logging_key(reader->logging, reader->values, reader->isnull);
		MemoryContextSwitchTo(caller);
	}
	idla_events_add(reader->gather, state->events, reader->values, reader->isnull);
	PG_RETURN_POINTER(state);
}

/* state, model, row [, output [, version]]: what is not declared is not given. */
Datum
idla_series_transition(PG_FUNCTION_ARGS)
{
	return take(fcinfo, PG_NARGS() > 3 && !PG_ARGISNULL(3) ? PG_GETARG_TEXT_PP(3) : NULL,
				PG_NARGS() > 4 ? idla_version_argument(fcinfo, 4) : -1);
}

/* state, model, row, version */
Datum
idla_series_transition_version(PG_FUNCTION_ARGS)
{
	return take(fcinfo, NULL, idla_version_argument(fcinfo, 3));
}

/* ---- parts of a group, in parallel ---- */

Datum
idla_series_combine(PG_FUNCTION_ARGS)
{
	State	   *state = PG_ARGISNULL(0) ? NULL : (State *) PG_GETARG_POINTER(0);
	State	   *other = PG_ARGISNULL(1) ? NULL : (State *) PG_GETARG_POINTER(1);
	MemoryContext group;
	MemoryContext caller;

	if (!AggCheckCallContext(fcinfo, &group))
		elog(ERROR, "idla_series_combine is called outside an aggregate");
	if (other != NULL)
	{
		if (state == NULL)
		{
			caller = MemoryContextSwitchTo(group);
			state = create_state(other->reader, other->output);
			MemoryContextSwitchTo(caller);
		}
		if (state->key == NULL && other->key != NULL)
			state->key = MemoryContextStrdup(group, other->key);
		require_same(state->reader, other->reader);
		idla_events_merge(state->reader->gather, state->events, other->events);
	}
	if (state == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(state);
}

static void
send_text(StringInfo out, const char *text)
{
	pq_sendbyte(out, text != NULL);
	appendBinaryStringInfo(out, text != NULL ? text : "", text != NULL ? (int) strlen(text) + 1 : 1);
}

static char *
receive_text(StringInfo in)
{
	bool		given = pq_getmsgbyte(in) != 0;
	const char *text = pq_getmsgrawstring(in);

	return given ? pstrdup(text) : NULL;
}

/* Which reader, which output, the key, then the events. */
Datum
idla_series_serial(PG_FUNCTION_ARGS)
{
	const State *state = (State *) PG_GETARG_POINTER(0);
	StringInfoData out;

	if (!AggCheckCallContext(fcinfo, NULL))
		elog(ERROR, "idla_series_serial is called outside an aggregate");
	pq_begintypsend(&out);
	pq_sendint32(&out, state->reader->relid);
	pq_sendint32(&out, state->reader->version);
	pq_sendint32(&out, state->reader->type);
	pq_sendint32(&out, state->reader->typmod);
	send_text(&out, state->output);
	send_text(&out, state->key);
	idla_events_write(state->reader->gather, state->events, &out);
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

Datum
idla_series_deserial(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	StringInfoData in;
	State	   *state;
	Reader	   *reader;
	Oid			relid;
	Oid			type;
	int			version;

	if (!AggCheckCallContext(fcinfo, NULL))
		elog(ERROR, "idla_series_deserial is called outside an aggregate");
	initStringInfo(&in);
	appendBinaryStringInfo(&in, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	relid = pq_getmsgint(&in, 4);
	version = (int) pq_getmsgint(&in, 4);
	type = pq_getmsgint(&in, 4);
	reader = find_reader(fcinfo, relid, version, type, (int32) pq_getmsgint(&in, 4));
	state = palloc0(sizeof(State));
	state->reader = reader;
	state->output = receive_text(&in);
	state->key = receive_text(&in);
	state->events = idla_events_read(reader->gather, &in);
	pq_getmsgend(&in);
	PG_RETURN_POINTER(state);
}

/* ---- answers ---- */

/* Scores of the group, and its embedding if wanted; NULL when it has no rows or no prediction time. */
static Reader *
answer(FunctionCallInfo fcinfo, State **state, bool embed)
{
	Reader	   *reader;
	TupleDesc	desc;
	Datum	   *values;
	bool	   *isnull;
	instr_time	start;

	if (PG_ARGISNULL(0))
		return NULL;
	*state = (State *) PG_GETARG_POINTER(0);
	reader = (*state)->reader;
	desc = idla_gather_desc(reader->gather);
	values = palloc(sizeof(Datum) * (Size) desc->natts);
	isnull = palloc(sizeof(bool) * (Size) desc->natts);
	if (!idla_events_finish(reader->gather, (*state)->events, values, isnull))
		return NULL;
	if (!OidIsValid(reader->use.relid))
		idla_use_start(&reader->use, reader->context, reader->loaded->relid, reader->loaded->version);
	reader->use.inside = true;
	idla_decode(reader->decoder, values, isnull, reader->raw, reader->fields, false);
	if (embed && reader->embedding == NULL)
		reader->embedding = MemoryContextAlloc(reader->context, sizeof(float) * idla_embedding_size(reader->loaded));
	idla_use_enter(&reader->use, &start);
	idla_check(reader->loaded->model->work,
			   learn_predict_embedded(reader->loaded->predictor, 1, reader->raw, reader->fields, reader->scores,
									  embed ? reader->embedding : NULL));
	idla_use_leave(&reader->use, &start, 1);
	return reader;
}

static void
log_answer(const State *state, int call, Datum answer, bool isnull)
{
	Reader	   *reader = state->reader;

	if (likely(reader->logging == NULL) || !idla_logging_wants(reader->logging, state->key, reader->raw, reader->fields))
		return;
	idla_logging_put(reader->logging, call, reader->loaded->version, true, state->key, answer, isnull);
}

static bool
is_classifier(const LearnModel *learn)
{
	return learn->task == LEARN_BINARY || learn->task == LEARN_MULTICLASS;
}

/* The output that is named, or the only one; of several unnamed ones which = what to say. */
static int
choose_output(const Reader *reader, const char *name)
{
	const LearnModel *learn = &reader->loaded->model->learn;
	const char **names = idla_output_names(reader->loaded->model);

	if (name != NULL)
		return idla_output_find(reader->loaded->model, name);
	if (learn->task == LEARN_BINARY)
		return learn->positive;
	if (learn_model_outputs(learn) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("model \"%s\" has several answers", idla_model_name(reader->relid)),
				 errhint("Name one of %s as the third argument.", idla_list(names))));
	return 0;
}

static double
answer_of(const LearnModel *learn, const double *answers, int output)
{
	if (learn->task == LEARN_BINARY)
		return output == learn->positive ? answers[0] : 1 - answers[0];
	return answers[output];
}

Datum
idla_series_predict(PG_FUNCTION_ARGS)
{
	State	   *state;
	Reader	   *reader = answer(fcinfo, &state, false);
	const LearnModel *learn;
	Datum		result;

	if (reader == NULL)
		PG_RETURN_NULL();
	learn = &reader->loaded->model->learn;
	learn_scores_to_answers(learn, 1, reader->scores);
	result = Float8GetDatum(answer_of(learn, reader->scores, choose_output(reader, state->output)));
	log_answer(state, IDLA_LOG_PREDICT_SERIES, result, false);
	PG_RETURN_DATUM(result);
}

static void
require_classifier(const Reader *reader, const char *function)
{
	if (!is_classifier(&reader->loaded->model->learn))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is for models that tell classes apart, and the task of \"%s\" is \"%s\"", function,
						idla_model_name(reader->relid), learn_task_names[reader->loaded->model->learn.task]),
				 errhint("Use idla_predict_series.")));
}

Datum
idla_series_classify(PG_FUNCTION_ARGS)
{
	State	   *state;
	Reader	   *reader = answer(fcinfo, &state, false);
	const LearnModel *learn;
	Datum		result = (Datum) 0;

	if (reader == NULL)
		PG_RETURN_NULL();
	require_classifier(reader, "idla_classify_series");
	learn = &reader->loaded->model->learn;
	learn_scores_to_answers(learn, 1, reader->scores);
	fcinfo->isnull = idla_abstains(learn, reader->scores, idla_abstain_of(reader->loaded));
	if (!fcinfo->isnull)
		result = CStringGetTextDatum(learn->classes[idla_likeliest_class(learn, reader->scores, idla_threshold_of(reader->loaded))]);
	log_answer(state, IDLA_LOG_CLASSIFY_SERIES, result, fcinfo->isnull);
	return result;
}

Datum
idla_series_probabilities(PG_FUNCTION_ARGS)
{
	State	   *state;
	Reader	   *reader = answer(fcinfo, &state, false);
	const LearnModel *learn;
	JsonbParseState *parse = NULL;
	Datum		result;

	if (reader == NULL)
		PG_RETURN_NULL();
	require_classifier(reader, "idla_probabilities_series");
	learn = &reader->loaded->model->learn;
	learn_scores_to_answers(learn, 1, reader->scores);
	pushJsonbValue(&parse, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < learn->n_classes; i++)
		idla_json_push_number(&parse, learn->classes[i], answer_of(learn, reader->scores, i));
	result = JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&parse, WJB_END_OBJECT, NULL)));
	log_answer(state, IDLA_LOG_PROBABILITIES_SERIES, result, false);
	return result;
}

Datum
idla_series_embed(PG_FUNCTION_ARGS)
{
	State	   *state;
	Reader	   *reader = answer(fcinfo, &state, true);

	if (reader == NULL)
		PG_RETURN_NULL();
	return idla_embedding_datum(reader->embedding, idla_embedding_size(reader->loaded));
}

/* ---- explanation ---- */

/* A part of the answer: a column, or a channel in a bin. */
typedef struct Part
{
	const char *name;
	double		start;			/* of the bin, relative to the prediction time; NaN for a column */
	double		value;			/* NaN when there is none */
	double		contribution;
} Part;

static int
compare_parts(const void *a, const void *b)
{
	const Part *left = a;
	const Part *right = b;
	double		size_left = fabs(left->contribution);
	double		size_right = fabs(right->contribution);

	if (size_left != size_right)
		return size_left > size_right ? -1 : 1;
	if (left->start != right->start)
		return isnan(left->start) || left->start < right->start ? -1 : 1;
	return strcmp(left->name, right->name);
}

/* Contributions of the columns, but of the series' bins one by one. */
static Part *
explain(Reader *reader, const LearnExplain *how, double sign, int *n)
{
	const IdlaModel *model = reader->loaded->model;
	const LearnModel *learn = &model->learn;
	const IdlaSeries *series = model->columns.series;
	Size		n_cells = learn->n_fields > 0 ? learn_field_parts(&learn->fields[0]) : 0;
	double	   *shares = palloc0(sizeof(double) * (Size) Max(learn->n_columns, 1));
	double	   *cells = palloc0(sizeof(double) * (n_cells + 1));
	Part	   *parts = palloc(sizeof(Part) * (n_cells + (Size) learn->n_columns));
	const float *stored = learn->n_fields > 0 ? reader->fields[0].bytes : NULL;
	LearnExplain by_parts = *how;
	double		score;
	double		baseline;
	double		error;

	*n = 0;
	idla_check(model->work, learn_explain(reader->loaded->predictor, reader->raw, reader->fields, how, shares, &score, &baseline, &error));
	for (int i = 0; i < learn->n_columns; i++)
	{
		if (model->columns.columns[i].kind != IDLA_SERIES && idla_column_used(&model->columns, i))
			parts[(*n)++] = (Part) {model->columns.columns[i].name, NAN, NAN, sign * shares[i]};
	}
	if (n_cells == 0)
		return parts;
	by_parts.by_parts = true;
	by_parts.field = 0;
	idla_check(model->work, learn_explain(reader->loaded->predictor, reader->raw, reader->fields, &by_parts, cells, &score, &baseline, &error));
	for (Size i = 0; i < n_cells; i++)
	{
		Size		channel = i % (Size) series->plan.n_channels;
		Size		bin = i / (Size) series->plan.n_channels;
		float		value = stored == NULL ? NAN : stored[(bin + 2) * (Size) series->plan.n_channels + channel];

		if (cells[i] != 0)
			parts[(*n)++] = (Part) {series->plan.channels[channel].name,
				series->plan.start + (double) bin * series->plan.width, value, sign * cells[i]};
	}
	return parts;
}

/* idla_series_part[], largest first. */
Datum
idla_series_explain(PG_FUNCTION_ARGS)
{
	State	   *state;
	Reader	   *reader = answer(fcinfo, &state, false);
	LearnExplain how = {.method = LEARN_INTEGRATED_GRADIENTS,.tolerance = TOLERANCE,.seed = EXPLAIN_SEED};
	const LearnModel *learn;
	Oid			array_type;
	Oid			type;
	TupleDesc	desc;
	Part	   *parts;
	Datum	   *elements;
	int			output;
	int			n;

	if (reader == NULL)
		PG_RETURN_NULL();
	learn = &reader->loaded->model->learn;
	output = choose_output(reader, state->output);
	how.output = learn->task == LEARN_BINARY ? 0 : output;
	parts = explain(reader, &how, learn->task == LEARN_BINARY && output != learn->positive ? -1 : 1, &n);
	qsort(parts, n, sizeof(Part), compare_parts);

	if (get_call_result_type(fcinfo, &array_type, NULL) == TYPEFUNC_COMPOSITE || !OidIsValid(type = get_element_type(array_type)))
		elog(ERROR, "idla_explain_series is declared with another result than this library gives");
	desc = lookup_rowtype_tupdesc(type, -1);
	elements = palloc(sizeof(Datum) * (Size) Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		Datum		values[4] = {CStringGetTextDatum(parts[i].name), Float8GetDatum(parts[i].start), Float8GetDatum(parts[i].value),
		Float8GetDatum(parts[i].contribution)};
		bool		isnull[4] = {false, isnan(parts[i].start), isnan(parts[i].value), false};

		elements[i] = HeapTupleGetDatum(heap_form_tuple(desc, values, isnull));
	}
	ReleaseTupleDesc(desc);
	PG_RETURN_ARRAYTYPE_P(construct_array(elements, n, type, -1, false, TYPALIGN_DOUBLE));
}

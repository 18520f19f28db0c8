/*
 * document.c: idla_predict_json and its like, which take a row as one jsonb document.
 *
 * The document becomes a record of the columns that the model reads, of the types that they had in training, by the server's own
 * jsonb_populate_record; from there on it is a row like any other.
 */
#include "conformal.h"
#include "serve.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(idla_predict_json);
PG_FUNCTION_INFO_V1(idla_classify_json);
PG_FUNCTION_INFO_V1(idla_probabilities_json);
PG_FUNCTION_INFO_V1(idla_interval_json);
PG_FUNCTION_INFO_V1(idla_label_set_json);
PG_FUNCTION_INFO_V1(idla_embed_json);

#define MOST_ARGUMENTS 5
#define LISTED 30				/* missing keys that a message names */

/* What a call keeps between documents. */
typedef struct Documents
{
	IdlaServed	served;			/* whose columns they have */
	IdlaAnswerKind kind;
	MemoryContext context;		/* of what is below */
	TupleDesc	desc;
	int			n_read;			/* of its attributes, the first so many, are what the model reads; their keys must be there */
	HeapTupleHeader blank;		/* a record of that type, NULL in every column */
	FmgrInfo	populate_record;	/* jsonb_populate_record */
	FmgrInfo	row;			/* the function of a row, which keeps its own */
} Documents;

/* ---- the record's type ---- */

/* The column's own; where that is of another database, one that is read alike. */
static Oid
type_of(const IdlaColumn *column)
{
	if (OidIsValid(column->type))
		return column->type;
	switch (column->kind)
	{
		case IDLA_CATEGORY:
		case IDLA_TEXT:
			return TEXTOID;
		case IDLA_NUMBER:
			return FLOAT8OID;
		case IDLA_BOOLEAN:
			return BOOLOID;
		default:
			return FLOAT8ARRAYOID;
	}
}

/* The column that tells subgroups apart, where the answer asks for the row's; it need not be an input. */
static const char *
subgroup_column(const Documents *documents)
{
	const LearnConformal *conformal = documents->served.loaded->model->learn.conformal;

	return conformal != NULL && (documents->kind == IDLA_PREDICT_INTERVAL || documents->kind == IDLA_PREDICT_SET) ? conformal->by : NULL;
}

/*
 * Columns that are read, then those that dates are counted from and that are not read themselves, the one that tells subgroups apart;
 * the key by which answers are logged.
 */
static void
describe(Documents *documents)
{
	const IdlaLoaded *loaded = documents->served.loaded;
	const IdlaColumns *columns = &loaded->model->columns;
	const char **names = palloc0(sizeof(char *) * (2 * (Size) columns->n + 3));
	Oid		   *types = palloc(sizeof(Oid) * (2 * (Size) columns->n + 3));
	const char *by = subgroup_column(documents);
	TupleDesc	desc;
	int			n = 0;

	for (int i = 0; i < columns->n; i++)
		if (idla_column_used(columns, i))
		{
			names[n] = columns->columns[i].name;
			types[n++] = type_of(&columns->columns[i]);
		}
	for (int i = 0; i < columns->n; i++)
	{
		const IdlaColumn *column = &columns->columns[i];

		if (!idla_column_used(columns, i) || column->reference == NULL || learn_name_find(names, column->reference) >= 0)
			continue;
		names[n] = column->reference;
		types[n++] = OidIsValid(column->reference_type) ? column->reference_type :
			column->kind == IDLA_TIMESTAMPTZ ? TIMESTAMPTZOID : TIMESTAMPOID;
	}
	if (by != NULL && learn_name_find(names, by) < 0)
	{
		names[n] = by;
		types[n++] = OidIsValid(loaded->model->subgroup_type) ? loaded->model->subgroup_type : TEXTOID;
	}
	documents->n_read = n;
	if (loaded->log_key != NULL && learn_name_find(names, loaded->log_key) < 0)
	{
		names[n] = loaded->log_key;
		types[n++] = TEXTOID;
	}
	desc = CreateTemplateTupleDesc(n);
	for (int i = 0; i < n; i++)
		TupleDescInitEntry(desc, (AttrNumber) (i + 1), names[i], types[i], -1, 0);
	documents->desc = BlessTupleDesc(desc);
}

/* jsonb_populate_record wants to see from its call that it is asked for a record, and finds the record's type in the one that it is given. */
static void
prepare_populate(Documents *documents)
{
	Node	   *record = (Node *) makeNullConst(RECORDOID, -1, InvalidOid);
	Node	   *document = (Node *) makeNullConst(JSONBOID, -1, InvalidOid);

	fmgr_info_cxt(F_JSONB_POPULATE_RECORD, &documents->populate_record, documents->context);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_JSONB_POPULATE_RECORD, RECORDOID, list_make2(record, document), InvalidOid, InvalidOid,
											 COERCE_EXPLICIT_CALL), &documents->populate_record);
}

/* Another model is there: the type of its documents. */
static void
renew(Documents *documents)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum	   *values;
	bool	   *nulls;

	documents->blank = NULL;
	MemoryContextReset(documents->context);
	MemoryContextSwitchTo(documents->context);
	describe(documents);
	values = palloc0(sizeof(Datum) * (Size) Max(documents->desc->natts, 1));
	nulls = palloc(sizeof(bool) * (Size) Max(documents->desc->natts, 1));
	memset(nulls, true, sizeof(bool) * (Size) documents->desc->natts);
	prepare_populate(documents);
	documents->blank = DatumGetHeapTupleHeader(HeapTupleGetDatum(heap_form_tuple(documents->desc, values, nulls)));
	MemoryContextSwitchTo(caller);
}

static Documents *
find_documents(FunctionCallInfo fcinfo, IdlaAnswerKind kind)
{
	Documents  *documents = fcinfo->flinfo->fn_extra;
	MemoryContext owner = fcinfo->flinfo->fn_mcxt;

	if (unlikely(documents == NULL))
	{
		documents = MemoryContextAllocZero(owner, sizeof(Documents));
		documents->served.context = AllocSetContextCreate(owner, "idla document model", ALLOCSET_SMALL_SIZES);
		documents->context = AllocSetContextCreate(owner, "idla document", ALLOCSET_SMALL_SIZES);
		documents->kind = kind;
		documents->row.fn_oid = fcinfo->flinfo->fn_oid;
		documents->row.fn_mcxt = owner;
		fcinfo->flinfo->fn_extra = documents;
	}
	if (idla_served_find(&documents->served, PG_GETARG_OID(0), idla_version_argument(fcinfo, idla_answer_shapes[kind].version)) ||
		documents->blank == NULL)
		renew(documents);
	return documents;
}

/* ---- a document ---- */

/* null or not */
static bool
has_key(Jsonb *document, const char *key)
{
	JsonbValue	value;

	return getKeyJsonValueFromContainer(&document->root, key, (int) strlen(key), &value) != NULL;
}

/* A value that is not known is null: a key that is absent is more likely another spelling. */
static void
check_keys(const Documents *documents, Jsonb *document)
{
	StringInfoData missing;
	const char *first = NULL;
	int			n = 0;

	if (!JB_ROOT_IS_OBJECT(document))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the document is not a JSON object"),
				 errdetail("It has a key for each column that the model reads.")));
	for (int i = 0; i < documents->n_read; i++)
	{
		const char *name = NameStr(TupleDescAttr(documents->desc, i)->attname);

		if (likely(has_key(document, name)))
			continue;
		if (first == NULL)
			initStringInfo(&missing);
		first = first == NULL ? name : first;
		if (++n <= LISTED)
			appendStringInfo(&missing, "%s%s", n > 1 ? ", " : "", name);
	}
	if (likely(first == NULL))
		return;
	if (n > LISTED)
		appendStringInfo(&missing, " and %d more", n - LISTED);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("the document has no key \"%s\"", first),
			 errdetail("Missing: %s.", missing.data),
			 errhint("A value that is not known is null.")));
}

static Datum
populate(Documents *documents, Datum document)
{
	LOCAL_FCINFO(populate, 2);
	Datum		record;

	InitFunctionCallInfoData(*populate, &documents->populate_record, 2, InvalidOid, NULL, NULL);
	populate->args[0] = (NullableDatum) {.value = HeapTupleHeaderGetDatum(documents->blank)};
	populate->args[1] = (NullableDatum) {.value = document};
	record = FunctionCallInvoke(populate);
	if (populate->isnull)
		elog(ERROR, "a document became no record");
	return record;
}

static void
tell_key(void *arg)
{
	errcontext("key \"%s\" of the document", (const char *) arg);
}

/* A document of one of its keys, or NULL. */
static Jsonb *
take_key(Jsonb *document, const char *key)
{
	JsonbParseState *state = NULL;
	JsonbValue	name = {.type = jbvString,.val.string = {.val = unconstify(char *, key),.len = (int) strlen(key)}};
	JsonbValue	value;

	if (getKeyJsonValueFromContainer(&document->root, key, name.val.string.len, &value) == NULL)
		return NULL;
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	pushJsonbValue(&state, WJB_KEY, &name);
	pushJsonbValue(&state, WJB_VALUE, &value);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* The server says what is wrong with a value, and not whose it is: read key by key, the document is refused for it by name. */
static void
find_fault(Documents *documents, Jsonb *document)
{
	ErrorContextCallback callback = {.callback = tell_key,.previous = error_context_stack};

	for (int i = 0; i < documents->desc->natts; i++)
	{
		Jsonb	   *alone;

		callback.arg = NameStr(TupleDescAttr(documents->desc, i)->attname);
		alone = take_key(document, callback.arg);
		if (alone == NULL)
			continue;
		error_context_stack = &callback;
		(void) populate(documents, JsonbPGetDatum(alone));
		error_context_stack = callback.previous;
	}
}

static Datum
make_record(Documents *documents, Jsonb *document)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile Datum record = (Datum) 0;

	PG_TRY();
	{
		record = populate(documents, JsonbPGetDatum(document));
	}
	PG_CATCH();
	{
		ErrorData  *error;

		if (ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		find_fault(documents, document);
		ReThrowError(error);
	}
	PG_END_TRY();
	return record;
}

/* The arguments are those of the function of a row, with a document in its place. */
static Datum
answer(FunctionCallInfo fcinfo, IdlaAnswerKind kind)
{
	LOCAL_FCINFO(row, MOST_ARGUMENTS);
	Documents  *documents;
	Jsonb	   *document;
	Datum		result;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	documents = find_documents(fcinfo, kind);
	document = PG_GETARG_JSONB_P(1);
	check_keys(documents, document);
	InitFunctionCallInfoData(*row, &documents->row, fcinfo->nargs, fcinfo->fncollation, NULL, NULL);
	memcpy(row->args, fcinfo->args, sizeof(NullableDatum) * (Size) fcinfo->nargs);
	row->args[1].value = make_record(documents, document);
	result = idla_answer_row(row, kind);
	fcinfo->isnull = row->isnull;
	return result;
}

Datum
idla_predict_json(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, IDLA_PREDICT);
}

Datum
idla_classify_json(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, IDLA_CLASSIFY);
}

Datum
idla_probabilities_json(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, IDLA_PROBABILITIES);
}

Datum
idla_interval_json(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, IDLA_PREDICT_INTERVAL);
}

Datum
idla_label_set_json(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, IDLA_PREDICT_SET);
}

Datum
idla_embed_json(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, IDLA_EMBED);
}

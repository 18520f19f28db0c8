/*
 * log_row.c: answers are logged where they are given.
 *
 * A place in a query that asks a logged model keeps what it answered in a buffer of its own, and leaves it to the worker when the buffer is full, when
 * the query ends, however it ends, or with the transaction. Which rows are logged is told by their place (place.c), so that it does not depend on
 * the plan. Nothing here waits, and nothing here fails for want of room.
 */
#include "log.h"

#include "place.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "common/shortest_dec.h"
#include "lib/ilist.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* The calls whose answers are logged, and what writes these; InvalidOid: they are numbers. */
static const struct
{
	const char *name;
	Oid			output;
}			calls[N_IDLA_LOG_CALLS] = {
	[IDLA_PREDICT] = {"idla_predict", InvalidOid},
	[IDLA_CLASSIFY] = {"idla_classify", F_TEXTOUT},
	[IDLA_PROBABILITIES] = {"idla_probabilities", F_JSONB_OUT},
	[IDLA_PREDICT_INTERVAL] = {"idla_interval", F_RANGE_OUT},
	[IDLA_PREDICT_SET] = {"idla_label_set", F_ARRAY_OUT},
	[IDLA_LOG_SURVIVAL] = {"idla_survival", InvalidOid},
	[IDLA_LOG_PREDICT_SERIES] = {"idla_predict_series", InvalidOid},
	[IDLA_LOG_CLASSIFY_SERIES] = {"idla_classify_series", F_TEXTOUT},
	[IDLA_LOG_PROBABILITIES_SERIES] = {"idla_probabilities_series", F_JSONB_OUT}
};

struct IdlaLogging
{
	dlist_node	node;			/* in all_loggings */
	const IdlaLoaded *loaded;
	IdlaUse    *use;
	IdlaPlaces *places;
	int			key;			/* attribute of the rows, from 0; -1: none */
	Oid			key_type;
	FmgrInfo	key_output;
	FmgrInfo	outputs[N_IDLA_LOG_CALLS];	/* fn_oid InvalidOid: not needed yet */
	MemoryContext context;
	MemoryContext scratch;		/* emptied with every entry */
	MemoryContextCallback callback;
	uint64		n;				/* entries in the buffer */
	Size		used;
	char		buffer[IDLA_LOG_BLOCK];
};

static dlist_head all_loggings = DLIST_STATIC_INIT(all_loggings);
static bool registered = false;

StaticAssertDecl(sizeof(IdlaLogEntry) + IDLA_LOG_KEY + IDLA_LOG_OUTPUT < IDLA_LOG_BLOCK - 8, "a block holds any entry");

/* ---- a place in a query ---- */

void
idla_logging_end(IdlaLogging *logging)
{
	uint64		lost;

	if (logging == NULL || logging->n == 0)
		return;
	lost = idla_log_append(logging->buffer, logging->used);
	logging->use->logged += logging->n - lost;
	logging->use->lost += lost;
	logging->n = 0;
	logging->used = 0;
}

void
idla_logging_end_all(void)
{
	dlist_iter	iter;

	dlist_foreach(iter, &all_loggings)
		idla_logging_end(dlist_container(IdlaLogging, node, iter.cur));
}

static void
end_with_transaction(XactEvent event, void *arg)
{
	(void) arg;
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PARALLEL_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PARALLEL_ABORT || event == XACT_EVENT_PREPARE)
		idla_logging_end_all();
}

static void
end_with_context(void *argument)
{
	IdlaLogging *logging = argument;

	idla_logging_end(logging);
	dlist_delete(&logging->node);
}

/* A server that did not preload the library keeps no log; who relies on one should hear of it. */
static void
warn_once(const IdlaLoaded *loaded)
{
	static bool warned = false;

	if (warned)
		return;
	warned = true;
	ereport(WARNING,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("answers of model \"%s\" are not logged", idla_model_name(loaded->relid)),
			 errdetail("idla_log asks for it, and this server has no memory for it."),
			 errhint("Add idla to shared_preload_libraries, set idla.log_memory above 0, and restart.")));
}

IdlaLogging *
idla_logging_open(const IdlaLoaded *loaded, IdlaUse *use, MemoryContext context)
{
	IdlaLogging *logging;

	if (likely(loaded->log_share <= 0))
		return NULL;
	if (!idla_log_possible())
	{
		warn_once(loaded);
		return NULL;
	}
	if (!registered)
		RegisterXactCallback(end_with_transaction, NULL);
	registered = true;
	/* Below the caller's context: it ends first, while `use` still counts. */
	context = AllocSetContextCreate(context, "idla logging", ALLOCSET_DEFAULT_SIZES);
	logging = MemoryContextAllocZero(context, sizeof(IdlaLogging));
	logging->loaded = loaded;
	logging->use = use;
	logging->context = context;
	logging->scratch = AllocSetContextCreate(context, "idla log entry", ALLOCSET_SMALL_SIZES);
	logging->places = idla_places_create(&loaded->model->columns, context);
	logging->key = -1;
	logging->callback.func = end_with_context;
	logging->callback.arg = logging;
	dlist_push_tail(&all_loggings, &logging->node);
	MemoryContextRegisterResetCallback(context, &logging->callback);
	return logging;
}

/* ---- keys ---- */

/* A function of the server that writes a value by itself: nobody's code runs for the log, and workers of parallel plans may do it. */
static bool
is_plain_output(Oid function)
{
	return function < FirstGenbkiObjectId && function != F_ARRAY_OUT && function != F_ANYARRAY_OUT && function != F_RECORD_OUT &&
		function != F_RANGE_OUT && function != F_MULTIRANGE_OUT;
}

void
idla_logging_describe(IdlaLogging *logging, TupleDesc desc)
{
	int			attribute;
	Oid			function;
	bool		is_varlena;

	if (logging == NULL)
		return;
	logging->key = -1;
	attribute = logging->loaded->log_key == NULL ? -1 : idla_attribute_find(desc, logging->loaded->log_key);
	if (attribute < 0)
		return;
	logging->key_type = getBaseType(TupleDescAttr(desc, attribute)->atttypid);
	getTypeOutputInfo(logging->key_type, &function, &is_varlena);
	if (!is_plain_output(function))
		return;
	fmgr_info_cxt(function, &logging->key_output, logging->context);
	logging->key = attribute;
}

int
idla_logging_width(const IdlaLogging *logging)
{
	return logging == NULL ? 0 : logging->key + 1;
}

/* Moments in UTC and numbers with all their digits: one row has one key, whatever TimeZone, DateStyle and extra_float_digits a session has. */
static char *
text_of_key(IdlaLogging *logging, Datum value)
{
	static const int utc = 0;
	char	   *text;

	switch (logging->key_type)
	{
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			text = palloc(MAXDATELEN + 1);
			return JsonEncodeDateTime(text, value, logging->key_type, logging->key_type == TIMESTAMPTZOID ? &utc : NULL);
		case FLOAT4OID:
			text = palloc(FLOAT_SHORTEST_DECIMAL_LEN);
			(void) float_to_shortest_decimal_buf(DatumGetFloat4(value), text);
			return text;
		case FLOAT8OID:
			text = palloc(DOUBLE_SHORTEST_DECIMAL_LEN);
			(void) double_to_shortest_decimal_buf(DatumGetFloat8(value), text);
			return text;
		default:
			return OutputFunctionCall(&logging->key_output, value);
	}
}

char *
idla_logging_key(IdlaLogging *logging, const Datum *values, const bool *isnull)
{
	char	   *text;
	char	   *key;
	Size		length;

	if (logging->key < 0 || isnull[logging->key])
		return NULL;
	text = text_of_key(logging, values[logging->key]);
	length = strlen(text);
	if (length <= IDLA_LOG_KEY)
		return text;
	/* A node keeps the keys of many rows. */
	key = pnstrdup(text, (Size) pg_mbcliplen(text, (int) length, IDLA_LOG_KEY));
	pfree(text);
	return key;
}

bool
idla_logging_wants(IdlaLogging *logging, const char *key, const float *raw, const LearnBytes *fields)
{
	const IdlaLoaded *loaded = logging->loaded;
	uint64		seed = 1;

	if (loaded->log_share >= 1)
		return true;
	/* Rows with equal inputs and different keys are different rows. */
	if (key != NULL)
		seed = hash_bytes_extended((const unsigned char *) key, (int) strlen(key), seed);
	return idla_place_of(logging->places, &loaded->model->learn, raw, fields, seed) < loaded->log_share;
}

/* ---- entries ---- */

const char *
idla_log_function(int call)
{
	return calls[call].name;
}

/* An answer as text, in scratch memory; NULL for a number, which the worker writes. */
static char *
text_of(IdlaLogging *logging, int call, Datum answer)
{
	FmgrInfo   *output = &logging->outputs[call];
	MemoryContext caller;
	char	   *text;

	if (!OidIsValid(calls[call].output))
		return NULL;
	if (!OidIsValid(output->fn_oid))
		fmgr_info_cxt(calls[call].output, output, logging->context);
	caller = MemoryContextSwitchTo(logging->scratch);
	text = OutputFunctionCall(output, answer);
	MemoryContextSwitchTo(caller);
	return text;
}

static void
append(IdlaLogging *logging, const void *bytes, Size size)
{
	if (size > 0)
		memcpy(logging->buffer + logging->used, bytes, size);
	logging->used += size;
}

void
idla_logging_put(IdlaLogging *logging, int call, int version, bool served, const char *key, Datum answer, bool isnull)
{
	IdlaLogEntry entry;
	char	   *text;

	if (calls[call].name == NULL)
		return;
	text = isnull ? NULL : text_of(logging, call, answer);
	memset(&entry, 0, sizeof(entry));
	entry.time = GetCurrentTimestamp();
	entry.model = logging->loaded->relid;
	entry.role = GetUserId();
	entry.login = GetSessionUserId();
	entry.version = version;
	entry.call = (uint8) call;
	entry.served = served;
	entry.key_length = key == NULL ? -1 : (int16) strlen(key);
	if (isnull)
		entry.output_length = -1;
	else if (text == NULL)
	{
		entry.output_length = -2;
		entry.number = DatumGetFloat8(answer);
	}
	else
		entry.output_length = (int16) pg_mbcliplen(text, (int) Min(strlen(text), PG_INT32_MAX), IDLA_LOG_OUTPUT);
	if (logging->used + idla_log_size(&entry) > sizeof(logging->buffer))
		idla_logging_end(logging);
	append(logging, &entry, sizeof(entry));
	append(logging, key, (Size) Max(entry.key_length, 0));
	append(logging, text, (Size) Max(entry.output_length, 0));
	logging->n++;
	if (text != NULL)
		MemoryContextReset(logging->scratch);
}

/*
 * site.c: what one call of the predict family in a query keeps between rows.
 *
 * The loaded model, pinned; a decoder for the record's type; the buffers of
 * one row. The decoder follows the record's type, which may be altered between two rows of a session.
 */
#include "log.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "storage/proc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

typedef struct SiteState
{
	IdlaSite	site;			/* first: callers hold this */

	IdlaServed	served;
	IdlaUse		use;
	IdlaLogging *logging;		/* in site.context; NULL: nothing is logged */
	MemoryContext context;		/* in which this lies */

	uint64		n_rows;			/* that were asked about, this one included */
	Oid			type;			/* of the record the decoder reads; ANYOID: of arguments */
	int32		typmod;
	uint64		type_identifier;
	MemoryContext type_context;
	IdlaDecoder *decoder;
} SiteState;

static SiteState *
create_state(FmgrInfo *flinfo)
{
	MemoryContext context = AllocSetContextCreate(flinfo->fn_mcxt, "idla call site", ALLOCSET_SMALL_SIZES);
	SiteState  *state = MemoryContextAllocZero(context, sizeof(SiteState));

	state->context = context;
	state->served.context = state->site.context = AllocSetContextCreate(context, "idla call site model", ALLOCSET_SMALL_SIZES);
	/* Below the model's: a decoder reads the model's categories. */
	state->type_context = AllocSetContextCreate(context, "idla call site row", ALLOCSET_SMALL_SIZES);
	flinfo->fn_extra = state;
	return state;
}

/* Another model is there: its buffers. */
static void
renew(SiteState *state)
{
	IdlaSite   *site = &state->site;
	const LearnModel *learn = &state->served.loaded->model->learn;

	idla_use_start(&state->use, state->context, state->served.loaded->relid, state->served.loaded->version);
	state->logging = idla_logging_open(state->served.loaded, &state->use, site->context);
	site->logged = state->logging != NULL;
	site->loaded = state->served.loaded;
	site->model = site->loaded->model;
	site->derived = site->derived_trial = NULL;
	site->embedding = NULL;
	site->trial = state->served.trial;
	site->raw = MemoryContextAllocZero(site->context, Max(learn->n_channels, 1) * sizeof(float));
	site->fields = MemoryContextAllocZero(site->context, Max(learn->n_fields, 1) * sizeof(LearnBytes));
	site->scores = MemoryContextAllocZero(site->context, learn_model_outputs(learn) * sizeof(double));
	state->type = InvalidOid;
	MemoryContextReset(state->type_context);
}

/* From now on rows are as desc says, which lies in the type's context, the current one. */
static void
read_rows_of(SiteState *state, TupleDesc desc)
{
	IdlaSite   *site = &state->site;

	site->desc = desc;
	site->values = palloc0(Max(desc->natts, 1) * sizeof(Datum));
	site->isnull = palloc0(Max(desc->natts, 1) * sizeof(bool));
	state->decoder = idla_decoder_create(&site->model->columns, desc, NULL, site->model->work);
	idla_logging_describe(state->logging, desc);
	if (state->served.trial != NULL)
		idla_trial_open(state->served.trial, desc, 1);
}

static void
create_decoder(SiteState *state, Oid type, int32 typmod, uint64 identifier)
{
	MemoryContext caller = MemoryContextSwitchTo(state->type_context);

	state->type = InvalidOid;
	MemoryContextReset(state->type_context);
	read_rows_of(state, lookup_rowtype_tupdesc_copy(type, typmod));
	MemoryContextSwitchTo(caller);
	state->type_identifier = identifier;
	state->typmod = typmod;
	state->type = type;
}

/* A descriptor of the arguments after names_argument, by their types and the names in it. */
static TupleDesc
describe_arguments(FunctionCallInfo fcinfo, int names_argument)
{
	int			n = PG_NARGS() - names_argument - 1;
	TupleDesc	desc = CreateTemplateTupleDesc(n);
	Datum	   *names;
	bool	   *nulls;
	int			n_names;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(names_argument), TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &n_names);
	if (get_fn_expr_variadic(fcinfo->flinfo))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the values are an array: they are to be given one by one")));
	if (n_names != n)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%d names do not belong to %d values", n_names, n)));
	for (int i = 0; i < n; i++)
	{
		Oid			type = get_fn_expr_argtype(fcinfo->flinfo, names_argument + 1 + i);

		if (nulls[i] || !OidIsValid(type))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("value %d has no name or type", i + 1)));
		TupleDescInitEntry(desc, i + 1, TextDatumGetCString(names[i]), type, -1, 0);
	}
	return desc;
}

static void
create_argument_decoder(SiteState *state, FunctionCallInfo fcinfo, int names_argument)
{
	MemoryContext caller = MemoryContextSwitchTo(state->type_context);

	state->type = InvalidOid;
	MemoryContextReset(state->type_context);
	read_rows_of(state, describe_arguments(fcinfo, names_argument));
	MemoryContextSwitchTo(caller);
	state->type = ANYOID;
}

/* The row's fields into values and isnull, through the type as it is now. */
static void
deform(SiteState *state, HeapTupleHeader row)
{
	Oid			type = HeapTupleHeaderGetTypeId(row);
	int32		typmod = HeapTupleHeaderGetTypMod(row);
	TupleDesc	desc;
	HeapTupleData tuple;

	if (type == RECORDOID)
	{
		/* Registered record types never change in a session. */
		if (unlikely(state->type != RECORDOID || state->typmod != typmod))
			create_decoder(state, type, typmod, 0);
		desc = state->site.desc;
	}
	else
	{
		TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_TUPDESC);

		if (unlikely(state->type != type || state->type_identifier != entry->tupDesc_identifier))
		{
			create_decoder(state, type, typmod, entry->tupDesc_identifier);
			entry = lookup_type_cache(type, TYPECACHE_TUPDESC);
			if (entry->tupDesc_identifier != state->type_identifier)
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_IN_USE),
						 errmsg("the type of the input changed while it was read")));
		}
		/* The server's own descriptor: it knows which versions of the type it can still read. */
		desc = entry->tupDesc;
	}

	tuple.t_len = HeapTupleHeaderGetDatumLength(row);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = row;
	heap_deform_tuple(&tuple, desc, state->site.values, state->site.isnull);
}

/* The call's state with the model that its snapshot sees. */
static SiteState *
find_state(FunctionCallInfo fcinfo, Oid relid, int version)
{
	SiteState  *state = fcinfo->flinfo->fn_extra;

	if (unlikely(state == NULL))
		state = create_state(fcinfo->flinfo);
	if (unlikely(idla_served_find(&state->served, relid, version)))
		renew(state);
	return state;
}

void
idla_row_context_callback(void *number)
{
	errcontext("prediction for row " UINT64_FORMAT " of its input", *(const uint64 *) number);
}

static IdlaSite *
decode(SiteState *state, bool soft)
{
	IdlaSite   *site = &state->site;
	ErrorContextCallback callback = {.previous = error_context_stack,.callback = idla_row_context_callback,.arg = &state->n_rows};
	bool		good;

	state->n_rows++;
	error_context_stack = &callback;
	state->use.inside = true;
	good = idla_decode(state->decoder, site->values, site->isnull, site->raw, site->fields, soft);
	state->use.inside = false;
	error_context_stack = callback.previous;
	return good ? site : NULL;
}

IdlaSite *
idla_site_row(FunctionCallInfo fcinfo, Oid relid, int version, HeapTupleHeader row, bool soft)
{
	SiteState  *state = find_state(fcinfo, relid, version);

	deform(state, row);
	return decode(state, soft);
}

IdlaSite *
idla_site_arguments(FunctionCallInfo fcinfo, Oid relid, int version, int names_argument, bool soft)
{
	SiteState  *state = find_state(fcinfo, relid, version);
	const NullableDatum *arguments = &fcinfo->args[names_argument + 1];

	if (unlikely(state->type != ANYOID))
		create_argument_decoder(state, fcinfo, names_argument);
	for (int i = 0; i < state->site.desc->natts; i++)
	{
		state->site.values[i] = arguments[i].value;
		state->site.isnull[i] = arguments[i].isnull;
	}
	return decode(state, soft);
}

static DevStatus
predict(IdlaSite *site)
{
	IdlaUse    *use = &((SiteState *) site)->use;
	DevStatus	status;
	instr_time	start;

	idla_use_enter(use, &start);
	status = learn_predict_embedded(site->loaded->predictor, 1, site->raw, site->fields, site->scores, site->embedding);
	idla_use_leave(use, &start, status == DEV_OK);
	/* What is raised for it is an error of the model. */
	use->inside = status != DEV_OK;
	return status;
}

double *
idla_site_scores(IdlaSite *site)
{
	idla_check(site->model->work, predict(site));
	return site->scores;
}

double *
idla_site_answers(IdlaSite *site, bool soft)
{
	SiteState  *state = (SiteState *) site;
	IdlaTrial  *trial = state->served.trial;
	ErrorContextCallback callback = {.previous = error_context_stack,.callback = idla_row_context_callback,.arg = &state->n_rows};
	DevStatus	status = predict(site);

	if (status == DEV_BAD_DATA && soft)
	{
		state->use.inside = false;
		return NULL;
	}
	error_context_stack = &callback;
	idla_check(site->model->work, status);
	error_context_stack = callback.previous;
	learn_scores_to_answers(&site->model->learn, 1, site->scores);
	site->trial_answers = NULL;
	if (trial != NULL)
	{
		idla_trial_take(trial, 0, site->values, site->isnull, &site->model->learn, site->raw, site->fields, NULL);
		idla_trial_answer(trial, 1, site->scores, NULL);
		site->trial_answers = idla_trial_row(trial, 0);
	}
	return site->scores;
}

bool
idla_site_wants(IdlaSite *site, char **key)
{
	IdlaLogging *logging = ((SiteState *) site)->logging;

	if (logging == NULL)
		return false;
	*key = idla_logging_key(logging, site->values, site->isnull);
	return idla_logging_wants(logging, *key, site->raw, site->fields);
}

void
idla_site_log(IdlaSite *site, int call, bool candidate, bool served, const char *key, Datum answer, bool isnull)
{
	idla_logging_put(((SiteState *) site)->logging, call, candidate ? site->loaded->candidate : site->loaded->version, served,
					 key, answer, isnull);
}

int
idla_version_argument(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? -1 : idla_version_check(PG_GETARG_INT32(number));
}

int
idla_version_check(int version)
{
	if (version < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("version %d is not positive", version),
				 errhint("Versions are numbered from 1.")));
	return version;
}

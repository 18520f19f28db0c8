/*
 * batch_pass.c: one pass through a model for the rows of a batch.
 *
 * Calls that ask the same version about the same columns share it: their input is decoded once, straight into the engine's buffers,
 * and each makes its answers of the same scores.
 */
#include "batch_scan.h"
#include "column.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define EMBEDDED_NUMBERS ((Size) 1 << 20)	/* of a batch's embeddings, or those of one row */

IdlaPass *
idla_pass_find(IdlaBatchState *state, const IdlaCall *parts)
{
	ListCell   *cell;

	foreach(cell, state->passes)
	{
		IdlaPass *pass = lfirst(cell);

		if (idla_support_share(parts, &pass->parts))
			return pass;
	}
	return NULL;
}

/* Is every column another attribute of the row below? */
static bool
are_attributes(List *columns)
{
	Bitmapset  *used = NULL;
	ListCell   *cell;

	foreach(cell, columns)
	{
		const Var  *var = lfirst(cell);

		if (!IsA(var, Var) || var->varno != OUTER_VAR || var->varattno <= 0 || bms_is_member(var->varattno, used))
			return false;
		used = bms_add_member(used, var->varattno);
	}
	return true;
}

/* How the decoder sees its input. */
static void
describe_input(IdlaBatchState *state, IdlaPass *pass)
{
	int			n = list_length(pass->parts.columns);

	pass->direct = are_attributes(pass->parts.columns);
	pass->desc = CreateTemplateTupleDesc(pass->direct ? state->n_columns : n);
	for (int i = 0; pass->direct && i < state->n_columns; i++)
	{
		TupleDescInitEntry(pass->desc, (AttrNumber) (i + 1), NULL, INT4OID, -1, 0);
		TupleDescAttr(pass->desc, i)->attisdropped = true;
	}
	if (!pass->direct)
	{
		pass->sources = palloc(sizeof(ExprState *) * (Size) n);
		pass->values = palloc(sizeof(Datum) * (Size) n);
		pass->isnull = palloc(sizeof(bool) * (Size) n);
	}
	for (int i = 0; i < n; i++)
	{
		Node	   *column = list_nth(pass->parts.columns, i);
		AttrNumber	number = pass->direct ? ((Var *) column)->varattno : (AttrNumber) (i + 1);

		TupleDescInitEntry(pass->desc, number, strVal(list_nth(pass->parts.names, i)), exprType(column), -1, 0);
		if (!pass->direct)
			pass->sources[i] = ExecInitExpr((Expr *) column, &state->scan.ss.ps);
	}
}

IdlaPass *
idla_pass_create(IdlaBatchState *state, const IdlaCall *parts)
{
	IdlaPass *pass = palloc0(sizeof(IdlaPass));

	pass->parts = *parts;
	pass->model = ExecInitExpr((Expr *) parts->model, &state->scan.ss.ps);
	pass->version = ExecInitExpr((Expr *) parts->version, &state->scan.ss.ps);
	pass->served.context = AllocSetContextCreate(CurrentMemoryContext, "idla batch model", ALLOCSET_SMALL_SIZES);
	describe_input(state, pass);
	state->passes = lappend(state->passes, pass);
	return pass;
}

/* For embeddings: long ones come in batches of fewer rows. */
static void
make_room(const IdlaBatchState *state, IdlaPass *pass)
{
	pass->n_embedding = idla_embedding_size(pass->served.loaded);
	pass->most_embedded = (int) Min((Size) state->most, EMBEDDED_NUMBERS / pass->n_embedding + 1);
	pass->embeddings = MemoryContextAllocHuge(pass->served.context, sizeof(float) * (Size) pass->most_embedded * pass->n_embedding);
}

/* The decoder and the buffers for a model that was just loaded. */
static void
renew(IdlaBatchState *state, IdlaPass *pass)
{
	MemoryContext caller = MemoryContextSwitchTo(pass->served.context);
	const IdlaModel *model = pass->served.loaded->model;
	Size		most = (Size) state->most;
	ListCell   *cell;

	idla_use_end(&pass->use);
	pass->decoder = idla_decoder_create(&model->columns, pass->desc, NULL, model->work);
	pass->width = idla_decoder_width(pass->decoder);
	if (pass->served.trial != NULL)
	{
		idla_trial_open(pass->served.trial, pass->desc, state->most);
		pass->width = Max(pass->width, idla_trial_width(pass->served.trial));
	}
	pass->raw = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * most * (Size) Max(model->learn.n_channels, 1));
	pass->fields = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(LearnBytes) * most * (Size) Max(model->learn.n_fields, 1));
	pass->scores = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(double) * most * learn_model_outputs(&model->learn));
	pass->missing = palloc(sizeof(bool) * most);
	pass->embeddings = NULL;
	pass->logging = idla_logging_open(pass->served.loaded, &pass->use, pass->served.context);
	if (pass->logging != NULL)
	{
		state->logs = true;
		idla_logging_describe(pass->logging, pass->desc);
		pass->width = Max(pass->width, idla_logging_width(pass->logging));
		pass->logged = palloc(sizeof(bool) * most);
		pass->keys = palloc(sizeof(char *) * most);
	}
	pass->quick = pass->direct && pass->served.trial == NULL && pass->logging == NULL && model->learn.n_fields == 0;
	foreach(cell, pass->calls)
	{
		IdlaBatchCall *call = lfirst(cell);

		call->answering = idla_answering_create(pass->served.loaded, call->kind, pass->served.context);
		call->trial = idla_trial_answering(pass->served.trial, call->kind, pass->served.context);
		pass->width = Max(pass->width, idla_answering_width(call->answering, pass->desc));
		if (call->kind == IDLA_EMBED && pass->embeddings == NULL)
			make_room(state, pass);
		pass->quick = pass->quick && !idla_answering_places(call->answering);
	}
	MemoryContextSwitchTo(caller);
}

/* Has the pass know the version that the statement sees, unless the model is NULL. */
static void
find_version(IdlaBatchState *state, IdlaPass *pass)
{
	ExprContext *econtext = state->scan.ss.ps.ps_ExprContext;
	bool		isnull;
	Oid			relid;
	int			version;

	relid = DatumGetObjectId(ExecEvalExprSwitchContext(pass->model, econtext, &isnull));
	pass->no_model = isnull;
	if (isnull)
		return;
	version = DatumGetInt32(ExecEvalExprSwitchContext(pass->version, econtext, &isnull));
	if (idla_served_find(&pass->served, relid, isnull ? -1 : idla_version_check(version)) || pass->decoder == NULL)
	{
		pass->decoder = NULL;
		renew(state, pass);
	}
}

void
idla_pass_prepare(IdlaBatchState *state, IdlaPass *pass)
{
	ExprContext *econtext = state->scan.ss.ps.ps_ExprContext;
	ListCell   *cell;

	find_version(state, pass);
	foreach(cell, pass->calls)
	{
		IdlaBatchCall *call = lfirst(cell);
		NullableDatum own[IDLA_MOST_OWN];

		if (pass->no_model)
			continue;
		for (int i = 0; i < call->n_own; i++)
			own[i].value = ExecEvalExprSwitchContext(call->own[i], econtext, &own[i].isnull);
		idla_answering_choose(call->answering, own);
		if (call->trial != NULL)
			idla_answering_choose(call->trial, own);
	}
}

/* Is it the same for the whole statement, and known before it runs? */
static bool
is_known(const IdlaBatchState *state, const Node *node)
{
	const ParamListInfo parameters = state->scan.ss.ps.state->es_param_list_info;

	if (IsA(node, Const))
		return true;
	return IsA(node, Param) && ((const Param *) node)->paramkind == PARAM_EXTERN && parameters != NULL &&
		((const Param *) node)->paramid <= parameters->numParams;
}

const IdlaLoaded *
idla_pass_tell(IdlaBatchState *state, IdlaPass *pass)
{
	if (pass->served.loaded == NULL && is_known(state, pass->parts.model) && is_known(state, pass->parts.version))
		find_version(state, pass);
	return pass->served.loaded;
}

/* Values of the row that is being decoded, as pass->desc says. */
static void
place_row(IdlaBatchState *state, IdlaPass *pass, const Datum *values, const bool *isnull)
{
	ListCell   *cell;

	foreach(cell, pass->calls)
	{
		IdlaBatchCall *call = lfirst(cell);

		call->places[state->n] = idla_answering_place(call->answering, pass->desc, values, isnull);
	}
}

static void
take_for_log(IdlaBatchState *state, IdlaPass *pass, bool good, const Datum *values, const bool *isnull)
{
	const LearnModel *learn = &pass->served.loaded->model->learn;
	MemoryContext caller = MemoryContextSwitchTo(state->rows_context);

	pass->keys[state->n] = good ? idla_logging_key(pass->logging, values, isnull) : NULL;
	pass->logged[state->n] = good && idla_logging_wants(pass->logging, pass->keys[state->n], pass->raw + state->n * learn->n_channels,
														pass->fields + state->n * learn->n_fields);
	MemoryContextSwitchTo(caller);
}

/* The row's channels and copies of its fields into the pass's buffers; false for a bad one when `soft`. */
bool
idla_pass_decode(IdlaBatchState *state, IdlaPass *pass, TupleTableSlot *slot, bool soft)
{
	const LearnModel *learn = &pass->served.loaded->model->learn;
	ExprContext *econtext = state->scan.ss.ps.ps_ExprContext;
	LearnBytes *fields = pass->fields + state->n * learn->n_fields;
	float	   *raw = pass->raw + state->n * learn->n_channels;
	const Datum *values = slot->tts_values;
	const bool *isnull = slot->tts_isnull;
	bool		good;

	if (pass->direct)
		slot_getsomeattrs(slot, pass->width);
	if (likely(pass->quick))
		return idla_decode(pass->decoder, values, isnull, raw, fields, soft);
	if (!pass->direct)
	{
		econtext->ecxt_outertuple = slot;
		for (int i = 0; i < pass->desc->natts; i++)
			pass->values[i] = ExecEvalExpr(pass->sources[i], econtext, &pass->isnull[i]);
		values = pass->values;
		isnull = pass->isnull;
	}
	good = idla_decode(pass->decoder, values, isnull, raw, fields, soft);
	if (pass->served.trial != NULL)
		idla_trial_take(pass->served.trial, state->n, values, isnull, learn, good ? raw : NULL, fields, state->rows_context);
	place_row(state, pass, values, isnull);
	if (unlikely(pass->logging != NULL))
		take_for_log(state, pass, good, values, isnull);
	if (good)
		idla_fields_keep(fields, learn->n_fields, state->rows_context);
	return good;
}

static float *
embedding_of(const IdlaPass *pass, int row)
{
	return pass->embeddings == NULL ? NULL : pass->embeddings + (Size) row * pass->n_embedding;
}

/* Scores of the rows of a pass that have none are found one by one. */
static void
score_singly(IdlaBatchState *state, IdlaPass *pass)
{
	const LearnModel *learn = &pass->served.loaded->model->learn;
	size_t		n_outputs = learn_model_outputs(learn);

	for (int row = 0; row < state->bad; row++)
	{
		DevStatus	status = learn_predict_embedded(pass->served.loaded->predictor, 1, pass->raw + row * learn->n_channels,
													pass->fields + row * learn->n_fields, pass->scores + (size_t) row * n_outputs,
													embedding_of(pass, row));

		if (status == DEV_BAD_DATA && idla_on_bad_input == IDLA_BAD_INPUT_NULL)
			pass->missing[row] = true;
		else if (status == DEV_BAD_DATA && row > 0)
			state->bad = row;
		else
			idla_check(pass->served.loaded->model->work, status);
	}
}

static Datum
answer_for(const IdlaPass *pass, const IdlaBatchCall *call, int row)
{
	const double *trial = call->trial != NULL ? idla_trial_row(pass->served.trial, (size_t) row) : NULL;

	if (unlikely(trial != NULL))
		return idla_answering_datum(call->trial, trial, NULL, 0, &call->nulls[row]);
	return idla_answering_datum(call->answering, pass->scores + (size_t) row * learn_model_outputs(&pass->served.loaded->model->learn),
								embedding_of(pass, row), call->places[row], &call->nulls[row]);
}

/* What the version that did not answer a row says of it, while a candidate is on trial. */
static void
log_other(IdlaPass *pass, const IdlaBatchCall *call, int row, bool candidate)
{
	const IdlaLoaded *loaded = pass->served.loaded;
	const double *answers = candidate ? pass->scores + (size_t) row * learn_model_outputs(&loaded->model->learn) :
		idla_trial_seen(pass->served.trial, (size_t) row);
	Datum		answer;
	bool		isnull;

	if (answers == NULL)
		return;
	answer = idla_answering_datum(candidate ? call->answering : call->trial, answers, NULL, call->places[row], &isnull);
	idla_logging_put(pass->logging, call->kind, candidate ? loaded->version : loaded->candidate, false, pass->keys[row], answer, isnull);
}

void
idla_pass_log(IdlaBatchState *state, IdlaPass *pass)
{
	MemoryContext caller;
	int			row = state->next;
	ListCell   *cell;

	if (pass->no_model || pass->logging == NULL || !pass->logged[row] || pass->missing[row])
		return;
	caller = MemoryContextSwitchTo(state->rows_context);
	foreach(cell, pass->calls)
	{
		const IdlaBatchCall *call = lfirst(cell);
		bool		candidate = call->trial != NULL && idla_trial_row(pass->served.trial, (size_t) row) != NULL;

		idla_logging_put(pass->logging, call->kind, candidate ? pass->served.loaded->candidate : pass->served.loaded->version, true,
						 pass->keys[row], call->answers[row], call->nulls[row]);
		if (call->trial != NULL)
			log_other(pass, call, row, candidate);
	}
	MemoryContextSwitchTo(caller);
}

void
idla_pass_answer(IdlaBatchState *state, IdlaPass *pass)
{
	LearnPredictor *predictor = pass->served.loaded->predictor;
	const LearnModel *learn = &pass->served.loaded->model->learn;
	DevStatus	status;
	instr_time	start;
	ListCell   *cell;

	idla_use_enter(&pass->use, &start);
	status = learn_predict_embedded(predictor, (size_t) state->n, pass->raw, pass->fields, pass->scores, pass->embeddings);
	if (status == DEV_BAD_DATA)
		score_singly(state, pass);
	else
		idla_check(pass->served.loaded->model->work, status);
	learn_scores_to_answers(learn, (size_t) state->n, pass->scores);
	idla_use_leave(&pass->use, &start, (uint64) state->bad);
	if (pass->served.trial != NULL)
		idla_trial_answer(pass->served.trial, (size_t) state->bad, pass->scores, pass->missing);
	foreach(cell, pass->calls)
	{
		IdlaBatchCall *call = lfirst(cell);

		if (call->trial == NULL && idla_answering_numbers(call->answering, (Size) state->bad, pass->scores, call->answers))
		{
			memcpy(call->nulls, pass->missing, sizeof(bool) * (Size) state->bad);
			continue;
		}
		for (int row = 0; row < state->bad; row++)
		{
			call->nulls[row] = pass->missing[row];
			if (!call->nulls[row])
				call->answers[row] = answer_for(pass, call, row);
		}
	}
}

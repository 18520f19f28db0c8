/*
 * batch.c: rows that wait to have their images decoded together.
 *
 * Decoding a picture takes longer than all else about its row, and needs nothing of the server: rows are copied, some dozen at a
 * time, the threads of a team decode their files, and then each row goes its ordinary way with its images ready.
 */
#include "reading.h"

#include <stdlib.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/memutils.h"

#define ROWS_A_THREAD 16
#define MOST_BYTES ((Size) 64 * 1024 * 1024)

struct IdlaBatch
{
	TupleDesc	desc;
	IdlaDecoder *decoder;
	const IdlaColumns *columns;
	void		(*take) (void *context, const Datum *values, const bool *isnull);
	void	   *context;
	LearnTaker *taker;
	int		   *attributes;		/* (n_fields): of files, -1 for other fields */
	MemoryContext rows_context;	/* emptied with every flush */
	MinimalTuple *rows;
	int			n;
	int			most;
	Size		bytes;
	LearnTaking *takings;		/* (most, n_fields), by row */
	LearnTaking *jobs;			/* those that are files, one after another */
	MemoryContextCallback callback;
};

/* Threads end before the session that they belong to; what they made is freed. */
static void
close_batch(void *arg)
{
	IdlaBatch  *batch = arg;
	int			n_fields = batch->columns->n_fields;

	learn_taker_free(batch->taker);
	batch->taker = NULL;
	for (int i = 0; i < batch->most * n_fields; i++)
		free(batch->takings[i].taken);
	memset(batch->takings, 0, sizeof(LearnTaking) * (Size) (batch->most * n_fields));
}

static bool
find_files(IdlaBatch *batch)
{
	bool		any = false;

	for (int i = 0; i < batch->columns->n_fields; i++)
		batch->attributes[i] = -1;
	for (int i = 0; i < batch->columns->n; i++)
	{
		const IdlaColumn *column = &batch->columns->columns[i];

		if (column->kind != IDLA_IMAGE || column->type != BYTEAOID)
			continue;
		for (int j = 0; j < batch->desc->natts; j++)
			if (strcmp(NameStr(TupleDescAttr(batch->desc, j)->attname), column->name) == 0)
				batch->attributes[column->field] = j;
		any = true;
	}
	return any;
}

IdlaBatch *
idla_batch_create(const IdlaColumns *columns, TupleDesc desc, IdlaDecoder *decoder, IdlaWork *work, int threads,
				  void (*take) (void *context, const Datum *values, const bool *isnull), void *context)
{
	IdlaBatch  *batch = MemoryContextAllocZero(work->context, sizeof(IdlaBatch));
	int			n_fields = columns->n_fields;

	batch->columns = columns;
	batch->desc = desc;
	batch->attributes = MemoryContextAllocZero(work->context, sizeof(int) * (Size) Max(n_fields, 1));
	if (!find_files(batch))
		return NULL;
	batch->decoder = decoder;
	batch->take = take;
	batch->context = context;
	batch->most = ROWS_A_THREAD * threads;
	batch->rows_context = AllocSetContextCreate(work->context, "idla images", ALLOCSET_DEFAULT_SIZES);
	batch->rows = MemoryContextAllocZero(work->context, sizeof(MinimalTuple) * (Size) batch->most);
	batch->takings = MemoryContextAllocZero(work->context, sizeof(LearnTaking) * (Size) (batch->most * n_fields));
	batch->jobs = MemoryContextAllocZero(work->context, sizeof(LearnTaking) * (Size) (batch->most * n_fields));
	idla_check(work, learn_taker_create(work->session, threads, &batch->taker));
	batch->callback.func = close_batch;
	batch->callback.arg = batch;
	MemoryContextRegisterResetCallback(work->context, &batch->callback);
	return batch;
}

void
idla_batch_add(IdlaBatch *batch, const Datum *values, const bool *isnull)
{
	MemoryContext caller = MemoryContextSwitchTo(batch->rows_context);
	int			n_fields = batch->columns->n_fields;

	for (int i = 0; i < n_fields; i++)
	{
		LearnTaking *taking = &batch->takings[batch->n * n_fields + i];
		int			attribute = batch->attributes[i];
		struct varlena *file;

		memset(taking, 0, sizeof(*taking));
		if (attribute < 0 || isnull[attribute])
			continue;
		file = PG_DETOAST_DATUM_COPY(values[attribute]);
		taking->field = &batch->columns->fields[i];
		taking->bytes = VARDATA_ANY(file);
		taking->size = VARSIZE_ANY_EXHDR(file);
		batch->bytes += taking->size;
	}
	batch->rows[batch->n++] = idla_compat_form_minimal_tuple(batch->desc, unconstify(Datum *, values), unconstify(bool *, isnull));
	MemoryContextSwitchTo(caller);
	if (batch->n == batch->most || batch->bytes > MOST_BYTES)
		idla_batch_flush(batch);
}

/* The jobs' answers back to their rows. */
static void
decode_all(IdlaBatch *batch)
{
	int			n = batch->n * batch->columns->n_fields;
	size_t		n_jobs = 0;
	size_t		job = 0;

	for (int i = 0; i < n; i++)
		if (batch->takings[i].field != NULL)
			batch->jobs[n_jobs++] = batch->takings[i];
	learn_taker_run(batch->taker, n_jobs, batch->jobs);
	for (int i = 0; i < n; i++)
		if (batch->takings[i].field != NULL)
			batch->takings[i] = batch->jobs[job++];
}

void
idla_batch_flush(IdlaBatch *batch)
{
	TupleTableSlot *slot;
	int			n_fields;

	if (batch == NULL || batch->n == 0)
		return;
	n_fields = batch->columns->n_fields;
	decode_all(batch);
	slot = MakeSingleTupleTableSlot(batch->desc, &TTSOpsMinimalTuple);
	for (int row = 0; row < batch->n; row++)
	{
		ExecStoreMinimalTuple(batch->rows[row], slot, false);
		slot_getallattrs(slot);
		idla_decoder_give(batch->decoder, &batch->takings[row * n_fields]);
		batch->take(batch->context, slot->tts_values, slot->tts_isnull);
	}
	ExecDropSingleTupleTableSlot(slot);
	idla_decoder_give(batch->decoder, NULL);
	for (int i = 0; i < batch->n * n_fields; i++)
	{
		free(batch->takings[i].taken);
		batch->takings[i].taken = NULL;
	}
	batch->n = 0;
	batch->bytes = 0;
	MemoryContextReset(batch->rows_context);
}

/*
 * embed.c: idla_embed, what a model's networks know of a row before their last layers decide.
 *
 * A call is one of the predict family: it shares a pass with the others, and what is here makes an array of what the pass has left.
 */
#include "serve.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(idla_embed);
PG_FUNCTION_INFO_V1(idla_embed_columns);

#define MOST_NUMBERS ((Size) 1 << 20)	/* more are places of an image one by one, and nothing to compare rows by */

Size
idla_embedding_size(const IdlaLoaded *loaded)
{
	Size		n = learn_predictor_embedding(loaded->predictor);

	if (n == 0)
		elog(ERROR, "model \"%s\" has an answer for a row, but no embedding", idla_model_name(loaded->relid));
	if (n > MOST_NUMBERS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("an embedding of model \"%s\" would have %zu numbers", idla_model_name(loaded->relid), n),
				 errdetail("It may have %zu: as many as the last layer takes, of every network.", MOST_NUMBERS),
				 errhint("Train a network whose last layer takes fewer, for example with global_mean in place of flatten.")));
	return n;
}

int64
idla_embedding_count(const IdlaModel *model)
{
	LearnPredictor *predictor;
	Size		n;

	idla_check(model->work, learn_predictor_create(model->work->session, &model->learn, 1, &predictor));
	n = learn_predictor_embedding(predictor);
	return n > MOST_NUMBERS ? 0 : (int64) n;
}

Datum
idla_embedding_datum(const float *embedding, Size n)
{
	Size		size = ARR_OVERHEAD_NONULLS(1) + sizeof(float4) * n;
	ArrayType  *array = palloc(size);

	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->dataoffset = 0;
	array->elemtype = FLOAT4OID;
	ARR_DIMS(array)[0] = (int) n;
	ARR_LBOUND(array)[0] = 1;
	memcpy(ARR_DATA_PTR(array), embedding, sizeof(float4) * n);
	return PointerGetDatum(array);
}

Datum
idla_embed(PG_FUNCTION_ARGS)
{
	return idla_answer_row(fcinfo, IDLA_EMBED);
}

Datum
idla_embed_columns(PG_FUNCTION_ARGS)
{
	return idla_answer_columns(fcinfo, IDLA_EMBED);
}

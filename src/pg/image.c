/*
 * image.c: idla_image_info, what the bytes of an image say of themselves; and images that are returned.
 */
#include "idla.h"

#include <stdlib.h>

#include "utils/builtins.h"

#include "idla/learn_image.h"

PG_FUNCTION_INFO_V1(idla_image_info);

enum
{
	INFO_FORMAT,
	INFO_WIDTH,
	INFO_HEIGHT,
	INFO_CHANNELS,
	INFO_BITS,
	INFO_DESCRIPTION,
	N_INFO_COLUMNS
};

Datum
idla_image_info(PG_FUNCTION_ARGS)
{
	bytea	   *image = PG_GETARG_BYTEA_PP(0);
	TupleDesc	desc;
	LearnImageInfo info;
	LearnTrouble trouble;
	Datum		values[N_INFO_COLUMNS];
	bool		nulls[N_INFO_COLUMNS] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (!learn_image_info(VARDATA_ANY(image), VARSIZE_ANY_EXHDR(image), &info, &trouble))
		idla_raise_trouble(&trouble);
	values[INFO_FORMAT] = CStringGetTextDatum(learn_image_format_name(info.format));
	values[INFO_WIDTH] = Int32GetDatum((int32) info.width);
	values[INFO_HEIGHT] = Int32GetDatum((int32) info.height);
	values[INFO_CHANNELS] = Int32GetDatum(info.channels);
	values[INFO_BITS] = Int32GetDatum(info.bits);
	values[INFO_DESCRIPTION] = CStringGetTextDatum(info.description);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

bytea *
idla_png(const float *pixels, size_t height, size_t width, int depth, bool wide)
{
	LearnTrouble trouble;
	void	   *bytes;
	size_t		size;
	bytea	   *image;

	if (!learn_png_write(pixels, height, width, depth, wide, &bytes, &size, &trouble))
		idla_raise_trouble(&trouble);
	/* What the engine allocated is not PostgreSQL's to free: no error may pass before it is given back. */
	image = size > MaxAllocSize - VARHDRSZ ? NULL : palloc_extended(VARHDRSZ + size, MCXT_ALLOC_NO_OOM);
	if (image != NULL)
	{
		SET_VARSIZE(image, VARHDRSZ + size);
		memcpy(VARDATA(image), bytes, size);
	}
	free(bytes);
	if (image == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("A PNG of %zu bytes was to be returned.", size)));
	return image;
}

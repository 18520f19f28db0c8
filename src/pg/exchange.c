/*
 * exchange.c: idla_export, idla_import and idla_copy: models as files, files as models.
 *
 * A safetensors file holds the stored weights and, among its metadata, manifest and card as text, so that it is the whole model.
 * Others may write such a file anew, with the tensors in another order: what counts is that the weights that this
 * server would store of it have the digest that the manifest tells. A file is as untrusted as a stored row, and goes through the same
 * checks. Everything happens with the rights of the caller, who reads and writes no file of the server's.
 */
#include "catalog.h"
#include "exchange.h"

#include "idla/learn_onnx.h"

#include "mb/pg_wchar.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(idla_export);
PG_FUNCTION_INFO_V1(idla_import);
PG_FUNCTION_INFO_V1(idla_copy);

#define MANIFEST_KEY "idla.manifest"
#define CARD_KEY "idla.card"
#define MOST_BYTES (MaxAllocSize - VARHDRSZ)	/* of a bytea */

typedef enum Format
{
	FORMAT_SAFETENSORS,
	FORMAT_ONNX
} Format;

static const char *const format_names[] = {"safetensors", "onnx", NULL};

/* ---- arguments ---- */

static void
require_argument(FunctionCallInfo fcinfo, int number, const char *what)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s is NULL", what)));
}

static char *
text_argument(FunctionCallInfo fcinfo, int number, const char *what)
{
	require_argument(fcinfo, number, what);
	return text_to_cstring(PG_GETARG_TEXT_PP(number));
}

static Format
format_argument(FunctionCallInfo fcinfo)
{
	char	   *name = text_argument(fcinfo, 1, "the format");
	int			found = learn_name_find(format_names, name);
	const char *nearest = idla_nearest(name, format_names);

	if (found < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown format \"%s\"", name),
				 nearest != NULL ? errhint("Perhaps you meant \"%s\". Valid are %s.", nearest, idla_list(format_names)) :
				 errhint("Valid are %s.", idla_list(format_names))));
	return (Format) found;
}

/* ---- exporting ---- */

static void
refuse_size(const char *model, Size size)
{
	if (size <= MOST_BYTES)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("model \"%s\" is too large to be exported", model),
			 errdetail("The file would have %zu bytes, and a value of type bytea has at most %zu.", size, (Size) MOST_BYTES),
			 errhint("The model's table itself may be of any size: use pg_dump -t, COPY or logical replication.")));
}

static bytea *
as_bytea(const char *bytes, Size size)
{
	bytea	   *value = palloc(size + VARHDRSZ);

	SET_VARSIZE(value, size + VARHDRSZ);
	memcpy(VARDATA(value), bytes, size);
	return value;
}

static char *
in_utf8(const char *text)
{
	return pg_server_to_any(text, (int) strlen(text), PG_UTF8);
}

/* ,"key":"text of the jsonb", in UTF-8 */
static void
put_metadata(StringInfo out, const char *key, Jsonb *value)
{
	char	   *text = JsonbToCString(NULL, &value->root, (int) VARSIZE(value));

	appendStringInfo(out, ",\"%s\":", key);
	escape_json(out, in_utf8(text));
	pfree(text);
}

static bytea *
export_safetensors(const IdlaModel *model, const char *name)
{
	StringInfoData metadata;
	Size		size = 0;
	char	   *bytes;
	bytea	   *file;

	for (int i = 0; i < model->learn.n_nets; i++)
		size += model->learn.nets[i].n_weights * learn_precision_bytes(model->precision);
	refuse_size(name, size);
	initStringInfo(&metadata);
	put_metadata(&metadata, MANIFEST_KEY, model->manifest);
	put_metadata(&metadata, CARD_KEY, model->card);
	if (metadata.len > LEARN_SAFETENSORS_HEADER / 2)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("model \"%s\" is too large to be exported", name),
				 errdetail("Its manifest and card have %d bytes, and %d may be in the header of a safetensors file.", metadata.len,
						   LEARN_SAFETENSORS_HEADER / 2),
				 errhint("The model's table itself may be of any size: use pg_dump -t, COPY or logical replication.")));
	bytes = idla_weights_write(model, metadata.data, &size);
	refuse_size(name, size);
	file = as_bytea(bytes, size);
	pfree(bytes);
	pfree(metadata.data);
	return file;
}

static char **
all_in_utf8(char *const *texts, int n)
{
	char	  **copies = palloc(sizeof(char *) * (Size) Max(n, 1));

	for (int i = 0; i < n; i++)
		copies[i] = in_utf8(texts[i]);
	return copies;
}

static LearnSeriesPlan *
plan_in_utf8(const LearnSeriesPlan *plan)
{
	LearnSeriesPlan *copy = palloc(sizeof(LearnSeriesPlan));

	*copy = *plan;
	copy->channels = palloc(sizeof(LearnSeriesChannel) * (Size) plan->n_channels);
	for (int i = 0; i < plan->n_channels; i++)
	{
		copy->channels[i] = plan->channels[i];
		copy->channels[i].name = in_utf8(plan->channels[i].name);
	}
	return copy;
}

/* The model with its texts in the file's encoding. */
static LearnModel
model_in_utf8(const LearnModel *model)
{
	LearnModel	copy = *model;

	copy.columns = all_in_utf8(model->columns, model->n_columns);
	copy.classes = all_in_utf8(model->classes, model->n_classes);
	copy.channels = palloc(sizeof(LearnChannel) * (Size) Max(model->n_channels, 1));
	for (int i = 0; i < model->n_channels; i++)
	{
		copy.channels[i] = model->channels[i];
		copy.channels[i].name = in_utf8(model->channels[i].name);
		copy.channels[i].categories = all_in_utf8(model->channels[i].categories, model->channels[i].n_categories);
	}
	/* Pieces of texts, entries of lexicons and labels of tokens are UTF-8 in the engine. */
	copy.fields = palloc(sizeof(LearnField) * (Size) Max(model->n_fields, 1));
	for (int i = 0; i < model->n_fields; i++)
	{
		copy.fields[i] = model->fields[i];
		copy.fields[i].name = in_utf8(model->fields[i].name);
		if (model->fields[i].series != NULL)
			copy.fields[i].series = plan_in_utf8(model->fields[i].series);
	}
	return copy;
}

static bytea *
export_onnx(const IdlaModel *model, const char *name)
{
	IdlaWork   *scratch = idla_work_open(CurrentMemoryContext, "idla export", 0, 0);
	LearnModel	translated;
	LearnOnnx	file;
	bytea	   *value;

	translated = model_in_utf8(&model->learn);
	idla_check(scratch, learn_onnx_write(scratch->session, &translated, in_utf8(name), in_utf8(model->target), &file));
	refuse_size(name, file.size);
	value = as_bytea(file.bytes, file.size);
	idla_work_close(scratch);
	return value;
}

Datum
idla_export(PG_FUNCTION_ARGS)
{
	Oid			relid;
	Format		format;
	IdlaLoaded *loaded;
	const char *name;

	require_argument(fcinfo, 0, "the model to export");
	relid = PG_GETARG_OID(0);
	format = format_argument(fcinfo);
	LockRelationOid(relid, AccessShareLock);
	idla_require_model(relid);
	idla_model_require(relid, IDLA_RIGHT_COPY);
	loaded = idla_load(relid, idla_version_argument(fcinfo, 2), GetActiveSnapshot(), CurrentMemoryContext);
	name = get_rel_name(relid);
	PG_RETURN_BYTEA_P(format == FORMAT_ONNX ? export_onnx(loaded->model, name) : export_safetensors(loaded->model, name));
}

/* ---- where a version came from ---- */

Jsonb *
idla_origin_add(Jsonb *card, StringInfo origin)
{
	char	   *key = "origin";
	JsonbValue *before;
	StringInfoData whole;

	if (!JB_ROOT_IS_OBJECT(card))
		idla_corrupt("The card is not a JSON object");
	before = getKeyJsonValueFromContainer(&card->root, key, (int) strlen(key), NULL);
	initStringInfo(&whole);
	appendStringInfo(&whole, "{\"%s\":%s", key, origin->data);
	if (before != NULL)
	{
		Jsonb	   *value = JsonbValueToJsonb(before);

		idla_json_key(&whole, "before");
		(void) JsonbToCString(&whole, &value->root, (int) VARSIZE(value));
	}
	appendStringInfoString(&whole, "}}");
	return DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(card), JsonbPGetDatum(idla_json_parse(whole.data))));
}

void
idla_origin_begin(StringInfo origin, const char *deed)
{
	initStringInfo(origin);
	appendStringInfoChar(origin, '{');
	idla_json_put_string(origin, "by", deed);
	idla_json_put_string(origin, "role", GetUserNameFromId(GetUserId(), false));
	idla_json_put_now(origin, "at");
}

/* ---- copying ---- */

Datum
idla_copy(PG_FUNCTION_ARGS)
{
	Snapshot	snapshot = GetActiveSnapshot();
	Oid			relid;
	Oid			target;
	char	   *name;
	int			version;
	IdlaTable	table;
	IdlaVersion found;
	StringInfoData origin;
	IdlaWork   *work;
	IdlaModel  *model;
	char	   *weights;
	Size		size;
	bool		deploy;
	bool		in_service;

	require_argument(fcinfo, 0, "the model to copy");
	relid = PG_GETARG_OID(0);
	name = text_argument(fcinfo, 1, "the name of the copy");
	version = idla_version_argument(fcinfo, 2);
	deploy = !PG_ARGISNULL(3) && PG_GETARG_BOOL(3);
	LockRelationOid(relid, AccessShareLock);
	idla_require_model(relid);
	idla_model_require(relid, IDLA_RIGHT_COPY);
	idla_model_prepare(name, deploy, "idla_copy()");

	idla_table_open(&table, relid, NoLock, false);
	if (version < 0)
		version = idla_table_in_service(&table, snapshot, NULL, NULL, false);
	if (version < 0 || !idla_table_version(&table, snapshot, version, &found))
		idla_version_missing(&table, snapshot, version);
	if (found.manifest == NULL || found.card == NULL)
		idla_corrupt("Version %d has no %s", version, found.manifest == NULL ? "manifest" : "card");
	weights = idla_table_weights(&table, snapshot, version, &size);
	idla_table_close(&table);

	/* What is damaged is found now, and not by whoever uses the copy. */
	work = idla_work_open(CurrentMemoryContext, "idla copy", 0, 0);
	model = MemoryContextAllocZero(work->context, sizeof(IdlaModel));
	model->work = work;
	idla_manifest_read(model, found.manifest, weights, size);
	idla_work_close(work);

	idla_origin_begin(&origin, "idla_copy");
	idla_json_put_string(&origin, "model", idla_qualified_name(relid));
	idla_json_put_integer(&origin, "version", version);
	version = idla_version_write(name, idla_origin_add(found.card, &origin), found.manifest, weights, size, deploy, &target, &in_service);
	pfree(weights);
	PG_RETURN_INT32(version);
}

/* ---- importing ---- */

/* jsonb_in raises its own kind of error on bad text; the caller has to hear what of the file is wrong. */
static Jsonb *
parse_metadata(const char *text, const char *key)
{
	char	   *server = pg_any_to_server(text, (int) strlen(text), PG_UTF8);
	MemoryContext caller = CurrentMemoryContext;
	Jsonb	   *volatile value = NULL;

	PG_TRY();
	{
		value = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(server)));
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		if (geterrcode() == ERRCODE_QUERY_CANCELED || geterrcode() == ERRCODE_OUT_OF_MEMORY)
			PG_RE_THROW();
		FlushErrorState();
		idla_corrupt("The text of \"%s\" is not JSON", key);
	}
	PG_END_TRY();
	if (!JB_ROOT_IS_OBJECT(value))
		idla_corrupt("The text of \"%s\" is not a JSON object", key);
	return value;
}

/* What is to be written of a file. */
typedef struct Imported
{
	Jsonb	   *card;
	Jsonb	   *manifest;
	char	   *weights;
	Size		size;
} Imported;

/* A file that idla_export wrote. */
static void
read_own(IdlaModel *model, const LearnSafetensors *image, const char *bytes, Size size, Imported *imported)
{
	const char *manifest = learn_safetensors_metadata(image, MANIFEST_KEY);
	const char *card = learn_safetensors_metadata(image, CARD_KEY);

	if (manifest == NULL || card == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the file is not one that idla has exported"),
				 errdetail("Its metadata have no \"%s\".", manifest == NULL ? MANIFEST_KEY : CARD_KEY),
				 errhint("Say with mapping => '{...}' what its tensors are.")));
	imported->manifest = parse_metadata(manifest, MANIFEST_KEY);
	imported->card = parse_metadata(card, CARD_KEY);
	imported->weights = idla_manifest_read_image(model, imported->manifest, bytes, size, &imported->size);
}

/* Any other. What was read is read again as it will be stored, by what distrusts it. */
static void
read_mapped(IdlaModel *model, Jsonb *mapping, const LearnSafetensors *image, Imported *imported)
{
	IdlaWork   *work = idla_work_open(CurrentMemoryContext, "idla import", 0, 0);
	IdlaModel  *mapped = MemoryContextAllocZero(work->context, sizeof(IdlaModel));

	mapped->work = work;
	idla_mapping_read(mapped, mapping, image);
	imported->weights = idla_weights_write(mapped, "", &imported->size);
	idla_sha256(imported->weights, imported->size, mapped->digest);
	imported->manifest = idla_manifest_build(mapped, idla_mapping_record(mapping));
	idla_manifest_read(model, imported->manifest, imported->weights, imported->size);
	imported->card = idla_mapping_card(mapped, idla_card_text(imported->manifest, "sha256"), idla_embedding_count(model));
	idla_work_close(work);
}

Datum
idla_import(PG_FUNCTION_ARGS)
{
	char	   *name = text_argument(fcinfo, 0, "the name of the model");
	bool		deploy = !PG_ARGISNULL(3) && PG_GETARG_BOOL(3);
	IdlaWork   *work;
	IdlaModel  *model;
	LearnSafetensors *image;
	LearnPredictor *predictor;
	Imported	imported;
	StringInfoData origin;
	bytea	   *file;
	char		digest[65];
	Oid			relid;
	bool		in_service;
	int			version;

	require_argument(fcinfo, 1, "the file");
	idla_model_prepare(name, deploy, "idla_import()");
	file = PG_GETARG_BYTEA_PP(1);
	work = idla_work_open(CurrentMemoryContext, "idla import", 0, 0);
	model = MemoryContextAllocZero(work->context, sizeof(IdlaModel));
	model->work = work;
	idla_check(work, learn_safetensors_open(work->session, VARDATA_ANY(file), VARSIZE_ANY_EXHDR(file), &image));
	if (PG_ARGISNULL(2))
		read_own(model, image, VARDATA_ANY(file), VARSIZE_ANY_EXHDR(file), &imported);
	else
		read_mapped(model, PG_GETARG_JSONB_P(2), image, &imported);
	idla_check(work, learn_predictor_create(work->session, &model->learn, 1, &predictor));
	idla_work_close(work);

	idla_sha256(VARDATA_ANY(file), VARSIZE_ANY_EXHDR(file), digest);
	idla_origin_begin(&origin, "idla_import");
	idla_json_put_string(&origin, "file_sha256", digest);
	version = idla_version_write(name, idla_origin_add(imported.card, &origin), imported.manifest, imported.weights, imported.size, deploy,
								 &relid, &in_service);
	pfree(imported.weights);
	PG_RETURN_INT32(version);
}

/*
 * safetensors.c: all nets' parameters as one image.
 *
 * The format is safetensors, which other tools read too (learn_safetensors.h); all values are float32. Net n's parameters
 * are called "net0/block0.linear.weights"; beside them are "net0/baseline" and, where numbers are binned,
 * "net0/edges". The same model always gives the same bytes, so that an image that others have written anew is
 * known by what it becomes here.
 */
#include "manifest.h"

#include "idla/learn_safetensors.h"

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"

#define MAX_TENSOR_NAME 256
#define PADDED 16				/* floats, of which every parameter takes a multiple */
#define HASHED_AT_ONCE (8 * 1024 * 1024)

/* A run over all tensors of a model: writing gathers sizes first and bytes second, reading fills. */
typedef struct Tensor
{
	char		name[MAX_TENSOR_NAME];
	int			rank;
	size_t		dims[NN_MAX_RANK];
	size_t		size;			/* floats */
	float	   *values;
} Tensor;

typedef struct Image
{
	StringInfoData header;
	const char *metadata;		/* more of __metadata__, JSON in UTF-8 that begins with a comma */
	char	   *data;			/* where floats go, NULL while only counting */
	Size		used;			/* bytes of data */
} Image;

static void
copy_floats(char *dst, const char *src, size_t n)
{
	memcpy(dst, src, n * sizeof(float));
#ifdef WORDS_BIGENDIAN
	for (size_t i = 0; i < n; i++)
	{
		uint32		bits;

		memcpy(&bits, dst + i * sizeof(bits), sizeof(bits));
		bits = pg_bswap32(bits);
		memcpy(dst + i * sizeof(bits), &bits, sizeof(bits));
	}
#endif
}

static Tensor
tensor(int net, const char *name, int rank, const size_t *dims, float *values)
{
	Tensor		made;

	memset(&made, 0, sizeof(made));
	snprintf(made.name, sizeof(made.name), "net%d/%s", net, name);
	made.rank = rank;
	made.size = 1;
	for (int i = 0; i < rank; i++)
	{
		made.dims[i] = dims[i];
		made.size *= dims[i];
	}
	made.values = values;
	return made;
}

static Tensor
baseline_of(int n, LearnNet *net)
{
	return tensor(n, "baseline", 1, &net->n_features, net->baseline);
}

static Tensor
edges_of(int n, const LearnNetwork *network, float *edges)
{
	size_t		dims[2] = {network->n_numbers, (size_t) network->bins + 1};

	return tensor(n, "edges", 2, dims, edges);
}

static bool
has_edges(const LearnNetwork *network)
{
	return network->embedding == LEARN_EMBEDDING_PIECEWISE && network->n_numbers > 0;
}

static Tensor
state_of(int field, size_t size, float *state)
{
	Tensor		made = tensor(0, "", 1, &size, state);

	snprintf(made.name, sizeof(made.name), "field%d/state", field);
	return made;
}

static Tensor
parameter_of(int n, const NnGraph *graph, int parameter, float *weights)
{
	const NnParameterInfo *info = nn_graph_parameter(graph, parameter);

	return tensor(n, info->name, info->shape.rank, info->shape.dims, weights + info->offset);
}

/* ---- writing ---- */

static void
write_tensor(Image *image, const Tensor *what)
{
	Size		bytes = what->size * sizeof(float);

	if (image->data != NULL)
		copy_floats(image->data + image->used, (const char *) what->values, what->size);
	else
	{
		if (image->used == 0)
			appendStringInfo(&image->header, "{\"__metadata__\":{\"format\":\"idla\"%s}", image->metadata);
		appendStringInfoChar(&image->header, ',');
		escape_json(&image->header, what->name);
		appendStringInfoString(&image->header, ":{\"dtype\":\"F32\",\"shape\":[");
		for (int i = 0; i < what->rank; i++)
			appendStringInfo(&image->header, "%s%zu", i > 0 ? "," : "", what->dims[i]);
		appendStringInfo(&image->header, "],\"data_offsets\":[%zu,%zu]}", image->used, image->used + bytes);
	}
	image->used += bytes;
}

/* What was fitted to fields beyond what the manifest says. */
static void
write_states(const IdlaModel *model, Image *image)
{
	for (int i = 0; i < model->learn.n_fields; i++)
	{
		const LearnField *field = &model->learn.fields[i];
		size_t		size = learn_field_state_size(field);
		float	   *state;
		Tensor		one;

		if (size == 0)
			continue;
		state = MemoryContextAllocHuge(CurrentMemoryContext, size * sizeof(float));
		learn_field_state_store(field, state);
		one = state_of(i, size, state);
		write_tensor(image, &one);
		pfree(state);
	}
}

static void
write_nets(const IdlaModel *model, IdlaWork *scratch, Image *image)
{
	image->used = 0;
	write_states(model, image);
	for (int n = 0; n < model->learn.n_nets; n++)
	{
		LearnNet   *net = &model->learn.nets[n];
		LearnGraph	built;
		Tensor		one;

		idla_check(scratch, learn_network_build(scratch->session, &net->network, NULL, &built));
		for (int p = 0; p < nn_graph_parameters(built.graph); p++)
		{
			one = parameter_of(n, built.graph, p, net->weights);
			write_tensor(image, &one);
		}
		if (net->n_features > 0)
		{
			one = baseline_of(n, net);
			write_tensor(image, &one);
		}
		if (has_edges(&net->network))
		{
			one = edges_of(n, &net->network, net->network.bin_edges);
			write_tensor(image, &one);
		}
	}
}

char *
idla_weights_write(const IdlaModel *model, const char *metadata, Size *size)
{
	IdlaWork   *scratch = idla_work_open(CurrentMemoryContext, "idla weights", 0, 0);
	Image		image;
	char	   *bytes;
	uint64		header_size;

	initStringInfo(&image.header);
	image.metadata = metadata;
	image.data = NULL;
	write_nets(model, scratch, &image);
	appendStringInfoChar(&image.header, '}');
	/* The data begins on a multiple of eight; the format pads its header with blanks. */
	while (image.header.len % 8 != 0)
		appendStringInfoChar(&image.header, ' ');

	header_size = (uint64) image.header.len;
	*size = sizeof(header_size) + header_size + image.used;
	bytes = MemoryContextAllocHuge(CurrentMemoryContext, *size);
#ifdef WORDS_BIGENDIAN
	header_size = pg_bswap64(header_size);
#endif
	memcpy(bytes, &header_size, sizeof(header_size));
	memcpy(bytes + sizeof(header_size), image.header.data, image.header.len);
	image.data = bytes + sizeof(header_size) + image.header.len;
	write_nets(model, scratch, &image);
	pfree(image.header.data);
	idla_work_close(scratch);
	return bytes;
}

/* ---- reading ---- */

typedef struct Source
{
	LearnSafetensors *image;
	Size		size;			/* bytes that all tensors have */
} Source;

/* The session's sentence about an image that is none. */
static void
refuse_image(IdlaWork *work)
{
	const char *detail = dev_detail_text(work->session);

	if (dev_status(work->session) != DEV_CORRUPT)
		idla_raise(work);
	idla_corrupt("%.*s", (int) strlen(detail) - 1, detail);
}

static Source
open_source(IdlaWork *scratch, const char *bytes, Size size)
{
	Source		source = {.size = size};

	if (learn_safetensors_open(scratch->session, bytes, size, &source.image) != DEV_OK)
		refuse_image(scratch);
	return source;
}

static const LearnTensor *
find_tensor(const Source *source, const char *name)
{
	const LearnTensor *found = learn_safetensors_find(source->image, name);

	if (found != NULL && strcmp(found->type, "F32") != 0)
		idla_corrupt("Tensor \"%s\" is of type \"%s\", not F32", name, found->type);
	return found;
}

static void
read_tensor(const Source *source, Tensor *what)
{
	const LearnTensor *found = find_tensor(source, what->name);

	CHECK_FOR_INTERRUPTS();
	if (found == NULL)
		idla_corrupt("Tensor \"%s\" is missing", what->name);
	if (found->rank != what->rank || memcmp(found->dims, what->dims, (size_t) what->rank * sizeof(what->dims[0])) != 0)
		idla_corrupt("Tensor \"%s\" does not have the shape its network needs", what->name);
	if (!learn_tensor_floats(found, what->values))
		idla_corrupt("Tensor \"%s\" has a value that is not finite", what->name);
}

bool
idla_weights_held(size_t n, size_t held, size_t n_parameters)
{
	return n <= held + PADDED * n_parameters;
}

/* Memory for n floats, after making sure that the image can hold as many: no allocation on a lie. */
static float *
floats_for(IdlaModel *model, const Source *source, size_t n, size_t n_parameters)
{
	float	   *floats;

	if (!idla_weights_held(n, source->size / sizeof(float), n_parameters))
		idla_corrupt("The weights have %zu bytes and the network needs %zu values", source->size, n);
	floats = dev_alloc(model->work->session, Max(n, 1), sizeof(float));
	if (floats == NULL)
		idla_raise(model->work);
	return floats;
}

static void
read_net(IdlaModel *model, IdlaWork *scratch, const Source *source, int n)
{
	LearnNet   *net = &model->learn.nets[n];
	LearnNetwork *network = &net->network;
	LearnGraph	built;
	Tensor		one;
	int			n_parameters;

	if (has_edges(network))
	{
		network->bin_edges = floats_for(model, source, network->n_numbers * ((size_t) network->bins + 1), 0);
		one = edges_of(n, network, network->bin_edges);
		read_tensor(source, &one);
		for (size_t i = 0; i < network->n_numbers; i++)
			for (int b = 0; b < network->bins; b++)
				if (!(one.values[i * (network->bins + 1) + b] <= one.values[i * (network->bins + 1) + b + 1]))
					idla_corrupt("Tensor \"%s\" does not ascend", one.name);
	}
	idla_check_stored(scratch, learn_network_build(scratch->session, network, NULL, &built), "The network cannot be built");

	n_parameters = nn_graph_parameters(built.graph);
	net->n_weights = nn_graph_weights(built.graph);
	net->weights = floats_for(model, source, net->n_weights, (size_t) n_parameters);
	for (int p = 0; p < n_parameters; p++)
	{
		one = parameter_of(n, built.graph, p, net->weights);
		read_tensor(source, &one);
	}
	net->n_features = built.features == NN_NONE ? 0 : nn_shape_size(nn_graph_shape(built.graph, built.features));
	net->baseline = floats_for(model, source, net->n_features, 0);
	if (net->n_features == 0)
		return;
	one = baseline_of(n, net);
	read_tensor(source, &one);
}

/* Before networks, which are built on what they say. */
static void
read_states(IdlaModel *model, const Source *source)
{
	for (int i = 0; i < model->learn.n_fields; i++)
	{
		Tensor		one = state_of(i, 0, NULL);
		const LearnTensor *found = find_tensor(source, one.name);

		if (found == NULL)
			continue;
		if (found->rank != 1 || found->count == 0)
			idla_corrupt("Tensor \"%s\" is no list of numbers", one.name);
		one.dims[0] = one.size = found->count;
		one.values = floats_for(model, source, one.size, 0);
		read_tensor(source, &one);
		if (learn_field_state_load(model->work->session, &model->learn.fields[i], one.values, one.size) != DEV_OK)
			idla_corrupt("Tensor \"%s\" cannot be read: %s", one.name, dev_message_text(model->work->session));
		dev_release(model->work->session, one.values);
	}
}

void
idla_weights_read(IdlaModel *model, const char *bytes, Size size)
{
	IdlaWork   *scratch = idla_work_open(CurrentMemoryContext, "idla weights", 0, 0);
	Source		source = open_source(scratch, bytes, size);

	read_states(model, &source);
	for (int n = 0; n < model->learn.n_nets; n++)
		read_net(model, scratch, &source, n);
	idla_work_close(scratch);
}

/* ---- digests ---- */

void
idla_sha256(const void *bytes, Size size, char hex[65])
{
	static const char digits[] = "0123456789abcdef";
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);

	bool		done = hash != NULL && pg_cryptohash_init(hash) >= 0;

	/* By parts, because a gigabyte takes longer than a cancel may. */
	for (Size part; done && size > 0; size -= part, bytes = (const char *) bytes + part)
	{
		CHECK_FOR_INTERRUPTS();
		part = Min(size, (Size) HASHED_AT_ONCE);
		done = pg_cryptohash_update(hash, bytes, part) >= 0;
	}
	if (!done || pg_cryptohash_final(hash, digest, sizeof(digest)) < 0)
		ereport(ERROR,
				(errcode(hash == NULL ? ERRCODE_OUT_OF_MEMORY : ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute a SHA-256 digest: %s", pg_cryptohash_error(hash))));
	pg_cryptohash_free(hash);
	for (int i = 0; i < PG_SHA256_DIGEST_LENGTH; i++)
	{
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	hex[64] = '\0';
}

void
idla_manifest_digest(Jsonb *manifest, char hex[65])
{
	Datum		bare = DirectFunctionCall2(jsonb_delete, JsonbPGetDatum(manifest), CStringGetTextDatum("sha256"));
	char	   *text = JsonbToCString(NULL, &DatumGetJsonbP(bare)->root, 0);
	char	   *utf8 = pg_server_to_any(text, (int) strlen(text), PG_UTF8);

	idla_sha256(utf8, strlen(utf8), hex);
	if (utf8 != text)
		pfree(utf8);
	pfree(text);
	pfree(DatumGetPointer(bare));
}

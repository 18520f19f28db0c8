/*
 * fuzz_safetensors.c: libFuzzer's way into the reader of safetensors images.
 *
 * Besides what the sanitizers see, the promises of the header are checked: every byte of the data belongs to one tensor, shapes agree
 * with sizes, names differ and are found, texts are UTF-8 that ends, a refused image says why, memory is bounded by the header. What is read as rounded
 * weights is written again with the same bytes.
 */
#include "idla/learn_rounding.h"
#include "idla/learn_safetensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define PROMISE(condition) \
	do { \
		if (!(condition)) \
		{ \
			fprintf(stderr, "%s:%d: broken promise: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_text(const char *text)
{
	size_t		size = strlen(text);

	for (size_t at = 0; at < size;)
	{
		int32_t		c;
		utf8proc_ssize_t length = utf8proc_iterate((const utf8proc_uint8_t *) text + at, (utf8proc_ssize_t) (size - at), &c);

		PROMISE(length > 0);
		at += (size_t) length;
	}
}

static void
check_values(const LearnTensor *tensor)
{
	float	   *values = malloc(tensor->count * sizeof(float) + 1);
	bool		finite = true;

	PROMISE(values != NULL);
	PROMISE(learn_tensor_floats(tensor, values) == learn_tensor_floats(tensor, values));
	for (size_t i = 0; i < tensor->count; i++)
		finite = finite && isfinite(values[i]);
	PROMISE(learn_tensor_floats(tensor, values) == finite);
	free(values);
}

/* A tensor as the parameter of its shape, in the precision of its type; int8 with the scales that the image has for it. */
static void
check_rounded(DevSession *session, const LearnSafetensors *image, const LearnTensor *tensor, NnRole role)
{
	LearnPrecision precision = strcmp(tensor->type, "I8") == 0 ? LEARN_INT8 : LEARN_BFLOAT16;
	NnParameterInfo info = {.role = role, .size = tensor->count, .shape = {.rank = tensor->rank}};
	LearnRounding rounding;
	char		name[64];
	const LearnTensor *scale;
	float	   *scales;
	float	   *values;
	uint8_t    *bytes;

	if (tensor->rank < 1 || tensor->rank > NN_MAX_RANK || strlen(tensor->name) > 50)
		return;
	memcpy(info.shape.dims, tensor->dims, (size_t) tensor->rank * sizeof(size_t));
	rounding = learn_rounding_of(precision, &info);
	snprintf(name, sizeof(name), "%s.scale", tensor->name);
	scale = learn_safetensors_find(image, name);
	if (rounding.precision != precision ||
		(precision == LEARN_INT8 && (scale == NULL || strcmp(scale->type, "F32") != 0 || scale->count != rounding.n_scales)))
		return;
	scales = malloc((rounding.n_scales + 1) * sizeof(float));
	values = malloc((tensor->count + 1) * sizeof(float));
	bytes = malloc(tensor->size + 1);
	PROMISE(scales != NULL && values != NULL && bytes != NULL);
	if (precision == LEARN_INT8)
		(void) learn_tensor_floats(scale, scales);
	if (learn_rounded_load(session, &rounding, tensor->bytes, scales, values) == DEV_OK)
	{
		PROMISE(learn_rounded_store(&rounding, values, bytes, scales));
		PROMISE(memcmp(bytes, tensor->bytes, tensor->size) == 0);
		PROMISE(precision != LEARN_INT8 || memcmp(scales, scale->bytes, scale->size) == 0);
		for (size_t i = 0; i < tensor->count; i++)
			PROMISE(isfinite(values[i]));
	}
	free(bytes);
	free(values);
	free(scales);
}

static void
check_image(DevSession *session, const LearnSafetensors *image, const uint8_t *data, size_t size)
{
	size_t		covered = 0;

	for (size_t i = 0; i < image->n; i++)
	{
		const LearnTensor *tensor = &image->tensors[i];
		size_t		count = 1;

		check_text(tensor->name);
		PROMISE(learn_safetensors_find(image, tensor->name) == tensor);
		PROMISE(i == 0 || strcmp(image->tensors[i - 1].name, tensor->name) < 0);
		PROMISE(tensor->rank >= 0 && tensor->rank <= LEARN_TENSOR_RANK);
		for (int d = 0; d < tensor->rank; d++)
			count *= tensor->dims[d];
		PROMISE(count == tensor->count && (count == 0 ? tensor->size == 0 : tensor->size % count == 0));
		PROMISE((const uint8_t *) tensor->bytes >= data + 8 && (const uint8_t *) tensor->bytes + tensor->size <= data + size);
		covered += tensor->size;
		if (learn_tensor_is_float(tensor))
			check_values(tensor);
		if (strcmp(tensor->type, "I8") == 0 || strcmp(tensor->type, "BF16") == 0)
		{
			check_rounded(session, image, tensor, NN_ROLE_MATRIX);
			check_rounded(session, image, tensor, NN_ROLE_TABLE);
		}
	}
	PROMISE(covered <= size - 8);
	for (size_t i = 0; i < image->n_metadata; i++)
	{
		check_text(image->metadata[i].key);
		check_text(image->metadata[i].value);
		PROMISE(learn_safetensors_metadata(image, image->metadata[i].key) == image->metadata[i].value);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	DevHost		host = {.memory_limit = (size_t) 64 << 20};
	DevSession *session;
	LearnSafetensors *image;

	PROMISE(dev_session_open(&host, 1, &session) == DEV_OK);
	if (learn_safetensors_open(session, data, size, &image) == DEV_OK)
		check_image(session, image, data, size);
	else
	{
		PROMISE(image == NULL && dev_status(session) == DEV_CORRUPT);
		PROMISE(strlen(dev_detail_text(session)) > 10);
	}
	/* Strings as long as the header, an entry for every so many of its bytes. */
	PROMISE(dev_session_peak(session) <= 16 * size + 4096);
	learn_safetensors_free(session, image);
	dev_session_close(session);
	return 0;
}

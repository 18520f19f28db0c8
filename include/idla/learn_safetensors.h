/*
 * learn_safetensors.h: a safetensors image, read with suspicion.
 *
 * The format (github.com/huggingface/safetensors): eight bytes of length, a JSON header that names tensors with their
 * types, shapes and places, and the tensors' little-endian values. What is accepted is what the format's own
 * library accepts, or less.
 */
#ifndef IDLA_LEARN_SAFETENSORS_H
#define IDLA_LEARN_SAFETENSORS_H

#include "idla/session.h"

#define LEARN_TENSOR_RANK 8		/* dimensions of a tensor at most */
#define LEARN_SAFETENSORS_HEADER 100000000	/* bytes of a header at most, as in the format's own library */
#define LEARN_SAFETENSORS_ENTRIES (1 << 20)	/* tensors, and entries of metadata, at most */

typedef struct LearnTensor
{
	const char *name;			/* UTF-8 */
	const char *type;			/* "F32", "BF16" ... */
	int			rank;
	size_t		dims[LEARN_TENSOR_RANK];
	size_t		count;			/* of values */
	const void *bytes;			/* inside the image, of any alignment */
	size_t		size;
} LearnTensor;

/* One entry of the image's __metadata__. */
typedef struct LearnMetadata
{
	const char *key;
	const char *value;
} LearnMetadata;

typedef struct LearnSafetensors
{
	size_t		n;
	LearnTensor *tensors;		/* in the order of their names */
	size_t		n_metadata;
	LearnMetadata *metadata;	/* likewise of their keys */
	char	   *strings;		/* what names, keys and values point into */
} LearnSafetensors;

/*
 * The image's tensors; the bytes are borrowed, all else is the session's. Memory taken is bounded by the size of the header. DEV_CORRUPT
 * with a detail for anything that is not the format: a header that is cut off, too long or no such JSON, bytes that are no UTF-8,
 * too many entries, names twice, unknown types, shapes that do not agree with their bytes, tensors that overlap, leave holes or end elsewhere
 * than the image does.
 */
extern DevStatus learn_safetensors_open(DevSession *session, const void *bytes, size_t size, LearnSafetensors **image);
extern void learn_safetensors_free(DevSession *session, LearnSafetensors *image);	/* NULL is allowed */
/* NULL when there is none of that name. */
extern const LearnTensor *learn_safetensors_find(const LearnSafetensors *image, const char *name);
extern const char *learn_safetensors_metadata(const LearnSafetensors *image, const char *key);
/* Whether values are of a type that learn_tensor_floats reads: F16, BF16, F32 or F64. */
extern bool learn_tensor_is_float(const LearnTensor *tensor);
/* All values of such a tensor as float32. False when one of them is not finite. */
extern bool learn_tensor_floats(const LearnTensor *tensor, float *values);

#endif							/* IDLA_LEARN_SAFETENSORS_H */

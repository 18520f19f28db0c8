/*
 * onnx.h: the parts of a model on their way into an ONNX file; private to src/learn.
 *
 * onnx.c puts together what the others write: onnx_note.c names and notes, onnx_column.c numbers and categories, onnx_field.c images and series,
 * onnx_signal.c and onnx_rocket.c signals, onnx_window.c rows that are seen in windows, onnx_text.c texts and onnx_tags.c what a tagger makes of them.
 */
#ifndef IDLA_LEARN_ONNX_PRIVATE_H
#define IDLA_LEARN_ONNX_PRIVATE_H

#include "idla/learn_onnx.h"
#include "idla/nn_onnx.h"

#include "architecture.h"
#include "decode_tags.h"

#define LEARN_ONNX_NOTE 1000	/* bytes of what an input says of itself */
#define LEARN_ONNX_NAME 512

typedef struct LearnOnnxWriter
{
	DevSession *session;
	const LearnModel *model;
	NnOnnx	   *onnx;
	NnOnnxValue *channels;		/* (n_channels): each (rows, 1), NN_NONE where it is not used */
	NnOnnxValue *parts;			/* (n_channels + 2): what is put side by side */
	NnOnnxValue numbers;		/* (rows, n_numbers) */
	NnOnnxValue codes;			/* (rows, n_codes) */
	NnOnnxValue (*planes)[LEARN_MAX_PLANES];	/* (n_fields): as the network takes them; codes are int64 */
	NnOnnxValue *lengths;		/* (n_fields): (rows, 1), NN_NONE of fields that have none */
	NnOnnxValue n_windows;		/* (rows, 1): of each row, NN_NONE unless signals are seen in windows */
	NnOnnxValue most_windows;	/* the largest of them: rows (rows * most_windows) are what networks are given then */
	NnOnnxValue *embedded;		/* (n_nets): parts of an embedding, */
	int			n_embedded;
	size_t		n_embedding;	/* which has so many numbers */
} LearnOnnxWriter;

/* ---- onnx_note.c ---- */

/* base and suffix, or what comes of them with "_" behind if that is a column's own name. name has LEARN_ONNX_NAME bytes. */
extern const char *learn_onnx_name(const LearnOnnxWriter *writer, const char *base, const char *suffix, char *name);
/* An input that belongs to a field: its name and what follows it. Dimensions of size 0 are open, and called by that name and `open`. */
extern NnOnnxValue learn_onnx_input(LearnOnnxWriter *writer, const char *base, const char *suffix, NnOnnxType type, int rank,
									const size_t *dims, const char *open, const char *note);
/* One pair of the metadata about a column: "<base><suffix>". */
extern void learn_onnx_note(LearnOnnxWriter *writer, const char *base, const char *suffix, const char *value);
/* The same of a list of n texts: one a line, or in JSON. */
typedef const char *(*LearnOnnxEntry) (const void *context, size_t i, size_t *size);
extern void learn_onnx_note_list(LearnOnnxWriter *writer, const char *base, const char *suffix, bool lines, size_t n, LearnOnnxEntry entry,
								 const void *context);
/* A note that was cut off ends with a whole character. */
extern void learn_onnx_whole_characters(char *note);

/* ---- onnx_column.c ---- */

extern void learn_onnx_columns(LearnOnnxWriter *writer);
/* Values (rows, ...) side by side, along axis 1. */
extern NnOnnxValue learn_onnx_beside(LearnOnnxWriter *writer, const NnOnnxValue *parts, int n);

/* ---- Fields: the planes of field `number`, and its length ---- */

extern void learn_onnx_image(LearnOnnxWriter *writer, int number);
extern void learn_onnx_series(LearnOnnxWriter *writer, int number);
extern void learn_onnx_text(LearnOnnxWriter *writer, int number);
extern void learn_onnx_tokens(LearnOnnxWriter *writer, int number);

/* A signal at one stage of its way. */
typedef struct LearnOnnxWave
{
	NnOnnxValue samples;		/* (rows, most, leads), float */
	NnOnnxValue n;				/* (rows, 1), int64 */
	NnOnnxValue most;			/* no dimensions */
} LearnOnnxWave;

/* A signal made whole; then, once it is known in how many windows rows are seen, what the network sees of it. */
extern LearnOnnxWave learn_onnx_signal(LearnOnnxWriter *writer, int number);
extern void learn_onnx_signal_cut(LearnOnnxWriter *writer, int number, LearnOnnxWave *wave);

/* samples (rows, length, leads), zeros beyond the lengths n (rows, 1), to scaled features (rows, n_features). (onnx_rocket.c) */
extern NnOnnxValue learn_onnx_rocket(LearnOnnxWriter *writer, const LearnField *field, NnOnnxValue samples, NnOnnxValue n);

/* ---- onnx_window.c: what concerns rows that are seen in windows ---- */

/* The largest number of windows, once each row's is known. */
extern void learn_onnx_windows(LearnOnnxWriter *writer);
/* Value (rows, dims ...) for every window: (rows * most, dims ...). dims are not looked at for rank 1, (rows, 1). */
extern NnOnnxValue learn_onnx_repeat(LearnOnnxWriter *writer, NnOnnxValue value, int rank, const size_t *dims);
/* All that was not cut into windows, for every window. */
extern void learn_onnx_repeat_inputs(LearnOnnxWriter *writer);
/* The mean over windows of (rows * most, width): of numbers, float or double; or of what the outputs mean, as learn_windows_add takes it. */
extern NnOnnxValue learn_onnx_window_mean(LearnOnnxWriter *writer, NnOnnxValue value, NnOnnxType type, size_t width);
extern NnOnnxValue learn_onnx_window_outputs(LearnOnnxWriter *writer, NnOnnxValue outputs);

/* ---- onnx_tags.c ---- */

/* Mean emissions, and shares where tokens stand alone (else NN_NONE), (rows, length, tags), to tags and how certain they are. */
extern void learn_onnx_tags(LearnOnnxWriter *writer, const LearnChain *chain, NnOnnxValue emissions, NnOnnxValue shares);

/* ---- Small things ---- */

static inline NnOnnxValue
learn_onnx_gather(NnOnnx *onnx, NnOnnxValue src, int64_t axis, NnOnnxValue index)
{
	nn_onnx_set_integer(onnx, "axis", axis);
	return nn_onnx_apply2(onnx, "Gather", src, index);
}

static inline NnOnnxValue
learn_onnx_along(NnOnnx *onnx, const char *operator, NnOnnxValue src, int64_t axis)
{
	return nn_onnx_apply2(onnx, operator, src, nn_onnx_list(onnx, 1, &axis));
}

/* ReduceMax and the like, whose axis is an attribute. */
static inline NnOnnxValue
learn_onnx_reduce(NnOnnx *onnx, const char *operator, NnOnnxValue src, int64_t axis, bool keep)
{
	nn_onnx_set_integers(onnx, "axes", 1, &axis);
	nn_onnx_set_integer(onnx, "keepdims", keep);
	return nn_onnx_apply1(onnx, operator, src);
}

/* The size of dimension `axis`, one number without dimensions. */
static inline NnOnnxValue
learn_onnx_size(NnOnnx *onnx, NnOnnxValue src, int64_t axis)
{
	return learn_onnx_gather(onnx, nn_onnx_apply1(onnx, "Shape", src), 0, nn_onnx_integer(onnx, axis));
}

/* 0, 1 ... n - 1; n has no dimensions. */
static inline NnOnnxValue
learn_onnx_count(NnOnnx *onnx, NnOnnxValue n)
{
	return nn_onnx_apply3(onnx, "Range", nn_onnx_integer(onnx, 0), n, nn_onnx_integer(onnx, 1));
}

extern NnOnnxValue learn_onnx_numbered(LearnOnnxWriter *writer, size_t n);	/* the same of a known number */

/*
 * Where along axis 1 something is: known (rows, length, width) true or false. rank: how many are known up to and with each place, (rows,
 * length, width); places: number k of them at k, from 1 on, (rows, length + 2, width). (onnx_field.c)
 */
typedef struct LearnOnnxKnown
{
	NnOnnxValue rank;
	NnOnnxValue places;
} LearnOnnxKnown;

extern LearnOnnxKnown learn_onnx_known(NnOnnx *onnx, NnOnnxValue known);
/* src[row, index[row, i, d], d] */
extern NnOnnxValue learn_onnx_pick(NnOnnx *onnx, NnOnnxValue src, NnOnnxValue index);
/* What is no number becomes 0. */
extern NnOnnxValue learn_onnx_finite(NnOnnx *onnx, NnOnnxValue value);

#endif							/* IDLA_LEARN_ONNX_PRIVATE_H */

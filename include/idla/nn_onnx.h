/*
 * nn_onnx.h: an ONNX model under construction.
 *
 * ONNX (onnx.ai, here opset 17 with version 3 of the operators for features) is a graph of named values in Google's
 * protocol buffers, of which a writer needs no more than lengths and numbers. Values are known by their numbers. Like the
 * builders of nn.h these functions may be given what a failed one returned, and the first failure is kept: nn_onnx_write tells it.
 */
#ifndef IDLA_NN_ONNX_H
#define IDLA_NN_ONNX_H

#include "idla/nn.h"

typedef struct NnOnnx NnOnnx;
typedef int NnOnnxValue;		/* number of a value, NN_NONE after a failure */

/* The format's own numbers. */
typedef enum NnOnnxType
{
	NN_ONNX_FLOAT = 1,
	NN_ONNX_INT32 = 6,
	NN_ONNX_INT64 = 7,
	NN_ONNX_STRING = 8,
	NN_ONNX_BOOL = 9,
	NN_ONNX_DOUBLE = 11
} NnOnnxType;

extern DevStatus nn_onnx_create(DevSession *session, NnOnnx **onnx);
/* Everything the object holds; the bytes that were written too. */
extern void nn_onnx_free(NnOnnx *onnx);
extern DevSession *nn_onnx_session(const NnOnnx *onnx);
extern DevStatus nn_onnx_status(const NnOnnx *onnx);	/* of the first failure, or DEV_OK */

/* (rows, dims ...) from outside. note: what a reader of the file should know of it. */
extern NnOnnxValue nn_onnx_input(NnOnnx *onnx, const char *name, NnOnnxType type, int rank, const size_t *dims, const char *note);
/* The same with dimensions that may be of any size, those that are 0 in dims; all are as large as each other, and as all of that name. */
extern NnOnnxValue nn_onnx_input_open(NnOnnx *onnx, const char *name, NnOnnxType type, int rank, const size_t *dims, const char *open,
									  const char *note);
/* Gives the value (rows, width) a name and to the outside. */
extern void nn_onnx_output(NnOnnx *onnx, NnOnnxValue value, const char *name, NnOnnxType type, size_t width, const char *note);
/* Numbers that are part of the model: rank 0 to NN_MAX_RANK. */
extern NnOnnxValue nn_onnx_floats(NnOnnx *onnx, int rank, const size_t *dims, const float *values);
extern NnOnnxValue nn_onnx_doubles(NnOnnx *onnx, int rank, const size_t *dims, const double *values);
extern NnOnnxValue nn_onnx_integers(NnOnnx *onnx, int rank, const size_t *dims, const int64_t *values);
extern NnOnnxValue nn_onnx_float(NnOnnx *onnx, float value);
extern NnOnnxValue nn_onnx_double(NnOnnx *onnx, double value);
extern NnOnnxValue nn_onnx_integer(NnOnnx *onnx, int64_t value);
/* One dimension of one or more integers: axes, shapes, indexes. */
extern NnOnnxValue nn_onnx_list(NnOnnx *onnx, size_t n, const int64_t *values);

/* Attributes of the next operator that is applied: they come right before it, after all that makes its sources. */
extern void nn_onnx_set_integer(NnOnnx *onnx, const char *name, int64_t value);
extern void nn_onnx_set_integers(NnOnnx *onnx, const char *name, size_t n, const int64_t *values);
extern void nn_onnx_set_float(NnOnnx *onnx, const char *name, float value);
extern void nn_onnx_set_string(NnOnnx *onnx, const char *name, const char *value);
extern void nn_onnx_set_strings(NnOnnx *onnx, const char *name, size_t n, const char *const *values);
/* What the operator makes of its sources. One whose name begins with "ml." is of the domain ai.onnx.ml. */
extern NnOnnxValue nn_onnx_apply(NnOnnx *onnx, const char *operator, const NnOnnxValue *src, int n_src);
extern NnOnnxValue nn_onnx_apply1(NnOnnx *onnx, const char *operator, NnOnnxValue a);
extern NnOnnxValue nn_onnx_apply2(NnOnnx *onnx, const char *operator, NnOnnxValue a, NnOnnxValue b);
extern NnOnnxValue nn_onnx_apply3(NnOnnx *onnx, const char *operator, NnOnnxValue a, NnOnnxValue b, NnOnnxValue c);
/* One that makes several values, four at most; those of a failure are NN_NONE. */
extern void nn_onnx_apply_several(NnOnnx *onnx, const char *operator, const NnOnnxValue *src, int n_src, NnOnnxValue *made, int n_made);
extern NnOnnxValue nn_onnx_cast(NnOnnx *onnx, NnOnnxValue value, NnOnnxType type);

/*
 * A graph inside the graph, the attribute "body" of the next operator, Scan: between the two calls operators, inputs and outputs are its own,
 * which may read the values made before. There is none inside another.
 */
extern void nn_onnx_body_begin(NnOnnx *onnx);
extern NnOnnxValue nn_onnx_body_input(NnOnnx *onnx, NnOnnxType type);
extern void nn_onnx_body_output(NnOnnx *onnx, NnOnnxValue value, NnOnnxType type);
extern void nn_onnx_body_end(NnOnnx *onnx);

/* One pair for the model's metadata. */
extern void nn_onnx_note(NnOnnx *onnx, const char *key, const char *value);
/* The first failure of all, or the file: its bytes belong to onnx. */
extern DevStatus nn_onnx_write(NnOnnx *onnx, const char *name, const char *note, const void **bytes, size_t *size);
/* Records a failure, as dev_fail does, unless there is one already; returns NN_NONE. */
extern NnOnnxValue nn_onnx_fail(NnOnnx *onnx, DevStatus status, const char *format,...) DEV_PRINTF(3, 4);

/*
 * Writes what makes `wanted` of the inputs of a compiled graph, as it is computed without training. given[i] stands for the graph's node
 * nodes[i]; codes and lengths are int64. weights are on the host. Fails with DEV_INVALID for an operator that has no form in ONNX, naming it.
 * (src/nn/onnx_graph.c)
 */
extern NnOnnxValue nn_graph_onnx(NnOnnx *onnx, const NnGraph *graph, const float *weights, NnNode wanted, const NnNode *nodes,
								 const NnOnnxValue *given, int n);

#endif							/* IDLA_NN_ONNX_H */

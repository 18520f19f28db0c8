/*
 * learn_onnx.h: a model of ordinary columns and images as an ONNX file, preprocessing and calibration included.
 */
#ifndef IDLA_LEARN_ONNX_H
#define IDLA_LEARN_ONNX_H

#include "idla/learn_model.h"

typedef struct LearnOnnx
{
	const void *bytes;			/* the session's */
	size_t		size;
} LearnOnnx;

/*
 * Inputs (rows, n), one a used column, by its name: float, n its channels, NaN for a missing value; or text, n = 1, for
 * categories, LEARN_ONNX_MISSING for a missing one; of images (rows, height, width, depth), decoded and of the model's size.
 * Outputs, all double: "prediction" (rows, outputs), what learn_scores_to_answers gives, of binary, survival and regression
 * models; "probabilities" (rows, classes or labels) of those that have them. A column of such a name keeps it, and the output
 * gets "_" behind its own. Names, classes and categories are UTF-8. DEV_INVALID for what cannot be said in ONNX: other fields,
 * views, taggers, operators without such a form.
 */
#define LEARN_ONNX_MISSING "\\N"	/* as COPY writes NULL */
extern DevStatus learn_onnx_write(DevSession *session, const LearnModel *model, const char *name, const char *target, LearnOnnx *file);

#endif							/* IDLA_LEARN_ONNX_H */

/*
 * learn_onnx.h: a model as an ONNX file, preprocessing and calibration included.
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
 * categories, LEARN_ONNX_MISSING for a missing one; of images (rows, height, width, depth), decoded and of the model's size. Of signals (rows, samples,
 * leads), as they are recorded, and "<name>.length" (rows, 1); of series (rows, bins, channels), and "<name>.before" and "<name>.age" (rows, channels), as
 * learn_series_store has them; of texts numbers of their pieces (rows, tokens) and "<name>.mask"; of tokens what learn_lexicon_encode gives,
 * "<name>.words", ".shapes", ".affixes", ".characters", and a mask. Vocabularies and lexicons are among the metadata. docs/serving.md has all of it.
 * Outputs, all double: "prediction" (rows, outputs), what learn_scores_to_answers gives, of binary, survival and regression
 * models; "probabilities" (rows, classes or labels) of those that have them; and "embedding", float. Of taggers "tags" (rows, length), int64, and
 * "certainty".
 * A column of such a name keeps it, and the output gets "_" behind its own; so does what belongs to a field. Names, classes, categories and channels of
 * series are UTF-8. DEV_INVALID for what cannot be said in ONNX: views, operators without such a form, rates that fall too far.
 */
#define LEARN_ONNX_MISSING "\\N"	/* as COPY writes NULL */
extern DevStatus learn_onnx_write(DevSession *session, const LearnModel *model, const char *name, const char *target, LearnOnnx *file);

#endif							/* IDLA_LEARN_ONNX_H */

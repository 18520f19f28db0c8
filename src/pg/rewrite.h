/*
 * rewrite.h: values of a row as the host has them, out of what a model's numbers, categories and planes became.
 */
#ifndef IDLA_REWRITE_H
#define IDLA_REWRITE_H

#include "column.h"

typedef struct IdlaRewriter IdlaRewriter;

/* For rows of desc, which is copied; in the current memory context. Columns that desc has not are passed over. */
extern IdlaRewriter *idla_rewriter_create(const IdlaColumns *columns, TupleDesc desc);
extern TupleDesc idla_rewriter_desc(const IdlaRewriter *rewriter);
/* Where column `column` is in desc, from 0 on, or -1. */
extern int	idla_rewriter_attribute(const IdlaRewriter *rewriter, int column);
/*
 * Replaces what differs between raw and changed (n_channels) in values (natts): numbers, booleans, categories and elements of arrays,
 * written through their types; domains are looked through, their constraints not asked. ERROR for what the type does not take. In the
 * current context.
 */
extern void idla_rewrite_columns(const IdlaRewriter *rewriter, const float *raw, const float *changed, Datum *values,
								 const bool *isnull);
/*
 * The value of an image or signal whose loaded plane is moved and was clean: an array of the type and dimensions that it has, NULL elements NULL,
 * or a PNG of the size that the network sees. False where there is no way back; ERROR without memory.
 */
extern bool idla_rewrite_field(const IdlaRewriter *rewriter, int column, Datum value, const float *clean, const float *moved,
							   Datum *rewritten);
/* A text in the type of its column, domains looked through. ERROR for what the type does not take. */
extern Datum idla_rewrite_text(const IdlaRewriter *rewriter, int column, char *text);
/* The step in which the field's stored values change in the host's type, 0: none. */
extern double idla_rewrite_step(const LearnField *field, Oid type);

#endif							/* IDLA_REWRITE_H */

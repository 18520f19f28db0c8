/*
 * explain.h: what the functions that say why one row scores as it does have in common.
 */
#ifndef IDLA_EXPLAIN_H
#define IDLA_EXPLAIN_H

#include "column.h"

/* A row, scored, and which of its scores is asked about. */
typedef struct IdlaQuestion
{
	IdlaSite   *site;			/* scores are answers already */
	int			output;			/* class or target */
	double		sign;			/* -1: the class of a binary model whose score is the other one's negative */
	LearnExplain how;			/* with the engine's output; NULL-like but for what all share */
} IdlaQuestion;

/* A column, segment or word, and what it adds. */
typedef struct IdlaShare
{
	int			place;			/* among the model's columns, the field's segments, the text's words */
	double		contribution;
} IdlaShare;

/* The largest first, whatever their sign; equal ones as they lie. */
extern void idla_shares_sort(IdlaShare *shares, int n);

/* Arguments 0 and 1 are model and input; false, and no question, when either is NULL. ERROR for an unknown output. */
extern bool idla_question_ask(FunctionCallInfo fcinfo, int output_argument, int version_argument, IdlaQuestion *question);
/* Argument `number` as a method that gives contributions. */
extern LearnExplainMethod idla_explain_method(FunctionCallInfo fcinfo, int number);
/* Argument `number`: how many rows to return; NULL: all. */
extern int	idla_explain_top(FunctionCallInfo fcinfo, int number);
/* The value of a column of the row in a few words, palloc'd; NULL for NULL. */
extern char *idla_value_words(const IdlaSite *site, int column);

/* ---- explain_parts.c ---- */

/*
 * The field that argument `number` names, or the model's only one; of images alone when images is true. ERROR when there is no such, and when the row
 * has no value there.
 */
extern int	idla_explain_field(FunctionCallInfo fcinfo, int number, const IdlaSite *site, bool images);
/* Segments of an image's pixels: (height, width) numbers of patches, in so many rows and columns of them, row by row. */
extern void idla_image_segments(const LearnField *field, int n_rows, int n_columns, int *segment_of);

#endif							/* IDLA_EXPLAIN_H */

/*
 * augment.h: a preview of augmentation; shared by augment.c and augment_field.c.
 */
#ifndef IDLA_AUGMENT_H
#define IDLA_AUGMENT_H

#include "reading.h"

#define PREVIEW_ROWS 64			/* that are shown at most */

typedef struct Preview
{
	FunctionCallInfo fcinfo;
	IdlaOptions *options;
	IdlaWork   *work;
	IdlaReading reading;
	LearnModel	model;			/* what of it is known before training */
	int			n_rows;			/* shown */
} Preview;

/* One row of the answer; what is 0 or NULL is NULL. */
extern void idla_preview_put(const Preview *preview, int row, int variant, const char *column, Datum image, Datum array, const char *text);
/* (length, depth) values, or flat the first dimension alone; NaN is NULL. */
extern Datum idla_preview_array(const float *values, size_t length, size_t depth, bool flat);

/* augment_field.c: the values of a field in all rows shown, and n variants of each. */
extern void idla_preview_field(const Preview *preview, int number, int n);

#endif							/* IDLA_AUGMENT_H */

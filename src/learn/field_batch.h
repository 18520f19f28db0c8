/*
 * field_batch.h: the fields of a batch of rows, loaded for a run; private to src/learn.
 */
#ifndef IDLA_LEARN_FIELD_BATCH_H
#define IDLA_LEARN_FIELD_BATCH_H

#include "idla/learn_data.h"

/* Everything NULL and zero without fields. */
typedef struct LearnFieldBatch
{
	int			n_fields;
	const LearnField *fields;
	size_t		max_rows;
	size_t	  (*sizes)[LEARN_MAX_PLANES];	/* values a row has in a plane, 0 past the last plane */
	bool	  (*codes)[LEARN_MAX_PLANES];
	void	 *(*planes)[LEARN_MAX_PLANES];	/* (max_rows, size) floats or int32 codes */
	int32_t   **lengths;		/* (max_rows) each */
	float	   *scratch;		/* to load with */
} LearnFieldBatch;

extern DevStatus learn_field_batch_create(DevSession *session, const LearnField *fields, int n_fields, size_t max_rows,
										  LearnFieldBatch *batch);
extern void learn_field_batch_free(DevSession *session, LearnFieldBatch *batch);
/* From now on fields are these, whose texts are no longer than those it was created with. */
extern void learn_field_batch_stretch(LearnFieldBatch *batch, const LearnField *fields);
/* A share `rate` of the tokens of all texts become unknown; a row's texts draw counters [counter + row << 16, ...). */
extern void learn_field_batch_drop(LearnFieldBatch *batch, size_t rows, double rate, uint64_t seed, uint64_t counter);
/* Row `row` of the batch gets a stored value of a field. Any thread. */
extern void learn_field_batch_load(LearnFieldBatch *batch, int field, size_t row, LearnBytes stored);
/* Rows up to `rows` become what the first is. */
extern void learn_field_batch_repeat(LearnFieldBatch *batch, size_t rows);
/* Where row `row` of a field lies: its planes, NULL past the last one. */
extern void learn_field_batch_planes(const LearnFieldBatch *batch, int field, size_t row, void *planes[LEARN_MAX_PLANES]);
/* The first `rows` rows into the run's inputs. */
extern void learn_field_batch_set(const LearnFieldBatch *batch, const LearnGraph *built, NnRun *run, size_t rows);

#endif							/* IDLA_LEARN_FIELD_BATCH_H */

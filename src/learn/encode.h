/*
 * encode.h: rows by the dozen into what the network sees; private to src/learn.
 */
#ifndef IDLA_LEARN_ENCODE_H
#define IDLA_LEARN_ENCODE_H

#include "idla/learn_model.h"

/* Channels beside each other in a raw row and among the inputs, all of them plain numbers without an indicator. */
typedef struct LearnRun
{
	int			channel;
	int			input;
	int			n;
} LearnRun;

/* The statistics of a model's channels, laid out so that those of a whole row are worked on in one loop. */
typedef struct LearnRowEncoder
{
	const LearnChannel *channels;	/* (n_channels) the model's */
	int			n_channels;
	float	   *fill;			/* (n_channels) */
	float	   *center;
	float	   *scale;
	float	   *clip;			/* a third where scaling is robust, 0 where it is linear */
	int			n_runs;
	LearnRun   *runs;			/* (n_channels) */
	int			n_others;
	int		   *others;			/* (n_channels): those that are seen and in no run */
} LearnRowEncoder;

/* Memory is the session's; channels are borrowed. */
extern DevStatus learn_row_encoder_create(DevSession *session, const LearnChannel *channels, int n_channels, LearnRowEncoder *encoder);
/* raw (n, n_channels) -> numbers (n, n_numbers) and codes (n, n_codes): learn_encode_row for each, bit for bit. */
extern void learn_encode_rows(const LearnRowEncoder *encoder, size_t n, const float *raw, float *numbers, size_t n_numbers, int32_t *codes,
							  size_t n_codes);

#endif							/* IDLA_LEARN_ENCODE_H */

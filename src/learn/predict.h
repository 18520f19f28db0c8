/*
 * predict.h: the inside of a predictor, for the explanations; private to src/learn.
 */
#ifndef IDLA_LEARN_PREDICT_PRIVATE_H
#define IDLA_LEARN_PREDICT_PRIVATE_H

#include "idla/learn_predict.h"

#include "decode_tags.h"
#include "encode.h"
#include "field_batch.h"
#include "stretch.h"
#include "windows.h"

#include "idla/learn_augment.h"

/* A graph with its buffers. Networks of one description share an engine and take turns with their weights. */
typedef struct LearnEngine
{
	const LearnNetwork *network;
	LearnStretches stretches;
	LearnGraph	built;			/* the last stretch's */
	size_t		n_features;
	NnRun	   *runs[LEARN_MAX_STRETCHES];	/* inference, rows[i] rows */
	NnRun	   *run;			/* the last one */
	NnRun	   *explain_runs[LEARN_MAX_STRETCHES];	/* with gradients; NULL until something is explained or attacked */
} LearnEngine;

/* One network of the model. */
typedef struct LearnVoice
{
	LearnEngine *engine;
	const LearnNet *net;
	const float *weights;		/* device */
	size_t		first;			/* number of its part of an embedding, */
	size_t		width;			/* which has so many */
} LearnVoice;

/* What averaging over changed rows needs, see predict_views.c. */
typedef struct LearnViews LearnViews;

struct LearnPredictor
{
	DevSession *session;
	const LearnModel *model;
	DevDevice  *device;
	size_t		max_batch;
	size_t		n_outputs;
	size_t		n_embedding;	/* numbers of a row's embedding */
	int			n_voices;
	LearnVoice *voices;			/* (n_voices) */
	int			n_engines;
	LearnEngine *engines;		/* (n_engines) */
	const LearnEngine *reader;	/* whose stretches rows are loaded for: the first with fields, or just the first; others with fields have the same */
	LearnRowEncoder encoder;
	float	   *numbers;		/* (max_batch, n_numbers) encoded rows */
	int32_t    *codes;			/* (max_batch, n_codes) */
	LearnFieldBatch fields;		/* (max_batch) loaded rows */
	int			stretch;		/* that rows are loaded for, and runs compute with */
	size_t		rows[LEARN_MAX_STRETCHES];	/* most rows of a pass */
	LearnChain	chain;			/* tagging */
	float	   *emissions;		/* tagging: of a pass, mean over the networks */
	float	   *shares;			/* the same of the probabilities of tags, where tokens stand alone; else NULL */
	LearnViews *views;			/* NULL where rows are answered as they are */
	LearnSlot  *slots;			/* (max_batch) the windows that are loaded, NULL unless signals are seen in windows */
	double	   *window_outputs; /* (max_batch, n_outputs) */
	float	   *window_embeddings;	/* (max_batch, n_embedding), NULL until somebody wants embeddings */
	void	   *explainer;		/* buffers of explain.c, NULL until something is explained */
};

#define LEARN_EXPLAIN_BATCH 32

/*
 * Whether both describe one graph: every member of LearnNetwork that a graph is built by is compared. Bin edges may differ, for they lie
 * among the weights; fields are the model's.
 */
extern bool learn_same_network(const LearnNetwork *a, const LearnNetwork *b);
/* Rows at once in the runs with gradients, LEARN_EXPLAIN_BATCH or fewer. */
extern size_t learn_predictor_explain_batch(const LearnPredictor *predictor);
/* The runs with gradients, for explanations and attacks alike, of a stretch or of the last one; those that exist already stay. */
extern DevStatus learn_predictor_explain_runs(LearnPredictor *predictor, int stretch);

static inline int
learn_engine_stretch(const LearnEngine *engine, int stretch)
{
	return stretch < engine->stretches.n ? stretch : engine->stretches.n - 1;
}

static inline NnRun *
learn_engine_explain_run(const LearnEngine *engine, int stretch)
{
	return engine->explain_runs[learn_engine_stretch(engine, stretch)];
}

/* The graph of a stretch. Its nodes have the numbers that engine->built says. */
static inline const LearnGraph *
learn_engine_graph(const LearnEngine *engine, int stretch)
{
	return &engine->stretches.stretches[learn_engine_stretch(engine, stretch)].built;
}

/* Encodes rows into predictor->numbers, ->codes and ->fields, for a stretch; n <= max_batch. fields (n, n_fields) stored values. */
extern void learn_predictor_encode(LearnPredictor *predictor, size_t n, const float *raw, const LearnBytes *fields, int stretch);
/* The shortest that takes these texts of a row. */
extern int	learn_predictor_find_stretch(const LearnPredictor *predictor, const LearnBytes *fields);
/* Scores (n, n_outputs) of rows that were encoded so, of no other view than that; n <= learn_predictor_room. */
extern DevStatus learn_predict_encoded(LearnPredictor *predictor, size_t n, double *scores);
/* Rows at once in a pass that takes all texts, as learn_predictor_encode loads them. */
extern size_t learn_predictor_room(const LearnPredictor *predictor);
/* Mean outputs of the networks -> scores, in place, (n, n_outputs). */
extern void learn_outputs_to_scores(const LearnModel *model, size_t n, double *outputs);
/* Rows are loaded and computed for this stretch from now on, or for the last one when there are fewer: it takes all texts. */
extern void learn_predictor_stretch(LearnPredictor *predictor, int stretch);
/* Output of one network for the n rows that are loaded, until its next pass. */
extern DevStatus learn_voice_forward(LearnPredictor *predictor, const LearnVoice *voice, size_t n, const float **values);
/* Sets the inputs of a run from predictor->numbers, ->codes and ->fields. */
extern void learn_predictor_set(LearnPredictor *predictor, const LearnEngine *engine, NnRun *run, size_t n);

/* Where rows come from: an array of their stored values, or a data set. */
typedef struct LearnRows
{
	const float *raw;			/* (n, n_channels) */
	const LearnBytes *fields;	/* (n, n_fields) */
	LearnDataset *dataset;		/* or NULL */
	const uint32_t *numbers;
} LearnRows;

/*
 * A stored value, good until the next one is asked for: what the predictor's row `row` shows of it, in a pass that begins with row `first`.
 */
extern DevStatus learn_rows_shown(const LearnPredictor *predictor, const LearnRows *rows, size_t first, size_t row, int field,
								  LearnBytes *value);

/* ---- predict_embed.c ---- */

/* Does an embedding have what the heads of network `number`, with this graph, multiply already, because nothing is learned below them? */
extern bool learn_embedding_repeats(const LearnModel *model, int number, const NnGraph *graph);
/* A voice that has just been made gets its place in embeddings. */
extern void learn_embeddings_place(LearnPredictor *predictor, LearnVoice *voice);
/* After a pass of a voice over the n rows that are loaded, one of n_views: its share of their embeddings, which are zero before the first. */
extern void learn_embeddings_add(const LearnPredictor *predictor, const LearnVoice *voice, NnRun *run, size_t n, int n_views, float *embeddings);
/* Room for those of n windows, zeros; NULL without memory. */
extern float *learn_embeddings_of_windows(LearnPredictor *predictor, size_t n);
/* Theirs, which lie there, become part of the embeddings of their rows, beginning with row `first`. */
extern void learn_embeddings_join(const LearnPredictor *predictor, size_t first, size_t n, float *embeddings);

/* ---- predict_views.c ---- */

/* Room for views, where the model averages several. */
extern DevStatus learn_views_create(LearnPredictor *predictor);
extern int	learn_views_count(const LearnPredictor *predictor);	/* 1 without */
/* The n rows that lie encoded in the predictor become their next view; views are asked for in order, 0 first. */
extern DevStatus learn_views_take(LearnPredictor *predictor, const LearnRows *rows, size_t first, size_t n, int view);

#endif							/* IDLA_LEARN_PREDICT_PRIVATE_H */

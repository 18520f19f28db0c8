/*
 * learn_data.h: rows in memory, their split and their preprocessing.
 *
 * Rows arrive one by one, raw; they are kept column-wise in chunks of float32,
 * at most `memory` bytes at once, the rest in the host's temporary file. Then:
 * split -> fit (training part only) -> encode (chunks become row-major inputs)
 * -> windows of shuffled rows for the trainer. The order of rows and hence the
 * result do not depend on `memory`.
 */
#ifndef IDLA_LEARN_DATA_H
#define IDLA_LEARN_DATA_H

#include "idla/learn_model.h"

typedef struct LearnDataset LearnDataset;
typedef struct LearnSampler LearnSampler;

/* The host's temporary file. Offsets and sizes in bytes; both return false on failure (the host keeps the reason). */
typedef struct LearnSpill
{
	void	   *context;
	bool		(*write) (void *context, uint64_t offset, const void *bytes, size_t size);
	bool		(*read) (void *context, uint64_t offset, void *bytes, size_t size);
} LearnSpill;

typedef enum LearnPart
{
	LEARN_TRAIN,
	LEARN_VALIDATION,
	LEARN_TEST,
	LEARN_N_PARTS,
	LEARN_UNASSIGNED = 255
} LearnPart;

/* What else is known of a row. */
typedef struct LearnRow
{
	const float *channels;		/* (n_channels) raw; NaN is missing; a category's code by learn_dataset_intern */
	const float *targets;		/* (n_targets) raw */
	const LearnBytes *fields;	/* (n_fields) as learn_field_take gives them */
	uint64_t	group;			/* hash of group_by, ignored unless the split is by group */
	double		order;			/* order_by as a number */
	uint8_t		part;			/* a LearnPart when a column names it, else LEARN_UNASSIGNED */
} LearnRow;

/* Something the user must be told: a NOTICE or a WARNING. Text in the session's memory. */
typedef struct LearnNote
{
	bool		warning;
	char	   *message;
	char	   *detail;			/* NULL when none */
	char	   *hint;			/* NULL when none */
} LearnNote;

typedef struct LearnNotes
{
	int			n;
	int			capacity;
	LearnNote  *notes;
} LearnNotes;

extern DevStatus learn_note(DevSession *session, LearnNotes *notes, bool warning,
							const char *detail, const char *hint, const char *format,...) DEV_PRINTF(6, 7);

/* channels is used (and filled by fit) in place; memory in bytes; spill NULL: never spills, over memory is an error. */
extern DevStatus learn_dataset_create(DevSession *session, LearnChannel *channels, int n_channels, int n_targets,
									  size_t memory, const LearnSpill *spill, LearnDataset **dataset);
/*
 * Before the first row: rows have these fields too, at most `memory` bytes of them in memory, the rest of field i in
 * spills[i] (spills NULL: over memory is an error). fields is used, and filled by fit, in place.
 */
extern DevStatus learn_dataset_add_fields(LearnDataset *dataset, LearnField *fields, int n_fields, size_t memory,
										  const LearnSpill *const *spills);
/* Gives up all memory now instead of at the session's end. */
extern void learn_dataset_free(LearnDataset *dataset);

/* The code of a category's bytes, a new one at first sight. At most 16,777,216 a channel (exact in float32). */
extern DevStatus learn_dataset_intern(LearnDataset *dataset, int channel, const char *bytes, size_t size, float *code);
extern DevStatus learn_dataset_append(LearnDataset *dataset, const LearnRow *row);
extern size_t learn_dataset_rows(const LearnDataset *dataset);

/* Targets stay in memory: (rows, n_targets); the glue may rewrite them (class codes) before the split. */
extern float *learn_dataset_targets(LearnDataset *dataset);
/*
 * Before the first row: every row has n_answers of a teacher beside its targets, in `memory` bytes at most. They are unknown (NaN) until the host
 * writes them into learn_dataset_lessons, (rows, n_answers): for classes probabilities in the order of the codes (of two: of code 1), for labels
 * probabilities, for a regression values in the targets' unit. They stay in memory, where more rows may move them.
 */
extern DevStatus learn_dataset_teach(LearnDataset *dataset, int n_answers, size_t memory);
extern float *learn_dataset_lessons(LearnDataset *dataset);	/* NULL without a teacher */
extern uint8_t *learn_dataset_parts(LearnDataset *dataset);	/* (rows) LearnPart */

/* ---- Fields (src/learn/field.c); any thread may call these ---- */

extern size_t learn_field_depth(const LearnField *field);	/* channels of a pixel, leads of a signal, channels of a series */
/* Whether there is a length beside the planes: not for images. */
extern bool learn_field_has_length(const LearnField *field);
/* The inputs of the network that a field feeds; returns their number. */
extern int	learn_field_planes(const LearnField *field, LearnPlane planes[LEARN_MAX_PLANES]);
/* One value among many that are taken at once; taken is the caller's to free. */
typedef struct LearnTaking
{
	const LearnField *field;
	const void *bytes;			/* of an image's file */
	size_t		size;
	void	   *taken;
	size_t		taken_size;
	bool		good;
	LearnTrouble trouble;
} LearnTaking;

typedef struct LearnTaker LearnTaker;

/* Threads that take images; they must end before the session does: learn_taker_free. */
extern DevStatus learn_taker_create(DevSession *session, int threads, LearnTaker **taker);
extern void learn_taker_run(LearnTaker *taker, size_t n, LearnTaking *takings);
extern void learn_taker_free(LearnTaker *taker);	/* NULL is allowed */

/* Places of a field that explanations tell apart (pixels, samples, bins by channel, tokens), and that of a plane's value i of n. */
extern size_t learn_field_parts(const LearnField *field);
extern size_t learn_field_part(const LearnField *field, int plane, size_t i, size_t n);
/*
 * Places of a stored value that can be grouped into segments: the parts, or the samples of a signal whose features are one part. Of a
 * signal in windows those of all of it, a window's at least.
 */
extern size_t learn_field_places(const LearnField *field, LearnBytes stored);
/*
 * Values as the host has them, taken: src is a file's bytes, or an array's numbers (height, width, depth) or (length, leads).
 * *taken is in memory of malloc, to be freed by the caller; NULL after a failure. A file's sample type is U8 or U16, an array's F32.
 */
extern bool learn_field_take_image(const LearnField *field, const void *bytes, size_t size, void **taken, size_t *taken_size,
								   LearnTrouble *trouble);
extern bool learn_field_take_pixels(const LearnField *field, size_t height, size_t width, size_t depth, const float *src,
									void **taken, size_t *taken_size, LearnTrouble *trouble);
extern bool learn_field_take_signal(const LearnField *field, size_t length, size_t leads, const float *src,
									void **taken, size_t *taken_size, LearnTrouble *trouble);
/* Stored form of a series (learn_series.h): the host has gathered the events already. */
extern bool learn_field_take_series(const LearnField *field, size_t n, const float *src, void **taken, size_t *taken_size,
									LearnTrouble *trouble);
/*
 * The way back of learn_field_take_pixels and _signal, for whoever changed a loaded plane: how much each of the array's numbers (dims:
 * height, width and depth, or samples and leads) has to change so that the plane is moved and no longer clean. What the network
 * does not see and what is missing does not change. A resampled signal's changes are interpolated, and one scaled by its own deviation keeps that: taken
 * again, both are only nearly what was moved. False where there is no way back, an image of another size, or after filling *trouble.
 */
extern bool learn_field_changes(const LearnField *field, const size_t dims[3], const float *src, const float *clean, const float *moved,
								double *changes, LearnTrouble *trouble);
/* Whether loaded pixels or samples are the array's or file's own numbers but for centre and scale (and an image's resizing). */
extern bool learn_field_is_direct(const LearnField *field);
/* The first of a whole signal's n stored samples that the network sees. */
extern size_t learn_field_first(const LearnField *field, size_t n);
/*
 * The part of a stored image, signal or series that the network sees, its numbers as they were stored: values (learn_field_places, of
 * an image as many times its depth). Returns how many positions (pixels, samples) there are; *first is the place of the first one in
 * the whole value. Of a signal in windows all is seen.
 */
extern size_t learn_field_values(const LearnField *field, LearnBytes stored, float *values, size_t *first);
/*
 * A text, checked to be UTF-8: as it is, or `stored`, as a predictor takes it (the field is fitted then). *taken stays NULL for a text without
 * words, which counts as missing.
 */
extern bool learn_field_take_text(const LearnField *field, const char *text, size_t size, bool stored, void **taken,
								  size_t *taken_size, LearnTrouble *trouble);
/*
 * A text cut into tokens (ascending ranges of it), for a tagger. tags (n), NUL-terminated, or NULL where none are known; they must be known
 * labels when `stored`. Otherwise as above.
 */
extern bool learn_field_take_tokens(const LearnField *field, const char *text, size_t size, size_t n, const LearnWord *tokens,
									const char *const *tags, bool stored, void **taken, size_t *taken_size,
									LearnTrouble *trouble);
/*
 * A stored value as the network takes it: planes[i] has the shape of plane i, floats or int32 codes. Missing: zeros. scratch:
 * learn_field_scratch floats, each thread's own.
 */
extern void learn_field_load(const LearnField *field, LearnBytes stored, float *scratch, void *const planes[LEARN_MAX_PLANES],
							 int32_t *length);
extern size_t learn_field_scratch(const LearnField *field);
/*
 * What training sees of a stored value: for a signal in windows (field->stride > 0) one that is drawn, borrowed from it; else the value itself.
 * counter: as learn_augment_counter makes it. The same for all fields of a row.
 */
extern LearnBytes learn_field_window_drawn(const LearnField *field, LearnBytes stored, uint64_t seed, uint64_t counter);

/*
 * What was fitted to a field and is too large for words, as floats that are stored among the weights: 0 of them for most. Reading
 * checks everything: DEV_CORRUPT when the n floats are not what storing writes. The field's dims and kind are known then.
 */
extern size_t learn_field_state_size(const LearnField *field);
extern void learn_field_state_store(const LearnField *field, float *state);
extern DevStatus learn_field_state_load(DevSession *session, LearnField *field, const float *state, size_t n);

/* ---- Split (src/learn/split.c) ---- */

typedef struct LearnSplit
{
	double		validation;		/* shares of the rows (or groups) */
	double		test;
	bool		by_group;
	bool		by_order;		/* the last rows are the test part, those before them validation */
	bool		given;			/* every row came with its part; validation is cut from train when no row names it */
	LearnTask	task;			/* classes, or event, are stratified */
	uint64_t	seed;
} LearnSplit;

/*
 * Deals the rows to their parts, classes to one row exact. Groups stay whole, rows of equal order together: so that the
 * future never leaks, and by_group with by_order puts the groups that end last into the test part. DEV_BAD_DATA for what
 * cannot be learned from: targets that are not finite, one class, fewer rows, groups or moments than parts.
 */
extern DevStatus learn_split(LearnDataset *dataset, const LearnSplit *split, LearnNotes *notes);
/* Fold number of every row of train and validation, (rows), groups kept together; 255 for test rows. */
extern DevStatus learn_folds(LearnDataset *dataset, const LearnSplit *split, int n_folds, uint8_t **fold);
extern void learn_part_sizes(const LearnDataset *dataset, size_t sizes[LEARN_N_PARTS]);

/* ---- Preprocessing (src/learn/fit.c, encode.c) ---- */

typedef struct LearnFit
{
	LearnTask	task;
	int			max_categories; /* known ones kept a channel; below 1: all */
	int			min_count;		/* rarer ones are pooled into "other" */
	bool		warn_leakage;
	int			profile;		/* intervals of each used channel's profile at most (learn_drift.h); 0: none is made */
} LearnFit;

/*
 * Decides which channels are used and learns their statistics from the training part; numbers the inputs.
 * Notes what is left out and which column alone predicts the target almost perfectly.
 */
extern DevStatus learn_fit(LearnDataset *dataset, const LearnFit *fit, LearnNotes *notes, size_t *n_numbers, size_t *n_codes);
/* Regression: replaces targets, and a teacher's answers, by (target - mean) / scale, statistics of the training part's targets. */
extern DevStatus learn_fit_targets(LearnDataset *dataset, double *mean, double *scale);
/* Turns raw chunks into row-major inputs in place; the raw values are gone afterwards. */
extern DevStatus learn_dataset_encode(LearnDataset *dataset);
/* One raw row into inputs: the same arithmetic as the whole data set's. */
extern void learn_encode_row(const LearnChannel *channels, int n_channels, const float *raw, float *numbers, int32_t *codes);
/* The raw value of a scaled number; what a soft scaling brings near 3, the farthest there is, becomes very large. */
extern double learn_unscale_number(const LearnChannel *channel, float scaled);
/* What the bits are that a host has of a number: a double, or a float or an integer in the lower half. */
typedef enum LearnBits
{
	LEARN_BITS_DOUBLE, LEARN_BITS_FLOAT, LEARN_BITS_INT32
} LearnBits;

/* n numbers of one kind into raw values: NaN for what is missing, not finite or too large for a float. */
extern void learn_take_numbers(LearnBits kind, size_t n, const uint64_t *bits, const bool *missing, float *raw);
/* Code of a category at predict time, by the fitted categories; -1 gives zeros. Raw codes are positions in `categories`. */
extern float learn_category_code(const LearnChannel *channel, const char *bytes, size_t size);
/* Makes learn_category_code fast for a channel read from storage; learn_fit does it for its own. */
extern DevStatus learn_channel_index(DevSession *session, LearnChannel *channel);

/* Copies encoded rows by number; any of the destinations may be NULL. */
extern DevStatus learn_dataset_gather(LearnDataset *dataset, const uint32_t *rows, size_t n,
									  float *numbers, int32_t *codes, float *targets);

/* The stored value of a field of one row of an encoded data set; valid until the next call. Main thread only. */
extern DevStatus learn_dataset_field(LearnDataset *dataset, int field, size_t row, LearnBytes *value);

/* Training quantiles of the encoded number inputs: edges (n_numbers, bins + 1), for piecewise embeddings. */
extern DevStatus learn_bin_edges(LearnDataset *dataset, int bins, float *edges);

/* ---- Windows of shuffled rows (src/learn/sampler.c) ---- */

/* rows (n) is borrowed. A window is about 32,768 rows: blocks of neighbours in random order, then shuffled within. */
extern DevStatus learn_sampler_create(LearnDataset *dataset, const uint32_t *rows, size_t n, uint64_t seed, LearnSampler **sampler);
extern void learn_sampler_free(LearnSampler *sampler);	/* NULL is allowed */
extern void learn_sampler_epoch(LearnSampler *sampler, uint64_t epoch);	/* starts epoch's order */
/*
 * From the next epoch on, rows of a window that follow each other within a batch of `batch` have texts of about the same length, so that none
 * is made much longer than it is; batches stay in random order. Nothing changes without texts.
 */
extern DevStatus learn_sampler_group(LearnSampler *sampler, size_t batch);
/* Makes the next window ready; *n = 0 at the end of the epoch. Main thread only. */
extern DevStatus learn_sampler_next(LearnSampler *sampler, size_t *n);
/* Copies `count` rows of the window from position `first`. Any thread. */
extern void learn_sampler_copy(const LearnSampler *sampler, size_t first, size_t count,
							   float *numbers, int32_t *codes, float *targets);
/* The data set's number of row `place` of the window. Any thread. */
extern size_t learn_sampler_row(const LearnSampler *sampler, size_t place);
/* The stored value of a field in row `place` of the window; valid as long as the window is. Any thread. */
extern LearnBytes learn_sampler_field(const LearnSampler *sampler, int field, size_t place);

/* Where batch `i` of n_batches begins in a window of n rows: their sizes differ by one at most. */
static inline size_t
learn_batch_start(size_t n, size_t n_batches, size_t i)
{
	return n / n_batches * i + n % n_batches * i / n_batches;
}

#endif							/* IDLA_LEARN_DATA_H */

/*
 * learn_series.h: what happened to a patient, event by event, into regular bins and statistics.
 *
 * An event is (time, channel, value): a heart rate at 3:07, a lactate at 5:40. Of one entity (a patient, a stay) and one
 * prediction time, only events not after that time are ever used. They become
 *   bins: for each of n_bins stretches of time and each channel its value, whether it was observed, and the time since the
 *         observation before (Che et al., "Recurrent neural networks for multivariate time series with missing values",
 *         2018), the input of a GRU, a convolution or a transformer;
 *   statistics: a handful per channel over all bins, ordinary columns for a tabular network.
 * An entity's events are added in any order, each once, into memory that depends on the plan alone.
 *
 * Times are in one unit, the plan's, seconds for instance. What is told below to need a session runs on the main thread; the rest
 * on any.
 */
#ifndef IDLA_LEARN_SERIES_H
#define IDLA_LEARN_SERIES_H

#include "idla/learn_trouble.h"

#define LEARN_SERIES_MOST_CHANNELS 4096
#define LEARN_SERIES_MOST_CELLS ((size_t) 1 << 24)	/* bins times channels */

typedef struct LearnSeriesChannel
{
	char	   *name;
	/* Fitted on the training part: scaled = soft((value - mean) / deviation), soft(x) = x / sqrt(1 + (x / 3)^2) */
	uint64_t	n;
	double		mean;			/* what stands for a value never observed */
	double		deviation;		/* positive */
} LearnSeriesChannel;

typedef struct LearnSeriesPlan
{
	int			n_channels;
	LearnSeriesChannel *channels;
	double		start;			/* where the first bin begins, relative to the prediction time: negative */
	double		width;			/* of a bin */
	size_t		n_bins;			/* start + width * n_bins must not be positive */
	bool		average;		/* several values in a bin: their mean; else the last */
} LearnSeriesPlan;

/* Statistics of a channel, in this order, and their names: "n", "mean", ... */
typedef enum LearnSeriesStatistic
{
	LEARN_SERIES_N,
	LEARN_SERIES_MEAN,
	LEARN_SERIES_MIN,
	LEARN_SERIES_MAX,
	LEARN_SERIES_FIRST,
	LEARN_SERIES_LAST,
	LEARN_SERIES_SLOPE,			/* least squares, per unit of time; missing without two different times */
	LEARN_SERIES_LAST_TIME,		/* time of the last value, relative to the prediction time: not positive */
	LEARN_SERIES_DEVIATION,		/* of the values (divided by n); missing below two */
	LEARN_SERIES_STATISTICS
} LearnSeriesStatistic;

extern const char *const learn_series_statistic_names[];

/* DEV_INVALID for a plan that cannot be: sizes, a window that reaches beyond the prediction time, unusable statistics. */
extern DevStatus learn_series_plan_check(DevSession *session, const LearnSeriesPlan *plan);
/* Number of the channel of that name, -1 for none. */
extern int	learn_series_channel(const LearnSeriesPlan *plan, const char *name, size_t size);

/* ---- One entity's events ---- */

typedef struct LearnSeriesEntity LearnSeriesEntity;

typedef struct LearnSeriesCounts
{
	uint64_t	used;			/* in the window, or carried into it */
	uint64_t	late;			/* after the prediction time: not looked at */
	uint64_t	missing;		/* NaN */
} LearnSeriesCounts;

/* Memory of the session, reused for one entity after another. plan is borrowed and must have been checked. */
extern DevStatus learn_series_entity_create(DevSession *session, const LearnSeriesPlan *plan, LearnSeriesEntity **entity);
extern void learn_series_entity_free(DevSession *session, LearnSeriesEntity *entity);	/* NULL is allowed */

/* Forgets all and starts over, for a prediction at time `at` (finite). */
extern void learn_series_begin(LearnSeriesEntity *entity, double at);
/*
 * One event. Bins hold their beginning and not their end, but for the last one, to which an event at the window's very end
 * belongs. Events before the window count only as the last value known when it begins. Of two values of a channel at the same
 * time the greater counts as the later one. DEV_BAD_DATA for a time that is not finite or an infinite
 * value, DEV_INVALID for a channel that is none.
 */
extern DevStatus learn_series_add(LearnSeriesEntity *entity, double time, int channel, float value, LearnTrouble *trouble);
extern LearnSeriesCounts learn_series_counts(const LearnSeriesEntity *entity);

/* ---- Bins ---- */

/* Floats of an entity's stored form: (n_bins + 2, n_channels) */
extern size_t learn_series_stored_size(const LearnSeriesPlan *plan);
/* The unscaled bins, NaN where nothing was observed, below the last value before the window and its age in bins. */
extern void learn_series_store(const LearnSeriesEntity *entity, float *stored);
/*
 * Stored form -> network input (n_bins, 3 n_channels): for every bin the channels' scaled values, an unobserved one being the last
 * observed, or the training mean (0) before any; then 1 where observed, else 0; then the time since the observation
 * before this bin, or since the window's beginning, as a share of the window, at most 1.
 */
extern void learn_series_load(const LearnSeriesPlan *plan, const float *stored, float *dst);

/* ---- Statistics ---- */

/* (n_channels, LEARN_SERIES_STATISTICS) of the events in the window, unscaled; NaN is missing. */
extern void learn_series_summarise(const LearnSeriesEntity *entity, float *statistics);
/* ---- Augmentation (src/learn/augment_series.c) ---- */

/* Zeros change nothing. */
typedef struct LearnSeriesAugment
{
	float		channel_dropout;	/* probability of a channel to be as if never observed */
	float		value_dropout;	/* probability of each observed bin to be as if not observed */
	float		jitter;			/* noise added to values, in deviations of the channel */
} LearnSeriesAugment;

/*
 * Changes a stored form in place, before learn_series_load, so that fills and times agree with what is left. The same (seed,
 * stream, counter) makes the same changes; a counter is one use of one example.
 */
extern void learn_series_augment(const LearnSeriesPlan *plan, const LearnSeriesAugment *how,
								 uint64_t seed, uint64_t stream, uint64_t counter, float *stored);

#endif							/* IDLA_LEARN_SERIES_H */

/*
 * learn_model.h: what a model is, as plain data.
 *
 * A LearnModel is everything needed to predict: the channels with their fitted
 * preprocessing, the networks with their weights, the calibration. Training
 * fills one, a predictor (learn_predict.h) reads one, src/pg writes it to and reads it
 * from the model's table. All its memory belongs to one session.
 *
 * Words: a COLUMN is what the user has (age, sex, admitted). A CHANNEL is one
 * raw float of a row: most columns have one, a timestamp has several (days,
 * month, weekday, hour), an array has one an element. An INPUT is what the network sees: a
 * scaled number, a missing indicator or a category code. A FIELD is a column that is more than
 * a few numbers: an image, a signal, a patient's series, a text. The network sees it as planes.
 */
#ifndef IDLA_LEARN_MODEL_H
#define IDLA_LEARN_MODEL_H

#include "idla/learn_image.h"
#include "idla/learn_rocket.h"
#include "idla/learn_series.h"
#include "idla/learn_signal.h"
#include "idla/learn_text.h"
#include "idla/nn.h"

typedef enum LearnTask
{
	LEARN_BINARY,				/* 1 output: logit of the positive class */
	LEARN_MULTICLASS,			/* classes outputs: log probabilities up to a constant */
	LEARN_REGRESSION,			/* targets outputs */
	LEARN_SURVIVAL,				/* 1 output: log hazard ratio */
	LEARN_MULTILABEL,			/* targets outputs: the logit of each label, any number of which may hold */
	LEARN_TAGGING				/* for every token of a text one output a tag: emissions of a CRF, or log probabilities up to a constant */
} LearnTask;

typedef enum LearnChannelKind
{
	LEARN_NUMBER,				/* NaN is missing */
	LEARN_CATEGORY				/* raw value is the dictionary's code, NaN is missing */
} LearnChannelKind;

typedef enum LearnScaling
{
	LEARN_ROBUST,				/* median, interquartile range, then x / sqrt(1 + (x/3)^2) */
	LEARN_STANDARD,				/* mean, standard deviation, no clipping */
	LEARN_QUANTILE,				/* to a normal distribution through training quantiles */
	LEARN_UNSCALED
} LearnScaling;

typedef enum LearnUse
{
	LEARN_USE_AUTO,				/* before fitting: to be decided; after: never seen */
	LEARN_USE_KEEP,				/* before fitting: keep even if it looks like an identifier; after: used */
	LEARN_USE_CONSTANT,			/* left out: one value in the training part */
	LEARN_USE_IDENTIFIER,		/* left out: (nearly) a different value in every row */
	LEARN_USE_EMPTY				/* left out: missing in every training row */
} LearnUse;

typedef struct LearnChannel
{
	char	   *name;			/* "age", "admitted.hour" */
	int			column;			/* which of the user's columns it belongs to */
	LearnChannelKind kind;
	LearnScaling scaling;
	LearnUse	use;

	/* Fitted on the training part */
	double		missing;		/* share of training rows without a value */
	float		minimum;		/* observed range, numbers */
	float		maximum;
	float		fill;			/* raw value that stands for a missing number: the median */
	float		center;			/* scaled = (raw - center) * scale, clipped as scaling says */
	float		scale;
	bool		indicator;		/* a missing indicator is an input too */
	int			n_quantiles;	/* LEARN_QUANTILE: ascending raw values at equal steps of probability */
	float	   *quantiles;
	int			n_categories;	/* LEARN_CATEGORY: the known ones, most frequent first */
	char	  **categories;
	struct LearnProfile *profile;	/* how its values are distributed (learn_drift.h); NULL where nobody asked, or it is not used */
	bool		has_other;		/* rare categories of training were pooled: code n_categories */
	bool		has_missing;	/* a category of its own for NULL: code n_categories + has_other */
	uint32_t    n_lookup;		/* slots of lookup, a power of two; 0: categories are compared one by one */
	int32_t    *lookup;			/* hash table of positions in categories, -1 where empty; learn_channel_index fills it */

	/* Where it went: positions among the inputs, NN_NONE when not used */
	int			number_input;	/* scaled number, in the number inputs */
	int			indicator_input;	/* 0/1, in the number inputs */
	int			code_input;		/* in the code inputs */
} LearnChannel;

/* ---- Fields (src/learn/field.c) ---- */

typedef enum LearnFieldKind
{
	LEARN_IMAGE,				/* pixels (height, width, depth) */
	LEARN_SIGNAL,				/* samples (length, depth) */
	LEARN_SERIES,				/* one entity's observations in bins: (length, depth), NaN where nothing was observed */
	LEARN_TEXT					/* tokens (length) */
} LearnFieldKind;

/* How one number of a field is stored. Eight and sixteen bits stand for 0 to 1. */
typedef enum LearnSample
{
	LEARN_SAMPLE_U8,
	LEARN_SAMPLE_U16,
	LEARN_SAMPLE_F32
} LearnSample;

typedef struct LearnField
{
	char	   *name;			/* the user's column */
	int			column;
	LearnFieldKind kind;
	LearnSample sample;
	size_t		dims[3];		/* image: height, width, depth; signal, series: length, depth; text: length */
	size_t		whole;			/* text: the length of the network of which this is a shorter copy, 0: dims[0] */

	/* How a value of another size is brought to dims */
	bool		same_size;		/* image: values of another size are refused */
	bool		same_depth;		/* image: so are grey ones among colour, and the other way round */
	LearnFitting fitting;		/* image */
	size_t		crop[2];		/* image: height and width of the centred part that is kept first, 0: all */
	LearnCrop	keep;			/* signal: which part of a longer one */
	size_t		stride;			/* signal: samples between two windows of dims[0] each, see windows.h of src/learn; 0: one part is all */
	double		rate;			/* signal: samples a second as they come and as they are stored, both 0: not resampled */
	double		to_rate;
	LearnSignalScaling scaling; /* signal */
	LearnSeriesPlan *series;	/* series: its bins and channels; dims are (n_bins, n_channels) */

	/* Text: dims[0] is the most tokens, 0 before fitting: by what the training part has */
	bool		lowercase;
	size_t		wanted_pieces;	/* pieces of the vocabulary at most, 0: by the number of texts */
	LearnKeep	kept;			/* which tokens of a longer text */
	LearnVocabulary *vocabulary;	/* given, or fitted on the training part; NULL for a tagger */
	float	   *piece_weights;	/* (pieces): log of the inverse document frequency; NULL for a stored model */
	bool		tagged;			/* what a tagger reads: words with their characters, shapes and affixes */
	size_t		characters;		/* of a word */
	LearnLexicon *lexicon;		/* fitted on the training part */
	struct LearnLabels *labels; /* of a tagger, the model's */

	/* Fitted on the training part: what the network sees is (value - center) * scale */
	float	   *center;			/* (depth) */
	float	   *scale;			/* (depth) */
	/*
	 * Signals under architecture rocket: the network sees features in place of samples, each as x = (feature - center) * scale softly
	 * clipped, x / sqrt(1 + (x / 3)^2). Fitted on what would have been seen otherwise. NULL: none.
	 */
	LearnRocket *rocket;
	float	   *feature_center; /* (rocket->n_features) */
	float	   *feature_scale;
} LearnField;

#define LEARN_MAX_PLANES 6

/* One input of the network that a field feeds. */
typedef struct LearnPlane
{
	const char *name;			/* what it adds to the field's name in the graph, "" for the only one */
	bool		codes;
	NnShape		shape;
} LearnPlane;

/* Bytes of a value: of a field in a row, in the form that the place says; NULL: missing. */
typedef struct LearnBytes
{
	const void *bytes;
	size_t		size;
} LearnBytes;

typedef enum LearnArchitecture
{
	LEARN_AUTO,
	LEARN_LINEAR,
	LEARN_MLP,
	LEARN_RESNET,
	LEARN_TABM,
	LEARN_NAM,
	LEARN_CNN,					/* images */
	LEARN_RESNET20,
	LEARN_FCN,					/* signals and other sequences */
	LEARN_LSTM,
	LEARN_GRU,
	LEARN_ROCKET,				/* signals: a linear model on MiniRocket's features */
	LEARN_TRANSFORMER,			/* signals, series, texts, taggers */
	LEARN_BAG,					/* texts: a weighted mean of their pieces */
	LEARN_BILSTM_CRF,			/* taggers */
	LEARN_LAYERS				/* the user's own layer text */
} LearnArchitecture;

typedef enum LearnEmbedding
{
	LEARN_EMBEDDING_AUTO,
	LEARN_EMBEDDING_NONE,
	LEARN_EMBEDDING_PIECEWISE,
	LEARN_EMBEDDING_PERIODIC
} LearnEmbedding;

/* How a Transformer knows where in a sequence something stands. */
typedef enum LearnPositions
{
	LEARN_POSITIONS_AUTO,
	LEARN_POSITIONS_SINUSOID,	/* sines and cosines of fixed frequencies */
	LEARN_POSITIONS_LEARNED,	/* a row of a table for each place */
	LEARN_POSITIONS_TIME,		/* sines and cosines of learned frequencies; of a series, also of the time since its channels were observed */
	LEARN_POSITIONS_NONE
} LearnPositions;

/*
 * A network in words: enough to build its graph again. Zero in a size, NULL in a
 * text and a negative dropout mean "the architecture's default";
 * learn_network_resolve replaces them all, so that a stored one is complete.
 */
typedef struct LearnNetwork
{
	LearnArchitecture architecture;
	char	   *layers;			/* LEARN_LAYERS: "dense(128) relu dropout(0.1)" */
	int			depth;			/* hidden layers or residual blocks */
	int			width;			/* of each */
	int			members;		/* LEARN_TABM */
	int			activation;		/* a DevMap, or -1 */
	float		dropout;
	LearnEmbedding embedding;	/* of the scaled numbers */
	int			bins;			/* piecewise: bins; periodic: frequencies */
	int			embedding_width;
	LearnPositions positions;	/* LEARN_TRANSFORMER */
	bool		tags_alone;		/* LEARN_TAGGING: every token by itself, no CRF over the tags */

	/* What goes in and out */
	size_t		n_numbers;		/* scaled numbers and indicators */
	size_t		n_codes;
	int		   *cardinality;	/* (n_codes): categories of each code input, other and missing included */
	int			n_fields;
	const LearnField *fields;	/* (n_fields) the model's */
	float	   *bin_edges;		/* (n_numbers, bins + 1) for piecewise, else NULL */
	LearnTask	task;
	size_t		n_outputs;
} LearnNetwork;

/* One trained network; a model blends several by the mean of their outputs (logits, values, log hazards). */
typedef struct LearnNet
{
	LearnNetwork network;
	size_t		n_weights;		/* nn_graph_weights of its graph */
	float	   *weights;		/* host memory */
	float	   *baseline;		/* (expanded) mean over training rows of the graph's "features" node */
	size_t		n_features;		/* width of that node */
} LearnNet;

typedef struct LearnModel
{
	LearnTask	task;
	int			n_columns;		/* user's columns, in the source's order */
	char	  **columns;
	int			n_channels;
	LearnChannel *channels;
	int			n_fields;
	LearnField *fields;
	size_t		n_numbers;
	size_t		n_codes;

	int			n_classes;		/* classification: labels in C collation order of the class values */
	char	  **classes;
	int			positive;		/* binary: which class is the positive one */

	int			n_targets;		/* regression: how many; survival: 2 (time, event); else 1 */
	double	   *target_mean;	/* regression: value = output * scale + mean */
	double	   *target_scale;

	int			n_views;		/* of a row, averaged when predicting; below 2: the row as it is */
	const struct LearnAugment *augment;	/* whose ranges the views are drawn from; NULL without views */

	int			n_nets;
	LearnNet   *nets;
	double		temperature;	/* classification: outputs are divided by it; else 1 */
	double	   *offset;			/* classification: added after that (prior correction), n_outputs values */

	struct LearnLabels *labels; /* tagging; scheme LEARN_IOBES */

	int			n_hazard;		/* survival: Breslow's cumulative baseline hazard at event times */
	double	   *hazard_time;
	double	   *hazard;

	const struct LearnConformal *conformal; /* how far off answers may be; NULL: not known */
} LearnModel;

extern size_t learn_model_outputs(const LearnModel *model);

/* Names as the user writes them; the second returns -1 for an unknown name. All lists end with NULL. */
extern const char *const learn_task_names[];
extern const char *const learn_architecture_names[];
extern const char *const learn_scaling_names[];
extern const char *const learn_embedding_names[];
extern const char *const learn_position_names[];
extern const char *const learn_activation_names[];	/* index is not the DevMap; see learn_activation_map */
extern int	learn_name_find(const char *const *names, const char *name);
extern int	learn_activation_map(int index);	/* DevMap of learn_activation_names[index] */
extern const char *learn_activation_name(int map);	/* the way back; NULL for what is no activation */

/* ---- Networks (src/learn/architecture*.c, layer_text.c) ---- */

/* The built graph and the nodes that everyone needs. */
typedef struct LearnGraph
{
	NnGraph    *graph;
	NnNode		numbers;		/* input (n_numbers), NN_NONE when there are none */
	NnNode		codes;			/* codes (n_codes), NN_NONE when there are none */
	NnNode		features;		/* (n_features): numbers, then each code one-hot or embedded: the place explanations start from;
								 * NN_NONE when there are neither */
	NnNode	  (*planes)[LEARN_MAX_PLANES];	/* (n_fields): inputs or codes of each field */
	NnNode	  (*starts)[LEARN_MAX_PLANES];	/* (n_fields): where explanations start: a plane of floats itself, or what its codes
								 * are embedded as; NN_NONE where a plane is none or has none */
	NnNode	   *lengths;		/* (n_fields): codes (1), NN_NONE for images */
	NnNode	   *nudges;			/* (n_fields), with a loss that says so: input that is added to a text's embedded pieces; else NN_NONE */
	NnNode		embedded;		/* what the heads multiply, of LEARN_NAM what they add up: (width), (members, width) or (n_parts, outputs).
								 * NN_NONE for taggers. With a loss it has no value after a pass but under LEARN_LINEAR and LEARN_ROCKET. */
	NnNode	   *maps;			/* (n_fields): (positions, channels) that the last convolution gives, or that the mean is of which
								 * ends the encoder; NN_NONE where there is neither */
	bool	   *map_has_length; /* (n_fields): what counts are the first positions alone, as many as the length says */
	NnNode		heads;			/* raw outputs, (outputs) or (members, outputs) */
	NnNode		output;			/* (outputs): logit, log probabilities, value, log hazard */
	NnNode		target;			/* input; NN_NONE without loss */
	NnNode		loss;			/* (1) */
	NnParameter crf[3];			/* tagging: transitions, start, end; all zero, and never anything else, where tokens stand alone */
	NnNode		shares;			/* tagging, tokens alone: (length, outputs) how probable each tag of each token is; NN_NONE with a CRF */
	/* Where channel c's values lie in the features node: number_first = number_input; codes: */
	size_t	   *code_first;		/* (n_codes) */
	size_t	   *code_width;		/* (n_codes) */
	/* additive networks: (columns of features -> part); NN_NONE otherwise */
	NnNode		parts;			/* (n_parts, outputs) before they are summed, LEARN_NAM only */
} LearnGraph;

typedef struct LearnLoss
{
	const float *class_weights; /* (classes) or NULL */
	float		smoothing;
	bool		soft;			/* classes: the target is a share of each, an input of (classes) */
	float		huber;			/* regression: delta, 0 for squared error */
	bool		nudged;			/* embedded texts can be moved: adversarial training */
} LearnLoss;

/* Fills defaults by task, shape and n_rows; LEARN_AUTO becomes a named architecture. DEV_INVALID for what cannot be. */
extern DevStatus learn_network_resolve(DevSession *session, LearnNetwork *network, size_t n_rows);
/* What LEARN_AUTO would become; any other architecture is itself. */
extern LearnArchitecture learn_network_pick(const LearnNetwork *network, size_t n_rows);
/* loss NULL: a graph to predict with only. */
extern DevStatus learn_network_build(DevSession *session, const LearnNetwork *network, const LearnLoss *loss, LearnGraph *built);
/* "tabm: 32 members of 3 x 64, piecewise-linear numbers (16 bins)", for the card; in the session's memory */
extern char *learn_network_words(DevSession *session, const LearnNetwork *network);

#endif							/* IDLA_LEARN_MODEL_H */

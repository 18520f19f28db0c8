/*
 * idla.h: what the files of src/pg share. The only storey that knows PostgreSQL.
 *
 * Order of a training call: train.c reads options (option.c), plans columns
 * (column.c), runs the source into a data set (rows.c, reading.c, decode.c), trains in the
 * engine, and writes one version (manifest.c, catalog.c). A predicting call, of a row by itself
 * (predict.c) or of many (batch_scan.c): served.c finds the version that the snapshot sees
 * (version.c) in memory (load.c), decode.c takes the row apart, the engine is asked, and
 * answer.c says what came out.
 */
#ifndef IDLA_H
#define IDLA_H

#include "compat.h"

#include "access/tupdesc.h"
#include "executor/tuptable.h"
#include "storage/lockdefs.h"
#include "utils/jsonb.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

#include "idla/learn_data.h"
#include "idla/learn_metrics.h"
#include "idla/learn_model.h"
#include "idla/learn_predict.h"
#include "idla/learn_rounding.h"
#include "idla/learn_train.h"
#include "idla/learn_trouble.h"

typedef struct IdlaWork IdlaWork;

/* ---- error.c: the one place where engine failures become ereport ---- */

/* Raises the session's recorded failure with the SQLSTATE that fits; DEV_CANCELLED and DEV_HOST re-throw what the host caught. */
extern void idla_raise(IdlaWork *work) pg_attribute_noreturn();
/* Raises unless status is DEV_OK. */
#define idla_check(work, status) do { if ((status) != DEV_OK) idla_raise(work); } while (0)
/* A copy of a text that may have been cut within a character, as the engine cuts names: what is none becomes "?", or clients could not read it. */
extern char *idla_whole_characters(const char *text);
/* The same for what a reader without a session complains of; its status is not DEV_OK. */
extern void idla_raise_trouble(const LearnTrouble *trouble) pg_attribute_noreturn();
/* NOTICE and WARNING for every note, then empties the list. */
extern void idla_report_notes(LearnNotes *notes);
/* The valid name nearest to `name` by edit distance, NULL when none is near; names ends with NULL. */
extern const char *idla_nearest(const char *name, const char *const *names);
/* "a, b and c" for a HINT; palloc'd */
extern char *idla_list(const char *const *names);

/* ---- work.c: an engine session tied to a memory context ---- */

/*
 * A session whose memory is palloc'd in a context of its own below `parent` (named, so that it shows in
 * pg_backend_memory_contexts) and closed by that context's reset: error, cancel and end of query all free it.
 * The cancel callback runs CHECK_FOR_INTERRUPTS and keeps a caught error for idla_raise.
 */
struct IdlaWork
{
	DevSession *session;
	MemoryContext context;		/* the session's memory; delete it to close */
	ErrorData  *caught;			/* error a callback caught, or NULL */
};

extern IdlaWork *idla_work_open(MemoryContext parent, const char *name, uint64 seed, Size memory_limit);
extern void idla_work_close(IdlaWork *work);
/* dev_alloc and dev_strdup of its session, or an ERROR; NULL stays NULL. */
extern void *idla_keep(IdlaWork *work, size_t count, size_t size);
extern char *idla_keep_string(IdlaWork *work, const char *text);

/* ---- column.c: how a source's columns become channels ---- */

typedef enum IdlaKind
{
	IDLA_NUMBER,				/* all numeric types, money excluded */
	IDLA_BOOLEAN,				/* a number 0 or 1 */
	IDLA_CATEGORY,				/* text, varchar, char, enum, uuid by option */
	IDLA_DATE,					/* parts, or days since the reference column */
	IDLA_TIMESTAMP,
	IDLA_TIMESTAMPTZ,			/* taken in UTC, so that no session setting changes an answer */
	IDLA_TIME,
	IDLA_INTERVAL,				/* seconds, a month being 30 days and a day 24 hours */
	IDLA_ARRAY,					/* numbers, fixed length */
	IDLA_IMAGE,					/* bytea of a PNG, JPEG or DICOM file; an array of two or three dimensions */
	IDLA_SIGNAL,				/* an array (samples) or (leads, samples) of any length */
	IDLA_TEXT,					/* free text */
	IDLA_SERIES,				/* an entity's events in bins; made of long rows, see series.h */
	IDLA_SUMMARY				/* statistics of one channel of them */
} IdlaKind;

typedef struct IdlaColumn
{
	char	   *name;
	Oid			type;			/* base type, domains looked through */
	char	   *type_name;		/* for messages and the card */
	IdlaKind	kind;
	char	   *reference;		/* date and time kinds: name of the column they are counted from, or NULL */
	Oid			reference_type; /* its base type; InvalidOid in models that do not tell */
	int			array_length;	/* IDLA_ARRAY */
	int			first_channel;
	int			n_channels;		/* 0 for images, signals and texts: they are ... */
	int			field;			/* ... this field, -1 for all others */
} IdlaColumn;

typedef struct IdlaColumns
{
	int			n;
	IdlaColumn *columns;
	int			n_channels;
	LearnChannel *channels;
	int			n_fields;
	LearnField *fields;
	struct IdlaSeries *series;	/* the rows are gathered from long ones; NULL: they are not */
} IdlaColumns;

/* ---- decode.c: a tuple into channels ---- */

typedef struct IdlaDecoder IdlaDecoder;

/*
 * Maps the model's columns to desc's attributes by name. A missing or retyped column is an ERROR that lists the
 * names; extra attributes are ignored. dataset NULL: categories by the fitted channels (predicting), else interned.
 */
extern IdlaDecoder *idla_decoder_create(const IdlaColumns *columns, TupleDesc desc, LearnDataset *dataset, IdlaWork *work);
/*
 * raw (n_channels) from a deformed tuple; NULL, NaN and infinities are missing (NaN). fields (n_fields): taken when there is
 * a data set, stored otherwise; the decoder's memory, valid until the next call. False when a value is bad and `soft`;
 * idla_decode_trouble then says what. Otherwise that is an ERROR.
 */
extern bool idla_decode(IdlaDecoder *decoder, const Datum *values, const bool *isnull, float *raw, LearnBytes *fields, bool soft);
/* What n fields point to is copied into context: they outlive the decoder's next call. */
extern void idla_fields_keep(LearnBytes *fields, int n, MemoryContext context);
/* What was taken already for the next row: (n_fields), field NULL where nothing was; NULL for none. */
extern void idla_decoder_give(IdlaDecoder *decoder, const LearnTaking *given);
/* The model is a tagger: its only field's tags are the attribute of that number and base type. */
extern void idla_decoder_tags(IdlaDecoder *decoder, int attribute, Oid type);
/* The column and the reason of the last bad value. */
extern const char *idla_decode_trouble(const IdlaDecoder *decoder);
/* How many attributes of a tuple, from the first on, it needs deformed. */
extern int	idla_decoder_width(const IdlaDecoder *decoder);
/* numeric -> double from its digits, without text; correctly within 1 ulp of float8 */
extern double idla_numeric_to_double(Datum numeric);
/* any numeric, boolean, date or time datum as a double: targets, order_by */
extern double idla_datum_to_double(Datum value, Oid type);

/* ---- manifest.c, safetensors.c: a model as jsonb and bytes ---- */

typedef struct IdlaModel
{
	LearnModel	learn;			/* the engine's part */
	IdlaColumns columns;		/* learn.channels == columns.channels */
	IdlaWork   *work;			/* owns all of it */
	Jsonb	   *card;
	Jsonb	   *manifest;
	char		digest[65];		/* SHA-256 of the weights, hex */
	LearnPrecision precision;	/* that the weights are stored in, and rounded to */
	char	   *time_column;	/* survival: names of the target columns */
	char	   *event_column;
	char	   *entity;			/* tagging, one token a row: its sentence and its position there; NULL otherwise */
	char	   *position;
	char	   *target;			/* as the user gave it */
	Oid			subgroup_type;	/* base type of the column that tells subgroups apart; InvalidOid where that is not told, or not a built-in one */
	int			n_answers;		/* while it is trained: distributions of its answers, see profile.h; 0: none */
	struct LearnProfile *answers;
} IdlaModel;

/* jsonb of everything in model->learn and model->columns but the weights; `extra` (options used, split, source ...) is merged in. */
extern Jsonb *idla_manifest_build(const IdlaModel *model, Jsonb *extra);
/*
 * Fills learn and columns from untrusted jsonb and bytes: every size, bound, name and digest is checked, failures are
 * ERRORs (data_corrupted).
 */
extern void idla_manifest_read(IdlaModel *model, Jsonb *manifest, const char *weights, Size size);
/*
 * All nets' parameters as one safetensors image, names "net0/block0.linear.weights"; palloc'd, may exceed 1 GB. metadata: "" for what is
 * stored, or more of its __metadata__, JSON in UTF-8 that begins with a comma.
 */
extern char *idla_weights_write(const IdlaModel *model, const char *metadata, Size *size);
extern void idla_sha256(const void *bytes, Size size, char hex[65]);

/* ---- catalog.c: the model's table ---- */

#define IDLA_CHUNK_SIZE (4 * 1024 * 1024)	/* bytes of weights a row */

/* What runs until AtEOXact_GUC(false, what this returns) resolves nothing through the caller's search_path. */
extern int	idla_pin_search_path(void);
/* InvalidOid when no such table; ERROR when the name is taken by something that is not a model (constraint idla_model). */
extern Oid	idla_model_lookup(const char *name);
extern bool idla_is_model(Oid relid);
/* The same of a relation that is locked, without reading the catalog; false may be wrong. */
extern bool idla_is_marked(Oid relid);
/* For messages: the table's name, "?" when it is gone. */
extern const char *idla_model_name(Oid relid);
/* For queries and records: schema and name, quoted. ERROR when it is gone, as a source's own functions may have it in the middle of a command. */
extern const char *idla_qualified_name(Oid relid);
/* Creates the table when missing, draws the next version under a lock with a fresh snapshot, writes all rows. Returns the version. */
extern int	idla_version_write(const char *name, Jsonb *card, Jsonb *manifest, const char *weights, Size size,
							   bool deploy, Oid *relid, bool *in_service);

typedef enum IdlaRight
{
	IDLA_RIGHT_PREDICT,			/* SELECT on version, in_service, card */
	IDLA_RIGHT_COPY,			/* SELECT on manifest, weights too */
	IDLA_RIGHT_TRAIN,			/* INSERT */
	IDLA_RIGHT_DEPLOY			/* UPDATE on in_service */
} IdlaRight;
/* ERROR (insufficient_privilege) naming what to GRANT; refuses tables whose row security applies to the caller. */
extern void idla_model_require(Oid relid, IdlaRight right);

/* ---- version.c: reading the rows of a model's table ---- */

/* A model's table, opened and its columns found by name and checked for their types. */
typedef struct IdlaTable
{
	Relation	relation;
	AttrNumber	version;
	AttrNumber	chunk;
	AttrNumber	in_service;
	AttrNumber	card;
	AttrNumber	manifest;
	AttrNumber	weights;
} IdlaTable;

/* The first row (chunk 0) of one version; jsonb detoasted and palloc'd */
typedef struct IdlaVersion
{
	int			version;
	bool		in_service;
	Jsonb	   *card;
	Jsonb	   *manifest;		/* NULL unless asked for */
} IdlaVersion;

/* False, and nothing open, when the table does not look like a model's and `soft`; ERROR otherwise. */
extern bool idla_table_open(IdlaTable *table, Oid relid, LOCKMODE mode, bool soft);
extern void idla_table_close(IdlaTable *table);	/* keeps the lock */
/* All versions that snapshot sees, ascending; palloc'd array. Cards are read only when asked for. */
extern IdlaVersion *idla_table_versions(const IdlaTable *table, Snapshot snapshot, bool cards, int *n);
/*
 * Deployments, in the order of their numbers: rows of the model's table whose chunk is -number, with a card
 * {"event": "service" | "withdrawn" | "trial" | "shadow", "share", "replaces", "by", "at"}.
 */
typedef struct IdlaDeployment
{
	int64		number;			/* from 1; 0: there is none */
	int			version;
	Jsonb	   *card;			/* palloc'd; NULL, or anything, where somebody changed the row */
} IdlaDeployment;

extern IdlaDeployment *idla_table_deployments(const IdlaTable *table, Snapshot snapshot, int *n);
/*
 * Number of the version in service, -1 when none is, and the latest event and what idla_log said last, unless these are NULL. Several in service
 * are an ERROR, or -2 when `soft`.
 */
extern int	idla_table_in_service(const IdlaTable *table, Snapshot snapshot, IdlaDeployment *latest, IdlaDeployment *log, bool soft);
/* What idla_log said last: a row whose version is 0 and whose chunk is -number, with a card {"event": "log", "share", "key", "by", "at"}. */
extern void idla_table_log(const IdlaTable *table, Snapshot snapshot, IdlaDeployment *log);

/* ---- deploy.c ---- */

/* Is a candidate on trial after this event? The share of rows that it answers, 0 in the shadow; below 0: no. */
extern double idla_deployment_share(const IdlaDeployment *event);
/* A row of the model's table with a card and without weights, written as its owner, who need not be the caller. */
extern void idla_event_write(Oid relid, int version, int64 number, Jsonb *card);
/* Leaves an event, under the lock that version_write and idla_deploy hold; replaces below 1: nothing. */
extern void idla_deployment_write(Oid relid, Snapshot snapshot, int version, const char *what, double share, int replaces);

/* Does snapshot see that version? */
extern bool idla_table_has(const IdlaTable *table, Snapshot snapshot, int version);
/* One version with card and manifest; false when snapshot does not see it. */
extern bool idla_table_version(const IdlaTable *table, Snapshot snapshot, int version, IdlaVersion *found);
/* Its manifest, palloc'd; NULL when snapshot does not see the version, or it has none. */
extern Jsonb *idla_table_manifest(const IdlaTable *table, Snapshot snapshot, int version);
/*
 * Tells the row versions that make up a version apart from all others that ever were in this table; changes with any
 * update of them. 0 when they have no identity, or there are none.
 */
extern uint64 idla_table_identity(const IdlaTable *table, Snapshot snapshot, int version);
/* How many bytes that will be, without reading them. */
extern Size idla_table_weights_size(const IdlaTable *table, Snapshot snapshot, int version);
/* All chunks of a version's weights in one piece, palloc'd (huge); ERROR when one is missing. */
extern char *idla_table_weights(const IdlaTable *table, Snapshot snapshot, int version, Size *size);

/* ---- load.c: models in memory ---- */

/*
 * The version in service that `snapshot` sees (version < 0), or the one asked for. Checks the caller's right to predict.
 * Loaded weights are kept per backend by digest, least recently used out beyond idla.model_cache.
 * The result is pinned for the life of `owner`, a context of the caller's.
 */
typedef struct IdlaLoaded
{
	IdlaModel  *model;
	LearnPredictor *predictor;
	Size		shared;			/* bytes of weights that other sessions use too, 0: none */
	int			n_users;		/* places in this session's running queries that had it when it was loaded, this one too */
	int			version;
	Oid			relid;
	int			candidate;		/* of the version in service: the one on trial beside it, or 0 */
	double		share;			/* of rows that it answers, 0 in the shadow */
	double		log_share;		/* of rows whose answers are logged, 0: none */
	char	   *log_key;		/* the column that names a row in the log, or NULL */
} IdlaLoaded;

/* Who answers for a model, and what is done with the answers. */
typedef struct IdlaService
{
	int			version;
	uint64		identity;		/* idla_table_identity of it */
	int			candidate;		/* of the version in service: the one on trial beside it, or 0 */
	double		share;			/* of rows that it answers, 0 in the shadow */
	double		log_share;		/* of rows whose answers are logged, 0: none */
	char		log_key[NAMEDATALEN];	/* the column that names a row in the log, or "" */
} IdlaService;

/*
 * What snapshot sees of that, version as in idla_load. False when no version is in service; when several are, that is an ERROR, or false too when
 * `soft`. Whether there is the version that was asked for is not looked at. (service.c)
 */
extern bool idla_service_find(const IdlaTable *table, Snapshot snapshot, int version, bool soft, IdlaService *service);
/* ERROR unless relid is a model's table. */
extern void idla_require_model(Oid relid);
extern IdlaLoaded *idla_load(Oid relid, int version, Snapshot snapshot, MemoryContext owner);
/* The same, and makes room for large weights among those that all sessions share, even where they were in use a moment ago. */
extern IdlaLoaded *idla_load_shared(Oid relid, int version, Snapshot snapshot, MemoryContext owner);
/* ERROR for a version that snapshot does not see (below 0: the one in service), with those it does. */
extern void idla_version_missing(const IdlaTable *table, Snapshot snapshot, int version) pg_attribute_noreturn();

/* A model that this session has in memory. */
typedef struct IdlaCached
{
	Oid			relid;			/* the table that it was last found in */
	int			version;
	const char *digest;			/* of its weights */
	Size		bytes;
	bool		in_use;
	TimestampTz loaded_at;
	uint64		n_uses;			/* statements that asked for it */
} IdlaCached;

/* Most recently used first. */
extern void idla_cache_walk(void (*take) (void *context, const IdlaCached *cached), void *context);
/* Lets go of the versions of a model, InvalidOid: of all models, that no running query uses; returns how many. */
extern int	idla_cache_evict(Oid relid);

/* ---- site.c: what one call of the predict family in a query keeps between rows ---- */

typedef struct IdlaSite
{
	IdlaLoaded *loaded;
	IdlaModel  *model;			/* == loaded->model */
	float	   *raw;			/* (n_channels) of the row just decoded */
	LearnBytes *fields;			/* (n_fields) */
	double	   *scores;			/* (outputs), to work with */
	float	   *embedding;		/* the caller's, in context: gets the row's embedding with its scores; NULL: not wanted */
	Datum	   *values;			/* of the row just decoded, by attribute of desc; they point into the row */
	bool	   *isnull;
	TupleDesc	desc;			/* the site's copy */
	MemoryContext context;		/* reset when another version is loaded: what the caller derives from the model goes here */
	void	   *derived;		/* the caller's own, in context; NULL after such a reset */
	const struct IdlaTrial *trial;	/* the candidate beside it, or NULL */
	const double *trial_answers;	/* after idla_site_answers: the answers to give, of the candidate; NULL: those of the model */
	void	   *derived_trial;	/* as derived, of the candidate */
	bool		logged;			/* answers may have to be logged: ask idla_site_wants */
} IdlaSite;

/*
 * The model that this call's snapshot sees, loaded, and the record decoded into site->raw. version as in idla_load. Looks
 * the version up again only when snapshot, transaction or user changed. fn_extra of fcinfo's function belongs to it. NULL for
 * a bad value when `soft`; else that is an ERROR.
 */
extern IdlaSite *idla_site_row(FunctionCallInfo fcinfo, Oid relid, int version, HeapTupleHeader row, bool soft);
/*
 * The same for a row that comes as arguments: names_argument is a text array, and its names belong to the arguments after it.
 */
extern IdlaSite *idla_site_arguments(FunctionCallInfo fcinfo, Oid relid, int version, int names_argument, bool soft);
/* Of an ErrorContextCallback: which row it is about, by a uint64. (The batch node uses it too.) */
extern void idla_row_context_callback(void *number);
/* Argument `number` as a version: -1, the one in service, for NULL. */
extern int	idla_version_argument(FunctionCallInfo fcinfo, int number);
/* The version, when it may be one; else an ERROR. */
extern int	idla_version_check(int version);
/* Scores of the row just decoded: what learn_predict_scores gives, in site->scores. */
extern double *idla_site_scores(IdlaSite *site);
/* learn_scores_to_answers of them, in the same place; NULL for a row whose score is not finite when `soft`. */
extern double *idla_site_answers(IdlaSite *site, bool soft);
/* Is the row just decoded to be logged? Then its key, palloc'd or NULL. */
extern bool idla_site_wants(IdlaSite *site, char **key);
/* Logs an answer to it, of the model or of its candidate; call, served: see log.h. */
extern void idla_site_log(IdlaSite *site, int call, bool candidate, bool served, const char *key, Datum answer, bool isnull);
/* What the user named: a class, a target. ERROR with the valid names for an unknown one. */
extern int	idla_output_find(const IdlaModel *model, const char *name);
/* Names of a model's outputs: classes, or targets; NULL-terminated, palloc'd. One output: the target's. */
extern const char **idla_output_names(const IdlaModel *model);
/* How many numbers idla_embed gives for a row; 0 for a model that has none, or too many. A card says it. (embed.c) */
extern int64 idla_embedding_count(const IdlaModel *model);
/* Shares of a card; NULL or false when the card has no such scalar. */
extern char *idla_card_text(Jsonb *card, const char *key);
extern bool idla_card_number(Jsonb *card, const char *key, double *value);

/* ---- views.c ---- */

/* May the caller read a model's card? False also for a table that went away meanwhile. */
extern bool idla_model_may_see(Oid relid);
extern Oid	idla_model_owner(Oid relid);	/* InvalidOid for one that went away */

/* ---- rows.c: the rows of a table, view or SELECT, one by one ---- */

typedef struct IdlaRows IdlaRows;

/* Opens it with the caller's rights and search_path. ERROR for what is no source, and for duplicate column names. */
extern IdlaRows *idla_rows_open(const char *source);
/* The table or view that a source names; InvalidOid for a SELECT. */
extern Oid	idla_rows_relation(const char *source);
/* A source as a query that may stand in parentheses; palloc'd. */
extern char *idla_rows_query(const char *source);
extern TupleDesc idla_rows_desc(IdlaRows *rows);
/* Calls take for every row, in memory that is emptied every few rows; returns their number. */
extern uint64 idla_rows_read(IdlaRows *rows,
							 void (*take) (void *context, const Datum *values, const bool *isnull), void *context);
/* The same for at most so many of them; the next call goes on. */
extern uint64 idla_rows_read_some(IdlaRows *rows, long most,
								  void (*take) (void *context, const Datum *values, const bool *isnull), void *context);
extern void idla_rows_close(IdlaRows *rows);
/* Opens it with rows of equal values in the column beside each other. */
extern IdlaRows *idla_rows_open_ordered(const char *source, const char *column);
/* The different texts of a column in rows where `value` is not NULL, in C order; palloc'd */
extern char **idla_rows_words(const char *source, const char *column, const char *value, int *n);

/* ---- judge.c: how good a model's answers are; used by idla_train, idla_evaluate and idla_importance ---- */

typedef struct IdlaMetric
{
	const char *name;			/* "auroc", "log_loss" ...: as in idla_evaluate and in the card */
	double		value;			/* NaN when undefined, as the interval then is */
	double		low;			/* 95 % confidence interval */
	double		high;
	uint64		n;				/* rows it was computed on */
} IdlaMetric;

/*
 * The metrics of model->task, the leading one first (auroc, accuracy, rmse, concordance); an array palloc'd in the
 * current context, *n_metrics long. scores (n, outputs) as learn_predict_scores gives them; targets (n, n_targets): 1 for
 * the positive class and 0 for the other, the class number, the values in the user's unit, or time and event. Neither is changed.
 * threshold: the probability from which the positive class of a binary model is named.
 */
extern IdlaMetric *idla_judge(IdlaWork *work, const LearnModel *model, size_t n, const double *scores,
							  const double *targets, double threshold, int *n_metrics);
/* Per label precision, recall, F1 and support, answers and targets (n, labels), one half being yes; averages: micro, macro, by support. */
extern void idla_label_report(size_t n, size_t n_labels, const double *answers, const double *targets,
							  LearnClassScore *scores, LearnClassScore averages[3]);
/* The class named for one row's answers; threshold as above. */
extern uint32_t idla_likeliest_class(const LearnModel *model, const double *answers, double threshold);
/* Whether the likeliest class is not likely enough to be named: its probability is below `least`. */
extern bool idla_abstains(const LearnModel *model, const double *answers, double least);
/* The class number behind a target as above. */
extern uint32_t idla_class_of_target(const LearnModel *model, double target);
/* A float8 as jsonb with every bit of it; NaN and infinities become null */
extern JsonbValue idla_json_number(double value);
extern void idla_json_push_number(JsonbParseState **state, const char *key, double value);
/* {"auroc": {"value": .., "low": .., "high": .., "n": ..}, ...} for the card; NaN becomes null */
extern Jsonb *idla_metrics_jsonb(const IdlaMetric *metrics, int n_metrics);

/* ---- progress.c ---- */

extern void idla_progress_start(const char *model, const char *phase);
extern void idla_progress_update(const LearnProgress *progress, uint64 rows_read);
extern void idla_progress_end(void);	/* also from an abort callback */

/* ---- module.c: settings ---- */

extern int	idla_threads;		/* idla.threads, 0: all this process may use */
extern int	idla_train_memory;	/* idla.train_memory, kB */
extern int	idla_model_cache;	/* idla.model_cache, kB */
extern bool idla_progress_notices;	/* idla.progress */
extern bool idla_batch_predict; /* idla.batch_predict */
extern int	idla_batch_rows;	/* idla.batch_rows */

typedef enum IdlaBadInput
{
	IDLA_BAD_INPUT_ERROR,
	IDLA_BAD_INPUT_NULL			/* the answer for a row with a value that cannot be read is NULL */
} IdlaBadInput;

extern int	idla_on_bad_input;	/* idla.on_bad_input, an IdlaBadInput */

/* ---- image.c ---- */

/* Pixels (height, width, depth) in [0, 1] as a PNG of eight or, wide, sixteen bits; palloc'd. */
extern bytea *idla_png(const float *pixels, size_t height, size_t width, int depth, bool wide);

#endif							/* IDLA_H */

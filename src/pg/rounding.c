/*
 * rounding.c: a version of a model again, in weights that take less room.
 *
 * The rounded weights are written, read again by what distrusts them, and asked about every row of the source beside the version that they were made of;
 * what the two say and how well is told, and kept with the new version. Only then is it written. Preprocessing, calibration, thresholds, conformal
 * scores and profiles are the old version's: how far they fit the new one is what is measured.
 */
#include "rounding.h"

#include <math.h>

#include "conformal.h"
#include "exchange.h"
#include "judging.h"
#include "serve.h"
#include "tokens.h"

#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#define BATCH 256				/* rows that the rounded model answers at once; fewer of images and their like */
#define FIELD_BATCH 16
#define COVERAGE 0.9			/* that intervals and sets of classes are measured at */

/* The rounded model while it is compared. */
typedef struct Rounded
{
	IdlaModel  *model;
	IdlaLoaded	loaded;			/* as if it had been */
	Jsonb	   *card;			/* of the version that it was made of */
	Jsonb	   *manifest;
	char	   *weights;
	Size		size;
	Size		size_before;

	double	   *scores;			/* (capacity, outputs): of the rows that are judged */
	size_t		capacity;

	/* Intervals and sets of classes; NULL where the model has none, or the source does not tell subgroups apart that it does */
	IdlaConformal *conformal;
	TupleDesc	desc;
	int		   *places;			/* (n_places): which scores a row is judged by */
	size_t		n_places;
	size_t		most_places;
} Rounded;

/* What came out. */
typedef struct Comparison
{
	size_t		n;				/* rows; sentences of a tagger */
	IdlaMetric *before;			/* (n_metrics) */
	IdlaMetric *after;
	int			n_metrics;
	bool		has_difference; /* of answers, in their unit: a tagger's are none */
	double		mean;
	double		largest;
	size_t		reclassified;	/* rows that are put into another class */
} Comparison;

LearnPrecision
idla_precision_find(const char *name)
{
	int			found = learn_name_find(learn_precision_names, name);
	const char *nearest = idla_nearest(name, learn_precision_names);

	if (found < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown weights \"%s\"", name),
				 nearest != NULL ? errhint("Perhaps you meant \"%s\". Valid are %s.", nearest, idla_list(learn_precision_names)) :
				 errhint("Valid are %s.", idla_list(learn_precision_names))));
	return (LearnPrecision) found;
}

/* ---- what can be rounded ---- */

static void
check_source(LearnPrecision precision, const char *source)
{
	if (precision == LEARN_FLOAT32 && source != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is a source, and nothing to measure on it"),
				 errdetail("Its rows tell what rounding the weights costs."),
				 errhint("Say weights => 'bfloat16' or 'int8' too, or judge the version with idla_evaluate.")));
	if (precision != LEARN_FLOAT32 && source == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("weights in %s need a source", learn_precision_names[precision]),
				 errdetail("What rounding costs is measured, and recorded with the new version."),
				 errhint("Say source => 'a table, view or SELECT' with the target, best of rows that training has not seen.")));
}

static void
check_version(const IdlaLoaded *loaded)
{
	LearnPrecision stored = loaded->model->precision;

	if (stored != LEARN_FLOAT32)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("version %d of model \"%s\" has its weights in %s", loaded->version, idla_model_name(loaded->relid),
						learn_precision_names[stored]),
				 errdetail("Only weights in float32 can be rounded; what rounding took away does not come back."),
				 errhint("Take the version that it was made of: its card tells under \"rounding\" which.")));
}

/* ---- the rounded model ---- */

static IdlaModel *
open_model(MemoryContext parent, const char *name)
{
	IdlaWork   *work = idla_work_open(parent, name, 0, 0);
	IdlaModel  *model = MemoryContextAllocZero(work->context, sizeof(IdlaModel));

	model->work = work;
	return model;
}

static Jsonb *
join(Jsonb *one, const char *more)
{
	return DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(one), JsonbPGetDatum(idla_json_parse(more))));
}

/* The manifest with what is added to it, and its digest. */
static Jsonb *
seal(Jsonb *manifest, const char *more)
{
	Jsonb	   *changed = join(manifest, more);
	char		hex[65];

	idla_manifest_digest(changed, hex);
	return join(changed, psprintf("{\"sha256\":\"%s\"}", hex));
}

/* The weights of the version as stored, rounded. */
static void
round_weights(Rounded *rounded, const IdlaLoaded *base, LearnPrecision precision)
{
	Snapshot	snapshot = GetActiveSnapshot();
	IdlaModel  *model = open_model(CurrentMemoryContext, "idla rounding");
	IdlaTable	table;
	IdlaVersion found;
	char	   *weights;

	idla_table_open(&table, base->relid, NoLock, false);
	if (!idla_table_version(&table, snapshot, base->version, &found))
		idla_version_missing(&table, snapshot, base->version);
	weights = idla_table_weights(&table, snapshot, base->version, &rounded->size_before);
	idla_table_close(&table);
	rounded->card = found.card;
	rounded->manifest = found.manifest;
	idla_manifest_read(model, found.manifest, weights, rounded->size_before);
	pfree(weights);
	idla_weights_round(model, precision);
	rounded->weights = idla_weights_write(model, "", &rounded->size);
	idla_work_close(model->work);
}

static char *
description(const Rounded *rounded, LearnPrecision precision)
{
	StringInfoData out;
	char		hex[65];

	idla_sha256(rounded->weights, rounded->size, hex);
	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	idla_json_put_integer(&out, "format", IDLA_FORMAT);
	idla_json_put_string(&out, "weights", learn_precision_names[precision]);
	idla_json_put_string(&out, "weights_sha256", hex);
	appendStringInfoChar(&out, '}');
	return out.data;
}

/* Read as it will be stored, by what distrusts it. */
static void
load_rounded(Rounded *rounded, const IdlaLoaded *base)
{
	IdlaModel  *model = open_model(CurrentMemoryContext, "idla rounded");

	model->card = rounded->card;
	model->manifest = rounded->manifest;
	idla_manifest_read(model, rounded->manifest, rounded->weights, rounded->size);
	rounded->model = model;
	rounded->loaded = *base;
	rounded->loaded.model = model;
	idla_check(model->work, learn_predictor_create(model->work->session, &model->learn, model->learn.n_fields > 0 ? FIELD_BATCH : BATCH,
												   &rounded->loaded.predictor));
}

/* ---- comparing ---- */

/* The same rows, asked of the rounded model. */
static void
look(void *context, const IdlaJudging *judging, size_t n)
{
	Rounded    *rounded = context;
	size_t		n_outputs = learn_model_outputs(judging->learn);

	if (rounded->scores == NULL)
		rounded->scores = MemoryContextAllocHuge(judging->work->context, judging->capacity * n_outputs * sizeof(double));
	else if (rounded->capacity < judging->capacity)
		rounded->scores = repalloc_huge(rounded->scores, judging->capacity * n_outputs * sizeof(double));
	rounded->capacity = judging->capacity;
	idla_check(rounded->model->work,
			   learn_predict_scores(rounded->loaded.predictor, n, judging->raw, judging->fields,
									rounded->scores + judging->n_scored * n_outputs));
}

static void
begin_places(void *context, TupleDesc desc)
{
	Rounded    *rounded = context;
	const LearnConformal *learned = rounded->model->learn.conformal;

	if (learned == NULL || (learned->by != NULL && idla_attribute_find(desc, learned->by) < 0))
		return;
	rounded->conformal = idla_conformal_create(&rounded->loaded, rounded->model->learn.task == LEARN_REGRESSION, rounded->model->work->context);
	rounded->desc = desc;
	rounded->most_places = 1024;
	rounded->places = MemoryContextAlloc(rounded->model->work->context, rounded->most_places * sizeof(int));
}

static void
keep_place(void *context, const Datum *values, const bool *isnull)
{
	Rounded    *rounded = context;

	if (rounded->conformal == NULL)
		return;
	if (rounded->n_places == rounded->most_places)
	{
		rounded->most_places *= 2;
		rounded->places = repalloc_huge(rounded->places, rounded->most_places * sizeof(int));
	}
	rounded->places[rounded->n_places++] = idla_conformal_place(rounded->conformal, rounded->desc, values, isnull);
}

/* How many of a row's truths are where they should be. */
static size_t
count_covered(const IdlaJudging *judging, const Rounded *rounded, size_t row, const double *answers, int *order, bool *in)
{
	const LearnModel *learn = judging->learn;
	const double *truth = judging->target_values + row * (size_t) judging->n_targets;
	size_t		n = 0;

	for (int target = 0; target < learn->conformal->n_targets; target++)
	{
		double		threshold = learn_conformal_threshold(learn_conformal_table(learn->conformal, rounded->places[row], target), COVERAGE);
		double		low;
		double		high;

		if (learn->task == LEARN_REGRESSION)
		{
			learn_conformal_interval(learn->conformal, target, answers[target], threshold, &low, &high);
			n += truth[target] >= low && truth[target] <= high;
			continue;
		}
		(void) learn_conformal_set(learn, learn->conformal, answers, threshold, order, in);
		n += in[idla_class_of_target(learn, truth[0])];
	}
	return n;
}

/* One more metric: whether intervals and sets, which are made of the scores of the weights before, hold for the rounded ones. */
static void
compare_coverage(const IdlaJudging *judging, const Rounded *rounded, const double *scores, Comparison *comparison)
{
	const LearnModel *learn = judging->learn;
	size_t		n_outputs = learn_model_outputs(learn);
	int		   *order = palloc(sizeof(int) * (Size) Max(learn->n_classes, 1));
	bool	   *in = palloc(sizeof(bool) * (Size) Max(learn->n_classes, 1));
	IdlaMetric *before;
	IdlaMetric *after;
	size_t		n_truths;

	if (rounded->conformal == NULL)
		return;
	comparison->before = repalloc(comparison->before, sizeof(IdlaMetric) * ((Size) comparison->n_metrics + 1));
	comparison->after = repalloc(comparison->after, sizeof(IdlaMetric) * ((Size) comparison->n_metrics + 1));
	before = &comparison->before[comparison->n_metrics];
	after = &comparison->after[comparison->n_metrics++];
	*before = (IdlaMetric) {.name = "coverage_90",.low = NAN,.high = NAN,.n = judging->n};
	for (size_t row = 0; row < judging->n; row++)
		before->value += (double) count_covered(judging, rounded, row, judging->scores + row * n_outputs, order, in);
	*after = *before;
	after->value = 0;
	for (size_t row = 0; row < judging->n; row++)
		after->value += (double) count_covered(judging, rounded, row, scores + row * n_outputs, order, in);
	n_truths = judging->n * (size_t) learn->conformal->n_targets;
	before->value /= (double) n_truths;
	after->value /= (double) n_truths;
	pfree(in);
	pfree(order);
}

/* Both sets of scores become answers. */
static void
compare_answers(const IdlaJudging *judging, double *scores, Comparison *comparison)
{
	const LearnModel *learn = judging->learn;
	size_t		n_outputs = learn_model_outputs(learn);
	double		sum = 0;

	learn_scores_to_answers(learn, judging->n, judging->scores);
	learn_scores_to_answers(learn, judging->n, scores);
	for (size_t i = 0; i < judging->n * n_outputs; i++)
	{
		double		difference = fabs(judging->scores[i] - scores[i]);

		sum += difference;
		comparison->largest = Max(comparison->largest, difference);
	}
	comparison->mean = sum / (double) (judging->n * n_outputs);
	comparison->has_difference = true;
	for (size_t row = 0; row < judging->n && learn->n_classes > 0; row++)
		comparison->reclassified += idla_likeliest_class(learn, judging->scores + row * n_outputs, judging->threshold) !=
			idla_likeliest_class(learn, scores + row * n_outputs, judging->threshold);
}

static void
compare_rows(IdlaWork *work, IdlaLoaded *base, Rounded *rounded, const char *source, Comparison *comparison)
{
	IdlaBeside	beside = {rounded, look};
	IdlaKeeper	keeper = {rounded, begin_places, keep_place};
	IdlaJudging *judging = idla_judging_start(work, base, false);

	judging->beside = &beside;
	judging->keeper = &keeper;
	idla_judging_rows(judging, source);
	comparison->n = judging->n;
	comparison->before = idla_judge(work, judging->learn, judging->n, judging->scores, judging->target_values, judging->threshold,
									&comparison->n_metrics);
	comparison->after = idla_judge(work, judging->learn, judging->n, rounded->scores, judging->target_values, judging->threshold,
								   &comparison->n_metrics);
	compare_answers(judging, rounded->scores, comparison);
	compare_coverage(judging, rounded, rounded->scores, comparison);
}

/* A tagger's sentences are read once for each. */
static void
compare_sentences(IdlaWork *work, IdlaLoaded *base, Rounded *rounded, const char *source, Comparison *comparison)
{
	IdlaTagJudge *judge = idla_tag_judge_source(work, base, source);

	comparison->n = idla_tag_judge_sentences(judge);
	comparison->before = idla_tag_judge_metrics(judge, &comparison->n_metrics);
	comparison->after = idla_tag_judge_metrics(idla_tag_judge_source(work, &rounded->loaded, source), &comparison->n_metrics);
}

/* ---- what is told of it ---- */

static void
put_metrics(StringInfo out, const Comparison *comparison)
{
	idla_json_key(out, "metrics");
	appendStringInfoChar(out, '{');
	for (int i = 0; i < comparison->n_metrics; i++)
	{
		idla_json_key(out, comparison->before[i].name);
		appendStringInfoChar(out, '{');
		if (isfinite(comparison->before[i].value))
			idla_json_put_double(out, "before", comparison->before[i].value);
		if (isfinite(comparison->after[i].value))
			idla_json_put_double(out, "after", comparison->after[i].value);
		appendStringInfoChar(out, '}');
	}
	appendStringInfoChar(out, '}');
}

/* {"rounding": {...}, for card and manifest */
static void
begin_record(StringInfo out, const IdlaLoaded *base, const Rounded *rounded, const char *source, const Comparison *comparison)
{
	initStringInfo(out);
	appendStringInfoChar(out, '{');
	idla_json_key(out, "rounding");
	appendStringInfoChar(out, '{');
	idla_json_put_integer(out, "of_version", base->version);
	idla_json_put_integer(out, "bytes_before", (int64) rounded->size_before);
	idla_json_put_integer(out, "bytes_after", (int64) rounded->size);
	idla_json_put_string(out, "source", source);
	idla_json_put_integer(out, "rows", (int64) comparison->n);
	put_metrics(out, comparison);
	if (comparison->has_difference)
	{
		idla_json_put_double(out, "mean_difference", comparison->mean);
		idla_json_put_double(out, "largest_difference", comparison->largest);
		if (rounded->model->learn.n_classes > 0)
			idla_json_put_integer(out, "reclassified", (int64) comparison->reclassified);
	}
	appendStringInfoChar(out, '}');
}

static void
tell(const IdlaLoaded *base, const Rounded *rounded, const Comparison *comparison, int version)
{
	StringInfoData detail;

	initStringInfo(&detail);
	for (int i = 0; i < comparison->n_metrics; i++)
		if (isfinite(comparison->before[i].value))
			appendStringInfo(&detail, "%s%s %.4g (before: %.4g)", detail.len > 0 ? ", " : "", comparison->before[i].name, comparison->after[i].value,
							 comparison->before[i].value);
	appendStringInfo(&detail, "%son %zu %s", detail.len > 0 ? " " : "", comparison->n, comparison->has_difference ? "rows" : "sentences");
	if (comparison->has_difference)
		appendStringInfo(&detail, "; answers differ by %.2g on average, by %.2g at most", comparison->mean, comparison->largest);
	ereport(NOTICE,
			(errmsg("version %d of model \"%s\" has the weights of version %d in %s: %zu bytes instead of %zu", version,
					idla_model_name(base->relid), base->version, learn_precision_names[rounded->model->precision], rounded->size, rounded->size_before),
			 errdetail("%s.", detail.data)));
}

/* What is more than chance would make of the sample: the version is worse, and whoever deploys it should know. */
static void
warn(const Comparison *comparison, const char *model, int version)
{
	const IdlaMetric *before = &comparison->before[0];
	const IdlaMetric *after = &comparison->after[0];

	if (isnan(before->low) || (after->value >= before->low && after->value <= before->high))
		return;
	ereport(WARNING,
			(errmsg("version %d of model \"%s\" has lost by rounding: %s was %.4g and is %.4g", version, model, before->name, before->value, after->value),
			 errdetail("That is outside the 95 %% confidence interval of what it was, %.4g to %.4g.", before->low, before->high)));
}

/* ---- writing ---- */

static int
write_version(const IdlaLoaded *base, Rounded *rounded, const char *source, const Comparison *comparison)
{
	const char *name;
	StringInfoData record;
	StringInfoData origin;
	Jsonb	   *manifest;
	Jsonb	   *card;
	Oid			relid;
	bool		in_service;
	int			version;

	/* No lock keeps a function of the source from that, which runs in the same session. */
	if (get_rel_name(base->relid) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("the model was dropped while its rounded weights were judged")));
	name = idla_qualified_name(base->relid);
	begin_record(&record, base, rounded, source, comparison);
	manifest = seal(rounded->manifest, psprintf("%s}", record.data));
	idla_json_put_string(&record, "weights", learn_precision_names[rounded->model->precision]);
	idla_json_put_string(&record, "digest", idla_card_text(manifest, "sha256"));
	appendStringInfoChar(&record, '}');
	idla_origin_begin(&origin, "idla_deploy");
	idla_json_put_integer(&origin, "version", base->version);
	card = idla_origin_add(join(rounded->card, record.data), &origin);
	version = idla_version_write(name, card, manifest, rounded->weights, rounded->size, false, &relid, &in_service);
	/* The lock on the model forbids all else; its schema may have been renamed. */
	if (relid != base->relid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("model \"%s\" was moved meanwhile", name)));
	return version;
}

int
idla_version_round(Oid relid, int version, LearnPrecision precision, const char *source)
{
	IdlaWork   *work;
	IdlaLoaded *base;
	Rounded		rounded = {0};
	Comparison	comparison = {0};
	int			made;

	check_source(precision, source);
	work = idla_work_open(CurrentMemoryContext, "judging", 0, 0);
	base = idla_load(relid, version, GetActiveSnapshot(), work->context);
	check_version(base);
	if (precision == LEARN_FLOAT32)
	{
		idla_work_close(work);
		return version;
	}
	idla_model_require(relid, IDLA_RIGHT_COPY);
	idla_model_require(relid, IDLA_RIGHT_TRAIN);
	round_weights(&rounded, base, precision);
	rounded.manifest = seal(rounded.manifest, description(&rounded, precision));
	load_rounded(&rounded, base);
	if (base->model->learn.task == LEARN_TAGGING)
		compare_sentences(work, base, &rounded, source, &comparison);
	else
		compare_rows(work, base, &rounded, source, &comparison);
	made = write_version(base, &rounded, source, &comparison);
	tell(base, &rounded, &comparison, made);
	warn(&comparison, idla_model_name(relid), made);
	idla_work_close(rounded.model->work);
	idla_work_close(work);
	pfree(rounded.weights);
	return made;
}

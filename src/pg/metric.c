/*
 * metric.c: the metric aggregates, idla_auroc and its kin.
 *
 * A state is one flat bytea that parallel workers (and other servers) can pass on: a
 * head that says which metric it belongs to, then either the rows seen, packed, with
 * spare room at the end (metrics that must sort), or a few sums (the rest). The rows grow
 * in place, doubling, so a row costs constant time. Anyone can call these
 * functions with bytes of his own, so a state is checked whenever it comes in.
 */
#include "idla.h"

#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/typcache.h"

#include "idla/learn_metrics.h"

#define STATE_MAGIC 0x69645300u	/* the low byte is the metric; other byte orders fail the comparison */
#define DEFAULT_BINS 10
#define MAX_BINS 10000
#define FIRST_ROWS 16			/* room in a new state */
#define UNPACK_ROWS 262144		/* rows between two looks for interrupts */

typedef enum MetricKind
{
	METRIC_AUROC,
	METRIC_AUPRC,
	METRIC_CONCORDANCE,
	METRIC_ACCURACY,
	METRIC_F1,
	METRIC_BRIER,
	METRIC_LOG_LOSS,
	METRIC_ECE,
	METRIC_RMSE,
	METRIC_MAE,
	METRIC_R2,
	METRIC_KINDS
} MetricKind;

typedef struct MetricLayout
{
	const char *name;
	Size		row_width;		/* bytes a row, 0 for metrics of sums */
	int			n_sums;			/* 0: rows, -1: as many pairs as there are bins */
} MetricLayout;

#define RANKED_WIDTH (sizeof(float8) + 1)	/* score, label */
#define SURVIVAL_WIDTH (2 * sizeof(float8) + 1) /* risk, time, event */

static const MetricLayout layouts[METRIC_KINDS] = {
	[METRIC_AUROC] = {"idla_auroc", RANKED_WIDTH, 0},
	[METRIC_AUPRC] = {"idla_auprc", RANKED_WIDTH, 0},
	[METRIC_CONCORDANCE] = {"idla_concordance", SURVIVAL_WIDTH, 0},
	[METRIC_ACCURACY] = {"idla_accuracy", 0, 1},	/* right ones */
	[METRIC_F1] = {"idla_f1", 0, 3},	/* right, predicted and actual positives */
	[METRIC_BRIER] = {"idla_brier", 0, 2},
	[METRIC_LOG_LOSS] = {"idla_log_loss", 0, 2},
	[METRIC_ECE] = {"idla_ece", 0, -1}, /* sum of probability - label, a bin */
	[METRIC_RMSE] = {"idla_rmse", 0, 2},
	[METRIC_MAE] = {"idla_mae", 0, 2},
	[METRIC_R2] = {"idla_r2", 0, 4} /* squared errors; mean and squared deviations of the actual values */
};

typedef struct MetricState
{
	int32		vl_len_;
	uint32		kind;			/* STATE_MAGIC + MetricKind */
	int64		n;				/* rows seen */
	float8		sums[FLEXIBLE_ARRAY_MEMBER];	/* or the rows */
} MetricState;

#define STATE_HEAD offsetof(MetricState, sums)
#define SUMS_R2_MEAN 2
#define SUMS_R2_SPREAD 3

/* A sum that carries its rounding errors takes two numbers. */
StaticAssertDecl(sizeof(LearnSum) == 2 * sizeof(float8), "LearnSum is two numbers");

static inline LearnSum *
sum_of(MetricState *state, int number)
{
	return (LearnSum *) &state->sums[2 * number];
}

static inline char *
rows_of(MetricState *state)
{
	return (char *) state->sums;
}

static inline Size
room_of(const MetricState *state)
{
	return VARSIZE(state) - STATE_HEAD;
}

static inline int
bins_of(const MetricState *state)
{
	return (int) (room_of(state) / sizeof(LearnSum));
}

/* ---- States ---- */

static void
refuse_state(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid state of a metric aggregate"),
			 errhint("These states are made and read by the aggregates alone.")));
}

static MetricKind
checked_kind(const MetricState *state)
{
	Size		size = VARSIZE(state);
	uint32		kind;
	const MetricLayout *layout;

	if (size < STATE_HEAD)
		refuse_state();
	kind = state->kind - STATE_MAGIC;
	if (kind >= METRIC_KINDS || state->n < 0)
		refuse_state();
	layout = &layouts[kind];
	if (layout->row_width > 0)
	{
		if ((uint64) state->n > room_of(state) / layout->row_width)
			refuse_state();
	}
	else if (layout->n_sums > 0)
	{
		if (room_of(state) != layout->n_sums * sizeof(float8))
			refuse_state();
	}
	else if (room_of(state) % sizeof(LearnSum) != 0 || bins_of(state) < 1 || bins_of(state) > MAX_BINS)
		refuse_state();
	return (MetricKind) kind;
}

/* An argument as an aligned, plain state: values from tuples may be short, compressed or badly aligned. */
static MetricState *
state_argument(FunctionCallInfo fcinfo, int number)
{
	struct varlena *value = PG_DETOAST_DATUM(PG_GETARG_DATUM(number));

	if ((char *) MAXALIGN(value) != (char *) value)
	{
		void	   *copy = palloc(VARSIZE(value));

		memcpy(copy, value, VARSIZE(value));
		value = copy;
	}
	return (MetricState *) value;
}

static void
require_aggregate(FunctionCallInfo fcinfo)
{
	/* Only there is a state ours to change in place. */
	if (!AggCheckCallContext(fcinfo, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("function \"%s\" can only be called by an aggregate",
						format_procedure(fcinfo->flinfo->fn_oid))));
}

static MetricState *
new_state(MetricKind kind, Size room)
{
	MetricState *state = palloc0(STATE_HEAD + room);

	SET_VARSIZE(state, STATE_HEAD + room);
	state->kind = STATE_MAGIC + kind;
	return state;
}

/* The state to add a row to: the one passed, or a new one of `room` bytes (ignored when there is one). */
static MetricState *
open_state(FunctionCallInfo fcinfo, MetricKind kind, Size room)
{
	MetricState *state;

	require_aggregate(fcinfo);
	if (PG_ARGISNULL(0))
		return new_state(kind, room);
	state = state_argument(fcinfo, 0);
	if (checked_kind(state) != kind)
		refuse_state();
	return state;
}

static MetricState *
open_sums(FunctionCallInfo fcinfo, MetricKind kind)
{
	return open_state(fcinfo, kind, layouts[kind].n_sums * sizeof(float8));
}

/*
 * A state with room for `more` rows. A larger one is left in the current context: the
 * executor copies it to where the aggregate lives and frees the old one.
 */
static MetricState *
grow_rows(MetricState *state, MetricKind kind, int64 more)
{
	const Size	width = layouts[kind].row_width;
	const Size	limit = (MaxAllocSize - STATE_HEAD) / width;
	Size		wanted = (Size) state->n + (Size) more;
	MetricState *grown;

	if (wanted <= room_of(state) / width)
		return state;
	if (wanted > limit)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s cannot take more than %zu rows in one group", layouts[kind].name, limit),
				 errhint("A random sample of the rows estimates the same value.")));
	grown = new_state(kind, Min(Max(wanted * 2, FIRST_ROWS), limit) * width);
	grown->n = state->n;
	memcpy(rows_of(grown), rows_of(state), (Size) state->n * width);
	return grown;
}

/* ---- Arguments ---- */

static void
refuse_number(MetricKind kind, const char *what, float8 value, const char *must)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("%s: %s \"%s\" %s", layouts[kind].name, what, float8out_internal(value), must)));
}

static float8
ordered_argument(FunctionCallInfo fcinfo, int number, MetricKind kind, const char *what)
{
	float8		value = PG_GETARG_FLOAT8(number);

	if (isnan(value))
		refuse_number(kind, what, value, "has no place in an order");
	return value;
}

static float8
probability_argument(FunctionCallInfo fcinfo, int number, MetricKind kind)
{
	float8		value = PG_GETARG_FLOAT8(number);

	if (!(value >= 0 && value <= 1))
		refuse_number(kind, "probability", value, "is not between 0 and 1");
	return value;
}

static float8
finite_argument(FunctionCallInfo fcinfo, int number, MetricKind kind, const char *what)
{
	float8		value = PG_GETARG_FLOAT8(number);

	if (!isfinite(value))
		refuse_number(kind, what, value, "is not finite");
	return value;
}

/* A row with a NULL is skipped: the state stays what it is. */
static bool
skips_row(FunctionCallInfo fcinfo, int n_inputs)
{
	for (int i = 1; i <= n_inputs; i++)
		if (PG_ARGISNULL(i))
			return true;
	return false;
}

static Datum
same_state(FunctionCallInfo fcinfo)
{
	require_aggregate(fcinfo);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

/* ---- Metrics that keep their rows ---- */

static Datum
add_ranked(FunctionCallInfo fcinfo, MetricKind kind)
{
	MetricState *state;
	float8		score;
	char	   *row;

	if (skips_row(fcinfo, 2))
		return same_state(fcinfo);
	score = ordered_argument(fcinfo, 1, kind, "score");
	state = grow_rows(open_state(fcinfo, kind, FIRST_ROWS * RANKED_WIDTH), kind, 1);
	row = rows_of(state) + state->n * RANKED_WIDTH;
	memcpy(row, &score, sizeof(score));
	row[sizeof(score)] = PG_GETARG_BOOL(2);
	state->n++;
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(idla_auroc_add);
Datum
idla_auroc_add(PG_FUNCTION_ARGS)
{
	return add_ranked(fcinfo, METRIC_AUROC);
}

PG_FUNCTION_INFO_V1(idla_auprc_add);
Datum
idla_auprc_add(PG_FUNCTION_ARGS)
{
	return add_ranked(fcinfo, METRIC_AUPRC);
}

PG_FUNCTION_INFO_V1(idla_concordance_add);
Datum
idla_concordance_add(PG_FUNCTION_ARGS)
{
	MetricState *state;
	float8		risk_time[2];
	char	   *row;

	if (skips_row(fcinfo, 3))
		return same_state(fcinfo);
	risk_time[0] = ordered_argument(fcinfo, 1, METRIC_CONCORDANCE, "risk");
	risk_time[1] = ordered_argument(fcinfo, 2, METRIC_CONCORDANCE, "time");
	state = open_state(fcinfo, METRIC_CONCORDANCE, FIRST_ROWS * SURVIVAL_WIDTH);
	state = grow_rows(state, METRIC_CONCORDANCE, 1);
	row = rows_of(state) + state->n * SURVIVAL_WIDTH;
	memcpy(row, risk_time, sizeof(risk_time));
	row[sizeof(risk_time)] = PG_GETARG_BOOL(3);
	state->n++;
	PG_RETURN_POINTER(state);
}

/* ---- Metrics of sums ---- */

/* Equality of the type that both arguments of idla_accuracy were resolved to. */
static FmgrInfo *
equality_of(FunctionCallInfo fcinfo)
{
	Oid			type;
	TypeCacheEntry *entry;

	if (fcinfo->flinfo->fn_extra != NULL)
		return fcinfo->flinfo->fn_extra;
	type = get_fn_expr_argtype(fcinfo->flinfo, 1);
	if (!OidIsValid(type))
		ereport(ERROR,
				(errcode(ERRCODE_INDETERMINATE_DATATYPE),
				 errmsg("could not determine the type of the labels")));
	entry = lookup_type_cache(type, TYPECACHE_EQ_OPR_FINFO);
	if (!OidIsValid(entry->eq_opr_finfo.fn_oid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("could not identify an equality operator for type %s", format_type_be(type))));
	fcinfo->flinfo->fn_extra = &entry->eq_opr_finfo;
	return fcinfo->flinfo->fn_extra;
}

PG_FUNCTION_INFO_V1(idla_accuracy_add);
Datum
idla_accuracy_add(PG_FUNCTION_ARGS)
{
	MetricState *state;

	if (skips_row(fcinfo, 2))
		return same_state(fcinfo);
	state = open_sums(fcinfo, METRIC_ACCURACY);
	state->sums[0] += DatumGetBool(FunctionCall2Coll(equality_of(fcinfo), PG_GET_COLLATION(),
													 PG_GETARG_DATUM(1), PG_GETARG_DATUM(2)));
	state->n++;
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(idla_f1_add);
Datum
idla_f1_add(PG_FUNCTION_ARGS)
{
	MetricState *state;
	bool		predicted;
	bool		label;

	if (skips_row(fcinfo, 2))
		return same_state(fcinfo);
	predicted = PG_GETARG_BOOL(1);
	label = PG_GETARG_BOOL(2);
	state = open_sums(fcinfo, METRIC_F1);
	state->sums[0] += predicted && label;
	state->sums[1] += predicted;
	state->sums[2] += label;
	state->n++;
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(idla_brier_add);
Datum
idla_brier_add(PG_FUNCTION_ARGS)
{
	MetricState *state;
	float8		miss;

	if (skips_row(fcinfo, 2))
		return same_state(fcinfo);
	miss = probability_argument(fcinfo, 1, METRIC_BRIER) - (PG_GETARG_BOOL(2) ? 1 : 0);
	state = open_sums(fcinfo, METRIC_BRIER);
	learn_sum_add(sum_of(state, 0), miss * miss);
	state->n++;
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(idla_log_loss_add);
Datum
idla_log_loss_add(PG_FUNCTION_ARGS)
{
	MetricState *state;
	float8		probability;

	if (skips_row(fcinfo, 2))
		return same_state(fcinfo);
	probability = probability_argument(fcinfo, 1, METRIC_LOG_LOSS);
	state = open_sums(fcinfo, METRIC_LOG_LOSS);
	learn_sum_add(sum_of(state, 0), learn_log_loss_one(PG_GETARG_BOOL(2) ? probability : 1 - probability));
	state->n++;
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(idla_ece_add);
Datum
idla_ece_add(PG_FUNCTION_ARGS)
{
	MetricState *state;
	float8		probability;
	int			bins = DEFAULT_BINS;

	if (PG_NARGS() > 3)
	{
		/* NULL is no number of rows to skip but a mistake. */
		bins = PG_ARGISNULL(3) ? 0 : PG_GETARG_INT32(3);
		if (bins < 1 || bins > MAX_BINS)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("idla_ece: number of bins must be between 1 and %d", MAX_BINS)));
	}
	if (skips_row(fcinfo, 2))
		return same_state(fcinfo);
	probability = probability_argument(fcinfo, 1, METRIC_ECE);
	state = open_state(fcinfo, METRIC_ECE, bins * sizeof(LearnSum));
	if (bins_of(state) != bins)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("idla_ece: number of bins changed from %d to %d within a group", bins_of(state), bins)));
	learn_sum_add(sum_of(state, learn_ece_bin(probability, bins)), probability - (PG_GETARG_BOOL(2) ? 1 : 0));
	state->n++;
	PG_RETURN_POINTER(state);
}

static Datum
add_error(FunctionCallInfo fcinfo, MetricKind kind)
{
	MetricState *state;
	float8		miss;

	if (skips_row(fcinfo, 2))
		return same_state(fcinfo);
	miss = finite_argument(fcinfo, 1, kind, "predicted value") - finite_argument(fcinfo, 2, kind, "actual value");
	state = open_sums(fcinfo, kind);
	learn_sum_add(sum_of(state, 0), kind == METRIC_MAE ? fabs(miss) : miss * miss);
	state->n++;
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(idla_rmse_add);
Datum
idla_rmse_add(PG_FUNCTION_ARGS)
{
	return add_error(fcinfo, METRIC_RMSE);
}

PG_FUNCTION_INFO_V1(idla_mae_add);
Datum
idla_mae_add(PG_FUNCTION_ARGS)
{
	return add_error(fcinfo, METRIC_MAE);
}

PG_FUNCTION_INFO_V1(idla_r2_add);
Datum
idla_r2_add(PG_FUNCTION_ARGS)
{
	MetricState *state;
	float8		predicted;
	float8		actual;
	float8		off;

	if (skips_row(fcinfo, 2))
		return same_state(fcinfo);
	predicted = finite_argument(fcinfo, 1, METRIC_R2, "predicted value");
	actual = finite_argument(fcinfo, 2, METRIC_R2, "actual value");
	state = open_sums(fcinfo, METRIC_R2);
	learn_sum_add(sum_of(state, 0), (predicted - actual) * (predicted - actual));
	/* Mean and squared deviations by Welford's update, which does not cancel. */
	state->n++;
	off = actual - state->sums[SUMS_R2_MEAN];
	state->sums[SUMS_R2_MEAN] += off / (float8) state->n;
	state->sums[SUMS_R2_SPREAD] += off * (actual - state->sums[SUMS_R2_MEAN]);
	PG_RETURN_POINTER(state);
}

/* ---- Combining ---- */

/* Chan's formula for mean and squared deviations of two groups. */
static void
combine_spread(MetricState *state, const MetricState *other)
{
	float8		n = (float8) state->n;
	float8		m = (float8) other->n;
	float8		off = other->sums[SUMS_R2_MEAN] - state->sums[SUMS_R2_MEAN];

	if (n + m == 0)
		return;
	state->sums[SUMS_R2_MEAN] += off * (m / (n + m));
	state->sums[SUMS_R2_SPREAD] += other->sums[SUMS_R2_SPREAD] + off * off * (n * (m / (n + m)));
}

static void
combine_sum(LearnSum *sum, const LearnSum *other)
{
	learn_sum_add(sum, other->sum);
	learn_sum_add(sum, other->lost);
}

static void
combine_sums(MetricState *state, MetricState *other, MetricKind kind)
{
	if (room_of(state) != room_of(other))
		refuse_state();			/* other bins */
	switch (kind)
	{
		case METRIC_ACCURACY:
		case METRIC_F1:
			for (int i = 0; i < layouts[kind].n_sums; i++)
				state->sums[i] += other->sums[i];
			break;
		case METRIC_ECE:
			for (int bin = 0; bin < bins_of(state); bin++)
				combine_sum(sum_of(state, bin), sum_of(other, bin));
			break;
		case METRIC_R2:
			combine_spread(state, other);
			combine_sum(sum_of(state, 0), sum_of(other, 0));
			break;
		default:
			combine_sum(sum_of(state, 0), sum_of(other, 0));
			break;
	}
}

PG_FUNCTION_INFO_V1(idla_metric_combine);
Datum
idla_metric_combine(PG_FUNCTION_ARGS)
{
	MetricState *state;
	MetricState *other;
	MetricKind	kind;

	require_aggregate(fcinfo);
	if (PG_ARGISNULL(1))
		return same_state(fcinfo);
	other = state_argument(fcinfo, 1);
	kind = checked_kind(other);
	if (PG_ARGISNULL(0))
		PG_RETURN_POINTER(other);	/* the executor copies it */
	state = state_argument(fcinfo, 0);
	if (checked_kind(state) != kind || other->n > PG_INT64_MAX - state->n)
		refuse_state();
	if (layouts[kind].row_width > 0)
	{
		const Size	width = layouts[kind].row_width;

		state = grow_rows(state, kind, other->n);
		memcpy(rows_of(state) + state->n * width, rows_of(other), other->n * width);
	}
	else
		combine_sums(state, other, kind);
	state->n += other->n;
	PG_RETURN_POINTER(state);
}

/* ---- Values ---- */

/* Number `number` of every packed row. */
static double *
unpack_numbers(IdlaWork *work, MetricState *state, Size width, int number)
{
	double	   *values = dev_alloc(work->session, state->n, sizeof(double));

	if (values == NULL)
		idla_raise(work);
	for (int64 row = 0; row < state->n; row++)
	{
		if (row % UNPACK_ROWS == 0)
			CHECK_FOR_INTERRUPTS();
		memcpy(&values[row], rows_of(state) + row * width + number * sizeof(double), sizeof(double));
	}
	return values;
}

/* The flag at the end of every packed row. */
static uint8_t *
unpack_flags(IdlaWork *work, MetricState *state, Size width)
{
	uint8_t    *flags = dev_alloc(work->session, state->n, 1);

	if (flags == NULL)
		idla_raise(work);
	for (int64 row = 0; row < state->n; row++)
	{
		if (row % UNPACK_ROWS == 0)
			CHECK_FOR_INTERRUPTS();
		flags[row] = rows_of(state)[row * width + width - 1] != 0;
	}
	return flags;
}

static double
value_of_rows(MetricState *state, MetricKind kind)
{
	const Size	width = layouts[kind].row_width;
	IdlaWork   *work = idla_work_open(CurrentMemoryContext, layouts[kind].name, 0, 0);
	double	   *score = unpack_numbers(work, state, width, 0);
	uint8_t    *flag = unpack_flags(work, state, width);
	DevStatus	status;
	double		value;

	if (kind == METRIC_CONCORDANCE)
		status = learn_concordance(work->session, state->n, score, unpack_numbers(work, state, width, 1), flag,
								   &value);
	else if (kind == METRIC_AUROC)
		status = learn_auroc(work->session, state->n, score, flag, &value);
	else
		status = learn_auprc(work->session, state->n, score, flag, &value);
	idla_check(work, status);
	idla_work_close(work);
	return value;
}

static double
value_of_sums(MetricState *state, MetricKind kind)
{
	double		n = (double) state->n;
	double		total = 0;

	switch (kind)
	{
		case METRIC_ACCURACY:
			return state->sums[0] / n;
		case METRIC_F1:
			total = state->sums[1] + state->sums[2];
			return total > 0 ? 2 * state->sums[0] / total : 0;
		case METRIC_ECE:
			for (int bin = 0; bin < bins_of(state); bin++)
				total += fabs(learn_sum_value(sum_of(state, bin)));
			return total / n;
		case METRIC_RMSE:
			return sqrt(learn_sum_value(sum_of(state, 0)) / n);
		case METRIC_R2:
			if (state->n < 2)
				return get_float8_nan();
			if (isinf(state->sums[0]) || isinf(state->sums[SUMS_R2_SPREAD]))
				return get_float8_infinity();
			return learn_r2_of(learn_sum_value(sum_of(state, 0)) / n, state->sums[SUMS_R2_SPREAD] / n);
		default:
			return learn_sum_value(sum_of(state, 0)) / n;
	}
}

PG_FUNCTION_INFO_V1(idla_metric_value);
Datum
idla_metric_value(PG_FUNCTION_ARGS)
{
	MetricState *state;
	MetricKind	kind;
	double		value;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = state_argument(fcinfo, 0);
	kind = checked_kind(state);
	if (state->n == 0)
		PG_RETURN_NULL();
	value = layouts[kind].row_width > 0 ? value_of_rows(state, kind) : value_of_sums(state, kind);
	if (isinf(value))
		float_overflow_error();
	if (isnan(value))
		PG_RETURN_NULL();		/* undefined, as corr() says it */
	PG_RETURN_FLOAT8(value);
}

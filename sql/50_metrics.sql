-- 50_metrics.sql: metrics as aggregates (src/pg/metric.c).
--
-- Every aggregate has a state of one bytea and a combine function, so that parallel
-- workers share the rows. The functions that add a row to a state take no part in
-- queries of their own.

CREATE FUNCTION idla_auroc_add(state bytea, score double precision, label boolean) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION idla_auprc_add(state bytea, score double precision, label boolean) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION idla_accuracy_add(state bytea, predicted anycompatible, label anycompatible) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION idla_f1_add(state bytea, predicted boolean, label boolean) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION idla_brier_add(state bytea, probability double precision, label boolean) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION idla_log_loss_add(state bytea, probability double precision, label boolean) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION idla_ece_add(state bytea, probability double precision, label boolean) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION idla_ece_add(state bytea, probability double precision, label boolean, bins integer) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION idla_rmse_add(state bytea, predicted double precision, actual double precision) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION idla_mae_add(state bytea, predicted double precision, actual double precision) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION idla_r2_add(state bytea, predicted double precision, actual double precision) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION idla_concordance_add(state bytea, risk double precision, "time" double precision, event boolean)
	RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION idla_metric_combine(state bytea, other bytea) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION idla_metric_value(state bytea) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION idla_auroc_add(bytea, double precision, boolean) IS 'Part of the aggregate idla_auroc: adds one row to its state.';
COMMENT ON FUNCTION idla_auprc_add(bytea, double precision, boolean) IS 'Part of the aggregate idla_auprc: adds one row to its state.';
COMMENT ON FUNCTION idla_accuracy_add(bytea, anycompatible, anycompatible) IS 'Part of the aggregate idla_accuracy: adds one row to its state.';
COMMENT ON FUNCTION idla_f1_add(bytea, boolean, boolean) IS 'Part of the aggregate idla_f1: adds one row to its state.';
COMMENT ON FUNCTION idla_brier_add(bytea, double precision, boolean) IS 'Part of the aggregate idla_brier: adds one row to its state.';
COMMENT ON FUNCTION idla_log_loss_add(bytea, double precision, boolean) IS 'Part of the aggregate idla_log_loss: adds one row to its state.';
COMMENT ON FUNCTION idla_ece_add(bytea, double precision, boolean) IS 'Part of the aggregate idla_ece: adds one row to its state, in ten bins.';
COMMENT ON FUNCTION idla_ece_add(bytea, double precision, boolean, integer) IS 'Part of the aggregate idla_ece: adds one row to its state.';
COMMENT ON FUNCTION idla_rmse_add(bytea, double precision, double precision) IS 'Part of the aggregate idla_rmse: adds one row to its state.';
COMMENT ON FUNCTION idla_mae_add(bytea, double precision, double precision) IS 'Part of the aggregate idla_mae: adds one row to its state.';
COMMENT ON FUNCTION idla_r2_add(bytea, double precision, double precision) IS 'Part of the aggregate idla_r2: adds one row to its state.';
COMMENT ON FUNCTION idla_concordance_add(bytea, double precision, double precision, boolean) IS 'Part of the aggregate idla_concordance: adds one row to its state.';
COMMENT ON FUNCTION idla_metric_combine(bytea, bytea) IS 'Part of the metric aggregates: joins the states of two groups of rows.';
COMMENT ON FUNCTION idla_metric_value(bytea) IS 'Part of the metric aggregates: the metric that a state amounts to.';

-- ---- Two classes ----

CREATE AGGREGATE idla_auroc(score double precision, label boolean) (
	SFUNC = idla_auroc_add, STYPE = bytea, COMBINEFUNC = idla_metric_combine, FINALFUNC = idla_metric_value, PARALLEL = SAFE
);
COMMENT ON AGGREGATE idla_auroc(double precision, boolean) IS
'Area under the ROC curve: the probability that a row whose label is true scores higher than one whose label is false, a tie counting one half (the same as roc_auc_score of scikit-learn). Any score will do, it need not be a probability; only its order counts. Rows with a NULL are skipped; NULL when a class is missing. Infinite scores are ordered like any number, NaN is an error. The rows of a group are kept and sorted, 9 bytes each.';

CREATE AGGREGATE idla_auprc(score double precision, label boolean) (
	SFUNC = idla_auprc_add, STYPE = bytea, COMBINEFUNC = idla_metric_combine, FINALFUNC = idla_metric_value, PARALLEL = SAFE
);
COMMENT ON AGGREGATE idla_auprc(double precision, boolean) IS
'Average precision: the sum over distinct scores, from the highest down, of the step in recall times the precision reached, without interpolation (the same as average_precision_score of scikit-learn). A model that knows nothing gets the share of true labels. Rows with a NULL are skipped; NULL when no label is true; NaN scores are an error. The rows of a group are kept and sorted, 9 bytes each.';

CREATE AGGREGATE idla_f1(predicted boolean, label boolean) (
	SFUNC = idla_f1_add, STYPE = bytea, COMBINEFUNC = idla_metric_combine, FINALFUNC = idla_metric_value, PARALLEL = SAFE
);
COMMENT ON AGGREGATE idla_f1(boolean, boolean) IS
'F1 of the class true: the harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN) (the same as f1_score of scikit-learn); 0 when true is neither predicted nor present. Pass a decision, such as p >= 0.5, as the first argument; for one class of several compare both sides with it. Rows with a NULL are skipped; NULL without rows.';

CREATE AGGREGATE idla_brier(probability double precision, label boolean) (
	SFUNC = idla_brier_add, STYPE = bytea, COMBINEFUNC = idla_metric_combine, FINALFUNC = idla_metric_value, PARALLEL = SAFE
);
COMMENT ON AGGREGATE idla_brier(double precision, boolean) IS
'Brier score: the mean squared difference between the probability of true and what happened, 1 or 0 (the same as brier_score_loss of scikit-learn). 0 is perfect; always saying one half gets 0.25. Rows with a NULL are skipped; NULL without rows; what is not between 0 and 1 is an error.';

CREATE AGGREGATE idla_log_loss(probability double precision, label boolean) (
	SFUNC = idla_log_loss_add, STYPE = bytea, COMBINEFUNC = idla_metric_combine, FINALFUNC = idla_metric_value, PARALLEL = SAFE
);
COMMENT ON AGGREGATE idla_log_loss(double precision, boolean) IS
'Log loss: the mean of minus the natural logarithm of the probability given to what happened; probabilities are kept at least 2^-52 away from 0 and 1, so that one wrong certainty costs 36 and not infinity (the same as log_loss of scikit-learn). Rows with a NULL are skipped; NULL without rows; what is not between 0 and 1 is an error.';

CREATE AGGREGATE idla_ece(probability double precision, label boolean) (
	SFUNC = idla_ece_add, STYPE = bytea, COMBINEFUNC = idla_metric_combine, FINALFUNC = idla_metric_value, PARALLEL = SAFE
);
COMMENT ON AGGREGATE idla_ece(double precision, boolean) IS
'Expected calibration error in ten bins of equal width: the mean, weighted by rows, of the difference between the mean probability of true and the share of true labels in a bin. Bin k takes probabilities from k/10 up to but not including (k+1)/10, the last one 1 too. Rows with a NULL are skipped; NULL without rows; what is not between 0 and 1 is an error.';

CREATE AGGREGATE idla_ece(probability double precision, label boolean, bins integer) (
	SFUNC = idla_ece_add, STYPE = bytea, COMBINEFUNC = idla_metric_combine, FINALFUNC = idla_metric_value, PARALLEL = SAFE
);
COMMENT ON AGGREGATE idla_ece(double precision, boolean, integer) IS
'Expected calibration error in as many bins of equal width as asked for, 1 to 10,000; else as idla_ece(probability, label). The number of bins must be the same in all rows of a group.';

-- ---- Any classes ----

CREATE AGGREGATE idla_accuracy(predicted anycompatible, label anycompatible) (
	SFUNC = idla_accuracy_add, STYPE = bytea, COMBINEFUNC = idla_metric_combine, FINALFUNC = idla_metric_value, PARALLEL = SAFE
);
COMMENT ON AGGREGATE idla_accuracy(anycompatible, anycompatible) IS
'Accuracy: the share of rows whose prediction equals the label, by the equality of their common type: text, enum, boolean, integer or any other type that has one (the same as accuracy_score of scikit-learn). Rows with a NULL are skipped; NULL without rows. When most labels are alike a useless model has a high accuracy: look at idla_auroc and idla_f1 too.';

-- ---- Values ----

CREATE AGGREGATE idla_rmse(predicted double precision, actual double precision) (
	SFUNC = idla_rmse_add, STYPE = bytea, COMBINEFUNC = idla_metric_combine, FINALFUNC = idla_metric_value, PARALLEL = SAFE
);
COMMENT ON AGGREGATE idla_rmse(double precision, double precision) IS
'Root mean squared error, in the unit of the values (the square root of mean_squared_error of scikit-learn). Rows with a NULL are skipped; NULL without rows; NaN and infinities are an error.';

CREATE AGGREGATE idla_mae(predicted double precision, actual double precision) (
	SFUNC = idla_mae_add, STYPE = bytea, COMBINEFUNC = idla_metric_combine, FINALFUNC = idla_metric_value, PARALLEL = SAFE
);
COMMENT ON AGGREGATE idla_mae(double precision, double precision) IS
'Mean absolute error, in the unit of the values (the same as mean_absolute_error of scikit-learn). Rows with a NULL are skipped; NULL without rows; NaN and infinities are an error.';

CREATE AGGREGATE idla_r2(predicted double precision, actual double precision) (
	SFUNC = idla_r2_add, STYPE = bytea, COMBINEFUNC = idla_metric_combine, FINALFUNC = idla_metric_value, PARALLEL = SAFE
);
COMMENT ON AGGREGATE idla_r2(double precision, double precision) IS
'Coefficient of determination: 1 minus the sum of squared errors over the sum of squared deviations of the actual values from their mean (the same as r2_score of scikit-learn: not the squared correlation, and negative for a model worse than the mean). When all actual values are equal, 1 for exact predictions and else 0. The order of the arguments matters: predicted first. Rows with a NULL are skipped; NULL below two rows; NaN and infinities are an error.';

-- ---- Survival ----

CREATE AGGREGATE idla_concordance(risk double precision, "time" double precision, event boolean) (
	SFUNC = idla_concordance_add, STYPE = bytea, COMBINEFUNC = idla_metric_combine, FINALFUNC = idla_metric_value, PARALLEL = SAFE
);
COMMENT ON AGGREGATE idla_concordance(double precision, double precision, boolean) IS
'Harrell''s concordance: among pairs of rows of which one had the event (event is true) while the other was still under observation, the share in which the first has the higher risk, equal risks counting one half (the same as concordance_index of lifelines, which takes the risk with the opposite sign). A row censored at the very time of an event outlives it; two events at one time are no pair. Rows with a NULL are skipped; NULL when there is no such pair; NaN is an error. The rows of a group are kept and sorted, 17 bytes each.';

-- Predicting: ordinary functions of a row, in any query or view (src/pg/predict.c).

CREATE FUNCTION idla_predict_support(internal)
RETURNS internal
LANGUAGE c STRICT
AS 'MODULE_PATHNAME', 'idla_predict_support';

COMMENT ON FUNCTION idla_predict_support(internal) IS
'Part of idla_predict: what the planner is told about it.';

CREATE FUNCTION idla_predict_columns(model regclass, version int, output text, names text[], VARIADIC "columns" "any")
RETURNS float8
LANGUAGE c STABLE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'idla_predict_columns';

COMMENT ON FUNCTION idla_predict_columns(regclass, int, text, text[], "any") IS
'Part of idla_predict: what its calls become in a plan where the columns of the row are at hand.';

CREATE FUNCTION idla_classify_columns(model regclass, version int, abstain float8, names text[], VARIADIC "columns" "any")
RETURNS text
LANGUAGE c STABLE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'idla_classify_columns';

COMMENT ON FUNCTION idla_classify_columns(regclass, int, float8, text[], "any") IS
'Part of idla_classify: what its calls become in a plan where the columns of the row are at hand.';

CREATE FUNCTION idla_probabilities_columns(model regclass, version int, names text[], VARIADIC "columns" "any")
RETURNS jsonb
LANGUAGE c STABLE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'idla_probabilities_columns';

COMMENT ON FUNCTION idla_probabilities_columns(regclass, int, text[], "any") IS
'Part of idla_probabilities: what its calls become in a plan where the columns of the row are at hand.';

CREATE FUNCTION idla_predict(model regclass, input record, version int DEFAULT NULL, output text DEFAULT NULL)
RETURNS float8
LANGUAGE c STABLE PARALLEL SAFE COST 100 SUPPORT idla_predict_support
AS 'MODULE_PATHNAME', 'idla_predict';

COMMENT ON FUNCTION idla_predict(regclass, record, int, text) IS
'The answer of a model for a row: probability of the positive class, value, or hazard ratio. output names the class or target where there are several.';

CREATE FUNCTION idla_classify(model regclass, input record, version int DEFAULT NULL, abstain float8 DEFAULT NULL)
RETURNS text
LANGUAGE c STABLE PARALLEL SAFE COST 100 SUPPORT idla_predict_support
AS 'MODULE_PATHNAME', 'idla_classify';

COMMENT ON FUNCTION idla_classify(regclass, record, int, float8) IS
'The class that a classification model gives a row; NULL where its probability is below abstain, by default the option of that name.';

CREATE FUNCTION idla_probabilities(model regclass, input record, version int DEFAULT NULL)
RETURNS jsonb
LANGUAGE c STABLE PARALLEL SAFE COST 100 SUPPORT idla_predict_support
AS 'MODULE_PATHNAME', 'idla_probabilities';

COMMENT ON FUNCTION idla_probabilities(regclass, record, int) IS
'The probability of every class for a row, {"label": p, ...}.';

CREATE FUNCTION idla_survival(model regclass, input record, at float8, version int DEFAULT NULL)
RETURNS float8
LANGUAGE c STABLE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'idla_survival';

COMMENT ON FUNCTION idla_survival(regclass, record, float8, int) IS
'The probability that a row''s event has not happened by the time "at", in the unit of the training''s time column. Beyond the last event of the training it stays as it was there.';

-- Answers that hold the truth as often as is asked (src/pg/conformal.c).

CREATE FUNCTION idla_interval_columns(model regclass, version int, coverage float8, output text, names text[], VARIADIC "columns" "any")
RETURNS numrange
LANGUAGE c STABLE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'idla_interval_columns';

COMMENT ON FUNCTION idla_interval_columns(regclass, int, float8, text, text[], "any") IS
'Part of idla_interval: what its calls become in a plan where the columns of the row are at hand.';

CREATE FUNCTION idla_label_set_columns(model regclass, version int, coverage float8, names text[], VARIADIC "columns" "any")
RETURNS text[]
LANGUAGE c STABLE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'idla_label_set_columns';

COMMENT ON FUNCTION idla_label_set_columns(regclass, int, float8, text[], "any") IS
'Part of idla_label_set: what its calls become in a plan where the columns of the row are at hand.';

CREATE FUNCTION idla_interval(model regclass, input record, coverage float8 DEFAULT 0.9, version int DEFAULT NULL, output text DEFAULT NULL)
RETURNS numrange
LANGUAGE c STABLE PARALLEL SAFE COST 100 SUPPORT idla_predict_support
AS 'MODULE_PATHNAME', 'idla_interval';

COMMENT ON FUNCTION idla_interval(regclass, record, float8, int, text) IS
'The range in which the true value of a row is with a probability of at least coverage, around the answer of a regression model. output names the target where there are several.';

CREATE FUNCTION idla_label_set(model regclass, input record, coverage float8 DEFAULT 0.9, version int DEFAULT NULL)
RETURNS text[]
LANGUAGE c STABLE PARALLEL SAFE COST 100 SUPPORT idla_predict_support
AS 'MODULE_PATHNAME', 'idla_label_set';

COMMENT ON FUNCTION idla_label_set(regclass, record, float8, int) IS
'The classes among which the true one of a row is with a probability of at least coverage, of a classification model. One class: the model is sure enough; none: the row looks like no class.';

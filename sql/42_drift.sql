-- Drift: have the rows changed since a model was trained (src/pg/drift.c)?

CREATE FUNCTION idla_drift(model regclass, source text, version int DEFAULT NULL)
RETURNS TABLE (
	item text, kind text, n bigint, psi float8, ks float8, p_value float8, missing_then float8, missing_now float8,
	unseen float8, predicted float8, observed float8, ece float8, verdict text)
LANGUAGE c VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 20
AS 'MODULE_PATHNAME', 'idla_drift';

COMMENT ON FUNCTION idla_drift(regclass, text, int) IS
'How far the rows of a table, view or SELECT are from those a model was trained on: a row for every column, for the answers, and, where the source has the target, for their calibration. The verdict is stable, moderate, strong, or uncertain where chance explains it.';

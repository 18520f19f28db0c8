-- Explaining: why one row scores as it does, and what matters over many (src/pg/explain.c).

CREATE FUNCTION idla_explain(
	model regclass, input record, method text DEFAULT 'integrated_gradients', top int DEFAULT 5,
	output text DEFAULT NULL, version int DEFAULT NULL)
RETURNS TABLE (
	prediction float8, baseline float8, rank int, feature text, value text, contribution float8,
	completeness_error float8, probability float8)
LANGUAGE c STABLE PARALLEL SAFE COST 100000 ROWS 5
AS 'MODULE_PATHNAME', 'idla_explain';

COMMENT ON FUNCTION idla_explain(regclass, record, text, int, text, int) IS
'What each column of a row adds to its prediction, largest first; prediction and baseline are log odds (classes), values (regression) or log hazard ratios (survival).';

CREATE FUNCTION idla_importance(model regclass, source text, repeats int DEFAULT 5, version int DEFAULT NULL)
RETURNS TABLE (rank int, feature text, importance float8, deviation float8, metric text)
LANGUAGE c VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 30
AS 'MODULE_PATHNAME', 'idla_importance';

COMMENT ON FUNCTION idla_importance(regclass, text, int, int) IS
'How much worse the metric gets when a column is shuffled among the rows of a source: mean and standard deviation over repeats.';

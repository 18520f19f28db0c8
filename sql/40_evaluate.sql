-- Judging a model on rows of your choice (src/pg/evaluate.c).

CREATE FUNCTION idla_evaluate(model regclass, source text, version int DEFAULT NULL)
RETURNS TABLE (metric text, value float8, low float8, high float8, n bigint)
LANGUAGE c VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 7
AS 'MODULE_PATHNAME', 'idla_evaluate';

COMMENT ON FUNCTION idla_evaluate(regclass, text, int) IS
'The metrics of a model on a table, view or SELECT that has its target, with 95 % confidence intervals.';

CREATE FUNCTION idla_classification_report(model regclass, source text, version int DEFAULT NULL, level text DEFAULT NULL)
RETURNS TABLE (class text, "precision" float8, recall float8, f1 float8, support bigint)
LANGUAGE c VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 5
AS 'MODULE_PATHNAME', 'idla_classification_report';

COMMENT ON FUNCTION idla_classification_report(regclass, text, int, text) IS
'Precision, recall, F1 and support of every class, then their micro, macro and weighted averages. level is for tagging: entity (the default), strict, token or tagged (tokens but for O).';

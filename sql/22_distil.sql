-- Distillation: a model made small (src/pg/distil.c). Any training may have a teacher, by its options; this is the short form.

CREATE FUNCTION idla_distil(
	model regclass, name text, source text, architecture text DEFAULT 'mlp', options jsonb DEFAULT '{}')
RETURNS TABLE (version int, metric text, teacher float8, student float8, low float8, high float8, n bigint)
LANGUAGE c VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 7
AS 'MODULE_PATHNAME', 'idla_distil';

COMMENT ON FUNCTION idla_distil(regclass, text, text, text, jsonb) IS
'Trains one small network to answer as a model does, as a new version of model "name", and tells what both are worth on the same test rows, the student with a 95 % interval. Columns, target and split are the teacher''s.';

-- What networks know of a row before their last layers decide (src/pg/embed.c).

CREATE FUNCTION idla_embed_columns(model regclass, version int, names text[], VARIADIC "columns" "any")
RETURNS real[]
LANGUAGE c STABLE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'idla_embed_columns';

COMMENT ON FUNCTION idla_embed_columns(regclass, int, text[], "any") IS
'Part of idla_embed: what its calls become in a plan where the columns of the row are at hand.';

CREATE FUNCTION idla_embed(model regclass, input record, version int DEFAULT NULL)
RETURNS real[]
LANGUAGE c STABLE PARALLEL SAFE COST 100 SUPPORT idla_predict_support
AS 'MODULE_PATHNAME', 'idla_embed';

COMMENT ON FUNCTION idla_embed(regclass, record, int) IS
'What the networks of a model know of a row before their last layers decide: numbers in which rows are near each other when they matter alike to the target. As many for every row of a version; those of two versions are not comparable.';

-- The models in memory: those of a session, and the weights that all sessions share (src/pg/cache.c).

CREATE FUNCTION idla_cache_list(
	OUT model regclass, OUT version int, OUT digest text, OUT bytes bigint, OUT in_use boolean, OUT loaded_at timestamptz, OUT statements bigint,
	OUT scope text, OUT sessions int)
RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 10
AS 'MODULE_PATHNAME', 'idla_cache_list';

COMMENT ON FUNCTION idla_cache_list() IS
'Part of the view idla_cache: what it lists.';

CREATE VIEW idla_cache AS
	SELECT * FROM @extschema@.idla_cache_list();

COMMENT ON VIEW idla_cache IS
'The models that your session has in memory, the one used last first: their size, and how many statements asked for them since they were loaded. Below them, with the scope shared, large weights that all sessions use together, and how many sessions do so now.';

GRANT SELECT ON idla_cache TO PUBLIC;

CREATE FUNCTION idla_evict(model regclass DEFAULT NULL)
RETURNS int
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'idla_evict';

COMMENT ON FUNCTION idla_evict(regclass) IS
'Lets the versions of a model, or of all models, go from your session''s memory, and those that you own from the memory that all sessions share, unless a running query uses them; returns how many, counted in each.';

CREATE FUNCTION idla_prewarm(model regclass, version int DEFAULT NULL)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'idla_prewarm';

COMMENT ON FUNCTION idla_prewarm(regclass, int) IS
'Loads a model into your session''s memory before it is first asked, and large weights into the memory that all sessions share; returns how many bytes it takes in both.';

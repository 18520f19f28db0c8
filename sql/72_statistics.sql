-- How much each model is asked (src/pg/statistics.c).

CREATE FUNCTION idla_stat_list(
	OUT model regclass, OUT version int, OUT calls bigint, OUT rows bigint, OUT errors bigint, OUT seconds float8,
	OUT since timestamptz, OUT last_call timestamptz,
	OUT compared bigint, OUT difference float8, OUT absolute_difference float8, OUT largest_difference float8,
	OUT disagreed bigint, OUT failed bigint, OUT answered bigint, OUT logged bigint, OUT lost bigint)
RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 100
AS 'MODULE_PATHNAME', 'idla_stat_list';

COMMENT ON FUNCTION idla_stat_list() IS
'Part of the views idla_stat_models and idla_stat_trials: what they list.';

CREATE VIEW idla_stat_models AS
	SELECT n.nspname AS schema, s.model, s.version, s.calls, s.rows, s.errors, s.seconds, s.since, s.last_call, s.logged, s.lost
	FROM @extschema@.idla_stat_list() s
	JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) s.model
	JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	ORDER BY n.nspname, s.model::text, s.version;

COMMENT ON VIEW idla_stat_models IS
'How much each version of a model was asked since its first call or the last reset: places in queries that asked, rows answered, queries that an error of the model or of its input ended, seconds of computing, answers left for the log of idla_log and those for which it had no room. Empty unless the library is preloaded.';

CREATE VIEW idla_stat_trials AS
	SELECT n.nspname AS schema, s.model, s.version, s.compared, s.answered, s.difference, s.absolute_difference,
		s.largest_difference, s.disagreed, s.failed, s.since, s.last_call
	FROM @extschema@.idla_stat_list() s
	JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) s.model
	JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE s.compared + s.failed > 0
	ORDER BY n.nspname, s.model::text, s.version;

COMMENT ON VIEW idla_stat_trials IS
'How far candidates on trial or in the shadow are from the version in service: rows compared, rows they answered themselves, the mean of the differences (candidate minus service), of their absolute values and the largest one, rows they put into another class, rows they could not answer. Empty unless the library is preloaded.';

GRANT SELECT ON idla_stat_models, idla_stat_trials TO PUBLIC;

CREATE FUNCTION idla_stat_reset(model regclass DEFAULT NULL)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'idla_stat_reset';

COMMENT ON FUNCTION idla_stat_reset(regclass) IS
'Forgets what idla_stat_models and idla_stat_trials show of a model, or of all models of this database; returns how many versions that were. For superusers, unless granted.';

REVOKE EXECUTE ON FUNCTION idla_stat_reset(regclass) FROM PUBLIC;

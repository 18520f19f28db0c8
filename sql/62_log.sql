-- The log of predictions: what was answered, when, to whom (src/pg/log.c).

CREATE FUNCTION idla_log(model regclass, share float8 DEFAULT 1, key text DEFAULT NULL)
RETURNS float8
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'idla_log';

COMMENT ON FUNCTION idla_log(regclass, float8, text) IS
'Has the answers of a model logged, for all rows, or so large a share of them; 0 or NULL: for none. key is the column of the rows whose text tells in the log which row it was. Returns the share that was logged before, NULL for none. Whoever may deploy a version may do it; the library must be preloaded.';

CREATE FUNCTION idla_log_flush()
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'idla_log_flush';

COMMENT ON FUNCTION idla_log_flush() IS
'Waits until what was logged in this database by this session, and by queries of others that have ended, is in idla_predictions.';

CREATE TABLE idla_prediction_log (
	time timestamptz NOT NULL,
	model regclass NOT NULL,
	version int NOT NULL,
	function text NOT NULL,
	key text,
	output text,
	served boolean NOT NULL,
	role text NOT NULL,
	login text NOT NULL
) PARTITION BY RANGE (time);

COMMENT ON TABLE idla_prediction_log IS
'The log of predictions, a partition a day (UTC). What one may see of it is the view idla_predictions; to forget days, drop their partitions.';

-- Default privileges may have given it to others.
DO $$
DECLARE
	other text;
BEGIN
	FOR other IN
		-- No operator of the schema's own may be meant: this is run by who creates the extension.
		SELECT DISTINCT CASE WHEN a.grantee OPERATOR(pg_catalog.=) 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END
		FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
		WHERE c.oid OPERATOR(pg_catalog.=) '@extschema@.idla_prediction_log'::pg_catalog.regclass AND a.grantee OPERATOR(pg_catalog.<>) c.relowner
	LOOP
		EXECUTE pg_catalog.format('REVOKE ALL ON @extschema@.idla_prediction_log FROM %s', other);
	END LOOP;
END $$;

CREATE VIEW idla_predictions WITH (security_barrier) AS
	SELECT time, model, version, function, key, output, served, role, login
	FROM @extschema@.idla_prediction_log
	-- Asked once a query, not once a row.
	WHERE model OPERATOR(pg_catalog.=) ANY (ARRAY(
		SELECT k.conrelid::regclass FROM pg_catalog.pg_constraint k
		WHERE k.conname OPERATOR(pg_catalog.=) 'idla_model' AND k.contype OPERATOR(pg_catalog.=) 'c' AND k.conrelid OPERATOR(pg_catalog.<>) 0
			AND pg_catalog.has_table_privilege(k.conrelid, 'SELECT') AND NOT pg_catalog.row_security_active(k.conrelid)));

COMMENT ON VIEW idla_predictions IS
'Logged answers of the models that you may read as a whole: when, by which version and function, for which key, and to which role, under which login. served is false for what a candidate on trial, or the version beside it, would have said.';

GRANT SELECT ON idla_predictions TO PUBLIC;

CREATE FUNCTION idla_log_list(
	OUT schema name, OUT model regclass, OUT share float8, OUT key text, OUT set_by text, OUT set_at timestamptz)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 100
AS 'MODULE_PATHNAME', 'idla_log_list';

COMMENT ON FUNCTION idla_log_list() IS
'Part of the view idla_log_settings: what it lists.';

CREATE VIEW idla_log_settings AS
	SELECT * FROM @extschema@.idla_log_list()
	ORDER BY schema, model::text;

COMMENT ON VIEW idla_log_settings IS
'The models you may predict with whose answers are logged: the share of rows, the column that names a row in the log, who said so and when.';

GRANT SELECT ON idla_log_settings TO PUBLIC;

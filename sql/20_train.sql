-- Training: from a table to a version of a model (src/pg/train.c), and how far it is (src/pg/progress.c).

CREATE TYPE idla_training AS (
	model text, version int, task text, architecture text, rows_used bigint, rows_dropped bigint, dropped_why jsonb,
	positive text, epochs int, seconds float8, metric text, value float8, epsilon float8, in_service boolean);

COMMENT ON TYPE idla_training IS
'What idla_train tells of the version it wrote.';

CREATE FUNCTION idla_train(
	model text, source text, target text, task text DEFAULT NULL, architecture text DEFAULT 'auto',
	options jsonb DEFAULT '{}')
RETURNS idla_training
LANGUAGE c VOLATILE PARALLEL UNSAFE COST 1000000
AS 'MODULE_PATHNAME', 'idla_train';

COMMENT ON FUNCTION idla_train(text, text, text, text, text, jsonb) IS
'Trains a new version of a model on a table, view or SELECT and tells how good it is on rows it never saw. The first version goes into service at once.';

CREATE FUNCTION idla_progress_slots(
	OUT pid int, OUT role oid, OUT database oid, OUT model text, OUT phase text, OUT net int, OUT nets int,
	OUT epoch int, OUT epochs int, OUT "rows" bigint, OUT loss float8, OUT validation float8, OUT best float8,
	OUT started timestamptz, OUT seconds_left float8)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED ROWS 5
AS 'MODULE_PATHNAME', 'idla_progress_slots';

COMMENT ON FUNCTION idla_progress_slots() IS
'The trainings under way in this server that the caller may see; the view idla_progress shows them with names.';

CREATE VIEW idla_progress AS
SELECT s.pid, pg_catalog.pg_get_userbyid(s.role) AS role,
	(SELECT d.datname FROM pg_catalog.pg_database d WHERE d.oid OPERATOR(pg_catalog.=) s.database) AS database,
	s.model, s.phase, s.net, s.nets, s.epoch, s.epochs, s."rows", s.loss, s.validation, s.best, s.started, s.seconds_left
FROM idla_progress_slots() s;

COMMENT ON VIEW idla_progress IS
'Trainings under way: phase, network and epoch, rows so far, losses and the most time left. Others'' are shown to members of pg_read_all_stats.';

GRANT SELECT ON idla_progress TO PUBLIC;
